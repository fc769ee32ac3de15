//! What servers hold beside tools, asked of a child: prompts, resources, templates, completions.

use millrace::chat::{Completes, Part, ResourceBody, ServerNews, ServerQuery, ServerReply};

use super::*;

const HOLDS: &str = r#"
initialize() { reply "$1" '{"protocolVersion":"2025-06-18","capabilities":{"tools":{},"prompts":{"listChanged":true},"resources":{},"completions":{}},"serverInfo":{"name":"fake","version":"1"}}'; }
other() { case $line in
  *'"method":"prompts/list"'*'"cursor":"2"'*) reply "$1" '{"prompts":[{"name":"second"},{"title":"nameless"},7]}' ;;
  *'"method":"prompts/list"'*) reply "$1" '{"prompts":[{"name":"first","arguments":[{"name":"city","required":true}]}],"nextCursor":"2"}' ;;
  *'"method":"prompts/get"'*) reply "$1" '{"messages":[{"role":"user","content":{"type":"text","text":"Weather in Lerwick\u001b[2J"}},{"role":"assistant","content":{"type":"novel"}}]}' ;;
  *'"method":"resources/list"'*) reply "$1" '{"resources":[{"uri":"demo://a","name":"a"},{"name":"no address"}]}' ;;
  *'"method":"resources/templates/list"'*) refuse "$1" -32601 'Method not found' ;;
  *'"method":"resources/read"'*demo://bytes*) reply "$1" '{"contents":[{"uri":"demo://bytes","mimeType":"application/x","blob":"AAEC"}]}' ;;
  *'"method":"resources/read"'*demo://gone*) refuse "$1" -32002 'Resource not found' ;;
  *'"method":"resources/read"'*demo://silent*) ;;
  *'"method":"resources/read"'*) reply "$1" '{"contents":[{"uri":"demo://a","text":"body"}]}' ;;
  *'"method":"completion/complete"'*) reply "$1" '{"completion":{"values":["Lerwick",7,"Leeds"],"hasMore":true}}' ;;
esac; }
"#;

async fn ask(up: &Up, query: ServerQuery) -> Result<ServerReply, String> {
    up.host.query(&ServerName::new("fake"), query).await.map_err(|failure| failure.line())
}

fn read(uri: &str) -> ServerQuery {
    ServerQuery::Read { uri: uri.into() }
}

#[tokio::test]
async fn what_a_server_holds_is_listed_read_and_completed() {
    let fake = Fake::new(HOLDS);
    let mut up = fake.up(Limits { call_idle: Duration::from_secs(2), ..Limits::default() }).await;
    up.status(ServerState::Ready).await;
    let Ok(ServerReply::Prompts(prompts)) = ask(&up, ServerQuery::Prompts).await else { panic!("no prompts") };
    let names: Vec<&str> = prompts.iter().map(|prompt| prompt.name.as_str()).collect();
    assert_eq!(names, ["first", "second"], "both pages, without what is no prompt");
    assert!(prompts[0].arguments[0].required);

    let arguments = BTreeMap::from([("city".to_owned(), "Lerwick".to_owned())]);
    let Ok(ServerReply::Prompt(prompt)) = ask(&up, ServerQuery::Prompt { name: "first".into(), arguments }).await
    else {
        panic!("no prompt")
    };
    assert_eq!(prompt.messages[0].parts, [Part::text("Weather in Lerwick\u{1b}[2J")], "raw: the screen makes it safe");
    assert_eq!(prompt.notes.len(), 1, "what cannot be shown is said: {:?}", prompt.notes);
    let log = std::fs::read_to_string(fake.log()).unwrap();
    assert!(log.contains(r#""arguments":{"city":"Lerwick"}"#), "{log}");

    let Ok(ServerReply::Catalog(catalog)) = ask(&up, ServerQuery::Catalog).await else { panic!("no catalogue") };
    assert_eq!(catalog.resources.iter().map(|r| r.uri.as_str()).collect::<Vec<_>>(), ["demo://a"]);
    assert!(catalog.templates.is_empty(), "a server may not know of templates");

    let part = Part::File { name: "fake:demo://a".into(), text: "body".into() };
    assert_eq!(ask(&up, read("demo://a")).await, Ok(ServerReply::Read(vec![ResourceBody::Part(part)])));
    let Ok(ServerReply::Read(bodies)) = ask(&up, read("demo://bytes")).await else { panic!("no bytes") };
    assert!(matches!(&bodies[..], [ResourceBody::Bytes { bytes, .. }] if **bytes == [0, 1, 2]), "{bodies:?}");

    let of = Completes::Prompt("first".into());
    let query = ServerQuery::Complete { of, argument: "city".into(), value: "Le".into(), context: BTreeMap::new() };
    let Ok(ServerReply::Completions(found)) = ask(&up, query).await else { panic!("no completions") };
    assert_eq!((found.values, found.more), (vec!["Lerwick".to_owned(), "Leeds".to_owned()], true));

    assert!(ask(&up, read("demo://gone")).await.unwrap_err().contains("Resource not found"));
    assert!(ask(&up, read("demo://silent")).await.unwrap_err().contains("in time"));
    up.host.shutdown().await;
    assert_eq!(fake.read("notifications/cancelled"), 1, "the silent one was told");
}

#[tokio::test]
async fn a_server_is_not_asked_for_what_it_does_not_have() {
    let fake = Fake::new("");
    let mut up = fake.up(Limits::default()).await;
    up.status(ServerState::Ready).await;
    assert_eq!(ask(&up, ServerQuery::Prompts).await, Ok(ServerReply::Prompts(Vec::new())));
    assert_eq!(ask(&up, ServerQuery::Catalog).await, Ok(ServerReply::Catalog(Default::default())));
    assert_eq!((fake.read("prompts/list"), fake.read("resources/list")), (0, 0));
}

#[tokio::test]
async fn a_changed_list_is_news() {
    let fake = Fake::new(&format!(
        "{HOLDS}\ncall() {{ put '{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/prompts/list_changed\"}}'; reply \"$1\" '{{}}'; }}"
    ));
    let mut up = fake.up(Limits::default()).await;
    up.status(ServerState::Ready).await;
    up.call("echo", json!({})).end().await;
    loop {
        if let HostEvent::News { news, .. } = up.event().await {
            assert_eq!(news, ServerNews::PromptsChanged);
            break;
        }
    }
}
