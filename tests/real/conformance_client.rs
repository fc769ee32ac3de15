//! The client that the official conformance suite drives: `conformance_client URL`, on the library's own MCP host.
//!
//! It connects as the program does, lists, and calls each tool that it was given: with the arguments that the scenario
//! names (`MCP_CONFORMANCE_CONTEXT`), else with the plainest ones that its schema allows. A scenario is judged by what
//! its server sees; where it asks for a sign-in, its pages agree at once, and forms go
//! back with their defaults. The exit code is 0 where the exchange came to an end.

#![allow(clippy::print_stderr, reason = "a program of a few lines")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use millrace::chat::{
    CallId, InquiryAnswer, Limits, Pasted, Question, ServerName, ServerState, SignInStage, SignInStep,
};
use millrace::config::{Consent, KeySource, Secret, ServerEntry, SignInSettings, Source, Transport};
use millrace::mcp::{CallEnd, CallOrder, CallTicket, Host, HostEvent, Keyring, SignIns, client};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

const NAME: &str = "conformance";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(url) = std::env::args().next_back().filter(|arg| arg.starts_with("http")) else {
        eprintln!("usage: conformance_client URL");
        return ExitCode::from(2);
    };
    match exchange(url).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

async fn exchange(url: String) -> Result<(), String> {
    let scenario = std::env::var("MCP_CONFORMANCE_SCENARIO").unwrap_or_default();
    let context = std::env::var("MCP_CONFORMANCE_CONTEXT").unwrap_or_default();
    let context: Value = serde_json::from_str(&context).unwrap_or(Value::Null);
    let limits = Limits { server_start: Duration::from_secs(20), ..Limits::default() };
    let http = client(&limits).map_err(|failure| failure.line())?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (host, events) = Host::new(http, Arc::new(limits), None);
    let sign_ins = SignIns::new(folder.path().to_owned(), Keyring::None, Duration::from_secs(20));
    let host = host.signed_in_by(sign_ins).attended();
    host.start(entry(url, &context));
    let mut desk = Desk { host, events, sign_ins: 0 };
    let ended = desk.all(&scenario, &context).await;
    desk.host.shutdown().await;
    ended
}

/// The host, its news, and somebody who agrees to every sign-in.
struct Desk {
    host: Host,
    events: mpsc::Receiver<HostEvent>,
    sign_ins: u32,
}

impl Desk {
    async fn all(&mut self, scenario: &str, context: &Value) -> Result<(), String> {
        let tools = self.ready().await?;
        let mut open: Vec<_> = calls(&tools, context).map(|(tool, arguments)| (tool.to_owned(), arguments)).collect();
        loop {
            let tickets: Vec<_> =
                open.iter().map(|(tool, arguments)| call(&self.host, tool, arguments.clone())).collect();
            let mut ends = join_all(tickets.into_iter().map(CallTicket::end));
            let ends = loop {
                tokio::select! {
                    ends = &mut ends => break ends,
                    Some(event) = self.events.recv() => answered(&self.host, &event),
                }
            };
            let mut turned_away = Vec::new();
            for ((tool, arguments), end) in open.into_iter().zip(ends) {
                match end {
                    CallEnd::Result(result) => eprintln!("{scenario}: {tool}: {result}"),
                    // It did not run: with more permission, or another token, it may.
                    CallEnd::NotSent { message } => {
                        eprintln!("{scenario}: {tool}: {message}");
                        turned_away.push((tool, arguments));
                    }
                    other => eprintln!("{scenario}: {tool}: {other:?}"),
                }
            }
            if turned_away.is_empty() {
                return Ok(());
            }
            self.sign_in()?;
            self.ready().await?;
            open = turned_away;
        }
    }

    /// Waits for the server, signing in where it asks for that. Its tools.
    async fn ready(&mut self) -> Result<Vec<Value>, String> {
        let mut tools = Vec::new();
        let mut signing = self.sign_ins > 0;
        loop {
            match self.events.recv().await {
                Some(HostEvent::Listing(listing)) => tools = listing.tools,
                Some(HostEvent::Status(status)) => match status.state {
                    ServerState::Ready if !signing => return Ok(tools),
                    ServerState::NeedsLogin if !signing => {
                        signing = true;
                        self.sign_in()?;
                    }
                    ServerState::Starting | ServerState::Ready | ServerState::NeedsLogin => {}
                    ServerState::Failed | ServerState::NeedsConsent | ServerState::Off => {
                        return Err(status.message.unwrap_or_default());
                    }
                },
                Some(HostEvent::SignIn { stage, .. }) => match stage {
                    SignInStage::Offered(offer) => {
                        let answer = browse(&offer.url).await?;
                        self.host.sign_in(&ServerName::new(NAME), SignInStep::Answer(Pasted(answer)));
                    }
                    SignInStage::Done { .. } => signing = false,
                    SignInStage::NotIt(message) | SignInStage::Failed { message, .. } => return Err(message),
                    SignInStage::Asking | SignInStage::Redeeming | SignInStage::Out(_) => {}
                },
                Some(HostEvent::Log { text, .. }) => eprintln!("{text}"),
                Some(event @ (HostEvent::Inquiry(_) | HostEvent::InquiryEnded { .. })) => answered(&self.host, &event),
                Some(HostEvent::News { .. }) => {}
                None => return Err("the host is gone".to_owned()),
            }
        }
    }

    fn sign_in(&mut self) -> Result<(), String> {
        self.sign_ins += 1;
        if self.sign_ins > 3 {
            return Err("signed in three times, and turned away all the same".to_owned());
        }
        self.host.sign_in(&ServerName::new(NAME), SignInStep::Begin);
        Ok(())
    }
}

/// Somebody who sends every form back as it came, with its defaults, and wants nothing else.
fn answered(host: &Host, event: &HostEvent) {
    let HostEvent::Inquiry(inquiry) = event else { return };
    let answer = match &inquiry.question {
        Question::Form { form, .. } => {
            let fields = form.fields.iter();
            InquiryAnswer::Accept(fields.filter_map(|f| Some((f.name.clone(), f.default.clone()?))).collect())
        }
        Question::Address { .. } | Question::Sample(_) | Question::Roots(_) => InquiryAnswer::Decline,
    };
    if !host.answer(inquiry.id, answer) {
        eprintln!("the answer came too late");
    }
}

/// The suite's pages agree at once: where that ends.
async fn browse(page: &str) -> Result<String, String> {
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
    let response = browser.map_err(|e| e.to_string())?.get(page).send().await.map_err(|e| e.to_string())?;
    let location = response.headers().get("location").and_then(|value| value.to_str().ok());
    location.map(str::to_owned).ok_or_else(|| format!("the page led nowhere (HTTP {})", response.status()))
}

fn entry(url: String, context: &Value) -> ServerEntry {
    let text = |key: &str| context.get(key).and_then(Value::as_str).map(str::to_owned);
    let sign_in = SignInSettings {
        client_id: text("client_id"),
        client_secret: text("client_secret").map(|secret| KeySource::Literal(Secret::new(secret))),
        client_metadata_url: Some("https://conformance-test.local/client-metadata.json".to_owned()),
        ..SignInSettings::default()
    };
    ServerEntry {
        name: ServerName::new(NAME),
        transport: Transport::Http { url, headers: BTreeMap::new() },
        trust: false,
        policy: None,
        policies: BTreeMap::new(),
        tools_allow: None,
        dispatch: None,
        dispatches: BTreeMap::new(),
        era: None,
        jsonrpc: false,
        start_timeout: None,
        call_timeout: Some(Duration::from_secs(20)),
        consent: Consent::Given,
        source: Source::Program,
        entry_hash: Arc::from(NAME),
        disabled: None,
        sign_in,
        features: Default::default(),
    }
}

/// What is called: the scenario's own calls, as far as their tools were listed; else every tool once.
fn calls<'a>(tools: &'a [Value], context: &'a Value) -> impl Iterator<Item = (&'a str, Map<String, Value>)> {
    let named = |tool: &'a Value| Some((tool.get("name")?.as_str()?, tool));
    let given = context.get("toolCalls").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let given = given.iter().filter_map(move |call| {
        let (name, _) = named(call)?;
        Some((name, call.get("arguments").and_then(Value::as_object).cloned().unwrap_or_default()))
    });
    let listed = tools.iter().filter_map(named).map(|(name, tool)| (name, plainest(tool, tools)));
    let all: Vec<_> = given.collect();
    let all = if all.is_empty() { listed.collect() } else { all };
    all.into_iter()
}

fn plainest(tool: &Value, tools: &[Value]) -> Map<String, Value> {
    let properties = tool.pointer("/inputSchema/properties").and_then(Value::as_object);
    let value = |name: &str, schema: &Value| match schema.get("type").and_then(Value::as_str) {
        // One scenario wants to see a schema as it was kept here.
        Some("object") if name == "schema" => {
            tools.iter().filter_map(|tool| tool.get("inputSchema")).next().cloned().unwrap_or_default()
        }
        Some("integer" | "number") => json!(2),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => json!("text"),
    };
    properties.into_iter().flatten().map(|(name, schema)| (name.clone(), value(name, schema))).collect()
}

fn call(host: &Host, tool: &str, arguments: Map<String, Value>) -> CallTicket {
    host.call(CallOrder { call: CallId::new(tool), server: ServerName::new(NAME), tool: tool.to_owned(), arguments })
}
