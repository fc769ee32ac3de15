//! Tests of the registry and everything it decides, with the builders that they share.

mod levels;
mod names;
mod policy;
mod registry;
mod result;
mod schema;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::chat::{Limits, ServerName, ToolRef};

use super::{Listing, Registry, RegistryChange, RegistryRules, ServerRules, Snapshot, Tool};

pub(super) fn limits() -> Arc<Limits> {
    Arc::new(Limits::default())
}

pub(super) fn tool(name: &str) -> Value {
    tool_with(name, json!({ "type": "object", "properties": { "path": { "type": "string" } } }))
}

pub(super) fn tool_with(name: &str, schema: Value) -> Value {
    json!({ "name": name, "description": format!("Does {name}."), "inputSchema": schema })
}

pub(super) fn listing(server: &str, tools: Vec<Value>) -> Listing {
    Listing {
        server: ServerName::new(server),
        entry: Arc::from(format!("{server}:1")),
        tools,
        instructions: None,
        from_cache: false,
    }
}

/// A registry in which these servers' first listings have settled.
pub(super) fn settled(rules: RegistryRules, listings: Vec<Listing>) -> Registry {
    let mut registry = Registry::new(rules, limits());
    for listing in listings {
        let server = listing.server.clone();
        registry.apply(listing);
        registry.settled(&server);
    }
    registry
}

/// The one offered tool of a server `fs` that lists this.
pub(super) fn offered(definition: Value) -> Arc<Tool> {
    let registry = settled(RegistryRules::default(), vec![listing("fs", vec![definition])]);
    let snapshot = registry.snapshot();
    let tool = snapshot.tools().next().unwrap_or_else(|| panic!("not offered: {:?}", snapshot.absent));
    Arc::clone(tool)
}

/// What a server `fs` that lists these offers.
pub(super) fn snapshot_of(tools: Vec<Value>) -> Arc<Snapshot> {
    settled(RegistryRules::default(), vec![listing("fs", tools)]).snapshot()
}

pub(super) fn trusted(trust: bool) -> ServerRules {
    ServerRules { trust, ..ServerRules::default() }
}

pub(super) fn names(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.tools().map(|tool| &*tool.wire_name).collect()
}

/// Changes as short lines.
pub(super) fn lines(changes: &[RegistryChange]) -> Vec<String> {
    let told = |tool: &ToolRef| tool.path();
    changes
        .iter()
        .map(|change| match change {
            RegistryChange::Pinned(pin) => format!("pinned {}", told(&pin.tool)),
            RegistryChange::Added(tool) => format!("added {}", told(tool)),
            RegistryChange::Removed(tool) => format!("removed {}", told(tool)),
            RegistryChange::Quarantined { tool, reason } => format!("aside {}: {reason}", told(tool)),
            RegistryChange::Withheld { tool, before: None, .. } => format!("new {}", told(tool)),
            RegistryChange::Withheld { tool, before: Some(_), .. } => format!("changed {}", told(tool)),
            RegistryChange::Introduced { server, text } => format!("introduced {}: {text:?}", server.as_str()),
            RegistryChange::InstructionsChanged { server, before, after } => {
                format!("instructions {}: {before:?} to {after:?}", server.as_str())
            }
            RegistryChange::Noted { tool, note } => format!("note {}: {note}", told(tool)),
        })
        .collect()
}
