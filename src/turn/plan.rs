//! All that a turn knows before it begins.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::chat::{
    CallId, Change, Compaction, ConversationId, Limits, Message, MessageId, PastCall, ServerName, ToolList, TurnId,
    TurnSettings,
};
use crate::tools::Snapshot;

/// Fixed for the length of a turn.
#[derive(Debug)]
pub struct Plan {
    pub turn: TurnId,
    /// The turn's name in the store; ids of its messages are made from it.
    pub key: MessageId,
    pub conversation: ConversationId,
    pub settings: TurnSettings,
    pub base_url: String,
    /// Scheme, host and port of the endpoint: unknown fields are echoed only there.
    pub origin: String,
    /// The conversation so far, from its first message on, outcomes in call order; the user's new message last.
    pub history: Vec<Arc<Message>>,
    /// The summary that stands for the beginning of that, and for how many messages.
    pub summary: Option<(Arc<Compaction>, usize)>,
    /// Large results up to this message give way to references.
    pub refer_upto: Option<MessageId>,
    /// The user's new message where there is one: written before the first request leaves.
    pub fresh: Option<Arc<Message>>,
    /// What must be written before the first round besides the message (the conversation itself, where it is new).
    pub opening: Vec<Change>,
    /// How each server is reached, as a review shows it.
    pub server_lines: BTreeMap<ServerName, String>,
    /// The tools as they stand at the start.
    pub tools: Arc<Snapshot>,
    /// The tools as this endpoint and model are offered them; None: none.
    pub offered: Option<Arc<ToolList>>,
    /// How many tools can be found, where `find_tools` is offered and what it found.
    pub searched: Option<u32>,
    /// Call ids that stand in the conversation, on any branch.
    pub used_ids: HashSet<CallId>,
    /// Calls of discarded or sibling attempts that ran, or may have: an equal one asks.
    pub repeats: Vec<PastCall>,
    /// Servers whose untrusted content stands in the history.
    pub tainted: Vec<ServerName>,
    /// This endpoint and model have sent data after a close before: calls leave at the finish.
    pub late_data: bool,
    pub saving: bool,
    pub limits: Arc<Limits>,
}
