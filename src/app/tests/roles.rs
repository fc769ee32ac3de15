//! The role that a conversation is held in.

use super::browsing::summary;
use super::*;
use crate::config::Role;

/// A session with two roles, of which one puts another model in place.
fn cast() -> Desk {
    let mut desk = desk();
    let casting = &mut desk.state.session.casting;
    casting.system = Some("be plain".into());
    casting.sampling.temperature = Some(0.7);
    casting.roles = vec![
        Role { name: "brief".into(), system: Some("in one sentence".into()), ..Role::default() },
        Role {
            name: "reviewer".into(),
            system: Some("name the worst defect".into()),
            model: Some("big".into()),
            tools: Some(vec!["fs/read_*".into()]),
            temperature: Some(0.1),
            ..Role::default()
        },
    ];
    desk.state.session.settings.system = Some("be plain".into());
    desk.state.session.settings.sampling.temperature = Some(0.7);
    desk
}

/// How the turn is asked that was sent last.
fn asked(desk: &Desk) -> (String, Option<String>, Option<f64>, Option<TurnRole>) {
    let Some(Order::Submit(submit)) = desk.orders().into_iter().next_back() else { panic!("{:?}", desk.effects) };
    let settings = submit.settings.clone();
    (settings.model, settings.system, settings.sampling.temperature, settings.role)
}

#[test]
fn a_role_holds_until_another_is_chosen() {
    let mut desk = cast();
    desk.keys("/role reviewer<enter>");
    assert_eq!(desk.said(), "reviewer from the next message on: asks big, tools fs/read_*");
    let asks = |effect: &Effect| matches!(effect, Effect::ModelFacts { model, ask: true } if model == "big");
    assert!(desk.effects.iter().any(asks));
    desk.keys("look<enter>");
    let tools = Some(vec!["fs/read_*".to_owned()].into());
    let role = TurnRole { name: "reviewer".into(), tools };
    assert_eq!(asked(&desk), ("big".into(), Some("name the worst defect".into()), Some(0.1), Some(role)));
    desk.ended(TurnStatus::Ok);
    desk.keys("/role none<enter>look<enter>");
    assert_eq!(asked(&desk), ("qwen3-32b".into(), Some("be plain".into()), Some(0.7), Some(TurnRole::default())));
    let mut desk = cast();
    desk.keys("/role revuewer<enter>");
    assert_eq!(desk.said(), "no role is called revuewer; did you mean reviewer?");
}

#[test]
fn a_person_has_the_last_word_on_the_model() {
    let mut desk = cast();
    desk.keys("/role reviewer<enter>/model small<enter>look<enter>");
    assert_eq!(asked(&desk).0, "small");
    desk.ended(TurnStatus::Ok);
    desk.keys("/role none<enter>look<enter>");
    assert_eq!(asked(&desk).0, "small");
}

#[test]
fn each_conversation_has_its_own() {
    let mut desk = cast();
    desk.state.session.casting.first = Some("brief".into());
    desk.keys("/role reviewer<enter>");
    let turn = desk.ask("first");
    desk.keys("one more<enter><ctrl+n>second<enter>");
    assert_eq!(asked(&desk).3.unwrap().name, "brief");
    assert_eq!(desk.state.session.settings.model, "qwen3-32b");
    // What waited in the first one goes in its own role, and changes nothing here.
    desk.effects.clear();
    let conversation = ConversationId::new("c1");
    let status = TurnStatus::Ok;
    desk.engine(TurnEvent::Ended { turn, status, text: String::new(), rounds: 1, calls: 0, conversation });
    assert_eq!((asked(&desk).0, asked(&desk).3.unwrap().name), ("big".into(), "reviewer".into()));
    assert_eq!(desk.state.transcript.role.as_deref(), Some("brief"));
    assert_eq!(desk.state.session.settings.system.as_deref(), Some("in one sentence"));
    desk.keys("<alt+r>");
    assert_eq!(desk.state.transcript.role.as_deref(), Some("reviewer"));
    assert_eq!(desk.state.session.settings.system.as_deref(), Some("name the worst defect"));
}

#[test]
fn one_that_is_opened_again_is_held_as_it_was() {
    let open = |desk: &mut Desk, role: &str| {
        let conversation = Conversation {
            summary: summary("old", "old"),
            base_url: String::new(),
            system: None,
            messages: Vec::new(),
            forks: Vec::new(),
            open_elsewhere: false,
            extra: serde_json::json!({"role": role}),
        };
        let mut out = Vec::new();
        desk.state.load(conversation, &mut out);
    };
    let mut desk = cast();
    open(&mut desk, "reviewer");
    assert_eq!((desk.state.transcript.role.as_deref(), &*desk.state.session.settings.model), (Some("reviewer"), "big"));
    open(&mut desk, "gone");
    assert_eq!((desk.state.transcript.role.as_deref(), &*desk.state.session.settings.model), (None, "qwen3-32b"));
    assert_eq!(desk.said(), "this conversation was held as gone, which is no role of yours any more");
}

#[test]
fn roles_are_found_by_a_few_letters() {
    let mut desk = cast();
    desk.keys("/role re");
    let open = desk.state.composer.completion.as_ref().unwrap();
    assert_eq!((open.rows[0].text.as_str(), open.rows[0].note.as_str()), ("reviewer", "big"));
    desk.keys("<enter>");
    assert_eq!((desk.state.transcript.role.as_deref(), desk.text().as_str()), (Some("reviewer"), ""));
    // The list stands on the one that holds, and ends with none.
    desk.keys("/role<enter>");
    let Some(Overlay::Roles(list)) = desk.state.overlays.last() else { panic!() };
    assert_eq!((list.selected, list.rows.len()), (1, 3));
    desk.keys("bri<enter>");
    assert_eq!(desk.state.transcript.role.as_deref(), Some("brief"));
    assert!(desk.state.overlays.is_empty());
    desk.keys("/role<enter><down><enter>");
    assert_eq!(desk.state.transcript.role.as_deref(), Some("reviewer"));
    let mut none = super::desk();
    none.keys("/role<enter>");
    assert!(none.state.overlays.is_empty() && none.said().starts_with("no roles yet"), "{}", none.said());
}
