//! `millrace run` from outside: the built binary against scripted endpoints on loopback and real stdio servers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::mcp::PRELUDE;
pub(super) use answers::in_a_terminal;

mod answers;
mod around;
#[cfg(unix)]
mod browsed;
mod contract;
mod detached;
mod exchanged;
#[cfg(target_os = "linux")]
mod load;
mod mistakes;
mod policy;
mod providers;
mod recorded;
mod roles;
mod sampling;
mod saved;
mod tools;
#[cfg(unix)]
mod unkept;
mod wires;

/// One thing that a scripted response does after its head.
enum Step {
    Send(String),
    /// Goes on when this holds; a script that waits for ever ends its test.
    Until(Box<dyn Fn() -> bool + Send>),
    /// Neither data nor an end, until the client goes.
    Hang,
}

/// A scripted response; after its steps the connection is closed.
struct Reply {
    head: String,
    steps: Vec<Step>,
}

impl Reply {
    fn sse(steps: Vec<Step>) -> Self {
        Self { head: "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n".into(), steps }
    }

    /// A whole response of any status and type.
    fn plain(status: &str, content_type: &str, headers: &str, body: &str) -> Self {
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\n{headers}");
        Self { head, steps: vec![Step::Send(body.into())] }
    }

    /// A whole answer in words.
    fn text(text: &str) -> Self {
        Self::sse(vec![say(text), usage(), finish("stop")])
    }

    /// One round of calls: wire name and arguments.
    fn calls(calls: &[(&str, &str)]) -> Self {
        let mut steps: Vec<Step> = calls.iter().enumerate().map(|(at, (name, args))| call(at, name, args)).collect();
        steps.push(finish("tool_calls"));
        Self::sse(steps)
    }
}

fn event(value: &Value) -> Step {
    Step::Send(format!("data: {value}\n\n"))
}

fn say(text: &str) -> Step {
    event(&json!({"choices": [{"index": 0, "delta": {"content": text}}]}))
}

fn call(index: usize, name: &str, arguments: &str) -> Step {
    let call = json!({"index": index, "id": format!("call_{name}_{index}"), "type": "function",
        "function": {"name": name, "arguments": arguments}});
    event(&json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}))
}

fn usage() -> Step {
    event(&json!({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}))
}

fn finish(reason: &str) -> Step {
    Step::Send(format!(
        "data: {}\n\ndata: [DONE]\n\n",
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    ))
}

/// An endpoint that answers each request with the next reply of its script.
struct Provider {
    port: u16,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    seen: Arc<Mutex<Vec<Value>>>,
    /// The heads of all requests, in order.
    heads: Arc<Mutex<Vec<String>>>,
}

impl Provider {
    fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let replies = Arc::new(Mutex::new(VecDeque::from(replies)));
        let ours = Arc::clone(&replies);
        let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
        let theirs = Arc::clone(&seen);
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let theirs_too = Arc::clone(&heads);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (replies, seen) = (Arc::clone(&replies), Arc::clone(&theirs));
                let heads = Arc::clone(&theirs_too);
                std::thread::spawn(move || serve(stream, &replies, &seen, &heads));
            }
        });
        Self { port, replies: ours, seen, heads }
    }

    /// Another script, from its beginning.
    fn script(&self, replies: Vec<Reply>) {
        *self.replies.lock().unwrap() = replies.into();
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// The bodies that were asked, in order.
    fn requests(&self) -> Vec<Value> {
        self.seen.lock().unwrap().clone()
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// The keys that were shown to it since the last look, one a request; empty where none was.
    fn keys(&self) -> Vec<String> {
        let key = |head: String| {
            let line = head.lines().find(|l| l.to_ascii_lowercase().starts_with("authorization:"));
            line.map(|l| l[14..].trim().to_owned()).unwrap_or_default()
        };
        std::mem::take(&mut *self.heads.lock().unwrap()).into_iter().map(key).collect()
    }

    /// The messages of one request, as role and text.
    fn told(&self, request: usize) -> Vec<(String, String)> {
        let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        let requests = self.requests();
        let messages = requests[request]["messages"].as_array().unwrap();
        messages.iter().map(|m| (text(&m["role"]), text(&m["content"]))).collect()
    }
}

fn serve(
    mut stream: TcpStream,
    replies: &Mutex<VecDeque<Reply>>,
    seen: &Mutex<Vec<Value>>,
    heads: &Mutex<Vec<String>>,
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut length = 0;
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    // The screen asks for the list of models beside the script: an answer is not spent on it.
    let streams = replies.lock().unwrap().front().is_some_and(|reply| reply.head.contains("event-stream"));
    if head.starts_with("GET ") && streams {
        let _ = write!(stream, "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        return;
    }
    heads.lock().unwrap().push(head);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    seen.lock().unwrap().push(serde_json::from_slice(&body).unwrap_or(Value::Null));
    let reply = replies.lock().unwrap().pop_front();
    let reply = reply.unwrap_or_else(|| Reply::plain("500 Oops", "text/plain", "", "the script has ended"));
    let _ = write!(stream, "{}connection: close\r\n\r\n", reply.head);
    for step in reply.steps {
        match step {
            Step::Send(text) => {
                if stream.write_all(text.as_bytes()).and_then(|()| stream.flush()).is_err() {
                    return;
                }
            }
            Step::Until(holds) => wait(&*holds),
            Step::Hang => {
                let _ = reader.read(&mut [0; 1]);
            }
        }
    }
}

/// Waits for something that another process does.
#[track_caller]
fn wait(holds: &dyn Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(120), "it never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A folder with everything of one user.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Servers in a file for `--mcp`: the demo's own, and a fake one made of a shell script.
    fn servers(&self, fake: Option<&str>) -> PathBuf {
        let mut servers = json!({"demo": {"command": env!("CARGO_BIN_EXE_millrace"), "args": ["demo-server"]}});
        if let Some(script) = fake {
            // It says nothing of its own use: that would be part of every request.
            let prelude = PRELUDE.replace(r#","instructions":"Be kind.""#, "");
            let script = format!("{prelude}{script}\nserve\n");
            // Not as an argument: there `${…}` is a variable of the configuration.
            let script = self.file("fake.sh", &script);
            let log = self.path("log");
            servers["fake"] = json!({"command": "sh", "args": [script], "env": {"LOG": log}});
        }
        self.file("servers.json", &json!({"mcpServers": servers}).to_string())
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        command.args(args).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("MILLRACE_HOME", self.path("m")).env("HOME", self.0.path()).current_dir(self.0.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, provider: &Provider, args: &[&str]) -> Command {
        let base = format!("http://127.0.0.1:{}/v1", provider.port);
        let mut command = self.command(&["run", "--base-url", &base, "-m", "scripted"]);
        command.args(args);
        command
    }

    /// The newest conversation as `history show last --json` tells it.
    fn last(&self) -> Value {
        let told = done(self.command(&["history", "show", "last", "--json"]).output().unwrap(), 0);
        serde_json::from_str(&told.out).unwrap()
    }
}

struct Told {
    out: String,
    err: String,
}

#[track_caller]
fn done(output: Output, code: i32) -> Told {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let told = Told { out: text(output.stdout), err: text(output.stderr) };
    assert_eq!(output.status.code(), Some(code), "stdout: {}\nstderr: {}", told.out, told.err);
    told
}

/// What an NDJSON run told, held to the contract.
struct Events(Vec<Value>);

impl Events {
    #[track_caller]
    fn of(mut command: Command, code: i32) -> Self {
        Self::read(&done(command.output().unwrap(), code).out)
    }

    #[track_caller]
    fn read(out: &str) -> Self {
        let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lawful(&lines);
        Self(lines)
    }

    fn named(&self, name: &str) -> Vec<&Value> {
        self.0.iter().filter(|line| line["event"] == name).collect()
    }

    #[track_caller]
    fn one(&self, name: &str) -> &Value {
        let found = self.named(name);
        assert_eq!(found.len(), 1, "{name}: {}", self.shown());
        found[0]
    }

    fn shown(&self) -> String {
        self.0.iter().map(|line| format!("\n{line}")).collect()
    }

    /// How a call ended, by its tool.
    #[track_caller]
    fn end(&self, wire_name: &str) -> &Value {
        let is_end = |l: &&Value| l["event"] == "call" && l["wire_name"] == wire_name && l.get("sent").is_some();
        self.0.iter().find(is_end).unwrap_or_else(|| panic!("{wire_name} has no end: {}", self.shown()))
    }

    /// Where an event stands.
    #[track_caller]
    fn place(&self, what: &str, holds: impl Fn(&Value) -> bool) -> usize {
        self.0.iter().position(holds).unwrap_or_else(|| panic!("no {what}: {}", self.shown()))
    }

    fn status(&self) -> &str {
        self.0.last().unwrap()["status"].as_str().unwrap()
    }
}

/// Contract section 3, for any run that began.
#[track_caller]
fn lawful(lines: &[Value]) {
    const ENDS: [&str; 9] =
        ["done", "failed", "denied", "timed_out", "cancelled", "unknown", "invalid", "incomplete", "conflict"];
    let mut t = 0.0;
    let mut states: HashMap<&str, Vec<&str>> = HashMap::new();
    // Each request: its round, what it offers and how many.
    let mut offered: Vec<(u64, &str, u64)> = Vec::new();
    let mut arguments: HashMap<&str, Vec<f64>> = HashMap::new();
    for (at, line) in lines.iter().enumerate() {
        let name = line["event"].as_str().unwrap();
        let now = line["t"].as_f64().unwrap();
        assert!(now >= t, "time goes back: {line}");
        t = now;
        assert_eq!(name == "ended", at + 1 == lines.len(), "ended is last and nothing else is: {lines:#?}");
        match name {
            "request" => offered.push((
                line["round"].as_u64().unwrap(),
                line["tools_hash"].as_str().unwrap(),
                line["tools"].as_u64().unwrap(),
            )),
            "call" => {
                let call = line["call"].as_str().unwrap();
                let state = line["state"].as_str().unwrap();
                let before = states.entry(call).or_default();
                assert!(!before.last().is_some_and(|last| ENDS.contains(last)), "after its end: {line}");
                match state {
                    "arguments" => {
                        assert!(before.iter().all(|s| *s == "arguments"), "{line}");
                        arguments.entry(call).or_default().push(now);
                    }
                    "closed" => assert!(before.iter().all(|s| *s == "arguments"), "{line}"),
                    "waiting" | "running" => {
                        assert!(before.contains(&"closed") && !before.contains(&"running"), "{line}")
                    }
                    "progress" => assert!(before.contains(&"running"), "{line}"),
                    end => {
                        assert!(ENDS.contains(&end), "{line}");
                        for field in ["content", "structured", "bytes", "ms", "truncated", "sent"] {
                            assert!(line.get(field).is_some(), "{field} is missing: {line}");
                        }
                    }
                }
                before.push(state);
            }
            _ => {}
        }
    }
    for (call, states) in &states {
        assert_eq!(states.iter().filter(|s| ENDS.contains(s)).count(), 1, "{call}: {states:?}");
    }
    // What is offered stays as it was, byte for byte; a round in which the model searched may add what it found, and one
    // in which a result was cut adds the one tool that reads on.
    let searched = |round: u64| {
        lines.iter().any(|line| line["wire_name"] == "find_tools" && line["round"].as_u64() == Some(round))
    };
    let cut = |round: u64| lines.iter().any(|line| line["truncated"] == true && line["round"].as_u64() == Some(round));
    for pair in offered.windows(2) {
        let ((round, before, few), (_, after, more)) = (pair[0], pair[1]);
        let grew = searched(round) && more > few || cut(round) && more == few + 1;
        assert!(before == after || grew, "{offered:?}");
    }
    for times in arguments.values() {
        assert!(times.windows(21).all(|w| w[20] - w[0] >= 1000.0 - 1e-6), "more than 20 a second: {times:?}");
    }
    assert_eq!(lines.iter().position(|l| l["event"] == "started"), Some(0), "{lines:#?}");
}

/// A child that is killed with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

fn logged(path: &Path, text: &str) -> bool {
    std::fs::read_to_string(path).is_ok_and(|log| log.contains(text))
}
