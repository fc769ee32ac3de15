//! The way out to one address: headers, tokens, and what of an answer's head is told apart before its body is read.
//!
//! # Invariants
//! - A request is sent again only where the server turned it away unread, with 401 or 403, and a new token was given.
//! - No redirect leads to another origin, and none turns a POST into a GET.
//! - Of a body no more than its limit is kept.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use reqwest::{RequestBuilder, Response};

use crate::chat::Direction;
use crate::config::Secret;
use crate::mcp::tap::Tap;

use super::head;

/// How often one request may be sent with yet another token.
const TRIES: u32 = 4;
/// The most of an error's body that is read.
const ERROR_BODY: usize = 64 * 1024;
/// The most of a body in place of a message that whoever listens is told.
const HEARD_BODY: usize = 8 * 1024;
/// How long such a body may take. It decides nothing, and so holds up next to nothing.
const HEARD_BODY_TIME: Duration = Duration::from_secs(1);
/// The longest pause that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Proves to a server who asks: gives tokens, and learns what the server thought of them.
pub(in crate::mcp) trait Authorise: fmt::Debug + Send + Sync {
    /// The token to send; None: none yet, and the server will say what it wants.
    fn token(&self) -> BoxFuture<'_, Option<Secret>>;

    /// A request was turned away, and so not carried out. True: there is another token now, and it may be sent again.
    fn turned_away<'a>(&'a self, refusal: &'a Refusal) -> BoxFuture<'a, bool>;
}

/// A request that was turned away at the door.
#[derive(Clone, Debug)]
pub(in crate::mcp) struct Refusal {
    /// 401 or 403.
    pub status: u16,
    /// The `WWW-Authenticate` header.
    pub challenge: Option<String>,
    /// The token that was sent.
    pub token: Option<Secret>,
}

/// Why an exchange over HTTP did not come to an answer in the protocol's terms.
#[derive(Debug, thiserror::Error)]
pub(in crate::mcp) enum HttpFault {
    #[error("the connection broke: {0}")]
    Transport(#[from] reqwest::Error),
    #[error("HTTP {status}")]
    Status { status: u16, pause: Option<Duration> },
    #[error("HTTP {status}, it sends on to {to}")]
    Redirect { status: u16, to: String },
    #[error("its answer is larger than {limit} bytes (limits.event)")]
    TooLarge { limit: usize },
    #[error("its answer is not MCP: {0}")]
    NotMcp(String),
    #[error("its stream cannot be read: {0}")]
    Stream(String),
}

/// An address with all that is sent there. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::mcp) struct Door {
    client: reqwest::Client,
    headers: HeaderMap,
    authorise: Option<Arc<dyn Authorise>>,
    /// Hears the heads of requests and answers.
    tap: Tap,
    /// The largest body or event that is read, in bytes.
    pub most: usize,
}

/// What an exchange failed of.
#[derive(Debug)]
pub(in crate::mcp) enum Shut {
    Refused(Refusal),
    Fault(HttpFault),
}

impl From<reqwest::Error> for Shut {
    fn from(error: reqwest::Error) -> Self {
        Self::Fault(HttpFault::Transport(error))
    }
}

impl Door {
    pub(in crate::mcp) fn new(
        client: reqwest::Client,
        headers: HeaderMap,
        authorise: Option<Arc<dyn Authorise>>,
        tap: Tap,
        most: usize,
    ) -> Self {
        Self { client, headers, authorise, tap, most }
    }

    /// Sends what `make` makes. `leaving` is called once, when nothing stands before the first byte any more.
    ///
    /// # Errors
    /// Where nobody answers, the server turns the request away, or sends it on elsewhere. Any other status is an
    /// answer.
    pub(in crate::mcp) async fn send(
        &self,
        make: impl Fn(&reqwest::Client) -> RequestBuilder,
        leaving: impl FnOnce(),
    ) -> Result<Response, Shut> {
        let mut token = self.token().await;
        let mut leaving = Some(leaving);
        for left in (0..TRIES).rev() {
            let mut request = make(&self.client).headers(self.headers.clone());
            if let Some(token) = &token {
                request = request.header(header::AUTHORIZATION, bearer(token));
            }
            let request = request.build()?;
            self.tap.head(Direction::Out, || head::asked(&request));
            if let Some(leaving) = leaving.take() {
                leaving();
            }
            let response = match self.client.execute(request).await {
                Ok(response) => response,
                Err(error) => {
                    self.tap.head(Direction::In, || head::unanswered(&error));
                    return Err(error.into());
                }
            };
            self.tap.head(Direction::In, || head::answered(&response));
            let status = response.status();
            if status.is_redirection() {
                let to = location(&response);
                self.overheard(response).await;
                return Err(Shut::Fault(HttpFault::Redirect { status: status.as_u16(), to }));
            }
            if !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
                return Ok(response);
            }
            let refusal = Refusal { status: status.as_u16(), challenge: challenge(response.headers()), token };
            self.overheard(response).await;
            let again = match &self.authorise {
                Some(authorise) if left > 0 => authorise.turned_away(&refusal).await,
                Some(_) | None => false,
            };
            if !again {
                let with_token = refusal.token.is_some();
                tracing::debug!(status = refusal.status, with_token, "turned away");
                return Err(Shut::Refused(refusal));
            }
            token = self.token().await;
        }
        Err(Shut::Refused(Refusal { status: 401, challenge: None, token }))
    }

    async fn token(&self) -> Option<Secret> {
        // A header of the entry's own is the user's word, and nobody else's token takes its place.
        let own = self.headers.contains_key(header::AUTHORIZATION);
        match &self.authorise {
            Some(authorise) if !own => authorise.token().await,
            Some(_) | None => None,
        }
    }

    /// Tells whoever listens the beginning of a body that is not read for a message. Where nobody does, it is let go.
    pub(in crate::mcp) async fn overheard(&self, response: Response) {
        if !self.tap.is_heard() {
            return;
        }
        let status = response.status().as_u16();
        let mut bytes = Vec::new();
        let mut chunks = response.bytes_stream();
        let read = async {
            while let Some(chunk) = chunks.next().await {
                let Ok(chunk) = chunk else { return true };
                let room = HEARD_BODY - bytes.len();
                bytes.extend_from_slice(&chunk[..room.min(chunk.len())]);
                if chunk.len() > room {
                    return true;
                }
            }
            false
        };
        let cut = tokio::time::timeout(HEARD_BODY_TIME, read).await.unwrap_or(true);
        if cut {
            // Half a key would be no key that is known, and be told.
            let whole = bytes.iter().rposition(u8::is_ascii_whitespace).unwrap_or(bytes.len());
            bytes.truncate(whole);
        }
        if !bytes.is_empty() {
            self.tap.body(status, bytes, cut);
        }
    }

    /// The whole of a body, at most [`Door::most`] bytes of a good one, and the first 64 KiB of an error's.
    pub(in crate::mcp) async fn body(&self, response: Response) -> Result<Vec<u8>, HttpFault> {
        let good = response.status().is_success();
        let limit = if good { self.most } else { ERROR_BODY.min(self.most) };
        let mut body = Vec::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk: Bytes = chunk?;
            let room = limit - body.len();
            if chunk.len() > room {
                if good {
                    return Err(HttpFault::TooLarge { limit });
                }
                body.extend_from_slice(&chunk[..room]);
                break;
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Whether a body of this type, named in `Content-Type`, is of `kind`; parameters and case do not matter.
pub(in crate::mcp) fn is_type(headers: &HeaderMap, kind: &str) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case(kind))
}

/// The pause that `Retry-After` asks for, in seconds or until a date (RFC 9110 section 10.2.3), at most an hour.
pub(in crate::mcp) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            until.duration_since(jiff::Timestamp::now()).try_into().ok()?
        }
    };
    Some(pause.min(LONGEST_PAUSE))
}

fn bearer(token: &Secret) -> HeaderValue {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))
        .unwrap_or_else(|_| HeaderValue::from_static("Bearer invalid"));
    value.set_sensitive(true);
    value
}

fn challenge(headers: &HeaderMap) -> Option<String> {
    let all: Vec<&str> =
        headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// Where a redirect leads, without what it may carry in its query.
fn location(response: &Response) -> String {
    let to = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match response.url().join(to) {
        Ok(mut url) => {
            url.set_query(None);
            url.set_fragment(None);
            url.to_string()
        }
        Err(_) => "an address that cannot be read".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str) -> Option<Duration> {
        retry_after(&HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_str(text).unwrap())]))
    }

    #[test]
    fn a_pause_is_given_in_seconds_or_as_a_date() {
        assert_eq!(after("17"), Some(Duration::from_secs(17)));
        assert_eq!(after("99999999"), Some(LONGEST_PAUSE));
        assert_eq!(after("soon"), None);
        assert_eq!(after("Fri, 23 Oct 2015 12:00:00 GMT"), None, "that is over");
        assert_eq!(after("Fri, 23 Oct 2099 12:00:00 GMT"), Some(LONGEST_PAUSE));
    }

    #[test]
    fn a_type_is_known_whatever_stands_behind_it() {
        let of = |text| HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(text))]);
        assert!(is_type(&of("Application/JSON; charset=utf-8"), "application/json"));
        assert!(!is_type(&of("application/json-seq"), "application/json"));
        assert!(!is_type(&HeaderMap::new(), "application/json"));
    }
}
