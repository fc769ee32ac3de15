//! Text marked with the mouse: by cells, by words with the second click, by blocks with the third.
//!
//! # Invariants
//! - A mark stands on the text, not on the screen: it moves with what it is on, whatever comes meanwhile. Another width
//!   breaks all lines anew, and takes it away.
//! - While the button is held, nothing but the edge moves the text under it.
//! - It only ever copies: nothing that is marked, pressed or let go of decides anything.

use super::blocks::Spot;
use super::effect::Effect;
use super::key::Mouse;
use super::layout::Target;
use super::state::{Focus, State};
use super::transcript::{Anchor, Scroll, Transcript};
use crate::chat::Stamp;

/// A second press counts as one more click within this time.
const AGAIN_US: u64 = 400_000;

/// A place in the text of the transcript: a column of a row of a part of an entry. Rows of a part are counted from where
/// it begins, so that what folds or grows before it moves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TextPoint {
    pub key: u64,
    pub part: usize,
    pub row: usize,
    pub column: usize,
}

/// What is marked, both ends included, in the order in which they were pointed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marked {
    pub from: TextPoint,
    pub until: TextPoint,
    /// Both ends grow to whole words.
    pub words: bool,
}

impl Marked {
    /// The first end and the last, in the order of the text.
    #[must_use]
    pub fn ends(&self) -> (TextPoint, TextPoint) {
        (self.from.min(self.until), self.from.max(self.until))
    }
}

/// A press of the button, until the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pressed {
    at: Stamp,
    x: u16,
    y: u16,
    clicks: u8,
    /// The text under it.
    point: Option<TextPoint>,
    /// Where the text was held that would have followed.
    held: Option<Anchor>,
    down: bool,
    /// It was on what was chosen already: let go of, it folds that.
    folds: bool,
}

impl Transcript {
    /// The lines are broken anew.
    pub(super) fn unmark(&mut self) {
        self.marked = None;
        self.pressed = None;
    }
}

impl State {
    /// The button goes down. True where it means no more than what is done here.
    pub(super) fn press(&mut self, mouse: Mouse) -> bool {
        let transcript = &mut self.transcript;
        transcript.dragged = false;
        transcript.marked = None;
        let last = transcript.pressed.filter(|last| {
            last.y == mouse.y && last.x.abs_diff(mouse.x) <= 1 && self.now.since_us(last.at) <= AGAIN_US
        });
        let clicks = last.map_or(0, |last| last.clicks) % 3 + 1;
        let point = if self.overlays.is_empty() { self.layout.text_at(mouse.x, mouse.y) } else { None };
        transcript.pressed =
            Some(Pressed { at: self.now, x: mouse.x, y: mouse.y, clicks, point, held: None, down: true, folds: false });
        let Some(point) = point.filter(|_| clicks > 1) else { return false };
        self.focus = Focus::Transcript;
        if clicks == 2 {
            transcript.marked = Some(Marked { from: point, until: point, words: true });
        } else {
            let spot = self.spot_at(mouse).unwrap_or(Spot { key: point.key, block: None });
            self.transcript.choose(Some(spot));
        }
        true
    }

    /// What is chosen already was pressed once more.
    pub(super) fn folds_when_released(&mut self) {
        if let Some(pressed) = &mut self.transcript.pressed {
            pressed.folds = true;
        }
    }

    /// The pointer moves with the button down: marks text from where it was pressed, else chooses blocks; at the edge
    /// the text moves.
    pub(super) fn drag(&mut self, mouse: Mouse) {
        let Some(pressed) = self.transcript.pressed.filter(|pressed| pressed.down) else { return };
        if !self.overlays.is_empty() || self.focus != Focus::Transcript {
            return;
        }
        let area = self.layout.transcript.area;
        let marks = pressed.point.filter(|_| pressed.clicks < 3);
        if marks.is_none() && self.transcript.selected.is_none() {
            return;
        }
        self.hold();
        if mouse.y <= area.y {
            self.scroll_lines(-1);
        } else if mouse.y + 1 >= area.y + area.height && !self.layout.transcript.at_end {
            self.scroll_lines(1);
        }
        let Some(from) = marks else { return self.drag_blocks(mouse) };
        let Some(until) = self.layout.text_near(mouse.x, mouse.y) else { return };
        if until != from || self.transcript.marked.is_some() {
            self.transcript.marked = Some(Marked { from, until, words: pressed.clicks == 2 });
        }
    }

    /// What streams must not slip away under the pointer.
    fn hold(&mut self) {
        let top = self.layout.transcript.top;
        if let (Scroll::Follow, Some(top), Some(pressed)) = (self.transcript.scroll, top, &mut self.transcript.pressed)
        {
            pressed.held = Some(top);
            self.transcript.scroll = Scroll::Anchored(top);
            self.transcript.downward = false;
        }
    }

    /// Chooses all blocks between the one that was pressed and the one under the pointer.
    fn drag_blocks(&mut self, mouse: Mouse) {
        let from = self.transcript.selected.map(|key| Spot { key, block: self.transcript.block });
        let under = self.spot_at(mouse);
        if let Some(spot) =
            under.filter(|spot| from.is_some_and(|from| from != *spot) || self.transcript.until.is_some())
        {
            self.transcript.until = Some(spot);
            self.transcript.dragged = true;
        }
    }

    fn spot_at(&self, mouse: Mouse) -> Option<Spot> {
        self.layout.targets.iter().rev().find_map(|(area, target)| match target {
            Target::Block(spot) if area.contains(mouse.x, mouse.y) => Some(*spot),
            Target::Entry(key) if area.contains(mouse.x, mouse.y) => Some(Spot { key: *key, block: None }),
            _ => None,
        })
    }

    /// The button goes up: what was marked or chosen is copied.
    pub(super) fn release(&mut self, out: &mut Vec<Effect>) {
        let Some(pressed) = &mut self.transcript.pressed else { return };
        pressed.down = false;
        let pressed = *pressed;
        if let Some(held) = pressed.held
            && self.transcript.scroll == Scroll::Anchored(held)
        {
            self.transcript.scroll = Scroll::Follow;
        }
        if std::mem::take(&mut self.transcript.dragged) {
            self.copy_chosen(out);
        } else if let Some(marked) = self.transcript.marked {
            out.push(Effect::CopyMarked(marked));
        } else if pressed.clicks == 3 && pressed.point.is_some() {
            self.copy_message(out);
        } else if pressed.folds && self.overlays.is_empty() {
            self.fold();
        }
    }
}
