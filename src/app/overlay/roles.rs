//! The roles, to choose one for this conversation.

use super::{Flow, motion};
use crate::app::completion::ranked;
use crate::app::effect::Effect;
use crate::app::key::{Key, KeyCode};
use crate::app::line::LineEdit;
use crate::app::state::State;

#[derive(Clone, Debug, Default)]
pub struct Roles {
    pub search: LineEdit,
    /// Names that match; None: without a role.
    pub rows: Vec<Option<String>>,
    pub selected: usize,
    all: Vec<Option<String>>,
}

impl Roles {
    pub(in crate::app) fn new(state: &State) -> Self {
        let names = state.session.casting.roles.iter().map(|role| Some(role.name.clone()));
        let mut roles = Self { all: names.chain([None]).collect(), ..Self::default() };
        roles.filter();
        let now = &state.transcript.role;
        roles.selected = roles.rows.iter().position(|name| name == now).unwrap_or_default();
        roles
    }

    pub(super) fn filter(&mut self) {
        let name = |row: &Option<String>| row.clone().unwrap_or_else(|| "none".to_owned());
        let all: Vec<(String, Option<String>)> = self.all.iter().map(|row| (name(row), row.clone())).collect();
        self.rows =
            ranked(&self.search.text, all.into_iter(), |(name, _)| name).into_iter().map(|(_, row)| row).collect();
        self.selected = 0;
    }

    pub(super) fn key(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        if key.code == KeyCode::Enter {
            return match self.rows.get(self.selected) {
                Some(role) => {
                    state.use_role(role.clone(), out);
                    Flow::Close
                }
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
