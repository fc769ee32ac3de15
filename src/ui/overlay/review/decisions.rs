//! What stands under the arguments of a review: what cannot be seen, the decisions, why a key did nothing.

use super::{Tier, one};
use crate::app::{Guide, ReviewBox, ReviewStep, State};
use crate::text::{hidden, visible};
use crate::ui::canvas::Canvas;
use crate::ui::ink::{Ink, Row, Tint};
use crate::ui::markdown::wrap_row;

/// What stands under the arguments: invisible characters, the decisions, why a key did nothing.
pub(super) fn below(review: &ReviewBox, tier: Tier, canvas: &Canvas<'_>, state: &State, columns: usize) -> Vec<Row> {
    let mut out = Vec::new();
    let found = hidden(review.shown());
    if let Some((at, c)) = found.first() {
        if tier != Tier::Narrow {
            out.push(Row::new());
        }
        let name = one(visible(&c.to_string()).as_str());
        let mut row = Row::new();
        row.push("!", Tint::of(Ink::Warn).bold());
        let count = if found.len() == 1 {
            "1 invisible character".to_owned()
        } else {
            format!("{} invisible characters", found.len())
        };
        let first = if found.len() == 1 { "" } else { "first " };
        let text = match tier {
            Tier::Wide => format!("  {count}: {first}{} at byte {at}, shown as {name}", name.trim_matches(['<', '>'])),
            Tier::Middle => format!("  {count}: {first}{name} at byte {at}"),
            Tier::Narrow => format!("  {name} at byte {at}"),
        };
        row.push(&text, Ink::Warn);
        out.push(row);
    }
    out.push(Row::new());
    if tier == Tier::Wide {
        out.push(Row::new());
    }
    match &review.step {
        ReviewStep::Choose | ReviewStep::Edited { .. } => decisions(review, tier, canvas, columns, &mut out),
        ReviewStep::Reason(_) => {
            let mut row = Row::new();
            let narrow = tier == Tier::Narrow;
            let asks = if narrow {
                "Deny, and say why (or nothing):"
            } else {
                "Deny, and tell the model why (empty says nothing):"
            };
            row.push(asks, Ink::Text);
            out.push(row);
            let mut row = Row::new();
            row.push("why  >", Ink::Accent);
            out.push(row);
        }
        ReviewStep::Rule { rule } => {
            let mut row = Row::new();
            row.push("This rule would be added:", Ink::Text);
            out.push(row);
            let mut row = Row::label("  ", Ink::Text);
            row.push(&one(visible(rule).as_str()), Tint::of(Ink::Accent).bold());
            let indent = Row::label("  ", Ink::Text);
            out.extend(wrap_row(&row, columns.saturating_sub(2), &Row::new(), &indent));
            let mut row = Row::new();
            key(&mut row, tier, canvas, "{review.always}");
            row.push(" add it and run this call", Ink::Text);
            let back = canvas.key("     {review.later} back").filter(|_| tier != Tier::Narrow);
            row.push(&back.unwrap_or_default(), Ink::Dim);
            out.push(row);
        }
    }
    let guide = state.reviewed.guide(&review.review.tool);
    let said = match (&review.refused, &review.step) {
        (Some(why), _) => Some((canvas.keys.tell(why).into_owned(), Ink::Warn)),
        (None, ReviewStep::Edited { fault: Some(fault), .. }) => Some((one(fault), Ink::Bad)),
        (None, ReviewStep::Choose) if guide == Some(Guide::First) => Some((
            canvas
                .keys
                .tell(
                    "Nothing has run yet. {review.once} runs it this once; {review.deny} tells the model no; \
                     {review.later} leaves it waiting.",
                )
                .into_owned(),
            Ink::Accent,
        )),
        (None, ReviewStep::Choose) if guide == Some(Guide::Often) => {
            let tool = one(&review.review.tool.path());
            Some((format!("{} allows {tool} until you quit.", canvas.keys.tell("{review.session}")), Ink::Accent))
        }
        (None, ReviewStep::Choose | ReviewStep::Edited { .. }) => match tier {
            Tier::Wide => Some((
                "Keys are ignored for 0.35 s after this opens and while you are typing. Enter alone never approves."
                    .to_owned(),
                Ink::Dim,
            )),
            Tier::Middle => Some(("Enter alone never approves.".to_owned(), Ink::Dim)),
            Tier::Narrow => None,
        },
        (None, ReviewStep::Reason(_) | ReviewStep::Rule { .. }) => None,
    };
    if let Some((text, ink)) = said
        && !matches!(review.step, ReviewStep::Reason(_))
    {
        out.push(Row::new());
        let indent = if tier == Tier::Narrow { Row::new() } else { Row::label("  ", Ink::Text) };
        let mut row = Row::new();
        row.push(&text, ink);
        out.extend(wrap_row(&row, columns.saturating_sub(2), &indent, &indent));
    }
    out
}

/// A key in its brackets. False where it has none, and nothing was written.
fn key(row: &mut Row, tier: Tier, canvas: &Canvas<'_>, name: &str) -> bool {
    let Some(letter) = canvas.key(name) else { return false };
    let (open, close) = if tier == Tier::Narrow { ("[", "]") } else { ("[ ", " ]") };
    row.push(open, Ink::Dim);
    row.push(&letter, Tint::of(Ink::Accent).bold());
    row.push(close, Ink::Dim);
    true
}

fn decisions(review: &ReviewBox, tier: Tier, canvas: &Canvas<'_>, columns: usize, out: &mut Vec<Row>) {
    let session = if columns < 70 { "this session" } else { "allow for this session" };
    let always = format!("always{}", canvas.theme.glyphs.ellipsis);
    let allow_always = format!("always allow{}", canvas.theme.glyphs.ellipsis);
    type Key<'a> = (usize, &'static str, &'a str);
    // Column, its key's name, words; of each row of decisions.
    let rows: [Vec<Key<'_>>; 3] = match tier {
        Tier::Wide => [
            vec![
                (2, "{review.deny}", "deny"),
                (24, "{review.once}", "allow once"),
                (48, "{review.session}", "allow this tool for this session"),
            ],
            vec![
                (2, "{review.deny_with_reason}", "deny + say why"),
                (24, "{review.edit}", "edit arguments"),
                (48, "{review.always}", &allow_always),
            ],
            vec![],
        ],
        Tier::Middle => [
            vec![(2, "{review.deny}", "deny"), (19, "{review.once}", "allow once"), (40, "{review.session}", session)],
            vec![
                (2, "{review.deny_with_reason}", "deny+why"),
                (19, "{review.edit}", "edit args"),
                (40, "{review.always}", &allow_always),
            ],
            vec![],
        ],
        Tier::Narrow => [
            vec![(0, "{review.deny}", "deny"), (17, "{review.once}", "allow once")],
            vec![(0, "{review.session}", "session"), (17, "{review.deny_with_reason}", "deny + why")],
            vec![(0, "{review.edit}", "edit args"), (17, "{review.always}", &always)],
        ],
    };
    for keys in rows.iter().filter(|keys| !keys.is_empty()) {
        let mut row = Row::new();
        for (at, letter, words) in keys {
            row.pad_to(*at);
            if !key(&mut row, tier, canvas, letter) {
                continue;
            }
            row.push(&format!(" {words}"), Ink::Text);
            if tier == Tier::Wide && *letter == "{review.always}" {
                row.push("  asks again, shows the rule", Ink::Dim);
            }
        }
        out.push(row);
    }
    if review.review.earlier.is_some() && tier != Tier::Narrow {
        let mut row = Row::label("  ", Ink::Text);
        if key(&mut row, tier, canvas, "{review.earlier}") {
            row.push(" use the result of the earlier call", Ink::Text);
            out.push(row);
        }
    }
}
