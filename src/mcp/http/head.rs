//! What is told of the heads of HTTP messages: the lines and headers that whoever writes a server wants to see.
//!
//! # Invariants
//! - No value of a header that carries a key: tokens and the entry's own headers stand by their names alone.
//! - Of what names a session (a header, the query of an address) no more than its beginning is told: it is a key to it.

use http::header::{ALLOW, CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue};
use reqwest::{Request, Response};
use url::Url;

use crate::chat::HttpHead;

const SESSION: &str = "mcp-session-id";
/// Of an answer's headers, those that decide what is made of it.
const ANSWERED: [HeaderName; 7] = [
    CONTENT_TYPE,
    HeaderName::from_static(SESSION),
    HeaderName::from_static("mcp-protocol-version"),
    WWW_AUTHENTICATE,
    RETRY_AFTER,
    LOCATION,
    ALLOW,
];
/// How many characters of a session's name are told.
const BEGINNING: usize = 8;

/// A request's method and address, and the headers that are ours.
pub(super) fn asked(request: &Request) -> HttpHead {
    let headers = request.headers().iter().map(told).collect();
    HttpHead { line: format!("{} {}", request.method(), address(request.url())), headers }
}

/// An answer's status, and what of its headers matters.
pub(super) fn answered(response: &Response) -> HttpHead {
    HttpHead { line: response.status().to_string(), headers: of_answer(response.headers()) }
}

/// What came instead of an answer.
pub(super) fn unanswered(error: &reqwest::Error) -> HttpHead {
    let error = error_line(error);
    HttpHead { line: format!("no answer: {error}"), headers: Vec::new() }
}

fn of_answer(headers: &HeaderMap) -> Vec<(String, Option<String>)> {
    ANSWERED.iter().flat_map(|name| headers.get_all(name).iter().map(move |value| told((name, value)))).collect()
}

fn told((name, value): (&HeaderName, &HeaderValue)) -> (String, Option<String>) {
    let text = String::from_utf8_lossy(value.as_bytes());
    let text = match name.as_str() {
        _ if value.is_sensitive() => None,
        SESSION => Some(beginning(&text)),
        "location" => Some(text.split('?').next().unwrap_or_default().to_owned()),
        _ => Some(text.into_owned()),
    };
    (name.as_str().to_owned(), text)
}

fn beginning(text: &str) -> String {
    match text.char_indices().nth(BEGINNING) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// An address; of each value of its query the beginning.
fn address(url: &Url) -> String {
    let mut plain = url.clone();
    plain.set_fragment(None);
    plain.set_query(None);
    let query: Vec<String> = url.query_pairs().map(|(name, value)| format!("{name}={}", beginning(&value))).collect();
    if query.is_empty() { plain.to_string() } else { format!("{plain}?{}", query.join("&")) }
}

/// An error and what it is made of, without the address, which stands above it.
fn error_line(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    if causes.is_empty() { "the connection failed".to_owned() } else { causes.join(": ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_by_their_names_and_sessions_by_their_beginnings() {
        let mut key = HeaderValue::from_static("Bearer hunter2");
        key.set_sensitive(true);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::new();
        let request = client
            .post("http://127.0.0.1:8/mcp?sessionId=0123456789abcdef&x=1")
            .header("authorization", key)
            .header("mcp-session-id", "0123456789abcdef")
            .header("mcp-method", "tools/call")
            .build()
            .unwrap();
        let head = asked(&request);
        assert_eq!(head.line, "POST http://127.0.0.1:8/mcp?sessionId=01234567…&x=1");
        let headers: Vec<(&str, Option<&str>)> =
            head.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        let wanted =
            [("authorization", None), ("mcp-session-id", Some("01234567…")), ("mcp-method", Some("tools/call"))];
        assert_eq!(headers, wanted);
    }

    #[test]
    fn of_an_answer_what_matters_is_told() {
        let headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (LOCATION, HeaderValue::from_static("/login?state=hunter2")),
            (HeaderName::from_static("set-cookie"), HeaderValue::from_static("sid=hunter2")),
        ]);
        let told = [("content-type", "application/json"), ("location", "/login")];
        assert_eq!(of_answer(&headers), told.map(|(name, value)| (name.to_owned(), Some(value.to_owned()))));
    }
}
