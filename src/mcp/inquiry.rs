//! What servers ask of the person: one question at a time, over all servers.
//!
//! Both ways of asking come here: the requests of the old era (`handler`), and the input that a result of the new one
//! requires ([`Asker::fulfil`]).
//!
//! # Invariants
//! - One question is open at a time; the others wait in the order in which they came, at most `limits.inquiries` of one
//!   server.
//! - Every question that was told of ends by an answer or by an `InquiryEnd`, also where whoever waits for it is dropped.
//! - Where nobody attends, a question is declined at once, and a log message says so.
//! - While a question of a call is open or waits, the call's time stands still.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::chat::{
    CallId, Form, Inquiry, InquiryAnswer, InquiryEnd, InquiryId, Limits, Question, Root, SampleReply, ServerName,
};

use crate::config::ServerFeatures;

use super::event::{HostEvent, LogLevel};
use super::report::Reporter;

/// The questions of all servers. Clones share them.
#[derive(Clone)]
pub(super) struct Inquiries(Arc<Shared>);

struct Shared {
    events: mpsc::Sender<HostEvent>,
    limits: Arc<Limits>,
    /// Whether a person is there.
    attended: std::sync::atomic::AtomicBool,
    last: AtomicU64,
    /// Whose turn it is: first come, first served.
    turn: tokio::sync::Mutex<()>,
    waiting: AtomicU32,
    open: Mutex<Option<Open>>,
}

struct Open {
    id: InquiryId,
    /// An answer that does not fit the question is not taken.
    question: Question,
    answer: oneshot::Sender<InquiryAnswer>,
}

impl Inquiries {
    pub(super) fn new(events: mpsc::Sender<HostEvent>, limits: Arc<Limits>) -> Self {
        Self(Arc::new(Shared {
            events,
            limits,
            attended: false.into(),
            last: AtomicU64::new(0),
            turn: tokio::sync::Mutex::default(),
            waiting: AtomicU32::new(0),
            open: Mutex::default(),
        }))
    }

    /// From now on a person is there.
    pub(super) fn attend(&self) {
        self.0.attended.store(true, Ordering::Release);
    }

    /// Answers the open question. False: it is over, or is another, or this is no answer to it.
    pub(super) fn answer(&self, id: InquiryId, answer: InquiryAnswer) -> bool {
        let mut open = held(&self.0.open);
        let fits = open.as_ref().is_some_and(|open| open.id == id && fits(&open.question, &answer));
        match open.take_if(|_| fits) {
            Some(open) => open.answer.send(answer).is_ok(),
            None => false,
        }
    }
}

/// Whether an answer answers this question.
fn fits(question: &Question, answer: &InquiryAnswer) -> bool {
    match (question, answer) {
        (_, InquiryAnswer::Decline | InquiryAnswer::Cancel) => true,
        (Question::Form { form, .. }, InquiryAnswer::Accept(content)) => form.problems(content).is_empty(),
        (Question::Address { .. }, InquiryAnswer::Accept(content)) => content.is_empty(),
        (Question::Sample(_), InquiryAnswer::Sample(_)) => true,
        (Question::Form { .. } | Question::Address { .. }, InquiryAnswer::Sample(_))
        | (Question::Sample(_), InquiryAnswer::Accept(_)) => false,
    }
}

/// How one connection asks. Clones share it.
#[derive(Clone)]
pub(super) struct Asker(Arc<Desk>);

struct Desk {
    inquiries: Inquiries,
    server: ServerName,
    reporter: Reporter,
    roots: Vec<Root>,
    /// Ends with the connection.
    gone: CancellationToken,
    /// The calls under way, each with what ends its questions.
    calls: Mutex<HashMap<CallId, CancellationToken>>,
    /// For whom the questions are that wait or are open; None: for a call that cannot be told.
    pending: watch::Sender<Vec<Option<CallId>>>,
}

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Asker").field(&self.0.server).finish()
    }
}

impl Asker {
    pub(super) fn new(inquiries: Inquiries, server: ServerName, reporter: Reporter) -> Self {
        let (pending, _) = watch::channel(Vec::new());
        let gone = CancellationToken::new();
        let roots = Vec::new();
        Self(Arc::new(Desk { inquiries, server, reporter, roots, gone, calls: Mutex::default(), pending }))
    }

    /// With what the server's entry lets it have. Only before it is shared.
    pub(super) fn offering(mut self, features: &ServerFeatures) -> Self {
        if let Some(desk) = Arc::get_mut(&mut self.0) {
            desk.roots.clone_from(&features.roots);
        }
        self
    }

    /// Whether there are folders that the server may be told of.
    pub(super) fn tells_roots(&self) -> bool {
        !self.0.roots.is_empty()
    }

    /// What needs no asking: the folders of the server's own entry, which a person wrote for nothing else.
    fn answered(&self, method: &str) -> Option<Value> {
        if method != "roots/list" || !self.tells_roots() {
            return None;
        }
        let uris: Vec<&str> = self.0.roots.iter().map(|root| root.uri.as_str()).collect();
        self.0.reporter.log(LogLevel::Info, || format!("it asked for its folders and was told {}", uris.join(", ")));
        let root = |root: &Root| match &root.name {
            Some(name) => json!({"uri": root.uri, "name": name}),
            None => json!({"uri": root.uri}),
        };
        Some(json!({"roots": self.0.roots.iter().map(root).collect::<Vec<_>>()}))
    }

    /// The connection is gone: what it asked is over.
    pub(super) fn close(&self) {
        self.0.gone.cancel();
    }

    /// A call is under way until what this returns is dropped; then its questions are over.
    pub(super) fn call(&self, call: CallId) -> UnderWay {
        let token = CancellationToken::new();
        held(&self.0.calls).insert(call.clone(), token);
        UnderWay { asker: self.clone(), pending: self.0.pending.subscribe(), call }
    }

    /// The call that a request of the server belongs to: the only one under way, if there is one.
    fn only_call(&self) -> Option<CallId> {
        let calls = held(&self.0.calls);
        let mut names = calls.keys();
        names.next().filter(|_| calls.len() == 1).cloned()
    }

    /// Asks the person, when it is this question's turn. Dropping the future takes the question back.
    ///
    /// # Errors
    /// How it ended without an answer.
    pub(super) async fn ask(
        &self,
        call: Option<CallId>,
        question: Question,
        withdrawn: &CancellationToken,
    ) -> Result<InquiryAnswer, InquiryEnd> {
        let shared = &*self.0.inquiries.0;
        if !shared.attended.load(Ordering::Acquire) {
            self.declined(&question, "nobody is there to answer; in the chat screen somebody is");
            return Ok(InquiryAnswer::Decline);
        }
        let Some(_pending) = self.pend(call.clone()) else {
            self.declined(&question, "too many of its questions wait already ([limits] inquiries)");
            return Ok(InquiryAnswer::Decline);
        };
        let over = call.as_ref().and_then(|call| held(&self.0.calls).get(call).cloned()).unwrap_or_default();
        let mut asking = Asking { shared, turn: None, told: None, end: InquiryEnd::CallEnded };
        let answer = tokio::select! {
            biased;
            () = self.0.gone.cancelled() => Err(InquiryEnd::Gone),
            () = over.cancelled() => Err(InquiryEnd::CallEnded),
            () = withdrawn.cancelled() => Err(InquiryEnd::Withdrawn),
            answer = self.take_turn(call, question, &mut asking) => answer,
        };
        asking.end = answer.as_ref().err().copied().unwrap_or(InquiryEnd::Answered);
        answer
    }

    async fn take_turn(
        &self,
        call: Option<CallId>,
        question: Question,
        asking: &mut Asking<'_>,
    ) -> Result<InquiryAnswer, InquiryEnd> {
        let shared = asking.shared;
        asking.turn = Some(shared.turn.lock().await);
        let id = InquiryId(shared.last.fetch_add(1, Ordering::Relaxed) + 1);
        let (answer, answered) = oneshot::channel();
        *held(&shared.open) = Some(Open { id, question: question.clone(), answer });
        asking.told = Some(id);
        let limit = shared.limits.inquiry;
        let behind = shared.waiting.load(Ordering::Relaxed).saturating_sub(1);
        let inquiry = Inquiry { id, server: self.0.server.clone(), call, question, limit, behind };
        // Whoever reads no events any more answers nothing either.
        if shared.events.send(HostEvent::Inquiry(inquiry)).await.is_err() {
            return Err(InquiryEnd::Gone);
        }
        match tokio::time::timeout(limit, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(InquiryEnd::Gone),
            Err(_) => Err(InquiryEnd::TooLate),
        }
    }

    /// Counts one more; None where there are too many.
    fn pend(&self, call: Option<CallId>) -> Option<Pending<'_>> {
        let most = usize::try_from(self.0.inquiries.0.limits.inquiries).unwrap_or(usize::MAX);
        let taken = self.0.pending.send_if_modified(|pending| {
            let room = pending.len() < most;
            if room {
                pending.push(call.clone());
            }
            room
        });
        taken.then(|| {
            self.0.inquiries.0.waiting.fetch_add(1, Ordering::Relaxed);
            Pending { desk: &self.0, call }
        })
    }

    fn declined(&self, question: &Question, why: &str) {
        let what = match question {
            Question::Form { message, .. } => format!("asks you to fill in a form ({message})"),
            Question::Address { url, .. } => format!("asks you to visit {url}"),
            Question::Sample(_) => "asks for an answer of the model".to_owned(),
        };
        self.0.reporter.log(LogLevel::Warning, || format!("it {what}; declined: {why}"));
    }

    /// Answers a request of the server's own, as the old era sends them.
    ///
    /// # Errors
    /// Why it cannot be asked: the reason for an error answer.
    pub(super) async fn request(
        &self,
        method: &str,
        params: &Value,
        withdrawn: &CancellationToken,
    ) -> Result<Value, Refused> {
        if let Some(answer) = self.answered(method) {
            return Ok(answer);
        }
        let question = read(method, params)?;
        let answer = self.ask(self.only_call(), question.clone(), withdrawn).await;
        result(&question, &answer.unwrap_or(InquiryAnswer::Cancel))
    }

    /// Answers all `inputRequests` of a result that requires input (MCP 2026-07-28, MRTR), one after the other; returns
    /// the `inputResponses`. After a question that was cancelled no other is asked. Dropping the future takes the open
    /// question back.
    ///
    /// # Errors
    /// Why one of them has no answer that can be sent: the call cannot go on.
    pub(super) async fn fulfil(
        &self,
        call: Option<CallId>,
        requests: &Map<String, Value>,
    ) -> Result<Map<String, Value>, Refused> {
        let never = CancellationToken::new();
        let mut responses = Map::new();
        let mut cancelled = false;
        for (key, request) in requests {
            let method = request.get("method").and_then(Value::as_str).unwrap_or_default();
            if let Some(answer) = self.answered(method) {
                responses.insert(key.clone(), answer);
                continue;
            }
            let question = read(method, request.get("params").unwrap_or(&Value::Null))?;
            let answer = match cancelled {
                true => InquiryAnswer::Cancel,
                false => {
                    let answer = self.ask(call.clone(), question.clone(), &never).await;
                    answer.unwrap_or(InquiryAnswer::Cancel)
                }
            };
            cancelled |= answer == InquiryAnswer::Cancel;
            responses.insert(key.clone(), result(&question, &answer)?);
        }
        Ok(responses)
    }
}

/// A question that waits or is open.
struct Pending<'a> {
    desk: &'a Desk,
    call: Option<CallId>,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.desk.inquiries.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.desk.pending.send_modify(|pending| {
            if let Some(at) = pending.iter().position(|call| *call == self.call) {
                pending.remove(at);
            }
        });
    }
}

/// Tells how a question ended, if it was told of.
struct Asking<'a> {
    shared: &'a Shared,
    /// Given up only after the end was told.
    turn: Option<tokio::sync::MutexGuard<'a, ()>>,
    told: Option<InquiryId>,
    end: InquiryEnd,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let Some(id) = self.told else { return };
        held(&self.shared.open).take_if(|open| open.id == id);
        let event = HostEvent::InquiryEnded { id, end: self.end };
        if let Err(mpsc::error::TrySendError::Full(event)) = self.shared.events.try_send(event)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let events = self.shared.events.clone();
            runtime.spawn(async move { events.send(event).await });
        }
    }
}

/// A call under way, as far as questions go.
pub(super) struct UnderWay {
    asker: Asker,
    pending: watch::Receiver<Vec<Option<CallId>>>,
    call: CallId,
}

impl UnderWay {
    /// Whether the call waits for a person.
    pub(super) fn waits(&self) -> bool {
        self.pending.borrow().iter().any(|call| call.as_ref().is_none_or(|call| *call == self.call))
    }

    /// The call is over, or about to be: its questions are.
    pub(super) fn end(&self) {
        if let Some(token) = held(&self.asker.0.calls).remove(&self.call) {
            token.cancel();
        }
    }

    /// Waits until the questions are others. Cancel-safe.
    pub(super) async fn changed(&mut self) {
        if self.pending.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.end();
    }
}

/// Why a request cannot be put to a person. Quotes the server, raw.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct Refused {
    /// Of JSON-RPC.
    pub code: i32,
    pub message: String,
}

impl Refused {
    const METHOD: i32 = -32601;
    const PARAMS: i32 = -32602;
    /// MCP 2025-11-25, client/sampling, gives this code as the example for a person's no.
    const REJECTED: i32 = -1;

    fn params(message: impl Into<String>) -> Self {
        Self { code: Self::PARAMS, message: message.into() }
    }
}

/// Reads what a server asks. What was not offered to it is refused.
fn read(method: &str, params: &Value) -> Result<Question, Refused> {
    match method {
        "elicitation/create" => elicitation(params),
        "sampling/createMessage" | "roots/list" => {
            Err(Refused { code: Refused::METHOD, message: format!("{method} is not offered") })
        }
        _ => Err(Refused { code: Refused::METHOD, message: format!("{method} is not known") }),
    }
}

fn elicitation(params: &Value) -> Result<Question, Refused> {
    let text = |key: &str| params.get(key).and_then(Value::as_str).map(str::to_owned);
    let message = text("message").unwrap_or_default();
    match params.get("mode").and_then(Value::as_str) {
        None | Some("form") => {
            let schema = params.get("requestedSchema").unwrap_or(&Value::Null);
            let form = Form::read(schema).map_err(Refused::params)?;
            Ok(Question::Form { message, form })
        }
        Some("url") => {
            let address = text("url").ok_or_else(|| Refused::params("there is no url"))?;
            let parsed = url::Url::parse(&address).map_err(|_| Refused::params("the url cannot be read"))?;
            if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
                return Err(Refused::params("only http and https addresses are opened"));
            }
            let elicitation = text("elicitationId").filter(|id| !id.is_empty());
            Ok(Question::Address { message, url: address, elicitation })
        }
        Some(other) => Err(Refused::params(format!("the mode {other:?} is not known"))),
    }
}

/// The protocol's result for an answer.
///
/// # Errors
/// Where the protocol has none: a no to a request that knows only answers.
fn result(question: &Question, answer: &InquiryAnswer) -> Result<Value, Refused> {
    Ok(match (question, answer) {
        (Question::Form { .. } | Question::Address { .. }, InquiryAnswer::Decline) => json!({"action": "decline"}),
        (Question::Form { .. } | Question::Address { .. }, InquiryAnswer::Cancel) => json!({"action": "cancel"}),
        (Question::Sample(_), InquiryAnswer::Decline | InquiryAnswer::Cancel) => {
            return Err(Refused { code: Refused::REJECTED, message: "the user rejected the request".into() });
        }
        (Question::Address { .. }, InquiryAnswer::Accept(_)) => json!({"action": "accept"}),
        (_, InquiryAnswer::Accept(content)) => json!({"action": "accept", "content": content}),
        (_, InquiryAnswer::Sample(SampleReply { model, text, stop })) => json!({
            "role": "assistant",
            "content": {"type": "text", "text": text},
            "model": model,
            "stopReason": stop.word(),
        }),
    })
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    struct Rig {
        inquiries: Inquiries,
        events: mpsc::Receiver<HostEvent>,
        sender: mpsc::Sender<HostEvent>,
    }

    impl Rig {
        fn new(limits: Limits) -> Self {
            let (sender, events) = mpsc::channel(64);
            let inquiries = Inquiries::new(sender.clone(), Arc::new(limits));
            inquiries.attend();
            Self { inquiries, events, sender }
        }

        fn asker(&self, name: &str) -> Asker {
            let reporter = Reporter::new(name.into(), self.sender.clone(), 100);
            Asker::new(self.inquiries.clone(), name.into(), reporter)
        }

        async fn told(&mut self) -> Inquiry {
            match self.events.recv().await {
                Some(HostEvent::Inquiry(inquiry)) => inquiry,
                other => panic!("{other:?}"),
            }
        }

        async fn ended(&mut self) -> (InquiryId, InquiryEnd) {
            match self.events.recv().await {
                Some(HostEvent::InquiryEnded { id, end }) => (id, end),
                other => panic!("{other:?}"),
            }
        }
    }

    fn form(message: &str) -> Value {
        json!({"message": message, "requestedSchema": {"type": "object", "required": ["n"],
            "properties": {"n": {"type": "integer"}}}})
    }

    /// Asks on a task of its own.
    fn ask(asker: &Asker, message: &str) -> tokio::task::JoinHandle<Result<Value, Refused>> {
        let (asker, params) = (asker.clone(), form(message));
        tokio::spawn(async move { asker.request("elicitation/create", &params, &CancellationToken::new()).await })
    }

    fn content(value: Value) -> InquiryAnswer {
        InquiryAnswer::Accept(value.as_object().cloned().unwrap_or_default())
    }

    #[tokio::test]
    async fn questions_are_asked_one_at_a_time_in_their_order() {
        let mut rig = Rig::new(Limits::default());
        let (one, two) = (rig.asker("one"), rig.asker("two"));
        let first = ask(&one, "first");
        let inquiry = rig.told().await;
        assert_eq!((inquiry.server.as_str(), inquiry.behind), ("one", 0));
        let second = ask(&two, "second");
        tokio::task::yield_now().await;
        assert!(rig.events.try_recv().is_err(), "the second waits");
        assert!(!rig.inquiries.answer(InquiryId(99), InquiryAnswer::Cancel), "another question");
        assert!(!rig.inquiries.answer(inquiry.id, content(json!({}))), "a form that is not filled in");
        assert!(rig.inquiries.answer(inquiry.id, content(json!({"n": 7}))));
        assert!(!rig.inquiries.answer(inquiry.id, InquiryAnswer::Decline), "it was answered");
        assert_eq!(rig.ended().await, (inquiry.id, InquiryEnd::Answered));
        assert_eq!(first.await.unwrap().unwrap(), json!({"action": "accept", "content": {"n": 7}}));
        let inquiry = rig.told().await;
        assert_eq!(inquiry.server.as_str(), "two");
        assert!(rig.inquiries.answer(inquiry.id, InquiryAnswer::Decline));
        assert_eq!(second.await.unwrap().unwrap(), json!({"action": "decline"}));
    }

    #[tokio::test(start_paused = true)]
    async fn every_end_is_told() {
        let mut rig = Rig::new(Limits { inquiry: Duration::from_secs(5), ..Limits::default() });
        let asker = rig.asker("one");
        let late = ask(&asker, "late");
        let id = rig.told().await.id;
        assert_eq!(rig.ended().await, (id, InquiryEnd::TooLate));
        assert_eq!(late.await.unwrap().unwrap(), json!({"action": "cancel"}));

        let withdrawn = CancellationToken::new();
        let (again, token) = (asker.clone(), withdrawn.clone());
        tokio::spawn(async move { again.request("elicitation/create", &form("back"), &token).await });
        let id = rig.told().await.id;
        withdrawn.cancel();
        assert_eq!(rig.ended().await, (id, InquiryEnd::Withdrawn));

        let call = asker.call(CallId::new("1:a"));
        ask(&asker, "for a call");
        let inquiry = rig.told().await;
        assert_eq!(inquiry.call, Some(CallId::new("1:a")));
        assert!(call.waits());
        drop(call);
        assert_eq!(rig.ended().await, (inquiry.id, InquiryEnd::CallEnded));

        ask(&asker, "last");
        let id = rig.told().await.id;
        asker.close();
        assert_eq!(rig.ended().await, (id, InquiryEnd::Gone));
    }

    #[tokio::test]
    async fn whoever_is_dropped_takes_the_question_back() {
        let mut rig = Rig::new(Limits::default());
        let task = ask(&rig.asker("one"), "dropped");
        let id = rig.told().await.id;
        task.abort();
        assert_eq!(rig.ended().await, (id, InquiryEnd::CallEnded));
        assert!(!rig.inquiries.answer(id, InquiryAnswer::Cancel));
    }

    #[tokio::test]
    async fn only_calls_that_are_asked_about_wait() {
        let mut rig = Rig::new(Limits::default());
        let asker = rig.asker("one");
        let (a, b) = (asker.call(CallId::new("1:a")), asker.call(CallId::new("1:b")));
        let requests = json!({"k": {"method": "elicitation/create", "params": form("x")}});
        let requests = requests.as_object().cloned().unwrap();
        let again = asker.clone();
        let fulfilled = tokio::spawn(async move { again.fulfil(Some(CallId::new("1:a")), &requests).await });
        let inquiry = rig.told().await;
        assert!(a.waits() && !b.waits());
        rig.inquiries.answer(inquiry.id, content(json!({"n": 1})));
        let responses = fulfilled.await.unwrap().unwrap();
        assert_eq!(responses["k"], json!({"action": "accept", "content": {"n": 1}}));
        assert!(!a.waits());
        assert_eq!(rig.ended().await, (inquiry.id, InquiryEnd::Answered));
        // Of two calls under way neither is known to be the one that a request belongs to: both stand still.
        ask(&asker, "whose?");
        assert_eq!(rig.told().await.call, None);
        assert!(a.waits() && b.waits());
    }

    #[tokio::test]
    async fn after_a_cancelled_question_of_a_round_no_other_is_asked() {
        let mut rig = Rig::new(Limits::default());
        let asker = rig.asker("one");
        let one = json!({"method": "elicitation/create", "params": form("x")});
        let requests = json!({"a": one, "b": one}).as_object().cloned().unwrap();
        let fulfilled = tokio::spawn(async move { asker.fulfil(None, &requests).await });
        let id = rig.told().await.id;
        rig.inquiries.answer(id, InquiryAnswer::Cancel);
        let responses = fulfilled.await.unwrap().unwrap();
        assert_eq!(Value::Object(responses), json!({"a": {"action": "cancel"}, "b": {"action": "cancel"}}));
        assert_eq!(rig.ended().await.0, id);
        assert!(rig.events.try_recv().is_err());
    }

    #[tokio::test]
    async fn too_many_questions_and_questions_to_nobody_are_declined_with_a_word() {
        let mut rig = Rig::new(Limits { inquiries: 1, ..Limits::default() });
        let asker = rig.asker("one");
        ask(&asker, "first");
        rig.told().await;
        assert_eq!(ask(&asker, "second").await.unwrap().unwrap(), json!({"action": "decline"}));
        let Some(HostEvent::Log { text, .. }) = rig.events.recv().await else { panic!("no word") };
        assert!(text.contains("[limits] inquiries"), "{text}");

        let (sender, mut events) = mpsc::channel(8);
        let inquiries = Inquiries::new(sender.clone(), Arc::new(Limits::default()));
        let asker = Asker::new(inquiries, "one".into(), Reporter::new("one".into(), sender, 10));
        assert_eq!(ask(&asker, "hello?").await.unwrap().unwrap(), json!({"action": "decline"}));
        let Some(HostEvent::Log { text, .. }) = events.recv().await else { panic!("no word") };
        assert_eq!(
            text,
            "it asks you to fill in a form (hello?); declined: nobody is there to answer; in the chat screen somebody is"
        );
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        let refused = |method, params: Value| read(method, &params).unwrap_err().to_string();
        assert_eq!(refused("roots/list", json!({})), "roots/list is not offered");
        assert_eq!(refused("elicitation/create", json!({"mode": "voice"})), "the mode \"voice\" is not known");
        for url in ["file:///etc/passwd", "javascript:alert(1)", "http://"] {
            let why = refused("elicitation/create", json!({"mode": "url", "message": "m", "url": url}));
            assert!(why.contains("address") || why.contains("url"), "{why}");
        }
        let asked = json!({"mode": "url", "message": "m", "url": "https://a.example/x", "elicitationId": "e"});
        let want =
            Question::Address { message: "m".into(), url: "https://a.example/x".into(), elicitation: Some("e".into()) };
        assert_eq!(read("elicitation/create", &asked), Ok(want));
    }
}
