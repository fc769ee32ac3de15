//! A command of the person's own (`!cargo test`): run beside the chat, its output attached to the message being written.
//!
//! # Invariants
//! - Only what was typed runs: a paste never does, and nothing that a model or a server wrote. A paste behind a typed `!`
//!   stands in the text as it will run before it does.
//! - Nothing of it is sent before its person sends it.

use std::fmt::Write as _;

use super::composer::{Chip, Composer, size};
use super::effect::Effect;
use super::state::State;
use crate::chat::{Fault, Stamp};
use crate::text::{cut, sanitize};

/// Columns of a command in the label of its output.
const LABEL: usize = 40;

/// A command that runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub command: String,
    pub since: Stamp,
    pub(super) generation: u64,
}

/// What a command came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// None where a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to both of its outputs, raw; its head and tail where it was more than is kept.
    pub output: String,
    /// Why it was ended from outside: by its person, or by a limit.
    pub ended: Option<String>,
}

impl Composer {
    /// The command that was typed behind a `!`.
    #[must_use]
    pub fn bang(&self) -> Option<String> {
        if !self.sign_typed {
            return None;
        }
        let command = self.text().strip_prefix('!')?.trim().to_owned();
        (!command.is_empty()).then_some(command)
    }

    /// Puts every chip in as text; false where there is none.
    fn unfold(&mut self) -> bool {
        let mut found = Vec::new();
        for (row, line) in self.area.lines().iter().enumerate() {
            for chip in &self.chips {
                let at = line.match_indices(&chip.label).map(|(at, label)| (at, label.chars().count()));
                found.extend(at.map(|(at, length)| (row, line[..at].chars().count(), length, chip.text.clone())));
            }
        }
        // From the end on: what was put in moves none that is to come, and a label in it stays a word.
        found.sort_by_key(|(row, column, ..)| std::cmp::Reverse((*row, *column)));
        for (row, column, length, text) in &found {
            self.jump(*row, *column);
            self.area.delete_str(*length);
            self.area.insert_str(text);
        }
        !found.is_empty()
    }

    /// What it wrote stands in the message as one thing.
    fn take_output(&mut self, command: &str, ran: &Ran) {
        let output = sanitize(ran.output.trim_end());
        let how = match (&ran.ended, ran.code) {
            (Some(why), _) => why.clone(),
            (None, Some(code)) => format!("exit {code}"),
            (None, None) => "ended by a signal".to_owned(),
        };
        self.chip_number += 1;
        let lines = output.as_str().lines().count();
        let short = cut(sanitize(command).one_line().as_str(), LABEL);
        let mut label = format!("[Ran {}: {short}, {how}, {lines} ", self.chip_number);
        label.push_str(if lines == 1 { "line, " } else { "lines, " });
        let _ = write!(label, "{}]", size(output.as_str().len()));
        let fence = "`".repeat(longest_fence(output.as_str()).max(2) + 1);
        let text = format!("{fence}console\n$ {command}\n{}\n{fence}\n({how})", output.as_str());
        let blank = |c: char| c.is_whitespace();
        if !self.is_empty() && !self.text().ends_with(blank) {
            self.area.insert_char(' ');
        }
        self.area.insert_str(format!("{label} "));
        self.chips.push(Chip { label, text });
    }
}

/// The longest run of backticks at a line's start.
fn longest_fence(text: &str) -> usize {
    text.lines().map(|line| line.trim_start().chars().take_while(|c| *c == '`').count()).max().unwrap_or(0)
}

impl State {
    /// Runs what stands behind the `!`.
    pub(super) fn run_command(&mut self, command: String, out: &mut Vec<Effect>) {
        if self.composer.run.is_some() {
            return self.say("a command runs already: {app.back} stops it", out);
        }
        if self.composer.unfold() {
            self.say("what was pasted is unfolded, nothing ran: look at it, {composer.send} runs it", out);
            return self.text_changed(out);
        }
        let text = self.composer.text();
        self.composer.remember_command(&text);
        self.composer.reset();
        self.keep_draft(out);
        let generation = self.session.fresh();
        self.composer.run = Some(Run { command: command.clone(), since: self.now, generation });
        out.push(Effect::Run { generation, command });
    }

    /// Stops the command that runs. False where none does.
    pub(super) fn stop_command(&mut self, out: &mut Vec<Effect>) -> bool {
        match &self.composer.run {
            Some(run) => {
                out.push(Effect::StopRun { generation: run.generation });
                true
            }
            None => false,
        }
    }

    pub(super) fn ran(&mut self, generation: u64, result: Result<Ran, Fault>, out: &mut Vec<Effect>) {
        let Some((place, composer)) = self
            .composers()
            .enumerate()
            .find(|(_, one)| one.run.as_ref().is_some_and(|run| run.generation == generation))
        else {
            return;
        };
        let Some(run) = composer.run.take() else { return };
        match result {
            Ok(ran) => {
                composer.take_output(&run.command, &ran);
                match place.checked_sub(1) {
                    None => {
                        let words =
                            "its output is in your message: {composer.send} sends it; with the caret on it, unfolds it";
                        self.say(words, out);
                        self.text_changed(out);
                    }
                    Some(place) => self.keep_draft_elsewhere(place, out),
                }
            }
            Err(fault) => self.fault_notice(&fault, out),
        }
    }
}
