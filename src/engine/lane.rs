//! One lane a server: calls leave it in the order in which they were given, each after its line is in the store.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::outcome;
use super::port::{Answer, CallEnd, ServerCall, ServerCallEvent, Servers};
use super::run::Inbound;
use crate::chat::{CallId, Fault, Limits, OutcomeKind, ToolOutcome, TurnId};
use crate::tools::{self, Tool};
use crate::turn::Event;

/// A call that may leave.
pub(super) struct Departure {
    pub turn: TurnId,
    /// Its id in its conversation; the order has the one that is unique in this process.
    pub call: CallId,
    pub order: ServerCall,
    pub tool: Arc<Tool>,
    /// Its line, on the way into the store.
    pub written: Answer<'static, Result<(), Fault>>,
    /// It leaves even where the store refuses the line.
    pub unsaved_ok: bool,
    /// Whether the model may read on in a result that is cut.
    pub reads_on: bool,
}

/// The name of a call at the servers: ids of calls are unique in their conversation only, and several may be at work.
pub(super) fn ticket(turn: TurnId, call: &CallId) -> CallId {
    CallId::new(format!("{}:{}", turn.0, call.as_str()))
}

/// The turn and the call behind such a name; None where it is not one of ours.
pub(super) fn of_ticket(name: &CallId) -> Option<(TurnId, CallId)> {
    let (turn, call) = name.as_str().split_once(':')?;
    Some((TurnId(turn.parse().ok()?), CallId::new(call)))
}

/// Calls that were cancelled, perhaps while they stood in their lane.
#[derive(Clone, Debug, Default)]
pub(super) struct Withdrawn(Arc<Mutex<HashSet<(TurnId, CallId)>>>);

impl Withdrawn {
    fn lock(&self) -> MutexGuard<'_, HashSet<(TurnId, CallId)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn add(&self, turn: TurnId, call: CallId) {
        self.lock().insert((turn, call));
    }

    pub fn turn_ended(&self, turn: TurnId) {
        self.lock().retain(|(of, _)| *of != turn);
    }
}

/// The way into a lane. The lane ends with it; calls that left go on to their outcome.
pub(super) type Lane = mpsc::UnboundedSender<Departure>;

pub(super) fn open(
    servers: Arc<dyn Servers>,
    inbound: mpsc::Sender<Inbound>,
    limits: Arc<Limits>,
    withdrawn: Withdrawn,
) -> Lane {
    let (lane, mut departures) = mpsc::unbounded_channel::<Departure>();
    tokio::spawn(async move {
        while let Some(departure) = departures.recv().await {
            let Departure { turn, call, order, tool, written, unsaved_ok, reads_on } = departure;
            if let Err(fault) = written.await {
                let call = call.clone();
                let _ = inbound.send(Inbound::Store(Err(fault))).await;
                if !unsaved_ok && !tool.known_read_only() {
                    let _ = inbound.send(Inbound::Turn(turn, Event::NotWritten { call })).await;
                    continue;
                }
            }
            // One lock for looking and leaving: whoever cancels later finds it at the servers.
            let events = {
                let withdrawn = withdrawn.lock();
                (!withdrawn.contains(&(turn, call.clone()))).then(|| servers.call(order))
            };
            let Some(events) = events else {
                let message = "The user cancelled this call before it was sent.";
                let outcome = Box::new(ToolOutcome::unsent(OutcomeKind::Cancelled, message));
                let _ = inbound.send(Inbound::Turn(turn, Event::Answered { call, outcome })).await;
                continue;
            };
            let reference = reads_on.then(|| tools::result_reference(&call));
            tokio::spawn(watch(turn, call, tool, reference, events, inbound.clone(), Arc::clone(&limits)));
        }
    });
    lane
}

/// Reports what a call does until it has ended.
async fn watch(
    turn: TurnId,
    call: CallId,
    tool: Arc<Tool>,
    reference: Option<String>,
    mut events: super::port::Events<ServerCallEvent>,
    inbound: mpsc::Sender<Inbound>,
    limits: Arc<Limits>,
) {
    let mut sent_at = None;
    let end = loop {
        let event = match events.next().await {
            Some(ServerCallEvent::Held) => Event::Held { call: call.clone() },
            Some(ServerCallEvent::Sent) => {
                sent_at = Some(tokio::time::Instant::now());
                Event::Sent { call: call.clone() }
            }
            Some(ServerCallEvent::Progress { progress, total, message }) => {
                Event::Progress { call: call.clone(), progress, total, message }
            }
            Some(ServerCallEvent::Ended(end)) => break end,
            None => break CallEnd::Gone { sent: sent_at.is_some(), message: "its connection is gone".into() },
        };
        if inbound.send(Inbound::Turn(turn, event)).await.is_err() {
            return;
        }
    };
    let ran = sent_at.map_or(Duration::ZERO, |at| at.elapsed());
    let outcome = outcome::of(tool, end, ran, reference, limits).await;
    let _ = inbound.send(Inbound::Turn(turn, Event::Answered { call, outcome: Box::new(outcome) })).await;
}
