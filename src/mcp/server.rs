//! The task of one server: connect, list, watch, restart, end.
//!
//! # Invariants
//! - It is in one named state at any time, and every way out of a state is told.
//! - Calls are let through only after the live list of tools was told.
//! - A server that dies is started again after 1, 5 and 25 s, and then no more until a person says so. One that has
//!   been up for a minute has earned three new attempts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rmcp::model::SubscriptionFilter;
use rmcp::service::QuitReason;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::chat::{Limits, LoggingLevel, ServerExit, ServerState, ServerStatus, Wiretap, duration_text};
use crate::config::{Consent, ServerEntry, Transport};
use crate::tools::Listing;

use super::cache::{self, Known, Recalled};
use super::child::{Child, StderrTail};
use super::connection::{Connection, Info, Link};
use super::event::LogLevel;
use super::failure::{Failure, FailureKind};
use super::http::Authorise;
use super::inquiry::{Inquiries, Roots};
use super::listen::listen;
use super::oauth::Access;
use super::open::{Opened, Opener, STDERR_LINES, Way};
use super::report::Reporter;
use super::subscribe;
use super::watchdog::Watchdog;
use super::watches::Watches;

/// Before each restart.
const BACK_OFF: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(25)];
/// After so long a life the attempts count anew.
const STABLE: Duration = Duration::from_secs(60);
/// Several announcements of a change are one.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// How often the list is read again without being asked.
const REFRESH: Duration = Duration::from_secs(600);

/// What the task of a server can be told.
#[derive(Debug)]
pub(super) enum Order {
    Restart,
    Refresh,
    /// Tell the status anew, with what it holds and what it said.
    Look,
    /// Ask for log messages from this level on.
    Log(LoggingLevel),
    /// Its folders are others now.
    Roots,
    /// A call found this connection unusable.
    Broken {
        generation: u64,
        reason: String,
    },
}

/// Whether calls can be made.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    Off(String),
    Starting,
    Ready(Arc<Connection>),
    /// `again`: it is tried again by itself.
    Failed {
        why: String,
        again: bool,
    },
}

pub(super) struct Server {
    pub entry: Arc<ServerEntry>,
    pub http: reqwest::Client,
    /// Where somebody signs in to it.
    pub authorise: Option<Arc<dyn Authorise>>,
    pub access: Option<Arc<Access>>,
    pub how_to_sign_in: Arc<str>,
    pub limits: Arc<Limits>,
    pub cache: Option<PathBuf>,
    pub watchdog: Option<Arc<Watchdog>>,
    pub inquiries: Inquiries,
    pub roots: Roots,
    pub wiretap: Option<Arc<dyn Wiretap>>,
    /// The resources whose changes it is to tell of.
    pub watches: Watches,
    /// It is not tried again by itself.
    pub once: bool,
    pub reporter: Reporter,
    pub phase: watch::Sender<Phase>,
    pub orders: mpsc::Receiver<Order>,
    /// Ends the task, politely.
    pub stop: CancellationToken,
    pub status: ServerStatus,
    pub known_way: Option<Way>,
    pub generation: u64,
    /// Of the last list that was told.
    pub fingerprint: Option<String>,
    /// From which level on log messages are asked for.
    pub log_level: Option<LoggingLevel>,
    /// When the connection of now, or the attempt at one, began.
    pub begun: Option<Instant>,
}

/// Why a connection, or the attempt at one, is over.
enum Over {
    Stop,
    Restart,
    Failed { failure: Failure, stderr: Vec<String>, lived: Duration },
}

impl Server {
    pub(super) async fn run(mut self) {
        if let Some(reason) = self.entry.disabled.clone() {
            return self.rest(ServerState::Off, reason).await;
        }
        if self.entry.consent == Consent::NeedsPerson {
            let reason = "it may not start before a person has seen its command".to_owned();
            return self.rest(ServerState::NeedsConsent, reason).await;
        }
        let mut telling = JoinSet::new();
        telling.spawn(self.watches.clone().tell(self.reporter.clone()));
        self.recall().await;
        let mut attempts = 0;
        loop {
            match self.live().await {
                Over::Stop => break,
                Over::Restart => attempts = 0,
                Over::Failed { failure, stderr, lived } => {
                    if lived >= STABLE {
                        attempts = 0;
                    }
                    let again = failure.may_pass() && !self.once;
                    let pause = if again && (lived > Duration::ZERO || attempts > 0 || self.is_http()) {
                        BACK_OFF.get(attempts).map(|pause| failure.pause.unwrap_or_default().max(*pause))
                    } else {
                        None
                    };
                    attempts += 1;
                    self.status.life.failures = u32::try_from(attempts).unwrap_or(u32::MAX);
                    self.status.life.retry_in_ms = pause.and_then(|pause| u64::try_from(pause.as_millis()).ok());
                    let lived = self.begun.map_or(Duration::ZERO, |begun| begun.elapsed());
                    self.status.life.exit = failure.exit.map(|exit| obituary(exit, self.status.pid, lived));
                    self.fail(&failure, stderr, pause).await;
                    if self.wait(pause).await.is_stop() {
                        break;
                    }
                }
            }
        }
        self.phase.send_replace(Phase::Off("it was switched off".to_owned()));
        self.status.stderr.clear();
        self.tell(ServerState::Off, None).await;
    }

    fn is_http(&self) -> bool {
        !matches!(self.entry.transport, Transport::Stdio { .. })
    }

    /// A server that is not to be started: says so, and waits to be dropped.
    async fn rest(&mut self, state: ServerState, reason: String) {
        self.phase.send_replace(Phase::Off(reason.clone()));
        self.tell(state, Some(reason)).await;
        self.stop.cancelled().await;
    }

    /// Tells the tools that were known, before the server is up.
    async fn recall(&mut self) {
        let Some(folder) = self.cache.clone() else { return };
        let entry = self.entry.entry_hash.clone();
        match tokio::task::spawn_blocking(move || cache::recall(&folder, &entry)).await {
            Ok(Recalled::Known(known)) => {
                self.known_way = Some(known.way);
                self.status.tools = u32::try_from(known.tools.len()).unwrap_or(u32::MAX);
                self.list(known.tools, known.instructions, true).await;
            }
            Ok(Recalled::Broken(notice)) => self.reporter.log(LogLevel::Warning, || notice),
            Ok(Recalled::Nothing) | Err(_) => {}
        }
    }

    async fn list(&self, tools: Vec<serde_json::Value>, instructions: Option<String>, from_cache: bool) {
        let (server, entry) = (self.entry.name.clone(), self.entry.entry_hash.clone());
        self.reporter.listing(Listing { server, entry, tools, instructions, from_cache }).await;
    }

    async fn tell(&mut self, state: ServerState, message: Option<String>) {
        self.status.state = state;
        self.status.message = message;
        if let Some(access) = &self.access {
            self.status.sign_in = access.signed_in();
            if let Some(remark) = access.remark() {
                self.reporter.log(LogLevel::Warning, || remark);
            }
        }
        self.reporter.status(self.status.clone()).await;
    }

    async fn fail(&mut self, failure: &Failure, stderr: Vec<String>, pause: Option<Duration>) {
        let failure = &failure.clone().with_sign_in(&self.how_to_sign_in);
        let mut message = failure.line();
        if let Some(pause) = pause {
            message = format!("{message} Trying again in {} s.", pause.as_secs());
        }
        self.phase.send_replace(Phase::Failed { why: failure.line(), again: pause.is_some() });
        self.status.stderr = stderr;
        self.status.pid = None;
        let state = match failure.kind {
            FailureKind::NeedsLogin | FailureKind::NeedsMore => ServerState::NeedsLogin,
            FailureKind::CannotStart
            | FailureKind::Unreachable
            | FailureKind::Protocol
            | FailureKind::TimedOut
            | FailureKind::Status(_)
            | FailureKind::SessionEnded
            | FailureKind::Gone => ServerState::Failed,
        };
        self.tell(state, Some(message)).await;
    }

    /// After a failure: until the pause is over, or somebody says what next.
    async fn wait(&mut self, pause: Option<Duration>) -> Waited {
        let until = pause.map(|pause| Instant::now() + pause);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Waited::Stop,
                order = self.orders.recv() => match order {
                    Some(Order::Restart | Order::Refresh) => return Waited::Go,
                    Some(Order::Log(level)) => self.log_level = Some(level),
                    Some(Order::Roots) => {
                        self.status.life.roots = self.roots.standing(None);
                        self.reporter.status(self.status.clone()).await;
                    }
                    Some(Order::Broken { .. } | Order::Look) => {}
                    None => return Waited::Stop,
                },
                () = until_or_never(until) => return Waited::Go,
            }
        }
    }

    /// One connection's whole life.
    async fn live(&mut self) -> Over {
        self.phase.send_replace(Phase::Starting);
        self.begun = Some(Instant::now());
        self.status.stderr.clear();
        (self.status.life.retry_in_ms, self.status.life.exit) = (None, None);
        self.tell(ServerState::Starting, None).await;
        self.generation += 1;
        let limit = self.entry.start_timeout.unwrap_or(self.limits.server_start);
        let (entry, reporter) = (self.entry.clone(), self.reporter.clone());
        let opener = Opener {
            entry: &entry,
            http: &self.http,
            authorise: self.authorise.as_ref(),
            limits: &self.limits,
            reporter: &reporter,
            generation: self.generation,
            watchdog: self.watchdog.as_ref(),
            inquiries: &self.inquiries,
            roots: &self.roots,
            wiretap: self.wiretap.as_ref(),
            watches: &self.watches,
        };
        let stop = self.stop.clone();
        let opened = tokio::select! {
            biased;
            () = stop.cancelled() => return Over::Stop,
            opened = tokio::time::timeout(limit, opener.open(self.known_way)) => opened,
        };
        match opened {
            Ok(Ok(opened)) => self.up(Life::of(opened)).await,
            Ok(Err(error)) => Over::Failed { failure: error.failure, stderr: error.stderr, lived: Duration::ZERO },
            Err(_) => {
                let reason = format!("it did not answer within {}", duration_text(limit));
                let failure = Failure::new(FailureKind::TimedOut, reason)
                    .hinted(Some("See its log, or give it longer with `start_timeout`."));
                Over::Failed { failure, stderr: Vec::new(), lived: Duration::ZERO }
            }
        }
    }

    /// A connection that has greeted: its tools are told, then calls are let through until it is over.
    async fn up(&mut self, mut life: Life) -> Over {
        let begun = Instant::now();
        self.known_way = Some(life.connection.way);
        self.status.transport = transport(&self.entry.transport, life.connection.way);
        self.status.pid = life.child.as_ref().and_then(Child::pid);
        self.status.protocol = Some(life.info.protocol_version.clone());
        self.status.life.roots = self.roots.standing(Some(life.connection.asker.offers_roots()));
        let mut failure = match self.relist(&life, true).await {
            Err(failure) => failure,
            Ok(fresh) => {
                // Before the first call: in the new era it is the call that asks.
                self.ask_for_log(&life);
                self.phase.send_replace(Phase::Ready(life.connection.clone()));
                self.tell(ServerState::Ready, None).await;
                let mut listening = life.listen(&self.reporter);
                let resources = life.info.capabilities.resources.as_ref();
                let offered = self.entry.features.watch && resources.is_some_and(|has| has.subscribe == Some(true));
                listening.spawn(subscribe::keep(life.connection.clone(), offered, self.watches.clone()));
                let result = self.watch(&mut life, fresh).await;
                drop(listening);
                self.watches.lost();
                match result {
                    Err(failure) => failure,
                    Ok(ended) => {
                        self.phase.send_replace(Phase::Starting);
                        life.end().await;
                        return ended;
                    }
                }
            }
        };
        // Calls that come now wait for the next connection, or are told why there is none.
        self.phase.send_replace(Phase::Starting);
        let lived = begun.elapsed().max(Duration::from_millis(1));
        let tail = life.tail.clone();
        let status = life.end().await;
        if let (FailureKind::Gone, Some(status)) = (failure.kind, status) {
            failure.reason = format!("{} ({status})", failure.reason);
            failure.exit = Some(status);
        }
        let stderr = tail.map(|tail| tail.last(STDERR_LINES)).unwrap_or_default();
        Over::Failed { failure, stderr, lived }
    }

    /// Waits for whatever ends a connection; keeps its list fresh meanwhile.
    async fn watch(&mut self, life: &mut Life, fresh: Duration) -> Result<Over, Failure> {
        let mut refresh = Instant::now() + fresh;
        let mut changed: Option<Instant> = None;
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(Over::Stop),
                _ = &mut life.running => {
                    life.ended = true;
                    return Err(Failure::new(FailureKind::Gone, life.last_word()));
                }
                order = self.orders.recv() => match order {
                    None => return Ok(Over::Stop),
                    Some(Order::Restart) => return Ok(Over::Restart),
                    Some(Order::Refresh) => {
                        refresh = self.refresh(life, true).await;
                    }
                    Some(Order::Look) => self.look(life, false).await,
                    Some(Order::Log(level)) => {
                        self.log_level = Some(level);
                        self.ask_for_log(life);
                        self.look(life, true).await;
                    }
                    Some(Order::Roots) => {
                        life.connection.announce_roots();
                        self.look(life, true).await;
                    }
                    Some(Order::Broken { generation, reason }) if generation == self.generation => {
                        // A fresh greeting tells whether it is really gone, and in which state that leaves it.
                        self.reporter.log(LogLevel::Info, || format!("connecting again: {reason}"));
                        return Ok(Over::Restart);
                    }
                    Some(Order::Broken { .. }) => {}
                },
                // A steady stream of announcements does not push the reading of the list out for ever: the first
                // one starts the clock.
                () = life.tools_changed.notified() => {
                    changed.get_or_insert_with(|| Instant::now() + DEBOUNCE);
                }
                () = until_or_never(changed) => {
                    changed = None;
                    refresh = self.refresh(life, false).await;
                }
                () = tokio::time::sleep_until(refresh) => {
                    refresh = self.refresh(life, false).await;
                }
            }
        }
    }

    /// Asks the server for the log messages that are wanted, where it says that it can be asked.
    fn ask_for_log(&mut self, life: &Life) {
        let log = &mut self.status.life.log;
        log.asks = life.info.capabilities.logging.is_some();
        let Some(level) = self.log_level.filter(|_| log.asks) else { return };
        log.level = Some(level);
        life.connection.want_log(level);
        let (connection, reporter, limits) =
            (Arc::clone(&life.connection), self.reporter.clone(), Arc::clone(&self.limits));
        tokio::spawn(async move {
            if let Err(failure) = connection.set_log_level(level, &limits).await {
                reporter.log(LogLevel::Warning, || format!("its log level could not be set: {failure}"));
            }
        });
    }

    /// Tells what it holds and what it last said, where that has changed (or `always`).
    async fn look(&mut self, life: &Life, always: bool) {
        let before = (self.status.life.clone(), self.status.stderr.len());
        if let Some(tail) = &life.tail {
            self.status.stderr = tail.last(usize::MAX);
            (self.status.life.stderr_kept, self.status.life.stderr_dropped) = tail.counts();
        }
        (self.status.life.watched, self.status.life.unwatched) = self.watches.counts();
        (self.status.life.log.lines, self.status.life.log.dropped) = self.reporter.messages().kept();
        self.status.life.roots = self.roots.standing(Some(life.connection.asker.offers_roots()));
        if let Some(pid) = self.status.pid {
            self.status.life.memory =
                tokio::task::spawn_blocking(move || super::child::memory(pid)).await.ok().flatten();
        }
        if always || before != (self.status.life.clone(), self.status.stderr.len()) {
            self.tell(ServerState::Ready, None).await;
        }
    }

    /// Reads the list again, and says when to do so next. A failure leaves the old one standing.
    async fn refresh(&mut self, life: &Life, always: bool) -> Instant {
        let fresh = match self.relist(life, always).await {
            Ok(fresh) => {
                self.tell(ServerState::Ready, None).await;
                fresh
            }
            Err(failure) => {
                self.reporter.log(LogLevel::Warning, || format!("its tools could not be listed again: {failure}"));
                failure.pause.unwrap_or(REFRESH)
            }
        };
        Instant::now() + fresh
    }

    /// Reads the live list, tells it where it is new (or `always`), and keeps it. Returns for how long it is fresh.
    async fn relist(&mut self, life: &Life, always: bool) -> Result<Duration, Failure> {
        let found = match life.info.capabilities.tools {
            Some(_) => life.connection.list_tools(&self.limits).await?,
            None => super::connection::Tools::default(),
        };
        let fresh = found.fresh.unwrap_or(REFRESH);
        for remark in found.remarks {
            self.reporter.log(LogLevel::Warning, || remark);
        }
        self.status.tools = u32::try_from(found.tools.len()).unwrap_or(u32::MAX);
        let instructions = life.info.instructions.clone();
        let protocol = life.info.protocol_version.as_str();
        let known = Known::new(
            &self.entry.entry_hash,
            life.connection.way,
            protocol,
            instructions.clone(),
            found.tools.clone(),
        );
        let news = self.fingerprint.as_deref() != Some(&known.sha256);
        if news || always {
            self.fingerprint = Some(known.sha256.clone());
            self.list(found.tools, instructions, false).await;
        }
        if news && let Some(folder) = self.cache.clone() {
            let reporter = self.reporter.clone();
            tokio::task::spawn_blocking(move || {
                if let Err(error) = cache::keep(&folder, &known) {
                    reporter
                        .log(LogLevel::Warning, || format!("its tools could not be kept for the next start: {error}"));
                }
            });
        }
        Ok(fresh)
    }
}

/// How a process ended, as it is told.
fn obituary(exit: std::process::ExitStatus, pid: Option<u32>, lived: Duration) -> ServerExit {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&exit);
    #[cfg(not(unix))]
    let signal = None;
    let after_ms = u64::try_from(lived.as_millis()).unwrap_or(u64::MAX);
    ServerExit { pid, code: exit.code(), signal, after_ms }
}

#[derive(PartialEq)]
enum Waited {
    Go,
    Stop,
}

impl Waited {
    fn is_stop(&self) -> bool {
        *self == Self::Stop
    }
}

/// The word for how a server is reached, once that is known.
fn transport(configured: &Transport, way: Way) -> &'static str {
    match (configured, way) {
        (Transport::Stdio { .. }, _) => "stdio",
        (_, Way::Modern | Way::Legacy) => "http",
        (_, Way::Sse) => "sse",
        (_, Way::SimpleRpc) => "simple-rpc",
    }
}

pub(super) async fn until_or_never(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// An open connection with all that ends with it.
struct Life {
    connection: Arc<Connection>,
    running: JoinHandle<Result<QuitReason, tokio::task::JoinError>>,
    ended: bool,
    quit: CancellationToken,
    /// Where this is dropped without its end, the connection is closed all the same.
    _guard: DropGuard,
    child: Option<Child>,
    tail: Option<StderrTail>,
    info: Arc<Info>,
    tools_changed: Arc<Notify>,
}

impl Life {
    fn of(opened: Opened) -> Self {
        let Opened { connection, service, child, info, tools_changed } = opened;
        let quit = CancellationToken::new();
        let running = tokio::spawn({
            let quit = quit.clone();
            async move {
                let Some(service) = service else {
                    quit.cancelled().await;
                    return Ok(QuitReason::Cancelled);
                };
                let inner = service.cancellation_token();
                let mut waiting = std::pin::pin!(service.waiting());
                tokio::select! {
                    done = &mut waiting => done,
                    () = quit.cancelled() => {
                        inner.cancel();
                        waiting.await
                    }
                }
            }
        });
        let tail = child.as_ref().map(Child::stderr);
        let _guard = quit.clone().drop_guard();
        Self { connection, running, ended: false, quit, _guard, child, tail, info, tools_changed }
    }

    /// Why the connection ended by itself.
    fn last_word(&self) -> String {
        self.connection.reason().unwrap_or_else(|| "it ended the connection".to_owned())
    }

    /// In the modern era changes are announced only to those who listen for them.
    fn listen(&self, reporter: &Reporter) -> JoinSet<()> {
        let has = &self.info.capabilities;
        let mut filter = SubscriptionFilter::new();
        filter.tools_list_changed = has.tools.as_ref().and_then(|tools| tools.list_changed).filter(|on| *on);
        filter.prompts_list_changed = has.prompts.as_ref().and_then(|prompts| prompts.list_changed).filter(|on| *on);
        filter.resources_list_changed =
            has.resources.as_ref().and_then(|resources| resources.list_changed).filter(|on| *on);
        let mut listening = JoinSet::new();
        if let (Link::Mcp { peer, .. }, Way::Modern, true) =
            (&self.connection.link, self.connection.way, filter != SubscriptionFilter::new())
        {
            listening.spawn(listen(peer.clone(), filter, self.tools_changed.clone(), reporter.clone()));
        }
        listening
    }

    /// Closes the connection and ends the child. Returns how the child exited.
    async fn end(mut self) -> Option<std::process::ExitStatus> {
        self.connection.close("the connection was closed");
        self.connection.asker.close();
        self.quit.cancel();
        if !self.ended && tokio::time::timeout(Duration::from_secs(3), &mut self.running).await.is_err() {
            self.running.abort();
        }
        match self.child.take() {
            Some(child) => child.end().await,
            None => None,
        }
    }
}
