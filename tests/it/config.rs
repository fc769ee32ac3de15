//! Configuration from outside: bad files, the example, which value wins, other clients' files.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use millrace::chat::{Api, Dispatch, FaultKind, Policy};
use millrace::config::{
    Config, ConfigError, Consent, Consents, DraftTransport, External, Flags, Given, KeySource, Keymap, Origin,
    Resolved, Transport, UrlKind, example, external, project, resolve, schema,
};

/// Every problem of a file, as text.
fn problems(text: &str) -> String {
    match Config::parse(Path::new("c.toml"), text) {
        Ok(_) => panic!("this is no bad file:\n{text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn bad_files_are_told_where_what_and_what_is_near() {
    // The file; where; what is found; what is allowed or near.
    let cases: &[(&str, &str, &str, &str)] = &[
        ("modle = \"x\"", "1:1", "unknown key `modle`", "did you mean `model`?"),
        ("\n\nprofil = \"x\"", "3:1", "unknown key `profil`", "did you mean `profile`?"),
        ("colour = 1", "1:1", "unknown key `colour`", "allowed here: profile, model"),
        ("model = 3", "1:9", "`model` is 3", "a text in quotes"),
        ("model = [\"x\"]", "1:9", "is a list", "a text in quotes"),
        ("temperature = \"hot\"", "1:15", "is \"hot\"", "a number from 0 to 2"),
        ("temperature = 2.5", "1:15", "is 2.5", "a number from 0 to 2"),
        ("temperature = nan", "1:15", "`temperature`", "a number from 0 to 2"),
        ("dispatch = \"closed\"", "1:12", "is \"closed\"", "did you mean \"close\"?"),
        ("dispatch = \"never\"", "1:12", "is \"never\"", "one of \"close\", \"finish\""),
        (
            "profile = \"opena\"\n[profiles.openai]",
            "1:11",
            "no [profiles] is called \"opena\"",
            "did you mean \"openai\"?",
        ),
        ("role = \"x\"", "1:8", "no [roles] is called \"x\"", "there is no [roles.x]"),
        ("profiles = 3", "1:12", "`profiles` is 3", "tables, as [profiles.NAME]"),
        (
            "[profiles.a]\nmodel_nmae = \"q\"",
            "2:1",
            "unknown key `model_nmae` in [profiles.a]",
            "did you mean `model`?",
        ),
        ("[profiles.a]\nbase-url = \"http://x\"", "2:1", "unknown key `base-url`", "did you mean `base_url`?"),
        ("[profiles.a]\nurl = \"http://x\"", "2:1", "unknown key `url`", "did you mean `base_url`?"),
        ("[profiles.a]\nmax_tokens = 5", "2:1", "unknown key `max_tokens`", "did you mean `max_output_tokens`?"),
        ("[profiles.a]\nbase_url = \"api.x.com/v1\"", "2:12", "begins with neither http", "https://host/v1"),
        ("[profiles.a]\nbase_url = \"ftp://x\"", "2:12", "begins with neither http", "https://host/v1"),
        ("[profiles.a]\napi = \"chats\"", "2:7", "is \"chats\"", "did you mean \"chat\"?"),
        (
            "[profiles.a]\napi_key_env = \"A\"\napi_key_command = [\"x\"]",
            "3:1",
            "has both api_key_env and api_key_command",
            "keep one",
        ),
        ("[profiles.a]\napi_key_command = \"pass show\"", "2:19", "is \"pass show\"", "a program and its arguments"),
        ("[profiles.a]\napi_key_command = []", "2:19", "is a list", "a program and its arguments"),
        ("[profiles.a]\nmax_output_tokens = 0", "2:21", "is 0", "a whole number from 1"),
        ("[profiles.a]\nmax_output_tokens = 1.5", "2:21", "is 1.5", "a whole number from 1"),
        ("[profiles.a]\nheaders = { \"a b\" = \"x\" }", "2:13", "names no HTTP header", "letters, digits"),
        (
            "[profiles.a]\nrole = \"r\"\n[roles]\nrr = \"x\"",
            "2:8",
            "no [roles] is called \"r\"",
            "did you mean \"rr\"?",
        ),
        ("[servers.Files]\ncommand = \"x\"", "1:10", "`Files` is not a server's name", "did you mean `files`?"),
        ("[servers.a__b]\ncommand = \"x\"", "1:10", "is not a server's name", "did you mean `a_b`?"),
        ("[servers.a_]\ncommand = \"x\"", "1:10", "is not a server's name", "did you mean `a`?"),
        ("[servers.a]\ncomand = \"x\"", "2:1", "unknown key `comand`", "did you mean `command`?"),
        ("[servers.a]\ntrust = false", "1:10", "needs a command or a url", "command = \"…\" or url"),
        ("[servers.a]\ncommand = \"x\"\nurl = \"http://x\"", "3:1", "both command and url", "keep one of them"),
        ("[servers.a]\ncommand = \"x\"\nargs = \"-y\"", "3:8", "is \"-y\"", "a list of texts"),
        ("[servers.a]\ncommand = \"x\"\nargs = [1]", "3:8", "is a list", "a list of texts"),
        ("[servers.a]\ncommand = \"x\"\nenv = { A = 1 }", "3:13", "is a number", "a text in quotes"),
        ("[servers.a]\ncommand = \"x\"\nheaders = { A = \"b\" }", "3:1", "means nothing here", "it goes with url"),
        ("[servers.a]\nurl = \"http://x\"\nargs = []", "3:1", "means nothing here", "it goes with command"),
        ("[servers.a]\nurl = \"ws://x\"", "2:7", "begins with ws:", "https://host/mcp"),
        ("[servers.a]\nurl = \"http://x\"\ntransport = \"grpc\"", "3:13", "is \"grpc\"", "\"simple-rpc\""),
        ("[servers.a]\ncommand = \"x\"\ntransport = \"http\"", "3:13", "has a command", "a command speaks \"stdio\""),
        (
            "[servers.a]\ncommand = \"x\"\npolicy = \"always\"",
            "3:10",
            "is \"always\"",
            "one of \"allow\", \"ask\", \"deny\"",
        ),
        (
            "[servers.a]\ncommand = \"x\"\n[servers.a.policies]\nread = \"alow\"",
            "4:8",
            "servers.a.policies.read",
            "did you mean \"allow\"?",
        ),
        ("[servers.a]\ncommand = \"x\"\ntools = { alow = [] }", "3:11", "unknown key `alow`", "did you mean `allow`?"),
        ("[servers.a]\ncommand = \"x\"\ntools = { allow = [\"[\"] }", "1:10", "is not a pattern", "read_*"),
        ("[servers.a]\ncommand = \"x\"\nstart_timeout = 30", "3:17", "is 30", "a duration with its unit"),
        ("[policy]\ndefault = \"yes\"", "2:11", "is \"yes\"", "one of \"allow\""),
        ("[policy]\nafter_untrusted = \"deny\"", "2:19", "is \"deny\"", "one of \"ask\", \"allow\""),
        ("[policy]\ndeny = [\"rm\"]", "2:9", "this is not a rule", "expected server/tool"),
        ("[policy]\nallow = [\"a/b\", \"a/[\"]", "2:17", "this is not a rule", "server/tool"),
        ("[limits]\nfirst_bite = \"1 s\"", "2:1", "unknown key `first_bite`", "did you mean `first_byte`?"),
        ("[limits]\nconnect = 10", "2:11", "`limits.connect` is 10", "a duration with its unit"),
        ("[limits]\nconnect = \"10 parsecs\"", "2:11", "is \"10 parsecs\"", "a duration with its unit"),
        ("[limits]\nline = \"16 mb\"", "2:8", "is \"16 mb\"", "a size with its unit"),
        ("[limits]\nrounds = -1", "2:10", "is -1", "a whole number from 1"),
        ("[ui]\nglyphs = \"emoji\"", "2:10", "is \"emoji\"", "one of \"auto\""),
        ("[ui]\nmotion = \"off\"", "2:10", "is \"off\"", "true or false"),
        ("[keys]\n\"app.tolls\" = \"ctrl+t\"", "2:1", "unknown command `app.tolls`", "did you mean `app.tools`?"),
        ("[keys]\n\"review.once\" = \"enter\"", "2:17", "enter and space can never approve", "another key"),
        ("[keys]\n\"panel.cancel\" = \"j\"", "2:18", "means both", "another key"),
        ("[roles]\nx = 1", "2:5", "`roles.x` is 1", "a text in quotes"),
        ("[store]\nsave = 1", "2:8", "is 1", "true or false"),
        ("[store", "1:7", "this is not TOML", ""),
        ("model = \"x\nb = 1", "1:", "this is not TOML", ""),
        ("model = \"x\"\nmodel = \"y\"", "2:1", "this is not TOML: duplicate key", ""),
    ];
    for (text, place, found, allowed) in cases {
        let told = problems(text);
        assert!(told.contains(&format!("--> c.toml:{place}")), "{text}\n-- expected {place}:\n{told}");
        assert!(told.contains(found), "{text}\n-- expected {found:?}:\n{told}");
        assert!(told.contains(allowed), "{text}\n-- expected {allowed:?}:\n{told}");
    }
    assert!(cases.len() > 60);
}

#[test]
fn a_problem_is_shown_as_a_compiler_would() {
    insta::assert_snapshot!(problems("# mine\n[profiles.local]\n  modle = \"qwen3-32b\"\n[limits]\nconnect = 10\n"), @r#"
    error: unknown key `modle` in [profiles.local]
      --> c.toml:3:3
      |
    3 |   modle = "qwen3-32b"
      |   ^^^^^ did you mean `model`?
      = run `millrace config check` after editing; schema: `millrace config schema`

    error: `limits.connect` is 10
      --> c.toml:5:11
      |
    5 | connect = 10
      |           ^^ expected a duration with its unit, as "10 s", "500 ms", "5 min" or "1 h"
    "#);
}

#[test]
fn no_error_tells_a_secret() {
    for text in [
        "[profiles.a]\napi_kye = \"hunter2\"",
        "[profiles.a]\napi_key = 12345678\nx = 1",
        "[profiles.a]\napi_key = \"hunter2",
        "[profiles.a]\napi_key_env = \"hunter2-is-my-key\"",
        "[profiles.a]\napi_key = \"hunter2\"\napi_key_env = \"X\"",
        "[profiles.a]\nbase_url = \"https://me:hunter2@host/v1\"",
        "[profiles.a]\nheaders = { X-Key = 12345678 }",
        "[profiles.a.headers]\nX-Odd = \"hunter2\\n\"",
        "[profiles.a.headers]\nX-Odd = hunter2",
        "[servers.a]\ncommand = \"x\"\nenv = { PIN = 12345678 }",
        "[servers.a]\ncommand = \"x\"\n[servers.a.env]\nPIN = \"hunter2",
        "[servers.a]\nurl = \"https://me:hunter2@host\"",
        "[servers.a]\ncommand = \"x\"\nargs = [\"--token=hunter2\"]\nnope = 1",
        "model = sk-hunter2hunter2hunter2",
        "tokn = \"hunter2\"",
        "authorization = \"Bearer hunter2\"",
    ] {
        let told = problems(text);
        assert!(!told.contains("hunter2") && !told.contains("12345678"), "{text}\n{told}");
    }
}

/// The example with its keys in force: doc lines begin with `# `, keys with `#` alone.
fn uncommented(keep: impl Fn(&str) -> bool) -> String {
    let mut on = true;
    let mut out = String::new();
    for line in example().lines() {
        let Some(rest) = line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')) else { continue };
        if let Some(table) = rest.strip_prefix('[') {
            on = keep(table.trim_end_matches(']'));
        }
        if on {
            out.push_str(rest);
            out.push('\n');
        }
    }
    out
}

#[test]
fn the_example_is_the_code() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml");
    let on_disk = std::fs::read_to_string(file).unwrap();
    assert_eq!(on_disk, example(), "write it anew: millrace config init, then copy the file");
    let parse = |text: &str| Config::parse(Path::new("e.toml"), text).unwrap_or_else(|e| panic!("{e}\n{text}")).0;
    let plain = |config: Config| Config { file: None, lines: BTreeMap::new(), ..config };
    assert_eq!(plain(parse(&example())), Config::default());
    // With every default written out, nothing changes.
    let fixed = uncommented(|table| {
        !table.starts_with("profiles") && !table.starts_with("servers") && !table.starts_with("roles")
    });
    let (_, tables) = fixed.split_once("\n[").unwrap();
    assert_eq!(plain(parse(&format!("[{tables}"))), Config::default());
    // With everything in force it is still a good file, and says what it shows.
    let all = parse(&uncommented(|_| true));
    assert_eq!(all.profile.as_deref(), Some("openai"));
    assert_eq!(all.servers.len(), 2);
    assert_eq!(all.roles.keys().collect::<Vec<_>>(), ["brief", "reviewer"]);
}

#[test]
fn the_example_and_the_schema_know_every_key() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let text = uncommented(|_| true);
    let tree: serde_json::Value = toml_edit::de::from_str(&text).unwrap();
    let errors: Vec<_> = validator.iter_errors(&tree).map(|e| e.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
    assert!(!validator.is_valid(&serde_json::json!({"modle": "x"})));
    assert!(!validator.is_valid(&serde_json::json!({"limits": {"connect": 10}})));
    assert!(!validator.is_valid(&serde_json::json!({"servers": {"A": {"command": "x"}}})));
    fn names(schema: &serde_json::Value, out: &mut BTreeSet<String>) {
        for (name, inner) in schema.get("properties").and_then(|p| p.as_object()).into_iter().flatten() {
            out.insert(name.clone());
            names(inner, out);
        }
        if let Some(inner) = schema.get("additionalProperties") {
            names(inner, out);
        }
    }
    let mut all = BTreeSet::new();
    names(&schema(), &mut all);
    assert!(all.len() > 70);
    let example = example();
    for name in all {
        assert!(
            example.contains(&format!("{name} ="))
                || example.contains(&format!("[{name}"))
                || example.contains(&format!("#{name}.")),
            "{name}"
        );
    }
    for command in Keymap::default().bindings.keys() {
        assert!(example.contains(&format!("{command:?} =")), "{command}");
    }
}

const CONFIG: &str = r#"
model = "user-model"
temperature = 0.1
system = "user-system"
[roles]
brief = "Be brief."
[profiles.work]
base_url = "https://proj.example/v1"
api_key_env = "WORK_KEY"
model = "work-model"
api = "responses"
headers = { X-Team = "t" }
dispatch = "finish"
[profiles.lan]
base_url = "http://192.168.1.5:8000/v1"
api_key_env = "WORK_KEY"
[profiles.local]
base_url = "http://localhost:11434/v1"
[profiles.bare]
api_key_env = "BARE_KEY"
"#;

struct Case {
    config: String,
    env: BTreeMap<String, String>,
    flags: Flags,
    project: Option<project::Project>,
    external: Vec<External>,
    saved: BTreeSet<String>,
    consents: Consents,
}

fn case(env: &[(&str, &str)]) -> Case {
    Case {
        config: CONFIG.to_owned(),
        env: env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        flags: Flags::default(),
        project: None,
        external: Vec::new(),
        saved: BTreeSet::new(),
        consents: Consents::default(),
    }
}

impl Case {
    fn flags(mut self, set: impl FnOnce(&mut Flags)) -> Self {
        set(&mut self.flags);
        self
    }

    fn run(&self) -> Result<Resolved, millrace::chat::Fault> {
        let config = Config::parse(Path::new("c.toml"), &self.config).unwrap_or_else(|e| panic!("{e}")).0;
        resolve(&Given {
            without_role: false,
            flags: &self.flags,
            env: &self.env,
            config: &config,
            project: self.project.as_ref(),
            external: &self.external,
            saved: &self.saved,
            consents: &self.consents,
            folder: Path::new("/proj"),
            home: Some(Path::new("/home/ada")),
        })
    }

    /// Where to, with which key.
    #[track_caller]
    fn goes(&self, url: &str, key: Option<&str>) -> Resolved {
        let resolved = self.run().unwrap();
        assert_eq!(resolved.endpoint.base_url, url);
        assert_eq!(resolved.key.as_ref().map(KeySource::describe).as_deref(), key, "{}", resolved.where_messages_go);
        resolved
    }
}

#[test]
fn a_key_goes_only_where_it_belongs() {
    const OPENAI: &str = "https://api.openai.com/v1";
    let key = ("OPENAI_API_KEY", "sk-o");
    let work = ("WORK_KEY", "sk-w");
    let profile = |name: &'static str| move |f: &mut Flags| f.profile = Some(name.into());
    let url = |url: &'static str| move |f: &mut Flags| f.base_url = Some(url.into());

    case(&[]).goes(OPENAI, None);
    case(&[key]).goes(OPENAI, Some("$OPENAI_API_KEY"));
    case(&[("OPENAI_API_KEY", " ")]).goes(OPENAI, None);
    case(&[key, ("OPENAI_BASE_URL", "https://proxy.example/v1/")])
        .goes("https://proxy.example/v1", Some("$OPENAI_API_KEY"));
    case(&[key, ("OPENAI_BASE_URL", "")]).goes(OPENAI, Some("$OPENAI_API_KEY"));
    case(&[key, ("OPENAI_BASE_URL", "https://env/v1")])
        .flags(url("https://flag/v1"))
        .goes("https://flag/v1", Some("$OPENAI_API_KEY"));
    // Plain HTTP: only on this computer.
    case(&[key]).flags(url("http://10.0.0.2/v1")).goes("http://10.0.0.2/v1", None);
    case(&[key]).flags(url("http://127.0.0.1:8080/v1")).goes("http://127.0.0.1:8080/v1", Some("$OPENAI_API_KEY"));
    case(&[key]).flags(url("http://127.0.0.1.evil.example/v1")).goes("http://127.0.0.1.evil.example/v1", None);
    // While a profile is chosen, OPENAI_* do not apply.
    case(&[key, work]).flags(profile("work")).goes("https://proj.example/v1", Some("$WORK_KEY"));
    case(&[key]).flags(profile("work")).goes("https://proj.example/v1", None);
    case(&[key, ("OPENAI_BASE_URL", "https://env/v1")]).flags(profile("local")).goes("http://localhost:11434/v1", None);
    case(&[key, ("OPENAI_BASE_URL", "https://env/v1")]).flags(profile("bare")).goes(OPENAI, None);
    case(&[("BARE_KEY", "b")]).flags(profile("bare")).goes(OPENAI, Some("$BARE_KEY"));
    case(&[key, work, ("MILLRACE_PROFILE", "work")]).goes("https://proj.example/v1", Some("$WORK_KEY"));
    let mut by_file = case(&[key, work]);
    by_file.config = format!("profile = \"work\"\n{CONFIG}");
    by_file.goes("https://proj.example/v1", Some("$WORK_KEY"));
    // A profile's key and headers never to an address from another source.
    let other = case(&[key, work]).flags(profile("work")).flags(url("https://other.example/v1"));
    let resolved = other.goes("https://other.example/v1", None);
    assert!(resolved.headers.is_empty());
    assert!(
        resolved.notices.iter().any(|n| n.contains("goes only to the profile's own address")),
        "{:?}",
        resolved.notices
    );
    let same = case(&[work]).flags(profile("work")).flags(url("https://proj.example/v1/"));
    assert_eq!(same.goes("https://proj.example/v1", Some("$WORK_KEY")).headers.len(), 1);
    case(&[work]).flags(profile("work")).flags(url("http://proj.example/v1")).goes("http://proj.example/v1", None);
    case(&[work]).flags(profile("lan")).goes("http://192.168.1.5:8000/v1", None);
    // A kept key goes to its origin, and is the last that is asked.
    let mut kept = case(&[]);
    kept.saved.insert("https://api.openai.com".into());
    kept.goes(OPENAI, Some("secrets.toml"));
    kept.env.insert("OPENAI_API_KEY".into(), "sk".into());
    kept.goes(OPENAI, Some("$OPENAI_API_KEY"));
    kept.env.clear();
    kept.flags(url("https://api.openai.com.evil/v1")).goes("https://api.openai.com.evil/v1", None);
    // Said in one sentence.
    assert_eq!(
        case(&[key]).run().unwrap().where_messages_go,
        "Messages go to api.openai.com, with the key from $OPENAI_API_KEY."
    );
    assert_eq!(
        case(&[]).flags(profile("local")).run().unwrap().where_messages_go,
        "Messages go to localhost:11434, on this computer, no key is needed."
    );
    assert!(!format!("{:?}", case(&[key, work]).run().unwrap()).contains("sk-"));
}

#[test]
fn the_first_that_speaks_wins() {
    let project = || {
        project::parse(Path::new("/proj/.millrace.toml"), "model = \"p-model\"\nrole = \"brief\"\ntemperature = 0.2")
            .unwrap()
    };
    let model = |case: &Case| case.run().unwrap().model;
    let mut all = case(&[("MILLRACE_MODEL", "env-model"), ("WORK_KEY", "k")]);
    all.project = Some(project());
    all.flags.profile = Some("work".into());
    all.flags.model = Some("flag-model".into());
    assert_eq!(model(&all).as_deref(), Some("flag-model"));
    all.flags.model = None;
    assert_eq!(model(&all).as_deref(), Some("work-model"));
    all.flags.profile = Some("local".into());
    assert_eq!(model(&all).as_deref(), Some("env-model"));
    all.env.clear();
    assert_eq!(model(&all).as_deref(), Some("p-model"));
    all.project = None;
    assert_eq!(model(&all).as_deref(), Some("user-model"));
    all.config = all.config.replace("model = \"user-model\"", "");
    assert_eq!(model(&all), None);

    let mut rest = case(&[("WORK_KEY", "k")]);
    rest.project = Some(project());
    let r = rest.run().unwrap();
    assert_eq!(
        (r.system.as_deref(), r.sampling.temperature, r.api, r.dispatch),
        (Some("Be brief."), Some(0.2), Api::Chat, Dispatch::Close)
    );
    rest.flags.profile = Some("work".into());
    rest.flags.temperature = Some(1.0);
    rest.flags.system = Some(String::new());
    let r = rest.run().unwrap();
    assert_eq!(
        (r.system, r.sampling.temperature, r.api, r.dispatch),
        (None, Some(1.0), Api::Responses, Dispatch::Finish)
    );
    rest.flags.dispatch = Some(Dispatch::Close);
    assert_eq!(rest.run().unwrap().dispatch, Dispatch::Close);
    let origin = |r: &Resolved, key: &str| r.settings.iter().find(|s| s.key == key).unwrap().origin.clone();
    let r = rest.run().unwrap();
    assert_eq!(origin(&r, "dispatch"), Origin::Flag("--dispatch"));
    assert_eq!(origin(&r, "model"), Origin::Profile("work".into()));
}

#[test]
fn what_cannot_be_is_one_clear_fault() {
    let check = |case: Case, kind: FaultKind, message: &str, hint: &str| {
        let fault = case.run().map(|_| ()).unwrap_err();
        assert_eq!(fault.kind, kind, "{fault}");
        assert!(fault.message.contains(message) && fault.hint.as_deref().unwrap_or("").contains(hint), "{fault:?}");
    };
    let flags = |set: fn(&mut Flags)| case(&[]).flags(set);
    check(
        flags(|f| f.profile = Some("wrok".into())),
        FaultKind::Config,
        "no profile is called \"wrok\"",
        "Did you mean work?",
    );
    check(case(&[("MILLRACE_PROFILE", "zz")]), FaultKind::Config, "no profile", "There are: bare");
    check(
        flags(|f| f.base_url = Some("openai.com".into())),
        FaultKind::Usage,
        "--base-url (openai.com) begins with",
        "/v1",
    );
    check(
        case(&[("OPENAI_BASE_URL", "https://a:b@x/v1")]),
        FaultKind::Config,
        "$OPENAI_BASE_URL holds a user name",
        "/v1",
    );
    check(flags(|f| f.role = Some("breif".into())), FaultKind::Config, "no role", "Did you mean brief?");
    check(flags(|f| f.trust = vec!["x".into()]), FaultKind::Usage, "--trust x", "mcp list");
    check(flags(|f| f.allow = vec!["x".into()]), FaultKind::Usage, "--allow x", "server/tool");
    check(flags(|f| f.deny = vec!["a/[".into()]), FaultKind::Usage, "--deny a/[", "server/tool");
}

#[test]
fn servers_are_filled_in_or_switched_off() {
    let mut servers =
        case(&[("TOKEN", "t0k"), ("OPENAI_API_KEY", "sk"), ("WORK_KEY", "w"), ("EMPTY", ""), ("NEST", "${TOKEN}")]);
    servers.config = format!(
        r#"{CONFIG}
[servers.a]
command = "${{env:SHELLY:-sh}}"
args = ["$HOME", "${{EMPTY:-full}}", "${{NEST}}", "${{workspaceFolder}}"]
env = {{ T = "${{env:TOKEN}}" }}
cwd = "sub"
trust = true
policies = {{ x = "deny" }}
[servers.b]
url = "http://localhost:1/mcp"
headers = {{ Authorization = "Bearer ${{env:NOPE}}" }}
[servers.c]
command = "x"
env = {{ K = "${{OPENAI_API_KEY}}" }}
[servers.d]
command = "x"
env = {{ K = "${{env:WORK_KEY:-x}}" }}
[servers.e]
url = "http://localhost:2"
transport = "simple-rpc"
disabled = true
[servers.f]
command = "x"
ask_first = true
[servers.g]
command = "${{input:key}}"
"#
    );
    let resolved = servers.run().unwrap();
    let find = |name: &str| resolved.servers.iter().find(|s| s.name.as_str() == name).unwrap();
    let Transport::Stdio { command, args, env, cwd } = &find("a").transport else { panic!() };
    assert_eq!((command.as_str(), cwd.as_deref()), ("sh", Some(Path::new("/proj/sub"))));
    assert_eq!(args, &["$HOME", "full", "${TOKEN}", "/proj"]);
    assert_eq!(env["T"].expose(), "t0k");
    assert_eq!(
        (find("a").consent, find("a").disabled.clone(), find("a").policies["x"]),
        (Consent::Given, None, Policy::Deny)
    );
    assert_eq!(find("a").line(), "T=… sh '$HOME' full '${TOKEN}' /proj  in /proj/sub");
    assert_eq!(find("b").disabled.as_deref(), Some("$NOPE is not set"));
    assert!(find("c").disabled.as_deref().unwrap().contains("not given to servers"));
    assert!(find("d").disabled.as_deref().unwrap().contains("not given to servers"));
    assert!(find("e").disabled.is_some() && matches!(find("e").transport, Transport::SimpleRpc { .. }));
    assert_eq!(find("f").consent, Consent::NeedsPerson);
    assert!(find("g").disabled.as_deref().unwrap().contains("${input:key}"));
    assert!(!format!("{:?}", resolved.servers).contains("t0k"));
    assert!(resolved.notices.iter().any(|n| n.contains("\"b\" is off")));
    servers.flags.no_mcp = true;
    assert!(servers.run().unwrap().servers.is_empty());
}

#[test]
fn files_and_projects_bring_servers() {
    let file = |text: &str| external::parse(Path::new("/x/mcp.json"), text).unwrap();
    let mut two = case(&[]);
    two.config = "[servers.files]\ncommand = \"npx\"\nargs = [\"-y\", \"fs\"]\nask_first = true\n".into();
    two.external = vec![file(
        r#"{"mcpServers": {"files": {"command": "npx", "args": ["-y", "fs"], "trust": true}, "new": {"command": "y"}}}"#,
    )];
    two.project = Some(
        project::parse(
            Path::new("/proj/.millrace.toml"),
            "[servers.prop]\ncommand = \"z\"\n[servers.files]\ncommand = \"evil\"\n[policy]\ndeny = [\"*/rm\"]",
        )
        .unwrap(),
    );
    let r = two.run().unwrap();
    let names: Vec<_> = r.servers.iter().map(|s| (s.name.as_str(), s.consent, s.trust)).collect();
    assert_eq!(
        names,
        [("files", Consent::Given, false), ("prop", Consent::NeedsPerson, false), ("new", Consent::Given, false)]
    );
    assert!(r.notices.iter().any(|n| n.contains("`trust` of another file is not followed")), "{:?}", r.notices);
    assert!(r.notices.iter().any(|n| n.contains("\"files\" is left out")), "{:?}", r.notices);
    assert!(r.servers[0].line().starts_with("npx"));
    assert!(r.policy.deny.contains(&"*/rm".to_owned()));
    // Seen once, and for that command alone.
    let dir = tempfile::tempdir().unwrap();
    let paths = millrace::config::Paths::below(dir.path());
    two.consents.give(&paths, Path::new("/proj/.millrace.toml"), &r.servers[1].entry_hash).unwrap();
    assert_eq!(two.run().unwrap().servers[1].consent, Consent::Given);
    two.project = Some(project::parse(Path::new("/proj/.millrace.toml"), "[servers.prop]\ncommand = \"zz\"").unwrap());
    assert_eq!(two.run().unwrap().servers[1].consent, Consent::NeedsPerson);
    // The same name for another entry is an error.
    two.external = vec![file(r#"{"mcpServers": {"files": {"command": "other"}}}"#)];
    let fault = two.run().map(|_| ()).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Config);
    assert!(fault.message.contains("\"files\" is configured already"), "{fault}");
}

#[test]
fn every_dialect_is_read() {
    let read =
        |name: &str, text: &str| external::parse(Path::new(name), text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let stdio = |file: &External, n: usize| match &file.servers[n].how {
        DraftTransport::Stdio { command, args, env, .. } => (command.clone(), args.clone(), env.clone()),
        DraftTransport::Url { .. } => panic!("{file:?}"),
    };
    let url = |file: &External, n: usize| match &file.servers[n].how {
        DraftTransport::Url { kind, url, headers } => (*kind, url.clone(), headers.clone()),
        DraftTransport::Stdio { .. } => panic!("{file:?}"),
    };
    // BOM, comments, trailing commas; strings that look like comments.
    let f = read(
        "a.json",
        "\u{feff}// hi\n{\"mcpServers\": {/* x */ \"A b\": {\"command\": \"x\", \"args\": [\"//not\", \"/*no*/\", \"a\\\",b\",],},},}",
    );
    assert_eq!(
        (f.servers[0].name.as_str(), stdio(&f, 0).1),
        ("a-b", vec!["//not".to_owned(), "/*no*/".into(), "a\",b".into()])
    );
    assert!(f.notices[0].contains("is called \"a-b\""));
    let f = read(
        "vscode.json",
        r#"{"inputs": [], "servers": {"w": {"type": "http", "url": "https://x/mcp", "headers": {"K": "${input:k}"}}, "s": {"type": "sse", "url": "http://y"}}}"#,
    );
    assert_eq!((url(&f, 0).0, url(&f, 1).0), (UrlKind::Http, UrlKind::Sse));
    let f =
        read("windsurf.json", r#"{"mcpServers": {"w": {"serverUrl": "https://x/sse", "disabled": true, "bogus": 1}}}"#);
    assert!(f.servers[0].disabled && f.notices[0].contains("`bogus` is not a key"));
    let f = read(
        "gemini.json",
        r#"{"mcpServers": {"h": {"httpUrl": "https://x", "headers": {"A": "$TOK"}}, "s": {"url": "https://y"}, "c": {"command": "$BIN/x", "args": ["a$", "${env:Z}"]}}}"#,
    );
    assert_eq!((url(&f, 0).0, url(&f, 0).2["A"].as_str(), url(&f, 1).0), (UrlKind::Http, "${env:TOK}", UrlKind::Sse));
    assert_eq!((stdio(&f, 2).0.as_str(), stdio(&f, 2).1[1].as_str()), ("${env:BIN}/x", "${env:Z}"));
    let f = read(
        "zed.json",
        r#"{"theme": "x", "context_servers": {"z": {"source": "custom", "command": {"path": "zz", "args": ["1"], "env": {"A": "b"}}}}}"#,
    );
    assert_eq!(stdio(&f, 0).0, "zz");
    let f = read(
        "codex.toml",
        "model = \"x\"\n[mcp_servers.c]\ncommand = \"cx\"\nenv_vars = [\"TOK\"]\nstartup_timeout_sec = 5\n[mcp_servers.r]\nurl = \"https://x\"\nbearer_token_env_var = \"BT\"\nenabled = false\n",
    );
    assert_eq!(stdio(&f, 0).2["TOK"], "${env:TOK}");
    assert_eq!((url(&f, 1).2["Authorization"].as_str(), f.servers[1].disabled), ("Bearer ${env:BT}", true));
    assert_eq!(f.servers[0].start_timeout, Some(std::time::Duration::from_secs(5)));
    let f = read(
        "opencode.json",
        r#"{"mcp": {"l": {"type": "local", "command": ["npx", "-y", "p"], "environment": {"A": "{env:B}"}}, "r": {"type": "remote", "url": "https://x", "enabled": false}}}"#,
    );
    assert_eq!((stdio(&f, 0).0.as_str(), stdio(&f, 0).1.len(), stdio(&f, 0).2["A"].as_str()), ("npx", 2, "${env:B}"));
    assert_eq!((url(&f, 1).0, f.servers[1].disabled), (UrlKind::Http, true));
    let f = read(
        "own.toml",
        "[servers.old]\nurl = \"http://localhost:9000/rpc\"\ntransport = \"simple-rpc\"\npolicy = \"allow\"\n",
    );
    assert_eq!(url(&f, 0).0, UrlKind::SimpleRpc);
    assert!(f.notices[0].contains("`policy` of another file is not followed"));
    // Names that fall together, and what is no entry at all.
    let f = read(
        "n.json",
        r#"{"mcpServers": {"A": {"command": "x"}, "a": {"command": "y"}, "a!": {"command": "z"}, "e": 3, "n": {}, "q": {"command": "x", "url": "y"}}}"#,
    );
    let names: BTreeSet<_> = f.servers.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names.len(), 3, "{f:?}");
    assert_eq!(
        f.servers.iter().find(|s| s.name.as_str() == "a").map(|s| match &s.how {
            DraftTransport::Stdio { command, .. } => command.as_str(),
            _ => "",
        }),
        Some("y")
    );
    assert_eq!(f.notices.iter().filter(|n| n.contains("left out")).count(), 3);
    for (name, bad, place) in [
        ("b.json", "{\"mcpServers\": {\n  \"a\": {\"command\": }}}", ":2:"),
        ("b.json", "[]", ":1:1"),
        ("b.json", "{\"mcpServers\": {\"a\": {\"command\": \"hunter2}}}", ":1:"),
        ("b.toml", "[servers", ":1:"),
        ("b.json", "", ":1:"),
    ] {
        let error = external::parse(Path::new(name), bad).unwrap_err();
        assert!(matches!(&error, ConfigError::Bad { problems } if problems.len() == 1));
        let error = error.to_string();
        assert!(error.contains(place) && !error.contains("hunter2"), "{bad}: {error}");
    }
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever stands in a file: no panic, and every problem has a place in it.
        #[test]
        fn any_file_is_read_or_told(at in 0usize..6000, cut in 0usize..40, junk in "\\PC{0,12}|[\"\\[\\]={}#\n.]{0,6}") {
            let mut text = uncommented(|_| true);
            let floor = |mut n: usize, text: &str| { n = n.min(text.len()); while !text.is_char_boundary(n) { n -= 1; } n };
            let (from, to) = (floor(at, &text), floor(at + cut, &text));
            text.replace_range(from..to, &junk);
            if let Err(ConfigError::Bad { problems }) = Config::parse(Path::new("c.toml"), &text) {
                prop_assert!(!problems.is_empty());
                for problem in problems {
                    prop_assert!(problem.line <= text.lines().count() + 1);
                    prop_assert!(problem.render(&|p| p.display().to_string()).contains("--> c.toml:"));
                }
            }
        }

        /// Comments may stand anywhere between tokens, and strings are never touched.
        #[test]
        fn comments_change_nothing(words in proptest::collection::vec("[ -~é]{0,12}", 1..8), comment in "[a-z \",}\\]]{0,10}") {
            let plain = serde_json::json!({"a": words, "b": {"c": 1}});
            let noisy = serde_json::to_string_pretty(&plain).unwrap().replace('\n', &format!(" // {comment}\n /* {comment} */ "));
            let read: serde_json::Value = serde_json::from_str(&external::without_comments(&noisy)).unwrap();
            prop_assert_eq!(read, plain);
        }
    }
}

#[test]
fn what_a_server_may_have_beside_tools() {
    let text = "[servers.a]\ncommand = \"x\"\nlog_level = \"warning\"\ninstructions = false\nroots = [\".\", \"../b c\", \"/srv\"]\n";
    let file = Config::parse(Path::new("c.toml"), text).unwrap().0;
    let variables = millrace::config::Variables {
        env: &BTreeMap::new(),
        refused: &Default::default(),
        folder: Path::new("/w x/a"),
        home: None,
    };
    let features = file.servers[0].expand(&variables).features;
    assert_eq!((features.instructions, features.log_level), (false, Some(millrace::chat::LoggingLevel::Warning)));
    let roots: Vec<(&str, Option<&str>)> = features.roots.iter().map(|r| (r.uri.as_str(), r.name.as_deref())).collect();
    let want = [("file:///w%20x/a", Some("a")), ("file:///w%20x/b%20c", Some("b c")), ("file:///srv", Some("srv"))];
    assert_eq!(roots, want);
    assert!(features.roots_ask, "a person decides unless the entry says otherwise");
    let of = |text: &str| Config::parse(Path::new("c.toml"), text).unwrap();
    let (file, _) = of("[servers.a]\ncommand = \"x\"\nroots = [\".\"]\nroots_ask = false\n");
    assert!(!file.servers[0].expand(&variables).features.roots_ask);
    let (_, findings) = of("[servers.a]\ncommand = \"x\"\nroots_ask = false\n");
    assert!(
        findings.iter().any(|finding| finding.message.contains("roots_ask does nothing by itself")),
        "{findings:?}"
    );
}

#[test]
fn how_long_conversations_are_kept_is_said_by_numbers_of_days() {
    let read = |text: &str| Config::parse(Path::new("e.toml"), text).map(|(config, _)| config.store);
    let store = read("[store]\nkeep_days = 90\nkeep_days_in = { \"~/src/secret\" = 7, \"/notes\" = 0 }\n").unwrap();
    assert_eq!(store.keep_days, 90);
    assert_eq!(store.keep_days_in, BTreeMap::from([("~/src/secret".into(), 7), ("/notes".into(), 0)]));
    assert_eq!(read("").unwrap().keep_days, 0, "for ever, where nothing is said");
    for wrong in
        ["keep_days = -1", "keep_days = \"a week\"", "keep_days_in = { a = \"7\" }", "keep_days_in = { a = -1 }"]
    {
        let error = read(&format!("[store]\n{wrong}\n")).unwrap_err().to_string();
        assert!(error.contains("keep_days"), "{wrong}: {error}");
    }
}
