//! Commands of the person's own, and messages handed over in mid-turn.

use super::*;

fn command(desk: &Desk) -> Option<(u64, String)> {
    desk.effects.iter().find_map(|effect| match effect {
        Effect::Run { generation, command } => Some((*generation, command.clone())),
        _ => None,
    })
}

fn ran(output: &str) -> Ran {
    Ran { code: Some(1), output: output.into(), ended: None }
}

#[test]
fn what_stands_behind_a_typed_bang_runs_and_its_output_is_attached() {
    let mut desk = desk();
    desk.keys("!cargo test<enter>");
    let (generation, line) = command(&desk).unwrap();
    assert_eq!(line, "cargo test");
    assert!(desk.orders().is_empty() && desk.text().is_empty());
    desk.keys("why? ");
    desk.reply(Reply::Ran { generation, result: Ok(ran("\x1b[31mred\x1b[0m\n```\n")) });
    assert_eq!(desk.text(), "why? [Ran 1: cargo test, exit 1, 2 lines, 7 B] ");
    desk.keys("<enter>");
    let Order::Submit(submit) = desk.order() else { panic!() };
    assert_eq!(submit.parts, [Part::text("why? ````console\n$ cargo test\nred\n```\n````\n(exit 1) ")]);
}

#[test]
fn a_paste_never_runs_and_a_blank_before_it_makes_it_words() {
    for before in ["", " "] {
        let mut desk = desk();
        desk.keys(before.replace(' ', "< >").as_str());
        desk.event(Event::Paste("!rm -r x".into()));
        desk.keys("<enter>");
        assert_eq!(command(&desk), None);
        assert!(matches!(desk.order(), Order::Submit(_)));
    }
}

#[test]
fn a_paste_behind_a_bang_is_unfolded_before_it_runs() {
    let mut desk = desk();
    desk.keys("!");
    let script = "echo ä\n".repeat(50);
    desk.event(Event::Paste(script.clone()));
    desk.keys(" ; <alt+enter>");
    desk.event(Event::Paste(script.clone()));
    desk.keys("<enter>");
    assert_eq!(command(&desk), None, "only its label was seen");
    assert_eq!(desk.text(), format!("!{script} ; \n{script}"));
    assert!(desk.said().contains("nothing ran"), "{}", desk.said());
    desk.keys("<enter>");
    assert_eq!(command(&desk).unwrap().1, format!("{script} ; \n{script}").trim());
}

#[test]
fn recalled_it_is_a_command_again() {
    let mut desk = desk();
    desk.keys("!ls<enter>");
    let (generation, _) = command(&desk).unwrap();
    desk.reply(Reply::Ran { generation, result: Ok(ran("a")) });
    desk.keys("<ctrl+u><up><enter>");
    assert_eq!(command(&desk).unwrap().1, "ls");
}

#[test]
fn esc_stops_it_before_it_stops_an_answer() {
    let mut desk = desk();
    desk.ask("hi");
    desk.keys("!sleep 9<enter>");
    let (ours, _) = command(&desk).unwrap();
    desk.keys("<esc>");
    assert!(matches!(desk.effects[..], [Effect::StopRun { generation }] if generation == ours));
    let ended = Ran { code: None, output: String::new(), ended: Some("stopped".into()) };
    desk.reply(Reply::Ran { generation: ours, result: Ok(ended) });
    assert!(desk.text().starts_with("[Ran 1: sleep 9, stopped, 0 lines"), "{}", desk.text());
}

#[test]
fn the_output_goes_to_the_conversation_where_it_was_asked_for() {
    let mut desk = desk();
    desk.ask("first");
    desk.keys("!make<enter>");
    let (generation, _) = command(&desk).unwrap();
    desk.keys("<ctrl+n>");
    desk.reply(Reply::Ran { generation, result: Ok(ran("x")) });
    assert_eq!(desk.text(), "");
    let saved = desk.effects.iter().find_map(|effect| match effect {
        Effect::SaveDraft { conversation, text } => Some((conversation.clone(), text.clone())),
        _ => None,
    });
    let (conversation, text) = saved.expect("it is not in memory alone");
    assert_eq!(conversation, desk.state.elsewhere[0].transcript.conversation);
    assert!(conversation.is_some() && text.starts_with("```console\n$ make\nx\n"), "{text}");
    desk.keys("<alt+r>");
    assert!(desk.text().starts_with("[Ran 1: make"), "{}", desk.text());
}

#[test]
fn the_output_for_a_nameless_chat_that_was_left_is_kept_beside_what_is_written_now() {
    let mut desk = desk();
    desk.keys("!make<enter>");
    let (generation, _) = command(&desk).unwrap();
    desk.keys("<ctrl+n>and now");
    desk.reply(Reply::Ran { generation, result: Ok(ran("x")) });
    let saved = desk.effects.iter().rev().find_map(|effect| match effect {
        Effect::SaveDraft { conversation: None, text } => Some(text.clone()),
        _ => None,
    });
    let text = saved.expect("it is not in memory alone");
    assert!(text.starts_with("and now\n\n```console\n$ make\nx\n"), "{text}");
}

fn pasted(desk: &Desk) -> u64 {
    match desk.effects[..] {
        [.., Effect::PastePicture { generation }] => generation,
        _ => panic!("{:?}", desk.effects),
    }
}

#[test]
fn a_picture_goes_to_the_conversation_where_it_was_pasted() {
    let mut desk = desk();
    desk.ask("first");
    desk.keys("look<ctrl+v>");
    let generation = pasted(&desk);
    desk.keys("<ctrl+n>");
    let part = Part::Image { name: "clipboard".into(), mime: "image/png".into(), data: "iVBORw0".into() };
    desk.reply(Reply::Picture { generation, result: Ok(part) });
    assert_eq!(desk.text(), "");
    assert!(desk.state.composer.attachments.is_empty());
    desk.keys("<alt+r>");
    assert_eq!(desk.text(), "look @clipboard-1.png ");
    assert_eq!(desk.state.composer.parts().len(), 2);
}

#[test]
fn a_picture_of_the_clipboard_is_attached_under_a_name() {
    let mut desk = desk();
    desk.keys("look<ctrl+v>");
    let generation = pasted(&desk);
    let part = Part::Image { name: "clipboard".into(), mime: "image/png".into(), data: "iVBORw0".into() };
    desk.reply(Reply::Picture { generation, result: Ok(part) });
    assert_eq!(desk.text(), "look @clipboard-1.png ");
    desk.keys("<enter>");
    let Order::Submit(submit) = desk.order() else { panic!() };
    assert!(matches!(&submit.parts[..], [_, Part::Image { name, .. }] if name == "clipboard-1.png"));
}

#[test]
fn a_queued_message_is_handed_over_by_enter_on_the_empty_line() {
    let mut desk = desk();
    let turn = desk.ask("hi");
    desk.keys("also this<enter>");
    assert!(desk.orders().is_empty());
    desk.keys("<enter>");
    let Order::Interject { turn: told, parts } = desk.order() else { panic!() };
    assert_eq!((*told, &parts[..]), (turn, &[Part::text("also this")][..]));
    desk.keys("<up>");
    assert_ne!(desk.state.transcript.queued.len(), 0, "what was handed over cannot be edited");
    // The next round begins with it.
    let message =
        Message { id: MessageId::new("t.7"), parent: None, at: 1, body: Body::User(vec![Part::text("also this")]) };
    desk.engine(TurnEvent::Message { turn, message: Arc::new(message) });
    assert!(desk.state.transcript.queued.is_empty());
    assert_eq!(desk.state.transcript.entries.last().unwrap().text(), "also this");
}

#[test]
fn where_no_round_follows_it_is_sent_after_the_answer() {
    let mut desk = desk();
    desk.ask("hi");
    desk.keys("also this<enter><enter>");
    desk.effects.clear();
    desk.ended(TurnStatus::Ok);
    assert!(matches!(desk.order(), Order::Submit(submit) if submit.parts == [Part::text("also this")]));
}
