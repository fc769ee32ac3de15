//! Conversations that are written nowhere.

use super::*;

/// What would be written of what a person types.
fn written(desk: &Desk) -> Vec<&Effect> {
    let writes = |effect: &&Effect| {
        matches!(
            effect,
            Effect::RememberPrompt { .. } | Effect::SaveDraft { .. } | Effect::Rename { .. } | Effect::Export { .. }
        )
    };
    desk.effects.iter().filter(writes).collect()
}

fn submitted(desk: &Desk) -> bool {
    desk.orders()
        .iter()
        .find_map(|order| match order {
            Order::Submit(submit) => Some(submit.settings.no_save),
            _ => None,
        })
        .unwrap_or_else(|| panic!("{:?}", desk.effects))
}

#[test]
fn nothing_of_it_is_written_and_the_next_one_is_kept_again() {
    let mut desk = desk();
    desk.keys("/incognito<enter>");
    assert!(desk.state.transcript.incognito && !desk.state.is_kept());
    desk.keys("a secret thought");
    desk.event(Event::Timer(Timer::Draft(desk.state.composer.draft_generation)));
    assert!(written(&desk).is_empty(), "{:?}", desk.effects);
    desk.keys("<enter>");
    assert!(submitted(&desk), "the engine is told not to write it");
    assert!(written(&desk).is_empty(), "{:?}", desk.effects);
    let turn = desk.state.transcript.turn.as_ref().map(|turn| turn.id).unwrap();
    let conversation = ConversationId::new("hidden");
    let base_url = "http://localhost:8000/v1".to_owned();
    desk.engine(TurnEvent::Started {
        turn,
        conversation: conversation.clone(),
        model: "m".into(),
        base_url,
        api: "chat",
    });
    for command in ["/rename x", "/export", "/share", "/delete", "/erase"] {
        desk.keys(command).keys("<enter>");
        assert!(written(&desk).is_empty(), "{command}: {:?}", desk.effects);
        assert!(desk.said().contains("written nowhere"), "{command}: {}", desk.said());
        assert!(desk.state.overlays.is_empty(), "{command}");
    }
    // A draft of it stays with it, here alone.
    desk.keys("half a secret<ctrl+n>");
    assert!(written(&desk).iter().all(|effect| matches!(effect, Effect::SaveDraft { text, .. } if text.is_empty())));
    assert!(desk.state.is_kept(), "the next one is kept");
    desk.keys("an open word");
    desk.keys("<enter>");
    assert!(!submitted(&desk));
    let prompts: Vec<_> = written(&desk);
    assert!(matches!(prompts[0], Effect::RememberPrompt { text } if text == "an open word"), "{prompts:?}");
    assert!(prompts.iter().all(|effect| !format!("{effect:?}").contains("secret")), "{prompts:?}");
    // It is still there, for as long as this process.
    let status = TurnStatus::Ok;
    desk.engine(TurnEvent::Ended { turn, status, text: String::new(), rounds: 1, calls: 0, conversation });
    desk.keys("<alt+r>");
    assert_eq!(desk.text(), "half a secret");
    assert!(!desk.state.is_kept());
}

#[test]
fn a_kept_draft_is_not_brought_into_it() {
    let mut desk = desk();
    desk.keys("/incognito<enter>");
    desk.reply(Reply::Draft { conversation: None, text: "from before".into() });
    assert_eq!(desk.text(), "");
}

#[test]
fn a_session_that_saves_nothing_keeps_no_prompt_and_no_draft() {
    let mut desk = desk();
    desk.state.session.settings.no_save = true;
    desk.keys("not a word");
    desk.event(Event::Timer(Timer::Draft(desk.state.composer.draft_generation)));
    desk.keys("<enter>");
    assert!(submitted(&desk));
    assert!(written(&desk).is_empty(), "{:?}", desk.effects);
    desk.keys("/incognito<enter><ctrl+n>");
    assert!(!desk.state.is_kept());
}
