//! Servers of both eras that ask for answers of the model.

use millrace::chat::{Question, SampleReply, SampleStop};
use millrace::config::{SamplingOffer, ServerFeatures};

use super::web::{Asked, Web, modern, result};
use super::*;

fn offered(mut entry: ServerEntry) -> ServerEntry {
    entry.features = ServerFeatures { sampling: Some(SamplingOffer::default()), ..ServerFeatures::default() };
    entry
}

fn params(text: &str) -> Value {
    json!({"maxTokens": 9, "systemPrompt": "Be brief.",
        "messages": [{"role": "user", "content": {"type": "text", "text": text}}]})
}

fn reply() -> InquiryAnswer {
    InquiryAnswer::Sample(SampleReply { model: "m".into(), text: "So.".into(), stop: SampleStop::EndTurn })
}

async fn attended(entry: ServerEntry, limits: Limits) -> Up {
    let (host, events) = Host::new(client(), Arc::new(limits), None);
    let host = host.attended();
    host.start(entry);
    let mut up = Up { host, events };
    up.status(ServerState::Ready).await;
    up
}

/// A child of the old era that asks in the midst of a call, and answers with what it was told.
fn old(request: &str) -> Fake {
    Fake::new(&format!(
        r#"
call() {{
  put '{{"jsonrpc":"2.0","id":"s1","method":"sampling/createMessage","params":{request}}}'
  IFS= read -r answer
  printf '%s\n' "$answer" >> "$LOG"
  case $answer in
    *'"error"'*) reply "$1" '{{"content":[{{"type":"text","text":"refused"}}]}}' ;;
    *) reply "$1" '{{"content":[{{"type":"text","text":"answered"}}]}}' ;;
  esac
}}
"#
    ))
}

fn log(fake: &Fake) -> String {
    std::fs::read_to_string(fake.log()).unwrap()
}

#[tokio::test]
async fn a_server_of_the_old_era_asks_by_a_request_of_its_own() {
    let fake = old(&params("Why?").to_string());
    let idle = Duration::from_millis(200);
    let mut up = attended(offered(fake.entry()), Limits { call_idle: idle, ..Limits::default() }).await;
    let ticket = up.call("echo", json!({}));
    let inquiry = up.inquiry().await;
    let Question::Sample(sample) = &inquiry.question else { panic!("{inquiry:?}") };
    assert_eq!((sample.system.as_deref(), sample.max_tokens, sample.wanted_tokens), (Some("Be brief."), 9, 9));
    assert_eq!(inquiry.call, Some(CallId::new("c1")));
    // The call's time stands still.
    tokio::time::sleep(idle * 2).await;
    assert!(up.host.answer(inquiry.id, reply()));
    let CallEnd::Result(end) = ticket.end().await else { panic!("no result") };
    assert_eq!(end["content"][0]["text"], "answered");
    let written = log(&fake);
    let sent: Value =
        written.lines().find(|line| line.contains("\"s1\"")).map(|l| serde_json::from_str(l).unwrap()).unwrap();
    let want =
        json!({"role": "assistant", "content": {"type": "text", "text": "So."}, "model": "m", "stopReason": "endTurn"});
    assert_eq!(sent["result"], want);
    let hello: Value =
        written.lines().find(|line| line.contains("\"initialize\"")).map(|l| serde_json::from_str(l).unwrap()).unwrap();
    assert_eq!(hello["params"]["capabilities"]["sampling"], json!({}), "neither tools nor context");
}

#[tokio::test]
async fn what_was_not_offered_or_not_declared_is_refused_and_reaches_nobody() {
    let mut tools = params("x");
    tools["tools"] = json!([{"name": "t", "inputSchema": {"type": "object"}}]);
    for (entry_of, request, code) in [
        ((|fake: &Fake| fake.entry()) as fn(&Fake) -> ServerEntry, params("x"), -32601),
        (|fake: &Fake| offered(fake.entry()), tools, -32602),
    ] {
        let fake = old(&request.to_string());
        let mut up = attended(entry_of(&fake), Limits::default()).await;
        let CallEnd::Result(end) = up.call("echo", json!({})).end().await else { panic!("no result") };
        assert_eq!(end["content"][0]["text"], "refused");
        let written = log(&fake);
        let sent: Value =
            written.lines().find(|line| line.contains("\"s1\"")).map(|l| serde_json::from_str(l).unwrap()).unwrap();
        assert_eq!(sent["error"]["code"], code, "{sent}");
        while let Ok(event) = up.events.try_recv() {
            assert!(!matches!(event, HostEvent::Inquiry(_)), "{event:?}");
        }
    }
}

/// Requires an answer of the model before it goes on.
fn requires(asked: &Asked) -> axum::response::Response {
    let params = &asked.json()["params"];
    match (asked.method().as_str(), params.get("inputResponses")) {
        ("tools/call", None) => result(
            asked,
            &json!({"resultType": "input_required", "requestState": "s",
                "inputRequests": {"k": {"method": "sampling/createMessage", "params": self::params("Why?")}}}),
        ),
        ("tools/call", Some(answers)) => {
            result(asked, &json!({"resultType": "complete", "content": [], "told": answers}))
        }
        _ => modern(asked),
    }
}

#[tokio::test]
async fn a_server_of_the_new_era_requires_it_as_input() {
    let web = Web::serve(requires).await;
    let mut up = attended(offered(entry(web.at("/mcp"))), Limits::default()).await;
    let ticket = up.call("echo", json!({}));
    let inquiry = up.inquiry().await;
    assert!(matches!(inquiry.question, Question::Sample(_)), "{inquiry:?}");
    assert!(up.host.answer(inquiry.id, reply()));
    let CallEnd::Result(end) = ticket.end().await else { panic!("no result") };
    assert_eq!(end["told"]["k"]["content"], json!({"type": "text", "text": "So."}));
    let call = web.asked().iter().map(Asked::json).find(|asked| asked["method"] == "tools/call").unwrap();
    let declared = &call["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"]["sampling"];
    assert_eq!(*declared, json!({}), "{call}");
}

#[tokio::test]
async fn a_no_in_the_new_era_ends_the_call_and_says_so() {
    let web = Web::serve(requires).await;
    let mut up = attended(offered(entry(web.at("/mcp"))), Limits::default()).await;
    let ticket = up.call("echo", json!({}));
    let inquiry = up.inquiry().await;
    assert!(up.host.answer(inquiry.id, InquiryAnswer::Decline));
    let end = ticket.end().await;
    assert!(matches!(&end, CallEnd::RpcError { message, .. } if message.contains("rejected")), "{end:?}");
    assert_eq!(web.count("tools/call"), 1);
}
