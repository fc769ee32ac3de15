//! The palette: what can be done, in groups, with its keys, over whatever is there.

use ratatui::layout::Rect;

use super::ask::band;
use super::{choose, field, first_row, foot, one};
use crate::app::{Layout, ListLayout, Palette, PaletteGroup, PaletteRow, State, Target};
use crate::text::{cut, width};
use crate::ui::canvas::{Canvas, hit, rows_of};
use crate::ui::figures::{Moment, grouped};
use crate::ui::ink::{Ink, Tint};

/// Where a row says what it does, unless its name goes further.
const SAYS: usize = 18;

/// A line of the list: a group's name, with how many match where that is more than are listed; or a row by its place.
#[derive(Clone, Copy)]
enum Line {
    Group(PaletteGroup, Option<usize>),
    Row(usize),
}

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, palette: &Palette, state: &State, layout: &mut Layout) {
    let mut lines = Vec::with_capacity(palette.rows.len() + palette.groups.len());
    for (n, (group, first, count)) in palette.groups.iter().enumerate() {
        let end = palette.groups.get(n + 1).map_or(palette.rows.len(), |(_, next, _)| *next);
        let more = *count > end - first && !palette.search.text.is_empty();
        lines.push(Line::Group(*group, more.then_some(*count)));
        lines.extend((*first..end).map(Line::Row));
    }
    let at = lines.iter().position(|line| matches!(line, Line::Row(n) if *n == palette.selected)).unwrap_or(0);
    // As high with few rows as with many: nothing moves while a person types.
    let page = usize::from(area.height).saturating_sub(6).clamp(1, 16);
    let body = band(canvas, area, page + 1, layout);
    let columns = usize::from(body.width);
    canvas.put(body, 1, 0, ">", Tint::of(Ink::Accent).bold());
    if palette.search.text.is_empty() {
        canvas.put(body, 4, 0, "a command, a setting, a model, a title", Ink::Dim);
    }
    field(canvas, body, 3, 0, &palette.search, true);
    if palette.loading && columns >= 60 {
        canvas.put_right(body, columns.saturating_sub(1), 0, "reading titles…", Ink::Dim);
    }
    let page = usize::from(body.height).saturating_sub(1);
    if palette.rows.is_empty() {
        canvas.put(body, 3, 1, "nothing of that name", Ink::Dim);
    }
    // At the top, the first group keeps its name in sight.
    let first = if palette.selected == 0 { 0 } else { first_row(at, lines.len(), page) };
    let mut shown = 0;
    for (y, line) in lines.iter().skip(first).take(page).enumerate() {
        let y = y + 1;
        match *line {
            Line::Group(group, count) => {
                let x = canvas.put(body, 1, y, group.word(), Ink::Dim);
                if let Some(count) = count {
                    canvas.put(body, x + 2, y, &format!("the best of {}", grouped(count as u64)), Ink::Dim);
                }
            }
            Line::Row(n) => {
                layout.targets.push((hit(rows_of(body, y, 1)), Target::Row(n)));
                if let Some(row) = palette.rows.get(n) {
                    draw_row(canvas, body, y, row, state);
                }
                choose(canvas, body, y, n == palette.selected);
                shown += 1;
            }
        }
    }
    layout.list = ListLayout { lines: palette.rows.len(), page: shown, top: first };
    foot(canvas, area, &[("↑↓", "select"), ("enter", "do it")], ("esc", "back"));
}

fn draw_row(canvas: &mut Canvas<'_>, body: Rect, y: usize, row: &PaletteRow, state: &State) {
    let columns = usize::from(body.width);
    let (name, says, right, ink) = match row {
        PaletteRow::Command(info) => {
            let key = state.keymap.key_at(info).map(|(place, key)| format!("{} {}", place.word(), key.short()));
            let key = key.filter(|key| columns >= 60 || key.starts_with(' ')).unwrap_or_default().trim().to_owned();
            (format!("/{}", info.slash), info.label.to_owned(), key, Ink::Accent)
        }
        PaletteRow::Server(server, deed) => (one(server.as_str()), deed.word().to_owned(), String::new(), Ink::Text),
        PaletteRow::Prompt { name, note } => (format!("/{}", one(name)), one(note), String::new(), Ink::Accent),
        PaletteRow::Model(row) => {
            let now = row.id == state.session.settings.model;
            let right = if now {
                "in use"
            } else if row.favourite {
                "favourite"
            } else {
                ""
            };
            (one(&row.id), one(&row.provider), right.to_owned(), Ink::Text)
        }
        PaletteRow::Setting { key, doc } => (one(key), (*doc).to_owned(), String::new(), Ink::Text),
        PaletteRow::Conversation(row) => {
            let offset = crate::ui::offset(state);
            let when = Moment::new(row.updated, offset).in_list(Moment::new(state.now.wall_ms, offset));
            let title = one(&row.title);
            let title = if title.trim().is_empty() { "(no title)".to_owned() } else { title };
            (title, String::new(), when, Ink::Text)
        }
    };
    let right_at = columns.saturating_sub(width(&right) + 1);
    let room = right_at.saturating_sub(4);
    // A name of one word leaves its words a place; a title takes what there is.
    let most = if says.is_empty() { room } else { room.min((columns / 2).max(SAYS)) };
    let end = canvas.put(body, 3, y, &cut(&name, most), ink);
    let at = SAYS.max(end + 2);
    canvas.put(
        body,
        at,
        y,
        &cut(&says, right_at.saturating_sub(at + 1)),
        if ink == Ink::Accent { Ink::Text } else { Ink::Dim },
    );
    canvas.put_right(body, columns.saturating_sub(1), y, &right, Ink::Dim);
}
