//! What changed in the definitions of a server's tools: every line of them, what is invisible written out.

use ratatui::layout::Rect;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::review::escaped;
use super::{one, scrolled};
use crate::app::Layout;
use crate::chat::{Difference, ServerName};
use crate::text::{hidden, visible};
use crate::ui::canvas::{Canvas, rows_of};
use crate::ui::figures::{counted, grouped};
use crate::ui::ink::{Ink, Row, Tint};
use crate::ui::markdown::wrap_row;

pub(super) fn draw(
    canvas: &mut Canvas<'_>,
    body: Rect,
    server: &ServerName,
    shown: &[Difference],
    scroll: usize,
    layout: &mut Layout,
) {
    let width = usize::from(body.width).saturating_sub(4).max(1);
    let mut head = Row::new();
    head.push(&one(server.as_str()), Tint::of(Ink::Text).bold());
    let count = counted(shown.len() as u64, "definition differs", "definitions differ");
    head.push(&format!("   {count} from what was pinned"), Ink::Dim);
    canvas.row(body, 1, 0, &head);
    let mut rows = Vec::new();
    for difference in shown {
        if !rows.is_empty() {
            rows.push(Row::new());
        }
        let mut title = Row::new();
        title.push(&name(difference), Tint::of(Ink::Text).bold());
        title.push("   ", Ink::Text);
        title.push(&summary(difference), Ink::Warn);
        rows.extend(wrap_row(&title, width, &Row::new(), &Row::label("  ", Ink::Text)));
        rows.extend(lines(difference, width));
    }
    let view = rows_of(body, 2, usize::from(body.height).saturating_sub(2));
    scrolled(canvas, view, &rows, scroll, 2, layout);
}

/// The tool's name; safe.
pub(super) fn name(difference: &Difference) -> String {
    if difference.tool.tool.is_empty() { "(instructions)".to_owned() } else { one(&difference.tool.tool) }
}

/// What changed, in a few words: `description changed (+212 characters, 40 of them invisible)`.
pub(super) fn summary(difference: &Difference) -> String {
    let hidden_after = hidden(&difference.after).len();
    let invisible = |count: usize| if count == 0 { String::new() } else { format!(", {count} of them invisible") };
    let Some(before) = &difference.before else {
        let what = if difference.tool.tool.is_empty() { "new" } else { "new tool" };
        let note = match hidden_after {
            0 => String::new(),
            count => format!(", {}", counted(count as u64, "invisible character", "invisible characters")),
        };
        return format!("{what}{}{note}", destructive(&difference.after));
    };
    let (old, new) = (before.chars().count(), difference.after.chars().count());
    let size = if new >= old {
        format!("+{}", grouped((new - old) as u64))
    } else {
        format!("-{}", grouped((old - new) as u64))
    };
    let more = hidden_after.saturating_sub(hidden(before).len());
    let fields = fields(before, &difference.after);
    let what = if fields.is_empty() { "changed".to_owned() } else { format!("{} changed", fields.join(", ")) };
    format!("{what} ({size} characters{})", invisible(more))
}

fn destructive(definition: &str) -> &'static str {
    let claims = serde_json::from_str::<Value>(definition).ok();
    match claims.as_ref().and_then(|value| value.pointer("/annotations/destructiveHint")).and_then(Value::as_bool) {
        Some(true) => ", destructive: yes",
        Some(false) => ", destructive: no",
        None => "",
    }
}

/// The members of a definition that differ; safe.
fn fields(before: &str, after: &str) -> Vec<String> {
    let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
    let (Some(Value::Object(before)), Some(Value::Object(after))) = (parse(before), parse(after)) else {
        return Vec::new();
    };
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    names.filter(|name| before.get(*name) != after.get(*name)).map(|name| one(name)).collect()
}

/// The definition over several lines: members on lines of their own, and the lines of its texts too.
fn spread(definition: &str) -> String {
    let value = serde_json::from_str::<Value>(definition).ok();
    let pretty = match value {
        Some(Value::String(text)) => text,
        Some(value) => serde_json::to_string_pretty(&value).unwrap_or_else(|_| definition.to_owned()),
        None => definition.to_owned(),
    };
    crate::app::at_line_ends(&pretty)
}

/// Every line of both definitions: taken away, added, or as it was.
fn lines(difference: &Difference, width: usize) -> Vec<Row> {
    let (before, after) = (difference.before.as_deref().map(spread).unwrap_or_default(), spread(&difference.after));
    let diff = TextDiff::from_lines(&before, &after);
    let mut out = Vec::new();
    for change in diff.iter_all_changes() {
        let (sign, ink) = match change.tag() {
            ChangeTag::Delete => ("- ", Ink::Bad),
            ChangeTag::Insert => ("+ ", Ink::Good),
            ChangeTag::Equal => ("  ", Ink::Dim),
        };
        let text = change.value();
        let text = text.strip_suffix('\n').unwrap_or(text);
        let row = escaped(&Row::of(&visible(text).one_line(), ink));
        let (first, rest) = (Row::label(sign, Tint::of(ink).bold()), Row::label("  ", ink));
        let rows = wrap_row(&row, width, &first, &rest);
        if rows.is_empty() {
            out.push(first);
        }
        out.extend(rows);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::ToolRef;

    fn difference(before: Option<&str>, after: &str) -> Difference {
        Difference { tool: ToolRef::new("docs", "search"), before: before.map(Into::into), after: after.into() }
    }

    #[test]
    fn what_changed_is_named_and_counted() {
        let check = |before: Option<&str>, after: &str, expect: &str| {
            assert_eq!(summary(&difference(before, after)), expect);
        };
        check(
            Some(r#"{"name":"search","description":"Finds."}"#),
            "{\"name\":\"search\",\"description\":\"Finds.\u{e0041}\u{e0042}\"}",
            "description changed (+2 characters, 2 of them invisible)",
        );
        check(None, r#"{"annotations":{"destructiveHint":true}}"#, "new tool, destructive: yes");
    }

    #[test]
    fn every_line_is_there_and_nothing_is_invisible() {
        let old = r#"{"description":"One.\nTwo."}"#;
        let rows = lines(&difference(Some(old), "{\"description\":\"One.\\nTwo\u{202e}.\"}"), 60);
        let text: Vec<&str> = rows.iter().map(Row::text).collect();
        assert_eq!(text, ["  {", r#"    "description": "One.\n"#, r#"- Two.""#, r#"+ Two<U+202E>.""#, "  }"]);
    }
}
