//! Streamable HTTP against scripted servers.

use std::sync::Mutex;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::*;

/// What a scripted server does with one message; it is given what it has read so far.
type Script = fn(&Value, &[Value], &HeaderMap) -> Option<Response>;

#[derive(Clone)]
struct Peer {
    script: Script,
    read: Arc<Mutex<Vec<Value>>>,
}

impl Peer {
    /// Serves on loopback until the runtime ends.
    async fn serve(script: Script) -> (Self, String) {
        let peer = Self { script, read: Arc::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let router = axum::Router::new().route("/mcp", axum::routing::post(answer)).with_state(peer.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (peer, url)
    }

    fn count(&self, method: &str) -> usize {
        self.read.lock().unwrap().iter().filter(|message| message["method"] == method).count()
    }
}

async fn answer(State(peer): State<Peer>, headers: HeaderMap, body: Bytes) -> Response {
    let message: Value = serde_json::from_slice(&body).unwrap();
    let before = {
        let mut read = peer.read.lock().unwrap();
        let before = read.clone();
        read.push(message.clone());
        before
    };
    if let Some(response) = (peer.script)(&message, &before, &headers) {
        return response;
    }
    let id = &message["id"];
    match message["method"].as_str().unwrap_or_default() {
        "server/discover" => reply(&json!({"jsonrpc":"2.0","id":id,"error":{"code":-32601,"message":"no"}})),
        "initialize" => {
            let result = json!({"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"h","version":"1"}});
            let mut response = reply(&json!({"jsonrpc":"2.0","id":id,"result":result}));
            response.headers_mut().insert("mcp-session-id", "s1".parse().unwrap());
            response
        }
        "tools/list" => reply(
            &json!({"jsonrpc":"2.0","id":id,"result":{"tools":[{"name":"echo","inputSchema":{"type":"object"}}]}}),
        ),
        "tools/call" => sse(&[json!({"jsonrpc":"2.0","id":id,"result":{"content":[{"type":"novel"}]}})]),
        _ => StatusCode::ACCEPTED.into_response(),
    }
}

fn reply(message: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], message.to_string()).into_response()
}

fn sse(messages: &[Value]) -> Response {
    let body: String = messages.iter().map(|message| format!("data: {message}\n\n")).collect();
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

async fn up(url: String, headers: &[(&str, &str)]) -> Up {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect();
    Up::new(Limits::default(), None, entry(Transport::Http { url, headers })).await
}

#[tokio::test]
async fn an_unknown_content_block_comes_through_a_stream() {
    let (_, url) = Peer::serve(|_, _, _| None).await;
    let mut up = up(url, &[]).await;
    assert_eq!(up.status(ServerState::Ready).await.protocol.as_deref(), Some("2025-06-18"));
    let end = up.call("echo", json!({})).end().await;
    assert_eq!(end, CallEnd::Result(json!({"content": [{"type": "novel"}]})));
}

#[tokio::test]
async fn progress_comes_before_the_answer() {
    let (_, url) = Peer::serve(|message, _, _| {
        (message["method"] == "tools/call").then(|| {
            let token = &message["params"]["_meta"]["progressToken"];
            sse(&[
                json!({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":token,"progress":1,"message":"half"}}),
                json!({"jsonrpc":"2.0","id":message["id"],"result":{"ok":true}}),
            ])
        })
    })
    .await;
    let up = up(url, &[]).await;
    let events = events_of(up.call("echo", json!({}))).await;
    assert_eq!(
        events,
        [
            CallEvent::Sent,
            CallEvent::Progress { progress: 1.0, total: None, message: Some("half".into()) },
            CallEvent::Ended(CallEnd::Result(json!({"ok": true}))),
        ]
    );
}

#[tokio::test]
async fn headers_of_the_entry_are_sent_and_a_missing_token_asks_for_a_sign_in() {
    let script: Script = |_, _, headers| {
        (headers.get("authorization").is_none_or(|value| value != "Bearer right")).then(|| {
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer realm=\"x\"")], "no").into_response()
        })
    };
    let (_, url) = Peer::serve(script).await;
    up(url.clone(), &[("Authorization", "Bearer right")]).await.status(ServerState::Ready).await;
    let message = up(url, &[]).await.status(ServerState::NeedsLogin).await.message.unwrap();
    assert!(message.starts_with("it wants you to sign in"), "{message}");
}

#[tokio::test]
async fn a_bare_401_asks_for_a_sign_in_too() {
    let (_, url) = Peer::serve(|_, _, _| Some((StatusCode::UNAUTHORIZED, "no").into_response())).await;
    up(url, &[]).await.status(ServerState::NeedsLogin).await;
}

#[tokio::test]
async fn nobody_at_the_address_is_said_so_and_tried_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    drop(listener);
    let message = up(url, &[]).await.status(ServerState::Failed).await.message.unwrap();
    assert!(message.starts_with("nobody answers at its address"), "{message}");
    assert!(message.ends_with("Trying again in 1 s."), "{message}");
}

#[tokio::test]
async fn a_page_that_is_no_server_is_named() {
    let (_, url) = Peer::serve(|_, _, _| Some((StatusCode::NOT_FOUND, "<html>nope</html>").into_response())).await;
    let message = up(url, &[]).await.status(ServerState::Failed).await.message.unwrap();
    assert_eq!(message, "there is no MCP server at its address (HTTP 404). Check the path of `url`, often /mcp.");
}

#[tokio::test]
async fn an_error_without_an_id_is_still_the_answer_to_the_probe() {
    let (_, url) = Peer::serve(|message, _, _| {
        (message["method"] == "server/discover")
            .then(|| reply(&json!({"jsonrpc":"2.0","error":{"code":-32600,"message":"what?"}})))
    })
    .await;
    assert_eq!(up(url, &[]).await.status(ServerState::Ready).await.tools, 1);
}

/// The first call meets a server that has forgotten the session.
fn forgets(message: &Value, before: &[Value], response: Response) -> Option<Response> {
    let calls = before.iter().filter(|message| message["method"] == "tools/call").count();
    (message["method"] == "tools/call" && calls == 0).then_some(response)
}

#[tokio::test]
async fn a_forgotten_session_is_made_anew_and_the_call_is_not_sent_again() {
    let gone: Script = |message, before, _| forgets(message, before, StatusCode::NOT_FOUND.into_response());
    let refused: Script = |message, before, _| {
        let error = json!({"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: No valid session ID provided"}});
        let body = ([(header::CONTENT_TYPE, "application/json")], error.to_string());
        forgets(message, before, (StatusCode::BAD_REQUEST, body).into_response())
    };
    for script in [gone, refused] {
        let (peer, url) = Peer::serve(script).await;
        let mut up = up(url, &[]).await;
        up.status(ServerState::Ready).await;
        let end = up.call("echo", json!({})).end().await;
        assert!(matches!(&end, CallEnd::NotSent { message } if message.contains("session")), "{end:?}");
        up.status(ServerState::Ready).await;
        assert_eq!((peer.count("tools/call"), peer.count("initialize")), (1, 2));
        assert!(matches!(up.call("echo", json!({})).end().await, CallEnd::Result(_)));
    }
}

#[tokio::test]
async fn a_stream_that_breaks_before_the_answer_is_not_asked_again() {
    let (peer, url) = Peer::serve(|message, _, _| (message["method"] == "tools/call").then(|| sse(&[]))).await;
    let mut up = up(url, &[]).await;
    up.status(ServerState::Ready).await;
    let end = up.call("echo", json!({})).end().await;
    assert!(matches!(end, CallEnd::ServerGone { sent: true, .. }), "{end:?}");
    assert_eq!(peer.count("tools/call"), 1);
}

#[tokio::test]
async fn a_server_error_is_told_with_its_status_and_not_repeated() {
    let (peer, url) = Peer::serve(|message, _, _| {
        (message["method"] == "tools/call").then(|| StatusCode::SERVICE_UNAVAILABLE.into_response())
    })
    .await;
    let up = up(url, &[]).await;
    let end = up.call("echo", json!({})).end().await;
    assert!(matches!(end, CallEnd::RpcError { code: 503, .. }), "{end:?}");
    assert_eq!(peer.count("tools/call"), 1);
}

#[tokio::test]
async fn a_cancelled_call_is_told_to_the_server() {
    let (peer, url) = Peer::serve(|message, _, _| {
        (message["method"] == "tools/call").then(|| {
            let body = axum::body::Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
            ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
        })
    })
    .await;
    let mut up = up(url, &[]).await;
    up.status(ServerState::Ready).await;
    let mut ticket = up.call("echo", json!({}));
    assert_eq!(ticket.next().await, Some(CallEvent::Sent));
    // Its POST must have arrived, or there is nothing to cancel at the server.
    while peer.count("tools/call") == 0 {
        tokio::task::yield_now().await;
    }
    ticket.cancel();
    assert_eq!(ticket.end().await, CallEnd::Cancelled { acknowledged: false });
    assert_eq!(peer.count("notifications/cancelled"), 1);
}
