//! The list of MCP servers: their states, their last words, what changed in their definitions.

use std::sync::Arc;

use super::{Confirm, Confirmed, Consent, DEAF_US, Flow, OfferedTools, Overlay, SignInBox, motion, scrolled};
use crate::app::effect::Effect;
use crate::app::key::{Key, KeyCode};
use crate::app::layout::ListLayout;
use crate::app::state::State;
use crate::app::status::Servers;
use crate::chat::{Difference, Order, ServerAction, ServerName, ServerState};

#[derive(Clone, Debug, Default)]
pub struct ServerList {
    pub selected: Option<ServerName>,
    pub step: ServerStep,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ServerStep {
    #[default]
    List,
    /// Its standard error, from this line.
    Log { scroll: usize },
    /// What changed in its definitions; accepted by `A` once its end was on the screen, and then exactly as shown here,
    /// whatever the server has listed since.
    Changes { shown: Arc<[Difference]>, scroll: usize, end_seen: bool, deaf_until_us: u64 },
}

impl ServerList {
    pub(in crate::app) fn new(servers: &Servers) -> Self {
        Self { selected: servers.rows.first().map(|row| row.status.server.clone()), step: ServerStep::List }
    }

    pub(in crate::app) fn laid_out(&mut self, list: ListLayout) {
        if let ServerStep::Changes { end_seen, .. } = &mut self.step {
            *end_seen |= list.page > 0 && list.top + list.page >= list.lines;
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

    pub(super) fn step(&mut self, by: isize, servers: &Servers) {
        let at = self.place(servers);
        let last = servers.rows.len().saturating_sub(1);
        self.selected = servers.rows.get(at.saturating_add_signed(by).min(last)).map(|row| row.status.server.clone());
    }

    fn place(&self, servers: &Servers) -> usize {
        servers.rows.iter().position(|row| Some(&row.status.server) == self.selected.as_ref()).unwrap_or(0)
    }

    pub(super) fn key(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        let list = state.layout.list;
        if let ServerStep::Log { scroll } | ServerStep::Changes { scroll, .. } = &mut self.step {
            if key.code == KeyCode::Esc {
                self.step = ServerStep::List;
                return Flow::Stay;
            }
            if let Some(motion) = motion(key, true) {
                let to = motion.row(*scroll, list.lines.max(1), list.page);
                *scroll = scrolled(to, 0, list);
                return Flow::Stay;
            }
            if key.typed() == Some('A') {
                return self.accept(key, state, out);
            }
            return Flow::Pass;
        }
        if let Some(motion) = motion(key, true) {
            let to = motion.row(self.place(&state.servers), state.servers.rows.len(), list.page);
            self.selected = state.servers.rows.get(to).map(|row| row.status.server.clone());
            return Flow::Stay;
        }
        // The first is drawn as chosen where the list was opened before any server was heard of.
        let known = self.selected.as_ref().and_then(|name| state.servers.get(name));
        let Some(row) = known.or_else(|| state.servers.rows.first()).cloned() else {
            return Flow::Pass;
        };
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
            (KeyCode::Enter, _) | (_, Some('l')) => self.step = ServerStep::Log { scroll: 0 },
            (_, Some('r')) => match row.status.state {
                ServerState::NeedsConsent => {
                    state.overlays.push(Overlay::Consent(Consent::new(&row.status, state.now)));
                }
                ServerState::Starting
                | ServerState::Ready
                | ServerState::Failed
                | ServerState::NeedsLogin
                | ServerState::Off => out.push(act(ServerAction::Restart)),
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
                let question = format!(
                    "Trust \"{}\"? What it claims about its tools (read-only, closed world) is then believed.",
                    server.as_str()
                );
                let then = Confirmed::Server(server, ServerAction::Trust);
                state.overlays.push(Overlay::Confirm(Confirm::new(question, "trust it", then, state.now)));
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
