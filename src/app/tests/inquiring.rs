//! What servers ask: dialogues that open, close by themselves, and decide only by a fresh key.

use super::*;
use serde_json::{Value, json};
use std::time::Duration;

fn inquiry(id: u64, question: Question) -> TurnEvent {
    let inquiry = Inquiry {
        id: InquiryId(id),
        server: ServerName::new("fs"),
        call: None,
        question,
        limit: Duration::from_secs(600),
        behind: 0,
    };
    TurnEvent::Inquiry { turn: None, inquiry: Arc::new(inquiry) }
}

fn form(properties: Value, required: &[&str]) -> Question {
    let schema = json!({"type": "object", "properties": properties, "required": required});
    Question::Form { message: "Who?".into(), form: Form::read(&schema).unwrap() }
}

fn address(url: &str) -> Question {
    Question::Address { message: "Sign here".into(), url: url.into(), elicitation: None }
}

fn open(desk: &Desk) -> Option<&InquiryBox> {
    match desk.state.overlays.last() {
        Some(Overlay::Inquiry(open)) => Some(open),
        _ => None,
    }
}

fn answer(desk: &Desk) -> &InquiryAnswer {
    match desk.order() {
        Order::Answer { answer, .. } => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_form_is_filled_in_and_sent_with_its_defaults() {
    let mut desk = desk();
    let fields = json!({"name": {"type": "string"}, "age": {"type": "integer", "default": 42}});
    desk.engine(inquiry(1, form(fields, &["name"])));
    assert!(open(&desk).is_some());
    desk.keys("<ctrl+s>");
    assert!(desk.orders().is_empty(), "a required field is empty");
    assert_eq!(open(&desk).unwrap().refused, Some("a field is not right yet"));
    desk.keys("Ada<enter><enter><enter>");
    let want = json!({"name": "Ada", "age": 42}).as_object().cloned().unwrap();
    assert_eq!(*answer(&desk), InquiryAnswer::Accept(want));
    assert!(desk.state.overlays.is_empty() && desk.state.inquiry.is_none());
}

#[test]
fn keys_typed_before_the_form_was_there_do_nothing() {
    let mut desk = desk();
    desk.engine(inquiry(1, form(json!({"a": {"type": "string"}}), &[])));
    desk.effects.clear();
    let key = Event::Key(Key::plain(KeyCode::Char('x')));
    desk.after(100, key.clone());
    desk.after(300, key.clone());
    assert_eq!(open(&desk).unwrap().refused, Some("too early: keys count 0.35 s after the last one"));
    desk.after(400, key);
    desk.keys("<ctrl+s>");
    assert_eq!(*answer(&desk), InquiryAnswer::Accept(json!({"a": "x"}).as_object().cloned().unwrap()));
}

#[test]
fn esc_cancels_and_the_buttons_decline_and_cancel() {
    for (keys, want) in [
        ("<esc>", InquiryAnswer::Cancel),
        ("<tab><right><enter>", InquiryAnswer::Decline),
        ("<tab><right><right><enter>", InquiryAnswer::Cancel),
    ] {
        let mut desk = desk();
        desk.engine(inquiry(1, form(json!({"a": {"type": "string"}}), &[])));
        desk.keys(keys);
        assert_eq!(*answer(&desk), want, "{keys}");
        assert!(desk.state.overlays.is_empty());
    }
}

#[test]
fn an_address_is_opened_by_y_alone_and_never_before() {
    let mut desk = desk();
    desk.engine(inquiry(1, address("https://a.example/sign?x=1")));
    desk.keys("<enter> ");
    desk.event(Event::Paste("y".into()));
    let held = Key { repeat: true, ..Key::plain(KeyCode::Char('y')) };
    desk.event(Event::Key(held));
    assert!(desk.orders().is_empty());
    assert!(!desk.effects.iter().any(|effect| matches!(effect, Effect::OpenPage { .. })));
    desk.keys("y");
    assert!(desk.effects.iter().any(|e| matches!(e, Effect::OpenPage { url } if url == "https://a.example/sign?x=1")));
    assert_eq!(*answer(&desk), InquiryAnswer::Accept(serde_json::Map::new()));
    let mut desk = super::desk();
    desk.engine(inquiry(2, address("https://a.example/")));
    desk.keys("n");
    assert_eq!(*answer(&desk), InquiryAnswer::Decline);
}

fn folders(count: usize) -> Question {
    let root = |n: usize| Root { uri: format!("file:///srv/{n}"), name: None };
    Question::Roots((0..count).map(root).collect())
}

#[test]
fn folders_are_told_by_a_fresh_y_or_s_and_by_nothing_else() {
    let seen = |desk: &mut Desk, top, lines| {
        let list = ListLayout { lines, page: 4, top };
        desk.after(1, Event::Layout(Layout { list, ..desk.state.layout.clone() }));
    };
    for (keys, want) in [
        ("y", InquiryAnswer::Tell { lasting: false }),
        ("s", InquiryAnswer::Tell { lasting: true }),
        ("n", InquiryAnswer::Decline),
        ("<esc>", InquiryAnswer::Decline),
    ] {
        let mut desk = desk();
        desk.engine(inquiry(1, folders(2)));
        seen(&mut desk, 0, 4);
        desk.keys("<enter> ");
        desk.event(Event::Paste("y".into()));
        for held in ['y', 's'] {
            desk.event(Event::Key(Key { repeat: true, ..Key::plain(KeyCode::Char(held)) }));
        }
        assert!(desk.orders().is_empty());
        desk.keys(keys);
        assert_eq!(*answer(&desk), want, "{keys}");
        assert!(desk.state.overlays.is_empty() && desk.state.inquiry.is_none());
    }
    // Too early is too early, and what was not shown is not told.
    let mut desk = desk();
    desk.engine(inquiry(1, folders(20)));
    seen(&mut desk, 0, 40);
    desk.effects.clear();
    desk.after(100, Event::Key(Key::plain(KeyCode::Char('y'))));
    assert_eq!(open(&desk).unwrap().refused, Some("too early: keys count 0.35 s after the last one"));
    desk.keys("y");
    assert_eq!(open(&desk).unwrap().refused, Some("see the last of them first: j and k scroll"));
    desk.keys("G");
    seen(&mut desk, 36, 40);
    desk.keys("gy");
    assert_eq!(*answer(&desk), InquiryAnswer::Tell { lasting: false });
}

#[test]
fn what_is_odd_about_an_address_is_said() {
    let warnings = |url: &str| Visit::of(url).unwrap().warnings.len();
    assert_eq!(warnings("https://a.example/"), 0);
    assert_eq!(warnings("http://localhost:3000/"), 0);
    assert_eq!(warnings("http://a.example/"), 1);
    assert_eq!(warnings("https://bank.example@evil.example/"), 1);
    let visit = Visit::of("https://b\u{430}nk.example/").unwrap();
    assert!(visit.host.starts_with("xn--") && visit.warnings.len() == 1, "{visit:?}");
    assert_eq!(Visit::of("file:///etc/passwd"), None);
}

#[test]
fn a_question_that_is_over_closes_its_dialogue_and_says_why() {
    let mut desk = desk();
    desk.engine(inquiry(1, form(json!({"a": {"type": "string"}}), &[])));
    desk.engine(TurnEvent::InquiryEnded { id: InquiryId(1), end: InquiryEnd::Withdrawn });
    assert!(desk.state.overlays.is_empty());
    assert_eq!(desk.said(), "fs took its question back");
    // One that was answered says nothing more.
    desk.engine(inquiry(2, form(json!({"a": {"type": "string"}}), &[])));
    desk.keys("<ctrl+s>");
    desk.engine(TurnEvent::InquiryEnded { id: InquiryId(2), end: InquiryEnd::Answered });
    assert_eq!(desk.said(), "fs took its question back");
}

#[test]
fn a_question_takes_nothing_from_under_the_fingers() {
    let mut desk = desk();
    desk.keys("half a sen");
    desk.engine(inquiry(1, form(json!({"a": {"type": "string"}}), &[])));
    assert!(open(&desk).is_none());
    assert_eq!(desk.said(), "fs asks you something: ^T answers");
    desk.keys("tence<ctrl+t>");
    assert!(open(&desk).is_some());
    assert_eq!(desk.text(), "half a sentence");
    desk.keys("<esc>");
    assert_eq!(*answer(&desk), InquiryAnswer::Cancel);
}

#[test]
fn a_paste_goes_into_the_field_and_submits_nothing() {
    let mut desk = desk();
    desk.engine(inquiry(1, form(json!({"a": {"type": "string"}}), &[])));
    desk.event(Event::Paste("Ada\nLovelace\n".into()));
    assert!(desk.orders().is_empty());
    desk.keys("<ctrl+s>");
    assert_eq!(*answer(&desk), InquiryAnswer::Accept(json!({"a": "Ada Lovelace"}).as_object().cloned().unwrap()));
}
