//! What other clients have: each entry, what it would become, and what a person should know of it.

use ratatui::layout::Rect;

use super::{choose, first_row, foot, heading, one, screen, words};
use crate::app::{Import, ImportRow, Layout, ListLayout, Target};
use crate::text::{cut, visible};
use crate::ui::canvas::{Canvas, hit, rows_of};
use crate::ui::figures::counted;
use crate::ui::ink::{Ink, Row, Tint};
use crate::ui::markdown::wrap_row;

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, import: &Import, layout: &mut Layout) {
    let columns = usize::from(area.width);
    let rows = import.rows.as_deref().unwrap_or_default();
    let takeable = rows.iter().filter(|row| row.name.is_some()).count();
    let chosen = rows.iter().filter(|row| row.chosen && row.name.is_some()).count();
    let title = heading(if columns < 60 { "IMPORT" } else { "IMPORT SERVERS" });
    let body = screen(canvas, area, &title, &words(&format!("{chosen} of {takeable} chosen")), layout);
    let keys: &[(&str, &str)] = match (takeable, columns) {
        (0, _) => &[],
        (_, 100..) => &[
            ("{list.arrows}", "select"),
            ("{import.switch}", "choose"),
            ("{import.all}", "all or none"),
            ("enter", "take over, start nothing"),
        ],
        (_, 60..) => {
            &[("{import.switch}", "choose"), ("{import.all}", "all or none"), ("enter", "take over, start nothing")]
        }
        (_, _) => &[("{import.switch}", "choose"), ("enter", "take over")],
    };
    foot(canvas, area, keys, ("esc", "back"));
    let height = usize::from(body.height);
    if rows.is_empty() {
        let text = match &import.rows {
            None => "Looking…",
            Some(_) => "No other client on this computer has servers.",
        };
        canvas.put(body, 1, 1, text, Ink::Dim);
        canvas.put(body, 1, 2, &cut("A file of one: millrace mcp import FILE", columns.saturating_sub(2)), Ink::Dim);
        return;
    }
    let page = rows.len().min(height.saturating_sub(if columns < 60 { 7 } else { 9 }).max(1));
    let first = first_row(import.selected, rows.len(), page);
    for (y, (n, row)) in rows.iter().enumerate().skip(first).take(page).enumerate() {
        layout.targets.push((hit(rows_of(body, y, 1)), Target::Row(n)));
        draw_row(canvas, body, y, row);
        choose(canvas, body, y, n == import.selected);
    }
    layout.list = ListLayout { lines: rows.len(), page, top: first };
    let Some(row) = rows.get(import.selected) else { return };
    let below = rows_of(body, page + 1, height.saturating_sub(page + 1));
    for (y, line) in details(row, columns).iter().take(usize::from(below.height)).enumerate() {
        canvas.row(below, 1, y, line);
    }
}

fn draw_row(canvas: &mut Canvas<'_>, body: Rect, y: usize, row: &ImportRow) {
    let columns = usize::from(body.width);
    let (mark, ink) = match (&row.name, row.chosen) {
        (Some(_), true) => ("[x]", Ink::Accent),
        (Some(_), false) => ("[ ]", Ink::Text),
        (None, _) => ("   ", Ink::Dim),
    };
    canvas.put(body, 3, y, mark, ink);
    let name = row.name.as_deref().unwrap_or(&row.key);
    let ink = if row.name.is_some() { Ink::Text } else { Ink::Dim };
    canvas.put(body, 7, y, &cut(&one(name), 16), ink);
    if columns < 60 {
        canvas.put(body, 24, y, &cut(&row.client, columns.saturating_sub(25)), Ink::Dim);
        return;
    }
    canvas.put(body, 24, y, &cut(&row.client, 15), Ink::Dim);
    let notes = if row.notes.is_empty() { String::new() } else { counted(row.notes.len() as u64, "note", "notes") };
    let end = columns.saturating_sub(10);
    canvas.put(body, 40, y, &cut(visible(&row.line).one_line().as_str(), end.saturating_sub(42)), Ink::Dim);
    canvas.put(body, end, y, &notes, Ink::Warn);
}

/// The whole command, and every note: it is what is being agreed to.
fn details(row: &ImportRow, columns: usize) -> Vec<Row> {
    let room = columns.saturating_sub(3).max(1);
    let (none, indent) = (Row::new(), Row::label("  ", Ink::Text));
    let mut head = Row::new();
    head.push(&one(&row.key), Tint::of(Ink::Text).bold());
    head.push(&format!("   {}   {}", row.client, one(&row.path)), Ink::Dim);
    let mut out = wrap_row(&head, room, &none, &indent);
    out.extend(wrap_row(&Row::of_lines(&visible(&row.line).one_line(), Ink::Accent), room, &indent, &indent));
    for note in &row.notes {
        let mut text = Row::new();
        text.push(&one(note), Ink::Warn);
        out.extend(wrap_row(&text, room, &indent, &Row::label("    ", Ink::Text)));
    }
    out
}
