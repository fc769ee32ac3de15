//! Tool calls as they are watched: every state, with its times.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::chat::{
    CallId, CallState, CallTimes, CallUpdate, ClosedBy, OutcomeKind, Review, Stamp, ToolCall, ToolOutcome, ToolRef,
    TurnId, WaitFor,
};

/// All calls of the open conversation.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    pub by_id: HashMap<CallId, Call>,
    /// Those of the last turn, as they appeared.
    pub this_turn: Vec<CallId>,
}

#[derive(Clone, Debug)]
pub struct Call {
    pub id: CallId,
    /// None for a call that comes from the store.
    pub turn: Option<TurnId>,
    pub round: u32,
    pub index: u32,
    /// Raw; None until known.
    pub wire_name: Option<Arc<str>>,
    pub tool: Option<ToolRef>,
    pub phase: CallPhase,
    /// While they arrive: the tail of the raw text (at most [`Call::TAIL`] bytes); once closed: exactly what is sent.
    pub arguments: String,
    pub arguments_bytes: u64,
    /// While they arrive: their beginning (at most [`Call::TAIL`] bytes), in which the first keys have closed.
    pub arguments_head: String,
    pub closed_by: Option<ClosedBy>,
    /// The review that waits, or was decided.
    pub review: Option<Arc<Review>>,
    /// A decision has left for the engine, its effect has not come back.
    pub decided: bool,
    /// A person put the decision off.
    pub put_off: bool,
    pub progress: Option<Progress>,
    pub outcome: Option<Arc<ToolOutcome>>,
    pub times: Times,
    /// Grows with every change of what is drawn.
    pub revision: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallPhase {
    /// Arguments arrive.
    Arguments,
    /// Closed, and what happens next is not known yet.
    Closed,
    NeedsApproval,
    /// Its place in the queue from 1.
    Queued(u32),
    /// Its server is still starting.
    ServerStarting,
    Running,
    Cancelling,
    Ended(OutcomeKind),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    pub progress: f64,
    pub total: Option<f64>,
    /// Raw.
    pub message: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Times {
    pub opened: Stamp,
    pub closed: Option<Stamp>,
    pub asked: Option<Stamp>,
    /// When a person's decision let it go.
    pub approved: Option<Stamp>,
    pub sent: Option<Stamp>,
    pub ended: Option<Stamp>,
}

impl Calls {
    /// Takes an update; true where the call was not known before.
    pub(super) fn apply(&mut self, turn: TurnId, update: CallUpdate, at: Stamp) -> bool {
        let mut new = false;
        let call = self.by_id.entry(update.call.clone()).or_insert_with(|| {
            new = true;
            Call::new(update.call.clone(), Some(turn), update.round, update.index, at)
        });
        if new {
            self.this_turn.push(update.call);
        }
        call.wire_name = update.wire_name.or(call.wire_name.take());
        call.tool = update.tool.or(call.tool.take());
        call.apply(update.state, at);
        new
    }

    /// A call of a message that comes from the store or settles.
    pub(super) fn settle(&mut self, stored: &ToolCall, turn: Option<TurnId>, round: u32, at: Stamp) {
        let call = self
            .by_id
            .entry(stored.id.clone())
            .or_insert_with(|| Call::new(stored.id.clone(), turn, round, stored.index, at));
        call.wire_name = Some(Arc::from(stored.wire_name.as_str()));
        call.tool = stored.tool.clone().or(call.tool.take());
        if !matches!(call.phase, CallPhase::Arguments) || turn.is_none() {
            call.arguments = stored.arguments.to_string();
            call.arguments_bytes = stored.arguments.len() as u64;
        }
        if turn.is_none() {
            // Until its outcome is read: it may have run.
            call.phase = CallPhase::Ended(OutcomeKind::Unknown);
        }
        call.revision += 1;
    }

    pub(super) fn outcome(&mut self, id: &CallId, outcome: &Arc<ToolOutcome>, at: Option<Stamp>) {
        if let Some(call) = self.by_id.get_mut(id) {
            call.phase = CallPhase::Ended(outcome.kind);
            call.outcome = Some(outcome.clone());
            if call.times.ended.is_none() {
                call.times.ended = at;
            }
            call.revision += 1;
        }
    }

    /// Those of the last turn, in their order.
    pub fn turn(&self) -> impl Iterator<Item = &Call> {
        self.this_turn.iter().filter_map(|id| self.by_id.get(id))
    }

    /// Those that wait for a person and have not been decided, in their order.
    pub fn waiting(&self) -> impl Iterator<Item = &Call> {
        self.turn().filter(|call| call.phase == CallPhase::NeedsApproval && !call.decided)
    }

    /// Those that have left and have not been answered.
    pub fn running(&self) -> impl Iterator<Item = &Call> {
        self.turn().filter(|call| matches!(call.phase, CallPhase::Running | CallPhase::Cancelling))
    }
}

impl Call {
    /// How much of arriving arguments is kept for the screen, bytes.
    pub const TAIL: usize = 4096;

    #[must_use]
    pub fn new(id: CallId, turn: Option<TurnId>, round: u32, index: u32, at: Stamp) -> Self {
        Self {
            id,
            turn,
            round,
            index,
            wire_name: None,
            tool: None,
            phase: CallPhase::Arguments,
            arguments: String::new(),
            arguments_bytes: 0,
            arguments_head: String::new(),
            closed_by: None,
            review: None,
            decided: false,
            put_off: false,
            progress: None,
            outcome: None,
            times: Times { opened: at, ..Times::default() },
            revision: 0,
        }
    }

    /// `server/tool`, or the wire's name where it names no known tool; raw. Empty until known.
    #[must_use]
    pub fn name(&self) -> String {
        match (&self.tool, &self.wire_name) {
            (Some(tool), _) => tool.path(),
            (None, Some(name)) => name.to_string(),
            (None, None) => String::new(),
        }
    }

    /// Hinted as read-only by a server that its user trusts. What was never reviewed is not known.
    #[must_use]
    pub fn known_read_only(&self) -> bool {
        self.review.as_ref().is_some_and(|review| review.trusted && review.claims.harmless())
    }

    /// Everything of the result as a person reads it, raw; empty while there is none.
    #[must_use]
    pub fn result(&self) -> Cow<'_, str> {
        self.outcome.as_ref().map_or(Cow::Borrowed(""), |outcome| outcome.readable())
    }

    /// The beginning of the result, raw: what a line or two can show of it.
    #[must_use]
    pub fn result_head(&self) -> &str {
        match self.outcome.as_deref() {
            None => "",
            // The answer itself is JSON with payloads; what the model is told names them.
            Some(outcome) if outcome.full_is_result => &outcome.content,
            Some(outcome) => outcome.full.as_deref().unwrap_or(&outcome.content),
        }
    }

    fn apply(&mut self, state: CallState, at: Stamp) {
        self.revision += 1;
        // A terminal state is terminal: what comes after it is late.
        if matches!(self.phase, CallPhase::Ended(_)) {
            return;
        }
        match state {
            CallState::Arguments { bytes, delta } => {
                self.phase = CallPhase::Arguments;
                self.arguments_bytes = bytes;
                self.arguments.push_str(&delta);
                let room = Self::TAIL.saturating_sub(self.arguments_head.len());
                self.arguments_head.push_str(&delta[..delta.floor_char_boundary(room)]);
                if self.arguments.len() > 2 * Self::TAIL {
                    let mut cut = self.arguments.len() - Self::TAIL;
                    while !self.arguments.is_char_boundary(cut) {
                        cut += 1;
                    }
                    self.arguments.drain(..cut);
                }
            }
            CallState::Closed { arguments, closed_by, closed_at: _ } => {
                self.phase = CallPhase::Closed;
                self.arguments_bytes = arguments.len() as u64;
                self.arguments = arguments.to_string();
                self.arguments_head = String::new();
                self.closed_by = Some(closed_by);
                self.times.closed = Some(at);
            }
            CallState::Waiting(WaitFor::Approval(review)) => {
                self.phase = CallPhase::NeedsApproval;
                self.arguments = review.arguments.to_string();
                self.arguments_bytes = review.arguments.len() as u64;
                let same = self.review.as_ref().is_some_and(|old| old.hash == review.hash);
                self.decided &= same;
                self.put_off &= same;
                self.review = Some(review);
                self.times.asked.get_or_insert(at);
            }
            CallState::Waiting(WaitFor::Slot(place)) => self.phase = CallPhase::Queued(place),
            CallState::Waiting(WaitFor::Server) => self.phase = CallPhase::ServerStarting,
            CallState::Running => {
                self.phase = CallPhase::Running;
                self.times.sent = Some(at);
            }
            CallState::Cancelling => self.phase = CallPhase::Cancelling,
            CallState::Progress { progress, total, message } => {
                let message = message.or_else(|| self.progress.take().and_then(|old| old.message));
                self.progress = Some(Progress { progress, total, message });
            }
            CallState::Ended(outcome) => {
                self.phase = CallPhase::Ended(outcome.kind);
                self.outcome = Some(outcome);
                self.times.ended = Some(at);
            }
        }
    }

    /// Its times since `started`, for the timeline.
    #[must_use]
    pub fn timeline(&self, started: Stamp) -> CallTimes {
        let since = |at: Stamp| at.since_us(started);
        let outcome = self.outcome.as_deref();
        CallTimes {
            call: self.id.clone(),
            round: self.round,
            index: self.index,
            wire_name: self.wire_name.as_deref().unwrap_or_default().to_owned(),
            tool: self.tool.clone(),
            arguments_bytes: self.arguments_bytes,
            closed_by: self.closed_by,
            outcome: outcome.map(|outcome| outcome.kind),
            detail: self.result_head().lines().next().unwrap_or_default().to_owned(),
            opened: since(self.times.opened),
            closed: self.times.closed.map(since),
            asked: self.times.asked.map(since),
            approved: self.times.approved.map(since),
            sent: self.times.sent.map(since),
            answered: self.times.sent.and(self.times.ended).map(since),
            result_bytes: outcome.map_or(0, |outcome| outcome.bytes),
            told_bytes: outcome.map_or(0, |outcome| outcome.content.len() as u64),
        }
    }
}
