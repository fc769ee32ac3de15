//! Copying, and saying truthfully what became of it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;

use super::files;
use crate::app::{Copied, CopiedHow};

/// Most terminals take an OSC 52 sequence of 100,000 bytes; its text is base64.
const MOST: usize = 74_994;

/// What of the surroundings decides the way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings {
    /// Over ssh the system's clipboard is another machine's. `SSH_CONNECTION`, since tmux keeps `SSH_TTY` for ever.
    ssh: bool,
    tmux: bool,
}

impl Surroundings {
    pub(super) fn look() -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        Self { ssh: set("SSH_CONNECTION"), tmux: set("TMUX") }
    }

    pub(super) fn tmux(self) -> bool {
        self.tmux
    }

    pub(super) fn ssh(self) -> bool {
        self.ssh
    }
}

/// Blocks for as long as the system's clipboard does: not for the event loop.
/// What no clipboard takes goes to a new file in `folder`.
pub(super) fn copy(what: &'static str, text: &str, around: Surroundings, folder: &Path) -> Copied {
    let mut how = None;
    if !around.ssh && native(text).is_ok() {
        how = Some(CopiedHow::Clipboard);
    }
    if how.is_none() && around.tmux && tmux(text) {
        how = Some(CopiedHow::Tmux);
    }
    let how = how.unwrap_or_else(|| {
        let instead = || {
            let name = what.strip_prefix("the ").unwrap_or(what).replace(' ', "-");
            files::save(folder, &format!("millrace-{name}"), "txt", text.as_bytes())
                .map(|path| path.display().to_string())
        };
        if text.len() > MOST {
            return CopiedHow::TooLong { bytes: text.len(), most: MOST, file: instead() };
        }
        match through_terminal(text) {
            Ok(()) => CopiedHow::Terminal,
            Err(error) => CopiedHow::Failed { why: error.to_string(), file: instead() },
        }
    });
    Copied { what, how }
}

/// The system's own clipboard. On a desktop without one this fails.
#[cfg(not(target_os = "android"))]
fn native(text: &str) -> Result<(), arboard::Error> {
    use std::sync::Mutex;
    // X11 and Wayland serve a selection only as long as its owner lives.
    static OWNER: Mutex<Option<arboard::Clipboard>> = Mutex::new(None);
    let mut owner = OWNER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut clipboard = match owner.take() {
        Some(clipboard) => clipboard,
        None => arboard::Clipboard::new()?,
    };
    clipboard.set_text(text.to_owned())?;
    *owner = Some(clipboard);
    Ok(())
}

#[cfg(target_os = "android")]
fn native(_text: &str) -> Result<(), std::io::Error> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Into tmux's buffer, and with `-w` on to its terminal.
fn tmux(text: &str) -> bool {
    let child = Command::new("tmux")
        .args(["load-buffer", "-w", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return false };
    let written = child.stdin.take().is_some_and(|mut stdin| stdin.write_all(text.as_bytes()).is_ok());
    child.wait().is_ok_and(|status| status.success()) && written
}

fn through_terminal(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(osc52(text).as_bytes())?;
    out.flush()
}

fn osc52(text: &str) -> String {
    format!("\x1b]52;c;{}\x07", base64::engine::general_purpose::STANDARD.encode(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_text_fits_the_terminals_limit() {
        assert!(osc52(&"x".repeat(MOST)).len() <= 100_000);
        assert_eq!(osc52("hi\x1b"), "\x1b]52;c;aGkb\x07");
    }
}
