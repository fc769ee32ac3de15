//! Patterns of a schema that cannot be matched in linear time, taken out so that the rest still judges.

use serde_json::Value;

use super::problem::quoted;
use super::schema::{Shape, keyword};

/// Removes every pattern that only a backtracking engine could match, and those that failed to compile. What is left
/// accepts all that the whole did: a negation or a condition around such a pattern goes with it. Returns whether
/// anything was removed.
pub(super) fn loosen(schema: &mut Value, failed: &[String], notes: &mut Vec<String>) -> bool {
    let Value::Object(map) = schema else { return false };
    let mut note = |pattern: &str| notes.push(format!("The pattern {} is not checked here.", quoted(pattern)));
    let unusable = |pattern: &str| backtracks(pattern) || failed.iter().any(|bad| bad == pattern);
    let mut loosened = false;
    if map.get("pattern").and_then(Value::as_str).is_some_and(unusable)
        && let Some(Value::String(pattern)) = map.shift_remove("pattern")
    {
        note(&pattern);
        loosened = true;
    }
    if let Some(Value::Object(patterns)) = map.get_mut("patternProperties") {
        let before = patterns.len();
        patterns.retain(|pattern, _| {
            let keep = !unusable(pattern);
            if !keep {
                note(pattern);
            }
            keep
        });
        if patterns.len() < before {
            // Which properties are additional is not known any more.
            map.shift_remove("additionalProperties");
            map.shift_remove("unevaluatedProperties");
            loosened = true;
        }
    }
    let mut gone: Vec<&str> = Vec::new();
    for (name, value) in map.iter_mut() {
        let inside = match (keyword(name), value) {
            (Some((_, Shape::Schemas)), Value::Array(items)) => {
                items.iter_mut().fold(false, |any, item| loosen(item, failed, notes) | any)
            }
            (Some((_, Shape::Schemas)), value) => loosen(value, failed, notes),
            (Some((_, Shape::Map)), Value::Object(map)) => {
                map.values_mut().fold(false, |any, item| loosen(item, failed, notes) | any)
            }
            (Some((_, Shape::Map)), _) | (None, _) => false,
        };
        loosened |= inside;
        match name.as_str() {
            "not" if inside => gone.push("not"),
            "if" if inside => gone.extend(["if", "then", "else"]),
            "oneOf" if inside => gone.push("oneOf"),
            _ => {}
        }
    }
    for name in gone {
        let removed = map.shift_remove(name);
        // One of several forms, no longer told apart exactly: any of them.
        if let ("oneOf", Some(forms)) = (name, removed) {
            map.entry("anyOf").or_insert(forms);
        }
    }
    loosened
}

/// Look-around or a back-reference, by its looks: one in a character class is given up without need.
fn backtracks(pattern: &str) -> bool {
    let reference = |pair: &[u8]| pair[0] == b'\\' && matches!(pair[1], b'1'..=b'9' | b'k');
    ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|mark| pattern.contains(mark))
        || pattern.as_bytes().windows(2).any(reference)
}
