//! The provider dialects, sans-IO: request bodies out, event data in, deltas out.
//!
//! # Invariants
//! - A deviation is known by its shape, never by the provider's name.
//! - Decoding never fails: what is not understood is left out, what is broken becomes a [`Delta::Error`].
//! - The bytes of the tool list are sent exactly as they were hashed.
//!
//! # Does not
//! Know connections, time or retries; put calls together (`turn::Assembler` does).

mod chat;
mod encode;
mod error;
mod images;
mod overflow;
mod plain;
mod raw;
mod refusal;
mod responses;

pub use encode::{Quirks, ReasoningEcho, SystemRole, encode, messages_json};
pub use error::{ErrorClass, ErrorReply, classify, error_reply};
pub use images::in_results;
pub use overflow::Overflow;
pub use refusal::{Quirk, Sent};

use serde_json::Value;

use crate::chat::{Api, Delta, EventDeltas, WireError, WireErrorKind, read_json};

/// The key under which a message's extra fields say that its reasoning goes back as `reasoning_content`. Its value is
/// empty: the text stands in `Answer::reasoning`.
const REASONING_MARKER: &str = "reasoning_content";

/// The extra field under which an answer's reasoning items (Responses) are kept for the same provider.
const REASONING_ITEMS: &str = "reasoning_items";

/// Reads one response, event by event.
#[derive(Debug)]
pub struct Decoder {
    dialect: Dialect,
    number: u64,
}

#[derive(Debug)]
enum Dialect {
    Chat(chat::Stream),
    Responses,
}

impl Decoder {
    #[must_use]
    pub fn new(api: Api) -> Self {
        let dialect = match api {
            Api::Chat => Dialect::Chat(chat::Stream::default()),
            Api::Responses => Dialect::Responses,
        };
        Self { dialect, number: 0 }
    }

    /// Takes the data of the next event. Events are counted from 1, `[DONE]` included.
    pub fn event(&mut self, data: &str) -> EventDeltas {
        self.number += 1;
        let data = data.trim();
        if let Dialect::Chat(stream) = &mut self.dialect
            && let Some(deltas) = stream.plain(data)
        {
            return EventDeltas { number: self.number, deltas };
        }
        let deltas = match read_json(data.as_bytes()) {
            _ if data == "[DONE]" => vec![Delta::Done],
            Ok(Value::Null) => Vec::new(),
            Ok(value @ Value::Object(_)) => match &mut self.dialect {
                Dialect::Chat(stream) => stream.event(data, &value),
                Dialect::Responses => responses::event(&value),
            },
            Ok(value) => vec![Delta::Error(error::find(&value).unwrap_or_else(|| self.bad("a JSON object")))],
            // The parser stops there, and so nothing downstream need mind its stack.
            Err(error) if too_deep(&error) => {
                let message = format!("event {} is nested deeper than {DEEPEST} levels (limit nesting)", self.number);
                vec![Delta::Error(WireError { kind: WireErrorKind::BadChunk, message, code: None })]
            }
            Err(_) => vec![Delta::Error(self.bad("JSON"))],
        };
        EventDeltas { number: self.number, deltas }
    }

    fn bad(&self, what: &str) -> WireError {
        let message = format!("event {} is not {what}", self.number);
        WireError { kind: WireErrorKind::BadChunk, message, code: None }
    }
}

/// How deep `serde_json` reads.
const DEEPEST: u32 = 127;

/// The parser has no kind for it, only words.
fn too_deep(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("recursion limit exceeded")
}
