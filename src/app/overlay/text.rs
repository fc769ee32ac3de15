//! The layer that shows help.

use super::{Flow, motion, scrolled};
use crate::app::key::{Key, KeyCode};
use crate::app::line::LineEdit;
use crate::app::state::State;

#[derive(Clone, Debug, Default)]
pub struct Help {
    pub search: LineEdit,
    pub editing: bool,
    pub scroll: usize,
}

impl Help {
    pub(super) fn key(&mut self, key: Key, state: &State) -> Flow {
        let list = state.layout.list;
        if self.editing {
            match key.code {
                KeyCode::Enter | KeyCode::Down => self.editing = false,
                KeyCode::Esc => {
                    self.search.clear();
                    self.editing = false;
                }
                _ if self.search.key(key) => self.scroll = 0,
                _ => return Flow::Pass,
            }
            return Flow::Stay;
        }
        if let Some(motion) = motion(key, true) {
            self.scroll = scrolled(motion.row(self.scroll, list.lines.max(1), list.page), 0, list);
            return Flow::Stay;
        }
        match key.typed() {
            Some('/') => {
                self.editing = true;
                Flow::Stay
            }
            Some('?' | 'q') => Flow::Close,
            _ => Flow::Pass,
        }
    }
}
