//! What a server lists, read leniently.

use std::sync::Arc;

use serde_json::Value;

use crate::chat::ServerName;

/// One complete answer of a server to the question which tools it has.
#[derive(Clone, Debug)]
pub struct Listing {
    pub server: ServerName,
    /// Name and hash of the server's configuration: pins and grants belong to it.
    pub entry: Arc<str>,
    /// The tools as they came, each any JSON at all.
    pub tools: Vec<Value>,
    pub instructions: Option<String>,
    /// From the cache on disk: nothing is pinned by it, and only what matches its pin is offered.
    pub from_cache: bool,
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
