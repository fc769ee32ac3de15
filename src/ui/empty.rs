//! The chat before its first message.

use ratatui::layout::Rect;

use super::canvas::Canvas;
use super::figures::Moment;
use super::ink::{Ink, Row};
use super::markdown::wrap_row;
use crate::app::State;
use crate::text::{cut, sanitize};

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, state: &State) {
    let width = usize::from(area.width).saturating_sub(4).max(1);
    let none = Row::new();
    let mut rows: Vec<Row> = vec![Row::new()];
    if let Some(greeting) = &state.session.greeting {
        rows.extend(wrap_row(&Row::of(&sanitize(greeting), Ink::Text), width, &none, &none));
        rows.push(Row::new());
    }
    if !state.is_kept() && !state.session.replay {
        let mut row = Row::new();
        row.push("Incognito", Ink::Warn);
        row.push(": what is said here is written nowhere, and gone when millrace ends.", Ink::Text);
        rows.extend(wrap_row(&row, width, &none, &none));
        rows.push(Row::new());
    }
    let servers = state.servers.rows.len();
    if servers > 0 {
        let ready = state.servers.rows.iter().filter(|s| s.status.state == crate::chat::ServerState::Ready).count();
        let tools: u32 = state.servers.rows.iter().map(|s| s.status.tools).sum();
        let mut row = Row::new();
        row.push(&format!("{ready} of {servers} servers ready, {tools} tools"), Ink::Dim);
        rows.push(row);
        rows.push(Row::new());
    }
    if let Some(newest) = &state.newest {
        let title = sanitize(&newest.title).one_line();
        let today = Moment::new(state.now.wall_ms, super::offset(state));
        let when = Moment::new(newest.updated, super::offset(state)).in_list(today);
        let mut row = Row::new();
        row.push("Last time here: ", Ink::Dim);
        row.push(&cut(title.as_str(), width / 2), Ink::Text);
        row.push(&format!("  {when}"), Ink::Dim);
        rows.push(row);
        let mut row = Row::new();
        row.push("/last", Ink::Accent);
        row.push(" goes on with it, ", Ink::Dim);
        row.push(&canvas.keys.tell("{app.history}"), Ink::Accent);
        row.push(" shows all", Ink::Dim);
        rows.extend(wrap_row(&row, width, &none, &none));
    }
    for (y, row) in rows.iter().enumerate().take(usize::from(area.height)) {
        canvas.row(area, 3, y, row);
    }
}
