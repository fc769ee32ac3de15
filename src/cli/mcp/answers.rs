//! What a server asks of the person while a call runs by hand: asked at the terminal, answered line by line.
//!
//! # Invariants
//! - What was typed before a question was shown is no answer to it.
//! - Nothing of a form is sent before the whole of it was shown and sent by a word of the person; the end of input sends
//!   nothing.
//! - An address is shown whole and never opened.

use serde_json::{Map, Value};

use crate::chat::{
    Choice, Field, FieldKind, Form, Inquiry, InquiryAnswer, InquiryEnd, InquiryId, Question, Root, ServerName, number,
};
use crate::headless::Questions;
use crate::text::visible;

use super::show::{escaped, shown};

/// Leaves a form, wherever one is in it.
const DECLINE: &str = "/no";

/// The terminal, and the question that stands on it.
pub(super) struct Answers {
    terminal: Option<Questions>,
    open: Option<Open>,
}

struct Open {
    id: InquiryId,
    server: ServerName,
    asked: Asked,
}

enum Asked {
    /// The field of this place is asked for; behind the last one, whether all of it is sent.
    Form {
        form: Form,
        at: usize,
        content: Map<String, Value>,
    },
    Address,
    Roots,
}

/// What becomes of a question.
enum Next {
    /// Say this, and wait for a line.
    Say(String),
    Answer(InquiryAnswer),
}

impl Answers {
    /// Somebody is there where standard error is a terminal, and so is standard input or the one that controls us.
    pub(super) fn open() -> Self {
        Self { terminal: Questions::open(), open: None }
    }

    pub(super) fn attended(&self) -> bool {
        self.terminal.is_some()
    }

    /// A question is to be answered. An answer that comes back needs no person.
    pub(super) fn ask(&mut self, inquiry: Inquiry) -> Option<(InquiryId, InquiryAnswer)> {
        let Inquiry { id, server, question, call: _, limit: _, behind: _ } = inquiry;
        let decline = |what: &str| {
            eprintln!("asks      it wants {what}, which was declined: the chat screen can answer that");
            Some((id, InquiryAnswer::Decline))
        };
        let (asked, text) = match question {
            Question::Form { message, form } => {
                let text = head(&server, &message, &form);
                (Asked::Form { form, at: 0, content: Map::new() }, text)
            }
            Question::Address { message, url, elicitation: _ } => (Asked::Address, address(&server, &message, &url)),
            Question::Roots(roots) => (Asked::Roots, folders(&server, &roots)),
            Question::Sample(_) => return decline("an answer of a model"),
        };
        if let Some(terminal) = &mut self.terminal {
            terminal.discard();
        }
        eprintln!("{text}");
        let open = Open { id, server, asked };
        eprint!("{}", open.prompt());
        self.open = Some(open);
        None
    }

    /// A question is over: who typed at it is told.
    pub(super) fn over(&mut self, id: InquiryId, end: InquiryEnd) {
        if let Some(open) = self.open.take_if(|open| open.id == id) {
            eprintln!();
            if let Some(message) = end.message() {
                eprintln!("asks      {} {message}", open.server.as_str());
            }
        }
    }

    /// The next line for the question that stands; never, where none does. Cancel-safe.
    pub(super) async fn line(&mut self) -> Option<String> {
        match (&mut self.terminal, &self.open) {
            (Some(terminal), Some(_)) => terminal.line(false).await,
            (Some(_) | None, _) => std::future::pending().await,
        }
    }

    /// Takes a line; None is the end of input.
    pub(super) fn take(&mut self, line: Option<String>) -> Option<(InquiryId, InquiryAnswer)> {
        let open = self.open.as_mut()?;
        let next = match line {
            // Nobody can answer any more.
            None => Next::Answer(InquiryAnswer::Cancel),
            Some(line) => open.take(line.trim_end_matches(['\r', '\n'])),
        };
        match next {
            Next::Say(text) => {
                if !text.is_empty() {
                    eprintln!("{text}");
                }
                eprint!("{}", open.prompt());
                None
            }
            Next::Answer(answer) => {
                let id = open.id;
                self.open = None;
                Some((id, answer))
            }
        }
    }
}

impl Open {
    fn prompt(&self) -> String {
        match &self.asked {
            Asked::Form { form, at, content } => match form.fields.get(*at) {
                Some(field) => field_prompt(field),
                None => {
                    let whole = serde_json::to_string_pretty(&Value::Object(content.clone())).unwrap_or_default();
                    let whole = escaped(&whole);
                    format!("{whole}\nSend this to {:?}? [y] send  [e] once more  [n] decline  ", self.server.as_str())
                }
            },
            Asked::Roots => "[y] tell it this once  [s] and whenever it asks  [n] decline  ".to_owned(),
            Asked::Address => "[y] you agree, and open it yourself  [n] decline  ".to_owned(),
        }
    }

    fn take(&mut self, line: &str) -> Next {
        match &mut self.asked {
            Asked::Address => match line.trim() {
                "y" => Next::Answer(InquiryAnswer::Accept(Map::new())),
                "n" | DECLINE => Next::Answer(InquiryAnswer::Decline),
                _ => Next::Say("y or n.".to_owned()),
            },
            Asked::Roots => match line.trim() {
                word @ ("y" | "s") => Next::Answer(InquiryAnswer::Tell { lasting: word == "s" }),
                "n" | DECLINE => Next::Answer(InquiryAnswer::Decline),
                _ => Next::Say("y, s or n.".to_owned()),
            },
            Asked::Form { form, at, content } => {
                if line.trim() == DECLINE {
                    return Next::Answer(InquiryAnswer::Decline);
                }
                let Some(field) = form.fields.get(*at) else {
                    return match line.trim() {
                        "y" => Next::Answer(InquiryAnswer::Accept(std::mem::take(content))),
                        "n" => Next::Answer(InquiryAnswer::Decline),
                        "e" => {
                            *at = 0;
                            content.clear();
                            Next::Say(String::new())
                        }
                        _ => Next::Say("y, e or n.".to_owned()),
                    };
                };
                match read(field, line).and_then(|value| field.check(value.as_ref()).map(|()| value)) {
                    Ok(value) => {
                        content.extend(value.map(|value| (field.name.clone(), value)));
                        *at += 1;
                        Next::Say(String::new())
                    }
                    Err(why) => Next::Say(format!("  ! {}", shown(&why))),
                }
            }
        }
    }
}

/// Who asks, in their words, and how it is answered.
fn head(server: &ServerName, message: &str, form: &Form) -> String {
    let mut text = format!("\n{:?} asks you: {}\n", server.as_str(), visible(message));
    for note in &form.notes {
        text.push_str(&format!("  note: {}\n", shown(note)));
    }
    text.push_str(&format!("Enter takes what stands in [ ], or leaves the field out. {DECLINE} declines all of it."));
    text
}

fn address(server: &ServerName, message: &str, url: &str) -> String {
    format!("\n{:?} asks you to visit an address: {}\n  {}", server.as_str(), visible(message), shown(url))
}

/// What it would be told, whole.
fn folders(server: &ServerName, roots: &[Root]) -> String {
    let mut text = format!("\n{:?} wants to know your folders. It would be told:", server.as_str());
    for root in roots {
        let name = root.name.as_deref().map(|name| format!("  ({})", shown(name))).unwrap_or_default();
        text.push_str(&format!("\n  {}{name}", shown(&root.uri)));
    }
    text
}

/// A field, what it takes, and its default.
fn field_prompt(field: &Field) -> String {
    let mut text = format!("  {}", shown(field.label()));
    if field.required {
        text.push_str(" (required)");
    }
    if let Some(description) = &field.description {
        text.push_str(&format!(": {}", shown(description)));
    }
    if field.looks_secret() {
        text.push_str("\n    ! This seems to ask for a secret. A form must not; what you type is sent as it is.");
    }
    match &field.kind {
        FieldKind::One(choices) => text.push_str(&format!("{}\n    one of them", listed(choices))),
        FieldKind::Many { choices, .. } => text.push_str(&format!("{}\n    any of them, as 1, 3", listed(choices))),
        FieldKind::Flag => text.push_str(" (y or n)"),
        FieldKind::Text(rule) => {
            if let Some(format) = rule.format {
                text.push_str(&format!(" (like {})", format.example()));
            }
        }
        FieldKind::Number { .. } => {}
    }
    match &field.default {
        Some(default) => text.push_str(&format!(" [{}]: ", shown(&default_words(&field.kind, default)))),
        None => text.push_str(": "),
    }
    text
}

fn listed(choices: &[Choice]) -> String {
    choices.iter().enumerate().map(|(at, choice)| format!("\n    {}  {}", at + 1, shown(choice.label()))).collect()
}

fn default_words(kind: &FieldKind, value: &Value) -> String {
    match value {
        Value::String(text) => {
            let choices: &[Choice] = match kind {
                FieldKind::One(choices) | FieldKind::Many { choices, .. } => choices,
                FieldKind::Text(_) | FieldKind::Number { .. } | FieldKind::Flag => &[],
            };
            let chosen = choices.iter().find(|choice| choice.value == *text);
            chosen.map_or(text.as_str(), Choice::label).to_owned()
        }
        Value::Bool(yes) => if *yes { "y" } else { "n" }.to_owned(),
        Value::Array(values) => values.iter().map(|value| default_words(kind, value)).collect::<Vec<_>>().join(", "),
        Value::Null | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

/// What a line means for a field; None: it is left out.
fn read(field: &Field, line: &str) -> Result<Option<Value>, String> {
    let word = line.trim();
    if word.is_empty() {
        return Ok(field.default.clone());
    }
    Ok(Some(match &field.kind {
        FieldKind::Text(_) => Value::String(line.to_owned()),
        FieldKind::Number { whole, .. } => number(word, *whole).ok_or("must be a number")?,
        FieldKind::Flag => match word {
            "y" | "yes" | "true" => Value::Bool(true),
            "n" | "no" | "false" => Value::Bool(false),
            _ => return Err("y or n".to_owned()),
        },
        FieldKind::One(choices) => Value::String(choice(choices, word)?),
        FieldKind::Many { choices, .. } => {
            let mut chosen = Vec::new();
            for word in word.split(',').map(str::trim).filter(|word| !word.is_empty()) {
                let value = Value::String(choice(choices, word)?);
                if !chosen.contains(&value) {
                    chosen.push(value);
                }
            }
            Value::Array(chosen)
        }
    }))
}

/// A choice by its words or its value, else by its number in the list.
fn choice(choices: &[Choice], word: &str) -> Result<String, String> {
    let by_name = choices.iter().find(|choice| choice.value == word || choice.label() == word);
    let by_number = || word.parse::<usize>().ok().and_then(|number| choices.get(number.checked_sub(1)?));
    match by_name.or_else(by_number) {
        Some(choice) => Ok(choice.value.clone()),
        None => Err(format!("{word} is none of the choices: a number from 1 to {}", choices.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn open(schema: &Value) -> Open {
        let form = Form::read(schema).unwrap();
        let asked = Asked::Form { form, at: 0, content: Map::new() };
        Open { id: InquiryId(1), server: ServerName::new("s"), asked }
    }

    /// Types lines; what was sent, or what was said last.
    fn typed(schema: &Value, lines: &[&str]) -> Result<InquiryAnswer, String> {
        let mut open = open(schema);
        let mut last = String::new();
        for line in lines {
            match open.take(line) {
                Next::Say(text) => last = format!("{text}{}", open.prompt()),
                Next::Answer(answer) => return Ok(answer),
            }
        }
        Err(last)
    }

    fn all() -> Value {
        json!({"type": "object", "required": ["name", "tags"], "properties": {
            "name": {"type": "string", "minLength": 2},
            "age": {"type": "integer", "minimum": 1, "default": 7},
            "ok": {"type": "boolean"},
            "colour": {"type": "string", "enum": ["r", "g"], "enumNames": ["Red", "Green"]},
            "tags": {"type": "array", "items": {"type": "string", "enum": ["a", "b", "c"]}},
        }})
    }

    #[test]
    fn every_kind_of_field_is_read_checked_and_sent_only_by_a_word() {
        let lines = ["x", "Ada", "", "maybe", "y", "9", "Green", "", "1, c", ""];
        let shown = typed(&all(), &lines).unwrap_err();
        assert!(shown.starts_with("y, e or n.") && shown.contains("Send this to \"s\"?"), "{shown}");
        let sent = typed(&all(), &[&lines[..], &["y"]].concat()).unwrap();
        let content = json!({"name": "Ada", "age": 7, "ok": true, "colour": "g", "tags": ["a", "c"]});
        assert_eq!(sent, InquiryAnswer::Accept(content.as_object().unwrap().clone()));
    }

    #[test]
    fn a_problem_is_said_and_asked_again() {
        assert!(typed(&all(), &[""]).unwrap_err().starts_with("  ! required  name (required): "));
        assert!(typed(&all(), &["Ada", "0"]).unwrap_err().contains("at least 1"));
        assert!(typed(&all(), &["Ada", "many"]).unwrap_err().contains("must be a number"));
        assert!(typed(&all(), &["Ada", "", "", "blue"]).unwrap_err().contains("blue is none of the choices"));
    }

    #[test]
    fn it_is_declined_anywhere_and_begun_again_at_the_end() {
        assert_eq!(typed(&all(), &["Ada", "/no"]), Ok(InquiryAnswer::Decline));
        let one = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        assert_eq!(typed(&one, &["x", "n"]), Ok(InquiryAnswer::Decline));
        let content = json!({"a": "z"});
        assert_eq!(typed(&one, &["x", "e", "z", "y"]), Ok(InquiryAnswer::Accept(content.as_object().unwrap().clone())));
    }

    #[test]
    fn what_a_server_wrote_is_harmless_and_a_secret_is_warned_of() {
        let form = json!({"type": "object", "properties": {"pin": {"type": "string", "title": "Password\u{1b}[2J"}}});
        let prompt = open(&form).prompt();
        assert!(!prompt.contains('\u{1b}') && prompt.contains("seems to ask for a secret"), "{prompt}");
        let text = address(&ServerName::new("s"), "go", "https://a.example/\u{202e}x");
        assert!(text.ends_with("  https://a.example/<U+202E>x"), "{text}");
        let root = Root { uri: "file:///a\u{1b}[2J\u{202e}x".into(), name: Some("a\u{9b}31m".into()) };
        let text = folders(&ServerName::new("s"), &[root]);
        assert!(text.ends_with("  file:///a<ESC>[2J<U+202E>x  (a<U+009B>31m)"), "{text}");
        let mut open = Open { id: InquiryId(1), server: ServerName::new("s"), asked: Asked::Roots };
        assert!(matches!(open.take(""), Next::Say(_)));
        assert!(matches!(open.take("s"), Next::Answer(InquiryAnswer::Tell { lasting: true })));
        let mut open = Open { id: InquiryId(1), server: ServerName::new("s"), asked: Asked::Address };
        assert!(matches!(open.take(""), Next::Say(_)));
        assert!(matches!(open.take("y"), Next::Answer(InquiryAnswer::Accept(content)) if content.is_empty()));
    }
}
