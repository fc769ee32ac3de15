//! Conversations as they are listed, found and opened.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Aside, Compaction, ConversationId, Message, MessageId, Toolset, UnixMs};

/// One row of a list of conversations; made from metadata alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    pub id: ConversationId,
    /// The given title, else the first line of the first message; raw.
    pub title: String,
    pub folder: String,
    pub model: String,
    pub created: UnixMs,
    pub updated: UnixMs,
    pub messages: u32,
    pub calls: u32,
    pub failed_calls: u32,
    /// Input plus output tokens of the last round, where the endpoint told.
    pub tokens: Option<u64>,
    pub pinned: bool,
    /// The last answer is partial: a crash or a stop.
    pub interrupted: bool,
}

/// A found conversation and where the words stand.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    pub summary: Summary,
    pub message: MessageId,
    /// A piece of the text around the match; raw.
    pub snippet: String,
    /// Byte ranges in `snippet` that matched.
    pub marks: Vec<(usize, usize)>,
    /// How many messages of the conversation match.
    pub matches: u32,
}

/// The messages that answer the same one: more than one of them, or none of them on the shown path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    /// None: they begin the conversation.
    pub parent: Option<MessageId>,
    /// Oldest first; outcomes of calls are no answers.
    pub messages: Vec<MessageId>,
}

/// A conversation opened: the path from its first message to its head.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversation {
    pub summary: Summary,
    pub base_url: String,
    pub system: Option<String>,
    /// In order; branches that do not lead to the head are left out.
    pub messages: Vec<Arc<Message>>,
    /// Where it branches, on the shown path or off it.
    pub forks: Vec<Fork>,
    /// Another process has it open: shown, and written to only after a take-over.
    pub open_elsewhere: bool,
    /// Settings kept with it, unknown to this version.
    pub extra: Value,
}

/// A conversation with the branches that do not lead to its head.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    pub shown: Conversation,
    /// Each behind the one that it hangs on, which may be of `shown`.
    pub aside: Vec<Arc<Message>>,
}

impl From<Conversation> for Tree {
    fn from(shown: Conversation) -> Self {
        Self { shown, aside: Vec::new() }
    }
}

/// Where a conversation came from that another program kept; stands in its `extra`, under [`Origin::KEY`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The program's word: `chatgpt`, `claude`.
    pub source: String,
    /// The conversation's id there.
    pub id: String,
    /// When it was last written to there.
    #[serde(default)]
    pub updated: UnixMs,
}

impl Origin {
    pub const KEY: &'static str = "imported";
}

impl Conversation {
    /// The name of its role; None: it has none.
    #[must_use]
    pub fn role(&self) -> Option<&str> {
        self.extra.get("role").and_then(Value::as_str).filter(|name| !name.is_empty())
    }

    /// What of the tools it is offered; nothing chosen where that cannot be read.
    #[must_use]
    pub fn toolset(&self) -> Toolset {
        self.extra.get("toolset").and_then(|kept| Toolset::deserialize(kept).ok()).unwrap_or_default()
    }

    /// The summaries that stand for beginnings of it; none where they cannot be read.
    #[must_use]
    pub fn compactions(&self) -> Vec<Compaction> {
        self.extra.get("compactions").and_then(|kept| Vec::deserialize(kept).ok()).unwrap_or_default()
    }

    /// The system prompt that it is held with. One that came with a file is not: nobody here has vouched for it.
    #[must_use]
    pub fn held_system(&self) -> Option<&str> {
        let held = self.extra.get("held_system").and_then(Value::as_bool).unwrap_or_default();
        self.system.as_deref().filter(|system| held && !system.is_empty())
    }

    /// What it has used beside its turns; nothing where that cannot be read.
    #[must_use]
    pub fn asides(&self) -> Vec<Aside> {
        self.extra.get("asides").and_then(|kept| Vec::deserialize(kept).ok()).unwrap_or_default()
    }
}
