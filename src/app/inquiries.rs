//! What servers ask of the person, as the chat meets it: told, opened when nothing is in the way, over.

use std::sync::Arc;

use super::effect::Effect;
use super::overlay::{InquiryBox, Overlay};
use super::state::{Focus, State};
use crate::chat::{Inquiry, InquiryEnd, InquiryId, Question, SampleReply, SampleStep, Stamp, TurnId, Usage};

/// A question of a server that is open.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The turn whose call waits for it, where that is known.
    pub turn: Option<TurnId>,
    pub inquiry: Arc<Inquiry>,
    /// When it was told of.
    pub told: Stamp,
    /// How far a request for an answer of the model is; of another question it stays what it is.
    pub stage: SampleStage,
    /// It asks for an answer of the screen's model, and the endpoint was changed since: no model is asked.
    pub moved: bool,
}

/// How far a request for an answer of the model is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum SampleStage {
    /// A person reads it.
    #[default]
    Request,
    /// The model answers.
    Answering {
        text: String,
        /// Bytes of reasoning that came.
        thought: u64,
        began: Stamp,
    },
    /// A person reads the answer, which nobody else has seen.
    Whole {
        reply: SampleReply,
        usage: Usage,
        /// It is no longer in the model's words.
        edited: bool,
    },
}

impl Asked {
    pub(super) fn new(turn: Option<TurnId>, inquiry: Arc<Inquiry>, told: Stamp) -> Self {
        Self { turn, inquiry, told, stage: SampleStage::Request, moved: false }
    }
}

impl State {
    pub(super) fn asked(&mut self, asked: Asked, out: &mut Vec<Effect>) {
        let server = asked.inquiry.server.as_str().to_owned();
        self.inquiry = Some(asked);
        let asks = format!("{server} asks you something");
        self.call_person(&asks, asks.clone(), out);
        // Else its dialogue opens at once.
        if !self.composer.is_empty() || !self.overlays.is_empty() || self.focus != Focus::Composer {
            self.say(format!("{server} asks you something: {{app.tools}} answers"), out);
        }
    }

    /// Opens what a server asks. False where none does.
    pub(super) fn open_inquiry(&mut self) -> bool {
        let Some(Asked { turn, inquiry, told, stage, moved: _ }) = self.inquiry.clone() else { return false };
        let revision = self.session.fresh();
        let mut open = InquiryBox::new(turn, inquiry, told, self.now, revision);
        if let SampleStage::Answering { .. } = stage {
            open.turned(revision, true, self.now);
        }
        self.overlays.push(Overlay::Inquiry(Box::new(open)));
        true
    }

    /// Turns ask another endpoint from now on. What is open was shown with the old one, which the screen's model may not
    /// be at.
    pub(super) fn inquiry_moved(&mut self) {
        let Some(asked) = &mut self.inquiry else { return };
        if let Question::Sample(sample) = &asked.inquiry.question {
            asked.moved |= sample.model.is_none() && asked.stage == SampleStage::Request;
        }
    }

    /// The model gets on with its answer to a server. Of a question that is over nothing counts any more.
    pub(super) fn sampled(&mut self, id: InquiryId, step: SampleStep, at: Stamp, out: &mut Vec<Effect>) {
        let Some(asked) = self.inquiry.as_mut().filter(|asked| asked.inquiry.id == id) else { return };
        match (step, &mut asked.stage) {
            (SampleStep::Text(more), SampleStage::Answering { text, .. }) => text.push_str(&more),
            (SampleStep::Thinking(more), SampleStage::Answering { thought, .. }) => *thought += more,
            (SampleStep::Whole { reply, usage }, stage) => {
                *stage = SampleStage::Whole { reply, usage, edited: false };
                let server = asked.inquiry.server.as_str().to_owned();
                self.read_anew(id, at);
                let there = format!("the answer for {server} is there");
                self.call_person(&there, there.clone(), out);
            }
            // Nobody asked the model for it.
            (SampleStep::Text(_) | SampleStep::Thinking(_), SampleStage::Request | SampleStage::Whole { .. }) => {}
        }
    }

    /// The person has another answer in mind: it is read again before it is sent.
    pub(super) fn sample_edited(&mut self, id: InquiryId, text: &str) {
        let Some(asked) = self.inquiry.as_mut().filter(|asked| asked.inquiry.id == id) else { return };
        if let SampleStage::Whole { reply, edited, .. } = &mut asked.stage
            && reply.text.trim_end() != text.trim_end()
        {
            (reply.text, *edited) = (text.trim_end().to_owned(), true);
            self.read_anew(id, self.now);
        }
    }

    fn read_anew(&mut self, id: InquiryId, now: Stamp) {
        let revision = self.session.fresh();
        for overlay in &mut self.overlays {
            if let Overlay::Inquiry(open) = overlay
                && open.inquiry.id == id
            {
                open.turned(revision, false, now);
            }
        }
    }

    /// A question is over: its dialogue closes, and says why where nobody answered it.
    pub(super) fn inquiry_ended(&mut self, id: InquiryId, end: InquiryEnd, out: &mut Vec<Effect>) {
        let waiting = self.inquiry.take_if(|asked| asked.inquiry.id == id);
        self.overlays.retain(|overlay| !matches!(overlay, Overlay::Inquiry(open) if open.inquiry.id == id));
        if let (Some(asked), Some(message)) = (waiting, end.message()) {
            self.say(format!("{} {message}", asked.inquiry.server.as_str()), out);
        }
    }
}
