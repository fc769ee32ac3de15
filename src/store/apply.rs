//! Changes to rows. Runs inside a transaction; an error leaves nothing behind.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{StoreError, calls, claim, heads, ledger, rows};
use crate::chat::{Answer, AnswerState, Aside, Body, Change, Compaction, ConversationId, Message, MessageId, UnixMs};

/// Longest title that is made of a first message, in characters.
const FIRST_LINE: usize = 200;

/// Who writes: a conversation that another living process holds refuses it.
pub(super) struct By<'a> {
    /// Names this process, once it has a name.
    pub(super) token: Option<&'a str>,
    pub(super) store: &'a Path,
}

impl By<'_> {
    pub(super) fn may_write(&self, db: &Connection, conversation: i64) -> Result<(), StoreError> {
        claim::admit(db, self.store, conversation, self.token)
    }
}

pub(super) fn apply(db: &Connection, change: &Change, by: &By<'_>) -> Result<(), StoreError> {
    match change {
        Change::Conversation { id, folder, model, base_url, system, at } => {
            db.prepare_cached(
                "INSERT INTO conversation (id, folder, model, base_url, system, created, updated, touched)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, (SELECT coalesce(max(touched), 0) + 1 FROM conversation))
                 ON CONFLICT (id) DO UPDATE SET model = excluded.model, base_url = excluded.base_url,
                 system = excluded.system",
            )?
            .execute(params![id.as_str(), folder, model, base_url, system, at])?;
            hold_system(db, conversation_no(db, id)?)?;
        }
        Change::ConversationModel { id, model, base_url } => {
            db.prepare_cached(
                "UPDATE conversation SET model = ?2, base_url = ?3 WHERE id = ?1 AND (model, base_url) <> (?2, ?3)",
            )?
            .execute(params![id.as_str(), model, base_url])?;
        }
        Change::Message { conversation, message } => put_message(db, conversation, message, by)?,
        Change::AnswerText { message, answer } => put_text(db, message, answer, by)?,
        Change::TurnStarted { conversation, turn, at } => start_turn(db, conversation, turn, *at, by)?,
        Change::RoundArmed { turn, round, answer, parent, tools, tools_hash } => {
            let turn = Turn::find(db, turn, by)?;
            // What could not be saved is no parent: then the newest that was.
            let parent = match parent {
                Some(id) => message_no(db, turn.conversation, id)?,
                None => None,
            };
            db.prepare_cached(
                "INSERT INTO round (turn, round, answer, parent, tools, tools_hash)
                 VALUES (?1, ?2, ?3, coalesce(?7, (SELECT head FROM conversation WHERE no = ?4)), ?5, ?6)
                 ON CONFLICT (turn, round) DO UPDATE SET answer = excluded.answer, parent = excluded.parent,
                 tools = excluded.tools, tools_hash = excluded.tools_hash",
            )?
            .execute(params![
                turn.no,
                round,
                answer.as_str(),
                turn.conversation,
                tools,
                tools_hash,
                parent
            ])?;
        }
        Change::RoundTimes { turn, times, usage, finish } => {
            let turn = Turn::find(db, turn, by)?;
            db.prepare_cached(
                "INSERT INTO round (turn, round, answer, times, usage, finish) VALUES (?1, ?2, '', ?3, ?4, ?5)
                 ON CONFLICT (turn, round) DO UPDATE SET times = excluded.times, usage = excluded.usage,
                 finish = excluded.finish",
            )?
            .execute(params![
                turn.no,
                times.round,
                serde_json::to_string(times)?,
                serde_json::to_string(usage)?,
                finish
            ])?;
            if usage.input.is_some() || usage.output.is_some() {
                let tokens = usage.input.unwrap_or(0).saturating_add(usage.output.unwrap_or(0));
                db.prepare_cached("UPDATE conversation SET tokens = ?2 WHERE no = ?1")?
                    .execute(params![turn.conversation, whole(tokens)])?;
            }
        }
        Change::CallOpened { turn, round, call, index, wire_name, tool, at_us } => {
            let turn = Turn::find(db, turn, by)?;
            let no = calls::put(db, turn.conversation, call, *index, wire_name, tool.as_ref(), None)?;
            db.prepare_cached("UPDATE call SET turn = ?2, round = ?3, opened = ?4 WHERE no = ?1")?.execute(params![
                no,
                turn.no,
                round,
                whole(*at_us)
            ])?;
        }
        Change::CallClosed { turn, call, arguments, closed_by, at_us } => {
            let no = calls::find(db, turn, call, by)?;
            db.prepare_cached("UPDATE call SET arguments = ?2, closed_by = ?3, closed = ?4 WHERE no = ?1")?
                .execute(params![no, arguments.as_ref(), closed_by.word(), whole(*at_us)])?;
        }
        Change::CallAsked { turn, call, at_us } => {
            let no = calls::find(db, turn, call, by)?;
            db.prepare_cached("UPDATE call SET asked = ?2 WHERE no = ?1")?.execute(params![no, whole(*at_us)])?;
        }
        Change::CallApproved { turn, call, at_us } => {
            let no = calls::find(db, turn, call, by)?;
            db.prepare_cached("UPDATE call SET approved = ?2 WHERE no = ?1")?.execute(params![no, whole(*at_us)])?;
        }
        Change::CallSent { turn, call, at_us } => {
            let no = calls::find(db, turn, call, by)?;
            db.prepare_cached("UPDATE call SET sent = ?2 WHERE no = ?1")?.execute(params![no, whole(*at_us)])?;
        }
        Change::CallEnded { turn, call, outcome, at_us } => {
            let no = calls::find(db, turn, call, by)?;
            calls::put_outcome(db, no, outcome)?;
            db.prepare_cached("UPDATE call SET answered = ?2 WHERE no = ?1")?.execute(params![no, whole(*at_us)])?;
        }
        Change::TurnEnded { turn, status, fault, at_us } => {
            let turn = Turn::find(db, turn, by)?;
            let fault = fault.as_deref().map(serde_json::to_string).transpose()?;
            db.prepare_cached("UPDATE turn SET ended = ?2, status = ?3, fault = ?4 WHERE no = ?1")?
                .execute(params![turn.no, whole(*at_us), status, fault])?;
        }
        Change::Title { conversation, title } => {
            let no = conversation_no(db, conversation)?;
            db.prepare_cached(
                "UPDATE conversation SET title = ?2, titled = 0, extra = json_set(extra, '$.named', json('true'))
                 WHERE no = ?1",
            )?
            .execute(params![no, title])?;
        }
        Change::System { conversation, system } => {
            let no = conversation_no(db, conversation)?;
            db.prepare_cached("UPDATE conversation SET system = ?2 WHERE no = ?1")?.execute(params![no, system])?;
            hold_system(db, no)?;
        }
        Change::Titled { conversation, title } => {
            db.prepare_cached(
                "UPDATE conversation SET title = ?2, titled = 0
                 WHERE id = ?1 AND title = '' AND extra -> '$.named' IS NULL",
            )?
            .execute(params![conversation.as_str(), title])?;
        }
        Change::Aside { conversation, aside } => match conversation_no(db, conversation) {
            Ok(no) => kept_list(db, no, "asides", |all| Aside::clone(aside).put(all))?,
            Err(StoreError::Missing { .. }) => {}
            Err(error) => return Err(error),
        },
        Change::Toolset { conversation, toolset } => {
            let no = conversation_no(db, conversation)?;
            db.prepare_cached("UPDATE conversation SET extra = json_set(extra, '$.toolset', json(?2)) WHERE no = ?1")?
                .execute(params![no, serde_json::to_string(toolset)?])?;
        }
        Change::Role { conversation, role } => {
            let no = conversation_no(db, conversation)?;
            db.prepare_cached("UPDATE conversation SET extra = json_set(extra, '$.role', ?2) WHERE no = ?1")?
                .execute(params![no, role])?;
        }
        Change::Compacted { conversation, compaction } => {
            compactions(db, conversation, by, |all| Compaction::clone(compaction).put(all))?;
        }
        Change::SummaryText { conversation, upto, text } => compactions(db, conversation, by, |all| {
            all.iter_mut().filter(|one| one.upto == *upto).for_each(|one| one.rewrite(text));
        })?,
        Change::Uncompacted { conversation, upto } => compactions(db, conversation, by, |all| {
            all.iter_mut().filter(|one| one.upto == *upto).for_each(|one| one.undone = true);
        })?,
        Change::Pinned { conversation, pinned } => {
            let no = conversation_no(db, conversation)?;
            db.prepare_cached(
                "UPDATE conversation SET arrived = CASE WHEN pinned > ?2 THEN ?3 ELSE arrived END, pinned = ?2 WHERE no = ?1",
            )?
            .execute(params![no, pinned, ledger::now()])?;
        }
        Change::Pin(pin) => ledger::put_pin(db, pin)?,
        Change::Grant(grant) => ledger::put_grant(db, grant)?,
        Change::Revoke { entry, tool } => ledger::revoke(db, entry, tool)?,
        Change::Learnt { base_url, model, key, value } => ledger::put_learnt(db, base_url, model, key, value)?,
    }
    Ok(())
}

/// The system prompt is one with which a turn was asked here: one that came with a file is shown, and never sent by itself.
fn hold_system(db: &Connection, conversation: i64) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE conversation SET extra = json_set(extra, '$.held_system', json('true'))
         WHERE no = ?1 AND coalesce(system, '') <> ''",
    )?
    .execute([conversation])?;
    Ok(())
}

/// Changes the summaries that are kept with a conversation.
fn compactions(
    db: &Connection,
    conversation: &ConversationId,
    by: &By<'_>,
    change: impl FnOnce(&mut Vec<Compaction>),
) -> Result<(), StoreError> {
    let no = conversation_no(db, conversation)?;
    by.may_write(db, no)?;
    kept_list(db, no, "compactions", change)
}

/// Changes a list that is kept with a conversation.
fn kept_list<T: Serialize + DeserializeOwned>(
    db: &Connection,
    conversation: i64,
    name: &str,
    change: impl FnOnce(&mut Vec<T>),
) -> Result<(), StoreError> {
    let kept: Option<String> = db
        .prepare_cached("SELECT extra -> ('$.' || ?2) FROM conversation WHERE no = ?1")?
        .query_row(params![conversation, name], |row| row.get(0))?;
    // What a later version wrote in another form is not lost by one of ours: then this fails.
    let mut all = kept.as_deref().map(serde_json::from_str).transpose()?.unwrap_or_default();
    change(&mut all);
    db.prepare_cached("UPDATE conversation SET extra = json_set(extra, '$.' || ?2, json(?3)) WHERE no = ?1")?
        .execute(params![conversation, name, serde_json::to_string(&all)?])?;
    Ok(())
}

/// SQLite's integers are signed; no time or size of ours comes near.
pub(super) fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn conversation_no(db: &Connection, id: &ConversationId) -> Result<i64, StoreError> {
    db.prepare_cached("SELECT no FROM conversation WHERE id = ?1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?
        .ok_or_else(|| StoreError::Missing { what: "conversation", id: id.as_str().into() })
}

pub(super) fn message_no(db: &Connection, conversation: i64, id: &MessageId) -> Result<Option<i64>, StoreError> {
    Ok(db
        .prepare_cached("SELECT no FROM message WHERE id = ?1 AND conversation = ?2")?
        .query_row(params![id.as_str(), conversation], |row| row.get(0))
        .optional()?)
}

struct Turn {
    no: i64,
    conversation: i64,
}

impl Turn {
    fn find(db: &Connection, id: &MessageId, by: &By<'_>) -> Result<Self, StoreError> {
        let turn = db
            .prepare_cached("SELECT no, conversation FROM turn WHERE id = ?1")?
            .query_row([id.as_str()], |row| Ok(Self { no: row.get(0)?, conversation: row.get(1)? }))
            .optional()?
            .ok_or_else(|| StoreError::Missing { what: "turn", id: id.as_str().into() })?;
        by.may_write(db, turn.conversation)?;
        Ok(turn)
    }
}

fn start_turn(
    db: &Connection,
    conversation: &ConversationId,
    turn: &MessageId,
    at: UnixMs,
    by: &By<'_>,
) -> Result<(), StoreError> {
    let conversation = conversation_no(db, conversation)?;
    by.may_write(db, conversation)?;
    // The same message asked again: its former rounds make way, its former calls stay as past calls.
    if let Some(no) = db
        .prepare_cached("SELECT no FROM turn WHERE id = ?1")?
        .query_row([turn.as_str()], |row| row.get::<_, i64>(0))
        .optional()?
    {
        db.execute("DELETE FROM round WHERE turn = ?1", [no])?;
        db.execute("UPDATE call SET turn = NULL WHERE turn = ?1", [no])?;
        db.execute("DELETE FROM turn WHERE no = ?1", [no])?;
    }
    db.prepare_cached("INSERT INTO turn (id, conversation, process, started) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![turn.as_str(), conversation, by.token.unwrap_or_default(), at])?;
    touch(db, conversation, at)
}

fn touch(db: &Connection, conversation: i64, at: UnixMs) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE conversation SET updated = max(updated, ?2),
         touched = (SELECT max(touched) + 1 FROM conversation) WHERE no = ?1",
    )?
    .execute(params![conversation, at])?;
    Ok(())
}

fn put_message(
    db: &Connection,
    conversation: &ConversationId,
    message: &Message,
    by: &By<'_>,
) -> Result<(), StoreError> {
    let conversation = conversation_no(db, conversation)?;
    by.may_write(db, conversation)?;
    let parent = match &message.parent {
        None => None,
        Some(id) => match message_no(db, conversation, id)? {
            Some(no) => Some(no),
            // What stood between was not saved (a full disk, for a while): better hung on the head than lost.
            None => heads::of(db, conversation)?,
        },
    };
    let known = message_no(db, conversation, &message.id)?;
    let call = match &message.body {
        Body::Tool(tool) => Some(calls::put_told(db, conversation, &tool.call, &tool.outcome)?),
        Body::User(_) | Body::Assistant(_) => None,
    };
    let columns = rows::columns(&message.body)?;
    let partial = matches!(&message.body, Body::Assistant(a) if a.state == AnswerState::Partial);
    let no = match known {
        Some(no) => {
            let parent = parent.filter(|p| *p != no);
            db.prepare_cached(
                "UPDATE message SET parent = ?2, at = ?3, role = ?4, text = ?5, body = ?6, call = ?7, partial = ?8,
                 indexed = ?8 WHERE no = ?1",
            )?
            .execute(params![
                no,
                parent,
                message.at,
                columns.role,
                columns.text,
                columns.body,
                call,
                partial
            ])?;
            no
        }
        None => {
            let row = Row { id: &message.id, conversation, parent, at: message.at, call, partial };
            insert(db, &row, &columns)?
        }
    };
    match &message.body {
        Body::User(_) => {
            db.prepare_cached("UPDATE conversation SET interrupted = 0 WHERE no = ?1")?.execute([conversation])?;
            name_after(db, conversation, &columns.text)?;
        }
        Body::Assistant(answer) => {
            for call in &answer.calls {
                calls::put_of_answer(db, conversation, call)?;
            }
            db.prepare_cached("UPDATE conversation SET interrupted = ?2 WHERE no = ?1")?
                .execute(params![conversation, answer.state == AnswerState::Interrupted])?;
        }
        Body::Tool(_) => {}
    }
    // A message that comes again, whole, while others stand on it does not take the head back from them.
    let has_children: bool = known.is_some()
        && db
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM message WHERE parent = ?1)")?
            .query_row([no], |row| row.get(0))?;
    if !has_children {
        heads::shift(db, conversation, no)?;
    }
    touch(db, conversation, message.at)
}

pub(super) struct Row<'a> {
    pub(super) id: &'a MessageId,
    pub(super) conversation: i64,
    pub(super) parent: Option<i64>,
    pub(super) at: UnixMs,
    pub(super) call: Option<i64>,
    pub(super) partial: bool,
}

/// Adds a message that is new. A partial one is indexed when it is whole.
pub(super) fn insert(db: &Connection, row: &Row<'_>, columns: &rows::Columns) -> Result<i64, StoreError> {
    db.prepare_cached(
        "INSERT INTO message (id, conversation, parent, at, role, text, body, call, partial, indexed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)",
    )?
    .execute(params![
        row.id.as_str(),
        row.conversation,
        row.parent,
        row.at,
        columns.role,
        columns.text,
        columns.body,
        row.call,
        row.partial
    ])?;
    let no = db.last_insert_rowid();
    if columns.role != "tool" {
        db.prepare_cached("UPDATE conversation SET messages = messages + 1 WHERE no = ?1")?
            .execute([row.conversation])?;
    }
    Ok(no)
}

fn name_after(db: &Connection, conversation: i64, text: &str) -> Result<(), StoreError> {
    let line = text.lines().map(str::trim).find(|l| !l.is_empty()).unwrap_or_default();
    let line: String = line.chars().take(FIRST_LINE).collect();
    db.prepare_cached("UPDATE conversation SET first_line = ?2, titled = 0 WHERE no = ?1 AND first_line = ''")?
        .execute(params![conversation, line])?;
    Ok(())
}

/// Text of an answer that is still being written. Its row is made at the first text, below what its round answers.
fn put_text(db: &Connection, message: &MessageId, answer: &Answer, by: &By<'_>) -> Result<(), StoreError> {
    let known: Option<(i64, i64)> = db
        .prepare_cached("SELECT no, conversation FROM message WHERE id = ?1")?
        .query_row([message.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let body = rows::answer_body(answer)?;
    if let Some((no, conversation)) = known {
        by.may_write(db, conversation)?;
        let partial = answer.state == AnswerState::Partial;
        db.prepare_cached("UPDATE message SET text = ?2, body = ?3, partial = ?4, indexed = ?4 WHERE no = ?1")?
            .execute(params![no, answer.text, body, partial])?;
        return Ok(());
    }
    let (conversation, parent): (i64, Option<i64>) = db
        .prepare_cached(
            "SELECT t.conversation, r.parent FROM round r JOIN turn t ON t.no = r.turn WHERE r.answer = ?1
             ORDER BY t.no DESC LIMIT 1",
        )?
        .query_row([message.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?
        .ok_or_else(|| StoreError::Missing { what: "round of answer", id: message.as_str().into() })?;
    by.may_write(db, conversation)?;
    let at = ledger::now();
    let row = Row { id: message, conversation, parent, at, call: None, partial: true };
    let no = insert(db, &row, &rows::Columns { role: "assistant", text: answer.text.clone(), body })?;
    // What is being answered is what is shown, also where another answer to the same message stands.
    heads::shift(db, conversation, no)
}
