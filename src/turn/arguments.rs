//! From the closed text of a call to the one serialisation that is shown, hashed, stored and sent.
//!
//! # Invariants
//! - [`Arguments::text`] is `serde_json`'s print of [`Arguments::value`], which is what the MCP transport sends; parsing
//!   and printing it again changes nothing.
//! - A text is refused where that print would say something else than the model did: a key twice in one object, a
//!   number that is written otherwise (`1e5`, long integers, more digits than a double holds), half a surrogate pair.
//!
//! # Does not
//! Validate against a schema; repair anything.

use std::sync::Arc;

use memchr::memchr2;
use serde_json::{Map, Number, Value};

use super::scanner::is_blank;

/// The arguments of one call, parsed once.
#[derive(Clone, Debug, PartialEq)]
pub struct Arguments {
    pub text: Arc<str>,
    pub value: Map<String, Value>,
}

/// Why a text cannot be a call's arguments; `at` are byte offsets into it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("the arguments are not a JSON object")]
    NotAnObject,
    #[error("the arguments are not valid JSON: {what} at byte {at}")]
    Syntax { what: &'static str, at: usize },
    #[error("the key {key:?} stands twice in one object of the arguments")]
    DuplicateKey { key: String },
    #[error("the number {number} would be written as {printed} in the arguments; send it in that form, or as a string")]
    Number { number: String, printed: String },
    #[error("the arguments are nested deeper than {limit} levels (limit nesting)")]
    Nesting { limit: u32 },
    #[error("the arguments are longer than {limit} bytes (limit arguments)")]
    Size { limit: u64 },
}

/// Deeper texts cannot be read back by `serde_json`, which stops at 128 levels.
const DEEPEST: u32 = 127;

/// Parses a whole JSON object strictly. Linear in the length of `text`.
///
/// # Errors
/// The first reason for which `text` cannot be sent as it stands.
pub fn parse(text: &str, nesting: u32, size: u64) -> Result<Arguments, Rejection> {
    if text.len() as u64 > size {
        return Err(Rejection::Size { limit: size });
    }
    let mut reader = Reader { text, at: 0, nesting: nesting.min(DEEPEST) };
    let value = reader.value(0)?;
    reader.blanks();
    if reader.peek().is_some() {
        return Err(reader.syntax("text after the end"));
    }
    let text = value.to_string().into();
    match value {
        Value::Object(value) => Ok(Arguments { text, value }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Rejection::NotAnObject)
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    nesting: u32,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(is_blank) {
            self.at += 1;
        }
    }

    fn syntax(&self, what: &'static str) -> Rejection {
        Rejection::Syntax { what, at: self.at }
    }

    /// Takes `byte` after blanks, where it is next.
    fn take(&mut self, byte: u8) -> bool {
        self.blanks();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn object(&mut self, depth: u32) -> Result<Map<String, Value>, Rejection> {
        self.descend(depth)?;
        let mut map = Map::new();
        if self.take(b'}') {
            return Ok(map);
        }
        loop {
            self.blanks();
            let key = self.string()?;
            if !self.take(b':') {
                return Err(self.syntax("a missing colon"));
            }
            let value = self.value(depth)?;
            if map.contains_key(&key) {
                return Err(Rejection::DuplicateKey { key });
            }
            map.insert(key, value);
            if self.take(b'}') {
                return Ok(map);
            }
            if !self.take(b',') {
                return Err(self.syntax("a missing comma or brace"));
            }
        }
    }

    fn array(&mut self, depth: u32) -> Result<Vec<Value>, Rejection> {
        self.descend(depth)?;
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(items);
        }
        loop {
            items.push(self.value(depth)?);
            if self.take(b']') {
                return Ok(items);
            }
            if !self.take(b',') {
                return Err(self.syntax("a missing comma or bracket"));
            }
        }
    }

    /// Steps over an opening bracket.
    fn descend(&mut self, depth: u32) -> Result<(), Rejection> {
        if depth > self.nesting {
            return Err(Rejection::Nesting { limit: self.nesting });
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, depth: u32) -> Result<Value, Rejection> {
        self.blanks();
        match self.peek() {
            Some(b'{') => self.object(depth + 1).map(Value::Object),
            Some(b'[') => self.array(depth + 1).map(Value::Array),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Value, Rejection> {
        for (word, value) in [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)] {
            if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.syntax("something that is no value"))
    }

    fn string(&mut self) -> Result<String, Rejection> {
        if self.peek() != Some(b'"') {
            return Err(self.syntax("a missing quote"));
        }
        let bytes = self.text.as_bytes();
        let (start, mut at) = (self.at, self.at + 1);
        while let Some(skipped) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
            at += skipped;
            if bytes[at] == b'"' {
                let string = serde_json::from_str(&self.text[start..=at])
                    .map_err(|_| self.syntax("a string with a bad character or escape"))?;
                self.at = at + 1;
                return Ok(string);
            }
            at += 2;
        }
        Err(self.syntax("a string without an end"))
    }

    fn number(&mut self) -> Result<Number, Rejection> {
        let rest = &self.text[self.at..];
        let end = rest
            .bytes()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
            .unwrap_or(rest.len());
        let text = &rest[..end];
        let Ok(number) = serde_json::from_str::<Number>(text) else {
            return Err(self.syntax("a number that is malformed or out of range"));
        };
        let printed = number.to_string();
        if same_number(text, &printed) {
            self.at += end;
            Ok(number)
        } else {
            Err(Rejection::Number { number: shortened(text), printed })
        }
    }
}

/// Whether the print says the same as the text did: character by character, but for zeros that end a fraction.
fn same_number(text: &str, printed: &str) -> bool {
    fn plain(number: &str) -> &str {
        match number.split_once('.') {
            Some((_, fraction)) if !fraction.contains(['e', 'E']) => {
                let zeros = fraction.len() - fraction.trim_end_matches('0').len();
                // One digit of the fraction stays: `1` and `1.0` are not the same to every reader.
                &number[..number.len() - zeros.min(fraction.len() - 1)]
            }
            _ => number,
        }
    }
    plain(text) == plain(printed)
}

fn shortened(number: &str) -> String {
    if number.len() <= 40 { number.to_owned() } else { format!("{}…", &number[..40]) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str) -> Result<String, String> {
        parse(text, 128, 1 << 20).map(|arguments| arguments.text.to_string()).map_err(|rejection| rejection.to_string())
    }

    #[test]
    fn what_is_printed_is_the_parsed_value() {
        assert_eq!(
            check(" { \"b\" : 1.50, \"a\":[ true ,null,-3, 1e-7], \"\\u00e9\":\"\\/\" } ").as_deref(),
            Ok(r#"{"b":1.5,"a":[true,null,-3,1e-7],"é":"/"}"#)
        );
        assert_eq!(check("{}").as_deref(), Ok("{}"));
        assert_eq!(
            check(r#"{"n":18446744073709551615,"m":-9223372036854775808}"#).as_deref(),
            Ok(r#"{"n":18446744073709551615,"m":-9223372036854775808}"#)
        );
    }

    #[test]
    fn numbers_that_would_be_written_otherwise_are_refused() {
        for number in
            ["1e5", "1E400", "-0", "12345678901234567890123", "0.1000000000000000055511151231257827", "1.0e-7"]
        {
            let rejection = check(&format!("{{\"n\":{number}}}"));
            assert!(rejection.is_err(), "{number}: {rejection:?}");
        }
        assert_eq!(
            check(r#"{"n":1e5}"#),
            Err("the number 1e5 would be written as 100000.0 in the arguments; send it in that form, or as a string"
                .into())
        );
        assert!(check(r#"{"n":01}"#).is_err());
        assert!(check(r#"{"n":-}"#).is_err());
    }

    #[test]
    fn a_key_may_stand_once_at_any_depth() {
        assert_eq!(
            check(r#"{"a":[{"k":1,"\u006b":2}]}"#),
            Err("the key \"k\" stands twice in one object of the arguments".into())
        );
        assert!(check(r#"{"a":{"k":1},"b":{"k":2}}"#).is_ok());
    }

    #[test]
    fn syntax_is_strict() {
        for text in [
            "",
            "[]",
            "\"{}\"",
            "{",
            "{}x",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{a:1}",
            "{\"a\":NaN}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\n\"}",
            "{]",
            "{\"a\":[1 2]}",
            "{\"a\":tru}",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nesting_and_size_have_their_limits() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert!(parse(&nested(8), 8, 1000).is_ok());
        assert_eq!(parse(&nested(9), 8, 1000), Err(Rejection::Nesting { limit: 8 }));
        assert_eq!(parse(&nested(100_000), 128, 1 << 20), Err(Rejection::Nesting { limit: 127 }));
        assert!(check(&nested(127)).is_ok_and(|text| serde_json::from_str::<Value>(&text).is_ok()));
        assert_eq!(parse("{\"a\":1}", 8, 6), Err(Rejection::Size { limit: 6 }));
    }

    proptest! {
        #[test]
        fn any_text_is_judged_as_serde_judges_it_or_more_strictly(text in "[{}\\[\\],:\"\\\\a1.e \\-]{0,24}") {
            if let Ok(arguments) = parse(&text, 128, 1 << 20) {
                let value: Value = serde_json::from_str(&text).expect("what is accepted is JSON");
                prop_assert_eq!(&Value::Object(arguments.value.clone()), &value);
                let again = parse(&arguments.text, 128, 1 << 20).expect("a print is accepted");
                prop_assert_eq!(again, arguments);
            }
        }

        #[test]
        fn printing_is_stable(key in "\\PC{0,8}", text in "\\PC{0,16}", number in any::<f64>(), integer in any::<i64>()) {
            let value = serde_json::json!({"k": {key: [text, integer]}, "n": number});
            if let Ok(first) = parse(&value.to_string(), 128, 1 << 20) {
                prop_assert_eq!(first.text.to_string(), value.to_string());
                prop_assert_eq!(parse(&first.text, 128, 1 << 20).expect("stable"), first);
            }
        }
    }
}
