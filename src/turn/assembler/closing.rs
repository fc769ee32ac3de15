//! How a call's text grows, closes, and what comes after the close.
//! `tests/fixtures/sse/README.md` lists the rules.

use super::call::{AssembledCall, CallStatus};
use super::{AssemblerLimits, Piece};
use crate::chat::{ArgumentsPart, ClosedBy};
use crate::turn::arguments::{self, Rejection};
use crate::turn::scanner::{Scanner, is_blank};

/// The event that is being applied, seen from one call.
pub(super) struct Step<'a> {
    pub call: usize,
    pub event: u64,
    pub limits: AssemblerLimits,
    pub out: &'a mut Vec<Piece>,
}

impl AssembledCall {
    /// Takes a piece of arguments. `takes` says whether the tool takes parameters, `done` that the text is whole.
    pub(super) fn take(&mut self, part: &ArgumentsPart, done: bool, takes: bool, step: &mut Step<'_>) {
        match part {
            ArgumentsPart::Text(text) if done => self.complete(text, takes, step),
            ArgumentsPart::Text(text) => self.feed(text, takes, step),
            ArgumentsPart::Value(text) => {
                let whole = self.is_empty();
                self.feed(text, takes, step);
                if whole && let Some(arguments) = &self.arguments {
                    arguments.text.as_ref().clone_into(&mut self.raw);
                }
            }
        }
    }

    /// The wire says that this is the whole text.
    fn complete(&mut self, text: &str, takes: bool, step: &mut Step<'_>) {
        if self.status == CallStatus::Closed && self.says_the_same(text, step.limits) {
            return;
        }
        if let Some(more) = text.strip_prefix(self.raw.as_str()) {
            self.feed(more, takes, step);
        } else {
            if self.status == CallStatus::Open {
                self.restart(step);
            }
            self.feed(text, takes, step);
        }
        self.seal(ClosedBy::Done, step);
    }

    fn feed(&mut self, mut text: &str, takes: bool, step: &mut Step<'_>) {
        while !text.is_empty() {
            match self.status {
                CallStatus::Open if self.placeholder => {
                    text = text.trim_start_matches(blank);
                    if text.starts_with('{') {
                        self.restart(step);
                    } else if !text.is_empty() {
                        self.close(ClosedBy::Brace, step);
                    }
                }
                CallStatus::Open => {
                    if self.raw.len() < 64 && self.raw.trim() == "null" && text.trim_start().starts_with('{') {
                        self.restart(step);
                    }
                    let (own, rest) = text.split_at(self.scanner.feed(text));
                    let limit = step.limits.arguments;
                    if (self.raw.len() + own.len()) as u64 > limit {
                        return self.reject(Rejection::Size { limit }.to_string(), step);
                    }
                    self.raw.push_str(own);
                    step.out.push(Piece::Arguments { call: step.call, delta: own.to_owned() });
                    if self.scanner.is_closed() {
                        if takes && self.is_empty_object() {
                            self.placeholder = true;
                        } else {
                            self.close(ClosedBy::Brace, step);
                        }
                    }
                    text = rest;
                }
                CallStatus::Closed => return self.late(text, step),
                CallStatus::Conflict => return self.keep_late(text, step.limits),
                CallStatus::Invalid | CallStatus::Incomplete => return,
            }
        }
    }

    fn is_empty_object(&self) -> bool {
        self.raw.bytes().filter(|byte| !is_blank(*byte)).take(3).eq(*b"{}")
    }

    fn restart(&mut self, step: &mut Step<'_>) {
        self.raw.clear();
        self.scanner = Scanner::default();
        self.placeholder = false;
        step.out.push(Piece::Restarted { call: step.call });
    }

    /// The one strict parse.
    fn close(&mut self, by: ClosedBy, step: &mut Step<'_>) {
        match arguments::parse(self.wire_text(), step.limits.nesting, step.limits.arguments) {
            Ok(arguments) => {
                let text = arguments.text.clone();
                self.status = CallStatus::Closed;
                self.arguments = Some(arguments);
                self.close = Some(by);
                self.closed_at = Some(step.event);
                step.out.push(Piece::Closed { call: step.call, by, at: step.event, text });
            }
            Err(rejection) => self.reject(rejection.to_string(), step),
        }
    }

    /// Its arguments can never be sent.
    pub(super) fn reject(&mut self, reason: String, step: &mut Step<'_>) {
        self.status = CallStatus::Invalid;
        self.reason = Some(reason.clone());
        step.out.push(Piece::Invalid { call: step.call, reason });
    }

    /// What comes after the close: blanks are nothing, equal arguments a restatement, all else a conflict. A
    /// restatement in pieces must be one byte for byte; a whole one may be written in another way.
    fn late(&mut self, mut text: &str, step: &mut Step<'_>) {
        loop {
            if self.after.text.is_empty() {
                text = text.trim_start_matches(blank);
            }
            if text.is_empty() {
                return;
            }
            let known = self.after.text.len();
            let (own, rest) = text.split_at(self.after.scanner.feed(text));
            self.after.text.push_str(own);
            text = rest;
            if self.after.scanner.is_closed() {
                if !self.says_the_same(&self.after.text, step.limits) {
                    return self.conflict(text, step);
                }
                self.after = Default::default();
                let said = !std::mem::take(&mut self.implied);
                if said && !std::mem::replace(&mut self.duplicate, true) {
                    step.out.push(Piece::Duplicate { call: step.call });
                }
            } else if !self.raw.trim_start().get(known..).is_some_and(|raw| raw.starts_with(own)) {
                return self.conflict(text, step);
            }
        }
    }

    fn says_the_same(&self, text: &str, limits: AssemblerLimits) -> bool {
        arguments::parse(text, limits.nesting, limits.arguments)
            .is_ok_and(|again| self.arguments.as_ref().is_some_and(|arguments| arguments.value == again.value))
    }

    fn conflict(&mut self, rest: &str, step: &mut Step<'_>) {
        self.status = CallStatus::Conflict;
        self.conflict_at = Some(step.event);
        self.late = Some(std::mem::take(&mut self.after).text);
        self.keep_late(rest, step.limits);
        step.out.push(Piece::Conflict { call: step.call, at: step.event });
    }

    fn keep_late(&mut self, text: &str, limits: AssemblerLimits) {
        let late = self.late.get_or_insert_default();
        if (late.len() + text.len()) as u64 <= limits.arguments {
            late.push_str(text);
        }
    }

    /// The response says that its calls are complete: what no brace has closed is judged. An object that is still
    /// open stays so: it is incomplete unless the rest comes.
    pub(super) fn seal(&mut self, by: ClosedBy, step: &mut Step<'_>) {
        match self.status {
            CallStatus::Closed if !self.after.text.is_empty() => self.conflict("", step),
            CallStatus::Closed | CallStatus::Incomplete | CallStatus::Invalid | CallStatus::Conflict => {}
            CallStatus::Open => match self.scanner {
                Scanner::Object { .. } => {}
                Scanner::Closed => self.close(by, step),
                Scanner::Start => {
                    self.implied = true;
                    self.close(by, step);
                }
                Scanner::Other if self.raw.trim() == "null" => self.close(by, step),
                Scanner::Other => match serde_json::from_str::<String>(&self.raw) {
                    Ok(inner) if inner.trim_start().starts_with('{') => {
                        self.raw = inner;
                        self.close(by, step);
                    }
                    Err(error) if error.is_eof() => {}
                    Ok(_) | Err(_) => self.reject(Rejection::NotAnObject.to_string(), step),
                },
            },
        }
    }

    /// No more will come.
    pub(super) fn give_up(&mut self, step: &mut Step<'_>) {
        match self.status {
            CallStatus::Open => {
                self.status = CallStatus::Incomplete;
                step.out.push(Piece::Incomplete { call: step.call });
            }
            CallStatus::Closed if !self.after.text.is_empty() => self.conflict("", step),
            CallStatus::Closed | CallStatus::Incomplete | CallStatus::Invalid | CallStatus::Conflict => {}
        }
    }
}

fn blank(character: char) -> bool {
    u8::try_from(character).is_ok_and(is_blank)
}
