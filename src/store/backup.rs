//! The copy of the store that is made before its schema changes.
//!
//! # Invariants
//! - A schema is only changed once a whole copy of the file as it was stands beside it, readable by its owner alone.
//! - A copy never outlives what was erased from the store: see [`remove`].

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::StoreError;

/// Copies the store as it is, of schema `found`; a copy of that schema that stands already is left as it is.
pub(super) fn before_migration(db: &Connection, store: &Path, found: u32) -> Result<(), StoreError> {
    let copy = of_schema(store, found);
    if copy.is_file() {
        return Ok(());
    }
    // Under a name of its own until it is whole, so that a copy that was cut off is never taken for one.
    let growing = beside(store, &format!("-copying-{}", uuid::Uuid::now_v7()));
    let made =
        write(db, &growing).and_then(|()| std::fs::rename(&growing, &copy).map_err(|e| StoreError::io(&copy, &e)));
    if made.is_err() {
        let _ = std::fs::remove_file(&growing);
    }
    made
}

fn write(db: &Connection, to: &Path) -> Result<(), StoreError> {
    // SQLite writes into an empty file that stands there, and keeps its mode.
    super::schema::make_private(to)?;
    db.execute("VACUUM INTO ?1", [to.to_string_lossy()]).map_err(|e| StoreError::from(e).at(to))?;
    let copied = std::fs::File::open(to).and_then(|file| file.sync_all());
    copied.map_err(|e| StoreError::io(to, &e))
}

/// Every copy that stands beside a store.
pub(super) fn all(store: &Path) -> Vec<PathBuf> {
    let Some(name) = store.file_name().and_then(|n| n.to_str()) else { return Vec::new() };
    let folder = store.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| {
            let entry = entry.file_name();
            entry.to_str().and_then(|e| e.strip_prefix(name)).is_some_and(|rest| {
                rest.starts_with("-copying-")
                    || rest.strip_prefix("-schema-").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
            })
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// Removes every copy: they hold what was erased. Returns how many there were.
pub(super) fn remove(store: &Path) -> Result<usize, StoreError> {
    let copies = all(store);
    for copy in &copies {
        match std::fs::remove_file(copy) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(StoreError::io(copy, &e)),
        }
    }
    Ok(copies.len())
}

fn of_schema(store: &Path, found: u32) -> PathBuf {
    beside(store, &format!("-schema-{found}"))
}

fn beside(store: &Path, ending: &str) -> PathBuf {
    let mut path = store.as_os_str().to_owned();
    path.push(ending);
    path.into()
}
