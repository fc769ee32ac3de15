//! What is known of the models of one endpoint: what they refuse, which schemas they take, whether they see.
//!
//! # Invariants
//! - Each quirk is tried once per model, remembered ones included.
//! - The same tools are offered as the same bytes until something was learnt.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::chat::ToolList;
use crate::tools::{self, HIGHEST_LEVEL};
use crate::wire::{Quirk, Quirks};

/// One endpoint's models, by name.
pub(super) struct Lessons {
    /// How a model is met of which nothing is known.
    fresh: Quirks,
    /// The profile's word on images.
    vision: Option<bool>,
    models: HashMap<String, Known>,
}

struct Known {
    quirks: Quirks,
    tried: HashSet<Quirk>,
    vision: Option<bool>,
    /// Of tools whose schema was refused, by the hash of their element.
    levels: HashMap<String, u8>,
    /// Lists that were changed, by the hash of what was made of them.
    bases: HashMap<String, Arc<ToolList>>,
}

impl Lessons {
    pub fn new(fresh: Quirks, vision: Option<bool>) -> Self {
        Self { fresh, vision, models: HashMap::new() }
    }

    fn known(&mut self, model: &str) -> &mut Known {
        let (fresh, vision) = (&self.fresh, self.vision);
        self.models.entry(model.to_owned()).or_insert_with(|| Known {
            quirks: fresh.clone(),
            tried: HashSet::new(),
            vision,
            levels: HashMap::new(),
            bases: HashMap::new(),
        })
    }

    /// Takes what an earlier process learnt; what is not understood is left.
    pub fn recall(&mut self, model: &str, key: &str, value: &str) {
        let known = self.known(model);
        if let Some(quirk) = Quirk::remembered(key, value) {
            quirk.apply(&mut known.quirks);
            known.tried.insert(quirk);
            known.tried.extend(quirk.instead_of());
        } else if let (Some(hash), Ok(level)) = (key.strip_prefix("schema "), value.parse::<u8>()) {
            known.levels.insert(hash.to_owned(), level.min(HIGHEST_LEVEL));
        }
    }

    pub fn quirks(&mut self, model: &str) -> Quirks {
        self.known(model).quirks.clone()
    }

    pub fn tried(&self, model: &str, quirk: Quirk) -> bool {
        self.models.get(model).is_some_and(|known| known.tried.contains(&quirk))
    }

    /// False where it was tried before, or changes nothing.
    pub fn learn(&mut self, model: &str, quirk: Quirk) -> bool {
        let known = self.known(model);
        known.tried.extend(quirk.instead_of());
        known.tried.insert(quirk) && quirk.apply(&mut known.quirks)
    }

    /// None: nobody has said.
    pub fn vision(&mut self, model: &str) -> Option<bool> {
        self.known(model).vision
    }

    pub fn set_vision(&mut self, model: &str, sees: bool) {
        let known = self.known(model);
        known.vision = Some(sees);
        known.quirks.vision = sees;
    }

    /// The tools as this model takes them.
    pub fn offered(&mut self, model: &str, tools: Arc<ToolList>) -> Arc<ToolList> {
        let known = self.known(model);
        if known.levels.is_empty() {
            return tools;
        }
        let level = |hash: &str| known.levels.get(hash).copied().unwrap_or_default();
        match tools::at_levels(&tools, level) {
            Some(made) => {
                known.bases.insert(made.hash.clone(), tools);
                Arc::new(made)
            }
            None => tools,
        }
    }

    /// One level more for the tool at `place` of a list as it was offered: its level, the hash it is remembered under,
    /// and the list from now on. None where there is no plainer form.
    pub fn raise(&mut self, model: &str, list: &Arc<ToolList>, place: usize) -> Option<(u8, String, Arc<ToolList>)> {
        let known = self.known(model);
        let base = known.bases.get(&list.hash).map_or_else(|| Arc::clone(list), Arc::clone);
        let (_, hash) = tools::offered(&base).into_iter().nth(place)?;
        let level = known.levels.get(&hash).copied().unwrap_or_default();
        for level in level + 1..=HIGHEST_LEVEL {
            self.known(model).levels.insert(hash.clone(), level);
            let raised = self.offered(model, Arc::clone(&base));
            // A level that changes nothing was refused already.
            if raised.json != list.json {
                return Some((level, hash, raised));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> Arc<ToolList> {
        let json = r#"[{"type":"function","function":{"name":"a","description":"","parameters":{"type":"object","properties":{"x":{"const":1}}}}}]"#;
        Arc::new(ToolList { json: json.into(), hash: "base".into(), count: 1 })
    }

    #[test]
    fn each_quirk_is_tried_once_and_only_for_its_model() {
        let mut lessons = Lessons::new(Quirks::default(), None);
        assert!(lessons.learn("m", Quirk::NoTemperature));
        assert!(!lessons.learn("m", Quirk::NoTemperature));
        assert!(lessons.quirks("m").drop_temperature && !lessons.quirks("n").drop_temperature);
        lessons.recall("n", "temperature", "false");
        assert!(lessons.quirks("n").drop_temperature && lessons.tried("n", Quirk::NoTemperature));
        lessons.recall("n", "who knows", "{}");
    }

    #[test]
    fn a_schema_is_raised_to_the_end_and_remembered() {
        let mut lessons = Lessons::new(Quirks::default(), None);
        let base = lessons.offered("m", list());
        assert_eq!(base, list(), "nothing was learnt");
        let (first, hash, once) = lessons.raise("m", &base, 0).unwrap();
        assert_eq!(lessons.offered("m", list()), once);
        let mut at = once;
        let mut levels = vec![first];
        while let Some((level, _, next)) = lessons.raise("m", &at, 0) {
            assert_ne!(next.hash, at.hash);
            levels.push(level);
            at = next;
        }
        assert_eq!(levels.last(), Some(&HIGHEST_LEVEL));
        let mut later = Lessons::new(Quirks::default(), None);
        later.recall("m", &format!("schema {hash}"), "3");
        assert_eq!(later.offered("m", list()), at);
        assert_eq!(later.offered("other", list()), list());
    }
}
