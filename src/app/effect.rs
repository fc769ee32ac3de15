//! What `update` asks for: a closed list of plain data, carried out by `tui`.

use std::sync::Arc;

use super::event::Timer;
use super::marking::Marked;
use super::model::Then;
use super::overlay::{Connection, HistoryFilter, ModelRow};
use crate::chat::{CallId, ConversationId, InquiryId, MessageId, Order, ServerName, ToolOutcome};

#[derive(Clone, Debug)]
pub enum Effect {
    Order(Order),

    // Conversations. Answered by the reply of the same name.
    Search {
        generation: u64,
        query: String,
        filter: HistoryFilter,
        offset: usize,
        limit: usize,
    },
    Preview {
        generation: u64,
        conversation: ConversationId,
        message: Option<MessageId>,
    },
    Open {
        generation: u64,
        conversation: ConversationId,
        /// The branch of this message is the one that is shown from now on.
        at: Option<MessageId>,
        /// Those that go on meanwhile, or are kept as they are shown: they stay ours.
        running: Vec<ConversationId>,
    },
    /// Follows a conversation that another process has, until it is let go or ours.
    Follow {
        generation: u64,
        conversation: ConversationId,
    },
    Unfollow {
        generation: u64,
    },
    /// Ends the turn that another process runs.
    StopElsewhere {
        conversation: ConversationId,
    },
    /// Shows the branch that a message stands on, from now on.
    Walk {
        generation: u64,
        conversation: ConversationId,
        message: MessageId,
    },
    Newest,
    Prompts {
        generation: u64,
        query: String,
    },
    /// For recall, in this session and later ones.
    RememberPrompt {
        text: String,
    },
    Rename {
        conversation: ConversationId,
        title: String,
    },
    // Of several conversations: all or none.
    Pin {
        conversations: Vec<ConversationId>,
        pinned: bool,
    },
    Delete {
        conversations: Vec<ConversationId>,
        /// At once and without a trace, not kept for 30 days.
        for_good: bool,
    },
    Restore {
        conversations: Vec<ConversationId>,
    },
    /// Writes each to a new file in the working folder.
    Export {
        conversations: Vec<ConversationId>,
        form: ExportForm,
    },
    /// Keeps an unsent draft; an empty one removes it.
    SaveDraft {
        conversation: Option<ConversationId>,
        text: String,
    },

    // Out of the program.
    Copy {
        what: &'static str,
        text: String,
    },
    /// Copies what is marked in the transcript, as it is shown: without gutters, and without the line ends of its width.
    CopyMarked(Marked),
    /// Shows a page in the person's browser: http or https.
    OpenPage {
        url: String,
    },
    /// Writes what a resource holds to a new file in the working folder.
    SaveBytes {
        uri: String,
        mime: Option<String>,
        bytes: Arc<[u8]>,
    },
    /// Writes a result to new files in the working folder: its text, and each picture or sound as what it is.
    SaveResult {
        /// Their name without its ending.
        name: String,
        outcome: Arc<ToolOutcome>,
    },
    /// What stands where a call would write, for its review: text of at most so many bytes.
    LookAtFile {
        call: CallId,
        path: String,
        most: u64,
    },
    /// Where these arguments and their absolute paths lead, for a review: in one of the roots (`file:` addresses), or,
    /// where there are none, in the working folder.
    LookAtPaths {
        call: CallId,
        paths: Vec<(String, String)>,
        roots: Vec<String>,
    },
    /// Writes a text to a new file in the working folder.
    SaveText {
        /// What it is: `the timeline`.
        what: &'static str,
        /// Its name without its ending.
        name: String,
        extension: &'static str,
        text: String,
    },
    Editor {
        what: EditorUse,
        text: String,
        extension: &'static str,
    },
    /// Runs a command line of the person's own in their shell, in the working folder. Answered by `Reply::Ran`.
    Run {
        generation: u64,
        command: String,
    },
    StopRun {
        generation: u64,
    },
    /// Reads the picture that the clipboard holds. Answered by `Reply::Picture`.
    PastePicture {
        generation: u64,
    },
    Files {
        generation: u64,
        query: String,
    },
    Attach {
        path: String,
    },

    // Connections.
    /// The lists of all endpoints: what is kept at once, then as each answers. `anew`: nothing that is kept counts.
    Models {
        generation: u64,
        anew: bool,
    },
    /// What the palette offers beside commands: titles of saved conversations, models as their lists are kept. Nobody is
    /// asked for it.
    Known {
        generation: u64,
    },
    /// What this endpoint's list says of a model; `ask`: also where no list is kept.
    ModelFacts {
        model: String,
        ask: bool,
    },
    /// Remember the model for this endpoint.
    ChooseModel {
        model: String,
    },
    /// Write the model down as the one to begin with.
    DefaultModel {
        profile: Option<String>,
        base_url: String,
        model: String,
    },
    Favourite {
        base_url: String,
        model: String,
        on: bool,
    },
    /// Talk to another profile's endpoint from now on.
    Switch {
        profile: String,
        row: Box<ModelRow>,
        then: Then,
    },
    /// A turn as it was measured, by its number from 1; None: the newest.
    Turn {
        generation: u64,
        conversation: ConversationId,
        turn: Option<u32>,
    },
    /// Whether this person has ever let a call run.
    EverApproved,
    /// The rounds of a conversation, as they were kept.
    Usage {
        generation: u64,
        conversation: ConversationId,
    },
    /// What the configuration file says of the settings.
    Settings {
        generation: u64,
    },
    /// Writes one key of the configuration, as TOML; None takes it away. Answered by `Reply::Set`.
    SetSetting {
        key: String,
        value: Option<String>,
    },
    ProbeLocal,
    FindImports,
    /// Writes servers of other clients into the configuration; none starts unasked.
    Import {
        /// File, and the entry's own name in it.
        picks: Vec<(String, String)>,
    },
    /// Writes a server into the configuration; it starts once its command was seen. The text is a name, then a command
    /// with its arguments, or an address.
    AddServer {
        text: String,
    },
    /// Looks for a folder that a server may be told of.
    FindRoot {
        server: ServerName,
        text: String,
    },
    Connect(Connection),
    /// The configuration, at a server's entry where one is named, in `$EDITOR`.
    EditConfig {
        server: Option<ServerName>,
    },

    // The terminal and the clock.
    SetTimer {
        timer: Timer,
        after_ms: u64,
    },
    CancelTimer(Timer),
    MouseCapture(bool),
    /// Draws with another theme, or with other glyphs, by their names in the configuration.
    Theme {
        theme: Option<String>,
        glyphs: Option<String>,
    },
    /// Repaint every cell.
    Redraw,
    Suspend,
    /// Call the person, where the terminal is not in front: a short text, raw.
    Notify(String),
    Quit,
}

/// What a conversation is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportForm {
    Markdown,
    Html,
    Json,
    /// A page for others, without what tools were given and said.
    Share,
}

impl ExportForm {
    /// As it is typed behind `/export`.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        match word.trim().to_ascii_lowercase().as_str() {
            "md" | "markdown" => Some(Self::Markdown),
            "html" | "htm" => Some(Self::Html),
            "json" => Some(Self::Json),
            "share" => Some(Self::Share),
            _ => None,
        }
    }

    /// What was written, for people.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Self::Markdown | Self::Html | Self::Json => "the conversation",
            Self::Share => "the share file",
        }
    }
}

/// For what `$EDITOR` was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditorUse {
    Composer,
    /// Arguments under review; a decision still follows.
    Arguments {
        call: CallId,
    },
    /// The model's answer to a server; a decision still follows.
    Sample {
        inquiry: InquiryId,
    },
    /// A summary that stands for older messages.
    Summary {
        conversation: ConversationId,
        upto: MessageId,
    },
    /// Only to look at.
    View,
}
