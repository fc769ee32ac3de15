//! `run --detach` and `attach`: a turn that outlives who started it.

use super::*;

/// A detached run, ended with its test at the latest.
struct Detached {
    id: String,
    pid: u32,
    log: PathBuf,
}

impl Detached {
    #[track_caller]
    fn start(mut command: Command) -> Self {
        command.args(["--detach", "--json"]);
        let told = done(command.output().unwrap(), 0);
        let told: Value = serde_json::from_str(&told.out).unwrap();
        let text = |name: &str| told[name].as_str().unwrap().to_owned();
        let pid = u32::try_from(told["pid"].as_u64().unwrap()).unwrap();
        Self { id: text("conversation"), pid, log: text("log").into() }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid).unwrap()).unwrap();
        let _ = rustix::process::kill_process(pid, signal);
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        self.signal(rustix::process::Signal::KILL);
    }
}

/// A step that waits until a file is there.
fn until(path: PathBuf) -> Step {
    Step::Until(Box::new(move || path.exists()))
}

/// An attach that is read line by line.
struct Attached {
    child: Running,
    out: BufReader<std::process::ChildStdout>,
    lines: Vec<Value>,
}

impl Attached {
    fn start(home: &Home, id: &str) -> Self {
        let mut child = Running(home.command(&["attach", id, "--output", "ndjson"]).spawn().unwrap());
        let out = BufReader::new(child.0.stdout.take().unwrap());
        Self { child, out, lines: Vec::new() }
    }

    /// Reads until a line holds this text.
    #[track_caller]
    fn reads(&mut self, text: &str) {
        loop {
            let mut line = String::new();
            assert_ne!(self.out.read_line(&mut line).unwrap(), 0, "{text:?} never came: {:#?}", self.lines);
            self.lines.push(serde_json::from_str(&line).unwrap());
            if line.contains(text) {
                return;
            }
        }
    }

    #[track_caller]
    fn end(mut self, code: i32) -> Events {
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        assert_eq!(self.child.0.wait().unwrap().code(), Some(code), "{rest}");
        self.lines.extend(rest.lines().map(|line| serde_json::from_str(line).unwrap()));
        lawful(&self.lines);
        Events(self.lines)
    }
}

#[test]
fn a_turn_outlives_its_terminal_and_is_followed_to_its_end() {
    let home = Home::new();
    let servers = home.servers(Some(""));
    let (first, second) = (home.path("first"), home.path("second"));
    let provider = Provider::start(vec![
        Reply::sse(vec![
            say("Let me look. "),
            until(first.clone()),
            call(0, "fake__echo", "{\"a\":1}"),
            usage(),
            finish("tool_calls"),
        ]),
        Reply::sse(vec![say("It is "), until(second.clone()), say("done."), usage(), finish("stop")]),
    ]);
    let mut command = home.run(&provider, &["--mcp", servers.to_str().unwrap(), "--approve", "all", "--detach", "go"]);
    command.env("TERM", "xterm-256color");
    // When this returns, the terminal has hung up.
    let (code, screen) = in_a_terminal(command, &[]);
    assert_eq!(code, 0, "{screen}");
    let id = screen.lines().next().unwrap().trim().to_owned();
    assert!(screen.contains(&format!("millrace attach {id}")), "{screen}");
    let (mut one, mut two) = (Attached::start(&home, &id), Attached::start(&home, &id));
    one.reads("Let me look.");
    two.reads("Let me look.");
    std::fs::write(&first, "").unwrap();
    one.reads("It is ");
    std::fs::write(&second, "").unwrap();
    for attached in [one, two] {
        let events = attached.end(0);
        assert_eq!((events.status(), events.0.last().unwrap()["text"].as_str()), ("ok", Some("It is done.")));
        assert_eq!(events.end("fake__echo")["state"], "done");
        assert_eq!(events.named("finish").len(), 2);
        assert_eq!(events.one("started")["conversation"], id.as_str());
        let said: String = events.named("text").iter().map(|line| line["text"].as_str().unwrap()).collect();
        assert_eq!(said, "Let me look. It is done.");
    }
    // Afterwards it is told the same; a pipe gets the answer alone, a program the messages too.
    assert_eq!(done(home.command(&["attach", "last"]).output().unwrap(), 0).out, "It is done.\n");
    let told = done(home.command(&["attach", &id, "--json"]).output().unwrap(), 0);
    let told: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!((told["messages"].as_array().unwrap().len(), &told["usage"]["input"]), (4, &14.into()), "{told:#}");
    let told = done(home.command(&["attach", &id, "--stop"]).output().unwrap(), 0);
    assert!(told.out.contains("ended as ok"), "{}", told.out);
}

#[test]
fn leaving_it_leaves_it_running_and_stopping_it_keeps_what_came() {
    let home = Home::new();
    let more = home.path("more");
    let provider =
        Provider::start(vec![Reply::sse(vec![say("so far "), until(more.clone()), say("so good"), Step::Hang])]);
    let run = Detached::start(home.run(&provider, &["a long question"]));
    let mut attached = Attached::start(&home, &run.id);
    attached.reads("so far");
    signal(&attached.child.0, rustix::process::Signal::INT);
    assert_eq!(attached.child.0.wait().unwrap().code(), Some(130));
    // A hang-up that reaches it by another way does not end it either.
    run.signal(rustix::process::Signal::HUP);
    std::fs::write(&more, "").unwrap();
    let mut attached = Attached::start(&home, &run.id);
    attached.reads("so good");
    let told = done(home.command(&["attach", "last", "--stop", "--json"]).output().unwrap(), 0);
    let told: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!((&told["stopped"], &told["status"]), (&true.into(), &"cancelled".into()));
    assert_eq!(attached.end(130).status(), "cancelled");
    let kept = home.last();
    assert_eq!(kept["messages"][1]["content"], "so far so good");
    assert_eq!(std::fs::read_to_string(&run.log).unwrap(), "");
}

#[test]
fn a_run_that_is_killed_is_told_as_what_it_was() {
    let home = Home::new();
    let servers = home.servers(Some("call() { :; }"));
    let log = home.path("log");
    let called = move || logged(&log, "tools/call");
    let provider = Provider::start(vec![Reply::sse(vec![
        say("I ask. "),
        call(0, "fake__echo", "{\"a\":1}"),
        Step::Until(Box::new(called)),
        say("Meanwhile"),
        Step::Hang,
    ])]);
    let args = ["--mcp", servers.to_str().unwrap(), "--approve", "all", "q"];
    let run = Detached::start(home.run(&provider, &args));
    let mut attached = Attached::start(&home, &run.id);
    attached.reads("Meanwhile");
    run.signal(rustix::process::Signal::KILL);
    let events = attached.end(1);
    assert_eq!((events.status(), &events.end("fake__echo")["state"]), ("failed", &"unknown".into()));
    let error = events.one("error");
    assert!(error["message"].as_str().unwrap().contains("killed"), "{error}");
    let hint = error["hint"].as_str().unwrap();
    assert!(hint.contains(&format!("millrace run -r={} \"Continue.\"", run.id)), "{hint}");
    // As the hint says.
    let next = Provider::start(vec![Reply::text("on it goes")]);
    let told = done(home.run(&next, &[&format!("-r={}", run.id), "Continue."]).output().unwrap(), 0);
    assert_eq!(told.out, "on it goes\n");
}

#[test]
fn what_fails_later_is_told_by_attach_with_the_exit_code_of_a_run() {
    let home = Home::new();
    let provider =
        Provider::start(vec![Reply::plain("401 No", "application/json", "", "{\"error\":{\"message\":\"bad key\"}}")]);
    let run = Detached::start(home.run(&provider, &["q"]));
    let told = done(home.command(&["attach", &run.id]).output().unwrap(), 4);
    assert!(told.err.contains("401"), "{}", told.err);
    // The log has it, too, and nobody else can read that.
    wait(&|| logged(&run.log, "401"));
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&run.log).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(run.log.file_stem().unwrap().to_str(), Some(run.id.as_str()));
}

#[test]
fn what_is_piped_in_is_asked_and_the_id_stands_alone() {
    let home = Home::new();
    let provider = Provider::start(vec![Reply::text("a fine diff")]);
    let mut command = home.run(&provider, &["--detach", "review"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"+ a line\n").unwrap();
    let told = done(child.wait_with_output().unwrap(), 0);
    let id = told.out.strip_suffix('\n').unwrap();
    assert!(id.len() == 36 && told.err.is_empty(), "{}{}", told.out, told.err);
    assert_eq!(done(home.command(&["attach", &id[..20]]).output().unwrap(), 0).out, "a fine diff\n");
    assert_eq!(provider.told(0)[0].1, "review\n\n+ a line");
}

#[test]
fn what_cannot_be_detached_or_followed_says_why() {
    let home = Home::new();
    let provider = Provider::start(vec![]);
    let check = |args: &[&str], code: i32, says: &str| {
        let told = done(home.run(&provider, args).output().unwrap(), code);
        assert!(told.out.is_empty() && told.err.contains(says), "{args:?}: {}{}", told.out, told.err);
    };
    check(&["--detach", "--no-save", "q"], 2, "--no-save");
    let told = done(home.run(&provider, &["--detach", "--output", "ndjson", "q"]).output().unwrap(), 2);
    assert!(told.out.contains("millrace attach ID --output ndjson"), "{}", told.out);
    check(&["--detach", "-x", "q"], 2, "millrace attach ID -x");
    check(&["--detach", "--approve", "ask", "q"], 2, "needs a terminal");
    check(&["--detach"], 2, "nothing to ask");
    check(&["--detach", "-p", "none", "q"], 3, "none");
    let told = done(home.run(&provider, &["--detach", "--json", "--no-save", "q"]).output().unwrap(), 2);
    assert_eq!(serde_json::from_str::<Value>(&told.out).unwrap()["error"]["kind"], "usage");
    assert!(provider.requests().is_empty());
    for args in [&["attach", "last"][..], &["attach", "0000"], &["attach", "0000", "--stop"]] {
        assert!(!done(home.command(args).output().unwrap(), 2).err.is_empty(), "{args:?}");
    }
    let logs = std::fs::read_dir(home.path("m/state/detached")).unwrap().count();
    assert_eq!(logs, 0, "what never began leaves no log");
    // Without a store nobody could follow it.
    let home = Home::new();
    home.file("m/data", "a file where a folder should be");
    assert!(!done(home.run(&provider, &["--detach", "q"]).output().unwrap(), 7).err.is_empty());
    done(home.command(&["attach", "last"]).output().unwrap(), 7);
    let home = Home::new();
    home.file("m/config/config.toml", "[store]\nsave = false\n");
    assert!(done(home.run(&provider, &["--detach", "q"]).output().unwrap(), 2).err.contains("store.save"));
}

#[test]
fn a_screen_follows_a_turn_that_runs_elsewhere_stops_it_and_takes_over() {
    let home = Home::new();
    let more = home.path("more");
    let provider = Provider::start(vec![
        Reply::sse(vec![say("so far "), until(more.clone()), say("so good"), Step::Hang]),
        Reply::text("Here I am."),
    ]);
    let run = Detached::start(home.run(&provider, &["a long question"]));
    let shared = home.path("m");
    let arguments = ["--base-url", &provider.url(), "-m", "scripted", &format!("-r={}", run.id)];
    let mut screen = crate::tui::open(&arguments, (100, 30), &[("MILLRACE_HOME", shared.to_str().unwrap())]);
    screen.wait_for("so far");
    screen.wait_for("runs elsewhere");
    std::fs::write(&more, "").unwrap();
    screen.wait_for("so good");
    screen.type_in("and you?");
    screen.wait_for("and you?");
    screen.type_in("\x1b");
    screen.wait_for("Stop it?");
    // A question is deaf at first, so that no key that was meant for the text answers it.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while screen.screen().contains("Stop it?") {
        assert!(std::time::Instant::now() < until, "{}", screen.screen());
        std::thread::sleep(std::time::Duration::from_millis(400));
        screen.type_in("y");
    }
    screen.wait_for("you can write here");
    screen.type_in("\r");
    screen.wait_for("Here I am.");
    screen.type_in("\x04");
    assert_eq!(screen.ended().0.exit_code(), 0);
    let kept = home.last();
    let said: Vec<&str> = kept["messages"].as_array().unwrap().iter().filter_map(|m| m["content"].as_str()).collect();
    assert_eq!(said[..2], ["a long question", "so far so good"], "{kept:#}");
    assert!(said.last() == Some(&"Here I am."), "{kept:#}");
}
