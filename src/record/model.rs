//! The recorded model: the live one, over bytes of the recording in place of the network.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::Value;

use crate::chat::{Api, Fault, FaultKind, Request, ToolList};
use crate::engine::live::LiveModel;
use crate::engine::port::{Events, Lesson, Model, ModelEvent};
use crate::net::{Halt, Player, Playing};

use super::conductor::{Conductor, STALL, Source};
use super::differs;
use super::line::Over;
use super::script::Script;

/// Hands out the recorded responses, each once.
pub(super) struct Replies {
    script: Arc<Script>,
    conductor: Arc<Conductor>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    taken: Vec<bool>,
    /// The one that was taken last.
    last: Option<usize>,
}

impl Replies {
    pub(super) fn new(script: Arc<Script>, conductor: Arc<Conductor>) -> Arc<Self> {
        let taken = vec![false; script.responses.len()];
        Arc::new(Self { script, conductor, state: Mutex::new(State { taken, last: None }) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The response to this request: the first that was asked for with it, else the next.
    fn take(&self, body: &Bytes) -> Option<usize> {
        let asked: Option<Value> = serde_json::from_slice(body).ok();
        let mut state = self.state();
        let open: Vec<usize> = (0..state.taken.len()).filter(|at| !state.taken[*at]).collect();
        let equal = open.iter().copied().find(|at| self.script.responses[*at].body == asked);
        let at = equal.or_else(|| open.first().copied())?;
        state.taken[at] = true;
        state.last = Some(at);
        drop(state);
        if equal.is_none() {
            let recorded = self.script.responses[at].body.clone().unwrap_or_default();
            let place = differs::first(&recorded, &asked.unwrap_or_default()).unwrap_or_default();
            self.conductor.notice(format!("Request {} differs from the recorded one{place}.", at + 1));
        }
        Some(at)
    }

    /// Where the last response failed and the same request was sent again: after how long.
    fn sent_again(&self) -> Option<Duration> {
        let state = self.state();
        let last = state.last?;
        let (before, next) = (&self.script.responses[last], self.script.responses.get(last + 1)?);
        let same = before.body == next.body && !next.first_of_turn && !state.taken[last + 1];
        let over = before.over.as_ref().map_or(before.asked.t_us, |(cue, _)| cue.t_us);
        let pause = Duration::from_micros(next.asked.t_us.saturating_sub(over));
        same.then(|| self.conductor.speed().scaled(pause))
    }
}

impl Player for Replies {
    fn answer(&self, body: Bytes) -> Playing {
        let Some(at) = self.take(&body) else {
            let message = "This is a replay: the recording holds no answer to this request.";
            let fault = Fault::new(FaultKind::Network, message).hint("It shows what was recorded and asks nobody.");
            return Playing {
                head: Box::pin(async { Err(Halt::Failed { fault, again: false }) }),
                body: futures_util::stream::empty().boxed(),
            };
        };
        let source = Source::Response(at);
        let reading = Reading { script: Arc::clone(&self.script), conductor: Arc::clone(&self.conductor), at, next: 0 };
        let (script, conductor) = (Arc::clone(&self.script), Arc::clone(&self.conductor));
        let head = async move {
            let response = &script.responses[at];
            match (&response.head, &response.over) {
                (Some((cue, head)), _) => {
                    conductor.due(*cue, source).await;
                    conductor.done(*cue, source);
                    Ok(head.clone())
                }
                (None, Some((cue, over))) => {
                    conductor.due(*cue, source).await;
                    conductor.done(*cue, source);
                    Err(halt(over))
                }
                (None, None) => Err(cut()),
            }
        };
        let body = futures_util::stream::unfold(Some(reading), |reading| async move {
            let mut reading = reading?;
            let item = reading.item().await?;
            let rest = item.is_ok().then_some(reading);
            Some((item, rest))
        });
        Playing { head: Box::pin(head), body: body.boxed() }
    }
}

fn halt(over: &Over) -> Halt {
    match over {
        Over::Failed { fault, again } => Halt::Failed { fault: fault.clone(), again: *again },
        Over::Broken { message } => Halt::Broken(message.clone()),
        Over::Whole | Over::Left | Over::Dropped => cut(),
    }
}

fn cut() -> Halt {
    let fault = Fault::new(FaultKind::Truncated, "The recording ends within this answer.");
    Halt::Failed { fault, again: false }
}

/// One response's bytes, given in their turn.
struct Reading {
    script: Arc<Script>,
    conductor: Arc<Conductor>,
    at: usize,
    next: usize,
}

impl Reading {
    async fn item(&mut self) -> Option<Result<Bytes, Halt>> {
        let (response, source) = (&self.script.responses[self.at], Source::Response(self.at));
        // What was given before has been decoded when more is asked for.
        if let Some((cue, _)) = self.next.checked_sub(1).and_then(|at| response.chunks.get(at)) {
            self.conductor.done(*cue, source);
        }
        if let Some((cue, bytes)) = response.chunks.get(self.next) {
            self.conductor.due(*cue, source).await;
            self.next += 1;
            return Some(Ok(Bytes::from(bytes.clone())));
        }
        match &response.over {
            Some((cue, over @ (Over::Whole | Over::Broken { .. } | Over::Failed { .. }))) => {
                self.conductor.due(*cue, source).await;
                self.conductor.done(*cue, source);
                match over {
                    Over::Whole => None,
                    over => Some(Err(halt(over))),
                }
            }
            Some((_, Over::Left)) => None,
            // Whoever dropped it then will do so again, or has had enough of it.
            Some((_, Over::Dropped)) => {
                tokio::time::sleep(STALL).await;
                None
            }
            None => Some(Err(cut())),
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.conductor.void(Source::Response(self.at));
    }
}

/// See the module's head.
pub(super) struct ReplayModel {
    live: LiveModel,
    replies: Arc<Replies>,
}

impl ReplayModel {
    pub(super) fn new(live: LiveModel, replies: Arc<Replies>) -> Self {
        Self { live, replies }
    }
}

impl Model for ReplayModel {
    fn respond(&self, request: Request, attempt: u32) -> Events<ModelEvent> {
        let replies = Arc::clone(&self.replies);
        let events = self.live.respond(request, attempt).map(move |event| match event {
            // The pause has a part of chance: it is as long as it was then.
            ModelEvent::Failed { fault, retry_in } => {
                ModelEvent::Failed { fault, retry_in: replies.sent_again().or(retry_in) }
            }
            event @ (ModelEvent::Slow(_)
            | ModelEvent::FirstByte
            | ModelEvent::Deltas(_)
            | ModelEvent::Ended
            | ModelEvent::Adapted(_)) => event,
        });
        events.boxed()
    }

    fn offered(&self, model: &str, tools: Arc<ToolList>) -> Arc<ToolList> {
        self.live.offered(model, tools)
    }

    fn recall(&self, lessons: &[Lesson]) {
        self.live.recall(lessons);
    }

    fn base_url(&self) -> String {
        self.live.base_url()
    }

    fn origin(&self) -> String {
        self.live.origin()
    }

    fn api(&self) -> Api {
        self.live.api()
    }
}
