//! Definitions as they were when they were first listed or last accepted.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::chat::Pin;

/// Pins by entry, then by tool. The tool `""` is the server's instructions; it is pinned also where there are none, so
/// that an entry without tools is known too.
#[derive(Debug, Default)]
pub(super) struct Pins(HashMap<Arc<str>, BTreeMap<Arc<str>, Pin>>);

impl Pins {
    pub(super) fn insert(&mut self, pin: Pin) {
        self.0.entry(Arc::clone(&pin.entry)).or_default().insert(Arc::clone(&pin.tool.tool), pin);
    }

    pub(super) fn get(&self, entry: &str, tool: &str) -> Option<&Pin> {
        self.0.get(entry)?.get(tool)
    }

    /// Whether the entry's first listing is over.
    pub(super) fn knows(&self, entry: &str) -> bool {
        self.0.contains_key(entry)
    }

    pub(super) fn hold(&self, entry: &str, tool: &str, sha256: &str) -> bool {
        self.get(entry, tool).is_some_and(|pin| &*pin.sha256 == sha256)
    }
}
