//! Servers of 2026-07-28 that come back with a question, or announce changes on a stream.

use axum::response::Response;
use millrace::chat::{Inquiry, InquiryAnswer};

use super::web::{Asked, Web, error, modern, result, stream};
use super::*;

fn form(message: &str) -> Value {
    json!({"method": "elicitation/create", "params": {"mode": "form", "message": message,
        "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}}}})
}

/// Asks twice at once, keeps its state with the client, and answers with what it was told.
pub(super) fn curious(asked: &Asked) -> Response {
    let params = &asked.json()["params"];
    match (asked.method().as_str(), params.get("inputResponses")) {
        ("tools/call", None) => result(
            asked,
            &json!({"resultType": "input_required", "requestState": "o p\u{e4}que==",
                "inputRequests": {"z": form("first"), "a": form("second")}}),
        ),
        ("tools/call", Some(answers)) => result(
            asked,
            &json!({"resultType": "complete", "content": [], "told": answers, "state": params["requestState"]}),
        ),
        _ => modern(asked),
    }
}

/// A host where somebody is there.
async fn attended(web: &Web, limits: Limits) -> Up {
    let (host, events) = Host::new(client(), Arc::new(limits), None);
    let host = host.attended();
    host.start(entry(web.at("/mcp")));
    let mut up = Up { host, events };
    up.status(ServerState::Ready).await;
    up
}

fn message(inquiry: &Inquiry) -> String {
    match &inquiry.question {
        millrace::chat::Question::Form { message, .. } => message.clone(),
        other => panic!("{other:?}"),
    }
}

fn named(name: &str) -> InquiryAnswer {
    InquiryAnswer::Accept(serde_json::Map::from_iter([("name".to_owned(), json!(name))]))
}

#[tokio::test]
async fn what_a_call_requires_is_asked_one_by_one_and_the_call_goes_on() {
    let web = Web::serve(curious).await;
    let idle = Duration::from_millis(150);
    let mut up = attended(&web, Limits { call_idle: idle, ..Limits::default() }).await;
    let ticket = up.call("echo", json!({"x": 1}));
    for (wanted, answer) in [("first", named("Ada")), ("second", InquiryAnswer::Decline)] {
        let inquiry = up.inquiry().await;
        assert_eq!((message(&inquiry).as_str(), inquiry.call.as_ref()), (wanted, Some(&CallId::new("c1"))));
        // A person takes their time; the call's own stands meanwhile.
        tokio::time::sleep(idle * 2).await;
        assert!(up.host.answer(inquiry.id, answer));
    }
    let events = events_of(ticket).await;
    let told = json!({"z": {"action": "accept", "content": {"name": "Ada"}}, "a": {"action": "decline"}});
    let CallEvent::Ended(CallEnd::Result(end)) = events.last().unwrap() else { panic!("{events:?}") };
    assert_eq!((&end["told"], &end["state"]), (&told, &json!("o p\u{e4}que==")));
    assert_eq!(events.iter().filter(|event| **event == CallEvent::Sent).count(), 1, "it is one call");
    let calls: Vec<Value> =
        web.asked().iter().map(Asked::json).filter(|asked| asked["method"] == "tools/call").collect();
    assert_eq!(calls.len(), 2);
    assert_ne!(calls[0]["id"], calls[1]["id"]);
    for member in ["name", "arguments"] {
        assert_eq!(calls[0]["params"][member], calls[1]["params"][member], "the original request");
    }
    assert!(calls[0]["params"].get("requestState").is_none());
    // The next call knows nothing of it.
    let _next = up.call("echo", json!({}));
    up.inquiry().await;
    let last = web.asked().last().unwrap().json();
    assert!(last["params"].get("requestState").is_none() && last["params"].get("inputResponses").is_none());
}

#[tokio::test]
async fn where_nobody_is_there_it_is_declined() {
    let web = Web::serve(curious).await;
    let mut up = web.up("/mcp").await;
    up.status(ServerState::Ready).await;
    let CallEnd::Result(end) = up.call("echo", json!({})).end().await else { panic!("no result") };
    assert_eq!(end["told"], json!({"z": {"action": "decline"}, "a": {"action": "decline"}}));
}

#[tokio::test]
async fn a_call_that_is_cancelled_while_it_asks_asks_no_more() {
    let web = Web::serve(curious).await;
    let mut up = attended(&web, Limits::default()).await;
    let ticket = up.call("echo", json!({}));
    up.inquiry().await;
    ticket.cancel();
    assert_eq!(ticket.end().await, CallEnd::Cancelled { acknowledged: true });
    while !matches!(up.event().await, HostEvent::InquiryEnded { .. }) {}
    assert_eq!(web.count("tools/call"), 1);
}

#[tokio::test]
async fn a_state_alone_goes_back_as_it_came_and_never_for_ever() {
    let web = Web::serve(|asked| {
        let params = &asked.json()["params"];
        match (asked.method().as_str(), params["requestState"].as_str()) {
            ("tools/call", None) => result(asked, &json!({"resultType": "input_required", "requestState": "1"})),
            ("tools/call", Some("1")) => {
                let inputs = params.get("inputResponses").is_some();
                result(asked, &json!({"resultType": "complete", "inputs": inputs}))
            }
            _ => modern(asked),
        }
    })
    .await;
    let mut up = web.up("/mcp").await;
    up.status(ServerState::Ready).await;
    let end = up.call("echo", json!({})).end().await;
    assert_eq!(end, CallEnd::Result(json!({"resultType": "complete", "inputs": false})));

    let endless = Web::serve(|asked| match asked.method().as_str() {
        "tools/call" => result(asked, &json!({"resultType": "input_required", "inputRequests": {"a": form("again?")}})),
        _ => modern(asked),
    })
    .await;
    let mut up = endless.up("/mcp").await;
    up.status(ServerState::Ready).await;
    let end = up.call("echo", json!({})).end().await;
    assert!(matches!(&end, CallEnd::RpcError { message, .. } if message.contains("10 times")), "{end:?}");
    assert_eq!(endless.count("tools/call"), 11);
    for call in endless.asked().iter().filter(|asked| asked.method() == "tools/call") {
        assert!(call.json()["params"].get("requestState").is_none(), "it was given none");
    }
}

#[tokio::test]
async fn what_cannot_be_asked_ends_the_call_with_the_reason() {
    for (answer, words) in [
        (json!({"resultType": "input_required"}), "does not say which"),
        (json!({"resultType": "input_required", "inputRequests": {"a": {"method": "roots/list"}}}), "roots/list"),
        (json!({"resultType": "novel"}), "unknown type"),
    ] {
        let web = Web::serve(move |asked| match asked.method().as_str() {
            "tools/call" => result(asked, &answer),
            _ => modern(asked),
        })
        .await;
        let mut up = web.up("/mcp").await;
        up.status(ServerState::Ready).await;
        let end = up.call("echo", json!({})).end().await;
        assert!(matches!(&end, CallEnd::RpcError { message, .. } if message.contains(words)), "{end:?}");
        assert_eq!(web.count("tools/call"), 1);
    }
}

#[tokio::test]
async fn a_call_whose_headers_were_refused_is_not_made_again_but_its_list_is_read_again() {
    let web = Web::serve(|asked| match asked.method().as_str() {
        "tools/call" => error(asked, 400, -32020, "Mcp-Param-Region is missing"),
        _ => modern(asked),
    })
    .await;
    let mut up = web.up("/mcp").await;
    up.listing().await;
    up.status(ServerState::Ready).await;
    let CallEnd::NotSent { message } = up.call("echo", json!({})).end().await else { panic!("it ran") };
    assert!(message.contains("Mcp-Param-Region is missing") && message.contains("did not run"), "{message}");
    up.listing().await;
    assert_eq!((web.count("tools/call"), web.count("tools/list")), (1, 2));
}

fn event(message: &Value) -> String {
    format!("data: {message}\n\n")
}

#[tokio::test]
async fn announcements_are_heard_and_listened_for_again_when_their_stream_broke() {
    let web = Web::serve(|asked| match asked.method().as_str() {
        "server/discover" => result(
            asked,
            &json!({"resultType": "complete", "ttlMs": 0, "cacheScope": "private", "supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {"listChanged": true}}}),
        ),
        "subscriptions/listen" => {
            let meta = json!({"io.modelcontextprotocol/subscriptionId": asked.json()["id"]});
            let told = |method: &str, params: Value| {
                let mut params = params;
                params["_meta"] = meta.clone();
                event(&json!({"jsonrpc": "2.0", "method": method, "params": params}))
            };
            // The stream ends behind the announcement.
            stream(
                &[
                    told(
                        "notifications/subscriptions/acknowledged",
                        json!({"notifications": {"toolsListChanged": true}}),
                    ),
                    told("notifications/tools/list_changed", json!({})),
                ],
                false,
            )
        }
        _ => modern(asked),
    })
    .await;
    let mut up = web.up("/mcp").await;
    up.status(ServerState::Ready).await;
    // Once for the announcement, once for what was missed while nobody listened.
    while web.count("subscriptions/listen") < 2 || web.count("tools/list") < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let listens: Vec<Value> =
        web.asked().iter().map(Asked::json).filter(|asked| asked["method"] == "subscriptions/listen").collect();
    assert_eq!(listens[0]["params"]["notifications"], json!({"toolsListChanged": true}));
    assert_ne!(listens[0]["id"], listens[1]["id"]);
}
