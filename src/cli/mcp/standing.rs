//! How the tools of visited servers stand: what each costs, what its server says of it, and how it differs from what was
//! accepted.
//!
//! # Invariants
//! - Nothing is pinned or accepted here: that is a person's, on the screen.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use similar::{ChangeTag, TextDiff};

use crate::chat::{Difference, Limits, Pin, ServerName, ToolRef, ToolRow, ToolStanding};
use crate::config::ServerEntry;
use crate::tools::{Listing, Registry, RegistryRules};

use super::show::shown;
use super::visit::Visit;

/// The tools of one server, by name.
#[derive(Default)]
pub(super) struct Standings {
    rows: BTreeMap<Arc<str>, ToolRow>,
    differences: Vec<Difference>,
}

impl Standings {
    /// Holds what a server listed against its pins; without pins of its entry it is all new and would be taken as it is.
    pub(super) fn of(
        visit: &Visit,
        entry: &ServerEntry,
        pins: &[Pin],
        rules: &RegistryRules,
        limits: &Arc<Limits>,
    ) -> Self {
        let server: &ServerName = &visit.status.server;
        let mut registry = Registry::new(rules.clone(), Arc::clone(limits));
        registry.load_pins(pins.to_vec());
        registry.apply(Listing {
            server: server.clone(),
            entry: Arc::clone(&entry.entry_hash),
            tools: visit.tools.clone(),
            instructions: visit.instructions.clone(),
            from_cache: false,
        });
        let rows = registry.rows().iter().map(|row| (Arc::clone(&row.tool.tool), row.clone())).collect();
        Self { rows, differences: registry.differences(server) }
    }

    /// Adds to a tool's JSON what is known of it.
    pub(super) fn tell(&self, tool: &Value, row: &mut Value) {
        let (Some(known), Value::Object(map)) = (self.row(tool), row) else { return };
        map.insert("tokens".into(), json!(known.tokens));
        map.insert("says".into(), json!(known.claims.words()));
        map.insert("state".into(), json!(word(&known.standing)));
        if let Some(before) = self.difference(&known.tool).and_then(|difference| difference.before.as_deref()) {
            map.insert("before".into(), serde_json::from_str(before).unwrap_or(Value::Null));
        }
    }

    /// What stands behind a tool's line, and the lines below it where it differs from what was accepted: what is
    /// invisible is written out.
    pub(super) fn more(&self, tool: &Value) -> (String, Vec<String>) {
        let Some(row) = self.row(tool) else { return (String::new(), Vec::new()) };
        let cost = if row.tokens == 0 { String::new() } else { format!("  ~{} tokens", row.tokens) };
        let state = match &row.standing {
            ToolStanding::Usable => String::new(),
            ToolStanding::LeftOut { .. } => "  [not offered: the configuration leaves it out]".to_owned(),
            ToolStanding::Denied => "  [not offered: policy denies it]".to_owned(),
            ToolStanding::Withheld { new: true } => "  [withheld: new; accept it on the screen, ctrl+o]".to_owned(),
            ToolStanding::Withheld { new: false } => {
                "  [withheld: changed; accept it on the screen, ctrl+o]".to_owned()
            }
            ToolStanding::Aside(reason) => format!("  [set aside: {}]", shown(reason)),
        };
        (format!("{cost}{state}"), self.difference(&row.tool).map(changed).unwrap_or_default())
    }

    /// What all that can be offered takes of the context.
    pub(super) fn tokens(&self) -> u64 {
        self.rows.values().filter(|row| row.standing == ToolStanding::Usable).map(|row| row.tokens).sum()
    }

    fn row(&self, tool: &Value) -> Option<&ToolRow> {
        self.rows.get(tool.get("name")?.as_str()?)
    }

    fn difference(&self, tool: &ToolRef) -> Option<&Difference> {
        self.differences.iter().find(|difference| difference.tool == *tool)
    }
}

fn word(standing: &ToolStanding) -> &'static str {
    match standing {
        ToolStanding::Usable => "usable",
        ToolStanding::LeftOut { .. } => "left_out",
        ToolStanding::Denied => "denied",
        ToolStanding::Withheld { new: true } => "new",
        ToolStanding::Withheld { new: false } => "changed",
        ToolStanding::Aside(_) => "aside",
    }
}

/// The lines that differ.
fn changed(difference: &Difference) -> Vec<String> {
    let spread = |text: &str| {
        let value = serde_json::from_str::<Value>(text).ok();
        value.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_else(|| text.to_owned())
    };
    let (before, after) = (difference.before.as_deref().map(spread).unwrap_or_default(), spread(&difference.after));
    let diff = TextDiff::from_lines(&before, &after);
    let sign = |tag: ChangeTag| match tag {
        ChangeTag::Delete => Some('-'),
        ChangeTag::Insert => Some('+'),
        ChangeTag::Equal => None,
    };
    diff.iter_all_changes()
        .filter_map(|change| {
            Some(format!("    {} {}", sign(change.tag())?, shown(change.value().trim_end_matches('\n'))))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_shown_and_nothing_of_it_is_invisible() {
        let difference = Difference {
            tool: ToolRef::new("docs", "search"),
            before: Some(r#"{"description":"Finds.","name":"search"}"#.into()),
            after: "{\"description\":\"Finds.\u{200b}\",\"name\":\"search\"}".into(),
        };
        let lines = ["    -   \"description\": \"Finds.\",", "    +   \"description\": \"Finds.<U+200B>\","];
        assert_eq!(changed(&difference), lines);
    }
}
