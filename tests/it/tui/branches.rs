//! A conversation as a tree, in the real program: answered twice, edited, walked, and no call run twice unasked.

use super::open;

const QUICK: &[(&str, &str)] = &[("MILLRACE_DEMO_PACE", "0")];

#[test]
fn a_second_answer_and_an_edit_stand_beside_the_first_and_run_nothing_again_unasked() {
    let mut terminal = open(&["demo", "Show me the files"], (120, 36), QUICK);
    terminal.wait_for("✓ 0:");
    terminal.type_in("\tR");
    // Both calls ran in the first answer: each asks, and its result is offered.
    for call in ["demo/", "demo/"] {
        terminal.wait_for("An equal call ran before");
        terminal.wait_for(call);
        std::thread::sleep(std::time::Duration::from_millis(500));
        terminal.type_in("o");
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    terminal.wait_for("‹2 of 2›");
    terminal.wait_for("✓ 0:");
    terminal.type_in("\t<");
    terminal.wait_for("‹1 of 2›");
    terminal.type_in(">");
    terminal.wait_for("‹2 of 2›");
    // The question itself, edited: another tree of its own, from the conversation's beginning on.
    terminal.type_in("[[e");
    terminal.wait_for("> Show me the files");
    terminal.type_in("\x15Who was the first person on the moon\r");
    terminal.wait_for("a script and not a mind");
    terminal.wait_for("✓ 0:");
    terminal.wait_for("‹2 of 2›");
    assert!(!terminal.screen().contains("demo/read_file"), "{}", terminal.screen());
    terminal.type_in("\t<");
    terminal.wait_for("‹1 of 2›");
    terminal.wait_for("demo/read_file");
    terminal.type_in("\x03\x03");
    assert!(terminal.ended().0.success());
}
