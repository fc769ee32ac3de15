//! The timeline: what the model wrote when, when each call left, and what leaving early has saved.

use ratatui::layout::Rect;

use super::{choose, first_row, foot, one, screen};
use crate::app::{Layout, ListLayout, State, Target, Timeline};
use crate::chat::{CallTimes, OutcomeKind, RoundTimes, SpanKind, ToolRef, TurnTimes};
use crate::text::cut;
use crate::ui::call::sign;
use crate::ui::canvas::{Canvas, hit, rows_of};
use crate::ui::figures::{counted, seconds, size};
use crate::ui::ink::{Ink, Row, Tint};

/// Columns between two marks of the axis.
const TICK: usize = 10;

/// Where the chart stands and how much time a column is.
struct Chart {
    left: usize,
    right: usize,
    ran: usize,
    us_per_tick: u64,
    from_us: u64,
}

impl Chart {
    fn new(columns: usize, total_us: u64, zoom: i8, around: u64) -> Self {
        let (left, ran) =
            if columns >= 100 { (25, columns.saturating_sub(9)) } else { (19, columns.saturating_sub(9)) };
        let right = ran.saturating_sub(9).max(left + 1);
        let room = right - left;
        let fits = |tick: u64| (total_us as f64 / tick as f64 * TICK as f64).ceil() as usize <= room;
        let steps = [1u64, 2, 4, 8];
        let mut scale = 1_000;
        let mut us_per_tick = 'found: loop {
            for step in steps {
                if fits(step * scale) {
                    break 'found step * scale;
                }
            }
            scale *= 10;
        };
        us_per_tick = (us_per_tick >> zoom.clamp(0, 6)).max(1_000);
        // Zoomed in, the chart stands around the chosen call.
        let shown = us_per_tick * room as u64 / TICK as u64;
        let from_us = if zoom <= 0 { 0 } else { around.saturating_sub(shown / 4) };
        Self { left, right, ran, us_per_tick, from_us }
    }

    fn column(&self, us: u64) -> Option<usize> {
        let since = us.checked_sub(self.from_us)?;
        let column = self.left + (since as f64 * TICK as f64 / self.us_per_tick as f64) as usize;
        (column < self.right).then_some(column)
    }
}

/// One line of the chart as cells: later marks write over earlier ones.
struct Cells {
    cells: Vec<(&'static str, Ink)>,
    left: usize,
}

impl Cells {
    fn new(chart: &Chart) -> Self {
        Self { cells: vec![(" ", Ink::Text); chart.right - chart.left], left: chart.left }
    }

    fn fill(&mut self, chart: &Chart, from: u64, to: u64, glyph: &'static str, ink: Ink) {
        let start = if from < chart.from_us { Some(chart.left) } else { chart.column(from) };
        let Some(start) = start else { return };
        if to < chart.from_us {
            return;
        }
        let end = chart.column(to).unwrap_or(chart.right).max(start + 1).min(chart.right);
        for cell in &mut self.cells[start - self.left..end - self.left] {
            *cell = (glyph, ink);
        }
    }

    fn mark(&mut self, chart: &Chart, at: u64, glyph: &'static str, ink: Ink) {
        if let Some(column) = chart.column(at) {
            self.cells[column - self.left] = (glyph, ink);
        }
    }

    fn row(&self) -> Row {
        let mut row = Row::new();
        for (glyph, ink) in &self.cells {
            row.push_safe(glyph, Tint::of(*ink));
        }
        row
    }
}

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, view: &Timeline, state: &State, layout: &mut Layout) {
    let columns = usize::from(area.width);
    let wide = columns >= 100;
    let mut title = Row::label("TIMELINE", Tint::of(Ink::Text).bold());
    title.push("   ", Ink::Text);
    title.push(&cut(&one(&state.transcript.title), columns / 3), Ink::Text);
    let times = state.times();
    let body =
        screen(canvas, area, &title, &times.as_ref().map(|t| note(canvas, t, state, wide)).unwrap_or_default(), layout);
    let height = usize::from(body.height);
    let Some(times) = times.filter(|t| !t.rounds.is_empty() || !t.calls.is_empty()) else {
        canvas.put(body, 1, 1, "No turn to draw yet.", Ink::Dim);
        foot(canvas, area, &[], ("esc", "back"));
        return;
    };
    let total = total(&times, state);
    let saved = times.saved();
    let mut y = usize::from(wide);
    let at = canvas.put(body, 1, y, &format!("{} sooner", seconds(saved)), Tint::of(Ink::Good).bold());
    let late = seconds(total + saved);
    let text = if wide {
        format!("Calls left as their arguments closed. Sent at the end of the answer, this turn would take {late}.")
    } else {
        let rounds = counted(times.rounds.len() as u64, "round", "rounds");
        format!(
            "Sent at the end of the answer: {late}.  {rounds}  {}",
            counted(times.calls.len() as u64, "call", "calls")
        )
    };
    canvas.put(body, at + 3, y, &cut(&text, columns.saturating_sub(at + 4)), Ink::Text);
    y += 1;
    if wide {
        canvas.put(body, 1, y, "longest path", Ink::Dim);
        canvas.put(body, 17, y, &cut(&longest_path(&times), columns - 18), Ink::Text);
        y += 1;
    }
    y += 1;
    let chosen = view.selected.as_ref().and_then(|id| times.calls.iter().find(|c| c.call == *id));
    let chart = Chart::new(columns, total, view.zoom, chosen.map_or(0, |c| c.opened));
    axis(canvas, body, y, &chart);
    y += 1;
    let below = detail_height(wide);
    let legend = 2 + usize::from(wide);
    let room = height.saturating_sub(y + below + legend);
    y += lines(canvas, rows_of(body, y, room), &times, &chart, view, state, layout, wide);
    y += 1;
    canvas.put(body, 1, y, &legend_text(canvas, wide), Ink::Dim);
    y += 2;
    if let Some(call) = chosen {
        let place = times.calls.iter().position(|c| c.call == call.call).map_or(0, |n| n + 1);
        details(canvas, rows_of(body, y, height.saturating_sub(y)), call, place, &times, state, wide);
    }
    let up_down = canvas.theme.glyphs.up_down;
    let keys: &[(&str, &str)] = if wide {
        &[("", ""), ("enter", "open"), ("+ -", "zoom"), ("y", "copy as text")]
    } else {
        &[("", ""), ("enter", "open"), ("+ -", "zoom"), ("y", "copy")]
    };
    let keys: Vec<(&str, &str)> =
        keys.iter().map(|(k, l)| if k.is_empty() { (up_down, "select") } else { (*k, *l) }).collect();
    foot(canvas, area, &keys, ("esc", "back"));
}

fn note(canvas: &Canvas<'_>, times: &TurnTimes, state: &State, wide: bool) -> Row {
    let mut row = Row::new();
    if wide {
        let host = state.session.connection.as_ref().map(|c| format!(" @ {}", one(&c.host))).unwrap_or_default();
        row.push(&format!("{}{host}   ", one(&times.model)), Ink::Dim);
    }
    match &state.transcript.turn {
        Some(_) => row.push(&format!("{} running", canvas.theme.glyphs.running), Ink::Accent),
        None => row.push(&format!("{} done", canvas.theme.glyphs.done), Ink::Good),
    }
    row.push(&format!("   {}", seconds(total(times, state))), Ink::Text);
    row
}

/// From the turn's beginning to its end, or to now.
fn total(times: &TurnTimes, state: &State) -> u64 {
    let running = state.transcript.turn.as_ref().map(|turn| turn.elapsed_us(state.now));
    let last = state.transcript.last.as_ref().map(|turn| turn.elapsed_us(state.now));
    let seen = times.rounds.iter().filter_map(|r| r.ended).chain(times.calls.iter().filter_map(|c| c.answered)).max();
    running.or(times.ended).or(last).or(seen).unwrap_or(0).max(seen.unwrap_or(0)).max(1)
}

fn axis(canvas: &mut Canvas<'_>, body: Rect, y: usize, chart: &Chart) {
    let mut column = chart.left;
    let mut us = chart.from_us;
    while column + 4 <= chart.right {
        let s = us as f64 / 1e6;
        let text = if chart.us_per_tick < 1_000_000 { format!("{s:.1}") } else { format!("{s:.0}") };
        let text = if column == chart.left { format!("{text} s") } else { text };
        canvas.put(body, column, y, &text, Ink::Dim);
        column += TICK;
        us += chart.us_per_tick;
    }
    canvas.put_right(body, chart.ran.saturating_sub(1), y, "RAN", Ink::Dim);
    canvas.put_right(body, chart.ran + 9, y, "SOONER", Ink::Dim);
}

#[allow(clippy::too_many_arguments)]
fn lines(
    canvas: &mut Canvas<'_>,
    area: Rect,
    times: &TurnTimes,
    chart: &Chart,
    view: &Timeline,
    state: &State,
    layout: &mut Layout,
    wide: bool,
) -> usize {
    enum Line<'a> {
        Round(&'a RoundTimes),
        Call(usize, &'a CallTimes),
        Gap,
    }
    let mut all = Vec::new();
    for round in &times.rounds {
        if wide && !all.is_empty() {
            all.push(Line::Gap);
        }
        all.push(Line::Round(round));
        all.extend(
            times.calls.iter().enumerate().filter(|(_, c)| c.round == round.round).map(|(n, c)| Line::Call(n, c)),
        );
    }
    let page = usize::from(area.height);
    let chosen =
        all.iter().position(|line| matches!(line, Line::Call(_, call) if view.selected.as_ref() == Some(&call.call)));
    let first = first_row(chosen.unwrap_or(0), all.len(), page);
    for (y, line) in all.iter().skip(first).take(page).enumerate() {
        match line {
            Line::Gap => {}
            Line::Round(round) => {
                canvas.put(area, 1, y, &format!("ROUND {}", round.round), Tint::of(Ink::Text).bold());
                canvas.put(area, 11, y, "model", Ink::Second);
                let row = model_cells(round, chart, state).row();
                canvas.row(area, chart.left, y, &row);
                let end = round.ended.map(|end| seconds(end.saturating_sub(round.requested))).unwrap_or_default();
                canvas.put_right(area, chart.ran, y, &end, Ink::Text);
            }
            Line::Call(n, call) => {
                layout.targets.push((hit(rows_of(area, y, 1)), Target::Row(*n)));
                let name = call.tool.as_ref().map_or_else(|| call.wire_name.clone(), ToolRef::path);
                canvas.put(area, 3, y, &cut(&one(&name), chart.left.saturating_sub(4)), Ink::Text);
                let end = times.rounds.iter().find(|r| r.round == call.round).and_then(|r| r.ended);
                let row = call_cells(call, end, chart, state, canvas).row();
                canvas.row(area, chart.left, y, &row);
                let ran = call.sent.zip(call.answered).map(|(sent, answered)| seconds(answered - sent.min(answered)));
                canvas.put_right(area, chart.ran, y, &ran.unwrap_or_else(|| "-".to_owned()), Ink::Text);
                let cancelled = matches!(call.outcome, Some(OutcomeKind::Cancelled | OutcomeKind::Unknown));
                let sooner = times.sooner(call).filter(|_| !cancelled).map_or_else(|| "-".to_owned(), seconds);
                canvas.put_right(area, chart.ran + 9, y, &sooner, Ink::Good);
                choose(canvas, area, y, view.selected.as_ref() == Some(&call.call));
            }
        }
    }
    layout.list = ListLayout { lines: all.len(), page, top: first };
    all.len().min(page)
}

fn model_cells(round: &RoundTimes, chart: &Chart, state: &State) -> Cells {
    let mut cells = Cells::new(chart);
    let now = state.transcript.turn.as_ref().map_or(round.requested, |turn| turn.elapsed_us(state.now));
    let first = round.first_byte.unwrap_or(round.ended.unwrap_or(now));
    cells.fill(chart, round.requested, first, ".", Ink::Dim);
    for (kind, from, to) in &round.spans {
        let (glyph, ink) = match kind {
            SpanKind::Reasoning => (":", Ink::Dim),
            SpanKind::Text => ("=", Ink::Second),
            SpanKind::Arguments => ("~", Ink::Accent),
        };
        cells.fill(chart, *from, *to, glyph, ink);
    }
    cells
}

fn call_cells(call: &CallTimes, round_end: Option<u64>, chart: &Chart, state: &State, canvas: &Canvas<'_>) -> Cells {
    let glyphs = canvas.theme.glyphs;
    let mut cells = Cells::new(chart);
    if let Some(end) = round_end {
        cells.mark(chart, end, glyphs.answer_ends, Ink::Dim);
    }
    let now = state.transcript.turn.as_ref().map(|turn| turn.elapsed_us(state.now));
    let closed = call.closed.or(now).unwrap_or(call.opened);
    cells.fill(chart, call.opened, closed, "~", Ink::Accent);
    if let Some(asked) = call.asked {
        cells.fill(chart, asked, call.approved.or(call.sent).or(now).unwrap_or(asked), "?", Ink::Warn);
    }
    if let Some(sent) = call.sent {
        let ready = call.approved.unwrap_or(closed);
        if sent > ready && chart.column(sent) > chart.column(ready) {
            cells.fill(chart, ready, sent, ".", Ink::Dim);
        }
        cells.fill(chart, sent, call.answered.or(now).unwrap_or(sent), glyphs.full, Ink::Accent);
    }
    if let Some(kind) = call.outcome {
        let (glyph, ink) = sign(crate::app::CallPhase::Ended(kind), glyphs);
        cells.mark(chart, call.answered.or(call.closed).unwrap_or(call.opened), glyph, ink);
    }
    cells
}

/// What the turn's length is made of: for each round, the wait for its first byte, then whichever lasted longer, the
/// answer or a call.
fn longest_path(times: &TurnTimes) -> String {
    let s = |us: u64| format!("{:.1}", us as f64 / 1e6);
    let mut out = Vec::new();
    for round in &times.rounds {
        let first = round.first_byte.unwrap_or(round.requested);
        out.push(format!("first byte {}", s(first.saturating_sub(round.requested))));
        let end = round.ended.unwrap_or(first);
        let last = times.calls.iter().filter(|c| c.round == round.round).max_by_key(|c| c.answered);
        match last.and_then(|call| Some((call, call.answered.filter(|at| *at > end)?))) {
            Some((call, answered)) => {
                let writing = call.opened.saturating_sub(first);
                out.push(format!("writing {}", s(writing)));
                let name = call.tool.as_ref().map_or_else(|| call.wire_name.clone(), ToolRef::path);
                let you = call.approved.zip(call.asked).map(|(a, b)| format!(" (you {})", s(a.saturating_sub(b))));
                out.push(format!(
                    "{} {}{}",
                    one(&name),
                    s(answered.saturating_sub(call.opened)),
                    you.unwrap_or_default()
                ));
            }
            None => out.push(format!("answer {}", s(end.saturating_sub(first)))),
        }
    }
    out.join("   ")
}

fn legend_text(canvas: &Canvas<'_>, wide: bool) -> String {
    let (full, ends) = (canvas.theme.glyphs.full, canvas.theme.glyphs.answer_ends);
    if wide {
        format!(
            ". waiting   : thinking   = text   ~ arguments   ? waiting for you   {full} running   {ends} end of the answer"
        )
    } else {
        format!(". waiting  : thinking  = text  ~ arguments  ? you  {full} running  {ends} answer ends")
    }
}

fn detail_height(wide: bool) -> usize {
    if wide { 11 } else { 3 }
}

fn details(
    canvas: &mut Canvas<'_>,
    area: Rect,
    call: &CallTimes,
    place: usize,
    times: &TurnTimes,
    state: &State,
    wide: bool,
) {
    let columns = usize::from(area.width);
    let name = call.tool.as_ref().map_or_else(|| call.wire_name.clone(), ToolRef::path);
    // Between asking and an answer it waits for a person; before it is sent it is only ready.
    let asks = call.asked.is_some() && call.approved.is_none();
    let now = match (call.sent, asks) {
        (Some(_), _) => "running",
        (None, true) => "needs approval",
        (None, false) => "not sent yet",
    };
    let outcome = call.outcome.map_or(now, OutcomeKind::word);
    let (glyph, ink) = call.outcome.map_or((canvas.theme.glyphs.running, Ink::Accent), |kind| {
        sign(crate::app::CallPhase::Ended(kind), canvas.theme.glyphs)
    });
    let mut y = 0;
    if wide {
        canvas.rule(area, 0);
        y = 1;
    }
    let at = canvas.put(area, 1, y, &cut(&one(&name), 30), Tint::of(Ink::Text).bold());
    let told = state.calls.by_id.get(&call.call).map(crate::ui::call::Telling::of).unwrap_or_default();
    canvas.put(area, at + 3, y, &cut(told.value(), columns.saturating_sub(at + 40)), Ink::Dim);
    let mut right = Row::new();
    right.push(&format!("{glyph} {outcome}"), ink);
    right.push(&format!("   {}{place} of {}", if wide { "call " } else { "" }, times.calls.len()), Ink::Dim);
    canvas.row_right(area, columns, y, &right);
    let round_end = times.rounds.iter().find(|r| r.round == call.round).and_then(|r| r.ended);
    let facts = facts(call, round_end, wide);
    if !wide {
        let line = |facts: &[(&str, String, String)]| {
            facts
                .iter()
                .map(|(what, at, _)| format!("{what} {}", at.trim_end_matches(" s")))
                .collect::<Vec<_>>()
                .join("   ")
        };
        let half = facts.len().div_ceil(2);
        canvas.put(area, 3, y + 1, &cut(&line(&facts[..half]), columns.saturating_sub(4)), Ink::Dim);
        canvas.put(area, 3, y + 2, &cut(&line(&facts[half..]), columns.saturating_sub(4)), Ink::Dim);
        return;
    }
    for (n, (what, at, why)) in facts.iter().enumerate() {
        let y = y + 1 + n;
        canvas.put(area, 3, y, what, Ink::Dim);
        canvas.put_right(area, 19, y, at, Ink::Text);
        canvas.put(area, 23, y, why, Ink::Dim);
    }
    let note = "Sooner assumes the same server times and the same decisions.";
    canvas.put(area, 1, y + 2 + facts.len(), note, Ink::Dim);
}

/// What happened to a call, when, and why then.
fn facts(call: &CallTimes, round_end: Option<u64>, wide: bool) -> Vec<(&'static str, String, String)> {
    let s = |us: u64| format!("{:.1} s", us as f64 / 1e6);
    let mut out = vec![("opened", s(call.opened), "the model began to write its arguments".to_owned())];
    if let Some(closed) = call.closed {
        let by = call.closed_by.map_or("", |by| by.word());
        let still = round_end.and_then(|end| end.checked_sub(closed)).map(seconds);
        let still = still.map(|left| format!("; {left} of the answer were still to come")).unwrap_or_default();
        out.push(("closed", s(closed), format!("{} B, closed by {by}{still}", call.arguments_bytes)));
    }
    if let (Some(asked), Some(approved)) = (call.asked, call.approved) {
        out.push(("approved", s(approved), format!("by you, after {}", seconds(approved.saturating_sub(asked)))));
    }
    if let Some(sent) = call.sent {
        let since = call.approved.or(call.closed).unwrap_or(call.opened);
        let what = if call.approved.is_some() { "your key" } else { "its close" };
        let ms = sent.saturating_sub(since) as f64 / 1000.0;
        out.push(("sent", s(sent), if wide { format!("{ms:.1} ms after {what}") } else { String::new() }));
    }
    if let Some(answered) = call.answered {
        let told = format!("{}; the model was told {} of it", size(call.result_bytes), size(call.told_bytes));
        out.push(("answered", s(answered), told));
    }
    out
}
