//! The content of a tool's result, read leniently: whatever a server sent in place of a `CallToolResult` says something.
//!
//! # Invariants
//! - Anything that came is read; nothing of it is taken for an instruction or fetched.
//! - `text` holds no payload of binary blocks: a line in brackets stands for each.

use std::ops::Range;

use serde_json::{Map, Value};

use super::media::{Media, from_base64, short, size};

/// Lines of a block that is meant for the model alone which a person sees before they ask for more.
const FOLDED: usize = 3;

/// For whom a content is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// All of it: what a server calls the user's is often the answer itself.
    Model,
    /// What is meant for the model alone is folded.
    Person,
}

/// What the content blocks of a result say.
#[derive(Debug)]
pub struct Content {
    /// All of it, in order, placeholders for what is no text. Raw.
    pub text: String,
    /// What is no text, in order.
    pub media: Vec<Media>,
    /// What is odd about its form, as sentences.
    pub notes: Vec<String>,
    /// Something stands in the result that `text` does not show whole.
    pub partial: bool,
    /// Where in `text` the text blocks stand.
    texts: Vec<Range<usize>>,
    reader: Reader,
}

/// A payload as a file: bytes, and the ending of its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Payload {
    pub extension: &'static str,
    pub bytes: Vec<u8>,
}

impl Content {
    #[must_use]
    pub fn of(raw: &Value, reader: Reader) -> Self {
        let mut content = Self {
            text: String::new(),
            media: Vec::new(),
            notes: Vec::new(),
            partial: false,
            texts: Vec::new(),
            reader,
        };
        content.read(raw);
        content
    }

    fn read(&mut self, raw: &Value) {
        const AS_IT_CAME: &str = "The result is no tool result; it is given as it came.";
        let result = match raw {
            Value::String(text) => return self.block_text(text),
            Value::Null => return,
            Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                self.notes.push(AS_IT_CAME.to_owned());
                return self.line(&raw.to_string());
            }
            Value::Object(result) => result,
        };
        match result.get("content") {
            Some(Value::Array(blocks)) => blocks.iter().for_each(|block| self.block(block)),
            Some(Value::String(text)) => {
                self.notes.push("The result's content is a bare text, not a list of blocks.".to_owned());
                self.block_text(text);
            }
            Some(block @ Value::Object(_)) => {
                self.notes.push("The result's content is one block, not a list of blocks.".to_owned());
                self.block(block);
            }
            Some(Value::Null) | None if result.contains_key("structuredContent") => {}
            Some(Value::Null) if result.len() == 1 => {}
            Some(other) => {
                self.notes.push("The result's content is of no known form.".to_owned());
                self.line(&other.to_string());
            }
            None if result.keys().all(|key| matches!(key.as_str(), "isError" | "_meta" | "resultType")) => {}
            None => {
                self.notes.push(AS_IT_CAME.to_owned());
                self.line(&raw.to_string());
            }
        }
    }

    /// Whether it says anything beside naming what is no text.
    #[must_use]
    pub fn has_words(&self) -> bool {
        self.text.lines().count() > self.media.len()
    }

    /// Whether the texts are the structured content once more: one of them or all together its serialisation, or, where
    /// a library wrapped a bare value as `{"result": …}`, that of the value.
    #[must_use]
    pub fn says(&self, structured: &Value) -> bool {
        let wrapped = structured.as_object().filter(|map| map.len() == 1).and_then(|map| map.get("result"));
        let texts: Vec<&str> = self.texts.iter().filter_map(|range| self.text.get(range.clone())).collect();
        let same = |text: &str, value: &Value| {
            value.as_str() == Some(text) || serde_json::from_str::<Value>(text).is_ok_and(|parsed| parsed == *value)
        };
        let is = |text: &str| same(text, structured) || wrapped.is_some_and(|value| same(text, value));
        if texts.iter().any(|text| is(text)) {
            return true;
        }
        // A list, one block an item.
        wrapped.and_then(Value::as_array).is_some_and(|items| {
            items.len() == texts.len() && items.iter().zip(&texts).all(|(item, text)| same(text, item))
        })
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
        let from = self.text.len();
        self.known(block, map);
        if for_the_model_alone(map) {
            self.partial = true;
            if self.reader == Reader::Person {
                self.fold(from);
            }
        }
    }

    fn known(&mut self, block: &Value, map: &Map<String, Value>) {
        if let Some((media, _)) = Media::of(block) {
            self.line(&media.to_string());
            self.media.push(media);
            self.partial = true;
            return;
        }
        match (word(map, "type"), map.get("resource")) {
            (Some("text"), _) => match map.get("text") {
                Some(Value::String(text)) => self.block_text(text),
                Some(other) => self.line(&other.to_string()),
                None => {}
            },
            (Some("resource"), Some(Value::Object(resource))) => {
                let mime = word(resource, "mimeType").map(|mime| format!(" ({})", short(mime))).unwrap_or_default();
                self.line(&format!(
                    "[resource {}{mime}]",
                    short(word(resource, "uri").unwrap_or("without an address"))
                ));
                self.line(word(resource, "text").unwrap_or_default());
            }
            (Some("resource_link"), _) => self.link(map),
            (Some(kind), _) => {
                self.partial |= ["data", "blob"].into_iter().any(|name| map.contains_key(name));
                self.line(&format!("[content of the unknown type {}] {}", short(kind), without_data(map)));
            }
            (None, _) => match map.get("text") {
                Some(Value::String(text)) => self.block_text(text),
                Some(_) | None => self.line(&without_data(map)),
            },
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

    /// Cuts what stands from `from` on to its first lines.
    fn fold(&mut self, from: usize) {
        let own = &self.text[from..];
        // The line's end before it is not its own.
        let begins = usize::from(from > 0 && own.starts_with('\n'));
        let lines = own[begins..].lines().count();
        let Some((at, _)) = own[begins..].match_indices('\n').nth(FOLDED - 1) else { return };
        let left = lines - FOLDED;
        self.text.truncate(from + begins + at);
        self.texts.retain(|range| range.end <= self.text.len());
        self.line(&format!("[{left} more lines that are meant for the model]"));
    }
}

/// Every payload of a result, in order; those that are no base64 are left out.
#[must_use]
pub fn payloads(raw: &Value) -> Vec<Payload> {
    let blocks = raw.get("content").map(|content| match content {
        Value::Array(blocks) => blocks.as_slice(),
        one => std::slice::from_ref(one),
    });
    blocks
        .unwrap_or_default()
        .iter()
        .filter_map(|block| {
            let (media, data) = Media::of(block)?;
            Some(Payload { extension: media.extension(), bytes: from_base64(data)? })
        })
        .collect()
}

/// Its `annotations.audience` names the assistant and nobody else (2025-06-18, schema `Annotations`).
fn for_the_model_alone(block: &Map<String, Value>) -> bool {
    let audience = block.get("annotations").and_then(|notes| notes.get("audience")).and_then(Value::as_array);
    audience.is_some_and(|names| !names.is_empty() && names.iter().all(|name| name.as_str() == Some("assistant")))
}

fn word<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    map.get(name).and_then(Value::as_str)
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_for_the_model_alone_is_folded_for_a_person_and_told_to_the_model() {
        let long: String = (1..=9).map(|n| format!("line {n}\n")).collect();
        let raw = json!({"content": [
            {"type": "text", "text": "for both"},
            {"type": "text", "text": long.trim_end(), "annotations": {"audience": ["assistant"]}},
            {"type": "text", "text": "for you", "annotations": {"audience": ["user"]}},
        ]});
        let person = Content::of(&raw, Reader::Person);
        let folded = "for both\nline 1\nline 2\nline 3\n[6 more lines that are meant for the model]\nfor you";
        assert_eq!(person.text, folded);
        let model = Content::of(&raw, Reader::Model);
        assert!(model.text.contains("line 9\nfor you") && model.partial);
    }

    #[test]
    fn one_of_text_and_structured_content_is_enough_where_both_say_the_same() {
        let says = |blocks: Value, structured: Value| {
            Content::of(&json!({"content": blocks}), Reader::Model).says(&structured)
        };
        let text = |text: &str| json!({"type": "text", "text": text});
        assert!(says(json!([text("{\"a\": 1}")]), json!({"a": 1})));
        assert!(says(json!([text("5")]), json!({"result": 5})), "a wrapped value");
        assert!(says(json!([text("plain words")]), json!({"result": "plain words"})));
        assert!(says(json!([text("1"), text("two")]), json!({"result": [1, "two"]})), "one block an item");
        assert!(!says(json!([text("1"), text("3")]), json!({"result": [1, 2]})));
        assert!(!says(json!([text("a summary")]), json!({"a": 1})));
    }

    #[test]
    fn payloads_come_in_order_as_what_they_are() {
        let raw = json!({"content": [
            {"type": "text", "text": "words"},
            {"type": "image", "data": "iVBORw0KGgo=", "mimeType": "image/jpeg"},
            {"type": "audio", "data": "not base64!"},
            {"type": "resource", "resource": {"uri": "x:y", "mimeType": "text/csv", "blob": "YSxi"}},
        ]});
        let found = payloads(&raw);
        assert_eq!(found.iter().map(|file| file.extension).collect::<Vec<_>>(), ["png", "csv"]);
        assert_eq!(found[1].bytes, b"a,b");
    }
}
