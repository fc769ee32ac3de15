//! The transcript: what was said, in the order of the screen, and where the reader stands in it.

use std::sync::Arc;

use crate::chat::{
    Answer, AnswerState, CallId, ConversationId, Fault, MessageId, Part, Stamp, TurnId, TurnStatus, UnixMs, Usage,
};

#[derive(Clone, Debug, Default)]
pub struct Transcript {
    pub conversation: Option<ConversationId>,
    /// Raw; empty until there is one.
    pub title: String,
    pub open_elsewhere: bool,
    pub entries: Vec<Entry>,
    pub scroll: Scroll,
    /// The key of the entry that letters act on.
    pub selected: Option<u64>,
    pub find: Option<Find>,
    /// Messages typed while an answer streams: sent in order when it has ended.
    pub queued: Vec<Queued>,
    pub turn: Option<Turn>,
    /// The last turn that ended, for the header and the timeline.
    pub last: Option<Turn>,
    pub(super) next_key: u64,
}

/// One thing with a height. `key` is never reused; `revision` grows with every change of what is drawn, so that a
/// view can keep what it laid out.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key: u64,
    pub revision: u64,
    pub at: UnixMs,
    /// Known once the message is part of the conversation.
    pub message: Option<MessageId>,
    pub body: EntryBody,
}

#[derive(Clone, Debug)]
pub enum EntryBody {
    User(Vec<Part>),
    Answer(AnswerEntry),
    /// Something went wrong, with the choices that remain.
    Fault(FaultEntry),
    /// One line of the program's own.
    Note(String),
}

#[derive(Clone, Debug, Default)]
pub struct AnswerEntry {
    pub turn: Option<TurnId>,
    pub round: u32,
    pub model: String,
    /// In the order in which they came.
    pub pieces: Vec<Piece>,
    pub state: AnswerState,
    /// Text may still come.
    pub streaming: bool,
    pub finish: Option<String>,
    /// A person opened the thinking by hand, or closed it; None: open while it comes, folded after.
    pub thinking: Option<bool>,
    /// The answer as it settled, where it has.
    pub settled: Option<Arc<Answer>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// `ms` once it ended, where it was watched.
    Thinking {
        text: String,
        ms: Option<u64>,
    },
    Text(String),
    Refusal(String),
    Call(CallId),
}

#[derive(Clone, Debug)]
pub struct FaultEntry {
    pub fault: Fault,
    pub choices: FaultChoices,
    /// Tokens (or their estimate) that had come, and calls that ran, before a cut.
    pub tokens: u64,
    pub calls_kept: u32,
    /// A choice was made, or another turn began: the letters no longer act.
    pub settled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultChoices {
    /// `k` another key, `m` another endpoint, `r` retry.
    Key,
    /// `c` continue, `r` ask again.
    Cut,
    /// `r` ask again.
    Retry,
    None,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scroll {
    #[default]
    Follow,
    /// Never moved by anything but the reader.
    Anchored(Anchor),
}

/// The first visible line: `line` of the entry `key`, from 0. After a key it may lie outside the entry (negative:
/// above it); the view resolves that and hands the normal form back in the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    pub key: u64,
    pub line: isize,
}

#[derive(Clone, Debug, Default)]
pub struct Find {
    pub line: super::line::LineEdit,
    /// The caret is in the field.
    pub editing: bool,
    /// Keys of the entries that match, in order; `at` is the current one.
    pub matches: Vec<u64>,
    pub at: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Queued {
    pub text: String,
    pub parts: Vec<Part>,
}

/// A turn as it is watched.
#[derive(Clone, Debug)]
pub struct Turn {
    pub id: TurnId,
    pub started: Stamp,
    pub ended: Option<Stamp>,
    pub status: Option<TurnStatus>,
    pub phase: Phase,
    pub round: u32,
    pub attempt: u32,
    /// Tools offered in the last request.
    pub tools: u32,
    pub usage: Usage,
    /// Characters of text, reasoning and arguments of the present stream, and when its first came.
    pub stream_chars: u64,
    pub stream_began: Option<Stamp>,
    pub stream_last: Option<Stamp>,
    /// A person has asked to stop it.
    pub stopping: bool,
    /// Its messages were sent as a regeneration or continuation.
    pub restated: bool,
    pub times: crate::chat::TurnTimes,
}

/// What the turn is doing, for the header.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    /// The request is out; nothing has come.
    Waiting,
    /// And it has been long: milliseconds.
    Slow(u64),
    Thinking,
    Writing,
    /// The stream is over, calls still run or wait.
    Tools,
    /// A failed request is sent again at this moment.
    Retrying {
        attempt: u32,
        at_us: u64,
        why: String,
    },
}
