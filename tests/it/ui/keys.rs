//! What is shown of keys is what is bound: in every footer, band and overview, whatever `[keys]` says.

use super::*;

/// Keys that cannot be given away: what a list, a form or a line of text has for itself.
const FIXED: &[&str] = &["enter", "esc", "tab", "↑↓", "←→", "↑", "space", "delete", "empty", "^S", "1-4", ""];

fn all_names() -> Vec<&'static str> {
    COMMANDS.iter().map(|info| info.name).chain(LAYER_KEYS.iter().map(|row| row.name)).collect()
}

/// Screens with a footer, of each kind.
fn footed() -> Vec<(&'static str, State)> {
    let mut all: Vec<(&str, State)> =
        ["empty", "chat", "review", "history", "servers", "detail", "timeline", "models", "usage"]
            .into_iter()
            .zip(screens())
            .collect();
    let layer = |name, overlay: Overlay| {
        let mut state = empty();
        state.overlays.push(overlay);
        (name, state)
    };
    all.push(layer("help", Overlay::Help(Help::default())));
    all.push(layer("offered", Overlay::Tools(OfferedTools::default())));
    all.push(layer("import", Overlay::Import(Import { rows: None, selected: 0 })));
    let consent = Consent {
        server: ServerName::new("files"),
        line: "npx server".into(),
        transport: "stdio",
        deaf_until_us: 0,
        refused: Some("{question.yes}, {question.always} or {question.no}; enter never starts a program"),
    };
    all.push(layer("consent", Overlay::Consent(consent)));
    for (name, focus) in [("reading", Focus::Transcript), ("panel", Focus::Panel)] {
        let mut state = chat(80);
        state.focus = focus;
        state.panel.selected = state.calls.this_turn.first().cloned();
        all.push((name, state));
    }
    let mut list = browser();
    if let Some(Overlay::Browser(open)) = list.overlays.last_mut() {
        open.editing = false;
    }
    all.push(("history list", list));
    for (name, step) in [
        ("folders", ServerStep::Folders { selected: 0 }),
        ("tools", ServerStep::Tools { selected: 0 }),
        ("words", ServerStep::Words { scroll: 0 }),
    ] {
        let mut state = server_list();
        let selected = Some(ServerName::new("fs"));
        state.overlays = vec![Overlay::Servers(ServerList { selected, step, ..ServerList::default() })];
        all.push((name, state));
    }
    all
}

/// What the last line names before each label.
fn foot_keys(drawn: &str) -> Vec<String> {
    let foot = drawn.lines().last().unwrap_or_default();
    let hints = foot.split("  ").map(str::trim).filter(|hint| !hint.is_empty());
    let named = hints.filter(|hint| !hint.starts_with("saved ") && !hint.starts_with("not kept"));
    named.filter_map(|hint| hint.split_whitespace().next().map(str::to_owned)).collect()
}

#[test]
fn no_footer_names_a_key_that_was_taken_away_and_each_names_the_one_that_was_given() {
    for (name, state) in footed() {
        let (mut bare, mut other) = (state.clone(), state.clone());
        // A letter of another alphabet for each, so that none of those by default is among them.
        for (command, letter) in all_names().into_iter().zip('\u{4e00}'..) {
            assert!(bare.keymap.rebind(command, &[]), "{command}");
            assert!(other.keymap.rebind(command, &[vec![Key::plain(KeyCode::Char(letter))]]), "{command}");
        }
        for (columns, rows) in [(120, 36), (80, 24), (40, 20)] {
            let drawn = frame(&bare, columns, rows);
            for key in foot_keys(&drawn) {
                // The help is filtered as a text is searched.
                if (name, key.as_str()) == ("help", "/") {
                    continue;
                }
                assert!(FIXED.contains(&key.as_str()), "{name} {columns}x{rows}: {key} is bound to nothing\n{drawn}");
            }
            let (before, after) = (frame(&state, columns, rows), frame(&other, columns, rows));
            for key in foot_keys(&after) {
                let theirs = (name, key.as_str()) == ("help", "/") || key.chars().any(|c| c >= '\u{4e00}');
                assert!(theirs || FIXED.contains(&key.as_str()), "{name} {columns}x{rows}: {key}\n{after}");
            }
            let moved = foot_keys(&before).into_iter().filter(|key| !FIXED.contains(&key.as_str())).count();
            let found = foot_keys(&after).iter().any(|key| !FIXED.contains(&key.as_str()));
            assert!(moved == 0 || found, "{name} {columns}x{rows}: none of {moved} hints is there\n{before}\n{after}");
            for drawn in [&drawn, &after] {
                for literal in [
                    "^T",
                    "^O",
                    "^P",
                    "^R",
                    "^N",
                    "^C",
                    "^F",
                    "[ y ]",
                    "[y]",
                    "[n]",
                    "j/k",
                    "n add",
                    "d its folders",
                    "n adds",
                    "[m]",
                ] {
                    assert!(!drawn.contains(literal), "{name} {columns}x{rows} still names {literal}\n{drawn}");
                }
            }
        }
    }
}

#[test]
fn a_handful_of_keys_given_anew() {
    let key = |text: &str| vec![Key::parse(text).unwrap()];
    let bind = |state: &mut State| {
        for (name, new) in [
            ("app.tools", "f5"),
            ("app.palette", "f6"),
            ("app.history", "f7"),
            ("review.once", "o"),
            ("review.earlier", "O"),
            ("servers.restart", "z"),
            ("transcript.copy", "u"),
        ] {
            assert!(state.keymap.rebind(name, &[key(new)]), "{name}");
        }
        assert!(state.keymap.rebind("servers.trust", &[]));
    };
    let mut help = empty();
    help.overlays.push(Overlay::Help(Help::default()));
    bind(&mut help);
    let drawn = frame(&help, 120, 36);
    for row in [
        "F5           tools, or review",
        "F6           command palette",
        "F7           history",
        "u            copy message",
    ] {
        assert!(drawn.contains(row), "{row}\n{drawn}");
    }
    let narrow = frame(&help, 40, 20);
    assert!(narrow.contains("F5        tools") && narrow.contains("o n       approve once, deny"), "{narrow}");

    let mut review = reviewed(&long_arguments());
    bind(&mut review);
    let drawn = frame(&review, 80, 24);
    assert!(drawn.contains("[ o ] allow once") && !drawn.contains("[ y ]"), "{drawn}");

    let mut chat = chat(80);
    bind(&mut chat);
    let drawn = frame(&chat, 80, 24);
    assert!(drawn.contains("f5 review") && drawn.contains("f6 commands") && !drawn.contains("^T"), "{drawn}");

    let mut servers = server_list();
    bind(&mut servers);
    let drawn = frame(&servers, 120, 36);
    assert!(drawn.contains("z restart") && drawn.contains("o on/off") && !drawn.contains("trust"), "{drawn}");
}

#[test]
fn what_needs_its_person_is_said_over_every_layer_as_long_as_it_does() {
    let mut state = server_list();
    for (columns, rows) in [(120, 36), (80, 24), (40, 20)] {
        assert!(!frame(&state, columns, rows).contains("needs your approval"));
    }
    call(&mut state, "w", "fs/write_file", "{}", CallPhase::NeedsApproval);
    for (columns, rows) in [(120, 36), (80, 24), (40, 20)] {
        let drawn = frame(&state, columns, rows);
        let above = drawn.lines().rev().nth(1).unwrap_or_default().to_owned();
        let all = "fs/write_file needs your approval: ^T reviews";
        assert!(above.contains(if columns < 60 { "^T reviews fs/write_file" } else { all }), "{drawn}");
    }
    state.keymap.rebind("app.tools", &[vec![Key::parse("f5").unwrap()]]);
    assert!(frame(&state, 80, 24).contains("needs your approval: f5 reviews"));
}

/// Reduced motion holds for what is open over the chat, too: within a second nothing moves.
#[test]
fn where_nothing_may_move_layers_stand_still() {
    let mut running = detailed();
    let id = running.calls.by_id.keys().next().cloned().unwrap();
    change(&mut running, &id, |call| {
        call.phase = CallPhase::Running;
        call.outcome = None;
        (call.times.sent, call.times.ended) = (Some(stamp(995 * SECOND)), None);
    });
    if let Some(Overlay::Detail(open)) = running.overlays.last_mut() {
        open.call = id;
    }
    let mut moved = 0;
    for mut state in [running, chat(120), timed()] {
        let mut at = |still: bool, tenths: u64| {
            state.session.still = still;
            state.now = stamp(1_000 * SECOND + tenths * SECOND / 10);
            frame(&state, 120, 36)
        };
        moved += usize::from(at(false, 1) != at(false, 8));
        assert_eq!(at(true, 1), at(true, 8));
    }
    assert!(moved >= 2, "else nothing was shown: {moved}");
}
