//! The review: one call, with the exact bytes that would be sent.
//!
//! # Invariants
//! - Every byte of the arguments is in the rows that are scrolled, what cannot be seen is written out.
//! - The end counts as seen only when its last row was drawn.

use ratatui::layout::Rect;
use serde_json::value::RawValue;
use similar::{ChangeTag, TextDiff};

use super::{field, foot, heading, one, screen, words};
use crate::app::{Beside, Guide, Layout, ListLayout, ReviewBox, ReviewLayout, ReviewStep, State};
use crate::chat::AskReason;
use crate::text::{cut, hidden, visible, width};
use crate::ui::canvas::{Canvas, rows_of};
use crate::ui::figures::{clock, grouped};
use crate::ui::ink::{Ink, Row, Tint};
use crate::ui::markdown::wrap_row;

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
    let bottom = below(review, tier, canvas, state, columns);
    let arguments = arguments(review, tier, columns);
    for (y, row) in top.iter().enumerate() {
        canvas.row(body, 1, y, row);
    }
    let head_at = top.len();
    let header = usize::from(tier != Tier::Narrow);
    if tier != Tier::Narrow {
        argument_head(canvas, body, head_at, review, tier);
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
    let keys: &[(&str, &str)] = match (&review.step, tier) {
        (ReviewStep::Reason(_), _) => &[("enter", "deny and say so")],
        (_, Tier::Wide) if matches!(review.beside, Beside::Stands(_)) => {
            let other = if review.differs { "exact bytes" } else { "difference" };
            &[("j/k", "scroll"), ("space", "page"), ("f", "to its end"), ("v", other), ("^C", "stop the turn")]
        }
        (_, Tier::Wide) => {
            &[("j/k", "scroll"), ("space", "page"), ("f", "to its end"), ("p", "pretty"), ("^C", "stop the turn")]
        }
        (_, Tier::Middle) => &[("j/k", "scroll"), ("f", "to its end"), ("^C", "stop")],
        (_, Tier::Narrow) => &[("j/k", "scroll"), ("f", "end")],
    };
    let esc = match (&review.step, tier) {
        (ReviewStep::Reason(_) | ReviewStep::Rule { .. }, _) => "back",
        (ReviewStep::Choose | ReviewStep::Edited { .. }, Tier::Wide) => "decide later",
        (ReviewStep::Choose | ReviewStep::Edited { .. }, Tier::Middle | Tier::Narrow) => "later",
    };
    foot(canvas, area, keys, ("esc", esc));
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
            if let Some(because) = r.because.as_deref().map(sentence).filter(|b| !b.is_empty()) {
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

/// What the model said, without the marks of markdown and from the beginning of a sentence on; safe.
fn sentence(because: &str) -> String {
    let plain = crate::ui::markdown::plain(because);
    let words = one(&plain);
    let words = words.trim();
    let begun = words.chars().next().is_some_and(|c| c.is_lowercase() || c.is_ascii_punctuation() && c != '"');
    let next = words.match_indices(['.', '!', '?', ':']).find_map(|(at, mark)| {
        let rest = words[at + mark.len()..].strip_prefix(' ')?.trim_start();
        (!rest.is_empty()).then_some(rest)
    });
    next.filter(|_| begun).unwrap_or(words).to_owned()
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

/// The rows of a new text beside the file that it would replace: every line of it, and those that would go. Unchanged
/// lines are numbered once, as they will be; a line that goes has the number that it has now.
fn difference(before: Option<&str>, after: &str, indent: &Row, room: usize) -> (Vec<Row>, usize, usize) {
    let old = before.unwrap_or_default();
    let lines = TextDiff::from_lines(old, after);
    let (mut added, mut removed) = (0, 0);
    let mut rows = Vec::new();
    for change in lines.iter_all_changes() {
        let (sign, ink, at) = match change.tag() {
            ChangeTag::Equal => (" ", Ink::Dim, change.new_index()),
            ChangeTag::Insert => ("+", Ink::Good, change.new_index()),
            ChangeTag::Delete => ("-", Ink::Bad, change.old_index()),
        };
        added += usize::from(sign == "+");
        removed += usize::from(sign == "-");
        let mut first = indent.clone();
        first.push(&format!("{:>4} ", at.map_or(0, |at| at + 1)), Ink::Dim);
        first.push(sign, Tint::of(ink).bold());
        first.push(" ", Ink::Text);
        let mut rest = Row::new();
        rest.pad_to(first.width());
        let line = change.value();
        let (line, end) = match line.strip_suffix('\n') {
            Some(line) => (line, ""),
            None => (line, " (no line end)"),
        };
        let mut row = Row::new();
        row.push_lines(&visible(line), Tint::of(if sign == " " { Ink::Text } else { ink }));
        row.push(end, Ink::Dim);
        rows.extend(wrap_row(&escaped(&row), room, &first, &rest));
    }
    (rows, added, removed)
}

fn argument_head(canvas: &mut Canvas<'_>, body: Rect, y: usize, review: &ReviewBox, tier: Tier) {
    let columns = usize::from(body.width);
    let bytes = grouped(review.shown().len() as u64);
    let yours = matches!(review.step, ReviewStep::Edited { .. });
    canvas.row(body, 1, y, &heading("ARGUMENTS"));
    let differs = review.difference().is_some();
    let (long, short) = match review.pretty {
        true => (
            format!("as a tree, of {bytes} B; p shows the exact bytes"),
            format!("a tree of {bytes} B; p: exact bytes"),
        ),
        false if differs => (
            format!("beside the file on disk, every line of {bytes} B; v shows the exact bytes"),
            format!("{bytes} B; v: exact bytes"),
        ),
        false if yours => {
            let text = format!("yours, in place of the model's, {bytes} B");
            (text.clone(), text)
        }
        false => (
            format!("exact bytes that will be sent, {bytes} B, nothing elided"),
            format!("exact, {bytes} B, nothing elided"),
        ),
    };
    let count = fields(review.shown()).map_or(0, |f| f.len());
    let count = match count {
        0 => "no arguments".to_owned(),
        1 => "one argument shown".to_owned(),
        2 => "both arguments shown".to_owned(),
        n => format!("all {n} arguments shown"),
    };
    // What stands at the right is left whole: the words before it are the shorter ones where they would meet.
    let right = if tier == Tier::Wide { 12 } else { 5 };
    let room = columns.saturating_sub(right + width(&count) + 2 + 12);
    let text = if tier == Tier::Wide && width(&long) <= room { long } else { short };
    let end = canvas.put(body, 12, y, &text, Ink::Dim);
    if tier == Tier::Wide {
        canvas.put(body, columns.saturating_sub(9), y, "[p]retty", Ink::Dim);
    }
    if end + width(&count) + 2 <= columns.saturating_sub(right) {
        canvas.put_right(body, columns.saturating_sub(right), y, &count, Ink::Dim);
    }
}

/// Top-level members in their order, each value in its very bytes. None where it is no object.
fn fields(arguments: &str) -> Option<Vec<(String, Box<RawValue>)>> {
    struct Members;
    impl<'de> serde::de::Visitor<'de> for Members {
        type Value = Vec<(String, Box<RawValue>)>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut out = Vec::new();
            while let Some(member) = map.next_entry()? {
                out.push(member);
            }
            Ok(out)
        }
    }
    let mut reader = serde_json::Deserializer::from_str(arguments);
    serde::Deserializer::deserialize_map(&mut reader, Members).ok()
}

/// The rows of the arguments: a member a row, wrapped. A string without escapes stands without its quotes, every other
/// value in its bytes.
fn arguments(review: &ReviewBox, tier: Tier, columns: usize) -> Vec<Row> {
    let text = review.shown();
    let none = Row::new();
    let indent = if tier == Tier::Narrow { Row::label(" ", Ink::Text) } else { Row::label("   ", Ink::Text) };
    let room = columns.saturating_sub(1);
    let plain = |text: &str| {
        let row = Row::of_lines(&visible(text), Ink::Text);
        wrap_row(&escaped(&row), room, &indent, &indent)
    };
    if review.pretty {
        let pretty = serde_json::from_str::<serde_json::Value>(text)
            .ok()
            .and_then(|value| serde_json::to_string_pretty(&value).ok());
        return plain(pretty.as_deref().unwrap_or(text));
    }
    let Some(fields) = fields(text) else { return plain(text) };
    if fields.is_empty() {
        return plain(text);
    }
    let keys = fields.iter().map(|(key, _)| width(visible(key).as_str())).max().unwrap_or(0);
    let column = if tier == Tier::Narrow { 6 } else { 9 }.max((keys + 2).min(room / 3));
    let mut out = Vec::new();
    let differs = review.difference();
    for (key, value) in &fields {
        if let Some((file, field, text)) = differs.as_ref().filter(|(_, field, _)| field == key) {
            let (rows, added, removed) = difference(file.text.as_deref(), text, &indent, room);
            let mut head = indent.clone();
            head.push(field, Ink::Dim);
            head.pad_to(indent.width() + column);
            head.push(&format!("+{added} -{removed}"), Tint::of(Ink::Text).bold());
            head.push(if file.text.is_some() { " against the file on disk" } else { ", a new file" }, Ink::Dim);
            out.push(head);
            out.extend(rows);
            continue;
        }
        let mut first = indent.clone();
        // A key too long for its column is written out in full above its value.
        let key = visible(key);
        let key = Row::of(&key.one_line(), Ink::Dim);
        if key.width() + 2 > column {
            out.extend(wrap_row(&escaped(&key), room, &indent, &indent));
        } else {
            first.append(&escaped(&key));
        }
        first.pad_to(indent.width() + column);
        let mut rest = Row::new();
        rest.pad_to(indent.width() + column);
        let raw = value.get();
        let bare =
            raw.strip_prefix('"').and_then(|r| r.strip_suffix('"')).filter(|r| !r.contains('\\') && !r.is_empty());
        let row = Row::of_lines(&visible(&at_line_ends(bare.unwrap_or(raw))), Ink::Text);
        out.extend(wrap_row(&escaped(&row), room, &first, &rest));
    }
    if out.is_empty() { vec![none] } else { out }
}

/// The same bytes, with a new row after each escaped line end, as the text will have one there.
pub(super) fn at_line_ends(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len() + 64);
    let mut escaped = false;
    for c in raw.chars() {
        out.push(c);
        if escaped && c == 'n' {
            out.push('\n');
        }
        escaped = c == '\\' && !escaped;
    }
    out
}

/// What was invisible and is written out as `<U+202E>` or `<ESC>`, in the ink of a warning.
pub(super) fn escaped(row: &Row) -> Row {
    let mut out = row.clone();
    for (at, _) in row.text().match_indices('<') {
        let Some(end) = row.text()[at..].find('>') else { break };
        let name = &row.text()[at + 1..at + end];
        let named =
            name.starts_with("U+") || (2..=3).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_uppercase());
        if named {
            out.mark(at..at + end + 1, Ink::Warn);
        }
    }
    out
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
        Tier::Wide if !seen => ("j/k scroll, must reach the end", columns),
        Tier::Wide => ("j/k scroll", columns - 20),
        Tier::Middle => ("j/k scroll", columns - 6),
        Tier::Narrow => ("j/k scroll", columns.saturating_sub(7)),
    };
    canvas.put_right(body, right, y, note, if seen { Ink::Dim } else { Ink::Warn });
}

/// What stands under the arguments: invisible characters, the decisions, why a key did nothing.
fn below(review: &ReviewBox, tier: Tier, canvas: &Canvas<'_>, state: &State, columns: usize) -> Vec<Row> {
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
            row.push("Deny, and tell the model why (empty says nothing):", Ink::Text);
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
            out.push(row);
            let mut row = Row::new();
            key(&mut row, tier, "A");
            row.push(" add it and run this call", Ink::Text);
            row.push(if tier == Tier::Narrow { "" } else { "     esc back" }, Ink::Dim);
            out.push(row);
        }
    }
    let guide = state.reviewed.guide(&review.review.tool);
    let said = match (&review.refused, &review.step) {
        (Some(why), _) => Some((why.to_string(), Ink::Warn)),
        (None, ReviewStep::Edited { fault: Some(fault), .. }) => Some((one(fault), Ink::Bad)),
        (None, ReviewStep::Choose) if guide == Some(Guide::First) => Some((
            "Nothing has run yet. y runs it this once; n tells the model no; esc leaves it waiting.".to_owned(),
            Ink::Accent,
        )),
        (None, ReviewStep::Choose) if guide == Some(Guide::Often) => {
            Some((format!("s allows {} until you quit.", one(&review.review.tool.path())), Ink::Accent))
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

fn key(row: &mut Row, tier: Tier, letter: &str) {
    let (open, close) = if tier == Tier::Narrow { ("[", "]") } else { ("[ ", " ]") };
    row.push(open, Ink::Dim);
    row.push(letter, Tint::of(Ink::Accent).bold());
    row.push(close, Ink::Dim);
}

fn decisions(review: &ReviewBox, tier: Tier, canvas: &Canvas<'_>, columns: usize, out: &mut Vec<Row>) {
    let session = if columns < 70 { "this session" } else { "allow for this session" };
    let always = format!("always{}", canvas.theme.glyphs.ellipsis);
    let allow_always = format!("always allow{}", canvas.theme.glyphs.ellipsis);
    type Key<'a> = (usize, &'a str, &'a str);
    // Column, letter, words; of each row of decisions.
    let rows: [Vec<Key<'_>>; 3] = match tier {
        Tier::Wide => [
            vec![(2, "n", "deny"), (24, "y", "allow once"), (48, "s", "allow this tool for this session")],
            vec![(2, "d", "deny + say why"), (24, "e", "edit arguments"), (48, "A", &allow_always)],
            vec![],
        ],
        Tier::Middle => [
            vec![(2, "n", "deny"), (19, "y", "allow once"), (40, "s", session)],
            vec![(2, "d", "deny+why"), (19, "e", "edit args"), (40, "A", &allow_always)],
            vec![],
        ],
        Tier::Narrow => [
            vec![(0, "n", "deny"), (17, "y", "allow once")],
            vec![(0, "s", "session"), (17, "d", "deny + why")],
            vec![(0, "e", "edit args"), (17, "A", &always)],
        ],
    };
    for keys in rows.iter().filter(|keys| !keys.is_empty()) {
        let mut row = Row::new();
        for (at, letter, words) in keys {
            row.pad_to(*at);
            key(&mut row, tier, letter);
            row.push(&format!(" {words}"), Ink::Text);
            if tier == Tier::Wide && *letter == "A" {
                row.push("  asks again, shows the rule", Ink::Dim);
            }
        }
        out.push(row);
    }
    if review.review.earlier.is_some() && tier != Tier::Narrow {
        let mut row = Row::label("  ", Ink::Text);
        key(&mut row, tier, "o");
        row.push(" use the result of the earlier call", Ink::Text);
        out.push(row);
    }
}
