//! Servers that break the rules: each case ends in a named state within its limit.

use axum::http::header;
use axum::response::IntoResponse;

use super::web::{Web, json_of, legacy, result, stream};
use super::*;

#[tokio::test]
async fn bytes_that_are_no_text_are_garbage_and_harm_nothing_else() {
    let fake =
        Fake::new(r#"call() { printf '\377\376{"id":\n'; printf '{"x":"\200"}\n'; reply "$1" '{"content":[]}'; }"#);
    let mut up = fake.up(Limits::default()).await;
    up.status(ServerState::Ready).await;
    assert_eq!(up.call("echo", json!({})).end().await, CallEnd::Result(json!({"content": []})));
}

#[tokio::test]
async fn answers_to_nobody_and_second_answers_go_nowhere() {
    let fake = Fake::new(
        r#"call() {
             reply 99999 '{"content":["nobody asked"]}'
             reply '"7x"' '{"content":["nobody asked"]}'
             reply null '{"content":["nobody asked"]}'
             reply "$1" '{"content":["first"]}'
             reply "$1" '{"content":["second"]}'
             refuse "$1" -32000 'third'; }"#,
    );
    let mut up = fake.up(Limits::default()).await;
    up.status(ServerState::Ready).await;
    for _ in 0..3 {
        assert_eq!(up.call("echo", json!({})).end().await, CallEnd::Result(json!({"content": ["first"]})));
    }
    assert_eq!(fake.read("tools/call"), 3);
}

#[tokio::test]
async fn the_answer_of_another_request_is_not_taken_over_http() {
    let web = Web::serve(|asked| match asked.method().as_str() {
        "tools/call" => json_of(&json!({"jsonrpc": "2.0", "id": 4711, "result": {"content": ["not yours"]}})),
        _ => legacy(asked),
    })
    .await;
    let mut up = web.up("/mcp").await;
    up.status(ServerState::Ready).await;
    let end = up.call("echo", json!({})).end().await;
    let message = "its answer is not MCP: it answers another request".to_owned();
    assert_eq!(end, CallEnd::ServerGone { sent: true, message });
}

#[tokio::test]
async fn an_answer_over_the_limit_is_named_by_it() {
    let large = "x".repeat(40_000);
    for streamed in [false, true] {
        let large = large.clone();
        let web = Web::serve(move |asked| match asked.method().as_str() {
            "tools/call" => {
                let whole = json!({"jsonrpc": "2.0", "id": asked.json()["id"], "result": {"content": [large]}});
                if streamed { stream(&[format!("data: {whole}\n\n")], false) } else { json_of(&whole) }
            }
            _ => legacy(asked),
        })
        .await;
        let limits = Limits { event: 20_000, ..Limits::default() };
        let mut up = Up::new(limits, None, entry(web.at("/mcp"))).await;
        up.status(ServerState::Ready).await;
        let end = up.call("echo", json!({})).end().await;
        let CallEnd::ServerGone { sent: true, message } = end else { panic!("{end:?}") };
        assert_eq!(message, "its answer is larger than 20000 bytes (limits.event)");
        assert_eq!(web.count("tools/call"), 1);
    }
}

#[tokio::test]
async fn a_stream_that_never_answers_ends_with_the_limit() {
    let web = Web::serve(|asked| match asked.method().as_str() {
        "tools/call" => stream(&[": still here\n\n".to_owned()], true),
        _ => legacy(asked),
    })
    .await;
    let limits = Limits { call_idle: Duration::from_millis(200), ..Limits::default() };
    let mut up = Up::new(limits, None, entry(web.at("/mcp"))).await;
    up.status(ServerState::Ready).await;
    assert_eq!(up.call("echo", json!({})).end().await, CallEnd::TimedOut { sent: true });
}

#[tokio::test]
async fn answers_that_are_no_mcp_are_told_as_that() {
    let page = || ([(header::CONTENT_TYPE, "text/html")], "<html>login</html>").into_response();
    for (answer, words) in [
        (page as fn() -> axum::response::Response, "its answer is not MCP"),
        (|| ([(header::CONTENT_TYPE, "application/json")], "{broken").into_response(), "its answer is not MCP"),
        (|| json_of(&json!({"method": "tools/call", "id": 1})), "a request where an answer should be"),
    ] {
        let web = Web::serve(move |asked| if asked.method() == "tools/call" { answer() } else { legacy(asked) }).await;
        let mut up = web.up("/mcp").await;
        up.status(ServerState::Ready).await;
        let end = up.call("echo", json!({})).end().await;
        assert!(matches!(&end, CallEnd::ServerGone { sent: true, message } if message.contains(words)), "{end:?}");
    }
}

#[tokio::test]
async fn a_flood_of_announcements_is_a_few_readings() {
    let fake = Fake::new(
        r#"call() { n=0; while [ $n -lt 1000 ]; do n=$((n+1)); put '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'; done; reply "$1" '{}'; }"#,
    );
    let mut up = fake.up(Limits::default()).await;
    up.status(ServerState::Ready).await;
    up.call("echo", json!({})).end().await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(up.call("echo", json!({})).end().await == CallEnd::Result(json!({})), "it is still of use");
    let read = fake.read("tools/list");
    assert!(read <= 12, "the list was read {read} times");
}

#[tokio::test]
async fn pages_without_end_are_cut_over_http_too() {
    let web = Web::serve(|asked| match asked.method().as_str() {
        "tools/list" => {
            let next =
                asked.json()["params"]["cursor"].as_str().and_then(|cursor| cursor.parse().ok()).unwrap_or(0) + 1;
            result(asked, &json!({"tools": [{"name": format!("t{next}")}], "nextCursor": next.to_string()}))
        }
        _ => legacy(asked),
    })
    .await;
    let limits = Limits { tool_pages: 5, ..Limits::default() };
    let mut up = Up::new(limits, None, entry(web.at("/mcp"))).await;
    assert_eq!(names(&up.listing().await), ["t1", "t2", "t3", "t4", "t5"]);
    assert_eq!(up.status(ServerState::Ready).await.tools, 5);
}

#[tokio::test]
async fn batches_of_2025_03_26_are_taken_apart() {
    let web = Web::serve(|asked| match asked.method().as_str() {
        "tools/call" => json_of(&json!([
            {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "first"}},
            {"jsonrpc": "2.0", "id": asked.json()["id"], "result": {"content": ["in a batch"]}}
        ])),
        _ => legacy(asked),
    })
    .await;
    let mut up = web.up("/mcp").await;
    up.status(ServerState::Ready).await;
    assert_eq!(up.call("echo", json!({})).end().await, CallEnd::Result(json!({"content": ["in a batch"]})));
}
