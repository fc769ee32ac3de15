//! One MCP server as it is configured: how it is reached, what may be done with it, where it comes from.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::chat::{Dispatch, Policy, ServerName};

use super::Secret;

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

impl ServerEntry {
    /// The exact command or address, for a person to judge. Values of variables and headers are masked, their names
    /// shown. Raw text: sanitise before drawing.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = String::new();
        match &self.transport {
            Transport::Stdio { command, args, env, cwd } => {
                for name in env.keys() {
                    let _ = write!(line, "{name}=… ");
                }
                line.push_str(&quoted(command));
                for arg in args {
                    line.push(' ');
                    line.push_str(&quoted(arg));
                }
                if let Some(cwd) = cwd {
                    let _ = write!(line, "  in {}", cwd.display());
                }
            }
            Transport::Http { url, headers }
            | Transport::Sse { url, headers }
            | Transport::SimpleRpc { url, headers } => {
                line.push_str(url);
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
