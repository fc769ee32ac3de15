//! What the footer names: only keys that work now.

use super::blocks::Source;
use super::calls::CallPhase;
use super::command::Command;
use super::keymap::Place;
use super::state::{Focus, State};
use super::transcript::{FaultChoices, Phase, Turn};

/// One key of the footer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// `^T`, `enter`, `j/k`.
    pub key: String,
    /// `tools`.
    pub label: &'static str,
}

impl Hint {
    #[must_use]
    pub fn new(key: impl Into<String>, label: &'static str) -> Self {
        Self { key: key.into(), label }
    }
}

impl State {
    /// What `Y` copies of what is chosen.
    fn other_form(&self) -> &'static str {
        let entry = self.transcript.selected.and_then(|key| self.transcript.entry(key));
        match entry.zip(self.transcript.block).and_then(|(entry, at)| entry.block(at)) {
            Some(Source::Call(_)) => "as JSON",
            Some(Source::Text(text)) if super::blocks::table_csv(text).is_some() => "as CSV",
            Some(Source::Code(_)) => "with its fence",
            Some(Source::Text(_) | Source::Thinking(_)) | None => "code",
        }
    }

    /// The keys of the chat that work in the present focus, most telling first. The last one is drawn at the right.
    #[must_use]
    pub fn hints(&self) -> Vec<Hint> {
        let mut hints = Vec::new();
        let mut add = |command: Command, label| {
            if let Some(key) = self.keymap.key_of(command) {
                hints.push(Hint::new(key.short(), label));
            }
        };
        let running = self.transcript.turn.is_some();
        let waits_to_retry =
            matches!(self.transcript.turn, Some(Turn { phase: Phase::Retrying { .. }, stopping: false, .. }));
        let waits = self.calls.waiting().next().is_some();
        let tools = match (&self.inquiry, waits) {
            (Some(_), _) => "answer",
            (None, true) => "review",
            (None, false) => "tools",
        };
        match self.focus {
            Focus::Composer if self.composer.completion.as_ref().is_some_and(|open| !open.rows.is_empty()) => {
                hints.push(Hint::new("tab", "take"));
                hints.push(Hint::new("↑↓", "choose"));
                let runs = self.composer.completion.as_ref().is_some_and(|open| {
                    open.rows.get(open.selected).is_some_and(|row| {
                        matches!(row.of, super::completion::RowOf::Command | super::completion::RowOf::Role)
                    }) && !open.rows[open.selected].text.contains(':')
                });
                hints.push(Hint::new("enter", if runs { "take and do it" } else { "take" }));
                hints.push(Hint::new("esc", "close"));
            }
            Focus::Composer if waits_to_retry && self.composer.is_empty() => {
                add(Command::Back, "stop");
                add(Command::Tools, tools);
                add(Command::Palette, "commands");
                hints.insert(0, Hint::new(self.keymap.shown(Place::Fault, "r"), "ask now"));
            }
            Focus::Composer => {
                add(Command::Send, if self.composer.bang().is_some() { "run it in your shell" } else { "send" });
                add(Command::NewLine, "newline");
                if running {
                    add(Command::Back, "stop");
                }
                add(Command::Tools, tools);
                add(Command::History, "history");
                add(Command::Palette, "commands");
                if self.composer.is_empty() {
                    add(Command::HelpOnEmpty, "help");
                }
            }
            Focus::Transcript => {
                let choices = self.transcript.open_fault().map_or(FaultChoices::None, |fault| fault.choices);
                match choices {
                    FaultChoices::Key => {
                        hints.push(Hint::new(self.keymap.shown(Place::Fault, "k"), "another key"));
                        hints.push(Hint::new(self.keymap.shown(Place::Fault, "m"), "another endpoint"));
                        hints.push(Hint::new(self.keymap.shown(Place::Fault, "r"), "retry"));
                    }
                    FaultChoices::Cut => {
                        hints.push(Hint::new(self.keymap.shown(Place::Fault, "c"), "continue"));
                        hints.push(Hint::new(self.keymap.shown(Place::Fault, "r"), "ask again"));
                    }
                    FaultChoices::Retry => hints.push(Hint::new(self.keymap.shown(Place::Fault, "r"), "ask again")),
                    FaultChoices::None if waits_to_retry => {
                        hints.push(Hint::new(self.keymap.shown(Place::Fault, "r"), "ask now"))
                    }
                    FaultChoices::None => hints.push(Hint::new("j/k", "scroll")),
                }
                hints.push(Hint::new("[ ]", "message"));
                if self.walks() {
                    hints.push(Hint::new("< >", "branch"));
                }
                hints.push(Hint::new("{ }", "block"));
                hints.push(Hint::new("/", "find"));
                hints.push(Hint::new("y", "copy"));
                hints.push(Hint::new("Y", self.other_form()));
                if !running {
                    hints.push(Hint::new("e", "edit"));
                    hints.push(Hint::new("R", "again"));
                }
                hints.push(Hint::new("G", "follow"));
                hints.push(Hint::new("esc", "back"));
            }
            Focus::Panel => {
                let call = self.panel.selected.as_ref().and_then(|id| self.calls.by_id.get(id));
                if let Some(call) = call {
                    hints.push(Hint::new("j/k", "select"));
                    if call.phase == CallPhase::NeedsApproval {
                        hints.push(Hint::new("enter", "review"));
                    } else {
                        hints.push(Hint::new("enter", "open"));
                    }
                    if matches!(call.phase, CallPhase::Ended(_)) {
                        hints.push(Hint::new("R", "run again"));
                        hints.push(Hint::new("y", "result"));
                    } else {
                        hints.push(Hint::new("x", "cancel"));
                    }
                    hints.push(Hint::new("a", "arguments"));
                }
                hints.push(Hint::new("1-4", "filter"));
                hints.push(Hint::new("t", "timeline"));
                hints.push(Hint::new("o", "offered"));
                hints.push(Hint::new("esc", "back"));
            }
        }
        hints
    }
}
