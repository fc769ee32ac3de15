//! What the model is offered: an adapted copy of each tool's schema, in Chat Completions form.
//!
//! Providers and local servers choke on parts of JSON Schema that mean nothing more than their absence: objects without
//! `properties`, arrays without `items`, `$schema`, boolean subschemas (llama.cpp), `oneOf` at the top (Anthropic,
//! Bedrock). Only such parts are rewritten, and only here: arguments are judged by the schema as the server gave it.

use serde_json::{Map, Value, json};

use crate::text;

use super::schema::{Shape, keyword};

/// Longest description of a function, characters; some endpoints refuse the whole request for a longer one.
const LONGEST_DESCRIPTION: usize = 1024;

/// The adapted schema as JSON text.
pub(super) fn parameters(schema: &Value) -> String {
    let mut adapted = adapt(schema);
    if let Value::Object(root) = &mut adapted {
        flatten(root);
        root.insert("type".to_owned(), json!("object"));
        root.entry("properties").or_insert_with(|| json!({}));
    }
    adapted.to_string()
}

/// One element of the tool list as JSON text.
pub(super) fn function(wire_name: &str, title: Option<&str>, description: &str, parameters: &str) -> String {
    let told = if description.trim().is_empty() { title.unwrap_or_default() } else { description };
    let (told, _) = text::strip_hidden(told);
    let told = match told.char_indices().nth(LONGEST_DESCRIPTION) {
        Some(_) => {
            let end = told.char_indices().nth(LONGEST_DESCRIPTION - 1).map_or(told.len(), |(at, _)| at);
            format!("{}…", &told[..end])
        }
        None => told,
    };
    let (name, told) = (Value::from(wire_name), Value::from(told));
    format!(r#"{{"type":"function","function":{{"name":{name},"description":{told},"parameters":{parameters}}}}}"#)
}

fn adapt(schema: &Value) -> Value {
    let map = match schema {
        Value::Bool(true) => return json!({}),
        Value::Bool(false) => return json!({ "not": {} }),
        Value::Object(map) => map,
        // Not a schema; it was compiled all the same, so it is a list of names (`dependencies`).
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => return schema.clone(),
    };
    let mut out = Map::new();
    for (name, value) in map {
        if matches!(name.as_str(), "$schema" | "$comment") {
            continue;
        }
        let adapted = match (keyword(name), value) {
            // These are asked for their truth everywhere, and taken as booleans everywhere.
            (_, Value::Bool(_)) if is_rest(name) => value.clone(),
            (_, Value::Object(rest)) if is_rest(name) && rest.is_empty() => json!(true),
            (Some((_, Shape::Schemas)), Value::Array(items)) => items.iter().map(adapt).collect(),
            (Some((_, Shape::Schemas)), _) => adapt(value),
            (Some((_, Shape::Map)), Value::Object(map)) => {
                Value::Object(map.iter().map(|(name, value)| (name.clone(), adapt(value))).collect())
            }
            (None, Value::String(told)) if matches!(name.as_str(), "description" | "title") => {
                Value::from(text::strip_hidden(told).0)
            }
            (Some((_, Shape::Map)) | None, _) => value.clone(),
        };
        out.insert(name.clone(), adapted);
    }
    let is = |kind: &str| out.get("type").and_then(Value::as_str) == Some(kind);
    if is("object") && !out.contains_key("properties") {
        out.insert("properties".to_owned(), json!({}));
    } else if is("array") && !out.contains_key("items") && !out.contains_key("prefixItems") {
        out.insert("items".to_owned(), json!({}));
    }
    Value::Object(out)
}

fn is_rest(name: &str) -> bool {
    matches!(name, "additionalProperties" | "unevaluatedProperties" | "additionalItems" | "unevaluatedItems")
}

/// Merges what `allOf`, `anyOf` and `oneOf` at the top say about properties into the top itself, wherever each branch
/// says no more than that; what is required is what every branch of a choice requires.
fn flatten(root: &mut Map<String, Value>) {
    for name in ["allOf", "anyOf", "oneOf"] {
        let Some(Value::Array(branches)) = root.get(name) else { continue };
        let plain = |branch: &Value| {
            branch.as_object().is_some_and(|branch| {
                branch.keys().all(|key| {
                    matches!(
                        key.as_str(),
                        "type" | "properties" | "required" | "title" | "description" | "additionalProperties"
                    )
                })
            })
        };
        if branches.is_empty() || !branches.iter().all(plain) {
            continue;
        }
        let branches = branches.clone();
        let mut required: Option<Vec<Value>> = None;
        for branch in &branches {
            let own: Vec<Value> = branch.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
            required = Some(match required {
                None => own,
                Some(mut all) if name == "allOf" => {
                    all.extend(own);
                    all
                }
                Some(common) => common.into_iter().filter(|property| own.contains(property)).collect(),
            });
            let Some(Value::Object(properties)) = branch.get("properties") else { continue };
            let merged = root.entry("properties").or_insert_with(|| json!({}));
            let Value::Object(merged) = merged else { continue };
            for (property, schema) in properties {
                match merged.get_mut(property) {
                    None => {
                        merged.insert(property.clone(), schema.clone());
                    }
                    Some(same) if same == schema => {}
                    // Branches that differ about it: either will do, the server's own schema decides.
                    Some(other) => match other.get_mut("anyOf").and_then(Value::as_array_mut) {
                        Some(forms) if !forms.contains(schema) => forms.push(schema.clone()),
                        Some(_) => {}
                        None => *other = json!({ "anyOf": [other.clone(), schema.clone()] }),
                    },
                }
            }
        }
        root.shift_remove(name);
        // A branch's ban on other properties was about its own; merged it would ban the other branches'.
        let mut all: Vec<Value> = root.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        for property in required.unwrap_or_default() {
            if !all.contains(&property) {
                all.push(property);
            }
        }
        if !all.is_empty() {
            root.insert("required".to_owned(), Value::Array(all));
        }
    }
}
