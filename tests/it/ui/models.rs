//! The picker of models, usage, and the count-down before a request is sent again.

use super::*;

pub(super) fn picker() -> State {
    let mut state = empty();
    state.status.context = Some(Context { tokens: 12_400, estimated: false });
    let prices = |input, output| Some(Prices { input, output, cached: None });
    let model = |provider: &str, id: &str, context, reasoning, prices| ModelRow {
        id: id.into(),
        provider: provider.into(),
        base_url: "http://localhost:8000/v1".into(),
        context: Some(context),
        tools: Some(true),
        vision: Some(false),
        reasoning: Some(reasoning),
        prices,
        ..ModelRow::default()
    };
    let mut models = Models::default();
    models.search = LineEdit::with("qw");
    models.editing = true;
    models.all = vec![
        model("local", "qwen3-32b", 32_768, true, prices(0.0, 0.0)),
        model("local", "qwen2.5-coder-7b", 131_072, false, prices(0.0, 0.0)),
        model("openrouter", "qwen/qwen3-235b-a22b", 262_144, true, prices(0.2, 0.6)),
        model("local", "gemma", 8_192, false, None),
    ];
    models.all[1].used = Some(NOW - 3 * 86_400_000);
    models.rows = vec![0, 1, 2];
    let source = |name: &str, url: &str, key: &str, current, reach| ModelSource {
        name: name.into(),
        profile: Some(name.into()),
        base_url: url.into(),
        key: key.into(),
        current,
        at: Some(NOW - 200),
        reach,
    };
    models.sources = vec![
        source(
            "local",
            "http://localhost:8000/v1",
            "key from $OPENAI_API_KEY: set",
            true,
            Reach::Reached { took_ms: 38 },
        ),
        source(
            "openrouter",
            "https://openrouter.ai/api/v1",
            "key from $OPENROUTER_API_KEY: set",
            false,
            Reach::Reached { took_ms: 412 },
        ),
    ];
    state.overlays.push(Overlay::Models(models));
    state
}

fn pick(state: &mut State, change: impl FnOnce(&mut Models)) {
    match state.overlays.last_mut() {
        Some(Overlay::Models(models)) => change(models),
        other => panic!("{other:?}"),
    }
}

#[test]
fn models_at_the_three_sizes() {
    let state = picker();
    assert_snapshot!("models-120x36", frame(&state, 120, 36));
    assert_snapshot!("models-80x24", frame(&state, 80, 24));
    assert_snapshot!("models-40x20", frame(&state, 40, 20));
}

/// In the list, on a favourite that lacks much, with an endpoint that failed and one that is still being asked.
#[test]
fn a_model_that_lacks_something_says_so() {
    let mut state = picker();
    state.session.connection.as_mut().unwrap().key_from = None;
    pick(&mut state, |models| {
        models.editing = false;
        models.selected = 1;
        models.all[1].favourite = true;
        models.all[1].tools = Some(false);
        models.all[1].context = Some(8_192);
        models.sources[1].reach = Reach::Asking;
        models.sources.push(ModelSource {
            name: "groq".into(),
            reach: Reach::Failed("api.groq.com refused the key from $GROQ_API_KEY (401).".into()),
            ..ModelSource::default()
        });
    });
    assert_snapshot!("models-lacking-120x36", frame(&state, 120, 36));
    assert_snapshot!("models-lacking-80x24", frame(&state, 80, 24));
    assert_snapshot!("models-lacking-40x20", frame(&state, 40, 20));
}

#[test]
fn all_that_is_known_of_a_model() {
    let mut state = picker();
    pick(&mut state, |models| {
        (models.editing, models.details, models.selected) = (false, true, 2);
        let row = &mut models.all[2];
        row.name = Some("Qwen3 235B A22B".into());
        row.description =
            Some("A mixture of experts, with 22 of its 235 billion parameters at work on a token.".into());
        row.max_output = Some(32_768);
        row.created = Some(1_745_875_757);
        row.owner = Some("qwen".into());
        row.used = Some(NOW - 7_200_000);
    });
    assert_snapshot!("model-details-120x36", frame(&state, 120, 36));
    assert_snapshot!("model-details-80x24", frame(&state, 80, 24));
    assert_snapshot!("model-details-40x20", frame(&state, 40, 20));
}

/// A conversation of three turns with the second asked again elsewhere, told to `update` as the engine tells it.
pub(super) fn used() -> State {
    let mut state = empty();
    let mut mono_us = 1_000 * SECOND;
    let mut tell = |state: &mut State, event: Event| {
        mono_us += SECOND;
        let _ = update(state, Stamped { at: stamp(mono_us), body: event });
    };
    for (turn, rounds) in [(1, vec![(3_120, 0, 412, 128)]), (2, vec![(8_400, 3_072, 96, 0), (12_288, 8_192, 704, 256)])]
    {
        state.composer.area.insert_str("hello");
        tell(&mut state, Event::Key(Key::parse("enter").unwrap()));
        let turn = TurnId(turn);
        state.session.prices = Some(Prices { input: 0.2, output: 0.6, cached: Some(0.05) });
        for (round, (input, cached, output, reasoning)) in (1..).zip(rounds) {
            let parts = ContextParts { system: 1_200, tools: 14_600, history: 9_000, results: 21_000 };
            let tools_hash = String::new();
            let request = TurnEvent::Request { turn, round, attempt: 1, tools: 12, tools_hash, parts, of: None };
            tell(&mut state, Event::Engine(request));
            let [input, cached, output, reasoning] = [input, cached, output, reasoning].map(Some);
            let usage = Usage { input, cached, output, reasoning };
            tell(&mut state, Event::Engine(TurnEvent::Usage { turn, round, usage }));
        }
        let (text, conversation) = (String::new(), ConversationId::new("c"));
        let ended = TurnEvent::Ended { turn, status: TurnStatus::Ok, text, rounds: 1, calls: 0, conversation };
        tell(&mut state, Event::Engine(ended));
    }
    state
}

#[test]
fn figures_that_do_not_fit_the_header_are_left_out_whole() {
    let state = used();
    let mut seen = [false; 3];
    for columns in 60..=160 {
        let shown = frame(&state, columns, 24);
        let header = shown.lines().next().unwrap().trim_end();
        assert!(header.starts_with(" hello"), "{columns}: {header:?}");
        let figures = [header.contains(" in "), header.ends_with(" out"), header.contains("cost ")];
        match figures {
            [false, false, false] => seen[0] = true,
            [true, true, false] => seen[1] = true,
            // The amount stands behind its word, whole.
            [true, false, true] => {
                seen[2] = true;
                let amount = header.rsplit_once("cost ").unwrap().1;
                assert!(amount.chars().any(|c| c.is_ascii_digit()) && !amount.contains('…'), "{columns}: {header:?}");
            }
            cut => panic!("{columns}: {cut:?} {header:?}"),
        }
    }
    assert_eq!(seen, [true; 3]);
}

#[test]
fn usage_at_the_three_sizes() {
    let mut state = used();
    assert_snapshot!("used-chat-120x36", frame(&state, 120, 36).lines().next().unwrap());
    state.overlays.push(Overlay::Usage(UsageView::default()));
    assert_snapshot!("usage-120x36", frame(&state, 120, 36));
    assert_snapshot!("usage-80x24", frame(&state, 80, 24));
    assert_snapshot!("usage-40x20", frame(&state, 40, 20));
    state.session.context_window = Some(13_000);
    assert!(frame(&state, 80, 24).contains("! Nearly full"));
    let mut fresh = empty();
    fresh.overlays.push(Overlay::Usage(UsageView::default()));
    assert!(frame(&fresh, 80, 24).contains("nothing has been sent yet"));
}

#[test]
fn a_count_down_is_seen_at_the_three_sizes() {
    let mut state = empty();
    entry(&mut state, EntryBody::User(vec![Part::text("Hello?")]));
    state.session.attempts = 5;
    let mut turn = Turn::new(TurnId(1), stamp(990 * SECOND), false);
    let why = "api.groq.com takes no more requests for now (429): Rate limit reached for tokens per minute.".into();
    turn.phase = Phase::Retrying { attempt: 1, at_us: 1_019 * SECOND - 500_000, why };
    state.transcript.turn = Some(turn);
    assert_snapshot!("retry-120x36", frame(&state, 120, 36));
    assert_snapshot!("retry-80x24", frame(&state, 80, 24));
    assert_snapshot!("retry-40x20", frame(&state, 40, 20));
}
