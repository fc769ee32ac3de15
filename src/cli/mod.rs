//! Arguments, subcommands, exit codes.

pub mod decode;

use std::process::ExitCode;

/// Runs the program and says how it ended.
#[must_use]
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
