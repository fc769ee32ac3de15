//! `--approve ask`: the reviews of a run, asked on the terminal one at a time, answered by a typed line.
//!
//! # Invariants
//! - An answer counts only for the question that stood when its line was read: what was typed before a question is
//!   thrown away, what was typed for one that went away too.
//! - An empty line, the end of input, and anything that is no answer never approve.
//! - An answer names the hash of the arguments that were shown.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, IsTerminal as _};
use std::sync::Arc;
use std::sync::mpsc as threads;
use std::time::Instant;

use tokio::sync::mpsc;

use crate::chat::{AskReason, CallId, CallState, CallUpdate, Decision, Order, Review, ServerName, TurnId, WaitFor};
use crate::text::{sanitize, visible};

const CHOICES: &str = "[n] deny  [y] once  [s] this session  [A] always from now on";

/// A line and when it had been read; None at the end of input.
type Line = (Instant, Option<String>);

/// The terminal that answers.
pub struct Questions {
    terminal: Arc<File>,
    wanted: threads::Sender<()>,
    lines: mpsc::UnboundedReceiver<Line>,
    /// A line was asked for and has not come.
    reading: bool,
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
        Some(Self { terminal, wanted, lines, reading: false })
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
    open: Option<(Arc<Review>, Instant)>,
    /// A call whose approval may answer for others too: they are asked about once the engine has acted on it.
    settling: Option<CallId>,
}

impl Desk {
    pub(super) fn new(questions: Option<Questions>) -> Self {
        Self { questions, queue: VecDeque::new(), open: None, settling: None }
    }

    /// The terminal, for whoever asks next.
    pub(super) fn into_questions(self) -> Option<Questions> {
        self.questions
    }

    pub(super) fn is_asking(&self) -> bool {
        self.open.is_some()
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
        if self.open.as_ref().is_some_and(|(review, _)| review.call == *call) {
            self.open = None;
        }
    }

    /// The next question, where none stands: its text, safe for a terminal. The caller writes it at once.
    pub(super) fn next(&mut self) -> Option<String> {
        if self.open.is_some() || self.settling.is_some() {
            return None;
        }
        let review = self.queue.pop_front()?;
        let text = question(&review);
        self.stand(review);
        Some(text)
    }

    fn stand(&mut self, review: Arc<Review>) {
        let Some(questions) = &mut self.questions else { return };
        questions.discard();
        self.open = Some((review, Instant::now()));
        if !questions.reading {
            questions.reading = questions.wanted.send(()).is_ok();
        }
    }

    /// Waits for a line; forever where nobody can answer.
    pub(super) async fn line(&mut self) -> Line {
        match &mut self.questions {
            Some(questions) if questions.reading => match questions.lines.recv().await {
                Some(line) => line,
                None => std::future::pending().await,
            },
            Some(_) | None => std::future::pending().await,
        }
    }

    /// What follows from a line: an order for the engine, and a word for the person.
    pub(super) fn answered(&mut self, (at, line): Line, turn: TurnId) -> (Option<Order>, Option<String>) {
        if let Some(questions) = &mut self.questions {
            questions.reading = false;
        }
        let Some((review, since)) = self.open.take() else { return (None, None) };
        if at < since {
            // Typed for a question that went away.
            self.stand(review);
            return (None, None);
        }
        match reply(line.as_deref(), review.earlier.is_some()) {
            Ok(decision) => {
                let (call, hash) = (review.call.clone(), Arc::clone(&review.hash));
                if matches!(decision, Decision::Session | Decision::Always) {
                    self.settling = Some(call.clone());
                }
                (Some(Order::Decide { turn, call, hash, decision }), None)
            }
            Err(()) => {
                let choices = choices(&review);
                self.stand(review);
                (None, Some(format!("{choices}: ")))
            }
        }
    }
}

/// What a typed line means; Err: nothing that could be understood.
fn reply(line: Option<&str>, earlier: bool) -> Result<Decision, ()> {
    match line.map(str::trim) {
        None | Some("" | "n" | "N" | "no") => Ok(Decision::Deny { reason: None }),
        Some("y" | "Y" | "yes") => Ok(Decision::Once),
        Some("s") => Ok(Decision::Session),
        Some("A") => Ok(Decision::Always),
        Some("u") if earlier => Ok(Decision::UseEarlier),
        Some(_) => Err(()),
    }
}

fn choices(review: &Review) -> String {
    let earlier = if review.earlier.is_some() { "  [u] use the earlier result" } else { "" };
    format!("{CHOICES}{earlier}")
}

fn question(review: &Review) -> String {
    let one = |text: &str| sanitize(text).one_line().into_string();
    let path = one(&review.tool.path());
    let mut out = format!("\n{path} wants to run   {}\n", one(&review.server_line));
    let claims = [
        (review.claims.read_only == Some(true), "only reads"),
        (review.claims.destructive == Some(true), "may destroy"),
        (review.claims.open_world == Some(true), "reaches outside"),
    ];
    let said: Vec<&str> = claims.iter().filter(|(holds, _)| *holds).map(|(_, word)| *word).collect();
    if !said.is_empty() {
        let trust = if review.trusted { "trusted" } else { "not verified" };
        out.push_str(&format!("  it says of itself: {} ({trust})\n", said.join(", ")));
    }
    match review.why {
        AskReason::Policy => {}
        AskReason::AfterUntrusted => {
            let names: Vec<&str> = review.tainted_by.iter().map(ServerName::as_str).collect();
            out.push_str(&format!("  untrusted content of {} came in before\n", names.join(", ")));
        }
        AskReason::Repeat => out.push_str("  an equal call ran before, or may have\n"),
        AskReason::Unsaved => out.push_str("  the conversation cannot be saved\n"),
    }
    if let Some(because) = &review.because {
        out.push_str(&format!("  the model said: {}\n", one(because)));
    }
    out.push_str("  exactly this will be sent:\n");
    out.push_str(visible(&review.arguments).as_str());
    out.push_str(&format!("\n  \"always\" is for {path} as it is defined now\n{}: ", choices(review)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Claims, ToolRef};

    #[test]
    fn only_a_clear_yes_approves() {
        let check =
            |line: Option<&str>, expect: Result<Decision, ()>| assert_eq!(reply(line, false), expect, "{line:?}");
        check(Some("y\n"), Ok(Decision::Once));
        check(Some("s\n"), Ok(Decision::Session));
        check(Some("A\n"), Ok(Decision::Always));
        for no in [None, Some("\n"), Some("  \n"), Some("n\n")] {
            check(no, Ok(Decision::Deny { reason: None }));
        }
        for unclear in ["a", "S", "yy", "u", "y y", "\u{1b}[A"] {
            check(Some(unclear), Err(()));
        }
        assert_eq!(reply(Some("u"), true), Ok(Decision::UseEarlier));
    }

    #[test]
    fn a_question_shows_the_exact_arguments_and_no_escape() {
        let review = Review {
            call: CallId::new("c"),
            tool: ToolRef::new("fs", "write\u{1b}[2J"),
            server_line: "npx fs".into(),
            trusted: false,
            claims: Claims { destructive: Some(true), ..Claims::default() },
            description: String::new(),
            arguments: "{\"path\":\"a\u{202e}txt\"}".into(),
            hash: "h".into(),
            because: Some("I will\n\u{1b}]0;x\u{7}write".into()),
            why: AskReason::Policy,
            tainted_by: Vec::new(),
            earlier: None,
        };
        insta::assert_snapshot!(question(&review), @r#"
        fs/write wants to run   npx fs
          it says of itself: may destroy (not verified)
          the model said: I will write
          exactly this will be sent:
        {"path":"a<U+202E>txt"}
          "always" is for fs/write as it is defined now
        [n] deny  [y] once  [s] this session  [A] always from now on:
        "#);
    }
}
