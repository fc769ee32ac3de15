//! `millrace config`: where the configuration is, what it says, what is wrong with it, and changing it.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use crate::chat::{Fault, FaultKind, Policy};
use crate::config::{
    self, Config, ConfigError, Edit, EditError, Origin, ProjectState, Setting, Severity, Trusted, write_private,
};
use crate::text::sanitize;

use super::args::{ConfigArgs, ConfigCommand, EndpointArgs};
use super::setup::{Setup, config_fault, environment, paths};

/// Runs one of its subcommands; the exit code where it is not an error.
pub fn run(args: ConfigArgs) -> Result<u8, Fault> {
    let env = environment();
    let paths = paths(&env)?;
    let file = paths.config_file();
    match args.command.unwrap_or(ConfigCommand::Path) {
        ConfigCommand::Path => {
            let there = if file.exists() { "" } else { "   (not written yet)" };
            say(&format!("config   {}{there}", file.display()));
            say(&format!("roles    {}", paths.roles().display()));
            say(&format!("secrets  {}", paths.secrets_file().display()));
            say(&format!("data     {}", paths.data.display()));
            say(&format!("state    {}", paths.state.display()));
            say(&format!("cache    {}", paths.cache.display()));
        }
        ConfigCommand::Init { force } => {
            if file.exists() && !force {
                let message = format!("{} is there already", paths.show(&file));
                return Err(Fault::new(FaultKind::Usage, message)
                    .hint("`millrace config edit` changes it; --force replaces it."));
            }
            write_private(&file, &config::example()).map_err(|error| cannot_write(&file, &error))?;
            say(&format!("Wrote {}. Every key is in it, commented out.", paths.show(&file)));
        }
        ConfigCommand::Check { file: other } => {
            return check(other.as_deref().unwrap_or(&file), other.is_some(), &paths);
        }
        ConfigCommand::Show { origin, endpoint } => show(&endpoint, origin)?,
        ConfigCommand::Edit => return edit(&file, &env, &paths),
        ConfigCommand::Get { key } => {
            if key.contains("api_key") && !key.ends_with("_env") && !key.ends_with("_command") {
                return Err(Fault::new(FaultKind::Usage, format!("{key} may hold a secret and is not printed")));
            }
            let found = Edit::open(&file).map_err(|error| edit_fault(&error, &paths))?.get(&key);
            let text = match found {
                Some(text) => masked(&key, &text),
                None => default(&key).ok_or_else(|| unknown_key(&key))?,
            };
            say(&text);
        }
        ConfigCommand::Set { key, value } => {
            let mut edit = Edit::open(&file).map_err(|error| edit_fault(&error, &paths))?;
            edit.set(&key, &value).map_err(|error| edit_fault(&error, &paths))?;
            let warnings = edit.save().map_err(|error| edit_fault(&error, &paths))?;
            for warning in warnings {
                eprint!("{}", sanitize(&warning.render(&|path| paths.show(path))));
            }
            say(&format!("Set {key} in {}.", paths.show(&file)));
        }
        ConfigCommand::Schema => {
            say(&serde_json::to_string_pretty(&config::schema()).unwrap_or_default());
        }
        ConfigCommand::Trust { yes } => return trust(yes),
        ConfigCommand::Untrust => {
            let setup = Setup::load()?;
            let path = match &setup.project {
                ProjectState::Trusted(project) => project.path.clone(),
                ProjectState::Untrusted { path, .. } => path.clone(),
                ProjectState::None => return Err(no_project()),
            };
            let write = |error: std::io::Error| cannot_write(&setup.paths.trust_file(), &error);
            Trusted::load(&setup.paths).and_then(|mut t| t.set(&setup.paths, &path, None)).map_err(write)?;
            say(&format!("{} is no longer read.", setup.paths.show(&path)));
        }
    }
    Ok(0)
}

/// Writes a line to stdout: made safe where that is a terminal. A closed pipe is the reader's choice.
fn say(text: &str) {
    let mut out = std::io::stdout();
    let _ = if out.is_terminal() { writeln!(out, "{}", sanitize(text)) } else { writeln!(out, "{text}") };
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Fault {
    Fault::new(FaultKind::Config, format!("cannot write {}: {error}", path.display()))
}

fn edit_fault(error: &EditError, paths: &config::Paths) -> Fault {
    match error {
        EditError::Config(error) => config_fault(error, paths),
        EditError::Wrong { problems } => {
            let text: Vec<_> = problems.iter().map(|p| p.render(&|path| paths.show(path))).collect();
            Fault::new(FaultKind::Config, format!("{}\n", text.join("\n").trim_end())).hint("The file was not changed.")
        }
        EditError::Name { .. } | EditError::NotTable { .. } => Fault::new(FaultKind::Usage, error.to_string()),
        EditError::Write { .. } => Fault::new(FaultKind::Config, error.to_string()),
    }
}

fn unknown_key(key: &str) -> Fault {
    Fault::new(FaultKind::Config, format!("{key} is not set")).hint("`millrace config show` lists what holds.")
}

/// What the file says of a secret is not repeated.
fn masked(key: &str, text: &str) -> String {
    let secret = |line: &str| {
        let name = line.split('=').next().unwrap_or("").trim();
        (name == "api_key") || name.starts_with("headers") || name.starts_with("env")
    };
    let last = key.rsplit('.').next().unwrap_or(key);
    if secret(last) || key.contains(".headers") || key.contains(".env") {
        return "<masked>".to_owned();
    }
    let line = |line: &str| match line.split_once('=') {
        Some((name, _)) if secret(line) => format!("{name}= <masked>"),
        _ => line.to_owned(),
    };
    // A table of headers or variables of its own has them line by line.
    let mut hidden = false;
    let mut out = Vec::new();
    for text in text.lines() {
        if text.trim_start().starts_with('[') {
            hidden = text.contains(".headers") || text.contains(".env");
        }
        match text.split_once('=') {
            Some((name, _)) if hidden => out.push(format!("{name}= <masked>")),
            _ => out.push(line(text)),
        }
    }
    out.join("\n")
}

fn default(key: &str) -> Option<String> {
    let pointer: String = key.split('.').map(|part| format!("/properties/{part}")).collect();
    if let Some(value) = config::schema().pointer(&format!("{pointer}/default")) {
        return Some(value.to_string());
    }
    let command = key.strip_prefix("keys.")?.trim_matches('"');
    let keys = config::Keymap::default().bindings.get(command).cloned()?;
    Some(format!("{:?}", keys.iter().map(|k| config::show_keys(k)).collect::<Vec<_>>()))
}

fn check(file: &Path, named: bool, paths: &config::Paths) -> Result<u8, Fault> {
    if named && !file.exists() {
        return Err(Fault::new(FaultKind::Config, format!("{} is not there", file.display())));
    }
    let mut set_aside = false;
    let result = if file.file_name().is_some_and(|name| name == config::project::FILE_NAME) {
        std::fs::read_to_string(file)
            .map_err(|error| ConfigError::Io { path: file.to_path_buf(), error })
            .and_then(|text| config::project::parse(file, &text))
            .map(|_| Vec::new())
    } else if file.extension().is_some_and(|extension| extension == "md") {
        std::fs::read_to_string(file).map_err(|error| ConfigError::Io { path: file.to_path_buf(), error }).and_then(
            |text| match config::parse_role(file, "", &text) {
                (Some(_), warnings) => Ok(warnings),
                (None, problems) => Err(ConfigError::Bad { problems }),
            },
        )
    } else {
        Config::load(file).map(|(config, warnings)| {
            set_aside = config.role_problems.iter().any(|problem| problem.severity == Severity::Error);
            warnings.into_iter().chain(config.role_problems).collect()
        })
    };
    match result {
        Ok(warnings) => {
            for warning in &warnings {
                eprint!("{}", sanitize(&warning.render(&|path| paths.show(path))));
            }
            let state = if file.exists() { "is in order" } else { "is not there: the defaults hold" };
            say(&format!("{} {state}.", paths.show(file)));
            if set_aside {
                eprintln!("The roles above are left out; everything else holds.");
                return Ok(FaultKind::Config.exit_code());
            }
            Ok(0)
        }
        Err(ConfigError::Bad { problems }) => {
            for problem in &problems {
                eprintln!("{}", sanitize(&problem.render(&|path| paths.show(path))));
            }
            let errors = problems.iter().filter(|p| p.severity == Severity::Error).count();
            eprintln!("{errors} error{} in {}", if errors == 1 { "" } else { "s" }, paths.show(file));
            Ok(FaultKind::Config.exit_code())
        }
        Err(error) => Err(config_fault(&error, paths)),
    }
}

fn show(endpoint: &EndpointArgs, origin: bool) -> Result<(), Fault> {
    let setup = Setup::load()?;
    let resolved = setup.resolve_endpoint(endpoint)?;
    let mut rows = resolved.settings.clone();
    let user = |key: &str| if setup.config.lines.contains_key(key) { Origin::User } else { Origin::Default };
    let mut add = |key: &str, value: String, origin: Origin| rows.push(Setting { key: key.to_owned(), value, origin });
    let policy = |p: Policy| format!("{p:?}").to_lowercase();
    add("policy.default", format!("{:?}", policy(resolved.policy.default)), user("policy.default"));
    add(
        "policy.after_untrusted",
        format!("{:?}", policy(resolved.policy.after_untrusted)),
        user("policy.after_untrusted"),
    );
    if !resolved.policy.allow.is_empty() {
        add("policy.allow", format!("{:?}", resolved.policy.allow), user("policy.allow"));
    }
    if !resolved.policy.deny.is_empty() {
        add("policy.deny", format!("{:?}", resolved.policy.deny), user("policy.deny"));
    }
    for name in limit_names() {
        if let Some(value) = config::show_limit(&resolved.limits, &name) {
            add(&format!("limits.{name}"), value, user(&format!("limits.{name}")));
        }
    }
    let ui = &resolved.ui;
    for (key, value) in [
        ("ui.theme", format!("{:?}", ui.theme)),
        ("ui.glyphs", format!("{:?}", format!("{:?}", ui.glyphs).to_lowercase())),
        ("ui.links", format!("{:?}", format!("{:?}", ui.links).to_lowercase())),
        ("ui.images", format!("{:?}", if ui.images { "on" } else { "off" })),
        ("ui.notify", format!("{:?}", format!("{:?}", ui.notify).to_lowercase())),
        ("ui.notify_details", ui.notify_details.to_string()),
        ("ui.motion", ui.motion.to_string()),
        ("ui.screen", format!("{:?}", format!("{:?}", ui.screen).to_lowercase())),
        ("ui.mouse", ui.mouse.to_string()),
        ("ui.panel", ui.panel.to_string()),
        ("ui.reasoning", ui.reasoning.to_string()),
    ] {
        add(key, value, user(key));
    }
    add("store.save", resolved.save.to_string(), user("store.save"));
    for server in &resolved.servers {
        let state = server.disabled.as_ref().map_or_else(String::new, |why| format!("   off: {why}"));
        let from = match &server.source {
            config::Source::Project(_) => Origin::Project,
            config::Source::User(_) => Origin::User,
            config::Source::File(_) | config::Source::Program => Origin::Flag("--mcp"),
        };
        add(&format!("servers.{}", server.name.as_str()), format!("{}{state}", server.line()), from);
    }
    let width = rows.iter().map(|row| row.key.len()).max().unwrap_or(0);
    for row in &rows {
        let line = format!("{:width$} = {}", row.key, row.value);
        if origin {
            say(&format!("{line}   # {}", whose(row, &setup)));
        } else {
            say(&line);
        }
    }
    say(&format!("# {}", resolved.where_messages_go));
    for notice in &resolved.notices {
        eprintln!("{}", sanitize(notice));
    }
    Ok(())
}

fn limit_names() -> Vec<String> {
    let schema = config::schema();
    let rows = schema.pointer("/properties/limits/properties").and_then(|v| v.as_object());
    rows.map(|rows| rows.keys().cloned().collect()).unwrap_or_default()
}

fn whose(row: &Setting, setup: &Setup) -> String {
    let at = |key: &str| {
        let file = setup.paths.show(&setup.paths.config_file());
        setup.config.lines.get(key).map_or_else(|| file.clone(), |line| format!("{file}:{line}"))
    };
    match &row.origin {
        Origin::Flag(flag) => (*flag).to_owned(),
        Origin::Profile(name) => {
            let key = format!("profiles.{name}.{}", row.key);
            if setup.config.lines.contains_key(&key) { at(&key) } else { format!("profile {name}") }
        }
        Origin::Env(name) => format!("${name}"),
        Origin::Project => ".millrace.toml".to_owned(),
        Origin::User => at(&row.key),
        Origin::Default => "default".to_owned(),
    }
}

fn edit(file: &Path, env: &std::collections::BTreeMap<String, String>, paths: &config::Paths) -> Result<u8, Fault> {
    if !std::io::stdin().is_terminal() {
        return Err(Fault::new(FaultKind::Usage, "`config edit` needs a terminal")
            .hint("`millrace config set KEY VALUE` does not."));
    }
    if !file.exists() {
        write_private(file, &config::example()).map_err(|error| cannot_write(file, &error))?;
    }
    let set = |name: &str| env.get(name).filter(|v| !v.trim().is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR")).cloned().unwrap_or_else(|| "vi".to_owned());
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let status = std::process::Command::new(program).args(words).arg(file).status().map_err(|error| {
        Fault::new(FaultKind::Config, format!("cannot start {program}: {error}"))
            .hint("Set $EDITOR to an editor that is there.")
    })?;
    if !status.success() {
        return Err(Fault::new(FaultKind::Config, format!("{program} ended with {status}")));
    }
    check(file, false, paths)
}

fn no_project() -> Fault {
    Fault::new(FaultKind::Usage, format!("there is no {} in this folder or above it", config::project::FILE_NAME))
}

fn trust(yes: bool) -> Result<u8, Fault> {
    let setup = Setup::load()?;
    let (path, hash) = match &setup.project {
        ProjectState::Untrusted { path, hash, .. } => (path, hash),
        ProjectState::Trusted(project) => {
            say(&format!("{} is trusted already.", setup.paths.show(&project.path)));
            return Ok(0);
        }
        ProjectState::None => return Err(no_project()),
    };
    let read =
        |error: std::io::Error| Fault::new(FaultKind::Config, format!("cannot read {}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(read)?;
    config::project::parse(path, &text).map_err(|error| config_fault(&error, &setup.paths))?;
    say(&format!("{}:\n\n{}", setup.paths.show(path), text.trim_end()));
    if !yes {
        if !std::io::stdin().is_terminal() {
            return Err(Fault::new(FaultKind::Usage, "nobody is here to ask")
                .hint("Look at the file, then: millrace config trust --yes"));
        }
        print!("\nLet millrace read it as it is now? It may set the model and denials, and propose servers. [y/N] ");
        let _ = std::io::stdout().flush();
        let mut answer = String::new();
        let _ = std::io::stdin().read_line(&mut answer);
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            say("Not trusted.");
            return Ok(0);
        }
    }
    let write = |error: std::io::Error| cannot_write(&setup.paths.trust_file(), &error);
    // The hash is that of the reading before: a file that changed in between stays untrusted.
    Trusted::load(&setup.paths).and_then(|mut t| t.set(&setup.paths, path, Some(hash))).map_err(write)?;
    say("Trusted. Its servers start only when you have seen their commands. Take it back: millrace config untrust");
    Ok(0)
}
