//! Who may do what: policies, claims, pins, grants, decisions.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{ConversationId, ToolRef};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    Allow,
    #[default]
    Ask,
    Deny,
}

/// Who answers where policy says `ask` (`--approve`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approve {
    #[default]
    Ask,
    /// Calls that a trusted server hints as read-only, with `openWorldHint` false; the rest is denied.
    ReadOnly,
    All,
    None,
}

/// When an allowed call leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dispatch {
    /// As soon as its JSON closes.
    #[default]
    Close,
    /// When the stream of its round has finished.
    Finish,
}

/// A server's annotations of a tool: claims, believed only of servers that the user trusts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub read_only: Option<bool>,
    pub destructive: Option<bool>,
    pub idempotent: Option<bool>,
    pub open_world: Option<bool>,
}

impl Claims {
    /// Read-only and closed-world by the server's own words. Counts only where the server is trusted.
    #[must_use]
    pub fn harmless(self) -> bool {
        self.read_only == Some(true) && self.open_world == Some(false)
    }
}

/// A tool's definition as it was when it was first listed, for one server entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pin {
    /// Name and hash of the server's configuration: another command is another entry.
    pub entry: Arc<str>,
    pub tool: ToolRef,
    /// SHA-256 of the canonical definition, hex. The tool name `""` pins the server's instructions.
    pub sha256: Arc<str>,
    /// The canonical definition itself, so that a difference can be shown.
    pub definition: Arc<str>,
}

/// A standing permission for one tool as it was pinned.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    pub entry: Arc<str>,
    pub tool: ToolRef,
    pub sha256: Arc<str>,
    pub scope: GrantScope,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantScope {
    /// This process, this conversation.
    Session(ConversationId),
    Always,
}

/// A person's answer to a review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Once,
    Session,
    Always,
    Deny {
        reason: Option<String>,
    },
    /// Send these arguments instead; they are validated again, and the model is told.
    Edit {
        arguments: String,
    },
    /// Use the outcome of the equal call that already ran.
    UseEarlier,
}
