//! Stopping and leaving: esc, ctrl+c, ctrl+d, one layer at a time.

use super::command::Edit;
use super::effect::Effect;
use super::overlay::Overlay;
use super::state::{Focus, State};
use super::status::Twice;
use crate::chat::Order;

impl State {
    pub(super) fn stop(&mut self, out: &mut Vec<Effect>) {
        if self.answered_elsewhere() {
            return self.stop_elsewhere();
        }
        match &mut self.transcript.turn {
            Some(turn) => {
                turn.stopping = true;
                out.push(Effect::Order(Order::CancelTurn { turn: turn.id }));
            }
            None => self.say("no answer is coming", out),
        }
    }

    /// esc, where no layer lies over the chat.
    pub(super) fn back(&mut self, out: &mut Vec<Effect>) {
        if self.composer.completion.take().is_some() || self.transcript.find.take().is_some() {
            return;
        }
        if self.focus == Focus::Transcript && self.transcript.marked.take().is_some() {
            return;
        }
        if self.composer.area.is_selecting() {
            return self.composer.area.cancel_selection();
        }
        if self.focus != Focus::Composer {
            self.focus = Focus::Composer;
            return;
        }
        if self.composer.branch.take().is_some() {
            return self.say("no branch: the message goes to the end", out);
        }
        if self.stop_command(out) {
            return;
        }
        if self.answered_elsewhere() {
            return self.stop_elsewhere();
        }
        if self.transcript.turn.is_some() {
            let at_risk: Vec<String> =
                self.calls.running().filter(|call| !call.known_read_only()).map(super::calls::Call::name).collect();
            if at_risk.is_empty() {
                return self.stop(out);
            }
            let hint =
                format!("{{app.back}} again stops the answer and cancels {}, which may have acted", at_risk.join(", "));
            if self.twice(Twice::Stop, hint, 3_000, out) {
                self.stop(out);
            }
            return;
        }
        if self.transcript.open_fault().is_some() {
            self.focus = Focus::Transcript;
        }
    }

    /// ctrl+c: clears the text, then stops the answer, then, twice within a second, quits.
    pub(super) fn interrupt(&mut self, out: &mut Vec<Effect>) {
        if let Some(
            Overlay::Browser(_)
            | Overlay::Models(_)
            | Overlay::Roles(_)
            | Overlay::Usage(_)
            | Overlay::Settings(_)
            | Overlay::Palette(_)
            | Overlay::Prompts(_)
            | Overlay::Ask(_),
        ) = self.overlays.last()
        {
            self.overlays.pop();
            return;
        }
        if self.composer.clear() {
            self.text_changed(out);
            self.disarm(out);
            return;
        }
        if self.stop_command(out) {
            return self.disarm(out);
        }
        if self.transcript.turn.as_ref().is_some_and(|turn| !turn.stopping) && !self.answered_elsewhere() {
            self.disarm(out);
            return self.stop(out);
        }
        if self.twice(Twice::Quit, "{app.interrupt} again quits".into(), 1_000, out) {
            self.quit(out);
        }
    }

    pub(super) fn delete_or_quit(&mut self, out: &mut Vec<Effect>) {
        if !self.composer.is_empty() {
            self.disarm(out);
            self.composer.edit(Edit::DeleteRight);
            return self.text_changed(out);
        }
        let running = self.all_running().count();
        if running > 0 {
            let calls = if running == 1 { "1 call is running".into() } else { format!("{running} calls are running") };
            if !self.twice(Twice::QuitAnyway, format!("{calls}: {{app.quit}} again cancels and quits"), 3_000, out) {
                return;
            }
        }
        self.quit(out);
    }

    pub(super) fn quit(&mut self, out: &mut Vec<Effect>) {
        self.keep_draft(out);
        self.stop_all(out);
        out.push(Effect::Quit);
    }
}
