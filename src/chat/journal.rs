//! What the engine writes down: a closed list of changes, applied by the store in order.
//!
//! A list given to the store in one go is one transaction.

use std::sync::Arc;

use super::{
    Answer, Aside, CallId, ClosedBy, Compaction, ConversationId, Fault, Grant, Message, MessageId, OutcomeKind, Pin,
    RoundTimes, ToolOutcome, ToolRef, Toolset, UnixMs, Usage,
};

/// How hard a transaction must reach the disk before it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Fully synced: survives a power cut.
    Synced,
    /// Committed without a sync: survives a crash of the process.
    Written,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Creates the conversation where it is new.
    Conversation {
        id: ConversationId,
        folder: String,
        model: String,
        base_url: String,
        system: Option<String>,
        at: UnixMs,
    },
    /// The conversation goes on, with this model from now on.
    ConversationModel {
        id: ConversationId,
        model: String,
        base_url: String,
    },
    /// Adds a message, makes it the head of its conversation. An assistant message may come again under its id, whole.
    Message {
        conversation: ConversationId,
        message: Arc<Message>,
    },
    /// The text of an answer that is still being written, whole so far.
    AnswerText {
        message: MessageId,
        answer: Box<Answer>,
    },
    TurnStarted {
        conversation: ConversationId,
        turn: MessageId,
        at: UnixMs,
    },
    /// The round's request may leave: calls of it may run. `answer` is the id under which its answer will stand.
    RoundArmed {
        turn: MessageId,
        round: u32,
        answer: MessageId,
        /// What it answers.
        parent: Option<MessageId>,
        /// How many tools its request offers, and their hash; empty where none are.
        tools: u32,
        tools_hash: String,
    },
    RoundTimes {
        turn: MessageId,
        times: RoundTimes,
        usage: Usage,
        finish: Option<String>,
    },
    /// The intent: a call of this tool is being written and may be sent.
    CallOpened {
        turn: MessageId,
        round: u32,
        call: CallId,
        index: u32,
        wire_name: String,
        tool: Option<ToolRef>,
        at_us: u64,
    },
    CallClosed {
        turn: MessageId,
        call: CallId,
        arguments: Arc<str>,
        closed_by: ClosedBy,
        at_us: u64,
    },
    CallAsked {
        turn: MessageId,
        call: CallId,
        at_us: u64,
    },
    CallApproved {
        turn: MessageId,
        call: CallId,
        at_us: u64,
    },
    CallSent {
        turn: MessageId,
        call: CallId,
        at_us: u64,
    },
    CallEnded {
        turn: MessageId,
        call: CallId,
        outcome: Arc<ToolOutcome>,
        at_us: u64,
    },
    TurnEnded {
        turn: MessageId,
        status: &'static str,
        /// Why it did not end well, where something went wrong.
        fault: Option<Box<Fault>>,
        at_us: u64,
    },
    /// A person's title; an empty one lets the first message speak again.
    Title {
        conversation: ConversationId,
        title: String,
    },
    /// The system prompt that it is held with from now on.
    System {
        conversation: ConversationId,
        system: Option<String>,
    },
    /// A title for a conversation to which nobody gave one; nothing changes where somebody did, or it is gone.
    Titled {
        conversation: ConversationId,
        title: String,
    },
    /// What was asked for a conversation beside its turns; nothing changes where it is gone.
    Aside {
        conversation: ConversationId,
        aside: Aside,
    },
    /// What of the tools it is offered.
    Toolset {
        conversation: ConversationId,
        toolset: Toolset,
    },
    /// The name of the role that it is held in; empty: none.
    Role {
        conversation: ConversationId,
        role: String,
    },
    /// A summary stands for a beginning of it, in place of one for the same.
    Compacted {
        conversation: ConversationId,
        compaction: Box<Compaction>,
    },
    /// Other words in a summary's place.
    SummaryText {
        conversation: ConversationId,
        upto: MessageId,
        text: String,
    },
    /// A summary stands for nothing any more.
    Uncompacted {
        conversation: ConversationId,
        upto: MessageId,
    },
    Pinned {
        conversation: ConversationId,
        pinned: bool,
    },
    Pin(Pin),
    Grant(Grant),
    Revoke {
        entry: Arc<str>,
        tool: ToolRef,
    },
    /// What was learnt of an endpoint and model (late data, refused parameters): a small JSON object under a key.
    Learnt {
        base_url: String,
        model: String,
        key: String,
        value: String,
    },
}

/// What a person, or their use, has marked of models: keys of [`Change::Learnt`].
#[derive(Clone, Copy, Debug)]
pub struct Marked;

impl Marked {
    /// When a model was last asked: milliseconds since 1970.
    pub const USED: &str = "used";
    /// `true` or `false`.
    pub const FAVOURITE: &str = "favourite";
    /// The model last chosen for a base URL, under the model "".
    pub const CHOSEN: &str = "model";
}

/// A call found in the store that may be equal to a new one: it ran, or may have.
#[derive(Clone, Debug, PartialEq)]
pub struct PastCall {
    pub tool: ToolRef,
    pub arguments: Arc<str>,
    pub outcome: Option<Arc<ToolOutcome>>,
    pub kind: OutcomeKind,
}
