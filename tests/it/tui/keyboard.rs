//! What is asked of the terminal, how keys are told from then on, and that none is lost meanwhile.

use super::*;

/// The terminal has been asked, up to the attributes behind which no answer comes.
fn asked(terminal: &Terminal) {
    until(terminal, "\x1b[c");
}

fn until(terminal: &Terminal, bytes: &str) {
    let end = Instant::now() + PATIENCE;
    while !wire(terminal).contains(bytes) {
        assert!(Instant::now() < end, "{bytes:?} was never written: {:?}", wire(terminal));
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn wire(terminal: &Terminal) -> String {
    String::from_utf8_lossy(&terminal.bytes()).into_owned()
}

/// Two lines are in the composer, one above the other.
fn two_lines(terminal: &Terminal) {
    let end = Instant::now() + PATIENCE;
    let stands = |screen: &str| {
        let lines: Vec<&str> = screen.lines().map(str::trim).collect();
        lines.windows(2).any(|pair| pair[0].ends_with("one") && pair[1] == "two")
    };
    while !stands(&terminal.screen()) {
        assert!(Instant::now() < end, "{}", terminal.screen());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn chat() -> Terminal {
    let terminal = open(&["--base-url", "http://127.0.0.1:9/v1", "-m", "none"], (80, 24), &[]);
    terminal.wait_for("send");
    asked(&terminal);
    terminal
}

#[test]
fn a_terminal_that_knows_kittys_keyboard_is_asked_before_it_is_told() {
    let mut terminal = chat();
    assert!(!wire(&terminal).contains("\x1b[>1u"), "not before it has said so");
    terminal.type_in("\x1b[?0u\x1b[?62;22c");
    until(&terminal, "\x1b[>1u");
    // As such a terminal tells shift+enter, and ctrl+c.
    terminal.type_in("one\x1b[13;2utwo");
    two_lines(&terminal);
    assert!(!terminal.screen().contains("62;22"), "an answer is nothing that is typed");
    // Given away and taken again: without asking.
    let before = terminal.bytes().len();
    terminal.type_in("\x1b[122;5u");
    let end = Instant::now() + PATIENCE;
    loop {
        let since = String::from_utf8_lossy(&terminal.bytes()[before..]).into_owned();
        if let Some((left, back)) = since.split_once("\x1b[?1049l")
            && back.contains("\x1b[?1049h")
            && back.contains("\x1b[>1u")
        {
            assert!(left.contains("\x1b[<1u"), "{since:?}");
            assert!(!back.contains("\x1b[?u"), "{since:?}");
            break;
        }
        assert!(Instant::now() < end, "{since:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    two_lines(&terminal);
    terminal.type_in("\x1b[99;5u\x1b[99;5u\x1b[99;5u");
    let (status, bytes) = terminal.ended();
    assert_eq!(status.exit_code(), 0);
    assert_eq!(modes_left_on(&bytes), Vec::<&str>::new());
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert_eq!((text.matches("\x1b[>1u").count(), text.matches("\x1b[<1u").count()), (2, 2));
    assert!(text.rfind("\x1b[<1u") < text.rfind("\x1b[?1049l"), "the flags belong to the alternate screen");
    assert!(!text.contains("\x1b[>4"), "one way is enough");
}

#[test]
fn one_that_tells_its_attributes_alone_gets_xterms_way() {
    let mut terminal = chat();
    terminal.type_in("\x1b[?1;2;4c");
    until(&terminal, "\x1b[>4;1m");
    terminal.type_in("one\x1b[27;2;13~two");
    two_lines(&terminal);
    terminal.type_in("\x03\x03\x03");
    let (status, bytes) = terminal.ended();
    assert_eq!(status.exit_code(), 0);
    assert_eq!(modes_left_on(&bytes), Vec::<&str>::new());
    assert!(!String::from_utf8_lossy(&bytes).contains("\x1b[>1u"));
}

#[test]
fn one_that_says_nothing_is_left_as_it_is() {
    let mut terminal = chat();
    terminal.type_in("one\ntwo");
    two_lines(&terminal);
    terminal.type_in("\x03\x03\x03");
    let (status, bytes) = terminal.ended();
    assert_eq!(status.exit_code(), 0);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    for never in ["\x1b[>1u", "\x1b[<1u", "\x1b[>4"] {
        assert!(!text.contains(never), "{never:?}");
    }
}

/// The answer to the first question comes when the screen is about to be left: it goes to nobody else.
#[test]
fn an_answer_that_comes_late_is_not_left_to_the_shell() {
    let script = "\"$0\" --base-url http://127.0.0.1:9/v1 -m none; read -t 2 -n 9 left; echo \"left: <$left>\"";
    let mut terminal = open_argv(&["bash", "-c", script, env!("CARGO_BIN_EXE_millrace")], (80, 24), &[]);
    terminal.wait_for("send");
    asked(&terminal);
    terminal.type_in("\x04");
    std::thread::sleep(Duration::from_millis(20));
    terminal.type_in("\x1b[?62c");
    terminal.wait_for("left: <>");
}

#[test]
fn what_is_typed_before_the_screen_is_there_is_typed_into_it() {
    let mut terminal = open(&["--base-url", "http://127.0.0.1:9/v1", "-m", "none"], (80, 24), &[]);
    // In raw mode, before anybody reads.
    until(&terminal, "\x1b[?1049h");
    terminal.type_in("early bird");
    terminal.wait_for("early bird");
    terminal.type_in("\x03\x03\x03");
    assert_eq!(terminal.ended().0.exit_code(), 0);
}

#[test]
fn the_theme_follows_what_the_terminal_says_of_its_ground() {
    let mut terminal = chat();
    assert!(wire(&terminal).contains("\x1b[?2031h") && wire(&terminal).contains("\x1b]11;?"));
    let asked = |terminal: &Terminal| wire(terminal).matches("\x1b]11;?").count();
    let before = terminal.bytes().len();
    terminal.type_in("\x1b]11;rgb:ffff/ffff/ffff\x1b\\\x1b[?1;2c");
    // Drawn anew, in the colours of the light theme.
    let end = Instant::now() + PATIENCE;
    while !wire(&terminal)[before..].contains("\x1b[38;") {
        assert!(Instant::now() < end, "nothing is drawn anew: {:?}", &wire(&terminal)[before..]);
        std::thread::sleep(Duration::from_millis(10));
    }
    // Its scheme is another: what its ground is now is asked, and what comes behind the report is typed.
    let first = asked(&terminal);
    terminal.type_in("\x1b[?997;1nabc");
    terminal.wait_for("abc");
    assert_eq!(asked(&terminal), first + 1);
    terminal.type_in("\x1b]11;rgb:0/0/0\x07\x1b[?1;2c\x03\x03\x03");
    let (status, bytes) = terminal.ended();
    assert_eq!(status.exit_code(), 0);
    assert_eq!(modes_left_on(&bytes), Vec::<&str>::new());
}
