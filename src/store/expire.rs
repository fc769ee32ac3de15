//! What is kept for so many days and no longer.
//!
//! # Invariants
//! - What is pinned, what any living process has open, ours among them, and what holds a younger draft is kept. What was
//!   deleted goes by its own thirty days.
//! - An age counts from the last change, or from when it was imported, brought back or let go of as pinned.
//! - A folder's own rule is stronger than that for all; of two the longer path's.
//! - One step erases one conversation: a call's intent never waits for all of them.
//! - Where nothing has changed for long the clock may be wrong: then two starts, a day apart, have to agree.
//!
//! # Does not
//! Look at a clock. What is erased here leaves no trace by [`erase`](super::erase).

use rusqlite::{Connection, OptionalExtension, params};

use super::worker::Desk;
use super::{Erased, StoreError, claim, erase};
use crate::chat::{ConversationId, UnixMs};

/// Conversations that one step looks at.
const STEP: i64 = 100;
/// The clock is asked twice where the last change is farther back.
const QUIET_DAYS: u32 = 30;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// For how many days conversations are kept, by the day on which they last changed; None: for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    pub days: Option<u32>,
    /// Of folders and what is below them.
    pub folders: Vec<(String, Option<u32>)>,
}

impl Retention {
    #[must_use]
    pub fn is_forever(&self) -> bool {
        self.days.is_none() && self.folders.iter().all(|(_, days)| days.is_none())
    }

    fn of(&self, folder: &str) -> Option<u32> {
        let below = |path: &str| {
            let rest = folder.strip_prefix(path.trim_end_matches(['/', '\\']));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '\\']))
        };
        let rules = self.folders.iter().filter(|(path, _)| below(path));
        rules.max_by_key(|(path, _)| path.len()).map_or(self.days, |(_, days)| *days)
    }

    /// What any rule could erase changed before this.
    fn latest(&self, now: UnixMs) -> Option<UnixMs> {
        self.folders.iter().map(|(_, days)| *days).chain([self.days]).flatten().min().map(|days| before(now, days))
    }
}

fn before(now: UnixMs, days: u32) -> UnixMs {
    now.saturating_sub(i64::from(days).saturating_mul(DAY_MS))
}

/// What was erased for its age.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    pub conversations: usize,
    /// Prompts and drafts.
    pub texts: usize,
    /// What stands in the way of the last traces.
    pub erased: Erased,
    /// Nothing was erased yet, since nothing has changed here for so many days.
    pub put_off: Option<i64>,
}

impl Expired {
    /// For a person; None where nothing was erased.
    #[must_use]
    pub fn sentence(&self) -> Option<String> {
        if let Some(days) = self.put_off {
            return Some(format!(
                "Nothing has changed here for {days} days. If the clock is right, what is older than keep_days in [store] \
                 is erased at a start from tomorrow on."
            ));
        }
        let count = |n: usize, one: &str, many: &str| match n {
            0 => None,
            1 => Some(format!("1 {one}")),
            n => Some(format!("{n} {many}")),
        };
        let parts = [
            count(self.conversations, "conversation", "conversations"),
            count(self.texts, "prompt or draft", "prompts and drafts"),
        ];
        let what = parts.into_iter().flatten().collect::<Vec<_>>().join(" and ");
        if what.is_empty() {
            return None;
        }
        let mut said = format!("Erased for their age, as keep_days in [store] says: {what}.");
        for remark in self.erased.remarks() {
            said.push(' ');
            said.push_str(&remark);
        }
        Some(said)
    }
}

/// Up to where was looked: when it changed, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor(UnixMs, i64);

impl Cursor {
    pub(super) const START: Self = Self(UnixMs::MIN, 0);
}

pub(super) struct Step {
    pub erased: usize,
    pub copies: usize,
    /// Where the next one begins; None: that was all.
    pub next: Option<Cursor>,
}

struct Row {
    no: i64,
    id: String,
    folder: String,
    updated: UnixMs,
    /// From when its age counts.
    since: UnixMs,
}

fn rows(db: &Connection, sql: &str, values: impl rusqlite::Params) -> Result<Vec<Row>, StoreError> {
    let mut statement = db.prepare_cached(sql)?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Row { no: row.get(0)?, id: row.get(1)?, folder: row.get(2)?, updated: row.get(3)?, since: row.get(4)? })
    };
    Ok(statement.query_map(values, read)?.collect::<Result<_, _>>()?)
}

impl Desk {
    /// Erases of the next conversations, oldest first, those that are too old.
    pub(super) fn expire(&mut self, rules: &Retention, now: UnixMs, from: Cursor) -> Result<Step, StoreError> {
        let Some(latest) = rules.latest(now) else { return Ok(Step { erased: 0, copies: 0, next: None }) };
        let found = rows(
            &self.db,
            "SELECT no, id, folder, updated, max(updated, arrived) FROM conversation WHERE deleted IS NULL AND updated < ?1
             AND (updated, no) > (?2, ?3) ORDER BY updated, no LIMIT ?4",
            params![latest, from.0, from.1, STEP],
        )?;
        let last = found.last().map(|row| Cursor(row.updated, row.no));
        let more = i64::try_from(found.len()).unwrap_or(0) == STEP;
        let old = |row: &&Row| rules.of(&row.folder).is_some_and(|days| row.since < before(now, days));
        let Some(row) = found.iter().find(old) else {
            return Ok(Step { erased: 0, copies: 0, next: last.filter(|_| more) });
        };
        let path = self.path.clone();
        let erased = self.change(|db| {
            // Read again: it may have been pinned, written to or erased since.
            let horizon = rules.of(&row.folder).map(|days| before(now, days));
            let stands: bool = db
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM conversation WHERE no = ?1 AND pinned = 0 AND deleted IS NULL
                     AND updated = ?2 AND arrived <= ?3)
                     AND NOT EXISTS (SELECT 1 FROM draft WHERE owner = 'c:' || ?4 AND at >= ?5)",
                )?
                .query_row(params![row.no, row.updated, row.since, row.id, horizon], |row| row.get(0))?;
            let gone = stands && claim::holder(db, &path, &ConversationId::new(&row.id), None)?.is_none();
            if gone {
                // What was typed since is no older for having been typed before.
                erase::remove(db, row.no, &row.id, horizon)?;
            }
            Ok(gone)
        })?;
        let copies = if erased { self.remove_copies()? } else { 0 };
        Ok(Step { erased: usize::from(erased), copies, next: Some(Cursor(row.updated, row.no)) })
    }

    /// For how many days nothing has changed, where that is so long that the clock may be wrong and nothing is to be erased
    /// by it yet.
    pub(super) fn doubts_clock(&mut self, now: UnixMs) -> Result<Option<i64>, StoreError> {
        self.change(|db| {
            let newest: Option<UnixMs> = db.query_row(
                "SELECT max(at) FROM (SELECT max(updated, arrived) AS at FROM conversation UNION ALL SELECT at FROM prompt)",
                [],
                |row| row.get(0),
            )?;
            let Some(quiet) = newest.filter(|newest| *newest < before(now, QUIET_DAYS)) else {
                db.execute("DELETE FROM put_off", [])?;
                return Ok(None);
            };
            let first: Option<UnixMs> =
                db.query_row("SELECT at FROM put_off", [], |row| row.get(0)).optional()?.filter(|first| *first <= now);
            if first.is_some_and(|first| first <= before(now, 1)) {
                return Ok(None);
            }
            if first.is_none() {
                db.execute("INSERT OR REPLACE INTO put_off (only, at) VALUES (1, ?1)", [now])?;
            }
            Ok(Some(now.saturating_sub(quiet) / DAY_MS))
        })
    }

    /// Erases prompts and drafts that are too old; how many those were.
    pub(super) fn expire_texts(&mut self, rules: &Retention, now: UnixMs) -> Result<usize, StoreError> {
        let Some(days) = rules.days else { return Ok(0) };
        let horizon = before(now, days);
        let gone = |db: &Connection| {
            let prompts = db.execute("DELETE FROM prompt WHERE at < ?1", [horizon])?;
            // What is written in a conversation goes with it, what stands in a folder by itself.
            let drafts = db.execute("DELETE FROM draft WHERE at < ?1 AND owner LIKE 'f:%'", [horizon])?;
            if prompts + drafts > 0 {
                db.execute("INSERT OR IGNORE INTO chore (what) VALUES ('scrub')", [])?;
            }
            Ok(prompts + drafts)
        };
        self.change(gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_folder_rules() {
        let rules = Retention {
            days: Some(90),
            folders: vec![("/src".into(), Some(30)), ("/src/kept/".into(), None), ("/src/secret".into(), Some(1))],
        };
        for (folder, days) in [
            ("/home", Some(90)),
            ("/src", Some(30)),
            ("/src/web", Some(30)),
            ("/srcs", Some(90)),
            ("/src/kept", None),
            ("/src/kept/deep", None),
            ("/src/keptish", Some(30)),
            ("/src/secret/deep", Some(1)),
        ] {
            assert_eq!(rules.of(folder), days, "{folder}");
        }
        assert_eq!(rules.latest(10 * DAY_MS), Some(9 * DAY_MS));
        assert!(!rules.is_forever() && Retention::default().is_forever());
        assert_eq!(Retention { days: None, folders: vec![("/x".into(), None)] }.latest(1), None);
    }
}
