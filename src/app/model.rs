//! The model in use: chosen from a list or by name, on this endpoint or another; what it is known to take.

use super::effect::Effect;
use super::overlay::{ModelRow, ModelSource, Overlay, Reach};
use super::state::State;
use super::status::Endpoint;
use crate::chat::{Dispatch, Sampling, TurnSettings};

/// What follows once a model was chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Then {
    #[default]
    Nothing,
    /// The message that waits is sent.
    Send,
    /// The model answers again what another has answered.
    AnswerAgain,
}

/// Another profile's endpoint, which holds from now on.
#[derive(Clone, Debug)]
pub struct Switched {
    pub base_url: String,
    pub key_from: Option<String>,
    pub row: ModelRow,
    /// What the profile asks of its models.
    pub system: Option<String>,
    pub sampling: Sampling,
    pub dispatch: Dispatch,
    pub then: Then,
}

impl State {
    pub(super) fn open_models(&mut self, then: Then, out: &mut Vec<Effect>) {
        if self.session.connection.is_none() {
            return self.open_welcome(out);
        }
        let generation = self.session.fresh();
        self.overlays.push(Overlay::Models(super::overlay::Models::new(generation, then)));
        out.push(Effect::Models { generation, anew: false });
    }

    /// Uses a listed model from the next message on, over the endpoint that lists it.
    pub(super) fn use_model(&mut self, row: ModelRow, source: Option<&ModelSource>, then: Then, out: &mut Vec<Effect>) {
        if then == Then::AnswerAgain && source.is_none_or(|source| source.current) {
            // This once: the model of the session stays.
            let settings = TurnSettings {
                model: row.id.clone(),
                lacks: row.lacks(),
                context_window: row.context,
                ..self.turn_settings()
            };
            return self.answer_again(settings, out);
        }
        match source.filter(|source| !source.current).and_then(|source| source.profile.clone()) {
            Some(profile) => out.push(Effect::Switch { profile, row: Box::new(row), then }),
            None => self.choose_model(row.id.clone(), Some(row), then, out),
        }
    }

    /// Uses a model of this endpoint. Without its row, what it takes is asked for.
    pub(super) fn choose_model(&mut self, model: String, row: Option<ModelRow>, then: Then, out: &mut Vec<Effect>) {
        // The person's own word, whatever the role says.
        self.session.casting.model = None;
        self.session.settings.model.clone_from(&model);
        let known = row.is_some();
        self.know_model(row.as_ref(), out);
        out.push(Effect::ChooseModel { model: model.clone() });
        if !known {
            self.session.window_asked = true;
            out.push(Effect::ModelFacts { model, ask: true });
        }
        self.follow_choice(then, out);
    }

    fn follow_choice(&mut self, then: Then, out: &mut Vec<Effect>) {
        match then {
            Then::Nothing => {}
            Then::Send if self.composer.is_blank() => {}
            Then::Send => self.perform(super::command::Command::Send, out),
            Then::AnswerAgain => self.answer_again(self.turn_settings(), out),
        }
    }

    pub(super) fn switched(&mut self, to: Switched, out: &mut Vec<Effect>) {
        let Switched { base_url, key_from, row, system, sampling, dispatch, then } = to;
        let endpoint = Endpoint::new(base_url, key_from);
        self.session.greeting = Some(format!("Messages go to {}.", endpoint.host));
        let host = endpoint.host.clone();
        self.session.connection = Some(endpoint);
        self.inquiry_moved();
        self.session.settings.model.clone_from(&row.id);
        self.session.casting.system.clone_from(&system);
        self.session.casting.sampling.clone_from(&sampling);
        self.session.casting.model = None;
        self.session.settings.system = system;
        self.session.settings.dispatch = dispatch;
        // A form that was asked for holds for the session, whoever answers.
        let schema = self.session.settings.sampling.schema.take();
        self.session.settings.sampling = Sampling { schema, ..sampling };
        self.hold_role(false);
        self.session.window_asked = row.context.is_some();
        let when = if self.transcript.turn.is_some() { "when this answer has ended" } else { "from now on" };
        self.say(format!("{} at {host} answers {when}; the conversation stays", row.id), out);
        self.know_model(Some(&row), out);
        self.follow_choice(then, out);
    }

    /// What is known of the model in use; None: nothing.
    fn know_model(&mut self, row: Option<&ModelRow>, out: &mut Vec<Effect>) {
        let unknown = ModelRow::default();
        let row = row.unwrap_or(&unknown);
        self.session.context_window = row.context;
        self.session.window_asked |= row.context.is_some();
        self.session.prices = row.prices;
        let before = std::mem::replace(&mut self.session.settings.lacks, row.lacks());
        if self.session.settings.lacks.tools && !before.tools && self.servers.rows.iter().any(|s| s.status.tools > 0) {
            self.say(format!("{} takes no tools: they are not offered to it", row.id), out);
        }
    }

    /// An answer to [`Effect::ModelFacts`]; nothing where another model was chosen since.
    pub(super) fn facts(&mut self, row: &ModelRow, out: &mut Vec<Effect>) {
        let here = self.session.connection.as_ref().is_some_and(|here| here.base_url == row.base_url);
        if !here || row.id != self.session.settings.model {
            return;
        }
        let merged = ModelRow {
            context: row.context.or(self.session.context_window),
            prices: row.prices.or(self.session.prices),
            ..row.clone()
        };
        self.know_model(Some(&merged), out);
    }

    /// The lists of the picker as they stand now.
    pub(super) fn listed(
        &mut self,
        generation: u64,
        sources: Vec<ModelSource>,
        rows: Vec<ModelRow>,
        out: &mut Vec<Effect>,
    ) {
        let now = self.session.settings.model.clone();
        let own = sources.iter().find(|source| source.current && matches!(source.reach, Reach::Reached { .. }));
        if let Some(row) = own.and_then(|own| rows.iter().find(|row| row.provider == own.name && row.id == now)) {
            self.facts(row, out);
        }
        // An endpoint with one model needs no picker.
        let mut only = None;
        if let (Some(own), true) = (own, now.is_empty()) {
            let mut here = rows.iter().filter(|row| row.provider == own.name);
            if let (Some(row), None) = (here.next(), here.next()) {
                only = Some(row.clone());
            }
        }
        for overlay in &mut self.overlays {
            if let Overlay::Models(models) = overlay {
                models.answered(generation, sources.clone(), rows.clone(), &now);
            }
        }
        if let (Some(row), Some(Overlay::Models(models))) = (only, self.overlays.last())
            && models.generation == generation
        {
            let then = models.then;
            self.overlays.pop();
            self.choose_model(row.id.clone(), Some(row), then, out);
        }
    }
}
