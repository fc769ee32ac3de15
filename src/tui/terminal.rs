//! Entering and leaving the terminal.
//!
//! The bytes that undo everything are made before anything is done, so that any thread can write them at any time.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Duration;

use tokio::sync::watch;

/// Alternate screen first, since keyboard flags are kept per screen; then bracketed paste, focus events, and reports of
/// another colour scheme. Before all, the window's title is put by.
const ENTER: &str = "\x1b[22;2t\x1b[?1049h\x1b[?2004h\x1b[?1004h\x1b[?2031h";
/// The same for the inline screen, which stays on the terminal's own.
const ENTER_INLINE: &str = "\x1b[22;2t\x1b[?2004h\x1b[?1004h\x1b[?2031h";
/// To the alternate screen and back.
const SWITCH: &str = "\x1b[?1049h";
const SWITCH_BACK: &str = "\x1b[?1049l";
/// Whether it knows kitty's keyboard protocol.
const ASK_KEYBOARD: &str = "\x1b[?u";
/// What its ground is.
const ASK_GROUND: &str = "\x1b]11;?\x1b\\";
/// Its attributes (DA1), which every terminal tells: behind them no answer to what was asked before comes any more.
const ASK_ATTRIBUTES: &str = "\x1b[c";
/// Kitty's first flag: escape codes told apart. The one before is put by, on each screen of its own.
const KITTY_ON: &str = "\x1b[>1u";
const KITTY_OFF: &str = "\x1b[<1u";
/// xterm's way for others: keys that had no code of their own get one. Back to what the person configured.
const OTHER_ON: &str = "\x1b[>4;1m";
const OTHER_OFF: &str = "\x1b[>4m";
/// Clicks, drags, and coordinates beyond 223 cells.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1002h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1003l\x1b[?1002l\x1b[?1000l";
/// The inverse of all that can be on, harmless where it is not: synchronised output, mouse, focus, paste,
/// reports, an open link, colours, the cursor's shape and visibility, the alternate screen, the title.
const LEAVE: &str = "\x1b[?2026l\x1b[?1006l\x1b[?1003l\x1b[?1002l\x1b[?1000l\x1b[?1004l\x1b[?2004l\x1b[?2031l\x1b]8;;\x1b\\\x1b[0m\x1b[0 q\x1b[?25h\x1b[?1049l\x1b[23;2t";
/// The same where the alternate screen is not shown: to leave it would put the cursor where it once stood.
const LEAVE_INLINE: &str = "\x1b[?2026l\x1b[?1006l\x1b[?1003l\x1b[?1002l\x1b[?1000l\x1b[?1004l\x1b[?2004l\x1b[?2031l\x1b]8;;\x1b\\\x1b[0m\x1b[0 q\x1b[?25h\x1b[23;2t";

/// Whether the terminal is ours and has to be given back.
static ENTERED: AtomicBool = AtomicBool::new(false);
/// The alternate screen is shown.
static ALTERNATE: AtomicBool = AtomicBool::new(false);
/// Held while a frame is written.
static FRAME: Mutex<()> = Mutex::new(());
/// How keys are told, as [`Keyboard`] numbers it.
static KEYBOARD: AtomicU8 = AtomicU8::new(Keyboard::Plain as u8);

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

/// How the terminal tells keys, once it has said what it knows; until then, and where it says nothing, as ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Keyboard {
    Plain,
    /// Kitty's protocol.
    Kitty,
    /// xterm's `modifyOtherKeys`.
    Other,
}

impl Keyboard {
    fn now() -> Self {
        match KEYBOARD.load(Ordering::SeqCst) {
            1 => Self::Kitty,
            2 => Self::Other,
            _ => Self::Plain,
        }
    }

    fn on(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Kitty => KITTY_ON,
            Self::Other => OTHER_ON,
        }
    }

    fn off(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Kitty => KITTY_OFF,
            Self::Other => OTHER_OFF,
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
        // What it has said before still holds.
        out.write_all(Keyboard::now().on().as_bytes())?;
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

/// Asks the terminal what it is. Its answers come among the keys, the attributes last; nothing waits for them. True
/// where it was asked.
#[cfg(unix)]
pub(super) fn ask(keyboard: bool, ground: bool) -> io::Result<bool> {
    let (keyboard, ground) = (if keyboard { ASK_KEYBOARD } else { "" }, if ground { ASK_GROUND } else { "" });
    write_now(&format!("{keyboard}{ground}{ASK_ATTRIBUTES}"))?;
    Ok(true)
}

/// Consoles that tell keys as records have all of them, and what else they answer would come as if it were typed.
#[cfg(not(unix))]
pub(super) fn ask(_keyboard: bool, _ground: bool) -> io::Result<bool> {
    Ok(false)
}

/// The terminal has said what it knows: keys are told so from now on, until it is given back. The first word counts: the
/// attributes come behind every other answer.
pub(super) fn tell_keys(keyboard: Keyboard) -> io::Result<()> {
    if Keyboard::now() != Keyboard::Plain {
        return Ok(());
    }
    KEYBOARD.store(keyboard as u8, Ordering::SeqCst);
    write_now(keyboard.on())
}

fn write_now(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

pub(super) fn alternate() -> bool {
    ALTERNATE.load(Ordering::SeqCst)
}

/// Shows the alternate screen, or the terminal's own again.
pub(super) fn switch(alternate: bool) -> io::Result<()> {
    ALTERNATE.store(alternate, Ordering::SeqCst);
    // Kitty's flags belong to a screen.
    let kitty = Keyboard::now() == Keyboard::Kitty;
    let (on, off) = if kitty { (KITTY_ON, KITTY_OFF) } else { ("", "") };
    write_now(&if alternate { format!("{SWITCH}{on}") } else { format!("{off}{SWITCH_BACK}") })
}

/// Writes a frame whole, as long as the terminal is ours: what another thread gave back is drawn on no more.
pub(super) fn frame(bytes: &[u8]) -> io::Result<()> {
    let _whole = FRAME.lock().unwrap_or_else(PoisonError::into_inner);
    if !ENTERED.load(Ordering::SeqCst) {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Waits for a frame that is being written, for a moment: its writer may be what panics, or be held up for ever.
fn frame_written() -> Option<MutexGuard<'static, ()>> {
    (0..20).find_map(|_| match FRAME.try_lock() {
        Ok(whole) => Some(whole),
        Err(TryLockError::Poisoned(whole)) => Some(whole.into_inner()),
        Err(TryLockError::WouldBlock) => {
            std::thread::sleep(Duration::from_millis(5));
            None
        }
    })
}

/// Gives the terminal back, once. Safe from any thread, and where nothing was entered.
pub fn restore() {
    if ENTERED.swap(false, Ordering::SeqCst) {
        let _whole = frame_written();
        // Not through the lock of stdout: a panic may hold it.
        let alternate = ALTERNATE.swap(false, Ordering::SeqCst);
        let _ = write_straight(Keyboard::now().off().as_bytes());
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

/// True once a thread has panicked: the loop ends, and draws no more.
pub(super) fn panics() -> &'static watch::Sender<bool> {
    static PANICS: OnceLock<watch::Sender<bool>> = OnceLock::new();
    PANICS.get_or_init(|| watch::Sender::new(false))
}

pub(super) fn panicked() -> bool {
    *panics().borrow()
}

/// From now on a panic in any thread gives the terminal back before it is printed.
pub(super) fn hook_panics() {
    static HOOKED: AtomicBool = AtomicBool::new(false);
    if HOOKED.swap(true, Ordering::SeqCst) {
        return;
    }
    // Made now: a panic makes nothing.
    panics();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        // First, so that nothing is drawn over what is told.
        panics().send_replace(true);
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
        for keyboard in [Keyboard::Kitty, Keyboard::Other] {
            assert!(keyboard.on().starts_with("\x1b[>") && !keyboard.off().is_empty());
        }
        assert!(ENTER.starts_with("\x1b[22;2t") && LEAVE.ends_with("\x1b[23;2t"), "the title is put back last");
    }

    #[test]
    fn without_a_terminal_the_other_way_is_named() {
        assert!(TuiError::NoTerminal.to_string().contains("millrace run"));
        assert_eq!(TuiError::NoTerminal.exit_code(), 2);
    }
}
