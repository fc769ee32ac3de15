//! What can happen to the front end: a closed list of plain data.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::effect::EditorUse;
use super::following::FollowStep;
use super::key::{Key, Mouse};
use super::layout::{Layout, Size};
use super::model::Switched;
use super::overlay::{ImportSource, LocalServer, ModelRow, ModelSource, PathMark};
use super::running::Ran;
use crate::chat::{
    CallId, Conversation, ConversationId, Fault, Hit, MessageId, OnDisk, Part, Prices, Root, RoundUsage, ServerName,
    StoredTurn, Summary, TurnEvent, UnixMs,
};

#[derive(Clone, Debug)]
pub enum Event {
    Key(Key),
    /// A bracketed paste, or a piped standard input at the start: never keys, never submits.
    Paste(String),
    Mouse(Mouse),
    Resize(Size),
    FocusGained,
    FocusLost,
    Timer(Timer),
    Engine(TurnEvent),
    /// The last frame differs in shape from the one before.
    Layout(Layout),
    /// The answer to an effect.
    Reply(Reply),
    /// A signal asks the program to end; what runs is stopped first.
    Terminate,
}

/// Timers, each with the generation that makes a late firing recognisable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timer {
    /// Runs only while something on the screen counts time.
    Tick,
    /// The search field has rested.
    Search(u64),
    /// The second ctrl+c or esc comes too late.
    Twice(u64),
    /// A notice has been shown long enough.
    Notice(u64),
    /// The field of a form has rested: what completes it is looked for.
    Complete(u64),
    /// The draft has rested and is to be kept.
    Draft(u64),
}

/// Answers of effects. Those that can be overtaken carry the generation of their question.
#[derive(Clone, Debug)]
pub enum Reply {
    Page(HistoryPage),
    Preview {
        generation: u64,
        result: Result<Arc<Conversation>, Fault>,
    },
    Opened {
        generation: u64,
        result: Result<Box<Conversation>, Fault>,
    },
    /// What became of the conversation that is followed.
    Followed {
        generation: u64,
        step: Box<FollowStep>,
    },
    /// The branch that a message stands on is the one that is kept as shown.
    Walked {
        generation: u64,
        message: MessageId,
        conversation: Box<Conversation>,
    },
    /// The newest conversation of this folder.
    Newest(Option<Summary>),
    /// Earlier prompts, newest first.
    Prompts {
        generation: u64,
        prompts: Vec<String>,
    },
    Renamed {
        conversation: ConversationId,
        title: String,
        result: Result<(), Fault>,
    },
    Pinned {
        conversations: Vec<ConversationId>,
        pinned: bool,
        result: Result<(), Fault>,
    },
    Deleted {
        conversations: Vec<ConversationId>,
        for_good: bool,
        /// What the person should know beside that it is gone; raw.
        result: Result<Vec<String>, Fault>,
    },
    Restored {
        conversations: Vec<ConversationId>,
        result: Result<(), Fault>,
    },
    /// A file was written: where.
    Saved {
        what: &'static str,
        result: Result<String, Fault>,
    },
    Copied(Copied),
    EditorClosed {
        what: EditorUse,
        result: Result<String, Fault>,
    },
    /// The lists as they stand now; sent again as each endpoint answers.
    Models {
        generation: u64,
        sources: Vec<ModelSource>,
        rows: Vec<ModelRow>,
    },
    Known {
        generation: u64,
        /// Newest first.
        titles: Vec<TitleRow>,
        sources: Vec<ModelSource>,
        models: Vec<ModelRow>,
    },
    ModelFacts(Box<ModelRow>),
    Switched(Box<Switched>),
    /// The rounds that are kept of a conversation, with what their tokens cost where that is known.
    Usage {
        generation: u64,
        rounds: Vec<(RoundUsage, Option<Prices>)>,
    },
    /// What stands where a call would write.
    FileStands {
        call: CallId,
        path: String,
        standing: OnDisk,
    },
    /// Where the paths of a call lead.
    PathsLead {
        call: CallId,
        marks: Vec<PathMark>,
    },
    /// The turn that a timeline asked for; None where there is none.
    Turn {
        generation: u64,
        turn: Option<Box<StoredTurn>>,
    },
    EverApproved(bool),
    /// Something of ours, in one line.
    Said(String),
    /// One of the usual local ports has answered, or not.
    Local {
        port: u16,
        found: Option<LocalServer>,
    },
    Imports(Vec<ImportSource>),
    /// A server was added, or why not.
    ServerAdded(Result<ServerName, Fault>),
    RootFound {
        server: ServerName,
        result: Result<Root, Fault>,
    },
    /// A connection was chosen and its choice written down; `warning` where it could not be written.
    Connected {
        base_url: String,
        key_from: Option<String>,
        model: Option<String>,
        context_window: Option<u64>,
        warning: Option<String>,
    },
    ConnectFailed(Fault),
    Files {
        generation: u64,
        paths: Vec<String>,
    },
    Attached {
        path: String,
        result: Result<Part, Fault>,
    },
    /// What the configuration file says, by key, as TOML; and the themes of the person's own.
    Settings {
        generation: u64,
        written: BTreeMap<String, String>,
        themes: Vec<String>,
    },
    Set {
        key: String,
        value: Option<String>,
        result: Result<(), Fault>,
    },
    /// A command has ended, or could not be started.
    Ran {
        generation: u64,
        result: Result<Ran, Fault>,
    },
    /// What the clipboard holds.
    Picture {
        generation: u64,
        result: Result<Part, Fault>,
    },
    /// What is kept from the last time: an unsent draft.
    Draft {
        conversation: Option<ConversationId>,
        text: String,
    },
    /// Back from a suspension.
    /// The browser was started, or why not.
    PageOpened(Result<(), String>),
    Resumed,
    Failed(Fault),
}

/// One page of the browser's list.
#[derive(Clone, Debug)]
pub struct HistoryPage {
    pub generation: u64,
    pub offset: usize,
    /// Rows of a search have a match, rows of a list have none.
    pub rows: Vec<HistoryRow>,
    /// How many there are in all.
    pub total: usize,
    /// How long the store took, microseconds.
    pub took_us: u64,
    pub fault: Option<Fault>,
}

/// A saved conversation by its title; raw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TitleRow {
    pub conversation: ConversationId,
    pub title: String,
    pub updated: UnixMs,
}

#[derive(Clone, Debug, PartialEq)]
pub struct HistoryRow {
    pub summary: Summary,
    pub hit: Option<Hit>,
    /// Characters of what was typed in it and not sent; 0: nothing.
    pub draft: usize,
}

impl HistoryRow {
    /// The message where the preview opens.
    #[must_use]
    pub fn message(&self) -> Option<&MessageId> {
        self.hit.as_ref().map(|hit| &hit.message)
    }
}

/// What became of a copy: said truthfully, since a terminal never acknowledges.
#[derive(Clone, Debug, PartialEq)]
pub struct Copied {
    /// What was copied: `the message`.
    pub what: &'static str,
    pub how: CopiedHow,
}

#[derive(Clone, Debug, PartialEq)]
pub enum CopiedHow {
    /// The system's clipboard has it.
    Clipboard,
    /// Sent to tmux and on to its terminal.
    Tmux,
    /// Sent to the terminal, which does not say whether it took it.
    Terminal,
    /// Too long for a terminal (bytes of it, and the most that fits): written to a file instead.
    TooLong { bytes: usize, most: usize, file: Result<String, Fault> },
    /// No clipboard took it, for a reason: written to a file instead.
    Failed { why: String, file: Result<String, Fault> },
}
