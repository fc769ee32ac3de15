//! The task of one response: send, judge the reply, then bytes to events under every limit.
//!
//! Time is kept in three clocks, all of which stand while the reader does not read: the first byte has its own limit;
//! after it any byte proves the connection alive, and only a data event proves progress, since a proxy's keep-alive
//! comments can hide a stalled model for as long as they are sent (seen with DeepSeek).

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::StatusCode;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::chat::{Delta, Fault, FaultKind, Limits, Retry};
use crate::wire::{self, Decoder};

use super::failure::{Failure, header, page, quote, root, seconds};
use super::models::{is_page, read_body};
use super::sse::{SseError, SseReader};
use super::{Endpoint, Event, Http};

/// How much of a refusal is read.
const REFUSAL: usize = 64 << 10;
/// How long a refusal's body may take; its status is worth telling without it.
const REFUSAL_TIME: Duration = Duration::from_secs(10);
/// After `[DONE]` the rest of the body is read for this long, so that the connection can be used again.
const DRAIN: Duration = Duration::from_secs(1);
const FAR: Duration = Duration::from_secs(86_400 * 365);

/// The reader of the events is gone: nobody is left to tell.
pub(super) struct Gone;

pub(super) async fn run(http: Http, endpoint: Endpoint, body: Bytes, limits: Arc<Limits>, out: mpsc::Sender<Event>) {
    let mut pump = Pump::new(&endpoint, &limits, out);
    let result = match open(&http, &endpoint, body, &mut pump).await {
        Ok(response) => {
            let kind = header(response.headers(), CONTENT_TYPE.as_str()).unwrap_or_default().to_owned();
            pump.status = response.status();
            pump.run(response.bytes_stream(), &kind).await
        }
        Err(stop) => Err(stop),
    };
    // Without a reader there is nobody to tell.
    let _ = match result {
        Ok(()) | Err(Stop::Gone) => Ok(()),
        Err(Stop::Failed(failure)) => pump.out.send(Event::Failed(failure)).await,
    };
}

enum Stop {
    Failed(Box<Failure>),
    Gone,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failed(Box::new(failure))
    }
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Self {
        Stop::Gone
    }
}

/// Sends the request and gives back a response with a 2xx status.
async fn open(http: &Http, endpoint: &Endpoint, body: Bytes, pump: &mut Pump<'_>) -> Result<reqwest::Response, Stop> {
    let never = |fault| Failure::new(fault, false);
    let client = http.ready().await.map_err(never)?;
    let request = client
        .post(endpoint.response_url())
        .headers(endpoint.request_headers().map_err(never)?)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "text/event-stream, application/json;q=0.9")
        // Compressed event streams are held back until a block is full.
        .header(ACCEPT_ENCODING, "identity")
        .body(body);
    let response = pump.first(request.send()).await?.map_err(|error| Failure::unsent(http, endpoint, &error))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let headers = response.headers().clone();
    let read = timeout(REFUSAL_TIME, read_body(response, REFUSAL));
    let body = tokio::select! {
        () = pump.out.closed() => return Err(Stop::Gone),
        read = read => read.map(|(body, _)| body).unwrap_or_default(),
    };
    let kind = header(&headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    let wire = wire::error_reply(status.as_u16(), kind, &body);
    Err(Failure::refused(endpoint, status, &headers, wire, is_page(kind, &body)).into())
}

/// What the body turned out to be.
enum Form {
    /// Not known: so far only blanks.
    Unknown(Vec<u8>),
    Sse(SseReader),
    /// One JSON document where a stream was asked for: an answer, or an error.
    Json(Vec<u8>),
    Page,
}

struct Pump<'a> {
    endpoint: &'a Endpoint,
    limits: &'a Limits,
    out: mpsc::Sender<Event>,
    decoder: Decoder,
    status: StatusCode,
    began: Instant,
    /// When the last byte came; None before the first.
    byte: Option<Instant>,
    /// When the last data event came, from the first byte on.
    event: Instant,
    warned: bool,
    bytes: u64,
    data: bool,
    /// A finish reason came: the answer is whole even if the connection then breaks.
    finished: bool,
    done: bool,
    /// The beginning of the body, for the message where it is nothing we know.
    beginning: Vec<u8>,
}

impl<'a> Pump<'a> {
    fn new(endpoint: &'a Endpoint, limits: &'a Limits, out: mpsc::Sender<Event>) -> Self {
        let now = Instant::now();
        Self {
            endpoint,
            limits,
            out,
            decoder: Decoder::new(endpoint.api),
            status: StatusCode::OK,
            began: now,
            byte: None,
            event: now,
            warned: false,
            bytes: 0,
            data: false,
            finished: false,
            done: false,
            beginning: Vec::new(),
        }
    }

    /// Waits for the headers under the limit for the first byte.
    async fn first<T>(&mut self, reply: impl Future<Output = T>) -> Result<T, Stop> {
        let mut reply = pin!(reply);
        loop {
            let until = self.deadline();
            tokio::select! {
                biased;
                reply = &mut reply => return Ok(reply),
                () = self.out.closed() => return Err(Stop::Gone),
                () = sleep_until(until) => self.late().await?,
            }
        }
    }

    async fn whole(&mut self) -> Result<(), Stop> {
        Ok(self.emit(Event::Ended { at: Instant::now().into_std() }).await?)
    }

    /// Reads the body to its end and says so.
    async fn run<E: std::error::Error>(
        &mut self,
        body: impl Stream<Item = Result<Bytes, E>>,
        content_type: &str,
    ) -> Result<(), Stop> {
        let mut body = pin!(body);
        let mut form = Form::Unknown(Vec::new());
        let mut sleep = pin!(sleep_until(self.deadline()));
        let out = self.out.clone();
        loop {
            let chunk = tokio::select! {
                biased;
                chunk = body.next() => chunk,
                () = out.closed() => return Err(Stop::Gone),
                () = &mut sleep => {
                    // Set anew only here: arriving bytes merely move the deadline.
                    if Instant::now() >= self.deadline() {
                        self.late().await?;
                    }
                    sleep.as_mut().reset(self.deadline());
                    continue;
                }
            };
            match chunk {
                None => {
                    self.end(form).await?;
                    return self.whole().await;
                }
                Some(Ok(chunk)) if chunk.is_empty() => {}
                Some(Ok(chunk)) => {
                    let first = self.byte.is_none();
                    self.chunk(&mut form, &chunk, content_type).await?;
                    if first {
                        sleep.as_mut().reset(self.deadline());
                    }
                }
                Some(Err(_)) if self.finished => return self.whole().await,
                Some(Err(error)) => return Err(self.broken(&error)),
            }
            if self.done {
                // Whoever reads the events has its end at once; the rest is for the connection's sake.
                self.whole().await?;
                let _ = timeout(DRAIN, async { while let Some(Ok(_)) = body.next().await {} }).await;
                return Ok(());
            }
        }
    }

    async fn chunk(&mut self, form: &mut Form, chunk: &Bytes, content_type: &str) -> Result<(), Stop> {
        let now = Instant::now();
        if self.byte.replace(now).is_none() {
            self.event = now;
            self.emit(Event::FirstByte { at: now.into_std() }).await?;
        }
        self.bytes = self.bytes.saturating_add(chunk.len() as u64);
        if self.bytes > self.limits.body {
            return Err(self.too_much("body", "The answer", self.limits.body));
        }
        let room = 400_usize.saturating_sub(self.beginning.len()).min(chunk.len());
        self.beginning.extend_from_slice(chunk.get(..room).unwrap_or_default());
        match form {
            Form::Sse(reader) => {
                let read = reader.push(chunk);
                self.read(read).await
            }
            Form::Page => Ok(()),
            Form::Json(body) => {
                body.extend_from_slice(chunk);
                if body.len() as u64 > self.limits.event {
                    return Err(self.too_much("event", "The answer, one JSON document,", self.limits.event));
                }
                Ok(())
            }
            Form::Unknown(before) => {
                before.extend_from_slice(chunk);
                let Some(first) = first_sign(before) else {
                    // Blank lines keep a connection alive (DeepSeek); there may be many.
                    if before.len() > 3 {
                        before.clear();
                    }
                    return Ok(());
                };
                let before = std::mem::take(before);
                match first {
                    b'{' | b'[' => *form = Form::Json(before),
                    b'<' => *form = Form::Page,
                    _ if content_type.to_ascii_lowercase().contains("text/html") => *form = Form::Page,
                    _ => {
                        let mut reader = SseReader::new(self.limits);
                        let read = reader.push(&before);
                        *form = Form::Sse(reader);
                        return self.read(read).await;
                    }
                }
                Ok(())
            }
        }
    }

    /// Decodes and hands on the data of some events.
    async fn read(&mut self, read: Result<Vec<String>, SseError>) -> Result<(), Stop> {
        let at = Instant::now();
        for data in read.map_err(|error| self.unreadable(&error))? {
            if self.done {
                break;
            }
            self.data(&data, at).await?;
        }
        Ok(())
    }

    async fn data(&mut self, data: &str, at: Instant) -> Result<(), Stop> {
        let event = self.decoder.event(data);
        self.data = true;
        self.event = at;
        for delta in &event.deltas {
            match delta {
                Delta::Finish { .. } => self.finished = true,
                Delta::Done => self.done = true,
                Delta::Text(_)
                | Delta::Reasoning(_)
                | Delta::Refusal(_)
                | Delta::Call(_)
                | Delta::Extra(_)
                | Delta::Usage(_)
                | Delta::Error(_) => {}
            }
        }
        Ok(self.emit(Event::Deltas { at: at.into_std(), event }).await?)
    }

    /// The body has ended.
    async fn end(&mut self, form: Form) -> Result<(), Stop> {
        match form {
            Form::Unknown(_) => Err(self.empty()),
            Form::Page => Err(Failure::new(page(self.endpoint, self.status), false).with_status(self.status).into()),
            Form::Json(body) => {
                let text = String::from_utf8_lossy(&body);
                self.data(text.trim_start_matches('\u{feff}').trim(), Instant::now()).await
            }
            Form::Sse(mut reader) => {
                let rest = reader.finish();
                self.read(rest).await?;
                if self.data { Ok(()) } else { Err(self.nothing()) }
            }
        }
    }

    async fn emit(&mut self, event: Event) -> Result<(), Gone> {
        match self.out.try_send(event) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Gone),
            Err(mpsc::error::TrySendError::Full(event)) => {
                let from = Instant::now();
                self.out.send(event).await.map_err(|_| Gone)?;
                let stood = from.elapsed();
                self.byte = self.byte.map(|at| at + stood);
                self.event += stood;
                Ok(())
            }
        }
    }

    /// When something is late if nothing comes.
    fn deadline(&self) -> Instant {
        let after = |at: Instant, limit: Duration| at.checked_add(limit.min(FAR)).unwrap_or(at);
        match self.byte {
            None => {
                let fail = after(self.began, self.limits.first_byte);
                if self.warned { fail } else { fail.min(after(self.began, self.limits.first_byte_warning)) }
            }
            Some(byte) => after(byte, self.limits.any_byte).min(after(self.event, self.limits.data_event)),
        }
    }

    /// The deadline has passed: a warning, or the end.
    async fn late(&mut self) -> Result<(), Stop> {
        let host = self.endpoint.host();
        let limits = self.limits;
        let hint = "Raise it under [limits] if this endpoint is that slow, or try again.";
        let Some(byte) = self.byte else {
            let waited = self.began.elapsed();
            if waited < limits.first_byte {
                self.warned = true;
                return Ok(self.emit(Event::Slow { waited }).await?);
            }
            // Not by itself again: a local model would only begin anew to read the prompt.
            let message = format!("{host} sent nothing for {}", seconds(limits.first_byte));
            return Err(Failure::limit("first_byte", message, hint, false).into());
        };
        let failure = if byte.elapsed() >= limits.any_byte {
            let message = format!("{host} fell silent for {}", seconds(limits.any_byte));
            Failure::limit("any_byte", message, hint, true)
        } else {
            let message = format!("{host} made no progress for {}: only keep-alives came", seconds(limits.data_event));
            Failure::limit("data_event", message, hint, true)
        };
        Err(failure.with_status(self.status).with_data(self.data).into())
    }

    fn too_much(&self, key: &str, what: &str, limit: u64) -> Stop {
        let message = format!("{what} of {} is larger than {}", self.endpoint.host(), size(limit));
        let hint = "What came before is kept. Raise the limit under [limits] if this is right.";
        let mut failure = Failure::limit(key, message, hint, false).with_status(self.status).with_data(self.data);
        failure.fault.retry = Retry::AfterChange;
        failure.into()
    }

    /// The reader of events gave up: a line or an event is larger than it may be.
    fn unreadable(&self, error: &SseError) -> Stop {
        match error {
            SseError::Line(limit) => self.too_much("line", "A line of the answer", *limit),
        }
    }

    fn broken(&self, error: &dyn std::error::Error) -> Stop {
        let message = format!("The stream from {} broke: {}.", self.endpoint.host(), root(error));
        self.cut(message)
    }

    fn empty(&self) -> Stop {
        self.cut(format!("{} answered with nothing ({}).", self.endpoint.host(), self.status.as_u16()))
    }

    fn cut(&self, message: String) -> Stop {
        let fault = Fault::new(FaultKind::Truncated, message).hint("Continue, or ask again.").retry(Retry::Later(None));
        Failure::new(fault, true).with_status(self.status).with_data(self.data).into()
    }

    /// Bytes came and ended, and not one event was in them.
    fn nothing(&self) -> Stop {
        let text = String::from_utf8_lossy(&self.beginning);
        if text.trim_start_matches('\u{feff}').trim_start().starts_with(':') {
            return self.cut(format!("{} sent keep-alives and no answer.", self.endpoint.host()));
        }
        let said = quote(&text);
        let fault = Fault::new(
            FaultKind::Protocol,
            format!("{} answered with something that is no event stream: {said}", self.endpoint.host()),
        )
        .hint("Check the base URL; it goes up to and with /v1.")
        .retry(Retry::AfterChange);
        Failure::new(fault, false).with_status(self.status).into()
    }
}

/// The first byte that tells what a body is: after a BOM and blanks.
fn first_sign(body: &[u8]) -> Option<u8> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if body.len() < 3 && b"\xef\xbb\xbf".starts_with(body) {
        return None;
    }
    body.iter().copied().find(|b| !b.is_ascii_whitespace())
}

/// `16 MiB`, `64 KiB`.
fn size(bytes: u64) -> impl fmt::Display {
    match bytes {
        b if b >= 1 << 20 && b % (1 << 20) == 0 => format!("{} MiB", b >> 20),
        b if b >= 1 << 10 && b % (1 << 10) == 0 => format!("{} KiB", b >> 10),
        b => format!("{b} bytes"),
    }
}
