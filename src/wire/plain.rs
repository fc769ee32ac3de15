//! The events that make up nearly all of a stream, read without building a tree: words, reasoning, fragments of calls.
//!
//! # Invariants
//! - Says what the general reader (`chat`) says of the same event, or nothing: whatever is not plain is left to it.
//!
//! # Does not
//! Judge fields that nobody reads: an unknown one may hold what the general reader would call broken.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Map;

use crate::chat::{ArgumentsPart, CallFragment, Delta};

/// An event with one choice, and nothing beside it that would have to be looked at.
#[derive(Deserialize)]
struct Event {
    choices: (Object<Choice>,),
    #[serde(default, rename = "error")]
    _error: Absent,
    #[serde(default, rename = "errors")]
    _errors: Absent,
    #[serde(default, rename = "base_resp")]
    _base_resp: Absent,
    #[serde(default, rename = "usage")]
    _usage: Absent,
    #[serde(default, rename = "x_groq")]
    _x_groq: Absent,
}

#[derive(Deserialize)]
struct Choice {
    delta: Object<Message>,
    #[serde(default, rename = "finish_reason")]
    _finish_reason: Absent,
    #[serde(default, rename = "usage")]
    _usage: Absent,
    #[serde(default, rename = "error")]
    _error: Absent,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    reasoning_content: Option<String>,
    #[serde(default)]
    reasoning: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<Object<Call>>>,
    #[serde(default, rename = "reasoning_text")]
    _reasoning_text: Absent,
    #[serde(default, rename = "thinking")]
    _thinking: Absent,
    #[serde(default, rename = "function_call")]
    _function_call: Absent,
    #[serde(default, rename = "reasoning_details")]
    _reasoning_details: Empty,
    #[serde(default, rename = "reasoning_opaque")]
    _reasoning_opaque: Absent,
    #[serde(default, rename = "encrypted_content")]
    _encrypted_content: Absent,
    #[serde(default, rename = "thinking_blocks")]
    _thinking_blocks: Absent,
    #[serde(default, rename = "extra_content")]
    _extra_content: Absent,
}

/// Unknown fields of a call are kept verbatim, so one that has any is not plain.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    #[serde(default)]
    index: Option<u64>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default, rename = "type")]
    _kind: Option<IgnoredAny>,
    function: Object<Function>,
}

#[derive(Deserialize)]
struct Function {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
}

/// An object. A derived reader would take a list for one, its entries for the fields in their order.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(Fields(PhantomData))
    }
}

/// A field that is null, or not there.
#[derive(Default)]
struct Absent;

impl<'de> Deserialize<'de> for Absent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <()>::deserialize(deserializer).map(|()| Self)
    }
}

/// A list without entries, null, or not there.
#[derive(Default)]
struct Empty;

impl<'de> Deserialize<'de> for Empty {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<[(); 0]>::deserialize(deserializer).map(|_| Self)
    }
}

/// The event's deltas; None where the general reader must look. `marked` says that the marker for `reasoning_content`
/// was given out.
pub(super) fn deltas(data: &str, marked: &mut bool) -> Option<Vec<Delta>> {
    let Object(Event { choices: (Object(Choice { delta: Object(delta), .. }),), .. }) =
        serde_json::from_str(data).ok()?;
    let mut out = Vec::with_capacity(1);
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    if let Some(text) = given(delta.reasoning_content) {
        out.push(Delta::Reasoning(text));
        if !std::mem::replace(marked, true) {
            out.push(Delta::Extra(Map::from_iter([(super::REASONING_MARKER.to_owned(), "".into())])));
        }
    } else {
        out.extend(given(delta.reasoning).map(Delta::Reasoning));
    }
    out.extend(given(delta.content).map(Delta::Text));
    out.extend(given(delta.refusal).map(Delta::Refusal));
    for Object(Call { index, id, function: Object(function), .. }) in delta.tool_calls.into_iter().flatten() {
        let fragment = CallFragment {
            index,
            id: given(id),
            name: given(function.name),
            arguments: function.arguments.map(ArgumentsPart::Text),
            extra: Map::new(),
            done: false,
        };
        if fragment.id.is_some() || fragment.name.is_some() || fragment.arguments.is_some() {
            out.push(Delta::Call(fragment));
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::chat::Stream;

    /// Both readers over the same events; how many of them the plain one took.
    fn check(events: &[String]) -> usize {
        let (mut plain, mut general) = (Stream::default(), Stream::default());
        let mut taken = 0;
        for event in events {
            let value: Value = serde_json::from_str(event).unwrap();
            let expect = general.event(event, &value);
            match plain.plain(event) {
                Some(deltas) => {
                    taken += 1;
                    assert_eq!(deltas, expect, "{event}");
                }
                None => assert_eq!(plain.event(event, &value), expect, "{event}"),
            }
        }
        taken
    }

    #[test]
    fn a_list_is_no_object() {
        for event in [
            r#"{"choices":[{"delta":[null,"words"]}]}"#,
            r#"{"choices":[[{"content":"words"}]]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"function":["a","{}"]}]}}]}"#,
        ] {
            assert_eq!(Stream::default().plain(event), None, "{event}");
            check(&[event.to_owned()]);
        }
    }

    #[test]
    fn what_is_plain_is_read_alike() {
        let delta = |delta: Value| {
            json!({"id": "x", "usage": null, "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": null}]}).to_string()
        };
        let plain = [
            json!({"role": "assistant", "content": "", "refusal": null}),
            json!({"content": "a\"\u{e9}\n"}),
            json!({"reasoning_content": "Hm", "content": null}),
            json!({"reasoning_content": "m."}),
            json!({"reasoning": "Hm", "reasoning_details": []}),
            json!({"refusal": "No."}),
            json!({"tool_calls": [{"index": 1, "id": "c", "type": "function", "function": {"name": "a", "arguments": ""}}]}),
            json!({"tool_calls": [{"index": 1, "function": {"arguments": "{\"a"}}, {"function": {}, "id": ""}]}),
            json!({"tool_calls": []}),
            json!({}),
        ];
        let plain: Vec<String> = plain.into_iter().map(delta).collect();
        assert_eq!(check(&plain), plain.len());
        let other = [
            delta(json!({"content": [{"type": "text", "text": "x"}]})),
            delta(json!({"tool_calls": [{"function": {"name": "a", "arguments": {}}}]})),
            delta(json!({"tool_calls": [{"function": {"name": "a"}, "extra_content": 1}]})),
            delta(json!({"tool_calls": {"function": {"name": "a"}}})),
            delta(json!({"reasoning_details": [{"type": "reasoning.text", "text": "x"}]})),
            json!({"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}]}).to_string(),
            json!({"choices": [{"delta": {"content": "x"}}], "usage": {}}).to_string(),
            json!({"choices": [{"delta": {"content": "x"}}], "error": "no"}).to_string(),
            json!({"choices": [{"delta": {"content": "x"}}, {"delta": {"content": "y"}}]}).to_string(),
            json!({"choices": [{"message": {"content": "x"}}]}).to_string(),
            json!({"choices": []}).to_string(),
        ];
        assert_eq!(check(&other), 0);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0_u64..3).prop_map(Value::from),
            prop::sample::select(vec!["", "a", "{\"", "}", "null", "stop", "error"]).prop_map(Value::from),
        ];
        let keys = prop::sample::select(vec![
            "content",
            "reasoning",
            "reasoning_content",
            "reasoning_details",
            "thinking",
            "refusal",
            "tool_calls",
            "index",
            "id",
            "type",
            "function",
            "name",
            "arguments",
            "function_call",
            "extra_content",
            "role",
            "x",
        ]);
        leaf.prop_recursive(5, 24, 4, move |inner| {
            let keys = keys.clone();
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::vec((keys, inner), 0..5)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn both_readers_say_the_same(
            deltas in prop::collection::vec(value(), 0..4), finish in value(), beside in value(), key in "usage|error|errors|x_groq|object|message",
        ) {
            let events: Vec<String> = deltas
                .into_iter()
                .map(|delta| json!({"choices": [{"delta": delta, "finish_reason": finish}], key.as_str(): beside}).to_string())
                .collect();
            check(&events);
        }
    }
}
