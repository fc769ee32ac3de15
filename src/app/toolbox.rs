//! What the model is offered: how the tools of all servers stand, and what was switched for this conversation.

use std::sync::Arc;

use super::effect::Effect;
use super::state::State;
use crate::chat::{FindTools, Order, ServerName, ToolRow, Toolset, TurnSettings};

#[derive(Clone, Debug, Default)]
pub struct Toolbox {
    /// By server, in listing order.
    pub rows: Arc<[ToolRow]>,
    /// What a person switched in this conversation.
    pub toolset: Toolset,
    /// How many tools the last request offered beside `find_tools`, and of how many; None where it offered all.
    pub searched: Option<(u32, u32)>,
}

/// How the tools of one server, or of all, add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToolSum {
    pub on: u32,
    pub all: u32,
    /// What the definitions of those that are on take of the context, estimated.
    pub tokens: u64,
}

impl Toolbox {
    #[must_use]
    pub fn sum(&self, server: Option<&ServerName>) -> ToolSum {
        let mut sum = ToolSum::default();
        for row in self.rows.iter().filter(|row| server.is_none_or(|server| row.tool.server == *server)) {
            sum.all += 1;
            if row.is_on(&self.toolset) {
                sum.on += 1;
                sum.tokens += row.tokens;
            }
        }
        sum
    }
}

impl State {
    /// How a turn that begins now is to be run.
    pub(super) fn turn_settings(&self) -> TurnSettings {
        TurnSettings {
            toolset: Some(self.toolbox.toolset.clone()),
            context_window: self.session.context_window,
            no_save: !self.is_kept(),
            ..self.session.settings.clone()
        }
    }

    /// The conversation is another, with these choices.
    pub(super) fn take_toolset(&mut self, toolset: Toolset) {
        self.toolbox.toolset = toolset;
        self.toolbox.searched = None;
    }

    /// A choice was made: kept with the conversation, and in force from its next turn on.
    pub(super) fn toolset_changed(&mut self, out: &mut Vec<Effect>) {
        if let Some(conversation) = self.transcript.conversation.clone() {
            let toolset = self.toolbox.toolset.clone();
            out.push(Effect::Order(Order::Toolset { conversation, toolset }));
        }
    }

    /// Turns `find_tools` off where the model searches, on where it does not, and back to what is configured.
    pub(super) fn switch_find(&mut self, out: &mut Vec<Effect>) {
        let searching = self.toolbox.searched.is_some();
        let toolset = &mut self.toolbox.toolset;
        toolset.find = match toolset.find {
            Some(FindTools::Always | FindTools::Never | FindTools::Auto) => None,
            None if searching => Some(FindTools::Never),
            None => Some(FindTools::Always),
        };
        let told = match toolset.find {
            Some(FindTools::Never) => "find_tools off: every tool is offered, from the next message on",
            Some(FindTools::Always | FindTools::Auto) => "find_tools on: the model searches, from the next message on",
            None => "find_tools as configured, from the next message on",
        };
        self.toolset_changed(out);
        self.say(told, out);
    }
}
