//! HTTP+SSE, the transport of 2024-11-05: one stream that the server opens with the address to post to. The
//! specification deprecates it; servers still speak it.
//!
//! # Invariants
//! - Messages go only to the origin that the stream came from, whatever the server names.
//! - A stream that ends is the end of the connection: nothing is resumed, nothing sent again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{HeaderValue, StatusCode, header};
use rmcp::RoleClient;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::streamable_http_client::StreamableHttpError;
use sse_stream::Sse;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::chat::{Direction, duration_text};
use crate::mcp::tap::{Tap, Waiter, parse};

use super::door::{Door, HttpFault, is_type, retry_after};
use super::events::events;
use super::streamable::{HttpError, shut};

/// How long a stream may take to name the address.
const FIRST_EVENT: Duration = Duration::from_secs(10);

/// An open stream with the address to post to.
pub(in crate::mcp) struct SseTransport {
    door: Door,
    post: Arc<str>,
    tap: Tap,
    incoming: mpsc::Receiver<RxJsonRpcMessage<RoleClient>>,
    /// Holds the task that reads, until the connection is closed.
    reader: JoinSet<()>,
}

impl SseTransport {
    /// Opens the stream and waits for the address.
    ///
    /// # Errors
    /// Where nobody answers, the answer is not such a stream, or the address is not the server's own.
    pub(in crate::mcp) async fn open(door: Door, url: &str, tap: Tap) -> Result<Self, HttpError> {
        const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
        let not_mcp = |what: String| StreamableHttpError::Client(HttpFault::NotMcp(what));
        let make = |client: &reqwest::Client| client.get(url).header(header::ACCEPT, EVENTS);
        let first = async {
            let response = door.send(make, || {}).await.map_err(shut)?;
            let status = response.status();
            if !status.is_success() {
                let pause = retry_after(response.headers());
                let fault = HttpFault::Status { status: status.as_u16(), pause };
                door.overheard(response).await;
                return Err(StreamableHttpError::Client(fault));
            }
            if !is_type(response.headers(), "text/event-stream") {
                door.overheard(response).await;
                return Err(not_mcp("no stream of events".to_owned()));
            }
            let base = response.url().clone();
            let mut stream = events(response, door.most).boxed();
            while let Some(event) = stream.next().await {
                let event = event.map_err(StreamableHttpError::Client)?;
                if event.event.as_deref() == Some("endpoint") {
                    let post = endpoint(&base, event.data.as_deref().unwrap_or_default()).map_err(not_mcp)?;
                    return Ok((post, stream));
                }
            }
            Err(not_mcp("its stream ended without an address to post to".to_owned()))
        };
        let Ok(opened) = tokio::time::timeout(FIRST_EVENT, first).await else {
            return Err(not_mcp(format!("its stream named no address to post to in {}", duration_text(FIRST_EVENT))));
        };
        let (post, stream) = opened?;
        let (messages, incoming) = mpsc::channel(64);
        let mut reader = JoinSet::new();
        reader.spawn(read(stream, messages, tap.clone()));
        Ok(Self { door, post: Arc::from(post.as_str()), tap, incoming, reader })
    }
}

/// The address to post to: absolute or not, but of the same origin.
fn endpoint(base: &url::Url, text: &str) -> Result<url::Url, String> {
    let post = base.join(text.trim()).map_err(|error| format!("the address it wants to be posted to: {error}"))?;
    if post.origin() == base.origin() {
        Ok(post)
    } else {
        Err(format!("it wants to be posted to at another origin, {}", post.origin().ascii_serialization()))
    }
}

async fn read(
    mut stream: impl Stream<Item = Result<Sse, HttpFault>> + Unpin,
    messages: mpsc::Sender<RxJsonRpcMessage<RoleClient>>,
    tap: Tap,
) {
    let reason = loop {
        let event = match stream.next().await {
            Some(Ok(event)) => event,
            Some(Err(fault)) => break fault.to_string(),
            None => break "it ended the stream".to_owned(),
        };
        if !matches!(event.event.as_deref(), None | Some("" | "message")) {
            continue;
        }
        let data = event.data.unwrap_or_default();
        tap.frame(Direction::In, None, data.as_bytes());
        for message in parse(data.as_bytes()).unwrap_or_default() {
            if let Some(message) = tap.decode(message)
                && messages.send(message).await.is_err()
            {
                return;
            }
        }
    };
    tap.close(&reason);
}

impl Transport<RoleClient> for SseTransport {
    type Error = HttpError;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), HttpError>> + Send + 'static {
        // Begun here and now, not when the future is polled: that keeps the order of the calls.
        let waiter = self.tap.outgoing(&message);
        let (door, post, tap) = (self.door.clone(), self.post.clone(), self.tap.clone());
        let mut begun = JoinSet::new();
        begun.spawn(async move {
            let body = Bytes::from(serde_json::to_vec(&message)?);
            if waiter.as_ref().is_some_and(|waiter| !waiter.leave()) {
                return Ok(());
            }
            let make = |client: &reqwest::Client| {
                client.post(&*post).header(header::CONTENT_TYPE, "application/json").body(body.clone())
            };
            let leaving = || {
                tap.frame(Direction::Out, waiter.as_ref().and_then(Waiter::call), &body);
                if let Some(waiter) = &waiter {
                    waiter.sent();
                }
            };
            let response = door.send(make, leaving).await.map_err(shut)?;
            let status = response.status();
            if status.is_success() {
                return Ok(());
            }
            let pause = retry_after(response.headers());
            door.overheard(response).await;
            match status {
                // The address holds the session in it.
                StatusCode::NOT_FOUND | StatusCode::GONE => Err(StreamableHttpError::SessionExpired),
                status => Err(StreamableHttpError::Client(HttpFault::Status { status: status.as_u16(), pause })),
            }
        });
        async move {
            match begun.join_next().await {
                Some(Ok(sent)) => sent,
                Some(Err(_)) | None => Err(StreamableHttpError::TransportChannelClosed),
            }
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        self.incoming.recv().await
    }

    async fn close(&mut self) -> Result<(), HttpError> {
        self.tap.close("the connection was closed");
        self.reader.abort_all();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_go_to_the_same_origin_only() {
        let base = url::Url::parse("http://127.0.0.1:8/sse").unwrap();
        for (text, wanted) in [
            ("/messages?id=1", "http://127.0.0.1:8/messages?id=1"),
            ("messages", "http://127.0.0.1:8/messages"),
            ("?sessionId=a", "http://127.0.0.1:8/sse?sessionId=a"),
            ("http://127.0.0.1:8/m\n", "http://127.0.0.1:8/m"),
        ] {
            assert_eq!(endpoint(&base, text).map(String::from), Ok(wanted.to_owned()), "{text}");
        }
        for text in ["http://127.0.0.1:9/m", "https://127.0.0.1:8/m", "//evil.example/m", "http://localhost:8/m"] {
            assert!(endpoint(&base, text).is_err(), "{text}");
        }
    }
}
