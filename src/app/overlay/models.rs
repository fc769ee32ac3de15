//! The models of every endpoint that is configured: to choose from, to mark, to use by default.

use super::{Flow, motion};
use crate::app::command::Command;
use crate::app::completion::ranked;
use crate::app::effect::Effect;
use crate::app::key::{Key, KeyCode};
use crate::app::line::LineEdit;
use crate::app::model::Then;
use crate::app::state::State;
use crate::chat::{Lacks, Prices, UnixMs};

#[derive(Clone, Debug, Default)]
pub struct Models {
    pub search: LineEdit,
    pub editing: bool,
    /// Where models are asked for; the session's own first.
    pub sources: Vec<ModelSource>,
    pub all: Vec<ModelRow>,
    /// Indexes of `all` that match.
    pub rows: Vec<usize>,
    pub selected: usize,
    /// Only favourites are listed.
    pub favourites: bool,
    /// All that is known of the chosen one, instead of the list.
    pub details: bool,
    /// What waits until a model is chosen.
    pub then: Then,
    pub(crate) generation: u64,
    /// The first list has come: until then the model in use is to be selected.
    settled: bool,
}

/// One endpoint and how it answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelSource {
    /// The profile's name, else the host; raw. Names its rows.
    pub name: String,
    pub profile: Option<String>,
    pub base_url: String,
    /// `key from $OPENAI_API_KEY: set`, `no key`; raw.
    pub key: String,
    /// The session talks to it.
    pub current: bool,
    /// When its list was made; None: there is none yet.
    pub at: Option<UnixMs>,
    pub reach: Reach,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum Reach {
    #[default]
    Asking,
    Reached {
        took_ms: u64,
    },
    /// Why not; raw.
    Failed(String),
}

/// A model as it is listed; texts are raw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelRow {
    pub id: String,
    /// Its source.
    pub provider: String,
    pub base_url: String,
    pub context: Option<u64>,
    pub tools: Option<bool>,
    pub vision: Option<bool>,
    pub reasoning: Option<bool>,
    pub prices: Option<Prices>,
    pub favourite: bool,
    /// When it was last asked.
    pub used: Option<UnixMs>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub owner: Option<String>,
    pub size: Option<String>,
    /// Seconds since 1970.
    pub created: Option<i64>,
    pub max_output: Option<u64>,
}

impl ModelRow {
    /// What is left out of its requests.
    #[must_use]
    pub fn lacks(&self) -> Lacks {
        Lacks {
            tools: self.tools == Some(false),
            vision: self.vision == Some(false),
            reasoning: self.reasoning == Some(false),
        }
    }
}

impl Models {
    pub(in crate::app) fn new(generation: u64, then: Then) -> Self {
        Self { editing: true, then, generation, ..Self::default() }
    }

    /// Some endpoint has not answered yet.
    #[must_use]
    pub fn loading(&self) -> bool {
        self.sources.is_empty() || self.sources.iter().any(|source| source.reach == Reach::Asking)
    }

    #[must_use]
    pub fn chosen(&self) -> Option<&ModelRow> {
        self.rows.get(self.selected).and_then(|row| self.all.get(*row))
    }

    #[must_use]
    pub fn source(&self, row: &ModelRow) -> Option<&ModelSource> {
        self.sources.iter().find(|source| source.name == row.provider)
    }

    /// Takes the lists as they stand now. The chosen model stays chosen, wherever it went.
    pub(in crate::app) fn answered(
        &mut self,
        generation: u64,
        sources: Vec<ModelSource>,
        all: Vec<ModelRow>,
        now: &str,
    ) {
        if generation != self.generation {
            return;
        }
        let chosen = self.chosen().filter(|_| self.settled).map(|row| (row.provider.clone(), row.id.clone()));
        (self.sources, self.all) = (sources, all);
        self.settled |= !self.all.is_empty();
        self.filter();
        let at = |wanted: &dyn Fn(&ModelRow) -> bool| self.rows.iter().position(|row| wanted(&self.all[*row]));
        let place = match &chosen {
            Some((provider, id)) => at(&|row| row.provider == *provider && row.id == *id),
            None => at(&|row| row.id == now && self.source(row).is_some_and(|source| source.current)),
        };
        self.selected = place.unwrap_or(0);
    }

    pub(super) fn filter(&mut self) {
        let shown = self.all.iter().enumerate().filter(|(_, row)| row.favourite || !self.favourites);
        let named: Vec<(usize, String)> = shown.map(|(at, row)| (at, format!("{}/{}", row.provider, row.id))).collect();
        let found = ranked(&self.search.text, named.iter(), |(_, name)| name.as_str());
        self.rows = found.into_iter().map(|(at, _)| *at).collect();
        if self.search.text.is_empty() {
            // Stable: favourites first, each endpoint's in its order.
            self.rows.sort_by_key(|row| !self.all[*row].favourite);
        }
        self.selected = 0;
    }

    pub(super) fn key(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        if self.details {
            return match (key.code, key.typed()) {
                (KeyCode::Esc, _) | (_, Some('i' | 'q')) => {
                    self.details = false;
                    Flow::Stay
                }
                (KeyCode::Enter, _) => self.choose(state, out),
                _ => self.act(key, state, out),
            };
        }
        if key.code == KeyCode::Enter {
            return self.choose(state, out);
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
        self.act(key, state, out)
    }

    fn choose(&self, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        match self.chosen() {
            Some(row) => state.use_model(row.clone(), self.source(row), self.then, out),
            None => {
                // An endpoint that lists nothing still has models: what was typed is taken as a name.
                let typed = self.search.text.trim().to_owned();
                if typed.is_empty() || self.favourites {
                    return Flow::Stay;
                }
                let row = ModelRow { id: typed, ..ModelRow::default() };
                match self.then {
                    Then::AnswerAgain => state.use_model(row, None, self.then, out),
                    Then::Nothing | Then::Send => state.choose_model(row.id, None, self.then, out),
                }
            }
        }
        Flow::Close
    }

    fn act(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        let place = self.rows.get(self.selected).copied();
        match key.typed() {
            Some('/') => (self.editing, self.details) = (true, false),
            Some('i') => self.details = place.is_some(),
            Some('f') => {
                if let Some(row) = place.and_then(|place| self.all.get_mut(place)) {
                    row.favourite = !row.favourite;
                    let (base_url, model) = (row.base_url.clone(), row.id.clone());
                    out.push(Effect::Favourite { base_url, model, on: row.favourite });
                    if self.favourites {
                        let at = self.selected;
                        self.filter();
                        self.selected = at.min(self.rows.len().saturating_sub(1));
                        self.details &= !self.rows.is_empty();
                    }
                }
            }
            Some('F') => {
                self.favourites = !self.favourites;
                self.details = false;
                self.filter();
            }
            Some('d') => {
                if let Some(row) = self.chosen().cloned() {
                    let source = self.source(&row);
                    let profile = source.and_then(|source| source.profile.clone());
                    let effect =
                        Effect::DefaultModel { profile, base_url: row.base_url.clone(), model: row.id.clone() };
                    state.use_model(row, source, self.then, out);
                    out.push(effect);
                    return Flow::Close;
                }
            }
            Some('R') => {
                self.generation = state.session.fresh();
                for source in &mut self.sources {
                    source.reach = Reach::Asking;
                }
                out.push(Effect::Models { generation: self.generation, anew: true });
            }
            Some('u') => return Flow::Do(Command::Usage),
            _ => return Flow::Pass,
        }
        Flow::Stay
    }
}
