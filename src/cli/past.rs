//! `millrace history` and `millrace timeline`, from the command line to their answers.

use std::io::{self, IsTerminal as _, Write as _};

use crate::chat::{Fault, Limits};
use crate::export::Showing;

use super::args::{HistoryArgs, HistoryCommand, SessionArgs, TimelineArgs};
use super::exchange::Export;
use super::history::{self, Ask, Command, Terminal};
use super::import::Import;
use super::removal::Removal;
use super::setup::{self, Setup};
use super::{once, secrets, timeline as drawing, window};

/// Columns where there is no terminal to ask.
const WIDTH: usize = 100;
/// Fewer are not drawn for.
const LEAST: usize = 20;

/// Runs `millrace history`.
///
/// # Errors
/// Where there are no folders, or no runtime.
pub fn history(args: HistoryArgs) -> Result<u8, Fault> {
    let command = match args.command.unwrap_or(HistoryCommand::List { deleted: false }) {
        HistoryCommand::List { deleted } => Command::List { deleted },
        HistoryCommand::Search { query } => Command::Search { query: query.join(" ") },
        HistoryCommand::Show { id } => Command::Show { id },
        HistoryCommand::Export {
            id,
            output,
            format,
            all_branches,
            share,
            with_arguments,
            with_results,
            with_attachments,
            with_reasoning,
            with_system,
        } => {
            let (redactor, warning) = secrets::redactor();
            let showing = Showing {
                arguments: with_arguments,
                results: with_results,
                attachments: with_attachments,
                reasoning: with_reasoning,
                system: with_system,
            };
            let share = share.then(|| secrets::places().showing(showing));
            Command::Export(Box::new(Export { id, file: output, format, all_branches, share, redactor, warning }))
        }
        HistoryCommand::Import { file, again, dry_run } => {
            let progress = io::stderr().is_terminal();
            Command::Import(Box::new(Import { file, again, dry_run, progress, limits: limits() }))
        }
        HistoryCommand::Rename { id, title } => Command::Rename { id, title: title.join(" ") },
        HistoryCommand::Delete { id, yes, now } => Command::Delete(Removal { id, yes, now }),
        HistoryCommand::Restore { id } => Command::Restore { id },
    };
    let paths = setup::paths(&setup::environment())?;
    let ask = Ask { command, json: args.json };
    let drawn = io::stdout().is_terminal();
    let mut terminal = Terminal {
        // Locked by each read alone: an import from `-` reads it too.
        input: &mut io::BufReader::new(io::stdin()),
        out: &mut io::stdout().lock(),
        err: &mut io::stderr().lock(),
        drawn,
        answers: io::stdin().is_terminal(),
        width: width(),
    };
    Ok(once::runtime()?.block_on(history::run(&ask, &paths.store_file(), &mut terminal)))
}

/// As configured, else the defaults.
fn limits() -> Limits {
    let resolved = Setup::load().and_then(|setup| setup.resolve(&SessionArgs::default()));
    resolved.map_or_else(|_| Limits::default(), |resolved| resolved.limits)
}

/// Runs `millrace timeline`.
///
/// # Errors
/// Where there are no folders, or no runtime.
pub fn timeline(args: TimelineArgs) -> Result<u8, Fault> {
    let paths = setup::paths(&setup::environment())?;
    let ask = drawing::Ask { id: args.id, json: args.json, width: width() };
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let code = once::runtime()?.block_on(drawing::run(&ask, &paths.store_file(), &mut out, &mut err));
    let _ = out.flush();
    Ok(code)
}

/// Columns of the terminal; where the output is none, what the environment says.
fn width() -> usize {
    let said = || std::env::var("COLUMNS").ok()?.parse().ok();
    let columns = window::size().map(|(columns, _)| usize::from(columns)).or_else(said);
    columns.map_or(WIDTH, |columns| columns.max(LEAST))
}
