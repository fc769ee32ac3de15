//! What is kept beside conversations: pins, permissions, what was learnt, drafts, prompts, the deleted.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, params};

use super::{Draft, DraftOf, Learnt, StoreError};
use crate::chat::{ConversationId, Grant, GrantScope, Pin, ToolRef, UnixMs};

/// How many prompts are kept for recall.
const PROMPTS: i64 = 1000;

/// The wall clock; before 1970: 0.
pub(super) fn now() -> UnixMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn put_pin(db: &Connection, pin: &Pin) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO pin (entry, server, tool, sha256, definition) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET sha256 = excluded.sha256, definition = excluded.definition",
    )?
    .execute(params![
        pin.entry.as_ref(),
        pin.tool.server.as_str(),
        pin.tool.tool.as_ref(),
        pin.sha256.as_ref(),
        pin.definition.as_ref()
    ])?;
    Ok(())
}

/// A grant for a session lives in its process alone and is not written.
pub(super) fn put_grant(db: &Connection, grant: &Grant) -> Result<(), StoreError> {
    match &grant.scope {
        GrantScope::Session(_) => Ok(()),
        GrantScope::Always => {
            db.prepare_cached(
                "INSERT OR IGNORE INTO permission (entry, server, tool, sha256) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                grant.entry.as_ref(),
                grant.tool.server.as_str(),
                grant.tool.tool.as_ref(),
                grant.sha256.as_ref()
            ])?;
            Ok(())
        }
    }
}

pub(super) fn revoke(db: &Connection, entry: &str, tool: &ToolRef) -> Result<(), StoreError> {
    db.execute(
        "DELETE FROM permission WHERE entry = ?1 AND server = ?2 AND tool = ?3",
        params![entry, tool.server.as_str(), tool.tool.as_ref()],
    )?;
    Ok(())
}

/// All that was learnt.
pub(super) fn all_learnt(db: &Connection) -> Result<Vec<(String, String, Learnt)>, StoreError> {
    let mut statement = db.prepare_cached("SELECT base_url, model, key, value FROM learnt")?;
    let found = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, Learnt { key: row.get(2)?, value: row.get(3)? })))?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn put_learnt(
    db: &Connection,
    base_url: &str,
    model: &str,
    key: &str,
    value: &str,
) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO learnt (base_url, model, key, value) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET value = excluded.value",
        params![base_url, model, key, value],
    )?;
    Ok(())
}

pub(super) fn pins(db: &Connection) -> Result<Vec<Pin>, StoreError> {
    let mut statement = db.prepare_cached("SELECT entry, server, tool, sha256, definition FROM pin")?;
    let found = statement.query_map([], |row| {
        Ok(Pin {
            entry: Arc::from(row.get::<_, String>(0)?),
            tool: ToolRef::new(row.get::<_, String>(1)?, row.get::<_, String>(2)?),
            sha256: Arc::from(row.get::<_, String>(3)?),
            definition: Arc::from(row.get::<_, String>(4)?),
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn grants(db: &Connection) -> Result<Vec<Grant>, StoreError> {
    let mut statement = db.prepare_cached("SELECT entry, server, tool, sha256 FROM permission")?;
    let found = statement.query_map([], |row| {
        Ok(Grant {
            entry: Arc::from(row.get::<_, String>(0)?),
            tool: ToolRef::new(row.get::<_, String>(1)?, row.get::<_, String>(2)?),
            sha256: Arc::from(row.get::<_, String>(3)?),
            scope: GrantScope::Always,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn learnt(db: &Connection, base_url: &str, model: &str) -> Result<Vec<Learnt>, StoreError> {
    let mut statement =
        db.prepare_cached("SELECT key, value FROM learnt WHERE base_url = ?1 AND model = ?2 ORDER BY key")?;
    let found = statement.query_map([base_url, model], |row| Ok(Learnt { key: row.get(0)?, value: row.get(1)? }))?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn set_deleted(db: &Connection, id: &ConversationId, deleted: bool) -> Result<(), StoreError> {
    let changed = db.execute(
        "UPDATE conversation SET deleted = CASE WHEN ?2 THEN coalesce(deleted, ?3) END,
         arrived = CASE WHEN ?2 THEN arrived ELSE ?3 END WHERE id = ?1",
        params![id.as_str(), deleted, now()],
    )?;
    if changed == 0 { Err(StoreError::NotFound(id.as_str().into())) } else { Ok(()) }
}

fn owner_key(owner: &DraftOf) -> String {
    match owner {
        DraftOf::Conversation(id) => format!("c:{}", id.as_str()),
        DraftOf::Folder(folder) => format!("f:{folder}"),
    }
}

fn owner(key: &str) -> DraftOf {
    match key.strip_prefix("c:") {
        Some(id) => DraftOf::Conversation(ConversationId::new(id)),
        None => DraftOf::Folder(key.strip_prefix("f:").unwrap_or(key).to_owned()),
    }
}

pub(super) fn save_draft(db: &Connection, owner: &DraftOf, text: &str) -> Result<(), StoreError> {
    let key = owner_key(owner);
    if text.is_empty() {
        db.execute("DELETE FROM draft WHERE owner = ?1", [key])?;
    } else {
        db.execute(
            "INSERT INTO draft (owner, text, at) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET text = excluded.text, at = excluded.at",
            params![key, text, now()],
        )?;
    }
    Ok(())
}

pub(super) fn draft(db: &Connection, owner: &DraftOf) -> Result<Option<String>, StoreError> {
    Ok(db.query_row("SELECT text FROM draft WHERE owner = ?1", [owner_key(owner)], |row| row.get(0)).optional()?)
}

pub(super) fn drafts(db: &Connection) -> Result<Vec<Draft>, StoreError> {
    let mut statement = db.prepare_cached("SELECT owner, text, at FROM draft ORDER BY at DESC, owner")?;
    let found = statement.query_map([], |row| {
        Ok(Draft { owner: owner(&row.get::<_, String>(0)?), text: row.get(1)?, at: row.get(2)? })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn add_prompt(db: &Connection, text: &str) -> Result<(), StoreError> {
    if text.trim().is_empty() {
        return Ok(());
    }
    db.execute("DELETE FROM prompt WHERE text = ?1", [text])?;
    db.execute("INSERT INTO prompt (text, at) VALUES (?1, ?2)", params![text, now()])?;
    db.execute("DELETE FROM prompt WHERE no <= (SELECT max(no) FROM prompt) - ?1", [PROMPTS])?;
    Ok(())
}

pub(super) fn recent_prompts(db: &Connection, limit: usize) -> Result<Vec<String>, StoreError> {
    let mut statement = db.prepare_cached("SELECT text FROM prompt ORDER BY no DESC LIMIT ?1")?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Ok(statement.query_map([limit], |row| row.get(0))?.collect::<Result<_, _>>()?)
}
