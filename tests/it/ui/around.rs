//! Settings, the header's word of other conversations, what is queued, the composer's command mode.

use millrace::app::{Elsewhere, Event, Key, Queued, Reply, Turn, update};
use millrace::chat::{ConversationId, Stamped, TurnId};

use super::*;

fn event(state: &mut State, body: Event) {
    update(state, Stamped { at: stamp(90_000_000), body });
}

fn press(state: &mut State, keys: &str) {
    for key in keys.split(' ') {
        event(state, Event::Key(Key::parse(key).unwrap()));
    }
}

pub(super) fn settings() -> State {
    let mut state = empty();
    state.session.config_path = "~/.config/millrace/config.toml".into();
    press(&mut state, "/ s e t t i n g s enter");
    let Some(Overlay::Settings(list)) = state.overlays.last_mut() else { panic!("{:?}", state.overlays) };
    list.written = Some([("ui.theme".to_owned(), "\"light\"".to_owned())].into());
    state
}

#[test]
fn settings_at_the_three_sizes() {
    let mut state = settings();
    for (columns, rows) in [(120, 36), (80, 24), (40, 20)] {
        insta::assert_snapshot!(format!("settings-{columns}x{rows}"), frame(&state, columns, rows));
    }
    press(&mut state, "r o u n d s enter");
    let narrowed = frame(&state, 80, 24);
    assert!(narrowed.contains("limits.rounds") && !narrowed.contains("ui.theme"), "{narrowed}");
    assert!(narrowed.contains("enter write it"), "{narrowed}");
    let wrong = millrace::chat::Fault::new(millrace::chat::FaultKind::Config, "`limits.rounds` must be a number");
    event(&mut state, Event::Reply(Reply::Set { key: "limits.rounds".into(), value: None, result: Err(wrong) }));
    assert!(frame(&state, 80, 24).contains("must be a number"));
}

/// The palette, as its answers have come.
pub(super) fn palette(titles: usize) -> State {
    let mut state = empty();
    servers(&mut state, &[("docs", ServerState::Ready, 4)]);
    press(&mut state, "ctrl+p");
    let title = |n: usize| TitleRow {
        conversation: ConversationId::new(format!("c{n}")),
        title: ["retry-loop refactor", "Postgres index advice", "翻訳: リリースノート v2", "a\u{202e}b"][n % 4].into(),
        updated: NOW - n as i64 * 3_600_000,
    };
    let source = ModelSource { name: "local".into(), current: true, ..ModelSource::default() };
    let model = |id: &str| ModelRow { id: id.into(), provider: "local".into(), ..ModelRow::default() };
    let reply = Reply::Known {
        // The newest question of the session.
        generation: state.session.next_generation,
        titles: (0..titles).map(title).collect(),
        sources: vec![source],
        models: vec![model("qwen3-32b"), ModelRow { favourite: true, ..model("retriever-8b") }],
    };
    event(&mut state, Event::Reply(reply));
    state
}

#[test]
fn the_palette_at_the_three_sizes() {
    let mut state = palette(4);
    for (columns, rows) in [(120, 36), (80, 24), (40, 20)] {
        insta::assert_snapshot!(format!("palette-{columns}x{rows}"), frame(&state, columns, rows));
    }
    press(&mut state, "r e t r");
    for (columns, rows) in [(120, 36), (80, 24), (40, 20)] {
        insta::assert_snapshot!(format!("palette-typed-{columns}x{rows}"), frame(&state, columns, rows));
    }
    // Whatever is chosen is on the screen.
    for _ in 0..60 {
        press(&mut state, "down");
        let shown = buffer(&state, &Theme::dark(), &mut Memo::new(), 40, 20).1;
        let Some(Overlay::Palette(open)) = state.overlays.last() else { panic!() };
        let at = open.selected;
        assert!(shown.targets.iter().any(|(_, target)| *target == Target::Row(at)), "{at}");
    }
}

#[test]
fn a_palette_of_ten_thousand_conversations_lists_few_of_them() {
    let mut state = palette(10_000);
    press(&mut state, "p o s t g r e s");
    let Some(Overlay::Palette(open)) = state.overlays.last() else { panic!() };
    assert!(open.rows.len() < 200 && open.groups[0].2 == 2_500, "{:?}", open.groups);
    assert!(frame(&state, 80, 24).contains("the best of 2 500"), "{}", frame(&state, 80, 24));
}

#[test]
fn roles_are_listed_with_what_goes_with_them_and_the_header_names_the_one_that_holds() {
    let mut state = empty();
    let role = |name: &str, system: &str, model: Option<&str>| millrace::config::Role {
        name: name.into(),
        system: Some(system.into()),
        model: model.map(str::to_owned),
        ..Default::default()
    };
    state.session.casting.roles = vec![
        role("brief", "Answer in one sentence.", None),
        role("reviewer\u{202e}", "You review code.\nName the worst defect first.", Some("gpt-4o")),
    ];
    state.transcript.role = Some("brief".into());
    press(&mut state, "/ r o l e enter");
    for (columns, rows) in [(120, 36), (80, 24), (40, 20)] {
        insta::assert_snapshot!(format!("roles-{columns}x{rows}"), frame(&state, columns, rows));
    }
    press(&mut state, "esc");
    let top = frame(&state, 120, 36).lines().next().unwrap().to_owned();
    assert!(top.contains("brief   "), "{top}");
}

#[test]
fn the_header_tells_what_goes_on_elsewhere() {
    let mut state = chat(120);
    state.overlays.clear();
    let mut other = Elsewhere::default();
    other.transcript.turn = Some(Turn::new(TurnId(7), stamp(0), false));
    state.elsewhere.push(other);
    let header = |state: &State, columns| frame(state, columns, 24).lines().next().unwrap_or_default().to_owned();
    assert!(header(&state, 120).contains("◌ 1 elsewhere"), "{}", header(&state, 120));
    assert!(header(&state, 40).contains("◌ 1"), "{}", header(&state, 40));
}

#[test]
fn what_is_queued_says_what_becomes_of_it() {
    let mut state = chat(120);
    state.overlays.clear();
    state.composer.set("");
    state.transcript.queued.push(Queued { text: "and then?".into(), ..Queued::default() });
    let shown = frame(&state, 120, 36);
    let wanted =
        "queued 1   sent after this answer   ↑ edit   enter on the empty line: send with the next round's tool results";
    assert!(shown.contains(wanted), "{shown}");
}

#[test]
fn without_motion_nothing_differs_within_a_second() {
    let mut state = chat(120);
    state.overlays.clear();
    let at = |state: &mut State, us: u64, columns| {
        state.now = stamp(us);
        frame(state, columns, 30)
    };
    let from = 1_003 * SECOND + 10_000;
    for columns in [120, 80, 40] {
        state.session.still = false;
        assert_ne!(at(&mut state, from, columns), at(&mut state, from + 900_000, columns), "{columns}");
        state.session.still = true;
        assert_eq!(at(&mut state, from, columns), at(&mut state, from + 900_000, columns), "{columns}");
    }
    // The header's bar tells the context, and changes with a round alone.
    let whole = at(&mut state, from, 120);
    assert!(whole.lines().skip(1).all(|line| !line.contains("░░")), "the number alone: {whole}");
}

#[test]
fn themes_draw_the_same_words() {
    let state = chat(120);
    let words = |theme: &Theme| text(&buffer(&state, theme, &mut Memo::new(), 120, 36).0);
    let dark = words(&Theme::dark());
    for theme in [Theme::light(), Theme::high_contrast(), Theme::ansi(), Theme::plain()] {
        assert_eq!(words(&theme), dark, "{theme:?}");
    }
    assert!(words(&Theme::dark().ascii()).is_ascii(), "{}", words(&Theme::dark().ascii()));
}

#[test]
fn an_open_list_keeps_its_keys_in_the_footer_and_a_layer_takes_what_it_said_along() {
    let mut state = empty();
    press(&mut state, "/ n o s u c h enter");
    let footer = |state: &State| frame(state, 120, 24).lines().last().unwrap_or_default().to_owned();
    let said = footer(&state);
    assert!(said.contains("nosuch"), "{said}");
    press(&mut state, "ctrl+u /");
    assert!(footer(&state).contains("tab"), "{}", footer(&state));
    // Into a layer and out again: what it answered is not said over the chat.
    press(&mut state, "ctrl+u ctrl+r");
    state.status.notices.clear();
    press(&mut state, "down u");
    assert!(frame(&state, 120, 24).contains("nothing was deleted here"));
    press(&mut state, "esc");
    assert!(state.overlays.is_empty() && !footer(&state).contains("nothing was deleted here"), "{}", footer(&state));
}

#[test]
fn incognito_at_the_three_sizes() {
    let mut state = empty();
    press(&mut state, "/ i n c o g n i t o enter");
    for (columns, rows) in [(120, 36), (80, 24), (40, 20)] {
        insta::assert_snapshot!(format!("incognito-{columns}x{rows}"), frame(&state, columns, rows));
    }
}
