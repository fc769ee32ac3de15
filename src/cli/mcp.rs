//! `millrace mcp`: the servers, what they offer, a call by hand, and adding or removing one.
//!
//! # Invariants
//! - Text from a server goes to a terminal sanitised; to a pipe or as JSON it goes as it came.
//! - Nothing is started whose exact command was not shown, unless its entry has consent or `--yes` was given.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::chat::{CallId, Fault, FaultKind, Limits, ServerName, ServerState, ServerStatus};
use crate::config::{
    Consent, DraftTransport, Edit, KeySource, Paths, ServerDraft, ServerEntry, Source, UrlKind, Variables, import,
    secrets_in_the_open, server_name_ok,
};
use crate::mcp::{CallEnd, CallEvent, CallOrder, Host, HostEvent, LogLevel, client};
use crate::text::sanitize;

use super::args::{McpArgs, McpCommand, SessionArgs, ToolArgs};
use super::setup::Setup;

mod show;

use show::{found, readable, row, say, say_json, tool_line, tool_rows};

/// Runs one of its subcommands; the exit code where it is not an error.
pub fn run(args: McpArgs) -> Result<u8, Fault> {
    let setup = Setup::load()?;
    let tools = ToolArgs { mcp: args.mcp, ..ToolArgs::default() };
    let resolved = setup.resolve(&SessionArgs { tools, ..SessionArgs::default() })?;
    // That there is no key for a model is no news to somebody who looks after servers.
    let is_of_key = |notice: &&String| resolved.key_missing.as_ref().is_some_and(|key| notice.contains(key.as_str()));
    for notice in resolved.notices.iter().filter(|notice| !is_of_key(notice)) {
        eprintln!("{}", sanitize(notice));
    }
    let bench = Bench { entries: resolved.servers, limits: Arc::new(resolved.limits), setup, json: args.json };
    match args.command.unwrap_or(McpCommand::List) {
        McpCommand::List => Ok(bench.list()),
        McpCommand::Tools { server } => bench.tools(server.as_deref()),
        McpCommand::Call { server, tool, arguments, yes } => bench.call(&server, tool, arguments.as_deref(), yes),
        McpCommand::Test { server } => bench.test(server.as_deref()),
        McpCommand::Add { name, url, env, header, project, no_start, yes, command } => {
            let how = transport(url, &env, &header, command)?;
            bench.add(&name, how, Wishes { project, no_start, yes })
        }
        McpCommand::Remove { name } => bench.remove(&name),
        McpCommand::Import { yes } => bench.import(yes),
        McpCommand::Login { server } | McpCommand::Logout { server } => {
            bench.entry(&server)?;
            Err(Fault::new(FaultKind::Usage, "signing in to servers is not built into this version")
                .hint("Give the server a token: headers = { Authorization = \"Bearer ${env:TOKEN}\" }."))
        }
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fault::new(FaultKind::Internal, format!("cannot start the runtime: {error}")))?;
    Ok(runtime.block_on(work))
}

/// What `mcp add` was asked to do besides.
struct Wishes {
    project: bool,
    no_start: bool,
    yes: bool,
}

/// What every subcommand works on.
struct Bench {
    entries: Vec<ServerEntry>,
    limits: Arc<Limits>,
    setup: Setup,
    json: bool,
}

/// One server as it was found: its last state, and its tools where it came up.
struct Visit {
    status: ServerStatus,
    tools: Vec<Value>,
    instructions: Option<String>,
    ms: u128,
}

impl Visit {
    fn is_ready(&self) -> bool {
        self.status.state == ServerState::Ready
    }

    fn reason(&self) -> &str {
        self.status.message.as_deref().unwrap_or("it did not come up")
    }

    fn fault(&self) -> Fault {
        let kind = match self.status.state {
            ServerState::NeedsLogin => FaultKind::Auth,
            ServerState::Off | ServerState::NeedsConsent => FaultKind::Config,
            ServerState::Starting | ServerState::Ready | ServerState::Failed => FaultKind::Network,
        };
        let last = self.status.stderr.iter().map(|line| format!("\n  {line}")).collect::<String>();
        Fault::new(kind, format!("{}: {}{last}", self.status.server.as_str(), self.reason()))
    }
}

impl Bench {
    fn entry(&self, name: &str) -> Result<&ServerEntry, Fault> {
        self.entries.iter().find(|entry| entry.name.as_str() == name).ok_or_else(|| {
            let names: Vec<_> = self.entries.iter().map(|entry| entry.name.as_str()).collect();
            let hint = match names.as_slice() {
                [] => "There is none yet: millrace mcp add NAME -- COMMAND".to_owned(),
                names => format!("There are {}.", names.join(", ")),
            };
            Fault::new(FaultKind::Usage, format!("there is no server {name}")).hint(hint)
        })
    }

    fn chosen(&self, name: Option<&str>) -> Result<Vec<ServerEntry>, Fault> {
        match name {
            Some(name) => Ok(vec![self.entry(name)?.clone()]),
            None => Ok(self.entries.clone()),
        }
    }

    fn list(&self) -> u8 {
        if self.json {
            let rows: Vec<_> = self.entries.iter().map(row).collect();
            say_json(&Value::Array(rows));
        } else if self.entries.is_empty() {
            say("No servers. Add one: millrace mcp add NAME -- COMMAND, or millrace mcp add NAME URL");
        } else {
            let width = self.entries.iter().map(|entry| entry.name.as_str().len()).max().unwrap_or(0);
            for entry in &self.entries {
                let state = match (&entry.disabled, entry.consent) {
                    (Some(reason), _) => format!("   off: {reason}"),
                    (None, Consent::NeedsPerson) => "   asks before its first start".to_owned(),
                    (None, Consent::Given) => String::new(),
                };
                say(&format!("{:width$}  {}{state}", entry.name.as_str(), entry.line()));
            }
        }
        0
    }

    fn tools(&self, name: Option<&str>) -> Result<u8, Fault> {
        let visits = self.visit(self.agreed(self.chosen(name)?, false)?)?;
        if self.json {
            let rows: Vec<_> = visits.iter().flat_map(tool_rows).collect();
            say_json(&Value::Array(rows));
        } else {
            for visit in visits.iter().filter(|visit| visit.is_ready()) {
                for tool in &visit.tools {
                    say(&tool_line(visit.status.server.as_str(), tool));
                }
            }
        }
        Ok(failures(&visits))
    }

    fn test(&self, name: Option<&str>) -> Result<u8, Fault> {
        let visits = self.visit(self.agreed(self.chosen(name)?, false)?)?;
        if self.json {
            let rows = visits.iter().map(|visit| {
                let status = &visit.status;
                json!({
                    "server": status.server.as_str(), "state": status.state.word(), "tools": visit.tools.len(),
                    "protocol": status.protocol, "message": status.message, "ms": visit.ms as u64,
                    "line": status.line, "stderr": status.stderr,
                })
            });
            say_json(&rows.collect());
        } else {
            for visit in visits.iter().filter(|visit| visit.is_ready()) {
                say(&found(visit));
            }
        }
        Ok(failures(&visits))
    }

    fn call(&self, name: &str, tool: String, arguments: Option<&str>, yes: bool) -> Result<u8, Fault> {
        let entry = self.entry(name)?.clone();
        let arguments: Map<String, Value> = match arguments {
            None => Map::new(),
            Some(text) => serde_json::from_str(text).map_err(|error| {
                Fault::new(FaultKind::Usage, format!("the arguments are not a JSON object: {error}"))
                    .hint("Quote them for the shell: '{\"path\": \"a.txt\"}'")
            })?,
        };
        let Some(entry) = self.agreed(vec![entry], yes)?.pop() else { return Ok(2) };
        let (host, events) = self.host()?;
        block_on(async {
            let server = entry.name.clone();
            host.start(entry);
            let talk = tokio::spawn(chat_to_stderr(events));
            let order = CallOrder { call: CallId::new("call-1"), server, tool, arguments };
            let end = follow(&host, order).await;
            host.shutdown().await;
            talk.abort();
            self.told(end)
        })?
    }

    /// Prints how a call ended.
    fn told(&self, end: CallEnd) -> Result<u8, Fault> {
        let network = |message: String| Err(Fault::new(FaultKind::Network, message));
        match end {
            CallEnd::Result(result) => {
                let failed = result.get("isError").and_then(Value::as_bool) == Some(true);
                if self.json {
                    say_json(&result);
                } else {
                    say(&readable(&result));
                }
                Ok(if failed { FaultKind::Provider.exit_code() } else { 0 })
            }
            CallEnd::RpcError { code, message } => {
                if self.json {
                    say_json(&json!({"error": {"code": code, "message": message}}));
                }
                Err(Fault::new(FaultKind::Provider, format!("the server answered with error {code}: {message}")))
            }
            CallEnd::TimedOut { sent: true } => network("no answer in time; the server was told to stop".to_owned()),
            CallEnd::TimedOut { sent: false } => network("the server did not take the call".to_owned()),
            CallEnd::Cancelled { acknowledged } => {
                let how = if acknowledged { "it did not run to its end" } else { "it may still have run" };
                Err(Fault::new(FaultKind::Cancelled, format!("cancelled; {how}")))
            }
            CallEnd::ServerGone { sent, message } => {
                network(format!("{message}; {}", if sent { "the call may have run" } else { "the call did not leave" }))
            }
            CallEnd::NotSent { message } => network(format!("not sent: {message}")),
        }
    }

    fn host(&self) -> Result<(Host, mpsc::Receiver<HostEvent>), Fault> {
        let http = client(&self.limits).map_err(|failure| Fault::new(FaultKind::Internal, failure.line()))?;
        let (host, events) = Host::new(http, self.limits.clone(), Some(self.setup.paths.cache.join("mcp")));
        let host = match std::env::current_exe() {
            Ok(program) => host.watched_by(&program),
            Err(_) => host,
        };
        Ok((host, events))
    }

    /// The entries that may start. Whoever needs a person's consent gets it from the person here, or is left out.
    fn agreed(&self, entries: Vec<ServerEntry>, yes: bool) -> Result<Vec<ServerEntry>, Fault> {
        let mut agreed = Vec::new();
        for mut entry in entries {
            if entry.disabled.is_none() && entry.consent == Consent::NeedsPerson {
                let name = entry.name.as_str();
                let question = format!("Start {name:?}? This program will run as you:\n  {}", entry.line());
                if !yes && !ask(&question, "Start it with --yes, or from a terminal.")? {
                    eprintln!("{name}: not started");
                    continue;
                }
                entry.consent = Consent::Given;
            }
            agreed.push(entry);
        }
        Ok(agreed)
    }

    /// Starts the servers side by side, waits until each is ready or failed, and ends them again.
    fn visit(&self, entries: Vec<ServerEntry>) -> Result<Vec<Visit>, Fault> {
        let (host, mut events) = self.host()?;
        block_on(async {
            let begun = Instant::now();
            let order: Vec<ServerName> = entries.iter().map(|entry| entry.name.clone()).collect();
            for entry in entries {
                host.start(entry);
            }
            let mut lists = BTreeMap::new();
            let mut visits: BTreeMap<ServerName, Visit> = BTreeMap::new();
            while visits.len() < order.len() {
                match events.recv().await {
                    Some(HostEvent::Listing(listing)) if !listing.from_cache => {
                        lists.insert(listing.server, (listing.tools, listing.instructions));
                    }
                    Some(HostEvent::Status(status)) if status.state != ServerState::Starting => {
                        let (tools, instructions) = lists.get(&status.server).cloned().unwrap_or_default();
                        let ms = begun.elapsed().as_millis();
                        visits.entry(status.server.clone()).or_insert(Visit { status, tools, instructions, ms });
                    }
                    Some(HostEvent::Log { server, level: LogLevel::Warning | LogLevel::Error, text }) => {
                        eprintln!("{}: {}", server.as_str(), sanitize(&text));
                    }
                    Some(HostEvent::Listing(_) | HostEvent::Status(_) | HostEvent::Log { .. }) => {}
                    None => break,
                }
            }
            host.shutdown().await;
            order.iter().filter_map(|name| visits.remove(name)).collect()
        })
    }

    fn add(&self, name: &str, how: DraftTransport, wishes: Wishes) -> Result<u8, Fault> {
        if !server_name_ok(name) {
            return Err(Fault::new(FaultKind::Usage, format!("{name:?} cannot be a server's name"))
                .hint("Up to 32 of a-z, 0-9, - and _, without __, beginning with a letter or digit."));
        }
        if self.entries.iter().any(|entry| entry.name.as_str() == name) {
            return Err(Fault::new(FaultKind::Usage, format!("there is a server {name} already"))
                .hint(format!("Another name, or first: millrace mcp remove {name}")));
        }
        if let Some(secret) = secrets_in_the_open(&how) {
            return Err(Fault::new(FaultKind::Usage, secret)
                .hint("Put it into the environment and write ${env:NAME}: --env KEY='${env:NAME}'."));
        }
        let file =
            if wishes.project { self.setup.folder.join(".millrace.toml") } else { self.setup.paths.config_file() };
        let source = if wishes.project { Source::Project(file.clone()) } else { Source::User(file.clone()) };
        let draft = ServerDraft::new(name, how, source);
        let mut entry = self.expand(&draft);
        if let Some(reason) = &entry.disabled {
            return Err(Fault::new(FaultKind::Config, format!("{name} cannot be used: {reason}")));
        }
        let shown = self.setup.paths.show(&file);
        let what = if wishes.no_start { "will run as you when it is used" } else { "will run as you" };
        let question = match entry.transport {
            crate::config::Transport::Stdio { .. } => format!("Add {name:?} to {shown}? This program {what}:"),
            crate::config::Transport::Http { .. }
            | crate::config::Transport::Sse { .. }
            | crate::config::Transport::SimpleRpc { .. } => {
                format!("Add {name:?} to {shown}? This server is reached at:")
            }
        };
        if wishes.yes {
            eprintln!("{}", sanitize(&format!("{question}\n  {}", entry.line())));
        } else if !ask(&format!("{question}\n  {}", entry.line()), "Add it with --yes, or from a terminal.")? {
            eprintln!("Nothing was changed.");
            return Ok(0);
        }
        let mut code = 0;
        if !wishes.no_start {
            entry.consent = Consent::Given;
            let visits = self.visit(vec![entry])?;
            code = failures(&visits);
            for visit in visits.iter().filter(|visit| visit.is_ready()) {
                say(&found(visit));
                for tool in &visit.tools {
                    say(&format!("  {}", tool_line(name, tool)));
                }
                if let Some(instructions) = &visit.instructions {
                    say(&format!("It says of itself: {instructions}"));
                }
            }
        }
        let mut edit = Edit::open(&file).map_err(|error| config_fault(&error.to_string()))?;
        edit.put_server(&draft);
        edit.save().map_err(|error| config_fault(&error.to_string()))?;
        say(&format!("Saved [servers.{name}] in {shown}."));
        Ok(code)
    }

    fn remove(&self, name: &str) -> Result<u8, Fault> {
        let entry = self.entry(name)?;
        let file = match &entry.source {
            Source::User(file) | Source::Project(file) => file.clone(),
            Source::File(file) => {
                let message = format!("{name} comes from {}, which is not millrace's", file.display());
                return Err(Fault::new(FaultKind::Usage, message).hint("Remove it there."));
            }
            Source::Program => return Err(Fault::new(FaultKind::Usage, format!("{name} is built in"))),
        };
        let mut edit = Edit::open(&file).map_err(|error| config_fault(&error.to_string()))?;
        edit.remove(&format!("servers.{name}"));
        edit.save().map_err(|error| config_fault(&error.to_string()))?;
        say(&format!("Removed [servers.{name}] from {}.", self.setup.paths.show(&file)));
        Ok(0)
    }

    fn import(&self, yes: bool) -> Result<u8, Fault> {
        let Paths { home: Some(home), .. } = &self.setup.paths else {
            return Err(Fault::new(FaultKind::Config, "this user has no home folder to look in"));
        };
        let (found, unreadable) = import::find(home, &self.setup.folder);
        for bad in &unreadable {
            eprintln!("{}: {}", self.setup.paths.show(&bad.path), sanitize(&bad.why));
        }
        let (known, new): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|found| self.entries.iter().any(|entry| entry.name == found.draft.name));
        for found in &known {
            eprintln!("{}: a server of this name is configured already", found.draft.name.as_str());
        }
        if new.is_empty() {
            say("No new servers of other clients were found.");
            return Ok(0);
        }
        for found in &new {
            let line = self.expand(&found.draft).line();
            say(&format!("{}  from {}\n  {line}", found.draft.name.as_str(), found.client.name()));
            for note in &found.notes {
                say(&format!("  note: {note}"));
            }
        }
        let file = self.setup.paths.config_file();
        let shown = self.setup.paths.show(&file);
        let question = format!("Add these {} to {shown}? Nothing is started now.", new.len());
        if !yes && !ask(&question, "Import them with --yes, or from a terminal.")? {
            eprintln!("Nothing was changed.");
            return Ok(0);
        }
        let mut edit = Edit::open(&file).map_err(|error| config_fault(&error.to_string()))?;
        for found in &new {
            let mut draft = found.draft.clone();
            draft.trust = false;
            draft.ask_first = true;
            edit.put_server(&draft);
        }
        edit.save().map_err(|error| config_fault(&error.to_string()))?;
        say(&format!("Saved {} servers in {shown}. Each asks before its first start.", new.len()));
        Ok(0)
    }

    /// A draft as it would be started. Variables that hold keys of profiles are never given to servers.
    fn expand(&self, draft: &ServerDraft) -> ServerEntry {
        let mut refused = BTreeSet::from(["OPENAI_API_KEY".to_owned()]);
        refused.extend(self.setup.config.profiles.values().filter_map(|profile| match &profile.key {
            Some(KeySource::Env(name)) => Some(name.clone()),
            Some(KeySource::Command(_) | KeySource::Literal(_) | KeySource::Saved(_)) | None => None,
        }));
        draft.expand(&Variables {
            env: &self.setup.env,
            refused: &refused,
            folder: &self.setup.folder,
            home: self.setup.paths.home.as_deref(),
        })
    }
}

/// What `mcp add` was given, as a draft.
fn transport(
    url: Option<String>,
    env: &[String],
    headers: &[String],
    mut command: Vec<String>,
) -> Result<DraftTransport, Fault> {
    let usage = |message: String| Fault::new(FaultKind::Usage, message);
    let pairs = |texts: &[String], sign: char, what: &str| {
        texts
            .iter()
            .map(|text| match text.split_once(sign) {
                Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
                _ => Err(usage(format!("{what} is written NAME{sign}VALUE, not {text:?}"))),
            })
            .collect::<Result<BTreeMap<_, _>, _>>()
    };
    match url {
        Some(_) if !env.is_empty() => Err(usage("--env is for a program, not for an address".to_owned())),
        Some(url) => Ok(DraftTransport::Url { kind: UrlKind::Http, url, headers: pairs(headers, ':', "a header")? }),
        None if command.is_empty() => Err(usage("neither a command nor an address was given".to_owned())),
        None if !headers.is_empty() => Err(usage("--header is for an address, not for a program".to_owned())),
        None => {
            let program = command.remove(0);
            Ok(DraftTransport::Stdio {
                command: program,
                args: command,
                env: pairs(env, '=', "a variable")?,
                cwd: None,
            })
        }
    }
}

/// Makes the call; ctrl+c cancels it at its server.
async fn follow(host: &Host, order: CallOrder) -> CallEnd {
    let talkative = std::io::stderr().is_terminal();
    let mut ticket = host.call(order);
    loop {
        let event = tokio::select! {
            event = ticket.next() => event,
            Ok(()) = tokio::signal::ctrl_c() => {
                ticket.cancel();
                continue;
            }
        };
        match event {
            Some(CallEvent::Sent) => {}
            Some(CallEvent::Progress { progress, total, message }) if talkative => {
                let of = total.map(|total| format!("/{total}")).unwrap_or_default();
                eprintln!("  {progress}{of} {}", sanitize(message.as_deref().unwrap_or_default()));
            }
            Some(CallEvent::Progress { .. }) => {}
            Some(CallEvent::Ended(end)) => return end,
            None => return CallEnd::ServerGone { sent: true, message: "the host was shut down".to_owned() },
        }
    }
}

/// What the server says while a call runs.
async fn chat_to_stderr(mut events: mpsc::Receiver<HostEvent>) {
    while let Some(event) = events.recv().await {
        match event {
            HostEvent::Log { server, level, text } if level >= LogLevel::Info => {
                eprintln!("{} {}: {}", server.as_str(), level.word(), sanitize(&text));
            }
            HostEvent::Log { .. } | HostEvent::Status(_) | HostEvent::Listing(_) => {}
        }
    }
}

/// Reports those that did not come up, and the exit code that follows.
fn failures(visits: &[Visit]) -> u8 {
    let mut code = 0;
    for visit in visits.iter().filter(|visit| !visit.is_ready()) {
        let fault = visit.fault();
        super::report(&fault);
        // One that is switched off is no failure.
        if visit.status.state != ServerState::Off && code == 0 {
            code = fault.kind.exit_code();
        }
    }
    code
}

fn config_fault(message: &str) -> Fault {
    Fault::new(FaultKind::Config, message)
}

/// Asks a person; no is the default. Without one, the command must have been told to go on.
fn ask(question: &str, otherwise: &str) -> Result<bool, Fault> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Fault::new(FaultKind::Usage, format!("{question}\nNobody is here to ask.")).hint(otherwise));
    }
    eprint!("{}\n[y/N] ", sanitize(question));
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    Ok(read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_a_program_or_an_address() {
        let command = || vec!["npx".to_owned(), "-y".to_owned()];
        assert!(transport(None, &["A=b=c".into()], &[], command()).is_ok());
        assert!(transport(None, &["A".into()], &[], command()).is_err());
        assert!(transport(None, &[], &["A: b".into()], command()).is_err());
        assert!(transport(Some("https://a/".into()), &[], &["A: b".into()], Vec::new()).is_ok());
        assert!(transport(None, &[], &[], Vec::new()).is_err());
    }
}
