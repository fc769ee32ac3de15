//! What the header and the footer tell: the connection, the context, whether the last words are saved, notices.

use std::collections::VecDeque;

use super::effect::Effect;
use super::event::Timer;
use super::roles::Casting;
use super::state::State;
use crate::chat::{
    ContextParts, Fault, LeftOut, NoticeKind, Prices, ServerName, ServerStatus, Stamp, TurnId, TurnSettings, UnixMs,
};

/// How turns of this session are run, and over which connection.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// Notifications may quote what was said.
    pub notify_details: bool,
    /// None: not connected yet.
    pub connection: Option<Endpoint>,
    /// The model may be empty: it is chosen at the first send.
    pub settings: TurnSettings,
    /// The roles, and what holds without one.
    pub casting: Casting,
    /// The working folder, for people (`~/src/web`); raw.
    pub folder: String,
    /// The person's own folder, as `~` stands for it; empty where it is not known.
    pub home: String,
    /// Tokens that fit the model's context, where it is known.
    pub context_window: Option<u64>,
    /// It was asked for, of this endpoint.
    pub window_asked: bool,
    /// Attempts of one request; 0 where it is not told.
    pub attempts: u32,
    /// Of the model in use, as its profile says, else its endpoint's list.
    pub prices: Option<Prices>,
    /// Where the configuration and the store are, for people; raw.
    pub config_path: String,
    pub data_path: String,
    pub version: &'static str,
    /// What was found out about the terminal, in words: `colours`, `256`; raw.
    pub terminal: Vec<(String, String)>,
    /// Seconds east of UTC, for times of day.
    pub utc_offset_s: i32,
    /// Said once in the empty chat: where messages go.
    pub greeting: Option<String>,
    /// A recording is played: turns begin by themselves, and are taken onto the screen.
    pub replay: bool,
    /// Clocks tell whole seconds.
    pub still: bool,
    /// Where servers are written, for people: `config.toml line 38`; raw.
    pub server_places: std::collections::BTreeMap<ServerName, String>,
    /// Counted by `update`.
    pub next_turn: u64,
    pub next_generation: u64,
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
    /// Tokens of the last answer, which stand in the context beside what was sent.
    pub answered: u64,
    /// What was sent last, in bytes.
    pub sent: ContextParts,
    /// What the last request left out.
    pub left_out: LeftOut,
    /// The terminal is in front.
    pub unfocused: bool,
    pub mouse: bool,
    pub(super) next_notice: u64,
    /// The notices that the present layers answered keys with.
    pub(super) in_layer: Vec<u64>,
    /// The notice that explains why the last key did nothing.
    pub(super) refused: Option<u64>,
    pub(super) ticking: bool,
    /// The tick that is set is one of a second.
    pub(super) slow_tick: bool,
    pub(super) twice: Option<(Twice, u64)>,
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
    /// ctrl+d while calls run.
    QuitAnyway,
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
    /// When its status was told last.
    pub told_us: u64,
    pub calls: u32,
    pub running: u32,
    pub errors: u32,
    /// Milliseconds of its finished calls, newest last, at most 100.
    pub times_ms: VecDeque<f64>,
    /// The consent question was put off in this session.
    pub declined: bool,
}

impl Status {
    /// The person went on to a layer of its own: what was said up to this notice is not said over it too.
    pub(super) fn turned_away(&mut self, said: Option<u64>) {
        for notice in self.notices.iter_mut().filter(|notice| Some(notice.id) <= said) {
            notice.showing = false;
        }
    }

    /// What a layer answered to a key since notice `before` stays with it.
    pub(super) fn answered_in_layer(&mut self, before: Option<u64>) {
        let new = self.notices.iter().filter(|notice| Some(notice.id) > before && notice.kind == NoticeKind::Info);
        self.in_layer.extend(new.map(|notice| notice.id));
    }

    /// The person came back from a layer: its answers are not said over the chat.
    pub(super) fn came_back(&mut self) {
        let theirs = std::mem::take(&mut self.in_layer);
        for notice in self.notices.iter_mut().filter(|notice| theirs.contains(&notice.id)) {
            notice.showing = false;
        }
    }
}

impl Servers {
    #[must_use]
    pub fn get(&self, name: &ServerName) -> Option<&ServerRow> {
        self.rows.iter().find(|row| row.status.server == *name)
    }
}

impl ServerRow {
    #[must_use]
    pub fn new(status: ServerStatus, at: Stamp) -> Self {
        Self {
            status,
            since_us: at.mono_us,
            told_us: at.mono_us,
            calls: 0,
            running: 0,
            errors: 0,
            times_ms: VecDeque::new(),
            declined: false,
        }
    }
}

impl Session {
    /// A folder as people know it: `~` is home.
    #[must_use]
    pub fn shown(&self, folder: &str) -> String {
        match folder.strip_prefix(&self.home) {
            Some(rest) if !self.home.is_empty() && rest.starts_with(['/', '\\']) && rest.len() > 1 => {
                format!("~{rest}")
            }
            Some(_) | None => folder.to_owned(),
        }
    }

    /// The next turn's name.
    pub(super) fn turn(&mut self) -> TurnId {
        self.next_turn += 1;
        TurnId(self.next_turn)
    }

    /// A number that was not used before: it makes late answers recognisable.
    pub(super) fn fresh(&mut self) -> u64 {
        self.next_generation += 1;
        self.next_generation
    }
}

impl State {
    /// How long a notice stays in the footer, milliseconds.
    const NOTICE_MS: u64 = 8_000;

    pub(super) fn notice(&mut self, kind: NoticeKind, text: String, out: &mut Vec<Effect>) {
        self.status.next_notice += 1;
        let id = self.status.next_notice;
        self.status.notices.push_back(Notice { id, kind, text, showing: true });
        if self.status.notices.len() > 200 {
            self.status.notices.pop_front();
        }
        out.push(Effect::SetTimer { timer: Timer::Notice(id), after_ms: Self::NOTICE_MS });
    }

    /// Says something of our own in the footer.
    /// Keys in it by their names: `{app.tools}`.
    pub(super) fn say(&mut self, text: impl Into<String>, out: &mut Vec<Effect>) {
        let text = self.keymap.tell(&text.into()).into_owned();
        self.notice(NoticeKind::Info, text, out);
    }

    pub(super) fn fault_notice(&mut self, fault: &Fault, out: &mut Vec<Effect>) {
        let text = match &fault.hint {
            Some(hint) => format!("{}  {hint}", fault.message),
            None => fault.message.clone(),
        };
        self.notice(NoticeKind::Info, text, out);
    }

    pub(super) fn notice_over(&mut self, id: u64) {
        if let Some(notice) = self.status.notices.iter_mut().find(|notice| notice.id == id) {
            notice.showing = false;
        }
    }

    /// Wants the same key again within `ms`. True where this was that second time.
    pub(super) fn twice(&mut self, what: Twice, hint: String, ms: u64, out: &mut Vec<Effect>) -> bool {
        if self.status.twice.is_some_and(|(armed, _)| armed == what) {
            self.disarm(out);
            return true;
        }
        self.disarm(out);
        let generation = self.session.fresh();
        self.status.twice = Some((what, generation));
        self.status.hint = Some(self.keymap.tell(&hint).into_owned());
        out.push(Effect::SetTimer { timer: Timer::Twice(generation), after_ms: ms });
        false
    }

    pub(super) fn disarm(&mut self, out: &mut Vec<Effect>) {
        if let Some((_, generation)) = self.status.twice.take() {
            out.push(Effect::CancelTimer(Timer::Twice(generation)));
        }
        self.status.hint = None;
    }

    pub(super) fn twice_over(&mut self, generation: u64) {
        if self.status.twice.is_some_and(|(_, armed)| armed == generation) {
            self.status.twice = None;
            self.status.hint = None;
        }
    }

    /// The notice that the footer shows: the newest that still stands.
    #[must_use]
    pub fn shown_notice(&self) -> Option<&Notice> {
        self.status.notices.iter().rev().find(|notice| notice.showing)
    }
}
