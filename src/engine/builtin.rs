//! Tools that millrace itself gives the model: run here, without a server, a review or a network.
//!
//! `find_tools` takes the place of definitions that would fill the context: the model searches, and what it found is
//! offered from its next request on. `read_result` reads on in results that were cut, where there are any.
//!
//! # Invariants
//! - What is offered is a function of the conversation's messages: the tools found and called, in that order, and
//!   `read_result` from the first result on that was cut. So it only grows at its end, and is the same after a restart.
//! - Nothing here reaches what a person has not allowed to be offered, or another conversation.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::chat::{Body, CallId, Limits, Message, ToolList, ToolOutcome};
use crate::tools::{Builtin, Snapshot};

mod find;
mod read;

pub(super) use find::{FIND_TOOLS, found, notice};
pub(super) use read::{READ_RESULT, definition as reading, named, read};

/// How many tools are offered at once; some endpoints take no more (OpenAI: 128).
const MOST_OFFERED: usize = 127;

/// Whether it is one of the tools here, by its name alone.
pub(super) fn is_own(name: &str) -> bool {
    [FIND_TOOLS, READ_RESULT].contains(&name)
}

/// The tools that a turn may use: those of the servers, and millrace's own.
#[derive(Debug)]
pub(super) struct Shelf {
    tools: Arc<Snapshot>,
    /// All tools of the servers, where the model does not search for them.
    all: Option<Arc<ToolList>>,
    /// The same with `read_result` behind them, once it was needed.
    and_read: OnceLock<Option<Arc<ToolList>>>,
    search: Option<Builtin>,
    read: Option<Builtin>,
    /// Old results give way to references in this turn, so `read_result` is needed from its beginning.
    pub refers: bool,
}

impl Shelf {
    /// `searches`: the model is given `find_tools` in place of the definitions. `read`: `read_result`, where it may be
    /// offered.
    pub fn new(tools: &Arc<Snapshot>, searches: bool, read: Option<Builtin>, limits: &Limits) -> Self {
        let search = if searches { find::definition(tools, limits).ok() } else { None };
        let all = if search.is_some() { None } else { tools.list() };
        let mut shelf = Arc::clone(tools);
        for builtin in search.iter().chain(&read) {
            shelf = Arc::new(shelf.with_builtin(builtin));
        }
        Self { tools: shelf, all, and_read: OnceLock::new(), search, read, refers: false }
    }

    /// All that may be called, millrace's own among it.
    pub fn tools(&self) -> &Arc<Snapshot> {
        &self.tools
    }

    /// How many tools can be found; None where the model does not search.
    pub fn findable(&self) -> Option<u32> {
        self.search.as_ref()?;
        Some(u32::try_from(self.tools.tools().filter(|tool| !tool.builtin).count()).unwrap_or(u32::MAX))
    }

    /// Whether the model may read on in results that are cut.
    pub fn reads_on(&self) -> bool {
        self.read.is_some()
    }

    /// Whether the list may be another behind these messages than it was at the turn's beginning.
    pub fn grows(&self, history: &[Arc<Message>]) -> bool {
        self.search.is_some() || self.needs_read(history)
    }

    fn needs_read(&self, history: &[Arc<Message>]) -> bool {
        self.read.is_some() && (self.refers || history.iter().any(|message| was_cut(message)))
    }

    /// What is offered behind these messages. `wanted`: a tool that the next answer must call.
    pub fn list(&self, history: &[Arc<Message>], wanted: Option<&str>) -> Option<Arc<ToolList>> {
        match &self.search {
            Some(search) => self.searched(search, history, wanted),
            None if self.needs_read(history) => {
                let names = || self.tools.tools().filter(|tool| !tool.builtin).map(|tool| &tool.wire_name);
                let own = self.read.iter().map(|read| &read.tool().wire_name);
                self.and_read.get_or_init(|| self.tools.listed(names().chain(own))).clone()
            }
            None => self.all.clone(),
        }
    }

    fn searched(&self, search: &Builtin, history: &[Arc<Message>], wanted: Option<&str>) -> Option<Arc<ToolList>> {
        let mut names = vec![Arc::clone(&search.tool().wire_name)];
        // Needed from the beginning on, it stands before all that is found.
        names.extend(self.read.iter().filter(|_| self.refers).map(|read| Arc::clone(&read.tool().wire_name)));
        let mut seen: HashSet<Arc<str>> = names.iter().cloned().collect();
        let wanted = wanted.map(str::to_owned);
        for name in in_order(history).into_iter().chain(wanted) {
            let Some(tool) = self.tools.get(&name) else { continue };
            if names.len() <= MOST_OFFERED && seen.insert(Arc::clone(&tool.wire_name)) {
                names.push(Arc::clone(&tool.wire_name));
            }
        }
        self.tools.listed(&names)
    }
}

fn was_cut(message: &Message) -> bool {
    matches!(&message.body, Body::Tool(tool) if tool.outcome.truncated)
}

/// The wire names that were found, called and needed, in the order of the conversation.
fn in_order(history: &[Arc<Message>]) -> Vec<String> {
    let outcomes: HashMap<&CallId, &ToolOutcome> = history
        .iter()
        .filter_map(|message| match &message.body {
            Body::Tool(tool) => Some((&tool.call, &*tool.outcome)),
            Body::User(_) | Body::Assistant(_) => None,
        })
        .collect();
    let mut out = Vec::new();
    for message in history {
        if was_cut(message) {
            out.push(READ_RESULT.to_owned());
        }
        let Body::Assistant(answer) = &message.body else { continue };
        for call in &answer.calls {
            match call.wire_name.as_str() {
                FIND_TOOLS => {
                    let found = outcomes
                        .get(&call.id)
                        .and_then(|outcome| outcome.structured.as_ref()?.get("found")?.as_array());
                    out.extend(found.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
                }
                // Offered where it is of use, whoever called it before.
                READ_RESULT => {}
                name => out.push(name.to_owned()),
            }
        }
    }
    out
}
