//! The exact text of a value inside a JSON text, where parsing would already have changed it (numbers, double keys).

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Key<'_> {}

impl std::hash::Hash for Key<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// The text under `keys`, one below the other, as it stands. Linear in the text for each key.
fn find<'a>(text: &'a str, keys: &[&str]) -> Option<&'a str> {
    let mut text = text;
    for key in keys {
        let mut map: HashMap<Key<'_>, &RawValue> = serde_json::from_str(text).ok()?;
        text = map.remove(&Key(Cow::Borrowed(*key)))?.get();
    }
    Some(text)
}

/// The text under `keys`, without blanks between its tokens. Linear in the text for each key.
pub(super) fn at(text: &str, keys: &[&str]) -> Option<String> {
    find(text, keys).map(compact)
}

/// The texts of the list under `keys`; of a value that is no list, that value. Read once for all that is looked up in
/// them: a list may have as many entries as an event has room for.
pub(super) fn items<'a>(text: &'a str, keys: &[&str]) -> Vec<&'a str> {
    let Some(text) = find(text, keys) else { return Vec::new() };
    if !text.starts_with('[') {
        return vec![text];
    }
    serde_json::from_str::<Vec<&RawValue>>(text).unwrap_or_default().into_iter().map(RawValue::get).collect()
}

/// A valid JSON text without the blanks between its tokens.
fn compact(text: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    text.chars()
        .filter(|&c| {
            let blank = !in_string && matches!(c, ' ' | '\t' | '\n' | '\r');
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = in_string,
                '"' => in_string = !in_string,
                _ => {}
            }
            !blank
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_found_as_it_stands() {
        let text = r#"{"a":[1,{"\u0062": { "n" : 1e5, "n": 12345678901234567890123, "s":"a \" b" } }]}"#;
        let items = items(text, &["a"]);
        assert_eq!(items.len(), 2);
        assert_eq!(at(items[1], &["b"]).as_deref(), Some(r#"{"n":1e5,"n":12345678901234567890123,"s":"a \" b"}"#));
        assert_eq!(at(text, &["x"]), None);
        assert_eq!(super::items("{\"k\":7}", &["k"]), ["7"]);
        assert_eq!(super::items("{\"k\":7}", &["l"]), [""; 0]);
    }
}
