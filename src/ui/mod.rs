//! The view: [`crate::app::State`] in, frame out.
//!
//! # Invariants
//! - Pure: the same state, theme and size give the same frame, whatever the memo holds (but for colours of code and
//!   the rows of a text of megabytes, which may come a frame later). Time is the state's `now`.
//! - Only what is visible is laid out; heights and positions are counted in `usize`.
//! - Nothing reaches the buffer but through [`canvas`], which takes safe text.
//! - No size panics.
//!
//! # Does not
//! Decide anything: it returns a [`Layout`] of heights and hit areas, and `update` decides.

mod call;
mod canvas;
mod chat;
mod composer;
mod empty;
mod entry;
mod figures;
mod footer;
mod header;
mod holding;
mod ink;
pub mod inline;
mod links;
mod markdown;
mod marking;
mod memo;
mod overlay;
mod panel;
mod pictures;
mod prose;
mod retry;
mod strip;
mod theme;
mod title;
mod tools;
mod transcript;

pub use ink::Ink;
pub use links::Links;
pub use marking::marked_text;
pub use memo::Memo;
pub use overlay::timeline;
pub use pictures::{Picture, PictureOf, picture_data};
pub use theme::{Glyphs, INKS, Look, Palette, Shade, Theme};
pub use title::title;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::app::{Layout, Size, State};
use canvas::Canvas;

/// Draws a frame and says what it looks like.
pub fn view(state: &State, theme: &Theme, memo: &mut Memo, frame: &mut Frame<'_>) -> Layout {
    let area = frame.area();
    let (layout, caret) = draw(state, theme, memo, area, frame.buffer_mut());
    if let Some(caret) = caret {
        frame.set_cursor_position(caret);
    }
    layout
}

/// As [`view`], into any buffer; returns also where the terminal's caret stands.
pub fn draw(
    state: &State,
    theme: &Theme,
    memo: &mut Memo,
    area: Rect,
    buffer: &mut Buffer,
) -> (Layout, Option<(u16, u16)>) {
    memo.begin_frame(theme.glyphs);
    let mut layout = Layout { size: Size { columns: area.width, rows: area.height }, ..Layout::default() };
    let mut canvas = Canvas::new(buffer, theme, &state.keymap);
    if area.width > 0 && area.height > 0 {
        // What the state says of its size may be a resize behind.
        let covered = state.overlays.iter().rposition(overlay::covers);
        if covered.is_none() {
            chat::draw(&mut canvas, area, state, memo, &mut layout);
        }
        for layer in state.overlays.iter().skip(covered.unwrap_or(0)) {
            overlay::draw(&mut canvas, area, layer, state, memo, &mut layout);
        }
        if !state.overlays.is_empty() {
            footer::over(&mut canvas, area, state);
        }
    }
    let caret = canvas.caret.filter(|&(x, y)| x < area.right() && y < area.bottom());
    memo.links = canvas.links;
    memo.pictures = canvas.pictures;
    memo.end_frame();
    (layout, caret)
}

/// The moment that running clocks count to: whole seconds of it where nothing may move.
fn now(state: &State) -> crate::chat::Stamp {
    let now = state.now;
    if !state.session.still {
        return now;
    }
    crate::chat::Stamp { mono_us: now.mono_us / 1_000_000 * 1_000_000, ..now }
}

/// Seconds east of UTC, for times of day.
fn offset(state: &State) -> i32 {
    state.session.utc_offset_s
}
