//! A conversation is a tree: where it branches, and walking from one branch to another.
//!
//! # Invariants
//! - Walking writes nothing and loses nothing: what is being written stays, and every message stays where it was.
//! - What is shown is what is answered: the engine is told of the same path, message by message.
//!
//! # Does not
//! Read other branches before they are walked to: of their messages only the ids are known.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::effect::Effect;
use super::elsewhere::spoken;
use super::state::{Focus, State};
use super::transcript::{Entry, Scroll};
use crate::chat::{Body, Compaction, Conversation, ConversationId, Fork, Message, MessageId, Order};

/// Which messages answer which: those of the shown branch, and all that answer the same ones.
#[derive(Clone, Debug, Default)]
pub struct Branches {
    /// What answers a message, oldest first; None: what begins the conversation.
    below: HashMap<Option<MessageId>, Vec<MessageId>>,
    above: HashMap<MessageId, Option<MessageId>>,
    /// Whole messages of a conversation that nothing else keeps, in the order in which they came.
    kept: Vec<Arc<Message>>,
    /// The summaries that stand for beginnings of branches.
    summaries: Vec<Compaction>,
}

/// Where a message stands among others that answer the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Siblings {
    /// The only one.
    Alone,
    /// Its place, from 1, and how many there are.
    Among { place: usize, of: usize },
    /// The branch that is shown ends here; so many that answer it are on other branches.
    Hidden(usize),
}

impl Branches {
    /// A message takes its place.
    pub(super) fn add(&mut self, message: &Message) {
        if !matches!(message.body, Body::Tool(_)) {
            self.put(message.parent.clone(), message.id.clone());
        }
    }

    fn put(&mut self, parent: Option<MessageId>, id: MessageId) {
        if self.above.insert(id.clone(), parent.clone()).is_none() {
            self.below.entry(parent).or_default().push(id);
        }
    }

    /// All that is known of a conversation's tree, as it was opened.
    pub(super) fn read(&mut self, conversation: &Conversation) {
        let kept = std::mem::take(&mut self.kept);
        *self = Self { kept, summaries: conversation.compactions(), ..Self::default() };
        for Fork { parent, messages } in &conversation.forks {
            for id in messages {
                self.put(parent.clone(), id.clone());
            }
        }
        for message in &conversation.messages {
            self.add(message);
        }
    }

    /// Whether the whole messages are kept here; told again with every message that comes.
    pub(super) fn keep(&mut self, message: &Arc<Message>, stored: bool) {
        if stored {
            self.kept = Vec::new();
            return;
        }
        match self.kept.iter_mut().find(|known| known.id == message.id) {
            Some(known) => *known = Arc::clone(message),
            None => self.kept.push(Arc::clone(message)),
        }
    }

    pub(super) fn summaries(&self) -> &[Compaction] {
        &self.summaries
    }

    /// A summary stands from now on, in place of one for the same messages.
    pub(super) fn put_summary(&mut self, one: Compaction) {
        one.put(&mut self.summaries);
    }

    pub(super) fn change_summary(&mut self, upto: &MessageId, change: impl FnOnce(&mut Compaction)) {
        if let Some(one) = self.summaries.iter_mut().find(|one| one.upto == *upto) {
            change(one);
        }
    }

    /// All that answers the same, oldest first.
    fn siblings(&self, id: &MessageId) -> &[MessageId] {
        let parent = self.above.get(id);
        parent.and_then(|parent| self.below.get(parent)).map(Vec::as_slice).unwrap_or_default()
    }

    fn answers(&self, id: &MessageId) -> &[MessageId] {
        self.below.get(&Some(id.clone())).map(Vec::as_slice).unwrap_or_default()
    }

    /// A whole message, where it is kept here.
    #[cfg(test)]
    pub(super) fn whole(&self, id: &MessageId) -> Option<Arc<Message>> {
        self.kept.iter().find(|message| message.id == *id).cloned()
    }

    /// From the first message through this one to the newest below it; None where one of them is not kept here.
    fn path_through(&self, id: &MessageId) -> Option<Vec<Arc<Message>>> {
        // Each came after what it answers.
        let mut below: HashSet<&MessageId> = HashSet::from([id]);
        let mut at = self.kept.iter().find(|message| message.id == *id)?;
        for message in &self.kept {
            if message.parent.as_ref().is_some_and(|parent| below.contains(parent)) {
                below.insert(&message.id);
                at = message;
            }
        }
        let known: HashMap<&MessageId, &Arc<Message>> = self.kept.iter().map(|one| (&one.id, one)).collect();
        let mut path = vec![Arc::clone(at)];
        while let Some(parent) = path.last().and_then(|message| message.parent.clone()) {
            path.push(Arc::clone(known.get(&parent)?));
        }
        path.reverse();
        Some(path)
    }
}

/// Tells the engine what is shown, as it was read: what it remembers may be another branch, or older than what another
/// process wrote.
pub(super) fn tell_path(conversation: &ConversationId, path: &[Arc<Message>], out: &mut Vec<Effect>) {
    let path = path.iter().map(|message| message.id.clone()).collect();
    out.push(Effect::Order(Order::Branch { conversation: conversation.clone(), path }));
}

impl State {
    /// Where the message of an entry stands.
    #[must_use]
    pub fn siblings(&self, entry: &Entry) -> Siblings {
        let branches = &self.transcript.branches;
        let Some(id) = &entry.message else { return Siblings::Alone };
        let siblings = branches.siblings(id);
        if let (of @ 2.., Some(at)) = (siblings.len(), siblings.iter().position(|one| one == id)) {
            return Siblings::Among { place: at + 1, of };
        }
        let last = || self.transcript.entries.iter().rev().find(|one| one.message.is_some()).map(|one| one.key);
        match branches.answers(id).len() {
            0 => Siblings::Alone,
            n if self.transcript.turn.is_none() && last() == Some(entry.key) => Siblings::Hidden(n),
            _ => Siblings::Alone,
        }
    }

    /// The entry whose branches are walked: the chosen one or the nearest above it that has some; else the last.
    fn fork_at_hand(&self) -> Option<&Entry> {
        let upto = self.transcript.selected.unwrap_or(u64::MAX);
        let mut entries = self.transcript.entries.iter().rev().filter(|entry| entry.key <= upto);
        entries.find(|entry| self.siblings(entry) != Siblings::Alone)
    }

    /// Whether the keys that walk do something now.
    #[must_use]
    pub fn walks(&self) -> bool {
        self.transcript.turn.is_none() && !self.transcript.open_elsewhere && self.fork_at_hand().is_some()
    }

    /// Goes to the branch beside the one that is shown.
    pub(super) fn walk(&mut self, forward: bool, out: &mut Vec<Effect>) {
        if self.transcript.turn.is_some() {
            return self.say("an answer is still coming on this branch: {app.back} stops it", out);
        }
        let Some(conversation) = self.transcript.conversation.clone() else {
            return self.say("there is no other branch: a conversation begins with its first message", out);
        };
        if self.transcript.open_elsewhere {
            return self.say("another millrace has this conversation: its branch is the one that is shown", out);
        }
        let Some(entry) = self.fork_at_hand() else {
            return self.say(
                "there is no other branch here: {transcript.edit} edits a message, {transcript.again} answers again",
                out,
            );
        };
        let Some(id) = entry.message.clone() else { return };
        let branches = &self.transcript.branches;
        let to = match self.siblings(entry) {
            Siblings::Alone => return,
            Siblings::Hidden(_) => branches.answers(&id).last(),
            Siblings::Among { place, of } => {
                let siblings = branches.siblings(&id);
                let next = if forward { Some(place) } else { (place - 1).checked_sub(1) };
                match next.and_then(|at| siblings.get(at)) {
                    Some(to) => Some(to),
                    None if forward => return self.say(format!("this is the last of {of} branches"), out),
                    None => return self.say(format!("this is the first of {of} branches"), out),
                }
            }
        };
        let Some(to) = to.cloned() else { return };
        if let Some(path) = branches.path_through(&to) {
            self.show_branch(&conversation, &path, &to, false, out);
            return self.measure_context(&path, None);
        }
        let generation = self.session.fresh();
        self.open_generation = generation;
        out.push(Effect::Walk { generation, conversation, message: to });
    }

    /// The branch that was walked to, as it is kept.
    pub(super) fn walked(
        &mut self,
        generation: u64,
        message: &MessageId,
        conversation: &Conversation,
        out: &mut Vec<Effect>,
    ) {
        let id = &conversation.summary.id;
        // Something else was asked for, or begun, meanwhile.
        let here = self.transcript.conversation.as_ref() == Some(id) && self.transcript.turn.is_none();
        if generation != self.open_generation || !here {
            return;
        }
        self.transcript.branches.read(conversation);
        let message = spoken(&conversation.messages, message);
        self.show_branch(id, &conversation.messages, message, conversation.summary.interrupted, out);
        self.measure_context(&conversation.messages, conversation.summary.tokens);
    }

    /// Shows another path of the conversation that is on the screen. What both have stays as it is.
    fn show_branch(
        &mut self,
        conversation: &ConversationId,
        path: &[Arc<Message>],
        chosen: &MessageId,
        interrupted: bool,
        out: &mut Vec<Effect>,
    ) {
        tell_path(conversation, path, out);
        self.lay_path(path, interrupted);
        self.transcript.last = None;
        self.transcript.find = None;
        self.transcript.unmark();
        self.find_attached();
        self.panel.settle(&self.calls);
        self.rebase_draft();
        let key = self.transcript.entries.iter().find(|one| one.message.as_ref() == Some(chosen)).map(|one| one.key);
        match key {
            Some(key) => {
                self.show(super::blocks::Spot { key, block: None });
                if self.focus == Focus::Composer {
                    // By command: the reader stays where the text is.
                    self.transcript.choose(None);
                }
            }
            None => self.transcript.scroll = Scroll::Follow,
        }
    }

    /// Puts this path into the transcript. What stands there already stays as it is.
    pub(super) fn lay_path(&mut self, path: &[Arc<Message>], interrupted: bool) {
        let on_path: HashSet<&MessageId> = path.iter().map(|message| &message.id).collect();
        let entries = &self.transcript.entries;
        let left = entries.iter().position(|one| one.message.as_ref().is_some_and(|id| !on_path.contains(id)));
        let both = entries[..left.unwrap_or(entries.len())].iter().rposition(|one| one.message.is_some());
        self.transcript.entries.truncate(both.map_or(0, |at| at + 1));
        let shown: HashSet<MessageId> = self.transcript.entries.iter().filter_map(|one| one.message.clone()).collect();
        let from = path.iter().rposition(|message| shown.contains(&message.id)).map_or(0, |at| at + 1);
        self.unroll(path, from, interrupted);
    }

    /// What is being written goes on answering the same message, where that is still shown; else the branch's last.
    fn rebase_draft(&mut self) {
        let Some(branch) = self.composer.branch.take() else { return };
        let entries = &self.transcript.entries;
        let at = match &branch.parent {
            None => Some(0),
            Some(parent) => entries
                .iter()
                .position(|one| one.message.as_ref() == Some(parent))
                .map(|at| at + usize::from(!branch.keep)),
        };
        let key = at.and_then(|at| entries.get(at)).map(|entry| entry.key);
        self.composer.branch = key.map(|key| super::composer::Branch { key, ..branch });
    }
}
