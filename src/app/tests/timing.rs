//! The timeline: the turn that is watched, and those that only the store knows.

use super::*;

fn view(desk: &Desk) -> &Timeline {
    match desk.state.overlays.last() {
        Some(Overlay::Timeline(view)) => view,
        other => panic!("{other:?}"),
    }
}

fn turn(number: u32, of: u32) -> Option<Box<StoredTurn>> {
    let call = CallTimes {
        call: CallId::new(format!("old{number}")),
        round: 1,
        index: 0,
        wire_name: "fs__read".into(),
        tool: None,
        arguments_bytes: 2,
        closed_by: Some(ClosedBy::Brace),
        outcome: Some(OutcomeKind::Done),
        detail: String::new(),
        opened: 1,
        closed: Some(2),
        asked: None,
        approved: None,
        sent: Some(2),
        answered: Some(3),
        result_bytes: 1,
        told_bytes: 1,
    };
    let rounds = vec![RoundTimes { round: 1, ended: Some(2), ..RoundTimes::default() }];
    let times = TurnTimes { rounds, calls: vec![call], ..TurnTimes::default() };
    Some(Box::new(StoredTurn { number, of, status: Some("ok".into()), times }))
}

/// The question that the last keys have put to the store.
fn asked(desk: &Desk) -> (u64, Option<u32>) {
    let asked = desk.effects.iter().find_map(|effect| match effect {
        Effect::Turn { generation, turn, .. } => Some((*generation, *turn)),
        _ => None,
    });
    asked.unwrap_or_else(|| panic!("{:?}", desk.effects))
}

#[test]
fn earlier_turns_are_read_and_the_watched_one_is_found_again() {
    let mut desk = desk();
    desk.ask("hi");
    desk.call("a", CallState::Running);
    desk.ended(TurnStatus::Ok);
    desk.keys("<ctrl+p>timel<enter>");
    let (generation, wanted) = asked(&desk);
    assert_eq!(wanted, None);
    desk.reply(Reply::Turn { generation, turn: turn(3, 3) });
    assert_eq!((view(&desk).place, view(&desk).past.is_none()), (Some((3, 3)), true));
    desk.keys("]");
    assert_eq!(desk.said(), "this is the last turn");
    desk.keys("[");
    let (generation, wanted) = asked(&desk);
    assert_eq!(wanted, Some(2));
    // An answer that nobody waits for any more changes nothing.
    desk.reply(Reply::Turn { generation: generation + 7, turn: turn(1, 3) });
    assert!(view(&desk).past.is_none());
    desk.reply(Reply::Turn { generation, turn: turn(2, 3) });
    assert_eq!(view(&desk).selected, Some(CallId::new("old2")));
    desk.keys("e");
    let saved = desk.effects.iter().find_map(|effect| match effect {
        Effect::SaveText { name, extension, text, .. } => Some((name.clone(), *extension, text.clone())),
        _ => None,
    });
    let (name, extension, text) = saved.unwrap();
    assert_eq!((name.as_str(), extension), ("timeline-turn-2", "json"));
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((json["turn"].as_u64(), json["calls"][0]["closed"].as_f64()), (Some(2), Some(0.002)));
    desk.keys("]");
    assert_eq!((view(&desk).place, view(&desk).selected.clone()), (Some((3, 3)), Some(CallId::new("a"))));
}

#[test]
fn a_conversation_that_was_not_watched_is_drawn_from_the_store() {
    let mut desk = desk();
    desk.state.transcript.conversation = Some(ConversationId::new("c1"));
    desk.keys("<ctrl+p>timel<enter>");
    let (generation, _) = asked(&desk);
    desk.reply(Reply::Turn { generation, turn: turn(2, 2) });
    assert_eq!(view(&desk).times(&desk.state).unwrap().calls.len(), 1);
    desk.keys("[");
    assert_eq!(asked(&desk).1, Some(1));
}

#[test]
fn what_was_said_before_a_screen_of_its_own_is_not_said_over_it() {
    let mut desk = desk();
    desk.keys("/nosuch<enter>");
    assert!(desk.said().contains("/nosuch"));
    desk.keys("<ctrl+u><f1>");
    assert_eq!(desk.said(), "");
}
