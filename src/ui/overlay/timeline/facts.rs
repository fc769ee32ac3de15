//! The times of the chosen call, one a line with its reason, or close together.

use ratatui::layout::Rect;

use super::{Shown, WIDE, name_of, one};
use crate::chat::{CallTimes, ClosedBy, OutcomeKind};
use crate::text::{cut, width};
use crate::ui::call::{Telling, sign};
use crate::ui::canvas::Canvas;
use crate::ui::figures::{seconds, size};
use crate::ui::ink::{Ink, Row, Tint};

/// `known`: what its arguments tell, where they are known here.
pub(super) fn draw(
    canvas: &mut Canvas<'_>,
    area: Rect,
    call: &CallTimes,
    shown: &Shown,
    known: Option<&Telling>,
    long: bool,
) {
    let columns = usize::from(area.width);
    let calls = shown.times.calls_by_round();
    let place = calls.iter().position(|c| c.call == call.call).map_or(0, |n| n + 1);
    // Between asking and an answer it waits for a person; before it is sent it is only ready.
    let asks = call.asked.is_some() && call.approved.is_none();
    let now = match (call.sent, asks) {
        (Some(_), _) => "running",
        (None, true) => "needs approval",
        (None, false) => "not sent yet",
    };
    let outcome = call.outcome.map_or(now, OutcomeKind::word);
    let (glyph, ink) = call.outcome.map_or((canvas.theme.glyphs.running, Ink::Accent), |kind| {
        sign(crate::app::CallPhase::Ended(kind), canvas.theme.glyphs)
    });
    let mut y = 0;
    if long {
        canvas.rule(area, 0);
        y = 1;
    }
    let at = canvas.put(area, 1, y, &cut(&name_of(call), 30), Tint::of(Ink::Text).bold());
    let wide = columns >= WIDE;
    let mut right = Row::new();
    // Why it failed, in the words of the server, where they are short.
    let why = Some(one(call.detail.trim())).filter(|_| call.outcome == Some(OutcomeKind::Failed));
    let why = why.filter(|why| !why.is_empty() && width(why) <= 24);
    let said = if why.is_some() && !wide { glyph.to_owned() } else { format!("{glyph} {outcome}") };
    right.push(&said, ink);
    if let Some(why) = why {
        right.push(&format!("{}{why}", if wide { "   " } else { " " }), Ink::Text);
    }
    right.push(&format!("   {}{place} of {}", if wide { "call " } else { "" }, calls.len()), Ink::Dim);
    let told = known.map_or_else(|| one(&call.detail), |told| told.value().to_owned());
    canvas.put(area, at + 3, y, &cut(&told, columns.saturating_sub(at + 6 + right.width())), Ink::Dim);
    canvas.row_right(area, columns, y, &right);
    let round_end = shown.round(call.round).and_then(|r| r.ended);
    let facts = facts(call, round_end);
    if !long {
        let said = |facts: &[Fact]| {
            let short = |fact: &Fact| match fact.what {
                // How long a person took says more here than when they spoke.
                "approved" => fact.brief.clone(),
                what => format!("{what} {}{}", fact.at.trim_end_matches(" s"), fact.brief),
            };
            facts.iter().map(short).collect::<Vec<_>>().join("   ")
        };
        let half = facts.len().div_ceil(2);
        canvas.put(area, 3, y + 1, &cut(&said(&facts[..half]), columns.saturating_sub(4)), Ink::Dim);
        canvas.put(area, 3, y + 2, &cut(&said(&facts[half..]), columns.saturating_sub(4)), Ink::Dim);
        return;
    }
    for (n, fact) in facts.iter().enumerate() {
        let y = y + 1 + n;
        canvas.put(area, 3, y, fact.what, Ink::Dim);
        canvas.put_right(area, 19, y, &fact.at, Ink::Text);
        canvas.put(area, 23, y, &cut(&fact.why, columns.saturating_sub(24)), Ink::Dim);
    }
    let note = assumed(shown);
    canvas.put(area, 1, y + 2 + facts.len(), &cut(&note, columns.saturating_sub(2)), Ink::Dim);
}

/// What the figures of the saving take for granted.
pub(super) fn assumed(shown: &Shown) -> String {
    let mut note = "Sooner assumes the same server times and the same decisions.".to_owned();
    let early =
        |call: &CallTimes| call.asked.zip(shown.round(call.round).and_then(|r| r.ended)).is_some_and(|(a, e)| a < e);
    if shown.times.calls.iter().any(early) {
        note.push_str(" Approvals opened while the answer was still coming.");
    }
    note
}

/// One moment of a call: when, why then, and what of that a short line still says.
struct Fact {
    what: &'static str,
    at: String,
    why: String,
    brief: String,
}

/// What happened to a call, when, and why then.
fn facts(call: &CallTimes, round_end: Option<u64>) -> Vec<Fact> {
    let s = |us: u64| format!("{:.1} s", us as f64 / 1e6);
    let fact = |what, at, why: String, brief: &str| Fact { what, at, why, brief: brief.to_owned() };
    let mut out = vec![fact("opened", s(call.opened), "the model began to write its arguments".to_owned(), "")];
    if let Some(closed) = call.closed {
        let by = match call.closed_by {
            Some(ClosedBy::Brace) => "by its brace",
            Some(ClosedBy::Next) => "by the next call",
            Some(ClosedBy::Finish) => "by the end of the answer",
            Some(ClosedBy::Done) => "by the end of the stream",
            None => "",
        };
        let still = round_end.and_then(|end| end.checked_sub(closed)).filter(|left| *left > 0).map(seconds);
        let still = still.map(|left| format!("; {left} of the answer were still to come")).unwrap_or_default();
        let valid = match call.outcome {
            Some(OutcomeKind::Invalid) => ", not valid",
            Some(OutcomeKind::Incomplete) => ", never complete",
            Some(_) | None => ", valid",
        };
        let bytes = size(call.arguments_bytes);
        let brief = if by.is_empty() { String::new() } else { format!(" {by}") };
        let by = if by.is_empty() { String::new() } else { format!(", closed {by}") };
        out.push(fact("closed", s(closed), format!("{bytes}{valid}{by}{still}"), &brief));
    }
    let ready = call.approved.or(call.closed).unwrap_or(call.opened);
    let waited = call.sent.map(|sent| sent.saturating_sub(ready)).filter(|us| *us > 50_000);
    if let Some(waited) = waited {
        let server = call.tool.as_ref().map(|tool| one(tool.server.as_str())).unwrap_or_default();
        out.push(fact("queued", s(waited), format!("until a place was free on {server}"), ""));
    }
    if let (Some(asked), Some(approved)) = (call.asked, call.approved) {
        let after = seconds(approved.saturating_sub(asked));
        out.push(fact(
            "approved",
            s(approved),
            format!("by you, after {after}"),
            &format!("you {}", after.trim_end_matches(" s")),
        ));
    }
    if let Some(sent) = call.sent {
        let what = match (waited, call.approved) {
            (Some(_), _) => None,
            (None, Some(_)) => Some("your key"),
            (None, None) => Some("its close"),
        };
        let ms = sent.saturating_sub(ready) as f64 / 1000.0;
        let since = what.map(|what| format!("{ms:.1} ms after {what}")).unwrap_or_default();
        let brief = if since.is_empty() { String::new() } else { format!(", {since}") };
        out.push(fact("sent", s(sent), since, &brief));
    }
    if let Some(answered) = call.answered {
        let bytes = size(call.result_bytes);
        let told = match call.told_bytes {
            all if all >= call.result_bytes => format!("{bytes}; the model was told all of it"),
            part => format!("{bytes}; the model was told {} of it", size(part)),
        };
        out.push(fact("answered", s(answered), told, &format!("   {bytes}")));
    }
    out
}
