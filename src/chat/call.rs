//! Tool calls, their states and their outcomes.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{CallId, Claims, Content, Reader, ServerName, ToolRef};

/// A call as history keeps it. `arguments` is always one valid JSON object: what was shown, hashed and sent; for a
/// call whose arguments never became valid it is `{}` and the outcome says so.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    pub id: CallId,
    /// The id as the provider gave it; None where it gave none and `id` was minted.
    pub wire_id: Option<String>,
    /// From 0 by first appearance in its round.
    pub index: u32,
    pub wire_name: String,
    /// None where the model named a tool that does not exist.
    pub tool: Option<ToolRef>,
    pub arguments: Arc<str>,
    /// Unknown per-call fields, verbatim (`extra_content` and the like), echoed only to the same provider.
    pub extra: Map<String, Value>,
}

/// How a call ended. Terminal, exactly one per call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    Done,
    Failed,
    Denied,
    TimedOut,
    Cancelled,
    /// Sent, and no answer will come: it may have run.
    Unknown,
    /// Unknown tool, or arguments that do not parse or validate. Never sent.
    Invalid,
    /// Its JSON never closed. Never sent.
    Incomplete,
    /// Its arguments changed after they had closed, before it was sent. Never sent.
    Conflict,
}

impl OutcomeKind {
    /// The NDJSON state word, also used on disk.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Denied => "denied",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
            Self::Invalid => "invalid",
            Self::Incomplete => "incomplete",
            Self::Conflict => "conflict",
        }
    }

    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "done" => Self::Done,
            "failed" => Self::Failed,
            "denied" => Self::Denied,
            "timed_out" => Self::TimedOut,
            "cancelled" => Self::Cancelled,
            "unknown" => Self::Unknown,
            "invalid" => Self::Invalid,
            "incomplete" => Self::Incomplete,
            "conflict" => Self::Conflict,
            _ => return None,
        })
    }
}

/// What became of a call: a value that the model is told of, never an error of the program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolOutcome {
    pub kind: OutcomeKind,
    /// What the model is told: sanitised of hidden characters, cut to the limit.
    pub content: String,
    /// The server's structured content, whole.
    pub structured: Option<Value>,
    /// The whole of the result as it came, where `content` does not hold all of it; raw.
    pub full: Option<String>,
    /// `full` is the server's answer itself, as JSON: it held more than text. Else it is text.
    #[serde(default)]
    pub full_is_result: bool,
    /// Bytes of the whole result as it came.
    pub bytes: u64,
    pub truncated: bool,
    /// Whether the request left for the server.
    pub sent: bool,
    /// From handing the request over to its end; 0 where it was never sent. Milliseconds.
    pub ms: f64,
    /// Things about the result that a person should know (did not match its output schema, characters removed).
    pub notes: Vec<String>,
}

/// A note of a cancelled call: its server confirmed that it stopped.
pub const STOPPED: &str = "The server confirmed that it stopped.";

impl ToolOutcome {
    /// Whether it left and nobody knows what came of it: it may have run, wholly or in part.
    #[must_use]
    pub fn may_have_run(&self) -> bool {
        match self.kind {
            OutcomeKind::Unknown => true,
            OutcomeKind::TimedOut | OutcomeKind::Cancelled => self.sent && !self.notes.iter().any(|n| n == STOPPED),
            OutcomeKind::Done
            | OutcomeKind::Failed
            | OutcomeKind::Denied
            | OutcomeKind::Invalid
            | OutcomeKind::Incomplete
            | OutcomeKind::Conflict => false,
        }
    }

    /// An outcome of a call that never left.
    #[must_use]
    pub fn unsent(kind: OutcomeKind, content: impl Into<String>) -> Self {
        let content = content.into();
        Self {
            kind,
            bytes: content.len() as u64,
            content,
            structured: None,
            full: None,
            full_is_result: false,
            truncated: false,
            sent: false,
            ms: 0.0,
            notes: Vec::new(),
        }
    }

    /// The server's answer itself, where it was kept.
    #[must_use]
    pub fn result(&self) -> Option<Value> {
        let full = self.full.as_deref().filter(|_| self.full_is_result)?;
        serde_json::from_str(full).ok()
    }

    /// All of it as a person reads it; raw. Binary content is named, not shown.
    #[must_use]
    pub fn readable(&self) -> Cow<'_, str> {
        if !self.full_is_result {
            return Cow::Borrowed(self.full.as_deref().unwrap_or(&self.content));
        }
        let Some(result) = self.result() else { return Cow::Borrowed(&self.content) };
        let content = Content::of(&result, Reader::Person);
        let untold = self.structured.as_ref().filter(|structured| !content.says(structured));
        let mut text = content.text;
        if let Some(structured) = untold {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&structured.to_string());
        }
        Cow::Owned(text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClosedBy {
    Brace,
    Next,
    Finish,
    Done,
}

impl ClosedBy {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Brace => "brace",
            Self::Next => "next",
            Self::Finish => "finish",
            Self::Done => "done",
        }
    }

    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Brace, Self::Next, Self::Finish, Self::Done].into_iter().find(|closed| closed.word() == word)
    }
}

/// A change of one call's state, as it is emitted.
#[derive(Clone, Debug, PartialEq)]
pub struct CallUpdate {
    pub call: CallId,
    pub round: u32,
    pub index: u32,
    /// None until known.
    pub wire_name: Option<Arc<str>>,
    pub tool: Option<ToolRef>,
    pub state: CallState,
}

#[derive(Clone, Debug, PartialEq)]
pub enum CallState {
    /// Arguments are arriving. `delta` is the raw text since the last update of this call; `bytes` all so far.
    Arguments {
        bytes: u64,
        delta: String,
    },
    /// `arguments` is the exact text that will be sent. `closed_at` is the number of the event that closed it.
    Closed {
        arguments: Arc<str>,
        closed_by: ClosedBy,
        closed_at: u64,
    },
    Waiting(WaitFor),
    /// Handed to the server's transport.
    Running,
    /// A person asked to stop it; the server has been told, its answer is awaited for a moment.
    Cancelling,
    Progress {
        progress: f64,
        total: Option<f64>,
        message: Option<String>,
    },
    Ended(Arc<ToolOutcome>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum WaitFor {
    /// The review that a person must decide.
    Approval(Arc<Review>),
    /// A free slot; its place in the queue from 1.
    Slot(u32),
    /// The server is still starting, or its listing is being checked after a reconnect.
    Server,
}

/// All that a person needs to decide on a call. Raw text: sanitise before drawing.
#[derive(Clone, Debug, PartialEq)]
pub struct Review {
    pub call: CallId,
    pub tool: ToolRef,
    /// How the server is reached: `stdio: npx -y @mcp/fs /home/ada/src` or its URL.
    pub server_line: String,
    pub trusted: bool,
    pub claims: Claims,
    pub description: String,
    /// The exact bytes that will be sent.
    pub arguments: Arc<str>,
    /// SHA-256 of `arguments`, hex: a decision names it.
    pub hash: Arc<str>,
    /// The model's last words before the call, not verified.
    pub because: Option<String>,
    pub why: AskReason,
    /// Whose untrusted content came in before, where `why` is `AfterUntrusted`.
    pub tainted_by: Vec<ServerName>,
    /// The outcome of an equal call that already ran, where `why` is `Repeat`.
    pub earlier: Option<Arc<ToolOutcome>>,
}

/// Why a person is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskReason {
    Policy,
    /// Content from an untrusted or open-world tool came in before.
    AfterUntrusted,
    /// An equal call ran, or may have run, in a discarded or sibling attempt.
    Repeat,
    /// The store cannot be written, and the tool is not known to be read-only.
    Unsaved,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_left_and_was_not_answered_may_have_run_unless_its_server_confirmed_that_it_stopped() {
        let of = |kind, sent, notes: &[&str]| {
            let notes = notes.iter().map(|note| (*note).to_owned()).collect();
            ToolOutcome { sent, notes, ..ToolOutcome::unsent(kind, "") }.may_have_run()
        };
        assert!(of(OutcomeKind::Unknown, true, &[]));
        assert!(of(OutcomeKind::TimedOut, true, &[]) && !of(OutcomeKind::TimedOut, false, &[]));
        assert!(of(OutcomeKind::Cancelled, true, &[]) && !of(OutcomeKind::Cancelled, false, &[]));
        assert!(!of(OutcomeKind::Cancelled, true, &[STOPPED]));
        assert!(!of(OutcomeKind::Done, true, &[]) && !of(OutcomeKind::Denied, false, &[]));
    }
}
