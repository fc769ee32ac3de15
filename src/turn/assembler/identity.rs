//! Which call a fragment belongs to.
//!
//! A name starts a call, ids and indexes find it again; both are labels that providers repeat, leave out, count from
//! 1, give to two calls or make anew for each fragment (the shapes decide, not the providers).

use std::collections::HashMap;

use super::call::first_byte;
use super::{AssembledCall, Declared};
use crate::chat::CallFragment;

/// Whom a fragment is for.
pub(super) enum Target {
    Existing(usize),
    New,
    /// It names no call, and there is none to continue.
    Nobody,
}

/// The labels seen so far, each with the call that bore it last.
#[derive(Debug, Default)]
pub(super) struct Known {
    indexes: HashMap<u64, usize>,
    ids: HashMap<String, usize>,
    last: Option<usize>,
}

impl Known {
    /// With `strict`, a fragment that no label places is nobody's: calls have been dropped, it may be theirs.
    pub(super) fn target(
        &self,
        calls: &[AssembledCall],
        declared: &Declared,
        fragment: &CallFragment,
        strict: bool,
    ) -> Target {
        let by_index = fragment.index.and_then(|index| self.indexes.get(&index).copied());
        let by_id = fragment.id.as_ref().and_then(|id| self.ids.get(id).copied());
        let Some(name) = &fragment.name else {
            // A fragment without a name never starts a call, whatever its labels say.
            let unplaced = if strict { None } else { self.last_open(calls) };
            return by_id.or(by_index).or(unplaced).map_or(Target::Nobody, Target::Existing);
        };
        let labelled = by_id.or(by_index);
        let unlabelled = fragment.id.is_none() && fragment.index.is_none();
        let Some(place) = labelled.or(if unlabelled { self.last } else { None }) else { return Target::New };
        let call = &calls[place];
        let continues = call.continues_with(fragment);
        if labelled.is_none() {
            // Neither id nor index: a name is a new call, unless it only repeats that of the text being written.
            return if continues { Target::Existing(place) } else { Target::New };
        }
        let renews = by_id.is_none() && fragment.id.is_some() && call.wire_id.is_some();
        // One id for every call, told apart by the index alone.
        let moved = by_id.is_some() && fragment.index.is_some() && by_index != Some(place);
        let restarts = (by_id.is_none() || moved) && call.is_complete() && first_byte(fragment) == Some(b'{');
        if !call.accepts_name(name, declared) || (renews && !continues) || restarts {
            Target::New
        } else {
            Target::Existing(place)
        }
    }

    /// The call spoken of last where it is open, else the latest open one, else the last.
    fn last_open(&self, calls: &[AssembledCall]) -> Option<usize> {
        let last = self.last?;
        if calls[last].is_complete() {
            Some(calls.iter().rposition(|call| !call.is_complete()).unwrap_or(last))
        } else {
            Some(last)
        }
    }

    /// Notes the labels of a fragment that was given to a call. Only a name moves an index, and only the call's own id
    /// counts: labels that drift from fragment to fragment must not catch a later call's.
    pub(super) fn remember(&mut self, place: usize, call: &AssembledCall, fragment: &CallFragment) {
        self.last = Some(place);
        if let (Some(index), Some(_)) = (fragment.index, &fragment.name) {
            self.indexes.insert(index, place);
        }
        if let Some(id) = &fragment.id
            && call.wire_id.as_ref() == Some(id)
        {
            self.ids.insert(id.clone(), place);
        }
    }
}
