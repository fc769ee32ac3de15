//! `millrace mcp`: the servers, what they offer, a call by hand, and adding or removing one.
//!
//! # Invariants
//! - Text from a server goes to a terminal sanitised; to a pipe or as JSON it goes as it came.
//! - Nothing is started whose exact command was not shown, unless its entry has consent or `--yes` was given.

mod add;
mod answers;
mod call;
mod frames;
mod import;
mod login;
mod show;
mod standing;
mod visit;

use std::future::Future;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;

use crate::chat::{Fault, FaultKind, Limits, Wiretap};
use crate::config::{Consent, Consents, ServerDraft, ServerEntry, Variables, refused_variables, source_path};
use crate::mcp::{Host, HostEvent, client};
use crate::text::{sanitize, visible};
use crate::tools::RegistryRules;

use super::args::{McpArgs, McpCommand, SessionArgs, ToolArgs};
use super::setup::Setup;
use add::{Wishes, transport};
use frames::Frames;
pub use import::Secrets;
use show::{row, say, say_json};

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
    let rules = super::boot::rules(&resolved)?;
    let frames = match &args.command {
        Some(McpCommand::Call { frames: true, .. } | McpCommand::Test { frames: true, server: Some(_) }) => Some(false),
        Some(McpCommand::Test { frames: true, server: None }) => Some(resolved.servers.len() > 1),
        Some(_) | None => None,
    };
    let frames = frames.map(|named| {
        Arc::new(Frames::new(super::secrets::of_session(&setup, &resolved, None), named)) as Arc<dyn Wiretap>
    });
    let (entries, limits) = (resolved.servers, Arc::new(resolved.limits));
    let bench = Bench { entries, limits, setup, rules, json: args.json, frames };
    match args.command.unwrap_or(McpCommand::List) {
        McpCommand::List => Ok(bench.list()),
        McpCommand::Tools { server } => bench.tools(server.as_deref()),
        McpCommand::Call { server, tool, arguments, no_validate, save, timeout, yes, frames: _ } => {
            bench.call(&call::Wishes {
                server,
                tool,
                arguments,
                yes,
                validate: !no_validate,
                save,
                timeout: timeout.map(Duration::from_secs_f64),
            })
        }
        McpCommand::Test { server, frames: _ } => bench.test(server.as_deref()),
        McpCommand::Add { name, url, env, header, project, no_start, pin, yes, command } => {
            let how = transport(url, &env, &header, command)?;
            bench.add(&name, how, Wishes { project, no_start, pin, yes })
        }
        McpCommand::Remove { name } => bench.remove(&name),
        McpCommand::Import { file, from, only, dry_run, secrets, pin, yes } => {
            let from = from.as_deref().map(import::client).transpose()?;
            bench.import(&import::Wishes { file, from, only, dry_run, yes, pin, secrets })
        }
        McpCommand::Login { server } => bench.login(&server),
        McpCommand::Logout { server } => bench.logout(&server),
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fault::new(FaultKind::Internal, format!("cannot start the runtime: {error}")))?;
    Ok(runtime.block_on(work))
}

/// What every subcommand works on.
struct Bench {
    entries: Vec<ServerEntry>,
    limits: Arc<Limits>,
    setup: Setup,
    /// What the configuration and the command line rule about tools.
    rules: RegistryRules,
    json: bool,
    /// Hears every message, where they are to be shown.
    frames: Option<Arc<dyn Wiretap>>,
}

impl Bench {
    fn entry(&self, name: &str) -> Result<&ServerEntry, Fault> {
        self.entries.iter().find(|entry| entry.name.as_str() == name).ok_or_else(|| {
            let names: Vec<_> = self.entries.iter().map(|entry| entry.name.as_str()).collect();
            let hint = match names.as_slice() {
                [] => NO_SERVERS.to_owned(),
                names => format!("There are {}.", names.join(", ")),
            };
            Fault::new(FaultKind::Usage, format!("there is no server {name}")).hint(hint)
        })
    }

    fn chosen(&self, name: Option<&str>) -> Result<Vec<ServerEntry>, Fault> {
        match name {
            Some(name) => Ok(vec![self.entry(name)?.clone()]),
            None => {
                if self.entries.is_empty() {
                    eprintln!("{NO_SERVERS}");
                }
                Ok(self.entries.clone())
            }
        }
    }

    fn list(&self) -> u8 {
        let sign_ins = self.setup.sign_ins(&self.limits);
        if self.json {
            let rows: Vec<_> = self.entries.iter().map(|entry| row(entry, &sign_ins)).collect();
            say_json(&Value::Array(rows));
        } else if self.entries.is_empty() {
            say(NO_SERVERS);
        } else {
            let width = self.entries.iter().map(|entry| entry.name.as_str().len()).max().unwrap_or(0);
            for entry in &self.entries {
                let state = match (&entry.disabled, entry.consent) {
                    (Some(reason), _) => format!("   off: {reason}"),
                    (None, Consent::NeedsPerson) => "   asks before its first start".to_owned(),
                    (None, Consent::Given) => match sign_ins.state(entry) {
                        Ok(Some(state)) => format!("   {}", login::signed_in(&state)),
                        Ok(None) => String::new(),
                        Err(why) => format!("   its sign-in cannot be used: {why}"),
                    },
                };
                say(&format!("{:width$}  {}{state}", entry.name.as_str(), entry.line()));
            }
        }
        0
    }

    fn host(&self) -> Result<(Host, mpsc::Receiver<HostEvent>), Fault> {
        self.host_within(Arc::clone(&self.limits))
    }

    fn host_within(&self, limits: Arc<Limits>) -> Result<(Host, mpsc::Receiver<HostEvent>), Fault> {
        let http = client(&limits).map_err(|failure| Fault::new(FaultKind::Internal, failure.line()))?;
        let (host, events) = Host::new(http, limits, Some(self.setup.paths.cache.join("servers")));
        let host = host.signed_in_by(self.setup.sign_ins(&self.limits)).once();
        let host = match &self.frames {
            Some(frames) => host.tapped(Arc::clone(frames)),
            None => host,
        };
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
                if yes {
                    eprintln!("{}", visible(&format!("Starting {name:?}: {}", entry.line())));
                } else {
                    let question = format!("{question}\n  y starts it now, A also from now on");
                    let letters = [('y', Start::Once), ('A', Start::Always)];
                    match one_of(&question, &letters, "Start it with --yes, or from a terminal.")? {
                        None => {
                            eprintln!("{name}: not started");
                            continue;
                        }
                        Some(Start::Always) => self.remember(&entry),
                        Some(Start::Once) => {}
                    }
                }
                entry.consent = Consent::Given;
            }
            agreed.push(entry);
        }
        Ok(agreed)
    }

    /// A person has seen this entry and lets it start from now on.
    fn remember(&self, entry: &ServerEntry) {
        let file = source_path(&entry.source);
        let written = Consents::load(&self.setup.paths)
            .and_then(|mut consents| consents.give(&self.setup.paths, &file, &entry.entry_hash));
        if let Err(error) = written {
            eprintln!("{}: this is asked again next time: {error}", entry.name.as_str());
        }
    }

    /// A draft as it would be started. Variables that hold keys of profiles are never given to servers.
    fn expand(&self, draft: &ServerDraft) -> ServerEntry {
        let refused = refused_variables(&self.setup.config);
        draft.expand(&Variables {
            env: &self.setup.env,
            refused: &refused,
            folder: &self.setup.folder,
            home: self.setup.paths.home.as_deref(),
        })
    }
}

/// Where there is nothing to list, look at or call.
const NO_SERVERS: &str = "No servers. Add one: millrace mcp add NAME -- COMMAND, or millrace mcp add NAME URL";

fn config_fault(message: &str) -> Fault {
    Fault::new(FaultKind::Config, message)
}

/// Asks a person for one of several letters; None: neither.
fn one_of<T: Copy>(question: &str, letters: &[(char, T)], otherwise: &str) -> Result<Option<T>, Fault> {
    let words: Vec<String> = letters.iter().map(|(letter, _)| letter.to_string()).collect();
    let answer = answer(question, &format!("[{}]", words.join("/")), otherwise)?;
    Ok(letters.iter().find(|(letter, _)| answer == letter.to_string()).map(|(_, what)| *what))
}

/// How far a yes to a server's start goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    Once,
    Always,
}

/// Asks a person; no is the default. Without one, the command must have been told to go on.
fn ask(question: &str, otherwise: &str) -> Result<bool, Fault> {
    Ok(matches!(answer(question, "[y/N]", otherwise)?.as_str(), "y" | "Y" | "yes"))
}

/// What a person answers, in one line.
fn answer(question: &str, choice: &str, otherwise: &str) -> Result<String, Fault> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Fault::new(FaultKind::Usage, format!("{question}\nNobody is here to ask.")).hint(otherwise));
    }
    eprint!("{}\n{choice} ", visible(question));
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    // Nothing is an answer too: no.
    let _ = std::io::stdin().read_line(&mut answer);
    Ok(answer.trim().to_owned())
}
