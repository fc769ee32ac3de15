//! What is typed, read on a thread of its own.
//!
//! The loop only takes from a channel, and can end whatever becomes of the terminal. Where terminals speak in bytes they
//! are read and understood here ([`parse`]): the terminal library keeps the answers that are asked for to itself, waits
//! for ever for the rest of those that it does not know, and forgets keys that come while its reader is changed. Elsewhere
//! it is what reads the console.

#[cfg(not(unix))]
mod console;
mod parse;
#[cfg(unix)]
mod terminal;

pub(super) use parse::{Answer, Input};

#[cfg(not(unix))]
pub(super) use console::Keys;
#[cfg(unix)]
pub(super) use terminal::Keys;
