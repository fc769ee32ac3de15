//! Names of things. Each is its own type, so that one can never be passed for another.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            #[must_use]
            pub fn new(text: impl AsRef<str>) -> Self {
                Self(Arc::from(text.as_ref()))
            }
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), &*self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }
    };
}

text_id! {
    /// A conversation: a UUID v7 in text, minted by the engine.
    ConversationId
}
text_id! {
    /// A message: a UUID v7 in text, minted by the engine, unique in the store.
    MessageId
}
text_id! {
    /// A tool call, unique in its conversation and fixed at first sight: the wire's id where one was given and is
    /// unused there, else minted.
    CallId
}
text_id! {
    /// A server's name as configured: `[a-z0-9][a-z0-9_-]{0,31}`, without `__`, not ending in `_`.
    ServerName
}

/// A turn of this process: from a user's message to the last answer. Never reused while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TurnId(pub u64);

/// A tool of a server, by its original name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ToolRef {
    pub server: ServerName,
    pub tool: Arc<str>,
}

impl ToolRef {
    #[must_use]
    pub fn new(server: impl AsRef<str>, tool: impl AsRef<str>) -> Self {
        Self { server: ServerName::new(server), tool: Arc::from(tool.as_ref()) }
    }

    /// `server/tool`, as rules and rows name it. Raw text: sanitise before drawing.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}", self.server.as_str(), self.tool)
    }
}

/// Milliseconds since 1970 UTC; for showing and sorting by day, never for measuring.
pub type UnixMs = i64;

/// When something happened: monotonic for measuring and ordering, wall clock for showing.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Stamp {
    /// Microseconds since the process began; never decreases.
    pub mono_us: u64,
    pub wall_ms: UnixMs,
}

impl Stamp {
    /// Milliseconds since the process began, with fractions (`t` of the NDJSON contract).
    #[must_use]
    pub fn ms(self) -> f64 {
        self.mono_us as f64 / 1000.0
    }

    /// Microseconds from `earlier` to here, 0 where it is not earlier.
    #[must_use]
    pub fn since_us(self, earlier: Stamp) -> u64 {
        self.mono_us.saturating_sub(earlier.mono_us)
    }
}

/// A value with the moment at which it came to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Stamped<T> {
    pub at: Stamp,
    pub body: T,
}
