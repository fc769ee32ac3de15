//! The same engine for pipes: text, JSON, NDJSON (contract sections 1 and 3).
//!
//! # Invariants
//! - With `text`, standard output is the answer alone. With `ndjson`, `ended` is always the last line.
//! - What is written to a terminal went through `text::sanitize`; pipes get the raw text, JSON escaped.
//! - A standard output that is not read stops the reading of events and nothing else; a closed one cancels the turn.
//!
//! # Does not
//! Decide anything about a turn: it reads events; the orders it gives are to cancel, and what a person answered.

mod ask;
mod extract;
mod json;
mod ndjson;
mod spent;
mod stop;
mod text;
mod words;

use std::io;
use std::pin::pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};

use ask::Desk;

use crate::chat::{Fault, FaultKind, Order, Stamp, Stamped, TurnEvent, TurnId, TurnStatus};
use crate::engine::live::Follower;
use crate::export::Redactor;
pub use crate::export::escape;

pub use ask::Questions;
pub use spent::{Priced, PricesFrom};
pub use stop::{Stop, stops};

/// How long a cancelled turn may take to come to its end; the servers are told to stop in this time.
const GRACE: Duration = Duration::from_secs(5);
/// How long the last line may take where the turn had to be left.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// Where events come from: the engine's handle, a replay, a test.
pub trait Source {
    /// The next events, in order; None once there will be none.
    fn next(&mut self) -> impl Future<Output = Option<Vec<Stamped<TurnEvent>>>>;
    fn order(&self, order: Order);
}

/// A turn of another process: nothing can be ordered from here.
impl Source for Follower {
    async fn next(&mut self) -> Option<Vec<Stamped<TurnEvent>>> {
        Follower::next(self).await
    }

    fn order(&self, _order: Order) {}
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    #[default]
    Text,
    Json,
    Ndjson,
}

/// How one turn is written.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The turn that is written; events of others are passed by.
    pub turn: TurnId,
    pub output: Output,
    /// Text only: nothing but the first code block.
    pub extract: bool,
    /// Activity and notices on standard error even where it is no terminal.
    pub verbose: bool,
    /// No activity and no notices; errors and denials stay.
    pub quiet: bool,
    /// With them, usage has its cost.
    pub prices: Option<Priced>,
    pub stdout_terminal: bool,
    pub stderr_terminal: bool,
}

/// Bytes on their way out, in the order in which they were made.
#[derive(Debug, Default)]
struct Outbox(Vec<(Channel, Vec<u8>)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    Out,
    Err,
}

impl Outbox {
    fn out(&mut self, bytes: impl AsRef<[u8]>) {
        self.put(Channel::Out, bytes.as_ref());
    }

    fn err(&mut self, bytes: impl AsRef<[u8]>) {
        self.put(Channel::Err, bytes.as_ref());
    }

    fn put(&mut self, channel: Channel, bytes: &[u8]) {
        match self.0.last_mut() {
            Some((last, held)) if *last == channel => held.extend_from_slice(bytes),
            _ => self.0.push((channel, bytes.to_vec())),
        }
    }
}

enum Form {
    Text(text::Text),
    Json(json::Whole),
    Ndjson(ndjson::Lines),
}

impl Form {
    fn new(options: &Options, redactor: Redactor) -> Self {
        match options.output {
            Output::Text => Self::Text(text::Text::new(options)),
            Output::Json => Self::Json(json::Whole::new(redactor, options.prices)),
            Output::Ndjson => Self::Ndjson(ndjson::Lines::new(redactor, options.prices)),
        }
    }

    /// Writes a question; it stands until [`Form::asked`] or the next one.
    fn ask(&mut self, question: &str, to: &mut Outbox) {
        match self {
            Self::Text(text) => text.ask(question, to),
            Self::Json(_) | Self::Ndjson(_) => to.err(question),
        }
    }

    /// What was to be printed of a whole answer was not in it.
    fn lacks(&self) -> bool {
        match self {
            Self::Text(text) => text.is_codeless(),
            Self::Json(_) | Self::Ndjson(_) => false,
        }
    }

    /// No question stands any more.
    fn asked(&mut self, to: &mut Outbox) {
        match self {
            Self::Text(text) => text.asked(to),
            Self::Json(_) | Self::Ndjson(_) => {}
        }
    }

    fn take(&mut self, at: Stamp, event: &TurnEvent, to: &mut Outbox) {
        match self {
            Self::Text(text) => text.take(event, to),
            Self::Json(whole) => whole.take(event, to),
            Self::Ndjson(lines) => lines.take(at, event, to),
        }
    }
}

/// Writes one turn and gives back the exit code of the contract.
///
/// `stops` are the signals and the closing of standard output ([`stops`]). Standard output is flushed after every
/// batch of events.
pub async fn run<S: Source>(
    source: S,
    options: Options,
    stdout: impl AsyncWrite + Unpin,
    stderr: impl AsyncWrite + Unpin,
    stops: impl Stream<Item = Stop>,
) -> u8 {
    run_asking(source, options, stdout, stderr, stops, None).await
}

/// The same, with a terminal at which calls that wait for approval are asked about. An answer that would stand on the
/// same terminal as an open question is held until that is answered: no text of a model can look like a part of it.
pub async fn run_asking<S: Source>(
    source: S,
    options: Options,
    stdout: impl AsyncWrite + Unpin,
    stderr: impl AsyncWrite + Unpin,
    stops: impl Stream<Item = Stop>,
    questions: Option<Questions>,
) -> u8 {
    run_redacting(source, options, stdout, stderr, stops, questions, Redactor::default()).await
}

/// The same, with the secrets that the redactor knows taken out of JSON and NDJSON.
pub async fn run_redacting<S: Source>(
    source: S,
    options: Options,
    stdout: impl AsyncWrite + Unpin,
    stderr: impl AsyncWrite + Unpin,
    stops: impl Stream<Item = Stop>,
    questions: Option<Questions>,
    redactor: Redactor,
) -> u8 {
    let mut desk = Desk::new(questions);
    let form = Form::new(&options, redactor);
    written(source, options, form, Writer::new(stdout, stderr), stops, &mut desk).await
}

/// The same, one turn of several at one terminal, which is given back.
pub async fn run_at<S: Source>(
    source: S,
    options: Options,
    stdout: impl AsyncWrite + Unpin,
    stderr: impl AsyncWrite + Unpin,
    stops: impl Stream<Item = Stop>,
    questions: &mut Option<Questions>,
) -> u8 {
    let mut desk = Desk::new(questions.take());
    let form = Form::new(&options, Redactor::default());
    let code = written(source, options, form, Writer::new(stdout, stderr), stops, &mut desk).await;
    *questions = desk.into_questions();
    code
}

async fn written<S: Source, O: AsyncWrite + Unpin, E: AsyncWrite + Unpin>(
    mut source: S,
    options: Options,
    mut form: Form,
    mut writer: Writer<O, E>,
    stops: impl Stream<Item = Stop>,
    desk: &mut Desk,
) -> u8 {
    let mut stops = pin!(stops.fuse());
    let mut end = End::default();
    let mut last = Stamp::default();
    let mut given_up: Option<Instant> = None;
    'turn: loop {
        let batch = tokio::select! {
            biased;
            Some(stop) = stops.next() => {
                if end.stopped(stop) {
                    break 'turn;
                }
                writer.closed |= stop == Stop::OutputClosed;
                source.order(Order::CancelTurn { turn: options.turn });
                given_up.get_or_insert_with(|| Instant::now() + GRACE);
                continue;
            }
            () = until(given_up) => break 'turn,
            heard = desk.heard() => {
                let (order, word) = desk.answered(heard, options.turn);
                if let Some(order) = order {
                    source.order(order);
                }
                let mut outbox = Outbox::default();
                match word.or_else(|| desk.next()) {
                    Some(word) => form.ask(&word, &mut outbox),
                    None if !desk.is_asking() => form.asked(&mut outbox),
                    None => {}
                }
                if let Err(error) = writer.write(outbox).await {
                    end.unwritable(&error);
                    source.order(Order::CancelTurn { turn: options.turn });
                    given_up.get_or_insert_with(|| Instant::now() + GRACE);
                }
                continue;
            }
            batch = source.next() => batch,
        };
        let Some(batch) = batch else { break };
        let mut outbox = Outbox::default();
        for Stamped { at, body } in &batch {
            if body.turn().is_some_and(|turn| turn != options.turn) || end.status.is_some() {
                continue;
            }
            last = *at;
            end.note(body);
            if let TurnEvent::Server(status) = body {
                desk.server(status);
            }
            if let TurnEvent::Call { update, .. } = body {
                let was_asking = desk.is_asking();
                desk.note(update);
                if was_asking && !desk.is_asking() {
                    // Withdrawn: its line ends here.
                    outbox.err("\n");
                    form.asked(&mut outbox);
                }
            }
            form.take(*at, body, &mut outbox);
        }
        end.lacking |= form.lacks();
        if let Some(question) = desk.next() {
            form.ask(&question, &mut outbox);
        }
        let mut writing = pin!(writer.write(outbox));
        let written = loop {
            tokio::select! {
                biased;
                written = &mut writing => break written,
                Some(stop) = stops.next() => {
                    if end.stopped(stop) {
                        break 'turn;
                    }
                    source.order(Order::CancelTurn { turn: options.turn });
                    given_up.get_or_insert_with(|| Instant::now() + GRACE);
                }
                () = until(given_up) => break 'turn,
            }
        };
        if let Err(error) = written {
            end.unwritable(&error);
            source.order(Order::CancelTurn { turn: options.turn });
            given_up.get_or_insert_with(|| Instant::now() + GRACE);
        }
        if end.status.is_some() {
            return end.code();
        }
    }
    // The turn did not come to its end by itself; whoever reads must still be told that this is all.
    let mut outbox = Outbox::default();
    for event in end.missing(options.turn) {
        form.take(last, &event, &mut outbox);
    }
    let _ = timeout(LAST_WORDS, writer.write(outbox)).await;
    end.code()
}

/// Writes a fault that came before any turn could begin, in the form that was asked for, and gives back its exit code.
pub async fn refuse(
    fault: &Fault,
    at: Stamp,
    options: Options,
    stdout: impl AsyncWrite + Unpin,
    stderr: impl AsyncWrite + Unpin,
) -> u8 {
    let mut form = Form::new(&options, Redactor::default());
    let mut outbox = Outbox::default();
    form.take(at, &TurnEvent::Error { turn: None, fault: fault.clone() }, &mut outbox);
    form.take(at, &ended(options.turn, TurnStatus::Failed), &mut outbox);
    let mut writer = Writer::new(stdout, stderr);
    // The exit code tells it where nobody reads.
    let _ = writer.write(outbox).await;
    fault.kind.exit_code()
}

fn ended(turn: TurnId, status: TurnStatus) -> TurnEvent {
    let conversation = crate::chat::ConversationId::new("");
    TurnEvent::Ended { turn, status, text: String::new(), rounds: 0, calls: 0, conversation }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// How it ended, as far as is known.
#[derive(Debug, Default)]
struct End {
    status: Option<TurnStatus>,
    fault: Option<FaultKind>,
    signal: Option<u8>,
    stops: u32,
    /// The turn was cancelled from here.
    left: bool,
    unwritable: bool,
    /// The answer came to its end, without what was asked of it.
    lacking: bool,
}

impl End {
    fn note(&mut self, event: &TurnEvent) {
        match event {
            TurnEvent::Ended { status, .. } => self.status = Some(*status),
            TurnEvent::Error { fault, .. } => self.fault = Some(fault.kind),
            TurnEvent::Started { .. }
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
            | TurnEvent::InquiryEnded { .. }
            | TurnEvent::Sampled { .. }
            | TurnEvent::Titled { .. }
            | TurnEvent::Aside { .. }
            | TurnEvent::Replied { .. }
            | TurnEvent::News { .. }
            | TurnEvent::SignIn { .. }
            | TurnEvent::Tools(_)
            | TurnEvent::Saved { .. }
            | TurnEvent::Unsaved { .. } => {}
        }
    }

    /// Whether it is time to leave at once: a person who asks twice does not want to wait.
    fn stopped(&mut self, stop: Stop) -> bool {
        self.left = true;
        if let Stop::Signal(code) = stop {
            self.signal.get_or_insert(code);
            self.stops += 1;
        }
        self.stops > 1
    }

    fn unwritable(&mut self, error: &io::Error) {
        self.left = true;
        // A reader that went away has what it wanted; a full disk is a failure.
        self.unwritable |= error.kind() != io::ErrorKind::BrokenPipe;
    }

    fn code(&self) -> u8 {
        if let Some(signal) = self.signal {
            return signal;
        }
        if self.unwritable {
            return FaultKind::Internal.exit_code();
        }
        match self.status {
            // The model's answer is not what was asked for: what reads it is not to go on as if it were.
            Some(TurnStatus::Ok) if self.lacking => FaultKind::Provider.exit_code(),
            Some(TurnStatus::Ok) => 0,
            Some(TurnStatus::Failed) => self.fault.unwrap_or(FaultKind::Internal).exit_code(),
            Some(TurnStatus::Limit) => FaultKind::Limit.exit_code(),
            Some(TurnStatus::Cancelled) | None => FaultKind::Cancelled.exit_code(),
        }
    }

    /// The events that a turn without an end still owes its readers.
    fn missing(&mut self, turn: TurnId) -> Vec<TurnEvent> {
        if self.status.is_some() {
            return Vec::new();
        }
        if self.left {
            self.status = Some(TurnStatus::Cancelled);
            return vec![ended(turn, TurnStatus::Cancelled)];
        }
        self.status = Some(TurnStatus::Failed);
        let fault = Fault::new(FaultKind::Internal, "The engine stopped before the turn had ended.")
            .hint("This is a defect of millrace; `millrace -c` shows what was saved.");
        self.fault = Some(fault.kind);
        vec![TurnEvent::Error { turn: Some(turn), fault }, ended(turn, TurnStatus::Failed)]
    }
}

struct Writer<O, E> {
    stdout: O,
    stderr: E,
    /// Nobody reads standard output any more.
    closed: bool,
}

impl<O: AsyncWrite + Unpin, E: AsyncWrite + Unpin> Writer<O, E> {
    fn new(stdout: O, stderr: E) -> Self {
        Self { stdout, stderr, closed: false }
    }

    /// Writes and flushes. Standard error is best effort: the answer does not depend on it.
    async fn write(&mut self, outbox: Outbox) -> io::Result<()> {
        let mut result = Ok(());
        for (channel, bytes) in outbox.0 {
            match channel {
                Channel::Out if self.closed => {}
                Channel::Out => {
                    let written = async {
                        self.stdout.write_all(&bytes).await?;
                        self.stdout.flush().await
                    };
                    if let Err(error) = written.await {
                        self.closed = true;
                        if error.kind() != io::ErrorKind::BrokenPipe {
                            let _ =
                                self.stderr.write_all(format!("error: standard output: {error}\n").as_bytes()).await;
                        }
                        result = Err(error);
                    }
                }
                Channel::Err => {
                    let _ = self.stderr.write_all(&bytes).await;
                    let _ = self.stderr.flush().await;
                }
            }
        }
        result
    }
}
