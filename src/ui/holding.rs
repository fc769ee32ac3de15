//! A reader's first line, through changes of the width: found again by the letters that stand before it.
//!
//! # Invariants
//! - There and back, the reader is where they were, to the line.
//! - Only a change of the width is answered here; what comes, folds or scrolls moves an anchor by its own rules.

use super::entry::{Laid, Line};
use crate::app::Anchor;

/// Where a reader was before the width changed, and what stands for it now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    from: Anchor,
    width: usize,
    /// Letters and figures of the entry before the line.
    letters: usize,
    /// The anchor that the present width gave for it.
    pub now: Anchor,
}

impl Held {
    /// Of a line in an entry that was laid out in `width` columns.
    pub(super) fn new(anchor: Anchor, width: usize, laid: &Laid) -> Option<Self> {
        let line = usize::try_from(anchor.line).ok()?;
        let letters = (0..line).map(|n| letters(laid, n)).sum();
        Some(Self { from: anchor, width, letters, now: anchor })
    }

    /// The same place, as the frame that was drawn tells it.
    pub(super) fn stands_at(self, now: Anchor) -> Self {
        Self { now, ..self }
    }

    /// The line for it in the same entry, laid out in `width` columns.
    pub(super) fn anchor(&self, width: usize, laid: &Laid) -> Anchor {
        if width == self.width {
            return self.from;
        }
        let mut before = 0;
        let line = (0..laid.height).find(|n| {
            before += letters(laid, *n);
            before > self.letters
        });
        let line = line.unwrap_or(laid.height.saturating_sub(1));
        Anchor { line: isize::try_from(line).unwrap_or(isize::MAX), ..self.from }
    }
}

/// Rules, gutters and blanks depend on the width; letters and figures do not. What is no text counts as one.
fn letters(laid: &Laid, line: usize) -> usize {
    match laid.line(line) {
        Some(Line::Row(row)) => row.text().chars().filter(|c| c.is_alphanumeric()).count(),
        Some(Line::Role(..) | Line::Fold(_) | Line::Call(_)) => 1,
        Some(Line::Apart | Line::Blank | Line::Picture(..)) | None => 0,
    }
}
