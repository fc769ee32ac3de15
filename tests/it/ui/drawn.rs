//! Screens beside those of other files: the empty chat, the focused panel, a refused key, an interrupted stream, and the same frames
//! in ASCII and in the light theme.

use insta::assert_snapshot;

use super::*;

const SIZES: [(u16, u16); 3] = [(120, 36), (80, 24), (40, 20)];

#[test]
fn the_empty_chat_says_where_messages_go() {
    let mut state = empty();
    state.session.greeting = Some("Messages go to localhost:8000, on this computer, no key is needed.".into());
    servers(&mut state, &[("fs", ServerState::Ready, 7), ("web", ServerState::Starting, 0)]);
    for (columns, rows) in SIZES {
        assert_snapshot!(format!("empty-{columns}x{rows}"), frame(&state, columns, rows));
    }
}

#[test]
fn the_focused_panel_and_a_key_that_does_nothing_there() {
    let mut state = chat(120);
    state.composer.set("");
    inquiry::keys(&mut state, "shift+tab down down");
    assert_snapshot!("focused-panel-120x36", frame(&state, 120, 36));
    inquiry::keys(&mut state, "z");
    assert_snapshot!("refused-key-120", frame(&state, 120, 36).lines().last().unwrap());
    inquiry::keys(&mut state, "/");
    assert_snapshot!("refused-key-of-elsewhere-120", frame(&state, 120, 36).lines().last().unwrap());
}

#[test]
fn a_stream_that_was_cut_says_why_and_what_can_be_done() {
    let cut = |message: &str, hint: &str, retry: Retry| {
        let mut state = empty();
        entry(&mut state, EntryBody::User(vec![Part::text("Why does retry() spin?")]));
        let fault = Fault::new(FaultKind::Truncated, message).hint(hint).retry(retry);
        let choices = FaultChoices::Cut;
        entry(&mut state, EntryBody::Fault(FaultEntry { fault, choices, calls_kept: 0, settled: false }));
        frame(&state, 80, 24)
    };
    let limit = cut(
        "The answer was cut at the model's output limit.",
        "Continue it, or raise --max-output-tokens.",
        Retry::AfterChange,
    );
    assert_snapshot!("cut-at-the-limit-80x24", limit);
    let broke = cut("The stream broke after 12 tokens.", "Continue it, or ask again.", Retry::Later(None));
    assert!(broke.contains("broke after 12 tokens.\n") && !broke.contains("Continue it"), "{broke}");
}

#[test]
fn the_same_in_ascii() {
    let ascii = |state: &State, columns, rows| {
        let drawn = text(&buffer(state, &Theme::dark().ascii(), &mut Memo::new(), columns, rows).0);
        let foreign: Vec<char> = drawn.chars().filter(|c| !c.is_ascii()).collect();
        // What was said stays as it was said.
        assert!(foreign.iter().all(|c| "翻訳リースノト".contains(*c)), "{foreign:?}");
        drawn
    };
    for (columns, rows) in SIZES {
        assert_snapshot!(format!("ascii-chat-{columns}x{rows}"), ascii(&chat(columns), columns, rows));
    }
    assert_snapshot!("ascii-approval-80x24", ascii(&reviewed(&long_arguments()), 80, 24));
    assert_snapshot!("ascii-timeline-80x24", ascii(&timed(), 80, 24));
    assert_snapshot!("ascii-browser-80x24", ascii(&browser(), 80, 24));
    assert_snapshot!("ascii-mcp-80x24", ascii(&server_list(), 80, 24));
}

#[test]
fn the_same_in_the_light_theme() {
    let (drawn, _) = buffer(&chat(120), &Theme::light(), &mut Memo::new(), 120, 36);
    let lines: Vec<String> = [0, 4, 8, 17, 21].iter().map(|y| runs(&drawn, *y)).collect();
    assert_snapshot!("light-inks-of-states", lines.join("\n\n"));
}
