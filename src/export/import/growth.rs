//! A conversation while it is put together: messages with their parents, in an order in which these come first.
//!
//! # Invariants
//! - However the nodes of a file hang on one another, each is met once: one whose parent is not there, or that hangs on
//!   itself in a ring, begins a branch of its own.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::chat::{
    Body, CallId, Conversation, ConversationId, Message, MessageId, Origin, OutcomeKind, Summary, ToolCall,
    ToolMessage, ToolOutcome, Tree, UnixMs,
};

/// Longest name of a tool that endpoints take.
const NAME: usize = 64;

/// Which node follows which.
pub(super) struct Forest {
    pub(super) roots: Vec<usize>,
    pub(super) children: Vec<Vec<usize>>,
}

impl Forest {
    /// Of nodes with their parents.
    pub(super) fn new(parents: &[Option<usize>]) -> Self {
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); parents.len()];
        let mut roots = Vec::new();
        for (node, parent) in parents.iter().enumerate() {
            match parent {
                Some(parent) if *parent != node && *parent < parents.len() => children[*parent].push(node),
                Some(_) | None => roots.push(node),
            }
        }
        let mut met = vec![false; parents.len()];
        // Marks all that is behind a node, once.
        let mark = |from: usize, met: &mut Vec<bool>| {
            let mut left = vec![from];
            while let Some(node) = left.pop() {
                if !std::mem::replace(&mut met[node], true) {
                    left.extend(&children[node]);
                }
            }
        };
        for root in &roots {
            mark(*root, &mut met);
        }
        // What was not met stands in rings, or behind one: each ring is opened at its first node.
        let mut opened = Vec::new();
        let mut seen_from = vec![usize::MAX; parents.len()];
        for node in 0..parents.len() {
            if met[node] {
                continue;
            }
            // Up from here one gets into the ring itself.
            let mut at = node;
            while std::mem::replace(&mut seen_from[at], node) != node {
                at = parents[at].unwrap_or(at);
            }
            opened.push(at);
            mark(at, &mut met);
        }
        for node in opened {
            if let Some(parent) = parents[node] {
                children[parent].retain(|child| *child != node);
            }
            roots.push(node);
        }
        Self { roots, children }
    }
}

/// The messages so far.
#[derive(Default)]
pub(super) struct Growth {
    messages: Vec<Arc<Message>>,
    calls: u32,
}

impl Growth {
    /// Adds a message; its id is good for this file alone.
    pub(super) fn add(&mut self, parent: Option<MessageId>, at: UnixMs, body: Body) -> MessageId {
        let id = MessageId::new(format!("message {}", self.messages.len()));
        self.messages.push(Arc::new(Message { id: id.clone(), parent, at, body }));
        id
    }

    /// A call as history keeps it. Arguments that are no object stand in one under `input`.
    pub(super) fn call(&mut self, index: u32, name: &str, arguments: Value) -> ToolCall {
        self.calls += 1;
        let arguments = match arguments {
            Value::Object(map) => Value::Object(map),
            Value::Null => Value::Object(Map::new()),
            other => Value::Object(Map::from_iter([("input".to_owned(), other)])),
        };
        ToolCall {
            id: CallId::new(format!("call_{}", self.calls)),
            wire_id: None,
            index,
            wire_name: tool_name(name),
            tool: None,
            arguments: Arc::from(arguments.to_string()),
            extra: Map::new(),
        }
    }

    /// The outcome of a call; None: the file does not say.
    pub(super) fn outcome(
        &mut self,
        parent: MessageId,
        at: UnixMs,
        call: &CallId,
        result: Option<(OutcomeKind, String)>,
    ) -> MessageId {
        let (kind, text) = result.unwrap_or_else(|| {
            let unknown = "Unknown: the file does not say how this call ended. It may have run.";
            (OutcomeKind::Unknown, unknown.to_owned())
        });
        let outcome = Arc::new(ToolOutcome::unsent(kind, text));
        self.add(Some(parent), at, Body::Tool(ToolMessage { call: call.clone(), outcome }))
    }

    /// Whether nothing was said.
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The way to `head`, else to the last message, is shown; the rest stands beside it.
    pub(super) fn tree(self, head: Option<MessageId>, about: About) -> Tree {
        let places: HashMap<&MessageId, usize> = self.messages.iter().enumerate().map(|(n, m)| (&m.id, n)).collect();
        let mut at = head.as_ref().and_then(|id| places.get(id).copied()).or(self.messages.len().checked_sub(1));
        let mut shown = vec![false; self.messages.len()];
        while let Some(node) = at {
            shown[node] = true;
            at = self.messages[node].parent.as_ref().and_then(|parent| places.get(parent).copied());
        }
        let (path, aside): (Vec<_>, Vec<_>) = self.messages.iter().cloned().zip(shown).partition(|(_, shown)| *shown);
        let messages: Vec<Arc<Message>> = path.into_iter().map(|(message, _)| message).collect();
        let answered = messages.iter().rev().find_map(|message| match &message.body {
            Body::Assistant(answer) if !answer.model.is_empty() => Some(answer.model.clone()),
            Body::Assistant(_) | Body::User(_) | Body::Tool(_) => None,
        });
        let model = if about.model.is_empty() { answered.unwrap_or_default() } else { about.model };
        let first = self.messages.iter().map(|message| message.at).find(|at| *at > 0).unwrap_or_default();
        let created = if about.created > 0 { about.created } else { first };
        let last = self.messages.iter().map(|message| message.at).max().unwrap_or_default();
        let updated = if about.updated > 0 { about.updated } else { last.max(created) };
        let extra =
            serde_json::to_value(&about.origin).map(|origin| Map::from_iter([(Origin::KEY.to_owned(), origin)]));
        Tree {
            shown: Conversation {
                summary: Summary {
                    // None of ours: the store gives it one.
                    id: ConversationId::new(""),
                    title: about.title,
                    folder: String::new(),
                    model,
                    created,
                    updated,
                    messages: 0,
                    calls: self.calls,
                    failed_calls: 0,
                    tokens: None,
                    pinned: false,
                    interrupted: false,
                },
                base_url: String::new(),
                system: Some(about.system).filter(|system| !system.trim().is_empty()),
                messages,
                forks: Vec::new(),
                open_elsewhere: false,
                extra: Value::Object(extra.unwrap_or_default()),
            },
            aside: aside.into_iter().map(|(message, _)| message).collect(),
        }
    }
}

/// What is known of a conversation beside its messages.
pub(super) struct About {
    pub(super) title: String,
    pub(super) model: String,
    pub(super) system: String,
    /// Milliseconds since 1970; 0 where it is not known.
    pub(super) created: UnixMs,
    pub(super) updated: UnixMs,
    pub(super) origin: Option<Origin>,
}

/// A name that endpoints take back: letters, digits, `_` and `-`.
fn tool_name(name: &str) -> String {
    let clean = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = name.chars().take(NAME).map(clean).collect();
    if name.is_empty() { "tool".to_owned() } else { name }
}

/// A text of an object; empty where it has none.
pub(super) fn text<'a>(map: &'a Map<String, Value>, key: &str) -> &'a str {
    map.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Adds a paragraph.
pub(super) fn add_text(to: &mut String, more: &str) {
    if more.trim().is_empty() {
        return;
    }
    if !to.is_empty() {
        to.push_str("\n\n");
    }
    to.push_str(more);
}
