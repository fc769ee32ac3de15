//! What the conversation has used, round by round, and what fills the context.

use ratatui::layout::Rect;

use super::{foot, heading, one, screen, words};
use crate::app::{Layout, ListLayout, Spent, State, UsageOf, UsageRow, UsageView};
use crate::chat::AsideKind;
use crate::text::cut;
use crate::ui::canvas::{Canvas, rows_of};
use crate::ui::figures::{Moment, cost, counted, grouped, tokens, window};
use crate::ui::ink::{Ink, Row, Tint};

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, view: &UsageView, state: &State, layout: &mut Layout) {
    let columns = usize::from(area.width);
    let narrow = columns < 60;
    let model = one(&state.session.settings.model);
    let note = if narrow { words("") } else { words(&cut(&model, columns / 2)) };
    let body = screen(canvas, area, &heading("USAGE"), &note, layout);
    let height = usize::from(body.height);
    let y = context(canvas, body, state) + 1;
    let rest = rows_of(body, y, height.saturating_sub(y));
    rounds(canvas, rest, view, state, layout);
    if narrow {
        foot(canvas, area, &[("{usage.copy}", "copy"), ("{usage.models}", "models")], ("esc", ""));
    } else {
        let keys = [("{list.arrows}", "scroll"), ("{usage.copy}", "copy as text"), ("{usage.models}", "another model")];
        foot(canvas, area, &keys, ("esc", ""));
    }
}

/// The parts of the context, each with its ink and the glyph that draws it without colour.
const PARTS: [(&str, Ink); 4] =
    [("system", Ink::Accent), ("tools", Ink::Second), ("history", Ink::Good), ("results", Ink::Code)];

/// How full the context is and of what. Returns the row after it.
fn context(canvas: &mut Canvas<'_>, body: Rect, state: &State) -> usize {
    let columns = usize::from(body.width);
    let narrow = columns < 60;
    let (Some(context), Some(parts)) = (state.status.context, state.context_parts()) else {
        let nothing = match &state.transcript.turn {
            Some(_) => "sent; what it holds is known with the first answer",
            None => "nothing has been sent yet",
        };
        canvas.put(body, 1, 0, "CONTEXT", Tint::of(Ink::Text).bold());
        canvas.put(body, 11, 0, &cut(nothing, columns.saturating_sub(12)), Ink::Dim);
        return 1;
    };
    let most = state.session.context_window.filter(|most| *most > 0);
    let about = if context.estimated { "~" } else { "" };
    let share = state.context_share();
    let ink = if share.is_some_and(|share| share >= crate::app::NEARLY_FULL) { Ink::Warn } else { Ink::Text };
    let mut head = Row::label("CONTEXT   ", Tint::of(Ink::Text).bold());
    match (most, share) {
        (Some(most), Some(share)) => {
            let text = format!("{about}{} of {}, {:.0} %", tokens(context.tokens), window(most), share * 100.0);
            head.push(&text, ink);
        }
        (_, _) => head.push(&format!("{about}{} tokens", tokens(context.tokens)), ink),
    }
    canvas.row(body, 1, 0, &head);
    let honest = match (context.estimated, columns >= 100) {
        (true, _) => "estimated: four bytes to a token",
        (false, true) => "counted by the endpoint; its parts are estimated by size",
        (false, false) => "its parts are estimated by size",
    };
    let honest = if narrow { "" } else { honest };
    canvas.put_right(body, columns.saturating_sub(1), 0, honest, Ink::Dim);

    let counts = [parts.system, parts.tools, parts.history, parts.results];
    let whole = most.unwrap_or(context.tokens).max(context.tokens).max(1);
    let cells = columns.saturating_sub(2).min(96);
    bar(canvas, body, 1, cells, &counts, whole);
    let mut y = 2;
    let line = |canvas: &mut Canvas<'_>, y: usize, sign: &str, ink: Ink, name: &str, count: u64| {
        canvas.put(body, 1, y, sign, ink);
        canvas.put(body, 3, y, name, Ink::Text);
        canvas.put_right(body, 22, y, &format!("~{}", tokens(count)), Ink::Text);
        canvas.put_right(body, 30, y, &format!("{:.0} %", count as f64 * 100.0 / whole as f64), Ink::Dim);
    };
    let glyphs = canvas.theme.glyphs;
    for ((name, ink), count) in PARTS.iter().zip(counts) {
        line(canvas, y, glyphs.full, *ink, name, count);
        y += 1;
    }
    if let Some(most) = most {
        let free = most.saturating_sub(context.tokens);
        line(canvas, y, glyphs.empty, Ink::Dim, "free", free);
        y += 1;
        if context.tokens > most || ink == Ink::Warn {
            let text = match narrow {
                true => "! /compact, or {usage.models}: a larger one",
                false => {
                    "! Nearly full: /compact summarises what is older, /new begins anew, {usage.models} has larger models."
                }
            };
            canvas.put(body, 1, y, &cut(&canvas.keys.tell(text), columns.saturating_sub(2)), Ink::Warn);
            y += 1;
        }
    }
    let left = state.status.left_out;
    for (count, one, many, stands) in [
        (left.summarised, "message", "messages", "summarised: a summary is sent in place"),
        (left.referred, "older result", "older results", "sent as a name (the model can read on)"),
    ] {
        if count > 0 {
            let text = format!("{} {stands}", counted(count.into(), one, many));
            canvas.put(body, 3, y, &cut(&text, columns.saturating_sub(4)), Ink::Dim);
            y += 1;
        }
    }
    y
}

/// One bar with a piece for each part, in its ink. A part that is there has at least one cell.
fn bar(canvas: &mut Canvas<'_>, body: Rect, y: usize, cells: usize, counts: &[u64; 4], whole: u64) {
    let glyphs = canvas.theme.glyphs;
    let mut row = Row::new();
    let mut used = 0;
    let mut sum = 0u64;
    for ((_, ink), count) in PARTS.iter().zip(counts) {
        sum = sum.saturating_add(*count);
        let end = (sum as f64 / whole as f64 * cells as f64).round() as usize;
        let end = end.max(used + usize::from(*count > 0)).min(cells);
        row.push_safe(&glyphs.full.repeat(end.saturating_sub(used)), Tint::of(*ink));
        used = used.max(end);
    }
    row.push_safe(&glyphs.empty.repeat(cells - used), Tint::of(Ink::Dim));
    canvas.row(body, 1, y, &row);
}

/// From here on the widest table fits.
const WIDE: usize = 114;

/// Where the columns of the rounds end, and the column where the model begins.
struct Columns {
    model: Option<(usize, usize)>,
    when: Option<usize>,
    ends: [usize; 5],
}

impl Columns {
    fn new(columns: usize) -> Self {
        if columns >= WIDE {
            Self { model: Some((19, 34)), when: Some(10), ends: [66, 77, 88, 101, 112] }
        } else if columns >= 60 {
            Self { model: Some((8, 23)), when: None, ends: [41, 50, 59, 68, 78] }
        } else {
            Self { model: None, when: None, ends: [15, 0, 23, 0, 37] }
        }
    }
}

fn rounds(canvas: &mut Canvas<'_>, area: Rect, view: &UsageView, state: &State, layout: &mut Layout) {
    let columns = usize::from(area.width);
    let at = Columns::new(columns);
    let narrow = columns < 60;
    let rows = state.usage.rows();
    let spent = state.usage.spent();
    canvas.put(area, 1, 0, "ROUND", Ink::Dim);
    if let Some(x) = at.when {
        canvas.put(area, x, 0, "WHEN", Ink::Dim);
    }
    if let Some((x, _)) = at.model {
        canvas.put(area, x, 0, "MODEL", Ink::Dim);
    }
    let heads = ["INPUT", "CACHED", "OUTPUT", if columns >= WIDE { "REASONING" } else { "REASON" }, "COST"];
    for (end, head) in at.ends.iter().zip(heads) {
        if *end > 0 {
            canvas.put_right(area, *end, 0, if narrow && head == "OUTPUT" { "OUT" } else { head }, Ink::Dim);
        }
    }
    let height = usize::from(area.height);
    let page = height.saturating_sub(3).max(1);
    if rows.is_empty() {
        let text = "No endpoint has counted tokens in this conversation yet.";
        canvas.put(area, 1, 1, &cut(text, columns.saturating_sub(2)), Ink::Dim);
        layout.list = ListLayout { lines: 0, page, top: 0 };
        return;
    }
    let top = view.scroll.min(rows.len().saturating_sub(page));
    layout.list = ListLayout { lines: rows.len(), page, top };
    let mut y = 1;
    for row in rows.iter().skip(top).take(page) {
        round(canvas, area, y, row, &at, state);
        y += 1;
    }
    total(canvas, area, y, spent, rows.len(), &at);
}

fn round(canvas: &mut Canvas<'_>, area: Rect, y: usize, row: &UsageRow, at: &Columns, state: &State) {
    let name = match row.of {
        UsageOf::Round => format!("{}.{}", row.turn, row.round),
        UsageOf::Summary => "summ.".to_owned(),
        UsageOf::Aside(AsideKind::Title) => "title".to_owned(),
        UsageOf::Aside(AsideKind::Sample) => "server".to_owned(),
    };
    canvas.put(area, 1, y, &name, Ink::Text);
    if let Some(x) = at.when {
        let today = Moment::new(state.now.wall_ms, crate::ui::offset(state));
        canvas.put(area, x, y, &cut(&Moment::new(row.at, crate::ui::offset(state)).in_list(today), 8), Ink::Dim);
    }
    if let Some((x, room)) = at.model {
        canvas.put(area, x, y, &cut(&one(&row.model), room), Ink::Second);
    }
    let usage = row.usage;
    let cost = row.cost.map_or_else(|| "-".to_owned(), cost);
    numbers(canvas, area, y, [usage.input, usage.cached, usage.output, usage.reasoning], &cost, at, Ink::Text);
}

fn total(canvas: &mut Canvas<'_>, area: Rect, y: usize, spent: Spent, rounds: usize, at: &Columns) {
    let narrow = at.model.is_none();
    let name = if narrow { "sum".to_owned() } else { format!("sum of {rounds}") };
    let tint = Tint::of(Ink::Text).bold();
    canvas.put(area, 1, y, &name, tint);
    let usage = spent.usage;
    let amount = match spent.cost {
        // Some rounds have no price.
        Some(amount) if spent.part => format!(">={}", cost(amount)),
        Some(amount) => cost(amount),
        None => "-".to_owned(),
    };
    numbers(canvas, area, y, [usage.input, usage.cached, usage.output, usage.reasoning], &amount, at, tint);
}

fn numbers(
    canvas: &mut Canvas<'_>,
    area: Rect,
    y: usize,
    counts: [Option<u64>; 4],
    cost: &str,
    at: &Columns,
    tint: impl Into<Tint>,
) {
    let tint = tint.into();
    for (end, count) in at.ends.iter().zip(counts) {
        if *end > 0 {
            let text = match count {
                Some(n) if *end < 30 && n >= 100_000 => tokens(n),
                Some(n) => grouped(n),
                None => "-".to_owned(),
            };
            canvas.put_right(area, *end, y, &text, tint);
        }
    }
    canvas.put_right(area, at.ends[4], y, cost, tint);
}
