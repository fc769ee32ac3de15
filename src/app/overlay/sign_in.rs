//! Signing in to a server: what a person decides on, and where they paste the answer.
//!
//! # Invariants
//! - The page is opened by its own key alone, once the offer has been on the screen: never by enter, space, a paste or
//!   the mouse.
//! - A pasted answer is sent by enter, so that a stray paste is seen first; it is masked, for it is worth a token.

use std::sync::Arc;

use super::{DEAF_US, Flow, motion, scrolled};
use crate::app::command::Command;
use crate::app::effect::Effect;
use crate::app::key::{Key, KeyCode};
use crate::app::keymap::{Lookup, Place};
use crate::app::line::LineEdit;
use crate::app::state::State;
use crate::chat::{NoticeKind, Order, Pasted, ServerName, SignInOffer, SignInStage, SignInStep, Stamp};

#[derive(Clone, Debug)]
pub struct SignInBox {
    pub server: ServerName,
    pub stage: SignInStage,
    /// Where the address goes that the browser ended on.
    pub line: LineEdit,
    pub typing: bool,
    /// What is to be said of the last thing that was done; raw.
    pub note: Option<String>,
    pub scroll: usize,
    pub deaf_until_us: u64,
}

impl SignInBox {
    /// Begins a sign-in: the order goes out with it.
    pub(super) fn begin(server: ServerName, now: Stamp, out: &mut Vec<Effect>) -> Self {
        out.push(order(&server, SignInStep::Begin));
        Self {
            server,
            stage: SignInStage::Asking,
            line: LineEdit::masked(),
            typing: false,
            note: None,
            scroll: 0,
            deaf_until_us: now.mono_us + DEAF_US,
        }
    }

    /// What a person is deciding on.
    #[must_use]
    pub fn offer(&self) -> Option<&Arc<SignInOffer>> {
        match &self.stage {
            SignInStage::Offered(offer) => Some(offer),
            SignInStage::Asking
            | SignInStage::NotIt(_)
            | SignInStage::Redeeming
            | SignInStage::Done { .. }
            | SignInStage::Failed { .. }
            | SignInStage::Out(_) => None,
        }
    }

    fn hear(&mut self, stage: SignInStage, now: Stamp) {
        match stage {
            SignInStage::NotIt(why) => self.note = Some(format!("that was not it: {why}")),
            stage => {
                self.note = None;
                self.scroll = 0;
                self.deaf_until_us = now.mono_us + DEAF_US;
                self.stage = stage;
            }
        }
        // What was pasted is spent.
        self.line.clear();
        self.typing = false;
    }

    pub(super) fn paste(&mut self, text: &str) {
        if self.offer().is_some() {
            self.line.clear();
            self.line.insert(text.trim());
            self.typing = true;
            self.note = Some("enter hands it over".to_owned());
        }
    }

    pub(super) fn key(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        let place = state.keymap.look(Place::Global, None, key);
        if matches!(place, Lookup::Command(Command::Redraw | Command::Suspend | Command::Mouse)) {
            return Flow::Pass;
        }
        let leaves = key.code == KeyCode::Esc || matches!(place, Lookup::Command(Command::Interrupt));
        if self.typing && !leaves {
            return self.type_in(key, out);
        }
        if self.typing {
            self.typing = false;
            self.line.clear();
            self.note = None;
            return Flow::Stay;
        }
        if let Some(motion) = motion(key, true) {
            let list = state.layout.list;
            self.scroll = scrolled(motion.row(self.scroll, list.lines.max(1), list.page), 0, list);
            return Flow::Stay;
        }
        match &self.stage {
            SignInStage::Asking | SignInStage::Redeeming | SignInStage::NotIt(_) if leaves => self.call_off(out),
            SignInStage::Offered(_) if leaves => self.call_off(out),
            SignInStage::Offered(offer) => {
                let url = offer.url.clone();
                self.decide(key, url, state, out)
            }
            SignInStage::Failed { .. } if key.typed() == Some('r') => {
                *self = Self::begin(self.server.clone(), state.now, out);
                Flow::Stay
            }
            SignInStage::Done { .. } | SignInStage::Failed { .. } | SignInStage::Out(_)
                if leaves || key.code == KeyCode::Enter =>
            {
                Flow::Close
            }
            SignInStage::Asking
            | SignInStage::Redeeming
            | SignInStage::NotIt(_)
            | SignInStage::Done { .. }
            | SignInStage::Failed { .. }
            | SignInStage::Out(_) => Flow::Stay,
        }
    }

    fn decide(&mut self, key: Key, url: String, state: &State, out: &mut Vec<Effect>) -> Flow {
        if key.repeat || state.now.mono_us < self.deaf_until_us {
            self.deaf_until_us = state.now.mono_us + DEAF_US;
            self.note = Some("too early: keys count 0.35 s after the last one".to_owned());
            return Flow::Stay;
        }
        self.note = None;
        match key.typed() {
            Some('o') => {
                self.note = Some("opening it; the browser comes back here by itself".to_owned());
                out.push(Effect::OpenPage { url });
            }
            Some('y') => {
                self.note = Some("copied; where the browser ends, {sign_in.paste} takes that address".to_owned());
                out.push(Effect::Copy { what: "the address", text: url });
            }
            Some('p') => self.typing = true,
            _ => {
                self.note = Some(
                    "{sign_in.open} opens the page, {sign_in.copy} copies its address; enter does neither".to_owned(),
                )
            }
        }
        Flow::Stay
    }

    fn type_in(&mut self, key: Key, out: &mut Vec<Effect>) -> Flow {
        if key.code != KeyCode::Enter {
            self.line.key(key);
            return Flow::Stay;
        }
        let text = self.line.text.trim().to_owned();
        self.line.clear();
        self.typing = false;
        if text.is_empty() {
            self.note = None;
        } else {
            self.note = Some("looking at it…".to_owned());
            out.push(order(&self.server, SignInStep::Answer(Pasted(text))));
        }
        Flow::Stay
    }

    fn call_off(&self, out: &mut Vec<Effect>) -> Flow {
        out.push(order(&self.server, SignInStep::Cancel));
        Flow::Close
    }
}

pub(super) fn order(server: &ServerName, step: SignInStep) -> Effect {
    Effect::Order(Order::SignIn { server: server.clone(), step })
}

impl State {
    /// A sign-in got on: its own layer tells, or a notice where that was closed.
    pub(in crate::app) fn sign_in(&mut self, server: &ServerName, stage: SignInStage, out: &mut Vec<Effect>) {
        let now = self.now;
        for overlay in &mut self.overlays {
            if let super::Overlay::SignIn(open) = overlay
                && open.server == *server
            {
                return open.hear(stage, now);
            }
        }
        let text = match stage {
            SignInStage::Done { remark, .. } => {
                Some(remark.map_or("signed in".to_owned(), |r| format!("signed in; {r}")))
            }
            SignInStage::Failed { message, .. } => Some(message),
            SignInStage::Out(message) => Some(message),
            SignInStage::Asking | SignInStage::Offered(_) | SignInStage::NotIt(_) | SignInStage::Redeeming => None,
        };
        if let Some(text) = text {
            self.notice(NoticeKind::Server, format!("{}: {text}", server.as_str()), out);
        }
    }

    /// A browser could not be started.
    pub(in crate::app) fn page_failed(&mut self, why: &str, out: &mut Vec<Effect>) {
        let text = format!("no browser was started ({why}); {{sign_in.copy}} copies the address");
        for overlay in &mut self.overlays {
            if let super::Overlay::SignIn(open) = overlay {
                open.note = Some(text);
                return;
            }
        }
        self.say(format!("no browser was started ({why})"), out);
    }
}
