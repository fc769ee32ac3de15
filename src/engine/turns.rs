//! The turns under way: what their machines ask for is done here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::builtin::{self, Shelf};
use super::lane::{Departure, ticket};
use super::outbox::Outbox;
use super::port::{Events, Lesson, Model, ModelEvent, ServerCall};
use super::run::{Engine, Inbound};
use crate::chat::{
    CallId, Change, ConversationId, Durability, Message, OutcomeKind, Request, Stamped, ToolList, ToolOutcome,
    TurnEvent, TurnId, TurnSettings, TurnStatus,
};
use crate::tools::{Problem, Tool};
use crate::turn::{Event, ResponseEnd, Step, Turn};

/// One turn with what it has going. Dropping it drops all of that.
pub(super) struct Running {
    turn: Turn,
    model: Arc<dyn Model>,
    /// What it may call, and what of that it is offered.
    shelf: Arc<Shelf>,
    /// Reads the response; dropped, the connection goes.
    response: JoinSet<()>,
    timers: JoinSet<()>,
}

impl Running {
    pub fn new(turn: Turn, model: Arc<dyn Model>, shelf: Arc<Shelf>) -> Self {
        Self { turn, model, shelf, response: JoinSet::new(), timers: JoinSet::new() }
    }

    /// Whom it asks, and how.
    pub fn asks(&self) -> (Arc<dyn Model>, TurnSettings) {
        (Arc::clone(&self.model), self.turn.settings().clone())
    }

    pub fn conversation(&self) -> &ConversationId {
        self.turn.conversation()
    }

    pub fn history(&self) -> &[Arc<Message>] {
        self.turn.history()
    }

    pub fn is_of(&self, conversation: &ConversationId) -> bool {
        self.turn.conversation() == conversation
    }
}

impl Engine {
    /// Gives a turn an event and does what it asks for. Events of a turn that is over are void.
    pub(super) fn drive(&mut self, id: TurnId, event: Event) {
        let mut next = Some(event);
        let mut waiting = VecDeque::new();
        // What is to be written without a sync goes with the next line that is, as one transaction: a call that closes
        // and leaves at once waits for one commit.
        let mut lines = Vec::new();
        while let Some(event) = next {
            let at = self.now();
            let Some(running) = self.turns.get_mut(&id) else { break };
            let steps = running.turn.apply(Stamped { at, body: event });
            for step in steps {
                match step {
                    Step::Write(changes, Durability::Written) => lines.extend(changes),
                    Step::Call { call, tool, arguments, changes, unsaved_ok: _ } if tool.builtin => {
                        lines.extend(changes);
                        self.put_down(id, &mut lines);
                        self.run_builtin(id, call, &tool, arguments);
                    }
                    Step::Call { call, tool, arguments, changes, unsaved_ok } => {
                        lines.extend(changes);
                        let lines = self.kept(id, std::mem::take(&mut lines));
                        self.call(id, call, tool, arguments, lines, unsaved_ok);
                    }
                    // Most calls need no second thread, whose waking costs more than the check.
                    Step::Validate { call, tool, arguments } if tool.validates_quickly(&arguments) => {
                        let problems = tool.validate(&arguments);
                        waiting.push_back(Event::Validated { call, problems });
                    }
                    Step::Emit(event) => {
                        if let TurnEvent::Usage { usage, .. } = &event
                            && let Some(input) = usage.input
                            && let Some(running) = self.turns.get(&id)
                        {
                            let conversation = running.turn.conversation();
                            self.memory.counted(conversation, input.saturating_add(usage.output.unwrap_or(0)));
                        }
                        self.put(at, event);
                    }
                    Step::Arm { round, changes } => {
                        self.put_down(id, &mut lines);
                        // The first round's list was made with the turn.
                        if round > 1 {
                            waiting.extend(self.offer_more(id).map(Event::Offered));
                        }
                        self.arm(id, round, changes);
                    }
                    step => {
                        self.put_down(id, &mut lines);
                        self.perform(id, step);
                    }
                }
            }
            next = waiting.pop_front();
        }
        self.put_down(id, &mut lines);
        if self.turns.get(&id).is_some_and(|r| r.turn.over()) {
            self.turns.remove(&id);
            self.withdrawn.turn_ended(id);
            self.samplings.turn_ended(id);
        }
    }

    /// Queues these lines for the store, before anything that comes after them.
    fn put_down(&mut self, id: TurnId, lines: &mut Vec<Change>) {
        if !lines.is_empty() {
            let changes = self.kept(id, std::mem::take(lines));
            self.write(changes, Durability::Written);
        }
    }

    /// What of these changes is written: all, or nothing in a conversation that is not kept.
    fn kept(&mut self, id: TurnId, changes: Vec<Change>) -> Vec<Change> {
        for change in &changes {
            if let Change::Learnt { base_url, model, key, value } = change {
                if key == "late_data" {
                    self.late.insert((base_url.clone(), model.clone()));
                }
                let (base_url, model) = (base_url.clone(), model.clone());
                self.lessons.push(Lesson { base_url, model, key: key.clone(), value: value.clone() });
            }
        }
        if self.saves(id) { changes } else { Vec::new() }
    }

    fn perform(&mut self, id: TurnId, step: Step) {
        match step {
            Step::Emit(event) => self.emit(event),
            Step::Write(changes, durability) => {
                let changes = self.kept(id, changes);
                self.write(changes, durability);
            }
            Step::Arm { round, changes } => self.arm(id, round, changes),
            Step::Request { round, attempt, tries, request } => self.request(id, round, attempt, tries, *request),
            Step::Hangup => {
                if let Some(running) = self.turns.get_mut(&id) {
                    running.response = JoinSet::new();
                }
            }
            Step::Validate { call, tool, arguments } => {
                let (inbound, limit) = (self.inbound.clone(), self.config.limits.validation);
                tokio::spawn(async move {
                    let problems = validate(tool, arguments, limit).await;
                    let _ = inbound.send(Inbound::Turn(id, Event::Validated { call, problems })).await;
                });
            }
            Step::Call { call, tool, arguments, changes, unsaved_ok } => {
                self.call(id, call, tool, arguments, changes, unsaved_ok);
            }
            Step::CancelCall { call } => {
                let name = ticket(id, &call);
                self.withdrawn.add(id, call);
                self.servers.cancel(&name);
            }
            Step::Grant(grant) => self.grant(grant),
            Step::Start { timer, after } => {
                let inbound = self.inbound.clone();
                if let Some(running) = self.turns.get_mut(&id) {
                    while running.timers.try_join_next().is_some() {}
                    running.timers.spawn(async move {
                        tokio::time::sleep(after).await;
                        let _ = inbound.send(Inbound::Turn(id, Event::Timer(timer))).await;
                    });
                }
            }
            Step::Finish { status, changes } => {
                self.finish(id, changes);
                if status == TurnStatus::Ok {
                    self.make_title(id);
                }
            }
        }
    }

    /// What was found or became of use since the last request stands behind what was offered before it.
    fn offer_more(&self, id: TurnId) -> Option<Arc<ToolList>> {
        let running = self.turns.get(&id)?;
        if !running.shelf.grows(running.turn.history()) {
            return None;
        }
        let list = running.shelf.list(running.turn.history(), None)?;
        Some(running.model.offered(running.turn.model(), list))
    }

    /// Runs a tool of millrace's own, aside: it may have a thousand definitions to read, or megabytes of a result.
    fn run_builtin(&mut self, id: TurnId, call: CallId, tool: &Arc<Tool>, arguments: Map<String, Value>) {
        let Some(running) = self.turns.get(&id) else { return };
        let (shelf, limits, inbound) =
            (Arc::clone(&running.shelf), Arc::clone(&self.config.limits), self.inbound.clone());
        let reading = (&*tool.wire_name == builtin::READ_RESULT).then(|| {
            builtin::named(running.turn.history(), &arguments).map(|cut| {
                let whole = cut.at_hand();
                let kept = match &whole {
                    Some(_) => None,
                    None => Some(self.journal.whole_result(running.turn.conversation().clone(), cut.call.clone())),
                };
                (cut, whole, kept)
            })
        });
        tokio::spawn(async move {
            let began = tokio::time::Instant::now();
            let _ = inbound.send(Inbound::Turn(id, Event::Sent { call: call.clone() })).await;
            let outcome = match reading {
                Some(Err(outcome)) => *outcome,
                Some(Ok((cut, whole, kept))) => {
                    let full = match kept {
                        Some(kept) => kept.await,
                        None => Ok(whole),
                    };
                    aside(move || builtin::read(&cut, full, &arguments, &limits)).await
                }
                None => aside(move || builtin::found(shelf.tools(), &arguments, &limits)).await,
            };
            let outcome = Box::new(ToolOutcome { ms: began.elapsed().as_secs_f64() * 1000.0, ..outcome });
            let _ = inbound.send(Inbound::Turn(id, Event::Answered { call, outcome })).await;
        });
    }

    fn saves(&self, id: TurnId) -> bool {
        self.config.saving && self.turns.get(&id).is_some_and(|r| !self.unsaved.contains(r.turn.conversation()))
    }

    /// The request waits for its commit, not for a store that cannot commit.
    fn arm(&mut self, id: TurnId, round: u32, changes: Vec<Change>) {
        let inbound = self.inbound.clone();
        let armed = Inbound::Turn(id, Event::Armed { round });
        let Some(running) = self.turns.get(&id) else { return };
        let conversation = running.turn.conversation().clone();
        let written = self.saves(id).then(|| self.journal.apply(changes, Durability::Synced));
        tokio::spawn(async move {
            if let Some(written) = written {
                let result = written.await;
                let synced = result.is_ok();
                let _ = inbound.send(Inbound::Store(result)).await;
                if synced {
                    let _ = inbound.send(Inbound::Synced(conversation)).await;
                }
            }
            let _ = inbound.send(armed).await;
        });
    }

    fn request(&mut self, id: TurnId, round: u32, attempt: u32, tries: u32, request: Request) {
        let (inbound, outbox, paced) = (self.inbound.clone(), self.outbox.clone(), self.config.paced);
        let Some(running) = self.turns.get_mut(&id) else { return };
        let events = running.model.respond(request, tries);
        running.response = JoinSet::new();
        running.response.spawn(read(id, round, attempt, events, inbound, paced.then_some(outbox)));
    }

    fn call(
        &mut self,
        turn: TurnId,
        call: CallId,
        tool: Arc<Tool>,
        arguments: Map<String, Value>,
        changes: Vec<Change>,
        unsaved_ok: bool,
    ) {
        // Queued here and now, so that the store works while the departure is on its way into its lane.
        let written = self.journal.apply(changes, Durability::Written);
        let reads_on = self.turns.get(&turn).is_some_and(|running| running.shelf.reads_on());
        let order = ServerCall { call: ticket(turn, &call), tool: tool.reference.clone(), arguments };
        let lane = self.lane(&tool.reference.server);
        // A lane lives as long as the engine.
        let _ = lane.send(Departure { turn, call, order, tool, written, unsaved_ok, reads_on });
    }

    fn finish(&mut self, id: TurnId, changes: Vec<Change>) {
        let saves = self.saves(id);
        let Some(running) = self.turns.get_mut(&id) else { return };
        running.response = JoinSet::new();
        running.timers = JoinSet::new();
        let conversation = running.turn.conversation().clone();
        self.memory.turn_ended(&conversation, running.turn.history());
        if !saves {
            return;
        }
        let (written, inbound) = (self.journal.apply(changes, Durability::Synced), self.inbound.clone());
        tokio::spawn(async move {
            let result = written.await;
            let synced = result.is_ok();
            let _ = inbound.send(Inbound::Store(result)).await;
            if synced {
                let _ = inbound.send(Inbound::Synced(conversation)).await;
            }
        });
    }
}

/// Runs a tool of millrace's own on a thread of its own.
async fn aside(run: impl FnOnce() -> ToolOutcome + Send + 'static) -> ToolOutcome {
    let ran = tokio::task::spawn_blocking(run).await;
    ran.unwrap_or_else(|_| ToolOutcome::unsent(OutcomeKind::Failed, "The tool could not be run.".to_owned()))
}

/// Reads a response to its end.
async fn read(
    turn: TurnId,
    round: u32,
    attempt: u32,
    mut events: Events<ModelEvent>,
    inbound: mpsc::Sender<Inbound>,
    paced: Option<Outbox>,
) {
    while let Some(event) = events.next().await {
        if let Some(outbox) = &paced {
            outbox.drained().await;
        }
        let event = match event {
            ModelEvent::Slow(waited) => Event::Slow { round, attempt, waited },
            ModelEvent::FirstByte => Event::FirstByte { round, attempt },
            ModelEvent::Deltas(event) => Event::Deltas { round, attempt, event },
            ModelEvent::Ended => Event::Stream { round, attempt, end: ResponseEnd::Eof },
            ModelEvent::Failed { fault, retry_in } => {
                Event::Stream { round, attempt, end: ResponseEnd::Failed { fault, retry_in } }
            }
            ModelEvent::Adapted(adapted) => Event::Stream { round, attempt, end: ResponseEnd::Adapted(adapted) },
        };
        if inbound.send(Inbound::Turn(turn, event)).await.is_err() {
            return;
        }
    }
    // A model that says nothing at its end has ended all the same; a second end is ignored by its attempt.
    let _ = inbound.send(Inbound::Turn(turn, Event::Stream { round, attempt, end: ResponseEnd::Eof })).await;
}

/// Checks arguments on a thread of its own: a hostile schema must not hold up anything else.
async fn validate(tool: Arc<Tool>, arguments: Arc<Value>, limit: Duration) -> Result<(), Vec<Problem>> {
    let checking = tokio::task::spawn_blocking(move || tool.validate(&arguments));
    match tokio::time::timeout(limit, checking).await {
        Ok(Ok(problems)) => problems,
        Ok(Err(_)) => Err(vec![whole("The tool's schema could not be applied.".into())]),
        Err(_) => {
            let message = format!("Checking them against the tool's schema took longer than {} ms.", limit.as_millis());
            Err(vec![whole(message)])
        }
    }
}

/// A problem of the arguments as a whole.
fn whole(message: String) -> Problem {
    Problem { path: String::new(), message }
}
