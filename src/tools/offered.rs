//! What of the tools one conversation is offered: all that are usable, less what was switched off; or `find_tools` and what
//! it found.
//!
//! # Invariants
//! - The same choices and the same tools give the same bytes.
//! - A list of found tools only ever grows at its end.

use std::sync::Arc;

use serde_json::Value;

use crate::chat::{Claims, Limits, Policy, ServerName, ToolList, ToolRef, Toolset};

use super::definition::sha256;
use super::offer;
use super::rules::RuleSource;
use super::schema::Schema;
use super::search;
use super::snapshot::{Absence, Snapshot, Tool};

/// Bytes of a definition that make a token, about: JSON of English words.
const BYTES: u64 = 4;

/// What a text takes of the context, estimated.
pub(super) fn tokens(text: &str) -> u64 {
    (text.len() as u64).div_ceil(BYTES)
}

/// A tool of millrace's own, and its element of the list.
#[derive(Clone, Debug)]
pub struct Builtin {
    tool: Arc<Tool>,
    function: Arc<str>,
}

impl Builtin {
    /// The server under whose name millrace's own tools stand in rows, events and history.
    pub const SERVER: &'static str = "millrace";

    /// # Errors
    /// Where the schema cannot be compiled.
    pub fn new(name: &str, description: &str, schema: &Value, limits: &Limits) -> Result<Self, String> {
        let parameters = offer::parameters(schema);
        let function = offer::function(name, None, description, &parameters);
        let tool = Tool {
            wire_name: Arc::from(name),
            reference: ToolRef::new(Self::SERVER, name),
            entry: Arc::from(Self::SERVER),
            sha256: Arc::from(sha256(&function)),
            title: None,
            description: description.to_owned(),
            claims: Claims { read_only: Some(true), open_world: Some(false), ..Claims::default() },
            trusted: true,
            policy: Policy::Allow,
            policy_source: RuleSource::Default,
            flag_allows: false,
            dispatch: None,
            has_parameters: true,
            tokens: tokens(&function),
            builtin: true,
            input: Arc::new(Schema::compile(schema, limits, &mut Vec::new())?),
            output: None,
        };
        Ok(Self { tool: Arc::new(tool), function: Arc::from(function) })
    }

    #[must_use]
    pub fn tool(&self) -> &Arc<Tool> {
        &self.tool
    }
}

impl Snapshot {
    /// What a conversation with these choices may use: without what they, or the profile, leave out.
    #[must_use]
    pub fn chosen(self: &Arc<Self>, toolset: &Toolset) -> Arc<Self> {
        let off = |tool: &&Arc<Tool>| !self.is_on(&tool.reference, toolset);
        let off: Vec<Arc<Tool>> = self.tools.values().filter(off).cloned().collect();
        if off.is_empty() {
            return Arc::clone(self);
        }
        let mut next = (**self).clone();
        for tool in off {
            next.tools.remove(&tool.wire_name);
            next.by_ref.remove(&tool.reference);
            next.set_aside(&tool.wire_name, &tool.reference, Absence::Off);
        }
        next.list = next.listed(next.tools.keys());
        // A server all of whose tools are off is not spoken of either; one that has none may have resources.
        let has =
            |snapshot: &Self, server: &ServerName| snapshot.tools.values().any(|tool| tool.reference.server == *server);
        let mut instructions = std::mem::take(&mut next.instructions);
        instructions.retain(|told| has(&next, &told.server) || !has(self, &told.server));
        next.instructions = instructions;
        Arc::new(next)
    }

    fn is_on(&self, tool: &ToolRef, toolset: &Toolset) -> bool {
        let by_profile = || self.profile.as_ref().is_none_or(|globs| globs.iter().any(|glob| glob.matches(tool)));
        toolset.chosen(tool).unwrap_or_else(by_profile)
    }

    /// These tools in this order, as they are offered; names that are none of its own are left out.
    #[must_use]
    pub fn listed<'a>(&self, names: impl IntoIterator<Item = &'a Arc<str>>) -> Option<Arc<ToolList>> {
        let mut json = String::from("[");
        let mut count = 0;
        for function in names.into_iter().filter_map(|name| self.functions.get(name)) {
            if count > 0 {
                json.push(',');
            }
            json.push_str(function);
            count += 1;
        }
        json.push(']');
        let hash = sha256(&json);
        (count > 0).then(|| Arc::new(ToolList { json, hash, count }))
    }

    /// The same with a tool of millrace's own, which is not part of the list.
    #[must_use]
    pub fn with_builtin(&self, builtin: &Builtin) -> Self {
        let mut next = self.clone();
        let name = &builtin.tool.wire_name;
        next.functions.insert(Arc::clone(name), Arc::clone(&builtin.function));
        next.tools.insert(Arc::clone(name), Arc::clone(&builtin.tool));
        next
    }

    /// What all definitions take of the context, estimated.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.tools.values().map(|tool| tool.tokens).sum()
    }

    /// The tools of servers that fit a question best, best first.
    #[must_use]
    pub fn find(&self, question: &str, limit: usize) -> Vec<&Arc<Tool>> {
        search::find(self.tools.values().filter(|tool| !tool.builtin), question, limit)
    }

    /// A tool's element of the list.
    #[must_use]
    pub fn function(&self, wire_name: &str) -> Option<&str> {
        self.functions.get(wire_name).map(|text| &**text)
    }

    /// The servers that have tools here, and how many.
    #[must_use]
    pub fn servers(&self) -> Vec<(ServerName, usize)> {
        let mut out: Vec<(ServerName, usize)> = Vec::new();
        for tool in self.tools.values().filter(|tool| !tool.builtin) {
            match out.iter_mut().find(|(name, _)| *name == tool.reference.server) {
                Some((_, count)) => *count += 1,
                None => out.push((tool.reference.server.clone(), 1)),
            }
        }
        out.sort();
        out
    }
}
