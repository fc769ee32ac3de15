//! The timeline: what the model wrote when, when each call left, and what leaving early has saved.

use ratatui::layout::Rect;

use super::{choose, first_row, foot, one, screen};
use crate::app::{Endpoint, Layout, ListLayout, State, Target, Timeline};
use crate::chat::{CallTimes, ClosedBy, OutcomeKind, RoundTimes, SpanKind, ToolRef, TurnStatus, TurnTimes};
use crate::text::{cut, width};
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
        let steps = [1u64, 2, 4, 5, 8];
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

/// The turn that is drawn, and the moment up to which it is.
struct Shown {
    times: TurnTimes,
    /// Microseconds since it began, while it runs.
    now: Option<u64>,
    /// From its beginning to its end, or to now.
    total: u64,
    /// How it ended, as the store writes it.
    status: Option<String>,
}

impl Shown {
    fn new(view: &Timeline, state: &State) -> Option<Self> {
        let times = view.times(state).filter(|t| !t.rounds.is_empty() || !t.calls.is_empty())?;
        let seen =
            times.rounds.iter().filter_map(|r| r.ended).chain(times.calls.iter().filter_map(|c| c.answered)).max();
        let turn = state.transcript.turn.as_ref();
        let (now, ended, status) = match &view.past {
            Some(past) => (None, None, past.status.clone()),
            None => {
                let last = state.transcript.last.as_ref().filter(|_| turn.is_none());
                let status = last.map(|last| last.status.map_or("ok", TurnStatus::word).to_owned());
                (turn.map(|turn| turn.elapsed_us(state.now)), last.map(|last| last.elapsed_us(state.now)), status)
            }
        };
        let total = now.or(times.ended).or(ended).or(seen).unwrap_or(0).max(seen.unwrap_or(0)).max(1);
        Some(Self { times, now, total, status })
    }

    fn round(&self, number: u32) -> Option<&RoundTimes> {
        self.times.rounds.iter().find(|round| round.round == number)
    }
}

/// How the height is shared out: what a small screen cannot hold goes, the chart last.
#[derive(Clone, Copy)]
struct Plan {
    /// Rows of the longest path.
    path: usize,
    /// A blank row between rounds.
    apart: bool,
    legend: bool,
    /// Rows of the chosen call's times; more than [`SHORT`] means one a line, with the reason.
    details: usize,
}

/// Rows of a chosen call where they stand close, and where each of its times has a line.
const SHORT: usize = 3;
const LONG: usize = 11;

impl Plan {
    fn new(columns: usize, height: usize, rows: usize, rounds: usize, path: usize) -> Self {
        let wide = columns >= 100;
        // The saving, the axis, and blank rows around them.
        let top = if wide { 4 } else { 3 };
        let need = |plan: &Self| {
            let gaps = if plan.apart { rounds.saturating_sub(1) } else { 0 };
            top + plan.path + rows + gaps + if plan.legend { 3 } else { 1 } + plan.details
        };
        let path = if wide { path.min(3) } else { 0 };
        let full = Self { path, apart: wide, legend: true, details: if wide { LONG } else { SHORT } };
        let close = Self { details: SHORT, ..full };
        let steps = [full, close, Self { apart: false, ..close }];
        let least = Self {
            apart: false,
            legend: height >= 14,
            details: if height >= 11 { SHORT } else { 0 },
            path: path.min(usize::from(height >= 14)),
        };
        // The chart scrolls where it must, but not before everything else has become small.
        steps.into_iter().find(|plan| need(plan) <= height).unwrap_or(least)
    }
}

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, view: &Timeline, state: &State, layout: &mut Layout) {
    let columns = usize::from(area.width);
    let wide = columns >= 100;
    let mut title = Row::label("TIMELINE", Tint::of(Ink::Text).bold());
    title.push("   ", Ink::Text);
    title.push(&cut(&one(&state.transcript.title), columns / 3), Ink::Text);
    match view.place {
        Some((number, of)) if wide => title.push(&format!(", turn {number} of {of}"), Ink::Text),
        Some((number, _)) => title.push(&format!(", turn {number}"), Ink::Text),
        None => {}
    }
    let shown = Shown::new(view, state);
    let about = shown.as_ref().map(|shown| note(canvas, shown, view, state, wide)).unwrap_or_default();
    let body = screen(canvas, area, &title, &about, layout);
    let height = usize::from(body.height);
    let Some(shown) = shown else {
        canvas.put(body, 1, 1, "No turn to draw yet.", Ink::Dim);
        foot(canvas, area, &[], ("esc", "back"));
        return;
    };
    let times = &shown.times;
    let rounds = times.round_numbers();
    let path = if wide { path_rows(times, columns.saturating_sub(18)) } else { Vec::new() };
    let plan = Plan::new(columns, height, rounds.len() + times.calls.len(), rounds.len(), path.len());
    let mut y = usize::from(wide && height >= 14);
    gain(canvas, body, y, &shown, wide);
    y += 1;
    for (n, row) in path.iter().take(plan.path).enumerate() {
        canvas.put(body, 1, y, if n == 0 { "longest path" } else { "" }, Ink::Dim);
        canvas.put(body, 17, y, row, Ink::Text);
        y += 1;
    }
    y += 1;
    let chosen = view.selected.as_ref().and_then(|id| times.calls.iter().find(|c| c.call == *id));
    let chart = Chart::new(columns, shown.total, view.zoom, chosen.map_or(0, |c| c.opened));
    axis(canvas, body, y, &chart);
    y += 1;
    let legend = if plan.legend { 3 } else { 1 };
    let room = height.saturating_sub(y + plan.details + legend).max(1);
    y += lines(canvas, rows_of(body, y, room), &shown, &rounds, &chart, view, plan, layout);
    y += 1;
    if plan.legend {
        canvas.put(body, 1, y, &legend_text(canvas, wide), Ink::Dim);
        y += 2;
    }
    if let Some(call) = chosen.filter(|_| plan.details > 0) {
        let rest = rows_of(body, y, height.saturating_sub(y));
        details(canvas, rest, call, &shown, state, plan.details > SHORT, wide);
    }
    let up_down = canvas.theme.glyphs.up_down;
    let copy = if wide { "copy as text" } else { "copy" };
    let export = if wide { "export JSON" } else { "export" };
    let keys = [(up_down, "select"), ("enter", "open"), ("[ ]", "turn"), ("+ -", "zoom"), ("y", copy), ("e", export)];
    foot(canvas, area, &keys, ("esc", "back"));
}

fn note(canvas: &Canvas<'_>, shown: &Shown, view: &Timeline, state: &State, wide: bool) -> Row {
    let mut row = Row::new();
    if wide {
        let host = match &view.past {
            Some(past) => Endpoint::new(past.times.base_url.clone(), None).host,
            None => state.session.connection.as_ref().map(|c| c.host.clone()).unwrap_or_default(),
        };
        let host = if host.is_empty() { String::new() } else { format!(" @ {}", one(&host)) };
        row.push(&format!("{}{host}   ", one(&shown.times.model)), Ink::Dim);
    }
    let glyphs = canvas.theme.glyphs;
    match shown.status.as_deref() {
        None if shown.now.is_some() => row.push(&format!("{} running", glyphs.running), Ink::Accent),
        None => row.push(&format!("{} interrupted", glyphs.cancelled), Ink::Dim),
        Some("ok") => row.push(&format!("{} done", glyphs.done), Ink::Good),
        Some(word @ ("cancelled" | "interrupted")) => row.push(&format!("{} {word}", glyphs.cancelled), Ink::Dim),
        Some(word) => row.push(&format!("{} {}", glyphs.failed, one(word)), Ink::Bad),
    }
    row.push(&format!("   {}", seconds(shown.total)), Ink::Text);
    row
}

/// What leaving early has saved, and against what that is counted.
fn gain(canvas: &mut Canvas<'_>, body: Rect, y: usize, shown: &Shown, wide: bool) {
    let columns = usize::from(body.width);
    let times = &shown.times;
    let rounds = counted(times.rounds.len() as u64, "round", "rounds");
    let calls = counted(times.calls.len() as u64, "call", "calls");
    if let Some(why) = times.why_nothing_saved() {
        // While the first answer still streams nothing can have been saved yet.
        let early = shown.now.is_some() && times.rounds.iter().all(|round| round.ended.is_none());
        let why = if early { "What was saved is known when the answer has ended" } else { why.as_str() };
        canvas.put(body, 1, y, &cut(why, columns.saturating_sub(2)), Ink::Text);
        return;
    }
    let saved = times.saved();
    let late = seconds(shown.total + saved);
    let at = canvas.put(body, 1, y, &format!("{} sooner", seconds(saved)), Tint::of(Ink::Good).bold());
    let long =
        format!("Calls left as their arguments closed. Sent at the end of the answer, this turn would take {late}.");
    let short = format!("Sent at the end of the answer: {late}.  {rounds}  {calls}");
    let room = columns.saturating_sub(at + 4);
    let text = if wide && width(&long) <= room { long } else { short };
    canvas.put(body, at + 3, y, &cut(&text, room), Ink::Text);
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
    shown: &Shown,
    rounds: &[u32],
    chart: &Chart,
    view: &Timeline,
    plan: Plan,
    layout: &mut Layout,
) -> usize {
    enum Line<'a> {
        Round(u32),
        Call(usize, &'a CallTimes),
        Gap,
    }
    let times = &shown.times;
    let calls = times.calls_by_round();
    let mut all = Vec::new();
    for round in rounds {
        if plan.apart && !all.is_empty() {
            all.push(Line::Gap);
        }
        all.push(Line::Round(*round));
        all.extend(calls.iter().enumerate().filter(|(_, c)| c.round == *round).map(|(n, c)| Line::Call(n, c)));
    }
    let page = usize::from(area.height);
    let chosen =
        all.iter().position(|line| matches!(line, Line::Call(_, call) if view.selected.as_ref() == Some(&call.call)));
    let first = first_row(chosen.unwrap_or(0), all.len(), page);
    for (y, line) in all.iter().skip(first).take(page).enumerate() {
        match line {
            Line::Gap => {}
            Line::Round(number) => {
                canvas.put(area, 1, y, &format!("ROUND {number}"), Tint::of(Ink::Text).bold());
                canvas.put(area, 11, y, "model", Ink::Second);
                let Some(round) = shown.round(*number) else { continue };
                let row = model_cells(round, chart, shown).row();
                canvas.row(area, chart.left, y, &row);
                let end = round.ended.map(|end| seconds(end.saturating_sub(round.requested))).unwrap_or_default();
                canvas.put_right(area, chart.ran, y, &end, Ink::Text);
            }
            Line::Call(n, call) => {
                layout.targets.push((hit(rows_of(area, y, 1)), Target::Row(*n)));
                let name = call.tool.as_ref().map_or_else(|| call.wire_name.clone(), ToolRef::path);
                canvas.put(area, 3, y, &cut(&one(&name), chart.left.saturating_sub(4)), Ink::Text);
                let end = shown.round(call.round).and_then(|r| r.ended);
                let row = call_cells(call, end, chart, shown, canvas).row();
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

fn model_cells(round: &RoundTimes, chart: &Chart, shown: &Shown) -> Cells {
    let mut cells = Cells::new(chart);
    let now = shown.now.unwrap_or(round.requested);
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

fn call_cells(call: &CallTimes, round_end: Option<u64>, chart: &Chart, shown: &Shown, canvas: &Canvas<'_>) -> Cells {
    let glyphs = canvas.theme.glyphs;
    let mut cells = Cells::new(chart);
    if let Some(end) = round_end {
        cells.mark(chart, end, glyphs.answer_ends, Ink::Dim);
    }
    let now = shown.now;
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
fn longest_path(times: &TurnTimes) -> Vec<String> {
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
    out
}

/// The longest path in rows of at most `room` columns, none of its parts broken.
fn path_rows(times: &TurnTimes, room: usize) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    for part in longest_path(times) {
        match rows.last_mut() {
            Some(row) if width(row) + 3 + width(&part) <= room => {
                row.push_str("   ");
                row.push_str(&part);
            }
            Some(_) | None => rows.push(cut(&part, room)),
        }
    }
    rows
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

fn details(
    canvas: &mut Canvas<'_>,
    area: Rect,
    call: &CallTimes,
    shown: &Shown,
    state: &State,
    long: bool,
    wide: bool,
) {
    let columns = usize::from(area.width);
    let calls = shown.times.calls_by_round();
    let place = calls.iter().position(|c| c.call == call.call).map_or(0, |n| n + 1);
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
    if long {
        canvas.rule(area, 0);
        y = 1;
    }
    let at = canvas.put(area, 1, y, &cut(&one(&name), 30), Tint::of(Ink::Text).bold());
    let known = state.calls.by_id.get(&call.call).map(crate::ui::call::Telling::of);
    let told = known.as_ref().map_or_else(|| one(&call.detail), |told| told.value().to_owned());
    canvas.put(area, at + 3, y, &cut(&told, columns.saturating_sub(at + 40)), Ink::Dim);
    let mut right = Row::new();
    right.push(&format!("{glyph} {outcome}"), ink);
    right.push(&format!("   {}{place} of {}", if wide { "call " } else { "" }, calls.len()), Ink::Dim);
    canvas.row_right(area, columns, y, &right);
    let round_end = shown.round(call.round).and_then(|r| r.ended);
    let facts = facts(call, round_end);
    if !long {
        let said = |facts: &[Fact]| {
            let short = |fact: &Fact| format!("{} {}{}", fact.what, fact.at.trim_end_matches(" s"), fact.brief);
            facts.iter().map(short).collect::<Vec<_>>().join("   ")
        };
        let half = facts.len().div_ceil(2);
        canvas.put(area, 3, y + 1, &cut(&said(&facts[..half]), columns.saturating_sub(4)), Ink::Dim);
        canvas.put(area, 3, y + 2, &cut(&said(&facts[half..]), columns.saturating_sub(4)), Ink::Dim);
        return;
    }
    for (n, fact) in facts.iter().enumerate() {
        let y = y + 1 + n;
        canvas.put(area, 3, y, fact.what, Ink::Dim);
        canvas.put_right(area, 19, y, &fact.at, Ink::Text);
        canvas.put(area, 23, y, &cut(&fact.why, columns.saturating_sub(24)), Ink::Dim);
    }
    let mut note = "Sooner assumes the same server times and the same decisions.".to_owned();
    let early =
        |call: &CallTimes| call.asked.zip(shown.round(call.round).and_then(|r| r.ended)).is_some_and(|(a, e)| a < e);
    if shown.times.calls.iter().any(early) {
        note.push_str(" Approvals opened while the answer was still coming.");
    }
    canvas.put(area, 1, y + 2 + facts.len(), &cut(&note, columns.saturating_sub(2)), Ink::Dim);
}

/// One moment of a call: when, why then, and what of that a short line still says.
struct Fact {
    what: &'static str,
    at: String,
    why: String,
    brief: String,
}

/// What happened to a call, when, and why then.
fn facts(call: &CallTimes, round_end: Option<u64>) -> Vec<Fact> {
    let s = |us: u64| format!("{:.1} s", us as f64 / 1e6);
    let fact = |what, at, why: String, brief: &str| Fact { what, at, why, brief: brief.to_owned() };
    let mut out = vec![fact("opened", s(call.opened), "the model began to write its arguments".to_owned(), "")];
    if let Some(closed) = call.closed {
        let by = match call.closed_by {
            Some(ClosedBy::Brace) => "by its brace",
            Some(ClosedBy::Next) => "by the next call",
            Some(ClosedBy::Finish) => "by the end of the answer",
            Some(ClosedBy::Done) => "by the end of the stream",
            None => "",
        };
        let still = round_end.and_then(|end| end.checked_sub(closed)).filter(|left| *left > 0).map(seconds);
        let still = still.map(|left| format!("; {left} of the answer were still to come")).unwrap_or_default();
        let valid = match call.outcome {
            Some(OutcomeKind::Invalid) => ", not valid",
            Some(OutcomeKind::Incomplete) => ", never complete",
            Some(_) | None => ", valid",
        };
        let bytes = size(call.arguments_bytes);
        let brief = if by.is_empty() { String::new() } else { format!(" {by}") };
        let by = if by.is_empty() { String::new() } else { format!(", closed {by}") };
        out.push(fact("closed", s(closed), format!("{bytes}{valid}{by}{still}"), &brief));
    }
    let ready = call.approved.or(call.closed).unwrap_or(call.opened);
    let waited = call.sent.map(|sent| sent.saturating_sub(ready)).filter(|us| *us > 50_000);
    if let Some(waited) = waited {
        let server = call.tool.as_ref().map(|tool| one(tool.server.as_str())).unwrap_or_default();
        out.push(fact("queued", s(waited), format!("until a place was free on {server}"), ""));
    }
    if let (Some(asked), Some(approved)) = (call.asked, call.approved) {
        let after = seconds(approved.saturating_sub(asked));
        out.push(fact("approved", s(approved), format!("by you, after {after}"), &format!(", after {after}")));
    }
    if let Some(sent) = call.sent {
        let what = match (waited, call.approved) {
            (Some(_), _) => None,
            (None, Some(_)) => Some("your key"),
            (None, None) => Some("its close"),
        };
        let ms = sent.saturating_sub(ready) as f64 / 1000.0;
        let since = what.map(|what| format!("{ms:.1} ms after {what}")).unwrap_or_default();
        let brief = if since.is_empty() { String::new() } else { format!(", {since}") };
        out.push(fact("sent", s(sent), since, &brief));
    }
    if let Some(answered) = call.answered {
        let bytes = size(call.result_bytes);
        let told = match call.told_bytes {
            all if all >= call.result_bytes => format!("{bytes}; the model was told all of it"),
            part => format!("{bytes}; the model was told {} of it", size(part)),
        };
        out.push(fact("answered", s(answered), told, &format!("   {bytes}")));
    }
    out
}
