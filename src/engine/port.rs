//! The engine's seams: what it needs of the world, as traits. `live` adapts the real ones, tests bring their own.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use serde_json::{Map, Value};

use crate::chat::{
    Api, CallId, Change, Compaction, ConversationId, Durability, EventDeltas, Fault, Grant, Inquiry, InquiryAnswer,
    InquiryEnd, InquiryId, Message, PastCall, Pin as ToolPin, Request, ServerAction, ServerName, ServerNews,
    ServerQuery, ServerReply, ServerStatus, SignInStage, SignInStep, Stamp, ToolList, ToolRef, Toolset,
};
use crate::tools::Listing;
use crate::turn::Adapted;

pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
pub type Events<T> = Pin<Box<dyn Stream<Item = T> + Send>>;

/// Where the model is.
pub trait Model: Send + Sync {
    /// Sends the request. Dropping the stream drops the connection.
    fn respond(&self, request: Request, attempt: u32) -> Events<ModelEvent>;
    /// Sends a request that belongs to no turn: it stands in no recording.
    fn respond_aside(&self, request: Request, attempt: u32) -> Events<ModelEvent> {
        self.respond(request, attempt)
    }
    /// The tools in the form that this model takes; as given where nothing else was learnt.
    fn offered(&self, _model: &str, tools: Arc<ToolList>) -> Arc<ToolList> {
        tools
    }
    /// What was learnt of endpoints and models in earlier processes.
    fn recall(&self, _lessons: &[Lesson]) {}
    /// The address as events and messages name it; no secrets.
    fn base_url(&self) -> String;
    /// Scheme, host and port.
    fn origin(&self) -> String;
    /// Which wire it is asked by.
    fn api(&self) -> Api;
}

/// One thing that was learnt of a base URL and a model: a small JSON text under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lesson {
    pub base_url: String,
    pub model: String,
    pub key: String,
    pub value: String,
}

/// The last event is `Ended`, `Failed` or `Adapted`.
#[derive(Debug)]
pub enum ModelEvent {
    Slow(Duration),
    FirstByte,
    Deltas(EventDeltas),
    Ended,
    /// `retry_in`: the request may be sent again by itself after this time, as far as the endpoint is concerned.
    Failed {
        fault: Fault,
        retry_in: Option<Duration>,
    },
    /// The endpoint refused a part of the request: asked again, it goes without.
    Adapted(Box<Adapted>),
}

/// The tool servers.
pub trait Servers: Send + Sync {
    /// Sends a call. Dropping the stream cancels it at its server, and forgets it.
    fn call(&self, order: ServerCall) -> Events<ServerCallEvent>;
    /// Tells the server to stop it; the stream goes on until it has ended.
    fn cancel(&self, call: &CallId);
    fn act(&self, server: &ServerName, action: ServerAction);
    /// Asks a server for something beside a call.
    fn query(&self, server: &ServerName, query: ServerQuery) -> Answer<'static, Result<ServerReply, Fault>>;
    /// A person's answer to the open question. Void where that is over, or the answer does not fit it.
    fn answer(&self, id: InquiryId, answer: InquiryAnswer);
    /// A person signs in to it, or out; each step is told as [`ServerEvent::SignIn`].
    fn sign_in(&self, server: &ServerName, step: SignInStep);
    /// Ends every connection and every child; done when they are gone.
    fn shutdown(&self) -> Answer<'_, ()>;
}

#[derive(Clone, Debug)]
pub struct ServerCall {
    pub call: CallId,
    pub tool: ToolRef,
    pub arguments: Map<String, Value>,
}

#[derive(Debug)]
pub enum ServerCallEvent {
    /// It waits for the server to be ready.
    Held,
    /// The request was handed to the transport.
    Sent,
    Progress {
        progress: f64,
        total: Option<f64>,
        message: Option<String>,
    },
    /// Always the last.
    Ended(CallEnd),
}

/// How a call came back.
#[derive(Debug)]
pub enum CallEnd {
    /// The server's result, as it came.
    Result(Value),
    /// A protocol error instead of a result.
    Refused {
        message: String,
    },
    TimedOut {
        sent: bool,
        message: String,
    },
    /// `acknowledged`: the server said that it stopped.
    Cancelled {
        sent: bool,
        acknowledged: bool,
    },
    /// The connection is gone; where `sent`, it may have run.
    Gone {
        sent: bool,
        message: String,
    },
}

/// What servers tell unasked.
#[derive(Clone, Debug)]
pub enum ServerEvent {
    Status(ServerStatus),
    Listing(Listing),
    Notice {
        server: ServerName,
        message: String,
    },
    /// A server asks the person something; `call` is named as it was ordered.
    Inquiry(Inquiry),
    InquiryEnded {
        id: InquiryId,
        end: InquiryEnd,
    },
    /// How far a sign-in is that a person began.
    SignIn {
        server: ServerName,
        stage: SignInStage,
    },
    /// What a server holds beside tools has changed.
    News {
        server: ServerName,
        news: ServerNews,
    },
}

/// Where things are written down.
pub trait Journal: Send + Sync {
    /// One transaction, after all given before it. A fault of [`crate::chat::FaultKind::Usage`] says that these changes
    /// are refused, while others may be written: their conversation is another process's, or is gone.
    fn apply(&self, changes: Vec<Change>, durability: Durability) -> Answer<'static, Result<(), Fault>>;
    /// A conversation as it stands, with the ids of its calls on every branch, and whether it could be read.
    fn open(&self, conversation: ConversationId) -> Answer<'static, Result<Opened, Fault>>;
    /// The whole of a call's result, where the model was told a part of it; None where it was not kept.
    fn whole_result(
        &self,
        conversation: ConversationId,
        call: CallId,
    ) -> Answer<'static, Result<Option<String>, Fault>>;
    /// The title that it was given, by a person or a model; None: it has none, and nobody wished so.
    fn title(&self, conversation: ConversationId) -> Answer<'static, Result<Option<String>, Fault>>;
    fn pins(&self) -> Answer<'static, Result<Known, Fault>>;
    /// All that was learnt of base URLs and models (`late_data`: their calls leave at the finish).
    fn lessons(&self) -> Answer<'static, Result<Vec<Lesson>, Fault>>;
}

/// What the store knows of tools.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub pins: Vec<ToolPin>,
    pub grants: Vec<Grant>,
}

/// A conversation as the engine needs it.
#[derive(Clone, Debug, Default)]
pub struct Opened {
    /// From the first message to the head, or to the asked parent.
    pub messages: Vec<Arc<Message>>,
    pub used_ids: Vec<CallId>,
    /// Calls on every branch that ran, or may have.
    pub past: Vec<PastCall>,
    pub folder: String,
    /// What of the tools it is offered.
    pub toolset: Toolset,
    /// The name of its role; empty: none.
    pub role: String,
    /// The system prompt that it is held with.
    pub system: Option<String>,
    /// Summaries that stand for beginnings, on whatever branch.
    pub compactions: Vec<Compaction>,
    /// What the context held after the last request, where its endpoint told.
    pub tokens: Option<u64>,
}

pub trait Clock: Send + Sync {
    fn now(&self) -> Stamp;
}
