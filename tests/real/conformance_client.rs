//! The client that the official conformance suite drives: `conformance_client URL`, on the library's own MCP host.
//!
//! It connects as the program does, lists, and calls each tool that it was given: with the arguments that the scenario
//! names (`MCP_CONFORMANCE_CONTEXT`), else with the plainest ones that its schema allows. A scenario is judged by what
//! its server sees; the exit code is 0 where the exchange came to an end.

#![allow(clippy::print_stderr, reason = "a program of a few lines")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use millrace::chat::{CallId, Limits, ServerName, ServerState};
use millrace::config::{Consent, ServerEntry, Source, Transport};
use millrace::mcp::{CallEnd, CallOrder, CallTicket, Host, HostEvent, client};
use serde_json::{Map, Value, json};

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
    let (host, mut events) = Host::new(http, Arc::new(limits), None);
    host.start(entry(url));
    let mut tools = Vec::new();
    let ended = loop {
        match events.recv().await {
            Some(HostEvent::Listing(listing)) => tools = listing.tools,
            Some(HostEvent::Status(status)) => match status.state {
                ServerState::Ready => break Ok(()),
                ServerState::Starting => {}
                ServerState::Failed | ServerState::NeedsLogin | ServerState::NeedsConsent | ServerState::Off => {
                    break Err(status.message.unwrap_or_default());
                }
            },
            Some(HostEvent::Log { text, .. }) => eprintln!("{text}"),
            Some(HostEvent::Inquiry(_) | HostEvent::InquiryEnded { .. }) => {}
            None => break Err("the host is gone".to_owned()),
        }
    };
    // Nobody reads the news of the server from here on; they must not hold it back.
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    if ended.is_ok() {
        let tickets: Vec<_> =
            calls(&tools, &context).map(|(tool, arguments)| (tool, call(&host, tool, arguments))).collect();
        for (tool, ticket) in tickets {
            match ticket.end().await {
                CallEnd::Result(result) => eprintln!("{scenario}: {tool}: {result}"),
                other => eprintln!("{scenario}: {tool}: {other:?}"),
            }
        }
    }
    host.shutdown().await;
    ended
}

fn entry(url: String) -> ServerEntry {
    ServerEntry {
        name: ServerName::new(NAME),
        transport: Transport::Http { url, headers: BTreeMap::new() },
        trust: false,
        policy: None,
        policies: BTreeMap::new(),
        tools_allow: None,
        dispatch: None,
        dispatches: BTreeMap::new(),
        start_timeout: None,
        call_timeout: Some(Duration::from_secs(20)),
        consent: Consent::Given,
        source: Source::Program,
        entry_hash: Arc::from(NAME),
        disabled: None,
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
    let listed = tools.iter().filter_map(named).map(|(name, tool)| (name, plainest(tool)));
    let all: Vec<_> = given.collect();
    let all = if all.is_empty() { listed.collect() } else { all };
    all.into_iter()
}

fn plainest(tool: &Value) -> Map<String, Value> {
    let properties = tool.pointer("/inputSchema/properties").and_then(Value::as_object);
    let value = |schema: &Value| match schema.get("type").and_then(Value::as_str) {
        Some("integer" | "number") => json!(2),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => json!("text"),
    };
    properties.into_iter().flatten().map(|(name, schema)| (name.clone(), value(schema))).collect()
}

fn call(host: &Host, tool: &str, arguments: Map<String, Value>) -> CallTicket {
    host.call(CallOrder { call: CallId::new(tool), server: ServerName::new(NAME), tool: tool.to_owned(), arguments })
}
