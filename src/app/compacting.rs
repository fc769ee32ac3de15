//! Summaries in place of older messages: asked for, shown as a row where they stand, edited and taken back.

use std::sync::Arc;

use super::effect::{EditorUse, Effect};
use super::model::Then;
use super::state::State;
use super::transcript::{EntryBody, FaultChoices, Phase, Scroll, SummaryEntry, Transcript};
use super::usage::NEARLY_FULL;
use crate::chat::{
    CompactMode, Compaction, CompactionStep, ConversationId, Fault, FaultKind, MessageId, NoticeKind, Order, Part,
    TurnId,
};

const OPEN_ELSEWHERE: &str = "this conversation is open in another millrace";

/// What follows a summary that a person asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterSummary {
    Nothing,
    /// The question that did not fit is asked again.
    AskAgain,
    /// The answer goes on behind the calls that ran.
    Continue,
}

/// What was written of a message; what it attached is named there.
fn words(parts: &[Part]) -> String {
    let texts = parts.iter().filter_map(|part| match part {
        Part::Text { text } => Some(text.as_str()),
        Part::File { .. } | Part::Image { .. } => None,
    });
    texts.collect::<Vec<_>>().join("\n\n")
}

impl State {
    /// `/compact`: with what to keep in mind, or `undo`.
    pub(super) fn compact(&mut self, rest: &str, out: &mut Vec<Effect>) {
        match rest.trim() {
            "undo" => self.undo_summary(out),
            note => self.order_summary(note, AfterSummary::Nothing, out),
        }
    }

    fn order_summary(&mut self, note: &str, after: AfterSummary, out: &mut Vec<Effect>) {
        if self.transcript.turn.is_some() {
            return self.say("an answer is still coming: {app.back} stops it", out);
        }
        let Some(conversation) = self.transcript.conversation.clone() else {
            return self.say("there is nothing to summarise yet", out);
        };
        if self.transcript.open_elsewhere {
            return self.say(OPEN_ELSEWHERE, out);
        }
        if self.session.connection.is_none() {
            return self.open_welcome(out);
        }
        if self.session.settings.model.is_empty() {
            return self.open_models(Then::Nothing, out);
        }
        let turn = self.session.turn();
        let settings = Box::new(self.turn_settings());
        self.watch(turn, true);
        if let Some(open) = &mut self.transcript.turn {
            open.phase = Phase::Summarising;
            open.summary = Some(after);
        }
        out.push(Effect::Order(Order::Compact { turn, conversation, note: note.to_owned(), settings }));
    }

    /// The request did not fit: what is older is summarised, then it is asked again. Calls that ran are not run again.
    pub(super) fn compact_and_ask(&mut self, out: &mut Vec<Effect>) {
        let ran = self.transcript.open_fault().is_some_and(|fault| fault.calls_kept > 0);
        let after = if ran { AfterSummary::Continue } else { AfterSummary::AskAgain };
        self.order_summary("", after, out);
    }

    /// Takes back the summary that is chosen, else the one that holds.
    pub(super) fn undo_summary(&mut self, out: &mut Vec<Effect>) {
        let Some(conversation) = self.transcript.conversation.clone() else {
            return self.say("there is no summary to take back", out);
        };
        if self.transcript.open_elsewhere {
            return self.say(OPEN_ELSEWHERE, out);
        }
        match self.transcript.summary_at_hand() {
            Some(summary) => {
                let upto = summary.compaction.upto.clone();
                out.push(Effect::Order(Order::Summary { conversation, upto, text: None }));
            }
            None => self.say("there is no summary to take back", out),
        }
    }

    /// Opens the chosen summary in the person's editor. False where none is chosen.
    pub(super) fn edit_summary(&mut self, out: &mut Vec<Effect>) -> bool {
        let chosen = self.transcript.selected.and_then(|key| self.transcript.entry(key));
        let (Some(conversation), Some(EntryBody::Summary(summary))) =
            (self.transcript.conversation.clone(), chosen.map(|entry| &entry.body))
        else {
            return false;
        };
        if self.transcript.open_elsewhere {
            self.say(OPEN_ELSEWHERE, out);
            return true;
        }
        let what = EditorUse::Summary { conversation, upto: summary.compaction.upto.clone() };
        out.push(Effect::Editor { what, text: summary.compaction.text.clone(), extension: "md" });
        true
    }

    pub(super) fn summary_edited(
        &mut self,
        conversation: ConversationId,
        upto: MessageId,
        text: &str,
        out: &mut Vec<Effect>,
    ) {
        if text.trim().is_empty() {
            return self.say("nothing was written, nothing has changed; /compact undo takes a summary back", out);
        }
        out.push(Effect::Order(Order::Summary { conversation, upto, text: Some(text.trim().to_owned()) }));
    }

    /// What the engine tells of summaries.
    pub(super) fn compaction(&mut self, conversation: &ConversationId, step: CompactionStep, out: &mut Vec<Effect>) {
        match step {
            CompactionStep::Began { turn, messages: _ } => {
                if let Some(open) = self.transcript.turn.as_mut().filter(|open| open.id == turn) {
                    open.phase = Phase::Summarising;
                    let asked = self.transcript.entries.last().filter(|entry| entry.message.is_none());
                    open.unwritten = asked.and_then(|entry| match &entry.body {
                        EntryBody::User(parts) => Some(words(parts)),
                        EntryBody::Answer(_) | EntryBody::Fault(_) | EntryBody::Note(_) | EntryBody::Summary(_) => None,
                    });
                    if open.unwritten.is_some() {
                        self.keep_draft(out);
                    }
                }
            }
            CompactionStep::Done { turn, compaction, next } => {
                let here = self.transcript.turn.as_ref().is_some_and(|open| open.id == turn);
                if !here {
                    return;
                }
                self.usage.summarised(&compaction, self.session.prices);
                // The next request is another one: what was counted says nothing of it.
                self.status.context = None;
                let count = compaction.messages;
                self.transcript.put_summary(&compaction, next.as_ref());
                self.say(
                    format!("{count} messages summarised; they stay here, and /compact undo sends them again"),
                    out,
                );
                self.summary_over(turn, true, out);
            }
            CompactionStep::Failed { turn, fault } => {
                if self.transcript.turn.as_ref().is_none_or(|open| open.id != turn) {
                    return;
                }
                match fault.kind {
                    // They say all of it.
                    FaultKind::Cancelled | FaultKind::Usage => self.fault_notice(&fault, out),
                    FaultKind::Internal
                    | FaultKind::Config
                    | FaultKind::Auth
                    | FaultKind::Network
                    | FaultKind::Provider
                    | FaultKind::RateLimit
                    | FaultKind::Context
                    | FaultKind::Truncated
                    | FaultKind::Protocol
                    | FaultKind::Limit
                    | FaultKind::NoModel
                    | FaultKind::Store => {
                        let message = format!("No summary was written. {}", fault.message);
                        self.fault_notice(&Fault { message, ..fault }, out);
                    }
                }
                self.summary_over(turn, false, out);
            }
            CompactionStep::Edited { upto, text } => {
                if let Some(transcript) = self.transcript_of(conversation) {
                    transcript.branches.change_summary(&upto, |summary| summary.rewrite(&text));
                    transcript.change_summary(&upto, |summary| summary.compaction.rewrite(&text));
                }
                self.say("the summary is as you wrote it, from the next message on", out);
            }
            CompactionStep::Undone { upto } => {
                if let Some(transcript) = self.transcript_of(conversation) {
                    transcript.branches.change_summary(&upto, |summary| summary.undone = true);
                    transcript.take_summary(&upto);
                }
                self.say("the summary is taken back: the messages themselves are sent again", out);
            }
            CompactionStep::LeftOut { turn, left } => {
                if self.transcript.turn.as_ref().is_some_and(|open| open.id == turn) {
                    self.status.left_out = left;
                }
            }
        }
    }

    /// A summary was written, or not: what waited for it goes on.
    fn summary_over(&mut self, turn: TurnId, done: bool, out: &mut Vec<Effect>) {
        let Some(open) = self.transcript.turn.as_mut().filter(|open| open.id == turn) else { return };
        let Some(after) = open.summary else {
            open.phase = Phase::Waiting;
            return;
        };
        self.transcript.turn = None;
        self.disarm(out);
        match after {
            AfterSummary::AskAgain if done => {
                let settings = self.turn_settings();
                self.answer_again(settings, out);
            }
            AfterSummary::Continue if done => self.go_on(out),
            AfterSummary::Nothing if done => self.send_queued(out),
            // The choices are there again.
            AfterSummary::AskAgain | AfterSummary::Continue => self.transcript.reopen_fault(),
            AfterSummary::Nothing => {}
        }
    }

    pub(super) fn transcript_of(&mut self, conversation: &ConversationId) -> Option<&mut Transcript> {
        let there = self.elsewhere.iter_mut().map(|one| &mut one.transcript);
        std::iter::once(&mut self.transcript).chain(there).find(|one| one.conversation.as_ref() == Some(conversation))
    }

    /// Says once that the context has become short, and what can be done.
    pub(super) fn say_short(&mut self, before: Option<f64>, out: &mut Vec<Effect>) {
        let rules = self.session.settings.compact;
        let least = match rules.mode {
            CompactMode::Off => NEARLY_FULL,
            CompactMode::Ask | CompactMode::Auto => rules.at,
        };
        let Some(share) = self.context_share().filter(|share| *share >= least) else { return };
        if before.is_some_and(|before| before >= least) {
            return;
        }
        let percent = share * 100.0;
        let rest = match rules.mode {
            CompactMode::Off => "/usage shows with what, /models has larger ones, /new begins anew",
            CompactMode::Ask => "/compact summarises what is older, /usage shows with what, /new begins anew",
            CompactMode::Auto => "what is older is summarised before your next message leaves; /usage shows with what",
        };
        self.notice(NoticeKind::Info, format!("The context is {percent:.0} % full: {rest}."), out);
    }
}

impl Transcript {
    /// Puts a summary's row where it stands: before the first message that it does not stand for.
    pub(super) fn put_summary(&mut self, compaction: &Arc<Compaction>, next: Option<&MessageId>) {
        self.take_summary(&compaction.upto);
        self.branches.put_summary(Compaction::clone(compaction));
        let known = next.and_then(|next| self.entries.iter().position(|entry| entry.message.as_ref() == Some(next)));
        // A question that is just being asked has no name yet.
        let asked =
            self.entries.iter().rposition(|entry| !matches!(entry.body, EntryBody::Fault(_) | EntryBody::Note(_)));
        let asked = asked.filter(|at| {
            next.is_none()
                && self.entries[*at].message.is_none()
                && matches!(self.entries[*at].body, EntryBody::User(_))
        });
        let at = known.or(asked).unwrap_or(self.entries.len());
        let body = EntryBody::Summary(SummaryEntry { compaction: Compaction::clone(compaction), open: false });
        self.push(body, compaction.at, None);
        // Keys grow in order: each entry behind the row takes the next one, and whoever stands at it goes with it.
        let row = self.entries.len() - 1;
        let keys: Vec<u64> = self.entries[at..].iter().map(|entry| entry.key).collect();
        let moved = |key: u64| {
            let place = keys.iter().position(|old| *old == key);
            place.and_then(|place| keys.get(place + 1)).copied().unwrap_or(key)
        };
        self.selected = self.selected.map(moved);
        match &mut self.scroll {
            Scroll::Anchored(anchor) => anchor.key = moved(anchor.key),
            Scroll::Shown(spot) => spot.key = moved(spot.key),
            Scroll::Follow => {}
        }
        (self.until, self.marked) = (None, None);
        // No key has had this one with what it named before.
        let revision = self.entries[at..].iter().map(|entry| entry.revision).max().unwrap_or_default() + 1;
        self.entries[at..=row].rotate_right(1);
        for (entry, key) in self.entries[at..].iter_mut().zip(keys) {
            entry.key = key;
            entry.revision = revision;
        }
    }

    fn take_summary(&mut self, upto: &MessageId) {
        self.entries
            .retain(|entry| !matches!(&entry.body, EntryBody::Summary(summary) if summary.compaction.upto == *upto));
    }

    fn change_summary(&mut self, upto: &MessageId, change: impl FnOnce(&mut SummaryEntry)) {
        for entry in &mut self.entries {
            if let EntryBody::Summary(summary) = &mut entry.body
                && summary.compaction.upto == *upto
            {
                change(summary);
                entry.revision += 1;
                return;
            }
        }
    }

    /// The summary that is chosen, else the last.
    fn summary_at_hand(&self) -> Option<&SummaryEntry> {
        let summary = |entry: &'_ super::transcript::Entry| matches!(entry.body, EntryBody::Summary(_));
        let chosen = self.selected.and_then(|key| self.entry(key)).filter(|entry| summary(entry));
        match &chosen.or_else(|| self.entries.iter().rev().find(|entry| summary(entry)))?.body {
            EntryBody::Summary(summary) => Some(summary),
            EntryBody::User(_) | EntryBody::Answer(_) | EntryBody::Fault(_) | EntryBody::Note(_) => None,
        }
    }

    /// What went wrong last can be answered again: what was tried has come to nothing.
    fn reopen_fault(&mut self) {
        if let Some(entry) = self.entries.last_mut()
            && let EntryBody::Fault(fault) = &mut entry.body
            && fault.choices == FaultChoices::Compact
        {
            fault.settled = false;
            entry.revision += 1;
        }
    }
}
