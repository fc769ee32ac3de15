//! The tools of all servers: what they listed, what of it is pinned, what of that is offered.
//!
//! # Invariants
//! - One entry's first listing, with its changes until it has settled, pins what it holds; after that nothing new or
//!   changed is offered before it was accepted.
//! - A listing from the cache pins nothing and offers only what is pinned.
//! - A definition is compiled once, however often it is listed.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::chat::{
    Difference, Grant, Instructions, InstructionsStanding, Limits, NoticeKind, Pin, Policy, ServerName, ToolRef,
    ToolRow, ToolStanding,
};

use super::briefing::{self, Told};
use super::definition::{self, Definitions, Listing};
use super::listed::{Content, Item, Server};
use super::offered::tokens;
use super::pins::Pins;
use super::rules::{FindRules, RegistryRules, ServerRules};
use super::snapshot::{Absence, Absent, Snapshot, Tool};

/// Characters of a description in a row of a list.
const SHOWN: usize = 400;

/// What a listing, or a person's word, changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryChange {
    /// To be stored; replaces the entry's pin of that tool.
    Pinned(Pin),
    /// Offered from now on.
    Added(ToolRef),
    /// Offered no more.
    Removed(ToolRef),
    /// Set aside: its definition cannot be used; the reason, as the end of a sentence. Raw.
    Quarantined { tool: ToolRef, reason: String },
    /// New (`before` is None) or changed since it was pinned: neither offered nor called until it was accepted. The
    /// canonical definitions, raw.
    Withheld { tool: ToolRef, before: Option<Arc<str>>, after: Arc<str> },
    /// What a server says of its own use was heard for the first time, and the model is told it. Raw.
    Introduced { server: ServerName, text: String },
    /// The server's instructions are not the pinned ones and are not passed on until they were accepted. Raw.
    InstructionsChanged { server: ServerName, before: Option<String>, after: Option<String> },
    /// The tool works, with something about it mended or ignored; a sentence. Raw.
    Noted { tool: ToolRef, note: String },
}

impl RegistryChange {
    /// What a person should hear of it; None where it is in the ordinary course of things. Raw: sanitise to draw.
    #[must_use]
    pub fn notice(&self) -> Option<(NoticeKind, String)> {
        Some(match self {
            Self::Pinned(_) | Self::Added(_) | Self::Removed(_) => return None,
            Self::Quarantined { tool, reason } => {
                (NoticeKind::Quarantine, format!("{} is set aside: {reason}.", tool.path()))
            }
            Self::Withheld { tool, before: None, .. } => (
                NoticeKind::Changed,
                format!("{} is new and withheld until you have seen and accepted it.", tool.path()),
            ),
            Self::Withheld { tool, before: Some(_), .. } => {
                let path = tool.path();
                (
                    NoticeKind::Changed,
                    format!("{path} has changed and is withheld until you have seen and accepted it."),
                )
            }
            Self::Introduced { server, .. } => {
                let message = format!(
                    "{} says how it is to be used, and the model is told so as its claim (ctrl+o, w shows it).",
                    server.as_str()
                );
                (NoticeKind::Info, message)
            }
            Self::InstructionsChanged { server, .. } => {
                let server = server.as_str();
                let message =
                    format!("The instructions of {server} have changed and are not passed on until you accept them.");
                (NoticeKind::Changed, message)
            }
            Self::Noted { tool, note } => (NoticeKind::Info, format!("{}: {note}", tool.path())),
        })
    }
}

/// The tools of all servers.
#[derive(Debug)]
pub struct Registry {
    rules: RegistryRules,
    limits: Arc<Limits>,
    servers: BTreeMap<ServerName, Server>,
    pins: Pins,
    grants: Arc<Vec<Grant>>,
    definitions: Definitions,
    snapshot: Arc<Snapshot>,
}

impl Registry {
    #[must_use]
    pub fn new(rules: RegistryRules, limits: Arc<Limits>) -> Self {
        let profile = rules.profile.clone();
        let snapshot = Snapshot { after_untrusted: rules.after_untrusted, profile, ..Snapshot::default() };
        Self {
            rules,
            limits,
            servers: BTreeMap::new(),
            pins: Pins::default(),
            grants: Arc::default(),
            definitions: Definitions::default(),
            snapshot: Arc::new(snapshot),
        }
    }

    /// Takes what the store knows. To be called before the first listing.
    pub fn load_pins(&mut self, pins: Vec<Pin>) {
        for pin in pins {
            self.pins.insert(pin);
        }
    }

    /// Takes what the store knows.
    pub fn load_grants(&mut self, grants: Vec<Grant>) {
        for grant in grants {
            self.add_grant(grant);
        }
    }

    /// From now on a call of this tool, as it was pinned, asks no more within the grant's scope.
    pub fn add_grant(&mut self, grant: Grant) {
        if !self.grants.contains(&grant) {
            Arc::make_mut(&mut self.grants).push(grant);
            self.share_grants();
        }
    }

    /// Takes back every grant for a tool of an entry.
    pub fn revoke(&mut self, entry: &str, tool: &ToolRef) {
        Arc::make_mut(&mut self.grants).retain(|grant| &*grant.entry != entry || grant.tool != *tool);
        self.share_grants();
    }

    /// Replaces what a server offers by a complete new listing. The order of the changes is that of the listing.
    pub fn apply(&mut self, listing: Listing) -> Vec<RegistryChange> {
        let mut changes = Vec::new();
        let name = listing.server.clone();
        let server = Server::read(listing, &self.pins, &mut self.definitions, &self.limits, &mut changes);
        let old = self.servers.insert(name.clone(), server);
        if let Some(server) = self.servers.get(&name).filter(|server| server.is_judged()) {
            self.announce_withheld(&name, server, old.as_ref(), &mut changes);
        }
        drop(old);
        // What no listing holds any more need not stay compiled.
        self.definitions.prune();
        self.rebuild(changes)
    }

    /// To be called 1 s after the last live listing of a server (and where a run ends before that): the first listing
    /// of an unknown entry is over, and all that it holds is pinned. Nothing happens for an entry known before.
    pub fn settled(&mut self, server: &ServerName) -> Vec<RegistryChange> {
        match self.servers.get_mut(server) {
            Some(state) if !state.settled && !state.from_cache => state.settled = true,
            Some(_) | None => return Vec::new(),
        }
        self.pin_where(server, |_, _| true)
    }

    /// A person saw the differences and accepts them: what is withheld is pinned and offered.
    pub fn accept(&mut self, server: &ServerName) -> Vec<RegistryChange> {
        let shown = self.differences(server);
        self.accept_shown(server, &shown)
    }

    /// As [`Registry::accept`], of what is withheld now only that which was shown: a server may have changed its mind
    /// since.
    pub fn accept_shown(&mut self, server: &ServerName, shown: &[Difference]) -> Vec<RegistryChange> {
        if !self.servers.get(server).is_some_and(Server::is_judged) {
            return Vec::new();
        }
        let changes = self.pin_where(server, |tool, definition| {
            shown.iter().any(|difference| &*difference.tool.tool == tool && &*difference.after == definition)
        });
        self.rebuild(changes)
    }

    /// The server is off: its tools are offered no more. Pins and grants stay.
    pub fn remove(&mut self, server: &ServerName) -> Vec<RegistryChange> {
        if self.servers.remove(server).is_none() {
            return Vec::new();
        }
        self.rebuild(Vec::new())
    }

    /// What holds for a server from now on.
    pub fn set_rules(&mut self, server: &ServerName, rules: ServerRules) {
        self.rules.servers.insert(server.clone(), rules);
        self.rebuild(Vec::new());
    }

    /// Whether a server's claims are believed from now on.
    /// Whether a server's hints are believed.
    #[must_use]
    pub fn trusts(&self, server: &ServerName) -> bool {
        self.rules.servers.get(server).is_some_and(|rules| rules.trust)
    }

    pub fn set_trust(&mut self, server: &ServerName, trust: bool) {
        self.rules.servers.entry(server.clone()).or_default().trust = trust;
        self.rebuild(Vec::new());
    }

    /// What waits for a person, in listing order, the instructions last.
    #[must_use]
    pub fn differences(&self, server: &ServerName) -> Vec<Difference> {
        let Some(state) = self.servers.get(server).filter(|state| state.is_judged()) else {
            return Vec::new();
        };
        let mut found: Vec<Difference> = state
            .items
            .iter()
            .filter_map(|item| {
                let definition = item.withheld()?;
                Some(Difference {
                    tool: item.reference.clone(),
                    before: self.pins.get(&state.entry, &item.reference.tool).map(|pin| Arc::clone(&pin.definition)),
                    after: Arc::clone(&definition.canonical),
                })
            })
            .collect();
        if !state.instructions_pinned {
            found.push(Difference {
                tool: ToolRef { server: server.clone(), tool: Arc::from("") },
                before: self.pins.get(&state.entry, "").map(|pin| Arc::clone(&pin.definition)),
                after: Arc::from(state.pinnable_instructions()),
            });
        }
        found
    }

    /// How every listed tool stands, by server, in listing order.
    #[must_use]
    pub fn rows(&self) -> Arc<[ToolRow]> {
        let servers = self.servers.iter();
        servers.flat_map(|(name, server)| server.items.iter().map(move |item| self.row(name, item))).collect()
    }

    fn row(&self, server: &ServerName, item: &Item) -> ToolRow {
        let reference = &item.reference;
        let (policy, _) = self.rules.policy(reference);
        let trusted = self.rules.server(server).is_some_and(|rules| rules.trust);
        let aside = |reason: &str| ToolStanding::Aside(Arc::from(reason));
        let standing = match (&item.content, self.snapshot.absent_ref(reference).map(|absent| &absent.why)) {
            (Content::Unusable(reason), _) => aside(reason),
            (_, Some(Absence::Quarantined(reason))) => aside(reason),
            (Content::Usable { pinned: false, .. }, _) => {
                let known = self.servers.get(server).and_then(|state| self.pins.get(&state.entry, &reference.tool));
                ToolStanding::Withheld { new: known.is_none() }
            }
            (_, Some(Absence::Denied(_))) => ToolStanding::Denied,
            (_, Some(Absence::NotOffered)) => ToolStanding::LeftOut { by_profile: false },
            (_, Some(Absence::Withheld | Absence::Off) | None) => match &self.rules.profile {
                Some(globs) if !globs.iter().any(|glob| glob.matches(reference)) => {
                    ToolStanding::LeftOut { by_profile: true }
                }
                Some(_) | None => ToolStanding::Usable,
            },
        };
        let (definition, function) = match &item.content {
            Content::Usable { definition, function, .. } => (Some(definition), Some(function)),
            Content::Unusable(_) => (None, None),
        };
        ToolRow {
            tool: reference.clone(),
            title: definition.and_then(|definition| definition.title.clone()),
            description: definition.map(|definition| beginning(&definition.description)).unwrap_or_default(),
            claims: definition.map(|definition| definition.claims).unwrap_or_default(),
            trusted,
            policy,
            tokens: function.map(|function| tokens(function)).unwrap_or_default(),
            standing,
        }
    }

    /// Whether the user's rules forbid a tool, whoever has it.
    #[must_use]
    pub fn denies(&self, tool: &ToolRef) -> bool {
        self.rules.policy(tool).0 == Policy::Deny
    }

    /// When the model is given `find_tools`.
    #[must_use]
    pub fn find_rules(&self) -> FindRules {
        self.rules.find
    }

    /// The tools as they stand now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot)
    }

    /// Tells of what is withheld now and was not in the listing before.
    fn announce_withheld(
        &self,
        name: &ServerName,
        server: &Server,
        old: Option<&Server>,
        changes: &mut Vec<RegistryChange>,
    ) {
        let old = old.filter(|old| old.is_judged() && old.entry == server.entry);
        let told: HashSet<&str> = old
            .iter()
            .flat_map(|old| &old.items)
            .filter_map(Item::withheld)
            .map(|definition| &*definition.sha256)
            .collect();
        for item in &server.items {
            let Some(definition) = item.withheld() else { continue };
            if told.contains(&*definition.sha256) {
                continue;
            }
            changes.push(RegistryChange::Withheld {
                tool: item.reference.clone(),
                before: self.pins.get(&server.entry, &item.reference.tool).map(|pin| Arc::clone(&pin.definition)),
                after: Arc::clone(&definition.canonical),
            });
        }
        let told = old.is_some_and(|old| !old.instructions_pinned && old.instructions == server.instructions);
        if !server.instructions_pinned && !told {
            let before = self.pins.get(&server.entry, "");
            changes.push(RegistryChange::InstructionsChanged {
                server: name.clone(),
                before: before.and_then(|pin| serde_json::from_str::<Option<String>>(&pin.definition).ok().flatten()),
                after: server.instructions.clone(),
            });
        }
    }

    /// Pins of a server's listing what is not pinned as it is and is wanted, by tool and definition.
    fn pin_where(&mut self, server: &ServerName, wanted: impl Fn(&str, &str) -> bool) -> Vec<RegistryChange> {
        let Some(state) = self.servers.get_mut(server) else { return Vec::new() };
        let entry = Arc::clone(&state.entry);
        let mut pins = Vec::new();
        for item in &mut state.items {
            let Content::Usable { definition, pinned, .. } = &mut item.content else { continue };
            if wanted(&item.reference.tool, &definition.canonical) {
                *pinned = true;
                pins.push(Pin {
                    entry: Arc::clone(&entry),
                    tool: item.reference.clone(),
                    sha256: Arc::clone(&definition.sha256),
                    definition: Arc::clone(&definition.canonical),
                });
            }
        }
        let told = state.pinnable_instructions();
        if wanted("", &told) {
            state.instructions_pinned = true;
            pins.push(Pin {
                entry: Arc::clone(&entry),
                tool: ToolRef { server: server.clone(), tool: Arc::from("") },
                sha256: Arc::from(definition::sha256(&told)),
                definition: Arc::from(told),
            });
        }
        pins.retain(|pin| self.pins.get(&entry, &pin.tool.tool).is_none_or(|old| old.sha256 != pin.sha256));
        let first = self.pins.get(&entry, "").is_none() && pins.iter().any(|pin| pin.tool.tool.is_empty());
        let said = state.instructions.clone().filter(|_| first);
        for pin in &pins {
            self.pins.insert(pin.clone());
        }
        let silent = self.is_silent(server);
        let introduced =
            said.filter(|_| !silent).map(|text| RegistryChange::Introduced { server: server.clone(), text });
        pins.into_iter().map(RegistryChange::Pinned).chain(introduced).collect()
    }

    fn share_grants(&mut self) {
        let mut next = (*self.snapshot).clone();
        next.grants = Arc::clone(&self.grants);
        self.snapshot = Arc::new(next);
    }

    /// Makes the next snapshot and adds to `changes` what it offers and sets aside otherwise than the last.
    fn rebuild(&mut self, mut changes: Vec<RegistryChange>) -> Vec<RegistryChange> {
        let next = self.build();
        let last = std::mem::replace(&mut self.snapshot, Arc::new(next));
        let next = &self.snapshot;
        for tool in next.tools() {
            if !last.by_ref.contains_key(&tool.reference) {
                changes.push(RegistryChange::Added(tool.reference.clone()));
            }
        }
        for tool in last.tools() {
            if !next.by_ref.contains_key(&tool.reference) {
                changes.push(RegistryChange::Removed(tool.reference.clone()));
            }
        }
        let mut aside: Vec<&Absent> =
            next.absent.values().filter(|absent| last.absent.get(&absent.reference) != Some(*absent)).collect();
        aside.sort_by(|a, b| a.reference.cmp(&b.reference));
        for absent in aside {
            if let Absence::Quarantined(reason) = &absent.why {
                let change = RegistryChange::Quarantined { tool: absent.reference.clone(), reason: reason.clone() };
                changes.push(change);
            }
        }
        changes
    }

    fn build(&self) -> Snapshot {
        let mut next = Snapshot {
            grants: Arc::clone(&self.grants),
            after_untrusted: self.rules.after_untrusted,
            profile: self.rules.profile.clone(),
            ..Snapshot::default()
        };
        // Origins of every wire name: with two of them nobody could tell which one the model means.
        let mut origins: BTreeMap<&Arc<str>, Vec<&ToolRef>> = BTreeMap::new();
        for server in self.servers.values() {
            for item in &server.items {
                let (definition, function) = match &item.content {
                    Content::Usable { definition, function, pinned: true } => (definition, function),
                    Content::Usable { pinned: false, .. } => {
                        next.set_aside(&item.wire_name, &item.reference, Absence::Withheld);
                        continue;
                    }
                    Content::Unusable(reason) => {
                        next.set_aside(&item.wire_name, &item.reference, Absence::Quarantined(reason.clone()));
                        continue;
                    }
                };
                let (policy, policy_source) = self.rules.policy(&item.reference);
                if policy == Policy::Deny {
                    next.set_aside(&item.wire_name, &item.reference, Absence::Denied(policy_source));
                    continue;
                }
                if !self.rules.offers(&item.reference) {
                    next.set_aside(&item.wire_name, &item.reference, Absence::NotOffered);
                    continue;
                }
                let rules = self.rules.server(&item.reference.server);
                let tool = Arc::new(Tool {
                    wire_name: Arc::clone(&item.wire_name),
                    reference: item.reference.clone(),
                    entry: Arc::clone(&server.entry),
                    sha256: Arc::clone(&definition.sha256),
                    title: definition.title.clone(),
                    description: definition.description.clone(),
                    claims: definition.claims,
                    trusted: rules.is_some_and(|rules| rules.trust),
                    policy,
                    policy_source,
                    flag_allows: self.rules.allowed_by_flag(&item.reference),
                    dispatch: self.rules.dispatch(&item.reference),
                    has_parameters: definition.has_parameters,
                    tokens: tokens(function),
                    builtin: false,
                    input: Arc::clone(&definition.input),
                    output: definition.output.clone(),
                });
                origins.entry(&item.wire_name).or_default().push(&item.reference);
                next.functions.insert(Arc::clone(&item.wire_name), Arc::clone(function));
                next.by_ref.insert(item.reference.clone(), Arc::clone(&tool));
                next.tools.insert(Arc::clone(&item.wire_name), tool);
            }
        }
        for (wire_name, several) in origins.into_iter().filter(|(_, several)| several.len() > 1) {
            next.tools.remove(wire_name);
            next.functions.remove(wire_name);
            for reference in several {
                next.by_ref.remove(reference);
                let reason = format!("another tool has the same name for the model, {wire_name}");
                next.set_aside(wire_name, reference, Absence::Quarantined(reason));
            }
        }
        next.list = next.listed(next.tools.keys());
        next.instructions = self.passed_on();
        next
    }

    fn passed_on(&self) -> Vec<Told> {
        let usable = self.servers.iter().filter(|(name, server)| server.instructions_pinned && !self.is_silent(name));
        briefing::bounded(
            usable.filter_map(|(name, server)| Some((name, server.instructions.as_deref()?))),
            &self.limits,
        )
    }

    fn is_silent(&self, server: &ServerName) -> bool {
        self.rules.servers.get(server).is_some_and(|rules| rules.silent)
    }

    /// What a server says of its own use, and whether the model is told.
    #[must_use]
    pub fn instructions(&self, server: &ServerName) -> Option<Instructions> {
        let state = self.servers.get(server)?;
        let text = state.instructions.as_deref()?;
        let told = self.snapshot.instructions.iter().find(|told| told.server == *server);
        let standing = match told {
            None if self.is_silent(server) => InstructionsStanding::Off,
            None => InstructionsStanding::Withheld,
            Some(Told { cut: true, .. }) => InstructionsStanding::Cut,
            Some(_) => InstructionsStanding::Told,
        };
        Some(Instructions { text: Arc::from(text), standing })
    }
}

/// As much of a description as a row of a list may show.
fn beginning(description: &str) -> String {
    match description.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &description[..at]),
        None => description.to_owned(),
    }
}
