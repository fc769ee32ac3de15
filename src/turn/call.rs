//! One call on its way: from its first fragment to its outcome.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::chat::{CallId, ClosedBy, OutcomeKind, Review, ToolCall, ToolOutcome, ToolRef};
use crate::tools::Tool;

/// Where a call stands.
#[derive(Debug)]
pub enum Stage {
    /// Its arguments are arriving.
    Open,
    /// Closed; its arguments are being checked against the schema.
    Validating,
    /// Valid; leaves when the stream of its round has finished.
    Held,
    /// A person must decide.
    Asking(Arc<Review>),
    /// May leave, as soon as its turn at its server comes and a slot is free.
    Ready {
        told_place: Option<u32>,
    },
    /// Given to its lane; `sent` once the transport has it, `held` while it waits there for its server.
    Running {
        sent: bool,
        held: bool,
        cancelling: bool,
    },
    Ended(Arc<ToolOutcome>),
}

/// Who allowed a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Nobody yet.
    None,
    /// Policy, a grant or a flag.
    Rule,
    /// A person, for exactly this hash.
    Person,
}

#[derive(Debug)]
pub struct Call {
    pub id: CallId,
    pub round: u32,
    pub index: u32,
    pub wire_id: Option<String>,
    pub name: Option<Arc<str>>,
    pub tool: Option<Arc<Tool>>,
    pub bytes: u64,
    /// The one serialisation that is shown, hashed, stored and sent; None until closed.
    pub arguments: Option<Arc<str>>,
    pub value: Option<Arc<Value>>,
    pub closed_by: Option<ClosedBy>,
    /// Its place among all closes of the turn.
    pub order: u64,
    pub stage: Stage,
    pub consent: Consent,
    /// A person changed the arguments: the model is told.
    pub edited: bool,
    /// Its arguments changed while it could still be had back.
    pub conflicting: bool,
    pub extra: Map<String, Value>,
    /// An equal call that ran before, offered in the review.
    pub earlier: Option<Arc<ToolOutcome>>,
}

impl Call {
    pub fn new(id: CallId, round: u32, index: u32, wire_id: Option<String>) -> Self {
        Self {
            id,
            round,
            index,
            wire_id,
            name: None,
            tool: None,
            bytes: 0,
            arguments: None,
            value: None,
            closed_by: None,
            order: 0,
            stage: Stage::Open,
            consent: Consent::None,
            edited: false,
            conflicting: false,
            extra: Map::new(),
            earlier: None,
        }
    }

    pub fn reference(&self) -> Option<ToolRef> {
        self.tool.as_ref().map(|t| t.reference.clone())
    }

    pub fn ended(&self) -> bool {
        matches!(self.stage, Stage::Ended(_))
    }

    /// Whether it was given to its server's lane.
    pub fn left(&self) -> bool {
        matches!(self.stage, Stage::Running { .. })
    }

    pub fn outcome(&self) -> Option<&Arc<ToolOutcome>> {
        match &self.stage {
            Stage::Ended(outcome) => Some(outcome),
            Stage::Open
            | Stage::Validating
            | Stage::Held
            | Stage::Asking(_)
            | Stage::Ready { .. }
            | Stage::Running { .. } => None,
        }
    }

    /// As history keeps it. Arguments that never became valid are not sent back: an empty object stands in for them.
    pub fn record(&self) -> ToolCall {
        let valid = match self.outcome().map(|o| o.kind) {
            Some(OutcomeKind::Incomplete) => false,
            Some(OutcomeKind::Invalid) => self.value.is_some(),
            Some(_) | None => true,
        };
        let arguments = self.arguments.clone().filter(|_| valid).unwrap_or_else(|| Arc::from("{}"));
        ToolCall {
            id: self.id.clone(),
            wire_id: self.wire_id.clone(),
            index: self.index,
            wire_name: self.name.as_deref().unwrap_or_default().to_owned(),
            tool: self.reference(),
            arguments,
            extra: self.extra.clone(),
        }
    }
}
