//! The host: the servers by name, each on a task of its own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::chat::{
    InquiryAnswer, InquiryId, Limits, LoggingLevel, Root, ServerLife, ServerName, ServerQuery, ServerReply,
    ServerStatus, SignInStage, SignInStep, WatchStanding, Wiretap,
};
use crate::config::{ServerEntry, Transport};

use super::call::{self, Line};
use super::event::HostEvent;
use super::failure::{Failure, FailureKind};
use super::http::Authorise;
use super::inquiry::{Inquiries, Roots};
use super::oauth::{Access, Desk, Running, SignIns};
use super::report::Reporter;
use super::server::{Order, Phase, Server};
use super::ticket::{CallEnd, CallEvent, CallOrder, CallTicket};
use super::watchdog::Watchdog;
use super::watches::Watches;

/// The servers of this process. Cheap to clone; clones share them. Dropping the last one kills what still runs;
/// [`Host::shutdown`] is the polite way.
#[derive(Clone)]
pub struct Host(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    limits: Arc<Limits>,
    cache: Option<PathBuf>,
    events: mpsc::Sender<HostEvent>,
    inquiries: Inquiries,
    /// The folders that each server may be told of, by its entry: what a person changed outlives its task.
    roots: Mutex<HashMap<ServerName, (Arc<ServerEntry>, Roots)>>,
    /// Over the servers' processes, where one was set.
    watchdog: OnceLock<Option<Arc<Watchdog>>>,
    /// Hears every message, where one was set.
    wiretap: OnceLock<Arc<dyn Wiretap>>,
    /// A server that failed is not tried again by itself.
    once: AtomicBool,
    /// Where sign-ins are kept; not set: nobody signs in.
    sign_ins: OnceLock<SignIns>,
    servers: Mutex<HashMap<ServerName, Seat>>,
    /// Sign-ins that wait for a person.
    signing: Mutex<HashMap<ServerName, Running>>,
    /// Tasks of servers that were stopped or replaced, until they have ended.
    leaving: Mutex<Vec<JoinHandle<()>>>,
}

struct Seat {
    line: Line,
    stop: CancellationToken,
    task: JoinHandle<()>,
    entry: Arc<ServerEntry>,
    access: Option<Arc<Access>>,
    watches: Watches,
}

impl Host {
    /// `http` must not follow redirects to another origin, and must have no time-out over a whole response: answers
    /// may stream for as long as a call may take. `cache` is a folder for what was known of servers; None keeps
    /// nothing. The receiver must be read: a full one holds the servers' tasks back, never the calls.
    #[must_use]
    pub fn new(
        http: reqwest::Client,
        limits: Arc<Limits>,
        cache: Option<PathBuf>,
    ) -> (Self, mpsc::Receiver<HostEvent>) {
        let (events, receiver) = mpsc::channel(1024);
        let inner = Inner {
            http,
            inquiries: Inquiries::new(events.clone(), limits.clone()),
            roots: Mutex::default(),
            limits,
            cache,
            events,
            watchdog: OnceLock::new(),
            wiretap: OnceLock::new(),
            once: AtomicBool::new(false),
            sign_ins: OnceLock::new(),
            servers: Mutex::default(),
            signing: Mutex::default(),
            leaving: Mutex::default(),
        };
        (Self(Arc::new(inner)), receiver)
    }

    /// Sets a watchdog over the servers' processes, for the case that this one is killed: `program` is this program's
    /// own file, whose hidden subcommand it is. Call it before the first server is started.
    #[must_use]
    pub fn watched_by(self, program: &Path) -> Self {
        self.0.watchdog.get_or_init(|| Watchdog::start(program).map(Arc::new));
        self
    }

    /// A person is there: what servers ask of them comes as [`HostEvent::Inquiry`], and is to be answered. Without it
    /// they are declined at once.
    #[must_use]
    pub fn attended(self) -> Self {
        self.0.inquiries.attend();
        self
    }

    /// Nobody waits for another attempt: a server that failed has failed. Call it before the first server is started.
    #[must_use]
    pub fn once(self) -> Self {
        self.0.once.store(true, Ordering::Relaxed);
        self
    }

    /// Asks a server for something beside a call. What is to be watched is noted before this returns, whether the server
    /// is ready or not; watching none of a server that is not there is no failure.
    ///
    /// # Errors
    /// Where it is not ready, fails, refuses, or does not answer in time.
    pub fn query(
        &self,
        server: &ServerName,
        query: ServerQuery,
    ) -> impl Future<Output = Result<ServerReply, Failure>> + Send + 'static {
        let noted = self.watch(server, &query);
        let phase = held(&self.0.servers).get(server).map(|seat| seat.line.phase.borrow().clone());
        let (server, limits) = (server.clone(), self.0.limits.clone());
        async move {
            if let Some(noted) = noted {
                return Ok(noted);
            }
            match phase {
                Some(Phase::Ready(connection)) => connection.query(server.as_str(), query, &limits).await,
                Some(Phase::Starting) => Err(Failure::new(FailureKind::Gone, "it is still starting")),
                Some(Phase::Off(reason) | Phase::Failed { why: reason, .. }) => {
                    Err(Failure::new(FailureKind::Gone, reason))
                }
                None => Err(Failure::new(FailureKind::Gone, "there is no such server")),
            }
        }
    }

    /// None: the query is none about watching.
    fn watch(&self, server: &ServerName, query: &ServerQuery) -> Option<ServerReply> {
        let watches = || held(&self.0.servers).get(server).map(|seat| seat.watches.clone());
        match query {
            ServerQuery::Watch { uri } => {
                let standing = watches().map_or(WatchStanding::NotOffered, |watches| watches.want(uri));
                Some(ServerReply::Watch { uri: uri.clone(), standing })
            }
            ServerQuery::Unwatch { uri } => {
                if let Some(watches) = watches() {
                    watches.leave(uri);
                }
                Some(ServerReply::Unwatched)
            }
            ServerQuery::Prompts
            | ServerQuery::Prompt { .. }
            | ServerQuery::Catalog
            | ServerQuery::Read { .. }
            | ServerQuery::Complete { .. } => None,
        }
    }

    /// Answers the question that is open. False: it is over, or the answer does not fit it.
    pub fn answer(&self, id: InquiryId, answer: InquiryAnswer) -> bool {
        self.0.inquiries.answer(id, answer)
    }

    /// Lets servers be used by those who signed in to them. Call it before the first server is started.
    #[must_use]
    pub fn signed_in_by(self, sign_ins: SignIns) -> Self {
        self.0.sign_ins.get_or_init(|| sign_ins);
        self
    }

    /// Lets somebody hear every message from and to the servers. Call it before the first server is started.
    #[must_use]
    pub fn tapped(self, tap: Arc<dyn Wiretap>) -> Self {
        self.0.wiretap.get_or_init(|| tap);
        self
    }

    /// Starts a server in the background. One of the same name is ended first. An entry that is disabled, or needs a
    /// person's consent, is only told of; start it again with the consent given.
    pub fn start(&self, entry: ServerEntry) {
        let (name, entry) = (entry.name.clone(), Arc::new(entry));
        let old = self.leave(&name);
        let access = self.0.sign_ins.get().and_then(|sign_ins| sign_ins.access(entry.clone())).map(Arc::new);
        let how_to_sign_in = how_to_sign_in(&entry, access.as_deref());
        let (orders, order_rx) = mpsc::channel(64);
        let (phase, phase_rx) = watch::channel(Phase::Starting);
        let stop = CancellationToken::new();
        let roots = self.roots_of(&entry);
        let watches = Watches::new(self.0.limits.watched);
        let line = Line {
            phase: phase_rx,
            orders,
            limits: self.0.limits.clone(),
            longest: entry.call_timeout.unwrap_or(self.0.limits.call),
            how_to_sign_in: how_to_sign_in.clone(),
        };
        let server = Server {
            http: self.0.http.clone(),
            authorise: access.clone().map(|access| access as Arc<dyn Authorise>),
            access: access.clone(),
            how_to_sign_in,
            limits: self.0.limits.clone(),
            cache: self.0.cache.clone(),
            watchdog: self.0.watchdog.get().cloned().flatten(),
            inquiries: self.0.inquiries.clone(),
            wiretap: self.0.wiretap.get().cloned(),
            watches: watches.clone(),
            once: self.0.once.load(Ordering::Relaxed),
            reporter: Reporter::new(name.clone(), self.0.events.clone(), self.0.limits.messages_per_second)
                .keeping(self.0.limits.log),
            phase,
            orders: order_rx,
            stop: stop.clone(),
            status: first_status(&entry, &roots, &self.0.limits),
            roots,
            known_way: None,
            generation: 0,
            fingerprint: None,
            begun: None,
            log_level: entry.features.log_level,
            entry: entry.clone(),
        };
        let task = tokio::spawn(async move {
            if let Some(old) = old {
                let _ = old.await;
            }
            server.run().await;
        });
        held(&self.0.servers).insert(name, Seat { line, stop, task, entry, access, watches });
    }

    /// Ends a server, politely, and forgets it.
    pub fn stop(&self, server: &ServerName) {
        if let Some(task) = self.leave(server) {
            let mut leaving = held(&self.0.leaving);
            leaving.retain(|task| !task.is_finished());
            leaving.push(task);
        }
    }

    fn leave(&self, server: &ServerName) -> Option<JoinHandle<()>> {
        let seat = held(&self.0.servers).remove(server)?;
        seat.stop.cancel();
        held(&self.0.signing).remove(server);
        Some(seat.task)
    }

    /// Ends the connection and makes a new one; also from a failed state, with all attempts anew.
    pub fn restart(&self, server: &ServerName) {
        self.order(server, Order::Restart);
    }

    /// Reads the tools again and tells them, changed or not.
    pub fn refresh(&self, server: &ServerName) {
        self.order(server, Order::Refresh);
    }

    /// Has a server's status told anew, with what it holds and what it last said on its standard error.
    pub fn look(&self, server: &ServerName) {
        self.order(server, Order::Look);
    }

    /// Asks a server for log messages from this level on; also after it was restarted.
    pub fn log(&self, server: &ServerName, level: LoggingLevel) {
        self.order(server, Order::Log(level));
    }

    /// Lets a server be told of one more folder until the process ends; one of the old era that may ask hears of it.
    pub fn add_root(&self, server: &ServerName, root: Root) {
        if self.roots_at(server).is_some_and(|roots| roots.add(root)) {
            self.order(server, Order::Roots);
        }
    }

    /// And of one less.
    pub fn remove_root(&self, server: &ServerName, uri: &str) {
        if self.roots_at(server).is_some_and(|roots| roots.remove(uri)) {
            self.order(server, Order::Roots);
        }
    }

    fn roots_at(&self, server: &ServerName) -> Option<Roots> {
        held(&self.0.roots).get(server).map(|(_, roots)| roots.clone())
    }

    /// Those that an entry was last started with, where it still says the same.
    fn roots_of(&self, entry: &Arc<ServerEntry>) -> Roots {
        let mut all = held(&self.0.roots);
        let same = |old: &ServerEntry| old.entry_hash == entry.entry_hash && old.features == entry.features;
        if let Some((old, roots)) = all.get(&entry.name)
            && same(old)
        {
            return roots.clone();
        }
        let roots = Roots::new(&entry.features);
        all.insert(entry.name.clone(), (Arc::clone(entry), roots.clone()));
        roots
    }

    fn order(&self, server: &ServerName, order: Order) {
        if let Some(seat) = held(&self.0.servers).get(server)
            && seat.line.orders.try_send(order).is_err()
        {
            tracing::debug!(server = server.as_str(), "a server is busy with earlier orders");
        }
    }

    /// A person signs in to a server, or out: each step is told by [`HostEvent::SignIn`]. Must be called within a
    /// runtime. A sign-in that waits is called off by another, and with its server.
    pub fn sign_in(&self, server: &ServerName, step: SignInStep) {
        match step {
            SignInStep::Begin => {
                let Some(desk) = self.desk(server) else { return };
                let (host, name) = (Arc::downgrade(&self.0), server.clone());
                let running = Running::start(desk, move || {
                    if let Some(host) = host.upgrade().map(Host) {
                        host.restart(&name);
                    }
                });
                held(&self.0.signing).insert(server.clone(), running);
            }
            SignInStep::Answer(text) => {
                if let Some(running) = held(&self.0.signing).get(server)
                    && !running.paste(text)
                {
                    tracing::debug!(server = server.as_str(), "an answer came to a sign-in that had ended");
                }
            }
            SignInStep::Cancel => drop(held(&self.0.signing).remove(server)),
            SignInStep::Out => {
                held(&self.0.signing).remove(server);
                let Some(desk) = self.desk(server) else { return };
                let (host, name) = (self.clone(), server.clone());
                tokio::spawn(desk.out(move || host.restart(&name)));
            }
        }
    }

    /// None where there is nothing to sign in to, which is told.
    fn desk(&self, server: &ServerName) -> Option<Desk> {
        let seat = held(&self.0.servers).get(server).map(|seat| (seat.entry.clone(), seat.access.clone()));
        if let (Some(sign_ins), Some((entry, Some(access)))) = (self.0.sign_ins.get(), &seat) {
            let (sign_ins, events) = (sign_ins.clone(), self.0.events.clone());
            return Some(Desk { sign_ins, entry: entry.clone(), access: access.clone(), events });
        }
        let message = match seat {
            None => "it is switched off",
            Some(_) => "there is nothing to sign in to",
        };
        let stage = SignInStage::Failed { message: message.to_owned(), hint: None };
        let _ = self.0.events.try_send(HostEvent::SignIn { server: server.clone(), stage });
        None
    }

    /// Makes a call. Calls of one server that is ready leave in the order in which they were ordered; a call to a
    /// server that is starting waits for it. Must be called within a runtime.
    #[must_use]
    pub fn call(&self, order: CallOrder) -> CallTicket {
        let (ticket, events, stop) = CallTicket::new();
        let line = held(&self.0.servers).get(&order.server).map(|seat| seat.line.clone());
        match line {
            Some(line) => call::start(order, line, events, stop),
            None => {
                let message = format!("there is no server {}", order.server.as_str());
                let _ = events.send(CallEvent::Ended(CallEnd::NotSent { message }));
            }
        }
        ticket
    }

    /// Ends every server: their stdin is closed, after 2 s their group is sent SIGTERM, after 2 s more SIGKILL.
    /// Returns when all are gone, at most about 8 s.
    pub async fn shutdown(&self) {
        let seats: Vec<Seat> = held(&self.0.servers).drain().map(|(_, seat)| seat).collect();
        for seat in &seats {
            seat.stop.cancel();
        }
        let leaving = std::mem::take(&mut *held(&self.0.leaving));
        for task in seats.into_iter().map(|seat| seat.task).chain(leaving) {
            let _ = task.await;
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Dropping a task's future drops its child, and that kills the child's group.
        for seat in held(&self.servers).values() {
            seat.task.abort();
        }
        for task in held(&self.leaving).iter() {
            task.abort();
        }
    }
}

/// What a person does about a server that wants to know who asks.
fn how_to_sign_in(entry: &ServerEntry, access: Option<&Access>) -> Arc<str> {
    let own = entry.address().is_some_and(|(_, h)| h.keys().any(|name| name.eq_ignore_ascii_case("authorization")));
    Arc::from(match (access, own) {
        (Some(_), _) => format!("Sign in: millrace mcp login {}", entry.name.as_str()),
        (None, true) => "It does not take the Authorization header of its configuration.".to_owned(),
        (None, false) => "Give it a token: headers = { Authorization = \"Bearer ${env:TOKEN}\" }.".to_owned(),
    })
}

fn first_status(entry: &ServerEntry, roots: &Roots, limits: &Limits) -> ServerStatus {
    let transport = match entry.transport {
        Transport::Stdio { .. } => "stdio",
        Transport::Http { .. } => "http",
        Transport::Sse { .. } => "sse",
        Transport::SimpleRpc { .. } => "simple-rpc",
    };
    ServerStatus {
        life: Box::new(ServerLife {
            roots: roots.standing(None),
            sampling: entry.features.sampling.map(|offer| offer.tokens.unwrap_or(limits.sampling_tokens)),
            ..ServerLife::default()
        }),
        ..ServerStatus::starting(entry.name.clone(), transport, entry.line())
    }
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
