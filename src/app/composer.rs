//! The composer: the text being written, its paste chips, attachments, completion, recall.

use tui_textarea::TextArea;

use crate::chat::Part;

#[derive(Clone, Debug, Default)]
pub struct Composer {
    pub area: TextArea<'static>,
    pub chips: Vec<Chip>,
    pub attachments: Vec<Attachment>,
    pub completion: Option<Completion>,
    /// Earlier prompts of this session and folder, newest last.
    pub history: Vec<String>,
    /// Which of them is shown, and the draft that it replaced.
    pub recall: Option<(usize, String)>,
    /// What the draft answers instead of the newest message: an edit or a branch, by the key of its entry.
    pub branch: Option<Branch>,
    pub(super) chip_number: u32,
    pub(super) draft_generation: u64,
    pub(super) files_generation: u64,
    /// ctrl+x was pressed.
    pub(super) prefix: bool,
}

/// A long paste, shown as one line and sent in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chip {
    /// As it stands in the text: `[Pasted text 1: 214 lines, 9.8 KB]`.
    pub label: String,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Attachment {
    /// As it stands in the text: `@src/retry.rs`.
    pub label: String,
    pub path: String,
    /// None while it is read.
    pub part: Option<Part>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    pub kind: CompletionKind,
    /// What is being completed, without its sign.
    pub word: String,
    pub rows: Vec<CompletionRow>,
    pub selected: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompletionKind {
    Command,
    File,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletionRow {
    /// What is inserted.
    pub text: String,
    pub note: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The message that the new one answers; None: the conversation's beginning.
    pub parent: Option<crate::chat::MessageId>,
    /// The entry from which it branches.
    pub key: u64,
}
