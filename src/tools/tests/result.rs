//! Results: every kind of content, cutting, cleaning, structured content.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::chat::{Limits, OutcomeKind, ToolOutcome};
use crate::tools::tests::{offered, tool};
use crate::tools::{Problem, invalid_arguments_message, shape_result, unknown_tool_message};

fn shape(raw: &Value) -> ToolOutcome {
    shape_result(&offered(tool("t")), raw, &Limits::default())
}

fn text(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }] })
}

fn check(raw: Value, kind: OutcomeKind, content: &str) {
    let outcome = shape(&raw);
    assert_eq!((outcome.kind, outcome.content.as_str()), (kind, content), "{raw}");
    assert!(outcome.sent && !outcome.truncated);
}

#[test]
fn every_kind_of_content_is_told() {
    use OutcomeKind::{Done, Failed};
    check(text("hi"), Done, "hi");
    check(json!({ "content": [{ "type": "text", "text": "no" }], "isError": true }), Failed, "no");
    check(json!({ "content": [{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }] }), Done, "a\nb");
    check(
        json!({ "content": [{ "type": "image", "mimeType": "image/png", "data": "AAAAAAA=" }] }),
        Done,
        "[image: image/png, 5 bytes, not shown here]",
    );
    check(
        json!({ "content": [{ "type": "audio", "data": "AAAA" }] }),
        Done,
        "[audio: of unknown type, 3 bytes, not shown here]",
    );
    check(
        json!({ "content": [{ "type": "resource", "resource": { "uri": "file:///a", "mimeType": "text/plain", "text": "body" } }] }),
        Done,
        "[resource file:///a (text/plain)]\nbody",
    );
    check(
        json!({ "content": [{ "type": "resource", "resource": { "uri": "x:b", "blob": "AAAA" } }] }),
        Done,
        "[resource x:b: of unknown type, 3 bytes, not shown here]",
    );
    check(
        json!({ "content": [{ "type": "resource_link", "uri": "x:c", "name": "C", "size": 2048 }] }),
        Done,
        "[link to x:c, C, 2 KiB]",
    );
    check(
        json!({ "content": [{ "type": "hologram", "data": "zzz" }] }),
        Done,
        r#"[content of the unknown type hologram] {"type":"hologram","data":"(3 characters)"}"#,
    );
    check(json!({ "content": [] }), Done, "(the result is empty)");
    check(json!({}), Done, "(the result is empty)");
    check(json!(null), Done, "(the result is empty)");
}

#[test]
fn what_is_no_tool_result_is_given_as_it_came() {
    use OutcomeKind::{Done, Failed};
    check(json!("bare"), Done, "bare");
    check(json!([1, 2]), Done, "[1,2]");
    check(json!({ "answer": 42 }), Done, r#"{"answer":42}"#);
    check(json!({ "content": "just text", "isError": true }), Failed, "just text");
    check(json!({ "content": 7 }), Done, "7");
    check(json!({ "content": ["a", null, 3, { "text": "no type" }] }), Done, "a\n3\nno type");
    assert_eq!(shape(&json!([1])).notes.len(), 1);
}

#[test]
fn structured_content_is_told_once() {
    let value = json!({ "b": 1, "a": [2.5, null] });
    let both = json!({ "content": [{ "type": "text", "text": " { \"a\": [2.5, null], \"b\": 1 } " }], "structuredContent": value });
    let outcome = shape(&both);
    assert_eq!(outcome.content, r#" { "a": [2.5, null], "b": 1 } "#);
    assert_eq!(outcome.structured, Some(value.clone()));
    assert_eq!(shape(&json!({ "structuredContent": value })).content, r#"{"b":1,"a":[2.5,null]}"#);
    let summary = json!({ "content": [{ "type": "text", "text": "two" }], "structuredContent": value });
    assert_eq!(shape(&summary).content, "two\n{\"b\":1,\"a\":[2.5,null]}");
}

#[test]
fn an_output_schema_that_is_not_met_is_noted_and_nothing_is_lost() {
    let mut definition = tool("t");
    definition["outputSchema"] =
        json!({ "type": "object", "properties": { "n": { "type": "number" } }, "required": ["n"] });
    let tool = offered(definition);
    let shape = |raw: Value| shape_result(&tool, &raw, &Limits::default());
    let good = shape(json!({ "content": [], "structuredContent": { "n": 1 } }));
    assert!(good.notes.is_empty());
    let bad = shape(json!({ "content": [{ "type": "text", "text": "x" }], "structuredContent": { "n": "1" } }));
    assert_eq!(bad.kind, OutcomeKind::Done);
    assert_eq!(bad.content, "x\n{\"n\":\"1\"}");
    assert!(bad.notes[0].contains("/n: It must be of type number"), "{:?}", bad.notes);
    assert_eq!(shape(text("x")).notes.len(), 1);
    assert!(shape(json!({ "content": [], "isError": true })).notes.is_empty());
}

#[test]
fn hidden_characters_do_not_reach_the_model_and_stay_in_the_whole() {
    let raw = "safe\u{1b}[31m \u{202e}text\u{e0049}\u{e0047}";
    let outcome = shape(&text(raw));
    assert_eq!(outcome.content, "safe text");
    assert_eq!(outcome.full.as_deref(), Some(raw));
    assert_eq!(outcome.notes.len(), 1);
}

#[test]
fn a_long_result_is_cut_in_the_middle_and_kept_whole() {
    let long = format!("BEGIN{}END", "ä".repeat(100_000));
    let outcome = shape(&text(&long));
    assert!(outcome.truncated);
    assert!(outcome.content.len() <= 32 * 1024);
    assert!(outcome.content.len() > 31 * 1024);
    assert!(outcome.content.starts_with("BEGIN") && outcome.content.ends_with("END"));
    assert!(outcome.content.contains("of 200008 bytes are left out here"), "{}", outcome.content);
    assert_eq!(outcome.full.as_deref(), Some(long.as_str()));
    assert_eq!(outcome.bytes, 200_008);
    let limits = Limits { result: 1_000, result_kept: 2_001, ..Limits::default() };
    let kept = shape_result(&offered(tool("t")), &text(&long), &limits);
    assert_eq!(kept.full.map(|full| full.len()), Some(2_001));
    assert_eq!(kept.notes.len(), 1);
}

#[test]
fn binary_content_can_still_be_saved() {
    let raw = json!({ "content": [{ "type": "image", "mimeType": "image/png", "data": "A".repeat(4_000) }] });
    let outcome = shape(&raw);
    assert!(!outcome.content.contains("AAAA"));
    assert_eq!(outcome.bytes - outcome.content.len() as u64, 3_000);
    assert_eq!(serde_json::from_str::<Value>(&outcome.full.unwrap()).unwrap(), raw);
}

#[test]
fn the_model_is_told_how_to_do_better() {
    assert_eq!(
        unknown_tool_message("raed\u{200b}", &["fs__read".to_owned()]),
        "There is no tool `raed`. Did you mean `fs__read`?"
    );
    assert_eq!(unknown_tool_message("x", &[]), "There is no tool `x`. Use only the tools that are offered.");
    let problems = [
        Problem { path: String::new(), message: "The property `\"a\"` is required.".to_owned() },
        Problem { path: "/b".to_owned(), message: "It must be at least 1.".to_owned() },
    ];
    assert_eq!(
        invalid_arguments_message(&problems),
        "The arguments do not match the tool's schema, so it was not called.\n\
         - the arguments: The property `\"a\"` is required.\n- /b: It must be at least 1."
    );
}

proptest! {
    #[test]
    fn any_text_is_cut_between_characters(text in "[a\u{e4}\u{20ac}\u{1f600}]{0,400}", limit in 0_u64..600) {
        let limits = Limits { result: limit, ..Limits::default() };
        let raw = json!({ "content": [{ "type": "text", "text": text }] });
        let outcome = shape_result(&offered(tool("t")), &raw, &limits);
        prop_assert_eq!(outcome.truncated, text.len() as u64 > limit);
        if outcome.truncated {
            prop_assert!(outcome.content.len() as u64 <= limit.max(110));
            prop_assert_eq!(outcome.full, Some(text));
        }
    }

    #[test]
    fn any_json_makes_an_outcome(raw in any_json()) {
        let outcome = shape(&raw);
        prop_assert!(!outcome.content.is_empty());
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "(text|image|resource|x{0,3})".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let key = "(content|type|text|data|resource|uri|blob|isError|structuredContent|mimeType)";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..5).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}
