//! The role that a conversation is held in: chosen by name, kept with it, in force from its next message on.
//!
//! # Invariants
//! - What a person says by itself (a model from the list, a system prompt) goes before what the role says of it.
//! - The settings of the session are always those of the conversation that is shown.

use super::effect::Effect;
use super::overlay::{Overlay, Roles};
use super::state::State;
use crate::chat::{Sampling, TurnRole};
use crate::config::{Role, nearest};

/// What a conversation without a role is asked with, and what the roles have changed of it.
#[derive(Clone, Debug, Default)]
pub struct Casting {
    /// All that can be chosen, by name. What the command line says goes before them: they do not say it.
    pub roles: Vec<Role>,
    /// The role that new conversations begin with.
    pub first: Option<String>,
    pub system: Option<String>,
    pub sampling: Sampling,
    /// The model that a role has put another one in place of.
    pub model: Option<String>,
}

impl Casting {
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == name)
    }
}

impl State {
    /// The role of the conversation that is shown.
    #[must_use]
    pub fn role(&self) -> Option<&Role> {
        self.session.casting.get(self.transcript.role.as_deref()?)
    }

    pub(super) fn open_roles(&mut self, out: &mut Vec<Effect>) {
        if self.session.casting.roles.is_empty() {
            let text = "no roles yet: [roles] in config.toml (/config), or roles/NAME.md beside it";
            return self.say(text, out);
        }
        let roles = Roles::new(self);
        self.overlays.push(Overlay::Roles(roles));
    }

    /// A role by its name; `none` takes it away.
    pub(super) fn name_role(&mut self, name: &str, out: &mut Vec<Effect>) {
        if self.session.casting.get(name).is_some() {
            return self.use_role(Some(name.to_owned()), out);
        }
        if name == "none" {
            return self.use_role(None, out);
        }
        let names = self.session.casting.roles.iter().map(|role| role.name.as_str());
        let hint =
            nearest(name, names).map_or_else(|| "/role lists them".to_owned(), |near| format!("did you mean {near}?"));
        self.say(format!("no role is called {name}; {hint}"), out);
    }

    pub(super) fn use_role(&mut self, name: Option<String>, out: &mut Vec<Effect>) {
        self.transcript.role = name;
        self.transcript.system = None;
        self.play_role(out);
        let when =
            if self.transcript.turn.is_some() { "when this answer has ended" } else { "from the next message on" };
        let said = match self.role() {
            Some(role) => {
                let mut with = vec![format!("asks {}", self.session.settings.model)];
                with.extend(role.tools.as_ref().map(|tools| match tools.as_slice() {
                    [] => "without tools".to_owned(),
                    tools => format!("tools {}", tools.join(" ")),
                }));
                format!("{} {when}: {}", role.name, with.join(", "))
            }
            None => format!("no role {when}"),
        };
        self.say(said, out);
    }

    /// Lets the role of the conversation that is shown hold, and asks what its model takes where that is another one.
    pub(super) fn play_role(&mut self, out: &mut Vec<Effect>) {
        if self.hold_role(true) && !self.session.settings.model.is_empty() {
            self.session.context_window = None;
            self.session.prices = None;
            self.session.settings.lacks = Default::default();
            self.session.window_asked = true;
            out.push(Effect::ModelFacts { model: self.session.settings.model.clone(), ask: true });
        }
    }

    /// Puts the settings of the session as the role wants them; whether the model is another one. `model`: the role
    /// speaks of that, too.
    pub(super) fn hold_role(&mut self, model: bool) -> bool {
        let casting = &mut self.session.casting;
        let kept = || self.transcript.system.clone().or_else(|| casting.system.clone());
        if casting.roles.is_empty() {
            self.session.settings.system = kept();
            return false;
        }
        let role = self.transcript.role.as_deref().and_then(|name| casting.roles.iter().find(|role| role.name == name));
        let none = Role::default();
        let wants = role.unwrap_or(&none);
        let settings = &mut self.session.settings;
        settings.system = wants.system.clone().or_else(kept);
        let base = &casting.sampling;
        let mut params = base.params.clone();
        for (name, value) in &wants.params {
            params.retain(|(old, _)| old != name);
            params.push((name.clone(), value.clone()));
        }
        settings.sampling = Sampling {
            temperature: wants.temperature.or(base.temperature),
            max_output_tokens: wants.max_output_tokens.or(base.max_output_tokens),
            reasoning_effort: wants.reasoning_effort.clone().or_else(|| base.reasoning_effort.clone()),
            params,
            schema: settings.sampling.schema.take(),
        };
        let tools = wants.tools.clone().map(Into::into);
        self.toolbox.toolset.role.clone_from(&tools);
        settings.role = Some(TurnRole { name: wants.name.clone(), tools });
        if !model {
            return false;
        }
        let before = settings.model.clone();
        if let Some(own) = casting.model.take() {
            settings.model = own;
        }
        if let Some(model) = &wants.model {
            casting.model = Some(std::mem::replace(&mut settings.model, model.clone()));
        }
        settings.model != before
    }

    /// The conversation that is shown was read with this role.
    pub(super) fn take_role(&mut self, name: Option<&str>, out: &mut Vec<Effect>) {
        self.transcript.role = name.filter(|name| self.session.casting.get(name).is_some()).map(str::to_owned);
        self.play_role(out);
        if let Some(name) = name.filter(|_| self.transcript.role.is_none()) {
            self.say(format!("this conversation was held as {name}, which is no role of yours any more"), out);
        }
    }
}
