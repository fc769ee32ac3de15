//! `find_tools`: the model searches for what it needs among the definitions of all servers.

use serde_json::{Map, Value, json};

use crate::chat::{Limits, OutcomeKind, ToolList, ToolOutcome};
use crate::tools::{Builtin, Snapshot};

/// How many tools one search tells of, unless it asks for another number, and at most.
const FOUND: usize = 5;
const MOST_FOUND: usize = 20;

pub(in crate::engine) const FIND_TOOLS: &str = "find_tools";

/// The definition. It names the servers, so that a model knows what there is to look for; with the same servers it is
/// the same bytes.
///
/// # Errors
/// Never in a released program: where the tool's own definition is broken.
pub(super) fn definition(tools: &Snapshot, limits: &Limits) -> Result<Builtin, String> {
    let servers = tools.servers();
    let names: Vec<&str> = servers.iter().map(|(name, _)| name.as_str()).collect();
    let description = format!(
        "Finds tools. Most tools are not listed here: search for what you want to do before you say that it cannot be \
         done. Tools that were found can be called from your next message on. Servers with tools: {}.",
        names.join(", ")
    );
    let schema = json!({
        "type": "object",
        "properties": {
            "query": {
                "type": "string",
                "description": "What the tool should do, in a few English words: create an issue"
            },
            "limit": {
                "type": "integer", "minimum": 1, "maximum": MOST_FOUND,
                "description": format!("How many to tell of, {FOUND} unless given")
            }
        },
        "required": ["query"]
    });
    Builtin::new(FIND_TOOLS, &description, &schema, limits)
}

/// Linear in the text of all definitions: off the engine's task where there are many.
pub(in crate::engine) fn found(tools: &Snapshot, arguments: &Map<String, Value>, limits: &Limits) -> ToolOutcome {
    let question = arguments.get("query").and_then(Value::as_str).unwrap_or_default();
    let limit = arguments.get("limit").and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok());
    let found = tools.find(question, limit.unwrap_or(FOUND).clamp(1, MOST_FOUND));
    let names: Vec<&str> = found.iter().map(|tool| &*tool.wire_name).collect();
    let mut content = String::new();
    let room = usize::try_from(limits.result).unwrap_or(usize::MAX);
    for name in &names {
        // The element of the list, without the words around it.
        let function = tools.function(name).unwrap_or_default();
        let function = function.strip_prefix(r#"{"type":"function","function":"#).unwrap_or(function);
        let function = function.strip_suffix('}').unwrap_or(function);
        let line = if content.len() + function.len() < room { function } else { name };
        if !content.is_empty() {
            content.push('\n');
        }
        content.push_str(line);
    }
    if names.is_empty() {
        let servers: Vec<String> =
            tools.servers().into_iter().map(|(name, count)| format!("{} ({count})", name.as_str())).collect();
        content = format!(
            "No tool fits these words. Try others: what is done, and to what. The servers and how many tools each has: \
             {}.",
            servers.join(", ")
        );
    }
    let structured = json!({"found": names});
    ToolOutcome { structured: Some(structured), sent: true, ..ToolOutcome::unsent(OutcomeKind::Done, content) }
}

/// What a person is told when a conversation begins to search.
pub(in crate::engine) fn notice(list: Option<&ToolList>, all: u32, tokens: u64) -> String {
    let offered = list.map_or(0, |list| list.count.saturating_sub(1));
    format!(
        "find_tools: {offered} of {all} tools offered. All of them would take about {tokens} tokens of every request, so \
         the model searches for what it needs. f on the list of tools switches this."
    )
}
