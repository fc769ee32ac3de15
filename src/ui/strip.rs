//! The two rows of tools above the composer, where there is no panel: what needs a person first, then what runs.

use ratatui::layout::Rect;

use super::call::{measure, name, part, sign, word};
use super::canvas::{Canvas, hit, rows_of};
use super::ink::{Ink, Row, Tint};
use super::memo::Memo;
use crate::app::{Call, CallPhase, Layout, State, Target};
use crate::text::{cut, width};

/// The calls of the strip, most urgent first. Empty where nothing is going on.
pub(super) fn calls(state: &State) -> Vec<&Call> {
    let mut calls: Vec<&Call> = state.calls.turn().filter(|call| !matches!(call.phase, CallPhase::Ended(_))).collect();
    calls.sort_by_key(|call| {
        let rank = match call.phase {
            CallPhase::NeedsApproval => 0,
            CallPhase::Running | CallPhase::Cancelling => 1,
            CallPhase::Arguments | CallPhase::Closed => 2,
            CallPhase::Queued(_) | CallPhase::ServerStarting => 3,
            CallPhase::Ended(_) => 4,
        };
        (rank, call.times.sent.unwrap_or(call.times.opened).mono_us)
    });
    if calls.is_empty() && state.transcript.turn.is_some() {
        calls.extend(
            state.calls.turn().filter(|c| c.times.ended.is_some()).max_by_key(|c| c.times.ended.map(|e| e.mono_us)),
        );
    }
    calls
}

pub(super) fn draw(
    canvas: &mut Canvas<'_>,
    area: Rect,
    calls: &[&Call],
    state: &State,
    memo: &mut Memo,
    layout: &mut Layout,
) {
    let shown = usize::from(area.height);
    let more = calls.len().saturating_sub(shown);
    for (y, call) in calls.iter().take(shown).enumerate() {
        let more = if y + 1 == shown.min(calls.len()) { more } else { 0 };
        layout.targets.push((hit(rows_of(area, y, 1)), Target::Call(call.id.clone())));
        if area.width < 60 {
            narrow(canvas, area, y, call, more, state);
        } else {
            middle(canvas, area, y, call, more, state, memo);
        }
    }
}

fn middle(canvas: &mut Canvas<'_>, area: Rect, y: usize, call: &Call, more: usize, state: &State, memo: &mut Memo) {
    let columns = usize::from(area.width);
    let (glyph, ink) = sign(call.phase, canvas.theme.glyphs);
    canvas.put(area, 1, y, glyph, ink);
    let named = name(call, false);
    let argument_at = (3 + width(&named) + 2).max(19).min(columns / 2);
    canvas.put(area, 3, y, &cut(&named, argument_at - 5), Ink::Text);
    let telling = memo.telling(call).short().to_owned();
    let review = review(canvas);
    if call.phase == CallPhase::NeedsApproval {
        let word_at = columns - 34;
        let size = super::figures::size(call.arguments_bytes);
        let room = word_at.saturating_sub(argument_at + 2);
        let text = format!("{} {size}", cut(&telling, room.saturating_sub(width(&size) + 1)));
        canvas.put(area, argument_at, y, &text, Ink::Dim);
        canvas.put(area, word_at, y, word(call), Tint::of(Ink::Warn).bold());
        let key_at = canvas.row_right(area, columns - 4, y, &review);
        if more > 0 {
            canvas.put_right(area, key_at - 1, y, &format!("+{more}"), Ink::Dim);
        }
        return;
    }
    let bar_at = columns - 44;
    let part = part(call);
    let room = bar_at.saturating_sub(argument_at + 1);
    canvas.put(area, argument_at, y, &cut(&telling, room), Ink::Dim);
    if let Some(part) = part.filter(|_| !state.session.still) {
        let bar = canvas.bar(11, part);
        canvas.put(area, bar_at, y, &bar, Ink::Accent);
        canvas.put_right(area, columns - 28, y, &format!("{:.0}%", part * 100.0), Ink::Text);
    } else {
        canvas.put(area, bar_at, y, word(call), ink);
    }
    canvas.put_right(area, columns - 20, y, &measure(call, super::now(state)), Ink::Dim);
    if more > 0 {
        canvas.put(area, columns - 15, y, &format!("+{more} more"), Ink::Dim);
    }
    let key = canvas.key("{app.tools}").unwrap_or_default();
    canvas.put_right(area, columns - 4, y, &key, Ink::Accent);
}

/// How one comes to the review that waits.
fn review(canvas: &Canvas<'_>) -> Row {
    let mut row = Row::label("", Ink::Text);
    row.push(&canvas.keys.tell("{app.tools}"), Ink::Accent);
    row.push(" review", Ink::Dim);
    row
}

fn narrow(canvas: &mut Canvas<'_>, area: Rect, y: usize, call: &Call, more: usize, state: &State) {
    let columns = usize::from(area.width);
    let (glyph, ink) = sign(call.phase, canvas.theme.glyphs);
    let mut row = Row::new();
    row.push(glyph, ink);
    row.push(&format!(" {}", cut(&name(call, true), columns / 2 - 4)), Ink::Text);
    if call.phase == CallPhase::NeedsApproval {
        row.push(&format!(" {}", super::figures::size(call.arguments_bytes)), Ink::Dim);
        canvas.row(area, 1, y, &row);
        let review = review(canvas);
        canvas.row_right(area, columns.saturating_sub(2), y, &review);
        return;
    }
    if let Some(part) = part(call) {
        row.push(&format!(" {:.0}%", part * 100.0), Ink::Text);
    }
    let at = canvas.row(area, 1, y, &row);
    let time_at = (at + 2).max(columns.saturating_sub(22));
    canvas.put(area, time_at, y, &measure(call, super::now(state)), Ink::Dim);
    if more > 0 {
        canvas.put(area, columns.saturating_sub(12), y, &format!("+{more}"), Ink::Dim);
    }
    let key = canvas.key("{app.tools}").unwrap_or_default();
    canvas.put_right(area, columns.saturating_sub(6), y, &key, Ink::Accent);
}
