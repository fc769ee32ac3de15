//! One MCP server as it is configured: how it is reached, what may be done with it, where it comes from.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::chat::{Dispatch, LoggingLevel, Policy, Root, ServerName};

use super::{KeySource, Secret};

/// A server, ready to be used: variables are expanded, names checked.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerEntry {
    pub name: ServerName,
    pub transport: Transport,
    /// Whether its hints are believed.
    pub trust: bool,
    /// For its tools that `policies` does not name; None: the default of `[policy]`.
    pub policy: Option<Policy>,
    /// By tool name or glob of tool names.
    pub policies: BTreeMap<String, Policy>,
    /// Globs of the tools the model is offered at all; None: all.
    pub tools_allow: Option<Vec<String>>,
    pub dispatch: Option<Dispatch>,
    /// By tool name or glob of tool names.
    pub dispatches: BTreeMap<String, Dispatch>,
    /// Which of the protocol's eras it is greeted in; None: found out.
    pub era: Option<Era>,
    /// In the bare dialect: send `"jsonrpc": "2.0"` too.
    pub jsonrpc: bool,
    /// Instead of `Limits::server_start`.
    pub start_timeout: Option<Duration>,
    /// Instead of `Limits::call`.
    pub call_timeout: Option<Duration>,
    pub consent: Consent,
    pub source: Source,
    /// `NAME:SHA256` over its configuration as written (variables not expanded): another command is another entry.
    pub entry_hash: Arc<str>,
    /// Why it is not used; None: it is.
    pub disabled: Option<String>,
    pub sign_in: SignInSettings,
    pub features: ServerFeatures,
}

/// What a server may have of the protocol beside tools; not part of the entry's hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFeatures {
    /// The model is told what it says of its own use.
    pub instructions: bool,
    /// The least severe log messages that it is asked for; None: it is asked for none.
    pub log_level: Option<LoggingLevel>,
    /// The folders that it may be told of when it asks; none: it is not told that it may ask.
    pub roots: Vec<Root>,
    /// A person decides each time; where nobody is there, it is told of none.
    pub roots_ask: bool,
    /// It tells of changes of resources that a person attached, where it can.
    pub watch: bool,
    /// It may ask for answers of the model; None: it is not told that it may ask.
    pub sampling: Option<SamplingOffer>,
}

/// On what terms a server may ask for answers of the model. A person decides each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SamplingOffer {
    /// Instead of `Limits::sampling_tokens`.
    pub tokens: Option<u32>,
}

impl Default for ServerFeatures {
    fn default() -> Self {
        Self { instructions: true, log_level: None, roots: Vec::new(), roots_ask: true, watch: true, sampling: None }
    }
}

/// How to sign in to a server that asks for it (OAuth 2.1). Nothing of it is needed where the server and its
/// authorisation server tell all; not part of the entry's hash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignInSettings {
    /// A client that was registered by hand.
    pub client_id: Option<String>,
    pub client_secret: Option<KeySource>,
    /// The address of a client metadata document: itself the client's id, where the issuer supports that.
    pub client_metadata_url: Option<String>,
    /// The only issuer that is accepted.
    pub issuer: Option<String>,
    /// Asked for instead of what the server names.
    pub scopes: Option<Vec<String>>,
    /// Where the browser comes back to on this machine; None: a free port.
    pub port: Option<u16>,
    /// Go on where the issuer does not say that it supports PKCE.
    pub assume_pkce: bool,
}

/// How a server is reached. Values of `env` and `headers` may be secrets.
#[derive(Clone, Debug, PartialEq)]
pub enum Transport {
    /// A program that speaks over its stdin and stdout. `env` is all that its entry names, nothing inherited.
    Stdio { command: String, args: Vec<String>, env: BTreeMap<String, Secret>, cwd: Option<PathBuf> },
    /// Streamable HTTP, falling back to HTTP+SSE as the specification says.
    Http { url: String, headers: BTreeMap<String, Secret> },
    /// HTTP+SSE of 2024-11-05 only.
    Sse { url: String, headers: BTreeMap<String, Secret> },
    /// Bare JSON-RPC over HTTP: `list_tools`, `call_tool`.
    SimpleRpc { url: String, headers: BTreeMap<String, Secret> },
}

/// The protocol's two ways to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// `initialize`, up to 2025-11-25.
    Legacy,
    /// `server/discover`, from 2026-07-28.
    Modern,
}

impl Era {
    /// None: that is no era's name.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::Legacy, Self::Modern].into_iter().find(|era| era.word() == word)
    }

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }
}

/// Whether it may be started without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    Given,
    /// A person must have seen its exact command or address first.
    NeedsPerson,
}

/// Where an entry comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The user's `config.toml`.
    User(PathBuf),
    /// A trusted `.millrace.toml`.
    Project(PathBuf),
    /// A file named with `--mcp`.
    File(PathBuf),
    /// Built in, or made by a command of this run.
    Program,
}

/// Why an entry with `disabled = true` is not used.
pub(super) const SWITCHED_OFF: &str = "disabled in its configuration";

impl ServerEntry {
    /// Its address, where it is reached at one.
    #[must_use]
    pub fn address(&self) -> Option<(&str, &BTreeMap<String, Secret>)> {
        match &self.transport {
            Transport::Stdio { .. } => None,
            Transport::Http { url, headers }
            | Transport::Sse { url, headers }
            | Transport::SimpleRpc { url, headers } => Some((url, headers)),
        }
    }

    /// It is off because its entry says so, and for no other reason.
    #[must_use]
    pub fn is_switched_off(&self) -> bool {
        self.disabled.as_deref() == Some(SWITCHED_OFF)
    }

    /// The exact command or address, for a person to judge. Values of variables and headers, and what is
    /// evidently a secret in arguments or address, are masked; all else is exact. Raw text: sanitise before drawing.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = String::new();
        match &self.transport {
            Transport::Stdio { command, args, env, cwd } => {
                for name in env.keys() {
                    let _ = write!(line, "{name}=… ");
                }
                line.push_str(&quoted(command));
                let mut before = "";
                for arg in args {
                    line.push(' ');
                    line.push_str(&quoted(&masked(before, arg)));
                    before = arg;
                }
                if let Some(cwd) = cwd {
                    let _ = write!(line, "  in {}", cwd.display());
                }
            }
            Transport::Http { url, headers }
            | Transport::Sse { url, headers }
            | Transport::SimpleRpc { url, headers } => {
                line.push_str(&masked_url(url));
                for name in headers.keys() {
                    let _ = write!(line, "  {name}: …");
                }
            }
        }
        line
    }
}

/// One argument as a shell would need it, so that where one ends and the next begins can be seen.
fn quoted(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%^~".contains(c);
    if !arg.is_empty() && arg.chars().all(plain) {
        return arg.to_owned();
    }
    format!("'{}'", arg.replace('\'', "'\\''"))
}

const SECRET_NAMES: &[&str] = &["token", "secret", "password", "passwd", "api_key", "apikey", "api-key", "access_key"];

/// Whether a flag, variable or parameter of that name holds a secret.
pub(super) fn secret_name(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|name| lower.contains(name))
}

/// Whether a text holds a token of a well-known make.
pub(super) fn known_token(text: &str) -> bool {
    const PREFIXES: &[&str] = &["sk-", "ghp_", "github_pat_", "xoxb-", "glpat-"];
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))
        .any(|run| run.len() > 12 && PREFIXES.iter().any(|prefix| run.starts_with(prefix)))
}

/// An argument without what is evidently a secret. Nothing else may be hidden: a person judges the command by it.
fn masked(before: &str, arg: &str) -> String {
    if let Some((name, value)) = arg.split_once('=')
        && secret_name(name)
        && !value.is_empty()
    {
        return format!("{name}=…");
    }
    if let Some(at) = arg.to_ascii_lowercase().find("bearer ") {
        return format!("{}…", &arg[..at + "bearer ".len()]);
    }
    let of_a_flag = before.starts_with('-') && !before.contains('=') && secret_name(before) && !arg.starts_with('-');
    if of_a_flag || known_token(arg) { "…".to_owned() } else { arg.to_owned() }
}

fn masked_url(text: &str) -> String {
    let Some((address, query)) = text.split_once('?') else { return text.to_owned() };
    let pairs: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if !value.is_empty() && (secret_name(name) || name == "key") => format!("{name}=…"),
            Some(_) | None => pair.to_owned(),
        })
        .collect();
    format!("{address}?{}", pairs.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_exact_but_for_secrets() {
        let line = |args: &[&str]| {
            args.iter()
                .fold((String::new(), ""), |(out, before), arg| {
                    (format!("{out} {}", quoted(&masked(before, arg))), *arg)
                })
                .0
        };
        assert_eq!(line(&["-y", "a b", "", "it's"]), " -y 'a b' '' 'it'\\''s'");
        assert_eq!(line(&["--token", "hunter2", "--api-key=x", "-v"]), " --token '…' '--api-key=…' -v");
        assert_eq!(
            line(&["--header", "Authorization: Bearer abc", "sk-0123456789abc"]),
            " --header 'Authorization: Bearer …' '…'"
        );
        assert_eq!(line(&["rm", "-rf", "/home/ada/4d3f9a0c8e7b2d1f6a5c"]), " rm -rf /home/ada/4d3f9a0c8e7b2d1f6a5c");
        assert_eq!(masked_url("https://x/mcp?a=1&token=abc&key=z"), "https://x/mcp?a=1&token=…&key=…");
    }
}
