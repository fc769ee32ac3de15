//! Roles, from their files to the request.

use super::*;

const REVIEWER: &str = "+++\nmodel = \"big\"\ntools = [\"demo/read_*\"]\ntemperature = 0.2\nmax_output_tokens = 99\n\
                        params = { top_p = 0.5, seed = 1 }\n+++\nName the worst defect first.\n";

fn tools(request: &Value) -> Vec<String> {
    let tools = request["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    tools.iter().map(|tool| tool["function"]["name"].as_str().unwrap().to_owned()).collect()
}

fn system(request: &Value) -> &str {
    let first = &request["messages"][0];
    assert_eq!(first["role"], "system", "{request}");
    first["content"].as_str().unwrap()
}

/// Without `-m`, which would go before a role's model.
fn ask(home: &Home, provider: &Provider, args: &[&str]) -> Command {
    let mut command = home.command(&["run", "--base-url", &provider.url()]);
    command.args(args);
    command
}

#[test]
fn a_role_from_a_file_says_how_the_model_is_asked_and_stays_with_its_conversation() {
    let home = Home::new();
    home.file("m/config/roles/reviewer.md", REVIEWER);
    home.file("m/config/config.toml", "model = \"small\"\n[roles]\nbrief = \"In one sentence.\"\n");
    let servers = home.servers(None);
    let servers = servers.to_str().unwrap();
    let provider = Provider::start((0..5).map(|_| Reply::text("ok")).collect());
    done(
        ask(&home, &provider, &["--mcp", servers, "--role", "reviewer", "--param", "seed=2", "q"]).output().unwrap(),
        0,
    );
    done(ask(&home, &provider, &["--mcp", servers, "-c", "again"]).output().unwrap(), 0);
    done(
        ask(&home, &provider, &["--mcp", servers, "-c", "--role", "brief", "-m", "other", "again"]).output().unwrap(),
        0,
    );
    done(ask(&home, &provider, &["--mcp", servers, "-c", "again"]).output().unwrap(), 0);
    done(ask(&home, &provider, &["q"]).output().unwrap(), 0);
    let asked = provider.requests();
    for request in &asked[..2] {
        assert!(system(request).starts_with("Name the worst defect first."), "{request}");
        assert_eq!((&request["model"], &request["temperature"]), (&"big".into(), &0.2.into()));
        assert_eq!((&request["max_tokens"], &request["top_p"]), (&99.into(), &0.5.into()), "{request}");
        let offered = tools(request);
        assert!(!offered.is_empty() && offered.iter().all(|name| name.starts_with("demo__read_")), "{offered:?}");
    }
    assert_eq!((&asked[0]["seed"], &asked[1]["seed"]), (&2.into(), &1.into()));
    assert!(system(&asked[2]).starts_with("In one sentence."));
    assert_eq!((&asked[2]["model"], asked[2].get("temperature")), (&"other".into(), None));
    assert!(tools(&asked[2]).len() > tools(&asked[0]).len());
    assert!(system(&asked[3]).starts_with("In one sentence."), "the last one that was named");
    assert_eq!((&asked[4]["model"], &asked[4]["messages"][0]["role"]), (&"small".into(), &"user".into()));
}

#[test]
fn a_role_that_is_wrong_is_left_out_and_the_others_hold() {
    let home = Home::new();
    home.file("m/config/roles/good.md", "Be good.");
    let bad = home.file("m/config/roles/bad.md", "+++\nmodel = \"m\"\ntemprature = 1\n+++\nx");
    home.file("m/config/config.toml", "role = \"bad\"\n");
    let provider = Provider::start(vec![Reply::text("ok"), Reply::text("ok")]);
    done(home.run(&provider, &["--role", "good", "q"]).output().unwrap(), 0);
    assert_eq!(system(&provider.requests()[0]), "Be good.");
    let told = done(home.run(&provider, &["-v", "q"]).output().unwrap(), 0);
    assert!(told.err.contains("bad.md:3") && told.err.contains("left out"), "{}", told.err);
    let told = done(home.run(&provider, &["--role", "bad", "q"]).output().unwrap(), 3);
    assert!(told.err.contains("bad.md:3:1") && told.err.contains("did you mean `temperature`"), "{}", told.err);
    let told = done(home.run(&provider, &["--role", "god", "q"]).output().unwrap(), 3);
    assert!(told.err.contains("Did you mean good?"), "{}", told.err);
    for args in [&["config", "check"][..], &["config", "check", bad.to_str().unwrap()]] {
        let told = done(home.command(args).output().unwrap(), 3);
        assert!(told.err.contains("bad.md:3:1") && told.err.contains("temprature"), "{args:?}: {}", told.err);
    }
    std::fs::remove_file(&bad).unwrap();
    let told = done(home.command(&["config", "check"]).output().unwrap(), 3);
    assert!(told.err.contains("no [roles] is called \"bad\""), "{}", told.err);
}

#[test]
fn a_role_speaks_where_it_was_named() {
    let home = Home::new();
    let config = "model = \"mine\"\nrole = \"r\"\n[roles.r]\nsystem = \"Of the user.\"\nmodel = \"roles\"\n\
                  temperature = 0.5\n[profiles.p]\nrole = \"q\"\ntemperature = 0.9\n[roles.q]\ntemperature = 0.1\n\
                  reasoning_effort = \"low\"\n";
    home.file("m/config/config.toml", config);
    let check = |args: &[&str], expect: &[&str]| {
        let told = done(home.command(&[&["config", "show", "--origin"][..], args].concat()).output().unwrap(), 0);
        for line in expect {
            let found = told.out.lines().find(|l| l.split_whitespace().collect::<Vec<_>>().join(" ").starts_with(line));
            assert!(found.is_some(), "{line}: {}", told.out);
        }
    };
    // What stands at the same place by itself goes before what its role says.
    check(&[], &["model = \"mine\"", "role = \"r\"", "temperature = 0.5", "system = \"Of the user.\""]);
    check(&["-p", "p"], &["role = \"q\" # ", "temperature = 0.9", "reasoning_effort = \"low\""]);
    let folder = home.file(".millrace.toml", "role = \"none of mine\"\n");
    done(home.command(&["config", "trust", "--yes"]).output().unwrap(), 0);
    let told = done(home.command(&["config", "show"]).output().unwrap(), 0);
    assert!(told.err.contains("which is not one of yours"), "{}", told.err);
    std::fs::write(folder, "role = \"q\"\n").unwrap();
    done(home.command(&["config", "trust", "--yes"]).output().unwrap(), 0);
    check(&[], &["role = \"q\"", "temperature = 0.1", "model = \"mine\""]);
}

#[test]
fn a_conversation_goes_on_with_the_system_prompt_that_it_is_held_with() {
    let home = Home::new();
    let config =
        |system: &str| home.file("m/config/config.toml", &format!("model = \"small\"\nsystem = \"{system}\"\n"));
    config("As configured.");
    let provider = Provider::start((0..6).map(|_| Reply::text("ok")).collect());
    let run = |args: &[&str]| done(ask(&home, &provider, args).output().unwrap(), 0);
    run(&["-s", "Be brief.", "q"]);
    run(&["-c", "again"]);
    let id = home.last()["id"].as_str().unwrap().to_owned();
    run(&["new"]);
    config("Another one.");
    run(&["-c", "again"]);
    run(&[&format!("-r={id}"), "-s", "Be long.", "again"]);
    run(&[&format!("-r={id}"), "again"]);
    let asked = provider.requests();
    let told: Vec<&str> = asked.iter().map(system).collect();
    assert_eq!(told, ["Be brief.", "Be brief.", "As configured.", "As configured.", "Be long.", "Be long."]);
}
