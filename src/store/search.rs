//! Finding conversations by what was said in them, within a bounded time.
//!
//! Words of three letters and more are looked up in a trigram index, newest messages first and in windows, so that a
//! query that is everywhere ends with the newest matches instead of all of them. Shorter words (two characters are a
//! word in Chinese or Japanese) have no trigram: for them the newest titles and texts are read, as many as the time
//! allows. What was cut short says so (`more`).

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::{Query, SearchPage, StoreError, index, listing, query, snippet};
use crate::chat::{Hit, MessageId, Summary};

/// What a first page may take, less what opening a window and making the page may still need.
const BUDGET: Duration = Duration::from_millis(30);
/// Matching messages of one word that are looked at.
const CANDIDATES: usize = 1500;
/// Rows of the first window; the next one is twice as wide where the time allows.
const WINDOW: i64 = 20_000;
/// The narrowest window.
const NARROW: i64 = 1_000;
/// Conversations of one window of a search without words.
const LIST_WINDOW: i64 = 2_000;

/// Where one word was found: conversation to messages, newest first; an empty list: in the title alone.
#[derive(Default)]
struct Found {
    places: HashMap<i64, Vec<i64>>,
    complete: bool,
}

pub(super) fn search(
    db: &Connection,
    query: &Query,
    folder: Option<&str>,
    limit: usize,
) -> Result<SearchPage, StoreError> {
    let began = Instant::now();
    let until = began + BUDGET;
    let mut page = if query.terms.is_empty() {
        filtered(db, query, folder, limit, until)?
    } else {
        worded(db, query, folder, limit, until)?
    };
    page.took = began.elapsed();
    Ok(page)
}

/// Where a search begins: at the newest, or where a date says.
struct From {
    before: i64,
    /// The newest conversation and message to look at.
    conversation: i64,
    message: i64,
    /// Nothing newer was left out.
    is_newest: bool,
}

impl From {
    /// How many conversations are asked for their newest message: clocks that were set back put them out of order.
    const AROUND: i64 = 50;

    fn find(db: &Connection, query: &Query) -> Result<Self, StoreError> {
        let last: i64 = db.query_row("SELECT coalesce(max(no), 0) FROM message", [], |row| row.get(0))?;
        let Some(before) = query.before() else {
            return Ok(Self { before: i64::MAX, conversation: i64::MAX, message: last, is_newest: true });
        };
        let (conversation, message) = db
            .prepare_cached(
                "SELECT coalesce(max(no), 0),
                 coalesce(max((SELECT max(m.no) FROM message m WHERE m.conversation = c.no)), 0)
                 FROM (SELECT no FROM conversation WHERE deleted IS NULL AND updated < ?1
                       ORDER BY updated DESC, no DESC LIMIT ?2) c",
            )?
            .query_row(params![before, Self::AROUND], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Self { before, conversation, message, is_newest: message == last })
    }
}

fn worded(
    db: &Connection,
    query: &Query,
    folder: Option<&str>,
    limit: usize,
    until: Instant,
) -> Result<SearchPage, StoreError> {
    let from = From::find(db, query)?;
    let mut found = Vec::with_capacity(query.terms.len());
    for (at, term) in query.terms.iter().enumerate() {
        let left = until.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(query.terms.len() - at + 1).unwrap_or(u32::MAX);
        found.push(look_up(db, term, &from, Instant::now() + share)?);
    }
    let (mut places, mut more) = combine(db, &query.terms, found, until)?;
    let mut among: Vec<i64> = places.keys().copied().collect();
    // Each operator looks at each of them.
    if !query.filters.is_empty() && among.len() > CANDIDATES {
        among.sort_unstable_by(|a, b| b.cmp(a));
        among.truncate(CANDIDATES);
        more = true;
    }
    let (rows, total) = rows(db, query, folder, among, limit)?;
    let mut hits = Vec::with_capacity(rows.len());
    for (no, summary) in rows {
        if Instant::now() > until + BUDGET / 3 {
            more = true;
            break;
        }
        hits.push(hit(db, no, summary, places.remove(&no).unwrap_or_default(), &query.terms)?);
    }
    Ok(SearchPage { hits, total, more, took: Duration::ZERO })
}

/// A phrase of the index's own language: whatever stands in it is text.
fn phrase(term: &str) -> String {
    format!("\"{}\"", term.replace('"', "\"\""))
}

fn look_up(db: &Connection, term: &str, from: &From, until: Instant) -> Result<Found, StoreError> {
    if term.chars().count() < 3 {
        return look_through(db, term, from, until);
    }
    let phrase = phrase(term);
    let mut found = Found { complete: true, ..Found::default() };
    let most = i64::try_from(CANDIDATES).unwrap_or(i64::MAX);
    let titles: Vec<i64> = db
        .prepare_cached(
            "SELECT rowid FROM title_search WHERE title_search MATCH ?1 AND rowid <= ?3 ORDER BY rowid DESC LIMIT ?2",
        )?
        .query_map(params![phrase, most, from.conversation], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    found.complete = titles.len() < CANDIDATES && from.is_newest;
    found.places.extend(titles.into_iter().map(|no| (no, Vec::new())));
    let mut high = from.message;
    let (mut width, mut seen) = (WINDOW, 0);
    let mut statement = db.prepare_cached(
        "SELECT m.no, m.conversation FROM message_search s JOIN message m ON m.no = s.rowid
         WHERE s.message_search MATCH ?1 AND s.rowid BETWEEN ?2 AND ?3 ORDER BY s.rowid DESC LIMIT ?4",
    )?;
    while high > 0 {
        let low = (high - width).max(0) + 1;
        let room = i64::try_from(CANDIDATES - seen).unwrap_or(0);
        let began = Instant::now();
        let mut rows = statement.query(params![phrase, low, high, room])?;
        while let Some(row) = rows.next()? {
            seen += 1;
            found.places.entry(row.get(1)?).or_default().push(row.get(0)?);
        }
        high = low - 1;
        if seen >= CANDIDATES || (high > 0 && Instant::now() >= until) {
            found.complete = false;
            break;
        }
        width = next_width(width, began.elapsed(), until.saturating_duration_since(Instant::now()));
    }
    Ok(found)
}

/// How wide a window may be so that it most likely ends in the time that is left: a phrase of common letters takes long
/// where it is not found.
fn next_width(width: i64, took: Duration, left: Duration) -> i64 {
    let per_row = took.as_secs_f64() / width as f64;
    let fits = left.as_secs_f64() / 2.0 / per_row.max(1e-12);
    (width * 2).min(fits as i64).max(NARROW)
}

/// For words too short for the index: newest titles, then newest texts.
fn look_through(db: &Connection, term: &str, from: &From, until: Instant) -> Result<Found, StoreError> {
    let mut found = Found { complete: from.is_newest, ..Found::default() };
    let mut titles = db.prepare_cached(
        "SELECT c.no, coalesce(nullif(c.title, ''), c.first_line) FROM conversation c WHERE c.deleted IS NULL
         AND c.updated < ?1 ORDER BY c.updated DESC, c.no DESC",
    )?;
    let half = Instant::now() + until.saturating_duration_since(Instant::now()) / 2;
    let mut rows = titles.query([from.before])?;
    let mut count = 0_u32;
    while let Some(row) = rows.next()? {
        let title = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        if snippet::find(title, term).is_some() {
            found.places.entry(row.get(0)?).or_default();
        }
        count += 1;
        if count.is_multiple_of(64) && Instant::now() >= half {
            found.complete = false;
            break;
        }
    }
    let mut texts = db.prepare_cached(
        "SELECT m.no, m.conversation, coalesce(k.content, m.text) FROM message m LEFT JOIN call k ON k.no = m.call
         WHERE m.no <= ?1 ORDER BY m.no DESC",
    )?;
    let mut rows = texts.query([from.message])?;
    let mut seen = 0;
    while let Some(row) = rows.next()? {
        let text = row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?;
        if snippet::find(text, term).is_some() {
            found.places.entry(row.get(1)?).or_default().push(row.get(0)?);
            seen += 1;
        }
        if seen >= CANDIDATES || Instant::now() >= until {
            found.complete = false;
            break;
        }
    }
    Ok(found)
}

/// The conversations in which every word was found, and whether there may be more.
fn combine(
    db: &Connection,
    terms: &[String],
    mut found: Vec<Found>,
    until: Instant,
) -> Result<(HashMap<i64, Vec<i64>>, bool), StoreError> {
    // The word that is found least, and wholly where there is one, names the candidates; the others must agree.
    let driver = (0..found.len()).min_by_key(|i| (!found[*i].complete, found[*i].places.len())).unwrap_or(0);
    let mut more = !found[driver].complete;
    let mut places = std::mem::take(&mut found[driver].places);
    for (at, other) in found.iter_mut().enumerate().filter(|(at, _)| *at != driver) {
        let mut unsure = Vec::new();
        places.retain(|no, messages| match other.places.remove(no) {
            Some(found) => {
                messages.extend(found);
                true
            }
            None if other.complete => false,
            None => {
                unsure.push(*no);
                true
            }
        });
        unsure.sort_unstable_by(|a, b| b.cmp(a));
        for no in unsure {
            if Instant::now() >= until {
                more = true;
                places.remove(&no);
            } else if !holds(db, no, &terms[at])? {
                places.remove(&no);
            }
        }
    }
    Ok((places, more))
}

/// Whether a word stands anywhere in one conversation.
fn holds(db: &Connection, conversation: i64, term: &str) -> Result<bool, StoreError> {
    Ok(db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM message m LEFT JOIN call k ON k.no = m.call WHERE m.conversation = ?1
             AND (m.text LIKE ?2 ESCAPE '\\' OR k.content LIKE ?2 ESCAPE '\\' OR k.arguments LIKE ?2 ESCAPE '\\'))",
        )?
        .query_row(params![conversation, query::containing(term)], |row| row.get(0))?)
}

/// The newest of some conversations for which the operators hold, and how many there are.
fn rows(
    db: &Connection,
    query: &Query,
    folder: Option<&str>,
    among: Vec<i64>,
    limit: usize,
) -> Result<(Vec<(i64, Summary)>, usize), StoreError> {
    let (mut conditions, mut more) = query.conditions();
    if let Some(folder) = folder {
        conditions.push_str(" AND c.folder = ?");
        more.push(Value::from(folder.to_owned()));
    }
    let mut values = vec![Value::from(serde_json::to_string(&among)?)];
    values.append(&mut more);
    let mut statement = db.prepare_cached(&format!(
        "SELECT {} FROM json_each(?) j CROSS JOIN conversation c ON c.no = j.value
         WHERE c.deleted IS NULL{conditions} ORDER BY c.updated DESC, c.no DESC",
        listing::COLUMNS
    ))?;
    let mut found = statement.query(params_from_iter(values))?;
    let (mut rows, mut total) = (Vec::new(), 0);
    while let Some(row) = found.next()? {
        total += 1;
        if rows.len() < limit {
            rows.push((row.get(12)?, listing::read(row)?));
        }
    }
    Ok((rows, total))
}

fn hit(
    db: &Connection,
    no: i64,
    summary: Summary,
    mut messages: Vec<i64>,
    terms: &[String],
) -> Result<Hit, StoreError> {
    // The message that holds the most words; of equals the newest.
    let mut counts: HashMap<i64, usize> = HashMap::new();
    for message in &messages {
        *counts.entry(*message).or_default() += 1;
    }
    let best = counts.iter().max_by_key(|(no, count)| (**count, **no)).map(|(no, _)| *no);
    messages.sort_unstable();
    messages.dedup();
    let found = match best {
        Some(message) => snippet::cut(&index::document(db, message)?, terms),
        None => None,
    };
    let message = match best {
        Some(message) => db
            .prepare_cached("SELECT id FROM message WHERE no = ?1")?
            .query_row([message], |row| row.get(0))
            .optional()?,
        None => db
            .prepare_cached("SELECT id FROM message WHERE conversation = ?1 ORDER BY no LIMIT 1")?
            .query_row([no], |row| row.get::<_, String>(0))
            .optional()?,
    };
    let (snippet, marks) = match found {
        Some(found) => found,
        None => (summary.title.clone(), snippet::marks(&summary.title, terms)),
    };
    Ok(Hit {
        message: MessageId::new(message.unwrap_or_default()),
        snippet,
        marks,
        matches: u32::try_from(messages.len()).unwrap_or(u32::MAX),
        summary,
    })
}

/// Operators alone: the newest conversations for which they hold.
fn filtered(
    db: &Connection,
    query: &Query,
    folder: Option<&str>,
    limit: usize,
    until: Instant,
) -> Result<SearchPage, StoreError> {
    let mut page = SearchPage::default();
    let mut seen: HashSet<i64> = HashSet::new();
    let mut after = (query.before().unwrap_or(i64::MAX), i64::MIN);
    let mut window = db.prepare_cached(
        "SELECT updated, no FROM conversation WHERE deleted IS NULL AND (updated, no) < (?1, ?2)
         ORDER BY updated DESC, no DESC LIMIT ?3",
    )?;
    loop {
        let keys: Vec<(i64, i64)> = window
            .query_map(params![after.0, after.1, LIST_WINDOW], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let Some(last) = keys.last().copied() else { return Ok(page) };
        let among = keys.into_iter().map(|(_, no)| no).filter(|no| seen.insert(*no)).collect();
        let (rows, total) = rows(db, query, folder, among, limit - page.hits.len())?;
        page.total += total;
        for (no, summary) in rows {
            page.hits.push(hit(db, no, summary, Vec::new(), &[])?);
        }
        after = last;
        if Instant::now() >= until {
            page.more = true;
            return Ok(page);
        }
    }
}
