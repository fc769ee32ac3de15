//! Chat Completions: one event's JSON into deltas.
//!
//! Shapes are those that endpoints were seen to send (`tests/fixtures/README.md`). Every field may be missing, null, or
//! of another type than it should be.

use std::cell::OnceCell;
use std::collections::HashMap;

use serde_json::{Map, Value};

use super::error;
use super::{plain, raw};
use crate::chat::{ArgumentsPart, CallFragment, Delta};

/// Finish reasons that say that the endpoint broke off (Z.ai, DeepSeek, OpenRouter's native words). Beside a `stop` and
/// no content, the native word is all that tells of it.
const BROKEN: [&str; 4] = ["error", "network_error", "insufficient_system_resource", "abort"];

/// What has to be remembered from event to event.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// A choice with a `delta` was seen: its `message` is a repetition.
    delta_seen: bool,
    /// Text of the `message`s so far, where there are no deltas: each holds all before it.
    message: Cumulative,
    /// By the entry's type and index: each entry grows by itself.
    details: HashMap<(String, u64), Cumulative>,
    /// The marker for `reasoning_content` was given out.
    reasoning_marked: bool,
}

/// A text that comes in pieces, or whole so far each time: which of the two shows at the second piece.
#[derive(Debug, Default)]
struct Cumulative {
    text: String,
    snapshots: Option<bool>,
}

impl Cumulative {
    /// What is new in `piece`.
    fn push<'a>(&mut self, piece: &'a str) -> &'a str {
        let mut new = piece;
        if !self.text.is_empty() && self.snapshots != Some(false) {
            let rest = piece.strip_prefix(self.text.as_str());
            // The same text twice says nothing either way.
            let longer = rest.is_some_and(|rest| !rest.is_empty());
            match (self.snapshots, rest) {
                (Some(true), Some(rest)) => new = rest,
                (None, Some(rest)) if longer => {
                    self.snapshots = Some(true);
                    new = rest;
                }
                (None, Some(_)) => {}
                (_, None) => self.snapshots = Some(false),
                (Some(false), Some(_)) => {}
            }
        }
        self.text.push_str(new);
        new
    }
}

/// The message-level fields that their provider wants back, verbatim.
const ECHOED: [&str; 5] =
    ["reasoning_details", "reasoning_opaque", "encrypted_content", "thinking_blocks", "extra_content"];

/// The fields that hold reasoning as text. One event may say the same in two of them.
const REASONING: [&str; 4] = ["reasoning_content", "reasoning", "reasoning_text", "thinking"];

impl Stream {
    /// The deltas of a plain event, cheaply; None where [`Stream::event`] must look.
    pub(super) fn plain(&mut self, data: &str) -> Option<Vec<Delta>> {
        let deltas = plain::deltas(data, &mut self.reasoning_marked)?;
        self.delta_seen = true;
        Some(deltas)
    }

    /// `value` is `data`, parsed.
    pub(super) fn event(&mut self, data: &str, value: &Value) -> Vec<Delta> {
        let mut out = Vec::new();
        let failure = error::find(value);
        let mut finish = None;
        let choices = list(value.get("choices"));
        let texts = Texts { data, choices: OnceCell::new() };
        // All choices are one answer: more than one is never asked for, and their indexes mean nothing.
        for (place, choice) in choices.iter().enumerate() {
            self.choice(choice, &texts, place, &mut out);
            let word = |key| choice.get(key).and_then(Value::as_str).filter(|word| !word.is_empty());
            if let Some(reason) = word("finish_reason") {
                finish = Some((reason.to_owned(), word("native_finish_reason").map(str::to_owned)));
            }
        }
        let inner = choices.iter().find_map(|choice| error::described(choice.get("error")?, None));
        let usages =
            [value.pointer("/x_groq/usage"), choices.iter().find_map(|choice| choice.get("usage")), value.get("usage")];
        out.extend(usages.into_iter().flatten().rfind(|usage| usage.is_object()).cloned().map(Delta::Usage));
        let broken = finish.as_ref().and_then(|(reason, native)| {
            let words = [Some(reason.as_str()), native.as_deref()].into_iter().flatten();
            words.filter_map(|word| BROKEN.into_iter().find(|known| word.eq_ignore_ascii_case(known))).next()
        });
        out.extend(finish.map(|(reason, native)| Delta::Finish { reason, native }));
        let unnamed = || {
            let message = |word| match word {
                "error" => "the endpoint ended the answer with an error".to_owned(),
                word => format!("the endpoint ended the answer with {word}"),
            };
            broken.map(|word| error::provider(message(word), None))
        };
        out.extend(failure.or(inner).or_else(unnamed).map(Delta::Error));
        out
    }

    fn choice(&mut self, choice: &Value, texts: &Texts<'_>, place: usize, out: &mut Vec<Delta>) {
        match (choice.get("delta"), choice.get("message")) {
            (Some(Value::Object(delta)), _) => {
                self.delta_seen = true;
                self.parts(delta, Source { texts, choice: place, field: "delta" }, out);
            }
            (_, Some(Value::Object(message))) if !self.delta_seen => {
                let mut message = message.clone();
                if let Some(Value::String(text)) = message.get_mut("content") {
                    *text = self.message.push(text).to_owned();
                }
                self.parts(&message, Source { texts, choice: place, field: "message" }, out);
            }
            _ => {}
        }
    }

    fn parts(&mut self, delta: &Map<String, Value>, source: Source<'_, '_>, out: &mut Vec<Delta>) {
        self.reasoning(delta, out);
        match delta.get("content") {
            Some(Value::String(text)) => push(out, text, Delta::Text),
            Some(Value::Array(parts)) => parts.iter().for_each(|part| content_part(part, out)),
            Some(part @ Value::Object(_)) => content_part(part, out),
            _ => {}
        }
        if let Some(Value::String(text)) = delta.get("refusal") {
            push(out, text, Delta::Refusal);
        }
        let raw = OnceCell::new();
        for (place, call) in list(delta.get("tool_calls")).iter().enumerate() {
            let text = || raw.get_or_init(|| source.items("tool_calls")).get(place).copied();
            out.extend(call_fragment(call, &text).map(Delta::Call));
        }
        if let Some(function @ Value::Object(_)) = delta.get("function_call") {
            // The legacy field has room for one call, without index or id.
            let text = || source.items("function_call").first().copied();
            let arguments = arguments(function, &text, &["arguments"]);
            let fragment =
                CallFragment { index: Some(0), name: word(function, "name"), arguments, ..Default::default() };
            out.push(Delta::Call(fragment));
        }
    }

    fn reasoning(&mut self, delta: &Map<String, Value>, out: &mut Vec<Delta>) {
        let spelt = REASONING.iter().find_map(|key| {
            let text = match delta.get(*key)? {
                Value::String(text) => text.as_str(),
                // Envoy's Bedrock converter.
                Value::Object(object) => object.get("text")?.as_str()?,
                _ => return None,
            };
            (!text.is_empty()).then_some((*key, text))
        });
        let mut extra = Map::new();
        for key in ECHOED {
            if let Some(value) = delta.get(key).filter(|value| !is_nothing(value)) {
                extra.insert(key.to_owned(), value.clone());
            }
        }
        if let Some(Value::Array(details)) = extra.get_mut("reasoning_details") {
            for detail in details {
                let key = if detail.get("text").is_some() { "text" } else { "summary" };
                let kind = detail.get("type").and_then(Value::as_str).unwrap_or(key).to_owned();
                let index = detail.get("index").and_then(Value::as_u64).unwrap_or_default();
                let Some(Value::String(text)) = detail.get_mut(key) else { continue };
                *text = self.details.entry((kind, index)).or_default().push(text).to_owned();
                if spelt.is_none() {
                    push(out, text, Delta::Reasoning);
                }
            }
        }
        if let Some((key, text)) = spelt {
            push(out, text, Delta::Reasoning);
            if key == "reasoning_content" && !std::mem::replace(&mut self.reasoning_marked, true) {
                extra.insert(super::REASONING_MARKER.to_owned(), Value::String(String::new()));
            }
        }
        if !extra.is_empty() {
            out.push(Delta::Extra(extra));
        }
    }
}

/// An event's text, and in it those of its choices, where they are looked for.
struct Texts<'a> {
    data: &'a str,
    choices: OnceCell<Vec<&'a str>>,
}

/// Where a message stands in its event's text.
#[derive(Clone, Copy)]
struct Source<'a, 'd> {
    texts: &'a Texts<'d>,
    choice: usize,
    field: &'static str,
}

impl<'d> Source<'_, 'd> {
    /// The texts of what stands under a key of the message.
    fn items(&self, key: &str) -> Vec<&'d str> {
        let choices = self.texts.choices.get_or_init(|| raw::items(self.texts.data, &["choices"]));
        let choice = choices.get(self.choice).copied().unwrap_or_default();
        raw::items(choice, &[self.field, key])
    }
}

fn push(out: &mut Vec<Delta>, text: &str, delta: fn(String) -> Delta) {
    if !text.is_empty() {
        out.push(delta(text.to_owned()));
    }
}

/// Null, or a list without entries.
fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

/// A list, or the one thing that stands where a list should.
fn list(value: Option<&Value>) -> &[Value] {
    match value {
        Some(Value::Array(list)) => list,
        Some(one @ Value::Object(_)) => std::slice::from_ref(one),
        _ => &[],
    }
}

/// One part of a content that is a list (Mistral, Databricks).
fn content_part(part: &Value, out: &mut Vec<Delta>) {
    let kind = part.get("type").and_then(Value::as_str).unwrap_or("text");
    let (delta, keys): (fn(String) -> Delta, &[&str]) = match kind {
        "text" | "output_text" => (Delta::Text, &["text"]),
        "thinking" => (Delta::Reasoning, &["thinking", "text"]),
        "reasoning" | "reasoning.text" | "reasoning.summary" => (Delta::Reasoning, &["summary", "text", "reasoning"]),
        "refusal" => (Delta::Refusal, &["refusal", "text"]),
        _ => return,
    };
    match keys.iter().find_map(|key| part.get(*key)) {
        Some(Value::String(text)) => push(out, text, delta),
        Some(Value::Array(parts)) => {
            for part in parts {
                let text = part.as_str().or_else(|| part.get("text").and_then(Value::as_str));
                push(out, text.unwrap_or_default(), delta);
            }
        }
        _ => {}
    }
}

/// One entry of `tool_calls`; None where it says nothing. Its fields may stand in `function` or beside it. `text` is
/// that of the entry.
fn call_fragment<'a>(call: &Value, text: &dyn Fn() -> Option<&'a str>) -> Option<CallFragment> {
    let entry = call.as_object()?;
    let nested = call.get("function").filter(|function| function.is_object());
    let function = nested.unwrap_or(call);
    let path: &[&str] = if nested.is_some() { &["function", "arguments"] } else { &["arguments"] };
    let known = |key: &str| {
        matches!(key, "index" | "id" | "type" | "function") || nested.is_none() && matches!(key, "name" | "arguments")
    };
    let fragment = CallFragment {
        index: call.get("index").and_then(Value::as_u64),
        id: word(call, "id"),
        name: word(function, "name"),
        arguments: arguments(function, text, path),
        extra: entry
            .iter()
            .filter(|(key, value)| !known(key) && !value.is_null())
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        done: false,
    };
    let says =
        fragment.id.is_some() || fragment.name.is_some() || fragment.arguments.is_some() || !fragment.extra.is_empty();
    says.then_some(fragment)
}

/// A string that is not empty; a number stands for its digits.
fn word(value: &Value, key: &str) -> Option<String> {
    match value.get(key)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// `path` leads from the entry to the arguments.
fn arguments<'a>(function: &Value, text: &dyn Fn() -> Option<&'a str>, path: &[&str]) -> Option<ArgumentsPart> {
    match function.get("arguments")? {
        Value::Null => None,
        Value::String(text) => Some(ArgumentsPart::Text(text.clone())),
        value => {
            let exact = text().and_then(|text| raw::at(text, path));
            Some(ArgumentsPart::Value(exact.unwrap_or_else(|| value.to_string())))
        }
    }
}
