//! Layers that show text: help and the detail of a call.

use super::{Flow, motion, scrolled};
use crate::app::command::Command;
use crate::app::effect::Effect;
use crate::app::key::{Key, KeyCode};
use crate::app::line::LineEdit;
use crate::app::state::State;
use crate::chat::CallId;

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

/// One call, whole.
#[derive(Clone, Debug)]
pub struct Detail {
    pub call: CallId,
    /// Escapes shown instead of interpreted.
    pub raw: bool,
    pub wrap: bool,
    /// Exactly what the model was told, instead of the whole result.
    pub told: bool,
    pub pretty: bool,
    pub scroll: usize,
    pub find: Option<LineEdit>,
    /// The caret is in the find field.
    pub editing: bool,
    /// Which match is shown, from 0.
    pub find_at: usize,
}

impl Detail {
    pub(in crate::app) fn new(call: CallId) -> Self {
        Self {
            call,
            raw: false,
            wrap: true,
            told: false,
            pretty: true,
            scroll: 0,
            find: None,
            editing: false,
            find_at: 0,
        }
    }

    pub(super) fn key(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        let list = state.layout.list;
        if self.editing {
            match (key.code, &mut self.find) {
                (KeyCode::Enter | KeyCode::Down, _) => self.editing = false,
                (KeyCode::Esc, find) => {
                    *find = None;
                    self.editing = false;
                }
                (_, Some(line)) => {
                    if !line.key(key) {
                        return Flow::Pass;
                    }
                    self.find_at = 0;
                }
                (_, None) => self.editing = false,
            }
            return Flow::Stay;
        }
        if key.code == KeyCode::Esc && self.find.take().is_some() {
            return Flow::Stay;
        }
        if key.mods.shift && key.code == KeyCode::Tab {
            return Flow::Pass;
        }
        let page_key = matches!(key.typed(), Some(' ' | 'b'));
        if let Some(motion) = motion(key, true) {
            self.scroll = scrolled(motion.row(self.scroll, list.lines.max(1), list.page), 0, list);
            return Flow::Stay;
        }
        if page_key {
            let page = isize::try_from(list.page.max(2) - 1).unwrap_or(1);
            let by = if key.typed() == Some(' ') { page } else { -page };
            self.scroll = scrolled(self.scroll, by, list);
            return Flow::Stay;
        }
        let command = match key.typed() {
            Some('r') => {
                self.raw = !self.raw;
                return Flow::Stay;
            }
            Some('w') => {
                self.wrap = !self.wrap;
                return Flow::Stay;
            }
            Some('m') => {
                self.told = !self.told;
                self.scroll = 0;
                return Flow::Stay;
            }
            Some('p') => {
                self.pretty = !self.pretty;
                return Flow::Stay;
            }
            Some('/') => {
                self.find = Some(LineEdit::default());
                self.editing = true;
                return Flow::Stay;
            }
            Some('n') => {
                self.find_at = self.find_at.saturating_add(1);
                return Flow::Stay;
            }
            Some('N') => {
                self.find_at = self.find_at.saturating_sub(1);
                return Flow::Stay;
            }
            Some('t') => return Flow::Do(Command::Timeline),
            Some('y') => Command::CopyResult,
            Some('a') => Command::CopyArguments,
            Some('e') => Command::ViewResult,
            Some('s') => Command::SaveResult,
            Some('x') => Command::CancelCall,
            Some('R') => Command::RunAgain,
            _ => return Flow::Pass,
        };
        state.on_call(command, Some(self.call.clone()), out);
        Flow::Stay
    }
}
