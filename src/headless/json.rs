//! `--output json`: one object when the turn has ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::chat::{ContextParts, Fault, Message, TurnEvent, Usage};
use crate::export::Redactor;
use crate::wire;

use super::ndjson::{ended, error, notice};
use super::spent::{Priced, context, spent};
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
    prices: Option<Priced>,
    /// What the last request was made of, and its round.
    sent: (u32, ContextParts),
}

impl Whole {
    pub(super) fn new(redactor: Redactor, prices: Option<Priced>) -> Self {
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
            | TurnEvent::Compaction { .. }
            | TurnEvent::Slow { .. }
            | TurnEvent::Retrying { .. }
            | TurnEvent::Unsaved { .. } => self.notices.extend(notice(event).map(Value::Object)),
            TurnEvent::Error { fault, .. } => self.error = Some(fault.clone()),
            TurnEvent::Ended { .. } => {
                let Some(mut whole) = ended(event) else { return };
                let usage = self.usage.values().fold(Usage::default(), |sum, one| sum.plus(*one));
                whole.insert("messages".into(), wire::messages_json(&self.messages));
                whole.insert("usage".into(), spent(self.prices, usage).into());
                let rounds = self.usage.iter().map(|(round, usage)| {
                    let mut told = Map::from_iter([("round".to_owned(), json!(round))]);
                    told.extend(spent(self.prices, *usage));
                    Value::Object(told)
                });
                whole.insert("usage_by_round".into(), rounds.collect());
                let (round, sent) = self.sent;
                let counted = self.usage.get(&round).copied().unwrap_or_default();
                whole.insert("context".into(), context(sent, counted).into());
                whole.insert("notices".into(), Value::Array(std::mem::take(&mut self.notices)));
                whole.insert("error".into(), self.error.as_ref().map_or(json!(null), error));
                let mut whole = Value::Object(whole);
                self.redactor.value(&mut whole);
                to.out(escape::line(&whole));
            }
            TurnEvent::Request { round, parts, .. } => self.sent = (*round, *parts),
            TurnEvent::Started { .. }
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
            | TurnEvent::Sampled { .. }
            | TurnEvent::Titled { .. }
            | TurnEvent::Aside { .. }
            | TurnEvent::SignIn { .. }
            | TurnEvent::Tools(_)
            | TurnEvent::Saved { .. } => {}
        }
    }
}
