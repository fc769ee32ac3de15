//! The list of MCP servers: their states, their tools, their last words, what changed in their definitions.

use std::sync::Arc;

use super::{
    Ask, AskFor, Confirm, Confirmed, Consent, DEAF_US, Flow, Import, OfferedTools, Overlay, SignInBox, motion, scrolled,
};
use crate::app::effect::Effect;
use crate::app::key::{Key, KeyCode};
use crate::app::layout::ListLayout;
use crate::app::state::State;
use crate::app::status::{ServerRow, Servers};
use crate::chat::{Difference, LoggingLevel, Order, ServerAction, ServerName, ServerState};

#[derive(Clone, Debug, Default)]
pub struct ServerList {
    pub selected: Option<ServerName>,
    pub step: ServerStep,
    /// When the servers were last asked what they hold, microseconds of the process.
    pub looked_us: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ServerStep {
    #[default]
    List,
    /// Its standard error or its log messages, from this line; None: the end of it, whatever comes.
    Log { scroll: Option<usize>, view: LogView, least: LoggingLevel },
    /// What it says of its own use.
    Words { scroll: usize },
    /// The folders that it may be told of.
    Folders { selected: usize },
    /// Its tools.
    Tools { selected: usize },
    /// What changed in its definitions; accepted by `A` once its end was on the screen, and then exactly as shown here,
    /// whatever the server has listed since.
    Changes { shown: Arc<[Difference]>, scroll: usize, end_seen: bool, deaf_until_us: u64 },
}

/// Which part of a server's log is on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogView {
    StandardError,
    Messages,
}

/// How often servers whose states are on the screen are asked what they hold, and one whose log is, microseconds.
const LOOK_US: u64 = 2_000_000;
const LOOK_AT_LOG_US: u64 = 500_000;

/// The levels that a key asks a server for, one after the other.
const ASKED_FOR: [LoggingLevel; 4] =
    [LoggingLevel::Debug, LoggingLevel::Info, LoggingLevel::Warning, LoggingLevel::Error];

impl ServerList {
    pub(in crate::app) fn new(servers: &Servers) -> Self {
        let selected = servers.rows.first().map(|row| row.status.server.clone());
        Self { selected, step: ServerStep::List, looked_us: 0 }
    }

    pub(in crate::app) fn laid_out(&mut self, list: ListLayout) {
        if let ServerStep::Changes { end_seen, .. } = &mut self.step {
            *end_seen |= list.page > 0 && list.top + list.page >= list.lines;
        }
    }

    /// Asks what is on the screen to be told anew, where that was long ago.
    pub(in crate::app) fn look(&mut self, servers: &Servers, now_us: u64, out: &mut Vec<Effect>) {
        let pause = if matches!(self.step, ServerStep::Log { .. }) { LOOK_AT_LOG_US } else { LOOK_US };
        if self.looked_us != 0 && now_us < self.looked_us + pause {
            return;
        }
        self.looked_us = now_us.max(1);
        for row in &servers.rows {
            let wanted = match &self.step {
                ServerStep::List => true,
                ServerStep::Log { .. } => Some(&row.status.server) == self.selected.as_ref(),
                ServerStep::Folders { .. } => Some(&row.status.server) == self.selected.as_ref(),
                ServerStep::Words { .. } | ServerStep::Tools { .. } | ServerStep::Changes { .. } => false,
            };
            if wanted && matches!(row.status.state, ServerState::Ready | ServerState::Starting) {
                let server = row.status.server.clone();
                out.push(Effect::Order(Order::Server { server, action: ServerAction::Look }));
            }
        }
    }

    /// Takes the changes that are shown, once they were read to their end.
    fn accept(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        let ServerStep::Changes { shown, end_seen, deaf_until_us, .. } = &mut self.step else { return Flow::Pass };
        let now = state.now.mono_us;
        if key.repeat || now < *deaf_until_us {
            *deaf_until_us = now + DEAF_US;
            state.say("too early: keys count 0.35 s after the last one", out);
            return Flow::Stay;
        }
        if !*end_seen {
            state.say("read the changes to their end first", out);
            return Flow::Stay;
        }
        if let Some(server) = self.selected.clone() {
            out.push(Effect::Order(Order::AcceptChanges { server, shown: Arc::clone(shown) }));
        }
        self.step = ServerStep::List;
        Flow::Stay
    }

    /// Turns to the log of the chosen server: to the part of it that holds something.
    pub(super) fn open_log(&mut self, servers: &Servers) {
        let Some(row) = self.selected.as_ref().and_then(|name| servers.get(name)) else { return };
        let said = !row.status.life.log.lines.is_empty() || row.status.transport != "stdio";
        let view = match said && row.status.stderr.is_empty() {
            true => LogView::Messages,
            false => LogView::StandardError,
        };
        self.step = ServerStep::Log { scroll: None, view, least: LoggingLevel::Debug };
        self.looked_us = 0;
    }

    pub(super) fn step(&mut self, by: isize, servers: &Servers) {
        let at = self.place(servers);
        let last = servers.rows.len().saturating_sub(1);
        self.selected = servers.rows.get(at.saturating_add_signed(by).min(last)).map(|row| row.status.server.clone());
    }

    fn place(&self, servers: &Servers) -> usize {
        servers.rows.iter().position(|row| Some(&row.status.server) == self.selected.as_ref()).unwrap_or(0)
    }

    pub(super) fn key(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        if key.code == KeyCode::Esc && self.step != ServerStep::List {
            self.step = ServerStep::List;
            return Flow::Stay;
        }
        let list = state.layout.list;
        let row = self.selected.as_ref().and_then(|name| state.servers.get(name)).cloned();
        match &mut self.step {
            ServerStep::List => self.list_key(key, row, state, out),
            ServerStep::Folders { selected } => {
                let Some(row) = row else { return Flow::Pass };
                let roots = &row.status.life.roots.list;
                let at = (*selected).min(roots.len().saturating_sub(1));
                if let Some(motion) = motion(key, true) {
                    *selected = motion.row(at, roots.len(), list.page);
                    return Flow::Stay;
                }
                let server = row.status.server.clone();
                match (key.typed(), roots.get(at)) {
                    (Some('a'), _) => {
                        state.overlays.push(Overlay::Ask(Ask::new(AskFor::Root(server), String::new())));
                    }
                    (Some('x'), Some(root)) => {
                        let action = ServerAction::RemoveRoot(root.uri.clone());
                        out.push(Effect::Order(Order::Server { server, action }));
                    }
                    _ => return Flow::Pass,
                }
                Flow::Stay
            }
            ServerStep::Tools { selected } => {
                let Some(motion) = motion(key, true) else { return Flow::Pass };
                let count = row.map_or(0, |row| row.status.listed.len());
                *selected = motion.row((*selected).min(count.saturating_sub(1)), count, list.page);
                Flow::Stay
            }
            ServerStep::Log { scroll, view, least } => {
                match (key.code, key.typed(), row) {
                    (KeyCode::Tab, _, _) => {
                        *view = match view {
                            LogView::StandardError => LogView::Messages,
                            LogView::Messages => LogView::StandardError,
                        };
                        *scroll = None;
                        return Flow::Stay;
                    }
                    (_, Some(digit @ '1'..='4'), _) if *view == LogView::Messages => {
                        *least = match digit {
                            '1' => LoggingLevel::Debug,
                            '2' => LoggingLevel::Info,
                            '3' => LoggingLevel::Warning,
                            _ => LoggingLevel::Error,
                        };
                        *scroll = None;
                        return Flow::Stay;
                    }
                    (_, Some('a'), Some(row)) => {
                        self.looked_us = 0;
                        ask_for_log(&row, state, out);
                        return Flow::Stay;
                    }
                    _ => {}
                }
                let Some(motion) = motion(key, true) else { return Flow::Pass };
                let last = list.lines.saturating_sub(list.page);
                let to = motion.row(scroll.unwrap_or(last).min(last), list.lines.max(1), list.page);
                *scroll = (to < last).then_some(to);
                Flow::Stay
            }
            ServerStep::Words { scroll } => {
                let Some(motion) = motion(key, true) else { return Flow::Pass };
                *scroll = scrolled(motion.row(*scroll, list.lines.max(1), list.page), 0, list);
                Flow::Stay
            }
            ServerStep::Changes { scroll, .. } => {
                if let Some(motion) = motion(key, true) {
                    let to = motion.row(*scroll, list.lines.max(1), list.page);
                    *scroll = scrolled(to, 0, list);
                    return Flow::Stay;
                }
                if key.typed() == Some('A') {
                    return self.accept(key, state, out);
                }
                Flow::Pass
            }
        }
    }

    fn list_key(&mut self, key: Key, row: Option<ServerRow>, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        let list = state.layout.list;
        if let Some(motion) = motion(key, true) {
            let to = motion.row(self.place(&state.servers), state.servers.rows.len(), list.page);
            self.selected = state.servers.rows.get(to).map(|row| row.status.server.clone());
            return Flow::Stay;
        }
        match key.typed() {
            Some('n') => {
                state.overlays.push(Overlay::Ask(Ask::new(AskFor::Server, String::new())));
                return Flow::Stay;
            }
            Some('i') => {
                state.overlays.push(Overlay::Import(Import::default()));
                out.push(Effect::FindImports);
                return Flow::Stay;
            }
            _ => {}
        }
        // The first is drawn as chosen where the list was opened before any server was heard of.
        let Some(row) = row.or_else(|| state.servers.rows.first().cloned()) else { return Flow::Pass };
        let server = row.status.server.clone();
        self.selected = Some(server.clone());
        let act = |action| Effect::Order(Order::Server { server: server.clone(), action });
        match (key.code, key.typed()) {
            (KeyCode::Enter, _) if row.status.state == ServerState::NeedsConsent => {
                state.overlays.push(Overlay::Consent(Consent::new(&row.status, state.now)));
            }
            (KeyCode::Enter, _) if !row.status.differences.is_empty() => {
                // So that the next layout is a new one, and tells whether the end is on the screen.
                state.layout.list = ListLayout::default();
                self.step = ServerStep::Changes {
                    shown: Arc::clone(&row.status.differences),
                    scroll: 0,
                    end_seen: false,
                    deaf_until_us: state.now.mono_us + DEAF_US,
                };
            }
            (KeyCode::Enter, _)
                if row.status.state == ServerState::NeedsLogin && row.status.transport != "simple-rpc" =>
            {
                let open = SignInBox::begin(server, state.now, out);
                state.overlays.push(Overlay::SignIn(Box::new(open)));
            }
            (KeyCode::Enter, _) if row.status.state == ServerState::Ready => {
                state.overlays.push(Overlay::Tools(OfferedTools::at(&server, &state.toolbox)));
            }
            (_, Some('w')) if row.status.life.instructions.is_some() => self.step = ServerStep::Words { scroll: 0 },
            (_, Some('w')) => state.say(format!("{} says nothing of its own use", server.as_str()), out),
            (_, Some('v')) if !row.status.listed.is_empty() => self.step = ServerStep::Tools { selected: 0 },
            (_, Some('d')) => match row.status.state {
                ServerState::Off | ServerState::NeedsConsent => {
                    state.say(format!("{} is not running: {{servers.off}} starts it", server.as_str()), out);
                }
                ServerState::Starting | ServerState::Ready | ServerState::Failed | ServerState::NeedsLogin => {
                    self.step = ServerStep::Folders { selected: 0 };
                    self.looked_us = 0;
                    self.look(&state.servers, state.now.mono_us, out);
                }
            },
            (KeyCode::Enter, _) | (_, Some('l')) => {
                self.open_log(&state.servers);
                self.look(&state.servers, state.now.mono_us, out);
            }
            (_, Some('r')) => state.restart_server(&server, out),
            (_, Some('f')) => match row.status.state {
                ServerState::Ready => {
                    out.push(act(ServerAction::Refresh));
                    state.say(format!("{} is asked for its tools again", server.as_str()), out);
                }
                ServerState::Starting
                | ServerState::Failed
                | ServerState::NeedsLogin
                | ServerState::Off
                | ServerState::NeedsConsent => state.say("only a server that is ready can list its tools again", out),
            },
            (_, Some('o')) => match row.status.state {
                ServerState::Off => out.push(act(ServerAction::Start)),
                ServerState::NeedsConsent => {
                    state.overlays.push(Overlay::Consent(Consent::new(&row.status, state.now)));
                }
                ServerState::Starting | ServerState::Ready | ServerState::Failed | ServerState::NeedsLogin => {
                    out.push(act(ServerAction::Off));
                }
            },
            (_, Some('t')) => {
                let name = server.as_str();
                let (question, yes, action) = match row.status.life.trusted {
                    false => (
                        format!(
                            "Believe what {name} says about its own tools? Its read-only hints would then skip asking."
                        ),
                        "believe it",
                        ServerAction::Trust,
                    ),
                    true => (
                        format!("Believe {name} no longer? Its hints would count for nothing again."),
                        "believe it no longer",
                        ServerAction::Distrust,
                    ),
                };
                let then = Confirmed::Server(server, action);
                state.overlays.push(Overlay::Confirm(Confirm::new(question, yes, then, state.now)));
            }
            // The bare dialect knows no sign-in, and a program has its secrets in its environment.
            (_, Some('s')) if matches!(row.status.transport, "http" | "sse") => {
                let open = SignInBox::begin(server, state.now, out);
                state.overlays.push(Overlay::SignIn(Box::new(open)));
            }
            (_, Some('u')) if row.status.sign_in.is_some() => {
                let question =
                    format!("Sign out of \"{}\"? Its tokens are removed from this computer.", server.as_str());
                let then = Confirmed::SignOut(server);
                state.overlays.push(Overlay::Confirm(Confirm::new(question, "sign out", then, state.now)));
            }
            (_, Some('c')) => out.push(Effect::EditConfig { server: Some(server) }),
            _ => return Flow::Pass,
        }
        Flow::Stay
    }
}

impl State {
    /// Starts a server anew, or for the first time. Where calls of it run, or it was never consented to, it asks.
    pub(super) fn restart_server(&mut self, server: &ServerName, out: &mut Vec<Effect>) {
        let Some(row) = self.servers.get(server) else { return };
        let act = |action| Effect::Order(Order::Server { server: server.clone(), action });
        match row.status.state {
            ServerState::NeedsConsent => {
                let consent = Consent::new(&row.status, self.now);
                self.overlays.push(Overlay::Consent(consent));
            }
            ServerState::Off => out.push(act(ServerAction::Start)),
            ServerState::Starting | ServerState::Ready | ServerState::Failed | ServerState::NeedsLogin => {
                if row.running > 0 {
                    let question = format!(
                        "Restart \"{}\"? {} of its calls would be lost, and may still have run.",
                        server.as_str(),
                        row.running
                    );
                    let then = Confirmed::Server(server.clone(), ServerAction::Restart);
                    self.overlays.push(Overlay::Confirm(Confirm::new(question, "restart it", then, self.now)));
                } else {
                    out.push(act(ServerAction::Restart));
                }
            }
        }
    }
}

/// Asks a server for the next level of log messages.
fn ask_for_log(row: &ServerRow, state: &mut State, out: &mut Vec<Effect>) {
    let (server, log) = (row.status.server.clone(), &row.status.life.log);
    if !log.asks {
        return state.say(format!("{} cannot be asked for log messages", server.as_str()), out);
    }
    let at = log.level.and_then(|level| ASKED_FOR.iter().position(|asked| *asked == level));
    let level = at.map_or(LoggingLevel::Info, |at| ASKED_FOR[(at + 1) % ASKED_FOR.len()]);
    state.say(format!("{} is asked for log messages from {} on", server.as_str(), level.word()), out);
    out.push(Effect::Order(Order::Server { server, action: ServerAction::Log(level) }));
}
