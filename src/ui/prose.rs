//! Plain text that is still being written, as rows: whole lines are wrapped once, only the last is wrapped again.
//!
//! # Invariants
//! - The rows are those of the whole text wrapped at once, but that a line is broken where it has grown very long.
//! - Work per added byte is bounded.

use super::ink::{Row, Tint};
use super::markdown::wrap_row;
use crate::text::sanitize;

/// The longest a line may grow, bytes; then it is broken at a blank, or where it stands.
const LONGEST: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct Prose {
    width: usize,
    tint: Tint,
    /// Bytes of the text whose rows never change, how many rows these are, and their fingerprint.
    taken: usize,
    settled: usize,
    settled_bytes: usize,
    print: u64,
    rows: Vec<Row>,
}

impl Prose {
    pub(super) fn new(width: usize, tint: Tint) -> Self {
        Self { width, tint, taken: 0, settled: 0, settled_bytes: 0, print: FNV, rows: Vec::new() }
    }

    /// Whether `text` goes on from what was taken in; looked at wholly where it is `complete`.
    pub(super) fn continues(&self, text: &str, complete: bool) -> bool {
        text.get(..self.taken).is_some_and(|start| !complete || fingerprint(FNV, start) == self.print)
    }

    /// Takes in the text as it stands, which must begin with what was taken in before.
    pub(super) fn update(&mut self, text: &str) {
        let text = text.trim_end();
        self.rows.truncate(self.settled);
        while let Some(end) = text.get(self.taken..).and_then(whole_line) {
            let line = &text[self.taken..self.taken + end];
            let rows = self.wrap(line.strip_suffix('\n').unwrap_or(line));
            self.settled_bytes += rows.iter().map(Row::bytes).sum::<usize>();
            self.rows.extend(rows);
            self.print = fingerprint(self.print, line);
            self.taken += end;
            self.settled = self.rows.len();
        }
        let rest = text.get(self.taken..).unwrap_or_default();
        if !rest.is_empty() || self.rows.is_empty() {
            let rows = self.wrap(rest);
            self.rows.extend(rows);
        }
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Bytes held, for the memo's budget.
    pub(super) fn bytes(&self) -> usize {
        self.settled_bytes + self.rows[self.settled..].iter().map(Row::bytes).sum::<usize>()
    }

    fn wrap(&self, line: &str) -> Vec<Row> {
        let none = Row::new();
        wrap_row(&Row::of_lines(&sanitize(line), self.tint), self.width, &none, &none)
    }
}

/// Bytes of the first line with its end, or of as much of it as is one row's worth of work; None where it still grows.
fn whole_line(text: &str) -> Option<usize> {
    let window = &text[..text.floor_char_boundary(LONGEST)];
    match window.find('\n') {
        Some(at) => Some(at + 1),
        None if window.len() == text.len() => None,
        None => Some(window.rfind(' ').filter(|at| *at >= LONGEST / 2).map_or(window.len(), |at| at + 1)),
    }
}

const FNV: u64 = 0xcbf2_9ce4_8422_2325;

fn fingerprint(from: u64, text: &str) -> u64 {
    text.bytes().fold(from, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ui::ink::Ink;

    fn rows(pieces: &[&str]) -> Vec<String> {
        let mut prose = Prose::new(7, Ink::Dim.into());
        let mut text = String::new();
        for piece in pieces {
            text.push_str(piece);
            assert!(prose.continues(&text, false));
            prose.update(&text);
        }
        assert!(prose.continues(&text, true));
        prose.rows().iter().map(|row| row.text().to_owned()).collect()
    }

    #[test]
    fn blank_lines_stay_between_words_and_go_at_the_end() {
        assert_eq!(rows(&["one ", "two three\n", "\n", "four\n", "\n\n"]), ["one two", "three", "", "four"]);
        assert_eq!(rows(&[""]), [""]);
    }

    #[test]
    fn another_text_is_known() {
        let mut prose = Prose::new(7, Ink::Dim.into());
        prose.update("first\nsecond");
        assert!(prose.continues("first\nthird", true));
        assert!(!prose.continues("other\nsecond", true));
        assert!(!prose.continues("fi", false));
    }

    #[test]
    fn a_line_without_end_is_broken() {
        let line = "x".repeat(3 * LONGEST);
        assert_eq!(rows(&[&line]).concat(), line);
    }

    mod properties {
        use super::*;
        use crate::properties::holds;

        #[test]
        fn any_pieces_make_the_rows_of_the_whole() {
            let pieces = prop::collection::vec("[a-c \n\u{1b}\u{301}é]{0,9}", 1..9);
            holds("plain text streamed = at once", 4_000, "pieces", pieces, |pieces, seen| {
                let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
                prop_assert_eq!(rows(&pieces), rows(&[&pieces.concat()]));
                seen.add(pieces.len());
                Ok(())
            });
        }
    }
}
