//! Questions in their order, their ends, and what cannot be asked.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::read::read;
use super::{Asker, Inquiries, Refused, Roots, Unfulfilled};
use crate::chat::{CallId, Inquiry, InquiryAnswer, InquiryEnd, InquiryId, Limits, Question, SampleReply, SampleStop};
use crate::config::{SamplingOffer, ServerFeatures};
use crate::mcp::event::HostEvent;
use crate::mcp::report::Reporter;

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

type Fulfilled = (Map<String, Value>, Result<(), Unfulfilled>);

/// Answers what a server requires, on a task of its own.
fn fulfil(asker: &Asker, call: Option<CallId>, requests: Map<String, Value>) -> tokio::task::JoinHandle<Fulfilled> {
    let asker = asker.clone();
    tokio::spawn(async move {
        let mut responses = Map::new();
        let end = asker.fulfil(call, &requests, &mut responses).await;
        (responses, end)
    })
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
    let fulfilled = fulfil(&again, Some(CallId::new("1:a")), requests);
    let inquiry = rig.told().await;
    assert!(a.waits() && !b.waits());
    rig.inquiries.answer(inquiry.id, content(json!({"n": 1})));
    let (responses, end) = fulfilled.await.unwrap();
    assert!(end.is_ok(), "{end:?}");
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
    let fulfilled = fulfil(&asker, None, requests);
    let id = rig.told().await.id;
    rig.inquiries.answer(id, InquiryAnswer::Cancel);
    let (responses, end) = fulfilled.await.unwrap();
    assert!(end.is_ok(), "{end:?}");
    assert_eq!(Value::Object(responses), json!({"a": {"action": "cancel"}, "b": {"action": "cancel"}}));
    assert_eq!(rig.ended().await.0, id);
    assert!(rig.events.try_recv().is_err());
}

#[tokio::test]
async fn a_question_that_ended_without_a_word_is_no_answer_and_those_before_it_stay() {
    let mut rig = Rig::new(Limits::default());
    let asker = rig.asker("one");
    let one = json!({"method": "elicitation/create", "params": form("x")});
    let requests = json!({"a": one, "b": one}).as_object().cloned().unwrap();
    let fulfilled = fulfil(&asker, None, requests.clone());
    let id = rig.told().await.id;
    rig.inquiries.answer(id, content(json!({"n": 1})));
    rig.ended().await;
    rig.told().await;
    asker.close();
    let (mut responses, end) = fulfilled.await.unwrap();
    assert!(matches!(end, Err(Unfulfilled::Over(InquiryEnd::Gone))), "{end:?}");
    let answered = json!({"action": "accept", "content": {"n": 1}});
    assert_eq!(Value::Object(responses.clone()), json!({"a": answered}));
    rig.ended().await;
    // Over the next connection only the other is asked.
    let next = rig.asker("one");
    let fulfilled = tokio::spawn(async move {
        let end = next.fulfil(None, &requests, &mut responses).await;
        (responses, end)
    });
    let id = rig.told().await.id;
    rig.inquiries.answer(id, InquiryAnswer::Decline);
    let (responses, end) = fulfilled.await.unwrap();
    assert!(end.is_ok(), "{end:?}");
    assert_eq!(Value::Object(responses), json!({"a": answered, "b": {"action": "decline"}}));
}

#[tokio::test(start_paused = true)]
async fn a_model_that_nobody_let_answer_in_time_was_not_rejected() {
    let mut rig = Rig::new(Limits { inquiry: Duration::from_secs(5), ..Limits::default() });
    let asked = sample(&rig);
    let id = rig.told().await.id;
    assert_eq!(rig.ended().await, (id, InquiryEnd::TooLate));
    let refused = asked.await.unwrap().unwrap_err();
    assert_eq!((refused.code, refused.message.as_str()), (-32603, "nobody answered in time"));
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

/// A server that may ask for answers of the model, and asks for one.
fn sample(rig: &Rig) -> tokio::task::JoinHandle<Result<Value, Refused>> {
    let features = ServerFeatures { sampling: Some(SamplingOffer { tokens: Some(77) }), ..ServerFeatures::default() };
    let asker = rig.asker("one").offering(&Roots::default(), &features);
    let params = json!({"maxTokens": 5, "messages": [{"role": "user", "content": {"type": "text", "text": "Why?"}}]});
    tokio::spawn(async move { asker.request("sampling/createMessage", &params, &CancellationToken::new()).await })
}

fn reply(stop: SampleStop) -> InquiryAnswer {
    InquiryAnswer::Sample(SampleReply { model: "m".into(), text: "So.".into(), stop })
}

#[tokio::test]
async fn an_answer_of_the_model_goes_back_in_the_protocols_words() {
    let mut rig = Rig::new(Limits::default());
    for (stop, word) in [
        (SampleStop::EndTurn, "endTurn"),
        (SampleStop::StopSequence, "stopSequence"),
        (SampleStop::MaxTokens, "maxTokens"),
    ] {
        let asked = sample(&rig);
        let inquiry = rig.told().await;
        let Question::Sample(sample) = &inquiry.question else { panic!("{inquiry:?}") };
        assert_eq!((sample.max_tokens, sample.budget.server), (5, 77));
        assert!(!rig.inquiries.answer(inquiry.id, content(json!({}))), "no form was asked for");
        assert!(rig.inquiries.answer(inquiry.id, reply(stop)));
        assert_eq!(rig.ended().await, (inquiry.id, InquiryEnd::Answered));
        let want =
            json!({"role": "assistant", "content": {"type": "text", "text": "So."}, "model": "m", "stopReason": word});
        assert_eq!(asked.await.unwrap().unwrap(), want);
    }
    ask(&rig.asker("one"), "a form");
    let inquiry = rig.told().await;
    assert!(!rig.inquiries.answer(inquiry.id, reply(SampleStop::EndTurn)), "no answer to a form");
}

#[tokio::test]
async fn a_no_and_a_failure_are_errors_and_only_the_person_learns_why() {
    let mut rig = Rig::new(Limits::default());
    for answer in [InquiryAnswer::Decline, InquiryAnswer::Cancel] {
        let asked = sample(&rig);
        let id = rig.told().await.id;
        rig.inquiries.answer(id, answer);
        assert_eq!(asked.await.unwrap().unwrap_err().code, -1);
        rig.ended().await;
    }
    let asked = sample(&rig);
    let id = rig.told().await.id;
    rig.inquiries.answer(id, InquiryAnswer::Fail { told: "no answer", why: "10.0.0.1 refused".into() });
    let refused = asked.await.unwrap().unwrap_err();
    assert_eq!((refused.code, refused.message.as_str()), (-32603, "no answer"));
    let Some(HostEvent::Log { text, .. }) = rig.events.recv().await else { panic!("no word") };
    assert_eq!(text, "it asked for an answer of the model and got none: 10.0.0.1 refused");
}

#[tokio::test]
async fn a_model_is_asked_for_nobody_where_nobody_attends_or_it_was_not_offered() {
    let (sender, mut events) = mpsc::channel(8);
    let inquiries = Inquiries::new(sender.clone(), Arc::new(Limits::default()));
    let rig = Rig { inquiries, events: mpsc::channel(1).1, sender };
    let refused = sample(&rig).await.unwrap().unwrap_err();
    assert_eq!(refused.message, "nobody is there to answer; in the chat screen somebody is");
    let Some(HostEvent::Log { text, .. }) = events.recv().await else { panic!("no word") };
    assert!(text.starts_with("it asks for an answer of the model; declined: nobody is there"), "{text}");

    let never = CancellationToken::new();
    let refused = rig.asker("one").request("sampling/createMessage", &json!({}), &never).await.unwrap_err();
    assert_eq!((refused.code, refused.message.as_str()), (-32601, "sampling/createMessage is not offered"));
}
