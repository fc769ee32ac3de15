//! A conversation from elsewhere becomes one of the store's: history, with nothing of it ever run.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::{StoreError, apply, ledger};
use crate::chat::{
    AnswerState, Body, CallId, Change, Compaction, ConversationId, Message, MessageId, Origin, OutcomeKind,
    ToolMessage, ToolOutcome, Tree, UnixMs,
};

/// Writes it in the caller's transaction; returns the id under which it stands. Ids that are taken, or are not such as
/// the program mints, are made anew.
///
/// # Errors
/// [`StoreError::Row`] where it is no valid history, or where the store cannot be written.
pub(super) fn import(db: &Connection, tree: &Tree, by: &apply::By<'_>) -> Result<ConversationId, StoreError> {
    let Ordered { messages, mut head } = valid(tree)?;
    let given = &tree.shown;
    let taken = taken(db, &given.summary.id, &messages)?;
    let id = if taken { ConversationId::new(id_of(given.summary.created)) } else { given.summary.id.clone() };
    let mut renamed: HashMap<MessageId, MessageId> = HashMap::new();
    let summary = &given.summary;
    apply::apply(
        db,
        &Change::Conversation {
            id: id.clone(),
            folder: summary.folder.clone(),
            model: summary.model.clone(),
            base_url: given.base_url.clone(),
            system: given.system.clone(),
            at: summary.created,
        },
        by,
    )?;
    for mut message in messages {
        if taken {
            let fresh = MessageId::new(new_id());
            renamed.insert(std::mem::replace(&mut message.id, fresh.clone()), fresh);
            message.parent = message.parent.and_then(|parent| renamed.get(&parent).cloned());
        }
        apply::apply(db, &Change::Message { conversation: id.clone(), message: Arc::new(message) }, by)?;
    }
    let mut extra = given.extra.clone();
    // What a file says to be the system prompt was asked with by nobody here.
    if let Some(extra) = extra.as_object_mut() {
        extra.remove("held_system");
    }
    if taken && !given.compactions().is_empty() {
        // Summaries go with the messages for which they stand.
        let named = |one: Compaction| Some(Compaction { upto: renamed.get(&one.upto)?.clone(), ..one });
        let all: Vec<Compaction> = given.compactions().into_iter().filter_map(named).collect();
        extra["compactions"] = serde_json::to_value(all)?;
    }
    if taken {
        head = head.and_then(|head| renamed.get(&head).cloned());
    }
    // The rest of its row: an explicit title only where the first message would not say the same.
    let first: String =
        db.query_row("SELECT first_line FROM conversation WHERE id = ?1", [id.as_str()], |r| r.get(0))?;
    let title = if first == summary.title { "" } else { summary.title.as_str() };
    let tokens = summary.tokens.map(apply::whole);
    db.execute(
        "UPDATE conversation SET title = ?2, titled = 0, updated = ?3, tokens = ?4, pinned = ?5, interrupted = ?6,
         extra = ?7, head = coalesce((SELECT no FROM message WHERE id = ?8), head), arrived = ?9 WHERE id = ?1",
        params![
            id.as_str(),
            title,
            summary.updated,
            tokens,
            summary.pinned,
            summary.interrupted,
            serde_json::to_string(&extra)?,
            head.as_ref().map(MessageId::as_str),
            ledger::now(),
        ],
    )?;
    Ok(id)
}

fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// An id that begins with the moment at which the conversation began, as those do that begin here.
fn id_of(created: UnixMs) -> String {
    let Ok(ms) = u64::try_from(created) else { return new_id() };
    if ms == 0 || ms >> 48 != 0 {
        return new_id();
    }
    let at = uuid::Timestamp::from_unix(uuid::NoContext, ms / 1000, (ms % 1000) as u32 * 1_000_000);
    uuid::Uuid::new_v7(at).to_string()
}

/// The conversations that came from other programs and are still there, by where they came from.
pub(super) fn imported(db: &Connection) -> Result<Vec<(Origin, ConversationId)>, StoreError> {
    let mut statement = db.prepare(
        "SELECT id, extra -> ?1 FROM conversation
         WHERE deleted IS NULL AND instr(extra, ?2) > 0 AND json_type(extra, ?1) = 'object'",
    )?;
    let mut rows = statement.query(params![format!("$.{}", Origin::KEY), Origin::KEY])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        if let Ok(origin) = serde_json::from_str(&row.get::<_, String>(1)?) {
            found.push((origin, ConversationId::new(row.get::<_, String>(0)?)));
        }
    }
    Ok(found)
}

/// Whether any of its ids is in use, by a deleted conversation too, or could not be typed.
fn taken(db: &Connection, id: &ConversationId, messages: &[Message]) -> Result<bool, StoreError> {
    let ours = |id: &str| {
        !id.is_empty() && id.len() <= 64 && id.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b'-' | b'.'))
    };
    let exists = |sql: &str, id: &str| db.prepare_cached(sql)?.query_row([id], |_| Ok(())).optional();
    if uuid::Uuid::parse_str(id.as_str()).is_err() || id.as_str().to_lowercase() != id.as_str() {
        return Ok(true);
    }
    if exists("SELECT 1 FROM conversation WHERE id = ?1", id.as_str())?.is_some() {
        return Ok(true);
    }
    for message in messages {
        if !ours(message.id.as_str()) || exists("SELECT 1 FROM message WHERE id = ?1", message.id.as_str())?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The messages in an order in which each stands behind the one that it hangs on: first those that are shown, as one
/// path, then the others. Every call of an answer has exactly one outcome on each way that leads on from it.
struct Ordered {
    messages: Vec<Message>,
    /// The last that is shown; None where there is none.
    head: Option<MessageId>,
}

fn valid(given: &Tree) -> Result<Ordered, StoreError> {
    let mut history = History::default();
    let mut before = None;
    for message in &given.shown.messages {
        let mut message = Message::clone(message);
        message.parent = before;
        before = Some(history.add(message)?);
    }
    let head = before.map(|last| history.settled(&last));
    for message in &given.aside {
        history.add(Message::clone(message))?;
    }
    let ends: Vec<MessageId> =
        history.open.iter().filter(|(_, open)| !open.is_empty()).map(|(id, _)| id.clone()).collect();
    for end in ends {
        if !history.continued.contains(&end) {
            history.settled(&end);
        }
    }
    Ok(Ordered { messages: history.messages, head })
}

/// What has been taken in so far.
#[derive(Default)]
struct History {
    messages: Vec<Message>,
    /// Of each message the calls that have no outcome yet on the way to it.
    open: HashMap<MessageId, Vec<CallId>>,
    /// Those that something hangs on.
    continued: HashSet<MessageId>,
    /// Behind which message those of the key found their end.
    settled: HashMap<MessageId, MessageId>,
    times: HashMap<MessageId, UnixMs>,
    calls: HashSet<CallId>,
    /// Open calls, over all messages.
    held: usize,
}

/// Open calls that are kept while a history is checked, over all messages: some 64 MB. An answer of 128 calls needs 8,256.
const MOST_OPEN: usize = 4_000_000;

impl History {
    /// Takes a message; returns its id.
    fn add(&mut self, mut message: Message) -> Result<MessageId, StoreError> {
        let bad = |why: &str| StoreError::Row(format!("the conversation is no valid history: {why}"));
        if self.open.contains_key(&message.id) {
            return Err(bad("two messages have one id"));
        }
        let mut open = match &message.parent {
            None => Vec::new(),
            Some(parent) => self.open.get(parent).cloned().ok_or_else(|| bad("a message hangs on none before it"))?,
        };
        match &mut message.body {
            Body::Tool(tool) => match open.iter().position(|call| *call == tool.call) {
                Some(at) => {
                    open.remove(at);
                }
                None => return Err(bad("an outcome belongs to no call before it")),
            },
            Body::User(_) => open.clear(),
            Body::Assistant(answer) => {
                open.clear();
                if answer.state == AnswerState::Partial {
                    // Nobody is writing it any more.
                    answer.state = AnswerState::Interrupted;
                }
                for call in &answer.calls {
                    if !serde_json::from_str::<serde_json::Value>(&call.arguments).is_ok_and(|v| v.is_object()) {
                        return Err(bad("the arguments of a call are no JSON object"));
                    }
                    if !self.calls.insert(call.id.clone()) {
                        return Err(bad("two calls have one id"));
                    }
                    open.push(call.id.clone());
                }
            }
        }
        self.held = self.held.saturating_add(open.len());
        if self.held > MOST_OPEN {
            return Err(bad("it has more calls side by side than can be followed"));
        }
        if !matches!(message.body, Body::Tool(_))
            && let Some(parent) = &message.parent
        {
            message.parent = Some(self.settled(&parent.clone()));
        }
        self.continued.extend(message.parent.clone());
        let id = message.id.clone();
        self.open.insert(id.clone(), open);
        self.times.insert(id.clone(), message.at);
        self.messages.push(message);
        Ok(id)
    }

    /// Gives each call that is open at a message an outcome; returns what follows hangs on.
    fn settled(&mut self, at: &MessageId) -> MessageId {
        if let Some(known) = self.settled.get(at) {
            return known.clone();
        }
        let mut last = at.clone();
        for call in self.open.get(at).cloned().unwrap_or_default() {
            let content = "Unknown: the file does not say how this call ended. It may have run.";
            let outcome = Arc::new(ToolOutcome::unsent(OutcomeKind::Unknown, content));
            let id = MessageId::new(new_id());
            self.continued.insert(last.clone());
            self.open.insert(id.clone(), Vec::new());
            self.messages.push(Message {
                id: id.clone(),
                parent: Some(std::mem::replace(&mut last, id)),
                at: self.times.get(at).copied().unwrap_or_default(),
                body: Body::Tool(ToolMessage { call, outcome }),
            });
        }
        self.settled.insert(at.clone(), last.clone());
        last
    }
}
