//! Lists of conversations, from metadata alone; and names given by a person.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::{Page, Query, Sort, StoreError};
use crate::chat::{ConversationId, Summary};

/// How many candidates an ambiguous name is answered with.
const CANDIDATES: i64 = 10;

/// The columns that [`read`] takes, of `conversation c`.
pub(super) const COLUMNS: &str = "c.id, coalesce(nullif(c.title, ''), c.first_line), c.folder, c.model, c.created, \
                                  c.updated, c.messages, c.calls, c.failed_calls, c.tokens, c.pinned, c.interrupted, \
                                  c.no";

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Summary> {
    Ok(Summary {
        id: ConversationId::new(row.get::<_, String>(0)?),
        title: row.get(1)?,
        folder: row.get(2)?,
        model: row.get(3)?,
        created: row.get(4)?,
        updated: row.get(5)?,
        messages: row.get(6)?,
        calls: row.get(7)?,
        failed_calls: row.get(8)?,
        tokens: row.get::<_, Option<i64>>(9)?.and_then(|t| u64::try_from(t).ok()),
        pinned: row.get(10)?,
        interrupted: row.get(11)?,
    })
}

pub(super) fn list(db: &Connection, page: &Page) -> Result<Vec<Summary>, StoreError> {
    let query = Query::parse(&page.filter);
    let (mut conditions, mut values) = query.conditions();
    if let Some(folder) = &page.folder {
        conditions.push_str(" AND c.folder = ?");
        values.push(Value::from(folder.clone()));
    }
    let title = "lower(coalesce(nullif(c.title, ''), c.first_line))";
    let order = match page.sort {
        Sort::Updated => "c.updated DESC, c.no DESC",
        Sort::Created => "c.created DESC, c.no DESC",
        Sort::Title => "lower(coalesce(nullif(c.title, ''), c.first_line)), c.no",
    };
    if let Some(cursor) = &page.after {
        let at = db
            .query_row(
                &format!("SELECT c.updated, c.created, {title}, c.no FROM conversation c WHERE c.id = ?1"),
                [cursor.0.as_str()],
                |row| {
                    Ok((
                        row.get::<_, Value>(0)?,
                        row.get::<_, Value>(1)?,
                        row.get::<_, Value>(2)?,
                        row.get::<_, Value>(3)?,
                    ))
                },
            )
            .optional()?;
        let Some((updated, created, name, no)) = at else {
            return Err(StoreError::NotFound(cursor.0.as_str().into()));
        };
        let (condition, key) = match page.sort {
            Sort::Updated => (" AND (c.updated, c.no) < (?, ?)".to_owned(), updated),
            Sort::Created => (" AND (c.created, c.no) < (?, ?)".to_owned(), created),
            Sort::Title => (format!(" AND ({title}, c.no) > (?, ?)"), name),
        };
        conditions.push_str(&condition);
        values.extend([key, no]);
    }
    let kept = if page.deleted { "IS NOT NULL" } else { "IS NULL" };
    values.push(Value::from(i64::try_from(page.limit).unwrap_or(i64::MAX)));
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM conversation c WHERE c.deleted {kept}{conditions} ORDER BY {order} LIMIT ?"
    ))?;
    Ok(statement.query_map(params_from_iter(values), read)?.collect::<Result<_, _>>()?)
}

pub(super) fn count(db: &Connection, folder: Option<&str>) -> Result<usize, StoreError> {
    let count: i64 = match folder {
        Some(folder) => {
            db.query_row("SELECT count(*) FROM conversation WHERE deleted IS NULL AND folder = ?1", [folder], |row| {
                row.get(0)
            })?
        }
        None => db.query_row("SELECT count(*) FROM conversation WHERE deleted IS NULL", [], |row| row.get(0))?,
    };
    Ok(usize::try_from(count).unwrap_or(0))
}

pub(super) fn summary(db: &Connection, id: &ConversationId) -> Result<Summary, StoreError> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM conversation c WHERE c.id = ?1"))?
        .query_row([id.as_str()], read)
        .optional()?
        .ok_or_else(|| StoreError::NotFound(id.as_str().into()))
}

/// The title that it was given; None: it has none, and no person wished so.
pub(super) fn given_title(db: &Connection, id: &ConversationId) -> Result<Option<String>, StoreError> {
    db.prepare_cached(
        "SELECT iif(title = '' AND extra -> '$.named' IS NULL, NULL, title) FROM conversation WHERE id = ?1",
    )?
    .query_row([id.as_str()], |row| row.get(0))
    .optional()?
    .ok_or_else(|| StoreError::NotFound(id.as_str().into()))
}

/// The system prompt that it is held with here.
pub(super) fn system(db: &Connection, id: &ConversationId) -> Result<Option<String>, StoreError> {
    db.prepare_cached("SELECT iif(extra -> '$.held_system' = 'true', system, NULL) FROM conversation WHERE id = ?1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?
        .ok_or_else(|| StoreError::NotFound(id.as_str().into()))
}

/// The name of the role that it is held in.
pub(super) fn role(db: &Connection, id: &ConversationId) -> Result<Option<String>, StoreError> {
    let role: Option<Option<String>> = db
        .prepare_cached("SELECT extra ->> '$.role' FROM conversation WHERE id = ?1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    Ok(role.flatten().filter(|name| !name.is_empty()))
}

/// The one that was written to last, whatever the clock says.
pub(super) fn newest(db: &Connection, folder: Option<&str>) -> Result<Option<Summary>, StoreError> {
    Ok(db
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM conversation c WHERE c.deleted IS NULL AND (?1 IS NULL OR c.folder = ?1)
             ORDER BY c.touched DESC LIMIT 1"
        ))?
        .query_row([folder], read)
        .optional()?)
}

pub(super) fn resolve(db: &Connection, name: &str, folder: Option<&str>) -> Result<ConversationId, StoreError> {
    let missing = || StoreError::NotFound(name.to_owned());
    if name == "last" {
        return newest(db, folder)?.map(|s| s.id).ok_or_else(missing);
    }
    by_prefix(db, name, false)
}

/// A conversation that was deleted and is still kept, by any unique beginning of its id.
pub(super) fn resolve_deleted(db: &Connection, name: &str) -> Result<ConversationId, StoreError> {
    by_prefix(db, name, true)
}

fn by_prefix(db: &Connection, name: &str, deleted: bool) -> Result<ConversationId, StoreError> {
    let missing = || StoreError::NotFound(name.to_owned());
    if name.is_empty() {
        return Err(missing());
    }
    let prefix = name.to_lowercase();
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM conversation c WHERE (c.deleted IS NOT NULL) = ?4 AND c.id >= ?1 AND substr(c.id, 1, ?2) = ?1
         AND c.id < ?1 || char(0x10FFFF) ORDER BY c.updated DESC LIMIT ?3"
    ))?;
    let length = i64::try_from(prefix.chars().count()).unwrap_or(i64::MAX);
    let mut candidates: Vec<Summary> =
        statement.query_map(params![prefix, length, CANDIDATES, deleted], read)?.collect::<Result<_, _>>()?;
    if let Some(exact) = candidates.iter().find(|c| c.id.as_str() == prefix) {
        return Ok(exact.id.clone());
    }
    match candidates.len() {
        0 => Err(missing()),
        1 => Ok(candidates.remove(0).id),
        _ => Err(StoreError::Ambiguous { prefix: name.to_owned(), candidates }),
    }
}
