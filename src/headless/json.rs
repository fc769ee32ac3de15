//! `--output json`: one object when the turn has ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::chat::{Fault, Message, Prices, TurnEvent, Usage};
use crate::export::Redactor;
use crate::wire;

use super::ndjson::{cost, ended, error, notice, tokens};
use super::{Outbox, escape};

#[derive(Default)]
pub(super) struct Whole {
    redactor: Redactor,
    /// In the order in which they first came; a later one of the same id replaces it.
    messages: Vec<Arc<Message>>,
    /// The last of each round counts: some endpoints tell it more than once, growing.
    usage: BTreeMap<u32, Usage>,
    notices: Vec<Value>,
    error: Option<Fault>,
    prices: Option<Prices>,
}

impl Whole {
    pub(super) fn new(redactor: Redactor, prices: Option<Prices>) -> Self {
        Self { redactor, prices, ..Self::default() }
    }

    pub(super) fn take(&mut self, event: &TurnEvent, to: &mut Outbox) {
        match event {
            TurnEvent::Message { message, .. } => match self.messages.iter_mut().find(|m| m.id == message.id) {
                Some(held) => *held = Arc::clone(message),
                None => self.messages.push(Arc::clone(message)),
            },
            TurnEvent::Usage { round, usage, .. } => {
                self.usage.insert(*round, *usage);
            }
            TurnEvent::Notice { .. }
            | TurnEvent::Slow { .. }
            | TurnEvent::Retrying { .. }
            | TurnEvent::Unsaved { .. } => self.notices.extend(notice(event).map(Value::Object)),
            TurnEvent::Error { fault, .. } => self.error = Some(fault.clone()),
            TurnEvent::Ended { .. } => {
                let Some(mut whole) = ended(event) else { return };
                let usage = self.usage.values().fold(Usage::default(), |sum, one| sum.plus(*one));
                whole.insert("messages".into(), wire::messages_json(&self.messages));
                let mut told = tokens(usage);
                if let Value::Object(told) = &mut told {
                    told.extend(cost(self.prices, usage));
                }
                whole.insert("usage".into(), told);
                whole.insert("notices".into(), Value::Array(std::mem::take(&mut self.notices)));
                whole.insert("error".into(), self.error.as_ref().map_or(json!(null), error));
                let mut whole = Value::Object(whole);
                self.redactor.value(&mut whole);
                to.out(escape::line(&whole));
            }
            TurnEvent::Started { .. }
            | TurnEvent::Request { .. }
            | TurnEvent::Text { .. }
            | TurnEvent::Reasoning { .. }
            | TurnEvent::Refusal { .. }
            | TurnEvent::Call { .. }
            | TurnEvent::Finish { .. }
            | TurnEvent::Server(_)
            | TurnEvent::Inquiry { .. }
            | TurnEvent::Replied { .. }
            | TurnEvent::News { .. }
            | TurnEvent::InquiryEnded { .. }
            | TurnEvent::SignIn { .. }
            | TurnEvent::Tools(_)
            | TurnEvent::Saved { .. } => {}
        }
    }
}
