//! The other ends: an endpoint that writes prepared tokens, and a tool server of one tool.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// When each token was written to a socket, since the last request.
pub type Sent = Arc<Mutex<Vec<Instant>>>;

/// Answers every completion with the tokens: each after `pause`, or all at once. Returns the base URL.
pub fn serve(tokens: &[String], pause: Option<Duration>) -> String {
    serve_told(tokens, pause).0
}

/// The same, and tells when it wrote which.
pub fn serve_told(tokens: &[String], pause: Option<Duration>) -> (String, Sent) {
    let sent = Sent::default();
    let told = Arc::clone(&sent);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let events: Vec<Vec<u8>> = tokens.iter().map(|text| event(json!({ "content": text }), None)).collect();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            // Whoever asked may have gone.
            let _ = match read_request(&mut stream).as_deref() {
                Some("POST") => {
                    told.lock().unwrap().clear();
                    answer(&mut stream, &events, pause, &told)
                }
                // The list of models: there is none.
                Some(_) => {
                    stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                }
                None => Ok(()),
            };
        }
    });
    (format!("http://{address}/v1"), sent)
}

fn answer(stream: &mut TcpStream, events: &[Vec<u8>], pause: Option<Duration>, sent: &Sent) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")?;
    match pause {
        None => stream.write_all(&events.concat())?,
        Some(pause) => {
            for event in events {
                sent.lock().unwrap().push(Instant::now());
                stream.write_all(event)?;
                thread::sleep(pause);
            }
        }
    }
    stream.write_all(&event(json!({}), Some("stop")))?;
    stream.write_all(b"data: [DONE]\n\n")
}

fn event(delta: Value, finish: Option<&str>) -> Vec<u8> {
    let chunk = json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "bench",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    format!("data: {chunk}\n\n").into_bytes()
}

/// The method of a request that came whole.
fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    let mut head = String::new();
    reader.read_line(&mut head).ok()?;
    let method = head.split(' ').next()?.to_owned();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(method)
}

pub fn tool_server() {
    for line in std::io::stdin().lock().lines() {
        let Ok(message) = serde_json::from_str::<Value>(&line.unwrap()) else { continue };
        let result = match message["method"].as_str().unwrap_or_default() {
            "initialize" => json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                "serverInfo": {"name": "bench", "version": "1"}}),
            "tools/list" => json!({"tools": [{"name": "work", "description": "Works.",
                "inputSchema": {"type": "object", "properties": {"n": {"type": "integer"}}}}]}),
            _ if message["id"].is_null() => continue,
            other => {
                let error = json!({"code": -32601, "message": format!("no {other}")});
                println!("{}", json!({"jsonrpc": "2.0", "id": message["id"], "error": error}));
                continue;
            }
        };
        println!("{}", json!({"jsonrpc": "2.0", "id": message["id"], "result": result}));
    }
}
