//! The lossless form: one JSON object with a format name and a version.
//!
//! Version 2 has the branches beside the shown one under `aside`; a file without any is of version 1.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::chat::{
    Answer, AnswerState, Body, CallId, Conversation, ConversationId, Message, MessageId, Part, Summary, ToolCall,
    ToolMessage, ToolOutcome, ToolRef, Tree, UnixMs,
};

const FORMAT: &str = "millrace.conversation";
const VERSION: u32 = 2;

/// Why a file is no conversation.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("the file is not a conversation that millrace exported: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("the file's format is {0:?}, not \"millrace.conversation\"")]
    Format(String),
    #[error("the file's version is {found}; this millrace reads up to {VERSION}")]
    Version { found: u32 },
}

/// What is read first, so that a newer file is named as such and not as broken.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    format: String,
    #[serde(default)]
    version: u32,
}

impl Head {
    fn fits(self) -> Result<(), ImportError> {
        if self.format != FORMAT {
            return Err(ImportError::Format(self.format));
        }
        if self.version > VERSION {
            return Err(ImportError::Version { found: self.version });
        }
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
struct File {
    format: String,
    version: u32,
    id: ConversationId,
    title: String,
    folder: String,
    model: String,
    base_url: String,
    system: Option<String>,
    created: UnixMs,
    updated: UnixMs,
    message_count: u32,
    calls: u32,
    failed_calls: u32,
    tokens: Option<u64>,
    pinned: bool,
    interrupted: bool,
    extra: Value,
    messages: Vec<Entry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aside: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    id: MessageId,
    parent: Option<MessageId>,
    at: UnixMs,
    #[serde(flatten)]
    said: Said,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
enum Said {
    User { parts: Vec<Part> },
    Assistant(Box<AnswerEntry>),
    Tool { call: CallId, outcome: ToolOutcome },
}

#[derive(Serialize, Deserialize)]
struct AnswerEntry {
    text: String,
    reasoning: String,
    refusal: String,
    calls: Vec<CallEntry>,
    model: String,
    origin: String,
    extra: Map<String, Value>,
    finish: Option<String>,
    state: AnswerState,
}

#[derive(Serialize, Deserialize)]
struct CallEntry {
    id: CallId,
    wire_id: Option<String>,
    index: u32,
    wire_name: String,
    tool: Option<ToolRef>,
    /// The exact text, not its value: it is what was shown and sent.
    arguments: Arc<str>,
    extra: Map<String, Value>,
}

/// Prints a conversation, indented.
///
/// # Errors
/// Only where a number in it cannot be JSON (a duration that is not finite).
pub fn json(conversation: &Conversation) -> Result<String, serde_json::Error> {
    print(conversation, &[])
}

/// The same with its other branches.
///
/// # Errors
/// As [`json`].
pub fn tree_json(tree: &Tree) -> Result<String, serde_json::Error> {
    print(&tree.shown, &tree.aside)
}

fn print(conversation: &Conversation, aside: &[Arc<Message>]) -> Result<String, serde_json::Error> {
    let summary = &conversation.summary;
    let file = File {
        format: FORMAT.into(),
        version: if aside.is_empty() { 1 } else { VERSION },
        id: summary.id.clone(),
        title: summary.title.clone(),
        folder: summary.folder.clone(),
        model: summary.model.clone(),
        base_url: conversation.base_url.clone(),
        system: conversation.system.clone(),
        created: summary.created,
        updated: summary.updated,
        message_count: summary.messages,
        calls: summary.calls,
        failed_calls: summary.failed_calls,
        tokens: summary.tokens,
        pinned: summary.pinned,
        interrupted: summary.interrupted,
        extra: conversation.extra.clone(),
        messages: conversation.messages.iter().map(|message| entry(message)).collect(),
        aside: aside.iter().map(|message| entry(message)).collect(),
    };
    serde_json::to_string_pretty(&file)
}

/// Reads what [`json`] printed; branches beside the shown one are left out.
///
/// # Errors
/// The text is something else, or was printed by a newer version.
pub fn parse(text: &str) -> Result<Conversation, ImportError> {
    parse_tree(text).map(|tree| tree.shown)
}

/// Reads what [`json`] or [`tree_json`] printed.
///
/// # Errors
/// As [`parse`].
pub fn parse_tree(text: &str) -> Result<Tree, ImportError> {
    let head: Head = serde_json::from_str(text)?;
    head.fits()?;
    Ok(tree(serde_json::from_str(text)?))
}

/// The same of a value that was read already.
///
/// # Errors
/// As [`parse`].
pub fn tree_of(value: Value) -> Result<Tree, ImportError> {
    let head = Head::deserialize(&value)?;
    head.fits()?;
    Ok(tree(serde_json::from_value(value)?))
}

fn tree(file: File) -> Tree {
    let aside = file.aside.into_iter().map(|entry| Arc::new(message(entry))).collect();
    let shown = Conversation {
        summary: Summary {
            id: file.id,
            title: file.title,
            folder: file.folder,
            model: file.model,
            created: file.created,
            updated: file.updated,
            messages: file.message_count,
            calls: file.calls,
            failed_calls: file.failed_calls,
            tokens: file.tokens,
            pinned: file.pinned,
            interrupted: file.interrupted,
        },
        base_url: file.base_url,
        system: file.system,
        messages: file.messages.into_iter().map(|entry| Arc::new(message(entry))).collect(),
        forks: Vec::new(),
        open_elsewhere: false,
        extra: file.extra,
    };
    Tree { shown, aside }
}

fn entry(message: &Message) -> Entry {
    let said = match &message.body {
        Body::User(parts) => Said::User { parts: parts.clone() },
        Body::Assistant(answer) => Said::Assistant(Box::new(AnswerEntry {
            text: answer.text.clone(),
            reasoning: answer.reasoning.clone(),
            refusal: answer.refusal.clone(),
            calls: answer.calls.iter().cloned().map(CallEntry::from).collect(),
            model: answer.model.clone(),
            origin: answer.origin.clone(),
            extra: answer.extra.clone(),
            finish: answer.finish.clone(),
            state: answer.state,
        })),
        Body::Tool(tool) => Said::Tool { call: tool.call.clone(), outcome: ToolOutcome::clone(&tool.outcome) },
    };
    Entry { id: message.id.clone(), parent: message.parent.clone(), at: message.at, said }
}

fn message(entry: Entry) -> Message {
    let body = match entry.said {
        Said::User { parts } => Body::User(parts),
        Said::Assistant(answer) => Body::Assistant(Answer {
            text: answer.text,
            reasoning: answer.reasoning,
            refusal: answer.refusal,
            calls: answer.calls.into_iter().map(ToolCall::from).collect(),
            model: answer.model,
            origin: answer.origin,
            extra: answer.extra,
            finish: answer.finish,
            state: answer.state,
        }),
        Said::Tool { call, outcome } => Body::Tool(ToolMessage { call, outcome: Arc::new(outcome) }),
    };
    Message { id: entry.id, parent: entry.parent, at: entry.at, body }
}

impl From<ToolCall> for CallEntry {
    fn from(call: ToolCall) -> Self {
        let ToolCall { id, wire_id, index, wire_name, tool, arguments, extra } = call;
        Self { id, wire_id, index, wire_name, tool, arguments, extra }
    }
}

impl From<CallEntry> for ToolCall {
    fn from(call: CallEntry) -> Self {
        let CallEntry { id, wire_id, index, wire_name, tool, arguments, extra } = call;
        Self { id, wire_id, index, wire_name, tool, arguments, extra }
    }
}
