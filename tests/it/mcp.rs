//! The MCP host against servers that misbehave, as children (small shell scripts) and over HTTP on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use millrace::chat::{CallId, InquiryAnswer, Limits, ServerName, ServerState, ServerStatus};
use millrace::config::{Consent, Secret, ServerEntry, Source, Transport};
use millrace::mcp::{CallEnd, CallEvent, CallOrder, CallTicket, Host, HostEvent};
use millrace::tools::Listing;
use serde_json::{Value, json};
use tokio::sync::mpsc;

mod bare;
mod cancel;
mod catalog;
mod commands;
mod hostile;
mod http;
mod probe;
mod resume;
mod roots;
mod rounds;
mod said;
mod sampling;
mod sse;
mod tasks;
mod watch;
mod web;

/// A fake server: answers by method. `$1` of every function is the message's id; what it reads goes to `$LOG`.
/// A test overrides the functions it needs.
pub(super) const PRELUDE: &str = r#"
put() { printf '%s\n' "$1"; }
reply() { put '{"jsonrpc":"2.0","id":'"$1"',"result":'"$2"'}'; }
refuse() { put '{"jsonrpc":"2.0","id":'"$1"',"error":{"code":'"$2"',"message":"'"$3"'"}}'; }
discover() { refuse "$1" -32601 'Method not found'; }
initialize() { reply "$1" '{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"fake","version":"1"},"instructions":"Be kind."}'; }
list() { reply "$1" '{"tools":[{"name":"echo","inputSchema":{"type":"object"}}]}'; }
call() { reply "$1" '{"content":[{"type":"text","text":"done"}]}'; }
cancelled() { :; }
ready() { :; }
other() { :; }
serve() {
  while IFS= read -r line; do
    printf '%s\n' "$line" >> "$LOG"
    id=${line#*'"id":'}; id=${id%%,*}
    case $line in
      *'"method":"server/discover"'*) discover "$id" ;;
      *'"method":"initialize"'*) initialize "$id" ;;
      *'"method":"notifications/initialized"'*) ready ;;
      *'"method":"notifications/cancelled"'*) cancelled ;;
      *'"method":"tools/list"'*) list "$id" ;;
      *'"method":"tools/call"'*) last=$id; call "$id" ;;
      *'"method":"notifications/'*) ;;
      *'"id":'*) other "$id" ;;
    esac
  done
}
"#;

struct Fake {
    folder: tempfile::TempDir,
    script: String,
}

impl Fake {
    /// A server whose script is the prelude, then `overrides`, then its loop.
    fn new(overrides: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, script: format!("{PRELUDE}{overrides}\nserve\n") }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// How many messages with this method it has read.
    fn read(&self, method: &str) -> usize {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        text.matches(&format!("\"method\":\"{method}\"")).count()
    }

    fn entry(&self) -> ServerEntry {
        let env = BTreeMap::from([("LOG".to_owned(), Secret::new(self.log().display().to_string()))]);
        let args = vec!["-c".to_owned(), self.script.clone()];
        entry(Transport::Stdio { command: "sh".into(), args, env, cwd: None })
    }

    async fn up(&self, limits: Limits) -> Up {
        Up::new(limits, None, self.entry()).await
    }
}

pub(super) fn entry(transport: Transport) -> ServerEntry {
    ServerEntry {
        name: "fake".into(),
        transport,
        trust: false,
        policy: None,
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
        entry_hash: Arc::from("fake:0123"),
        disabled: None,
        sign_in: Default::default(),
        features: Default::default(),
    }
}

/// A host with one server, and what was heard of it.
struct Up {
    host: Host,
    events: mpsc::Receiver<HostEvent>,
}

fn client() -> reqwest::Client {
    // The provider is installed once per process; a second attempt is refused, and that is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

impl Up {
    async fn new(limits: Limits, cache: Option<&Path>, entry: ServerEntry) -> Self {
        let (host, events) = Host::new(client(), Arc::new(limits), cache.map(Path::to_owned));
        host.start(entry);
        Self { host, events }
    }

    async fn event(&mut self) -> HostEvent {
        tokio::time::timeout(Duration::from_secs(20), self.events.recv()).await.expect("no news for 20 s").unwrap()
    }

    /// The next question of a server; what else comes is passed over.
    async fn inquiry(&mut self) -> millrace::chat::Inquiry {
        loop {
            if let HostEvent::Inquiry(inquiry) = self.event().await {
                return inquiry;
            }
        }
    }

    async fn status(&mut self, state: ServerState) -> ServerStatus {
        loop {
            if let HostEvent::Status(status) = self.event().await
                && status.state == state
            {
                return status;
            }
        }
    }

    async fn listing(&mut self) -> Listing {
        loop {
            if let HostEvent::Listing(listing) = self.event().await {
                return listing;
            }
        }
    }

    fn call(&self, tool: &str, arguments: Value) -> CallTicket {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        self.host.call(CallOrder {
            call: CallId::new("c1"),
            server: ServerName::new("fake"),
            tool: tool.into(),
            arguments,
        })
    }
}

async fn events_of(mut ticket: CallTicket) -> Vec<CallEvent> {
    let mut all = Vec::new();
    while let Some(event) = ticket.next().await {
        all.push(event);
    }
    all
}

fn names(listing: &Listing) -> Vec<String> {
    listing.tools.iter().map(|tool| tool["name"].as_str().unwrap_or("?").to_owned()).collect()
}

#[tokio::test]
async fn a_server_that_dies_of_the_probe_is_started_again_and_greeted_the_old_way_from_then_on() {
    let fake = Fake::new("discover() { exit 3; }");
    let cache = tempfile::tempdir().unwrap();
    let mut up = Up::new(Limits::default(), Some(cache.path()), fake.entry()).await;
    let status = up.status(ServerState::Ready).await;
    assert_eq!((status.protocol.as_deref(), status.tools), (Some("2025-06-18"), 1));
    up.host.shutdown().await;
    assert_eq!((fake.read("server/discover"), fake.read("initialize")), (1, 1));

    let mut again = Up::new(Limits::default(), Some(cache.path()), fake.entry()).await;
    let cached = again.listing().await;
    assert!(cached.from_cache);
    assert_eq!(cached.instructions.as_deref(), Some("Be kind."));
    let live = again.listing().await;
    assert!(!live.from_cache);
    assert_eq!(live.tools, cached.tools);
    again.status(ServerState::Ready).await;
    again.host.shutdown().await;
    assert_eq!(fake.read("server/discover"), 1, "the era was remembered");
}

#[tokio::test]
async fn a_version_that_nobody_knows_is_refused() {
    let fake = Fake::new(
        r#"initialize() { reply "$1" '{"protocolVersion":"2019-01-01","capabilities":{},"serverInfo":{"name":"f","version":"1"}}'; }"#,
    );
    let mut up = fake.up(Limits::default()).await;
    let status = up.status(ServerState::Failed).await;
    assert_eq!(
        status.message.as_deref(),
        Some("it speaks protocol version 2019-01-01, which millrace does not. Update the server, or millrace.")
    );
}

#[tokio::test]
async fn one_bad_tool_loses_no_other() {
    let fake = Fake::new(
        r#"list() { reply "$1" '{"tools":[{"name":"a","inputSchema":null},{"name":"b","inputSchema":{"type":"object"},"x":1},7]}'; }"#,
    );
    let mut up = fake.up(Limits::default()).await;
    let listing = up.listing().await;
    assert_eq!(
        listing.tools,
        [json!({"name":"a","inputSchema":null}), json!({"name":"b","inputSchema":{"type":"object"},"x":1}), json!(7)]
    );
}

#[tokio::test]
async fn pages_are_followed_through_an_empty_cursor_and_out_of_circles() {
    let fake = Fake::new(
        r#"list() { case $line in
             *'"cursor":""'*) reply "$1" '{"tools":[{"name":"b"}],"nextCursor":"z"}' ;;
             *'"cursor":"z"'*) reply "$1" '{"tools":[{"name":"c"}],"nextCursor":""}' ;;
             *) reply "$1" '{"tools":[{"name":"a"}],"nextCursor":""}' ;;
           esac; }"#,
    );
    let mut up = fake.up(Limits::default()).await;
    assert_eq!(names(&up.listing().await), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_list_without_an_end_is_cut() {
    let fake =
        Fake::new(r#"n=0; list() { n=$((n+1)); reply "$1" '{"tools":[{"name":"t'$n'"}],"nextCursor":"'$n'"}'; }"#);
    let mut up = fake.up(Limits { tool_pages: 3, ..Limits::default() }).await;
    let HostEvent::Log { text, .. } = (loop {
        let event = up.event().await;
        if matches!(event, HostEvent::Log { .. }) {
            break event;
        }
    }) else {
        unreachable!()
    };
    assert_eq!(text, "its list of tools has more than 3 pages; the rest is left out");
    assert_eq!(names(&up.listing().await), ["t1", "t2", "t3"]);
}

#[tokio::test]
async fn a_call_is_sent_tells_its_progress_and_ends_with_the_raw_result() {
    let fake = Fake::new(
        r#"call() {
             token=${line#*'"progressToken":'}; token=${token%%[,\}]*}
             for n in 1 2; do put '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":'"$token"',"progress":'$n',"total":2,"message":"step '$n'"}}'; done
             reply "$1" '{"content":[{"type":"hologram","beam":[1,2]}],"extra":{"k":1.50}}'; }"#,
    );
    let up = fake.up(Limits::default()).await;
    // Ordered while the server is still starting: it waits, and leaves when the server is ready.
    let events = events_of(up.call("echo", json!({"id": "x", "n": 1e3}))).await;
    assert_eq!(events.first(), Some(&CallEvent::Sent));
    let end = CallEnd::Result(json!({"content":[{"type":"hologram","beam":[1,2]}],"extra":{"k":1.50}}));
    assert_eq!(events.last(), Some(&CallEvent::Ended(end)));
    let step = CallEvent::Progress { progress: 2.0, total: Some(2.0), message: Some("step 2".into()) };
    assert_eq!(events.get(events.len() - 2), Some(&step), "the last progress is never lost");
    assert_eq!(fake.read("tools/call"), 1);
}

#[tokio::test]
async fn a_flood_of_progress_is_thinned_and_its_last_word_kept() {
    let fake = Fake::new(
        r#"call() {
             token=${line#*'"progressToken":'}; token=${token%%[,\}]*}; n=0
             while [ $n -lt 500 ]; do n=$((n+1)); put '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":'"$token"',"progress":'$n'}}'; done
             reply "$1" '{}'; }"#,
    );
    let up = fake.up(Limits { messages_per_second: 3, ..Limits::default() }).await;
    let events = events_of(up.call("echo", json!({}))).await;
    assert!(events.len() < 20, "{} events", events.len());
    let last = CallEvent::Progress { progress: 500.0, total: None, message: None };
    assert_eq!(events.get(events.len() - 2), Some(&last));
}

#[tokio::test]
async fn a_server_that_dies_in_the_call_is_started_again_and_the_call_is_not() {
    let fake = Fake::new("call() { echo 'panic: out of cheese' >&2; exit 9; }");
    let mut up = fake.up(Limits::default()).await;
    up.status(ServerState::Ready).await;
    let end = up.call("echo", json!({})).end().await;
    assert_eq!(end, CallEnd::ServerGone { sent: true, message: "it ended the connection".into() });
    let status = up.status(ServerState::Failed).await;
    assert_eq!(status.stderr, ["panic: out of cheese"]);
    let message = status.message.unwrap();
    assert!(message.contains("exit status: 9") && message.ends_with("Trying again in 1 s."), "{message}");
    up.status(ServerState::Ready).await;
    assert_eq!(fake.read("tools/call"), 1, "a call that may have run is never sent again");
}

#[tokio::test]
async fn a_silent_call_times_out_and_its_server_is_told() {
    let fake = Fake::new("call() { :; }");
    let mut up = fake.up(Limits { call_idle: Duration::from_millis(150), ..Limits::default() }).await;
    up.status(ServerState::Ready).await;
    assert_eq!(up.call("echo", json!({})).end().await, CallEnd::TimedOut { sent: true });
    up.host.shutdown().await;
    assert_eq!(fake.read("notifications/cancelled"), 1);
}

#[tokio::test]
async fn progress_keeps_a_slow_call_alive_up_to_the_hard_limit() {
    let fake = Fake::new(
        r#"call() {
             token=${line#*'"progressToken":'}; token=${token%%[,\}]*}
             while :; do put '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":'"$token"',"progress":1}}'; sleep 0.1; done; }"#,
    );
    let limits =
        Limits { call_idle: Duration::from_millis(600), call: Duration::from_millis(1500), ..Limits::default() };
    let mut up = fake.up(limits).await;
    up.status(ServerState::Ready).await;
    let events = events_of(up.call("echo", json!({}))).await;
    assert_eq!(events.last(), Some(&CallEvent::Ended(CallEnd::TimedOut { sent: true })));
    let told = events.iter().filter(|event| matches!(event, CallEvent::Progress { .. })).count();
    assert!(told > 5, "progress came {told} times, so the idle limit was passed");
}

/// Calls, waits until it was sent, cancels, and says how it ended.
async fn cancelled(overrides: &str) -> CallEnd {
    let fake = Fake::new(overrides);
    let mut up = fake.up(Limits::default()).await;
    up.status(ServerState::Ready).await;
    let mut ticket = up.call("echo", json!({}));
    assert_eq!(ticket.next().await, Some(CallEvent::Sent));
    ticket.cancel();
    let end = ticket.end().await;
    up.host.shutdown().await;
    assert_eq!(fake.read("notifications/cancelled"), 1, "the server was told");
    end
}

#[tokio::test]
async fn the_end_of_a_cancelled_call_is_the_truth() {
    let (confirmed, finished, failed, silent) = tokio::join!(
        cancelled(r#"call() { :; }; cancelled() { refuse "$last" -32800 'Request cancelled'; }"#),
        cancelled(r#"call() { :; }; cancelled() { reply "$last" '{"content":[]}'; }"#),
        cancelled(r#"call() { :; }; cancelled() { refuse "$last" -32603 'half written'; }"#),
        cancelled("call() { :; }"),
    );
    assert_eq!(confirmed, CallEnd::Cancelled { acknowledged: true });
    assert_eq!(finished, CallEnd::Result(json!({"content": []})), "it had run all the same");
    let half = CallEnd::RpcError { code: -32603, message: "half written".into() };
    assert_eq!(failed, half, "what failed by itself was not stopped");
    assert_eq!(silent, CallEnd::Cancelled { acknowledged: false });
}

#[tokio::test]
async fn a_dropped_ticket_cancels_at_the_server() {
    let fake = Fake::new(r#"call() { :; }; cancelled() { echo told > "$LOG.told"; }"#);
    let mut up = fake.up(Limits::default()).await;
    up.status(ServerState::Ready).await;
    let mut ticket = up.call("echo", json!({}));
    assert_eq!(ticket.next().await, Some(CallEvent::Sent));
    drop(ticket);
    // The next call is answered after the server read the cancellation: one pipe, one order.
    let told = fake.folder.path().join("log.told");
    for _ in 0..200 {
        if told.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(told.exists());
}

#[tokio::test]
async fn a_call_cancelled_before_its_server_is_ready_never_leaves() {
    let fake = Fake::new("initialize() { :; }");
    let up = fake.up(Limits::default()).await;
    let ticket = up.call("echo", json!({}));
    ticket.cancel();
    assert_eq!(ticket.end().await, CallEnd::Cancelled { acknowledged: true });
}

#[tokio::test]
async fn errors_are_told_as_they_are() {
    let fake = Fake::new(r#"call() { refuse "$1" -32602 'no such tool'; }"#);
    let up = fake.up(Limits::default()).await;
    let end = up.call("nope", json!({})).end().await;
    assert_eq!(end, CallEnd::RpcError { code: -32602, message: "no such tool".into() });
}

#[tokio::test]
async fn banners_on_standard_output_do_no_harm() {
    let fake = Fake::new("echo 'Server v1 ready'; echo; echo '{broken'; ready() { echo 'hello again'; }");
    let mut up = fake.up(Limits::default()).await;
    assert_eq!(up.status(ServerState::Ready).await.tools, 1);
}

#[tokio::test]
async fn a_thousand_lines_of_garbage_end_the_connection() {
    let fake = Fake::new("call() { n=0; while [ $n -lt 1001 ]; do n=$((n+1)); echo garbage; done; }");
    let mut up = fake.up(Limits::default()).await;
    up.status(ServerState::Ready).await;
    let end = up.call("echo", json!({})).end().await;
    assert_eq!(
        end,
        CallEnd::ServerGone { sent: true, message: "it wrote 1000 lines in a row that are not MCP".into() }
    );
    let message = up.status(ServerState::Failed).await.message.unwrap();
    assert!(message.starts_with("it wrote 1000 lines in a row that are not MCP"), "{message}");
}

#[tokio::test]
async fn a_line_without_end_is_not_kept() {
    let fake =
        Fake::new("call() { while :; do printf xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done; }");
    let mut up = fake.up(Limits { line: 64 * 1024, ..Limits::default() }).await;
    up.status(ServerState::Ready).await;
    let end = up.call("echo", json!({})).end().await;
    let message = "it wrote a line of more than 65536 bytes".to_owned();
    assert_eq!(end, CallEnd::ServerGone { sent: true, message });
}

#[tokio::test]
async fn a_flood_on_standard_error_blocks_nothing_and_its_end_is_kept() {
    let fake = Fake::new(
        r#"call() { n=0; while [ $n -lt 3000 ]; do n=$((n+1)); echo "line $n of a long complaint about nothing" >&2; done; exit 1; }"#,
    );
    let mut up = fake.up(Limits { stderr: 200, ..Limits::default() }).await;
    up.status(ServerState::Ready).await;
    let end = up.call("echo", json!({})).end().await;
    assert!(matches!(end, CallEnd::ServerGone { sent: true, .. }), "{end:?}");
    let status = up.status(ServerState::Failed).await;
    assert_eq!(status.stderr.last().map(String::as_str), Some("line 3000 of a long complaint about nothing"));
    assert!(status.stderr.iter().map(String::len).sum::<usize>() <= 200);
}

#[tokio::test]
async fn a_server_sees_little_of_our_environment() {
    let fake = Fake::new(r#"call() { reply "$1" '{"names":"'"$(env | sed 's/=.*//' | tr '\n' ' ')"'"}'; }"#);
    let up = fake.up(Limits::default()).await;
    let CallEnd::Result(result) = up.call("echo", json!({})).end().await else { panic!("no result") };
    let names = result["names"].as_str().unwrap();
    // The shell adds PWD, OLDPWD, SHLVL and _ by itself.
    let allowed = ["PATH", "HOME", "LANG", "LANGUAGE", "TMPDIR", "TMP", "TEMP", "LOG", "PWD", "OLDPWD", "SHLVL", "_"];
    for name in names.split_whitespace() {
        assert!(allowed.contains(&name) || name.starts_with("LC_"), "{name} was inherited");
    }
    assert!(names.contains("PATH") && names.contains("LOG"));
}

#[tokio::test]
async fn announcements_of_changes_are_gathered_and_the_new_list_told() {
    let fake = Fake::new(
        r#"n=0
           list() { n=$((n+1)); reply "$1" '{"tools":[{"name":"v'$n'"}]}'; }
           call() { for i in 1 2 3 4 5; do put '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'; done; reply "$1" '{}'; }"#,
    );
    let mut up = fake.up(Limits::default()).await;
    assert_eq!(names(&up.listing().await), ["v1"]);
    up.call("echo", json!({})).end().await;
    assert_eq!(names(&up.listing().await), ["v2"]);
    up.host.refresh(&ServerName::new("fake"));
    assert_eq!(names(&up.listing().await), ["v3"], "five announcements were one reading");
}

#[tokio::test]
async fn log_messages_are_told_and_thinned() {
    let fake = Fake::new(
        r#"ready() { n=0; while [ $n -lt 200 ]; do n=$((n+1)); put '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"warning","logger":"db","data":"slow '$n'"}}'; done; }"#,
    );
    let mut up = fake.up(Limits { messages_per_second: 5, ..Limits::default() }).await;
    let mut told = Vec::new();
    loop {
        match up.event().await {
            HostEvent::Log { text, .. } => told.push(text),
            HostEvent::Status(status) if status.state == ServerState::Ready => break,
            HostEvent::Status(_)
            | HostEvent::Listing(_)
            | HostEvent::Inquiry(_)
            | HostEvent::InquiryEnded { .. }
            | HostEvent::News { .. }
            | HostEvent::SignIn { .. } => {}
        }
    }
    assert_eq!(told.first().map(String::as_str), Some("db: slow 1"));
    assert!(told.len() <= 15, "{} messages", told.len());
}

#[tokio::test]
async fn a_command_that_does_not_exist_says_what_to_do() {
    let command = "millrace-no-such-server".to_owned();
    let stdio = Transport::Stdio { command, args: Vec::new(), env: BTreeMap::new(), cwd: None };
    let mut up = Up::new(Limits::default(), None, entry(stdio)).await;
    let status = up.status(ServerState::Failed).await;
    assert_eq!(
        status.message.as_deref(),
        Some("the command millrace-no-such-server was not found. Install it, or give its full path in `command`.")
    );
    let CallEnd::NotSent { message } = up.call("echo", json!({})).end().await else { panic!("it was sent") };
    assert!(message.starts_with("the command millrace-no-such-server was not found"));
}

#[tokio::test]
async fn a_server_that_cannot_start_shows_its_last_words() {
    let fake = Fake::new("echo 'Error: JIRA_TOKEN is not set' >&2; exit 1");
    let mut up = fake.up(Limits::default()).await;
    let status = up.status(ServerState::Failed).await;
    assert_eq!(status.stderr, ["Error: JIRA_TOKEN is not set"]);
    let message = status.message.unwrap();
    assert!(message.starts_with("it ended before it was ready (exit status: 1)"), "{message}");
}

#[tokio::test]
async fn a_server_that_says_nothing_fails_within_its_limit() {
    let fake = Fake::new("discover() { :; }; initialize() { :; }");
    let mut entry = fake.entry();
    entry.start_timeout = Some(Duration::from_millis(300));
    let mut up = Up::new(Limits::default(), None, entry).await;
    let message = up.status(ServerState::Failed).await.message.unwrap();
    assert!(message.starts_with("it did not answer within"), "{message}");
}

#[tokio::test]
async fn without_consent_nothing_is_started() {
    let fake = Fake::new("");
    let mut entry = fake.entry();
    entry.consent = Consent::NeedsPerson;
    let mut up = Up::new(Limits::default(), None, entry.clone()).await;
    up.status(ServerState::NeedsConsent).await;
    assert!(matches!(up.call("echo", json!({})).end().await, CallEnd::NotSent { .. }));
    assert!(!fake.log().exists());
    entry.consent = Consent::Given;
    up.host.start(entry);
    up.status(ServerState::Ready).await;
}

#[cfg(unix)]
fn group_lives(leader: u32) -> bool {
    let pid = rustix::process::Pid::from_raw(i32::try_from(leader).unwrap()).unwrap();
    rustix::process::test_kill_process_group(pid).is_ok()
}

#[cfg(unix)]
#[tokio::test]
async fn no_descendant_outlives_the_end_however_stubborn() {
    // It ignores the end of its input and SIGTERM, and so does the child it leaves behind.
    let fake = Fake::new(r#"trap '' TERM; (trap '' TERM; sleep 600) & serve; sleep 600"#);
    let mut up = fake.up(Limits::default()).await;
    let pid = up.status(ServerState::Ready).await.pid.unwrap();
    assert!(group_lives(pid));
    up.host.shutdown().await;
    // What was killed is gone for us when its new parent has reaped it; that is not ours to time.
    for _ in 0..100 {
        if !group_lives(pid) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("a descendant is still running");
}

#[cfg(unix)]
#[tokio::test]
async fn a_polite_server_is_not_killed() {
    let fake = Fake::new(r#"bye() { echo bye > "$LOG.bye"; }; serve; bye; exit 0"#);
    let mut up = fake.up(Limits::default()).await;
    up.status(ServerState::Ready).await;
    up.host.shutdown().await;
    assert!(fake.folder.path().join("log.bye").exists(), "it had time to end by itself");
}

#[tokio::test]
async fn calls_of_one_server_leave_in_the_order_of_their_orders() {
    let fake = Fake::new("");
    let mut up = fake.up(Limits::default()).await;
    up.status(ServerState::Ready).await;
    let tickets: Vec<_> = (0..8).map(|n| up.call("echo", json!({"n": n}))).collect();
    for ticket in tickets {
        assert!(matches!(ticket.end().await, CallEnd::Result(_)));
    }
    let log = std::fs::read_to_string(fake.log()).unwrap();
    let order: Vec<_> = log.lines().filter_map(|line| line.split_once("{\"n\":")?.1.chars().next()).collect();
    assert_eq!(order, ['0', '1', '2', '3', '4', '5', '6', '7']);
}

/// The process that leads the group of `fake`'s server, once it runs.
#[cfg(unix)]
fn leader_of(fake: &Fake) -> Option<u32> {
    std::fs::read_to_string(fake.folder.path().join("log.pid")).ok()?.trim().parse().ok()
}

#[cfg(unix)]
#[tokio::test]
async fn a_killed_millrace_leaves_no_server_behind() {
    let fake =
        Fake::new(r#"trap '' TERM; (trap '' TERM; sleep 600) & echo $$ > "$LOG.pid"; call() { :; }; serve; sleep 600"#);
    let file = fake.folder.path().join("servers.json");
    // In a file of its own: in a configuration, ${…} would be a variable of ours.
    let script = fake.folder.path().join("server.sh");
    std::fs::write(&script, &fake.script).unwrap();
    let server = json!({"command": "sh", "args": [script], "env": {"LOG": fake.log()}});
    std::fs::write(&file, json!({"mcpServers": {"fake": server}}).to_string()).unwrap();
    let mut millrace = std::process::Command::new(env!("CARGO_BIN_EXE_millrace"))
        .args(["mcp", "--mcp"])
        .arg(&file)
        .args(["call", "fake", "echo"])
        .env("MILLRACE_HOME", fake.folder.path().join("home"))
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let wait = Duration::from_millis(50);
    for _ in 0..400 {
        if fake.read("tools/call") == 1 {
            break;
        }
        tokio::time::sleep(wait).await;
    }
    let leader = leader_of(&fake).expect("the server is running");
    assert!(group_lives(leader));
    millrace.kill().unwrap();
    millrace.wait().unwrap();
    for _ in 0..200 {
        if !group_lives(leader) {
            return;
        }
        tokio::time::sleep(wait).await;
    }
    panic!("the server is still running");
}

/// A call during which the server asks; what it is answered is the call's result.
const ASKING: &str = r#"
call() {
  put '{"jsonrpc":"2.0","id":"q1","method":"elicitation/create","params":{"message":"How many?","requestedSchema":{"type":"object","required":["n"],"properties":{"n":{"type":"integer","novel":1}}}}}'
  IFS= read -r answer; printf '%s\n' "$answer" >> "$LOG"
  answer=$(printf '%s' "$answer" | sed 's/"/\\"/g')
  reply "$1" '{"content":[{"type":"text","text":"'"$answer"'"}]}'
}
"#;

#[tokio::test]
async fn a_person_answers_what_a_server_asks_and_the_call_waits_for_them() {
    let fake = Fake::new(ASKING);
    let limits = Limits { call_idle: Duration::from_millis(300), ..Limits::default() };
    let (host, events) = Host::new(client(), Arc::new(limits), None);
    let host = host.attended();
    host.start(fake.entry());
    let mut up = Up { host, events };
    up.status(ServerState::Ready).await;
    let ticket = up.call("echo", json!({}));
    let inquiry = up.inquiry().await;
    assert!(inquiry.call.is_some());
    // Longer than a silent call may take.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let content = json!({"n": 3}).as_object().cloned().unwrap();
    assert!(up.host.answer(inquiry.id, InquiryAnswer::Accept(content)));
    let CallEnd::Result(result) = ticket.end().await else { panic!("it did not end well") };
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.contains(r#""action":"accept""#) && text.contains(r#""content":{"n":3}"#), "{text}");
    up.host.shutdown().await;
}

#[tokio::test]
async fn a_server_that_asks_where_nobody_is_there_is_declined() {
    let fake = Fake::new(ASKING);
    let mut up = fake.up(Limits::default()).await;
    up.status(ServerState::Ready).await;
    let CallEnd::Result(result) = up.call("echo", json!({})).end().await else { panic!("it did not end well") };
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.contains(r#""action":"decline""#), "{text}");
    up.host.shutdown().await;
}
