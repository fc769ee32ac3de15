//! What was measured and counted: turns, past calls, tokens.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::recover::origin;
use super::{StoreError, rows};
use crate::chat::{
    CallId, CallTimes, ClosedBy, ConversationId, OutcomeKind, PastCall, RoundTimes, RoundUsage, StoredTurn, ToolRef,
    TurnTimes, Usage,
};

/// Longest detail of a call, in characters.
const DETAIL: usize = 200;
/// Arguments that tell most, in this order.
const TELLING: [&str; 12] =
    ["path", "file", "filename", "command", "cmd", "url", "uri", "query", "pattern", "name", "text", "message"];

/// A turn by its number from 1; None: the last.
pub(super) fn timeline(
    db: &Connection,
    id: &ConversationId,
    number: Option<u32>,
) -> Result<Option<StoredTurn>, StoreError> {
    let turns: Vec<(i64, i64, Option<i64>, Option<String>)> = db
        .prepare_cached(
            "SELECT t.no, t.started, t.ended, t.status FROM turn t JOIN conversation c ON c.no = t.conversation
             WHERE c.id = ?1 ORDER BY t.no",
        )?
        .query_map([id.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<Result<_, _>>()?;
    let of = u32::try_from(turns.len()).unwrap_or(u32::MAX);
    let number = number.unwrap_or(of);
    let Some((turn, started, ended, status)) = number.checked_sub(1).and_then(|at| turns.into_iter().nth(at as usize))
    else {
        return Ok(None);
    };
    let rounds: Vec<Option<String>> = db
        .prepare_cached("SELECT times FROM round WHERE turn = ?1 ORDER BY round")?
        .query_map([turn], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let rounds = rounds
        .into_iter()
        .flatten()
        .map(|json| Ok(serde_json::from_str::<RoundTimes>(&json)?))
        .collect::<Result<Vec<_>, StoreError>>()?;
    let (model, base_url): (String, String) =
        db.query_row("SELECT model, base_url FROM conversation WHERE id = ?1", [id.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    // The model of this turn, where an answer of it stands; the conversation may have gone on with another, elsewhere.
    let answered: Option<(Option<String>, Option<String>)> = db
        .query_row(
            "SELECT m.body ->> '$.model', m.body ->> '$.origin'
             FROM round r JOIN message m ON m.id = r.answer WHERE r.turn = ?1 LIMIT 1",
            [turn],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let (answered, from) = answered.unwrap_or_default();
    let elsewhere = from.filter(|from| !from.is_empty() && *from != origin(&base_url));
    Ok(Some(StoredTurn {
        number,
        of,
        status,
        times: TurnTimes {
            model: answered.filter(|m| !m.is_empty()).unwrap_or(model),
            base_url: elsewhere.unwrap_or(base_url),
            started_wall_ms: started,
            ended: ended.and_then(|e| u64::try_from(e).ok()),
            rounds,
            calls: calls(db, turn)?,
        },
    }))
}

/// Ends at the first one found; only where there is none every call is looked at.
pub(super) fn ever_approved(db: &Connection) -> Result<bool, StoreError> {
    let mut statement = db.prepare_cached("SELECT EXISTS (SELECT 1 FROM call WHERE approved IS NOT NULL)")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

fn calls(db: &Connection, turn: i64) -> Result<Vec<CallTimes>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT id, round, idx, wire_name, server, tool, arguments, closed_by, kind, opened, closed, asked, approved,
         sent, answered, outcome ->> '$.bytes', octet_length(content)
         FROM call WHERE turn = ?1 ORDER BY round, idx, no",
    )?;
    let found = statement.query_map([turn], |row| {
        let time = |column: usize| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(unsigned));
        let arguments: Option<String> = row.get(6)?;
        Ok(CallTimes {
            call: CallId::new(row.get::<_, String>(0)?),
            round: row.get::<_, Option<u32>>(1)?.unwrap_or(0),
            index: row.get(2)?,
            wire_name: row.get(3)?,
            tool: tool(row, 4)?,
            arguments_bytes: arguments.as_ref().map_or(0, |a| a.len() as u64),
            closed_by: row.get::<_, Option<String>>(7)?.as_deref().and_then(ClosedBy::from_word),
            outcome: row.get::<_, Option<String>>(8)?.as_deref().and_then(OutcomeKind::from_word),
            detail: arguments.as_deref().map(detail).unwrap_or_default(),
            opened: time(9)?.unwrap_or(0),
            closed: time(10)?,
            asked: time(11)?,
            approved: time(12)?,
            sent: time(13)?,
            answered: time(14)?,
            result_bytes: time(15)?.unwrap_or(0),
            told_bytes: time(16)?.unwrap_or(0),
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn tool(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<ToolRef>> {
    Ok(match (row.get::<_, Option<String>>(at)?, row.get::<_, Option<String>>(at + 1)?) {
        (Some(server), Some(tool)) => Some(ToolRef::new(server, tool)),
        _ => None,
    })
}

/// The most telling argument: a name that people know, else the first text, else nothing.
fn detail(arguments: &str) -> String {
    let Ok(serde_json::Value::Object(map)) = serde_json::from_str(arguments) else { return String::new() };
    let text = TELLING
        .iter()
        .find_map(|key| map.get(*key).and_then(|v| v.as_str()))
        .or_else(|| map.values().find_map(|v| v.as_str()))
        .unwrap_or_default();
    text.lines().next().unwrap_or_default().chars().take(DETAIL).collect()
}

pub(super) fn past_calls(
    db: &Connection,
    conversation: &ConversationId,
    tool: &ToolRef,
    arguments: &str,
) -> Result<Vec<PastCall>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT k.kind, k.content, k.outcome, k.sent, (SELECT whole(full) FROM result WHERE call = k.no)
         FROM conversation c JOIN call k ON k.conversation = c.no
         WHERE c.id = ?1 AND k.server = ?2 AND k.tool = ?3 AND k.arguments = ?4 ORDER BY k.no DESC",
    )?;
    let mut found =
        statement.query(params![conversation.as_str(), tool.server.as_str(), tool.tool.as_ref(), arguments])?;
    let mut past = Vec::new();
    while let Some(row) = found.next()? {
        past.extend(past_call(row, tool.clone(), arguments)?);
    }
    Ok(past)
}

/// Calls that do not stand on the branch that is shown and ran, or may have: discarded and sibling attempts.
pub(super) fn calls_off_path(db: &Connection, id: &ConversationId) -> Result<Vec<PastCall>, StoreError> {
    let mut statement = db.prepare_cached(
        "WITH RECURSIVE path(no) AS (
             SELECT head FROM conversation WHERE id = ?1 AND head IS NOT NULL
             UNION ALL SELECT m.parent FROM message m JOIN path p ON m.no = p.no WHERE m.parent IS NOT NULL
         )
         SELECT k.kind, k.content, k.outcome, k.sent, (SELECT whole(full) FROM result WHERE call = k.no),
                k.server, k.tool, k.arguments
         FROM conversation c JOIN call k ON k.conversation = c.no
         JOIN round r ON r.turn = k.turn AND r.round = k.round
         LEFT JOIN message a ON a.id = r.answer
         WHERE c.id = ?1 AND k.server IS NOT NULL AND k.arguments IS NOT NULL
           AND (a.no IS NULL OR a.no NOT IN (SELECT no FROM path))
         ORDER BY k.no DESC",
    )?;
    let mut found = statement.query([id.as_str()])?;
    let mut past = Vec::new();
    while let Some(row) = found.next()? {
        let tool = ToolRef::new(row.get::<_, String>(5)?, row.get::<_, String>(6)?);
        past.extend(past_call(row, tool, &row.get::<_, String>(7)?)?);
    }
    Ok(past)
}

/// The call in a row of kind, content, outcome, sent, full result; None where it never left.
fn past_call(row: &Row<'_>, tool: ToolRef, arguments: &str) -> Result<Option<PastCall>, StoreError> {
    let outcome = match (row.get::<_, Option<String>>(0)?, row.get::<_, Option<String>>(2)?) {
        (Some(kind), Some(rest)) => {
            let content = row.get::<_, Option<String>>(1)?.unwrap_or_default();
            Some(Arc::new(rows::outcome(&kind, content, &rest, row.get(4)?)?))
        }
        _ => None,
    };
    let kind = outcome.as_ref().map_or(OutcomeKind::Unknown, |o| o.kind);
    let left = row.get::<_, Option<i64>>(3)?.is_some() || outcome.as_ref().is_some_and(|o| o.sent);
    let ran = left || kind == OutcomeKind::Unknown;
    Ok(ran.then(|| PastCall { tool, arguments: Arc::from(arguments), outcome, kind }))
}

pub(super) fn usage(db: &Connection, id: &ConversationId) -> Result<Usage, StoreError> {
    let rounds: Vec<String> = db
        .prepare_cached(
            "SELECT r.usage FROM conversation c JOIN turn t ON t.conversation = c.no JOIN round r ON r.turn = t.no
             WHERE c.id = ?1 AND r.usage IS NOT NULL",
        )?
        .query_map([id.as_str()], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    rounds.iter().try_fold(Usage::default(), |sum, json| Ok(sum.plus(serde_json::from_str(json)?)))
}

/// Every round of which usage was told, in order; those of discarded answers too, since they were paid for.
pub(super) fn round_usage(db: &Connection, id: &ConversationId) -> Result<Vec<RoundUsage>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT dense_rank() OVER (ORDER BY t.no), r.round, COALESCE(m.at, t.started), r.usage,
                COALESCE(m.body ->> '$.model', c.model), COALESCE(m.body ->> '$.origin', '')
         FROM conversation c JOIN turn t ON t.conversation = c.no JOIN round r ON r.turn = t.no
         LEFT JOIN message m ON m.id = r.answer
         WHERE c.id = ?1 AND r.usage IS NOT NULL ORDER BY t.no, r.round",
    )?;
    let mut found = statement.query([id.as_str()])?;
    let mut rounds = Vec::new();
    while let Some(row) = found.next()? {
        let usage: Usage = serde_json::from_str(&row.get::<_, String>(3)?)?;
        if usage != Usage::default() {
            rounds.push(RoundUsage {
                turn: row.get(0)?,
                round: row.get(1)?,
                at: row.get(2)?,
                model: row.get(4)?,
                origin: row.get(5)?,
                usage,
            });
        }
    }
    Ok(rounds)
}

pub(super) fn used_call_ids(db: &Connection, id: &ConversationId) -> Result<Vec<CallId>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT k.id FROM conversation c JOIN call k ON k.conversation = c.no WHERE c.id = ?1 ORDER BY k.no",
    )?;
    let found = statement.query_map([id.as_str()], |row| Ok(CallId::new(row.get::<_, String>(0)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}
