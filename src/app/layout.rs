//! What the last frame looked like: heights and hit areas, handed back by the view so that keys and clicks can be
//! understood. Sent as an event when it changed.

use super::blocks::Spot;
use super::marking::TextPoint;
use super::overlay::TreeKind;
use super::transcript::Anchor;
use crate::chat::CallId;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    pub columns: u16,
    pub rows: u16,
}

/// Cells counted from the top left, 0-based.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Area {
    pub x: u16,
    pub y: u16,
    pub width: u16,
    pub height: u16,
}

impl Area {
    #[must_use]
    pub fn contains(self, x: u16, y: u16) -> bool {
        x >= self.x && y >= self.y && x - self.x < self.width && y - self.y < self.height
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    pub size: Size,
    /// Whether the panel stands beside the transcript (else it is a strip, or full screen while it has the focus).
    pub panel_beside: bool,
    pub transcript: TranscriptLayout,
    /// The lines of the transcript that are on the screen, downwards.
    pub lines: Vec<TextLine>,
    /// The rows of the list or text on top: of the topmost overlay, else of the panel.
    pub list: ListLayout,
    /// The visible rows of a tree, where one is on top.
    pub tree: Vec<TreeSpot>,
    /// Present while a review is on top.
    pub review: Option<ReviewLayout>,
    /// Present while a server's request for an answer of the model is on top.
    pub sample: Option<SampleLayout>,
    /// Topmost last.
    pub targets: Vec<(Area, Target)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TranscriptLayout {
    pub area: Area,
    /// What stands in the first row, normalised: its line lies inside its entry.
    pub top: Option<Anchor>,
    /// The last line of the transcript is on the screen.
    pub at_end: bool,
    /// Lines below the last visible one.
    pub below: usize,
}

/// A line of the transcript as it stands on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextLine {
    pub y: u16,
    /// Where its text begins, past the gutter.
    pub x: u16,
    /// Its first column.
    pub at: TextPoint,
    /// It holds text that can be marked by its cells.
    pub text: bool,
}

impl Layout {
    /// The text under a cell.
    pub(super) fn text_at(&self, x: u16, y: u16) -> Option<TextPoint> {
        let line = self.lines.iter().find(|line| line.y == y && line.text)?;
        Some(line.point(x))
    }

    /// The place in the text that is nearest to a cell: below the last line it is that line's end.
    pub(super) fn text_near(&self, x: u16, y: u16) -> Option<TextPoint> {
        match self.lines.iter().rev().find(|line| line.y <= y) {
            Some(line) if line.y == y => Some(line.point(x)),
            Some(line) => Some(TextPoint { column: usize::MAX, ..line.at }),
            None => self.lines.first().map(|line| line.at),
        }
    }
}

impl TextLine {
    fn point(&self, x: u16) -> TextPoint {
        TextPoint { column: usize::from(x.saturating_sub(self.x)), ..self.at }
    }
}

/// A scrolled list or text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListLayout {
    /// Lines in all.
    pub lines: usize,
    /// Lines visible at once.
    pub page: usize,
    /// The first visible line.
    pub top: usize,
}

/// A visible row of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeSpot {
    pub row: usize,
    /// The node by the byte at which it begins.
    pub node: usize,
    pub kind: TreeKind,
    /// The row of the node that holds it.
    pub parent: usize,
}

/// How much of a review has been on the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewLayout {
    pub call: CallId,
    /// [`super::ReviewBox::revision`] of the bytes that were drawn.
    pub revision: u64,
    pub lines: usize,
    pub page: usize,
    pub top: usize,
    /// The last line of the arguments is on the screen in this frame.
    pub end_visible: bool,
}

/// How much of a request for an answer, or of the answer, has been on the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleLayout {
    /// [`super::SampleView::revision`] of the text that was drawn.
    pub revision: u64,
    pub lines: usize,
    pub page: usize,
    pub top: usize,
    pub end_visible: bool,
}

/// What a click hits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Composer,
    Transcript,
    /// An entry of the transcript, by its key.
    Entry(u64),
    /// A block of one.
    Block(Spot),
    /// The fold of an entry's thinking.
    Fold(u64),
    /// A call's row in the transcript, panel or strip.
    Call(CallId),
    Panel,
    /// "new lines below".
    Follow,
    /// A row of the topmost overlay's list, from 0.
    Row(usize),
    /// Anything else of the topmost overlay.
    Overlay,
}
