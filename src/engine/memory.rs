//! Conversations of this process, as they stand: the next turn needs no reading, and what cannot be saved lives on.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::port::Opened;
use crate::chat::{
    Body, CallId, Compaction, ConversationId, Message, MessageId, OutcomeKind, Parent, PastCall, ToolCall, Toolset,
};

#[derive(Debug, Default)]
pub(super) struct Memory {
    conversations: HashMap<ConversationId, Opened>,
    /// Messages of other branches, where nothing else has them.
    aside: HashMap<ConversationId, Vec<Arc<Message>>>,
    /// What the context held after the last request, as its endpoint counted.
    tokens: HashMap<ConversationId, u64>,
    /// Up to where large results give way to references.
    referred: HashMap<ConversationId, MessageId>,
}

impl Memory {
    pub fn get(&self, id: &ConversationId) -> Option<&Opened> {
        self.conversations.get(id)
    }

    pub fn put(&mut self, id: ConversationId, opened: Opened) {
        if let Some(tokens) = opened.tokens {
            self.tokens.insert(id.clone(), tokens);
        }
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

    /// The system prompt that it is held with from now on.
    pub fn brief(&mut self, id: &ConversationId, system: Option<String>) {
        self.conversations.entry(id.clone()).or_default().system = system;
    }

    /// An endpoint has counted a request and its answer.
    pub fn counted(&mut self, id: &ConversationId, tokens: u64) {
        self.tokens.insert(id.clone(), tokens);
    }

    pub fn tokens(&self, id: &ConversationId) -> Option<u64> {
        self.tokens.get(id).copied()
    }

    /// Large results up to this message give way from now on.
    pub fn refer(&mut self, id: &ConversationId, upto: MessageId) {
        self.tokens.remove(id);
        self.referred.insert(id.clone(), upto);
    }

    pub fn referred(&self, id: &ConversationId) -> Option<&MessageId> {
        self.referred.get(id)
    }

    /// A summary stands from now on; what was counted before counts no more.
    pub fn compact(&mut self, id: &ConversationId, one: Compaction) {
        self.tokens.remove(id);
        if let Some(opened) = self.conversations.get_mut(id) {
            one.put(&mut opened.compactions);
        }
    }

    /// Changes a summary, where the conversation is known here.
    pub fn change_summary(&mut self, id: &ConversationId, upto: &MessageId, change: impl FnOnce(&mut Compaction)) {
        self.tokens.remove(id);
        let opened = self.conversations.get_mut(id);
        if let Some(one) = opened.and_then(|opened| opened.compactions.iter_mut().find(|one| one.upto == *upto)) {
            change(one);
        }
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

    /// Calls that stand behind `keep` on the path become past calls of a discarded attempt. `stored`: the messages
    /// themselves can be read again.
    pub fn discard(&mut self, id: &ConversationId, keep: usize, stored: bool) {
        let Some(opened) = self.conversations.get_mut(id) else { return };
        let dropped = opened.messages.split_off(keep.min(opened.messages.len()));
        opened.past.extend(past_calls(&dropped));
        if !stored && !dropped.is_empty() {
            self.aside.entry(id.clone()).or_default().extend(dropped);
        }
    }

    /// Lets another branch be the path. False, and nothing is changed, where a message of it is not known here.
    pub fn show(&mut self, id: &ConversationId, path: &[MessageId]) -> bool {
        let Some(opened) = self.conversations.get_mut(id) else { return false };
        let aside = self.aside.get(id).map(Vec::as_slice).unwrap_or_default();
        let known: HashMap<&MessageId, &Arc<Message>> =
            opened.messages.iter().chain(aside).map(|message| (&message.id, message)).collect();
        let shown: Option<Vec<Arc<Message>>> = path.iter().map(|id| known.get(id).map(|m| Arc::clone(m))).collect();
        let Some(shown) = shown else { return false };
        let on_path: HashSet<&MessageId> = path.iter().collect();
        let left: Vec<Arc<Message>> =
            opened.messages.iter().filter(|message| !on_path.contains(&message.id)).map(Arc::clone).collect();
        opened.past.extend(past_calls(&left));
        // What stands on the path is no other attempt.
        for call in past_calls(&shown) {
            if let Some(at) = opened.past.iter().position(|past| *past == call) {
                opened.past.remove(at);
            }
        }
        opened.messages = shown;
        // What was counted was another path.
        self.tokens.remove(id);
        let aside = self.aside.entry(id.clone()).or_default();
        aside.retain(|message| !on_path.contains(&message.id));
        aside.extend(left);
        true
    }

    /// It is read again before its next turn.
    pub fn forget(&mut self, id: &ConversationId) {
        self.conversations.remove(id);
        self.aside.remove(id);
        self.tokens.remove(id);
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

/// How many messages of the path stand up to and with `parent`, the outcomes of its calls among them; all where it is
/// unknown.
pub(super) fn keep(messages: &[Arc<Message>], parent: &Parent) -> usize {
    let at = match parent {
        Parent::Newest => None,
        Parent::Root => return 0,
        Parent::Message(id) => messages.iter().position(|m| m.id == *id),
    };
    at.map_or(messages.len(), |at| {
        let told = messages[at + 1..].iter().take_while(|m| matches!(m.body, Body::Tool(_))).count();
        at + 1 + told
    })
}

/// How many messages stand up to and with a question; the last one of the user where none is named, or it is unknown.
pub(super) fn keep_to(messages: &[Arc<Message>], question: Option<&MessageId>) -> usize {
    let at = question.and_then(|id| messages.iter().position(|m| m.id == *id && matches!(m.body, Body::User(_))));
    at.map_or_else(|| keep_to_question(messages), |at| at + 1)
}

/// How many messages stand up to and with the last one of the user.
pub(super) fn keep_to_question(messages: &[Arc<Message>]) -> usize {
    messages.iter().rposition(|m| matches!(m.body, Body::User(_))).map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Answer, Part};

    fn message(id: &str, parent: Option<&str>, body: Body) -> Arc<Message> {
        Arc::new(Message { id: MessageId::new(id), parent: parent.map(MessageId::new), at: 1, body })
    }

    fn said(id: &str, parent: Option<&str>) -> Arc<Message> {
        message(id, parent, Body::User(vec![Part::text(id)]))
    }

    fn names(memory: &Memory, id: &ConversationId) -> Vec<String> {
        let messages = memory.get(id).map(|opened| opened.messages.as_slice()).unwrap_or_default();
        messages.iter().map(|message| message.id.as_str().to_owned()).collect()
    }

    #[test]
    fn what_nothing_else_keeps_can_be_shown_again() {
        let (mut memory, id) = (Memory::default(), ConversationId::new("c"));
        let answer = || Body::Assistant(Answer::default());
        memory.turn_ended(&id, &[said("u1", None), message("a1", Some("u1"), answer())]);
        memory.discard(&id, 1, false);
        memory.turn_ended(&id, &[said("u1", None), message("a2", Some("u1"), answer())]);
        let path = |names: &[&str]| names.iter().map(MessageId::new).collect::<Vec<_>>();
        assert!(memory.show(&id, &path(&["u1", "a1"])));
        assert_eq!(names(&memory, &id), ["u1", "a1"]);
        assert!(memory.show(&id, &path(&["u1", "a2"])));
        assert_eq!(names(&memory, &id), ["u1", "a2"]);
        assert!(!memory.show(&id, &path(&["u1", "a3"])), "what is not known is not shown");
        assert_eq!(names(&memory, &id), ["u1", "a2"], "and nothing has changed");
    }

    #[test]
    fn a_branch_at_an_answer_with_calls_keeps_their_outcomes() {
        let told = |id: &str, parent: &str| {
            let outcome = Arc::new(crate::chat::ToolOutcome::unsent(OutcomeKind::Done, "x"));
            let body = Body::Tool(crate::chat::ToolMessage { call: CallId::new(id), outcome });
            message(id, Some(parent), body)
        };
        let path = [
            said("u1", None),
            message("a1", Some("u1"), Body::Assistant(Answer::default())),
            told("t1", "a1"),
            told("t2", "t1"),
            message("a2", Some("t2"), Body::Assistant(Answer::default())),
        ];
        assert_eq!(keep(&path, &Parent::Message(MessageId::new("a1"))), 4);
        assert_eq!(keep(&path, &Parent::Message(MessageId::new("u1"))), 1);
        assert_eq!(keep(&path, &Parent::Root), 0);
        assert_eq!(keep(&path, &Parent::Newest), 5);
    }
}
