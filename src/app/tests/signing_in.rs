//! Signing in to a server, from the list of servers to its end.

use super::*;

fn status(state: ServerState, sign_in: Option<SignedIn>) -> ServerStatus {
    ServerStatus {
        state,
        sign_in,
        ..ServerStatus::starting(ServerName::new("tracker"), "http", "https://mcp.example/mcp")
    }
}

fn offer() -> SignInStage {
    SignInStage::Offered(Arc::new(SignInOffer {
        server: ServerName::new("tracker"),
        issuer: "https://login.example".into(),
        host: "login.example".into(),
        scopes: vec!["read".into()],
        url: "https://login.example/authorize?x=1".into(),
        redirect: "http://127.0.0.1:4711/callback".into(),
        client: ClientKind::Registered,
        instead_of: None,
    }))
}

fn signed_in() -> SignedIn {
    SignedIn {
        issuer: "https://login.example".into(),
        scopes: vec!["read".into()],
        until_ms: None,
        renews: true,
        kept: KeptIn::File,
        wants: Vec::new(),
    }
}

fn step(desk: &mut Desk, stage: SignInStage) {
    desk.engine(TurnEvent::SignIn { server: ServerName::new("tracker"), stage });
}

fn said_to_engine(desk: &Desk) -> Vec<SignInStep> {
    desk.orders()
        .into_iter()
        .map(|order| match order {
            Order::SignIn { server, step } if server.as_str() == "tracker" => step.clone(),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn open(desk: &Desk) -> &SignInBox {
    let Some(Overlay::SignIn(open)) = desk.state.overlays.last() else { panic!("no sign-in is open") };
    open
}

/// A desk on which the offer is shown and keys count.
fn offered() -> Desk {
    let mut desk = desk();
    desk.engine(TurnEvent::Server(status(ServerState::NeedsLogin, None)));
    desk.keys("<ctrl+o><enter>");
    assert_eq!(said_to_engine(&desk), [SignInStep::Begin]);
    step(&mut desk, offer());
    desk
}

#[test]
fn the_page_is_opened_by_its_own_key_alone() {
    let mut desk = offered();
    desk.keys("<enter> ");
    desk.event(Event::Paste("o".into()));
    desk.keys("<esc>");
    assert!(desk.effects.is_empty(), "enter, space and a paste open nothing: {:?}", desk.effects);
    desk.keys("o");
    assert!(matches!(&desk.effects[..], [Effect::OpenPage { url }] if url == "https://login.example/authorize?x=1"));
    desk.event(Event::Reply(Reply::PageOpened(Err("there is no screen here".into()))));
    assert!(
        open(&desk).note.as_deref().is_some_and(|note| desk.state.keymap.tell(note).contains("y copies the address"))
    );
    desk.keys("y");
    assert!(matches!(&desk.effects[..], [Effect::Copy { text, .. }] if text.starts_with("https://login.example/")));
}

#[test]
fn keys_typed_before_the_offer_was_seen_do_nothing() {
    let mut desk = desk();
    desk.engine(TurnEvent::Server(status(ServerState::NeedsLogin, None)));
    desk.keys("<ctrl+o>s");
    step(&mut desk, offer());
    desk.effects.clear();
    desk.after(100, Event::Key(Key::parse("o").unwrap()));
    assert!(desk.effects.is_empty());
    desk.after(400, Event::Key(Key::parse("o").unwrap()));
    assert!(matches!(&desk.effects[..], [Effect::OpenPage { .. }]));
}

#[test]
fn an_answer_is_pasted_seen_and_handed_over() {
    let mut desk = offered();
    desk.effects.clear();
    desk.event(Event::Paste(" http://127.0.0.1:4711/callback?code=c&state=s\n".into()));
    assert!(desk.effects.is_empty() && open(&desk).typing && open(&desk).line.masked);
    desk.keys("<enter>");
    let answer = Pasted("http://127.0.0.1:4711/callback?code=c&state=s".into());
    assert_eq!(said_to_engine(&desk), [SignInStep::Answer(answer)]);
    step(&mut desk, SignInStage::NotIt("its state is another".into()));
    assert_eq!(open(&desk).note.as_deref(), Some("that was not it: its state is another"));
    assert!(open(&desk).offer().is_some() && open(&desk).line.text.is_empty());
    // Typed by hand; esc leaves the field, not the sign-in.
    desk.keys("pabc<esc>");
    assert!(desk.orders().is_empty() && open(&desk).line.text.is_empty());
    step(&mut desk, SignInStage::Done { signed_in: signed_in(), remark: None });
    desk.keys("<esc>");
    assert!(desk.orders().is_empty() && matches!(desk.state.overlays.last(), Some(Overlay::Servers(_))));
}

#[test]
fn a_sign_in_is_called_off_tried_again_and_told_of_where_its_layer_is_gone() {
    let mut desk = offered();
    desk.keys("<esc>");
    assert_eq!(said_to_engine(&desk), [SignInStep::Cancel]);
    step(&mut desk, SignInStage::Done { signed_in: signed_in(), remark: None });
    assert!(desk.said().contains("tracker: signed in"), "{}", desk.said());
    let mut desk = offered();
    step(&mut desk, SignInStage::Failed { message: "it was refused".into(), hint: None });
    desk.keys("<enter>");
    assert!(desk.orders().is_empty());
    let mut desk = offered();
    step(&mut desk, SignInStage::Failed { message: "it was refused".into(), hint: None });
    desk.keys("r");
    assert_eq!(said_to_engine(&desk), [SignInStep::Begin]);
    assert_eq!(open(&desk).stage, SignInStage::Asking);
}

#[test]
fn signing_out_asks_first() {
    let mut desk = desk();
    desk.engine(TurnEvent::Server(status(ServerState::Ready, None)));
    desk.keys("<ctrl+o>u");
    assert!(matches!(desk.state.overlays.last(), Some(Overlay::Servers(_))), "nobody is signed in");
    desk.engine(TurnEvent::Server(status(ServerState::Ready, Some(signed_in()))));
    desk.keys("u<enter>");
    assert!(desk.orders().is_empty());
    desk.keys("y");
    assert_eq!(said_to_engine(&desk), [SignInStep::Out]);
}
