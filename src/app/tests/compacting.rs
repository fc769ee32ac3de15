//! Summaries: ordered, shown where they stand, edited, taken back; and what a request that does not fit offers.

use std::sync::Arc;

use super::*;
use crate::app::{Entry, EntryBody, FaultChoices, Phase};
use crate::chat::{
    Answer, AnswerState, Body, CompactMode, CompactRules, Compaction, CompactionStep, ConversationId, Fault, FaultKind,
    Message, MessageId, Part,
};

fn conversation() -> ConversationId {
    ConversationId::new("c1")
}

fn told(desk: &mut Desk, id: &str, body: Body) {
    let message = Arc::new(Message { id: MessageId::new(id), parent: None, at: 0, body });
    let turn = desk.turn();
    desk.engine(TurnEvent::Message { turn, message });
}

/// A turn from its question to its end.
fn exchange(desk: &mut Desk, question: &str, number: u32) {
    let turn = desk.ask(question);
    told(desk, &format!("u{number}"), Body::User(vec![Part::text(question)]));
    desk.engine(TurnEvent::Text { turn, round: 1, text: format!("answer {number}") });
    let answer = Answer { text: format!("answer {number}"), state: AnswerState::Complete, ..Answer::default() };
    told(desk, &format!("a{number}"), Body::Assistant(answer));
    desk.ended(TurnStatus::Ok);
}

fn spoken() -> Desk {
    let mut desk = desk();
    exchange(&mut desk, "one", 1);
    exchange(&mut desk, "two", 2);
    desk.state.transcript.conversation = Some(conversation());
    desk
}

fn step(desk: &mut Desk, step: CompactionStep) {
    desk.engine(TurnEvent::Compaction { conversation: conversation(), step });
}

fn summary() -> Arc<Compaction> {
    Arc::new(Compaction {
        upto: MessageId::new("a1"),
        messages: 2,
        text: "They spoke.".into(),
        model: "m".into(),
        input: Some(100),
        output: Some(5),
        ..Compaction::default()
    })
}

fn done(desk: &mut Desk) {
    let turn = desk.turn();
    step(desk, CompactionStep::Done { turn, compaction: summary(), next: Some(MessageId::new("u2")) });
}

/// The transcript's entries, a word each.
fn shown(desk: &Desk) -> Vec<&'static str> {
    let word = |entry: &Entry| match &entry.body {
        EntryBody::User(_) => "user",
        EntryBody::Answer(_) => "answer",
        EntryBody::Fault(_) => "fault",
        EntryBody::Note(_) => "note",
        EntryBody::Summary(_) => "summary",
    };
    desk.state.transcript.entries.iter().map(word).collect()
}

#[test]
fn a_summary_is_ordered_by_its_command_and_stands_where_it_ends() {
    let mut desk = spoken();
    desk.keys("/compact the names<enter>");
    let Order::Compact { note, conversation: of, .. } = desk.order() else { panic!("{:?}", desk.order()) };
    assert_eq!((note.as_str(), of), ("the names", &conversation()));
    assert_eq!(desk.state.transcript.turn.as_ref().map(|turn| turn.phase.clone()), Some(Phase::Summarising));
    let drawn: Vec<(u64, u64)> =
        desk.state.transcript.entries.iter().map(|entry| (entry.key, entry.revision)).collect();
    done(&mut desk);
    assert!(desk.state.transcript.turn.is_none());
    assert_eq!(shown(&desk), ["user", "answer", "summary", "user", "answer"]);
    for entry in &desk.state.transcript.entries[2..] {
        assert!(!drawn.contains(&(entry.key, entry.revision)), "what was drawn is not drawn for another");
    }
    let keys: Vec<u64> = desk.state.transcript.entries.iter().map(|entry| entry.key).collect();
    assert!(keys.is_sorted(), "{keys:?}");
    assert!(desk.said().contains("2 messages summarised"), "{}", desk.said());
    assert_eq!(desk.state.usage.spent().usage.input, Some(100), "it is counted");
    assert_eq!(desk.state.usage.rows().last().map(|row| row.turn), Some(0));
    // Chosen: enter unfolds it, e edits it, and it can be taken back.
    let key = desk.state.transcript.entries[2].key;
    desk.keys("<tab>");
    desk.state.transcript.selected = Some(key);
    desk.keys("<enter>");
    let EntryBody::Summary(open) = &desk.state.transcript.entries[2].body else { panic!() };
    assert!(open.open);
    desk.keys("e");
    let what = desk.effects.iter().find_map(|effect| match effect {
        Effect::Editor { what, text, .. } if text == "They spoke." => Some(what.clone()),
        _ => None,
    });
    desk.reply(Reply::EditorClosed { what: what.expect("no editor"), result: Ok("They wrote.\n".into()) });
    let Order::Summary { text, upto, .. } = desk.order() else { panic!("{:?}", desk.order()) };
    assert_eq!((text.as_deref(), upto.as_str()), (Some("They wrote."), "a1"));
    step(&mut desk, CompactionStep::Edited { upto: MessageId::new("a1"), text: "They wrote.".into() });
    let EntryBody::Summary(edited) = &desk.state.transcript.entries[2].body else { panic!() };
    assert!(edited.compaction.edited && edited.compaction.text == "They wrote.");
    desk.keys("<esc>/compact undo<enter>");
    let Order::Summary { text: None, .. } = desk.order() else { panic!("{:?}", desk.order()) };
    step(&mut desk, CompactionStep::Undone { upto: MessageId::new("a1") });
    assert_eq!(shown(&desk), ["user", "answer", "user", "answer"]);
    assert_eq!(desk.state.usage.spent().usage.input, Some(100), "it was paid for all the same");
}

#[test]
fn a_summary_that_fails_says_so_and_esc_stops_one() {
    let mut desk = spoken();
    desk.keys("/compact<enter>");
    let turn = desk.turn();
    desk.keys("<esc>");
    assert!(matches!(desk.order(), Order::CancelTurn { turn: stopped } if *stopped == turn));
    step(&mut desk, CompactionStep::Failed { turn, fault: Fault::new(FaultKind::Cancelled, "It was stopped.") });
    assert!(desk.state.transcript.turn.is_none());
    assert_eq!((desk.said(), shown(&desk)), ("It was stopped.", vec!["user", "answer", "user", "answer"]));
    desk.keys("/compact undo<enter>");
    assert_eq!(desk.said(), "there is no summary to take back");
}

#[test]
fn a_request_that_does_not_fit_offers_a_summary_and_asks_again() {
    let mut desk = spoken();
    let turn = desk.ask("three");
    desk.engine(TurnEvent::Error { turn: Some(turn), fault: Fault::new(FaultKind::Context, "It is too long.") });
    desk.ended(TurnStatus::Failed);
    assert_eq!(desk.state.transcript.open_fault().unwrap().choices, FaultChoices::Compact);
    desk.state.transcript.conversation = Some(conversation());
    desk.keys("c");
    assert!(matches!(desk.order(), Order::Compact { .. }), "{:?}", desk.order());
    let turn = desk.turn();
    step(&mut desk, CompactionStep::Failed { turn, fault: Fault::new(FaultKind::Usage, "Nothing to summarise.") });
    assert!(desk.state.transcript.open_fault().is_some(), "the choices are there again");
    desk.keys("c");
    done(&mut desk);
    assert!(matches!(desk.orders().last(), Some(Order::AskAgain { .. })), "{:?}", desk.orders());
    assert_eq!(shown(&desk), ["user", "answer", "summary", "user", "answer", "user"]);
}

#[test]
fn a_short_context_is_said_once_and_how_it_is_met() {
    for (mode, words) in [
        (CompactMode::Ask, "/compact summarises what is older"),
        (CompactMode::Auto, "before your next message leaves"),
        (CompactMode::Off, "/models has larger ones"),
    ] {
        let mut desk = desk();
        desk.state.session.context_window = Some(1_000);
        desk.state.session.settings.compact = CompactRules { mode, ..CompactRules::default() };
        let turn = desk.ask("hi");
        let usage = |input| crate::chat::Usage { input: Some(input), output: Some(0), ..Default::default() };
        desk.engine(TurnEvent::Usage { turn, round: 1, usage: usage(790) });
        assert_eq!(desk.said(), "");
        desk.engine(TurnEvent::Usage { turn, round: 2, usage: usage(950) });
        assert!(
            desk.said().starts_with("The context is 95 % full: ") && desk.said().contains(words),
            "{}",
            desk.said()
        );
        let said = desk.state.status.notices.len();
        desk.engine(TurnEvent::Usage { turn, round: 3, usage: usage(970) });
        assert_eq!(desk.state.status.notices.len(), said);
    }
}

#[test]
fn what_another_millrace_has_keeps_its_summaries() {
    let mut desk = spoken();
    desk.keys("/compact<enter>");
    done(&mut desk);
    let key = desk.state.transcript.entries[2].key;
    desk.state.transcript.open_elsewhere = true;
    desk.keys("/compact undo<enter>");
    assert!(desk.orders().is_empty(), "{:?}", desk.orders());
    assert_eq!(desk.said(), "this conversation is open in another millrace");
    desk.keys("<tab>");
    desk.state.transcript.selected = Some(key);
    desk.keys("e");
    assert!(!desk.effects.iter().any(|effect| matches!(effect, Effect::Editor { .. })), "{:?}", desk.effects);
    assert_eq!(shown(&desk), ["user", "answer", "summary", "user", "answer"]);
}

#[test]
fn a_question_that_waits_for_a_summary_is_a_draft_until_its_turn_has_it() {
    let drafts = |desk: &Desk| {
        let drafts = desk.effects.iter().filter_map(|effect| match effect {
            Effect::SaveDraft { conversation: Some(_), text } => Some(text.clone()),
            _ => None,
        });
        drafts.collect::<Vec<_>>()
    };
    let mut desk = spoken();
    desk.keys("three<enter>");
    assert_eq!(drafts(&desk), [""]);
    desk.effects.clear();
    let turn = desk.turn();
    step(&mut desk, CompactionStep::Began { turn, messages: 2 });
    assert_eq!(drafts(&desk), ["three"]);
    desk.keys("and four");
    let mut out = Vec::new();
    desk.state.keep_draft(&mut out);
    desk.effects = out;
    assert_eq!(drafts(&desk), ["three\n\nand four"]);
    step(&mut desk, CompactionStep::Done { turn, compaction: summary(), next: Some(MessageId::new("u2")) });
    desk.effects.clear();
    told(&mut desk, "u3", Body::User(vec![Part::text("three")]));
    assert_eq!(drafts(&desk), ["and four"]);
}
