//! Plainer forms of a tool's schema, for endpoints that refuse it as it is: one tool at a time, level by level.
//!
//! Level 0 is what [`super::offer`] makes. 1 inlines local references and merges what stands at the top. 2 keeps only
//! what Gemini's schemas know. 3 is a bare object, with the schema as text in the description. Each is made of level 0,
//! and each loosens: the server's own schema still judges the arguments.
//!
//! # Invariants
//! - An element that is not raised keeps its bytes, so that the rest of a cached prefix stays what it was.
//! - Recursion and size are bounded: a schema may refer to itself.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::chat::ToolList;

use super::definition::sha256;
use super::schema::{Shape, keyword, resolve};

/// The plainest form there is.
pub const HIGHEST_LEVEL: u8 = 3;

/// How deep references are followed, and how many nodes may come of it.
const DEEPEST: usize = 24;
const MOST_NODES: usize = 5_000;
/// Longest schema as text in a description, bytes.
const LONGEST_TEXT: usize = 8 << 10;

#[derive(Deserialize)]
struct Element {
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    parameters: Value,
}

/// The tools of a list: wire name, and the hash of the element, under which its level is remembered.
#[must_use]
pub fn offered(list: &ToolList) -> Vec<(String, String)> {
    elements(list)
        .iter()
        .map(|element| {
            let name = serde_json::from_str::<Element>(element.get()).map(|e| e.function.name).unwrap_or_default();
            (name, sha256(element.get()))
        })
        .collect()
}

/// The list with each element at its level (by its hash); None where every level is 0.
#[must_use]
pub fn at_levels(list: &ToolList, level: impl Fn(&str) -> u8) -> Option<ToolList> {
    let mut raised = false;
    let elements: Vec<String> = elements(list)
        .iter()
        .map(|element| {
            let text = element.get();
            let level = level(&sha256(text));
            let made = (level > 0).then(|| at_level(text, level)).flatten();
            raised |= made.is_some();
            made.unwrap_or_else(|| text.to_owned())
        })
        .collect();
    raised.then(|| {
        let json = format!("[{}]", elements.join(","));
        ToolList { hash: sha256(&json), json, count: list.count }
    })
}

fn elements(list: &ToolList) -> Vec<&RawValue> {
    serde_json::from_str(&list.json).unwrap_or_default()
}

fn at_level(element: &str, level: u8) -> Option<String> {
    let Element { function } = serde_json::from_str(element).ok()?;
    let Function { name, mut description, parameters } = function;
    let parameters = match level {
        1 => inlined(&parameters, &mut description),
        2 => subset(&inlined(&parameters, &mut description)),
        _ => {
            let schema = parameters.to_string();
            let end = schema.floor_char_boundary(LONGEST_TEXT);
            let more = if end < schema.len() { "…" } else { "" };
            description = format!("{}\nArguments, as JSON Schema: {}{more}", description.trim_end(), &schema[..end]);
            json!({"type": "object", "properties": {}})
        }
    };
    let (name, description) = (Value::from(name), Value::from(description.trim_start()));
    Some(format!(
        r#"{{"type":"function","function":{{"name":{name},"description":{description},"parameters":{parameters}}}}}"#
    ))
}

/// Level 1: no references, nothing but properties at the top.
fn inlined(schema: &Value, description: &mut String) -> Value {
    let mut walk = Inline { root: schema, open: Vec::new(), nodes: 0 };
    let mut root = match walk.schema(schema, 0) {
        Value::Object(root) => root,
        // Nothing that could say what an argument is.
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    };
    merge_top(&mut root, description);
    root.insert("type".to_owned(), json!("object"));
    if !root.get("properties").is_some_and(Value::is_object) {
        root.insert("properties".to_owned(), json!({}));
    }
    Value::Object(root)
}

struct Inline<'a> {
    root: &'a Value,
    /// References that are being followed.
    open: Vec<&'a str>,
    nodes: usize,
}

impl<'a> Inline<'a> {
    fn schema(&mut self, schema: &'a Value, depth: usize) -> Value {
        self.nodes += 1;
        let Value::Object(map) = schema else { return schema.clone() };
        if depth > DEEPEST || self.nodes > MOST_NODES {
            return json!({"type": "object", "properties": {}, "description": "(left out here: nested too deeply)"});
        }
        let mut out = Map::new();
        if let Some(Value::String(reference)) = map.get("$ref") {
            if self.open.contains(&reference.as_str()) {
                return json!({"type": "object", "properties": {}, "description": "(the same form again)"});
            }
            if let Some(target) = resolve(self.root, reference) {
                self.open.push(reference);
                if let Value::Object(inner) = self.schema(target, depth + 1) {
                    out = inner;
                }
                self.open.pop();
            }
        }
        for (name, value) in map {
            if matches!(name.as_str(), "$ref" | "$defs" | "definitions" | "$id" | "$anchor" | "$dynamicAnchor") {
                continue;
            }
            let made = match (keyword(name), value) {
                (Some((_, Shape::Schemas)), Value::Array(items)) => {
                    items.iter().map(|item| self.schema(item, depth + 1)).collect()
                }
                (Some((_, Shape::Schemas)), value) => self.schema(value, depth + 1),
                (Some((_, Shape::Map)), Value::Object(map)) => Value::Object(
                    map.iter().map(|(name, value)| (name.clone(), self.schema(value, depth + 1))).collect(),
                ),
                (Some((_, Shape::Map)) | None, _) => value.clone(),
            };
            out.insert(name.clone(), made);
        }
        Value::Object(out)
    }
}

/// Merges combinations at the top, whatever else their branches say: all properties, required only what every branch
/// requires. What that loses is told in words.
fn merge_top(root: &mut Map<String, Value>, description: &mut String) {
    for name in ["allOf", "anyOf", "oneOf"] {
        let Some(Value::Array(branches)) = root.shift_remove(name) else { continue };
        let required = |branch: &Value| -> Vec<Value> {
            branch.get("required").and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let mut all: Vec<Value> = root.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        for (at, branch) in branches.iter().enumerate() {
            for property in required(branch) {
                let common = name == "allOf" || branches.iter().all(|other| required(other).contains(&property));
                if common && (name == "allOf" || at == 0) && !all.contains(&property) {
                    all.push(property);
                }
            }
            if let Some(Value::Object(properties)) = branch.get("properties") {
                let merged = root.entry("properties").or_insert_with(|| json!({}));
                if let Value::Object(merged) = merged {
                    for (property, schema) in properties {
                        merged.entry(property.clone()).or_insert_with(|| schema.clone());
                    }
                }
            }
        }
        let forms: Vec<String> = branches.iter().map(|branch| list_of(&required(branch))).collect();
        if name != "allOf" && forms.iter().any(|form| !form.is_empty()) {
            description.push_str(&format!("\nGive one of these together: {}.", forms.join("; or ")));
        }
        if !all.is_empty() {
            root.insert("required".to_owned(), Value::Array(all));
        }
    }
    for name in ["enum", "const", "not", "if", "then", "else", "dependentSchemas", "dependentRequired", "dependencies"]
    {
        root.shift_remove(name);
    }
}

fn list_of(names: &[Value]) -> String {
    names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

/// Level 2: what Gemini's schema type knows, of a schema without references.
fn subset(schema: &Value) -> Value {
    let Value::Object(map) = schema else { return json!({"type": "string"}) };
    let mut out = Map::new();
    let mut nullable = map.get("nullable") == Some(&Value::Bool(true));
    let mut kinds: Vec<&str> = match map.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    nullable |= kinds.contains(&"null") && kinds.len() > 1;
    kinds.retain(|kind| *kind != "null");
    let described = map.get("description").or_else(|| map.get("title")).filter(|text| text.is_string());
    // Only texts may be listed.
    let choices = match (map.get("enum"), map.get("const")) {
        (Some(Value::Array(choices)), _) => Some(choices.clone()),
        (_, Some(one)) => Some(vec![one.clone()]),
        _ => None,
    };
    let variants = ["anyOf", "oneOf"].iter().find_map(|name| map.get(*name)?.as_array());
    let kind = match (kinds.as_slice(), &choices) {
        (_, Some(_)) => Some("string"),
        ([one], None) => Some(*one),
        ([], None) if map.contains_key("properties") => Some("object"),
        ([], None) if map.contains_key("items") || map.contains_key("prefixItems") => Some("array"),
        ([], None) if variants.is_some() || map.contains_key("allOf") => None,
        ([], None) => Some("string"),
        (_, None) => None,
    };
    if let Some(kind) = kind {
        out.insert("type".to_owned(), json!(kind));
    }
    out.extend(described.map(|text| ("description".to_owned(), text.clone())));
    if let Some(choices) = choices {
        let words: Vec<Value> = choices
            .iter()
            .filter(|choice| !choice.is_null())
            .map(|choice| choice.as_str().map_or_else(|| choice.to_string(), str::to_owned).into())
            .collect();
        nullable |= words.len() < choices.len();
        if !words.is_empty() {
            out.insert("enum".to_owned(), Value::Array(words));
        }
        out.extend(nullable.then(|| ("nullable".to_owned(), json!(true))));
        return Value::Object(out);
    }
    match kind {
        Some("object") => {
            let properties: Map<String, Value> = map
                .get("properties")
                .and_then(Value::as_object)
                .map(|properties| properties.iter().map(|(name, schema)| (name.clone(), subset(schema))).collect())
                .unwrap_or_default();
            let required: Vec<Value> = map
                .get("required")
                .and_then(Value::as_array)
                .map(|names| {
                    let known = |name: &&Value| name.as_str().is_some_and(|name| properties.contains_key(name));
                    names.iter().filter(known).cloned().collect()
                })
                .unwrap_or_default();
            out.insert("properties".to_owned(), Value::Object(properties));
            out.extend((!required.is_empty()).then(|| ("required".to_owned(), Value::Array(required))));
        }
        Some("array") => {
            let items = match (map.get("items"), map.get("prefixItems")) {
                (Some(items @ Value::Object(_)), _) => subset(items),
                (_, Some(Value::Array(forms))) if !forms.is_empty() => any_of(forms),
                _ => json!({"type": "string"}),
            };
            out.insert("items".to_owned(), items);
            keep(map, &mut out, &["minItems", "maxItems"]);
        }
        Some("number" | "integer") => keep(map, &mut out, &["minimum", "maximum"]),
        Some(_) => {}
        None => {
            let forms: Vec<Value> = match variants {
                Some(variants) => variants.iter().filter(|v| v.get("type") != Some(&json!("null"))).cloned().collect(),
                None if kinds.is_empty() => {
                    map.get("allOf").and_then(Value::as_array).into_iter().flatten().take(1).cloned().collect()
                }
                None => kinds.iter().map(|kind| json!({"type": kind})).collect(),
            };
            nullable |= variants.is_some_and(|variants| forms.len() < variants.len());
            match any_of(&forms) {
                Value::Object(made) => made.into_iter().for_each(|(name, value)| {
                    out.entry(name).or_insert(value);
                }),
                other => return other,
            }
        }
    }
    if let Some(Value::String(format)) = map.get("format")
        && matches!(format.as_str(), "date-time" | "int32" | "int64" | "float" | "double")
    {
        out.insert("format".to_owned(), json!(format));
    }
    out.extend(nullable.then(|| ("nullable".to_owned(), json!(true))));
    Value::Object(out)
}

fn any_of(forms: &[Value]) -> Value {
    match forms {
        [] => json!({"type": "string"}),
        [one] => subset(one),
        several => json!({"anyOf": several.iter().map(subset).collect::<Vec<_>>()}),
    }
}

fn keep(from: &Map<String, Value>, to: &mut Map<String, Value>, names: &[&str]) {
    for name in names {
        if let Some(number) = from.get(*name).filter(|value| value.is_number()) {
            to.insert((*name).to_owned(), number.clone());
        }
    }
}
