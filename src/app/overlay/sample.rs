//! A server's request for an answer of the model: read, answered by the model, read again, and sent.
//!
//! # Invariants
//! - The model is asked, and its answer sent, only by a fresh `y` after the end of what it is about was on the screen.
//! - What goes to the server is what was shown: the model's words, or those that the person made of them.

use super::inquiry::{InquiryBox, InquiryStep};
use super::{DEAF_US, Flow, motion};
use crate::app::effect::{EditorUse, Effect};
use crate::app::inquiries::SampleStage;
use crate::app::key::{Key, KeyCode};
use crate::app::layout::SampleLayout;
use crate::app::state::State;
use crate::chat::{InquiryAnswer, Order, Question, Sample, Stamp};

/// How a text of it is read: the request, then the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SampleView {
    /// The first line that is shown.
    pub scroll: usize,
    /// The last lines are shown as they come.
    pub follow: bool,
    /// Its last line has been on the screen.
    pub end_seen: bool,
    /// Another number for each text.
    pub revision: u64,
}

impl SampleView {
    pub(in crate::app) fn new(revision: u64) -> Self {
        Self { revision, ..Self::default() }
    }

    pub(in crate::app) fn laid_out(&mut self, seen: &SampleLayout) {
        if seen.revision == self.revision {
            self.end_seen |= seen.end_visible;
            self.scroll = seen.top;
        }
    }

    pub(super) fn scroll_by(&mut self, by: isize, seen: Option<&SampleLayout>) {
        let last = seen.map_or(0, |seen| seen.lines.saturating_sub(seen.page));
        self.scroll = self.scroll.saturating_add_signed(by).min(last);
        self.follow = by > 0 && (self.follow || self.scroll == last);
    }
}

impl InquiryBox {
    /// Another text stands here: it is read from its beginning, or followed while it comes.
    pub(in crate::app) fn turned(&mut self, revision: u64, follow: bool, now: Stamp) {
        self.deaf_until_us = now.mono_us + DEAF_US;
        self.refused = None;
        self.step = InquiryStep::Sample(SampleView { follow, ..SampleView::new(revision) });
    }

    /// A key for a request of the model; esc was taken before.
    pub(super) fn sample_key(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        let InquiryStep::Sample(view) = &mut self.step else { return Flow::Stay };
        let seen = state.layout.sample.as_ref().filter(|seen| seen.revision == view.revision).cloned();
        let space = key.code == KeyCode::Char(' ');
        if space || motion(key, true).is_some() {
            let page = seen.as_ref().map_or(1, |seen| seen.page);
            let by = match motion(key, true) {
                Some(motion) => {
                    let lines = seen.as_ref().map_or(1, |seen| seen.lines.max(1));
                    let to = motion.row(view.scroll, lines, page);
                    isize::try_from(to).unwrap_or(isize::MAX).saturating_sub_unsigned(view.scroll)
                }
                None => isize::try_from(page.max(2) - 1).unwrap_or(1),
            };
            view.scroll_by(by, seen.as_ref());
            return Flow::Stay;
        }
        let left = match &seen {
            _ if view.end_seen => None,
            Some(seen) => Some(seen.lines.saturating_sub(seen.top + seen.page)),
            None => Some(0),
        };
        let Some(stage) = state.inquiry.as_ref().map(|asked| asked.stage.clone()) else { return Flow::Close };
        match (key.typed(), stage) {
            (Some('n'), _) => return self.answer(InquiryAnswer::Decline, state, out),
            (Some('y'), SampleStage::Answering { .. }) => {
                self.refused = Some("the model still answers; {question.no} declines");
            }
            (Some('y'), _) if key.repeat => self.refused = Some("a held key decides nothing"),
            (Some('y'), _) if left.is_some() => {
                self.refused = Some("{question.yes} works once the end has been on screen (space pages)");
            }
            (Some('y'), SampleStage::Request) => return self.ask_the_model(state, out),
            (Some('y'), SampleStage::Whole { reply, .. }) => {
                return self.answer(InquiryAnswer::Sample(reply), state, out);
            }
            (Some('e'), SampleStage::Whole { reply, .. }) => {
                let what = EditorUse::Sample { inquiry: self.inquiry.id };
                out.push(Effect::Editor { what, text: reply.text, extension: "md" });
            }
            (_, SampleStage::Request | SampleStage::Answering { .. } | SampleStage::Whole { .. }) => {
                self.refused = Some("{question.yes} or {question.no}; esc cancels; enter decides nothing here");
            }
        }
        Flow::Stay
    }

    fn ask_the_model(&mut self, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        if state.inquiry.as_ref().is_some_and(|asked| asked.moved) {
            self.refused = Some("you changed the endpoint since: {question.no}, and it can ask again");
            return Flow::Stay;
        }
        if self.sample().is_some_and(|sample| sample.model.is_none()) && state.session.settings.model.is_empty() {
            self.refused = Some("no model is chosen: esc, then /model");
            return Flow::Stay;
        }
        let settings = Box::new(state.session.settings.clone());
        out.push(Effect::Order(Order::Sample { inquiry: self.inquiry.id, settings }));
        let revision = state.session.fresh();
        if let Some(asked) = &mut state.inquiry {
            asked.stage = SampleStage::Answering { text: String::new(), thought: 0, began: state.now };
        }
        self.turned(revision, true, state.now);
        Flow::Stay
    }

    /// The request, where it is one.
    #[must_use]
    pub fn sample(&self) -> Option<&Sample> {
        match &self.inquiry.question {
            Question::Sample(sample) => Some(sample),
            Question::Form { .. } | Question::Address { .. } | Question::Roots(_) => None,
        }
    }
}
