//! Several conversations: one is on the screen, others go on while their person reads or writes here.
//!
//! # Invariants
//! - A turn ends by its own end or by its person's word, never because another conversation was opened.
//! - What happens elsewhere changes nothing that is looked at here: no layer, no focus, no text.
//! - What was written stays with its conversation, sent or not.

use std::sync::Arc;

use super::branches::tell_path;
use super::calls::{Call, Calls};
use super::composer::Composer;
use super::effect::Effect;
use super::event::Timer;
use super::following::whole_part;
use super::panel::Panel;
use super::state::{Focus, State};
use super::status::{Context, Saved, Servers};
use super::transcript::{AnswerEntry, EntryBody, FaultChoices, FaultEntry, Scroll, SummaryEntry, Transcript};
use super::usage::UsageLog;
use crate::chat::{
    AnswerState, Body, Compaction, ContextParts, Conversation, ConversationId, Fault, FaultKind, LeftOut, Message,
    MessageId, Order, Stamp, Toolset, TurnEvent, TurnStatus,
};

/// Conversations that are kept here although nothing of them runs or waits: those that are on no disk.
const MOST_IDLE: usize = 8;

/// Columns of a title in a notice.
const NAMED: usize = 32;

/// A conversation that is not on the screen, as it was left and as it went on.
#[derive(Clone, Debug, Default)]
pub struct Elsewhere {
    pub transcript: Transcript,
    pub calls: Calls,
    panel: Panel,
    usage: UsageLog,
    composer: Composer,
    toolset: Toolset,
    searched: Option<(u32, u32)>,
    context: Option<Context>,
    answered: u64,
    sent: ContextParts,
    left_out: LeftOut,
    saved: Saved,
}

impl Elsewhere {
    #[must_use]
    pub fn runs(&self) -> bool {
        self.transcript.turn.is_some()
    }

    /// A call of it wants a decision.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.calls.waiting().next().is_some()
    }

    pub(super) fn attach_drafted(&mut self, servers: &Servers) {
        self.transcript.attach_drafted(&self.composer, servers);
    }

    fn is(&self, conversation: &ConversationId) -> bool {
        self.transcript.conversation.as_ref() == Some(conversation)
    }

    /// Its title in quotation marks.
    fn name(&self) -> String {
        let title = crate::text::sanitize(self.transcript.title.trim()).one_line();
        let title = crate::text::cut(title.as_str(), NAMED);
        if title.is_empty() { "a conversation".to_owned() } else { format!("\"{title}\"") }
    }
}

/// The message itself, or the answer whose call it is the outcome of.
pub(super) fn spoken<'a>(path: &'a [Arc<Message>], message: &'a MessageId) -> &'a MessageId {
    let upto = path.iter().position(|one| one.id == *message).map_or(0, |at| at + 1);
    let found = path[..upto].iter().rev().find(|one| !matches!(one.body, Body::Tool(_)));
    found.map_or(message, |one| &one.id)
}

/// What is not written otherwise: a question that waits for a summary, and what is being written.
fn named_draft(transcript: &Transcript, composer: &Composer) -> String {
    let asked = transcript.turn.as_ref().and_then(|turn| turn.unwritten.clone());
    let written = Some(composer.expanded()).filter(|_| !composer.is_blank() || asked.is_none());
    asked.into_iter().chain(written).collect::<Vec<_>>().join("\n\n")
}

impl State {
    /// Puts away what is on the screen and leaves it empty. What runs goes on; what is on no disk is kept. `next` is
    /// where the person goes: to the same conversation, read again, nothing is kept.
    fn set_aside(&mut self, next: Option<&ConversationId>, out: &mut Vec<Effect>) {
        let same = next.is_some() && next == self.transcript.conversation.as_ref();
        if self.composer.unsaved_draft || !self.composer.is_empty() {
            self.keep_draft(out);
        }
        self.unfollow(out);
        let mut left = Elsewhere::default();
        left.transcript.next_key = self.session.fresh() << 32;
        left.transcript.unfolded = self.transcript.unfolded;
        left.transcript.role.clone_from(&self.session.casting.first);
        self.exchange(&mut left);
        self.overlays.clear();
        self.focus = Focus::Composer;
        let said = !left.transcript.entries.is_empty();
        let on_disk = matches!(left.saved, Saved::At(_)) && left.transcript.conversation.is_some();
        let busy = left.runs() || left.composer.awaits();
        let needed = busy || !left.transcript.queued.is_empty() || (said && !on_disk);
        if same {
            return self.composer.exchange_drafts(&mut left.composer);
        }
        if !needed {
            return;
        }
        self.elsewhere.push(left);
        let idle = |one: &Elsewhere| !one.runs() && !one.composer.awaits() && one.transcript.queued.is_empty();
        while self.elsewhere.iter().filter(|one| idle(one)).count() > MOST_IDLE {
            let Some(oldest) = self.elsewhere.iter().position(idle) else { break };
            self.elsewhere.remove(oldest);
        }
    }

    /// Exchanges all that belongs to one conversation. What belongs to the session stays.
    fn exchange(&mut self, other: &mut Elsewhere) {
        use std::mem::swap;
        swap(&mut self.transcript, &mut other.transcript);
        swap(&mut self.calls, &mut other.calls);
        swap(&mut self.panel, &mut other.panel);
        swap(&mut self.panel.hidden, &mut other.panel.hidden);
        swap(&mut self.usage, &mut other.usage);
        self.composer.exchange_drafts(&mut other.composer);
        swap(&mut self.toolbox.toolset, &mut other.toolset);
        swap(&mut self.toolbox.searched, &mut other.searched);
        swap(&mut self.status.context, &mut other.context);
        swap(&mut self.status.answered, &mut other.answered);
        swap(&mut self.status.sent, &mut other.sent);
        swap(&mut self.status.left_out, &mut other.left_out);
        // Whether a session saves at all is told once: it holds for the conversations to come.
        if matches!(self.status.saved, Saved::At(_)) || !matches!(other.saved, Saved::Nothing) {
            swap(&mut self.status.saved, &mut other.saved);
        } else {
            other.saved = self.status.saved.clone();
        }
    }

    /// An empty conversation.
    pub(super) fn start_new(&mut self, out: &mut Vec<Effect>) {
        self.set_aside(None, out);
        self.play_role(out);
        self.panel.settle(&self.calls);
        out.push(Effect::Newest);
    }

    /// Opens a conversation: as it goes on where it does, else as it was kept.
    pub(super) fn open(&mut self, conversation: ConversationId, out: &mut Vec<Effect>) {
        self.open_at(conversation, None, out);
    }

    /// Opens it where one of its messages stands.
    pub(super) fn open_at(&mut self, conversation: ConversationId, at: Option<MessageId>, out: &mut Vec<Effect>) {
        if self.transcript.conversation.as_ref() == Some(&conversation) && !self.transcript.open_elsewhere {
            self.overlays.clear();
            self.focus = Focus::Composer;
            return self.turn_to(conversation, at, out);
        }
        if let Some(place) = self.elsewhere.iter().position(|one| one.is(&conversation)) {
            self.bring(place, out);
            return self.turn_to(conversation, at, out);
        }
        self.opens_at.clone_from(&at);
        let generation = self.session.fresh();
        self.open_generation = generation;
        let here = self.transcript.turn.as_ref().and(self.transcript.conversation.clone());
        // What is kept here is shown as it is, also once its turn has ended: nobody else may write it meanwhile.
        let there = self.elsewhere.iter();
        let running = there.filter_map(|one| one.transcript.conversation.clone()).chain(here).collect();
        out.push(Effect::Open { generation, conversation, at, running });
    }

    /// Goes to a message of the conversation that is shown, on whatever branch.
    fn turn_to(&mut self, conversation: ConversationId, at: Option<MessageId>, out: &mut Vec<Effect>) {
        let Some(message) = at else { return };
        if self.reach(&message, &[]) || self.transcript.turn.is_some() || !matches!(self.status.saved, Saved::At(_)) {
            return;
        }
        let generation = self.session.fresh();
        self.open_generation = generation;
        out.push(Effect::Walk { generation, conversation, message });
    }

    /// Shows an entry's beginning: that of this message, or of the answer whose call it is the outcome of. False where
    /// it is not shown.
    pub(super) fn reach(&mut self, message: &MessageId, path: &[Arc<Message>]) -> bool {
        let wanted = spoken(path, message);
        let key = self.transcript.entries.iter().find(|one| one.message.as_ref() == Some(wanted)).map(|one| one.key);
        if let Some(key) = key {
            self.go_to(key);
            if self.focus == Focus::Composer {
                // The reader stays where the text is.
                self.transcript.choose(None);
            }
        }
        key.is_some()
    }

    /// The newest conversation of this folder that is not the one on the screen.
    pub(super) fn open_newest(&mut self, out: &mut Vec<Effect>) {
        match self.newest.as_ref().map(|newest| newest.id.clone()) {
            Some(newest) => self.open(newest, out),
            None => self.say("there is no earlier conversation in this folder", out),
        }
    }

    /// Goes to the conversation that waits for its person, else to the one that was left longest ago and still runs.
    pub(super) fn go_elsewhere(&mut self, out: &mut Vec<Effect>) {
        let waits = self.elsewhere.iter().position(Elsewhere::waits);
        let runs = || self.elsewhere.iter().position(Elsewhere::runs);
        match waits.or_else(runs).or_else(|| (!self.elsewhere.is_empty()).then_some(0)) {
            Some(at) => self.bring(at, out),
            None => self.say("no other conversation runs; {app.history} lists all", out),
        }
    }

    fn bring(&mut self, at: usize, out: &mut Vec<Effect>) {
        let mut wanted = self.elsewhere.remove(at);
        self.set_aside(None, out);
        self.exchange(&mut wanted);
        self.play_role(out);
        self.panel.settle(&self.calls);
        self.tick(out);
    }

    /// Takes an event of the engine to the conversation that it is about.
    pub(super) fn engine(&mut self, event: TurnEvent, at: Stamp, out: &mut Vec<Effect>) {
        if let TurnEvent::Saved { conversation, at_ms } = &event
            && let Some(one) = self.elsewhere.iter_mut().find(|one| one.is(conversation))
        {
            one.saved = Saved::At(*at_ms);
            return;
        }
        // Questions of servers are the session's.
        let turn = event.turn().filter(|_| !matches!(event, TurnEvent::Inquiry { .. }));
        let there = |one: &Elsewhere| turn.is_some() && one.transcript.turn.as_ref().map(|turn| turn.id) == turn;
        match self.elsewhere.iter().position(there) {
            Some(place) => self.engine_elsewhere(place, event, at, out),
            None => self.engine_here(event, at, out),
        }
    }

    /// As if that conversation were on the screen, with nobody looking.
    fn engine_elsewhere(&mut self, place: usize, event: TurnEvent, at: Stamp, out: &mut Vec<Effect>) {
        let mut there = std::mem::take(&mut self.elsewhere[place]);
        let ends = matches!(event, TurnEvent::Ended { .. });
        let waited = there.calls.waiting().count();
        let looked_at = (std::mem::take(&mut self.overlays), self.focus, self.status.twice.take());
        let hint = self.status.hint.take();
        self.exchange(&mut there);
        // What waits there to be sent goes in that conversation's role.
        self.hold_role(true);
        let mut effects = Vec::new();
        self.engine_here(event, at, &mut effects);
        self.exchange(&mut there);
        self.hold_role(true);
        (self.overlays, self.focus, self.status.twice) = looked_at;
        self.status.hint = hint;
        out.extend(effects.into_iter().filter(|effect| !matches!(effect, Effect::Notify(_))));
        let news = if there.calls.waiting().count() > waited {
            Some(("needs your approval", "another conversation needs your approval"))
        } else if ends && !there.runs() {
            Some(match there.transcript.last.as_ref().and_then(|turn| turn.status) {
                Some(TurnStatus::Ok) => ("is complete", "the answer in another conversation is complete"),
                Some(TurnStatus::Failed | TurnStatus::Limit) => {
                    ("broke off", "the answer in another conversation broke off")
                }
                Some(TurnStatus::Cancelled) | None => ("was stopped", "the answer in another conversation was stopped"),
            })
        } else {
            None
        };
        let asks = there.calls.waiting().count() > waited;
        let name = there.name();
        self.elsewhere[place] = there;
        if let Some((did, plain)) = news {
            let news = if asks { format!("{name} {did}") } else { format!("the answer in {name} {did}") };
            self.call_person(plain, news.clone(), out);
            self.say(format!("{news}: {{app.elsewhere}} goes there"), out);
        }
    }

    /// Stops every turn, here and elsewhere.
    pub(super) fn stop_all(&mut self, out: &mut Vec<Effect>) {
        let turns = self.elsewhere.iter().filter_map(|one| one.transcript.turn.as_ref());
        let here = self.transcript.turn.as_ref().filter(|_| !self.answered_elsewhere());
        for turn in turns.chain(here) {
            out.push(Effect::Order(Order::CancelTurn { turn: turn.id }));
        }
    }

    /// Calls that run, of every conversation.
    pub(super) fn all_running(&self) -> impl Iterator<Item = &Call> {
        self.calls.running().chain(self.elsewhere.iter().flat_map(|one| one.calls.running()))
    }

    /// Whether a conversation answers now, here or elsewhere.
    #[must_use]
    pub fn answers(&self, conversation: &ConversationId) -> bool {
        let here = self.transcript.turn.is_some() && self.transcript.conversation.as_ref() == Some(conversation);
        here || self.elsewhere.iter().any(|one| one.runs() && one.is(conversation))
    }

    /// Whether opening it only turns to what is here already.
    pub(super) fn goes_on(&self, conversation: &ConversationId) -> bool {
        let here = self.transcript.conversation.as_ref() == Some(conversation);
        here || self.elsewhere.iter().any(|one| one.is(conversation))
    }

    /// What is being written, here first.
    pub(super) fn composers(&mut self) -> impl Iterator<Item = &mut Composer> {
        std::iter::once(&mut self.composer).chain(self.elsewhere.iter_mut().map(|one| &mut one.composer))
    }

    /// A conversation was erased: nothing of it stays here, and what still runs of it is stopped.
    pub(super) fn forget(&mut self, conversation: &ConversationId, out: &mut Vec<Effect>) {
        for one in self.elsewhere.extract_if(.., |one| one.is(conversation)) {
            if let Some(turn) = &one.transcript.turn {
                out.push(Effect::Order(Order::CancelTurn { turn: turn.id }));
            }
        }
    }

    /// A conversation has another title.
    pub(super) fn renamed(&mut self, conversation: &ConversationId, title: &str) {
        let there = self.elsewhere.iter_mut().map(|one| &mut one.transcript);
        for transcript in there.chain([&mut self.transcript]) {
            if transcript.conversation.as_ref() == Some(conversation) {
                title.clone_into(&mut transcript.title);
            }
        }
    }

    /// Whether what is said and written in the shown conversation goes to the store.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.keeps(&self.transcript)
    }

    fn keeps(&self, transcript: &Transcript) -> bool {
        !self.session.settings.no_save && !transcript.incognito
    }

    pub(super) fn keep_draft(&mut self, out: &mut Vec<Effect>) {
        if std::mem::take(&mut self.composer.unsaved_draft) {
            out.push(Effect::CancelTimer(Timer::Draft(self.composer.draft_generation)));
        }
        if !self.is_kept() {
            return;
        }
        let conversation = self.transcript.conversation.clone();
        let text = match conversation {
            Some(_) => named_draft(&self.transcript, &self.composer),
            None => self.nameless_draft(),
        };
        out.push(Effect::SaveDraft { conversation, text });
    }

    /// Conversations that have no name yet share one place: what is written in each, the shown one's first.
    fn nameless_draft(&self) -> String {
        let here = (&self.transcript, &self.composer);
        let all = std::iter::once(here).chain(self.elsewhere.iter().map(|one| (&one.transcript, &one.composer)));
        let nameless = all.filter(|(transcript, composer)| {
            transcript.conversation.is_none() && self.keeps(transcript) && !composer.is_blank()
        });
        nameless.map(|(_, composer)| composer.expanded()).collect::<Vec<_>>().join("\n\n")
    }

    pub(super) fn usage_of(&mut self, conversation: &ConversationId) -> Option<&mut UsageLog> {
        if self.transcript.conversation.as_ref() == Some(conversation) {
            return Some(&mut self.usage);
        }
        let there = self.elsewhere.iter_mut().find(|one| one.transcript.conversation.as_ref() == Some(conversation));
        there.map(|there| &mut there.usage)
    }

    /// What is being written in a conversation that is not shown was changed.
    pub(super) fn keep_draft_elsewhere(&self, place: usize, out: &mut Vec<Effect>) {
        let Some(there) = self.elsewhere.get(place).filter(|there| self.keeps(&there.transcript)) else { return };
        let conversation = there.transcript.conversation.clone();
        let text = match conversation {
            Some(_) => named_draft(&there.transcript, &there.composer),
            None => self.nameless_draft(),
        };
        out.push(Effect::SaveDraft { conversation, text });
    }

    /// Shows a conversation as it was kept.
    pub(super) fn load(&mut self, conversation: Conversation, out: &mut Vec<Effect>) {
        self.set_aside(Some(&conversation.summary.id), out);
        tell_path(&conversation.summary.id, &conversation.messages, out);
        self.take_toolset(conversation.toolset());
        self.transcript.system = conversation.held_system().map(str::to_owned);
        self.take_role(conversation.role(), out);
        self.transcript.conversation = Some(conversation.summary.id.clone());
        self.transcript.title.clone_from(&conversation.summary.title);
        self.transcript.open_elsewhere = conversation.open_elsewhere;
        self.transcript.branches.read(&conversation);
        let interrupted = conversation.summary.interrupted && !conversation.open_elsewhere;
        let whole =
            if conversation.open_elsewhere { whole_part(&conversation.messages) } else { conversation.messages.len() };
        self.unroll(&conversation.messages[..whole], 0, interrupted);
        let (there, here) = (self.session.shown(&conversation.summary.folder), &self.session.folder);
        if !there.is_empty() && !here.is_empty() && there != *here {
            let said = format!("This conversation belongs to {there}. Tools run here: {here}.");
            self.transcript.push(EntryBody::Note(said), conversation.summary.updated, None);
        }
        self.find_attached();
        self.panel.settle(&self.calls);
        self.measure_context(&conversation.messages, conversation.summary.tokens);
        self.ask_usage(out);
        for one in self.transcript.branches.summaries() {
            self.usage.summarised(one, self.session.prices);
        }
        for one in conversation.asides() {
            let cost = self.cost_aside(&one);
            self.usage.asked_aside(&one, cost);
        }
        self.status.saved = Saved::At(conversation.summary.updated);
        self.transcript.scroll = Scroll::Follow;
        self.overlays.clear();
        self.focus = Focus::Composer;
        self.follow_elsewhere(out);
    }

    /// How much of the context a conversation takes that was not watched.
    pub(super) fn measure_context(&mut self, path: &[Arc<Message>], told: Option<u64>) {
        // The tools of now may be others than those of then: the rest shares what was counted.
        let summary = Compaction::on(self.transcript.branches.summaries(), path);
        // What was counted before a summary was written says nothing of the next request.
        let told = told.filter(|_| summary.is_none_or(|(one, _)| path.last().is_some_and(|last| last.at >= one.at)));
        let (sent, left_out) = match summary {
            Some((summary, count)) => {
                let summarised = u32::try_from(count).unwrap_or(u32::MAX);
                (&summary.applied(path, count)[..], LeftOut { summarised, referred: 0 })
            }
            None => (path, LeftOut::default()),
        };
        let messages = sent.iter().map(|message| &**message);
        self.status.sent = ContextParts::of(self.session.settings.system.as_deref(), 0, messages);
        (self.status.answered, self.status.left_out) = (0, left_out);
        self.status.context = Some(match told {
            Some(tokens) => Context { tokens, estimated: false },
            None => Context { tokens: self.status.sent.estimated_tokens(), estimated: true },
        });
    }

    /// Puts messages that were not watched into the transcript, from a place of their path on; the calls of its last
    /// turn are the panel's. `interrupted`: what stands last is no whole answer.
    pub(super) fn unroll(&mut self, path: &[Arc<Message>], from: usize, interrupted: bool) {
        let mut last_turn = Vec::new();
        let mut round = 0;
        for (at, message) in path.iter().enumerate() {
            let new = at >= from;
            match &message.body {
                Body::User(parts) => {
                    last_turn.clear();
                    round = 0;
                    if new {
                        self.transcript.push(EntryBody::User(parts.clone()), message.at, Some(message.id.clone()));
                    }
                }
                Body::Assistant(answer) => {
                    round += 1;
                    last_turn.extend(answer.calls.iter().map(|call| call.id.clone()));
                    if new {
                        for call in &answer.calls {
                            self.calls.settle(call, None, round, self.now);
                        }
                        let thinking = self.transcript.unfolded.then_some(true);
                        let body = AnswerEntry { thinking, ..AnswerEntry::stored(answer, round) };
                        self.transcript.push(EntryBody::Answer(body), message.at, Some(message.id.clone()));
                    }
                }
                Body::Tool(tool) if new => self.calls.outcome(&tool.call, &tool.outcome, None),
                Body::Tool(_) => {}
            }
            // The row behind the last message that stays went with what was left.
            let summary = self.transcript.branches.summaries().iter().find(|one| one.upto == message.id);
            if let Some(one) = summary.filter(|one| !one.undone && at + 1 >= from).cloned() {
                let at = one.at;
                self.transcript.push(EntryBody::Summary(SummaryEntry { compaction: one, open: false }), at, None);
            }
        }
        self.calls.this_turn = last_turn;
        // Also where a call was the last that is known, or nothing had come yet.
        let broken = path.last().is_some_and(
            |message| matches!(&message.body, Body::Assistant(answer) if answer.state != AnswerState::Complete),
        );
        if (broken && !self.transcript.open_elsewhere) || interrupted {
            let fault = Fault::new(FaultKind::Truncated, "The last answer was interrupted; what came is kept.");
            let body = FaultEntry { fault, choices: FaultChoices::Cut, calls_kept: 0, settled: false };
            self.transcript.push(EntryBody::Fault(body), self.now.wall_ms, None);
        }
    }
}
