//! `--output ndjson`: one object a line, as contract section 3 fixes it.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::chat::{
    CallId, CallState, CallUpdate, ContextParts, Fault, NoticeKind, Retry, ServerStatus, Stamp, ToolOutcome, TurnEvent,
    WaitFor,
};

use crate::export::Redactor;

use super::spent::{Priced, context, spent};
use super::{Outbox, escape};

/// At most 20 `arguments` lines a second for one call: its opening, and one as often as this.
const ARGUMENTS_EVERY_US: u64 = 53_000;

#[derive(Default)]
pub(super) struct Lines {
    redactor: Redactor,
    /// The end of a text that may be the beginning of a secret: it waits for what follows.
    held: Option<(TextKind, u32, String)>,
    /// `t` of the last line: it never decreases.
    last_us: u64,
    /// When a call's arguments were last told.
    told: HashMap<CallId, u64>,
    prices: Option<Priced>,
    /// What the last request was made of.
    sent: ContextParts,
    /// Something other than a notice was told.
    begun: bool,
    /// Notices that came before the turn had started, which is told first (a store that fails is one before any turn is).
    early: Vec<Fields>,
}

/// Which of the texts of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextKind {
    Text,
    Reasoning,
    Refusal,
}

impl Lines {
    pub(super) fn new(redactor: Redactor, prices: Option<Priced>) -> Self {
        Self { redactor, prices, ..Self::default() }
    }

    pub(super) fn take(&mut self, at: Stamp, event: &TurnEvent, to: &mut Outbox) {
        self.last_us = self.last_us.max(at.mono_us);
        let (kind, round, text) = match event {
            TurnEvent::Text { round, text, .. } => (TextKind::Text, *round, text),
            TurnEvent::Reasoning { round, text, .. } => (TextKind::Reasoning, *round, text),
            TurnEvent::Refusal { round, text, .. } => (TextKind::Refusal, *round, text),
            other => {
                // The text goes on behind whatever stands between its deltas, but not behind the end of its round.
                if matches!(other, TurnEvent::Finish { .. } | TurnEvent::Ended { .. }) {
                    self.release(to);
                }
                return self.line(other, to);
            }
        };
        if self.held.as_ref().is_some_and(|(k, r, _)| (*k, *r) != (kind, round)) {
            self.release(to);
        }
        let mut whole = self.held.take().map(|(_, _, held)| held).unwrap_or_default();
        whole.push_str(text);
        let (told, held) = self.redactor.settled(&whole);
        if !held.is_empty() {
            self.held = Some((kind, round, held.to_owned()));
        }
        if !told.is_empty() {
            self.text(kind, round, told, to);
        }
    }

    fn release(&mut self, to: &mut Outbox) {
        if let Some((kind, round, text)) = self.held.take() {
            self.text(kind, round, &text, to);
        }
    }

    fn text(&mut self, kind: TextKind, round: u32, text: &str, to: &mut Outbox) {
        let name = match kind {
            TextKind::Text => "text",
            TextKind::Reasoning => "reasoning",
            TextKind::Refusal => "refusal",
        };
        self.write(name, object(json!({"round": round, "text": text})), to);
    }

    fn line(&mut self, event: &TurnEvent, to: &mut Outbox) {
        if let TurnEvent::Call { update, .. } = event
            && !self.due(update)
        {
            return;
        }
        let Some((name, mut fields)) = fields(event) else { return };
        if let TurnEvent::Request { parts, .. } = event {
            self.sent = *parts;
        }
        if let TurnEvent::Usage { usage, .. } = event {
            fields.extend(spent(self.prices, *usage));
            fields.extend(context(self.sent, *usage).map(|context| ("context".to_owned(), context)));
        }
        self.write(name, fields, to);
    }

    fn write(&mut self, name: &'static str, fields: Fields, to: &mut Outbox) {
        if self.begun {
            return self.put(name, fields, to);
        }
        if name == "notice" {
            self.early.push(fields);
            return;
        }
        self.begun = true;
        let early = std::mem::take(&mut self.early);
        if name == "started" {
            self.put(name, fields, to);
            self.early_now(early, to);
        } else {
            self.early_now(early, to);
            self.put(name, fields, to);
        }
    }

    fn early_now(&self, early: Vec<Fields>, to: &mut Outbox) {
        for fields in early {
            self.put("notice", fields, to);
        }
    }

    fn put(&self, name: &str, fields: Fields, to: &mut Outbox) {
        let mut fields = Value::Object(fields);
        self.redactor.value(&mut fields);
        let t = self.last_us as f64 / 1000.0;
        let mut line = Map::from_iter([("event".to_owned(), name.into()), ("t".to_owned(), json!(t))]);
        line.extend(object(fields));
        to.out(escape::line(&Value::Object(line)));
    }

    /// Whether a call's update is told: all but arguments that came too soon after the last.
    fn due(&mut self, update: &CallUpdate) -> bool {
        match &update.state {
            // It opens: what comes with its first bytes is told all the same.
            CallState::Arguments { bytes: 0, .. } => true,
            CallState::Arguments { .. } => {
                let last = self.told.get(&update.call).copied();
                let due = last.is_none_or(|last| self.last_us >= last + ARGUMENTS_EVERY_US);
                if due {
                    self.told.insert(update.call.clone(), self.last_us);
                }
                due
            }
            CallState::Ended(_) => {
                self.told.remove(&update.call);
                true
            }
            // Not a state of the contract: the outcome follows.
            CallState::Cancelling => false,
            CallState::Closed { .. } | CallState::Waiting(_) | CallState::Running | CallState::Progress { .. } => true,
        }
    }
}

type Fields = Map<String, Value>;

fn object(value: Value) -> Fields {
    match value {
        Value::Object(map) => map,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}

/// An event's name and fields; None for what the contract does not tell.
fn fields(event: &TurnEvent) -> Option<(&'static str, Fields)> {
    let (name, value) = match event {
        TurnEvent::Started { conversation, model, base_url, api, .. } => {
            // A turn that is followed from elsewhere has no wire on record.
            let api = (!api.is_empty()).then_some(api);
            ("started", json!({"conversation": conversation, "model": model, "base_url": base_url, "api": api}))
        }
        TurnEvent::Server(status) => ("server", server(status)),
        TurnEvent::Request { round, attempt, tools, tools_hash, of, .. } => {
            let mut fields = json!({"round": round, "attempt": attempt, "tools": tools, "tools_hash": tools_hash});
            // Told only where the model is offered `find_tools`.
            if let (Some(of), Value::Object(fields)) = (of, &mut fields) {
                fields.insert("tools_of".into(), json!(of));
            }
            ("request", fields)
        }
        TurnEvent::Call { update, .. } => return Some(("call", call(update))),
        // The counts follow: see `Lines::line`.
        TurnEvent::Usage { round, .. } => ("usage", json!({"round": round})),
        TurnEvent::Finish { round, reason, effective, .. } => {
            ("finish", json!({"round": round, "reason": reason, "effective": effective.word()}))
        }
        TurnEvent::Error { fault, .. } => ("error", error(fault)),
        TurnEvent::Ended { .. } => return Some(("ended", ended(event)?)),
        TurnEvent::Notice { .. } | TurnEvent::Slow { .. } | TurnEvent::Retrying { .. } | TurnEvent::Unsaved { .. } => {
            return Some(("notice", notice(event)?));
        }
        // Texts have their own way: see `Lines::take`.
        TurnEvent::Text { .. } | TurnEvent::Reasoning { .. } | TurnEvent::Refusal { .. } => return None,
        TurnEvent::Message { .. } | TurnEvent::SignIn { .. } | TurnEvent::Tools(_) | TurnEvent::Saved { .. } => {
            return None;
        }
        // Nobody attends here: the servers were declined, and a notice said so.
        TurnEvent::Inquiry { .. }
        | TurnEvent::Sampled { .. }
        | TurnEvent::InquiryEnded { .. }
        | TurnEvent::Titled { .. }
        | TurnEvent::Aside { .. } => return None,
        // A notice, where there is something to tell: see [`notice`].
        TurnEvent::Compaction { .. } => return notice(event).map(|fields| ("notice", fields)),
        // Only a screen asks for them.
        TurnEvent::Replied { .. } | TurnEvent::News { .. } => return None,
    };
    Some((name, object(value)))
}

fn server(status: &ServerStatus) -> Value {
    json!({
        "server": status.server,
        "state": status.state.word(),
        "tools": status.tools,
        "protocol": status.protocol,
        "message": status.message,
    })
}

fn call(update: &CallUpdate) -> Fields {
    let (state, more) = match &update.state {
        CallState::Arguments { bytes, .. } => ("arguments", json!({"bytes": bytes})),
        CallState::Closed { arguments, closed_by, closed_at } => {
            ("closed", json!({"arguments": &**arguments, "closed_by": closed_by.word(), "closed_at": closed_at}))
        }
        CallState::Waiting(what) => {
            let what = match what {
                WaitFor::Approval(_) => "approval",
                WaitFor::Slot(_) => "slot",
                WaitFor::Server => "server",
            };
            ("waiting", json!({"for": what}))
        }
        CallState::Running => ("running", json!({})),
        CallState::Cancelling => ("cancelling", json!({})),
        CallState::Progress { progress, total, message } => {
            ("progress", json!({"progress": progress, "total": total, "message": message}))
        }
        CallState::Ended(outcome) => (outcome.kind.word(), result(outcome)),
    };
    let mut fields = object(json!({
        "round": update.round,
        "call": update.call,
        "index": update.index,
        "state": state,
        "wire_name": update.wire_name.as_deref(),
        "server": update.tool.as_ref().map(|t| t.server.as_str()),
        "tool": update.tool.as_ref().map(|t| &*t.tool),
    }));
    fields.extend(object(more));
    fields
}

fn result(outcome: &ToolOutcome) -> Value {
    json!({
        "content": outcome.content,
        "structured": outcome.structured,
        "bytes": outcome.bytes,
        "ms": outcome.ms,
        "truncated": outcome.truncated,
        "sent": outcome.sent,
        "may_have_run": outcome.may_have_run(),
    })
}

/// `retry` says whether the same request may work later; `retry_after_ms` when, where the endpoint said so.
pub(super) fn error(fault: &Fault) -> Value {
    let (retry, after) = match fault.retry {
        Retry::Never | Retry::AfterChange => (false, None),
        Retry::Later(after) => (true, after),
    };
    let mut value = json!({"kind": fault.kind.word(), "message": fault.message, "hint": fault.hint, "retry": retry});
    if let (Some(after), Value::Object(map)) = (after, &mut value) {
        map.insert("retry_after_ms".into(), after.into());
    }
    value
}

/// Notices, and the events that programs meet as notices: `slow`, `retry`, `unsaved`.
pub(super) fn notice(event: &TurnEvent) -> Option<Fields> {
    Some(object(match event {
        TurnEvent::Notice { kind, message, .. } => json!({"kind": kind.word(), "message": message}),
        TurnEvent::Slow { round, waited_ms, .. } => {
            json!({"kind": "slow", "message": slow(*waited_ms), "round": round})
        }
        TurnEvent::Retrying { round, attempt, delay_ms, fault, .. } => json!({
            "kind": "retry",
            "message": retrying(fault, *attempt, *delay_ms),
            "round": round,
            "attempt": attempt,
            "delay_ms": delay_ms,
        }),
        TurnEvent::Compaction { step, .. } => {
            json!({"kind": NoticeKind::Compacted.word(), "message": step.told()?})
        }
        TurnEvent::Unsaved { reason } => json!({"kind": NoticeKind::Unsaved.word(), "message": reason}),
        TurnEvent::Started { .. }
        | TurnEvent::Message { .. }
        | TurnEvent::Request { .. }
        | TurnEvent::Text { .. }
        | TurnEvent::Reasoning { .. }
        | TurnEvent::Refusal { .. }
        | TurnEvent::Call { .. }
        | TurnEvent::Usage { .. }
        | TurnEvent::Finish { .. }
        | TurnEvent::Error { .. }
        | TurnEvent::Ended { .. }
        | TurnEvent::Server(_)
        | TurnEvent::Inquiry { .. }
        | TurnEvent::Replied { .. }
        | TurnEvent::News { .. }
        | TurnEvent::InquiryEnded { .. }
        | TurnEvent::Sampled { .. }
        | TurnEvent::Titled { .. }
        | TurnEvent::Aside { .. }
        | TurnEvent::SignIn { .. }
        | TurnEvent::Tools(_)
        | TurnEvent::Saved { .. } => return None,
    }))
}

pub(super) fn slow(waited_ms: u64) -> String {
    format!("Nothing has come from the endpoint for {} s.", waited_ms / 1000)
}

pub(super) fn retrying(fault: &Fault, attempt: u32, delay_ms: u64) -> String {
    let message = fault.message.trim_end();
    format!("{message} Asking again in {:.1} s (attempt {attempt}).", delay_ms as f64 / 1000.0)
}

/// The fields of `ended`, which are also those of `--output json`.
pub(super) fn ended(event: &TurnEvent) -> Option<Fields> {
    let TurnEvent::Ended { status, text, rounds, calls, conversation, .. } = event else { return None };
    // A turn that never began has none.
    let conversation = Some(conversation).filter(|id| !id.as_str().is_empty());
    Some(object(json!({
        "status": status.word(),
        "text": text,
        "rounds": rounds,
        "calls": calls,
        "conversation": conversation,
    })))
}
