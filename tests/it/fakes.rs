//! The engine's ports as tests need them: a scripted model, servers that take their time, a journal that remembers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use millrace::chat::{
    ArgumentsPart, CallFragment, CallId, Change, ConversationId, Delta, Durability, EventDeltas, Fault, FaultKind,
    InquiryAnswer, InquiryId, Order, Parent, Part, Policy, PromptInfo, Request, ServerAction, ServerName, ServerQuery,
    ServerReply, SignInStep, Stamp, Stamped, Submit, ToolRef, TurnEvent, TurnId, TurnSettings,
};
use millrace::engine::port::{
    Answer, CallEnd, Clock, Events, Journal, Known, Lesson, Model, ModelEvent, Opened, ServerCall, ServerCallEvent,
    ServerEvent, Servers,
};
use millrace::engine::{Engine, EngineConfig, Handle, Ports};
use millrace::tools::{Listing, RegistryRules, ServerRules};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

/// One thing that a scripted response does.
#[derive(Clone, Debug)]
pub enum Act {
    Wait(u64),
    Say(Delta),
    /// Several deltas in one event.
    Event(Vec<Delta>),
    Fail {
        fault: Fault,
        retry_in: Option<u64>,
    },
    /// Neither data nor an end.
    Hang,
}

pub fn text(text: &str) -> Act {
    Act::Say(Delta::Text(text.into()))
}

/// A whole call in one event.
pub fn call(index: u64, id: &str, name: &str, arguments: &str) -> Act {
    Act::Say(fragment(index, Some(id), Some(name), arguments))
}

pub fn fragment(index: u64, id: Option<&str>, name: Option<&str>, arguments: &str) -> Delta {
    Delta::Call(CallFragment {
        index: Some(index),
        id: id.map(Into::into),
        name: name.map(Into::into),
        arguments: Some(ArgumentsPart::Text(arguments.into())),
        ..CallFragment::default()
    })
}

pub fn finish(reason: &str) -> Act {
    Act::Event(vec![Delta::Finish { reason: reason.into(), native: None }])
}

pub fn done() -> Act {
    Act::Say(Delta::Done)
}

#[derive(Default)]
pub struct FakeModel {
    rounds: Mutex<std::collections::VecDeque<Vec<Act>>>,
    pub requests: Mutex<Vec<Request>>,
    pub api: millrace::chat::Api,
}

impl FakeModel {
    pub fn new(rounds: Vec<Vec<Act>>, api: millrace::chat::Api) -> Self {
        Self { rounds: Mutex::new(rounds.into()), api, ..Self::default() }
    }
}

impl Model for FakeModel {
    fn respond(&self, request: Request, _attempt: u32) -> Events<ModelEvent> {
        self.requests.lock().unwrap().push(request);
        let script = self.rounds.lock().unwrap().pop_front().unwrap_or_default();
        let (out, rest) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut number = 0;
            for act in script {
                let deltas = match act {
                    Act::Wait(ms) => {
                        tokio::time::sleep(Duration::from_millis(ms)).await;
                        continue;
                    }
                    Act::Say(delta) => vec![delta],
                    Act::Event(deltas) => deltas,
                    Act::Fail { fault, retry_in } => {
                        let retry_in = retry_in.map(Duration::from_millis);
                        let _ = out.send(ModelEvent::Failed { fault, retry_in }).await;
                        return;
                    }
                    Act::Hang => {
                        out.closed().await;
                        return;
                    }
                };
                number += 1;
                if out.send(ModelEvent::Deltas(EventDeltas { number, deltas })).await.is_err() {
                    return;
                }
            }
            let _ = out.send(ModelEvent::Ended).await;
        });
        futures_util::stream::unfold(rest, |mut rest| async move { rest.recv().await.map(|e| (e, rest)) }).boxed()
    }

    fn base_url(&self) -> String {
        "http://127.0.0.1:1/v1".into()
    }

    fn origin(&self) -> String {
        "http://127.0.0.1:1".into()
    }

    fn api(&self) -> millrace::chat::Api {
        self.api
    }
}

/// Takes the time that its arguments or its name ask for, then answers with them. `die` loses the server, `hold` waits
/// for it to be ready.
#[derive(Default)]
pub struct FakeServers {
    pub sent: Mutex<Vec<(ToolRef, Value)>>,
    cancels: Mutex<HashMap<CallId, Arc<Notify>>>,
    /// What a person answered.
    pub answers: Mutex<Vec<(InquiryId, InquiryAnswer)>>,
    pub cancelled: Mutex<Vec<CallId>>,
}

impl Servers for FakeServers {
    fn call(&self, order: ServerCall) -> Events<ServerCallEvent> {
        self.sent.lock().unwrap().push((order.tool.clone(), Value::Object(order.arguments.clone())));
        let cancel = Arc::new(Notify::new());
        self.cancels.lock().unwrap().insert(order.call.clone(), Arc::clone(&cancel));
        let (out, rest) = mpsc::channel(8);
        tokio::spawn(async move {
            if &*order.tool.tool == "hold" {
                let _ = out.send(ServerCallEvent::Held).await;
                cancel.notified().await;
                let end = CallEnd::Cancelled { sent: false, acknowledged: false };
                let _ = out.send(ServerCallEvent::Ended(end)).await;
                return;
            }
            let _ = out.send(ServerCallEvent::Sent).await;
            let ms = order.arguments.get("ms").and_then(Value::as_u64).unwrap_or(0);
            let end = tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(ms)) => match &*order.tool.tool {
                    "die" => CallEnd::Gone { sent: true, message: "it exited".into() },
                    // The result itself stands in the arguments.
                    "answer" => CallEnd::Result(order.arguments["say"].as_str().map_or(Value::Null, |text| {
                        serde_json::from_str(text).expect("the test's result is JSON")
                    })),
                    "fail" => CallEnd::Result(json!({"isError": true, "content": [{"type": "text", "text": "no"}]})),
                    _ => CallEnd::Result(json!({"content": [{"type": "text", "text": order.arguments["say"]}]})),
                },
                () = cancel.notified() => CallEnd::Cancelled { sent: true, acknowledged: true },
            };
            let _ = out.send(ServerCallEvent::Ended(end)).await;
        });
        futures_util::stream::unfold(rest, |mut rest| async move { rest.recv().await.map(|e| (e, rest)) }).boxed()
    }

    fn cancel(&self, call: &CallId) {
        self.cancelled.lock().unwrap().push(call.clone());
        if let Some(cancel) = self.cancels.lock().unwrap().get(call) {
            cancel.notify_one();
        }
    }

    fn query(&self, _: &ServerName, query: ServerQuery) -> Answer<'static, Result<ServerReply, Fault>> {
        let answer = match query {
            ServerQuery::Prompts => {
                Ok(ServerReply::Prompts(vec![PromptInfo { name: "review".into(), ..PromptInfo::default() }]))
            }
            _ => Err(Fault::new(FaultKind::Protocol, "not here")),
        };
        Box::pin(async move { answer })
    }

    fn answer(&self, id: InquiryId, answer: InquiryAnswer) {
        self.answers.lock().unwrap().push((id, answer));
    }

    fn act(&self, _server: &ServerName, _action: ServerAction) {}

    fn sign_in(&self, _server: &ServerName, _step: SignInStep) {}

    fn shutdown(&self) -> Answer<'_, ()> {
        Box::pin(async {})
    }
}

#[derive(Default)]
pub struct FakeJournal {
    pub written: Mutex<Vec<(Vec<Change>, Durability)>>,
    pub full: Arc<std::sync::atomic::AtomicBool>,
    /// Another process has every conversation: changes of summaries are refused.
    pub held: std::sync::atomic::AtomicBool,
    /// How long the line takes that says that a call leaves, in milliseconds.
    pub slow: std::sync::atomic::AtomicU64,
    /// What it tells of conversations, and of whole results in them.
    pub opened: Mutex<HashMap<ConversationId, Opened>>,
    pub wholes: Mutex<HashMap<(ConversationId, CallId), String>>,
}

impl Journal for FakeJournal {
    fn apply(&self, changes: Vec<Change>, durability: Durability) -> Answer<'static, Result<(), Fault>> {
        let full = self.full.load(std::sync::atomic::Ordering::Relaxed);
        let now_full = Arc::clone(&self.full);
        let leaves = changes.iter().any(|c| matches!(c, Change::CallSent { .. }));
        let slow = if leaves { self.slow.load(std::sync::atomic::Ordering::Relaxed) } else { 0 };
        let summary = |change: &Change| matches!(change, Change::SummaryText { .. } | Change::Uncompacted { .. });
        if self.held.load(std::sync::atomic::Ordering::Relaxed) && changes.iter().any(summary) {
            return Box::pin(async { Err(Fault::new(FaultKind::Usage, "open in another millrace")) });
        }
        if !full {
            self.written.lock().unwrap().push((changes, durability));
        }
        Box::pin(async move {
            if slow > 0 {
                tokio::time::sleep(Duration::from_millis(slow)).await;
            }
            match now_full.load(std::sync::atomic::Ordering::Relaxed) {
                true => Err(Fault::new(FaultKind::Store, "the disk is full")),
                false => Ok(()),
            }
        })
    }

    fn open(&self, conversation: ConversationId) -> Answer<'static, Result<Opened, Fault>> {
        let opened = self.opened.lock().unwrap().get(&conversation).cloned().unwrap_or_default();
        Box::pin(async { Ok(opened) })
    }

    fn whole_result(
        &self,
        conversation: ConversationId,
        call: CallId,
    ) -> Answer<'static, Result<Option<String>, Fault>> {
        let whole = self.wholes.lock().unwrap().get(&(conversation, call)).cloned();
        Box::pin(async { Ok(whole) })
    }

    fn title(&self, conversation: ConversationId) -> Answer<'static, Result<Option<String>, Fault>> {
        let mut given = None;
        for change in self.written.lock().unwrap().iter().flat_map(|(changes, _)| changes) {
            match change {
                Change::Title { conversation: of, title } if *of == conversation => given = Some(title.clone()),
                Change::Titled { conversation: of, title } if *of == conversation && given.is_none() => {
                    given = Some(title.clone());
                }
                _ => {}
            }
        }
        Box::pin(async { Ok(given) })
    }

    fn pins(&self) -> Answer<'static, Result<Known, Fault>> {
        Box::pin(async { Ok(Known::default()) })
    }

    fn lessons(&self) -> Answer<'static, Result<Vec<Lesson>, Fault>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

struct TestClock(tokio::time::Instant);

impl Clock for TestClock {
    fn now(&self) -> Stamp {
        let mono_us = u64::try_from(self.0.elapsed().as_micros()).unwrap();
        Stamp { mono_us, wall_ms: 1_700_000_000_000 + i64::try_from(mono_us / 1000).unwrap() }
    }
}

/// An engine over fakes, with two servers: `a` is allowed and trusted, `b` asks.
pub struct Rig {
    pub handle: Handle,
    pub model: Arc<FakeModel>,
    pub servers: Arc<FakeServers>,
    pub journal: Arc<FakeJournal>,
    pub seen: Vec<Stamped<TurnEvent>>,
    pub listings: mpsc::Sender<ServerEvent>,
    next: u64,
}

fn tool(name: &str) -> Value {
    json!({
        "name": name,
        "description": format!("does {name}"),
        "inputSchema": {
            "type": "object",
            "properties": {"ms": {"type": "integer"}, "say": {"type": "string"}},
            "required": ["say"]
        },
        "annotations": {"readOnlyHint": name == "read", "openWorldHint": false}
    })
}

impl Rig {
    pub async fn new(rounds: Vec<Vec<Act>>) -> Self {
        Self::with(rounds, |_| {}).await
    }

    pub async fn with(rounds: Vec<Vec<Act>>, change: impl FnOnce(&mut EngineConfig)) -> Self {
        let model = Arc::new(FakeModel { rounds: Mutex::new(rounds.into()), ..FakeModel::default() });
        let servers = Arc::new(FakeServers::default());
        let journal = Arc::new(FakeJournal::default());
        let (listings, server_events) = mpsc::channel(16);
        let mut rules = RegistryRules::default();
        let allowed = ServerRules { policy: Some(Policy::Allow), trust: true, ..ServerRules::default() };
        rules.servers.insert(ServerName::new("a"), allowed);
        let mut config = EngineConfig {
            limits: Arc::default(),
            rules,
            folder: "/work".into(),
            starting: vec![ServerName::new("a"), ServerName::new("b")],
            wait_for_servers: true,
            paced: false,
            saving: true,
            titles: None,
            wiretap: None,
        };
        change(&mut config);
        let ports = Ports {
            model: Arc::clone(&model) as Arc<dyn Model>,
            servers: Arc::clone(&servers) as Arc<dyn Servers>,
            journal: Arc::clone(&journal) as Arc<dyn Journal>,
            clock: Arc::new(TestClock(tokio::time::Instant::now())),
            server_events,
        };
        for server in ["a", "b"] {
            let listing = Listing {
                server: ServerName::new(server),
                entry: Arc::from(server),
                tools: ["echo", "read", "die", "fail", "hold"].map(tool).to_vec(),
                instructions: None,
                from_cache: false,
            };
            listings.send(ServerEvent::Listing(listing)).await.unwrap();
        }
        let handle = Engine::start(config, ports);
        Self { handle, model, servers, journal, seen: Vec::new(), listings, next: 0 }
    }

    pub fn submit(&mut self, prompt: &str) -> TurnId {
        self.submit_with(prompt, None, TurnSettings::default())
    }

    pub fn submit_with(
        &mut self,
        prompt: &str,
        conversation: Option<ConversationId>,
        settings: TurnSettings,
    ) -> TurnId {
        self.submit_below(Parent::Newest, prompt, conversation, settings)
    }

    pub fn submit_below(
        &mut self,
        parent: Parent,
        prompt: &str,
        conversation: Option<ConversationId>,
        settings: TurnSettings,
    ) -> TurnId {
        self.next += 1;
        let turn = TurnId(self.next);
        let settings = TurnSettings { model: "m".into(), ..settings };
        let parts = vec![Part::text(prompt)];
        let submit = Submit { turn, conversation, parent, parts, settings };
        self.handle.order(Order::Submit(Box::new(submit)));
        turn
    }

    /// Reads until an event satisfies `stop`; that one is the last seen.
    pub async fn until(&mut self, stop: impl Fn(&TurnEvent) -> bool) -> TurnEvent {
        loop {
            let events = self.handle.next().await.expect("the engine has ended");
            let hit = events.iter().find(|e| stop(&e.body)).map(|e| e.body.clone());
            self.seen.extend(events);
            if let Some(hit) = hit {
                return hit;
            }
        }
    }

    pub async fn ended(&mut self) -> TurnEvent {
        self.until(|e| matches!(e, TurnEvent::Ended { .. })).await
    }

    /// The states that a call went through, in words; pieces of arguments count once.
    pub fn states(&self, id: &str) -> Vec<String> {
        let mut words = Vec::new();
        for event in &self.seen {
            let TurnEvent::Call { update, .. } = &event.body else { continue };
            if update.call.as_str() == id {
                words.push(word(&update.state));
                words.dedup();
            }
        }
        words
    }

    pub fn changes(&self) -> Vec<Change> {
        self.journal.written.lock().unwrap().iter().flat_map(|(c, _)| c.clone()).collect()
    }
}

fn word(state: &millrace::chat::CallState) -> String {
    use millrace::chat::{CallState, WaitFor};
    match state {
        CallState::Arguments { .. } => "arguments".into(),
        CallState::Closed { .. } => "closed".into(),
        CallState::Waiting(WaitFor::Approval(_)) => "approval".into(),
        CallState::Waiting(WaitFor::Slot(n)) => format!("slot {n}"),
        CallState::Waiting(WaitFor::Server) => "server".into(),
        CallState::Running => "running".into(),
        CallState::Cancelling => "cancelling".into(),
        CallState::Progress { .. } => "progress".into(),
        CallState::Ended(outcome) => outcome.kind.word().into(),
    }
}
