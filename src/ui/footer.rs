//! The line at the bottom: keys that work now, and whether the last words are saved.

use ratatui::layout::Rect;

use super::canvas::Canvas;
use super::figures::Moment;
use super::ink::{Ink, Row, Tint};
use crate::app::{Hint, Overlay, Saved, State};
use crate::text::{cut, sanitize};

/// Draws `left` hints, their keys as [`Canvas::key`] has them, and one at the right edge, with `tail` before it. What does not fit is left out, last first.
pub(super) fn keys(canvas: &mut Canvas<'_>, area: Rect, left: &[(&str, &str)], tail: &Row, right: (&str, &str)) {
    let width = usize::from(area.width);
    let gap = if width < 60 { 2 } else { 3 };
    let mut end = tail.clone();
    let right_key = canvas.key(right.0).unwrap_or_default();
    if !right_key.is_empty() || (right.0.is_empty() && !right.1.is_empty()) {
        if !end.text().is_empty() {
            end.push(&" ".repeat(gap), Ink::Text);
        }
        hint(&mut end, &right_key, right.1);
    }
    let end_at = canvas.row_right(area, width.saturating_sub(1), 0, &end);
    let mut at = 1;
    for (key, label) in left {
        let Some(key) = canvas.key(key) else { continue };
        let mut row = Row::new();
        hint(&mut row, &key, label);
        if at + row.width() + 1 > end_at {
            break;
        }
        at = canvas.row(area, at, 0, &row) + gap;
    }
}

fn hint(row: &mut Row, key: &str, label: &str) {
    row.push(key, Tint::of(Ink::Accent));
    if !label.is_empty() {
        row.push(if key.is_empty() { "" } else { " " }, Ink::Dim);
        row.push(label, Ink::Dim);
    }
}

/// What is to be said now: a key's second press first, else the newest notice; raw.
fn message(state: &State) -> Option<(&str, Ink)> {
    state.status.hint.as_ref().map(|hint| (hint.as_str(), Ink::Accent)).or_else(|| {
        let notice = state.status.notices.iter().rev().find(|n| n.showing)?;
        Some((notice.text.as_str(), Ink::Warn))
    })
}

/// What waits for its person under the layers, and the key that opens it; None where that is open.
fn waits(state: &State, narrow: bool) -> Option<String> {
    let server = state.inquiry.as_ref().map(|asked| asked.inquiry.server.as_str());
    let mut calls = state.calls.waiting();
    let call = calls.next().map(crate::app::Call::name);
    // What must be decided first is left by its own keys alone.
    let first = state.overlays.iter().any(Overlay::is_modal);
    let what = match (server, call) {
        _ if first => return None,
        (Some(server), _) if narrow => format!("{{app.tools}} answers {server}"),
        (None, Some(call)) if narrow => format!("{{app.tools}} reviews {call}"),
        (Some(server), _) => format!("{server} asks you something: {{app.tools}} answers"),
        (None, Some(call)) => format!("{call} needs your approval: {{app.tools}} reviews"),
        (None, None) => return None,
    };
    Some(state.keymap.tell(&what).into_owned())
}

/// The same over a layer: on the rule above its keys, which stay. What waits for its person is said as long as it does.
pub(super) fn over(canvas: &mut Canvas<'_>, area: Rect, state: &State) {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    if height < 5 || width < 10 {
        return;
    }
    let waits = waits(state, width < 60);
    let waits = waits.as_deref().map(|text| (text, Ink::Warn));
    let hint = state.status.hint.as_deref().map(|hint| (hint, Ink::Accent));
    if let Some((text, ink)) = hint.or(waits).or_else(|| message(state)) {
        let text = cut(sanitize(text).one_line().as_str(), width.saturating_sub(4));
        canvas.put(area, 0, height - 2, &format!(" {text} "), ink);
    }
}

/// The chat's footer: a hint or notice goes before the keys.
pub(super) fn chat(canvas: &mut Canvas<'_>, area: Rect, state: &State) {
    let width = usize::from(area.width);
    let (tail, must_show) = saved(state);
    // A list over the input is left by its keys: they are not hidden by news.
    let open = state.composer.completion.as_ref().is_some_and(|open| !open.rows.is_empty());
    let message = message(state).filter(|_| !open || state.status.hint.is_some());
    let tail = if width < 100 && !must_show { Row::new() } else { tail };
    if let Some((text, ink)) = message {
        let room = width.saturating_sub(tail.width() + 4);
        canvas.put(area, 1, 0, &cut(sanitize(text).one_line().as_str(), room), ink);
        canvas.row_right(area, width.saturating_sub(1), 0, &tail);
        return;
    }
    let mut hints = state.hints();
    // Help and the way back have their place at the right edge.
    let apart = hints.last().is_some_and(|hint| matches!(hint.label, "help" | "back" | "close"));
    let last = if apart { hints.pop() } else { None };
    let last = last.unwrap_or_else(|| Hint::new("", ""));
    if width < 60 {
        hints.retain(|h| {
            matches!(h.label, "send" | "queue" | "stop" | "ask now" | "commands" | "review") || h.label.is_empty()
        });
    } else if width < 100 {
        hints.retain(|h| h.label != "newline");
    }
    let mut left: Vec<(&str, &str)> = hints
        .iter()
        .map(|h| (h.key.as_str(), if width < 60 && h.label == "commands" { "" } else { h.label }))
        .collect();
    // On a small screen the last key follows the others, as there is no room to set it apart.
    if width < 60 {
        left.extend(apart.then_some((last.key.as_str(), last.label)));
        keys(canvas, area, &left, &tail, ("", ""));
    } else {
        keys(canvas, area, &left, &tail, (last.key.as_str(), last.label));
    }
}

/// Whether what was said is on disk; true where it must be seen at any width.
fn saved(state: &State) -> (Row, bool) {
    let mut row = Row::new();
    let mut must = false;
    match &state.status.saved {
        _ if state.transcript.incognito => row.push("not kept", Ink::Dim),
        Saved::Nothing => {}
        Saved::At(at) => {
            let time = Moment::new(*at, super::offset(state)).second();
            row.push(&format!("saved {time}"), Ink::Dim);
        }
        Saved::Not(why) => {
            must = true;
            row.push(
                &format!("! not saved: {}", cut(sanitize(why).one_line().as_str(), 28)),
                Tint::of(Ink::Bad).bold(),
            );
        }
        Saved::Off if state.session.replay => {
            must = true;
            row.push("a replay", Tint::of(Ink::Accent).bold());
        }
        Saved::Off => row.push("not kept", Ink::Dim),
    }
    (row, must)
}
