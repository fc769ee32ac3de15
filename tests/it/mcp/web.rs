//! A scripted web server that keeps what it was sent, byte for byte.

use std::sync::Mutex;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::*;

/// One request as it came.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub verb: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Asked {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(super) fn method(&self) -> String {
        self.json()["method"].as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

#[derive(Clone)]
pub(super) struct Web {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Web {
    /// Serves on loopback until the runtime ends.
    pub(super) async fn serve(script: impl Fn(&Asked) -> Response + Clone + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let web = Self { url: format!("http://{}", listener.local_addr().unwrap()), asked: Arc::default() };
        let asked = web.asked.clone();
        let router = axum::Router::new().fallback(move |verb, uri, headers, body| {
            let one = Asked { verb, uri, headers, body };
            asked.lock().unwrap().push(one.clone());
            let response = script(&one);
            async move { response }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        web
    }

    pub(super) fn at(&self, path: &str) -> Transport {
        Transport::Http { url: format!("{}{path}", self.url), headers: BTreeMap::new() }
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How many messages with this method came.
    pub(super) fn count(&self, method: &str) -> usize {
        self.asked().iter().filter(|asked| asked.method() == method).count()
    }

    pub(super) async fn up(&self, path: &str) -> Up {
        Up::new(Limits::default(), None, entry(self.at(path))).await
    }
}

pub(super) fn json_of(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

pub(super) fn result(asked: &Asked, result: &Value) -> Response {
    json_of(&json!({"jsonrpc": "2.0", "id": asked.json()["id"], "result": result}))
}

pub(super) fn error(asked: &Asked, status: u16, code: i64, message: &str) -> Response {
    let body = json!({"jsonrpc": "2.0", "id": asked.json()["id"], "error": {"code": code, "message": message}});
    (StatusCode::from_u16(status).unwrap(), json_of(&body)).into_response()
}

pub(super) fn status(code: u16) -> Response {
    (StatusCode::from_u16(code).unwrap(), "no").into_response()
}

/// A stream of events that ends with them, or stays open.
pub(super) fn stream(events: &[String], open: bool) -> Response {
    use futures_util::StreamExt;
    let events: Vec<Result<Bytes, std::io::Error>> =
        events.iter().map(|event| Ok(Bytes::from(event.clone()))).collect();
    let events = futures_util::stream::iter(events);
    let body =
        if open { Body::from_stream(events.chain(futures_util::stream::pending())) } else { Body::from_stream(events) };
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

/// What a server of 2026-07-28 answers to everything.
pub(super) fn modern(asked: &Asked) -> Response {
    match asked.method().as_str() {
        "server/discover" => result(
            asked,
            &json!({"resultType": "complete", "ttlMs": 0, "cacheScope": "private", "supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {}}, "instructions": "Be brief."}),
        ),
        "tools/list" => result(
            asked,
            &json!({"resultType": "complete", "ttlMs": 0, "cacheScope": "private",
                "tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}),
        ),
        "tools/call" => {
            result(asked, &json!({"resultType": "complete", "content": [{"type": "text", "text": "done"}]}))
        }
        _ => StatusCode::ACCEPTED.into_response(),
    }
}

/// What a server of 2025-06-18 answers; it has not heard of anything newer.
pub(super) fn legacy(asked: &Asked) -> Response {
    match asked.method().as_str() {
        "initialize" => result(
            asked,
            &json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "f", "version": "1"}}),
        ),
        "tools/list" => result(asked, &json!({"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]})),
        "tools/call" => result(asked, &json!({"content": [{"type": "text", "text": "done"}]})),
        "" => status(405),
        method if method.starts_with("notifications/") => StatusCode::ACCEPTED.into_response(),
        _ => error(asked, 200, -32601, "Method not found"),
    }
}
