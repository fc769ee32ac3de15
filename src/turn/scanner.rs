//! Finds the closing brace of a JSON object while its text is still arriving.
//!
//! # Invariants
//! - O(1) per byte; no byte is looked at twice, nothing is kept but the state.
//! - Closes at the brace that brings the depth back to 0 outside strings, and nowhere else.
//!
//! # Does not
//! Validate: `{]` closes too. A strict parse of the closed text follows, once.

use memchr::memchr2;

/// What the text is so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scanner {
    /// Only blanks have come.
    #[default]
    Start,
    /// Inside an object, `depth` brackets deep.
    Object { depth: u32, in_string: bool, escaped: bool },
    /// The object's last brace has come.
    Closed,
    /// The first non-blank byte was not `{`: this text never closes by itself.
    Other,
}

/// JSON's white space.
#[must_use]
pub fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

impl Scanner {
    /// Takes the next piece and says how much of it belongs to the object: up to and with its last brace, or all of
    /// it. Once closed, nothing more belongs to it.
    pub fn feed(&mut self, text: &str) -> usize {
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match self {
                Self::Start if is_blank(byte) => {}
                Self::Start if byte == b'{' => *self = Self::Object { depth: 1, in_string: false, escaped: false },
                Self::Start => {
                    *self = Self::Other;
                    return text.len();
                }
                Self::Object { escaped, .. } if *escaped => *escaped = false,
                Self::Object { in_string, escaped, .. } if *in_string => {
                    // Most of a long text lies within its strings.
                    let Some(skipped) = memchr2(b'"', b'\\', &bytes[at..]) else { return text.len() };
                    at += skipped;
                    if bytes[at] == b'\\' {
                        *escaped = true;
                    } else {
                        *in_string = false;
                    }
                }
                Self::Object { depth, in_string, .. } => match byte {
                    b'"' => *in_string = true,
                    b'{' | b'[' => *depth += 1,
                    b'}' | b']' => {
                        *depth -= 1;
                        if *depth == 0 {
                            *self = Self::Closed;
                            return at + 1;
                        }
                    }
                    _ => {}
                },
                Self::Closed => return at,
                Self::Other => return text.len(),
            }
            at += 1;
        }
        text.len()
    }

    #[must_use]
    pub fn is_closed(self) -> bool {
        self == Self::Closed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    /// Feeds `pieces` one after the other; the total taken, and the state.
    fn scan<'a>(pieces: impl IntoIterator<Item = &'a str>) -> (usize, Scanner) {
        let mut scanner = Scanner::default();
        let taken = pieces.into_iter().map(|piece| scanner.feed(piece)).sum();
        (taken, scanner)
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[\\PC\"\\\\{}\\[\\]]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("[a-z\"{}]{0,4}", inner), 0..4)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    #[test]
    fn strings_hide_their_braces() {
        let text = r#"{"a":"}\\\"}{","b":[{}]} "#;
        assert_eq!(scan([text]), (text.len() - 1, Scanner::Closed));
    }

    #[test]
    fn what_is_no_object_never_closes() {
        for text in ["null", "[1]", "\"{}\"", "  7"] {
            assert_eq!(scan([text]), (text.len(), Scanner::Other), "{text}");
        }
        assert_eq!(scan([" \n"]), (2, Scanner::Start));
    }

    proptest! {
        #[test]
        fn closes_at_the_last_brace_and_at_no_prefix(
            pairs in prop::collection::vec(("[a-z]{1,4}", value()), 0..4),
            pretty in any::<bool>(),
        ) {
            let object = Value::Object(pairs.into_iter().collect::<Map<_, _>>());
            let text = if pretty { format!("{object:#}") } else { object.to_string() };
            let chars: Vec<String> = text.chars().map(String::from).collect();
            let mut scanner = Scanner::default();
            for (at, piece) in chars.iter().enumerate() {
                prop_assert!(!scanner.is_closed(), "closed before character {}", at);
                prop_assert_eq!(scanner.feed(piece), piece.len());
            }
            prop_assert!(scanner.is_closed());
            prop_assert_eq!(scan([format!("{text}tail").as_str()]), (text.len(), Scanner::Closed));
        }

        #[test]
        fn garbage_is_taken_alike_in_one_piece_and_in_many(text in "[\\PC{}\\[\\]\"\\\\ ]{0,64}") {
            let whole = scan([text.as_str()]);
            let chars: Vec<String> = text.chars().map(String::from).collect();
            prop_assert_eq!(scan(chars.iter().map(String::as_str)), whole);
        }
    }
}
