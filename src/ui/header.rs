//! The line on top: what is talked about, with whom, how full the context is, how fast it goes.

use ratatui::layout::Rect;

use super::canvas::Canvas;
use super::figures::{clock, cost, tokens, window};
use super::ink::{Ink, Row, Tint};
use crate::app::{Phase, State, Turn};
use crate::chat::TurnStatus;
use crate::text::{cut, sanitize};

/// How much room the header has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Wide,
    Middle,
    Narrow,
}

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, state: &State, room: Room) {
    let width = usize::from(area.width);
    // Figures that would be cut are left out, the dearest last.
    let right = [Figures::All, Figures::Tokens, Figures::Time]
        .into_iter()
        .map(|figures| right(canvas, state, room, figures))
        .reduce(|row, less| if row.width() + TITLE <= width { row } else { less })
        .unwrap_or_default();
    let start = canvas.row_right(area, width.saturating_sub(1), 0, &right);
    let title = sanitize(&state.transcript.title).one_line();
    let title = if title.is_empty() { "millrace" } else { title.as_str() };
    let most = match room {
        Room::Narrow => width * 3 / 8,
        Room::Wide | Room::Middle => start.saturating_sub(4),
    };
    canvas.put(area, 1, 0, &cut(title, most.min(start.saturating_sub(2))), Tint::of(Ink::Text).bold());
}

/// What is told of the turn that ended, beside its mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Figures {
    All,
    /// Time and tokens.
    Tokens,
    Time,
}

/// Columns that the rest leaves to the title where it can.
const TITLE: usize = 12;

fn right(canvas: &Canvas<'_>, state: &State, room: Room, figures: Figures) -> Row {
    let gap = match room {
        Room::Wide => "   ",
        Room::Middle => "  ",
        Room::Narrow => " ",
    };
    let mut right = Row::new();
    let mut part = |row: Row| {
        if row.text().is_empty() {
            return;
        }
        right.push(if right.text().is_empty() { "" } else { gap }, Ink::Text);
        right.append(&row);
    };
    part(kept(state));
    if room != Room::Narrow {
        part(role(state));
        part(model(state, room));
    }
    if room == Room::Wide {
        part(searched(state));
    }
    part(another(state, room));
    part(elsewhere(canvas, state, room));
    part(context(canvas, state, room));
    part(activity(canvas, state, room, figures));
    right
}

fn model(state: &State, room: Room) -> Row {
    let mut row = Row::new();
    let model = sanitize(&state.session.settings.model).one_line();
    match &state.session.connection {
        None => row.push("not connected", Ink::Warn),
        Some(_) if model.is_empty() => row.push("no model yet", Ink::Warn),
        Some(endpoint) => {
            row.push(&cut(model.as_str(), 32), Ink::Second);
            if room == Room::Wide {
                row.push(&format!(" @ {}", cut(sanitize(&endpoint.host).one_line().as_str(), 28)), Ink::Dim);
            }
        }
    }
    row
}

/// That the conversation is written nowhere.
fn kept(state: &State) -> Row {
    let mut row = Row::new();
    if !state.is_kept() && !state.session.replay {
        row.push("incognito", Tint::of(Ink::Warn).bold());
    }
    row
}

/// In which role it answers.
fn role(state: &State) -> Row {
    let mut row = Row::new();
    if let Some(name) = &state.transcript.role {
        row.push(&cut(sanitize(name).one_line().as_str(), 20), Ink::Accent);
    }
    row
}

/// That the model searches for tools, and how many it has found.
fn searched(state: &State) -> Row {
    let mut row = Row::new();
    if let Some((offered, of)) = state.toolbox.searched {
        row.push(&format!("find_tools {offered}/{of}"), Ink::Dim);
    }
    row
}

/// What runs and what waits in other conversations.
/// What is on the screen is another process's.
fn another(state: &State, room: Room) -> Row {
    let mut row = Row::new();
    if state.transcript.open_elsewhere {
        let words = match (room, state.answered_elsewhere()) {
            (Room::Narrow, _) => "elsewhere",
            (Room::Wide | Room::Middle, true) => "runs elsewhere",
            (Room::Wide | Room::Middle, false) => "open elsewhere",
        };
        row.push(words, Ink::Warn);
    }
    row
}

fn elsewhere(canvas: &Canvas<'_>, state: &State, room: Room) -> Row {
    let glyphs = canvas.theme.glyphs;
    let mut row = Row::new();
    let waits = state.elsewhere.iter().filter(|one| one.waits()).count();
    let runs = state.elsewhere.iter().filter(|one| one.runs() && !one.waits()).count();
    let words = room != Room::Narrow;
    if waits > 0 {
        row.push(&format!("{} {waits}", glyphs.asks), Tint::of(Ink::Warn).bold());
        let verb = if waits == 1 { "waits" } else { "wait" };
        row.push(&if words { format!(" {verb} elsewhere") } else { String::new() }, Ink::Warn);
    }
    if runs > 0 {
        row.push(if waits > 0 { "  " } else { "" }, Ink::Text);
        row.push(&format!("{} {runs}", glyphs.running), Ink::Accent);
        row.push(if words && waits == 0 { " elsewhere" } else { "" }, Ink::Dim);
    }
    row
}

fn context(canvas: &Canvas<'_>, state: &State, room: Room) -> Row {
    let mut row = Row::new();
    let Some(context) = state.status.context else { return row };
    let about = if context.estimated { "~" } else { "" };
    let Some(most) = state.session.context_window.filter(|most| *most > 0) else {
        if room != Room::Narrow {
            row.push(&format!("{about}{} tok", tokens(context.tokens)), Ink::Dim);
        }
        return row;
    };
    let part = context.tokens as f64 / most as f64;
    let ink = if part >= 0.9 { Ink::Warn } else { Ink::Dim };
    let percent = format!("{about}{:.0}%", (part * 100.0).min(999.0));
    match room {
        Room::Wide => {
            row.push(&format!("{about}{}/{} ", tokens(context.tokens), window(most)), ink);
            row.push(&canvas.bar(10, part), ink);
        }
        Room::Middle => row.push(&format!("{percent} ctx"), ink),
        Room::Narrow => row.push(&percent, ink),
    }
    row
}

/// What goes on, always with the time it has taken.
fn activity(canvas: &Canvas<'_>, state: &State, room: Room, figures: Figures) -> Row {
    let glyphs = canvas.theme.glyphs;
    let mut row = Row::new();
    let Some(turn) = &state.transcript.turn else {
        if let Some(last) = &state.transcript.last
            && room == Room::Wide
        {
            finished(canvas, last, state, figures, &mut row);
        }
        return row;
    };
    let spent = clock(state.now.since_us(turn.started));
    row.push(&format!("{} ", glyphs.running), Ink::Accent);
    let words = match &turn.phase {
        _ if turn.stopping => "stopping".to_owned(),
        Phase::Waiting => "waiting".to_owned(),
        Phase::Slow(_) => "still waiting".to_owned(),
        Phase::Summarising => "summarising".to_owned(),
        Phase::Retrying { at_us, attempt, .. } => {
            let left = at_us.saturating_sub(state.now.mono_us).div_ceil(1_000_000);
            format!("attempt {} in {left} s", attempt + 1)
        }
        Phase::Tools if state.inquiry.is_some() || state.calls.waiting().next().is_some() => "needs you".to_owned(),
        Phase::Tools => "tools".to_owned(),
        Phase::Thinking | Phase::Writing => match rate(turn, state) {
            Some(rate) if room == Room::Narrow => format!("{rate}/s"),
            Some(rate) => format!("{rate} tok/s"),
            None => "writing".to_owned(),
        },
    };
    row.push(&words, Ink::Text);
    row.push(&format!(" {spent}"), Ink::Dim);
    row
}

fn finished(canvas: &Canvas<'_>, turn: &Turn, state: &State, figures: Figures, row: &mut Row) {
    let glyphs = canvas.theme.glyphs;
    let (sign, ink) = match turn.status {
        Some(TurnStatus::Ok) => (glyphs.done, Ink::Good),
        Some(TurnStatus::Failed | TurnStatus::Limit) => (glyphs.failed, Ink::Bad),
        Some(TurnStatus::Cancelled) | None => (glyphs.cancelled, Ink::Dim),
    };
    row.push(&format!("{sign} "), ink);
    if let Some(ended) = turn.ended {
        row.push(&clock(ended.since_us(turn.started)), Ink::Dim);
    }
    let spent = state.usage.spent_in(turn.id);
    if let (Some(input), Some(output)) = (spent.usage.input, spent.usage.output)
        && figures != Figures::Time
    {
        row.push(&format!("  {} in {} out", tokens(input), tokens(output)), Ink::Dim);
    }
    if let Some(amount) = spent.cost.filter(|_| !spent.part && figures == Figures::All) {
        row.push(&format!("  cost {}", cost(amount)), Ink::Dim);
    }
}

/// Tokens a second of the present stream, at four characters a token where the endpoint has not counted. None in its
/// first half second.
fn rate(turn: &Turn, state: &State) -> Option<u64> {
    let began = turn.stream_began?;
    let us = super::now(state).since_us(began);
    (us >= 500_000).then(|| (turn.stream_chars as f64 / 4.0 / (us as f64 / 1e6)).round() as u64)
}
