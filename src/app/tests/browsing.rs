//! The browser, and opening conversations.

use super::*;

pub(super) fn summary(id: &str, title: &str) -> Summary {
    Summary {
        id: ConversationId::new(id),
        title: title.into(),
        folder: "/src".into(),
        model: "m".into(),
        created: 1,
        updated: 2,
        messages: 2,
        calls: 0,
        failed_calls: 0,
        tokens: None,
        pinned: false,
        interrupted: false,
    }
}

fn searched(desk: &Desk) -> (u64, String) {
    let found = desk.effects.iter().rev().find_map(|effect| match effect {
        Effect::Search { generation, query, .. } => Some((*generation, query.clone())),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{:?}", desk.effects))
}

fn page(desk: &mut Desk, generation: u64, titles: &[&str]) {
    let rows: Vec<_> =
        titles.iter().map(|title| HistoryRow { summary: summary(title, title), hit: None, draft: 0 }).collect();
    let total = rows.len();
    desk.reply(Reply::Page(HistoryPage { generation, offset: 0, rows, total, took_us: 9, fault: None }));
}

fn browser(desk: &Desk) -> &Browser {
    match desk.state.overlays.first() {
        Some(Overlay::Browser(browser)) => browser,
        other => panic!("{other:?}"),
    }
}

fn opened() -> Desk {
    let mut desk = desk();
    desk.keys("<ctrl+r>");
    let (generation, query) = searched(&desk);
    assert_eq!(query, "");
    page(&mut desk, generation, &["one", "two", "three"]);
    desk
}

#[test]
fn a_search_waits_until_the_field_rests_and_late_pages_are_ignored() {
    let mut desk = opened();
    desk.keys("re");
    let timers: Vec<_> = desk
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::SetTimer { timer: timer @ Timer::Search(_), after_ms: 80 } => Some(*timer),
            _ => None,
        })
        .collect();
    assert_eq!(timers.len(), 2);
    desk.effects.clear();
    desk.event(Event::Timer(timers[0]));
    assert!(desk.effects.is_empty(), "the first was overtaken");
    desk.event(Event::Timer(timers[1]));
    let (generation, query) = searched(&desk);
    assert_eq!(query, "re");
    page(&mut desk, generation - 1, &["stale"]);
    assert_eq!(browser(&desk).rows.len(), 3);
    page(&mut desk, generation, &["retry"]);
    assert_eq!(browser(&desk).rows.len(), 1);
}

#[test]
fn letters_type_in_the_field_and_act_on_the_list() {
    let mut desk = opened();
    desk.keys("dp");
    assert_eq!(browser(&desk).search.text, "dp");
    desk.keys("<ctrl+u><down>p");
    assert!(matches!(&desk.effects[..], [.., Effect::Pin { pinned: true, .. }]));
    desk.keys("j");
    assert!(matches!(&desk.effects[..], [Effect::Preview { conversation, .. }] if conversation.as_str() == "two"));
    desk.keys("d");
    assert!(
        matches!(&desk.effects[..], [Effect::Delete { conversations, for_good: false }] if conversations[..] == [ConversationId::new("two")])
    );
    desk.reply(Reply::Deleted {
        conversations: vec![ConversationId::new("two")],
        for_good: false,
        result: Ok(Vec::new()),
    });
    assert_eq!(browser(&desk).rows.len(), 2);
    // What is chosen now is shown.
    let chosen = browser(&desk).rows[browser(&desk).selected].summary.id.clone();
    assert!(
        matches!(&desk.effects[..], [.., Effect::Preview { conversation, .. }, _] | [.., Effect::Preview { conversation, .. }] if *conversation == chosen)
    );
    desk.keys("u");
    assert!(
        matches!(&desk.effects[..], [Effect::Restore { conversations }] if conversations[..] == [ConversationId::new("two")])
    );
    // What came back is chosen: a key that follows is meant for it.
    desk.reply(Reply::Restored { conversations: vec![ConversationId::new("two")], result: Ok(()) });
    assert!(desk.said().contains("restored \"two\""), "{}", desk.said());
    let (generation, _) = searched(&desk);
    page(&mut desk, generation, &["one", "three", "two"]);
    assert_eq!(browser(&desk).rows[browser(&desk).selected].summary.id, ConversationId::new("two"));
    // For good only after a question, and never what is open behind the list.
    desk.keys("D");
    assert!(matches!(desk.state.overlays.last(), Some(Overlay::Confirm(_))));
    desk.keys("n");
    assert!(!desk.effects.iter().any(|effect| matches!(effect, Effect::Delete { .. })));
    desk.keys("D");
    desk.now.mono_us += 1_000_000;
    desk.keys("y");
    let erased = desk.effects.iter().find_map(|effect| match effect {
        Effect::Delete { conversations, for_good: true } => conversations.first().cloned(),
        _ => None,
    });
    let erased = erased.expect("it was asked and answered");
    desk.state.transcript.conversation = Some(erased.clone());
    for key in ["D", "d"] {
        desk.keys(key);
        assert!(!matches!(desk.state.overlays.last(), Some(Overlay::Confirm(_))));
        assert!(!desk.effects.iter().any(|effect| matches!(effect, Effect::Delete { .. })), "{key}");
        assert!(desk.said().contains("behind this list"), "{}", desk.said());
    }
    desk.state.transcript.conversation = None;
    let rows = browser(&desk).rows.len();
    desk.reply(Reply::Deleted {
        conversations: vec![erased],
        for_good: true,
        result: Ok(vec!["A damaged store may still have it.".into()]),
    });
    assert!(desk.said().contains("A damaged store may still have it."), "{}", desk.said());
    assert_eq!(browser(&desk).rows.len(), rows - 1);
    desk.keys("r<ctrl+u>better<enter>");
    assert!(matches!(&desk.effects[..], [Effect::Rename { title, .. }] if title == "better"));
    desk.keys("x");
    assert!(matches!(&desk.effects[..], [Effect::Export { .. }]));
    desk.keys("<esc>");
    assert!(desk.state.overlays.is_empty());
}

#[test]
fn what_was_erased_cannot_be_gone_back_to() {
    let mut desk = desk();
    let turn = desk.ask("first");
    desk.keys("<ctrl+n>");
    let one = ConversationId::new("c1");
    desk.engine(TurnEvent::Ended {
        turn,
        status: TurnStatus::Ok,
        text: String::new(),
        rounds: 1,
        calls: 0,
        conversation: one.clone(),
    });
    assert_eq!(desk.state.elsewhere.len(), 1);
    // What is only deleted can come back, and so can its screen.
    desk.reply(Reply::Deleted { conversations: vec![one.clone()], for_good: false, result: Ok(Vec::new()) });
    let fault = Fault::new(FaultKind::Store, "the disk is full");
    desk.reply(Reply::Deleted { conversations: vec![one.clone()], for_good: true, result: Err(fault) });
    assert_eq!(desk.state.elsewhere.len(), 1);
    desk.reply(Reply::Deleted { conversations: vec![one], for_good: true, result: Ok(Vec::new()) });
    assert!(desk.state.elsewhere.is_empty());
    desk.keys("<alt+r>");
    assert!(desk.state.transcript.entries.is_empty());
}

#[test]
fn enter_opens_and_only_the_last_asked_for_is_shown() {
    let mut desk = opened();
    desk.keys("<enter>");
    let Some(Effect::Open { generation, .. }) = desk.effects.last().cloned() else { panic!("{:?}", desk.effects) };
    let conversation = |title: &str| {
        let message = |id: &str, body| Arc::new(Message { id: MessageId::new(id), parent: None, at: 1, body });
        Box::new(Conversation {
            summary: summary(title, title),
            base_url: String::new(),
            system: None,
            messages: vec![
                message("m1", Body::User(vec![Part::text("q")])),
                message(
                    "m2",
                    Body::Assistant(Answer {
                        text: "half".into(),
                        state: AnswerState::Interrupted,
                        ..Answer::default()
                    }),
                ),
            ],
            forks: Vec::new(),
            open_elsewhere: false,
            extra: serde_json::Value::Null,
        })
    };
    desk.reply(Reply::Opened { generation: generation - 1, result: Ok(conversation("late")) });
    assert!(desk.state.transcript.entries.is_empty());
    desk.reply(Reply::Opened { generation, result: Ok(conversation("one")) });
    assert_eq!(desk.state.transcript.title, "one");
    assert!(desk.state.overlays.is_empty());
    assert_eq!(
        desk.state.transcript.open_fault().unwrap().choices,
        FaultChoices::Cut,
        "an interrupted answer can go on"
    );
    desk.keys("and<enter>");
    assert!(matches!(desk.order(), Order::Submit(submit) if submit.conversation == Some(ConversationId::new("one"))));
}

#[test]
fn a_conversation_open_elsewhere_is_not_written_before_it_is_ours() {
    let mut desk = opened();
    desk.state.transcript.conversation = Some(ConversationId::new("one"));
    desk.state.transcript.open_elsewhere = true;
    desk.keys("<esc>hi<enter>");
    assert!(desk.orders().is_empty());
    assert!(matches!(desk.state.overlays.last(), Some(Overlay::Confirm(_))));
    desk.keys("y");
    assert!(matches!(&desk.effects[..], [.., Effect::Open { .. }]));
    assert_eq!(desk.text(), "hi");
}

#[test]
fn earlier_prompts_come_back_into_the_composer() {
    let mut desk = desk();
    desk.keys("<ctrl+r><ctrl+r>");
    let Some(Effect::Prompts { generation, .. }) = desk.effects.last().cloned() else { panic!("{:?}", desk.effects) };
    desk.reply(Reply::Prompts { generation, prompts: vec!["newest".into(), "older".into()] });
    desk.keys("<down><enter>");
    assert_eq!(desk.text(), "older");
}

#[test]
fn the_empty_chat_offers_the_newest_conversation() {
    let mut desk = desk();
    desk.reply(Reply::Newest(Some(summary("one", "one"))));
    desk.keys("/last<enter>");
    assert!(matches!(&desk.effects[..], [.., Effect::Open { conversation, .. }] if conversation.as_str() == "one"));
}

fn ids(names: &[&str]) -> Vec<ConversationId> {
    names.iter().map(|name| ConversationId::new(*name)).collect()
}

#[test]
fn keys_act_on_all_that_are_marked_and_undo_brings_them_back_together() {
    let mut desk = opened();
    desk.keys("<down> j ");
    assert_eq!(browser(&desk).marked, ids(&["one", "three"]));
    desk.keys("p");
    assert!(
        matches!(&desk.effects[..], [Effect::Pin { conversations, pinned: true }] if *conversations == ids(&["one", "three"]))
    );
    desk.keys("x");
    assert!(
        matches!(&desk.effects[..], [Effect::Export { conversations, .. }] if *conversations == ids(&["one", "three"]))
    );
    desk.keys("d");
    assert!(
        matches!(&desk.effects[..], [Effect::Delete { conversations, for_good: false }] if *conversations == ids(&["one", "three"]))
    );
    desk.reply(Reply::Deleted { conversations: ids(&["one", "three"]), for_good: false, result: Ok(Vec::new()) });
    assert_eq!(desk.said(), "deleted 2 conversations, kept for 30 days: u brings them back");
    assert_eq!(browser(&desk).rows.len(), 1);
    assert!(browser(&desk).marked.is_empty());
    // One that is deleted later comes back first, by itself.
    desk.keys("d");
    desk.reply(Reply::Deleted { conversations: ids(&["two"]), for_good: false, result: Ok(Vec::new()) });
    desk.keys("u");
    assert!(matches!(&desk.effects[..], [Effect::Restore { conversations }] if *conversations == ids(&["two"])));
    desk.reply(Reply::Restored { conversations: ids(&["two"]), result: Ok(()) });
    desk.keys("u");
    assert!(
        matches!(&desk.effects[..], [Effect::Restore { conversations }] if *conversations == ids(&["one", "three"]))
    );
    desk.reply(Reply::Restored { conversations: ids(&["one", "three"]), result: Ok(()) });
    assert_eq!(desk.said(), "restored 2 conversations");
    desk.keys("u");
    assert_eq!(desk.said(), "nothing was deleted here");
}

#[test]
fn several_are_erased_or_unpinned_away_only_after_a_question_and_never_the_shown_one() {
    let mut desk = opened();
    desk.keys("<down>  D");
    let Some(Overlay::Confirm(confirm)) = desk.state.overlays.last() else { panic!("{:?}", desk.state.overlays) };
    assert_eq!(confirm.question, "Erase 2 conversations for good? Nothing brings them back.");
    desk.now.mono_us += 1_000_000;
    desk.keys("y");
    assert!(
        matches!(&desk.effects[..], [Effect::Delete { conversations, for_good: true }] if *conversations == ids(&["one", "two"]))
    );
    // One that is pinned asks for all of them.
    let pinned = ids(&["two"]);
    desk.keys("<esc><up> ");
    desk.reply(Reply::Pinned { conversations: pinned, pinned: true, result: Ok(()) });
    desk.keys("g  d");
    let Some(Overlay::Confirm(confirm)) = desk.state.overlays.last() else { panic!("{:?}", desk.state.overlays) };
    assert!(confirm.question.starts_with("1 of these 2 conversations is pinned."), "{}", confirm.question);
    desk.now.mono_us += 1_000_000;
    desk.keys("n");
    desk.state.transcript.conversation = Some(ConversationId::new("two"));
    desk.keys("d");
    assert!(desk.said().contains("one of them is the one behind this list"), "{}", desk.said());
    assert!(desk.effects.iter().all(|effect| !matches!(effect, Effect::Delete { .. })));
    // Esc takes the marks away, then the layer.
    desk.keys("<esc>");
    assert!(browser(&desk).marked.is_empty());
    desk.keys("<esc>");
    assert!(desk.state.overlays.is_empty());
}

#[test]
fn it_opens_on_this_folder_and_on_all_where_there_is_nothing() {
    let mut desk = desk();
    desk.keys("<ctrl+r>");
    assert!(browser(&desk).filter.here);
    let (generation, _) = searched(&desk);
    page(&mut desk, generation, &[]);
    assert!(!browser(&desk).filter.here);
    let (generation, _) = searched(&desk);
    page(&mut desk, generation, &[]);
    assert!(!browser(&desk).filter.here, "and stays there");
    desk.keys("<tab>");
    assert!(browser(&desk).filter.here);
    let (generation, _) = searched(&desk);
    page(&mut desk, generation, &[]);
    assert!(browser(&desk).filter.here, "where a person asked for it, an empty list is the answer");
}

#[test]
fn one_of_another_folder_says_where_it_belongs_and_where_tools_run() {
    let mut desk = desk();
    desk.state.session.home = "/home/ada".into();
    desk.state.session.folder = "~/src/web".into();
    for (folder, said) in [
        ("/home/ada/src/net", Some("This conversation belongs to ~/src/net. Tools run here: ~/src/web.")),
        ("/srv/net", Some("This conversation belongs to /srv/net. Tools run here: ~/src/web.")),
        ("/home/ada/src/web", None),
    ] {
        desk.keys("<ctrl+r>");
        let (generation, _) = searched(&desk);
        page(&mut desk, generation, &["one"]);
        desk.keys("<enter>");
        let generation = desk.effects.iter().find_map(|effect| match effect {
            Effect::Open { generation, .. } => Some(*generation),
            _ => None,
        });
        let conversation = Conversation {
            summary: Summary { folder: folder.into(), ..summary(folder, "one") },
            base_url: String::new(),
            system: None,
            messages: Vec::new(),
            forks: Vec::new(),
            open_elsewhere: false,
            extra: serde_json::Value::Null,
        };
        desk.reply(Reply::Opened { generation: generation.unwrap(), result: Ok(Box::new(conversation)) });
        let notes: Vec<String> = desk.state.transcript.entries.iter().map(Entry::text).collect();
        assert_eq!(notes.first().map(String::as_str), said, "{folder}");
    }
}
