//! Schemas: hostile ones, and what is said of arguments that do not match.

use serde_json::{Value, json};

use crate::chat::Limits;
use crate::tools::schema::Schema;

fn compile(schema: &Value) -> Result<(Schema, Vec<String>), String> {
    let mut notes = Vec::new();
    Schema::compile(schema, &Limits::default(), &mut notes).map(|schema| (schema, notes))
}

fn refused(schema: &Value, because: &str) {
    let reason = compile(schema).err().unwrap_or_else(|| panic!("accepted: {because}"));
    assert!(reason.contains(because), "{reason}");
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(json!({}), |inner, _| json!({ "items": inner }))
}

#[test]
fn hostile_schemas_are_refused_with_their_reason() {
    refused(&nested(200), "nested deeper than 64");
    refused(&json!({ "enum": (0..20_000).collect::<Vec<_>>() }), "more than 10000 nodes");
    refused(&json!({ "description": "x".repeat(300_000) }), "the limit is 262144");
    refused(&json!({ "$ref": "https://example.com/schema.json" }), "nothing is fetched");
    refused(&json!({ "$ref": "http://127.0.0.1:1/x" }), "nothing is fetched");
    refused(&json!({ "$ref": "file:///etc/passwd" }), "nothing is fetched");
    refused(&json!({ "properties": { "a": { "$ref": "other.json#/a" } } }), "nothing is fetched");
    refused(&json!({ "$ref": "#/$defs/none" }), "which is not there");
    refused(&json!({ "$defs": { "unused": { "$ref": "#/none" } } }), "which is not there");
    refused(&json!({ "$ref": "#" }), "without end");
    refused(&json!({ "$ref": "#/$defs/a", "$defs": { "a": { "allOf": [{ "$ref": "#/$defs/a" }] } } }), "without end");
    let patterns = (0..200).map(|at| (format!("p{at}"), json!({ "pattern": "^a" }))).collect::<serde_json::Map<_, _>>();
    refused(&json!({ "properties": patterns }), "more than 100 patterns");
    refused(&json!({ "patternProperties": patterns }), "more than 100 patterns");
    refused(&json!({ "type": "int" }), "not valid at /type");
    refused(&json!({ "required": "a" }), "not valid at /required");
}

#[test]
fn a_few_lines_that_stand_for_billions_are_refused() {
    let mut defs = serde_json::Map::new();
    for at in 0..40 {
        let next = format!("#/$defs/d{}", at + 1);
        defs.insert(format!("d{at}"), json!({ "allOf": [{ "$ref": next }, { "$ref": next }] }));
    }
    defs.insert("d40".to_owned(), json!({ "type": "object" }));
    refused(&json!({ "$ref": "#/$defs/d0", "$defs": defs }), "held against more than 20000");
}

/// On a thread with the stack of a worker, so that a deep one would be seen to overflow it.
#[test]
fn long_chains_of_references_do_not_overflow_the_stack() {
    let chain = |step: fn(String) -> Value| {
        let mut defs = serde_json::Map::new();
        for at in 0..1_500 {
            defs.insert(format!("d{at}"), step(format!("#/$defs/d{}", at + 1)));
        }
        defs.insert("d1500".to_owned(), json!({ "type": "string" }));
        json!({ "$ref": "#/$defs/d0", "$defs": defs })
    };
    refused(&chain(|next| json!({ "$ref": next })), "chain of references");
    let through_properties = chain(|next| json!({ "properties": { "a": { "$ref": next } } }));
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    let judged =
        thread.spawn(move || compile(&through_properties).map(|(schema, _)| schema.check(&json!({ "a": 5 })).is_ok()));
    assert!(judged.unwrap().join().is_ok());
}

#[test]
fn recursive_schemas_work() {
    let (schema, _) = compile(&json!({
        "$ref": "#/$defs/node",
        "$defs": { "node": {
            "type": "object",
            "properties": { "name": { "type": "string" }, "children": { "type": "array", "items": { "$ref": "#/$defs/node" } } },
            "required": ["name"],
        } },
    }))
    .unwrap();
    assert!(schema.check(&json!({ "name": "a", "children": [{ "name": "b" }] })).is_ok());
    let problems = schema.check(&json!({ "name": "a", "children": [{ "name": 1 }] })).unwrap_err();
    assert_eq!(problems[0].path, "/children/0/name");
}

#[test]
fn patterns_run_in_linear_time_and_others_are_left_to_the_server() {
    let (schema, notes) = compile(&json!({
        "properties": {
            "slow": { "type": "string", "pattern": "^(a+)+$" },
            "mail": { "type": "string", "pattern": "^(?!\\.)[a-z.]+@x$" },
            "map": { "type": "object", "patternProperties": { "^(?=x)": { "type": "number" }, "^y": { "type": "number" } } },
        },
    }))
    .unwrap();
    assert_eq!(notes.len(), 2, "{notes:?}");
    let long = format!("{}!", "a".repeat(50_000));
    assert!(schema.check(&json!({ "slow": long })).is_err());
    assert!(schema.check(&json!({ "slow": "aaa", "mail": "anything" })).is_ok());
    assert!(schema.check(&json!({ "map": { "y": "text" } })).is_err());
    assert!(schema.check(&json!({ "map": { "x": "text" } })).is_ok());
}

#[test]
fn what_is_left_of_a_loosened_schema_accepts_all_that_the_whole_did() {
    let odd = "^(?!x)";
    for (schema, value) in [
        (json!({ "patternProperties": { odd: {} }, "additionalProperties": false }), json!({ "a": 1 })),
        (json!({ "properties": { "a": { "not": { "pattern": odd } } } }), json!({ "a": "x" })),
        (json!({ "properties": { "a": { "oneOf": [{ "pattern": odd }, { "pattern": "^x" }] } } }), json!({ "a": "x" })),
        (
            json!({ "if": { "properties": { "a": { "pattern": odd } } }, "then": { "required": ["b"] } }),
            json!({ "a": "x" }),
        ),
        (json!({ "propertyNames": { "pattern": odd } }), json!({ "a": 1 })),
        (json!({ "patternProperties": { "[": {} }, "additionalProperties": false }), json!({ "a": 1 })),
        (json!({ "properties": { "a": { "pattern": "[" } } }), json!({ "a": "x" })),
    ] {
        let (compiled, notes) = compile(&schema).unwrap_or_else(|reason| panic!("{schema}: {reason}"));
        assert_eq!(compiled.check(&value), Ok(()), "{schema}");
        assert_eq!(notes.len(), 1, "{schema}: {notes:?}");
    }
}

#[test]
fn a_huge_pattern_is_not_compiled() {
    let (schema, notes) =
        compile(&json!({ "properties": { "a": { "pattern": "(?:(?:\\w{200}){200}){200}" } } })).unwrap();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(schema.check(&json!({ "a": "x" })).is_ok());
}

#[test]
fn drafts_are_read_as_declared_and_older_ones_guessed() {
    let tuple = json!({ "properties": { "a": { "type": "array", "items": [{ "type": "number" }] } } });
    let (schema, _) = compile(&tuple).unwrap();
    assert!(schema.check(&json!({ "a": ["x"] })).is_err());
    let mut declared = tuple.clone();
    declared["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    assert!(compile(&declared).is_err());
    declared["$schema"] = json!("http://json-schema.org/draft-07/schema");
    assert!(compile(&declared).is_ok());
    let (schema, _) = compile(&json!({ "properties": { "n": { "minimum": 0, "exclusiveMinimum": true } } })).unwrap();
    assert!(schema.check(&json!({ "n": 0 })).is_err());
    let (_, notes) = compile(&json!({ "$schema": "https://example.com/mine", "type": "object" })).unwrap();
    assert_eq!(notes, ["The draft that its schema names is unknown; it is read as 2020-12."]);
}

#[test]
fn problems_are_sentences_and_few() {
    let (schema, _) = compile(&json!({
        "type": "object",
        "properties": {
            "n": { "type": "integer", "minimum": 1, "maximum": 9 },
            "s": { "enum": ["a", "b"] },
            "p": { "pattern": "^[0-9]+$" },
            "l": { "type": "array", "items": { "type": "string" }, "maxItems": 2 },
        },
        "required": ["n"],
        "additionalProperties": false,
    }))
    .unwrap();
    let check = |value: Value, expect: &[&str]| {
        let problems = schema.check(&value).unwrap_err();
        let told: Vec<String> = problems.iter().map(|p| format!("{} {}", p.path, p.message)).collect();
        assert_eq!(told, expect);
    };
    check(json!({}), &[" The property `\"n\"` is required."]);
    check(json!({ "n": "1" }), &["/n It must be of type integer, and is `\"1\"`."]);
    check(json!({ "n": 0 }), &["/n It must be at least 1."]);
    check(json!({ "n": 1, "s": "c" }), &["/s It must be one of [\"a\",\"b\"], and is `\"c\"`."]);
    check(json!({ "n": 1, "p": "x" }), &["/p It must match the pattern `^[0-9]+$`."]);
    check(json!({ "n": 1, "z": 1 }), &[" There is no such property: `z`."]);
    let many = schema.check(&json!({ "n": 1, "l": (0..100).collect::<Vec<_>>() })).unwrap_err();
    assert_eq!(many.len(), 5);
    let long = schema.check(&json!({ "n": "x".repeat(10_000) })).unwrap_err();
    assert!(long[0].message.len() < 400);
}

#[test]
fn a_check_is_quick_only_where_nothing_can_multiply() {
    let quick = |schema: Value, value: &Value| compile(&schema).unwrap().0.is_quick(value);
    let plain = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": { "path": { "type": "string" }, "lines": { "type": "array", "items": { "type": "integer" } } },
        "required": ["path"],
    });
    let small = json!({ "path": "src/main.rs", "lines": [1, 2] });
    assert!(quick(plain.clone(), &small));
    assert!(!quick(plain.clone(), &json!({ "path": "x".repeat(1 << 20) })));
    assert!(!quick(plain, &json!({ "path": "", "lines": vec![1; 10_000] })));
    for dear in [
        json!({ "properties": { "path": { "pattern": "^a" } } }),
        json!({ "properties": { "path": { "$ref": "#/$defs/a" } }, "$defs": { "a": {} } }),
        json!({ "properties": { "lines": { "uniqueItems": true } } }),
        json!({ "unevaluatedProperties": false }),
    ] {
        assert!(!quick(dear, &small));
    }
}
