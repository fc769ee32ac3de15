//! Servers that are started to be looked at, and ended again: what each said, and what it took.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Value, json};

use crate::chat::{Fault, FaultKind, Pin, ServerName, ServerState, ServerStatus};
use crate::config::ServerEntry;
use crate::mcp::{HostEvent, LogLevel};
use crate::store::{OpenMode, Store};
use crate::text::sanitize;

use super::show::{found, say, say_json, say_line, tool_line, tool_rows};
use super::standing::Standings;
use super::{Bench, block_on};

/// One server as it was found: its last state, and its tools where it came up.
pub(super) struct Visit {
    pub(super) status: ServerStatus,
    pub(super) tools: Vec<Value>,
    pub(super) instructions: Option<String>,
    pub(super) ms: u128,
}

impl Visit {
    /// A server of which only its state is known.
    pub(super) fn of(status: ServerStatus) -> Self {
        Self { status, tools: Vec::new(), instructions: None, ms: 0 }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.status.state == ServerState::Ready
    }

    pub(super) fn reason(&self) -> &str {
        self.status.message.as_deref().unwrap_or("it did not come up")
    }

    pub(super) fn fault(&self) -> Fault {
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
    pub(super) fn tools(&self, name: Option<&str>) -> Result<u8, Fault> {
        let visits = self.visit(self.agreed(self.chosen(name)?, false)?)?;
        let pins = self.pins()?;
        let standings = |visit: &Visit| {
            let entry = self.entry(visit.status.server.as_str())?;
            Ok::<_, Fault>(Standings::of(visit, entry, &pins, &self.rules, &self.limits))
        };
        if self.json {
            let mut rows = Vec::new();
            for visit in &visits {
                let known = standings(visit)?;
                for (tool, mut row) in visit.tools.iter().zip(tool_rows(visit)) {
                    known.tell(tool, &mut row);
                    rows.push(row);
                }
            }
            say_json(&Value::Array(rows));
        } else {
            for visit in visits.iter().filter(|visit| visit.is_ready()) {
                let (server, known) = (visit.status.server.as_str(), standings(visit)?);
                for tool in &visit.tools {
                    let (more, lines) = known.more(tool);
                    say_line(&tool_line(server, tool), &more);
                    lines.iter().for_each(|line| say(line));
                }
                eprintln!("{server}: {} tools, about {} tokens of every request", visit.tools.len(), known.tokens());
            }
        }
        Ok(failures(&visits))
    }

    /// What was accepted of servers' definitions; nothing where there is no store yet.
    fn pins(&self) -> Result<Vec<Pin>, Fault> {
        let file = self.setup.paths.store_file();
        if !file.exists() {
            return Ok(Vec::new());
        }
        let Ok(store) = Store::open(&file, OpenMode::Read) else { return Ok(Vec::new()) };
        Ok(block_on(store.pins())?.unwrap_or_default())
    }

    pub(super) fn test(&self, name: Option<&str>) -> Result<u8, Fault> {
        let visits = self.visit(self.agreed(self.chosen(name)?, false)?)?;
        if self.json {
            let rows = visits.iter().map(|visit| {
                let status = &visit.status;
                json!({
                    "server": status.server.as_str(), "state": status.state.word(), "tools": visit.tools.len(),
                    "protocol": status.protocol, "transport": status.transport, "message": status.message, "ms": visit.ms as u64,
                    "line": status.line, "stderr": status.stderr, "instructions": visit.instructions,
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

    /// Starts the servers side by side, waits until each is ready or failed, and ends them again.
    pub(super) fn visit(&self, entries: Vec<ServerEntry>) -> Result<Vec<Visit>, Fault> {
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
                    Some(HostEvent::Log { server, level: LogLevel::Warning | LogLevel::Error, text, .. }) => {
                        eprintln!("{}: {}", server.as_str(), sanitize(&text));
                    }
                    Some(
                        HostEvent::Listing(_)
                        | HostEvent::Status(_)
                        | HostEvent::Log { .. }
                        | HostEvent::Inquiry(_)
                        | HostEvent::InquiryEnded { .. }
                        | HostEvent::News { .. }
                        | HostEvent::SignIn { .. },
                    ) => {}
                    None => break,
                }
            }
            host.shutdown().await;
            order.iter().filter_map(|name| visits.remove(name)).collect()
        })
    }
}

/// Reports those that did not come up, and the exit code that follows.
pub(super) fn failures(visits: &[Visit]) -> u8 {
    let mut code = 0;
    for visit in visits.iter().filter(|visit| !visit.is_ready()) {
        let fault = visit.fault();
        crate::cli::report(&fault);
        // One that is switched off is no failure.
        if visit.status.state != ServerState::Off && code == 0 {
            code = fault.kind.exit_code();
        }
    }
    code
}
