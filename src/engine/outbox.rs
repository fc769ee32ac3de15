//! The one slot between the engine and its reader.
//!
//! # Invariants
//! - Putting never waits. What a reader has not taken yet is merged: adjacent text of a round becomes one delta, a
//!   call's arguments grow, a newer progress or server state takes the place of the older. Nothing else is dropped.
//! - Order and stamps never decrease; a merged event keeps the stamp of its first part.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::chat::{CallState, CallUpdate, SampleStep, Stamp, Stamped, TurnEvent};

#[derive(Debug, Default)]
struct Slot {
    events: VecDeque<Stamped<TurnEvent>>,
    closed: bool,
}

#[derive(Debug, Default)]
struct Shared {
    slot: Mutex<Slot>,
    filled: Notify,
    drained: Notify,
}

impl Shared {
    /// A panic of another holder leaves plain data behind, never a half-made one.
    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The engine's end.
#[derive(Clone, Debug, Default)]
pub struct Outbox(Arc<Shared>);

/// The reader's end. Exactly one reader at a time.
#[derive(Debug)]
pub struct Inbox(Arc<Shared>);

impl Outbox {
    #[must_use]
    pub fn new() -> (Outbox, Inbox) {
        let outbox = Outbox::default();
        let inbox = Inbox(Arc::clone(&outbox.0));
        (outbox, inbox)
    }

    pub fn put(&self, at: Stamp, event: TurnEvent) {
        let mut slot = self.0.lock();
        if let Some(event) = merge(&mut slot.events, event) {
            slot.events.push_back(Stamped { at, body: event });
        }
        drop(slot);
        self.0.filled.notify_one();
    }

    /// Waits until the reader has taken what was put. Only the reading of a model may wait for it.
    pub async fn drained(&self) {
        loop {
            let taken = self.0.drained.notified();
            {
                let slot = self.0.lock();
                if slot.events.is_empty() || slot.closed {
                    return;
                }
            }
            taken.await;
        }
    }

    /// Nothing will be put any more; the reader gets what is left, then the end.
    pub fn close(&self) {
        self.0.lock().closed = true;
        self.0.filled.notify_one();
        self.0.drained.notify_waiters();
    }
}

impl Inbox {
    /// Everything that gathered since the last call, at least one event; None at the end.
    pub async fn next(&mut self) -> Option<Vec<Stamped<TurnEvent>>> {
        loop {
            {
                let mut slot = self.0.lock();
                if !slot.events.is_empty() {
                    let events = slot.events.drain(..).collect();
                    drop(slot);
                    self.0.drained.notify_waiters();
                    return Some(events);
                }
                if slot.closed {
                    return None;
                }
            }
            self.0.filled.notified().await;
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.drained.notify_waiters();
    }
}

/// Merges `event` into what waits, or gives it back.
fn merge(events: &mut VecDeque<Stamped<TurnEvent>>, event: TurnEvent) -> Option<TurnEvent> {
    match event {
        TurnEvent::Text { turn, round, text } => match events.back_mut().map(|e| &mut e.body) {
            Some(TurnEvent::Text { turn: t, round: r, text: have }) if (*t, *r) == (turn, round) => {
                have.push_str(&text);
                None
            }
            _ => Some(TurnEvent::Text { turn, round, text }),
        },
        TurnEvent::Reasoning { turn, round, text } => match events.back_mut().map(|e| &mut e.body) {
            Some(TurnEvent::Reasoning { turn: t, round: r, text: have }) if (*t, *r) == (turn, round) => {
                have.push_str(&text);
                None
            }
            _ => Some(TurnEvent::Reasoning { turn, round, text }),
        },
        TurnEvent::Call { turn, update } => merge_call(events, turn, update),
        TurnEvent::Server(status) => {
            // A state that nobody saw is history; the newest of a server stands at its own place in time.
            events.retain(|e| !matches!(&e.body, TurnEvent::Server(old) if old.server == status.server && old.state == status.state));
            Some(TurnEvent::Server(status))
        }
        TurnEvent::Tools(rows) => {
            events.retain(|e| !matches!(&e.body, TurnEvent::Tools(_)));
            Some(TurnEvent::Tools(rows))
        }
        TurnEvent::Sampled { id, step } => match (events.back_mut().map(|e| &mut e.body), step) {
            (Some(TurnEvent::Sampled { id: of, step: SampleStep::Text(have) }), SampleStep::Text(text))
                if *of == id =>
            {
                have.push_str(&text);
                None
            }
            (Some(TurnEvent::Sampled { id: of, step: SampleStep::Thinking(have) }), SampleStep::Thinking(more))
                if *of == id =>
            {
                *have += more;
                None
            }
            (_, step) => Some(TurnEvent::Sampled { id, step }),
        },
        TurnEvent::Saved { conversation, at_ms } => {
            events.retain(|e| !matches!(&e.body, TurnEvent::Saved { conversation: c, .. } if *c == conversation));
            Some(TurnEvent::Saved { conversation, at_ms })
        }
        other => Some(other),
    }
}

/// Arguments and progress of one call grow in place as long as no other event of that call stands in between.
fn merge_call(
    events: &mut VecDeque<Stamped<TurnEvent>>,
    turn: crate::chat::TurnId,
    update: CallUpdate,
) -> Option<TurnEvent> {
    let latest = events.iter_mut().rev().find_map(|e| match &mut e.body {
        TurnEvent::Call { turn: t, update: u } if *t == turn && u.call == update.call => Some(u),
        _ => None,
    });
    match (latest, update) {
        (
            Some(CallUpdate { state: CallState::Arguments { bytes, delta }, wire_name, tool, .. }),
            CallUpdate {
                state: CallState::Arguments { bytes: now, delta: more }, wire_name: name, tool: found, ..
            },
        ) => {
            *bytes = now;
            delta.push_str(&more);
            *wire_name = name;
            *tool = found;
            None
        }
        (
            Some(CallUpdate { state: CallState::Progress { progress, total, message }, .. }),
            CallUpdate { state: CallState::Progress { progress: p, total: t, message: m }, .. },
        ) => {
            *progress = p;
            *total = t;
            if m.is_some() {
                *message = m;
            }
            None
        }
        (_, update) => Some(TurnEvent::Call { turn, update }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{CallId, TurnId};

    fn text(text: &str) -> TurnEvent {
        TurnEvent::Text { turn: TurnId(1), round: 1, text: text.into() }
    }

    fn call(id: &str, state: CallState) -> TurnEvent {
        let update = CallUpdate { call: CallId::new(id), round: 1, index: 0, wire_name: None, tool: None, state };
        TurnEvent::Call { turn: TurnId(1), update }
    }

    #[tokio::test]
    async fn what_nobody_took_is_merged_and_nothing_is_lost() {
        let (outbox, mut inbox) = Outbox::new();
        let args = |bytes, delta: &str| CallState::Arguments { bytes, delta: delta.into() };
        for event in [
            text("a"),
            text("b"),
            call("1", args(1, "{")),
            call("2", args(1, "{")),
            call("1", args(2, "}")),
            text("c"),
            call("1", CallState::Running),
            call("1", CallState::Progress { progress: 1.0, total: None, message: Some("m".into()) }),
            call("1", CallState::Progress { progress: 2.0, total: None, message: None }),
        ] {
            outbox.put(Stamp::default(), event);
        }
        outbox.close();
        let got: Vec<TurnEvent> = inbox.next().await.into_iter().flatten().map(|e| e.body).collect();
        let want = vec![
            text("ab"),
            call("1", args(2, "{}")),
            call("2", args(1, "{")),
            text("c"),
            call("1", CallState::Running),
            call("1", CallState::Progress { progress: 2.0, total: None, message: Some("m".into()) }),
        ];
        assert_eq!(got, want);
        assert_eq!(inbox.next().await, None);
    }

    #[tokio::test]
    async fn a_gone_reader_holds_back_no_model() {
        let (outbox, inbox) = Outbox::new();
        outbox.put(Stamp::default(), text("a"));
        drop(inbox);
        outbox.drained().await;
    }
}
