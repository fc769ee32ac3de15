//! Several conversations at once.

use super::browsing::summary;
use super::*;

fn loaded(desk: &mut Desk, id: &str) {
    let Some(Effect::Open { generation, .. }) =
        desk.effects.iter().rev().find(|effect| matches!(effect, Effect::Open { .. })).cloned()
    else {
        panic!("{:?}", desk.effects)
    };
    let conversation = Conversation {
        summary: summary(id, id),
        base_url: String::new(),
        system: None,
        messages: Vec::new(),
        forks: Vec::new(),
        open_elsewhere: false,
        extra: serde_json::Value::Null,
    };
    desk.reply(Reply::Opened { generation, result: Ok(Box::new(conversation)) });
}

fn text_of(transcript: &Transcript) -> String {
    transcript.entries.iter().map(Entry::text).collect::<Vec<_>>().join("|")
}

fn say(desk: &mut Desk, turn: TurnId, text: &str) {
    desk.engine(TurnEvent::Text { turn, round: 1, text: text.into() });
}

fn end(desk: &mut Desk, turn: TurnId, status: TurnStatus) {
    let conversation = ConversationId::new("c1");
    desk.engine(TurnEvent::Ended { turn, status, text: String::new(), rounds: 1, calls: 0, conversation });
}

#[test]
fn a_turn_goes_on_while_its_person_writes_in_another_conversation() {
    let mut desk = desk();
    let turn = desk.ask("first");
    say(&mut desk, turn, "be");
    desk.keys("<ctrl+n>");
    assert!(desk.orders().is_empty(), "nothing is stopped");
    assert!(desk.state.overlays.is_empty(), "and nothing asked");
    assert!(desk.state.transcript.entries.is_empty() && desk.state.transcript.turn.is_none());
    assert!(desk.state.elsewhere[0].runs());
    desk.keys("second, in the ");
    say(&mut desk, turn, "gun");
    assert_eq!(desk.text(), "second, in the ");
    assert!(desk.state.transcript.entries.is_empty());
    end(&mut desk, turn, TurnStatus::Ok);
    assert_eq!(desk.said(), "the answer in \"first\" is complete: alt+r goes there");
    desk.keys("<alt+r>");
    assert_eq!(text_of(&desk.state.transcript), "first|begun");
    assert_eq!(desk.text(), "");
}

#[test]
fn drafts_stay_with_their_conversations() {
    let mut desk = desk();
    desk.ask("first");
    desk.keys("for the first");
    desk.event(Event::Paste("x\n".repeat(12)));
    desk.keys("<ctrl+n>");
    assert_eq!(desk.text(), "");
    let kept = desk.effects.iter().find_map(|effect| match effect {
        Effect::SaveDraft { conversation, text } => Some((conversation.clone(), text.clone())),
        _ => None,
    });
    assert_eq!(kept.unwrap().0, Some(ConversationId::new("c1")));
    desk.ask("second");
    desk.keys("for the second<alt+r>");
    assert!(desk.text().starts_with("for the first[Pasted text 1"), "{}", desk.text());
    assert_eq!(desk.state.composer.chips.len(), 1);
    desk.keys("<alt+r>");
    assert_eq!(desk.text(), "for the second");
}

#[test]
fn a_call_that_waits_elsewhere_is_told_and_decided_there() {
    let mut desk = desk();
    let turn = desk.ask("first");
    desk.keys("<ctrl+n>");
    desk.event(Event::FocusLost);
    let update = CallUpdate {
        call: CallId::new("a"),
        round: 1,
        index: 0,
        wire_name: Some(Arc::from("fs__write_file")),
        tool: Some(ToolRef::new("fs", "write_file")),
        state: review("a", "h"),
    };
    desk.effects.clear();
    desk.engine(TurnEvent::Call { turn, update });
    assert!(desk.state.overlays.is_empty(), "no review of what is not on the screen");
    let told: Vec<_> = desk.effects.iter().filter(|effect| matches!(effect, Effect::Notify(_))).collect();
    assert!(
        matches!(told[..], [Effect::Notify(text)] if text == "millrace: another conversation needs your approval"),
        "its title is what was said: {told:?}"
    );
    assert!(desk.said().starts_with("\"first\" needs your approval"), "{}", desk.said());
    desk.keys("<alt+r>");
    assert!(matches!(desk.state.overlays.last(), Some(Overlay::Review(_))));
}

#[test]
fn the_browser_turns_to_what_goes_on_instead_of_reading_it_again() {
    let mut desk = desk();
    let turn = desk.ask("first");
    desk.keys("<ctrl+n>");
    desk.effects.clear();
    desk.state.open(ConversationId::new("c1"), &mut desk.effects);
    assert!(!desk.effects.iter().any(|effect| matches!(effect, Effect::Open { .. })));
    assert_eq!(desk.turn(), turn);
    // Another one is read, and what runs stays ours.
    desk.effects.clear();
    desk.state.open(ConversationId::new("c9"), &mut desk.effects);
    assert!(
        matches!(&desk.effects[..], [Effect::Open { running, .. }] if *running == [ConversationId::new("c1")]),
        "{:?}",
        desk.effects
    );
    loaded(&mut desk, "c9");
    assert_eq!(desk.state.transcript.conversation, Some(ConversationId::new("c9")));
    assert!(desk.state.elsewhere[0].runs());
}

#[test]
fn queued_messages_are_sent_where_they_were_written() {
    let mut desk = desk();
    let turn = desk.ask("first");
    desk.keys("next<enter><ctrl+n>");
    end(&mut desk, turn, TurnStatus::Ok);
    let sent = desk.orders().into_iter().find_map(|order| match order {
        Order::Submit(submit) => Some((submit.conversation.clone(), submit.parts.clone())),
        _ => None,
    });
    assert_eq!(sent, Some((Some(ConversationId::new("c1")), vec![Part::text("next")])));
    assert!(desk.state.elsewhere[0].runs() && desk.state.transcript.turn.is_none());
}

#[test]
fn quitting_stops_them_all_and_says_that_calls_run() {
    let mut desk = desk();
    let first = desk.ask("first");
    desk.call("a", CallState::Running);
    desk.keys("<ctrl+n>");
    desk.keys("<ctrl+d>");
    assert!(desk.hint().starts_with("1 call is running"), "{}", desk.hint());
    let second = desk.ask("second");
    desk.effects.clear();
    desk.event(Event::Terminate);
    let stopped: Vec<_> = desk
        .orders()
        .into_iter()
        .filter_map(|order| match order {
            Order::CancelTurn { turn } => Some(*turn),
            _ => None,
        })
        .collect();
    assert_eq!(stopped, [first, second]);
}

#[test]
fn a_second_press_that_is_wanted_here_is_not_forgotten_for_news_from_there() {
    let mut desk = desk();
    let turn = desk.ask("first");
    desk.keys("<ctrl+n><ctrl+c>");
    assert_eq!(desk.hint(), "^C again quits");
    end(&mut desk, turn, TurnStatus::Ok);
    assert_eq!(desk.hint(), "^C again quits");
}

#[test]
fn entries_of_different_conversations_never_share_a_key() {
    let mut desk = desk();
    let turn = desk.ask("first");
    desk.keys("<ctrl+n>");
    desk.ask("second");
    say(&mut desk, turn, "a");
    let mut keys: Vec<u64> = desk.state.transcript.entries.iter().map(|entry| entry.key).collect();
    keys.extend(desk.state.elsewhere[0].transcript.entries.iter().map(|entry| entry.key));
    let all = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), all);
}

#[test]
fn a_draft_that_comes_back_has_its_files_again() {
    let mut desk = desk();
    desk.reply(Reply::Draft { conversation: None, text: "see @src/a.rs and @nobody".into() });
    let asked: Vec<&str> = desk
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Attach { path } => Some(path.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(asked, ["src/a.rs", "nobody"]);
    let part = Part::File { name: "src/a.rs".into(), text: "fn a() {}".into() };
    desk.reply(Reply::Attached { path: "src/a.rs".into(), result: Ok(part.clone()) });
    let none = Fault::new(FaultKind::Usage, "nobody was not attached");
    desk.reply(Reply::Attached { path: "nobody".into(), result: Err(none) });
    desk.keys("<enter>");
    let Order::Submit(submit) = desk.order() else { panic!() };
    assert_eq!(submit.parts, [Part::text("see @src/a.rs and @nobody"), part]);
}

#[test]
fn thinking_stays_unfolded_where_that_is_wished() {
    let mut desk = desk();
    desk.state.transcript.unfolded = true;
    let turn = desk.ask("first");
    desk.engine(TurnEvent::Reasoning { turn, round: 1, text: "hm".into() });
    say(&mut desk, turn, "so");
    let EntryBody::Answer(answer) = &desk.state.transcript.entries[1].body else { panic!() };
    assert!(answer.thinking_open());
    desk.keys("<ctrl+n>");
    assert!(desk.state.transcript.unfolded, "in the next conversation too");
}

#[test]
fn a_draft_is_kept_while_its_person_types_on() {
    let mut desk = desk();
    desk.keys("a");
    let Some(Effect::SetTimer { timer: timer @ Timer::Draft(_), after_ms }) =
        desk.effects.iter().find(|effect| matches!(effect, Effect::SetTimer { .. })).cloned()
    else {
        panic!("{:?}", desk.effects)
    };
    assert!(after_ms <= 250);
    desk.keys("bc");
    assert!(!desk.effects.iter().any(|effect| matches!(effect, Effect::SetTimer { timer: Timer::Draft(_), .. })));
    desk.effects.clear();
    desk.event(Event::Timer(timer));
    assert!(matches!(&desk.effects[..], [Effect::CancelTimer(_), Effect::SaveDraft { text, .. }] if text == "abc"));
}

#[test]
fn a_file_goes_to_the_message_that_names_it() {
    let mut desk = desk();
    desk.ask("first");
    let waits = |path: &str| Attachment { label: format!("@{path}"), path: path.into(), part: None };
    desk.keys("see @a and @b");
    desk.state.composer.attachments = vec![waits("a"), waits("b")];
    desk.keys("<ctrl+n>");
    let part = Part::File { name: "a".into(), text: "x".into() };
    desk.reply(Reply::Attached { path: "a".into(), result: Ok(part.clone()) });
    desk.reply(Reply::Attached { path: "b".into(), result: Err(Fault::new(FaultKind::Usage, "no")) });
    desk.keys("<alt+r>");
    assert!(!desk.state.composer.reading());
    assert_eq!(desk.state.composer.parts(), [Part::text("see @a and @b"), part]);
}

#[test]
fn what_is_kept_here_is_not_let_go_once_its_turn_has_ended() {
    let mut desk = desk();
    let turn = desk.ask("first");
    desk.keys("<ctrl+n>");
    end(&mut desk, turn, TurnStatus::Ok);
    desk.effects.clear();
    desk.state.open(ConversationId::new("c9"), &mut desk.effects);
    assert!(
        matches!(&desk.effects[..], [Effect::Open { running, .. }] if *running == [ConversationId::new("c1")]),
        "{:?}",
        desk.effects
    );
}
