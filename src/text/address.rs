//! Addresses of pages as they stand in a text: what may become a link of the terminal, and where it begins and ends.
//!
//! # Invariants
//! - An [`Address`] is http or https with a host, of printable ASCII without blanks, and no longer than [`LONGEST`]: it
//!   cannot end, or begin, anything in a terminal.
//!
//! # Does not
//! Open, fetch or resolve anything.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// The longest address that becomes a link, bytes as they are written. Terminals take about as much.
pub const LONGEST: usize = 2_048;

/// The address of a page, safe inside an escape sequence.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address(Arc<str>);

impl Address {
    /// Judges an address from outside. None where it leads to no page, is too long, or holds what a person would not
    /// see: then it is text. Characters beyond ASCII are percent-encoded, as are those that no address may hold.
    #[must_use]
    pub fn of(raw: &str) -> Option<Self> {
        let scheme = scheme(raw)?;
        if raw.len() > LONGEST || raw.chars().any(char::is_control) || !super::hidden(raw).is_empty() {
            return None;
        }
        let authority = raw[scheme..].split(['/', '?', '#']).next().unwrap_or_default();
        // Browsers read `\` as `/`, so what stands behind it is no host.
        let host = authority.rsplit('@').next().unwrap_or_default();
        if host.trim_matches(['.', ':', '-']).is_empty() || authority.contains(['\\', ' ', '"', '<', '>']) {
            return None;
        }
        let mut out = String::with_capacity(raw.len());
        for c in raw.chars() {
            match c {
                'a'..='z' | 'A'..='Z' | '0'..='9' => out.push(c),
                '-' | '.' | '_' | '~' | ':' | '/' | '?' | '#' | '[' | ']' | '@' | '!' | '$' | '&' | '\'' | '('
                | ')' | '*' | '+' | ',' | ';' | '=' | '%' => out.push(c),
                _ => {
                    let mut bytes = [0; 4];
                    for byte in c.encode_utf8(&mut bytes).bytes() {
                        out.push('%');
                        out.extend([byte >> 4, byte & 15].map(hex));
                    }
                }
            }
        }
        (out.len() <= LONGEST).then(|| Self(out.into()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn hex(digit: u8) -> char {
    char::from_digit(digit.into(), 16).unwrap_or('0').to_ascii_uppercase()
}

/// The length of `http://` or `https://`, where the text begins with it.
fn scheme(text: &str) -> Option<usize> {
    let starts = |with: &str| text.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with));
    ["https://", "http://"].into_iter().find(|with| starts(with)).map(str::len)
}

/// Where addresses stand in a text, in order. Punctuation behind one is not its own, nor is a bracket that it did not
/// open.
#[must_use]
pub fn addresses(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find("://").map(|at| from + at) {
        let next = at + 3;
        let start = ["https", "http"].into_iter().find_map(|name| {
            let start = at.checked_sub(name.len()).filter(|start| *start >= from)?;
            scheme(text.get(start..)?).map(|_| start)
        });
        from = next;
        let Some(start) = start else { continue };
        if text[..start].chars().next_back().is_some_and(char::is_alphanumeric) {
            continue;
        }
        let length = text[next..].find(ends).unwrap_or(text.len() - next);
        // Judged before it is looked through: what is too long is no link, whatever stands at its end.
        let end = if length <= LONGEST { next + own(&text[next..next + length]) } else { next };
        if end > next && Address::of(&text[start..end]).is_some() {
            found.push(start..end);
        }
        from = next + length;
    }
    found
}

/// What no address holds as it stands in prose.
fn ends(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(
            c,
            '<' | '>'
                | '"'
                | '`'
                | '\\'
                | '^'
                | '{'
                | '|'
                | '}'
                | '。'
                | '，'
                | '、'
                | '；'
                | '：'
                | '！'
                | '？'
                | '（'
                | '）'
                | '「'
                | '」'
                | '『'
                | '』'
                | '【'
                | '】'
                | '《'
                | '》'
                | '“'
                | '”'
                | '„'
                | '«'
                | '»'
                | '…'
        )
}

/// How much of what follows the scheme is the address.
fn own(rest: &str) -> usize {
    let mut end = rest.len();
    loop {
        let kept = &rest[..end];
        let Some(last) = kept.chars().next_back() else { return 0 };
        // At most [`LONGEST`] bytes, so counting anew is cheap enough.
        let opened = |open: char, close: char| kept.matches(open).count() >= kept.matches(close).count();
        let stays = match last {
            '.' | ',' | ':' | ';' | '!' | '?' | '*' | '_' | '~' | '\'' | '’' => false,
            ')' => opened('(', ')'),
            ']' => opened('[', ']'),
            _ => true,
        };
        if stays {
            return end;
        }
        end -= last.len_utf8();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(raw: &str) -> Option<String> {
        Address::of(raw).map(|address| address.to_string())
    }

    #[test]
    fn only_pages_become_addresses() {
        for bad in [
            "",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "ftp://a",
            "mailto:a@b",
            "https://",
            "https:///x",
            "https://@/",
            "http://.",
            "https://good.example\\@evil.example/",
            "https://a b/",
            "https://a\"b/",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
        assert_eq!(of("HTTPS://Docs.rs/x?a=b;c#d").as_deref(), Some("HTTPS://Docs.rs/x?a=b;c#d"));
        assert_eq!(of("https://a/ü \"x\"^").as_deref(), Some("https://a/%C3%BC%20%22x%22%5E"));
    }

    #[test]
    fn nothing_that_a_terminal_reads_gets_in() {
        for hostile in [
            "https://a/\u{7}",
            "https://a/\u{1b}\\",
            "https://a/\u{9c}",
            "https://a/\n",
            "https://a/\u{202e}moc",
            "https://a/\u{200b}",
            "https://a/\u{e0041}",
            "https://\u{1b}]8;;x\u{7}",
        ] {
            assert_eq!(of(hostile), None, "{hostile:?}");
        }
        assert_eq!(of(&format!("https://a/{}", "x".repeat(10_000))), None);
        assert_eq!(of(&format!("https://a/{}", "ü".repeat(1_000))), None, "it would grow too long");
    }

    #[test]
    fn addresses_are_found_without_what_stands_around_them() {
        let found = |text: &str| addresses(text).into_iter().map(|at| text[at].to_owned()).collect::<Vec<_>>();
        assert_eq!(
            found("see https://a.b/c, (http://d.e/f_(g)) and [https://h.i]."),
            ["https://a.b/c", "http://d.e/f_(g)", "https://h.i"]
        );
        assert_eq!(found("xhttps://a.b http:// https://. file://c ://"), Vec::<String>::new());
        assert_eq!(found("見て https://a.b/見る。次"), ["https://a.b/見る"]);
        assert_eq!(found("**https://a.b/c** <https://d.e>"), ["https://a.b/c", "https://d.e"]);
        assert_eq!(found("https://a.b/?u=http://c.d/"), ["https://a.b/?u=http://c.d/"]);
        assert_eq!(found(&format!("https://a.b/{} https://c.d", ")".repeat(1 << 20))), ["https://c.d"]);
    }

    proptest! {
        #[test]
        fn whatever_comes_an_address_is_printable_ascii(raw in "(http://|https://)?\\PC{0,40}[\u{0}-\u{ff}]{0,9}") {
            if let Some(address) = Address::of(&raw) {
                prop_assert!(address.as_str().bytes().all(|b| (0x21..=0x7e).contains(&b)));
                prop_assert!(address.as_str().len() <= LONGEST);
            }
            for at in addresses(&raw) {
                prop_assert!(Address::of(&raw[at]).is_some());
            }
        }
    }
}
