//! Arguments that a tool wants repeated in headers: `x-mcp-header` in its input schema, `Mcp-Param-*` on the wire
//! (SEP-2243, from 2026-07-28).
//!
//! # Invariants
//! - Only what the schema marks leaves in a header, and only strings, integers and booleans.
//! - A header's value says exactly what the argument says; what a header cannot hold is in Base64.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

const MARK: &str = "x-mcp-header";
/// Deeper schemas hold no marks for us.
const DEEPEST: usize = 64;

/// Where an argument stands, and the header it goes to.
type Marked = (Vec<String>, HeaderName);

/// The marked arguments of a server's tools; clones share them.
#[derive(Clone, Debug, Default)]
pub(in crate::mcp) struct Params(Arc<RwLock<HashMap<String, Vec<Marked>>>>);

impl Params {
    /// Learns the marks of a list, and takes the tools out of it whose marks are not valid. Returns why, one line for
    /// each.
    pub(in crate::mcp) fn learn(&self, tools: &mut Vec<Value>) -> Vec<String> {
        let mut found = HashMap::new();
        let mut remarks = Vec::new();
        tools.retain(|tool| {
            let Some(name) = tool.get("name").and_then(Value::as_str) else { return true };
            let Some(schema) = tool.get("inputSchema").and_then(Value::as_object) else { return true };
            match marks(schema) {
                Ok(marked) => {
                    if !marked.is_empty() {
                        found.insert(name.to_owned(), marked);
                    }
                    true
                }
                Err(why) => {
                    remarks.push(format!("its tool {name} is left out: {why}"));
                    false
                }
            }
        });
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = found;
        remarks
    }

    /// The headers of one call.
    pub(in crate::mcp) fn headers(&self, tool: &str, arguments: &Map<String, Value>) -> HeaderMap {
        let marked = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(marked) = marked.get(tool) else { return HeaderMap::new() };
        marked
            .iter()
            .filter_map(|(path, header)| {
                let (first, rest) = path.split_first()?;
                let value = rest.iter().try_fold(arguments.get(first)?, |value, key| value.get(key))?;
                Some((header.clone(), HeaderValue::try_from(encoded(&plain(value)?)).ok()?))
            })
            .collect()
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn encoded(text: &str) -> String {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = text.as_bytes();
    let looks_encoded = text.starts_with("=?base64?") && text.ends_with("?=");
    let plain = bytes.iter().all(|byte| (0x20..=0x7e).contains(byte));
    if looks_encoded || !plain || blank(bytes.first()) || blank(bytes.last()) {
        format!("=?base64?{}?=", BASE64_STANDARD.encode(text))
    } else {
        text.to_owned()
    }
}

/// The marks of one schema, or what is wrong with them: they stand on properties that are reached from the root by
/// `properties` alone, are names of headers, each once, on strings, integers and booleans.
fn marks(schema: &Map<String, Value>) -> Result<Vec<Marked>, String> {
    let mut found = Vec::new();
    if schema.contains_key(MARK) {
        return Err(format!("{MARK} stands at the root of its schema"));
    }
    walk(schema, &mut Vec::new(), true, 0, &mut found)?;
    let mut seen = HashSet::new();
    match found.iter().find(|(_, header)| !seen.insert(header)) {
        Some((path, _)) => Err(format!("the {MARK} of {} is taken already", path.join("."))),
        None => Ok(found),
    }
}

fn walk(
    schema: &Map<String, Value>,
    path: &mut Vec<String>,
    on_path: bool,
    depth: usize,
    found: &mut Vec<Marked>,
) -> Result<(), String> {
    if depth > DEEPEST {
        return Ok(());
    }
    if let Some(mark) = schema.get(MARK) {
        if !on_path {
            return Err(format!("{MARK} stands where no argument can be named"));
        }
        found.push((path.clone(), header(mark, schema, path)?));
    }
    for (key, value) in schema {
        match key.as_str() {
            // Those hold instances, not schemas.
            "default" | "const" | "enum" | "examples" | MARK => {}
            "properties" => {
                for (name, schema) in value.as_object().into_iter().flatten() {
                    let Some(schema) = schema.as_object() else { continue };
                    path.push(name.clone());
                    let walked = walk(schema, path, on_path, depth + 1, found);
                    path.pop();
                    walked?;
                }
            }
            "$defs" | "definitions" | "dependentSchemas" | "patternProperties" => {
                for schema in value.as_object().into_iter().flat_map(Map::values).filter_map(Value::as_object) {
                    walk(schema, path, false, depth + 1, found)?;
                }
            }
            _ => match value {
                Value::Object(schema) => walk(schema, path, false, depth + 1, found)?,
                Value::Array(items) => {
                    for schema in items.iter().filter_map(Value::as_object) {
                        walk(schema, path, false, depth + 1, found)?;
                    }
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            },
        }
    }
    Ok(())
}

fn header(mark: &Value, schema: &Map<String, Value>, path: &[String]) -> Result<HeaderName, String> {
    let of = || path.join(".");
    let name = mark.as_str().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| format!("the {MARK} of {} is not a name", of()))?;
    if !matches!(schema.get("type").and_then(Value::as_str), Some("string" | "integer" | "boolean")) {
        return Err(format!("the {MARK} of {} is not on a string, an integer or a boolean", of()));
    }
    HeaderName::try_from(format!("mcp-param-{name}"))
        .map_err(|_| format!("the {MARK} of {} is not the name of a header", of()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tool(schema: Value) -> Value {
        json!({"name": "t", "inputSchema": schema})
    }

    fn property(mark: Value) -> Value {
        tool(json!({"type": "object", "properties": {"a": {"type": "string", "x-mcp-header": mark}}}))
    }

    #[test]
    fn marked_arguments_become_headers_and_no_others() {
        let params = Params::default();
        let mut tools = vec![tool(json!({"properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "n": {"type": "integer", "x-mcp-header": "N"},
            "deep": {"type": "object", "properties": {"yes": {"type": "boolean", "x-mcp-header": "Yes"}}},
            "other": {"type": "string"},
            "gone": {"type": "string", "x-mcp-header": "Gone"}}}))];
        assert!(params.learn(&mut tools).is_empty());
        let arguments = json!({"region": " é", "n": 7, "deep": {"yes": true}, "other": "x", "gone": null});
        let headers = params.headers("t", arguments.as_object().unwrap());
        let mut all: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        all.sort_unstable();
        assert_eq!(all, [("mcp-param-n", "7"), ("mcp-param-region", "=?base64?IMOp?="), ("mcp-param-yes", "true")]);
        assert!(params.headers("other", &Map::new()).is_empty());
    }

    #[test]
    fn what_a_header_cannot_hold_is_encoded() {
        for (text, wanted) in [
            ("", ""),
            ("us-west1", "us-west1"),
            ("two words", "two words"),
            ("tail ", "=?base64?dGFpbCA=?="),
            ("a\nb", "=?base64?YQpi?="),
            ("=?base64?eA==?=", "=?base64?PT9iYXNlNjQ/ZUE9PT89?="),
        ] {
            assert_eq!(encoded(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn a_tool_whose_marks_are_wrong_is_left_out_alone() {
        let wrong = [
            property(json!("")),
            property(json!(7)),
            property(json!("two words")),
            property(json!("col:on")),
            tool(json!({"x-mcp-header": "Root"})),
            tool(json!({"properties": {"a": {"type": "number", "x-mcp-header": "A"}}})),
            tool(json!({"properties": {"a": {"x-mcp-header": "A"}}})),
            tool(json!({"properties": {"a": {"type": "array", "items": {"type": "string", "x-mcp-header": "A"}}}})),
            tool(json!({"$defs": {"d": {"type": "string", "x-mcp-header": "A"}}})),
            tool(json!({"properties": {
                "a": {"type": "string", "x-mcp-header": "Same"}, "b": {"type": "string", "x-mcp-header": "same"}}})),
        ];
        for bad in wrong {
            let mut tools = vec![bad.clone(), json!({"name": "good", "inputSchema": {}}), json!(7)];
            let remarks = Params::default().learn(&mut tools);
            assert_eq!((tools.len(), remarks.len()), (2, 1), "{bad}");
            assert!(remarks[0].starts_with("its tool t is left out: "), "{remarks:?}");
        }
    }
}
