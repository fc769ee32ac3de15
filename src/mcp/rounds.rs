//! Results that are no ends: `resultType` (2026-07-28), and the input that a server requires before it goes on
//! (SEP-2322).
//!
//! # Invariants
//! - The state of a server goes back exactly as it came, only with the request it came for, and unread.
//! - An answer without `resultType` is complete; one of an unknown type is no result.

use std::time::Duration;

use serde_json::{Map, Value};

use super::task::Told;

/// How often a server may come back with another question about one request.
pub(super) const ROUNDS: u32 = 10;

/// What a server wants before it goes on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Required {
    /// By the server's own keys, in its order.
    pub requests: Map<String, Value>,
    pub state: Option<String>,
}

/// What a result is.
#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    Complete,
    Input(Required),
    /// It goes on as a task (2026-07-28, `io.modelcontextprotocol/tasks`).
    Task(Box<Told>),
    /// Not to be understood; why, as the end of a sentence.
    Strange(String),
}

impl Kind {
    pub(super) fn of(result: &Value) -> Self {
        match result.get("resultType") {
            None => Self::Complete,
            Some(Value::String(kind)) => match kind.as_str() {
                "complete" => Self::Complete,
                "task" => Told::read(result).map_or_else(Self::Strange, |told| Self::Task(Box::new(told))),
                "input_required" => Required::read(result).map_or_else(Self::Strange, Self::Input),
                other => Self::Strange(format!("the server answered with a result of the unknown type {other:?}")),
            },
            Some(other) => Self::Strange(format!("the server answered with a result of the unknown type {other}")),
        }
    }
}

impl Required {
    fn read(result: &Value) -> Result<Self, String> {
        let requests = match result.get("inputRequests") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(requests)) => requests.clone(),
            Some(_) => return Err("the server asks for input in a form that MCP does not know".to_owned()),
        };
        let state = match result.get("requestState") {
            None | Some(Value::Null) => None,
            Some(Value::String(state)) => Some(state.clone()),
            Some(_) => return Err("the server's own state is not a text".to_owned()),
        };
        if requests.is_empty() && state.is_none() {
            return Err("the server asks for input and does not say which".to_owned());
        }
        Ok(Self { requests, state })
    }

    /// A server that wants nothing but to be asked again is given time to get on.
    pub(super) fn pause(&self, round: u32) -> Option<Duration> {
        self.requests.is_empty().then(|| Duration::from_millis(250) * 2_u32.pow(round.min(5)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_complete_result_is_an_end() {
        assert_eq!(Kind::of(&json!({"content": []})), Kind::Complete);
        assert_eq!(Kind::of(&json!("text")), Kind::Complete);
        assert_eq!(Kind::of(&json!({"resultType": "complete"})), Kind::Complete);
        for strange in [
            json!({"resultType": "novel"}),
            json!({"resultType": 7}),
            json!({"resultType": "input_required"}),
            json!({"resultType": "input_required", "inputRequests": []}),
            json!({"resultType": "input_required", "requestState": {"a": 1}}),
        ] {
            assert!(matches!(Kind::of(&strange), Kind::Strange(_)), "{strange}");
        }
    }

    #[test]
    fn what_is_required_is_read_in_its_order_and_its_state_untouched() {
        let result = json!({"resultType": "input_required", "requestState": " ==\u{e4}\n",
            "inputRequests": {"z": {"method": "a"}, "b": {"method": "c"}}});
        let Kind::Input(required) = Kind::of(&result) else { panic!("no input") };
        assert_eq!(required.requests.keys().collect::<Vec<_>>(), ["z", "b"]);
        assert_eq!(required.state.as_deref(), Some(" ==\u{e4}\n"));
        assert_eq!(required.pause(1), None);
        let again = Required { requests: Map::new(), state: Some("s".into()) };
        assert_eq!(again.pause(1), Some(Duration::from_millis(500)));
        assert_eq!(again.pause(99), Some(Duration::from_secs(8)));
    }
}
