//! `--approve ask`: the reviews of a run, asked on the terminal one at a time, answered by a typed line.
//!
//! # Invariants
//! - An answer counts only for the question that stood when its line was read: what was typed before a question is
//!   thrown away, what was typed for one that went away too.
//! - An empty line, the end of input, and anything that is no answer never approve.
//! - An answer names the hash of the arguments that were shown; edited ones were shown before they are sent.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, IsTerminal as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc as threads;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::words::{self, Disk};
use crate::app::{LARGEST, PathMark, path_arguments, place_by_itself, written_file};
use crate::chat::{
    CallId, CallState, CallUpdate, Decision, Fault, FaultKind, Order, Review, ServerName, ServerStatus, TurnId, WaitFor,
};
use crate::config::editor;
use crate::engine::disk;
use crate::text::sanitize;

/// A line and when it had been read; None at the end of input.
type Line = (Instant, Option<String>);

/// What a desk waits for.
pub(super) enum Heard {
    Line(Line),
    /// The editor was closed.
    Edited(Result<String, Fault>),
}

/// The terminal that answers.
pub struct Questions {
    terminal: Arc<File>,
    wanted: threads::Sender<()>,
    lines: mpsc::UnboundedReceiver<Line>,
    /// A line was asked for and has not come.
    reading: bool,
    /// The folders that servers are told of, `file:` addresses.
    roots: BTreeMap<ServerName, Vec<String>>,
}

impl Questions {
    /// The terminal of standard input; where that is none, the controlling one. None: nobody is there. Questions are
    /// written to standard error, so that must be a terminal too.
    #[must_use]
    pub fn open() -> Option<Self> {
        if !io::stderr().is_terminal() {
            return None;
        }
        let terminal = Arc::new(input()?);
        let (wanted, wishes) = threads::channel::<()>();
        let (send, lines) = mpsc::unbounded_channel();
        let theirs = Arc::clone(&terminal);
        // A read of a terminal cannot be given up; the process does not wait for this thread.
        std::thread::Builder::new()
            .name("answers".into())
            .spawn(move || {
                let mut input = BufReader::new(&*theirs);
                while wishes.recv().is_ok() {
                    let mut line = String::new();
                    let read = input.read_line(&mut line).unwrap_or(0);
                    if send.send((Instant::now(), (read > 0).then_some(line))).is_err() {
                        break;
                    }
                }
            })
            .ok()?;
        Some(Self { terminal, wanted, lines, reading: false, roots: BTreeMap::new() })
    }

    /// The next line that is typed; None at the end of input. `fresh`: what was typed before does not count. Nothing is
    /// lost where the wait is given up.
    pub async fn line(&mut self, fresh: bool) -> Option<String> {
        if fresh {
            self.discard();
        }
        let since = Instant::now();
        loop {
            if !self.reading {
                self.reading = self.wanted.send(()).is_ok();
            }
            let (at, line) = self.lines.recv().await?;
            self.reading = false;
            if !fresh || at >= since {
                return line;
            }
        }
    }

    /// Takes note of what a server may be told.
    pub fn note(&mut self, status: &ServerStatus) {
        let roots = status.life.roots.list.iter().map(|root| root.uri.clone()).collect();
        self.roots.insert(status.server.clone(), roots);
    }

    /// Throws away what was typed and not read.
    pub fn discard(&mut self) {
        #[cfg(unix)]
        let _ = rustix::termios::tcflush(&*self.terminal, rustix::termios::QueueSelector::IFlush);
        #[cfg(not(unix))]
        let _ = &self.terminal;
        while self.lines.try_recv().is_ok() {
            // It was the line that was asked for: the next one has to be asked for again.
            self.reading = false;
        }
    }
}

#[cfg(unix)]
fn input() -> Option<File> {
    use std::os::fd::AsFd as _;
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return stdin.as_fd().try_clone_to_owned().ok().map(File::from);
    }
    File::open("/dev/tty").ok()
}

#[cfg(not(unix))]
fn input() -> Option<File> {
    File::open("CONIN$").ok()
}

/// The reviews that wait, and the one that is asked.
pub(super) struct Desk {
    questions: Option<Questions>,
    queue: VecDeque<Arc<Review>>,
    open: Option<Open>,
    /// The editor that is open, and for which call.
    editing: Option<(CallId, JoinHandle<Result<String, Fault>>)>,
    /// A call whose approval may answer for others too: they are asked about once the engine has acted on it.
    settling: Option<CallId>,
}

struct Open {
    review: Arc<Review>,
    since: Instant,
    /// Arguments that the person wrote, in place of the model's.
    edited: Option<String>,
}

/// What a typed line means.
#[derive(Debug, PartialEq)]
enum Reply {
    Decide(Decision),
    Edit,
    /// The model's arguments again.
    Undo,
    Again,
    Unclear,
}

impl Desk {
    pub(super) fn new(questions: Option<Questions>) -> Self {
        Self { questions, queue: VecDeque::new(), open: None, editing: None, settling: None }
    }

    /// The terminal, for whoever asks next.
    pub(super) fn into_questions(self) -> Option<Questions> {
        self.questions
    }

    pub(super) fn is_asking(&self) -> bool {
        self.open.is_some()
    }

    /// Takes note of what a server may be told.
    pub(super) fn server(&mut self, status: &ServerStatus) {
        if let Some(questions) = &mut self.questions {
            questions.note(status);
        }
    }

    /// Takes note of a call's state. Whoever no longer waits is no longer asked.
    pub(super) fn note(&mut self, update: &CallUpdate) {
        match &update.state {
            CallState::Waiting(WaitFor::Approval(review)) => {
                self.forget(&update.call);
                if self.questions.is_some() {
                    self.queue.push_back(Arc::clone(review));
                }
            }
            CallState::Waiting(WaitFor::Slot(_) | WaitFor::Server)
            | CallState::Arguments { .. }
            | CallState::Closed { .. }
            | CallState::Running
            | CallState::Cancelling
            | CallState::Progress { .. }
            | CallState::Ended(_) => self.forget(&update.call),
        }
    }

    fn forget(&mut self, call: &CallId) {
        self.queue.retain(|review| review.call != *call);
        if self.settling.as_ref() == Some(call) {
            self.settling = None;
        }
        if self.open.as_ref().is_some_and(|open| open.review.call == *call) {
            self.open = None;
        }
    }

    /// The next question, where none stands: its text, safe for a terminal. The caller writes it at once.
    pub(super) fn next(&mut self) -> Option<String> {
        if self.open.is_some() || self.settling.is_some() || self.editing.is_some() {
            return None;
        }
        let review = self.queue.pop_front()?;
        let text = self.question(&review, None);
        self.stand(review, None);
        Some(text)
    }

    fn question(&self, review: &Review, edited: Option<&str>) -> String {
        let roots = self.questions.as_ref().and_then(|questions| questions.roots.get(&review.tool.server));
        let disk = look(review, edited, roots.map_or(&[][..], Vec::as_slice));
        words::review(review, edited, &disk) + &words::choices(review, edited.is_some())
    }

    fn stand(&mut self, review: Arc<Review>, edited: Option<String>) {
        let Some(questions) = &mut self.questions else { return };
        questions.discard();
        self.open = Some(Open { review, since: Instant::now(), edited });
        if !questions.reading {
            questions.reading = questions.wanted.send(()).is_ok();
        }
    }

    /// Waits for a line, or for the editor; forever where nobody can answer. Cancel-safe.
    pub(super) async fn heard(&mut self) -> Heard {
        if let Some((_, editor)) = &mut self.editing {
            let ended = editor.await;
            let lost = |_| Err(Fault::new(FaultKind::Internal, "the editor was lost"));
            return Heard::Edited(ended.unwrap_or_else(lost));
        }
        match &mut self.questions {
            Some(questions) if questions.reading => match questions.lines.recv().await {
                Some(line) => Heard::Line(line),
                None => std::future::pending().await,
            },
            Some(_) | None => std::future::pending().await,
        }
    }

    /// What follows from it: an order for the engine, and words for the person.
    pub(super) fn answered(&mut self, heard: Heard, turn: TurnId) -> (Option<Order>, Option<String>) {
        match heard {
            Heard::Line(line) => self.line(line, turn),
            Heard::Edited(result) => (None, self.edited(result)),
        }
    }

    fn line(&mut self, (at, line): Line, turn: TurnId) -> (Option<Order>, Option<String>) {
        if let Some(questions) = &mut self.questions {
            questions.reading = false;
        }
        let Some(Open { review, since, edited }) = self.open.take() else { return (None, None) };
        if at < since {
            // Typed for a question that went away.
            self.stand(review, edited);
            return (None, None);
        }
        match reply(line.as_deref(), review.earlier.is_some(), edited.is_some()) {
            Reply::Decide(decision) => {
                let (call, hash) = (review.call.clone(), Arc::clone(&review.hash));
                let decision = match (decision, edited) {
                    (Decision::Once, Some(arguments)) => Decision::Edit { arguments },
                    (decision, _) => decision,
                };
                if matches!(decision, Decision::Session | Decision::Always) {
                    self.settling = Some(call.clone());
                }
                (Some(Order::Decide { turn, call, hash, decision }), None)
            }
            Reply::Edit => {
                let shown = edited.as_deref().unwrap_or(&review.arguments);
                let pretty = serde_json::from_str::<serde_json::Value>(shown)
                    .and_then(|value| serde_json::to_string_pretty(&value));
                let text = pretty.unwrap_or_else(|_| shown.to_owned());
                let editor = tokio::task::spawn_blocking(move || editor::edit(&text, "json"));
                self.editing = Some((review.call.clone(), editor));
                // It stands on, and is asked again with what was written.
                self.open = Some(Open { review, since, edited });
                (None, Some("The editor is open.\n".to_owned()))
            }
            Reply::Undo => {
                let text = self.question(&review, None);
                self.stand(review, None);
                (None, Some(text))
            }
            Reply::Again => {
                let text = self.question(&review, edited.as_deref());
                self.stand(review, edited);
                (None, Some(text))
            }
            Reply::Unclear => {
                let choices = words::choices(&review, edited.is_some());
                self.stand(review, edited);
                (None, Some(choices))
            }
        }
    }

    /// The editor was closed: what it holds is shown, and nothing is sent by that.
    fn edited(&mut self, result: Result<String, Fault>) -> Option<String> {
        let (call, _) = self.editing.take()?;
        let Open { review, edited, .. } = self.open.take_if(|open| open.review.call == call)?;
        let refuse = |why: &str| format!("{}\n", sanitize(why).one_line());
        let (edited, said) = match result.map_err(|fault| fault.message).and_then(|text| {
            match serde_json::from_str::<serde_json::Value>(&text) {
                Ok(value) if value.is_object() => Ok(value.to_string()),
                Ok(_) => Err("The arguments must be a JSON object; nothing was changed.".to_owned()),
                Err(error) => Err(format!("That is not JSON: {error}; nothing was changed.")),
            }
        }) {
            Ok(text) if text == *review.arguments => (None, String::new()),
            Ok(text) => (Some(text), String::new()),
            Err(why) => (edited, refuse(&why)),
        };
        let text = said + &self.question(&review, edited.as_deref());
        self.stand(review, edited);
        Some(text)
    }
}

/// What the disk says of what would be sent; only a server on this computer means its disk.
fn look(review: &Review, edited: Option<&str>, roots: &[String]) -> Disk {
    let mut out = Disk::default();
    if !review.server_line.starts_with("stdio:") {
        return out;
    }
    let shown = edited.unwrap_or(&review.arguments);
    for (field, path) in path_arguments(shown) {
        let here = || Path::new(&path).is_absolute().then(|| disk::place(Path::new(&path), roots, Path::new(".")));
        if let Some(place) = place_by_itself(&path).or_else(here) {
            out.marks.push(PathMark { field, path, place });
        }
    }
    if let Some(written) = written_file(shown).filter(|written| Path::new(&written.path).is_absolute()) {
        let standing = disk::standing(Path::new(&written.path), LARGEST as u64);
        out.standing = Some(standing).filter(|standing| *standing != crate::chat::OnDisk::Unreadable);
    }
    out
}

/// What a typed line means. What is understood by half is asked again.
fn reply(line: Option<&str>, earlier: bool, edited: bool) -> Reply {
    let word = line.map(str::trim);
    match word {
        None | Some("" | "n" | "N" | "no") => Reply::Decide(Decision::Deny { reason: None }),
        Some("y" | "Y" | "yes") => Reply::Decide(Decision::Once),
        Some("e") => Reply::Edit,
        Some("m") if edited => Reply::Undo,
        Some("?") => Reply::Again,
        Some("s") if !edited => Reply::Decide(Decision::Session),
        Some("A") if !edited => Reply::Decide(Decision::Always),
        Some("u") if earlier && !edited => Reply::Decide(Decision::UseEarlier),
        Some(text) => match ["n ", "n, ", "no ", "no, "].iter().rev().find_map(|start| text.strip_prefix(start)) {
            Some(reason) => Reply::Decide(Decision::Deny { reason: Some(reason.trim().to_owned()) }),
            None => Reply::Unclear,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_approves() {
        let check = |line: Option<&str>, expect: Reply| assert_eq!(reply(line, false, false), expect, "{line:?}");
        check(Some("y\n"), Reply::Decide(Decision::Once));
        check(Some("s\n"), Reply::Decide(Decision::Session));
        check(Some("A\n"), Reply::Decide(Decision::Always));
        for no in [None, Some("\n"), Some("  \n"), Some("n\n")] {
            check(no, Reply::Decide(Decision::Deny { reason: None }));
        }
        for unclear in ["a", "S", "yy", "u", "y y", "\u{1b}[A", "m", "nothing", "none of it"] {
            check(Some(unclear), Reply::Unclear);
        }
        assert_eq!(reply(Some("u"), true, false), Reply::Decide(Decision::UseEarlier));
    }

    #[test]
    fn a_reason_follows_a_no_and_the_rest_has_its_letter() {
        let reason = |line: &str| match reply(Some(line), false, false) {
            Reply::Decide(Decision::Deny { reason }) => reason,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(reason("n not in that folder\n").as_deref(), Some("not in that folder"));
        assert_eq!(reason("no, use the other").as_deref(), Some("use the other"));
        assert_eq!(reply(Some("e\n"), false, false), Reply::Edit);
        assert_eq!(reply(Some("?"), false, true), Reply::Again);
        assert_eq!(reply(Some("m"), false, true), Reply::Undo);
        // What a person wrote is sent once, and never by a wider answer.
        for wider in ["s", "A", "u"] {
            assert_eq!(reply(Some(wider), true, true), Reply::Unclear);
        }
    }
}
