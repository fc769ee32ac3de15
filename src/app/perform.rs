//! Commands, carried out.

use super::catalogs::Wanted;
use super::command::{Command, Edit};
use super::effect::{EditorUse, Effect, ExportForm};
use super::keymap::Place;
use super::model::Then;
use super::overlay::{
    Ask, AskFor, Browser, Confirm, Confirmed, Help, OfferedTools, Overlay, Palette, Prompts, ServerList, Timeline,
    UsageView, Welcome,
};
use super::panel::PanelFilter;
use super::state::{Focus, State};

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
            C::New => self.start_new(out),
            C::Incognito => {
                self.start_new(out);
                self.transcript.incognito = true;
            }
            C::Elsewhere => self.go_elsewhere(out),
            C::ResumeNewest => self.open_newest(out),
            C::Palette => {
                self.want(Wanted::Prompts, out);
                let palette = Palette::open(self, out);
                self.overlays.push(Overlay::Palette(palette));
            }
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
            C::Models => self.open_models(Then::Nothing, out),
            C::Usage => self.overlays.push(Overlay::Usage(UsageView::new())),
            C::Timeline => {
                let view = Timeline::new(self, out);
                self.overlays.push(Overlay::Timeline(view));
            }
            C::System => {
                let text = self.session.settings.system.clone().unwrap_or_default();
                self.overlays.push(Overlay::Ask(Ask::new(AskFor::System, text)));
            }
            C::Role => self.open_roles(out),
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
            C::Rename if !self.is_kept() => {
                self.say("this conversation is written nowhere: it needs no name", out);
            }
            C::Rename => match &self.transcript.conversation {
                Some(id) => {
                    let ask = Ask::new(AskFor::Title(id.clone()), self.transcript.title.clone());
                    self.overlays.push(Overlay::Ask(ask));
                }
                None => self.say("nothing to rename yet: a conversation begins with its first message", out),
            },
            C::Export => self.export(ExportForm::Markdown, out),
            C::Share => self.export(ExportForm::Share, out),
            C::Compact => self.compact("", out),
            C::CompactUndo => self.undo_summary(out),
            C::Delete => self.remove(false, out),
            C::Erase => self.remove(true, out),
            C::Settings => self.open_settings(out),
            C::Config => out.push(Effect::EditConfig { server: None }),
            C::ImportServers => {
                self.overlays.push(Overlay::Import(super::overlay::Import::default()));
                out.push(Effect::FindImports);
            }
            C::Reattach => self.reattach(out),
            C::Continue => self.go_on(out),
            C::AskAgain | C::AnswerAgain => {
                if !self.retry_now(out) {
                    self.answer_again(self.turn_settings(), out);
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
            C::PastePicture => {
                let generation = self.session.fresh();
                self.composer.pictures.push(generation);
                out.push(Effect::PastePicture { generation });
            }
            C::RecallUp => {
                if self.composer.is_empty()
                    && self.composer.recall.is_none()
                    && let Some(at) = self.transcript.queued.iter().rposition(|queued| !queued.handed_over)
                {
                    let queued = self.transcript.queued.remove(at);
                    // A message that waits is edited before an old one is recalled.
                    self.composer.set(&queued.text);
                    (self.composer.chips, self.composer.attachments) = (queued.chips, queued.attachments);
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
            C::BlockPrevious => self.step_block(false),
            C::BlockNext => self.step_block(true),
            C::CopyMessage => self.copy_message(out),
            C::CopyCode => self.copy_code(out),
            C::EditMessage => self.edit_message(out),
            C::Fold => self.fold(),
            C::BranchHere => self.branch_here(out),
            C::BranchPrevious => self.walk(false, out),
            C::BranchNext => self.walk(true, out),
            C::AnswerAgainBy => self.open_models(Then::AnswerAgain, out),

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
            | C::ReviewUp
            | C::ReviewDown
            | C::ReviewPretty => self.say("this acts in a review: {app.tools} opens the one that waits", out),
        }
    }

    /// Asks before the conversation that is on the screen goes.
    fn remove(&mut self, for_good: bool, out: &mut Vec<Effect>) {
        let Some(id) = self.transcript.conversation.clone() else {
            return self.say("nothing to delete yet: a conversation begins with its first message", out);
        };
        if !self.is_kept() {
            return self.say("this conversation is written nowhere: it is gone when millrace ends", out);
        }
        if self.answers(&id) {
            return self.say("it is answering: stop that first", out);
        }
        let title = self.transcript.title.trim();
        let (question, yes) = match for_good {
            true => (format!("Erase \"{title}\" for good? Nothing brings it back."), "erase"),
            false => (format!("Delete \"{title}\"? It is kept for 30 days."), "delete"),
        };
        let confirm = Confirm::new(question, yes, Confirmed::RemoveThis(id, for_good), self.now);
        self.overlays.push(Overlay::Confirm(confirm));
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

    /// A letter that answers the choices of a fault.
    pub(super) fn fault_key(&mut self, key: super::key::Key, out: &mut Vec<Effect>) -> bool {
        use super::transcript::FaultChoices;
        if self.focus == Focus::Panel || (self.focus == Focus::Composer && !self.composer.is_empty()) || key.repeat {
            return false;
        }
        let key = self.keymap.canonical(Place::Fault, key);
        if key.typed() == Some('r') && self.retry_now(out) {
            return true;
        }
        let Some(fault) = self.transcript.open_fault() else { return false };
        let command = match (fault.choices, key.typed()) {
            (FaultChoices::Key, Some('k')) => Command::AnotherKey,
            (FaultChoices::Key, Some('m')) => Command::AnotherEndpoint,
            (FaultChoices::Cut, Some('c')) => Command::Continue,
            (FaultChoices::Compact, Some('c')) => {
                self.compact_and_ask(out);
                return true;
            }
            (FaultChoices::Key | FaultChoices::Cut | FaultChoices::Compact | FaultChoices::Retry, Some('r')) => {
                Command::AskAgain
            }
            (
                FaultChoices::Key
                | FaultChoices::Cut
                | FaultChoices::Compact
                | FaultChoices::Retry
                | FaultChoices::None,
                _,
            ) => return false,
        };
        self.perform(command, out);
        true
    }
}
