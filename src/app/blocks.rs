//! What of the transcript can be chosen by itself, and its source: what a copy takes, without gutters or wrapping.

use std::borrow::Cow;
use std::fmt::Write as _;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use serde_json::json;

use super::calls::Call;
use super::transcript::{Entry, EntryBody, Piece, Transcript};
use crate::chat::{CallId, OutcomeKind};
use crate::text::{BlockKind, blocks};

/// A block of an answer: its piece, and where its source begins there, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockAt {
    pub piece: usize,
    pub start: usize,
}

/// An entry, or a block of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    pub key: u64,
    pub block: Option<BlockAt>,
}

/// What a block is made of, raw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source<'a> {
    Thinking(&'a str),
    /// Fenced code with its fences.
    Code(&'a str),
    /// Any other markdown.
    Text(&'a str),
    Call(&'a CallId),
}

impl Entry {
    /// Its blocks in order; none where it is one whole: what a person wrote, a fault, a note.
    #[must_use]
    pub fn blocks(&self) -> Vec<(BlockAt, Source<'_>)> {
        let EntryBody::Answer(answer) = &self.body else { return Vec::new() };
        let mut out = Vec::new();
        for (piece, body) in answer.pieces.iter().enumerate() {
            let at = BlockAt { piece, start: 0 };
            match body {
                Piece::Thinking { text, .. } => out.push((at, Source::Thinking(text))),
                Piece::Call(id) => out.push((at, Source::Call(id))),
                Piece::Text(text) | Piece::Refusal(text) => out.extend(blocks(text).into_iter().map(|block| {
                    let source = &text[block.range.clone()];
                    let source = match block.kind {
                        BlockKind::Fence => Source::Code(source),
                        BlockKind::Flow => Source::Text(source),
                    };
                    (BlockAt { start: block.range.start, ..at }, source)
                })),
            }
        }
        out
    }

    /// One of them.
    #[must_use]
    pub fn block(&self, at: BlockAt) -> Option<Source<'_>> {
        self.blocks().into_iter().find(|(found, _)| *found == at).map(|(_, source)| source)
    }
}

impl Transcript {
    /// The first and the last of what is chosen.
    #[must_use]
    pub fn chosen(&self) -> Option<(Spot, Spot)> {
        let from = Spot { key: self.selected?, block: self.block };
        let until = self.until.unwrap_or(from);
        Some((from.min(until), from.max(until)))
    }

    /// Whether an entry, or a block of it, is chosen; an entry chosen whole has all its blocks chosen.
    #[must_use]
    pub fn is_chosen(&self, spot: Spot) -> bool {
        let Some((from, until)) = self.chosen() else { return false };
        if from == until && from.block.is_none() {
            return spot.key == from.key;
        }
        let after = |spot: Spot| spot >= from;
        let before = |spot: Spot| spot <= until || (spot.key == until.key && until.block.is_none());
        after(spot) && before(spot)
    }
}

/// The words of a block as they were written: code without its fence, everything else whole.
pub(super) fn written(source: Source<'_>) -> Cow<'_, str> {
    match source {
        Source::Thinking(text) | Source::Text(text) => Cow::Borrowed(text.trim_end()),
        Source::Code(text) => last_code(text).map_or(Cow::Borrowed(text), Cow::Owned),
        Source::Call(_) => Cow::Borrowed(""),
    }
}

/// What a call came to, as JSON: its server's own answer where that was kept, else one of the same form.
pub(super) fn result_json(call: &Call) -> Option<String> {
    let outcome = call.outcome.as_deref()?;
    let value = outcome.result().unwrap_or_else(|| {
        let text = outcome.full.as_deref().unwrap_or(&outcome.content);
        json!({
            "content": [{ "type": "text", "text": text }],
            "isError": !matches!(outcome.kind, OutcomeKind::Done),
        })
    });
    serde_json::to_string_pretty(&value).ok()
}

/// The first table of a markdown text as CSV (RFC 4180, with line feeds). None where there is none.
pub(super) fn table_csv(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut cell: Option<String> = None;
    let mut first = true;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        match event {
            Event::Start(Tag::TableHead | Tag::TableRow) => first = true,
            Event::Start(Tag::TableCell) => cell = Some(String::new()),
            Event::Text(words) | Event::Code(words) | Event::InlineMath(words) | Event::DisplayMath(words) => {
                if let Some(cell) = &mut cell {
                    cell.push_str(&words);
                }
            }
            Event::SoftBreak | Event::HardBreak | Event::InlineHtml(_) => {
                if let Some(cell) = &mut cell {
                    cell.push(' ');
                }
            }
            Event::End(TagEnd::TableCell) => {
                let words = cell.take().unwrap_or_default();
                out.push_str(if first { "" } else { "," });
                first = false;
                if words.contains([',', '"', '\n']) {
                    let _ = write!(out, "\"{}\"", words.replace('"', "\"\""));
                } else {
                    out.push_str(&words);
                }
            }
            Event::End(TagEnd::TableHead | TagEnd::TableRow) => out.push('\n'),
            Event::End(TagEnd::Table) => return Some(out),
            _ => {}
        }
    }
    None
}

/// The last fenced block of a markdown text, without its fence; an open one to its end.
pub(super) fn last_code(text: &str) -> Option<String> {
    let mut found = None;
    let mut open: Option<(char, usize, String)> = None;
    for line in text.lines() {
        let bare = line.trim_start();
        let mark = bare.chars().next().filter(|c| matches!(c, '`' | '~'));
        let run = mark.map_or(0, |mark| bare.chars().take_while(|c| *c == mark).count());
        match (&mut open, mark) {
            (None, Some(mark)) if run >= 3 => open = Some((mark, run, String::new())),
            (Some((fence, length, code)), Some(mark))
                if mark == *fence && run >= *length && bare.trim_end().chars().count() == run =>
            {
                found = Some(std::mem::take(code));
                open = None;
            }
            (Some((_, _, code)), _) => {
                code.push_str(line);
                code.push('\n');
            }
            (None, _) => {}
        }
    }
    open.map(|(_, _, code)| code).or(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_code_block_is_taken_without_its_fence() {
        assert_eq!(last_code("a\n```rust\nx\n```\nb\n~~~~\ny\n```\nz\n~~~~\nc").as_deref(), Some("y\n```\nz\n"));
        assert_eq!(last_code("```\nopen"), Some("open\n".into()));
        assert_eq!(last_code("none `x`"), None);
    }

    #[test]
    fn a_table_becomes_csv() {
        let table = "words\n\n| a | `b` |\n|--|--:|\n| one, two | say \"x\" |\n| **c** | |\n";
        assert_eq!(table_csv(table).as_deref(), Some("a,b\n\"one, two\",\"say \"\"x\"\"\"\nc,\n"));
        assert_eq!(table_csv("no | table"), None);
    }
}
