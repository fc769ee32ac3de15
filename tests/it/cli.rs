//! The command line from outside: the built binary, with everything of its own in one folder.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        command.args(args).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("MILLRACE_HOME", self.0.path().join("m")).env("HOME", self.0.path()).current_dir(self.0.path());
        command.stdin(std::process::Stdio::null());
        command
    }

    #[track_caller]
    fn run(&self, args: &[&str], code: i32) -> (String, String) {
        ended(self.command(args).output().unwrap(), code)
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("m/config/config.toml")
    }

    fn write(&self, text: &str) {
        std::fs::create_dir_all(self.file().parent().unwrap()).unwrap();
        std::fs::write(self.file(), text).unwrap();
    }
}

#[track_caller]
fn ended(output: Output, code: i32) -> (String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(code), "stdout: {out}\nstderr: {err}");
    (out, err)
}

#[test]
fn usage_errors_end_with_2_and_help_with_0() {
    let home = Home::new();
    for bad in [&["--bogus"][..], &["histroy"], &["config", "frobnicate"], &["decode"], &["--approve", "x"]] {
        let (out, err) = home.run(bad, 2);
        assert!(out.is_empty() && err.contains("error"), "{bad:?} {err}");
    }
    assert!(home.run(&["histroy"], 2).1.contains("did you mean `history`"));
    let (long, _) = home.run(&["--help"], 0);
    let examples = long.find("Examples:").unwrap();
    assert!(examples < long.find("Usage:").unwrap());
    assert_eq!(long[examples..].lines().skip(1).take_while(|l| l.starts_with("  ")).count(), 3);
    assert_eq!(home.run(&["help", "run"], 0), home.run(&["run", "--help"], 0));
    let (short, _) = home.run(&["-h"], 0);
    assert!(!short.contains("Examples:") && short.len() <= long.len());
    assert_eq!(home.run(&["-V"], 0).0.trim(), format!("millrace {}", env!("CARGO_PKG_VERSION")));
    let version = home.run(&["--version"], 0).0;
    let lines: Vec<&str> = version.lines().collect();
    assert!(
        matches!(lines[..], [name, sqlite, tls, target] if name.starts_with("millrace ")
        && sqlite.starts_with("SQLite 3.") && tls.starts_with("TLS rustls 0.") && target.contains('-')),
        "{version}"
    );
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(home.run(&["completions", shell], 0).0.contains("millrace"), "{shell}");
    }
    assert!(home.run(&["man"], 0).0.contains(".TH millrace"));
}

#[test]
fn the_configuration_is_begun_changed_and_read() {
    let home = Home::new();
    let (out, _) = home.run(&["config"], 0);
    assert!(out.contains(home.file().to_str().unwrap()) && out.contains("not written yet"), "{out}");
    assert!(home.run(&["config", "check"], 0).0.contains("the defaults hold"));
    home.run(&["config", "init"], 0);
    assert_eq!(std::fs::read_to_string(home.file()).unwrap(), millrace::config::example());
    home.run(&["config", "init"], 2);
    home.run(&["config", "check"], 0);
    home.write("# mine\nmodel = \"a\" # why\n\n[profiles.x]\nbase_url = \"http://localhost:1/v1\"\n");
    home.run(&["config", "set", "model", "b"], 0);
    home.run(&["config", "set", "profiles.x.temperature", "0.5"], 0);
    home.run(&["config", "set", "limits.connect", "5 s"], 0);
    home.run(&["config", "set", "keys.\"review.once\"", "[\"z\"]"], 0);
    let text = std::fs::read_to_string(home.file()).unwrap();
    assert_eq!(
        text,
        "# mine\nmodel = \"b\" # why\n\n[profiles.x]\nbase_url = \"http://localhost:1/v1\"\ntemperature = 0.5\n\n[limits]\nconnect = \"5 s\"\n\n[keys]\n\"review.once\" = [\"z\"]\n"
    );
    assert_eq!(home.run(&["config", "get", "model"], 0).0, "\"b\"\n");
    assert_eq!(home.run(&["config", "get", "limits.connect"], 0).0, "\"5 s\"\n");
    assert_eq!(home.run(&["config", "get", "limits.turn"], 0).0, "\"60 min\"\n");
    assert_eq!(home.run(&["config", "get", "ui.theme"], 0).0, "\"auto\"\n");
    home.run(&["config", "get", "nope"], 3);
    // A change that would break the file is not made.
    for (key, value) in [
        ("modle", "x"),
        ("limits.connect", "5"),
        ("profile", "nope"),
        ("keys.\"review.once\"", "enter"),
        ("profiles.x.base_url", "x"),
    ] {
        let (_, err) = home.run(&["config", "set", key, value], 3);
        assert!(err.contains("was not changed"), "{err}");
    }
    assert_eq!(std::fs::read_to_string(home.file()).unwrap(), text);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(home.file()).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let schema: serde_json::Value = serde_json::from_str(&home.run(&["config", "schema"], 0).0).unwrap();
    assert_eq!(schema["type"], "object");
}

#[test]
fn what_holds_is_shown_with_its_origin_and_without_secrets() {
    let home = Home::new();
    home.write(
        "profile = \"x\"\n[profiles.x]\nbase_url = \"https://x.example/v1\"\napi_key = \"hunter2\"\nmodel = \"m\"\nheaders = { K = \"hunter2\" }\n\
         [limits]\nrounds = 5\n[servers.s]\ncommand = \"x\"\nenv = { PIN = \"hunter2\" }\n",
    );
    let (out, err) = home.run(&["config", "show", "--origin"], 0);
    assert!(!out.contains("hunter2") && !err.contains("hunter2"), "{out}{err}");
    let line = |key: &str| {
        out.lines().find(|l| l.split_whitespace().next() == Some(key)).unwrap_or_else(|| panic!("{key} in {out}"))
    };
    assert!(line("profile").ends_with("config.toml:1"));
    assert!(line("model").contains("\"m\"") && line("model").ends_with("config.toml:5"), "{out}");
    assert!(line("limits.rounds").ends_with("config.toml:8"));
    assert!(line("limits.turn").ends_with("default"));
    assert!(line("servers.s").contains("PIN=… x"));
    assert!(out.contains("# Messages go to x.example, with the key from config.toml."));
    assert!(err.contains("holds its key in this file"), "{err}");
    let output = home.command(&["config", "show", "--origin"]).env("MILLRACE_MODEL", "e").output().unwrap();
    assert!(ended(output, 0).0.contains("config.toml:5"));
    for key in [
        "profiles.x.api_key",
        "profiles.x",
        "profiles",
        "profiles.x.headers",
        "profiles.x.headers.K",
        "servers.s.env",
        "servers",
    ] {
        let output = home.command(&["config", "get", key]).output().unwrap();
        let all = [output.stdout, output.stderr].concat();
        assert!(!String::from_utf8(all).unwrap().contains("hunter2"), "{key}");
    }
}

#[test]
fn a_broken_file_is_told_whole_and_ends_with_3() {
    let home = Home::new();
    home.write("modle = \"x\"\n[limits]\nconnect = 10\n[profiles.a]\napi_kye = \"hunter2\"\n");
    let (_, err) = home.run(&["config", "check"], 3);
    for expect in ["config.toml:1:1", "did you mean `model`?", "config.toml:3:11", "config.toml:5:1", "3 errors"] {
        assert!(err.contains(expect), "{expect}: {err}");
    }
    assert!(!err.contains("hunter2"));
    home.run(&["config", "show"], 3);
    let other = home.0.path().join("other.toml");
    std::fs::write(&other, "model = \"x\"\n").unwrap();
    home.run(&["config", "check", other.to_str().unwrap()], 0);
    home.run(&["config", "check", "missing.toml"], 3);
    let output = home.command(&["config", "path"]).env("MILLRACE_HOME", "relative").output().unwrap();
    assert!(ended(output, 3).1.contains("absolute path"));
}

#[test]
fn a_project_is_read_only_when_trusted() {
    let home = Home::new();
    let project = home.0.path().join("p");
    std::fs::create_dir(&project).unwrap();
    let show = |dir: &Path| ended(home.command(&["config", "show", "--origin"]).current_dir(dir).output().unwrap(), 0);
    std::fs::write(project.join(".millrace.toml"), "model = \"project-model\"\n[servers.s]\ncommand = \"evil\"\n")
        .unwrap();
    let (out, err) = show(&project);
    assert!(!out.contains("project-model") && !out.contains("evil") && err.contains("is not trusted"), "{out}{err}");
    let trust = |args: &[&str], code| ended(home.command(args).current_dir(&project).output().unwrap(), code);
    trust(&["config", "trust"], 2);
    assert!(trust(&["config", "trust", "--yes"], 0).0.contains("command = \"evil\""));
    let (out, _) = show(&project);
    assert!(out.contains("\"project-model\"   # .millrace.toml"), "{out}");
    std::fs::write(project.join(".millrace.toml"), "model = \"changed\"\n").unwrap();
    let (out, err) = show(&project);
    assert!(!out.contains("changed") && err.contains("has changed since you trusted it"), "{out}{err}");
    trust(&["config", "trust", "--yes"], 0);
    assert!(show(&project).0.contains("changed"));
    trust(&["config", "untrust"], 0);
    assert!(!show(&project).0.contains("changed"));
    home.run(&["config", "trust", "--yes"], 2);
}

#[test]
fn a_store_without_a_conversation_says_so_and_errors_begin_alike() {
    let home = Home::new();
    for args in [&["timeline"][..], &["history", "show", "last"], &["history", "export", "last"]] {
        let (_, err) = home.run(args, 2);
        assert!(err.starts_with("error: there is no conversation yet\n"), "{args:?} {err}");
    }
    assert!(home.run(&["history", "show", "0abc"], 2).1.starts_with("error: no conversation \"0abc\""));
}

#[test]
fn a_recording_that_is_not_there_is_what_a_replay_complains_of() {
    let (_, err) = Home::new().run(&["replay", "nofile.jsonl"], 2);
    assert!(err.contains("nofile.jsonl") && !err.contains("terminal"), "{err}");
}

#[test]
fn a_theme_that_is_not_there_is_refused_with_those_that_are() {
    let home = Home::new();
    let (_, err) = home.run(&["config", "set", "ui.theme", "banana"], 3);
    assert!(["auto", "dark", "light"].iter().all(|name| err.contains(name)), "{err}");
    home.run(&["config", "set", "ui.theme", "light"], 0);
    assert!(
        home.run(&["config", "show"], 0)
            .0
            .lines()
            .any(|line| line.starts_with("ui.theme ") && line.ends_with("= \"light\""))
    );
}

#[test]
fn how_a_server_is_added_is_shown_in_both_ways() {
    let (_, err) = Home::new().run(&["mcp", "add", "files"], 2);
    assert!(err.contains("mcp add [OPTIONS] <NAME> -- <COMMAND> [ARG]...") && err.contains("<NAME> <URL>"), "{err}");
}
