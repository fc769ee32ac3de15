//! From what a server answered to what the model is told.
//!
//! # Invariants
//! - Anything that came makes an outcome; nothing of it is taken for an instruction or fetched.
//! - What the model is told holds no hidden characters, no base64, and at most the limit's bytes, cut between characters.
//! - What was left out of that is kept whole beside it, up to its own limit.

use std::ops::Range;

use serde_json::{Map, Value};

use crate::chat::{Limits, OutcomeKind, ToolOutcome};
use crate::text;

use super::problem::Problem;
use super::schema;
use super::snapshot::Tool;

/// Nodes and bytes of text of a result that is small.
const SMALL_NODES: usize = 1024;
const SMALL_TEXT: usize = 16 * 1024;

/// Whether [`shape_result`] is a matter of microseconds for this answer.
#[must_use]
pub fn shapes_quickly(tool: &Tool, raw: &Value) -> bool {
    !tool.has_output_schema() && schema::has_at_most(raw, SMALL_NODES, SMALL_TEXT)
}

/// Makes an outcome of a `CallToolResult`, or of whatever a server sent in its place. `Done`, or `Failed` where the
/// server says `isError`. `sent` is true; `ms` is the caller's to fill in. Checks structured content against the tool's
/// output schema, so a hostile one may take its time: unless [`shapes_quickly`], run it off the engine's task.
#[must_use]
pub fn shape_result(tool: &Tool, raw: &Value, limits: &Limits) -> ToolOutcome {
    let mut notes = Vec::new();
    let result = Parts::of(raw, &mut notes);
    let failed = raw.get("isError").and_then(Value::as_bool) == Some(true);
    let structured = match raw.get("structuredContent") {
        None | Some(Value::Null) => None,
        Some(structured) => Some(structured),
    };
    match structured {
        Some(structured) => {
            if let Err(problems) = tool.validate_output(structured) {
                notes.push(format!(
                    "The structured content does not match the tool's output schema: {}",
                    told(&problems)
                ));
            }
        }
        // Only a success owes it (2025-06-18, server/tools).
        None if tool.has_output_schema() && !failed => {
            notes.push("The tool has an output schema, and its result has no structured content.".to_owned());
        }
        None => {}
    }
    let untold = structured.filter(|structured| !result.says(structured));
    let mut whole = result.text;
    if let Some(structured) = untold {
        if !whole.is_empty() {
            whole.push('\n');
        }
        whole.push_str(&structured.to_string());
    }
    let bytes = whole.len() as u64 + result.binary;
    let (clean, removed) = text::strip_hidden(&whole);
    if removed > 0 {
        notes.push(format!("Hidden or control characters were removed from what the model is told: {removed}."));
    }
    let limit = usize::try_from(limits.result).unwrap_or(usize::MAX);
    let (content, truncated) = match cut_middle(&clean, limit) {
        Some(cut) => (cut, true),
        None => (clean, false),
    };
    let content = if content.trim().is_empty() { "(the result is empty)".to_owned() } else { content };
    // Where binary content was left out, only the answer itself still holds it.
    let full = if result.binary > 0 {
        Some(raw.to_string())
    } else if truncated || removed > 0 {
        Some(whole)
    } else {
        None
    };
    let kept = usize::try_from(limits.result_kept).unwrap_or(usize::MAX);
    let full = full.map(|mut full| {
        if full.len() > kept {
            notes.push(format!("Only the first {kept} of its {} bytes are kept.", full.len()));
            full.truncate(full.floor_char_boundary(kept));
        }
        full
    });
    let structured = structured.filter(|_| {
        let fits = bytes <= limits.result_kept;
        if !fits {
            notes.push("The structured content is too large to be kept.".to_owned());
        }
        fits
    });
    ToolOutcome {
        kind: if failed { OutcomeKind::Failed } else { OutcomeKind::Done },
        content,
        structured: structured.cloned(),
        full,
        bytes,
        truncated,
        sent: true,
        ms: 0.0,
        notes,
    }
}

/// What the content blocks of a result say.
#[derive(Debug, Default)]
struct Parts {
    /// All of it, in order, placeholders for what is no text.
    text: String,
    /// Where in it the text blocks stand.
    texts: Vec<Range<usize>>,
    /// Bytes of binary content.
    binary: u64,
}

impl Parts {
    fn of(raw: &Value, notes: &mut Vec<String>) -> Self {
        let mut parts = Self::default();
        match raw {
            Value::String(text) => parts.block_text(text),
            Value::Object(result) => match result.get("content") {
                Some(Value::Array(blocks)) => blocks.iter().for_each(|block| parts.block(block)),
                Some(Value::String(text)) => {
                    notes.push("The result's content is a bare text, not a list of blocks.".to_owned());
                    parts.block_text(text);
                }
                Some(block @ Value::Object(_)) => {
                    notes.push("The result's content is one block, not a list of blocks.".to_owned());
                    parts.block(block);
                }
                Some(Value::Null) | None if result.contains_key("structuredContent") => {}
                Some(Value::Null) if result.len() == 1 => {}
                Some(other) => {
                    notes.push("The result's content is of no known form.".to_owned());
                    parts.line(&other.to_string());
                }
                None if result.keys().all(|key| matches!(key.as_str(), "isError" | "_meta" | "resultType")) => {}
                None => {
                    notes.push("The result is no tool result; it is given as it came.".to_owned());
                    parts.line(&raw.to_string());
                }
            },
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                notes.push("The result is no tool result; it is given as it came.".to_owned());
                parts.line(&raw.to_string());
            }
        }
        parts
    }

    /// Whether one of the texts is the structured content once more.
    fn says(&self, structured: &Value) -> bool {
        let texts = self.texts.iter().filter_map(|range| self.text.get(range.clone()));
        texts.into_iter().any(|text| serde_json::from_str::<Value>(text).is_ok_and(|parsed| parsed == *structured))
    }

    fn line(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(text);
    }

    fn block_text(&mut self, text: &str) {
        self.line(text);
        self.texts.push(self.text.len() - text.len()..self.text.len());
    }

    fn block(&mut self, block: &Value) {
        let Value::Object(map) = block else {
            match block {
                Value::String(text) => self.block_text(text),
                Value::Null => {}
                Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => self.line(&block.to_string()),
            }
            return;
        };
        match (word(map, "type"), map.get("resource")) {
            (Some("text"), _) => match map.get("text") {
                Some(Value::String(text)) => self.block_text(text),
                Some(other) => self.line(&other.to_string()),
                None => {}
            },
            (Some(kind @ ("image" | "audio")), _) => self.binary(kind, word(map, "mimeType"), map.get("data"), None),
            (Some("resource"), Some(Value::Object(resource))) => self.resource(resource),
            (Some("resource_link"), _) => self.link(map),
            (Some(kind), _) => {
                self.line(&format!("[content of the unknown type {}] {}", short(kind), without_data(map)))
            }
            (None, _) => match map.get("text") {
                Some(Value::String(text)) => self.block_text(text),
                Some(_) | None => self.line(&without_data(map)),
            },
        }
    }

    fn binary(&mut self, kind: &str, mime: Option<&str>, data: Option<&Value>, uri: Option<&str>) {
        let encoded = data.and_then(Value::as_str).map_or(0, |data| data.trim_end_matches('=').len() as u64);
        let bytes = encoded / 4 * 3 + (encoded % 4).saturating_sub(1);
        self.binary += bytes;
        let mime = mime.map_or_else(|| "of unknown type".to_owned(), short);
        let uri = uri.map(|uri| format!(" {}", short(uri))).unwrap_or_default();
        self.line(&format!("[{kind}{uri}: {mime}, {}, not shown here]", size(bytes)));
    }

    fn resource(&mut self, resource: &Map<String, Value>) {
        let uri = word(resource, "uri").unwrap_or("without an address");
        let mime = word(resource, "mimeType");
        match resource.get("text") {
            Some(Value::String(text)) => {
                let mime = mime.map(|mime| format!(" ({})", short(mime))).unwrap_or_default();
                self.line(&format!("[resource {}{mime}]", short(uri)));
                self.line(text);
            }
            Some(_) | None => self.binary("resource", mime, resource.get("blob"), Some(uri)),
        }
    }

    /// Only named: what stands behind it is fetched on demand alone.
    fn link(&mut self, link: &Map<String, Value>) {
        let mut line = format!("[link to {}", short(word(link, "uri").unwrap_or("nowhere")));
        for name in ["title", "name", "mimeType", "description"] {
            if let Some(text) = word(link, name) {
                line.push_str(", ");
                line.push_str(&short(text));
            }
        }
        if let Some(bytes) = link.get("size").and_then(Value::as_u64) {
            line.push_str(", ");
            line.push_str(&size(bytes));
        }
        line.push(']');
        self.line(&line);
    }
}

fn word<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    map.get(name).and_then(Value::as_str)
}

/// A word of somebody else's inside a placeholder: one line, of a placeholder's length.
fn short(text: &str) -> String {
    let line: String = text.chars().take(500).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(500).is_some() { format!("{line}…") } else { line }
}

/// An unknown block as JSON, its payload replaced by its length.
fn without_data(map: &Map<String, Value>) -> String {
    let mut shown = map.clone();
    for name in ["data", "blob"] {
        if let Some(Value::String(data)) = shown.get(name) {
            let told = format!("({} characters)", data.len());
            shown.insert(name.to_owned(), Value::from(told));
        }
    }
    Value::Object(shown).to_string()
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// Head and tail of a text that is longer than `limit` bytes, with a line between them that says what is missing; None
/// where it fits. The whole, that line included, is at most `limit` long wherever the line itself fits.
fn cut_middle(text: &str, limit: usize) -> Option<String> {
    if text.len() <= limit {
        return None;
    }
    let marker = |left_out: usize| {
        format!("\n[… {left_out} of {} bytes are left out here; ask for a part of it instead …]\n", text.len())
    };
    let room = limit.saturating_sub(marker(text.len()).len());
    // The beginning tells what it is, the end how it came out.
    let head = text.floor_char_boundary(room - room / 3);
    let tail = text.ceil_char_boundary(text.len() - room / 3).max(head);
    Some(format!("{}{}{}", &text[..head], marker(tail - head), &text[tail..]))
}

/// What the model is told when it names a tool that is not offered; `near` are offered names like it.
#[must_use]
pub fn unknown_tool_message(wire_name: &str, near: &[String]) -> String {
    let name = short(&text::strip_hidden(wire_name).0);
    match near {
        [] => format!("There is no tool `{name}`. Use only the tools that are offered."),
        [one] => format!("There is no tool `{name}`. Did you mean `{one}`?"),
        several => format!("There is no tool `{name}`. Did you mean one of these: `{}`?", several.join("`, `")),
    }
}

/// What the model is told when its arguments do not validate.
#[must_use]
pub fn invalid_arguments_message(problems: &[Problem]) -> String {
    let mut message = "The arguments do not match the tool's schema, so it was not called.".to_owned();
    for problem in problems {
        let place = if problem.path.is_empty() { "the arguments" } else { &problem.path };
        message.push_str(&format!("\n- {place}: {}", problem.message));
    }
    message
}

fn told(problems: &[Problem]) -> String {
    let sentences: Vec<String> = problems
        .iter()
        .map(|problem| match problem.path.as_str() {
            "" => problem.message.clone(),
            path => format!("{path}: {}", problem.message),
        })
        .collect();
    sentences.join(" ")
}
