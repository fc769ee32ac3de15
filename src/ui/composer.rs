//! Where a person writes: the draft, wrapped, with its chips, and the list that completes a word.

use ratatui::layout::Rect;

use super::canvas::{Canvas, hit, rows_of};
use super::figures::clock;
use super::ink::{Ink, Row, Tint};
use super::markdown::wrap_row;
use crate::app::{CompletionKind, Focus, Keymap, Layout, State, Target};
use crate::text::{cut, sanitize, wrap};

/// The draft laid out: its rows, and where the caret stands among them.
pub(super) struct Draft {
    rows: Vec<Row>,
    caret: (usize, usize),
}

impl Draft {
    /// Only the lines around the caret are laid out where the draft is long: `most` rows are ever seen.
    pub(super) fn new(state: &State, width: usize, most: usize) -> Self {
        let area = &state.composer.area;
        let lines = area.lines();
        let cursor = area.cursor();
        let first = cursor.0.saturating_sub(most);
        let last = (cursor.0 + most + 1).min(lines.len());
        let mut rows = Vec::new();
        let mut caret = (0, 0);
        let none = Row::new();
        for (n, line) in lines.iter().enumerate().take(last).skip(first) {
            // The text area holds no controls; what else could deceive is made harmless here.
            let safe = sanitize(line).one_line();
            if n == cursor.0 {
                let before: String = line.chars().take(cursor.1).collect();
                let at = sanitize(&before).one_line().as_str().len().min(safe.as_str().len());
                let ranges = wrap(safe.as_str(), width);
                let row = ranges.iter().rposition(|r| r.start <= at).unwrap_or(0);
                let start = ranges.get(row).map_or(0, |r| r.start);
                let column = crate::text::width(safe.as_str().get(start..at).unwrap_or(""));
                caret = (rows.len() + row, column.min(width));
            }
            let mut row = Row::of(&safe, Ink::Text);
            for chip in &state.composer.chips {
                if let Some(at) = row.text().find(&chip.label) {
                    row.mark(at..at + chip.label.len(), Ink::Second);
                }
            }
            for attachment in &state.composer.attachments {
                if let Some(at) = row.text().find(&attachment.label) {
                    let stale = state
                        .transcript
                        .attached
                        .iter()
                        .any(|one| one.stale.is_some() && one.resource.label() == attachment.label);
                    row.mark(at..at + attachment.label.len(), if stale { Ink::Warn } else { Ink::Second });
                }
            }
            rows.extend(wrap_row(&row, width, &none, &none));
        }
        Self { rows, caret }
    }

    pub(super) fn height(&self) -> usize {
        self.rows.len().max(1)
    }
}

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, state: &State, draft: &Draft, layout: &mut Layout) {
    let height = usize::from(area.height);
    if height == 0 {
        return;
    }
    layout.targets.push((hit(area), Target::Composer));
    let focused = state.focus == Focus::Composer && state.overlays.is_empty();
    let top = (draft.caret.0 + 1).saturating_sub(height);
    let ink = if focused { Tint::of(Ink::Accent).bold() } else { Tint::of(Ink::Dim) };
    let bang = state.composer.bang().is_some();
    let (sign, ink) = if bang { ("$", Tint::of(Ink::Warn).bold()) } else { (">", ink) };
    canvas.put(area, 1, 0, sign, ink);
    if let Some(run) = &state.composer.run {
        let seconds = state.now.since_us(run.since);
        let room = usize::from(area.width).saturating_sub(4);
        let head: String = run.command.chars().take(200).collect();
        let command = cut(sanitize(&head).one_line().as_str(), room.saturating_sub(28));
        let text = format!(
            "{} running {command}   {}   {}",
            canvas.theme.glyphs.running,
            clock(seconds),
            canvas.keys.tell("{app.back} stops it")
        );
        let y = if state.composer.is_empty() { 0 } else { height - 1 };
        if y == 0 || draft.height() < height {
            canvas.put(area, 3, y, &cut(&text, room), Ink::Accent);
        }
    } else if state.composer.is_empty() {
        let room = usize::from(area.width).saturating_sub(4);
        let (hint, ink) = match (waiting(state, canvas.keys), state.stale_words(room)) {
            (Some(words), _) => (words, Ink::Dim),
            (None, Some(words)) => (words, Ink::Warn),
            (None, None) if state.transcript.entries.is_empty() => {
                ("ask anything, or / for commands".to_owned(), Ink::Dim)
            }
            (None, None) => (String::new(), Ink::Dim),
        };
        canvas.put(area, 3, 0, &cut(&hint, room), ink);
    } else if draft.height() < height
        && let Some(words) = waiting(state, canvas.keys)
    {
        canvas.put(area, 3, height - 1, &cut(&words, usize::from(area.width).saturating_sub(4)), Ink::Dim);
    }
    for (y, row) in draft.rows.iter().skip(top).take(height).enumerate() {
        canvas.row(area, 3, y, row);
    }
    if focused {
        let x = area.x + (3 + draft.caret.1).min(usize::from(area.width).saturating_sub(1)) as u16;
        canvas.caret = Some((x, area.y + (draft.caret.0 - top).min(height - 1) as u16));
    }
    if let Some(crate::app::Vi::Command(_)) = state.composer.vi {
        canvas.put_right(area, usize::from(area.width).saturating_sub(1), 0, "COMMAND", Ink::Dim);
    }
    if state.composer.branch.is_some() {
        let text = canvas.keys.tell("answers an earlier message: {app.back} leaves that").into_owned();
        canvas.put_right(area, usize::from(area.width).saturating_sub(1), height - 1, &text, Ink::Warn);
    }
}

/// How many messages were written while an answer came, and what becomes of them. None where there are none.
fn waiting(state: &State, keys: &Keymap) -> Option<String> {
    let queued = &state.transcript.queued;
    let count = queued.len();
    let next = queued.first()?;
    if state.transcript.turn.is_none() {
        let head: String = next.text.chars().take(200).collect();
        let text = cut(sanitize(&head).one_line().as_str(), 32);
        let ways =
            keys.tell("{composer.send} on the empty line: send   {composer.recall} edit").replace("up edit", "↑ edit");
        return Some(format!("queued {count}   {text}   {ways}"));
    }
    let handed_over = queued.iter().filter(|queued| queued.handed_over).count();
    Some(if handed_over == count {
        format!("queued {count}   goes with the next round's tool results, else after this answer")
    } else {
        let ways =
            "{composer.recall} edit   {composer.send} on the empty line: send with the next round's tool results";
        format!("queued {count}   sent after this answer   {}", keys.tell(ways).replace("up edit", "↑ edit"))
    })
}

/// The completion list stands above the composer, over the transcript's end.
pub(super) fn completion(canvas: &mut Canvas<'_>, above: Rect, state: &State) {
    let Some(completion) = &state.composer.completion else { return };
    let rows = completion.rows.len().min(8).min(usize::from(above.height));
    if rows == 0 {
        return;
    }
    let first = (completion.selected + 1).saturating_sub(rows);
    let area = rows_of(above, usize::from(above.height) - rows, rows);
    canvas.clear(area);
    let width = usize::from(area.width);
    let column = completion.rows.iter().map(|r| crate::text::width(&r.text)).max().unwrap_or(0).clamp(8, width / 2 + 8);
    for (y, (n, row)) in completion.rows.iter().enumerate().skip(first).take(rows).enumerate() {
        let chosen = n == completion.selected;
        canvas.put(area, 1, y, if chosen { canvas.theme.glyphs.selected } else { " " }, Ink::Accent);
        let sign = match completion.kind {
            CompletionKind::Command => "/",
            CompletionKind::File => "@",
            CompletionKind::Role => "",
        };
        let x = canvas.put(area, 3, y, sign, Ink::Dim);
        canvas.put(area, x, y, &cut(sanitize(&row.text).one_line().as_str(), column), Ink::Text);
        // Where there is more than is shown, the last row says how much.
        let place = (y + 1 == rows && rows < completion.rows.len())
            .then(|| format!("{} of {}", completion.selected + 1, completion.rows.len()));
        let reserved = place.as_ref().map_or(0, |place| place.len() + 2);
        let left = width.saturating_sub(column + 8 + reserved);
        if let Some(place) = &place {
            canvas.put_right(area, width.saturating_sub(1), y, place, Ink::Dim);
        }
        canvas.put(area, column + 7, y, &cut(sanitize(&row.note).one_line().as_str(), left), Ink::Dim);
        if chosen {
            let style = canvas.theme.chosen();
            canvas.over(area, y, style);
        }
    }
}
