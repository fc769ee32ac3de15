//! Lists to choose from: models, servers, commands.

use crate::app::command::Command;
use crate::app::line::LineEdit;
use crate::chat::ServerName;

#[derive(Clone, Debug, Default)]
pub struct Models {
    pub search: LineEdit,
    pub editing: bool,
    pub all: Vec<ModelRow>,
    /// Indexes of `all` that match.
    pub rows: Vec<usize>,
    pub selected: usize,
    pub loading: bool,
    pub fault: Option<String>,
    /// A message waits to be sent until a model is chosen.
    pub then_send: bool,
    pub(crate) generation: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelRow {
    /// Raw.
    pub id: String,
    pub provider: String,
    pub context: Option<u64>,
    pub tools: Option<bool>,
    pub vision: Option<bool>,
    pub reasoning: Option<bool>,
}

#[derive(Clone, Debug, Default)]
pub struct ServerList {
    pub selected: Option<ServerName>,
    pub step: ServerStep,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerStep {
    #[default]
    List,
    /// Its standard error, from the given line.
    Log(usize),
    /// What changed in its definitions; accepted by `A` once its end was seen.
    Changes { scroll: usize, end_seen: bool },
}

#[derive(Clone, Debug, Default)]
pub struct Palette {
    pub search: LineEdit,
    pub rows: Vec<Command>,
    pub selected: usize,
}
