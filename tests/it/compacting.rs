//! Long conversations: summaries in place of older messages, names in place of old results, and nothing lost.

use std::sync::atomic::Ordering;

use millrace::chat::{
    Body, Change, CompactMode, CompactRules, Compaction, CompactionStep, ConversationId, Delta, Fault, FaultKind,
    Message, MessageId, Order, Parent, Part, Request, TurnEvent, TurnId, TurnSettings,
};
use millrace::tools::result_reference;
use serde_json::{Value, json};

use crate::fakes::{Act, Rig, call, done, finish, text};

fn answer(words: &str) -> Vec<Act> {
    vec![text(words), finish("stop"), done()]
}

/// The same, counted.
fn counted(words: &str, input: u64) -> Vec<Act> {
    let usage = Act::Say(Delta::Usage(json!({"prompt_tokens": input, "completion_tokens": 10})));
    vec![text(words), usage, finish("stop"), done()]
}

fn calls(id: &str, name: &str, arguments: Value) -> Vec<Act> {
    vec![call(0, id, name, &arguments.to_string()), finish("tool_calls"), done()]
}

fn settings(mode: CompactMode, window: Option<u64>) -> TurnSettings {
    let compact = CompactRules { mode, at: 0.8, keep: 1 };
    TurnSettings { model: "m".into(), context_window: window, compact, ..TurnSettings::default() }
}

fn compact(rig: &Rig, conversation: &ConversationId, note: &str) -> TurnId {
    let turn = TurnId(900 + rig.seen.len() as u64);
    let settings = Box::new(settings(CompactMode::Ask, None));
    rig.handle.order(Order::Compact { turn, conversation: conversation.clone(), note: note.into(), settings });
    turn
}

async fn asked(rig: &mut Rig, prompt: &str, conversation: Option<ConversationId>) -> ConversationId {
    rig.submit_with(prompt, conversation, settings(CompactMode::Ask, None));
    let TurnEvent::Ended { conversation, .. } = rig.ended().await else { unreachable!() };
    conversation
}

/// How a summary ended, in a word, and the step.
async fn over(rig: &mut Rig) -> CompactionStep {
    let event = rig
        .until(|event| {
            matches!(event, TurnEvent::Compaction { step, .. }
                if matches!(step, CompactionStep::Done { .. } | CompactionStep::Failed { .. }))
        })
        .await;
    let TurnEvent::Compaction { step, .. } = event else { unreachable!() };
    step
}

fn request(rig: &Rig, at: usize) -> Request {
    rig.model.requests.lock().unwrap()[at].clone()
}

/// The texts of a request, by role; a user's parts are joined.
fn told(request: &Request) -> Vec<(&'static str, String)> {
    let text = |message: &Message| match &message.body {
        Body::User(parts) => {
            let parts = parts.iter().map(|part| match part {
                Part::Text { text } => text.as_str(),
                Part::File { .. } | Part::Image { .. } => "",
            });
            ("user", parts.collect::<Vec<_>>().join("|"))
        }
        Body::Assistant(answer) => ("assistant", answer.text.clone()),
        Body::Tool(tool) => ("tool", tool.outcome.content.clone()),
    };
    request.messages.iter().map(|message| text(message)).collect()
}

fn kept(rig: &Rig) -> Vec<Compaction> {
    let compactions = rig.changes().into_iter().filter_map(|change| match change {
        Change::Compacted { compaction, .. } => Some(*compaction),
        _ => None,
    });
    compactions.collect()
}

#[tokio::test(start_paused = true)]
async fn a_summary_stands_for_what_is_older_and_can_be_edited_and_taken_back() {
    let rounds = vec![
        calls("c1", "a__read", json!({"say": "the secret is 42"})),
        answer("first answer"),
        answer("second answer"),
        counted("They talked about 42.", 70),
        answer("third answer"),
        answer("fourth answer"),
        answer("fifth answer"),
    ];
    let mut rig = Rig::new(rounds).await;
    let conversation = asked(&mut rig, "first", None).await;
    asked(&mut rig, "second", Some(conversation.clone())).await;
    compact(&rig, &conversation, "the number");
    let CompactionStep::Done { compaction, next, .. } = over(&mut rig).await else { panic!("{:?}", rig.seen.last()) };
    assert_eq!((compaction.messages, compaction.text.as_str()), (4, "They talked about 42."));
    assert_eq!((compaction.input, compaction.output, compaction.shortened), (Some(70), Some(10), false));
    assert!(next.is_some());
    assert_eq!(kept(&rig), [(*compaction).clone()]);
    // Whoever writes it is given all of it, and no tools.
    let asked_for = request(&rig, 3);
    assert!(asked_for.tools.is_none() && asked_for.system.as_deref().unwrap().contains("summary"));
    let told_it = told(&asked_for);
    assert_eq!(told_it.len(), 1);
    for words in ["first", "calls a__read", "the secret is 42", "first answer", "Keep in mind above all: the number"] {
        assert!(told_it[0].1.contains(words), "{words}: {}", told_it[0].1);
    }
    assert!(!told_it[0].1.contains("second"), "the last turn stays whole");
    asked(&mut rig, "third", Some(conversation.clone())).await;
    let sent = told(&request(&rig, 4));
    assert_eq!(sent.iter().map(|(role, _)| *role).collect::<Vec<_>>(), ["user", "assistant", "user"]);
    assert!(sent[0].1.contains("\nThey talked about 42.\n") && sent[0].1.ends_with("|second"), "{}", sent[0].1);
    let left = rig.seen.iter().find_map(|event| match &event.body {
        TurnEvent::Compaction { step: CompactionStep::LeftOut { left, .. }, .. } => Some(*left),
        _ => None,
    });
    assert_eq!(left.map(|left| (left.summarised, left.referred)), Some((4, 0)));
    // Other words, then the messages themselves.
    let upto = compaction.upto.clone();
    let other = Some("It was 43.".to_owned());
    rig.handle.order(Order::Summary { conversation: conversation.clone(), upto: upto.clone(), text: other });
    asked(&mut rig, "fourth", Some(conversation.clone())).await;
    assert!(told(&request(&rig, 5))[0].1.contains("\nIt was 43.\n"));
    rig.handle.order(Order::Summary { conversation: conversation.clone(), upto, text: None });
    asked(&mut rig, "fifth", Some(conversation.clone())).await;
    let sent = told(&request(&rig, 6));
    assert_eq!((sent.len(), sent[0].1.as_str(), sent[2].1.as_str()), (11, "first", "the secret is 42"));
    let changes = rig.changes();
    assert!(changes.iter().any(|change| matches!(change, Change::SummaryText { text, .. } if text == "It was 43.")));
    assert!(changes.iter().any(|change| matches!(change, Change::Uncompacted { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_summary_that_fails_or_is_stopped_changes_nothing() {
    let broken = |message: &str| Fault::new(FaultKind::Provider, message);
    let fails: Vec<(Vec<Act>, &str)> = vec![
        (vec![text("half of"), finish("length"), done()], "output limit"),
        (vec![text("half of")], "before the summary was whole"),
        (vec![text("  "), finish("stop"), done()], "no summary"),
        (vec![Act::Fail { fault: broken("it is down"), retry_in: None }], "it is down"),
    ];
    let mut rounds = vec![answer("one"), answer("two")];
    rounds.extend(fails.iter().map(|(acts, _)| acts.clone()));
    rounds.extend([vec![text("begun"), Act::Hang], answer("three")]);
    let mut rig = Rig::new(rounds).await;
    let conversation = asked(&mut rig, "first", None).await;
    asked(&mut rig, "second", Some(conversation.clone())).await;
    for (_, why) in &fails {
        compact(&rig, &conversation, "");
        let CompactionStep::Failed { fault, .. } = over(&mut rig).await else { panic!("{why}") };
        assert!(fault.message.contains(why), "{why}: {}", fault.message);
    }
    let turn = compact(&rig, &conversation, "");
    rig.until(|event| {
        matches!(event, TurnEvent::Compaction { step: CompactionStep::Began { turn: begun, .. }, .. } if *begun == turn)
    })
    .await;
    rig.handle.order(Order::CancelTurn { turn });
    let CompactionStep::Failed { fault, .. } = over(&mut rig).await else { panic!() };
    assert_eq!(fault.kind, FaultKind::Cancelled);
    asked(&mut rig, "third", Some(conversation)).await;
    let sent = told(&request(&rig, 7));
    assert_eq!(
        sent.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(),
        ["first", "one", "second", "two", "third"]
    );
    assert_eq!(kept(&rig), []);
}

#[tokio::test(start_paused = true)]
async fn a_summary_that_does_not_fit_is_asked_for_with_less() {
    let long = "word ".repeat(20_000);
    let too_long = || vec![Act::Fail { fault: Fault::new(FaultKind::Context, "too long"), retry_in: None }];
    let rounds = vec![answer(&long), answer("two"), too_long(), too_long(), answer("In short: words.")];
    let mut rig = Rig::new(rounds).await;
    let conversation = asked(&mut rig, "first", None).await;
    asked(&mut rig, "second", Some(conversation.clone())).await;
    compact(&rig, &conversation, "");
    let CompactionStep::Done { compaction, .. } = over(&mut rig).await else { panic!() };
    assert!(compaction.shortened);
    let sizes: Vec<usize> = (2..5).map(|at| told(&request(&rig, at))[0].1.len()).collect();
    assert!(sizes[2] < sizes[0] && sizes[2] < 70_000, "{sizes:?}");
}

#[tokio::test(start_paused = true)]
async fn by_itself_only_where_it_is_wished_and_the_question_never_goes_lost() {
    let rounds = || {
        vec![
            counted("one", 100),
            counted("two", 900),
            answer("A summary."),
            counted("three", 200),
            answer("never asked for"),
        ]
    };
    for (mode, expect) in [(CompactMode::Ask, 3), (CompactMode::Off, 3), (CompactMode::Auto, 4)] {
        let mut rig = Rig::new(rounds()).await;
        let auto = || settings(mode, Some(1_000));
        rig.submit_with("first", None, auto());
        let TurnEvent::Ended { conversation, .. } = rig.ended().await else { unreachable!() };
        for prompt in ["second", "third"] {
            rig.submit_with(prompt, Some(conversation.clone()), auto());
            rig.ended().await;
        }
        let requests = rig.model.requests.lock().unwrap().len();
        assert_eq!(requests, expect, "{mode:?}");
        if mode == CompactMode::Auto {
            let sent = told(&request(&rig, 3));
            assert!(sent[0].1.contains("A summary.") && sent[0].1.ends_with("|second"), "{sent:?}");
            assert_eq!(sent.last().map(|(_, text)| text.as_str()), Some("third"));
            let place =
                |what: &dyn Fn(&TurnEvent) -> bool| rig.seen.iter().rposition(|event| what(&event.body)).unwrap();
            let started = place(&|event| matches!(event, TurnEvent::Started { .. }));
            let done = place(&|event| matches!(event, TurnEvent::Compaction { step: CompactionStep::Done { .. }, .. }));
            let message = place(&|event| matches!(event, TurnEvent::Request { .. }));
            assert!(started < done && done < message);
        }
    }
    // Stopped while the summary is written: the question stands, and is not answered.
    let rounds = vec![counted("one", 100), counted("two", 900), vec![Act::Hang]];
    let mut rig = Rig::new(rounds).await;
    let auto = || settings(CompactMode::Auto, Some(1_000));
    rig.submit_with("first", None, auto());
    let TurnEvent::Ended { conversation, .. } = rig.ended().await else { unreachable!() };
    rig.submit_with("second", Some(conversation.clone()), auto());
    rig.ended().await;
    let turn = rig.submit_with("third", Some(conversation), auto());
    rig.until(|event| matches!(event, TurnEvent::Compaction { step: CompactionStep::Began { .. }, .. })).await;
    rig.handle.order(Order::CancelTurn { turn });
    let TurnEvent::Ended { status, .. } = rig.ended().await else { unreachable!() };
    assert_eq!(status.word(), "cancelled");
    let written = rig.changes().into_iter().any(|change| match change {
        Change::Message { message, .. } => message.plain_text() == "third",
        _ => false,
    });
    assert!(written);
}

#[tokio::test(start_paused = true)]
async fn another_branch_is_sent_whole_and_the_first_as_it_was_when_it_is_shown_again() {
    let rounds = vec![answer("one"), answer("two"), answer("They spoke."), answer("other"), answer("three")];
    let mut rig = Rig::new(rounds).await;
    let unkept = || TurnSettings { no_save: true, ..settings(CompactMode::Ask, None) };
    rig.submit_with("first", None, unkept());
    let TurnEvent::Ended { conversation, .. } = rig.ended().await else { unreachable!() };
    rig.submit_with("second", Some(conversation.clone()), unkept());
    rig.ended().await;
    let said = rig.seen.iter().filter_map(|event| match &event.body {
        TurnEvent::Message { message, .. } => Some(message.id.clone()),
        _ => None,
    });
    let path: Vec<MessageId> = said.collect();
    assert_eq!(path.len(), 4);
    compact(&rig, &conversation, "");
    let CompactionStep::Done { compaction, .. } = over(&mut rig).await else { panic!() };
    assert_eq!(compaction.upto, path[1]);
    // A branch that does not go through what was summarised.
    rig.submit_below(Parent::Message(path[0].clone()), "instead", Some(conversation.clone()), unkept());
    rig.ended().await;
    let sent = told(&request(&rig, 3));
    assert_eq!(sent.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["first", "instead"]);
    rig.handle.order(Order::Branch { conversation: conversation.clone(), path });
    rig.submit_with("third", Some(conversation), unkept());
    rig.ended().await;
    let sent = told(&request(&rig, 4));
    assert!(sent[0].1.contains("\nThey spoke.\n") && sent[0].1.ends_with("|second"), "{sent:?}");
    assert_eq!(sent.iter().map(|(role, _)| *role).collect::<Vec<_>>(), ["user", "assistant", "user"]);
}

#[tokio::test(start_paused = true)]
async fn old_large_results_give_way_to_names_where_the_context_is_short_and_never_in_silence() {
    let big = "0123456789".repeat(1_000);
    let id = result_reference(&millrace::chat::CallId::new("c1"));
    let rounds = vec![
        calls("c1", "a__read", json!({"say": big})),
        counted("one", 900),
        calls("c2", "read_result", json!({"id": id, "byte": 9_990})),
        counted("two", 300),
        counted("three", 300),
    ];
    let mut rig = Rig::new(rounds).await;
    rig.submit_with("first", None, settings(CompactMode::Ask, Some(1_000)));
    let TurnEvent::Ended { conversation, .. } = rig.ended().await else { unreachable!() };
    rig.submit_with("second", Some(conversation.clone()), settings(CompactMode::Ask, Some(1_000)));
    rig.ended().await;
    let sent = told(&request(&rig, 2));
    assert!(sent[2].1.starts_with(&format!("[… result {id} of a__read, 10000 bytes: left out here")), "{}", sent[2].1);
    assert!(request(&rig, 2).tools.unwrap().json.contains("read_result"));
    let sent = told(&request(&rig, 3));
    assert!(sent[6].1.contains("\n0123456789\n[That is the end of it.]"), "{}", sent[6].1);
    let notices = rig
        .seen
        .iter()
        .filter(|event| matches!(&event.body, TurnEvent::Notice { message, .. } if message.contains("sent as a name")));
    assert_eq!(notices.count(), 1);
    // From then on it stays as it is, whatever was counted.
    rig.submit_with("third", Some(conversation), settings(CompactMode::Ask, Some(1_000)));
    rig.ended().await;
    assert_eq!(told(&request(&rig, 4))[..3], told(&request(&rig, 2))[..3]);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_a_summary_that_is_refused_changes_nothing_and_the_store_is_as_good_as_before() {
    let rounds = vec![answer("one"), answer("two"), answer("They spoke."), answer("three")];
    let mut rig = Rig::new(rounds).await;
    let conversation = asked(&mut rig, "first", None).await;
    asked(&mut rig, "second", Some(conversation.clone())).await;
    compact(&rig, &conversation, "");
    let CompactionStep::Done { compaction, .. } = over(&mut rig).await else { panic!("{:?}", rig.seen.last()) };
    rig.journal.held.store(true, Ordering::Relaxed);
    let upto = compaction.upto.clone();
    rig.handle.order(Order::Summary { conversation: conversation.clone(), upto, text: None });
    let told = rig.until(|event| matches!(event, TurnEvent::Error { .. } | TurnEvent::Compaction { .. })).await;
    let TurnEvent::Error { turn: None, fault } = told else { panic!("{told:?}") };
    assert_eq!(fault.message, "open in another millrace");
    asked(&mut rig, "third", Some(conversation)).await;
    let unsaved = |event: &TurnEvent| matches!(event, TurnEvent::Unsaved { .. });
    let undone = |event: &TurnEvent| matches!(event, TurnEvent::Compaction { step: CompactionStep::Undone { .. }, .. });
    assert!(!rig.seen.iter().any(|event| unsaved(&event.body) || undone(&event.body)));
}

#[tokio::test(start_paused = true)]
async fn a_summary_beyond_its_limit_is_none() {
    let long = || text(&"x".repeat(200 * 1024));
    let rounds = vec![answer("one"), answer("two"), vec![long(), long(), finish("stop"), done()]];
    let mut rig = Rig::new(rounds).await;
    let conversation = asked(&mut rig, "first", None).await;
    asked(&mut rig, "second", Some(conversation.clone())).await;
    compact(&rig, &conversation, "");
    let CompactionStep::Failed { fault, .. } = over(&mut rig).await else { panic!("{:?}", rig.seen.last()) };
    assert_eq!(fault.kind, FaultKind::Limit);
    assert!(fault.message.contains("more than 256 KiB"), "{}", fault.message);
    assert!(kept(&rig).is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_an_endpoint_counts_or_claims_never_overflows() {
    let rounds = vec![counted("one", u64::MAX), counted("two", u64::MAX), counted("They spoke.", u64::MAX)];
    let mut rig = Rig::new(rounds).await;
    let conversation = asked(&mut rig, "first", None).await;
    asked(&mut rig, "second", Some(conversation.clone())).await;
    let settings = Box::new(settings(CompactMode::Ask, Some(u64::MAX)));
    rig.handle.order(Order::Compact { turn: TurnId(99), conversation, note: String::new(), settings });
    let CompactionStep::Done { compaction, .. } = over(&mut rig).await else { panic!("{:?}", rig.seen.last()) };
    assert_eq!(compaction.input, Some(u64::MAX));
}
