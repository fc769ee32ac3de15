//! What systems do differently about processes that run on by themselves.

use std::process::Command;

/// Whether a process can leave the terminal that it was started from.
pub const AVAILABLE: bool = cfg!(any(unix, windows));

/// Prepares a command so that its process is out of the terminal's reach.
#[cfg(unix)]
pub fn apart(_command: &mut Command) {
    // It leaves by itself, first of all: see [`leave_terminal`]. Whoever starts it waits for its word.
}

#[cfg(windows)]
pub fn apart(command: &mut Command) {
    use std::os::windows::process::CommandExt as _;
    /// Without a console, and not reached by the ctrl+c of another one.
    const DETACHED_PROCESS: u32 = 0x0000_0008;
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
    command.creation_flags(DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP);
}

#[cfg(not(any(unix, windows)))]
pub fn apart(_command: &mut Command) {}

/// Leaves the session of the terminal, so that its end and its keys are no longer this process's.
#[cfg(unix)]
pub fn leave_terminal() {
    // Refused only to the leader of a group, which a child that was just started is not.
    let _ = rustix::process::setsid();
}

#[cfg(not(unix))]
pub fn leave_terminal() {}
