//! The folders that a server may be told of: as a question of the server, and as the person changes them.
//!
//! # Invariants
//! - An address is shown whole, with what cannot be seen written out: it is what the server is told.

use ratatui::layout::Rect;

use super::{choose, one};
use crate::app::{Layout, ListLayout, ServerRow, Target};
use crate::chat::{Root, ServerState, Telling};
use crate::text::{cut, visible, width};
use crate::ui::canvas::{Canvas, hit, rows_of};
use crate::ui::figures::counted;
use crate::ui::ink::{Ink, Row, Tint};
use crate::ui::markdown::wrap_row;

/// What it would be told: each folder with its name and its whole address.
pub(super) fn asked(roots: &[Root], inner: usize) -> Vec<Row> {
    let none = Row::new();
    let indent = Row::label("    ", Ink::Text);
    let mut out = Vec::new();
    for root in roots {
        let mut name = Row::label("  ", Ink::Text);
        match &root.name {
            Some(text) => name.push(visible(text).one_line().as_str(), Tint::of(Ink::Text).bold()),
            None => name.push("without a name", Ink::Dim),
        }
        out.extend(wrap_row(&name, inner, &none, &indent));
        let mut uri = Row::label("    ", Ink::Text);
        uri.push(visible(&root.uri).one_line().as_str(), Ink::Text);
        out.extend(wrap_row(&uri, inner, &none, &indent));
    }
    out
}

/// The list of one server, to add to and to take from.
pub(super) fn draw(canvas: &mut Canvas<'_>, body: Rect, row: &ServerRow, selected: usize, layout: &mut Layout) {
    let none = Row::new();
    let columns = usize::from(body.width);
    let inner = columns.saturating_sub(3).max(1);
    let roots = &row.status.life.roots;
    let mut head = Row::new();
    head.push(&one(row.status.server.as_str()), Tint::of(Ink::Text).bold());
    head.push(
        &format!("   {} that it may be told of", counted(roots.list.len() as u64, "folder", "folders")),
        Ink::Dim,
    );
    let mut top = wrap_row(&head, inner, &none, &none);
    for (text, ink) in words(row) {
        let mut line = Row::new();
        line.push(text, ink);
        top.extend(wrap_row(&line, inner, &none, &none));
    }
    top.push(Row::new());
    for (y, line) in top.iter().enumerate() {
        canvas.row(body, 1, y, line);
    }
    let view = rows_of(body, top.len(), usize::from(body.height).saturating_sub(top.len()));
    let page = usize::from(view.height);
    let first = super::first_row(selected, roots.list.len(), page.max(1));
    for (y, (n, root)) in roots.list.iter().enumerate().skip(first).take(page).enumerate() {
        layout.targets.push((hit(rows_of(view, y, 1)), Target::Row(n)));
        // Its end is what tells folders apart.
        let uri = visible(&root.uri).one_line();
        canvas.put(view, 3, y, &tail(uri.as_str(), columns.saturating_sub(4)), Ink::Text);
        choose(canvas, view, y, n == selected);
    }
    layout.list = ListLayout { lines: roots.list.len(), page, top: first };
}

/// How it stands with them, in whole sentences.
fn words(row: &ServerRow) -> Vec<(&'static str, Ink)> {
    let roots = &row.status.life.roots;
    let mut out = vec![match roots.telling {
        Telling::Ask => ("You are asked each time it wants to know them.", Ink::Dim),
        Telling::UntilQuit => ("You let it know these until you quit; it is told without asking.", Ink::Dim),
        Telling::Always => ("It is told whenever it asks: roots_ask = false in its entry.", Ink::Warn),
    }];
    match roots.offered {
        Some(false) if !roots.list.is_empty() => {
            out.push(("It does not know yet that it may ask: restart it (esc, r).", Ink::Warn));
        }
        Some(_) => {}
        None if row.status.state == ServerState::Ready => out.push(("It has no such question.", Ink::Dim)),
        None => {}
    }
    out.push(("What you change here holds until you quit; roots in its entry is for good.", Ink::Dim));
    out
}

fn tail(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let mut from = text.len();
    for (at, _) in text.char_indices().rev() {
        if width(&text[at..]) + 1 > room {
            break;
        }
        from = at;
    }
    cut(&format!("…{}", &text[from..]), room)
}
