//! Streamable HTTP: what the SDK's transport sends and reads, with the tap between them.
//!
//! The SDK keeps the session, its streams and their resumption; every request and every answer passes here, is measured
//! here, and is told to the [`Tap`] before the SDK decodes it.
//!
//! # Invariants
//! - A request leaves once. What is resumed (2025-11-25 and before) is a stream, by `Last-Event-ID`, never a request.
//! - An answer belongs to the request it came for: another id in a JSON answer is a fault, no id is this one's.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use reqwest::Response;
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, JsonRpcMessage, RequestId};
use rmcp::transport::common::client_side_sse::BoxedSseResponse;
use rmcp::transport::streamable_http_client::{
    AuthRequiredError, SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
};
use serde_json::{Value, json};

use crate::chat::{Direction, read_json};
use crate::mcp::tap::{Reply, Seen, Tap, Waiter};

use super::door::{Door, HttpFault, Shut, is_type, retry_after};
use super::events::events;
use super::params::Params;

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
const BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// From this version on a broken stream is not resumed.
const WITHOUT_RESUMPTION: &str = "2026-07-28";
/// What a server may say about when to come again.
const RETRY: std::ops::RangeInclusive<u64> = 100..=60_000;

#[derive(Clone, Debug)]
pub(super) struct Client {
    pub door: Door,
    pub tap: Tap,
    pub params: Params,
}

pub(in crate::mcp) type HttpError = StreamableHttpError<HttpFault>;

/// The event type of the SDK's own parser, which it does not name.
type Event = <<BoxedSseResponse as Stream>::Item as Good>::Good;

trait Good {
    type Good;
}

impl<T, E> Good for Result<T, E> {
    type Good = T;
}

impl Client {
    async fn post(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, HttpError> {
        let waiter = self.tap.outgoing(&message);
        if let Some(waiter) = &waiter
            && !waiter.leave()
        {
            return Err(StreamableHttpError::TransportChannelClosed);
        }
        let body = Bytes::from(serde_json::to_vec(&message)?);
        let resumes = headers.get(&VERSION).is_none_or(|version| version.as_bytes() < WITHOUT_RESUMPTION.as_bytes());
        let in_session = session.is_some();
        let mut headers = with_session(headers, session)?;
        if let Some((tool, arguments)) = called(&message) {
            headers.extend(self.params.headers(tool, arguments));
        }
        headers.insert(header::ACCEPT, BOTH);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
        let make = |client: &reqwest::Client| client.post(&*uri).headers(headers.clone()).body(body.clone());
        let leaving = || {
            self.tap.frame(Direction::Out, waiter.as_ref().and_then(Waiter::call), &body);
            if let Some(waiter) = &waiter {
                waiter.sent();
            }
        };
        let response = self.door.send(make, leaving).await.map_err(shut)?;
        let request = match &message {
            JsonRpcMessage::Request(request) => Some(request.id.clone()),
            JsonRpcMessage::Response(_) | JsonRpcMessage::Notification(_) | JsonRpcMessage::Error(_) => None,
        };
        self.answer(response, request, waiter, in_session, resumes).await
    }

    async fn answer(
        &self,
        response: Response,
        request: Option<RequestId>,
        waiter: Option<Waiter>,
        in_session: bool,
        resumes: bool,
    ) -> Result<StreamableHttpPostResponse, HttpError> {
        let status = response.status();
        if matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        if status == StatusCode::NOT_FOUND && in_session {
            self.door.overheard(response).await;
            return Err(StreamableHttpError::SessionExpired);
        }
        let headers = response.headers().clone();
        let pause = retry_after(&headers);
        if !status.is_success() {
            let fault = HttpFault::Status { status: status.as_u16(), pause };
            // An error in the protocol's own terms says more than its status, unless that says when to come again.
            if pause.is_some() || status == StatusCode::TOO_MANY_REQUESTS || !is_type(&headers, JSON) {
                self.door.overheard(response).await;
                return Err(StreamableHttpError::Client(fault));
            }
            let body = self.door.body(response).await.map_err(StreamableHttpError::Client)?;
            self.tap.frame(Direction::In, None, &body);
            return match read_json(&body) {
                Ok(Value::Object(message)) if message.contains_key("error") => {
                    self.reply(message.into(), request, None).map_err(|_| StreamableHttpError::Client(fault))
                }
                Ok(_) | Err(_) => Err(StreamableHttpError::Client(fault)),
            };
        }
        let session = headers.get(&SESSION).and_then(|id| id.to_str().ok()).map(str::to_owned);
        if is_type(&headers, EVENTS) {
            let stream = self.tapped(self.heard(response), request, waiter, resumes);
            return Ok(StreamableHttpPostResponse::Sse(stream, session));
        }
        if request.is_none() {
            // Nothing is awaited; whatever else it says is let go.
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        if !is_type(&headers, JSON) {
            let kind = headers.get(header::CONTENT_TYPE).map(|kind| String::from_utf8_lossy(kind.as_bytes()).into());
            self.door.overheard(response).await;
            return Err(StreamableHttpError::UnexpectedContentType(kind));
        }
        let body = self.door.body(response).await.map_err(StreamableHttpError::Client)?;
        self.tap.frame(Direction::In, None, &body);
        match read_json(&body)? {
            // A batch, as the version of 2025-03-26 allows.
            Value::Array(messages) => {
                let batch: Vec<_> = messages
                    .into_iter()
                    .map(|message| Ok(sse_stream::Sse::default().data(message.to_string())))
                    .collect();
                Ok(StreamableHttpPostResponse::Sse(self.tapped(stream::iter(batch), request, waiter, false), session))
            }
            message => self.reply(message, request, session),
        }
    }

    /// A JSON answer to `request`. One without an id is this one's: some servers cannot read ids, or refuse before
    /// they do.
    fn reply(
        &self,
        mut message: Value,
        request: Option<RequestId>,
        session: Option<String>,
    ) -> Result<StreamableHttpPostResponse, HttpError> {
        own(&mut message, request.as_ref());
        let not_mcp = |what: &str| StreamableHttpError::Client(HttpFault::NotMcp(what.to_owned()));
        if message.get("method").is_some() {
            return Err(not_mcp("a request where an answer should be"));
        }
        if let Some(request) = &request
            && !message.get("id").is_some_and(|id| same(id, request))
        {
            return Err(not_mcp("it answers another request"));
        }
        let seen = self.tap.incoming(&mut message);
        let message = match seen {
            Seen::Answered(id) => serde_json::from_value(answered(&id)),
            Seen::Consumed | Seen::Other => serde_json::from_value(message),
        };
        Ok(StreamableHttpPostResponse::Json(message.map_err(|_| not_mcp("neither result nor error"))?, session))
    }

    /// The events of a stream, each heard as the server wrote it.
    fn heard(&self, response: Response) -> impl Stream<Item = Result<sse_stream::Sse, HttpFault>> + Send + use<> {
        let tap = self.tap.clone();
        events(response, self.door.most).inspect(move |event| {
            if let Some(data) = event.as_ref().ok().and_then(message_of).filter(|data| !data.is_empty()) {
                tap.frame(Direction::In, None, data.as_bytes());
            }
        })
    }

    /// Lets the tap see each message of a stream first. `request` is the one it answers.
    fn tapped(
        &self,
        events: impl Stream<Item = Result<sse_stream::Sse, HttpFault>> + Send + 'static,
        request: Option<RequestId>,
        waiter: Option<Waiter>,
        resumes: bool,
    ) -> BoxedSseResponse {
        let tap = self.tap.clone();
        let mut resumable = false;
        events
            .flat_map(move |event| {
                let out: Vec<Result<Event, SseError>> = match event {
                    Ok(event) => {
                        resumable |= resumes && event.id.is_some();
                        seen(event, &tap, request.as_ref(), resumes)
                    }
                    Err(fault) => {
                        // What is not resumed has its end here, with the reason; what cannot get better is not resumed.
                        let hopeless = matches!(fault, HttpFault::TooLarge { .. } | HttpFault::Stream(_));
                        if let Some(waiter) = &waiter
                            && (hopeless || !resumable)
                        {
                            waiter.answer(Reply::Gone(fault.to_string()));
                        }
                        vec![Err(SseError::Body(Box::new(fault)))]
                    }
                };
                stream::iter(out)
            })
            .boxed()
    }
}

/// The data of an event that carries messages.
fn message_of(event: &sse_stream::Sse) -> Option<&str> {
    event.data.as_deref().filter(|_| matches!(event.event.as_deref(), None | Some("" | "message")))
}

/// What the SDK is to see of an event: its messages one by one, those that somebody waits for as a mere nod.
fn seen(event: sse_stream::Sse, tap: &Tap, request: Option<&RequestId>, resumes: bool) -> Vec<Result<Event, SseError>> {
    let retry = event.retry.map(|pause| pause.clamp(*RETRY.start(), *RETRY.end()));
    let messages = match message_of(&event).map(|data| read_json(data.as_bytes())) {
        Some(Ok(Value::Array(messages))) => messages,
        Some(Ok(message)) => vec![message],
        Some(Err(error)) => {
            tracing::debug!(%error, "an event that is not JSON");
            Vec::new()
        }
        None => Vec::new(),
    };
    let mut out = vec![Event { event: None, data: None, id: event.id.filter(|_| resumes), retry }];
    for mut message in messages {
        if message.get("method").is_none() {
            own(&mut message, request);
        }
        let data = match tap.incoming(&mut message) {
            Seen::Answered(id) => answered(&id).to_string(),
            Seen::Other => message.to_string(),
            Seen::Consumed => continue,
        };
        out.push(Event { data: Some(data), ..Event::default() });
    }
    out.into_iter().map(Ok).collect()
}

/// Gives an answer without an id the id of the request it came for.
fn own(message: &mut Value, request: Option<&RequestId>) {
    if let (Value::Object(message), Some(request)) = (message, request)
        && message.get("id").is_none_or(Value::is_null)
    {
        message.insert("id".to_owned(), json!(request));
    }
}

/// Whether an answer's id is this request's. Some servers answer the number 7 with the string "7".
fn same(id: &Value, request: &RequestId) -> bool {
    *id == json!(request) || id.as_str().is_some_and(|id| id == request.to_string())
}

fn answered(id: &RequestId) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": {}})
}

fn called(message: &ClientJsonRpcMessage) -> Option<(&str, &serde_json::Map<String, Value>)> {
    let JsonRpcMessage::Request(request) = message else { return None };
    let ClientRequest::CallToolRequest(call) = &request.request else { return None };
    Some((&call.params.name, call.params.arguments.as_ref()?))
}

fn with_session(headers: HashMap<HeaderName, HeaderValue>, session: Option<Arc<str>>) -> Result<HeaderMap, HttpError> {
    let mut headers: HeaderMap = headers.into_iter().collect();
    if let Some(session) = session {
        let value = HeaderValue::try_from(&*session)
            .map_err(|_| StreamableHttpError::Client(HttpFault::NotMcp("its session id is not valid".to_owned())))?;
        headers.insert(SESSION, value);
    }
    Ok(headers)
}

pub(super) fn shut(shut: Shut) -> HttpError {
    match shut {
        Shut::Refused(refusal) => {
            StreamableHttpError::AuthRequired(AuthRequiredError::new(refusal.challenge.unwrap_or_default()))
        }
        Shut::Fault(fault) => StreamableHttpError::Client(fault),
    }
}

impl StreamableHttpClient for Client {
    type Error = HttpFault;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        _: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, HttpError> {
        self.post(uri, message, session, headers).await
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session: Arc<str>,
        _: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), HttpError> {
        let headers = with_session(headers, Some(session))?;
        let make = |client: &reqwest::Client| client.delete(&*uri).headers(headers.clone());
        // Whatever it answers, the session is no longer ours.
        self.door.send(make, || {}).await.map(drop).map_err(shut)
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        _: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxedSseResponse, HttpError> {
        let mut headers = with_session(headers, session)?;
        if let Some(last) = last_event.and_then(|id| HeaderValue::try_from(id).ok()) {
            headers.insert(HeaderName::from_static("last-event-id"), last);
        }
        headers.insert(header::ACCEPT, BOTH);
        let make = |client: &reqwest::Client| client.get(&*uri).headers(headers.clone());
        let response = self.door.send(make, || {}).await.map_err(shut)?;
        match response.status() {
            StatusCode::METHOD_NOT_ALLOWED => Err(StreamableHttpError::ServerDoesNotSupportSse),
            status if !status.is_success() => {
                let pause = retry_after(response.headers());
                self.door.overheard(response).await;
                Err(StreamableHttpError::Client(HttpFault::Status { status: status.as_u16(), pause }))
            }
            _ if is_type(response.headers(), EVENTS) => Ok(self.tapped(self.heard(response), None, None, true)),
            _ => {
                self.door.overheard(response).await;
                Err(StreamableHttpError::ServerDoesNotSupportSse)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_known_by_its_id_in_either_form() {
        let request = RequestId::Number(7);
        assert!(same(&json!(7), &request) && same(&json!("7"), &request));
        assert!(!same(&json!(8), &request) && !same(&Value::Null, &request));
        let mut error = json!({"error": {"code": 1, "message": "x"}, "id": null});
        own(&mut error, Some(&request));
        assert_eq!(error["id"], 7);
    }

    #[test]
    fn the_ids_of_events_are_kept_only_where_streams_are_resumed() {
        let event = || sse_stream::Sse { id: Some("4".into()), retry: Some(0), ..sse_stream::Sse::default() };
        let head = |resumes| seen(event(), &Tap::default(), None, resumes).remove(0).unwrap();
        assert_eq!((head(true).id.as_deref(), head(true).retry), (Some("4"), Some(100)));
        assert_eq!(head(false).id, None);
    }

    #[test]
    fn a_batch_in_one_event_is_its_messages() {
        let batch = json!([{"method": "notifications/x"}, {"id": 3, "result": {"n": 1}}]).to_string();
        let events = seen(sse_stream::Sse::default().data(batch), &Tap::default(), None, true);
        let data: Vec<_> = events.into_iter().filter_map(|event| event.unwrap().data).collect();
        assert_eq!(data, [r#"{"method":"notifications/x"}"#, r#"{"id":3,"result":{"n":1}}"#]);
    }
}
