//! Messages: what was said, by whom, with which calls.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{CallId, MessageId, ToolCall, ToolOutcome, UnixMs};

/// One message of a conversation's tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub id: MessageId,
    /// None for the first of a conversation.
    pub parent: Option<MessageId>,
    pub at: UnixMs,
    pub body: Body,
}

#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "messages are shared behind an Arc, never moved about")]
pub enum Body {
    User(Vec<Part>),
    Assistant(Answer),
    /// The outcome of one call of the assistant message before it.
    Tool(ToolMessage),
}

/// A part of a user's message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    Text {
        text: String,
    },
    /// A text file, sent inline under its name.
    File {
        name: String,
        text: String,
    },
    /// Base64 of the bytes; `mime` was read from the magic bytes, not from the name.
    Image {
        name: String,
        mime: String,
        data: String,
    },
}

impl Part {
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Part::Text { text: text.into() }
    }
}

/// What a model answered in one round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    pub text: String,
    pub reasoning: String,
    pub refusal: String,
    pub calls: Vec<ToolCall>,
    pub model: String,
    /// The provider's origin (scheme, host, port): `extra` is echoed only there.
    pub origin: String,
    /// Unknown message-level fields, verbatim (`reasoning_details` and the like).
    pub extra: Map<String, Value>,
    /// The finish reason as sent; None while streaming and where none came.
    pub finish: Option<String>,
    pub state: AnswerState,
}

/// Why an answer is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The model had to stop writing: its own limit, or one that was asked for.
    Length,
    /// The provider held the rest back.
    Filter,
    /// The stream broke, a person stopped it, or this process ended.
    Broken,
}

impl Cut {
    /// For people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Length => "cut by the length limit",
            Self::Filter => "cut by the content filter",
            Self::Broken => "interrupted",
        }
    }
}

impl Answer {
    /// Why it is not whole; None where it is.
    #[must_use]
    pub fn cut(&self) -> Option<Cut> {
        match (self.state, self.finish.as_deref()) {
            (AnswerState::Complete, _) => None,
            (AnswerState::Interrupted, Some(word)) if is_length(word) => Some(Cut::Length),
            (AnswerState::Interrupted, Some(word)) if is_filtered(word) => Some(Cut::Filter),
            (AnswerState::Interrupted | AnswerState::Partial, _) => Some(Cut::Broken),
        }
    }
}

/// The words of providers for "the model had to stop writing here".
#[must_use]
pub fn is_length(word: &str) -> bool {
    ["length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"]
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known))
}

/// The words for "its content was refused" (Gemini, Z.ai).
#[must_use]
pub fn is_filtered(word: &str) -> bool {
    ["content_filter", "safety", "recitation", "sensitive"].iter().any(|known| word.eq_ignore_ascii_case(known))
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerState {
    /// Still arriving, or found so after a crash.
    #[default]
    Partial,
    Complete,
    /// The stream broke, hit a limit of length, or a person stopped it: what came is kept.
    Interrupted,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ToolMessage {
    pub call: CallId,
    pub outcome: Arc<ToolOutcome>,
}

impl Message {
    /// The text that a person would search for or copy; raw.
    #[must_use]
    pub fn plain_text(&self) -> String {
        match &self.body {
            Body::User(parts) => {
                let mut out = String::new();
                for part in parts {
                    let (Part::Text { text } | Part::File { text, .. }) = part else { continue };
                    if !out.is_empty() {
                        out.push('\n');
                    }
                    out.push_str(text);
                }
                out
            }
            Body::Assistant(answer) if answer.text.is_empty() => answer.refusal.clone(),
            Body::Assistant(answer) => answer.text.clone(),
            Body::Tool(message) => message.outcome.content.clone(),
        }
    }
}
