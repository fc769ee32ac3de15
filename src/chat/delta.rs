//! What a provider's stream says, in one vocabulary for every dialect.

use serde_json::{Map, Value};

/// One piece of meaning out of one event of a response.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    Text(String),
    Reasoning(String),
    Refusal(String),
    Call(CallFragment),
    /// Message-level fields to be kept verbatim and echoed to the same provider.
    Extra(Map<String, Value>),
    /// The wire's usage object, unchanged. The last one counts.
    Usage(Value),
    /// `reason` as sent, never empty; `native` where the router tells the upstream's own word.
    Finish {
        reason: String,
        native: Option<String>,
    },
    /// `[DONE]`, or the dialect's own end.
    Done,
    /// The endpoint said that something went wrong.
    Error(WireError),
}

/// A piece of a tool call. Every field may be missing; identity is worked out by the assembler.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallFragment {
    pub index: Option<u64>,
    /// Never empty.
    pub id: Option<String>,
    /// Never empty.
    pub name: Option<String>,
    pub arguments: Option<ArgumentsPart>,
    /// Unknown fields of the call object, verbatim.
    pub extra: Map<String, Value>,
    /// The wire says that this call is complete (Responses API); `arguments` then holds the whole text.
    pub done: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ArgumentsPart {
    /// A piece of JSON text; may be empty.
    Text(String),
    /// The provider sent a JSON value instead of text, here printed compactly.
    Value(String),
}

/// An error told by the endpoint, or made of a frame that is not what it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct WireError {
    pub kind: WireErrorKind,
    pub message: String,
    /// A number or a string, where one was given.
    pub code: Option<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireErrorKind {
    /// The endpoint said so, before or inside the stream.
    Provider,
    /// The stream ended without a finish, `[DONE]` or a closed call to judge by.
    Truncated,
    /// A frame is not what it should be; every open call is poisoned.
    BadChunk,
}

impl WireErrorKind {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Truncated => "truncated",
            Self::BadChunk => "bad_chunk",
        }
    }
}

/// The deltas of one data event. `number` is 1-based and counts every dispatched data event, `[DONE]` included.
#[derive(Clone, Debug, PartialEq)]
pub struct EventDeltas {
    pub number: u64,
    pub deltas: Vec<Delta>,
}
