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

fn main() {
    if cfg!(debug_assertions) {
        println!("a debug build: these figures say little");
    }
    let words = ["the ", "tide ", "turns ", "at ", "noon, ", "and ", "\"so\" ", "é\n"];
    let text: Vec<Value> = (0..20_000).map(|n| json!({"content": words[n % words.len()]})).collect();
    compare("20,000 deltas of text", &stream(&text), CHUNK);

    let opened = json!({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "write", "arguments": ""}}]});
    let arguments = json!({"path": "notes.txt", "content": "a line of words, \"quoted\"\n".repeat(2_350)}).to_string();
    let pieces: Vec<char> = arguments.chars().collect();
    let size = pieces.len().div_ceil(17_000);
    let piece = |piece: &[char]| json!({"tool_calls": [{"index": 0, "function": {"arguments": piece.iter().collect::<String>()}}]});
    let calls: Vec<Value> = std::iter::once(opened).chain(pieces.chunks(size).map(piece)).collect();
    compare(&format!("{} fragments of arguments", calls.len() - 1), &stream(&calls), CHUNK);

    let content = "x".repeat(4 << 20);
    let arguments = json!({"path": "a", "content": content[..(4 << 20) - 64]}).to_string();
    let large = json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "write", "arguments": arguments}}]});
    let large = stream(&[large]);
    compare("one call of 4 MiB in one event", &large, CHUNK);
    compare("the same in chunks of one byte", &large, 1);
    compare("one event of 4 MiB of text", &stream(&[json!({ "content": content })]), CHUNK);
}

/// A body as OpenAI writes it.
fn stream(deltas: &[Value]) -> Vec<u8> {
    let event = |delta: &Value, finish: Option<&str>| {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
        let event = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "bench-1",
            "service_tier": "default", "system_fingerprint": "fp_1", "choices": [choice], "usage": null, "obfuscation": "aB3x"});
        format!("data: {event}\n\n")
    };
    let mut body: String = deltas.iter().map(|delta| event(delta, None)).collect();
    body.push_str(&event(&json!({}), Some("stop")));
    body.push_str("data: [DONE]\n\n");
    body.into_bytes()
}

fn compare(what: &str, body: &[u8], chunk: usize) {
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

fn timed(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

/// The way of a live response, without its socket.
fn read(body: &[u8], chunk: usize) {
    let limits = Limits::default();
    let mut reader = SseReader::new(Some("text/event-stream"), &limits);
    let mut decoder = Decoder::new(Api::Chat);
    let mut assembler = Assembler::new(Declared::new([("write", true)]), AssemblerLimits::from(&limits));
    let mut events = Vec::new();
    for chunk in body.chunks(chunk) {
        reader.push(chunk, &mut events).unwrap();
        for data in events.drain(..) {
            black_box(assembler.apply(decoder.event(&data)));
        }
    }
    reader.finish(&mut events).unwrap();
    black_box(assembler.end(StreamEnd::Eof));
    assert!(assembler.is_done() && (!assembler.content().is_empty() || assembler.calls().len() == 1));
}

/// Lines found, and each event's data parsed.
fn parse(body: &[u8]) {
    for line in body.split(|byte| *byte == b'\n') {
        let Some(data) = line.strip_prefix(b"data: ").filter(|data| *data != b"[DONE]") else { continue };
        black_box(serde_json::from_slice::<Value>(data).unwrap());
    }
}
