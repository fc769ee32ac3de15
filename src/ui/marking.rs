//! Text that the mouse has marked: which columns of a line, and its words for a copy.
//!
//! # Invariants
//! - What is copied is what is shown, without gutters, bars and the indentation of code; a line that was broken for its
//!   width is one line again.
//! - It does not matter whether it is on the screen.

use std::ops::Range;

use super::call::name;
use super::entry::Line;
use super::ink::Row;
use super::memo::Memo;
use super::transcript::Reader;
use crate::app::{Marked, State, TextPoint};
use crate::text::{graphemes, width};

/// The columns of a line that are marked; `at` is its first. None where none are.
pub(super) fn columns(marked: &Marked, at: TextPoint, line: &Line<'_>) -> Option<Range<usize>> {
    let (from, until) = marked.ends();
    let place = |point: TextPoint| (point.key, point.part, point.row);
    if place(at) < place(from) || place(at) > place(until) {
        return None;
    }
    let row = match line {
        Line::Row(row) => row,
        // A call is marked whole, or not at all.
        Line::Call(_) => return Some(0..usize::MAX / 2),
        Line::Apart | Line::Blank | Line::Role(..) | Line::Fold(_) | Line::Picture(..) => return None,
    };
    let columns = row.width();
    let mut start = if place(at) == place(from) { from.column } else { 0 };
    let mut end = if place(at) == place(until) { until.column.saturating_add(1) } else { columns };
    if marked.words {
        if place(at) == place(from) {
            start = word(row, start).start;
        }
        if place(at) == place(until) {
            end = word(row, end - 1).end;
        }
    }
    (start.min(columns) < end.min(columns)).then(|| start.min(columns)..end.min(columns))
}

/// The columns of the word that stands at a column: letters, digits and what joins them; a link whole.
fn word(row: &Row, column: usize) -> Range<usize> {
    let mut at = 0;
    let pieces = row.pieces().find_map(|(text, _, to)| {
        let start = at;
        at += width(text);
        to.filter(|_| (start..at).contains(&column)).map(|_| start..at)
    });
    if let Some(link) = pieces {
        return link;
    }
    let mut found = column..column + 1;
    let (mut at, mut start) = (0, 0);
    for cluster in graphemes(row.text()) {
        let next = at + width(cluster);
        let inside = cluster.chars().next().is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
        if !inside {
            if (start..at).contains(&column) {
                return start..at;
            }
            if (at..next).contains(&column) {
                return at..next;
            }
            start = next;
        }
        at = next;
    }
    if (start..at).contains(&column) {
        found = start..at;
    }
    found
}

/// The bytes of a text between two columns; a wide character belongs to both of its own.
fn bytes(text: &str, columns: Range<usize>) -> Range<usize> {
    let (mut at, mut column) = (0, 0);
    let (mut start, mut end) = (text.len(), text.len());
    for cluster in graphemes(text) {
        let next = column + width(cluster);
        if next > columns.start && start == text.len() {
            start = at;
        }
        if column >= columns.end {
            end = at;
            break;
        }
        column = next;
        at += cluster.len();
    }
    start.min(end)..end
}

/// What is marked, as it is shown. Empty where nothing of it is text.
#[must_use]
pub fn marked_text(state: &State, memo: &mut Memo, marked: &Marked) -> String {
    let (from, until) = marked.ends();
    let Some(shape) = memo.shape else { return String::new() };
    let entries = &state.transcript.entries;
    let mut lines: Vec<String> = Vec::new();
    let mut reader = Reader::new(state, memo, shape);
    for (n, entry) in entries.iter().enumerate().filter(|(_, entry)| (from.key..=until.key).contains(&entry.key)) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        let laid = reader.laid(n);
        for line_n in 0..laid.height {
            let (part, row) = laid.place_of(line_n);
            let at = TextPoint { key: entry.key, part, row, column: 0 };
            let Some(line) = laid.line(line_n) else { continue };
            match &line {
                Line::Blank if (from..=until).contains(&at) => lines.push(String::new()),
                Line::Row(row) => {
                    let Some(columns) = columns(marked, at, &line) else {
                        if row.text().is_empty() && (from..=until).contains(&at) {
                            lines.push(String::new());
                        }
                        continue;
                    };
                    let cut = bytes(row.text(), columns);
                    let words = &row.text()[cut.start.max(row.lead()).min(cut.end)..cut.end];
                    match (row.broken(), lines.last_mut()) {
                        (Some(gap), Some(last)) if !last.is_empty() => {
                            last.push_str(gap);
                            last.push_str(words);
                        }
                        (_, _) => lines.push(words.to_owned()),
                    }
                }
                Line::Call(id) if columns(marked, at, &line).is_some() => {
                    let Some(call) = state.calls.by_id.get(id) else { continue };
                    lines.push(format!("{}  {}", name(call, false), super::call::Telling::of(call).short()));
                }
                Line::Call(_) | Line::Blank | Line::Apart | Line::Role(..) | Line::Fold(_) | Line::Picture(..) => {}
            }
        }
    }
    let mut out = String::new();
    let mut blanks = 0;
    for line in lines {
        let line = line.trim_end();
        if line.is_empty() {
            blanks += 1;
            continue;
        }
        if !out.is_empty() {
            out.push_str(&"\n".repeat(blanks + 1));
        }
        blanks = 0;
        out.push_str(line);
    }
    out
}
