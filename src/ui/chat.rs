//! The chat screen: header, transcript, panel or strip, composer, footer, at every size.

use ratatui::layout::Rect;

use super::canvas::{Canvas, columns_of, rows_of};
use super::header::Room;
use super::ink::{Ink, Tint};
use super::memo::Memo;
use super::{composer, footer, header, panel, retry, strip, tools, transcript};
use crate::app::{Focus, Layout, State};
use crate::text::cut;

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, state: &State, memo: &mut Memo, layout: &mut Layout) {
    let (columns, height) = (usize::from(area.width), usize::from(area.height));
    if columns < 10 || height < 3 {
        return tiny(canvas, area, state);
    }
    if columns < 30 || height < 8 {
        return small(canvas, area, state, memo, layout);
    }
    let beside = columns >= 100 && height >= 20 && !state.panel.hidden;
    layout.panel_beside = beside;
    if state.focus == Focus::Panel && !beside {
        return tools::draw(canvas, area, state, memo, layout);
    }
    if columns >= 100 && height >= 20 {
        wide(canvas, area, state, memo, layout, beside);
    } else {
        compact(canvas, area, state, memo, layout);
    }
}

fn wide(canvas: &mut Canvas<'_>, area: Rect, state: &State, memo: &mut Memo, layout: &mut Layout, beside: bool) {
    let (columns, height) = (usize::from(area.width), usize::from(area.height));
    // A third for the panel, as much as it needs and no more, while the text keeps sixty columns.
    let panel = if beside { (columns * 34).div_ceil(100).clamp(36, 56).min(columns - 61) } else { 0 };
    let text = if beside { columns - panel - 1 } else { columns };
    let margin = if height >= 30 { 2 } else { 0 };
    let draft = composer::Draft::new(state, columns.saturating_sub(5), height / 3);
    let writing = (draft.height() + 1).clamp(3, (height / 3).max(3));
    let rule = height - 3 - writing;
    let body = rows_of(area, 2, rule.saturating_sub(2 + margin));

    header::draw(canvas, rows_of(area, 0, 1), state, Room::Wide);
    canvas.rule(area, 1);
    canvas.rule(area, rule);
    let left = columns_of(body, 0, text);
    transcript_and_retry(canvas, left, state, memo, layout);
    if beside {
        let (down, up, divider) =
            (canvas.theme.glyphs.tee_down, canvas.theme.glyphs.tee_up, canvas.theme.glyphs.divider);
        canvas.put(area, text, 1, down, Ink::Dim);
        canvas.put(area, text, rule, up, Ink::Dim);
        for y in 0..usize::from(body.height) {
            canvas.put(body, text, y, divider, Ink::Dim);
        }
        panel::draw(canvas, columns_of(body, text + 2, panel - 1), state, memo, layout);
    }
    composer::draw(canvas, rows_of(area, rule + 1, writing), state, &draft, layout);
    canvas.rule(area, height - 2);
    find_or_footer(canvas, rows_of(area, height - 1, 1), state);
    composer::completion(canvas, rows_of(area, 2, rule - 2), state);
}

/// Below 100 columns, or 20 rows: a strip instead of the panel.
fn compact(canvas: &mut Canvas<'_>, area: Rect, state: &State, memo: &mut Memo, layout: &mut Layout) {
    let (columns, height) = (usize::from(area.width), usize::from(area.height));
    let narrow = columns < 60;
    let head = if narrow || height < 12 { 1 } else { 2 };
    let draft = composer::Draft::new(state, columns.saturating_sub(5), height / 3);
    let least = if height < 12 { 1 } else { 2 };
    let writing = draft.height().clamp(least, (height / 4).max(least));
    let calls = strip::calls(state);
    let strip = calls.len().min(if height < 16 { 1 } else { 2 });
    let footer = height - 1;
    let writes_at = footer - writing;
    let strip_at = writes_at - 1 - strip;
    let body_end = if strip > 0 { strip_at - 1 } else { writes_at - 1 };

    let room = if narrow { Room::Narrow } else { Room::Middle };
    header::draw(canvas, rows_of(area, 0, 1), state, room);
    if head == 2 {
        canvas.rule(area, 1);
    }
    let body = rows_of(area, head, body_end.saturating_sub(head));
    transcript_and_retry(canvas, body, state, memo, layout);
    if strip > 0 {
        canvas.rule(area, strip_at - 1);
        strip::draw(canvas, rows_of(area, strip_at, strip), &calls, state, memo, layout);
    }
    canvas.rule(area, writes_at - 1);
    composer::draw(canvas, rows_of(area, writes_at, writing), state, &draft, layout);
    find_or_footer(canvas, rows_of(area, footer, 1), state);
    composer::completion(canvas, rows_of(area, head, body_end.saturating_sub(head)), state);
}

/// A count-down takes its rows from the end of the transcript.
fn transcript_and_retry(canvas: &mut Canvas<'_>, area: Rect, state: &State, memo: &mut Memo, layout: &mut Layout) {
    let height = usize::from(area.height);
    let mut rows = retry::rows(state, usize::from(area.width));
    // The last row, with the count, stays longest.
    rows.drain(..rows.len().saturating_sub(height / 2));
    let rest = height - rows.len();
    transcript::draw(canvas, rows_of(area, 0, rest), state, memo, layout);
    retry::draw(canvas, rows_of(area, rest, rows.len()), &rows);
}

/// A find in progress takes the footer's place.
fn find_or_footer(canvas: &mut Canvas<'_>, area: Rect, state: &State) {
    match &state.transcript.find {
        Some(find) if find.editing => {
            canvas.put(area, 1, 0, "/", Ink::Accent);
            super::overlay::field(canvas, area, 3, 0, &find.line, true);
            let count = match find.matches.len() {
                0 if find.line.text.is_empty() => String::new(),
                0 => "no match".to_owned(),
                n => format!("{} of {n}", (find.at + 1).min(n)),
            };
            canvas.put_right(area, usize::from(area.width).saturating_sub(1), 0, &count, Ink::Dim);
        }
        Some(_) | None => footer::chat(canvas, area, state),
    }
}

/// The end of the transcript and the line that is written.
fn small(canvas: &mut Canvas<'_>, area: Rect, state: &State, memo: &mut Memo, layout: &mut Layout) {
    let (columns, height) = (usize::from(area.width), usize::from(area.height));
    let draft = composer::Draft::new(state, columns.saturating_sub(4).max(1), 1);
    transcript::draw(canvas, rows_of(area, 0, height - 1), state, memo, layout);
    composer::draw(canvas, rows_of(area, height - 1, 1), state, &draft, layout);
}

/// A word, or nothing: streaming and saving go on.
fn tiny(canvas: &mut Canvas<'_>, area: Rect, state: &State) {
    let word = match (&state.transcript.turn, state.calls.waiting().count()) {
        (_, 1..) => "? asks",
        _ if state.inquiry.is_some() => "? asks",
        (Some(_), _) => "writing",
        (None, _) => "millrace",
    };
    canvas.put(area, 0, 0, &cut(word, usize::from(area.width)), Tint::of(Ink::Dim));
}
