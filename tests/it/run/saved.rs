//! What is kept: crashes, two at once, no store, export and import.

use super::*;

#[test]
fn after_a_kill_question_partial_answer_and_the_running_call_are_there() {
    let home = Home::new();
    let servers = home.servers(Some("call() { :; }"));
    let log = home.path("log");
    let called = move || logged(&log, "tools/call");
    let provider = Provider::start(vec![Reply::sse(vec![
        say("I will ask the server. "),
        call(0, "fake__echo", "{\"a\":1}"),
        Step::Until(Box::new(called)),
        say("Meanwhile"),
        Step::Hang,
    ])]);
    let args = ["--mcp", servers.to_str().unwrap(), "--approve", "all", "--output", "ndjson", "the question"];
    let mut child = Running(home.run(&provider, &args).spawn().unwrap());
    let mut out = BufReader::new(child.0.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("Meanwhile") {
        line.clear();
        assert_ne!(out.read_line(&mut line).unwrap(), 0);
    }
    // Text is written every 250 ms; whoever looks from elsewhere sees it.
    wait(&|| done(home.command(&["history", "show", "last", "--json"]).output().unwrap(), 0).out.contains("Meanwhile"));
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    let kept = home.last();
    assert_eq!(kept["messages"][0]["content"], "the question");
    let answer = kept["messages"][1]["content"].as_str().unwrap();
    assert!(answer.starts_with("I will ask the server."), "{kept:#}");
    assert_eq!(kept["interrupted"], true);
    assert_eq!((&kept["calls"][0]["state"], &kept["calls"][0]["arguments"]), (&"unknown".into(), &"{\"a\":1}".into()));
    // And it can be gone on with.
    let next = Provider::start(vec![Reply::text("on it goes")]);
    let told = done(home.run(&next, &["-c", "and now?"]).output().unwrap(), 0);
    assert_eq!(told.out, "on it goes\n");
    let roles: Vec<String> = next.told(0).into_iter().map(|(role, _)| role).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "user"]);
}

/// What is being written stands on the disk at most a quarter of a second later, and is there again with its
/// conversation; a question of the command line goes before it.
#[test]
fn a_draft_outlives_the_killed_screen() {
    let home = Home::new();
    let m = home.path("m");
    let env = [("MILLRACE_HOME", m.to_str().unwrap())];
    let provider = Provider::start(vec![Reply::text("the answer"), Reply::text("another one")]);
    let url = provider.url();
    let args = ["--base-url", url.as_str(), "-m", "scripted"];
    let open = |more: &[&str]| crate::tui::open(&[&args, more].concat(), (100, 30), &env);
    let mut terminal = open(&["a question"]);
    terminal.wait_for("the answer");
    terminal.type_in("half a thought\nand more");
    terminal.wait_for("and more");
    std::thread::sleep(Duration::from_millis(700));
    for more in [&["--resume=last"][..], &["--resume=last", "and this?"]] {
        terminal.signal("-KILL");
        terminal.ended();
        terminal = open(more);
        terminal.wait_for("half a thought");
        terminal.wait_for("and more");
    }
    terminal.wait_for("another one");
    terminal.signal("-TERM");
    terminal.ended();
    assert_eq!(provider.told(1).last().unwrap().1, "and this?");
}

#[test]
fn a_conversation_goes_on_and_a_second_writer_is_told() {
    let home = Home::new();
    let provider = Provider::start(vec![
        Reply::text("one"),
        Reply::text("two"),
        Reply::sse(vec![say("three\n"), Step::Hang]),
        Reply::text("four"),
    ]);
    done(home.run(&provider, &["first"]).output().unwrap(), 0);
    done(home.run(&provider, &["-c", "second"]).output().unwrap(), 0);
    assert_eq!(provider.told(1).len(), 3);
    let id = home.last()["id"].as_str().unwrap().to_owned();
    let mut child = Running(home.run(&provider, &["-c", "--output", "ndjson", "third"]).spawn().unwrap());
    let mut out = BufReader::new(child.0.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("three") {
        line.clear();
        assert_ne!(out.read_line(&mut line).unwrap(), 0);
    }
    let told = done(home.run(&provider, &[&format!("-r={id}"), "fourth"]).output().unwrap(), 7);
    assert!(told.err.contains("open"), "{}", told.err);
    assert_eq!(provider.requests().len(), 3, "the second one asked nothing");
    signal(&child.0, rustix::process::Signal::INT);
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    child.0.wait().unwrap();
    assert_eq!(home.last()["messages"].as_array().unwrap().len(), 6);
    // Nothing is kept where that was asked.
    done(home.run(&provider, &["--no-save", "secretly"]).output().unwrap(), 0);
    assert_eq!(home.last()["id"], id.as_str());
}

#[test]
fn without_a_store_a_run_goes_on_and_history_does_not() {
    let home = Home::new();
    home.file("m/data", "a file where a folder should be");
    let provider = Provider::start(vec![Reply::text("answered")]);
    let told = done(home.run(&provider, &["-v", "q"]).output().unwrap(), 0);
    assert_eq!(told.out, "answered\n");
    assert!(told.err.contains("not saved"), "{}", told.err);
    for command in [&["history"][..], &["timeline"], &["run", "-c", "q"], &["history", "export", "last"]] {
        let told = done(home.command(command).output().unwrap(), 7);
        assert!(!told.err.is_empty(), "{command:?}");
    }
}

#[test]
fn what_is_exported_comes_back_equal_and_without_secrets() {
    let home = Home::new();
    let servers = home.servers(None);
    let provider = Provider::start(vec![
        Reply::calls(&[("demo__write_file", "{\"path\":\"k.txt\",\"content\":\"sk-hunter2-hunter2\"}")]),
        Reply::text("The key sk-hunter2-hunter2 is written\u{202e}."),
    ]);
    let args = ["--mcp", servers.to_str().unwrap(), "--approve", "all", "write my key"];
    let key = |mut command: Command| {
        command.env("OPENAI_API_KEY", "sk-hunter2-hunter2");
        command.output().unwrap()
    };
    done(key(home.run(&provider, &args)), 0);
    let id = home.last()["id"].as_str().unwrap().to_owned();
    for format in ["markdown", "json", "html"] {
        let told = done(key(home.command(&["history", "export", "last", "--format", format])), 0);
        assert!(!told.out.contains("hunter2") && told.out.contains("[redacted]"), "{}", told.out);
    }
    let (first, second) = (home.path("a.json"), home.path("b.json"));
    let export = |home: &Home, file: &Path, id: &str| {
        done(home.command(&["history", "export", id, "-o", file.to_str().unwrap()]).output().unwrap(), 0);
        let text = std::fs::read_to_string(file).unwrap();
        assert!(!text.contains('\u{202e}'));
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let exported = export(&home, &first, &id);
    assert!(exported.to_string().contains("sk-hunter2-hunter2"), "without the key nothing is known to be secret");
    let import = |home: &Home| {
        let told = done(home.command(&["history", "import", first.to_str().unwrap(), "--json"]).output().unwrap(), 0);
        serde_json::from_str::<Value>(&told.out).unwrap()
    };
    // Elsewhere it is the same to the byte; here, where it stands already, it has new ids.
    let elsewhere = Home::new();
    assert_eq!(import(&elsewhere)["imported_as_new_id"], false);
    assert_eq!(export(&elsewhere, &second, "last"), exported);
    let copy = import(&home);
    assert_eq!(copy["imported_as_new_id"], true);
    let told = done(home.command(&["history", "list", "--json"]).output().unwrap(), 0);
    assert_eq!(serde_json::from_str::<Value>(&told.out).unwrap().as_array().unwrap().len(), 2);
    let found = done(elsewhere.command(&["history", "search", "written", "--json"]).output().unwrap(), 0);
    assert_eq!(serde_json::from_str::<Value>(&found.out).unwrap()["total"], 1);
    // A call whose outcome the file lacks may have run; an outcome without its call is no history.
    let third = Home::new();
    let without = |message: usize| {
        let mut edited = exported.clone();
        edited["messages"].as_array_mut().unwrap().remove(message);
        third.file("edited.json", &edited.to_string())
    };
    let import = |file: PathBuf| third.command(&["history", "import", file.to_str().unwrap()]).output().unwrap();
    done(import(without(2)), 0);
    let kept = third.last();
    assert_eq!((&kept["calls"][0]["state"], &kept["messages"][2]["role"]), (&"unknown".into(), &"tool".into()));
    assert!(done(import(without(1)), 2).err.contains("no valid history"));
    for bad in ["{}", "no json", "{\"format\":\"millrace.conversation\",\"version\":99}"] {
        let file = home.file("bad.json", bad);
        done(home.command(&["history", "import", file.to_str().unwrap()]).output().unwrap(), 2);
    }
}

#[test]
fn a_long_conversation_is_summarised_by_itself_only_where_that_is_configured() {
    let home = Home::new();
    let counted = |text: &str, tokens: u64| {
        let usage = event(&json!({"choices": [], "usage": {"prompt_tokens": tokens, "completion_tokens": 9}}));
        Reply::sse(vec![say(text), usage, finish("stop")])
    };
    let config = |mode: &str| {
        let text = format!(
            "[chat]\ncompact = \"{mode}\"\ncompact_keep = 1\n[profiles.small]\nbase_url = \"http://127.0.0.1:1/v1\"\n\
             model = \"scripted\"\ncontext = 1000\n"
        );
        home.file("m/config/config.toml", &text);
    };
    config("ask");
    let long = "a long story ".repeat(200);
    let provider = Provider::start(vec![
        counted(&long, 700),
        counted("second", 750),
        counted("third", 800),
        counted("In short, a story was told.", 800),
        counted("fourth", 200),
    ]);
    let run = |args: &[&str]| home.run(&provider, &[&["-p", "small", "--output", "ndjson"], args].concat());
    Events::of(run(&["tell"]), 0);
    Events::of(run(&["-c", "and then?"]), 0);
    Events::of(run(&["-c", "and then?"]), 0);
    assert_eq!(provider.requests().len(), 3, "nothing is summarised unless it is wished");
    config("auto");
    let events = Events::of(run(&["-c", "the end?"]), 0);
    assert_eq!(provider.requests().len(), 5);
    let notices: Vec<&Value> = events.named("notice").into_iter().filter(|n| n["kind"] == "compacted").collect();
    assert_eq!(notices.len(), 2, "{}", events.shown());
    assert!(notices[1]["message"].as_str().unwrap().starts_with("4 messages are summarised"), "{notices:?}");
    let summary = &provider.requests()[3];
    assert!(
        summary.get("tools").is_none() && summary["messages"][1]["content"].as_str().unwrap().contains("a long story")
    );
    let sent = provider.told(4);
    let roles: Vec<&str> = sent.iter().map(|(role, _)| role.as_str()).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    assert!(sent[0].1.contains("In short, a story was told.") && !sent[0].1.contains("a long story"), "{}", sent[0].1);
    // All of it stays, and goes out with an export.
    let kept = home.last();
    assert_eq!(kept["messages"].as_array().unwrap().len(), 8);
    let told = done(home.command(&["history", "export", "last", "--format", "json"]).output().unwrap(), 0);
    assert!(told.out.contains("a long story") && told.out.contains("In short, a story was told."));
}
