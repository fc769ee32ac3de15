//! Secrets that an entry holds in plain: found, and put somewhere else.

use std::collections::BTreeMap;

use crate::config::external::variable_of;
use crate::config::problem::looks_random;
use crate::config::server::known_token;
use crate::config::{DraftTransport, Secret, ServerDraft};

/// A secret that stands in an entry as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Literal {
    pub place: LiteralPlace,
    /// Its variable or header.
    pub name: String,
    /// Without the word before it, as `Bearer`.
    pub value: Secret,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiteralPlace {
    Env,
    Header,
}

impl Literal {
    /// The variable of the environment that can stand for it.
    #[must_use]
    pub fn variable(&self, server: &str) -> String {
        match self.place {
            LiteralPlace::Env => variable_of(&self.name),
            LiteralPlace::Header => variable_of(&format!("{server}_{}", self.name)),
        }
    }
}

/// The secrets of an entry that stand in its `env` or `headers`.
#[must_use]
pub fn literals(draft: &ServerDraft) -> Vec<Literal> {
    let (place, table) = table(draft);
    let found = table.iter().filter(|(name, value)| is_secret(name, value));
    found
        .map(|(name, value)| Literal { place, name: name.clone(), value: Secret::new(value_of(place, value).1) })
        .collect()
}

/// Puts `reference` in the place of a secret.
pub fn replace(draft: &mut ServerDraft, literal: &Literal, reference: &str) {
    let table = match &mut draft.how {
        DraftTransport::Stdio { env, .. } => env,
        DraftTransport::Url { headers, .. } => headers,
    };
    if let Some(value) = table.get_mut(&literal.name) {
        let before = value_of(literal.place, value).0.to_owned();
        *value = format!("{before}{reference}");
    }
}

fn table(draft: &ServerDraft) -> (LiteralPlace, &BTreeMap<String, String>) {
    match &draft.how {
        DraftTransport::Stdio { env, .. } => (LiteralPlace::Env, env),
        DraftTransport::Url { headers, .. } => (LiteralPlace::Header, headers),
    }
}

/// A header's value in two: its scheme with the blank behind it, and the secret.
fn value_of(place: LiteralPlace, value: &str) -> (&str, &str) {
    let scheme = |word: &str| ["bearer", "basic", "token", "apikey"].contains(&word.to_ascii_lowercase().as_str());
    match value.split_once(' ') {
        Some((word, rest)) if place == LiteralPlace::Header && scheme(word) && !rest.trim().is_empty() => {
            value.split_at(word.len() + 1)
        }
        Some(_) | None => ("", value),
    }
}

fn is_secret(name: &str, value: &str) -> bool {
    const WORDS: &[&str] = &["key", "pat", "auth", "authorization", "cookie", "pwd", "pass", "bearer", "credential"];
    const PARTS: &[&str] = &["token", "secret", "passw", "apikey", "credentials"];
    let path = value.starts_with(['/', '~', '.']) || value.get(1..3).is_some_and(|drive| drive == ":\\");
    if value.contains("${") || value.trim().len() < 4 || path || value.parse::<f64>().is_ok() {
        return false;
    }
    let lower = name.to_ascii_lowercase();
    let named = lower.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| WORDS.contains(&word))
        || PARTS.iter().any(|part| lower.contains(part));
    let login = url::Url::parse(value).is_ok_and(|url| url.password().is_some());
    let web = value.starts_with("http://") || value.starts_with("https://");
    login || (!web && (named || known_token(value) || looks_random(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    #[test]
    fn secrets_are_told_from_settings() {
        for (name, value) in [
            ("GITHUB_PERSONAL_ACCESS_TOKEN", "ghp_0123456789abcdef"),
            ("NOTION_KEY", "hunter2"),
            ("Authorization", "Bearer abcd"),
            ("DATABASE_URL", "postgres://ada:pw@db/x"),
            ("THING", "sk-0123456789abcdef"),
            ("X-Api-Key", "abcdef"),
        ] {
            assert!(is_secret(name, value), "{name}");
        }
        for (name, value) in [
            ("GITHUB_TOKEN", "${env:GITHUB_TOKEN}"),
            ("SSH_KEY", "/home/ada/.ssh/id"),
            ("LOG_LEVEL", "debug"),
            ("MONKEY", "george"),
            ("MAX_TOKENS", "4096"),
            ("AUTH_URL", "https://login.example/"),
            ("TOKEN", ""),
        ] {
            assert!(!is_secret(name, value), "{name}");
        }
    }

    #[test]
    fn a_reference_takes_the_place_of_the_secret_alone() {
        let headers = BTreeMap::from([("Authorization".to_owned(), "Bearer t0k-en".to_owned())]);
        let how = DraftTransport::Url { kind: crate::config::UrlKind::Http, url: "https://x/".into(), headers };
        let mut draft = ServerDraft::new("my-git", how, Source::Program);
        let found = literals(&draft);
        assert_eq!((found[0].value.expose(), found[0].variable("my-git").as_str()), ("t0k-en", "MY_GIT_AUTHORIZATION"));
        replace(&mut draft, &found[0], "${env:X}");
        assert!(
            matches!(&draft.how, DraftTransport::Url { headers, .. } if headers["Authorization"] == "Bearer ${env:X}")
        );
        assert!(literals(&draft).is_empty());
    }
}
