//! A part of the program panics, in the midst of an answer, on a real terminal: it is given back, what happened can be
//! read, what was said is kept.

use std::io::BufRead;
use std::net::TcpListener;

use super::*;

/// A model that begins to answer and never ends.
struct Model {
    address: String,
}

impl Model {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/v1", listener.local_addr().unwrap());
        // Goes with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let mut lines = std::io::BufReader::new(stream.try_clone().unwrap()).lines();
                    let head: Vec<String> =
                        lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
                    if !head.first().is_some_and(|first| first.starts_with("POST")) {
                        let _ = stream
                            .write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                        return;
                    }
                    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
                    let delta = r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":"It began well"}}]}"#;
                    let _ = write!(stream, "{head}data: {delta}\n\n");
                    let _ = stream.flush();
                    // Until nobody listens any more.
                    while lines.next().is_some_and(|line| line.is_ok()) {}
                });
            }
        });
        Self { address }
    }
}

/// Panics `place` while an answer streams. Returns what was told after the screen, and what is kept.
fn panicked(place: &str, inline: bool) -> (String, String) {
    let (home, model) = (tempfile::tempdir().unwrap(), Model::start());
    let file = home.path().join("panic");
    let path = home.path().to_str().unwrap().to_owned();
    let mut arguments = vec!["--base-url", &model.address, "-m", "none", "How did it begin?"];
    arguments.extend(inline.then_some("--inline"));
    let env = [("MILLRACE_HOME", path.as_str()), ("MILLRACE_PANIC", file.to_str().unwrap())];
    let mut terminal = open(&arguments, (80, 24), &env);
    terminal.wait_for("It began well");
    // A terminal that has told what it knows: all of it is to be undone.
    terminal.type_in("\x1b[?0u\x1b[?62c");
    let until = Instant::now() + PATIENCE;
    while !String::from_utf8_lossy(&terminal.bytes()).contains("\x1b[>1u") {
        assert!(Instant::now() < until, "{}", terminal.screen());
        std::thread::sleep(Duration::from_millis(10));
    }
    // What streamed is written within a quarter of a second, on a machine that has the time.
    while !kept(&path).contains("It began well") {
        assert!(Instant::now() < until, "it is not written down");
        std::thread::sleep(Duration::from_millis(100));
    }
    std::fs::write(&file, place).unwrap();
    // Esc stops the answer: the screen and the engine both have something to do.
    terminal.type_in("x");
    if place == "engine" {
        terminal.type_in("\x7f\x1b[27u");
    }
    terminal.assert_given_back();
    let (status, bytes) = terminal.ended();
    assert_eq!(status.exit_code(), 1, "{place}");
    let shown = String::from_utf8_lossy(&bytes).into_owned();
    // All that is told comes behind the last of what was drawn, where lines are lines again.
    let last = shown.rfind(if inline { "\x1b[23;2t" } else { "\x1b[?1049l" }).unwrap();
    (shown[last..].to_owned(), kept(&path))
}

/// The newest conversation, as `history show` tells it.
fn kept(home: &str) -> String {
    let history = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_millrace"));
        let output = command.arg("history").args(arguments).env("MILLRACE_HOME", home).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let list = history(&["list", "--json"]);
    // Not yet.
    if !list.contains("\"id\":") {
        return String::new();
    }
    let (_, rest) = list.split_once("\"id\":").unwrap_or_else(|| panic!("{list}"));
    let id = rest.split('"').nth(1).unwrap();
    history(&["show", id])
}

#[test]
fn wherever_it_panics_the_terminal_is_given_back_and_what_was_said_is_kept() {
    for (place, inline) in [("main", false), ("main", true), ("engine", false), ("aside", false)] {
        let (told, kept) = panicked(place, inline);
        let message =
            if place == "aside" { "provoked, in a thread that nobody waits for" } else { "provoked, in the thread" };
        assert!(told.contains(message), "{place}: {told:?}");
        assert!(told.contains("error: a part of millrace failed"), "{place}: {told:?}");
        assert!(told.contains("Continue with: millrace -c"), "{place}: {told:?}");
        assert!(!told.contains("\x1b[?2026h"), "{place}: nothing is drawn over it: {told:?}");
        for said in ["How did it begin?", "It began well"] {
            assert!(kept.contains(said), "{place}: {said:?} is missing\n{kept}");
        }
    }
}
