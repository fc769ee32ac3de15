//! One call, from its order to its end.
//!
//! # Invariants
//! - It is sent once. Nothing here, on any path, sends it again.
//! - `Sent` comes before any progress and any answer; the last progress comes before the answer.
//! - Whoever stops waiting tells the server, and says truthfully whether the call may have run.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use rmcp::model::ServerResult;
use rmcp::service::RequestHandle;
use rmcp::{RoleClient, ServiceError};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::chat::Limits;

use super::connection::Connection;
use super::failure::{Failure, FailureKind};
use super::inquiry::UnderWay;
use super::report::Gate;
use super::server::{Order, Phase, until_or_never};
use super::tap::{Departure, Progress, Reply, Waiter};
use super::ticket::{CallEnd, CallEvent, CallOrder};

/// How long a cancelled call's truth is awaited.
const GRACE: Duration = Duration::from_secs(2);

/// What a call needs to know of its server.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub phase: watch::Receiver<Phase>,
    pub orders: mpsc::Sender<Order>,
    pub limits: Arc<Limits>,
    /// The longest a call of this server may take.
    pub longest: Duration,
    /// What a person does where it wants to know who asks.
    pub how_to_sign_in: Arc<str>,
}

/// Starts a call. Where its server is ready the request is queued before this returns, so that calls leave in the
/// order in which they were ordered; the rest happens on a task of its own.
pub(super) fn start(order: CallOrder, line: Line, events: mpsc::UnboundedSender<CallEvent>, stop: CancellationToken) {
    let ready = match &*line.phase.borrow() {
        Phase::Ready(connection) => Some(connection.clone()),
        Phase::Off(_) | Phase::Starting | Phase::Failed(_) => None,
    };
    let waiter = Waiter::of_call(order.call.clone());
    let queued = ready.and_then(|connection| {
        // Pending only where a thousand requests are queued already; then it waits its turn on its task.
        let send = connection.send_call(order.tool.clone(), order.arguments.clone(), waiter.clone());
        tokio::task::unconstrained(send).now_or_never().map(|handle| (connection, handle))
    });
    tokio::spawn(async move {
        let end = match queued {
            Some((connection, handle)) => {
                let under_way = connection.asker.call(order.call);
                Call::follow(connection, handle, waiter, under_way, &line, &events, &stop).await
            }
            None => later(order, &line, &events, &stop).await,
        };
        let _ = events.send(CallEvent::Ended(end));
    });
}

/// Waits until the server is ready, then calls.
async fn later(
    order: CallOrder,
    line: &Line,
    events: &mpsc::UnboundedSender<CallEvent>,
    stop: &CancellationToken,
) -> CallEnd {
    let mut phase = line.phase.clone();
    let connection = tokio::select! {
        biased;
        () = stop.cancelled() => return CallEnd::Cancelled { acknowledged: true },
        ready = ready(&mut phase) => match ready {
            Ok(connection) => connection,
            Err(message) => return CallEnd::NotSent { message },
        },
    };
    let waiter = Waiter::of_call(order.call.clone());
    let under_way = connection.asker.call(order.call);
    let handle = connection.send_call(order.tool, order.arguments, waiter.clone()).await;
    Call::follow(connection, handle, waiter, under_way, line, events, stop).await
}

async fn ready(phase: &mut watch::Receiver<Phase>) -> Result<Arc<Connection>, String> {
    loop {
        match &*phase.borrow_and_update() {
            Phase::Ready(connection) => return Ok(connection.clone()),
            Phase::Off(reason) | Phase::Failed(reason) => return Err(reason.clone()),
            Phase::Starting => {}
        }
        if phase.changed().await.is_err() {
            return Err("the server was removed".to_owned());
        }
    }
}

/// A call whose request was handed to the SDK.
struct Call<'a> {
    connection: Arc<Connection>,
    handle: RequestHandle<RoleClient>,
    waiter: Waiter,
    /// Whether it waits for a person.
    under_way: UnderWay,
    line: &'a Line,
    events: &'a mpsc::UnboundedSender<CallEvent>,
    told_sent: bool,
    /// Progress that came too fast to be told yet.
    pending: Option<Progress>,
    gate: Gate,
}

type Answer = Result<Result<ServerResult, ServiceError>, tokio::sync::oneshot::error::RecvError>;

impl<'a> Call<'a> {
    async fn follow(
        connection: Arc<Connection>,
        handle: Result<RequestHandle<RoleClient>, ServiceError>,
        waiter: Waiter,
        under_way: UnderWay,
        line: &'a Line,
        events: &'a mpsc::UnboundedSender<CallEvent>,
        stop: &CancellationToken,
    ) -> CallEnd {
        let handle = match handle {
            Ok(handle) => handle,
            Err(error) => {
                return CallEnd::NotSent { message: format!("its connection has ended: {error}") };
            }
        };
        let id = handle.id.clone();
        let gate = Gate::new(line.limits.messages_per_second);
        let mut call = Self {
            connection: connection.clone(),
            handle,
            waiter,
            under_way,
            line,
            events,
            told_sent: false,
            pending: None,
            gate,
        };
        let end = call.run(stop).await;
        connection.tap.forget(&id);
        end
    }

    async fn run(&mut self, stop: &CancellationToken) -> CallEnd {
        let begun = Instant::now();
        let mut hard = begun + self.line.longest;
        let mut idle = begun + self.line.limits.call_idle;
        let mut answer = None;
        let mut asking_since = None;
        loop {
            // A person's time is not the call's.
            if self.under_way.waits() {
                asking_since.get_or_insert_with(Instant::now);
            } else if let Some(since) = asking_since.take() {
                let now = Instant::now();
                hard += now - since;
                idle = now + self.line.limits.call_idle;
            }
            let over = asking_since.is_none().then(|| idle.min(hard));
            let due = match self.pending.as_ref().and_then(|_| self.gate.opens()) {
                Some(opens) => Some(over.map_or(opens, |over| over.min(opens))),
                None => over,
            };
            tokio::select! {
                biased;
                () = self.waiter.changed() => {}
                got = &mut self.handle.rx, if answer.is_none() => answer = Some(got),
                () = stop.cancelled() => return self.cancel().await,
                () = self.under_way.changed() => {}
                () = until_or_never(due) => {}
            }
            let now = Instant::now();
            if self.tell_sent() {
                idle = now + self.line.limits.call_idle;
            }
            if let Some(progress) = self.waiter.take_progress() {
                idle = now + self.line.limits.call_idle;
                self.pending = Some(progress);
            }
            if let Some(reply) = self.waiter.take_reply() {
                return self.end_of_reply(reply).await;
            }
            if let Some(answer) = answer.take() {
                return self.end_of_answer(answer).await;
            }
            if self.pending.is_some() && self.gate.pass(now).is_some() {
                self.tell_pending();
            }
            if over.is_some_and(|over| now >= over) {
                return self.time_out().await;
            }
        }
    }

    /// Tells of the departure, once.
    fn tell_sent(&mut self) -> bool {
        let now = !self.told_sent && self.waiter.departure() == Departure::Sent;
        if now {
            self.told_sent = true;
            let _ = self.events.send(CallEvent::Sent);
        }
        now
    }

    fn tell_pending(&mut self) {
        if let Some(Progress { progress, total, message }) = self.pending.take() {
            let _ = self.events.send(CallEvent::Progress { progress, total, message });
        }
    }

    /// Whether the server may have received it.
    fn may_have_left(&self) -> bool {
        matches!(self.waiter.departure(), Departure::Leaving | Departure::Sent)
    }

    /// The server's own word, as it came.
    async fn end_of_reply(&mut self, reply: Reply) -> CallEnd {
        if !matches!(reply, Reply::Gone(_)) && !self.told_sent {
            // The answer overtook the news of the departure.
            self.told_sent = true;
            let _ = self.events.send(CallEvent::Sent);
        }
        self.tell_pending();
        match reply {
            Reply::Error { message, .. } if !self.connection.late_replies && is_session_lost(&message) => {
                self.session_ended().await
            }
            Reply::Gone(message) => CallEnd::ServerGone { sent: self.may_have_left(), message },
            reply @ (Reply::Result(_) | Reply::Error { .. }) => of_reply(reply),
        }
    }

    /// The SDK's word, where the tap heard nothing.
    async fn end_of_answer(&mut self, answer: Answer) -> CallEnd {
        self.tell_pending();
        let sent = self.may_have_left();
        let Ok(answer) = answer else {
            return CallEnd::ServerGone { sent, message: "the connection was closed".to_owned() };
        };
        match answer {
            Ok(result) => match serde_json::to_value(result) {
                Ok(result) => CallEnd::Result(result),
                Err(error) => CallEnd::RpcError { code: 0, message: format!("the result cannot be read: {error}") },
            },
            Err(ServiceError::McpError(error)) => {
                CallEnd::RpcError { code: error.code.0.into(), message: error.message.into_owned() }
            }
            Err(ServiceError::TransportSend(error)) => self.end_of_post(&*error.error).await,
            Err(ServiceError::TransportClosed) => {
                CallEnd::ServerGone { sent, message: "the connection broke before the answer".to_owned() }
            }
            Err(error) => CallEnd::ServerGone { sent, message: error.to_string() },
        }
    }

    /// A request that HTTP did not carry to an answer.
    async fn end_of_post(&self, error: &(dyn std::error::Error + Send + Sync + 'static)) -> CallEnd {
        let failure = Failure::of_transport(error).with_sign_in(&self.line.how_to_sign_in);
        match failure.kind {
            FailureKind::SessionEnded => self.session_ended().await,
            FailureKind::Status(code) => CallEnd::RpcError { code: code.into(), message: failure.reason },
            FailureKind::NeedsLogin => {
                self.reconnect(&failure.reason).await;
                CallEnd::NotSent { message: failure.line() }
            }
            // Its other tools go on; that one is missing something is told with the next state.
            FailureKind::NeedsMore => {
                let _ = self.line.orders.send(Order::Refresh).await;
                CallEnd::NotSent { message: failure.line() }
            }
            FailureKind::Unreachable | FailureKind::CannotStart => {
                self.reconnect(&failure.reason).await;
                CallEnd::ServerGone { sent: false, message: failure.reason }
            }
            FailureKind::Protocol | FailureKind::TimedOut | FailureKind::Gone => {
                CallEnd::ServerGone { sent: self.may_have_left(), message: failure.reason }
            }
        }
    }

    /// The server turned the call away because it forgot us. The next one meets a new session.
    async fn session_ended(&self) -> CallEnd {
        self.reconnect("it had ended the session").await;
        CallEnd::NotSent { message: "the server had ended the session; it is being connected again".to_owned() }
    }

    async fn reconnect(&self, reason: &str) {
        let order = Order::Broken { generation: self.connection.generation, reason: reason.to_owned() };
        let _ = self.line.orders.send(order).await;
    }

    async fn time_out(&mut self) -> CallEnd {
        self.tell_pending();
        if self.waiter.withdraw() {
            return CallEnd::TimedOut { sent: false };
        }
        self.connection.tell_cancelled(self.handle.id.clone(), "no answer in time").await;
        CallEnd::TimedOut { sent: true }
    }

    /// Stopped by its caller: the server is told, and its last word awaited for a moment.
    async fn cancel(&mut self) -> CallEnd {
        self.under_way.end();
        if self.waiter.withdraw() {
            return CallEnd::Cancelled { acknowledged: true };
        }
        let last_word = async {
            self.connection.tell_cancelled(self.handle.id.clone(), "cancelled by the user").await;
            if self.connection.late_replies {
                self.waiter.answered().await;
            }
        };
        let _ = tokio::time::timeout(GRACE, last_word).await;
        self.tell_sent();
        match self.waiter.take_reply() {
            Some(Reply::Result(result)) if unfinished(&result).is_none() => CallEnd::Result(result),
            Some(Reply::Error { code, message }) if !is_cancellation(code, &message) => {
                // It failed by itself while the word to stop was on its way.
                CallEnd::RpcError { code, message }
            }
            Some(Reply::Result(_) | Reply::Error { .. }) => CallEnd::Cancelled { acknowledged: true },
            Some(Reply::Gone(_)) | None => CallEnd::Cancelled { acknowledged: false },
        }
    }
}

/// What a message that answers a call says of its end, whenever and wherever it was received.
#[must_use]
pub fn answered(mut message: Value) -> CallEnd {
    of_reply(Reply::of(&mut message))
}

fn of_reply(reply: Reply) -> CallEnd {
    match reply {
        Reply::Result(result) => match unfinished(&result) {
            None => CallEnd::Result(result),
            Some(message) => CallEnd::RpcError { code: 0, message },
        },
        Reply::Error { code, message } => CallEnd::RpcError { code, message },
        Reply::Gone(message) => CallEnd::ServerGone { sent: true, message },
    }
}

/// A result that is not the end of the call. None: it is, also where it does not say.
fn unfinished(result: &Value) -> Option<String> {
    match result.get("resultType").and_then(Value::as_str) {
        None | Some("complete") => None,
        Some("input_required") => {
            Some("the tool asks the user for input, which millrace does not answer yet; it did not finish".to_owned())
        }
        Some(other) => Some(format!("the server answered with a result of the unknown type {other:?}")),
    }
}

/// Whether an error says that the call was stopped as asked: by its code (LSP's, which servers took over), or in words.
fn is_cancellation(code: i64, message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    code == -32800 || ["cancel", "abort"].iter().any(|word| message.contains(word))
}

/// Servers answer a forgotten session with 404, as they should, or with an error that says so.
fn is_session_lost(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("session")
        && ["not found", "no valid", "invalid", "expired", "unknown"].iter().any(|word| message.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_complete_result_is_a_result() {
        assert_eq!(unfinished(&json!({"content": []})), None);
        assert_eq!(unfinished(&json!("text")), None);
        assert_eq!(unfinished(&json!({"resultType": "complete"})), None);
        assert!(unfinished(&json!({"resultType": "input_required"})).is_some());
        assert!(unfinished(&json!({"resultType": "novel"})).is_some());
    }

    #[test]
    fn a_lost_session_is_known_by_its_words() {
        assert!(is_session_lost("Bad Request: No valid session ID provided"));
        assert!(is_session_lost("Session not found"));
        assert!(!is_session_lost("the session of parliament was long"));
    }
}
