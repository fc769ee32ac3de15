//! One live connection: what can be asked over it.

#![expect(deprecated, reason = "the protocol deprecates logging and roots, but servers still use them")]

use rmcp::RoleClient;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CancelledNotification, CancelledNotificationParam, ClientRequest,
    CustomRequest, GetExtensions, GetMeta, InputResponses, ListToolsRequest, PaginatedRequestParams, ProgressToken,
    RequestId, ServerCapabilities, ServerPeerInfo, ServerResult, SetLevelRequest, SetLevelRequestParams,
};
use rmcp::service::{Peer, PeerRequestOptions, RequestHandle, ServiceError};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::chat::{CallId, Limits, LoggingLevel};

use super::bare::Bare;
use super::failure::{Failure, FailureKind};
use super::handler::level_to;
use super::http::Params;
use super::inquiry::Asker;
use super::open::Way;
use super::tap::{Reply, Tap, TaskWatch, Waiter};
use super::task;
use super::ticket::CallOrder;

/// The least and the most time that a list of tools is taken as it is, whatever its server says.
const FRESH: std::ops::RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(3600);

/// What calls and listings need of a connection; shared by all of them.
#[derive(Debug)]
pub(super) struct Connection {
    pub link: Link,
    pub way: Way,
    /// A cancelled request may still be answered (over Streamable HTTP its stream is gone).
    pub late_replies: bool,
    /// How it asks the person.
    pub asker: Asker,
    /// From which level on the server is asked for log messages.
    pub log_level: Mutex<Option<LoggingLevel>>,
    /// Told apart from the connections before and after it.
    pub generation: u64,
    /// The tools that can only be called as tasks (2025-11-25), as they were last listed.
    pub as_tasks: Mutex<HashSet<String>>,
}

/// What is at its other end.
#[derive(Debug)]
pub(super) enum Link {
    Mcp {
        peer: Peer<RoleClient>,
        tap: Tap,
        /// Over Streamable HTTP: which arguments go into headers too.
        params: Option<Params>,
    },
    Bare(Bare),
}

/// What a server says of itself. Nothing of it is verified.
#[derive(Debug)]
pub(super) struct Info {
    pub protocol_version: String,
    pub instructions: Option<String>,
    pub capabilities: ServerCapabilities,
}

impl Info {
    pub(super) fn of(info: &ServerPeerInfo) -> Self {
        Self {
            protocol_version: info.protocol_version.as_str().to_owned(),
            instructions: info.instructions.clone(),
            capabilities: info.capabilities.clone(),
        }
    }

    /// Of a server that has tools and nothing else, and does not say so.
    pub(super) fn bare() -> Self {
        Self {
            protocol_version: "simple-rpc".to_owned(),
            instructions: None,
            capabilities: ServerCapabilities::builder().enable_tools().build(),
        }
    }
}

/// A server's tools as it wrote them, and remarks about limits that acted.
#[derive(Debug, Default)]
pub(super) struct Tools {
    pub tools: Vec<Value>,
    pub remarks: Vec<String>,
    /// How long they may be taken for what they are (`ttlMs`, 2026-07-28); None: it did not say.
    pub fresh: Option<Duration>,
}

/// A call that was handed over. Dropping it lets go of it.
#[derive(Debug)]
pub(super) enum Handed {
    Mcp(Box<RequestHandle<RoleClient>>),
    /// Its answer comes to the waiter alone.
    Bare(#[expect(dead_code, reason = "held for its drop")] JoinSet<()>),
}

pub(super) type Answer = Result<Result<ServerResult, ServiceError>, tokio::sync::oneshot::error::RecvError>;

impl Handed {
    pub(super) fn id(&self) -> Option<&RequestId> {
        match self {
            Self::Mcp(handle) => Some(&handle.id),
            Self::Bare(_) => None,
        }
    }

    pub(super) fn progress_token(&self) -> Option<ProgressToken> {
        match self {
            Self::Mcp(handle) => Some(handle.progress_token.clone()),
            Self::Bare(_) => None,
        }
    }

    /// The SDK's answer. Cancel-safe.
    pub(super) async fn answer(&mut self) -> Answer {
        match self {
            Self::Mcp(handle) => (&mut handle.rx).await,
            Self::Bare(_) => std::future::pending().await,
        }
    }
}

/// What is sent of a call.
#[derive(Clone, Debug)]
pub(super) struct CallRequest {
    pub tool: String,
    pub arguments: Map<String, Value>,
    /// What the server asked for in the round before, and its own state, unread.
    pub inputs: Option<InputResponses>,
    pub state: Option<String>,
    /// It is to run as a task, and its result to be kept for so long (2025-11-25).
    pub task: Option<Duration>,
}

impl Connection {
    /// What is to be sent of a call that takes at most `longest`.
    pub(super) fn request_of(&self, order: &CallOrder, longest: Duration) -> CallRequest {
        let task = self.calls_as_task(&order.tool).then_some(longest);
        CallRequest { tool: order.tool.clone(), arguments: order.arguments.clone(), inputs: None, state: None, task }
    }

    /// Lists the tools, page by page.
    ///
    /// # Errors
    /// Where the server fails, does not answer within `limits.server_start`, or answers something else.
    pub(super) async fn list_tools(&self, limits: &Limits) -> Result<Tools, Failure> {
        let deadline = Instant::now() + limits.server_start;
        let most = usize::try_from(limits.tools).unwrap_or(usize::MAX);
        match &self.link {
            Link::Mcp { peer, tap, params } => {
                let mut found = pages(peer, tap, limits.tool_pages, most, deadline).await?;
                if let (Way::Modern, Some(params)) = (self.way, params) {
                    found.remarks.append(&mut params.learn(&mut found.tools));
                }
                // An extension of 2026-07-28 leaves it to the server; before, it is the tool that says so, and counts
                // only where the server says that it runs tasks at all.
                if self.way != Way::Modern && tap.runs_tasks() {
                    let required = found.tools.iter().filter(|tool| task::is_required(tool));
                    let names = required.filter_map(|tool| tool.get("name")?.as_str()).map(str::to_owned);
                    *held(&self.as_tasks) = names.collect();
                }
                Ok(found)
            }
            Link::Bare(bare) => {
                let listed = tokio::time::timeout_at(deadline, bare.list_tools()).await.map_err(|_| late())??;
                let mut found = Tools { tools: listed, ..Tools::default() };
                found.cut(most);
                Ok(found)
            }
        }
    }

    /// In the modern era each request says which log messages are wanted while it is answered.
    pub(super) fn ask_for_log(&self, request: &mut ClientRequest) {
        let level = *held(&self.log_level);
        if let (Way::Modern, Some(level)) = (self.way, level) {
            request.get_meta_mut().set_log_level(level_to(level));
        }
    }

    /// Tells the server that its folders have changed: in the old era, where it was told that it may ask for them.
    pub(super) fn announce_roots(&self) {
        let (Link::Mcp { peer, .. }, Way::Legacy | Way::Sse, true) = (&self.link, self.way, self.asker.offers_roots())
        else {
            return;
        };
        let peer = peer.clone();
        tokio::spawn(async move {
            let told = tokio::time::timeout(Duration::from_secs(2), peer.notify_roots_list_changed());
            if !matches!(told.await, Ok(Ok(()))) {
                tracing::debug!("a change of folders could not be announced");
            }
        });
    }

    /// From now on log messages from this level on are wanted.
    pub(super) fn want_log(&self, level: LoggingLevel) {
        *held(&self.log_level) = Some(level);
    }

    /// In the old era it is asked once.
    ///
    /// # Errors
    /// Where the server refuses, is gone, or does not answer within `limits.server_start`.
    pub(super) async fn set_log_level(&self, level: LoggingLevel, limits: &Limits) -> Result<(), Failure> {
        let (Link::Mcp { peer, tap, .. }, Way::Legacy | Way::Sse) = (&self.link, self.way) else { return Ok(()) };
        let request = SetLevelRequest::new(SetLevelRequestParams::new(level_to(level)));
        let deadline = Instant::now() + limits.server_start;
        ask(peer, tap, ClientRequest::SetLevelRequest(request), "take a log level", deadline).await.map(drop)
    }

    /// Asks for the changes of a resource, or for no more of them, up to 2025-11-25.
    ///
    /// # Errors
    /// Where the server refuses, is gone, or does not answer within `limit`.
    pub(super) async fn subscribe(&self, uri: &str, on: bool, limit: Duration) -> Result<(), Failure> {
        let Link::Mcp { peer, tap, .. } = &self.link else {
            return Err(Failure::new(FailureKind::Protocol, "it has no resources"));
        };
        let (method, what) = match on {
            true => ("resources/subscribe", "tell of its changes"),
            false => ("resources/unsubscribe", "end a subscription"),
        };
        ask(peer, tap, custom(method, json!({"uri": uri})), what, Instant::now() + limit).await.map(drop)
    }

    /// Hands a call over. It may not have left yet when this returns; `waiter` will know.
    pub(super) async fn send_call(&self, call: CallRequest, waiter: Waiter) -> Result<Handed, ServiceError> {
        match &self.link {
            Link::Mcp { peer, .. } => {
                let mut request = match call.task {
                    // The SDK does not know tasks of the core.
                    Some(ttl) => custom(
                        "tools/call",
                        json!({"name": call.tool, "arguments": call.arguments, "task": {"ttl": ms(ttl)}}),
                    ),
                    None => {
                        let mut params = CallToolRequestParams::new(call.tool).with_arguments(call.arguments);
                        params.input_responses = call.inputs;
                        params.request_state = call.state;
                        ClientRequest::CallToolRequest(CallToolRequest::new(params))
                    }
                };
                request.extensions_mut().insert(waiter);
                self.ask_for_log(&mut request);
                peer.send_cancellable_request(request, PeerRequestOptions::no_options())
                    .await
                    .map(|handle| Handed::Mcp(Box::new(handle)))
            }
            Link::Bare(bare) => Ok(Handed::Bare(bare.call(&call.tool, call.arguments, waiter))),
        }
    }

    /// Asks about a task, and waits at most `limit` for the answer. `call`: the answer may be the call's.
    pub(super) async fn ask_of_task(
        self: Arc<Self>,
        method: &'static str,
        params: Value,
        call: Option<CallId>,
        limit: Duration,
    ) -> Reply {
        let Link::Mcp { peer, tap, .. } = &self.link else { return Reply::Gone("it has no tasks".to_owned()) };
        let waiter = call.map_or_else(Waiter::default, Waiter::of_call);
        let mut request = custom(method, params);
        request.extensions_mut().insert(waiter.clone());
        let sent = peer.send_cancellable_request(request, PeerRequestOptions::no_options()).await;
        let mut handle = match sent {
            Ok(handle) => handle,
            Err(error) => return Reply::Gone(format!("its connection has ended: {error}")),
        };
        let _seat = Seat { tap, id: handle.id.clone() };
        let answer = tokio::time::timeout(limit, async {
            tokio::select! {
                biased;
                () = waiter.answered() => None,
                answer = &mut handle.rx => Some(answer),
            }
        });
        let Ok(answer) = answer.await else {
            return Reply::Failed(Failure::new(FailureKind::TimedOut, format!("it did not answer {method} in time")));
        };
        match (waiter.take_reply(), answer) {
            (Some(reply), _) => reply,
            (None, Some(Ok(Ok(result)))) => serde_json::to_value(result).map_or_else(
                |error| Reply::Failed(Failure::new(FailureKind::Protocol, error.to_string())),
                Reply::Result,
            ),
            (None, Some(Ok(Err(ServiceError::McpError(error))))) => {
                Reply::Error { code: error.code.0.into(), message: error.message.into_owned() }
            }
            (None, Some(Ok(Err(ServiceError::TransportSend(error))))) => {
                Reply::Failed(Failure::of_transport(error.error.as_ref()))
            }
            (None, Some(Ok(Err(error)))) => Reply::Failed(Failure::new(FailureKind::Gone, error.to_string())),
            (None, None | Some(Err(_))) => Reply::Gone("the connection was closed".to_owned()),
        }
    }

    /// Tells the server that a request is no longer wanted. Waits until that was handed over, at most 2 s.
    pub(super) async fn tell_cancelled(&self, id: Option<&RequestId>, reason: &str) {
        let (Link::Mcp { peer, .. }, Some(id)) = (&self.link, id) else { return };
        let params = CancelledNotificationParam::new(Some(id.clone()), Some(reason.to_owned()));
        let notification = CancelledNotification::new(params);
        let told = peer.send_notification(notification.into());
        if tokio::time::timeout(Duration::from_secs(2), told).await.is_err() {
            tracing::debug!("a cancellation could not be handed over");
        }
    }

    /// Whether a tool is called as a task (2025-11-25).
    pub(super) fn calls_as_task(&self, tool: &str) -> bool {
        held(&self.as_tasks).contains(tool)
    }

    /// Hears from now on what the server says of a task on its own, and gives its progress to `waiter`.
    pub(super) fn follow_task(&self, id: &str, token: ProgressToken, waiter: Waiter) -> Option<TaskWatch> {
        match &self.link {
            Link::Mcp { tap, .. } => Some(tap.follow_task(id, token, waiter)),
            Link::Bare(_) => None,
        }
    }

    pub(super) fn leave_task(&self, id: &str, token: &ProgressToken) {
        if let Link::Mcp { tap, .. } = &self.link {
            tap.leave_task(id, token);
        }
    }

    /// Forgets a request whose caller has stopped waiting.
    pub(super) fn forget(&self, id: Option<&RequestId>) {
        if let (Link::Mcp { tap, .. }, Some(id)) = (&self.link, id) {
            tap.forget(id);
        }
    }

    /// Tells whoever waits, and whoever comes, that it has ended.
    pub(super) fn close(&self, reason: &str) {
        if let Link::Mcp { tap, .. } = &self.link {
            tap.close(reason);
        }
    }

    /// Why it ended; None while it lives.
    pub(super) fn reason(&self) -> Option<String> {
        match &self.link {
            Link::Mcp { tap, .. } => tap.reason(),
            Link::Bare(_) => None,
        }
    }
}

impl Tools {
    /// Leaves out what is over the limit. True: something was.
    fn cut(&mut self, most: usize) -> bool {
        let over = self.tools.len() > most;
        if over {
            self.tools.truncate(most);
            self.remarks.push(format!("it lists more than {most} tools; the rest is left out"));
        }
        over
    }

    fn is_fresh_for(&mut self, page: &Value) {
        let Some(ttl) = page.get("ttlMs").and_then(Value::as_u64).filter(|ttl| *ttl > 0) else { return };
        let ttl = Duration::from_millis(ttl).clamp(*FRESH.start(), *FRESH.end());
        self.fresh = Some(self.fresh.map_or(ttl, |fresh| fresh.min(ttl)));
    }
}

fn late() -> Failure {
    Failure::new(FailureKind::TimedOut, "it did not list its tools in time")
}

async fn pages(
    peer: &Peer<RoleClient>,
    tap: &Tap,
    most_pages: u32,
    most: usize,
    deadline: Instant,
) -> Result<Tools, Failure> {
    let mut found = Tools::default();
    let mut cursor = None;
    let mut seen = std::collections::HashSet::new();
    for page in 1.. {
        let params = PaginatedRequestParams::default().with_cursor(cursor.take());
        let request = ClientRequest::ListToolsRequest(ListToolsRequest::with_param(params));
        let mut answer = ask(peer, tap, request, "list its tools", deadline).await?;
        found.is_fresh_for(&answer);
        let Some(tools) = answer.get_mut("tools").and_then(Value::as_array_mut) else {
            return Err(Failure::new(FailureKind::Protocol, "its list of tools is not a list"));
        };
        found.tools.append(tools);
        if found.cut(most) {
            break;
        }
        // An empty string is a cursor like any other; only its absence is the end.
        let Some(next) = answer.get("nextCursor").and_then(Value::as_str) else { break };
        if !seen.insert(next.to_owned()) {
            found.remarks.push("its list of tools goes in circles; what came so far is used".to_owned());
            break;
        }
        if page >= most_pages {
            found.remarks.push(format!("its list of tools has more than {most_pages} pages; the rest is left out"));
            break;
        }
        cursor = Some(next.to_owned());
    }
    Ok(found)
}

/// A request's place at the tap, left when nobody waits for it any more.
struct Seat<'a> {
    tap: &'a Tap,
    id: RequestId,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.tap.forget(&self.id);
    }
}

fn custom(method: &str, params: Value) -> ClientRequest {
    ClientRequest::CustomRequest(CustomRequest::new(method, Some(params)))
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks and waits for the answer, as the server wrote it.
/// `what` it does of itself, for people: `list its tools`.
///
/// # Errors
/// Where the server refuses, is gone, or does not answer in time.
pub(super) async fn ask(
    peer: &Peer<RoleClient>,
    tap: &Tap,
    mut request: ClientRequest,
    what: &str,
    deadline: Instant,
) -> Result<Value, Failure> {
    let waiter = Waiter::default();
    request.extensions_mut().insert(waiter.clone());
    let gone = |_| Failure::new(FailureKind::Gone, format!("it ended the connection while it was to {what}"));
    let mut handle = peer.send_cancellable_request(request, PeerRequestOptions::no_options()).await.map_err(gone)?;
    let answer = tokio::time::timeout_at(deadline, async {
        tokio::select! {
            biased;
            () = waiter.answered() => None,
            answer = &mut handle.rx => Some(answer),
        }
    })
    .await;
    tap.forget(&handle.id);
    let Ok(answer) = answer else {
        let _ = tokio::time::timeout(Duration::from_secs(1), handle.cancel(None)).await;
        return Err(Failure::new(FailureKind::TimedOut, format!("it did not {what} in time")));
    };
    match (waiter.take_reply(), answer) {
        (Some(Reply::Result(result)), _) => Ok(result),
        (Some(Reply::Error { message, .. }), _) => {
            Err(Failure::new(FailureKind::Protocol, format!("it does not {what}: {message}")))
        }
        (Some(Reply::Failed(failure)), _) => Err(failure),
        (Some(Reply::Gone(_)), _) | (None, None | Some(Err(_))) => Err(gone(ServiceError::TransportClosed)),
        (None, Some(Ok(Ok(result)))) => serde_json::to_value(result)
            .map_err(|error| Failure::new(FailureKind::Protocol, format!("its answer is broken: {error}"))),
        (None, Some(Ok(Err(ServiceError::TransportSend(error))))) => Err(Failure::of_transport(error.error.as_ref())),
        (None, Some(Ok(Err(error)))) => Err(Failure::new(FailureKind::Gone, error.to_string())),
    }
}
