//! Turns written for pipes, from canned events.
#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers of tests, which clippy does not know as such

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use millrace::chat::{
    Answer, Body, CallId, CallState, CallUpdate, ClosedBy, ConversationId, Effective, Fault, FaultKind, Message,
    MessageId, NoticeKind, Order, OutcomeKind, Part, Retry, ServerName, ServerState, ServerStatus, Stamp, Stamped,
    ToolOutcome, ToolRef, TurnEvent, TurnId, TurnStatus, Usage, WaitFor,
};
use millrace::headless::{self, Options, Output, Source, Stop};
use serde_json::Value;
use tokio::io::AsyncWrite;

const TURN: TurnId = TurnId(1);

/// Gives its batches, one by one; then hangs until it is told to cancel, and then ends the turn as an engine does.
struct Canned {
    batches: VecDeque<Vec<Stamped<TurnEvent>>>,
    orders: Rc<RefCell<Vec<Order>>>,
    /// After the last batch: no more events will come.
    closes: bool,
    /// Ends the turn when it is told to.
    obeys: bool,
}

impl Source for Canned {
    async fn next(&mut self) -> Option<Vec<Stamped<TurnEvent>>> {
        if let Some(batch) = self.batches.pop_front() {
            return Some(batch);
        }
        if self.closes {
            return None;
        }
        if self.obeys && !self.orders.borrow().is_empty() {
            return Some(vec![at(9, ended(TurnStatus::Cancelled, "par"))]);
        }
        std::future::pending().await
    }

    fn order(&self, order: Order) {
        self.orders.borrow_mut().push(order);
    }
}

fn at(ms: u64, body: TurnEvent) -> Stamped<TurnEvent> {
    Stamped { at: Stamp { mono_us: ms * 1000, wall_ms: 0 }, body }
}

fn ended(status: TurnStatus, text: &str) -> TurnEvent {
    TurnEvent::Ended {
        turn: TURN,
        status,
        text: text.into(),
        rounds: 1,
        calls: 0,
        conversation: ConversationId::new("c1"),
    }
}

fn request(round: u32, tools: u32) -> TurnEvent {
    TurnEvent::Request {
        turn: TURN,
        round,
        attempt: 1,
        tools,
        tools_hash: "h".into(),
        parts: Default::default(),
        of: None,
    }
}

fn text(round: u32, text: &str) -> TurnEvent {
    TurnEvent::Text { turn: TURN, round, text: text.into() }
}

fn finish(round: u32, effective: Effective) -> TurnEvent {
    TurnEvent::Finish { turn: TURN, round, reason: Some(effective.word().into()), effective }
}

fn call(state: CallState) -> TurnEvent {
    let update = CallUpdate {
        call: CallId::new("call_1"),
        round: 1,
        index: 0,
        wire_name: Some("fs__write_file".into()),
        tool: Some(ToolRef::new("fs", "write_file")),
        state,
    };
    TurnEvent::Call { turn: TURN, update }
}

fn outcome(kind: OutcomeKind, content: &str) -> TurnEvent {
    call(CallState::Ended(Arc::new(ToolOutcome::unsent(kind, content))))
}

fn options(output: Output) -> Options {
    Options {
        turn: TURN,
        output,
        extract: false,
        verbose: false,
        quiet: false,
        prices: None,
        stdout_terminal: false,
        stderr_terminal: false,
    }
}

struct Written {
    code: u8,
    out: String,
    err: String,
    orders: Vec<Order>,
}

/// Writes events, one batch each, and tells what came out.
async fn write(options: Options, events: Vec<Stamped<TurnEvent>>) -> Written {
    let orders = Rc::default();
    let batches = events.into_iter().map(|event| vec![event]).collect();
    let source = Canned { batches, orders: Rc::clone(&orders), closes: true, obeys: true };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = headless::run(source, options, &mut out, &mut err, stream::pending()).await;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Written { code, out: text(out), err: text(err), orders: orders.take() }
}

fn lines(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_review_says_how_its_server_is_reached() {
    let mut status = server();
    (status.transport, status.line) = ("stdio", "npx fs  in /srv".into());
    assert_eq!(status.reached(), "stdio: npx fs  in /srv");
    (status.transport, status.line) = ("http", "https://mcp.example/mcp".into());
    assert_eq!(status.reached(), "https://mcp.example/mcp");
}

fn server() -> ServerStatus {
    ServerStatus {
        state: ServerState::Ready,
        tools: 3,
        protocol: Some("2025-11-25".into()),
        ..ServerStatus::starting(ServerName::new("fs"), "stdio", "npx")
    }
}

#[tokio::test]
async fn ndjson_tells_every_event_with_every_field() {
    let server = server();
    let started = TurnEvent::Started {
        turn: TURN,
        conversation: ConversationId::new("c1"),
        model: "m".into(),
        base_url: "http://h/v1".into(),
        api: "chat",
    };
    let mut done = ToolOutcome::unsent(OutcomeKind::Done, "ok\u{202e}");
    done.sent = true;
    done.ms = 1.5;
    let usage = Usage { input: Some(9), output: Some(2), cached: None, reasoning: None };
    let fault = Fault::new(FaultKind::RateLimit, "slow down").hint("Wait.").retry(Retry::Later(Some(20_000)));
    let written = write(
        options(Output::Ndjson),
        vec![
            at(1, started),
            at(2, TurnEvent::Server(server)),
            at(3, request(1, 4)),
            at(4, TurnEvent::Reasoning { turn: TURN, round: 1, text: "hm".into() }),
            at(5, text(1, "a\u{1b}[31m")),
            at(6, call(CallState::Arguments { bytes: 2, delta: "{}".into() })),
            at(7, call(CallState::Closed { arguments: "{}".into(), closed_by: ClosedBy::Brace, closed_at: 7 })),
            at(8, call(CallState::Waiting(WaitFor::Server))),
            at(9, call(CallState::Running)),
            at(10, call(CallState::Progress { progress: 0.5, total: Some(1.0), message: None })),
            at(11, call(CallState::Ended(Arc::new(done)))),
            at(12, TurnEvent::Usage { turn: TURN, round: 1, usage }),
            at(13, finish(1, Effective::ToolCalls)),
            at(12, TurnEvent::Notice { turn: None, kind: NoticeKind::LateData, message: "n".into() }),
            at(14, TurnEvent::Slow { turn: TURN, round: 2, waited_ms: 30_000 }),
            at(14, TurnEvent::Retrying { turn: TURN, round: 2, attempt: 2, delay_ms: 1500, fault: fault.clone() }),
            at(15, TurnEvent::Error { turn: Some(TURN), fault }),
            at(15, TurnEvent::Text { turn: TurnId(2), round: 1, text: "another turn's".into() }),
            at(16, ended(TurnStatus::Failed, "a")),
            at(17, text(1, "after the end")),
        ],
    )
    .await;
    assert_eq!(written.code, 5);
    assert_eq!(written.err, "");
    insta::assert_snapshot!(written.out, @r##"
    {"event":"started","t":1.0,"conversation":"c1","model":"m","base_url":"http://h/v1","api":"chat"}
    {"event":"server","t":2.0,"server":"fs","state":"ready","tools":3,"protocol":"2025-11-25","message":null}
    {"event":"request","t":3.0,"round":1,"attempt":1,"tools":4,"tools_hash":"h"}
    {"event":"reasoning","t":4.0,"round":1,"text":"hm"}
    {"event":"text","t":5.0,"round":1,"text":"a\u001b[31m"}
    {"event":"call","t":6.0,"round":1,"call":"call_1","index":0,"state":"arguments","wire_name":"fs__write_file","server":"fs","tool":"write_file","bytes":2}
    {"event":"call","t":7.0,"round":1,"call":"call_1","index":0,"state":"closed","wire_name":"fs__write_file","server":"fs","tool":"write_file","arguments":"{}","closed_by":"brace","closed_at":7}
    {"event":"call","t":8.0,"round":1,"call":"call_1","index":0,"state":"waiting","wire_name":"fs__write_file","server":"fs","tool":"write_file","for":"server"}
    {"event":"call","t":9.0,"round":1,"call":"call_1","index":0,"state":"running","wire_name":"fs__write_file","server":"fs","tool":"write_file"}
    {"event":"call","t":10.0,"round":1,"call":"call_1","index":0,"state":"progress","wire_name":"fs__write_file","server":"fs","tool":"write_file","progress":0.5,"total":1.0,"message":null}
    {"event":"call","t":11.0,"round":1,"call":"call_1","index":0,"state":"done","wire_name":"fs__write_file","server":"fs","tool":"write_file","content":"ok\u202e","structured":null,"bytes":5,"ms":1.5,"truncated":false,"sent":true,"may_have_run":false}
    {"event":"usage","t":12.0,"round":1,"input":9,"output":2,"cached":null,"reasoning":null}
    {"event":"finish","t":13.0,"round":1,"reason":"tool_calls","effective":"tool_calls"}
    {"event":"notice","t":13.0,"kind":"late_data","message":"n"}
    {"event":"notice","t":14.0,"kind":"slow","message":"Nothing has come from the endpoint for 30 s.","round":2}
    {"event":"notice","t":14.0,"kind":"retry","message":"slow down Asking again in 1.5 s (attempt 2).","round":2,"attempt":2,"delay_ms":1500}
    {"event":"error","t":15.0,"kind":"rate_limit","message":"slow down","hint":"Wait.","retry":true,"retry_after_ms":20000}
    {"event":"ended","t":16.0,"status":"failed","text":"a","rounds":1,"calls":0,"conversation":"c1"}
    "##);
}

#[tokio::test]
async fn arguments_are_told_at_most_twenty_times_a_second() {
    let mut events: Vec<_> =
        (0..1000).map(|ms| at(ms, call(CallState::Arguments { bytes: ms, delta: "x".into() }))).collect();
    events.push(at(1000, ended(TurnStatus::Ok, "")));
    let written = write(options(Output::Ndjson), events).await;
    assert_eq!(lines(&written.out).iter().filter(|l| l["state"] == "arguments").count(), 20);
}

#[tokio::test]
async fn json_is_one_object_with_messages_usage_notices_and_error() {
    let message = |id: &str, body| TurnEvent::Message {
        turn: TURN,
        message: Arc::new(Message { id: MessageId::new(id), parent: None, at: 0, body }),
    };
    let answer = |text: &str| Body::Assistant(Answer { text: text.into(), ..Answer::default() });
    let usage = |round, output| TurnEvent::Usage {
        turn: TURN,
        round,
        usage: Usage { output: Some(output), ..Usage::default() },
    };
    let written = write(
        options(Output::Json),
        vec![
            at(1, message("1", Body::User(vec![Part::text("hi")]))),
            at(2, text(1, "hel")),
            at(3, message("2", answer("hel"))),
            at(3, message("2", answer("hello"))),
            at(4, usage(1, 1)),
            at(4, usage(1, 5)),
            at(4, usage(2, 7)),
            at(5, TurnEvent::Unsaved { reason: "disk full".into() }),
            at(6, ended(TurnStatus::Ok, "hello")),
        ],
    )
    .await;
    let [whole] = &lines(&written.out)[..] else { panic!("one object: {}", written.out) };
    assert_eq!(written.code, 0);
    assert_eq!((&whole["status"], &whole["text"], &whole["error"]), (&"ok".into(), &"hello".into(), &Value::Null));
    assert_eq!(whole["usage"]["output"], 12);
    let rounds = whole["usage_by_round"].as_array().unwrap().iter().map(|told| (&told["round"], &told["output"]));
    assert_eq!(rounds.collect::<Vec<_>>(), [(&1.into(), &5.into()), (&2.into(), &7.into())]);
    assert_eq!(whole["context"], Value::Null, "nothing was sent");
    assert_eq!(whole["notices"][0]["kind"], "unsaved");
    assert_eq!(whole["messages"].as_array().unwrap().len(), 2);
    assert_eq!(whole["messages"][1]["content"], "hello");
}

/// A turn with a call: words before it, and the answer.
fn with_a_call() -> Vec<Stamped<TurnEvent>> {
    vec![
        at(1, request(1, 2)),
        at(2, text(1, "Let me look.")),
        at(3, call(CallState::Closed { arguments: "{\"a\":1}".into(), closed_by: ClosedBy::Brace, closed_at: 1 })),
        at(3, call(CallState::Running)),
        at(4, outcome(OutcomeKind::Failed, "no\nsuch \u{1b}[31mfile")),
        at(5, finish(1, Effective::ToolCalls)),
        at(6, request(2, 2)),
        at(7, text(2, "It is ")),
        at(8, text(2, "\u{1b}[1mempty.")),
        at(9, finish(2, Effective::Stop)),
        at(9, ended(TurnStatus::Ok, "It is \u{1b}[1mempty.")),
    ]
}

#[tokio::test]
async fn a_pipe_gets_the_answer_alone_and_raw() {
    let written = write(options(Output::Text), with_a_call()).await;
    assert_eq!((written.code, written.out.as_str(), written.err.as_str()), (0, "It is \u{1b}[1mempty.\n", ""));
    let verbose = write(Options { verbose: true, ..options(Output::Text) }, with_a_call()).await;
    assert_eq!(verbose.out, written.out);
    let err: Vec<_> = verbose.err.lines().collect();
    assert_eq!(err[0], "running fs/write_file {\"a\":1}");
    assert!(err[1].starts_with("failed fs/write_file: no such"), "{err:?}");
    assert_eq!(err[2], "said: Let me look.");
}

#[tokio::test]
async fn a_terminal_gets_it_as_it_comes_and_no_escape() {
    let screen = Options { stdout_terminal: true, stderr_terminal: true, ..options(Output::Text) };
    let written = write(screen, with_a_call()).await;
    assert!(written.out.starts_with("Let me look."), "{}", written.out);
    assert!(written.out.ends_with("empty.\n"), "{:?}", written.out);
    assert!(!written.out.contains('\u{1b}') && !written.err.contains('\u{1b}'), "{} {}", written.out, written.err);
    assert!(written.err.starts_with("\nrunning fs/write_file"), "{}", written.err);
    let quiet = write(Options { quiet: true, ..screen }, with_a_call()).await;
    assert_eq!(quiet.err, "");
}

/// A sentence that is being written is not torn by what calls do meanwhile.
#[tokio::test]
async fn activity_waits_for_the_end_of_the_line_at_a_terminal() {
    let closed = CallState::Closed { arguments: "{}".into(), closed_by: ClosedBy::Brace, closed_at: 1 };
    let events = [
        at(1, request(1, 2)),
        at(2, text(1, "Let me ")),
        at(3, call(closed)),
        at(3, call(CallState::Running)),
        at(4, text(1, "look.\n\nThere")),
        at(5, outcome(OutcomeKind::Failed, "no")),
        at(6, text(1, " it is.")),
        at(7, finish(1, Effective::Stop)),
        at(7, ended(TurnStatus::Ok, "Let me look.\n\nThere it is.")),
    ];
    let batches = events.into_iter().map(|event| vec![event]).collect();
    let source = Canned { batches, orders: Rc::default(), closes: true, obeys: true };
    let both = Both::default();
    let screen = Options { stdout_terminal: true, stderr_terminal: true, ..options(Output::Text) };
    headless::run(source, screen, both.clone(), both.clone(), stream::pending()).await;
    let shown = String::from_utf8(both.0.take()).unwrap();
    assert_eq!(shown, "Let me look.\nrunning fs/write_file {}\n\nThere it is.\nfailed fs/write_file: no\n");
}

#[tokio::test]
async fn what_was_streamed_and_what_the_turn_ended_with_are_one_text() {
    let live = vec![at(1, request(1, 0)), at(2, text(1, "par")), at(3, ended(TurnStatus::Ok, "partial and the rest"))];
    assert_eq!(write(options(Output::Text), live).await.out, "partial and the rest\n");
    let cut = vec![at(1, request(1, 3)), at(2, text(1, "kept")), at(3, ended(TurnStatus::Failed, ""))];
    let written = write(options(Output::Text), cut).await;
    assert_eq!((written.out.as_str(), written.err.as_str()), ("kept\n", "error: The turn failed.\n"));
    let refusal = TurnEvent::Refusal { turn: TURN, round: 1, text: "No.".into() };
    let refused =
        vec![at(1, request(1, 3)), at(2, refusal), at(3, finish(1, Effective::Stop)), at(3, ended(TurnStatus::Ok, ""))];
    assert_eq!(write(options(Output::Text), refused).await.out, "No.\n");
}

#[tokio::test]
async fn a_denied_call_says_how_to_allow_it_once() {
    let told = "denied fs/write_file: nobody is here to ask. Allow it: --allow fs/write_file";
    let notice = TurnEvent::Notice { turn: None, kind: NoticeKind::Denied, message: "fs/write_file was denied".into() };
    let events = vec![at(1, outcome(OutcomeKind::Denied, told)), at(2, notice), at(3, ended(TurnStatus::Ok, "x"))];
    let written = write(options(Output::Text), events).await;
    assert_eq!(written.err, format!("{told}\n"));
    assert_eq!((written.out.as_str(), written.code), ("x\n", 0));
}

#[tokio::test]
async fn extract_gives_the_first_code_block_and_nothing_else() {
    let answer = "Here:\n```sh\nls -l\n```\nDone.";
    let extract = Options { extract: true, ..options(Output::Text) };
    let events =
        |answer: &str| vec![at(1, request(1, 0)), at(1, text(1, answer)), at(2, ended(TurnStatus::Ok, answer))];
    assert_eq!(write(extract, events(answer)).await.out, "ls -l\n");
    let none = write(extract, events("no code")).await;
    assert_eq!((none.out.as_str(), none.code), ("", 5));
    assert!(none.err.starts_with("error: The answer has no code block"), "{}", none.err);
    let quiet = write(Options { quiet: true, ..extract }, events("no code")).await;
    assert_eq!((quiet.err, quiet.code), (none.err, 5), "an error is no notice");
}

#[tokio::test]
async fn exit_codes_are_those_of_the_contract() {
    let code = async |fault: Option<FaultKind>, status| {
        let error = fault.map(|kind| at(1, TurnEvent::Error { turn: Some(TURN), fault: Fault::new(kind, "why") }));
        let events = error.into_iter().chain([at(2, ended(status, ""))]).collect();
        write(options(Output::Ndjson), events).await.code
    };
    assert_eq!(code(None, TurnStatus::Ok).await, 0);
    assert_eq!(code(Some(FaultKind::Auth), TurnStatus::Failed).await, 4);
    assert_eq!(code(Some(FaultKind::Truncated), TurnStatus::Failed).await, 5);
    assert_eq!(code(Some(FaultKind::NoModel), TurnStatus::Failed).await, 3);
    assert_eq!(code(None, TurnStatus::Failed).await, 1);
    assert_eq!(code(None, TurnStatus::Limit).await, 6);
    assert_eq!(code(Some(FaultKind::Limit), TurnStatus::Limit).await, 6);
    assert_eq!(code(None, TurnStatus::Cancelled).await, 130);
}

#[tokio::test]
async fn an_engine_that_stops_short_still_gives_an_end() {
    let written = write(options(Output::Ndjson), vec![at(5, text(1, "a"))]).await;
    let lines = lines(&written.out);
    assert_eq!(written.code, 1);
    assert_eq!(lines.iter().map(|l| l["event"].as_str().unwrap()).collect::<Vec<_>>(), ["text", "error", "ended"]);
    assert_eq!((&lines[2]["status"], &lines[2]["t"]), (&"failed".into(), &5.0.into()));
}

#[tokio::test]
async fn a_fault_before_the_turn_has_the_same_form() {
    let fault = Fault::new(FaultKind::NoModel, "No model.").hint("Name one with -m.");
    let refuse = async |output| {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = headless::refuse(&fault, Stamp::default(), options(output), &mut out, &mut err).await;
        (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    };
    let (code, out, err) = refuse(Output::Text).await;
    assert_eq!((code, out.as_str(), err.as_str()), (3, "", "error: No model.\n  Name one with -m.\n"));
    let (_, out, _) = refuse(Output::Ndjson).await;
    assert_eq!(lines(&out)[1]["event"], "ended");
    let (_, out, _) = refuse(Output::Json).await;
    assert_eq!(lines(&out)[0]["error"]["kind"], "no_model");
}

/// Runs against a source that waits, with these stops.
async fn stopped(stops: Vec<Stop>, obeys: bool, stdout: impl AsyncWrite + Unpin) -> (u8, usize) {
    let orders = Rc::default();
    let source = Canned {
        batches: VecDeque::from([vec![at(1, request(1, 0)), at(2, text(1, "par"))]]),
        orders: Rc::clone(&orders),
        closes: false,
        obeys,
    };
    // The stops come once the first batch is out.
    let stops = stream::iter(stops).then(|stop| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop
    });
    let stops = stops.chain(stream::pending());
    let code = headless::run(source, options(Output::Ndjson), stdout, tokio::io::sink(), stops).await;
    let cancels = orders.borrow().iter().filter(|o| matches!(o, Order::CancelTurn { turn: TURN })).count();
    (code, cancels)
}

#[tokio::test(start_paused = true)]
async fn a_signal_cancels_the_turn_and_the_end_is_still_written() {
    for code in [129, 130, 143] {
        let mut out = Vec::new();
        assert_eq!(stopped(vec![Stop::Signal(code)], true, &mut out).await, (code, 1));
        let last = lines(std::str::from_utf8(&out).unwrap()).pop().unwrap();
        assert_eq!((&last["event"], &last["status"]), (&"ended".into(), &"cancelled".into()));
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_does_not_obey_is_left_after_a_while_or_at_a_second_signal() {
    for stops in [vec![Stop::Signal(130)], vec![Stop::Signal(130), Stop::Signal(130)]] {
        let mut out = Vec::new();
        assert_eq!(stopped(stops, false, &mut out).await, (130, 1));
        let last = lines(std::str::from_utf8(&out).unwrap()).pop().unwrap();
        assert_eq!((&last["event"], &last["status"]), (&"ended".into(), &"cancelled".into()));
    }
}

/// A pipe that nobody reads, or whose reader is gone.
enum Pipe {
    Blocked,
    Closed,
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<std::io::Result<usize>> {
        match *self {
            Pipe::Blocked => Poll::Pending,
            Pipe::Closed => Poll::Ready(Err(std::io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_pipe_cancels_and_a_blocked_one_still_obeys_signals() {
    assert_eq!(stopped(vec![], true, Pipe::Closed).await, (130, 1));
    assert_eq!(stopped(vec![Stop::OutputClosed], true, tokio::io::sink()).await, (130, 1));
    assert_eq!(stopped(vec![Stop::Signal(143)], true, Pipe::Blocked).await, (143, 1));
}

#[tokio::test]
async fn orders_are_given_to_cancel_and_for_nothing_else() {
    assert!(write(options(Output::Ndjson), with_a_call()).await.orders.is_empty());
}

/// What the child runs: waits for the first stop and tells it on standard error.
#[cfg(unix)]
async fn wait_to_be_stopped() {
    let mut stops = std::pin::pin!(headless::stops());
    println!("listening");
    let stop = stops.next().await;
    eprintln!("{stop:?}");
}

/// Starts itself again as the child.
#[cfg(unix)]
#[tokio::test]
async fn signals_and_a_closed_pipe_are_noticed_while_nothing_is_written() {
    if std::env::var_os("MILLRACE_TEST_STOPS").is_some() {
        return wait_to_be_stopped().await;
    }
    use rustix::process::{Pid, Signal, kill_process};
    use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

    let stopped_by = async |signal: Option<Signal>| {
        let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "headless::signals_and_a_closed_pipe_are_noticed_while_nothing_is_written",
                "--nocapture",
            ])
            .args(["--test-threads", "1"])
            .env("MILLRACE_TEST_STOPS", "1")
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening") {
            line.clear();
            assert_ne!(stdout.read_line(&mut line).await.unwrap(), 0, "the child ended");
        }
        match signal {
            Some(signal) => {
                let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).unwrap();
                kill_process(pid, signal).unwrap();
                // Read on, or its last words would be a closed pipe.
                let _ = tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await;
            }
            None => drop(stdout),
        }
        let mut told = String::new();
        child.stderr.take().unwrap().read_to_string(&mut told).await.unwrap();
        told
    };
    assert!(stopped_by(Some(Signal::INT)).await.contains("Signal(130)"));
    assert!(stopped_by(Some(Signal::TERM)).await.contains("Signal(143)"));
    assert!(stopped_by(Some(Signal::HUP)).await.contains("Signal(129)"));
    assert!(stopped_by(None).await.contains("OutputClosed"));
}

/// A round whose answer breaks off.
fn broken(tools: u32) -> Vec<Stamped<TurnEvent>> {
    let fault = Fault::new(FaultKind::Truncated, "The answer was cut off.");
    vec![
        at(1, request(1, tools)),
        at(2, text(1, "half a")),
        at(3, TurnEvent::Error { turn: Some(TURN), fault }),
        at(4, ended(TurnStatus::Failed, "half a")),
    ]
}

/// Both outputs as one file gets them.
#[derive(Clone, Default)]
struct Both(Rc<RefCell<Vec<u8>>>);

impl AsyncWrite for Both {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn an_error_stands_behind_the_answer_that_it_cut_on_a_line_of_its_own() {
    for tools in [0, 2] {
        for terminal in [false, true] {
            let source = Canned {
                batches: broken(tools).into_iter().map(|event| vec![event]).collect(),
                orders: Rc::default(),
                closes: true,
                obeys: false,
            };
            let both = Both::default();
            let options = Options { stdout_terminal: terminal, stderr_terminal: terminal, ..options(Output::Text) };
            let code = headless::run(source, options, both.clone(), both.clone(), stream::pending()).await;
            let written = String::from_utf8(both.0.borrow().clone()).unwrap();
            assert_eq!((code, written.as_str()), (5, "half a\nerror: The answer was cut off.\n"), "{tools} {terminal}");
        }
    }
}

#[tokio::test]
async fn a_wait_at_a_terminal_says_whom_it_waits_for_and_a_pipe_stays_silent() {
    let started = TurnEvent::Started {
        turn: TURN,
        conversation: ConversationId::new("c1"),
        model: "qwen".into(),
        base_url: "http://127.0.0.1:8080/v1".into(),
        api: "chat",
    };
    let events = || {
        vec![at(0, started.clone()), at(1, request(1, 0)), at(2, text(1, "yes")), at(3, ended(TurnStatus::Ok, "yes"))]
    };
    let screen = Options { stdout_terminal: true, stderr_terminal: true, ..options(Output::Text) };
    assert_eq!(write(screen, events()).await.err, "asking qwen at 127.0.0.1\n");
    assert_eq!(write(Options { quiet: true, ..screen }, events()).await.err, "");
    assert_eq!(write(options(Output::Text), events()).await.err, "");
    assert_eq!(write(Options { verbose: true, ..options(Output::Text) }, events()).await.err, "");
}

#[tokio::test]
async fn a_servers_state_is_said_once() {
    let ready = || TurnEvent::Server(ServerStatus { state: ServerState::Ready, ..server() });
    let events = vec![at(0, ready()), at(1, ready()), at(2, ended(TurnStatus::Ok, ""))];
    let written = write(Options { verbose: true, ..options(Output::Text) }, events).await;
    assert_eq!(written.err, "server fs ready\n");
}
