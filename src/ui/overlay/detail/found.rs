//! Finding a word in what a detail shows, a part a frame.
//!
//! # Invariants
//! - Rows are found in their order, each once; what was looked through is not looked through again for the same word.
//! - A word is looked for in the rows as they are shown: one that a row is broken in is not found.

use super::text::{Lines, PER_FRAME};
use crate::ui::ink::Row;

#[derive(Debug, Default)]
pub(super) struct Found {
    /// In lower case; empty where nothing is looked for.
    wanted: String,
    rows: Vec<usize>,
    /// Parts of a long text, or rows, that were looked through.
    looked: usize,
}

impl Found {
    /// Begins anew where it is another word.
    pub(super) fn look_for(&mut self, word: &str) {
        let wanted = if word.trim().is_empty() { String::new() } else { word.to_lowercase() };
        if self.wanted != wanted {
            *self = Self { wanted, ..Self::default() };
        }
    }

    pub(super) fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// There are known parts that were not looked through.
    pub(super) fn left(&self, lines: &Lines) -> bool {
        !self.wanted.is_empty() && self.looked < lines.parts()
    }

    /// Goes on in a long text, as far as one frame may.
    pub(super) fn in_lines(&mut self, lines: &Lines, text: &str) {
        let mut room = PER_FRAME;
        while room > 0 && self.left(lines) {
            room = room.saturating_sub(lines.find(text, self.looked, &self.wanted, &mut self.rows));
            self.looked += 1;
        }
    }

    pub(super) fn in_rows<'a>(&mut self, rows: impl Iterator<Item = &'a Row>) {
        if self.wanted.is_empty() {
            return;
        }
        for (at, row) in rows.enumerate().skip(self.looked) {
            if row.text().to_lowercase().contains(&self.wanted) {
                self.rows.push(at);
            }
            self.looked = at + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::text::tests::lines;
    use super::*;

    #[test]
    fn a_long_text_is_looked_through_to_its_end_over_some_frames() {
        let text: String = (0..400_000).map(|n| format!("{n:08} a line of a log\n")).collect();
        let lines = lines(&text, 80);
        let mut found = Found::default();
        found.look_for("399999 A Line");
        found.in_lines(&lines, &text);
        assert!(found.left(&lines), "one frame goes so far and no farther");
        let mut frames = 1;
        while found.left(&lines) {
            found.in_lines(&lines, &text);
            frames += 1;
        }
        assert_eq!((found.rows(), frames), (&[399_999][..], text.len().div_ceil(PER_FRAME)));
        found.look_for("");
        assert!(found.rows().is_empty() && !found.left(&lines));
    }

    #[test]
    fn what_a_terminal_would_swallow_stands_between_no_letters() {
        let text: String = (0..20_000).map(|n| format!("line {n} \u{1b}[32mok\u{1b}[0m\n")).collect();
        let lines = lines(&text, 80);
        let mut found = Found::default();
        found.look_for("line 777 ok");
        while found.left(&lines) {
            found.in_lines(&lines, &text);
        }
        assert_eq!(found.rows(), [777]);
    }

    proptest! {
        /// The short way finds what reading each row finds.
        #[test]
        fn rows_are_found_as_they_are_shown(
            text in "([ -~]{0,30}\n|é[ab]{0,40}\n|[abAB\n]{0,60}){0,20}",
            word in "[abAB]{1,2}|[ -~]{2}",
        ) {
            prop_assume!(!word.trim().is_empty() && !word.starts_with(' '));
            let lines = lines(&text, 24);
            let shown = lines.visible(&text, 0, usize::MAX >> 8);
            let expected: Vec<usize> = (0..shown.len())
                .filter(|row| shown[*row].text().to_lowercase().contains(&word.to_lowercase()))
                .collect();
            let mut found = Found::default();
            found.look_for(&word);
            while found.left(&lines) {
                found.in_lines(&lines, &text);
            }
            prop_assert_eq!(found.rows(), expected);
        }
    }
}
