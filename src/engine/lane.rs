//! One lane a server: calls leave it in the order in which they were given, each after its line is in the store.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::outcome;
use super::port::{Answer, CallEnd, ServerCall, ServerCallEvent, Servers};
use super::run::Inbound;
use crate::chat::{Fault, Limits, TurnId};
use crate::tools::Tool;
use crate::turn::Event;

/// A call that may leave.
pub(super) struct Departure {
    pub turn: TurnId,
    pub order: ServerCall,
    pub tool: Arc<Tool>,
    /// Its line, on the way into the store.
    pub written: Answer<'static, Result<(), Fault>>,
    /// It leaves even where the store refuses the line.
    pub unsaved_ok: bool,
}

/// The way into a lane. The lane ends with it; calls that left go on to their outcome.
pub(super) type Lane = mpsc::UnboundedSender<Departure>;

pub(super) fn open(servers: Arc<dyn Servers>, inbound: mpsc::Sender<Inbound>, limits: Arc<Limits>) -> Lane {
    let (lane, mut departures) = mpsc::unbounded_channel::<Departure>();
    tokio::spawn(async move {
        while let Some(departure) = departures.recv().await {
            let Departure { turn, order, tool, written, unsaved_ok } = departure;
            if let Err(fault) = written.await {
                let call = order.call.clone();
                let _ = inbound.send(Inbound::Store(Err(fault))).await;
                if !unsaved_ok && !tool.known_read_only() {
                    let _ = inbound.send(Inbound::Turn(turn, Event::NotWritten { call })).await;
                    continue;
                }
            }
            let call = order.call.clone();
            let events = servers.call(order);
            tokio::spawn(watch(turn, call, tool, events, inbound.clone(), Arc::clone(&limits)));
        }
    });
    lane
}

/// Reports what a call does until it has ended.
async fn watch(
    turn: TurnId,
    call: crate::chat::CallId,
    tool: Arc<Tool>,
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
    let outcome = outcome::of(tool, end, ran, limits).await;
    let _ = inbound.send(Inbound::Turn(turn, Event::Answered { call, outcome: Box::new(outcome) })).await;
}
