//! What the engine tells, taken into the transcript, the calls and the status.

use std::sync::Arc;

use super::calls::{CallPhase, Calls};
use super::effect::Effect;
use super::event::Timer;
use super::inquiries::Asked;
use super::overlay::Overlay;
use super::state::{Focus, State};
use super::status::{Context, Saved, ServerRow};
use super::transcript::{AnswerEntry, EntryBody, FaultChoices, FaultEntry, Phase, Piece, Transcript, Turn};
use crate::chat::{
    Body, CallState, ConversationId, Fault, FaultKind, LeftOut, Message, Order, OutcomeKind, Retry, RoundTimes,
    ServerStatus, SpanKind, Stamp, TurnEvent, TurnId, TurnStatus,
};

/// A turn that took longer than this calls the person back, microseconds.
const LONG_TURN_US: u64 = 10_000_000;

impl State {
    /// Events of a turn that is not on the screen are late: they are ignored, by this name.
    fn is_stale(&self, turn: TurnId) -> bool {
        self.transcript.turn.as_ref().is_none_or(|open| open.id != turn)
    }

    pub(super) fn engine_here(&mut self, event: TurnEvent, at: Stamp, out: &mut Vec<Effect>) {
        match event {
            TurnEvent::Notice { turn, kind, message } => {
                if turn.is_none_or(|turn| !self.is_stale(turn)) {
                    // A session that began without a store stays unsaved when this has faded.
                    if kind == crate::chat::NoticeKind::Unsaved && self.status.saved == Saved::Nothing {
                        let why = message.split_once("not saved: ").map_or(message.as_str(), |(_, why)| why);
                        self.status.saved = Saved::Not(why.to_owned());
                    }
                    self.notice(kind, message, out);
                }
            }
            TurnEvent::Error { turn, fault } => match turn {
                Some(turn) if self.is_stale(turn) => {}
                Some(_) => self.turn_fault(fault, at, out),
                None => self.fault_notice(&fault, out),
            },
            TurnEvent::Server(status) => self.server(status, at),
            TurnEvent::SignIn { server, stage } => self.sign_in(&server, stage, out),
            TurnEvent::Tools(rows) => self.toolbox.rows = rows,
            TurnEvent::Saved { conversation, at_ms } => {
                if self.transcript.conversation.as_ref().is_none_or(|open| *open == conversation) {
                    self.status.saved = Saved::At(at_ms);
                }
            }
            TurnEvent::Inquiry { turn, inquiry } => self.asked(Asked::new(turn, inquiry, at), out),
            TurnEvent::Replied { generation, server, result } => self.replied(generation, &server, result, out),
            TurnEvent::News { server, news } => self.news(&server, news, out),
            TurnEvent::Sampled { id, step } => self.sampled(id, step, at, out),
            TurnEvent::InquiryEnded { id, end } => self.inquiry_ended(id, end, out),
            TurnEvent::Unsaved { reason } => self.status.saved = Saved::Not(reason),
            TurnEvent::Started { turn, conversation, model, base_url, api: _ } => {
                if self.session.replay {
                    self.replayed(turn, &conversation, &model);
                }
                if self.is_stale(turn) {
                    return;
                }
                self.transcript.conversation = Some(conversation);
                if let Some(open) = &mut self.transcript.turn {
                    open.times.model = model;
                    open.times.base_url = base_url;
                }
                if self.session.context_window.is_none() && !self.session.window_asked {
                    self.session.window_asked = true;
                    out.push(Effect::ModelFacts { model: self.session.settings.model.clone(), ask: true });
                }
            }
            TurnEvent::Message { turn, message } => {
                if !self.is_stale(turn) {
                    self.message(turn, &message, at);
                    if self.transcript.turn.as_mut().is_some_and(|open| open.unwritten.take().is_some()) {
                        self.keep_draft(out);
                    }
                }
            }
            TurnEvent::Request { turn, round, attempt, tools, tools_hash: _, parts, of } => {
                if self.is_stale(turn) {
                    return;
                }
                self.status.sent = parts;
                self.status.left_out = LeftOut::default();
                let Some(open) = &mut self.transcript.turn else { return };
                let requested = at.since_us(open.started);
                open.round = round;
                open.attempt = attempt;
                open.tools = tools;
                self.toolbox.searched = of.map(|of| (tools.saturating_sub(1), of));
                open.phase = Phase::Waiting;
                (open.stream_chars, open.stream_began, open.stream_last) = (0, None, None);
                match open.times.rounds.iter_mut().find(|times| times.round == round) {
                    Some(times) => times.requested = requested,
                    None => open.times.rounds.push(RoundTimes { round, requested, ..RoundTimes::default() }),
                }
            }
            TurnEvent::Compaction { conversation, step } => self.compaction(&conversation, step, out),
            TurnEvent::Titled { conversation, title } => {
                if let Some(transcript) = self.transcript_of(&conversation) {
                    transcript.title = title;
                }
            }
            TurnEvent::Aside { conversation, aside } => self.counted_aside(&conversation, &aside),
            TurnEvent::Slow { turn, round: _, waited_ms } => {
                if !self.is_stale(turn)
                    && let Some(open) = &mut self.transcript.turn
                {
                    open.phase = Phase::Slow(waited_ms);
                }
            }
            TurnEvent::Retrying { turn, round: _, attempt, delay_ms, fault } => {
                if !self.is_stale(turn)
                    && let Some(open) = &mut self.transcript.turn
                {
                    let at_us = at.mono_us.saturating_add(delay_ms.saturating_mul(1000));
                    open.phase = Phase::Retrying { attempt, at_us, why: fault.message };
                }
            }
            TurnEvent::Text { turn, round, text } => self.delta(turn, round, Piece::Text(text), at),
            TurnEvent::Reasoning { turn, round, text } => {
                self.delta(turn, round, Piece::Thinking { text, ms: None }, at);
            }
            TurnEvent::Refusal { turn, round, text } => self.delta(turn, round, Piece::Refusal(text), at),
            TurnEvent::Call { turn, update } => {
                if self.is_stale(turn) {
                    return;
                }
                let (id, round) = (update.call.clone(), update.round);
                let thought_ms = self.thought_ms(round);
                let asks = matches!(&update.state, CallState::Waiting(crate::chat::WaitFor::Approval(_)));
                if let CallState::Arguments { delta, .. } = &update.state {
                    self.streamed(round, SpanKind::Arguments, delta.chars().count(), at);
                }
                let ended = matches!(update.state, CallState::Ended(_));
                if self.calls.apply(turn, update, at) {
                    self.transcript.answer(turn, round, at, |answer| {
                        end_thinking(answer, thought_ms);
                        answer.pieces.push(Piece::Call(id.clone()));
                    });
                } else if let Some(entry) = self.transcript.entry_of_call(&id) {
                    entry.revision += 1;
                }
                if asks {
                    let call = format!("{} needs your approval", self.call_name(&id));
                    self.call_person(&call, call.clone(), out);
                }
                if ended {
                    self.count_server_call(&id);
                }
                self.close_settled_reviews();
            }
            TurnEvent::Usage { turn, round, usage } => {
                if !self.is_stale(turn) {
                    self.counted(turn, round, usage, at, out);
                }
            }
            TurnEvent::Finish { turn, round, reason, effective: _ } => {
                if self.is_stale(turn) {
                    return;
                }
                if let Some(open) = &mut self.transcript.turn {
                    open.phase = Phase::Tools;
                    let ended = at.since_us(open.started);
                    if let Some(times) = open.times.rounds.iter_mut().find(|times| times.round == round) {
                        times.ended = Some(ended);
                    }
                }
                self.transcript.answer(turn, round, at, |answer| {
                    answer.streaming = false;
                    answer.finish = reason;
                    end_thinking(answer, None);
                });
            }
            TurnEvent::Ended { turn, status, text: _, rounds: _, calls: _, conversation } => {
                if self.is_stale(turn) {
                    return;
                }
                self.transcript.conversation = Some(conversation);
                self.ended(status, at, out);
            }
        }
    }

    /// A turn of a replay began, which nobody here has asked for.
    fn replayed(&mut self, turn: TurnId, conversation: &ConversationId, model: &str) {
        if self.transcript.conversation.as_ref().is_some_and(|open| open != conversation) {
            self.transcript = Transcript { next_key: self.transcript.next_key, ..Transcript::default() };
            self.calls = Calls::default();
        }
        self.session.next_turn = self.session.next_turn.max(turn.0);
        model.clone_into(&mut self.session.settings.model);
        self.watch(turn, false);
        self.follow();
    }

    fn delta(&mut self, turn: TurnId, round: u32, piece: Piece, at: Stamp) {
        if self.is_stale(turn) {
            return;
        }
        let (kind, text) = match &piece {
            Piece::Thinking { text, .. } => (SpanKind::Reasoning, text),
            Piece::Text(text) | Piece::Refusal(text) => (SpanKind::Text, text),
            Piece::Call(_) => return,
        };
        if text.is_empty() {
            return;
        }
        self.streamed(round, kind, text.chars().count(), at);
        if let Some(open) = &mut self.transcript.turn {
            open.phase = if kind == SpanKind::Reasoning { Phase::Thinking } else { Phase::Writing };
        }
        let thought_ms = self.thought_ms(round);
        self.transcript.answer(turn, round, at, |answer| match (answer.pieces.last_mut(), piece) {
            (Some(Piece::Text(old)), Piece::Text(new))
            | (Some(Piece::Refusal(old)), Piece::Refusal(new))
            | (Some(Piece::Thinking { text: old, ms: None }), Piece::Thinking { text: new, .. }) => old.push_str(&new),
            (_, piece) => {
                end_thinking(answer, thought_ms);
                answer.pieces.push(piece);
            }
        });
    }

    /// Milliseconds of the thinking that is being ended.
    fn thought_ms(&self, round: u32) -> Option<u64> {
        let open = self.transcript.turn.as_ref()?;
        let times = open.times.rounds.iter().find(|times| times.round == round)?;
        let (_, from, to) = times.spans.iter().rev().find(|span| span.0 == SpanKind::Reasoning)?;
        Some((to - from) / 1000)
    }

    /// Counts what streams, for tokens per second and the timeline.
    fn streamed(&mut self, round: u32, kind: SpanKind, chars: usize, at: Stamp) {
        let Some(open) = &mut self.transcript.turn else { return };
        open.stream_chars += chars as u64;
        open.stream_began.get_or_insert(at);
        open.stream_last = Some(at);
        let now = at.since_us(open.started);
        let Some(times) = open.times.rounds.iter_mut().find(|times| times.round == round) else { return };
        times.first_byte.get_or_insert(now);
        if kind == SpanKind::Text {
            times.first_text.get_or_insert(now);
        }
        match times.spans.last_mut() {
            Some(span) if span.0 == kind => span.2 = now,
            Some(span) => {
                // The gap belongs to what comes now: the model was at work on it.
                let from = span.2.min(now);
                times.spans.push((kind, from, now));
            }
            None => times.spans.push((kind, now, now)),
        }
    }

    fn message(&mut self, turn: TurnId, message: &Arc<Message>, at: Stamp) {
        let stored = matches!(self.status.saved, Saved::At(_));
        self.transcript.branches.add(message);
        self.transcript.branches.keep(message, stored);
        match &message.body {
            Body::User(parts) => {
                // One that was handed over is under way now.
                self.transcript.queued.retain({
                    let mut found = false;
                    move |queued| {
                        let this = !found && queued.handed_over && queued.parts == *parts;
                        found |= this;
                        !this
                    }
                });
                let pending = self.transcript.entries.iter_mut().rev().find(|entry| {
                    entry.message.as_ref() == Some(&message.id)
                        || (entry.message.is_none() && matches!(entry.body, EntryBody::User(_)))
                });
                match pending {
                    Some(entry) => {
                        entry.message = Some(message.id.clone());
                        entry.at = message.at;
                        entry.body = EntryBody::User(parts.clone());
                        entry.revision += 1;
                    }
                    None => {
                        if self.transcript.title.is_empty() {
                            let text = message.plain_text();
                            let first = text.lines().find(|line| !line.trim().is_empty());
                            self.transcript.title = first.unwrap_or_default().trim().to_owned();
                        }
                        self.transcript.push(EntryBody::User(parts.clone()), message.at, Some(message.id.clone()));
                    }
                }
            }
            Body::Assistant(answer) => {
                let round = self
                    .transcript
                    .unsettled_round(turn)
                    .unwrap_or_else(|| self.transcript.turn.as_ref().map_or(1, |open| open.round));
                for call in &answer.calls {
                    self.calls.settle(call, Some(turn), round, at);
                    if !self.calls.this_turn.contains(&call.id) {
                        self.calls.this_turn.push(call.id.clone());
                    }
                }
                self.transcript.settle(turn, round, message, answer, at);
            }
            Body::Tool(tool) => {
                self.calls.outcome(&tool.call, &tool.outcome, Some(at));
                if let Some(entry) = self.transcript.entry_of_call(&tool.call) {
                    entry.revision += 1;
                }
                self.close_settled_reviews();
            }
        }
    }

    fn turn_fault(&mut self, fault: Fault, at: Stamp, out: &mut Vec<Effect>) {
        let Some(open) = &self.transcript.turn else { return };
        let shown = open.stream_chars > 0;
        let choices = match fault.kind {
            FaultKind::Auth => FaultChoices::Key,
            FaultKind::Truncated => FaultChoices::Cut,
            FaultKind::Network | FaultKind::Provider | FaultKind::Protocol if shown => FaultChoices::Cut,
            FaultKind::Cancelled | FaultKind::NoModel => FaultChoices::None,
            FaultKind::Context => FaultChoices::Compact,
            FaultKind::Usage | FaultKind::Internal | FaultKind::Limit | FaultKind::Store | FaultKind::Config
                if fault.retry == Retry::Never =>
            {
                FaultChoices::None
            }
            FaultKind::Network if fault.retry == Retry::AfterChange => FaultChoices::Key,
            FaultKind::Internal
            | FaultKind::Usage
            | FaultKind::Config
            | FaultKind::Network
            | FaultKind::Provider
            | FaultKind::RateLimit
            | FaultKind::Protocol
            | FaultKind::Limit
            | FaultKind::Store => FaultChoices::Retry,
        };
        if fault.kind == FaultKind::NoModel {
            self.open_models(super::model::Then::Nothing, out);
        }
        let kept = |kind| {
            matches!(kind, OutcomeKind::Done | OutcomeKind::Failed | OutcomeKind::TimedOut | OutcomeKind::Unknown)
        };
        let calls_kept = self.calls.turn().filter(|call| match call.phase {
            CallPhase::Ended(kind) => kept(kind),
            CallPhase::Running | CallPhase::Cancelling => true,
            CallPhase::Arguments
            | CallPhase::Closed
            | CallPhase::NeedsApproval
            | CallPhase::Queued(_)
            | CallPhase::ServerStarting => false,
        });
        let calls_kept = u32::try_from(calls_kept.count()).unwrap_or(u32::MAX);
        self.call_person("the answer broke off", format!("the answer broke off: {}", fault.message), out);
        let body = FaultEntry { fault, choices, calls_kept, settled: false };
        let key = self.transcript.push(EntryBody::Fault(body), at.wall_ms, None);
        // The choices take the focus, but never from a text.
        if choices != FaultChoices::None && self.composer.is_blank() && self.focus == Focus::Composer {
            self.focus = Focus::Transcript;
            self.transcript.choose(Some(super::blocks::Spot { key, block: None }));
        }
    }

    fn ended(&mut self, status: TurnStatus, at: Stamp, out: &mut Vec<Effect>) {
        let Some(mut open) = self.transcript.turn.take() else { return };
        open.ended = Some(at);
        open.status = Some(status);
        open.times.ended = Some(at.since_us(open.started));
        self.transcript.end_answers(open.id, status);
        let answered = matches!(self.transcript.entries.last().map(|entry| &entry.body), Some(EntryBody::Answer(_)));
        if status == TurnStatus::Cancelled && !answered {
            self.transcript.push(EntryBody::Note("Stopped. /retry asks again.".to_owned()), at.wall_ms, None);
        }
        if at.since_us(open.started) > LONG_TURN_US {
            self.call_person("the answer is complete", "the answer is complete".to_owned(), out);
        }
        if self.status.context.is_none_or(|context| context.estimated) {
            self.status.answered = open.stream_chars / 4;
            let sent = self.status.sent.estimated_tokens();
            self.status.context = Some(Context { tokens: sent + self.status.answered, estimated: true });
        }
        self.transcript.last = Some(open);
        for queued in &mut self.transcript.queued {
            queued.handed_over = false;
        }
        self.close_settled_reviews();
        self.disarm(out);
        if status == TurnStatus::Ok {
            self.send_queued(out);
        }
    }

    fn server(&mut self, status: ServerStatus, at: Stamp) {
        match self.servers.rows.iter_mut().find(|row| row.status.server == status.server) {
            Some(row) => {
                if row.status.state != status.state {
                    row.since_us = at.mono_us;
                }
                // A countdown that is only told again goes on from where it was.
                if row.status.state != status.state || row.status.life.retry_in_ms != status.life.retry_in_ms {
                    row.told_us = at.mono_us;
                }
                row.status = status;
            }
            None => {
                self.servers.rows.push(ServerRow::new(status, at));
                self.servers.rows.sort_by(|a, b| a.status.server.cmp(&b.status.server));
            }
        }
        // A question whose server needs no answer any more closes by itself.
        let servers = &self.servers;
        self.overlays.retain(|overlay| match overlay {
            Overlay::Consent(consent) => servers
                .get(&consent.server)
                .is_some_and(|row| row.status.state == crate::chat::ServerState::NeedsConsent),
            Overlay::Review(_)
            | Overlay::Inquiry(_)
            | Overlay::Fill(_)
            | Overlay::Confirm(_)
            | Overlay::Ask(_)
            | Overlay::Browser(_)
            | Overlay::Prompts(_)
            | Overlay::Models(_)
            | Overlay::Roles(_)
            | Overlay::Servers(_)
            | Overlay::SignIn(_)
            | Overlay::Tools(_)
            | Overlay::Import(_)
            | Overlay::Palette(_)
            | Overlay::Help(_)
            | Overlay::Detail(_)
            | Overlay::Timeline(_)
            | Overlay::Usage(_)
            | Overlay::Settings(_)
            | Overlay::Welcome(_) => true,
        });
    }

    fn count_server_call(&mut self, id: &crate::chat::CallId) {
        let Some(call) = self.calls.by_id.get(id) else { return };
        let (Some(tool), Some(outcome)) = (&call.tool, &call.outcome) else { return };
        let Some(row) = self.servers.rows.iter_mut().find(|row| row.status.server == tool.server) else { return };
        if outcome.sent {
            row.calls += 1;
            row.times_ms.push_back(outcome.ms);
            if row.times_ms.len() > 100 {
                row.times_ms.pop_front();
            }
        }
        if matches!(outcome.kind, OutcomeKind::Failed | OutcomeKind::TimedOut | OutcomeKind::Unknown) {
            row.errors += 1;
        }
    }

    /// A review whose call needs no decision any more closes by itself.
    pub(super) fn close_settled_reviews(&mut self) {
        let calls = &self.calls;
        let live = self.transcript.turn.is_some();
        self.overlays.retain(|overlay| {
            let Overlay::Review(open) = overlay else { return true };
            let call = calls.by_id.get(open.call());
            live && call.is_some_and(|call| {
                call.phase == CallPhase::NeedsApproval
                    && !call.decided
                    && call.review.as_ref().is_some_and(|review| review.hash == open.review.hash)
            })
        });
    }

    pub(super) fn call_name(&self, id: &crate::chat::CallId) -> String {
        self.calls.by_id.get(id).map(super::calls::Call::name).unwrap_or_default()
    }

    /// Calls a person who looks elsewhere: with `details` only where these may be quoted.
    pub(super) fn call_person(&self, text: &str, details: String, out: &mut Vec<Effect>) {
        if self.status.unfocused {
            let said = if self.session.notify_details { details } else { text.to_owned() };
            out.push(Effect::Notify(format!("millrace: {said}")));
        }
    }

    /// Sends the first of the messages that were typed while the last answer came.
    pub(super) fn send_queued(&mut self, out: &mut Vec<Effect>) {
        if self.transcript.turn.is_none() && !self.transcript.queued.is_empty() {
            let queued = self.transcript.queued.remove(0);
            self.submit(queued.parts, None, out);
        }
    }

    /// Begins to watch a turn that has been ordered.
    pub(super) fn watch(&mut self, turn: TurnId, restated: bool) {
        self.calls.this_turn.clear();
        self.panel.settle(&self.calls);
        self.transcript.settle_faults();
        self.transcript.turn = Some(Turn::new(turn, self.now, restated));
    }

    /// Ends the count-down before an automatic retry.
    pub(super) fn retry_now(&mut self, out: &mut Vec<Effect>) -> bool {
        match &self.transcript.turn {
            Some(Turn { id, phase: Phase::Retrying { .. }, .. }) => {
                out.push(Effect::Order(Order::RetryNow { turn: *id }));
                true
            }
            _ => false,
        }
    }

    /// Asks for ticks while something on the screen counts time, and only then.
    pub(super) fn tick(&mut self, out: &mut Vec<Effect>) {
        let counts = self.transcript.turn.is_some()
            || self.composer.run.is_some()
            || self.overlays.iter().any(|overlay| matches!(overlay, Overlay::Review(_) | Overlay::Inquiry(_)));
        let servers = self.overlays.iter().any(|overlay| matches!(overlay, Overlay::Servers(_)));
        if counts && (!self.status.ticking || self.status.slow_tick) {
            (self.status.ticking, self.status.slow_tick) = (true, false);
            let after_ms = if self.session.still { 1_000 } else { 100 };
            out.push(Effect::SetTimer { timer: Timer::Tick, after_ms });
        } else if servers && !self.status.ticking {
            // The list of servers counts seconds.
            (self.status.ticking, self.status.slow_tick) = (true, true);
            out.push(Effect::SetTimer { timer: Timer::Tick, after_ms: 1_000 });
        }
    }
}

fn end_thinking(answer: &mut AnswerEntry, ms: Option<u64>) {
    if let Some(Piece::Thinking { ms: open @ None, .. }) = answer.pieces.last_mut() {
        *open = ms;
    }
}
