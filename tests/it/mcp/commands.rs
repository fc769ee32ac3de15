//! `millrace mcp` from outside: the built binary against the scripted servers of these tests.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use axum::response::IntoResponse as _;
use serde_json::{Value, json};

use super::Fake;
use super::rounds::curious;
use super::web::{Web, legacy};
use crate::run::in_a_terminal;

/// A fake with a file that names it, and a home.
struct Bench {
    fake: Fake,
    file: PathBuf,
}

const SCHEMA: &str = r#"list() { reply "$1" '{"tools":[{"name":"echo","description":"Says it again","inputSchema":{"type":"object","properties":{"n":{"type":"integer","minimum":1}},"required":["n"]}},{"name":"bad","inputSchema":7}]}'; }"#;

impl Bench {
    fn new(overrides: &str) -> Self {
        let fake = Fake::new(&format!("{SCHEMA}\n{overrides}"));
        // In a file of its own: in a configuration, ${…} would be a variable of ours.
        let script = fake.folder.path().join("server.sh");
        std::fs::write(&script, &fake.script).unwrap();
        let file = fake.folder.path().join("servers.json");
        let server = json!({"command": "sh", "args": [script], "env": {"LOG": fake.log()}});
        std::fs::write(&file, json!({"mcpServers": {"fake": server}}).to_string()).unwrap();
        Self { fake, file }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        command.args(["mcp", "--mcp"]).arg(&self.file).args(args).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let home = self.fake.folder.path();
        command.env("MILLRACE_HOME", home.join("home")).env("HOME", home).current_dir(home);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    #[track_caller]
    fn run(&self, args: &[&str], code: i32) -> (String, String) {
        ended(self.command(args).spawn().unwrap(), code)
    }

    /// What the server was asked, by method.
    fn params(&self, method: &str) -> Vec<Value> {
        let log = std::fs::read_to_string(self.fake.log()).unwrap_or_default();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|message| message["method"] == method).map(|message| message["params"].clone()).collect()
    }
}

#[track_caller]
fn ended(child: Child, code: i32) -> (String, String) {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(code), "stdout: {out}\nstderr: {err}");
    (out, err)
}

#[test]
fn a_call_takes_its_arguments_from_anywhere_and_prints_the_result_alone() {
    let bench = Bench::new("");
    let (out, err) = bench.run(&["call", "fake", "echo", r#"{"n": 1}"#], 0);
    assert_eq!(out, "done\n");
    assert!(err.contains("done in 0.") && err.contains("(server up in "), "{err}");
    let file = bench.fake.folder.path().join("args.json");
    std::fs::write(&file, r#"{"n": 2}"#).unwrap();
    bench.run(&["call", "fake", "echo", &format!("@{}", file.display())], 0);
    let mut piped = bench.command(&["call", "fake", "echo", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    piped.stdin.take().unwrap().write_all(br#"{"n": 3}"#).unwrap();
    ended(piped, 0);
    let sent: Vec<Value> = bench.params("tools/call").iter().map(|params| params["arguments"]["n"].clone()).collect();
    assert_eq!(sent, [1, 2, 3]);
    let (json, _) = bench.run(&["call", "fake", "echo", r#"{"n": 4}"#, "--json"], 0);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["content"][0]["text"], "done");
}

#[test]
fn arguments_that_do_not_fit_are_refused_with_their_place_unless_they_are_to_be_sent() {
    let bench = Bench::new("");
    let (_, err) = bench.run(&["call", "fake", "echo", r#"{"n": 0}"#], 2);
    assert!(err.contains("/n") && err.contains("--no-validate"), "{err}");
    assert!(bench.run(&["call", "fake", "echo"], 2).1.contains("\"n\""));
    for bad in ["[1]", "nonsense", "@none.json"] {
        bench.run(&["call", "fake", "echo", bad], 2);
    }
    assert!(bench.params("tools/call").is_empty());
    bench.run(&["call", "fake", "echo", r#"{"n": 0}"#, "--no-validate"], 0);
    assert_eq!(bench.params("tools/call")[0]["arguments"], json!({"n": 0}));
    // A name that is nearly right is named; a tool that no model would be offered can be tried.
    assert!(bench.run(&["call", "fake", "ehco"], 2).1.contains("Did you mean echo?"));
    assert!(bench.run(&["call", "fake", "bad"], 0).1.contains("millrace would not offer it to a model"));
    assert!(bench.run(&["call", "faek", "echo"], 2).1.contains("there is no server faek"));
}

#[test]
fn every_outcome_has_its_code() {
    let bench =
        Bench::new(r#"call() { reply "$1" '{"isError":true,"content":[{"type":"text","text":"no such file"}]}'; }"#);
    let (out, err) = bench.run(&["call", "fake", "echo", r#"{"n":1}"#], 5);
    assert!(out == "no such file\n" && err.contains("the tool failed in"), "{out}{err}");
    let bench = Bench::new("call() { refuse \"$1\" -32603 'it broke'; }");
    let (out, err) = bench.run(&["call", "fake", "echo", r#"{"n":1}"#, "--json"], 5);
    assert!(err.contains("error -32603: it broke"), "{err}");
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["error"]["code"], -32603);
    let bench = Bench::new("call() { :; }");
    let (_, err) = bench.run(&["call", "fake", "echo", r#"{"n":1}"#, "--timeout", "0.3"], 6);
    assert!(err.contains("no answer in time") && bench.fake.read("notifications/cancelled") == 1, "{err}");
    let bench = Bench::new("call() { exit 3; }");
    assert!(bench.run(&["call", "fake", "echo", r#"{"n":1}"#], 5).1.contains("the call may have run"));
    let bench = Bench::new("discover() { exit 1; }\ninitialize() { echo 'KEY is not set' >&2; exit 1; }");
    assert!(bench.run(&["call", "fake", "echo"], 5).1.contains("KEY is not set"));
}

#[test]
fn progress_and_log_messages_are_told_as_they_come() {
    let bench = Bench::new(
        r#"call() {
            token=${line#*'"progressToken":'}; token=${token%%[,\}]*}
            put '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"warning","data":"care\u001b[2J"}}'
            put '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":'"$token"',"progress":1,"total":2,"message":"half"}}'
            sleep 0.3
            reply "$1" '{"content":[{"type":"image","mimeType":"image/png","data":"iVBORw0KGgo="}]}'
        }"#,
    );
    let folder = bench.fake.folder.path().join("kept");
    let (_, err) = bench.run(&["call", "fake", "echo", r#"{"n":1}"#, "--save", &folder.display().to_string()], 0);
    assert!(err.contains("progress  1 of 2  half"), "{err}");
    assert!(err.contains("warning   care<ESC>[2J") && !err.contains('\u{1b}'), "{err}");
    assert!(err.contains("1 progress message, 1 log message"), "{err}");
    assert!(folder.join("result-1.png").exists());
}

/// The frames among what was said, each with its arrow.
fn frames(err: &str) -> Vec<&str> {
    let frame = |line: &'_ str| line.find(['→', '←']);
    err.lines().filter_map(|line| Some(&line[frame(line)?..])).collect()
}

#[test]
fn frames_are_shown_as_they_pass_without_secrets() {
    let bench = Bench::new(
        r#"call() { reply "$1" '{ "content":[{"type":"text","text":"the key is hunter2-hunter2 \u001b[2J"}] }'; }"#,
    );
    let servers =
        std::fs::read_to_string(&bench.file).unwrap().replace("\"LOG\"", "\"API_KEY\":\"hunter2-hunter2\",\"LOG\"");
    std::fs::write(&bench.file, servers).unwrap();
    let (out, err) = bench.run(&["call", "fake", "echo", r#"{"n": 1}"#, "--frames"], 0);
    assert!(out.contains("the key is hunter2-hunter2"), "the result is the result: {out}");
    assert!(!err.contains("hunter2"), "{err}");
    let frames = frames(&err);
    let sent = frames.iter().find(|frame| frame.contains("tools/call")).unwrap();
    assert!(sent.starts_with(r#"→ {"jsonrpc":"2.0","id":"#) && sent.contains(r#""arguments":{"n":1}"#), "{sent}");
    // As the server wrote it, blanks and all.
    let came = frames.last().unwrap();
    assert!(
        came.starts_with("← {")
            && came.contains(r#"{ "content":[{"type":"text","text":"the key is [redacted] \u001b[2J"}] }"#),
        "{came}"
    );
    assert!(bench.run(&["test", "fake", "--frames"], 0).1.contains("tools/list"));
    assert_eq!(self::frames(&bench.run(&["test", "fake"], 0).1).len(), 0);
}

/// Runs it while the servers of this runtime go on.
async fn beside(mut command: Command, code: i32) -> (String, String) {
    let child = command.spawn().unwrap();
    tokio::task::spawn_blocking(move || ended(child, code)).await.unwrap()
}

#[tokio::test]
async fn frames_over_http_stand_between_the_heads_that_matter() {
    let web = Web::serve(legacy).await;
    let bench = Bench::new("");
    let server = json!({"url": format!("{}/mcp", web.url), "headers": {"X-Key": "hunter2-hunter2"}});
    std::fs::write(&bench.file, json!({"mcpServers": {"web": server}}).to_string()).unwrap();
    let (out, err) = beside(bench.command(&["call", "web", "echo", "--frames"]), 0).await;
    assert_eq!(out, "done\n");
    let frames = frames(&err);
    let at = frames.iter().position(|frame| frame.contains(r#""method":"tools/call""#)).unwrap();
    let head = format!("→ POST {}/mcp   ", web.url);
    assert!(frames[at - 1].starts_with(&head), "{err}");
    for said in ["mcp-protocol-version: 2025-06-18", "content-type: application/json", "x-key: [redacted]"] {
        assert!(frames[at - 1].contains(said), "{said}: {err}");
    }
    assert_eq!(frames[at + 1], "← 200 OK   content-type: application/json");
    assert!(frames[at + 2].starts_with("← {") && frames[at + 2].contains(r#""text":"done""#), "{err}");
    assert!(!err.contains("hunter2"), "{err}");
}

#[tokio::test]
async fn frames_show_what_came_in_place_of_a_message() {
    let page = format!("<html>\u{1b}[2J hunter2-hunter2\n{}", "x ".repeat(20_000));
    for kind in ["text/html", "application/json"] {
        let page = page.clone();
        let web = Web::serve(move |asked| match asked.method().as_str() {
            "tools/call" => {
                let headers = [(axum::http::header::CONTENT_TYPE, kind), (axum::http::header::RETRY_AFTER, "7")];
                (axum::http::StatusCode::BAD_GATEWAY, headers, page.clone()).into_response()
            }
            _ => legacy(asked),
        })
        .await;
        let bench = Bench::new("");
        let server = json!({"url": format!("{}/mcp", web.url), "headers": {"X-Key": "hunter2-hunter2"}});
        std::fs::write(&bench.file, json!({"mcpServers": {"web": server}}).to_string()).unwrap();
        let (out, err) = beside(bench.command(&["call", "web", "echo", "--frames"]), 5).await;
        assert!(out.is_empty() && err.contains("it is in trouble (HTTP 502)"), "{err}");
        assert!(!err.contains("hunter2") && !err.contains('\u{1b}') && err.len() < 16_000, "{err}");
        let bodies: Vec<Value> =
            frames(&err).iter().filter_map(|frame| serde_json::from_str(frame.strip_prefix("← ")?).ok()).collect();
        let body = bodies.iter().find(|body| body["status"] == 502).unwrap_or_else(|| panic!("{err}"));
        let text = body["text"].as_str().unwrap();
        assert!(text.starts_with("<html>\u{1b}[2J [redacted]\nx x ") && body["cut"] == true, "{text}");
    }
}

#[tokio::test]
async fn a_server_that_failed_is_not_said_to_be_tried_again_by_a_command_that_ends() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", gone.local_addr().unwrap());
    drop(gone);
    let bench = Bench::new("");
    std::fs::write(&bench.file, json!({"mcpServers": {"gone": {"url": url}}}).to_string()).unwrap();
    for args in [&["tools", "gone"][..], &["test", "gone"], &["call", "gone", "x"]] {
        let (_, err) = bench.run(args, 5);
        assert!(err.contains("nobody answers") && !err.contains("Trying again"), "{err}");
    }
    let (_, err) = bench.run(&["add", "other", &url, "--yes"], 5);
    assert!(err.contains("nobody answers") && !err.contains("Trying again"), "{err}");
}

/// A call of a server that asks twice.
async fn asked_twice(dialogue: &'static [(&'static str, &'static str)]) -> (u32, String) {
    let web = Web::serve(curious).await;
    let bench = Bench::new("");
    std::fs::write(&bench.file, json!({"mcpServers": {"web": {"url": format!("{}/mcp", web.url)}}}).to_string())
        .unwrap();
    let command = bench.command(&["call", "web", "echo", "--json"]);
    tokio::task::spawn_blocking(move || in_a_terminal(command, dialogue)).await.unwrap()
}

#[cfg(unix)]
#[tokio::test]
async fn at_a_terminal_a_server_is_answered_line_by_line() {
    let (code, shown) =
        asked_twice(&[("name: ", "Ada\r"), ("Send this to \"web\"?", "y\r"), ("name: ", "/no\r")]).await;
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("\"web\" asks you: first") && shown.contains("\"web\" asks you: second"), "{shown}");
    let told = &shown[shown.find("\"told\"").unwrap_or_else(|| panic!("{shown}"))..];
    for said in ["\"action\": \"accept\"", "\"name\": \"Ada\"", "\"action\": \"decline\""] {
        assert!(told.contains(said), "{said}: {shown}");
    }
}

#[tokio::test]
async fn where_nobody_is_there_questions_are_declined_and_said() {
    let web = Web::serve(curious).await;
    let bench = Bench::new("");
    std::fs::write(&bench.file, json!({"mcpServers": {"web": {"url": format!("{}/mcp", web.url)}}}).to_string())
        .unwrap();
    let (out, err) = beside(bench.command(&["call", "web", "echo", "--json"]), 0).await;
    let result = serde_json::from_str::<Value>(&out).unwrap();
    assert_eq!(result["told"], json!({"z": {"action": "decline"}, "a": {"action": "decline"}}));
    assert!(err.contains("(first); declined: nobody is there to answer; in the chat screen somebody is"), "{err}");
}

#[test]
fn without_servers_the_commands_say_so() {
    let bench = Bench::new("");
    std::fs::write(&bench.file, "{\"mcpServers\": {}}").unwrap();
    for args in [&["tools"][..], &["test"]] {
        let (out, err) = bench.run(args, 0);
        assert!(
            out.is_empty() && err.contains("No servers. Add one: millrace mcp add NAME -- COMMAND"),
            "{args:?} {err}"
        );
    }
    assert!(bench.run(&["call", "x", "y"], 2).1.contains("No servers. Add one"));
    assert_eq!(bench.run(&["tools", "--json"], 0).0, "[]\n");
}

#[test]
fn a_sign_in_to_a_program_is_refused_for_what_it_is() {
    let bench = Bench::new("");
    let (_, err) = bench.run(&["login", "fake"], 2);
    assert!(err.contains("not reached over http, so there is nothing to sign in to"), "{err}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_cancels_at_the_server_and_says_so() {
    let bench = Bench::new(r#"call() { :; }; cancelled() { refuse "$last" -32800 cancelled; }"#);
    let child = bench.command(&["call", "fake", "echo", r#"{"n":1}"#]).spawn().unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while bench.fake.read("tools/call") == 0 {
        assert!(std::time::Instant::now() < until, "it never called");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let (_, err) = ended(child, 130);
    assert!(
        err.contains("cancelling: the server is told") && err.contains("cancelled: the server confirmed it"),
        "{err}"
    );
    assert_eq!(bench.fake.read("notifications/cancelled"), 1);
}

/// `npx` of this test is the server itself, and a package lies where the real one keeps what it fetched.
fn with_npx(bench: &Bench) -> std::ffi::OsString {
    let home = bench.fake.folder.path();
    let bin = home.join("bin");
    let package = home.join(".npm/_npx/0f/node_modules/@ada/notes");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::create_dir_all(&package).unwrap();
    std::fs::write(package.join("package.json"), r#"{"name": "@ada/notes", "version": "2.1.0"}"#).unwrap();
    let script = format!("#!/bin/sh\nLOG='{}'\n{}", bench.fake.log().display(), bench.fake.script);
    std::fs::write(bin.join("npx"), script).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(bin.join("npx"), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut paths = vec![bin];
    paths.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    std::env::join_paths(paths).unwrap()
}

#[cfg(unix)]
#[test]
fn a_server_is_added_as_it_was_shown_and_removed_again() {
    let bench = Bench::new("");
    let path = with_npx(&bench);
    let add = |args: &[&str], code| {
        let args = [&["add"][..], args].concat();
        ended(bench.command(&args).env("PATH", &path).spawn().unwrap(), code)
    };
    let file = bench.fake.folder.path().join("home/config/config.toml");
    let text = || std::fs::read_to_string(&file).unwrap_or_default();
    // Nobody is here to be asked.
    assert!(add(&["notes", "--", "npx", "-y", "@ada/notes"], 2).1.contains("Nobody is here to ask"));
    assert!(text().is_empty());
    let (out, err) = add(&["notes", "--yes", "--", "npx", "-y", "@ada/notes"], 0);
    assert!(err.contains("unpinned: npx fetches the newest @ada/notes"), "{err}");
    assert!(err.contains("This program will run as you, now and when it is used:\n  npx -y @ada/notes"), "{err}");
    assert!(
        out.contains("notes  ready in ") && out.contains("notes/echo") && out.contains("It says of itself: Be kind."),
        "{out}"
    );
    assert!(out.contains("Saved [servers.notes] in "), "{out}");
    assert!(text().contains("args = [\"-y\", \"@ada/notes\"]"), "{}", text());
    assert!(add(&["notes", "--yes", "--", "x"], 2).1.contains("there is a server notes already"));
    add(&["pinned", "--yes", "--pin", "--no-start", "--", "npx", "-y", "@ada/notes"], 0);
    assert!(text().contains("args = [\"-y\", \"@ada/notes@2.1.0\"]"), "{}", text());
    // What nobody sees is shown, and a secret does not go into arguments.
    let (_, err) = add(&["odd", "--yes", "--no-start", "--", "sh", "x\u{202e}y\u{1b}[2K"], 0);
    assert!(err.contains("x<U+202E>y<ESC>[2K") && err.contains("2 of its characters cannot be seen"), "{err}");
    assert!(add(&["s", "--yes", "--", "x", "--token", "hunter2"], 2).1.contains("seems to hold a secret"));
    assert!(add(&["Bad__", "--yes", "--", "x"], 2).1.contains("cannot be a server's name"));
    assert!(add(&["gone", "--yes", "--", "no-such-program"], 5).0.contains("millrace mcp remove gone"));
    // An address, with a header that stays a reference.
    let header = "Authorization: Bearer ${env:NOTES_TOKEN}";
    let (_, err) = add(&["web", "https://notes.example/mcp", "--header", header, "--yes", "--no-start"], 3);
    assert!(err.contains("$NOTES_TOKEN is not set"), "{err}");
    // At a terminal one that did not come up is kept only if that is wanted.
    for (answer, kept) in [("n", false), ("y", true)] {
        let mut command = bench.command(&["add", "maybe", "--", "no-such-program"]);
        command.env("PATH", &path);
        let (code, shown) = in_a_terminal(command, &[("[y/N]", "y\r"), ("[y/N]", &format!("{answer}\r"))]);
        assert!(code == 5 && shown.contains("Save it all the same?"), "{shown}");
        assert_eq!(text().contains("[servers.maybe]"), kept, "{shown}");
    }
    for name in ["notes", "pinned", "odd", "gone", "maybe"] {
        bench.run(&["remove", name], 0);
    }
    assert!(!text().contains("[servers"), "{}", text());
    bench.run(&["remove", "notes"], 2);
    assert!(bench.run(&["remove", "fake"], 2).1.contains("which is not millrace's"));
}
