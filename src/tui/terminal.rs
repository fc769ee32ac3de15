//! Entering and leaving the terminal.
//!
//! The bytes that undo everything are made before anything is done, so that any thread can write them at any time.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Alternate screen first, since the keyboard flags are kept per screen; then bracketed paste, focus events, and the
/// kitty keyboard protocol's first flag (escape codes told apart). Before all, the window's title is put by.
const ENTER: &str = "\x1b[22;2t\x1b[?1049h\x1b[?2004h\x1b[?1004h\x1b[>1u";
/// The same for the inline screen, which stays on the terminal's own.
const ENTER_INLINE: &str = "\x1b[22;2t\x1b[?2004h\x1b[?1004h\x1b[>1u";
/// To the alternate screen and back, with the keyboard flags that each has of its own.
const SWITCH: &str = "\x1b[?1049h\x1b[>1u";
const SWITCH_BACK: &str = "\x1b[<1u\x1b[?1049l";
/// Clicks, drags, and coordinates beyond 223 cells.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1002h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1003l\x1b[?1002l\x1b[?1000l";
/// The inverse of all that can be on, harmless where it is not: synchronised output, keyboard flags, mouse, focus,
/// paste, an open link, colours, the cursor's shape and visibility, the alternate screen, the title.
const LEAVE: &str = "\x1b[?2026l\x1b[<1u\x1b[?1006l\x1b[?1003l\x1b[?1002l\x1b[?1000l\x1b[?1004l\x1b[?2004l\x1b]8;;\x1b\\\x1b[0m\x1b[0 q\x1b[?25h\x1b[?1049l\x1b[23;2t";
/// The same where the alternate screen is not shown: to leave it would put the cursor where it once stood.
const LEAVE_INLINE: &str = "\x1b[?2026l\x1b[<1u\x1b[?1006l\x1b[?1003l\x1b[?1002l\x1b[?1000l\x1b[?1004l\x1b[?2004l\x1b]8;;\x1b\\\x1b[0m\x1b[0 q\x1b[?25h\x1b[23;2t";

/// Whether the terminal is ours and has to be given back.
static ENTERED: AtomicBool = AtomicBool::new(false);
/// The alternate screen is shown.
static ALTERNATE: AtomicBool = AtomicBool::new(false);
/// A thread has panicked: the loop ends.
static PANICKED: AtomicBool = AtomicBool::new(false);

#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    /// Contract section 1: exit 2.
    #[error("the chat screen needs a terminal. Without one: millrace run \"your question\"")]
    NoTerminal,
    #[error("the terminal could not be used: {0}")]
    Io(#[from] io::Error),
    #[error("a part of millrace failed; what was said is kept. Continue with: millrace -c")]
    Panicked,
}

impl TuiError {
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoTerminal => 2,
            Self::Io(_) | Self::Panicked => 1,
        }
    }
}

/// The terminal while it is ours; given back when dropped.
#[derive(Debug)]
pub(super) struct Raw(());

impl Raw {
    /// Enters raw mode and, but for the inline screen, the alternate one.
    pub(super) fn enter(mouse: bool, inline: bool) -> Result<Self, TuiError> {
        if !io::stdout().is_terminal() {
            return Err(TuiError::NoTerminal);
        }
        crossterm::terminal::enable_raw_mode()?;
        ENTERED.store(true, Ordering::SeqCst);
        let raw = Self(());
        let mut out = io::stdout().lock();
        ALTERNATE.store(!inline, Ordering::SeqCst);
        out.write_all(if inline { ENTER_INLINE } else { ENTER }.as_bytes())?;
        if mouse {
            out.write_all(MOUSE_ON.as_bytes())?;
        }
        out.flush()?;
        Ok(raw)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

pub(super) fn mouse(on: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(if on { MOUSE_ON } else { MOUSE_OFF }.as_bytes())?;
    out.flush()
}

pub(super) fn alternate() -> bool {
    ALTERNATE.load(Ordering::SeqCst)
}

/// Shows the alternate screen, or the terminal's own again.
pub(super) fn switch(alternate: bool) -> io::Result<()> {
    ALTERNATE.store(alternate, Ordering::SeqCst);
    let mut out = io::stdout().lock();
    out.write_all(if alternate { SWITCH } else { SWITCH_BACK }.as_bytes())?;
    out.flush()
}

/// Gives the terminal back, once. Safe from any thread, and where nothing was entered.
pub fn restore() {
    if ENTERED.swap(false, Ordering::SeqCst) {
        // Not through the lock of stdout: a panic may hold it.
        let alternate = ALTERNATE.swap(false, Ordering::SeqCst);
        let _ = write_straight(if alternate { LEAVE } else { LEAVE_INLINE }.as_bytes());
        let _ = crossterm::terminal::disable_raw_mode();
    }
}

/// The terminal has hung up: there is nothing to give back and nobody to write to.
pub(super) fn abandon() {
    ENTERED.store(false, Ordering::SeqCst);
}

#[cfg(unix)]
fn write_straight(bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = rustix::io::write(rustix::stdio::stdout(), rest)?;
        rest = &rest[written..];
    }
    Ok(())
}

#[cfg(not(unix))]
fn write_straight(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

pub(super) fn panicked() -> bool {
    PANICKED.load(Ordering::SeqCst)
}

/// From now on a panic in any thread gives the terminal back before it is printed.
pub(super) fn hook_panics() {
    static HOOKED: AtomicBool = AtomicBool::new(false);
    if HOOKED.swap(true, Ordering::SeqCst) {
        return;
    }
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICKED.store(true, Ordering::SeqCst);
        restore();
        before(info);
    }));
}

/// Stops this process group as ctrl+z does in a shell; returns when it goes on. The terminal has been given back.
#[cfg(unix)]
pub(super) fn suspend() -> io::Result<()> {
    rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)?;
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn suspend() -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no way to suspend"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_switched_on_is_switched_off() {
        for mode in ENTER.split("\x1b[").chain(MOUSE_ON.split("\x1b[")).filter(|mode| mode.ends_with('h')) {
            let off = format!("\x1b[{}l", mode.trim_end_matches('h'));
            assert!(LEAVE.contains(&off), "{mode} stays on");
        }
        assert!(LEAVE.contains("\x1b[<1u") && ENTER.ends_with("\x1b[>1u"));
        let (flags, screen) = (LEAVE.find("\x1b[<1u"), LEAVE.find("\x1b[?1049l"));
        assert!(flags < screen && screen.is_some(), "the keyboard flags belong to the alternate screen");
        assert!(ENTER.starts_with("\x1b[22;2t") && LEAVE.ends_with("\x1b[23;2t"), "the title is put back last");
    }

    #[test]
    fn without_a_terminal_the_other_way_is_named() {
        assert!(TuiError::NoTerminal.to_string().contains("millrace run"));
        assert_eq!(TuiError::NoTerminal.exit_code(), 2);
    }
}
