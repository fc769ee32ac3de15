//! Rows of calls, and of what became of them.
//!
//! # Invariants
//! - A call is known by its id within its conversation, and counted there once.
//! - The whole of a result stays once it was there.

use rusqlite::{Connection, OptionalExtension, params};

use super::apply::By;
use super::{StoreError, rows};
use crate::chat::{CallId, MessageId, OutcomeKind, ToolCall, ToolOutcome, ToolRef};

pub(super) fn find(db: &Connection, turn: &MessageId, call: &CallId, by: &By<'_>) -> Result<i64, StoreError> {
    let (no, conversation) = db
        .prepare_cached(
            "SELECT k.no, k.conversation FROM turn t JOIN call k ON k.conversation = t.conversation AND k.id = ?2
             WHERE t.id = ?1",
        )?
        .query_row(params![turn.as_str(), call.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?
        .ok_or_else(|| StoreError::Missing { what: "call", id: call.as_str().into() })?;
    by.may_write(db, conversation)?;
    Ok(no)
}

pub(super) fn put_of_answer(db: &Connection, conversation: i64, call: &ToolCall) -> Result<(), StoreError> {
    let arguments = Some(call.arguments.as_ref());
    put(db, conversation, &call.id, call.index, &call.wire_name, call.tool.as_ref(), arguments).map(drop)
}

pub(super) fn put(
    db: &Connection,
    conversation: i64,
    id: &CallId,
    index: u32,
    wire_name: &str,
    tool: Option<&ToolRef>,
    arguments: Option<&str>,
) -> Result<i64, StoreError> {
    let (server, name) = (tool.map(|t| t.server.as_str()), tool.map(|t| t.tool.as_ref()));
    let known: Option<i64> = db
        .prepare_cached("SELECT no FROM call WHERE conversation = ?1 AND id = ?2")?
        .query_row(params![conversation, id.as_str()], |row| row.get(0))
        .optional()?;
    if let Some(no) = known {
        db.prepare_cached(
            "UPDATE call SET idx = ?2, wire_name = ?3, server = ?4, tool = ?5, arguments = coalesce(?6, arguments)
             WHERE no = ?1",
        )?
        .execute(params![no, index, wire_name, server, name, arguments])?;
        return Ok(no);
    }
    db.prepare_cached(
        "INSERT INTO call (conversation, id, idx, wire_name, server, tool, arguments)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![conversation, id.as_str(), index, wire_name, server, name, arguments])?;
    let no = db.last_insert_rowid();
    db.prepare_cached("UPDATE conversation SET calls = calls + 1 WHERE no = ?1")?.execute([conversation])?;
    Ok(no)
}

/// The outcome that a tool's message tells.
pub(super) fn put_told(
    db: &Connection,
    conversation: i64,
    call: &CallId,
    outcome: &ToolOutcome,
) -> Result<i64, StoreError> {
    let known: Option<i64> = db
        .prepare_cached("SELECT no FROM call WHERE conversation = ?1 AND id = ?2")?
        .query_row(params![conversation, call.as_str()], |row| row.get(0))
        .optional()?;
    let no = match known {
        Some(no) => no,
        None => put(db, conversation, call, 0, "", None, None)?,
    };
    put_outcome(db, no, outcome)?;
    Ok(no)
}

pub(super) fn put_outcome(db: &Connection, call: i64, outcome: &ToolOutcome) -> Result<(), StoreError> {
    let before: Option<String> =
        db.prepare_cached("SELECT kind FROM call WHERE no = ?1")?.query_row([call], |row| row.get(0))?;
    db.prepare_cached("UPDATE call SET kind = ?2, content = ?3, outcome = ?4 WHERE no = ?1")?.execute(params![
        call,
        outcome.kind.word(),
        outcome.content,
        rows::outcome_rest(outcome)?
    ])?;
    // An outcome read back without its whole text does not take it from the store.
    if let Some(full) = &outcome.full {
        db.prepare_cached(
            "INSERT INTO result (call, full) VALUES (?1, squeezed(?2)) ON CONFLICT DO UPDATE SET full = excluded.full",
        )?
        .execute(params![call, full])?;
    }
    let failed = |kind: Option<OutcomeKind>| i64::from(kind.is_some_and(rows::is_failure));
    let step = failed(Some(outcome.kind)) - failed(before.as_deref().and_then(OutcomeKind::from_word));
    if step != 0 {
        db.prepare_cached(
            "UPDATE conversation SET failed_calls = failed_calls + ?2
             WHERE no = (SELECT conversation FROM call WHERE no = ?1)",
        )?
        .execute(params![call, step])?;
    }
    Ok(())
}
