//! The engine's ports with the recorder behind them: what the store told, what servers told, and what became of calls.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::StreamExt;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::chat::{
    CallId, Change, Conversation, ConversationId, Durability, Fault, InquiryAnswer, InquiryId, ServerAction,
    ServerName, ServerQuery, ServerReply, SignInStep, Summary,
};
use crate::engine::Ports;
use crate::engine::port::{
    Answer, CallEnd, Events, Journal, Known, Lesson, Opened, ServerCall, ServerCallEvent, ServerEvent, Servers,
};
use crate::export;

use super::line::{Line, State};
use super::writer::Recorder;

/// What is recorded of the store.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Pins and grants of these entries alone: the others are not of this session.
    pub entries: HashSet<Arc<str>>,
}

/// The ports, overheard. Must be called on the engine's runtime.
#[must_use]
pub fn overheard(ports: Ports, recorder: &Arc<Recorder>, scope: Scope) -> Ports {
    let Ports { model, servers, journal, clock, mut server_events } = ports;
    let (out, events) = mpsc::channel(64);
    let ear = Arc::clone(recorder);
    let base_url = model.base_url();
    tokio::spawn(async move {
        while let Some(event) = server_events.recv().await {
            let line = match &event {
                ServerEvent::Status(status) => Some(Line::Status(status.clone().into())),
                ServerEvent::Listing(listing) => Some(listing.clone().into()),
                ServerEvent::Notice { server, message } => {
                    Some(Line::ServerNotice { server: server.clone(), message: message.clone() })
                }
                // The messages themselves say it.
                ServerEvent::Inquiry(_) | ServerEvent::InquiryEnded { .. } | ServerEvent::News { .. } => None,
                // A sign-in is between its server and a person.
                ServerEvent::SignIn { .. } => None,
            };
            if let Some(line) = line {
                ear.line(line);
            }
            if out.send(event).await.is_err() {
                return;
            }
        }
    });
    Ports {
        model,
        servers: Arc::new(OverheardServers { servers, recorder: Arc::clone(recorder) }),
        journal: Arc::new(OverheardJournal { journal, recorder: Arc::clone(recorder), scope, base_url }),
        clock,
        server_events: events,
    }
}

struct OverheardServers {
    servers: Arc<dyn Servers>,
    recorder: Arc<Recorder>,
}

impl Servers for OverheardServers {
    fn call(&self, order: ServerCall) -> Events<ServerCallEvent> {
        let call = order.call.clone();
        self.recorder.line(Line::Call {
            call: call.clone(),
            server: order.tool.server.clone(),
            tool: order.tool.tool.to_string(),
            arguments: order.arguments.clone(),
        });
        let recorder = Arc::clone(&self.recorder);
        self.servers
            .call(order)
            .inspect(move |event| recorder.line(Line::CallState { call: call.clone(), state: state(event) }))
            .boxed()
    }

    fn cancel(&self, call: &CallId) {
        self.servers.cancel(call);
    }

    fn act(&self, server: &ServerName, action: ServerAction) {
        self.servers.act(server, action);
    }

    fn query(&self, server: &ServerName, query: ServerQuery) -> Answer<'static, Result<ServerReply, Fault>> {
        self.servers.query(server, query)
    }

    fn answer(&self, id: InquiryId, answer: InquiryAnswer) {
        self.servers.answer(id, answer);
    }

    fn sign_in(&self, server: &ServerName, step: SignInStep) {
        self.servers.sign_in(server, step);
    }

    fn shutdown(&self) -> Answer<'_, ()> {
        self.servers.shutdown()
    }
}

fn state(event: &ServerCallEvent) -> State {
    match event {
        ServerCallEvent::Held => State::Held,
        ServerCallEvent::Sent => State::Sent,
        ServerCallEvent::Progress { progress, total, message } => {
            State::Progress { progress: *progress, total: *total, message: message.clone() }
        }
        ServerCallEvent::Ended(end) => match end {
            CallEnd::Result(_) => State::Answered,
            CallEnd::Refused { message } => State::Refused { message: message.clone() },
            CallEnd::TimedOut { sent, message } => State::TimedOut { sent: *sent, message: message.clone() },
            CallEnd::Cancelled { sent, acknowledged } => State::Cancelled { sent: *sent, acknowledged: *acknowledged },
            CallEnd::Gone { sent, message } => State::Gone { sent: *sent, message: message.clone() },
        },
    }
}

struct OverheardJournal {
    journal: Arc<dyn Journal>,
    recorder: Arc<Recorder>,
    scope: Scope,
    base_url: String,
}

impl Journal for OverheardJournal {
    fn apply(&self, changes: Vec<Change>, durability: Durability) -> Answer<'static, Result<(), Fault>> {
        self.journal.apply(changes, durability)
    }

    fn open(&self, conversation: ConversationId) -> Answer<'static, Result<Opened, Fault>> {
        let (opened, recorder) = (self.journal.open(conversation.clone()), Arc::clone(&self.recorder));
        Box::pin(async move {
            let opened = opened.await?;
            if let Some(value) = whole(&conversation, &opened) {
                let used_ids = opened.used_ids.clone();
                let past = opened.past.iter().map(Into::into).collect();
                recorder.line(Line::Opened { conversation, value, used_ids, past });
            }
            Ok(opened)
        })
    }

    fn whole_result(
        &self,
        conversation: ConversationId,
        call: CallId,
    ) -> Answer<'static, Result<Option<String>, Fault>> {
        let whole = self.journal.whole_result(conversation.clone(), call.clone());
        let recorder = Arc::clone(&self.recorder);
        Box::pin(async move {
            let whole = whole.await?;
            if let Some(text) = whole.clone() {
                recorder.line(Line::WholeResult { conversation, call, text });
            }
            Ok(whole)
        })
    }

    fn title(&self, conversation: ConversationId) -> Answer<'static, Result<Option<String>, Fault>> {
        self.journal.title(conversation)
    }

    fn pins(&self) -> Answer<'static, Result<Known, Fault>> {
        let (known, recorder) = (self.journal.pins(), Arc::clone(&self.recorder));
        let entries = self.scope.entries.clone();
        Box::pin(async move {
            let known = known.await?;
            let pins = known.pins.iter().filter(|pin| entries.contains(&pin.entry)).cloned().collect();
            let grants = known.grants.iter().filter(|grant| entries.contains(&grant.entry)).cloned().collect();
            recorder.line(Line::Known { pins, grants });
            Ok(known)
        })
    }

    fn lessons(&self) -> Answer<'static, Result<Vec<Lesson>, Fault>> {
        let (lessons, recorder, base_url) = (self.journal.lessons(), Arc::clone(&self.recorder), self.base_url.clone());
        Box::pin(async move {
            let lessons = lessons.await?;
            let here = lessons.iter().filter(|lesson| lesson.base_url == base_url);
            recorder.line(Line::Lessons { lessons: here.cloned().map(Into::into).collect() });
            Ok(lessons)
        })
    }
}

/// A conversation as an export has it, its messages alone; None where it cannot be written.
fn whole(id: &ConversationId, opened: &Opened) -> Option<Value> {
    let count = u32::try_from(opened.messages.len()).unwrap_or(u32::MAX);
    let conversation = Conversation {
        summary: Summary {
            id: id.clone(),
            title: String::new(),
            folder: String::new(),
            model: String::new(),
            created: 0,
            updated: 0,
            messages: count,
            calls: 0,
            failed_calls: 0,
            tokens: opened.tokens,
            pinned: false,
            interrupted: false,
        },
        base_url: String::new(),
        system: None,
        messages: opened.messages.clone(),
        forks: Vec::new(),
        open_elsewhere: false,
        extra: serde_json::json!({"compactions": opened.compactions}),
    };
    serde_json::from_str(&export::json(&conversation).ok()?).ok()
}
