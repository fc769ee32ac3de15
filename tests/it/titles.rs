//! Titles that the model makes: only where that is wished, never over a person's words, and nothing waits for them.

use millrace::chat::{
    AsideKind, Change, ConversationId, Delta, Fault, FaultKind, Order, Request, TurnEvent, TurnSettings,
};
use millrace::engine::{TitleModel, Titles};
use serde_json::json;

use crate::fakes::{Act, Rig, done, finish, text};

fn answer(words: &str) -> Vec<Act> {
    vec![text(words), finish("stop"), done()]
}

/// The same, counted.
fn counted(words: &str) -> Vec<Act> {
    let usage = Act::Say(Delta::Usage(json!({"prompt_tokens": 60, "completion_tokens": 4})));
    vec![text(words), usage, finish("stop"), done()]
}

async fn rig(rounds: Vec<Vec<Act>>, model: Option<&str>) -> Rig {
    rig_at(rounds, model, "http://127.0.0.1:1/v1").await
}

async fn rig_at(rounds: Vec<Vec<Act>>, model: Option<&str>, base_url: &str) -> Rig {
    let model = model.map(|name| TitleModel { name: name.to_owned(), base_url: base_url.to_owned() });
    Rig::with(rounds, |config| config.titles = Some(Titles { model })).await
}

async fn asked(rig: &mut Rig, prompt: &str, conversation: Option<ConversationId>) -> ConversationId {
    rig.submit_with(prompt, conversation, TurnSettings::default());
    let TurnEvent::Ended { conversation, .. } = rig.ended().await else { unreachable!() };
    conversation
}

/// All that was under way has come to its end.
async fn quiet(rig: &mut Rig) {
    let wait = std::time::Duration::from_secs(120);
    while tokio::time::timeout(wait, rig.until(|_| true)).await.is_ok() {}
}

fn requests(rig: &Rig) -> Vec<Request> {
    rig.model.requests.lock().unwrap().clone()
}

/// Titles that were told, and those that were written.
fn titled(rig: &Rig) -> (Vec<String>, Vec<String>) {
    let told = rig.seen.iter().filter_map(|event| match &event.body {
        TurnEvent::Titled { title, .. } => Some(title.clone()),
        _ => None,
    });
    let written = rig.changes().into_iter().filter_map(|change| match change {
        Change::Titled { title, .. } => Some(title),
        _ => None,
    });
    (told.collect(), written.collect())
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_of_a_nameless_conversation_leads_to_a_title_that_is_counted() {
    let rounds = vec![answer("It flows to the sea."), counted("\"The Rhine\"\n"), answer("So does it.")];
    let mut rig = rig(rounds, Some("small")).await;
    let conversation = asked(&mut rig, "Tell me of the Rhine", None).await;
    quiet(&mut rig).await;
    let request = &requests(&rig)[1];
    assert_eq!((request.model.as_str(), request.messages.len(), request.tools.is_none()), ("small", 1, true));
    assert!(request.sampling.max_output_tokens.is_some(), "it is bounded");
    let told = request.messages[0].plain_text();
    assert!(told.contains("Tell me of the Rhine") && told.contains("It flows to the sea."), "{told}");
    assert_eq!(titled(&rig), (vec!["The Rhine".to_owned()], vec!["The Rhine".to_owned()]));
    let aside = rig.seen.iter().find_map(|event| match &event.body {
        TurnEvent::Aside { conversation: of, aside } if *of == conversation => Some(aside.clone()),
        _ => None,
    });
    let aside = aside.expect("it is counted");
    assert_eq!((aside.kind, aside.model.as_str(), aside.usage.input), (AsideKind::Title, "small", Some(60)));
    assert!(rig.changes().contains(&Change::Aside { conversation: conversation.clone(), aside }));
    // It has a title now.
    asked(&mut rig, "And the Elbe?", Some(conversation)).await;
    quiet(&mut rig).await;
    assert_eq!(requests(&rig).len(), 3);
}

/// A name means its own endpoint's model.
#[tokio::test(start_paused = true)]
async fn what_another_endpoint_answered_is_named_by_the_model_that_answered() {
    let rounds = vec![answer("It flows to the sea."), answer("The Rhine")];
    let mut rig = rig_at(rounds, Some("small"), "https://elsewhere.example/v1").await;
    asked(&mut rig, "Tell me of the Rhine", None).await;
    quiet(&mut rig).await;
    let requests = requests(&rig);
    assert_eq!(requests[1].model, requests[0].model);
    assert_eq!(titled(&rig).0, ["The Rhine"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_where_it_is_not_wished_not_kept_or_named_already() {
    let two = || vec![answer("one"), answer("A title")];
    let mut unasked = Rig::new(two()).await;
    asked(&mut unasked, "hi", None).await;
    quiet(&mut unasked).await;
    assert_eq!(requests(&unasked).len(), 1, "not wished");
    let mut unkept = rig(two(), None).await;
    unkept.submit_with("hi", None, TurnSettings { no_save: true, ..TurnSettings::default() });
    unkept.ended().await;
    quiet(&mut unkept).await;
    assert_eq!(requests(&unkept).len(), 1, "not kept");
    let mut named =
        rig(vec![vec![Act::Wait(1_000), text("one"), finish("stop"), done()], answer("A title")], None).await;
    named.submit("hi");
    let TurnEvent::Started { conversation, .. } = named.until(|event| matches!(event, TurnEvent::Started { .. })).await
    else {
        unreachable!()
    };
    // An empty title is a person's word too: the first line speaks.
    named.handle.order(Order::Rename { conversation, title: String::new() });
    named.ended().await;
    quiet(&mut named).await;
    assert_eq!(requests(&named).len(), 1, "named");
    let mut failed = rig(vec![vec![text("half of"), finish("length"), done()], answer("A title")], None).await;
    failed.submit("hi");
    failed.ended().await;
    quiet(&mut failed).await;
    assert_eq!(titled(&failed), (vec![], vec![]), "a turn that broke off is no first answer");
}

#[tokio::test(start_paused = true)]
async fn a_person_who_is_faster_is_not_overruled() {
    let rounds = vec![answer("one"), vec![Act::Wait(1_000), text("A title"), finish("stop"), done()]];
    let mut rig = rig(rounds, None).await;
    let conversation = asked(&mut rig, "hi", None).await;
    rig.handle.order(Order::Rename { conversation, title: "mine".into() });
    quiet(&mut rig).await;
    assert_eq!((requests(&rig).len(), titled(&rig).0), (2, vec![]), "what was written stands for nothing");
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_silent_and_not_asked_again() {
    let fault = Fault::new(FaultKind::Provider, "it is down");
    for broken in [
        vec![Act::Fail { fault, retry_in: Some(10) }],
        vec![text("A ti")],
        vec![text("A ti"), finish("length"), done()],
        vec![text("  ***  "), finish("stop"), done()],
        vec![Act::Hang],
    ] {
        let mut rig = rig(vec![answer("one"), broken, answer("two"), answer("A title")], None).await;
        let conversation = asked(&mut rig, "hi", None).await;
        quiet(&mut rig).await;
        asked(&mut rig, "and?", Some(conversation)).await;
        quiet(&mut rig).await;
        assert_eq!((requests(&rig).len(), titled(&rig)), (3, (vec![], vec![])));
        let said =
            rig.seen.iter().any(|event| matches!(&event.body, TurnEvent::Error { .. } | TurnEvent::Notice { .. }));
        assert!(!said, "nobody has to read of it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_and_the_end_do_not_wait_for_a_title() {
    let rounds = vec![answer("one"), vec![Act::Hang], answer("two"), answer("A title")];
    let mut rig = rig(rounds, None).await;
    let conversation = asked(&mut rig, "hi", None).await;
    while requests(&rig).len() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    asked(&mut rig, "and?", Some(conversation)).await;
    quiet(&mut rig).await;
    assert_eq!(titled(&rig).0, ["A title"], "what gave way is made after the next answer");
    let mut rig =
        Rig::with(vec![answer("one"), vec![Act::Hang]], |config| config.titles = Some(Titles::default())).await;
    asked(&mut rig, "hi", None).await;
    let began = tokio::time::Instant::now();
    rig.handle.orders.shutdown().await;
    assert!(began.elapsed() < std::time::Duration::from_secs(1), "{:?}", began.elapsed());
}
