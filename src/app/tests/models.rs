//! The picker of models, switching in mid-conversation, usage, and the count-down of a retry.

use super::*;

fn row(provider: &str, id: &str) -> ModelRow {
    let base_url = if provider == "local" { "http://localhost:8000/v1" } else { "https://other.example/v1" };
    ModelRow { id: id.into(), provider: provider.into(), base_url: base_url.into(), ..ModelRow::default() }
}

fn source(name: &str, current: bool) -> ModelSource {
    ModelSource {
        name: name.into(),
        profile: Some(name.into()),
        base_url: row(name, "").base_url,
        current,
        reach: Reach::Reached { took_ms: 3 },
        ..ModelSource::default()
    }
}

fn asked(desk: &Desk) -> u64 {
    let found = desk.effects.iter().rev().find_map(|effect| match effect {
        Effect::Models { generation, .. } => Some(*generation),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{:?}", desk.effects))
}

fn picker(rows: Vec<ModelRow>) -> (Desk, u64) {
    let mut desk = desk();
    desk.keys("/models<enter>");
    let generation = asked(&desk);
    let sources = vec![source("local", true), source("away", false)];
    desk.reply(Reply::Models { generation, sources, rows });
    (desk, generation)
}

fn open(desk: &Desk) -> &Models {
    match desk.state.overlays.last() {
        Some(Overlay::Models(models)) => models,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_model_in_use_is_chosen_first_and_stays_chosen_when_lists_come() {
    let (mut desk, generation) = picker(vec![row("local", "a"), row("local", "qwen3-32b"), row("away", "qwen3-32b")]);
    assert_eq!((open(&desk).chosen().unwrap().id.as_str(), open(&desk).selected), ("qwen3-32b", 1));
    desk.keys("<down><down>");
    assert_eq!(open(&desk).chosen().unwrap().provider, "away");
    let rows = vec![row("local", "0"), row("local", "qwen3-32b"), row("away", "new"), row("away", "qwen3-32b")];
    let sources = vec![source("local", true), source("away", false)];
    desk.reply(Reply::Models { generation, sources: sources.clone(), rows });
    assert_eq!((open(&desk).chosen().unwrap().provider.as_str(), open(&desk).selected), ("away", 3));
    desk.reply(Reply::Models { generation: generation + 1_000, sources, rows: Vec::new() });
    assert_eq!(open(&desk).all.len(), 4, "an answer to another question");
}

#[test]
fn favourites_go_first_are_kept_and_can_be_listed_alone() {
    let (mut desk, _) = picker(vec![row("local", "a"), row("local", "b"), row("away", "c")]);
    desk.keys("<down>jf");
    assert!(matches!(&desk.effects[..], [Effect::Favourite { model, on: true, .. }] if model == "b"));
    desk.keys("F");
    assert_eq!(open(&desk).rows, [1]);
    desk.keys("f");
    assert!(matches!(&desk.effects[..], [Effect::Favourite { on: false, .. }]));
    assert!(open(&desk).rows.is_empty());
    desk.keys("F");
    assert_eq!(open(&desk).rows.len(), 3);
    desk.keys("/f");
    assert_eq!((open(&desk).search.text.as_str(), open(&desk).editing), ("f", true), "with the caret, letters type");
}

#[test]
fn another_profiles_model_is_switched_to_and_the_conversation_stays() {
    let lacking = ModelRow { tools: Some(false), context: Some(9), ..row("away", "c") };
    let (mut desk, _) = picker(vec![row("local", "a"), lacking.clone()]);
    desk.state.transcript.conversation = Some(ConversationId::new("c1"));
    desk.keys("c<enter>");
    let Some(Effect::Switch { profile, row, then: Then::Nothing }) = desk.effects.last() else {
        panic!("{:?}", desk.effects)
    };
    assert_eq!((profile.as_str(), row.id.as_str()), ("away", "c"));
    assert!(desk.state.overlays.is_empty());
    desk.reply(Reply::Switched(Box::new(Switched {
        base_url: "https://other.example/v1".into(),
        key_from: Some("$AWAY".into()),
        row: lacking,
        system: Some("Be kind.".into()),
        sampling: Sampling { temperature: Some(0.5), ..Sampling::default() },
        dispatch: Dispatch::Finish,
        then: Then::Nothing,
    })));
    desk.keys("hello<enter>");
    let Order::Submit(submit) = desk.order() else { panic!("{:?}", desk.effects) };
    assert_eq!(submit.conversation, Some(ConversationId::new("c1")));
    let settings = &submit.settings;
    assert_eq!((settings.model.as_str(), settings.sampling.temperature), ("c", Some(0.5)));
    assert_eq!((settings.system.as_deref(), settings.dispatch), (Some("Be kind."), Dispatch::Finish));
    assert!(settings.lacks.tools && !settings.lacks.vision, "what is not told is not lacking");
    assert_eq!(desk.state.session.context_window, Some(9));
}

#[test]
fn d_writes_the_default_and_r_asks_anew() {
    let (mut desk, _) = picker(vec![row("local", "a"), row("local", "b")]);
    desk.keys("<down>R");
    assert!(matches!(&desk.effects[..], [Effect::Models { anew: true, .. }]));
    assert!(open(&desk).loading());
    desk.keys("jd");
    let Some(Effect::DefaultModel { profile, base_url, model }) = desk.effects.last() else {
        panic!("{:?}", desk.effects)
    };
    assert_eq!(
        (profile.as_deref(), base_url.as_str(), model.as_str()),
        (Some("local"), "http://localhost:8000/v1", "b")
    );
    assert!(desk.effects.iter().any(|e| matches!(e, Effect::ChooseModel { model } if model == "b")));
    assert_eq!(desk.state.session.settings.model, "b");
}

#[test]
fn details_open_over_the_list_and_esc_leaves_them_first() {
    let (mut desk, _) = picker(vec![row("local", "a")]);
    desk.keys("<down>i");
    assert!(open(&desk).details);
    desk.keys("<esc>");
    assert!(!open(&desk).details);
    desk.keys("<esc>");
    assert!(desk.state.overlays.is_empty());
}

#[test]
fn facts_of_another_model_are_late() {
    let mut desk = desk();
    let facts = |id: &str, context| Reply::ModelFacts(Box::new(ModelRow { context, ..row("local", id) }));
    desk.reply(facts("other", Some(1)));
    assert_eq!(desk.state.session.context_window, None);
    desk.reply(facts("qwen3-32b", Some(32_000)));
    assert_eq!(desk.state.session.context_window, Some(32_000));
    desk.reply(facts("qwen3-32b", None));
    assert_eq!(desk.state.session.context_window, Some(32_000), "what is known stays");
}

fn usage(input: u64, output: u64) -> Usage {
    Usage { input: Some(input), output: Some(output), ..Usage::default() }
}

#[test]
fn usage_counts_each_round_once_and_costs_what_the_prices_say() {
    let mut desk = desk();
    desk.state.session.prices = Some(Prices { input: 1.0, output: 10.0, cached: None });
    let turn = desk.ask("hi");
    desk.engine(TurnEvent::Usage { turn, round: 1, usage: usage(10, 1) });
    desk.engine(TurnEvent::Usage { turn, round: 1, usage: usage(100, 20) });
    desk.engine(TurnEvent::Usage { turn, round: 2, usage: usage(200, 5) });
    let spent = desk.state.usage.spent();
    assert_eq!((spent.usage.input, spent.usage.output, spent.part), (Some(300), Some(25), false));
    assert_eq!(spent.cost, Some(550e-6));
    desk.ended(TurnStatus::Ok);
    let turn = desk.ask("more");
    desk.state.session.prices = None;
    desk.engine(TurnEvent::Usage { turn, round: 1, usage: usage(1, 1) });
    let places: Vec<_> = desk.state.usage.rows().iter().map(|row| (row.turn, row.round)).collect();
    assert_eq!(places, [(1, 1), (1, 2), (2, 1)]);
    assert!(desk.state.usage.spent().part, "a round without a price");
    desk.keys("<esc>");
    desk.ended(TurnStatus::Cancelled);
    desk.keys("<ctrl+n>");
    assert!(desk.state.usage.rows().is_empty());
}

#[test]
fn the_context_is_told_by_part_and_sums_up_to_what_was_counted() {
    let mut desk = desk();
    desk.state.session.context_window = Some(1_000);
    desk.keys("hi<enter>");
    let turn = desk.turn();
    let parts = ContextParts { system: 100, tools: 300, history: 400, results: 200 };
    desk.engine(TurnEvent::Request {
        turn,
        round: 1,
        attempt: 1,
        tools: 2,
        tools_hash: String::new(),
        parts,
        of: None,
    });
    desk.engine(TurnEvent::Usage { turn, round: 1, usage: usage(800, 50) });
    let told = desk.state.context_parts().unwrap();
    assert_eq!(told, ContextParts { system: 80, tools: 240, history: 370, results: 160 });
    assert_eq!(told.total(), 850);
    assert!(desk.said().starts_with("The context is 85 % full: /compact"), "{}", desk.said());
}

#[test]
fn a_beginning_that_was_cut_off_in_silence_is_noticed() {
    let mut desk = desk();
    desk.state.session.context_window = Some(4_096);
    desk.keys("hi<enter>");
    let turn = desk.turn();
    let parts = ContextParts { history: 60_000, ..ContextParts::default() };
    desk.engine(TurnEvent::Request {
        turn,
        round: 1,
        attempt: 1,
        tools: 0,
        tools_hash: String::new(),
        parts,
        of: None,
    });
    desk.engine(TurnEvent::Usage { turn, round: 1, usage: usage(3_000, 5) });
    assert!(desk.said().contains("cut off the beginning"), "{}", desk.said());
}

#[test]
fn kept_rounds_stand_before_those_that_were_watched() {
    let mut desk = desk();
    desk.now.wall_ms = 10_000;
    let summary = Summary { tokens: Some(40), ..super::browsing::summary("c1", "t") };
    let conversation = Conversation {
        summary,
        base_url: String::new(),
        system: None,
        messages: Vec::new(),
        forks: Vec::new(),
        open_elsewhere: false,
        extra: Default::default(),
    };
    desk.state.open_generation = 7;
    desk.reply(Reply::Opened { generation: 7, result: Ok(Box::new(conversation)) });
    let generation = desk.effects.iter().find_map(|effect| match effect {
        Effect::Usage { generation, .. } => Some(*generation),
        _ => None,
    });
    let kept =
        |turn, at| RoundUsage { turn, round: 1, at, model: "m".into(), origin: String::new(), usage: usage(10, 10) };
    let prices = Some(Prices { input: 1e6, output: 0.0, cached: None });
    let late = desk.state.now.wall_ms + 5_000;
    let rounds = vec![(kept(1, 5), prices), (kept(2, 6), None), (kept(3, late), None)];
    let generation = generation.unwrap();
    desk.reply(Reply::Usage { generation: generation + 1, rounds: rounds.clone() });
    assert!(desk.state.usage.rows().is_empty());
    desk.reply(Reply::Usage { generation, rounds });
    let turn = desk.ask("go on");
    desk.engine(TurnEvent::Usage { turn, round: 1, usage: usage(1, 1) });
    let rows: Vec<_> = desk.state.usage.rows().iter().map(|row| (row.turn, row.cost)).collect();
    assert_eq!(rows, [(1, Some(10.0)), (2, None), (3, None)]);
}

#[test]
fn a_count_down_is_cut_short_by_r_and_stopped_by_esc() {
    let retrying = |desk: &mut Desk| {
        let turn = desk.ask("hi");
        let fault = Fault::new(FaultKind::RateLimit, "slow down");
        desk.engine(TurnEvent::Retrying { turn, round: 1, attempt: 1, delay_ms: 20_000, fault });
    };
    let mut desk = desk();
    retrying(&mut desk);
    assert!(desk.state.hints().iter().any(|hint| hint.key == "r"), "{:?}", desk.state.hints());
    desk.keys("r");
    assert!(matches!(desk.order(), Order::RetryNow { .. }));
    desk.keys("<esc>");
    assert!(matches!(desk.order(), Order::CancelTurn { .. }));
    let mut desk = super::desk();
    retrying(&mut desk);
    desk.keys("a draftr");
    assert_eq!(desk.text(), "a draftr", "never taken from a text");
    desk.keys("<tab>r");
    assert!(matches!(desk.order(), Order::RetryNow { .. }));
}
