//! `millrace attach`: a turn that runs elsewhere, followed to its end through the store, or stopped.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::json;

use crate::chat::{ConversationId, Fault, FaultKind, MessageId};
use crate::engine::live::{self, Follower, LiveClock};
use crate::engine::port::Clock;
use crate::headless::{self, Options, Output, Stop, escape, stops};
use crate::store::{OpenMode, Store, Watched};

use super::args::AttachArgs;
use super::once::{self, TURN};
use super::{run as asked, secrets, setup};

/// How long a turn that was asked to stop may take: its servers are told, and given a moment.
const STOPPING: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(50);

/// Follows or stops it; the exit code: that of `run`, where it was followed to its end.
///
/// # Errors
/// `Internal` where there is no runtime.
pub fn run(args: &AttachArgs) -> Result<u8, Fault> {
    let options = asked::options_of(&args.output, &args.log, TURN);
    once::on_runtime(async {
        match attached(args, options).await {
            Ok(code) => Ok(code),
            Err(fault) => {
                let (out, err) = (tokio::io::stdout(), tokio::io::stderr());
                Ok(headless::refuse(&fault, LiveClock.now(), options, out, err).await)
            }
        }
    })
}

async fn attached(args: &AttachArgs, options: Options) -> Result<u8, Fault> {
    let env = setup::environment();
    let paths = setup::paths(&env)?;
    super::log::start(&args.log, &env, &paths)?;
    let path = paths.store_file();
    let opened = match Store::open(&path, OpenMode::Write) {
        // Where it cannot be written, it can be followed all the same.
        Err(_) if path.is_file() && !args.stop => Store::open(&path, OpenMode::Read),
        opened => opened,
    };
    let store = opened.map_err(|error| error.fault())?;
    let id = store.resolve(&args.id, None).await.map_err(|error| error.fault())?;
    if args.stop { stop(&store, &id, options).await } else { follow(store, id, options).await }
}

fn nothing_ran() -> Fault {
    Fault::new(FaultKind::Usage, "No turn of this conversation ever ran here: there is nothing to follow.")
        .hint("`millrace history show ID` prints it.")
}

/// Writes it as `run` would. A signal leaves it, and leaves it running.
async fn follow(store: Store, id: ConversationId, options: Options) -> Result<u8, Fault> {
    let messages = options.output == Output::Json;
    let follower = Follower::last(store, Arc::new(LiveClock), TURN, id.clone(), messages).await?;
    let follower = follower.ok_or_else(nothing_ran)?;
    let (redactor, warning) = secrets::redactor();
    if let Some(warning) = warning.filter(|_| options.output != Output::Text) {
        eprintln!("{}", crate::text::sanitize(&warning).one_line());
    }
    let mut stopped = std::pin::pin!(stops());
    let (out, err) = (tokio::io::stdout(), tokio::io::stderr());
    let never = futures_util::stream::pending();
    let written = headless::run_redacting(follower, options, out, err, never, None, redactor);
    tokio::select! {
        biased;
        code = written => Ok(code),
        Some(stop) = stopped.next() => Ok(match stop {
            // Whoever reads has enough.
            Stop::OutputClosed => 0,
            Stop::Signal(code) => {
                if !options.quiet {
                    let id = id.as_str();
                    eprintln!("\nNot followed any more; it goes on. millrace attach {id}   Stop it: add --stop");
                }
                code
            }
        }),
    }
}

/// Ends the turn, and only a process that does nothing else.
async fn stop(store: &Store, id: &ConversationId, options: Options) -> Result<u8, Fault> {
    let watched = watch(store, id, None).await?;
    let turn = watched.turn.clone();
    let Some(runner) = watched.runner else {
        let how = watched.status.as_deref().unwrap_or("interrupted");
        return told(id, how, false, &format!("It does not run: its last turn ended as {how}."), options);
    };
    live::stop(runner)?;
    let waited = tokio::time::timeout(STOPPING, async {
        loop {
            let watched = watch(store, id, Some(&turn)).await?;
            match watched.status {
                Some(status) => return Ok::<_, Fault>(status),
                // Killed before it could write: the next that opens it tells what is known.
                None if watched.runner.is_none() => return Ok("interrupted".to_owned()),
                None => tokio::time::sleep(LOOK).await,
            }
        }
    });
    match waited.await {
        Ok(status) => {
            let status = status?;
            told(id, &status, true, &format!("Stopped: it ended as {status}. Its answer so far is kept."), options)
        }
        Err(_) => {
            let message = format!("It was asked to stop, and has not ended yet (process {}).", runner.pid);
            Err(Fault::new(FaultKind::Internal, message).hint("Ask again in a moment, or end the process."))
        }
    }
}

async fn watch(store: &Store, id: &ConversationId, turn: Option<&MessageId>) -> Result<Watched, Fault> {
    store.watch(id, turn.cloned()).await.map_err(|error| error.fault())?.ok_or_else(nothing_ran)
}

fn told(id: &ConversationId, status: &str, stopped: bool, words: &str, options: Options) -> Result<u8, Fault> {
    let mut out = io::stdout();
    super::written(match options.output {
        Output::Text if options.quiet => Ok(()),
        Output::Text => writeln!(out, "{words}"),
        Output::Json | Output::Ndjson => {
            let told = json!({"conversation": id.as_str(), "status": status, "stopped": stopped});
            out.write_all(&escape::line(&told))
        }
    })
}
