//! How a call is stopped at a server of 2026-07-28: over HTTP by closing its stream, over stdio by a notification.

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::IntoResponse;
use tokio::sync::watch;

use super::web::{Web, modern};
use super::*;

/// Tells when it is dropped: the client closed the stream that holds it.
struct Open(watch::Sender<bool>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

#[tokio::test]
async fn over_http_the_stream_is_closed_and_nothing_else_is_sent() {
    let (closed, mut closing) = watch::channel(false);
    let web = Web::serve(move |asked| match asked.method().as_str() {
        "tools/call" => {
            let open = Open(closed.clone());
            let body = Body::from_stream(futures_util::stream::once(async move {
                let _open = open;
                std::future::pending::<Result<Bytes, std::io::Error>>().await
            }));
            ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
        }
        _ => modern(asked),
    })
    .await;
    let mut up = web.up("/mcp").await;
    up.status(ServerState::Ready).await;
    let mut ticket = up.call("echo", json!({}));
    assert_eq!(ticket.next().await, Some(CallEvent::Sent));
    while web.count("tools/call") == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!*closing.borrow());
    ticket.cancel();
    assert_eq!(ticket.end().await, CallEnd::Cancelled { acknowledged: false });
    let told = tokio::time::timeout(Duration::from_secs(10), closing.wait_for(|closed| *closed)).await;
    assert!(told.is_ok(), "the stream stays open");
    assert_eq!(web.count("notifications/cancelled"), 0);
}

#[tokio::test]
async fn over_stdio_the_server_is_told_by_the_id_of_the_call() {
    let fake = Fake::new(
        r#"discover() { reply "$1" '{"resultType":"complete","ttlMs":0,"cacheScope":"private","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}'; }
           call() { :; }"#,
    );
    let mut up = fake.up(Limits::default()).await;
    assert_eq!(up.status(ServerState::Ready).await.protocol.as_deref(), Some("2026-07-28"));
    let mut ticket = up.call("echo", json!({}));
    assert_eq!(ticket.next().await, Some(CallEvent::Sent));
    ticket.cancel();
    assert_eq!(ticket.end().await, CallEnd::Cancelled { acknowledged: false });
    up.host.shutdown().await;
    let read = std::fs::read_to_string(fake.log()).unwrap();
    let messages: Vec<Value> = read.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |method: &str| messages.iter().find(|message| message["method"] == method).unwrap();
    assert_eq!(of("notifications/cancelled")["params"]["requestId"], of("tools/call")["id"]);
}
