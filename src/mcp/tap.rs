//! The tap on a connection: matches what goes out with what comes in, before the SDK decodes it.
//!
//! The SDK decodes results into closed types: one tool with a broken schema loses the whole list, an unknown content
//! block loses a result, and a result that arrives after its cancellation is thrown away. The tap keeps them as they
//! came, and knows the very moment at which a request left.
//!
//! # Invariants
//! - A request that was withdrawn before its first byte left never leaves.
//! - A waiter gets at most one reply; the first counts.
//! - Progress overwrites progress that was not read yet: a flood costs no memory.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::RoleClient;
use rmcp::model::{
    ClientRequest, CustomResult, GetExtensions, GetMeta, JsonRpcMessage, NumberOrString, ProgressToken, RequestId,
    ServerJsonRpcMessage, ServerResult,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use serde_json::Value;
use tokio::sync::Notify;

use crate::chat::{CallId, Direction, Heard, HttpHead, ServerName, Wiretap, read_json};

use super::failure::Failure;
use super::watches::Watches;

/// What came back for a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply {
    Result(Value),
    Error {
        code: i64,
        message: String,
    },
    /// The connection ended first.
    Gone(String),
    /// The exchange came to nothing; the failure knows whether it reached the server.
    Failed(Failure),
}

impl Reply {
    /// Takes it out of a message that answers a request.
    pub(super) fn of(message: &mut Value) -> Self {
        if let Some(error) = message.get("error") {
            let text = error.get("message").and_then(Value::as_str).or_else(|| error.as_str());
            return Self::Error {
                code: error.get("code").and_then(Value::as_i64).unwrap_or_default(),
                message: text.map_or_else(|| error.to_string(), str::to_owned),
            };
        }
        // An answer with neither is an answer nonetheless; its reader will find that it holds nothing.
        Self::Result(message.get_mut("result").map_or(Value::Null, Value::take))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Progress {
    pub progress: f64,
    pub total: Option<f64>,
    pub message: Option<String>,
}

/// What an incoming message was to the tap.
#[derive(Debug, PartialEq)]
pub(super) enum Seen {
    /// It answered the waiter of this request.
    Answered(NumberOrString),
    /// Progress, a word about a task, a change of a resource: nobody else needs it.
    Consumed,
    Other,
}

/// How far a request got on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Departure {
    Queued,
    /// Its first byte may have left.
    Leaving,
    Sent,
    Withdrawn,
}

/// One request's place at the tap. It travels with the request through the SDK in the message's extensions, which
/// never reach the wire.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiter(Arc<Seat>);

#[derive(Debug, Default)]
struct Seat {
    /// The call that the request makes, where it makes one.
    call: Option<CallId>,
    departure: AtomicU8,
    progress: Mutex<Option<Progress>>,
    reply: Mutex<Option<Reply>>,
    changed: Notify,
}

const QUEUED: u8 = 0;
const LEAVING: u8 = 1;
const SENT: u8 = 2;
const WITHDRAWN: u8 = 3;

impl Waiter {
    pub(super) fn of_call(call: CallId) -> Self {
        Self(Arc::new(Seat { call: Some(call), ..Seat::default() }))
    }

    pub(super) fn call(&self) -> Option<CallId> {
        self.0.call.clone()
    }

    pub(super) fn departure(&self) -> Departure {
        match self.0.departure.load(Ordering::Acquire) {
            QUEUED => Departure::Queued,
            LEAVING => Departure::Leaving,
            SENT => Departure::Sent,
            _ => Departure::Withdrawn,
        }
    }

    /// The transport is about to write the first byte. False: the request was withdrawn and must not leave.
    pub(super) fn leave(&self) -> bool {
        self.step(QUEUED, LEAVING)
    }

    /// The transport has written the last byte.
    pub(super) fn sent(&self) {
        if self.step(LEAVING, SENT) {
            self.0.changed.notify_one();
        }
    }

    /// Takes the request back. False: it has begun to leave.
    pub(super) fn withdraw(&self) -> bool {
        self.step(QUEUED, WITHDRAWN)
    }

    fn step(&self, from: u8, to: u8) -> bool {
        self.0.departure.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Waits until something changed since the last look. Cancel-safe.
    pub(super) async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Waits for the reply. Cancel-safe; the reply stays to be taken.
    pub(super) async fn answered(&self) {
        while held(&self.0.reply).is_none() {
            self.changed().await;
        }
    }

    pub(super) fn take_progress(&self) -> Option<Progress> {
        held(&self.0.progress).take()
    }

    pub(super) fn take_reply(&self) -> Option<Reply> {
        held(&self.0.reply).take()
    }

    pub(super) fn answer(&self, reply: Reply) {
        held(&self.0.reply).get_or_insert(reply);
        self.0.changed.notify_one();
    }

    fn advance(&self, progress: Progress) {
        *held(&self.0.progress) = Some(progress);
        self.0.changed.notify_one();
    }
}

/// What a server says of a task on its own; the newest word counts.
#[derive(Clone, Debug, Default)]
pub(super) struct TaskWatch(Arc<(Mutex<Option<Value>>, Notify)>);

impl TaskWatch {
    /// Waits for the next word. Cancel-safe.
    pub(super) async fn next(&self) -> Value {
        loop {
            if let Some(told) = held(&self.0.0).take() {
                return told;
            }
            self.0.1.notified().await;
        }
    }

    fn tell(&self, told: Value) {
        *held(&self.0.0) = Some(told);
        self.0.1.notify_one();
    }
}

/// Requests of a server that wait to be looked at; an older one is then read as the SDK decoded it.
const REQUESTS: usize = 64;

/// The tap of one connection; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tap {
    seats: Arc<Mutex<Seats>>,
    ear: Option<Ear>,
    /// Told of resources that changed.
    watches: Option<Watches>,
}

/// Somebody who listens to a connection.
#[derive(Clone, Debug)]
pub(super) struct Ear {
    pub server: ServerName,
    pub connection: u64,
    pub tap: Arc<dyn Wiretap>,
}

#[derive(Debug, Default)]
struct Seats {
    by_id: HashMap<RequestId, (Waiter, Option<ProgressToken>)>,
    by_token: HashMap<ProgressToken, Waiter>,
    /// What the server asks of the person, as it wrote it, until it is taken.
    requests: VecDeque<(RequestId, Value)>,
    /// Tasks that are followed, by their ids.
    tasks: HashMap<String, TaskWatch>,
    /// Whether the greeting of a server of 2025-11-25 offers to run tools as tasks; the SDK's types drop it.
    runs_tasks: bool,
    /// Why the connection ended: whoever comes later is told at once.
    closed: Option<String>,
}

impl Tap {
    pub(super) fn new(ear: Option<Ear>, watches: Watches) -> Self {
        Self { seats: Arc::default(), ear, watches: Some(watches) }
    }

    /// One message leaves or came, as it is on the wire.
    pub(super) fn frame(&self, direction: Direction, call: Option<CallId>, bytes: &[u8]) {
        let Some(Ear { server, connection, tap }) = &self.ear else { return };
        let (server, bytes) = (server.clone(), bytes.trim_ascii().to_vec());
        tap.heard(Heard::Frame { server, connection: *connection, direction, call, bytes });
    }

    /// What stands before the body of an HTTP message leaves or came; `head` is made only where somebody listens.
    pub(super) fn head(&self, direction: Direction, head: impl FnOnce() -> HttpHead) {
        let Some(Ear { server, connection, tap }) = &self.ear else { return };
        tap.heard(Heard::Http { server: server.clone(), connection: *connection, direction, head: head() });
    }

    /// Whether somebody listens.
    pub(super) fn is_heard(&self) -> bool {
        self.ear.is_some()
    }

    /// What came over HTTP in place of a message.
    pub(super) fn body(&self, status: u16, bytes: Vec<u8>, cut: bool) {
        let Some(Ear { server, connection, tap }) = &self.ear else { return };
        tap.heard(Heard::Body { server: server.clone(), connection: *connection, status, bytes, cut });
    }

    /// Notes an outgoing message. Where it is a request somebody waits for, that waiter is handed back, so that the
    /// transport can tell it of the departure.
    pub(super) fn outgoing(&self, message: &TxJsonRpcMessage<RoleClient>) -> Option<Waiter> {
        let JsonRpcMessage::Request(request) = message else { return None };
        let waiter = request.request.extensions().get::<Waiter>()?.clone();
        let token = progress_token(&request.request);
        let mut seats = held(&self.seats);
        if let Some(reason) = &seats.closed {
            waiter.withdraw();
            waiter.answer(Reply::Gone(reason.clone()));
            return Some(waiter);
        }
        if let Some(token) = &token {
            seats.by_token.insert(token.clone(), waiter.clone());
        }
        seats.by_id.insert(request.id.clone(), (waiter.clone(), token));
        Some(waiter)
    }

    /// Looks at an incoming message, and takes the result out of one that answers a waiter.
    pub(super) fn incoming(&self, message: &mut Value) -> Seen {
        if let Some(method) = message.get("method") {
            if method == "notifications/progress" {
                self.progress(message);
                return Seen::Consumed;
            }
            if matches!(method.as_str(), Some("notifications/tasks" | "notifications/tasks/status")) {
                self.task(message);
                return Seen::Consumed;
            }
            if method == "notifications/resources/updated" {
                if let (Some(watches), Some(uri)) =
                    (&self.watches, message.pointer("/params/uri").and_then(Value::as_str))
                {
                    watches.updated(uri);
                }
                return Seen::Consumed;
            }
            if matches!(method.as_str(), Some("elicitation/create" | "sampling/createMessage")) {
                self.request(message);
            }
            return Seen::Other;
        }
        let Some(id) = message.get("id").and_then(number_or_string) else { return Seen::Other };
        let Some(waiter) = self.leave_seat(&id) else {
            if message.pointer("/result/capabilities/tasks/requests/tools/call").is_some_and(Value::is_object) {
                held(&self.seats).runs_tasks = true;
            }
            return Seen::Other;
        };
        waiter.answer(Reply::of(message));
        Seen::Answered(id)
    }

    fn progress(&self, message: &Value) {
        let Some(params) = message.get("params") else { return };
        let Some(token) = params.get("progressToken").and_then(number_or_string) else { return };
        let waiter = held(&self.seats).by_token.get(&ProgressToken(token)).cloned();
        if let (Some(waiter), Some(progress)) = (waiter, params.get("progress").and_then(Value::as_f64)) {
            waiter.advance(Progress {
                progress,
                total: params.get("total").and_then(Value::as_f64),
                message: params.get("message").and_then(Value::as_str).map(str::to_owned),
            });
        }
    }

    fn task(&self, message: &mut Value) {
        let Some(params) = message.get_mut("params") else { return };
        let watch =
            params.get("taskId").and_then(Value::as_str).and_then(|id| held(&self.seats).tasks.get(id).cloned());
        if let Some(watch) = watch {
            watch.tell(params.take());
        }
    }

    /// Whether the server offers to run tools as tasks (2025-11-25).
    pub(super) fn runs_tasks(&self) -> bool {
        held(&self.seats).runs_tasks
    }

    /// From now on hears what the server says of a task on its own; progress of the request that began it (`token`)
    /// goes on to `waiter` (2025-11-25, tasks).
    pub(super) fn follow_task(&self, id: &str, token: ProgressToken, waiter: Waiter) -> TaskWatch {
        let mut seats = held(&self.seats);
        seats.by_token.insert(token, waiter);
        seats.tasks.entry(id.to_owned()).or_default().clone()
    }

    /// The task is over, or nobody waits for it any more.
    pub(super) fn leave_task(&self, id: &str, token: &ProgressToken) {
        let mut seats = held(&self.seats);
        seats.by_token.remove(token);
        seats.tasks.remove(id);
    }

    fn request(&self, message: &Value) {
        let Some(id) = message.get("id").and_then(number_or_string) else { return };
        let params = message.get("params").cloned().unwrap_or_default();
        let requests = &mut held(&self.seats).requests;
        if requests.len() >= REQUESTS {
            requests.pop_front();
        }
        requests.push_back((id, params));
    }

    /// What the server wrote in this request of its own.
    pub(super) fn take_request(&self, id: &RequestId) -> Option<Value> {
        let requests = &mut held(&self.seats).requests;
        let at = requests.iter().position(|(of, _)| of == id)?;
        requests.remove(at).map(|(_, params)| params)
    }

    /// What the SDK is to see of a message. An answer that somebody waits for is theirs already; the SDK is only told
    /// that it came.
    pub(super) fn decode(&self, mut message: Value) -> Option<RxJsonRpcMessage<RoleClient>> {
        match self.incoming(&mut message) {
            Seen::Answered(id) => {
                Some(JsonRpcMessage::response(ServerResult::CustomResult(CustomResult(Value::Null)), id))
            }
            Seen::Consumed => None,
            Seen::Other => match serde_json::from_value::<ServerJsonRpcMessage>(message) {
                Ok(message) => Some(message),
                Err(error) => {
                    tracing::debug!(%error, "a message of no known shape");
                    None
                }
            },
        }
    }

    /// Forgets a request whose caller has stopped waiting.
    pub(super) fn forget(&self, id: &RequestId) {
        self.leave_seat(id);
    }

    /// The connection has ended: every waiter is told why, later ones too.
    pub(super) fn close(&self, reason: &str) {
        let seats = {
            let mut seats = held(&self.seats);
            seats.closed.get_or_insert_with(|| reason.to_owned());
            seats.by_token.clear();
            std::mem::take(&mut seats.by_id)
        };
        for (waiter, _) in seats.into_values() {
            waiter.answer(Reply::Gone(reason.to_owned()));
        }
    }

    /// Why the connection ended; None while it lives.
    pub(super) fn reason(&self) -> Option<String> {
        held(&self.seats).closed.clone()
    }

    fn leave_seat(&self, id: &RequestId) -> Option<Waiter> {
        let mut seats = held(&self.seats);
        let found = seats.by_id.remove(id).or_else(|| {
            // Some servers answer the number 7 with the string "7".
            let NumberOrString::String(text) = id else { return None };
            let number = text.parse().ok()?;
            seats.by_id.remove(&NumberOrString::Number(number))
        });
        let (waiter, token) = found?;
        if let Some(token) = token {
            seats.by_token.remove(&token);
        }
        Some(waiter)
    }
}

/// The messages of a frame: one, or the batch that the version of 2025-03-26 allows. None: this is not JSON-RPC.
pub(super) fn parse(text: &[u8]) -> Option<Vec<Value>> {
    match read_json(text).ok()? {
        message @ Value::Object(_) => Some(vec![message]),
        Value::Array(messages) if !messages.is_empty() && messages.iter().all(Value::is_object) => Some(messages),
        _ => None,
    }
}

fn progress_token(request: &ClientRequest) -> Option<ProgressToken> {
    request.get_meta().get_progress_token()
}

fn number_or_string(value: &Value) -> Option<NumberOrString> {
    match value {
        Value::Number(number) => number.as_i64().map(NumberOrString::Number),
        Value::String(text) => Some(NumberOrString::String(Arc::from(text.as_str()))),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A lock that outlives a panic elsewhere: what it guards is valid between any two statements.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rmcp::model::{CallToolRequest, CallToolRequestParams, GetMeta};
    use serde_json::json;

    fn request(id: i64, token: i64) -> (TxJsonRpcMessage<RoleClient>, Waiter) {
        let waiter = Waiter::default();
        let mut call = ClientRequest::CallToolRequest(CallToolRequest::new(CallToolRequestParams::new("t")));
        call.extensions_mut().insert(waiter.clone());
        call.get_meta_mut().set_progress_token(ProgressToken(NumberOrString::Number(token)));
        (JsonRpcMessage::request(call, NumberOrString::Number(id)), waiter)
    }

    #[test]
    fn a_result_reaches_its_waiter_as_it_was_written() {
        let tap = Tap::default();
        let (message, waiter) = request(7, 3);
        assert!(tap.outgoing(&message).is_some());
        let odd = json!({"content": "not a list", "x": 1});
        assert_ne!(tap.incoming(&mut json!({"jsonrpc": "2.0", "id": "7", "result": odd})), Seen::Other);
        assert_eq!(waiter.take_reply(), Some(Reply::Result(odd)));
        assert_eq!(
            tap.incoming(&mut json!({"id": 7, "result": {}})),
            Seen::Other,
            "a second reply has nobody to go to"
        );
    }

    #[test]
    fn progress_goes_by_token_and_the_newest_counts() {
        let tap = Tap::default();
        let (message, waiter) = request(1, 42);
        tap.outgoing(&message);
        for n in 1..=3 {
            let mut note = json!({"method": "notifications/progress", "params": {"progressToken": 42, "progress": n}});
            assert_eq!(tap.incoming(&mut note), Seen::Consumed);
        }
        assert_eq!(waiter.take_progress().map(|p| p.progress), Some(3.0));
        assert_eq!(waiter.take_progress(), None);
    }

    #[test]
    fn errors_of_any_shape_have_a_message() {
        for (error, code, text) in [
            (json!({"code": -32000, "message": "no"}), -32000, "no"),
            (json!("plain"), 0, "plain"),
            (json!({"why": 1}), 0, r#"{"why":1}"#),
        ] {
            let tap = Tap::default();
            let (message, waiter) = request(1, 1);
            tap.outgoing(&message);
            tap.incoming(&mut json!({"id": 1, "error": error}));
            assert_eq!(waiter.take_reply(), Some(Reply::Error { code, message: text.to_owned() }));
        }
    }

    #[test]
    fn what_was_withdrawn_never_leaves_and_what_left_cannot_be_withdrawn() {
        let waiter = Waiter::default();
        assert!(waiter.withdraw());
        assert!(!waiter.leave());
        let waiter = Waiter::default();
        assert!(waiter.leave());
        assert!(!waiter.withdraw());
        waiter.sent();
        assert_eq!(waiter.departure(), Departure::Sent);
    }

    #[test]
    fn a_closed_connection_answers_those_who_wait_and_those_who_come() {
        let tap = Tap::default();
        let (message, early) = request(1, 1);
        tap.outgoing(&message);
        tap.close("it exited");
        let (message, late) = request(2, 2);
        tap.outgoing(&message);
        assert_eq!(early.take_reply(), Some(Reply::Gone("it exited".into())));
        assert_eq!(late.take_reply(), Some(Reply::Gone("it exited".into())));
        assert_eq!(late.departure(), Departure::Withdrawn);
    }
}
