//! Who may write a conversation: a lease in the store, backed by a file lock that the operating system frees when its
//! process ends, however it ends. No heartbeat, so nothing wakes up.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};

use super::worker::Desk;
use super::{Claim, StoreError, ledger, process, recover, schema};
use crate::chat::ConversationId;

/// The lock that says that this process lives. Freed when dropped.
pub(super) struct ProcessLock {
    pub(super) token: String,
    file: PathBuf,
    _held: File,
}

impl ProcessLock {
    pub(super) fn take(db: &Connection, store: &Path, single: bool) -> Result<Self, StoreError> {
        let token = uuid::Uuid::now_v7().to_string();
        let file = lock_file(store, &token);
        let folder = locks(store);
        std::fs::create_dir_all(&folder).map_err(|e| StoreError::io(&folder, &e))?;
        let mut held =
            File::options().create_new(true).write(true).open(&file).map_err(|e| StoreError::io(&file, &e))?;
        // Only rows of `process` are ever looked at, so the lock is held before anyone can ask for it.
        held.lock().map_err(|e| StoreError::io(&file, &e))?;
        if let Some(identity) = process::identity(std::process::id()) {
            held.write_all(identity.as_bytes()).map_err(|e| StoreError::io(&file, &e))?;
        }
        db.execute(
            "INSERT INTO process (token, pid, started, single) VALUES (?1, ?2, ?3, ?4)",
            params![token, std::process::id(), ledger::now(), single],
        )?;
        Ok(Self { token, file, _held: held })
    }
}

impl Drop for ProcessLock {
    fn drop(&mut self) {
        // Its row is forgotten by the next start, which finds no file.
        let _ = std::fs::remove_file(&self.file);
    }
}

/// Held shared by every process that may write the store, and alone by one that replaces its file.
pub(super) struct OpenLock(#[allow(dead_code, reason = "held until it is dropped")] File);

impl OpenLock {
    /// Waits while the file is being replaced. None: locks cannot be had here, which the file itself will tell.
    pub(super) fn share(store: &Path) -> Option<Self> {
        let file = Self::file(store).ok()?;
        file.lock_shared().ok().map(|()| Self(file))
    }

    /// # Errors
    /// [`StoreError::Locked`] where any process has the store open.
    pub(super) fn alone(store: &Path) -> Result<Self, StoreError> {
        let file = Self::file(store)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            // A file system without locks: better to think that somebody has it open.
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => Err(StoreError::Locked { path: store.into() }),
        }
    }

    fn file(store: &Path) -> Result<File, StoreError> {
        schema::private_folder(store)?;
        let (folder, file) = (locks(store), lock_file(store, OPEN));
        std::fs::create_dir_all(&folder).map_err(|e| StoreError::io(&folder, &e))?;
        File::options().create(true).truncate(false).write(true).open(&file).map_err(|e| StoreError::io(&file, &e))
    }
}

/// No token of a process is so short.
const OPEN: &str = "open";

fn locks(store: &Path) -> PathBuf {
    let mut folder = store.as_os_str().to_owned();
    folder.push("-locks");
    folder.into()
}

fn lock_file(store: &Path, token: &str) -> PathBuf {
    locks(store).join(token)
}

/// Whether the process behind a token still lives.
pub(super) fn lives(store: &Path, token: &str) -> bool {
    match File::options().write(true).open(lock_file(store, token)) {
        Ok(file) => match file.try_lock() {
            // Ours for this moment, so nobody's.
            Ok(()) => false,
            Err(TryLockError::WouldBlock) => true,
            // A file system without locks: better to think it lives than to write over its work.
            Err(TryLockError::Error(_)) => true,
        },
        Err(e) => e.kind() != std::io::ErrorKind::NotFound,
    }
}

/// Whether the process that has this id, here and now, is the one behind a token. Where the system tells nothing by which it
/// could be known, its lock alone says so.
pub(super) fn is_process(store: &Path, token: &str, pid: u32) -> bool {
    let file = lock_file(store, token);
    let held = File::options().write(true).open(&file).map(|file| file.try_lock());
    let is_held = matches!(held, Ok(Err(TryLockError::WouldBlock)));
    let Ok(said) = std::fs::read_to_string(&file) else { return false };
    is_held && (said.is_empty() || process::identity(pid).is_some_and(|now| now == said))
}

/// The processes that the store knows and that are gone.
pub(super) fn dead_processes(db: &Connection, store: &Path) -> Result<Vec<String>, StoreError> {
    let mut statement = db.prepare("SELECT token FROM process")?;
    let tokens = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    Ok(tokens.into_iter().filter(|token| !lives(store, token)).collect())
}

/// Removes what dead processes left: their leases, rows and lock files.
pub(super) fn forget(db: &Connection, tokens: &[String], store: &Path) -> Result<(), StoreError> {
    for token in tokens {
        db.execute("DELETE FROM lease WHERE process = ?1", [token])?;
        db.execute("DELETE FROM process WHERE token = ?1", [token])?;
        let _ = std::fs::remove_file(lock_file(store, token));
    }
    Ok(())
}

/// Who else holds a conversation and lives.
pub(super) fn holder(
    db: &Connection,
    store: &Path,
    id: &ConversationId,
    us: Option<&str>,
) -> Result<Option<Claim>, StoreError> {
    let row = db
        .query_row(
            "SELECT l.process, l.since, coalesce(p.pid, 0) FROM lease l LEFT JOIN process p ON p.token = l.process
             WHERE l.conversation = ?1",
            [id.as_str()],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, u32>(2)?)),
        )
        .optional()?;
    Ok(row
        .filter(|(token, _, _)| Some(token.as_str()) != us && lives(store, token))
        .map(|(_, since, pid)| Claim::Held { pid, since }))
}

/// Refuses a write to a conversation that another living process holds: it may have taken it since we last asked.
pub(super) fn admit(db: &Connection, store: &Path, conversation: i64, us: Option<&str>) -> Result<(), StoreError> {
    // The common case is one look-up: it is ours, or nobody's.
    let row: Option<(String, String)> = db
        .prepare_cached(
            "SELECT l.process, l.conversation FROM conversation c JOIN lease l ON l.conversation = c.id WHERE c.no = ?1",
        )?
        .query_row([conversation], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((_, id)) = row.filter(|(process, _)| Some(process.as_str()) != us) else { return Ok(()) };
    match holder(db, store, &ConversationId::new(id), us)? {
        Some(Claim::Held { pid, since: _ }) => Err(StoreError::Held { pid }),
        Some(Claim::Ours) | None => Ok(()),
    }
}

impl Desk {
    pub(super) fn claim(&mut self, id: &ConversationId) -> Result<Claim, StoreError> {
        let us = self.register()?;
        let path = self.path.clone();
        self.change(|db| {
            if let Some(held) = holder(db, &path, id, Some(&us))? {
                return Ok(held);
            }
            recover::recover(db, Some(id), &path)?;
            db.execute(
                "INSERT INTO lease (conversation, process, since) VALUES (?1, ?2, ?3)
                 ON CONFLICT (conversation) DO UPDATE SET since = CASE WHEN process = excluded.process THEN since
                 ELSE excluded.since END, process = excluded.process",
                params![id.as_str(), us, ledger::now()],
            )?;
            Ok(Claim::Ours)
        })
    }

    /// Gives everything back that this process holds.
    pub(super) fn resign(&mut self) -> Result<(), StoreError> {
        let Some(us) = self.leave() else { return Ok(()) };
        let path = self.path.clone();
        self.change(|db| forget(db, &[us], &path))
    }

    pub(super) fn release(&mut self, id: &ConversationId) -> Result<(), StoreError> {
        let Some(us) = self.lock.as_ref().map(|l| l.token.clone()) else { return Ok(()) };
        self.change(|db| {
            db.execute("DELETE FROM lease WHERE conversation = ?1 AND process = ?2", params![id.as_str(), us])?;
            Ok(())
        })
    }
}
