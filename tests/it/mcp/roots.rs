//! The folders that a server may be told of: asked, decided, announced where the era knows that.

use axum::response::Response;
use millrace::chat::{InquiryAnswer, LogSpeaker, Question, Root, ServerStatus, Telling};

use super::web::{Asked, Web, modern, result};
use super::*;

/// A server of 2025-06-18 that asks once it is greeted, and whenever it hears of a change.
const CURIOUS: &str = r#"
n=0
ready() { n=$((n+1)); put '{"jsonrpc":"2.0","id":"r'$n'","method":"roots/list"}'; }
serve() {
  while IFS= read -r line; do
    printf '%s\n' "$line" >> "$LOG"
    id=${line#*'"id":'}; id=${id%%,*}
    case $line in
      *'"method":"server/discover"'*) discover "$id" ;;
      *'"method":"initialize"'*) initialize "$id" ;;
      *'"method":"notifications/initialized"'*) ready ;;
      *'"method":"notifications/roots/list_changed"'*) ready ;;
      *'"method":"tools/list"'*) list "$id" ;;
    esac
  done
}
"#;

fn root(path: &str) -> Root {
    Root { uri: format!("file://{path}"), name: path.rsplit('/').next().map(str::to_owned) }
}

fn with_roots(mut entry: ServerEntry, ask: bool) -> ServerEntry {
    entry.features.roots = vec![root("/srv/notes")];
    entry.features.roots_ask = ask;
    entry
}

fn name() -> ServerName {
    ServerName::new("fake")
}

/// A host where somebody is there.
fn attended(entry: ServerEntry) -> Up {
    let (host, events) = Host::new(client(), Arc::new(Limits::default()), None);
    let host = host.attended();
    host.start(entry);
    Up { host, events }
}

impl Fake {
    /// Waits until it was sent this, and says how often.
    async fn heard(&self, text: &str) -> usize {
        for _ in 0..500 {
            let times = std::fs::read_to_string(self.log()).unwrap_or_default().matches(text).count();
            if times > 0 {
                return times;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it never heard {text}: {}", std::fs::read_to_string(self.log()).unwrap_or_default());
    }
}

impl Up {
    /// Looks until its status is so.
    async fn seen(&mut self, is: impl Fn(&ServerStatus) -> bool) -> ServerStatus {
        for _ in 0..400 {
            self.host.look(&name());
            if let Ok(Some(HostEvent::Status(status))) =
                tokio::time::timeout(Duration::from_millis(50), self.events.recv()).await
                && is(&status)
            {
                return status;
            }
        }
        panic!("its status is never so");
    }

    /// What was remarked about it, once there is a remark with this in it.
    async fn remarked(&mut self, text: &str) -> Vec<String> {
        let remarks = |status: &ServerStatus| -> Vec<String> {
            let own = status.life.log.lines.iter().filter(|line| line.by == LogSpeaker::Millrace);
            own.map(|line| line.text.to_string()).collect()
        };
        let status = self.seen(|status| remarks(status).iter().any(|remark| remark.contains(text))).await;
        remarks(&status)
    }

    async fn asked_for_roots(&mut self) -> (millrace::chat::InquiryId, Vec<Root>) {
        let inquiry = self.inquiry().await;
        let Question::Roots(roots) = inquiry.question else { panic!("{:?}", inquiry.question) };
        (inquiry.id, roots)
    }
}

const TOLD: &str = r#""roots":[{"uri":"file:///srv/notes","name":"notes"}]"#;

#[tokio::test]
async fn a_person_decides_each_time_and_what_was_decided_is_in_its_log() {
    let fake = Fake::new(CURIOUS);
    let mut up = attended(with_roots(fake.entry(), true));
    let (id, roots) = up.asked_for_roots().await;
    assert_eq!(roots, [root("/srv/notes")]);
    assert_eq!(std::fs::read_to_string(fake.log()).unwrap().matches(TOLD).count(), 0, "nothing is told before");
    // Its tools do not wait for that.
    up.seen(|status| status.state == ServerState::Ready).await;
    assert!(!up.host.answer(id, InquiryAnswer::Accept(serde_json::Map::new())), "this is no answer to it");
    assert!(up.host.answer(id, InquiryAnswer::Tell { lasting: false }));
    assert_eq!(fake.heard(TOLD).await, 1);
    let remarks = up.remarked("was told").await;
    assert_eq!(remarks, ["it asked for its folders and was told file:///srv/notes"]);
    // It asks again: so is the person, who says no this time.
    up.host.restart(&name());
    let (id, _) = up.asked_for_roots().await;
    assert!(up.host.answer(id, InquiryAnswer::Decline));
    assert_eq!(fake.heard(r#""code":-1,"message":"the user did not tell its folders""#).await, 1);
    up.remarked("it asked for its folders and was not told: you declined").await;
    assert_eq!(fake.heard(TOLD).await, 1);
}

#[tokio::test]
async fn a_yes_until_the_end_holds_for_that_server_and_what_was_shown() {
    let fake = Fake::new(CURIOUS);
    let mut up = attended(with_roots(fake.entry(), true));
    let (id, _) = up.asked_for_roots().await;
    assert!(up.host.answer(id, InquiryAnswer::Tell { lasting: true }));
    fake.heard(TOLD).await;
    let status = up.seen(|status| status.life.roots.telling == Telling::UntilQuit).await;
    assert_eq!(status.life.roots.offered, Some(true));
    // Also after it was switched off and on.
    up.host.stop(&name());
    up.host.start(with_roots(fake.entry(), true));
    loop {
        if std::fs::read_to_string(fake.log()).unwrap().matches(TOLD).count() == 2 {
            break;
        }
        if let Ok(Some(HostEvent::Inquiry(inquiry))) =
            tokio::time::timeout(Duration::from_millis(20), up.events.recv()).await
        {
            panic!("{inquiry:?}");
        }
    }
    // An entry that says something else is another matter.
    let mut other = with_roots(fake.entry(), true);
    other.features.roots.push(root("/srv/more"));
    up.host.start(other);
    let (_, roots) = up.asked_for_roots().await;
    assert_eq!(roots, [root("/srv/notes"), root("/srv/more")]);
}

#[tokio::test]
async fn where_nobody_is_there_the_entry_decides_and_its_log_names_the_key() {
    let fake = Fake::new(CURIOUS);
    let mut up = Up::new(Limits::default(), None, with_roots(fake.entry(), true)).await;
    fake.heard("the user did not tell its folders").await;
    let remarks = up.remarked("declined").await;
    let why = "it asks for its folders; declined: nobody is there to answer; roots_ask = false in its entry tells them all the same";
    assert_eq!(remarks, [why]);

    let fake = Fake::new(CURIOUS);
    let mut up = Up::new(Limits::default(), None, with_roots(fake.entry(), false)).await;
    assert_eq!(fake.heard(TOLD).await, 1);
    up.remarked("it asked for its folders and was told file:///srv/notes").await;
    // Without folders it is not told that it may ask, and refused.
    let fake = Fake::new(CURIOUS);
    let _up = Up::new(Limits::default(), None, fake.entry()).await;
    fake.heard("roots/list is not offered").await;
    assert_eq!(std::fs::read_to_string(fake.log()).unwrap().matches(r#""roots":"#).count(), 0);
}

#[tokio::test]
async fn in_the_old_era_a_change_is_announced_and_asked_anew() {
    let fake = Fake::new(CURIOUS);
    let mut up = attended(with_roots(fake.entry(), true));
    let (id, _) = up.asked_for_roots().await;
    up.host.answer(id, InquiryAnswer::Tell { lasting: true });
    up.seen(|status| status.state == ServerState::Ready).await;
    assert!(fake.heard(r#""roots":{"listChanged":true}"#).await > 0, "it was told that changes are announced");
    up.host.add_root(&name(), root("/srv/more"));
    let (id, roots) = up.asked_for_roots().await;
    assert_eq!(roots, [root("/srv/notes"), root("/srv/more")], "what was allowed was another list");
    up.host.answer(id, InquiryAnswer::Tell { lasting: false });
    fake.heard(r#""roots":[{"uri":"file:///srv/notes","name":"notes"},{"uri":"file:///srv/more","name":"more"}]"#)
        .await;
    up.seen(|status| status.life.roots.list.len() == 2).await;
    // One that is there already changes nothing; one less is covered by the first yes.
    up.host.add_root(&name(), root("/srv/more"));
    up.host.remove_root(&name(), "file:///srv/more");
    up.seen(|status| status.life.roots.telling == Telling::UntilQuit).await;
    loop {
        if std::fs::read_to_string(fake.log()).unwrap().matches(TOLD).count() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(fake.read("notifications/roots/list_changed"), 2);
}

#[tokio::test]
async fn who_was_not_offered_folders_hears_of_none_before_it_is_greeted_again() {
    let fake = Fake::new(CURIOUS);
    let mut up = attended(fake.entry());
    fake.heard("roots/list is not offered").await;
    up.status(ServerState::Ready).await;
    up.host.add_root(&name(), root("/srv/notes"));
    up.seen(|status| status.life.roots.list.len() == 1 && status.life.roots.offered == Some(false)).await;
    assert_eq!(fake.read("notifications/roots/list_changed"), 0);
    up.host.restart(&name());
    let (id, _) = up.asked_for_roots().await;
    up.host.answer(id, InquiryAnswer::Tell { lasting: false });
    fake.heard(TOLD).await;
}

/// A server of 2026-07-28 whose tool wants to know the folders.
fn wanting(asked: &Asked) -> Response {
    let params = &asked.json()["params"];
    match (asked.method().as_str(), params.get("inputResponses")) {
        ("tools/call", None) => result(
            asked,
            &json!({"resultType": "input_required", "requestState": "s",
                "inputRequests": {"where": {"method": "roots/list"}}}),
        ),
        ("tools/call", Some(answers)) => {
            result(asked, &json!({"resultType": "complete", "content": [], "told": answers}))
        }
        _ => modern(asked),
    }
}

#[tokio::test]
async fn in_the_new_era_a_call_that_requires_them_waits_for_the_person() {
    let web = Web::serve(wanting).await;
    let mut up = attended(with_roots(entry(web.at("/mcp")), true));
    up.status(ServerState::Ready).await;
    let ticket = up.call("echo", json!({}));
    let inquiry = up.inquiry().await;
    assert_eq!(
        (&inquiry.question, inquiry.call),
        (&Question::Roots(vec![root("/srv/notes")]), Some(CallId::new("c1")))
    );
    assert!(up.host.answer(inquiry.id, InquiryAnswer::Tell { lasting: false }));
    let CallEnd::Result(end) = ticket.end().await else { panic!("no result") };
    assert_eq!(end["told"], json!({"where": {"roots": [{"uri": "file:///srv/notes", "name": "notes"}]}}));

    let ticket = up.call("echo", json!({}));
    let (id, _) = up.asked_for_roots().await;
    assert!(up.host.answer(id, InquiryAnswer::Decline));
    let end = ticket.end().await;
    let declined = "the user did not tell its folders";
    assert!(matches!(&end, CallEnd::RpcError { message, .. } if message.contains(declined)), "{end:?}");
    up.remarked("was not told: you declined").await;
    assert_eq!(web.count("tools/call"), 3, "a call that was declined is not sent again");

    // Its era knows no announcements, neither declared nor sent.
    up.host.add_root(&name(), root("/srv/more"));
    up.seen(|status| status.life.roots.list.len() == 2).await;
    let call = web.asked().into_iter().find(|asked| asked.method() == "tools/call").unwrap().json();
    assert_eq!(call["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"]["roots"], json!({}));
    assert_eq!(web.count("notifications/roots/list_changed"), 0);
}

#[tokio::test]
async fn where_nobody_is_there_a_call_that_requires_them_ends_with_the_reason() {
    let web = Web::serve(wanting).await;
    let mut up = Up::new(Limits::default(), None, with_roots(entry(web.at("/mcp")), true)).await;
    up.status(ServerState::Ready).await;
    let end = up.call("echo", json!({})).end().await;
    assert!(matches!(&end, CallEnd::RpcError { message, .. } if message.contains("did not tell")), "{end:?}");
    up.remarked("roots_ask = false").await;
    let mut up = Up::new(Limits::default(), None, with_roots(entry(web.at("/mcp")), false)).await;
    up.status(ServerState::Ready).await;
    assert!(matches!(up.call("echo", json!({})).end().await, CallEnd::Result(_)));
}

#[tokio::test]
async fn over_stdio_each_greeting_declares_what_its_era_knows() {
    let fake = Fake::new(CURIOUS);
    let mut up = attended(with_roots(fake.entry(), true));
    up.status(ServerState::Ready).await;
    let log = std::fs::read_to_string(fake.log()).unwrap();
    let line = |method: &str| -> Value {
        let line = log.lines().find(|line| line.contains(&format!("\"method\":\"{method}\""))).unwrap();
        serde_json::from_str(line).unwrap()
    };
    let probe = line("server/discover");
    let declared = &probe["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
    assert_eq!(declared["roots"], json!({}), "{probe}");
    assert_eq!(line("initialize")["params"]["capabilities"]["roots"], json!({"listChanged": true}));
}
