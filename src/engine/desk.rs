//! Where servers' news arrive: listings into the registry, states to the reader, pins and grants to the store.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::lane::of_ticket;
use super::port::ServerEvent;
use super::run::{Engine, Inbound};
use crate::chat::{
    Change, Difference, Durability, Grant, GrantScope, NoticeKind, ServerName, ServerState, ServerStatus, ToolRow,
    TurnEvent, TurnId,
};
use crate::tools::{Registry, RegistryChange, Snapshot};
use crate::turn::Event;

/// How long a server's first listings are taken as one: some announce changes right after they start.
const SETTLE: Duration = Duration::from_secs(1);

pub(super) struct Desk {
    pub registry: Registry,
    pub snapshot: Arc<Snapshot>,
    /// How the tools stood when they were last told.
    pub rows: Arc<[ToolRow]>,
    pub statuses: HashMap<ServerName, ServerStatus>,
    /// Servers that were to start and have not been heard of as ready or failed.
    pub starting: HashSet<ServerName>,
    /// Of these every turn waits, also where turns wait for no other.
    expected: HashSet<ServerName>,
    /// Counts the listings of a server, so that an old settling timer is known as old.
    generations: HashMap<ServerName, u64>,
}

impl Desk {
    pub fn new(registry: Registry, starting: &[ServerName]) -> Self {
        let snapshot = registry.snapshot();
        Self {
            registry,
            snapshot,
            rows: Arc::default(),
            statuses: HashMap::new(),
            starting: starting.iter().cloned().collect(),
            expected: HashSet::new(),
            generations: HashMap::new(),
        }
    }

    /// The servers that have listed their tools in this run.
    pub fn listed(&self) -> Vec<ServerName> {
        self.generations.keys().cloned().collect()
    }

    /// A server is about to be added, and turns wait for it.
    pub fn expect(&mut self, server: ServerName) {
        self.starting.insert(server.clone());
        self.expected.insert(server);
    }
}

impl Engine {
    /// Whether turns have to wait for a server.
    pub(super) fn must_wait(&self) -> bool {
        match self.config.wait_for_servers {
            true => !self.desk.starting.is_empty(),
            false => self.desk.expected.iter().any(|server| self.desk.starting.contains(server)),
        }
    }

    pub(super) fn server_event(&mut self, event: ServerEvent) {
        match event {
            ServerEvent::Status(status) => self.server_status(status),
            ServerEvent::Listing(listing) => {
                let server = listing.server.clone();
                let live = !listing.from_cache;
                let changes = self.desk.registry.apply(listing);
                if live {
                    self.settle_later(&server);
                }
                self.registry_changed(changes);
                self.restate(&server);
                if live {
                    self.arrived(&server);
                }
            }
            ServerEvent::SignIn { server, stage } => self.emit(TurnEvent::SignIn { server, stage }),
            ServerEvent::Notice { server, message } => {
                let message = format!("{}: {message}", server.as_str());
                self.emit(TurnEvent::Notice { turn: None, kind: NoticeKind::Server, message });
            }
            ServerEvent::Inquiry(mut inquiry) => {
                // A call of a turn by its own name; another caller's means nothing to the reader.
                let (turn, call) = inquiry.call.take().as_ref().and_then(of_ticket).unzip();
                inquiry.call = call;
                if !self.sampling_asked(turn, &mut inquiry) {
                    return;
                }
                self.emit(TurnEvent::Inquiry { turn, inquiry: Arc::new(inquiry) });
            }
            ServerEvent::News { server, news } => self.emit(TurnEvent::News { server, news }),
            ServerEvent::InquiryEnded { id, end } => {
                self.sampling_over(id);
                self.emit(TurnEvent::InquiryEnded { id, end });
            }
        }
    }

    fn server_status(&mut self, mut status: ServerStatus) {
        let server = status.server.clone();
        let settled = match status.state {
            // Ready counts once its tools are there.
            ServerState::Ready | ServerState::Starting => false,
            ServerState::Failed | ServerState::NeedsLogin | ServerState::Off | ServerState::NeedsConsent => true,
        };
        (status.tools, status.withheld) = self.desk.snapshot.counts(&server);
        status.differences = self.desk.registry.differences(&server).into();
        status.listed = self.desk.snapshot.lines(&server).into();
        status.life.trusted = self.desk.registry.trusts(&server);
        status.life.instructions = self.desk.registry.instructions(&server);
        self.desk.statuses.insert(server.clone(), status.clone());
        self.emit(TurnEvent::Server(status));
        if settled {
            self.arrived(&server);
        }
    }

    /// Tells the counts of a server again, and what is withheld of it, where they changed.
    pub(super) fn restate(&mut self, server: &ServerName) {
        let (tools, withheld) = self.desk.snapshot.counts(server);
        let differences = self.desk.registry.differences(server);
        let (listed, trusted) = (self.desk.snapshot.lines(server), self.desk.registry.trusts(server));
        let instructions = self.desk.registry.instructions(server);
        let Some(status) = self.desk.statuses.get_mut(server) else { return };
        if (status.tools, status.withheld, status.life.trusted) != (tools, withheld, trusted)
            || *status.differences != *differences
            || *status.listed != *listed
            || status.life.instructions != instructions
        {
            status.life.instructions = instructions;
            (status.tools, status.withheld, status.life.trusted) = (tools, withheld, trusted);
            status.listed = listed.into();
            status.differences = differences.into();
            let status = status.clone();
            self.emit(TurnEvent::Server(status));
        }
    }

    /// A server that was waited for is ready with its tools, or will not be.
    fn arrived(&mut self, server: &ServerName) {
        if self.desk.starting.remove(server) && !self.must_wait() {
            for opening in std::mem::take(&mut self.held) {
                self.begin(opening);
            }
        }
    }

    fn settle_later(&mut self, server: &ServerName) {
        let generation = self.desk.generations.entry(server.clone()).or_default();
        *generation += 1;
        let (generation, server, inbound) = (*generation, server.clone(), self.inbound.clone());
        tokio::spawn(async move {
            tokio::time::sleep(SETTLE).await;
            let _ = inbound.send(Inbound::Settled { server, generation }).await;
        });
    }

    pub(super) fn settled(&mut self, server: &ServerName, generation: u64) {
        if self.desk.generations.get(server) == Some(&generation) {
            let changes = self.desk.registry.settled(server);
            self.registry_changed(changes);
            self.restate(server);
        }
    }

    /// Writes down pins, tells what was set aside, and shows the new tools to the turns under way.
    pub(super) fn registry_changed(&mut self, changes: Vec<RegistryChange>) {
        let mut pins = Vec::new();
        for change in changes {
            let (kind, message) = match change {
                RegistryChange::Pinned(pin) => {
                    pins.push(Change::Pin(pin));
                    continue;
                }
                // Counted in the server's state.
                RegistryChange::Added(_) | RegistryChange::Removed(_) => continue,
                RegistryChange::Quarantined { tool, reason } => {
                    (NoticeKind::Quarantine, format!("{} is set aside: {reason}", tool.path()))
                }
                RegistryChange::Withheld { tool, before: Some(_), .. } => (
                    NoticeKind::Changed,
                    format!("The definition of {} changed; it is withheld until you have seen how.", tool.path()),
                ),
                RegistryChange::Withheld { tool, before: None, .. } => {
                    (NoticeKind::Changed, format!("{} is new; it is withheld until you have seen it.", tool.path()))
                }
                RegistryChange::Introduced { server, .. } => {
                    let message = format!(
                        "{} says how it is to be used; the model is told so, as its claim. Its words: ^O, w.",
                        server.as_str()
                    );
                    (NoticeKind::Info, message)
                }
                RegistryChange::InstructionsChanged { server, .. } => {
                    let message = format!(
                        "What {} says of its use has changed; the model is not told until you have seen how: ^O.",
                        server.as_str()
                    );
                    (NoticeKind::Changed, message)
                }
                RegistryChange::Noted { tool, note } => (NoticeKind::Info, format!("{}: {note}", tool.path())),
            };
            self.emit(TurnEvent::Notice { turn: None, kind, message });
        }
        self.write(pins, Durability::Synced);
        self.tools_changed();
    }

    /// A person has read the differences, and takes what was shown.
    pub(super) fn accept(&mut self, server: &ServerName, shown: &[Difference]) {
        let changes = self.desk.registry.accept_shown(server, shown);
        self.registry_changed(changes);
        self.restate(server);
    }

    pub(super) fn tools_changed(&mut self) {
        self.desk.snapshot = self.desk.registry.snapshot();
        let rows = self.desk.registry.rows();
        if *rows != *self.desk.rows {
            self.desk.rows = Arc::clone(&rows);
            self.emit(TurnEvent::Tools(rows));
        }
        let turns: Vec<TurnId> = self.turns.keys().copied().collect();
        for turn in turns {
            self.drive(turn, Event::Tools(Arc::clone(&self.desk.snapshot)));
        }
    }

    pub(super) fn grant(&mut self, grant: Grant) {
        self.desk.registry.add_grant(grant.clone());
        if grant.scope == GrantScope::Always {
            self.write(vec![Change::Grant(grant)], Durability::Synced);
        }
        self.tools_changed();
    }
}
