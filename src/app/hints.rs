//! What the footer names: only keys that work now.

use super::blocks::Source;
use super::calls::CallPhase;
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
        // What has no key now is no hint.
        let mut add = |key: &str, label| hints.extend(self.keymap.spell(key).map(|key| Hint::new(key, label)));
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
                add("tab", "take");
                add("↑↓", "choose");
                let runs = self.composer.completion.as_ref().is_some_and(|open| {
                    open.rows.get(open.selected).is_some_and(|row| {
                        matches!(row.of, super::completion::RowOf::Command | super::completion::RowOf::Role)
                    }) && !open.rows[open.selected].text.contains(':')
                });
                add("enter", if runs { "take and do it" } else { "take" });
                add("esc", "close");
            }
            Focus::Composer if waits_to_retry && self.composer.is_empty() => {
                add("{fault.retry}", "ask now");
                add("{app.back}", "stop");
                add("{app.tools}", tools);
                add("{app.palette}", "commands");
            }
            Focus::Composer => {
                add("{composer.send}", if self.composer.bang().is_some() { "run it in your shell" } else { "send" });
                add("{composer.newline}", "newline");
                if running {
                    add("{app.back}", "stop");
                }
                add("{app.tools}", tools);
                add("{app.history}", "history");
                add("{app.palette}", "commands");
                if self.composer.is_empty() {
                    add("{composer.help}", "help");
                }
            }
            Focus::Transcript => {
                let choices = self.transcript.open_fault().map_or(FaultChoices::None, |fault| fault.choices);
                match choices {
                    FaultChoices::Key => {
                        add("{fault.key}", "another key");
                        add("{fault.endpoint}", "another endpoint");
                        add("{fault.retry}", "retry");
                    }
                    FaultChoices::Cut => {
                        add("{fault.continue}", "continue");
                        add("{fault.retry}", "ask again");
                    }
                    FaultChoices::Compact => {
                        add("{fault.continue}", "compact and ask again");
                        add("{fault.retry}", "ask again");
                    }
                    FaultChoices::Retry => add("{fault.retry}", "ask again"),
                    FaultChoices::None if waits_to_retry => add("{fault.retry}", "ask now"),
                    FaultChoices::None => add("{transcript.down}/{transcript.up}", "scroll"),
                }
                add("{transcript.previous_message} {transcript.next_message}", "message");
                if self.walks() {
                    add("{transcript.previous_branch} {transcript.next_branch}", "branch");
                }
                add("{transcript.previous_block} {transcript.next_block}", "block");
                add("{transcript.find}", "find");
                add("{transcript.copy}", "copy");
                add("{transcript.copy_code}", self.other_form());
                if !running {
                    add("{transcript.edit}", "edit");
                    add("{transcript.again}", "again");
                }
                add("{transcript.follow}", "follow");
                add("{app.back}", "back");
            }
            Focus::Panel => {
                let call = self.panel.selected.as_ref().and_then(|id| self.calls.by_id.get(id));
                if let Some(call) = call {
                    add("{panel.down}/{panel.up}", "select");
                    add("{panel.open}", if call.phase == CallPhase::NeedsApproval { "review" } else { "open" });
                    if matches!(call.phase, CallPhase::Ended(_)) {
                        add("{panel.again}", "run again");
                        add("{panel.copy_result}", "result");
                    } else {
                        add("{panel.cancel}", "cancel");
                    }
                    add("{panel.copy_arguments}", "arguments");
                }
                match self.keymap.spell("{panel.filter_1}{panel.filter_2}{panel.filter_3}{panel.filter_4}").as_deref() {
                    Some("1234") => add("1-4", "filter"),
                    Some(_) => add("{panel.filter_1} {panel.filter_2} {panel.filter_3} {panel.filter_4}", "filter"),
                    None => {}
                }
                add("{panel.timeline}", "timeline");
                add("{panel.offered}", "offered");
                add("{app.back}", "back");
            }
        }
        hints
    }
}
