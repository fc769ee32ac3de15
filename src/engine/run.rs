//! The engine's task: one loop over orders and what its tasks report.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::builtin;
use super::compacting::Summarising;
use super::desk::Desk;
use super::lane::{self, Lane, Withdrawn};
use super::memory::Memory;
use super::opening::Opening;
use super::outbox::{Inbox, Outbox};
use super::port::{Clock, Journal, Lesson, Model, ModelEvent, ServerEvent, Servers};
use super::sampling::{Progress, Samplings};
use super::titling::{TitleStep, Titles, Titling};
use super::turns::Running;
use crate::chat::{
    CallState, CompactionStep, ConversationId, Durability, Fault, FaultKind, GrantScope, Heard, InquiryId, Limits,
    MessageId, NoticeKind, Order, ServerAction, ServerName, ServerReply, Stamp, Stamped, Toolset, TurnEvent, TurnId,
    WaitFor, Wiretap,
};
use crate::tools::{Builtin, Registry, RegistryRules, ServerRules};
use crate::turn::Event;

/// Messages that wait for the engine; a full queue holds back the reading of models and servers, nothing else.
const QUEUE: usize = 256;

/// What the world is made of.
pub struct Ports {
    pub model: Arc<dyn Model>,
    pub servers: Arc<dyn Servers>,
    pub journal: Arc<dyn Journal>,
    pub clock: Arc<dyn Clock>,
    pub server_events: mpsc::Receiver<ServerEvent>,
}

#[derive(Clone, Debug)]
pub struct EngineConfig {
    pub limits: Arc<Limits>,
    pub rules: RegistryRules,
    /// The working folder, recorded with new conversations.
    pub folder: String,
    /// Servers that are about to start.
    pub starting: Vec<ServerName>,
    /// A turn waits until each of them is ready, failed or past its start limit (`run`; the screen never waits).
    pub wait_for_servers: bool,
    /// The model is read no faster than events are taken (pipes; the screen merges instead).
    pub paced: bool,
    /// False where there is no store: conversations live in memory, and are said to be unsaved.
    pub saving: bool,
    /// Who makes titles for conversations that have none; None: nobody.
    pub titles: Option<Titles>,
    /// Hears the orders, and which turns and reviews they led to.
    pub wiretap: Option<Arc<dyn Wiretap>>,
}

pub(super) enum Inbound {
    Turn(TurnId, Event),
    Server(ServerEvent),
    /// A write came back.
    Store(Result<(), Fault>),
    /// A synced commit of this conversation came back.
    Synced(ConversationId),
    Settled {
        server: ServerName,
        generation: u64,
    },
    Opened(Box<Opening>),
    /// How an answer for a server gets on.
    Sampled(InquiryId, Progress),
    /// What came of a request for a summary.
    Summary(TurnId, ModelEvent),
    /// The write of a summary that a person changed came back.
    SummaryChanged {
        conversation: ConversationId,
        step: CompactionStep,
        written: Result<(), Fault>,
    },
    /// How a title gets on.
    Title(ConversationId, TitleStep),
    /// A server answered what it was asked beside calls.
    Replied {
        generation: u64,
        server: ServerName,
        result: Result<ServerReply, Fault>,
    },
}

pub(super) enum Control {
    Order(Order),
    Model(Arc<dyn Model>),
    Notice(NoticeKind, String),
    Expect(ServerName, ServerRules),
    CaughtUp(oneshot::Sender<()>),
    Shutdown(oneshot::Sender<()>),
}

/// Tells the engine what to do; cheap to clone.
#[derive(Clone)]
pub struct Orders(mpsc::UnboundedSender<Control>);

impl Orders {
    /// Never waits. Orders given after the engine has ended are void.
    pub fn send(&self, order: Order) {
        let _ = self.0.send(Control::Order(order));
    }

    /// Turns that begin from now on ask this model.
    pub fn connect(&self, model: Arc<dyn Model>) {
        let _ = self.0.send(Control::Model(model));
    }

    /// A server is about to be added, and what holds for it: turns that begin from now on wait until it is ready or
    /// has failed.
    pub fn expect(&self, server: ServerName, rules: ServerRules) {
        let _ = self.0.send(Control::Expect(server, rules));
    }

    /// Something that the reader should know, in its place among the events.
    pub fn notice(&self, kind: NoticeKind, message: String) {
        let _ = self.0.send(Control::Notice(kind, message));
    }

    /// Returns when everything that had reached the engine before was acted upon.
    pub async fn caught_up(&self) {
        let (done, reached) = oneshot::channel();
        if self.0.send(Control::CaughtUp(done)).is_ok() {
            let _ = reached.await;
        }
    }

    /// Stops every turn, writes down what there is, ends every server; returns when all of it is done.
    pub async fn shutdown(&self) {
        let (done, ended) = oneshot::channel();
        if self.0.send(Control::Shutdown(done)).is_ok() {
            let _ = ended.await;
        }
    }
}

/// Both ends of a running engine.
pub struct Handle {
    pub orders: Orders,
    pub inbox: Inbox,
}

impl Handle {
    pub fn order(&self, order: Order) {
        self.orders.send(order);
    }

    pub async fn next(&mut self) -> Option<Vec<Stamped<TurnEvent>>> {
        self.inbox.next().await
    }
}

/// The engine's state. See the module's head.
pub struct Engine {
    pub(super) config: EngineConfig,
    pub(super) model: Arc<dyn Model>,
    pub(super) servers: Arc<dyn Servers>,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) outbox: Outbox,
    pub(super) inbound: mpsc::Sender<Inbound>,
    pub(super) desk: Desk,
    pub(super) turns: HashMap<TurnId, Running>,
    /// Turns whose conversation is being read.
    pub(super) openings: HashMap<TurnId, bool>,
    /// Summaries that are being written, by the turn that asked or waits.
    pub(super) summaries: HashMap<TurnId, Summarising>,
    /// Turns that wait for servers to start.
    pub(super) held: Vec<Opening>,
    pub(super) memory: Memory,
    pub(super) lanes: HashMap<ServerName, Lane>,
    pub(super) withdrawn: Withdrawn,
    pub(super) saving: bool,
    /// Why the last write was refused that says nothing of the others.
    refused: Option<String>,
    /// Base URLs and models whose calls leave at the finish.
    pub(super) late: HashSet<(String, String)>,
    /// What was learnt of endpoints and models, for one that is connected later.
    pub(super) lessons: Vec<Lesson>,
    /// Conversations that are not written by wish.
    pub(super) unsaved: HashSet<ConversationId>,
    /// Conversations of which was said that their model searches for tools.
    pub(super) searching: HashSet<ConversationId>,
    pub(super) samplings: Samplings,
    pub(super) titling: Titling,
    /// `read_result`, for conversations in which a result was cut.
    pub(super) reading: Option<Builtin>,
}

impl Engine {
    /// Begins an engine on the current runtime.
    #[must_use]
    pub fn start(config: EngineConfig, ports: Ports) -> Handle {
        let (outbox, inbox) = Outbox::new();
        let (orders, control) = mpsc::unbounded_channel();
        tokio::spawn(Self::run(config, ports, outbox, control));
        Handle { orders: Orders(orders), inbox }
    }

    /// Begins an engine on a thread and a runtime of its own; `ports` are made there.
    ///
    /// # Errors
    /// Where the thread or the runtime cannot be made, or `ports` fails.
    pub fn spawn<E: Send + 'static>(
        config: EngineConfig,
        ports: impl FnOnce() -> Result<Ports, E> + Send + 'static,
    ) -> std::io::Result<Handle> {
        let (outbox, inbox) = Outbox::new();
        let (orders, control) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_keep_alive(Duration::from_secs(60))
            .build()?;
        std::thread::Builder::new().name("engine".into()).spawn(move || {
            runtime.block_on(async move {
                match ports() {
                    Ok(ports) => Self::run(config, ports, outbox, control).await,
                    Err(_) => outbox.close(),
                }
            });
            // Blocking reads of a stuck child must not hold the exit.
            runtime.shutdown_timeout(Duration::from_millis(200));
        })?;
        Ok(Handle { orders: Orders(orders), inbox })
    }

    async fn run(config: EngineConfig, ports: Ports, outbox: Outbox, mut control: mpsc::UnboundedReceiver<Control>) {
        let Ports { model, servers, journal, clock, mut server_events } = ports;
        let (inbound, mut reports) = mpsc::channel(QUEUE);
        let mut registry = Registry::new(config.rules.clone(), Arc::clone(&config.limits));
        let known = journal.pins().await.map(|known| {
            registry.load_pins(known.pins);
            registry.load_grants(known.grants.into_iter().filter(|g| g.scope == GrantScope::Always).collect());
        });
        let lessons = journal.lessons().await.unwrap_or_default();
        model.recall(&lessons);
        let reading = builtin::reading(&config.limits).ok();
        let late = lessons.iter().filter(|l| l.key == "late_data");
        let late = late.map(|l| (l.base_url.clone(), l.model.clone())).collect();
        let mut engine = Self {
            saving: config.saving,
            refused: None,
            desk: Desk::new(registry, &config.starting),
            config,
            model,
            servers,
            journal,
            clock,
            outbox,
            inbound,
            turns: HashMap::new(),
            openings: HashMap::new(),
            summaries: HashMap::new(),
            held: Vec::new(),
            memory: Memory::default(),
            lanes: HashMap::new(),
            withdrawn: Withdrawn::default(),
            late,
            lessons,
            unsaved: HashSet::new(),
            searching: HashSet::new(),
            samplings: Samplings::default(),
            titling: Titling::default(),
            reading,
        };
        if let Err(fault) = known
            && engine.saving
        {
            engine.stored(Err(fault));
        }
        let mut done = None;
        loop {
            tokio::select! {
                biased;
                order = control.recv() => match order {
                    Some(Control::Order(order)) => engine.order(order),
                    Some(Control::Model(model)) => {
                        model.recall(&engine.lessons);
                        engine.model = model;
                    }
                    Some(Control::Expect(server, rules)) => {
                        engine.desk.registry.set_rules(&server, rules);
                        engine.desk.expect(server);
                        engine.tools_changed();
                    }
                    Some(Control::CaughtUp(reached)) => {
                        while let Ok(report) = reports.try_recv() {
                            engine.report(report);
                        }
                        let _ = reached.send(());
                    }
                    Some(Control::Notice(kind, message)) => {
                        engine.emit(TurnEvent::Notice { turn: None, kind, message });
                    }
                    Some(Control::Shutdown(ended)) => { done = Some(ended); break }
                    None => break,
                },
                Some(report) = reports.recv() => engine.report(report),
                Some(event) = server_events.recv() => engine.report(Inbound::Server(event)),
            }
        }
        engine.end(&mut reports).await;
        if let Some(done) = done {
            let _ = done.send(());
        }
    }

    /// Stops what runs, gives calls a moment to end truthfully, and ends the servers.
    async fn end(mut self, reports: &mut mpsc::Receiver<Inbound>) {
        self.samplings.clear();
        self.config.titles = None;
        self.titling.give_way();
        // What was listed for the first time is pinned, also where it has not settled: the next start compares with it.
        for server in self.desk.listed() {
            let changes = self.desk.registry.settled(&server);
            self.registry_changed(changes);
        }
        // What was asked and has not begun is kept like any other question.
        for cancelled in self.openings.values_mut() {
            *cancelled = true;
        }
        for opening in std::mem::take(&mut self.held) {
            self.begin(Opening { summarised: true, ..opening });
        }
        for job in std::mem::take(&mut self.summaries).into_values() {
            if let Some(opening) = job.waiting() {
                self.begin(opening);
            }
        }
        let turns: Vec<TurnId> = self.turns.keys().copied().collect();
        for turn in turns {
            self.drive(turn, Event::Cancel);
        }
        let grace = tokio::time::sleep(Duration::from_secs(3));
        tokio::pin!(grace);
        while !(self.turns.is_empty() && self.openings.is_empty()) {
            tokio::select! {
                () = &mut grace => break,
                report = reports.recv() => match report {
                    Some(report) => self.report(report),
                    None => break,
                },
            }
        }
        self.lanes.clear();
        let written = self.journal.apply(Vec::new(), Durability::Synced);
        self.servers.shutdown().await;
        let _ = written.await;
        self.outbox.close();
    }

    /// Tells whoever listens.
    pub(super) fn hear(&self, heard: impl FnOnce() -> Heard) {
        if let Some(tap) = &self.config.wiretap {
            tap.heard(heard());
        }
    }

    fn order(&mut self, order: Order) {
        // A pasted answer is worth a token: of sign-ins nothing is overheard.
        if !matches!(order, Order::SignIn { .. }) {
            self.hear(|| Heard::Order(order.clone()));
        }
        match order {
            Order::Submit(submit) => self.open(Opening::submit(*submit)),
            Order::Continue { turn, conversation, settings } => {
                self.open(Opening::go_on(turn, conversation, *settings));
            }
            Order::AskAgain { turn, conversation, question, settings } => {
                self.open(Opening::again(turn, conversation, question, *settings));
            }
            Order::RunAgain { turn, conversation, call, settings } => {
                self.open(Opening::rerun(turn, conversation, call, *settings));
            }
            Order::Decide { turn, call, hash, decision } => self.drive(turn, Event::Decided { call, hash, decision }),
            Order::CancelCall { turn, call } => self.drive(turn, Event::CancelCall { call }),
            Order::CancelTurn { turn } => self.cancel(turn),
            Order::Interject { turn, parts } => self.drive(turn, Event::Interject { parts }),
            Order::RetryNow { turn } => self.drive(turn, Event::RetryNow),
            Order::Server { server, action } => self.server_order(&server, action),
            Order::Query { generation, server, query } => {
                let (answer, inbound) = (self.servers.query(&server, query), self.inbound.clone());
                tokio::spawn(async move {
                    let result = answer.await;
                    let _ = inbound.send(Inbound::Replied { generation, server, result }).await;
                });
            }
            Order::Answer { inquiry, answer } => self.servers.answer(inquiry, answer),
            Order::Sample { inquiry, settings } => self.sample(inquiry, *settings),
            Order::SignIn { server, step } => self.servers.sign_in(&server, step),
            Order::AcceptChanges { server, shown } => self.accept(&server, &shown),
            Order::Toolset { conversation, toolset } => self.choose(&conversation, toolset),
            Order::Branch { conversation, path } => self.branch(&conversation, &path),
            Order::Compact { turn, conversation, note, settings } => {
                self.open(Opening::summary(turn, conversation, note, *settings));
            }
            Order::Summary { conversation, upto, text } => self.change_summary(conversation, upto, text),
            Order::Rename { conversation, title } => {
                if !self.unsaved.contains(&conversation) {
                    self.write(vec![crate::chat::Change::Title { conversation, title }], Durability::Synced);
                }
            }
        }
    }

    fn choose(&mut self, conversation: &ConversationId, toolset: Toolset) {
        // A conversation that is not open here is read before its next turn, with what was kept.
        if self.memory.get(conversation).is_some() {
            self.memory.choose(conversation, toolset.clone());
        }
        if !self.unsaved.contains(conversation) {
            let change = crate::chat::Change::Toolset { conversation: conversation.clone(), toolset };
            self.write(vec![change], Durability::Written);
        }
    }

    /// What is shown was read, or is another branch: it is read before its next turn, for another process may have written
    /// it meanwhile. Where nothing else has it all, what is known here of these messages stands.
    fn branch(&mut self, conversation: &ConversationId, path: &[MessageId]) {
        if !self.keeps(conversation) && !self.works_on(conversation) {
            self.memory.show(conversation, path);
        }
        self.reread(conversation);
    }

    /// What the store has is read before the next turn, unless one goes on with what is known.
    pub(super) fn reread(&mut self, conversation: &ConversationId) {
        if self.keeps(conversation) && !self.works_on(conversation) {
            self.memory.forget(conversation);
        }
    }

    fn works_on(&self, conversation: &ConversationId) -> bool {
        self.turns.values().any(|running| running.is_of(conversation))
            || self.summaries.values().any(|summary| summary.is_of(conversation))
            || self.held.iter().any(|opening| opening.conversation == *conversation)
    }

    /// Whether the store has all of a conversation.
    pub(super) fn keeps(&self, conversation: &ConversationId) -> bool {
        self.config.saving && self.saving && !self.unsaved.contains(conversation)
    }

    fn cancel(&mut self, turn: TurnId) {
        if let Some(cancelled) = self.openings.get_mut(&turn) {
            *cancelled = true;
            return;
        }
        if self.stop_summary(turn) {
            return;
        }
        if let Some(at) = self.held.iter().position(|o| o.turn == turn) {
            let opening = self.held.remove(at);
            self.begin(opening);
        }
        self.drive(turn, Event::Cancel);
    }

    fn server_order(&mut self, server: &ServerName, action: ServerAction) {
        match action {
            ServerAction::Trust | ServerAction::Distrust => {
                self.desk.registry.set_trust(server, action == ServerAction::Trust);
                self.tools_changed();
                self.restate(server);
                self.servers.act(server, action);
            }
            ServerAction::Start
            | ServerAction::StartAlways
            | ServerAction::Restart
            | ServerAction::Off
            | ServerAction::Refresh
            | ServerAction::Look
            | ServerAction::Log(_)
            | ServerAction::AddRoot(_)
            | ServerAction::RemoveRoot(_) => self.servers.act(server, action),
        }
    }

    pub(super) fn report(&mut self, report: Inbound) {
        match report {
            Inbound::Turn(turn, event) => self.drive(turn, event),
            Inbound::Server(event) => self.server_event(event),
            Inbound::Store(result) => self.stored(result),
            Inbound::Synced(conversation) => {
                let at = self.now();
                self.outbox.put(at, TurnEvent::Saved { conversation, at_ms: at.wall_ms });
            }
            Inbound::Settled { server, generation } => self.settled(&server, generation),
            Inbound::Replied { generation, server, result } => {
                self.emit(TurnEvent::Replied { generation, server, result });
            }
            Inbound::Sampled(inquiry, progress) => self.sampled(inquiry, progress),
            Inbound::Opened(opening) => self.opened(*opening),
            Inbound::Summary(turn, event) => self.summary_event(turn, event),
            Inbound::SummaryChanged { conversation, step, written } => {
                self.summary_changed(&conversation, step, written);
            }
            Inbound::Title(conversation, step) => self.titled(conversation, step),
        }
    }

    /// A write came back: whether the store can be written is known anew. That one was refused says nothing of it.
    pub(super) fn stored(&mut self, result: Result<(), Fault>) {
        if let Err(fault) = &result
            && fault.kind == FaultKind::Usage
        {
            // Once, until something was written.
            if self.refused.as_ref() != Some(&fault.message) {
                self.refused = Some(fault.message.clone());
                self.emit(TurnEvent::Unsaved { reason: fault.message.clone() });
            }
            return;
        }
        self.refused = None;
        let ok = result.is_ok();
        if ok == self.saving {
            return;
        }
        self.saving = ok;
        if let Err(fault) = result {
            self.emit(TurnEvent::Unsaved { reason: fault.message });
        }
        let turns: Vec<TurnId> = self.turns.keys().copied().collect();
        for turn in turns {
            self.drive(turn, Event::Saving { ok });
        }
    }

    /// Writes, and reports how that went.
    pub(super) fn write(&self, changes: Vec<crate::chat::Change>, durability: Durability) {
        if changes.is_empty() || !self.config.saving {
            return;
        }
        let written = self.journal.apply(changes, durability);
        let inbound = self.inbound.clone();
        tokio::spawn(async move {
            let _ = inbound.send(Inbound::Store(written.await)).await;
        });
    }

    pub(super) fn lane(&mut self, server: &ServerName) -> &Lane {
        self.lanes.entry(server.clone()).or_insert_with(|| {
            lane::open(
                Arc::clone(&self.servers),
                self.inbound.clone(),
                Arc::clone(&self.config.limits),
                self.withdrawn.clone(),
            )
        })
    }

    pub(super) fn now(&self) -> Stamp {
        self.clock.now()
    }

    pub(super) fn emit(&self, event: TurnEvent) {
        self.put(self.now(), event);
    }

    pub(super) fn put(&self, at: Stamp, event: TurnEvent) {
        if let TurnEvent::Call { turn, update } = &event
            && let CallState::Waiting(WaitFor::Approval(review)) = &update.state
        {
            let (turn, call) = (*turn, update.call.clone());
            self.hear(|| Heard::Review { turn, call, hash: review.hash.to_string() });
        }
        self.outbox.put(at, event);
    }
}
