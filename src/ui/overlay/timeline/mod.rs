//! The timeline: what the model wrote when, when each call left, and what leaving early has saved. One drawing for the
//! screen and for `millrace timeline`.
//!
//! # Invariants
//! - It reads without colour: every state has its sign, the one that it has everywhere ([`crate::ui::call::sign`]).

mod chart;
mod facts;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{choose, first_row, foot, one, screen};
use crate::app::{Endpoint, Keymap, Layout, ListLayout, State, Target, Timeline};
use crate::chat::{CallId, CallTimes, LegKind, OutcomeKind, RoundTimes, StoredTurn, ToolRef, TurnStatus, TurnTimes};
use crate::text::{cut, width};
use crate::ui::canvas::{Canvas, hit, rows_of};
use crate::ui::figures::{counted, seconds};
use crate::ui::ink::{Ink, Row, Tint};
use crate::ui::theme::Theme;
use chart::Chart;

/// From so many columns on it is drawn with names, reasons and the longest path.
const WIDE: usize = 100;

/// The turn that is drawn, and the moment up to which it is.
struct Shown {
    times: TurnTimes,
    /// Microseconds since it began, while it runs.
    now: Option<u64>,
    /// From its beginning to its end, or to now.
    total: u64,
    /// How it ended, as the store writes it.
    status: Option<String>,
    /// What its conversation is called; raw.
    title: String,
    /// Its number among the turns of the conversation, from 1, and how many there are.
    place: Option<(u32, u32)>,
    /// Where the model was; raw, empty where it is not known.
    host: String,
    /// The call whose times are shown below.
    selected: Option<CallId>,
}

impl Shown {
    fn new(view: &Timeline, state: &State) -> Option<Self> {
        let times = view.times(state).filter(|t| !t.rounds.is_empty() || !t.calls.is_empty())?;
        let title = state.transcript.title.clone();
        if let Some(past) = &view.past {
            return Some(Self { selected: view.selected.clone(), ..Self::stored(past, title) });
        }
        let turn = state.transcript.turn.as_ref();
        let last = state.transcript.last.as_ref().filter(|_| turn.is_none());
        let status = last.map(|last| last.status.map_or("ok", TurnStatus::word).to_owned());
        let now = turn.map(|turn| turn.elapsed_us(crate::ui::now(state)));
        let ended = last.map(|last| last.elapsed_us(crate::ui::now(state)));
        let total = total(&times, now.or(times.ended).or(ended));
        let host = state.session.connection.as_ref().map(|c| c.host.clone()).unwrap_or_default();
        let selected = view.selected.clone();
        Some(Self { times, now, total, status, title, place: view.place, host, selected })
    }

    /// A turn as the store has it.
    fn stored(turn: &StoredTurn, title: String) -> Self {
        let times = turn.times.clone();
        Self {
            total: total(&times, times.ended),
            now: None,
            status: turn.status.clone(),
            title,
            place: Some((turn.number, turn.of)),
            host: Endpoint::new(times.base_url.clone(), None).host,
            selected: None,
            times,
        }
    }

    fn round(&self, number: u32) -> Option<&RoundTimes> {
        self.times.rounds.iter().find(|round| round.round == number)
    }

    fn title(&self, columns: usize) -> Row {
        let wide = columns >= WIDE;
        let mut title = Row::label("TIMELINE", Tint::of(Ink::Text).bold());
        title.push("   ", Ink::Text);
        title.push(&cut(&one(&self.title), columns / 3), Ink::Text);
        match self.place {
            Some((number, of)) if wide => title.push(&format!(", turn {number} of {of}"), Ink::Text),
            Some((number, _)) => title.push(&format!(", turn {number}"), Ink::Text),
            None => {}
        }
        title
    }
}

/// How long a turn took: to its end or to now, and never less than the last moment that was measured.
fn total(times: &TurnTimes, ended: Option<u64>) -> u64 {
    let rounds = times.rounds.iter().flat_map(|round| [Some(round.requested), round.first_byte, round.ended]);
    let calls = times.calls.iter().flat_map(|call| [Some(call.opened), call.closed, call.sent, call.answered]);
    let seen = rounds.chain(calls).flatten().max().unwrap_or(0);
    ended.unwrap_or(seen).max(seen).max(1)
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
        let wide = columns >= WIDE;
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
    let wide = columns >= WIDE;
    let Some(shown) = Shown::new(view, state) else {
        let title = Row::label("TIMELINE", Tint::of(Ink::Text).bold());
        let body = screen(canvas, area, &title, &Row::new(), layout);
        canvas.put(body, 1, 1, "No turn to draw yet.", Ink::Dim);
        foot(canvas, area, &[], ("esc", "back"));
        return;
    };
    let about = note(canvas, &shown, columns);
    let body = screen(canvas, area, &shown.title(columns), &about, layout);
    let height = usize::from(body.height);
    let path = path_rows(&shown.times, columns);
    let rounds = shown.times.round_numbers().len();
    let plan = Plan::new(columns, height, rounds + shown.times.calls.len(), rounds, path.len());
    let y = usize::from(wide && height >= 14);
    let y = y + drawing(canvas, rows_of(body, y, height), &shown, view.zoom, plan, layout);
    let times = &shown.times;
    let chosen = shown.selected.as_ref().and_then(|id| times.calls.iter().find(|c| c.call == *id));
    if let Some(call) = chosen.filter(|_| plan.details > 0) {
        let rest = rows_of(body, y, height.saturating_sub(y));
        let known = state.calls.by_id.get(&call.call).map(crate::ui::call::Telling::of);
        facts::draw(canvas, rest, call, &shown, known.as_ref(), plan.details > SHORT);
    }
    let copy = if wide { "copy as text" } else { "copy" };
    let export = if wide { "export JSON" } else { "export" };
    let keys = [
        ("{list.arrows}", "select"),
        ("enter", "open"),
        ("{timeline.previous_turn} {timeline.next_turn}", "turn"),
        ("{timeline.closer} {timeline.wider}", "zoom"),
        ("{timeline.copy}", copy),
        ("{timeline.json}", export),
    ];
    foot(canvas, area, &keys, ("esc", "back"));
}

/// A turn in lines of at most `columns` columns (60 to 240), safe for any terminal: the drawing of the screen, whole.
#[must_use]
pub fn timeline(turn: &StoredTurn, title: &str, theme: &Theme, columns: usize) -> Vec<String> {
    let columns = columns.clamp(60, 240);
    let shown = Shown::stored(turn, title.to_owned());
    let rounds = shown.times.round_numbers().len();
    let calls = shown.times.calls.len();
    let wide = columns >= WIDE;
    let plan = Plan { path: path_rows(&shown.times, columns).len(), apart: wide, legend: true, details: 0 };
    let room = plan.path + 2 * rounds + calls + 12;
    let area = Rect::new(0, 0, columns as u16, u16::try_from(room).unwrap_or(u16::MAX));
    let mut buffer = Buffer::empty(area);
    let keys = Keymap::default();
    let mut canvas = Canvas::new(&mut buffer, theme, &keys);
    let about = note(&canvas, &shown, columns);
    let body = screen(&mut canvas, area, &shown.title(columns), &about, &mut Layout::default());
    let y = usize::from(wide);
    drawing(&mut canvas, rows_of(body, y, room), &shown, 0, plan, &mut Layout::default());
    // What `screen` draws for a footer is none here.
    canvas.clear(rows_of(area, room - 2, 2));
    let mut lines = lines_of(&buffer);
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    if wide && shown.times.calls.iter().any(|call| shown.times.sooner(call).is_some()) {
        lines.extend([String::new(), format!(" {}", facts::assumed(&shown))]);
    }
    lines
}

/// The rows of a buffer as text, without the blanks at their ends.
fn lines_of(buffer: &Buffer) -> Vec<String> {
    let line = |y| {
        let mut line = String::new();
        let mut x = 0;
        while x < buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            x += u16::try_from(width(symbol)).unwrap_or(1).max(1);
        }
        line.truncate(line.trim_end().len());
        line
    };
    (0..buffer.area.height).map(line).collect()
}

/// What was saved, the longest path, the chart and what its signs mean. Returns the rows it took.
fn drawing(canvas: &mut Canvas<'_>, area: Rect, shown: &Shown, zoom: i8, plan: Plan, layout: &mut Layout) -> usize {
    let columns = usize::from(area.width);
    let height = usize::from(area.height);
    let wide = columns >= WIDE;
    let times = &shown.times;
    gain(canvas, area, 0, shown, wide);
    let mut y = 1;
    for (n, row) in path_rows(times, columns).iter().take(plan.path).enumerate() {
        canvas.put(area, 1, y, if n == 0 { "longest path" } else { "" }, Ink::Dim);
        canvas.put(area, 17, y, row, Ink::Text);
        y += 1;
    }
    y += 1;
    let chosen = shown.selected.as_ref().and_then(|id| times.calls.iter().find(|c| c.call == *id));
    let chart = Chart::new(columns, shown.total, zoom, chosen.map_or(0, |c| c.opened));
    chart.axis(canvas, area, y);
    y += 1;
    let legend = if plan.legend { 3 } else { 1 };
    let room = height.saturating_sub(y + plan.details + legend).max(1);
    y += lines(canvas, rows_of(area, y, room), shown, &chart, plan, layout);
    y += 1;
    if plan.legend {
        canvas.put(area, 1, y, &legend_text(canvas, wide), Ink::Dim);
        y += 2;
    }
    y
}

fn note(canvas: &Canvas<'_>, shown: &Shown, columns: usize) -> Row {
    let mut row = Row::new();
    if columns >= WIDE {
        let host = if shown.host.is_empty() { String::new() } else { format!(" @ {}", one(&shown.host)) };
        row.push(&cut(&format!("{}{host}", one(&shown.times.model)), columns / 3), Ink::Dim);
        row.push("   ", Ink::Dim);
    }
    let glyphs = canvas.theme.glyphs;
    match shown.status.as_deref() {
        None => row.push(&format!("{} running", glyphs.running), Ink::Accent),
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
    let at = if wide { (at + 3).max(17) } else { at + 3 };
    let room = columns.saturating_sub(at + 1);
    let text = if wide && width(&long) <= room { long } else { short };
    canvas.put(body, at, y, &cut(&text, room), Ink::Text);
}

fn lines(canvas: &mut Canvas<'_>, area: Rect, shown: &Shown, chart: &Chart, plan: Plan, layout: &mut Layout) -> usize {
    enum Line<'a> {
        Round(u32),
        Call(usize, &'a CallTimes),
        Gap,
    }
    let times = &shown.times;
    let calls = times.calls_by_round();
    let mut all = Vec::new();
    for round in times.round_numbers() {
        if plan.apart && !all.is_empty() {
            all.push(Line::Gap);
        }
        all.push(Line::Round(round));
        all.extend(calls.iter().enumerate().filter(|(_, c)| c.round == round).map(|(n, c)| Line::Call(n, c)));
    }
    let page = usize::from(area.height);
    let chosen =
        all.iter().position(|line| matches!(line, Line::Call(_, call) if shown.selected.as_ref() == Some(&call.call)));
    let first = first_row(chosen.unwrap_or(0), all.len(), page);
    for (y, line) in all.iter().skip(first).take(page).enumerate() {
        match line {
            Line::Gap => {}
            Line::Round(number) => {
                canvas.put(area, 1, y, &format!("ROUND {number}"), Tint::of(Ink::Text).bold());
                canvas.put(area, 11, y, "model", Ink::Second);
                let Some(round) = shown.round(*number) else { continue };
                let row = chart::model(round, chart, shown).row();
                canvas.row(area, chart.left, y, &row);
                let end = round.ended.map(|end| seconds(end.saturating_sub(round.requested))).unwrap_or_default();
                canvas.put_right(area, chart.ran, y, &end, Ink::Text);
            }
            Line::Call(n, call) => {
                layout.targets.push((hit(rows_of(area, y, 1)), Target::Row(*n)));
                canvas.put(area, 3, y, &cut(&name_of(call), chart.left.saturating_sub(4)), Ink::Text);
                let end = shown.round(call.round).and_then(|r| r.ended);
                let row = chart::call(call, end, chart, shown, canvas).row();
                canvas.row(area, chart.left, y, &row);
                let ran = call.sent.zip(call.answered).map(|(sent, answered)| seconds(answered - sent.min(answered)));
                canvas.put_right(area, chart.ran, y, &ran.unwrap_or_else(|| "-".to_owned()), Ink::Text);
                let cancelled = matches!(call.outcome, Some(OutcomeKind::Cancelled | OutcomeKind::Unknown));
                let sooner = times.sooner(call).filter(|_| !cancelled).map_or_else(|| "-".to_owned(), seconds);
                canvas.put_right(area, chart.ran + 9, y, &sooner, Ink::Good);
                choose(canvas, area, y, shown.selected.as_ref() == Some(&call.call));
            }
        }
    }
    layout.list = ListLayout { lines: all.len(), page, top: first };
    all.len().min(page)
}

/// The longest path in rows that fit, none of its parts broken.
fn path_rows(times: &TurnTimes, columns: usize) -> Vec<String> {
    if columns < WIDE {
        return Vec::new();
    }
    let room = columns.saturating_sub(18);
    let short = |us: u64| format!("{:.*}", if us < 100_000 { 2 } else { 1 }, us as f64 / 1e6);
    let mut rows: Vec<String> = Vec::new();
    for leg in times.longest_path() {
        let name = match leg.kind {
            LegKind::FirstByte => "first byte".to_owned(),
            LegKind::Thinking => "thinking".to_owned(),
            LegKind::Writing => "writing".to_owned(),
            LegKind::Answer => "answer".to_owned(),
            LegKind::Call(call) => name_of(call),
        };
        let yours = if leg.yours > 0 { format!(" (you {})", short(leg.yours)) } else { String::new() };
        let part = format!("{name} {}{yours}", short(leg.us));
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

/// `server/tool`, or the wire's name where it names no known tool; safe.
fn name_of(call: &CallTimes) -> String {
    one(&call.tool.as_ref().map_or_else(|| call.wire_name.clone(), ToolRef::path))
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

#[cfg(test)]
mod tests;
