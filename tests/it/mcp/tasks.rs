//! Calls that go on as tasks, in both eras, with servers that keep their word and servers that do not.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::response::Response;

use super::web::{Asked, Web, error, legacy, modern, result, status};
use super::*;

/// A server of 2025-11-25 whose tool `echo` can only be called as a task. A test overrides what becomes of the task.
const TASKS: &str = r#"
initialize() { reply "$1" '{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"tasks":{"cancel":{},"requests":{"tools":{"call":{}}}}},"serverInfo":{"name":"fake","version":"1"}}'; }
list() { reply "$1" '{"tools":[{"name":"echo","inputSchema":{"type":"object"},"execution":{"taskSupport":"required"}},{"name":"either","inputSchema":{"type":"object"},"execution":{"taskSupport":"optional"}}]}'; }
task() { printf '{"taskId":"t1","status":"%s","statusMessage":"%s","ttl":60000,"pollInterval":%s}' "$1" "$2" "${3:-200}"; }
call() { case $line in
  *'"task":{'*) reply "$1" '{"task":'"$(task working 'step 0')"'}' ;;
  *) reply "$1" '{"content":[{"type":"text","text":"at once"}]}' ;;
esac; }
gets=0
get() { gets=$((gets+1)); if [ $gets -lt 3 ]; then reply "$1" "$(task working "step $gets")"; else reply "$1" "$(task completed done)"; ended; fi; }
ended() { reply "$waits" "$done"; }
done='{"content":[{"type":"text","text":"in the end"}]}'
result() { waits=$1; }
stop() { reply "$1" "$(task cancelled stopped)"; }
other() { case $line in
  *'"method":"tasks/get"'*) get "$1" ;;
  *'"method":"tasks/result"'*) result "$1" ;;
  *'"method":"tasks/cancel"'*) stop "$1" ;;
esac; }
"#;

fn fake(overrides: &str) -> Fake {
    Fake::new(&format!("{TASKS}{overrides}"))
}

fn text(words: &str) -> CallEnd {
    CallEnd::Result(json!({"content": [{"type": "text", "text": words}]}))
}

fn told(events: &[CallEvent]) -> Vec<String> {
    let word = |event: &CallEvent| match event {
        CallEvent::Progress { message, .. } => message.clone(),
        CallEvent::Sent | CallEvent::Ended(_) => None,
    };
    events.iter().filter_map(word).collect()
}

fn read(fake: &Fake) -> Vec<Value> {
    let log = std::fs::read_to_string(fake.log()).unwrap();
    log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_tool_that_requires_it_is_called_as_a_task_and_told_of_as_it_goes() {
    let fake = fake("");
    let up = fake.up(Limits::default()).await;
    let events = events_of(up.call("echo", json!({"a": 1}))).await;
    assert_eq!(events.first(), Some(&CallEvent::Sent));
    assert_eq!(told(&events), ["step 0", "step 1", "step 2"]);
    assert_eq!(events.last(), Some(&CallEvent::Ended(text("in the end"))));
    let call = read(&fake).into_iter().find(|message| message["method"] == "tools/call").unwrap();
    assert_eq!(call["params"]["arguments"], json!({"a": 1}));
    let ttl = u64::try_from(Limits::default().call.as_millis()).unwrap();
    assert_eq!(call["params"]["task"], json!({"ttl": ttl}));
    assert_eq!((fake.read("tools/call"), fake.read("tasks/result")), (1, 1));
}

#[tokio::test]
async fn no_other_tool_is_called_as_a_task() {
    let either = fake("");
    let up = either.up(Limits::default()).await;
    assert_eq!(up.call("either", json!({})).end().await, text("at once"));
    // A server that does not offer tasks has none, whatever its tools say.
    let without = fake(
        r#"initialize() { reply "$1" '{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"f","version":"1"}}'; }"#,
    );
    let up = without.up(Limits::default()).await;
    assert_eq!(up.call("echo", json!({})).end().await, text("at once"));
    assert_eq!((either.read("tasks/get"), without.read("tasks/get")), (0, 0));
}

#[tokio::test]
async fn progress_of_the_request_goes_on_for_its_task() {
    let fake = fake(
        r#"call() { token=${line#*'"progressToken":'}; token=${token%%[,\}]*}; reply "$1" '{"task":'"$(task working)"'}'; }
           get() { put '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":'"$token"',"progress":3,"total":4}}'
                   gets=$((gets+1)); reply "$1" "$(task working)"; [ $gets -lt 2 ] || ended; }"#,
    );
    let up = fake.up(Limits::default()).await;
    let events = events_of(up.call("echo", json!({}))).await;
    assert!(events.contains(&CallEvent::Progress { progress: 3.0, total: Some(4.0), message: None }), "{events:?}");
    assert_eq!(told(&events), ["working as a task"], "what has no words is named");
    assert_eq!(events.last(), Some(&CallEvent::Ended(text("in the end"))));
}

#[tokio::test]
async fn what_the_server_tells_on_its_own_counts() {
    // It does not wait with its answer to tasks/result, and wants to be asked every half minute.
    let fake = fake(
        r#"asked=0
           result() { asked=$((asked+1)); if [ $asked -lt 2 ]; then refuse "$1" -32600 'not yet'; else reply "$1" "$done"; fi; }
           get() { reply "$1" "$(task working 'far' 30000)"
                   put '{"jsonrpc":"2.0","method":"notifications/tasks/status","params":'"$(task working 'of another' | sed s/t1/t2/)"'}'
                   put '{"jsonrpc":"2.0","method":"notifications/tasks/status","params":'"$(task completed)"'}'; }"#,
    );
    let up = fake.up(Limits::default()).await;
    let events = events_of(up.call("echo", json!({}))).await;
    assert!(!told(&events).contains(&"of another".to_owned()), "{events:?}");
    assert_eq!(events.last(), Some(&CallEvent::Ended(text("in the end"))));
    assert_eq!((fake.read("tasks/get"), fake.read("tasks/result")), (1, 2));
}

#[tokio::test]
async fn a_lost_task_may_have_run() {
    let lost = r#"refuse "$1" -32602 'Task not found'"#;
    let forgotten = fake(&format!("get() {{ {lost}; }}; result() {{ {lost}; }}"));
    let up = forgotten.up(Limits::default()).await;
    let end = up.call("echo", json!({})).end().await;
    let message = "the server no longer knows its task: Task not found".to_owned();
    assert_eq!(end, CallEnd::ServerGone { sent: true, message });

    let expired = fake(&format!(
        "call() {{ reply \"$1\" '{{\"task\":{{\"taskId\":\"t1\",\"status\":\"working\",\"ttl\":1,\"pollInterval\":200}}}}'; }}; get() {{ {lost}; }}"
    ));
    let up = expired.up(Limits::default()).await;
    let CallEnd::ServerGone { sent: true, message } = up.call("echo", json!({})).end().await else {
        panic!("it ended")
    };
    assert_eq!(message, "the server kept its task for 1 ms, and no longer knows it: Task not found");

    let dead = fake("get() { exit 3; }");
    let up = dead.up(Limits::default()).await;
    let end = up.call("echo", json!({})).end().await;
    assert!(matches!(end, CallEnd::ServerGone { sent: true, .. }), "{end:?}");
    assert_eq!(dead.read("tools/call"), 1);
}

#[tokio::test]
async fn an_answer_that_is_no_task_is_no_result() {
    let nameless = fake(r#"call() { reply "$1" '{"task":{"status":"working"}}'; }"#);
    let up = nameless.up(Limits::default()).await;
    let end = up.call("echo", json!({})).end().await;
    assert_eq!(end, CallEnd::RpcError { code: 0, message: "the server names no task".into() });
    // It was asked for a task, and answered the call.
    let plain = fake(r#"call() { reply "$1" "$done"; }"#);
    let up = plain.up(Limits::default()).await;
    assert_eq!(up.call("echo", json!({})).end().await, text("in the end"));
}

#[tokio::test]
async fn the_error_of_a_failed_task_is_the_call_s() {
    let failed = fake(
        // Whichever of the two questions comes first.
        r#"said() { refuse "$1" -32050 'no space left'; }
           result() { if [ -n "$failed" ]; then said "$1"; else waits=$1; fi; }
           get() { failed=1; reply "$1" "$(task failed 'disk full')"; [ -z "$waits" ] || said "$waits"; waits=; }"#,
    );
    let up = failed.up(Limits::default()).await;
    let end = up.call("echo", json!({})).end().await;
    assert_eq!(end, CallEnd::RpcError { code: -32050, message: "no space left".into() });
    let cancelled = fake(r#"get() { reply "$1" "$(task cancelled 'the night shift ended')"; }"#);
    let up = cancelled.up(Limits::default()).await;
    let message = "the server stopped its task by itself: the night shift ended".to_owned();
    assert_eq!(up.call("echo", json!({})).end().await, CallEnd::RpcError { code: 0, message });
}

/// Calls, waits until the task is told of, cancels, and says how it ended.
async fn cancelled(overrides: &str) -> CallEnd {
    let fake = fake(&format!("get() {{ reply \"$1\" \"$(task working)\"; }}; {overrides}"));
    let mut up = fake.up(Limits::default()).await;
    let mut ticket = up.call("echo", json!({}));
    while !matches!(ticket.next().await, Some(CallEvent::Progress { .. })) {}
    ticket.cancel();
    let end = ticket.end().await;
    up.host.shutdown().await;
    assert_eq!((fake.read("tasks/cancel"), fake.read("notifications/cancelled")), (1, 0), "in the task's own way");
    up.events.close();
    end
}

#[tokio::test]
async fn a_cancelled_task_ends_with_the_truth() {
    let (confirmed, finished, failed, deaf, ignorant) = tokio::join!(
        cancelled(""),
        cancelled(
            r#"stop() { refuse "$1" -32602 'already ended'; get() { reply "$1" "$(task completed)"; }; result() { reply "$1" "$done"; }; }"#
        ),
        cancelled(r#"stop() { reply "$1" "$(task failed)"; result() { refuse "$1" -32050 'half written'; }; }"#),
        cancelled("stop() { :; }"),
        cancelled(r#"stop() { refuse "$1" -32601 'no such method'; }"#),
    );
    assert_eq!(confirmed, CallEnd::Cancelled { acknowledged: true });
    assert_eq!(finished, text("in the end"));
    assert_eq!(failed, CallEnd::RpcError { code: -32050, message: "half written".into() });
    assert_eq!(deaf, CallEnd::Cancelled { acknowledged: false });
    assert_eq!(ignorant, CallEnd::Cancelled { acknowledged: false });
}

#[tokio::test]
async fn a_task_that_takes_too_long_is_told_to_stop() {
    let fake = fake(r#"get() { reply "$1" "$(task working)"; }"#);
    let limits =
        Limits { call_idle: Duration::from_millis(300), call: Duration::from_millis(900), ..Limits::default() };
    let mut up = fake.up(limits).await;
    up.status(ServerState::Ready).await;
    assert_eq!(up.call("echo", json!({})).end().await, CallEnd::TimedOut { sent: true });
    assert!(fake.read("tasks/get") > 2, "its answers kept it alive past the idle limit");
    assert_eq!((fake.read("tasks/cancel"), fake.read("notifications/cancelled")), (1, 0));
}

#[tokio::test]
async fn a_result_that_cannot_be_asked_for_is_not_asked_for_without_a_pause() {
    // What stands before the server turns one of the two questions away; the other is answered all the time.
    let (gets, results) = (Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(Vec::new())));
    let when = results.clone();
    let web = Web::serve(move |asked: &Asked| -> Response {
        let task = |status| json!({"taskId": "t1", "status": status, "ttl": 60000, "pollInterval": 200});
        match asked.method().as_str() {
            "initialize" => result(
                asked,
                &json!({"protocolVersion": "2025-11-25", "serverInfo": {"name": "f", "version": "1"},
                    "capabilities": {"tools": {}, "tasks": {"requests": {"tools": {"call": {}}}}}}),
            ),
            "tools/list" => result(
                asked,
                &json!({"tools": [{"name": "echo", "inputSchema": {"type": "object"},
                    "execution": {"taskSupport": "required"}}]}),
            ),
            "tools/call" => result(asked, &json!({"task": task("working")})),
            "tasks/get" if gets.fetch_add(1, Ordering::SeqCst) < 5 => result(asked, &task("working")),
            "tasks/get" => result(asked, &task("completed")),
            "tasks/result" => {
                results.lock().unwrap().push(std::time::Instant::now());
                match gets.load(Ordering::SeqCst) {
                    0..=5 => status(502),
                    _ => result(asked, &json!({"content": [{"type": "text", "text": "in the end"}]})),
                }
            }
            _ => legacy(asked),
        }
    })
    .await;
    let up = web.up("/mcp").await;
    let began = std::time::Instant::now();
    assert_eq!(up.call("echo", json!({})).end().await, text("in the end"));
    assert!(began.elapsed() >= Duration::from_secs(1), "its status is asked for at the pace it names");
    assert_eq!(web.count("tasks/get"), 6);
    let when = when.lock().unwrap();
    // Twice the interval, then twice that; the last one is asked for because the task has ended.
    for (pair, least) in when[..when.len() - 1].windows(2).zip([400, 800, 1600]) {
        let pause = pair[1] - pair[0];
        assert!(pause >= Duration::from_millis(least - 20), "{pause:?} after a failure, not {least} ms");
    }
    assert!(when.len() > 2, "it is asked for again all the same");
}

/// A task of 2026-07-28 with this status and more members.
fn task(status: &str, more: Value) -> Value {
    let mut task = json!({"resultType": "complete", "taskId": "a/1", "status": status, "createdAt": "2026-07-28T00:00:00Z",
        "lastUpdatedAt": "2026-07-28T00:00:00Z", "ttlMs": null, "pollIntervalMs": 1});
    task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    task
}

/// Serves a tool that becomes a task; `get` answers the nth question about it, `stop` what is to stop it.
async fn tasked(get: impl Fn(u32) -> Value + Clone + Send + Sync + 'static, stops: bool) -> Web {
    let (asked_of_it, stopped) = (Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(false)));
    Web::serve(move |asked: &Asked| -> Response {
        match asked.method().as_str() {
            "tools/call" => result(asked, &task("working", json!({"resultType": "task", "statusMessage": "begun"}))),
            "tasks/get" if *stopped.lock().unwrap() => result(asked, &task("cancelled", json!({}))),
            "tasks/get" => result(asked, &get(asked_of_it.fetch_add(1, Ordering::SeqCst))),
            "tasks/update" => result(asked, &json!({"resultType": "complete"})),
            "tasks/cancel" => {
                *stopped.lock().unwrap() = stops;
                result(asked, &json!({"resultType": "complete"}))
            }
            _ => modern(asked),
        }
    })
    .await
}

fn ask_name() -> Value {
    json!({"inputRequests": {"who": {"method": "elicitation/create", "params": {"mode": "form", "message": "Who?",
        "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}}}}}})
}

#[tokio::test]
async fn a_server_of_today_makes_a_task_of_a_call_asks_once_and_is_answered() {
    let web = tasked(
        |n| match n {
            0 => task("working", json!({"statusMessage": "reading"})),
            // It has not seen the answer yet when it is asked again.
            1 | 2 => task("input_required", ask_name()),
            3 => task("working", json!({"statusMessage": "writing"})),
            _ => task("completed", json!({"result": {"content": [], "n": n}})),
        },
        true,
    )
    .await;
    let (host, events) = Host::new(client(), Arc::new(Limits::default()), None);
    let host = host.attended();
    host.start(entry(web.at("/mcp")));
    let mut up = Up { host, events };
    up.status(ServerState::Ready).await;
    let ticket = up.call("echo", json!({}));
    let inquiry = up.inquiry().await;
    assert_eq!(inquiry.call, Some(CallId::new("c1")));
    let name = json!({"name": "Ada"});
    assert!(up.host.answer(inquiry.id, InquiryAnswer::Accept(name.as_object().cloned().unwrap())));
    let events = events_of(ticket).await;
    assert_eq!(events.last(), Some(&CallEvent::Ended(CallEnd::Result(json!({"content": [], "n": 4})))));
    let told = told(&events);
    for word in ["begun", "reading", "writing"] {
        assert!(told.iter().any(|line| line == word), "{word}: {told:?}");
    }
    let of = |method: &str| web.asked().into_iter().filter(|asked| asked.method() == method).collect::<Vec<_>>();
    assert_eq!((of("tools/call").len(), of("tasks/update").len()), (1, 1), "each question is answered once");
    let params = &of("tasks/update")[0].json()["params"];
    assert_eq!(params["inputResponses"], json!({"who": {"action": "accept", "content": name}}));
    assert_eq!(params["taskId"], "a/1");
    for method in ["tasks/get", "tasks/update"] {
        assert_eq!(of(method)[0].header("mcp-name"), Some("a/1"), "{method}");
        assert_eq!(of(method)[0].header("mcp-method"), Some(method));
    }
    let declared = of("tools/call")[0].json()["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"].clone();
    assert_eq!(declared["extensions"], json!({"io.modelcontextprotocol/tasks": {}}));
    assert!(of("tools/call")[0].json()["params"].get("task").is_none(), "the server decides");
}

#[tokio::test]
async fn an_answer_is_sent_until_it_is_taken_and_asked_for_once() {
    // The first word of it never comes through, the second is turned away; `taken`: so many are not.
    for (taken, end) in [
        (2, CallEnd::Result(json!({"content": []}))),
        (
            u32::MAX,
            CallEnd::RpcError {
                code: -32603,
                message: "the task does not take the answers to what it asked: busy".into(),
            },
        ),
    ] {
        let updates = Arc::new(AtomicU32::new(0));
        let web = Web::serve(move |asked: &Asked| -> Response {
            match asked.method().as_str() {
                "tools/call" => result(asked, &task("working", json!({"resultType": "task"}))),
                "tasks/get" if updates.load(Ordering::SeqCst) <= taken => {
                    result(asked, &task("input_required", ask_name()))
                }
                "tasks/get" => result(asked, &task("completed", json!({"result": {"content": []}}))),
                "tasks/update" => match updates.fetch_add(1, Ordering::SeqCst) {
                    n if n >= taken => result(asked, &json!({"resultType": "complete"})),
                    0 => status(502),
                    _ => error(asked, 200, -32603, "busy"),
                },
                "tasks/cancel" => result(asked, &json!({"resultType": "complete"})),
                _ => modern(asked),
            }
        })
        .await;
        let (host, events) = Host::new(client(), Arc::new(Limits::default()), None);
        let host = host.attended();
        host.start(entry(web.at("/mcp")));
        let mut up = Up { host, events };
        up.status(ServerState::Ready).await;
        let ticket = up.call("echo", json!({}));
        let inquiry = up.inquiry().await;
        let name = json!({"name": "Ada"});
        assert!(up.host.answer(inquiry.id, InquiryAnswer::Accept(name.as_object().cloned().unwrap())));
        assert_eq!(ticket.end().await, end);
        let sent: Vec<Value> =
            web.asked().iter().map(Asked::json).filter(|asked| asked["method"] == "tasks/update").collect();
        let want = json!({"who": {"action": "accept", "content": name}});
        assert!(sent.len() == 3 && sent.iter().all(|update| update["params"]["inputResponses"] == want), "{sent:?}");
        assert_eq!(web.count("tasks/cancel"), usize::from(taken > 3));
        while let Ok(event) = up.events.try_recv() {
            assert!(!matches!(event, HostEvent::Inquiry(_)), "a person is asked once: {event:?}");
        }
    }
}

#[tokio::test]
async fn every_end_of_a_task_is_told_as_it_is() {
    let rpc = |code, message: &str| CallEnd::RpcError { code, message: message.to_owned() };
    for (word, end) in [
        (task("failed", json!({"error": {"code": -32603, "message": "rate limit"}})), rpc(-32603, "rate limit")),
        (task("failed", json!({"statusMessage": "out of paper"})), rpc(0, "out of paper")),
        (task("cancelled", json!({})), rpc(0, "the server stopped its task by itself")),
        (task("completed", json!({})), rpc(0, "the server says that its task is done, and gives no result")),
        (task("completed", json!({"result": {"isError": true}})), CallEnd::Result(json!({"isError": true}))),
        (
            task("input_required", json!({"inputRequests": {"a": {"method": "roots/list"}}})),
            rpc(-32601, "the task asks for what it cannot have: roots/list is not offered; it was told to stop"),
        ),
    ] {
        let web = tasked(move |_| word.clone(), true).await;
        let up = web.up("/mcp").await;
        assert_eq!(up.call("echo", json!({})).end().await, end);
    }
    let lost = Web::serve(|asked| match asked.method().as_str() {
        "tools/call" => result(asked, &task("working", json!({"resultType": "task"}))),
        "tasks/get" => error(asked, 200, -32602, "Task has expired"),
        _ => modern(asked),
    })
    .await;
    let message = "the server no longer knows its task: Task has expired".to_owned();
    let up = lost.up("/mcp").await;
    assert_eq!(up.call("echo", json!({})).end().await, CallEnd::ServerGone { sent: true, message });
}

#[tokio::test]
async fn words_that_mean_nothing_are_borne_a_few_times() {
    let web = tasked(
        |n| match n {
            0 => task("novel", json!({})),
            1 => json!("what?"),
            2 => task("working", json!({"taskId": "another"})),
            _ => task("completed", json!({"result": {"content": []}})),
        },
        true,
    )
    .await;
    let up = web.up("/mcp").await;
    assert_eq!(up.call("echo", json!({})).end().await, CallEnd::Result(json!({"content": []})));
    let web = tasked(|_| task("novel", json!({})), true).await;
    let up = web.up("/mcp").await;
    let CallEnd::ServerGone { sent: true, message } = up.call("echo", json!({})).end().await else {
        panic!("it ended")
    };
    assert!(message.contains("5 times in a row") && message.contains("novel"), "{message}");
    assert_eq!(web.count("tasks/get"), 5);
}

#[tokio::test]
async fn a_task_of_today_is_cancelled_as_its_server_pleases() {
    for (stops, end) in
        [(true, CallEnd::Cancelled { acknowledged: true }), (false, CallEnd::Cancelled { acknowledged: false })]
    {
        let web = tasked(|_| task("working", json!({})), stops).await;
        let up = web.up("/mcp").await;
        let mut ticket = up.call("echo", json!({}));
        while !matches!(ticket.next().await, Some(CallEvent::Progress { .. })) {}
        ticket.cancel();
        assert_eq!(ticket.end().await, end);
        assert_eq!((web.count("tasks/cancel"), web.count("notifications/cancelled")), (1, 0));
    }
}
