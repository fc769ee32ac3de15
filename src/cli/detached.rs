//! `millrace run --detach`: the turn runs in a child that has left the terminal, and the store is where it is followed.
//!
//! The child is this program again with the same arguments. It says one line on a pipe, once the question is on the
//! disk: which conversation it is, or why there is none. After that nobody listens to it.
//!
//! # Invariants
//! - An id is printed only for a turn that is in the store.
//! - A turn whose id could not be told to anybody is stopped.
//!
//! # Does not
//! Open a socket, or leave anything running behind the end of the turn.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};

use crate::chat::{ConversationId, Fault, FaultKind, Order, Stamped, TurnEvent, TurnId};
use crate::config::Paths;
use crate::engine::Handle;
use crate::engine::live::LiveClock;
use crate::engine::port::Clock;
use crate::headless::{self, Options, Output, Source, Stop, stops};
use crate::store::KEPT_AFTER_DELETE_MS;

use super::once::{self, Carried, Place, TURN};
use super::session::{self, SessionArgs};
use super::{run as asked, setup};

pub(super) mod system;

/// The argument that makes a `run` the child; for this program alone.
pub const CHILD: &str = "--detached";
/// The most that is read of the child's line, and of its log where it said none. Bytes.
const LINE_MOST: u64 = 64 << 10;
const TAIL: usize = 2 << 10;

/// What the child says of itself.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Runs(ConversationId),
    Refused(Fault),
}

/// Starts the child and prints the id of its conversation; the exit code.
///
/// # Errors
/// `Internal` where there is no runtime.
pub fn launch(args: &SessionArgs) -> Result<u8, Fault> {
    let options = asked::options(args, TURN);
    match started(args) {
        Ok((conversation, pid, log)) => {
            let id = conversation.as_str();
            match options.output {
                Output::Json => {
                    let told = serde_json::json!({"conversation": id, "pid": pid, "log": log});
                    super::written(io::stdout().write_all(&headless::escape::line(&told)))
                }
                Output::Text | Output::Ndjson => {
                    let written = super::written(writeln!(io::stdout(), "{id}"))?;
                    if options.stderr_terminal && !options.quiet {
                        eprintln!("It runs on by itself. Follow it: millrace attach {id}   Stop it: add --stop");
                    }
                    Ok(written)
                }
            }
        }
        Err(fault) => once::on_runtime(async {
            let (out, err) = (tokio::io::stdout(), tokio::io::stderr());
            Ok(headless::refuse(&fault, LiveClock.now(), options, out, err).await)
        }),
    }
}

fn started(args: &SessionArgs) -> Result<(ConversationId, u32, PathBuf), Fault> {
    if args.keep.no_save {
        return Err(Fault::new(FaultKind::Usage, "--detach and --no-save exclude each other.")
            .hint("What nobody watches has to be kept: it is followed where it is saved."));
    }
    let ndjson = args.output.form() == Some(session::Output::Ndjson);
    if ndjson || args.output.extract {
        let option = if ndjson { "--output ndjson" } else { "-x" };
        return Err(Fault::new(FaultKind::Usage, format!("--detach prints an id, so {option} has nothing to act on."))
            .hint(format!("Give it to the one that follows: millrace attach ID {option}")));
    }
    if !system::AVAILABLE {
        return Err(Fault::new(FaultKind::Usage, "--detach is not available on this system."));
    }
    let paths = setup::paths(&setup::environment())?;
    let (log, path) = log(&paths).map_err(|error| cannot("write its log", &error))?;
    let mut child = spawn(log).map_err(|error| cannot("be started", &error))?;
    let word = heard(&mut child);
    match word {
        Some(Word::Runs(conversation)) => {
            let named = path.with_file_name(format!("{}.log", conversation.as_str()));
            let path = if std::fs::rename(&path, &named).is_ok() { named } else { path };
            Ok((conversation, child.id(), path))
        }
        Some(Word::Refused(fault)) => {
            let _ = (child.wait(), std::fs::remove_file(&path));
            Err(fault)
        }
        None => {
            let _ = child.wait();
            let said = tail(&path);
            let fault = Fault::new(FaultKind::Internal, "The detached run ended before it had begun.");
            Err(if said.is_empty() { fault } else { fault.hint(format!("It said: {said}")) })
        }
    }
}

fn cannot(what: &str, error: &io::Error) -> Fault {
    Fault::new(FaultKind::Internal, format!("The detached run cannot {what}: {error}."))
}

/// This program again, out of the terminal's reach. A standard input that is piped is the child's to read.
fn spawn(log: File) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(CHILD).args(std::env::args_os().skip(1));
    let stdin = if io::stdin().is_terminal() { Stdio::null() } else { Stdio::inherit() };
    command.stdin(stdin).stdout(Stdio::piped()).stderr(log);
    system::apart(&mut command);
    command.spawn()
}

fn heard(child: &mut Child) -> Option<Word> {
    let mut line = String::new();
    BufReader::new(child.stdout.take()?.take(LINE_MOST)).read_line(&mut line).ok()?;
    serde_json::from_str(&line).ok()
}

/// The last that the child said on its standard error.
fn tail(path: &Path) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text[text.len().saturating_sub(TAIL)..]).into_owned();
    text.trim().to_owned()
}

/// A new log, for its user alone. Those that have not been written to for as long as a deleted conversation is kept go.
fn log(paths: &Paths) -> io::Result<(File, PathBuf)> {
    let folder = paths.state.join("detached");
    Paths::make(&folder)?;
    let oldest = SystemTime::now() - Duration::from_millis(u64::try_from(KEPT_AFTER_DELETE_MS).unwrap_or_default());
    for entry in std::fs::read_dir(&folder)?.filter_map(Result::ok) {
        let written = entry.metadata().and_then(|metadata| metadata.modified());
        if entry.path().extension().is_some_and(|e| e == "log") && written.is_ok_and(|written| written < oldest) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    let path = folder.join(format!("{}.log", uuid::Uuid::now_v7()));
    let mut options = OpenOptions::new();
    options.create_new(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    Ok((options.open(&path)?, path))
}

/// The child's part: runs the turn as `run` does, for nobody; the exit code.
///
/// # Errors
/// `Internal` where there is no runtime.
pub fn child(args: &SessionArgs) -> Result<u8, Fault> {
    system::leave_terminal();
    // What it would say to a person goes to the log: errors and denials, no arguments of calls.
    let options = Options { verbose: false, quiet: false, output: Output::Text, ..asked::options(args, TURN) };
    once::on_runtime(async {
        match once::prepare(args, Place::Detached).await {
            Err(fault) => {
                say(&Word::Refused(fault.clone()));
                Ok(fault.kind.exit_code())
            }
            Ok(ready) => {
                // The terminal that hung up is no longer ours.
                let signals = stops().filter(|stop| {
                    let ends = !matches!(stop, Stop::OutputClosed | Stop::Signal(129));
                    std::future::ready(ends)
                });
                let out = Carried { stdout: tokio::io::sink(), stops: signals };
                once::carry_out(ready, options, Reporting::new, out).await
            }
        }
    })
}

/// Whether somebody has heard it.
fn say(word: &Word) -> bool {
    let Ok(mut line) = serde_json::to_vec(word) else { return false };
    line.push(b'\n');
    let mut out = io::stdout();
    out.write_all(&line).and_then(|()| out.flush()).is_ok()
}

/// The engine's events on their way, of which the first that tells whether the question is kept is said to the parent.
struct Reporting {
    engine: Handle,
    conversation: Option<ConversationId>,
    turn: Option<TurnId>,
    fault: Option<Fault>,
    said: bool,
}

impl Reporting {
    fn new(engine: Handle) -> Self {
        Self { engine, conversation: None, turn: None, fault: None, said: false }
    }

    fn note(&mut self, event: &TurnEvent) {
        match event {
            TurnEvent::Started { turn, conversation, .. } => {
                (self.turn, self.conversation) = (Some(*turn), Some(conversation.clone()));
            }
            TurnEvent::Saved { conversation, .. } if self.conversation.as_ref() == Some(conversation) => {
                self.said = true;
                if !say(&Word::Runs(conversation.clone())) {
                    self.stop();
                }
            }
            TurnEvent::Unsaved { reason } => {
                self.refuse(Fault::new(FaultKind::Store, format!("The question could not be saved: {reason}")));
                self.stop();
            }
            TurnEvent::Error { fault, .. } => self.fault = Some(fault.clone()),
            TurnEvent::Ended { .. } => {
                let ended = || Fault::new(FaultKind::Internal, "The turn ended before it had begun.");
                let fault = self.fault.take().unwrap_or_else(ended);
                self.refuse(fault);
            }
            TurnEvent::Saved { .. }
            | TurnEvent::Message { .. }
            | TurnEvent::Request { .. }
            | TurnEvent::Slow { .. }
            | TurnEvent::Retrying { .. }
            | TurnEvent::Text { .. }
            | TurnEvent::Reasoning { .. }
            | TurnEvent::Refusal { .. }
            | TurnEvent::Call { .. }
            | TurnEvent::Usage { .. }
            | TurnEvent::Finish { .. }
            | TurnEvent::Notice { .. }
            | TurnEvent::Compaction { .. }
            | TurnEvent::Server(_)
            | TurnEvent::Inquiry { .. }
            | TurnEvent::Sampled { .. }
            | TurnEvent::Titled { .. }
            | TurnEvent::Aside { .. }
            | TurnEvent::InquiryEnded { .. }
            | TurnEvent::Replied { .. }
            | TurnEvent::News { .. }
            | TurnEvent::SignIn { .. }
            | TurnEvent::Tools(_) => {}
        }
    }

    fn refuse(&mut self, fault: Fault) {
        self.said = true;
        say(&Word::Refused(fault));
    }

    fn stop(&self) {
        if let Some(turn) = self.turn {
            self.engine.orders.send(Order::CancelTurn { turn });
        }
    }
}

impl Source for Reporting {
    async fn next(&mut self) -> Option<Vec<Stamped<TurnEvent>>> {
        let events = self.engine.next().await?;
        for event in &events {
            if !self.said {
                self.note(&event.body);
            }
        }
        Some(events)
    }

    fn order(&self, order: Order) {
        self.engine.orders.send(order);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_between_parent_and_child_are_read_as_they_were_said() {
        let fault = Fault::new(FaultKind::Store, "no\nstore").hint("look");
        for word in [Word::Runs(ConversationId::new("c")), Word::Refused(fault)] {
            let line = serde_json::to_string(&word).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<Word>(&line).unwrap(), word);
        }
    }

    #[test]
    fn logs_are_private_and_old_ones_go() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let (_, first) = log(&paths).unwrap();
        let old = SystemTime::now() - Duration::from_secs(31 * 24 * 60 * 60);
        File::options().write(true).open(&first).unwrap().set_modified(old).unwrap();
        let (_, second) = log(&paths).unwrap();
        assert!(!first.exists() && second.exists());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&second).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
