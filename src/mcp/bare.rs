//! The bare dialect, `transport = "simple-rpc"`: `list_tools` and `call_tool` as JSON-RPC over HTTP POST, and nothing
//! else. No specification describes it; servers of that kind differ, so what they answer is read liberally.
//!
//! # Invariants
//! - What is sent is exactly `{"method":"list_tools","id":1}` and
//!   `{"method":"call_tool","params":{"id":…,"arguments":{…}},"id":…}`, led by `"jsonrpc":"2.0"` only where the entry
//!   asks for it.
//! - A call is one POST, sent once. To stop it is to let go of its connection; whether it ran nobody can say then.
//! - What comes out has MCP's shapes: definitions, results and errors go the same ways as those of any server.
//!
//! # Does not
//! Sign in: what the entry's headers say is all it says.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use http::{HeaderValue, header};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use crate::chat::{CallId, Direction, read_json};

use super::failure::{Failure, FailureKind};
use super::http::{Door, HttpFault, Shut, retry_after};
use super::tap::{Reply, Tap, Waiter};

/// One server of that kind; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Bare(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    door: Door,
    url: String,
    /// Send `"jsonrpc":"2.0"` too.
    jsonrpc: bool,
    /// Hears what is said.
    tap: Tap,
    next: AtomicI64,
    /// What each tool is called by, by its name.
    ids: RwLock<HashMap<String, Value>>,
}

/// An answer, as far as it is one.
#[derive(Debug, PartialEq)]
enum Answer {
    Result(Value),
    Error { code: i64, message: String },
}

impl Bare {
    pub(super) fn new(door: Door, url: &str, jsonrpc: bool, tap: Tap) -> Self {
        let (url, next, ids) = (url.to_owned(), AtomicI64::new(2), RwLock::default());
        Self(Arc::new(Inner { door, url, jsonrpc, tap, next, ids }))
    }

    /// The tools, in MCP's shape. What each is called by stands under `id`, where its pin covers it.
    ///
    /// # Errors
    /// Where nobody answers, or the answer holds no list of tools.
    pub(super) async fn list_tools(&self) -> Result<Vec<Value>, Failure> {
        let request = self.request(json!({"method": "list_tools", "id": 1}));
        let response = self.exchange(&request, None, || {}).await?;
        let tools = match answer(response, 1)? {
            Answer::Result(result) => tools(result),
            Answer::Error { message, .. } => {
                return Err(Failure::new(FailureKind::Protocol, format!("it does not list its tools: {message}")));
            }
        };
        let Some(tools) = tools else {
            return Err(Failure::new(FailureKind::Protocol, "its answer to list_tools holds no list of tools")
                .hinted(Some("Check `url` and `transport`.")));
        };
        let ids = tools
            .iter()
            .filter_map(|tool| Some((tool.get("name")?.as_str()?.to_owned(), tool.get("id")?.clone())))
            .collect();
        *self.0.ids.write().unwrap_or_else(PoisonError::into_inner) = ids;
        Ok(tools)
    }

    /// Makes a call; `waiter` is told of its departure and its answer. Dropping what is returned lets go of it.
    pub(super) fn call(&self, tool: &str, arguments: Map<String, Value>, waiter: Waiter) -> JoinSet<()> {
        let id = {
            let ids = self.0.ids.read().unwrap_or_else(PoisonError::into_inner);
            ids.get(tool).cloned().unwrap_or_else(|| Value::from(tool))
        };
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let request =
            self.request(json!({"method": "call_tool", "params": {"id": id, "arguments": arguments}, "id": number}));
        let this = self.clone();
        let mut task = JoinSet::new();
        task.spawn(async move {
            if !waiter.leave() {
                return;
            }
            let reply = match this
                .exchange(&request, waiter.call(), || waiter.sent())
                .await
                .and_then(|value| answer(value, number))
            {
                Ok(Answer::Result(result)) => Reply::Result(called(result)),
                Ok(Answer::Error { code, message }) => Reply::Error { code, message },
                Err(failure) => Reply::Failed(failure),
            };
            waiter.answer(reply);
        });
        task
    }

    fn request(&self, request: Value) -> Bytes {
        let request = match request {
            Value::Object(rest) if self.0.jsonrpc => {
                let mut whole = Map::from_iter([("jsonrpc".to_owned(), Value::from("2.0"))]);
                whole.extend(rest);
                Value::Object(whole)
            }
            other => other,
        };
        Bytes::from(request.to_string())
    }

    async fn exchange(&self, request: &Bytes, call: Option<CallId>, leaving: impl FnOnce()) -> Result<Value, Failure> {
        const JSON: HeaderValue = HeaderValue::from_static("application/json");
        let make = |client: &reqwest::Client| {
            let post = client.post(&self.0.url).body(request.clone());
            post.header(header::CONTENT_TYPE, JSON).header(header::ACCEPT, JSON)
        };
        let leaving = || {
            self.0.tap.frame(Direction::Out, call, request);
            leaving();
        };
        let response = match self.0.door.send(make, leaving).await {
            Ok(response) => response,
            Err(Shut::Refused(_)) => return Err(Failure::needs_login()),
            Err(Shut::Fault(fault)) => return Err(Failure::of_fault(&fault)),
        };
        let status = response.status();
        if !status.is_success() {
            let pause = retry_after(response.headers());
            self.0.door.overheard(response).await;
            return Err(Failure::of_fault(&HttpFault::Status { status: status.as_u16(), pause }));
        }
        let body = self.0.door.body(response).await.map_err(|fault| Failure::of_fault(&fault))?;
        self.0.tap.frame(Direction::In, None, &body);
        read_json(&body).map_err(|error| {
            Failure::new(FailureKind::Protocol, format!("its answer is not JSON: {error}")).hinted(Some("Check `url`."))
        })
    }
}

/// Takes an answer out of what came for the request `number`: with or without `result` around it, an id, a version.
fn answer(response: Value, number: i64) -> Result<Answer, Failure> {
    let Value::Object(mut members) = response else { return Ok(Answer::Result(response)) };
    let other = match members.get("id") {
        Some(Value::Number(id)) => id.as_i64() != Some(number),
        Some(Value::String(id)) => id.parse() != Ok(number),
        Some(Value::Null) | None => false,
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => true,
    };
    let framed = ["result", "error", "jsonrpc"].iter().any(|member| members.contains_key(*member));
    if framed && other {
        return Err(Failure::new(FailureKind::Protocol, "its answer is for another request"));
    }
    match members.remove("error") {
        Some(error) if !error.is_null() => return Ok(refusal(&error)),
        Some(_) | None => {}
    }
    if let Some(result) = members.remove("result") {
        return Ok(Answer::Result(result));
    }
    members.remove("jsonrpc");
    if !other {
        members.remove("id");
    }
    Ok(Answer::Result(Value::Object(members)))
}

fn refusal(error: &Value) -> Answer {
    let text = error.as_str().or_else(|| error.get("message").and_then(Value::as_str));
    Answer::Error {
        code: error.get("code").and_then(Value::as_i64).unwrap_or_default(),
        message: text.map_or_else(|| error.to_string(), str::to_owned),
    }
}

/// The list in a result: the result itself, or its `tools`. Each tool is given MCP's names for its parts.
fn tools(result: Value) -> Option<Vec<Value>> {
    let list = match result {
        Value::Array(list) => list,
        Value::Object(mut members) => match members.remove("tools")? {
            Value::Array(list) => list,
            _ => return None,
        },
        _ => return None,
    };
    Some(list.into_iter().map(tool).collect())
}

fn tool(tool: Value) -> Value {
    let Value::Object(mut members) = tool else { return tool };
    let id = members.remove("id").filter(|id| id.is_string() || id.is_number());
    let name = members.remove("name").or_else(|| match &id {
        Some(Value::String(id)) => Some(Value::from(id.as_str())),
        Some(id) => Some(Value::from(id.to_string())),
        None => None,
    });
    let schema = ["inputSchema", "input_schema", "parameters", "schema"]
        .into_iter()
        .filter_map(|member| members.remove(member))
        .find(|schema| !schema.is_null())
        .unwrap_or_else(|| json!({"type": "object"}));
    let id = id.or_else(|| name.clone());
    let mut whole = Map::new();
    whole.extend(name.map(|name| ("name".to_owned(), name)));
    whole.extend(id.map(|id| ("id".to_owned(), id)));
    whole.insert("inputSchema".to_owned(), schema);
    whole.extend(members);
    Value::Object(whole)
}

/// The result of a call in MCP's shape.
fn called(result: Value) -> Value {
    match result {
        Value::Object(members) if members.get("content").is_some_and(Value::is_array) => Value::Object(members),
        Value::String(text) => json!({"content": [{"type": "text", "text": text}]}),
        Value::Null => json!({"content": []}),
        other => {
            let text = serde_json::to_string_pretty(&other).unwrap_or_else(|_| other.to_string());
            json!({"content": [{"type": "text", "text": text}], "structuredContent": other})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_dialect() {
        let bare = |jsonrpc| {
            let door = Door::new(reqwest::Client::new(), Default::default(), None, Tap::default(), 1);
            Bare::new(door, "x", jsonrpc, Tap::default())
        };
        let list = json!({"method": "list_tools", "id": 1});
        let _ = rustls::crypto::ring::default_provider().install_default();
        assert_eq!(bare(false).request(list.clone()), r#"{"method":"list_tools","id":1}"#.as_bytes());
        assert_eq!(bare(true).request(list), r#"{"jsonrpc":"2.0","method":"list_tools","id":1}"#.as_bytes());
        let call = json!({"method": "call_tool", "params": {"id": "a", "arguments": {"x": 1}}, "id": 42});
        let wanted = r#"{"method":"call_tool","params":{"id":"a","arguments":{"x":1}},"id":42}"#;
        assert_eq!(bare(false).request(call), wanted.as_bytes());
    }

    #[test]
    fn an_answer_is_found_with_and_without_a_frame() {
        let ok = |value| answer(value, 7).unwrap();
        assert_eq!(ok(json!({"result": [1], "id": 7})), Answer::Result(json!([1])));
        assert_eq!(ok(json!({"result": null, "error": null, "id": "7"})), Answer::Result(Value::Null));
        assert_eq!(ok(json!({"tools": []})), Answer::Result(json!({"tools": []})));
        assert_eq!(ok(json!([2])), Answer::Result(json!([2])));
        assert_eq!(ok(json!({"id": "user-3", "name": "Ada"})), Answer::Result(json!({"id": "user-3", "name": "Ada"})));
        assert_eq!(ok(json!({"error": "no"})), Answer::Error { code: 0, message: "no".into() });
        let error = json!({"jsonrpc": "2.0", "error": {"code": -1, "message": "why"}, "id": null});
        assert_eq!(ok(error), Answer::Error { code: -1, message: "why".into() });
        let other = answer(json!({"result": 1, "id": 8}), 7).unwrap_err();
        assert_eq!(other.reason, "its answer is for another request");
    }

    #[test]
    fn tools_are_read_in_every_spelling() {
        let schema = json!({"type": "object", "properties": {"q": {"type": "string"}}});
        let wanted = json!({"name": "find", "id": "t-1", "inputSchema": schema, "description": "Finds"});
        for spelling in ["inputSchema", "input_schema", "parameters", "schema"] {
            let list = json!([{"id": "t-1", "name": "find", "description": "Finds", spelling: schema}]);
            assert_eq!(tools(list.clone()), Some(vec![wanted.clone()]), "{spelling}");
            assert_eq!(tools(json!({"tools": list})), Some(vec![wanted.clone()]));
        }
        let empty = json!({"type": "object"});
        assert_eq!(
            tools(json!([{"name": "a"}, {"id": 4}, {"description": "nothing"}])),
            Some(vec![
                json!({"name": "a", "id": "a", "inputSchema": empty}),
                json!({"name": "4", "id": 4, "inputSchema": empty}),
                json!({"inputSchema": empty, "description": "nothing"}),
            ])
        );
        for none in [json!({"x": 1}), json!("no"), json!({"tools": 3}), Value::Null] {
            assert_eq!(tools(none), None);
        }
    }

    #[test]
    fn results_of_any_kind_have_content() {
        assert_eq!(called(json!("hi")), json!({"content": [{"type": "text", "text": "hi"}]}));
        let mcp = json!({"content": [{"type": "image"}], "isError": true});
        assert_eq!(called(mcp.clone()), mcp);
        assert_eq!(
            called(json!({"n": 1})),
            json!({"content": [{"type": "text", "text": "{\n  \"n\": 1\n}"}], "structuredContent": {"n": 1}})
        );
        assert_eq!(called(Value::Null), json!({"content": []}));
    }
}
