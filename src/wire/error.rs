//! Errors as endpoints tell them, before the stream and inside it, in every form that is known.

use serde_json::Value;

use super::overflow::{Overflow, overflow};
use crate::chat::{WireError, WireErrorKind};

/// The most of a body that is no JSON to quote, in characters.
const QUOTED: usize = 300;

/// What an error is about, as far as its words and its status tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The key is missing, wrong, or may not do this.
    Auth,
    /// The conversation does not fit the model's context; with the numbers that the endpoint told.
    Context(Overflow),
    /// Nothing left to spend: waiting does not help.
    Quota,
    RateLimit,
    /// The model, or the address, does not exist.
    NotFound,
    /// The endpoint refuses this parameter of the request (`stream_options`, `max_tokens`, …).
    Unsupported(String),
    /// The request is refused for another reason.
    Refused,
    /// The endpoint's own trouble: it may pass.
    Server,
}

/// An answer that is an error.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorReply {
    pub error: WireError,
    pub class: ErrorClass,
    /// The HTTP status.
    pub status: u16,
    /// The place in the request that the error names (`tools[0].function.parameters`, `stream_options`); often empty.
    pub at: String,
}

/// Reads the body of an HTTP error (or of any answer that should have been a stream). Never fails: a body that is no
/// JSON is quoted, shortened.
#[must_use]
pub fn error_reply(status: u16, content_type: Option<&str>, body: &[u8]) -> ErrorReply {
    let text = String::from_utf8_lossy(body);
    // Some gateways wrap their errors as an event all the same.
    let json = text.trim().strip_prefix("data:").unwrap_or(&text);
    let value: Option<Value> = serde_json::from_str(json.trim()).ok();
    let error = value.as_ref().and_then(find).unwrap_or_else(|| {
        let html = content_type.is_some_and(|kind| kind.contains("html")) || text.trim_start().starts_with('<');
        let start: String = text.trim().chars().take(QUOTED).collect();
        let message = match (start.is_empty(), html) {
            (true, _) => format!("HTTP {status} without a body"),
            (false, true) => format!("HTTP {status} with a web page: {start}"),
            (false, false) => format!("HTTP {status}: {start}"),
        };
        provider(message, None)
    });
    let class = classify(Some(status), &error, value.as_ref());
    let at = value.as_ref().map(place).unwrap_or_default();
    ErrorReply { error, class, status, at }
}

/// The place in the request that an error names: OpenAI's `param`, or the `loc` of a validation error.
fn place(body: &Value) -> String {
    let body = body.as_array().and_then(|list| list.first()).unwrap_or(body);
    let param = body.pointer("/error/param").or_else(|| body.get("param")).and_then(Value::as_str);
    if let Some(param) = param.filter(|param| !param.is_empty()) {
        return param.to_owned();
    }
    let detail = ["/detail", "/error/detail", "/error/message/detail", "/message/detail"];
    let loc = detail.iter().find_map(|place| body.pointer(place)?.get(0)?.get("loc")?.as_array());
    let steps = loc.into_iter().flatten().filter_map(|step| match step {
        Value::String(step) if step == "body" => None,
        Value::String(step) => Some(step.clone()),
        Value::Number(step) => Some(step.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    });
    steps.collect::<Vec<_>>().join(".")
}

/// What `error` is about. `body` is the JSON that it was read from, where there is one.
#[must_use]
pub fn classify(status: Option<u16>, error: &WireError, body: Option<&Value>) -> ErrorClass {
    let field = |key: &str| {
        let body = body.map(|value| value.as_array().and_then(|list| list.first()).unwrap_or(value));
        body.and_then(|value| value.pointer(&format!("/error/{key}")).or_else(|| value.get(key)))
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    let code = match &error.code {
        Some(Value::String(code)) => code.to_ascii_lowercase(),
        _ => String::new(),
    };
    // Inside a stream the status comes as the code.
    let status = status
        .filter(|status| *status >= 400)
        .or_else(|| error.code.as_ref().and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok()));
    let kind = field("type");
    let message = error.message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let coded = |words: &[&str]| words.iter().any(|word| code.contains(word) || kind.contains(word));

    if coded(&["insufficient_quota", "billing", "insufficient_balance"])
        || status == Some(402)
        || says(&["insufficient balance", "exceeded your current quota", "insufficient credits"])
    {
        return ErrorClass::Quota;
    }
    if let Some(over) = overflow([&code, &kind], error, body) {
        return ErrorClass::Context(over);
    }
    if status == Some(401)
        || status == Some(403)
        || coded(&["invalid_api_key", "authentication", "unauthorized"])
        || says(&["invalid api key", "incorrect api key"])
    {
        return ErrorClass::Auth;
    }
    if status == Some(429) || coded(&["rate_limit"]) {
        return ErrorClass::RateLimit;
    }
    if status == Some(404) || coded(&["model_not_found", "not_found"]) {
        return ErrorClass::NotFound;
    }
    let unsupported = coded(&["unsupported_parameter", "unsupported_value", "extra_forbidden", "unknown_parameter"])
        || says(&[
            "unsupported",
            "not supported",
            "does not support",
            "not permitted",
            "unrecognized",
            "unknown field",
            "unknown name",
        ]);
    let named = body.map(place).unwrap_or_default();
    if unsupported && let Some(parameter) = parameter(&named, &message) {
        return ErrorClass::Unsupported(parameter);
    }
    match status {
        Some(408 | 409 | 425 | 500..) | None => ErrorClass::Server,
        Some(_) => ErrorClass::Refused,
    }
}

/// The parameters that a request of ours may do without or spell in another way.
const OPTIONAL: [&str; 10] = [
    "stream_options",
    "include_usage",
    "max_completion_tokens",
    "max_tokens",
    "temperature",
    "tool_choice",
    "response_format",
    "reasoning_effort",
    "parallel_tool_calls",
    "tools",
];

/// The refused one: named by the error, else the one its message speaks of first.
fn parameter(named: &str, message: &str) -> Option<String> {
    if !named.is_empty() {
        return Some(named.to_owned());
    }
    OPTIONAL
        .iter()
        .filter_map(|known| message.find(known).map(|at| (at, *known)))
        .min_by_key(|(at, known)| (*at, usize::MAX - known.len()))
        .map(|(_, known)| known.to_owned())
}

/// The error in a JSON value that an endpoint sent, if it is one.
pub(super) fn find(value: &Value) -> Option<WireError> {
    match value {
        Value::Array(list) => list.iter().find_map(find),
        Value::Object(map) => {
            if let Some(error) = map.get("error").and_then(|error| described(error, Some(value))) {
                return Some(error);
            }
            if let Some(Value::Array(errors)) = map.get("errors")
                && let Some(error) = errors.iter().find_map(|error| described(error, None))
            {
                return Some(error);
            }
            // MiniMax: HTTP 200 and a status inside.
            if let Some(status) = value.pointer("/base_resp/status_code")
                && status.as_i64() != Some(0)
                && !status.is_null()
            {
                let message = value.pointer("/base_resp/status_msg").and_then(Value::as_str);
                return Some(provider(message.unwrap_or("unnamed error"), Some(status)));
            }
            if map.contains_key("choices") {
                return None;
            }
            if let Some(detail) = map.get("detail") {
                return described(detail, None);
            }
            let bare = map.get("object").and_then(Value::as_str) == Some("error")
                || map.contains_key("code")
                || map.contains_key("type");
            match map.get("message").filter(|_| bare)? {
                Value::String(_) => described(value, None),
                // Mistral's validation errors: `{"message":{"detail":[{"msg":…}]},"type":…}`.
                Value::Object(inner) => described(inner.get("detail").or_else(|| map.get("message"))?, None),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// An error in the words that it was given: an object, a sentence, or a list of them. None where it says "no error".
pub(super) fn described(error: &Value, outer: Option<&Value>) -> Option<WireError> {
    match error {
        Value::Null | Value::Bool(false) => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => {
            let outer = |key| outer.and_then(|value| value.get(key));
            // `{"error":"Bad Request","message":"…","code":…}`: the message says more.
            let message = outer("message").and_then(Value::as_str).unwrap_or(text);
            Some(provider(message, outer("code")))
        }
        Value::Array(list) => list.iter().find_map(|error| described(error, None)),
        Value::Object(map) if map.is_empty() => None,
        Value::Object(map) => {
            let message = ["message", "msg", "detail", "type"]
                .iter()
                .find_map(|key| map.get(*key).and_then(Value::as_str).filter(|text| !text.is_empty()));
            Some(match message {
                Some(message) => provider(message, map.get("code")),
                None => provider(error.to_string().chars().take(QUOTED).collect::<String>(), map.get("code")),
            })
        }
        Value::Bool(true) | Value::Number(_) => Some(provider(format!("error {error}"), Some(error))),
    }
}

pub(super) fn provider(message: impl Into<String>, code: Option<&Value>) -> WireError {
    let code = code.filter(|code| code.is_string() || code.is_number()).cloned();
    WireError { kind: WireErrorKind::Provider, message: message.into(), code }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, message: &str, class: &ErrorClass) {
        let reply = error_reply(status, None, body.as_bytes());
        assert_eq!((reply.error.message.as_str(), &reply.class), (message, class), "{body}");
    }

    #[test]
    fn every_form_of_body() {
        use ErrorClass::{Auth, NotFound, Quota, RateLimit, Refused, Server};
        check(401, r#"{"detail":"Invalid API Key"}"#, "Invalid API Key", &Auth);
        check(400, r#"{"error":{"code":400,"message":"m"},"user_id":"u"}"#, "m", &Refused);
        check(
            400,
            r#"[{"error":{"code":404,"message":"no such model","status":"NOT_FOUND"}}]"#,
            "no such model",
            &Refused,
        );
        check(404, r#"{"error":"model 'x' not found"}"#, "model 'x' not found", &NotFound);
        check(400, r#"{"object":"error","message":"m","type":"t","code":"3051"}"#, "m", &Refused);
        check(422, r#"{"detail":[{"type":"missing","msg":"Field required"}]}"#, "Field required", &Refused);
        check(
            422,
            r#"{"object":"error","message":{"detail":[{"type":"missing","loc":["body","model"],"msg":"Field required"}]},"type":"invalid_request_error","code":null}"#,
            "Field required",
            &Refused,
        );
        check(
            429,
            r#"{"error":{"message":"slow down","type":"tokens","code":"rate_limit_exceeded"}}"#,
            "slow down",
            &RateLimit,
        );
        check(429, r#"{"error":{"message":"pay","type":"insufficient_quota"}}"#, "pay", &Quota);
        check(
            400,
            r#"{"error":{"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}"#,
            "the request exceeds the available context size",
            &ErrorClass::Context(Overflow::default()),
        );
        check(503, "upstream down", "HTTP 503: upstream down", &Server);
        check(502, "<html>bad</html>", "HTTP 502 with a web page: <html>bad</html>", &Server);
        check(500, "", "HTTP 500 without a body", &Server);
        check(200, r#"{"base_resp":{"status_code":1004,"status_msg":"login fail"}}"#, "login fail", &Server);
    }

    #[test]
    fn a_refused_parameter_is_named() {
        let check = |body: &str, expect: &str| {
            let reply = error_reply(400, Some("application/json"), body.as_bytes());
            assert_eq!(reply.class, ErrorClass::Unsupported(expect.into()), "{body}");
        };
        check(
            r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","param":"max_tokens","code":"unsupported_parameter"}}"#,
            "max_tokens",
        );
        check(
            r#"{"error":{"message":"Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'."}}"#,
            "max_tokens",
        );
        check(r#"{"error":{"message":"Unsupported value: 'temperature' does not support 0.16"}}"#, "temperature");
        check(
            r#"{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"stream_options: Extra inputs are not permitted"}]}"#,
            "stream_options",
        );
        check(r#"{"error":{"message":"Thinking mode does not support this tool_choice"}}"#, "tool_choice");
    }

    #[test]
    fn a_long_page_is_cut_at_a_character() {
        let reply = error_reply(500, None, "é".repeat(1000).as_bytes());
        assert_eq!(reply.error.message.chars().count(), "HTTP 500: ".len() + QUOTED);
    }
}
