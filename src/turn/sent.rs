//! What of the history a request carries: all of it, or a summary in place of its beginning and references in place of
//! old results.
//!
//! # Invariants
//! - It is a function of the plan and the history: within a turn it only grows at its end.
//! - A result of the turn itself is never replaced, nor one that could not be read on in.

use std::sync::Arc;

use super::plan::Plan;
use crate::chat::{Body, CallId, LeftOut, Message, MessageId, ToolMessage, ToolOutcome};
use crate::tools;

/// A shorter result takes hardly more than its reference, in bytes.
pub const WORTH_A_REFERENCE: usize = 2048;

/// The messages of a request, and what they leave out.
pub(super) fn sent(plan: &Plan, history: &[Arc<Message>]) -> (Vec<Arc<Message>>, LeftOut) {
    let (mut messages, mut left) = match &plan.summary {
        Some((summary, count)) => {
            let summarised = u32::try_from(*count).unwrap_or(u32::MAX);
            (summary.applied(history, *count), LeftOut { summarised, referred: 0 })
        }
        None => (history.to_vec(), LeftOut::default()),
    };
    if let Some(upto) = &plan.refer_upto {
        left.referred = refer(&mut messages, upto);
    }
    (messages, left)
}

/// Puts references in place of the large results up to and with this message; how many.
#[must_use]
pub fn refer(messages: &mut [Arc<Message>], upto: &MessageId) -> u32 {
    let Some(end) = messages.iter().rposition(|message| message.id == *upto) else { return 0 };
    let mut names: Vec<(CallId, String)> = Vec::new();
    let mut count = 0;
    for message in &mut messages[..=end] {
        match &message.body {
            Body::User(_) => {}
            Body::Assistant(answer) => {
                names = answer.calls.iter().map(|call| (call.id.clone(), call.wire_name.clone())).collect();
            }
            Body::Tool(tool) if tool.outcome.content.len() > WORTH_A_REFERENCE => {
                let name = names.iter().find(|(id, _)| *id == tool.call).map_or("", |(_, name)| name.as_str());
                let content = format!(
                    "[… result {} of {name}, {} bytes: left out here, since the context is short; read_result reads it …]",
                    tools::result_reference(&tool.call),
                    tool.outcome.bytes,
                );
                let was = &tool.outcome;
                let outcome = ToolOutcome {
                    kind: was.kind,
                    content,
                    // Its images go with no later turn either way.
                    structured: None,
                    full: None,
                    full_is_result: false,
                    bytes: was.bytes,
                    truncated: was.truncated,
                    sent: was.sent,
                    ms: was.ms,
                    notes: Vec::new(),
                };
                let body = Body::Tool(ToolMessage { call: tool.call.clone(), outcome: Arc::new(outcome) });
                *message =
                    Arc::new(Message { id: message.id.clone(), parent: message.parent.clone(), at: message.at, body });
                count += 1;
            }
            Body::Tool(_) => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Answer, OutcomeKind, Part, ToolCall};

    #[test]
    fn large_results_up_to_a_message_give_way_and_small_ones_stay() {
        let message = |id: &str, body| Arc::new(Message { id: MessageId::new(id), parent: None, at: 0, body });
        let call = |id: &str| ToolCall {
            id: CallId::new(id),
            wire_id: None,
            index: 0,
            wire_name: format!("fs__{id}"),
            tool: None,
            arguments: "{}".into(),
            extra: Default::default(),
        };
        let result = |id: &str, length: usize| {
            let outcome = Arc::new(ToolOutcome::unsent(OutcomeKind::Done, "x".repeat(length)));
            message(id, Body::Tool(ToolMessage { call: CallId::new(id), outcome }))
        };
        let calls = |ids: &[&str]| {
            Body::Assistant(Answer { calls: ids.iter().map(|id| call(id)).collect(), ..Answer::default() })
        };
        let history = vec![
            message("u1", Body::User(vec![Part::text("go")])),
            message("a1", calls(&["c1", "c2"])),
            result("c1", 10_000),
            result("c2", 2_000),
            message("u2", Body::User(vec![Part::text("on")])),
            message("a2", calls(&["c3"])),
            result("c3", 10_000),
        ];
        let mut sent = history.clone();
        assert_eq!(refer(&mut sent, &MessageId::new("c2")), 1);
        let told = |at: usize| match &sent[at].body {
            Body::Tool(tool) => tool.outcome.content.clone(),
            Body::User(_) | Body::Assistant(_) => panic!(),
        };
        let name = tools::result_reference(&CallId::new("c1"));
        assert_eq!(
            told(2),
            format!(
                "[… result {name} of fs__c1, 10000 bytes: left out here, since the context is short; read_result reads it …]"
            )
        );
        assert_eq!((sent[3].clone(), sent[6].clone()), (history[3].clone(), history[6].clone()));
        // Again: nothing is left to do; nothing at all where the message is not there.
        assert_eq!(refer(&mut sent, &MessageId::new("c2")), 0);
        assert_eq!(refer(&mut history.clone(), &MessageId::new("elsewhere")), 0);
    }
}
