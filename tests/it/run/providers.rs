//! What endpoints want otherwise: refusals, schemas, keys, images, the other wire.

use super::*;

/// A refusal in OpenAI's form.
fn refused(message: &str, param: &str) -> Reply {
    let body = json!({"error": {"message": message, "type": "invalid_request_error", "param": param, "code": null}});
    Reply::plain("400 Bad Request", "application/json", "", &body.to_string())
}

/// What a run told, one object a line; not held to one tools_hash.
fn lines(command: &mut Command) -> Vec<Value> {
    let told = done(command.output().unwrap(), 0);
    told.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn adapted(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter(|l| l["kind"] == "adapted").map(|l| l["message"].as_str().unwrap()).collect()
}

#[test]
fn each_refusal_is_learnt_once_said_and_remembered() {
    let home = Home::new();
    let provider = Provider::start(vec![
        refused("Unrecognized request argument supplied: stream_options", ""),
        refused(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            "max_tokens",
        ),
        refused("Unsupported value: 'temperature' does not support 0.5 with this model.", "temperature"),
        refused("Unsupported parameter: 'reasoning_effort' is not supported with this model.", "reasoning_effort"),
        refused("parallel_tool_calls is not supported by this model", ""),
        refused("Unsupported value: 'messages[0].role' does not support 'system' with this model.", "messages[0].role"),
        refused("'developer' is not one of ['user', 'assistant'] - 'messages.0.role'", ""),
        refused("Thinking mode does not support this tool_choice", ""),
        Reply::text("at last"),
        Reply::text("at once"),
    ]);
    let servers = home.servers(None);
    let args = [
        "--mcp",
        servers.to_str().unwrap(),
        "--output",
        "ndjson",
        "--max-output-tokens",
        "9",
        "--temperature",
        "0.5",
        "--reasoning-effort",
        "low",
        "--param",
        "parallel_tool_calls=false",
        "-s",
        "Be brief.",
        "--tool-choice",
        "required",
        "Hi",
    ];
    let first = lines(&mut home.run(&provider, &args));
    let said = adapted(&first);
    assert_eq!(said.len(), 8, "{said:#?}");
    assert!(
        said[2].starts_with("scripted at 127.0.0.1:")
            && said[2].ends_with("does not take temperature; left out from now on.")
    );
    let attempts: Vec<u64> =
        first.iter().filter(|l| l["event"] == "request").map(|l| l["attempt"].as_u64().unwrap()).collect();
    assert_eq!(attempts, (1..=9).collect::<Vec<_>>());
    assert_eq!(lines(&mut home.run(&provider, &args)).iter().filter(|l| l["event"] == "request").count(), 1);
    for body in &provider.requests()[8..] {
        for gone in
            ["stream_options", "max_tokens", "temperature", "reasoning_effort", "parallel_tool_calls", "tool_choice"]
        {
            assert!(body.get(gone).is_none(), "{gone}");
        }
        assert_eq!(
            (&body["max_completion_tokens"], &body["messages"][0]),
            (&9.into(), &json!({"role": "user", "content": "Be brief.\n\nHi"}))
        );
    }
}

#[test]
fn what_is_refused_again_after_all_ends_the_turn() {
    let home = Home::new();
    let again = || refused("Unrecognized request argument supplied: stream_options", "");
    let provider = Provider::start(vec![again(), again()]);
    let told = done(home.run(&provider, &["Hi"]).output().unwrap(), 5);
    assert!(told.err.contains("stream_options"), "{}", told.err);
    assert_eq!(provider.requests().len(), 2);
}

#[test]
fn the_schema_of_the_one_tool_that_is_named_is_made_plainer() {
    let home = Home::new();
    let script = r##"list() { reply "$1" '{"tools":[{"name":"echo","inputSchema":{"type":"object","properties":{"n":{"$ref":"#/$defs/n"}},"$defs":{"n":{"const":5}}}},{"name":"other","inputSchema":{"type":"object"}}]}'; }"##;
    let servers = home.servers(Some(script));
    let name = || {
        refused(
            "Invalid schema for function 'fake__echo': In context=('properties', 'n'), '$ref' is not permitted.",
            "tools[7].function.parameters",
        )
    };
    let provider = Provider::start(vec![
        name(),
        refused("Invalid schema for function 'fake__echo': 'const' is not permitted.", ""),
        Reply::calls(&[("fake__echo", "{\"n\":\"5\"}"), ("fake__echo", "{\"n\":5}")]),
        Reply::text("one"),
        Reply::text("two"),
    ]);
    let args = ["--mcp", servers.to_str().unwrap(), "--approve", "all", "--output", "ndjson", "Hi"];
    let told = lines(&mut home.run(&provider, &args));
    assert_eq!(adapted(&told).len(), 2);
    let hashes: Vec<&str> =
        told.iter().filter(|l| l["event"] == "request").map(|l| l["tools_hash"].as_str().unwrap()).collect();
    assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2] && hashes[2] == hashes[3], "{hashes:?}");
    let states: Vec<&str> =
        told.iter().filter(|l| l.get("sent").is_some()).map(|l| l["state"].as_str().unwrap()).collect();
    assert!(states.contains(&"invalid") && states.contains(&"done"), "the server's own schema judges: {states:?}");
    lines(&mut home.run(&provider, &args));
    let sent = provider.requests();
    let echo = |body: &Value| {
        let tools = body["tools"].as_array().unwrap();
        tools.iter().find(|t| t["function"]["name"] == "fake__echo").unwrap()["function"]["parameters"]["properties"]["n"].clone()
    };
    assert_eq!(echo(&sent[0]), json!({"$ref": "#/$defs/n"}));
    assert_eq!(echo(&sent[1]), json!({"const": 5}));
    assert_eq!(echo(&sent[2]), json!({"type": "string", "enum": ["5"]}));
    assert_eq!(sent[4]["tools"], sent[2]["tools"], "remembered by the next process");
    let rest = |body: &Value| {
        body["tools"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|t| t["function"]["name"] != "fake__echo")
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(rest(&sent[0]), rest(&sent[2]));
}

/// A stream of the Responses API.
fn responses(events: Vec<Step>) -> Reply {
    Reply::sse(events)
}

fn item_done(index: u64, item: &Value) -> Step {
    event(&json!({"type": "response.output_item.done", "output_index": index, "item": item}))
}

fn completed() -> Step {
    let usage = json!({"input_tokens": 20, "output_tokens": 7, "input_tokens_details": {"cached_tokens": 5},
        "output_tokens_details": {"reasoning_tokens": 3}});
    event(&json!({"type": "response.completed", "response": {"status": "completed", "usage": usage}}))
}

#[test]
fn a_turn_over_the_responses_api_and_back() {
    let home = Home::new();
    let servers = home.servers(Some(""));
    let log = home.path("log");
    let reasoning = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "opaque"});
    let item = |id: &str, arguments: &str| json!({"type": "function_call", "id": format!("fc_{id}"), "call_id": id, "name": "fake__echo", "arguments": arguments});
    let provider = Provider::start(vec![
        responses(vec![
            event(&json!({"type": "response.created", "response": {"status": "in_progress"}})),
            event(&json!({"type": "response.reasoning_summary_text.delta", "delta": "Hm."})),
            item_done(0, &reasoning),
            event(&json!({"type": "response.output_item.added", "output_index": 1, "item": item("c1", "")})),
            event(
                &json!({"type": "response.function_call_arguments.delta", "output_index": 1, "item_id": "fc_c1", "delta": "{\"a\":1}"}),
            ),
            event(
                &json!({"type": "response.function_call_arguments.done", "output_index": 1, "item_id": "fc_c1", "arguments": "{\"a\":1}"}),
            ),
            // It left before the answer had ended.
            Step::Until(Box::new(move || logged(&log, "tools/call"))),
            item_done(1, &item("c1", "{\"a\":1}")),
            event(&json!({"type": "response.output_item.added", "output_index": 2, "item": item("c2", "")})),
            item_done(2, &item("c2", "{}")),
            completed(),
        ]),
        responses(vec![event(&json!({"type": "response.output_text.delta", "delta": "Echoed."})), completed()]),
        Reply::text("Over chat."),
        responses(vec![event(&json!({"type": "response.output_text.delta", "delta": "And back."})), completed()]),
    ]);
    let mcp = ["--mcp", servers.to_str().unwrap(), "--approve", "all", "--output", "ndjson"];
    let told =
        Events::of(home.run(&provider, &[&mcp[..], &["--api", "responses", "-s", "Be kind.", "Go"]].concat()), 0);
    assert_eq!(told.one("started")["api"], "responses");
    assert_eq!(told.one("ended")["text"], "Echoed.");
    assert_eq!(
        (told.named("usage")[0]["cached"].as_u64(), told.named("usage")[0]["reasoning"].as_u64()),
        (Some(5), Some(3))
    );
    assert_eq!(told.named("reasoning")[0]["text"], "Hm.");
    assert_eq!(told.0.iter().filter(|l| l["state"] == "done").count(), 2, "{}", told.shown());
    done(home.run(&provider, &["-c", "Chat now"]).output().unwrap(), 0);
    done(home.run(&provider, &["-c", "--api", "responses", "And now"]).output().unwrap(), 0);
    let (heads, sent) = (provider.heads(), provider.requests());
    assert!(
        heads[0].starts_with("POST /v1/responses ") && heads[2].starts_with("POST /v1/chat/completions "),
        "{heads:?}"
    );
    assert_eq!((&sent[0]["store"], &sent[0]["instructions"]), (&false.into(), &"Be kind.".into()));
    assert_eq!(sent[0]["include"], json!(["reasoning.encrypted_content"]));
    let kinds = |body: &Value| -> Vec<String> {
        let kind = |i: &Value| i["type"].as_str().or(i["role"].as_str()).unwrap_or_default().to_owned();
        body["input"].as_array().unwrap().iter().map(kind).collect()
    };
    let round = ["user", "reasoning", "function_call", "function_call", "function_call_output", "function_call_output"];
    assert_eq!(kinds(&sent[1]), round);
    assert_eq!(sent[1]["input"][1], reasoning, "verbatim");
    assert_eq!(sent[1]["tools"][0]["type"], "function");
    assert!(sent[2].get("input").is_none() && !sent[2].to_string().contains("encrypted_content"));
    // The system prompt goes on with the conversation.
    assert_eq!(sent[2]["messages"][0], json!({"role": "system", "content": "Be kind."}));
    assert_eq!(sent[2]["messages"].as_array().unwrap().len(), 7, "{:#}", sent[2]["messages"]);
    assert_eq!(sent[3]["instructions"], "Be kind.");
    assert_eq!(kinds(&sent[3])[..6], round);
}

#[test]
fn the_responses_api_tells_its_errors() {
    let home = Home::new();
    let failed = json!({"type": "response.failed", "response": {"status": "failed",
        "error": {"code": "context_length_exceeded", "message": "Your input exceeds the context window of this model."}}});
    let refused = refused("Encrypted content is not supported with this model.", "include");
    let provider = Provider::start(vec![refused, responses(vec![event(&failed)])]);
    let told = Events::of(home.run(&provider, &["--api", "responses", "--output", "ndjson", "Hi"]), 5);
    assert_eq!((&told.one("error")["kind"], told.status()), (&"context".into(), "failed"));
    assert!(told.one("error")["hint"].as_str().unwrap().contains("new conversation"));
    assert!(provider.requests()[1].get("include").is_none());
}

#[test]
fn azure_s_address_key_and_token_command() {
    let home = Home::new();
    let provider = Provider::start(vec![
        Reply::text("by key"),
        Reply::plain(
            "401 Unauthorized",
            "application/json",
            "",
            r#"{"error":{"code":"401","message":"Token expired"}}"#,
        ),
        Reply::text("by token"),
        Reply::plain(
            "401 Unauthorized",
            "application/json",
            "",
            r#"{"error":{"code":"401","message":"Token expired"}}"#,
        ),
    ]);
    let count = home.file("count", "");
    let script = format!("echo x >> '{0}'; echo token-$(wc -l < '{0}' | tr -d ' ')", count.display());
    let stuck = "echo same-token";
    let base = format!("http://127.0.0.1:{}/openai/deployments/d?api-version=2024-10-21", provider.port);
    let profile = |name: &str, more: &str| format!("[profiles.{name}]\nbase_url = \"{base}\"\nmodel = \"m\"\n{more}\n");
    let command = |script: &str| format!("api_key_command = [\"sh\", \"-c\", \"\"\"{script}\"\"\"]");
    home.file(
        "m/config/config.toml",
        &[
            profile("key", "auth = \"api-key\"\napi_key_env = \"AZURE_KEY\""),
            profile("entra", &command(&script)),
            profile("stuck", &command(stuck)),
        ]
        .concat(),
    );
    let ask = |name: &str, code: i32| {
        let mut command = home.command(&["run", "-p", name, "Hi"]);
        command.env("AZURE_KEY", "sk-azure");
        done(command.output().unwrap(), code)
    };
    assert_eq!(ask("key", 0).out, "by key\n");
    assert_eq!(ask("entra", 0).out, "by token\n");
    let stuck = ask("stuck", 4);
    assert!(!stuck.err.contains("same-token"), "{}", stuck.err);
    let heads: Vec<String> = provider.heads().iter().map(|head| head.to_ascii_lowercase()).collect();
    assert_eq!(heads.len(), 4, "the same key is not tried again");
    assert!(
        heads.iter().all(|h| h.starts_with("post /openai/deployments/d/chat/completions?api-version=2024-10-21 ")),
        "{heads:?}"
    );
    assert!(heads[0].contains("api-key: sk-azure") && !heads[0].contains("authorization"), "{}", heads[0]);
    assert!(heads[1].contains("bearer token-1") && heads[2].contains("bearer token-2"), "{heads:?}");
}

#[test]
fn a_model_that_sees_is_shown_the_images_of_results() {
    let home = Home::new();
    let script = r#"call() { reply "$1" '{"content":[{"type":"text","text":"a shot"},{"type":"image","data":"iVBORw0KGgo=","mimeType":"image/png"}]}'; }"#;
    let servers = home.servers(Some(script));
    let list = json!({"object": "list", "data": [{"id": "scripted", "architecture": {"input_modalities": ["text", "image"]}}]});
    let provider = Provider::start(vec![
        Reply::calls(&[("fake__echo", "{}"), ("fake__echo", "{\"b\":2}")]),
        Reply::plain("200 OK", "application/json", "", &list.to_string()),
        Reply::text("A cat."),
    ]);
    let args = ["--mcp", servers.to_str().unwrap(), "--approve", "all", "Look"];
    assert_eq!(done(home.run(&provider, &args).output().unwrap(), 0).out, "A cat.\n");
    assert!(provider.heads()[1].starts_with("GET /v1/models "), "{:?}", provider.heads());
    let messages = provider.requests()[2]["messages"].as_array().unwrap().clone();
    let roles: Vec<&str> = messages.iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "tool", "user"]);
    let parts = messages[4]["content"].as_array().unwrap();
    assert_eq!(
        parts.iter().filter(|p| p["image_url"]["url"] == "data:image/png;base64,iVBORw0KGgo=").count(),
        2,
        "{parts:?}"
    );
    assert!(messages[2]["content"].as_str().unwrap().starts_with("a shot\n[image"));
}

#[test]
fn prices_of_the_profile_make_costs() {
    let home = Home::new();
    let provider = Provider::start(vec![Reply::text("a"), Reply::text("b")]);
    let base = format!("http://127.0.0.1:{}/v1", provider.port);
    home.file(
        "m/config/config.toml",
        &format!("[profiles.p]\nbase_url = \"{base}\"\nmodel = \"m\"\nprice_input = 2.0\nprice_output = 10\n"),
    );
    let told = lines(&mut home.command(&["run", "-p", "p", "--output", "ndjson", "Hi"]));
    let usage = told.iter().find(|l| l["event"] == "usage").unwrap();
    assert!((usage["cost"].as_f64().unwrap() - 44e-6).abs() < 1e-12, "{usage}");
    let whole = done(home.command(&["run", "-p", "p", "--json", "Hi"]).output().unwrap(), 0);
    let whole: Value = serde_json::from_str(&whole.out).unwrap();
    assert!(whole["usage"]["cost"].is_f64(), "{whole}");
    assert_eq!((&usage["prices_from"], &whole["usage"]["prices_from"]), (&"profile".into(), &"profile".into()));
    assert_eq!(
        (&whole["usage_by_round"][0]["round"], &whole["usage_by_round"][0]["cost"]),
        (&1.into(), &usage["cost"])
    );
    // Those of one model are not those of another.
    let provider = Provider::start(vec![Reply::text("c")]);
    let args = ["run", "-p", "p", "-m", "other", "--base-url", &provider.url(), "--json", "Hi"];
    let whole = done(home.command(&args).output().unwrap(), 0);
    assert!(!whole.out.contains("cost"), "{}", whole.out);
}

#[test]
fn without_prices_of_the_profile_those_of_the_endpoints_list_hold() {
    let home = Home::new();
    let list = json!({"data": [
        {"id": "dear", "pricing": {"prompt": "0.000002", "completion": "0.00001"}},
        {"id": "unpriced"},
    ]});
    let models = Reply::plain("200 OK", "application/json", "", &list.to_string());
    let provider = Provider::start(vec![models, Reply::text("a"), Reply::text("b")]);
    done(home.command(&["models", "--base-url", &provider.url()]).output().unwrap(), 0);
    let ask = |model: &str| {
        let args = ["run", "--base-url", &provider.url(), "-m", model, "--json", "Hi"];
        let whole = done(home.command(&args).output().unwrap(), 0);
        serde_json::from_str::<Value>(&whole.out).unwrap()
    };
    let whole = ask("dear");
    assert!((whole["usage"]["cost"].as_f64().unwrap() - 44e-6).abs() < 1e-12, "{whole}");
    assert_eq!(whole["usage"]["prices_from"], "endpoint");
    let parts = &whole["context"];
    assert_eq!((&parts["tokens"], &parts["history"], &parts["tools"]), (&10.into(), &10.into(), &0.into()));
    assert_eq!(parts["estimated"], false);
    assert_eq!(ask("unpriced")["usage"].get("cost"), None);
    assert_eq!(provider.requests().len(), 3, "no run asked for the list again");
}

#[test]
fn a_conversation_that_goes_on_elsewhere_is_listed_with_where_it_went() {
    let home = Home::new();
    let (here, there) = (
        Provider::start(vec![Reply::text("one")]),
        Provider::start(vec![Reply::sse(vec![
            event(&json!({"type": "response.output_text.delta", "output_index": 0, "delta": "two"})),
            event(&json!({"type": "response.completed", "response": {"status": "completed"}})),
        ])]),
    );
    done(home.run(&here, &["first"]).output().unwrap(), 0);
    let args =
        ["run", "--base-url", &there.url(), "-m", "newer", "--api", "responses", "-c", "--output", "ndjson", "on"];
    let told = lines(&mut home.command(&args));
    let started = told.iter().find(|line| line["event"] == "started").unwrap();
    assert_eq!((&started["api"], &started["base_url"]), (&"responses".into(), &there.url().into()));
    let listed = done(home.command(&["history", "list", "--json"]).output().unwrap(), 0);
    let listed: Value = serde_json::from_str(&listed.out).unwrap();
    assert!(listed.to_string().contains("\"newer\"") && !listed.to_string().contains("\"scripted\""), "{listed}");
    // Each turn keeps where it was.
    let exported = done(home.command(&["history", "export", "last", "--format", "json"]).output().unwrap(), 0).out;
    assert!(exported.contains(&there.url()), "{exported}");
}

#[test]
fn a_retry_after_of_a_year_ends_the_turn_by_its_limit() {
    let home = Home::new();
    let year = || Reply::plain("429 Too Many Requests", "application/json", "retry-after: 31536000\r\n", "{}");
    let provider = Provider::start(vec![year(), Reply::text("never asked")]);
    let told = done(home.run(&provider, &["Hi"]).output().unwrap(), 5);
    assert!(told.err.contains("wait 365 days") && told.err.contains("(limit retry_after)"), "{}", told.err);
    assert_eq!(provider.requests().len(), 1);
}

#[test]
fn more_calls_than_the_limit_are_left_out_with_a_notice_that_names_it() {
    let home = Home::new();
    let servers = home.servers(Some(""));
    home.file("m/config/config.toml", "[limits]\ncalls_per_round = 3\n");
    let call = ("fake__echo", "{}");
    let provider = Provider::start(vec![Reply::calls(&[call; 9]), Reply::text("Enough.")]);
    let args = ["--mcp", servers.to_str().unwrap(), "--approve", "all", "--output", "ndjson", "Go"];
    let told = Events::of(home.run(&provider, &args), 0);
    assert!(told.named("notice").iter().any(|n| n["message"].as_str().unwrap().contains("(limit calls_per_round)")));
    assert_eq!(provider.requests()[1]["messages"][1]["tool_calls"].as_array().unwrap().len(), 3);
}

/// An error that stands in the stream, before any word of an answer or behind one.
#[test]
fn an_error_in_the_stream_is_retried_only_while_nothing_was_shown() {
    let home = Home::new();
    let broke = || event(&json!({"error": {"message": "Overloaded", "type": "server_error", "code": 503}}));
    let silent = || {
        event(&json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": null},
        "finish_reason": "stop", "native_finish_reason": "network_error"}]}))
    };
    let provider = Provider::start(vec![
        Reply::sse(vec![broke()]),
        Reply::sse(vec![silent()]),
        Reply::text("Here."),
        Reply::sse(vec![say("Half"), broke()]),
    ]);
    let told = Events::of(home.run(&provider, &["--output", "ndjson", "Hi"]), 0);
    assert_eq!(told.one("ended")["text"], "Here.");
    assert_eq!(provider.requests().len(), 3);
    let told = Events::of(home.run(&provider, &["--output", "ndjson", "Hi"]), 5);
    assert_eq!((provider.requests().len(), told.one("ended")["text"].as_str()), (4, Some("Half")));
    assert!(told.one("error")["message"].as_str().unwrap().contains("Overloaded"), "{}", told.shown());
}

/// A call whose arguments the model may send in two ways, and its end.
#[test]
fn the_history_of_another_model_is_made_fit_for_one_that_wants_reasoning_or_signatures() {
    let home = Home::new();
    let servers = home.servers(Some(""));
    let provider = Provider::start(vec![
        Reply::calls(&[("fake__echo", "{\"a\":1}")]),
        Reply::text("one"),
        refused("Missing `reasoning_content` field in the assistant message at message index 1.", ""),
        Reply::text("two"),
        refused("Function call is missing a thought_signature in functionCall parts.", ""),
        Reply::text("three"),
    ]);
    let mcp = ["--mcp", servers.to_str().unwrap(), "--approve", "all"];
    let ask = |args: &[&str]| done(home.run(&provider, &[&mcp[..], args].concat()).output().unwrap(), 0).out;
    assert_eq!(ask(&["Go"]), "one\n");
    assert_eq!(ask(&["-c", "More"]), "two\n");
    assert_eq!(ask(&["-c", "And more"]), "three\n");
    let sent = provider.requests();
    assert!(sent[2]["messages"][1].get("reasoning_content").is_none());
    assert_eq!(sent[3]["messages"][1]["reasoning_content"], " ");
    assert!(sent[4]["messages"][1]["tool_calls"][0].get("extra_content").is_none());
    let signature = &sent[5]["messages"][1]["tool_calls"][0]["extra_content"]["google"]["thought_signature"];
    assert_eq!(signature, "skip_thought_signature_validator");
    assert_eq!(sent[5]["messages"][1]["reasoning_content"], " ", "both are remembered");
}
