//! What leaves the composer: messages, at once or when the answer that comes has ended, and slash commands.

use super::command::{Command, Edit};
use super::composer::Branch;
use super::effect::{Effect, ExportForm};
use super::model::Then;
use super::overlay::{Confirm, Overlay};
use super::state::{Focus, State};
use super::transcript::{Entry, EntryBody, Queued};
use crate::chat::{CallId, ConversationId, Lacks, Order, Parent, Part, Submit, TurnId, TurnSettings};

impl State {
    pub(super) fn send(&mut self, out: &mut Vec<Effect>) {
        if self.composer.is_blank() {
            match self.transcript.turn.as_ref().map(|turn| turn.id) {
                Some(turn) => self.hand_over(turn, out),
                None => self.send_queued(out),
            }
            return;
        }
        if let Some((word, rest)) = self.composer.slash() {
            if word.contains(':') {
                return self.slash_prompt(&word, &rest, out);
            }
            return match Command::slash(&word) {
                Some(command) => {
                    self.composer.reset();
                    self.slash(command, &rest, out);
                }
                None => self.say(format!("there is no command /{word}; {{app.palette}} lists them all"), out),
            };
        }
        if let Some(command) = self.composer.bang() {
            return self.run_command(command, out);
        }
        if self.composer.expand_chip() {
            return self.text_changed(out);
        }
        let ends_open =
            self.composer.at_end() && self.composer.area.lines().last().is_some_and(|line| line.ends_with('\\'));
        if ends_open {
            self.composer.edit(Edit::DeleteLeft);
            self.composer.new_line();
            return;
        }
        if self.composer.reading() {
            return self.say("a file is still being read; {composer.send} again sends", out);
        }
        if self.transcript.open_elsewhere
            && let Some(conversation) = self.transcript.conversation.clone()
        {
            self.overlays.push(Overlay::Confirm(Confirm::new(
                "This conversation is open in another millrace. Once that has ended, you can write here. Look again?",
                "look again",
                super::overlay::Confirmed::LookAgain(conversation),
                self.now,
            )));
            return;
        }
        if self.session.connection.is_none() {
            return self.open_welcome(out);
        }
        if self.session.settings.model.is_empty() {
            return self.open_models(Then::Send, out);
        }
        self.transcript.takes_with_it(&self.composer);
        let (text, parts) = (self.composer.text(), self.composer.parts());
        let prompt = self.composer.expanded();
        self.composer.remember(&prompt);
        if self.is_kept() {
            out.push(Effect::RememberPrompt { text: prompt });
        }
        let branch = self.composer.branch.take();
        let (chips, attachments) = self.composer.named();
        self.composer.reset();
        self.keep_draft(out);
        if self.transcript.turn.is_some() {
            self.transcript.queued.push(Queued { text, parts, chips, attachments, handed_over: false });
            return;
        }
        self.submit(parts, branch, out);
    }

    /// The first of the messages that wait goes with the next round's tool results instead of after the answer.
    fn hand_over(&mut self, turn: TurnId, out: &mut Vec<Effect>) {
        if let Some(queued) = self.transcript.queued.iter_mut().find(|queued| !queued.handed_over) {
            queued.handed_over = true;
            out.push(Effect::Order(Order::Interject { turn, parts: queued.parts.clone() }));
        }
    }

    fn slash(&mut self, command: Command, rest: &str, out: &mut Vec<Effect>) {
        match command {
            Command::Rename if !rest.is_empty() && self.transcript.conversation.is_some() && self.is_kept() => {
                if let Some(conversation) = self.transcript.conversation.clone() {
                    out.push(Effect::Rename { conversation, title: rest.to_owned() });
                }
            }
            Command::Models if !rest.is_empty() => self.choose_model(rest.to_owned(), None, Then::Nothing, out),
            Command::Compact => self.compact(rest, out),
            Command::BranchHere if !rest.is_empty() => match rest {
                "next" | ">" => self.walk(true, out),
                "previous" | "prev" | "<" => self.walk(false, out),
                _ => self.say("/branch next and /branch previous go to another branch; /branch alone begins one", out),
            },
            Command::AnswerAgain if !rest.is_empty() => {
                let settings = TurnSettings { model: rest.to_owned(), context_window: None, ..self.turn_settings() };
                self.answer_again(TurnSettings { lacks: Lacks::default(), ..settings }, out);
            }
            Command::System if !rest.is_empty() => self.set_system(rest.to_owned(), out),
            Command::Role if !rest.is_empty() => self.name_role(rest, out),
            Command::Export if !rest.is_empty() => match ExportForm::of(rest) {
                Some(form) => self.export(form, out),
                None => self.say("/export md, html, json or share", out),
            },
            Command::Find if !rest.is_empty() => {
                self.open_find();
                self.find_text(rest);
            }
            _ => self.perform(command, out),
        }
    }

    pub(super) fn export(&mut self, form: ExportForm, out: &mut Vec<Effect>) {
        match &self.transcript.conversation {
            Some(_) if !self.is_kept() => self.say(
                "this conversation is written nowhere, so there is nothing to export; {transcript.copy} in the transcript copies a message",
                out,
            ),
            Some(id) => out.push(Effect::Export { conversations: vec![id.clone()], form }),
            None => self.say("nothing to export yet", out),
        }
    }

    pub(super) fn submit(&mut self, parts: Vec<Part>, branch: Option<Branch>, out: &mut Vec<Effect>) {
        let turn = self.session.turn();
        let mut parent = Parent::Newest;
        if let Some(branch) = branch {
            let stays = |key: u64| key < branch.key || (branch.keep && key == branch.key);
            self.transcript.entries.retain(|entry| stays(entry.key));
            parent = branch.parent.map_or(Parent::Root, Parent::Message);
        }
        self.watch(turn, false);
        self.transcript.push(EntryBody::User(parts.clone()), self.now.wall_ms, None);
        if self.transcript.title.is_empty() {
            let first = parts.iter().find_map(|part| match part {
                Part::Text { text } => text.lines().find(|line| !line.trim().is_empty()),
                Part::File { .. } | Part::Image { .. } => None,
            });
            self.transcript.title = first.unwrap_or_default().trim().to_owned();
        }
        self.follow();
        out.push(Effect::Order(Order::Submit(Box::new(Submit {
            turn,
            conversation: self.transcript.conversation.clone(),
            parent,
            parts,
            settings: self.turn_settings(),
        }))));
    }

    /// The conversation, where a turn of it may begin without a message.
    fn restated(&mut self, out: &mut Vec<Effect>) -> Option<ConversationId> {
        if self.transcript.turn.is_some() {
            self.say("an answer is still coming: {app.back} stops it", out);
            return None;
        }
        if self.transcript.open_elsewhere {
            self.say("another millrace has this conversation: it can be answered here once that has ended", out);
            return None;
        }
        let conversation = self.transcript.conversation.clone();
        if conversation.is_none() {
            self.say("there is nothing to answer yet", out);
        }
        conversation
    }

    /// Lets the model go on from what stands.
    pub(super) fn go_on(&mut self, out: &mut Vec<Effect>) {
        let Some(conversation) = self.restated(out) else { return };
        let turn: TurnId = self.session.turn();
        let settings = Box::new(self.turn_settings());
        self.watch(turn, true);
        self.focus = Focus::Composer;
        self.follow();
        out.push(Effect::Order(Order::Continue { turn, conversation, settings }));
    }

    /// Asks for another answer, beside the one that stands: to the chosen message or the one that it answers, where
    /// one is chosen in the transcript, else to the last.
    pub(super) fn answer_again(&mut self, settings: TurnSettings, out: &mut Vec<Effect>) {
        let Some(conversation) = self.restated(out) else { return };
        let turn: TurnId = self.session.turn();
        let upto = self.transcript.selected.filter(|_| self.focus == Focus::Transcript).unwrap_or(u64::MAX);
        let entries = &mut self.transcript.entries;
        let asks = |entry: &Entry| entry.key <= upto && matches!(entry.body, EntryBody::User(_));
        let at = entries.iter().rposition(asks);
        let question = at.and_then(|at| entries[at].message.clone());
        entries.truncate(at.map_or(0, |at| at + 1));
        self.watch(turn, true);
        self.focus = Focus::Composer;
        self.follow();
        out.push(Effect::Order(Order::AskAgain { turn, conversation, question, settings: Box::new(settings) }));
    }

    /// Runs a call again, by a new review; the model then goes on with its result.
    pub(super) fn run_again(&mut self, conversation: ConversationId, call: CallId, out: &mut Vec<Effect>) {
        let turn: TurnId = self.session.turn();
        let settings = Box::new(self.turn_settings());
        self.watch(turn, true);
        self.follow();
        out.push(Effect::Order(Order::RunAgain { turn, conversation, call, settings }));
    }
}
