//! What the engine tells its readers: the screen, the NDJSON writer, tests.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Aside, CallUpdate, Claims, CompactionStep, ContextParts, ConversationId, Fault, Inquiry, InquiryEnd, InquiryId,
    Message, Policy, SampleStep, ServerLog, ServerName, ServerNews, ServerReply, ServerRoots, SignInStage, SignedIn,
    ToolRef, ToolRow, TurnId, Usage,
};

/// One event of the engine, in the order in which it acted. Text deltas may be merged for a slow reader and call
/// states overwritten by later ones; nothing else is dropped.
#[derive(Clone, Debug, PartialEq)]
pub enum TurnEvent {
    Started {
        turn: TurnId,
        conversation: ConversationId,
        model: String,
        base_url: String,
        api: &'static str,
    },
    /// A message became part of the conversation (the user's at the start, answers and outcomes as they settle). For
    /// an answer it replaces what was streamed for its round.
    Message {
        turn: TurnId,
        message: Arc<Message>,
    },
    Request {
        turn: TurnId,
        round: u32,
        attempt: u32,
        tools: u32,
        tools_hash: String,
        /// What it is made of, in bytes.
        parts: ContextParts,
        /// How many tools can be found, where the model is offered `find_tools` and what it found.
        of: Option<u32>,
    },
    /// What becomes of a summary that stands for older messages.
    Compaction {
        conversation: ConversationId,
        step: CompactionStep,
    },
    /// A conversation to which nobody gave a title has got one.
    Titled {
        conversation: ConversationId,
        title: String,
    },
    /// Something was asked of a model for a conversation beside its turns.
    Aside {
        conversation: ConversationId,
        aside: Aside,
    },
    /// Nothing has come from the endpoint yet.
    Slow {
        turn: TurnId,
        round: u32,
        waited_ms: u64,
    },
    /// The request failed before anything was shown; it is sent again after the delay.
    Retrying {
        turn: TurnId,
        round: u32,
        attempt: u32,
        delay_ms: u64,
        fault: Fault,
    },
    Text {
        turn: TurnId,
        round: u32,
        text: String,
    },
    Reasoning {
        turn: TurnId,
        round: u32,
        text: String,
    },
    Refusal {
        turn: TurnId,
        round: u32,
        text: String,
    },
    Call {
        turn: TurnId,
        update: CallUpdate,
    },
    Usage {
        turn: TurnId,
        round: u32,
        usage: Usage,
    },
    /// The stream of the round has ended.
    Finish {
        turn: TurnId,
        round: u32,
        reason: Option<String>,
        effective: Effective,
    },
    /// `kind` is a stable word for programs; `message` is for people.
    Notice {
        turn: Option<TurnId>,
        kind: NoticeKind,
        message: String,
    },
    Error {
        turn: Option<TurnId>,
        fault: Fault,
    },
    Ended {
        turn: TurnId,
        status: TurnStatus,
        text: String,
        rounds: u32,
        calls: u32,
        conversation: ConversationId,
    },
    Server(ServerStatus),
    /// A server asks the person something, for a call of this turn where that is known. Any before it has ended.
    Inquiry {
        turn: Option<TurnId>,
        inquiry: Arc<Inquiry>,
    },
    /// What a server answered to `Order::Query`.
    Replied {
        generation: u64,
        server: ServerName,
        result: Result<ServerReply, Fault>,
    },
    /// A server announces that what it holds has changed.
    News {
        server: ServerName,
        news: ServerNews,
    },
    /// How far the model is with its answer to a server that asks for one.
    Sampled {
        id: InquiryId,
        step: SampleStep,
    },
    /// It is over, by an answer or without.
    InquiryEnded {
        id: InquiryId,
        end: InquiryEnd,
    },
    /// How far a sign-in is that a person began.
    SignIn {
        server: ServerName,
        stage: SignInStage,
    },
    /// How the tools of all servers stand, by server and tool; each takes the place of the one before.
    Tools(Arc<[ToolRow]>),
    /// Whether what was said is on disk; sent when it changes, and after every synced commit with its moment.
    Saved {
        conversation: ConversationId,
        at_ms: i64,
    },
    Unsaved {
        reason: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effective {
    Stop,
    ToolCalls,
    Length,
    ContentFilter,
    Error,
    Other,
}

impl Effective {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::ToolCalls => "tool_calls",
            Self::Length => "length",
            Self::ContentFilter => "content_filter",
            Self::Error => "error",
            Self::Other => "other",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnStatus {
    Ok,
    Failed,
    Cancelled,
    Limit,
}

impl TurnStatus {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Limit => "limit",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoticeKind {
    /// A tool, schema or definition was set aside.
    Quarantine,
    /// A definition changed and is withheld.
    Changed,
    /// Calls of this endpoint and model now leave at the finish.
    LateData,
    /// The endpoint refuses a part of requests; it is left out or put otherwise from now on.
    Adapted,
    /// Arguments changed after a call was sent.
    Conflict,
    Limit,
    /// Older messages were summarised, or could not be.
    Compacted,
    Unsaved,
    Denied,
    Config,
    Server,
    Stream,
    Result,
    Secret,
    /// Of a recording: what of it was not kept.
    Recording,
    /// Of a replay: where it differs from what was recorded.
    Replay,
    Info,
}

impl NoticeKind {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Quarantine => "quarantine",
            Self::Changed => "changed",
            Self::LateData => "late_data",
            Self::Adapted => "adapted",
            Self::Conflict => "conflict",
            Self::Limit => "limit",
            Self::Compacted => "compacted",
            Self::Unsaved => "unsaved",
            Self::Denied => "denied",
            Self::Config => "config",
            Self::Server => "server",
            Self::Stream => "stream",
            Self::Result => "result",
            Self::Secret => "secret",
            Self::Recording => "recording",
            Self::Replay => "replay",
            Self::Info => "info",
        }
    }
}

impl TurnEvent {
    /// The turn that it is about; None: the session's.
    #[must_use]
    pub fn turn(&self) -> Option<TurnId> {
        match self {
            Self::Started { turn, .. }
            | Self::Message { turn, .. }
            | Self::Request { turn, .. }
            | Self::Slow { turn, .. }
            | Self::Retrying { turn, .. }
            | Self::Text { turn, .. }
            | Self::Reasoning { turn, .. }
            | Self::Refusal { turn, .. }
            | Self::Call { turn, .. }
            | Self::Usage { turn, .. }
            | Self::Finish { turn, .. }
            | Self::Ended { turn, .. } => Some(*turn),
            Self::Notice { turn, .. } | Self::Error { turn, .. } | Self::Inquiry { turn, .. } => *turn,
            Self::Compaction { step, .. } => step.turn(),
            Self::Server(_)
            | Self::SignIn { .. }
            | Self::Tools(_)
            | Self::InquiryEnded { .. }
            | Self::Sampled { .. }
            | Self::Titled { .. }
            | Self::Aside { .. }
            | Self::Replied { .. }
            | Self::News { .. }
            | Self::Saved { .. }
            | Self::Unsaved { .. } => None,
        }
    }
}

/// A server as lists show it.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerStatus {
    pub server: ServerName,
    pub state: ServerState,
    /// How many of its tools are offered.
    pub tools: u32,
    /// How many are set aside or withheld.
    pub withheld: u32,
    /// The negotiated protocol version.
    pub protocol: Option<String>,
    /// Why it is in this state, in one line; raw.
    pub message: Option<String>,
    /// `stdio`, `http`, `sse` or `simple-rpc`: once it is known, what it came to be.
    pub transport: &'static str,
    /// The exact command or address; raw.
    pub line: String,
    pub pid: Option<u32>,
    /// The last lines of its standard error; raw.
    pub stderr: Vec<String>,
    /// Definitions that are withheld until a person has seen how they differ from what was pinned.
    pub differences: Arc<[Difference]>,
    /// Who signed in to it, where somebody did.
    pub sign_in: Option<SignedIn>,
    /// Its tools, as lists show them: those that are offered, and those that are set aside.
    pub listed: Arc<[ToolLine]>,
    /// Boxed: an event must stay small.
    pub life: Box<ServerLife>,
}

impl ServerStatus {
    /// A server of which nothing is known yet but that it starts.
    #[must_use]
    pub fn starting(server: ServerName, transport: &'static str, line: impl Into<String>) -> Self {
        Self {
            server,
            state: ServerState::Starting,
            tools: 0,
            withheld: 0,
            protocol: None,
            message: None,
            transport,
            line: line.into(),
            pid: None,
            stderr: Vec::new(),
            differences: Default::default(),
            sign_in: None,
            listed: Default::default(),
            life: Default::default(),
        }
    }

    /// How it is reached, for a review: `stdio: npx -y @mcp/fs /home/ada/src`, or its address; raw.
    #[must_use]
    pub fn reached(&self) -> String {
        if self.transport == "stdio" { format!("stdio: {}", self.line) } else { self.line.clone() }
    }

    /// What it speaks, for people; raw. None: that is not known yet.
    #[must_use]
    pub fn speaks(&self) -> Option<String> {
        let protocol = self.protocol.as_deref()?;
        Some(match self.transport {
            "sse" => format!("MCP {protocol} over HTTP+SSE (deprecated)"),
            "simple-rpc" => "simple-rpc (not MCP)".to_owned(),
            _ => format!("MCP {protocol}"),
        })
    }
}

/// How a server has fared, for who looks after it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerLife {
    /// How often it ended or failed since it last was up for a minute, or a person started it.
    pub failures: u32,
    /// It is started again so many milliseconds after this was told.
    pub retry_in_ms: Option<u64>,
    /// How its process ended last.
    pub exit: Option<ServerExit>,
    /// Bytes of its standard error that are kept, and that were let go.
    pub stderr_kept: u64,
    pub stderr_dropped: u64,
    /// What the processes of its group hold, bytes, where the system tells.
    pub memory: Option<u64>,
    /// The user believes its hints.
    pub trusted: bool,
    /// What it says of its own use; None: nothing.
    pub instructions: Option<Instructions>,
    /// What it said by log messages.
    pub log: ServerLog,
    /// The folders that it may be told of.
    pub roots: ServerRoots,
    /// Attached resources whose changes it tells of, and those where it does not although it was asked.
    pub watched: u32,
    pub unwatched: u32,
    /// It may ask for answers of the model, for so many tokens in all; None: it may not.
    pub sampling: Option<u32>,
}

/// What a server says of its own use, and whether the model is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instructions {
    /// Raw.
    pub text: Arc<str>,
    pub standing: InstructionsStanding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionsStanding {
    Told,
    /// As far as a limit allows.
    Cut,
    /// They are not those that were pinned, and nobody has accepted them yet.
    Withheld,
    /// `instructions = false`.
    Off,
}

/// The end of a server's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerExit {
    pub pid: Option<u32>,
    /// None: a signal ended it.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// How long it had lived.
    pub after_ms: u64,
}

impl ServerExit {
    /// `exited with code 1`, `was ended by signal 9`.
    #[must_use]
    pub fn words(&self) -> String {
        match (self.code, self.signal) {
            (Some(code), _) => format!("exited with code {code}"),
            (None, Some(signal)) => format!("was ended by signal {signal}"),
            (None, None) => "ended".to_owned(),
        }
    }
}

/// A tool as a server's list shows it. Raw texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolLine {
    pub name: Arc<str>,
    /// The beginning of it.
    pub description: String,
    pub claims: Claims,
    pub standing: Standing,
}

/// Whether a tool can be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Offered(Policy),
    /// Why it is not.
    Aside(String),
}

/// A definition that waits for a person: canonical JSON, raw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The tool name `""` stands for the server's instructions: a JSON text, or null.
    pub tool: ToolRef,
    /// None where it is new.
    pub before: Option<Arc<str>>,
    pub after: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerState {
    Starting,
    Ready,
    Failed,
    NeedsLogin,
    Off,
    /// It may not start before a person has seen its command.
    NeedsConsent,
}

impl ServerState {
    /// The NDJSON word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::NeedsLogin => "needs_login",
            Self::Off | Self::NeedsConsent => "off",
        }
    }
}
