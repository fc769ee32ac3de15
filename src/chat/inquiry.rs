//! What a server asks of the person: a form, a visit to an address, an answer of the model, the folders to work in.
//!
//! Source: MCP 2026-07-28, client/elicitation, client/sampling, client/roots. The old era asks by requests of its own,
//! the new one by results that require input; both become the same inquiry.
//!
//! # Invariants
//! - Text in it is raw. Nothing in it is acted on before a person has answered.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{CallId, Form, Root, ServerName};

/// An inquiry of this process. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InquiryId(pub u64);

/// One question. Only one is open at a time; it ends by an answer or by an [`InquiryEnd`].
#[derive(Clone, Debug, PartialEq)]
pub struct Inquiry {
    pub id: InquiryId,
    pub server: ServerName,
    /// The call that waits for the answer, by its name at the servers; None where that cannot be told.
    pub call: Option<CallId>,
    pub question: Question,
    /// How long it stays open, from when it was told of.
    pub limit: Duration,
    /// How many more wait behind it.
    pub behind: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// To fill in a form.
    Form { message: String, form: Form },
    /// To visit an address: http or https, as the server wrote it. Consent says nothing about what was done there.
    Address {
        message: String,
        url: String,
        /// What the old era calls the visit, when it tells of its end.
        elicitation: Option<String>,
    },
    /// To let the model answer for the server.
    Sample(Box<Sample>),
    /// To tell it these folders.
    Roots(Vec<Root>),
}

/// A request for an answer of the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    pub system: Option<String>,
    pub messages: Vec<SampleMessage>,
    pub max_tokens: u32,
    pub temperature: Option<f64>,
    pub stop: Vec<String>,
    /// Models that the server would like, best first. Wishes only.
    pub hints: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SampleMessage {
    pub by_assistant: bool,
    pub parts: Vec<SamplePart>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum SamplePart {
    Text(String),
    /// `data` is base64.
    Image {
        mime: String,
        data: String,
    },
}

/// The model's answer, as a person has seen it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleReply {
    pub model: String,
    pub text: String,
    pub stop: SampleStop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleStop {
    EndTurn,
    MaxTokens,
}

impl SampleStop {
    /// The protocol's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::EndTurn => "endTurn",
            Self::MaxTokens => "maxTokens",
        }
    }
}

/// A person's answer.
#[derive(Clone, Debug, PartialEq)]
pub enum InquiryAnswer {
    /// A form's content, checked; empty for an address.
    Accept(Map<String, Value>),
    Sample(SampleReply),
    /// The folders that were shown may be told; `lasting`: and again, until the program ends.
    Tell {
        lasting: bool,
    },
    /// No; the server may go on without.
    Decline,
    /// Closed without a decision; the server should give up what it was doing.
    Cancel,
}

/// How an inquiry ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InquiryEnd {
    Answered,
    /// The server takes it back.
    Withdrawn,
    /// The call that it belonged to is over.
    CallEnded,
    /// The connection is gone.
    Gone,
    /// Nobody answered within `limits.inquiry`.
    TooLate,
}

impl InquiryEnd {
    /// What a person is told, after the server's name; None where they know.
    #[must_use]
    pub fn message(self) -> Option<&'static str> {
        match self {
            Self::Answered => None,
            Self::Withdrawn => Some("took its question back"),
            Self::CallEnded => Some("no longer asks: its call is over"),
            Self::Gone => Some("no longer asks: its connection is gone"),
            Self::TooLate => Some("asked in vain: nobody answered in time ([limits] inquiry)"),
        }
    }
}
