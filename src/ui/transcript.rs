//! The transcript: what is visible of it, and nothing else, laid out and drawn.

use ratatui::layout::Rect;

use super::call::{elapsed, measure, name, part, sign, word};
use super::canvas::{Canvas, columns_of, hit, rows_of};
use super::entry::{Laid, Line, Shape, Signs, estimate};
use super::figures::size;
use super::holding::Held;
use super::ink::{Ink, Row, Tint};
use super::marking::columns;
use super::memo::{Height, Memo};
use crate::app::{
    Anchor, Call, CallPhase, Calls, Entry, EntryBody, Focus, Layout, Piece, Scroll, Siblings, Spot, State, Target,
    TextLine, TextPoint, TranscriptLayout,
};
use crate::chat::OutcomeKind;
use crate::text::{cut, graphemes, width};

/// Columns before the text: a blank, the gutter, a blank.
const GUTTER: usize = 3;

/// Where a line stands: the number of its entry and its line in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    entry: usize,
    line: usize,
}

pub(super) struct Reader<'a> {
    state: &'a State,
    entries: &'a [Entry],
    calls: &'a Calls,
    memo: &'a mut Memo,
    shape: Shape,
}

impl<'a> Reader<'a> {
    pub(super) fn new(state: &'a State, memo: &'a mut Memo, shape: Shape) -> Self {
        memo.shape = Some(shape);
        Self { state, entries: &state.transcript.entries, calls: &state.calls, memo, shape }
    }

    /// The entry laid out, its height remembered.
    pub(super) fn laid(&mut self, n: usize) -> &Laid {
        let entry = &self.entries[n];
        let shape = self.shape_of(n);
        let glyphs = self.memo.glyphs.unwrap_or(super::Theme::dark().glyphs);
        let frame = self.memo.frame();
        let signs = Signs { glyphs, keys: &self.state.keymap };
        let laid = self.memo.entries.entry(entry.key).or_insert_with(|| Laid::new(entry, self.calls, shape, signs));
        laid.update(entry, self.calls, shape, signs);
        laid.seen = frame;
        if let Some(height) = self.memo.heights.get_mut(n) {
            *height = Height { key: entry.key, revision: entry.revision, lines: laid.height };
        }
        laid
    }

    fn height(&mut self, n: usize) -> usize {
        self.laid(n).height
    }

    fn shape_of(&self, n: usize) -> Shape {
        let answer = |n: usize| matches!(self.entries[n].body, EntryBody::Answer(_));
        let siblings = self.state.siblings(&self.entries[n]);
        let continues = n > 0 && answer(n) && answer(n - 1) && siblings == Siblings::Alone;
        Shape { siblings, continues, first: n == 0, ..self.shape }
    }

    /// Brings the list of heights in step with the entries; what is not known is estimated.
    fn heights(&mut self, width: usize) {
        let heights = &mut self.memo.heights;
        heights.truncate(self.entries.len());
        for (n, entry) in self.entries.iter().enumerate() {
            let fresh = Height { key: entry.key, revision: entry.revision, lines: 0 };
            match heights.get_mut(n) {
                Some(known) if known.key == entry.key && known.revision == entry.revision => {}
                Some(known) => *known = Height { lines: estimate(entry, width), ..fresh },
                None => heights.push(Height { lines: estimate(entry, width), ..fresh }),
            }
        }
    }

    /// The place `lines` above the very end.
    fn above_end(&mut self, lines: usize) -> Place {
        let mut left = lines;
        for n in (0..self.entries.len()).rev() {
            let height = self.height(n);
            if left <= height {
                return Place { entry: n, line: height - left };
            }
            left -= height;
        }
        Place { entry: 0, line: 0 }
    }

    /// The anchor with its line inside its entry; None where the entry is gone.
    fn resolve(&mut self, anchor: Anchor) -> Option<Place> {
        let mut n = self.entries.iter().position(|entry| entry.key == anchor.key)?;
        let mut line = anchor.line;
        while line < 0 {
            if n == 0 {
                return Some(Place { entry: 0, line: 0 });
            }
            n -= 1;
            line = line.saturating_add_unsigned(self.height(n));
        }
        let mut line = line.unsigned_abs();
        loop {
            let height = self.height(n);
            if line < height || n + 1 == self.entries.len() {
                return Some(Place { entry: n, line: line.min(height.saturating_sub(1)) });
            }
            line -= height;
            n += 1;
        }
    }

    /// Where the page begins so that `spot` is on it: where it begins now, if that will do.
    fn showing(&mut self, spot: Spot, now: Option<Anchor>, page: usize) -> Option<Place> {
        let entry = self.entries.iter().position(|entry| entry.key == spot.key)?;
        let lines = spot.block.and_then(|block| self.laid(entry).lines_of(block));
        let (line, height) = lines.unwrap_or((0, 1));
        // Of what is higher than the page its beginning is shown; two rows tell of what is below.
        let height = height.min(page / 2);
        if let Some(top) = now.and_then(|now| self.resolve(now)) {
            let mut below = None;
            if (top.entry, top.line) <= (entry, line) {
                let mut lines = 0;
                for n in top.entry..entry {
                    lines += self.height(n);
                    if lines > page + top.line {
                        break;
                    }
                }
                below = (lines + line).checked_sub(top.line);
            }
            if below.is_some_and(|below| below + height + 2 <= page) {
                return Some(top);
            }
        }
        let key = self.entries[entry].key;
        let line = isize::try_from(line).unwrap_or(isize::MAX).saturating_sub(isize::try_from(page / 4).unwrap_or(0));
        self.resolve(Anchor { key, line })
    }

    /// Lines from a place to the end, exact as far as `enough`.
    fn lines_from(&mut self, place: Place, enough: usize) -> usize {
        let mut lines = self.height(place.entry).saturating_sub(place.line);
        for n in place.entry + 1..self.entries.len() {
            lines += if lines <= enough { self.height(n) } else { self.memo.heights.get(n).map_or(0, |h| h.lines) };
        }
        lines
    }
}

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, state: &State, memo: &mut Memo, layout: &mut Layout) {
    layout.transcript = TranscriptLayout { area: hit(area), top: None, at_end: true, below: 0 };
    if area.height == 0 || area.width == 0 {
        return;
    }
    layout.targets.push((hit(area), Target::Transcript));
    let entries = &state.transcript.entries;
    if entries.is_empty() {
        memo.heights.clear();
        super::empty::draw(canvas, area, state);
        return;
    }
    let columns = usize::from(area.width);
    let narrow = state.size.columns < 60;
    let prose = columns.saturating_sub(if narrow { GUTTER + 1 } else { GUTTER + 2 }).max(1);
    let offset_s = super::offset(state);
    let times = state.size.columns >= 100;
    let shape = Shape {
        width: prose,
        narrow,
        times,
        siblings: Siblings::Alone,
        continues: false,
        first: false,
        offset_s,
        cell: memo.cell,
    };
    let before = memo.shape.map(|shape| shape.width).filter(|width| *width != prose);
    let held = held(memo, state.transcript.scroll, before);
    let mut reader = Reader::new(state, memo, shape);
    reader.heights(prose);
    let page = usize::from(area.height);
    let (mut top, mut at_end) = (reader.above_end(page), true);
    let place = match state.transcript.scroll {
        Scroll::Follow => None,
        Scroll::Anchored(anchor) => {
            let entry = entries.iter().position(|entry| entry.key == anchor.key);
            let moved = held.filter(|_| before.is_some()).zip(entry);
            let anchor = moved.map_or(anchor, |(held, entry)| held.anchor(prose, reader.laid(entry)));
            reader.resolve(anchor)
        }
        Scroll::Shown(spot) => reader.showing(spot, state.layout.transcript.top, page),
    };
    if let Some(place) = place {
        let lines = reader.lines_from(place, page);
        at_end = lines <= page;
        layout.transcript.below = lines.saturating_sub(page);
        if !at_end {
            top = place;
        }
    }
    // The line that tells of what is below takes two rows of the page.
    let told = !at_end && page > 4;
    let shown = if told { page - 2 } else { page };
    if told {
        layout.transcript.below += 2;
    }
    layout.transcript.at_end = at_end;
    let now = Anchor { key: entries[top.entry].key, line: isize::try_from(top.line).unwrap_or(isize::MAX) };
    layout.transcript.top = Some(now);
    reader.memo.held = held.map(|held| held.stands_at(now));

    let mut place = top;
    let mut y = 0;
    while y < shown && place.entry < entries.len() {
        let entry = &entries[place.entry];
        reader.laid(place.entry);
        let Memo { entries: laid, highlighter, .. } = &mut *reader.memo;
        let Some(laid) = laid.get_mut(&entry.key) else { break };
        laid.colour(highlighter);
        let height = laid.height;
        let rows = (shown - y).min(height.saturating_sub(place.line));
        if rows > 0 {
            layout.targets.push((hit(rows_of(area, y, rows)), Target::Entry(entry.key)));
        }
        for _ in 0..rows {
            draw_line(canvas, area, y, place, state, reader.memo, layout, prose);
            y += 1;
            place.line += 1;
        }
        place = Place { entry: place.entry + 1, line: 0 };
    }
    if told {
        below(canvas, area, state.transcript.turn.is_some(), layout);
    }
}

/// Where a reader was before the width changed: since the last change, or by what was laid out until now.
fn held(memo: &Memo, scroll: Scroll, before: Option<usize>) -> Option<Held> {
    let Scroll::Anchored(anchor) = scroll else { return None };
    let known = memo.held.filter(|held| held.now == anchor);
    known.or_else(|| Held::new(anchor, before?, memo.entries.get(&anchor.key)?))
}

fn below(canvas: &mut Canvas<'_>, area: Rect, comes: bool, layout: &mut Layout) {
    let row = usize::from(area.height) - 1;
    let lines = layout.transcript.below;
    let text = format!(
        "{} {}{} {} below{}",
        canvas.theme.glyphs.down,
        super::figures::grouped(lines as u64),
        if comes { " new" } else { "" },
        if lines == 1 { "line" } else { "lines" },
        canvas.key("   {composer.follow}: follow").unwrap_or_default().replace("end", "End"),
    );
    let right = usize::from(area.width);
    canvas.put_right(area, right, row, &cut(&text, right), Ink::Accent);
    layout.targets.push((hit(rows_of(area, row, 1)), Target::Follow));
}

#[allow(clippy::too_many_arguments)]
fn draw_line(
    canvas: &mut Canvas<'_>,
    area: Rect,
    y: usize,
    place: Place,
    state: &State,
    memo: &mut Memo,
    layout: &mut Layout,
    prose: usize,
) {
    let entry = &state.transcript.entries[place.entry];
    let Some(laid) = memo.entries.get(&entry.key) else { return };
    let Some(line) = laid.line(place.line) else { return };
    if matches!(line, Line::Apart) {
        return;
    }
    let glyphs = canvas.theme.glyphs;
    let block = laid.block_at(place.line);
    if let Some(block) = block {
        layout.targets.push((hit(rows_of(area, y, 1)), Target::Block(Spot { key: entry.key, block: Some(block) })));
    }
    let marks = state.transcript.marked.as_ref();
    let selected = marks.is_none()
        && state.focus == Focus::Transcript
        && state.transcript.is_chosen(Spot { key: entry.key, block });
    let (part, row) = laid.place_of(place.line);
    let at = TextPoint { key: entry.key, part, row, column: 0 };
    let whole = area.intersection(canvas.buffer.area);
    layout.lines.push(TextLine {
        y: area.y + y as u16,
        x: whole.x + GUTTER as u16,
        at,
        text: matches!(line, Line::Row(_) | Line::Blank),
    });
    let marked = marks.and_then(|marks| columns(marks, at, &line));
    let ink = match entry.body {
        EntryBody::User(_) => Ink::Accent,
        EntryBody::Answer(_) => Ink::Second,
        EntryBody::Fault(_) => Ink::Bad,
        EntryBody::Note(_) | EntryBody::Summary(_) => Ink::Dim,
    };
    let tint = if selected { Tint::of(ink).bold() } else { Tint::of(ink) };
    canvas.put(area, 1, y, glyphs.gutter, tint);
    let last = place.line + 1 == laid.height;
    match line {
        Line::Apart | Line::Blank => {}
        Line::Row(row) => {
            let found = find_marks(row, state);
            canvas.row(area, GUTTER, y, found.as_ref().unwrap_or(row));
            if last && writing(entry) {
                let at = (GUTTER + row.width()).min(usize::from(area.width).saturating_sub(1));
                canvas.put(area, at, y, glyphs.caret, Ink::Accent);
            }
        }
        Line::Picture(picture, row) => canvas.picture(area, GUTTER, y, picture, row),
        Line::Role(name, time) => {
            canvas.row(area, GUTTER, y, name);
            canvas.put_right(area, usize::from(area.width).saturating_sub(1), y, time, Ink::Dim);
        }
        Line::Fold(row) => {
            canvas.row(area, GUTTER, y, row);
            if usize::from(area.width) >= prose && state.size.columns >= 100 {
                let key = canvas.key("{transcript.fold}").unwrap_or_default();
                canvas.put_right(area, usize::from(area.width).saturating_sub(2), y, &key, Ink::Dim);
            }
            layout.targets.push((hit(rows_of(area, y, 1)), Target::Fold(entry.key)));
        }
        Line::Call(id) => {
            let id = id.clone();
            match state.calls.by_id.get(&id) {
                Some(call) => draw_call(canvas, area, y, call, state, memo),
                None => {
                    canvas.put(area, GUTTER, y, glyphs.cancelled, Ink::Dim);
                }
            }
        }
    }
    if selected {
        let style = canvas.theme.chosen();
        canvas.over(area, y, style);
    }
    if let Some(marked) = marked {
        let style = canvas.theme.marked();
        canvas.over(columns_of(area, GUTTER + marked.start, marked.len()), y, style);
    }
}

/// Whether the caret of the model stands at the end of this entry: it writes text, or has not begun.
fn writing(entry: &Entry) -> bool {
    match &entry.body {
        EntryBody::Answer(answer) if answer.streaming => {
            matches!(answer.pieces.last(), None | Some(Piece::Text(_) | Piece::Thinking { .. } | Piece::Refusal(_)))
        }
        EntryBody::Answer(_)
        | EntryBody::User(_)
        | EntryBody::Fault(_)
        | EntryBody::Note(_)
        | EntryBody::Summary(_) => false,
    }
}

fn find_marks(row: &Row, state: &State) -> Option<Row> {
    let find = state.transcript.find.as_ref()?;
    marked(row, &find.line.text)
}

/// The row with every occurrence of a word inked, whatever its case; None where there is none.
pub(super) fn marked(row: &Row, word: &str) -> Option<Row> {
    if word.trim().is_empty() {
        return None;
    }
    let wanted = word.to_lowercase();
    let mut out: Option<Row> = None;
    let mut at = 0;
    for cluster in graphemes(row.text()) {
        let rest = &row.text()[at..];
        if let Some(length) = found_at(rest, &wanted) {
            out.get_or_insert_with(|| row.clone()).mark(at..at + length, Ink::Match);
        }
        at += cluster.len();
    }
    out
}

/// How many bytes of `text` make up `wanted` (lower case), where it starts with it.
pub(super) fn found_at(text: &str, wanted: &str) -> Option<usize> {
    let mut left = wanted;
    for (at, c) in text.char_indices() {
        if left.is_empty() {
            return Some(at);
        }
        for lower in c.to_lowercase() {
            left = left.strip_prefix(lower)?;
        }
    }
    left.is_empty().then_some(text.len())
}

/// One call in one line, always with the same columns so that nothing moves while it runs.
fn draw_call(canvas: &mut Canvas<'_>, area: Rect, y: usize, call: &Call, state: &State, memo: &mut Memo) {
    let wide = state.size.columns >= 100;
    let narrow = state.size.columns < 60;
    let right = usize::from(area.width).saturating_sub(1);
    let (glyph, ink) = sign(call.phase, canvas.theme.glyphs);
    canvas.put(area, GUTTER, y, glyph, ink);
    let named = name(call, narrow);
    let column = match (wide, narrow) {
        (true, _) => 18,
        (_, true) => 11,
        (false, false) => 15,
    };
    let bad = matches!(call.phase, CallPhase::Ended(kind) if !matches!(kind, OutcomeKind::Done));
    let ended = bad && !matches!(call.phase, CallPhase::Ended(OutcomeKind::Failed | OutcomeKind::Cancelled));
    let time = match call.phase {
        CallPhase::NeedsApproval | CallPhase::ServerStarting => String::new(),
        CallPhase::Arguments
        | CallPhase::Closed
        | CallPhase::Queued(_)
        | CallPhase::Running
        | CallPhase::Cancelling
        | CallPhase::Ended(_) => measure(call, super::now(state)),
    };
    let extra = match call.phase {
        CallPhase::Ended(OutcomeKind::Done) => call.outcome.as_ref().map(|o| size(o.bytes)).unwrap_or_default(),
        CallPhase::Running => part(call).map(|p| format!("{:.0}%", p * 100.0)).unwrap_or_default(),
        CallPhase::Arguments
        | CallPhase::Closed
        | CallPhase::Queued(_)
        | CallPhase::ServerStarting
        | CallPhase::NeedsApproval
        | CallPhase::Cancelling
        | CallPhase::Ended(_) => String::new(),
    };
    // The fields at the right: time, then a size or a share; or the state in words where there is neither.
    let words = match call.phase {
        CallPhase::NeedsApproval | CallPhase::ServerStarting | CallPhase::Arguments | CallPhase::Closed => word(call),
        CallPhase::Ended(_) if ended || elapsed(call, super::now(state)).is_none() => word(call),
        CallPhase::Queued(_) | CallPhase::Running | CallPhase::Cancelling | CallPhase::Ended(_) => "",
    };
    let field = if !words.is_empty() && narrow {
        format!("{words} ")
    } else if !words.is_empty() {
        format!("{words}  ")
    } else if narrow {
        let first = if extra.ends_with('%') { &extra } else { &time };
        format!("{first:>6}  ")
    } else if !wide {
        format!("{time:>6}  {:>5}  ", if extra.ends_with('%') { &extra } else { "" })
    } else if extra.ends_with('%') {
        format!("{time:>6}  {extra:>5} ")
    } else {
        format!("{time:>6}  {extra:>6}")
    };
    let at = right.saturating_sub(width(&field));
    let tint = if call.phase == CallPhase::NeedsApproval { Tint::of(Ink::Warn).bold() } else { Tint::of(Ink::Dim) };
    canvas.put(area, at, y, &field, tint);
    let argument_at = GUTTER + 2 + column.max(width(&named) + 2).min(right / 2);
    canvas.put(area, GUTTER + 2, y, &cut(&named, argument_at - GUTTER - 4), Ink::Text);
    let room = at.saturating_sub(argument_at + 1);
    let telling = memo.telling(call);
    let argument = cut(telling.short(), room);
    canvas.put(area, argument_at, y, &argument, Ink::Dim);
}
