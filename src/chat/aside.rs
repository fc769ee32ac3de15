//! What a conversation has used beside its turns.

use serde::{Deserialize, Serialize};

use super::{UnixMs, Usage};

/// What was asked of a model for a conversation, and is no part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AsideKind {
    /// Its title.
    #[default]
    Title,
    /// An answer for a tool server that asked for one.
    Sample,
}

/// Such requests of one kind to one model, summed up; kept with the conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Aside {
    pub kind: AsideKind,
    /// Who was asked last.
    pub model: String,
    pub at: UnixMs,
    pub times: u32,
    pub usage: Usage,
}

impl Aside {
    /// So many kinds and models are kept apart; further ones are added to the last.
    const MOST: usize = 32;

    /// One request.
    #[must_use]
    pub fn new(kind: AsideKind, model: &str, at: UnixMs, usage: Usage) -> Self {
        Self { kind, model: model.to_owned(), at, times: 1, usage }
    }

    /// Adds it to the others.
    pub fn put(self, all: &mut Vec<Self>) {
        let full = all.len() >= Self::MOST;
        let same = all.iter().position(|one| (one.kind, &one.model) == (self.kind, &self.model));
        match same.or(full.then(|| all.len() - 1)).and_then(|at| all.get_mut(at)) {
            Some(one) => {
                one.usage = one.usage.plus(self.usage);
                one.times = one.times.saturating_add(self.times);
                one.at = one.at.max(self.at);
            }
            None => all.push(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_summed_by_kind_and_model_and_nothing_is_lost_where_there_are_too_many() {
        let of =
            |kind, model: &str, input| Aside::new(kind, model, 1, Usage { input: Some(input), ..Usage::default() });
        let mut all = Vec::new();
        of(AsideKind::Title, "a", 1).put(&mut all);
        of(AsideKind::Sample, "a", 10).put(&mut all);
        of(AsideKind::Title, "a", 100).put(&mut all);
        let told: Vec<_> = all.iter().map(|one| (one.kind, one.times, one.usage.input)).collect();
        assert_eq!(told, [(AsideKind::Title, 2, Some(101)), (AsideKind::Sample, 1, Some(10))]);
        for n in 0..100 {
            of(AsideKind::Sample, &format!("m{n}"), 1).put(&mut all);
        }
        assert_eq!(all.len(), Aside::MOST);
        assert_eq!(all.iter().filter_map(|one| one.usage.input).sum::<u64>(), 211);
    }
}
