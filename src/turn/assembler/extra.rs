//! Message-level fields that come in pieces, joined so that they can be sent back as one.

use serde_json::{Map, Value};

/// The fields of one entry that arrive as pieces of text (OpenRouter's `reasoning_details`).
const PIECES: [&str; 3] = ["text", "summary", "data"];

/// Lists go on, objects go on field by field, anything else is replaced.
pub(super) fn merge(into: &mut Map<String, Value>, fields: &Map<String, Value>) {
    for (key, value) in fields {
        match (into.get_mut(key), value) {
            (Some(Value::Array(list)), Value::Array(more)) => more.iter().for_each(|entry| append(list, entry)),
            (Some(Value::Object(known)), Value::Object(more)) => merge(known, more),
            (None, Value::Array(more)) => {
                let mut list = Vec::with_capacity(more.len());
                more.iter().for_each(|entry| append(&mut list, entry));
                into.insert(key.clone(), Value::Array(list));
            }
            _ => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

/// A piece of the last entry joins it; anything else is a new entry.
fn append(list: &mut Vec<Value>, entry: &Value) {
    if let (Some(Value::Object(last)), Value::Object(piece)) = (list.last_mut(), entry)
        && goes_on(last, piece)
    {
        for (key, value) in piece {
            match (last.get_mut(key), value) {
                (_, Value::Null) => {}
                (Some(Value::String(text)), Value::String(more)) if PIECES.contains(&key.as_str()) => {
                    text.push_str(more);
                }
                _ => {
                    last.insert(key.clone(), value.clone());
                }
            }
        }
    } else {
        list.push(entry.clone());
    }
}

/// A piece of text or a signature, of the same type and index, with no other id; and the entry was not signed yet.
fn goes_on(last: &Map<String, Value>, piece: &Map<String, Value>) -> bool {
    let given = |entry: &Map<String, Value>, key: &str| entry.get(key).filter(|value| !value.is_null()).cloned();
    let same = |key| given(last, key) == given(piece, key);
    let compatible = |key| given(piece, key).is_none() || given(last, key).is_none() || same(key);
    let streamed =
        PIECES.iter().any(|key| piece.get(*key).is_some_and(Value::is_string)) || given(piece, "signature").is_some();
    streamed
        && given(piece, "type").is_some()
        && same("type")
        && same("index")
        && compatible("id")
        && compatible("format")
        && given(last, "signature").is_none()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(pieces: &[Value], expect: &Value) {
        let mut extra = Map::new();
        for piece in pieces {
            merge(&mut extra, piece.as_object().expect("an object"));
        }
        assert_eq!(&Value::Object(extra), expect);
    }

    #[test]
    fn pieces_of_one_entry_are_joined_and_its_signature_is_kept() {
        check(
            &[
                json!({"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "Lo"}]}),
                json!({"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "ok"}]}),
                json!({"reasoning_details": [{"type": "reasoning.text", "index": 0, "signature": "s"}]}),
                json!({"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "next"}]}),
                json!({"reasoning_details": [{"type": "reasoning.encrypted", "index": 1, "data": "x"}]}),
            ],
            &json!({"reasoning_details": [
                {"type": "reasoning.text", "index": 0, "text": "Look", "signature": "s"},
                {"type": "reasoning.text", "index": 0, "text": "next"},
                {"type": "reasoning.encrypted", "index": 1, "data": "x"},
            ]}),
        );
    }

    #[test]
    fn what_is_no_list_is_replaced() {
        check(
            &[json!({"a": 1, "o": {"x": 1}}), json!({"a": 2, "o": {"y": 2}})],
            &json!({"a": 2, "o": {"x": 1, "y": 2}}),
        );
    }
}
