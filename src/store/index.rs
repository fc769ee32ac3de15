//! The search index, filled when nothing else is to do: letters are cut into trigrams after the commit that matters.

use rusqlite::{Connection, params};

use super::StoreError;

/// Messages of one step, and about how much text it may take, in bytes: a call's intent may have to wait for it.
const STEP: usize = 200;
const STEP_BYTES: usize = 128 * 1024;
/// Messages of a step that a search waits for: the last turns, not all that was imported.
const GLANCE: usize = 64;
/// How much of one message is indexed; the middle of a log is not what a person searches for.
const DOCUMENT_BYTES: usize = 64 * 1024;

pub(super) fn is_pending(db: &Connection) -> Result<bool, StoreError> {
    Ok(db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM message WHERE indexed = 0)
             OR EXISTS (SELECT 1 FROM conversation WHERE titled = 0)",
        )?
        .query_row([], |row| row.get(0))?)
}

/// Indexes some of what is pending.
pub(super) fn step(db: &Connection) -> Result<(), StoreError> {
    newest(db, STEP)
}

/// Indexes a little of what is pending, while somebody waits.
pub(super) fn glance(db: &Connection) -> Result<(), StoreError> {
    newest(db, GLANCE)
}

fn newest(db: &Connection, most: usize) -> Result<(), StoreError> {
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let mut titles: Vec<(i64, String)> = db
        .prepare_cached(
            "SELECT no, coalesce(nullif(title, ''), first_line) FROM conversation WHERE titled = 0
             ORDER BY no DESC LIMIT ?1",
        )?
        .query_map([limit], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let newest: Vec<i64> = db
        .prepare_cached("SELECT no FROM message WHERE indexed = 0 ORDER BY no DESC LIMIT ?1")?
        .query_map([limit], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut messages = Vec::with_capacity(newest.len());
    let mut bytes = 0;
    for no in newest {
        let text = document(db, no)?;
        bytes += text.len();
        messages.push((no, text));
        if bytes > STEP_BYTES {
            break;
        }
    }
    // In rising order: for each number below the one before, the index would write a segment of its own.
    titles.sort_unstable_by_key(|(no, _)| *no);
    messages.sort_unstable_by_key(|(no, _)| *no);
    for (no, title) in titles {
        put(db, "title_search", no, &title)?;
        db.prepare_cached("UPDATE conversation SET titled = 1 WHERE no = ?1")?.execute([no])?;
    }
    for (no, text) in messages {
        put(db, "message_search", no, &text)?;
        db.prepare_cached("UPDATE message SET indexed = 1 WHERE no = ?1")?.execute([no])?;
    }
    Ok(())
}

fn put(db: &Connection, table: &str, no: i64, text: &str) -> Result<(), StoreError> {
    db.prepare_cached(&format!("DELETE FROM {table} WHERE rowid = ?1"))?.execute([no])?;
    if !text.is_empty() {
        db.prepare_cached(&format!("INSERT INTO {table} (rowid, text) VALUES (?1, ?2)"))?.execute(params![no, text])?;
    }
    Ok(())
}

/// What of a message is searched: its text, its calls' names and arguments; of a tool's message the result, and where
/// that holds binary content what the model was told of it.
pub(super) fn document(db: &Connection, no: i64) -> Result<String, StoreError> {
    let (role, text, body, content): (String, String, String, Option<String>) = db
        .prepare_cached(
            "SELECT m.role, m.text, CASE m.role WHEN 'assistant' THEN m.body ELSE '' END,
             CASE WHEN json_extract(k.outcome, '$.full_is_result') THEN k.content
                  ELSE coalesce((SELECT whole(full) FROM result WHERE call = m.call), k.content) END
             FROM message m LEFT JOIN call k ON k.no = m.call WHERE m.no = ?1",
        )?
        .query_row([no], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let mut out = match role.as_str() {
        "tool" => content.unwrap_or_default(),
        "assistant" => {
            let answer = super::rows::answer(text, &body)?;
            let mut out = answer.text;
            out.push_str(&answer.refusal);
            for call in &answer.calls {
                if !out.is_empty() {
                    out.push('\n');
                }
                out.push_str(&call.tool.as_ref().map_or_else(|| call.wire_name.clone(), |t| t.path()));
                out.push(' ');
                out.push_str(&call.arguments);
            }
            out
        }
        _ => text,
    };
    if out.len() > DOCUMENT_BYTES {
        out.truncate(out.floor_char_boundary(DOCUMENT_BYTES));
    }
    Ok(out)
}

/// Takes messages and a title out of the index.
pub(super) fn forget(db: &Connection, conversation: i64) -> Result<(), StoreError> {
    db.execute(
        "DELETE FROM message_search WHERE rowid IN (SELECT no FROM message WHERE conversation = ?1)",
        [conversation],
    )?;
    db.execute("DELETE FROM title_search WHERE rowid = ?1", [conversation])?;
    Ok(())
}
