//! Summaries of long conversations: the model writes one, it is kept with the conversation, and what follows is asked
//! with it.
//!
//! # Invariants
//! - Nothing changes before the whole summary is there: one that is stopped, cut, empty or refused leaves all as it was.
//! - No tool is offered, and nothing of the request becomes part of the conversation.
//! - A turn that waits for its summary begins in any case, with or without it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::memory;
use super::opening::{Opening, Start};
use super::port::{Events, Model, ModelEvent, Opened};
use super::run::{Engine, Inbound};
use super::sampling::RULED;
use crate::chat::{
    Body, Change, Compaction, CompactionStep, ConversationId, Delta, Durability, Fault, FaultKind, Message, MessageId,
    Part, Request, Retry, Sampling, ToolChoice, TurnEvent, TurnId, TurnSettings, Usage, compactable, for_summary,
    is_filtered, is_length,
};

const PROMPT: &str = include_str!("../../assets/summary-prompt.md");
/// What the texts may take where the window is not known, in bytes.
const ROOM: u64 = 256 * 1024;
/// Bytes of words and code that make a token, cautiously; and what is left of the window for the answer, at least.
const BYTES: u64 = 3;
const ANSWER: u64 = 1024;
/// Whatever the window, whoever writes needs some text to summarise.
const LEAST_ROOM: u64 = 1024;
/// How often a request is made smaller because its endpoint finds it too long.
const MOST_HALVINGS: u32 = 5;
/// How often it is asked again because the endpoint refused a part of it.
const MOST_ADAPTED: u32 = 40;
/// The longest summary that is kept, in bytes; the request for a longer one is ended.
const LONGEST: usize = 256 * 1024;

/// What of a path is summarised.
struct Cut {
    /// How many messages a summary stands for already, and which.
    from: usize,
    before: Option<Compaction>,
    /// How many one will stand for.
    end: usize,
}

/// Where the path of an opening is cut; None where there is nothing to summarise. The last turns stay whole; where there
/// are too few, all that was answered goes, a question never.
fn cut(opened: &Opened, opening: &Opening) -> Option<Cut> {
    let messages = &opened.messages;
    let stays = match &opening.start {
        Start::Message(_) => memory::keep(messages, &opening.parent),
        // The last answer is about to be discarded.
        Start::Again(question) => memory::keep_to(messages, question.as_ref()),
        Start::Continue | Start::Rerun(_) | Start::Summary { .. } => messages.len(),
    };
    let path = &messages[..stays];
    let on = Compaction::on(&opened.compactions, path);
    let from = on.map_or(0, |(_, at)| at);
    let answered = path.last().is_some_and(|last| !matches!(last.body, Body::User(_)));
    let end = compactable(path, from, opening.settings.compact.keep)
        .or_else(|| (answered && path.len() > from).then_some(path.len()))?;
    Some(Cut { from, before: on.map(|(one, _)| one.clone()), end })
}

/// A summary that is being written.
pub(super) struct Summarising {
    conversation: ConversationId,
    model: Arc<dyn Model>,
    settings: TurnSettings,
    /// What a person wishes it to keep in mind.
    note: String,
    /// What it will stand for, and what stands for the beginning of that already.
    path: Vec<Arc<Message>>,
    before: Option<Compaction>,
    /// The first message behind it.
    next: Option<MessageId>,
    room: u64,
    halvings: u32,
    adapted: u32,
    attempt: u32,
    shortened: bool,
    text: String,
    usage: Usage,
    finish: Option<String>,
    error: Option<String>,
    /// Reads the response; dropped, the connection goes.
    response: JoinSet<()>,
    /// The turn that waits for it.
    then: Option<Opening>,
}

fn too_long() -> Fault {
    let message = format!("The summary is too long: the model wrote more than {} KiB.", LONGEST / 1024);
    Fault::new(FaultKind::Limit, message)
        .hint("Nothing has changed. /compact asks again, with what it should keep in mind.")
}

impl Engine {
    /// Whether a turn that is about to begin should be preceded by a summary; what it would stand for.
    pub(super) fn wants_summary(&self, opening: &Opening) -> bool {
        let rules = opening.settings.compact;
        let asks = match &opening.start {
            Start::Message(_) | Start::Continue | Start::Again(_) => true,
            Start::Rerun(_) | Start::Summary { .. } => false,
        };
        if rules.mode != crate::chat::CompactMode::Auto || !asks || opening.summarised {
            return false;
        }
        let Some(opened) = self.memory.get(&opening.conversation) else { return false };
        let tokens = self.tokens(&opening.conversation, &opening.settings);
        rules.short(tokens, opening.settings.context_window)
            && cut(opened, opening).is_some_and(|cut| cut.end > cut.from)
    }

    /// About how many tokens the next request of a conversation takes: as its endpoint counted the last one, else by size.
    pub(super) fn tokens(&self, conversation: &ConversationId, settings: &TurnSettings) -> u64 {
        if let Some(tokens) = self.memory.tokens(conversation) {
            return tokens;
        }
        let Some(opened) = self.memory.get(conversation) else { return 0 };
        let sent = match Compaction::on(&opened.compactions, &opened.messages) {
            Some((summary, count)) => summary.applied(&opened.messages, count),
            None => opened.messages.clone(),
        };
        let system = settings.system.as_deref();
        crate::chat::ContextParts::of(system, self.desk.snapshot.tokens() * 4, sent.iter().map(|message| &**message))
            .estimated_tokens()
    }

    /// Begins the summary that an opening wishes, or that it waits for.
    pub(super) fn summarise(&mut self, opening: Opening) {
        let turn = opening.turn;
        let conversation = opening.conversation.clone();
        let settings = opening.settings.clone();
        let opened = self.memory.get(&conversation).cloned().unwrap_or_default();
        let cut = cut(&opened, &opening);
        let (note, then) = match opening.start {
            Start::Summary { note } => (note, None),
            Start::Message(_) | Start::Continue | Start::Again(_) | Start::Rerun(_) => {
                (String::new(), Some(Opening { summarised: true, ..opening }))
            }
        };
        let Some(Cut { end, before, .. }) = cut else {
            let fault = Fault::new(FaultKind::Usage, "There is nothing to summarise before your last message.");
            self.step(&conversation, CompactionStep::Failed { turn, fault });
            if let Some(opening) = then {
                self.begin(opening);
            }
            return;
        };
        let window = settings.context_window.filter(|window| *window > 0);
        let fixed = (PROMPT.len() + note.len()) as u64;
        let room = window.map_or(ROOM, |window| {
            window.saturating_sub(ANSWER.max(window / 4)).saturating_mul(BYTES).saturating_sub(fixed).max(LEAST_ROOM)
        });
        let summarising = Summarising {
            conversation: conversation.clone(),
            model: Arc::clone(&self.model),
            settings,
            note,
            path: opened.messages[..end].to_vec(),
            before,
            next: opened.messages.get(end).map(|message| message.id.clone()),
            room: room.min(64 * ROOM),
            halvings: 0,
            adapted: 0,
            attempt: 1,
            shortened: false,
            text: String::new(),
            usage: Usage::default(),
            finish: None,
            error: None,
            response: JoinSet::new(),
            then,
        };
        let messages = u32::try_from(end).unwrap_or(u32::MAX);
        self.summaries.insert(turn, summarising);
        self.step(&conversation, CompactionStep::Began { turn, messages });
        self.ask_for_summary(turn, Duration::ZERO);
    }

    fn ask_for_summary(&mut self, turn: TurnId, after: Duration) {
        let inbound = self.inbound.clone();
        let Some(job) = self.summaries.get_mut(&turn) else { return };
        (job.text, job.usage, job.finish, job.error) = (String::new(), Usage::default(), None, None);
        let (model, request, attempt) = (Arc::clone(&job.model), job.request(), job.attempt);
        job.response = JoinSet::new();
        job.response.spawn(async move {
            tokio::time::sleep(after).await;
            read(turn, model.respond(request, attempt), inbound).await;
        });
    }

    pub(super) fn summary_event(&mut self, turn: TurnId, event: ModelEvent) {
        let Some(job) = self.summaries.get_mut(&turn) else { return };
        match event {
            ModelEvent::Slow(_) | ModelEvent::FirstByte => {}
            ModelEvent::Deltas(event) => {
                for delta in event.deltas {
                    match delta {
                        Delta::Text(text) if job.text.len() + text.len() > LONGEST => {
                            return self.summary_failed(turn, too_long());
                        }
                        Delta::Text(text) => job.text.push_str(&text),
                        Delta::Usage(usage) => job.usage = Usage::of(&usage),
                        Delta::Finish { reason, .. } => job.finish = Some(reason),
                        Delta::Error(error) => job.error = Some(error.message),
                        Delta::Reasoning(_) | Delta::Refusal(_) | Delta::Call(_) | Delta::Extra(_) | Delta::Done => {}
                    }
                }
            }
            ModelEvent::Ended => self.summary_ended(turn),
            ModelEvent::Failed { fault, .. } if fault.kind == FaultKind::Context && job.halvings < MOST_HALVINGS => {
                job.halvings += 1;
                job.room = (job.room / 2).max(LEAST_ROOM);
                self.ask_for_summary(turn, Duration::ZERO);
            }
            ModelEvent::Failed { retry_in: Some(after), .. } if job.text.is_empty() => {
                job.attempt += 1;
                self.ask_for_summary(turn, after);
            }
            ModelEvent::Failed { fault, .. } => self.summary_failed(turn, fault),
            ModelEvent::Adapted(adapted) if job.adapted < MOST_ADAPTED => {
                job.adapted += 1;
                let learnt = adapted.learnt.map(|(key, value)| Change::Learnt {
                    base_url: job.model.base_url(),
                    model: job.settings.model.clone(),
                    key,
                    value,
                });
                if self.saves_summaries(turn) {
                    self.write(learnt.into_iter().collect(), Durability::Written);
                }
                self.ask_for_summary(turn, Duration::ZERO);
            }
            ModelEvent::Adapted(adapted) => self.summary_failed(turn, adapted.fault),
        }
    }

    fn saves_summaries(&self, turn: TurnId) -> bool {
        self.summaries.get(&turn).is_some_and(|job| !self.unsaved.contains(&job.conversation))
    }

    /// The response is over: what came is the summary, or it is none.
    fn summary_ended(&mut self, turn: TurnId) {
        let Some(job) = self.summaries.get(&turn) else { return };
        let broken = |why: String| {
            Fault::new(FaultKind::Truncated, why)
                .hint("Nothing has changed. /compact asks again.")
                .retry(Retry::Later(None))
        };
        let fault = match (&job.error, job.finish.as_deref()) {
            (Some(error), _) => Some(broken(format!("The summary broke off: {error}."))),
            (None, Some(word)) if is_length(word) => {
                Some(broken("The summary was cut at the model's output limit.".to_owned()))
            }
            (None, Some(word)) if is_filtered(word) => {
                Some(broken("The endpoint's content filter stopped the summary.".to_owned()))
            }
            (None, None) => Some(broken("The stream broke before the summary was whole.".to_owned())),
            (None, Some(_)) if job.text.trim().is_empty() => Some(broken("The model wrote no summary.".to_owned())),
            (None, Some(_)) => None,
        };
        if let Some(fault) = fault {
            return self.summary_failed(turn, fault);
        }
        let at = self.now().wall_ms;
        let saved = self.saves_summaries(turn);
        let Some(job) = self.summaries.remove(&turn) else { return };
        let Some(last) = job.path.last() else { return };
        let compaction = Compaction {
            upto: last.id.clone(),
            messages: u32::try_from(job.path.len()).unwrap_or(u32::MAX),
            text: job.text.trim().to_owned(),
            at,
            model: job.settings.model.clone(),
            shortened: job.shortened,
            edited: false,
            undone: false,
            input: job.usage.input,
            output: job.usage.output,
        };
        self.memory.compact(&job.conversation, compaction.clone());
        if saved {
            let change =
                Change::Compacted { conversation: job.conversation.clone(), compaction: Box::new(compaction.clone()) };
            self.write(vec![change], Durability::Synced);
        }
        let done = CompactionStep::Done { turn, compaction: Arc::new(compaction), next: job.next };
        self.step(&job.conversation, done);
        if let Some(opening) = job.then {
            self.begin(opening);
        }
    }

    fn summary_failed(&mut self, turn: TurnId, fault: Fault) {
        let Some(job) = self.summaries.remove(&turn) else { return };
        self.step(&job.conversation, CompactionStep::Failed { turn, fault });
        if let Some(opening) = job.then {
            self.begin(opening);
        }
    }

    /// A person stops it: nothing has changed. True where there was one.
    pub(super) fn stop_summary(&mut self, turn: TurnId) -> bool {
        let Some(job) = self.summaries.remove(&turn) else { return false };
        let fault = Fault::new(FaultKind::Cancelled, "The summary was stopped; nothing has changed.");
        self.step(&job.conversation, CompactionStep::Failed { turn, fault });
        match job.then {
            Some(opening) => {
                // What was asked is kept like any other question.
                self.begin(opening);
                false
            }
            None => true,
        }
    }

    /// A person's own words in place of a summary's, or the messages again in place of all of it. What is sent from now on
    /// follows at once; that it is so is told when it is written.
    pub(super) fn change_summary(&mut self, conversation: ConversationId, upto: MessageId, text: Option<String>) {
        self.memory.change_summary(&conversation, &upto, |one| match &text {
            Some(text) => one.rewrite(text),
            None => one.undone = true,
        });
        let saved = self.config.saving && !self.unsaved.contains(&conversation);
        let (to, at) = (conversation.clone(), upto.clone());
        let (change, step) = match text {
            Some(text) => (
                Change::SummaryText { conversation: to, upto: at, text: text.clone() },
                CompactionStep::Edited { upto, text },
            ),
            None => (Change::Uncompacted { conversation: to, upto: at }, CompactionStep::Undone { upto }),
        };
        if !saved {
            return self.step(&conversation, step);
        }
        let (written, inbound) = (self.journal.apply(vec![change], Durability::Synced), self.inbound.clone());
        tokio::spawn(async move {
            let written = written.await;
            let _ = inbound.send(Inbound::SummaryChanged { conversation, step, written }).await;
        });
    }

    /// The write of a changed summary came back. What only the disk refused holds here, and is written later.
    pub(super) fn summary_changed(
        &mut self,
        conversation: &ConversationId,
        step: CompactionStep,
        written: Result<(), Fault>,
    ) {
        match written {
            Err(fault) if fault.kind == FaultKind::Usage => {
                // As it was: the next turn reads what stands.
                self.reread(conversation);
                self.emit(TurnEvent::Error { turn: None, fault });
            }
            written => {
                self.stored(written);
                self.step(conversation, step);
            }
        }
    }

    pub(super) fn step(&self, conversation: &ConversationId, step: CompactionStep) {
        self.emit(TurnEvent::Compaction { conversation: conversation.clone(), step });
    }

    /// Which results of earlier turns give way to references in this one: those that did before, and where the context
    /// is short, all.
    pub(super) fn refer_upto(
        &mut self,
        turn: TurnId,
        conversation: &ConversationId,
        settings: &TurnSettings,
        history: &[Arc<Message>],
    ) -> Option<MessageId> {
        let tokens = self.tokens(conversation, settings);
        if settings.compact.short(tokens, settings.context_window)
            && let Some(last) = memory::keep_to_question(history).checked_sub(2).and_then(|at| history.get(at))
        {
            let mut sent = history.to_vec();
            let before = self.memory.referred(conversation).map_or(0, |upto| crate::turn::refer(&mut sent, upto));
            let count = crate::turn::refer(&mut sent, &last.id);
            if count > 0 {
                let all = before + count;
                let noun = if all == 1 { "result" } else { "results" };
                let message = format!(
                    "The context is short: {all} large {noun} of earlier turns {} sent as a name with which the model can \
                     read on (read_result). Nothing of it is lost; /usage tells.",
                    if all == 1 { "is" } else { "are" }
                );
                self.emit(TurnEvent::Notice { turn: Some(turn), kind: crate::chat::NoticeKind::Info, message });
                self.memory.refer(conversation, last.id.clone());
            }
        }
        self.memory.referred(conversation).cloned()
    }
}

impl Summarising {
    pub(super) fn is_of(&self, conversation: &ConversationId) -> bool {
        self.conversation == *conversation
    }

    fn request(&mut self) -> Request {
        // A summary that stands for the beginning is read in its place.
        let from = self.before.as_ref().and_then(|one| self.path.iter().position(|m| m.id == one.upto));
        let messages = &self.path[from.map_or(0, |at| at + 1)..];
        let before = self.before.as_ref().filter(|_| from.is_some()).map(|one| one.text.as_str());
        let room = usize::try_from(self.room).unwrap_or(usize::MAX);
        let (text, shortened) = for_summary(messages, before, room);
        self.shortened = shortened;
        let mut asked = format!("The conversation:\n\n{}\n\nWrite the summary now.", text.trim_end());
        if !self.note.trim().is_empty() {
            asked.push_str(&format!(" Keep in mind above all: {}", self.note.trim()));
        }
        let Sampling { reasoning_effort, params, .. } = self.settings.sampling.clone();
        let params = params.into_iter().filter(|(key, _)| !RULED.contains(&key.as_str())).collect();
        let message =
            Message { id: MessageId::new("summary"), parent: None, at: 0, body: Body::User(vec![Part::text(asked)]) };
        Request {
            model: self.settings.model.clone(),
            system: Some(PROMPT.trim_end().to_owned()),
            messages: vec![Arc::new(message)],
            tools: None,
            tool_choice: ToolChoice::Auto,
            sampling: Sampling { reasoning_effort, params, ..Sampling::default() },
            lacks: self.settings.lacks,
        }
    }

    /// The turn that waits for it.
    pub(super) fn waiting(self) -> Option<Opening> {
        self.then
    }
}

async fn read(turn: TurnId, mut events: Events<ModelEvent>, inbound: mpsc::Sender<Inbound>) {
    while let Some(event) = events.next().await {
        let over = matches!(event, ModelEvent::Ended | ModelEvent::Failed { .. } | ModelEvent::Adapted(_));
        if inbound.send(Inbound::Summary(turn, event)).await.is_err() || over {
            return;
        }
    }
    let _ = inbound.send(Inbound::Summary(turn, ModelEvent::Ended)).await;
}
