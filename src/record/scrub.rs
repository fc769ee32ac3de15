//! Known secrets taken out of a response's bytes, wherever chunks or events cut them.
//!
//! # Invariants
//! - A secret is found where it stands in the bytes, also over the end of a chunk, and where a model writes it in
//!   pieces: texts of one place in successive events are read as one text.
//! - All other bytes stay exactly as they were, with the moments at which they came. Bytes are held back until their
//!   event is whole and while they may be the beginning of a secret, and no more than [`MOST_HELD`] of them.
//! - Bytes are let go up to the end of an event, so that what is held always begins with one; a chunk that goes on
//!   behind it is written in two pieces of the same moment.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use serde_json::Value;

use crate::export::{REDACTED, Redactor};

/// More is let go, but for the newest quarter.
const MOST_HELD: usize = 256 << 10;
/// JSON nested deeper is searched as bytes alone.
const DEEPEST: usize = 64;

/// When a chunk came: its place in the recording, and microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub n: u64,
    pub t_us: u64,
}

/// One response's bytes on their way into the recording.
pub(super) struct Scrub {
    redactor: Redactor,
    held: Vec<u8>,
    /// Where each chunk of `held` ends.
    ends: VecDeque<(usize, Mark)>,
}

type Chunk = (Mark, Vec<u8>);

impl Scrub {
    pub(super) fn new(redactor: Redactor) -> Self {
        Self { redactor, held: Vec::new(), ends: VecDeque::new() }
    }

    /// Takes a chunk, gives back those that can be written.
    pub(super) fn push(&mut self, mark: Mark, bytes: &[u8]) -> Vec<Chunk> {
        if self.redactor.is_empty() {
            return vec![(mark, bytes.to_vec())];
        }
        self.held.extend_from_slice(bytes);
        self.ends.push_back((self.held.len(), mark));
        let mut found = find(&self.redactor, &self.held, false);
        if self.held.len() - found.settled > MOST_HELD {
            found.settled = boundary(&self.held, self.held.len() - MOST_HELD / 4).unwrap_or(self.held.len());
        }
        self.release(found)
    }

    /// The response is over.
    pub(super) fn finish(mut self) -> Vec<Chunk> {
        let found = find(&self.redactor, &self.held, true);
        self.release(found)
    }

    fn release(&mut self, found: Found) -> Vec<Chunk> {
        let whole = found.settled;
        let mut edits = found.edits.into_iter().filter(|(range, _)| range.start < whole).peekable();
        let mut out = Vec::new();
        let mut from = 0;
        while let Some((end, mark)) = self.ends.pop_front() {
            if from >= whole {
                self.ends.push_front((end, mark));
                break;
            }
            if end > whole {
                self.ends.push_front((end, mark));
            }
            let end = end.min(whole);
            let mut bytes = Vec::with_capacity(end - from);
            let mut at = from;
            while let Some((range, with)) = edits.peek() {
                if range.start >= end {
                    break;
                }
                if range.start >= at {
                    bytes.extend_from_slice(&self.held[at..range.start]);
                    bytes.extend_from_slice(with.as_bytes());
                }
                at = range.end.min(end).max(at);
                if range.end > end {
                    break;
                }
                edits.next();
            }
            bytes.extend_from_slice(&self.held[at..end]);
            out.push((mark, bytes));
            from = end;
        }
        self.held.drain(..whole);
        for (end, _) in &mut self.ends {
            *end -= whole;
        }
        out
    }
}

struct Found {
    /// In order, not overlapping.
    edits: Vec<(Range<usize>, &'static str)>,
    /// Bytes before this are known to the end.
    settled: usize,
}

/// The end of the last event that ends at or before `most`.
fn boundary(bytes: &[u8], most: usize) -> Option<usize> {
    let most = most.min(bytes.len());
    (1..=most).rev().find(|end| bytes[*end - 1] == b'\n' && (*end < 2 || matches!(bytes[*end - 2], b'\n' | b'\r')))
}

fn find(redactor: &Redactor, bytes: &[u8], last: bool) -> Found {
    let mut edits: Vec<(Range<usize>, &'static str)> =
        redactor.ranges(bytes).into_iter().map(|range| (range, REDACTED)).collect();
    let mut spans: Vec<Range<usize>> = edits.iter().map(|(range, _)| range.clone()).collect();
    // An event that has not ended may go on with anything.
    let whole = if last { bytes.len() } else { boundary(bytes, bytes.len()).unwrap_or(0) };
    let mut settled = if last { bytes.len() } else { whole.min(redactor.open_end(bytes)) };
    for text in texts(bytes, whole).into_iter().flat_map(readings) {
        let said: Vec<u8> = text.iter().map(|cell| cell.byte).collect();
        for range in redactor.ranges(&said) {
            let mut with = REDACTED;
            spans.push(text[range.start].from..text[range.end - 1].to);
            for range in raw(&text[range]) {
                edits.push((range, std::mem::take(&mut with)));
            }
        }
        if let Some(cell) = text.get(redactor.open_end(&said)).filter(|_| !last) {
            settled = settled.min(boundary(bytes, cell.from).unwrap_or(0));
        }
    }
    // What is let go holds each secret from its beginning to its end.
    while let Some(span) = spans.iter().find(|span| span.start < settled && settled < span.end) {
        settled = boundary(bytes, span.start).unwrap_or(0);
    }
    edits.sort_by_key(|(range, with)| (range.start, std::cmp::Reverse(with.len())));
    let mut merged: Vec<(Range<usize>, &'static str)> = Vec::new();
    for (range, with) in edits {
        match merged.last_mut() {
            // The same secret, found as bytes and as text.
            Some((before, _)) if range.start < before.end => before.end = before.end.max(range.end),
            Some(_) | None => merged.push((range, with)),
        }
    }
    Found { edits: merged, settled }
}

/// One byte of a decoded text, and the raw bytes that its character was written with.
#[derive(Clone, Copy)]
struct Cell {
    byte: u8,
    from: usize,
    to: usize,
}

/// A text as it is, and where it has escapes also as what it says: arguments are JSON within JSON.
fn readings(text: Vec<Cell>) -> Vec<Vec<Cell>> {
    if !text.iter().any(|cell| cell.byte == b'\\') {
        return vec![text];
    }
    let bytes: Vec<u8> = text.iter().map(|cell| cell.byte).collect();
    let mut walk = Walk { bytes: &bytes, at: 0, base: 0, leaves: Vec::new() };
    let mut said = Vec::new();
    while let Some(byte) = bytes.get(walk.at) {
        let begun = walk.at;
        walk.at += 1;
        let c = (*byte == b'\\').then(|| walk.escape()).flatten();
        let Some(last) = text.get(walk.at.max(begun + 1) - 1).filter(|_| c.is_some()) else {
            walk.at = begun + 1;
            said.push(text[begun]);
            continue;
        };
        let (from, to) = (text[begun].from, last.to);
        said.extend(c.into_iter().flat_map(|c| c.to_string().into_bytes()).map(|byte| Cell { byte, from, to }));
    }
    vec![text, said]
}

/// The raw bytes of neighbouring characters, together where they touch.
fn raw(cells: &[Cell]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for cell in cells {
        match ranges.last_mut() {
            Some(range) if cell.from <= range.end => range.end = range.end.max(cell.to),
            Some(_) | None => ranges.push(cell.from..cell.to),
        }
    }
    ranges
}

/// The texts in the events of these bytes, those of one place in one.
fn texts(bytes: &[u8], whole: usize) -> Vec<Vec<Cell>> {
    let mut places: HashMap<String, Vec<Cell>> = HashMap::new();
    let mut from = 0;
    for line in bytes[..whole].split_inclusive(|byte| *byte == b'\n') {
        let data = line.strip_prefix(b"data:").unwrap_or(line);
        let at = from + line.len() - data.len();
        from += line.len();
        let Ok(value) = serde_json::from_slice::<Value>(data.trim_ascii()) else { continue };
        let mut walk = Walk { bytes: data, at: 0, base: at, leaves: Vec::new() };
        if walk.value(&value, &kind(&value), 0).is_some() {
            for (place, cells) in walk.leaves {
                places.entry(place).or_default().extend(cells);
            }
        }
    }
    places.into_values().collect()
}

/// What kind of event it is, where a dialect has several with the same fields.
fn kind(value: &Value) -> String {
    let part = |key: &str| value.get(key).map(Value::to_string).unwrap_or_default();
    format!("{} {}", part("type"), part("output_index"))
}

/// Walks through a JSON text that is known to be valid, beside its value.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    base: usize,
    leaves: Vec<(String, Vec<Cell>)>,
}

impl Walk<'_> {
    fn peek(&mut self) -> Option<u8> {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    fn value(&mut self, value: &Value, place: &str, depth: usize) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        match self.peek()? {
            b'"' => {
                let cells = self.string()?;
                self.leaves.push((place.to_owned(), cells));
            }
            b'{' => {
                self.at += 1;
                while self.peek()? != b'}' {
                    let key: Vec<u8> = self.string()?.iter().map(|cell| cell.byte).collect();
                    let key = String::from_utf8(key).ok()?;
                    self.expect(b':')?;
                    self.value(value.get(&key)?, &format!("{place}.{key}"), depth + 1)?;
                    self.comma()?;
                }
                self.at += 1;
            }
            b'[' => {
                self.at += 1;
                let mut index = 0;
                while self.peek()? != b']' {
                    let item = value.get(index)?;
                    // What belongs together bears the same index, wherever it stands.
                    let name = item.get("index").map_or_else(|| index.to_string(), Value::to_string);
                    self.value(item, &format!("{place}[{name}]"), depth + 1)?;
                    self.comma()?;
                    index += 1;
                }
                self.at += 1;
            }
            _ => {
                while self
                    .bytes
                    .get(self.at)
                    .is_some_and(|b| !matches!(b, b',' | b']' | b'}') && !b.is_ascii_whitespace())
                {
                    self.at += 1;
                }
            }
        }
        Some(())
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn comma(&mut self) -> Option<()> {
        if self.peek()? == b',' {
            self.at += 1;
        }
        Some(())
    }

    fn string(&mut self) -> Option<Vec<Cell>> {
        self.expect(b'"')?;
        let mut cells = Vec::new();
        loop {
            let from = self.at;
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            match byte {
                b'"' => return Some(cells),
                b'\\' => {
                    let c = self.escape()?;
                    let (from, to) = (self.base + from, self.base + self.at);
                    cells.extend(c.encode_utf8(&mut [0; 4]).bytes().map(|byte| Cell { byte, from, to }));
                }
                byte => cells.push(Cell { byte, from: self.base + from, to: self.base + self.at }),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(match byte {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => {
                let high = self.hex()?;
                if (0xd800..0xdc00).contains(&high) && self.bytes.get(self.at..self.at + 2) == Some(b"\\u") {
                    self.at += 2;
                    let low = self.hex()?;
                    return char::decode_utf16([high, low]).next()?.ok();
                }
                char::from_u32(u32::from(high)).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            other => char::from(other),
        })
    }

    fn hex(&mut self) -> Option<u16> {
        let digits = std::str::from_utf8(self.bytes.get(self.at..self.at + 4)?).ok()?;
        self.at += 4;
        u16::from_str_radix(digits, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "sk-ca\"nary/1234567890";

    /// Scrubs the body in chunks of `size`, and gives back what is written; the chunks keep their marks.
    fn scrub(body: &str, size: usize) -> String {
        let mut scrub = Scrub::new(Redactor::new([SECRET]));
        let mut out = Vec::new();
        let mut n = 0;
        for bytes in body.as_bytes().chunks(size) {
            out.extend(scrub.push(Mark { n, t_us: n }, bytes));
            n += 1;
        }
        out.extend(scrub.finish());
        let mut marks: Vec<u64> = out.iter().map(|(mark, _)| mark.n).collect();
        marks.dedup();
        assert_eq!(marks, (0..n).collect::<Vec<_>>());
        String::from_utf8(out.into_iter().flat_map(|(_, bytes)| bytes).collect()).unwrap()
    }

    fn check(body: &str, expect: &str) {
        for size in [1, 2, 3, 7, 19, 64, 100_000] {
            assert_eq!(scrub(body, size), expect, "in chunks of {size}");
        }
    }

    fn event(path: &str, text: &str) -> String {
        let text = Value::from(text);
        match path {
            "content" => format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{text}}}}}]}}\n\n"),
            index => format!(
                "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":{index},\"function\":\
                 {{\"arguments\":{text}}}}}]}}}}]}}\n\n"
            ),
        }
    }

    #[test]
    fn a_secret_in_one_piece_is_taken_out_whatever_the_chunks_are() {
        check(
            &format!(": x {SECRET} y\n\n{}", event("content", &format!("a {SECRET} b"))),
            &format!(": x [redacted] y\n\n{}", event("content", "a [redacted] b")),
        );
        check(
            "data: {\"delta\":\"\\u0073k-ca\\\"nary\\/12345\\u00367890!\"}\n\n",
            "data: {\"delta\":\"[redacted]!\"}\n\n",
        );
    }

    #[test]
    fn a_secret_that_a_model_writes_in_pieces_is_taken_out() {
        let pieces = |texts: &[&str]| texts.iter().map(|text| event("content", text)).collect::<String>();
        check(
            &pieces(&["The key: s", "k-", "ca\"na", "ry/1234567", "890. Bye", "s", "!"]),
            &pieces(&["The key: [redacted]", "", "", "", ". Bye", "s", "!"]),
        );
        // Two calls at once: each index is a text of its own.
        let calls = |texts: &[(&str, &str)]| texts.iter().map(|(at, text)| event(at, text)).collect::<String>();
        check(
            &calls(&[("0", "{\"k\":\"sk-ca\\\"nary"), ("1", "{\"q\":\"sk-"), ("0", "/1234567890\"}"), ("1", "x\"}")]),
            &calls(&[("0", "{\"k\":\"[redacted]"), ("1", "{\"q\":\"sk-"), ("0", "\"}"), ("1", "x\"}")]),
        );
    }

    #[test]
    fn what_is_no_secret_stays_to_the_byte() {
        let body =
            "\u{feff}: hi\r\n\r\ndata:a\r\n\r\ndata: {\"a\":\n\ndata: {\"sk-c\": [1, \"sk-ca\\\"nary/123\"]}\n\nsk-ca";
        check(body, body);
    }

    #[test]
    fn what_may_be_a_beginning_is_held_back_and_no_more() {
        let mut scrub = Scrub::new(Redactor::new([SECRET]));
        let mut push = |text: &str| scrub.push(Mark { n: 0, t_us: 0 }, event("content", text).as_bytes()).len();
        assert_eq!((push("hello"), push("then sk-"), push("ca"), push("rt")), (1, 0, 0, 3));
        let long = "x".repeat(MOST_HELD);
        assert_eq!((push("s"), push(&long), push("k")), (0, 2, 1));
    }
}
