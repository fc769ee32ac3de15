//! Markdown that is still being written, as rows.
//!
//! The source is cut into blocks by [`crate::text::Splitter`]; a block is final once a later line proves that it has ended, and is
//! laid out once. Only the last, open block is laid out again as it grows, with what is half-typed repaired for the
//! eye. Fenced code grows by its lines.
//!
//! # Invariants
//! - Where blocks end depends on the text before alone: however it was split into deltas, the whole text is drawn as if
//!   it had come at once.
//! - Work per added byte is bounded: blocks have a greatest length, fences grow line by line.
//! - Input is raw; each block is sanitised before it is parsed.
//!
//! # Does not
//! Fetch images or open links; resolve link references defined in another block. Footnotes are: where they are used a
//! sign stands, and their text stands where its author put it, so that nothing moves that was read.

mod code;
mod fence;
mod inline;
mod maths;
mod notes;
mod render;
mod repair;
mod table;

pub(super) use code::Highlighter;
pub(super) use inline::{plain, wrap_row};

use fence::Fence;
use render::render;

use super::ink::Row;
use super::theme::Glyphs;
use crate::text::{Block, BlockKind, Splitter};

/// One document, laid out for a width.
#[derive(Debug)]
pub(super) struct Document {
    splitter: Splitter,
    width: usize,
    complete: bool,
    /// Length of the source that was taken in, and of the rows of final blocks.
    taken: usize,
    /// FNV-1a of it, and its last bytes.
    print: u64,
    end: Vec<u8>,
    settled: usize,
    settled_bytes: usize,
    rows: Vec<Row>,
    /// Where the rows of each block begin, and its source: `(row, byte)`, growing. What is cut for its length goes on.
    marks: Vec<(usize, usize)>,
    /// The fence that is open or was last drawn, where the last block is one.
    open: Option<Fence>,
    /// Its first line is whole, and so it will not become a paragraph.
    sure: bool,
    /// Closed fences whose colours are not all there.
    uncoloured: Vec<Fence>,
}

impl Document {
    pub(super) fn new(width: usize) -> Self {
        Self {
            splitter: Splitter::default(),
            width: width.max(1),
            complete: false,
            taken: 0,
            print: FNV,
            end: Vec::new(),
            settled: 0,
            settled_bytes: 0,
            rows: Vec::new(),
            marks: Vec::new(),
            open: None,
            sure: false,
            uncoloured: Vec::new(),
        }
    }

    /// Whether `source` goes on from what was taken in: by its last bytes, and wholly where the answer settles now.
    pub(super) fn continues(&self, source: &str, complete: bool) -> bool {
        let Some(start) = source.get(..self.taken) else { return false };
        let same_end = start.as_bytes().ends_with(&self.end);
        same_end && (complete == self.complete || fingerprint(FNV, start) == self.print)
    }

    /// Takes in the text as it stands, which must begin with what was taken in before; `complete` when nothing more
    /// will come.
    pub(super) fn update(&mut self, source: &str, complete: bool, glyphs: &Glyphs) {
        if source.len() == self.taken && complete == self.complete {
            return;
        }
        self.complete = complete;
        self.print = fingerprint(self.print, &source[self.taken..]);
        self.end = source.as_bytes()[source.len().saturating_sub(32)..].to_vec();
        self.rows.truncate(self.settled);
        for block in self.splitter.push(source) {
            self.finish(source, &block, glyphs);
        }
        self.taken = source.len();
        let Some(block) = self.splitter.open(source) else { return };
        let text = &source[block.range.clone()];
        match block.kind {
            BlockKind::Fence => {
                self.grow_fence(&block, text);
                if let Some(fence) = &self.open {
                    self.rows.extend(fence.tail(text));
                }
            }
            BlockKind::Flow => {
                self.gap(&block);
                let repaired = if complete { text.into() } else { repair::repair(text) };
                let half = text.rsplit(char::is_whitespace).next().filter(|word| !complete && !word.is_empty());
                self.rows.extend(render(&repaired, self.width, glyphs, half));
            }
        }
    }

    fn finish(&mut self, source: &str, block: &Block, glyphs: &Glyphs) {
        let text = &source[block.range.clone()];
        match block.kind {
            BlockKind::Fence => {
                self.grow_fence(block, text);
                if let Some(fence) = self.open.take()
                    && !fence.coloured()
                {
                    self.uncoloured.push(fence);
                }
            }
            BlockKind::Flow => {
                // What looked like the beginning of a fence may have become a paragraph.
                self.open = None;
                self.gap(block);
                self.rows.extend(render(text, self.width, glyphs, None));
            }
        }
        self.settle();
    }

    /// Adds the rows of the fence's complete lines, which never change again but in colour.
    fn grow_fence(&mut self, block: &Block, text: &str) {
        let sure = text.contains('\n');
        if !std::mem::replace(&mut self.sure, sure) {
            self.open = None;
        }
        if self.open.is_none() {
            self.gap(block);
        }
        let fence = self.open.get_or_insert_with(|| Fence::new(self.width));
        fence.take(text, &mut self.rows);
        if sure {
            self.settle();
        }
    }

    /// What was laid out so far never changes again.
    fn settle(&mut self) {
        self.settled_bytes += self.rows[self.settled..].iter().map(Row::bytes).sum::<usize>();
        self.settled = self.rows.len();
    }

    /// One blank row between blocks that do not belong together.
    fn gap(&mut self, block: &Block) {
        if !self.rows.is_empty() && !block.joined {
            self.rows.push(Row::new());
        }
        self.marks.truncate(self.marks.partition_point(|(_, start)| *start < block.range.start));
        if !block.joined {
            self.marks.push((self.rows.len(), block.range.start));
        }
    }

    /// Where the source of the block begins that a row belongs to; None for the blank rows between blocks.
    pub(super) fn block_at(&self, row: usize) -> Option<usize> {
        let next = self.marks.partition_point(|(first, _)| *first <= row);
        let (_, start) = *self.marks.get(next.checked_sub(1)?)?;
        let blank = self.marks.get(next).is_some_and(|(first, _)| *first == row + 1);
        (!blank || !self.rows.get(row)?.text().is_empty()).then_some(start)
    }

    /// The first row of a block, and how many it has.
    pub(super) fn rows_of(&self, start: usize) -> Option<(usize, usize)> {
        let at = self.marks.iter().position(|(_, from)| *from == start)?;
        let first = self.marks[at].0;
        let end = self.marks.get(at + 1).map_or(self.rows.len(), |(next, _)| next.saturating_sub(1));
        Some((first, end.saturating_sub(first).max(1)))
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Colours more code, within the highlighter's budget for a frame. Returns whether rows changed.
    pub(super) fn colour(&mut self, highlighter: &mut Highlighter) -> bool {
        let mut changed = false;
        if let Some(fence) = &mut self.open {
            changed |= fence.colour(highlighter, &mut self.rows);
        }
        // The newest first: they are what is read while more comes, and the others cost a frame nothing.
        while let Some(fence) = self.uncoloured.last_mut()
            && !highlighter.spent()
        {
            changed |= fence.colour(highlighter, &mut self.rows);
            if !fence.coloured() {
                break;
            }
            self.uncoloured.pop();
        }
        changed
    }

    pub(super) fn bytes(&self) -> usize {
        self.settled_bytes + self.rows[self.settled..].iter().map(Row::bytes).sum::<usize>()
    }
}

const FNV: u64 = 0xcbf2_9ce4_8422_2325;

fn fingerprint(from: u64, text: &str) -> u64 {
    text.bytes().fold(from, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests;
