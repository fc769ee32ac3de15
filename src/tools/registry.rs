//! The tools of all servers: what they listed, what of it is pinned, what of that is offered.
//!
//! # Invariants
//! - One entry's first listing, with its changes until it has settled, pins what it holds; after that nothing new or
//!   changed is offered before it was accepted.
//! - A listing from the cache pins nothing and offers only what is pinned.
//! - A definition is compiled once, however often it is listed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use crate::chat::{Grant, Limits, Pin, Policy, ServerName, ToolList, ToolRef};

use super::definition::{self, Definition, Listing};
use super::names::wire_name;
use super::offer;
use super::rules::RegistryRules;
use super::snapshot::{Absence, Absent, Snapshot, Tool};

/// Longest instructions of a server that are passed on, characters.
const LONGEST_INSTRUCTIONS: usize = 8 * 1024;

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
    /// The server's instructions are not the pinned ones and are not passed on until they were accepted. Raw.
    InstructionsChanged { server: ServerName, before: Option<String>, after: Option<String> },
    /// The tool works, with something about it mended or ignored; a sentence. Raw.
    Noted { tool: ToolRef, note: String },
}

/// A definition that waits for a person: canonical JSON, raw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The tool name `""` stands for the server's instructions: a JSON text, or null.
    pub tool: ToolRef,
    /// None where it is new.
    pub before: Option<Arc<str>>,
    pub after: Arc<str>,
}

/// The tools of all servers.
#[derive(Debug)]
pub struct Registry {
    rules: RegistryRules,
    limits: Arc<Limits>,
    servers: BTreeMap<ServerName, Server>,
    /// By entry, then by tool; the tool `""` is the server's instructions and marks an entry as known.
    pins: HashMap<Arc<str>, BTreeMap<Arc<str>, Pin>>,
    grants: Arc<Vec<Grant>>,
    /// By the SHA-256 of the definition.
    definitions: HashMap<Arc<str>, Arc<Definition>>,
    snapshot: Arc<Snapshot>,
}

/// What a server listed last.
#[derive(Debug)]
struct Server {
    entry: Arc<str>,
    from_cache: bool,
    /// The entry was known, or its first listing is over.
    settled: bool,
    /// In listing order.
    items: Vec<Item>,
    instructions: Option<String>,
    instructions_pinned: bool,
}

#[derive(Debug)]
struct Item {
    reference: ToolRef,
    wire_name: Arc<str>,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Usable {
        definition: Arc<Definition>,
        /// Its element of the tool list.
        function: Arc<str>,
        pinned: bool,
    },
    Unusable(String),
}

impl Item {
    fn unusable(server: &ServerName, tool: &str, reason: String) -> Self {
        let reference = ToolRef::new(server.as_str(), tool);
        Self { wire_name: Arc::from(wire_name(&reference)), reference, content: Content::Unusable(reason) }
    }

    fn withheld(&self) -> Option<&Arc<Definition>> {
        match &self.content {
            Content::Usable { definition, pinned: false, .. } => Some(definition),
            Content::Usable { .. } | Content::Unusable(_) => None,
        }
    }
}

impl Registry {
    #[must_use]
    pub fn new(rules: RegistryRules, limits: Arc<Limits>) -> Self {
        let snapshot = Snapshot { after_untrusted: rules.after_untrusted, ..Snapshot::default() };
        Self {
            rules,
            limits,
            servers: BTreeMap::new(),
            pins: HashMap::new(),
            grants: Arc::default(),
            definitions: HashMap::new(),
            snapshot: Arc::new(snapshot),
        }
    }

    /// Takes what the store knows. To be called before the first listing.
    pub fn load_pins(&mut self, pins: Vec<Pin>) {
        for pin in pins {
            self.pin(pin);
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
        let known = self.pins.contains_key(&listing.entry);
        let items = self.read(&listing, known, &mut changes);
        let told = listing.instructions.filter(|text| !text.trim().is_empty());
        let instructions_pinned = if known || listing.from_cache {
            self.pinned(&listing.entry, "").is_some_and(|pin| *pin.sha256 == definition::sha256(&instructions(&told)))
        } else {
            true
        };
        let server = Server {
            entry: listing.entry,
            from_cache: listing.from_cache,
            settled: known,
            items,
            instructions: told,
            instructions_pinned,
        };
        let old = self.servers.insert(listing.server.clone(), server);
        if let Some(server) = self.servers.get(&listing.server)
            && known
            && !server.from_cache
        {
            self.announce_withheld(&listing.server, server, old.as_ref(), &mut changes);
        }
        drop(old);
        // What no listing holds any more need not stay compiled.
        self.definitions.retain(|_, definition| Arc::strong_count(definition) > 1);
        self.rebuild(changes)
    }

    /// To be called 1 s after the last live listing of a server (and where a run ends before that): the first listing
    /// of an unknown entry is over, and all that it holds is pinned. Nothing happens for an entry known before.
    pub fn settled(&mut self, server: &ServerName) -> Vec<RegistryChange> {
        match self.servers.get_mut(server) {
            Some(state) if !state.settled && !state.from_cache => state.settled = true,
            Some(_) | None => return Vec::new(),
        }
        self.pin_all(server)
    }

    /// A person saw the differences and accepts them: what is withheld is pinned and offered.
    pub fn accept(&mut self, server: &ServerName) -> Vec<RegistryChange> {
        match self.servers.get(server) {
            Some(state) if state.settled && !state.from_cache => {}
            Some(_) | None => return Vec::new(),
        }
        let changes = self.pin_all(server);
        self.rebuild(changes)
    }

    /// The server is off: its tools are offered no more. Pins and grants stay.
    pub fn remove(&mut self, server: &ServerName) -> Vec<RegistryChange> {
        if self.servers.remove(server).is_none() {
            return Vec::new();
        }
        self.rebuild(Vec::new())
    }

    /// Whether a server's claims are believed from now on.
    pub fn set_trust(&mut self, server: &ServerName, trust: bool) {
        self.rules.servers.entry(server.clone()).or_default().trust = trust;
        self.rebuild(Vec::new());
    }

    /// What waits for a person, in listing order, the instructions last.
    #[must_use]
    pub fn differences(&self, server: &ServerName) -> Vec<Difference> {
        let Some(state) = self.servers.get(server).filter(|state| state.settled && !state.from_cache) else {
            return Vec::new();
        };
        let mut found: Vec<Difference> = state
            .items
            .iter()
            .filter_map(|item| {
                let definition = item.withheld()?;
                Some(Difference {
                    tool: item.reference.clone(),
                    before: self.pinned(&state.entry, &item.reference.tool).map(|pin| Arc::clone(&pin.definition)),
                    after: Arc::clone(&definition.canonical),
                })
            })
            .collect();
        if !state.instructions_pinned {
            found.push(Difference {
                tool: ToolRef { server: server.clone(), tool: Arc::from("") },
                before: self.pinned(&state.entry, "").map(|pin| Arc::clone(&pin.definition)),
                after: Arc::from(instructions(&state.instructions)),
            });
        }
        found
    }

    /// The tools as they stand now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot)
    }

    fn pin(&mut self, pin: Pin) {
        self.pins.entry(Arc::clone(&pin.entry)).or_default().insert(Arc::clone(&pin.tool.tool), pin);
    }

    fn pinned(&self, entry: &str, tool: &str) -> Option<&Pin> {
        self.pins.get(entry)?.get(tool)
    }

    fn read(&mut self, listing: &Listing, known: bool, changes: &mut Vec<RegistryChange>) -> Vec<Item> {
        let most = usize::try_from(self.limits.tools).unwrap_or(usize::MAX);
        let server = &listing.server;
        let mut items: Vec<Item> = Vec::new();
        let mut places: HashMap<Arc<str>, usize> = HashMap::new();
        for (at, tool) in listing.tools.iter().take(most).enumerate() {
            let raw = match definition::read(tool, &self.limits) {
                Ok(raw) => raw,
                Err((name, reason)) => {
                    // A name of any length may come; a shown row needs only its beginning.
                    let name = name.map_or_else(
                        || format!("(unnamed tool {})", at + 1),
                        |name| name.chars().take(128).collect::<String>(),
                    );
                    items.push(Item::unusable(server, &name, reason));
                    continue;
                }
            };
            if let Some(place) = places.get(raw.name) {
                if let Some(first) = items.get_mut(*place)
                    && !matches!(&first.content, Content::Usable { definition, .. } if definition.sha256 == raw.sha256)
                {
                    first.content = Content::Unusable("its server lists it more than once, differently".to_owned());
                }
                continue;
            }
            let item = match self.define(&raw, server, changes) {
                Ok(definition) => {
                    let reference = ToolRef::new(server.as_str(), raw.name);
                    let wire = wire_name(&reference);
                    let title = definition.title.as_deref();
                    let function = offer::function(&wire, title, &definition.description, &definition.parameters);
                    let pinned = if known || listing.from_cache {
                        self.pinned(&listing.entry, raw.name).is_some_and(|pin| pin.sha256 == definition.sha256)
                    } else {
                        true
                    };
                    let content = Content::Usable { definition, function: Arc::from(function), pinned };
                    Item { wire_name: Arc::from(wire), reference, content }
                }
                Err(reason) => Item::unusable(server, raw.name, reason),
            };
            places.insert(Arc::clone(&item.reference.tool), items.len());
            items.push(item);
        }
        if listing.tools.len() > most {
            let reason = format!("the server lists {} tools, and the limit is {most}", listing.tools.len());
            items.push(Item::unusable(server, "(the rest of its tools)", reason));
        }
        items
    }

    fn define(
        &mut self,
        raw: &definition::RawTool<'_>,
        server: &ServerName,
        changes: &mut Vec<RegistryChange>,
    ) -> Result<Arc<Definition>, String> {
        if let Some(known) = self.definitions.get(&raw.sha256) {
            return Ok(Arc::clone(known));
        }
        let definition = Arc::new(raw.define(&self.limits)?);
        for note in &definition.notes {
            changes.push(RegistryChange::Noted { tool: ToolRef::new(server.as_str(), raw.name), note: note.clone() });
        }
        self.definitions.insert(Arc::clone(&raw.sha256), Arc::clone(&definition));
        Ok(definition)
    }

    /// Tells of what is withheld now and was not in the listing before.
    fn announce_withheld(
        &self,
        name: &ServerName,
        server: &Server,
        old: Option<&Server>,
        changes: &mut Vec<RegistryChange>,
    ) {
        let old = old.filter(|old| old.settled && !old.from_cache && old.entry == server.entry);
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
                before: self.pinned(&server.entry, &item.reference.tool).map(|pin| Arc::clone(&pin.definition)),
                after: Arc::clone(&definition.canonical),
            });
        }
        let told = old.is_some_and(|old| !old.instructions_pinned && old.instructions == server.instructions);
        if !server.instructions_pinned && !told {
            let before = self.pinned(&server.entry, "");
            changes.push(RegistryChange::InstructionsChanged {
                server: name.clone(),
                before: before.and_then(|pin| serde_json::from_str::<Option<String>>(&pin.definition).ok().flatten()),
                after: server.instructions.clone(),
            });
        }
    }

    /// Pins all that a server's listing holds and that is not pinned as it is.
    fn pin_all(&mut self, server: &ServerName) -> Vec<RegistryChange> {
        let Some(state) = self.servers.get_mut(server) else { return Vec::new() };
        let entry = Arc::clone(&state.entry);
        let mut pins = Vec::new();
        for item in &mut state.items {
            let Content::Usable { definition, pinned, .. } = &mut item.content else { continue };
            *pinned = true;
            pins.push(Pin {
                entry: Arc::clone(&entry),
                tool: item.reference.clone(),
                sha256: Arc::clone(&definition.sha256),
                definition: Arc::clone(&definition.canonical),
            });
        }
        state.instructions_pinned = true;
        let told = instructions(&state.instructions);
        pins.push(Pin {
            entry: Arc::clone(&entry),
            tool: ToolRef { server: server.clone(), tool: Arc::from("") },
            sha256: Arc::from(definition::sha256(&told)),
            definition: Arc::from(told),
        });
        pins.retain(|pin| self.pinned(&entry, &pin.tool.tool).is_none_or(|old| old.sha256 != pin.sha256));
        for pin in &pins {
            self.pin(pin.clone());
        }
        pins.into_iter().map(RegistryChange::Pinned).collect()
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
            ..Snapshot::default()
        };
        // Origins of every wire name: with two of them nobody could tell which one the model means.
        let mut origins: BTreeMap<&Arc<str>, Vec<&ToolRef>> = BTreeMap::new();
        let mut functions: HashMap<&Arc<str>, &Arc<str>> = HashMap::new();
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
                    input: Arc::clone(&definition.input),
                    output: definition.output.clone(),
                });
                origins.entry(&item.wire_name).or_default().push(&item.reference);
                functions.insert(&item.wire_name, function);
                next.by_ref.insert(item.reference.clone(), Arc::clone(&tool));
                next.tools.insert(Arc::clone(&item.wire_name), tool);
            }
        }
        for (wire_name, several) in origins.into_iter().filter(|(_, several)| several.len() > 1) {
            next.tools.remove(wire_name);
            for reference in several {
                next.by_ref.remove(reference);
                let reason = format!("another tool has the same name for the model, {wire_name}");
                next.set_aside(wire_name, reference, Absence::Quarantined(reason));
            }
        }
        next.list = tool_list(next.tools.keys().filter_map(|name| functions.get(name).map(|text| &***text)));
        next.instructions = self.passed_on();
        next
    }

    fn passed_on(&self) -> Vec<(ServerName, Arc<str>)> {
        let usable = self.servers.iter().filter(|(_, server)| server.instructions_pinned);
        usable
            .filter_map(|(name, server)| {
                let (text, _) = crate::text::strip_hidden(server.instructions.as_deref()?);
                let text = match text.char_indices().nth(LONGEST_INSTRUCTIONS) {
                    Some((at, _)) => format!("{}…", &text[..at]),
                    None => text,
                };
                Some((name.clone(), Arc::from(text)))
            })
            .collect()
    }
}

fn tool_list<'a>(functions: impl Iterator<Item = &'a str>) -> Option<Arc<ToolList>> {
    let mut json = String::from("[");
    let mut count = 0;
    for function in functions {
        if count > 0 {
            json.push(',');
        }
        json.push_str(function);
        count += 1;
    }
    json.push(']');
    let hash = definition::sha256(&json);
    (count > 0).then(|| Arc::new(ToolList { json, hash, count }))
}

/// A server's instructions as their pin holds them: a JSON text, or null.
fn instructions(told: &Option<String>) -> String {
    told.as_deref().map_or(Value::Null, Value::from).to_string()
}
