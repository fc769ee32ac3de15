//! From what a server answered to what the model is told.
//!
//! # Invariants
//! - Anything that came makes an outcome; nothing of it is taken for an instruction or fetched.
//! - What the model is told holds no hidden characters, no base64, and at most the limit's bytes, cut between characters.
//! - What was left out of that is kept whole beside it, up to its own limit.

use serde_json::Value;

use crate::chat::{Content, Limits, OutcomeKind, Reader, ToolOutcome};
use crate::text;

use super::excerpt::cut_middle;
use super::problem::Problem;
use super::schema;
use super::snapshot::Tool;

/// Nodes and bytes of text of a result that is small.
const SMALL_NODES: usize = 1024;
const SMALL_TEXT: usize = 16 * 1024;

const MISMATCH: &str = "The structured content does not match the tool's output schema: ";
const MISSING: &str = "The tool has an output schema, and its result has no structured content.";
const UNCHECKED: &str = "The structured content could not be checked against the tool's output schema: ";

/// Whether a structured content is what its tool promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    Fits,
    Problems(Vec<Problem>),
    /// It was not found out; why, as the end of a sentence.
    Not(String),
}

/// Whether [`shape_result`] is a matter of microseconds for this answer.
#[must_use]
pub fn shapes_quickly(tool: &Tool, raw: &Value) -> bool {
    !tool.has_output_schema() && schema::has_at_most(raw, SMALL_NODES, SMALL_TEXT)
}

/// Holds an answer against its tool's output schema. A hostile one may take its time: run it off the engine's task.
#[must_use]
pub fn check_result(tool: &Tool, raw: &Value) -> Checked {
    match structured(tool, raw).map(|structured| tool.validate_output(structured)) {
        None | Some(Ok(())) => Checked::Fits,
        Some(Err(problems)) => Checked::Problems(problems),
    }
}

/// Whether a note of an outcome is one that a person should hear of when it happens: content that is not what its tool
/// promised.
#[must_use]
pub fn is_warning(note: &str) -> bool {
    [MISMATCH, MISSING, UNCHECKED].into_iter().any(|begin| note.starts_with(begin))
}

/// The structured content, any JSON value (2026-07-28, server/tools). A null is one only where the tool promised it:
/// libraries write it for nothing at all.
fn structured<'a>(tool: &Tool, raw: &'a Value) -> Option<&'a Value> {
    match raw.get("structuredContent")? {
        null @ Value::Null => (tool.has_output_schema() && tool.validate_output(null).is_ok()).then_some(null),
        structured => Some(structured),
    }
}

/// Makes an outcome of a `CallToolResult`, or of whatever a server sent in its place. `Done`, or `Failed` where the
/// server says `isError`. `sent` is true; `ms` is the caller's to fill in. Checks structured content against the tool's
/// output schema, so a hostile one may take its time: unless [`shapes_quickly`], run it off the engine's task.
#[must_use]
pub fn shape_result(tool: &Tool, raw: &Value, limits: &Limits) -> ToolOutcome {
    shape_checked(tool, raw, check_result(tool, raw), None, limits)
}

/// The same, with what [`check_result`] found. `reference`: the name under which the model may read on where it is told a
/// part; None where it cannot.
#[must_use]
pub fn shape_checked(
    tool: &Tool,
    raw: &Value,
    checked: Checked,
    reference: Option<&str>,
    limits: &Limits,
) -> ToolOutcome {
    let mut content = Content::of(raw, Reader::Model);
    let mut notes = std::mem::take(&mut content.notes);
    let failed = raw.get("isError").and_then(Value::as_bool) == Some(true);
    let structured = structured(tool, raw);
    match (structured, checked) {
        (Some(_), Checked::Fits) => {}
        (Some(_), Checked::Problems(problems)) => notes.push(format!("{MISMATCH}{}", told(&problems))),
        (Some(_), Checked::Not(reason)) => notes.push(format!("{UNCHECKED}{reason}.")),
        // Only a success owes it (2025-06-18, server/tools).
        (None, _) if tool.has_output_schema() && !failed => notes.push(MISSING.to_owned()),
        (None, _) => {}
    }
    let binary: u64 = content.media.iter().map(|media| media.bytes).sum();
    let partial = content.partial;
    let whole = whole_text(content, structured);
    let bytes = whole.len() as u64 + binary;
    let (clean, removed) = text::strip_hidden(&whole);
    if removed > 0 {
        notes.push(format!("Hidden or control characters were removed from what the model is told: {removed}."));
    }
    let limit = usize::try_from(limits.result).unwrap_or(usize::MAX);
    let (told, truncated) = match cut_middle(&clean, limit, reference) {
        Some(cut) => (cut, true),
        None => (clean, false),
    };
    let told = if told.trim().is_empty() { "(the result is empty)".to_owned() } else { told };
    // Where the text does not show all that came, only the answer itself still holds it.
    let full_is_result = partial;
    let full = if full_is_result {
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
        content: told,
        structured: structured.cloned(),
        full,
        full_is_result,
        bytes,
        truncated,
        sent: true,
        ms: 0.0,
        notes,
    }
}

/// All that a content says, and the structured content where it says something else.
fn whole_text(content: Content, structured: Option<&Value>) -> String {
    let untold = structured.filter(|structured| !content.says(structured));
    let mut whole = content.text;
    if let Some(structured) = untold {
        if !whole.is_empty() {
            whole.push('\n');
        }
        whole.push_str(&structured.to_string());
    }
    whole
}

/// The whole text of which the model was told a part, from what was kept of it: line for line, and byte for byte, what
/// the cut speaks of. Takes its time for a large one.
#[must_use]
pub fn whole_told(outcome: &ToolOutcome, full: &str) -> String {
    let raw = if outcome.full_is_result { serde_json::from_str::<Value>(full).ok() } else { None };
    match raw {
        Some(raw) => {
            let content = Content::of(&raw, Reader::Model);
            text::strip_hidden(&whole_text(content, outcome.structured.as_ref())).0
        }
        // Text as it was, or the beginning of an answer that was too large to be kept whole.
        None => text::strip_hidden(full).0,
    }
}

/// A word of somebody else's inside a sentence: one line, of a sentence's length.
fn short(text: &str) -> String {
    let line: String = text.chars().take(500).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(500).is_some() { format!("{line}…") } else { line }
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
