//! What servers ask of the person, as the chat meets it: told, opened when nothing is in the way, over.

use std::sync::Arc;

use super::effect::Effect;
use super::overlay::{InquiryBox, Overlay};
use super::state::{Focus, State};
use crate::chat::{Inquiry, InquiryEnd, InquiryId, Stamp, TurnId};

/// A question of a server that is open.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The turn whose call waits for it, where that is known.
    pub turn: Option<TurnId>,
    pub inquiry: Arc<Inquiry>,
    /// When it was told of.
    pub told: Stamp,
}

impl State {
    pub(super) fn asked(&mut self, asked: Asked, out: &mut Vec<Effect>) {
        let server = asked.inquiry.server.as_str().to_owned();
        self.inquiry = Some(asked);
        self.call_person(format!("millrace: {server} asks you something"), out);
        // Else its dialogue opens at once.
        if !self.composer.is_empty() || !self.overlays.is_empty() || self.focus != Focus::Composer {
            self.say(format!("{server} asks you something: ^T answers"), out);
        }
    }

    /// Opens what a server asks. False where none does.
    pub(super) fn open_inquiry(&mut self) -> bool {
        let Some(Asked { turn, inquiry, told }) = self.inquiry.clone() else { return false };
        self.overlays.push(Overlay::Inquiry(Box::new(InquiryBox::new(turn, inquiry, told, self.now))));
        true
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
