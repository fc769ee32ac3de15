//! The tool servers through the MCP host.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use tokio::sync::{Notify, mpsc};

use crate::chat::{
    CallId, Fault, FaultKind, InquiryAnswer, InquiryId, ServerAction, ServerName, ServerQuery, ServerReply,
    ServerState, SignInStep,
};
use crate::config::{Consent, ServerEntry};
use crate::engine::port::{Answer, CallEnd, Events, ServerCall, ServerCallEvent, ServerEvent, Servers};
use crate::mcp::{self, CallEvent, CallOrder, CallTicket, Host, HostEvent, LogLevel};

/// What a person decided about a server for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It may start.
    Consent,
    /// Its hints are believed, or no longer.
    Trust(bool),
}

/// Told of what is to be kept; it writes that down.
pub type Keep = Box<dyn Fn(&ServerEntry, Kept) + Send + Sync>;

/// The host with its entries.
pub struct LiveServers {
    host: Host,
    entries: Mutex<HashMap<ServerName, ServerEntry>>,
    states: Arc<Mutex<HashMap<ServerName, ServerState>>>,
    cancels: Arc<Mutex<HashMap<CallId, Arc<Notify>>>>,
    keep: Keep,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LiveServers {
    /// Starts every entry that may start; the receiver is the engine's. Must be called on the engine's runtime.
    #[must_use]
    pub fn start(
        host: Host,
        mut events: mpsc::Receiver<HostEvent>,
        entries: Vec<ServerEntry>,
        keep: Keep,
    ) -> (Self, mpsc::Receiver<ServerEvent>) {
        let (out, receiver) = mpsc::channel(64);
        let states: Arc<Mutex<HashMap<ServerName, ServerState>>> = Arc::default();
        let seen = Arc::clone(&states);
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                let event = match event {
                    HostEvent::Status(status) => {
                        held(&seen).insert(status.server.clone(), status.state);
                        ServerEvent::Status(status)
                    }
                    HostEvent::Listing(listing) => ServerEvent::Listing(listing),
                    HostEvent::Log { server, level: LogLevel::Warning | LogLevel::Error, text, said: false } => {
                        ServerEvent::Notice { server, message: text }
                    }
                    HostEvent::News { server, news } => ServerEvent::News { server, news },
                    HostEvent::Inquiry(inquiry) => ServerEvent::Inquiry(inquiry),
                    HostEvent::InquiryEnded { id, end } => ServerEvent::InquiryEnded { id, end },
                    HostEvent::SignIn { server, stage } => ServerEvent::SignIn { server, stage },
                    // Its own messages are in its log, never in the chat.
                    HostEvent::Log { .. } => continue,
                };
                if out.send(event).await.is_err() {
                    return;
                }
            }
        });
        for entry in &entries {
            host.start(entry.clone());
        }
        let entries = entries.into_iter().map(|entry| (entry.name.clone(), entry)).collect();
        let servers = Self { host, entries: Mutex::new(entries), states, cancels: Arc::default(), keep };
        (servers, receiver)
    }

    /// A server that was found or added while the program runs.
    pub fn add(&self, entry: ServerEntry) {
        self.host.start(entry.clone());
        held(&self.entries).insert(entry.name.clone(), entry);
    }

    fn start_one(&self, server: &ServerName, for_good: bool) {
        let Some(entry) = held(&self.entries).get_mut(server).map(|entry| {
            entry.consent = Consent::Given;
            // Switched off in its configuration, and switched on by a person: for this session.
            if entry.is_switched_off() {
                entry.disabled = None;
            }
            entry.clone()
        }) else {
            return;
        };
        if for_good {
            (self.keep)(&entry, Kept::Consent);
        }
        self.host.start(entry);
    }
}

impl Servers for LiveServers {
    fn call(&self, order: ServerCall) -> Events<ServerCallEvent> {
        let ServerCall { call, tool, arguments } = order;
        let starting = matches!(held(&self.states).get(&tool.server), None | Some(ServerState::Starting));
        let cancel = Arc::new(Notify::new());
        held(&self.cancels).insert(call.clone(), Arc::clone(&cancel));
        let order =
            CallOrder { call: call.clone(), server: tool.server.clone(), tool: tool.tool.to_string(), arguments };
        let calling = Calling {
            ticket: self.host.call(order),
            cancel,
            sent: false,
            cancelled: false,
            _entry: Entry { call, cancels: Arc::clone(&self.cancels) },
        };
        let events = futures_util::stream::unfold(calling, |mut calling| async move {
            let event = calling.next().await?;
            Some((event, calling))
        });
        match starting {
            true => futures_util::stream::once(async { ServerCallEvent::Held }).chain(events).boxed(),
            false => events.boxed(),
        }
    }

    fn cancel(&self, call: &CallId) {
        if let Some(cancel) = held(&self.cancels).get(call) {
            cancel.notify_one();
        }
    }

    fn query(&self, server: &ServerName, query: ServerQuery) -> Answer<'static, Result<ServerReply, Fault>> {
        let (name, answer) = (server.as_str().to_owned(), self.host.query(server, query));
        Box::pin(async move {
            answer.await.map_err(|failure| {
                let fault = Fault::new(FaultKind::Protocol, format!("{name}: {}", failure.reason));
                match failure.hint {
                    Some(hint) => fault.hint(hint),
                    None => fault,
                }
            })
        })
    }

    fn answer(&self, id: InquiryId, answer: InquiryAnswer) {
        if !self.host.answer(id, answer) {
            tracing::debug!(id = id.0, "an answer came too late");
        }
    }

    fn act(&self, server: &ServerName, action: ServerAction) {
        match action {
            ServerAction::Start => self.start_one(server, false),
            ServerAction::StartAlways => self.start_one(server, true),
            ServerAction::Restart => self.host.restart(server),
            ServerAction::Refresh => self.host.refresh(server),
            ServerAction::Off => self.host.stop(server),
            ServerAction::Look => self.host.look(server),
            ServerAction::Log(level) => self.host.log(server, level),
            ServerAction::AddRoot(root) => self.host.add_root(server, root),
            ServerAction::RemoveRoot(uri) => self.host.remove_root(server, &uri),
            // For now it is the registry's business; later starts are told by what is kept.
            ServerAction::Trust | ServerAction::Distrust => {
                if let Some(entry) = held(&self.entries).get(server) {
                    (self.keep)(entry, Kept::Trust(action == ServerAction::Trust));
                }
            }
        }
    }

    fn sign_in(&self, server: &ServerName, step: SignInStep) {
        self.host.sign_in(server, step);
    }

    fn shutdown(&self) -> Answer<'_, ()> {
        Box::pin(self.host.shutdown())
    }
}

/// A call's place among those that can be cancelled, for as long as it lasts.
struct Entry {
    call: CallId,
    cancels: Arc<Mutex<HashMap<CallId, Arc<Notify>>>>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        held(&self.cancels).remove(&self.call);
    }
}

struct Calling {
    ticket: CallTicket,
    cancel: Arc<Notify>,
    sent: bool,
    cancelled: bool,
    _entry: Entry,
}

impl Calling {
    async fn next(&mut self) -> Option<ServerCallEvent> {
        loop {
            let event = tokio::select! {
                event = self.ticket.next() => event?,
                () = self.cancel.notified(), if !self.cancelled => {
                    self.cancelled = true;
                    self.ticket.cancel();
                    continue;
                }
            };
            return Some(match event {
                CallEvent::Sent => {
                    self.sent = true;
                    ServerCallEvent::Sent
                }
                CallEvent::Progress { progress, total, message } => {
                    ServerCallEvent::Progress { progress, total, message }
                }
                CallEvent::Ended(end) => ServerCallEvent::Ended(call_end(end, self.sent)),
            });
        }
    }
}

/// How a call came back, in the engine's words. `sent`: its departure was told.
#[must_use]
pub fn call_end(end: mcp::CallEnd, sent: bool) -> CallEnd {
    match end {
        mcp::CallEnd::Result(value) => CallEnd::Result(value),
        mcp::CallEnd::RpcError { code, message } => CallEnd::Refused { message: format!("{message} (code {code})") },
        mcp::CallEnd::TimedOut { sent: true } => {
            CallEnd::TimedOut { sent: true, message: "no answer and no sign of progress in time".into() }
        }
        mcp::CallEnd::TimedOut { sent: false } => {
            CallEnd::TimedOut { sent: false, message: "its server was not ready in time".into() }
        }
        mcp::CallEnd::Cancelled { acknowledged } => CallEnd::Cancelled { sent, acknowledged },
        mcp::CallEnd::ServerGone { sent, message } => CallEnd::Gone { sent, message },
        mcp::CallEnd::NotSent { message } => CallEnd::Gone { sent: false, message },
    }
}
