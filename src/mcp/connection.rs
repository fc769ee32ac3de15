//! One live connection: how it is opened in the right era, and what can be asked over it.

use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleClient;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CancelledNotification, CancelledNotificationParam, ClientRequest,
    ListToolsRequest, PaginatedRequestParams, ProtocolVersion, RequestId, ServerPeerInfo,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, ClientServiceExt, Peer, PeerRequestOptions, RequestHandle,
    RunningService,
};
use rmcp::transport::Transport;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::chat::{Limits, Wiretap};
use crate::config::{self, ServerEntry};

use super::child::{self, Child};
use super::failure::{Failure, FailureKind};
use super::handler::Handler;
use super::http::{self, Authorise, Params};
use super::inquiry::{Asker, Inquiries};
use super::report::Reporter;
use super::stdio::StdioTransport;
use super::tap::{Ear, Reply, Tap, Waiter};
use super::watchdog::Watchdog;

/// Which of the protocol's two ways a server speaks; remembered, since asking costs a legacy server up to 10 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Era {
    /// `initialize`, up to 2025-11-25.
    Legacy,
    /// `server/discover`, from 2026-07-28.
    Modern,
}

/// What calls and listings need of a connection; shared by all of them.
#[derive(Debug)]
pub(super) struct Connection {
    pub peer: Peer<RoleClient>,
    pub tap: Tap,
    pub era: Era,
    /// Over today's HTTP: which arguments go into headers too.
    pub params: Option<Params>,
    /// A cancelled request may still be answered (over HTTP its stream is gone).
    pub late_replies: bool,
    /// How it asks the person.
    pub asker: Asker,
    /// Told apart from the connections before and after it.
    pub generation: u64,
}

/// A connection with what must be ended at its end.
pub(super) struct Opened {
    pub connection: Arc<Connection>,
    pub service: RunningService<RoleClient, Handler>,
    pub child: Option<Child>,
    pub info: Arc<ServerPeerInfo>,
    pub era: Era,
    pub tools_changed: Arc<Notify>,
}

/// What is needed to open connections to one server.
pub(super) struct Opener<'a> {
    pub entry: &'a ServerEntry,
    pub http: &'a reqwest::Client,
    /// Where somebody signs in to the server.
    pub authorise: Option<&'a Arc<dyn Authorise>>,
    pub limits: &'a Limits,
    pub reporter: &'a Reporter,
    pub generation: u64,
    pub watchdog: Option<&'a Arc<Watchdog>>,
    pub inquiries: &'a Inquiries,
    pub wiretap: Option<&'a Arc<dyn Wiretap>>,
}

/// A failed attempt, with what the server last said.
pub(super) struct OpenError {
    pub failure: Failure,
    pub stderr: Vec<String>,
    /// Another way of greeting it may work.
    other_era: bool,
}

impl Opener<'_> {
    /// Opens a connection. A server of unknown era is greeted the modern way first; one that dies of it is started
    /// again and greeted the old way. Bounded by the caller; dropping the future ends the child.
    pub(super) async fn open(&self, known: Option<Era>) -> Result<Opened, OpenError> {
        let (first, second) = match known {
            None | Some(Era::Modern) => (auto(), ClientLifecycleMode::Initialize),
            Some(Era::Legacy) => (ClientLifecycleMode::Initialize, auto()),
        };
        match self.attempt(first).await {
            Err(error) if error.other_era => self.attempt(second).await,
            settled => settled,
        }
    }

    async fn attempt(&self, mode: ClientLifecycleMode) -> Result<Opened, OpenError> {
        let tap = Tap::new(self.wiretap.map(|tap| Ear {
            server: self.entry.name.clone(),
            connection: self.generation,
            tap: Arc::clone(tap),
        }));
        let line = usize::try_from(self.limits.line).unwrap_or(usize::MAX);
        let plain = |failure| OpenError { failure, stderr: Vec::new(), other_era: false };
        match &self.entry.transport {
            config::Transport::Stdio { command, args, env, cwd } => {
                let keep = usize::try_from(self.limits.stderr).unwrap_or(usize::MAX);
                let (child, pipes) =
                    child::spawn(command, args, env, cwd.as_deref(), keep, self.watchdog.cloned()).map_err(plain)?;
                let transport =
                    StdioTransport::new(pipes.stdout, pipes.stdin, tap.clone(), self.reporter.clone(), line);
                self.greet(transport, mode, tap, None, Some(child)).await
            }
            config::Transport::Http { url, headers } => {
                let door = http::door(self.http, url, headers, self.authorise.cloned(), line).map_err(plain)?;
                let params = Params::default();
                let transport = http::streamable(door, url, tap.clone(), params.clone());
                self.greet(transport, mode, tap, Some(params), None).await
            }
            config::Transport::Sse { .. } => Err(plain(
                Failure::cannot_start("millrace does not speak the old HTTP+SSE transport yet")
                    .hinted(Some("Most such servers also speak Streamable HTTP: leave out `transport`, try /mcp.")),
            )),
            config::Transport::SimpleRpc { .. } => {
                Err(plain(Failure::cannot_start("millrace does not speak the bare JSON-RPC transport yet")))
            }
        }
    }

    async fn greet<T>(
        &self,
        transport: T,
        mode: ClientLifecycleMode,
        tap: Tap,
        params: Option<Params>,
        child: Option<Child>,
    ) -> Result<Opened, OpenError>
    where
        T: Transport<RoleClient> + 'static,
    {
        let tools_changed = Arc::new(Notify::new());
        let asker = Asker::new(self.inquiries.clone(), self.entry.name.clone(), self.reporter.clone());
        let handler = Handler::new(self.reporter.clone(), tools_changed.clone(), asker.clone(), tap.clone());
        let late_replies = child.is_some();
        let service = match handler.serve_with_lifecycle(transport, mode).await {
            Ok(service) => service,
            Err(error) => return Err(failed(&error, child).await),
        };
        let Some(info) = service.peer().peer_info() else {
            return Err(
                refused(service, child, Failure::new(FailureKind::Protocol, "it did not introduce itself")).await
            );
        };
        if !ProtocolVersion::KNOWN_VERSIONS.contains(&info.protocol_version) {
            let failure = Failure::version(info.protocol_version.as_str());
            return Err(refused(service, child, failure).await);
        }
        let era = if info.protocol_version.has_initialize() { Era::Legacy } else { Era::Modern };
        let peer = service.peer().clone();
        let connection =
            Arc::new(Connection { peer, tap, era, params, late_replies, asker, generation: self.generation });
        Ok(Opened { connection, service, child, info, era, tools_changed })
    }
}

fn auto() -> ClientLifecycleMode {
    ClientLifecycleMode::Auto {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
    }
}

async fn failed(error: &ClientInitializeError, child: Option<Child>) -> OpenError {
    let mut failure = Failure::of_handshake(error);
    let mut stderr = Vec::new();
    let was_child = child.is_some();
    if let Some(mut child) = child {
        let status = child.exited(Duration::from_millis(300)).await;
        if let (FailureKind::Gone, Some(status)) = (failure.kind, status) {
            failure.reason = format!("it ended before it was ready ({status})");
        }
        let tail = child.stderr();
        drop(child);
        stderr = tail.last(STDERR_LINES);
        if failure.kind == FailureKind::Gone && failure.hint.is_none() && !stderr.is_empty() {
            failure.hint = Some("Its last words are in its log.".to_owned());
        }
    }
    let other_era = match failure.kind {
        FailureKind::CannotStart
        | FailureKind::Unreachable
        | FailureKind::NeedsLogin
        | FailureKind::NeedsMore
        | FailureKind::TimedOut => false,
        FailureKind::Protocol | FailureKind::Status(..500) => true,
        FailureKind::Status(500..) | FailureKind::SessionEnded => false,
        FailureKind::Gone => was_child,
    };
    OpenError { failure, stderr, other_era }
}

async fn refused(
    mut service: RunningService<RoleClient, Handler>,
    child: Option<Child>,
    failure: Failure,
) -> OpenError {
    let _ = service.close_with_timeout(Duration::from_secs(3)).await;
    if let Some(child) = child {
        child.end().await;
    }
    OpenError { failure, stderr: Vec::new(), other_era: false }
}

/// How many lines of its standard error a failed server's status shows.
pub(super) const STDERR_LINES: usize = 12;

/// A server's tools as it wrote them, and remarks about limits that acted.
#[derive(Debug, Default)]
pub(super) struct Tools {
    pub tools: Vec<Value>,
    pub remarks: Vec<String>,
}

impl Connection {
    /// Lists the tools, page by page.
    ///
    /// # Errors
    /// Where the server fails, does not answer within `limits.server_start`, or answers something else.
    pub(super) async fn list_tools(&self, limits: &Limits) -> Result<Tools, Failure> {
        let deadline = Instant::now() + limits.server_start;
        let most = usize::try_from(limits.tools).unwrap_or(usize::MAX);
        let mut found = Tools::default();
        let mut cursor = None;
        let mut seen = std::collections::HashSet::new();
        for page in 1.. {
            let mut answer = self.page(cursor.take(), deadline).await?;
            let Some(tools) = answer.get_mut("tools").and_then(Value::as_array_mut) else {
                return Err(Failure::new(FailureKind::Protocol, "its list of tools is not a list"));
            };
            found.tools.append(tools);
            if found.tools.len() > most {
                found.tools.truncate(most);
                found.remarks.push(format!("it lists more than {most} tools; the rest is left out"));
                break;
            }
            // An empty string is a cursor like any other; only its absence is the end.
            let Some(next) = answer.get("nextCursor").and_then(Value::as_str) else { break };
            if !seen.insert(next.to_owned()) {
                found.remarks.push("its list of tools goes in circles; what came so far is used".to_owned());
                break;
            }
            if page >= limits.tool_pages {
                found.remarks.push(format!("its list of tools has more than {page} pages; the rest is left out"));
                break;
            }
            cursor = Some(next.to_owned());
        }
        if let (Era::Modern, Some(params)) = (self.era, &self.params) {
            found.remarks.append(&mut params.learn(&mut found.tools));
        }
        Ok(found)
    }

    async fn page(&self, cursor: Option<String>, deadline: Instant) -> Result<Value, Failure> {
        let waiter = Waiter::default();
        let mut request = ListToolsRequest::with_param(PaginatedRequestParams::default().with_cursor(cursor));
        request.extensions.insert(waiter.clone());
        let late = || Failure::new(FailureKind::TimedOut, "it did not list its tools in time");
        let gone = |_| Failure::new(FailureKind::Gone, "it ended the connection while listing its tools");
        let mut handle = self
            .peer
            .send_cancellable_request(ClientRequest::ListToolsRequest(request), PeerRequestOptions::no_options())
            .await
            .map_err(gone)?;
        let answer = tokio::time::timeout_at(deadline, async {
            tokio::select! {
                biased;
                () = waiter.answered() => None,
                answer = &mut handle.rx => Some(answer),
            }
        })
        .await;
        self.tap.forget(&handle.id);
        let Ok(answer) = answer else {
            let _ = tokio::time::timeout(Duration::from_secs(1), handle.cancel(None)).await;
            return Err(late());
        };
        match (waiter.take_reply(), answer) {
            (Some(Reply::Result(result)), _) => Ok(result),
            (Some(Reply::Error { message, .. }), _) => {
                Err(Failure::new(FailureKind::Protocol, format!("it does not list its tools: {message}")))
            }
            (Some(Reply::Gone(_)), _) | (None, None | Some(Err(_))) => Err(gone(rmcp::ServiceError::TransportClosed)),
            (None, Some(Ok(Ok(result)))) => serde_json::to_value(result)
                .map_err(|error| Failure::new(FailureKind::Protocol, format!("its list of tools is broken: {error}"))),
            (None, Some(Ok(Err(rmcp::ServiceError::TransportSend(error))))) => {
                Err(Failure::of_transport(error.error.as_ref()))
            }
            (None, Some(Ok(Err(error)))) => Err(Failure::new(FailureKind::Gone, error.to_string())),
        }
    }

    /// Hands a call to the SDK. It has not left yet when this returns; `waiter` will know.
    pub(super) async fn send_call(
        &self,
        tool: String,
        arguments: Map<String, Value>,
        waiter: Waiter,
    ) -> Result<RequestHandle<RoleClient>, rmcp::ServiceError> {
        let mut request = CallToolRequest::new(CallToolRequestParams::new(tool).with_arguments(arguments));
        request.extensions.insert(waiter);
        self.peer
            .send_cancellable_request(ClientRequest::CallToolRequest(request), PeerRequestOptions::no_options())
            .await
    }

    /// Tells the server that a request is no longer wanted. Waits until that was handed over, at most 2 s.
    pub(super) async fn tell_cancelled(&self, id: RequestId, reason: &str) {
        let params = CancelledNotificationParam::new(Some(id), Some(reason.to_owned()));
        let notification = CancelledNotification::new(params);
        let told = self.peer.send_notification(notification.into());
        if tokio::time::timeout(Duration::from_secs(2), told).await.is_err() {
            tracing::debug!("a cancellation could not be handed over");
        }
    }
}
