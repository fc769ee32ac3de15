//! Branches as the transcript tells of them.

use millrace::chat::Fork;

use super::*;

fn branched() -> State {
    let mut state = empty();
    let said = |id: &str, parent: Option<&str>, body: Body| {
        Arc::new(Message { id: MessageId::new(id), parent: parent.map(MessageId::new), at: NOW, body })
    };
    let answer = |text: &str| {
        let (text, model) = (text.to_owned(), "qwen3-32b".to_owned());
        Body::Assistant(Answer { text, model, state: AnswerState::Complete, ..Answer::default() })
    };
    let fork = |parent: Option<&str>, ids: &[&str]| Fork {
        parent: parent.map(MessageId::new),
        messages: ids.iter().map(MessageId::new).collect(),
    };
    let conversation = Conversation {
        summary: summary("retry-loop refactor", "qwen3-32b", 0, 7).summary,
        base_url: String::new(),
        system: None,
        messages: vec![
            said("u1", None, Body::User(vec![Part::text("Why does retry() spin?")])),
            said("a2", Some("u1"), answer("The deadline is never looked at.")),
            said("u2b", Some("a2"), Body::User(vec![Part::text("Fix it, and test the fix.")])),
            said("b1", Some("u2b"), answer("Done: two tests were added.")),
            said("u3", Some("b1"), Body::User(vec![Part::text("And the docs?")])),
        ],
        forks: vec![fork(Some("u1"), &["a1", "a2", "a3"]), fork(Some("a2"), &["u2", "u2b"]), fork(Some("u3"), &["c1"])],
        open_elsewhere: false,
        extra: serde_json::Value::Null,
    };
    let start = millrace::app::Start { conversation: Some(Box::new(conversation)), ..Default::default() };
    drop(millrace::app::start(&mut state, start));
    state
}

#[test]
fn branches_at_the_three_sizes() {
    let mut state = branched();
    let at = stamp(state.now.mono_us + SECOND);
    let tab = millrace::app::Key::parse("tab").unwrap();
    drop(update(&mut state, Stamped { at, body: Event::Key(tab) }));
    assert_snapshot!("branches-120x36", frame(&state, 120, 36));
    assert_snapshot!("branches-80x24", frame(&state, 80, 24));
    assert_snapshot!("branches-40x20", frame(&state, 40, 20));
}
