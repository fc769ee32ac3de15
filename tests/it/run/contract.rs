//! Sentences of the contract that no other page holds: keys, models, recorded bodies, ids, choices, secrets.

use super::*;

fn models(names: &[&str]) -> Reply {
    let list: Vec<_> = names.iter().map(|name| json!({"id": name, "object": "model"})).collect();
    Reply::plain("200 OK", "application/json", "", &json!({"object": "list", "data": list}).to_string())
}

#[test]
fn every_golden_transcript_comes_out_of_the_program_as_it_stands() {
    let home = Home::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sse");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let golden: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let tools = home.file("tools.json", &golden["request"]["tools"].to_string());
        let mut args = vec!["decode".to_owned(), "--tools".into(), tools.display().to_string()];
        if golden["http"].is_object() {
            args.extend(["--status".into(), golden["http"]["status"].to_string(), "--content-type".into()]);
            args.push(golden["http"]["content_type"].as_str().unwrap().to_owned());
        }
        // A different piece for each, so that all of them are met.
        args.extend(["--chunk".into(), [1, 7, 1000][seen % 3].to_string()]);
        args.push(path.with_extension("sse").display().to_string());
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let told = done(home.command(&args).output().unwrap(), 0);
        let got: Value = serde_json::from_str(&told.out).unwrap();
        assert_eq!(got, golden["expect"], "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 45, "{seen}");
}

#[test]
fn a_key_goes_where_it_belongs_and_nowhere_else() {
    let home = Home::new();
    let provider = Provider::start((0..20).map(|_| Reply::text("ok")).collect());
    let url = provider.url();
    home.file(
        "m/config/config.toml",
        &format!(
            "[profiles.own]\nbase_url = \"{url}\"\napi_key_env = \"OWN_KEY\"\nmodel = \"m\"\n\
             [profiles.bare]\nbase_url = \"{url}\"\nmodel = \"m\"\n\
             [profiles.far]\nbase_url = \"https://far.invalid/v1\"\napi_key_env = \"FAR_KEY\"\nmodel = \"m\"\n"
        ),
    );
    let asked = |args: &[&str], env: &[(&str, &str)], code: i32| {
        let mut command = home.command(&[&["run", "q"], args].concat());
        command.env("OPENAI_API_KEY", "sk-openai-1").envs(env.iter().copied());
        done(command.output().unwrap(), code);
        provider.keys()
    };
    assert_eq!(asked(&["--base-url", &url, "-m", "m"], &[], 0), ["Bearer sk-openai-1"]);
    assert_eq!(asked(&["-m", "m"], &[("OPENAI_BASE_URL", &url)], 0), ["Bearer sk-openai-1"]);
    assert_eq!(asked(&["-p", "own"], &[("OWN_KEY", "sk-own-1")], 0), ["Bearer sk-own-1"]);
    assert_eq!(asked(&["-p", "bare"], &[], 0), [""]);
    assert_eq!(asked(&[], &[("MILLRACE_PROFILE", "own"), ("OWN_KEY", "sk-own-1")], 0), ["Bearer sk-own-1"]);
    // A profile's key does not follow to another address, and the environment's does not take its place.
    assert_eq!(asked(&["-p", "far", "--base-url", &url], &[("FAR_KEY", "sk-far-1")], 0), [""]);
    // A key that was named and is not there, or is wanted: said before anything leaves.
    assert!(asked(&["-p", "far"], &[], 4).is_empty());
    let told = done(home.command(&["run", "q"]).output().unwrap(), 4);
    assert!(told.err.contains("OPENAI_API_KEY") && told.err.contains("--base-url"), "{}", told.err);
    // A redirect to another origin is not followed, with or without the key.
    let away = format!("location: {url}/chat/completions\r\n");
    let first = Provider::start(vec![Reply::plain("307 Away", "text/plain", &away, "")]);
    let mut command = home.run(&first, &["q"]);
    command.env("OPENAI_API_KEY", "sk-openai-1");
    done(command.output().unwrap(), 5);
    assert!(provider.keys().is_empty());
}

#[test]
fn the_model_is_the_one_that_is_named_else_the_only_one() {
    let home = Home::new();
    let asked = |replies: Vec<Reply>, code: i32| {
        let provider = Provider::start(replies);
        let told = done(home.command(&["run", "--base-url", &provider.url(), "q"]).output().unwrap(), code);
        (provider.requests().last().map(|r| r["model"].clone()), told)
    };
    assert_eq!(asked(vec![models(&["only"]), Reply::text("ok")], 0).0, Some("only".into()));
    let none = Reply::plain("404 Not Found", "application/json", "", "{}");
    for reply in [models(&["a", "b"]), models(&[]), none] {
        let (_, told) = asked(vec![reply], 3);
        assert!(told.err.contains("-m") && told.err.contains("millrace models"), "{}", told.err);
    }
}

#[test]
fn ids_of_calls_are_unique_in_their_conversation() {
    let home = Home::new();
    let servers = home.servers(None);
    let servers = servers.to_str().unwrap();
    let same = || {
        let fragment = |index: u64, path: &str| {
            let function = json!({"name": "demo__read_file", "arguments": json!({"path": path}).to_string()});
            let call = json!({"index": index, "id": "again", "type": "function", "function": function});
            event(&json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}))
        };
        Reply::sse(vec![fragment(0, "README.md"), fragment(1, "src/main.rs"), finish("tool_calls")])
    };
    let provider = Provider::start(vec![same(), same(), Reply::text("one"), same(), Reply::text("two")]);
    let mut ids = Vec::new();
    for more in [&[][..], &["-c"]] {
        let args = [&["--mcp", servers, "--approve", "all", "--output", "ndjson", "q"], more].concat();
        let events = Events::of(home.run(&provider, &args), 0);
        ids.extend(events.0.iter().filter(|l| l["state"] == "closed").map(|l| l["call"].as_str().unwrap().to_owned()));
    }
    assert_eq!((ids.len(), ids[0].as_str()), (6, "again"));
    let distinct: std::collections::HashSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), 6, "{ids:?}");
    // And each has its own outcome in what the model is told.
    let last = provider.requests().pop().unwrap();
    let answered = last["messages"].as_array().unwrap().iter().filter(|m| m["role"] == "tool");
    let answered: Vec<_> = answered.map(|m| m["tool_call_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(answered, ids);
}

#[test]
fn the_choice_of_tools_is_for_the_first_round() {
    let servers = |home: &Home| home.servers(None).to_str().unwrap().to_owned();
    let named = json!({"type": "function", "function": {"name": "demo__read_file"}});
    for (choice, sent) in [
        ("required", Value::from("required")),
        ("none", "none".into()),
        ("demo__read_file", named.clone()),
        ("demo/read_file", named),
    ] {
        let home = Home::new();
        let read = ("demo__read_file", "{\"path\":\"README.md\"}");
        let provider = Provider::start(vec![Reply::calls(&[read]), Reply::text("ok")]);
        let args = ["--mcp", &servers(&home), "--approve", "all", "--tool-choice", choice, "--output", "ndjson", "q"];
        let events = Events::of(home.run(&provider, &args), 0);
        let requests = provider.requests();
        assert_eq!(requests[0]["tool_choice"], sent);
        assert!(requests[1].get("tool_choice").is_none_or(|c| c == "auto"), "{choice}: {}", requests[1]);
        let end = if choice == "none" { "denied" } else { "done" };
        assert_eq!(events.end("demo__read_file")["state"], end, "{choice}");
    }
}

#[test]
fn known_secrets_do_not_come_out_of_json_and_ndjson() {
    let home = Home::new();
    let fake = home.servers(Some(
        "call() { reply \"$1\" '{\"content\":[{\"type\":\"text\",\"text\":\"'\"$SECRET_TOKEN\"'\"}]}'; }",
    ));
    let mut servers: Value = serde_json::from_slice(&std::fs::read(&fake).unwrap()).unwrap();
    servers["mcpServers"]["fake"]["env"]["SECRET_TOKEN"] = "${env:TOKEN}".into();
    let file = home.file("leaky.json", &servers.to_string());
    for output in ["json", "ndjson"] {
        let provider = Provider::start(vec![
            Reply::calls(&[("fake__echo", "{\"k\":\"sk-canary-one\"}")]),
            Reply::sse(vec![say("It is sk-can"), say("ary-one. Or "), say("sk-ca"), finish("stop")]),
        ]);
        let args = ["--mcp", file.to_str().unwrap(), "--approve", "all", "--output", output, "q"];
        let mut command = home.run(&provider, &args);
        command.env("OPENAI_API_KEY", "sk-canary-one").env("TOKEN", "canary-two");
        let told = done(command.output().unwrap(), 0);
        let all = format!("{}{}", told.out, told.err);
        assert!(!all.contains("canary"), "{all}");
        let last: Value = serde_json::from_str(told.out.lines().last().unwrap()).unwrap();
        assert_eq!(last["text"], "It is [redacted]. Or sk-ca");
        if output == "ndjson" {
            let events = Events::read(&told.out);
            let text: String = events.named("text").iter().map(|l| l["text"].as_str().unwrap()).collect();
            assert_eq!(text, "It is [redacted]. Or sk-ca");
            assert_eq!(events.end("fake__echo")["content"], "[redacted]");
        }
        // The model and the server got what they were meant to get.
        assert_eq!(provider.told(1)[2].1, "canary-two");
    }
}
