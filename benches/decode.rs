//! What reading a response costs, against `serde_json` parsing the same bytes into values. Prints; judges nothing.
//!
//! `cargo bench --bench decode`; each figure is the least of its runs, taken in turns, since machines differ.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot be made should stop")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use millrace::chat::{Api, Limits};
use millrace::net::sse::SseReader;
use millrace::turn::{Assembler, AssemblerLimits, Declared, StreamEnd};
use millrace::wire::Decoder;
use serde_json::{Value, json};

const RUNS: usize = 15;
/// As the network hands it over.
const CHUNK: usize = 16 << 10;
const TEXTS: usize = 20_000;
const FRAGMENTS: usize = 17_000;

fn main() {
    if cfg!(debug_assertions) {
        println!("a debug build: these figures say little");
    }
    let words = ["the ", "tide ", "turns ", "at ", "noon, ", "and ", "\"so\" ", "é\n"];
    let text = (0..TEXTS).map(|n| json!({"content": words[n % words.len()]}));
    compare("20,000 deltas of text", &stream(text), TEXTS, CHUNK);

    let opened = json!({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "write", "arguments": ""}}]});
    let arguments = json!({"path": "notes.txt", "content": "a line of words, \"quoted\"\n".repeat(2_350)}).to_string();
    assert!(arguments.is_ascii() && arguments.len() >= FRAGMENTS * 4, "a fragment has four characters or five");
    let cut = |n: usize| n * arguments.len() / FRAGMENTS;
    let piece = |n| json!({"tool_calls": [{"index": 0, "function": {"arguments": &arguments[cut(n)..cut(n + 1)]}}]});
    let calls = std::iter::once(opened).chain((0..FRAGMENTS).map(piece));
    compare("17,000 fragments of arguments", &stream(calls), 1 + FRAGMENTS, CHUNK);

    let content = "x".repeat(4 << 20);
    let arguments = json!({"path": "a", "content": content[..(4 << 20) - 64]}).to_string();
    let large = json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "write", "arguments": arguments}}]});
    let large = stream([large]);
    compare("one call of 4 MiB in one event", &large, 1, CHUNK);
    compare("the same in chunks of one byte", &large, 1, 1);
    compare("one event of 4 MiB of text", &stream([json!({ "content": content })]), 1, CHUNK);
}

/// A body as OpenAI writes it.
fn stream(deltas: impl IntoIterator<Item = Value>) -> Vec<u8> {
    let event = |delta: &Value, finish: Option<&str>| {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
        let event = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "bench-1",
            "service_tier": "default", "system_fingerprint": "fp_1", "choices": [choice], "usage": null, "obfuscation": "aB3x"});
        format!("data: {event}\n\n")
    };
    let mut body: String = deltas.into_iter().map(|delta| event(&delta, None)).collect();
    body.push_str(&event(&json!({}), Some("stop")));
    body.push_str("data: [DONE]\n\n");
    body.into_bytes()
}

/// `deltas` are those that the body must turn out to hold, in an event each; a finish and `[DONE]` follow.
fn compare(what: &str, body: &[u8], deltas: usize, chunk: usize) {
    assert_eq!(read(body, chunk), deltas + 2, "{what}");
    let (mut ours, mut theirs) = (Duration::MAX, Duration::MAX);
    for _ in 0..if chunk == 1 { 3 } else { RUNS } {
        ours = ours.min(timed(|| read(body, chunk)));
        theirs = theirs.min(timed(|| parse(body)));
    }
    println!(
        "{what}: read, decoded and assembled in {:.2} ms; serde_json parses the same in {:.2} ms; ratio {:.2}",
        ours.as_secs_f64() * 1e3,
        theirs.as_secs_f64() * 1e3,
        ours.as_secs_f64() / theirs.as_secs_f64()
    );
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let began = Instant::now();
    black_box(work());
    began.elapsed()
}

/// The way of a live response, without its socket. How many events there were.
fn read(body: &[u8], chunk: usize) -> usize {
    let limits = Limits::default();
    let mut reader = SseReader::new(Some("text/event-stream"), &limits);
    let mut decoder = Decoder::new(Api::Chat);
    let mut assembler = Assembler::new(Declared::new([("write", true)]), AssemblerLimits::from(&limits));
    let (mut events, mut count) = (Vec::new(), 0);
    for chunk in body.chunks(chunk) {
        reader.push(chunk, &mut events).unwrap();
        count += events.len();
        for data in events.drain(..) {
            black_box(assembler.apply(decoder.event(&data)));
        }
    }
    reader.finish(&mut events).unwrap();
    black_box(assembler.end(StreamEnd::Eof));
    assert!(assembler.is_done() && (!assembler.content().is_empty() || assembler.calls().len() == 1));
    count + events.len()
}

/// Lines found, and each event's data parsed.
fn parse(body: &[u8]) {
    for line in body.split(|byte| *byte == b'\n') {
        let Some(data) = line.strip_prefix(b"data: ").filter(|data| *data != b"[DONE]") else { continue };
        black_box(serde_json::from_slice::<Value>(data).unwrap());
    }
}
