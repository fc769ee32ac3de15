//! A turn as it stands in the store, for who follows it from another process.
//!
//! # Does not
//! Say what is new since the last look: whoever follows compares.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{StoreError, claim, rows};
use crate::chat::{Answer, CallId, ClosedBy, ConversationId, Fault, MessageId, ToolOutcome, ToolRef, Usage};

/// A turn as far as it is written down.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    pub turn: MessageId,
    pub model: String,
    pub base_url: String,
    /// `ok`, `failed`, `cancelled`, `limit`, `interrupted`; None while it runs.
    pub status: Option<String>,
    /// Why it did not end well.
    pub fault: Option<Fault>,
    /// Who runs it; None where it has ended, or its process is gone.
    pub runner: Option<Runner>,
    pub rounds: Vec<WatchedRound>,
    /// By round and index.
    pub calls: Vec<WatchedCall>,
}

/// A living process that runs a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runner {
    pub pid: u32,
    /// The process of this id, here and now, is surely the one: only then may it be sent a signal.
    pub proved: bool,
    /// It runs this turn and nothing else.
    pub single: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct WatchedRound {
    pub round: u32,
    pub tools: u32,
    pub tools_hash: String,
    /// What has been answered so far; None: nothing yet.
    pub answer: Option<Answer>,
    /// Set once its stream has ended.
    pub usage: Option<Usage>,
    pub finish: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct WatchedCall {
    pub call: CallId,
    pub round: u32,
    pub index: u32,
    pub wire_name: String,
    pub tool: Option<ToolRef>,
    /// Once they closed, and by what.
    pub closed: Option<(Arc<str>, ClosedBy)>,
    pub sent: bool,
    pub outcome: Option<Arc<ToolOutcome>>,
}

pub(super) fn watch(
    db: &Connection,
    store: &Path,
    id: &ConversationId,
    turn: Option<&MessageId>,
) -> Result<Option<Watched>, StoreError> {
    let found = look(db, store, id, turn)?;
    match &found {
        // Its process ended between the two questions: what it wrote last is there by now.
        Some(watched) if watched.status.is_none() && watched.runner.is_none() => look(db, store, id, turn),
        Some(_) | None => Ok(found),
    }
}

fn look(
    db: &Connection,
    store: &Path,
    id: &ConversationId,
    turn: Option<&MessageId>,
) -> Result<Option<Watched>, StoreError> {
    // One moment for all that is read here: what is written meanwhile comes with the next look.
    let tx = db.unchecked_transaction()?;
    let found = tx
        .prepare_cached(
            "SELECT t.no, t.id, c.model, c.base_url, t.status, t.fault, t.process, p.pid, p.single
             FROM conversation c JOIN turn t ON t.conversation = c.no LEFT JOIN process p ON p.token = t.process
             WHERE c.id = ?1 AND (?2 IS NULL OR t.id = ?2) ORDER BY t.no DESC LIMIT 1",
        )?
        .query_row(params![id.as_str(), turn.map(MessageId::as_str)], |row| {
            let watched = Watched {
                turn: MessageId::new(row.get::<_, String>(1)?),
                model: row.get(2)?,
                base_url: row.get(3)?,
                status: row.get(4)?,
                fault: row.get::<_, Option<String>>(5)?.and_then(|json| serde_json::from_str(&json).ok()),
                runner: None,
                rounds: Vec::new(),
                calls: Vec::new(),
            };
            let process = (row.get::<_, String>(6)?, row.get::<_, Option<u32>>(7)?, row.get::<_, Option<bool>>(8)?);
            Ok((row.get::<_, i64>(0)?, watched, process))
        })
        .optional()?;
    let Some((no, mut watched, (token, pid, single))) = found else { return Ok(None) };
    if watched.status.is_none() && claim::lives(store, &token) {
        let proved = |pid| claim::is_process(store, &token, pid);
        watched.runner = pid.map(|pid| Runner { pid, proved: proved(pid), single: single.unwrap_or_default() });
    }
    watched.rounds = rounds(&tx, no)?;
    watched.calls = calls(&tx, no)?;
    Ok(Some(watched))
}

fn rounds(db: &Connection, turn: i64) -> Result<Vec<WatchedRound>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT r.round, r.tools, r.tools_hash, r.usage, r.finish, m.text, m.body
         FROM round r LEFT JOIN message m ON m.id = r.answer WHERE r.turn = ?1 ORDER BY r.round",
    )?;
    let mut found = statement.query([turn])?;
    let mut rounds = Vec::new();
    while let Some(row) = found.next()? {
        let answer = match (row.get::<_, Option<String>>(5)?, row.get::<_, Option<String>>(6)?) {
            (Some(text), Some(body)) => Some(rows::answer(text, &body)?),
            _ => None,
        };
        let usage: Option<String> = row.get(3)?;
        rounds.push(WatchedRound {
            round: row.get(0)?,
            tools: row.get::<_, Option<u32>>(1)?.unwrap_or_default(),
            tools_hash: row.get::<_, Option<String>>(2)?.unwrap_or_default(),
            answer,
            usage: usage.as_deref().map(serde_json::from_str).transpose()?,
            finish: row.get(4)?,
        });
    }
    Ok(rounds)
}

fn calls(db: &Connection, turn: i64) -> Result<Vec<WatchedCall>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT id, round, idx, wire_name, server, tool, arguments, closed_by, sent, kind, content, outcome
         FROM call WHERE turn = ?1 ORDER BY round, idx, no",
    )?;
    let mut found = statement.query([turn])?;
    let mut calls = Vec::new();
    while let Some(row) = found.next()? {
        let tool = match (row.get::<_, Option<String>>(4)?, row.get::<_, Option<String>>(5)?) {
            (Some(server), Some(tool)) => Some(ToolRef::new(server, tool)),
            _ => None,
        };
        calls.push(WatchedCall {
            call: CallId::new(row.get::<_, String>(0)?),
            round: row.get::<_, Option<u32>>(1)?.unwrap_or_default(),
            index: row.get(2)?,
            wire_name: row.get(3)?,
            tool,
            closed: closed(row)?,
            sent: row.get::<_, Option<i64>>(8)?.is_some(),
            outcome: outcome(row)?.map(Arc::new),
        });
    }
    Ok(calls)
}

/// A call that never became valid has arguments in its answer, but was never closed.
fn closed(row: &Row<'_>) -> Result<Option<(Arc<str>, ClosedBy)>, StoreError> {
    let by = row.get::<_, Option<String>>(7)?.as_deref().and_then(ClosedBy::from_word);
    let arguments: Option<String> = row.get(6)?;
    Ok(arguments.map(Arc::from).zip(by))
}

fn outcome(row: &Row<'_>) -> Result<Option<ToolOutcome>, StoreError> {
    Ok(match (row.get::<_, Option<String>>(9)?, row.get::<_, Option<String>>(11)?) {
        (Some(kind), Some(rest)) => {
            let content = row.get::<_, Option<String>>(10)?.unwrap_or_default();
            Some(rows::outcome(&kind, content, &rest, None)?)
        }
        _ => None,
    })
}
