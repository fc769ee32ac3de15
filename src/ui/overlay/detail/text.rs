//! A long text in rows: its shape is found a part a frame, and only what is visible is laid out.
//!
//! # Invariants
//! - Lines are those of the text; rows are what the screen makes of them. Neither is told for the other.
//! - What is sanitised is a line at a time, as the terminal's grammar ends at each line's end.

use memchr::{memchr, memchr_iter, memchr2_iter, memrchr};

use crate::text::{sanitize_counted, visible};
use crate::ui::ink::{Ink, Row, Tint};
use crate::ui::markdown::wrap_row;

/// The text is kept in parts of about so many bytes, and so many bytes are gone through for one frame.
const PART: usize = 8 * 1024;
pub(super) const PER_FRAME: usize = 4 * 1024 * 1024;
/// What is not plain takes so many times as long.
pub(super) const NOT_PLAIN: usize = 16;

#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub columns: usize,
    pub wrap: bool,
    /// Escapes are written out.
    pub raw: bool,
}

/// A part of the text, whole lines of it or a piece of a very long one.
#[derive(Clone, Copy, Debug)]
struct Part {
    start: usize,
    /// Its first row and line, from 0.
    row: usize,
    line: usize,
    /// Printable ASCII, each line of it one row.
    plain: bool,
}

/// What is known of a text's rows so far.
#[derive(Debug)]
pub(super) struct Lines {
    shape: Shape,
    parts: Vec<Part>,
    /// The text is known up to here.
    known: usize,
    pub rows: usize,
    /// Lines up to there, and in all.
    line: usize,
    pub lines: usize,
    /// Sequences and controls that were taken out so far.
    pub removed: usize,
}

impl Lines {
    pub(super) fn new(text: &str, shape: Shape) -> Self {
        let ended = text.is_empty() || text.ends_with('\n');
        let lines = memchr_iter(b'\n', text.as_bytes()).count() + usize::from(!ended);
        Self { shape, parts: Vec::new(), known: 0, rows: 0, line: 0, lines, removed: 0 }
    }

    /// All of it is known.
    pub(super) fn done(&self, text: &str) -> bool {
        self.known >= text.len()
    }

    /// Goes on with what is not known yet, as far as one frame may.
    pub(super) fn go_on(&mut self, text: &str) {
        let mut left = PER_FRAME;
        while self.known < text.len() && left > 0 {
            let end = part_end(text, self.known);
            let piece = &text[self.known..end];
            let (rows, cost) = self.measure(piece);
            let plain = cost == piece.len();
            self.parts.push(Part { start: self.known, row: self.rows, line: self.line, plain });
            self.rows += rows;
            self.line += memchr_iter(b'\n', piece.as_bytes()).count();
            left = left.saturating_sub(cost);
            self.known = end;
        }
    }

    /// The rows of a part, and what it cost to know.
    fn measure(&mut self, piece: &str) -> (usize, usize) {
        let room = self.shape.columns.saturating_sub(4);
        let plain = piece.bytes().all(|b| matches!(b, b' '..=b'~' | b'\n'));
        let fits = |line: &str| !self.shape.wrap || line.len() <= room;
        let body = piece.strip_suffix('\n').unwrap_or(piece);
        if plain && body.split('\n').all(fits) {
            return (body.split('\n').count(), piece.len());
        }
        if !plain && !self.shape.raw {
            self.removed += sanitize_counted(piece).1;
        }
        (self.lay(piece, false).len(), piece.len().saturating_mul(NOT_PLAIN))
    }

    /// A part in its rows, its addresses links; `last`: nothing comes behind it.
    fn lay(&self, piece: &str, last: bool) -> Vec<Row> {
        let body = piece.strip_suffix('\n').unwrap_or(piece);
        let safe = if self.shape.raw { visible(body) } else { sanitize_counted(body).0 };
        let indent = Row::label("   ", Ink::Text);
        let whole = last || piece.ends_with('\n');
        let mut out = Vec::new();
        for line in safe.as_str().split('\n') {
            let mut row = Row::new();
            row.push_safe(line, Tint::default());
            // Of a line that goes on in the next part the last word may be cut.
            let half = line.split_whitespace().next_back().filter(|_| !whole);
            if !self.shape.raw {
                row.link_addresses(half);
            }
            if self.shape.wrap {
                out.extend(wrap_row(&row, self.shape.columns.saturating_sub(1), &indent, &indent));
            } else {
                let mut whole = indent.clone();
                whole.append(&row);
                out.push(whole);
            }
        }
        out
    }

    fn piece<'a>(&self, text: &'a str, n: usize) -> &'a str {
        let end = self.parts.get(n + 1).map_or(self.known, |next| next.start);
        &text[self.parts[n].start..end]
    }

    /// So many rows from `top` on.
    pub(super) fn visible(&self, text: &str, top: usize, page: usize) -> Vec<Row> {
        let mut n = self.parts.partition_point(|part| part.row <= top).saturating_sub(1);
        let mut out = Vec::new();
        while let Some(part) = self.parts.get(n).filter(|_| out.len() < page) {
            let last = n + 1 == self.parts.len() && self.done(text);
            let rows = self.lay(self.piece(text, n), last);
            out.extend(rows.into_iter().skip(top.saturating_sub(part.row)).take(page - out.len()));
            n += 1;
        }
        out
    }

    /// The line that a row belongs to, from 1.
    pub(super) fn line_of(&self, text: &str, row: usize) -> usize {
        let n = self.parts.partition_point(|part| part.row <= row).saturating_sub(1);
        let Some(part) = self.parts.get(n) else { return 0 };
        let piece = self.piece(text, n);
        let mut rows = part.row;
        let body = piece.strip_suffix('\n').unwrap_or(piece);
        for (line, text) in body.split('\n').enumerate() {
            rows += self.lay(text, false).len();
            if row < rows {
                return part.line + line + 1;
            }
        }
        (part.line + body.split('\n').count()).min(self.lines)
    }

    /// How many parts are known.
    pub(super) fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Adds the rows of a part that hold a word, whatever its case (`wanted` is in lower case). Returns what it cost, in
    /// bytes of plain text.
    pub(super) fn find(&self, text: &str, n: usize, wanted: &str, found: &mut Vec<usize>) -> usize {
        let (part, piece) = (self.parts[n], self.piece(text, n));
        if !part.plain {
            let rows = self.lay(piece, false);
            let holds = |row: &Row| row.text().to_lowercase().contains(wanted);
            found.extend(rows.iter().enumerate().filter(|(_, row)| holds(row)).map(|(at, _)| part.row + at));
            return piece.len().saturating_mul(NOT_PLAIN);
        }
        let (mut row, mut line) = (part.row, 0);
        for at in places(piece.as_bytes(), wanted.as_bytes()) {
            // A line that was found already is behind.
            if at < line {
                continue;
            }
            row += memchr_iter(b'\n', &piece.as_bytes()[line..at]).count();
            found.push(row);
            let rest = &piece.as_bytes()[at..];
            let Some(end) = memchr(b'\n', rest) else { break };
            (row, line) = (row + 1, at + end + 1);
        }
        piece.len()
    }
}

/// Where a word stands in printable ASCII, whatever its case.
fn places<'a>(text: &'a [u8], wanted: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let first = wanted.first().copied().unwrap_or_default();
    memchr2_iter(first, first.to_ascii_uppercase(), text)
        .filter(move |&at| text[at..].get(..wanted.len()).is_some_and(|here| here.eq_ignore_ascii_case(wanted)))
}

/// Where a part that begins here ends: behind a line's end, or, where a line has none for long, before a character that
/// no sequence of a terminal is cut by.
fn part_end(text: &str, from: usize) -> usize {
    let bytes = text.as_bytes();
    let most = from.saturating_add(PART);
    if most >= bytes.len() {
        return bytes.len();
    }
    if let Some(end) = memrchr(b'\n', &bytes[from..most]) {
        return from + end + 1;
    }
    let mut end = text.floor_char_boundary(most);
    if let Some(escape) = memrchr(0x1b, &bytes[end.saturating_sub(64).max(from + 1)..end]) {
        end = end.saturating_sub(64).max(from + 1) + escape;
    }
    text.floor_char_boundary(end).max(from + 1).max(text.ceil_char_boundary(from + 1))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Rows of which all is known.
    pub(in super::super) fn lines(text: &str, columns: usize) -> Lines {
        let mut lines = Lines::new(text, Shape { columns, wrap: true, raw: false });
        while !lines.done(text) {
            lines.go_on(text);
        }
        lines
    }

    #[test]
    fn rows_and_lines_are_told_apart() {
        let text = format!("one\n{}\n\nfour\n", "word ".repeat(30));
        let lines = lines(&text, 40);
        assert_eq!(lines.lines, 4);
        assert_eq!(lines.rows, lines.visible(&text, 0, 100).len());
        assert!(lines.rows > 6);
        assert_eq!((lines.line_of(&text, 0), lines.line_of(&text, 1), lines.line_of(&text, 2)), (1, 2, 2));
        assert_eq!(lines.line_of(&text, lines.rows - 1), 4);
        let last = lines.visible(&text, lines.rows - 1, 5);
        assert_eq!(last.iter().map(|row| row.text().trim()).collect::<Vec<_>>(), ["four"]);
    }

    #[test]
    fn any_row_of_a_long_text_is_found_where_it_stands() {
        let text: String = (0..20_000).map(|n| format!("line {n} \u{1b}[32mok\u{1b}[0m\n")).collect();
        let lines = lines(&text, 80);
        assert_eq!((lines.rows, lines.lines, lines.removed), (20_000, 20_000, 40_000));
        for row in [0, 1, 777, 12_345, 19_999] {
            assert_eq!(lines.visible(&text, row, 1)[0].text().trim(), format!("line {row} ok"));
            assert_eq!(lines.line_of(&text, row), row + 1);
        }
    }

    #[test]
    fn addresses_of_a_result_are_links_where_they_are_whole() {
        let linked = |text: &str, raw: bool| {
            let mut lines = Lines::new(text, Shape { columns: 60, wrap: true, raw });
            while !lines.done(text) {
                lines.go_on(text);
            }
            let rows = lines.visible(text, 0, lines.rows);
            rows.iter().filter(|row| row.pieces().any(|(_, _, to)| to.is_some())).count()
        };
        assert_eq!(linked("see https://a.example/b\nand http://c.example", false), 2);
        assert_eq!(linked("see https://a.example/b\n", true), 0, "raw bytes are bytes");
        // One that is cut where a part ends would lead to another host.
        let cut = format!("{}https://a.example.org/path and more", " x".repeat(PART / 2 - 8));
        assert_eq!(part_end(&cut, 0), PART);
        assert_eq!(linked(&cut, false), 0);
    }

    #[test]
    fn one_line_without_an_end_is_read_in_parts() {
        let text = "é word ".repeat(20_000) + "\u{1b}[31mred";
        let lines = lines(&text, 80);
        assert_eq!((lines.lines, lines.removed), (1, 1));
        assert!(lines.parts.len() > 10 && lines.rows > 1_000);
        let last = lines.visible(&text, lines.rows - 1, 1);
        assert!(last[0].text().ends_with("red") && !last[0].text().contains("[31m"), "{:?}", last[0].text());
    }

    #[test]
    fn a_frame_goes_through_so_much_and_no_more() {
        let text = "plain line of a log\n".repeat(1_000_000);
        let mut lines = Lines::new(&text, Shape { columns: 80, wrap: true, raw: false });
        lines.go_on(&text);
        assert!(!lines.done(&text) && lines.known <= PER_FRAME + PART);
        assert_eq!(lines.lines, 1_000_000);
        assert_eq!(lines.visible(&text, 0, 3).len(), 3);
    }
}
