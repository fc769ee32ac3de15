//! What a server asks of the person: a form, a visit to an address, an answer of the model, the folders to work in.
//!
//! Source: MCP 2026-07-28, client/elicitation, client/sampling, client/roots. The old era asks by requests of its own,
//! the new one by results that require input; both become the same inquiry.
//!
//! # Invariants
//! - Text in it is raw. Nothing in it is acted on before a person has answered.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{CallId, Form, Root, ServerName, Usage};

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
    /// Tokens that the server would let the answer have.
    pub wanted_tokens: u32,
    /// Tokens that it may have: no more than that, and than what the budgets leave.
    pub max_tokens: u32,
    pub budget: SampleBudget,
    pub temperature: Option<f64>,
    pub stop: Vec<String>,
    /// Models that the server would like, best first. Wishes only.
    pub hints: Vec<String>,
    /// It would like messages of other servers or of the conversation to go along; they never do.
    pub wants_context: bool,
    /// Who answers: the model of the turn that it belongs to; None: that of the conversation on the screen.
    pub model: Option<String>,
    /// The endpoint that is asked, as messages name it.
    pub base_url: String,
}

/// Tokens of sampling that are left, input and output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SampleBudget {
    /// Of this server, until the process ends.
    pub server: u64,
    /// Of the turn, for all servers.
    pub turn: u64,
}

impl Sample {
    #[must_use]
    pub fn has_images(&self) -> bool {
        let mut parts = self.messages.iter().flat_map(|message| &message.parts);
        parts.any(|part| matches!(part, SamplePart::Image { .. }))
    }

    /// Tokens that the request itself will take, by its size: what an endpoint counts is known afterwards. Of plain
    /// prose, that is; nothing may rest on it.
    #[must_use]
    pub fn estimated_input(&self) -> u64 {
        self.input(|bytes| bytes / 4 + 4)
    }

    /// Tokens that it can take at most, whatever its words are: no usual vocabulary has more tokens than bytes.
    #[must_use]
    pub fn most_input(&self) -> u64 {
        self.input(|bytes| bytes.saturating_add(FRAME_TOKENS))
    }

    fn input(&self, of_bytes: impl Fn(u64) -> u64) -> u64 {
        let text = |text: &str| of_bytes(u64::try_from(text.len()).unwrap_or(u64::MAX));
        let parts = self.messages.iter().flat_map(|message| &message.parts);
        let messages = parts.map(|part| match part {
            SamplePart::Text(words) => text(words),
            SamplePart::Image { .. } => IMAGE_TOKENS,
        });
        messages.chain(self.system.as_deref().map(&text)).fold(0, u64::saturating_add)
    }
}

impl SampleMessage {
    /// Its texts, without its pictures.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            SamplePart::Text(text) => Some(text.as_str()),
            SamplePart::Image { .. } => None,
        })
    }
}

/// What providers count for a picture of usual size, at most.
const IMAGE_TOKENS: u64 = 1_600;
/// What stands around a message in a model's template, at most.
const FRAME_TOKENS: u64 = 16;

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
    /// One of the texts came that were to end it; it is no part of the answer.
    StopSequence,
    MaxTokens,
}

/// How far the model is with its answer to a server.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleStep {
    /// A piece of the answer.
    Text(String),
    /// So many more bytes of reasoning, which no server is given.
    Thinking(u64),
    /// The answer as a whole, which waits for a person, and what it took as far as the endpoint told.
    Whole { reply: SampleReply, usage: Usage },
}

impl SampleStop {
    /// The protocol's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::EndTurn => "endTurn",
            Self::StopSequence => "stopSequence",
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
    /// An answer of the model was not to be had. Answers a sample alone.
    Fail {
        /// For the server: nothing of the person's own surroundings.
        told: &'static str,
        /// For the person.
        why: String,
    },
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
