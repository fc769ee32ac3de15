//! What the host tells the engine about its servers, outside of calls.

use crate::chat::{Inquiry, InquiryEnd, InquiryId, LoggingLevel, ServerName, ServerNews, ServerStatus, SignInStage};
use crate::tools::Listing;

/// One event of the host. Text in it is raw: whoever draws it sanitises it.
#[derive(Debug)]
pub enum HostEvent {
    /// A server's state as a whole; each one replaces the one before.
    Status(ServerStatus),
    /// A server's tools: first those of the cache (`from_cache`), then those that it told itself.
    Listing(Listing),
    /// A log message of the server, or a remark of the host about it. At most `limits.messages_per_second` per server.
    /// `said`: in its own words.
    Log { server: ServerName, level: LogLevel, text: String, said: bool },
    /// What a server holds beside tools has changed.
    News { server: ServerName, news: ServerNews },
    /// A server asks the person something. The one before it has ended. Only where a person attends.
    Inquiry(Inquiry),
    /// It is over, by an answer or without.
    InquiryEnded { id: InquiryId, end: InquiryEnd },
    /// How far a sign-in is that a person began.
    SignIn { server: ServerName, stage: SignInStage },
}

/// The severities that matter to a reader; the protocol's eight are folded into them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    Debug,
    Info,
    Warning,
    Error,
}

impl LogLevel {
    pub(super) fn of(level: LoggingLevel) -> Self {
        match level {
            LoggingLevel::Debug => Self::Debug,
            LoggingLevel::Info | LoggingLevel::Notice => Self::Info,
            LoggingLevel::Warning => Self::Warning,
            LoggingLevel::Error | LoggingLevel::Critical | LoggingLevel::Alert | LoggingLevel::Emergency => Self::Error,
        }
    }

    /// The nearest of the protocol's.
    pub(super) fn of_protocol(self) -> LoggingLevel {
        match self {
            Self::Debug => LoggingLevel::Debug,
            Self::Info => LoggingLevel::Info,
            Self::Warning => LoggingLevel::Warning,
            Self::Error => LoggingLevel::Error,
        }
    }

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}
