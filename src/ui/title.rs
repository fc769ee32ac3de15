//! The title of the terminal's window: what is wanted, what goes on, what it is about. No moving sign, so that it is
//! written only when it says something else.

use super::theme::Theme;
use crate::app::State;
use crate::text::{cut, sanitize};

/// Columns of it: longer ones are cut by every window manager anyway.
const MOST: usize = 80;

/// `? needs you - a name`, `◌ working - a name`, or the name alone. Safe to write to a terminal.
#[must_use]
pub fn title(state: &State, theme: &Theme) -> String {
    let waits = state.inquiry.is_some()
        || state.calls.waiting().next().is_some()
        || state.elsewhere.iter().any(crate::app::Elsewhere::waits);
    let runs = state.transcript.turn.is_some() || state.elsewhere.iter().any(crate::app::Elsewhere::runs);
    let name = sanitize(&state.transcript.title.chars().take(MOST * 2).collect::<String>()).one_line();
    let name = match name.as_str().trim() {
        "" => "millrace",
        name => name,
    };
    let text = match (waits, runs) {
        (true, _) => format!("{} needs you - {name}", theme.glyphs.asks),
        (false, true) => format!("{} working - {name}", theme.glyphs.running),
        (false, false) => name.to_owned(),
    };
    cut(&text, MOST)
}
