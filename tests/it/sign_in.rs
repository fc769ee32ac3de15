//! Signing in to servers: the whole way, over loopback and by hand, with issuers and answers that are not what they should
//! be.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use millrace::chat::{
    CallId, ClientKind, KeptIn, Limits, Pasted, ServerName, ServerState, ServerStatus, SignInOffer, SignInStage,
    SignInStep,
};
use millrace::config::{Consent, KeySource, Secret, ServerEntry, SignInSettings, Source, Transport};
use millrace::mcp::{CallEnd, CallOrder, Host, HostEvent, Keyring, SignIns, client};
use serde_json::{Map, json};
use tokio::sync::mpsc;

#[cfg(unix)]
mod terminal;
mod world;

use world::World;

fn entry(name: &str, url: &str) -> ServerEntry {
    ServerEntry {
        name: name.into(),
        transport: Transport::Http { url: url.to_owned(), headers: BTreeMap::new() },
        trust: false,
        policy: None,
        policies: BTreeMap::new(),
        tools_allow: None,
        dispatch: None,
        dispatches: BTreeMap::new(),
        era: None,
        jsonrpc: false,
        start_timeout: None,
        call_timeout: None,
        consent: Consent::Given,
        source: Source::Program,
        entry_hash: Arc::from(format!("{name}:0123")),
        disabled: None,
        sign_in: SignInSettings::default(),
        features: Default::default(),
    }
}

/// A program with one server, and what it heard.
struct Desk {
    host: Host,
    events: mpsc::Receiver<HostEvent>,
    name: ServerName,
}

fn sign_ins(folder: &Path) -> SignIns {
    SignIns::new(folder.join("sign-in"), Keyring::None, Duration::from_secs(60))
}

impl Desk {
    fn start(folder: &Path, entry: ServerEntry) -> Self {
        let limits = Limits::default();
        let (host, events) = Host::new(client(&limits).unwrap(), Arc::new(limits), None);
        let host = host.signed_in_by(sign_ins(folder));
        let name = entry.name.clone();
        host.start(entry);
        Self { host, events, name }
    }

    async fn event(&mut self) -> HostEvent {
        tokio::time::timeout(Duration::from_secs(20), self.events.recv()).await.expect("no news for 20 s").unwrap()
    }

    async fn status(&mut self, state: ServerState) -> ServerStatus {
        loop {
            if let HostEvent::Status(status) = self.event().await
                && status.state == state
            {
                return status;
            }
        }
    }

    /// The next step of the sign-in that is news to a person.
    async fn stage(&mut self) -> SignInStage {
        loop {
            if let HostEvent::SignIn { stage, .. } = self.event().await
                && !matches!(stage, SignInStage::Asking | SignInStage::Redeeming)
            {
                return stage;
            }
        }
    }

    fn say(&self, step: SignInStep) {
        self.host.sign_in(&self.name, step);
    }

    async fn offer(&mut self) -> Arc<SignInOffer> {
        self.say(SignInStep::Begin);
        match self.stage().await {
            SignInStage::Offered(offer) => offer,
            other => panic!("{other:?}"),
        }
    }

    /// Why there is no offer.
    async fn refused(&mut self) -> String {
        self.say(SignInStep::Begin);
        match self.stage().await {
            SignInStage::Failed { message, .. } => message,
            other => panic!("{other:?}"),
        }
    }

    /// A person who agrees to everything, in a browser on this machine.
    async fn sign_in(&mut self, world: &World) -> Arc<SignInOffer> {
        let offer = self.offer().await;
        let answer = world.browse(&offer.url).await;
        let page = reqwest::get(&answer).await.unwrap();
        assert_eq!(page.status(), 200);
        let stage = self.stage().await;
        assert!(matches!(stage, SignInStage::Done { .. }), "{stage:?}");
        offer
    }

    async fn call(&self) -> CallEnd {
        let (call, server, tool) = (CallId::new("c1"), self.name.clone(), "echo".to_owned());
        self.host.call(CallOrder { call, server, tool, arguments: Map::new() }).end().await
    }
}

fn done() -> CallEnd {
    CallEnd::Result(json!({"content": [{"type": "text", "text": "done"}]}))
}

/// Every file below a folder, as text.
fn files(folder: &Path) -> String {
    let mut text = String::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for file in std::fs::read_dir(folder).into_iter().flatten() {
            let path = file.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    text
}

#[tokio::test]
async fn a_person_signs_in_by_the_browser_and_stays_signed_in() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(|memory| {
        memory.challenge_scope = Some("echo:use");
        memory.metadata = vec![("scopes_supported", json!(["echo:use", "offline_access", "admin"]))];
    })
    .await;
    let mut desk = Desk::start(folder.path(), entry("fake", &world.server));
    let status = desk.status(ServerState::NeedsLogin).await;
    assert_eq!(status.message.as_deref(), Some("it wants you to sign in. Sign in: millrace mcp login fake"));
    let offer = desk.sign_in(&world).await;
    assert_eq!((offer.issuer.as_str(), offer.client), (world.issuer.as_str(), ClientKind::Registered));
    assert_eq!(offer.scopes, ["echo:use", "offline_access"]);
    let status = desk.status(ServerState::Ready).await;
    let signed_in = status.sign_in.unwrap();
    assert_eq!((signed_in.kept, signed_in.renews, signed_in.until_ms), (KeptIn::File, true, None));
    assert_eq!(desk.call().await, done());
    desk.host.shutdown().await;
    {
        let memory = world.memory();
        assert_eq!(memory.registered.len(), 1);
        assert_eq!(memory.registered[0]["application_type"], "native");
        assert_eq!(memory.registered[0]["redirect_uris"], json!([offer.redirect]));
        assert_eq!(memory.asked[0]["resource"], world.server);
        assert_eq!(memory.asked[0]["client_id"], "client-1");
        assert!(memory.pages[0].contains("resource=http%3A%2F%2F127.0.0.1"));
    }
    // Another day: nobody is asked.
    let mut again = Desk::start(folder.path(), entry("fake", &world.server));
    again.status(ServerState::Ready).await;
    assert_eq!(world.memory().pages.len(), 1);
    assert_eq!(sign_ins(folder.path()).state(&entry("fake", &world.server)).unwrap().unwrap().issuer, world.issuer);
}

#[tokio::test]
async fn over_ssh_the_address_is_pasted_and_judged_as_if_it_had_come_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(|_| ()).await;
    let mut desk = Desk::start(folder.path(), entry("fake", &world.server));
    let offer = desk.offer().await;
    let answer = world.browse(&offer.url).await;
    let query = |from: &str, to: &str| answer.replace(from, to);
    let issuer = world.issuer.replace(':', "%3A").replace('/', "%2F");
    for (wrong, why) in [
        (offer.url.clone(), "the page to sign in at"),
        (query("state=", "state=x"), "its state is another"),
        (query(&issuer, "https%3A%2F%2Fevil.example"), "that came from https://evil.example"),
        (query("iss=", "was="), "does not say from whom it came"),
        (query("127.0.0.1", "127.0.0.2"), "not the address that the sign-in ends on"),
    ] {
        desk.say(SignInStep::Answer(Pasted(wrong)));
        match desk.stage().await {
            SignInStage::NotIt(said) => assert!(said.contains(why), "{said} / {why}"),
            other => panic!("{other:?}"),
        }
    }
    // Nothing of that used the right answer up.
    desk.say(SignInStep::Answer(Pasted(format!("  {answer}\n"))));
    assert!(matches!(desk.stage().await, SignInStage::Done { .. }));
    desk.status(ServerState::Ready).await;
    assert_eq!(world.memory().asked.len(), 1, "only the right answer was exchanged");
}

#[tokio::test]
async fn strangers_at_the_callback_end_nothing_and_hear_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(|_| ()).await;
    let mut desk = Desk::start(folder.path(), entry("fake", &world.server));
    let offer = desk.offer().await;
    let base = offer.redirect.trim_end_matches("/callback");
    let get = async |path: &str, host: Option<&str>| {
        let request = reqwest::Client::new().get(format!("{base}{path}"));
        let request = host.into_iter().fold(request, |request, host| request.header("host", host));
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(get("/favicon.ico", None).await.0, 404);
    let (status, page) = get("/callback?code=x&state=<script>evil", None).await;
    assert!(status == 400 && !page.contains("evil"), "{status} {page}");
    let answer = world.browse(&offer.url).await;
    let path = answer.strip_prefix(base).unwrap();
    assert_eq!(get(path, Some("evil.example")).await.0, 404, "a name that leads here is not ours");
    // A connection in advance, as browsers make them.
    let _idle = tokio::net::TcpStream::connect(base.trim_start_matches("http://")).await.unwrap();
    assert_eq!(get(path, None).await.0, 200);
    assert!(matches!(desk.stage().await, SignInStage::Done { .. }));
    // It was for one answer.
    tokio::time::timeout(Duration::from_secs(5), async {
        while tokio::net::TcpStream::connect(base.trim_start_matches("http://")).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the callback still listens");
}

#[tokio::test]
async fn a_refusal_is_told_only_where_it_is_the_issuers() {
    let evil = "\u{1b}[2JYour account is locked, call 0800";
    for (iss, told) in [(None, true), (Some("https://evil.example"), false)] {
        let folder = tempfile::tempdir().unwrap();
        let world = World::new(|memory| {
            memory.error = Some(("access_denied", evil));
            memory.iss = iss;
        })
        .await;
        let mut desk = Desk::start(folder.path(), entry("fake", &world.server));
        let offer = desk.offer().await;
        let answer = world.browse(&offer.url).await;
        desk.say(SignInStep::Answer(Pasted(answer)));
        match desk.stage().await {
            SignInStage::Failed { message, .. } if told => assert!(message.contains("0800"), "{message}"),
            SignInStage::NotIt(message) if !told => assert!(!message.contains("0800"), "{message}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn without_pkce_there_is_no_sign_in_unless_the_user_knows_better() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(|memory| memory.metadata = vec![("code_challenge_methods_supported", json!(null))]).await;
    let mut desk = Desk::start(folder.path(), entry("fake", &world.server));
    assert!(desk.refused().await.contains("does not say that it supports PKCE"));
    assert!(world.memory().registered.is_empty() && world.memory().pages.is_empty());
    let mut trusting = entry("fake", &world.server);
    trusting.sign_in.assume_pkce = true;
    Desk::start(folder.path(), trusting).sign_in(&world).await;
}

#[tokio::test]
async fn issuers_that_are_not_who_they_should_be_are_refused() {
    type Knob = fn(&mut world::Memory);
    let knobs: [(Knob, &str); 6] = [
        (
            |m| m.metadata = vec![("issuer", json!("https://honest.example"))],
            "says of itself that it is https://honest",
        ),
        (|m| m.resource = vec![("resource", json!("https://other.example/mcp"))], "describes another server"),
        (
            |m| m.resource = vec![("authorization_servers", json!(["https://10.0.0.1"]))],
            "an address of a private network",
        ),
        (|m| m.resource = vec![("authorization_servers", json!(["http://169.254.169.254"]))], "a link-local address"),
        (|m| m.metadata = vec![("token_endpoint", json!("http://as.example/token"))], "asked over plain http"),
        (|m| m.metadata = vec![("authorization_endpoint", json!("javascript:alert(1)"))], "has no host"),
    ];
    for (knob, why) in knobs {
        let folder = tempfile::tempdir().unwrap();
        let world = World::new(knob).await;
        let mut desk = Desk::start(folder.path(), entry("fake", &world.server));
        let said = desk.refused().await;
        assert!(said.contains(why), "{said} / {why}");
        assert!(world.memory().registered.is_empty(), "{why}");
    }
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(|_| ()).await;
    let mut picky = entry("fake", &world.server);
    picky.sign_in.issuer = Some("https://login.example.com".into());
    let said = Desk::start(folder.path(), picky).refused().await;
    assert!(said.contains("the configuration accepts https://login.example.com alone"), "{said}");
}

#[tokio::test]
async fn a_token_is_renewed_before_its_end_and_each_refresh_token_is_spent_once() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(|memory| memory.lasts_s = Some(20)).await;
    let mut desk = Desk::start(folder.path(), entry("fake", &world.server));
    desk.sign_in(&world).await;
    desk.status(ServerState::Ready).await;
    desk.host.shutdown().await;
    let spent: Vec<String> =
        world.memory().asked.iter().filter_map(|form| form.get("refresh_token").cloned()).collect();
    assert!(!spent.is_empty(), "20 s are less than the 30 before which it is renewed");
    let unique: std::collections::BTreeSet<_> = spent.iter().collect();
    assert_eq!(unique.len(), spent.len());
    assert!(world.memory().asked.iter().all(|form| form["resource"] == world.server));
    // The last one is what is kept.
    let kept = files(folder.path());
    assert!(spent.iter().all(|token| !kept.contains(token.as_str())), "{kept}");
}

#[tokio::test]
async fn a_token_that_is_refused_in_mid_session_is_renewed_once_and_silently() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(|_| ()).await;
    let mut desk = Desk::start(folder.path(), entry("fake", &world.server));
    desk.sign_in(&world).await;
    desk.status(ServerState::Ready).await;
    world.forget_tokens();
    assert_eq!(desk.call().await, done());
    let calls = |world: &World| world.memory().heard.iter().filter(|(_, method)| method == "tools/call").count();
    assert_eq!(calls(&world), 2, "once refused unread, once with the new token");

    // And where that is refused too, a person must sign in; the call is told not to have run.
    world.memory().refuse_refresh = Some("invalid_grant");
    world.forget_tokens();
    let CallEnd::NotSent { message } = desk.call().await else { panic!("it did not run") };
    assert_eq!(message, "it wants you to sign in. Sign in: millrace mcp login fake");
    let status = desk.status(ServerState::NeedsLogin).await;
    assert_eq!(status.sign_in, None);
    assert_eq!(calls(&world), 3);
    let kept = files(folder.path());
    assert!(!kept.contains("canary-access") && !kept.contains("canary-refresh"), "{kept}");

    // The registration is still good.
    world.memory().refuse_refresh = None;
    desk.sign_in(&world).await;
    desk.status(ServerState::Ready).await;
    assert_eq!(world.memory().registered.len(), 1);
}

#[tokio::test]
async fn a_client_that_the_issuer_forgot_is_registered_anew() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(|_| ()).await;
    let mut desk = Desk::start(folder.path(), entry("fake", &world.server));
    desk.sign_in(&world).await;
    desk.status(ServerState::Ready).await;
    world.memory().refuse_refresh = Some("invalid_client");
    world.forget_tokens();
    assert!(matches!(desk.call().await, CallEnd::NotSent { .. }));
    desk.status(ServerState::NeedsLogin).await;
    desk.sign_in(&world).await;
    assert_eq!(world.memory().registered.len(), 2);
    assert_eq!(world.memory().asked.last().unwrap()["client_id"], "client-2");
}

#[tokio::test]
async fn signing_out_leaves_nothing_behind_and_tells_the_issuer() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(|_| ()).await;
    let mut desk = Desk::start(folder.path(), entry("fake", &world.server));
    desk.sign_in(&world).await;
    desk.status(ServerState::Ready).await;
    assert!(files(folder.path()).contains("canary-access"));
    desk.say(SignInStep::Out);
    let stage = desk.stage().await;
    assert_eq!(stage, SignInStage::Out(format!("signed out; {} was told", world.issuer)));
    desk.status(ServerState::NeedsLogin).await;
    assert_eq!(world.memory().revoked[0]["token"], "canary-refresh-1");
    let left = files(folder.path());
    assert!(!left.contains("canary") && !left.contains("client-1"), "{left}");
    assert_eq!(sign_ins(folder.path()).out(&entry("fake", &world.server)).await, Ok("nobody was signed in".into()));
}

#[tokio::test]
async fn a_token_never_goes_to_another_origin() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(|_| ()).await;
    let elsewhere = World::new(|_| ()).await;
    let mut desk = Desk::start(folder.path(), entry("fake", &world.server));
    desk.sign_in(&world).await;
    desk.status(ServerState::Ready).await;
    world.memory().moved_to = Some(elsewhere.server.clone());
    assert_ne!(desk.call().await, done());
    assert!(elsewhere.memory().heard.is_empty(), "no message, and so no token");
    // An entry that points elsewhere under the same hash does not get it either.
    let mut moved = Desk::start(folder.path(), entry("fake", &elsewhere.server));
    moved.status(ServerState::NeedsLogin).await;
    assert!(elsewhere.memory().heard.iter().all(|(token, _)| token.is_none()));
}

#[tokio::test]
async fn two_servers_of_one_issuer_have_a_sign_in_each() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(|_| ()).await;
    let mut one = Desk::start(folder.path(), entry("one", &world.server));
    one.sign_in(&world).await;
    one.status(ServerState::Ready).await;
    let mut two = Desk::start(folder.path(), entry("two", &world.server));
    two.status(ServerState::NeedsLogin).await;
    two.sign_in(&world).await;
    two.status(ServerState::Ready).await;
    one.say(SignInStep::Out);
    assert!(matches!(one.stage().await, SignInStage::Out(_)));
    assert_eq!(two.call().await, done());
    let kept = files(folder.path());
    assert!(!kept.contains("canary-access-1") && kept.contains("canary-access-2"), "{kept}");
}

#[tokio::test]
async fn what_is_missing_is_asked_for_beside_what_was_granted() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(|memory| {
        memory.challenge_scope = Some("read");
        memory.needs = Some("write");
    })
    .await;
    let mut desk = Desk::start(folder.path(), entry("fake", &world.server));
    desk.sign_in(&world).await;
    desk.status(ServerState::Ready).await;
    let CallEnd::NotSent { message } = desk.call().await else { panic!("it did not run") };
    assert!(message.starts_with("it wants more permission than you gave it: write."), "{message}");
    let status = desk.status(ServerState::Ready).await;
    assert_eq!(status.sign_in.unwrap().wants, ["write"]);
    let offer = desk.sign_in(&world).await;
    assert_eq!(offer.scopes, ["read", "write"]);
    desk.status(ServerState::Ready).await;
    assert_eq!(desk.call().await, done());
    // A server that wants it still, having it, is not asked about again and again.
    world.memory().tokens.values_mut().for_each(|scopes| *scopes = "read".into());
    assert!(matches!(desk.call().await, CallEnd::NotSent { .. }));
    assert!(desk.refused().await.contains("it was given all that it asks for (write)"));
}

#[tokio::test]
async fn clients_prove_themselves_as_the_issuer_wants_it() {
    for (method, basic) in [("client_secret_basic", true), ("client_secret_post", false)] {
        let folder = tempfile::tempdir().unwrap();
        let world = World::new(|memory| {
            memory.metadata = vec![("token_endpoint_auth_methods_supported", json!([method]))];
            memory.secret = Some("canary-client");
        })
        .await;
        let mut desk = Desk::start(folder.path(), entry("fake", &world.server));
        desk.sign_in(&world).await;
        let memory = world.memory();
        assert_eq!(memory.registered[0]["token_endpoint_auth_method"], method);
        assert_eq!(memory.proofs[0].is_some(), basic);
        assert_eq!(memory.asked[0].contains_key("client_secret"), !basic);
    }
}

#[tokio::test]
async fn a_client_of_the_configuration_is_used_and_its_secret_stays_there() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(|memory| memory.metadata = vec![("registration_endpoint", json!(null))]).await;
    let mut desk = Desk::start(folder.path(), entry("fake", &world.server));
    let said = desk.refused().await;
    assert!(said.contains("knows no millrace"), "{said}");
    let mut known = entry("fake", &world.server);
    known.sign_in.client_id = Some("mine".into());
    known.sign_in.client_secret = Some(KeySource::Literal(Secret::new("canary-mine")));
    let mut desk = Desk::start(folder.path(), known.clone());
    let offer = desk.sign_in(&world).await;
    assert_eq!(offer.client, ClientKind::Configured);
    desk.status(ServerState::Ready).await;
    assert!(!files(folder.path()).contains("canary-mine"));
    world.forget_tokens();
    assert_eq!(desk.call().await, done(), "the secret is there for a refresh too");
    let memory = world.memory();
    assert!(memory.proofs.iter().all(|proof| proof.as_deref() == Some("Basic bWluZTpjYW5hcnktbWluZQ==")));
}

#[tokio::test]
async fn a_metadata_document_is_the_client_where_the_issuer_supports_that() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(|m| m.metadata = vec![("client_id_metadata_document_supported", json!(true))]).await;
    let mut known = entry("fake", &world.server);
    known.sign_in.client_metadata_url = Some("https://me.example/millrace.json".into());
    let offer = Desk::start(folder.path(), known).sign_in(&world).await;
    assert_eq!(offer.client, ClientKind::Document);
    assert!(world.memory().registered.is_empty());
    assert_eq!(world.memory().asked[0]["client_id"], "https://me.example/millrace.json");
}

#[tokio::test]
async fn a_server_that_changes_its_issuer_gets_nothing_of_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(|_| ()).await;
    let other = World::new(|_| ()).await;
    let mut desk = Desk::start(folder.path(), entry("fake", &world.server));
    desk.sign_in(&world).await;
    desk.status(ServerState::Ready).await;
    world.memory().refuse_refresh = Some("invalid_grant");
    world.forget_tokens();
    world.memory().resource = vec![("authorization_servers", json!([other.issuer]))];
    assert!(matches!(desk.call().await, CallEnd::NotSent { .. }));
    let offer = desk.offer().await;
    assert_eq!(offer.instead_of.as_deref(), Some(world.issuer.as_str()));
    assert_eq!(other.memory().registered.len(), 1, "it is a stranger there");
    let answer = other.browse(&offer.url).await;
    desk.say(SignInStep::Answer(Pasted(answer)));
    assert!(matches!(desk.stage().await, SignInStage::Done { .. }));
    assert!(!files(folder.path()).contains(&world.issuer));
}

#[tokio::test]
async fn a_sign_in_that_is_called_off_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(|_| ()).await;
    let mut desk = Desk::start(folder.path(), entry("fake", &world.server));
    let offer = desk.offer().await;
    let answer = world.browse(&offer.url).await;
    desk.say(SignInStep::Cancel);
    tokio::time::timeout(Duration::from_secs(5), async {
        while reqwest::get(&answer).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it still listens");
    assert!(world.memory().asked.is_empty());
    let plain = entry("own", "http://127.0.0.1:9/mcp");
    let own = Transport::Http {
        url: "http://127.0.0.1:9/mcp".into(),
        headers: BTreeMap::from([("authorization".to_owned(), Secret::new("Bearer x"))]),
    };
    let mut desk = Desk::start(folder.path(), ServerEntry { transport: own, ..plain });
    assert_eq!(desk.refused().await, "there is nothing to sign in to");
}
