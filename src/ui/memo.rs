//! What was laid out before and need not be again.
//!
//! # Invariants
//! - A warm memo and a cold one give the same frame; only colours of code, and how many rows a text of megabytes has, may
//!   come a frame later. Where a reader was before the width changed only a warm one knows.
//! - Entries that have not been on the screen for a while are dropped; their heights stay.

use std::collections::HashMap;

use super::call::Telling;
use super::entry::{Laid, Shape};
use super::holding::Held;
use super::links::Links;
use super::markdown::Highlighter;
use super::pictures::Picture;
use super::theme::Glyphs;
use crate::app::Call;
use crate::chat::CallId;

/// Frames after which an entry that was not drawn is dropped.
const KEPT_FRAMES: u64 = 240;
/// Bytes of rows above which that happens at once.
const BUDGET: usize = 16 * 1024 * 1024;

#[derive(Default)]
pub struct Memo {
    frame: u64,
    pub(super) glyphs: Option<&'static Glyphs>,
    /// How the transcript was laid out last.
    pub(super) shape: Option<Shape>,
    /// A reader's line, since the width changed.
    pub(super) held: Option<Held>,
    /// Pixels of a cell, where the terminal draws pictures.
    pub(super) cell: Option<(u16, u16)>,
    pub(super) pictures: Vec<Picture>,
    /// Of the frame that was drawn last.
    pub(super) links: Links,
    pub(super) entries: HashMap<u64, Laid>,
    pub(super) heights: Vec<Height>,
    calls: HashMap<CallId, (u64, Telling)>,
    pub(super) highlighter: Highlighter,
    pub(super) preview: Option<super::overlay::PreviewRows>,
    pub(super) detail: Option<super::overlay::DetailRows>,
}

/// The height of an entry as far as it is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Height {
    pub key: u64,
    pub revision: u64,
    pub lines: usize,
}

impl std::fmt::Debug for Memo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memo").field("frame", &self.frame).field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}

impl Memo {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the next frame would differ without anything having happened: code is still being coloured, or the rows
    /// of a long text are still being counted.
    #[must_use]
    pub fn wants_frame(&self) -> bool {
        self.highlighter.left || self.detail.as_ref().is_some_and(|rows| rows.left())
    }

    /// Where the cells of the last frame lead.
    #[must_use]
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// From the next frame on pictures are drawn for cells of so many pixels, across and down; None: they are not.
    pub fn draw_pictures(&mut self, cell: Option<(u16, u16)>) {
        self.cell = cell;
    }

    /// The pictures of the last frame.
    #[must_use]
    pub fn pictures(&self) -> &[Picture] {
        &self.pictures
    }

    pub(super) fn begin_frame(&mut self, glyphs: &'static Glyphs) {
        self.frame += 1;
        if self.glyphs.is_some_and(|old| !std::ptr::eq(old, glyphs)) {
            self.entries.clear();
            self.preview = None;
            self.heights.clear();
            self.detail = None;
        }
        self.glyphs = Some(glyphs);
        self.highlighter.begin_frame();
    }

    pub(super) fn end_frame(&mut self) {
        let frame = self.frame;
        let held: usize = self.entries.values().map(|laid| laid.bytes).sum();
        let kept = if held > BUDGET { 1 } else { KEPT_FRAMES };
        if self.frame.is_multiple_of(60) || held > BUDGET {
            self.entries.retain(|_, laid| frame - laid.seen < kept);
        }
        if self.calls.len() > 4_096 {
            self.calls.clear();
        }
    }

    pub(super) fn frame(&self) -> u64 {
        self.frame
    }

    pub(super) fn telling(&mut self, call: &Call) -> &Telling {
        let slot = self.calls.entry(call.id.clone()).or_insert_with(|| (call.revision, Telling::of(call)));
        if slot.0 != call.revision {
            *slot = (call.revision, Telling::of(call));
        }
        &slot.1
    }
}
