//! Plainer schemas, level by level.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::levels::{at_levels, offered};
use crate::chat::ToolList;

fn list(parameters: &Value) -> ToolList {
    let plain = r#"{"type":"function","function":{"name":"other", "description":"","parameters":{"type":"object"}}}"#;
    let raised = json!({"type": "function", "function": {"name": "fs__find", "description": "Finds.", "parameters": parameters}});
    ToolList { json: format!("[{raised},{plain}]"), hash: String::new(), count: 2 }
}

/// The element's function at a level; the other element must keep its bytes.
fn at(parameters: &Value, level: u8) -> Value {
    let list = list(parameters);
    let [(name, hash), (_, other)] = offered(&list).try_into().unwrap();
    assert_eq!(name, "fs__find");
    let raised = at_levels(&list, |known| if known == hash { level } else { 0 }).unwrap();
    assert_eq!((raised.count, &offered(&raised)[1].1), (2, &other));
    assert_eq!(at_levels(&list, |_| 0), None);
    serde_json::from_str::<Value>(&raised.json).unwrap()[0]["function"].clone()
}

#[test]
fn references_are_inlined_and_end_where_they_return() {
    let schema = json!({"type": "object", "properties": {"tree": {"$ref": "#/$defs/node"}, "at": {"$ref": "#/$defs/place", "description": "where"}},
        "$defs": {"node": {"type": "object", "properties": {"left": {"$ref": "#/$defs/node"}}}, "place": {"type": "string"}}});
    let made = at(&schema, 1);
    assert_eq!(
        made["parameters"],
        json!({"type": "object", "properties": {
            "tree": {"type": "object", "properties": {"left": {"type": "object", "properties": {}, "description": "(the same form again)"}}},
            "at": {"type": "string", "description": "where"}}})
    );
}

#[test]
fn combinations_at_the_top_are_merged_and_told() {
    let schema = json!({"type": "object", "oneOf": [
        {"properties": {"id": {"type": "string"}, "n": {"type": "integer"}}, "required": ["id", "n"], "minProperties": 1},
        {"properties": {"name": {"type": "string"}, "n": {"type": "integer"}}, "required": ["name", "n"]}]});
    let made = at(&schema, 1);
    assert_eq!(made["parameters"]["required"], json!(["n"]));
    assert_eq!(made["parameters"]["properties"].as_object().unwrap().len(), 3);
    assert!(made["parameters"].get("oneOf").is_none());
    assert_eq!(made["description"], "Finds.\nGive one of these together: id, n; or name, n.");
}

#[test]
fn the_second_level_is_what_gemini_knows() {
    let schema = json!({"type": "object", "$schema": "x", "additionalProperties": false, "required": ["a", "gone"], "properties": {
        "a": {"type": ["string", "null"], "pattern": "x", "format": "uri"},
        "b": {"const": 5},
        "c": {"enum": [1, "two", null]},
        "d": {"type": "array"},
        "e": {"oneOf": [{"type": "string"}, {"type": "number", "exclusiveMinimum": 0, "maximum": 9}, {"type": "null"}]},
        "f": {"type": "string", "format": "date-time"},
        "g": {},
        "h": {"type": ["string", "integer"]}}});
    assert_eq!(
        at(&schema, 2)["parameters"],
        json!({"type": "object", "properties": {
            "a": {"type": "string", "nullable": true},
            "b": {"type": "string", "enum": ["5"]},
            "c": {"type": "string", "enum": ["1", "two"], "nullable": true},
            "d": {"type": "array", "items": {"type": "string"}},
            "e": {"anyOf": [{"type": "string"}, {"type": "number", "maximum": 9}], "nullable": true},
            "f": {"type": "string", "format": "date-time"},
            "g": {"type": "string"},
            "h": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
          "required": ["a"]})
    );
}

#[test]
fn the_last_level_says_the_schema_in_words() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let made = at(&schema, 3);
    assert_eq!(made["parameters"], json!({"type": "object", "properties": {}}));
    assert_eq!(made["description"], format!("Finds.\nArguments, as JSON Schema: {schema}"));
}

#[test]
fn hostile_schemas_stay_small() {
    let mut defs = serde_json::Map::new();
    for n in 0..40 {
        let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
        defs.insert(format!("d{n}"), json!({"type": "object", "properties": {"a": next, "b": next, "c": next}}));
    }
    let schema = json!({"type": "object", "properties": {"x": {"$ref": "#/$defs/d0"}}, "$defs": defs});
    for level in 1..=3 {
        assert!(at(&schema, level).to_string().len() < 2 << 20);
    }
}

/// Anything that may stand where a schema should.
fn schemas() -> impl Strategy<Value = Value> {
    let words =
        ["string", "object", "array", "null", "#", "#/$defs/a", "#/properties/a", "#/nowhere", "a", "date-time"];
    let keys = [
        "type",
        "properties",
        "items",
        "anyOf",
        "oneOf",
        "allOf",
        "$ref",
        "$defs",
        "a",
        "enum",
        "const",
        "required",
        "additionalProperties",
        "prefixItems",
        "not",
        "format",
        "description",
        "nullable",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        prop::sample::select(words.to_vec()).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(keys.to_vec()), inner), 0..6).prop_map(|entries| {
                Value::Object(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            }),
        ]
    })
}

/// Whether `$ref` stands as a keyword; a property may be called so.
fn refers(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => {
            map.contains_key("$ref")
                || map.iter().any(|(key, value)| match key.as_str() {
                    "properties" => value.as_object().is_some_and(|all| all.values().any(refers)),
                    "enum" | "const" | "default" => false,
                    _ => refers(value),
                })
        }
        Value::Array(items) => items.iter().any(refers),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_schema_has_a_plainer_form(schema in schemas()) {
        for level in 1..=3 {
            let made = at(&schema, level);
            let root = &made["parameters"];
            prop_assert!(root["type"] == "object" && root["properties"].is_object(), "level {}: {}", level, made);
            prop_assert!(level == 1 || !refers(root), "level {}: {}", level, made);
        }
    }
}
