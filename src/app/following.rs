//! A conversation that another millrace has: shown as it grows there, and ours once nobody has it any more.
//!
//! # Invariants
//! - Nothing is written or ordered from here, but for the end of a turn that runs by itself, at a person's word.
//! - What is being written here stays, and can be sent once the conversation is ours.
//! - Only the conversation on the screen is followed: to leave it is to let go of it.

use std::sync::Arc;

use super::branches::tell_path;
use super::effect::Effect;
use super::elsewhere::spoken;
use super::overlay::{Confirm, Confirmed, Overlay};
use super::state::State;
use super::status::Saved;
use super::transcript::Scroll;
use crate::chat::{AnswerState, Body, Conversation, Fault, Message, TurnEvent, TurnId};

/// What becomes of a conversation that is followed.
#[derive(Clone, Debug)]
pub enum FollowStep {
    /// A turn of it runs there. The conversation as it was when that began.
    Began { turn: TurnId, conversation: Box<Conversation> },
    /// What came of the turn.
    Events(Vec<TurnEvent>),
    /// No turn of it runs: all of it.
    Settled(Box<Conversation>),
    /// Nobody has it any more: it is ours.
    Ours(Box<Conversation>),
    /// It cannot be followed any further.
    Failed(Fault),
}

impl State {
    /// Follows what is on the screen, where another millrace has it.
    pub(super) fn follow_elsewhere(&mut self, out: &mut Vec<Effect>) {
        let Some(conversation) = self.transcript.conversation.clone().filter(|_| self.transcript.open_elsewhere) else {
            return;
        };
        let generation = self.session.fresh();
        self.following = Some(generation);
        out.push(Effect::Follow { generation, conversation });
    }

    /// Lets go of what is followed: it goes on there.
    pub(super) fn unfollow(&mut self, out: &mut Vec<Effect>) {
        if let Some(generation) = self.following.take() {
            // The turn is not ours to keep.
            self.transcript.turn = None;
            out.push(Effect::Unfollow { generation });
        }
    }

    /// The answer that is coming comes from another process.
    #[must_use]
    pub fn answered_elsewhere(&self) -> bool {
        self.following.is_some() && self.transcript.turn.is_some()
    }

    pub(super) fn followed(&mut self, generation: u64, step: FollowStep, out: &mut Vec<Effect>) {
        if self.following != Some(generation) {
            return;
        }
        match step {
            FollowStep::Began { turn, conversation } => {
                self.refresh(&conversation, out);
                self.watch(turn, false);
            }
            FollowStep::Events(events) => {
                for event in events {
                    self.engine_here(event, self.now, out);
                }
            }
            FollowStep::Settled(conversation) => {
                self.transcript.turn = None;
                self.refresh(&conversation, out);
            }
            FollowStep::Ours(conversation) => {
                self.following = None;
                self.transcript.turn = None;
                self.transcript.open_elsewhere = false;
                tell_path(&conversation.summary.id, &conversation.messages, out);
                self.refresh(&conversation, out);
                self.overlays.retain(|overlay| {
                    !matches!(overlay, Overlay::Confirm(Confirm { then: Confirmed::StopElsewhere(_), .. }))
                });
                self.say("the other millrace has let go of this conversation: you can write here", out);
            }
            FollowStep::Failed(fault) => {
                self.following = None;
                self.transcript.turn = None;
                self.fault_notice(&fault, out);
            }
        }
    }

    /// Shows the conversation as it is now. What is the same stays as it is, and where it was.
    fn refresh(&mut self, conversation: &Conversation, out: &mut Vec<Effect>) {
        self.transcript.title.clone_from(&conversation.summary.title);
        self.transcript.branches.read(conversation);
        let interrupted = conversation.summary.interrupted && !self.transcript.open_elsewhere;
        let path = &conversation.messages;
        let last = path.last().map(|last| spoken(path, &last.id));
        // What stands behind the last message tells how its turn ended.
        let same = self.transcript.entries.iter().rev().find_map(|entry| entry.message.as_ref()) == last;
        if !same || interrupted {
            self.lay_path(path, interrupted);
        }
        self.find_attached();
        self.panel.settle(&self.calls);
        self.measure_context(&conversation.messages, conversation.summary.tokens);
        self.ask_usage(out);
        self.status.saved = Saved::At(conversation.summary.updated);
        let gone = |key: u64| self.transcript.entry(key).is_none();
        let scrolled = match self.transcript.scroll {
            Scroll::Anchored(anchor) => Some(anchor.key),
            Scroll::Shown(spot) => Some(spot.key),
            Scroll::Follow => None,
        };
        let (follows, unchosen) = (scrolled.is_some_and(gone), self.transcript.selected.is_some_and(gone));
        if follows {
            self.transcript.scroll = Scroll::Follow;
        }
        if unchosen {
            self.transcript.choose(None);
        }
    }

    /// Asks before it stops what another process answers.
    pub(super) fn stop_elsewhere(&mut self) {
        let Some(conversation) = self.transcript.conversation.clone() else { return };
        self.overlays.push(Overlay::Confirm(Confirm::new(
            "Another millrace answers here. Stop it? What came is kept.",
            "stop it",
            Confirmed::StopElsewhere(conversation),
            self.now,
        )));
    }
}

/// How much of a path is whole where another process may be at its end: all up to the question that is being answered.
pub(super) fn whole_part(path: &[Arc<Message>]) -> usize {
    let whole = path.last().is_none_or(|last| match &last.body {
        Body::Assistant(answer) => answer.state == AnswerState::Complete && answer.calls.is_empty(),
        Body::User(_) | Body::Tool(_) => false,
    });
    match whole {
        true => path.len(),
        false => path.iter().rposition(|one| matches!(one.body, Body::User(_))).map_or(0, |at| at + 1),
    }
}
