//! What the engine tells, the reader's place, faults, the panel.

use super::*;

fn text(desk: &mut Desk, text: &str) {
    let turn = desk.turn();
    desk.engine(TurnEvent::Text { turn, round: 1, text: text.into() });
}

fn answer(desk: &Desk) -> &AnswerEntry {
    desk.state
        .transcript
        .entries
        .iter()
        .rev()
        .find_map(|entry| match &entry.body {
            EntryBody::Answer(answer) => Some(answer),
            _ => None,
        })
        .unwrap_or_else(|| panic!("no answer"))
}

#[test]
fn words_thinking_and_calls_stand_in_the_order_in_which_they_came() {
    let mut desk = desk();
    let turn = desk.ask("hi");
    desk.engine(TurnEvent::Reasoning { turn, round: 1, text: "hm".into() });
    assert!(answer(&desk).thinking_open());
    text(&mut desk, "one ");
    assert!(!answer(&desk).thinking_open(), "it folds when the answer starts");
    desk.call("a", CallState::Arguments { bytes: 1, delta: "{".into() });
    text(&mut desk, "two");
    let kinds: Vec<_> = answer(&desk)
        .pieces
        .iter()
        .map(|piece| match piece {
            Piece::Thinking { text, .. } | Piece::Text(text) | Piece::Refusal(text) => text.clone(),
            Piece::Call(id) => id.as_str().to_owned(),
        })
        .collect();
    assert_eq!(kinds, ["hm", "one ", "a", "two"]);
    let settled = Answer {
        text: "one two".into(),
        reasoning: "hm".into(),
        calls: vec![ToolCall {
            id: CallId::new("a"),
            wire_id: None,
            index: 0,
            wire_name: "fs__write_file".into(),
            tool: None,
            arguments: Arc::from("{}"),
            extra: Default::default(),
        }],
        state: AnswerState::Complete,
        ..Answer::default()
    };
    let message = Arc::new(Message { id: MessageId::new("m2"), parent: None, at: 5, body: Body::Assistant(settled) });
    desk.engine(TurnEvent::Message { turn, message });
    assert_eq!(answer(&desk).pieces.len(), 4, "the order that was seen stays");
    assert!(!answer(&desk).streaming);
}

#[test]
fn events_of_another_turn_are_ignored() {
    let mut desk = desk();
    let turn = desk.ask("hi");
    let stale = TurnId(turn.0 + 7);
    let before = desk.state.transcript.entries.len();
    desk.engine(TurnEvent::Text { turn: stale, round: 1, text: "late".into() });
    desk.engine(TurnEvent::Error { turn: Some(stale), fault: Fault::new(FaultKind::Auth, "late") });
    desk.engine(TurnEvent::Ended {
        turn: stale,
        status: TurnStatus::Ok,
        text: String::new(),
        rounds: 1,
        calls: 0,
        conversation: ConversationId::new("other"),
    });
    assert_eq!(desk.state.transcript.entries.len(), before);
    assert!(desk.state.transcript.turn.is_some());
    assert_eq!(desk.state.transcript.conversation, Some(ConversationId::new("c1")));
}

#[test]
fn a_message_typed_meanwhile_waits_can_be_edited_and_is_sent() {
    let mut desk = desk();
    desk.ask("one");
    desk.keys("two<enter>");
    assert!(desk.orders().is_empty());
    assert_eq!(desk.state.transcript.queued[0].text, "two");
    desk.keys("<up>");
    assert_eq!(desk.text(), "two");
    assert!(desk.state.transcript.queued.is_empty());
    desk.keys("!<enter>");
    desk.effects.clear();
    desk.ended(TurnStatus::Ok);
    assert!(matches!(desk.order(), Order::Submit(submit) if submit.parts == [Part::text("two!")]));
}

#[test]
fn what_waits_is_not_sent_after_a_stop() {
    let mut desk = desk();
    desk.ask("one");
    desk.keys("two<enter>");
    desk.effects.clear();
    desk.ended(TurnStatus::Cancelled);
    assert!(desk.orders().is_empty());
    assert_eq!(desk.state.transcript.queued.len(), 1);
    desk.keys("<enter>");
    assert!(matches!(desk.order(), Order::Submit(_)));
}

#[test]
fn a_refused_key_offers_its_choices_and_keeps_the_message() {
    let fail = |desk: &mut Desk| {
        let turn = desk.turn();
        let fault = Fault::new(FaultKind::Auth, "refused the key");
        desk.engine(TurnEvent::Error { turn: Some(turn), fault });
        desk.ended(TurnStatus::Failed);
    };
    let mut desk = desk();
    desk.ask("hi");
    fail(&mut desk);
    assert_eq!(desk.state.focus, Focus::Transcript);
    assert_eq!(desk.state.transcript.open_fault().unwrap().choices, FaultChoices::Key);
    desk.keys("k");
    assert!(matches!(desk.state.overlays.last(), Some(Overlay::Ask(ask)) if ask.line.masked));
    desk.keys("sk-1<enter>");
    assert!(matches!(&desk.effects[..], [Effect::Connect(Connection::Key { key, .. })] if key == "sk-1"));
    assert!(!format!("{:?}", desk.effects).contains("sk-1"), "a key is never printed");
    desk.effects.clear();
    let base_url = "http://localhost:8000/v1".to_owned();
    let model = Some("m".to_owned());
    desk.reply(Reply::Connected { base_url, key_from: None, model, context_window: None, warning: None });
    assert!(matches!(desk.order(), Order::AskAgain { .. }), "the kept message is asked again");

    let mut desk = super::desk();
    desk.ask("hi");
    desk.keys("a draft");
    fail(&mut desk);
    assert_eq!(desk.state.focus, Focus::Composer, "never taken from a text");
    desk.keys("kr");
    assert_eq!(desk.text(), "a draftkr");
    desk.keys("<esc>r");
    assert!(matches!(desk.order(), Order::AskAgain { .. }));
}

#[test]
fn a_cut_stream_goes_on_or_is_asked_again() {
    let cut = || {
        let mut desk = desk();
        let turn = desk.ask("hi");
        text(&mut desk, "some words of an answer");
        desk.call("a", CallState::Running);
        let fault = Fault::new(FaultKind::Network, "broke");
        desk.engine(TurnEvent::Error { turn: Some(turn), fault });
        desk.ended(TurnStatus::Failed);
        desk
    };
    let mut desk = cut();
    let fault = desk.state.transcript.open_fault().unwrap();
    assert_eq!((fault.choices, fault.calls_kept), (FaultChoices::Cut, 1));
    desk.keys("c");
    assert!(matches!(desk.order(), Order::Continue { .. }));
    assert!(desk.state.transcript.open_fault().is_none());
    let mut desk = cut();
    desk.keys("<esc>/retry<enter>");
    assert!(matches!(desk.order(), Order::AskAgain { .. }), "each choice is a slash command too");
    assert_eq!(desk.state.transcript.entries.len(), 1, "the answer is discarded");
}

#[test]
fn the_reader_is_never_moved() {
    let mut desk = desk();
    desk.ask("hi");
    text(&mut desk, "words");
    let top = Anchor { key: desk.state.transcript.entries[1].key, line: 3 };
    let transcript =
        TranscriptLayout { area: Area { x: 0, y: 0, width: 80, height: 20 }, top: Some(top), at_end: true, below: 0 };
    desk.event(Event::Layout(Layout { transcript, ..Layout::default() }));
    assert_eq!(desk.state.transcript.scroll, Scroll::Follow);
    desk.keys("<tab>k");
    assert_eq!(desk.state.transcript.scroll, Scroll::Anchored(Anchor { line: 2, ..top }));
    let moved = TranscriptLayout { top: Some(Anchor { line: 2, ..top }), at_end: true, ..transcript };
    desk.event(Event::Layout(Layout { transcript: moved, ..Layout::default() }));
    assert_ne!(desk.state.transcript.scroll, Scroll::Follow, "moving up is not following, even at the end");
    text(&mut desk, "more");
    desk.ended(TurnStatus::Ok);
    assert_eq!(desk.state.transcript.scroll, Scroll::Anchored(Anchor { line: 2, ..top }));
    desk.keys("j");
    assert_eq!(desk.state.transcript.scroll, Scroll::Follow, "down at the end follows");
    desk.keys("g");
    assert_ne!(desk.state.transcript.scroll, Scroll::Follow);
    desk.keys("G");
    assert_eq!(desk.state.transcript.scroll, Scroll::Follow);
    desk.keys("<esc>text<pgup>");
    assert_ne!(desk.state.transcript.scroll, Scroll::Follow);
    desk.keys("<end>");
    assert_eq!(desk.state.transcript.scroll, Scroll::Follow, "end at the text's end follows");
}

#[test]
fn messages_are_chosen_found_copied_and_edited() {
    let mut desk = desk();
    let turn = desk.ask("find the needle");
    let user = Message {
        id: MessageId::new("m1"),
        parent: None,
        at: 1,
        body: Body::User(vec![Part::text("find the needle")]),
    };
    desk.engine(TurnEvent::Message { turn, message: Arc::new(user) });
    text(&mut desk, "here:\n```sh\nls\n```\n");
    desk.ended(TurnStatus::Ok);
    desk.keys("<tab>y");
    assert!(matches!(&desk.effects[..], [Effect::Copy { text, .. }] if text.starts_with("here:")));
    desk.keys("Y");
    assert!(matches!(&desk.effects[..], [Effect::Copy { text, .. }] if text == "ls\n"));
    desk.keys("[[y");
    assert!(matches!(&desk.effects[..], [Effect::Copy { text, .. }] if text == "find the needle"));
    desk.keys("]/NEED<enter>n");
    let find = desk.state.transcript.find.as_ref().unwrap();
    assert_eq!(find.matches.len(), 1);
    desk.keys("e");
    assert_eq!((desk.text().as_str(), desk.state.focus), ("find the needle", Focus::Composer));
    desk.keys("s<enter>");
    assert!(matches!(desk.order(), Order::Submit(submit) if submit.parent == Parent::Root));
    assert_eq!(desk.state.transcript.entries.len(), 1, "the branch replaces what followed");
}

#[test]
fn branch_here_answers_the_chosen_message() {
    let mut desk = desk();
    let turn = desk.ask("hi");
    let message = |id: &str, body| Arc::new(Message { id: MessageId::new(id), parent: None, at: 1, body });
    desk.engine(TurnEvent::Message { turn, message: message("m1", Body::User(vec![Part::text("hi")])) });
    let words = Answer { text: "yes".into(), state: AnswerState::Complete, ..Answer::default() };
    desk.engine(TurnEvent::Message { turn, message: message("m2", Body::Assistant(words)) });
    desk.ended(TurnStatus::Ok);
    desk.keys("<tab>[Bwhy<enter>");
    assert!(matches!(desk.order(), Order::Submit(submit) if submit.parent == Parent::Message(MessageId::new("m2"))));
    desk.ended(TurnStatus::Ok);
    desk.keys("<tab>R");
    assert!(matches!(desk.order(), Order::AskAgain { .. }));
}

#[test]
fn the_panel_puts_first_what_needs_a_person_and_holds_still_under_the_cursor() {
    let mut desk = desk();
    desk.ask("hi");
    desk.keys("typing");
    desk.call("a", CallState::Running);
    desk.call("b", CallState::Arguments { bytes: 1, delta: "{".into() });
    desk.call("c", review("c", "h"));
    let rows = |desk: &Desk| desk.state.panel.rows.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>();
    assert_eq!(rows(&desk), ["c", "a", "b"]);
    desk.keys("<tab><tab>");
    assert_eq!(desk.state.focus, Focus::Panel);
    let done = ToolOutcome { sent: true, ..ToolOutcome::unsent(OutcomeKind::Done, "ok") };
    desk.call("a", CallState::Ended(Arc::new(done)));
    desk.call("d", CallState::Running);
    assert_eq!((rows(&desk), desk.state.panel.held), (vec!["c".into(), "a".into(), "b".into()], 1));
    desk.keys("j");
    assert_eq!(desk.state.panel.selected, Some(CallId::new("a")));
    desk.keys("y");
    assert!(matches!(&desk.effects[..], [Effect::Copy { text, .. }] if text == "ok"));
    desk.keys("R");
    assert!(!desk.effects.iter().any(|e| matches!(e, Effect::Order(_))), "not while an answer still comes");
    desk.keys("jx");
    assert!(matches!(desk.order(), Order::CancelCall { call, .. } if call.as_str() == "b"));
    desk.keys("3");
    assert_eq!(rows(&desk), ["d"]);
    desk.keys("1<enter>");
    assert!(matches!(desk.state.overlays.last(), Some(Overlay::Detail(_) | Overlay::Review(_))));
    desk.keys("<esc><esc>");
    assert_eq!(desk.state.focus, Focus::Composer);
}

#[test]
fn a_late_state_of_an_ended_call_changes_nothing() {
    let mut desk = desk();
    desk.ask("hi");
    desk.call("a", CallState::Ended(Arc::new(ToolOutcome::unsent(OutcomeKind::Denied, "no"))));
    desk.call("a", CallState::Running);
    assert_eq!(desk.state.calls.by_id[&CallId::new("a")].phase, CallPhase::Ended(OutcomeKind::Denied));
}

#[test]
fn ticks_run_only_while_something_counts() {
    let mut desk = desk();
    let ticks = |desk: &Desk| desk.effects.iter().any(|e| matches!(e, Effect::SetTimer { timer: Timer::Tick, .. }));
    assert!(!ticks(&desk));
    desk.ask("hi");
    desk.effects.clear();
    desk.event(Event::Timer(Timer::Tick));
    assert!(ticks(&desk));
    desk.ended(TurnStatus::Ok);
    desk.effects.clear();
    desk.event(Event::Timer(Timer::Tick));
    assert!(!ticks(&desk), "idle, nothing wakes");
}

#[test]
fn whether_it_is_saved_is_told() {
    let mut desk = desk();
    desk.ask("hi");
    desk.engine(TurnEvent::Saved { conversation: ConversationId::new("c1"), at_ms: 7 });
    assert_eq!(desk.state.status.saved, Saved::At(7));
    desk.engine(TurnEvent::Unsaved { reason: "disk full".into() });
    assert_eq!(desk.state.status.saved, Saved::Not("disk full".into()));
}

#[test]
fn a_person_who_is_away_is_called() {
    let mut desk = desk();
    desk.ask("hi");
    desk.event(Event::FocusLost);
    desk.effects.clear();
    desk.call("a", review("a", "h"));
    assert!(desk.effects.iter().any(|e| matches!(e, Effect::Notify(text) if text.contains("fs/write_file"))));
}

#[test]
fn what_waits_comes_back_with_all_that_it_names() {
    let mut desk = desk();
    desk.ask("one");
    let paste = (0..40).map(|n| format!("line {n}\n")).collect::<String>();
    desk.event(Event::Paste(paste.clone()));
    desk.keys(" and @a.rs ");
    let part = Part::File { name: "a.rs".into(), text: "fn a() {}".into() };
    desk.state.composer.attachments =
        vec![Attachment { label: "@a.rs".into(), path: "a.rs".into(), part: Some(part.clone()) }];
    let parts = desk.state.composer.parts();
    desk.keys("<enter>");
    assert_eq!((desk.state.transcript.queued.len(), desk.text().as_str()), (1, ""));
    desk.keys("<up>");
    assert!(desk.state.transcript.queued.is_empty());
    assert_eq!(desk.state.composer.parts(), parts);
    assert!(parts.contains(&part) && desk.state.composer.expanded().contains("line 39"));
}

#[test]
fn a_notification_quotes_nobody_unless_it_may() {
    for (details, expect) in
        [(false, "millrace: the answer broke off"), (true, "millrace: the answer broke off: no such model")]
    {
        let mut desk = desk();
        desk.state.session.notify_details = details;
        let turn = desk.ask("hi");
        desk.event(Event::FocusLost);
        desk.effects.clear();
        let fault = crate::chat::Fault::new(crate::chat::FaultKind::Provider, "no such model");
        desk.engine(TurnEvent::Error { turn: Some(turn), fault });
        let told: Vec<_> = desk.effects.iter().filter(|e| matches!(e, Effect::Notify(_))).collect();
        assert!(matches!(told[..], [Effect::Notify(text)] if text == expect), "{told:?}");
    }
}
