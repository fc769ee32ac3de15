//! What a server wrote, read as a question.
//!
//! # Invariants
//! - What was not offered to it is refused, with the protocol's code and a reason.

use serde_json::Value;

use crate::chat::{Form, Question};

/// Why a request cannot be put to a person. Quotes the server, raw.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(in crate::mcp) struct Refused {
    /// Of JSON-RPC.
    pub code: i32,
    pub message: String,
}

impl Refused {
    const METHOD: i32 = -32601;
    const PARAMS: i32 = -32602;
    pub(super) const INTERNAL: i32 = -32603;
    /// MCP 2025-11-25, client/sampling, gives this code as the example for a person's no.
    pub(super) const REJECTED: i32 = -1;

    pub(super) fn params(message: impl Into<String>) -> Self {
        Self { code: Self::PARAMS, message: message.into() }
    }
}

/// Reads what a server asks. What was not offered to it is refused.
pub(super) fn read(method: &str, params: &Value) -> Result<Question, Refused> {
    match method {
        "elicitation/create" => elicitation(params),
        super::SAMPLING | "roots/list" => {
            Err(Refused { code: Refused::METHOD, message: format!("{method} is not offered") })
        }
        _ => Err(Refused { code: Refused::METHOD, message: format!("{method} is not known") }),
    }
}

fn elicitation(params: &Value) -> Result<Question, Refused> {
    let text = |key: &str| params.get(key).and_then(Value::as_str).map(str::to_owned);
    let message = text("message").unwrap_or_default();
    match params.get("mode").and_then(Value::as_str) {
        None | Some("form") => {
            let schema = params.get("requestedSchema").unwrap_or(&Value::Null);
            let form = Form::read(schema).map_err(Refused::params)?;
            Ok(Question::Form { message, form })
        }
        Some("url") => {
            let address = text("url").ok_or_else(|| Refused::params("there is no url"))?;
            let parsed = url::Url::parse(&address).map_err(|_| Refused::params("the url cannot be read"))?;
            if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
                return Err(Refused::params("only http and https addresses are opened"));
            }
            let elicitation = text("elicitationId").filter(|id| !id.is_empty());
            Ok(Question::Address { message, url: address, elicitation })
        }
        Some(other) => Err(Refused::params(format!("the mode {other:?} is not known"))),
    }
}
