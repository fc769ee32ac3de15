//! The task that asks the model for a server, and reads what it answers.
//!
//! # Invariants
//! - The answer ends at the first of the server's stop sequences, and where it and its reasoning grow past what its
//!   tokens could ever be, whatever the endpoint makes of either.
//! - Dropping the task drops the connection to the endpoint.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::Progress;
use crate::chat::{Effective, EventDeltas, InquiryId, Limits, Request, SampleReply, SampleStep, SampleStop, Usage};
use crate::engine::port::{Events, Model, ModelEvent};
use crate::engine::run::Inbound;
use crate::turn::{Adapted, Assembler, AssemblerLimits, Declared, Piece, StreamEnd};

/// How long is waited behind a finish for what may still come, as usage.
const FINISH_GRACE: Duration = Duration::from_secs(5);
/// Refusals that are learnt from, for one answer.
const MOST_ADAPTED: u32 = 10;
/// Bytes of one token, at the very most and on the whole.
const TOKEN_BYTES: usize = 16;
/// So many bytes may be one token.
const LONGEST_TOKEN: usize = 256;

/// One request to the model.
pub(super) struct Asking {
    pub id: InquiryId,
    pub model: Arc<dyn Model>,
    pub request: Request,
    pub stop: Vec<String>,
    pub max_tokens: u32,
    pub limits: Arc<Limits>,
    pub inbound: mpsc::Sender<Inbound>,
}

/// How one response ended.
enum End {
    Whole { reply: SampleReply, usage: Usage },
    Failed { why: String, begun: bool, retry_in: Option<Duration> },
    Adapted(Box<Adapted>),
}

impl Asking {
    pub(super) async fn run(self) {
        let (mut attempt, mut adapted) = (1, 0);
        loop {
            let events = self.model.respond_aside(self.request.clone(), attempt);
            let progress = match self.read(events).await {
                End::Whole { reply, usage } => Progress::Step(SampleStep::Whole { reply, usage }),
                End::Adapted(what) if adapted < MOST_ADAPTED => {
                    adapted += 1;
                    self.tell(Progress::Adapted(what)).await;
                    continue;
                }
                End::Adapted(what) => Progress::Failed { why: what.fault.message, begun: false },
                End::Failed { retry_in: Some(pause), begun: false, why: _ } if attempt < self.limits.attempts => {
                    attempt += 1;
                    tokio::time::sleep(pause).await;
                    continue;
                }
                End::Failed { why, begun, retry_in: _ } => Progress::Failed { why, begun },
            };
            self.tell(progress).await;
            return;
        }
    }

    async fn tell(&self, progress: Progress) {
        // Whoever reads no more needs no answer.
        let _ = self.inbound.send(Inbound::Sampled(self.id, progress)).await;
    }

    async fn read(&self, mut events: Events<ModelEvent>) -> End {
        let mut reading = Reading::new(self);
        loop {
            let next = match reading.finished() {
                true => tokio::time::timeout(FINISH_GRACE, events.next()).await.unwrap_or(None),
                false => events.next().await,
            };
            match next {
                Some(ModelEvent::Slow(_)) => {}
                Some(ModelEvent::FirstByte) => reading.begun = true,
                Some(ModelEvent::Deltas(deltas)) => {
                    for step in reading.take(deltas) {
                        self.tell(Progress::Step(step)).await;
                    }
                    if reading.over() {
                        return reading.end(&self.request.model);
                    }
                }
                Some(ModelEvent::Failed { fault, retry_in }) => {
                    return End::Failed { why: fault.message, begun: reading.begun, retry_in };
                }
                Some(ModelEvent::Adapted(adapted)) => return End::Adapted(adapted),
                Some(ModelEvent::Ended) | None => return reading.end(&self.request.model),
            }
        }
    }
}

/// A response while it is read.
struct Reading<'a> {
    assembler: Assembler,
    text: String,
    stop: &'a [String],
    /// Bytes that the text may have, with the reasoning.
    most: usize,
    /// Bytes of reasoning that came.
    thought: usize,
    /// It was ended here: nothing that still comes counts.
    cut: Option<SampleStop>,
    begun: bool,
}

impl<'a> Reading<'a> {
    fn new(asking: &'a Asking) -> Self {
        let limits = AssemblerLimits {
            arguments: asking.limits.arguments,
            nesting: asking.limits.nesting,
            calls: asking.limits.calls_per_round,
        };
        let tokens = usize::try_from(asking.max_tokens).unwrap_or(usize::MAX);
        Self {
            assembler: Assembler::new(Declared::unknown(), limits),
            text: String::new(),
            stop: &asking.stop,
            most: tokens.saturating_mul(TOKEN_BYTES).max(LONGEST_TOKEN),
            thought: 0,
            cut: None,
            begun: false,
        }
    }

    /// Calls that no request offered are left out: there is nobody to run them.
    fn take(&mut self, deltas: EventDeltas) -> Vec<SampleStep> {
        let mut steps = Vec::new();
        for piece in self.assembler.apply(deltas) {
            match piece {
                Piece::Text(text) | Piece::Refusal(text) if self.cut.is_none() => {
                    let before = self.text.len();
                    self.text.push_str(&text);
                    self.shorten(before);
                    if let Some(new) = self.text.get(before..).filter(|new| !new.is_empty()) {
                        steps.push(SampleStep::Text(new.to_owned()));
                    }
                }
                Piece::Reasoning(text) if self.cut.is_none() => {
                    self.thought = self.thought.saturating_add(text.len());
                    if self.thought.saturating_add(self.text.len()) > self.most {
                        self.cut = Some(SampleStop::MaxTokens);
                    }
                    steps.push(SampleStep::Thinking(u64::try_from(text.len()).unwrap_or(u64::MAX)));
                }
                // Cut, or about what is read from the assembler at the end.
                Piece::Text(_)
                | Piece::Refusal(_)
                | Piece::Reasoning(_)
                | Piece::Opened { .. }
                | Piece::Named { .. }
                | Piece::Arguments { .. }
                | Piece::Restarted { .. }
                | Piece::Closed { .. }
                | Piece::Invalid { .. }
                | Piece::Duplicate { .. }
                | Piece::Conflict { .. }
                | Piece::Incomplete { .. }
                | Piece::TooManyCalls { .. }
                | Piece::Usage(_)
                | Piece::Finish { .. }
                | Piece::Done
                | Piece::Error(_) => {}
            }
        }
        steps
    }

    /// Ends the text where it must end. `before`: it was looked through up to here.
    fn shorten(&mut self, before: usize) {
        let longest = self.stop.iter().map(String::len).max().unwrap_or(0);
        let from = self.text.floor_char_boundary(before.saturating_sub(longest));
        let seen = self.text.get(from..).unwrap_or_default();
        if let Some(at) = self.stop.iter().filter_map(|stop| seen.find(stop.as_str())).min() {
            self.text.truncate(from + at);
            self.cut = Some(SampleStop::StopSequence);
        } else if self.text.len() > self.most.saturating_sub(self.thought) {
            self.text.truncate(self.text.floor_char_boundary(self.most.saturating_sub(self.thought)));
            self.cut = Some(SampleStop::MaxTokens);
        }
    }

    /// What comes now is about the answer, and no more of it.
    fn finished(&self) -> bool {
        self.assembler.finish_reason().is_some()
    }

    fn over(&self) -> bool {
        self.cut.is_some() || self.assembler.is_done() || self.assembler.error().is_some()
    }

    fn end(mut self, model: &str) -> End {
        let begun = self.begun;
        let fail = |why: String| End::Failed { why, begun, retry_in: None };
        let stop = match self.cut {
            Some(stop) => stop,
            None => {
                self.assembler.end(StreamEnd::Eof);
                match self.assembler.effective() {
                    Effective::Stop | Effective::ToolCalls | Effective::Other => SampleStop::EndTurn,
                    Effective::Length => SampleStop::MaxTokens,
                    Effective::ContentFilter => return fail("the endpoint's content filter stopped the answer".into()),
                    Effective::Error => {
                        let why = self.assembler.error().map(|error| error.message.clone());
                        return fail(why.unwrap_or_else(|| "the answer broke off".to_owned()));
                    }
                }
            }
        };
        let usage = self.assembler.usage().map(Usage::of).unwrap_or_default();
        End::Whole { reply: SampleReply { model: model.to_owned(), text: self.text, stop }, usage }
    }
}
