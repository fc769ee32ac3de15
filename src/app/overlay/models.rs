//! The list of models.

use super::{Flow, motion};
use crate::app::completion::ranked;
use crate::app::effect::Effect;
use crate::app::key::{Key, KeyCode};
use crate::app::line::LineEdit;
use crate::app::state::State;
use crate::chat::Fault;

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

impl Models {
    pub(in crate::app) fn new(generation: u64, then_send: bool) -> Self {
        Self { editing: true, loading: true, then_send, generation, ..Self::default() }
    }

    pub(in crate::app) fn answered(&mut self, generation: u64, result: &Result<Vec<ModelRow>, Fault>, now: &str) {
        if generation != self.generation {
            return;
        }
        self.loading = false;
        match result {
            Ok(models) => {
                self.all.clone_from(models);
                self.fault = None;
                self.filter();
                if let Some(at) = self.rows.iter().position(|row| self.all[*row].id == now) {
                    self.selected = at;
                }
            }
            Err(fault) => self.fault = Some(fault.message.clone()),
        }
    }

    pub(super) fn filter(&mut self) {
        let rows = ranked(&self.search.text, self.all.iter().enumerate(), |(_, model)| model.id.as_str());
        self.rows = rows.into_iter().map(|(at, _)| at).collect();
        self.selected = 0;
    }

    pub(super) fn key(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        let chosen = self.rows.get(self.selected).and_then(|row| self.all.get(*row)).map(|model| model.id.clone());
        if key.code == KeyCode::Enter {
            // An endpoint that lists nothing still has models: what was typed is taken as a name.
            let typed = self.search.text.trim().to_owned();
            let model = chosen.or_else(|| (!typed.is_empty()).then_some(typed));
            let Some(model) = model else { return Flow::Stay };
            state.session.context_window = self.all.iter().find(|row| row.id == model).and_then(|row| row.context);
            state.choose_model(model, self.then_send, out);
            return Flow::Close;
        }
        if self.editing {
            if key.code == KeyCode::Down {
                self.editing = false;
                return Flow::Stay;
            }
            if self.search.key(key) {
                self.filter();
                return Flow::Stay;
            }
            return Flow::Pass;
        }
        if key.code == KeyCode::Up && self.selected == 0 {
            self.editing = true;
            return Flow::Stay;
        }
        if let Some(motion) = motion(key, true) {
            self.selected = motion.row(self.selected, self.rows.len(), state.layout.list.page);
            return Flow::Stay;
        }
        match key.typed() {
            Some('/') => self.editing = true,
            Some('d') => {
                if let Some(model) = chosen {
                    state.session.settings.model.clone_from(&model);
                    out.push(Effect::ChooseModel { model, as_default: true });
                    return Flow::Close;
                }
            }
            Some('R') => {
                self.generation = state.session.fresh();
                self.loading = true;
                out.push(Effect::Models { generation: self.generation });
            }
            _ => return Flow::Pass,
        }
        Flow::Stay
    }
}
