//! A conversation as a tree: branches are added, walked and never lost.

use std::collections::{BTreeMap, BTreeSet};

use millrace::chat::Fork;

use super::*;

fn shown(store: &Store) -> Conversation {
    block(store.open_conversation(&id("c"))).unwrap()
}

fn names(conversation: &Conversation) -> Vec<&str> {
    conversation.messages.iter().map(|message| message.id.as_str()).collect()
}

fn write(store: &Store, changes: Vec<Change>) {
    block(store.apply(changes, Durability::Written)).unwrap();
}

fn said(name: &str, parent: Option<&str>) -> Change {
    message("c", name, parent, 1_000, Body::Assistant(Answer { text: name.into(), ..complete() }))
}

fn complete() -> Answer {
    Answer { state: AnswerState::Complete, ..Answer::default() }
}

#[test]
fn where_it_branches_is_known_without_reading_the_branches() {
    let store = Store::temporary().unwrap();
    write(&store, vec![begin("c", 1), user("c", "u1", None, "hi"), said("a1", Some("u1")), said("a2", Some("u1"))]);
    write(&store, vec![user("c", "u2", Some("a2"), "more"), said("a3", Some("u2")), user("c", "v1", None, "hello")]);
    let opened = shown(&store);
    assert_eq!(names(&opened), ["v1"]);
    let fork = |parent: Option<&str>, messages: &[&str]| Fork {
        parent: parent.map(MessageId::new),
        messages: messages.iter().map(MessageId::new).collect(),
    };
    assert_eq!(opened.forks, [fork(None, &["u1", "v1"]), fork(Some("u1"), &["a1", "a2"])]);
    block(store.show_branch(&id("c"), &MessageId::new("u1"))).unwrap();
    assert_eq!(names(&shown(&store)), ["u1", "a2", "u2", "a3"], "down to the newest message");
    block(store.show_branch(&id("c"), &MessageId::new("a1"))).unwrap();
    assert_eq!(names(&shown(&store)), ["u1", "a1"]);
    assert!(block(store.show_branch(&id("c"), &MessageId::new("nobody"))).is_err());
    assert_eq!(names(&shown(&store)), ["u1", "a1"]);
}

#[test]
fn what_follows_a_head_in_the_middle_is_told() {
    let store = Store::temporary().unwrap();
    write(&store, vec![begin("c", 1), user("c", "u1", None, "hi"), said("a1", Some("u1"))]);
    block(store.set_head(&id("c"), &MessageId::new("u1"))).unwrap();
    let opened = shown(&store);
    assert_eq!(names(&opened), ["u1"]);
    assert_eq!(opened.forks.len(), 1);
    assert_eq!(opened.forks[0].messages, [MessageId::new("a1")]);
}

#[test]
fn a_second_answer_stands_beside_the_first_from_its_first_word_on() {
    let store = Store::temporary().unwrap();
    write(&store, vec![begin("c", 1), user("c", "u1", None, "hi"), said("a1", Some("u1"))]);
    let armed = Change::RoundArmed {
        turn: MessageId::new("t2"),
        round: 1,
        answer: MessageId::new("a2"),
        parent: Some(MessageId::new("u1")),
        tools: 0,
        tools_hash: String::new(),
    };
    write(&store, vec![turn("c", "t2"), armed]);
    assert_eq!(names(&shown(&store)), ["u1", "a1"], "as long as nothing came, the first stands");
    let partial = Box::new(Answer { text: "wor".into(), ..Answer::default() });
    write(&store, vec![Change::AnswerText { message: MessageId::new("a2"), answer: partial }]);
    assert_eq!(names(&shown(&store)), ["u1", "a2"]);
}

#[test]
fn a_list_tells_of_the_branch_that_is_shown() {
    let store = Store::temporary().unwrap();
    write(&store, vec![begin("c", 1), user("c", "u1", None, "hi"), said("a1", Some("u1"))]);
    let broken = Answer { text: "half".into(), state: AnswerState::Interrupted, ..Answer::default() };
    write(&store, vec![message("c", "a2", Some("u1"), 2, Body::Assistant(broken))]);
    assert!(shown(&store).summary.interrupted);
    block(store.show_branch(&id("c"), &MessageId::new("a1"))).unwrap();
    assert!(!shown(&store).summary.interrupted);
    block(store.show_branch(&id("c"), &MessageId::new("a2"))).unwrap();
    assert!(shown(&store).summary.interrupted);
}

/// What a person can do with a conversation; numbers choose among what there is.
#[derive(Clone, Debug)]
enum Deed {
    /// A message at the end, or below any message of the shown path (an edit, a branch).
    Say(Option<usize>),
    /// The shown question at this place is answered once more, with so many calls.
    Again(usize, usize),
    /// To any message of any branch.
    Walk(usize),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        proptest::option::of(0_usize..40).prop_map(Deed::Say),
        (0_usize..40, 0_usize..3).prop_map(|(at, calls)| Deed::Again(at, calls)),
        (0_usize..80).prop_map(Deed::Walk),
    ];
    proptest::collection::vec(deed, 1..24)
}

/// An answer with its calls and their outcomes, below a message.
fn answered(name: &str, parent: &str, calls: usize) -> Vec<Change> {
    let made: Vec<ToolCall> = (0..calls)
        .map(|at| ToolCall {
            id: CallId::new(format!("{name}-c{at}")),
            wire_id: None,
            index: at as u32,
            wire_name: "fs__read".into(),
            tool: Some(ToolRef::new("fs", "read")),
            arguments: "{}".into(),
            extra: Default::default(),
        })
        .collect();
    let body = Body::Assistant(Answer { text: name.into(), calls: made, ..complete() });
    let mut changes = vec![message("c", name, Some(parent), 1_000, body)];
    let mut last = name.to_owned();
    for at in 0..calls {
        let outcome = Arc::new(ToolOutcome::unsent(OutcomeKind::Done, "ok"));
        let tool = format!("{name}-t{at}");
        changes.push(message("c", &tool, Some(&last), 1_000, told(&format!("{name}-c{at}"), outcome)));
        last = tool;
    }
    changes
}

/// Every call is answered right behind its answer, and every message stands on the one before it.
fn assert_valid(conversation: &Conversation) {
    let mut owed: BTreeSet<CallId> = BTreeSet::new();
    let mut before: Option<&MessageId> = None;
    for message in &conversation.messages {
        assert_eq!(message.parent.as_ref(), before);
        before = Some(&message.id);
        match &message.body {
            Body::Tool(tool) => assert!(owed.remove(&tool.call), "an outcome without its call"),
            Body::User(_) | Body::Assistant(_) => assert!(owed.is_empty(), "{owed:?} are not answered"),
        }
        if let Body::Assistant(answer) = &message.body {
            owed.extend(answer.calls.iter().map(|call| call.id.clone()));
        }
    }
    assert!(owed.is_empty(), "{owed:?} are not answered");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_overwritten_whatever_is_edited_answered_and_walked(deeds in deeds()) {
        let store = Store::temporary().unwrap();
        write(&store, vec![begin("c", 1)]);
        let mut all: BTreeMap<String, Option<String>> = BTreeMap::new();
        for (n, deed) in deeds.into_iter().enumerate() {
            let path: Vec<Arc<Message>> = shown(&store).messages;
            match deed {
                Deed::Say(at) => {
                    // Where the engine branches: behind the outcomes of the message's calls.
                    let at = at.filter(|_| !path.is_empty()).map(|at| at % (path.len() + 1));
                    let mut keep = at.unwrap_or(path.len());
                    while keep > 0 && path.get(keep).is_some_and(|m| matches!(m.body, Body::Tool(_))) {
                        keep += 1;
                    }
                    let parent = keep.checked_sub(1).map(|at| path[at].id.as_str().to_owned());
                    let (question, answer) = (format!("u{n}"), format!("a{n}"));
                    let mut changes = vec![user("c", &question, parent.as_deref(), "hm")];
                    changes.extend(answered(&answer, &question, n % 3));
                    all.insert(question, parent);
                    write(&store, changes);
                }
                Deed::Again(at, calls) => {
                    let asked: Vec<_> = path.iter().filter(|m| matches!(m.body, Body::User(_))).collect();
                    if !asked.is_empty() {
                        let question = asked[at % asked.len()].id.as_str();
                        write(&store, answered(&format!("a{n}"), question, calls));
                    }
                }
                Deed::Walk(to) => {
                    let places: Vec<&String> = all.keys().collect();
                    if !places.is_empty() {
                        let to = MessageId::new(places[to % places.len()]);
                        block(store.show_branch(&id("c"), &to)).unwrap();
                        let opened = shown(&store);
                        prop_assert!(opened.messages.iter().any(|message| message.id == to));
                        // A head is a last message: nothing of the branch is left out.
                        let head = opened.messages.last().map(|message| message.id.clone());
                        prop_assert!(opened.forks.iter().all(|fork| fork.parent != head));
                    }
                }
            }
            assert_valid(&shown(&store));
            // All that was ever said stands where it stood.
            let places: Vec<(String, Option<String>)> = all.iter().map(|(a, b)| (a.clone(), b.clone())).collect();
            let head = shown(&store).messages.last().map(|message| message.id.clone());
            for (message, parent) in places.iter().step_by(5) {
                block(store.show_branch(&id("c"), &MessageId::new(message))).unwrap();
                let opened = shown(&store);
                let found = opened.messages.iter().find(|one| one.id.as_str() == message);
                prop_assert!(found.is_some(), "{message} is gone");
                let stands = found.and_then(|one| one.parent.as_ref().map(|id| id.as_str().to_owned()));
                prop_assert_eq!(&stands, parent);
            }
            if let Some(head) = head {
                block(store.set_head(&id("c"), &head)).unwrap();
            }
        }
    }
}
