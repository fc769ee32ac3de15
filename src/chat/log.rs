//! What a server says by `notifications/message`, and what millrace remarks about it.
//!
//! Source: MCP 2025-11-25 and 2026-07-28, server/utilities/logging; the levels are those of RFC 5424.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::UnixMs;

/// From the least to the most severe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoggingLevel {
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

impl LoggingLevel {
    pub const ALL: [Self; 8] = [
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
        Self::Alert,
        Self::Emergency,
    ];

    /// None: that is no level's name.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.word() == word)
    }

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Alert => "alert",
            Self::Emergency => "emergency",
        }
    }
}

/// Whose words they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogSpeaker {
    /// The server's, with the name that it gives its logger.
    Server(Option<Arc<str>>),
    /// A remark of millrace's own.
    Millrace,
}

/// One message. Raw texts, of bounded length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When it came.
    pub at: UnixMs,
    pub level: LoggingLevel,
    pub by: LogSpeaker,
    /// What it holds: a text as it is, any other JSON value as JSON.
    pub text: Arc<str>,
}

/// What is kept of a server's messages, and what it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerLog {
    /// Oldest first.
    pub lines: Arc<[LogLine]>,
    /// How many older ones were let go ([limits] log).
    pub dropped: u64,
    /// It says that it can be asked for a level.
    pub asks: bool,
    /// The level that it was asked for; None: it was asked for none.
    pub level: Option<LoggingLevel>,
}
