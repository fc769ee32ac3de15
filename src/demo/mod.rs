//! The demo: a scripted model behind a real HTTP server on loopback, and an MCP server that is this same program over
//! real stdio. Nothing on the way between them knows that it is a demo.
//!
//! # Invariants
//! - It needs no key, no network and no configuration, and leaves nothing behind: its store is a temporary folder that
//!   goes with [`Demo`], its model ends with it, its MCP server ends with its pipe.
//! - What the model says is data (`assets/demo/script.toml`); what it quotes of tools it read from their results.
//!
//! # Does not
//! Draw, decide about calls, or know anything of the engine: it only sits at the other end of both wires.

mod facts;
mod fill;
mod model;
mod script;
pub mod server;
mod stream;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::chat::{Policy, ServerName};
use crate::config::{Consent, Secret, ServerEntry, ServerFeatures, Source, Transport};

use model::Serving;
pub use script::MODEL;

/// The name of the demo's MCP server.
pub const SERVER: &str = "demo";
/// What is asked where nobody gave a prompt.
pub const PROMPT: &str = "Why does tidemark's retry go on for so long? Fix it and run the tests.";
/// Sets the pace of the demo's model and tools, for tests: 1 is a person's, 0 as fast as the machine allows.
pub const PACE_VARIABLE: &str = "MILLRACE_DEMO_PACE";

/// How the demo runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DemoOptions {
    /// Every wait is multiplied by it: 1 is a human pace, 0 as fast as possible.
    pub pace: f64,
}

impl Default for DemoOptions {
    fn default() -> Self {
        Self { pace: 1.0 }
    }
}

impl DemoOptions {
    /// Of the value of [`PACE_VARIABLE`]; what is no sensible number counts as not given.
    #[must_use]
    pub fn of(pace: Option<&str>) -> Self {
        let pace = pace.and_then(|text| text.trim().parse().ok()).filter(|pace| (0.0..=100.0).contains(pace));
        pace.map_or_else(Self::default, |pace| Self { pace })
    }
}

/// Why the demo could not begin.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("the demo's model could not be started on 127.0.0.1: {0}")]
    Model(io::Error),
    #[error("the demo needs a temporary folder and could not make one: {0}")]
    Folder(io::Error),
    #[error("the demo cannot find its own program to start its tools: {0}")]
    Program(io::Error),
    #[error("the demo's script is damaged: {0}")]
    Script(String),
}

/// A running demo. Dropping it ends the model and removes the folder.
#[derive(Debug)]
pub struct Demo {
    /// Up to and with `/v1`.
    pub base_url: String,
    pub model: &'static str,
    /// The built-in MCP server.
    pub entries: Vec<ServerEntry>,
    _serving: Serving,
    home: TempDir,
}

impl Demo {
    /// Starts the model on a thread and a port of its own; the MCP server starts with its entry.
    ///
    /// # Errors
    /// Where there is no port, no temporary folder, or no way to name this program.
    pub fn start(options: DemoOptions) -> Result<Self, DemoError> {
        let home = tempfile::Builder::new().prefix("millrace-demo-").tempdir().map_err(DemoError::Folder)?;
        let serving = Serving::start(options.pace)?;
        let program = std::env::current_exe().map_err(DemoError::Program)?;
        let entries = servers(&program, options);
        Ok(Self { base_url: serving.base_url(), model: MODEL, entries, _serving: serving, home })
    }

    /// The folder that lives as long as the demo: for its store and whatever else would be kept.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    #[must_use]
    pub fn store_file(&self) -> PathBuf {
        self.home.path().join("demo.db")
    }
}

/// The entry of the built-in MCP server: `program demo-server` over stdio. Its tools that only read are allowed, the
/// one that writes asks.
#[must_use]
pub fn servers(program: &Path, options: DemoOptions) -> Vec<ServerEntry> {
    let command = program.display().to_string();
    let args = vec!["demo-server".to_owned()];
    let env = match options.pace {
        1.0 => BTreeMap::new(),
        pace => BTreeMap::from([(PACE_VARIABLE.to_owned(), Secret::new(pace.to_string()))]),
    };
    let hash = Sha256::digest(format!("{command}\0{}", args.join("\0")));
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let policies = server::READING
        .iter()
        .map(|tool| ((*tool).to_owned(), Policy::Allow))
        .chain(server::WRITING.iter().map(|tool| ((*tool).to_owned(), Policy::Ask)))
        .collect();
    vec![ServerEntry {
        name: ServerName::new(SERVER),
        transport: Transport::Stdio { command, args, env, cwd: None },
        trust: true,
        policy: Some(Policy::Ask),
        policies,
        tools_allow: None,
        dispatch: None,
        dispatches: BTreeMap::new(),
        era: None,
        jsonrpc: false,
        start_timeout: None,
        call_timeout: None,
        consent: Consent::Given,
        source: Source::Program,
        entry_hash: Arc::from(format!("{SERVER}:{hash}")),
        disabled: None,
        sign_in: Default::default(),
        features: ServerFeatures::default(),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_a_sensible_number_or_the_usual_one() {
        let check = |text: Option<&str>, pace: f64| assert_eq!(DemoOptions::of(text), DemoOptions { pace });
        check(None, 1.0);
        check(Some(" 0.25 "), 0.25);
        check(Some("0"), 0.0);
        for odd in ["", "fast", "-1", "NaN", "inf", "1e9"] {
            check(Some(odd), 1.0);
        }
    }

    #[test]
    fn what_writes_asks_and_what_reads_does_not() {
        let entries = servers(Path::new("/usr/bin/millrace"), DemoOptions::default());
        let [entry] = entries.as_slice() else { panic!("one server") };
        assert_eq!(entry.line(), "/usr/bin/millrace demo-server");
        assert_eq!(entry.policies["write_file"], Policy::Ask);
        assert!(entry.policies.iter().filter(|(_, policy)| **policy == Policy::Allow).count() >= 6);
        assert_eq!(entry.policy, Some(Policy::Ask));
    }
}
