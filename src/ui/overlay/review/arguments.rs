//! The arguments of a review: their very bytes, as a tree, or beside the file that they change.
//!
//! # Invariants
//! - Every byte is in the rows, what cannot be seen is written out. Unchanged lines of a difference are numbered once, as
//!   they will be; a line that goes has the number that it has now.

use ratatui::layout::Rect;

use super::{Tier, heading, one};
use crate::app::{ComparedLine, NewText, ReviewBox, ReviewStep, ReviewView, Sign, at_line_ends, members};
use crate::chat::PathPlace;
use crate::text::{cut, visible, width};
use crate::ui::canvas::Canvas;
use crate::ui::figures::grouped;
use crate::ui::ink::{Ink, Row, Tint};
use crate::ui::markdown::wrap_row;

/// What the key for another view promises.
pub(super) fn name(view: ReviewView) -> &'static str {
    match view {
        ReviewView::Exact => "exact bytes",
        ReviewView::Difference => "difference",
        ReviewView::Tree => "as a tree",
    }
}

/// A line of a difference in rows.
fn difference(line: &ComparedLine, indent: &Row, room: usize) -> Vec<Row> {
    let (sign, ink, text) = match line.sign {
        Sign::Same => (" ", Ink::Dim, Ink::Text),
        Sign::Comes => ("+", Ink::Good, Ink::Good),
        Sign::Goes => ("-", Ink::Bad, Ink::Bad),
        Sign::Said => (" ", Ink::Dim, Ink::Dim),
    };
    let mut first = indent.clone();
    first.push(&line.number.map_or_else(|| "     ".to_owned(), |at| format!("{at:>4} ")), Ink::Dim);
    first.push(sign, Tint::of(ink).bold());
    first.push(" ", Ink::Text);
    let mut rest = Row::new();
    rest.pad_to(first.width());
    let mut row = Row::new();
    row.push_lines(&visible(&line.text), Tint::of(text));
    row.push(if line.ended { "" } else { " (no line end)" }, Ink::Dim);
    wrap_row(&escaped(&row), room, &first, &rest)
}

/// What is shown, and how many arguments that is.
pub(super) fn head(canvas: &mut Canvas<'_>, body: Rect, y: usize, review: &ReviewBox, tier: Tier) {
    let columns = usize::from(body.width);
    let bytes = grouped(review.shown().len() as u64);
    let yours = matches!(review.step, ReviewStep::Edited { .. });
    canvas.row(body, 1, y, &heading("ARGUMENTS"));
    let (long, short) = match (review.view, review.difference()) {
        (ReviewView::Tree, _) => (format!("as a tree, of {bytes} B"), format!("a tree of {bytes} B; p: exact bytes")),
        (ReviewView::Difference, Some((_, written))) => {
            let what = match written.what {
                NewText::Whole { .. } => "every line",
                NewText::Edits { .. } => "every edit",
            };
            (format!("beside the file on disk, {what} of {bytes} B"), format!("{bytes} B; p: exact bytes"))
        }
        (ReviewView::Difference | ReviewView::Exact, _) if yours => {
            let text = format!("yours, in place of the model's, {bytes} B");
            (text.clone(), text)
        }
        (ReviewView::Difference | ReviewView::Exact, _) => (
            format!("exact bytes that will be sent, {bytes} B, nothing elided"),
            format!("exact, {bytes} B, nothing elided"),
        ),
    };
    let count = members(review.shown()).map_or(0, |f| f.len());
    let count = match count {
        0 => "no arguments".to_owned(),
        1 => "one argument shown".to_owned(),
        2 => "both arguments shown".to_owned(),
        n => format!("all {n} arguments shown"),
    };
    // What stands at the right is left whole: the words before it are the shorter ones where they would meet.
    let switch = format!("[p] {}", name(review.next_view()));
    let right = if tier == Tier::Wide { width(&switch) + 4 } else { 5 };
    let room = columns.saturating_sub(right + width(&count) + 2 + 12);
    let text = if tier == Tier::Wide && width(&long) <= room { long } else { short };
    let end = canvas.put(body, 12, y, &text, Ink::Dim);
    if tier == Tier::Wide {
        canvas.put_right(body, columns.saturating_sub(1), y, &switch, Ink::Dim);
    }
    if end + width(&count) + 2 <= columns.saturating_sub(right) {
        canvas.put_right(body, columns.saturating_sub(right), y, &count, Ink::Dim);
    }
}

/// The rows of the arguments: a member a row, wrapped. A string without escapes stands without its quotes, every other
/// value in its bytes.
pub(super) fn rows(canvas: &Canvas<'_>, review: &ReviewBox, tier: Tier, columns: usize) -> Vec<Row> {
    let text = review.shown();
    let none = Row::new();
    let indent = if tier == Tier::Narrow { Row::label(" ", Ink::Text) } else { Row::label("   ", Ink::Text) };
    let room = columns.saturating_sub(1);
    let plain = |text: &str| {
        let row = Row::of_lines(&visible(text), Ink::Text);
        wrap_row(&escaped(&row), room, &indent, &indent)
    };
    if review.view == ReviewView::Tree {
        let pretty = serde_json::from_str::<serde_json::Value>(text)
            .ok()
            .and_then(|value| serde_json::to_string_pretty(&value).ok());
        return plain(pretty.as_deref().unwrap_or(text));
    }
    let Some(fields) = members(text) else { return plain(text) };
    if fields.is_empty() {
        return plain(text);
    }
    let keys = fields.iter().map(|(key, _)| width(visible(key).as_str())).max().unwrap_or(0);
    let column = if tier == Tier::Narrow { 6 } else { 9 }.max((keys + 2).min(room / 3));
    let mut out = Vec::new();
    let differs = review.difference();
    for (key, value) in &fields {
        if let Some((file, written)) = differs.as_ref().filter(|(_, written)| written.fields().contains(&key.as_str()))
        {
            // It stands for all of them.
            if written.fields().first() == Some(&key.as_str()) {
                let compared = written.compared(file.text.as_deref());
                let mut head = indent.clone();
                head.push(key, Ink::Dim);
                head.pad_to((indent.width() + column).max(head.width() + 1));
                let counts = format!("+{} -{}", compared.added, compared.removed);
                head.push(&counts, Tint::of(Ink::Text).bold());
                head.push(if file.text.is_some() { " against the file on disk" } else { ", a new file" }, Ink::Dim);
                out.push(head);
                out.extend(compared.lines.iter().flat_map(|line| difference(line, &indent, room)));
            }
            continue;
        }
        let mut first = indent.clone();
        // A key too long for its column is written out in full above its value.
        let shown = Row::of(&visible(key).one_line(), Ink::Dim);
        if shown.width() + 2 > column {
            out.extend(wrap_row(&escaped(&shown), room, &indent, &indent));
        } else {
            first.append(&escaped(&shown));
        }
        first.pad_to(indent.width() + column);
        let mut rest = Row::new();
        rest.pad_to(indent.width() + column);
        let raw = value.get();
        let bare =
            raw.strip_prefix('"').and_then(|r| r.strip_suffix('"')).filter(|r| !r.contains('\\') && !r.is_empty());
        let row = Row::of_lines(&visible(&at_line_ends(bare.unwrap_or(raw))), Ink::Text);
        out.extend(wrap_row(&escaped(&row), room, &first, &rest));
        if let Some(place) = review.mark(key) {
            mark(&mut out, place, tier, room, canvas.theme.glyphs.done);
        }
    }
    if out.is_empty() { vec![none] } else { out }
}

/// Says where a path leads, at the end of its last row or below it.
fn mark(out: &mut Vec<Row>, place: &PathPlace, tier: Tier, room: usize, inside: &'static str) {
    let (sign, ink) = if place.warns() { ("!", Ink::Warn) } else { (inside, Ink::Good) };
    let mut said = place.words().into_iter().map(|words| one(&words));
    let words = match tier {
        Tier::Wide => said.next(),
        Tier::Middle => said.nth(1),
        Tier::Narrow => said.nth(2),
    };
    let words = words.unwrap_or_default();
    // The sign is never cut off; the folder's name may be.
    let right = room.saturating_sub(if tier == Tier::Narrow { 1 } else { 4 });
    let mut note = Row::new();
    note.push(&cut(&words, right.saturating_sub(8)), if place.warns() { Ink::Warn } else { Ink::Dim });
    note.push(if tier == Tier::Narrow { " " } else { "  " }, Ink::Dim);
    note.push_safe(sign, Tint::of(ink).bold());
    let start = right.saturating_sub(note.width());
    if out.last().is_none_or(|last| last.width() + 2 > start) {
        out.push(Row::new());
    }
    if let Some(last) = out.last_mut() {
        last.pad_to(start);
        last.append(&note);
    }
}

/// What was invisible and is written out as `<U+202E>` or `<ESC>`, in the ink of a warning.
pub(in crate::ui::overlay) fn escaped(row: &Row) -> Row {
    let mut out = row.clone();
    for (at, _) in row.text().match_indices('<') {
        let Some(end) = row.text()[at..].find('>') else { break };
        let name = &row.text()[at + 1..at + end];
        let named =
            name.starts_with("U+") || (2..=3).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_uppercase());
        if named {
            out.mark(at..at + end + 1, Ink::Warn);
        }
    }
    out
}
