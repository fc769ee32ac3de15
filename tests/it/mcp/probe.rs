//! In which way a server is greeted, and what is tried next.

use millrace::config::Era;

use super::web::{Asked, Web, error, json_of, legacy, modern, result, status};
use super::*;

fn ready(asked: &Asked) -> bool {
    asked.verb == axum::http::Method::POST
}

#[tokio::test]
async fn a_modern_server_gets_its_headers_and_its_meta_with_every_request() {
    let web = Web::serve(|asked| match asked.method().as_str() {
        // One broken tool takes neither the others nor their headers along.
        "tools/list" => result(
            asked,
            &json!({"resultType": "complete", "ttlMs": 60000, "cacheScope": "private", "tools": [
                {"name": "broken", "inputSchema": null},
                {"name": "marked", "inputSchema": {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}},
                {"name": "wrong", "inputSchema": {"type": "object", "properties": {"n": {"type": "number", "x-mcp-header": "N"}}}}]}),
        ),
        _ => modern(asked),
    })
    .await;
    let mut up = web.up("/mcp").await;
    let listing = up.listing().await;
    assert_eq!(names(&listing), ["broken", "marked"]);
    assert_eq!(listing.instructions.as_deref(), Some("Be brief."));
    let ready = up.status(ServerState::Ready).await;
    assert_eq!((ready.protocol.as_deref(), ready.transport), (Some("2026-07-28"), "http"));
    up.call("marked", json!({"region": "süd"})).end().await;
    let posts: Vec<Asked> = web.asked().into_iter().filter(self::ready).collect();
    for post in &posts {
        assert_eq!(post.header("mcp-protocol-version"), Some("2026-07-28"));
        assert_eq!(post.header("mcp-method"), Some(&*post.method()));
        let meta = &post.json()["params"]["_meta"];
        assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28", "{}", post.method());
        assert!(meta["io.modelcontextprotocol/clientCapabilities"].is_object());
        assert_eq!(meta["io.modelcontextprotocol/clientInfo"]["name"], "millrace");
    }
    let call = posts.last().unwrap();
    assert_eq!(
        (call.header("mcp-name"), call.header("mcp-param-region")),
        (Some("marked"), Some("=?base64?c8O8ZA==?="))
    );
    assert_eq!(web.count("initialize"), 0);
}

#[tokio::test]
async fn whatever_an_old_server_makes_of_the_probe_it_is_greeted_the_old_way() {
    let answers: [fn(&Asked) -> axum::response::Response; 6] = [
        |asked| error(asked, 200, -32601, "Method not found"),
        |asked| error(asked, 400, -32602, "no session"),
        |_| status(400),
        |_| status(404),
        |_| json_of(&json!({"error": "what is this?"})),
        |_| json_of(&json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "bad"}})),
    ];
    for answer in answers {
        let web = Web::serve(move |asked| match asked.method().as_str() {
            "server/discover" => answer(asked),
            _ => legacy(asked),
        })
        .await;
        let ready = web.up("/mcp").await.status(ServerState::Ready).await;
        assert_eq!(ready.protocol.as_deref(), Some("2025-06-18"));
        assert_eq!(web.count("list_tools"), 0);
    }
}

#[tokio::test]
async fn a_modern_refusal_is_the_last_word() {
    for (code, words) in [(-32021, "it refused the connection: no"), (-32022, "it speaks protocol version")] {
        let web = Web::serve(move |asked| error(asked, 400, code, "no")).await;
        let message = web.up("/mcp").await.status(ServerState::Failed).await.message.unwrap();
        assert!(message.starts_with(words), "{message}");
        assert_eq!((web.count("initialize"), web.count("list_tools")), (0, 0));
    }
}

#[tokio::test]
async fn the_configured_era_is_the_only_one_tried() {
    let web = Web::serve(legacy).await;
    let mut old = entry(web.at("/mcp"));
    old.era = Some(Era::Legacy);
    Up::new(Limits::default(), None, old.clone()).await.status(ServerState::Ready).await;
    assert_eq!(web.count("server/discover"), 0);
    old.era = Some(Era::Modern);
    Up::new(Limits::default(), None, old).await.status(ServerState::Failed).await;
    assert_eq!((web.count("server/discover"), web.count("initialize")), (1, 1));
}

#[tokio::test]
async fn what_was_found_is_tried_first_the_next_time() {
    let web = Web::serve(legacy).await;
    let cache = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let mut up = Up::new(Limits::default(), Some(cache.path()), entry(web.at("/mcp"))).await;
        up.status(ServerState::Ready).await;
        up.host.shutdown().await;
    }
    assert_eq!((web.count("server/discover"), web.count("initialize")), (1, 2));
}

#[tokio::test]
async fn a_server_that_became_modern_is_found_out_again() {
    let cache = tempfile::tempdir().unwrap();
    let new = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let web = Web::serve({
        let new = new.clone();
        move |asked| {
            if !new.load(std::sync::atomic::Ordering::Relaxed) {
                legacy(asked)
            } else if asked.method() == "initialize" {
                error(asked, 400, -32601, "gone")
            } else {
                modern(asked)
            }
        }
    })
    .await;
    let mut up = Up::new(Limits::default(), Some(cache.path()), entry(web.at("/mcp"))).await;
    assert_eq!(up.status(ServerState::Ready).await.protocol.as_deref(), Some("2025-06-18"));
    up.host.shutdown().await;
    new.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut up = Up::new(Limits::default(), Some(cache.path()), entry(web.at("/mcp"))).await;
    assert_eq!(up.status(ServerState::Ready).await.protocol.as_deref(), Some("2026-07-28"));
}

#[tokio::test]
async fn who_asks_for_a_name_or_is_in_trouble_is_asked_nothing_more() {
    for (code, state) in [
        (401, ServerState::NeedsLogin),
        (403, ServerState::NeedsLogin),
        (500, ServerState::Failed),
        (429, ServerState::Failed),
    ] {
        let web = Web::serve(move |_| status(code)).await;
        web.up("/mcp").await.status(state).await;
        let asked: Vec<String> = web.asked().iter().map(Asked::method).collect();
        assert_eq!(asked, ["server/discover"], "HTTP {code}");
    }
}

#[tokio::test]
async fn a_server_that_says_when_to_come_again_is_left_alone_until_then() {
    let web = Web::serve(|_| {
        let mut response = status(503);
        response.headers_mut().insert("retry-after", "17".parse().unwrap());
        response
    })
    .await;
    let message = web.up("/mcp").await.status(ServerState::Failed).await.message.unwrap();
    assert!(message.ends_with("Trying again in 17 s."), "{message}");
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_named_and_not_followed() {
    let elsewhere = Web::serve(modern).await;
    let to = format!("{}/mcp?token=hidden", elsewhere.url);
    let web = Web::serve(move |_| {
        let mut response = status(307);
        response.headers_mut().insert("location", to.parse().unwrap());
        response
    })
    .await;
    let mut entry = entry(web.at("/mcp"));
    entry.era = Some(Era::Modern);
    let (host, events) = Host::new(millrace::mcp::client(&Limits::default()).unwrap(), Arc::default(), None);
    host.start(entry);
    let message = Up { host, events }.status(ServerState::Failed).await.message.unwrap();
    let wanted = format!("it sends on to another address: {}/mcp. ", elsewhere.url);
    assert!(message.starts_with(&wanted), "{message}");
    assert!(elsewhere.asked().is_empty());
}

/// Everything that a server of MCP may do when it is greeted: none of it earns it a `list_tools`.
#[tokio::test]
async fn a_server_of_mcp_is_never_sent_list_tools() {
    let servers: [fn(&Asked) -> axum::response::Response; 7] = [
        modern,
        legacy,
        |asked| match asked.method().as_str() {
            "initialize" => result(
                asked,
                &json!({"protocolVersion": "2019-01-01", "capabilities": {}, "serverInfo": {"name": "f", "version": "1"}}),
            ),
            _ => legacy(asked),
        },
        |asked| match asked.method().as_str() {
            "initialize" => error(asked, 200, -32602, "Unsupported protocol version"),
            _ => legacy(asked),
        },
        |asked| match asked.method().as_str() {
            "tools/list" => error(asked, 200, -32603, "out of order"),
            _ => legacy(asked),
        },
        |asked| match asked.method().as_str() {
            "server/discover" => error(asked, 400, -32601, "no"),
            _ => status(401),
        },
        |asked| match asked.method().as_str() {
            "server/discover" => status(400),
            _ => status(503),
        },
    ];
    for server in servers {
        let web = Web::serve(server).await;
        let mut up = web.up("/mcp").await;
        loop {
            if let HostEvent::Status(status) = up.event().await
                && status.state != ServerState::Starting
            {
                break;
            }
        }
        assert_eq!(web.count("list_tools"), 0);
    }
}

#[tokio::test]
async fn an_old_server_over_stdio_may_refuse_the_probe_in_any_words() {
    for refusal in [
        r#"discover() { refuse "$1" -32602 'Invalid params'; }"#,
        r#"discover() { refuse "$1" -32000 'not initialised'; }"#,
        r#"discover() { put '{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"bad"}}'; }"#,
        r#"discover() { put 'Starting up'; refuse "$1" -32601 'no'; }"#,
    ] {
        let fake = Fake::new(refusal);
        let mut up = fake.up(Limits::default()).await;
        assert_eq!(up.status(ServerState::Ready).await.protocol.as_deref(), Some("2025-06-18"), "{refusal}");
        assert_eq!(fake.read("initialize"), 1);
    }
}

#[tokio::test]
async fn a_server_that_ends_at_any_point_of_the_handshake_is_said_to_have() {
    for (point, attempts) in [("discover() { exit 3; }; initialize", 2), ("initialize", 2), ("list", 1)] {
        let fake = Fake::new(&format!("{point}() {{ exit 4; }}"));
        let mut up = fake.up(Limits::default()).await;
        let message = up.status(ServerState::Failed).await.message.unwrap();
        assert!(message.starts_with("it ended") && message.contains("exit status: 4"), "{point}: {message}");
        assert!(fake.read("initialize") <= attempts, "{point}");
    }
}
