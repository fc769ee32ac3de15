//! How things end: calls, streams, rounds, the turn.

use std::sync::Arc;
use std::time::Duration;

use super::assembler::StreamEnd as Ending;
use super::call::Stage;
use super::event::{Adapted, ResponseEnd, Step, Timer};
use super::machine::{Phase, Then, Turn};
use crate::chat::{
    AnswerState, Body, CallId, CallState, Change, Effective, Fault, FaultKind, Message, NoticeKind, OutcomeKind, Retry,
    ToolMessage, ToolOutcome, TurnEvent, TurnStatus, Usage, WaitFor, WireErrorKind,
};
use crate::tools;

/// How often one round may be asked again because its endpoint refused a part of it.
const MOST_ADAPTED: u32 = 40;
const CONFLICT: &str = "The arguments changed after they were complete. The call was not sent; send it again.";
const TOO_LATE: &str = "It was cancelled too late: it had ended by itself.";

impl Turn {
    pub(super) fn held(&mut self, id: &CallId) {
        let Some(index) = self.find(id) else { return };
        if let Stage::Running { sent: false, held, .. } = &mut self.calls[index].stage {
            *held = true;
            self.emit_call(index, CallState::Waiting(WaitFor::Server));
        }
    }

    pub(super) fn sent(&mut self, id: &CallId) {
        let Some(index) = self.find(id) else { return };
        let Stage::Running { sent, held, .. } = &mut self.calls[index].stage else { return };
        *held = false;
        if std::mem::replace(sent, true) {
            return;
        }
        self.emit_call(index, CallState::Running);
        let at_us = self.at_us();
        self.write(Change::CallSent { turn: self.plan.key.clone(), call: id.clone(), at_us });
    }

    pub(super) fn progress(&mut self, id: &CallId, progress: f64, total: Option<f64>, message: Option<String>) {
        if let Some(index) = self.find(id)
            && self.calls[index].left()
        {
            self.emit_call(index, CallState::Progress { progress, total, message });
        }
    }

    pub(super) fn answered(&mut self, id: &CallId, mut outcome: ToolOutcome) {
        let Some(index) = self.find(id) else { return };
        if !self.calls[index].left() {
            return;
        }
        if self.calls[index].conflicting && !outcome.sent {
            outcome = ToolOutcome::unsent(OutcomeKind::Conflict, CONFLICT);
        }
        if let Stage::Running { cancelling: true, .. } = self.calls[index].stage
            && matches!(outcome.kind, OutcomeKind::Done | OutcomeKind::Failed)
            && outcome.sent
        {
            outcome.notes.push(TOO_LATE.to_owned());
            outcome.content = format!("(The user cancelled this call, too late: it had ended.)\n{}", outcome.content);
        }
        if self.calls[index].edited {
            outcome.content = format!("(The user changed the arguments before the call ran.)\n{}", outcome.content);
        }
        if let Some(tool) = &self.calls[index].tool
            && outcome.sent
            && tools::taints(tool)
            && !self.tainted.contains(&tool.reference.server)
        {
            self.tainted.push(tool.reference.server.clone());
        }
        self.warn_of(index, &outcome);
        self.end(index, outcome);
        self.pump();
    }

    /// A result that is not what its tool promised is kept, and said.
    fn warn_of(&mut self, index: usize, outcome: &ToolOutcome) {
        let path = self.calls[index].reference().map(|tool| tool.path()).unwrap_or_default();
        for note in outcome.notes.iter().filter(|note| tools::is_warning(note)) {
            let message = format!("{path}: {note}");
            self.emit(TurnEvent::Notice { turn: Some(self.plan.turn), kind: NoticeKind::Result, message });
        }
    }

    /// The store refused the line that says it leaves, so it did not: judged again, now unsaved.
    pub(super) fn not_written(&mut self, id: &CallId) {
        self.saving = false;
        let Some(index) = self.find(id) else { return };
        let Stage::Running { sent: false, cancelling, .. } = self.calls[index].stage else { return };
        if self.calls[index].conflicting {
            self.end(index, ToolOutcome::unsent(OutcomeKind::Conflict, CONFLICT));
        } else if cancelling || self.ending() {
            // Nobody would be there to be asked.
            let message = "This call was cancelled before it was sent.";
            self.end(index, ToolOutcome::unsent(OutcomeKind::Cancelled, message));
        } else {
            self.rejudge(index);
        }
        self.pump();
    }

    pub(super) fn cancel_call(&mut self, id: &CallId) {
        let Some(index) = self.find(id) else { return };
        match &mut self.calls[index].stage {
            Stage::Running { cancelling, .. } => {
                if !std::mem::replace(cancelling, true) {
                    self.out.push(Step::CancelCall { call: id.clone() });
                    self.emit_call(index, CallState::Cancelling);
                }
            }
            Stage::Ended(_) => {}
            Stage::Open | Stage::Validating | Stage::Held | Stage::Asking(_) | Stage::Ready { .. } => {
                let message = "The user cancelled this call before it was sent.";
                self.end_unsent(index, OutcomeKind::Cancelled, message);
                self.pump();
            }
        }
    }

    /// Arguments changed after their close.
    pub(super) fn conflict(&mut self, index: usize) {
        if let Stage::Running { sent: false, held: true, .. } = self.calls[index].stage {
            // It waits for its server and can be had back.
            self.calls[index].conflicting = true;
            let id = self.calls[index].id.clone();
            self.cancel_call(&id);
            return;
        }
        if self.calls[index].left() || self.calls[index].outcome().is_some_and(|o| o.sent) {
            let name = self.calls[index].name.as_deref().unwrap_or_default().to_owned();
            let message = format!(
                "The arguments of {name} changed after the call had been sent. It ran with the first ones. From now on \
                 calls of {} at {} leave at the end of the answer.",
                self.plan.settings.model, self.plan.base_url
            );
            self.emit(TurnEvent::Notice { turn: Some(self.plan.turn), kind: NoticeKind::Conflict, message });
            if !std::mem::replace(&mut self.late_data, true) {
                self.write(Change::Learnt {
                    base_url: self.plan.base_url.clone(),
                    model: self.plan.settings.model.clone(),
                    key: "late_data".into(),
                    value: "true".into(),
                });
                let message = "Late data: dispatch at the finish is remembered for this endpoint and model.".to_owned();
                self.emit(TurnEvent::Notice { turn: Some(self.plan.turn), kind: NoticeKind::LateData, message });
            }
        } else {
            self.end_unsent(index, OutcomeKind::Conflict, CONFLICT);
        }
    }

    /// The response is over, in whatever way.
    pub(super) fn stream_ended(&mut self, end: ResponseEnd) {
        let (ending, failed) = match end {
            ResponseEnd::Eof => (Ending::Eof, None),
            ResponseEnd::Failed { fault, retry_in } => {
                if let Some(delay) = retry_in
                    && !self.round.begun
                {
                    self.wait_and_retry(fault, delay);
                    return;
                }
                (Ending::Cut, Some(fault))
            }
            ResponseEnd::Adapted(adapted) if !self.round.begun && self.round.adapted < MOST_ADAPTED => {
                self.adapt(*adapted);
                return;
            }
            ResponseEnd::Adapted(adapted) => (Ending::Cut, Some(adapted.fault)),
        };
        for piece in self.round.assembler.end(ending) {
            self.piece(piece);
        }
        self.out.push(Step::Hangup);
        let effective = if failed.is_some() { Effective::Error } else { self.round.assembler.effective() };
        let then = match (effective, failed) {
            (_, Some(fault)) => Then::Stop { status: TurnStatus::Failed, fault: Some(self.told(fault)) },
            (Effective::Error, None) => {
                let fault = self.wire_fault();
                Then::Stop { status: TurnStatus::Failed, fault: Some(fault) }
            }
            (Effective::Length, None) => cut_off(),
            (Effective::ContentFilter, None) => {
                let fault = Fault::new(FaultKind::Provider, "The endpoint's content filter stopped the answer.")
                    .hint("Ask in other words.")
                    .retry(Retry::AfterChange);
                Then::Stop { status: TurnStatus::Failed, fault: Some(fault) }
            }
            // Every call closed, and yet the answer was cut: what was still to come is missing.
            (Effective::Stop | Effective::ToolCalls | Effective::Other, None) if self.round.assembler.cut() => {
                cut_off()
            }
            (Effective::Stop | Effective::ToolCalls | Effective::Other, None) => Then::Next,
        };
        self.close_stream(effective, then);
    }

    /// Remembers what the endpoint refuses, and asks again without it.
    fn adapt(&mut self, adapted: Adapted) {
        if let Some((key, value)) = adapted.learnt {
            let (base_url, model) = (self.plan.base_url.clone(), self.plan.settings.model.clone());
            self.write(Change::Learnt { base_url, model, key, value });
        }
        let message = adapted.message;
        self.emit(TurnEvent::Notice { turn: Some(self.plan.turn), kind: NoticeKind::Adapted, message });
        if adapted.tools.is_some() {
            self.offered = adapted.tools;
        }
        self.out.push(Step::Hangup);
        self.round.adapted += 1;
        self.request(self.round.attempt + 1);
    }

    /// Writes down what came, says that the stream is over, and lets the calls settle.
    fn close_stream(&mut self, effective: Effective, then: Then) {
        let (turn, round) = (self.plan.turn, self.round.number);
        let times = self.recorder.ended(self.now_at);
        let finish = self.round.assembler.finish_reason().map(str::to_owned);
        let usage = self.round.usage;
        self.write(Change::RoundTimes { turn: self.plan.key.clone(), times, usage, finish: finish.clone() });
        if usage != Usage::default() {
            self.emit(TurnEvent::Usage { turn, round, usage });
        }
        self.emit(TurnEvent::Finish { turn, round, reason: finish, effective });
        let stopping = matches!(then, Then::Stop { .. });
        self.phase = Phase::Settling(then);
        if stopping {
            self.drop_waiting("The turn was stopped before this call was sent.");
        } else {
            for index in self.round.first_call..self.calls.len() {
                if matches!(self.calls[index].stage, Stage::Held) {
                    self.calls[index].stage = Stage::Ready { told_place: None };
                }
            }
            self.pump();
        }
        if self.round.begun {
            let state = if stopping { AnswerState::Interrupted } else { AnswerState::Complete };
            let message = self.answer_message(state);
            self.write(Change::Message { conversation: self.plan.conversation.clone(), message: Arc::clone(&message) });
            self.emit(TurnEvent::Message { turn, message });
        }
        let text = self.round.assembler.content();
        if !text.is_empty() {
            self.last_text = text.to_owned();
        }
    }

    fn wait_and_retry(&mut self, fault: Fault, delay: Duration) {
        self.phase = Phase::Waiting;
        let (round, attempt) = (self.round.number, self.round.attempt);
        self.emit(TurnEvent::Retrying {
            turn: self.plan.turn,
            round,
            attempt,
            delay_ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            fault,
        });
        self.out.push(Step::Hangup);
        self.out.push(Step::Start { timer: Timer::Retry { round, attempt }, after: delay });
    }

    /// A failure as its reader needs it: where something was shown already, the stream broke.
    fn told(&self, fault: Fault) -> Fault {
        if !self.round.begun {
            return fault;
        }
        let mut broke = self.broke();
        if fault.kind != FaultKind::Truncated {
            broke.message = format!("{} ({})", broke.message, fault.message.trim_end_matches('.'));
        }
        Fault { kind: fault.kind, ..broke }
    }

    fn broke(&self) -> Fault {
        let calls = &self.calls[self.round.first_call..];
        let ran = calls.iter().filter(|c| c.left() || c.outcome().is_some_and(|o| o.sent)).count();
        let count = self.round.usage.output.unwrap_or(self.round.pieces);
        let (tokens, noun) = (grouped(count), if count == 1 { "token" } else { "tokens" });
        let ran = match ran {
            0 => String::new(),
            1 => " 1 call ran and is kept.".to_owned(),
            n => format!(" {n} calls ran and are kept."),
        };
        let message = format!("The stream broke after {tokens} {noun}.{ran}");
        Fault::new(FaultKind::Truncated, message)
            .hint("Continue it, or ask again; calls are not re-run.")
            .retry(Retry::Later(None))
    }

    /// An error that stood in the stream itself.
    fn wire_fault(&self) -> Fault {
        let Some(error) = self.round.assembler.error() else { return self.broke() };
        match error.kind {
            WireErrorKind::Truncated if self.round.begun => self.broke(),
            WireErrorKind::Truncated => {
                Fault::new(FaultKind::Truncated, "The endpoint ended its answer before it said anything.")
                    .hint("Ask again.")
                    .retry(Retry::Later(None))
            }
            WireErrorKind::Provider => {
                let fault =
                    Fault::new(FaultKind::Provider, format!("The endpoint reported an error: {}", error.message))
                        .hint("What came before is kept. Ask again, or continue.")
                        .retry(Retry::Later(None));
                self.told(fault)
            }
            WireErrorKind::BadChunk => {
                let message = format!("The endpoint sent something that cannot be read: {}.", error.message);
                Fault::new(FaultKind::Protocol, message)
                    .hint("What came before is kept. Ask again, or continue.")
                    .retry(Retry::Later(None))
            }
        }
    }

    /// A person, or a limit, stops the turn: nothing new starts, what runs is told to stop.
    pub(super) fn stop(&mut self, status: TurnStatus, fault: Option<Fault>) {
        if self.stopping {
            return;
        }
        match self.phase {
            Phase::Over => return,
            Phase::Streaming => {
                for piece in self.round.assembler.end(Ending::Cut) {
                    self.piece(piece);
                }
                self.out.push(Step::Hangup);
                self.close_stream(Effective::Error, Then::Stop { status, fault });
            }
            Phase::New | Phase::Arming | Phase::Waiting | Phase::Settling(_) => {
                self.phase = Phase::Settling(Then::Stop { status, fault });
                self.drop_waiting("The turn was stopped before this call was sent.");
            }
        }
        self.stopping = true;
        let running: Vec<CallId> = self.calls.iter().filter(|c| c.left()).map(|c| c.id.clone()).collect();
        for id in running {
            self.cancel_call(&id);
        }
    }

    fn drop_waiting(&mut self, message: &str) {
        for index in 0..self.calls.len() {
            self.end_unsent(index, OutcomeKind::Cancelled, message);
        }
    }

    /// When every call has ended, the round is history, and what follows begins.
    pub(super) fn settle(&mut self) {
        if !matches!(self.phase, Phase::Settling(_)) || self.calls.iter().any(|c| !c.ended()) {
            return;
        }
        let Phase::Settling(then) = std::mem::replace(&mut self.phase, Phase::Over) else { return };
        let mut changes = Vec::new();
        let calls = self.calls.len() - self.round.first_call;
        if self.round.begun {
            let stopped = matches!(then, Then::Stop { .. });
            let state = if stopped { AnswerState::Interrupted } else { AnswerState::Complete };
            // Calls may have been edited since: the executed arguments stand in the history.
            let answer = self.answer_message(state);
            changes.push(self.saved(&answer));
            self.history.push(answer);
            for index in self.round.first_call..self.calls.len() {
                let Some(outcome) = self.calls[index].outcome().cloned() else { continue };
                let call = self.calls[index].id.clone();
                let message = Arc::new(Message {
                    id: self.next_id(),
                    parent: self.history.last().map(|m| m.id.clone()),
                    at: self.now_at.wall_ms,
                    body: Body::Tool(ToolMessage { call, outcome }),
                });
                changes.push(self.saved(&message));
                self.emit(TurnEvent::Message { turn: self.plan.turn, message: Arc::clone(&message) });
                self.history.push(message);
            }
        }
        let rounds = self.plan.settings.max_rounds.unwrap_or(self.plan.limits.rounds);
        match then {
            Then::Stop { status, fault } => self.finish(status, fault, changes),
            Then::Next if calls == 0 => self.finish(TurnStatus::Ok, None, changes),
            Then::Next if self.round.number >= rounds => {
                let message = format!(
                    "The turn was stopped after {rounds} {}; the model would go on calling.",
                    if rounds == 1 { "round" } else { "rounds" }
                );
                let fault = Fault::new(FaultKind::Limit, message).hint("Continue it, or raise --max-rounds.");
                self.finish(TurnStatus::Limit, Some(fault), changes);
            }
            Then::Next => {
                for parts in std::mem::take(&mut self.interjected) {
                    let message = Arc::new(Message {
                        id: self.next_id(),
                        parent: self.history.last().map(|m| m.id.clone()),
                        at: self.now_at.wall_ms,
                        body: Body::User(parts),
                    });
                    changes.push(self.saved(&message));
                    self.emit(TurnEvent::Message { turn: self.plan.turn, message: Arc::clone(&message) });
                    self.history.push(message);
                }
                self.arm(self.round.number + 1, changes);
            }
        }
    }

    fn saved(&self, message: &Arc<Message>) -> Change {
        Change::Message { conversation: self.plan.conversation.clone(), message: Arc::clone(message) }
    }

    fn finish(&mut self, status: TurnStatus, fault: Option<Fault>, mut changes: Vec<Change>) {
        let turn = self.plan.turn;
        let status = match &fault {
            Some(Fault { kind: FaultKind::Limit, .. }) => TurnStatus::Limit,
            Some(_) | None => status,
        };
        self.phase = Phase::Over;
        let at_us = self.at_us();
        changes.push(Change::TurnEnded {
            turn: self.plan.key.clone(),
            status: status.word(),
            fault: fault.clone().map(Box::new),
            at_us,
        });
        if let Some(fault) = fault {
            self.emit(TurnEvent::Error { turn: Some(turn), fault });
        }
        self.out.push(Step::Finish { status, changes });
        let text = std::mem::take(&mut self.last_text);
        self.emit(TurnEvent::Ended {
            turn,
            status,
            text,
            rounds: self.round.number,
            calls: u32::try_from(self.calls.len()).unwrap_or(u32::MAX),
            conversation: self.plan.conversation.clone(),
        });
    }
}

/// The model was cut at its output limit: what came is kept, and nothing new starts.
fn cut_off() -> Then {
    let fault = Fault::new(FaultKind::Truncated, "The answer was cut at the model's output limit.")
        .hint("Continue it, or raise --max-output-tokens.")
        .retry(Retry::AfterChange);
    Then::Stop { status: TurnStatus::Failed, fault: Some(fault) }
}

/// `1204` as `1 204`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_are_grouped() {
        assert_eq!(super::grouped(7), "7");
        assert_eq!(super::grouped(1204), "1 204");
        assert_eq!(super::grouped(1_234_567), "1 234 567");
    }
}
