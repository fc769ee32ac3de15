//! The tool panel over the whole screen, where there is no room beside the transcript.

use ratatui::layout::Rect;

use super::call::{measure, name, part, progress_note, reason, sign, word};
use super::canvas::{Canvas, hit, rows_of};
use super::figures::{counted, size};
use super::footer;
use super::ink::{Ink, Row, Tint};
use super::memo::Memo;
use super::panel::{Block, calls};
use crate::app::{Call, CallPhase, Hint, Layout, PanelFilter, State, Target};
use crate::chat::{CallId, OutcomeKind};
use crate::text::{cut, cut_start, sanitize, width};

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, state: &State, memo: &mut Memo, layout: &mut Layout) {
    let columns = usize::from(area.width);
    let height = usize::from(area.height);
    layout.targets.push((hit(area), Target::Panel));
    let at = canvas.put(area, 1, 0, "TOOLS", Tint::of(Ink::Text).bold());
    let narrow = columns < 60;
    let left = if narrow {
        format!(" {}", state.calls.this_turn.len())
    } else {
        format!(" this turn {}", state.calls.this_turn.len())
    };
    let at = canvas.put(area, at, 0, &left, Ink::Dim);
    let mut filters = Row::new();
    for (key, word, filter) in [
        ("{panel.filter_1}", "all", PanelFilter::All),
        ("{panel.filter_2}", "waiting", PanelFilter::Waiting),
        ("{panel.filter_3}", "running", PanelFilter::Running),
        ("{panel.filter_4}", "failed", PanelFilter::Failed),
    ] {
        filters.push(
            if filters.text().is_empty() {
                ""
            } else if narrow {
                " "
            } else {
                "  "
            },
            Ink::Text,
        );
        filters.push(&canvas.key(key).unwrap_or_default(), Ink::Accent);
        let tint = if state.panel.filter == filter { Tint::of(Ink::Text).bold() } else { Tint::of(Ink::Dim) };
        filters.push(&format!(" {}", if narrow { &word[..1] } else { word }), tint);
    }
    let start = canvas.row_right(area, columns.saturating_sub(1), 0, &filters);
    let waiting = state.calls.waiting().count();
    if waiting > 0 {
        let text = if waiting == 1 { "1 needs you".to_owned() } else { format!("{waiting} need you") };
        if at + width(&text) + 4 < start {
            canvas.put_right(area, start.saturating_sub(3), 0, &text, Tint::of(Ink::Warn).bold());
        }
    }
    canvas.rule(area, 1);
    let body = rows_of(area, 2, height.saturating_sub(4));
    let blocks: Vec<(&CallId, Block)> = state
        .panel
        .rows
        .iter()
        .filter_map(|id| state.calls.by_id.get(id))
        .map(|call| (&call.id, block(canvas, call, state, memo, columns)))
        .collect();
    if blocks.is_empty() {
        canvas.put(body, 1, 1, "No tool calls here yet.", Ink::Dim);
    }
    calls(canvas, body, &blocks, state, layout, false);
    canvas.rule(area, height.saturating_sub(2));
    let foot = rows_of(area, height.saturating_sub(1), 1);
    let mut hints = state.hints();
    if narrow {
        hints.retain(|hint| matches!(hint.label, "review" | "open" | "cancel" | "run again" | "back"));
    }
    let back = hints.pop_if(|hint| hint.label == "back").unwrap_or_else(|| Hint::new("", ""));
    let keys: Vec<(&str, &str)> = hints.iter().map(|hint| (hint.key.as_str(), hint.label)).collect();
    footer::keys(canvas, foot, &keys, &Row::new(), (back.key.as_str(), back.label));
}

fn block(canvas: &Canvas<'_>, call: &Call, state: &State, memo: &mut Memo, columns: usize) -> Block {
    let glyphs = canvas.theme.glyphs;
    let narrow = columns < 60;
    let at = columns.saturating_sub(if narrow { 16 } else { 24 });
    let (glyph, ink) = sign(call.phase, glyphs);
    let mut head = Row::label(" ", Ink::Text);
    head.push(glyph, ink);
    head.push(" ", Ink::Text);
    head.push(&cut(&name(call, narrow), at.saturating_sub(4)), Tint::of(Ink::Text).bold());
    head.pad_to(at);
    head.push(word(call), ink);
    let time = measure(call, super::now(state));
    let end = columns.saturating_sub(if narrow { 1 } else { 7 });
    match call.phase {
        CallPhase::Queued(_) => head.pad_to(end.saturating_sub(5)),
        CallPhase::Arguments
        | CallPhase::Closed
        | CallPhase::NeedsApproval
        | CallPhase::ServerStarting
        | CallPhase::Running
        | CallPhase::Cancelling
        | CallPhase::Ended(_) => head.pad_to(end.saturating_sub(time.len())),
    }
    head.push(&time, Ink::Dim);
    if let (CallPhase::Running, Some(part), false) = (call.phase, part(call), narrow) {
        head.pad_to(columns.saturating_sub(4));
        head.push(&format!("{:.0}%", part * 100.0), Ink::Text);
    }
    let telling = memo.telling(call).clone();
    let mut second = Row::label("     ", Ink::Text);
    let room = columns.saturating_sub(7);
    match call.phase {
        CallPhase::Arguments => {
            let tail = sanitize(&call.arguments).one_line();
            second.push(&(cut_start(tail.as_str(), room.min(46)) + glyphs.caret), Ink::Dim);
        }
        CallPhase::Closed | CallPhase::NeedsApproval | CallPhase::ServerStarting => {
            second.push(&telling.key, Ink::Dim);
            second.push(" ", Ink::Text);
            second.push(&cut_start(&telling.value, room.saturating_sub(12 + width(&telling.key))), Ink::Text);
            second.push(&format!("   {}", size(call.arguments_bytes)), Ink::Dim);
        }
        CallPhase::Queued(_) => {}
        CallPhase::Running | CallPhase::Cancelling => {
            second.push(&cut(&telling.value, room.min(43)), Ink::Dim);
            second.pad_to(if narrow { 0 } else { 51 });
            let left = columns.saturating_sub(second.width() + 1);
            if left >= 8 {
                second.push(&cut(&progress_note(call), left), Ink::Dim);
            }
        }
        CallPhase::Ended(OutcomeKind::Done) => {
            let bytes = call.outcome.as_ref().map_or(0, |o| o.bytes);
            second.push(&format!("{}, {}", counted(telling.lines as u64, "line", "lines"), size(bytes)), Ink::Dim);
            second.pad_to(25);
            let first = telling.result.first().map_or("", String::as_str);
            second.push(&cut(first, columns.saturating_sub(second.width() + 1)), Ink::Dim);
        }
        CallPhase::Ended(OutcomeKind::Unknown) => second.push("no answer came: it may have run", Ink::Warn),
        CallPhase::Ended(OutcomeKind::Cancelled) => match call.outcome.as_ref() {
            Some(outcome) if outcome.may_have_run() => second.push("may still have run", Ink::Warn),
            Some(outcome) if !outcome.sent => second.push("never sent", Ink::Dim),
            Some(_) | None => {}
        },
        CallPhase::Ended(
            OutcomeKind::Failed
            | OutcomeKind::Denied
            | OutcomeKind::TimedOut
            | OutcomeKind::Invalid
            | OutcomeKind::Incomplete
            | OutcomeKind::Conflict,
        ) => second.push(&cut(reason(&telling), room), Ink::Dim),
    }
    let mut rows = vec![head];
    if !second.text().trim().is_empty() {
        rows.push(second);
    }
    Block { rows }
}
