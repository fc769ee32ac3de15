//! Servers that are reached over HTTP: which addresses may be, and the transports to them.
//!
//! `door` sends and is where tokens come in, `head` says what is told of that, `events` reads streams, `streamable` is today's transport, `params` its
//! headers, `sse` is the transport of old.
//!
//! # Invariants
//! - Plain HTTP goes to loopback only: headers carry tokens.
//! - A call whose session the server forgot is not sent again; the connection is made anew for the next one.

mod door;
mod events;
mod head;
mod params;
mod sse;
mod streamable;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use rmcp::RoleClient;
use rmcp::transport::common::client_side_sse::ExponentialBackoff;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, Transport};

use crate::config::Secret;

pub(super) use door::{Authorise, Door, HttpFault, Refusal, Shut, retry_after};
pub(super) use params::Params;
pub(super) use sse::SseTransport;
pub(super) use streamable::HttpError;

use super::failure::Failure;
use super::tap::Tap;

/// How many requests of one server may be under way; its calls are limited by their own table.
const AT_ONCE: usize = 256;

/// A client as [`super::Host::new`] wants it, for programs that have none yet. Reading the system's root certificates
/// takes it some 30 ms: make one, share it.
///
/// # Errors
/// Where the system's TLS or proxy settings cannot be used.
pub fn client(limits: &crate::chat::Limits) -> Result<reqwest::Client, Failure> {
    // A second provider is refused, and then there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Another kind of redirect would turn the message into a GET; another origin would be told our headers.
    let same_origin = reqwest::redirect::Policy::custom(|attempt| {
        let keeps = matches!(attempt.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
        let from = attempt.previous().last().map(url::Url::origin);
        if keeps && attempt.previous().len() < 5 && from == Some(attempt.url().origin()) {
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

/// The way to an entry's address. Nothing is sent yet. `tap` hears the heads of what is. `most` is the largest event or
/// body that is read, in bytes.
///
/// # Errors
/// Where the address or a header cannot be used.
pub(super) fn door(
    client: &reqwest::Client,
    url: &str,
    headers: &BTreeMap<String, Secret>,
    authorise: Option<Arc<dyn Authorise>>,
    tap: Tap,
    most: usize,
) -> Result<Door, Failure> {
    check_address(url)?;
    Ok(Door::new(client.clone(), header_map(headers)?, authorise, tap, most))
}

/// A transport to `url`. Nothing is sent yet.
pub(super) fn streamable(door: Door, url: &str, tap: Tap, params: Params) -> impl Transport<RoleClient> + use<> {
    let mut config = StreamableHttpClientTransportConfig::with_uri(url).reinit_on_expired_session(false);
    config.max_concurrent_requests = AT_ONCE;
    // A server that went away is noticed by the next call, not by knocking forever.
    let mut retries = ExponentialBackoff::default();
    retries.max_times = Some(4);
    retries.max_delay = Some(Duration::from_secs(8));
    config.retry_config = Arc::new(retries);
    StreamableHttpClientTransport::with_client(streamable::Client { door, tap, params }, config)
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

fn header_map(headers: &BTreeMap<String, Secret>) -> Result<HeaderMap, Failure> {
    /// These are the protocol's own.
    const RESERVED: &[&str] = &[
        "accept",
        "mcp-session-id",
        "mcp-protocol-version",
        "last-event-id",
        "mcp-method",
        "mcp-name",
        "content-type",
        "content-length",
        "host",
    ];
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
