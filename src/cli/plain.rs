//! `--plain`: the chat as lines of text, for screen readers, terminals that cannot draw, and logs.
//!
//! The engine, the store and the questions are those of the screen and of `run`: a line is a message, each state is a
//! line, questions are answered by a letter and enter. Nothing is drawn twice.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use tokio::time::timeout;

use crate::chat::{
    ConversationId, Fault, FaultKind, NoticeKind, Order, Parent, Part, ServerAction, ServerName, ServerState,
    ServerStatus, Stamped, Submit, TurnEvent, TurnId, TurnSettings,
};
use crate::engine::{Handle, Orders};
use crate::export::Redactor;
use crate::headless::{self, Questions, Source, Stop, stops};
use crate::text::{sanitize, visible};

use super::args::SessionArgs;
use super::demo::Prepared;
use super::once::{self, Ready};
use super::{record, run as asked};

/// How long the first prompt waits for the servers' first words.
const FIRST_NEWS: Duration = Duration::from_millis(400);

const HELP: &str = "A line is sent as a message; a line that ends with \\ goes on in the next.\n\
/retry asks again, /continue lets the model go on, /new begins another conversation, /quit leaves.\n\
ctrl+c stops an answer, and leaves where there is none.";

/// Talks until the person leaves, and gives back the exit code.
///
/// # Errors
/// What keeps it from beginning.
pub fn run(args: &SessionArgs) -> Result<u8, Fault> {
    let runtime = once::runtime()?;
    let code = runtime.block_on(chat(args));
    // A line that nobody typed must not hold the exit.
    runtime.shutdown_background();
    code
}

/// The same, on a runtime that is there.
///
/// # Errors
/// As [`run`].
pub async fn chat(args: &SessionArgs) -> Result<u8, Fault> {
    let ready = once::prepare(args, once::Place::Plain).await?;
    talk(ready, args, "Continue with: millrace --plain -c", None).await
}

/// The same with the built-in model and tools.
///
/// # Errors
/// As [`run`].
pub fn demo(args: &SessionArgs) -> Result<u8, Fault> {
    let runtime = once::runtime()?;
    let code = runtime.block_on(async {
        let prepared = Prepared::new(args)?;
        let resolved = &prepared.resolved;
        let approve = resolved.approve.unwrap_or_default();
        let settings = once::settings(args, resolved, prepared.model(), approve, false)?;
        let parts = asked::given(args, &resolved.limits)?.unwrap_or_default();
        let mut notices: Vec<_> = resolved.notices.iter().map(|text| (NoticeKind::Config, text.clone())).collect();
        notices
            .push((NoticeKind::Info, format!("The demo answers anything. Enter alone asks: {}", crate::demo::PROMPT)));
        let mut boot = prepared.boot(false).await?;
        let redactor = prepared.redactor(&boot);
        record::begin(args, &mut boot, &settings.model, redactor)?;
        let ready = Ready {
            boot,
            parts,
            conversation: None,
            settings,
            questions: None,
            prices: None,
            notices,
            redactor: Redactor::default(),
        };
        talk(ready, args, "The demo keeps nothing.", Some(crate::demo::PROMPT)).await
    });
    runtime.shutdown_background();
    code
}

async fn talk(ready: Ready, args: &SessionArgs, farewell: &str, first: Option<&'static str>) -> Result<u8, Fault> {
    let Ready { boot, parts, conversation, settings, questions: _, prices: _, notices, redactor: _ } = ready;
    let Some(questions) = Questions::open() else {
        return Err(Fault::new(FaultKind::Usage, "--plain needs a terminal to type at.")
            .hint("Without one: millrace run \"your question\""));
    };
    let running = boot.start()?;
    let orders = running.handle.orders.clone();
    for (kind, message) in notices {
        orders.notice(kind, message);
    }
    let mut talk = Talk {
        handle: running.handle,
        orders: orders.clone(),
        questions: Some(questions),
        settings,
        conversation,
        unsaved: None,
        asks: BTreeMap::new(),
        servers: BTreeMap::new(),
        first,
        said: Vec::new(),
        turn: 0,
    };
    let code = talk.go_on(parts, args).await;
    match (&talk.conversation, &talk.unsaved) {
        (Some(_), Some(why)) => eprintln!("Not saved: {}", sanitize(why)),
        (Some(_), None) if code != 129 => eprintln!("{farewell}"),
        (_, _) => {}
    }
    orders.shutdown().await;
    record::end(running.recorder);
    super::close(running.store).await;
    Ok(code)
}

struct Talk {
    handle: Handle,
    orders: Orders,
    questions: Option<Questions>,
    settings: TurnSettings,
    conversation: Option<ConversationId>,
    /// Why what is said is not on disk; raw.
    unsaved: Option<String>,
    /// Servers that may not start before a person has seen their command; None: it was answered.
    asks: BTreeMap<ServerName, Option<ServerStatus>>,
    /// What was last told of each server.
    servers: BTreeMap<ServerName, ServerStatus>,
    /// The first question of the demo, until something was asked: enter on the empty line sends it.
    first: Option<&'static str>,
    /// What came while a line was typed: told before the next prompt.
    said: Vec<String>,
    turn: u64,
}

/// What a line asks for.
enum Wish {
    Say(String),
    Retry,
    Continue,
    New,
    Help,
    Nothing,
    /// With this exit code.
    Leave(u8),
}

impl Talk {
    async fn go_on(&mut self, mut parts: Vec<Part>, args: &SessionArgs) -> u8 {
        let mut stops = Box::pin(stops());
        while let Ok(Some(events)) = timeout(FIRST_NEWS, self.handle.next()).await {
            self.note(&events);
        }
        loop {
            let wish = match parts.is_empty() {
                true => self.wish(&mut stops).await,
                false => Wish::Say(String::new()),
            };
            let (turn, settings) = (TurnId(self.turn + 1), self.settings.clone());
            let order = match (wish, &self.conversation) {
                (Wish::Leave(code), _) => return code,
                (Wish::Nothing, _) => continue,
                (Wish::Help, _) => {
                    eprintln!("{HELP}");
                    continue;
                }
                (Wish::New, _) => {
                    self.conversation = None;
                    eprintln!("A new conversation.");
                    continue;
                }
                (Wish::Retry | Wish::Continue, None) => {
                    eprintln!("There is nothing to answer yet.");
                    continue;
                }
                (Wish::Retry, Some(conversation)) => Order::AskAgain {
                    turn,
                    conversation: conversation.clone(),
                    question: None,
                    settings: Box::new(settings),
                },
                (Wish::Continue, Some(conversation)) => {
                    Order::Continue { turn, conversation: conversation.clone(), settings: Box::new(settings) }
                }
                (Wish::Say(text), conversation) => {
                    if !text.is_empty() {
                        parts.push(Part::text(text));
                    }
                    let (conversation, parts) = (conversation.clone(), std::mem::take(&mut parts));
                    Order::Submit(Box::new(Submit { turn, conversation, parent: Parent::Newest, parts, settings }))
                }
            };
            self.turn += 1;
            self.orders.send(order);
            let mut questions = self.questions.take();
            if let Some(questions) = &mut questions {
                self.servers.values().for_each(|status| questions.note(status));
            }
            let options = asked::options(args, turn);
            let (out, err) = (tokio::io::stdout(), tokio::io::stderr());
            let code = headless::run_at(&mut *self, options, out, err, &mut stops, &mut questions).await;
            self.questions = questions;
            // A stopped answer is no reason to leave; a terminal that is gone is.
            if matches!(code, 129 | 143) {
                return code;
            }
        }
    }

    /// Asks what servers and the person want, until there is something to do.
    async fn wish(&mut self, stops: &mut (impl Stream<Item = Stop> + Unpin)) -> Wish {
        if let Some(code) = self.consent(stops).await {
            return Wish::Leave(code);
        }
        for line in self.said.drain(..) {
            eprintln!("{}", sanitize(&line).one_line());
        }
        let mut text = String::new();
        loop {
            eprint!("{}", if text.is_empty() { "> " } else { "… " });
            let line = match self.line(false, stops).await {
                Ok(Some(line)) => line,
                Ok(None) => {
                    eprintln!();
                    return Wish::Leave(0);
                }
                Err(code) => {
                    eprintln!();
                    return Wish::Leave(code);
                }
            };
            let line = line.trim_end_matches(['\r', '\n']);
            match line.strip_suffix('\\') {
                Some(begun) => {
                    text.push_str(begun);
                    text.push('\n');
                }
                None => {
                    text.push_str(line);
                    break;
                }
            }
        }
        let first = self.first.take();
        match text.trim() {
            "" => first.map_or(Wish::Nothing, |first| Wish::Say(first.to_owned())),
            "/quit" | "/exit" | "/q" => Wish::Leave(0),
            "/retry" => Wish::Retry,
            "/continue" => Wish::Continue,
            "/new" => Wish::New,
            "/help" | "?" => Wish::Help,
            word if word.starts_with('/') && !word.contains(char::is_whitespace) => {
                eprintln!("There is no {} here.\n{HELP}", sanitize(word));
                Wish::Nothing
            }
            text => Wish::Say(text.to_owned()),
        }
    }

    /// Asks about each server that may not start unasked, one after another. The exit code where the person left.
    async fn consent(&mut self, stops: &mut (impl Stream<Item = Stop> + Unpin)) -> Option<u8> {
        while let Some(status) = self.asks.values_mut().find_map(Option::take) {
            let name = sanitize(status.server.as_str()).one_line();
            let what = match status.transport {
                "stdio" => format!("Start \"{name}\"? This program will run as you:"),
                _ => format!("Connect to \"{name}\"? Your tools will be told of by:"),
            };
            eprint!("{what} {}\n[n] not now  [y] start  [A] start from now on: ", visible(&status.line).one_line());
            let line = match self.line(true, stops).await {
                Ok(line) => line.unwrap_or_default(),
                Err(code) => return Some(code),
            };
            let action = match line.trim() {
                "y" | "Y" | "yes" => ServerAction::Start,
                "A" => ServerAction::StartAlways,
                _ => continue,
            };
            self.orders.send(Order::Server { server: status.server, action });
        }
        None
    }

    /// A typed line, while news are taken note of; Err: the exit code of a signal.
    async fn line(
        &mut self,
        fresh: bool,
        stops: &mut (impl Stream<Item = Stop> + Unpin),
    ) -> Result<Option<String>, u8> {
        let Some(mut questions) = self.questions.take() else { return Ok(None) };
        let line = {
            let mut typed = pin!(questions.line(fresh));
            let mut open = true;
            loop {
                tokio::select! {
                    biased;
                    Some(stop) = stops.next() => match stop {
                        Stop::Signal(code) => break Err(code),
                        Stop::OutputClosed => break Ok(None),
                    },
                    line = &mut typed => break Ok(line),
                    events = self.handle.next(), if open => match events {
                        Some(events) => self.note(&events),
                        None => open = false,
                    },
                }
            }
        };
        self.questions = Some(questions);
        line
    }

    /// Takes note of what came between two turns.
    fn note(&mut self, events: &[Stamped<TurnEvent>]) {
        for event in events {
            match &event.body {
                TurnEvent::Notice { message, .. } => self.said.push(message.clone()),
                TurnEvent::Error { fault, .. } => self.said.push(fault.message.clone()),
                TurnEvent::Server(status) if status.state == ServerState::Failed => {
                    let why = status.message.as_deref().unwrap_or("it failed");
                    self.said.push(format!("{}: {why}", status.server.as_str()));
                }
                _ => {}
            }
            self.watch(&event.body);
        }
    }

    /// What matters beyond one turn.
    fn watch(&mut self, event: &TurnEvent) {
        if let TurnEvent::Server(status) = event {
            self.servers.insert(status.server.clone(), status.clone());
        }
        match event {
            TurnEvent::Started { conversation, .. } => self.conversation = Some(conversation.clone()),
            TurnEvent::Unsaved { reason } => self.unsaved = Some(reason.clone()),
            TurnEvent::Saved { .. } => self.unsaved = None,
            TurnEvent::Server(status) if status.state == ServerState::NeedsConsent => {
                self.asks.entry(status.server.clone()).or_insert_with(|| Some(status.clone()));
            }
            _ => {}
        }
    }
}

impl Source for &mut Talk {
    async fn next(&mut self) -> Option<Vec<Stamped<TurnEvent>>> {
        let events = self.handle.next().await?;
        for event in &events {
            self.watch(&event.body);
        }
        Some(events)
    }

    fn order(&self, order: Order) {
        self.orders.send(order);
    }
}
