//! The recorded servers, store and clock. Nothing behind them: no call that is made here runs anywhere.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;

use crate::chat::{
    CallId, Change, ConversationId, Durability, Fault, FaultKind, InquiryAnswer, InquiryId, ServerAction, ServerName,
    ServerQuery, ServerReply, SignInStep, Stamp, UnixMs,
};
use crate::engine::live::call_end;
use crate::engine::port::{
    Answer, CallEnd, Clock, Events, Journal, Known, Lesson, Opened, ServerCall, ServerCallEvent, Servers,
};
use crate::mcp;

use super::conductor::{Conductor, Source};
use super::line::State;
use super::script::Script;

/// Answers each call as the equal one was answered: same server, tool and arguments, in order.
pub(super) struct RecordedServers {
    script: Arc<Script>,
    conductor: Arc<Conductor>,
    taken: Mutex<Vec<bool>>,
}

impl RecordedServers {
    pub(super) fn new(script: Arc<Script>, conductor: Arc<Conductor>) -> Self {
        let taken = Mutex::new(vec![false; script.calls.len()]);
        Self { script, conductor, taken }
    }

    fn take(&self, order: &ServerCall) -> Option<usize> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let equal = |at: &usize| {
            let call = &self.script.calls[*at];
            !taken[*at]
                && call.server == order.tool.server
                && *call.tool == *order.tool.tool
                && call.arguments == order.arguments
        };
        let open: Vec<usize> = (0..taken.len()).filter(equal).collect();
        let same = open.iter().copied().find(|at| self.script.calls[*at].ticket == order.call);
        let at = same.or_else(|| open.first().copied())?;
        taken[at] = true;
        Some(at)
    }
}

impl Servers for RecordedServers {
    fn call(&self, order: ServerCall) -> Events<ServerCallEvent> {
        let Some(at) = self.take(&order) else {
            let path = order.tool.path();
            self.conductor.notice(format!("The recording holds no answer to this call of {path}; it did not run."));
            let message = "this is a replay, and the recording holds no answer to it".to_owned();
            let end = ServerCallEvent::Ended(CallEnd::Gone { sent: false, message });
            return futures_util::stream::iter([end]).boxed();
        };
        let calling = Calling {
            script: Arc::clone(&self.script),
            conductor: Arc::clone(&self.conductor),
            at,
            next: 0,
            sent: false,
            ended: false,
        };
        let events = futures_util::stream::unfold(calling, |mut calling| async move {
            let event = calling.event().await?;
            Some((event, calling))
        });
        events.boxed()
    }

    fn cancel(&self, _call: &CallId) {
        // Its end comes as it came then.
    }

    fn act(&self, _server: &ServerName, _action: ServerAction) {
        // What came of it stands in the recording.
    }

    fn query(&self, _server: &ServerName, _query: ServerQuery) -> Answer<'static, Result<ServerReply, Fault>> {
        Box::pin(async {
            Err(Fault::new(FaultKind::Usage, "this is a replay: the recording holds nothing but calls of its servers"))
        })
    }

    fn answer(&self, _id: InquiryId, _answer: InquiryAnswer) {
        // Nothing is asked.
    }

    fn sign_in(&self, _server: &ServerName, _step: SignInStep) {
        // Nobody is asked.
    }

    fn shutdown(&self) -> Answer<'_, ()> {
        Box::pin(async {})
    }
}

struct Calling {
    script: Arc<Script>,
    conductor: Arc<Conductor>,
    at: usize,
    next: usize,
    sent: bool,
    ended: bool,
}

impl Calling {
    async fn event(&mut self) -> Option<ServerCallEvent> {
        if self.ended {
            return None;
        }
        let (call, source) = (&self.script.calls[self.at], Source::Call(self.at));
        let Some((cue, state)) = call.states.get(self.next) else {
            self.ended = true;
            let message = "the recording ends before its answer".to_owned();
            return Some(ServerCallEvent::Ended(CallEnd::Gone { sent: self.sent, message }));
        };
        self.next += 1;
        self.conductor.due(*cue, source).await;
        let event = match state.clone() {
            State::Held => ServerCallEvent::Held,
            State::Sent => {
                self.sent = true;
                ServerCallEvent::Sent
            }
            State::Progress { progress, total, message } => ServerCallEvent::Progress { progress, total, message },
            ended => {
                self.ended = true;
                ServerCallEvent::Ended(self.end(ended))
            }
        };
        self.conductor.done(*cue, source);
        Some(event)
    }

    fn end(&self, state: State) -> CallEnd {
        match state {
            State::Answered => match self.script.calls[self.at].answer.clone() {
                Some(message) => call_end(mcp::answered(message), true),
                None => CallEnd::Gone { sent: true, message: "the recording holds no message that answers it".into() },
            },
            State::Result { value } => CallEnd::Result(value),
            State::Refused { message } => CallEnd::Refused { message },
            State::TimedOut { sent, message } => CallEnd::TimedOut { sent, message },
            State::Cancelled { sent, acknowledged } => CallEnd::Cancelled { sent, acknowledged },
            State::Gone { sent, message } => CallEnd::Gone { sent, message },
            State::Held | State::Sent | State::Progress { .. } | State::Unknown => {
                CallEnd::Gone { sent: self.sent, message: "the recording does not say how it ended".into() }
            }
        }
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        self.conductor.void(Source::Call(self.at));
    }
}

/// What the store knew then; what is written now goes nowhere.
pub(super) struct RecordedJournal(pub Arc<Script>);

impl Journal for RecordedJournal {
    fn apply(&self, _changes: Vec<Change>, _durability: Durability) -> Answer<'static, Result<(), Fault>> {
        Box::pin(async { Ok(()) })
    }

    fn open(&self, conversation: ConversationId) -> Answer<'static, Result<Opened, Fault>> {
        // One that began in the session is new again.
        let opened = self.0.opened.get(&conversation).cloned().unwrap_or_default();
        Box::pin(async { Ok(opened) })
    }

    fn whole_result(
        &self,
        conversation: ConversationId,
        call: CallId,
    ) -> Answer<'static, Result<Option<String>, Fault>> {
        let whole = self.0.wholes.get(&(conversation, call)).cloned();
        Box::pin(async { Ok(whole) })
    }

    fn title(&self, _conversation: ConversationId) -> Answer<'static, Result<Option<String>, Fault>> {
        Box::pin(async { Ok(None) })
    }

    fn pins(&self) -> Answer<'static, Result<Known, Fault>> {
        let known = self.0.known.clone();
        Box::pin(async { Ok(known) })
    }

    fn lessons(&self) -> Answer<'static, Result<Vec<Lesson>, Fault>> {
        let lessons = self.0.lessons.clone();
        Box::pin(async { Ok(lessons) })
    }
}

/// The time of the recording, as far as it has been played.
pub(super) struct RecordedClock {
    conductor: Arc<Conductor>,
    began: UnixMs,
}

impl RecordedClock {
    pub(super) fn new(conductor: Arc<Conductor>, began: UnixMs) -> Self {
        Self { conductor, began }
    }
}

impl Clock for RecordedClock {
    fn now(&self) -> Stamp {
        let mono_us = self.conductor.position_us();
        let wall_ms = self.began.saturating_add(i64::try_from(mono_us / 1000).unwrap_or(i64::MAX));
        Stamp { mono_us, wall_ms }
    }
}
