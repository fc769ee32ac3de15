//! The folders that a server may be told of.
//!
//! Source: MCP 2025-11-25 and 2026-07-28, client/roots. They are information and no fence: a server is free to look
//! elsewhere.

use serde::{Deserialize, Serialize};

/// A folder that a server may be told of. Raw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// A `file:` address.
    pub uri: String,
    pub name: Option<String>,
}

/// What a server may be told, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerRoots {
    pub list: Vec<Root>,
    pub telling: Telling,
    /// This connection was told that it may ask; None: there is no connection.
    pub offered: Option<bool>,
}

/// Who decides when a server asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Telling {
    /// A person, each time.
    #[default]
    Ask,
    /// A person has decided, until the program ends.
    UntilQuit,
    /// The entry (`roots_ask = false`).
    Always,
}
