//! Opening one conversation: the path from its first message to its head.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{StoreError, claim, listing, rows};
use crate::chat::{Body, CallId, Conversation, ConversationId, Fork, Message, MessageId, ToolMessage, Tree};

/// `whole`: with the results that the model was told only a part of. `us` names this process in leases.
pub(super) fn open(
    db: &Connection,
    id: &ConversationId,
    whole: bool,
    us: Option<&str>,
) -> Result<Conversation, StoreError> {
    let summary = listing::summary(db, id)?;
    let (no, base_url, system, extra): (i64, String, Option<String>, String) =
        db.query_row("SELECT no, base_url, system, extra FROM conversation WHERE id = ?1", [id.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
    let open_elsewhere = match db.path() {
        Some(path) => claim::holder(db, Path::new(path), id, us)?.is_some(),
        None => false,
    };
    Ok(Conversation {
        summary,
        base_url,
        system,
        messages: path(db, no, whole)?,
        forks: forks(db, no)?,
        open_elsewhere,
        extra: serde_json::from_str(&extra)?,
    })
}

fn path(db: &Connection, conversation: i64, whole: bool) -> Result<Vec<Arc<Message>>, StoreError> {
    let mut statement = db.prepare_cached(
        "WITH RECURSIVE path (no, parent, depth) AS (
             SELECT m.no, m.parent, 0 FROM conversation c JOIN message m ON m.no = c.head WHERE c.no = ?1
             UNION ALL
             SELECT m.no, m.parent, path.depth + 1 FROM path JOIN message m ON m.no = path.parent
         )
         SELECT m.id, p.id, m.at, m.role, m.text, m.body, k.id, k.kind, k.content, k.outcome,
                CASE WHEN ?2 THEN (SELECT whole(full) FROM result WHERE call = m.call) END
         FROM path JOIN message m ON m.no = path.no
         LEFT JOIN message p ON p.no = m.parent
         LEFT JOIN call k ON k.no = m.call
         ORDER BY path.depth DESC",
    )?;
    let mut found = statement.query(params![conversation, whole])?;
    let mut messages = Vec::new();
    while let Some(row) = found.next()? {
        messages.push(Arc::new(message(row)?));
    }
    Ok(messages)
}

/// A row of `id parent at role text body call kind content outcome full`.
fn message(row: &Row<'_>) -> Result<Message, StoreError> {
    let role: String = row.get(3)?;
    let body = match role.as_str() {
        "user" => Body::User(rows::parts(row.get_ref(5)?.as_str().map_err(rusqlite::Error::from)?)?),
        "assistant" => {
            Body::Assistant(rows::answer(row.get(4)?, row.get_ref(5)?.as_str().map_err(rusqlite::Error::from)?)?)
        }
        "tool" => {
            let (kind, content, rest): (String, String, String) = (row.get(7)?, row.get(8)?, row.get(9)?);
            Body::Tool(ToolMessage {
                call: CallId::new(row.get::<_, String>(6)?),
                outcome: Arc::new(rows::outcome(&kind, content, &rest, row.get(10)?)?),
            })
        }
        other => return Err(StoreError::Row(format!("role {other:?}"))),
    };
    Ok(Message {
        id: MessageId::new(row.get::<_, String>(0)?),
        parent: row.get::<_, Option<String>>(1)?.map(MessageId::new),
        at: row.get(2)?,
        body,
    })
}

/// The same with the branches that are not shown.
pub(super) fn open_tree(db: &Connection, id: &ConversationId, us: Option<&str>) -> Result<Tree, StoreError> {
    let shown = open(db, id, true, us)?;
    let mut known: HashSet<MessageId> = shown.messages.iter().map(|message| message.id.clone()).collect();
    // One that an error or a crash cut off hangs on nothing: it is the beginning of a branch of its own.
    let mut statement = db.prepare_cached(
        "SELECT m.id, p.id, m.at, m.role, m.text, m.body, k.id, k.kind, k.content, k.outcome,
                (SELECT whole(full) FROM result WHERE call = m.call)
         FROM conversation c JOIN message m ON m.conversation = c.no
         LEFT JOIN message p ON p.no = m.parent
         LEFT JOIN call k ON k.no = m.call
         WHERE c.id = ?1 ORDER BY m.no",
    )?;
    let mut found = statement.query([id.as_str()])?;
    let mut aside = Vec::new();
    // Rows stand in the order of their writing, so a parent nearly always comes first.
    let mut early: HashMap<MessageId, Vec<Arc<Message>>> = HashMap::new();
    while let Some(row) = found.next()? {
        let next = Arc::new(message(row)?);
        if known.contains(&next.id) {
            continue;
        }
        match next.parent.clone().filter(|parent| !known.contains(parent)) {
            Some(parent) => early.entry(parent).or_default().push(next),
            None => {
                let mut ready = vec![next];
                while let Some(next) = ready.pop() {
                    known.insert(next.id.clone());
                    ready.extend(early.remove(&next.id).unwrap_or_default().into_iter().rev());
                    aside.push(next);
                }
            }
        }
    }
    Ok(Tree { shown, aside })
}

/// Where messages have siblings, and what answers the head: ids alone.
fn forks(db: &Connection, conversation: i64) -> Result<Vec<Fork>, StoreError> {
    let mut statement = db.prepare_cached(
        "WITH many (parent) AS (
             SELECT parent FROM message WHERE conversation = ?1 AND role <> 'tool'
             GROUP BY parent HAVING count(*) > 1
             UNION SELECT head FROM conversation WHERE no = ?1 AND head IS NOT NULL
         )
         SELECT p.id, m.id FROM message m LEFT JOIN message p ON p.no = m.parent
         WHERE m.conversation = ?1 AND m.role <> 'tool'
           AND (+m.parent IN (SELECT parent FROM many)
                OR m.parent IS NULL AND EXISTS (SELECT 1 FROM many WHERE parent IS NULL))
         ORDER BY m.parent, m.no",
    )?;
    let mut found = statement.query([conversation])?;
    let mut forks: Vec<Fork> = Vec::new();
    while let Some(row) = found.next()? {
        let parent = row.get::<_, Option<String>>(0)?.map(MessageId::new);
        let message = MessageId::new(row.get::<_, String>(1)?);
        match forks.last_mut() {
            Some(fork) if fork.parent == parent => fork.messages.push(message),
            Some(_) | None => forks.push(Fork { parent, messages: vec![message] }),
        }
    }
    Ok(forks)
}

pub(super) fn whole_result(
    db: &Connection,
    conversation: &ConversationId,
    call: &CallId,
) -> Result<Option<String>, StoreError> {
    Ok(db
        .query_row(
            "SELECT whole(r.full) FROM conversation c JOIN call k ON k.conversation = c.no AND k.id = ?2
             JOIN result r ON r.call = k.no WHERE c.id = ?1",
            params![conversation.as_str(), call.as_str()],
            |row| row.get(0),
        )
        .optional()?)
}
