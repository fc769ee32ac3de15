//! A fenced code block at the top level: grows line by line, is plain at first and coloured as time allows.

use crate::text::{fence_closes, fence_opens, sanitize};
use crate::ui::ink::{Ink, Row};

use super::code::{Highlighter, LineState};
use super::inline::wrap_row;

/// Code beyond this is not coloured, nor are lines longer than [`LONGEST_LINE`]; bytes.
const LARGEST: usize = 256 * 1024;
const LONGEST_LINE: usize = 4 * 1024;

#[derive(Debug)]
pub(super) struct Fence {
    width: usize,
    sign: (u8, usize),
    indent: usize,
    language: String,
    /// Bytes of the block that became rows.
    taken: usize,
    opened: bool,
    closed: bool,
    /// Where the rows of each line start in the document, for lines that are not coloured yet: `(row, text)`.
    plain: std::collections::VecDeque<(usize, String)>,
    state: LineState,
}

impl Fence {
    pub(super) fn new(width: usize) -> Self {
        Self {
            width,
            sign: (b'`', 3),
            indent: 0,
            language: String::new(),
            taken: 0,
            opened: false,
            closed: false,
            plain: std::collections::VecDeque::new(),
            state: LineState::Fresh,
        }
    }

    /// Adds the rows of lines that became complete. `text` is the block so far, from its first fence.
    pub(super) fn take(&mut self, text: &str, rows: &mut Vec<Row>) {
        while let Some(end) = next_line(text, self.taken) {
            let line = &text[self.taken..end];
            self.taken = end;
            let whole = line.ends_with('\n');
            let line = line.trim_end_matches('\n').trim_end_matches('\r');
            if !self.opened {
                self.open(line, rows);
            } else if whole && fence_closes(line.trim_start(), self.sign.0, self.sign.1) {
                self.closed = true;
            } else if !self.closed {
                let text = self.line(line);
                if self.taken <= LARGEST && self.state != LineState::Never {
                    self.plain.push_back((rows.len(), text.clone()));
                }
                rows.extend(self.wrap(&Row::of(&sanitize(&text), Ink::Code)));
            }
        }
    }

    /// The rows of the line that is still being written.
    pub(super) fn tail(&self, text: &str) -> Vec<Row> {
        let rest = text[self.taken..].trim_end_matches('\r');
        if self.closed || rest.is_empty() {
            return Vec::new();
        }
        if !self.opened {
            return Vec::new();
        }
        let body = rest.trim_start();
        // It may be the closing fence.
        if !body.is_empty() && body.bytes().all(|b| b == self.sign.0) {
            return Vec::new();
        }
        self.wrap(&Row::of(&sanitize(&self.line(rest)), Ink::Code))
    }

    fn open(&mut self, line: &str, rows: &mut Vec<Row>) {
        self.opened = true;
        if let Some(sign) = fence_opens(line) {
            self.sign = sign;
        }
        self.indent = line.len() - line.trim_start().len();
        let info = line.trim_start().trim_start_matches(char::from(self.sign.0)).trim();
        let word = info.split([' ', ',', '{']).next().unwrap_or("");
        self.language = sanitize(word).one_line().into_string();
        if !self.language.is_empty() {
            rows.extend(self.wrap(&Row::of(&sanitize(&self.language), Ink::Dim)));
        } else {
            self.state = LineState::Never;
        }
    }

    fn line(&self, line: &str) -> String {
        let blanks = line.bytes().take(self.indent).take_while(|b| *b == b' ').count();
        sanitize(&line[blanks..]).one_line().into_string()
    }

    fn wrap(&self, row: &Row) -> Vec<Row> {
        let first = Row::label("  ", Ink::Code);
        // What does not fit goes on under its own line's beginning, a step further in.
        let blanks = row.text().len() - row.text().trim_start_matches(' ').len();
        let mut rest = Row::new();
        rest.pad_to(4 + blanks.min(self.width / 2));
        wrap_row(row, self.width, &first, &rest)
    }

    pub(super) fn coloured(&self) -> bool {
        self.plain.is_empty() || self.state == LineState::Never
    }

    /// Colours lines in the document's rows while the budget lasts. Returns whether any changed.
    pub(super) fn colour(&mut self, highlighter: &mut Highlighter, rows: &mut [Row]) -> bool {
        let mut changed = false;
        while self.state != LineState::Never {
            let Some((start, text)) = self.plain.front() else { break };
            if text.len() > LONGEST_LINE {
                // A line left out breaks the grammar's state for all that follow.
                self.state = LineState::Never;
                self.plain.clear();
                break;
            }
            let Some(row) = highlighter.line(&self.language, &mut self.state, text) else { break };
            let wrapped = self.wrap(&row);
            for (old, new) in rows[*start..].iter_mut().zip(wrapped) {
                *old = new;
            }
            self.plain.pop_front();
            changed = true;
        }
        changed
    }
}

/// The end of the line that starts at `from`; a line of more than [`LONGEST_LINE`] counts as several.
fn next_line(text: &str, from: usize) -> Option<usize> {
    let rest = &text[from..];
    let end = rest.find('\n').map(|at| at + 1);
    if end.unwrap_or(rest.len()) > LONGEST_LINE {
        let mut at = LONGEST_LINE;
        while !rest.is_char_boundary(at) {
            at -= 1;
        }
        return Some(from + at);
    }
    end.map(|end| from + end)
}
