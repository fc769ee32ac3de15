//! The servers that other clients have, to be taken over: what each would become, and what it would lose.

use super::{Flow, ImportSource, motion};
use crate::app::effect::Effect;
use crate::app::key::{Key, KeyCode};
use crate::app::state::State;

/// Rows are chosen by space, and taken over together. Nothing is started by that.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// None: they are still looked for.
    pub rows: Option<Vec<ImportRow>>,
    pub selected: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRow {
    /// `Claude Desktop`.
    pub client: String,
    /// The file; raw.
    pub path: String,
    /// As its file calls it; raw.
    pub key: String,
    /// What it would be called here; None: it is known already, or cannot be taken.
    pub name: Option<String>,
    /// Its command or address, or why it is not taken; raw.
    pub line: String,
    /// What is dropped, and what needs a person; raw.
    pub notes: Vec<String>,
    pub chosen: bool,
}

impl Import {
    /// All that can be taken over is chosen at first.
    pub(in crate::app) fn found(&mut self, sources: &[ImportSource]) {
        let rows: Vec<ImportRow> = sources.iter().flat_map(|source| source.rows.iter().cloned()).collect();
        self.selected = self.selected.min(rows.len().saturating_sub(1));
        self.rows = Some(rows);
    }

    pub(super) fn key(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        let Some(rows) = &mut self.rows else { return Flow::Pass };
        if key.code == KeyCode::Esc {
            return Flow::Close;
        }
        if let Some(motion) = motion(key, true) {
            self.selected = motion.row(self.selected, rows.len(), state.layout.list.page);
            return Flow::Stay;
        }
        match (key.code, key.typed()) {
            (_, Some(' ')) => {
                if let Some(row) = rows.get_mut(self.selected).filter(|row| row.name.is_some()) {
                    row.chosen = !row.chosen;
                }
            }
            (_, Some('a')) => {
                let all = rows.iter().filter(|row| row.name.is_some()).all(|row| row.chosen);
                for row in rows.iter_mut().filter(|row| row.name.is_some()) {
                    row.chosen = !all;
                }
            }
            (KeyCode::Enter, _) => {
                let chosen: Vec<&ImportRow> = rows.iter().filter(|row| row.chosen && row.name.is_some()).collect();
                if chosen.is_empty() {
                    state.say("nothing is chosen: {import.switch} chooses", out);
                    return Flow::Stay;
                }
                let picks = chosen.iter().map(|row| (row.path.clone(), row.key.clone())).collect();
                out.push(Effect::Import { picks });
                let count = chosen.len();
                let what = if count == 1 { "1 server is" } else { &format!("{count} servers are") };
                state.say(format!("{what} taken over; each asks before its first start"), out);
                return Flow::Close;
            }
            _ => return Flow::Pass,
        }
        Flow::Stay
    }
}
