//! Erasing for good: rows, then what the index, the free pages, the log and the copies still hold of them.
//!
//! # Invariants
//! - The rows and the note that they are still to be scrubbed go in one transaction: a crash between forgets nothing.
//! - Freed bytes are overwritten (`secure_delete`), so that a merged index and an emptied log leave no trace.
//! - Scrubbing is done in steps: a call's intent never waits for a large index.
//!
//! # Does not
//! Reach files that are the person's own (exports, recordings, what the editor saved), or the disk below the file.

use rusqlite::{Connection, OptionalExtension, params};

use super::worker::Desk;
use super::{KEPT_AFTER_DELETE_MS, StoreError, backup, claim, index, ledger, salvage};
use crate::chat::{ConversationId, UnixMs};

/// How much of the index one step merges, in pages.
const STEP_PAGES: i64 = 200;
/// A prompt that stands in an erased message goes with it when it is at least so long, in characters; a shorter one
/// only where it is the whole message.
const TELLING: i64 = 16;

/// What is left to do of a scrub.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scrub {
    /// Nothing.
    Done,
    /// Another step.
    More,
    /// Another process reads the store: its log can only be emptied once that has ended.
    Busy,
}

fn horizon() -> i64 {
    ledger::now() - KEPT_AFTER_DELETE_MS
}

pub(super) fn has_expired(db: &Connection) -> Result<bool, StoreError> {
    Ok(db.query_row("SELECT EXISTS (SELECT 1 FROM conversation WHERE deleted < ?1)", [horizon()], |row| row.get(0))?)
}

/// Whether something was erased whose traces are not yet gone.
pub(super) fn is_pending(db: &Connection) -> Result<bool, StoreError> {
    Ok(db.prepare_cached("SELECT EXISTS (SELECT 1 FROM chore)")?.query_row([], |row| row.get(0))?)
}

/// Removes for good what was deleted long enough ago.
pub(super) fn purge(db: &Connection) -> Result<(), StoreError> {
    let gone: Vec<(i64, String)> = db
        .prepare("SELECT no, id FROM conversation WHERE deleted < ?1")?
        .query_map([horizon()], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (no, id) in gone {
        remove(db, no, &id, None)?;
    }
    Ok(())
}

/// Takes a conversation out, and the prompts that say the same; `older`: only those from before then.
pub(super) fn remove(db: &Connection, no: i64, id: &str, older: Option<UnixMs>) -> Result<(), StoreError> {
    index::forget(db, no)?;
    db.execute(
        "DELETE FROM prompt WHERE (?3 IS NULL OR at < ?3) AND EXISTS (
             SELECT 1 FROM message m WHERE m.conversation = ?1 AND m.role = 'user'
             AND (m.text = prompt.text OR (length(prompt.text) >= ?2 AND instr(m.text, prompt.text) > 0)))",
        params![no, TELLING, older],
    )?;
    db.execute("DELETE FROM conversation WHERE no = ?1", [no])?;
    db.execute("DELETE FROM draft WHERE owner = 'c:' || ?1", [id])?;
    db.execute("DELETE FROM lease WHERE conversation = ?1", [id])?;
    db.execute("INSERT OR IGNORE INTO chore (what) VALUES ('scrub')", [])?;
    Ok(())
}

impl Desk {
    /// Takes conversations out, deleted before or not, and the copies that have them; how many those were. Their traces
    /// go by [`Desk::scrub`].
    pub(super) fn erase(&mut self, ids: &[ConversationId]) -> Result<usize, StoreError> {
        let (path, us) = (self.path.clone(), self.lock.as_ref().map(|l| l.token.clone()));
        self.change(|db| {
            for id in ids {
                let no: Option<i64> = db
                    .query_row("SELECT no FROM conversation WHERE id = ?1", [id.as_str()], |row| row.get(0))
                    .optional()?;
                let no = no.ok_or_else(|| StoreError::NotFound(id.as_str().into()))?;
                claim::admit(db, &path, no, us.as_deref())?;
                remove(db, no, id.as_str(), None)?;
            }
            Ok(())
        })?;
        self.remove_copies()
    }

    /// Takes away the copies beside the store, which have what was erased; how many there were.
    pub(super) fn remove_copies(&mut self) -> Result<usize, StoreError> {
        // Held shared, our lock says that nobody is making one.
        salvage::sweep(&self.path);
        backup::remove(&self.path)
    }

    /// One step of taking away what erased rows left. To be repeated while it says [`Scrub::More`].
    pub(super) fn scrub(&mut self) -> Result<Scrub, StoreError> {
        let Some(chore) = self
            .db
            .query_row("SELECT what FROM chore ORDER BY what DESC LIMIT 1", [], |row| row.get::<_, String>(0))
            .optional()?
        else {
            return Ok(Scrub::Done);
        };
        // A negative number begins a merge of everything, positive ones go on with it (FTS5, the 'merge' command);
        // `merge` notes that it was begun.
        let pages = if chore == "scrub" { -STEP_PAGES } else { STEP_PAGES };
        let merged = self.change(|db| {
            let mut worked = false;
            for table in ["message_search", "title_search"] {
                let before = db.total_changes();
                db.execute(&format!("INSERT INTO {table} ({table}, rank) VALUES ('merge', ?1)"), [pages])?;
                worked |= db.total_changes() - before >= 2;
            }
            if chore == "scrub" {
                db.execute("DELETE FROM chore WHERE what = 'scrub'", [])?;
                db.execute("INSERT OR IGNORE INTO chore (what) VALUES ('merge')", [])?;
            }
            Ok(!worked && chore != "scrub")
        })?;
        if !merged {
            return Ok(Scrub::More);
        }
        backup::remove(&self.path)?;
        // All of the log into the file, and the log cut to nothing.
        let cut = self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        let busy: bool = self.heard(cut.map_err(StoreError::from))?;
        if busy {
            return Ok(Scrub::Busy);
        }
        self.change(|db| Ok(db.execute("DELETE FROM chore WHERE what = 'merge'", [])?))?;
        Ok(if is_pending(&self.db)? { Scrub::More } else { Scrub::Done })
    }
}
