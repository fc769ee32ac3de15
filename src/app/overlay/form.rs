//! A form being filled in: a value for each field, the field with the focus, and what keeps it from being sent.
//!
//! # Invariants
//! - What is sent was checked against the form as it was read; nothing is sent while a field has a problem.
//! - Enter goes on to the next field, and only on a button does it do what the button says.

use serde_json::{Map, Value};

use super::stepped;
use crate::app::key::{Key, KeyCode};
use crate::app::line::LineEdit;
use crate::chat::{Field, FieldKind, Form, number};

#[derive(Clone, Debug, PartialEq)]
pub struct FormEdit {
    pub fields: Vec<FieldEdit>,
    pub focus: FormFocus,
    pub buttons: &'static [FormButton],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormFocus {
    Field(usize),
    Button(FormButton),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormButton {
    Submit,
    Decline,
    Cancel,
}

impl FormButton {
    pub const ALL: [Self; 3] = [Self::Submit, Self::Decline, Self::Cancel];
}

#[derive(Clone, Debug, PartialEq)]
pub struct FieldEdit {
    pub field: Field,
    pub value: FieldValue,
    /// Beside the field, once it was left or the form was to be sent.
    pub problem: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue {
    /// As typed, for texts and numbers.
    Typed(LineEdit),
    /// None: not answered.
    Flag(Option<bool>),
    One(Option<usize>),
    /// Which are chosen, and the one under the caret.
    Many {
        chosen: Vec<bool>,
        at: usize,
    },
}

/// What a key did to a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum FormKey {
    /// The focus moved, or nothing happened.
    Moved,
    /// The value of the field with the focus is another.
    Edited,
    Pressed(FormButton),
    /// Not the form's.
    Unknown,
}

impl FormEdit {
    /// With the defaults filled in.
    #[must_use]
    pub fn new(form: &Form) -> Self {
        let fields: Vec<FieldEdit> = form.fields.iter().map(FieldEdit::new).collect();
        let focus = if fields.is_empty() { FormFocus::Button(FormButton::Submit) } else { FormFocus::Field(0) };
        Self { fields, focus, buttons: &FormButton::ALL }
    }

    /// With other buttons; the first is the one behind the fields.
    pub(in crate::app) fn with_buttons(mut self, buttons: &'static [FormButton]) -> Self {
        self.buttons = buttons;
        self
    }

    /// The field that takes the keys.
    #[must_use]
    pub fn focused(&self) -> Option<&FieldEdit> {
        match self.focus {
            FormFocus::Field(at) => self.fields.get(at),
            FormFocus::Button(_) => None,
        }
    }

    pub(in crate::app) fn focused_mut(&mut self) -> Option<&mut FieldEdit> {
        match self.focus {
            FormFocus::Field(at) => self.fields.get_mut(at),
            FormFocus::Button(_) => None,
        }
    }

    /// The content to be sent.
    ///
    /// # Errors
    /// Where a field has a problem: it is shown, and gets the focus.
    pub(in crate::app) fn content(&mut self) -> Result<Map<String, Value>, &'static str> {
        let mut content = Map::new();
        let mut first = None;
        for (at, edit) in self.fields.iter_mut().enumerate() {
            match edit.checked() {
                Ok(Some(value)) => {
                    content.insert(edit.field.name.clone(), value);
                }
                Ok(None) => {}
                Err(_) => first = first.or(Some(at)),
            }
        }
        match first {
            None => Ok(content),
            Some(at) => {
                self.focus = FormFocus::Field(at);
                Err("a field is not right yet")
            }
        }
    }

    pub(in crate::app) fn paste(&mut self, text: &str) {
        if let Some(FieldEdit { value: FieldValue::Typed(line), problem, .. }) = self.focused_mut() {
            line.insert(text.trim());
            *problem = None;
        }
    }

    /// Moves the focus to a field, or to a button behind the last one.
    pub(in crate::app) fn choose(&mut self, row: usize) {
        self.focus = match row.checked_sub(self.fields.len()) {
            None => FormFocus::Field(row),
            Some(button) => FormFocus::Button(self.buttons.get(button).copied().unwrap_or(FormButton::Submit)),
        };
    }

    pub(in crate::app) fn key(&mut self, key: Key) -> FormKey {
        if key.mods.ctrl && key.code == KeyCode::Char('s') {
            return FormKey::Pressed(FormButton::Submit);
        }
        match (key.code, self.focus) {
            (KeyCode::Tab, _) if key.mods.shift => self.step(-1),
            (KeyCode::Tab | KeyCode::Down, _) => self.step(1),
            (KeyCode::Up, _) => self.step(-1),
            (KeyCode::Enter, FormFocus::Field(_)) => self.step(1),
            (KeyCode::Enter, FormFocus::Button(button)) => return FormKey::Pressed(button),
            (KeyCode::Left | KeyCode::Right, FormFocus::Button(button)) => {
                let by = if key.code == KeyCode::Left { -1 } else { 1 };
                let at = self.buttons.iter().position(|b| *b == button).unwrap_or(0);
                let to = self.buttons.get(stepped(at, by, self.buttons.len())).copied();
                self.focus = FormFocus::Button(to.unwrap_or(button));
            }
            (_, FormFocus::Button(_)) => return FormKey::Unknown,
            (_, FormFocus::Field(_)) => {
                let Some(edit) = self.focused_mut() else { return FormKey::Unknown };
                if !edit.value.key(key, &edit.field.kind) {
                    return FormKey::Unknown;
                }
                edit.problem = None;
                return FormKey::Edited;
            }
        }
        FormKey::Moved
    }

    /// Moves the focus over the fields to the first button and back; what is left is checked.
    fn step(&mut self, by: isize) {
        if let Some(edit) = self.focused_mut() {
            // An empty field is told of only when the form is to be sent.
            if edit.value() != Ok(None) {
                let _ = edit.checked();
            }
        }
        let last = self.fields.len();
        let at = match self.focus {
            FormFocus::Field(at) => at,
            FormFocus::Button(_) if by > 0 => return,
            FormFocus::Button(_) => last,
        };
        let to = stepped(at, by, last + 1);
        self.focus = if to == last { FormFocus::Button(FormButton::Submit) } else { FormFocus::Field(to) };
    }
}

impl FieldEdit {
    fn new(field: &Field) -> Self {
        let default = field.default.as_ref();
        let value = match &field.kind {
            FieldKind::Text(_) => {
                FieldValue::Typed(LineEdit::with(default.and_then(Value::as_str).unwrap_or_default()))
            }
            FieldKind::Number { .. } => {
                FieldValue::Typed(LineEdit::with(default.map(Value::to_string).unwrap_or_default()))
            }
            FieldKind::Flag => FieldValue::Flag(default.and_then(Value::as_bool)),
            FieldKind::One(choices) => {
                let chosen = default.and_then(Value::as_str);
                FieldValue::One(chosen.and_then(|chosen| choices.iter().position(|choice| choice.value == chosen)))
            }
            FieldKind::Many { choices, .. } => {
                let chosen =
                    |value: &str| default.and_then(Value::as_array).is_some_and(|list| list.iter().any(|v| v == value));
                FieldValue::Many { chosen: choices.iter().map(|choice| chosen(&choice.value)).collect(), at: 0 }
            }
        };
        Self { field: field.clone(), value, problem: None }
    }

    /// The value as it would be sent; None where the field is empty.
    ///
    /// # Errors
    /// Where what was typed is no number.
    pub(in crate::app) fn value(&self) -> Result<Option<Value>, String> {
        Ok(match (&self.value, &self.field.kind) {
            (FieldValue::Typed(line), FieldKind::Number { whole, .. }) => match line.text.trim() {
                "" => None,
                text => Some(number(text, *whole).ok_or("must be a number")?),
            },
            (FieldValue::Typed(line), _) if line.text.is_empty() => None,
            (FieldValue::Typed(line), _) => Some(Value::String(line.text.clone())),
            (FieldValue::Flag(flag), _) => flag.map(Value::Bool),
            (FieldValue::One(chosen), FieldKind::One(choices)) => {
                chosen.and_then(|at| choices.get(at)).map(|choice| Value::String(choice.value.clone()))
            }
            (FieldValue::Many { chosen, .. }, FieldKind::Many { choices, .. }) => {
                let values: Vec<Value> = choices
                    .iter()
                    .zip(chosen)
                    .filter(|(_, chosen)| **chosen)
                    .map(|(choice, _)| Value::String(choice.value.clone()))
                    .collect();
                (!values.is_empty() || self.field.required).then_some(Value::Array(values))
            }
            (FieldValue::One(_) | FieldValue::Many { .. }, _) => None,
        })
    }

    /// The value, checked; a problem is kept beside the field.
    fn checked(&mut self) -> Result<Option<Value>, ()> {
        let value = self.value().and_then(|value| self.field.check(value.as_ref()).map(|()| value));
        self.problem = value.as_ref().err().cloned();
        value.map_err(|_| ())
    }
}

impl FieldValue {
    /// Takes a key; false where it means nothing here.
    fn key(&mut self, key: Key, kind: &FieldKind) -> bool {
        let empties = matches!(key.code, KeyCode::Backspace | KeyCode::Delete);
        match self {
            Self::Typed(line) => line.key(key),
            Self::Flag(flag) => {
                *flag = match (key.code, key.typed()) {
                    (_, Some('y')) => Some(true),
                    (_, Some('n')) => Some(false),
                    (KeyCode::Left | KeyCode::Right, _) | (_, Some(' ')) => Some(!flag.unwrap_or(false)),
                    _ if empties => None,
                    _ => return false,
                };
                true
            }
            Self::One(chosen) => {
                let FieldKind::One(choices) = kind else { return false };
                let last = choices.len().saturating_sub(1);
                *chosen = match (key.code, key.typed(), *chosen) {
                    (KeyCode::Left, _, Some(at)) => Some(at.saturating_sub(1)),
                    (KeyCode::Right, _, Some(at)) => Some((at + 1).min(last)),
                    (_, Some(' '), Some(at)) => Some(if at == last { 0 } else { at + 1 }),
                    (KeyCode::Left | KeyCode::Right, _, None) | (_, Some(' '), None) => Some(0),
                    (KeyCode::Home, ..) => Some(0),
                    (KeyCode::End, ..) => Some(last),
                    (_, Some(c), at) => match begins_with(choices.iter().map(|choice| choice.label()), c, at) {
                        Some(at) => Some(at),
                        None => return false,
                    },
                    _ if empties => None,
                    _ => return false,
                };
                true
            }
            Self::Many { chosen, at } => {
                let FieldKind::Many { choices, .. } = kind else { return false };
                match (key.code, key.typed()) {
                    (KeyCode::Left, _) => *at = at.saturating_sub(1),
                    (KeyCode::Right, _) => *at = (*at + 1).min(chosen.len().saturating_sub(1)),
                    (KeyCode::Home, _) => *at = 0,
                    (KeyCode::End, _) => *at = chosen.len().saturating_sub(1),
                    (_, Some(' ')) => {
                        if let Some(chosen) = chosen.get_mut(*at) {
                            *chosen = !*chosen;
                        }
                    }
                    (_, Some(c)) => match begins_with(choices.iter().map(|choice| choice.label()), c, Some(*at)) {
                        Some(to) => *at = to,
                        None => return false,
                    },
                    _ if empties => chosen.fill(false),
                    _ => return false,
                }
                true
            }
        }
    }
}

/// The next label after `from` that begins with this letter, around the end.
fn begins_with<'a>(labels: impl Iterator<Item = &'a str>, letter: char, from: Option<usize>) -> Option<usize> {
    let same = |label: &str| label.chars().next().is_some_and(|c| c.to_lowercase().eq(letter.to_lowercase()));
    let all: Vec<usize> = labels.enumerate().filter(|(_, label)| same(label)).map(|(at, _)| at).collect();
    all.iter().copied().find(|at| from.is_none_or(|from| *at > from)).or_else(|| all.first().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn form(properties: Value, required: &[&str]) -> FormEdit {
        FormEdit::new(&Form::read(&json!({"type": "object", "properties": properties, "required": required})).unwrap())
    }

    fn keys(form: &mut FormEdit, keys: &str) -> FormKey {
        let mut last = FormKey::Moved;
        for word in keys.split(' ') {
            match Key::parse(word).filter(|_| word.chars().count() > 1) {
                Some(key) => last = form.key(key),
                None => {
                    for c in word.chars() {
                        last = form.key(Key::plain(KeyCode::Char(c)));
                    }
                }
            }
        }
        last
    }

    #[test]
    fn defaults_are_filled_in_and_sent() {
        let mut form = form(
            json!({
                "s": {"type": "string", "default": "John"},
                "i": {"type": "integer", "default": 30},
                "n": {"type": "number", "default": 95.5},
                "e": {"type": "string", "enum": ["a", "b"], "default": "b"},
                "m": {"type": "array", "items": {"enum": ["x", "y"], "type": "string"}, "default": ["y"]},
                "b": {"type": "boolean", "default": true},
            }),
            &[],
        );
        let content = form.content().unwrap();
        let want = json!({"s": "John", "i": 30, "n": 95.5, "e": "b", "m": ["y"], "b": true});
        assert_eq!(Value::Object(content), want);
    }

    #[test]
    fn what_is_left_empty_is_not_sent_and_what_is_required_is_asked_for() {
        let mut form = form(json!({"a": {"type": "string"}, "b": {"type": "boolean"}}), &["b"]);
        assert!(form.content().is_err());
        assert_eq!(form.focus, FormFocus::Field(1));
        assert_eq!(form.fields[1].problem.as_deref(), Some("required"));
        keys(&mut form, "y");
        assert_eq!(form.fields[1].problem, None);
        assert_eq!(Value::Object(form.content().unwrap()), json!({"b": true}));
    }

    #[test]
    fn a_field_is_checked_when_it_is_left() {
        let mut form = form(json!({"n": {"type": "integer", "minimum": 3}, "s": {"type": "string"}}), &["n", "s"]);
        keys(&mut form, "2 tab");
        assert_eq!(form.fields[0].problem.as_deref(), Some("at least 3"));
        keys(&mut form, "tab");
        assert_eq!(form.fields[1].problem, None, "an empty field is not nagged about");
        keys(&mut form, "up up backspace 4.0 enter Ada enter");
        assert_eq!(form.focus, FormFocus::Button(FormButton::Submit));
        assert_eq!(Value::Object(form.content().unwrap()), json!({"n": 4, "s": "Ada"}));
    }

    #[test]
    fn choices_are_made_with_arrows_letters_and_space() {
        let mut form = form(
            json!({"c": {"type": "string", "oneOf": [{"const": "r", "title": "Red"}, {"const": "g", "title": "Green"}]},
                "m": {"type": "array", "items": {"type": "string", "enum": ["x", "y", "z"]}}}),
            &[],
        );
        keys(&mut form, "right right tab right space z space");
        assert_eq!(Value::Object(form.content().unwrap()), json!({"c": "g", "m": ["y", "z"]}));
        keys(&mut form, "backspace up r");
        assert_eq!(Value::Object(form.content().unwrap()), json!({"c": "r"}));
    }

    #[test]
    fn only_buttons_and_their_key_send() {
        let mut form = form(json!({"a": {"type": "string"}}), &[]);
        assert_eq!(keys(&mut form, "x enter"), FormKey::Moved);
        assert_eq!(keys(&mut form, "enter"), FormKey::Pressed(FormButton::Submit));
        assert_eq!(keys(&mut form, "right enter"), FormKey::Pressed(FormButton::Decline));
        assert_eq!(keys(&mut form, "right right enter"), FormKey::Pressed(FormButton::Cancel));
        assert_eq!(keys(&mut form, "up ctrl+s"), FormKey::Pressed(FormButton::Submit));
    }
}
