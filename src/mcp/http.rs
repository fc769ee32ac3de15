//! Streamable HTTP: the SDK's client over our shared connection pool, with the tap between them.
//!
//! # Invariants
//! - Plain HTTP goes to loopback only: headers carry tokens.
//! - A call whose session the server forgot is not sent again; the connection is made anew for the next one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use http::{HeaderName, HeaderValue};
use rmcp::RoleClient;
use rmcp::model::{ClientJsonRpcMessage, JsonRpcMessage, RequestId, ServerJsonRpcMessage};
use rmcp::transport::common::client_side_sse::{BoxedSseResponse, ExponentialBackoff};
use rmcp::transport::streamable_http_client::{
    StreamableHttpClient, StreamableHttpClientTransportConfig, StreamableHttpError, StreamableHttpPostResponse,
};
use rmcp::transport::{StreamableHttpClientTransport, Transport};

use crate::config::Secret;

use super::failure::Failure;
use super::tap::Tap;

/// A client as [`super::Host::new`] wants it, for programs that have none yet. Reading the system's root certificates
/// takes it some 30 ms: make one, share it.
///
/// # Errors
/// Where the system's TLS or proxy settings cannot be used.
pub fn client(limits: &crate::chat::Limits) -> Result<reqwest::Client, Failure> {
    // A second provider is refused, and then there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let same_origin = reqwest::redirect::Policy::custom(|attempt| {
        let from = attempt.previous().last().map(url::Url::origin);
        if attempt.previous().len() < 5 && from == Some(attempt.url().origin()) {
            attempt.follow()
        } else {
            attempt.stop()
        }
    });
    reqwest::Client::builder()
        .user_agent(concat!("millrace/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(limits.connect)
        .redirect(same_origin)
        .build()
        .map_err(|error| Failure::cannot_start(format!("the HTTP client cannot be made: {error}")))
}

/// A transport to `url`. Nothing is sent yet.
///
/// # Errors
/// Where the address or a header cannot be used.
pub(super) fn transport(
    client: reqwest::Client,
    url: &str,
    headers: &std::collections::BTreeMap<String, Secret>,
    tap: Tap,
    event: usize,
) -> Result<impl Transport<RoleClient> + use<>, Failure> {
    check_address(url)?;
    let mut config = StreamableHttpClientTransportConfig::with_uri(url)
        .reinit_on_expired_session(false)
        .max_sse_event_size(event)
        .custom_headers(header_map(headers)?);
    // A server that went away is noticed by the next call, not by knocking forever.
    let mut retries = ExponentialBackoff::default();
    retries.max_times = Some(4);
    retries.max_delay = Some(Duration::from_secs(8));
    config.retry_config = Arc::new(retries);
    Ok(StreamableHttpClientTransport::with_client(TappedClient { client, tap }, config))
}

/// Only http and https, and http only to this machine.
fn check_address(url: &str) -> Result<(), Failure> {
    let parsed = url::Url::parse(url)
        .map_err(|error| Failure::cannot_start(format!("its address {url} is not a URL: {error}")))?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(Failure::cannot_start("its address holds a password")
            .hinted(Some("Put it into headers = { Authorization = \"…\" }.")));
    }
    match parsed.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(&parsed) => Ok(()),
        "http" => Err(Failure::cannot_start("plain http is allowed to this machine only")
            .hinted(Some("Use https, or a tunnel to localhost."))),
        other => Err(Failure::cannot_start(format!("its address begins with {other}:"))
            .hinted(Some("MCP servers are reached by http or https."))),
    }
}

fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn header_map(
    headers: &std::collections::BTreeMap<String, Secret>,
) -> Result<HashMap<HeaderName, HeaderValue>, Failure> {
    /// These are the protocol's own.
    const RESERVED: &[&str] = &["accept", "mcp-session-id", "mcp-protocol-version", "last-event-id"];
    headers
        .iter()
        .map(|(name, value)| {
            let parsed = HeaderName::try_from(name.as_str())
                .map_err(|_| Failure::cannot_start(format!("the header name {name} is not valid")))?;
            if RESERVED.contains(&parsed.as_str()) {
                return Err(Failure::cannot_start(format!("the header {name} belongs to the protocol"))
                    .hinted(Some("Remove it from `headers`.")));
            }
            let mut value = HeaderValue::try_from(value.expose())
                .map_err(|_| Failure::cannot_start(format!("the value of the header {name} is not valid")))?;
            value.set_sensitive(true);
            Ok((parsed, value))
        })
        .collect()
}

#[derive(Clone, Debug)]
struct TappedClient {
    client: reqwest::Client,
    tap: Tap,
}

impl TappedClient {
    fn tapped(&self, stream: BoxedSseResponse) -> BoxedSseResponse {
        let tap = self.tap.clone();
        stream
            .inspect(move |event| {
                let Ok(event) = event else { return };
                if let Some(mut message) = event.data.as_deref().and_then(|data| serde_json::from_str(data).ok()) {
                    tap.incoming(&mut message);
                }
            })
            .boxed()
    }

    /// A JSON reply. One without an id answers the request it came for: some servers cannot read ids, or refuse
    /// before they do.
    fn tapped_json(&self, mut reply: ServerJsonRpcMessage, request: Option<&RequestId>) -> ServerJsonRpcMessage {
        if let (JsonRpcMessage::Error(error), Some(request)) = (&mut reply, request) {
            error.id.get_or_insert_with(|| request.clone());
        }
        if let Ok(mut message) = serde_json::to_value(&reply) {
            self.tap.incoming(&mut message);
        }
        reply
    }
}

type HttpError = StreamableHttpError<reqwest::Error>;

impl StreamableHttpClient for TappedClient {
    type Error = reqwest::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        auth: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, HttpError> {
        self.post_message_with_max_sse_event_size(uri, message, session, auth, headers, usize::MAX).await
    }

    async fn post_message_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        auth: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
        event: usize,
    ) -> Result<StreamableHttpPostResponse, HttpError> {
        if let Some(waiter) = self.tap.outgoing(&message) {
            if !waiter.leave() {
                return Err(StreamableHttpError::TransportChannelClosed);
            }
            waiter.sent();
        }
        let id = match &message {
            JsonRpcMessage::Request(request) => Some(request.id.clone()),
            JsonRpcMessage::Response(_) | JsonRpcMessage::Notification(_) | JsonRpcMessage::Error(_) => None,
        };
        let reply =
            self.client.post_message_with_max_sse_event_size(uri, message, session, auth, headers, event).await?;
        Ok(match reply {
            StreamableHttpPostResponse::Sse(stream, session) => {
                StreamableHttpPostResponse::Sse(self.tapped(stream), session)
            }
            StreamableHttpPostResponse::Json(reply, session) => {
                StreamableHttpPostResponse::Json(self.tapped_json(reply, id.as_ref()), session)
            }
            other => other,
        })
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session: Arc<str>,
        auth: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), HttpError> {
        self.client.delete_session(uri, session, auth, headers).await
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        auth: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxedSseResponse, HttpError> {
        self.get_stream_with_max_sse_event_size(uri, session, last_event, auth, headers, usize::MAX).await
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        auth: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
        event: usize,
    ) -> Result<BoxedSseResponse, HttpError> {
        let stream =
            self.client.get_stream_with_max_sse_event_size(uri, session, last_event, auth, headers, event).await?;
        Ok(self.tapped(stream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn plain_http_stays_on_this_machine() {
        for url in ["https://a.example/mcp", "http://127.0.0.1:1/mcp", "http://[::1]:8/", "http://localhost/mcp"] {
            assert_eq!(check_address(url), Ok(()), "{url}");
        }
        for url in ["http://a.example/mcp", "http://192.168.0.1/", "ftp://localhost/", "no", "https://u:p@a.example/"] {
            assert!(check_address(url).is_err(), "{url}");
        }
    }

    #[test]
    fn headers_are_checked_by_name() {
        let of = |name: &str, value: &str| header_map(&BTreeMap::from([(name.to_owned(), Secret::new(value))]));
        assert!(of("Authorization", "Bearer x").is_ok());
        assert_eq!(of("Mcp-Session-Id", "x").unwrap_err().reason, "the header Mcp-Session-Id belongs to the protocol");
        let bad = of("X-Key", "line\nbreak-secret").unwrap_err();
        assert!(!bad.line().contains("secret"));
    }
}
