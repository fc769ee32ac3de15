//! Answers of the model for servers, in the engine: what is asked, what it may cost, how it ends.

use std::sync::Arc;
use std::time::Duration;

use millrace::chat::{
    Aside, AsideKind, Body, CallState, Change, Delta, Fault, FaultKind, Inquiry, InquiryAnswer, InquiryEnd, InquiryId,
    Limits, Order, Part, Question, Sample, SampleBudget, SampleMessage, SamplePart, SampleReply, SampleStep,
    SampleStop, Sampling, TurnEvent, TurnSettings, Usage,
};
use millrace::engine::port::ServerEvent;
use serde_json::{Value, json};

use super::fakes::{Act, FakeModel, Rig, call, done, finish, text};

fn sample(tokens: u32) -> Sample {
    Sample {
        system: Some("Judge.".into()),
        messages: vec![
            SampleMessage { by_assistant: false, parts: vec![SamplePart::Text("Why?".into())] },
            SampleMessage { by_assistant: true, parts: vec![SamplePart::Text("So.".into())] },
            SampleMessage { by_assistant: false, parts: vec![SamplePart::Text("Sure?".into())] },
        ],
        wanted_tokens: tokens,
        max_tokens: tokens,
        budget: SampleBudget { server: 1_000, turn: 1_000 },
        stop: vec!["END".into()],
        temperature: Some(0.25),
        ..Sample::default()
    }
}

async fn ask(rig: &Rig, id: u64, sample: Sample) {
    let inquiry = Inquiry {
        id: InquiryId(id),
        server: "b".into(),
        call: None,
        question: Question::Sample(Box::new(sample)),
        limit: Duration::from_secs(600),
        behind: 0,
    };
    rig.listings.send(ServerEvent::Inquiry(inquiry)).await.unwrap();
}

async fn asked(rig: &mut Rig) -> Sample {
    match rig.until(|event| matches!(event, TurnEvent::Inquiry { .. })).await {
        TurnEvent::Inquiry { inquiry, .. } => match &inquiry.question {
            Question::Sample(sample) => (**sample).clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn yes(rig: &Rig, id: u64) {
    let params = vec![("top_p".to_owned(), json!(0.9)), ("max_tokens".to_owned(), json!(9_999))];
    let sampling = Sampling { params, schema: Some(json!({})), ..Sampling::default() };
    let settings =
        TurnSettings { model: "m".into(), system: Some("Mine.".into()), sampling, ..TurnSettings::default() };
    rig.handle.order(Order::Sample { inquiry: InquiryId(id), settings: Box::new(settings) });
}

async fn whole(rig: &mut Rig) -> (SampleReply, Usage) {
    let is_whole = |event: &TurnEvent| matches!(event, TurnEvent::Sampled { step: SampleStep::Whole { .. }, .. });
    match rig.until(is_whole).await {
        TurnEvent::Sampled { step: SampleStep::Whole { reply, usage }, .. } => (reply, usage),
        other => panic!("{other:?}"),
    }
}

async fn answered(rig: &Rig) -> InquiryAnswer {
    loop {
        if let Some((_, answer)) = rig.servers.answers.lock().unwrap().pop() {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn used(input: u64, output: u64) -> Act {
    Act::Say(Delta::Usage(json!({"prompt_tokens": input, "completion_tokens": output})))
}

#[tokio::test(start_paused = true)]
async fn the_model_is_asked_what_was_shown_and_nothing_more() {
    let stream = vec![text("Quite"), text(" sure."), used(30, 5), finish("stop"), done()];
    let mut rig = Rig::new(vec![stream]).await;
    ask(&rig, 1, sample(50)).await;
    let shown = asked(&mut rig).await;
    assert_eq!((shown.max_tokens, shown.base_url.as_str()), (50, "http://127.0.0.1:1/v1"));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(rig.model.requests.lock().unwrap().is_empty(), "nobody has said yes");
    yes(&rig, 1);
    // A second yes asks nothing twice.
    yes(&rig, 1);
    let (reply, usage) = whole(&mut rig).await;
    assert_eq!(reply, SampleReply { model: "m".into(), text: "Quite sure.".into(), stop: SampleStop::EndTurn });
    assert_eq!((usage.input, usage.output), (Some(30), Some(5)));
    assert!(rig.servers.answers.lock().unwrap().is_empty(), "it goes to the server by a person's order alone");
    let requests = rig.model.requests.lock().unwrap();
    let [request] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!((request.system.as_deref(), request.tools.is_none()), (Some("Judge."), true));
    assert_eq!((request.sampling.max_output_tokens, request.sampling.temperature), (Some(50), Some(0.25)));
    assert_eq!(request.sampling.params, [("top_p".to_owned(), json!(0.9)), ("stop".to_owned(), json!(["END"]))]);
    assert_eq!(request.sampling.schema, None::<Value>);
    let bodies: Vec<&Body> = request.messages.iter().map(|message| &message.body).collect();
    let [Body::User(first), Body::Assistant(said), Body::User(_)] = bodies[..] else { panic!("{bodies:?}") };
    assert_eq!((&first[..], said.text.as_str()), (&[Part::text("Why?")][..], "So."));
}

#[tokio::test(start_paused = true)]
async fn what_a_server_was_given_counts_in_the_conversation_whose_turn_runs() {
    let rounds = vec![
        vec![call(0, "c", "a__read", r#"{"ms":30000,"say":"x"}"#), finish("tool_calls"), done()],
        vec![text("Sure."), used(30, 5), finish("stop"), done()],
        vec![text("ok"), finish("stop"), done()],
    ];
    let mut rig = Rig::new(rounds).await;
    rig.submit("go");
    let runs = |event: &TurnEvent| match event {
        TurnEvent::Call { update, .. } => matches!(update.state, CallState::Running),
        _ => false,
    };
    rig.until(runs).await;
    ask(&rig, 1, sample(50)).await;
    asked(&mut rig).await;
    yes(&rig, 1);
    whole(&mut rig).await;
    let TurnEvent::Ended { conversation, .. } = rig.ended().await else { unreachable!() };
    let told: Vec<Aside> = rig
        .seen
        .iter()
        .filter_map(|event| match &event.body {
            TurnEvent::Aside { conversation: of, aside } if *of == conversation => Some(aside.clone()),
            _ => None,
        })
        .collect();
    let [aside] = &told[..] else { panic!("{told:?}") };
    assert_eq!((aside.kind, aside.model.as_str()), (AsideKind::Sample, "m"));
    assert_eq!((aside.usage.input, aside.usage.output), (Some(30), Some(5)));
    assert!(rig.changes().contains(&Change::Aside { conversation, aside: aside.clone() }), "it is kept");
}

#[tokio::test(start_paused = true)]
async fn a_stop_sequence_ends_it_whatever_the_endpoint_makes_of_it() {
    let stream = vec![text("Quite E"), text("ND"), text("LESS"), Act::Hang];
    let mut rig = Rig::new(vec![stream]).await;
    ask(&rig, 1, sample(50)).await;
    asked(&mut rig).await;
    yes(&rig, 1);
    let (reply, _) = whole(&mut rig).await;
    assert_eq!((reply.text.as_str(), reply.stop), ("Quite ", SampleStop::StopSequence));
}

#[tokio::test(start_paused = true)]
async fn more_than_its_tokens_could_hold_is_cut_off() {
    let words = "word ".repeat(100);
    let mut rig = Rig::new(vec![vec![text(&words), text(&words), Act::Hang]]).await;
    ask(&rig, 1, sample(20)).await;
    asked(&mut rig).await;
    yes(&rig, 1);
    let (reply, _) = whole(&mut rig).await;
    assert_eq!((reply.text.len(), reply.stop), (320, SampleStop::MaxTokens));
    // An endpoint that minds the limit says so itself.
    let mut rig = Rig::new(vec![vec![text("Qui"), finish("length"), done()]]).await;
    ask(&rig, 1, sample(20)).await;
    asked(&mut rig).await;
    yes(&rig, 1);
    assert_eq!(whole(&mut rig).await.0.stop, SampleStop::MaxTokens);
}

#[tokio::test(start_paused = true)]
async fn what_was_used_is_taken_from_the_budget_until_its_limit_says_no() {
    let say = |usage: Vec<Act>| [vec![text("Yes.")], usage, vec![finish("stop"), done()]].concat();
    let rounds = vec![say(vec![used(300, 100)]), say(vec![]), say(vec![used(1, 1)])];
    let mut rig = Rig::new(rounds).await;
    let input = sample(0).most_input();
    ask(&rig, 1, sample(100)).await;
    assert_eq!(asked(&mut rig).await.budget.server, 1_000);
    yes(&rig, 1);
    whole(&mut rig).await;
    // What the endpoint told: 400. The next is cut to what is left.
    ask(&rig, 2, sample(5_000)).await;
    let second = asked(&mut rig).await;
    assert_eq!((second.budget.server, u64::from(second.max_tokens)), (600, 600 - input));
    assert_eq!(second.wanted_tokens, 5_000);
    yes(&rig, 2);
    whole(&mut rig).await;
    // It told nothing: all that it could have used is gone.
    ask(&rig, 3, sample(10)).await;
    let InquiryAnswer::Fail { told, why } = answered(&rig).await else { panic!("no refusal") };
    assert!(why.contains("sampling_tokens") && !told.contains("limit"), "{why}");
    assert_eq!(rig.model.requests.lock().unwrap().len(), 2);
    assert_eq!(rig.seen.iter().filter(|e| matches!(e.body, TurnEvent::Inquiry { .. })).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_turn_has_a_budget_of_its_own_and_its_model_answers() {
    let hold = vec![call(0, "c", "a__echo", r#"{"say":"x","ms":100000}"#), finish("tool_calls"), done()];
    let mut rig = Rig::new(vec![hold, vec![text("Yes."), used(900, 90), finish("stop"), done()]]).await;
    rig.submit("go");
    rig.until(
        |event| matches!(event, TurnEvent::Call { update, .. } if update.state == millrace::chat::CallState::Running),
    )
    .await;
    ask(&rig, 1, Sample { budget: SampleBudget { server: 5_000, turn: 1_000 }, ..sample(50) }).await;
    assert_eq!(asked(&mut rig).await.model.as_deref(), Some("m"));
    yes(&rig, 1);
    whole(&mut rig).await;
    ask(&rig, 2, Sample { budget: SampleBudget { server: 5_000, turn: 1_000 }, ..sample(50) }).await;
    let InquiryAnswer::Fail { why, .. } = answered(&rig).await else { panic!("no refusal") };
    assert!(why.contains("[limits] sampling_turn_tokens"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_over_ends_the_asking_and_its_late_words_are_void() {
    let mut rig = Rig::new(vec![vec![text("It"), Act::Hang]]).await;
    ask(&rig, 1, sample(50)).await;
    asked(&mut rig).await;
    yes(&rig, 1);
    rig.until(|event| matches!(event, TurnEvent::Sampled { step: SampleStep::Text(text), .. } if text == "It")).await;
    let end = InquiryEnd::CallEnded;
    rig.listings.send(ServerEvent::InquiryEnded { id: InquiryId(1), end }).await.unwrap();
    rig.until(|event| matches!(event, TurnEvent::InquiryEnded { .. })).await;
    yes(&rig, 1);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(rig.model.requests.lock().unwrap().len(), 1);
    // What was under way when it ended counts as used.
    ask(&rig, 2, sample(50)).await;
    let input = sample(0).most_input();
    assert_eq!(asked(&mut rig).await.budget.server, 1_000 - input - 50);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_fails_is_told_to_both_each_in_their_words() {
    let fault = Fault::new(FaultKind::Network, "127.0.0.1:1 refuses the connection");
    let again = Act::Fail { fault: fault.clone(), retry_in: Some(10) };
    let mut rig = Rig::with(vec![vec![again], vec![Act::Fail { fault, retry_in: None }]], |config| {
        config.limits = Arc::new(Limits { attempts: 2, ..Limits::default() });
    })
    .await;
    ask(&rig, 1, sample(50)).await;
    asked(&mut rig).await;
    yes(&rig, 1);
    let want =
        InquiryAnswer::Fail { told: "the model gave no answer", why: "127.0.0.1:1 refuses the connection".into() };
    assert_eq!(answered(&rig).await, want);
    assert_eq!(rig.model.requests.lock().unwrap().len(), 2, "tried again as the endpoint allowed");
    // Nothing was used.
    ask(&rig, 2, sample(50)).await;
    assert_eq!(asked(&mut rig).await.budget.server, 1_000);
    // Nor does a model that sees nothing get a picture by its name.
    let image = SamplePart::Image { mime: "image/png".into(), data: "AAAA".into() };
    let blind = SampleMessage { by_assistant: false, parts: vec![image] };
    ask(&rig, 3, Sample { messages: vec![blind], budget: SampleBudget { server: 9_000, turn: 9_000 }, ..sample(50) })
        .await;
    asked(&mut rig).await;
    let mut settings = TurnSettings { model: "m".into(), ..TurnSettings::default() };
    settings.lacks.vision = true;
    rig.handle.order(Order::Sample { inquiry: InquiryId(3), settings: Box::new(settings) });
    assert!(matches!(answered(&rig).await, InquiryAnswer::Fail { told: "the model takes no images", .. }));
}

#[tokio::test(start_paused = true)]
async fn a_budget_holds_whatever_a_request_is_made_of() {
    // Words of one letter: twice as many tokens as a guess by the size makes of it, and more of signs.
    let words = "a ".repeat(350);
    let message = SampleMessage { by_assistant: false, parts: vec![SamplePart::Text(words)] };
    let dense = |tokens| Sample { messages: vec![message.clone()], system: None, ..sample(tokens) };
    let mut rig = Rig::new(vec![vec![text("Yes."), finish("stop"), done()]]).await;
    ask(&rig, 1, dense(900)).await;
    let shown = asked(&mut rig).await;
    assert!(shown.estimated_input() < 200 && shown.most_input() >= 700, "each by its name");
    assert!(u64::from(shown.max_tokens) + 700 <= 1_000, "{}", shown.max_tokens);
    // What it could have taken is gone while the endpoint tells nothing else.
    yes(&rig, 1);
    whole(&mut rig).await;
    ask(&rig, 2, sample(1)).await;
    assert!(matches!(answered(&rig).await, InquiryAnswer::Fail { .. }));
    // One that could take more than there is reaches nobody, and says how much that is.
    let mut rig = Rig::new(vec![]).await;
    let long = SampleMessage { by_assistant: false, parts: vec![SamplePart::Text("~".repeat(1_000))] };
    ask(&rig, 1, Sample { messages: vec![long], system: None, ..sample(1) }).await;
    let InquiryAnswer::Fail { why, .. } = answered(&rig).await else { panic!("no refusal") };
    assert!(why.contains("may take 1016") && why.contains("(sampling_tokens)"), "{why}");
    assert!(rig.model.requests.lock().unwrap().is_empty());
    let image = SamplePart::Image { mime: "image/png".into(), data: "AAAA".into() };
    let seen = Sample { messages: vec![SampleMessage { by_assistant: false, parts: vec![image] }], ..sample(1) };
    ask(&rig, 2, Sample { budget: SampleBudget { server: 2_000, turn: 2_000 }, ..seen }).await;
    assert_eq!(asked(&mut rig).await.most_input(), 1_600 + "Judge.".len() as u64 + 16, "a picture is not its bytes");
}

#[tokio::test(start_paused = true)]
async fn reasoning_without_an_end_is_cut_off_like_an_answer() {
    let thought = || Act::Say(Delta::Reasoning("hmm ".repeat(50)));
    let mut rig = Rig::new(vec![vec![text("So"), thought(), thought(), thought(), Act::Hang]]).await;
    ask(&rig, 1, sample(20)).await;
    asked(&mut rig).await;
    yes(&rig, 1);
    let (reply, _) = whole(&mut rig).await;
    assert_eq!((reply.text.as_str(), reply.stop), ("So", SampleStop::MaxTokens));
    // What was thought is not there for the answer any more.
    let mut rig = Rig::new(vec![vec![thought(), text(&"word ".repeat(100)), Act::Hang]]).await;
    ask(&rig, 1, sample(20)).await;
    asked(&mut rig).await;
    yes(&rig, 1);
    let (reply, _) = whole(&mut rig).await;
    assert_eq!((reply.text.len(), reply.stop), (120, SampleStop::MaxTokens));
}

#[tokio::test(start_paused = true)]
async fn a_model_is_asked_at_its_own_endpoint_alone() {
    let mut rig = Rig::new(vec![vec![text("Yes."), finish("stop"), done()]]).await;
    ask(&rig, 1, sample(50)).await;
    asked(&mut rig).await;
    let rounds = vec![vec![text("Yes, here."), finish("stop"), done()]];
    let other = Arc::new(FakeModel::new(rounds, millrace::chat::Api::Chat));
    rig.handle.orders.connect(Arc::clone(&other) as Arc<dyn millrace::engine::port::Model>);
    // The settings are of the screen, which shows the other one's by now.
    yes(&rig, 1);
    let want = InquiryAnswer::Fail {
        told: "the model is another now; ask again",
        why: "you have changed the endpoint since it asked".into(),
    };
    assert_eq!(answered(&rig).await, want);
    let notice = rig.until(|event| matches!(event, TurnEvent::Notice { .. })).await;
    assert!(
        matches!(&notice, TurnEvent::Notice { message, .. } if message.starts_with("b gets no answer")),
        "{notice:?}"
    );
    assert!(rig.model.requests.lock().unwrap().is_empty() && other.requests.lock().unwrap().is_empty());
    // Asked again, the new one answers.
    ask(&rig, 2, sample(50)).await;
    asked(&mut rig).await;
    yes(&rig, 2);
    assert_eq!(whole(&mut rig).await.0.text, "Yes, here.");
    assert!(rig.model.requests.lock().unwrap().is_empty());
}
