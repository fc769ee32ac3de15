//! `millrace mcp call`: one call by hand.

use std::io::IsTerminal as _;

use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::chat::{CallId, Fault, FaultKind};
use crate::mcp::{CallEnd, CallEvent, CallOrder, Host, HostEvent, LogLevel};
use crate::text::sanitize;

use super::show::{readable, say, say_json};
use super::{Bench, block_on};

impl Bench {
    pub(super) fn call(&self, name: &str, tool: String, arguments: Option<&str>, yes: bool) -> Result<u8, Fault> {
        let entry = self.entry(name)?.clone();
        let arguments: Map<String, Value> = match arguments {
            None => Map::new(),
            Some(text) => serde_json::from_str(text).map_err(|error| {
                Fault::new(FaultKind::Usage, format!("the arguments are not a JSON object: {error}"))
                    .hint("Quote them for the shell: '{\"path\": \"a.txt\"}'")
            })?,
        };
        let Some(entry) = self.agreed(vec![entry], yes)?.pop() else { return Ok(2) };
        let (host, events) = self.host()?;
        block_on(async {
            let server = entry.name.clone();
            host.start(entry);
            let talk = tokio::spawn(chat_to_stderr(events));
            let order = CallOrder { call: CallId::new("call-1"), server, tool, arguments };
            let end = follow(&host, order).await;
            host.shutdown().await;
            talk.abort();
            self.told(end)
        })?
    }

    /// Prints how a call ended.
    fn told(&self, end: CallEnd) -> Result<u8, Fault> {
        let network = |message: String| Err(Fault::new(FaultKind::Network, message));
        match end {
            CallEnd::Result(result) => {
                let failed = result.get("isError").and_then(Value::as_bool) == Some(true);
                if self.json {
                    say_json(&result);
                } else {
                    say(&readable(&result));
                }
                Ok(if failed { FaultKind::Provider.exit_code() } else { 0 })
            }
            CallEnd::RpcError { code, message } => {
                if self.json {
                    say_json(&json!({"error": {"code": code, "message": message}}));
                }
                Err(Fault::new(FaultKind::Provider, format!("the server answered with error {code}: {message}")))
            }
            CallEnd::TimedOut { sent: true } => network("no answer in time; the server was told to stop".to_owned()),
            CallEnd::TimedOut { sent: false } => network("the server did not take the call".to_owned()),
            CallEnd::Cancelled { acknowledged } => {
                let how = if acknowledged { "it did not run to its end" } else { "it may still have run" };
                Err(Fault::new(FaultKind::Cancelled, format!("cancelled; {how}")))
            }
            CallEnd::ServerGone { sent, message } => {
                network(format!("{message}; {}", if sent { "the call may have run" } else { "the call did not leave" }))
            }
            CallEnd::NotSent { message } => network(format!("not sent: {message}")),
        }
    }
}

/// Makes the call; ctrl+c cancels it at its server.
async fn follow(host: &Host, order: CallOrder) -> CallEnd {
    let talkative = std::io::stderr().is_terminal();
    let mut ticket = host.call(order);
    loop {
        let event = tokio::select! {
            event = ticket.next() => event,
            Ok(()) = tokio::signal::ctrl_c() => {
                ticket.cancel();
                continue;
            }
        };
        match event {
            Some(CallEvent::Sent) => {}
            Some(CallEvent::Progress { progress, total, message }) if talkative => {
                let of = total.map(|total| format!("/{total}")).unwrap_or_default();
                eprintln!("  {progress}{of} {}", sanitize(message.as_deref().unwrap_or_default()));
            }
            Some(CallEvent::Progress { .. }) => {}
            Some(CallEvent::Ended(end)) => return end,
            None => return CallEnd::ServerGone { sent: true, message: "the host was shut down".to_owned() },
        }
    }
}

/// What the server says while a call runs.
async fn chat_to_stderr(mut events: mpsc::Receiver<HostEvent>) {
    while let Some(event) = events.recv().await {
        match event {
            HostEvent::Log { server, level, text } if level >= LogLevel::Info => {
                eprintln!("{} {}: {}", server.as_str(), level.word(), sanitize(&text));
            }
            HostEvent::Log { .. }
            | HostEvent::Status(_)
            | HostEvent::Listing(_)
            | HostEvent::Inquiry(_)
            | HostEvent::InquiryEnded { .. } => {}
        }
    }
}
