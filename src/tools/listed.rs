//! What one server listed last, each tool judged by the pins.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::chat::{Limits, ServerName, ToolRef};

use super::definition::{self, Definition, Definitions, Listing};
use super::names::wire_name;
use super::offer;
use super::pins::Pins;
use super::registry::RegistryChange;

/// How much a listing's definitions may cost to compile, all told: a hostile server could else hold up everything by
/// listing a thousand tools, each just within its limits.
const MOST_COST: usize = 4 << 20;

/// What a server listed last.
#[derive(Debug)]
pub(super) struct Server {
    pub entry: Arc<str>,
    pub from_cache: bool,
    /// The entry was known, or its first listing is over.
    pub settled: bool,
    /// In listing order.
    pub items: Vec<Item>,
    pub instructions: Option<String>,
    pub instructions_pinned: bool,
}

#[derive(Debug)]
pub(super) struct Item {
    pub reference: ToolRef,
    pub wire_name: Arc<str>,
    pub content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
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

    pub(super) fn withheld(&self) -> Option<&Arc<Definition>> {
        match &self.content {
            Content::Usable { definition, pinned: false, .. } => Some(definition),
            Content::Usable { .. } | Content::Unusable(_) => None,
        }
    }
}

impl Server {
    /// Reads a listing. Of an entry that is not known yet all is taken as pinned, unless it comes from the cache;
    /// `changes` hears of what was mended in definitions that are new.
    pub(super) fn read(
        listing: Listing,
        pins: &Pins,
        definitions: &mut Definitions,
        limits: &Limits,
        changes: &mut Vec<RegistryChange>,
    ) -> Self {
        let known = pins.knows(&listing.entry);
        let first = !known && !listing.from_cache;
        let pinned = |tool: &str, sha256: &str| first || pins.hold(&listing.entry, tool, sha256);
        let most = usize::try_from(limits.tools).unwrap_or(usize::MAX);
        let server = &listing.server;
        let mut items: Vec<Item> = Vec::new();
        let mut cost = 0;
        let mut places: HashMap<Arc<str>, usize> = HashMap::new();
        for (at, tool) in listing.tools.iter().take(most).enumerate() {
            let raw = match definition::read(tool, limits) {
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
            if let Some(first) = places.get(raw.name).and_then(|place| items.get_mut(*place)) {
                if !matches!(&first.content, Content::Usable { definition, .. } if definition.sha256 == raw.sha256) {
                    first.content = Content::Unusable("its server lists it more than once, differently".to_owned());
                }
                continue;
            }
            let reference = ToolRef::new(server.as_str(), raw.name);
            if cost > MOST_COST {
                let reason = "the definitions that its server lists before it are too much to check".to_owned();
                items.push(Item::unusable(server, raw.name, reason));
                continue;
            }
            let item = match definitions.define(&raw, limits, |note| {
                changes.push(RegistryChange::Noted { tool: reference.clone(), note: note.to_owned() });
            }) {
                Ok(definition) => {
                    cost += definition.cost();
                    let wire = wire_name(&reference);
                    let title = definition.title.as_deref();
                    let function = offer::function(&wire, title, &definition.description, &definition.parameters);
                    let pinned = pinned(raw.name, &definition.sha256);
                    let content = Content::Usable { definition, function: Arc::from(function), pinned };
                    Item { wire_name: Arc::from(wire), reference, content }
                }
                Err(reason) => {
                    // How far its compiling came is not known.
                    cost += 2 * raw.canonical.len();
                    Item::unusable(server, raw.name, reason)
                }
            };
            places.insert(Arc::clone(&item.reference.tool), items.len());
            items.push(item);
        }
        if listing.tools.len() > most {
            let reason = format!("the server lists {} tools, and the limit is {most}", listing.tools.len());
            items.push(Item::unusable(server, "(the rest of its tools)", reason));
        }
        let instructions = listing.instructions.as_ref().filter(|text| !text.trim().is_empty()).cloned();
        let instructions_pinned = pinned("", &definition::sha256(&pinnable(instructions.as_deref())));
        Self {
            from_cache: listing.from_cache,
            settled: known,
            items,
            instructions,
            instructions_pinned,
            entry: listing.entry,
        }
    }

    /// A live listing of a settled entry: what in it is not pinned waits for a person.
    pub(super) fn is_judged(&self) -> bool {
        self.settled && !self.from_cache
    }

    /// The instructions as their pin holds them: a JSON text, or null.
    pub(super) fn pinnable_instructions(&self) -> String {
        pinnable(self.instructions.as_deref())
    }
}

fn pinnable(instructions: Option<&str>) -> String {
    instructions.map_or(Value::Null, Value::from).to_string()
}
