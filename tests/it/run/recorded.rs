//! `--record` and `millrace replay`: sessions recorded live and played again without the world; recordings from files.

use super::*;

/// Records a session and gives back what it told, with the recording.
#[track_caller]
fn recorded(home: &Home, mut command: Command, code: i32) -> (Value, PathBuf) {
    let file = home.path("session.jsonl");
    command.args(["--record", file.to_str().unwrap(), "--output", "json"]);
    let told = done(command.output().unwrap(), code);
    (serde_json::from_str(&told.out).unwrap(), file)
}

/// Plays a recording: one object for each turn. The home is another, and nothing can be reached from it.
#[track_caller]
fn replayed(file: &Path, code: i32) -> Vec<Value> {
    let other = Home::new();
    let mut command = other.command(&["replay", file.to_str().unwrap(), "--output", "json"]);
    command
        .env("PATH", "/nonexistent")
        .env("HTTPS_PROXY", "http://127.0.0.1:9")
        .env("HTTP_PROXY", "http://127.0.0.1:9");
    let told = done(command.output().unwrap(), code);
    let left: Vec<_> = std::fs::read_dir(other.0.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "a replay leaves nothing behind: {left:?}");
    told.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The pause before a retry has a part of chance, and so has what is said of it.
fn comparable(mut turn: Value) -> Value {
    let notices = turn["notices"].as_array_mut().unwrap();
    notices.retain(|notice| !notice.to_string().contains("again in"));
    turn
}

#[track_caller]
fn the_same(live: Value, file: &Path, code: i32) -> Value {
    let mut turns = replayed(file, code);
    assert_eq!(turns.len(), 1);
    let turn = comparable(turns.remove(0));
    pretty_assertions(&comparable(live), &turn);
    turn
}

#[track_caller]
fn pretty_assertions(live: &Value, replay: &Value) {
    let text = |value: &Value| serde_json::to_string_pretty(value).unwrap();
    assert_eq!(text(live), text(replay));
}

fn lines(file: &Path) -> Vec<Value> {
    std::fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_kind<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

#[test]
fn a_demo_turn_with_parallel_calls_is_played_to_the_same_conversation() {
    let home = Home::new();
    let mut command = home.command(&["demo"]);
    command.env("MILLRACE_DEMO_PACE", "0.05");
    let (live, file) = recorded(&home, command, 0);
    assert!(live["calls"].as_u64().unwrap() >= 4, "{live}");
    the_same(live, &file, 0);
    let lines = lines(&file);
    let numbers: Vec<u64> = lines[1..].iter().map(|line| line["n"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert_eq!(lines.last().unwrap()["kind"], "closed");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_retry_a_refusal_and_a_cut_stream_are_played_as_they_went() {
    let home = Home::new();
    let overloaded = Reply::plain("503 Busy", "application/json", "retry-after: 1\r\n", "{\"error\":\"overloaded\"}");
    let provider = Provider::start(vec![overloaded, Reply::text("after all")]);
    let (live, file) = recorded(&home, home.run(&provider, &["q"]), 0);
    assert_eq!(the_same(live, &file, 0)["text"], "after all");
    assert_eq!(of_kind(&lines(&file), "request").len(), 2);

    let home = Home::new();
    let body = json!({"error": {"message": "Unsupported parameter: 'stream_options'", "param": "stream_options"}});
    let refused = Reply::plain("400 Bad Request", "application/json", "", &body.to_string());
    let provider = Provider::start(vec![refused, Reply::text("without it")]);
    let (live, file) = recorded(&home, home.run(&provider, &["q"]), 0);
    assert_eq!(live["notices"][0]["kind"], "adapted");
    the_same(live, &file, 0);

    let home = Home::new();
    let provider = Provider::start(vec![Reply::sse(vec![say("half an ans")])]);
    let (live, file) = recorded(&home, home.run(&provider, &["q"]), 5);
    let turn = the_same(live, &file, 5);
    assert_eq!((turn["text"].as_str(), turn["error"]["kind"].as_str()), (Some("half an ans"), Some("truncated")));

    let home = Home::new();
    let provider = Provider::start(vec![]);
    let mut command = home.command(&["run", "--base-url", "http://127.0.0.1:1/v1", "-m", "none", "q"]);
    command.env("OPENAI_API_KEY", "sk-never");
    let (live, file) = recorded(&home, command, 5);
    assert!(provider.requests().is_empty());
    the_same(live, &file, 5);
}

#[test]
fn bytes_that_are_no_text_and_the_other_wire_are_kept() {
    let home = Home::new();
    let event = |value: &Value| Step::Send(format!("event: x\ndata: {value}\n\n"));
    let item = json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "demo__read_file",
        "arguments": "{\"path\":\"README.md\"}"});
    let added = json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "function_call",
        "id": "fc_1", "call_id": "call_1", "name": "demo__read_file", "arguments": ""}});
    let delta = json!({"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 0,
        "delta": "{\"path\":\"README.md\"}"});
    let done_item = json!({"type": "response.output_item.done", "output_index": 0, "item": item});
    let completed = json!({"type": "response.completed", "response": {"status": "completed",
        "usage": {"input_tokens": 5, "output_tokens": 2}}});
    let text = json!({"type": "response.output_text.delta", "output_index": 0, "delta": "é read it"});
    let provider = Provider::start(vec![
        Reply::sse(vec![event(&added), event(&delta), event(&done_item), event(&completed)]),
        Reply::sse(vec![event(&text), event(&completed)]),
    ]);
    let servers = home.servers(None);
    let args = ["--api", "responses", "--mcp", servers.to_str().unwrap(), "--approve", "all", "q"];
    let (live, file) = recorded(&home, home.run(&provider, &args), 0);
    assert_eq!((live["text"].as_str(), live["calls"].as_u64()), (Some("é read it"), Some(1)), "{live}");
    // The same bytes, cut within a character.
    let mut cut: Vec<String> = Vec::new();
    for mut line in lines(&file) {
        let text = line["text"].as_str().unwrap_or_default().to_owned();
        let Some(at) = text.find('é').filter(|_| line["kind"] == "chunk") else {
            cut.push(line.to_string());
            continue;
        };
        use base64::Engine as _;
        let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        line.as_object_mut().unwrap().remove("text");
        for half in [&text.as_bytes()[..=at], &text.as_bytes()[at + 1..]] {
            line["base64"] = encode(half).into();
            cut.push(line.to_string());
        }
    }
    let other = home.file("cut.jsonl", &(cut.join("\n") + "\n"));
    the_same(live.clone(), &other, 0);
    the_same(live, &file, 0);
}

#[test]
fn no_known_secret_stands_in_any_line_of_a_recording() {
    let home = Home::new();
    let fake = home.servers(Some(
        "call() { reply \"$1\" '{\"content\":[{\"type\":\"text\",\"text\":\"'\"$SECRET_TOKEN\"'\"}]}'; }",
    ));
    let mut servers: Value = serde_json::from_slice(&std::fs::read(&fake).unwrap()).unwrap();
    servers["mcpServers"]["fake"]["env"]["SECRET_TOKEN"] = "${env:TOKEN}".into();
    let file = home.file("leaky.json", &servers.to_string());
    let (first, rest) = ("data: {\"choices\":[{\"delta\":{\"content\":\"or sk-can", "ary-one!\"}}]}\n\n");
    let provider = Provider::start(vec![
        Reply::calls(&[("fake__echo", "{\"k\":\"\\u0073k-canary-one\"}")]),
        Reply::sse(vec![
            say("It is s"),
            say("k-c"),
            say("anary"),
            say("-one. "),
            Step::Send(first.into()),
            Step::Until(Box::new({
                let since = Instant::now();
                move || since.elapsed() > Duration::from_millis(300)
            })),
            Step::Send(rest.into()),
            say("So sk-ca"),
            finish("stop"),
        ]),
    ]);
    let args = ["--mcp", file.to_str().unwrap(), "--approve", "all", "Is it sk-canary-one?"];
    let mut command = home.run(&provider, &args);
    command.env("OPENAI_API_KEY", "sk-canary-one").env("TOKEN", "canary-two/&x");
    let (live, file) = recorded(&home, command, 0);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.to_ascii_lowercase().contains("authorization"), "{text}");
    for canary in ["canary", "Y2FuYXJ5", "636f6e617279", "bearer"] {
        let at = text.lines().find(|line| line.to_ascii_lowercase().contains(&canary.to_ascii_lowercase()));
        assert_eq!(at, None, "{canary}");
    }
    // Neither in pieces, as a model writes.
    let said: String = lines(&file).iter().filter_map(|line| line["text"].as_str().map(str::to_owned)).collect();
    let said: String = said
        .lines()
        .filter_map(|line| {
            let event: Value = serde_json::from_str(line.strip_prefix("data: ")?).ok()?;
            event["choices"][0]["delta"]["content"].as_str().map(str::to_owned)
        })
        .collect();
    assert_eq!(said, "It is [redacted]. or [redacted]!So sk-ca");
    let mut turn = comparable(replayed(&file, 0).remove(0));
    let mut live = comparable(live);
    // Estimated by size, and what was taken out had another.
    live["context"] = turn["context"].take();
    turn["context"] = live["context"].clone();
    pretty_assertions(&live, &turn);
    assert_eq!(turn["text"], said);
}

#[test]
fn a_recording_overwrites_nothing_and_says_where_it_cannot_be_written() {
    let home = Home::new();
    let there = home.file("there.jsonl", "mine");
    let provider = Provider::start(vec![Reply::text("ok")]);
    for output in ["text", "json", "ndjson"] {
        let args = ["--record", there.to_str().unwrap(), "--output", output, "q"];
        let told = done(home.run(&provider, &args).output().unwrap(), 2);
        assert!(format!("{}{}", told.out, told.err).contains("exists"), "{}{}", told.out, told.err);
    }
    assert_eq!(std::fs::read_to_string(&there).unwrap(), "mine");
    assert!(provider.requests().is_empty(), "nothing was asked");
    let told = done(home.run(&provider, &["--record", "no/such/folder", "q"]).output().unwrap(), 2);
    assert!(told.err.contains("cannot be made"), "{}", told.err);
    if Path::new("/dev/full").exists() {
        let told = done(home.run(&provider, &["--record", "/dev/full", "--output", "json", "q"]).output().unwrap(), 0);
        let turn: Value = serde_json::from_str(&told.out).unwrap();
        assert_eq!(turn["text"], "ok", "the turn goes on");
        assert!(format!("{}{}", turn["notices"], told.err).contains("cannot be written"), "{}{}", told.out, told.err);
    }
}

#[test]
fn a_file_that_is_no_recording_is_named_with_its_line() {
    let home = Home::new();
    let head = json!({"format": "millrace.recording", "version": 1}).to_string();
    let newer = json!({"format": "millrace.recording", "version": 7}).to_string();
    for (text, says) in [
        ("", "bad.jsonl:1: this is no recording"),
        ("data: {}\n\n", "bad.jsonl:1: this is no recording"),
        (newer.as_str(), "version 7; this millrace reads up to version 1"),
        (&format!("{head}\n"), "nothing was asked"),
        (&format!("{head}\n{{\"kind\":\"chunk\",\"response\":1,\"base64\":\"!\"}}\n"), "bad.jsonl:2: the bytes"),
        (&format!("{head}\n\nnot json\n"), "bad.jsonl:3: this line cannot be read"),
        (
            &format!("{head}\n{{\"kind\":\"order\",\"order\":{{\"fly\":{{}}}}}}\n"),
            "bad.jsonl:2: this line cannot be read",
        ),
        (&format!("{head}\n{}", "[".repeat(100_000)), "nothing was asked"),
    ] {
        home.file("bad.jsonl", text);
        let told = done(home.command(&["replay", "bad.jsonl", "--output", "text"]).output().unwrap(), 2);
        assert!(told.err.contains(says), "{says}: {}", told.err);
    }
    let told = done(home.command(&["replay", "none.jsonl", "--json"]).output().unwrap(), 2);
    let whole: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!((&whole["status"], &whole["error"]["kind"]), (&"failed".into(), &"usage".into()));
    let told = done(home.command(&["replay", "none.jsonl", "--output", "ndjson"]).output().unwrap(), 2);
    let last: Value = serde_json::from_str(told.out.lines().last().unwrap()).unwrap();
    assert_eq!((&last["event"], &last["status"]), (&"ended".into(), &"failed".into()));
    done(home.command(&["replay", "bad.jsonl"]).output().unwrap(), 2);
    home.file("m/config.toml", "[limits]\nimport = \"1 KiB\"\n");
    home.file("bad.jsonl", &format!("{head}\n{}", "x".repeat(2000)));
    let told = done(home.command(&["replay", "bad.jsonl", "--output", "text"]).output().unwrap(), 2);
    assert!(told.err.contains("limit import"), "{}", told.err);
}

#[test]
fn what_a_recording_lacks_is_said_and_nothing_runs() {
    let home = Home::new();
    let servers = home.servers(Some(""));
    let provider = Provider::start(vec![Reply::calls(&[("fake__echo", "{\"a\":1}")]), Reply::text("done")]);
    let args = ["--mcp", servers.to_str().unwrap(), "--approve", "all", "q"];
    let (_, file) = recorded(&home, home.run(&provider, &args), 0);
    let whole = lines(&file);
    let play = |name: &str, change: &dyn Fn(&mut Value) -> bool, code: i32| {
        let kept = whole.iter().cloned().filter_map(|mut line| change(&mut line).then(|| line.to_string()));
        let file = home.file(name, &(kept.collect::<Vec<_>>().join("\n") + "\n"));
        let turn = replayed(&file, code).remove(0);
        let notices: Vec<String> = turn["notices"]
            .as_array()
            .unwrap()
            .iter()
            .map(|notice| format!("{}: {}", notice["kind"].as_str().unwrap(), notice["message"].as_str().unwrap()))
            .collect();
        (turn, notices.join("\n"))
    };
    // Another call than the recorded one.
    let (turn, notices) = play(
        "other.jsonl",
        &|line| {
            if line["kind"] == "call" {
                line["arguments"]["a"] = 2.into();
            }
            true
        },
        0,
    );
    assert!(notices.contains("replay: The recording holds no answer to this call of fake/echo"), "{notices}");
    assert!(notices.contains("replay: Request 2 differs from the recorded one at messages[2].content"), "{notices}");
    assert!(turn["messages"][2]["content"].as_str().unwrap().contains("this is a replay"), "{turn}");
    // Cut by a crash, in the midst of the second answer.
    let (turn, notices) = play(
        "crash.jsonl",
        &|line| !(line["response"] == 2 && line["kind"] == "response_over" || line["kind"] == "closed"),
        0,
    );
    assert!(notices.contains("did not end in order"), "{notices}");
    assert_eq!(turn["text"], "done");
    let (turn, _) = play("cut.jsonl", &|line| line["response"] != 2 && line["kind"] != "closed", 5);
    assert_eq!(turn["error"]["message"], "This is a replay: the recording holds no answer to this request.");
    // Of a newer version.
    let (turn, notices) = play(
        "newer.jsonl",
        &|line| {
            if line["kind"] == "known" {
                line["kind"] = "hologram".into();
            }
            true
        },
        0,
    );
    assert!(notices.contains("skipped: 1 of kind \"hologram\""), "{notices}");
    assert_eq!(turn["text"], "done");
}

/// A call that goes on as a task, in both eras: its result stands in another frame than that of the call.
#[test]
fn a_task_is_played_to_its_result() {
    let old = r#"
        initialize() { reply "$1" '{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"tasks":{"requests":{"tools":{"call":{}}}}},"serverInfo":{"name":"f","version":"1"}}'; }
        list() { reply "$1" '{"tools":[{"name":"echo","inputSchema":{"type":"object"},"execution":{"taskSupport":"required"}}]}'; }
        call() { reply "$1" '{"task":{"taskId":"t","status":"working","statusMessage":"reading","pollInterval":200}}'; }
        other() { case $line in
          *tasks/get*) reply "$1" '{"taskId":"t","status":"completed"}'; reply "$waits" '{"content":[{"type":"text","text":"at last"}]}' ;;
          *tasks/result*) waits=$1 ;;
        esac; }"#;
    let new = r#"
        discover() { reply "$1" '{"resultType":"complete","ttlMs":0,"cacheScope":"private","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}}'; }
        call() { reply "$1" '{"resultType":"task","taskId":"t","status":"working","statusMessage":"reading","ttlMs":null,"pollIntervalMs":200}'; }
        other() { reply "$1" '{"resultType":"complete","taskId":"t","status":"completed","ttlMs":null,"result":{"content":[{"type":"text","text":"at last"}]}}'; }"#;
    for script in [old, new] {
        let home = Home::new();
        let servers = home.servers(Some(script));
        let provider = Provider::start(vec![Reply::calls(&[("fake__echo", "{}")]), Reply::text("good")]);
        let (live, file) =
            recorded(&home, home.run(&provider, &["--mcp", servers.to_str().unwrap(), "--approve", "all", "go"]), 0);
        let told = live["messages"].as_array().unwrap().iter().find(|message| message["role"] == "tool").unwrap();
        assert_eq!(told["content"], "at last");
        the_same(live, &file, 0);
    }
}

/// Each recording among the fixtures with what it must come to, turn after turn.
#[test]
fn every_recording_is_played_to_its_conversation() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recordings");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        let expected: Value = serde_json::from_slice(&std::fs::read(file.with_extension("json")).unwrap()).unwrap();
        let code = i32::try_from(expected["exit"].as_i64().unwrap()).unwrap();
        let turns: Vec<Value> = replayed(&file, code).into_iter().map(comparable).collect();
        pretty_assertions(&expected["turns"], &Value::Array(turns));
    }
}
