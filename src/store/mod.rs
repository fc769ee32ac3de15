//! SQLite on one owning thread: conversations, calls, pins, grants, search.
//!
//! [`Store`] is a handle that can be cloned. Everything is written by one thread that owns the one writing connection;
//! a second thread reads over a connection of its own, so that a search never stands before a call's intent, and a
//! third only waits for the disk. Answers come over oneshot channels: no method blocks, and none needs a runtime.
//!
//! # Invariants
//! - One list of changes is one transaction, and the lists of one handle are applied in the order in which
//!   [`Store::apply`] was called; but text that is still being written waits behind all else that is in the queue.
//! - What was acknowledged as [`Durability::Synced`] is on the disk, and so is everything acknowledged before it.
//! - What [`Store::journal`] could not write for want of a disk is tried again, in its order, before what comes later.
//! - A read sees everything that was acknowledged before it was asked for.
//! - A conversation that is opened is valid history: every call of its answers has one tool message.
//! - A file that cannot be opened is never replaced.
//!
//! # Does not
//! Decide what is worth saving or how hard (the engine does), draw, or run anything found in it.

mod apply;
mod ask;
mod backlog;
mod backup;
mod calls;
mod claim;
mod conversation;
mod erase;
mod error;
mod expire;
mod heads;
mod import;
mod index;
mod ledger;
mod listing;
mod process;
mod query;
mod recover;
mod rows;
mod salvage;
mod schema;
mod search;
mod snippet;
mod squeeze;
mod sync;
mod times;
mod watch;
mod worker;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::oneshot;

pub use ask::{Claim, Cursor, Draft, DraftOf, Erased, Learnt, OpenMode, Page, SearchPage, Sort, Space};
pub use error::StoreError;
pub use expire::{Expired, Retention};
pub use query::Query;
pub use salvage::Salvaged;
pub use schema::sqlite_version;
pub use watch::{Runner, Watched, WatchedCall, WatchedRound};

use crate::chat::{
    CallId, Change, Conversation, ConversationId, Durability, Grant, MessageId, Origin, PastCall, Pin, RoundUsage,
    StoredTurn, Summary, ToolRef, Tree, TurnTimes, UnixMs, Usage,
};
use worker::{Job, Reader, Writer};

/// How long a deleted conversation is kept, in milliseconds.
pub const KEPT_AFTER_DELETE_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// How long a start waits for others that have a damaged file open, and between two looks.
const OTHERS: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(20);

/// A handle to the store. Cheap to clone; the threads end with the last handle.
#[derive(Clone)]
pub struct Store {
    writer: Writer,
    reader: Reader,
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    /// A store that goes with its last handle.
    _folder: Option<TempDir>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store, creating folder (0700) and file (0600) where there are none, brings its schema up to date,
    /// recovers turns whose process is gone and removes what was deleted more than 30 days ago. Blocks for a few
    /// milliseconds.
    ///
    /// # Errors
    /// Everything of [`StoreError`] that concerns the file. The file is left as it was.
    pub fn open(path: &Path, mode: OpenMode) -> Result<Self, StoreError> {
        Self::start(path, mode, None, true)
    }

    /// The same; a damaged file is set aside and what can be read of it is saved into a new one. Nothing is deleted.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_or_salvage(path: &Path) -> Result<(Self, Option<Salvaged>), StoreError> {
        let until = Instant::now() + OTHERS;
        let mut salvaged = None;
        loop {
            let corrupt = match Self::open(path, OpenMode::Write) {
                Err(error @ StoreError::Corrupt { .. }) if salvaged.is_none() => error,
                opened => return Ok((opened?, salvaged)),
            };
            match salvage::where_it_does_not_open(path) {
                Ok(done) => salvaged = done,
                // Others look at it, too, at this moment; or one of them has had it open for longer.
                Err(StoreError::Locked { .. }) if Instant::now() < until => std::thread::sleep(LOOK),
                Err(StoreError::Locked { .. }) => return Err(corrupt),
                Err(error) => return Err(error),
            }
        }
    }

    /// Sets a damaged file aside and saves what can be read of it into a new one. Nothing is deleted. Blocks for as long
    /// as reading it takes.
    ///
    /// # Errors
    /// [`StoreError::Locked`] where any process has it open, or where the new one cannot be written; then the file is
    /// where it was.
    pub fn salvage(path: &Path) -> Result<Salvaged, StoreError> {
        salvage::salvage(path)
    }

    /// A store in a temporary folder, gone with its last handle; never synced.
    ///
    /// # Errors
    /// Where no temporary folder can be made.
    pub fn temporary() -> Result<Self, StoreError> {
        let folder = tempfile::Builder::new()
            .prefix("millrace-")
            .tempdir()
            .map_err(|e| StoreError::io(&std::env::temp_dir(), &e))?;
        let path = folder.path().join("store.db");
        Self::start(&path, OpenMode::Write, Some(folder), false)
    }

    fn start(path: &Path, mode: OpenMode, folder: Option<TempDir>, synced: bool) -> Result<Self, StoreError> {
        let writer = Writer::start(path, mode, synced)?;
        let reader = Reader::start(path, mode)?;
        Ok(Self { writer, reader, shared: Arc::new(Shared { path: path.to_path_buf(), _folder: folder }) })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Writes a list of changes as one transaction. It is queued by the call itself; the future only waits.
    /// Dropping the future drops the answer, not the changes.
    ///
    /// # Errors
    /// Nothing of the list was written.
    pub fn apply(
        &self,
        changes: Vec<Change>,
        durability: Durability,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + 'static + use<> {
        let answer = self.writer.apply(changes, durability, false);
        async move { answer.await.unwrap_or(Err(StoreError::Closed)) }
    }

    /// The same for what a turn does, which comes but once: what the disk refuses is told, kept, and tried again with
    /// what comes next, after a while, and at the end. So a success means that all that was refused before is there, too.
    ///
    /// # Errors
    /// Nothing of the list was written yet.
    pub fn journal(
        &self,
        changes: Vec<Change>,
        durability: Durability,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + 'static + use<> {
        let answer = self.writer.apply(changes, durability, true);
        async move { answer.await.unwrap_or(Err(StoreError::Closed)) }
    }

    /// Waits until everything queued so far is written, synced and, as far as it was pending, indexed.
    ///
    /// # Errors
    /// Where the store is closed or cannot be written.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.write(|w| w.index_all()).await?;
        self.apply(Vec::new(), Durability::Synced).await
    }

    /// One page of conversations, from metadata alone.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn list(&self, page: Page) -> Result<Vec<Summary>, StoreError> {
        self.read(move |db| listing::list(db, &page)).await
    }

    /// How many conversations there are, of a folder or in all.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn count(&self, folder: Option<String>) -> Result<usize, StoreError> {
        self.read(move |db| listing::count(db, folder.as_deref())).await
    }

    /// Finds conversations by words (any script, any part of a word, also in tool names, arguments and results) and
    /// operators: see [`Query`]. Bounded in time: a broad query looks at the newest matches and says so.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn search(&self, query: &str, limit: usize) -> Result<SearchPage, StoreError> {
        self.search_in(query, None, limit).await
    }

    /// The same within one folder.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn search_in(&self, query: &str, folder: Option<String>, limit: usize) -> Result<SearchPage, StoreError> {
        // What was written a moment ago may not be indexed yet. A store that cannot be written is searched as it is.
        match self.write(|w| w.index_some()).await {
            Ok(()) | Err(StoreError::ReadOnly { .. } | StoreError::Full { .. } | StoreError::Locked { .. }) => {}
            Err(other) => return Err(other),
        }
        let query = Query::parse(query);
        self.read(move |db| search::search(db, &query, folder.as_deref(), limit)).await
    }

    /// The path from the first message to the head, and where other branches leave it (by ids alone). Whole results
    /// that the model was told only a part of are left out (`full` is None): see [`Store::whole_result`] and [`Store::open_whole`].
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or where the store cannot be read.
    pub async fn open_conversation(&self, id: &ConversationId) -> Result<Conversation, StoreError> {
        let id = id.clone();
        let us = self.writer.token();
        self.read(move |db| conversation::open(db, &id, false, us.as_deref())).await
    }

    /// The same with whole results, for exports.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or where the store cannot be read.
    pub async fn open_whole(&self, id: &ConversationId) -> Result<Conversation, StoreError> {
        let id = id.clone();
        let us = self.writer.token();
        self.read(move |db| conversation::open(db, &id, true, us.as_deref())).await
    }

    /// The same with every branch, for exports.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or where the store cannot be read.
    pub async fn open_tree(&self, id: &ConversationId) -> Result<Tree, StoreError> {
        let id = id.clone();
        let us = self.writer.token();
        self.read(move |db| conversation::open_tree(db, &id, us.as_deref())).await
    }

    /// The whole text of a call's result, where the model was told less.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn whole_result(
        &self,
        conversation: &ConversationId,
        call: &CallId,
    ) -> Result<Option<String>, StoreError> {
        let (conversation, call) = (conversation.clone(), call.clone());
        self.read(move |db| conversation::whole_result(db, &conversation, &call)).await
    }

    /// A conversation by any unique prefix of its id, or `last` (of the folder, where one is given).
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Ambiguous`] with the candidates, or where the store cannot be read.
    pub async fn resolve(&self, name: &str, folder: Option<&str>) -> Result<ConversationId, StoreError> {
        let (name, folder) = (name.to_owned(), folder.map(str::to_owned));
        self.read(move |db| listing::resolve(db, &name, folder.as_deref())).await
    }

    /// The same among those that were deleted and are still kept; `last` names none of them.
    ///
    /// # Errors
    /// As [`Store::resolve`].
    pub async fn resolve_deleted(&self, name: &str) -> Result<ConversationId, StoreError> {
        let name = name.to_owned();
        self.read(move |db| listing::resolve_deleted(db, &name)).await
    }

    /// The conversation that was written to last, of a folder or of all.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn newest(&self, folder: Option<&str>) -> Result<Option<Summary>, StoreError> {
        let folder = folder.map(str::to_owned);
        self.read(move |db| listing::newest(db, folder.as_deref())).await
    }

    /// The name of the role that a conversation is held in.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn role(&self, id: &ConversationId) -> Result<Option<String>, StoreError> {
        let id = id.clone();
        self.read(move |db| listing::role(db, &id)).await
    }

    /// One conversation's row, of a deleted one that is still kept, too.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or where the store cannot be read.
    pub async fn summary(&self, id: &ConversationId) -> Result<Summary, StoreError> {
        let id = id.clone();
        self.read(move |db| listing::summary(db, &id)).await
    }

    /// Gives a title; an empty one lets the first message speak again.
    ///
    /// # Errors
    /// Where it does not exist or the store cannot be written.
    pub async fn rename(&self, id: &ConversationId, title: &str) -> Result<(), StoreError> {
        let change = Change::Title { conversation: id.clone(), title: title.to_owned() };
        self.apply(vec![change], Durability::Synced).await
    }

    /// The system prompt that it is held with; None: none was, or it came with a file, which nobody here has vouched for.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or where the store cannot be read.
    pub async fn system(&self, id: &ConversationId) -> Result<Option<String>, StoreError> {
        let id = id.clone();
        self.read(move |db| listing::system(db, &id)).await
    }

    /// The title that it was given, by a person or a model; None: the first line speaks, and nobody wished so.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or where the store cannot be read.
    pub async fn given_title(&self, id: &ConversationId) -> Result<Option<String>, StoreError> {
        let id = id.clone();
        self.read(move |db| listing::given_title(db, &id)).await
    }

    /// Pins or unpins. All or none.
    ///
    /// # Errors
    /// Where one does not exist or the store cannot be written.
    pub async fn pin(&self, ids: &[ConversationId], pinned: bool) -> Result<(), StoreError> {
        let pin = |id: &ConversationId| Change::Pinned { conversation: id.clone(), pinned };
        self.apply(ids.iter().map(pin).collect(), Durability::Synced).await
    }

    /// Deletes; kept for 30 days, until then [`Store::undelete`] brings them back. All or none.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or where the store cannot be written.
    pub async fn delete(&self, ids: &[ConversationId]) -> Result<(), StoreError> {
        let ids = ids.to_vec();
        self.write_synced(move |w| w.set_deleted(&ids, true)).await
    }

    /// Brings deleted conversations back. All or none.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] once one is gone, or where the store cannot be written.
    pub async fn undelete(&self, ids: &[ConversationId]) -> Result<(), StoreError> {
        let ids = ids.to_vec();
        self.write_synced(move |w| w.set_deleted(&ids, false)).await
    }

    /// Erases for good, all or none: nothing of them is left in the file, its index, its log or the copies beside it.
    /// May take a while on a large store; others may write in between.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Held`] by another process, or where the store cannot be written. Traces
    /// that an error left are removed later.
    pub async fn erase(&self, ids: &[ConversationId]) -> Result<Erased, StoreError> {
        let ids = ids.to_vec();
        let copies = self.write_synced(move |w| w.erase(&ids)).await?;
        self.scrubbed(copies).await
    }

    /// Erases what is older than the rules let it be, as [`Store::erase`] does; `now` is the time by the clock. What is
    /// pinned is kept, what any process has open, and what holds a younger draft. Where nothing has changed for long, only
    /// the second call a day later erases anything. Prompts and drafts of that age go where everything has an age.
    /// In steps: others write in between.
    ///
    /// # Errors
    /// Where the store cannot be written; what was erased before is told by the next call, and its traces are removed
    /// later.
    pub async fn expire(&self, rules: &Retention, now: UnixMs) -> Result<Expired, StoreError> {
        let mut expired = Expired::default();
        if rules.is_forever() {
            return Ok(expired);
        }
        expired.put_off = self.write_synced(move |w| w.doubts_clock(now)).await?;
        if expired.put_off.is_some() {
            return Ok(expired);
        }
        let mut copies = 0;
        let mut from = Some(expire::Cursor::START);
        while let Some(at) = from {
            let rules = rules.clone();
            let step = self.write(move |w| w.expire(&rules, now, at)).await?;
            expired.conversations += step.erased;
            copies += step.copies;
            from = step.next;
        }
        let by = rules.clone();
        expired.texts = self.write_synced(move |w| w.expire_texts(&by, now)).await?;
        if expired != Expired::default() {
            expired.erased = self.scrubbed(copies).await?;
        }
        Ok(expired)
    }

    /// Takes the traces of what was erased away.
    async fn scrubbed(&self, copies: usize) -> Result<Erased, StoreError> {
        // Step by step: what others write goes in between.
        let log_is_read = loop {
            match self.write(|w| w.scrub()).await? {
                erase::Scrub::More => {}
                erase::Scrub::Done => break false,
                erase::Scrub::Busy => break true,
            }
        };
        Ok(Erased { copies, log_is_read, damaged: salvage::set_aside_before(self.path()) })
    }

    /// Takes in a conversation from elsewhere, as one transaction: new ids where they are taken, its calls as history.
    ///
    /// # Errors
    /// [`StoreError::Row`] where it is no valid history, or where the store cannot be written.
    pub async fn import(&self, tree: impl Into<Tree>) -> Result<ConversationId, StoreError> {
        let tree = tree.into();
        self.write(move |w| w.import(&tree)).await
    }

    /// Which conversations of other programs were imported and are still there.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn imported(&self) -> Result<Vec<(Origin, ConversationId)>, StoreError> {
        self.read(import::imported).await
    }

    /// Makes another message the head: the branch that is shown and answered. A message in the middle of a branch is
    /// taken with everything that must follow it (the outcomes of its calls).
    ///
    /// # Errors
    /// [`StoreError::Missing`] where the message is not of this conversation.
    pub async fn set_head(&self, id: &ConversationId, message: &MessageId) -> Result<(), StoreError> {
        let (id, message) = (id.clone(), message.clone());
        self.write_synced(move |w| w.set_head(&id, &message)).await
    }

    /// Shows the branch that a message stands on, down to the newest message that follows it: it is the head.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where the message is not of this conversation, [`StoreError::Held`] by another process,
    /// or where the store cannot be written.
    pub async fn show_branch(&self, id: &ConversationId, message: &MessageId) -> Result<(), StoreError> {
        let (id, message) = (id.clone(), message.clone());
        self.write(move |w| w.show_branch(&id, &message)).await
    }

    /// Asks for the right to write a conversation (new ones too). Freed by [`Store::release`], or by the end of
    /// this process however it comes; nobody can take it from a process that lives. Turns of it that a dead process left are
    /// recovered here.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub async fn claim(&self, id: &ConversationId) -> Result<Claim, StoreError> {
        let id = id.clone();
        self.write(move |w| w.claim(&id)).await
    }

    /// Whether another living process may write it.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn held_elsewhere(&self, id: &ConversationId) -> Result<bool, StoreError> {
        let (id, path, us) = (id.clone(), self.shared.path.clone(), self.writer.token());
        self.read(move |db| Ok(claim::holder(db, &path, &id, us.as_deref())?.is_some())).await
    }

    /// Gives the right back.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub async fn release(&self, id: &ConversationId) -> Result<(), StoreError> {
        let id = id.clone();
        self.write(move |w| w.release(&id)).await
    }

    /// Every pinned definition.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn pins(&self) -> Result<Vec<Pin>, StoreError> {
        self.read(ledger::pins).await
    }

    /// Every standing permission.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn grants(&self) -> Result<Vec<Grant>, StoreError> {
        self.read(ledger::grants).await
    }

    /// What was learnt of an endpoint and model.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn learnt(&self, base_url: &str, model: &str) -> Result<Vec<Learnt>, StoreError> {
        let (base_url, model) = (base_url.to_owned(), model.to_owned());
        self.read(move |db| ledger::learnt(db, &base_url, &model)).await
    }

    /// Calls of a conversation, on any branch, that are equal (tool and exact arguments) and ran or may have run;
    /// newest first.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn past_calls(
        &self,
        conversation: &ConversationId,
        tool: &ToolRef,
        arguments: &str,
    ) -> Result<Vec<PastCall>, StoreError> {
        let (conversation, tool, arguments) = (conversation.clone(), tool.clone(), arguments.to_owned());
        self.read(move |db| times::past_calls(db, &conversation, &tool, &arguments)).await
    }

    /// Calls on branches that are not shown (discarded and sibling attempts) that ran or may have run; newest first.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn calls_off_path(&self, id: &ConversationId) -> Result<Vec<PastCall>, StoreError> {
        let id = id.clone();
        self.read(move |db| times::calls_off_path(db, &id)).await
    }

    /// All that was learnt, by base URL and model.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn all_learnt(&self) -> Result<Vec<(String, String, Learnt)>, StoreError> {
        self.read(ledger::all_learnt).await
    }

    /// Whether a person has ever let a call run.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn ever_approved(&self) -> Result<bool, StoreError> {
        self.read(times::ever_approved).await
    }

    /// The times of a conversation's last turn.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn timeline(&self, id: &ConversationId) -> Result<Option<TurnTimes>, StoreError> {
        self.timeline_of(id, None).await
    }

    /// The times of a conversation's turn, by its number from 1; None: the last.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn timeline_of(&self, id: &ConversationId, turn: Option<u32>) -> Result<Option<TurnTimes>, StoreError> {
        let id = id.clone();
        Ok(self.read(move |db| times::timeline(db, &id, turn)).await?.map(|found| found.times))
    }

    /// The same with its number, how many there are, and how it ended (`ok`, `failed`, `cancelled`, `limit`,
    /// `interrupted`; None while it runs).
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn turn(&self, id: &ConversationId, turn: Option<u32>) -> Result<Option<StoredTurn>, StoreError> {
        let id = id.clone();
        self.read(move |db| times::timeline(db, &id, turn)).await
    }

    /// A number that is another one after every commit of another process: cheap to ask again and again.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn data_version(&self) -> Result<i64, StoreError> {
        self.read(|db| Ok(db.pragma_query_value(None, "data_version", |row| row.get(0))?)).await
    }

    /// A turn of a conversation as far as it is written down, and who runs it: by its id, or the last.
    /// None where there is none.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn watch(&self, id: &ConversationId, turn: Option<MessageId>) -> Result<Option<Watched>, StoreError> {
        let (id, path) = (id.clone(), self.shared.path.clone());
        self.read(move |db| watch::watch(db, &path, &id, turn.as_ref())).await
    }

    /// Says that this process runs one turn and nothing else, so that others may end it for that turn. To be said
    /// before anything is written.
    ///
    /// # Errors
    /// Where the store is closed.
    pub async fn runs_one_turn(&self) -> Result<(), StoreError> {
        self.write(|desk| {
            desk.single = true;
            Ok(())
        })
        .await
    }

    /// Tokens of a conversation, summed over its rounds.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn usage(&self, id: &ConversationId) -> Result<Usage, StoreError> {
        let id = id.clone();
        self.read(move |db| times::usage(db, &id)).await
    }

    /// The same, round by round.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn round_usage(&self, id: &ConversationId) -> Result<Vec<RoundUsage>, StoreError> {
        let id = id.clone();
        self.read(move |db| times::round_usage(db, &id)).await
    }

    /// Every call id that was ever used in a conversation, on any branch.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn used_call_ids(&self, id: &ConversationId) -> Result<Vec<CallId>, StoreError> {
        let id = id.clone();
        self.read(move |db| times::used_call_ids(db, &id)).await
    }

    /// Keeps a text that was typed and not sent; an empty one removes it.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub async fn save_draft(&self, owner: DraftOf, text: &str) -> Result<(), StoreError> {
        let text = text.to_owned();
        self.write(move |w| w.save_draft(&owner, &text)).await
    }

    /// The draft of a conversation or folder.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn draft(&self, owner: DraftOf) -> Result<Option<String>, StoreError> {
        self.read(move |db| ledger::draft(db, &owner)).await
    }

    /// Every draft, newest first.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn drafts(&self) -> Result<Vec<Draft>, StoreError> {
        self.read(ledger::drafts).await
    }

    /// Remembers a prompt for recall; the newest 1,000 are kept, an equal one moves to the top.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub async fn add_prompt(&self, text: &str) -> Result<(), StoreError> {
        let text = text.to_owned();
        self.write(move |w| w.add_prompt(&text)).await
    }

    /// The newest prompts, newest first.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn recent_prompts(&self, limit: usize) -> Result<Vec<String>, StoreError> {
        self.read(move |db| ledger::recent_prompts(db, limit)).await
    }

    /// SQLite's own check of the whole file; Ok(None) where nothing is wrong. Slow on a large store.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn check(&self) -> Result<Option<String>, StoreError> {
        self.read(schema::check).await
    }

    /// The size of the file.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn space(&self) -> Result<Space, StoreError> {
        self.read(schema::space).await
    }

    /// Writes the file anew without its free space. Needs as much space again while it works; slow on a large store.
    ///
    /// # Errors
    /// Where the store cannot be written, or the disk is full; then the file is as it was.
    pub async fn vacuum(&self) -> Result<(), StoreError> {
        self.write(|desk| schema::vacuum(&desk.db)).await
    }

    /// Waits until everything queued is written and synced, and gives this process's claims back. The threads end with
    /// the last handle; this one is for leaving in good order.
    ///
    /// # Errors
    /// Where something could not be written.
    pub async fn close(self) -> Result<(), StoreError> {
        let written = self.apply(Vec::new(), Durability::Synced).await;
        // Where that fails, the lock that ends with this process says the same.
        let _ = self.write(|desk| desk.resign()).await;
        written
    }

    /// Lets the file grow to so many pages and no more, as a full disk would; for tests.
    ///
    /// # Errors
    /// Where the store is closed.
    #[doc(hidden)]
    pub async fn limit_size(&self, pages: u32) -> Result<(), StoreError> {
        self.write(move |w| Ok(w.db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?)).await
    }

    async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&rusqlite::Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.reader.ask(Box::new(move |db| {
            // Whoever asked may have typed on: then nobody waits for this any more.
            if !answer.is_closed() {
                let _ = answer.send(db.and_then(job));
            }
        }));
        answered.await.unwrap_or(Err(StoreError::Closed)).map_err(|e| e.at(&self.shared.path))
    }

    async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut worker::Desk) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.writer.send(Job::Do(Box::new(move |desk| {
            let _ = answer.send(job(desk));
        })));
        answered.await.unwrap_or(Err(StoreError::Closed)).map_err(|e| e.at(&self.shared.path))
    }
    /// The same, and waits for the disk.
    async fn write_synced<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut worker::Desk) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let done = self.write(job).await?;
        self.apply(Vec::new(), Durability::Synced).await?;
        Ok(done)
    }
}
