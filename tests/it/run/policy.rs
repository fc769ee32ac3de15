//! Who may do what in a run.

use super::answers::in_a_terminal;
use super::*;

const WRITE: (&str, &str) = ("demo__write_file", "{\"path\":\"a.txt\",\"content\":\"x\"}");
const READ: (&str, &str) = ("demo__read_file", "{\"path\":\"README.md\"}");

/// How the two calls ended with these options.
fn ends(options: &[&str]) -> (String, String) {
    let home = Home::new();
    let servers = home.servers(None);
    let provider = Provider::start(vec![Reply::calls(&[WRITE, READ]), Reply::text("ok")]);
    let args = [&["--mcp", servers.to_str().unwrap(), "--output", "ndjson", "go"], options].concat();
    let events = Events::of(home.run(&provider, &args), 0);
    let state = |name: &str| events.end(name)["state"].as_str().unwrap().to_owned();
    (state(WRITE.0), state(READ.0))
}

#[test]
fn a_run_allows_what_was_allowed_and_nothing_else() {
    let check = |options: &[&str], write: &str, read: &str| {
        assert_eq!(ends(options), (write.to_owned(), read.to_owned()), "{options:?}");
    };
    check(&[], "denied", "denied");
    check(&["--trust", "demo"], "denied", "done");
    check(&["--trust", "demo", "--approve", "none"], "denied", "denied");
    check(&["--approve", "all"], "done", "done");
    check(&["--approve", "all", "--deny", "demo/write_*"], "denied", "done");
    check(&["--allow", "demo/*", "--deny", "demo/read_*"], "done", "denied");
}

#[test]
fn a_denial_is_told_on_stderr_with_what_would_allow_it() {
    let home = Home::new();
    let servers = home.servers(None);
    let script = || Provider::start(vec![Reply::calls(&[WRITE]), Reply::text("ok")]);
    let args = ["--mcp", servers.to_str().unwrap(), "go"];
    let told = done(home.run(&script(), &args).output().unwrap(), 0);
    assert_eq!(told.out, "ok\n");
    assert_eq!(told.err, "denied demo/write_file: nobody is here to ask. Allow it: --allow demo/write_file\n");
    let quiet = [&args[..], &["-q"]].concat();
    assert_eq!(done(home.run(&script(), &quiet).output().unwrap(), 0).err, "");
    let loud = [&args[..], &["-v", "--approve", "all"]].concat();
    let err = done(home.run(&script(), &loud).output().unwrap(), 0).err;
    assert!(err.contains("server demo ready") && err.contains("running demo/write_file"), "{err}");
}

#[test]
fn a_limit_on_rounds_ends_with_its_own_code() {
    let home = Home::new();
    let servers = home.servers(None);
    let provider = Provider::start(vec![Reply::calls(&[READ]), Reply::text("never asked")]);
    let args =
        ["--mcp", servers.to_str().unwrap(), "--approve", "all", "--max-rounds", "1", "--output", "ndjson", "go"];
    let events = Events::of(home.run(&provider, &args), 6);
    assert_eq!((events.status(), provider.requests().len()), ("limit", 1));
    assert_eq!(events.end(READ.0)["state"], "done");
}

#[test]
fn a_terminal_is_asked_and_only_a_clear_yes_counts() {
    let ask = |options: &[&str], calls: &[(&str, &str)], dialogue: &[(&str, &str)]| {
        let home = Home::new();
        let servers = home.servers(None);
        let provider = Provider::start(vec![Reply::calls(calls), Reply::text("finished")]);
        let args = [&["--mcp", servers.to_str().unwrap(), "--approve", "ask", "go"], options].concat();
        let (code, screen) = in_a_terminal(home.run(&provider, &args), dialogue);
        assert_eq!(code, 0, "{screen}");
        assert!(screen.contains("finished"), "{screen}");
        (screen, provider.told(1).into_iter().filter(|(role, _)| role == "tool").map(|(_, t)| t).collect::<Vec<_>>())
    };
    let (screen, told) = ask(&[], &[WRITE], &[("[n] deny", "y\n")]);
    assert!(screen.contains("demo/write_file wants to run") && screen.contains("\"content\":\"x\""), "{screen}");
    assert!(told[0].contains("a.txt created"), "{told:?}");
    // No answer, a wrong one first, the end of input.
    let (_, told) = ask(&[], &[WRITE], &[("[n] deny", "a\n"), ("[n] deny", "\n")]);
    assert!(told[0].contains("denied"), "{told:?}");
    let (_, told) = ask(&[], &[WRITE], &[("[n] deny", "\u{4}")]);
    assert!(told[0].contains("denied"), "{told:?}");
    // One at a time; a yes for the session answers for the same tool, not for another.
    let other = ("demo__write_file", "{\"path\":\"b.txt\",\"content\":\"y\"}");
    let (screen, told) = ask(&[], &[WRITE, other, READ], &[("[n] deny", "s\n"), ("read_file wants to run", "n\n")]);
    assert!(told[0].contains("created") && told[1].contains("created") && told[2].contains("denied"), "{told:?}");
    assert_eq!(screen.matches("wants to run").count(), 2, "{screen}");
}
