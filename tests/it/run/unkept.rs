//! Conversations that are written nowhere: no file of the program has a word of them.

use super::*;

/// Stands in all that is said, written, called and answered.
const CANARY: &str = "zqxjkvcanary";

/// The files below a folder in which a text stands.
fn traces(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(traces(&path, text));
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(text.len()).any(|part| part == text.as_bytes())
        {
            found.push(path);
        }
    }
    found
}

/// A turn with a call, whose every part has the canary.
fn telling() -> Vec<Reply> {
    let said = format!("I said {CANARY}. ");
    let arguments = json!({"text": CANARY}).to_string();
    vec![
        Reply::sse(vec![say(&said), call(0, "fake__echo", &arguments), finish("tool_calls")]),
        Reply::text(&format!("It answered {CANARY}, at last.")),
    ]
}

/// The real program on a terminal, with all that it could write a log to.
fn screen(home: &Home, provider: &Provider, more: &[&str]) -> crate::tui::Terminal {
    let result = r#"call() { reply "$1" '{"content":[{"type":"text","text":"zqxjkvcanary from the tool"}]}'; }"#;
    let servers = home.servers(Some(result));
    let (url, folder) = (provider.url(), home.path("m"));
    std::fs::create_dir_all(&folder).unwrap();
    let log = folder.join("log.txt");
    let mut arguments = vec!["--base-url", &url, "-m", "scripted", "--mcp", servers.to_str().unwrap()];
    arguments.extend(["--allow", "fake/echo", "--log", log.to_str().unwrap(), "--log-level", "trace"]);
    arguments.extend(more);
    crate::tui::open(&arguments, (100, 30), &[("MILLRACE_HOME", folder.to_str().unwrap())])
}

fn leave(mut terminal: crate::tui::Terminal) {
    terminal.type_in("\x03");
    std::thread::sleep(Duration::from_millis(50));
    terminal.type_in("\x03\x03");
    assert!(terminal.ended().0.success());
}

#[test]
fn of_an_incognito_conversation_no_file_has_a_word() {
    let home = Home::new();
    let provider = Provider::start(telling());
    let mut terminal = screen(&home, &provider, &[]);
    terminal.wait_for("scripted");
    terminal.type_in("/incognito\r");
    terminal.wait_for("written nowhere");
    terminal.type_in(&format!("Tell {CANARY}"));
    terminal.wait_for(&format!("Tell {CANARY}"));
    // Longer than a draft rests before it is kept.
    std::thread::sleep(Duration::from_secs(2));
    terminal.type_in("\r");
    terminal.wait_for("at last.");
    assert!(terminal.screen().contains("incognito"), "{}", terminal.screen());
    terminal.type_in(&format!("and {CANARY} more"));
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(traces(&home.path("m"), CANARY), Vec::<PathBuf>::new(), "while it runs");
    // Another conversation of the same window is kept, and the first is nowhere all the same.
    provider.script(vec![Reply::text("Said in the open, this.")]);
    terminal.type_in("\x0e");
    terminal.wait_for("servers ready");
    terminal.type_in("An ordinary question\r");
    terminal.wait_for("in the open, this.");
    leave(terminal);
    assert_eq!(traces(&home.path("m"), CANARY), Vec::<PathBuf>::new(), "once it has ended");
    assert!(!traces(&home.path("m"), "An ordinary question").is_empty());
    let listed = done(home.command(&["history", "--json"]).output().unwrap(), 0).out;
    assert_eq!(listed.matches("\"title\"").count(), 1, "{listed}");
}

#[test]
fn without_saving_no_file_has_a_word() {
    let home = Home::new();
    let provider = Provider::start(telling());
    let mut terminal = screen(&home, &provider, &["--no-save"]);
    terminal.wait_for("incognito");
    terminal.type_in(&format!("Tell {CANARY}\r"));
    terminal.wait_for("at last.");
    terminal.type_in(&format!("and {CANARY} more"));
    std::thread::sleep(Duration::from_secs(2));
    leave(terminal);
    assert_eq!(traces(&home.path("m"), CANARY), Vec::<PathBuf>::new());
    // Nor by `run`.
    provider.script(telling());
    let servers = home.path("servers.json");
    let args = ["--no-save", "--mcp", servers.to_str().unwrap(), "--approve", "all", CANARY];
    let told = done(home.run(&provider, &args).output().unwrap(), 0);
    assert!(told.out.contains("at last."), "{}", told.out);
    assert_eq!(traces(&home.path("m"), CANARY), Vec::<PathBuf>::new());
}
