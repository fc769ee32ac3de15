//! Tools that millrace itself gives the model: run here, without a server, a review or a network.
//!
//! `find_tools` takes the place of definitions that would fill the context: the model searches, and what it found is
//! offered from its next request on.
//!
//! # Invariants
//! - What is offered is a function of the conversation's messages: the tools found and called, in that order. So it only
//!   grows at its end, and is the same after a restart.
//! - Nothing here reaches what a person has not allowed to be offered.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::chat::{Body, CallId, Limits, Message, OutcomeKind, ToolList, ToolOutcome};
use crate::tools::{Builtin, Snapshot};

/// How many tools one search tells of, unless it asks for another number, and at most.
const FOUND: usize = 5;
const MOST_FOUND: usize = 20;
/// How many tools are offered at once; some endpoints take no more (OpenAI: 128).
const MOST_OFFERED: usize = 127;

pub(super) const FIND_TOOLS: &str = "find_tools";

/// The tools that stand beside `find_tools`, and those that can be found.
#[derive(Debug)]
pub(super) struct Search {
    tools: Arc<Snapshot>,
    builtin: Builtin,
}

impl Search {
    /// # Errors
    /// Never in a released program: where the tool's own definition is broken.
    pub fn new(tools: &Snapshot, limits: &Limits) -> Result<Self, String> {
        let builtin = find_tools(tools, limits)?;
        Ok(Self { tools: Arc::new(tools.with_builtin(&builtin)), builtin })
    }

    /// All that may be called, `find_tools` among it.
    pub fn tools(&self) -> &Arc<Snapshot> {
        &self.tools
    }

    /// How many tools can be found.
    pub fn count(&self) -> u32 {
        u32::try_from(self.tools.tools().filter(|tool| !tool.builtin).count()).unwrap_or(u32::MAX)
    }

    /// What is offered behind these messages. `wanted`: a tool that the next answer must call.
    pub fn list(&self, history: &[Arc<Message>], wanted: Option<&str>) -> Option<Arc<ToolList>> {
        let mut names = vec![Arc::clone(&self.builtin.tool().wire_name)];
        let mut seen: HashSet<Arc<str>> = names.iter().cloned().collect();
        let wanted = wanted.map(str::to_owned);
        for name in in_order(history).into_iter().chain(wanted) {
            let Some(tool) = self.tools.get(&name) else { continue };
            if names.len() <= MOST_OFFERED && seen.insert(Arc::clone(&tool.wire_name)) {
                names.push(Arc::clone(&tool.wire_name));
            }
        }
        self.tools.listed(&names)
    }
}

/// The wire names that were found and called, in the order of the conversation.
fn in_order(history: &[Arc<Message>]) -> Vec<String> {
    let outcomes: HashMap<&CallId, &ToolOutcome> = history
        .iter()
        .filter_map(|message| match &message.body {
            Body::Tool(tool) => Some((&tool.call, &*tool.outcome)),
            Body::User(_) | Body::Assistant(_) => None,
        })
        .collect();
    let mut out = Vec::new();
    for message in history {
        let Body::Assistant(answer) = &message.body else { continue };
        for call in &answer.calls {
            if call.wire_name != FIND_TOOLS {
                out.push(call.wire_name.clone());
                continue;
            }
            let found =
                outcomes.get(&call.id).and_then(|outcome| outcome.structured.as_ref()?.get("found")?.as_array());
            out.extend(found.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
        }
    }
    out
}

/// The definition. It names the servers, so that a model knows what there is to look for; with the same servers it is
/// the same bytes.
fn find_tools(tools: &Snapshot, limits: &Limits) -> Result<Builtin, String> {
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

/// Runs one of them. Linear in the text of all definitions: off the engine's task where there are many.
pub(super) fn run(name: &str, tools: &Snapshot, arguments: &Map<String, Value>, limits: &Limits) -> ToolOutcome {
    match name {
        FIND_TOOLS => found(tools, arguments, limits),
        other => ToolOutcome::unsent(OutcomeKind::Invalid, format!("There is no tool {other}.")),
    }
}

fn found(tools: &Snapshot, arguments: &Map<String, Value>, limits: &Limits) -> ToolOutcome {
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
pub(super) fn notice(list: Option<&ToolList>, all: u32, tokens: u64) -> String {
    let offered = list.map_or(0, |list| list.count.saturating_sub(1));
    format!(
        "find_tools: {offered} of {all} tools offered. All of them would take about {tokens} tokens of every request, so \
         the model searches for what it needs. f on the list of tools switches this."
    )
}
