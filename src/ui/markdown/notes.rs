//! Footnotes that are used in one block and defined in another.
//!
//! A parser takes `[^1]` for a footnote only where its definition is in the same text, and blocks are parsed one by one,
//! mostly before the definition has come. So what a block uses is defined behind its end, in words that are not drawn.
//!
//! # Invariants
//! - What counts as a footnote depends on its block alone: nothing that was drawn changes when the definition comes.

use std::borrow::Cow;

/// The longest name of a footnote, bytes.
const LONGEST: usize = 32;
/// Names that one block may use.
const MOST: usize = 64;

/// The text with a definition behind it for each footnote that it uses and does not define.
pub(super) fn defined(text: &str) -> Cow<'_, str> {
    let mut names: Vec<&str> = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find("[^").map(|at| from + at) {
        from = at + 2;
        let rest = &text[from..];
        let window = &rest[..rest.floor_char_boundary(LONGEST + 1)];
        let Some(name) = window.find(']').map(|end| &window[..end]) else { continue };
        let attached = text[..at].chars().next_back().is_some_and(|c| !c.is_whitespace());
        if is_note(name, attached) && !names.contains(&name) && names.len() < MOST {
            names.push(name);
        }
    }
    names.retain(|name| !text.contains(&format!("[^{name}]:")));
    if names.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = text.to_owned();
    for name in names {
        out.push_str(&format!("\n\n[^{name}]: x"));
    }
    Cow::Owned(out)
}

/// A number, or a word that stands right behind another: `[^a-z]` by itself is more likely a pattern.
fn is_note(name: &str, attached: bool) -> bool {
    let number = (1..=3).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_digit());
    let word = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
    number || (attached && word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_a_note_is_defined() {
        assert_eq!(defined("a[^1] b[^note] [^2]"), "a[^1] b[^note] [^2]\n\n[^1]: x\n\n[^note]: x\n\n[^2]: x");
        for text in ["any of [^abc] here", "a[^]", "a[^b c]", "a[^1] b\n\n[^1]: own", "[^1]: own", "a[^", "[^9999]"] {
            assert_eq!(defined(text), text);
        }
    }
}
