//! What a request tells the scripted model: the last question, the tools on offer, and what the calls since have said.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::script::Unsent;

/// A Chat Completions request, as far as it matters here; unknown fields are let through, as providers do.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    pub(super) model: Option<String>,
    messages: Vec<Value>,
    #[serde(default)]
    tools: Option<Vec<Value>>,
    #[serde(default)]
    tool_choice: Option<Value>,
    #[serde(default)]
    pub(super) stream: bool,
    #[serde(default)]
    stream_options: Option<Value>,
}

impl Asked {
    pub(super) fn wants_usage(&self) -> bool {
        self.stream_options.as_ref().and_then(|options| options.get("include_usage")) == Some(&Value::Bool(true))
    }

    /// Why the request cannot be answered, and by which of its fields.
    pub(super) fn problem(&self) -> Option<(&'static str, String)> {
        if !self.stream {
            return Some(("stream", "This model only streams: send \"stream\": true.".to_owned()));
        }
        let user = self.messages.iter().any(|message| role(message) == "user");
        (!user).then(|| ("messages", "There is no message of a user to answer.".to_owned()))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Auto,
    Required,
    /// A wire name.
    Named(String),
}

/// A call of this turn with what came of it.
#[derive(Clone, Debug)]
pub(super) struct Called {
    /// The tool's own name, without what the client put before it.
    pub(super) tool: String,
    pub(super) result: String,
    /// Its server answered.
    pub(super) ran: bool,
    pub(super) denied: bool,
}

#[derive(Debug)]
pub(super) struct Facts {
    /// The last message of the user.
    pub(super) prompt: String,
    /// Wire names with their schemas, in the order of the request. Empty where no tool may be called.
    offered: Vec<(String, Value)>,
    pub(super) choice: Choice,
    /// Since that message.
    pub(super) calls: Vec<Called>,
}

impl Facts {
    pub(super) fn of(asked: &Asked, unsent: &Unsent) -> Self {
        let last = asked.messages.iter().rposition(|message| role(message) == "user").unwrap_or_default();
        let mut facts = Self {
            prompt: asked.messages.get(last).map(content).unwrap_or_default(),
            offered: Vec::new(),
            choice: match &asked.tool_choice {
                Some(Value::String(word)) if word == "required" => Choice::Required,
                Some(Value::Object(named)) => match named.get("function").and_then(|f| f.get("name")) {
                    Some(Value::String(name)) => Choice::Named(name.clone()),
                    _ => Choice::Auto,
                },
                _ => Choice::Auto,
            },
            calls: Vec::new(),
        };
        if asked.tool_choice != Some(json!("none")) {
            facts.offered = asked.tools.iter().flatten().filter_map(offer).collect();
        }
        let since = asked.messages.get(last..).unwrap_or_default();
        let results: HashMap<&str, String> = since
            .iter()
            .filter(|message| role(message) == "tool")
            .filter_map(|message| Some((message.get("tool_call_id")?.as_str()?, content(message))))
            .collect();
        let calls = since.iter().filter_map(|message| message.get("tool_calls")?.as_array()).flatten();
        facts.calls = calls
            .filter_map(|call| {
                let result = results.get(call.get("id")?.as_str()?).cloned().unwrap_or_default();
                let begins = |starts: &[String]| starts.iter().any(|start| result.starts_with(start.as_str()));
                let denied = begins(&unsent.denied);
                let ran = !denied && !begins(&unsent.other);
                let tool = facts.tool_of(call.pointer("/function/name")?.as_str()?);
                Some(Called { tool, result, ran, denied })
            })
            .collect();
        facts
    }

    /// The words of the prompt, small.
    pub(super) fn words(&self) -> Vec<String> {
        let words = self.prompt.split(|c: char| !c.is_alphanumeric());
        words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
    }

    /// The wire name under which a tool is offered: its own, or its own behind a prefix of the client's.
    pub(super) fn wire_name(&self, tool: &str) -> Option<&str> {
        let tool = tool.split('#').next().unwrap_or(tool);
        let names = || self.offered.iter().map(|(name, _)| name.as_str());
        names().find(|name| *name == tool).or_else(|| names().find(|name| own_name(name) == tool))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.offered.iter().map(|(name, _)| name.as_str())
    }

    pub(super) fn first_offered(&self) -> Option<String> {
        self.offered.first().map(|(name, _)| own_name(name).to_owned())
    }

    /// The tool's own name.
    pub(super) fn tool_of(&self, wire_name: &str) -> String {
        own_name(wire_name).to_owned()
    }

    /// The last call of a tool, or the one that `tool#number` names, from 1. `last` is the last of all.
    pub(super) fn call(&self, tool: &str) -> Option<&Called> {
        let (name, number) = match tool.split_once('#') {
            Some((name, number)) => (name, number.parse::<usize>().ok()),
            None => (tool, None),
        };
        let mut calls = self.calls.iter().filter(|call| name == "last" || call.tool == name);
        match number {
            Some(number) => calls.nth(number.checked_sub(1)?),
            None => calls.next_back(),
        }
    }

    /// Arguments that fit a schema as far as its required properties and their types tell.
    pub(super) fn smallest_arguments(&self, tool: &str) -> Map<String, Value> {
        let wire_name = self.wire_name(tool);
        let schema = self.offered.iter().find(|(name, _)| Some(name.as_str()) == wire_name).map(|(_, schema)| schema);
        let Some(schema) = schema else { return Map::new() };
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        required
            .filter_map(|name| {
                let name = name.as_str()?;
                let property = schema.pointer("/properties").and_then(|properties| properties.get(name));
                Some((name.to_owned(), smallest(property.unwrap_or(&Value::Null))))
            })
            .collect()
    }
}

fn smallest(schema: &Value) -> Value {
    let listed = schema.get("enum").and_then(Value::as_array).and_then(|values| values.first());
    if let Some(value) = schema.get("const").or_else(|| schema.get("default")).or(listed) {
        return value.clone();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        Some("null") => Value::Null,
        _ => json!("hello"),
    }
}

/// What stands behind the last `__` of a wire name.
fn own_name(wire_name: &str) -> &str {
    wire_name.rsplit_once("__").map_or(wire_name, |(_, own)| own)
}

fn offer(tool: &Value) -> Option<(String, Value)> {
    let function = tool.get("function")?;
    let schema = function.get("parameters").cloned().unwrap_or_else(|| json!({}));
    Some((function.get("name")?.as_str()?.to_owned(), schema))
}

fn role(message: &Value) -> &str {
    message.get("role").and_then(Value::as_str).unwrap_or_default()
}

/// The text of a message, whether it is one string or parts.
fn content(message: &Value) -> String {
    match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts = parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str));
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(request: Value) -> Facts {
        let unsent = Unsent { denied: vec!["denied ".into()], other: vec!["not sent".into()] };
        Facts::of(&serde_json::from_value(request).unwrap(), &unsent)
    }

    #[test]
    fn calls_are_those_since_the_last_question_in_order() {
        let call =
            |id: &str, name: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": "{}"}});
        let seen = facts(json!({
            "messages": [
                {"role": "user", "content": "one"},
                {"role": "assistant", "tool_calls": [call("a", "demo__read_file")]},
                {"role": "tool", "tool_call_id": "a", "content": "old"},
                {"role": "user", "content": [{"type": "text", "text": "Two, PLEASE"}, {"type": "image_url"}]},
                {"role": "assistant", "tool_calls": [call("b", "demo__read_file"), call("c", "write_file")]},
                {"role": "tool", "tool_call_id": "c", "content": "denied demo/write_file: no"},
                {"role": "tool", "tool_call_id": "b", "content": "first"},
                {"role": "assistant", "tool_calls": [call("d", "x__read_file")]},
                {"role": "tool", "tool_call_id": "d", "content": "not sent"}
            ],
            "tools": [{"type": "function", "function": {"name": "demo__read_file"}}, 7]
        }));
        assert_eq!(seen.words(), ["two", "please"]);
        assert_eq!(seen.call("read_file#1").unwrap().result, "first");
        assert!(!seen.call("read_file").unwrap().ran && !seen.call("last").unwrap().ran);
        assert!(seen.call("write_file").unwrap().denied && seen.call("read_file#3").is_none());
        assert_eq!(seen.wire_name("read_file#2"), Some("demo__read_file"));
        assert_eq!(seen.wire_name("write_file"), None);
    }

    #[test]
    fn none_offers_nothing_and_a_named_choice_is_a_wire_name() {
        let request = |choice: Value| {
            json!({"messages": [], "tool_choice": choice, "tools": [{"type": "function", "function": {"name": "a__b",
                "parameters": {"required": ["n", "s", "e"], "properties": {"n": {"type": "integer", "minimum": 3},
                "e": {"enum": ["x"]}}}}}]})
        };
        assert_eq!(facts(request(json!("none"))).names().count(), 0);
        assert_eq!(facts(request(json!("required"))).choice, Choice::Required);
        let named = facts(request(json!({"type": "function", "function": {"name": "a__b"}})));
        assert_eq!(named.choice, Choice::Named("a__b".into()));
        let arguments = Value::Object(named.smallest_arguments("b"));
        assert_eq!(arguments, json!({"n": 3, "s": "hello", "e": "x"}));
    }
}
