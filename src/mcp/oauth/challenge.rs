//! The `WWW-Authenticate` header of a server that wants to know who asks (RFC 9110 11.6.1, RFC 6750 3, RFC 9728 5.1).
//!
//! # Does not
//! Believe it: addresses in it are judged where they are used.

/// What of a challenge matters. Raw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// Where the server describes itself.
    pub resource_metadata: Option<String>,
    /// What this request needed.
    pub scopes: Vec<String>,
    pub error: Option<String>,
}

/// Longest header that is read, in bytes.
const HEADER_MAX: usize = 16 * 1024;
/// Most scopes that are taken over from anybody.
const SCOPES_MAX: usize = 100;

impl Challenge {
    /// Reads the Bearer challenge of a header; other schemes beside it are skipped.
    pub(crate) fn parse(header: &str) -> Self {
        let mut found = Self::default();
        let mut rest = cut(header);
        let mut bearer = false;
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                return found;
            }
            let end = rest.find(|c: char| !is_token(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            if word.is_empty() {
                // Not what the grammar allows here: the next comma may begin something that is.
                rest = rest.find(',').map_or("", |comma| &rest[comma..]);
                continue;
            }
            let Some(value) = after.trim_start_matches([' ', '\t']).strip_prefix('=') else {
                bearer = word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("dpop");
                rest = after;
                continue;
            };
            let (value, after) = quoted_or_token(value.trim_start_matches([' ', '\t']));
            rest = after;
            if bearer {
                found.take(word, value);
            }
        }
    }

    /// A parameter counts the first time it is named.
    fn take(&mut self, name: &str, value: String) {
        if name.eq_ignore_ascii_case("resource_metadata") {
            self.resource_metadata.get_or_insert(value);
        } else if name.eq_ignore_ascii_case("scope") && self.scopes.is_empty() {
            self.scopes = scopes(&value);
        } else if name.eq_ignore_ascii_case("error") {
            self.error.get_or_insert(value);
        }
    }

    pub(crate) fn wants_more(&self) -> bool {
        self.error.as_deref() == Some("insufficient_scope")
    }
}

/// The scopes of a space-separated list: each once, those that are none left out (RFC 6749 3.3).
pub(super) fn scopes(text: &str) -> Vec<String> {
    collect(text.split(' '))
}

/// The same of a list.
pub(super) fn collect<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for word in words {
        let fine = !word.is_empty()
            && word.len() <= 256
            && word.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
        if fine && found.len() < SCOPES_MAX && !found.iter().any(|known| known == word) {
            found.push(word.to_owned());
        }
    }
    found
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

fn cut(header: &str) -> &str {
    let end = header.char_indices().map(|(at, _)| at).find(|at| *at >= HEADER_MAX).unwrap_or(header.len());
    &header[..end]
}

fn quoted_or_token(text: &str) -> (String, &str) {
    let Some(inner) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &inner[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bearer_challenge_is_found_among_others() {
        let of = Challenge::parse;
        let full = of(
            r#"Basic realm="a, b=\"c\"", Bearer error="invalid_token", scope="files:read files:write files:read", resource_metadata="https://a.b/x?error=y", error_description="no, scope=evil""#,
        );
        assert_eq!(
            full,
            Challenge {
                resource_metadata: Some("https://a.b/x?error=y".into()),
                scopes: vec!["files:read".into(), "files:write".into()],
                error: Some("invalid_token".into()),
            }
        );
        assert_eq!(of("bearer scope=one, Digest scope=\"two\"").scopes, ["one"]);
        assert!(of("Bearer error=insufficient_scope").wants_more());
        assert_eq!(of("Basic resource_metadata=\"https://evil\""), Challenge::default());
        for odd in ["", "Bearer", ",,,", "=", "Bearer =x, scope", "Bearer scope=\"open", "\"", "Bearer \u{1b}[2J"] {
            let _ = of(odd);
        }
        assert_eq!(of("Bearer scope=\"open").scopes, ["open"]);
    }

    #[test]
    fn only_scopes_are_scopes() {
        assert_eq!(scopes("a  b\tc \u{1b}[31m d\"e f\\g ok"), ["a", "ok"]);
        let many = (0..300).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(scopes(&many).len(), SCOPES_MAX);
    }
}
