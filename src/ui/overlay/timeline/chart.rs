//! The chart: time as columns, and the cells of each line.

use ratatui::layout::Rect;

use super::{Shown, WIDE};
use crate::chat::{CallTimes, RoundTimes, SpanKind};
use crate::ui::call::sign;
use crate::ui::canvas::Canvas;
use crate::ui::ink::{Ink, Row, Tint};

/// Columns between two marks of the axis.
const TICK: usize = 10;

/// Where the chart stands and how much time a column is.
pub(super) struct Chart {
    pub(super) left: usize,
    right: usize,
    pub(super) ran: usize,
    us_per_tick: u64,
    from_us: u64,
}

impl Chart {
    pub(super) fn new(columns: usize, total_us: u64, zoom: i8, around: u64) -> Self {
        let (left, ran) =
            if columns >= WIDE { (25, columns.saturating_sub(9)) } else { (19, columns.saturating_sub(9)) };
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

    /// The numbers of the scale, and what the columns behind it say.
    pub(super) fn axis(&self, canvas: &mut Canvas<'_>, body: Rect, y: usize) {
        let mut column = self.left;
        let mut us = self.from_us;
        while column + 4 <= self.right {
            let s = us as f64 / 1e6;
            let text = if self.us_per_tick < 1_000_000 { format!("{s:.1}") } else { format!("{s:.0}") };
            let text = if column == self.left { format!("{text} s") } else { text };
            canvas.put(body, column, y, &text, Ink::Dim);
            column += TICK;
            us += self.us_per_tick;
        }
        canvas.put_right(body, self.ran.saturating_sub(1), y, "RAN", Ink::Dim);
        canvas.put_right(body, self.ran + 9, y, "SOONER", Ink::Dim);
    }
}

/// One line of the chart as cells: later marks write over earlier ones.
pub(super) struct Cells {
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

    pub(super) fn row(&self) -> Row {
        let mut row = Row::new();
        for (glyph, ink) in &self.cells {
            row.push_safe(glyph, Tint::of(*ink));
        }
        row
    }
}

/// What the model did when.
pub(super) fn model(round: &RoundTimes, chart: &Chart, shown: &Shown) -> Cells {
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

/// What became of a call when.
pub(super) fn call(
    call: &CallTimes,
    round_end: Option<u64>,
    chart: &Chart,
    shown: &Shown,
    canvas: &Canvas<'_>,
) -> Cells {
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
