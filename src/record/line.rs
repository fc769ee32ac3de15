//! The form of a recording: JSON Lines, a header and then one line for each thing that passed, in order.
//!
//! Every line has `n` (its place; a gap is a line that was lost), `t` (milliseconds since the recording began) and
//! `kind`. Version 1. A reader skips kinds that it does not know.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::chat::{
    Api, CallId, ConversationId, Difference, Direction, Fault, Grant, Limits, MessageId, Order, OutcomeKind, PastCall,
    Pin, ResponseOver, ServerName, ServerState, ServerStatus, ToolOutcome, ToolRef, TurnId, UnixMs,
};
use crate::engine::port::Lesson;
use crate::tools::{Listing, RegistryRules};

use super::rules::RulesLine;

pub(super) const FORMAT: &str = "millrace.recording";
pub(super) const VERSION: u32 = 1;

/// The first line: what the session was begun with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    pub format: String,
    pub version: u32,
    /// The version of the program.
    #[serde(default)]
    pub millrace: String,
    /// The wall's clock when it began.
    #[serde(default)]
    pub began: UnixMs,
    /// None where an endpoint was chosen only later.
    #[serde(default)]
    pub base_url: Option<String>,
    #[serde(default)]
    pub api: Api,
    #[serde(default)]
    pub model: Option<String>,
    /// Where the key came from, in words; never the key.
    #[serde(default)]
    pub key_from: Option<String>,
    /// The profile's word on whether the model sees images.
    #[serde(default)]
    pub vision: Option<bool>,
    #[serde(default)]
    pub starting: Vec<ServerName>,
    #[serde(default)]
    pub wait_for_servers: bool,
    #[serde(default)]
    pub limits: LimitsLine,
    #[serde(default)]
    pub rules: RulesLine,
}

impl Header {
    /// What holds for the session: when it began, its limits and rules, the servers that are about to start, and
    /// whether turns wait for them.
    #[must_use]
    pub fn new(
        began: UnixMs,
        limits: &Limits,
        rules: &RegistryRules,
        starting: Vec<ServerName>,
        wait_for_servers: bool,
    ) -> Self {
        Self {
            format: FORMAT.into(),
            version: VERSION,
            millrace: env!("CARGO_PKG_VERSION").into(),
            began,
            base_url: None,
            api: Api::default(),
            model: None,
            key_from: None,
            vision: None,
            starting,
            wait_for_servers,
            limits: LimitsLine::of(limits),
            rules: rules.into(),
        }
    }

    /// Where the model is, where one was chosen. `key_from` names where the key came from, never the key.
    #[must_use]
    pub fn model(
        mut self,
        base_url: Option<String>,
        api: Api,
        model: &str,
        vision: Option<bool>,
        key_from: Option<String>,
    ) -> Self {
        self.model = Some(model.to_owned()).filter(|model| !model.is_empty());
        (self.base_url, self.api, self.vision, self.key_from) = (base_url, api, vision, key_from);
        self
    }
}

/// The limits that decide what becomes of an answer; sizes in bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitsLine {
    rounds: u32,
    calls_per_round: u32,
    calls_per_server: u32,
    calls_in_all: u32,
    line: u64,
    event: u64,
    body: u64,
    arguments: u64,
    nesting: u32,
    result: u64,
    result_kept: u64,
    tools: u32,
    schema: u64,
    attempts: u32,
}

impl Default for LimitsLine {
    fn default() -> Self {
        Self::of(&Limits::default())
    }
}

impl LimitsLine {
    pub(super) fn of(limits: &Limits) -> Self {
        let Limits { rounds, calls_per_round, calls_per_server, calls_in_all, line, event, body, .. } = *limits;
        let Limits { arguments, nesting, result, result_kept, tools, schema, attempts, .. } = *limits;
        Self {
            rounds,
            calls_per_round,
            calls_per_server,
            calls_in_all,
            line,
            event,
            body,
            arguments,
            nesting,
            result,
            result_kept,
            tools,
            schema,
            attempts,
        }
    }

    /// As recorded, but nothing larger than is allowed here or by default: a recording may be anybody's.
    pub(super) fn within(&self, own: &Limits) -> Limits {
        let default = Limits::default();
        Limits {
            rounds: self.rounds.min(own.rounds.max(default.rounds)),
            calls_per_round: self.calls_per_round.min(own.calls_per_round.max(default.calls_per_round)),
            calls_per_server: self.calls_per_server.min(own.calls_per_server.max(default.calls_per_server)),
            calls_in_all: self.calls_in_all.min(own.calls_in_all.max(default.calls_in_all)),
            line: self.line.min(own.line.max(default.line)),
            event: self.event.min(own.event.max(default.event)),
            body: self.body.min(own.body.max(default.body)),
            arguments: self.arguments.min(own.arguments.max(default.arguments)),
            nesting: self.nesting.min(own.nesting.max(default.nesting)),
            result: self.result.min(own.result.max(default.result)),
            result_kept: self.result_kept.min(own.result_kept.max(default.result_kept)),
            tools: self.tools.min(own.tools.max(default.tools)),
            schema: self.schema.min(own.schema.max(default.schema)),
            attempts: self.attempts.min(own.attempts.max(default.attempts)),
            ..own.clone()
        }
    }
}

/// One line behind the header.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    #[serde(default)]
    pub n: u64,
    /// Milliseconds.
    #[serde(default)]
    pub t: f64,
    #[serde(flatten)]
    pub line: Line,
}

impl Entry {
    pub(super) fn t_us(&self) -> u64 {
        // Saturates: NaN and what is negative become 0.
        (self.t * 1000.0).round() as u64
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Line {
    /// What was known of the endpoint and its models.
    Lessons {
        lessons: Vec<LessonLine>,
    },
    /// Pins and grants of the session's servers.
    Known {
        pins: Vec<Pin>,
        grants: Vec<Grant>,
    },
    /// A conversation that was continued, as `millrace history export` prints it.
    Opened {
        conversation: ConversationId,
        value: Value,
        used_ids: Vec<CallId>,
        past: Vec<PastLine>,
    },
    /// The whole of a result in it that the model read on in.
    WholeResult {
        conversation: ConversationId,
        call: CallId,
        text: String,
    },
    Status(StatusLine),
    Listing {
        server: ServerName,
        entry: Arc<str>,
        tools: Vec<Value>,
        instructions: Option<String>,
        #[serde(default)]
        from_cache: bool,
    },
    ServerNotice {
        server: ServerName,
        message: String,
    },
    Order {
        order: Order,
    },
    Turn {
        turn: TurnId,
        conversation: ConversationId,
        key: MessageId,
    },
    Review {
        turn: TurnId,
        call: CallId,
        hash: String,
    },
    Request {
        response: u64,
        base_url: String,
        api: Api,
        body: Text,
    },
    Head {
        response: u64,
        status: u16,
        headers: Vec<(String, String)>,
    },
    Chunk {
        response: u64,
        #[serde(flatten)]
        bytes: Bytes,
    },
    ResponseOver {
        response: u64,
        #[serde(flatten)]
        how: Over,
    },
    Frame {
        server: ServerName,
        connection: u64,
        direction: Way,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call: Option<CallId>,
        #[serde(flatten)]
        frame: Frame,
    },
    /// What a server answered over HTTP in place of a message. Of no use to a replay, but to whoever reads it.
    Body {
        server: ServerName,
        connection: u64,
        status: u16,
        text: String,
        /// There was more.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        cut: bool,
    },
    Call {
        call: CallId,
        server: ServerName,
        tool: String,
        arguments: Map<String, Value>,
    },
    CallState {
        call: CallId,
        #[serde(flatten)]
        state: State,
    },
    /// So many lines could not be kept up with, and are not here.
    Missing {
        lines: u64,
    },
    /// The session ended in order: nothing follows.
    Closed {},
    /// Of a newer version.
    #[serde(other)]
    Unknown,
}

/// JSON where that says the same, else the text as it was.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Text {
    Raw { text: String },
    Json(Value),
}

impl Text {
    pub(super) fn of(bytes: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(bytes) {
            Ok(value @ Value::Object(_)) if value.to_string().as_bytes() == bytes && value.get("text").is_none() => {
                Self::Json(value)
            }
            Ok(_) | Err(_) => Self::Raw { text: String::from_utf8_lossy(bytes).into_owned() },
        }
    }

    /// The value; None where it is none.
    pub(super) fn value(&self) -> Option<Value> {
        match self {
            Self::Json(value) => Some(value.clone()),
            Self::Raw { text } => serde_json::from_str(text).ok(),
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bytes {
    Text(String),
    /// Not UTF-8, or cut within a character.
    Base64(String),
}

impl Bytes {
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(error) => Self::Base64(STANDARD.encode(error.as_bytes())),
        }
    }

    pub(super) fn bytes(&self) -> Result<Vec<u8>, base64::DecodeError> {
        match self {
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Base64(text) => STANDARD.decode(text),
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frame {
    Message(Value),
    /// What is no JSON, or would read otherwise when written again.
    Text(String),
}

impl Frame {
    pub(super) fn of(bytes: &[u8]) -> Self {
        match Text::of(bytes) {
            Text::Json(value) => Self::Message(value),
            Text::Raw { text } => Self::Text(text),
        }
    }

    pub(super) fn value(&self) -> Option<Value> {
        match self {
            Self::Message(value) => Some(value.clone()),
            Self::Text(text) => serde_json::from_str(text).ok(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    Out,
    In,
}

impl From<Direction> for Way {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Out => Self::Out,
            Direction::In => Self::In,
        }
    }
}

/// How a response ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum Over {
    Whole,
    Broken {
        message: String,
    },
    Failed {
        fault: Fault,
        again: bool,
    },
    /// It could not be read, and was not read on.
    Left,
    /// Nobody wanted it any more.
    Dropped,
}

impl From<ResponseOver> for Over {
    fn from(over: ResponseOver) -> Self {
        match over {
            ResponseOver::Whole => Self::Whole,
            ResponseOver::Broken(message) => Self::Broken { message },
            ResponseOver::Failed { fault, again } => Self::Failed { fault, again },
            ResponseOver::Left => Self::Left,
            ResponseOver::Dropped => Self::Dropped,
        }
    }
}

/// What became of a call. The result itself stands in the frame that answered it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    Held,
    Sent,
    Progress {
        progress: f64,
        total: Option<f64>,
        message: Option<String>,
    },
    /// By a frame.
    Answered,
    /// By no frame that was heard: the result as it came.
    Result {
        value: Value,
    },
    Refused {
        message: String,
    },
    TimedOut {
        sent: bool,
        message: String,
    },
    Cancelled {
        sent: bool,
        acknowledged: bool,
    },
    Gone {
        sent: bool,
        message: String,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LessonLine {
    pub base_url: String,
    pub model: String,
    pub key: String,
    pub value: String,
}

impl From<Lesson> for LessonLine {
    fn from(Lesson { base_url, model, key, value }: Lesson) -> Self {
        Self { base_url, model, key, value }
    }
}

impl From<LessonLine> for Lesson {
    fn from(LessonLine { base_url, model, key, value }: LessonLine) -> Self {
        Self { base_url, model, key, value }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PastLine {
    tool: ToolRef,
    arguments: Arc<str>,
    outcome: Option<ToolOutcome>,
    ended: OutcomeKind,
}

impl From<&PastCall> for PastLine {
    fn from(past: &PastCall) -> Self {
        let PastCall { tool, arguments, outcome, kind } = past.clone();
        Self { tool, arguments, outcome: outcome.map(Arc::unwrap_or_clone), ended: kind }
    }
}

impl From<PastLine> for PastCall {
    fn from(PastLine { tool, arguments, outcome, ended }: PastLine) -> Self {
        Self { tool, arguments, outcome: outcome.map(Arc::new), kind: ended }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatusLine {
    server: ServerName,
    state: ServerState,
    #[serde(default)]
    tools: u32,
    protocol: Option<String>,
    message: Option<String>,
    transport: String,
    line: String,
    #[serde(default)]
    stderr: Vec<String>,
}

impl From<ServerStatus> for StatusLine {
    fn from(status: ServerStatus) -> Self {
        // Counts of what is withheld, and differences, are the registry's to find again.
        let ServerStatus { server, state, tools, protocol, message, transport, line, stderr, .. } = status;
        Self { server, state, tools, protocol, message, transport: transport.to_owned(), line, stderr }
    }
}

impl From<StatusLine> for ServerStatus {
    fn from(status: StatusLine) -> Self {
        let StatusLine { server, state, tools, protocol, message, transport, line, stderr } = status;
        let transport = match transport.as_str() {
            "stdio" => "stdio",
            "http" => "http",
            "sse" => "sse",
            "simple-rpc" => "simple-rpc",
            _ => "recorded",
        };
        let differences: Arc<[Difference]> = Arc::default();
        Self {
            server,
            state,
            tools,
            withheld: 0,
            protocol,
            message,
            transport,
            line,
            pid: None,
            stderr,
            differences,
            sign_in: None,
            listed: Arc::default(),
            life: Default::default(),
        }
    }
}

impl From<Listing> for Line {
    fn from(Listing { server, entry, tools, instructions, from_cache }: Listing) -> Self {
        Self::Listing { server, entry, tools, instructions, from_cache }
    }
}
