//! Errors as a person meets them: what happened, where, why, what to do next.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kinds that scripts tell apart; each has one exit code (contract section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    Internal,
    Usage,
    Config,
    /// No model was named and none could be chosen.
    NoModel,
    Auth,
    Network,
    Provider,
    RateLimit,
    /// The conversation does not fit the model's context.
    Context,
    /// The stream broke before its end.
    Truncated,
    /// The endpoint does not speak what it should.
    Protocol,
    /// One of our own limits stopped it.
    Limit,
    Store,
    Cancelled,
}

impl FaultKind {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Usage => "usage",
            Self::Config => "config",
            Self::NoModel => "no_model",
            Self::Auth => "auth",
            Self::Network => "network",
            Self::Provider => "provider",
            Self::RateLimit => "rate_limit",
            Self::Context => "context",
            Self::Truncated => "truncated",
            Self::Protocol => "protocol",
            Self::Limit => "limit",
            Self::Store => "store",
            Self::Cancelled => "cancelled",
        }
    }

    /// The exit code of a command that ended with this fault.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Config | Self::NoModel => 3,
            Self::Auth => 4,
            Self::Network | Self::Provider | Self::RateLimit | Self::Context | Self::Truncated | Self::Protocol => 5,
            Self::Limit => 6,
            Self::Store => 7,
            Self::Cancelled => 130,
        }
    }
}

/// One thing that went wrong. Raw text: `message` may quote a provider, so sanitise before drawing. Holds no secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    pub kind: FaultKind,
    /// One sentence: what happened, where, why.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    pub retry: Retry,
}

/// Whether asking again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    Never,
    /// The same request may work later; milliseconds to wait where the endpoint said so.
    Later(Option<u64>),
    /// A person must change something first (a key, an address, a model).
    AfterChange,
}

impl Fault {
    #[must_use]
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, retry: Retry::Never }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}
