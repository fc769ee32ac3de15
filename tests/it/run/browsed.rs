//! The browser of conversations, in the real program.

use super::*;

fn titles(home: &Home) -> Vec<String> {
    let listed = done(home.command(&["history", "--json"]).output().unwrap(), 0).out;
    let rows: Value = serde_json::from_str(&listed)
        .unwrap_or_else(|_| Value::Array(listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()));
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| row["title"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn several_are_deleted_at_once_and_come_back_together() {
    let home = Home::new();
    let words = ["alpha", "beta", "gamma", "delta"];
    let provider = Provider::start(words.iter().map(|word| Reply::text(&format!("{word} it is"))).collect());
    for word in words {
        done(home.run(&provider, &[word]).output().unwrap(), 0);
    }
    let (url, folder) = (provider.url(), home.path("m"));
    let arguments = ["--base-url", &url, "-m", "scripted", "--resume"];
    let mut terminal = crate::tui::open(&arguments, (120, 36), &[("MILLRACE_HOME", folder.to_str().unwrap())]);
    // Run from another folder, where there is none: all are listed.
    terminal.wait_for("scope all");
    terminal.wait_for("alpha");
    terminal.type_in("\x1b[B  ");
    terminal.wait_for("2 marked");
    terminal.type_in("d");
    terminal.wait_for("deleted 2 conversations");
    wait(&|| titles(&home) == ["beta", "alpha"]);
    terminal.type_in("u");
    terminal.wait_for("restored 2 conversations");
    wait(&|| titles(&home) == ["delta", "gamma", "beta", "alpha"]);
    // The one that is opened says that tools run elsewhere.
    terminal.type_in("\r");
    terminal.wait_for("This conversation belongs to");
    terminal.wait_for("Tools run here:");
    terminal.type_in("\x03\x03");
    assert!(terminal.ended().0.success());
}
