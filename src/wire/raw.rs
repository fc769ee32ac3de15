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

/// One step down.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'a> {
    Key(&'a str),
    /// A place in a list; the first of a value that is no list is the value itself.
    Item(usize),
}

/// The text at `path`, without blanks between its tokens. Linear in the text for each step.
pub(super) fn at(text: &str, path: &[Step<'_>]) -> Option<String> {
    let mut text = text;
    for step in path {
        let found: &RawValue = match step {
            Step::Key(key) => {
                let mut map: HashMap<Key<'_>, &RawValue> = serde_json::from_str(text).ok()?;
                map.remove(&Key(Cow::Borrowed(key)))?
            }
            Step::Item(0) if !text.starts_with('[') => continue,
            Step::Item(place) => serde_json::from_str::<Vec<&RawValue>>(text).ok()?.get(*place).copied()?,
        };
        text = found.get();
    }
    Some(compact(text))
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
        assert_eq!(
            at(text, &[Step::Key("a"), Step::Item(1), Step::Key("b")]).as_deref(),
            Some(r#"{"n":1e5,"n":12345678901234567890123,"s":"a \" b"}"#)
        );
        assert_eq!(at(text, &[Step::Key("x")]), None);
        assert_eq!(at("{\"k\":7}", &[Step::Item(0), Step::Key("k")]).as_deref(), Some("7"));
    }
}
