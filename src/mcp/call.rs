//! One call, from its order to its end.
//!
//! # Invariants
//! - It is sent once. Nothing here, on any path, sends it again.
//! - `Sent` comes before any progress and any answer; the last progress comes before the answer.
//! - Whoever stops waiting tells the server, and says truthfully whether the call may have run.
//! - A call that goes on as a task (`task`) is the same call: one order, one end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use rmcp::ServiceError;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::chat::{InquiryEnd, Limits};

use super::connection::{Answer, CallRequest, Connection, Handed};
use super::failure::{Failure, FailureKind};
use super::inquiry::{UnderWay, Unfulfilled};
use super::report::Gate;
use super::rounds::{Kind, ROUNDS, Required};
use super::server::{Order, Phase, until_or_never};
use super::tap::{Departure, Progress, Reply, Waiter};
use super::task::{self as tasks, Told};
use super::ticket::{CallEnd, CallEvent, CallOrder};

mod input;
mod resume;
mod task;

use task::end_of_task;

/// A header says something else than the body (2026-07-28).
const HEADER_MISMATCH: i64 = -32020;
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
        Phase::Off(_) | Phase::Starting | Phase::Failed { .. } => None,
    };
    let waiter = Waiter::of_call(order.call.clone());
    let queued = ready.and_then(|connection| {
        // Pending only where a thousand requests are queued already; then it waits its turn on its task.
        let send = connection.send_call(connection.request_of(&order, line.longest), waiter.clone());
        tokio::task::unconstrained(send).now_or_never().map(|handed| (connection, handed))
    });
    tokio::spawn(async move {
        let end = match queued {
            Some((connection, handed)) => follow(connection, handed, waiter, order, &line, &events, &stop).await,
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
    let handed = connection.send_call(connection.request_of(&order, line.longest), waiter.clone()).await;
    follow(connection, handed, waiter, order, line, events, stop).await
}

async fn ready(phase: &mut watch::Receiver<Phase>) -> Result<Arc<Connection>, String> {
    loop {
        match &*phase.borrow_and_update() {
            Phase::Ready(connection) => return Ok(connection.clone()),
            Phase::Off(reason) | Phase::Failed { why: reason, .. } => return Err(reason.clone()),
            Phase::Starting => {}
        }
        if phase.changed().await.is_err() {
            return Err("the server was removed".to_owned());
        }
    }
}

async fn follow(
    connection: Arc<Connection>,
    handed: Result<Handed, ServiceError>,
    waiter: Waiter,
    order: CallOrder,
    line: &Line,
    events: &mpsc::UnboundedSender<CallEvent>,
    stop: &CancellationToken,
) -> CallEnd {
    let handle = match handed {
        Ok(handle) => handle,
        Err(error) => return CallEnd::NotSent { message: format!("its connection has ended: {error}") },
    };
    // A task may end the call over another connection, where this number is another request's.
    let first = connection.clone();
    let mut call = Call {
        handle,
        waiter,
        round: 0,
        under_way: connection.asker.call(order.call.clone()),
        line,
        events,
        told_sent: false,
        pending: None,
        last: None,
        status: None,
        gate: Gate::new(line.limits.messages_per_second),
        connection,
        order,
    };
    let end = call.run(stop).await;
    first.forget(call.handle.id());
    end
}

/// A call whose request was handed over.
struct Call<'a> {
    connection: Arc<Connection>,
    /// The request under way: the first, or that of a later round.
    handle: Handed,
    waiter: Waiter,
    order: CallOrder,
    /// How often its server has come back with a question.
    round: u32,
    /// Whether it waits for a person.
    under_way: UnderWay,
    line: &'a Line,
    events: &'a mpsc::UnboundedSender<CallEvent>,
    told_sent: bool,
    /// Progress that came too fast to be told yet.
    pending: Option<Progress>,
    /// The count that was last told, and its total.
    last: Option<(f64, Option<f64>)>,
    /// What was last told of its task.
    status: Option<String>,
    gate: Gate,
}

impl Call<'_> {
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
                got = self.handle.answer(), if answer.is_none() => answer = Some(got),
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
            match self.waiter.take_reply() {
                Some(Reply::Result(result)) => match Kind::of(&result) {
                    Kind::Input(required) => match self.go_on(required, stop).await {
                        Ok(person) => {
                            // A person's time is not the call's.
                            hard += person;
                            idle = Instant::now() + self.line.limits.call_idle;
                            answer = None;
                            continue;
                        }
                        Err(end) => return end,
                    },
                    Kind::Complete => match self.task_of(&result) {
                        Some(Ok(told)) => return self.follow_task(told, stop, hard).await,
                        Some(Err(message)) => return self.end_of_reply(Reply::Error { code: 0, message }).await,
                        None => return self.end_of_reply(Reply::Result(result)).await,
                    },
                    Kind::Task(told) => return self.follow_task(*told, stop, hard).await,
                    Kind::Strange(message) => {
                        return self.end_of_reply(Reply::Error { code: 0, message }).await;
                    }
                },
                Some(reply) => return self.end_of_reply(reply).await,
                None => {}
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

    /// The next round of the call: what the server requires is asked of the person, and the request made again with it,
    /// as the protocol wants it (2026-07-28, MRTR). Returns for how long the person was asked.
    ///
    /// # Errors
    /// How the call ends where it cannot go on. Nothing of it runs then: its server waits for nothing.
    async fn go_on(&mut self, required: Required, stop: &CancellationToken) -> Result<Duration, CallEnd> {
        self.tell_sent();
        self.tell_pending();
        self.round += 1;
        if self.round > ROUNDS {
            let message =
                format!("the server came back with a question {ROUNDS} times, and once more; it did not finish");
            return Err(CallEnd::RpcError { code: 0, message });
        }
        let asked = Instant::now();
        let inputs = async {
            match required.pause(self.round) {
                None => {
                    let mut inputs = Map::new();
                    let call = Some(self.order.call.clone());
                    self.connection.asker.fulfil(call, &required.requests, &mut inputs).await.map(|()| Some(inputs))
                }
                Some(pause) => {
                    tokio::time::sleep(pause).await;
                    Ok(None)
                }
            }
        };
        let inputs = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(CallEnd::Cancelled { acknowledged: true }),
            inputs = inputs => inputs.map_err(|why| match why {
                Unfulfilled::Refused(refused) => {
                    let message = format!("the server asks for what it cannot have: {refused}; it did not finish");
                    CallEnd::RpcError { code: refused.code.into(), message }
                }
                Unfulfilled::Over(InquiryEnd::Gone) => {
                    CallEnd::ServerGone { sent: true, message: "its connection ended while it asked you".to_owned() }
                }
                Unfulfilled::Over(
                    InquiryEnd::CallEnded | InquiryEnd::Withdrawn | InquiryEnd::TooLate | InquiryEnd::Answered,
                ) => CallEnd::Cancelled { acknowledged: true },
            })?,
        };
        let person = if inputs.is_some() { asked.elapsed() } else { Duration::ZERO };
        let request = CallRequest {
            inputs: inputs.map(|inputs| inputs.into_iter().collect()),
            state: required.state,
            ..self.connection.request_of(&self.order, self.line.longest)
        };
        self.waiter = Waiter::of_call(self.order.call.clone());
        match self.connection.send_call(request, self.waiter.clone()).await {
            Ok(handle) => self.handle = handle,
            Err(error) => {
                let message = format!("its connection ended before it had what it asked for: {error}");
                return Err(CallEnd::ServerGone { sent: true, message });
            }
        }
        Ok(person)
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
            self.last = Some((progress, total));
            let _ = self.events.send(CallEvent::Progress { progress, total, message });
        }
    }

    /// Whether the server may have received it.
    fn may_have_left(&self) -> bool {
        matches!(self.waiter.departure(), Departure::Leaving | Departure::Sent)
    }

    /// The task that the answer to a call made as one tells of (2025-11-25); None: the server answered the call itself.
    fn task_of(&self, result: &Value) -> Option<Result<Told, String>> {
        let task = result.get("task").filter(|_| self.connection.calls_as_task(&self.order.tool))?;
        Some(Told::read(task))
    }

    /// The server's own word, as it came.
    async fn end_of_reply(&mut self, reply: Reply) -> CallEnd {
        if matches!(reply, Reply::Result(_) | Reply::Error { .. }) && !self.told_sent {
            // The answer overtook the news of the departure.
            self.told_sent = true;
            let _ = self.events.send(CallEvent::Sent);
        }
        self.tell_pending();
        match reply {
            Reply::Result(result) => CallEnd::Result(result),
            Reply::Error { code: HEADER_MISMATCH, message } => self.headers_differ(&message).await,
            Reply::Error { message, .. } if !self.connection.late_replies && is_session_lost(&message) => {
                self.session_ended().await
            }
            Reply::Error { code, message } => CallEnd::RpcError { code, message },
            Reply::Gone(message) => CallEnd::ServerGone { sent: self.may_have_left(), message },
            Reply::Failed(failure) => self.end_of_failure(failure).await,
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
            Err(ServiceError::TransportSend(error)) => self.end_of_failure(Failure::of_transport(&*error.error)).await,
            Err(ServiceError::TransportClosed) => {
                CallEnd::ServerGone { sent, message: "the connection broke before the answer".to_owned() }
            }
            Err(error) => CallEnd::ServerGone { sent, message: error.to_string() },
        }
    }

    /// A request that HTTP did not carry to an answer.
    async fn end_of_failure(&self, failure: Failure) -> CallEnd {
        let failure = failure.with_sign_in(&self.line.how_to_sign_in);
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

    /// The server turned the call away because a header does not say what the request says: its list has changed
    /// (2026-07-28, HeaderMismatch). The list is read again; whether to call again is not ours to say.
    async fn headers_differ(&self, message: &str) -> CallEnd {
        let _ = self.line.orders.send(Order::Refresh).await;
        let message = format!(
            "the server turned the call away: {message}. Its tools are being listed again; the call did not run and can be made again"
        );
        CallEnd::NotSent { message }
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
        self.connection.tell_cancelled(self.handle.id(), "no answer in time").await;
        CallEnd::TimedOut { sent: true }
    }

    /// Stopped by its caller: the server is told, and its last word awaited for a moment.
    async fn cancel(&mut self) -> CallEnd {
        self.under_way.end();
        if self.waiter.withdraw() {
            return CallEnd::Cancelled { acknowledged: true };
        }
        let last_word = async {
            self.connection.tell_cancelled(self.handle.id(), "cancelled by the user").await;
            if self.connection.late_replies {
                self.waiter.answered().await;
            }
        };
        let _ = tokio::time::timeout(GRACE, last_word).await;
        self.tell_sent();
        let reply = self.waiter.take_reply();
        if let Some(Reply::Result(result)) = &reply {
            let task = match (Kind::of(result), self.task_of(result)) {
                (Kind::Task(told), _) => Some(*told),
                (_, Some(Ok(told))) => Some(told),
                (Kind::Complete | Kind::Input(_) | Kind::Strange(_), Some(Err(_)) | None) => None,
            };
            if let Some(told) = task {
                return self.cancel_task(&told).await;
            }
        }
        match reply {
            Some(Reply::Result(result)) if Kind::of(&result) == Kind::Complete => CallEnd::Result(result),
            Some(Reply::Error { code, message }) if !is_cancellation(code, &message) => {
                // It failed by itself while the word to stop was on its way.
                CallEnd::RpcError { code, message }
            }
            Some(Reply::Result(_) | Reply::Error { .. }) => CallEnd::Cancelled { acknowledged: true },
            Some(Reply::Gone(_) | Reply::Failed(_)) | None => CallEnd::Cancelled { acknowledged: false },
        }
    }
}

/// What a message that answers a call says of its end, whenever and wherever it was received.
#[must_use]
pub fn answered(mut message: Value) -> CallEnd {
    match Reply::of(&mut message) {
        Reply::Result(result) => match Kind::of(&result) {
            Kind::Complete => match tasks::ended(&result) {
                Some(told) => end_of_task(told),
                None => CallEnd::Result(result),
            },
            Kind::Strange(message) => CallEnd::RpcError { code: 0, message },
            Kind::Input(_) => {
                CallEnd::RpcError { code: 0, message: "the server asked for input; it did not finish".to_owned() }
            }
            Kind::Task(_) => {
                CallEnd::ServerGone { sent: true, message: "the server went on with it as a task".to_owned() }
            }
        },
        Reply::Error { code, message } => CallEnd::RpcError { code, message },
        Reply::Gone(message) => CallEnd::ServerGone { sent: true, message },
        Reply::Failed(failure) => CallEnd::ServerGone { sent: true, message: failure.reason },
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

    #[test]
    fn a_lost_session_is_known_by_its_words() {
        assert!(is_session_lost("Bad Request: No valid session ID provided"));
        assert!(is_session_lost("Session not found"));
        assert!(!is_session_lost("the session of parliament was long"));
    }
}
