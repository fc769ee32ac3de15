//! What a server asks of the person: a form, a visit to an address, an answer of the model, the folders to work in.
//!
//! # Invariants
//! - Nothing is sent, opened or asked of the model before a fresh key said so, 350 ms after the question came up.
//! - An address is opened by its own key alone, and never looked at before.
//! - Folders are told only after the last of them was on the screen.
//! - Esc closes the question as cancelled, and asks nothing more; of folders it tells none.

use std::sync::Arc;

use serde_json::Map;

use super::form::{FormButton, FormEdit, FormKey};
use super::sample::SampleView;
use super::{DEAF_US, Flow, motion, scrolled};
use crate::app::command::Command;
use crate::app::effect::Effect;
use crate::app::key::{Key, KeyCode};
use crate::app::keymap::{Lookup, Place};
use crate::app::layout::{ListLayout, SampleLayout};
use crate::app::state::State;
use crate::chat::{Inquiry, InquiryAnswer, Order, Question, Stamp, TurnId};

#[derive(Clone, Debug)]
pub struct InquiryBox {
    pub turn: Option<TurnId>,
    pub inquiry: Arc<Inquiry>,
    /// When it was told of: its time runs from here.
    pub told: Stamp,
    /// Keys are ignored until here, microseconds of the process; each ignored key moves it.
    pub deaf_until_us: u64,
    /// Why the last key did nothing.
    pub refused: Option<&'static str>,
    pub step: InquiryStep,
}

#[derive(Clone, Debug, PartialEq)]
pub enum InquiryStep {
    Form(FormEdit),
    Address(Visit),
    Sample(SampleView),
    /// The folders are shown from this line on.
    Roots {
        scroll: usize,
        end_seen: bool,
    },
}

/// An address, and what a person should know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// As it will be opened: the parser's own writing, its host in ASCII.
    pub url: String,
    pub host: String,
    pub warnings: Vec<&'static str>,
}

impl Visit {
    /// None where it is no http or https address.
    #[must_use]
    pub fn of(url: &str) -> Option<Self> {
        let parsed = url::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let host = parsed.host_str()?.to_owned();
        let loopback = matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]");
        let mut warnings = Vec::new();
        if host.split('.').any(|label| label.starts_with("xn--")) {
            warnings.push("Its host is written in letters of another alphabet: it may imitate another host.");
        }
        if parsed.scheme() == "http" && !loopback {
            warnings.push("It is not encrypted: others can read what you enter there.");
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            warnings.push("A name stands before its host: what is left of the @ is not where it leads.");
        }
        Some(Self { url: parsed.into(), host, warnings })
    }
}

impl InquiryBox {
    pub(in crate::app) fn new(
        turn: Option<TurnId>,
        inquiry: Arc<Inquiry>,
        told: Stamp,
        now: Stamp,
        revision: u64,
    ) -> Self {
        let step = match &inquiry.question {
            Question::Form { form, .. } => InquiryStep::Form(FormEdit::new(form)),
            Question::Address { url, .. } => {
                // What came was checked to be one; another is shown as it is, and cannot be opened.
                let unknown = || Visit { url: url.clone(), host: String::new(), warnings: Vec::new() };
                InquiryStep::Address(Visit::of(url).unwrap_or_else(unknown))
            }
            Question::Sample(_) => InquiryStep::Sample(SampleView::new(revision)),
            Question::Roots(_) => InquiryStep::Roots { scroll: 0, end_seen: false },
        };
        Self { turn, inquiry, told, deaf_until_us: now.mono_us + DEAF_US, refused: None, step }
    }

    pub(in crate::app) fn laid_out(&mut self, list: ListLayout) {
        if let InquiryStep::Roots { end_seen, .. } = &mut self.step {
            *end_seen |= list.page > 0 && list.top + list.page >= list.lines;
        }
    }

    /// Milliseconds until nobody's answer counts any more.
    #[must_use]
    pub fn left_ms(&self, now: Stamp) -> u64 {
        let limit = u64::try_from(self.inquiry.limit.as_millis()).unwrap_or(u64::MAX);
        limit.saturating_sub(now.since_us(self.told) / 1_000)
    }

    /// Pasted text goes into the field with the caret, and decides nothing.
    pub(super) fn paste(&mut self, text: &str) {
        match &mut self.step {
            InquiryStep::Form(form) => form.paste(text),
            InquiryStep::Address(_) | InquiryStep::Sample(_) | InquiryStep::Roots { .. } => {
                self.refused = Some("a paste decides nothing");
            }
        }
    }

    pub(super) fn wheel(&mut self, by: isize, list: ListLayout, seen: Option<&SampleLayout>) {
        match &mut self.step {
            InquiryStep::Sample(view) => view.scroll_by(by, seen),
            InquiryStep::Roots { scroll, .. } => *scroll = scrolled(*scroll, by, list),
            InquiryStep::Form(_) | InquiryStep::Address(_) => {}
        }
    }

    /// A click moves the focus: to a field, or to a button behind the last one. It presses nothing.
    pub(super) fn choose(&mut self, row: usize) {
        if let InquiryStep::Form(form) = &mut self.step {
            form.choose(row);
        }
    }

    pub(super) fn key(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        match state.keymap.look(Place::Global, None, key) {
            Lookup::Command(Command::Interrupt) => {
                state.stop(out);
                return self.answer(InquiryAnswer::Cancel, state, out);
            }
            Lookup::Command(Command::Redraw | Command::Suspend | Command::Mouse) => return Flow::Pass,
            Lookup::Command(_) | Lookup::Prefix | Lookup::Nothing => {}
        }
        if state.now.mono_us < self.deaf_until_us {
            self.deaf_until_us = state.now.mono_us + DEAF_US;
            self.refused = Some("too early: keys count 0.35 s after the last one");
            return Flow::Stay;
        }
        self.refused = None;
        if key.code == KeyCode::Esc {
            let answer = match self.step {
                InquiryStep::Roots { .. } => InquiryAnswer::Decline,
                InquiryStep::Form(_) | InquiryStep::Address(_) | InquiryStep::Sample(_) => InquiryAnswer::Cancel,
            };
            return self.answer(answer, state, out);
        }
        match &mut self.step {
            InquiryStep::Form(form) => match form.key(key) {
                FormKey::Moved | FormKey::Edited => Flow::Stay,
                FormKey::Unknown => {
                    self.refused = Some("this key means nothing here");
                    Flow::Stay
                }
                FormKey::Pressed(_) if key.repeat => {
                    self.refused = Some("a held key decides nothing");
                    Flow::Stay
                }
                FormKey::Pressed(FormButton::Submit) => match form.content() {
                    Ok(content) => self.answer(InquiryAnswer::Accept(content), state, out),
                    Err(why) => {
                        self.refused = Some(why);
                        Flow::Stay
                    }
                },
                FormKey::Pressed(FormButton::Decline) => self.answer(InquiryAnswer::Decline, state, out),
                FormKey::Pressed(FormButton::Cancel) => self.answer(InquiryAnswer::Cancel, state, out),
            },
            InquiryStep::Address(_) | InquiryStep::Roots { .. } => self.decide(key, state, out),
            InquiryStep::Sample(_) => self.sample_key(key, state, out),
        }
    }

    /// Yes and no, for what takes no form.
    fn decide(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        if let InquiryStep::Roots { scroll, .. } = &mut self.step
            && let Some(motion) = motion(key, true)
        {
            let list = state.layout.list;
            *scroll = scrolled(motion.row(*scroll, list.lines.max(1), list.page), 0, list);
            return Flow::Stay;
        }
        match (key.typed(), &self.step) {
            (Some('n'), _) => return self.answer(InquiryAnswer::Decline, state, out),
            (Some('y' | 's'), _) if key.repeat => self.refused = Some("a held key decides nothing"),
            (Some('y'), InquiryStep::Address(visit)) if !visit.host.is_empty() => {
                out.push(Effect::OpenPage { url: visit.url.clone() });
                return self.answer(InquiryAnswer::Accept(Map::new()), state, out);
            }
            (Some('y' | 's'), InquiryStep::Roots { end_seen: false, .. }) => {
                self.refused = Some("see the last of them first: {list.down} and {list.up} scroll");
            }
            (Some(key @ ('y' | 's')), InquiryStep::Roots { .. }) => {
                return self.answer(InquiryAnswer::Tell { lasting: key == 's' }, state, out);
            }
            (Some('c'), InquiryStep::Address(visit)) => {
                out.push(Effect::Copy { what: "the address", text: visit.url.clone() });
            }
            (_, InquiryStep::Roots { .. }) => {
                self.refused = Some(
                    "{question.yes}, {question.session} or {question.no}; esc declines; enter decides nothing here",
                )
            }
            _ => self.refused = Some("{question.yes} or {question.no}; esc cancels; enter decides nothing here"),
        }
        Flow::Stay
    }

    pub(super) fn answer(&mut self, answer: InquiryAnswer, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        state.inquiry = None;
        out.push(Effect::Order(Order::Answer { inquiry: self.inquiry.id, answer }));
        Flow::Close
    }
}
