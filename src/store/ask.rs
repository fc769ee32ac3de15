//! What the store is asked, and what it answers: plain data.

use std::path::PathBuf;
use std::time::Duration;

use crate::chat::{ConversationId, Hit, Summary, UnixMs};

/// How a store is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Read and write; created where there is none.
    Write,
    /// Read only, never created, never migrated; works on a read-only disk.
    Read,
}

/// One page of the list of conversations.
#[derive(Clone, Debug)]
pub struct Page {
    /// Words and operators as in a search; only the operators count here. Empty: all.
    pub filter: String,
    /// Only conversations of this folder.
    pub folder: Option<String>,
    /// Those that were deleted and are still kept, instead of the others.
    pub deleted: bool,
    pub sort: Sort,
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<Cursor>,
}

impl Default for Page {
    fn default() -> Self {
        Self { filter: String::new(), folder: None, deleted: false, sort: Sort::Updated, limit: 100, after: None }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Newest change first.
    #[default]
    Updated,
    /// Newest first.
    Created,
    /// By title, A first.
    Title,
}

/// The place of a row in a sorted list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub(super) ConversationId);

impl Cursor {
    /// The place just behind this row.
    #[must_use]
    pub fn behind(row: &Summary) -> Self {
        Self(row.id.clone())
    }
}

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct SearchPage {
    /// Newest conversation first.
    pub hits: Vec<Hit>,
    /// How many conversations match, as far as was looked.
    pub total: usize,
    /// There may be more than `total`: the query is broad and only the newest matches were looked at.
    pub more: bool,
    pub took: Duration,
}

/// Whether a conversation may be written by this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is ours until it is released or this process ends.
    Ours,
    /// Another living process has it open.
    Held { pid: u32, since: UnixMs },
}

/// What an erasure did beside taking the conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// How many copies of earlier versions of the store went with it.
    pub copies: usize,
    /// Another process reads the store at this moment, so that SQLite's log (encrypted by nothing, readable by its owner
    /// alone) still holds what was erased; it is emptied as soon as nobody reads.
    pub log_is_read: bool,
    /// Damaged files that were set aside: they are kept on purpose and may have it, too.
    pub damaged: Vec<PathBuf>,
}

impl Erased {
    /// What the person should know beside that it is gone; raw.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.copies > 0 {
            remarks.push("The copy of the store from before its last upgrade had it, too, and is gone.".to_owned());
        }
        if self.log_is_read {
            remarks.push("Another millrace reads the store: its log is emptied once that has ended.".to_owned());
        }
        for file in &self.damaged {
            remarks.push(format!("A damaged store that was set aside may still have it: {}", file.display()));
        }
        remarks
    }
}

/// How large the file is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub bytes: u64,
    /// How much of that holds nothing.
    pub free: u64,
}

/// Whose draft a text is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DraftOf {
    /// Of a conversation that exists.
    Conversation(ConversationId),
    /// Of the next new conversation in a folder.
    Folder(String),
}

/// A text that was typed and not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    pub owner: DraftOf,
    pub text: String,
    pub at: UnixMs,
}

/// What was learnt of an endpoint and model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learnt {
    pub key: String,
    /// A small JSON text.
    pub value: String,
}
