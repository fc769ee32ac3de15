//! What comes out: the NDJSON contract, text, signals, what is asked.

use super::*;

#[test]
fn two_calls_and_an_answer_as_the_contract_tells_them() {
    let home = Home::new();
    let provider = Provider::start(vec![
        Reply::sse(vec![
            say("Let me look."),
            call(0, "demo__read_file", "{\"path\":\"README.md\"}"),
            call(1, "demo__list_files", "{\"folder\": \"src\"}"),
            usage(),
            finish("tool_calls"),
        ]),
        Reply::text("It is a tide gauge."),
    ]);
    let servers = home.servers(None);
    let args = ["--mcp", servers.to_str().unwrap(), "--trust", "demo", "--output", "ndjson", "What is it?"];
    let events = Events::of(home.run(&provider, &args), 0);
    assert_eq!(events.one("started")["model"], "scripted");
    let requests = events.named("request");
    assert_eq!(requests.len(), 2);
    assert!(requests[0]["tools"].as_u64().unwrap() >= 7);
    assert_eq!((events.end("demo__read_file")["state"].as_str(), events.status()), (Some("done"), "ok"));
    assert_eq!(events.end("demo__list_files")["server"], "demo");
    let closed = events.place("closed", |l| l["state"] == "closed" && l["index"] == 1);
    assert_eq!(events.0[closed]["arguments"], "{\"folder\":\"src\"}");
    assert_eq!(events.0[closed]["closed_by"], "brace");
    let ended = events.one("ended");
    assert_eq!(
        (&ended["text"], &ended["rounds"], &ended["calls"]),
        (&"It is a tide gauge.".into(), &2.into(), &2.into())
    );
    // The model is told the outcomes in the order of its calls.
    let told = provider.told(1);
    assert_eq!(told.iter().map(|(role, _)| role.as_str()).collect::<Vec<_>>(), ["user", "assistant", "tool", "tool"]);
    assert!(told[3].1.contains("src/retry.rs") && !told[2].1.contains("src/retry.rs  "));
    assert_eq!(provider.requests()[0]["tools"], provider.requests()[1]["tools"]);
}

#[test]
fn a_call_leaves_before_the_stream_has_ended_or_after_it_as_asked() {
    for dispatch in ["close", "finish"] {
        let home = Home::new();
        let servers = home.servers(Some(""));
        let log = home.path("log");
        let mut steps = vec![call(0, "fake__echo", "{\"say\":1}")];
        if dispatch == "close" {
            // The stream goes on only once the server has read the call.
            steps.push(Step::Until(Box::new(move || logged(&log, "tools/call"))));
        }
        steps.extend([say("and more"), finish("tool_calls")]);
        let provider = Provider::start(vec![Reply::sse(steps), Reply::text("done")]);
        let args = [
            "--mcp",
            servers.to_str().unwrap(),
            "--allow",
            "fake/*",
            "--dispatch",
            dispatch,
            "--output",
            "ndjson",
            "go",
        ];
        let events = Events::of(home.run(&provider, &args), 0);
        let running = events.place("running", |l| l["state"] == "running");
        let finish = events.place("finish", |l| l["event"] == "finish");
        assert_eq!(running < finish, dispatch == "close", "{dispatch}");
        assert_eq!(events.end("fake__echo")["content"], "done");
    }
}

#[test]
fn json_is_one_object_and_text_is_the_answer_alone() {
    let home = Home::new();
    let provider = Provider::start(vec![Reply::text("Hello\u{1b}[31m."), Reply::text("Hello.")]);
    let told = done(home.run(&provider, &["--json", "hi"]).output().unwrap(), 0);
    let whole: Value = serde_json::from_str(&told.out).unwrap();
    assert!(told.out.contains("\\u001b[31m") && !told.out.contains('\u{1b}'));
    assert_eq!((&whole["status"], &whole["usage"]["input"]), (&"ok".into(), &7.into()));
    assert_eq!(whole["messages"].as_array().unwrap().len(), 2);
    let told = done(home.run(&provider, &["hi"]).output().unwrap(), 0);
    assert_eq!((told.out.as_str(), told.err.as_str()), ("Hello.\n", ""));
}

#[test]
fn what_is_asked_is_made_of_words_stdin_files_and_flags() {
    let home = Home::new();
    let provider = Provider::start((0..5).map(|_| Reply::text("ok\n\n```sh\nls\n```\n")).collect());
    let piped = |args: &[&str], stdin: &str| {
        let mut child = home.run(&provider, args).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        done(child.wait_with_output().unwrap(), 0)
    };
    piped(&["Review", "this:"], "a diff\n");
    assert_eq!(provider.told(0)[0].1, "Review this:\n\na diff");
    piped(&[], "only this\n");
    assert_eq!(provider.told(1)[0].1, "only this");
    let schema = home.file("schema.json", "{\"type\":\"object\"}");
    let note = home.file("note.txt", "from a file");
    let flags = [
        "--schema",
        schema.to_str().unwrap(),
        "-f",
        note.to_str().unwrap(),
        "--param",
        "top_p=0.5",
        "--temperature",
        "0",
        "--max-output-tokens",
        "9",
        "-s",
        "Be brief.",
        "ask",
    ];
    done(home.run(&provider, &flags).output().unwrap(), 0);
    let request = &provider.requests()[2];
    assert_eq!((&request["top_p"], &request["temperature"]), (&0.5.into(), &json!(0.0)));
    assert_eq!(request["response_format"]["type"], "json_schema");
    let messages = request["messages"].to_string();
    assert!(
        messages.contains("Be brief.") && messages.contains("from a file") && messages.contains("ask"),
        "{messages}"
    );
    let told = done(home.run(&provider, &["-x", "code"]).output().unwrap(), 0);
    assert_eq!(told.out, "ls\n");
    // A tool named by server and tool becomes its wire name, for the first round.
    let servers = home.servers(None);
    let choice = ["--mcp", servers.to_str().unwrap(), "--tool-choice", "demo/weather", "rain?"];
    done(home.run(&provider, &choice).output().unwrap(), 0);
    assert_eq!(provider.requests()[4]["tool_choice"]["function"]["name"], "demo__weather");
    let none = ["--mcp", servers.to_str().unwrap(), "--tool-choice", "demo/wether", "rain?"];
    let told = done(home.run(&provider, &none).output().unwrap(), 2);
    assert!(told.err.contains("demo/wether") && told.err.contains("weather"), "{}", told.err);
}

#[test]
fn a_signal_or_a_closed_pipe_ends_the_turn_and_keeps_what_came() {
    use rustix::process::Signal;
    for (kill, code) in [(Some(Signal::INT), 130), (Some(Signal::TERM), 143), (None, 130)] {
        let home = Home::new();
        let provider = Provider::start(vec![Reply::sse(vec![say("first words\n"), Step::Hang])]);
        let mut child = Running(home.run(&provider, &["--no-mcp", "--output", "ndjson", "go"]).spawn().unwrap());
        let mut out = BufReader::new(child.0.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("first words") {
            line.clear();
            assert_ne!(out.read_line(&mut line).unwrap(), 0);
        }
        match kill {
            Some(kind) => {
                signal(&child.0, kind);
                let mut rest = String::new();
                out.read_to_string(&mut rest).unwrap();
                let last: Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
                assert_eq!((&last["event"], &last["status"]), (&"ended".into(), &"cancelled".into()));
            }
            None => drop(out),
        }
        assert_eq!(child.0.wait().unwrap().code(), Some(code), "{kill:?}");
        let kept = home.last();
        assert_eq!(kept["messages"][1]["content"], "first words\n");
    }
}

#[test]
fn a_terminal_is_shown_no_escape_of_a_result_or_an_answer() {
    let home = Home::new();
    let hostile = r#"call() { reply "$1" '{"content":[{"type":"text","text":"\u001b]0;owned\u0007\u001b[2Jred"}]}'; }"#;
    let servers = home.servers(Some(hostile));
    let provider = Provider::start(vec![
        Reply::calls(&[("fake__echo", "{\"a\":\"\\u001b[31m\"}")]),
        Reply::text("an \u{1b}[2J answer \u{9b}31m"),
    ]);
    let args = ["--mcp", servers.to_str().unwrap(), "--allow", "fake/*", "-v", "go"];
    let (code, screen) = in_a_terminal(home.run(&provider, &args), &[]);
    assert_eq!(code, 0, "{screen}");
    assert!(!screen.contains('\u{1b}') && !screen.contains('\u{9b}') && !screen.contains('\u{7}'), "{screen:?}");
    assert!(screen.contains("answer") && screen.contains("running fake/echo"), "{screen}");
    // What the model is told has no hidden characters, what is kept is raw.
    assert!(provider.told(1).last().unwrap().1.contains("red"));
}

/// Runs a command in a terminal of its own; types each text once the other was shown after what was shown before.
/// Returns the exit code and everything that was shown.
pub(crate) fn in_a_terminal(command: Command, dialogue: &[(&str, &str)]) -> (u32, String) {
    use portable_pty::{CommandBuilder, PtySize, native_pty_system};
    let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).unwrap();
    let mut builder = CommandBuilder::new(command.get_program());
    builder.args(command.get_args());
    builder.env_clear();
    for (name, value) in command.get_envs().filter_map(|(n, v)| Some((n, v?))) {
        builder.env(name, value);
    }
    builder.cwd(command.get_current_dir().unwrap());
    let mut child = crate::tui::Program(pair.slave.spawn_command(builder).unwrap());
    drop(pair.slave);
    let shown: Arc<Mutex<Vec<u8>>> = Arc::default();
    let mut reader = pair.master.try_clone_reader().unwrap();
    let theirs = Arc::clone(&shown);
    let reading = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = reader.read(&mut buffer) {
            theirs.lock().unwrap().extend_from_slice(&buffer[..read]);
        }
    });
    let mut writer = pair.master.take_writer().unwrap();
    let text = || String::from_utf8_lossy(&shown.lock().unwrap()).into_owned();
    let mut from = 0;
    for (shown, typed) in dialogue {
        let begun = Instant::now();
        while !text().get(from..).unwrap_or_default().contains(shown) {
            assert!(begun.elapsed() < Duration::from_secs(20), "{shown:?} never came: {}", text());
            std::thread::sleep(Duration::from_millis(5));
        }
        from = text().len();
        writer.write_all(typed.as_bytes()).unwrap();
    }
    let status = child.wait();
    reading.join().unwrap();
    drop(writer);
    (status.exit_code(), text())
}
