//! One call: its text, and how it closes.

use serde_json::{Map, Value};

use super::{Declared, Piece};
use crate::chat::{ArgumentsPart, CallFragment, ClosedBy};
use crate::turn::arguments::Arguments;
use crate::turn::scanner::Scanner;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallStatus {
    Open,
    Closed,
    Incomplete,
    Invalid,
    Conflict,
}

impl CallStatus {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Incomplete => "incomplete",
            Self::Invalid => "invalid",
            Self::Conflict => "conflict",
        }
    }
}

/// A call as far as it has come.
#[derive(Clone, Debug)]
pub struct AssembledCall {
    /// The first id that came; None where the client must mint one.
    pub wire_id: Option<String>,
    pub name: String,
    pub status: CallStatus,
    /// The parsed arguments and their one serialisation; also of a call that is in conflict, as it had closed.
    pub arguments: Option<Arguments>,
    pub close: Option<ClosedBy>,
    /// The number of the event that closed it.
    pub closed_at: Option<u64>,
    pub conflict_at: Option<u64>,
    /// What came after the close and is in conflict with it.
    pub late: Option<String>,
    /// The same arguments came more than once.
    pub duplicate: bool,
    /// Why it is invalid.
    pub reason: Option<String>,
    /// Unknown fields of the call, verbatim.
    pub extra: Map<String, Value>,
    pub(super) raw: String,
    pub(super) scanner: Scanner,
    /// `{}` has come for a tool that takes parameters: the real arguments may follow.
    pub(super) placeholder: bool,
    /// Closed without a text of its own: its first `{}` is no restatement.
    pub(super) implied: bool,
    pub(super) after: After,
}

/// What has come after the close and is not judged yet.
#[derive(Clone, Debug, Default)]
pub(super) struct After {
    pub text: String,
    pub scanner: Scanner,
}

impl AssembledCall {
    pub(super) fn new(fragment: &CallFragment) -> Self {
        Self {
            wire_id: None,
            name: fragment.name.clone().unwrap_or_default(),
            status: CallStatus::Open,
            arguments: None,
            close: None,
            closed_at: None,
            conflict_at: None,
            late: None,
            duplicate: false,
            reason: None,
            extra: Map::new(),
            raw: String::new(),
            scanner: Scanner::default(),
            placeholder: false,
            implied: false,
            after: After::default(),
        }
    }

    /// The wire's text: trimmed, unwrapped where it was a string, `{}` where it was empty or `null`.
    #[must_use]
    pub fn wire_text(&self) -> &str {
        match self.raw.trim() {
            "" | "null" => "{}",
            text => text,
        }
    }

    /// Bytes of arguments so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.raw.len() as u64
    }

    /// Nothing of its arguments has come.
    pub(super) fn is_empty(&self) -> bool {
        self.status == CallStatus::Open && self.scanner == Scanner::Start
    }

    /// Nothing more belongs to it.
    pub(super) fn is_complete(&self) -> bool {
        self.status != CallStatus::Open
    }

    /// Whether a fragment that repeats its name can only go on with its text: a new call does not begin in mid-object.
    pub(super) fn continues_with(&self, fragment: &CallFragment) -> bool {
        self.status == CallStatus::Open
            && matches!(self.scanner, Scanner::Object { .. })
            && fragment.name.as_ref() == Some(&self.name)
            && first_byte(fragment).is_some_and(|byte| byte != b'{')
    }

    /// Whether `name` is its name, or a way in which it goes on.
    pub(super) fn accepts_name(&self, name: &str, declared: &Declared) -> bool {
        name == self.name || self.renamed(name, declared).is_some()
    }

    /// A name that comes in pieces, or whole each time. Only before the arguments begin.
    fn renamed(&self, name: &str, declared: &Declared) -> Option<String> {
        if !self.is_empty() {
            return None;
        }
        if name.starts_with(&self.name) {
            return Some(name.to_owned());
        }
        let joined = format!("{}{name}", self.name);
        declared.begins(&joined).then_some(joined)
    }

    /// Takes over the identity that a fragment brings.
    pub(super) fn identify(
        &mut self,
        place: usize,
        fragment: &CallFragment,
        declared: &Declared,
        out: &mut Vec<Piece>,
    ) {
        if self.wire_id.is_none() {
            self.wire_id.clone_from(&fragment.id);
        }
        if let Some(name) = &fragment.name
            && *name != self.name
            && let Some(renamed) = self.renamed(name, declared)
        {
            self.name = renamed;
            out.push(Piece::Named { call: place });
        }
        for (key, value) in &fragment.extra {
            self.extra.insert(key.clone(), value.clone());
        }
    }
}

/// The first byte of a fragment's arguments that is not blank.
pub(super) fn first_byte(fragment: &CallFragment) -> Option<u8> {
    let (ArgumentsPart::Text(text) | ArgumentsPart::Value(text)) = fragment.arguments.as_ref()?;
    text.trim_start().bytes().next()
}
