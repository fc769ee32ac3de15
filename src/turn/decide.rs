//! From a closed call to its sending: validation, policy, review, slots.

use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::arguments;
use super::call::{Consent, Stage};
use super::event::Step;
use super::machine::{Phase, Turn};
use super::slots;
use crate::chat::{
    AskReason, CallId, CallState, Change, ClosedBy, Decision, Dispatch, Grant, GrantScope, NoticeKind, OutcomeKind,
    Review, ToolChoice, ToolOutcome, TurnEvent, WaitFor,
};
use crate::tools::{self, Absence, PolicyContext, Problem, Snapshot, Verdict};

/// How much of the model's words before a call stand in its review, in characters.
const BECAUSE: usize = 200;

impl Turn {
    pub(super) fn closed(&mut self, index: usize, by: ClosedBy, at: u64, text: Arc<str>) {
        if self.calls[index].ended() {
            return;
        }
        self.closes += 1;
        let order = self.closes;
        let at_us = self.at_us();
        let assembled = &self.round.assembler.calls()[index - self.round.first_call];
        let value = assembled.arguments.as_ref().map(|a| Arc::new(Value::Object(a.value.clone())));
        let call = &mut self.calls[index];
        call.arguments = Some(Arc::clone(&text));
        call.value = value;
        call.closed_by = Some(by);
        call.order = order;
        call.extra = assembled.extra.clone();
        let id = call.id.clone();
        self.emit_call(index, CallState::Closed { arguments: Arc::clone(&text), closed_by: by, closed_at: at });
        self.write(Change::CallClosed { turn: self.plan.key.clone(), call: id, arguments: text, closed_by: by, at_us });
        self.validate(index);
    }

    fn validate(&mut self, index: usize) {
        let call = &self.calls[index];
        let name = call.name.as_deref().unwrap_or_default();
        let Some(tool) = call.tool.clone() else {
            let (kind, message) = match self.plan.tools.absent(name) {
                Some(absent) => match absent.why {
                    Absence::Denied(_) | Absence::NotOffered | Absence::Off | Absence::Withheld => {
                        (OutcomeKind::Denied, absent.message())
                    }
                    Absence::Quarantined(_) => (OutcomeKind::Invalid, absent.message()),
                },
                None => (OutcomeKind::Invalid, tools::unknown_tool_message(name, &self.plan.tools.near(name))),
            };
            self.end_unsent(index, kind, message);
            return;
        };
        let Some(arguments) = call.value.clone() else { return };
        if *self.tool_choice() == ToolChoice::None {
            let message = "No tool may be called in this answer (the user chose so). The call was not sent.";
            self.end_unsent(index, OutcomeKind::Denied, message);
            return;
        }
        let call = &mut self.calls[index];
        call.stage = Stage::Validating;
        self.out.push(Step::Validate { call: call.id.clone(), tool, arguments });
    }

    pub(super) fn validated(&mut self, id: &CallId, problems: Result<(), Vec<Problem>>) {
        let Some(index) = self.find(id) else { return };
        if !matches!(self.calls[index].stage, Stage::Validating) {
            return;
        }
        match problems {
            Ok(()) if self.calls[index].consent == Consent::Person => self.cleared(index),
            Ok(()) => self.decide(index),
            Err(problems) if self.calls[index].edited => {
                let message = tools::invalid_arguments_message(&problems);
                self.emit(TurnEvent::Notice { turn: Some(self.plan.turn), kind: NoticeKind::Info, message });
                self.calls[index].consent = Consent::None;
                self.ask(index, AskReason::Policy);
            }
            Err(problems) => {
                let message = tools::invalid_arguments_message(&problems);
                self.end_unsent(index, OutcomeKind::Invalid, message);
            }
        }
        self.pump();
    }

    fn verdict(&mut self, index: usize) -> Option<Verdict> {
        let call = &self.calls[index];
        let tool = call.tool.as_ref()?;
        let earlier = self
            .repeats
            .iter()
            .find(|past| past.tool == tool.reference && Some(&past.arguments) == call.arguments.as_ref());
        let repeat = earlier.is_some();
        let outcome = earlier.and_then(|past| past.outcome.clone());
        let verdict = tools::decide(
            tool,
            &PolicyContext {
                now: &self.now,
                conversation: &self.plan.conversation,
                approve: self.plan.settings.approve,
                headless: self.plan.settings.headless,
                tainted_by: &self.tainted,
                repeat,
                unsaved: !self.saving,
            },
        );
        self.calls[index].earlier = outcome;
        Some(verdict)
    }

    fn decide(&mut self, index: usize) {
        match self.verdict(index) {
            Some(Verdict::Allow { by: _ }) => {
                self.calls[index].consent = Consent::Rule;
                self.cleared(index);
            }
            Some(Verdict::Ask(reason)) => self.ask(index, reason),
            Some(Verdict::Deny { message }) => self.end_unsent(index, OutcomeKind::Denied, message),
            None => {}
        }
    }

    /// Judged anew: what was allowed or approved before counts for nothing.
    pub(super) fn rejudge(&mut self, index: usize) {
        let call = &mut self.calls[index];
        call.consent = Consent::None;
        call.stage = Stage::Validating;
        self.decide(index);
    }

    fn ask(&mut self, index: usize, why: AskReason) {
        let call = &self.calls[index];
        let (Some(tool), Some(arguments)) = (call.tool.as_ref(), call.arguments.clone()) else { return };
        let review = Arc::new(Review {
            call: call.id.clone(),
            tool: tool.reference.clone(),
            server_line: self.plan.server_lines.get(&tool.reference.server).cloned().unwrap_or_default(),
            trusted: tool.trusted,
            claims: tool.claims,
            description: tool.description.to_string(),
            hash: hash(&arguments),
            arguments,
            because: self.because(),
            why,
            tainted_by: match why {
                AskReason::AfterUntrusted => {
                    self.tainted.iter().filter(|server| **server != tool.reference.server).cloned().collect()
                }
                AskReason::Policy | AskReason::Repeat | AskReason::Unsaved => Vec::new(),
            },
            earlier: call.earlier.clone(),
        });
        let id = call.id.clone();
        self.calls[index].stage = Stage::Asking(Arc::clone(&review));
        self.emit_call(index, CallState::Waiting(WaitFor::Approval(review)));
        let at_us = self.at_us();
        self.write(Change::CallAsked { turn: self.plan.key.clone(), call: id, at_us });
    }

    /// The model's last words before the call: as much of its last paragraph's end as fits, from a word's beginning.
    fn because(&self) -> Option<String> {
        let text = self.round.assembler.content().trim_end();
        let last = text.rsplit("\n\n").next().unwrap_or_default().trim();
        let skip = last.chars().count().saturating_sub(BECAUSE);
        let tail: String = last.chars().skip(skip).collect();
        let from = if skip == 0 { 0 } else { tail.find(char::is_whitespace).map_or(0, |at| at + 1) };
        let words = tail.get(from..).unwrap_or_default().trim();
        (!words.is_empty()).then(|| words.to_owned())
    }

    /// Allowed or approved: it leaves at once, or with the others at the finish.
    fn cleared(&mut self, index: usize) {
        let call = &mut self.calls[index];
        let wish = call.tool.as_ref().and_then(|t| t.dispatch).unwrap_or(self.plan.settings.dispatch);
        let at_finish = self.late_data || wish == Dispatch::Finish;
        let streaming = call.round == self.round.number && matches!(self.phase, Phase::Streaming);
        call.stage = if at_finish && streaming { Stage::Held } else { Stage::Ready { told_place: None } };
    }

    /// Lets calls leave that may, in order.
    pub(super) fn pump(&mut self) {
        if self.stopping {
            return;
        }
        let choice = slots::choose(&self.calls, self.plan.limits.calls_per_server, self.plan.limits.calls_in_all);
        for index in choice.leave {
            let at_us = self.at_us();
            let call = &mut self.calls[index];
            let (Some(tool), Some(Value::Object(arguments))) = (call.tool.clone(), call.value.as_deref().cloned())
            else {
                continue;
            };
            call.stage = Stage::Running { sent: false, held: false, cancelling: false };
            let call = call.id.clone();
            let changes = vec![Change::CallSent { turn: self.plan.key.clone(), call: call.clone(), at_us }];
            self.out.push(Step::Call { call, tool, arguments, changes, unsaved_ok: !self.saving });
        }
        for (index, place) in choice.queued {
            let Stage::Ready { told_place } = &mut self.calls[index].stage else { continue };
            if told_place.replace(place) != Some(place) {
                self.emit_call(index, CallState::Waiting(WaitFor::Slot(place)));
            }
        }
    }

    pub(super) fn decided(&mut self, id: &CallId, hash: &str, decision: Decision) {
        let Some(index) = self.find(id) else { return };
        let Stage::Asking(review) = &self.calls[index].stage else { return };
        if *review.hash != *hash {
            return;
        }
        match decision {
            Decision::Once => self.approved(index),
            Decision::Session => {
                self.grant(index, GrantScope::Session(self.plan.conversation.clone()));
                self.approved(index);
            }
            Decision::Always => {
                self.grant(index, GrantScope::Always);
                self.approved(index);
            }
            Decision::Deny { reason } => {
                let message = match reason.as_deref().map(str::trim).filter(|r| !r.is_empty()) {
                    Some(reason) => format!("The user denied this call: {reason}"),
                    None => "The user denied this call.".to_owned(),
                };
                self.end_unsent(index, OutcomeKind::Denied, message);
            }
            Decision::Edit { arguments } => self.edited(index, &arguments),
            Decision::UseEarlier => {
                if let Some(earlier) = self.calls[index].earlier.as_deref().cloned() {
                    self.end(index, ToolOutcome { sent: false, ms: 0.0, ..earlier });
                }
            }
        }
        self.pump();
    }

    fn approved(&mut self, index: usize) {
        let at_us = self.at_us();
        let call = &mut self.calls[index];
        call.consent = Consent::Person;
        let id = call.id.clone();
        self.write(Change::CallApproved { turn: self.plan.key.clone(), call: id, at_us });
        self.cleared(index);
    }

    fn grant(&mut self, index: usize, scope: GrantScope) {
        let Some(tool) = &self.calls[index].tool else { return };
        let grant = Grant {
            entry: Arc::clone(&tool.entry),
            tool: tool.reference.clone(),
            sha256: Arc::clone(&tool.sha256),
            scope,
        };
        self.out.push(Step::Grant(grant));
    }

    /// A person's own arguments take the place of the model's: checked like any, then sent without asking again.
    fn edited(&mut self, index: usize, text: &str) {
        let limits = &self.plan.limits;
        match arguments::parse(text, limits.nesting, limits.arguments) {
            Ok(parsed) => {
                let at_us = self.at_us();
                let call = &mut self.calls[index];
                call.arguments = Some(Arc::clone(&parsed.text));
                call.value = Some(Arc::new(Value::Object(parsed.value)));
                call.edited = true;
                call.consent = Consent::Person;
                let (id, by) = (call.id.clone(), call.closed_by.unwrap_or(ClosedBy::Brace));
                let events = self.round.assembler.events();
                let arguments = Arc::clone(&parsed.text);
                self.emit_call(index, CallState::Closed { arguments, closed_by: by, closed_at: events });
                self.write(Change::CallClosed {
                    turn: self.plan.key.clone(),
                    call: id.clone(),
                    arguments: parsed.text,
                    closed_by: by,
                    at_us,
                });
                self.write(Change::CallApproved { turn: self.plan.key.clone(), call: id, at_us });
                self.validate(index);
            }
            Err(reason) => {
                let message = format!("These arguments cannot be sent: {reason}. The call still waits.");
                self.emit(TurnEvent::Notice { turn: Some(self.plan.turn), kind: NoticeKind::Info, message });
            }
        }
    }

    /// New grants and trust may answer for calls that wait; changed definitions may forbid them, also those that wait
    /// for their server to come back.
    pub(super) fn tools_changed(&mut self, now: Arc<Snapshot>) {
        self.now = now;
        for index in 0..self.calls.len() {
            let leaving = match self.calls[index].stage {
                Stage::Running { sent: false, cancelling: false, .. } => true,
                Stage::Held | Stage::Ready { .. } => false,
                Stage::Open | Stage::Validating | Stage::Asking(_) | Stage::Running { .. } | Stage::Ended(_) => {
                    continue;
                }
            };
            match self.verdict(index) {
                Some(Verdict::Deny { .. }) if leaving => {
                    let id = self.calls[index].id.clone();
                    self.cancel_call(&id);
                }
                Some(Verdict::Deny { message }) => self.end_unsent(index, OutcomeKind::Denied, message),
                Some(Verdict::Allow { .. } | Verdict::Ask(_)) | None => {}
            }
        }
        let waiting: Vec<usize> =
            (0..self.calls.len()).filter(|&i| matches!(self.calls[i].stage, Stage::Asking(_))).collect();
        for index in waiting {
            match self.verdict(index) {
                Some(Verdict::Allow { by: _ }) => {
                    self.calls[index].consent = Consent::Rule;
                    self.cleared(index);
                }
                Some(Verdict::Deny { message }) => self.end_unsent(index, OutcomeKind::Denied, message),
                Some(Verdict::Ask(_)) | None => {}
            }
        }
        self.pump();
    }
}

/// SHA-256, hex: what a decision names.
fn hash(arguments: &str) -> Arc<str> {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(arguments.as_bytes()) {
        hex.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        hex.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
    }
    Arc::from(hex)
}
