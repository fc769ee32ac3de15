//! What dispatch at the closing brace is worth, measured over the real engine, network, store and a real MCP server
//! over stdio: how long a call takes from the write of its closing byte by the endpoint to its arrival at the tool
//! server, and how long a round takes against the shortest that its parts allow.
//!
//! `cargo bench --bench dispatch`. The program is endpoint, client and, as a child of itself, tool server: all three
//! read one clock, the machine's wall clock in nanoseconds.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement that cannot be made should stop")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use millrace::chat::{
    Api, Approve, CallState, Dispatch, Limits, Order, Parent, Part, Policy, ServerName, Submit, TurnEvent, TurnId,
    TurnSettings,
};
use millrace::cli::boot::{Boot, server_rules};
use millrace::config::{Consent, ServerEntry, Source, Transport};
use millrace::net::{Endpoint, Http, HttpOptions};
use millrace::store::{OpenMode, Store};
use millrace::tools::RegistryRules;
use serde_json::{Value, json};

const ROUNDS: usize = 30;
const CALLS: usize = 10;
/// Between two calls of the first experiment: long enough that each is alone.
const APART: Duration = Duration::from_millis(4);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("tool-server") => tool_server(),
        Some(millrace::mcp::watchdog::SUBCOMMAND) => millrace::mcp::watchdog::watch(std::io::stdin().lock()),
        _ => {
            if cfg!(debug_assertions) {
                println!("a debug build: these figures say little");
            }
            latency();
            for dispatch in [Dispatch::Close, Dispatch::Finish] {
                turn_length(dispatch);
            }
        }
    }
}

fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
}

fn ms(nanos: u128) -> f64 {
    nanos as f64 / 1e6
}

// ── the tool server: one line in, one line out ───────────────────────────────────────────────────────────────────────

fn tool_server() {
    let answer = |id: &Value, result: Value| {
        let line = json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string();
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    };
    for line in std::io::stdin().lock().lines() {
        let arrived = now();
        let Ok(message) = serde_json::from_str::<Value>(&line.unwrap()) else { continue };
        let id = message["id"].clone();
        match message["method"].as_str().unwrap_or_default() {
            "initialize" => answer(
                &id,
                json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                    "serverInfo": {"name": "bench", "version": "1"}}),
            ),
            "tools/list" => {
                let properties = json!({"n": {"type": "integer"}, "ms": {"type": "integer"}});
                let schema = json!({"type": "object", "properties": properties, "required": ["n"]});
                answer(&id, json!({"tools": [{"name": "work", "description": "Works.", "inputSchema": schema}]}));
            }
            "tools/call" => {
                let arguments = message["params"]["arguments"].clone();
                let work = Duration::from_millis(arguments["ms"].as_u64().unwrap_or(0));
                // A call that works must not hold back the reading of the next.
                thread::spawn(move || {
                    thread::sleep(work);
                    let text = json!({"n": arguments["n"], "arrived": arrived as u64, "answered": now() as u64});
                    answer(&id, json!({"content": [{"type": "text", "text": text.to_string()}]}));
                });
            }
            "" | "notifications/initialized" | "notifications/cancelled" => {}
            _ if id.is_null() => {}
            other => {
                let error = json!({"code": -32601, "message": format!("no {other}")});
                println!("{}", json!({"jsonrpc": "2.0", "id": id, "error": error}));
            }
        }
    }
}

// ── the endpoint: one response a request, each line at its moment ────────────────────────────────────────────────────

#[derive(Clone)]
enum Act {
    Wait(Duration),
    Text(&'static str),
    /// `n` and the milliseconds that it works. The moment of its closing fragment is noted.
    Call {
        n: usize,
        ms: u64,
    },
}

#[derive(Default)]
struct Seen {
    /// When the closing fragment of call `n` was about to be written.
    closed: BTreeMap<usize, u128>,
    /// When each request had arrived, and when the stream of its answer ended.
    rounds: Vec<(u128, u128)>,
}

fn endpoint(script: Vec<Vec<Act>>) -> (String, Arc<Mutex<Seen>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let noted = Arc::clone(&seen);
    thread::spawn(move || {
        let mut script = script.into_iter();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            // A connection that asks nothing (built ahead, or closed again) costs no response.
            if !read_request(&mut stream) {
                continue;
            }
            let began = now();
            let Some(acts) = script.next() else { return };
            respond(&mut stream, &acts, &noted);
            noted.lock().unwrap().rounds.push((began, now()));
        }
    });
    (format!("http://{address}/v1"), seen)
}

fn read_request(stream: &mut TcpStream) -> bool {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return false;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).is_ok()
}

fn respond(stream: &mut TcpStream, acts: &[Act], seen: &Mutex<Seen>) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut say = |delta: Value, finish: Option<&str>| {
        let chunk = json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "bench",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
        stream.write_all(format!("data: {chunk}\n\n").as_bytes()).unwrap();
    };
    let mut index = 0;
    for act in acts {
        match act {
            Act::Wait(time) => thread::sleep(*time),
            Act::Text(text) => say(json!({"content": text}), None),
            Act::Call { n, ms } => {
                let function = json!({"name": "bench__work", "arguments": ""});
                let opening =
                    json!({"index": index, "id": format!("call_{n}"), "type": "function", "function": function});
                say(json!({"tool_calls": [opening]}), None);
                let arguments = json!({"n": n, "ms": ms}).to_string();
                let (most, last) = arguments.split_at(arguments.len() - 1);
                say(json!({"tool_calls": [{"index": index, "function": {"arguments": most}}]}), None);
                // The intent of a call is synced while its arguments stream: leave it the time that a model takes.
                thread::sleep(Duration::from_millis(15));
                seen.lock().unwrap().closed.insert(*n, now());
                say(json!({"tool_calls": [{"index": index, "function": {"arguments": last}}]}), None);
                index += 1;
            }
        }
    }
    say(json!({}), Some(if index > 0 { "tool_calls" } else { "stop" }));
    let _ = stream.write_all(b"data: [DONE]\n\n");
}

// ── the client ───────────────────────────────────────────────────────────────────────────────────────────────────────

fn entry() -> ServerEntry {
    let command = std::env::current_exe().unwrap().display().to_string();
    ServerEntry {
        name: ServerName::new("bench"),
        transport: Transport::Stdio { command, args: vec!["tool-server".into()], env: BTreeMap::new(), cwd: None },
        trust: true,
        policy: Some(Policy::Allow),
        policies: BTreeMap::new(),
        tools_allow: None,
        dispatch: None,
        dispatches: BTreeMap::new(),
        era: None,
        jsonrpc: false,
        start_timeout: None,
        call_timeout: None,
        consent: Consent::Given,
        source: Source::Program,
        entry_hash: Arc::from("bench:1"),
        disabled: None,
        sign_in: Default::default(),
        features: Default::default(),
    }
}

/// One turn, saving on. Gives back what the tool server said of each call: arrival and answer, by number.
fn turn(base_url: &str, dispatch: Dispatch) -> BTreeMap<usize, (u128, u128)> {
    let home = tempfile::tempdir().unwrap();
    let limits = Arc::new(Limits::default());
    let entry = entry();
    let rules = RegistryRules {
        servers: [(entry.name.clone(), server_rules(&entry).unwrap())].into(),
        ..RegistryRules::default()
    };
    let boot = Boot {
        http: Http::new(HttpOptions::new(&limits)),
        endpoint: Some(Endpoint::new(base_url, Api::Chat).unwrap()),
        limits,
        rules,
        servers: vec![entry],
        store: Some(Store::open(&home.path().join("bench.db"), OpenMode::Write).unwrap()),
        retention: millrace::store::Retention::default(),
        folder: home.path().to_path_buf(),
        cache: None,
        paths: None,
        sign_ins: None,
        titles: None,
        attended: false,
        headless: true,
        wait_for_servers: true,
        recorder: None,
    };
    let mut running = boot.start().unwrap();
    let settings = TurnSettings {
        model: "bench".into(),
        approve: Approve::All,
        dispatch,
        headless: true,
        max_rounds: Some(u32::try_from(ROUNDS).unwrap() + 2),
        ..TurnSettings::default()
    };
    let submit =
        Submit { turn: TurnId(1), conversation: None, parent: Parent::Newest, parts: vec![Part::text("go")], settings };
    running.handle.order(Order::Submit(Box::new(submit)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut told = BTreeMap::new();
        'turn: while let Some(batch) = running.handle.next().await {
            for event in batch {
                match event.body {
                    TurnEvent::Call { update, .. } => {
                        if let CallState::Ended(outcome) = update.state {
                            let text: Value = serde_json::from_str(&outcome.content).expect(&outcome.content);
                            let moment = |name: &str| u128::from(text[name].as_u64().unwrap());
                            let n = usize::try_from(text["n"].as_u64().unwrap()).unwrap();
                            told.insert(n, (moment("arrived"), moment("answered")));
                        }
                    }
                    TurnEvent::Error { fault, .. } => panic!("{fault}"),
                    TurnEvent::Ended { .. } => break 'turn,
                    _ => {}
                }
            }
        }
        running.handle.orders.shutdown().await;
        if let Some(store) = running.store {
            let _ = store.close().await;
        }
        told
    })
}

// ── the experiments ──────────────────────────────────────────────────────────────────────────────────────────────────

fn latency() {
    let mut script: Vec<Vec<Act>> = (0..ROUNDS)
        .map(|round| {
            let calls = (0..CALLS).flat_map(|i| [Act::Call { n: round * CALLS + i, ms: 0 }, Act::Wait(APART)]);
            std::iter::once(Act::Text("Looking.")).chain(calls).collect()
        })
        .collect();
    script.push(vec![Act::Text("Done.")]);
    let (base_url, seen) = endpoint(script);
    let told = turn(&base_url, Dispatch::Close);
    let seen = seen.lock().unwrap();
    let mut took: Vec<f64> = told.iter().map(|(n, (arrived, _))| ms(arrived.saturating_sub(seen.closed[n]))).collect();
    assert_eq!(took.len(), ROUNDS * CALLS, "calls were lost");
    took.sort_by(f64::total_cmp);
    let at = |share: f64| took[((took.len() - 1) as f64 * share).round() as usize];
    println!(
        "closing byte written by the endpoint → call read by its server, {} calls, saving on:\n  \
         p50 {:.2} ms   p90 {:.2} ms   p99 {:.2} ms   most {:.2} ms   (to hold: p50 0.6, p99 2)",
        took.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
}

fn turn_length(dispatch: Dispatch) {
    let mut acts = vec![Act::Text("Four things. ")];
    for n in 0..4 {
        acts.push(Act::Wait(Duration::from_millis(485)));
        acts.push(Act::Call { n, ms: 1000 });
    }
    for _ in 0..20 {
        acts.push(Act::Wait(Duration::from_millis(100)));
        acts.push(Act::Text("And so on. "));
    }
    let (base_url, seen) = endpoint(vec![acts, vec![Act::Text("Done.")]]);
    let told = turn(&base_url, dispatch);
    let seen = seen.lock().unwrap();
    let [(began, ended), (next, _)] = seen.rounds[..] else { panic!("two rounds") };
    let work = Duration::from_millis(1000).as_nanos();
    let latest = seen.closed.values().max().unwrap() + work;
    let shortest = ended.max(latest) - began;
    let took = next - began;
    let word = match dispatch {
        Dispatch::Close => "close ",
        Dispatch::Finish => "finish",
    };
    println!(
        "four calls of 1 s, closing 0.5 s apart, 2 s of text behind them, dispatch = {word}:\n  \
         request to next request {:.1} ms; max(end of stream, latest close + work) {:.1} ms; over it {:.1} ms   \
         (to hold at close: 3); first answer {:.0} ms after the request",
        ms(took),
        ms(shortest),
        ms(took) - ms(shortest),
        ms(told.values().map(|(_, answered)| *answered).min().unwrap() - began),
    );
}
