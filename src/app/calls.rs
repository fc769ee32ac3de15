//! Tool calls as they are watched: every state, with its times.

use std::collections::HashMap;
use std::sync::Arc;

use crate::chat::{CallId, ClosedBy, OutcomeKind, Review, Stamp, ToolOutcome, ToolRef, TurnId};

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
    pub arguments: Arc<str>,
    pub arguments_bytes: u64,
    pub closed_by: Option<ClosedBy>,
    /// The review that waits, or was decided.
    pub review: Option<Arc<Review>>,
    /// A decision has left for the engine, its effect has not come back.
    pub decided: bool,
    pub progress: Option<Progress>,
    pub outcome: Option<Arc<ToolOutcome>>,
    /// By this person's hand.
    pub cancelled_by_you: bool,
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
    /// When a decision of a person or a rule let it go.
    pub approved: Option<Stamp>,
    pub sent: Option<Stamp>,
    pub ended: Option<Stamp>,
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
            arguments: Arc::from(""),
            arguments_bytes: 0,
            closed_by: None,
            review: None,
            decided: false,
            progress: None,
            outcome: None,
            cancelled_by_you: false,
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
}
