//! Whether the terminal's ground is dark or light: asked (OSC 11), and asked again when it may be another.
//!
//! Asked at the start, when the terminal comes to the front (a system that changes by the hour has changed by then),
//! after a suspension, and when the terminal says by itself that its colour scheme has changed (mode 2031): what it says
//! its ground is counts more than the scheme's name.

use std::time::{Duration, Instant};

/// Coming to the front asks at most this often.
const LEAST: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Backdrop {
    asked: Option<Instant>,
    /// Its ground is light, where the terminal has told.
    light: Option<bool>,
    /// It has told by an answer.
    answers: bool,
}

impl Backdrop {
    pub(super) fn light(&self) -> Option<bool> {
        self.light
    }

    /// Whether it is worth asking again only because the terminal came to the front: windows may be flicked through.
    pub(super) fn stale(&self, now: Instant) -> bool {
        self.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= LEAST)
    }

    pub(super) fn asked(&mut self, now: Instant) {
        self.asked = Some(now);
    }

    pub(super) fn answered(&mut self, light: bool) {
        (self.light, self.answers) = (Some(light), true);
    }

    /// The scheme is another. True where its ground has to be asked; a terminal that answers no such question has said
    /// all that it will.
    pub(super) fn turned(&mut self, light: bool) -> bool {
        if !self.answers {
            self.light = Some(light);
        }
        self.answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coming_to_the_front_asks_once_a_second_at_most() {
        let now = Instant::now();
        let backdrop = Backdrop { asked: Some(now), ..Backdrop::default() };
        assert!(Backdrop::default().stale(now));
        assert!(!backdrop.stale(now) && !backdrop.stale(now + LEAST / 2));
        assert!(backdrop.stale(now + LEAST));
    }

    #[test]
    fn a_scheme_is_believed_where_no_ground_was_told() {
        let mut backdrop = Backdrop::default();
        assert!(!backdrop.turned(true));
        assert_eq!(backdrop.light(), Some(true));
        backdrop.answered(false);
        assert!(backdrop.turned(true), "what the ground is now must be asked");
        assert_eq!(backdrop.light(), Some(false));
    }
}
