//! What `millrace mcp` prints: servers, tools and results, for people and as JSON.

use std::io::{IsTerminal as _, Write as _};

use serde_json::{Value, json};

use crate::chat::ToolRef;
use crate::cli::window;
use crate::config::{Consent, ServerEntry, Source};
use crate::mcp::SignIns;
use crate::text::{cut, sanitize, visible, width};
use crate::tools::wire_name;

use super::visit::Visit;

pub(super) fn row(entry: &ServerEntry, sign_ins: &SignIns) -> Value {
    let (source, file) = match &entry.source {
        Source::User(file) => ("user", Some(file)),
        Source::Project(file) => ("project", Some(file)),
        Source::File(file) => ("file", Some(file)),
        Source::Program => ("program", None),
    };
    let sign_in = sign_ins.state(entry).ok().flatten().map(|state| {
        json!({
            "issuer": state.issuer, "scopes": state.scopes, "until_ms": state.until_ms, "renews": state.renews,
        })
    });
    json!({
        "server": entry.name.as_str(), "line": entry.line(), "trust": entry.trust, "disabled": entry.disabled,
        "needs_consent": entry.consent == Consent::NeedsPerson, "source": source, "file": file,
        "sign_in": sign_in,
    })
}

pub(super) fn tool_rows(visit: &Visit) -> impl Iterator<Item = Value> + '_ {
    let server = visit.status.server.as_str();
    visit.tools.iter().map(move |tool| {
        let name = tool.get("name").and_then(Value::as_str);
        let wire = name.map(|name| wire_name(&ToolRef::new(server, name)));
        json!({"server": server, "tool": name, "wire_name": wire, "definition": tool})
    })
}

pub(super) fn tool_line(server: &str, tool: &Value) -> String {
    let Some(name) = tool.get("name").and_then(Value::as_str) else {
        return format!("{server}/?  not a tool: {tool}");
    };
    let says = |hint: &str| tool.pointer(&format!("/annotations/{hint}")).and_then(Value::as_bool);
    let claim = match (says("readOnlyHint"), says("destructiveHint")) {
        (Some(true), _) => "  [says: only reads]",
        (_, Some(true)) => "  [says: can destroy]",
        _ => "",
    };
    let description = tool.get("description").and_then(Value::as_str).unwrap_or_default();
    let first = description.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    format!("{server}/{name}{claim}  {}", first.trim())
}

pub(super) fn found(visit: &Visit) -> String {
    let status = &visit.status;
    let speaks = status.speaks().unwrap_or_else(|| "MCP ?".to_owned());
    let count = visit.tools.len();
    let tools = if count == 1 { "1 tool".to_owned() } else { format!("{count} tools") };
    format!("{}  ready in {} ms, {tools}, {speaks}", status.server.as_str(), visit.ms)
}

/// A result for a person: its texts, and what else there is by its kind and size.
pub(super) fn readable(result: &Value) -> String {
    let Some(content) = result.get("content").and_then(Value::as_array) else {
        return serde_json::to_string_pretty(result).unwrap_or_default();
    };
    let mut parts: Vec<String> = content
        .iter()
        .map(|block| {
            let text = |key: &str| block.get(key).and_then(Value::as_str);
            match (text("type"), text("text"), text("data")) {
                (Some("text"), Some(text), _) => text.to_owned(),
                (Some(kind @ ("image" | "audio")), _, Some(data)) => {
                    let mime = text("mimeType").unwrap_or("unknown");
                    format!("[{kind}: {mime}, about {} bytes]", data.len() / 4 * 3)
                }
                _ => serde_json::to_string_pretty(block).unwrap_or_default(),
            }
        })
        .collect();
    if parts.is_empty()
        && let Some(structured) = result.get("structuredContent")
    {
        parts.push(serde_json::to_string_pretty(structured).unwrap_or_default());
    }
    parts.join("\n")
}

/// `182 B`, `6.1 KB`; a KB is 1024 bytes.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 3] = ["KB", "MB", "GB"];
    let mut value = count as f64;
    let mut unit = "B";
    for next in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if unit == "B" { format!("{count} B") } else { format!("{value:.1} {unit}") }
}

/// Text of another's making in one line, with what nobody sees written out: a command is judged by it.
pub(super) fn shown(text: &str) -> String {
    visible(text).one_line().into_string()
}

/// One text on stdout: sanitised where a terminal reads it, as it is where a program does.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that has closed the pipe wants no more; that is no error.
    let _ = if out.is_terminal() { writeln!(out, "{}", sanitize(text)) } else { writeln!(out, "{text}") };
}

/// The same as one line of a list, which a terminal shows as far as it is wide; its tail is never cut.
pub(super) fn say_line(text: &str, tail: &str) {
    let mut out = std::io::stdout().lock();
    let columns = window::size().map(|(columns, _)| usize::from(columns)).filter(|_| out.is_terminal());
    let _ = match columns {
        Some(columns) => {
            let tail = sanitize(tail).one_line();
            let room = columns.saturating_sub(width(tail.as_str())).max(columns / 2);
            writeln!(out, "{}{tail}", cut(sanitize(text).one_line().as_str(), room))
        }
        None => writeln!(out, "{text}{tail}"),
    };
}

/// The first lines of a longer text; whoever wants the rest finds it elsewhere.
pub(super) fn beginning(text: &str) -> String {
    const LINES: usize = 6;
    let mut lines: Vec<&str> = text.trim().lines().take(LINES).collect();
    let left = text.trim().lines().count() - lines.len();
    let more = format!("… and {left} more lines, which the server screen shows");
    if left > 0 {
        lines.push(&more);
    }
    if lines.len() > 1 {
        // All of it below what it is called.
        lines.insert(0, "");
    }
    lines.join("\n  ")
}

pub(super) fn say_json(value: &Value) {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    let _ = writeln!(std::io::stdout(), "{}", escaped(&text));
}

/// JSON with control and format characters of its strings escaped, so that it is harmless on a terminal too.
pub(super) fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        let hidden = matches!(c, '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
        if hidden {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_readable() {
        let result = json!({"content": [
            {"type": "text", "text": "hello"},
            {"type": "image", "mimeType": "image/png", "data": "AAAA"},
        ]});
        assert_eq!(readable(&result), "hello\n[image: image/png, about 3 bytes]");
        assert_eq!(readable(&json!({"content": [], "structuredContent": 7})), "7");
        assert_eq!(readable(&json!("odd")), "\"odd\"");
    }

    #[test]
    fn hidden_characters_are_escaped_in_json() {
        assert_eq!(escaped("\"a\u{202e}b\u{9b}c\u{e0041}\""), "\"a\\u202eb\\u009bc\\udb40\\udc41\"");
    }
}
