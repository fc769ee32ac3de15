//! The form of a prompt's arguments or an address's variables, with what the server suggests.

use ratatui::layout::Rect;

use super::inquiry::{buttons, fields};
use super::{foot, one, screen, words};
use crate::app::{Fill, FillFor, Layout, Target};
use crate::text::{cut, visible};
use crate::ui::canvas::{Canvas, hit, rows_of};
use crate::ui::ink::{Ink, Row, Tint};
use crate::ui::markdown::wrap_row;

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, fill: &Fill, layout: &mut Layout) {
    let columns = usize::from(area.width);
    let narrow = columns < 60;
    let inner = columns.saturating_sub(2).max(1);
    let (name, about) = match &fill.what {
        FillFor::Prompt { name, description } => (format!("/{}:{name}", fill.server.as_str()), description.clone()),
        FillFor::Template(template) => {
            (format!("@{}:{}", fill.server.as_str(), template.template), template.description.clone())
        }
    };
    let title = Row::of(&visible(&name).one_line(), Tint::of(Ink::Text).bold());
    let body = screen(canvas, area, &title, &words(if narrow { "" } else { "nothing is sent yet" }), layout);
    let none = Row::new();
    let mut top = Vec::new();
    if !narrow {
        top.push(Row::new());
    }
    if let Some(about) = about.filter(|about| !about.trim().is_empty()) {
        let row = Row::of(&visible(&about).one_line(), Ink::Text);
        top.extend(wrap_row(&row, inner, &none, &none).into_iter().take(3));
        top.push(Row::new());
    }
    for (y, row) in top.iter().enumerate() {
        canvas.row(body, 1, y, row);
    }
    let height = usize::from(body.height);
    let shown = fill.shown();
    let list = shown.len() + usize::from(!shown.is_empty());
    let room = height.saturating_sub(top.len() + list + 3);
    fields(canvas, rows_of(body, top.len(), room.max(2)), &fill.form, narrow, layout);
    let at = height.saturating_sub(list + 3);
    for (n, value) in shown.iter().enumerate() {
        let chosen = fill.chosen == Some(n);
        let row = rows_of(body, at + n, 1);
        let tint = if chosen { Tint::of(Ink::Accent).bold() } else { Tint::of(Ink::Dim) };
        canvas.put(row, 3, 0, if chosen { canvas.theme.glyphs.selected } else { " " }, Ink::Accent);
        canvas.put(row, 5, 0, &cut(&one(value), inner.saturating_sub(6)), tint);
    }
    layout.targets.push((hit(body), Target::Overlay));
    buttons(canvas, rows_of(body, height.saturating_sub(2), 1), &fill.form, "Insert", layout);
    canvas.put(body, 3, height.saturating_sub(1), fill.refused.unwrap_or(""), Ink::Warn);
    let keys: &[(&str, &str)] = match shown.is_empty() {
        true => &[("tab", "next"), ("^S", "insert")],
        false => &[("tab", "next"), ("↑↓", "suggestions"), ("enter", "take"), ("^S", "insert")],
    };
    foot(canvas, area, keys, ("esc", "back"));
}
