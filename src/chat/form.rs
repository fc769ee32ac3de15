//! The form that a server asks a person to fill in: its fields, read from the schema, and what a value must be.
//!
//! Source: MCP 2026-07-28, client/elicitation: a flat object of strings, numbers, booleans and choices.
//!
//! # Invariants
//! - A form that was read has at least one field, and each is of a kind that can be shown and checked.
//! - Checking takes linear time: patterns that would not are not checked, and a note says so.
//!
//! # Does not
//! Hold what a person types: that is the screen's.

use serde_json::{Map, Number, Value};

/// More fields than a person fills in.
const MOST_FIELDS: usize = 64;
/// More choices than a list shows.
const MOST_CHOICES: usize = 1_000;
/// A longer pattern is not checked.
const PATTERN_CHARS: usize = 1_000;
/// What a compiled pattern may take, bytes.
const PATTERN_SIZE: usize = 256 * 1024;

#[derive(Clone, Debug, PartialEq)]
pub struct Form {
    /// In the order in which the server wrote them.
    pub fields: Vec<Field>,
    /// What of the schema is not checked here.
    pub notes: Vec<String>,
}

/// Names, titles and descriptions are raw.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub name: String,
    pub title: Option<String>,
    pub description: Option<String>,
    pub required: bool,
    pub kind: FieldKind,
    /// Fits the kind; one that does not is left out when the form is read.
    pub default: Option<Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum FieldKind {
    Text(TextRule),
    Number {
        /// No fraction.
        whole: bool,
        least: Option<f64>,
        most: Option<f64>,
    },
    Flag,
    One(Vec<Choice>),
    Many {
        choices: Vec<Choice>,
        least: Option<u64>,
        most: Option<u64>,
    },
}

/// Lengths in characters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TextRule {
    pub least: Option<u64>,
    pub most: Option<u64>,
    /// Linear-time, and known to compile.
    pub pattern: Option<String>,
    pub format: Option<TextFormat>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFormat {
    Email,
    Uri,
    Date,
    DateTime,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub value: String,
    /// What is shown in its place.
    pub title: Option<String>,
}

impl Choice {
    #[must_use]
    pub fn label(&self) -> &str {
        self.title.as_deref().unwrap_or(&self.value)
    }
}

impl TextFormat {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "email" => Self::Email,
            "uri" => Self::Uri,
            "date" => Self::Date,
            "date-time" => Self::DateTime,
            _ => return None,
        })
    }

    /// What it looks like.
    #[must_use]
    pub fn example(self) -> &'static str {
        match self {
            Self::Email => "ada@example.org",
            Self::Uri => "https://example.org/page",
            Self::Date => "2026-07-28",
            Self::DateTime => "2026-07-28T09:30:00Z",
        }
    }

    fn fits(self, text: &str) -> bool {
        match self {
            Self::Email => is_email(text),
            Self::Uri => url::Url::parse(text).is_ok(),
            Self::Date => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
            Self::DateTime => text.parse::<jiff::Timestamp>().is_ok(),
        }
    }
}

fn is_email(text: &str) -> bool {
    let Some((local, host)) = text.rsplit_once('@') else { return false };
    let part = |part: &str| !part.is_empty() && !part.starts_with('-') && !part.ends_with('-');
    !local.is_empty()
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
        && !local.contains('@')
        && host.split('.').all(part)
}

impl Form {
    /// Reads a `requestedSchema`.
    ///
    /// # Errors
    /// One sentence where the schema is no flat form; it quotes names of the schema, raw.
    pub fn read(schema: &Value) -> Result<Self, String> {
        if schema.get("type").and_then(Value::as_str) != Some("object") {
            return Err("the schema of the form is not an object".into());
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        let properties = properties.filter(|fields| !fields.is_empty()).ok_or("the form has no fields")?;
        if properties.len() > MOST_FIELDS {
            return Err(format!("the form has more than {MOST_FIELDS} fields"));
        }
        let required: Vec<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let mut notes = Vec::new();
        let fields = properties
            .iter()
            .map(|(name, schema)| Field::read(name, schema, required.contains(&name.as_str()), &mut notes))
            .collect::<Result<_, _>>()?;
        Ok(Self { fields, notes })
    }

    /// Everything that keeps this content from being sent: a field's name, and why.
    #[must_use]
    pub fn problems(&self, content: &Map<String, Value>) -> Vec<(String, String)> {
        let mut problems: Vec<(String, String)> = self
            .fields
            .iter()
            .filter_map(|field| Some((field.name.clone(), field.check(content.get(&field.name)).err()?)))
            .collect();
        let stray = content.keys().filter(|key| self.fields.iter().all(|field| field.name != **key));
        problems.extend(stray.map(|key| (key.clone(), "the form has no such field".to_owned())));
        problems
    }
}

impl Field {
    fn read(name: &str, schema: &Value, required: bool, notes: &mut Vec<String>) -> Result<Self, String> {
        let text = |key: &str| schema.get(key).and_then(Value::as_str).map(str::to_owned);
        let kind = FieldKind::read(name, schema, notes)?;
        let mut field = Self {
            name: name.to_owned(),
            title: text("title"),
            description: text("description"),
            required,
            kind,
            default: None,
        };
        field.default = schema.get("default").filter(|default| field.check(Some(default)).is_ok()).cloned();
        Ok(field)
    }

    /// What the field is called on the screen; raw.
    #[must_use]
    pub fn label(&self) -> &str {
        self.title.as_deref().filter(|title| !title.trim().is_empty()).unwrap_or(&self.name)
    }

    /// Whether it seems to ask for what a form must never ask: a password, a key, a token.
    #[must_use]
    pub fn looks_secret(&self) -> bool {
        let said = [Some(self.name.as_str()), self.title.as_deref(), self.description.as_deref()];
        said.into_iter().flatten().any(looks_secret)
    }

    /// Whether a value may be sent; `None` stands for a field that was left empty.
    ///
    /// # Errors
    /// Why not, to be read beside the field.
    pub fn check(&self, value: Option<&Value>) -> Result<(), String> {
        let Some(value) = value else {
            return if self.required { Err("required".into()) } else { Ok(()) };
        };
        match &self.kind {
            FieldKind::Text(rule) => rule.check(value.as_str().ok_or("must be text")?),
            FieldKind::Number { whole, least, most } => {
                let number = value.as_f64().filter(|number| number.is_finite()).ok_or("must be a number")?;
                if *whole && number.fract() != 0.0 {
                    return Err("must be a whole number".into());
                }
                within(number, *least, *most)
            }
            FieldKind::Flag => value.as_bool().map(|_| ()).ok_or_else(|| "must be yes or no".into()),
            FieldKind::One(choices) => {
                let chosen = value.as_str().ok_or("must be one of the choices")?;
                if choices.iter().any(|choice| choice.value == chosen) {
                    Ok(())
                } else {
                    Err("must be one of the choices".into())
                }
            }
            FieldKind::Many { choices, least, most } => {
                let chosen = value.as_array().ok_or("must be a list of choices")?;
                let known = |value: &Value| choices.iter().any(|choice| Some(choice.value.as_str()) == value.as_str());
                if !chosen.iter().all(known) {
                    return Err("must hold only the choices".into());
                }
                let count = chosen.len() as u64;
                match (least, most) {
                    (Some(least), _) if count < *least => Err(format!("choose at least {least}")),
                    (_, Some(most)) if count > *most => Err(format!("choose at most {most}")),
                    _ => Ok(()),
                }
            }
        }
    }
}

impl FieldKind {
    fn read(name: &str, schema: &Value, notes: &mut Vec<String>) -> Result<Self, String> {
        let number = |key: &str| schema.get(key).and_then(Value::as_f64);
        let count = |key: &str| schema.get(key).and_then(Value::as_u64);
        match schema.get("type").and_then(Value::as_str) {
            Some("string") => match choices(name, schema)? {
                Some(choices) => Ok(Self::One(choices)),
                None => Ok(Self::Text(TextRule::read(name, schema, notes))),
            },
            Some(kind @ ("number" | "integer")) => {
                Ok(Self::Number { whole: kind == "integer", least: number("minimum"), most: number("maximum") })
            }
            Some("boolean") => Ok(Self::Flag),
            Some("array") => {
                let items = schema.get("items").unwrap_or(&Value::Null);
                let choices =
                    choices(name, items)?.ok_or_else(|| format!("the field {name:?} is a list without choices"))?;
                Ok(Self::Many { choices, least: count("minItems"), most: count("maxItems") })
            }
            Some(other) => Err(format!("the field {name:?} is of the type {other:?}, which a form cannot ask for")),
            // Choices without a type are texts: every value of them is one.
            None => match choices(name, schema)? {
                Some(choices) => Ok(Self::One(choices)),
                None => Err(format!("the field {name:?} has no type")),
            },
        }
    }
}

/// The choices of a schema in any of the protocol's ways to write them; None where it has none.
fn choices(name: &str, schema: &Value) -> Result<Option<Vec<Choice>>, String> {
    let bad = || format!("the choices of the field {name:?} cannot be read");
    let titled = ["oneOf", "anyOf"].into_iter().find_map(|key| schema.get(key));
    let choices: Vec<Choice> = if let Some(titled) = titled {
        let read = |choice: &Value| {
            let title = choice.get("title").and_then(Value::as_str).map(str::to_owned);
            Some(Choice { value: choice.get("const")?.as_str()?.to_owned(), title })
        };
        titled.as_array().and_then(|list| list.iter().map(read).collect()).ok_or_else(bad)?
    } else if let Some(values) = schema.get("enum") {
        // `enumNames` is how titles were written before 2025-11-25.
        let names = schema.get("enumNames").and_then(Value::as_array);
        let title = |at: usize| names.and_then(|names| names.get(at)?.as_str()).map(str::to_owned);
        let read = |(at, value): (usize, &Value)| Some(Choice { value: value.as_str()?.to_owned(), title: title(at) });
        values.as_array().and_then(|list| list.iter().enumerate().map(read).collect()).ok_or_else(bad)?
    } else {
        return Ok(None);
    };
    match choices.len() {
        0 => Err(format!("the field {name:?} has no choices")),
        1..=MOST_CHOICES => Ok(Some(choices)),
        _ => Err(format!("the field {name:?} has more than {MOST_CHOICES} choices")),
    }
}

impl TextRule {
    fn read(name: &str, schema: &Value, notes: &mut Vec<String>) -> Self {
        let count = |key: &str| schema.get(key).and_then(Value::as_u64);
        let word = |key: &str| schema.get(key).and_then(Value::as_str);
        let pattern = word("pattern").map(str::to_owned);
        let checked = pattern.clone().filter(|pattern| compiled(pattern).is_some());
        if pattern.is_some() && checked.is_none() {
            notes.push(format!("the pattern of {name:?} is not checked here"));
        }
        let format = word("format").and_then(TextFormat::of);
        if format.is_none() && word("format").is_some() {
            notes.push(format!("the format of {name:?} is not checked here"));
        }
        Self { least: count("minLength"), most: count("maxLength"), pattern: checked, format }
    }

    fn check(&self, text: &str) -> Result<(), String> {
        let length = text.chars().count() as u64;
        match (self.least, self.most) {
            (Some(least), _) if length < least => return Err(format!("at least {least} characters")),
            (_, Some(most)) if length > most => return Err(format!("at most {most} characters")),
            _ => {}
        }
        if let Some(format) = self.format.filter(|format| !format.fits(text)) {
            return Err(format!("must look like {}", format.example()));
        }
        match self.pattern.as_deref().and_then(|pattern| Some((pattern, compiled(pattern)?))) {
            Some((pattern, regex)) if !regex.is_match(text) => Err(format!("must match {pattern}")),
            _ => Ok(()),
        }
    }
}

fn compiled(pattern: &str) -> Option<regex::Regex> {
    let short = pattern.chars().nth(PATTERN_CHARS).is_none();
    short.then(|| regex::RegexBuilder::new(pattern).size_limit(PATTERN_SIZE).build().ok()).flatten()
}

fn within(number: f64, least: Option<f64>, most: Option<f64>) -> Result<(), String> {
    match (least, most) {
        (Some(least), _) if number < least => Err(format!("at least {least}")),
        (_, Some(most)) if number > most => Err(format!("at most {most}")),
        _ => Ok(()),
    }
}

/// What was typed for a number, as JSON writes it; a whole one without its fraction of noughts.
#[must_use]
pub fn number(text: &str, whole: bool) -> Option<Value> {
    let number: Number = serde_json::from_str(text.strip_prefix('+').unwrap_or(text)).ok()?;
    let float = number.as_f64().filter(|float| float.is_finite())?;
    // Beyond 2^53 a fraction cannot be told from none.
    if whole && number.is_f64() && float.fract() == 0.0 && float.abs() < 9.0e15 {
        return Some(Value::from(float as i64));
    }
    Some(Value::Number(number))
}

/// Whether a text names something that a form must not ask for.
#[must_use]
pub fn looks_secret(text: &str) -> bool {
    const WORDS: &[&str] = &["password", "passwd", "passphrase", "secret", "credential", "token", "cvv", "cvc"];
    const PAIRS: &[&str] = &["apikey", "accesskey", "privatekey", "pincode", "creditcard", "cardnumber", "seedphrase"];
    let plain: String = text.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
    WORDS.iter().chain(PAIRS).any(|word| plain.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn field(schema: Value) -> Field {
        let form = Form::read(&json!({"type": "object", "properties": {"f": schema}})).unwrap();
        form.fields.into_iter().next().unwrap()
    }

    fn problem(schema: Value, value: Value) -> Option<String> {
        field(schema).check(Some(&value)).err()
    }

    #[test]
    fn every_kind_of_field_is_read_and_checked() {
        let ok = |schema: Value, value: Value| assert_eq!(problem(schema, value), None);
        let bad = |schema: Value, value: Value, why: &str| assert_eq!(problem(schema, value).as_deref(), Some(why));
        let text = json!({"type": "string", "minLength": 2, "maxLength": 3, "pattern": "^[a-z]+$"});
        ok(text.clone(), json!("abc"));
        bad(text.clone(), json!("a"), "at least 2 characters");
        bad(text.clone(), json!("abcd"), "at most 3 characters");
        bad(text.clone(), json!("AB"), "must match ^[a-z]+$");
        bad(text, json!(7), "must be text");
        let number = json!({"type": "number", "minimum": 0, "maximum": 1.5});
        ok(number.clone(), json!(1.5));
        bad(number.clone(), json!(-1), "at least 0");
        bad(number, json!(2), "at most 1.5");
        ok(json!({"type": "integer"}), json!(42));
        bad(json!({"type": "integer"}), json!(4.2), "must be a whole number");
        ok(json!({"type": "boolean"}), json!(false));
        bad(json!({"type": "boolean"}), json!("no"), "must be yes or no");
        for choice in [
            json!({"type": "string", "enum": ["a", "b"]}),
            json!({"type": "string", "enum": ["a", "b"], "enumNames": ["A", "B"]}),
            json!({"type": "string", "oneOf": [{"const": "a", "title": "A"}, {"const": "b"}]}),
        ] {
            ok(choice.clone(), json!("b"));
            bad(choice, json!("A"), "must be one of the choices");
        }
        for items in [
            json!({"type": "string", "enum": ["a", "b", "c"]}),
            json!({"anyOf": [{"const": "a"}, {"const": "b"}, {"const": "c"}]}),
        ] {
            let many = json!({"type": "array", "minItems": 1, "maxItems": 2, "items": items});
            ok(many.clone(), json!(["a", "c"]));
            bad(many.clone(), json!([]), "choose at least 1");
            bad(many.clone(), json!(["a", "b", "c"]), "choose at most 2");
            bad(many, json!(["z"]), "must hold only the choices");
        }
    }

    #[test]
    fn formats_are_told_by_an_example() {
        for (format, good, wrong) in [
            ("email", "ada@example.org", "ada@"),
            ("uri", "mailto:ada@example.org", "example.org"),
            ("date", "2026-02-28", "2026-02-30"),
            ("date-time", "2026-02-28T10:00:00+01:00", "2026-02-28 at ten"),
        ] {
            let schema = json!({"type": "string", "format": format});
            assert_eq!(problem(schema.clone(), json!(good)), None, "{format}");
            let said = problem(schema, json!(wrong)).unwrap();
            assert!(said.starts_with("must look like "), "{said}");
        }
    }

    #[test]
    fn titles_of_choices_are_read_in_every_way_of_writing_them() {
        let labels = |schema| match field(schema).kind {
            FieldKind::One(choices) => choices.iter().map(|c| c.label().to_owned()).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(labels(json!({"type": "string", "enum": ["a"], "enumNames": ["Ay"]})), ["Ay"]);
        assert_eq!(labels(json!({"type": "string", "oneOf": [{"const": "a", "title": "Ay"}]})), ["Ay"]);
        assert_eq!(labels(json!({"enum": ["a"]})), ["a"]);
    }

    #[test]
    fn a_default_that_does_not_fit_is_no_default() {
        assert_eq!(field(json!({"type": "integer", "default": 42})).default, Some(json!(42)));
        assert_eq!(field(json!({"type": "integer", "default": "x"})).default, None);
        assert_eq!(field(json!({"type": "string", "enum": ["a"], "default": "b"})).default, None);
    }

    #[test]
    fn what_is_no_flat_form_is_refused_with_its_reason() {
        for (schema, why) in [
            (json!({"type": "array"}), "the schema of the form is not an object"),
            (json!({"type": "object", "properties": {}}), "the form has no fields"),
            (
                json!({"type": "object", "properties": {"a": {"type": "object"}}}),
                "the field \"a\" is of the type \"object\", which a form cannot ask for",
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}}),
                "the field \"a\" is a list without choices",
            ),
            (json!({"type": "object", "properties": {"a": {}}}), "the field \"a\" has no type"),
        ] {
            assert_eq!(Form::read(&schema).unwrap_err(), why);
        }
    }

    #[test]
    fn a_pattern_that_cannot_be_checked_in_linear_time_is_said_to_be_unchecked() {
        let schema = json!({"type": "object", "properties": {"f": {"type": "string", "pattern": "(?=a)a"}}});
        let form = Form::read(&schema).unwrap();
        assert_eq!(form.notes, ["the pattern of \"f\" is not checked here"]);
        assert_eq!(form.fields[0].check(Some(&json!("b"))), Ok(()));
    }

    #[test]
    fn what_is_missing_or_stray_is_a_problem() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            "required": ["a"]});
        let form = Form::read(&schema).unwrap();
        let content = json!({"c": 1}).as_object().cloned().unwrap();
        let problems = form.problems(&content);
        assert_eq!(problems, [("a".into(), "required".into()), ("c".into(), "the form has no such field".into())],);
    }

    #[test]
    fn fields_that_ask_for_secrets_are_known() {
        assert!(field(json!({"type": "string", "title": "API key"})).looks_secret());
        assert!(field(json!({"type": "string", "description": "Your GitHub token"})).looks_secret());
        assert!(!field(json!({"type": "string", "title": "Keyboard layout"})).looks_secret());
    }
}
