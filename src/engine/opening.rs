//! How a turn begins: its conversation is read or made, its servers are waited for where that is wished, then it runs.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::builtin::{self, Shelf};
use super::memory;
use super::one_call::OneCall;
use super::port::Opened;
use super::run::{Engine, Inbound};
use super::turns::Running;
use crate::chat::{
    AnswerState, Body, CallId, Change, Compaction, CompactionStep, ConversationId, Fault, FaultKind, Heard, Marked,
    Message, MessageId, NoticeKind, Parent, Part, PastCall, ServerName, Submit, ToolChoice, ToolRef, Toolset,
    TurnEvent, TurnId, TurnRole, TurnSettings, TurnStatus,
};
use crate::tools::{self, Builtin, FindRules, Snapshot};
use crate::turn::{Event, Plan, Turn};

/// What a turn begins with.
#[derive(Debug)]
pub(super) enum Start {
    /// A user's new message.
    Message(Vec<Part>),
    /// On from where the conversation stands.
    Continue,
    /// A message of the user is answered once more; None: the last.
    Again(Option<MessageId>),
    /// A call runs once more, by review; then the model goes on.
    Rerun(CallId),
    /// No turn: the model writes a summary of what stands.
    Summary { note: String },
}

/// A turn that has not begun yet.
#[derive(Debug)]
pub(super) struct Opening {
    pub turn: TurnId,
    /// Minted where it is new.
    pub conversation: ConversationId,
    pub is_new: bool,
    pub parent: Parent,
    pub start: Start,
    pub settings: TurnSettings,
    /// What the store said; None where nothing had to be read.
    pub read: Option<Result<Opened, Fault>>,
    /// Its summary was written, or could not be.
    pub summarised: bool,
}

impl Opening {
    pub fn submit(submit: Submit) -> Self {
        let is_new = submit.conversation.is_none();
        let minted = || ConversationId::new(uuid::Uuid::now_v7().to_string());
        Self {
            turn: submit.turn,
            conversation: submit.conversation.unwrap_or_else(minted),
            is_new,
            parent: submit.parent,
            start: Start::Message(submit.parts),
            settings: submit.settings,
            read: None,
            summarised: false,
        }
    }

    pub fn go_on(turn: TurnId, conversation: ConversationId, settings: TurnSettings) -> Self {
        Self {
            turn,
            conversation,
            is_new: false,
            parent: Parent::Newest,
            start: Start::Continue,
            settings,
            read: None,
            summarised: false,
        }
    }

    pub fn rerun(turn: TurnId, conversation: ConversationId, call: CallId, settings: TurnSettings) -> Self {
        Self { start: Start::Rerun(call), ..Self::go_on(turn, conversation, settings) }
    }

    pub fn summary(turn: TurnId, conversation: ConversationId, note: String, settings: TurnSettings) -> Self {
        Self { start: Start::Summary { note }, ..Self::go_on(turn, conversation, settings) }
    }

    pub fn again(
        turn: TurnId,
        conversation: ConversationId,
        question: Option<MessageId>,
        settings: TurnSettings,
    ) -> Self {
        Self { start: Start::Again(question), ..Self::go_on(turn, conversation, settings) }
    }
}

impl Engine {
    /// Reads the conversation where it must be read, then goes on.
    /// A reader learns at once that it began, whatever it waits for.
    pub(super) fn open(&mut self, opening: Opening) {
        // Before anybody is told its name, and could have something written of it.
        if opening.settings.no_save {
            self.unsaved.insert(opening.conversation.clone());
        }
        self.titling.give_way();
        if !matches!(opening.start, Start::Summary { .. }) {
            self.emit(TurnEvent::Started {
                turn: opening.turn,
                conversation: opening.conversation.clone(),
                model: opening.settings.model.clone(),
                base_url: self.model.base_url(),
                api: self.model.api().word(),
            });
        }
        if opening.is_new || self.memory.get(&opening.conversation).is_some() {
            self.hold_or_begin(opening);
            return;
        }
        self.openings.insert(opening.turn, false);
        let (read, inbound) = (self.journal.open(opening.conversation.clone()), self.inbound.clone());
        tokio::spawn(async move {
            let opening = Opening { read: Some(read.await), ..opening };
            let _ = inbound.send(Inbound::Opened(Box::new(opening))).await;
        });
    }

    pub(super) fn opened(&mut self, mut opening: Opening) {
        let cancelled = self.openings.remove(&opening.turn).unwrap_or(false);
        let turn = opening.turn;
        match opening.read.take() {
            Some(Ok(opened)) => self.memory.put(opening.conversation.clone(), opened),
            Some(Err(fault)) if matches!(opening.start, Start::Summary { .. }) => {
                return self.step(&opening.conversation, CompactionStep::Failed { turn, fault });
            }
            Some(Err(fault)) => {
                self.refuse(turn, opening.conversation, fault);
                return;
            }
            None => {}
        }
        self.hold_or_begin(opening);
        if cancelled && !self.stop_summary(turn) {
            self.cancel_begun(turn);
        }
    }

    fn cancel_begun(&mut self, turn: TurnId) {
        if let Some(at) = self.held.iter().position(|o| o.turn == turn) {
            let opening = self.held.remove(at);
            self.begin(opening);
        }
        self.drive(turn, Event::Cancel);
    }

    fn hold_or_begin(&mut self, opening: Opening) {
        if self.must_wait() && !matches!(opening.start, Start::Summary { .. }) {
            self.held.push(opening);
        } else {
            self.begin(opening);
        }
    }

    /// The turn never begins: it says why, and ends.
    fn refuse(&mut self, turn: TurnId, conversation: ConversationId, fault: Fault) {
        self.emit(TurnEvent::Error { turn: Some(turn), fault });
        let status = TurnStatus::Failed;
        self.emit(TurnEvent::Ended { turn, status, text: String::new(), rounds: 0, calls: 0, conversation });
    }

    pub(super) fn begin(&mut self, opening: Opening) {
        if matches!(opening.start, Start::Summary { .. }) || self.wants_summary(&opening) {
            return self.summarise(opening);
        }
        let Opening { turn, conversation, is_new: fresh, parent, start, mut settings, read: _, summarised: _ } =
            opening;
        let at = self.now();
        let (toolset, chosen) = self.toolset(&conversation, settings.toolset.take(), settings.role.as_ref());
        let mut tools = self.desk.snapshot.chosen(&toolset);
        settings.tool_choice = match resolve(&tools, settings.tool_choice) {
            Ok(choice) => choice,
            Err(fault) => return self.refuse(turn, conversation, fault),
        };
        let mut message = None;
        let mut model = Arc::clone(&self.model);
        let mut rerun = None;
        match start {
            Start::Rerun(call) => {
                let calls = self.memory.get(&conversation).map(|o| o.messages.as_slice()).unwrap_or_default();
                let Some(call) = memory::find_call(calls, &call) else {
                    let fault = Fault::new(FaultKind::Usage, "That call is not in this conversation.");
                    return self.refuse(turn, conversation, fault);
                };
                message = Some(vec![Part::text(format!("Run {} again.", call.wire_name))]);
                model = Arc::new(OneCall { call: call.clone(), then: model, made: AtomicBool::new(false) });
                rerun = Some(call);
            }
            Start::Message(parts) => {
                if let Some(opened) = self.memory.get(&conversation) {
                    let keep = memory::keep(&opened.messages, &parent);
                    self.memory.discard(&conversation, keep, self.keeps(&conversation));
                }
                message = Some(parts);
            }
            Start::Again(question) => {
                if let Some(opened) = self.memory.get(&conversation) {
                    let keep = memory::keep_to(&opened.messages, question.as_ref());
                    self.memory.discard(&conversation, keep, self.keeps(&conversation));
                }
            }
            // It was taken aside above.
            Start::Summary { .. } => return,
            Start::Continue => {
                let last = self.memory.get(&conversation).and_then(|o| o.messages.last());
                // Endpoints refuse, or take as a prefill, a conversation that ends with the model's own words.
                if last.is_none_or(|m| matches!(m.body, Body::Assistant(_))) {
                    message = Some(vec![Part::text("Continue.")]);
                }
            }
        }
        let opened = self.memory.get(&conversation).cloned().unwrap_or_default();
        let mut history = opened.messages;
        let key = MessageId::new(uuid::Uuid::now_v7().to_string());
        self.hear(|| Heard::Turn { turn, conversation: conversation.clone(), key: key.clone() });
        let new_message = message.map(|parts| {
            Arc::new(Message {
                id: MessageId::new(format!("{}.0", key.as_str())),
                parent: history.last().map(|m| m.id.clone()),
                at: at.wall_ms,
                body: Body::User(parts),
            })
        });
        let mut repeats: Vec<PastCall> = opened.past;
        let tried = after_last_question(&history);
        if let Some(call) = rerun {
            // A person asked for it, and sees it once more: an equal call asks, whatever policy says.
            repeats.extend(memory::past_calls(&history));
            repeats.retain(|past| Some(&past.tool) == call.tool.as_ref() && past.arguments == call.arguments);
        }
        if tried.iter().any(|m| matches!(&m.body, Body::Assistant(a) if a.state != AnswerState::Complete)) {
            // Asked again after an attempt that broke off.
            repeats.extend(memory::past_calls(tried));
        }
        history.extend(new_message.clone());
        let mut opening = Vec::new();
        if fresh {
            opening.push(Change::Conversation {
                id: conversation.clone(),
                folder: self.config.folder.clone(),
                model: settings.model.clone(),
                base_url: self.model.base_url(),
                system: settings.system.clone(),
                at: at.wall_ms,
            });
        } else {
            // Lists name the one that answered last.
            opening.push(Change::ConversationModel {
                id: conversation.clone(),
                model: settings.model.clone(),
                base_url: self.model.base_url(),
            });
        }
        // When a model was last asked, for lists of models.
        opening.push(Change::Learnt {
            base_url: self.model.base_url(),
            model: settings.model.clone(),
            key: Marked::USED.to_owned(),
            value: at.wall_ms.to_string(),
        });
        if opened.system != settings.system {
            self.memory.brief(&conversation, settings.system.clone());
            if !fresh {
                opening.push(Change::System { conversation: conversation.clone(), system: settings.system.clone() });
            }
        }
        let kept = opened.role;
        if let Some(role) = settings.role.take().map(|role| role.name).filter(|name| *name != kept) {
            self.memory.play(&conversation, role.clone());
            opening.push(Change::Role { conversation: conversation.clone(), role });
        }
        if chosen {
            opening.push(Change::Toolset { conversation: conversation.clone(), toolset: toolset.clone() });
        }
        let mut shelf = self.shelf(&tools, &toolset, settings.context_window);
        tools = Arc::clone(shelf.tools());
        let wanted = match &settings.tool_choice {
            ToolChoice::Named(name) => Some(name.as_str()),
            ToolChoice::Auto | ToolChoice::None | ToolChoice::Required => None,
        };
        let refer_upto = match shelf.reads_on() {
            true => self.refer_upto(turn, &conversation, &settings, &history),
            false => None,
        };
        shelf.refers = refer_upto.is_some();
        let shelf = Arc::new(shelf);
        let offered = shelf.list(&history, wanted);
        let searched = shelf.findable();
        if let Some(all) = searched
            && self.searching.insert(conversation.clone())
        {
            let message = builtin::notice(offered.as_deref(), all, tools.tokens());
            self.emit(TurnEvent::Notice { turn: Some(turn), kind: NoticeKind::Info, message });
        }
        let settings_model = settings.model.clone();
        let saving = self.saving || self.unsaved.contains(&conversation);
        settings.system = tools.briefed(settings.system.as_deref());
        let plan = Plan {
            turn,
            key,
            tainted: self.tainted(&history),
            conversation,
            settings,
            base_url: self.model.base_url(),
            origin: self.model.origin(),
            summary: Compaction::on(&opened.compactions, &history).map(|(one, at)| (Arc::new(one.clone()), at)),
            refer_upto,
            history,
            fresh: new_message,
            opening,
            server_lines: self.desk.statuses.iter().map(|(name, status)| (name.clone(), status.reached())).collect(),
            tools,
            offered: offered.map(|list| self.model.offered(&settings_model, list)),
            searched,
            used_ids: opened.used_ids.into_iter().collect(),
            repeats,
            late_data: self.late.contains(&(self.model.base_url(), settings_model)),
            saving,
            limits: Arc::clone(&self.config.limits),
        };
        self.turns.insert(turn, Running::new(Turn::new(plan, at), model, shelf));
        self.drive(turn, Event::Begin);
    }

    /// What of the tools a conversation is offered, and whether that is another choice than the one kept with it.
    fn toolset(
        &mut self,
        conversation: &ConversationId,
        given: Option<Toolset>,
        role: Option<&TurnRole>,
    ) -> (Toolset, bool) {
        let kept = self.memory.get(conversation).map(|opened| opened.toolset.clone()).unwrap_or_default();
        let given = match role {
            // Its tools go with it, whoever switched others.
            Some(role) => Some(given.unwrap_or_else(|| kept.clone()).in_role(role.tools.clone())),
            None => given,
        };
        match given {
            Some(given) if given != kept => {
                self.memory.choose(conversation, given.clone());
                (given, true)
            }
            Some(_) | None => (kept, false),
        }
    }

    /// The tools of a turn, with those of millrace's own that it may use.
    fn shelf(&self, tools: &Arc<Snapshot>, toolset: &Toolset, window: Option<u64>) -> Shelf {
        let may = |name: &str| !self.desk.registry.denies(&ToolRef::new(Builtin::SERVER, name));
        let rules = self.desk.registry.find_rules();
        let rules = FindRules { mode: toolset.find.unwrap_or(rules.mode), ..rules };
        let searches = rules.applies(tools.tools().count(), tools.tokens(), window) && may(builtin::FIND_TOOLS);
        let read = self.reading.clone().filter(|_| may(builtin::READ_RESULT));
        Shelf::new(tools, searches, read, &self.config.limits)
    }

    /// Servers whose untrusted content stands in the history: of calls that left, or may have.
    fn tainted(&self, history: &[Arc<Message>]) -> Vec<ServerName> {
        let mut servers: Vec<ServerName> = Vec::new();
        for past in memory::past_calls(history) {
            // What our own tools tell came from elsewhere, and has tainted it already.
            if past.tool.server.as_str() == Builtin::SERVER && builtin::is_own(&past.tool.tool) {
                continue;
            }
            let taints = self.desk.snapshot.by_ref(&past.tool).is_none_or(|t| tools::taints(t));
            if taints && !servers.contains(&past.tool.server) {
                servers.push(past.tool.server);
            }
        }
        servers
    }
}

/// A tool named `server/tool` becomes its wire name; one that is not there is an error now, not a puzzle later.
fn resolve(snapshot: &Snapshot, choice: ToolChoice) -> Result<ToolChoice, Fault> {
    let ToolChoice::Named(name) = choice else { return Ok(choice) };
    if snapshot.get(&name).is_some() {
        return Ok(ToolChoice::Named(name));
    }
    if let Some((server, tool)) = name.split_once('/')
        && let Some(tool) = snapshot.by_ref(&crate::chat::ToolRef::new(server, tool))
    {
        return Ok(ToolChoice::Named(tool.wire_name.to_string()));
    }
    let message = format!("--tool-choice names {name}, which no server offers.");
    let near = snapshot.near(&name).join(", ");
    let hint = if near.is_empty() { "`millrace mcp tools` lists them.".into() } else { format!("Near: {near}.") };
    Err(Fault::new(FaultKind::Usage, message).hint(hint))
}

/// What stands behind the user's last message: an attempt that may be made again.
fn after_last_question(history: &[Arc<Message>]) -> &[Arc<Message>] {
    &history[memory::keep_to_question(history)..]
}
