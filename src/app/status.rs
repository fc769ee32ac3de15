//! What the header and the footer tell: the connection, the context, whether the last words are saved, notices.

use std::collections::VecDeque;

use crate::chat::{NoticeKind, ServerName, ServerStatus, TurnSettings, UnixMs, Usage};

/// How turns of this session are run, and over which connection.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// None: not connected yet.
    pub connection: Option<Endpoint>,
    /// The model may be empty: it is chosen at the first send.
    pub settings: TurnSettings,
    /// The working folder, raw.
    pub folder: String,
    /// Tokens that fit the model's context, where it is known.
    pub context_window: Option<u64>,
    /// Where the configuration and the store are, for people; raw.
    pub config_path: String,
    pub data_path: String,
    pub version: &'static str,
    /// Said once in the empty chat: where messages go.
    pub greeting: Option<String>,
    pub(super) next_turn: u64,
    pub(super) next_generation: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    pub base_url: String,
    /// Host and port.
    pub host: String,
    /// `$OPENAI_API_KEY`, `the configuration`; None: no key.
    pub key_from: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Status {
    pub saved: Saved,
    /// Newest last; the footer shows the newest.
    pub notices: VecDeque<Notice>,
    /// A line that asks for a second key: `^C again quits`. Goes before every notice.
    pub hint: Option<String>,
    /// Tokens in the context after the last round, where the endpoint told, else estimated.
    pub context: Option<Context>,
    pub usage: Usage,
    /// The terminal is in front.
    pub unfocused: bool,
    pub mouse: bool,
    pub(super) next_notice: u64,
    pub(super) ticking: bool,
    pub(super) twice: Option<Twice>,
    pub(super) twice_generation: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Saved {
    #[default]
    Nothing,
    At(UnixMs),
    /// Why not; raw.
    Not(String),
    /// `--no-save`.
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    pub tokens: u64,
    pub estimated: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    pub id: u64,
    pub kind: NoticeKind,
    /// Raw.
    pub text: String,
    /// Stays in the footer until its timer fires.
    pub showing: bool,
}

/// What a second press would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Twice {
    Quit,
    QuitWithCalls,
    Stop,
}

/// The servers as the list shows them.
#[derive(Clone, Debug, Default)]
pub struct Servers {
    pub rows: Vec<ServerRow>,
}

#[derive(Clone, Debug)]
pub struct ServerRow {
    pub status: ServerStatus,
    /// Since when it is in this state, microseconds of the process.
    pub since_us: u64,
    pub calls: u32,
    pub running: u32,
    pub errors: u32,
    /// Milliseconds of its finished calls, newest last, at most 100.
    pub times_ms: VecDeque<f64>,
    /// The consent question was put off in this session.
    pub declined: bool,
}

impl Servers {
    #[must_use]
    pub fn get(&self, name: &ServerName) -> Option<&ServerRow> {
        self.rows.iter().find(|row| row.status.server == *name)
    }
}
