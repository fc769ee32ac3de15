//! The review: one call, with the exact bytes that would be sent.
//!
//! # Invariants
//! - Every byte of the arguments is in the rows that are scrolled, what cannot be seen is written out.
//! - The end counts as seen only when its last row was drawn.

mod arguments;
mod decisions;

use ratatui::layout::Rect;

use super::{field, foot, heading, one, screen, words};
use crate::app::{Layout, ListLayout, ReviewBox, ReviewLayout, ReviewStep, State, sentence};
use crate::chat::AskReason;
use crate::text::cut;
use crate::ui::canvas::{Canvas, rows_of};
use crate::ui::figures::clock;
use crate::ui::ink::{Ink, Row, Tint};

pub(super) use arguments::escaped;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tier {
    Wide,
    Middle,
    Narrow,
}

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, review: &ReviewBox, state: &State, layout: &mut Layout) {
    let columns = usize::from(area.width);
    let tier = match columns {
        100.. => Tier::Wide,
        60.. => Tier::Middle,
        _ => Tier::Narrow,
    };
    let spent = clock(state.now.since_us(review.opened));
    let note = match tier {
        Tier::Wide => format!("{} of {} waiting   {spent}", review.place, review.waiting),
        Tier::Middle => format!("{} waiting   {spent}", review.waiting),
        Tier::Narrow => spent,
    };
    let mut title = Row::new();
    title.push(canvas.theme.glyphs.asks, Tint::of(Ink::Warn).bold());
    title.push(" approval needed", Tint::of(Ink::Text).bold());
    let body = screen(canvas, area, &title, &words(&note), layout);
    let height = usize::from(body.height);

    let top = if review.full { Vec::new() } else { about(review, tier, columns) };
    let bottom = decisions::below(review, tier, canvas, state, columns);
    let arguments = arguments::rows(canvas, review, tier, columns);
    for (y, row) in top.iter().enumerate() {
        canvas.row(body, 1, y, row);
    }
    let head_at = top.len();
    let header = usize::from(tier != Tier::Narrow);
    if tier != Tier::Narrow {
        arguments::head(canvas, body, head_at, review, tier);
    }
    // The arguments get what is left, and a row at the least.
    let room = height.saturating_sub(head_at + header + bottom.len()).max(1);
    let all = arguments.len() <= room;
    let page = if all { arguments.len() } else { room.saturating_sub(1).max(1) };
    let first = review.scroll.min(arguments.len().saturating_sub(page));
    let view = rows_of(body, head_at + header, page);
    for (y, row) in arguments.iter().skip(first).take(page).enumerate() {
        canvas.row(view, 0, y, row);
    }
    let drawn = usize::from(view.height).min(page);
    let end_visible = first + drawn >= arguments.len() && drawn > 0;
    let mut y = head_at + header + page;
    if !all {
        more(canvas, body, y, arguments.len() - first - page, review.end_seen || end_visible, tier);
        y += 1;
    }
    for row in &bottom {
        canvas.row(body, 1, y, row);
        y += 1;
    }
    if let ReviewStep::Reason(line) = &review.step {
        // The field stands on the last of those rows.
        field(canvas, body, 8, y.saturating_sub(1).min(height.saturating_sub(1)), line, true);
    }
    layout.list = ListLayout { lines: arguments.len(), page, top: first };
    layout.review = Some(ReviewLayout {
        call: review.call().clone(),
        revision: review.revision,
        lines: arguments.len(),
        page,
        top: first,
        end_visible,
    });
    let next = arguments::name(review.next_view());
    let keys: &[(&str, &str)] = match (&review.step, tier) {
        (ReviewStep::Reason(_), _) => &[("enter", "deny and say so")],
        (_, Tier::Wide) => &[
            ("{review.down}/{review.up}", "scroll"),
            ("{review.page_down}", "page"),
            ("{review.to_end}", "to its end"),
            ("{review.pretty}", next),
            ("{app.interrupt}", "stop the turn"),
        ],
        (_, Tier::Middle) => &[
            ("{review.down}/{review.up}", "scroll"),
            ("{review.to_end}", "to its end"),
            ("{review.pretty}", next),
            ("{app.interrupt}", "stop"),
        ],
        (_, Tier::Narrow) => &[("{review.down}/{review.up}", "scroll"), ("{review.to_end}", "end")],
    };
    let esc = match (&review.step, tier) {
        (ReviewStep::Reason(_) | ReviewStep::Rule { .. }, _) => "back",
        (ReviewStep::Choose | ReviewStep::Edited { .. }, Tier::Wide) => "decide later",
        (ReviewStep::Choose | ReviewStep::Edited { .. }, Tier::Middle | Tier::Narrow) => "later",
    };
    let back = if matches!(review.step, ReviewStep::Reason(_)) { "esc" } else { "{review.later}" };
    foot(canvas, area, keys, (back, esc));
}

/// What the call is, where it would go, why a person is asked.
fn about(review: &ReviewBox, tier: Tier, columns: usize) -> Vec<Row> {
    let r = &review.review;
    let tool = one(&r.tool.path());
    let line = one(&r.server_line);
    let bare = line.strip_prefix("stdio: ").unwrap_or(&line).to_owned();
    let server = one(r.tool.server.as_str());
    let mut out = Vec::new();
    match tier {
        Tier::Wide => {
            out.push(Row::new());
            let mut why = Row::new();
            why.push(&reason(review), Ink::Text);
            out.push(why);
            out.push(Row::new());
            let mut row = Row::new();
            row.push("tool     ", Ink::Dim);
            row.push(&cut(&tool, 24), Tint::of(Ink::Text).bold());
            row.pad_to(36.max(row.width() + 3));
            row.push("server   ", Ink::Dim);
            let trusted = format!("   trusted: {}", if r.trusted { "yes" } else { "no" });
            let room = columns.saturating_sub(row.width() + trusted.len() + 4);
            row.push(&cut(&format!("{server} ({line})"), room), Ink::Text);
            row.push(&trusted, if r.trusted { Ink::Good } else { Ink::Dim });
            out.push(row);
            let mut row = Row::new();
            row.push("hints    ", Ink::Dim);
            let claims = claims(review);
            row.push(if claims.is_empty() { "none" } else { &claims }, Ink::Text);
            row.push("    claimed by the server, not verified", Ink::Dim);
            out.push(row);
            if let Some(because) = r.because.as_deref().map(|said| one(&sentence(said))).filter(|b| !b.is_empty()) {
                let mut row = Row::new();
                row.push("because  ", Ink::Dim);
                row.push(&format!("\"{}\"", cut(because.trim(), columns.saturating_sub(44))), Ink::Text);
                row.push("    model text, not verified", Ink::Dim);
                out.push(row);
            }
            out.push(Row::new());
        }
        Tier::Middle => {
            let mut row = Row::new();
            row.push(&cut(&tool, 40), Tint::of(Ink::Text).bold());
            row.pad_to(25.max(row.width() + 3));
            row.push("server ", Ink::Dim);
            let room = columns.saturating_sub(row.width() + 3);
            row.push(&cut(&format!("{server} ({bare})"), room), Ink::Text);
            out.push(row);
            let mut row = Row::new();
            let claims = claims(review);
            let first = claims.split("   ").next().filter(|first| !first.is_empty());
            row.push(first.unwrap_or("no hints"), Ink::Text);
            row.push(" (claimed by the server, not verified)", Ink::Dim);
            out.push(row);
            if r.why != AskReason::Policy {
                let mut row = Row::new();
                row.push(&cut(&reason(review), columns.saturating_sub(2)), Ink::Warn);
                out.push(row);
            }
            out.push(Row::new());
        }
        Tier::Narrow => {
            let mut row = Row::new();
            row.push(&cut(&tool, columns.saturating_sub(2)), Tint::of(Ink::Text).bold());
            row.push("   ", Ink::Text);
            let room = columns.saturating_sub(row.width() + 2);
            row.push(&cut(&format!("({server}: {bare})"), room), Ink::Dim);
            out.push(row);
            let mut row = Row::new();
            let word = if r.claims.read_only == Some(true) {
                "read-only"
            } else if r.claims.destructive == Some(true) {
                "destructive"
            } else {
                "no hints"
            };
            row.push(&format!("{word}, claimed by server"), Ink::Dim);
            out.push(row);
            out.push(Row::new());
        }
    }
    if let Some(earlier) = &r.earlier {
        let mut row = Row::new();
        row.push(&format!("An equal call ended before: {}.", earlier.kind.word()), Ink::Warn);
        row.push("  o uses its result", Ink::Dim);
        let at = out.len().saturating_sub(1);
        out.insert(at, row);
    }
    out
}

/// Why a person is asked; safe.
fn reason(review: &ReviewBox) -> String {
    let claims = review.review.claims;
    match review.review.why {
        AskReason::Policy if claims.read_only == Some(true) => "The model wants to run a tool.".to_owned(),
        AskReason::Policy => "The model wants to run a tool that can change files.".to_owned(),
        AskReason::AfterUntrusted => {
            let names: Vec<String> = review.review.tainted_by.iter().map(|server| one(server.as_str())).collect();
            let whose = if names.is_empty() { String::new() } else { format!(" of {}", names.join(", ")) };
            format!("Untrusted content{whose} came in before this call: it asks once more.")
        }
        AskReason::Repeat => "An equal call ran before, or may have run.".to_owned(),
        AskReason::Unsaved => "Nothing can be saved now, and this tool is not known to be read-only.".to_owned(),
    }
}

fn claims(review: &ReviewBox) -> String {
    let claims = review.review.claims;
    let yes = |b: bool| if b { "yes" } else { "no" };
    [
        ("read-only", claims.read_only.filter(|b| *b)),
        ("destructive", claims.destructive),
        ("open world", claims.open_world),
    ]
    .into_iter()
    .filter_map(|(name, claim)| Some(format!("{name}: {}", yes(claim?))))
    .collect::<Vec<_>>()
    .join("   ")
}

fn more(canvas: &mut Canvas<'_>, body: Rect, y: usize, left: usize, seen: bool, tier: Tier) {
    let columns = usize::from(body.width);
    let glyph = canvas.theme.glyphs.ellipsis;
    let (at, gap) = if tier == Tier::Narrow { (2, 5) } else { (4, 7) };
    let text = if left == 0 {
        "the end".to_owned()
    } else {
        format!("{left} more {}", if left == 1 { "line" } else { "lines" })
    };
    canvas.put(body, at, y, glyph, Ink::Dim);
    canvas.put(body, gap, y, &text, Ink::Text);
    let (note, right) = match tier {
        Tier::Wide if !seen => ("{review.down}/{review.up} scroll, must reach the end", columns),
        Tier::Wide => ("{review.down}/{review.up} scroll", columns - 20),
        Tier::Middle => ("{review.down}/{review.up} scroll", columns - 6),
        Tier::Narrow => ("{review.down}/{review.up} scroll", columns.saturating_sub(7)),
    };
    canvas.put_right(body, right, y, &canvas.key(note).unwrap_or_default(), if seen { Ink::Dim } else { Ink::Warn });
}
