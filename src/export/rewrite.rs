//! Every text of a conversation given to one function: what takes secrets out and what takes places out walk the same way.
//!
//! # Invariants
//! - What is rewritten stays what it was: arguments stay one JSON object, structured values stay values, and arguments that
//!   hold nothing to rewrite keep their exact text.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::chat::{Answer, Body, Conversation, Message, Part, ToolCall, ToolMessage, ToolOutcome};

pub(super) trait Rewrite {
    /// A text as it is to stand; borrowed where nothing is to change.
    fn rewritten<'a>(&self, text: &'a str) -> Cow<'a, str>;

    fn conversation(&self, conversation: &Conversation) -> Conversation {
        let mut out = conversation.clone();
        self.string(&mut out.summary.title);
        self.string(&mut out.summary.folder);
        // Servers of local models call them by their files.
        self.string(&mut out.summary.model);
        self.string(&mut out.base_url);
        if let Some(system) = &mut out.system {
            self.string(system);
        }
        self.value(&mut out.extra);
        out.messages = out.messages.iter().map(|message| Arc::new(self.message(message))).collect();
        out
    }

    fn message(&self, message: &Message) -> Message {
        let mut out = message.clone();
        match &mut out.body {
            Body::User(parts) => parts.iter_mut().for_each(|part| self.part(part)),
            Body::Assistant(answer) => self.answer(answer),
            Body::Tool(ToolMessage { call: _, outcome }) => *outcome = Arc::new(self.outcome(outcome)),
        }
        out
    }

    fn part(&self, part: &mut Part) {
        match part {
            Part::Text { text } => self.string(text),
            Part::File { name, text } => {
                self.string(name);
                self.string(text);
            }
            // A picture's bytes cannot be changed and stay a picture.
            Part::Image { name, mime, data: _ } => {
                self.string(name);
                self.string(mime);
            }
        }
    }

    fn answer(&self, answer: &mut Answer) {
        self.string(&mut answer.text);
        self.string(&mut answer.reasoning);
        self.string(&mut answer.refusal);
        self.string(&mut answer.model);
        self.map(&mut answer.extra);
        for call in &mut answer.calls {
            self.call(call);
        }
    }

    fn call(&self, call: &mut ToolCall) {
        self.map(&mut call.extra);
        self.string(&mut call.wire_name);
        if let Some(tool) = &mut call.tool
            && let Cow::Owned(name) = self.rewritten(&tool.tool)
        {
            tool.tool = Arc::from(name);
        }
        let Ok(before) = serde_json::from_str::<Value>(&call.arguments) else { return };
        let mut after = before.clone();
        self.value(&mut after);
        // Untouched arguments keep their exact text: it is what was shown and sent.
        if after != before {
            call.arguments = Arc::from(after.to_string());
        }
    }

    fn outcome(&self, outcome: &ToolOutcome) -> ToolOutcome {
        let mut out = outcome.clone();
        self.string(&mut out.content);
        if let Some(full) = &mut out.full {
            self.string(full);
        }
        if let Some(structured) = &mut out.structured {
            self.value(structured);
        }
        out.notes.iter_mut().for_each(|note| self.string(note));
        out
    }

    fn string(&self, text: &mut String) {
        if let Cow::Owned(changed) = self.rewritten(text) {
            *text = changed;
        }
    }

    /// Keys included; a number that is to change becomes a text.
    fn value(&self, value: &mut Value) {
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(number) => {
                let text = number.to_string();
                if let Cow::Owned(text) = self.rewritten(&text) {
                    *value = Value::String(text);
                }
            }
            Value::String(text) => self.string(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(map) => self.map(map),
        }
    }

    fn map(&self, map: &mut Map<String, Value>) {
        let entries = std::mem::take(map);
        for (key, mut value) in entries {
            self.value(&mut value);
            map.insert(self.rewritten(&key).into_owned(), value);
        }
    }
}
