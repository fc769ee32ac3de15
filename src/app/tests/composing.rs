//! The composer, its completion, and what is sent.

use super::*;

fn sent(desk: &Desk) -> Vec<Part> {
    match desk.order() {
        Order::Submit(submit) => submit.parts.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn enter_sends_and_the_other_enters_break_the_line() {
    let mut desk = desk();
    desk.keys("one<shift+enter>two<alt+enter>three<ctrl+j>four");
    assert_eq!(desk.text(), "one\ntwo\nthree\nfour");
    desk.keys("<enter>");
    assert_eq!(sent(&desk), [Part::text("one\ntwo\nthree\nfour")]);
    assert_eq!(desk.text(), "");
    assert!(matches!(desk.state.transcript.entries[0].body, EntryBody::User(_)));
    assert_eq!(desk.state.transcript.title, "one");
}

#[test]
fn a_backslash_at_the_end_breaks_the_line_too() {
    let mut desk = desk();
    desk.keys("one\\<enter>two");
    assert_eq!(desk.text(), "one\ntwo");
}

#[test]
fn readline_keys_edit() {
    let check = |keys: &str, expect: &str| {
        let mut desk = desk();
        desk.keys(keys);
        assert_eq!(desk.text(), expect, "{keys}");
    };
    check("one two<ctrl+w>", "one ");
    check("one two<ctrl+a>X<ctrl+e>Y", "Xone twoY");
    check("one two<ctrl+u>", "");
    check("one two<ctrl+a><ctrl+k>", "");
    check("one two<ctrl+u><ctrl+y>", "one two");
    check("one two<alt+b><alt+d>", "one ");
    check("one two<ctrl+a><alt+f>X", "oneX two");
    check("abc<ctrl+b><ctrl+d>", "ab");
    check("abc<left><backspace>", "ac");
    check("abc<ctrl+w><ctrl+_>", "abc");
    check("abc<ctrl+w><ctrl+_><alt+_>", "");
}

#[test]
fn up_recalls_what_was_sent_and_down_brings_the_draft_back() {
    let mut desk = desk();
    desk.ask("first");
    desk.ended(TurnStatus::Ok);
    desk.ask("second");
    desk.ended(TurnStatus::Ok);
    desk.keys("draft<up>");
    assert_eq!(desk.text(), "second");
    desk.keys("<up>");
    assert_eq!(desk.text(), "first");
    desk.keys("<down><down>");
    assert_eq!(desk.text(), "draft");
}

#[test]
fn a_paste_never_submits_and_makes_no_command() {
    let mut desk = desk();
    desk.event(Event::Paste("/quit\r\n".into()));
    assert_eq!(desk.text(), "/quit\n");
    assert!(desk.orders().is_empty());
    desk.keys("<backspace><enter>");
    assert_eq!(sent(&desk), [Part::text("/quit")]);
}

#[test]
fn a_long_paste_is_a_chip_that_is_sent_in_full() {
    let mut desk = desk();
    let long: String = (0..214).map(|n| format!("line {n}\n")).collect();
    desk.keys("see ");
    desk.event(Event::Paste(long.clone()));
    assert_eq!(desk.text(), "see [Pasted text 1: 214 lines, 1.8 KB]");
    let wide = "x".repeat(1_001);
    desk.event(Event::Paste(wide.clone()));
    assert!(desk.text().ends_with("[Pasted text 2: 1 line, 1.0 KB]"), "{}", desk.text());
    desk.keys("<enter>");
    assert_eq!(sent(&desk), [Part::text(format!("see {long}{wide}"))]);
}

#[test]
fn a_chip_whose_text_holds_its_own_label_is_sent_as_it_is() {
    let mut desk = desk();
    let evil = format!("[Pasted text 1: 12 lines, 40 B]\n{}", "a\n".repeat(11));
    desk.event(Event::Paste(evil.clone()));
    desk.keys("<enter>");
    let parts = sent(&desk);
    let [Part::Text { text }] = parts.as_slice() else { panic!("{parts:?}") };
    assert_eq!(*text, evil);
}

#[test]
fn a_chip_is_deleted_whole_and_unfolded_by_enter_on_it() {
    let mut desk = desk();
    let long = "l\n".repeat(12);
    desk.event(Event::Paste(long.clone()));
    desk.keys("<backspace>");
    assert_eq!(desk.text(), "");
    desk.event(Event::Paste(long.clone()));
    desk.keys("<left><enter>");
    assert_eq!(desk.text(), long);
    assert!(desk.orders().is_empty());
}

#[test]
fn a_slash_completes_and_runs_commands() {
    let mut desk = desk();
    desk.keys("/hist");
    let open = desk.state.composer.completion.as_ref().unwrap();
    assert_eq!(open.rows[0].text, "history");
    desk.keys("<enter>");
    assert!(matches!(desk.state.overlays.last(), Some(Overlay::Browser(_))));
    assert_eq!(desk.text(), "");
    desk.keys("<esc>/nosuch<enter>");
    assert!(desk.said().contains("no command /nosuch"), "{}", desk.said());
    assert_eq!(desk.text(), "/nosuch");
}

#[test]
fn every_command_has_a_slash_or_is_a_motion() {
    for info in COMMANDS.iter().filter(|info| !info.slash.is_empty()) {
        assert_eq!(Command::slash(info.slash), Some(info.command), "{}", info.slash);
    }
}

#[test]
fn tab_takes_the_completion_first_and_esc_closes_it_first() {
    let mut desk = desk();
    desk.keys("/hist<tab>");
    assert_eq!(desk.text(), "/history");
    assert_eq!(desk.state.focus, Focus::Composer);
    desk.keys("<ctrl+u>/hi<esc>");
    assert!(desk.state.composer.completion.is_none());
    assert_eq!(desk.text(), "/hi");
}

#[test]
fn an_at_offers_files_and_attaches_the_chosen_one() {
    let mut desk = desk();
    desk.keys("see @ret");
    let Some(Effect::Files { generation, query }) =
        desk.effects.iter().rev().find(|effect| matches!(effect, Effect::Files { .. })).cloned()
    else {
        panic!("{:?}", desk.effects)
    };
    assert_eq!(query, "ret");
    desk.reply(Reply::Files { generation: generation - 1, paths: vec!["late.rs".into()] });
    assert!(desk.state.composer.completion.as_ref().unwrap().rows.is_empty(), "a late answer is ignored");
    desk.reply(Reply::Files { generation, paths: vec!["src/retry.rs".into()] });
    desk.keys("<tab>");
    assert_eq!(desk.text(), "see @src/retry.rs ");
    desk.keys("<enter>");
    assert!(desk.said().contains("still being read"));
    let part = Part::File { name: "src/retry.rs".into(), text: "fn".into() };
    desk.reply(Reply::Attached { path: "src/retry.rs".into(), result: Ok(part.clone()) });
    desk.keys("<enter>");
    assert_eq!(sent(&desk), [Part::text("see @src/retry.rs "), part]);
}

#[test]
fn the_editor_gets_the_text_in_full_and_gives_it_back() {
    for keys in ["text<ctrl+g>", "text<ctrl+x><ctrl+e>"] {
        let mut desk = desk();
        desk.keys(keys);
        assert!(
            desk.effects.iter().any(
                |effect| matches!(effect, Effect::Editor { what: EditorUse::Composer, text, .. } if text == "text")
            ),
            "{keys}"
        );
        desk.reply(Reply::EditorClosed { what: EditorUse::Composer, result: Ok("changed\n".into()) });
        assert_eq!(desk.text(), "changed");
    }
}

#[test]
fn a_chip_that_comes_back_from_the_editor_as_it_was_is_a_chip_again() {
    let mut desk = desk();
    let paste = "a line\n".repeat(20);
    desk.keys("see ");
    desk.event(Event::Paste(paste.clone()));
    let label = desk.text();
    let edited = |text: String| Reply::EditorClosed { what: EditorUse::Composer, result: Ok(text) };
    desk.reply(edited(format!("now see {paste}and more\n")));
    assert_eq!(desk.text(), format!("now {label}and more"));
    desk.keys("<enter>");
    assert_eq!(sent(&desk), [Part::text(format!("now see {paste}and more"))]);
    // Changed there, it is text.
    desk.event(Event::Paste(paste.clone()));
    desk.reply(edited(paste.replacen("line", "word", 1)));
    assert!(desk.text().starts_with("a word\na line"), "{}", desk.text());
}

#[test]
fn a_question_mark_on_an_empty_line_helps() {
    let mut desk = desk();
    desk.keys("why?");
    assert_eq!(desk.text(), "why?");
    desk.keys("<ctrl+u>?");
    assert!(matches!(desk.state.overlays.last(), Some(Overlay::Help(_))));
}

#[test]
fn without_a_connection_the_draft_is_kept_and_sent_after_the_choice() {
    let mut desk = desk();
    desk.state.session.connection = None;
    desk.keys("hello<enter>");
    assert!(matches!(desk.state.overlays.last(), Some(Overlay::Welcome(_))));
    assert!(desk.orders().is_empty());
    desk.keys(" there");
    assert_eq!(desk.text(), "hello there");
    let kind = LocalKind::Ollama;
    let server = LocalServer { kind, base_url: "http://127.0.0.1:11434/v1".into(), models: vec!["m".into()] };
    desk.reply(Reply::Local { port: 11434, found: Some(server.clone()) });
    desk.keys("<enter>");
    assert!(desk.effects.iter().any(|e| matches!(e, Effect::Connect(Connection::Local(found)) if *found == server)));
    desk.effects.clear();
    desk.reply(Reply::Connected {
        base_url: server.base_url,
        key_from: None,
        model: Some("m".into()),
        context_window: None,
        warning: None,
    });
    assert_eq!(sent(&desk), [Part::text("hello there")]);
}

#[test]
fn without_a_model_the_picker_opens_at_the_first_send() {
    let mut desk = desk();
    desk.state.session.settings.model.clear();
    desk.keys("hi<enter>");
    let Some(Effect::Models { generation, anew: false }) = desk.effects.last().cloned() else {
        panic!("{:?}", desk.effects)
    };
    let row = |id: &str| ModelRow { id: id.into(), ..ModelRow::default() };
    let here = ModelSource { current: true, reach: Reach::Reached { took_ms: 1 }, ..ModelSource::default() };
    desk.reply(Reply::Models { generation, sources: vec![here], rows: vec![row("llama"), row("qwen")] });
    desk.keys("qw<enter>");
    assert_eq!(sent(&desk), [Part::text("hi")]);
    assert_eq!(desk.state.session.settings.model, "qwen");
}

#[test]
fn the_only_model_of_an_endpoint_needs_no_picker() {
    let mut desk = desk();
    desk.state.session.settings.model.clear();
    desk.keys("hi<enter>");
    let Some(Effect::Models { generation, .. }) = desk.effects.last().cloned() else { panic!("{:?}", desk.effects) };
    let row = |provider: &str, id: &str| ModelRow { id: id.into(), provider: provider.into(), ..ModelRow::default() };
    let source =
        |name: &str, current, reach| ModelSource { name: name.into(), current, reach, ..ModelSource::default() };
    let rows = vec![row("here", "one"), row("away", "two")];
    let asking = vec![source("here", true, Reach::Asking), source("away", false, Reach::Asking)];
    desk.reply(Reply::Models { generation, sources: asking, rows: rows.clone() });
    assert!(desk.orders().is_empty(), "what was kept may have changed");
    let answered = vec![source("here", true, Reach::Reached { took_ms: 1 }), source("away", false, Reach::Asking)];
    desk.reply(Reply::Models { generation, sources: answered, rows });
    assert_eq!(sent(&desk), [Part::text("hi")]);
    assert_eq!(desk.state.session.settings.model, "one");
}
