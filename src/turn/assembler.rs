//! One response put together: fragments into texts and calls, and the moment at which each call closes.
//!
//! # Invariants
//! - Pure, and linear in what comes in: the same events give the same pieces, whatever the chunks on the wire were.
//! - A closed call never changes again: what comes later for it is nothing (blanks), a restatement, or a conflict.
//! - Only the closing brace closes a call before the finish; a cut (`length`, `content_filter`, an error, the end of the
//!   body) closes nothing.
//!
//! # Does not
//! Know the registry, schemas or policy; decide what is sent.

mod call;
mod closing;
mod extra;
mod identity;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::chat::{
    CallFragment, ClosedBy, Delta, Effective, EventDeltas, Limits, WireError, WireErrorKind, is_filtered, is_length,
};
use closing::Step;
use identity::Target;

pub use call::{AssembledCall, CallStatus};

/// The tools that the request offered, as far as closing a call depends on them.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    /// Wire name to whether the tool takes parameters. None: nothing is known.
    tools: Option<HashMap<Arc<str>, bool>>,
}

impl Declared {
    /// `(wire name, whether its schema declares any property)`.
    pub fn new<N: Into<Arc<str>>>(tools: impl IntoIterator<Item = (N, bool)>) -> Self {
        Self { tools: Some(tools.into_iter().map(|(name, takes)| (name.into(), takes)).collect()) }
    }

    /// Every tool counts as taking parameters, and any name may be one.
    #[must_use]
    pub fn unknown() -> Self {
        Self::default()
    }

    /// A tool that is not declared counts as taking parameters: its `{}` waits for the finish.
    fn takes_parameters(&self, name: &str) -> bool {
        self.tools.as_ref().and_then(|tools| tools.get(name)).copied().unwrap_or(true)
    }

    /// Whether a declared tool's name begins so.
    fn begins(&self, prefix: &str) -> bool {
        self.tools.as_ref().is_none_or(|tools| tools.keys().any(|name| name.starts_with(prefix)))
    }
}

/// What one response may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssemblerLimits {
    /// Bytes of one call's arguments.
    pub arguments: u64,
    pub nesting: u32,
    pub calls: u32,
}

impl From<&Limits> for AssemblerLimits {
    fn from(limits: &Limits) -> Self {
        Self { arguments: limits.arguments, nesting: limits.nesting, calls: limits.calls_per_round }
    }
}

/// What an event meant, in the order in which it was said. `call` is a place in [`Assembler::calls`].
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    Text(String),
    Reasoning(String),
    Refusal(String),
    /// A new call; its name is known, or begins so.
    Opened {
        call: usize,
    },
    /// Its name went on or changed; only before its arguments begin.
    Named {
        call: usize,
    },
    /// `delta` is raw text, as it came.
    Arguments {
        call: usize,
        delta: String,
    },
    /// What had come of its arguments was a placeholder: they begin anew.
    Restarted {
        call: usize,
    },
    /// It may be sent: `text` is the one serialisation of its arguments, `at` the number of the event.
    Closed {
        call: usize,
        by: ClosedBy,
        at: u64,
        text: Arc<str>,
    },
    /// Its arguments can never be sent.
    Invalid {
        call: usize,
        reason: String,
    },
    /// The same arguments came once more.
    Duplicate {
        call: usize,
    },
    /// Other arguments came after it had closed.
    Conflict {
        call: usize,
        at: u64,
    },
    /// The response ended, and it had not closed.
    Incomplete {
        call: usize,
    },
    /// More calls than the limit; the rest is dropped. Said once.
    TooManyCalls {
        limit: u32,
    },
    Usage(Value),
    /// The first finish reason. Placeholders and empty arguments have been judged by it.
    Finish {
        reason: String,
        native: Option<String>,
    },
    Done,
    Error(WireError),
}

/// How a response ended.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamEnd {
    /// The body ended by itself.
    Eof,
    /// The connection or a limit broke it.
    Error(WireError),
    /// We stopped reading.
    Cut,
}

/// One response being put together.
#[derive(Debug)]
pub struct Assembler {
    declared: Declared,
    limits: AssemblerLimits,
    content: String,
    reasoning: String,
    refusal: String,
    calls: Vec<AssembledCall>,
    known: identity::Known,
    overflowed: bool,
    extra: Map<String, Value>,
    usage: Option<Value>,
    finish: Option<String>,
    native: Option<String>,
    error: Option<WireError>,
    done: bool,
    ended: bool,
    events: u64,
}

impl Assembler {
    #[must_use]
    pub fn new(declared: Declared, limits: AssemblerLimits) -> Self {
        Self {
            declared,
            limits,
            content: String::new(),
            reasoning: String::new(),
            refusal: String::new(),
            calls: Vec::new(),
            known: identity::Known::default(),
            overflowed: false,
            extra: Map::new(),
            usage: None,
            finish: None,
            native: None,
            error: None,
            done: false,
            ended: false,
            events: 0,
        }
    }

    /// Takes one event's deltas.
    pub fn apply(&mut self, event: EventDeltas) -> Vec<Piece> {
        let mut out = Vec::with_capacity(event.deltas.len());
        self.events = event.number;
        for delta in event.deltas {
            match delta {
                Delta::Text(text) => {
                    self.content.push_str(&text);
                    out.push(Piece::Text(text));
                }
                Delta::Reasoning(text) => {
                    self.reasoning.push_str(&text);
                    out.push(Piece::Reasoning(text));
                }
                Delta::Refusal(text) => {
                    self.refusal.push_str(&text);
                    out.push(Piece::Refusal(text));
                }
                Delta::Call(fragment) => self.fragment(&fragment, event.number, &mut out),
                Delta::Extra(fields) => extra::merge(&mut self.extra, &fields),
                Delta::Usage(usage) => {
                    self.usage = Some(usage.clone());
                    out.push(Piece::Usage(usage));
                }
                Delta::Finish { reason, native } => self.finish(&reason, native.as_deref(), event.number, &mut out),
                Delta::Done => {
                    self.done = true;
                    self.seal(ClosedBy::Done, event.number, &mut out);
                    out.push(Piece::Done);
                }
                Delta::Error(error) => self.fail(&error, &mut out),
            }
        }
        out
    }

    /// Judges what is left when no more events will come. Later calls of it do nothing.
    pub fn end(&mut self, end: StreamEnd) -> Vec<Piece> {
        let mut out = Vec::new();
        if std::mem::replace(&mut self.ended, true) {
            return out;
        }
        match end {
            StreamEnd::Eof if self.truncated() => {
                let message = "stream ended without finish_reason or [DONE]".to_owned();
                self.fail(&WireError { kind: WireErrorKind::Truncated, message, code: None }, &mut out);
            }
            StreamEnd::Error(error) => self.fail(&error, &mut out),
            StreamEnd::Eof | StreamEnd::Cut => {}
        }
        for (at, call) in self.calls.iter_mut().enumerate() {
            call.give_up(&mut Step { call: at, event: self.events, limits: self.limits, out: &mut out });
        }
        out
    }

    /// Neither a finish, nor `[DONE]`, nor closed calls alone to judge by.
    fn truncated(&self) -> bool {
        let judged = !self.calls.is_empty() && self.calls.iter().all(|call| call.status == CallStatus::Closed);
        self.finish.is_none() && !self.done && self.error.is_none() && !judged
    }

    fn fragment(&mut self, fragment: &CallFragment, at: u64, out: &mut Vec<Piece>) {
        let call = match self.known.target(&self.calls, &self.declared, fragment, self.overflowed) {
            Target::Existing(call) => call,
            Target::Nobody => return,
            Target::New if self.calls.len() as u64 >= u64::from(self.limits.calls) => {
                if !std::mem::replace(&mut self.overflowed, true) {
                    out.push(Piece::TooManyCalls { limit: self.limits.calls });
                }
                return;
            }
            Target::New => {
                // The next call's beginning ends one that takes no parameters and was given none.
                for (place, call) in self.calls.iter_mut().enumerate() {
                    if call.is_empty() && !self.declared.takes_parameters(&call.name) {
                        call.seal(ClosedBy::Next, &mut Step { call: place, event: at, limits: self.limits, out });
                    }
                }
                let call = self.calls.len();
                self.calls.push(AssembledCall::new(fragment));
                out.push(Piece::Opened { call });
                call
            }
        };
        let target = &mut self.calls[call];
        target.identify(call, fragment, &self.declared, out);
        self.known.remember(call, target, fragment);
        if let Some(arguments) = &fragment.arguments {
            let takes = self.declared.takes_parameters(&target.name);
            target.take(arguments, fragment.done, takes, &mut Step { call, event: at, limits: self.limits, out });
        }
    }

    fn finish(&mut self, reason: &str, native: Option<&str>, at: u64, out: &mut Vec<Piece>) {
        let first = self.finish.is_none();
        self.finish.get_or_insert_with(|| reason.to_owned());
        if self.native.is_none() {
            self.native = native.map(str::to_owned);
        }
        self.seal(ClosedBy::Finish, at, out);
        if first {
            out.push(Piece::Finish { reason: reason.to_owned(), native: native.map(str::to_owned) });
        }
    }

    /// Judges calls that no brace has closed. A cut is no judgement.
    fn seal(&mut self, by: ClosedBy, at: u64, out: &mut Vec<Piece>) {
        if self.cut() {
            return;
        }
        for (place, call) in self.calls.iter_mut().enumerate() {
            call.seal(by, &mut Step { call: place, event: at, limits: self.limits, out });
        }
    }

    fn fail(&mut self, error: &WireError, out: &mut Vec<Piece>) {
        if error.kind == WireErrorKind::BadChunk {
            // What was lost may have belonged to any call that is still open.
            for (place, call) in self.calls.iter_mut().enumerate() {
                if call.status == CallStatus::Open {
                    call.reject(
                        error.message.clone(),
                        &mut Step { call: place, event: self.events, limits: self.limits, out },
                    );
                }
            }
        }
        if self.error.is_none() {
            self.error = Some(error.clone());
            out.push(Piece::Error(error.clone()));
        }
    }

    /// Whether the response was cut short: calls that no brace has closed cannot be judged, and nothing new should
    /// start (an error, `length`, `content_filter`, and the router's native words for them).
    #[must_use]
    pub fn cut(&self) -> bool {
        self.error.is_some() || self.words().any(|word| is_length(word) || is_stopped(word))
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.finish.as_deref().into_iter().chain(self.native.as_deref())
    }

    #[must_use]
    pub fn content(&self) -> &str {
        &self.content
    }

    #[must_use]
    pub fn reasoning(&self) -> &str {
        &self.reasoning
    }

    #[must_use]
    pub fn refusal(&self) -> &str {
        &self.refusal
    }

    /// In order of first appearance.
    #[must_use]
    pub fn calls(&self) -> &[AssembledCall] {
        &self.calls
    }

    /// Message-level fields for the same provider, verbatim; the streamed pieces of one entry are joined.
    #[must_use]
    pub fn extra(&self) -> &Map<String, Value> {
        &self.extra
    }

    /// The wire's last usage object, unchanged.
    #[must_use]
    pub fn usage(&self) -> Option<&Value> {
        self.usage.as_ref()
    }

    /// The first finish reason, as sent.
    #[must_use]
    pub fn finish_reason(&self) -> Option<&str> {
        self.finish.as_deref()
    }

    #[must_use]
    pub fn native_finish_reason(&self) -> Option<&str> {
        self.native.as_deref()
    }

    /// The first error.
    #[must_use]
    pub fn error(&self) -> Option<&WireError> {
        self.error.as_ref()
    }

    /// Whether `[DONE]` came.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The number of the last event.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The reason to act on, as a word: calls that stand decide, not what the provider says of them.
    #[must_use]
    pub fn effective_word(&self) -> &str {
        if self.error.is_some() {
            "error"
        } else if self.calls.iter().any(|call| call.status == CallStatus::Incomplete)
            || self.native.as_deref().is_some_and(is_length)
        {
            "length"
        } else if !self.calls.is_empty() {
            "tool_calls"
        } else {
            self.finish.as_deref().unwrap_or("stop")
        }
    }

    /// The reason to act on.
    #[must_use]
    pub fn effective(&self) -> Effective {
        match self.effective_word() {
            "stop" => Effective::Stop,
            "tool_calls" => Effective::ToolCalls,
            "error" => Effective::Error,
            word if is_filtered(word) => Effective::ContentFilter,
            word if is_length(word) => Effective::Length,
            _ => Effective::Other,
        }
    }
}

/// The words for "the provider stopped it".
fn is_stopped(word: &str) -> bool {
    is_filtered(word)
        || ["error", "network_error", "insufficient_system_resource", "abort"]
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests;
