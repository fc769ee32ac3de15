//! Conversations from files: our own JSON, and the data exports of ChatGPT and Claude.
//!
//! [`Elements`] takes a file apart while it is read; [`read`] makes conversations of one of its objects, whatever the file
//! was called: each format is known by its shape.
//!
//! # Invariants
//! - One object is in memory at a time. What is wrong with one takes nothing from the others.
//! - What comes out is history: calls have outcomes, and nothing in it is a grant, a definition's pin or an approval.
//!
//! # Does not
//! Read files or archives; know what was imported before.

mod chatgpt;
mod claude;
mod elements;
mod growth;

use serde_json::{Map, Value};

use super::json::{self, ImportError};
use crate::chat::{Origin, Tree};

pub use elements::{Broken, Element, Elements};

/// Which program wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Millrace,
    ChatGpt,
    Claude,
}

impl Source {
    /// As it stands in [`Origin`] and in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Millrace => "millrace",
            Self::ChatGpt => "chatgpt",
            Self::Claude => "claude",
        }
    }

    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Millrace => "millrace",
            Self::ChatGpt => "ChatGPT",
            Self::Claude => "Claude",
        }
    }
}

/// What of a conversation could not be taken over, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Pictures, sounds and videos: such files lie beside the conversations, under other names.
    pub media: u32,
    /// Attached files whose text the export does not hold.
    pub files: u32,
    /// Messages that their program did not show.
    pub hidden: u32,
    /// Messages that could not be read, or that are of a kind that is not known.
    pub unread: u32,
}

impl Left {
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what was left of another.
    pub fn add(&mut self, other: Self) {
        for (sum, more) in [
            (&mut self.media, other.media),
            (&mut self.files, other.files),
            (&mut self.hidden, other.hidden),
            (&mut self.unread, other.unread),
        ] {
            *sum = sum.saturating_add(more);
        }
    }

    /// For people: `2 pictures or sounds, 1 message that was hidden`; empty where it is nothing.
    #[must_use]
    pub fn words(&self) -> String {
        let parts = [
            (self.media, "picture or sound", "pictures or sounds"),
            (self.files, "attached file", "attached files"),
            (self.hidden, "hidden message", "hidden messages"),
            (self.unread, "message of an unknown kind", "messages of unknown kinds"),
        ];
        let said: Vec<String> = parts
            .iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, one, many)| format!("{count} {}", if *count == 1 { one } else { many }))
            .collect();
        said.join(", ")
    }
}

/// A conversation as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    pub source: Source,
    pub tree: Tree,
    /// Where it came from; None for our own, whose id is its own.
    pub origin: Option<Origin>,
    pub left: Left,
}

/// Why an object is no conversation.
#[derive(Debug, thiserror::Error)]
pub enum ItemError {
    #[error("it is not JSON: {0}")]
    Json(serde_json::Error),
    #[error("it is no conversation that millrace knows")]
    Unknown,
    #[error("{0}")]
    Own(ImportError),
    #[error("it has no messages")]
    Empty,
    #[error("{0}")]
    Malformed(&'static str),
}

/// An object that is no conversation, with what it was called, as far as that can be told; raw.
#[derive(Debug)]
pub struct Unread {
    pub title: String,
    pub error: ItemError,
}

/// Reads one object of a file: a conversation, or a wrapper of several (`conversations`).
#[must_use]
pub fn read(item: &[u8]) -> Vec<Result<Imported, Unread>> {
    match serde_json::from_slice::<Value>(item) {
        Err(error) => vec![Err(Unread { title: String::new(), error: ItemError::Json(error) })],
        Ok(Value::Object(mut map)) => match map.remove("conversations") {
            Some(Value::Array(items)) if form(&map).is_none() => items.into_iter().map(one).collect(),
            Some(other) => {
                map.insert("conversations".into(), other);
                vec![object(map)]
            }
            None => vec![object(map)],
        },
        Ok(_) => vec![Err(Unread { title: String::new(), error: ItemError::Unknown })],
    }
}

fn one(value: Value) -> Result<Imported, Unread> {
    match value {
        Value::Object(map) => object(map),
        _ => Err(Unread { title: String::new(), error: ItemError::Unknown }),
    }
}

/// The marks of each format.
fn form(map: &Map<String, Value>) -> Option<Source> {
    match map {
        map if map.get("mapping").is_some_and(Value::is_object) => Some(Source::ChatGpt),
        map if map.get("chat_messages").is_some_and(Value::is_array) => Some(Source::Claude),
        map if map.get("format").is_some_and(Value::is_string) => Some(Source::Millrace),
        _ => None,
    }
}

fn object(map: Map<String, Value>) -> Result<Imported, Unread> {
    let title = ["title", "name"].iter().find_map(|key| map.get(*key)?.as_str()).unwrap_or_default().to_owned();
    let read = match form(&map) {
        Some(Source::ChatGpt) => chatgpt::read(&map),
        Some(Source::Claude) => claude::read(&map),
        Some(Source::Millrace) => own(map),
        None => Err(ItemError::Unknown),
    };
    read.map_err(|error| Unread { title, error })
}

/// A file of this form can be anybody's: which role and which tools the conversation goes on with, and that it stands for
/// one of another program, are not for it to say.
fn own(map: Map<String, Value>) -> Result<Imported, ItemError> {
    let mut tree = json::tree_of(Value::Object(map)).map_err(ItemError::Own)?;
    if let Value::Object(extra) = &mut tree.shown.extra {
        [Origin::KEY, "role", "toolset"].iter().for_each(|key| drop(extra.remove(*key)));
    }
    Ok(Imported { source: Source::Millrace, tree, origin: None, left: Left::default() })
}

#[cfg(test)]
mod tests;
