//! Conversations to Markdown, JSON and HTML; and back from JSON, and from what other programs hand out.
//!
//! # Invariants
//! - Pure text in, text out. The JSON form is versioned and loses nothing: reading what was printed gives the same
//!   conversation.
//! - The HTML form runs nothing and fetches nothing: all text is escaped, and a policy in its head forbids the rest.
//!
//! # Does not
//! Read or write files; know which secrets there are (the caller names them to [`Redactor`]); run or re-run anything
//! that an import holds.

pub mod escape;
mod html;
pub mod import;
mod json;
mod markdown;
mod redact;
mod rewrite;
mod share;

pub use html::{html, noted_html};
pub use json::{ImportError, json, parse, parse_tree, tree_json};
pub use markdown::{markdown, noted_markdown};
pub use redact::{REDACTED, Redactor};
pub use share::{Held, Share, Showing};

use std::collections::HashMap;

use crate::chat::{Body, CallId, Conversation, ToolCall, ToolOutcome};

/// The outcomes of a conversation by their calls.
fn outcomes(conversation: &Conversation) -> HashMap<&CallId, &ToolOutcome> {
    conversation
        .messages
        .iter()
        .filter_map(|message| match &message.body {
            Body::Tool(tool) => Some((&tool.call, &*tool.outcome)),
            Body::User(_) | Body::Assistant(_) => None,
        })
        .collect()
}

/// `server/tool`, else the name that the model used.
fn tool_name(call: &ToolCall) -> String {
    call.tool.as_ref().map_or_else(|| call.wire_name.clone(), crate::chat::ToolRef::path)
}

/// The title, else a stand-in.
fn title(conversation: &Conversation) -> &str {
    let title = conversation.summary.title.trim();
    if title.is_empty() { "Conversation" } else { title }
}

#[cfg(test)]
mod tests;
