//! What a person typed into the search: words, "phrases" and operators.

use jiff::civil::Date;
use jiff::{ToSpan, Zoned};
use rusqlite::types::Value;

use crate::chat::{OutcomeKind, UnixMs};

/// A search, taken apart. Every word must be found somewhere in the conversation, in any case; every operator must
/// hold:
///
/// - `tool:NAME` a call of a tool whose `server/tool` contains NAME; `tool:failed` a call that failed;
///   `tool:done`, `tool:denied`, `tool:timed_out`, `tool:cancelled`, `tool:unknown`, `tool:invalid`,
///   `tool:incomplete`, `tool:conflict` a call that ended so
/// - `server:NAME` a call of a tool of a server whose name contains NAME
/// - `model:NAME`, `in:NAME` (or `folder:NAME`): the name of the model, of the folder contains NAME
/// - `before:DATE`, `after:DATE`: last changed before, on or after; `2026-11-22`, `2026-11`, `2026`, `today`,
///   `yesterday`, `7d`
/// - `has:error` a failed call or an answer that broke off; `has:calls`; `is:pinned`; `is:interrupted`
///
/// Anything else with a colon is a word. No input is an error.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    pub terms: Vec<String>,
    pub filters: Vec<Filter>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    Tool(String),
    Server(String),
    AnyToolFailed,
    ToolEnded(OutcomeKind),
    Model(String),
    Folder(String),
    Before(UnixMs),
    After(UnixMs),
    HasError,
    HasCalls,
    Pinned,
    Interrupted,
}

/// More words than these are not looked at.
const MAX_TERMS: usize = 12;

impl Query {
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::parse_at(text, &Zoned::now())
    }

    fn parse_at(text: &str, now: &Zoned) -> Self {
        let mut query = Self::default();
        for word in words(text) {
            match word.operator.as_deref().and_then(|op| filter(op, &word.text, now)) {
                Some(filter) => query.filters.push(filter),
                None => {
                    let term = match &word.operator {
                        Some(operator) => format!("{operator}:{}", word.text),
                        None => word.text,
                    };
                    if !term.is_empty() && query.terms.len() < MAX_TERMS && !query.terms.contains(&term) {
                        query.terms.push(term);
                    }
                }
            }
        }
        query
    }

    /// The earliest date that a `before:` names.
    pub(super) fn before(&self) -> Option<UnixMs> {
        let dates = self.filters.iter().filter_map(|filter| match filter {
            Filter::Before(at) => Some(*at),
            _ => None,
        });
        dates.min()
    }

    /// Conditions on `conversation c`, each beginning with ` AND `, and the values of their `?`.
    pub(super) fn conditions(&self) -> (String, Vec<Value>) {
        let mut sql = String::new();
        let mut values = Vec::new();
        for filter in &self.filters {
            match filter {
                Filter::Tool(name) => {
                    sql.push_str(
                        " AND EXISTS (SELECT 1 FROM call k WHERE k.conversation = c.no \
                         AND coalesce(k.server || '/' || k.tool, k.wire_name) LIKE ? ESCAPE '\\')",
                    );
                    values.push(Value::from(containing(name)));
                }
                Filter::Server(name) => {
                    sql.push_str(
                        " AND EXISTS (SELECT 1 FROM call k WHERE k.conversation = c.no AND k.server LIKE ? ESCAPE '\\')",
                    );
                    values.push(Value::from(containing(name)));
                }
                Filter::AnyToolFailed => sql.push_str(" AND c.failed_calls > 0"),
                Filter::ToolEnded(kind) => {
                    sql.push_str(" AND EXISTS (SELECT 1 FROM call k WHERE k.kind = ? AND k.conversation = c.no)");
                    values.push(Value::from(kind.word().to_owned()));
                }
                Filter::Model(name) => {
                    sql.push_str(" AND c.model LIKE ? ESCAPE '\\'");
                    values.push(Value::from(containing(name)));
                }
                Filter::Folder(name) => {
                    sql.push_str(" AND c.folder LIKE ? ESCAPE '\\'");
                    values.push(Value::from(containing(name)));
                }
                Filter::Before(at) => {
                    sql.push_str(" AND c.updated < ?");
                    values.push(Value::from(*at));
                }
                Filter::After(at) => {
                    sql.push_str(" AND c.updated >= ?");
                    values.push(Value::from(*at));
                }
                Filter::HasError => sql.push_str(" AND (c.failed_calls > 0 OR c.interrupted = 1)"),
                Filter::HasCalls => sql.push_str(" AND c.calls > 0"),
                Filter::Pinned => sql.push_str(" AND c.pinned = 1"),
                Filter::Interrupted => sql.push_str(" AND c.interrupted = 1"),
            }
        }
        (sql, values)
    }
}

/// A pattern of LIKE that finds a text anywhere.
pub(super) fn containing(text: &str) -> String {
    let mut out = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('%');
    out
}

struct Word {
    operator: Option<String>,
    text: String,
}

/// Splits at blanks outside of quotes; a quote that never closes goes to the end.
fn words(text: &str) -> Vec<Word> {
    let mut out = Vec::new();
    let mut operator = None;
    let (mut word, mut quoted, mut was_quoted) = (String::new(), false, false);
    // NUL ends a query inside SQLite; it stands in no text that a person searches for.
    for c in text.chars().filter(|c| *c != '\0') {
        match c {
            '"' => {
                quoted = !quoted;
                was_quoted = true;
            }
            c if c.is_whitespace() && !quoted => {
                if !word.is_empty() {
                    out.push(Word { operator: operator.take(), text: std::mem::take(&mut word) });
                } else if let Some(bare) = operator.take() {
                    out.push(Word { operator: None, text: format!("{bare}:") });
                }
                was_quoted = false;
            }
            ':' if !quoted && !was_quoted && operator.is_none() && word.chars().all(|c| c.is_ascii_alphabetic()) => {
                if word.is_empty() {
                    word.push(':');
                } else {
                    operator = Some(std::mem::take(&mut word).to_ascii_lowercase());
                }
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        out.push(Word { operator, text: word });
    } else if let Some(bare) = operator {
        out.push(Word { operator: None, text: format!("{bare}:") });
    }
    out
}

fn filter(operator: &str, value: &str, now: &Zoned) -> Option<Filter> {
    Some(match (operator, value) {
        ("tool", "failed") => Filter::AnyToolFailed,
        ("tool", state) => match OutcomeKind::from_word(state) {
            Some(kind) => Filter::ToolEnded(kind),
            None => Filter::Tool(state.to_owned()),
        },
        ("model", name) => Filter::Model(name.to_owned()),
        ("server", name) => Filter::Server(name.to_owned()),
        ("in" | "folder", name) => Filter::Folder(name.to_owned()),
        ("before", date) => Filter::Before(start(date, now)?),
        ("after", date) => Filter::After(start(date, now)?),
        ("has", "error" | "errors") => Filter::HasError,
        ("has", "call" | "calls" | "tool" | "tools") => Filter::HasCalls,
        ("is", "pinned") => Filter::Pinned,
        ("is", "interrupted" | "partial") => Filter::Interrupted,
        _ => return None,
    })
}

/// The first moment of a day, month or year, here.
fn start(date: &str, now: &Zoned) -> Option<UnixMs> {
    let day = match date {
        "today" => now.date(),
        "yesterday" => now.date().checked_sub(1.day()).ok()?,
        _ => match date.strip_suffix('d').and_then(|n| n.parse::<i32>().ok()) {
            Some(days) if (0..100_000).contains(&days) => now.date().checked_sub(days.days()).ok()?,
            Some(_) => return None,
            None => {
                let mut parts = date.split('-');
                let year: i16 = parts.next()?.parse().ok()?;
                let month: i8 = parts.next().map_or(Some(1), |m| m.parse().ok())?;
                let day: i8 = parts.next().map_or(Some(1), |d| d.parse().ok())?;
                if parts.next().is_some() || !(1970..=9999).contains(&year) {
                    return None;
                }
                Date::new(year, month, day).ok()?
            }
        },
    };
    Some(day.to_zoned(now.time_zone().clone()).ok()?.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, terms: &[&str], filters: &[Filter]) {
        let now: Zoned = "2026-11-22T12:00:00+00:00[UTC]".parse().unwrap();
        let query = Query::parse_at(text, &now);
        assert_eq!(query.terms, terms, "{text}");
        assert_eq!(query.filters, filters, "{text}");
    }

    #[test]
    fn words_phrases_and_operators() {
        check("retry deadline tool:failed", &["retry", "deadline"], &[Filter::AnyToolFailed]);
        check("\"two words\" tool:fs/read", &["two words"], &[Filter::Tool("fs/read".into())]);
        check("tool:timed_out", &[], &[Filter::ToolEnded(OutcomeKind::TimedOut)]);
        check(
            "model:\"a b\" has:error is:pinned",
            &[],
            &[Filter::Model("a b".into()), Filter::HasError, Filter::Pinned],
        );
        check("server:fs in:src", &[], &[Filter::Server("fs".into()), Filter::Folder("src".into())]);
        check("翻訳", &["翻訳"], &[]);
    }

    #[test]
    fn dates_begin_at_midnight() {
        let day = 86_400_000;
        let today = 1_795_305_600_000;
        check("after:2026-11-22", &[], &[Filter::After(today)]);
        check("before:yesterday after:7d", &[], &[Filter::Before(today - day), Filter::After(today - 7 * day)]);
        check("after:2026-11", &[], &[Filter::After(today - 21 * day)]);
    }

    #[test]
    fn what_is_no_operator_is_a_word() {
        check(
            "http://x std::fmt has:nothing before:tomorrow",
            &["http://x", "std::fmt", "has:nothing", "before:tomorrow"],
            &[],
        );
        check("tool: \"open", &["tool:", "open"], &[]);
        check("a\0b \"tool:x\" :", &["ab", "tool:x", ":"], &[]);
        check("   ", &[], &[]);
    }
}
