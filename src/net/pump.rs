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
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::chat::{Delta, Fault, FaultKind, Limits, ResponseOver, Retry};
use crate::wire::Decoder;

use super::failure::{Failure, header, page, quote, root, seconds};
use super::models::read_body;
use super::played::{Halt, PlayedHead, Playing};
use super::sse::{SseError, SseReader};
use super::tape::Tape;
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
    let mut tape = http.tape();
    tape.request(&endpoint, &body);
    let result = match http.player() {
        Some(player) => {
            let limits = waiting(&limits);
            let mut pump = Pump::new(&endpoint, &limits, out.clone(), &mut tape);
            play(player.answer(body), &endpoint, &mut pump).await
        }
        None => {
            let mut pump = Pump::new(&endpoint, &limits, out.clone(), &mut tape);
            match open(&http, &endpoint, body, &mut pump).await {
                Ok(response) => {
                    let kind = header(response.headers(), CONTENT_TYPE.as_str()).map(str::to_owned);
                    pump.status = response.status();
                    pump.run(response.bytes_stream(), kind.as_deref()).await
                }
                Err(stop) => Err(stop),
            }
        }
    };
    match &result {
        Ok(()) => tape.over(|| ResponseOver::Whole),
        Err(Stop::Gone) => tape.over(|| ResponseOver::Dropped),
        Err(Stop::Failed(_)) => tape.over(|| ResponseOver::Left),
    }
    // Without a reader there is nobody to tell.
    let _ = match result {
        Ok(()) | Err(Stop::Gone) => Ok(()),
        Err(Stop::Failed(failure)) => out.send(Event::Failed(failure)).await,
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

/// A recorded response is as slow as it was, or as a person reads: no time of ours counts.
fn waiting(limits: &Limits) -> Limits {
    Limits { first_byte: FAR, any_byte: FAR, data_event: FAR, ..limits.clone() }
}

/// As a response of the network, from its status on.
async fn play(playing: Playing, endpoint: &Endpoint, pump: &mut Pump<'_>) -> Result<(), Stop> {
    let Playing { head, mut body } = playing;
    let PlayedHead { status, headers } = match pump.first(head).await? {
        Ok(head) => head,
        Err(halt) => return Err(pump.broken(&halt)),
    };
    let mut map = HeaderMap::new();
    for (name, value) in &headers {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            map.insert(name, value);
        }
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    pump.tape.head(status.as_u16(), &map);
    if status.is_success() {
        pump.status = status;
        return pump.run(body, header(&map, CONTENT_TYPE.as_str())).await;
    }
    let mut refusal = Vec::new();
    while let Some(Ok(chunk)) = body.next().await {
        pump.tape.chunk(&chunk);
        refusal.extend_from_slice(&chunk[..chunk.len().min(REFUSAL.saturating_sub(refusal.len()))]);
    }
    pump.tape.over(|| ResponseOver::Whole);
    Err(Failure::refused(endpoint, status, &map, &refusal).into())
}

/// Sends the request and gives back a response with a 2xx status.
async fn open(http: &Http, endpoint: &Endpoint, body: Bytes, pump: &mut Pump<'_>) -> Result<reqwest::Response, Stop> {
    let never = |fault| Failure::new(fault, false);
    let client = http.ready().await.map_err(never).inspect_err(|failure| pump.tape.failed(failure))?;
    let request = client
        .post(endpoint.response_url())
        .headers(endpoint.request_headers().map_err(never).inspect_err(|failure| pump.tape.failed(failure))?)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "text/event-stream, application/json;q=0.9")
        // Compressed event streams are held back until a block is full.
        .header(ACCEPT_ENCODING, "identity")
        .body(body);
    let response = pump
        .first(request.send())
        .await?
        .map_err(|error| Failure::unsent(http, endpoint, &error))
        .inspect_err(|failure| pump.tape.failed(failure))?;
    let status = response.status();
    pump.tape.head(status.as_u16(), response.headers());
    if status.is_success() {
        return Ok(response);
    }
    let headers = response.headers().clone();
    let read = timeout(REFUSAL_TIME, read_body(response, REFUSAL));
    let body = tokio::select! {
        () = pump.out.closed() => return Err(Stop::Gone),
        read = read => read.map(|(body, _)| body).unwrap_or_default(),
    };
    pump.tape.chunk(&body);
    pump.tape.over(|| ResponseOver::Whole);
    Err(Failure::refused(endpoint, status, &headers, &body).into())
}

struct Pump<'a> {
    endpoint: &'a Endpoint,
    limits: &'a Limits,
    out: mpsc::Sender<Event>,
    tape: &'a mut Tape,
    decoder: Decoder,
    status: StatusCode,
    began: Instant,
    /// When the last byte came; None before the first.
    byte: Option<Instant>,
    /// When the last data event came, from the first byte on.
    event: Instant,
    warned: bool,
    data: bool,
    /// A finish reason came: the answer is whole even if the connection then breaks.
    finished: bool,
    done: bool,
    /// The beginning of the body, for the message where it is nothing we know.
    beginning: Vec<u8>,
}

impl<'a> Pump<'a> {
    fn new(endpoint: &'a Endpoint, limits: &'a Limits, out: mpsc::Sender<Event>, tape: &'a mut Tape) -> Self {
        let now = Instant::now();
        Self {
            endpoint,
            limits,
            out,
            tape,
            decoder: Decoder::new(endpoint.api),
            status: StatusCode::OK,
            began: now,
            byte: None,
            event: now,
            warned: false,
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
    async fn run<E: std::error::Error + 'static>(
        &mut self,
        body: impl Stream<Item = Result<Bytes, E>>,
        content_type: Option<&str>,
    ) -> Result<(), Stop> {
        let mut body = pin!(body);
        let mut reader = SseReader::new(content_type, self.limits);
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
                    self.tape.over(|| ResponseOver::Whole);
                    self.end(&mut reader).await?;
                    return self.whole().await;
                }
                Some(Ok(chunk)) if chunk.is_empty() => {}
                Some(Ok(chunk)) => {
                    let first = self.byte.is_none();
                    self.tape.chunk(&chunk);
                    self.chunk(&mut reader, &chunk).await?;
                    if first {
                        sleep.as_mut().reset(self.deadline());
                    }
                }
                Some(Err(error)) => {
                    let broken = self.broken(&error);
                    return if self.finished { self.whole().await } else { Err(broken) };
                }
            }
            if self.done {
                // Whoever reads the events has its end at once; the rest is for the connection's sake.
                self.whole().await?;
                let _ = timeout(DRAIN, async { while let Some(Ok(_)) = body.next().await {} }).await;
                return Ok(());
            }
        }
    }

    async fn chunk(&mut self, reader: &mut SseReader, chunk: &Bytes) -> Result<(), Stop> {
        let now = Instant::now();
        if self.byte.replace(now).is_none() {
            self.event = now;
            self.emit(Event::FirstByte { at: now.into_std() }).await?;
        }
        let room = 400_usize.saturating_sub(self.beginning.len()).min(chunk.len());
        self.beginning.extend_from_slice(chunk.get(..room).unwrap_or_default());
        let mut read = Vec::new();
        let result = reader.push(chunk, &mut read);
        self.read(read).await?;
        result.map_err(|error| self.unreadable(&error))
    }

    /// Decodes and hands on the data of some events.
    async fn read(&mut self, read: Vec<String>) -> Result<(), Stop> {
        let at = Instant::now();
        for data in read {
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
    async fn end(&mut self, reader: &mut SseReader) -> Result<(), Stop> {
        let mut rest = Vec::new();
        let result = reader.finish(&mut rest);
        self.read(rest).await?;
        result.map_err(|error| self.unreadable(&error))?;
        match (self.data, self.byte) {
            (true, _) => Ok(()),
            (false, None) => {
                Err(self.cut(format!("{} answered with nothing ({}).", self.endpoint.host(), self.status.as_u16())))
            }
            (false, Some(_)) => Err(self.nothing()),
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
            let failure = Failure::limit("first_byte", message, hint, false);
            self.tape.failed(&failure);
            return Err(failure.into());
        };
        let failure = if byte.elapsed() >= limits.any_byte {
            let message = format!("{host} fell silent for {}", seconds(limits.any_byte));
            Failure::limit("any_byte", message, hint, true)
        } else {
            let message = format!("{host} made no progress for {}: only keep-alives came", seconds(limits.data_event));
            Failure::limit("data_event", message, hint, true)
        };
        self.tape.failed(&failure);
        Err(failure.with_status(self.status).with_data(self.data).into())
    }

    fn too_much(&self, key: &str, what: &str, limit: u64) -> Stop {
        let message = format!("{what} from {} is larger than {}", self.endpoint.host(), size(limit));
        let hint = "What came before is kept. Raise the limit under [limits] if this is right.";
        let mut failure = Failure::limit(key, message, hint, false).with_status(self.status).with_data(self.data);
        failure.fault.retry = Retry::AfterChange;
        failure.into()
    }

    /// The reader of events gave up.
    fn unreadable(&self, error: &SseError) -> Stop {
        match error {
            SseError::Line { limit } => self.too_much("line", "A line of the answer", *limit),
            SseError::Event { limit } => self.too_much("event", "An event of the answer", *limit),
            SseError::Body { limit } => self.too_much("body", "The answer", *limit),
            SseError::Html { .. } => self.foreign(page(self.endpoint, self.status)),
            SseError::Parser(why) => self.foreign(
                Fault::new(
                    FaultKind::Protocol,
                    format!("The answer of {} cannot be read as a stream of events: {why}.", self.endpoint.host()),
                )
                .hint("Ask again; if it stays so, the endpoint is at fault."),
            ),
        }
    }

    fn broken(&mut self, error: &(dyn std::error::Error + 'static)) -> Stop {
        if let Some(Halt::Failed { fault, again }) = error.downcast_ref() {
            let failure = Failure::new(fault.clone(), *again);
            self.tape.failed(&failure);
            return failure.with_data(self.data).into();
        }
        self.tape.over(|| ResponseOver::Broken(root(error)));
        let message = format!("The stream from {} broke: {}.", self.endpoint.host(), root(error));
        self.cut(message)
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
        self.foreign(fault)
    }

    /// What came is no answer of a model.
    fn foreign(&self, fault: Fault) -> Stop {
        Failure::new(fault, false).with_status(self.status).with_data(self.data).into()
    }
}

/// `16 MiB`, `64 KiB`.
fn size(bytes: u64) -> impl fmt::Display {
    match bytes {
        b if b >= 1 << 20 && b % (1 << 20) == 0 => format!("{} MiB", b >> 20),
        b if b >= 1 << 10 && b % (1 << 10) == 0 => format!("{} KiB", b >> 10),
        b => format!("{b} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Api;
    use futures_util::stream;

    const TEXT: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n";
    const FINISH: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    const DONE: &str = "data: [DONE]\n\n";

    /// What a body may do: say something, wait, break.
    enum Do {
        Say(&'static str),
        Wait(u64),
        Break,
    }
    use Do::{Break, Say, Wait};

    fn body(steps: Vec<Do>, then_hang: bool) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
        let steps = stream::iter(steps).filter_map(|step| async move {
            match step {
                Say(text) => Some(Ok(Bytes::from_static(text.as_bytes()))),
                Wait(seconds) => {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    None
                }
                Break => Some(Err(std::io::Error::other("connection reset by peer"))),
            }
        });
        steps.chain(if then_hang { stream::pending().left_stream() } else { stream::empty().right_stream() })
    }

    /// Runs a body through the pump and tells its events, one word each, and the fault's message.
    async fn check(limits: &Limits, kind: &str, body: impl Stream<Item = Result<Bytes, std::io::Error>>) -> String {
        let endpoint = Endpoint::new("http://127.0.0.1:9/v1", Api::Chat).unwrap();
        let (out, mut events) = mpsc::channel(64);
        let mut tape = Tape::new(None, 1);
        let mut pump = Pump::new(&endpoint, limits, out, &mut tape);
        let reply = async { stream_of(&mut pump, body, kind).await };
        let failure = reply.await;
        drop(pump);
        let mut told = Vec::new();
        while let Some(event) = events.recv().await {
            told.push(match event {
                Event::FirstByte { .. } => "first".to_owned(),
                Event::Slow { waited } => format!("slow {}", waited.as_secs()),
                Event::Deltas { event, .. } => format!("#{}x{}", event.number, event.deltas.len()),
                Event::Ended { .. } => "ended".to_owned(),
                Event::Failed(failure) => failure.fault.message,
            });
        }
        if let Some(failure) = failure {
            let data = if failure.data { "after data" } else { "before data" };
            told.push(format!("{} [{} {data}]", failure.fault.message, failure.fault.kind.word()));
        }
        told.join(" | ")
    }

    async fn stream_of(
        pump: &mut Pump<'_>,
        body: impl Stream<Item = Result<Bytes, std::io::Error>>,
        kind: &str,
    ) -> Option<Failure> {
        match pump.run(body, Some(kind)).await {
            Err(Stop::Failed(failure)) => Some(*failure),
            Ok(()) | Err(Stop::Gone) => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_at_done_at_its_body_s_end_or_broken_after_its_finish() {
        let limits = Limits::default();
        let hangs = body(vec![Say(TEXT), Say(DONE)], true);
        assert_eq!(check(&limits, "", hangs).await, "first | #1x1 | #2x1 | ended");
        let ends = body(vec![Say(TEXT), Say(FINISH)], false);
        assert_eq!(check(&limits, "", ends).await, "first | #1x1 | #2x1 | ended");
        let breaks = body(vec![Say(TEXT), Say(FINISH), Break], false);
        assert_eq!(check(&limits, "", breaks).await, "first | #1x1 | #2x1 | ended");
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_stream_tells_why_and_whether_anything_had_come() {
        let limits = Limits::default();
        assert_eq!(
            check(&limits, "", body(vec![Say(TEXT), Break], false)).await,
            "first | #1x1 | The stream from 127.0.0.1:9 broke: connection reset by peer. [truncated after data]"
        );
        assert_eq!(
            check(&limits, "", body(vec![], false)).await,
            "127.0.0.1:9 answered with nothing (200). [truncated before data]"
        );
        assert_eq!(
            check(&limits, "", body(vec![Say(": hello\n\n")], false)).await,
            "first | 127.0.0.1:9 sent keep-alives and no answer. [truncated before data]"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_warned_of_then_ends_at_the_first_byte_s_limit() {
        let limits = Limits::default();
        assert_eq!(
            check(&limits, "", body(vec![], true)).await,
            "slow 30 | 127.0.0.1:9 sent nothing for 10 min (limit first_byte). [limit before data]"
        );
        let late = body(vec![Wait(590), Say(TEXT), Say(DONE)], false);
        assert_eq!(check(&limits, "", late).await, "slow 30 | first | #1x1 | #2x1 | ended");
    }

    #[tokio::test(start_paused = true)]
    async fn any_byte_proves_the_connection_and_only_an_event_proves_progress() {
        let limits = Limits::default();
        assert_eq!(
            check(&limits, "", body(vec![Say(TEXT), Wait(290), Say(": ping\n\n")], true)).await,
            "first | #1x1 | 127.0.0.1:9 fell silent for 5 min (limit any_byte). [limit after data]"
        );
        let comments = (0..9).flat_map(|_| [Say(": keep-alive\n\n"), Wait(200)]).collect();
        assert_eq!(
            check(&limits, "", body(comments, true)).await,
            "first | 127.0.0.1:9 made no progress for 10 min: only keep-alives came (limit data_event). [limit before data]"
        );
        let slow = (0..9).flat_map(|_| [Say(TEXT), Wait(290)]).chain([Say(DONE)]).collect();
        assert!(check(&limits, "", body(slow, false)).await.ends_with("#10x1 | ended"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_does_not_read_stops_the_clocks() {
        let limits = Limits::default();
        let endpoint = Endpoint::new("http://127.0.0.1:9/v1", Api::Chat).unwrap();
        let (out, mut events) = mpsc::channel(1);
        let mut tape = Tape::new(None, 1);
        let mut pump = Pump::new(&endpoint, &limits, out, &mut tape);
        let body = body(vec![Say(TEXT), Say(TEXT), Wait(1), Say(TEXT), Say(DONE)], false);
        let reader = async {
            tokio::time::sleep(Duration::from_secs(5000)).await;
            let mut count = 0;
            while events.recv().await.is_some_and(|event| !matches!(event, Event::Ended { .. })) {
                count += 1;
            }
            count
        };
        let (failure, count) = tokio::join!(stream_of(&mut pump, body, ""), reader);
        assert_eq!((failure, count), (None, 5));
    }

    #[tokio::test(start_paused = true)]
    async fn json_and_pages_in_place_of_a_stream_are_known_by_their_first_byte() {
        let limits = Limits::default();
        let whole = body(vec![Say("\n\n"), Say(" {\"choices\":[{\"message\":"), Say("{\"content\":\"hi\"}}]}")], false);
        assert_eq!(check(&limits, "text/event-stream", whole).await, "first | #1x1 | ended");
        let page = body(vec![Say("<!doctype html><p>Sign in")], false);
        assert_eq!(
            check(&limits, "text/event-stream", page).await,
            "first | 127.0.0.1:9 answered with a web page instead of a model's answer (200). [protocol before data]"
        );
        let other = body(vec![Say("Service is\nhere")], false);
        assert_eq!(
            check(&limits, "text/plain", other).await,
            "first | 127.0.0.1:9 answered with something that is no event stream: Service is here. [protocol before data]"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn ceilings_name_their_limit() {
        let limits = Limits { line: 64, event: 100, body: 4 << 10, ..Limits::default() };
        let long = "data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
        let line = check(&limits, "", body(vec![Say(long)], true)).await;
        assert!(line.contains("larger than 64 bytes (limit line)"), "{line}");
        let json = body(vec![Say("{"), Say(long), Say(long)], true);
        let json = check(&limits, "", json).await;
        assert!(json.contains("(limit event)"), "{json}");
        let flood = (0..1000).map(|_| Say(": x\n\n")).collect();
        let flood = check(&limits, "", body(flood, true)).await;
        assert!(flood.contains("larger than 4 KiB (limit body)"), "{flood}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_went_away_ends_the_stream() {
        let limits = Limits::default();
        let endpoint = Endpoint::new("http://127.0.0.1:9/v1", Api::Chat).unwrap();
        let (out, events) = mpsc::channel(8);
        let mut tape = Tape::new(None, 1);
        let mut pump = Pump::new(&endpoint, &limits, out, &mut tape);
        drop(events);
        assert_eq!(stream_of(&mut pump, body(vec![Say(TEXT)], true), "").await, None);
    }
}
