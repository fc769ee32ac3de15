//! The requests of a sign-in: small, bounded, to judged addresses.
//!
//! # Invariants
//! - A redirect is followed for reading alone, and within one origin.
//! - Nothing of a body or a header reaches a log.

use std::time::Duration;

use futures_util::StreamExt as _;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method};
use url::Url;

use super::address::Reach;
use super::error::FetchError;

/// One request, from its sending to the end of its answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Largest answer, in bytes.
const ANSWER_MAX: usize = 256 * 1024;
const REDIRECTS: usize = 3;

pub(super) struct Fetcher {
    client: reqwest::Client,
    reach: Reach,
}

/// What came back, whatever its status.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    /// All `WWW-Authenticate` headers as one.
    pub challenge: Option<String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Fetcher {
    /// # Errors
    /// Where the system's TLS settings cannot be used.
    pub(super) fn new(reach: Reach) -> Result<Self, FetchError> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .user_agent(concat!("millrace/", env!("CARGO_PKG_VERSION")))
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(reach.clone())
            .build()
            .map_err(|error| FetchError::Unreachable(error.to_string()))?;
        Ok(Self { client, reach })
    }

    /// Reads a document.
    pub(super) async fn get(&self, url: &Url) -> Result<Answer, FetchError> {
        let mut at = url.clone();
        for _ in 0..=REDIRECTS {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
            let response = self.send(Method::GET, &at, headers, Vec::new()).await?;
            if !response.status().is_redirection() {
                return read(response).await;
            }
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
            let next = at.join(location).map_err(|_| FetchError::Redirected(location.to_owned()))?;
            if next.origin() != at.origin() {
                return Err(FetchError::Redirected(next.origin().ascii_serialization()));
            }
            at = next;
        }
        Err(FetchError::Redirected("in circles".to_owned()))
    }

    /// Posts a form, with a ready `Authorization` where one is given.
    pub(super) async fn post_form(
        &self,
        url: &Url,
        fields: &[(&str, &str)],
        authorization: Option<HeaderValue>,
    ) -> Result<Answer, FetchError> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(mut value) = authorization {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        self.post(url, headers, body.into_bytes()).await
    }

    pub(super) async fn post_json(
        &self,
        url: &Url,
        mut headers: HeaderMap,
        body: &serde_json::Value,
    ) -> Result<Answer, FetchError> {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.entry(ACCEPT).or_insert_with(|| HeaderValue::from_static("application/json"));
        self.post(url, headers, body.to_string().into_bytes()).await
    }

    async fn post(&self, url: &Url, headers: HeaderMap, body: Vec<u8>) -> Result<Answer, FetchError> {
        let response = self.send(Method::POST, url, headers, body).await?;
        if response.status().is_redirection() {
            let to = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
            return Err(FetchError::Redirected(to.chars().take(200).collect()));
        }
        read(response).await
    }

    async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<reqwest::Response, FetchError> {
        self.reach.check(url)?;
        self.client.request(method, url.clone()).headers(headers).body(body).send().await.map_err(broken)
    }
}

async fn read(response: reqwest::Response) -> Result<Answer, FetchError> {
    let status = response.status().as_u16();
    let challenges: Vec<&str> =
        response.headers().get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()).collect();
    let challenge = (!challenges.is_empty()).then(|| challenges.join(", "));
    // The server's own answer to the probe may be a stream without an end.
    if status == 401 || status == 403 {
        return Ok(Answer { status, challenge, body: Vec::new() });
    }
    let mut body = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(broken)?;
        if body.len() + chunk.len() > ANSWER_MAX {
            return Err(FetchError::TooLarge(ANSWER_MAX / 1024));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, challenge, body })
}

/// The deepest cause, without the address: a refused address says why itself.
fn broken(error: reqwest::Error) -> FetchError {
    if error.is_timeout() {
        return FetchError::TimedOut(PATIENCE.as_secs());
    }
    let error = error.without_url();
    let mut deepest: &dyn std::error::Error = &error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    FetchError::Unreachable(deepest.to_string())
}
