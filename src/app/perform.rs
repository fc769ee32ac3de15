//! Commands, carried out.

use super::command::{Command, Edit};
use super::composer::Branch;
use super::effect::{EditorUse, Effect};
use super::overlay::{
    Ask, AskFor, Browser, Confirm, Help, OfferedTools, Overlay, Palette, Prompts, ServerList, Timeline, UsageView,
    Welcome,
};
use super::panel::PanelFilter;
use super::state::{Focus, State};
use super::status::Twice;
use super::transcript::{EntryBody, Queued};
use crate::chat::{CallId, ConversationId, MessageId, Order, Part, Submit, TurnId};

impl State {
    pub(super) fn perform(&mut self, command: Command, out: &mut Vec<Effect>) {
        use Command as C;
        match command {
            C::Tools => self.tools(),
            C::Servers => {
                self.overlays.push(Overlay::Servers(ServerList::new(&self.servers)));
                self.look_at_servers(out);
            }
            C::Toolbox => self.overlays.push(Overlay::Tools(OfferedTools::default())),
            C::FindTools => self.switch_find(out),
            C::History => self.open_browser(out),
            C::Prompts => {
                let generation = self.session.fresh();
                self.overlays.push(Overlay::Prompts(Prompts::new(generation)));
                out.push(Effect::Prompts { generation, query: String::new() });
            }
            C::New => self.leave_for(command, out),
            C::ResumeNewest => match &self.newest {
                Some(_) => self.leave_for(command, out),
                None => self.say("there is no earlier conversation in this folder", out),
            },
            C::Palette => self.overlays.push(Overlay::Palette(Palette::new())),
            C::Mouse => {
                self.status.mouse = !self.status.mouse;
                out.push(Effect::MouseCapture(self.status.mouse));
                let text = if self.status.mouse { "mouse on" } else { "mouse off: the terminal selects text" };
                self.say(text, out);
            }
            C::PanelToggle => {
                self.panel.hidden = !self.panel.hidden;
                if self.panel.hidden && self.focus == Focus::Panel {
                    self.focus = Focus::Composer;
                }
            }
            C::Redraw => out.push(Effect::Redraw),
            C::Suspend => out.push(Effect::Suspend),
            C::Help | C::HelpOnEmpty => self.overlays.push(Overlay::Help(Help::default())),
            C::Models => self.open_models(false, out),
            C::Usage => self.overlays.push(Overlay::Usage(UsageView::new())),
            C::Timeline => {
                let view = Timeline::new(self, out);
                self.overlays.push(Overlay::Timeline(view));
            }
            C::System => {
                let text = self.session.settings.system.clone().unwrap_or_default();
                self.overlays.push(Overlay::Ask(Ask::new(AskFor::System, text)));
            }
            C::Connect => self.open_welcome(out),
            C::AnotherKey => {
                let base_url = match &self.session.connection {
                    Some(connection) => connection.base_url.clone(),
                    None => super::overlay::OPENAI.to_owned(),
                };
                self.overlays.push(Overlay::Ask(Ask::new(AskFor::Key { base_url }, String::new())));
            }
            C::AnotherEndpoint => {
                let old = self.session.connection.as_ref().map(|c| c.base_url.clone()).unwrap_or_default();
                self.overlays.push(Overlay::Ask(Ask::new(AskFor::Address, old)));
            }
            C::Stop => self.stop(out),
            C::Quit => self.quit(out),
            C::DeleteOrQuit => self.delete_or_quit(out),
            C::Interrupt => self.interrupt(out),
            C::Back => self.back(out),
            C::FocusNext => self.move_focus(true),
            C::FocusPrevious => self.move_focus(false),
            C::Rename => match &self.transcript.conversation {
                Some(id) => {
                    let ask = Ask::new(AskFor::Title(id.clone()), self.transcript.title.clone());
                    self.overlays.push(Overlay::Ask(ask));
                }
                None => self.say("nothing to rename yet: a conversation begins with its first message", out),
            },
            C::Export => match &self.transcript.conversation {
                Some(id) => out.push(Effect::Export { conversation: id.clone() }),
                None => self.say("nothing to export yet", out),
            },
            C::Config => out.push(Effect::EditConfig { server: None }),
            C::ImportServers => {
                self.overlays.push(Overlay::Import(super::overlay::Import::default()));
                out.push(Effect::FindImports);
            }
            C::Continue => self.restate(true, out),
            C::AskAgain | C::AnswerAgain => {
                if !self.retry_now(out) {
                    self.restate(false, out);
                }
            }

            C::Send => self.send(out),
            C::NewLine => {
                self.composer.new_line();
                self.text_changed(out);
            }
            C::Editor => {
                let text = self.composer.expanded();
                out.push(Effect::Editor { what: EditorUse::Composer, text, extension: "md" });
            }
            C::RecallUp => {
                if self.composer.is_empty()
                    && self.composer.recall.is_none()
                    && let Some(queued) = self.transcript.queued.pop()
                {
                    // A message that waits is edited before an old one is recalled.
                    self.composer.set(&queued.text);
                } else {
                    self.composer.up();
                }
            }
            C::RecallDown => self.composer.down(),
            C::ScrollUp => self.scroll_pages(-1),
            C::ScrollDown => self.scroll_pages(1),
            C::EndOrFollow => {
                if self.composer.at_end() {
                    self.follow();
                } else {
                    self.composer.edit(Edit::LineEnd);
                }
            }
            C::Edit(edit) => {
                self.composer.edit(edit);
                self.text_changed(out);
            }

            C::LineUp => self.scroll_lines(-1),
            C::LineDown => self.scroll_lines(1),
            C::PageUp => self.scroll_pages(-1),
            C::PageDown => self.scroll_pages(1),
            C::Top => self.go_to_top(),
            C::Follow => self.follow(),
            C::MessagePrevious => self.step_message(false),
            C::MessageNext => self.step_message(true),
            C::Find => self.open_find(),
            C::FindNext => self.find_step(true, out),
            C::FindPrevious => self.find_step(false, out),
            C::CopyMessage => self.copy_message(out),
            C::CopyCode => self.copy_code(out),
            C::EditMessage => self.edit_message(out),
            C::Fold => self.fold(),
            C::BranchHere => self.branch_here(out),

            C::RowUp => self.panel.step(-1),
            C::RowDown => self.panel.step(1),
            C::OpenCall
            | C::CancelCall
            | C::RunAgain
            | C::CopyResult
            | C::CopyArguments
            | C::ViewResult
            | C::SaveResult => {
                let call = self.chosen_call();
                self.on_call(command, call, out);
            }
            C::FilterAll => self.filter(PanelFilter::All),
            C::FilterWaiting => self.filter(PanelFilter::Waiting),
            C::FilterRunning => self.filter(PanelFilter::Running),
            C::FilterFailed => self.filter(PanelFilter::Failed),

            // A review's own: it takes them itself, and only while its arguments are on the screen.
            C::Deny
            | C::DenyWhy
            | C::ApproveOnce
            | C::ApproveSession
            | C::ApproveAlways
            | C::EditArguments
            | C::UseEarlier
            | C::ReviewPage
            | C::ReviewEnd
            | C::ReviewPretty => self.say("this acts in a review: ^T opens the one that waits", out),
        }
    }

    /// What servers hold and last said is asked for only while it is on the screen.
    pub(super) fn look_at_servers(&mut self, out: &mut Vec<Effect>) {
        let (servers, now) = (&self.servers, self.now.mono_us);
        for overlay in &mut self.overlays {
            if let Overlay::Servers(list) = overlay {
                list.look(servers, now, out);
            }
        }
    }

    fn tools(&mut self) {
        if self.open_inquiry() || self.open_review(false) {
            return;
        }
        self.panel.hidden = false;
        if self.focus == Focus::Panel {
            self.focus = Focus::Composer;
        } else {
            self.panel.enter(&self.calls);
            self.focus = Focus::Panel;
        }
    }

    fn move_focus(&mut self, forward: bool) {
        let panel = !self.panel.hidden;
        self.focus = match (self.focus, forward) {
            (Focus::Composer, true) | (Focus::Panel, false) => Focus::Transcript,
            (Focus::Transcript, true) | (Focus::Composer, false) if panel => Focus::Panel,
            (Focus::Composer, false) => Focus::Transcript,
            (Focus::Transcript | Focus::Panel, true) | (Focus::Transcript, false) => Focus::Composer,
        };
        self.composer.completion = None;
        if self.focus == Focus::Panel {
            self.panel.enter(&self.calls);
        }
    }

    fn filter(&mut self, filter: PanelFilter) {
        self.panel.filter = filter;
        self.panel.settle(&self.calls);
    }

    pub(super) fn open_browser(&mut self, out: &mut Vec<Effect>) {
        let generation = self.session.fresh();
        self.overlays.push(Overlay::Browser(Box::new(Browser::open(generation, out))));
    }

    pub(super) fn open_welcome(&mut self, out: &mut Vec<Effect>) {
        self.overlays.retain(|overlay| !matches!(overlay, Overlay::Welcome(_)));
        self.overlays.push(Overlay::Welcome(Box::new(Welcome::new())));
        out.push(Effect::ProbeLocal);
        out.push(Effect::FindImports);
    }

    /// Goes to another conversation; asks first where an answer still comes.
    fn leave_for(&mut self, command: Command, out: &mut Vec<Effect>) {
        if self.transcript.turn.is_some() {
            self.overlays.push(Overlay::Confirm(Confirm::new(
                "An answer is still coming. Stop it? What came is kept.",
                "stop it and go on",
                super::overlay::Confirmed::Leave(command),
                self.now,
            )));
            return;
        }
        self.leave(command, out);
    }

    /// Goes to another conversation, for good.
    pub(super) fn leave(&mut self, command: Command, out: &mut Vec<Effect>) {
        if let Some(turn) = self.transcript.turn.take() {
            out.push(Effect::Order(Order::CancelTurn { turn: turn.id }));
        }
        match command {
            Command::ResumeNewest => {
                if let Some(newest) = &self.newest {
                    self.open_generation = self.session.next_generation + 1;
                    let generation = self.session.fresh();
                    out.push(Effect::Open { generation, conversation: newest.id.clone() });
                }
            }
            _ => self.start_new(out),
        }
    }

    fn start_new(&mut self, out: &mut Vec<Effect>) {
        self.transcript = super::transcript::Transcript { next_key: self.transcript.next_key, ..Default::default() };
        self.calls = super::calls::Calls::default();
        self.take_toolset(Default::default());
        self.panel.settle(&self.calls);
        self.status.context = None;
        (self.status.sent, self.status.answered) = Default::default();
        self.usage = Default::default();
        if matches!(self.status.saved, super::status::Saved::At(_)) {
            self.status.saved = super::status::Saved::Nothing;
        }
        self.overlays.clear();
        self.focus = Focus::Composer;
        out.push(Effect::Newest);
    }

    // Sending.

    fn send(&mut self, out: &mut Vec<Effect>) {
        if self.composer.is_blank() {
            if self.transcript.turn.is_none() {
                self.send_queued(out);
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
                None => self.say(format!("there is no command /{word}; ^P lists them all"), out),
            };
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
            return self.say("a file is still being read; enter again sends", out);
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
            return self.open_models(true, out);
        }
        let (text, parts) = (self.composer.text(), self.composer.parts());
        let prompt = self.composer.expanded();
        self.composer.remember(&prompt);
        out.push(Effect::RememberPrompt { text: prompt });
        let branch = self.composer.branch.take();
        self.composer.reset();
        out.push(Effect::CancelTimer(super::event::Timer::Draft(self.composer.draft_generation)));
        out.push(Effect::SaveDraft { conversation: self.transcript.conversation.clone(), text: String::new() });
        if self.transcript.turn.is_some() {
            self.transcript.queued.push(Queued { text, parts });
            return;
        }
        self.submit(parts, branch, out);
    }

    fn slash(&mut self, command: Command, rest: &str, out: &mut Vec<Effect>) {
        match command {
            Command::Rename if !rest.is_empty() && self.transcript.conversation.is_some() => {
                if let Some(conversation) = self.transcript.conversation.clone() {
                    out.push(Effect::Rename { conversation, title: rest.to_owned() });
                }
            }
            Command::Models if !rest.is_empty() => self.choose_model(rest.to_owned(), None, false, out),
            Command::System if !rest.is_empty() => self.set_system(rest.to_owned(), out),
            Command::Find if !rest.is_empty() => {
                self.open_find();
                self.find_text(rest);
            }
            _ => self.perform(command, out),
        }
    }

    pub(super) fn submit(&mut self, parts: Vec<Part>, branch: Option<Branch>, out: &mut Vec<Effect>) {
        let turn = self.session.turn();
        let mut parent: Option<MessageId> = None;
        if let Some(branch) = branch {
            let stays = |key: u64| key < branch.key || (branch.keep && key == branch.key);
            self.transcript.entries.retain(|entry| stays(entry.key));
            parent = branch.parent;
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

    /// Lets the model go on from what stands, or discards the last answer and asks again.
    pub(super) fn restate(&mut self, go_on: bool, out: &mut Vec<Effect>) {
        if self.transcript.turn.is_some() {
            return self.say("an answer is still coming: esc stops it", out);
        }
        let Some(conversation) = self.transcript.conversation.clone() else {
            return self.say("there is nothing to answer yet", out);
        };
        let turn: TurnId = self.session.turn();
        let settings = Box::new(self.turn_settings());
        if !go_on {
            let last_user = self.transcript.entries.iter().rposition(|entry| matches!(entry.body, EntryBody::User(_)));
            self.transcript.entries.truncate(last_user.map_or(0, |at| at + 1));
        }
        self.watch(turn, true);
        self.focus = Focus::Composer;
        self.follow();
        out.push(Effect::Order(if go_on {
            Order::Continue { turn, conversation, settings }
        } else {
            Order::AskAgain { turn, conversation, settings }
        }));
    }

    /// Runs a call again, by a new review; the model then goes on with its result.
    pub(super) fn run_again(&mut self, conversation: ConversationId, call: CallId, out: &mut Vec<Effect>) {
        let turn: TurnId = self.session.turn();
        let settings = Box::new(self.turn_settings());
        self.watch(turn, true);
        self.follow();
        out.push(Effect::Order(Order::RunAgain { turn, conversation, call, settings }));
    }

    // Stopping and leaving.

    pub(super) fn stop(&mut self, out: &mut Vec<Effect>) {
        match &mut self.transcript.turn {
            Some(turn) => {
                turn.stopping = true;
                out.push(Effect::Order(Order::CancelTurn { turn: turn.id }));
            }
            None => self.say("no answer is coming", out),
        }
    }

    /// esc, where no layer lies over the chat.
    fn back(&mut self, out: &mut Vec<Effect>) {
        if self.composer.completion.take().is_some() || self.transcript.find.take().is_some() {
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
        if self.transcript.turn.is_some() {
            let at_risk: Vec<String> =
                self.calls.running().filter(|call| !call.known_read_only()).map(super::calls::Call::name).collect();
            if at_risk.is_empty() {
                return self.stop(out);
            }
            let hint = format!("esc again stops the answer and cancels {}, which may have acted", at_risk.join(", "));
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
    fn interrupt(&mut self, out: &mut Vec<Effect>) {
        if let Some(
            Overlay::Browser(_)
            | Overlay::Models(_)
            | Overlay::Usage(_)
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
        if self.transcript.turn.as_ref().is_some_and(|turn| !turn.stopping) {
            self.disarm(out);
            return self.stop(out);
        }
        if self.twice(Twice::Quit, "^C again quits".into(), 1_000, out) {
            self.quit(out);
        }
    }

    fn delete_or_quit(&mut self, out: &mut Vec<Effect>) {
        if !self.composer.is_empty() {
            self.disarm(out);
            self.composer.edit(Edit::DeleteRight);
            return self.text_changed(out);
        }
        let running = self.calls.running().count();
        if running > 0 {
            let calls = if running == 1 { "1 call is running".into() } else { format!("{running} calls are running") };
            if !self.twice(Twice::QuitAnyway, format!("{calls}: ^D again cancels and quits"), 3_000, out) {
                return;
            }
        }
        self.quit(out);
    }

    pub(super) fn quit(&mut self, out: &mut Vec<Effect>) {
        self.keep_draft(out);
        if let Some(turn) = &self.transcript.turn {
            out.push(Effect::Order(Order::CancelTurn { turn: turn.id }));
        }
        out.push(Effect::Quit);
    }

    pub(super) fn keep_draft(&mut self, out: &mut Vec<Effect>) {
        let conversation = self.transcript.conversation.clone();
        out.push(Effect::SaveDraft { conversation, text: self.composer.expanded() });
    }

    /// A letter that answers the choices of a fault.
    pub(super) fn fault_key(&mut self, key: super::key::Key, out: &mut Vec<Effect>) -> bool {
        use super::transcript::FaultChoices;
        if self.focus == Focus::Panel || (self.focus == Focus::Composer && !self.composer.is_empty()) || key.repeat {
            return false;
        }
        if key.typed() == Some('r') && self.retry_now(out) {
            return true;
        }
        let Some(fault) = self.transcript.open_fault() else { return false };
        let command = match (fault.choices, key.typed()) {
            (FaultChoices::Key, Some('k')) => Command::AnotherKey,
            (FaultChoices::Key, Some('m')) => Command::AnotherEndpoint,
            (FaultChoices::Cut, Some('c')) => Command::Continue,
            (FaultChoices::Key | FaultChoices::Cut | FaultChoices::Retry, Some('r')) => Command::AskAgain,
            (FaultChoices::Key | FaultChoices::Cut | FaultChoices::Retry | FaultChoices::None, _) => return false,
        };
        self.perform(command, out);
        true
    }
}
