//! The threads: one that writes, one that reads.
//!
//! # Invariants
//! - Only the writer's thread has a connection that writes.
//! - What waits together is committed together; where that fails, each list is tried alone.
//! - What the disk refused of a turn is tried again before what comes behind it (`backlog`).
//! - When nothing is queued and nothing is left to tidy, no thread wakes up.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::backlog::Backlog;
use super::sync::{Reply, Syncer};
use super::{OpenMode, StoreError, apply, claim, erase, heads, import, index, ledger, recover, schema, sync};
use crate::chat::{Change, ConversationId, Durability, MessageId, Tree};

/// How long nothing must have been asked before the writer tidies up.
const IDLE: Duration = Duration::from_millis(300);
/// Between two steps of tidying.
const BETWEEN: Duration = Duration::from_millis(5);
/// How long until what the disk refused is tried again, where nothing else is written.
const AGAIN: Duration = Duration::from_secs(2);

pub(super) enum Job {
    Apply(Write),
    Do(Box<dyn FnOnce(&mut Desk) + Send>),
}

/// A list of changes that waits.
pub(super) struct Write {
    changes: Vec<Change>,
    durability: Durability,
    /// Refused by the disk, it is kept and tried again.
    kept: bool,
    reply: Reply,
}

impl Write {
    /// Nothing but text that is still being written: it may wait behind the rest.
    fn is_text(&self) -> bool {
        self.durability == Durability::Written
            && !self.changes.is_empty()
            && self.changes.iter().all(|c| matches!(c, Change::AnswerText { .. }))
    }

    /// The answers of this list that a later one would say again, whole.
    fn texts(&self) -> impl Iterator<Item = &MessageId> {
        self.changes.iter().filter_map(|c| match c {
            Change::AnswerText { message, .. } => Some(message),
            _ => None,
        })
    }

    fn whole(&self) -> impl Iterator<Item = &MessageId> {
        self.changes.iter().filter_map(|c| match c {
            Change::Message { message, .. } => Some(&message.id),
            _ => None,
        })
    }
}

/// The way to the writing thread.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Job>,
    /// The name under which this process holds claims, once it holds any.
    token: Arc<Mutex<Option<String>>>,
}

impl Writer {
    pub(super) fn start(path: &Path, mode: OpenMode, synced: bool) -> Result<Self, StoreError> {
        let (queue, jobs) = mpsc::channel();
        let (opened, opening) = mpsc::channel();
        let token = Arc::new(Mutex::new(None));
        let (theirs, at) = (token.clone(), path.to_path_buf());
        std::thread::Builder::new()
            .name("store".into())
            .spawn(move || match Desk::open(at, mode, synced, theirs) {
                Ok(mut desk) => {
                    let _ = opened.send(Ok(()));
                    desk.run(&jobs);
                }
                Err(error) => {
                    let _ = opened.send(Err(error));
                }
            })
            .map_err(|e| StoreError::io(path, &e))?;
        opening.recv().unwrap_or(Err(StoreError::Closed))?;
        Ok(Self { queue, token })
    }

    pub(super) fn apply(
        &self,
        changes: Vec<Change>,
        durability: Durability,
        kept: bool,
    ) -> oneshot::Receiver<Result<(), StoreError>> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Apply(Write { changes, durability, kept, reply }));
        answer
    }

    /// A job that cannot be queued drops its reply, which its waiter reads as [`StoreError::Closed`].
    pub(super) fn send(&self, job: Job) {
        let _ = self.queue.send(job);
    }

    pub(super) fn token(&self) -> Option<String> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Where the writing thread works: its connection and what it owns.
pub(super) struct Desk {
    pub(super) db: Connection,
    pub(super) path: PathBuf,
    pub(super) lock: Option<claim::ProcessLock>,
    /// This process runs one turn and nothing else.
    pub(super) single: bool,
    /// Nobody replaces the file while it is held.
    open: Option<claim::OpenLock>,
    token: Arc<Mutex<Option<String>>>,
    mode: OpenMode,
    /// None: nothing is ever synced.
    syncer: Option<Syncer>,
    pub(super) backlog: Backlog,
    /// Something was written since the last tidying.
    untidy: bool,
    pause: Duration,
}

/// One transaction.
fn commit<T>(db: &mut Connection, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = work(&tx)?;
    tx.commit()?;
    Ok(value)
}

impl Desk {
    fn open(
        path: PathBuf,
        mode: OpenMode,
        synced: bool,
        token: Arc<Mutex<Option<String>>>,
    ) -> Result<Self, StoreError> {
        let open = match mode {
            OpenMode::Write => claim::OpenLock::share(&path),
            OpenMode::Read => None,
        };
        let db = schema::open(&path, mode)?;
        let syncer = match (mode, synced) {
            (OpenMode::Write, true) => Some(Syncer::start(&path)?),
            _ => None,
        };
        if mode == OpenMode::Write && !synced {
            db.pragma_update(None, "synchronous", "OFF")?;
        }
        let mut desk = Self {
            db,
            path,
            lock: None,
            single: false,
            open,
            token,
            mode,
            syncer,
            backlog: Backlog::default(),
            untidy: false,
            pause: IDLE,
        };
        if mode == OpenMode::Write {
            let path = desk.path.clone();
            desk.begin_tidy().map_err(|e| e.at(&path))?;
        }
        Ok(desk)
    }

    /// What a start owes to the sessions before it.
    fn begin_tidy(&mut self) -> Result<(), StoreError> {
        let gone = claim::dead_processes(&self.db, &self.path)?;
        let turns = recover::left_turns(&self.db, None, &self.path)?;
        let expired = erase::has_expired(&self.db)?;
        self.untidy = index::is_pending(&self.db)? || erase::is_pending(&self.db)?;
        if gone.is_empty() && turns.is_empty() && !expired {
            return Ok(());
        }
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        recover::recover(&tx, None, &self.path)?;
        claim::forget(&tx, &gone, &self.path)?;
        erase::purge(&tx)?;
        tx.commit()?;
        self.untidy = true;
        Ok(())
    }

    fn run(&mut self, jobs: &mpsc::Receiver<Job>) {
        let mut waiting: VecDeque<Job> = VecDeque::new();
        let mut texts: VecDeque<Write> = VecDeque::new();
        loop {
            if waiting.is_empty() && texts.is_empty() {
                let next = if self.untidy {
                    match jobs.recv_timeout(self.pause) {
                        Ok(job) => Some(job),
                        Err(mpsc::RecvTimeoutError::Timeout) => {
                            self.tidy();
                            continue;
                        }
                        Err(mpsc::RecvTimeoutError::Disconnected) => None,
                    }
                } else {
                    jobs.recv().ok()
                };
                let Some(job) = next else { break };
                self.pause = IDLE;
                waiting.push_back(job);
            }
            waiting.extend(jobs.try_iter());
            self.step(&mut waiting, &mut texts);
        }
        // Nobody is left who could be told.
        let _ = self.catch_up();
    }

    /// Does the next thing: all lists at the front of the queue together, else one other job, else one text.
    fn step(&mut self, waiting: &mut VecDeque<Job>, texts: &mut VecDeque<Write>) {
        let mut group = Vec::new();
        let mut other = None;
        while let Some(job) = waiting.pop_front() {
            match job {
                Job::Apply(write) if write.is_text() => defer(texts, write),
                Job::Apply(write) => {
                    supersede(texts, &write);
                    group.push(write);
                }
                Job::Do(job) => {
                    other = Some(job);
                    break;
                }
            }
        }
        if !group.is_empty() {
            self.write(group);
        }
        if let Some(job) = other {
            // It was asked after these texts and must see them.
            let before: Vec<Write> = texts.drain(..).collect();
            if !before.is_empty() {
                self.write(before);
            }
            job(self);
            self.untidy = self.mode == OpenMode::Write;
        } else if waiting.is_empty()
            && let Some(text) = texts.pop_front()
        {
            self.write(vec![text]);
        }
    }

    fn write(&mut self, group: Vec<Write>) {
        self.untidy = true;
        if group.len() > 1 || !self.backlog.is_empty() {
            let backlog = std::mem::take(&mut self.backlog);
            let lists: Vec<&[Change]> = backlog.lists().chain(group.iter().map(|w| w.changes.as_slice())).collect();
            if self.transact(&lists).is_ok() {
                for write in group {
                    self.acknowledge(write);
                }
                return;
            }
            self.backlog = backlog;
        }
        let mut behind = self.catch_up();
        for write in group {
            // Nothing of a turn goes before what is still to be written; and a wait for all of it is not over.
            let done = match &behind {
                Err(error) if write.kept || write.changes.is_empty() => Err(error.clone()),
                Ok(()) | Err(_) => self.transact(&[write.changes.as_slice()]).map_err(|error| error.at(&self.path)),
            };
            match done {
                Ok(()) => self.acknowledge(write),
                Err(error) => {
                    if write.kept && error.may_pass() && self.mode == OpenMode::Write {
                        self.backlog.add(write.changes);
                        behind = Err(error.clone());
                    }
                    let _ = write.reply.send(Err(error));
                }
            }
        }
    }

    fn acknowledge(&self, write: Write) {
        match (write.durability, &self.syncer) {
            (Durability::Synced, Some(syncer)) if syncer.has_failed() => {
                let healed = self.heal();
                if healed.is_ok() {
                    syncer.healed();
                }
                let _ = write.reply.send(healed.map_err(|error| error.at(&self.path)));
            }
            (Durability::Synced, Some(syncer)) => syncer.sync(write.reply),
            (Durability::Synced, None) | (Durability::Written, _) => {
                let _ = write.reply.send(Ok(()));
            }
        }
    }

    /// After a sync that failed: all that the log holds is written once more and synced, while nobody else may write it.
    /// A checkpoint would not do: with the log's beginning still there, lost power would lay it over what is newer.
    pub(super) fn heal(&self) -> Result<(), StoreError> {
        self.db.execute_batch("BEGIN IMMEDIATE")?;
        let written = sync::write_again(&self.path);
        self.db.execute_batch("ROLLBACK")?;
        written
    }

    pub(super) fn transact(&mut self, lists: &[&[Change]]) -> Result<(), StoreError> {
        if lists.iter().all(|l| l.is_empty()) {
            return Ok(());
        }
        let starts = lists.iter().flat_map(|l| l.iter()).any(|c| matches!(c, Change::TurnStarted { .. }));
        if starts {
            self.register()?;
        }
        let by = apply::By { token: self.lock.as_ref().map(|l| l.token.as_str()), store: &self.path };
        let done = commit(&mut self.db, |db| {
            lists.iter().flat_map(|l| l.iter()).try_for_each(|change| apply::apply(db, change, &by))
        });
        self.committed(done)
    }

    /// What became of a commit. A log that grew long is written into the file: a turn may never rest.
    fn committed<T>(&self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        let log = || std::fs::metadata(schema::wal_path(&self.path)).map_or(0, |log| log.len());
        if done.is_ok() && log() > u64::from(schema::LONG_LOG) {
            self.checkpoint();
        }
        self.heard(done)
    }

    /// Writes into the file what the log holds, as far as nobody reads it. The log stays where that fails.
    fn checkpoint(&self) {
        let done = self.db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        let _ = self.heard(done.map_err(StoreError::from));
    }

    /// What SQLite did; where the disk failed it, the log is doubted.
    pub(super) fn heard<T>(&self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if let (Err(error), Some(syncer)) = (&done, &self.syncer)
            && error.is_of_disk()
        {
            syncer.doubt();
        }
        done
    }

    /// The name of this process in the store, backed by a lock that ends with it.
    pub(super) fn register(&mut self) -> Result<String, StoreError> {
        if self.mode == OpenMode::Read {
            return Err(StoreError::ReadOnly { path: self.path.clone() });
        }
        if let Some(lock) = &self.lock {
            return Ok(lock.token.clone());
        }
        let lock = claim::ProcessLock::take(&self.db, &self.path, self.single)?;
        let token = lock.token.clone();
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        self.lock = Some(lock);
        Ok(token)
    }

    /// Frees the locks that say that this process lives and has the file open; its name.
    pub(super) fn leave(&mut self) -> Option<String> {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.open = None;
        self.lock.take().map(|lock| lock.token.clone())
    }

    /// Runs a small change of its own kind as one transaction; whoever must know it on the disk waits for the next sync.
    pub(super) fn change<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let done = commit(&mut self.db, work);
        self.committed(done)
    }

    pub(super) fn import(&mut self, tree: &Tree) -> Result<ConversationId, StoreError> {
        let (path, token) = (self.path.clone(), self.lock.as_ref().map(|l| l.token.clone()));
        let by = apply::By { token: token.as_deref(), store: &path };
        self.change(|db| import::import(db, tree, &by))
    }

    pub(super) fn set_deleted(&mut self, ids: &[ConversationId], deleted: bool) -> Result<(), StoreError> {
        self.change(|db| ids.iter().try_for_each(|id| ledger::set_deleted(db, id, deleted)))
    }

    pub(super) fn set_head(&mut self, id: &ConversationId, message: &MessageId) -> Result<(), StoreError> {
        self.change(|db| heads::set(db, id, message))
    }

    pub(super) fn show_branch(&mut self, id: &ConversationId, message: &MessageId) -> Result<(), StoreError> {
        let (path, token) = (self.path.clone(), self.lock.as_ref().map(|l| l.token.clone()));
        let by = apply::By { token: token.as_deref(), store: &path };
        self.change(|db| heads::show(db, id, message, &by))
    }

    pub(super) fn save_draft(&mut self, owner: &super::DraftOf, text: &str) -> Result<(), StoreError> {
        self.change(|db| ledger::save_draft(db, owner, text))
    }

    pub(super) fn add_prompt(&mut self, text: &str) -> Result<(), StoreError> {
        self.change(|db| ledger::add_prompt(db, text))
    }

    /// Indexes the few newest messages, which were written a moment ago.
    pub(super) fn index_some(&mut self) -> Result<(), StoreError> {
        if self.mode == OpenMode::Read || !index::is_pending(&self.db)? {
            return Ok(());
        }
        self.change(index::glance)
    }

    pub(super) fn index_all(&mut self) -> Result<(), StoreError> {
        while self.mode == OpenMode::Write && index::is_pending(&self.db)? {
            self.change(index::step)?;
        }
        Ok(())
    }

    /// One step of what can wait: what was refused, the search index, what was erased, then a checkpoint. Errors are left to the next
    /// write to tell.
    fn tidy(&mut self) {
        if self.catch_up().is_err() {
            self.pause = AGAIN;
            return;
        }
        let indexing = index::is_pending(&self.db).and_then(|pending| {
            if pending {
                self.change(index::step).map(|()| true)
            } else {
                self.scrub().map(|s| s == erase::Scrub::More)
            }
        });
        match indexing {
            Ok(true) => self.pause = BETWEEN,
            Ok(false) | Err(_) => {
                self.checkpoint();
                self.untidy = false;
            }
        }
    }
}

/// A later text of the same answer replaces a waiting one, whose waiter is answered with it.
fn defer(texts: &mut VecDeque<Write>, write: Write) {
    let again: Vec<&MessageId> = write.texts().collect();
    texts.retain_mut(|waiting| {
        waiting.changes.retain(|c| match c {
            Change::AnswerText { message, .. } => !again.contains(&message),
            _ => true,
        });
        settled(waiting)
    });
    texts.push_back(write);
}

/// A whole message makes the waiting text of the same answer void.
fn supersede(texts: &mut VecDeque<Write>, write: &Write) {
    if texts.is_empty() {
        return;
    }
    let whole: Vec<&MessageId> = write.whole().chain(write.texts()).collect();
    texts.retain_mut(|waiting| {
        waiting.changes.retain(|c| match c {
            Change::AnswerText { message, .. } => !whole.contains(&message),
            _ => true,
        });
        settled(waiting)
    });
}

/// Whether anything of a waiting text is left to write; if not, its waiter is answered.
fn settled(waiting: &mut Write) -> bool {
    if !waiting.changes.is_empty() {
        return true;
    }
    let (void, _) = oneshot::channel();
    let _ = std::mem::replace(&mut waiting.reply, void).send(Ok(()));
    false
}

pub(super) type Question = Box<dyn FnOnce(Result<&Connection, StoreError>) + Send>;

/// The way to the reading thread.
#[derive(Clone)]
pub(super) struct Reader {
    queue: mpsc::Sender<Question>,
}

impl Reader {
    pub(super) fn start(path: &Path, mode: OpenMode) -> Result<Self, StoreError> {
        let (queue, questions) = mpsc::channel::<Question>();
        let at = path.to_path_buf();
        std::thread::Builder::new()
            .name("store-read".into())
            .spawn(move || read(&at, mode, &questions))
            .map_err(|e| StoreError::io(path, &e))?;
        Ok(Self { queue })
    }

    pub(super) fn ask(&self, question: Question) {
        let _ = self.queue.send(question);
    }
}

/// The connection is opened at the first question, so that a start pays for one only.
fn read(path: &Path, _mode: OpenMode, questions: &mpsc::Receiver<Question>) {
    let mut db: Option<Connection> = None;
    while let Ok(question) = questions.recv() {
        if db.is_none() {
            match schema::open_to_read(path) {
                Ok(opened) => db = Some(opened),
                Err(error) => {
                    question(Err(error));
                    continue;
                }
            }
        }
        if let Some(db) = &db {
            question(Ok(db));
        }
    }
}
