//! The turn: its phases, and which part of it takes which event.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::call::Call;
use super::event::{Event, ResponseEnd, Step, Timer};
use super::plan::Plan;
use super::recorder::Recorder;
use super::round::Round;
use super::sent;
use crate::chat::{
    CallId, CallState, CallUpdate, Change, CompactionStep, ContextParts, ConversationId, Durability, Fault, FaultKind,
    LeftOut, Message, MessageId, Part, PastCall, Request, ServerName, Stamp, Stamped, ToolChoice, ToolList, TurnEvent,
    TurnSettings, TurnStatus, duration_text,
};
use crate::tools::Snapshot;

/// How often text goes to the store while it streams.
const FLUSH: Duration = Duration::from_millis(250);

/// Where the turn stands.
#[derive(Debug)]
pub(super) enum Phase {
    New,
    /// The commit before a round's first request is under way.
    Arming,
    /// A response is awaited or streams.
    Streaming,
    /// The count-down before the same request is sent again.
    Waiting,
    /// The stream has ended; calls are still on their way. Then the next round, or what is said here.
    Settling(Then),
    Over,
}

/// What follows when every call of the round has ended.
#[derive(Debug)]
pub(super) enum Then {
    Next,
    Stop { status: TurnStatus, fault: Option<Fault> },
}

/// One turn: from a user's message to the last answer. See the module's head.
#[derive(Debug)]
pub struct Turn {
    pub(super) plan: Plan,
    pub(super) phase: Phase,
    pub(super) round: Round,
    pub(super) calls: Vec<Call>,
    pub(super) history: Vec<Arc<Message>>,
    pub(super) recorder: Recorder,
    /// The tools as they stand now; those of the start are in the plan.
    pub(super) now: Arc<Snapshot>,
    pub(super) used: HashSet<CallId>,
    pub(super) tainted: Vec<ServerName>,
    pub(super) repeats: Vec<PastCall>,
    pub(super) saving: bool,
    pub(super) late_data: bool,
    /// The tools as they are offered: the same bytes in every round, but where a refusal changed them, or tools were
    /// found and stand behind those before.
    pub(super) offered: Option<Arc<ToolList>>,
    pub(super) closes: u64,
    pub(super) messages: u32,
    pub(super) last_text: String,
    pub(super) stopping: bool,
    /// What a person said meanwhile, for the next request.
    pub(super) interjected: Vec<Vec<Part>>,
    pub(super) now_at: Stamp,
    pub(super) out: Vec<Step>,
}

impl Turn {
    #[must_use]
    pub fn new(plan: Plan, at: Stamp) -> Self {
        Self {
            phase: Phase::New,
            round: Round::none(),
            calls: Vec::new(),
            history: plan.history.clone(),
            recorder: Recorder::new(at),
            now: Arc::clone(&plan.tools),
            used: plan.used_ids.clone(),
            tainted: plan.tainted.clone(),
            repeats: plan.repeats.clone(),
            saving: plan.saving,
            late_data: plan.late_data,
            offered: plan.offered.clone().filter(|_| !plan.settings.lacks.tools),
            closes: 0,
            messages: 0,
            last_text: String::new(),
            stopping: false,
            interjected: Vec::new(),
            now_at: at,
            out: Vec::new(),
            plan,
        }
    }

    /// Takes one event and says what is to be done, in order.
    pub fn apply(&mut self, event: Stamped<Event>) -> Vec<Step> {
        self.now_at = event.at;
        match event.body {
            Event::Begin => self.begin(),
            Event::Armed { round } => self.armed(round),
            Event::Slow { round, attempt, waited } => {
                if self.streams(round, attempt) {
                    let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
                    self.emit(TurnEvent::Slow { turn: self.plan.turn, round, waited_ms });
                }
            }
            Event::FirstByte { round, attempt } => {
                if self.streams(round, attempt) {
                    self.recorder.first_byte(self.now_at);
                }
            }
            Event::Deltas { round, attempt, event } => {
                if self.streams(round, attempt) {
                    self.deltas(event);
                }
            }
            Event::Stream { round, attempt, end } => {
                if self.streams(round, attempt) {
                    self.stream_ended(end);
                }
            }
            Event::Validated { call, problems } => self.validated(&call, problems),
            Event::NotWritten { call } => self.not_written(&call),
            Event::Held { call } => self.held(&call),
            Event::Sent { call } => self.sent(&call),
            Event::Progress { call, progress, total, message } => self.progress(&call, progress, total, message),
            Event::Answered { call, outcome } => self.answered(&call, *outcome),
            Event::Decided { call, hash, decision } => self.decided(&call, &hash, decision),
            Event::CancelCall { call } => self.cancel_call(&call),
            Event::Cancel => self.stop(TurnStatus::Cancelled, None),
            Event::Interject { parts } => {
                if !self.ending() {
                    self.interjected.push(parts);
                }
            }
            Event::RetryNow => {
                if matches!(self.phase, Phase::Waiting) {
                    self.request(self.round.attempt + 1);
                }
            }
            Event::Tools(now) => self.tools_changed(now),
            Event::Offered(list) => self.offered = Some(list).filter(|_| !self.plan.settings.lacks.tools),
            Event::Saving { ok } => self.saving = ok,
            Event::Timer(timer) => self.timer(timer),
        }
        self.settle();
        std::mem::take(&mut self.out)
    }

    #[must_use]
    pub fn conversation(&self) -> &ConversationId {
        &self.plan.conversation
    }

    /// The conversation as far as it is settled, from its first message on.
    #[must_use]
    pub fn history(&self) -> &[Arc<Message>] {
        &self.history
    }

    #[must_use]
    pub fn settings(&self) -> &TurnSettings {
        &self.plan.settings
    }

    /// The model that it asks.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.plan.settings.model
    }

    /// The turn's name in the store.
    #[must_use]
    pub fn key(&self) -> &MessageId {
        &self.plan.key
    }

    #[must_use]
    pub fn over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Calls that were sent and have not ended, by whether they are known to be read-only.
    #[must_use]
    pub fn in_flight(&self) -> (u32, u32) {
        let mut counts = (0, 0);
        for call in self.calls.iter().filter(|c| c.left()) {
            match call.tool.as_ref().is_some_and(|t| t.known_read_only()) {
                true => counts.0 += 1,
                false => counts.1 += 1,
            }
        }
        counts
    }

    fn begin(&mut self) {
        if !matches!(self.phase, Phase::New) {
            return;
        }
        let mut changes = std::mem::take(&mut self.plan.opening);
        if let Some(message) = self.plan.fresh.take() {
            changes
                .push(Change::Message { conversation: self.plan.conversation.clone(), message: Arc::clone(&message) });
            self.emit(TurnEvent::Message { turn: self.plan.turn, message });
        }
        changes.push(Change::TurnStarted {
            conversation: self.plan.conversation.clone(),
            turn: self.plan.key.clone(),
            at: self.now_at.wall_ms,
        });
        self.out.push(Step::Start { timer: Timer::TurnLimit, after: self.plan.limits.turn });
        self.arm(1, changes);
    }

    /// Begins a round: its commit first, its request when that is done.
    pub(super) fn arm(&mut self, number: u32, mut changes: Vec<Change>) {
        let answer = self.next_id();
        changes.push(Change::RoundArmed {
            turn: self.plan.key.clone(),
            round: number,
            answer: answer.clone(),
            parent: self.history.last().map(|message| message.id.clone()),
            tools: self.offered.as_ref().map_or(0, |t| t.count),
            tools_hash: self.offered.as_ref().map(|t| t.hash.clone()).unwrap_or_default(),
        });
        self.round = Round::new(number, answer, self.calls.len(), &self.plan);
        self.phase = Phase::Arming;
        self.out.push(Step::Arm { round: number, changes });
    }

    fn armed(&mut self, round: u32) {
        if matches!(self.phase, Phase::Arming) && self.round.number == round {
            self.request(1);
        }
    }

    pub(super) fn request(&mut self, attempt: u32) {
        let round = self.round.number;
        self.round.restart(attempt, &self.plan);
        self.phase = Phase::Streaming;
        self.recorder.requested(round, self.now_at);
        let tools = self.offered.clone();
        let (messages, left) = sent::sent(&self.plan, &self.history);
        self.emit(TurnEvent::Request {
            turn: self.plan.turn,
            round,
            attempt,
            tools: tools.as_ref().map_or(0, |t| t.count),
            tools_hash: tools.as_ref().map(|t| t.hash.clone()).unwrap_or_default(),
            parts: ContextParts::of(
                self.plan.settings.system.as_deref(),
                tools.as_ref().map_or(0, |t| t.json.len() as u64),
                messages.iter().map(|message| &**message),
            ),
            of: self.plan.searched,
        });
        if left != LeftOut::default() {
            let step = CompactionStep::LeftOut { turn: self.plan.turn, left };
            self.emit(TurnEvent::Compaction { conversation: self.plan.conversation.clone(), step });
        }
        let tool_choice = self.tool_choice().clone();
        let request = Request {
            model: self.plan.settings.model.clone(),
            system: self.plan.settings.system.clone(),
            messages,
            tools,
            tool_choice,
            sampling: self.plan.settings.sampling.clone(),
            lacks: self.plan.settings.lacks,
        };
        let tries = attempt - self.round.adapted.min(attempt - 1);
        self.out.push(Step::Request { round, attempt, tries, request: Box::new(request) });
    }

    /// What this round's request says of tools: the user's choice is for the first one.
    pub(super) fn tool_choice(&self) -> &ToolChoice {
        match self.round.number {
            1 => &self.plan.settings.tool_choice,
            _ => &ToolChoice::Auto,
        }
    }

    /// Whether the turn is being ended: nothing new may start.
    pub(super) fn ending(&self) -> bool {
        self.stopping || matches!(self.phase, Phase::Settling(Then::Stop { .. }) | Phase::Over)
    }

    fn streams(&self, round: u32, attempt: u32) -> bool {
        matches!(self.phase, Phase::Streaming) && self.round.number == round && self.round.attempt == attempt
    }

    fn timer(&mut self, timer: Timer) {
        match timer {
            Timer::TurnLimit => {
                let after = duration_text(self.plan.limits.turn);
                let fault = Fault::new(FaultKind::Limit, format!("The turn was stopped after {after} (limit turn)."))
                    .hint("Continue it, or raise `turn` under [limits].");
                self.stop(TurnStatus::Limit, Some(fault));
            }
            Timer::Flush => self.flush(),
            Timer::Retry { round, attempt } => {
                if matches!(self.phase, Phase::Waiting) && (self.round.number, self.round.attempt) == (round, attempt) {
                    self.request(attempt + 1);
                }
            }
            Timer::FinishGrace { round, attempt } => {
                if self.streams(round, attempt) {
                    self.stream_ended(ResponseEnd::Eof);
                }
            }
        }
    }

    /// Text is dirty: it goes to the store within [`FLUSH`].
    pub(super) fn flush_soon(&mut self) {
        if !self.round.flushing {
            self.round.flushing = true;
            self.out.push(Step::Start { timer: Timer::Flush, after: FLUSH });
        }
    }

    fn flush(&mut self) {
        if !std::mem::take(&mut self.round.flushing) || !matches!(self.phase, Phase::Streaming) {
            return;
        }
        let answer = Box::new(self.answer());
        let message = self.round.answer.clone();
        self.write(Change::AnswerText { message, answer });
    }

    pub(super) fn emit(&mut self, event: TurnEvent) {
        self.out.push(Step::Emit(event));
    }

    pub(super) fn write(&mut self, change: Change) {
        self.out.push(Step::Write(vec![change], Durability::Written));
    }

    pub(super) fn emit_call(&mut self, index: usize, state: CallState) {
        let call = &self.calls[index];
        let update = CallUpdate {
            call: call.id.clone(),
            round: call.round,
            index: call.index,
            wire_name: call.name.clone(),
            tool: call.reference(),
            state,
        };
        self.emit(TurnEvent::Call { turn: self.plan.turn, update });
    }

    pub(super) fn find(&self, id: &CallId) -> Option<usize> {
        self.calls.iter().position(|c| c.id == *id)
    }

    pub(super) fn at_us(&self) -> u64 {
        self.recorder.at(self.now_at)
    }

    /// Ids of messages are made from the turn's own, so that the machine needs no randomness.
    pub(super) fn next_id(&mut self) -> MessageId {
        self.messages += 1;
        MessageId::new(format!("{}.{}", self.plan.key.as_str(), self.messages))
    }
}
