//! The transcript: what was said, in the order of the screen, and where the reader stands in it.

use std::sync::Arc;

use super::blocks::{BlockAt, Spot};
use super::branches::Branches;
use super::compacting::AfterSummary;
use super::composer::{Attachment, Chip};
use super::marking::{Marked, Pressed};
use super::watching::Attached;
use crate::chat::{
    Answer, AnswerState, CallId, Compaction, ConversationId, Fault, Message, MessageId, Part, Stamp, TurnId,
    TurnStatus, TurnTimes, UnixMs,
};

#[derive(Clone, Debug, Default)]
pub struct Transcript {
    pub conversation: Option<ConversationId>,
    /// Raw; empty until there is one.
    pub title: String,
    pub open_elsewhere: bool,
    /// Written nowhere: it goes with its process.
    pub incognito: bool,
    /// The system prompt that it was held with, where it was kept with it and no role speaks of another.
    pub(super) system: Option<String>,
    /// The name of the role that it is held in.
    pub role: Option<String>,
    pub entries: Vec<Entry>,
    pub scroll: Scroll,
    /// The key of the entry that letters act on.
    pub selected: Option<u64>,
    /// The block of it, where not the whole entry is chosen.
    pub block: Option<BlockAt>,
    /// The other end of what a drag has chosen.
    pub until: Option<Spot>,
    pub find: Option<Find>,
    /// Messages typed while an answer streams: sent in order when it has ended.
    pub queued: Vec<Queued>,
    /// Resources that messages of this conversation hold, and the draft.
    pub attached: Vec<Attached>,
    pub branches: Branches,
    pub turn: Option<Turn>,
    /// The last turn that ended, for the header and the timeline.
    pub last: Option<Turn>,
    /// Text that the mouse has marked.
    pub marked: Option<Marked>,
    pub(super) pressed: Option<Pressed>,
    /// The mouse has chosen more than where it was pressed, and is still held.
    pub(super) dragged: bool,
    /// Thinking is shown unfolded unless a person folds it.
    pub unfolded: bool,
    /// The reader's last move was down: at the end that is following.
    pub(super) downward: bool,
    pub(super) next_key: u64,
}

/// One thing with a height. `key` is never reused; `revision` grows with every change of what is drawn, so that a
/// view can keep what it laid out.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key: u64,
    pub revision: u64,
    pub at: UnixMs,
    /// Known once the message is part of the conversation.
    pub message: Option<MessageId>,
    pub body: EntryBody,
}

#[derive(Clone, Debug)]
pub enum EntryBody {
    User(Vec<Part>),
    Answer(AnswerEntry),
    /// Something went wrong, with the choices that remain.
    Fault(FaultEntry),
    /// One line of the program's own.
    Note(String),
    /// What the model is sent in place of all that stands before it.
    Summary(SummaryEntry),
}

#[derive(Clone, Debug, Default)]
pub struct AnswerEntry {
    pub turn: Option<TurnId>,
    pub round: u32,
    pub model: String,
    /// In the order in which they came.
    pub pieces: Vec<Piece>,
    pub state: AnswerState,
    /// Text may still come.
    pub streaming: bool,
    pub finish: Option<String>,
    /// A person opened the thinking by hand, or closed it; None: open while it comes, folded after.
    pub thinking: Option<bool>,
    /// Calls of which more than their row is shown.
    pub unfolded: Vec<CallId>,
    /// The answer as it settled, where it has.
    pub settled: Option<Arc<Answer>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// `ms` once it ended, where it was watched.
    Thinking {
        text: String,
        ms: Option<u64>,
    },
    Text(String),
    Refusal(String),
    Call(CallId),
}

#[derive(Clone, Debug)]
pub struct SummaryEntry {
    pub compaction: Compaction,
    /// Its text is shown.
    pub open: bool,
}

#[derive(Clone, Debug)]
pub struct FaultEntry {
    pub fault: Fault,
    pub choices: FaultChoices,
    /// Calls that ran before a cut.
    pub calls_kept: u32,
    /// A choice was made, or another turn began: the letters no longer act.
    pub settled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultChoices {
    /// `k` another key, `m` another endpoint, `r` retry.
    Key,
    /// `c` continue, `r` ask again.
    Cut,
    /// `c` compact and ask again, `r` ask again.
    Compact,
    /// `r` ask again.
    Retry,
    None,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scroll {
    #[default]
    Follow,
    /// Never moved by anything but the reader.
    Anchored(Anchor),
    /// This is to be on the screen: where it is, nothing moves. The layout then tells the anchor.
    Shown(Spot),
}

/// The first visible line: `line` of the entry `key`, from 0. After a key it may lie outside the entry (negative:
/// above it); the view resolves that and hands the normal form back in the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    pub key: u64,
    pub line: isize,
}

#[derive(Clone, Debug, Default)]
pub struct Find {
    pub line: super::line::LineEdit,
    /// The caret is in the field.
    pub editing: bool,
    /// The blocks that match, in order; `at` is the current one.
    pub matches: Vec<Spot>,
    pub at: usize,
}

/// A message typed while an answer streams.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Queued {
    pub text: String,
    pub parts: Vec<Part>,
    /// What its text names, for when it is taken back.
    pub chips: Vec<Chip>,
    pub attachments: Vec<Attachment>,
    /// Handed over, to go with the next round's tool results. Where no round follows, it waits on as it did.
    pub handed_over: bool,
}

/// A turn as it is watched.
#[derive(Clone, Debug)]
pub struct Turn {
    pub id: TurnId,
    pub started: Stamp,
    pub ended: Option<Stamp>,
    pub status: Option<TurnStatus>,
    pub phase: Phase,
    pub round: u32,
    pub attempt: u32,
    /// Tools offered in the last request.
    pub tools: u32,
    /// Characters of text, reasoning and arguments of the present stream, and when its first came.
    pub stream_chars: u64,
    pub stream_began: Option<Stamp>,
    pub stream_last: Option<Stamp>,
    /// A person has asked to stop it.
    pub stopping: bool,
    /// It goes on, or asks again, without a new message.
    pub restated: bool,
    /// No turn: a summary that a person asked for, and what follows it.
    pub summary: Option<AfterSummary>,
    /// What was asked and waits for a summary: it is written with its turn, until then as a draft.
    pub unwritten: Option<String>,
    /// Its rounds; the calls are filled in by [`super::State::times`].
    pub times: TurnTimes,
}

/// What the turn is doing, for the header.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    /// The request is out; nothing has come.
    Waiting,
    /// And it has been long: milliseconds.
    Slow(u64),
    /// Older messages are being summarised.
    Summarising,
    Thinking,
    Writing,
    /// The stream is over, calls still run or wait.
    Tools,
    /// A failed request is sent again at this moment.
    Retrying {
        attempt: u32,
        at_us: u64,
        why: String,
    },
}

impl Transcript {
    /// Chooses an entry or a block of it; None: nothing.
    pub(super) fn choose(&mut self, spot: Option<Spot>) {
        self.selected = spot.map(|spot| spot.key);
        self.block = spot.and_then(|spot| spot.block);
        self.until = None;
        self.marked = None;
    }

    pub(super) fn push(&mut self, body: EntryBody, at: UnixMs, message: Option<MessageId>) -> u64 {
        self.next_key += 1;
        let key = self.next_key;
        self.entries.push(Entry { key, revision: 0, at, message, body });
        key
    }

    /// Changes the answer of a round, made where it is new.
    pub(super) fn answer(&mut self, turn: TurnId, round: u32, at: Stamp, change: impl FnOnce(&mut AnswerEntry)) {
        let place = match self.entries.iter().rposition(|entry| entry.answers(turn, round)) {
            Some(place) => place,
            None => {
                let model = self.turn.as_ref().map(|open| open.times.model.clone()).unwrap_or_default();
                let thinking = self.unfolded.then_some(true);
                let answer =
                    AnswerEntry { turn: Some(turn), round, model, streaming: true, thinking, ..AnswerEntry::default() };
                self.push(EntryBody::Answer(answer), at.wall_ms, None);
                self.entries.len() - 1
            }
        };
        let entry = &mut self.entries[place];
        if let EntryBody::Answer(answer) = &mut entry.body {
            change(answer);
            entry.revision += 1;
        }
    }

    /// The first round of a turn whose answer has not settled.
    pub(super) fn unsettled_round(&self, turn: TurnId) -> Option<u32> {
        self.entries.iter().find_map(|entry| match &entry.body {
            EntryBody::Answer(answer) if answer.turn == Some(turn) && answer.settled.is_none() => Some(answer.round),
            EntryBody::Answer(_)
            | EntryBody::User(_)
            | EntryBody::Fault(_)
            | EntryBody::Note(_)
            | EntryBody::Summary(_) => None,
        })
    }

    /// An answer became part of the conversation: it replaces what was streamed, in the order that was seen where the
    /// words are the same.
    pub(super) fn settle(&mut self, turn: TurnId, round: u32, message: &Message, answer: &Answer, at: Stamp) {
        self.answer(turn, round, at, |shown| shown.settle(answer));
        if let Some(entry) = self.entries.iter_mut().rev().find(|entry| entry.answers(turn, round)) {
            entry.message = Some(message.id.clone());
            entry.at = message.at;
        }
    }

    pub(super) fn entry_of_call(&mut self, call: &CallId) -> Option<&mut Entry> {
        self.entries.iter_mut().rev().find(|entry| match &entry.body {
            EntryBody::Answer(answer) => {
                answer.pieces.iter().any(|piece| matches!(piece, Piece::Call(id) if id == call))
            }
            EntryBody::User(_) | EntryBody::Fault(_) | EntryBody::Note(_) | EntryBody::Summary(_) => false,
        })
    }

    pub(super) fn end_answers(&mut self, turn: TurnId, status: TurnStatus) {
        // An answer of which nothing came says nothing: what went wrong does.
        self.entries.retain(|entry| match &entry.body {
            EntryBody::Answer(answer) => answer.turn != Some(turn) || !answer.pieces.is_empty(),
            EntryBody::User(_) | EntryBody::Fault(_) | EntryBody::Note(_) | EntryBody::Summary(_) => true,
        });
        for entry in &mut self.entries {
            if let EntryBody::Answer(answer) = &mut entry.body
                && answer.turn == Some(turn)
                && (answer.streaming || answer.settled.is_none())
            {
                answer.streaming = false;
                if answer.settled.is_none() && status != TurnStatus::Ok {
                    answer.state = AnswerState::Interrupted;
                }
                entry.revision += 1;
            }
        }
    }

    /// Choices of an earlier fault no longer act.
    pub(super) fn settle_faults(&mut self) {
        for entry in &mut self.entries {
            if let EntryBody::Fault(fault) = &mut entry.body
                && !fault.settled
            {
                fault.settled = true;
                entry.revision += 1;
            }
        }
    }

    /// The fault whose choices act now: the last entry, unsettled.
    #[must_use]
    pub fn open_fault(&self) -> Option<&FaultEntry> {
        match &self.entries.last()?.body {
            EntryBody::Fault(fault) if !fault.settled => Some(fault),
            EntryBody::Fault(_)
            | EntryBody::User(_)
            | EntryBody::Answer(_)
            | EntryBody::Note(_)
            | EntryBody::Summary(_) => None,
        }
    }

    #[must_use]
    pub fn entry(&self, key: u64) -> Option<&Entry> {
        // Keys grow in order.
        self.entries.binary_search_by_key(&key, |entry| entry.key).ok().map(|at| &self.entries[at])
    }
}

impl Entry {
    fn answers(&self, turn: TurnId, round: u32) -> bool {
        matches!(&self.body, EntryBody::Answer(answer) if answer.turn == Some(turn) && answer.round == round)
    }

    /// Its words, for finding and copying; raw.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        let mut add = |text: &str| {
            if !out.is_empty() && !text.is_empty() {
                out.push_str("\n\n");
            }
            out.push_str(text);
        };
        match &self.body {
            EntryBody::User(parts) => {
                for part in parts {
                    match part {
                        Part::Text { text } => add(text),
                        Part::File { name, .. } | Part::Image { name, .. } => add(&format!("@{name}")),
                    }
                }
            }
            EntryBody::Answer(answer) => {
                for piece in &answer.pieces {
                    match piece {
                        Piece::Text(text) | Piece::Refusal(text) => add(text),
                        Piece::Thinking { .. } | Piece::Call(_) => {}
                    }
                }
            }
            EntryBody::Fault(fault) => add(&fault.fault.message),
            EntryBody::Note(text) => add(text),
            EntryBody::Summary(summary) => add(&summary.compaction.text),
        }
        out
    }
}

impl AnswerEntry {
    /// An answer that was not watched: thinking, words, calls.
    #[must_use]
    pub fn stored(answer: &Answer, round: u32) -> Self {
        let mut entry = Self { round, ..Self::default() };
        entry.settle(answer);
        entry
    }

    fn settle(&mut self, answer: &Answer) {
        let (mut thinking, mut text, mut refusal) = (String::new(), String::new(), String::new());
        let mut calls = 0;
        for piece in &self.pieces {
            match piece {
                Piece::Thinking { text, .. } => thinking.push_str(text),
                Piece::Text(words) => text.push_str(words),
                Piece::Refusal(words) => refusal.push_str(words),
                Piece::Call(_) => calls += 1,
            }
        }
        let same = thinking == answer.reasoning && text == answer.text && refusal == answer.refusal;
        if !same || calls != answer.calls.len() {
            self.pieces.clear();
            if !answer.reasoning.is_empty() {
                self.pieces.push(Piece::Thinking { text: answer.reasoning.clone(), ms: None });
            }
            if !answer.text.is_empty() {
                self.pieces.push(Piece::Text(answer.text.clone()));
            }
            if !answer.refusal.is_empty() {
                self.pieces.push(Piece::Refusal(answer.refusal.clone()));
            }
            self.pieces.extend(answer.calls.iter().map(|call| Piece::Call(call.id.clone())));
        }
        self.model.clone_from(&answer.model);
        self.state = answer.state;
        self.finish.clone_from(&answer.finish);
        self.streaming = false;
        self.settled = Some(Arc::new(answer.clone()));
    }

    /// Whether the thinking is unfolded: as a person chose, else while nothing else has come.
    #[must_use]
    pub fn thinking_open(&self) -> bool {
        let only = self.pieces.iter().all(|piece| matches!(piece, Piece::Thinking { .. }));
        self.thinking.unwrap_or(self.streaming && only)
    }
}

impl Turn {
    #[must_use]
    pub fn new(id: TurnId, started: Stamp, restated: bool) -> Self {
        Self {
            id,
            started,
            ended: None,
            status: None,
            phase: Phase::Waiting,
            round: 1,
            attempt: 1,
            tools: 0,
            stream_chars: 0,
            stream_began: None,
            stream_last: None,
            stopping: false,
            restated,
            summary: None,
            unwritten: None,
            times: TurnTimes { started_wall_ms: started.wall_ms, ..TurnTimes::default() },
        }
    }

    /// Microseconds from its start to its end, or to `now`.
    #[must_use]
    pub fn elapsed_us(&self, now: Stamp) -> u64 {
        self.ended.unwrap_or(now).since_us(self.started)
    }

    /// Estimated from characters, since endpoints tell usage only at the end. None before there is a second to judge
    /// by.
    #[must_use]
    pub fn tokens_per_second(&self) -> Option<f64> {
        let us = self.stream_last?.since_us(self.stream_began?);
        (us >= 500_000).then(|| self.stream_chars as f64 / 4.0 / (us as f64 / 1e6))
    }
}
