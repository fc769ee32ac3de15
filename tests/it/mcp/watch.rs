//! Watched resources, in both eras, with servers that keep their word and servers that do not.

use std::sync::atomic::{AtomicU32, Ordering};

use axum::response::Response;
use millrace::chat::{ServerNews, ServerQuery, ServerReply, WatchStanding};

use super::web::{Asked, Web, error, modern, result, status, stream};
use super::*;

const A: &str = "demo://a";
const B: &str = "demo://b";

/// A server of 2025-06-18 with resources to subscribe to. A call has it say that `demo://a` changed.
const SUBSCRIBES: &str = r#"
initialize() { reply "$1" '{"protocolVersion":"2025-06-18","capabilities":{"tools":{},"resources":{"subscribe":true}},"serverInfo":{"name":"fake","version":"1"}}'; }
changed() { put '{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"'"$1"'"}}'; }
subscribe() { reply "$1" '{}'; }
call() { changed demo://a; reply "$1" '{"content":[]}'; }
other() { case $line in
  *'"method":"resources/subscribe"'*) subscribe "$1" ;;
  *) reply "$1" '{}' ;;
esac; }
"#;

fn fake(overrides: &str) -> Fake {
    Fake::new(&format!("{SUBSCRIBES}{overrides}"))
}

async fn ask(up: &Up, query: ServerQuery) -> ServerReply {
    up.host.query(&ServerName::new("fake"), query).await.unwrap()
}

async fn watch(up: &Up, uri: &str) -> WatchStanding {
    let ServerReply::Watch { standing, .. } = ask(up, ServerQuery::Watch { uri: uri.into() }).await else {
        panic!("another answer")
    };
    standing
}

async fn unwatch(up: &Up, uri: &str) {
    assert_eq!(ask(up, ServerQuery::Unwatch { uri: uri.into() }).await, ServerReply::Unwatched);
}

async fn news(up: &mut Up) -> ServerNews {
    loop {
        if let HostEvent::News { news, .. } = up.event().await {
            return news;
        }
    }
}

/// The next word about how it stands with one.
async fn standing(up: &mut Up, of: &str) -> WatchStanding {
    loop {
        if let ServerNews::Watch { uri, standing } = news(up).await
            && uri == of
        {
            return standing;
        }
    }
}

fn updated(uri: &str, certain: bool) -> ServerNews {
    ServerNews::ResourceUpdated { uri: uri.into(), certain }
}

/// Until what is expected has been written to the log of a server.
async fn until(done: impl Fn() -> bool) {
    let waited = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waited).await.expect("it did not come to that in 20 s");
}

#[tokio::test]
async fn a_watched_resource_is_subscribed_to_told_of_and_let_go() {
    let fake = fake("");
    let mut up = fake.up(Limits::default()).await;
    up.status(ServerState::Ready).await;
    assert_eq!(watch(&up, A).await, WatchStanding::Asked);
    assert_eq!(standing(&mut up, A).await, WatchStanding::Kept);
    assert_eq!(watch(&up, A).await, WatchStanding::Kept, "twice is once");
    up.call("echo", json!({})).end().await;
    assert_eq!(news(&mut up).await, updated(A, true));
    up.host.look(&ServerName::new("fake"));
    let status = up.status(ServerState::Ready).await;
    assert_eq!((status.life.watched, status.life.unwatched), (1, 0));
    unwatch(&up, A).await;
    until(|| fake.read("resources/unsubscribe") == 1).await;
    assert_eq!(fake.read("resources/subscribe"), 1);
    // What it still says is nobody's business: the next news is of another.
    up.call("echo", json!({})).end().await;
    watch(&up, B).await;
    assert_eq!(news(&mut up).await, ServerNews::Watch { uri: B.into(), standing: WatchStanding::Kept });
}

#[tokio::test]
async fn a_server_that_does_not_say_that_it_can_is_not_asked() {
    let without = fake(
        r#"initialize() { reply "$1" '{"protocolVersion":"2025-06-18","capabilities":{"resources":{}},"serverInfo":{"name":"f","version":"1"}}'; }"#,
    );
    let mut up = without.up(Limits::default()).await;
    up.status(ServerState::Ready).await;
    watch(&up, A).await;
    assert_eq!(standing(&mut up, A).await, WatchStanding::NotOffered);
    // Nor is one that could, where its configuration does not want it.
    let unwanted = fake("");
    let mut entry = unwanted.entry();
    entry.features.watch = false;
    let mut up = Up::new(Limits::default(), None, entry).await;
    up.status(ServerState::Ready).await;
    watch(&up, A).await;
    assert_eq!(standing(&mut up, A).await, WatchStanding::NotOffered);
    assert_eq!((without.read("resources/subscribe"), unwanted.read("resources/subscribe")), (0, 0));
}

#[tokio::test]
async fn a_refusal_is_told_with_its_reason_and_costs_no_other() {
    let fake = fake(
        r#"subscribe() { case $line in *demo://b*) refuse "$1" -32602 'no such resource' ;; *) reply "$1" '{}' ;; esac; }"#,
    );
    let mut up = fake.up(Limits { watched: 2, ..Limits::default() }).await;
    up.status(ServerState::Ready).await;
    watch(&up, B).await;
    let WatchStanding::Refused(why) = standing(&mut up, B).await else { panic!("it took it") };
    assert_eq!(why, "it does not tell of its changes: no such resource");
    watch(&up, A).await;
    assert_eq!(standing(&mut up, A).await, WatchStanding::Kept);
    let WatchStanding::Refused(why) = watch(&up, "demo://c").await else { panic!("a third of two") };
    assert!(why.contains("[limits] watched"), "{why}");
    assert_eq!(fake.read("resources/subscribe"), 2, "a refusal is not asked again by itself");
    // By another wish it is.
    assert_eq!(watch(&up, B).await, WatchStanding::Asked);
    assert!(matches!(standing(&mut up, B).await, WatchStanding::Refused(_)));
    assert_eq!(fake.read("resources/subscribe"), 3);
    // The third of two comes in as soon as there is room.
    unwatch(&up, B).await;
    assert_eq!(standing(&mut up, "demo://c").await, WatchStanding::Kept);
    assert_eq!(fake.read("resources/subscribe"), 4);
}

#[tokio::test]
async fn in_the_new_era_a_refusal_is_asked_for_again_on_the_wire_by_a_new_wish_alone() {
    let (web, mut up) = listening(|asked, before| {
        let of = match before {
            0 | 1 => json!({"resourceSubscriptions": [A]}),
            _ => asked.json()["params"]["notifications"].clone(),
        };
        stream(&[acknowledged(asked, &of)], true)
    })
    .await;
    watch(&up, A).await;
    assert_eq!(standing(&mut up, A).await, WatchStanding::Kept);
    watch(&up, B).await;
    assert!(matches!(standing(&mut up, B).await, WatchStanding::Refused(_)));
    assert_eq!(watch(&up, A).await, WatchStanding::Kept);
    assert_eq!(web.count("subscriptions/listen"), 2, "not by itself");
    assert_eq!(watch(&up, B).await, WatchStanding::Asked);
    assert_eq!(standing(&mut up, B).await, WatchStanding::Kept, "its server has it now");
    assert_eq!(web.count("subscriptions/listen"), 3);
    // A refusal that stays one is asked once for each wish, too.
    let (refusing, mut up) = listening(|asked, _| error(asked, 200, -32602, "not that one")).await;
    for wishes in 1..=2 {
        watch(&up, A).await;
        assert_eq!(standing(&mut up, A).await, WatchStanding::Refused("not that one".into()));
        assert_eq!(refusing.count("subscriptions/listen"), wishes);
    }
}

#[tokio::test]
async fn a_flood_is_one_piece_of_news_and_holds_nothing_up() {
    let fake = fake(
        r#"call() { i=0; while [ $i -lt 10000 ]; do changed demo://a; changed demo://x; i=$((i+1)); done; reply "$1" '{"content":[]}'; }"#,
    );
    let mut up = fake.up(Limits::default()).await;
    up.status(ServerState::Ready).await;
    watch(&up, A).await;
    assert_eq!(standing(&mut up, A).await, WatchStanding::Kept);
    let begun = std::time::Instant::now();
    let end = up.call("echo", json!({})).end().await;
    assert!(matches!(end, CallEnd::Result(_)), "{end:?}");
    let seconds = begun.elapsed().as_secs() + 2;
    let mut told = 0;
    while let Ok(event) = tokio::time::timeout(Duration::from_millis(1500), up.events.recv()).await {
        if let Some(HostEvent::News { news, .. }) = event {
            assert_eq!(news, updated(A, true));
            told += 1;
        }
    }
    assert!((1..=seconds).contains(&told), "{told} in {seconds} s");
}

#[tokio::test]
async fn after_a_death_it_is_asked_again_and_what_was_missed_may_have_changed() {
    let fake = fake("call() { exit 3; }");
    let mut up = fake.up(Limits::default()).await;
    up.status(ServerState::Ready).await;
    watch(&up, A).await;
    assert_eq!(standing(&mut up, A).await, WatchStanding::Kept);
    up.call("echo", json!({})).end().await;
    up.status(ServerState::Failed).await;
    assert_eq!(news(&mut up).await, updated(A, false));
    assert_eq!(fake.read("resources/subscribe"), 2);
    // Nothing of it outlives its server.
    up.host.stop(&ServerName::new("fake"));
    assert_eq!(watch(&up, A).await, WatchStanding::NotOffered);
    unwatch(&up, A).await;
}

/// One that answers each listening as `listen` says, given how many came before.
async fn listening(listen: impl Fn(&Asked, u32) -> Response + Clone + Send + Sync + 'static) -> (Web, Up) {
    let count = Arc::new(AtomicU32::new(0));
    let web = Web::serve(move |asked| match asked.method().as_str() {
        "server/discover" => result(
            asked,
            &json!({"resultType": "complete", "ttlMs": 0, "cacheScope": "private", "supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {}, "resources": {"subscribe": true}}}),
        ),
        "subscriptions/listen" => listen(asked, count.fetch_add(1, Ordering::SeqCst)),
        _ => modern(asked),
    })
    .await;
    let mut up = web.up("/mcp").await;
    up.status(ServerState::Ready).await;
    (web, up)
}

/// One event of the stream that `asked` opened.
fn told(asked: &Asked, method: &str, mut params: Value) -> String {
    params["_meta"] = json!({"io.modelcontextprotocol/subscriptionId": asked.json()["id"]});
    format!("data: {}\n\n", json!({"jsonrpc": "2.0", "method": method, "params": params}))
}

fn acknowledged(asked: &Asked, of: &Value) -> String {
    told(asked, "notifications/subscriptions/acknowledged", json!({"notifications": of}))
}

fn change(asked: &Asked, uri: &str) -> String {
    told(asked, "notifications/resources/updated", json!({"uri": uri}))
}

/// What each listening asked for.
fn asked_for(web: &Web) -> Vec<Value> {
    let listens = web.asked().into_iter().filter(|asked| asked.method() == "subscriptions/listen");
    listens.map(|asked| asked.json()["params"]["notifications"].clone()).collect()
}

#[tokio::test]
async fn in_the_new_era_a_stream_carries_what_is_watched_and_another_takes_its_place() {
    let (web, mut up) = listening(|asked, _| {
        let of = asked.json()["params"]["notifications"].clone();
        // Strangers, and what lies below: the latter counts, and ends no stream.
        stream(&[acknowledged(asked, &of), change(asked, "demo://stranger"), change(asked, "demo://a/part")], true)
    })
    .await;
    assert_eq!(web.count("subscriptions/listen"), 0, "nothing is watched yet");
    watch(&up, A).await;
    assert_eq!(standing(&mut up, A).await, WatchStanding::Kept);
    assert_eq!(news(&mut up).await, updated(A, true));
    watch(&up, B).await;
    assert_eq!(standing(&mut up, B).await, WatchStanding::Kept);
    unwatch(&up, A).await;
    until(|| web.count("subscriptions/listen") == 3).await;
    let want = |uris: Value| json!({"resourceSubscriptions": uris});
    assert_eq!(asked_for(&web), [want(json!([A])), want(json!([A, B])), want(json!([B]))]);
}

#[tokio::test]
async fn what_a_server_does_not_acknowledge_is_told_as_refused() {
    let (_web, mut up) =
        listening(|asked, _| stream(&[acknowledged(asked, &json!({"resourceSubscriptions": [A]}))], true)).await;
    watch(&up, A).await;
    watch(&up, B).await;
    let WatchStanding::Refused(why) = standing(&mut up, B).await else { panic!("it took both") };
    assert_eq!(why, "it did not take the subscription");
    up.host.look(&ServerName::new("fake"));
    loop {
        let status = up.status(ServerState::Ready).await;
        if (status.life.watched, status.life.unwatched) == (1, 1) {
            break;
        }
    }
    // Without any resource in it, and as an error.
    let (web, mut up) = listening(|asked, _| stream(&[acknowledged(asked, &json!({}))], true)).await;
    watch(&up, A).await;
    assert!(matches!(standing(&mut up, A).await, WatchStanding::Refused(_)));
    let (refusing, mut up) = listening(|asked, _| error(asked, 200, -32602, "not that one")).await;
    watch(&up, A).await;
    assert_eq!(standing(&mut up, A).await, WatchStanding::Refused("not that one".into()));
    assert_eq!((web.count("subscriptions/listen"), refusing.count("subscriptions/listen")), (1, 1));
}

#[tokio::test]
async fn a_stream_that_ends_is_opened_again_and_what_was_missed_may_have_changed() {
    let (web, mut up) = listening(|asked, before| {
        let of = asked.json()["params"]["notifications"].clone();
        match before {
            // It ends, then cannot be opened, then keeps its word.
            0 => stream(&[acknowledged(asked, &of)], false),
            1 => status(503),
            _ => stream(&[acknowledged(asked, &of)], true),
        }
    })
    .await;
    watch(&up, A).await;
    assert_eq!(standing(&mut up, A).await, WatchStanding::Kept);
    assert_eq!(news(&mut up).await, updated(A, false));
    assert_eq!(web.count("subscriptions/listen"), 3);
}

#[tokio::test]
async fn an_acknowledgement_that_goes_too_far_is_no_acknowledgement() {
    let (web, mut up) =
        listening(|asked, _| stream(&[acknowledged(asked, &json!({"resourceSubscriptions": [A, B]}))], true)).await;
    watch(&up, A).await;
    let WatchStanding::Refused(why) = standing(&mut up, A).await else { panic!("it was believed") };
    assert!(why.contains("did not acknowledge"), "{why}");
    assert_eq!(web.count("subscriptions/listen"), 3, "with pauses, and not in a loop");
}
