//! The terminal's own cursor stands where the next letter goes: input methods open their window there.

use super::*;

/// Waits until the cursor is to be seen right behind `before`, the last of its row's words.
fn behind(terminal: &Terminal, before: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut screen = vt100::Parser::new(cells(terminal.size.1), cells(terminal.size.0), 0);
        screen.process(&terminal.bytes());
        let screen = screen.screen();
        let (row, column) = screen.cursor_position();
        let text: String = screen.rows(0, column).nth(row.into()).unwrap_or_default();
        if !screen.hide_cursor() && text.trim().ends_with(before) {
            return;
        }
        assert!(
            Instant::now() < until,
            "the cursor is at {row},{column} (hidden: {}) behind {text:?}, not {before:?}\n{}",
            screen.hide_cursor(),
            screen.contents()
        );
        std::thread::sleep(Duration::from_millis(15));
    }
}

fn chat(size: (u16, u16), arguments: &[&str]) -> Terminal {
    let mut all = vec!["--base-url", "http://127.0.0.1:9/v1", "-m", "none"];
    all.extend(arguments);
    let terminal = open(&all, size, &[]);
    terminal.wait_for("send");
    terminal
}

#[test]
fn it_stands_behind_what_is_written_whatever_its_width() {
    for (size, inline) in [((80, 24), false), ((40, 20), false), ((80, 24), true)] {
        let mut terminal = chat(size, if inline { &["--inline"] } else { &[] });
        behind(&terminal, ">");
        for (typed, before) in [
            ("abc", "> abc"),
            // Two columns each.
            ("漢字", "> abc漢字"),
            ("😀", "> abc漢字😀"),
            // A mark on the letter before it takes none.
            ("e\u{301}", "😀e\u{301}"),
            ("\x7f\x7f\x1b[D", "> abc漢字"),
            ("\x1b[D", "> abc漢"),
            ("\x01", ">"),
            ("\x05", "漢字😀"),
        ] {
            terminal.type_in(typed);
            behind(&terminal, before);
        }
        terminal.type_in("\x03\x03\x03");
        assert_eq!(terminal.ended().0.exit_code(), 0);
    }
}

#[test]
fn it_goes_with_the_text_into_another_row_and_below_a_list() {
    let mut terminal = chat((40, 20), &[]);
    terminal.type_in("one two three four five six seven eight nine");
    behind(&terminal, "nine");
    terminal.type_in("\n漢");
    behind(&terminal, "漢");
    // A list stands above the line that is written.
    terminal.type_in("\x03/hel");
    terminal.wait_for("/help");
    behind(&terminal, "> /hel");
    terminal.type_in("\x1b");
    // The list is closed: what comes now is no longer esc's.
    terminal.wait_for("enter send");
    behind(&terminal, "> /hel");
    // The field of a layer.
    terminal.type_in("\x03\x10漢字");
    terminal.wait_for("select");
    behind(&terminal, "漢字");
    terminal.type_in("\x1b");
    terminal.wait_for("enter send");
    terminal.type_in("\x03\x03\x03");
    assert_eq!(terminal.ended().0.exit_code(), 0);
}

#[test]
fn with_vis_keys_it_stands_on_the_letter_that_a_command_means() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join("config")).unwrap();
    std::fs::write(home.path().join("config/config.toml"), "[ui]\nediting = \"vi\"\n").unwrap();
    let path = home.path().to_str().unwrap();
    let arguments = ["--base-url", "http://127.0.0.1:9/v1", "-m", "none"];
    let mut terminal = open(&arguments, (80, 24), &[("MILLRACE_HOME", path)]);
    terminal.wait_for("send");
    terminal.type_in("ab漢");
    behind(&terminal, "> ab漢");
    terminal.type_in("\x1b");
    terminal.wait_for("COMMAND");
    behind(&terminal, "> ab");
    terminal.type_in("0");
    behind(&terminal, ">");
    terminal.type_in("A");
    behind(&terminal, "> ab漢");
    terminal.type_in("\x03\x03\x03");
    assert_eq!(terminal.ended().0.exit_code(), 0);
}
