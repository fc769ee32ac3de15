//! The configuration as a list, with what holds and what each key means.

use ratatui::layout::Rect;

use super::{choose, field, first_row, foot, heading, one, screen, words};
use crate::app::{Layout, ListLayout, SettingKind, Settings, State, Target};
use crate::text::{cut, sanitize};
use crate::ui::canvas::{Canvas, hit, rows_of};
use crate::ui::ink::{Ink, Row, Tint};
use crate::ui::markdown::wrap_row;

/// Rows of explanation below the list, with the rule above them.
const BELOW: usize = 4;

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, list: &Settings, state: &State, layout: &mut Layout) {
    let columns = usize::from(area.width);
    let narrow = columns < 60;
    let note = if narrow { Row::new() } else { words(&cut(&one(&state.session.config_path), columns / 2)) };
    let body = screen(canvas, area, &heading("SETTINGS"), &note, layout);
    let height = usize::from(body.height);
    canvas.put(body, 1, 0, "/", Tint::of(Ink::Accent).bold());
    if list.search.text.is_empty() && list.line.is_none() {
        canvas.put(body, 4, 0, "type to filter", Ink::Dim);
    }
    field(canvas, body, 3, 0, &list.search, list.line.is_none());
    let below = if height >= 12 { BELOW } else { 0 };
    let page = height.saturating_sub(2 + below).max(1);
    let rows: Vec<_> = list.rows().collect();
    let first = first_row(list.selected, rows.len(), page);
    if rows.is_empty() {
        canvas.put(body, 3, 2, "no setting of that name", Ink::Dim);
    }
    let value_at = if narrow { 24 } else { 32 };
    for (y, (n, info)) in rows.iter().enumerate().skip(first).take(page).enumerate() {
        let y = y + 2;
        layout.targets.push((hit(rows_of(body, y, 1)), Target::Row(n)));
        canvas.put(body, 3, y, &cut(&info.key, value_at - 5), Ink::Text);
        let (value, written) = list.value(info);
        let ink = if written { Tint::of(Ink::Accent).bold() } else { Tint::of(Ink::Dim) };
        let room = columns.saturating_sub(value_at + 2);
        match &list.line {
            Some(line) if n == list.selected => {
                field(canvas, body, value_at, y, line, true);
            }
            Some(_) | None => {
                let secret_free = sanitize(&value.chars().take(400).collect::<String>()).one_line();
                let shown = match (value.is_empty(), list.written.is_some()) {
                    (true, _) => "not set",
                    (false, true) => secret_free.as_str(),
                    (false, false) => "…",
                };
                canvas.put(body, value_at, y, &cut(shown, room), ink);
            }
        }
        choose(canvas, body, y, n == list.selected);
    }
    layout.list = ListLayout { lines: rows.len(), page, top: first };
    if below > 0 {
        let text = rows_of(body, height - below + 1, below - 1);
        canvas.rule(body, height - below);
        explain(canvas, text, list);
    }
    let keys: &[(&str, &str)] = match (&list.line, list.chosen().map(|info| &info.kind)) {
        (Some(_), _) => &[("enter", "write it"), ("empty", "the default")],
        (None, Some(SettingKind::Switch | SettingKind::Choice(_))) => {
            &[("↑↓", "select"), ("enter", "next value"), ("delete", "the default")]
        }
        (None, _) => &[("↑↓", "select"), ("enter", "change"), ("delete", "the default")],
    };
    foot(canvas, area, keys, ("esc", if list.line.is_some() { "leave it" } else { "back" }));
}

fn explain(canvas: &mut Canvas<'_>, area: Rect, list: &Settings) {
    let columns = usize::from(area.width).saturating_sub(2).max(1);
    let Some(info) = list.chosen() else { return };
    let mut row = Row::new();
    if let Some(why) = &list.refused {
        row.push(&one(why), Ink::Bad);
    } else {
        row.push(info.doc, Ink::Text);
        if let SettingKind::Choice(words) = &info.kind {
            row.push(&format!("  One of: {}.", one(&words.join(", "))), Ink::Dim);
        }
        if !info.default.is_empty() {
            row.push(&format!("  Default: {}", info.default), Ink::Dim);
        }
    }
    let none = Row::new();
    for (y, line) in wrap_row(&row, columns, &none, &none).iter().take(usize::from(area.height)).enumerate() {
        canvas.row(area, 1, y, line);
    }
}
