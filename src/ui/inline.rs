//! `--inline`: what is finished goes to the terminal's own scrollback, and a small live area stays below it.
//!
//! # Invariants
//! - What was printed is never drawn again: the terminal owns it.
//! - The live area is as low as what it shows, and never as high as the screen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::canvas::{Canvas, rows_of};
use super::memo::Memo;
use super::theme::Theme;
use super::{composer, footer, header, strip, transcript};
use crate::app::{Layout, Size, State, Target};

/// Rows of an answer that are seen while it streams.
const TAIL: usize = 12;
/// The longest single thing that is printed, in rows: what is beyond its end stands in the conversation all the same.
const MOST_ROWS: u16 = 20_000;

/// The live area: the end of what streams, calls, the message being written, keys. Draws `state`'s transcript, which is
/// to hold only what was not printed.
#[must_use]
pub fn live(state: &State, theme: &Theme, memo: &mut Memo, size: Size) -> (Buffer, Layout, Option<(u16, u16)>) {
    let columns = usize::from(size.columns).max(1);
    let most = usize::from(size.rows).saturating_sub(1).max(1);
    let draft = composer::Draft::new(state, columns.saturating_sub(5).max(1), most / 3 + 1);
    let writing = draft.height().clamp(1, (most / 3).max(1));
    let running = state.transcript.turn.is_some();
    let calls = if running { strip::calls(state) } else { Vec::new() };
    let completes = state.composer.completion.as_ref().map_or(0, |open| open.rows.len().min(8));
    let strip = calls.len().min(2);
    let rest = most.saturating_sub(writing + 3 + strip);
    let streams = if state.transcript.entries.is_empty() { 0 } else { TAIL };
    let tail = streams.max(completes).min(rest);
    let height = (1 + tail + strip + 1 + writing + 1).min(most);
    let area = Rect::new(0, 0, size.columns.max(1), u16::try_from(height).unwrap_or(1));
    let mut buffer = Buffer::empty(area);
    let mut layout = Layout { size, ..Layout::default() };
    memo.begin_frame(theme.glyphs);
    let mut canvas = Canvas::new(&mut buffer, theme, &state.keymap);
    let above = rows_of(area, 1, tail);
    if height > writing + 2 {
        if !state.transcript.entries.is_empty() {
            transcript::draw(&mut canvas, above, state, memo, &mut layout);
        }
        header::draw(&mut canvas, rows_of(area, 0, 1), state, header::Room::Middle);
        if strip > 0 {
            strip::draw(&mut canvas, rows_of(area, 1 + tail, strip), &calls, state, memo, &mut layout);
        }
        canvas.rule(area, height - writing - 2);
    }
    // On the lowest screens there is room for the words alone.
    let foot = usize::from(height > writing);
    composer::draw(
        &mut canvas,
        rows_of(area, height.saturating_sub(writing + foot), writing),
        state,
        &draft,
        &mut layout,
    );
    if foot > 0 {
        footer::chat(&mut canvas, rows_of(area, height - 1, 1), state);
    }
    composer::completion(&mut canvas, above, state);
    let caret = canvas.caret.filter(|&(x, y)| x < area.right() && y < area.bottom());
    memo.links = canvas.links;
    memo.pictures = canvas.pictures;
    memo.end_frame();
    (buffer, layout, caret)
}

/// All that `state`'s transcript holds, to be printed for good: as many rows as it takes.
#[must_use]
pub fn printed(state: &State, theme: &Theme, memo: &mut Memo, columns: u16) -> Buffer {
    if state.transcript.entries.is_empty() {
        return Buffer::empty(Rect::new(0, 0, columns.max(1), 0));
    }
    let mut height = 200;
    loop {
        let area = Rect::new(0, 0, columns.max(1), height);
        let mut buffer = Buffer::empty(area);
        let mut layout = Layout::default();
        memo.begin_frame(theme.glyphs);
        let mut canvas = Canvas::new(&mut buffer, theme, &state.keymap);
        transcript::draw(&mut canvas, area, state, memo, &mut layout);
        memo.links = canvas.links;
        memo.pictures = canvas.pictures;
        memo.end_frame();
        let used = layout.targets.iter().filter(|(_, target)| matches!(target, Target::Entry(_)));
        let used = used.map(|(area, _)| area.y + area.height).max().unwrap_or(0);
        // A page that is full may show the end alone.
        if used < height || height >= MOST_ROWS {
            buffer.resize(Rect::new(0, 0, area.width, used));
            return buffer;
        }
        height = height.saturating_mul(4).min(MOST_ROWS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{EntryBody, Session, Transcript};
    use crate::chat::Part;

    fn said(texts: &[String]) -> State {
        let mut state = State::new(Session::default());
        state.size = Size { columns: 60, rows: 20 };
        state.transcript = Transcript::default();
        for (key, text) in texts.iter().enumerate() {
            state.transcript.entries.push(crate::app::Entry {
                key: key as u64 + 1,
                revision: 0,
                at: 0,
                message: None,
                body: EntryBody::User(vec![Part::text(text.clone())]),
            });
        }
        state
    }

    fn rows(buffer: &Buffer) -> Vec<String> {
        let width = usize::from(buffer.area.width).max(1);
        let cells = buffer.content.chunks(width);
        cells
            .map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned())
            .collect()
    }

    #[test]
    fn what_is_printed_is_whole_however_long_it_is() {
        let long = (0..900).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n");
        let buffer = printed(&said(&[long, "end".into()]), &Theme::dark(), &mut Memo::new(), 60);
        let rows = rows(&buffer);
        assert!(rows.iter().any(|row| row.contains("line 0")) && rows.iter().any(|row| row.contains("line 899")));
        assert!(rows.last().is_some_and(|row| row.contains("end")), "{:?}", rows.last());
    }

    #[test]
    fn the_live_area_is_low_and_fits_every_screen() {
        let state = said(&[]);
        let (buffer, _, caret) = live(&state, &Theme::dark(), &mut Memo::new(), Size { columns: 60, rows: 20 });
        assert_eq!(buffer.area.height, 4, "{:?}", rows(&buffer));
        assert!(caret.is_some());
        for columns in 1..40 {
            for rows in 1..15 {
                let (buffer, ..) = live(&said(&["x".into()]), &Theme::dark(), &mut Memo::new(), Size { columns, rows });
                assert!(buffer.area.height < rows.max(2), "{columns}x{rows}: {}", buffer.area.height);
            }
        }
    }
}
