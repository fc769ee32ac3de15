//! JSON of other programs, taken apart without reading all of it: a broken entry costs that entry alone, a key that
//! stands twice is seen twice, and how deep an entry goes is its own affair.
//!
//! # Invariants
//! - Nothing here recurses into what it did not choose: depth is bounded by the parser of one entry.

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// An object in its own order, with keys that stand twice, each value still as it was written.
#[derive(Debug, Default)]
pub(super) struct Pairs<'a>(pub Vec<(String, &'a RawValue)>);

impl<'a> Pairs<'a> {
    /// The object that this text is; None: it is something else.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The first value of that name, as an object.
    pub(super) fn object(&self, name: &str) -> Option<Self> {
        Self::of(self.get(name)?.get())
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    /// The first name that stands twice.
    pub(super) fn twice(&self) -> Option<&str> {
        let mut seen = std::collections::HashSet::new();
        self.0.iter().map(|(key, _)| key.as_str()).find(|key| !seen.insert(*key))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Object).map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_of_keys_that_stand_twice_and_depth_is_no_matter() {
        let deep = format!("{{\"a\": {}1{}, \"b\": 2, \"a\": 3}}", "[".repeat(5000), "]".repeat(5000));
        let pairs = Pairs::of(&deep).unwrap();
        assert_eq!(pairs.0.len(), 3);
        assert_eq!(pairs.twice(), Some("a"));
        assert!(serde_json::from_str::<serde_json::Value>(pairs.0[0].1.get()).is_err());
        assert!(Pairs::of("[]").is_none());
    }
}
