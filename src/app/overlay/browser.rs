//! The browser of conversations, and the list of earlier prompts.

use std::sync::Arc;

use crate::app::event::HistoryRow;
use crate::app::line::LineEdit;
use crate::chat::{Conversation, ConversationId, MessageId};

#[derive(Clone, Debug, Default)]
pub struct Browser {
    pub search: LineEdit,
    /// The caret is in the field; else letters act on the list.
    pub editing: bool,
    pub filter: HistoryFilter,
    pub rows: Vec<HistoryRow>,
    pub total: usize,
    pub took_us: u64,
    pub selected: usize,
    /// The answer of this generation is awaited.
    pub loading: bool,
    pub fault: Option<String>,
    pub preview: Option<Preview>,
    /// A preview was asked for by hand, on a screen too narrow to show it beside.
    pub preview_full: bool,
    /// Deleted in this visit, newest last: `u` brings back.
    pub deleted: Vec<HistoryRow>,
    pub(crate) generation: u64,
    pub(crate) preview_generation: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryFilter {
    /// Only conversations of this folder.
    pub here: bool,
    pub model: Option<String>,
    pub sort: Sort,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    Updated,
    Created,
    Title,
}

#[derive(Clone, Debug)]
pub struct Preview {
    pub conversation: ConversationId,
    /// Where it opens.
    pub message: Option<MessageId>,
    /// None while it is read.
    pub content: Option<Arc<Conversation>>,
    /// First visible line; None: at the match, else the end.
    pub scroll: Option<usize>,
    /// Which of the matches, from 0.
    pub at: usize,
}

/// Earlier prompts (ctrl+r again).
#[derive(Clone, Debug, Default)]
pub struct Prompts {
    pub search: LineEdit,
    pub rows: Vec<String>,
    pub selected: usize,
    pub loading: bool,
    pub(crate) generation: u64,
}
