//! Text that means to be obeyed, from a model and a server, through the built program on a terminal: every byte that it
//! writes there is its own. `-- --nocapture` prints what each place wrote.

use super::*;
use crate::corpus::{corpus, foreign, foreign_on};
use crate::tui::{Terminal, open};

/// The whole corpus, a line each.
fn words() -> String {
    corpus().iter().map(|text| format!("{text}\n")).collect()
}

/// A server that says it wherever a server can: of itself, in tools, results, errors, on standard error.
fn hostile_server(home: &Home) {
    let texts = corpus();
    let tools: Vec<Value> = texts
        .iter()
        .filter(|text| text.len() < 400)
        .map(|text| {
            json!({"name": format!("t{text}"), "title": text, "description": text,
                "inputSchema": {"type": "object", "properties": {text.clone(): {"description": text}}}})
        })
        .chain(["echo", "ask"].map(|name| json!({"name": name, "inputSchema": {"type": "object"}})))
        .collect();
    let about = json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "instructions": words(),
        "serverInfo": {"name": words(), "version": words()}});
    let result = json!({"content": [{"type": "text", "text": words()}]});
    // What JSON can name and no text can hold stands there too.
    let result = result.to_string().replacen("\"text\":\"", "\"text\":\"\\ud800 \\udfff ", 1);
    home.file("tools.json", &json!({"tools": tools}).to_string());
    home.file("about.json", &about.to_string());
    home.file("result.json", &result);
    let raw: Vec<u8> = words().into_bytes().into_iter().chain(0x80..=0x9f).chain(*b"\n").collect();
    std::fs::write(home.path("stderr.txt"), raw).unwrap();
    let folder = home.path("");
    let folder = folder.to_str().unwrap();
    let script = format!(
        "cat '{folder}/stderr.txt' >&2\n\
         initialize() {{ reply \"$1\" \"$(cat '{folder}/about.json')\"; }}\n\
         list() {{ reply \"$1\" \"$(cat '{folder}/tools.json')\"; }}\n\
         call() {{ reply \"$1\" \"$(cat '{folder}/result.json')\"; }}\n"
    );
    let script = home.file("fake.sh", &format!("{PRELUDE}{script}\nserve\n"));
    // One that ends at once, with the same words.
    let dies = home.file("dies.sh", &format!("cat '{folder}/stderr.txt' >&2; exit 3\n"));
    let dying = json!({"mcpServers": {"dies": {"command": "sh", "args": [dies]}}});
    home.file("dying.json", &dying.to_string());
    let log = home.path("log");
    let config = format!(
        "[servers.fake]\ncommand = \"sh\"\nargs = [{script:?}]\nenv = {{ LOG = {log:?} }}\npolicy = \"allow\"\npolicies = {{ ask = \"ask\" }}\n"
    );
    home.file("m/config/config.toml", &config);
}

fn answers() -> Vec<Reply> {
    let thought = event(&json!({"choices": [{"index": 0, "delta": {"reasoning_content": words()}}]}));
    let arguments = json!({ "text": words() }).to_string();
    let mut first = vec![thought, say(&words()), call(0, "fake__echo", &arguments), call(1, &words(), &arguments)];
    first.push(finish("tool_calls"));
    // Bytes that are no text at all.
    let torn =
        Step::Send("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\\ud800 \\u001b]0;x\"}}]}\n\n".into());
    vec![Reply::sse(first), Reply::sse(vec![torn, say(&words()), usage(), finish("stop")])]
}

struct Place {
    home: Home,
    provider: Provider,
    told: Vec<(&'static str, usize)>,
}

impl Place {
    fn new() -> Self {
        let home = Home::new();
        hostile_server(&home);
        Self { home, provider: Provider::start(Vec::new()), told: Vec::new() }
    }

    /// The program on a terminal of its own, with the one store of this test.
    fn open(&self, args: &[&str]) -> Terminal {
        let home = self.home.path("m");
        open(args, (100, 30), &[("MILLRACE_HOME", home.to_str().unwrap()), ("MILLRACE_TEST", "1")])
    }

    fn chat<'a>(&self, url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        [more, &["--base-url", url, "-m", "scripted"]].concat()
    }

    /// Lines to a terminal: text alone.
    fn lines(&mut self, place: &'static str, args: &[&str]) -> String {
        let terminal = self.open(args);
        let (_, bytes) = terminal.ended();
        let text = String::from_utf8(bytes).unwrap_or_else(|error| panic!("{place}: {error}"));
        let found = foreign(text.replace("\r\n", "").as_bytes());
        assert!(found.is_empty(), "{place}: {found:?}\n{text:?}");
        assert!(!text.trim().is_empty(), "{place} says nothing");
        self.told.push((place, text.len()));
        text
    }

    /// A screen: its own modes and places, nothing else.
    fn screen(&mut self, place: &'static str, bytes: &[u8]) {
        let found = foreign_on(bytes);
        assert!(found.is_empty(), "{place}: {found:?}");
        self.told.push((place, bytes.len()));
    }
}

#[test]
fn nothing_hostile_reaches_the_terminal_from_the_program() {
    let mut at = Place::new();
    let url = at.provider.url();

    at.provider.script(answers());
    let args = at.chat(&url, &["run", "-v", "go"]);
    let said = at.lines("run", &args);
    assert!(said.contains("fake/echo"), "{said}");
    at.lines("history", &["history"]);
    at.lines("history show", &["history", "show", "last"]);
    at.lines("history search", &["history", "search", "label"]);
    at.lines("history export", &["history", "export", "last", "-o", "-"]);
    at.lines("timeline", &["timeline", "last"]);

    let plain = Reply::plain("500 Oops", "application/json", "", &json!({"error": {"message": words()}}).to_string());
    at.provider.script(vec![plain]);
    let args = at.chat(&url, &["run", "go"]);
    at.lines("run: an error of the endpoint", &args);
    at.lines("mcp", &["mcp", "list"]);
    at.lines("mcp tools", &["mcp", "tools"]);
    at.lines("mcp test", &["mcp", "test", "fake", "--frames"]);
    let dying = at.home.path("dying.json").display().to_string();
    at.lines("mcp test, one that dies", &["mcp", "test", "dies", "--mcp", &dying]);
    at.lines("mcp call", &["mcp", "call", "fake", "echo"]);
    let models: Vec<Value> = corpus().iter().map(|text| json!({"id": text, "owned_by": text})).collect();
    let list = || Reply::plain("200 OK", "application/json", "", &json!({ "data": models }).to_string());
    at.provider.script(vec![list()]);
    at.lines("models", &["models", "--base-url", &url]);
    at.provider.script(vec![list(), list()]);
    at.lines("doctor", &["doctor", "--base-url", &url]);

    at.provider.script(answers());
    let args = at.chat(&url, &["--plain"]);
    let mut terminal = at.open(&args);
    terminal.wait_for("> ");
    terminal.type_in("go\n");
    let until = Instant::now() + Duration::from_secs(30);
    while !at.provider.replies.lock().unwrap().is_empty() {
        assert!(Instant::now() < until, "{}", terminal.screen());
        std::thread::sleep(Duration::from_millis(20));
    }
    terminal.type_in("\n/quit\n");
    let (_, bytes) = terminal.ended();
    let text = String::from_utf8(bytes).unwrap();
    let found = foreign(text.replace(['\r', '\n'], "").as_bytes());
    assert!(found.is_empty(), "--plain: {found:?}");
    at.told.push(("--plain", text.len()));

    for (place, how) in [("the screen", None), ("--inline", Some("--inline"))] {
        let mut script = answers();
        script.insert(1, Reply::calls(&[("fake__ask", &json!({ "text": words() }).to_string())]));
        at.provider.script(script);
        let mut args = at.chat(&url, &[]);
        args.extend(how);
        let log = at.home.path("log");
        let listed = || std::fs::read_to_string(&log).unwrap_or_default().matches("tools/list").count();
        let before = listed();
        let mut terminal = at.open(&args);
        terminal.wait_for("send");
        // The screen waits for no server: what it offers is there once it has listed it.
        wait(&|| listed() > before);
        std::thread::sleep(Duration::from_millis(700));
        // Out of sight: a notification tells of the review, and the title of what goes on.
        terminal.type_in("\x1b[O");
        terminal.type_in("go\r");
        let until = Instant::now() + Duration::from_secs(30);
        while !at.provider.replies.lock().unwrap().is_empty() || terminal.screen().contains("esc stop") {
            assert!(Instant::now() < until, "{}", terminal.screen());
            std::thread::sleep(Duration::from_millis(20));
            if terminal.screen().contains("approval needed") {
                std::thread::sleep(Duration::from_millis(500));
                terminal.type_in("n");
            }
        }
        // Servers with their words, history with its hits, the timeline, the palette.
        for keys in ["\x0f", "\x1b", "\x12", "label", "\x1b", "\x1b", "\x10", "\x1b", "\t{{\r", "\x1b"] {
            terminal.type_in(keys);
            std::thread::sleep(Duration::from_millis(120));
        }
        let shown = terminal.screen();
        terminal.signal("-TERM");
        let (_, bytes) = terminal.ended();
        assert!(String::from_utf8_lossy(&bytes).contains("\x1b]9;"), "{place}: nothing was told:\n{shown}");
        at.screen(place, &bytes);
    }
    for (place, bytes) in &at.told {
        println!("{place:<40} {:>3} texts {bytes:>9} bytes", corpus().len());
    }
    println!("corpus: {} places of the program, {} texts", at.told.len(), corpus().len());
}
