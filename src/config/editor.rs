//! A text in `$VISUAL` or `$EDITOR`: for the screen, and for reviews in lines.

use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

use crate::chat::{Fault, FaultKind};

/// Opens a text in the person's editor and gives back what they saved. The terminal has been given back before.
///
/// # Errors
/// No file for it, no editor, or one that ended in failure: nothing was changed.
pub fn edit(text: &str, extension: &str) -> Result<String, Fault> {
    let failed = |error: io::Error| Fault::new(FaultKind::Internal, format!("no file for the editor: {error}"));
    // 0600 by tempfile, since a draft may hold anything.
    let mut file =
        tempfile::Builder::new().prefix("millrace-").suffix(&format!(".{extension}")).tempfile().map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.flush()).map_err(failed)?;
    open(file.path(), None)?;
    // Many editors write a new file in its place, so it is read by its path.
    std::fs::read_to_string(file.path()).map_err(failed)
}

/// Opens a file, at a line where the editor is known to take one.
///
/// # Errors
/// No editor, or one that ended in failure.
pub fn open(path: &Path, line: Option<usize>) -> Result<(), Fault> {
    let words = command();
    let Some((program, arguments)) = words.split_first() else {
        return Err(missing("$EDITOR is empty"));
    };
    let mut command = Command::new(program);
    command.args(arguments);
    if let Some(line) = line {
        command.arg(format!("+{line}"));
    }
    let status =
        command.arg(path).status().map_err(|error| missing(&format!("{program} could not be started: {error}")))?;
    if status.success() { Ok(()) } else { Err(missing(&format!("{program} ended with {status}; nothing was changed"))) }
}

fn missing(why: &str) -> Fault {
    Fault::new(FaultKind::Config, why).hint("Set VISUAL or EDITOR to the editor you want.")
}

/// `$VISUAL`, `$EDITOR`, else what is there. Split at blanks, as `EDITOR="code --wait"` wants; no shell.
fn command() -> Vec<String> {
    let set =
        ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok().filter(|text| !text.trim().is_empty()));
    match set {
        Some(text) => text.split_whitespace().map(str::to_owned).collect(),
        None => {
            let found = ["editor", "nano", "vim", "vi"].iter().find(|name| which::which(name).is_ok());
            vec![(*found.unwrap_or(&"vi")).to_owned()]
        }
    }
}
