//! Known secrets taken out of what leaves the machine.
//!
//! # Invariants
//! - A secret is found in the writings it is likely to be met in: plain, escaped as JSON or HTML, percent-encoded, in
//!   hexadecimal, and in base64 wherever it begins within a group.
//! - What is redacted stays what it was: arguments stay one JSON object, structured values stay values.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;

use super::rewrite::Rewrite;
use crate::chat::{Conversation, Tree};

/// Stands where a secret stood.
pub const REDACTED: &str = "[redacted]";
/// Shorter values are words that would be found everywhere.
const SHORTEST: usize = 6;
/// A shorter beginning of a secret is no reason to wait for its rest.
const SHORTEST_BEGINNING: usize = 4;
/// Shorter pieces of an encoding would be found by chance.
const SHORTEST_PIECE: usize = 8;

/// What must not leave. Holds the secrets themselves: no Debug, not kept longer than needed.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Longest first, so that a secret within another does not leave the rest of it behind.
    needles: Vec<String>,
    /// Of each first byte the needles that begin with it, longest first; empty where there is none.
    by_first: Vec<Vec<usize>>,
}

impl Redactor {
    /// Values shorter than six bytes are left out.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut needles = BTreeSet::new();
        for secret in secrets.into_iter().map(str::trim).filter(|secret| secret.len() >= SHORTEST) {
            needles.extend(writings(secret));
        }
        let mut needles: Vec<String> = needles.into_iter().collect();
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
        let mut by_first = vec![Vec::new(); if needles.is_empty() { 0 } else { 256 }];
        for (at, needle) in needles.iter().enumerate() {
            if let Some(first) = needle.bytes().next() {
                by_first[usize::from(first)].push(at);
            }
        }
        Self { needles, by_first }
    }

    /// Whether there is nothing to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.needles.is_empty()
    }

    /// Where they stand in these bytes: ranges in order that do not overlap.
    #[must_use]
    pub fn ranges(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match self.beginning_with(rest[0]).find(|needle| rest.starts_with(needle)) {
                Some(needle) => {
                    found.push(at..at + needle.len());
                    at += needle.len();
                }
                None => at += 1,
            }
        }
        found
    }

    /// From where on these bytes may be the beginning of one, however short; their length where they are not.
    #[must_use]
    pub fn open_end(&self, bytes: &[u8]) -> usize {
        let longest = self.needles.first().map_or(0, String::len);
        let from = bytes.len().saturating_sub(longest.saturating_sub(1));
        let begins = |at: &usize| {
            let rest = &bytes[*at..];
            self.beginning_with(rest[0]).any(|needle| needle.len() > rest.len() && needle.starts_with(rest))
        };
        (from..bytes.len()).find(begins).unwrap_or(bytes.len())
    }

    fn beginning_with(&self, first: u8) -> impl Iterator<Item = &[u8]> {
        let places = self.by_first.get(usize::from(first)).map(Vec::as_slice).unwrap_or_default();
        places.iter().map(|at| self.needles[*at].as_bytes())
    }

    /// The text without them.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut out = Cow::Borrowed(text);
        for needle in &self.needles {
            if out.contains(needle.as_str()) {
                out = Cow::Owned(out.replace(needle.as_str(), REDACTED));
            }
        }
        out
    }

    /// Splits a text that goes on: what can be told now, and an end that may be the beginning of a secret. Beginnings
    /// shorter than four bytes are let go, or every word would wait for the next.
    #[must_use]
    pub fn settled<'a>(&self, text: &'a str) -> (&'a str, &'a str) {
        let begins = |at: &usize| {
            // None: within a character.
            let Some(end) = text.get(*at..) else { return false };
            self.needles.iter().any(|needle| needle.len() > end.len() && needle.starts_with(end))
        };
        let longest = self.needles.first().map_or(0, String::len);
        let from = text.len().saturating_sub(longest);
        let last = text.len().saturating_sub(SHORTEST_BEGINNING);
        let cut = (from..=last).find(begins).filter(|_| text.len() >= SHORTEST_BEGINNING).unwrap_or(text.len());
        text.split_at(cut)
    }

    /// The value without them, keys included; a number that is one becomes a text.
    pub fn value(&self, value: &mut Value) {
        Rewrite::value(self, value);
    }

    /// The conversation without them.
    #[must_use]
    pub fn conversation(&self, conversation: &Conversation) -> Conversation {
        if self.needles.is_empty() { conversation.clone() } else { Rewrite::conversation(self, conversation) }
    }

    /// The same with its other branches.
    #[must_use]
    pub fn tree(&self, tree: &Tree) -> Tree {
        let aside = tree.aside.iter().map(|message| Arc::new(Rewrite::message(self, message))).collect();
        Tree { shown: self.conversation(&tree.shown), aside }
    }
}

impl Rewrite for Redactor {
    fn rewritten<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.text(text)
    }
}

/// The ways in which a secret may be written.
fn writings(secret: &str) -> Vec<String> {
    let hex = |upper: bool| -> String {
        secret.bytes().map(|b| if upper { format!("{b:02X}") } else { format!("{b:02x}") }).collect()
    };
    let percent = |upper: bool, keep: &str| -> String {
        secret
            .bytes()
            .map(|b| match b {
                b if b.is_ascii_alphanumeric() || keep.as_bytes().contains(&b) => char::from(b).to_string(),
                b if upper => format!("%{b:02X}"),
                b => format!("%{b:02x}"),
            })
            .collect()
    };
    let json = Value::from(secret).to_string();
    let json = json.trim_start_matches('"').strip_suffix('"').unwrap_or(&json).to_owned();
    let html = secret
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;");
    let mut all = vec![secret.to_owned(), json.replace('/', "\\/"), json, html, hex(false), hex(true)];
    for keep in ["-_.~", "-_.!~*'()"] {
        all.extend([percent(true, keep), percent(false, keep)]);
    }
    for before in 0..3_usize {
        let bytes = [vec![0; before], secret.as_bytes().to_vec()].concat();
        // The characters at both ends hold bits of the neighbours too.
        let (from, to) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        for text in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            let piece = text.get(from..to).unwrap_or_default();
            if piece.len() >= SHORTEST_PIECE {
                all.push(piece.to_owned());
            }
        }
    }
    all.retain(|writing| writing.len() >= SHORTEST);
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, json};

    use super::*;
    use crate::chat::ToolCall;

    const SECRET: &str = "sk-\"4/2&x\" öß!";

    fn check(given: &str, expect: &str) {
        assert_eq!(Redactor::new([SECRET]).text(given), expect);
    }

    #[test]
    fn a_secret_is_found_in_every_writing() {
        check(&format!("a {SECRET} b"), "a [redacted] b");
        check(&json!({"k": SECRET}).to_string(), r#"{"k":"[redacted]"}"#);
        check("https://x/?k=sk-%224%2F2%26x%22%20%C3%B6%C3%9F%21&m=1", "https://x/?k=[redacted]&m=1");
        check("sk-&quot;4/2&amp;x&quot; öß!", "[redacted]");
        let hex: String = SECRET.bytes().map(|b| format!("{b:02x}")).collect();
        check(&hex, "[redacted]");
        assert_eq!(Redactor::new(["short", " "]).text("short"), "short");
        assert_eq!(Redactor::new(["secret-1", "secret-1-longer"]).text("secret-1-longer"), "[redacted]");
    }

    #[test]
    fn arguments_stay_json_and_untouched_ones_stay_exact() {
        let redactor = Redactor::new(["12345678"]);
        let call = |arguments: &str| {
            let mut call = ToolCall {
                id: crate::chat::CallId::new("c"),
                wire_id: None,
                index: 0,
                wire_name: String::new(),
                tool: None,
                arguments: Arc::from(arguments),
                extra: Map::new(),
            };
            redactor.call(&mut call);
            call.arguments.to_string()
        };
        assert_eq!(call(r#"{"pin": 12345678}"#), r#"{"pin":"[redacted]"}"#);
        assert_eq!(call(r#"{"a\u0031":  1e2}"#), r#"{"a\u0031":  1e2}"#);
        assert_eq!(call(r#"{"k": "\u0031\u0032345678"}"#), r#"{"k":"[redacted]"}"#);
    }

    proptest! {
        #[test]
        fn base64_hides_it_at_no_offset(before in "[ -~]{0,9}", after in "[ -~]{0,9}") {
            let text = format!("{before}hunter2-hunter2{after}");
            for encoded in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                prop_assert!(Redactor::new(["hunter2-hunter2"]).text(&encoded).contains(REDACTED));
            }
        }
    }
}
