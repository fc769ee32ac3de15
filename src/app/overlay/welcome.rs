//! The first five minutes: a model to talk to, and servers that other clients know.

use super::{Ask, AskFor, Flow, ImportRow, Overlay, stepped};
use crate::app::command::{Command, Edit};
use crate::app::effect::Effect;
use crate::app::key::{Key, KeyCode};
use crate::app::keymap::{Lookup, Place};
use crate::app::state::State;

/// Where a pasted key belongs when no other address was chosen.
pub const OPENAI: &str = "https://api.openai.com/v1";

/// The composer below stays alive: what is typed is kept, and sent when there is a model.
#[derive(Clone, Debug, Default)]
pub struct Welcome {
    pub selected: usize,
    pub rows: Vec<WelcomeRow>,
    /// The usual ports: whether they answered. None: not yet.
    pub ports: Vec<(LocalKind, Option<bool>)>,
    pub imports: Vec<ImportSource>,
    /// A choice is being tried.
    pub busy: bool,
    pub fault: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WelcomeRow {
    Local(LocalServer),
    OpenAi,
    Address,
    Demo,
    Servers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalKind {
    Ollama,
    LmStudio,
    LlamaCpp,
    Vllm,
}

impl LocalKind {
    pub const ALL: [Self; 4] = [Self::Ollama, Self::LmStudio, Self::LlamaCpp, Self::Vllm];

    #[must_use]
    pub fn port(self) -> u16 {
        match self {
            Self::Ollama => 11434,
            Self::LmStudio => 1234,
            Self::LlamaCpp => 8080,
            Self::Vllm => 8000,
        }
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ollama => "Ollama",
            Self::LmStudio => "LM Studio",
            Self::LlamaCpp => "llama.cpp",
            Self::Vllm => "vLLM",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalServer {
    pub kind: LocalKind,
    pub base_url: String,
    pub models: Vec<String>,
}

/// Servers that another client has configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportSource {
    /// `Claude Desktop`.
    pub client: String,
    pub path: String,
    /// What they would be called here: those that can be taken over.
    pub servers: Vec<String>,
    /// Every entry of it, those that cannot be taken among them.
    pub rows: Vec<ImportRow>,
}

/// A connection that a person chose.
#[derive(Clone, PartialEq, Eq)]
pub enum Connection {
    Local(LocalServer),
    /// `key` is a secret: it goes to the keyring or the configuration and nowhere else.
    Key {
        base_url: String,
        key: String,
    },
    Address {
        base_url: String,
    },
    Demo,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local(server) => f.debug_tuple("Local").field(server).finish(),
            Self::Key { base_url, .. } => f.debug_struct("Key").field("base_url", base_url).finish_non_exhaustive(),
            Self::Address { base_url } => f.debug_struct("Address").field("base_url", base_url).finish(),
            Self::Demo => f.write_str("Demo"),
        }
    }
}

impl Welcome {
    pub(in crate::app) fn new() -> Self {
        Self {
            rows: vec![WelcomeRow::OpenAi, WelcomeRow::Address, WelcomeRow::Demo],
            ports: LocalKind::ALL.into_iter().map(|kind| (kind, None)).collect(),
            ..Self::default()
        }
    }

    /// A local port answered, or not. What was chosen stays chosen; until a person has moved, the first is.
    pub(in crate::app) fn probed(&mut self, port: u16, found: Option<LocalServer>) {
        if let Some(entry) = self.ports.iter_mut().find(|(kind, _)| kind.port() == port) {
            entry.1 = Some(found.is_some());
        }
        let Some(server) = found else { return };
        let row = WelcomeRow::Local(server);
        if self.rows.contains(&row) {
            return;
        }
        let at = self.rows.iter().take_while(|row| matches!(row, WelcomeRow::Local(_))).count();
        self.rows.insert(at, row);
        if self.selected >= at && self.selected > 0 {
            self.selected += 1;
        }
    }

    pub(in crate::app) fn imports(&mut self, sources: Vec<ImportSource>) {
        self.imports = sources;
        self.imports.retain(|source| !source.servers.is_empty());
        if !self.imports.is_empty() && !self.rows.contains(&WelcomeRow::Servers) {
            self.rows.push(WelcomeRow::Servers);
        }
    }

    pub(super) fn key(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        let plain = key.mods == crate::app::key::Mods::default();
        match key.code {
            KeyCode::Up if plain => self.selected = stepped(self.selected, -1, self.rows.len()),
            KeyCode::Down if plain => self.selected = stepped(self.selected, 1, self.rows.len()),
            KeyCode::Enter if plain => return self.enter(state, out),
            KeyCode::Esc if state.session.connection.is_none() => {
                state.say("choose what to talk to; {app.interrupt} {app.interrupt} quits", out);
            }
            _ => match (state.keymap.look(Place::Composer, None, key), key.typed()) {
                (Lookup::Command(Command::Edit(edit)), _) => edit_draft(state, edit, out),
                (Lookup::Command(Command::NewLine), _) => {
                    state.composer.new_line();
                    state.text_changed(out);
                }
                (Lookup::Command(Command::DeleteOrQuit), _) => return Flow::Do(Command::DeleteOrQuit),
                (_, Some(c)) => {
                    state.composer.type_char(c);
                    state.text_changed(out);
                    state.composer.completion = None;
                }
                (_, None) => return Flow::Pass,
            },
        }
        Flow::Stay
    }

    fn enter(&mut self, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        // A slash command works here as anywhere.
        if state.composer.slash().is_some_and(|(word, _)| Command::slash(&word).is_some()) {
            return Flow::Do(Command::Send);
        }
        if self.busy {
            return Flow::Stay;
        }
        self.fault = None;
        match self.rows.get(self.selected) {
            Some(WelcomeRow::Local(server)) => {
                self.busy = true;
                out.push(Effect::Connect(Connection::Local(server.clone())));
            }
            Some(WelcomeRow::Demo) => {
                self.busy = true;
                out.push(Effect::Connect(Connection::Demo));
            }
            Some(WelcomeRow::OpenAi) => {
                let what = AskFor::Key { base_url: OPENAI.to_owned() };
                state.overlays.push(Overlay::Ask(Ask::new(what, String::new())));
            }
            Some(WelcomeRow::Address) => {
                state.overlays.push(Overlay::Ask(Ask::new(AskFor::Address, String::new())));
            }
            Some(WelcomeRow::Servers) => {
                let rows = self.imports.iter().flat_map(|source| &source.rows).filter(|row| row.name.is_some());
                out.push(Effect::Import { picks: rows.map(|row| (row.path.clone(), row.key.clone())).collect() });
                self.rows.retain(|row| *row != WelcomeRow::Servers);
                self.selected = 0;
                state.say("their servers are in config.toml; each asks before its first start", out);
            }
            None => {}
        }
        Flow::Stay
    }
}

fn edit_draft(state: &mut State, edit: Edit, out: &mut Vec<Effect>) {
    state.composer.edit(edit);
    state.text_changed(out);
}
