//! The arguments of a prompt, or the variables of a resource's address: a form that the server helps to fill in.
//!
//! # Invariants
//! - The server is asked for completions only after the keys have rested, and once for the same text.
//! - Nothing is fetched before the form is sent.

use std::collections::{BTreeMap, HashMap};

use super::Flow;
use super::form::{FieldValue, FormButton, FormEdit, FormFocus, FormKey};
use crate::app::effect::Effect;
use crate::app::event::Timer;
use crate::app::key::{Key, KeyCode};
use crate::app::line::LineEdit;
use crate::app::state::State;
use crate::chat::{
    Completes, Completions, Field, FieldKind, Form, Order, PromptInfo, ServerName, ServerQuery, TemplateInfo, TextRule,
};

/// How long the keys rest before a server is asked, milliseconds.
const REST_MS: u64 = 150;
/// Suggestions on the screen.
const SHOWN: usize = 6;

#[derive(Clone, Debug)]
pub struct Fill {
    pub server: ServerName,
    pub what: FillFor,
    pub form: FormEdit,
    /// What fits the field with the focus, and the one that enter would take.
    pub suggestions: Vec<String>,
    pub chosen: Option<usize>,
    pub refused: Option<&'static str>,
    asked: Option<(u64, Question)>,
    known: HashMap<Question, Vec<String>>,
}

/// A field, what stands in it, and what stands in the others.
type Question = (String, String, BTreeMap<String, String>);

#[derive(Clone, Debug, PartialEq)]
pub enum FillFor {
    Prompt { name: String, description: Option<String> },
    Template(TemplateInfo),
}

/// What came of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::app) enum Filled {
    Prompt { name: String, arguments: BTreeMap<String, String> },
    Resource { uri: String },
}

impl Fill {
    const BUTTONS: &'static [FormButton] = &[FormButton::Submit, FormButton::Cancel];

    pub(in crate::app) fn prompt(server: ServerName, prompt: &PromptInfo, given: &BTreeMap<String, String>) -> Self {
        let fields = prompt.arguments.iter().map(|argument| Field {
            name: argument.name.clone(),
            title: argument.title.clone(),
            description: argument.description.clone(),
            required: argument.required,
            kind: FieldKind::Text(TextRule::default()),
            default: given.get(&argument.name).map(|value| value.as_str().into()),
        });
        let what = FillFor::Prompt { name: prompt.name.clone(), description: prompt.description.clone() };
        Self::new(server, what, fields.collect())
    }

    pub(in crate::app) fn template(server: ServerName, template: TemplateInfo) -> Self {
        let fields = template.variables().into_iter().map(|name| Field {
            name,
            title: None,
            description: None,
            required: false,
            kind: FieldKind::Text(TextRule::default()),
            default: None,
        });
        let fields = fields.collect();
        Self::new(server, FillFor::Template(template), fields)
    }

    fn new(server: ServerName, what: FillFor, fields: Vec<Field>) -> Self {
        let form = FormEdit::new(&Form { fields, notes: Vec::new() }).with_buttons(Self::BUTTONS);
        Self {
            server,
            what,
            form,
            suggestions: Vec::new(),
            chosen: None,
            refused: None,
            asked: None,
            known: HashMap::new(),
        }
    }

    /// What is filled in.
    fn values(&self) -> BTreeMap<String, String> {
        let value = |edit: &super::FieldEdit| match &edit.value {
            FieldValue::Typed(line) if !line.text.is_empty() => Some((edit.field.name.clone(), line.text.clone())),
            FieldValue::Typed(_) | FieldValue::Flag(_) | FieldValue::One(_) | FieldValue::Many { .. } => None,
        };
        self.form.fields.iter().filter_map(value).collect()
    }

    fn question(&self) -> Option<Question> {
        let name = self.form.focused()?.field.name.clone();
        let mut context = self.values();
        let value = context.remove(&name).unwrap_or_default();
        Some((name, value, context))
    }

    /// The keys have rested: what fits is known, or is asked for.
    pub(in crate::app) fn look(&mut self, generation: u64, out: &mut Vec<Effect>) {
        (self.suggestions, self.chosen) = (Vec::new(), None);
        let Some(question) = self.question() else { return };
        if let Some(known) = self.known.get(&question) {
            self.suggestions.clone_from(known);
            return;
        }
        let of = match &self.what {
            FillFor::Prompt { name, .. } => Completes::Prompt(name.clone()),
            FillFor::Template(template) => Completes::Template(template.template.clone()),
        };
        let (argument, value, context) = question.clone();
        self.asked = Some((generation, question));
        let query = ServerQuery::Complete { of, argument, value, context };
        out.push(Effect::Order(Order::Query { generation, server: self.server.clone(), query }));
    }

    pub(in crate::app) fn completed(&mut self, generation: u64, completions: Completions) {
        let Some((_, question)) = self.asked.take_if(|(asked, _)| *asked == generation) else { return };
        let values: Vec<String> = completions.values.into_iter().filter(|value| *value != question.1).collect();
        if self.question().as_ref() == Some(&question) {
            self.suggestions.clone_from(&values);
        }
        self.known.insert(question, values);
    }

    /// The server did not complete. True where this form had asked.
    pub(in crate::app) fn gave_up(&mut self, generation: u64) -> bool {
        self.asked.take_if(|(asked, _)| *asked == generation).is_some()
    }

    pub(super) fn paste(&mut self, text: &str) {
        self.form.paste(text);
    }

    pub(super) fn key(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        self.refused = None;
        let shown = self.suggestions.len().min(SHOWN);
        match (key.code, self.chosen) {
            (KeyCode::Esc, Some(_)) => {
                self.chosen = None;
                return Flow::Stay;
            }
            (KeyCode::Esc, None) => return Flow::Close,
            (KeyCode::Down, None) if shown > 0 => {
                self.chosen = Some(0);
                return Flow::Stay;
            }
            (KeyCode::Down, Some(at)) => {
                self.chosen = Some((at + 1).min(shown.saturating_sub(1)));
                return Flow::Stay;
            }
            (KeyCode::Up, Some(at)) => {
                self.chosen = at.checked_sub(1);
                return Flow::Stay;
            }
            (KeyCode::Enter, Some(at)) => {
                if let (Some(value), Some(edit)) = (self.suggestions.get(at).cloned(), self.form.focused_mut()) {
                    edit.value = FieldValue::Typed(LineEdit::with(value));
                    edit.problem = None;
                }
                (self.suggestions, self.chosen) = (Vec::new(), None);
                self.form.key(Key::plain(KeyCode::Enter));
                self.look(state.session.fresh(), out);
                return Flow::Stay;
            }
            _ => {}
        }
        match self.form.key(key) {
            FormKey::Unknown => return Flow::Pass,
            FormKey::Moved => self.look(state.session.fresh(), out),
            FormKey::Edited => {
                (self.suggestions, self.chosen) = (Vec::new(), None);
                state.completion_rests(REST_MS, out);
            }
            FormKey::Pressed(FormButton::Submit) => match self.form.content() {
                Ok(_) => {
                    let values = self.values();
                    let what = match &self.what {
                        FillFor::Prompt { name, .. } => Filled::Prompt { name: name.clone(), arguments: values },
                        FillFor::Template(template) => Filled::Resource { uri: template.expand(&values) },
                    };
                    state.filled(self.server.clone(), what, out);
                    return Flow::Close;
                }
                Err(why) => {
                    self.refused = Some(why);
                    // The focus went to what is not right yet.
                    self.look(state.session.fresh(), out);
                }
            },
            FormKey::Pressed(FormButton::Decline | FormButton::Cancel) => return Flow::Close,
        }
        Flow::Stay
    }

    /// The suggestions that are drawn.
    #[must_use]
    pub fn shown(&self) -> &[String] {
        match self.form.focus {
            FormFocus::Field(_) => &self.suggestions[..self.suggestions.len().min(SHOWN)],
            FormFocus::Button(_) => &[],
        }
    }
}

impl State {
    /// The completion of the form's field is looked for when the keys have rested.
    fn completion_rests(&mut self, after_ms: u64, out: &mut Vec<Effect>) {
        out.push(Effect::CancelTimer(Timer::Complete(self.fill_generation)));
        self.fill_generation = self.session.fresh();
        out.push(Effect::SetTimer { timer: Timer::Complete(self.fill_generation), after_ms });
    }

    pub(in crate::app) fn complete_rested(&mut self, generation: u64, out: &mut Vec<Effect>) {
        if generation == self.fill_generation {
            self.complete_field(out);
        }
    }

    pub(in crate::app) fn complete_field(&mut self, out: &mut Vec<Effect>) {
        let generation = self.session.fresh();
        if let Some(super::Overlay::Fill(fill)) = self.overlays.last_mut() {
            fill.look(generation, out);
        }
    }
}
