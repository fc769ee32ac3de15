//! The tool panel beside the transcript: every call of the turn with its state, and the servers below.

use ratatui::layout::Rect;

use super::call::{name, part, progress_note, reason, short_measure, sign, word};
use super::canvas::{Canvas, hit, rows_of};
use super::figures::{counted, size};
use super::ink::{Ink, Row, Tint};
use super::memo::Memo;
use crate::app::{Call, CallPhase, Focus, Layout, ListLayout, PanelFilter, ServerRow, State, Target};
use crate::chat::{CallId, OutcomeKind, ServerState};
use crate::text::{cut, cut_start, sanitize};

/// Columns at the right that hold the state and its time.
const STATE: usize = 15;

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, state: &State, memo: &mut Memo, layout: &mut Layout) {
    let height = usize::from(area.height);
    layout.targets.push((hit(area), Target::Panel));
    let waiting = state.calls.waiting().count();
    let total = state.calls.this_turn.len();
    let focused = state.focus == Focus::Panel;
    let title = if focused { Tint::of(Ink::Accent).bold() } else { Tint::of(Ink::Text).bold() };
    let words = canvas.put(area, 0, 0, "TOOLS", title);
    let filter = match state.panel.filter {
        PanelFilter::All => "this turn",
        PanelFilter::Waiting => "waiting",
        PanelFilter::Running => "running",
        PanelFilter::Failed => "failed",
    };
    let count = match state.panel.filter {
        PanelFilter::All => total.to_string(),
        PanelFilter::Waiting | PanelFilter::Running | PanelFilter::Failed => {
            format!("{} of {total}", state.panel.rows.len())
        }
    };
    canvas.put(area, words + 1, 0, &format!("{filter} {count}"), Ink::Dim);
    let at = usize::from(area.width).saturating_sub(STATE);
    if waiting > 0 {
        let text = if waiting == 1 { "1 needs you".to_owned() } else { format!("{waiting} need you") };
        canvas.put(area, at, 0, &text, Tint::of(Ink::Warn).bold());
    } else if state.panel.held > 0 {
        canvas.put(area, at, 0, &format!("+{} new", state.panel.held), Ink::Accent);
    }
    let servers = servers_height(state, height);
    let room = rows_of(area, 2, height.saturating_sub(2 + servers));
    let blocks: Vec<(&CallId, Block)> = state
        .panel
        .rows
        .iter()
        .filter_map(|id| state.calls.by_id.get(id))
        .map(|call| (&call.id, block(canvas, call, state, memo, usize::from(area.width))))
        .collect();
    calls(canvas, room, &blocks, state, layout, true);
    if servers > 0 {
        draw_servers(canvas, rows_of(area, height - servers, servers), state);
    }
}

/// The rows of one call: its state, then what tells most about it.
pub(super) struct Block {
    pub rows: Vec<Row>,
}

/// Draws blocks from the one that keeps the chosen call visible.
pub(super) fn calls(
    canvas: &mut Canvas<'_>,
    area: Rect,
    blocks: &[(&CallId, Block)],
    state: &State,
    layout: &mut Layout,
    apart: bool,
) {
    let gap = usize::from(apart);
    let height = usize::from(area.height);
    let chosen = blocks.iter().position(|(id, _)| state.panel.selected.as_ref() == Some(id));
    let focused = state.focus == Focus::Panel;
    let mut first = 0;
    if let Some(chosen) = chosen.filter(|_| focused) {
        let mut used: usize = blocks[..=chosen].iter().map(|(_, b)| b.rows.len() + gap).sum();
        while used > height && first < chosen {
            used -= blocks[first].1.rows.len() + gap;
            first += 1;
        }
    }
    let mut y = 0;
    for (n, (id, block)) in blocks.iter().enumerate().skip(first) {
        if y >= height {
            break;
        }
        let from = y;
        for row in &block.rows {
            canvas.row(area, 0, y, row);
            y += 1;
        }
        let rows = rows_of(area, from, block.rows.len());
        layout.targets.push((hit(rows), Target::Call((*id).clone())));
        if focused && chosen == Some(n) {
            let style = canvas.theme.chosen();
            for row in from..y.min(height) {
                canvas.over(area, row, style);
            }
        }
        y += gap;
    }
    if state.overlays.is_empty() {
        let lines = blocks.iter().map(|(_, b)| b.rows.len() + gap).sum();
        let top = blocks[..first.min(blocks.len())].iter().map(|(_, b)| b.rows.len() + gap).sum();
        layout.list = ListLayout { lines, page: height, top };
    }
}

fn block(canvas: &Canvas<'_>, call: &Call, state: &State, memo: &mut Memo, columns: usize) -> Block {
    let glyphs = canvas.theme.glyphs;
    let at = columns.saturating_sub(STATE);
    let (glyph, ink) = sign(call.phase, glyphs);
    let mut head = Row::new();
    head.push(glyph, ink);
    head.push(" ", Ink::Text);
    head.push(&cut(&name(call, false), at.saturating_sub(3)), Tint::of(Ink::Text).bold());
    head.pad_to(at);
    let tint = if call.phase == CallPhase::NeedsApproval { Tint::of(ink).bold() } else { Tint::of(ink) };
    head.push(word(call), tint);
    let time = short_measure(call, super::now(state));
    match call.phase {
        CallPhase::Queued(_) => {
            head.pad_to(columns.saturating_sub(5));
            head.push(&time, Ink::Dim);
        }
        CallPhase::Arguments
        | CallPhase::Closed
        | CallPhase::NeedsApproval
        | CallPhase::ServerStarting
        | CallPhase::Running
        | CallPhase::Cancelling
        | CallPhase::Ended(_) => {
            head.pad_to(columns.saturating_sub(time.len()).max(head.width() + usize::from(!time.is_empty())));
            head.push(&time, Ink::Dim);
        }
    }
    let mut rows = vec![head];
    let room = columns.saturating_sub(3);
    let telling = memo.telling(call).clone();
    let mut line = |text: &str, ink: Ink| {
        if !text.is_empty() {
            let mut row = Row::label("  ", Ink::Text);
            row.push(&cut(text, room), ink);
            rows.push(row);
        }
    };
    match call.phase {
        CallPhase::Arguments => {
            // What it is about is known before the rest of it has come.
            if !telling.key.is_empty() {
                line(&format!("{}  {}", telling.key, telling.value()), Ink::Text);
            }
            let tail = sanitize(&call.arguments).one_line();
            let text = cut_start(tail.as_str(), room.saturating_sub(1)) + glyphs.caret;
            line(&text, Ink::Dim);
        }
        CallPhase::NeedsApproval => {
            let mut row = Row::label("  ", Ink::Text);
            row.push(&cut(&telling.key, 12), Ink::Dim);
            row.pad_to((row.width() + 2).max(8));
            row.push(&cut_start(telling.value(), at.saturating_sub(10)), Ink::Text);
            row.pad_to(at);
            row.push(&size(call.arguments_bytes), Ink::Dim);
            rows.push(row);
            let mut keys = Row::label("  ", Ink::Text);
            keys.push(&canvas.keys.tell("{app.tools}"), Ink::Accent);
            keys.push(" review", Ink::Dim);
            rows.push(keys);
        }
        CallPhase::Closed | CallPhase::ServerStarting => line(telling.value(), Ink::Dim),
        CallPhase::Queued(_) => {}
        CallPhase::Running | CallPhase::Cancelling => {
            line(telling.value(), Ink::Dim);
            let note = progress_note(call);
            // A bar moves; its number only changes.
            if let Some(part) = part(call).filter(|_| !state.session.still) {
                let mut row = Row::label("  ", Ink::Text);
                row.push(&canvas.bar(columns.saturating_sub(22), part), Ink::Accent);
                row.push(&format!(" {:>3.0}%  ", part * 100.0), Ink::Text);
                let left = columns.saturating_sub(row.width());
                row.push(&cut(&note, left), Ink::Dim);
                rows.push(row);
            } else {
                line(&note, Ink::Dim);
            }
        }
        CallPhase::Ended(kind) => ended(kind, call, &telling, &mut line),
    }
    Block { rows }
}

/// What is worth reading of a finished call.
fn ended(kind: OutcomeKind, call: &Call, telling: &super::call::Telling, line: &mut impl FnMut(&str, Ink)) {
    let result = |n: usize| telling.result.get(n).map_or("", String::as_str);
    match kind {
        OutcomeKind::Done => {
            let bytes = call.outcome.as_ref().map_or(0, |o| o.bytes);
            line(&format!("{}, {}", counted(telling.lines as u64, "line", "lines"), size(bytes)), Ink::Dim);
            line(result(0), Ink::Dim);
        }
        OutcomeKind::Cancelled => match call.outcome.as_ref() {
            Some(outcome) if outcome.may_have_run() => line("may still have run", Ink::Warn),
            Some(outcome) if !outcome.sent => line("never sent", Ink::Dim),
            // Its server confirmed that it stopped.
            Some(_) | None => {}
        },
        OutcomeKind::Unknown => line("no answer came: it may have run", Ink::Warn),
        OutcomeKind::Failed
        | OutcomeKind::Denied
        | OutcomeKind::TimedOut
        | OutcomeKind::Invalid
        | OutcomeKind::Incomplete
        | OutcomeKind::Conflict => line(reason(telling), Ink::Dim),
    }
}

fn servers_height(state: &State, height: usize) -> usize {
    if state.servers.rows.is_empty() || height < 10 { 0 } else { 2 }
}

fn draw_servers(canvas: &mut Canvas<'_>, area: Rect, state: &State) {
    canvas.put(area, 0, 0, "SERVERS", Tint::of(Ink::Text).bold());
    let mut at = 0;
    let width = usize::from(area.width);
    let rows = &state.servers.rows;
    for (n, row) in rows.iter().enumerate() {
        let (glyph, ink) = server_sign(row, canvas.theme.glyphs);
        let mut text = Row::new();
        text.push(glyph, ink);
        text.push(&format!(" {}", cut(sanitize(row.status.server.as_str()).as_str(), 12)), Ink::Text);
        if row.status.tools > 0 {
            text.push(&format!(" {}", row.status.tools), Ink::Dim);
        }
        let more = rows.len() - n;
        let reserve = if more > 1 { 5 } else { 0 };
        if at + text.width() + reserve > width {
            canvas.put(area, at, 1, &format!("+{more}"), Ink::Dim);
            break;
        }
        at = canvas.row(area, at, 1, &text) + 3;
    }
}

/// Sign and ink of a server.
pub(super) fn server_sign(row: &ServerRow, glyphs: &super::theme::Glyphs) -> (&'static str, Ink) {
    match row.status.state {
        ServerState::Ready if !row.status.differences.is_empty() => ("!", Ink::Warn),
        ServerState::Ready if row.running > 0 => (glyphs.running, Ink::Accent),
        ServerState::Ready => (glyphs.done, Ink::Good),
        ServerState::Starting => (glyphs.running, Ink::Accent),
        ServerState::Failed => (glyphs.failed, Ink::Bad),
        ServerState::NeedsLogin => ("!", Ink::Warn),
        ServerState::NeedsConsent => (glyphs.asks, Ink::Warn),
        ServerState::Off => (glyphs.cancelled, Ink::Dim),
    }
}
