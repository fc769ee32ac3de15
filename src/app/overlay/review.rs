//! The review: a person decides on one call, with its exact bytes on the screen.

use std::sync::Arc;

use crate::app::line::LineEdit;
use crate::chat::{CallId, Review, Stamp, TurnId};

#[derive(Clone, Debug)]
pub struct ReviewBox {
    pub turn: TurnId,
    pub review: Arc<Review>,
    /// When it opened.
    pub opened: Stamp,
    /// Keys are ignored until here, microseconds of the process; each ignored key moves it.
    pub deaf_until_us: u64,
    /// The last line of the arguments has been on the screen, for these very bytes.
    pub end_seen: bool,
    /// First visible line of the arguments.
    pub scroll: usize,
    pub full: bool,
    pub pretty: bool,
    pub step: ReviewStep,
    /// Why the last key did nothing.
    pub refused: Option<&'static str>,
    /// How many wait in all, this one included; and its place among them from 1.
    pub waiting: usize,
    pub place: usize,
    /// Another number for other bytes on the screen: the layout hands it back with what was visible.
    pub revision: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReviewStep {
    Choose,
    /// `d`: why.
    Reason(LineEdit),
    /// `A`: the rule is shown, and `A` again adds it.
    Rule {
        rule: String,
    },
    /// `e`: arguments came back from the editor, changed; they are shown in place of the model's.
    Edited {
        arguments: String,
        fault: Option<String>,
    },
}

impl ReviewBox {
    #[must_use]
    pub fn call(&self) -> &CallId {
        &self.review.call
    }

    /// The arguments on the screen: the model's, or those that a person wrote.
    #[must_use]
    pub fn shown(&self) -> &str {
        match &self.step {
            ReviewStep::Edited { arguments, .. } => arguments,
            ReviewStep::Choose | ReviewStep::Reason(_) | ReviewStep::Rule { .. } => &self.review.arguments,
        }
    }
}
