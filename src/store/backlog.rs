//! What the disk refused for a while: kept in its order, and written before anything that comes later.
//!
//! # Invariants
//! - Nothing that was given by [`Store::journal`] is written before what was given by it earlier.
//! - What is kept is bounded; what could never be written (its conversation is gone, or another's) is not kept.
//!
//! [`Store::journal`]: super::Store::journal

use std::collections::VecDeque;

use super::{StoreError, worker::Desk};
use crate::chat::{Change, MessageId};

/// How many changes are kept. Their texts are in the memory of the conversation anyway.
const MOST: usize = 10_000;

#[derive(Default)]
pub(super) struct Backlog {
    lists: VecDeque<Vec<Change>>,
    count: usize,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    pub(super) fn lists(&self) -> impl Iterator<Item = &[Change]> {
        self.lists.iter().map(Vec::as_slice)
    }

    /// Keeps a list, unless there are too many. A text that a later one says again, whole, goes.
    pub(super) fn add(&mut self, changes: Vec<Change>) {
        let again: Vec<&MessageId> = changes
            .iter()
            .filter_map(|change| match change {
                Change::AnswerText { message, .. } => Some(message),
                Change::Message { message, .. } => Some(&message.id),
                _ => None,
            })
            .collect();
        if !again.is_empty() {
            for list in &mut self.lists {
                list.retain(|change| match change {
                    Change::AnswerText { message, .. } => !again.contains(&message),
                    _ => true,
                });
            }
            self.lists.retain(|list| !list.is_empty());
            self.count = self.lists.iter().map(Vec::len).sum();
        }
        if !changes.is_empty() && self.count + changes.len() <= MOST {
            self.count += changes.len();
            self.lists.push_back(changes);
        }
    }

    fn take_first(&mut self) -> Option<Vec<Change>> {
        let first = self.lists.pop_front()?;
        self.count -= first.len();
        Some(first)
    }

    fn put_back(&mut self, first: Vec<Change>) {
        self.count += first.len();
        self.lists.push_front(first);
    }
}

impl Desk {
    /// Writes what waits, list by list. The error is why some of it still does.
    pub(super) fn catch_up(&mut self) -> Result<(), StoreError> {
        while let Some(list) = self.backlog.take_first() {
            match self.transact(&[list.as_slice()]) {
                Err(error) if error.may_pass() => {
                    self.backlog.put_back(list);
                    return Err(error.at(&self.path));
                }
                // What can never be written must not hold up the rest.
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Answer, ConversationId};

    fn text(name: &str, text: &str) -> Change {
        let answer = Box::new(Answer { text: text.into(), ..Answer::default() });
        Change::AnswerText { message: MessageId::new(name), answer }
    }

    #[test]
    fn a_later_text_takes_the_place_of_an_earlier_one_and_too_much_is_not_kept() {
        let mut backlog = Backlog::default();
        backlog.add(vec![text("a", "one")]);
        backlog.add(vec![text("b", "two"), text("a", "one and more")]);
        assert_eq!(backlog.lists().collect::<Vec<_>>(), [[text("b", "two"), text("a", "one and more")]]);
        let first = backlog.take_first().unwrap();
        assert!(backlog.is_empty() && backlog.count == 0);
        backlog.put_back(first);
        let pinned = Change::Pinned { conversation: ConversationId::new("c"), pinned: true };
        for _ in 0..20 {
            backlog.add(vec![pinned.clone(); MOST / 10]);
        }
        assert_eq!(backlog.count, 2 + MOST / 10 * 9);
    }
}
