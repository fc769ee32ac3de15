//! A conversation of another process, as it is followed.

use super::branching::{answer, conversation, user};
use super::*;

fn elsewhere(messages: Vec<Arc<Message>>) -> Box<Conversation> {
    Box::new(Conversation { open_elsewhere: true, ..*conversation(messages, Vec::new()) })
}

fn path() -> Vec<Arc<Message>> {
    vec![user("t1.0", None, "one"), answer("t1.1", "t1.0", "first")]
}

/// Loaded, with the number under which it is followed.
fn followed() -> (Desk, u64) {
    let mut desk = desk();
    let mut out = Vec::new();
    desk.state.load(*elsewhere(path()), &mut out);
    let generation = out.iter().find_map(|effect| match effect {
        Effect::Follow { generation, conversation } if conversation.as_str() == "c1" => Some(*generation),
        _ => None,
    });
    (desk, generation.expect("it is followed"))
}

fn step(desk: &mut Desk, generation: u64, step: FollowStep) {
    desk.effects.clear();
    desk.reply(Reply::Followed { generation, step: Box::new(step) });
}

fn texts(desk: &Desk) -> String {
    desk.state.transcript.entries.iter().map(Entry::text).collect::<Vec<_>>().join("|")
}

const TURN: TurnId = TurnId(1 << 62);

/// A turn of the other process, up to the middle of its answer.
fn answering() -> (Desk, u64) {
    let (mut desk, generation) = followed();
    let asked = [path(), vec![user("t2.0", Some("t1.1"), "two")]].concat();
    step(&mut desk, generation, FollowStep::Began { turn: TURN, conversation: elsewhere(asked) });
    let text = |text: &str| TurnEvent::Text { turn: TURN, round: 1, text: text.into() };
    step(&mut desk, generation, FollowStep::Events(vec![text("sec")]));
    step(&mut desk, generation, FollowStep::Events(vec![text("ond")]));
    (desk, generation)
}

#[test]
fn it_is_shown_as_it_grows_and_ours_once_nobody_has_it() {
    let (mut desk, generation) = answering();
    assert_eq!(texts(&desk), "one|first|two|second");
    assert!(desk.state.answered_elsewhere());
    desk.keys("mine<enter>");
    assert!(desk.orders().is_empty() && matches!(desk.state.overlays.last(), Some(Overlay::Confirm(_))));
    desk.now.mono_us += 1_000_000;
    desk.keys("n");
    assert_eq!(desk.text(), "mine", "what is being written stays");
    let whole = [path(), vec![user("t2.0", Some("t1.1"), "two"), answer("t2.1", "t2.0", "second")]].concat();
    let message = Arc::clone(&whole[3]);
    let ended = TurnEvent::Ended {
        turn: TURN,
        status: TurnStatus::Ok,
        text: "second".into(),
        rounds: 1,
        calls: 0,
        conversation: ConversationId::new("c1"),
    };
    step(&mut desk, generation, FollowStep::Events(vec![TurnEvent::Message { turn: TURN, message }, ended]));
    let keys: Vec<u64> = desk.state.transcript.entries.iter().map(|entry| entry.key).collect();
    step(&mut desk, generation, FollowStep::Settled(elsewhere(whole.clone())));
    assert_eq!(texts(&desk), "one|first|two|second");
    assert_eq!(desk.state.transcript.entries.iter().map(|entry| entry.key).collect::<Vec<_>>(), keys);
    assert!(!desk.state.answered_elsewhere() && desk.state.transcript.open_elsewhere);
    step(&mut desk, generation, FollowStep::Ours(conversation(whole, Vec::new())));
    assert!(!desk.state.transcript.open_elsewhere);
    desk.keys("<enter>");
    assert!(matches!(desk.order(), Order::Submit(submit) if submit.parts == [Part::text("mine")]));
    step(&mut desk, generation, FollowStep::Settled(elsewhere(path())));
    assert!(texts(&desk).ends_with("mine"), "what comes late is void");
}

#[test]
fn a_turn_of_another_process_is_stopped_only_by_a_yes() {
    let (mut desk, _) = answering();
    for answer in ["n", "y"] {
        desk.effects.clear();
        desk.keys("<esc>");
        assert!(matches!(desk.state.overlays.last(), Some(Overlay::Confirm(_))));
        desk.now.mono_us += 1_000_000;
        assert!(!desk.effects.iter().any(|effect| matches!(effect, Effect::StopElsewhere { .. })));
        desk.keys(answer);
    }
    assert!(matches!(&desk.effects[..], [.., Effect::StopElsewhere { conversation }] if conversation.as_str() == "c1"));
    assert!(desk.orders().is_empty(), "our own engine knows nothing of it");
    desk.effects.clear();
    desk.keys("<ctrl+c><ctrl+c>");
    assert!(desk.orders().is_empty() && desk.effects.iter().any(|effect| matches!(effect, Effect::Quit)));
}

#[test]
fn leaving_it_lets_go_of_it() {
    let (mut desk, generation) = answering();
    desk.effects.clear();
    desk.keys("/new<enter>");
    assert!(
        desk.effects.iter().any(|effect| matches!(effect, Effect::Unfollow { generation: of } if *of == generation))
    );
    assert!(desk.state.elsewhere.is_empty(), "its turn is not one of ours");
    step(&mut desk, generation, FollowStep::Settled(elsewhere(path())));
    assert!(desk.state.transcript.entries.is_empty());
}

#[test]
fn what_another_process_leaves_broken_can_go_on_here() {
    let (mut desk, generation) = answering();
    let broken = said_by(AnswerState::Interrupted);
    let mut kept = conversation([path(), vec![user("t2.0", Some("t1.1"), "two"), broken]].concat(), Vec::new());
    kept.summary.interrupted = true;
    step(&mut desk, generation, FollowStep::Ours(kept));
    assert_eq!(desk.state.transcript.open_fault().map(|fault| fault.choices), Some(FaultChoices::Cut));
    // While it is still there, its part of an answer is no broken one.
    let mut desk = super::desk();
    let path = [path(), vec![user("t2.0", Some("t1.1"), "two"), said_by(AnswerState::Partial)]].concat();
    desk.state.load(*elsewhere(path), &mut Vec::new());
    assert_eq!(texts(&desk), "one|first|two");
    desk.keys("/retry<enter>");
    assert!(desk.orders().is_empty() && desk.said().contains("another millrace"), "{}", desk.said());
}

fn said_by(state: AnswerState) -> Arc<Message> {
    let body = Body::Assistant(Answer { text: "sec".into(), state, ..Answer::default() });
    Arc::new(Message { id: MessageId::new("t2.1"), parent: Some(MessageId::new("t2.0")), at: 1, body })
}
