//! What goes wrong: endpoints, models, servers, configuration.

use super::*;

/// A refused or broken answer: exit code, kind of error, words of its message.
#[track_caller]
fn check(reply: Reply, code: i32, kind: &str, says: &str) {
    let home = Home::new();
    home.file("m/config/config.toml", "[limits]\nattempts = 1\n");
    let provider = Provider::start(vec![reply]);
    let events = Events::of(home.run(&provider, &["--output", "ndjson", "question"]), code);
    let error = events.one("error");
    assert_eq!(error["kind"], kind, "{error}");
    let text = format!("{} {}", error["message"], error["hint"]);
    assert!(text.contains(says), "{says:?} is not in {text}");
    assert_eq!(events.status(), "failed");
    // The question is kept.
    assert_eq!(home.last()["messages"][0]["content"], "question");
}

#[test]
fn every_failure_of_an_endpoint_has_its_code_and_says_what_to_do() {
    let error = |message: &str| json!({"error": {"message": message}}).to_string();
    let json = "application/json";
    check(Reply::plain("401 Unauthorized", json, "", &error("bad key")), 4, "auth", "401");
    check(Reply::plain("404 Not Found", json, "", &error("no such model")), 5, "provider", "no such model");
    check(Reply::plain("429 Too Many", json, "retry-after: 7\r\n", &error("slow down")), 5, "rate_limit", "slow down");
    check(Reply::plain("500 Oops", json, "", &error("broken")), 5, "provider", "broken");
    check(Reply::plain("200 OK", "text/html", "", "<html><title>Login</title></html>"), 5, "protocol", "web page");
    check(Reply::plain("400 Bad", json, "", &error("maximum context length is 10 tokens")), 5, "context", "context");
    check(Reply::sse(vec![say("half an ans")]), 5, "truncated", "");
}

#[test]
fn a_whole_answer_instead_of_a_stream_is_taken() {
    let home = Home::new();
    let body = json!({"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "All at once."}}]});
    let provider = Provider::start(vec![Reply::plain("200 OK", "application/json", "", &body.to_string())]);
    let told = done(home.run(&provider, &["q"]).output().unwrap(), 0);
    assert_eq!(told.out, "All at once.\n");
}

#[test]
fn a_busy_endpoint_is_asked_again_and_the_answer_counts() {
    let home = Home::new();
    let busy =
        Reply::plain("429 Too Many", "application/json", "retry-after: 0\r\n", "{\"error\":{\"message\":\"busy\"}}");
    let provider = Provider::start(vec![busy, Reply::text("now")]);
    let events = Events::of(home.run(&provider, &["--output", "ndjson", "q"]), 0);
    let attempts: Vec<_> = events.named("request").iter().map(|r| r["attempt"].clone()).collect();
    assert_eq!(attempts, [1, 2]);
    assert!(events.named("notice").iter().any(|n| n["kind"] == "retry"));
    assert_eq!(events.one("ended")["text"], "now");
}

#[test]
fn a_cut_stream_keeps_its_words_and_says_so() {
    let home = Home::new();
    let provider = Provider::start(vec![Reply::sse(vec![say("half an answer")])]);
    let told = done(home.run(&provider, &["q"]).output().unwrap(), 5);
    assert_eq!(told.out, "half an answer\n");
    assert!(told.err.starts_with("error: "), "{}", told.err);
    assert_eq!(home.last()["messages"][1]["content"], "half an answer");
    assert_eq!(home.last()["interrupted"], true);
}

#[test]
fn a_models_mistakes_are_told_to_it_and_nothing_is_sent() {
    let home = Home::new();
    let servers = home.servers(None);
    let provider = Provider::start(vec![
        Reply::calls(&[("demo__read_fil", "{\"path\":\"a\"}"), ("demo__read_file", "{\"paht\":\"README.md\"}")]),
        Reply::text("sorry"),
    ]);
    let args = ["--mcp", servers.to_str().unwrap(), "--approve", "all", "--output", "ndjson", "go"];
    let events = Events::of(home.run(&provider, &args), 0);
    for (name, state, says) in [("demo__read_fil", "invalid", "read_file"), ("demo__read_file", "invalid", "path")] {
        let end = events.end(name);
        assert_eq!((end["state"].as_str(), &end["sent"]), (Some(state), &Value::Bool(false)), "{end}");
        assert!(end["content"].as_str().unwrap().contains(says), "{end}");
    }
    let told = provider.told(1);
    assert_eq!(told.iter().filter(|(role, _)| role == "tool").count(), 2);
}

#[test]
fn a_call_whose_arguments_break_off_is_not_sent_and_leaves_the_history_valid() {
    let home = Home::new();
    let servers = home.servers(None);
    let provider =
        Provider::start(vec![Reply::calls(&[("demo__weather", "{\"place\": \"Aber")]), Reply::text("again")]);
    let args = ["--mcp", servers.to_str().unwrap(), "--approve", "all", "--output", "ndjson", "go"];
    let events = Events::of(home.run(&provider, &args), 5);
    let end = events.end("demo__weather");
    assert_eq!((end["state"].as_str(), &end["sent"]), (Some("incomplete"), &Value::Bool(false)), "{end}");
    assert_eq!(events.one("error")["kind"], "truncated");
    done(home.run(&provider, &["-c", "try again"]).output().unwrap(), 0);
    let messages = provider.requests()[1]["messages"].clone();
    let roles: Vec<&str> = messages.as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "user"]);
    // Malformed arguments are never sent back.
    let arguments = messages[1]["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
    assert!(serde_json::from_str::<Value>(arguments).unwrap().is_object(), "{arguments}");
}

#[test]
fn servers_that_die_hang_or_babble_harm_nothing_else() {
    let outcome = |script: &str, limits: &str| {
        let home = Home::new();
        home.file("m/config/config.toml", limits);
        let servers = home.servers(Some(script));
        let provider = Provider::start(vec![
            Reply::calls(&[("fake__echo", "{\"a\":1}"), ("demo__list_files", "{\"folder\":\"src\"}")]),
            Reply::text("so be it"),
        ]);
        let args = ["--mcp", servers.to_str().unwrap(), "--approve", "all", "--output", "ndjson", "go"];
        let events = Events::of(home.run(&provider, &args), 0);
        assert_eq!(events.end("demo__list_files")["state"], "done");
        assert_eq!(events.one("ended")["text"], "so be it");
        let end = events.end("fake__echo").clone();
        (end["state"].as_str().unwrap().to_owned(), end["sent"].clone(), events)
    };
    let (state, sent, _) = outcome("call() { exit 1; }", "");
    assert_eq!((state.as_str(), sent), ("unknown", Value::Bool(true)));
    let (state, sent, _) = outcome("call() { :; }", "[limits]\ncall_idle = \"300ms\"\n");
    assert_eq!((state.as_str(), sent), ("timed_out", Value::Bool(true)));
    let (state, _, events) = outcome("put() { printf 'not json at all\\n'; }", "[limits]\nserver_start = \"1s\"\n");
    assert_eq!(state, "invalid");
    let failed = events.named("server").into_iter().find(|s| s["server"] == "fake" && s["state"] == "failed");
    assert!(failed.is_some_and(|s| s["message"].as_str().is_some_and(|m| !m.is_empty())), "{:#?}", events.0);
}

#[test]
fn what_stops_a_run_before_it_begins_has_its_code() {
    let home = Home::new();
    let provider = Provider::start(Vec::new());
    home.file("m/config/config.toml", "model = \"m\"\n[limts]\n");
    let told = done(home.run(&provider, &["q"]).output().unwrap(), 3);
    assert!(told.err.contains("config.toml:2:2") && told.err.contains("limits"), "{}", told.err);
    home.file("m/config/config.toml", "");
    let told = done(home.command(&[]).output().unwrap(), 2);
    assert!(told.err.contains("millrace run"), "{}", told.err);
    let told = done(home.run(&provider, &["--approve", "ask", "q"]).output().unwrap(), 2);
    assert!(told.err.contains("terminal") && told.err.contains("--approve"), "{}", told.err);
    let told = done(home.run(&provider, &["-c", "q"]).output().unwrap(), 2);
    assert!(told.err.contains("no conversation"), "{}", told.err);
    done(home.run(&provider, &["-r=nothing", "q"]).output().unwrap(), 2);
    done(home.run(&provider, &[]).output().unwrap(), 2);
    done(home.run(&provider, &["-f", "missing.txt", "q"]).output().unwrap(), 2);
    let several = Provider::start(vec![Reply::plain(
        "200 OK",
        "application/json",
        "",
        "{\"data\":[{\"id\":\"a\"},{\"id\":\"b\"}]}",
    )]);
    let base = format!("http://127.0.0.1:{}/v1", several.port);
    let told = done(home.command(&["run", "--base-url", &base, "q"]).output().unwrap(), 3);
    assert!(told.err.contains("-m") && told.err.contains("millrace models"), "{}", told.err);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    home.file("m/config/config.toml", "[limits]\nattempts = 1\n");
    let base = format!("http://127.0.0.1:{nobody}/v1");
    let told = done(home.command(&["run", "--base-url", &base, "-m", "x", "q"]).output().unwrap(), 5);
    assert!(told.err.contains("127.0.0.1"), "{}", told.err);
    assert!(provider.requests().is_empty());
}

#[test]
fn doctor_names_what_is_broken_and_what_to_do() {
    let home = Home::new();
    let models = "{\"data\":[{\"id\":\"only\"}]}";
    let endpoint = || Provider::start(vec![Reply::plain("200 OK", "application/json", "", models)]);
    let doctor = |provider: &Provider, code| {
        let base = format!("http://127.0.0.1:{}/v1", provider.port);
        let told = done(home.command(&["doctor", "--json", "--base-url", &base]).output().unwrap(), code);
        serde_json::from_str::<Value>(&told.out).unwrap()
    };
    let report = doctor(&endpoint(), 0);
    assert_eq!(report["ok"], true);
    let program = env!("CARGO_BIN_EXE_millrace");
    let config = format!(
        "[servers.demo]\ncommand = {program:?}\nargs = [\"demo-server\"]\n\n[servers.gone]\ncommand = \"/no/such/program\"\n"
    );
    home.file("m/config/config.toml", &config);
    let report = doctor(&endpoint(), 1);
    let status = |name: &str| {
        let checks = report["checks"].as_array().unwrap();
        let check = checks.iter().find(|c| c["name"] == name).unwrap_or_else(|| panic!("{name}: {report:#}"));
        (check["status"].as_str().unwrap().to_owned(), check["fix"].is_string())
    };
    assert_eq!(status("server.demo"), ("ok".to_owned(), false));
    assert_eq!(status("server.gone"), ("broken".to_owned(), true));
    home.file("m/config/config.toml", "[limts]\n");
    let told = done(home.command(&["doctor"]).output().unwrap(), 1);
    assert!(told.out.contains("broken") && told.out.contains("limts"), "{}", told.out);
}
