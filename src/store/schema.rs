//! Opening the file: permissions, pragmas, version, migrations.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{OpenMode, Space, StoreError, backup, squeeze};

/// Marks the file as ours (`MLRC`).
const APPLICATION: i64 = 0x4D4C_5243;

/// Every migration, in order; the schema's version is how many were applied.
const MIGRATIONS: [&str; 4] = [
    include_str!("../../assets/migrations/0001_init.sql"),
    include_str!("../../assets/migrations/0002_whole_results.sql"),
    include_str!("../../assets/migrations/0003_followed.sql"),
    include_str!("../../assets/migrations/0004_ages.sql"),
];

pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

/// Bytes from which on a log is long.
pub(super) const LONG_LOG: u32 = 16 * 1024 * 1024;

/// SQLite before 3.51.3 can damage a WAL that two connections write.
const SQLITE_FLOOR: i32 = 3_051_003;

/// The version of SQLite that is built in.
#[must_use]
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}

/// Opens the writing connection (or, in [`OpenMode::Read`], one that only reads).
pub(super) fn open(path: &Path, mode: OpenMode) -> Result<Connection, StoreError> {
    open_file(path, mode).map_err(|e| e.at(path))
}

fn open_file(path: &Path, mode: OpenMode) -> Result<Connection, StoreError> {
    if rusqlite::version_number() < SQLITE_FLOOR {
        return Err(StoreError::Sql { detail: format!("SQLite {} is too old", rusqlite::version()) });
    }
    if mode == OpenMode::Read {
        return open_to_read(path);
    }
    make_private(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(Duration::from_secs(5))?;
    // Looked at before anything is changed: another program's file, or a later version's, stays as it is.
    let found = recognise(&db)?;
    if found == 0 {
        // Pages must be chosen before the first table; small ones suit small rows.
        db.pragma_update(None, "application_id", APPLICATION)?;
    }
    begin_log(&db)?;
    settle(&db)?;
    db.pragma_update(None, "synchronous", "NORMAL")?;
    // The writer takes checkpoints itself (`Desk::committed`): one that SQLite takes within a commit fails unheard.
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    db.pragma_update(None, "journal_size_limit", LONG_LOG)?;
    // What is freed is overwritten, so that what was erased leaves no trace.
    db.pragma_update(None, "secure_delete", true)?;
    if found != 0 && found != VERSION {
        backup::before_migration(&db, path, found)?;
    }
    migrate(&mut db, found)?;
    Ok(db)
}

/// A connection that only reads, beside a writing one or on a read-only disk.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let look = |db: Connection| -> Result<Connection, StoreError> {
        db.busy_timeout(Duration::from_secs(5))?;
        settle(&db)?;
        match recognise(&db)? {
            VERSION => Ok(db),
            // A file of an earlier version is brought up to date by the first that may write.
            found => {
                Err(StoreError::Sql { detail: format!("its schema is {found}, not {VERSION}: open it writable once") })
            }
        }
    };
    match Connection::open_with_flags(path, flags).map_err(StoreError::from).and_then(look) {
        Ok(db) => Ok(db),
        // A WAL needs a writable folder beside it, unless nothing can change the file.
        Err(StoreError::Io { .. } | StoreError::ReadOnly { .. }) if path.is_file() && !has_wal(path) => {
            let uri = format!("file:{}?immutable=1", uri_path(path));
            look(Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?)
        }
        Err(error) => Err(error),
    }
}

fn has_wal(path: &Path) -> bool {
    wal_path(path).metadata().is_ok_and(|m| m.len() > 0)
}

/// SQLite's log beside the file.
pub(super) fn wal_path(path: &Path) -> std::path::PathBuf {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    wal.into()
}

fn uri_path(path: &Path) -> String {
    let mut out = String::new();
    for c in path.to_string_lossy().chars() {
        match c {
            '%' => out.push_str("%25"),
            '?' => out.push_str("%3f"),
            '#' => out.push_str("%23"),
            c => out.push(c),
        }
    }
    out
}

/// Lets the file have a log. Its mode comes as a row, and whether that could be written behind it: who reads no further
/// never hears that SQLite goes on without one.
fn begin_log(db: &Connection) -> Result<(), StoreError> {
    let mut statement = db.prepare("PRAGMA journal_mode = WAL")?;
    let mut rows = statement.query([])?;
    let mut mode = String::new();
    while let Some(row) = rows.next()? {
        mode = row.get(0)?;
    }
    match mode.as_str() {
        "wal" => Ok(()),
        other => Err(StoreError::Sql { detail: format!("it can have no log: its journal would be {other}") }),
    }
}

fn settle(db: &Connection) -> Result<(), StoreError> {
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "mmap_size", 0)?;
    db.pragma_update(None, "trusted_schema", false)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.set_prepared_statement_cache_capacity(64);
    squeeze::register(db)
}

/// The schema's version; 0 for an empty file.
fn recognise(db: &Connection) -> Result<u32, StoreError> {
    // One moment of the file: another process may be making its tables.
    let moment = db.unchecked_transaction()?;
    let number = |name: &str| moment.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = moment.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    moment.finish()?;
    if tables == 0 && version == 0 {
        return Ok(0);
    }
    if application != APPLICATION {
        return Err(StoreError::Foreign { path: Default::default() });
    }
    let found = u32::try_from(version).unwrap_or(u32::MAX);
    if found > VERSION {
        return Err(StoreError::Newer { path: Default::default(), found, known: VERSION });
    }
    Ok(found)
}

fn migrate(db: &mut Connection, found: u32) -> Result<(), StoreError> {
    if found == VERSION {
        return Ok(());
    }
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    let found: u32 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for script in MIGRATIONS.iter().skip(found as usize) {
        tx.execute_batch(script)?;
    }
    tx.pragma_update(None, "user_version", VERSION)?;
    tx.commit()?;
    Ok(())
}

/// The folder of the store, for this user alone.
#[cfg(unix)]
pub(super) fn private_folder(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::DirBuilderExt;
    let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty() && !f.is_dir()) else { return Ok(()) };
    let stands = folder.ancestors().skip(1).position(Path::is_dir);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| StoreError::io(folder, &e))?;
    // A file that is synced in a folder that is not may be lost with it. SQLite does the same for the folder itself.
    let made = stands.unwrap_or_default() + 1;
    for parent in folder.ancestors().skip(1).take(made) {
        if let Err(error) = sync_folder(parent) {
            // Empty still: the next try makes and syncs it again.
            for folder in folder.ancestors().take(made) {
                let _ = std::fs::remove_dir(folder);
            }
            return Err(error);
        }
    }
    Ok(())
}

/// Waits until the names in a folder are on the disk. Not every file system can; there this is all that can be done.
#[cfg(unix)]
pub(super) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    match std::fs::File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(e) if matches!(e.kind(), std::io::ErrorKind::InvalidInput | std::io::ErrorKind::Unsupported) => Ok(()),
        synced => synced.map_err(|e| StoreError::io(folder, &e)),
    }
}

#[cfg(not(unix))]
pub(super) fn private_folder(path: &Path) -> Result<(), StoreError> {
    match path.parent() {
        Some(folder) => std::fs::create_dir_all(folder).map_err(|e| StoreError::io(folder, &e)),
        None => Ok(()),
    }
}

/// The file, empty where there is none, for this user alone.
#[cfg(unix)]
pub(super) fn make_private(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt;
    private_folder(path)?;
    // SQLite gives its -wal and -shm the mode of the file itself.
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(StoreError::io(path, &e)),
    }
}

#[cfg(not(unix))]
pub(super) fn make_private(path: &Path) -> Result<(), StoreError> {
    private_folder(path)
}

/// SQLite's own check; None where all is well.
pub(super) fn check(db: &Connection) -> Result<Option<String>, StoreError> {
    let mut statement = db.prepare("PRAGMA integrity_check(20)")?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    Ok(if lines == ["ok"] { None } else { Some(lines.join("; ")) })
}

pub(super) fn space(db: &Connection) -> Result<Space, StoreError> {
    let number = |name: &str| -> Result<u64, StoreError> {
        let number: i64 = db.pragma_query_value(None, name, |row| row.get(0))?;
        Ok(u64::try_from(number).unwrap_or(0))
    };
    let page = number("page_size")?;
    Ok(Space {
        bytes: number("page_count")?.saturating_mul(page),
        free: number("freelist_count")?.saturating_mul(page),
    })
}

pub(super) fn vacuum(db: &Connection) -> Result<(), StoreError> {
    // The copy that it makes may be larger than memory.
    db.pragma_update(None, "temp_store", "FILE")?;
    let done = db.execute_batch("VACUUM");
    db.pragma_update(None, "temp_store", "MEMORY")?;
    done?;
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}
