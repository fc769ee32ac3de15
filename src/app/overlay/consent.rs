//! Questions that only a person answers: a server's first start, and what is hard to undo.

use super::{DEAF_US, Flow};
use crate::app::command::Command;
use crate::app::effect::Effect;
use crate::app::key::{Key, KeyCode};
use crate::app::keymap::{Lookup, Place};
use crate::app::state::State;
use crate::chat::{ConversationId, Order, ServerAction, ServerName, ServerStatus, SignInStep, Stamp};

/// `Start "files"? This program will run as you: npx -y … in ~/src   [n] not now  [y] start  [A] start from now on`
#[derive(Clone, Debug)]
pub struct Consent {
    pub server: ServerName,
    /// The exact command or address; raw.
    pub line: String,
    /// `stdio` or `http`.
    pub transport: &'static str,
    pub deaf_until_us: u64,
    pub refused: Option<&'static str>,
}

/// One question with yes and no.
#[derive(Clone, Debug)]
pub struct Confirm {
    /// Raw.
    pub question: String,
    /// What `y` does, in a few words.
    pub yes: &'static str,
    pub then: Confirmed,
    pub deaf_until_us: u64,
}

/// What a yes does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmed {
    Delete(Vec<ConversationId>),
    /// Without the 30 days, and without a trace.
    Erase(Vec<ConversationId>),
    /// The one on the screen, which is left for a new one; true: for good.
    RemoveThis(ConversationId, bool),
    /// The turn of a conversation that another process runs.
    StopElsewhere(ConversationId),
    /// Whether the process that has a conversation has ended.
    LookAgain(ConversationId),
    Server(ServerName, ServerAction),
    SignOut(ServerName),
}

impl Consent {
    #[must_use]
    pub fn new(status: &ServerStatus, now: Stamp) -> Self {
        Self {
            server: status.server.clone(),
            line: status.line.clone(),
            transport: status.transport,
            deaf_until_us: now.mono_us + DEAF_US,
            refused: None,
        }
    }

    pub(super) fn key(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        if is_global(key, state) {
            return Flow::Pass;
        }
        if key.repeat || state.now.mono_us < self.deaf_until_us {
            self.deaf_until_us = state.now.mono_us + DEAF_US;
            self.refused = Some("too early: keys count 0.35 s after the last one");
            return Flow::Stay;
        }
        self.refused = None;
        let action = match (key.code, key.typed()) {
            (_, Some('y')) => ServerAction::Start,
            (_, Some('A')) => ServerAction::StartAlways,
            (KeyCode::Esc, _) | (_, Some('n')) => {
                if let Some(row) = state.servers.rows.iter_mut().find(|row| row.status.server == self.server) {
                    row.declined = true;
                }
                return Flow::Close;
            }
            _ => {
                self.refused = Some("{question.yes}, {question.always} or {question.no}; enter never starts a program");
                return Flow::Stay;
            }
        };
        out.push(Effect::Order(Order::Server { server: self.server.clone(), action }));
        if let Some(row) = state.servers.rows.iter_mut().find(|row| row.status.server == self.server) {
            row.declined = true;
        }
        Flow::Close
    }
}

impl Confirm {
    pub(crate) fn new(question: impl Into<String>, yes: &'static str, then: Confirmed, now: Stamp) -> Self {
        Self { question: question.into(), yes, then, deaf_until_us: now.mono_us + DEAF_US }
    }

    pub(super) fn key(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        if is_global(key, state) {
            return Flow::Pass;
        }
        if key.repeat || state.now.mono_us < self.deaf_until_us {
            self.deaf_until_us = state.now.mono_us + DEAF_US;
            return Flow::Stay;
        }
        match (key.code, key.typed()) {
            (KeyCode::Esc, _) | (_, Some('n')) => Flow::Close,
            (_, Some('y')) => {
                match self.then.clone() {
                    Confirmed::Delete(conversations) => out.push(Effect::Delete { conversations, for_good: false }),
                    Confirmed::Erase(conversations) => out.push(Effect::Delete { conversations, for_good: true }),
                    Confirmed::RemoveThis(conversation, for_good) => {
                        // It may have begun to answer since, or another may have been opened.
                        if state.answers(&conversation) {
                            state.say("it is answering: stop that first", out);
                            return Flow::Close;
                        }
                        if state.transcript.conversation.as_ref() == Some(&conversation) {
                            state.start_new(out);
                        }
                        out.push(Effect::Delete { conversations: vec![conversation], for_good });
                    }
                    Confirmed::LookAgain(conversation) => state.open(conversation, out),
                    Confirmed::StopElsewhere(conversation) => out.push(Effect::StopElsewhere { conversation }),
                    Confirmed::SignOut(server) => out.push(super::sign_in::order(&server, SignInStep::Out)),
                    Confirmed::Server(server, action) => out.push(Effect::Order(Order::Server { server, action })),
                }
                Flow::Close
            }
            _ => Flow::Stay,
        }
    }
}

/// Stopping, redrawing and suspending pass through any question: they answer nothing.
fn is_global(key: Key, state: &State) -> bool {
    matches!(
        state.keymap.look(Place::Global, None, key),
        Lookup::Command(Command::Interrupt | Command::Redraw | Command::Suspend | Command::Mouse)
    )
}
