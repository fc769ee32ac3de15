//! Attached resources: which are watched, and what a person has of it when one changes.

use super::*;

const A: &str = "demo://a";

fn status(desk: &mut Desk, state: ServerState) {
    desk.engine(TurnEvent::Server(ServerStatus {
        state,
        ..ServerStatus::starting(ServerName::new("docs"), "stdio", "docs")
    }));
}

/// What was read, watched and let go since the last look, in this order.
fn queries(desk: &mut Desk) -> Vec<ServerQuery> {
    let orders = std::mem::take(&mut desk.effects).into_iter().filter_map(|effect| match effect {
        Effect::Order(Order::Query { query: ServerQuery::Catalog, .. }) => None,
        Effect::Order(Order::Query { query, .. }) => Some(query),
        _ => None,
    });
    orders.collect()
}

fn watch(uri: &str) -> ServerQuery {
    ServerQuery::Watch { uri: uri.into() }
}

fn unwatch(uri: &str) -> ServerQuery {
    ServerQuery::Unwatch { uri: uri.into() }
}

fn read(uri: &str) -> ServerQuery {
    ServerQuery::Read { uri: uri.into() }
}

/// What was read is in the draft.
fn arrives(desk: &mut Desk, uri: &str, text: &str) {
    let (label, generation) = (format!("@docs:{uri}"), desk.state.session.next_generation);
    let part = Part::File { name: format!("docs:{uri}"), text: text.into() };
    for generation in 1..=generation {
        let result = Ok(ServerReply::Read(vec![ResourceBody::Part(part.clone())]));
        let waits =
            |desk: &Desk| desk.state.composer.attachments.iter().any(|one| one.label == label && one.part.is_none());
        if waits(desk) {
            desk.engine(TurnEvent::Replied { generation, server: ServerName::new("docs"), result });
        }
    }
}

fn attach(desk: &mut Desk, uri: &str) {
    desk.state.composer.area.insert_str(format!("@docs:{uri} "));
    let mut out = Vec::new();
    desk.state.attach_resource(ServerName::new("docs"), uri.into(), &mut out);
    desk.effects.append(&mut out);
}

fn updated(desk: &mut Desk, uri: &str, certain: bool) {
    let news = ServerNews::ResourceUpdated { uri: uri.into(), certain };
    desk.engine(TurnEvent::News { server: ServerName::new("docs"), news });
}

fn stands(desk: &mut Desk, uri: &str, standing: WatchStanding) {
    let news = ServerNews::Watch { uri: uri.into(), standing };
    desk.engine(TurnEvent::News { server: ServerName::new("docs"), news });
}

/// A conversation whose first message holds `demo://a`.
fn with_a() -> Desk {
    let mut desk = desk();
    status(&mut desk, ServerState::Ready);
    attach(&mut desk, A);
    arrives(&mut desk, A, "body");
    desk.ask("look");
    desk
}

fn words(desk: &Desk) -> String {
    desk.state.stale_words(100).unwrap_or_default()
}

#[test]
fn a_resource_is_watched_from_before_it_is_read_until_it_is_gone_from_the_draft() {
    let mut desk = desk();
    status(&mut desk, ServerState::Ready);
    attach(&mut desk, A);
    assert_eq!(queries(&mut desk), [watch(A), read(A)]);
    desk.keys("<backspace><backspace>");
    assert_eq!(queries(&mut desk), [unwatch(A)], "a broken name attaches nothing");
    desk.keys("<ctrl+_><ctrl+_>");
    assert_eq!(queries(&mut desk), [watch(A)], "and is whole again");
    desk.keys("<ctrl+c>");
    assert_eq!(queries(&mut desk), [unwatch(A)]);
}

#[test]
fn a_change_is_said_once_until_it_was_attached_again_and_nothing_is_read_by_itself() {
    let mut desk = with_a();
    desk.ended(TurnStatus::Ok);
    queries(&mut desk);
    desk.keys("more");
    updated(&mut desk, A, true);
    assert_eq!(desk.said(), "docs:demo://a changed since you attached it · alt+a attaches it again");
    let notices = desk.state.status.notices.len();
    for _ in 0..100 {
        updated(&mut desk, A, true);
    }
    assert_eq!(desk.state.status.notices.len(), notices);
    assert_eq!(queries(&mut desk), [], "nothing is read by itself");
    desk.keys("<alt+a>");
    assert_eq!(desk.text(), "more @docs:demo://a ");
    assert_eq!(queries(&mut desk), [read(A)], "it is watched already");
    assert_eq!(words(&desk), "");
    arrives(&mut desk, A, "newer");
    desk.keys("<enter>");
    let Order::Submit(submit) = desk.orders().into_iter().find(|o| matches!(o, Order::Submit(_))).unwrap() else {
        panic!("nothing was sent")
    };
    assert_eq!(submit.parts[1], Part::File { name: "docs:demo://a".into(), text: "newer".into() });
    // Changed again, it is said again.
    updated(&mut desk, A, true);
    assert!(words(&desk).starts_with("docs:demo://a changed"), "{}", words(&desk));
}

#[test]
fn over_an_empty_line_a_change_stands_in_the_line() {
    let mut desk = with_a();
    updated(&mut desk, A, true);
    assert_eq!((desk.said(), words(&desk).is_empty()), ("", false));
    // Where there is no room for a name there is room for the key.
    assert_eq!(desk.state.stale_words(36).unwrap(), "an attachment changed · alt+a: again");
    let cut = desk.state.stale_words(70).unwrap();
    assert!(crate::text::width(&cut) <= 70 && cut.starts_with("docs:demo://a changed"), "{cut}");
}

#[test]
fn what_changed_in_the_draft_is_read_into_its_place() {
    let mut desk = desk();
    status(&mut desk, ServerState::Ready);
    attach(&mut desk, A);
    arrives(&mut desk, A, "old");
    desk.keys("and");
    updated(&mut desk, A, false);
    assert!(desk.said().starts_with("docs:demo://a may have changed since you attached it"), "{}", desk.said());
    desk.keys("<ctrl+p>reattach<enter>");
    assert_eq!(desk.text(), "@docs:demo://a and", "the name stands there already");
    arrives(&mut desk, A, "new");
    assert_eq!(desk.state.composer.parts()[1], Part::File { name: "docs:demo://a".into(), text: "new".into() });
    assert_eq!(desk.state.composer.attachments.len(), 1);
}

#[test]
fn strangers_and_servers_of_that_name_elsewhere_change_nothing() {
    let mut desk = with_a();
    desk.keys("x");
    updated(&mut desk, "demo://other", true);
    let news = ServerNews::ResourceUpdated { uri: A.into(), certain: true };
    desk.engine(TurnEvent::News { server: ServerName::new("other"), news });
    assert_eq!((words(&desk).as_str(), desk.said()), ("", ""));
}

#[test]
fn a_refusal_is_said_once_and_one_that_was_not_offered_never() {
    let mut desk = with_a();
    stands(&mut desk, A, WatchStanding::NotOffered);
    assert_eq!(desk.said(), "");
    stands(&mut desk, A, WatchStanding::Refused("no such thing".into()));
    assert_eq!(desk.said(), "nobody will tell you when docs:demo://a changes: no such thing");
    let notices = desk.state.status.notices.len();
    stands(&mut desk, A, WatchStanding::Refused("no such thing".into()));
    assert_eq!(desk.state.status.notices.len(), notices);
}

#[test]
fn a_server_that_comes_back_is_asked_again() {
    let mut desk = with_a();
    queries(&mut desk);
    status(&mut desk, ServerState::Failed);
    status(&mut desk, ServerState::Starting);
    assert_eq!(queries(&mut desk), []);
    status(&mut desk, ServerState::Ready);
    assert_eq!(queries(&mut desk), [watch(A)]);
    // Attached again while it is away: nothing is lost, and why is said.
    updated(&mut desk, A, true);
    status(&mut desk, ServerState::Failed);
    desk.keys("<alt+a>");
    assert!(desk.said().starts_with("docs is not there now"), "{}", desk.said());
    assert!(!words(&desk).is_empty() && desk.text().is_empty());
}

#[test]
fn what_could_not_be_read_again_is_as_stale_as_it_was() {
    let mut desk = with_a();
    updated(&mut desk, A, true);
    desk.keys("<alt+a>");
    let generation = desk.state.session.next_generation;
    let fault = Fault::new(FaultKind::Protocol, "docs: it is gone");
    for generation in 1..=generation {
        let result = Err(fault.clone());
        desk.engine(TurnEvent::Replied { generation, server: ServerName::new("docs"), result });
    }
    assert!(words(&desk).starts_with("docs:demo://a may have changed"), "{}", words(&desk));
}

#[test]
fn a_conversation_that_goes_on_elsewhere_is_watched_for_and_one_that_is_closed_is_not() {
    let mut desk = with_a();
    queries(&mut desk);
    desk.keys("<ctrl+n>");
    assert_eq!(queries(&mut desk), [], "its answer still comes");
    updated(&mut desk, A, true);
    assert_eq!((desk.said(), words(&desk).as_str()), ("", ""), "it is not looked at");
    desk.keys("<alt+r>");
    assert!(words(&desk).starts_with("docs:demo://a changed"), "{}", words(&desk));
    // On disk and at rest, it is closed when another is opened.
    desk.ended(TurnStatus::Ok);
    desk.engine(TurnEvent::Saved { conversation: ConversationId::new("c1"), at_ms: 1 });
    queries(&mut desk);
    desk.keys("<ctrl+n>");
    assert_eq!(queries(&mut desk), [unwatch(A)]);
}

#[test]
fn what_an_opened_conversation_holds_is_watched() {
    let mut desk = desk();
    status(&mut desk, ServerState::Ready);
    let part = |name: &str| Part::File { name: name.into(), text: "body".into() };
    let parts = vec![Part::text("look"), part("docs:demo://a"), part("src/a.rs"), part("c:\\a.txt")];
    let message = Message { id: MessageId::new("m1"), parent: None, at: 1, body: Body::User(parts) };
    let conversation = Conversation {
        summary: super::browsing::summary("old", "old"),
        base_url: String::new(),
        system: None,
        messages: vec![Arc::new(message)],
        forks: Vec::new(),
        open_elsewhere: false,
        extra: serde_json::Value::Null,
    };
    desk.state.load(conversation, &mut Vec::new());
    desk.effects.clear();
    desk.event(Event::FocusGained);
    assert_eq!(queries(&mut desk), [watch(A)]);
}
