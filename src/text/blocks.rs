//! Where a block of markdown ends, found line by line and only forward: what is drawn, chosen and copied by itself.
//!
//! # Invariants
//! - Where a block ends depends on the text before it alone, however that came.
//!
//! # Does not
//! Parse what is inside a block.

use std::ops::Range;

/// The longest a block may grow, bytes; then it is cut at a line's end, a blank, or where it stands. Keeps the work for
/// each added byte bounded, at the price of a break inside a paragraph or table of that size.
pub const LONGEST: usize = 16 * 1024;

/// One block, by its bytes in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub range: Range<usize>,
    pub kind: BlockKind,
    /// It follows the block before without a gap, because that was cut for its length.
    pub joined: bool,
}

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// Fenced code at the top level, its fences included.
    Fence,
    /// Everything else.
    Flow,
}

/// What is open at the top level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Open {
    #[default]
    Nothing,
    Fence {
        sign: u8,
        length: usize,
    },
    Paragraph,
    /// A list, or a footnote's definition: goes on after blank lines with what is indented. `inner` is a fence inside.
    List {
        inner: Option<(u8, usize)>,
    },
}

/// Reads a text that grows.
#[derive(Debug, Default)]
pub struct Splitter {
    /// Start of the open block, and of the first line that is not complete.
    start: usize,
    line: usize,
    open: Open,
    /// The open block was followed by a blank line.
    blank: bool,
    joined: bool,
}

impl Splitter {
    /// Reads the lines that became complete and returns the blocks that ended with them.
    pub fn push(&mut self, source: &str) -> Vec<Block> {
        let mut done = Vec::new();
        loop {
            let rest = &source[self.line..];
            let (end, complete) = match memchr(rest.as_bytes()) {
                Some(at) => (self.line + at + 1, true),
                None => (source.len(), false),
            };
            if self.cut_long(source, end, &mut done) {
                continue;
            }
            if !complete {
                return done;
            }
            self.take_line(&source[self.line..end], &mut done);
            self.line = end;
            if self.open == Open::Nothing {
                self.start = end;
            }
        }
    }

    /// The block that is still open, with the unfinished line. None where there is nothing to draw.
    #[must_use]
    pub fn open(&self, source: &str) -> Option<Block> {
        let rest = &source[self.start..];
        if rest.trim().is_empty() {
            return None;
        }
        // Only complete lines move the state, so the last line is looked at here: it may begin a block of its own.
        let kind = match self.open {
            Open::Fence { .. } => BlockKind::Fence,
            Open::Nothing if fence_opens(rest).is_some() => BlockKind::Fence,
            Open::Nothing | Open::Paragraph | Open::List { .. } => BlockKind::Flow,
        };
        Some(Block { range: self.start..source.len(), kind, joined: self.joined })
    }

    /// Cuts the open block where it has grown too long. The place depends on its first [`LONGEST`] bytes alone.
    fn cut_long(&mut self, source: &str, end: usize, done: &mut Vec<Block>) -> bool {
        if matches!(self.open, Open::Fence { .. }) || end - self.start <= LONGEST {
            return false;
        }
        // A fence that opens a block is one, whatever the length of its first line.
        let mut limit = self.start + LONGEST;
        while !source.is_char_boundary(limit) {
            limit -= 1;
        }
        let window = &source[self.start..limit];
        let half = LONGEST / 2;
        let at = window
            .rfind('\n')
            .filter(|at| *at >= half)
            .or_else(|| window.rfind(' ').filter(|at| *at >= half))
            .map_or(window.len(), |at| at + 1);
        let cut = self.start + at;
        done.push(Block { range: self.start..cut, kind: BlockKind::Flow, joined: self.joined });
        self.start = cut;
        self.line = self.line.max(cut);
        self.joined = true;
        if self.open == Open::Nothing {
            self.open = Open::Paragraph;
        }
        true
    }

    fn take_line(&mut self, line: &str, done: &mut Vec<Block>) {
        let text = line.trim_end();
        let indent = indent_of(text);
        let body = text.trim_start();
        if let Open::Fence { sign, length } = self.open {
            if indent < 4 && fence_closes(body, sign, length) {
                self.end(self.line + line.len(), BlockKind::Fence, done);
            }
            return;
        }
        if let Open::List { inner: Some((sign, length)) } = self.open
            && (body.is_empty() || indent >= 2)
        {
            if fence_closes(body, sign, length) {
                self.open = Open::List { inner: None };
            }
            return;
        }
        if body.is_empty() {
            self.blank = self.open != Open::Nothing;
            return;
        }
        let fence = if indent < 4 { fence_opens(text) } else { None };
        let item = list_item(body);
        let list_goes_on = matches!(self.open, Open::List { .. }) && (indent >= 2 || item);
        let ends = match self.open {
            Open::Nothing | Open::Fence { .. } => false,
            // A fence in a list's item belongs to the list.
            Open::List { .. } => {
                (self.blank && !list_goes_on) || (fence.is_some() && indent < 2) || heading(body, indent)
            }
            Open::Paragraph => self.blank || fence.is_some() || heading(body, indent),
        };
        if ends {
            self.end(self.line, BlockKind::Flow, done);
        }
        self.blank = false;
        match (self.open, fence) {
            (Open::List { .. }, fence) => {
                // A fence may stand behind the item's sign.
                let inner = fence.or_else(|| fence_opens(after_sign(body)));
                self.open = Open::List { inner };
            }
            (Open::Nothing, Some((sign, length))) => self.open = Open::Fence { sign, length },
            (Open::Nothing, None) if heading(body, indent) => {
                self.open = Open::Paragraph;
                self.end(self.line + line.len(), BlockKind::Flow, done);
            }
            (Open::Nothing | Open::Paragraph, _) if item || footnote(body) => {
                self.open = Open::List { inner: fence_opens(after_sign(body)) };
            }
            (Open::Nothing, None) => self.open = Open::Paragraph,
            (Open::Paragraph | Open::Fence { .. }, _) => {}
        }
    }

    fn end(&mut self, at: usize, kind: BlockKind, done: &mut Vec<Block>) {
        done.push(Block { range: self.start..at, kind, joined: self.joined });
        self.start = at;
        self.open = Open::Nothing;
        self.blank = false;
        self.joined = false;
    }
}

/// All blocks of a text, those that were cut for their length in one.
#[must_use]
pub fn blocks(source: &str) -> Vec<Block> {
    let mut splitter = Splitter::default();
    let mut found = splitter.push(source);
    found.extend(splitter.open(source));
    let mut whole: Vec<Block> = Vec::with_capacity(found.len());
    for block in found {
        match whole.last_mut() {
            Some(last) if block.joined => last.range.end = block.range.end,
            Some(_) | None => whole.push(block),
        }
    }
    whole
}

fn memchr(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|b| *b == b'\n')
}

fn indent_of(text: &str) -> usize {
    let mut columns = 0;
    for b in text.bytes() {
        match b {
            b' ' => columns += 1,
            b'\t' => columns += 4 - columns % 4,
            _ => break,
        }
    }
    columns
}

/// The sign and length of a fence that this line opens.
#[must_use]
pub fn fence_opens(line: &str) -> Option<(u8, usize)> {
    let line = line.lines().next().unwrap_or("");
    if indent_of(line) >= 4 {
        return None;
    }
    let body = line.trim_start();
    let sign = *body.as_bytes().first()?;
    if sign != b'`' && sign != b'~' {
        return None;
    }
    let length = body.bytes().take_while(|b| *b == sign).count();
    // The info string of a backtick fence holds no backtick, else it is inline code.
    (length >= 3 && (sign == b'~' || !body[length..].contains('`'))).then_some((sign, length))
}

/// Whether a line, without its indent, closes such a fence.
#[must_use]
pub fn fence_closes(body: &str, sign: u8, length: usize) -> bool {
    let signs = body.bytes().take_while(|b| *b == sign).count();
    signs >= length && body[signs..].trim().is_empty()
}

fn heading(body: &str, indent: usize) -> bool {
    let signs = body.bytes().take_while(|b| *b == b'#').count();
    indent < 4 && (1..=6).contains(&signs) && matches!(body.as_bytes().get(signs), None | Some(b' ' | b'\t'))
}

fn footnote(body: &str) -> bool {
    body.starts_with("[^") && body.contains("]:")
}

fn list_item(body: &str) -> bool {
    after_sign(body).len() < body.len()
}

/// What follows a list item's sign and its blanks; the whole where there is none.
fn after_sign(body: &str) -> &str {
    let bytes = body.as_bytes();
    let digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    let sign = match bytes.get(digits) {
        Some(b'.' | b')') if (1..=9).contains(&digits) => digits + 1,
        Some(b'-' | b'*' | b'+') if digits == 0 => 1,
        _ => return body,
    };
    match bytes.get(sign) {
        None => "",
        Some(b' ' | b'\t') => body[sign..].trim_start(),
        Some(_) => body,
    }
}
