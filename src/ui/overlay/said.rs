//! What a server says: of its own use, on its standard error, in its log messages.

use ratatui::layout::Rect;

use super::{one, scrolled};
use crate::app::{Layout, ServerRow, State};
use crate::chat::{Instructions, InstructionsStanding, LogLine, LogSpeaker, LoggingLevel};
use crate::text::{sanitize, visible};
use crate::ui::canvas::{Canvas, rows_of};
use crate::ui::figures::{Moment, counted, size};
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
        let mut row = Row::new();
        row.push(&canvas.keys.tell(told), ink);
        rows.extend(wrap_row(&row, width, &none, &none));
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
        InstructionsStanding::Withheld => (
            "It has changed; the model is not told. In the list enter shows how, and {servers.accept} accepts it.",
            Ink::Warn,
        ),
        InstructionsStanding::Off => ("The model is not told: instructions = false in its entry.", Ink::Dim),
    }
}

pub(super) fn stderr(canvas: &mut Canvas<'_>, body: Rect, row: &ServerRow, from: Option<usize>, layout: &mut Layout) {
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

/// Its log messages from a level on, each with its time, level and logger; `shown`: from which line, and which level.
pub(super) fn messages(
    canvas: &mut Canvas<'_>,
    body: Rect,
    row: &ServerRow,
    (from, least): (Option<usize>, LoggingLevel),
    state: &State,
    layout: &mut Layout,
) {
    let width = usize::from(body.width).saturating_sub(4).max(1);
    let narrow = body.width < 60;
    let log = &row.status.life.log;
    let mut head = Row::new();
    head.push(&format!("{}   messages", one(row.status.server.as_str())), Tint::of(Ink::Text).bold());
    if least > LoggingLevel::Debug {
        head.push(&format!("   {} and worse", least.word()), Ink::Warn);
    }
    match log.level {
        _ if narrow => {}
        Some(level) => head.push(&format!("   asked for {} and worse", level.word()), Ink::Dim),
        None if log.asks => head.push(&canvas.keys.tell("   it sends what it likes: {servers.ask_log} asks"), Ink::Dim),
        None => {}
    }
    if log.dropped > 0 {
        head.push(&format!("   {} dropped", log.dropped), Ink::Dim);
    }
    canvas.row(body, 1, 0, &head);
    let shown = log.lines.iter().filter(|line| line.level >= least);
    let mut rows: Vec<Row> = shown.flat_map(|line| message(line, narrow, width, state)).collect();
    if rows.is_empty() {
        let hidden = log.lines.len() as u64;
        let text = match hidden {
            0 if log.asks && log.level.is_none() => "Nothing yet. a asks it for messages.".to_owned(),
            0 => "Nothing.".to_owned(),
            _ => format!("Nothing of that level; {} below it.", counted(hidden, "message", "messages")),
        };
        let mut row = Row::new();
        row.push(&text, Ink::Dim);
        rows.push(row);
    }
    let view = rows_of(body, 2, usize::from(body.height).saturating_sub(2));
    scrolled(canvas, view, &rows, from.unwrap_or(usize::MAX), 3, layout);
}

/// A message with its time, where there is room for it, its level and who says it.
pub(super) fn message(line: &LogLine, narrow: bool, width: usize, state: &State) -> Vec<Row> {
    let mut text = Row::new();
    if !narrow {
        text.push(&Moment::new(line.at, state.session.utc_offset_s).second(), Ink::Dim);
        text.push("  ", Ink::Text);
    }
    let ink = match line.level {
        LoggingLevel::Debug => Ink::Dim,
        LoggingLevel::Info | LoggingLevel::Notice => Ink::Text,
        LoggingLevel::Warning => Ink::Warn,
        LoggingLevel::Error | LoggingLevel::Critical | LoggingLevel::Alert | LoggingLevel::Emergency => Ink::Bad,
    };
    text.push(&format!("{:<9} ", line.level.word()), ink);
    let indent = if narrow { 2 } else { text.width() };
    match &line.by {
        LogSpeaker::Server(Some(logger)) => text.push(&format!("{}: ", one(logger)), Ink::Dim),
        LogSpeaker::Server(None) => {}
        // In a colour that no logger's name can have.
        LogSpeaker::Millrace => text.push("millrace: ", Ink::Accent),
    }
    wrap_text(text, &line.text, width, indent)
}

/// A message behind its head, its further lines under it.
fn wrap_text(mut head: Row, text: &str, width: usize, columns: usize) -> Vec<Row> {
    let mut indent = Row::new();
    indent.pad_to(columns);
    let mut out = Vec::new();
    for (n, line) in sanitize(text).as_str().lines().enumerate() {
        let mut row = if n == 0 { std::mem::take(&mut head) } else { indent.clone() };
        row.push_safe(line, Tint::default());
        out.extend(wrap_row(&row, width, &Row::new(), &indent));
    }
    if out.is_empty() {
        out.push(head);
    }
    out
}
