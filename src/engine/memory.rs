//! Conversations of this process, as they stand: the next turn needs no reading, and what cannot be saved lives on.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::port::Opened;
use crate::chat::{Body, CallId, ConversationId, Message, MessageId, OutcomeKind, PastCall, ToolCall, Toolset};

#[derive(Debug, Default)]
pub(super) struct Memory {
    conversations: HashMap<ConversationId, Opened>,
}

impl Memory {
    pub fn get(&self, id: &ConversationId) -> Option<&Opened> {
        self.conversations.get(id)
    }

    pub fn put(&mut self, id: ConversationId, opened: Opened) {
        self.conversations.insert(id, opened);
    }

    /// What of the tools it is offered from now on.
    pub fn choose(&mut self, id: &ConversationId, toolset: Toolset) {
        self.conversations.entry(id.clone()).or_default().toolset = toolset;
    }

    /// The role that it is held in from now on.
    pub fn play(&mut self, id: &ConversationId, role: String) {
        self.conversations.entry(id.clone()).or_default().role = role;
    }

    /// A turn ended: `history` is the path now. Calls that it leaves behind stay known.
    pub fn turn_ended(&mut self, id: &ConversationId, history: &[Arc<Message>]) {
        let opened = self.conversations.entry(id.clone()).or_default();
        opened.messages = history.to_vec();
        let mut known: HashSet<CallId> = opened.used_ids.iter().cloned().collect();
        for message in history {
            let Body::Assistant(answer) = &message.body else { continue };
            for call in &answer.calls {
                if known.insert(call.id.clone()) {
                    opened.used_ids.push(call.id.clone());
                }
            }
        }
    }

    /// Calls that stand behind `keep` on the path become past calls of a discarded attempt.
    pub fn discard(&mut self, id: &ConversationId, keep: usize) {
        let Some(opened) = self.conversations.get_mut(id) else { return };
        let dropped = opened.messages.split_off(keep.min(opened.messages.len()));
        opened.past.extend(past_calls(&dropped));
    }
}

/// The calls of these messages that ran, or may have.
pub(super) fn past_calls(messages: &[Arc<Message>]) -> Vec<PastCall> {
    let outcomes: HashMap<&CallId, _> = messages
        .iter()
        .filter_map(|m| match &m.body {
            Body::Tool(tool) => Some((&tool.call, &tool.outcome)),
            Body::User(_) | Body::Assistant(_) => None,
        })
        .collect();
    let mut past = Vec::new();
    for message in messages {
        let Body::Assistant(answer) = &message.body else { continue };
        for call in &answer.calls {
            let (Some(tool), Some(outcome)) = (&call.tool, outcomes.get(&call.id)) else { continue };
            if outcome.sent || outcome.kind == OutcomeKind::Unknown {
                past.push(PastCall {
                    tool: tool.clone(),
                    arguments: Arc::clone(&call.arguments),
                    outcome: Some(Arc::clone(outcome)),
                    kind: outcome.kind,
                });
            }
        }
    }
    past
}

/// A call of these messages.
pub(super) fn find_call(messages: &[Arc<Message>], id: &CallId) -> Option<ToolCall> {
    messages.iter().find_map(|m| match &m.body {
        Body::Assistant(answer) => answer.calls.iter().find(|c| c.id == *id).cloned(),
        Body::User(_) | Body::Tool(_) => None,
    })
}

/// How many messages of the path stand up to and with `parent`; all where it is None or unknown.
pub(super) fn keep(messages: &[Arc<Message>], parent: Option<&MessageId>) -> usize {
    parent.and_then(|id| messages.iter().position(|m| m.id == *id)).map_or(messages.len(), |at| at + 1)
}

/// How many messages stand up to and with the last one of the user.
pub(super) fn keep_to_question(messages: &[Arc<Message>]) -> usize {
    messages.iter().rposition(|m| matches!(m.body, Body::User(_))).map_or(0, |at| at + 1)
}
