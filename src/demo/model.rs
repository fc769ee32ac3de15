//! The scripted model's HTTP server: Chat Completions over SSE on a loopback port of its own, as OpenAI speaks it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::DemoError;
use super::facts::{Asked, Facts};
use super::fill::fill;
use super::script::{MODEL, Script};
use super::stream::{Chunk, Head, chunks};

/// The longest request it takes, in bytes.
const REQUEST: usize = 64 * 1024 * 1024;
/// What it says that it can remember, in tokens.
const CONTEXT: u64 = 32_768;

/// A serving model. Dropping it closes its port and ends its thread, whatever it was saying.
#[derive(Debug)]
pub(super) struct Serving {
    address: SocketAddr,
    /// Dropped first: that is the sign to end.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// Listens on a free port of 127.0.0.1, on a thread and a runtime of its own: whoever asks may block.
    ///
    /// # Errors
    /// Where there is no port or no thread, or the script cannot be read.
    pub(super) fn start(pace: f64) -> Result<Self, DemoError> {
        let script = Script::load()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(DemoError::Model)?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(DemoError::Model)?;
        listener.set_nonblocking(true).map_err(DemoError::Model)?;
        let address = listener.local_addr().map_err(DemoError::Model)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let router = router(Arc::new(Stage { script, pace }));
        let serve = move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                tokio::select! {
                    _ = axum::serve(listener, router) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("demo-model".into()).spawn(serve).map_err(DemoError::Model)?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    pub(super) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // It waits for nothing but its own tasks, which end with its runtime.
            let _ = thread.join();
        }
    }
}

struct Stage {
    script: Script,
    pace: f64,
}

fn router(stage: Arc<Stage>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(complete))
        .route("/v1/models", get(models))
        .fallback(nowhere)
        .layer(DefaultBodyLimit::max(REQUEST))
        .with_state(stage)
}

async fn models() -> Json<Value> {
    let model = json!({
        "id": MODEL, "object": "model", "created": 0, "owned_by": "millrace", "context_length": CONTEXT,
    });
    Json(json!({"object": "list", "data": [model]}))
}

async fn nowhere() -> Response {
    let message = "There is nothing here: this model has /v1/models and /v1/chat/completions.";
    refusal(StatusCode::NOT_FOUND, message, None)
}

/// An error in the form that OpenAI gives it.
fn refusal(status: StatusCode, message: &str, param: Option<&str>) -> Response {
    let error = json!({"message": message, "type": "invalid_request_error", "param": param, "code": null});
    (status, Json(json!({"error": error}))).into_response()
}

async fn complete(State(stage): State<Arc<Stage>>, body: Bytes) -> Response {
    let asked: Asked = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => {
            let message = format!("We could not parse the body of your request: {error}.");
            return refusal(StatusCode::BAD_REQUEST, &message, None);
        }
    };
    if let Some((param, message)) = asked.problem() {
        return refusal(StatusCode::BAD_REQUEST, &message, Some(param));
    }
    let facts = Facts::of(&asked, &stage.script.unsent);
    let Some(reply) = stage.script.reply(&facts) else {
        return refusal(StatusCode::INTERNAL_SERVER_ERROR, "The script has nothing to say to that.", None);
    };
    let said = fill(&reply.lines, reply.story, &facts);
    let head = Head {
        id: format!("chatcmpl-{}", uuid::Uuid::new_v4().simple()),
        model: asked.model.clone().unwrap_or_else(|| MODEL.to_owned()),
        created: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        usage: asked.wants_usage(),
        request_bytes: body.len(),
    };
    let chunks = chunks(&said, &head, || format!("call_{:.24}", uuid::Uuid::new_v4().simple().to_string()));
    let headers = [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (headers, Body::from_stream(paced(chunks, stage.pace))).into_response()
}

/// The events at their moments, counted from the beginning, so that late timers do not add up.
fn paced(chunks: Vec<Chunk>, pace: f64) -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> {
    let state = (chunks.into_iter(), Instant::now());
    futures_util::stream::unfold(state, move |(mut chunks, due)| async move {
        let chunk = chunks.next()?;
        let due = due + chunk.after.mul_f64(pace);
        tokio::time::sleep_until(due).await;
        Some((Ok(Bytes::from(format!("data: {}\n\n", chunk.data))), (chunks, due)))
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;

    fn exchange(serving: &Serving, request: &str) -> String {
        let mut stream = TcpStream::connect(serving.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn post(serving: &Serving, body: &str) -> String {
        let length = body.len();
        let head =
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json";
        exchange(serving, &format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}"))
    }

    #[test]
    fn it_lists_itself_and_refuses_in_the_form_of_its_kind() {
        let serving = Serving::start(0.0).unwrap();
        let get =
            |path: &str| exchange(&serving, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
        assert!(get("/v1/models").contains(r#""id":"millrace-demo""#));
        assert!(get("/v2").starts_with("HTTP/1.1 404"));
        for (body, says) in [
            ("{", "could not parse"),
            ("{}", "missing field `messages`"),
            (r#"{"messages":[],"stream":true}"#, "no message of a user"),
            (r#"{"messages":[{"role":"user","content":"x"}]}"#, "only streams"),
        ] {
            let answer = post(&serving, body);
            assert!(answer.starts_with("HTTP/1.1 400") && answer.contains(says), "{body}: {answer}");
            assert!(answer.contains(r#""type":"invalid_request_error""#), "{answer}");
        }
    }

    #[test]
    fn any_question_is_answered_to_the_end() {
        let serving = Serving::start(0.0).unwrap();
        for prompt in ["hello", "what can you do?", "weather in Ayr", "deploy", "ünïcödé \u{202e}", ""] {
            let request = json!({"stream": true, "messages": [{"role": "user", "content": prompt}]});
            let answer = post(&serving, &request.to_string());
            assert!(answer.contains("text/event-stream") && answer.contains("\"finish_reason\":\"stop\""), "{prompt}");
            assert!(answer.contains("data: [DONE]\n\n"), "{prompt}");
        }
    }
}
