//! Where two requests differ: for a person who wonders why a replay goes other ways.

use serde_json::Value;

/// ` at messages[3].content`: the first place, in the order of the recorded one; None where they are equal.
pub(super) fn first(recorded: &Value, asked: &Value) -> Option<String> {
    place(recorded, asked, String::new()).map(|place| match place.trim_start_matches('.') {
        "" => String::new(),
        place => format!(" at {place}"),
    })
}

fn place(recorded: &Value, asked: &Value, at: String) -> Option<String> {
    match (recorded, asked) {
        (Value::Object(a), Value::Object(b)) => {
            let inside = a.iter().find_map(|(key, value)| {
                let at = format!("{at}.{key}");
                match b.get(key) {
                    Some(other) => place(value, other, at),
                    None => Some(at),
                }
            });
            inside.or_else(|| b.keys().find(|key| !a.contains_key(*key)).map(|key| format!("{at}.{key}")))
        }
        (Value::Array(a), Value::Array(b)) => {
            let inside = a.iter().zip(b).enumerate().find_map(|(index, (a, b))| place(a, b, format!("{at}[{index}]")));
            inside.or_else(|| (a.len() != b.len()).then(|| format!("{at}[{}]", a.len().min(b.len()))))
        }
        (a, b) => (a != b).then_some(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_difference_is_named() {
        let check = |a: Value, b: Value, expect: Option<&str>| assert_eq!(first(&a, &b).as_deref(), expect, "{a} {b}");
        check(json!({"a": 1, "b": [1]}), json!({"b": [1], "a": 1}), None);
        check(json!({"m": [{"c": "x"}]}), json!({"m": [{"c": "y"}]}), Some(" at m[0].c"));
        check(json!({"m": [1]}), json!({"m": [1, 2]}), Some(" at m[1]"));
        check(json!({"m": 1}), json!({"m": 1, "n": 2}), Some(" at n"));
        check(json!({"m": 1, "n": 2}), json!({"m": 1}), Some(" at n"));
        check(json!(1), json!(null), Some(""));
    }
}
