//! Calling the person back, and the window's title: short texts beside the screen.
//!
//! Sources: iTerm2's OSC 9, urxvt's OSC 777, kitty's OSC 99.

use std::io::{self, Write};
use std::process::{Command, Stdio};

use crate::text::sanitize;

/// Kept below what any terminal shows of it.
const MOST: usize = 120;

/// How a person is called who looks elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calling {
    Osc9,
    Osc777,
    Osc99,
    Bell,
    /// OSC 9, which most of those that show notifications know, and the bell for those that do not.
    Either,
    Off,
}

/// Calls. tmux hands a notification on only in an envelope, and only where its `allow-passthrough` is on: it is asked,
/// and else rings its bell. Blocks for as long as tmux takes.
pub(super) fn call(text: &str, calling: Calling, tmux: bool) {
    let calling =
        if tmux && !matches!(calling, Calling::Bell | Calling::Off) && !passes() { Calling::Bell } else { calling };
    let bytes = notification(text, calling, tmux);
    if bytes.is_empty() {
        return;
    }
    let mut out = io::stdout().lock();
    // Nobody is there where it fails; the loop learns that by itself.
    let _ = out.write_all(bytes.as_bytes()).and_then(|()| out.flush());
}

/// tmux passes on what is in an envelope, in this pane.
fn passes() -> bool {
    let mut command = Command::new("tmux");
    command.args(["show-options", "-Apqv", "allow-passthrough"]).stdin(Stdio::null()).stderr(Stdio::null());
    command.output().is_ok_and(|output| matches!(output.stdout.trim_ascii(), b"on" | b"all"))
}

fn notification(text: &str, calling: Calling, tmux: bool) -> String {
    let text = plain(text);
    let sequence = match calling {
        Calling::Osc9 | Calling::Either => format!("\x1b]9;{text}\x07"),
        // Its fields end at semicolons.
        Calling::Osc777 => format!("\x1b]777;notify;millrace;{}\x07", text.replace(';', ",")),
        Calling::Osc99 => format!("\x1b]99;i=millrace:o=unfocused;{text}\x1b\\"),
        Calling::Bell | Calling::Off => String::new(),
    };
    let bell = if matches!(calling, Calling::Bell | Calling::Either) { "\x07" } else { "" };
    if tmux && !sequence.is_empty() {
        format!("\x1bPtmux;{}\x1b\\{bell}", sequence.replace('\x1b', "\x1b\x1b"))
    } else {
        sequence + bell
    }
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

    const ALL: [Calling; 6] =
        [Calling::Osc9, Calling::Osc777, Calling::Osc99, Calling::Bell, Calling::Either, Calling::Off];

    #[test]
    fn what_is_said_cannot_break_out() {
        for (calling, tmux) in ALL.into_iter().flat_map(|calling| [(calling, false), (calling, true)]) {
            let hostile = notification("a\x07\x1b]52;c;aGk=\x07\x1b\\b\u{9c};d", calling, tmux);
            let frame = notification("", calling, tmux);
            let controls = |text: &str| text.chars().filter(|c| c.is_control()).count();
            assert_eq!(controls(&hostile), controls(&frame), "{calling:?} {hostile:?}");
        }
        assert_eq!(notification("a;b", Calling::Osc777, false), "\x1b]777;notify;millrace;a,b\x07");
    }

    #[test]
    fn each_form_is_its_own_and_silence_is_silence() {
        assert_eq!(notification("hi", Calling::Osc9, false), "\x1b]9;hi\x07");
        assert_eq!(notification("hi", Calling::Either, false), "\x1b]9;hi\x07\x07");
        assert_eq!(notification("hi", Calling::Osc99, false), "\x1b]99;i=millrace:o=unfocused;hi\x1b\\");
        assert_eq!(notification("hi", Calling::Bell, true), "\x07");
        assert_eq!(notification("hi", Calling::Off, true), "");
    }

    #[test]
    fn tmux_gets_an_envelope_with_its_escapes_doubled() {
        assert_eq!(notification("hi", Calling::Either, true), "\x1bPtmux;\x1b\x1b]9;hi\x07\x1b\\\x07");
        assert_eq!(
            notification("hi", Calling::Osc99, true),
            "\x1bPtmux;\x1b\x1b]99;i=millrace:o=unfocused;hi\x1b\x1b\\\x1b\\"
        );
    }
}
