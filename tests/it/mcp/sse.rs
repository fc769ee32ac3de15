//! HTTP+SSE, the transport of 2024-11-05.

use std::sync::Mutex;

use axum::body::{Body, Bytes};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc::UnboundedSender;

use super::web::{Asked, Web, legacy, status, stream};
use super::*;

type Line = Arc<Mutex<Option<UnboundedSender<Result<Bytes, std::io::Error>>>>>;

/// An old server: a stream at /sse, messages to /messages, answers on the stream; `posted` is what a POST to /sse gets.
async fn old(posted: u16) -> (Web, Line) {
    let line = Line::default();
    let web = Web::serve({
        let line = line.clone();
        move |asked| answer(asked, &line, posted)
    })
    .await;
    (web, line)
}

fn answer(asked: &Asked, line: &Line, posted: u16) -> Response {
    match (asked.verb.clone(), asked.uri.path()) {
        (Method::GET, "/sse") => {
            let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
            sender.send(Ok(Bytes::from("event: endpoint\ndata: /messages?session=7\n\n"))).unwrap();
            *line.lock().unwrap() = Some(sender);
            let lines = futures_util::stream::unfold(receiver, async |mut lines| Some((lines.recv().await?, lines)));
            ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(lines)).into_response()
        }
        (Method::POST, "/messages") => {
            let (line, asked) = (line.clone(), asked.clone());
            if asked.json()["params"]["name"] == "silent" {
                return StatusCode::ACCEPTED.into_response();
            }
            tokio::spawn(async move {
                let bytes = axum::body::to_bytes(legacy(&asked).into_body(), usize::MAX).await.unwrap();
                if let (Some(line), false) = (&*line.lock().unwrap(), bytes.is_empty()) {
                    let _ = line.send(Ok(Bytes::from(format!(
                        "event: message\ndata: {}\n\n",
                        String::from_utf8_lossy(&bytes)
                    ))));
                }
            });
            StatusCode::ACCEPTED.into_response()
        }
        _ => status(posted),
    }
}

#[tokio::test]
async fn an_old_server_is_found_by_its_refusals_and_is_called_over_its_stream() {
    for posted in [400, 404, 405] {
        let (web, _) = old(posted).await;
        let mut up = web.up("/sse").await;
        let ready = up.status(ServerState::Ready).await;
        assert_eq!((ready.transport, ready.protocol.as_deref(), ready.tools), ("sse", Some("2025-06-18"), 1));
        let end = up.call("echo", json!({"x": 1})).end().await;
        assert_eq!(end, CallEnd::Result(json!({"content": [{"type": "text", "text": "done"}]})));
        assert_eq!((web.count("tools/call"), web.count("list_tools")), (1, 0));
    }
}

#[tokio::test]
async fn a_server_that_is_named_so_is_spoken_to_so_at_once() {
    let (web, _) = old(404).await;
    let transport = Transport::Sse { url: format!("{}/sse", web.url), headers: BTreeMap::new() };
    let mut up = Up::new(Limits::default(), None, entry(transport)).await;
    assert_eq!(up.status(ServerState::Ready).await.transport, "sse");
    assert_eq!(web.count("server/discover"), 0);
    assert!(web.asked().iter().all(|asked| asked.verb == Method::GET || asked.uri.path() == "/messages"));
}

#[tokio::test]
async fn a_stream_that_ends_is_the_end_of_the_connection_and_of_its_calls() {
    let (web, line) = old(404).await;
    let mut up = web.up("/sse").await;
    up.status(ServerState::Ready).await;
    let ticket = up.call("silent", json!({}));
    while web.count("tools/call") == 0 {
        tokio::task::yield_now().await;
    }
    *line.lock().unwrap() = None;
    assert_eq!(ticket.end().await, CallEnd::ServerGone { sent: true, message: "it ended the stream".into() });
    let failed = up.status(ServerState::Failed).await.message.unwrap();
    assert!(failed.starts_with("it ended the stream"), "{failed}");
    up.status(ServerState::Ready).await;
    assert_eq!(web.count("tools/call"), 1, "nothing was sent again");
}

#[tokio::test]
async fn an_address_of_another_origin_is_refused() {
    let elsewhere = Web::serve(legacy).await;
    let endpoint = format!("event: endpoint\ndata: {}/messages\n\n", elsewhere.url);
    let web = Web::serve(move |_| stream(std::slice::from_ref(&endpoint), true)).await;
    let transport = Transport::Sse { url: format!("{}/sse", web.url), headers: BTreeMap::new() };
    let mut up = Up::new(Limits::default(), None, entry(transport)).await;
    let message = up.status(ServerState::Failed).await.message.unwrap();
    assert!(message.contains("another origin"), "{message}");
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn a_stream_without_an_address_and_a_page_that_is_none_are_told_apart() {
    let ended = Web::serve(|_| stream(&["data: {}\n\n".to_owned()], false)).await;
    let page = Web::serve(|_| (StatusCode::OK, "<html>hello</html>").into_response()).await;
    for (web, words) in [(ended, "without an address"), (page, "no stream of events")] {
        let transport = Transport::Sse { url: format!("{}/sse", web.url), headers: BTreeMap::new() };
        let message =
            Up::new(Limits::default(), None, entry(transport)).await.status(ServerState::Failed).await.message;
        assert!(message.as_ref().is_some_and(|message| message.contains(words)), "{message:?}");
    }
}
