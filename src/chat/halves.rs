//! JSON in which half a surrogate pair stands, as programs write it that cut a text in the midst of an emoji.
//!
//! # Invariants
//! - Only where the text is not JSON as it stands, and only such halves are replaced (by U+FFFD): nothing else becomes
//!   readable that was not.

use serde::de::DeserializeOwned;

/// Reads JSON; what has halves of surrogate pairs in it (`"\ud83d"`) is read with U+FFFD in their place.
///
/// # Errors
/// That of the text as it stands.
pub fn read_json<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(text).or_else(|error| {
        let whole = without_halves(text).ok_or(error)?;
        serde_json::from_slice(&whole)
    })
}

/// The text with an escape of U+FFFD for each half; None where there is none.
fn without_halves(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut kept = 0;
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', text.get(at..)?) {
        at += found;
        match unit(text, at) {
            Some(0xd800..=0xdbff) if matches!(unit(text, at + 6), Some(0xdc00..=0xdfff)) => at += 12,
            Some(0xd800..=0xdfff) => {
                out.extend_from_slice(&text[kept..at]);
                out.extend_from_slice(b"\\ufffd");
                at += 6;
                kept = at;
            }
            Some(_) => at += 6,
            None => at += 2,
        }
    }
    if out.is_empty() {
        return None;
    }
    out.extend_from_slice(&text[kept..]);
    Some(out)
}

/// The unit that `\uXXXX` at this place names.
fn unit(text: &[u8], at: usize) -> Option<u16> {
    let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_replaced_and_nothing_else_is() {
        let read = |text: &str| read_json::<String>(text.as_bytes()).ok();
        for (text, expect) in [
            (r#""a\ud83d""#, "a\u{fffd}"),
            (r#""\ude00b""#, "\u{fffd}b"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
            (r#""\uD83Dx\u0041\n\\""#, "\u{fffd}xA\n\\"),
            (r#""\\ud83d""#, "\\ud83d"),
            (r#""\\\ud83d\\ud83d""#, "\\\u{fffd}\\ud83d"),
            (r#""\ud83d\u0041""#, "\u{fffd}A"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expect), "{text}");
        }
        for text in [r#""\ud83d"#, r#""\ud8""#, r#""\ud8zz""#, r#"{"a":\ud83d}"#, "", r#""\"#, r#"[1,]"#] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
