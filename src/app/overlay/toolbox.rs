//! The list of tools that the model is offered: switched per tool and per server, for this conversation.

use super::{Flow, motion};
use crate::app::effect::Effect;
use crate::app::key::{Key, KeyCode};
use crate::app::line::LineEdit;
use crate::app::state::State;
use crate::app::toolbox::Toolbox;
use crate::chat::{ServerName, ToolStanding};

#[derive(Clone, Debug, Default)]
pub struct OfferedTools {
    pub search: LineEdit,
    pub editing: bool,
    pub selected: usize,
}

/// A row of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolEntry {
    Server(ServerName),
    /// Its place in [`Toolbox::rows`].
    Tool(usize),
}

impl OfferedTools {
    /// With the cursor on a server's first row.
    pub(in crate::app) fn at(server: &ServerName, toolbox: &Toolbox) -> Self {
        let mut list = Self::default();
        let entries = list.entries(toolbox);
        list.selected = entries.iter().position(|e| *e == ToolEntry::Server(server.clone())).unwrap_or_default();
        list
    }

    /// What is listed: each server with those of its tools that match.
    #[must_use]
    pub fn entries(&self, toolbox: &Toolbox) -> Vec<ToolEntry> {
        let wanted = self.search.text.trim().to_lowercase();
        let mut out: Vec<ToolEntry> = Vec::new();
        let mut server: Option<&ServerName> = None;
        for (place, row) in toolbox.rows.iter().enumerate() {
            let matches = wanted.is_empty()
                || row.tool.path().to_lowercase().contains(&wanted)
                || row.description.to_lowercase().contains(&wanted);
            if !matches {
                continue;
            }
            if server != Some(&row.tool.server) {
                server = Some(&row.tool.server);
                out.push(ToolEntry::Server(row.tool.server.clone()));
            }
            out.push(ToolEntry::Tool(place));
        }
        out
    }

    pub(super) fn step(&mut self, by: isize, toolbox: &Toolbox) {
        self.selected = super::stepped(self.selected, by, self.entries(toolbox).len());
    }

    pub(super) fn key(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        if self.editing {
            if matches!(key.code, KeyCode::Enter | KeyCode::Down) {
                self.editing = false;
                return Flow::Stay;
            }
            if key.code == KeyCode::Esc {
                self.editing = false;
                self.search.clear();
                return Flow::Stay;
            }
            if self.search.key(key) {
                self.selected = 0;
                return Flow::Stay;
            }
            return Flow::Pass;
        }
        let entries = self.entries(&state.toolbox);
        if let Some(motion) = motion(key, true) {
            self.selected = motion.row(self.selected, entries.len(), state.layout.list.page);
            return Flow::Stay;
        }
        match key.typed() {
            Some('/') => self.editing = true,
            Some(' ') => self.switch(&entries, state, out),
            Some('f') => state.switch_find(out),
            _ => return Flow::Pass,
        }
        Flow::Stay
    }

    /// Switches the chosen row; what cannot be offered says why.
    fn switch(&self, entries: &[ToolEntry], state: &mut State, out: &mut Vec<Effect>) {
        let toolbox = &mut state.toolbox;
        let told = match entries.get(self.selected) {
            Some(ToolEntry::Server(server)) => {
                let on = toolbox.sum(Some(server)).on == 0;
                toolbox.toolset.set_server(server, on);
                format!("{}: {} from the next message on", server.as_str(), if on { "offered" } else { "not offered" })
            }
            Some(ToolEntry::Tool(place)) => {
                let Some(row) = toolbox.rows.get(*place) else { return };
                let path = row.tool.path();
                match &row.standing {
                    ToolStanding::Usable | ToolStanding::LeftOut { by_profile: true } => {
                        let on = !row.is_on(&toolbox.toolset);
                        let tool = row.tool.clone();
                        toolbox.toolset.set_tool(&tool, on);
                        format!("{path}: {} from the next message on", if on { "offered" } else { "not offered" })
                    }
                    ToolStanding::LeftOut { by_profile: false } => {
                        return state.say(format!("{path}: tools.allow of its server leaves it out"), out);
                    }
                    ToolStanding::Denied => return state.say(format!("{path}: policy denies it"), out),
                    ToolStanding::Withheld { .. } => {
                        return state
                            .say(format!("{path}: its change must be seen first: {{app.servers}}, enter"), out);
                    }
                    ToolStanding::Aside(reason) => {
                        let told = format!("{path}: {reason}");
                        return state.say(told, out);
                    }
                }
            }
            None => return,
        };
        state.toolset_changed(out);
        state.say(told, out);
    }
}
