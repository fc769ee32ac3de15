//! What servers ask, on the screen.

use std::time::Duration;

use serde_json::json;

use super::*;

fn asked(question: Question) -> State {
    asked_by("crm", question)
}

pub(super) fn asked_by(server: &str, question: Question) -> State {
    let mut state = empty();
    servers(&mut state, &[(server, ServerState::Ready, 7)]);
    let inquiry = Inquiry {
        id: InquiryId(1),
        server: server.into(),
        call: None,
        question,
        limit: Duration::from_secs(600),
        behind: 1,
    };
    event(&mut state, Event::Engine(TurnEvent::Inquiry { turn: None, inquiry: Arc::new(inquiry) }));
    state
}

pub(super) fn event(state: &mut State, event: Event) -> Vec<Effect> {
    let at = stamp(state.now.mono_us + SECOND);
    update(state, Stamped { at, body: event })
}

pub(super) fn keys(state: &mut State, keys: &str) {
    effects(state, keys);
}

/// Presses keys, and hands back what they came to.
pub(super) fn effects(state: &mut State, keys: &str) -> Vec<Effect> {
    keys.split(' ').flat_map(|word| event(state, Event::Key(Key::parse(word).unwrap()))).collect()
}

fn form() -> Question {
    let schema = json!({"type": "object", "required": ["name", "mail"], "properties": {
        "name": {"type": "string", "title": "Full name", "description": "As on the invoice", "minLength": 2},
        "mail": {"type": "string", "title": "E-mail", "format": "email"},
        "seats": {"type": "integer", "title": "Seats", "minimum": 1, "maximum": 50, "default": 5},
        "plan": {"type": "string", "title": "Plan", "oneOf": [{"const": "s", "title": "Small"}, {"const": "l", "title": "Large"}]},
        "days": {"type": "array", "title": "Days", "items": {"type": "string", "enum": ["Mon", "Tue", "Wed"]}, "default": ["Tue"]},
        "news": {"type": "boolean", "title": "Newsletter", "default": false},
        "token": {"type": "string", "title": "API token"},
    }});
    let message = "Please tell us who the order is for.\nIt takes a minute.".into();
    Question::Form { message, form: Form::read(&schema).unwrap() }
}

#[test]
fn a_form() {
    let mut state = asked(form());
    keys(&mut state, "A d a tab x tab tab right");
    assert_snapshot!("form-120x36", frame(&state, 120, 36));
    assert_snapshot!("form-80x24", frame(&state, 80, 24));
    assert_snapshot!("form-40x20", frame(&state, 40, 20));
    keys(&mut state, "ctrl+s");
    assert!(frame(&state, 80, 24).contains("must look like ada@example.org"));
}

#[test]
fn an_address() {
    let url =
        "https://xn--bnk-7cd.example/oauth/authorize?client=crm&state=8f2c1d7b9a&next=https%3A%2F%2Fcrm.example%2Fdone";
    let question = Question::Address { message: "Sign in to go on".into(), url: url.into(), elicitation: None };
    let state = asked(question);
    assert_snapshot!("visit-80x24", frame(&state, 80, 24));
    assert_snapshot!("visit-40x20", frame(&state, 40, 20));
}

#[test]
fn the_folders() {
    let root = |path: &str, name: &str| Root { uri: format!("file://{path}"), name: Some(name.into()) };
    let deep = "/home/ada/projects/customers/2026/northwind-traders/notes-and-minutes/of-the-first-quarter";
    let roots = vec![root("/home/ada/notes", "notes"), root(deep, "of-the-first-quarter")];
    let state = asked(Question::Roots(roots));
    assert_snapshot!("folders-120x36", frame(&state, 120, 36));
    assert_snapshot!("folders-80x24", frame(&state, 80, 24));
    assert_snapshot!("folders-40x20", frame(&state, 40, 20));
    let evil =
        Root { uri: "file:///a\u{1b}[2J\u{202e}\u{200b}b".into(), name: Some("c\u{9b}31m\u{1b}]0;x\u{7}".into()) };
    let state = asked(Question::Roots(vec![evil]));
    let text = frame(&state, 80, 24);
    assert!(text.contains("file:///a<ESC>[2J<U+202E><U+200B>b") && text.contains("c<U+009B>31m<ESC>]0;x"), "{text}");
    for (columns, rows) in [(120, 36), (40, 20), (12, 5)] {
        let text = frame(&state, columns, rows);
        assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}', '\u{9b}', '\u{200b}']), "{text:?}");
    }
}

#[test]
fn hostile_words_of_a_form_draw_nothing_of_their_own() {
    let evil = "a\u{1b}]0;owned\u{7}b\u{202e}c\u{9b}31m";
    let schema = json!({"type": "object", "properties": {evil: {"type": "string", "title": evil, "description": evil,
        "enum": [evil, "b"]}}});
    let state = asked(Question::Form { message: evil.into(), form: Form::read(&schema).unwrap() });
    for (columns, rows) in [(120, 36), (40, 20), (12, 5)] {
        let frame = frame(&state, columns, rows);
        assert!(!frame.contains(['\u{1b}', '\u{7}', '\u{202e}', '\u{9b}']), "{frame:?}");
    }
}

pub(super) fn sample(text: &str) -> Question {
    let part = |text: &str| vec![SamplePart::Text(text.into())];
    Question::Sample(Box::new(Sample {
        system: Some("You judge whether a lead is worth a call.".into()),
        messages: vec![
            SampleMessage { by_assistant: false, parts: part(text) },
            SampleMessage { by_assistant: true, parts: part("Which region?") },
            SampleMessage {
                by_assistant: false,
                parts: vec![SamplePart::Image { mime: "image/png".into(), data: "A".repeat(4_000) }],
            },
        ],
        wanted_tokens: 50_000,
        max_tokens: 12_000,
        budget: SampleBudget { server: 97_300, turn: 13_800 },
        temperature: Some(0.7),
        stop: vec!["END\n".into()],
        hints: vec!["claude-sonnet".into(), "gpt".into()],
        wants_context: true,
        model: None,
        base_url: "http://127.0.0.1:8000/v1".into(),
    }))
}

const LEAD: &str = "Harbour works in Lerwick, 40 people, asked for a quote twice.\nIs it worth a call?";

/// Draws, and hands back what the frame looked like.
pub(super) fn frame_kept(state: &mut State, columns: u16, rows: u16) {
    let layout = buffer(state, &Theme::dark(), &mut Memo::new(), columns, rows).1;
    event(state, Event::Layout(layout));
}

pub(super) fn sampled(state: &mut State, step: SampleStep) {
    event(state, Event::Engine(TurnEvent::Sampled { id: InquiryId(1), step }));
}

#[test]
fn a_request_for_an_answer_of_the_model() {
    let mut state = asked(sample(LEAD));
    state.session.prices = Some(Prices { input: 1.0, output: 4.0, cached: None });
    assert_snapshot!("sample-120x36", frame(&state, 120, 36));
    assert_snapshot!("sample-80x24", frame(&state, 80, 24));
    assert_snapshot!("sample-40x20", frame(&state, 40, 20));
}

#[test]
fn the_answer_as_it_comes_and_before_it_goes() {
    let mut state = asked(sample(LEAD));
    frame_kept(&mut state, 120, 36);
    keys(&mut state, "y");
    sampled(&mut state, SampleStep::Thinking(2_048));
    sampled(&mut state, SampleStep::Text("Yes: two requests within a month".into()));
    assert_snapshot!("sample-streams-120x36", frame(&state, 120, 36));
    assert_snapshot!("sample-streams-80x24", frame(&state, 80, 24));
    assert_snapshot!("sample-streams-40x20", frame(&state, 40, 20));
    state.session.prices = Some(Prices { input: 1.0, output: 4.0, cached: None });
    let text = "Yes: two requests within a month are a sign.\nCall before noon.";
    let reply = SampleReply { model: "qwen3-32b".into(), text: text.into(), stop: SampleStop::EndTurn };
    let usage = Usage { input: Some(212), output: Some(24), ..Usage::default() };
    sampled(&mut state, SampleStep::Whole { reply, usage });
    assert_snapshot!("sample-answer-120x36", frame(&state, 120, 36));
    assert_snapshot!("sample-answer-80x24", frame(&state, 80, 24));
    assert_snapshot!("sample-answer-40x20", frame(&state, 40, 20));
}

#[test]
fn hostile_words_of_a_request_and_of_its_answer_draw_nothing_of_their_own() {
    let evil = "a\u{1b}]0;owned\u{7}b\u{202e}c\u{9b}31m\u{200b}d";
    let mut state = asked(sample(evil));
    for (columns, rows) in [(120, 36), (40, 20), (12, 5)] {
        let frame = frame(&state, columns, rows);
        assert!(!frame.contains(['\u{1b}', '\u{7}', '\u{202e}', '\u{9b}', '\u{200b}']), "{frame:?}");
    }
    frame_kept(&mut state, 120, 36);
    keys(&mut state, "y");
    let reply = SampleReply { model: evil.into(), text: evil.into(), stop: SampleStop::MaxTokens };
    sampled(&mut state, SampleStep::Whole { reply, usage: Usage::default() });
    for (columns, rows) in [(120, 36), (40, 20), (12, 5)] {
        let frame = frame(&state, columns, rows);
        assert!(!frame.contains(['\u{1b}', '\u{7}', '\u{202e}', '\u{9b}', '\u{200b}']), "{frame:?}");
    }
    assert!(frame(&state, 120, 36).contains("waits for this answer"));
}
