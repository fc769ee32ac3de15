//! Log messages and the level that they are asked for.

use axum::response::Response;
use millrace::chat::{LogSpeaker, LoggingLevel, ServerLog};

use super::web::{Asked, Web, modern, result, stream};
use super::*;

const LOGS: &str = r#"
initialize() { reply "$1" '{"protocolVersion":"2025-06-18","capabilities":{"tools":{},"logging":{}},"serverInfo":{"name":"fake","version":"1"}}'; }
say() { put '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"'"$1"'","logger":"db","data":'"$2"'}}'; }
other() { reply "$1" '{}'; say debug '{"rows":[1,2]}'; say critical '"disk\u001b[2J full"'; }
"#;

impl Up {
    /// Asks what it said until there is so much of it.
    async fn log(&mut self, lines: usize) -> ServerLog {
        let name = ServerName::new("fake");
        for _ in 0..200 {
            self.host.look(&name);
            if let Ok(Some(HostEvent::Status(status))) =
                tokio::time::timeout(Duration::from_millis(50), self.events.recv()).await
                && status.life.log.lines.len() >= lines
            {
                return status.life.log;
            }
        }
        panic!("it said less than {lines} lines");
    }
}

/// How often the server read a text.
fn written(fake: &Fake, text: &str) -> usize {
    std::fs::read_to_string(fake.log()).unwrap_or_default().matches(text).count()
}

fn lines(log: &ServerLog) -> Vec<(LoggingLevel, Option<&str>, &str)> {
    fn logger(by: &LogSpeaker) -> Option<&str> {
        match by {
            LogSpeaker::Server(logger) => logger.as_deref(),
            LogSpeaker::Millrace => Some("(millrace)"),
        }
    }
    log.lines.iter().map(|line| (line.level, logger(&line.by), &*line.text)).collect()
}

#[tokio::test]
async fn a_level_is_asked_for_as_configured_and_what_comes_is_kept_with_it() {
    let fake = Fake::new(LOGS);
    let mut entry = fake.entry();
    entry.features.log_level = Some(LoggingLevel::Debug);
    let mut up = Up::new(Limits::default(), None, entry).await;
    up.status(ServerState::Ready).await;
    let log = up.log(2).await;
    assert_eq!(
        lines(&log),
        [
            (LoggingLevel::Debug, Some("db"), r#"{"rows":[1,2]}"#),
            (LoggingLevel::Critical, Some("db"), "disk\u{1b}[2J full"),
        ]
    );
    assert_eq!((log.asks, log.level, log.dropped), (true, Some(LoggingLevel::Debug), 0));
    up.host.log(&ServerName::new("fake"), LoggingLevel::Error);
    up.log(4).await;
    assert_eq!(written(&fake, r#""level":"debug""#), 1);
    assert_eq!(written(&fake, r#""level":"error""#), 1);
}

/// The level that each call asked for, in order (2026-07-28, `_meta`).
fn asked_for(web: &Web) -> Vec<Value> {
    let asked = web.asked();
    let calls = asked.iter().filter(|asked| asked.method() == "tools/call");
    calls.map(|call| call.json()["params"]["_meta"]["io.modelcontextprotocol/logLevel"].clone()).collect()
}

/// A server of 2026-07-28 that says one thing on the stream of each call that asks for it.
fn talkative(asked: &Asked) -> Response {
    match asked.method().as_str() {
        "server/discover" => result(
            asked,
            &json!({"resultType": "complete", "ttlMs": 0, "cacheScope": "private",
                "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}, "logging": {}}}),
        ),
        "tools/call" => {
            let level = &asked.json()["params"]["_meta"]["io.modelcontextprotocol/logLevel"];
            let said = json!({"jsonrpc": "2.0", "method": "notifications/message",
                "params": {"level": "alert", "logger": "db", "data": format!("asked from {level}")}});
            let done = json!({"jsonrpc": "2.0", "id": asked.json()["id"],
                "result": {"resultType": "complete", "content": [{"type": "text", "text": "done"}]}});
            let events: Vec<String> = [(!level.is_null()).then_some(said), Some(done)]
                .into_iter()
                .flatten()
                .map(|message| format!("data: {message}\n\n"))
                .collect();
            stream(&events, false)
        }
        _ => modern(asked),
    }
}

#[tokio::test]
async fn in_the_new_era_each_request_says_the_level_that_is_wanted_now() {
    let web = Web::serve(talkative).await;
    // Nobody wished for any: none is asked for.
    let mut up = web.up("/mcp").await;
    up.status(ServerState::Ready).await;
    up.call("echo", json!({})).end().await;
    assert_eq!(asked_for(&web), [Value::Null]);
    up.host.shutdown().await;

    let mut entry = entry(web.at("/mcp"));
    entry.features.log_level = Some(LoggingLevel::Notice);
    let mut up = Up::new(Limits::default(), None, entry).await;
    let status = up.status(ServerState::Ready).await;
    assert_eq!((status.life.log.asks, status.life.log.level), (true, Some(LoggingLevel::Notice)));
    // The level of the entry goes with the first call already.
    up.call("echo", json!({})).end().await;
    assert_eq!(lines(&up.log(1).await), [(LoggingLevel::Alert, Some("db"), r#"asked from "notice""#)]);
    // `a` in the log view: the next request says the new one.
    up.host.log(&ServerName::new("fake"), LoggingLevel::Error);
    while up.status(ServerState::Ready).await.life.log.level != Some(LoggingLevel::Error) {}
    up.call("echo", json!({})).end().await;
    assert_eq!(asked_for(&web), [Value::Null, json!("notice"), json!("error")]);
    assert_eq!(web.count("logging/setLevel"), 0, "there is no such request any more");
}

#[tokio::test]
async fn nothing_is_asked_for_unless_it_was_wished_and_a_flood_is_summed_up() {
    let fake = Fake::new(&LOGS.replace(
        "other()",
        "ready() { n=0; while [ $n -lt 300 ]; do n=$((n+1)); say info $n; done; sleep 1.1; say info '\"last\"'; }\nother()",
    ));
    let mut up = Up::new(Limits { messages_per_second: 5, ..Limits::default() }, None, fake.entry()).await;
    up.status(ServerState::Ready).await;
    let mut log = up.log(6).await;
    while log.lines.last().is_none_or(|line| &*line.text != "last") {
        log = up.log(log.lines.len() + 1).await;
    }
    assert!(log.lines.len() < 30, "{}", log.lines.len());
    let left_out = |line: &&str| line.ends_with("messages were left out ([limits] messages_per_second)");
    assert!(log.lines.iter().any(|line| left_out(&&*line.text)));
    assert_eq!(fake.read("logging/setLevel"), 0);
}
