//! The tools of all servers, their pins and grants.

use std::sync::Arc;

use crate::chat::{Grant, Limits, Pin, ServerName, ToolRef};

use super::definition::Listing;
use super::rules::RegistryRules;
use super::snapshot::Snapshot;

/// What a listing, or a person's word, changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryChange {
    /// To be stored; replaces the entry's pin of that tool.
    Pinned(Pin),
    /// Offered from now on.
    Added(ToolRef),
    /// Offered no more.
    Removed(ToolRef),
    /// Set aside: its definition cannot be used; the reason, as a sentence.
    Quarantined { tool: ToolRef, reason: String },
    /// New (`before` is None) or changed since it was pinned: neither offered nor called until it was accepted.
    Withheld { tool: ToolRef, before: Option<Arc<str>>, after: Arc<str> },
    /// The server's instructions are not the pinned ones and are not passed on until they were accepted.
    InstructionsChanged { server: ServerName, before: Option<String>, after: Option<String> },
    /// The tool works, with something about it mended or ignored.
    Noted { tool: ToolRef, note: String },
}

/// A definition that waits for a person: canonical JSON, raw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The tool name `""` stands for the server's instructions.
    pub tool: ToolRef,
    /// None where it is new.
    pub before: Option<Arc<str>>,
    /// None where it is gone (instructions only).
    pub after: Option<Arc<str>>,
}

/// The tools of all servers.
#[derive(Debug)]
pub struct Registry {
    rules: RegistryRules,
    limits: Arc<Limits>,
    snapshot: Arc<Snapshot>,
}

impl Registry {
    #[must_use]
    pub fn new(rules: RegistryRules, limits: Arc<Limits>) -> Self {
        Self { rules, limits, snapshot: Arc::new(Snapshot::default()) }
    }

    /// Takes what the store knows, before the first listing.
    pub fn load_pins(&mut self, _pins: Vec<Pin>) {}

    /// Takes what the store knows; `Always` grants only make sense here.
    pub fn load_grants(&mut self, _grants: Vec<Grant>) {}

    pub fn add_grant(&mut self, _grant: Grant) {}

    /// Takes back every grant for a tool of an entry.
    pub fn revoke(&mut self, _entry: &str, _tool: &ToolRef) {}

    /// Replaces what a server offers by a complete new listing.
    pub fn apply(&mut self, _listing: Listing) -> Vec<RegistryChange> {
        Vec::new()
    }

    /// To be called 1 s after the last live listing of a server: the first listing of an unknown entry is over, and
    /// all that it holds is pinned. Nothing happens for an entry that was settled before.
    pub fn settled(&mut self, _server: &ServerName) -> Vec<RegistryChange> {
        Vec::new()
    }

    /// A person saw the differences and accepts them: what is withheld is pinned and offered.
    pub fn accept(&mut self, _server: &ServerName) -> Vec<RegistryChange> {
        Vec::new()
    }

    /// The server is off: its tools are offered no more. Pins and grants stay.
    pub fn remove(&mut self, _server: &ServerName) -> Vec<RegistryChange> {
        Vec::new()
    }

    pub fn set_trust(&mut self, server: &ServerName, trust: bool) {
        self.rules.servers.entry(server.clone()).or_default().trust = trust;
    }

    /// What waits for a person, in listing order; instructions last.
    #[must_use]
    pub fn differences(&self, _server: &ServerName) -> Vec<Difference> {
        Vec::new()
    }

    /// The tools as they stand now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        let _ = &self.limits;
        Arc::clone(&self.snapshot)
    }
}
