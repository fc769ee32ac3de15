//! A conversation from elsewhere becomes one of the store's: history, with nothing of it ever run.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::{StoreError, apply};
use crate::chat::{
    AnswerState, Body, CallId, Change, Conversation, ConversationId, Message, MessageId, OutcomeKind, ToolMessage,
    ToolOutcome,
};

/// Writes it in the caller's transaction; returns the id under which it stands. Ids that are taken, or are not such as
/// the program mints, are made anew.
///
/// # Errors
/// [`StoreError::Row`] where it is no valid history, or where the store cannot be written.
pub(super) fn import(db: &Connection, given: &Conversation, by: &apply::By<'_>) -> Result<ConversationId, StoreError> {
    let messages = valid(given)?;
    let taken = taken(db, &given.summary.id, &messages)?;
    let id = if taken { ConversationId::new(new_id()) } else { given.summary.id.clone() };
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
    // The rest of its row: an explicit title only where the first message would not say the same.
    let first: String =
        db.query_row("SELECT first_line FROM conversation WHERE id = ?1", [id.as_str()], |r| r.get(0))?;
    let title = if first == summary.title { "" } else { summary.title.as_str() };
    let tokens = summary.tokens.map(apply::whole);
    db.execute(
        "UPDATE conversation SET title = ?2, titled = 0, updated = ?3, tokens = ?4, pinned = ?5, interrupted = ?6,
         extra = ?7 WHERE id = ?1",
        params![
            id.as_str(),
            title,
            summary.updated,
            tokens,
            summary.pinned,
            summary.interrupted,
            serde_json::to_string(&given.extra)?
        ],
    )?;
    Ok(id)
}

fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
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

/// The messages as one path: each on the one before it, and every call with exactly one outcome.
fn valid(given: &Conversation) -> Result<Vec<Message>, StoreError> {
    let bad = |why: &str| StoreError::Row(format!("the conversation is no valid history: {why}"));
    let mut out: Vec<Message> = Vec::new();
    let mut ids: HashSet<MessageId> = HashSet::new();
    let mut calls: HashSet<CallId> = HashSet::new();
    let mut open: Vec<CallId> = Vec::new();
    let close = |out: &mut Vec<Message>, open: &mut Vec<CallId>| {
        for call in open.drain(..) {
            let content = "Unknown: the file does not say how this call ended. It may have run.";
            let outcome = Arc::new(ToolOutcome::unsent(OutcomeKind::Unknown, content));
            push(
                out,
                Message {
                    id: MessageId::new(new_id()),
                    parent: None,
                    at: out.last().map_or(0, |m| m.at),
                    body: Body::Tool(ToolMessage { call, outcome }),
                },
            );
        }
    };
    for message in &given.messages {
        let mut message = Message::clone(message);
        if !ids.insert(message.id.clone()) {
            return Err(bad("two messages have one id"));
        }
        match &mut message.body {
            Body::Tool(tool) => match open.iter().position(|call| *call == tool.call) {
                Some(at) => {
                    open.remove(at);
                }
                None => return Err(bad("an outcome belongs to no call before it")),
            },
            Body::User(_) => close(&mut out, &mut open),
            Body::Assistant(answer) => {
                close(&mut out, &mut open);
                if answer.state == AnswerState::Partial {
                    // Nobody is writing it any more.
                    answer.state = AnswerState::Interrupted;
                }
                for call in &answer.calls {
                    if !serde_json::from_str::<serde_json::Value>(&call.arguments).is_ok_and(|v| v.is_object()) {
                        return Err(bad("the arguments of a call are no JSON object"));
                    }
                    if !calls.insert(call.id.clone()) {
                        return Err(bad("two calls have one id"));
                    }
                    open.push(call.id.clone());
                }
            }
        }
        push(&mut out, message);
    }
    close(&mut out, &mut open);
    Ok(out)
}

fn push(out: &mut Vec<Message>, mut message: Message) {
    message.parent = out.last().map(|m| m.id.clone());
    out.push(message);
}
