//! The count-down before a request is sent again by itself: why, which attempt, when, and how to cut it short.

use ratatui::layout::Rect;

use super::canvas::Canvas;
use super::ink::{Ink, Row, Tint};
use super::markdown::wrap_row;
use crate::app::{Focus, Phase, State};
use crate::text::sanitize;

/// The most rows that are taken from the transcript.
const MOST: usize = 4;

/// The rows of the count-down; none while nothing is waited for.
pub(super) fn rows(state: &State, columns: usize) -> Vec<Row> {
    let Some(Phase::Retrying { attempt, at_us, why }) = state.transcript.turn.as_ref().map(|turn| &turn.phase) else {
        return Vec::new();
    };
    if state.transcript.turn.as_ref().is_some_and(|turn| turn.stopping) {
        return Vec::new();
    }
    let width = columns.saturating_sub(3).max(10);
    let left = at_us.saturating_sub(state.now.mono_us).div_ceil(1_000_000);
    let mut told = Row::new();
    told.push("! ", Tint::of(Ink::Warn).bold());
    told.push_lines(&sanitize(why), Ink::Text.into());
    let indent = Row::label("  ", Ink::Text);
    let mut rows = wrap_row(&told, width, &Row::new(), &indent);
    rows.truncate(MOST - 1);
    let mut line = Row::label("  ", Ink::Text);
    let next = attempt + 1;
    let of = if state.session.attempts > 0 { format!(" of {}", state.session.attempts) } else { String::new() };
    line.push(&format!("Attempt {next}{of} in {left} s"), Tint::of(Ink::Warn).bold());
    let now = match (state.focus, state.composer.is_empty()) {
        (Focus::Composer, true) | (Focus::Transcript, _) => "{fault.retry}",
        (Focus::Composer, false) => "{app.focus_next} {fault.retry}",
        (Focus::Panel, _) => "",
    };
    let stop = if state.focus == Focus::Composer { "{app.back}" } else { "{app.interrupt}" };
    for (key, label) in [(now, "now"), (stop, "stop")] {
        let Some(key) = state.keymap.spell(key) else { continue };
        if !key.is_empty() && line.width() + key.len() + label.len() + 4 <= columns {
            line.push("   ", Ink::Text);
            line.push(&key, Tint::of(Ink::Accent).bold());
            line.push(&format!(" {label}"), Ink::Dim);
        }
    }
    rows.push(line);
    rows
}

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, rows: &[Row]) {
    for (y, row) in rows.iter().enumerate() {
        canvas.row(area, 1, y, row);
    }
}
