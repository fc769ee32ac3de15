//! What servers hold beside tools: prompts, resources and templates; how they are asked for, and what comes back.
//!
//! Source: MCP 2026-07-28, server/prompts, server/resources, server/utilities/completion.
//!
//! # Invariants
//! - Text in it is raw. A prompt's messages are for a person to look at before anything of them is sent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Part;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromptInfo {
    pub name: String,
    pub title: Option<String>,
    pub description: Option<String>,
    pub arguments: Vec<PromptArgument>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromptArgument {
    pub name: String,
    pub title: Option<String>,
    pub description: Option<String>,
    pub required: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceInfo {
    pub uri: String,
    pub name: String,
    pub title: Option<String>,
    pub description: Option<String>,
    pub mime: Option<String>,
    /// Bytes, as the server says.
    pub size: Option<u64>,
}

/// A family of resources: an address with variables (RFC 6570).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateInfo {
    pub template: String,
    pub name: String,
    pub title: Option<String>,
    pub description: Option<String>,
    pub mime: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    pub resources: Vec<ResourceInfo>,
    pub templates: Vec<TemplateInfo>,
}

/// A prompt, filled in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PromptText {
    pub description: Option<String>,
    pub messages: Vec<PromptMessage>,
    /// What of it is left out, and why.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PromptMessage {
    pub by_assistant: bool,
    pub parts: Vec<Part>,
}

/// What was read under an address.
#[derive(Clone, Debug, PartialEq)]
pub enum ResourceBody {
    /// Text, or an image: fit for a message. Its name is `server:uri`.
    Part(Part),
    /// Any other bytes: to be saved.
    Bytes { uri: String, mime: Option<String>, bytes: std::sync::Arc<[u8]> },
}

/// What an argument is completed for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Completes {
    /// By name.
    Prompt(String),
    /// By its template.
    Template(String),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completions {
    /// At most 100.
    pub values: Vec<String>,
    pub more: bool,
}

/// What a server can be asked beside calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerQuery {
    Prompts,
    Prompt {
        name: String,
        arguments: BTreeMap<String, String>,
    },
    Catalog,
    Read {
        uri: String,
    },
    /// To be told of changes of a resource from now on, over every connection that the server gets.
    Watch {
        uri: String,
    },
    Unwatch {
        uri: String,
    },
    Complete {
        of: Completes,
        argument: String,
        value: String,
        /// The other arguments that are filled in.
        context: BTreeMap<String, String>,
    },
}

/// The answer to the query of the same name.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerReply {
    Prompts(Vec<PromptInfo>),
    Prompt(PromptText),
    Catalog(Catalog),
    Read(Vec<ResourceBody>),
    /// How it stands at once; what becomes of it comes as [`ServerNews::Watch`].
    Watch {
        uri: String,
        standing: WatchStanding,
    },
    Unwatched,
    Completions(Completions),
}

/// What a server announces about what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerNews {
    PromptsChanged,
    ResourcesChanged,
    /// A watched resource, or one below it, has changed. Not `certain`: it may have, while nobody was told of it.
    ResourceUpdated {
        uri: String,
        certain: bool,
    },
    /// How it stands with the watching of a resource has changed.
    Watch {
        uri: String,
        standing: WatchStanding,
    },
}

/// How it stands with the watching of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchStanding {
    /// Its server is asked, or will be when it is there.
    Asked,
    /// Its server tells of changes.
    Kept,
    /// Its server does not say that it can, or its configuration does not want it.
    NotOffered,
    /// The server or a limit said no, and why; raw.
    Refused(String),
}

impl TemplateInfo {
    /// Its variables, each once, in their order.
    #[must_use]
    pub fn variables(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for piece in pieces(&self.template) {
            if let Piece::Expression { names: more, .. } = piece {
                for name in more {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
            }
        }
        names
    }

    /// The address for these values. A variable without a value leaves nothing behind.
    #[must_use]
    pub fn expand(&self, values: &BTreeMap<String, String>) -> String {
        let mut out = String::new();
        for piece in pieces(&self.template) {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Expression { operator, names } => expand(operator, &names, values, &mut out),
            }
        }
        out
    }
}

enum Piece<'a> {
    Literal(&'a str),
    Expression { operator: Option<char>, names: Vec<String> },
}

/// A brace that is never closed is text.
fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        let Some(length) = rest[open..].find('}') else { break };
        if open > 0 {
            out.push(Piece::Literal(&rest[..open]));
        }
        let inner = &rest[open + 1..open + length];
        let operator = inner.chars().next().filter(|c| "+#./;?&".contains(*c));
        let names = inner[operator.map_or(0, char::len_utf8)..].split(',');
        // Modifiers (`*`, `:3`) shape lists and prefixes; values here are whole texts.
        let names = names.map(|name| name.split(['*', ':']).next().unwrap_or_default().to_owned());
        out.push(Piece::Expression { operator, names: names.filter(|name| !name.is_empty()).collect() });
        rest = &rest[open + length + 1..];
    }
    if !rest.is_empty() {
        out.push(Piece::Literal(rest));
    }
    out
}

/// RFC 6570, section 3.2, for values that are texts.
fn expand(operator: Option<char>, names: &[String], values: &BTreeMap<String, String>, out: &mut String) {
    let (first, between, named, reserved) = match operator {
        None => ("", ",", false, false),
        Some('+') => ("", ",", false, true),
        Some('#') => ("#", ",", false, true),
        Some('.') => (".", ".", false, false),
        Some('/') => ("/", "/", false, false),
        Some(';') => (";", ";", true, false),
        Some('?') => ("?", "&", true, false),
        Some(_) => ("&", "&", true, false),
    };
    let mut begun = false;
    for name in names {
        let Some(value) = values.get(name) else { continue };
        out.push_str(if begun { between } else { first });
        begun = true;
        if named {
            out.push_str(name);
            if !(value.is_empty() && operator == Some(';')) {
                out.push('=');
            }
        }
        for byte in value.bytes() {
            let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            let kept = reserved && b":/?#[]@!$&'()*+,;=%".contains(&byte);
            if plain || kept {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(template: &str, values: &[(&str, &str)]) -> String {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        TemplateInfo { template: template.into(), ..TemplateInfo::default() }.expand(&values)
    }

    /// The examples of RFC 6570, sections 1.2 and 3.2, for values that are texts.
    #[test]
    fn templates_are_expanded_as_the_rfc_says() {
        let values = [
            ("var", "value"),
            ("hello", "Hello World!"),
            ("path", "/foo/bar"),
            ("x", "1024"),
            ("y", "768"),
            ("empty", ""),
        ];
        for (template, want) in [
            ("{var}", "value"),
            ("{hello}", "Hello%20World%21"),
            ("{+hello}", "Hello%20World!"),
            ("{+path}/here", "/foo/bar/here"),
            ("X{#hello}", "X#Hello%20World!"),
            ("map?{x,y}", "map?1024,768"),
            ("X{.var}", "X.value"),
            ("{/var,x}/here", "/value/1024/here"),
            ("{;x,y,empty}", ";x=1024;y=768;empty"),
            ("{?x,y,undef}", "?x=1024&y=768"),
            ("?fixed=yes{&x}", "?fixed=yes&x=1024"),
            ("{undef}", ""),
            ("{var", "{var"),
            ("file:///{path*}", "file:///%2Ffoo%2Fbar"),
        ] {
            assert_eq!(expanded(template, &values), want, "{template}");
        }
    }

    #[test]
    fn variables_are_told_once_and_in_order() {
        let template = TemplateInfo { template: "a://{b}/{+c*}{?b,d:3}".into(), ..TemplateInfo::default() };
        assert_eq!(template.variables(), ["b", "c", "d"]);
    }
}
