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
    assert_eq!(open(&desk).unwrap().refused, Some("see the last of them first: {list.down} and {list.up} scroll"));
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

mod sampling {
    use super::*;

    fn asks() -> TurnEvent {
        let sample = Sample {
            messages: vec![SampleMessage { by_assistant: false, parts: vec![SamplePart::Text("Why?".into())] }],
            wanted_tokens: 50,
            max_tokens: 50,
            ..Sample::default()
        };
        inquiry(1, Question::Sample(Box::new(sample)))
    }

    /// The frame as it would be: `lines` in all, those from `top` on visible.
    fn drawn(desk: &mut Desk, lines: usize, top: usize) {
        let Some(InquiryStep::Sample(view)) = open(desk).map(|open| &open.step) else { panic!("no request is open") };
        let revision = view.revision;
        let sample = Some(SampleLayout { revision, lines, page: 10, top, end_visible: top + 10 >= lines });
        desk.event(Event::Layout(Layout { sample, ..Layout::default() }));
    }

    fn sampled(desk: &mut Desk, step: SampleStep) {
        desk.engine(TurnEvent::Sampled { id: InquiryId(1), step });
    }

    fn whole(desk: &mut Desk) {
        let reply = SampleReply { model: "m".into(), text: "So.".into(), stop: SampleStop::EndTurn };
        sampled(desk, SampleStep::Whole { reply, usage: Usage::default() });
    }

    fn refused(desk: &Desk) -> std::borrow::Cow<'static, str> {
        desk.state.keymap.tell(open(desk).and_then(|open| open.refused).unwrap_or_default())
    }

    #[test]
    fn the_model_is_asked_and_its_answer_sent_by_two_fresh_keys() {
        let mut desk = desk();
        desk.engine(asks());
        drawn(&mut desk, 5, 0);
        desk.keys("<enter> ");
        desk.event(Event::Paste("y".into()));
        desk.event(Event::Key(Key { repeat: true, ..Key::plain(KeyCode::Char('y')) }));
        assert!(desk.orders().is_empty());
        desk.keys("y");
        assert!(
            matches!(desk.order(), Order::Sample { inquiry: InquiryId(1), settings } if settings.model == "qwen3-32b")
        );
        sampled(&mut desk, SampleStep::Thinking(9));
        sampled(&mut desk, SampleStep::Text("So".into()));
        desk.keys("y");
        assert!(desk.orders().is_empty(), "the answer is not whole yet");
        assert_eq!(refused(&desk), "the model still answers; n declines");
        whole(&mut desk);
        drawn(&mut desk, 5, 0);
        desk.keys("y");
        let want = SampleReply { model: "m".into(), text: "So.".into(), stop: SampleStop::EndTurn };
        assert_eq!(*answer(&desk), InquiryAnswer::Sample(want));
        assert!(desk.state.overlays.is_empty() && desk.state.inquiry.is_none());
    }

    #[test]
    fn a_yes_that_was_meant_for_the_request_does_not_send_the_answer() {
        let mut desk = desk();
        desk.engine(asks());
        drawn(&mut desk, 5, 0);
        desk.keys("y");
        whole(&mut desk);
        drawn(&mut desk, 5, 0);
        // Too early: the answer has just come up.
        let revision = desk.state.session.next_generation;
        desk.engine(TurnEvent::Sampled {
            id: InquiryId(1),
            step: SampleStep::Whole {
                reply: SampleReply { model: "m".into(), text: "Else.".into(), stop: SampleStop::EndTurn },
                usage: Usage::default(),
            },
        });
        assert!(desk.state.session.next_generation > revision, "another text has another number");
        desk.effects.clear();
        desk.after(100, Event::Key(Key::plain(KeyCode::Char('y'))));
        assert!(desk.orders().is_empty());
        desk.keys("y");
        assert!(desk.orders().is_empty(), "its end was not on the screen");
        assert_eq!(refused(&desk), "y works once the end has been on screen (space pages)");
    }

    #[test]
    fn after_another_endpoint_was_chosen_no_model_is_asked() {
        let switched = || {
            Reply::Switched(Box::new(Switched {
                base_url: "https://other.example/v1".into(),
                key_from: None,
                row: ModelRow { id: "other".into(), ..ModelRow::default() },
                system: None,
                sampling: Default::default(),
                dispatch: Default::default(),
                then: Then::Nothing,
            }))
        };
        let mut desk = desk();
        desk.engine(asks());
        drawn(&mut desk, 5, 0);
        desk.reply(switched());
        desk.keys("y");
        assert!(desk.orders().is_empty());
        assert_eq!(refused(&desk), "you changed the endpoint since: n, and it can ask again");
        desk.keys("n");
        assert_eq!(*answer(&desk), InquiryAnswer::Decline);
        // What is asked from now on is asked there.
        desk.engine(asks());
        drawn(&mut desk, 5, 0);
        desk.keys("y");
        assert!(matches!(desk.order(), Order::Sample { settings, .. } if settings.model == "other"));
        // A model that answers already goes on.
        desk.reply(switched());
        whole(&mut desk);
        drawn(&mut desk, 5, 0);
        desk.keys("y");
        assert!(matches!(*answer(&desk), InquiryAnswer::Sample(_)));
    }

    #[test]
    fn a_long_request_is_paged_to_its_end_before_yes_works() {
        let mut desk = desk();
        desk.engine(asks());
        drawn(&mut desk, 25, 0);
        desk.keys("y");
        assert!(desk.orders().is_empty());
        desk.keys(" ");
        let Some(InquiryStep::Sample(view)) = open(&desk).map(|open| &open.step) else { panic!() };
        assert_eq!(view.scroll, 9);
        drawn(&mut desk, 25, 9);
        desk.keys("G");
        drawn(&mut desk, 25, 15);
        desk.keys("gy");
        assert!(matches!(desk.order(), Order::Sample { .. }), "it was seen, wherever the text stands now");
    }

    #[test]
    fn no_and_esc_work_at_every_step_and_late_words_are_void() {
        for (key, want) in [("n", InquiryAnswer::Decline), ("<esc>", InquiryAnswer::Cancel)] {
            for step in 0..3 {
                let mut desk = desk();
                desk.engine(asks());
                drawn(&mut desk, 5, 0);
                if step > 0 {
                    desk.keys("y");
                }
                if step > 1 {
                    whole(&mut desk);
                }
                desk.keys(key);
                assert_eq!(*answer(&desk), want, "{key} at {step}");
                whole(&mut desk);
                assert!(desk.state.overlays.is_empty() && desk.state.inquiry.is_none());
            }
        }
    }

    #[test]
    fn an_edited_answer_is_read_again_and_sent_as_it_is() {
        let mut desk = desk();
        desk.engine(asks());
        drawn(&mut desk, 5, 0);
        desk.keys("y");
        whole(&mut desk);
        drawn(&mut desk, 5, 0);
        desk.keys("e");
        let what = EditorUse::Sample { inquiry: InquiryId(1) };
        assert!(
            desk.effects
                .iter()
                .any(|e| matches!(e, Effect::Editor { what: of, text, .. } if *of == what && text == "So."))
        );
        desk.reply(Reply::EditorClosed { what, result: Ok("Mine.\n".into()) });
        desk.keys("y");
        assert!(desk.orders().is_empty(), "the new text has not been seen");
        drawn(&mut desk, 5, 0);
        desk.keys("y");
        assert!(matches!(answer(&desk), InquiryAnswer::Sample(reply) if reply.text == "Mine."));
    }

    #[test]
    fn without_a_model_there_is_nobody_to_ask() {
        let mut desk = desk();
        desk.state.session.settings.model.clear();
        desk.engine(asks());
        drawn(&mut desk, 5, 0);
        desk.keys("y");
        assert!(desk.orders().is_empty());
        assert_eq!(refused(&desk), "no model is chosen: esc, then /model");
    }
}
