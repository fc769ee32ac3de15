//! Servers of other clients: every dialect from a file as that client writes it, and files that mean harm.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use millrace::config::import::{self, Becomes, Client, Places, Plan, Remark, Row};
use millrace::config::{Config, DraftTransport, Edit, ServerDraft, Variables};

const MOST: u64 = 1 << 20;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/clients")
}

fn env() -> BTreeMap<String, String> {
    [("SENTRY_TOKEN", "t0k"), ("MAPS_KEY", "k")].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
}

fn planned(
    found: Vec<import::Found>,
    unreadable: Vec<import::Unreadable>,
    configured: &[ServerDraft],
    folder: &Path,
) -> Plan {
    let (env, refused) = (env(), BTreeSet::new());
    let variables = Variables { env: &env, refused: &refused, folder, home: Some(Path::new("/home/ada")) };
    import::plan(found, unreadable, configured, &variables)
}

fn all() -> (Plan, Places) {
    let places = Places::new(&fixtures().join("home"), &fixtures().join("project"), &BTreeMap::new());
    let (found, bad) = import::find(&places, None, MOST);
    (planned(found, bad, &[], &places.folder), places)
}

/// Everything that is known of the rows, but for the paths of this machine.
fn drawn(plan: &Plan) -> String {
    let mut out = String::new();
    for row in &plan.rows {
        let _ = write!(out, "{}: {:?} ", row.client.word(), row.key);
        match &row.becomes {
            Becomes::LeftOut(why) => out.push_str(&format!("left out: {why}\n")),
            Becomes::Known(name) => out.push_str(&format!("known as {}\n", name.as_str())),
            Becomes::New(draft) => {
                out.push_str(&format!("is {}{}\n", draft.name.as_str(), if draft.disabled { " (off)" } else { "" }));
                match &draft.how {
                    DraftTransport::Stdio { command, args, env, cwd } => {
                        let _ = writeln!(out, "    {command:?} {args:?} in {cwd:?}");
                        env.iter().for_each(|(k, v)| out.push_str(&format!("    {k}={v}\n")));
                    }
                    DraftTransport::Url { kind, url, headers } => {
                        let _ = writeln!(out, "    {kind:?} {url}");
                        headers.iter().for_each(|(k, v)| out.push_str(&format!("    {k}: {v}\n")));
                    }
                }
                if let Some(tools) = &draft.tools_allow {
                    let _ = writeln!(out, "    only {tools:?}");
                }
                if !draft.policies.is_empty() {
                    let _ = writeln!(out, "    {:?}", draft.policies);
                }
                if let (start, call) = (draft.start_timeout, draft.call_timeout)
                    && (start.is_some() || call.is_some())
                {
                    let _ = writeln!(out, "    start {start:?}, call {call:?}");
                }
            }
        }
        for remark in &row.remarks {
            let _ = writeln!(out, "    * {remark:?}");
        }
        for name in &row.unset {
            let _ = writeln!(out, "    * unset {name}");
        }
        for literal in &row.literals {
            let _ = writeln!(out, "    * secret {:?} {}", literal.place, literal.name);
        }
        for what in row.off.iter().chain(&row.open_secret) {
            let _ = writeln!(out, "    * {what}");
        }
        if let Some(unpinned) = &row.unpinned {
            let _ = writeln!(out, "    * unpinned {}", unpinned.package);
        }
    }
    for bad in &plan.unreadable {
        let _ = writeln!(out, "{}: {} {}", bad.client.word(), bad.path.file_name().unwrap().display(), bad.why);
    }
    out.replace(&fixtures().display().to_string(), "FIXTURES")
}

#[test]
fn every_client_is_read_in_its_own_dialect() {
    let (plan, _) = all();
    let clients: BTreeSet<Client> = plan.rows.iter().map(|row| row.client).collect();
    assert_eq!(clients.len(), Client::ALL.len() - 2, "all but the two that must be named");
    insta::assert_snapshot!("import_every_client", drawn(&plan));
    // Nothing that widened what a server may do has come over, and each asks before its first start.
    for draft in plan.rows.iter().filter_map(Row::draft) {
        assert!(draft.ask_first && !draft.trust && draft.policy.is_none());
        assert!(draft.policies.values().all(|policy| *policy == millrace::chat::Policy::Deny));
    }
}

#[test]
fn one_client_or_one_file_can_be_named() {
    let (_, places) = all();
    let (found, _) = import::find(&places, Some(Client::Zed), MOST);
    assert!(found.len() == 3 && found.iter().all(|found| found.client == Client::Zed));
    // Whose file it is, is known by its form.
    for (path, count) in [
        ("home/.codex/config.toml", 2),
        ("home/.config/zed/settings.json", 3),
        ("home/.gemini/settings.json", 3),
        ("home/.config/opencode/opencode.jsonc", 2),
        ("project/.vscode/mcp.json", 3),
        ("project/.agents/mcp.json", 1),
    ] {
        let path = fixtures().join(path);
        let named = import::open(&places, &path, None, MOST).unwrap();
        assert_eq!(named.len(), count, "{}", path.display());
        let (all, _) = import::find(&places, None, MOST);
        for (one, same) in named.iter().zip(all.iter().filter(|found| found.path == path)) {
            assert_eq!(one.entry.draft, same.entry.draft);
        }
    }
    for (path, why) in [("home/none.json", "No such file"), ("home", "folder"), ("../sse/01-openai-text.sse", "line 1")]
    {
        let bad = import::open(&places, &fixtures().join(path), None, MOST).unwrap_err();
        assert!(bad.why.contains(why), "{bad:?}");
    }
    let small = import::open(&places, &fixtures().join("home/.claude.json"), None, 100).unwrap_err();
    assert!(small.why.contains("limits.import"), "{small:?}");
}

#[test]
fn a_listing_of_the_registry_becomes_a_pinned_command() {
    let (_, places) = all();
    let mut found = Vec::new();
    for name in ["npm.json", "remote.json", "older.json"] {
        found.extend(import::open(&places, &fixtures().join("registry").join(name), None, MOST).unwrap());
    }
    insta::assert_snapshot!("import_registry", drawn(&planned(found, Vec::new(), &[], &places.folder)));
}

#[test]
fn a_hostile_file_ends_in_a_line_for_each_entry_and_loses_no_good_one() {
    let (_, places) = all();
    let found = import::open(&places, &fixtures().join("hostile/mcp.json"), None, MOST).unwrap();
    assert_eq!(found.len(), 19);
    let plan = planned(found, Vec::new(), &[], &places.folder);
    insta::assert_snapshot!("import_hostile", drawn(&plan));
    // What can be written is a good file, and reads back as what was shown.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "# mine\nmodel = \"a\" # why\n\n[servers.old]\ncommand = \"o\"\n").unwrap();
    let mut edit = Edit::open(&file).unwrap();
    plan.rows.iter().filter_map(Row::draft).for_each(|draft| edit.put_server(draft));
    edit.save().unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("# mine\nmodel = \"a\" # why\n\n[servers.old]\ncommand = \"o\"\n"), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{200b}']), "what nobody sees is written out: {text}");
    let config = Config::load(&file).unwrap().0;
    for draft in plan.rows.iter().filter_map(Row::draft) {
        let written = config.servers.iter().find(|server| server.name == draft.name).unwrap();
        assert_eq!(written.how, draft.how);
    }
}

#[test]
fn what_is_there_is_known_and_names_are_kept_apart() {
    let (plan, places) = all();
    let drafts: Vec<ServerDraft> = plan.rows.iter().filter_map(Row::draft).cloned().collect();
    // All of it once more: also where the secrets were put elsewhere meanwhile.
    let (found, _) = import::find(&places, None, MOST);
    let mut moved = plan.clone();
    moved.rows.iter_mut().for_each(Row::secrets_by_variable);
    for configured in [drafts, moved.rows.iter().filter_map(Row::draft).cloned().collect()] {
        let again = planned(found.clone(), Vec::new(), &configured, &places.folder);
        assert!(again.rows.iter().all(|row| row.draft().is_none()), "{}", drawn(&again));
    }
    // Another server of the same name.
    let how = DraftTransport::Stdio { command: "mine".into(), args: vec![], env: [].into(), cwd: None };
    let mine = ServerDraft::new("filesystem", how, millrace::config::Source::Program);
    let again = planned(found, Vec::new(), &[mine], &places.folder);
    let names: Vec<&str> = again.rows.iter().filter_map(Row::draft).map(|draft| draft.name.as_str()).collect();
    assert_eq!(names[0], "filesystem-2");
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
}

#[test]
fn servers_of_one_project_are_those_of_the_folder() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("src");
    std::fs::create_dir(&folder).unwrap();
    let text = serde_json::json!({"mcpServers": {"user": {"command": "u"}}, "projects": {
        folder.to_string_lossy(): {"mcpServers": {"here": {"command": "h"}}},
        "/elsewhere": {"mcpServers": {"there": {"command": "t"}}},
    }});
    std::fs::write(home.path().join(".claude.json"), text.to_string()).unwrap();
    std::fs::write(folder.join(".mcp.json"), "not json").unwrap();
    std::fs::create_dir(folder.join(".cursor")).unwrap();
    std::fs::write(folder.join(".cursor/mcp.json"), "").unwrap();
    let places = Places::new(home.path(), &folder, &BTreeMap::new());
    let (found, bad) = import::find(&places, None, MOST);
    let keys: Vec<&str> = found.iter().map(|found| found.entry.key.as_str()).collect();
    assert_eq!(keys, ["user", "here"]);
    assert_eq!((bad.len(), bad[0].client), (1, Client::ClaudeCode));
    assert!(bad[0].why.starts_with("line 1: this is not JSON"), "{bad:?}");
}

#[test]
fn secrets_can_be_left_to_the_environment() {
    let (mut plan, _) = all();
    assert!(plan.rows.iter().any(|row| !row.literals.is_empty()));
    plan.rows.iter_mut().for_each(Row::secrets_by_variable);
    let text = format!("{:?}", plan);
    assert!(!text.contains("ghp_0123456789abcdefghij"));
    let github = plan.rows.iter().find(|row| row.key == "GitHub").unwrap();
    assert_eq!(github.unset, ["GITHUB_PERSONAL_ACCESS_TOKEN"]);
    assert!(!github.remarks.iter().any(|remark| matches!(remark, Remark::Trust(_))));
}

/// A home with every client's files in it, and the program in it.
fn program(folder: &Path, args: &[&str], code: i32) -> (String, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_millrace"));
    command.args(args).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("MILLRACE_HOME", folder.join("m")).env("HOME", fixtures().join("home"));
    command.current_dir(fixtures().join("project")).stdin(std::process::Stdio::null());
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(code), "stdout: {out}\nstderr: {err}");
    (out, err)
}

#[test]
fn the_program_shows_first_and_writes_then() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str], code| program(folder.path(), &[&["mcp", "import"][..], args].concat(), code);
    let file = folder.path().join("m/config/config.toml");
    let (out, _) = run(&["--dry-run"], 0);
    assert!(out.contains("unpinned  npx fetches the newest @modelcontextprotocol/server-filesystem"), "{out}");
    assert!(out.contains("dropped   alwaysAllow: it let tools run there unasked") && !out.contains("ghp_"), "{out}");
    assert!(out.ends_with("Nothing was changed: this was a dry run.\n") && !file.exists());
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let plan = json(&run(&["--dry-run", "--json", "--from", "gemini"], 0).0);
    assert_eq!(plan["servers"].as_array().unwrap().len(), 3);
    assert_eq!((&plan["servers"][0]["status"], &plan["saved"]), (&"new".into(), &serde_json::Value::Null));
    // Nobody is here to be asked.
    let (_, err) = run(&[], 2);
    assert!(err.contains("Nobody is here to ask") && !file.exists(), "{err}");
    assert!(run(&["--from", "emacs"], 2).1.contains("claude-desktop, claude-code"));
    assert!(run(&["none.json"], 3).1.contains("No such file"));
    run(&["--yes", "--only", "GitHub"], 0);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("${env:GITHUB_PERSONAL_ACCESS_TOKEN}") && !text.contains("ghp_"), "{text}");
    let all = json(&run(&["--yes", "--json", "--secrets", "keep"], 0).0);
    let status =
        |key: &str| all["servers"].as_array().unwrap().iter().find(|row| row["key"] == key).unwrap()["status"].clone();
    assert_eq!((status("GitHub"), status("socket"), status("pg")), ("known".into(), "left_out".into(), "new".into()));
    assert!(run(&["--yes"], 0).0.ends_with("Nothing new to import.\n"));
    // Each asks before its first start, and is off while what it needs is not set.
    let (list, err) = program(folder.path(), &["mcp", "list"], 0);
    assert!(list.contains("pg-mcp --ro   asks before its first start"), "{list}");
    assert!(err.contains("\"linear\" is off: $LINEAR_KEY is not set"), "{err}");
}
