//! How other clients name variables, made into our one form: `${env:NAME}`, `${env:NAME:-default}`,
//! `${workspaceFolder}`, `${userHome}`.
//!
//! # Invariants
//! - Each text is read once, from left to right: what stands in a default is not looked at again.
//! - What cannot be converted stays as it is and is told of; its server is off until a person has changed it.

use std::path::Path;

use super::Dialect;
use crate::config::file::variable_name;

/// What a text referred to, besides variables of the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// `${input:ID}`, which its client asks for. It has become `${env:NAME}`.
    Input { id: String, name: String },
    /// A file's content was wanted: `${file:PATH}`. It has become `${env:NAME}`.
    File { path: String, name: String },
    /// Something that we have no form for; it stays.
    Unknown(String),
}

/// What `convert` needs to know of where the text stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub dialect: Dialect,
    /// The working folder, for its name.
    pub folder: Option<&'a Path>,
    /// The server's name, for naming what would be named too commonly.
    pub server: &'a str,
    /// The variable or header whose value this is, for naming what has no name.
    pub key: &'a str,
    /// The default of an input, by its id.
    pub default: &'a dyn Fn(&str) -> Option<String>,
}

/// A text in our form, and what a person has to know of it.
pub(super) fn convert(text: &str, place: Place<'_>) -> (String, Vec<Found>) {
    let mut out = String::with_capacity(text.len());
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['$', '{']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let braced = |rest: &str, open: usize| rest[open..].find('}').map(|end| (open, open + end));
        let span = if rest.starts_with("${") {
            braced(rest, 2)
        } else if place.dialect == Dialect::OpenCode && (rest.starts_with("{env:") || rest.starts_with("{file:")) {
            braced(rest, 1)
        } else {
            None
        };
        if let Some((open, end)) = span {
            out.push_str(&reference(&rest[open..end], place, &mut found));
            rest = &rest[end + 1..];
            continue;
        }
        let name = match (rest.strip_prefix('$'), place.dialect) {
            (Some(after), Dialect::Gemini) => bare_name(after),
            _ => "",
        };
        if name.is_empty() {
            out.push_str(&rest[..1]);
            rest = &rest[1..];
        } else {
            out.push_str(&format!("${{env:{name}}}"));
            rest = &rest[1 + name.len()..];
        }
    }
    out.push_str(rest);
    (out, found)
}

fn reference(inner: &str, place: Place<'_>, found: &mut Vec<Found>) -> String {
    let ours = |name: &str, default: Option<String>| match default {
        Some(default) => format!("${{env:{name}:-{default}}}"),
        None => format!("${{env:{name}}}"),
    };
    if matches!(inner, "workspaceFolder" | "userHome") {
        return format!("${{{inner}}}");
    }
    if inner.starts_with("workspaceFolder:") {
        return "${workspaceFolder}".to_owned();
    }
    if matches!(inner, "pathSeparator" | "/") {
        return std::path::MAIN_SEPARATOR.to_string();
    }
    if inner == "workspaceFolderBasename"
        && let Some(name) = place.folder.and_then(Path::file_name)
    {
        return name.to_string_lossy().into_owned();
    }
    if let Some(id) = inner.strip_prefix("input:") {
        if let Some(default) = (place.default)(id) {
            return default;
        }
        let name = variable_for(place.server, id);
        found.push(Found::Input { id: id.to_owned(), name: name.clone() });
        return ours(&name, None);
    }
    if let Some(path) = inner.strip_prefix("file:") {
        let name = variable_for(place.server, if place.key.is_empty() { path } else { place.key });
        found.push(Found::File { path: path.to_owned(), name: name.clone() });
        return ours(&name, None);
    }
    let plain = inner.strip_prefix("env:").unwrap_or(inner);
    let (name, default) = plain.split_once(":-").map_or((plain, None), |(name, default)| (name, Some(default)));
    if variable_name(name) && !default.is_some_and(|default| default.contains("${")) {
        return ours(name, default.map(str::to_owned));
    }
    found.push(Found::Unknown(inner.to_owned()));
    format!("${{{inner}}}")
}

fn bare_name(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    if text.starts_with(|c: char| c.is_ascii_digit()) { "" } else { &text[..end] }
}

/// A variable for something that a server needs, named so that nothing else is called so: of `path` of the server
/// `weather`, `WEATHER_PATH`.
pub(crate) fn variable_for(server: &str, what: &str) -> String {
    let name = variable_of(what);
    if name.trim_matches('_').contains('_') { name } else { variable_of(&format!("{server}_{what}")) }
}

/// The nearest name that a variable may have: `github-token` is `GITHUB_TOKEN`.
pub(crate) fn variable_of(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars().take(64) {
        let c = if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        if !(c == '_' && (name.is_empty() || name.ends_with('_'))) {
            name.push(c);
        }
    }
    let name = name.trim_end_matches('_');
    match name.chars().next() {
        None => "VALUE".to_owned(),
        Some(c) if c.is_ascii_digit() => format!("_{name}"),
        Some(_) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, dialect: Dialect) -> (String, Vec<Found>) {
        let default = |id: &str| (id == "port").then(|| "80".to_owned());
        convert(
            text,
            Place {
                dialect,
                folder: Some(Path::new("/home/ada/src")),
                server: "git",
                key: "API-Key",
                default: &default,
            },
        )
    }

    #[test]
    fn every_way_of_naming_a_variable_becomes_ours() {
        for (text, dialect, expect) in [
            ("a ${X} b", Dialect::Common, "a ${env:X} b"),
            ("${X:-y}/${env:Z}", Dialect::Common, "${env:X:-y}/${env:Z}"),
            ("${env:Z:-}", Dialect::Common, "${env:Z:-}"),
            ("$X and ${X}", Dialect::Common, "$X and ${env:X}"),
            ("$X-${Y:-1}$", Dialect::Gemini, "${env:X}-${env:Y:-1}$"),
            ("$1 $$X", Dialect::Gemini, "$1 $${env:X}"),
            ("{env:X} {envelope} ${env:Y}", Dialect::OpenCode, "${env:X} {envelope} ${env:Y}"),
            ("{env:X}", Dialect::Common, "{env:X}"),
            ("${workspaceFolder}/${userHome}", Dialect::Common, "${workspaceFolder}/${userHome}"),
            ("${workspaceFolder:app}", Dialect::Common, "${workspaceFolder}"),
            ("${workspaceFolderBasename}", Dialect::Common, "src"),
            ("open ${", Dialect::Common, "open ${"),
            ("", Dialect::Common, ""),
        ] {
            assert_eq!(of(text, dialect), (expect.to_owned(), Vec::new()), "{text}");
        }
    }

    #[test]
    fn what_a_person_has_to_give_is_told() {
        let input = |id: &str, name: &str| Found::Input { id: id.to_owned(), name: name.to_owned() };
        assert_eq!(
            of("Bearer ${input:gh-token}", Dialect::Common),
            ("Bearer ${env:GH_TOKEN}".to_owned(), vec![input("gh-token", "GH_TOKEN")])
        );
        assert_eq!(of("${input:port}", Dialect::Common), ("80".to_owned(), Vec::new()));
        assert_eq!(of("${input:path}", Dialect::Common).0, "${env:GIT_PATH}");
        let (text, found) = of("${file:/run/key}", Dialect::Common);
        assert_eq!(text, "${env:API_KEY}");
        assert_eq!(found, [Found::File { path: "/run/key".into(), name: "API_KEY".into() }]);
        assert_eq!(of("{file:./key}", Dialect::OpenCode).0, "${env:API_KEY}");
        for odd in ["${config:x.y}", "${A:-${B}}", "${1}"] {
            let (text, found) = of(odd, Dialect::Common);
            assert_eq!(text, odd);
            assert_eq!(found.len(), 1, "{odd}");
        }
    }

    #[test]
    fn a_variable_gets_a_name_that_it_may_have() {
        assert_eq!(variable_of("GitHub token!"), "GITHUB_TOKEN");
        assert_eq!(variable_of("7z"), "_7Z");
        assert_eq!(variable_of("é"), "VALUE");
    }
}
