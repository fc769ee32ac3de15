//! Colours for code, a few lines a frame.
//!
//! Grammars are loaded when code is first seen, one frame later, so that no first frame waits for them.

use crate::syntax::{Class, Grammars, Position};
use crate::text::sanitize;
use crate::ui::ink::{Ink, Row, Tint};

/// Bytes of code that one frame colours at most: about four milliseconds.
const BUDGET: usize = 4 * 1024;

/// Where the grammar stands at a line's start.
#[derive(Debug)]
pub(super) enum LineState {
    Fresh,
    At(Position),
    /// There is no grammar, or the code is too large.
    Never,
}

impl PartialEq for LineState {
    fn eq(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Fresh, Self::Fresh) | (Self::Never, Self::Never) | (Self::At(_), Self::At(_)))
    }
}

#[derive(Debug, Default)]
pub(in crate::ui) struct Highlighter {
    grammars: Option<&'static Grammars>,
    /// Code was seen while there were no grammars.
    wanted: bool,
    budget: usize,
    /// Something was left for the next frame.
    pub(in crate::ui) left: bool,
}

impl Highlighter {
    pub(in crate::ui) fn begin_frame(&mut self) {
        if self.wanted && self.grammars.is_none() {
            self.grammars = Some(Grammars::get());
        }
        self.budget = BUDGET;
        self.left = false;
    }

    /// Whether nothing more is coloured in this frame; then there is more for the next.
    pub(super) fn spent(&mut self) -> bool {
        let spent = self.budget == 0 || (self.grammars.is_none() && self.wanted);
        self.left |= spent;
        spent
    }

    /// One line with its colours; None where it has to wait or there is no grammar (then `state` says so).
    pub(super) fn line(&mut self, language: &str, state: &mut LineState, line: &str) -> Option<Row> {
        let Some(grammars) = self.grammars else {
            self.wanted = true;
            self.left = true;
            return None;
        };
        if self.budget == 0 {
            self.left = true;
            return None;
        }
        self.budget = self.budget.saturating_sub(line.len() + 16);
        if let LineState::Fresh = state {
            *state = grammars.begin(language).map_or(LineState::Never, LineState::At);
        }
        let LineState::At(at) = state else { return None };
        let Some(pieces) = grammars.line(at, line) else {
            *state = LineState::Never;
            return None;
        };
        let mut row = Row::new();
        for (range, class) in pieces {
            row.push_safe(sanitize(&line[range]).as_str(), Tint::of(class.map_or(Ink::Text, ink)));
        }
        Some(row)
    }
}

fn ink(class: Class) -> Ink {
    match class {
        Class::Comment => Ink::Comment,
        Class::Literal => Ink::Literal,
        Class::Number => Ink::Number,
        Class::Function => Ink::Function,
        Class::Keyword => Ink::Keyword,
        Class::Type => Ink::Type,
        Class::Inserted => Ink::Good,
        Class::Deleted => Ink::Bad,
        Class::Heading => Ink::Accent,
    }
}
