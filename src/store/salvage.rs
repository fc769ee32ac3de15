//! A damaged file: set aside, and what can still be read of it saved into a new one.
//!
//! # Invariants
//! - Nothing is ever deleted: the damaged file keeps its bytes under a name of its own.
//! - No file is replaced under a process that has it open: its lock is held alone.
//! - At every moment the store's name leads to the damaged file or to the whole new one (where the file
//!   system has hard links; else there is a moment without).
//! - What is saved is valid history: a message whose conversation is lost gets one of its own, one whose predecessor is
//!   lost hangs on the message before it, a call whose result is lost has an outcome that says so.
//!
//! # Does not
//! Repair pages. It reads rows in their order, from both ends and behind every hole.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params, params_from_iter};

use super::{OpenMode, StoreError, claim, recover, rows, schema, squeeze};
use crate::chat::{Answer, AnswerState, Body, Part};

/// Tables in the order in which rows can stand: what others name comes first. Leases and processes are not kept: whoever
/// held something is gone.
const BY_ROWID: [&str; 6] = ["conversation", "message", "turn", "call", "result", "prompt"];
const BY_KEY: [&str; 5] = ["round", "pin", "permission", "learnt", "draft"];

/// How many places behind a hole are tried one by one, before the steps grow: more than one page holds.
const CLOSE: u32 = 4096;
/// Where rows end for certain.
const LAST: i64 = i64::MAX - 1;

/// What was saved of a damaged store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// Where the damaged file stands now.
    pub aside: PathBuf,
    pub conversations: u64,
    pub messages: u64,
    /// Some of it could not be read: rows are missing, nobody knows how many.
    pub holes: bool,
}

impl std::fmt::Display for Salvaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { aside, conversations, messages, holes } = self;
        write!(f, "The store was damaged. {conversations} conversations with {messages} messages were saved from it")?;
        f.write_str(if *holes { "; some could not be read. " } else { ", all that it had. " })?;
        write!(f, "The damaged file is kept: {}", aside.display())
    }
}

/// Makes a new file of what can be read, then lets it take the place of the damaged one. A crash on the way leaves the
/// damaged file where it is, to be salvaged again.
pub(super) fn salvage(store: &Path) -> Result<Salvaged, StoreError> {
    replace(store, &claim::OpenLock::alone(store)?)
}

/// The same, unless the file opens now: another process may have done it.
pub(super) fn where_it_does_not_open(store: &Path) -> Result<Option<Salvaged>, StoreError> {
    let alone = claim::OpenLock::alone(store)?;
    match schema::open(store, OpenMode::Write) {
        Err(StoreError::Corrupt { .. }) => replace(store, &alone).map(Some),
        opened => opened.map(|_| None),
    }
}

fn replace(store: &Path, _alone: &claim::OpenLock) -> Result<Salvaged, StoreError> {
    sweep(store);
    let growing = beside(store, &format!("{GROWING}{}", uuid::Uuid::now_v7()));
    let made = fill(store, &growing).and_then(|mut salvaged| {
        salvaged.aside = exchange(store, &growing)?;
        Ok(salvaged)
    });
    if made.is_err() {
        sweep(store);
    }
    made
}

/// Between the store's name and the rest of the name of a new file that is not whole yet, and of a damaged one.
const GROWING: &str = "-salvaging-";
const DAMAGED: &str = "-damaged-";

/// Removes what a salvage that was cut off had made so far. Only where a lock says that none is under way.
pub(super) fn sweep(store: &Path) {
    for file in named(store, GROWING) {
        let _ = std::fs::remove_file(file);
    }
}

/// The damaged files that stand beside a store.
pub(super) fn set_aside_before(store: &Path) -> Vec<PathBuf> {
    let mut found = named(store, DAMAGED);
    found.retain(|path| path.extension().is_none_or(|e| !e.to_string_lossy().ends_with("-wal")));
    found
}

fn named(store: &Path, between: &str) -> Vec<PathBuf> {
    let Some(begin) = store.file_name().map(|name| format!("{}{between}", name.to_string_lossy())) else {
        return Vec::new();
    };
    let folder = store.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&begin))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// Gives the damaged file its own name and the new one the store's. The damaged one is never without a name.
fn exchange(store: &Path, growing: &Path) -> Result<PathBuf, StoreError> {
    let now = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
    let aside = (0..100)
        .map(|n| beside(store, &if n == 0 { format!("{DAMAGED}{now}") } else { format!("{DAMAGED}{now}-{n}") }))
        .find(|path| !path.exists())
        .ok_or_else(|| StoreError::Io { path: store.into(), detail: "no free name to set it aside".into() })?;
    // Its log goes first: beside the new file it would be taken for that one's.
    let wal = schema::wal_path(store);
    if wal.exists() {
        std::fs::rename(&wal, schema::wal_path(&aside)).map_err(|e| StoreError::io(&wal, &e))?;
    }
    let _ = std::fs::remove_file(beside(store, "-shm"));
    // A second name for it, then one step that gives its first to the new file; where there are no second names, two.
    let renamed = std::fs::hard_link(store, &aside)
        .or_else(|_| std::fs::rename(store, &aside))
        .and_then(|()| std::fs::rename(growing, store));
    match renamed {
        Ok(()) => Ok(aside),
        Err(error) => {
            let _ = std::fs::rename(schema::wal_path(&aside), &wal);
            let undone = if store.exists() { std::fs::remove_file(&aside) } else { std::fs::rename(&aside, store) };
            let _ = undone;
            Err(StoreError::io(store, &error))
        }
    }
}

fn beside(store: &Path, ending: &str) -> PathBuf {
    let mut path = store.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

fn fill(from: &Path, to: &Path) -> Result<Salvaged, StoreError> {
    let mut new = schema::open(to, OpenMode::Write)?;
    // A reader of a log needs its shared memory, hence writable; nothing is written to it.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let old = Connection::open_with_flags(from, flags)?;
    // Closing would write its log into it and remove it.
    old.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    squeeze::register(&old)?;
    // Whatever stands in a damaged schema is read, not believed.
    let _ = old.pragma_update(None, "trusted_schema", false);
    let _ = old.pragma_update(None, "writable_schema", true);
    let _ = old.pragma_update(None, "cell_size_check", true);
    new.pragma_update(None, "foreign_keys", false)?;
    let tx = new.transaction()?;
    let mut holes = false;
    for table in BY_ROWID {
        holes |= Copy { old: &old, new: &tx, table }.by_rowid()?;
    }
    for table in BY_KEY {
        holes |= Copy { old: &old, new: &tx, table }.by_key()?;
    }
    make_whole(&tx, from)?;
    let count = |table: &str| -> Result<u64, StoreError> {
        let count: i64 = tx.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    };
    let (conversations, messages) = (count("conversation")?, count("message")?);
    tx.commit()?;
    new.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    // Closed whole, so that its log is gone before it takes its name.
    new.close().map_err(|(_, error)| StoreError::from(error))?;
    Ok(Salvaged { aside: PathBuf::new(), conversations, messages, holes })
}

/// One table, row by row.
struct Copy<'a> {
    old: &'a Connection,
    new: &'a Connection,
    table: &'a str,
}

impl Copy<'_> {
    /// Both files' columns of the table, by the new one's order; None where the old one has none that can be seen.
    fn columns(&self) -> Result<Option<Vec<String>>, StoreError> {
        let of = |db: &Connection| -> rusqlite::Result<Vec<String>> {
            db.prepare("SELECT name FROM pragma_table_info(?1)")?.query_map([self.table], |row| row.get(0))?.collect()
        };
        let Ok(theirs) = of(self.old) else { return Ok(None) };
        let theirs: HashSet<String> = theirs.into_iter().collect();
        let both: Vec<String> = of(self.new)?.into_iter().filter(|name| theirs.contains(name)).collect();
        Ok(Some(both).filter(|both| !both.is_empty()))
    }

    /// Every row that can be read; whether some could not.
    fn by_rowid(&self) -> Result<bool, StoreError> {
        let Some(columns) = self.columns()? else { return Ok(true) };
        let list = columns.join(", ");
        let up = format!("SELECT rowid, {list} FROM {} WHERE rowid >= ?1 AND rowid <= ?2 ORDER BY rowid", self.table);
        let down =
            format!("SELECT rowid, {list} FROM {} WHERE rowid >= ?1 AND rowid <= ?2 ORDER BY rowid DESC", self.table);
        // From the front until it breaks, then from the back: what lies between is searched for what is whole.
        let (front, broken) = self.run(&up, i64::MIN, LAST, &columns)?;
        if !broken {
            return Ok(false);
        }
        let (back, _) = self.run(&down, front.map_or(i64::MIN, |at| at.saturating_add(1)), LAST, &columns)?;
        let (mut at, end) = (front.unwrap_or(0), back.unwrap_or(LAST));
        let (mut step, mut tried) = (1i64, 0u32);
        loop {
            at = at.saturating_add(step);
            if at >= end {
                return Ok(true);
            }
            match self.run(&up, at, end - 1, &columns)? {
                (Some(reached), broken) => {
                    if !broken {
                        return Ok(true);
                    }
                    // Damaged rows may say any number: it only ever goes on.
                    (at, step, tried) = (at.max(reached), 1, 0);
                }
                // Nothing from here to the end, or the page here is broken: a little further.
                (None, false) => return Ok(true),
                (None, true) => {
                    tried += 1;
                    if tried > CLOSE {
                        step = step.saturating_mul(2);
                    }
                }
            }
        }
    }

    /// Copies while rows come; the last that came, and whether it broke off.
    fn run(&self, query: &str, from: i64, to: i64, columns: &[String]) -> Result<(Option<i64>, bool), StoreError> {
        let mut reached = None;
        let Ok(mut statement) = self.old.prepare_cached(query) else { return Ok((None, true)) };
        let Ok(mut rows) = statement.query([from, to]) else { return Ok((None, true)) };
        loop {
            match rows.next() {
                Ok(Some(row)) => {
                    let Ok(at) = row.get::<_, i64>(0) else { return Ok((reached, true)) };
                    let values: rusqlite::Result<Vec<Value>> = (1..=columns.len()).map(|n| row.get(n)).collect();
                    let Ok(values) = values else { return Ok((Some(at), true)) };
                    self.put(columns, values)?;
                    reached = Some(at);
                }
                Ok(None) => return Ok((reached, false)),
                Err(_) => return Ok((reached, true)),
            }
        }
    }

    /// A table without rowids: from the front until it breaks, then from the back.
    fn by_key(&self) -> Result<bool, StoreError> {
        let Some(columns) = self.columns()? else { return Ok(true) };
        let key: Vec<String> = self
            .new
            .prepare("SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk")?
            .query_map([self.table], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let list = columns.join(", ");
        let back: Vec<String> = key.iter().map(|name| format!("{name} DESC")).collect();
        for order in [key.join(", "), back.join(", ")] {
            let Ok(mut statement) = self.old.prepare(&format!("SELECT {list} FROM {} ORDER BY {order}", self.table))
            else {
                return Ok(true);
            };
            let Ok(mut rows) = statement.query([]) else { return Ok(true) };
            loop {
                match rows.next() {
                    Ok(Some(row)) => {
                        let values: rusqlite::Result<Vec<Value>> = (0..columns.len()).map(|n| row.get(n)).collect();
                        if let Ok(values) = values {
                            self.put(&columns, values)?;
                        }
                    }
                    Ok(None) => return Ok(false),
                    Err(_) => break,
                }
            }
        }
        Ok(true)
    }

    /// A row that the schema refuses is one of those that are lost.
    fn put(&self, columns: &[String], values: Vec<Value>) -> Result<(), StoreError> {
        let marks = vec!["?"; columns.len()].join(", ");
        let insert = format!("INSERT OR IGNORE INTO {} ({}) VALUES ({marks})", self.table, columns.join(", "));
        match self.new.prepare_cached(&insert)?.execute(params_from_iter(values)).map_err(StoreError::from) {
            Ok(_) => Ok(()),
            Err(error @ (StoreError::Full { .. } | StoreError::ReadOnly { .. } | StoreError::Io { .. })) => Err(error),
            Err(_) => Ok(()),
        }
    }
}

/// Rows that name others which are lost are made valid; the index is filled anew.
fn make_whole(db: &Connection, store: &Path) -> Result<(), StoreError> {
    db.execute_batch(
        "-- A conversation for those messages that have none.
         INSERT INTO conversation (no, id, folder, model, base_url, title, created, updated, touched)
         SELECT m.conversation, lower(hex(randomblob(16))), '', '', '', 'Saved from a damaged store', min(m.at), max(m.at),
                (SELECT coalesce(max(touched), 0) FROM conversation) + m.conversation
         FROM message m WHERE m.conversation NOT IN (SELECT no FROM conversation) GROUP BY m.conversation;
         DELETE FROM call WHERE conversation NOT IN (SELECT no FROM conversation);
         DELETE FROM turn WHERE conversation NOT IN (SELECT no FROM conversation);
         DELETE FROM round WHERE turn NOT IN (SELECT no FROM turn);
         DELETE FROM result WHERE call NOT IN (SELECT no FROM call);
         UPDATE call SET turn = NULL, round = NULL WHERE turn IS NOT NULL AND turn NOT IN (SELECT no FROM turn);
         UPDATE conversation SET extra = '{}' WHERE NOT json_valid(extra);
         DELETE FROM round WHERE NOT (json_valid(coalesce(times, '{}')) AND json_valid(coalesce(usage, '{}')));
         UPDATE message SET parent = (SELECT max(p.no) FROM message p
                                      WHERE p.conversation = message.conversation AND p.no < message.no)
         WHERE parent IS NOT NULL AND NOT EXISTS (
             -- What a message follows was written before it: there are no circles.
             SELECT 1 FROM message p
             WHERE p.no = message.parent AND p.no < message.no AND p.conversation = message.conversation);
         UPDATE round SET parent = NULL WHERE parent IS NOT NULL AND parent NOT IN (SELECT no FROM message);
         UPDATE conversation SET head = (SELECT max(m.no) FROM message m WHERE m.conversation = conversation.no)
         WHERE NOT EXISTS (SELECT 1 FROM message m WHERE m.no = head AND m.conversation = conversation.no);
         UPDATE conversation SET titled = 0,
             messages = (SELECT count(*) FROM message m WHERE m.conversation = conversation.no AND m.role <> 'tool'),
             calls = (SELECT count(*) FROM call k WHERE k.conversation = conversation.no);
         UPDATE message SET indexed = partial;",
    )?;
    make_readable(db)?;
    recover::recover(db, None, store)?;
    drop_stray_outcomes(db)?;
    recover::answer_lost_calls(db)
}

/// What a row says beside its text may be broken, too: then the text stands alone.
fn make_readable(db: &Connection) -> Result<(), StoreError> {
    let said: Vec<(i64, String, String, String)> = db
        .prepare("SELECT no, role, text, body FROM message WHERE role <> 'tool'")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<Result<_, _>>()?;
    for (no, role, text, body) in said {
        let whole = match role.as_str() {
            "user" => rows::parts(&body).is_ok(),
            _ => rows::answer(text.clone(), &body).is_ok(),
        };
        if !whole {
            let body = match role.as_str() {
                "user" => Body::User(vec![Part::text(text)]),
                _ => Body::Assistant(Answer { text, state: AnswerState::Interrupted, ..Answer::default() }),
            };
            let columns = rows::columns(&body)?;
            db.execute("UPDATE message SET body = ?2, partial = 0 WHERE no = ?1", params![no, columns.body])?;
        }
    }
    let ended: Vec<(i64, String, String)> = db
        .prepare("SELECT no, kind, outcome FROM call WHERE kind IS NOT NULL AND outcome IS NOT NULL")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    for (no, kind, outcome) in ended {
        if rows::outcome(&kind, String::new(), &outcome, None).is_err() {
            db.execute("UPDATE call SET kind = NULL, outcome = NULL WHERE no = ?1", [no])?;
        }
    }
    db.execute("UPDATE call SET kind = NULL, outcome = NULL WHERE kind IS NULL OR outcome IS NULL", [])?;
    let results: Vec<i64> =
        db.prepare("SELECT call FROM result")?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for call in results {
        let read = db.query_row("SELECT length(whole(full)) FROM result WHERE call = ?1", [call], |_| Ok(()));
        if read.is_err() {
            db.execute("DELETE FROM result WHERE call = ?1", [call])?;
        }
    }
    db.execute("UPDATE call SET content = '' WHERE kind IS NOT NULL AND content IS NULL", [])?;
    Ok(())
}

/// Takes out outcomes that answer no call of the answer above them, or one that is answered already. What stood on
/// them stands on what they stood on.
fn drop_stray_outcomes(db: &Connection) -> Result<(), StoreError> {
    let told: Vec<i64> = db
        .prepare("SELECT no FROM message WHERE role = 'tool' ORDER BY no")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut answered: HashSet<(i64, String)> = HashSet::new();
    for no in told {
        // The call's id, and the first message above that is no outcome.
        let (parent, call): (Option<i64>, Option<String>) = db.query_row(
            "SELECT m.parent, CASE WHEN k.kind IS NULL THEN NULL ELSE k.id END
             FROM message m LEFT JOIN call k ON k.no = m.call AND k.conversation = m.conversation WHERE m.no = ?1",
            [no],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let mut above = parent;
        let asked = loop {
            let Some(at) = above else { break None };
            let (role, next, text, body): (String, Option<i64>, String, String) =
                db.query_row("SELECT role, parent, text, body FROM message WHERE no = ?1", [at], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })?;
            match role.as_str() {
                "tool" => above = next,
                "assistant" => break Some((at, rows::answer(text, &body)?)),
                _ => break None,
            }
        };
        let belongs = match (asked, call) {
            (Some((at, answer)), Some(call)) => {
                answer.calls.iter().any(|c| c.id.as_str() == call) && answered.insert((at, call))
            }
            _ => false,
        };
        if !belongs {
            db.execute("UPDATE message SET parent = ?2 WHERE parent = ?1", params![no, parent])?;
            db.execute("UPDATE conversation SET head = ?2 WHERE head = ?1", params![no, parent])?;
            db.execute("UPDATE round SET parent = ?2 WHERE parent = ?1", params![no, parent])?;
            db.execute("DELETE FROM message WHERE no = ?1", [no])?;
        }
    }
    Ok(())
}
