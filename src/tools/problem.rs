//! What is wrong with a value, in sentences.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value;

/// How many problems are told.
const MOST_PROBLEMS: usize = 5;

/// One thing that is wrong with a value, for the model and the person alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// JSON pointer into the value; empty for the whole.
    pub path: String,
    /// A sentence.
    pub message: String,
}

/// The first few of a validator's errors; never empty.
pub(super) fn problems<'a>(errors: impl Iterator<Item = ValidationError<'a>>) -> Vec<Problem> {
    let mut problems: Vec<Problem> = errors
        .take(MOST_PROBLEMS)
        .map(|error| Problem { path: error.instance_path().as_str().to_owned(), message: sentence(&error) })
        .collect();
    if problems.is_empty() {
        problems.push(Problem { path: String::new(), message: "It does not match the schema.".to_owned() });
    }
    problems
}

/// A message of somebody else's, held to a length that fits a line or two.
pub(super) fn short(message: &impl std::fmt::Display) -> String {
    let text = message.to_string();
    match text.char_indices().nth(200) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", short(&text))
}

pub(super) fn shown(value: &Value) -> String {
    quoted(&value.to_string())
}

fn list(names: &[String]) -> String {
    let mut out = names.iter().take(5).map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    if names.len() > 5 {
        out.push_str(&format!(" and {} more", names.len() - 5));
    }
    out
}

/// One problem as a sentence that a model can act on.
fn sentence(error: &ValidationError<'_>) -> String {
    use ValidationErrorKind as Kind;
    match error.kind() {
        Kind::Required { property } => format!("The property {} is required.", shown(property)),
        Kind::Type { kind: TypeKind::Single(expected) } => {
            format!("It must be of type {expected}, and is {}.", shown(error.instance()))
        }
        Kind::Type { kind: TypeKind::Multiple(_) } => format!("It has the wrong type: {}.", short(error)),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            format!("There is no such property: {}.", list(unexpected))
        }
        Kind::Enum { options } => format!("It must be one of {}, and is {}.", short(options), shown(error.instance())),
        Kind::Constant { expected_value } => format!("It must be {}.", short(expected_value)),
        Kind::Minimum { limit } => format!("It must be at least {limit}."),
        Kind::Maximum { limit } => format!("It must be at most {limit}."),
        Kind::ExclusiveMinimum { limit } => format!("It must be more than {limit}."),
        Kind::ExclusiveMaximum { limit } => format!("It must be less than {limit}."),
        Kind::MinLength { limit } => format!("It must have at least {limit} characters."),
        Kind::MaxLength { limit } => format!("It must have at most {limit} characters."),
        Kind::MinItems { limit } => format!("It must have at least {limit} items."),
        Kind::MaxItems { limit } => format!("It must have at most {limit} items."),
        Kind::MinProperties { limit } => format!("It must have at least {limit} properties."),
        Kind::MaxProperties { limit } => format!("It must have at most {limit} properties."),
        Kind::UniqueItems => "Its items must differ from each other.".to_owned(),
        Kind::Pattern { pattern } => format!("It must match the pattern {}.", quoted(pattern)),
        Kind::AnyOf { .. } => "It matches none of the forms that the schema allows here.".to_owned(),
        Kind::OneOfNotValid { .. } => "It matches none of the forms of which it must match one.".to_owned(),
        Kind::OneOfMultipleValid { .. } => "It matches several of the forms of which it must match one.".to_owned(),
        Kind::FalseSchema => "Nothing is allowed here.".to_owned(),
        // The rest is rare: the validator's own words, without the value.
        _ => format!("It does not match the schema: {}.", short(&error.masked())),
    }
}
