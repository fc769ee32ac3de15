//! What happens to a turn, and what it asks for.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::chat::{
    CallId, Change, Decision, Durability, EventDeltas, Fault, Grant, Part, Request, ToolList, ToolOutcome, TurnEvent,
    TurnStatus,
};
use crate::tools::{Problem, Snapshot, Tool};

/// What happened. Rounds and attempts count from 1.
#[derive(Debug)]
pub enum Event {
    Begin,
    /// The commit that `Step::Arm` asked for was made, or could not be (then the turn goes on unsaved).
    Armed {
        round: u32,
    },
    Slow {
        round: u32,
        attempt: u32,
        waited: Duration,
    },
    FirstByte {
        round: u32,
        attempt: u32,
    },
    Deltas {
        round: u32,
        attempt: u32,
        event: EventDeltas,
    },
    Stream {
        round: u32,
        attempt: u32,
        end: ResponseEnd,
    },
    Validated {
        call: CallId,
        problems: Result<(), Vec<Problem>>,
    },
    /// The call's arguments could not be written to the store; it was not sent.
    NotWritten {
        call: CallId,
    },
    /// It waits for its server to be ready.
    Held {
        call: CallId,
    },
    /// Handed to the server's transport.
    Sent {
        call: CallId,
    },
    Progress {
        call: CallId,
        progress: f64,
        total: Option<f64>,
        message: Option<String>,
    },
    Answered {
        call: CallId,
        outcome: Box<ToolOutcome>,
    },
    Decided {
        call: CallId,
        hash: Arc<str>,
        decision: Decision,
    },
    CancelCall {
        call: CallId,
    },
    Cancel,
    /// A person's message for the next round's request.
    Interject {
        parts: Vec<Part>,
    },
    RetryNow,
    /// The tools changed: grants, pins, trust, listings.
    Tools(Arc<Snapshot>),
    /// What is offered from the next request on: what was offered before, and what was found since.
    Offered(Arc<ToolList>),
    /// Whether the store can be written.
    Saving {
        ok: bool,
    },
    Timer(Timer),
}

/// How a response's stream ended.
#[derive(Debug)]
pub enum ResponseEnd {
    /// The body ended in good order.
    Eof,
    /// It failed, before or in the stream. `retry_in` is set where the same request may be sent again by itself.
    Failed { fault: Fault, retry_in: Option<Duration> },
    /// The endpoint refused a part of the request; it goes again at once without it, and does not count as an attempt.
    Adapted(Box<Adapted>),
}

/// What was learnt from a refusal.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapted {
    /// The refusal itself: told where the request cannot go again.
    pub fault: Fault,
    /// What a person is told of it.
    pub message: String,
    /// Key and JSON value to be remembered for this base URL and model.
    pub learnt: Option<(String, String)>,
    /// The tools as they are offered from now on, where that changed.
    pub tools: Option<Arc<ToolList>>,
}

/// Timers carry what they are for; a late one is recognised and ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timer {
    /// The whole turn has taken too long.
    TurnLimit,
    /// Text that came since the last flush goes to the store.
    Flush,
    Retry {
        round: u32,
        attempt: u32,
    },
    /// The finish came, but neither `[DONE]` nor the end of the body.
    FinishGrace {
        round: u32,
        attempt: u32,
    },
}

/// What is to be done, in this order.
#[derive(Debug)]
pub enum Step {
    Emit(TurnEvent),
    /// Write down; nobody waits.
    Write(Vec<Change>, Durability),
    /// Commit, synced, and answer with `Event::Armed`.
    Arm {
        round: u32,
        changes: Vec<Change>,
    },
    /// Ask the model. Any earlier response of this turn is dropped.
    Request {
        round: u32,
        attempt: u32,
        /// Attempts that count: without those that only taught something.
        tries: u32,
        request: Box<Request>,
    },
    /// Drop the response.
    Hangup,
    /// Check arguments against the tool's schema: off this task and within the time limit, unless it is short.
    Validate {
        call: CallId,
        tool: Arc<Tool>,
        arguments: Arc<Value>,
    },
    /// Write `changes`, with the lines before them (awaited in the call's own lane), then send. Calls of one server
    /// leave in the order of these.
    Call {
        call: CallId,
        tool: Arc<Tool>,
        arguments: Map<String, Value>,
        changes: Vec<Change>,
        unsaved_ok: bool,
    },
    CancelCall {
        call: CallId,
    },
    /// A person granted this; the registry and the store are to know.
    Grant(Grant),
    Start {
        timer: Timer,
        after: Duration,
    },
    /// The turn is over: commit `changes`, synced. Nothing follows but its last event.
    Finish {
        status: TurnStatus,
        changes: Vec<Change>,
    },
}
