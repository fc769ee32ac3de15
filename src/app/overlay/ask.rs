//! One line of text asked of a person: a title, a key, an address.

use crate::app::line::LineEdit;
use crate::chat::ConversationId;

#[derive(Clone, Debug)]
pub struct Ask {
    pub what: AskFor,
    pub line: LineEdit,
    /// Why the last answer was not taken.
    pub refused: Option<String>,
    /// The answer is being tried.
    pub busy: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskFor {
    Title(ConversationId),
    /// A key for this address; None: for OpenAI.
    Key {
        base_url: String,
    },
    Address,
    /// A system prompt for the turns to come.
    System,
}
