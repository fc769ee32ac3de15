//! Arguments, subcommands, exit codes.
//!
//! # Invariants
//! - Every way out has an exit code of the contract; a panic is 1.
//! - Only this module reads the environment and the command line.
//!
//! # Does not
//! Hold any logic of chat: it builds what the layers below need and hands over.

pub mod args;
pub mod completions;
pub mod config;
pub mod setup;

pub mod decode;

use std::process::ExitCode;

use crate::chat::{Fault, FaultKind};
use crate::text::sanitize;
use args::{Cli, Command};

/// Runs the program and says how it ended.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match args::parse(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors: clap prints them to stdout with 0.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(fault) => {
            report(&fault);
            ExitCode::from(fault.kind.exit_code())
        }
    }
}

/// One error, on stderr: what happened, and what to do next.
pub fn report(fault: &Fault) {
    let message = sanitize(&fault.message);
    let prefix = if message.as_str().starts_with("error: ") { "" } else { "error: " };
    eprintln!("{prefix}{message}");
    if let Some(hint) = &fault.hint {
        eprintln!("{}", sanitize(hint));
    }
}

fn run(cli: Cli) -> Result<u8, Fault> {
    match cli.command {
        None => absent("the chat screen"),
        Some(Command::Run(_)) => absent("run"),
        Some(Command::Demo(_)) => absent("demo"),
        Some(Command::DemoServer) => absent("demo-server"),
        Some(Command::History(_)) => absent("history"),
        Some(Command::Timeline(_)) => absent("timeline"),
        Some(Command::Replay(_)) => absent("replay"),
        Some(Command::Decode(_)) => absent("decode"),
        Some(Command::Mcp(_)) => absent("mcp"),
        Some(Command::Models(_)) => absent("models"),
        Some(Command::Doctor(_)) => absent("doctor"),
        Some(Command::Config(args)) => config::run(args),
        Some(Command::Completions { shell }) => {
            completions::completions(shell);
            Ok(0)
        }
        Some(Command::Man) => completions::man()
            .map(|()| 0)
            .map_err(|error| Fault::new(FaultKind::Internal, format!("cannot write the manual page: {error}"))),
    }
}

/// A command whose part of the program is not in this build.
fn absent(name: &str) -> Result<u8, Fault> {
    Err(Fault::new(FaultKind::Internal, format!("{name} is not built into this version")))
}
