//! Which branch of a conversation is the one that is shown: the row of its last message.

use rusqlite::{Connection, OptionalExtension, params};

use super::StoreError;
use super::apply::{By, conversation_no, message_no};
use crate::chat::{ConversationId, MessageId};

pub(super) fn of(db: &Connection, conversation: i64) -> Result<Option<i64>, StoreError> {
    Ok(db.prepare_cached("SELECT head FROM conversation WHERE no = ?1")?.query_row([conversation], |row| row.get(0))?)
}

pub(super) fn shift(db: &Connection, conversation: i64, no: i64) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE conversation SET head = ?2 WHERE no = ?1")?.execute(params![conversation, no])?;
    Ok(())
}

/// Lets another branch be the one that is shown; outcomes that follow the message come along.
pub(super) fn set(db: &Connection, id: &ConversationId, message: &MessageId) -> Result<(), StoreError> {
    let conversation = conversation_no(db, id)?;
    let mut no = message_no(db, conversation, message)?
        .ok_or_else(|| StoreError::Missing { what: "message", id: message.as_str().into() })?;
    while let Some(next) = db
        .prepare_cached("SELECT no FROM message WHERE parent = ?1 AND role = 'tool' ORDER BY no LIMIT 1")?
        .query_row([no], |row| row.get::<_, i64>(0))
        .optional()?
    {
        no = next;
    }
    shift(db, conversation, no)
}

/// Shows the branch that holds a message, down to the newest that follows it. What a list tells of the conversation is
/// that branch's from then on.
pub(super) fn show(db: &Connection, id: &ConversationId, message: &MessageId, by: &By<'_>) -> Result<(), StoreError> {
    let conversation = conversation_no(db, id)?;
    by.may_write(db, conversation)?;
    let no = message_no(db, conversation, message)?
        .ok_or_else(|| StoreError::Missing { what: "message", id: message.as_str().into() })?;
    // Messages are numbered as they are added, each behind what it answers: the newest below is a last one.
    let newest: i64 = db
        .prepare_cached(
            "WITH RECURSIVE below (no) AS (
                 SELECT ?1 UNION ALL SELECT m.no FROM below JOIN message m ON m.parent = below.no
             )
             SELECT max(no) FROM below",
        )?
        .query_row([no], |row| row.get(0))?;
    shift(db, conversation, newest)?;
    db.prepare_cached(
        "WITH RECURSIVE path (no, parent) AS (
             SELECT no, parent FROM message WHERE no = ?2
             UNION ALL SELECT m.no, m.parent FROM path JOIN message m ON m.no = path.parent
         ),
         last (usage) AS (
             SELECT r.usage FROM path JOIN message m ON m.no = path.no JOIN round r ON r.answer = m.id
             WHERE r.usage ->> '$.input' IS NOT NULL OR r.usage ->> '$.output' IS NOT NULL
             ORDER BY m.no DESC LIMIT 1
         )
         UPDATE conversation SET
             tokens = (SELECT coalesce(usage ->> '$.input', 0) + coalesce(usage ->> '$.output', 0) FROM last),
             interrupted = (SELECT role <> 'assistant' OR body ->> '$.state' <> 'complete' FROM message WHERE no = ?2)
         WHERE no = ?1",
    )?
    .execute(params![conversation, newest])?;
    Ok(())
}
