//! Arguments, subcommands, exit codes.
//!
//! # Invariants
//! - Every way out has an exit code of the contract; a panic is 1.
//! - Only this module reads the environment and the command line.
//!
//! # Does not
//! Hold any logic of chat: it builds what the layers below need and hands over.

pub mod args;
pub mod attach;
pub mod boot;
pub mod completions;
pub mod config;
pub mod decode;
pub mod demo;
pub mod detached;
pub mod doctor;
pub mod endpoint;
pub mod exchange;
pub mod history;
mod import;
pub mod log;
pub mod mcp;
pub mod models;
pub mod once;
pub mod past;
mod plain;
mod provoke;
pub mod record;
mod removal;
pub mod replay;
pub mod run;
pub mod screen;
pub mod secrets;
pub mod session;
pub mod setup;
mod theme;
pub mod timeline;
mod window;

use std::process::ExitCode;

use crate::chat::{Fault, FaultKind};
use crate::store::Store;
use crate::text::sanitize;
use args::{Cli, Command};

/// Runs the program and says how it ended.
#[must_use]
pub fn main() -> ExitCode {
    let _ = crate::engine::live::process_began();
    let cli = match args::parse(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors: clap prints them to stdout with 0.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(cli))) {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(fault)) => {
            report(&fault);
            ExitCode::from(fault.kind.exit_code())
        }
        // The hook has told it.
        Err(_) => ExitCode::from(FaultKind::Internal.exit_code()),
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

/// Leaves the store in good order; what could not be saved until now never will be, and is said on stderr.
pub(crate) async fn close(store: Option<Store>) {
    let Some(store) = store else { return };
    if let Err(error) = store.close().await {
        let said = format!("The end of this could not be saved: {error}");
        eprintln!("{}", sanitize(&said).one_line());
    }
}

fn run(cli: Cli) -> Result<u8, Fault> {
    start_log(&cli)?;
    match cli.command {
        None => screen::run(&cli.session),
        Some(Command::Run(args)) => once::run(&args),
        Some(Command::Attach(args)) => attach::run(&args),
        Some(Command::Demo(args)) if args.output.form().is_some() => demo::headless(&args),
        Some(Command::Demo(args)) => screen::demo(&args),
        Some(Command::DemoServer) => demo::server(),
        Some(Command::Watchdog) => {
            crate::mcp::watchdog::watch(std::io::stdin().lock());
            Ok(0)
        }
        Some(Command::History(args)) => past::history(args),
        Some(Command::Timeline(args)) => past::timeline(args),
        Some(Command::Replay(args)) => replay::run(&args),
        Some(Command::Decode(args)) => decode::run(&args),
        Some(Command::Mcp(args)) => mcp::run(args),
        Some(Command::Models(args)) => models::run(&args),
        Some(Command::Doctor(args)) => doctor::run(&args),
        Some(Command::Config(args)) => config::run(args),
        Some(Command::Completions { shell }) => written(completions::completions(shell)),
        Some(Command::Man) => written(completions::man()),
    }
}

/// The log, where it was asked for; `run` starts it by itself, since its errors have a form of their own.
fn start_log(cli: &Cli) -> Result<(), Fault> {
    let args = match &cli.command {
        None => cli.session.log.clone(),
        Some(Command::Demo(args)) => args.log.clone(),
        Some(
            Command::History(_) | Command::Timeline(_) | Command::Mcp(_) | Command::Models(_) | Command::Doctor(_),
        ) => args::LogArgs::default(),
        Some(
            Command::Run(_)
            | Command::Attach(_)
            | Command::DemoServer
            | Command::Watchdog
            | Command::Replay(_)
            | Command::Decode(_)
            | Command::Config(_)
            | Command::Completions { .. }
            | Command::Man,
        ) => return Ok(()),
    };
    let env = setup::environment();
    let paths = setup::paths(&env)?;
    log::start(&args, &env, &paths)
}

/// A reader that stops reading is no fault.
pub(crate) fn written(result: std::io::Result<()>) -> Result<u8, Fault> {
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Fault::new(FaultKind::Internal, format!("cannot write to stdout: {error}")))
        }
        Ok(()) | Err(_) => Ok(0),
    }
}
