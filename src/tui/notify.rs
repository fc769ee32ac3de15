//! Calling the person back, and the window's title: short texts beside the screen.

use std::io::{self, Write};

use crate::text::sanitize;

/// Kept below what any terminal shows of it.
const MOST: usize = 120;

/// A notification where the terminal shows them (OSC 9), and the bell where it does not. tmux hands the former on only
/// in an envelope, and only where its `allow-passthrough` is on.
pub(super) fn notify(text: &str, tmux: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(notification(text, tmux).as_bytes())?;
    out.flush()
}

fn notification(text: &str, tmux: bool) -> String {
    let text = plain(text);
    if tmux { format!("\x1bPtmux;\x1b\x1b]9;{text}\x07\x1b\\\x07") } else { format!("\x1b]9;{text}\x07\x07") }
}

/// Names the window (OSC 2).
pub(super) fn title(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "\x1b]2;{}\x07", plain(text))?;
    out.flush()
}

/// One line without controls, whatever a model or a server wrote into it.
fn plain(text: &str) -> String {
    sanitize(text).as_str().chars().filter(|c| !c.is_control()).take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_cannot_break_out() {
        for tmux in [false, true] {
            let hostile = notification("a\x07\x1b]52;c;aGk=\x07\x1b\\b\u{9c}", tmux);
            let frame = notification("", tmux);
            let controls = |text: &str| text.chars().filter(|c| c.is_control()).count();
            assert_eq!(controls(&hostile), controls(&frame), "{hostile:?}");
            assert!(hostile.ends_with("\x07"), "the bell rings last");
        }
    }

    #[test]
    fn tmux_gets_an_envelope_with_its_escapes_doubled() {
        assert_eq!(notification("hi", true), "\x1bPtmux;\x1b\x1b]9;hi\x07\x1b\\\x07");
    }
}
