//! `millrace mcp call`: one call by hand, for whoever uses a tool, and for whoever writes one.
//!
//! # Invariants
//! - What a server asks of the person is asked at the terminal; where there is none it is declined, and said.
//! - Standard output is the result alone; progress, log messages and how it went are on standard error.
//! - Every outcome has its exit code: 0 the tool's result; 5 the tool's or the server's error, or no server; 2 arguments
//!   that do not fit; 4 a sign-in that is missing; 6 a time-out; 130 stopped by ctrl+c.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt as _};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::chat::{CallId, Fault, FaultKind, ServerName, ServerState, ToolRef, payloads};
use crate::headless::{Stop, stops};
use crate::mcp::{CallEnd, CallEvent, CallOrder, Host, HostEvent};
use crate::tools::{Registry, RegistryRules, Snapshot};

use super::answers::Answers;
use super::show::{bytes, readable, say, say_json, shown};
use super::{Bench, block_on};

/// What `mcp call` was asked to do.
pub(super) struct Wishes {
    pub(super) server: String,
    pub(super) tool: String,
    /// JSON, `@FILE`, or `-` for standard input.
    pub(super) arguments: Option<String>,
    pub(super) yes: bool,
    pub(super) validate: bool,
    /// Where payloads of the result are written.
    pub(super) save: Option<PathBuf>,
    pub(super) timeout: Option<Duration>,
}

/// What was seen of a call beside its end.
#[derive(Default)]
struct Seen {
    sent: bool,
    progress: u64,
    logs: u64,
}

impl Bench {
    pub(super) fn call(&self, wishes: &Wishes) -> Result<u8, Fault> {
        let mut entry = self.entry(&wishes.server)?.clone();
        let arguments = read_arguments(wishes.arguments.as_deref(), self.limits.arguments)?;
        let limits = match wishes.timeout {
            Some(time) => {
                entry.call_timeout = Some(time);
                // A time that was asked for is the whole time, with or without progress.
                Arc::new(crate::chat::Limits { call_idle: time, ..(*self.limits).clone() })
            }
            None => Arc::clone(&self.limits),
        };
        let Some(entry) = self.agreed(vec![entry], wishes.yes)?.pop() else { return Ok(2) };
        let (host, events) = self.host_within(limits)?;
        let mut answers = Answers::open();
        let host = if answers.attended() { host.attended() } else { host };
        block_on(async {
            let server = entry.name.clone();
            host.start(entry);
            let outcome = self.called(&host, events, server, arguments, wishes, &mut answers).await;
            host.shutdown().await;
            outcome
        })?
    }

    async fn called(
        &self,
        host: &Host,
        mut events: mpsc::Receiver<HostEvent>,
        server: ServerName,
        arguments: Map<String, Value>,
        wishes: &Wishes,
        answers: &mut Answers,
    ) -> Result<u8, Fault> {
        let begun = Instant::now();
        // Listened to from here on, so that none is missed between two waits.
        let mut stops = std::pin::pin!(stops());
        let tools = self.up(host, &mut events, &server, answers, stops.as_mut()).await?;
        let reference = ToolRef::new(server.as_str(), wishes.tool.as_str());
        check(&tools, &reference, &arguments, wishes.validate)?;
        let ready = begun.elapsed();
        let mut seen = Seen::default();
        let order = CallOrder { call: CallId::new("call-1"), server, tool: wishes.tool.clone(), arguments };
        let begun = Instant::now();
        let end = follow(host, &mut events, order, &mut seen, answers, stops.as_mut()).await;
        let took = begun.elapsed();
        // What the server said before its answer may stand behind it in the channel.
        while let Ok(event) = events.try_recv() {
            tell(event, &mut seen);
        }
        let code = self.told(&end, wishes);
        eprintln!("{}", summary(&end, ready, took, &seen));
        code
    }

    /// Waits until the server is ready: its tools as the registry sees them.
    async fn up(
        &self,
        host: &Host,
        events: &mut mpsc::Receiver<HostEvent>,
        server: &ServerName,
        answers: &mut Answers,
        mut stops: Pin<&mut impl Stream<Item = Stop>>,
    ) -> Result<Arc<Snapshot>, Fault> {
        let mut registry = Registry::new(RegistryRules::default(), Arc::clone(&self.limits));
        let mut quiet = Seen::default();
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                Some(_) = stops.next() => {
                    return Err(Fault::new(FaultKind::Cancelled, "stopped before the server was ready; nothing was called"));
                }
                line = answers.line() => {
                    if let Some((id, answer)) = answers.take(line) {
                        host.answer(id, answer);
                    }
                    continue;
                }
            };
            match event {
                Some(HostEvent::Listing(listing)) => {
                    if !listing.from_cache {
                        registry.apply(listing);
                    }
                }
                Some(HostEvent::Status(status)) => match status.state {
                    ServerState::Ready => return Ok(registry.snapshot()),
                    ServerState::Starting => {}
                    ServerState::Failed | ServerState::NeedsLogin | ServerState::Off | ServerState::NeedsConsent => {
                        return Err(super::visit::Visit::of(status).fault());
                    }
                },
                Some(HostEvent::Inquiry(inquiry)) => {
                    if let Some((id, answer)) = answers.ask(inquiry) {
                        host.answer(id, answer);
                    }
                }
                Some(HostEvent::InquiryEnded { id, end }) => answers.over(id, end),
                Some(other) => tell(other, &mut quiet),
                None => return Err(Fault::new(FaultKind::Internal, format!("{} was lost", server.as_str()))),
            }
        }
    }

    /// Prints how a call ended, and says what its exit code is.
    fn told(&self, end: &CallEnd, wishes: &Wishes) -> Result<u8, Fault> {
        let fault = match end {
            CallEnd::Result(result) => {
                let failed = result.get("isError").and_then(Value::as_bool) == Some(true);
                if self.json {
                    say_json(result);
                } else {
                    say(&readable(result));
                }
                if let Some(folder) = &wishes.save {
                    save(folder, result)?;
                }
                return Ok(if failed { FaultKind::Provider.exit_code() } else { 0 });
            }
            CallEnd::RpcError { code, message } => {
                if self.json {
                    say_json(&json!({"error": {"kind": "server", "code": code, "message": message}}));
                }
                let message = format!("the server answered with error {code}: {message}");
                return Err(Fault::new(FaultKind::Provider, message));
            }
            CallEnd::TimedOut { sent: true } => Fault::new(
                FaultKind::Limit,
                "no answer in time; the server was told to stop, and may still have run it",
            )
            .hint("Give it longer: --timeout SECONDS, or call_timeout in its entry."),
            CallEnd::TimedOut { sent: false } => {
                Fault::new(FaultKind::Limit, "the server did not take the call in time")
            }
            CallEnd::Cancelled { acknowledged } => {
                let how = match acknowledged {
                    true => "the server confirmed it",
                    false => "the server was told, and did not say; it may still have run",
                };
                Fault::new(FaultKind::Cancelled, format!("cancelled: {how}"))
            }
            CallEnd::ServerGone { sent, message } => {
                let what = if *sent { "the call may have run" } else { "the call did not leave" };
                Fault::new(FaultKind::Network, format!("{message}; {what}"))
            }
            CallEnd::NotSent { message } => Fault::new(FaultKind::Network, format!("not sent: {message}")),
        };
        if self.json {
            say_json(&json!({"error": {"kind": fault.kind.word(), "message": fault.message}}));
        }
        Err(fault)
    }
}

/// The arguments: JSON, a file's, or standard input's; none is `{}`.
fn read_arguments(given: Option<&str>, most: u64) -> Result<Map<String, Value>, Fault> {
    let (from, text) = match given {
        None => return Ok(Map::new()),
        Some("-") => ("standard input".to_owned(), input(std::io::stdin().lock(), most)?),
        Some(given) => match given.strip_prefix('@') {
            Some(path) => {
                let file = std::fs::File::open(path)
                    .map_err(|error| Fault::new(FaultKind::Usage, format!("cannot read {path}: {error}")))?;
                (path.to_owned(), input(file, most)?)
            }
            None => ("the arguments".to_owned(), given.to_owned()),
        },
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    let hint = "Quote them for the shell: '{\"path\": \"a.txt\"}', or use @FILE, or - for standard input.";
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(other) => {
            let kind = match other {
                Value::Null => "null",
                Value::Bool(_) => "a truth value",
                Value::Number(_) => "a number",
                Value::String(_) => "a text",
                Value::Array(_) => "a list",
                Value::Object(_) => "an object",
            };
            Err(Fault::new(FaultKind::Usage, format!("{from}: {kind}, and not an object")).hint(hint))
        }
        Err(error) => Err(Fault::new(FaultKind::Usage, format!("{from}: this is not JSON: {error}")).hint(hint)),
    }
}

fn input(reader: impl std::io::Read, most: u64) -> Result<String, Fault> {
    let bad = |why: String| Fault::new(FaultKind::Usage, format!("the arguments cannot be read: {why}"));
    let mut text = String::new();
    reader.take(most + 1).read_to_string(&mut text).map_err(|error| bad(error.to_string()))?;
    if text.len() as u64 > most {
        return Err(bad(format!("they are larger than {most} bytes (limits.arguments)")));
    }
    Ok(text)
}

/// Refuses what the server does not list, and arguments that do not fit its own schema.
fn check(tools: &Snapshot, tool: &ToolRef, arguments: &Map<String, Value>, validate: bool) -> Result<(), Fault> {
    let Some(found) = tools.by_ref(tool) else {
        if let Some(absent) = tools.absences().find(|absent| absent.reference == *tool) {
            // It is there, if not as it should be: whoever writes it wants to see what it does.
            eprintln!("{}", shown(&format!("note: millrace would not offer it to a model. {}", absent.message())));
            return Ok(());
        }
        let names: Vec<String> = tools.tools().map(|tool| tool.reference.tool.to_string()).collect();
        let near = crate::config::nearest(&tool.tool, names.iter().map(String::as_str));
        let hint = match (near, names.as_slice()) {
            (Some(near), _) => format!("Did you mean {near}?"),
            (None, []) => "It lists no tools.".to_owned(),
            (None, names) => format!("It lists {}.", names.join(", ")),
        };
        let message = format!("{} has no tool {:?}", tool.server.as_str(), &*tool.tool);
        return Err(Fault::new(FaultKind::Usage, message).hint(hint));
    };
    match found.validate(&Value::Object(arguments.clone())) {
        Ok(()) => Ok(()),
        Err(problems) => {
            let lines = problems.iter().map(|problem| {
                let place = if problem.path.is_empty() { "the arguments" } else { &problem.path };
                format!("\n  {place}: {}", problem.message)
            });
            let message =
                format!("the arguments do not fit the schema of {}:{}", found.path(), lines.collect::<String>());
            if validate {
                Err(Fault::new(FaultKind::Usage, message).hint("Send them all the same: --no-validate."))
            } else {
                eprintln!("{}", shown(&format!("note: {message}").replace('\n', "  ")));
                Ok(())
            }
        }
    }
}

/// Makes the call; ctrl+c cancels it at its server, a second one waits no longer.
async fn follow(
    host: &Host,
    events: &mut mpsc::Receiver<HostEvent>,
    order: CallOrder,
    seen: &mut Seen,
    answers: &mut Answers,
    mut stops: Pin<&mut impl Stream<Item = Stop>>,
) -> CallEnd {
    let mut ticket = host.call(order);
    let mut stopping = false;
    let mut heard = true;
    loop {
        let event = tokio::select! {
            biased;
            event = events.recv(), if heard => {
                match event {
                    Some(HostEvent::Inquiry(inquiry)) => {
                        if let Some((id, answer)) = answers.ask(inquiry) {
                            host.answer(id, answer);
                        }
                    }
                    Some(HostEvent::InquiryEnded { id, end }) => answers.over(id, end),
                    Some(event) => tell(event, seen),
                    None => heard = false,
                }
                continue;
            }
            event = ticket.next() => event,
            Some(_) = stops.next() => {
                if stopping {
                    return CallEnd::Cancelled { acknowledged: false };
                }
                stopping = true;
                eprintln!("cancelling: the server is told");
                ticket.cancel();
                continue;
            }
            line = answers.line() => {
                if let Some((id, answer)) = answers.take(line) {
                    host.answer(id, answer);
                }
                continue;
            }
        };
        match event {
            Some(CallEvent::Sent) => seen.sent = true,
            Some(CallEvent::Progress { progress, total, message }) => {
                seen.progress += 1;
                let of = total.map(|total| format!(" of {total}")).unwrap_or_default();
                let message = message.map(|message| format!("  {}", shown(&message))).unwrap_or_default();
                eprintln!("progress  {progress}{of}{message}");
            }
            Some(CallEvent::Ended(end)) => return end,
            None => return CallEnd::ServerGone { sent: seen.sent, message: "the host was shut down".to_owned() },
        }
    }
}

/// What the server says while a call runs.
fn tell(event: HostEvent, seen: &mut Seen) {
    match event {
        HostEvent::Log { level, text, .. } => {
            seen.logs += 1;
            eprintln!("{:<9} {}", level.word(), shown(&text));
        }
        HostEvent::Status(status) if status.state != ServerState::Ready => {
            let message = status.message.as_deref().map(|message| format!(": {}", shown(message))).unwrap_or_default();
            eprintln!("{:<9} {}{message}", "server", status.state.word());
        }
        // Questions are answered where calls are followed; here all of them are over.
        HostEvent::Inquiry(_)
        | HostEvent::Status(_)
        | HostEvent::Listing(_)
        | HostEvent::InquiryEnded { .. }
        | HostEvent::News { .. }
        | HostEvent::SignIn { .. } => {}
    }
}

fn summary(end: &CallEnd, ready: Duration, took: Duration, seen: &Seen) -> String {
    let how = match end {
        CallEnd::Result(result) if result.get("isError").and_then(Value::as_bool) == Some(true) => "the tool failed",
        CallEnd::Result(_) => "done",
        CallEnd::RpcError { .. } => "refused",
        CallEnd::TimedOut { .. } => "timed out",
        CallEnd::Cancelled { .. } => "cancelled",
        CallEnd::ServerGone { .. } => "the server is gone",
        CallEnd::NotSent { .. } => "not sent",
    };
    let mut text = format!("{how} in {:.3} s (server up in {:.3} s)", took.as_secs_f64(), ready.as_secs_f64());
    if let CallEnd::Result(result) = end {
        text.push_str(&format!(", {}", bytes(result.to_string().len() as u64)));
    }
    for (count, one, many) in
        [(seen.progress, "progress message", "progress messages"), (seen.logs, "log message", "log messages")]
    {
        match count {
            0 => {}
            1 => text.push_str(&format!(", 1 {one}")),
            n => text.push_str(&format!(", {n} {many}")),
        }
    }
    text
}

/// Writes the payloads of a result to files of their own, never over another.
fn save(folder: &Path, result: &Value) -> Result<(), Fault> {
    let fault = |what: &Path, error: std::io::Error| {
        Fault::new(FaultKind::Usage, format!("{} was not written: {error}", what.display()))
    };
    std::fs::create_dir_all(folder).map_err(|error| fault(folder, error))?;
    let found = payloads(result);
    if found.is_empty() {
        eprintln!("nothing to save: the result holds no image, sound or blob");
    }
    let mut number = 0;
    for payload in found {
        let (path, mut file) = loop {
            number += 1;
            let path = folder.join(format!("result-{number}.{}", payload.extension));
            match std::fs::File::create_new(&path) {
                Ok(file) => break (path, file),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(fault(&path, error)),
            }
        };
        std::io::Write::write_all(&mut file, &payload.bytes).map_err(|error| fault(&path, error))?;
        eprintln!("saved     {} ({})", path.display(), bytes(payload.bytes.len() as u64));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_come_from_where_they_are_said_to_be() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.json");
        std::fs::write(&file, "\u{feff}{\"a\": 1}").unwrap();
        let read = |text: &str| read_arguments(Some(text), 100);
        assert_eq!(read_arguments(None, 1).unwrap().len(), 0);
        assert_eq!(read("").unwrap().len(), 0);
        assert_eq!(read(&format!("@{}", file.display())).unwrap()["a"], 1);
        assert!(read("[1]").unwrap_err().message.contains("a list, and not an object"));
        assert!(read("{a}").unwrap_err().message.contains("this is not JSON"));
        assert!(read("@/none").unwrap_err().message.contains("cannot read /none"));
        let large = read_arguments(Some(&format!("@{}", file.display())), 3).unwrap_err();
        assert!(large.message.contains("limits.arguments"));
    }

    #[test]
    fn payloads_are_saved_and_never_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let result = json!({"content": [{"type": "image", "mimeType": "image/png", "data": "iVBORw0KGgo="}]});
        save(folder.path(), &result).unwrap();
        save(folder.path(), &result).unwrap();
        let mut names: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        assert_eq!(names, ["result-1.png", "result-2.png"]);
    }
}
