//! What went wrong with a request, in words a person can act on, and with what the engine needs to decide on a retry.

use std::error::Error;
use std::io;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};

use crate::chat::{Fault, FaultKind, Retry, WireError, duration_text};
use crate::wire::{self, ErrorClass, ErrorReply, Overflow};

use super::endpoint::{Endpoint, host_of};
use super::http::Http;
use super::models::is_page;

/// How much of a provider's own words a message quotes, in characters.
const QUOTED: usize = 300;

/// The HTTP library's words for a head over its own ceilings; it has no kind for it that can be seen from here.
const HEAD_TOO_LARGE: &str = "message head is too large";

/// The code under which Groq tells that what the model wrote is no call; written again, it may be one.
const NO_CALL: &str = "tool_use_failed";

/// A response that did not come to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub fault: Fault,
    /// The HTTP status, once there was one.
    pub status: Option<u16>,
    /// Whether any data event had come: then something may have been shown.
    pub data: bool,
    /// What the endpoint asked to wait, however long.
    pub retry_after: Option<Duration>,
    /// `x-should-retry`: the endpoint's own word on it.
    pub should_retry: Option<bool>,
    /// Whether the same request, sent again without anyone's doing, can help.
    pub again: bool,
    /// What the endpoint said, and what it is about: `Unsupported` names a parameter to leave out.
    pub reply: Option<ErrorReply>,
}

impl Failure {
    /// Without any answer: nothing of it came.
    pub(super) fn new(fault: Fault, again: bool) -> Self {
        Self { fault, status: None, data: false, retry_after: None, should_retry: None, again, reply: None }
    }

    pub(super) fn with_data(mut self, data: bool) -> Self {
        self.data = data;
        self
    }

    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status.as_u16());
        self
    }

    /// A limit of ours acted. `key` is its name under `[limits]`.
    pub(super) fn limit(key: &str, message: String, hint: &str, again: bool) -> Self {
        let fault = Fault::new(FaultKind::Limit, format!("{message} (limit {key})."))
            .hint(hint.to_owned())
            .retry(Retry::Later(None));
        Self::new(fault, again)
    }

    /// Says so where the endpoint asks for a longer wait than `limit` (limits.retry_after).
    #[must_use]
    pub fn with_longest_wait(mut self, limit: Duration) -> Self {
        if let Some(wait) = self.retry_after.filter(|wait| *wait > limit) {
            let message = self.fault.message.trim_end_matches(['.', '!', '?']);
            self.fault.message = format!(
                "{message}. It asks to wait {}, which is longer than {} (limit retry_after), so the request is not sent \
                 again by itself.",
                seconds(wait),
                seconds(limit)
            );
        }
        self
    }

    /// The request could not be sent, or no headers came back.
    pub(super) fn unsent(http: &Http, endpoint: &Endpoint, error: &reqwest::Error) -> Self {
        let url = &endpoint.base_url;
        let host = host_of(url);
        let proxy = http.proxy_for(url);
        let through = proxy.as_ref().map(|p| format!(", through the proxy {p}")).unwrap_or_default();
        let check_proxy =
            |hint: String| if proxy.is_some() { format!("{hint} Or the proxy: check its setting.") } else { hint };
        let (message, hint, again) = if error.is_dns() {
            (
                format!("No address is known for {host}{through}."),
                "Check the name in the base URL, and the network.".to_owned(),
                true,
            )
        } else if let Some(tls) = find::<rustls::Error>(error) {
            let plain = matches!(tls, rustls::Error::InvalidMessage(_));
            (
                format!("The TLS connection to {host} failed{through}: {tls}."),
                if plain {
                    "It does not seem to speak TLS: try http:// if it is on this machine.".to_owned()
                } else {
                    "If the certificate is your organisation's own, name its bundle in $SSL_CERT_FILE.".to_owned()
                },
                false,
            )
        } else if error.is_connect() && error.is_timeout() {
            (
                format!(
                    "{host} accepted no connection within {}{through} (limit connect).",
                    seconds(http.connect_limit())
                ),
                "Check the address and the network.".to_owned(),
                true,
            )
        } else if error.is_connect() {
            let refused = find::<io::Error>(error).is_some_and(|e| e.kind() == io::ErrorKind::ConnectionRefused);
            if refused && endpoint.is_loopback() {
                (
                    format!("Nothing listens at {host} (connection refused)."),
                    "Start the local server, or name another endpoint with --base-url.".to_owned(),
                    true,
                )
            } else {
                (
                    format!("{host} could not be reached{through}: {}.", root(error)),
                    "Check the address and the network.".to_owned(),
                    true,
                )
            }
        } else if root(error) == HEAD_TOO_LARGE {
            (
                format!("{host} sent more headers than are read (100, or 400 KiB of them){through}."),
                "This is the endpoint's fault, or a proxy's: use another.".to_owned(),
                false,
            )
        } else if error.is_builder() || error.is_request() && error.url().is_none() {
            (
                format!("The request to {host} could not be made: {}.", root(error)),
                "Check the base URL.".to_owned(),
                false,
            )
        } else {
            (
                format!("{host} closed the connection without an answer{through}: {}.", root(error)),
                "Try again.".to_owned(),
                true,
            )
        };
        let retry = if again { Retry::Later(None) } else { Retry::AfterChange };
        Self::new(Fault::new(FaultKind::Network, message).hint(check_proxy(hint)).retry(retry), again)
    }

    /// A status that is not 2xx, with the beginning of its body.
    pub(super) fn refused(endpoint: &Endpoint, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let retry_after = retry_after(headers);
        let should_retry = header(headers, "x-should-retry").and_then(|word| match word {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        });
        let kind = header(headers, CONTENT_TYPE.as_str());
        let busy = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        let (fault, again, reply) = if status.is_redirection() {
            (moved(endpoint, status, headers), false, None)
        } else if is_page(kind.unwrap_or_default(), body) && !busy && status != StatusCode::UNAUTHORIZED {
            (page(endpoint, status), false, None)
        } else {
            let mut reply = wire::error_reply(status.as_u16(), kind, body);
            if body.iter().all(u8::is_ascii_whitespace) || is_page(kind.unwrap_or_default(), body) {
                // The status says as much, and markup is no sentence.
                reply.error.message.clear();
            }
            let (fault, again) = told(endpoint, Some(status), &reply.error, &reply.class, retry_after);
            (fault, again, Some(reply))
        };
        Self { fault, status: Some(status.as_u16()), data: false, retry_after, should_retry, again, reply }
    }
}

/// Words of an error that may pass, where no status says so.
const PASSING: [&str; 9] = [
    "overloaded",
    "server_error",
    "server error",
    "internal",
    "unavailable",
    "try again",
    "timeout",
    "network_error",
    "insufficient_system_resource",
];

impl Failure {
    /// An error that the endpoint told inside its stream.
    #[must_use]
    pub fn in_stream(endpoint: &Endpoint, error: &WireError) -> Self {
        let (fault, again) = endpoint.fault(error);
        let told = format!("{} {}", error.message, error.code.as_ref().map(ToString::to_string).unwrap_or_default());
        let told = told.to_ascii_lowercase();
        let status = error.code.as_ref().and_then(serde_json::Value::as_u64);
        let passing = matches!(status, Some(408 | 409 | 425 | 429 | 500..=599)) || fault.kind == FaultKind::RateLimit;
        let again = again && (passing || PASSING.iter().any(|word| told.contains(word)));
        Self::new(fault, again).with_data(true)
    }
}

impl Endpoint {
    /// An error that the endpoint told inside its stream, as a person meets it. The second value says whether the
    /// same request may help.
    #[must_use]
    pub fn fault(&self, error: &WireError) -> (Fault, bool) {
        told(self, None, error, &wire::classify(None, error, None), None)
    }
}

fn told(
    endpoint: &Endpoint,
    status: Option<StatusCode>,
    error: &WireError,
    class: &ErrorClass,
    wait: Option<Duration>,
) -> (Fault, bool) {
    let host = endpoint.host();
    let number = status.map(|s| format!(" ({})", s.as_u16())).unwrap_or_default();
    let said = quote(&error.message);
    let with = |sentence: String| if said.is_empty() { format!("{sentence}.") } else { format!("{sentence}: {said}") };
    let later = Retry::Later(wait.map(|w| u64::try_from(w.as_millis()).unwrap_or(u64::MAX)));
    match class {
        ErrorClass::Context(over) => (
            Fault::new(
                FaultKind::Context,
                with(format!("The conversation is too long for the model at {host}{number}")),
            )
            .hint(format!("{}{TOO_LONG}", too_many(over)))
            .retry(Retry::AfterChange),
            false,
        ),
        ErrorClass::Quota => (
            Fault::new(FaultKind::RateLimit, with(format!("The account at {host} has nothing left to spend{number}")))
                .hint("Add credit at the provider, or use another key or endpoint.")
                .retry(Retry::AfterChange),
            false,
        ),
        ErrorClass::Auth if status != Some(StatusCode::FORBIDDEN) => (key_refused(endpoint, &number), false),
        ErrorClass::NotFound if error.message.to_ascii_lowercase().contains("model") => (
            Fault::new(FaultKind::Provider, with(format!("{host} does not have this model{number}")))
                .hint("`millrace models` lists what it has; choose one with -m.")
                .retry(Retry::AfterChange),
            false,
        ),
        ErrorClass::RateLimit => {
            let asks = wait.map(|w| format!(" It asks to wait {}.", seconds(w))).unwrap_or_default();
            (
                Fault::new(FaultKind::RateLimit, with(format!("{host} takes no more requests for now{number}")))
                    .hint(format!("Wait and try again.{asks}"))
                    .retry(later),
                true,
            )
        }
        ErrorClass::Unsupported(parameter) => (
            Fault::new(
                FaultKind::Provider,
                with(format!("{host} does not take `{parameter}` from this model{number}")),
            )
            .hint("Leave it out: its flag, or its key in the profile.")
            .retry(Retry::AfterChange),
            false,
        ),
        ErrorClass::Refused | ErrorClass::Server
            if error.code.as_ref().and_then(serde_json::Value::as_str) == Some(NO_CALL) =>
        {
            (
                Fault::new(
                    FaultKind::Provider,
                    with(format!("The model at {host} wrote a call that {host} cannot read{number}")),
                )
                .hint("Ask again, offer fewer tools, or choose another model.")
                .retry(later),
                true,
            )
        }
        ErrorClass::Auth | ErrorClass::NotFound | ErrorClass::Refused | ErrorClass::Server => {
            other(endpoint, status, &with, later)
        }
    }
}

/// What to do with a conversation that does not fit.
const TOO_LONG: &str =
    "Start a new conversation, leave large files or results out, or choose a model with a larger context.";

/// `That is 4904 tokens too many (9000 of 4096 tokens).`, as far as it was told.
fn too_many(over: &Overflow) -> String {
    let told = match (over.used, over.window) {
        (Some(used), Some(window)) => format!("{used} of {window} tokens"),
        (None, Some(window)) => format!("{window} tokens fit"),
        (_, None) => String::new(),
    };
    match (over.excess(), told.is_empty()) {
        (Some(excess), true) => format!("That is {excess} tokens too many. "),
        (Some(excess), false) => format!("That is {excess} tokens too many ({told}). "),
        (None, false) => format!("({told}.) "),
        (None, true) => String::new(),
    }
}

fn key_refused(endpoint: &Endpoint, number: &str) -> Fault {
    let host = endpoint.host();
    let fault = if let Some(withheld) = endpoint.withheld() {
        Fault::new(FaultKind::Auth, format!("{host} wants a key{number}. {withheld}")).hint("Use an https:// address.")
    } else if endpoint.key.is_some() {
        Fault::new(FaultKind::Auth, format!("{host} refused the key from {}{number}.", endpoint.key_source))
            .hint("Check that the key is whole, current, and this provider's; or use another key or endpoint.")
    } else {
        Fault::new(FaultKind::Auth, format!("{host} wants a key{number}, and there is none for it."))
            .hint("Set $OPENAI_API_KEY together with --base-url, or api_key_env in a profile.")
    };
    fault.retry(Retry::AfterChange)
}

fn other(
    endpoint: &Endpoint,
    status: Option<StatusCode>,
    with: &dyn Fn(String) -> String,
    later: Retry,
) -> (Fault, bool) {
    let host = endpoint.host();
    let Some(status) = status else {
        let fault = Fault::new(FaultKind::Provider, with(format!("{host} reported an error in its stream")));
        return (fault.hint("Try again.").retry(later), true);
    };
    let number = status.as_u16();
    match number {
        403 => (
            Fault::new(FaultKind::Auth, with(format!("{host} does not allow this (403)")))
                .hint("The key may lack the permission, or the model may not be open to it.")
                .retry(Retry::AfterChange),
            false,
        ),
        404 | 405 => {
            let path = endpoint.response_url().path().to_owned();
            let fault = Fault::new(FaultKind::Provider, with(format!("{host} has nothing at {path} ({number})")));
            let missing = !endpoint.base_url.path().contains("/v1");
            let hint = if missing {
                "The base URL usually ends in /v1."
            } else {
                "Check the path of the base URL; it goes up to and with /v1."
            };
            (fault.hint(hint).retry(Retry::AfterChange), false)
        }
        413 => (
            Fault::new(FaultKind::Context, with(format!("The request is too large for {host} (413)")))
                .hint("Start a new conversation, or leave large files out.")
                .retry(Retry::AfterChange),
            false,
        ),
        408 | 409 => {
            let fault = Fault::new(FaultKind::Provider, with(format!("{host} could not answer in time ({number})")));
            (fault.hint("Try again.").retry(later), true)
        }
        500.. => (
            Fault::new(FaultKind::Provider, with(format!("{host} failed ({number})")))
                .hint("This is the endpoint's fault. Try again, or use another endpoint.")
                .retry(later),
            true,
        ),
        _ => (
            Fault::new(FaultKind::Provider, with(format!("{host} did not accept the request ({number})")))
                .hint("What it says tells what to change.")
                .retry(Retry::AfterChange),
            false,
        ),
    }
}

/// A 3xx that was not followed: it leads elsewhere.
fn moved(endpoint: &Endpoint, status: StatusCode, headers: &HeaderMap) -> Fault {
    let host = endpoint.host();
    let to = header(headers, "location")
        .and_then(|location| endpoint.response_url().join(location).ok())
        .map_or_else(|| "another address".to_owned(), |url| url.origin().ascii_serialization());
    Fault::new(
        FaultKind::Protocol,
        format!(
            "{host} sends on to {to} ({}). It was not followed: the key and the chat are for {host}.",
            status.as_u16()
        ),
    )
    .hint("If you trust that address, make it the base URL.")
    .retry(Retry::AfterChange)
}

/// A page for people where an answer for programs should be.
pub(super) fn page(endpoint: &Endpoint, status: StatusCode) -> Fault {
    let host = endpoint.host();
    Fault::new(
        FaultKind::Protocol,
        format!("{host} answered with a web page instead of a model's answer ({}).", status.as_u16()),
    )
    .hint("The base URL may lead to a site, a sign-in page or a proxy; it goes up to and with /v1.")
    .retry(Retry::AfterChange)
}

/// `retry-after-ms`, else `retry-after` in seconds (with fractions) or as an HTTP date.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let positive = |seconds: f64| {
        (seconds.is_finite() && seconds > 0.0).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
    };
    if let Some(ms) = header(headers, "retry-after-ms").and_then(|v| v.parse::<f64>().ok()) {
        return positive(ms / 1000.0);
    }
    let value = header(headers, "retry-after")?;
    if let Ok(seconds) = value.parse::<f64>() {
        return positive(seconds);
    }
    let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    positive(at.duration_since(jiff::Timestamp::now()).as_secs_f64())
}

pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// A provider's own words: one line, cut, ended.
pub(super) fn quote(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((at, _)) = line.char_indices().nth(QUOTED) {
        line.truncate(at);
        line.push('…');
    } else if !line.is_empty() && !line.ends_with(['.', '!', '?']) {
        line.push('.');
    }
    line
}

/// As [`duration_text`], where nobody needs it to the millisecond: `5 min`, `0.4 s`, `13 s`, `5 hours`, `365 days`.
pub(super) fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match duration.as_secs() / 3600 {
        0..2 => {}
        hours @ 2..48 => return format!("{hours} hours"),
        hours => return format!("{} days", hours / 24),
    }
    let whole = duration.subsec_millis() == 0 || seconds >= 10.0;
    if whole { duration_text(Duration::from_secs(seconds.round() as u64)) } else { format!("{seconds:.1} s") }
}

/// An error and its causes, without the repetitions.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut out = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !out.contains(&text) {
            out.push_str(": ");
            out.push_str(&text);
        }
        next = cause.source();
    }
    out.trim_end_matches('.').to_owned()
}

/// The innermost cause: the words that tell most.
pub(super) fn root(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string().trim_end_matches('.').to_owned()
}

/// The first cause of a type. An `io::Error` holds its own cause inside, where `source` passes it by.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<T>() {
            return Some(found);
        }
        if let Some(inner) = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            let inner: &(dyn Error + 'static) = inner;
            if let Some(found) = find::<T>(inner) {
                return Some(found);
            }
        }
        next = cause.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Api, WireErrorKind};
    use crate::config::Secret;
    use http::header::HeaderValue;

    fn endpoint() -> Endpoint {
        Endpoint::new("https://api.openai.com/v1", Api::Chat).unwrap().key(Secret::new("sk-1"), "$OPENAI_API_KEY")
    }

    fn said(message: &str, code: Option<&str>) -> WireError {
        WireError { kind: WireErrorKind::Provider, message: message.into(), code: code.map(Into::into) }
    }

    fn check(status: u16, message: &str, code: Option<&str>, expect: (&str, FaultKind, bool)) {
        let status = StatusCode::from_u16(status).unwrap();
        let body = match message {
            "" => String::new(),
            message => serde_json::json!({"error": {"message": message, "code": code}}).to_string(),
        };
        let failure = Failure::refused(&endpoint(), status, &HeaderMap::new(), body.as_bytes());
        assert_eq!((failure.fault.message.as_str(), failure.fault.kind, failure.again), expect);
        assert!(failure.fault.hint.is_some(), "{failure:?}");
    }

    #[test]
    fn refusals_say_what_where_and_whether_asking_again_helps() {
        let refused = "api.openai.com refused the key from $OPENAI_API_KEY (401).";
        check(401, "Incorrect API key provided: sk-1", None, (refused, FaultKind::Auth, false));
        let none = "api.openai.com does not have this model (404): The model `x` does not exist.";
        check(404, "The model `x` does not exist", Some("model_not_found"), (none, FaultKind::Provider, false));
        let path = "api.openai.com has nothing at /v1/chat/completions (404): Not Found.";
        check(404, "Not Found", None, (path, FaultKind::Provider, false));
        let rate = "api.openai.com takes no more requests for now (429): Slow down.";
        check(429, "Slow down.", None, (rate, FaultKind::RateLimit, true));
        let spent = "The account at api.openai.com has nothing left to spend (429): You exceeded your current quota.";
        check(429, "You exceeded your current quota", Some("insufficient_quota"), (spent, FaultKind::RateLimit, false));
        let long = "The conversation is too long for the model at api.openai.com (400): \
                    This model's maximum context length is 8192 tokens.";
        check(400, "This model's maximum context length is 8192 tokens", None, (long, FaultKind::Context, false));
        let llama = "The conversation is too long for the model at api.openai.com (400): \
                     the request exceeds the available context size.";
        check(400, "the request exceeds the available context size", None, (llama, FaultKind::Context, false));
        check(500, "", None, ("api.openai.com failed (500).", FaultKind::Provider, true));
        check(503, "Loading model", None, ("api.openai.com failed (503): Loading model.", FaultKind::Provider, true));
        let call = "The model at api.openai.com wrote a call that api.openai.com cannot read (400): \
                    Failed to call a function.";
        check(400, "Failed to call a function.", Some("tool_use_failed"), (call, FaultKind::Provider, true));
        let bad = "api.openai.com did not accept the request (400): bad schema.";
        check(400, "bad schema", None, (bad, FaultKind::Provider, false));
    }

    #[test]
    fn a_key_that_is_missing_or_withheld_is_told_apart_from_a_refused_one() {
        let message = |endpoint: &Endpoint| key_refused(endpoint, " (401)").message;
        let bare = Endpoint::new("http://10.0.0.1:8000/v1", Api::Chat).unwrap();
        assert_eq!(message(&bare), "10.0.0.1:8000 wants a key (401), and there is none for it.");
        let withheld = message(&bare.key(Secret::new("sk-1"), "$K"));
        assert!(withheld.contains("The key from $K is not sent") && !withheld.contains("sk-1"), "{withheld}");
    }

    #[test]
    fn an_error_inside_the_stream_is_worded_alike() {
        let (fault, again) = endpoint().fault(&said("The server had an error", None));
        assert_eq!(fault.message, "api.openai.com reported an error in its stream: The server had an error.");
        assert!(again);
        let (fault, again) = endpoint().fault(&said("prompt is too long: 9 tokens", None));
        assert_eq!((fault.kind, again), (FaultKind::Context, false));
    }

    #[test]
    fn waits_are_read_in_each_of_their_forms() {
        let read = |name: &'static str, value: &str| {
            retry_after(&HeaderMap::from_iter([(
                http::HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )]))
        };
        assert_eq!(read("retry-after-ms", "1500"), Some(Duration::from_millis(1500)));
        assert_eq!(read("retry-after", "20"), Some(Duration::from_secs(20)));
        assert_eq!(read("retry-after", "0.5"), Some(Duration::from_millis(500)));
        for not in ["0", "-3", "NaN", "inf", "soon", "Wed, 21 Oct 2015 07:28:00 GMT", "1e300"] {
            assert_eq!(read("retry-after", not), None, "{not}");
        }
        let date = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(60);
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date).unwrap();
        let wait = read("retry-after", &date).unwrap();
        assert!(wait > Duration::from_secs(30) && wait <= Duration::from_secs(60), "{wait:?}");
    }

    #[test]
    fn a_wait_of_a_year_is_told_with_the_limit_that_refuses_it() {
        let read = |value: &'static str| {
            let name = http::HeaderName::from_static("retry-after");
            let headers = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
            let failure = Failure::refused(&endpoint(), StatusCode::TOO_MANY_REQUESTS, &headers, b"");
            failure.with_longest_wait(Duration::from_secs(120)).fault.message
        };
        assert_eq!(
            read("31536000"),
            "api.openai.com takes no more requests for now (429). It asks to wait 365 days, which is longer than 2 min \
             (limit retry_after), so the request is not sent again by itself."
        );
        assert_eq!(read("120"), "api.openai.com takes no more requests for now (429).");
    }

    #[test]
    fn a_redirect_elsewhere_is_named_and_not_followed() {
        let headers =
            HeaderMap::from_iter([(http::header::LOCATION, HeaderValue::from_static("https://evil.example/x"))]);
        let failure = Failure::refused(&endpoint(), StatusCode::TEMPORARY_REDIRECT, &headers, b"<p>Moved");
        assert!(failure.fault.message.contains("https://evil.example"), "{}", failure.fault);
        assert!(!failure.again);
    }

    #[test]
    fn long_words_of_a_provider_are_cut() {
        let quoted = quote(&format!("a\n\nb {}", "x".repeat(1000)));
        assert!(quoted.starts_with("a b x") && quoted.ends_with('…'));
        assert_eq!(quoted.chars().count(), QUOTED + 1);
    }
}
