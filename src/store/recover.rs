//! After a crash: what a process left unfinished becomes valid, truthful history.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::{StoreError, apply, calls, claim, heads, ledger, rows};
use crate::chat::{
    Answer, AnswerState, CallId, ConversationId, MessageId, OutcomeKind, ToolCall, ToolOutcome, ToolRef,
};

/// Turns without an end whose process is gone: row, conversation.
pub(super) fn left_turns(
    db: &Connection,
    only: Option<&ConversationId>,
    store: &Path,
) -> Result<Vec<(i64, i64)>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT t.no, t.conversation, t.process FROM turn t JOIN conversation c ON c.no = t.conversation
         WHERE t.status IS NULL AND (?1 IS NULL OR c.id = ?1) ORDER BY t.no",
    )?;
    let open = statement
        .query_map([only.map(ConversationId::as_str)], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(open.into_iter().filter(|(_, _, p)| !claim::lives(store, p)).map(|(t, c, _)| (t, c)).collect())
}

/// Recovers them, in a transaction of the caller's.
pub(super) fn recover(db: &Connection, only: Option<&ConversationId>, store: &Path) -> Result<(), StoreError> {
    for (turn, conversation) in left_turns(db, only, store)? {
        let rounds: Vec<(u32, String, Option<i64>)> = db
            .prepare_cached("SELECT round, answer, parent FROM round WHERE turn = ?1 ORDER BY round")?
            .query_map([turn], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<Result<_, _>>()?;
        for (round, answer, parent) in rounds {
            recover_round(db, &Round { turn, conversation, round, answer, parent })?;
        }
        db.execute("UPDATE turn SET status = 'interrupted' WHERE no = ?1", [turn])?;
        db.execute("UPDATE conversation SET interrupted = 1 WHERE no = ?1", [conversation])?;
    }
    Ok(())
}

struct Round {
    turn: i64,
    conversation: i64,
    round: u32,
    answer: String,
    parent: Option<i64>,
}

/// A call as its journal tells.
struct Left {
    no: i64,
    call: ToolCall,
    known_arguments: bool,
    asked: bool,
    approved: bool,
    sent: bool,
    outcome: Option<ToolOutcome>,
}

fn recover_round(db: &Connection, round: &Round) -> Result<(), StoreError> {
    let left = left_calls(db, round)?;
    let found: Option<(i64, String, String, bool)> = db
        .query_row(
            "SELECT no, text, body, partial FROM message WHERE id = ?1 AND conversation = ?2",
            params![round.answer, round.conversation],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .optional()?;
    let (no, calls) = match found {
        Some((no, text, body, partial)) => {
            let mut answer = rows::answer(text, &body)?;
            if partial {
                complete(&mut answer, &left);
                db.execute(
                    "UPDATE message SET body = ?2, partial = 0, indexed = 0 WHERE no = ?1",
                    params![no, rows::answer_body(&answer)?],
                )?;
            }
            (no, answer.calls)
        }
        None if left.is_empty() => return Ok(()),
        None => {
            let (model, base_url): (String, String) =
                db.query_row("SELECT model, base_url FROM conversation WHERE no = ?1", [round.conversation], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?;
            let mut answer = Answer { model, origin: origin(&base_url), ..Answer::default() };
            complete(&mut answer, &left);
            let id = MessageId::new(&round.answer);
            let row = apply::Row {
                id: &id,
                conversation: round.conversation,
                parent: round.parent,
                at: ledger::now(),
                call: None,
                partial: false,
            };
            let columns = rows::Columns { role: "assistant", text: String::new(), body: rows::answer_body(&answer)? };
            (apply::insert(db, &row, &columns)?, answer.calls)
        }
    };
    let last = answer_calls(db, round, no, &calls, &left)?;
    // Nobody has written here since: it is what was being answered, also beside another answer to the same message.
    let followed: bool =
        db.query_row("SELECT EXISTS (SELECT 1 FROM message WHERE parent = ?1)", [last], |row| row.get(0))?;
    if !followed {
        heads::shift(db, round.conversation, last)?;
    }
    // Calls that the answer does not have ran for nobody, but may have run.
    for left in left.iter().filter(|l| l.outcome.is_none()) {
        calls::put_outcome(db, left.no, &unknown(left))?;
    }
    Ok(())
}

/// Gives every call of an answer its tool message; returns the last of the chain.
fn answer_calls(
    db: &Connection,
    round: &Round,
    answer: i64,
    calls: &[ToolCall],
    left: &[Left],
) -> Result<i64, StoreError> {
    let mut last = answer;
    let mut told: Vec<String> = Vec::new();
    while let Some((no, call)) = db
        .prepare_cached(
            "SELECT m.no, k.id FROM message m JOIN call k ON k.no = m.call WHERE m.parent = ?1 ORDER BY m.no LIMIT 1",
        )?
        .query_row([last], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
        .optional()?
    {
        last = no;
        told.push(call);
    }
    let was_last = last;
    for call in calls.iter().filter(|c| !told.iter().any(|t| t == c.id.as_str())) {
        let outcome = match left.iter().find(|l| l.call.id == call.id) {
            Some(left) => left.outcome.clone().unwrap_or_else(|| unknown(left)),
            // No journal of it (it cannot have been sent without one).
            None => ToolOutcome::unsent(
                OutcomeKind::Cancelled,
                "Cancelled: the program stopped before this call was sent. It did not run.",
            ),
        };
        let row = calls::put_told(db, round.conversation, &call.id, &outcome)?;
        let id = MessageId::new(uuid::Uuid::now_v7().to_string());
        let columns = rows::Columns { role: "tool", text: String::new(), body: "null".into() };
        let message = apply::Row {
            id: &id,
            conversation: round.conversation,
            parent: Some(last),
            at: ledger::now(),
            call: Some(row),
            partial: false,
        };
        last = apply::insert(db, &message, &columns)?;
    }
    if last != was_last {
        // What was said after it (known only where outcomes were lost from the middle) stands on them now.
        db.execute("UPDATE message SET parent = ?2 WHERE parent = ?1 AND role <> 'tool'", params![was_last, last])?;
    }
    if heads::of(db, round.conversation)? == Some(was_last) {
        heads::shift(db, round.conversation, last)?;
    }
    Ok(last)
}

fn complete(answer: &mut Answer, left: &[Left]) {
    answer.state = AnswerState::Interrupted;
    for left in left {
        if !answer.calls.iter().any(|c| c.id == left.call.id) {
            answer.calls.push(left.call.clone());
        }
    }
    answer.calls.sort_by_key(|c| c.index);
}

fn left_calls(db: &Connection, round: &Round) -> Result<Vec<Left>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT k.no, k.id, k.idx, k.wire_name, k.server, k.tool, k.arguments, k.asked, k.approved, k.sent, k.kind,
         k.content, k.outcome
         FROM call k WHERE k.turn = ?1 AND k.round = ?2 ORDER BY k.idx, k.no",
    )?;
    let mut found = statement.query(params![round.turn, round.round])?;
    let mut left = Vec::new();
    while let Some(row) = found.next()? {
        let tool = match (row.get::<_, Option<String>>(4)?, row.get::<_, Option<String>>(5)?) {
            (Some(server), Some(tool)) => Some(ToolRef::new(server, tool)),
            _ => None,
        };
        let arguments: Option<String> = row.get(6)?;
        let outcome = match (row.get::<_, Option<String>>(10)?, row.get::<_, Option<String>>(12)?) {
            (Some(kind), Some(rest)) => {
                let content = row.get::<_, Option<String>>(11)?.unwrap_or_default();
                Some(rows::outcome(&kind, content, &rest, None)?)
            }
            _ => None,
        };
        let is_set = |column: usize| -> Result<bool, StoreError> { Ok(row.get::<_, Option<i64>>(column)?.is_some()) };
        left.push(Left {
            no: row.get(0)?,
            call: ToolCall {
                id: CallId::new(row.get::<_, String>(1)?),
                wire_id: None,
                index: row.get(2)?,
                wire_name: row.get(3)?,
                tool,
                arguments: arguments.as_deref().unwrap_or("{}").into(),
                extra: serde_json::Map::new(),
            },
            known_arguments: arguments.is_some(),
            asked: is_set(7)?,
            approved: is_set(8)?,
            sent: is_set(9)?,
            outcome,
        });
    }
    Ok(left)
}

/// What is true of a call whose end was not recorded. Its round was armed, so that even one that is not marked as
/// sent may have left in the moment before the program or the machine stopped.
fn unknown(left: &Left) -> ToolOutcome {
    let content = if left.sent {
        "Outcome unknown: the call was sent, and the program stopped before its result came. It may have run, wholly \
         or in part."
    } else if !left.known_arguments {
        "Outcome unknown: the program stopped while this call was being written, and its arguments are not on record \
         (they stand here as {}). It was not recorded as sent, but may have been, and may have run."
    } else if left.asked && !left.approved {
        "Outcome unknown: the program stopped while this call waited for approval. It was not recorded as approved or \
         sent, so it most likely did not run."
    } else {
        "Outcome unknown: the program stopped just as this call was ready to be sent. It was not recorded as sent, but \
         may have been, and may have run."
    };
    let mut outcome = ToolOutcome::unsent(OutcomeKind::Unknown, content);
    outcome.sent = left.sent;
    outcome
}

/// Scheme, host and port of an address.
pub(super) fn origin(base_url: &str) -> String {
    url::Url::parse(base_url).map_or_else(|_| base_url.to_owned(), |u| u.origin().ascii_serialization())
}

/// Gives every call its tool message where a damaged store lost it: what became of it is not known.
pub(super) fn answer_lost_calls(db: &Connection) -> Result<(), StoreError> {
    let answers: Vec<(i64, i64, String, String)> = db
        .prepare(
            "SELECT no, conversation, text, body FROM message WHERE role = 'assistant' AND body LIKE '%\"calls\":%'",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<Result<_, _>>()?;
    for (no, conversation, text, body) in answers {
        let answer = rows::answer(text, &body)?;
        let left: Vec<Left> = answer
            .calls
            .iter()
            .map(|call| Left {
                no: 0,
                call: call.clone(),
                known_arguments: true,
                asked: false,
                approved: false,
                sent: true,
                outcome: Some(ToolOutcome::unsent(OutcomeKind::Unknown, LOST)),
            })
            .collect();
        let round = Round { turn: 0, conversation, round: 0, answer: String::new(), parent: None };
        answer_calls(db, &round, no, &answer.calls, &left)?;
    }
    Ok(())
}

const LOST: &str = "Outcome unknown: the store was damaged and the result of this call is lost. It may have run.";
