//! The folders that one server may be told of, and whether a person has to say so first.
//!
//! They outlive the server's connections: what a person changed or allowed holds until the process ends.
//!
//! # Invariants
//! - A yes until the end covers folders that were shown with it, and no others.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::held;
use crate::chat::{Root, ServerRoots, Telling};
use crate::config::ServerFeatures;

/// Clones share them.
#[derive(Clone, Debug, Default)]
pub(in crate::mcp) struct Roots(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    list: Vec<Root>,
    /// The entry says that nobody need be asked.
    unasked: bool,
    /// What a person allowed until the end.
    allowed: Vec<Root>,
}

impl Roots {
    pub(in crate::mcp) fn new(features: &ServerFeatures) -> Self {
        let list = features.roots.clone();
        Self(Arc::new(Mutex::new(Known { list, unasked: !features.roots_ask, allowed: Vec::new() })))
    }

    pub(in crate::mcp) fn list(&self) -> Vec<Root> {
        held(&self.0).list.clone()
    }

    /// Whether these may be told without asking.
    pub(super) fn may_be_told(&self, roots: &[Root]) -> bool {
        let known = held(&self.0);
        known.unasked || known.allows(roots)
    }

    /// A person allows these until the end.
    pub(super) fn allow(&self, roots: &[Root]) {
        held(&self.0).allowed = roots.to_vec();
    }

    /// False: it is among them.
    pub(in crate::mcp) fn add(&self, root: Root) -> bool {
        let mut known = held(&self.0);
        let new = known.list.iter().all(|known| known.uri != root.uri);
        if new {
            known.list.push(root);
        }
        new
    }

    /// False: it is not among them.
    pub(in crate::mcp) fn remove(&self, uri: &str) -> bool {
        let mut known = held(&self.0);
        let before = known.list.len();
        known.list.retain(|root| root.uri != uri);
        known.list.len() < before
    }

    /// How it stands with them, as it is told.
    pub(in crate::mcp) fn standing(&self, offered: Option<bool>) -> ServerRoots {
        let known = held(&self.0);
        let telling = match (known.unasked, !known.list.is_empty() && known.allows(&known.list)) {
            (true, _) => Telling::Always,
            (false, true) => Telling::UntilQuit,
            (false, false) => Telling::Ask,
        };
        ServerRoots { list: known.list.clone(), telling, offered }
    }
}

impl Known {
    fn allows(&self, roots: &[Root]) -> bool {
        roots.iter().all(|root| self.allowed.contains(root))
    }
}

/// The protocol's result.
pub(super) fn told(roots: &[Root]) -> Value {
    let root = |root: &Root| match &root.name {
        Some(name) => json!({"uri": root.uri, "name": name}),
        None => json!({"uri": root.uri}),
    };
    json!({"roots": roots.iter().map(root).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(uri: &str) -> Root {
        Root { uri: uri.into(), name: None }
    }

    #[test]
    fn a_yes_until_the_end_covers_what_was_shown_and_nothing_else() {
        let roots = Roots::new(&ServerFeatures { roots: vec![root("file:///a")], ..ServerFeatures::default() });
        assert!(!roots.may_be_told(&roots.list()));
        roots.allow(&roots.list());
        assert!(roots.may_be_told(&roots.list()));
        assert_eq!(roots.standing(None).telling, Telling::UntilQuit);
        assert!(roots.add(root("file:///b")) && !roots.add(root("file:///b")));
        assert!(!roots.may_be_told(&roots.list()), "it was never shown");
        assert_eq!(roots.standing(None).telling, Telling::Ask);
        assert!(roots.remove("file:///b") && !roots.remove("file:///b"));
        assert!(roots.may_be_told(&roots.list()));
        // Of nothing there is nothing to ask.
        roots.remove("file:///a");
        assert!(roots.may_be_told(&roots.list()));
    }

    #[test]
    fn the_entry_may_say_that_nobody_need_be_asked() {
        let features = ServerFeatures { roots: vec![root("file:///a")], roots_ask: false, ..ServerFeatures::default() };
        let roots = Roots::new(&features);
        roots.add(root("file:///b"));
        assert!(roots.may_be_told(&roots.list()));
        assert_eq!(roots.standing(Some(true)).telling, Telling::Always);
    }
}
