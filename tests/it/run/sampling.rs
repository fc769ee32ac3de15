//! A server that asks for an answer of the model, through the built binary: on a terminal, and where nobody attends.

use super::*;
use crate::tui::{Terminal, open};

/// Asks in the midst of a call, with words that would draw on a terminal, and says what it was told.
const ASKS: &str = r#"
list() { reply "$1" '{"tools":[{"name":"think","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}]}'; }
call() {
  put '{"jsonrpc":"2.0","id":"s1","method":"sampling/createMessage","params":{"maxTokens":40,"systemPrompt":"Judge.","messages":[{"role":"user","content":{"type":"text","text":"Is \u001b]0;owned\u0007it \u202eso?"}}]}}'
  IFS= read -r answer
  printf '%s\n' "$answer" >> "$LOG"
  reply "$1" '{"content":[{"type":"text","text":"thought"}]}'
}
"#;

/// A home whose configuration lets the server ask.
fn home(provider: &Provider) -> Home {
    let home = Home::new();
    let script = home.file("fake.sh", &format!("{PRELUDE}{ASKS}\nserve\n"));
    let config = format!(
        "profile = \"p\"\n[profiles.p]\nbase_url = {:?}\nmodel = \"scripted\"\n\
         [servers.fake]\ncommand = \"sh\"\nargs = [{script:?}]\nenv = {{ LOG = {:?} }}\npolicy = \"allow\"\n\
         trust = true\nsampling = true\n",
        provider.url(),
        home.path("log"),
    );
    home.file("m/config/config.toml", &config);
    home
}

fn opened(home: &Home) -> Terminal {
    let mut terminal = open(&[], (100, 30), &[("MILLRACE_HOME", home.path("m").to_str().unwrap())]);
    // Its tools are there: the screen waits for no server.
    terminal.wait_for("fake 1");
    terminal.type_in("Think.\r");
    terminal
}

/// What the server was answered.
fn told(home: &Home) -> Option<Value> {
    let log = std::fs::read_to_string(home.path("log")).unwrap_or_default();
    log.lines().find(|line| line.contains("\"s1\"")).map(|line| serde_json::from_str(line).unwrap())
}

fn until_told(home: &Home) -> Value {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(told) = told(home) {
            return told;
        }
        assert!(Instant::now() < until, "the server was told nothing");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Longer than keys are ignored after a question came up.
fn rest() {
    std::thread::sleep(Duration::from_millis(500));
}

#[test]
fn the_request_is_read_answered_read_again_and_sent() {
    let provider = Provider::start(vec![
        Reply::calls(&[("fake__think", "{}")]),
        Reply::sse(vec![say("It \u{1b}[31mis"), say(" so."), usage(), finish("stop")]),
        Reply::text("Thought through."),
    ]);
    let home = home(&provider);
    let mut terminal = opened(&home);
    terminal.wait_for("wants an answer of your model");
    let screen = terminal.screen();
    for word in ["Judge.", "it", "so?", "scripted", "40 tokens"] {
        assert!(screen.contains(word), "{word}:\n{screen}");
    }
    assert_eq!(provider.requests().len(), 1, "nothing was asked of the model before a person said so");
    rest();
    terminal.type_in("y");
    terminal.wait_for("waits for this answer");
    assert!(told(&home).is_none(), "nothing was sent before a person said so");
    let asked = &provider.requests()[1];
    assert_eq!((&asked["max_tokens"], &asked["model"], asked.get("tools")), (&40.into(), &"scripted".into(), None));
    let want = json!([{"role": "system", "content": "Judge."},
        {"role": "user", "content": "Is \u{1b}]0;owned\u{7}it \u{202e}so?"}]);
    assert_eq!(asked["messages"], want, "what the server wrote, and nothing of the conversation");
    rest();
    terminal.type_in("y");
    let told = until_told(&home);
    assert_eq!(told["result"]["content"], json!({"type": "text", "text": "It \u{1b}[31mis so."}));
    assert_eq!((&told["result"]["model"], &told["result"]["stopReason"]), (&"scripted".into(), &"endTurn".into()));
    terminal.wait_for("Thought through.");
    let bytes = String::from_utf8_lossy(&terminal.bytes()).into_owned();
    assert!(!bytes.contains("owned\u{7}") && !bytes.contains("\u{1b}[31mis") && !bytes.contains('\u{202e}'));
    terminal.type_in("\x03\x03");
    terminal.ended();
}

#[test]
fn a_no_while_the_model_answers_hangs_up_on_it() {
    let provider = Provider::start(vec![
        Reply::calls(&[("fake__think", "{}")]),
        Reply::sse(vec![say("It goes on and"), Step::Hang]),
        Reply::text("As you like."),
    ]);
    let home = home(&provider);
    let mut terminal = opened(&home);
    terminal.wait_for("wants an answer of your model");
    rest();
    terminal.type_in("y");
    terminal.wait_for("It goes on and");
    rest();
    terminal.type_in("n");
    assert_eq!(until_told(&home)["error"]["code"], -1);
    terminal.wait_for("As you like.");
    terminal.type_in("\x03\x03");
    terminal.ended();
}

#[test]
fn where_nobody_attends_it_is_declined_with_a_word_whatever_was_approved() {
    let provider = Provider::start(vec![Reply::calls(&[("fake__think", "{}")]), Reply::text("Well.")]);
    let home = home(&provider);
    let command = home.command(&["run", "--approve", "all", "--output", "ndjson", "Think."]);
    let events = Events::of(command, 0);
    assert_eq!(events.one("ended")["text"], "Well.");
    let words = "it asks for an answer of the model; declined: nobody is there to answer";
    let said = |notice: &&Value| notice["message"].as_str().is_some_and(|message| message.contains(words));
    assert!(events.named("notice").iter().any(said), "{}", events.shown());
    assert_eq!(until_told(&home)["error"]["message"], "nobody is there to answer; in the chat screen somebody is");
    assert_eq!(provider.requests().len(), 2, "the model was asked for nobody");
}
