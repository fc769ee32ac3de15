//! A conversation as a tree, as a person walks it.

use super::browsing::summary;
use super::*;
use proptest::prelude::*;

fn press(desk: &mut Desk, key: &str) {
    desk.effects.clear();
    let key = Key::parse(key).unwrap_or_else(|| panic!("{key} is no key"));
    desk.event(Event::Key(key));
}

pub(super) fn user(id: &str, parent: Option<&str>, text: &str) -> Arc<Message> {
    said(id, parent, Body::User(vec![Part::text(text)]))
}

pub(super) fn answer(id: &str, parent: &str, text: &str) -> Arc<Message> {
    said(
        id,
        Some(parent),
        Body::Assistant(Answer { text: text.into(), state: AnswerState::Complete, ..Answer::default() }),
    )
}

fn said(id: &str, parent: Option<&str>, body: Body) -> Arc<Message> {
    Arc::new(Message { id: MessageId::new(id), parent: parent.map(MessageId::new), at: 1, body })
}

fn fork(parent: Option<&str>, messages: &[&str]) -> Fork {
    Fork { parent: parent.map(MessageId::new), messages: messages.iter().map(MessageId::new).collect() }
}

pub(super) fn conversation(messages: Vec<Arc<Message>>, forks: Vec<Fork>) -> Box<Conversation> {
    Box::new(Conversation {
        summary: summary("c1", "c1"),
        base_url: String::new(),
        system: None,
        messages,
        forks,
        open_elsewhere: false,
        extra: serde_json::Value::Null,
    })
}

/// Two questions; the second was edited once, and its first form answered twice.
fn opened() -> Desk {
    let mut desk = desk();
    let path = vec![
        user("u1", None, "one"),
        answer("a1", "u1", "first"),
        user("u2b", Some("a1"), "two, edited"),
        answer("b1", "u2b", "second"),
    ];
    let forks = vec![fork(Some("a1"), &["u2", "u2b"]), fork(Some("u2"), &["a2", "a3"])];
    desk.keys("<ctrl+r>");
    desk.state.overlays.clear();
    desk.state.load(*conversation(path, forks), &mut Vec::new());
    desk
}

fn text_of(desk: &Desk) -> String {
    desk.state.transcript.entries.iter().map(Entry::text).collect::<Vec<_>>().join("|")
}

fn places(desk: &Desk) -> Vec<Siblings> {
    desk.state.transcript.entries.iter().map(|entry| desk.state.siblings(entry)).collect()
}

/// The other branch comes from the store.
fn walked(desk: &mut Desk) {
    let Some(Effect::Walk { generation, message, .. }) = desk.effects.last().cloned() else {
        panic!("{:?}", desk.effects)
    };
    assert_eq!(message, MessageId::new("u2"));
    let path = vec![
        user("u1", None, "one"),
        answer("a1", "u1", "first"),
        user("u2", Some("a1"), "two"),
        answer("a3", "u2", "other"),
    ];
    let forks = vec![fork(Some("a1"), &["u2", "u2b"]), fork(Some("u2"), &["a2", "a3"])];
    desk.effects.clear();
    desk.reply(Reply::Walked { generation, message, conversation: conversation(path, forks) });
}

#[test]
fn siblings_are_told_and_walked_by_two_keys() {
    let mut desk = opened();
    let second = Siblings::Among { place: 2, of: 2 };
    assert_eq!(places(&desk), [Siblings::Alone, Siblings::Alone, second, Siblings::Alone]);
    desk.keys("half a draft<tab>");
    let kept: Vec<u64> = desk.state.transcript.entries.iter().map(|entry| entry.key).collect();
    press(&mut desk, ">");
    assert_eq!(desk.said(), "this is the last of 2 branches");
    press(&mut desk, "<");
    walked(&mut desk);
    assert_eq!(text_of(&desk), "one|first|two|other");
    assert_eq!(places(&desk)[2..], [Siblings::Among { place: 1, of: 2 }, second]);
    let path: Vec<MessageId> = ["u1", "a1", "u2", "a3"].iter().map(MessageId::new).collect();
    assert!(matches!(desk.order(), Order::Branch { path: told, .. } if *told == path));
    assert_eq!(desk.text(), "half a draft", "what is being written stays");
    let keys: Vec<u64> = desk.state.transcript.entries.iter().map(|entry| entry.key).collect();
    assert_eq!(keys[..2], kept[..2], "what both have stays as it is");
    assert_eq!(desk.state.transcript.selected, Some(keys[2]), "the message that was walked to is chosen");
    press(&mut desk, "<");
    assert_eq!(desk.said(), "this is the first of 2 branches");
}

#[test]
fn a_summary_stands_on_the_branches_that_go_through_what_it_stands_for() {
    let one = |upto: &str, text: &str| Compaction {
        upto: MessageId::new(upto),
        messages: 2,
        text: text.into(),
        ..Compaction::default()
    };
    let path = |ids: [&str; 2]| {
        vec![
            user("u1", None, "one"),
            answer("a1", "u1", &"long ".repeat(1_000)),
            user(ids[0], Some("a1"), ids[0]),
            answer(ids[1], ids[0], ids[1]),
        ]
    };
    let kept = |ids: [&str; 2]| {
        let forks = vec![fork(Some("a1"), &["u2", "u2b"])];
        let all = [one("a1", "of both"), one("a2", "of the older"), one("b1", "of the newer")];
        let extra = serde_json::json!({ "compactions": all });
        Box::new(Conversation { extra, ..*conversation(path(ids), forks) })
    };
    let summaries = |desk: &Desk| {
        let rows = desk.state.transcript.entries.iter().filter_map(|entry| match &entry.body {
            EntryBody::Summary(summary) => Some(summary.compaction.text.clone()),
            _ => None,
        });
        rows.collect::<Vec<_>>()
    };
    let mut desk = desk();
    desk.state.load(*kept(["u2b", "b1"]), &mut Vec::new());
    assert_eq!(summaries(&desk), ["of both", "of the newer"]);
    assert_eq!(desk.state.status.left_out.summarised, 4);
    desk.keys("<tab>");
    press(&mut desk, "<");
    let Some(Effect::Walk { generation, message, .. }) = desk.effects.last().cloned() else { panic!() };
    desk.reply(Reply::Walked { generation, message, conversation: kept(["u2", "a2"]) });
    assert_eq!(summaries(&desk), ["of both", "of the older"]);
    let context = desk.state.status.context.unwrap();
    assert!(context.estimated && context.tokens < 200, "what is left out is not counted: {context:?}");
}

#[test]
fn the_footer_names_the_keys_only_where_they_work() {
    let named = |desk: &Desk| desk.state.hints().iter().any(|hint| hint.label == "branch");
    let mut desk = opened();
    assert!(!named(&desk), "in the composer they type");
    desk.keys("<tab>");
    assert!(named(&desk));
    desk.keys("[[[[");
    assert!(!named(&desk), "nothing at or above the first message branches");
    press(&mut desk, "<");
    assert_eq!(desk.said(), "there is no other branch here: e edits a message, R answers again");
    desk.keys("<esc>more<enter><tab>");
    assert!(!named(&desk), "not while an answer comes");
    press(&mut desk, "<");
    assert_eq!(desk.said(), "an answer is still coming on this branch: esc stops it");
    assert!(desk.orders().is_empty());
}

#[test]
fn a_branch_that_comes_too_late_is_ignored() {
    let mut desk = opened();
    desk.keys("<tab>");
    press(&mut desk, "<");
    let Some(Effect::Walk { generation, message, .. }) = desk.effects.last().cloned() else { panic!() };
    desk.keys("<esc>go on<enter>");
    let path = vec![user("u1", None, "one"), answer("a1", "u1", "first"), user("u2", Some("a1"), "two")];
    desk.effects.clear();
    desk.reply(Reply::Walked { generation, message, conversation: conversation(path, Vec::new()) });
    assert!(desk.orders().is_empty());
    assert!(text_of(&desk).ends_with("go on"));
}

#[test]
fn slash_commands_walk_too_and_leave_the_focus_in_the_text() {
    let mut desk = opened();
    desk.keys("/branch previous<enter>");
    walked(&mut desk);
    assert_eq!(text_of(&desk), "one|first|two|other");
    assert_eq!((desk.state.focus, desk.state.transcript.selected), (Focus::Composer, None));
    desk.keys("/branch sideways<enter>");
    assert_eq!(desk.said(), "/branch next and /branch previous go to another branch; /branch alone begins one");
}

#[test]
fn an_edit_in_hand_goes_on_where_its_place_is_still_shown() {
    let mut desk = opened();
    desk.keys("<tab>e!");
    assert_eq!(desk.text(), "two, edited!");
    desk.keys("<tab>");
    press(&mut desk, "<");
    walked(&mut desk);
    desk.keys("<esc><enter>");
    assert!(matches!(desk.order(), Order::Submit(submit) if submit.parent == Parent::Message(MessageId::new("a1"))));
    assert_eq!(text_of(&desk), "one|first|two, edited!");
}

#[test]
fn any_question_is_answered_again_and_by_another_model_once() {
    let mut desk = opened();
    desk.keys("<tab>[[[R");
    assert!(matches!(desk.order(), Order::AskAgain { question: Some(id), .. } if id.as_str() == "u1"));
    assert_eq!(text_of(&desk), "one");
    let mut desk = opened();
    desk.keys("/again gpt-x<enter>");
    let Order::AskAgain { question: Some(id), settings, .. } = desk.order() else { panic!("{:?}", desk.orders()) };
    assert_eq!((id.as_str(), settings.model.as_str()), ("u2b", "gpt-x"));
    assert_eq!(desk.state.session.settings.model, "qwen3-32b", "the next message goes to the model in use");
    let mut desk = opened();
    desk.keys("<tab>M");
    let Some(Overlay::Models(models)) = desk.state.overlays.last() else { panic!() };
    assert_eq!(models.then, Then::AnswerAgain);
    desk.keys("phi-9<enter>");
    assert!(matches!(desk.order(), Order::AskAgain { settings, .. } if settings.model == "phi-9"));
}

/// An engine that answers at once, keeps nothing on a disk, and calls nothing.
struct Answering {
    desk: Desk,
    next: u32,
    path: Vec<Arc<Message>>,
    all: Vec<MessageId>,
}

impl Answering {
    fn new() -> Self {
        let mut desk = desk();
        desk.state.status.saved = Saved::Off;
        Self { desk, next: 0, path: Vec::new(), all: Vec::new() }
    }

    fn id(&mut self) -> String {
        self.next += 1;
        format!("m{}", self.next)
    }

    /// Does what was ordered, as the engine would.
    fn obey(&mut self) {
        for order in self.desk.orders().into_iter().cloned().collect::<Vec<_>>() {
            match order {
                Order::Submit(submit) => {
                    let keep = match &submit.parent {
                        Parent::Newest => self.path.len(),
                        Parent::Root => 0,
                        Parent::Message(id) => self.path.iter().position(|m| m.id == *id).map_or(0, |at| at + 1),
                    };
                    self.path.truncate(keep);
                    self.begin(submit.turn);
                    self.tell(submit.turn, Body::User(submit.parts.clone()));
                    self.end(submit.turn);
                }
                Order::AskAgain { turn, question, .. } => {
                    let at = self.path.iter().rposition(|m| question.as_ref().is_none_or(|id| m.id == *id));
                    self.path.truncate(at.map_or(0, |at| at + 1));
                    self.begin(turn);
                    self.end(turn);
                }
                Order::Branch { path, .. } => {
                    let known = &self.desk.state.transcript;
                    assert_eq!(known.entries.iter().filter_map(|e| e.message.clone()).collect::<Vec<_>>(), path);
                    assert!(path.iter().all(|id| self.all.contains(id)), "what is walked to was said");
                    self.path = path.iter().map(|id| self.kept(id)).collect();
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn kept(&self, id: &MessageId) -> Arc<Message> {
        self.desk.state.transcript.branches.whole(id).unwrap_or_else(|| panic!("{id:?} is lost"))
    }

    fn begin(&mut self, turn: TurnId) {
        let (conversation, base_url) = (ConversationId::new("c1"), String::new());
        self.desk.engine(TurnEvent::Started { turn, conversation, model: "m".into(), base_url, api: "chat" });
    }

    fn tell(&mut self, turn: TurnId, body: Body) {
        let id = self.id();
        let message = said(&id, self.path.last().map(|m| m.id.as_str()), body);
        self.all.push(message.id.clone());
        self.path.push(Arc::clone(&message));
        self.desk.engine(TurnEvent::Message { turn, message });
    }

    fn end(&mut self, turn: TurnId) {
        let text = format!("answer {}", self.next);
        self.tell(turn, Body::Assistant(Answer { text, state: AnswerState::Complete, ..Answer::default() }));
        self.desk.ended(TurnStatus::Ok);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_edited_answered_branched_and_walked_all_of_it_stays(deeds in proptest::collection::vec((0_u8..6, 0_u8..6), 1..30)) {
        let mut it = Answering::new();
        it.desk.keys("hi<enter>");
        it.obey();
        for (deed, steps) in deeds {
            it.desk.keys("<esc><tab>");
            for _ in 0..steps {
                it.desk.keys("[");
            }
            match deed {
                0 => drop(it.desk.keys("<esc>more<enter>")),
                1 => drop(it.desk.keys("ex<enter>")),
                2 if steps > 0 => drop(it.desk.keys("Bso<enter>")),
                3 => drop(it.desk.keys("R")),
                4 => press(&mut it.desk, "<"),
                _ => press(&mut it.desk, ">"),
            }
            it.obey();
            let shown: Vec<MessageId> = it.desk.state.transcript.entries.iter().filter_map(|e| e.message.clone()).collect();
            let path: Vec<MessageId> = it.path.iter().map(|message| message.id.clone()).collect();
            prop_assert_eq!(shown, path.clone(), "what is shown is what is answered");
            let mut before = None;
            for message in &it.path {
                prop_assert_eq!(&message.parent, &before);
                before = Some(message.id.clone());
            }
            for id in &it.all {
                it.kept(id);
            }
            let (order, state) = (&it.all, &it.desk.state);
            for (at, entry) in state.transcript.entries.iter().enumerate() {
                let above = at.checked_sub(1).map(|at| path[at].clone());
                let of = order.iter().filter(|id| it.kept(id).parent == above).count();
                let told = match state.siblings(entry) {
                    Siblings::Among { of, .. } => of,
                    Siblings::Alone | Siblings::Hidden(_) => 1,
                };
                prop_assert_eq!(of, told, "each message tells how many stand beside it");
            }
        }
    }
}

/// The browser with one conversation that was found at a message.
fn found(message: &str) -> Desk {
    let mut desk = desk();
    desk.keys("<ctrl+r>");
    let generation = desk.effects.iter().rev().find_map(|effect| match effect {
        Effect::Search { generation, .. } => Some(*generation),
        _ => None,
    });
    let (summary, message) = (summary("c1", "c1"), MessageId::new(message));
    let hit = Hit { summary: summary.clone(), message, snippet: "x".into(), marks: Vec::new(), matches: 1 };
    let rows = vec![HistoryRow { summary, hit: Some(hit), draft: 0 }];
    let generation = generation.unwrap();
    desk.reply(Reply::Page(HistoryPage { generation, offset: 0, rows, total: 1, took_us: 9, fault: None }));
    desk.keys("<enter>");
    desk
}

fn anchored(desk: &Desk) -> Option<MessageId> {
    let Scroll::Anchored(anchor) = desk.state.transcript.scroll else { return None };
    desk.state.transcript.entry(anchor.key)?.message.clone()
}

#[test]
fn what_was_found_is_opened_where_it_stands_on_whatever_branch() {
    let told = |id: &str, parent: &str| {
        let outcome = Arc::new(crate::chat::ToolOutcome::unsent(crate::chat::OutcomeKind::Done, "x"));
        said(id, Some(parent), Body::Tool(crate::chat::ToolMessage { call: CallId::new(id), outcome }))
    };
    let path =
        || vec![user("u1", None, "one"), answer("a1", "u1", "first"), told("t1", "a1"), answer("a2", "t1", "two")];
    let mut desk = found("t1");
    let Some(Effect::Open { generation, at, .. }) = desk.effects.last().cloned() else { panic!("{:?}", desk.effects) };
    assert_eq!(at, Some(MessageId::new("t1")), "the store turns to its branch");
    desk.reply(Reply::Opened { generation, result: Ok(conversation(path(), Vec::new())) });
    assert_eq!(anchored(&desk), Some(MessageId::new("a1")), "an outcome stands with the answer that called");
    assert_eq!((desk.state.focus, desk.state.transcript.selected), (Focus::Composer, None));
    // It could not be turned to.
    let mut desk = found("elsewhere");
    let Some(Effect::Open { generation, .. }) = desk.effects.last().cloned() else { panic!() };
    desk.reply(Reply::Opened { generation, result: Ok(conversation(path(), Vec::new())) });
    assert_eq!(desk.said(), "what was found is not on this branch: it is gone");
    assert_eq!(desk.state.transcript.scroll, Scroll::Follow);
    // The conversation that is on the screen already.
    let mut desk = opened();
    desk.state.status.saved = Saved::At(1);
    desk.state.open_at(ConversationId::new("c1"), Some(MessageId::new("a1")), &mut desk.effects);
    assert_eq!(anchored(&desk), Some(MessageId::new("a1")));
    desk.state.open_at(ConversationId::new("c1"), Some(MessageId::new("u2")), &mut desk.effects);
    walked(&mut desk);
    assert_eq!(text_of(&desk), "one|first|two|other");
}

#[test]
fn an_edited_message_keeps_what_it_attached() {
    let mut desk = desk();
    let file = Part::File { name: "src/a.rs".into(), text: "fn a() {}".into() };
    let parts = vec![Part::text("look at @src/a.rs"), file.clone()];
    let path = vec![said("u1", None, Body::User(parts.clone())), answer("a1", "u1", "first")];
    desk.state.load(*conversation(path, Vec::new()), &mut Vec::new());
    desk.keys("<tab>e");
    assert_eq!(desk.text(), "look at @src/a.rs");
    desk.keys(" again<enter>");
    let Order::Submit(submit) = desk.order() else { panic!("{:?}", desk.orders()) };
    assert_eq!(submit.parts, [Part::text("look at @src/a.rs again"), file]);
}

#[test]
fn the_engine_is_told_what_is_shown_wherever_it_was_read() {
    let path = || vec![user("u1", None, "one"), answer("a1", "u1", "first")];
    let told = |desk: &Desk| {
        let Order::Branch { conversation, path } = desk.order() else { panic!("{:?}", desk.order()) };
        assert_eq!((conversation.as_str(), path.as_slice()), ("c1", &["u1", "a1"].map(MessageId::new)[..]));
    };
    // A search hit, and a conversation of the list that another process may have gone on with.
    for at in [Some(MessageId::new("u1")), None] {
        let mut desk = desk();
        desk.state.open_at(ConversationId::new("c1"), at, &mut desk.effects);
        let Some(Effect::Open { generation, .. }) = desk.effects.last().cloned() else { panic!("{:?}", desk.effects) };
        desk.effects.clear();
        desk.reply(Reply::Opened { generation, result: Ok(conversation(path(), Vec::new())) });
        told(&desk);
    }
    // One that was followed and is ours now.
    let mut desk = desk();
    let mut out = Vec::new();
    desk.state.load(Conversation { open_elsewhere: true, ..*conversation(Vec::new(), Vec::new()) }, &mut out);
    let generation = out.iter().find_map(|effect| match effect {
        Effect::Follow { generation, .. } => Some(*generation),
        _ => None,
    });
    desk.effects.clear();
    let step = Box::new(FollowStep::Ours(conversation(path(), Vec::new())));
    desk.reply(Reply::Followed { generation: generation.unwrap(), step });
    told(&desk);
}
