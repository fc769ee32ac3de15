//! JSON over several lines, as people write it: a list of single values stays on one line where it is short.

use serde_json::Value;

/// Columns within which such a list is kept together.
const TOGETHER: usize = 60;

/// JSON over several lines; None where it is none.
pub(super) fn pretty(text: &str) -> Option<String> {
    let json = matches!(text.trim_start().as_bytes().first(), Some(b'{' | b'['));
    let value = json.then(|| serde_json::from_str::<Value>(text).ok()).flatten()?;
    let mut out = String::with_capacity(text.len() * 2);
    write(&value, 0, &mut out);
    Some(out)
}

fn write(value: &Value, depth: usize, out: &mut String) {
    let single = |value: &Value| !matches!(value, Value::Array(_) | Value::Object(_));
    match value {
        Value::Array(items) if !items.is_empty() => {
            if items.iter().all(single) {
                let words: Vec<String> = items.iter().take(TOGETHER).map(Value::to_string).collect();
                let line = words.join(", ");
                if words.len() == items.len() && line.len() <= TOGETHER {
                    out.push('[');
                    out.push_str(&line);
                    return out.push(']');
                }
            }
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                begin(n, depth + 1, out);
                write(item, depth + 1, out);
            }
            line(depth, out);
            out.push(']');
        }
        Value::Object(fields) if !fields.is_empty() => {
            out.push('{');
            for (n, (key, value)) in fields.iter().enumerate() {
                begin(n, depth + 1, out);
                out.push_str(&Value::String(key.clone()).to_string());
                out.push_str(": ");
                write(value, depth + 1, out);
            }
            line(depth, out);
            out.push('}');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            out.push_str(&value.to_string());
        }
    }
}

fn begin(n: usize, depth: usize, out: &mut String) {
    out.push_str(if n > 0 { "," } else { "" });
    line(depth, out);
}

fn line(depth: usize, out: &mut String) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_lists_of_single_values_stay_together() {
        let text = r#"{"cmd":["cargo","test","--","retry"],"of":[{"a":1},[]],"n":{},"s":"a\"b","t":60}"#;
        let expect = "{\n  \"cmd\": [\"cargo\", \"test\", \"--\", \"retry\"],\n  \"of\": [\n    {\n      \"a\": 1\n    },\n    []\n  ],\n  \"n\": {},\n  \"s\": \"a\\\"b\",\n  \"t\": 60\n}";
        assert_eq!(pretty(text).as_deref(), Some(expect));
        let long = format!("[{}]", ["\"0123456789\""; 9].join(","));
        assert_eq!(pretty(&long).map(|text| text.lines().count()), Some(11));
        for text in [text, &long] {
            let same: Value = serde_json::from_str(&pretty(text).unwrap()).unwrap();
            assert_eq!(same, serde_json::from_str::<Value>(text).unwrap());
        }
        assert_eq!(pretty("no json"), None);
    }
}
