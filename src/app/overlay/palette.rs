//! All commands, to choose from by a few letters.

use super::{Flow, motion};
use crate::app::command::{Command, CommandInfo};
use crate::app::completion::ranked;
use crate::app::key::{Key, KeyCode};
use crate::app::line::LineEdit;
use crate::app::state::State;

#[derive(Clone, Debug, Default)]
pub struct Palette {
    pub search: LineEdit,
    pub rows: Vec<&'static CommandInfo>,
    pub selected: usize,
}

impl Palette {
    pub(in crate::app) fn new() -> Self {
        let mut palette = Self::default();
        palette.filter();
        palette
    }

    pub(super) fn filter(&mut self) {
        // A name that fits says more than letters that stand somewhere in a sentence.
        self.rows = match self.search.text.trim() {
            "" => Command::listed().collect(),
            text => ranked(text, Command::listed(), |info| info.slash),
        };
        for info in ranked(&self.search.text, Command::listed(), |info| info.label) {
            if self.rows.iter().all(|row| row.name != info.name) {
                self.rows.push(info);
            }
        }
        self.selected = 0;
    }

    pub(super) fn key(&mut self, key: Key, state: &State) -> Flow {
        if key.code == KeyCode::Enter {
            return match self.rows.get(self.selected) {
                Some(info) => Flow::CloseThen(info.command),
                None => Flow::Stay,
            };
        }
        if let Some(motion) = motion(key, false) {
            self.selected = motion.row(self.selected, self.rows.len(), state.layout.list.page);
            return Flow::Stay;
        }
        if self.search.key(key) {
            self.filter();
            return Flow::Stay;
        }
        Flow::Pass
    }
}
