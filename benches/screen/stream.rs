//! 20,000 tokens as fast as the socket gives them, from the endpoint to the bytes for the terminal.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace::app::Event;
use millrace::chat::{Api, Limits, Order, Parent, Part, Stamped, Submit, TurnEvent, TurnSettings};
use millrace::cli::boot::Boot;
use millrace::net::{Endpoint, Http, HttpOptions};
use millrace::store::{OpenMode, Store};
use millrace::tools::RegistryRules;
use serde_json::Value;

use crate::desk::{Desk, tokens};
use crate::{endpoint, ms, process_cpu, thread_cpu};

const FRAME: Duration = Duration::from_micros(16_667);

pub fn fast() {
    let words = tokens(20_000);
    let base_url = endpoint::serve(&words, None);
    let bare = (0..5).map(|_| raw(&base_url)).min().unwrap();
    let (mut walls, mut cpus) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let (wall, cpu) = whole(&base_url);
        walls.push(ms(wall));
        cpus.push(cpu.as_secs_f64() / bare.as_secs_f64());
    }
    walls.sort_by(f64::total_cmp);
    cpus.sort_by(f64::total_cmp);
    println!(
        "20,000 tokens at once: on the screen in {:.0} ms, least {:.0} (to hold: 150), with {:.1} times the processor \
         time, least {:.1}, of reading, parsing and writing them raw, {:.1} ms (to hold: 3)",
        walls[2],
        walls[0],
        cpus[2],
        cpus[0],
        ms(bare),
    );
}

/// The least that any client must do: read, cut into events, parse, write.
fn raw(base_url: &str) -> Duration {
    let host = base_url.trim_start_matches("http://").trim_end_matches("/v1");
    let mut stream = TcpStream::connect(host).unwrap();
    stream.write_all(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}").unwrap();
    let mut out = std::fs::File::create("/dev/null").unwrap();
    let cpu = thread_cpu();
    for line in BufReader::with_capacity(64 << 10, &stream).lines() {
        let line = line.unwrap();
        let Some(data) = line.strip_prefix("data: ").filter(|data| *data != "[DONE]") else { continue };
        let chunk: Value = serde_json::from_str(data).unwrap();
        if let Some(text) = chunk["choices"][0]["delta"]["content"].as_str() {
            out.write_all(text.as_bytes()).unwrap();
        }
    }
    Duration::from_nanos(thread_cpu() - cpu)
}

/// Wall time from the order to the last frame, and the processor time of engine, store and screen.
fn whole(base_url: &str) -> (Duration, Duration) {
    let home = tempfile::tempdir().unwrap();
    let limits = Arc::new(Limits::default());
    let http = Http::new(HttpOptions::new(&limits));
    http.client().unwrap();
    let boot = Boot {
        http,
        endpoint: Some(Endpoint::new(base_url, Api::Chat).unwrap()),
        limits,
        rules: RegistryRules::default(),
        servers: Vec::new(),
        store: Some(Store::open(&home.path().join("bench.db"), OpenMode::Write).unwrap()),
        retention: millrace::store::Retention::default(),
        folder: home.path().to_path_buf(),
        cache: None,
        paths: None,
        sign_ins: None,
        titles: None,
        attended: false,
        headless: false,
        wait_for_servers: false,
        recorder: None,
    };
    let mut running = boot.start().unwrap();
    let mut desk = Desk::new(120, 36);
    let turn = desk.ask("go");
    let settings = TurnSettings { model: "bench".into(), ..TurnSettings::default() };
    let submit = Submit { turn, conversation: None, parent: Parent::Newest, parts: vec![Part::text("go")], settings };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (wall, cpu) = runtime.block_on(async {
        let (began, cpu) = (Instant::now(), process_cpu(std::process::id()));
        running.handle.order(Order::Submit(Box::new(submit)));
        let (mut frame_at, mut dirty, mut ended) = (tokio::time::Instant::now(), false, false);
        while dirty || !ended {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(frame_at), if dirty => {
                    desk.draw();
                    (dirty, frame_at) = (false, tokio::time::Instant::now() + FRAME);
                }
                events = running.handle.next(), if !dirty => {
                    for Stamped { at: _, body } in events.unwrap() {
                        ended |= matches!(body, TurnEvent::Ended { .. });
                        desk.pass(Duration::from_micros(1));
                        desk.event(Event::Engine(body));
                    }
                    dirty = true;
                }
            }
        }
        (began.elapsed(), process_cpu(std::process::id()) - cpu)
    });
    runtime.block_on(running.handle.orders.shutdown());
    assert_eq!(desk.state.transcript.entries.len(), 2);
    // The endpoint's own share is a write of prepared bytes.
    (wall, Duration::from_nanos(cpu))
}
