//! Tasks whose connection ends while they run, taken up over the next one.

use std::sync::atomic::{AtomicU32, Ordering};

use axum::response::IntoResponse;

use millrace::chat::{InquiryEnd, Question, SampleReply, SampleStop};
use millrace::config::{SamplingOffer, ServerFeatures};

use super::web::{Web, error, legacy, result, status};
use super::*;

/// Its tool is a task; the first process dies when it is asked about it. `$n`: which process this is.
const DIES: &str = r#"
n=$(($(cat "$LOG.n" 2>/dev/null || echo 0) + 1)); echo $n > "$LOG.n"
initialize() { reply "$1" '{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"tasks":{"requests":{"tools":{"call":{}}}}},"serverInfo":{"name":"fake","version":"1"}}'; }
list() { reply "$1" '{"tools":[{"name":"echo","inputSchema":{"type":"object"},"execution":{"taskSupport":"required"}}]}'; }
made='"createdAt":"2025-11-25T10:00:00Z",'
task() { printf '{"taskId":"t1",%s"status":"%s","ttl":60000,"pollInterval":200}' "$made" "$1"; }
call() { reply "$1" '{"task":'"$(task working)"'}'; }
get() { reply "$1" "$(task completed)"; }
result() { reply "$1" '{"content":[{"type":"text","text":"in the end"}]}'; }
other() { case $line in
  *'"method":"tasks/get"'*) [ $n -gt 1 ] || exit 3; get "$1" ;;
  *'"method":"tasks/result"'*) [ $n -eq 1 ] || result "$1" ;;
  *'"method":"tasks/cancel"'*) reply "$1" '{}' ;;
esac; }
"#;

fn fake(overrides: &str) -> Fake {
    Fake::new(&format!("{DIES}{overrides}"))
}

fn ended() -> CallEnd {
    CallEnd::Result(json!({"content": [{"type": "text", "text": "in the end"}]}))
}

fn unknown(end: &CallEnd) -> &str {
    let CallEnd::ServerGone { sent: true, message } = end else { panic!("{end:?}") };
    message
}

#[tokio::test]
async fn a_task_outlives_its_process_and_the_call_is_made_once() {
    let fake = fake("");
    let up = fake.up(Limits::default()).await;
    let events = events_of(up.call("echo", json!({}))).await;
    assert_eq!(events.last(), Some(&CallEvent::Ended(ended())));
    let said = events.iter().any(|event| {
        matches!(event, CallEvent::Progress { message: Some(words), .. } if words.contains("its connection ended"))
    });
    assert!(said, "{events:?}");
    assert_eq!((fake.read("tools/call"), fake.read("tools/list")), (1, 2));
}

#[tokio::test]
async fn a_task_that_the_next_process_does_not_know_may_have_run() {
    for (overrides, says) in [
        ("get() { refuse \"$1\" -32602 'no such task'; }", "no longer knows its task: no such task"),
        // Another call's, in a process that counts from one again.
        ("[ $n -eq 1 ] || made='\"createdAt\":\"2025-11-25T10:00:09Z\",'", "another task of that name"),
        ("[ $n -eq 1 ] || made=", "another task of that name"),
    ] {
        let fake = fake(overrides);
        let up = fake.up(Limits::default()).await;
        let end = up.call("echo", json!({})).end().await;
        assert!(unknown(&end).contains(says), "{overrides}: {end:?}");
        assert_eq!((fake.read("tools/call"), fake.read("tasks/cancel")), (1, 0), "{overrides}");
    }
}

#[tokio::test]
async fn what_cannot_be_told_from_others_is_not_taken_up() {
    let fake = fake("made=");
    let up = fake.up(Limits::default()).await;
    let end = up.call("echo", json!({})).end().await;
    unknown(&end);
    assert_eq!(fake.read("tasks/get"), 1);
}

#[tokio::test]
async fn it_is_waited_for_no_longer_than_the_call_may_take_and_stopped_at_once() {
    // The next process never says a word.
    let silent = "[ $n -eq 1 ] || sleep 60";
    let slow = fake(silent);
    let up = slow.up(Limits { call: Duration::from_secs(2), ..Limits::default() }).await;
    assert_eq!(up.call("echo", json!({})).end().await, CallEnd::TimedOut { sent: true });

    let stopped = fake(silent);
    let up = stopped.up(Limits::default()).await;
    let mut ticket = up.call("echo", json!({}));
    while let Some(event) = ticket.next().await {
        match event {
            CallEvent::Progress { message: Some(words), .. } if words.contains("its connection ended") => {
                ticket.cancel();
            }
            CallEvent::Ended(end) => assert_eq!(end, CallEnd::Cancelled { acknowledged: false }),
            CallEvent::Sent | CallEvent::Progress { .. } => {}
        }
    }
    // A server that was switched off meanwhile is not waited for.
    let off = fake(silent);
    let up = off.up(Limits::default()).await;
    let mut ticket = up.call("echo", json!({}));
    while let Some(event) = ticket.next().await {
        match event {
            CallEvent::Progress { message: Some(words), .. } if words.contains("its connection ended") => {
                up.host.stop(&ServerName::new("fake"));
            }
            CallEvent::Ended(end) => drop(unknown(&end).to_owned()),
            CallEvent::Sent | CallEvent::Progress { .. } => {}
        }
    }
}

#[tokio::test]
async fn a_task_outlives_the_session_of_its_server() {
    let asked_before = Arc::new(AtomicU32::new(0));
    let task = |status: &str| {
        json!({"taskId": "t1", "createdAt": "2025-11-25T10:00:00Z", "status": status, "ttl": 60000,
            "pollInterval": 200})
    };
    let web = Web::serve(move |asked| match asked.method().as_str() {
        "initialize" => {
            let greeting = json!({"protocolVersion": "2025-11-25", "serverInfo": {"name": "f", "version": "1"},
                "capabilities": {"tools": {}, "tasks": {"requests": {"tools": {"call": {}}}}}});
            ([("mcp-session-id", "s1")], result(asked, &greeting)).into_response()
        }
        "tools/list" => result(
            asked,
            &json!({"tools": [{"name": "echo", "inputSchema": {"type": "object"},
                "execution": {"taskSupport": "required"}}]}),
        ),
        "tools/call" => result(asked, &json!({"task": task("working")})),
        // The session is over; the next one knows the task.
        "tasks/get" if asked_before.fetch_add(1, Ordering::SeqCst) == 0 => status(404),
        "tasks/get" => result(asked, &task("completed")),
        "tasks/result" if asked_before.load(Ordering::SeqCst) < 2 => error(asked, 200, -32600, "not yet"),
        "tasks/result" => result(asked, &json!({"content": [{"type": "text", "text": "in the end"}]})),
        _ => legacy(asked),
    })
    .await;
    let mut up = web.up("/mcp").await;
    up.status(ServerState::Ready).await;
    assert_eq!(up.call("echo", json!({})).end().await, ended());
    assert_eq!((web.count("tools/call"), web.count("initialize")), (1, 2));
}

/// A server of 2026-07-28 whose task asks for an answer of the model. A test says where its first process dies.
const ASKS: &str = r#"
n=$(($(cat "$LOG.n" 2>/dev/null || echo 0) + 1)); echo $n > "$LOG.n"
discover() { reply "$1" '{"resultType":"complete","ttlMs":0,"cacheScope":"private","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}'; }
list() { reply "$1" '{"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":[{"name":"echo","inputSchema":{"type":"object"}}]}'; }
made='"createdAt":"2026-07-28T10:00:00Z",'
task() { printf '{"resultType":"%s","taskId":"t1",%s"status":"%s","lastUpdatedAt":"2026-07-28T10:00:00Z","ttlMs":null,"pollIntervalMs":200%s}' "$1" "$made" "$2" "$3"; }
wants='"inputRequests":{"k":{"method":"sampling/createMessage","params":{"maxTokens":9,"messages":[{"role":"user","content":{"type":"text","text":"Why?"}}]}}}'
call() { reply "$1" "$(task task working)"; }
get() { case $took in
  1) reply "$1" "$(task complete completed ',"result":{"content":[{"type":"text","text":"in the end"}]}')" ;;
  *) reply "$1" "$(task complete input_required ",$wants")" ;;
esac; }
update() { took=1; reply "$1" '{"resultType":"complete"}'; }
other() { case $line in
  *'"method":"tasks/get"'*) get "$1" ;;
  *'"method":"tasks/update"'*) update "$1" ;;
  *'"method":"tasks/cancel"'*) reply "$1" '{}' ;;
esac; }
"#;

/// Its call, with a person there.
async fn asks(fake: &Fake) -> (Up, CallTicket) {
    let mut entry = fake.entry();
    entry.features = ServerFeatures { sampling: Some(SamplingOffer::default()), ..ServerFeatures::default() };
    let (host, events) = Host::new(client(), Arc::new(Limits::default()), None);
    let host = host.attended();
    host.start(entry);
    let mut up = Up { host, events };
    assert_eq!(up.status(ServerState::Ready).await.protocol.as_deref(), Some("2026-07-28"));
    let ticket = up.call("echo", json!({}));
    (up, ticket)
}

async fn says_so(up: &mut Up) {
    let inquiry = up.inquiry().await;
    assert!(matches!(inquiry.question, Question::Sample(_)), "{inquiry:?}");
    let reply = SampleReply { model: "m".into(), text: "So.".into(), stop: SampleStop::EndTurn };
    assert!(up.host.answer(inquiry.id, InquiryAnswer::Sample(reply)));
}

fn updates(fake: &Fake) -> Vec<Value> {
    let log = std::fs::read_to_string(fake.log()).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["method"] == "tasks/update").map(|line| line["params"]["inputResponses"].clone()).collect()
}

#[tokio::test]
async fn an_answer_that_died_with_its_connection_goes_over_the_next_one_and_is_asked_for_once() {
    let fake = Fake::new(&format!(
        "{ASKS}update() {{ [ $n -gt 1 ] || exit 3; took=1; reply \"$1\" '{{\"resultType\":\"complete\"}}'; }}"
    ));
    let (mut up, ticket) = asks(&fake).await;
    says_so(&mut up).await;
    assert_eq!(ticket.end().await, ended());
    let sent = updates(&fake);
    assert_eq!((sent.len(), &sent[0]), (2, &sent[1]), "{sent:?}");
    assert_eq!(sent[0]["k"]["content"]["text"], "So.");
    assert_eq!((fake.read("tools/call"), fake.read("tasks/cancel")), (1, 0));
    while let Ok(event) = up.events.try_recv() {
        assert!(!matches!(event, HostEvent::Inquiry(_)), "a person is asked once: {event:?}");
    }
}

#[tokio::test]
async fn a_question_that_ended_with_its_connection_was_not_answered() {
    // It dies while the question is open.
    let dies = r#"get() { case $n$took in
      1) reply "$1" "$(task complete input_required ",$wants")"; sleep 0.5; exit 3 ;;
      *1) reply "$1" "$(task complete completed ',"result":{"content":[{"type":"text","text":"in the end"}]}')" ;;
      *) reply "$1" "$(task complete input_required ",$wants")" ;;
    esac; }"#;
    let fake = Fake::new(&format!("{ASKS}{dies}"));
    let (mut up, ticket) = asks(&fake).await;
    let first = up.inquiry().await;
    loop {
        if let HostEvent::InquiryEnded { id, end } = up.event().await {
            assert_eq!((id, end), (first.id, InquiryEnd::Gone));
            break;
        }
    }
    says_so(&mut up).await;
    assert_eq!(ticket.end().await, ended());
    assert_eq!((updates(&fake).len(), fake.read("tools/call")), (1, 1));
    // One that cannot be known again may have run; nobody has refused it anything.
    let fake = Fake::new(&format!("{ASKS}{dies}\nmade="));
    let (mut up, ticket) = asks(&fake).await;
    up.inquiry().await;
    unknown(&ticket.end().await);
    assert_eq!((updates(&fake).len(), fake.read("tasks/cancel")), (0, 0));
}
