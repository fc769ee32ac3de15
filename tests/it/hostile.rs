//! What a hostile or broken endpoint may send, and the limit that ends each of it, by its name; what is kept meanwhile
//! is counted in bytes and entries, never timed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use millrace::chat::{Api, ArgumentsPart, CallFragment, Delta, EventDeltas, FaultKind, Limits, WireErrorKind};
use millrace::net::sse::{SseError, SseReader};
use millrace::net::{Endpoint, Event, Failure, Http, HttpOptions, respond};
use millrace::turn::assembler::{Assembler, AssemblerLimits, CallStatus, Declared, Piece, StreamEnd};
use millrace::wire::Decoder;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Feeds a reader: the events, the most that it held between pushes, and how it ended.
fn read<'a>(limits: &Limits, chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, usize, Result<(), SseError>) {
    let mut reader = SseReader::new(Some("text/event-stream"), limits);
    let (mut events, mut held) = (Vec::new(), 0);
    for chunk in chunks {
        let result = reader.push(chunk, &mut events);
        held = held.max(reader.held());
        if result.is_err() {
            return (events, held, result);
        }
    }
    let result = reader.finish(&mut events);
    (events, held, result)
}

fn assembler() -> Assembler {
    Assembler::new(Declared::new([("read", true), ("ping", false)]), AssemblerLimits::from(&Limits::default()))
}

fn says(error: &impl ToString, limit: &str) {
    let told = error.to_string();
    assert!(told.contains(&format!("limits.{limit}")) || told.contains(&format!("limit {limit}")), "{told}");
}

#[test]
fn a_line_of_ten_megabytes_is_read_and_one_over_its_limit_is_not() {
    let text = "x".repeat(10 << 20);
    let body = format!("data: {}\n\n", json!({"choices": [{"delta": {"content": text}}]}));
    let (events, held, result) = read(&Limits::default(), body.as_bytes().chunks(64 << 10));
    assert_eq!((result, events.len()), (Ok(()), 1));
    assert!(held <= 3 * body.len(), "{held}");
    let deltas = Decoder::new(Api::Chat).event(&events[0]).deltas;
    assert!(matches!(&deltas[..], [Delta::Text(read)] if read.len() == text.len()));

    let limits = Limits { line: 1 << 20, ..Limits::default() };
    let (events, held, result) = read(&limits, body.as_bytes().chunks(64 << 10));
    says(&result.unwrap_err(), "line");
    assert!(events.is_empty() && held <= 2 << 20, "{held}");
}

#[test]
fn an_event_of_endless_lines_ends_at_its_limit() {
    let line = format!("data: {}\n", "y".repeat(1 << 10));
    let (events, held, result) = read(&Limits::default(), std::iter::repeat(line.as_bytes()));
    says(&result.unwrap_err(), "event");
    assert!(events.is_empty() && held <= 17 << 20, "{held}");
}

#[test]
fn a_stream_that_never_ends_ends_at_the_body_s_limit() {
    let limits = Limits { body: 8 << 20, ..Limits::default() };
    for chunk in [&b"data: {}\n\n"[..], b": keep-alive\n\n", b"\n\n\n\n", b"event: x\nid: 1\n\n", b"data:\n\n"] {
        let chunk = chunk.repeat(1000);
        let (_, held, result) = read(&limits, std::iter::repeat(chunk.as_slice()));
        says(&result.unwrap_err(), "body");
        assert!(held <= 64 << 10, "{held}: {}", String::from_utf8_lossy(&chunk[..20]));
    }
}

#[test]
fn bytes_that_say_nothing_end_at_the_line_s_limit() {
    for byte in [0_u8, 0xff, b'd', b':'] {
        let chunk = vec![byte; 64 << 10];
        let (events, held, result) = read(&Limits::default(), std::iter::repeat(chunk.as_slice()));
        says(&result.unwrap_err(), "line");
        assert!(events.is_empty() && held <= 33 << 20, "{held}");
    }
}

#[test]
fn four_mebibytes_in_one_byte_chunks_are_one_event() {
    let body = format!("data: {}\n\n", json!({"choices": [{"delta": {"content": "z".repeat(4 << 20)}}]}));
    let (events, held, result) = read(&Limits::default(), body.as_bytes().chunks(1));
    assert_eq!((events.len(), result), (1, Ok(())));
    assert_eq!(events[0].len(), body.len() - "data: \n\n".len());
    assert!(held <= 2 * body.len() + (64 << 10), "{held}");
}

/// The calls that stand, how often the limit was told, and whether every call ended exactly once.
fn calls_of(assembler: &mut Assembler, events: impl IntoIterator<Item = EventDeltas>) -> (usize, usize) {
    let (mut ended, mut told) = (Vec::new(), 0);
    let mut count = |pieces: Vec<Piece>| {
        for piece in pieces {
            match piece {
                Piece::Closed { call, .. } | Piece::Invalid { call, .. } | Piece::Incomplete { call } => {
                    ended.push(call)
                }
                Piece::TooManyCalls { .. } => told += 1,
                _ => {}
            }
        }
    };
    events.into_iter().for_each(|event| count(assembler.apply(event)));
    count(assembler.end(StreamEnd::Eof));
    ended.sort_unstable();
    assert_eq!(ended, (0..assembler.calls().len()).collect::<Vec<_>>(), "each call ends exactly once");
    (assembler.calls().len(), told)
}

#[test]
fn a_hundred_thousand_calls_are_the_first_of_them_and_one_notice() {
    let limit = Limits::default().calls_per_round as usize;
    let call = |index: u64| CallFragment {
        index: Some(index),
        id: Some(format!("call_{index}")),
        name: Some("read".into()),
        arguments: Some(ArgumentsPart::Text("{\"p\":1}".into())),
        ..CallFragment::default()
    };
    let one_each = (0..100_000).map(|n| EventDeltas { number: n + 1, deltas: vec![Delta::Call(call(n))] });
    assert_eq!(calls_of(&mut assembler(), one_each), (limit, 1));
    // All in one event, with arguments that are objects: each is looked up in the event's text.
    let entries: Vec<String> = (0..100_000)
        .map(|n| format!(r#"{{"index":{n},"function":{{"name":"read","arguments":{{"p":{n},"p2":1e5}}}}}}"#))
        .collect();
    let event = format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{}]}}}}]}}"#, entries.join(","));
    let deltas = Decoder::new(Api::Chat).event(&event);
    assert_eq!(deltas.deltas.len(), 100_000);
    let mut all = assembler();
    assert_eq!(calls_of(&mut all, [deltas]), (limit, 1));
    assert_eq!(all.calls()[7].wire_text(), "{\"p\":7,\"p2\":1e5}", "the digits are the wire's");
    // And spread over as many choices.
    let entries: Vec<String> = (0..20_000)
        .map(|n| {
            format!(r#"{{"delta":{{"tool_calls":[{{"index":{n},"function":{{"name":"read","arguments":{{}}}}}}]}}}}"#)
        })
        .collect();
    let deltas = Decoder::new(Api::Chat).event(&format!(r#"{{"choices":[{}]}}"#, entries.join(",")));
    assert_eq!(calls_of(&mut assembler(), [deltas]), (limit, 1));
}

#[test]
fn a_million_empty_deltas_leave_nothing_behind() {
    let mut assembler = assembler();
    let open = CallFragment { index: Some(0), name: Some("read".into()), ..CallFragment::default() };
    let mut pieces = assembler.apply(EventDeltas { number: 1, deltas: vec![Delta::Call(open)] }).len();
    for number in 2..1_000_002 {
        let empty = CallFragment {
            index: Some(number),
            id: Some(number.to_string()),
            arguments: Some(ArgumentsPart::Text(String::new())),
            ..CallFragment::default()
        };
        pieces += assembler.apply(EventDeltas { number, deltas: vec![Delta::Call(empty)] }).len();
    }
    assert_eq!((pieces, assembler.calls().len(), assembler.calls()[0].bytes()), (1, 1, 0));
    let mut decoder = Decoder::new(Api::Chat);
    let empty = r#"{"choices":[{"index":0,"delta":{"content":"","role":"assistant"},"finish_reason":null}]}"#;
    assert!((0..10_000).all(|_| decoder.event(empty).deltas.is_empty()));
}

/// One call with these arguments, as text and as a value.
fn closed(arguments: &str, as_text: bool) -> (CallStatus, String) {
    let arguments = if as_text { json!(arguments).to_string() } else { arguments.to_owned() };
    let event = format!(
        r#"{{"choices":[{{"delta":{{"tool_calls":[{{"index":0,"function":{{"name":"read","arguments":{arguments}}}}}]}}}}]}}"#
    );
    let mut assembler = assembler();
    let open = r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"read"}}]}}]}"#;
    let mut decoder = Decoder::new(Api::Chat);
    assembler.apply(decoder.event(open));
    assembler.apply(decoder.event(&event));
    assembler.end(StreamEnd::Eof);
    let call = &assembler.calls()[0];
    (call.status, call.reason.clone().unwrap_or_default())
}

#[test]
fn arguments_nested_ten_thousand_deep_are_refused_by_name() {
    for (open, close) in [("{\"a\":", "}"), ("[", "]")] {
        let deep = format!("{{\"d\":{}1{}}}", open.repeat(10_000), close.repeat(10_000));
        for as_text in [true, false] {
            let (status, reason) = closed(&deep, as_text);
            assert_eq!(status, CallStatus::Invalid);
            says(&reason, "nesting");
        }
    }
    // The whole event, where nothing is a call.
    let deep = format!("{{\"choices\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let [Delta::Error(error)] = &Decoder::new(Api::Chat).event(&deep).deltas[..] else { panic!("an error") };
    assert_eq!(error.kind, WireErrorKind::BadChunk);
    says(&error.message, "nesting");
}

#[test]
fn arguments_over_their_limit_are_dropped_while_they_come() {
    let mut assembler = assembler();
    let piece = |number, text: &str| EventDeltas {
        number,
        deltas: vec![Delta::Call(CallFragment {
            index: Some(0),
            name: (number == 1).then(|| "read".into()),
            arguments: Some(ArgumentsPart::Text(text.into())),
            ..CallFragment::default()
        })],
    };
    assembler.apply(piece(1, "{\"p\":\""));
    let chunk = "a".repeat(64 << 10);
    (2..1000).for_each(|number| drop(assembler.apply(piece(number, &chunk))));
    let call = &assembler.calls()[0];
    assert_eq!(call.status, CallStatus::Invalid);
    says(call.reason.as_ref().unwrap(), "arguments");
    assert!(call.bytes() <= Limits::default().arguments, "{}", call.bytes());
}

#[test]
fn a_key_twice_at_any_depth_is_refused_by_its_name() {
    for text in [r#"{"a":1,"a":1}"#, r#"{"x":[{"a":1,"b":2,"\u0061":3}]}"#] {
        for as_text in [true, false] {
            let (status, reason) = closed(text, as_text);
            assert_eq!(status, CallStatus::Invalid, "{text}");
            assert!(reason.contains("\"a\" stands twice"), "{reason}");
        }
    }
}

/// A server that answers with a head, then with a body that never ends; how much of it was taken.
async fn endless(head: &'static str, chunk: Vec<u8>) -> (Endpoint, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::new(&format!("http://{}/v1", listener.local_addr().unwrap()), Api::Chat).unwrap();
    let (taken, asked) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, requests) = (Arc::clone(&taken), Arc::clone(&asked));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            requests.fetch_add(1, Ordering::Relaxed);
            let (chunk, count) = (chunk.clone(), Arc::clone(&count));
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                if stream.write_all(head.as_bytes()).await.is_err() {
                    return;
                }
                if chunk.is_empty() {
                    // Says no more, and waits for the other side to go.
                    let _ = stream.read(&mut [0; 1]).await;
                }
                while !chunk.is_empty() && stream.write_all(&chunk).await.is_ok() {
                    count.fetch_add(chunk.len(), Ordering::Relaxed);
                }
            });
        }
    });
    (endpoint, taken, asked)
}

async fn failure(endpoint: &Endpoint, limits: Limits) -> Failure {
    let http = Http::new(HttpOptions::new(&limits));
    let mut response = respond(&http, endpoint, "{}", Arc::new(limits));
    while let Some(event) = response.next().await {
        if let Event::Failed(failure) = event {
            return *failure;
        }
    }
    panic!("it must fail");
}

const SSE: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
/// What may lie unread in sockets and buffers.
const ON_THE_WAY: usize = 16 << 20;

#[tokio::test]
async fn a_body_without_an_end_is_left_at_its_limit() {
    for (chunk, limit) in [
        (vec![0; 64 << 10], "line"),
        (b": still here\n\n".repeat(4000), "body"),
        (b"data: {\"choices\":[]}\n\n".repeat(1000), "body"),
        (b"\n".repeat(64 << 10), "body"),
    ] {
        let limits = Limits { line: 1 << 20, body: 4 << 20, ..Limits::default() };
        let (endpoint, taken, _) = endless(SSE, chunk).await;
        let failure = failure(&endpoint, limits).await;
        assert_eq!(failure.fault.kind, FaultKind::Limit);
        says(&failure.fault.message, limit);
        assert!(taken.load(Ordering::Relaxed) <= ON_THE_WAY);
    }
}

/// A gzip stream: `text`, then its last `distance` bytes again and again, some 160 times smaller than what it holds.
fn bomb(text: &[u8], distance_code: u32, repeats: usize) -> Vec<u8> {
    struct Bits(Vec<u8>, u32, u32);
    impl Bits {
        fn low_first(&mut self, value: u32, count: u32) {
            self.1 |= value << self.2;
            self.2 += count;
            while self.2 >= 8 {
                self.0.push((self.1 & 0xff) as u8);
                self.1 >>= 8;
                self.2 -= 8;
            }
        }
        /// Huffman codes stand with their highest bit first.
        fn code(&mut self, value: u32, count: u32) {
            self.low_first(value.reverse_bits() >> (32 - count), count);
        }
    }
    let head = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut bits = Bits(head, 0, 0);
    // The last block, with the fixed codes of RFC 1951, 3.2.6.
    bits.low_first(1, 1);
    bits.low_first(1, 2);
    text.iter().for_each(|byte| bits.code(0x30 + u32::from(*byte), 8));
    for _ in 0..repeats {
        // Length 258, and the distance.
        bits.code(0b1100_0101, 8);
        bits.code(distance_code, 5);
    }
    bits.code(0, 7);
    bits.low_first(0, 7);
    bits.0
}

#[tokio::test]
async fn a_gzip_bomb_is_left_at_the_limit_of_what_it_unpacks_to() {
    const HEAD: &str =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n";
    // 64 MiB of blank lines, and of one line.
    for (text, limit) in [(&b"\n"[..], "body"), (b"data: x", "line")] {
        let packed = bomb(text, 0, (64 << 20) / 258);
        assert!(packed.len() < 450 << 10, "{}", packed.len());
        let limits = Limits { line: 1 << 20, body: 4 << 20, ..Limits::default() };
        let (endpoint, _, _) = endless(HEAD, packed).await;
        let failure = failure(&endpoint, limits).await;
        assert_eq!(failure.fault.kind, FaultKind::Limit, "{}", failure.fault);
        says(&failure.fault.message, limit);
    }
}

#[tokio::test]
async fn a_refusal_without_an_end_is_told_by_its_beginning() {
    const HEAD: &str = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
    let (endpoint, taken, _) = endless(HEAD, vec![b'x'; 64 << 10]).await;
    let failure = failure(&endpoint, Limits::default()).await;
    assert_eq!(failure.status, Some(400));
    assert!(failure.fault.message.len() < 500 && taken.load(Ordering::Relaxed) <= ON_THE_WAY);
}

#[tokio::test]
async fn headers_without_an_end_are_left() {
    let (endpoint, taken, _) = endless("HTTP/1.1 200 OK\r\n", b"x-a: b\r\n".repeat(1000)).await;
    let flood = failure(&endpoint, Limits::default()).await;
    assert!(flood.fault.message.contains("more headers than are read"), "{}", flood.fault);
    assert!(!flood.again && taken.load(Ordering::Relaxed) <= ON_THE_WAY);
    // One long one.
    let (endpoint, taken, _) = endless("HTTP/1.1 200 OK\r\nx-long: ", vec![b'a'; 64 << 10]).await;
    let long = failure(&endpoint, Limits::default()).await;
    assert!(long.fault.message.contains("more headers than are read"), "{}", long.fault);
    assert!(taken.load(Ordering::Relaxed) <= ON_THE_WAY);
    // None at all: the first byte's limit.
    let (endpoint, _, _) = endless("HTTP/1.1 200 OK\r\n", Vec::new()).await;
    let limits = Limits { first_byte: Duration::from_millis(200), ..Limits::default() };
    says(&failure(&endpoint, limits).await.fault.message, "first_byte");
}
