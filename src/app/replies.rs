//! Answers of effects. Those whose question is no longer asked are ignored, by their generation.

use super::composer::size;
use super::effect::{EditorUse, Effect};
use super::event::{Copied, CopiedHow, Reply};
use super::overlay::{AskFor, Overlay, WelcomeRow};
use super::state::State;
use super::status::Endpoint;
use crate::chat::{ConversationId, Fault, NoticeKind, Order, Part, Root, ServerAction, ServerName};

impl State {
    /// A folder that a server may be told of was looked for.
    fn root_found(&mut self, server: ServerName, result: Result<Root, Fault>, out: &mut Vec<Effect>) {
        let what = AskFor::Root(server.clone());
        let Some(at) = self.overlays.iter().position(|o| matches!(o, Overlay::Ask(ask) if ask.what == what)) else {
            // The person has gone back: it is not wished any more.
            return;
        };
        match result {
            Ok(root) => {
                self.overlays.remove(at);
                out.push(Effect::Order(Order::Server { server, action: ServerAction::AddRoot(root) }));
            }
            Err(fault) => {
                if let Some(Overlay::Ask(ask)) = self.overlays.get_mut(at) {
                    ask.busy = false;
                    ask.refused = Some(fault.message);
                }
            }
        }
    }

    /// A server was written down: the question before its start follows by itself. Or why it was not.
    fn server_added(&mut self, result: Result<ServerName, Fault>, out: &mut Vec<Effect>) {
        let at = self.overlays.iter().position(|o| matches!(o, Overlay::Ask(ask) if ask.what == AskFor::Server));
        match result {
            Ok(server) => {
                if let Some(at) = at {
                    self.overlays.remove(at);
                }
                for overlay in &mut self.overlays {
                    if let Overlay::Servers(list) = overlay {
                        list.selected = Some(server.clone());
                    }
                }
                self.say(format!("{} is written down", server.as_str()), out);
            }
            Err(fault) => match at.and_then(|at| self.overlays.get_mut(at)) {
                Some(Overlay::Ask(ask)) => {
                    ask.busy = false;
                    let hint = fault.hint.map(|hint| format!("  {hint}")).unwrap_or_default();
                    ask.refused = Some(format!("{}{hint}", fault.message));
                }
                Some(_) | None => self.fault_notice(&fault, out),
            },
        }
    }

    pub(super) fn reply(&mut self, reply: Reply, out: &mut Vec<Effect>) {
        match reply {
            Reply::Page(page) => {
                let generation = self.session.fresh();
                if let Some(browser) = self.browser() {
                    browser.page(page, generation, out);
                }
                self.preview_selected(out);
            }
            Reply::Preview { generation, result } => {
                let mut failed = None;
                if let Some(browser) = self.browser() {
                    failed = browser.previewed(generation, result);
                }
                if let Some(fault) = failed {
                    self.fault_notice(&fault, out);
                }
            }
            Reply::Opened { generation, result } => {
                if generation != self.open_generation {
                    return;
                }
                match result {
                    Ok(conversation) => {
                        let (at, path) = (self.opens_at.take(), conversation.messages.clone());
                        self.load(*conversation, out);
                        if at.is_some_and(|at| !self.reach(&at, &path)) {
                            let why =
                                if self.transcript.open_elsewhere { "another millrace has it" } else { "it is gone" };
                            self.say(format!("what was found is not on this branch: {why}"), out);
                        }
                    }
                    Err(fault) => self.fault_notice(&fault, out),
                }
            }
            Reply::Followed { generation, step } => self.followed(generation, *step, out),
            Reply::Walked { generation, message, conversation } => {
                self.walked(generation, &message, &conversation, out);
            }
            Reply::Newest(newest) => self.newest = newest,
            Reply::Prompts { generation, prompts } => {
                for overlay in &mut self.overlays {
                    if let Overlay::Prompts(list) = overlay {
                        list.answered(generation, &prompts);
                    }
                }
            }
            Reply::Renamed { conversation, title, result } => match result {
                Ok(()) => {
                    self.renamed(&conversation, &title);
                    if let Some(browser) = self.browser() {
                        browser.change(&conversation, |summary| summary.title.clone_from(&title));
                    }
                }
                Err(fault) => self.fault_notice(&fault, out),
            },
            Reply::Pinned { conversations, pinned, result } => match result {
                Ok(()) => {
                    if let Some(browser) = self.browser() {
                        for conversation in &conversations {
                            browser.change(conversation, |summary| summary.pinned = pinned);
                        }
                        browser.marked.clear();
                    }
                }
                Err(fault) => self.fault_notice(&fault, out),
            },
            Reply::Deleted { conversations, for_good, result } => match result {
                Ok(remarks) => self.deleted(&conversations, for_good, &remarks, out),
                Err(fault) => self.fault_notice(&fault, out),
            },
            Reply::Restored { conversations, result } => match result {
                Ok(()) => {
                    let generation = self.session.fresh();
                    if let Some(browser) = self.browser() {
                        let titles = browser.restored(&conversations);
                        browser.search_again(generation, out);
                        match &titles[..] {
                            [] => {}
                            [title] => self.say(format!("restored \"{title}\""), out),
                            titles => self.say(format!("restored {} conversations", titles.len()), out),
                        }
                    }
                }
                Err(fault) => self.fault_notice(&fault, out),
            },
            Reply::Saved { what, result } => match result {
                Ok(path) => self.say(format!("{what} is in {path}"), out),
                Err(fault) => self.fault_notice(&fault, out),
            },
            Reply::Copied(copied) => self.say(copied.sentence(), out),
            Reply::EditorClosed { what, result } => self.edited(what, result, out),
            Reply::Known { generation, titles, sources, models } => {
                if let Some(Overlay::Palette(palette)) = self.overlays.last_mut() {
                    palette.known(generation, titles, sources, models);
                }
            }
            Reply::Models { generation, sources, rows } => self.listed(generation, sources, rows, out),
            Reply::ModelFacts(row) => self.facts(&row, out),
            Reply::Switched(to) => self.switched(*to, out),
            Reply::Usage { generation, rounds } => self.usage.answered(generation, rounds),
            Reply::FileStands { call, path, standing } => self.file_stands(&call, path, standing),
            Reply::PathsLead { call, marks } => self.paths_lead(&call, marks),
            Reply::Turn { generation, turn } => self.turn_read(generation, turn),
            Reply::EverApproved(ever) => self.reviewed.answered(ever),
            Reply::Said(text) => self.say(text, out),
            Reply::Local { port, found } => {
                if let Some(welcome) = self.welcome() {
                    welcome.probed(port, found);
                }
            }
            Reply::Imports(sources) => {
                for overlay in &mut self.overlays {
                    if let Overlay::Import(import) = overlay {
                        import.found(&sources);
                    }
                }
                if let Some(welcome) = self.welcome() {
                    welcome.imports(sources);
                }
            }
            Reply::ServerAdded(result) => self.server_added(result, out),
            Reply::RootFound { server, result } => self.root_found(server, result, out),
            Reply::Connected { base_url, key_from, model, context_window, warning } => {
                self.connected(Endpoint::new(base_url, key_from), model, context_window, out);
                if let Some(warning) = warning {
                    self.notice(NoticeKind::Config, warning, out);
                }
            }
            Reply::ConnectFailed(fault) => {
                let text = match &fault.hint {
                    Some(hint) => format!("{}  {hint}", fault.message),
                    None => fault.message.clone(),
                };
                for overlay in self.overlays.iter_mut().rev() {
                    match overlay {
                        Overlay::Ask(ask) => {
                            ask.busy = false;
                            ask.refused = Some(text);
                            return;
                        }
                        Overlay::Welcome(welcome) => {
                            welcome.busy = false;
                            welcome.fault = Some(text);
                            return;
                        }
                        _ => {}
                    }
                }
                self.fault_notice(&fault, out);
            }
            Reply::Files { generation, paths } => self.composer.files(generation, paths),
            Reply::Attached { path, result } => match result {
                Ok(part) => {
                    let attachments = self.composers().flat_map(|composer| &mut composer.attachments);
                    for attachment in attachments.filter(|one| one.path == path && one.part.is_none()) {
                        attachment.part = Some(part.clone());
                    }
                }
                Err(fault) => {
                    for composer in self.composers() {
                        composer.attachments.retain(|one| one.path != path || one.part.is_some());
                    }
                    self.fault_notice(&fault, out);
                }
            },
            Reply::Settings { generation, written, themes } => {
                for overlay in &mut self.overlays {
                    if let Overlay::Settings(list) = overlay {
                        list.read(generation, written.clone(), &themes);
                    }
                }
            }
            Reply::Set { key, value, result } => self.set(&key, value.as_deref(), &result, out),
            Reply::Ran { generation, result } => self.ran(generation, result, out),
            Reply::Picture { generation, result } => self.picture(generation, result, out),
            Reply::Draft { conversation, text } => {
                if self.composer.is_empty() && self.is_kept() && self.transcript.conversation == conversation {
                    self.composer.set(&text);
                    self.composer.attach_again(out);
                }
            }
            // The page is in the browser: what comes next comes from there.
            Reply::PageOpened(Ok(())) => {}
            Reply::PageOpened(Err(why)) => self.page_failed(&why, out),
            Reply::Resumed => out.push(Effect::Redraw),
            Reply::Failed(fault) => self.fault_notice(&fault, out),
        }
    }

    /// Conversations are out of the lists, or gone for good.
    fn deleted(&mut self, conversations: &[ConversationId], for_good: bool, remarks: &[String], out: &mut Vec<Effect>) {
        if for_good {
            for conversation in conversations {
                self.forget(conversation, out);
            }
        }
        let generation = self.session.fresh();
        let (what, them) = match self.browser() {
            None => {
                let said = match (for_good, conversations) {
                    (true, _) if remarks.is_empty() => "erased: nothing of it is left in the store".to_owned(),
                    (true, _) => format!("erased. {}", remarks.join(" ")),
                    (false, ids) => format!(
                        "deleted, kept for 30 days: millrace history restore {}",
                        ids.iter()
                            .map(|id| id.as_str().chars().take(8).collect::<String>())
                            .collect::<Vec<_>>()
                            .join(" ")
                    ),
                };
                return self.say(said, out);
            }
            Some(browser) => {
                let titles = browser.deleted(conversations, for_good);
                browser.look(generation, out);
                match &titles[..] {
                    [] => return,
                    [title] => (format!("\"{title}\""), "it"),
                    titles => (format!("{} conversations", titles.len()), "them"),
                }
            }
        };
        let said = match for_good {
            true if remarks.is_empty() => format!("erased {what}: nothing of {them} is left in the store"),
            true => format!("erased {what}. {}", remarks.join(" ")),
            false => format!("deleted {what}, kept for 30 days: {{browser.undo}} brings {them} back"),
        };
        self.say(said, out);
    }

    /// The clipboard's picture goes into the message that it was pasted into.
    fn picture(&mut self, generation: u64, result: Result<Part, Fault>, out: &mut Vec<Effect>) {
        let here = self.composer.pictures.contains(&generation);
        let Some(composer) = self.composers().find(|one| one.pictures.contains(&generation)) else { return };
        composer.pictures.retain(|waited| *waited != generation);
        match result {
            Ok(part) => {
                composer.attach_picture(part);
                if here {
                    self.text_changed(out);
                }
            }
            Err(fault) => self.fault_notice(&fault, out),
        }
    }

    fn edited(&mut self, what: EditorUse, result: Result<String, crate::chat::Fault>, out: &mut Vec<Effect>) {
        let text = match result {
            Ok(text) => text,
            Err(fault) => return self.fault_notice(&fault, out),
        };
        match what {
            EditorUse::Composer => {
                self.composer.edited(&text);
                self.text_changed(out);
            }
            EditorUse::Arguments { call } => {
                let (now, revision) = (self.now, self.session.fresh());
                if let Some(Overlay::Review(open)) = self.overlays.last_mut()
                    && *open.call() == call
                {
                    open.edited(&text, now, revision);
                    open.look_at_paths(&self.servers, out);
                }
            }
            EditorUse::Sample { inquiry } => self.sample_edited(inquiry, &text),
            EditorUse::Summary { conversation, upto } => self.summary_edited(conversation, upto, &text, out),
            EditorUse::View => {}
        }
    }

    fn connected(&mut self, endpoint: Endpoint, model: Option<String>, window: Option<u64>, out: &mut Vec<Effect>) {
        self.session.greeting = Some(format!("Messages go to {}.", endpoint.host));
        self.session.connection = Some(endpoint);
        self.inquiry_moved();
        self.session.context_window = window;
        self.session.window_asked = false;
        self.session.prices = None;
        self.session.settings.lacks = Default::default();
        self.session.casting.model = None;
        self.session.settings.model = model.unwrap_or_default();
        self.overlays.retain(|overlay| !matches!(overlay, Overlay::Welcome(_) | Overlay::Ask(_)));
        // A refused key or address was the reason: the kept message is asked again.
        if self.transcript.open_fault().is_some_and(|fault| fault.choices == super::transcript::FaultChoices::Key)
            && self.transcript.turn.is_none()
            && !self.session.settings.model.is_empty()
            && self.transcript.conversation.is_some()
        {
            return self.answer_again(self.turn_settings(), out);
        }
        if !self.composer.is_blank() {
            self.perform(super::command::Command::Send, out);
        } else if self.session.settings.model.is_empty() {
            self.open_models(super::model::Then::Nothing, out);
        }
    }

    pub(super) fn set_system(&mut self, text: String, out: &mut Vec<Effect>) {
        self.session.settings.system = (!text.is_empty()).then_some(text);
        if self.transcript.role.is_none() {
            self.session.casting.system.clone_from(&self.session.settings.system);
        }
        self.transcript.system.clone_from(&self.session.settings.system);
        let said = match &self.session.settings.system {
            Some(_) => "the system prompt holds from the next message on",
            None => "no system prompt from the next message on",
        };
        self.say(said, out);
    }

    pub(super) fn browser(&mut self) -> Option<&mut super::overlay::Browser> {
        self.overlays.iter_mut().find_map(|overlay| match overlay {
            Overlay::Browser(browser) => Some(&mut **browser),
            _ => None,
        })
    }

    pub(super) fn welcome(&mut self) -> Option<&mut super::overlay::Welcome> {
        self.overlays.iter_mut().find_map(|overlay| match overlay {
            Overlay::Welcome(welcome) => Some(&mut **welcome),
            _ => None,
        })
    }

    pub(super) fn search_rested(&mut self, generation: u64, out: &mut Vec<Effect>) {
        for overlay in &mut self.overlays {
            match overlay {
                Overlay::Browser(browser) => browser.rested(generation, out),
                Overlay::Prompts(prompts) => prompts.rested(generation, out),
                _ => {}
            }
        }
    }

    pub(super) fn preview_selected(&mut self, out: &mut Vec<Effect>) {
        let generation = self.session.fresh();
        if let Some(browser) = self.browser() {
            browser.look(generation, out);
        }
    }
}

impl Copied {
    /// What became of it, truthfully.
    #[must_use]
    pub fn sentence(&self) -> String {
        let what = self.what;
        match &self.how {
            CopiedHow::Clipboard => format!("copied {what}"),
            CopiedHow::Tmux => format!("sent {what} to tmux and its terminal"),
            CopiedHow::Terminal => format!("sent {what} to the terminal, which does not say whether it took it"),
            CopiedHow::TooLong { bytes, most, file: Ok(path) } => format!(
                "not copied: {} is more than the {} that a terminal takes; {what} is in {path}",
                size(*bytes),
                size(*most)
            ),
            CopiedHow::TooLong { bytes, most, file: Err(fault) } => format!(
                "not copied: {} is more than the {} that a terminal takes, and {}",
                size(*bytes),
                size(*most),
                fault.message
            ),
            CopiedHow::Failed { why, file: Ok(path) } => format!("not copied: {why}; {what} is in {path}"),
            CopiedHow::Failed { why, file: Err(fault) } => format!("not copied: {why}, and {}", fault.message),
        }
    }
}

impl Endpoint {
    #[must_use]
    pub fn new(base_url: String, key_from: Option<String>) -> Self {
        let rest = base_url.split_once("://").map_or(base_url.as_str(), |(_, rest)| rest);
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host).to_owned();
        Self { base_url, host, key_from }
    }
}

impl WelcomeRow {
    /// What enter does is already known to need nothing more.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match self {
            Self::Local(_) | Self::Demo => true,
            Self::OpenAi | Self::Address | Self::Servers => false,
        }
    }
}
