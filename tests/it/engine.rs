//! The engine over fakes, on a paused clock: what leaves when, what is told to whom, what is written down.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use millrace::chat::{
    AnswerState, Approve, Body, CallId, CallState, Change, Decision, Dispatch, Durability, Effective, Fault, FaultKind,
    Message, MessageId, Order, OutcomeKind, Parent, Review, ServerName, ToolChoice, TurnEvent, TurnId, TurnSettings,
    TurnStatus, WaitFor,
};
use millrace::tools::wire_name;
use proptest::prelude::*;

use crate::fakes::{Act, FakeModel, Rig, call, done, finish, fragment, text};

fn answer(words: &str) -> Vec<Act> {
    vec![text(words), finish("stop"), done()]
}

/// Four calls of one second each, closing half a second apart, and two seconds of text behind them.
fn overlapping() -> Vec<Act> {
    let mut acts = vec![text("Four things. ")];
    for i in 0..4 {
        acts.push(Act::Wait(500));
        acts.push(call(i, &format!("c{i}"), "a__echo", &format!(r#"{{"ms":1000,"say":"{i}"}}"#)));
    }
    acts.extend([Act::Wait(2000), text("That is all."), finish("tool_calls"), done()]);
    acts
}

fn finished(rig: &Rig, round: u32) -> f64 {
    let at = rig.seen.iter().find(|e| matches!(&e.body, TurnEvent::Finish { round: r, .. } if *r == round));
    at.expect("no such round").at.ms()
}

fn request(rig: &Rig, round: u32) -> f64 {
    let at = rig.seen.iter().find(|e| matches!(&e.body, TurnEvent::Request { round: r, .. } if *r == round));
    at.expect("no such round").at.ms()
}

fn reached(rig: &Rig, id: &str, state: impl Fn(&CallState) -> bool) -> f64 {
    let at = rig.seen.iter().find(
        |e| matches!(&e.body, TurnEvent::Call { update, .. } if update.call.as_str() == id && state(&update.state)),
    );
    at.expect("no such state").at.ms()
}

async fn review(rig: &mut Rig) -> Arc<Review> {
    let event = rig
        .until(|e| {
            matches!(e, TurnEvent::Call { update, .. } if matches!(update.state, CallState::Waiting(WaitFor::Approval(_))))
        })
        .await;
    match event {
        TurnEvent::Call { update, .. } => match update.state {
            CallState::Waiting(WaitFor::Approval(review)) => review,
            _ => unreachable!(),
        },
        _ => unreachable!(),
    }
}

fn decide(rig: &Rig, turn: TurnId, review: &Review, decision: Decision) {
    rig.handle.order(Order::Decide { turn, call: review.call.clone(), hash: Arc::clone(&review.hash), decision });
}

fn messages(rig: &Rig) -> Vec<Arc<Message>> {
    rig.model.requests.lock().unwrap().last().unwrap().messages.clone()
}

/// Every call in an answer has exactly one tool message right behind it, in call order.
fn assert_valid(messages: &[Arc<Message>]) {
    let mut rest = messages.iter().peekable();
    while let Some(message) = rest.next() {
        let Body::Assistant(answer) = &message.body else { continue };
        for call in &answer.calls {
            let Some(Body::Tool(tool)) = rest.next().map(|m| &m.body) else {
                panic!("{} has no outcome", call.wire_name)
            };
            assert_eq!(tool.call, call.id);
            serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&call.arguments).unwrap();
        }
        assert!(!matches!(rest.peek().map(|m| &m.body), Some(Body::Tool(_))), "an outcome without a call");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_leaves_at_its_closing_brace_while_the_answer_goes_on() {
    let mut rig = Rig::new(vec![overlapping(), answer("Done.")]).await;
    rig.submit("go");
    let ended = rig.ended().await;
    assert!(
        matches!(&ended, TurnEvent::Ended { status: TurnStatus::Ok, text, rounds: 2, calls: 4, .. } if text == "Done.")
    );
    let began = request(&rig, 1);
    for i in 0..4 {
        let sent = reached(&rig, &format!("c{i}"), |s| matches!(s, CallState::Running)) - began;
        assert_eq!(sent.round(), 500.0 * f64::from(i + 1));
    }
    // The stream ends at 4.0 s; the last call was answered at 3.0 s: nothing is left to wait for.
    assert_eq!((finished(&rig, 1) - began).round(), 4000.0);
    assert_eq!((request(&rig, 2) - finished(&rig, 1)).round(), 0.0);
    assert_eq!(rig.states("c0"), ["arguments", "closed", "running", "done"]);
    assert_valid(&messages(&rig));
}

#[tokio::test(start_paused = true)]
async fn dispatch_at_the_finish_waits_for_it() {
    let mut rig = Rig::new(vec![overlapping(), answer("Done.")]).await;
    rig.submit_with("go", None, TurnSettings { dispatch: Dispatch::Finish, ..TurnSettings::default() });
    rig.ended().await;
    let end = finished(&rig, 1);
    for i in 0..4 {
        assert_eq!(reached(&rig, &format!("c{i}"), |s| matches!(s, CallState::Running)), end);
    }
    assert_eq!((request(&rig, 2) - end).round(), 1000.0);
}

#[tokio::test(start_paused = true)]
async fn the_question_and_the_intent_are_synced_before_anything_can_run() {
    let mut rig =
        Rig::new(vec![vec![call(0, "c", "a__echo", r#"{"say":"x"}"#), finish("tool_calls"), done()], answer("ok")])
            .await;
    rig.submit("keep me");
    rig.ended().await;
    let written = rig.journal.written.lock().unwrap();
    let place = |want: &dyn Fn(&Change) -> bool| {
        written.iter().position(|(changes, _)| changes.iter().any(want)).expect("not written")
    };
    let asked = place(&|c| matches!(c, Change::Message { message, .. } if matches!(message.body, Body::User(_))));
    let armed = place(&|c| matches!(c, Change::RoundArmed { round: 1, .. }));
    assert_eq!(asked, armed, "one commit holds the question and arms the round");
    assert_eq!(written[armed].1, Durability::Synced);
    let opened = place(&|c| matches!(c, Change::CallOpened { .. }));
    assert_eq!(written[opened].1, Durability::Synced);
    let closed = place(&|c| matches!(c, Change::CallClosed { .. }));
    let sent = place(&|c| matches!(c, Change::CallSent { .. }));
    let ended = place(&|c| matches!(c, Change::CallEnded { .. }));
    let next = place(&|c| matches!(c, Change::RoundArmed { round: 2, .. }));
    // A call that leaves at its close needs one commit for both.
    assert!(armed < opened && opened < closed && closed <= sent && sent < ended && ended < next);
    assert_eq!(written[next].1, Durability::Synced);
}

#[tokio::test(start_paused = true)]
async fn a_review_opens_in_mid_stream_and_binds_to_its_hash() {
    let stream = vec![
        text("I will write."),
        call(0, "c", "b__echo", r#"{"say": "x"}"#),
        Act::Wait(1000),
        text(" More."),
        finish("tool_calls"),
        done(),
    ];
    let mut rig = Rig::new(vec![stream, answer("ok")]).await;
    let turn = rig.submit("go");
    let asked = review(&mut rig).await;
    assert_eq!(&*asked.arguments, r#"{"say":"x"}"#, "what is shown is what will be sent");
    assert_eq!(asked.because.as_deref(), Some("I will write."));
    rig.handle.order(Order::Decide { turn, call: asked.call.clone(), hash: "0".into(), decision: Decision::Once });
    rig.until(|e| matches!(e, TurnEvent::Finish { round: 1, .. })).await;
    assert!(rig.servers.sent.lock().unwrap().is_empty(), "another hash decides nothing");
    decide(&rig, turn, &asked, Decision::Once);
    rig.ended().await;
    assert_eq!(rig.states("c"), ["arguments", "closed", "approval", "running", "done"]);
}

#[tokio::test(start_paused = true)]
async fn a_grant_for_the_session_answers_for_the_calls_that_wait() {
    let two = vec![
        call(0, "c0", "b__echo", r#"{"say":"x"}"#),
        call(1, "c1", "b__echo", r#"{"say":"y"}"#),
        finish("tool_calls"),
        done(),
    ];
    let mut rig = Rig::new(vec![two, answer("ok")]).await;
    let turn = rig.submit("go");
    let asked = review(&mut rig).await;
    decide(&rig, turn, &asked, Decision::Session);
    rig.ended().await;
    assert_eq!(rig.servers.sent.lock().unwrap().len(), 2);
    assert!(!rig.changes().iter().any(|c| matches!(c, Change::Grant(_))), "a session's grant is not kept");
}

#[tokio::test(start_paused = true)]
async fn a_denial_tells_the_model_why_and_an_edit_what_ran() {
    let one = |id: &str| vec![call(0, id, "b__echo", r#"{"say":"x"}"#), finish("tool_calls"), done()];
    let mut rig = Rig::new(vec![one("c0"), one("c1"), answer("ok")]).await;
    let turn = rig.submit("go");
    let asked = review(&mut rig).await;
    decide(&rig, turn, &asked, Decision::Deny { reason: Some("not today".into()) });
    let asked = review(&mut rig).await;
    decide(&rig, turn, &asked, Decision::Edit { arguments: "{\"say\": 1e5}".into() });
    rig.until(|e| matches!(e, TurnEvent::Notice { .. })).await;
    decide(&rig, turn, &asked, Decision::Edit { arguments: "{ \"say\": \"z\" }".into() });
    rig.ended().await;
    let told: Vec<String> = messages(&rig)
        .iter()
        .filter_map(|m| match &m.body {
            Body::Tool(t) => Some(t.outcome.content.clone()),
            Body::User(_) | Body::Assistant(_) => None,
        })
        .collect();
    assert_eq!(told[0], "The user denied this call: not today");
    assert!(told[1].starts_with("(The user changed the arguments"), "{}", told[1]);
    let history = messages(&rig);
    let Body::Assistant(answer) = &history[3].body else { panic!() };
    assert_eq!(&*answer.calls[0].arguments, r#"{"say":"z"}"#, "history holds what ran");
    assert_valid(&history);
}

#[tokio::test(start_paused = true)]
async fn stopping_the_turn_reaches_the_server_and_leaves_a_valid_history() {
    let stream = vec![
        text("Working"),
        call(0, "run", "a__echo", r#"{"ms":60000,"say":"x"}"#),
        call(1, "ask", "b__echo", r#"{"say":"y"}"#),
        Act::Say(fragment(2, Some("open"), Some("a__echo"), r#"{"say":"#)),
        Act::Hang,
    ];
    let mut rig = Rig::new(vec![stream, answer("again")]).await;
    let turn = rig.submit("go");
    rig.until(|e| matches!(e, TurnEvent::Call { update, .. } if update.call.as_str() == "open")).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    rig.handle.order(Order::CancelTurn { turn });
    let ended = rig.ended().await;
    let TurnEvent::Ended { status, conversation, .. } = ended else { panic!() };
    assert_eq!(status, TurnStatus::Cancelled);
    assert_eq!(*rig.servers.cancelled.lock().unwrap(), [CallId::new("1:run")]);
    for id in ["run", "ask"] {
        assert_eq!(rig.states(id).last().unwrap(), "cancelled");
    }
    assert_eq!(rig.states("open").last().unwrap(), "incomplete");
    rig.submit_with("and now?", Some(conversation), TurnSettings::default());
    rig.ended().await;
    let history = messages(&rig);
    assert_valid(&history);
    assert_eq!(history.len(), 6, "question, answer, three outcomes, question");
    let Body::Assistant(kept) = &history[1].body else { panic!() };
    assert_eq!((kept.text.as_str(), kept.state), ("Working", AnswerState::Interrupted));
    assert_eq!(&*kept.calls[2].arguments, "{}", "broken arguments are never sent back");
}

#[tokio::test(start_paused = true)]
async fn what_a_person_says_meanwhile_stands_behind_the_results_in_the_next_request() {
    let first = vec![call(0, "c0", "a__echo", r#"{"ms":1000,"say":"x"}"#), finish("tool_calls"), done()];
    let again = vec![text("And again."), Act::Wait(1000), finish("stop"), done()];
    let mut rig = Rig::new(vec![first, answer("Both."), again]).await;
    let turn = rig.submit("go");
    rig.until(|e| matches!(e, TurnEvent::Finish { .. })).await;
    let said_text = || millrace::chat::Part::text("and mind the gap");
    let parts = vec![said_text()];
    rig.handle.order(Order::Interject { turn, parts: parts.clone() });
    rig.ended().await;
    let bodies: Vec<Body> = messages(&rig).iter().map(|message| message.body.clone()).collect();
    let [Body::User(_), Body::Assistant(_), Body::Tool(_), Body::User(said)] = &bodies[..] else {
        panic!("{bodies:?}")
    };
    assert_eq!(*said, parts);
    assert_valid(&messages(&rig));
    // In the last round there is nothing that it could go with: it is void, and not in the history.
    let turn = rig.submit("go");
    rig.until(|e| matches!(e, TurnEvent::Text { .. })).await;
    rig.handle.order(Order::Interject { turn, parts });
    rig.ended().await;
    let said_again = rig.seen.iter().any(|event| {
        matches!(&event.body, TurnEvent::Message { turn: of, message } if *of == turn && matches!(&message.body, Body::User(parts) if parts[0] == said_text()))
    });
    assert!(!said_again);
}

#[tokio::test(start_paused = true)]
async fn a_cut_stream_lets_running_calls_end_and_starts_nothing_new() {
    let cut = Fault::new(FaultKind::Network, "connection reset");
    let stream = vec![
        text("One"),
        call(0, "runs", "a__echo", r#"{"ms":2000,"say":"x"}"#),
        call(1, "asks", "b__echo", r#"{"say":"y"}"#),
        Act::Wait(100),
        Act::Fail { fault: cut, retry_in: Some(10) },
    ];
    let mut rig = Rig::new(vec![stream]).await;
    rig.submit("go");
    let ended = rig.ended().await;
    assert!(matches!(ended, TurnEvent::Ended { status: TurnStatus::Failed, .. }));
    assert_eq!(rig.states("runs").last().unwrap(), "done");
    assert_eq!(rig.states("asks").last().unwrap(), "cancelled");
    assert_eq!(rig.model.requests.lock().unwrap().len(), 1, "what was shown is not asked for again by itself");
    let fault = rig.seen.iter().find_map(|e| match &e.body {
        TurnEvent::Error { fault, .. } => Some(fault.clone()),
        _ => None,
    });
    let fault = fault.expect("no error was told");
    assert!(fault.message.starts_with("The stream broke after 1 token. 1 call ran and is kept."), "{}", fault.message);
}

#[tokio::test(start_paused = true)]
async fn what_showed_nothing_is_tried_again_with_a_count_down() {
    let busy = || Act::Fail { fault: Fault::new(FaultKind::RateLimit, "slow down"), retry_in: Some(2000) };
    let mut rig = Rig::new(vec![vec![busy()], vec![busy()], answer("ok")]).await;
    rig.submit("go");
    let ended = rig.ended().await;
    assert!(matches!(ended, TurnEvent::Ended { status: TurnStatus::Ok, rounds: 1, .. }));
    let attempts: Vec<(u32, f64)> = rig
        .seen
        .iter()
        .filter_map(|e| match e.body {
            TurnEvent::Request { attempt, .. } => Some((attempt, e.at.ms())),
            _ => None,
        })
        .collect();
    assert_eq!(attempts.iter().map(|a| a.0).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(attempts[2].1 - attempts[0].1 >= 4000.0);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_stops_saving_not_talking_and_asks_before_it_writes() {
    let stream = vec![
        call(0, "reads", "a__read", r#"{"say":"x"}"#),
        call(1, "writes", "a__echo", r#"{"say":"y"}"#),
        finish("tool_calls"),
        done(),
    ];
    let mut rig = Rig::new(vec![stream, answer("ok")]).await;
    rig.journal.full.store(true, Ordering::Relaxed);
    let turn = rig.submit("go");
    let asked = review(&mut rig).await;
    assert_eq!(asked.call.as_str(), "writes");
    decide(&rig, turn, &asked, Decision::Once);
    let ended = rig.ended().await;
    assert!(matches!(ended, TurnEvent::Ended { status: TurnStatus::Ok, .. }));
    assert!(rig.seen.iter().any(|e| matches!(&e.body, TurnEvent::Unsaved { reason } if reason == "the disk is full")));
    assert_eq!(rig.states("reads").last().unwrap(), "done");
    assert_eq!(rig.states("writes").last().unwrap(), "done");
}

#[tokio::test(start_paused = true)]
async fn changed_arguments_before_sending_are_a_conflict_and_after_it_a_lesson() {
    let revised = |id: &str, name: &str| {
        vec![
            call(0, id, name, r#"{"say":"x"}"#),
            Act::Wait(100),
            Act::Say(fragment(0, None, None, r#"{"say":"other"}"#)),
            finish("tool_calls"),
            done(),
        ]
    };
    let late = vec![call(0, "third", "a__echo", r#"{"say":"z"}"#), Act::Wait(500), finish("tool_calls"), done()];
    let mut rig = Rig::new(vec![revised("asks", "b__echo"), revised("ran", "a__echo"), late, answer("ok")]).await;
    rig.submit("go");
    rig.ended().await;
    assert_eq!(rig.states("asks").last().unwrap(), "conflict");
    assert_eq!(rig.states("ran").last().unwrap(), "done");
    assert_eq!(rig.servers.sent.lock().unwrap()[0].1["say"], "x", "what ran is what had closed first");
    assert!(rig.changes().iter().any(|c| matches!(c, Change::Learnt { key, .. } if key == "late_data")));
    let sent = reached(&rig, "third", |s| matches!(s, CallState::Running));
    assert_eq!(sent, finished(&rig, 3), "from now on at the finish");
    assert_valid(&messages(&rig));
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_the_limit_wait_in_line() {
    let mut acts: Vec<Act> =
        (0..10).map(|i| call(i, &format!("c{i}"), "a__echo", &format!(r#"{{"ms":1000,"say":"{i}"}}"#))).collect();
    acts.extend([finish("tool_calls"), done()]);
    let mut rig = Rig::new(vec![acts, answer("ok")]).await;
    rig.submit("go");
    rig.ended().await;
    assert_eq!(rig.states("c7"), ["arguments", "closed", "running", "done"]);
    assert_eq!(rig.states("c8")[2], "slot 1");
    assert_eq!(rig.states("c9")[2], "slot 2");
    let sent: Vec<String> = rig.servers.sent.lock().unwrap().iter().map(|(_, a)| a["say"].to_string()).collect();
    assert_eq!(sent, (0..10).map(|i| format!("\"{i}\"")).collect::<Vec<_>>(), "in the order in which they closed");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_called_is_told_to_the_model_and_never_sent() {
    let stream = vec![
        call(0, "nobody", "a__nope", r#"{"say":"x"}"#),
        call(1, "wrong", "a__echo", r#"{"say":7}"#),
        call(2, "twice", "a__echo", r#"{"say":"x","say":"y"}"#),
        finish("tool_calls"),
        done(),
    ];
    let mut rig = Rig::new(vec![stream, answer("ok")]).await;
    rig.submit("go");
    rig.ended().await;
    for id in ["nobody", "wrong", "twice"] {
        assert_eq!(rig.states(id).last().unwrap(), "invalid", "{id}");
    }
    assert!(rig.servers.sent.lock().unwrap().is_empty());
    assert_valid(&messages(&rig));
}

#[tokio::test(start_paused = true)]
async fn a_lost_server_is_an_unknown_outcome_and_a_tools_error_a_failure() {
    let stream = vec![
        call(0, "lost", "a__die", r#"{"say":"x"}"#),
        call(1, "bad", "a__fail", r#"{"say":"x"}"#),
        finish("tool_calls"),
        done(),
    ];
    let mut rig = Rig::new(vec![stream, answer("ok")]).await;
    rig.submit("go");
    rig.ended().await;
    assert_eq!(rig.states("lost").last().unwrap(), "unknown");
    assert_eq!(rig.states("bad").last().unwrap(), "failed");
    let told = messages(&rig);
    let Body::Tool(lost) = &told[2].body else { panic!() };
    assert!(lost.outcome.content.contains("may still have run"), "{}", lost.outcome.content);
    assert_eq!(lost.outcome.kind, OutcomeKind::Unknown);
}

#[tokio::test(start_paused = true)]
async fn the_rounds_and_the_output_have_limits_that_say_so() {
    let again = || vec![call(0, "c", "a__echo", r#"{"say":"x"}"#), finish("tool_calls"), done()];
    let mut rig = Rig::new(vec![again(), again(), again()]).await;
    rig.submit_with("go", None, TurnSettings { max_rounds: Some(2), ..TurnSettings::default() });
    let ended = rig.ended().await;
    assert!(matches!(ended, TurnEvent::Ended { status: TurnStatus::Limit, rounds: 2, .. }));
    assert_eq!(rig.model.requests.lock().unwrap().len(), 2);

    let cut =
        vec![text("half"), Act::Say(fragment(0, Some("c"), Some("a__echo"), r#"{"say":"#)), finish("length"), done()];
    let mut rig = Rig::new(vec![cut]).await;
    rig.submit("go");
    let ended = rig.ended().await;
    assert!(matches!(ended, TurnEvent::Ended { status: TurnStatus::Failed, .. }));
    assert!(rig.seen.iter().any(|e| matches!(e.body, TurnEvent::Finish { effective: Effective::Length, .. })));
    assert_eq!(rig.states("c").last().unwrap(), "incomplete");
}

#[tokio::test(start_paused = true)]
async fn asking_again_never_runs_an_equal_call_unasked() {
    let one = || vec![call(0, "c", "a__echo", r#"{"say":"x"}"#), finish("tool_calls"), done()];
    let mut rig = Rig::new(vec![one(), answer("first"), one(), answer("second")]).await;
    rig.submit("go");
    let TurnEvent::Ended { conversation, .. } = rig.ended().await else { panic!() };
    let settings = Box::new(TurnSettings { model: "m".into(), ..TurnSettings::default() });
    let turn = TurnId(99);
    rig.handle.order(Order::AskAgain { turn, conversation, question: None, settings });
    let asked = review(&mut rig).await;
    assert_eq!(asked.why, millrace::chat::AskReason::Repeat);
    assert_eq!(asked.earlier.as_ref().map(|o| o.content.as_str()), Some("x"));
    decide(&rig, turn, &asked, Decision::UseEarlier);
    rig.until(|e| matches!(e, TurnEvent::Ended { turn: t, .. } if *t == turn)).await;
    assert_eq!(rig.servers.sent.lock().unwrap().len(), 1, "it ran once");
    let history = messages(&rig);
    assert_valid(&history);
    let Body::Tool(reused) = &history[2].body else { panic!() };
    assert_eq!(reused.outcome.content, "x");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_ran_on_another_branch_asks_there_and_no_more_where_it_stands() {
    let one = || vec![call(0, "c", "a__echo", r#"{"say":"x"}"#), finish("tool_calls"), done()];
    let mut rig = Rig::new(vec![one(), answer("first"), one(), answer("second"), one(), answer("third")]).await;
    // Kept by the engine alone: nothing can be read again.
    let settings = || TurnSettings { no_save: true, ..TurnSettings::default() };
    rig.submit_with("go", None, settings());
    let TurnEvent::Ended { conversation, .. } = rig.ended().await else { panic!() };
    let path = |rig: &Rig| -> Vec<MessageId> {
        let mut told = rig.seen.iter().filter_map(|e| match &e.body {
            TurnEvent::Message { message, .. } => Some(message.id.clone()),
            _ => None,
        });
        told.by_ref().collect()
    };
    let first = path(&rig);
    assert_eq!(first.len(), 4, "question, call, outcome, answer");
    // The first message, edited: nothing of it is left on this path, and the equal call asks.
    let turn = rig.submit_below(Parent::Root, "go on", Some(conversation.clone()), settings());
    let asked = review(&mut rig).await;
    assert_eq!(asked.why, millrace::chat::AskReason::Repeat);
    decide(&rig, turn, &asked, Decision::UseEarlier);
    rig.until(|e| matches!(e, TurnEvent::Ended { turn: t, .. } if *t == turn)).await;
    assert_eq!(rig.servers.sent.lock().unwrap().len(), 1, "it ran once");
    let root = rig.seen.iter().rev().find_map(|e| match &e.body {
        TurnEvent::Message { message, .. } if message.plain_text() == "go on" => Some(message.parent.clone()),
        _ => None,
    });
    assert_eq!(root, Some(None), "it begins the conversation anew");
    // Back on the first branch the next message answers what stands there.
    rig.handle.order(Order::Branch { conversation: conversation.clone(), path: first.clone() });
    rig.submit_with("and now", Some(conversation), settings());
    let next =
        rig.until(|e| matches!(e, TurnEvent::Message { message, .. } if message.plain_text() == "and now")).await;
    let TurnEvent::Message { message, .. } = next else { panic!() };
    assert_eq!(message.parent.as_ref(), first.last());
}

#[tokio::test(start_paused = true)]
async fn a_call_runs_again_by_a_review_whatever_policy_says_and_the_model_goes_on() {
    let one = vec![call(0, "c", "a__echo", r#"{"say":"x"}"#), finish("tool_calls"), done()];
    let mut rig = Rig::new(vec![one, answer("first"), answer("second")]).await;
    rig.submit("go");
    let TurnEvent::Ended { conversation, .. } = rig.ended().await else { panic!() };
    let settings = Box::new(TurnSettings { model: "m".into(), ..TurnSettings::default() });
    let turn = TurnId(99);
    rig.handle.order(Order::RunAgain { turn, conversation, call: CallId::new("c"), settings });
    let asked = review(&mut rig).await;
    assert_eq!((asked.why, &*asked.arguments), (millrace::chat::AskReason::Repeat, r#"{"say":"x"}"#));
    decide(&rig, turn, &asked, Decision::Once);
    let ended = rig.until(|e| matches!(e, TurnEvent::Ended { turn: t, .. } if *t == turn)).await;
    assert!(matches!(ended, TurnEvent::Ended { text, .. } if text == "second"));
    assert_eq!(rig.servers.sent.lock().unwrap().len(), 2);
    assert_valid(&messages(&rig));
    assert_eq!(messages(&rig)[4].plain_text(), "Run a__echo again.");
}

#[tokio::test(start_paused = true)]
async fn nobody_there_means_no() {
    let stream = vec![call(0, "c", "b__echo", r#"{"say":"x"}"#), finish("tool_calls"), done()];
    let mut rig = Rig::new(vec![stream, answer("ok")]).await;
    let settings = TurnSettings { approve: Approve::ReadOnly, headless: true, ..TurnSettings::default() };
    rig.submit_with("go", None, settings);
    rig.ended().await;
    assert_eq!(rig.states("c").last().unwrap(), "denied");
    let told = messages(&rig);
    let Body::Tool(denied) = &told[2].body else { panic!() };
    assert!(denied.outcome.content.contains("--allow b/echo"), "{}", denied.outcome.content);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_lists_holds_back_a_run_and_no_longer_than_it_fails() {
    let mut rig = Rig::with(vec![answer("ok")], |config| {
        config.starting.push(millrace::chat::ServerName::new("slow"));
    })
    .await;
    rig.submit("go");
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert!(rig.model.requests.lock().unwrap().is_empty());
    let status = millrace::chat::ServerStatus {
        state: millrace::chat::ServerState::Failed,
        message: Some("no".into()),
        ..millrace::chat::ServerStatus::starting(millrace::chat::ServerName::new("slow"), "stdio", "slow")
    };
    rig.listings.send(millrace::engine::port::ServerEvent::Status(status)).await.unwrap();
    rig.ended().await;
    assert_eq!(rig.model.requests.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn only_the_definitions_that_were_shown_are_accepted() {
    use millrace::chat::{ServerName, ServerState, ServerStatus};
    use millrace::engine::port::ServerEvent;
    let mut rig = Rig::new(Vec::new()).await;
    let server = ServerName::new("b");
    let status = ServerStatus { state: ServerState::Ready, ..ServerStatus::starting(server.clone(), "stdio", "b") };
    let listing = |description: &str| {
        let tool = serde_json::json!({"name": "echo", "description": description, "inputSchema": {"type": "object"}});
        let tools = vec![tool];
        let listing = millrace::tools::Listing {
            server: ServerName::new("b"),
            entry: Arc::from("b"),
            tools,
            instructions: None,
            from_cache: false,
        };
        ServerEvent::Listing(listing)
    };
    rig.listings.send(ServerEvent::Status(status)).await.unwrap();
    // The first listing settles, and pins what it held.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    rig.listings.send(listing("the first change")).await.unwrap();
    let differs = |word: &'static str| move |e: &TurnEvent| matches!(e, TurnEvent::Server(s) if s.differences.iter().any(|d| d.after.contains(word)));
    let TurnEvent::Server(shown) = rig.until(differs("first")).await else { unreachable!() };
    assert_eq!(shown.differences.len(), 1);
    assert!(shown.differences[0].before.as_deref().unwrap().contains("does echo"));
    // While a person reads, the server changes its mind.
    rig.listings.send(listing("the second change")).await.unwrap();
    let TurnEvent::Server(now) = rig.until(differs("second")).await else { unreachable!() };
    rig.handle.order(Order::AcceptChanges { server: server.clone(), shown: shown.differences });
    rig.handle.order(Order::AcceptChanges { server, shown: now.differences });
    let accepted = |e: &TurnEvent| matches!(e, TurnEvent::Server(s) if s.differences.is_empty() && s.tools == 1);
    rig.until(accepted).await;
    let pinned: Vec<Arc<str>> = rig
        .changes()
        .into_iter()
        .filter_map(|change| match change {
            Change::Pin(pin) => Some(pin.definition),
            _ => None,
        })
        .collect();
    assert!(pinned.iter().any(|definition| definition.contains("second")));
    assert!(!pinned.iter().any(|definition| definition.contains("first")), "what nobody saw was never pinned");
}

#[tokio::test(start_paused = true)]
async fn a_screen_waits_for_no_server_but_the_one_that_was_chosen_with_the_model() {
    let mut rig = Rig::with(vec![answer("one"), answer("two")], |config| {
        config.wait_for_servers = false;
        config.starting.push(millrace::chat::ServerName::new("slow"));
    })
    .await;
    rig.submit("go");
    rig.ended().await;
    let demo = millrace::chat::ServerName::new("demo");
    rig.handle.orders.expect(demo.clone(), millrace::tools::ServerRules::default());
    rig.submit("and now");
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert_eq!(rig.model.requests.lock().unwrap().len(), 1, "its tools are not there yet");
    let listing = millrace::tools::Listing {
        server: demo,
        entry: Arc::from("demo"),
        tools: Vec::new(),
        instructions: None,
        from_cache: false,
    };
    rig.listings.send(millrace::engine::port::ServerEvent::Listing(listing)).await.unwrap();
    rig.ended().await;
    assert_eq!(rig.model.requests.lock().unwrap().len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the order in which calls come back, the conversation is the same.
    #[test]
    fn the_order_of_completions_leaves_no_trace(times in prop::collection::vec(0u64..3000, 1..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let history = runtime.block_on(async {
            let mut acts: Vec<Act> = times
                .iter()
                .enumerate()
                .map(|(i, ms)| call(i as u64, &format!("c{i}"), "a__echo", &format!(r#"{{"ms":{ms},"say":"r{i}"}}"#)))
                .collect();
            acts.extend([finish("tool_calls"), done()]);
            let mut rig = Rig::new(vec![acts, answer("ok")]).await;
            rig.submit("go");
            rig.ended().await;
            messages(&rig)
        });
        assert_valid(&history);
        let told: Vec<String> = history[2..].iter().map(|m| m.plain_text()).collect();
        let want: Vec<String> = (0..times.len()).map(|i| format!("r{i}")).collect();
        prop_assert_eq!(told, want);
    }
}

#[test]
fn the_tests_use_the_names_that_the_registry_gives() {
    assert_eq!(wire_name(&millrace::chat::ToolRef::new("a", "echo")), "a__echo");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_cancelled_on_its_way_to_the_store_does_not_leave() {
    let stream = || vec![call(0, "c", "a__echo", r#"{"say":"x"}"#), Act::Wait(100), finish("tool_calls"), done()];
    for full in [false, true] {
        let mut rig = Rig::new(vec![stream()]).await;
        rig.journal.slow.store(500, Ordering::Relaxed);
        let turn = rig.submit("go");
        rig.until(|e| matches!(e, TurnEvent::Finish { .. })).await;
        rig.journal.full.store(full, Ordering::Relaxed);
        rig.handle.order(Order::CancelTurn { turn });
        let ended = rig.ended().await;
        assert!(matches!(ended, TurnEvent::Ended { status: TurnStatus::Cancelled, .. }));
        assert_eq!(rig.states("c"), ["arguments", "closed", "cancelling", "cancelled"]);
        assert!(rig.servers.sent.lock().unwrap().is_empty(), "it ran though it was cancelled");
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_under_a_turn_that_was_stopped_asks_nobody() {
    let stream = vec![
        call(0, "c", "a__echo", r#"{"say":"x"}"#),
        Act::Wait(100),
        Act::Fail { fault: Fault::new(FaultKind::Network, "gone"), retry_in: None },
    ];
    let mut rig = Rig::new(vec![stream]).await;
    rig.journal.slow.store(500, Ordering::Relaxed);
    rig.submit("go");
    rig.until(|e| matches!(e, TurnEvent::Request { .. })).await;
    rig.journal.full.store(true, Ordering::Relaxed);
    rig.ended().await;
    assert_eq!(rig.states("c"), ["arguments", "closed", "cancelled"]);
    assert!(rig.servers.sent.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn changed_arguments_of_a_call_that_waits_for_its_server_take_it_back() {
    let stream = vec![
        call(0, "c", "a__hold", r#"{"say":"x"}"#),
        Act::Wait(100),
        Act::Say(fragment(0, None, None, r#"{"say":"other"}"#)),
        finish("tool_calls"),
        done(),
    ];
    let mut rig = Rig::new(vec![stream, answer("ok")]).await;
    rig.submit("go");
    rig.ended().await;
    assert_eq!(rig.states("c").last().unwrap(), "conflict");
    assert!(
        !rig.changes().iter().any(|c| matches!(c, Change::Learnt { key, .. } if key != "used")),
        "nothing ran with the wrong ones"
    );
    assert_valid(&messages(&rig));
}

#[tokio::test(start_paused = true)]
async fn equal_ids_in_two_conversations_are_two_calls() {
    let slow = |ms| vec![call(0, "c", "a__echo", &format!(r#"{{"ms":{ms},"say":"x"}}"#)), finish("tool_calls"), done()];
    let mut rig = Rig::new(vec![slow(5000), slow(5000), answer("ok")]).await;
    let first = rig.submit("one");
    rig.until(|e| matches!(e, TurnEvent::Finish { .. })).await;
    let second = rig.submit("two");
    rig.until(|e| matches!(e, TurnEvent::Finish { turn, .. } if *turn == second)).await;
    rig.handle.order(Order::CancelTurn { turn: first });
    let ended = rig.ended().await;
    assert!(matches!(ended, TurnEvent::Ended { turn, status: TurnStatus::Cancelled, .. } if turn == first));
    let ended = rig.ended().await;
    assert!(matches!(ended, TurnEvent::Ended { turn, status: TurnStatus::Ok, .. } if turn == second), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn no_call_runs_in_an_answer_that_may_call_nothing() {
    let stream = |id: &str| vec![call(0, id, "a__echo", r#"{"say":"x"}"#), finish("tool_calls"), done()];
    let mut rig = Rig::new(vec![stream("first"), stream("second"), answer("ok")]).await;
    let settings = TurnSettings { tool_choice: ToolChoice::None, ..TurnSettings::default() };
    rig.submit_with("go", None, settings);
    rig.ended().await;
    assert_eq!(rig.states("first").last().unwrap(), "denied");
    assert_eq!(rig.states("second").last().unwrap(), "done", "the choice is for the first round");
    let choices: Vec<_> = rig.model.requests.lock().unwrap().iter().map(|r| r.tool_choice.clone()).collect();
    assert_eq!(choices, [ToolChoice::None, ToolChoice::Auto, ToolChoice::Auto]);
    assert_valid(&messages(&rig));
}

#[tokio::test(start_paused = true)]
async fn a_question_that_waits_for_servers_is_kept_when_the_program_ends() {
    let mut rig = Rig::with(vec![], |config| config.starting.push(ServerName::new("never"))).await;
    rig.submit("keep me");
    let orders = rig.handle.orders.clone();
    let ended = tokio::spawn(async move { orders.shutdown().await });
    rig.until(|e| matches!(e, TurnEvent::Ended { status: TurnStatus::Cancelled, .. })).await;
    ended.await.unwrap();
    let kept = |c: &Change| matches!(c, Change::Message { message, .. } if matches!(message.body, Body::User(_)));
    assert!(rig.changes().iter().any(kept));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_ends_before_its_servers_settled_pins_what_they_listed() {
    let mut rig = Rig::new(vec![answer("ok")]).await;
    rig.submit("go");
    rig.ended().await;
    let pins = |rig: &Rig| rig.changes().iter().filter(|c| matches!(c, Change::Pin(_))).count();
    assert_eq!(pins(&rig), 0, "they had no time to settle");
    let orders = rig.handle.orders.clone();
    orders.shutdown().await;
    assert_eq!(pins(&rig), 12);
}

#[tokio::test(start_paused = true)]
async fn another_endpoint_takes_over_in_mid_conversation_and_each_turn_names_its_wire() {
    let mut rig = Rig::new(vec![answer("one")]).await;
    rig.submit("first");
    let TurnEvent::Ended { conversation, .. } = rig.ended().await else { panic!() };
    let other = Arc::new(FakeModel::new(vec![answer("two")], millrace::chat::Api::Responses));
    rig.handle.orders.connect(Arc::clone(&other) as Arc<dyn millrace::engine::port::Model>);
    rig.submit_with("second", Some(conversation), TurnSettings::default());
    rig.ended().await;
    let apis: Vec<&str> = rig
        .seen
        .iter()
        .filter_map(|event| match &event.body {
            TurnEvent::Started { api, .. } => Some(*api),
            _ => None,
        })
        .collect();
    assert_eq!(apis, ["chat", "responses"]);
    assert_eq!(rig.model.requests.lock().unwrap().len(), 1);
    let asked = other.requests.lock().unwrap();
    assert_eq!(asked[0].messages.len(), 3, "the conversation came along");
    let moved = rig.changes().into_iter().filter(|c| matches!(c, Change::ConversationModel { .. })).count();
    assert_eq!(moved, 1, "of a conversation that goes on, where it goes");
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_was_opened_again_is_answered_as_the_store_has_it() {
    let mut rig = Rig::new(vec![answer("first"), answer("third")]).await;
    rig.submit("one");
    let TurnEvent::Ended { conversation, .. } = rig.ended().await else { panic!() };
    // Another process wrote a turn meanwhile, on the same branch or another.
    let message = |id: &str, parent: Option<&str>, body: Body| {
        Arc::new(Message { id: MessageId::new(id), parent: parent.map(MessageId::new), at: 1, body })
    };
    let said = |words: &str| Body::User(vec![millrace::chat::Part::text(words)]);
    let told = |words: &str| {
        let state = AnswerState::Complete;
        Body::Assistant(millrace::chat::Answer { text: words.into(), state, ..Default::default() })
    };
    let shown = vec![
        message("k1.0", None, said("one")),
        message("k1.1", Some("k1.0"), told("first")),
        message("k2.0", Some("k1.1"), said("two")),
        message("k2.1", Some("k2.0"), told("second")),
    ];
    let path = shown.iter().map(|message| message.id.clone()).collect();
    let opened = millrace::engine::port::Opened { messages: shown, ..Default::default() };
    rig.journal.opened.lock().unwrap().insert(conversation.clone(), opened);
    rig.handle.order(Order::Branch { conversation: conversation.clone(), path });
    rig.submit_with("three", Some(conversation), TurnSettings::default());
    rig.ended().await;
    let asked = rig.seen.iter().find_map(|event| match &event.body {
        TurnEvent::Message { message, .. } if message.plain_text() == "three" => Some(Arc::clone(message)),
        _ => None,
    });
    assert_eq!(asked.unwrap().parent, Some(MessageId::new("k2.1")));
    let sent: Vec<String> = messages(&rig).iter().map(|message| message.plain_text()).collect();
    assert_eq!(sent, ["one", "first", "two", "second", "three"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_on_no_disk_is_remembered_whatever_is_shown() {
    let mut rig = Rig::new(vec![answer("first"), answer("second")]).await;
    let settings = || TurnSettings { no_save: true, ..TurnSettings::default() };
    rig.submit_with("one", None, settings());
    let TurnEvent::Ended { conversation, .. } = rig.ended().await else { panic!() };
    rig.handle.order(Order::Branch { conversation: conversation.clone(), path: vec![MessageId::new("stranger")] });
    rig.submit_with("two", Some(conversation), settings());
    rig.ended().await;
    let asked = rig.model.requests.lock().unwrap()[1].clone();
    let sent: Vec<String> = asked.messages.iter().map(|message| message.plain_text()).collect();
    assert_eq!(sent, ["one", "first", "two"]);
}
