//! Questions that only a person answers: a server's first start, and what is hard to undo.

use crate::app::command::Command;
use crate::chat::ServerName;

/// `Start "files"? This program will run as you: npx -y … in ~/src   [n] not now  [y] start  [A] start from now on`
#[derive(Clone, Debug)]
pub struct Consent {
    pub server: ServerName,
    /// The exact command or address; raw.
    pub line: String,
    pub deaf_until_us: u64,
    pub refused: Option<&'static str>,
}

/// One question with yes and no.
#[derive(Clone, Debug)]
pub struct Confirm {
    /// Raw.
    pub question: String,
    /// What `y` does, in two or three words.
    pub yes: &'static str,
    pub command: Command,
    pub deaf_until_us: u64,
}
