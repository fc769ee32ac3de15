//! The bare dialect: `list_tools` and `call_tool`.

use axum::response::{IntoResponse, Response};

use super::web::{Asked, Web, json_of, legacy, status};
use super::*;

fn simple(web: &Web) -> ServerEntry {
    entry(Transport::SimpleRpc { url: format!("{}/rpc", web.url), headers: BTreeMap::new() })
}

async fn up(web: &Web) -> Up {
    Up::new(Limits::default(), None, simple(web)).await
}

/// A server of the dialect as its users write it.
fn plain(asked: &Asked) -> Response {
    let message = asked.json();
    match message["method"].as_str().unwrap_or_default() {
        "list_tools" => json_of(&json!({"result": [{"id": "w-1", "name": "weather", "description": "The weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}]})),
        "call_tool" => json_of(
            &json!({"result": format!("sunny in {}", message["params"]["arguments"]["city"]), "id": message["id"]}),
        ),
        _ => json_of(&json!({"error": "unknown method"})),
    }
}

#[tokio::test]
async fn its_bytes_are_exact_and_its_tools_are_called_by_their_ids() {
    let web = Web::serve(plain).await;
    let mut up = up(&web).await;
    let listing = up.listing().await;
    assert_eq!(
        listing.tools,
        [json!({"name": "weather", "id": "w-1", "description": "The weather",
            "inputSchema": {"type": "object", "properties": {"city": {"type": "string"}}}})]
    );
    let ready = up.status(ServerState::Ready).await;
    assert_eq!((ready.transport, ready.protocol.as_deref(), ready.tools), ("simple-rpc", Some("simple-rpc"), 1));
    let events = events_of(up.call("weather", json!({"city": "Rome", "n": 1}))).await;
    let result = json!({"content": [{"type": "text", "text": "sunny in \"Rome\""}]});
    assert_eq!(events, [CallEvent::Sent, CallEvent::Ended(CallEnd::Result(result))]);
    let asked = web.asked();
    assert_eq!(asked.first().unwrap().body, r#"{"method":"list_tools","id":1}"#.as_bytes());
    let call = asked.last().unwrap();
    let id = &call.json()["id"];
    let wanted =
        format!(r#"{{"method":"call_tool","params":{{"id":"w-1","arguments":{{"city":"Rome","n":1}}}},"id":{id}}}"#);
    assert_eq!(call.body, wanted.as_bytes());
    assert_eq!(call.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn the_version_is_sent_where_it_is_asked_for() {
    let web = Web::serve(plain).await;
    let mut entry = simple(&web);
    entry.jsonrpc = true;
    let mut up = Up::new(Limits::default(), None, entry).await;
    up.status(ServerState::Ready).await;
    up.call("weather", json!({})).end().await;
    for asked in web.asked() {
        assert!(asked.body.starts_with(br#"{"jsonrpc":"2.0","method":""#), "{:?}", asked.body);
    }
}

#[tokio::test]
async fn every_known_shape_of_such_a_server_is_understood() {
    let tool = json!({"name": "find", "input_schema": {"type": "object"}});
    let lists = [
        json!({"result": [tool]}),
        json!({"result": {"tools": [tool]}}),
        json!({"tools": [tool]}),
        json!([tool]),
        json!({"jsonrpc": "2.0", "id": 1, "result": [tool], "error": null}),
        json!({"id": "1", "result": [{"id": "find", "schema": {"type": "object"}}]}),
    ];
    let results = [
        (
            json!({"result": {"content": [{"type": "text", "text": "x"}], "isError": true}}),
            json!({"content": [{"type": "text", "text": "x"}], "isError": true}),
        ),
        (json!({"content": [{"type": "text", "text": "x"}]}), json!({"content": [{"type": "text", "text": "x"}]})),
        (json!({"result": 7}), json!({"content": [{"type": "text", "text": "7"}], "structuredContent": 7})),
    ];
    for list in lists {
        for (answer, wanted) in results.clone() {
            let list = list.clone();
            let web =
                Web::serve(move |asked| if asked.method() == "list_tools" { json_of(&list) } else { json_of(&answer) })
                    .await;
            let mut up = up(&web).await;
            up.status(ServerState::Ready).await;
            assert_eq!(up.call("find", json!({})).end().await, CallEnd::Result(wanted));
            assert_eq!(web.asked().last().unwrap().json()["params"]["id"], "find");
        }
    }
}

#[tokio::test]
async fn errors_are_told_as_they_came() {
    for (error, code, message) in [
        (json!({"error": "no such city"}), 0, "no such city"),
        (json!({"error": {"code": -5, "message": "why"}}), -5, "why"),
        (json!({"id": 999, "result": 1}), 0, ""),
    ] {
        let web =
            Web::serve(move |asked| if asked.method() == "list_tools" { plain(asked) } else { json_of(&error) }).await;
        let mut up = up(&web).await;
        up.status(ServerState::Ready).await;
        match up.call("weather", json!({})).end().await {
            CallEnd::RpcError { code: found, message: text } => assert_eq!((found, &*text), (code, message)),
            CallEnd::ServerGone { sent: true, message } => assert_eq!(message, "its answer is for another request"),
            other => panic!("{other:?}"),
        }
    }
    let web = Web::serve(|asked| if asked.method() == "list_tools" { plain(asked) } else { status(502) }).await;
    let mut up = up(&web).await;
    up.status(ServerState::Ready).await;
    assert!(matches!(up.call("weather", json!({})).end().await, CallEnd::RpcError { code: 502, .. }));
    assert_eq!(web.count("call_tool"), 1, "it is not sent again");
}

#[tokio::test]
async fn a_server_that_speaks_nothing_else_is_found_last() {
    let refusals: [fn(&Asked) -> Response; 5] = [
        |_| json_of(&json!({"error": "unknown method"})),
        |_| json_of(&json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32601, "message": "Method not found"}})),
        |_| status(400),
        |_| status(404),
        |_| status(422),
    ];
    for refuse in refusals {
        let web = Web::serve(move |asked| match asked.method().as_str() {
            "list_tools" | "call_tool" => plain(asked),
            _ => refuse(asked),
        })
        .await;
        let cache = tempfile::tempdir().unwrap();
        let mut up = Up::new(Limits::default(), Some(cache.path()), entry(web.at("/rpc"))).await;
        assert_eq!(up.status(ServerState::Ready).await.transport, "simple-rpc");
        assert!(matches!(up.call("weather", json!({"city": "Rome"})).end().await, CallEnd::Result(_)));
        let order: Vec<String> = web.asked().iter().map(Asked::method).filter(|method| !method.is_empty()).collect();
        assert_eq!(&order[..3], ["server/discover", "initialize", "list_tools"]);
        // The next time it is asked that first.
        up.host.shutdown().await;
        let before = web.asked().len();
        let mut again = Up::new(Limits::default(), Some(cache.path()), entry(web.at("/rpc"))).await;
        again.status(ServerState::Ready).await;
        assert_eq!(web.asked()[before].method(), "list_tools");
    }
}

#[tokio::test]
async fn an_address_that_nobody_typed_is_not_asked_for_it() {
    let web = Web::serve(plain).await;
    let mut entry = entry(web.at("/rpc"));
    entry.source = Source::Project("/p/.millrace.toml".into());
    Up::new(Limits::default(), None, entry).await.status(ServerState::Failed).await;
    assert_eq!(web.count("list_tools"), 0);
}

#[tokio::test]
async fn an_mcp_server_under_the_wrong_name_says_so() {
    let web = Web::serve(legacy).await;
    let message = up(&web).await.status(ServerState::Failed).await.message.unwrap();
    assert_eq!(message, "it does not list its tools: Method not found");
}

#[tokio::test]
async fn a_cancelled_call_lets_go_of_its_connection_and_says_what_is_known() {
    let gone = Arc::new(tokio::sync::Notify::new());
    struct Open(Arc<tokio::sync::Notify>);
    impl Drop for Open {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let web = Web::serve({
        let gone = gone.clone();
        move |asked| {
            if asked.method() == "list_tools" {
                return plain(asked);
            }
            let open = Open(gone.clone());
            let body = futures_util::stream::unfold(open, async |open| {
                std::future::pending::<()>().await;
                Some((Ok::<_, std::io::Error>(axum::body::Bytes::new()), open))
            });
            axum::body::Body::from_stream(body).into_response()
        }
    })
    .await;
    let mut up = up(&web).await;
    up.status(ServerState::Ready).await;
    let mut ticket = up.call("weather", json!({}));
    assert_eq!(ticket.next().await, Some(CallEvent::Sent));
    while web.count("call_tool") == 0 {
        tokio::task::yield_now().await;
    }
    ticket.cancel();
    assert_eq!(ticket.end().await, CallEnd::Cancelled { acknowledged: false });
    tokio::time::timeout(Duration::from_secs(10), gone.notified()).await.expect("the connection is let go");
}
