//! A response's bytes into the data of its events: `sse-stream`, the parser of the official MCP SDK, behind an adapter
//! for what real endpoints send.
//!
//! # Invariants
//! - Sans-IO, and linear in the bytes; the events are the same whatever the chunks were.
//! - No line, event or body grows beyond its limit; what came before the limit is still delivered.
//!
//! # Does not
//! Look into events, decompress, reconnect.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::Stream;
use memchr::memchr2;
use serde::de::IgnoredAny;
use sse_stream::SseByteStream;

use crate::chat::Limits;

/// Why a response cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    #[error("a line of the response is longer than {limit} bytes (limits.line)")]
    Line { limit: u64 },
    #[error("an event of the response is longer than {limit} bytes (limits.event)")]
    Event { limit: u64 },
    #[error("the response is longer than {limit} bytes (limits.body)")]
    Body { limit: u64 },
    #[error("the endpoint answered with a web page, not with a stream: {start}")]
    Html { start: String },
    #[error("the response cannot be read as a stream of events: {0}")]
    Parser(String),
}

/// How much room is kept for the next line.
const KEPT: usize = 64 << 10;

/// The most of a web page to quote, in characters.
const QUOTED: usize = 300;

/// Reads one response.
pub struct SseReader {
    limits: Ceilings,
    json_type: bool,
    body: u64,
    kind: Kind,
}

#[derive(Clone, Copy)]
struct Ceilings {
    line: u64,
    event: u64,
    body: u64,
}

enum Kind {
    /// Only blanks, or a part of a byte order mark, have come.
    Unknown {
        start: Vec<u8>,
    },
    Events(Box<Events>),
    /// One JSON text, or one a line; an event only when it is whole.
    Json(Vec<u8>),
    Html(Vec<u8>),
}

impl SseReader {
    #[must_use]
    pub fn new(content_type: Option<&str>, limits: &Limits) -> Self {
        Self {
            limits: Ceilings { line: limits.line, event: limits.event, body: limits.body },
            json_type: content_type.is_some_and(|kind| kind.to_ascii_lowercase().contains("json")),
            body: 0,
            kind: Kind::Unknown { start: Vec::new() },
        }
    }

    /// Takes the next bytes and appends the data of the events that they complete.
    ///
    /// # Errors
    /// A limit is reached, or the body is a web page. Events before that are in `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<String>) -> Result<(), SseError> {
        let room = usize::try_from(self.limits.body - self.body).unwrap_or(usize::MAX);
        let taken = &bytes[..bytes.len().min(room)];
        self.body += taken.len() as u64;
        self.route(taken, out)?;
        if taken.len() < bytes.len() { Err(SseError::Body { limit: self.limits.body }) } else { Ok(()) }
    }

    fn route(&mut self, bytes: &[u8], out: &mut Vec<String>) -> Result<(), SseError> {
        match &mut self.kind {
            Kind::Unknown { start } => {
                start.extend_from_slice(bytes);
                let bytes = std::mem::take(start);
                self.decide(bytes, false, out)
            }
            Kind::Events(events) => events.push(bytes, self.limits, out),
            Kind::Json(body) => {
                body.extend_from_slice(bytes);
                let limit = self.limits.event;
                if body.len() as u64 > limit { Err(SseError::Event { limit }) } else { Ok(()) }
            }
            Kind::Html(page) => {
                page.extend_from_slice(&bytes[..bytes.len().min((QUOTED * 4).saturating_sub(page.len()))]);
                if page.len() >= QUOTED * 4 { Err(html(page)) } else { Ok(()) }
            }
        }
    }

    /// The first byte says what the body is; the content type only where that leaves it open.
    fn decide(&mut self, start: Vec<u8>, last: bool, out: &mut Vec<String>) -> Result<(), SseError> {
        const BOM: &[u8] = b"\xEF\xBB\xBF";
        // Blanks and marks before the first line keep a connection alive or mean nothing, wherever the chunks end.
        let mut text = start.trim_ascii_start();
        while let Some(rest) = text.strip_prefix(BOM) {
            text = rest.trim_ascii_start();
        }
        let begun = !last && text.len() < BOM.len() && BOM.starts_with(text);
        let Some(first) = text.first().filter(|_| !begun) else {
            self.kind = Kind::Unknown { start: text.to_vec() };
            return Ok(());
        };
        self.kind = match first {
            b'{' | b'[' => Kind::Json(Vec::new()),
            b'<' => Kind::Html(Vec::new()),
            b'"' | b'0'..=b'9' if self.json_type => Kind::Json(Vec::new()),
            _ => Kind::Events(Box::default()),
        };
        self.route(text, out)
    }

    /// Bytes that are kept until more comes: never more than an event and a line.
    #[must_use]
    pub fn held(&self) -> usize {
        match &self.kind {
            Kind::Unknown { start } => start.capacity(),
            Kind::Events(events) => {
                events.line.capacity() + events.first.as_ref().map_or(0, String::capacity) + events.joining
            }
            Kind::Json(body) => body.capacity(),
            Kind::Html(page) => page.capacity(),
        }
    }

    /// The body has ended: appends what stood unterminated.
    ///
    /// # Errors
    /// The last event was over a limit, or the body was a web page.
    pub fn finish(&mut self, out: &mut Vec<String>) -> Result<(), SseError> {
        if let Kind::Unknown { start } = &mut self.kind {
            let start = std::mem::take(start);
            self.decide(start, true, out)?;
        }
        match &mut self.kind {
            Kind::Unknown { .. } => Ok(()),
            Kind::Events(events) => events.finish(self.limits, out),
            Kind::Json(body) => {
                let body = std::mem::take(body);
                deliver(String::from_utf8_lossy(&body).trim().to_owned(), out);
                Ok(())
            }
            Kind::Html(page) => Err(html(page)),
        }
    }
}

fn html(page: &[u8]) -> SseError {
    SseError::Html { start: String::from_utf8_lossy(page).trim().chars().take(QUOTED).collect() }
}

/// Hands over the data of one event. Lines that are no JSON together but each by itself were events without the blank
/// line between them.
fn deliver(data: String, out: &mut Vec<String>) {
    if data.trim().is_empty() {
    } else if data.contains('\n') && !stands_alone(&data) && data.lines().all(stands_alone) {
        out.extend(data.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned));
    } else {
        out.push(data);
    }
}

fn stands_alone(data: &str) -> bool {
    let data = data.trim();
    data.is_empty() || data == "[DONE]" || serde_json::from_str::<IgnoredAny>(data).is_ok()
}

/// The bytes that the parser may read now.
struct Queue(mpsc::Receiver<Bytes>);

impl Stream for Queue {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.0.try_recv() {
            Ok(bytes) => Poll::Ready(Some(Ok(bytes))),
            Err(mpsc::TryRecvError::Empty) => Poll::Pending,
            Err(mpsc::TryRecvError::Disconnected) => Poll::Ready(None),
        }
    }
}

/// The adapter: repairs and measures bytes line by line, then lets the parser read them.
struct Events {
    queue: mpsc::Sender<Bytes>,
    parser: SseByteStream<Queue>,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    /// The last byte was a CR: an LF now belongs to it.
    after_cr: bool,
    /// Bytes of the event so far, its line ends included.
    event: u64,
    /// The only line of the event so far, where that is data: nearly every event has no other, and needs no parser.
    first: Option<String>,
    /// The parser has read lines of the event.
    begun: bool,
    /// How many bytes of them.
    joining: usize,
}

impl Default for Events {
    fn default() -> Self {
        let (queue, receiver) = mpsc::channel();
        Self {
            queue,
            parser: SseByteStream::new(Queue(receiver)),
            line: Vec::new(),
            after_cr: false,
            event: 0,
            first: None,
            begun: false,
            joining: 0,
        }
    }
}

impl Events {
    fn push(&mut self, mut bytes: &[u8], limits: Ceilings, out: &mut Vec<String>) -> Result<(), SseError> {
        while let Some(&first) = bytes.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = memchr2(b'\n', b'\r', bytes);
            let piece = &bytes[..end.unwrap_or(bytes.len())];
            let length = (self.line.len() + piece.len()) as u64;
            if length > limits.line {
                return Err(SseError::Line { limit: limits.line });
            }
            if self.event + length > limits.event {
                return Err(SseError::Event { limit: limits.event });
            }
            let Some(end) = end else {
                self.line.extend_from_slice(piece);
                return Ok(());
            };
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            if self.line.is_empty() {
                self.end_line(piece, out)?;
            } else {
                self.line.extend_from_slice(piece);
                let mut line = std::mem::take(&mut self.line);
                self.end_line(&line, out)?;
                line.clear();
                // A long line is rare; its room is given back.
                if line.capacity() <= KEPT {
                    self.line = line;
                }
            }
        }
        Ok(())
    }

    fn end_line(&mut self, line: &[u8], out: &mut Vec<String>) -> Result<(), SseError> {
        // A comment costs nothing, an empty line ends the event.
        if line.first() == Some(&b':') {
            return Ok(());
        }
        self.event += line.len() as u64 + 1;
        if line.is_empty() {
            return self.dispatch(out);
        }
        let text = String::from_utf8_lossy(line);
        // llama.cpp before late 2025 names the field `error`. Of the others nobody reads anything.
        let data = match text.strip_prefix("data:").or_else(|| text.strip_prefix("error:")) {
            Some(data) => data.strip_prefix(' ').unwrap_or(data),
            None if text == "data" => "",
            None => return Ok(()),
        };
        if self.first.as_deref().is_some_and(|first| !first.trim().is_empty() && stands_alone(first)) {
            // A whole event, and another after it without the blank line between.
            self.dispatch(out)?;
        }
        if self.first.is_none() && !self.begun {
            self.first = Some(data.to_owned());
            return Ok(());
        }
        // More than one line of data: the parser joins them.
        self.begun = true;
        if let Some(first) = self.first.take() {
            self.read(format!("data: {first}\n"), out)?;
        }
        self.read(format!("data: {data}\n"), out)
    }

    fn dispatch(&mut self, out: &mut Vec<String>) -> Result<(), SseError> {
        (self.event, self.joining) = (0, 0);
        match self.first.take() {
            Some(data) => {
                deliver(data, out);
                Ok(())
            }
            None if std::mem::take(&mut self.begun) => self.read("\n".to_owned(), out),
            None => Ok(()),
        }
    }

    /// Lets the parser read.
    fn read(&mut self, lines: String, out: &mut Vec<String>) -> Result<(), SseError> {
        self.joining += lines.len();
        // The receiver lives in `self.parser`: sending cannot fail.
        let _ = self.queue.send(lines.into());
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(event)) = Pin::new(&mut self.parser).poll_next(&mut context) {
            match event {
                Ok(event) => deliver(event.data.unwrap_or_default(), out),
                Err(error) => return Err(SseError::Parser(error.to_string())),
            }
        }
        Ok(())
    }

    fn finish(&mut self, limits: Ceilings, out: &mut Vec<String>) -> Result<(), SseError> {
        // A line that the end of the body cut in two is no event: the stream was truncated.
        let cut = self.line.strip_prefix(b"data:").is_some_and(|data| {
            self.first.is_none() && !self.begun && !std::str::from_utf8(data).is_ok_and(stands_alone)
        });
        if cut {
            self.line.clear();
        }
        self.push(b"\n\n", limits, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: Option<&str>, limits: &Limits, pieces: &[&[u8]]) -> (Vec<String>, Result<(), SseError>) {
        let mut reader = SseReader::new(kind, limits);
        let mut out = Vec::new();
        let result = pieces.iter().try_for_each(|piece| reader.push(piece, &mut out));
        let result = result.and_then(|()| reader.finish(&mut out));
        (out, result)
    }

    fn check(body: &[u8], expect: &[&str]) {
        let (events, result) = read(None, &Limits::default(), &[body]);
        assert_eq!((events.iter().map(String::as_str).collect::<Vec<_>>(), result), (expect.to_vec(), Ok(())));
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(read(None, &Limits::default(), &bytes).0, events, "byte by byte");
    }

    #[test]
    fn what_real_endpoints_send() {
        check(b"\xEF\xBB\xBF: hi\r\n\r\ndata:a\r\n\r\ndata: b\r\rdata\n\ndata:\n\nevent: x\nid: 1\n\n", &["a", "b"]);
        check(b"error: {\"code\":1}\n\ndata: [DONE]", &["{\"code\":1}", "[DONE]"]);
        check(b"data: {\"a\":\ndata: 1}\n\n", &["{\"a\":\n1}"]);
        check(b"data: {\"a\":1}\ndata: [DONE]\n", &["{\"a\":1}", "[DONE]"]);
        check(b"data: x\xFFy\xC3\n\n", &["x\u{fffd}y\u{fffd}"]);
        check(b"\n\n  {\"a\":\n1}\n", &["{\"a\":\n1}"]);
        check(b"\x0C data: 1\n\n", &["1"]);
        check(b" \xEF\xBB\xBF\n\xEF\xBB\xBFdata: 1\n\n", &["1"]);
        check(b"\xEF\xBB", &[]);
        check(b"{\"a\":1}\n{\"a\":2}\n", &["{\"a\":1}", "{\"a\":2}"]);
        check(b"", &[]);
        check(b"\n\n", &[]);
    }

    #[test]
    fn a_line_cut_by_the_end_of_the_body_is_no_event() {
        check(b"data: {\"a\":1}\n\ndata: {\"a\"", &["{\"a\":1}"]);
        check(b"data: {\"a\":1}\n\ndata: {\"a\"\n", &["{\"a\":1}", "{\"a\""]);
    }

    #[test]
    fn an_event_is_there_as_soon_as_its_blank_line() {
        let mut reader = SseReader::new(None, &Limits::default());
        let mut out = Vec::new();
        for (piece, count) in [("data: 1", 0), ("\r", 0), ("\n\r", 1), ("\ndata: 2\n", 1), ("data: 3\n\n", 3)] {
            reader.push(piece.as_bytes(), &mut out).expect("read");
            assert_eq!(out.len(), count, "{piece:?}");
        }
    }

    #[test]
    fn each_limit_is_named_and_what_came_before_is_kept() {
        let limits = Limits { line: 10, event: 24, body: 60, ..Limits::default() };
        let long = SseError::Line { limit: 10 };
        assert_eq!(read(None, &limits, &[b"data: 1\n\ndata: 12345\n\n"]), (vec!["1".into()], Err(long.clone())));
        assert_eq!(read(None, &limits, &[b"data: 1\n\n", b"data: 1", b"2345\n"]), (vec!["1".into()], Err(long)));
        let event = b"data: [1\ndata: ,2\ndata: ,3]\n\n";
        assert_eq!(read(None, &limits, &[event]), (vec![], Err(SseError::Event { limit: 24 })));
        let body = b": aaaaaaa\n".repeat(5);
        let (events, result) = read(None, &limits, &[body.as_slice(), b"data: 1\n\n", b"data: 2\n\n"]);
        assert_eq!((events, result), (vec!["1".into()], Err(SseError::Body { limit: 60 })));
        let json = [b"{".as_slice(), &[b' '; 30]].concat();
        assert_eq!(read(None, &limits, &[&json]).1, Err(SseError::Event { limit: 24 }));
    }

    #[test]
    fn a_web_page_is_named_with_its_beginning() {
        let (events, result) = read(Some("text/html"), &Limits::default(), &[b" <html>", b"no", b"</html>"]);
        assert_eq!((events, result), (vec![], Err(SseError::Html { start: "<html>no</html>".into() })));
    }

    #[test]
    fn the_reader_can_move_between_threads() {
        fn send<T: Send>() {}
        send::<SseReader>();
    }
}
