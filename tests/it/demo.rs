//! `millrace demo` as it is run: the built binary, its model over real HTTP, its tools over real stdio.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A tenth of the usual waits: the order of things stays, the test takes two seconds.
const PACE: &str = "0.1";

fn demo(arguments: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    // A configuration that no session would survive: the demo must not read it.
    std::fs::write(home.path().join("config.toml"), "this is = no [toml").unwrap();
    Command::new(env!("CARGO_BIN_EXE_millrace"))
        .arg("demo")
        .args(arguments)
        .env("MILLRACE_HOME", home.path())
        .env("MILLRACE_DEMO_PACE", PACE)
        .env("OPENAI_API_KEY", "sk-must-not-be-used")
        .env("OPENAI_BASE_URL", "http://192.0.2.1/v1")
        .env("TMPDIR", home.path())
        .stdin(Stdio::null())
        .output()
        .inspect(|_| {
            let left: Vec<_> =
                std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(left, ["config.toml"], "the demo leaves nothing behind");
        })
        .unwrap()
}

struct Story {
    events: Vec<Value>,
}

impl Story {
    fn of(arguments: &[&str]) -> Self {
        let output = demo(&[&["--output", "ndjson"], arguments].concat());
        let told = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{told}\n{errors}");
        let events: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        assert!(events.windows(2).all(|two| two[0]["t"].as_f64() <= two[1]["t"].as_f64()), "time never decreases");
        assert_eq!(events.last().expect("no line at all")["event"], "ended");
        Self { events }
    }

    fn place(&self, what: impl Fn(&Value) -> bool) -> Option<usize> {
        self.events.iter().position(what)
    }

    /// Where the first call of a tool in a round reached a state.
    fn state(&self, round: u64, tool: &str, state: &str) -> Option<usize> {
        self.place(|e| e["event"] == "call" && e["round"] == round && e["tool"] == tool && e["state"] == state)
    }

    fn finish(&self, round: u64) -> usize {
        self.place(|e| e["event"] == "finish" && e["round"] == round).expect("the round has no end")
    }

    fn ended(&self) -> (&str, &str) {
        let last = &self.events[self.events.len() - 1];
        (last["status"].as_str().unwrap(), last["text"].as_str().unwrap())
    }

    /// Tools with the state in which their calls ended, in order of their ends.
    fn outcomes(&self) -> Vec<String> {
        let ended = |state: &str| !matches!(state, "arguments" | "closed" | "waiting" | "running" | "progress");
        let calls = self.events.iter().filter(|e| e["event"] == "call" && ended(e["state"].as_str().unwrap()));
        let mut outcomes: Vec<String> = calls
            .map(|e| format!("{} {} {}", e["round"], e["tool"].as_str().unwrap(), e["state"].as_str().unwrap()))
            .collect();
        outcomes.sort();
        outcomes
    }
}

#[test]
fn in_one_story_calls_leave_early_progress_fail_and_are_denied() {
    let story = Story::of(&[]);
    for tool in ["search_notes", "read_file", "fetch_report", "run_tests"] {
        let closed = story.state(1, tool, "closed").expect(tool);
        let running = story.state(1, tool, "running").expect(tool);
        assert!(closed < running && running < story.finish(1), "{tool} left before the stream had ended");
    }
    let text_after = story.events[story.state(1, "run_tests", "running").unwrap()..story.finish(1)]
        .iter()
        .any(|e| e["event"] == "text" && e["round"] == 1);
    assert!(text_after, "the model still wrote while its calls ran");
    assert!(story.state(1, "read_file", "done").unwrap() < story.finish(1));
    assert!(story.state(1, "fetch_report", "progress").is_some());
    assert_eq!(
        story.outcomes(),
        [
            "1 fetch_report done",
            "1 read_file done",
            "1 run_tests failed",
            "1 search_notes done",
            "2 read_file done",
            "2 weather done",
            "2 write_file denied"
        ]
    );
    assert!(story.place(|e| e["event"] == "reasoning").is_some() && story.place(|e| e["event"] == "usage").is_some());
    let (status, text) = story.ended();
    assert_eq!(status, "ok");
    // Quoted from results, not from the script.
    for quoted in [
        "nobody is here to ask",
        "took 12.4 s with a budget of 8 s",
        "| March | 19 | 3.4 s |",
        "Err(e) if Instant::now() + pause > end",
    ] {
        assert!(text.contains(quoted), "{quoted}: {text}");
    }
    assert!(!text.contains("{{"), "{text}");
}

#[test]
fn with_everything_approved_the_tests_turn_green() {
    let story = Story::of(&["--approve", "all"]);
    assert_eq!(story.outcomes().last().unwrap(), "3 run_tests done");
    let (status, text) = story.ended();
    assert_eq!(status, "ok");
    assert!(text.contains("## The retry keeps its budget now") && text.contains("ok. 3 passed; 0 failed"), "{text}");
}

#[test]
fn other_questions_have_answers_and_choices_are_obeyed() {
    let check = |arguments: &[&str], outcomes: &[&str], says: &str| {
        let story = Story::of(arguments);
        assert_eq!(story.outcomes(), outcomes, "{arguments:?}");
        let (status, text) = story.ended();
        assert_eq!(status, "ok", "{arguments:?}");
        assert!(text.contains(says) && !text.contains("{{"), "{arguments:?}: {text}");
    };
    check(&["weather", "in", "Ayr?"], &["1 weather done", "1 weather done"], "## Ayr, the next days");
    check(&["Who was the first person on the moon"], &[], "a script and not a mind");
    check(&["--no-mcp", "Fix the retry"], &[], "offers me no tools");
    check(&["--tool-choice", "required", "hello"], &["1 search_notes done"], "You wanted that call");
    check(&["--tool-choice", "demo/run_tests", "hello"], &["1 run_tests failed"], "You wanted that call");
    check(&["--deny", "demo/read_file", "Fix the retry"], &[], "offers me no tools");
    check(&["--dispatch", "finish", "Show me the files"], &["1 list_files done", "1 read_file done"], "## The project");
}

#[test]
fn what_makes_no_sense_in_a_demo_is_said() {
    let output = demo(&["--output", "text", "-c"]);
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("nothing to continue"), "{errors}");
}

/// The server is a child of the demo: it must go with it, and what it keeps is a pipe of ours.
#[cfg(target_os = "linux")]
#[test]
fn no_process_stays_behind() {
    let mark = format!("demo-{}", std::process::id());
    let home = tempfile::Builder::new().prefix(&mark).tempdir().unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_millrace"))
        .args(["demo", "--output", "text", "Show me the files"])
        .env("MILLRACE_HOME", home.path())
        .env("MILLRACE_DEMO_PACE", "0")
        .env("TMPDIR", home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let needle = home.path().to_str().unwrap();
    let left: Vec<String> = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let environment = std::fs::read(path.join("environ")).ok()?;
            // A server's environment is small, but a temporary folder is in it.
            String::from_utf8_lossy(&environment).contains(needle).then(|| path.display().to_string())
        })
        .collect();
    assert_eq!(left, Vec::<String>::new());
}
