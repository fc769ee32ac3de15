//! JSON whose lines are safe to look at: control and format characters are escaped, so that no terminal that shows a
//! recording obeys it and no invisible text hides in one.

use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

/// One JSON document in ASCII-safe form, compact, with a line feed.
#[must_use]
pub fn line(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    // Writing a Value into memory cannot fail: its keys are strings.
    let _ = value.serialize(&mut Serializer::with_formatter(&mut out, Escaping(CompactFormatter)));
    out.push(b'\n');
    out
}

/// A JSON document that is already text, its layout kept.
#[must_use]
pub fn document(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        // Outside of strings these are JSON's own blanks; inside they are escaped already.
        if hidden(c) && !matches!(c, '\n' | '\r' | '\t') {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

struct Escaping(CompactFormatter);

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut from = 0;
        for (at, c) in fragment.char_indices().filter(|(_, c)| hidden(*c)) {
            writer.write_all(fragment.get(from..at).unwrap_or_default().as_bytes())?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            from = at + c.len_utf8();
        }
        writer.write_all(fragment.get(from..).unwrap_or_default().as_bytes())
    }
}

/// Categories Cc (beyond what JSON escapes by itself), Cf, Zl and Zp of Unicode 17, and the fillers that show nothing.
fn hidden(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}'
        | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(given: &str, expect: &str) {
        let written = String::from_utf8(line(&Value::from(given))).unwrap();
        assert_eq!(written.trim_end(), expect);
    }

    #[test]
    fn what_cannot_be_seen_is_escaped() {
        check("a\u{202e}b", r#""a\u202eb""#);
        check("\u{1b}[31m\u{9b}1m\u{7f}", r#""\u001b[31m\u009b1m\u007f""#);
        check("tag\u{e0041}", r#""tag\udb40\udc41""#);
        check("\u{200b}\u{feff}\u{2028}", r#""\u200b\ufeff\u2028""#);
        check("grüße 日本 👍 \"q\"\n", r#""grüße 日本 👍 \"q\"\n""#);
    }

    #[test]
    fn a_document_keeps_its_layout() {
        assert_eq!(document("{\n  \"a\": \"\u{202e}\u{e0041}\"\n}"), "{\n  \"a\": \"\\u202e\\udb40\\udc41\"\n}");
    }

    proptest! {
        #[test]
        fn what_was_escaped_reads_back(text in any::<String>()) {
            let written = line(&Value::from(text.as_str()));
            prop_assert!(!String::from_utf8_lossy(&written[..written.len() - 1]).chars().any(hidden));
            prop_assert_eq!(serde_json::from_slice::<String>(&written).unwrap(), text);
        }
    }
}
