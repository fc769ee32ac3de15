//! What a server says: of its own use, and on its standard error.

use ratatui::layout::Rect;

use super::{one, scrolled};
use crate::app::{Layout, ServerRow};
use crate::chat::{Instructions, InstructionsStanding};
use crate::text::{sanitize, visible};
use crate::ui::canvas::{Canvas, rows_of};
use crate::ui::figures::size;
use crate::ui::ink::{Ink, Row, Tint};
use crate::ui::markdown::wrap_row;

/// Its words on its own use, with what cannot be seen written out, and whether the model is told.
pub(super) fn words(canvas: &mut Canvas<'_>, body: Rect, row: &ServerRow, scroll: usize, layout: &mut Layout) {
    let none = Row::new();
    let width = usize::from(body.width).saturating_sub(4).max(1);
    let mut head = Row::new();
    head.push(
        &format!("{}   what it says of its own use", one(row.status.server.as_str())),
        Tint::of(Ink::Text).bold(),
    );
    let mut rows = wrap_row(&head, width, &none, &none);
    if let Some(Instructions { text, standing }) = &row.status.life.instructions {
        let (told, ink) = standing_words(*standing);
        rows.extend(wrap_row(&Row::label(told, ink), width, &none, &none));
        rows.push(Row::new());
        for line in visible(text).as_str().lines() {
            let mut text = Row::new();
            text.push_safe(line, Tint::default());
            rows.extend(wrap_row(&text, width, &none, &none));
        }
    } else {
        rows.push(Row::label("It says nothing of it any more.", Ink::Dim));
    }
    scrolled(canvas, body, &rows, scroll, 1, layout);
}

fn standing_words(standing: InstructionsStanding) -> (&'static str, Ink) {
    match standing {
        InstructionsStanding::Told => ("The model is told this, as its claim and not as yours.", Ink::Dim),
        InstructionsStanding::Cut => ("The model is told the beginning of this ([limits] instructions).", Ink::Warn),
        InstructionsStanding::Withheld => {
            ("It has changed; the model is not told. In the list enter shows how, and A accepts it.", Ink::Warn)
        }
        InstructionsStanding::Off => ("The model is not told: instructions = false in its entry.", Ink::Dim),
    }
}

pub(super) fn log(canvas: &mut Canvas<'_>, body: Rect, row: &ServerRow, from: Option<usize>, layout: &mut Layout) {
    let none = Row::new();
    let width = usize::from(body.width).saturating_sub(4).max(1);
    let mut head = Row::new();
    head.push(
        &format!("{}   standard error, the last of it", one(row.status.server.as_str())),
        Tint::of(Ink::Text).bold(),
    );
    let life = &row.status.life;
    if life.stderr_dropped > 0 {
        head.push(&format!("   {} kept, {} dropped", size(life.stderr_kept), size(life.stderr_dropped)), Ink::Dim);
    }
    canvas.row(body, 1, 0, &head);
    let mut rows = Vec::new();
    for line in &row.status.stderr {
        rows.extend(wrap_row(&Row::of(&sanitize(line).one_line(), Ink::Text), width, &none, &none));
    }
    if rows.is_empty() {
        rows.push(Row::label("It has said nothing.", Ink::Dim));
    }
    let view = rows_of(body, 2, usize::from(body.height).saturating_sub(2));
    scrolled(canvas, view, &rows, from.unwrap_or(usize::MAX), 3, layout);
}
