//! The questions of all servers, and whose turn it is.
//!
//! # Invariants
//! - A question that was told of is told of again when it ends, before the next one's turn.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, oneshot};

use super::answer::fits;
use super::held;
use crate::chat::{InquiryAnswer, InquiryEnd, InquiryId, Limits, Question};
use crate::mcp::event::HostEvent;

/// The questions of all servers. Clones share them.
#[derive(Clone)]
pub(in crate::mcp) struct Inquiries(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) events: mpsc::Sender<HostEvent>,
    pub(super) limits: Arc<Limits>,
    /// Whether a person is there.
    pub(super) attended: std::sync::atomic::AtomicBool,
    pub(super) last: AtomicU64,
    /// Whose turn it is: first come, first served.
    pub(super) turn: tokio::sync::Mutex<()>,
    pub(super) waiting: AtomicU32,
    pub(super) open: Mutex<Option<Open>>,
}

pub(super) struct Open {
    pub(super) id: InquiryId,
    /// An answer that does not fit the question is not taken.
    pub(super) question: Question,
    pub(super) answer: oneshot::Sender<InquiryAnswer>,
}

impl Inquiries {
    pub(in crate::mcp) fn new(events: mpsc::Sender<HostEvent>, limits: Arc<Limits>) -> Self {
        Self(Arc::new(Shared {
            events,
            limits,
            attended: false.into(),
            last: AtomicU64::new(0),
            turn: tokio::sync::Mutex::default(),
            waiting: AtomicU32::new(0),
            open: Mutex::default(),
        }))
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// From now on a person is there.
    pub(in crate::mcp) fn attend(&self) {
        self.0.attended.store(true, Ordering::Release);
    }

    /// Answers the open question. False: it is over, or is another, or this is no answer to it.
    pub(in crate::mcp) fn answer(&self, id: InquiryId, answer: InquiryAnswer) -> bool {
        let mut open = held(&self.0.open);
        let fits = open.as_ref().is_some_and(|open| open.id == id && fits(&open.question, &answer));
        match open.take_if(|_| fits) {
            Some(open) => open.answer.send(answer).is_ok(),
            None => false,
        }
    }
}

/// Tells how a question ended, if it was told of.
pub(super) struct Asking<'a> {
    pub(super) shared: &'a Shared,
    /// Given up only after the end was told.
    pub(super) turn: Option<tokio::sync::MutexGuard<'a, ()>>,
    pub(super) told: Option<InquiryId>,
    pub(super) end: InquiryEnd,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let Some(id) = self.told else { return };
        held(&self.shared.open).take_if(|open| open.id == id);
        let event = HostEvent::InquiryEnded { id, end: self.end };
        if let Err(mpsc::error::TrySendError::Full(event)) = self.shared.events.try_send(event)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let events = self.shared.events.clone();
            runtime.spawn(async move { events.send(event).await });
        }
    }
}
