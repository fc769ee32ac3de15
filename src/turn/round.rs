//! One round while its response streams: pieces of the assembler become events, text and calls.

use std::sync::Arc;
use std::time::Duration;

use super::assembler::{Assembler, AssemblerLimits, Declared, Piece};
use super::call::{Call, Stage};
use super::event::{ResponseEnd, Step, Timer};
use super::machine::Turn;
use super::plan::Plan;
use crate::chat::{
    Answer, AnswerState, Body, CallId, CallState, Change, Durability, EventDeltas, Limits, Message, MessageId,
    NoticeKind, OutcomeKind, SpanKind, ToolOutcome, TurnEvent, Usage,
};

/// How long after a finish reason the stream may take to end; some endpoints never end it.
const FINISH_GRACE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Round {
    pub number: u32,
    pub attempt: u32,
    /// The id under which its answer stands.
    pub answer: MessageId,
    /// Where its calls begin in the turn's list.
    pub first_call: usize,
    pub assembler: Assembler,
    /// The message that it answers, fixed at its start.
    pub begun: bool,
    pub flushing: bool,
    /// Pieces of text and reasoning that came: about as many as tokens.
    pub pieces: u64,
    pub usage: Usage,
    pub grace: bool,
    /// Attempts that only taught what the endpoint refuses.
    pub adapted: u32,
}

impl Round {
    /// Before the first: nothing was asked.
    pub fn none() -> Self {
        Self::with(0, MessageId::default(), 0, Assembler::new(Declared::default(), (&Limits::default()).into()))
    }

    pub fn new(number: u32, answer: MessageId, first_call: usize, plan: &Plan) -> Self {
        Self::with(number, answer, first_call, assembler(plan))
    }

    fn with(number: u32, answer: MessageId, first_call: usize, assembler: Assembler) -> Self {
        Self {
            number,
            attempt: 0,
            answer,
            first_call,
            assembler,
            begun: false,
            flushing: false,
            pieces: 0,
            usage: Usage::default(),
            grace: false,
            adapted: 0,
        }
    }

    pub fn restart(&mut self, attempt: u32, plan: &Plan) {
        self.attempt = attempt;
        self.assembler = assembler(plan);
        self.grace = false;
    }
}

fn assembler(plan: &Plan) -> Assembler {
    Assembler::new(Declared::new(plan.tools.declared()), AssemblerLimits::from(&*plan.limits))
}

impl Turn {
    pub(super) fn deltas(&mut self, event: EventDeltas) {
        let pieces = self.round.assembler.apply(event);
        for piece in pieces {
            self.piece(piece);
        }
        if self.round.assembler.is_done() {
            self.stream_ended(ResponseEnd::Eof);
        }
    }

    /// What the assembler found, at whatever moment.
    pub(super) fn piece(&mut self, piece: Piece) {
        let (turn, round) = (self.plan.turn, self.round.number);
        match piece {
            Piece::Text(text) => {
                self.came(SpanKind::Text);
                self.emit(TurnEvent::Text { turn, round, text });
            }
            Piece::Reasoning(text) => {
                self.came(SpanKind::Reasoning);
                self.emit(TurnEvent::Reasoning { turn, round, text });
            }
            Piece::Refusal(text) => {
                self.came(SpanKind::Text);
                self.emit(TurnEvent::Refusal { turn, round, text });
            }
            Piece::Opened { call } => self.opened(call),
            Piece::Named { call } => self.named(call),
            Piece::Arguments { call, delta } => self.arguments(call, delta),
            Piece::Closed { call, by, at, text } => self.closed(self.round.first_call + call, by, at, text),
            Piece::Invalid { call, reason } => {
                let message = format!("The call was not sent: {reason}.");
                self.end_unsent(self.round.first_call + call, OutcomeKind::Invalid, message);
            }
            Piece::Incomplete { call } => {
                let message = "The arguments broke off before they were complete. The call was not sent.";
                self.end_unsent(self.round.first_call + call, OutcomeKind::Incomplete, message);
            }
            Piece::Conflict { call, .. } => self.conflict(self.round.first_call + call),
            // A placeholder gave way to real arguments, or equal ones came again: nothing to do.
            Piece::Restarted { .. } | Piece::Duplicate { .. } => {}
            Piece::TooManyCalls { limit } => {
                let message = format!(
                    "The model made more than {limit} calls in one round (limit calls_per_round); the rest is left out."
                );
                self.emit(TurnEvent::Notice { turn: Some(turn), kind: NoticeKind::Limit, message });
            }
            Piece::Usage(usage) => self.round.usage = Usage::of(&usage),
            // The end of the stream judges them.
            Piece::Done | Piece::Error(_) => {}
            Piece::Finish { .. } => {
                if !std::mem::replace(&mut self.round.grace, true) {
                    let timer = Timer::FinishGrace { round, attempt: self.round.attempt };
                    self.out.push(Step::Start { timer, after: FINISH_GRACE });
                }
            }
        }
    }

    fn came(&mut self, kind: SpanKind) {
        self.recorder.came(kind, self.now_at);
        self.round.pieces += 1;
        self.begin_answer();
        self.flush_soon();
    }

    /// The first thing of an answer puts its message into the conversation, partial: a crash keeps it.
    fn begin_answer(&mut self) {
        if std::mem::replace(&mut self.round.begun, true) {
            return;
        }
        let message = self.answer_message(AnswerState::Partial);
        self.write(Change::Message { conversation: self.plan.conversation.clone(), message });
    }

    fn opened(&mut self, index: usize) {
        self.recorder.came(SpanKind::Arguments, self.now_at);
        self.begin_answer();
        let at = self.round.first_call + index;
        debug_assert_eq!(at, self.calls.len());
        let wire_id = self.round.assembler.calls()[index].wire_id.clone();
        let id = self.mint(wire_id.as_deref());
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        self.calls.push(Call::new(id, self.round.number, number, wire_id));
        // Its name, where it comes with it, is told from the first word on.
        self.named(index);
        self.emit_call(at, CallState::Arguments { bytes: 0, delta: String::new() });
    }

    /// The call's name is known, or better known: the intent goes to the disk while its arguments still stream.
    fn named(&mut self, index: usize) {
        let at = self.round.first_call + index;
        let name = self.round.assembler.calls()[index].name.as_str();
        let call = &mut self.calls[at];
        if name.is_empty() || call.name.as_deref() == Some(name) {
            return;
        }
        call.name = Some(Arc::from(name));
        call.tool = self.plan.tools.get(name).cloned();
        let change = Change::CallOpened {
            turn: self.plan.key.clone(),
            round: call.round,
            call: call.id.clone(),
            index: call.index,
            wire_name: name.to_owned(),
            tool: call.reference(),
            at_us: self.recorder.at(self.now_at),
        };
        self.out.push(Step::Write(vec![change], Durability::Synced));
    }

    fn arguments(&mut self, index: usize, delta: String) {
        let at = self.round.first_call + index;
        self.recorder.came(SpanKind::Arguments, self.now_at);
        let call = &mut self.calls[at];
        call.bytes += delta.len() as u64;
        if matches!(call.stage, Stage::Open) {
            let bytes = call.bytes;
            self.emit_call(at, CallState::Arguments { bytes, delta });
        }
    }

    /// The wire's id where it is given and unused, else the next free number.
    fn mint(&mut self, wire: Option<&str>) -> CallId {
        if let Some(id) = wire.map(CallId::new)
            && self.used.insert(id.clone())
        {
            return id;
        }
        let mut number = self.used.len() + 1;
        loop {
            let id = CallId::new(format!("call_{number}"));
            if self.used.insert(id.clone()) {
                return id;
            }
            number += 1;
        }
    }

    /// The answer as it stands.
    pub(super) fn answer(&self) -> Answer {
        let assembler = &self.round.assembler;
        Answer {
            text: assembler.content().to_owned(),
            reasoning: assembler.reasoning().to_owned(),
            refusal: assembler.refusal().to_owned(),
            calls: self.calls[self.round.first_call..].iter().map(Call::record).collect(),
            model: self.plan.settings.model.clone(),
            origin: self.plan.origin.clone(),
            extra: assembler.extra().clone(),
            finish: assembler.finish_reason().map(str::to_owned),
            state: AnswerState::Partial,
        }
    }

    pub(super) fn answer_message(&self, state: AnswerState) -> Arc<Message> {
        let mut answer = self.answer();
        answer.state = state;
        Arc::new(Message {
            id: self.round.answer.clone(),
            parent: self.history.last().map(|m| m.id.clone()),
            at: self.now_at.wall_ms,
            body: Body::Assistant(answer),
        })
    }

    /// Ends a call that never left, unless it has ended already.
    pub(super) fn end_unsent(&mut self, index: usize, kind: OutcomeKind, message: impl Into<String>) {
        let call = &self.calls[index];
        if call.ended() || call.left() {
            return;
        }
        self.end(index, ToolOutcome::unsent(kind, message));
    }

    pub(super) fn end(&mut self, index: usize, outcome: ToolOutcome) {
        let outcome = Arc::new(outcome);
        let at_us = self.at_us();
        let call = &mut self.calls[index];
        call.stage = Stage::Ended(Arc::clone(&outcome));
        let id = call.id.clone();
        self.emit_call(index, CallState::Ended(Arc::clone(&outcome)));
        self.write(Change::CallEnded { turn: self.plan.key.clone(), call: id, outcome, at_us });
    }
}
