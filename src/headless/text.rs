//! `--output text`: the answer on standard output, activity on standard error.
//!
//! Which round is the last is known only at its end, so that words before a tool call are not taken for the answer:
//! a pipe gets a round's text at its finish, at once where the round offers no tools. A terminal sees it as it comes.

use std::collections::HashMap;

use crate::chat::{
    CallId, CallState, CallUpdate, Effective, Fault, NoticeKind, OutcomeKind, ServerName, ServerState, ToolOutcome,
    TurnEvent, TurnStatus,
};
use crate::text::sanitize;

use super::ndjson::{retrying, slow};
use super::{Options, Outbox, extract};

/// How much of arguments and results stands on an activity line, in characters.
const DETAIL: usize = 160;

#[derive(Debug)]
pub(super) struct Text {
    options: Options,
    round: u32,
    /// Whether this round's text goes out as it comes.
    live: bool,
    /// Whom it asks, until it was said.
    asks: Option<String>,
    /// What was last said of each server.
    servers: HashMap<ServerName, String>,
    /// What the turn failed of, until the answer's last line has ended.
    fault: Option<Fault>,
    /// This round's text that has not gone out.
    held: String,
    /// This round's text that has gone out.
    shown: String,
    /// The last character on the terminal's line was not a line feed.
    mid_line: bool,
    /// Words come that may go on in the midst of a line.
    writing: bool,
    /// Activity that waits for the end of that line: on a terminal a sentence is not torn.
    waiting: Vec<String>,
    /// The arguments of open calls, for their lines.
    arguments: HashMap<CallId, String>,
    /// Denials that were told, so that the engine's notice does not repeat them.
    denied: Vec<String>,
    failed: bool,
    /// A code block was asked for, and a whole answer had none.
    codeless: bool,
    /// A question stands on the terminal: what was to be written after it.
    asking: Option<Outbox>,
}

impl Text {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            options: *options,
            round: 0,
            live: options.stdout_terminal && !options.extract,
            asks: None,
            servers: HashMap::new(),
            fault: None,
            held: String::new(),
            shown: String::new(),
            mid_line: false,
            writing: false,
            waiting: Vec::new(),
            arguments: HashMap::new(),
            denied: Vec::new(),
            failed: false,
            codeless: false,
            asking: None,
        }
    }

    /// What was asked for of a whole answer was not in it.
    pub(super) fn is_codeless(&self) -> bool {
        self.codeless
    }

    pub(super) fn ask(&mut self, question: &str, to: &mut Outbox) {
        self.tell_waiting(to);
        if self.mid_line && self.options.stdout_terminal {
            to.err("\n");
            self.mid_line = false;
        }
        to.err(question);
        self.asking.get_or_insert_default();
    }

    pub(super) fn asked(&mut self, to: &mut Outbox) {
        for (channel, bytes) in self.asking.take().unwrap_or_default().0 {
            to.put(channel, &bytes);
        }
    }

    pub(super) fn take(&mut self, event: &TurnEvent, to: &mut Outbox) {
        match event {
            TurnEvent::Request { round, tools, .. } => {
                if let Some(asks) = self.asks.take() {
                    self.activity(&asks, to);
                }
                self.begin(*round, *tools, to);
            }
            TurnEvent::Text { text, .. } | TurnEvent::Refusal { text, .. } => {
                if self.live {
                    self.writing = true;
                    self.answer(text, to);
                } else {
                    self.held.push_str(text);
                }
            }
            TurnEvent::Finish { effective, .. } => {
                self.writing = false;
                self.tell_waiting(to);
                self.finish(*effective, to);
            }
            TurnEvent::Call { update, .. } => self.call(update, to),
            TurnEvent::Notice { kind: NoticeKind::Denied, message, .. } => {
                if !self.denied.iter().any(|path| message.contains(path.as_str())) {
                    self.activity(message, to);
                }
            }
            TurnEvent::Notice { message, .. } => self.activity(message, to),
            TurnEvent::Compaction { step, .. } => {
                if let Some(told) = step.told() {
                    self.activity(&told, to);
                }
            }
            TurnEvent::Unsaved { reason } => self.activity(&format!("This is not being saved: {reason}"), to),
            TurnEvent::Slow { waited_ms, .. } => self.activity(&slow(*waited_ms), to),
            TurnEvent::Retrying { attempt, delay_ms, fault, .. } => {
                self.activity(&retrying(fault, *attempt, *delay_ms), to);
            }
            TurnEvent::Server(status) => {
                let why = status.message.as_deref().map(|m| format!(": {m}")).unwrap_or_default();
                let line = format!("server {} {}{why}", status.server.as_str(), status.state.word());
                // Its state is told anew with every change in it.
                if self.servers.insert(status.server.clone(), line.clone()).is_some_and(|before| before == line) {
                    return;
                }
                match status.state {
                    ServerState::Failed | ServerState::NeedsLogin | ServerState::NeedsConsent => {
                        self.activity(&line, to)
                    }
                    ServerState::Starting | ServerState::Ready | ServerState::Off if self.options.verbose => {
                        self.activity(&line, to);
                    }
                    ServerState::Starting | ServerState::Ready | ServerState::Off => {}
                }
            }
            TurnEvent::Error { fault, .. } if self.mid_line || !self.held.is_empty() => {
                self.failed = true;
                if let Some(earlier) = self.fault.replace(fault.clone()) {
                    self.error(&earlier, to);
                }
            }
            TurnEvent::Error { fault, .. } => self.error(fault, to),
            TurnEvent::Ended { status, text, .. } => self.end(*status, text, to),
            // At a terminal only: a wait there should not look like a program that hangs.
            TurnEvent::Started { model, base_url, .. } => {
                let host = url::Url::parse(base_url).ok();
                let host = host.as_ref().and_then(url::Url::host_str).unwrap_or(base_url);
                self.asks = self.options.stderr_terminal.then(|| format!("asking {model} at {host}"));
            }
            TurnEvent::Message { .. }
            | TurnEvent::Reasoning { .. }
            | TurnEvent::Usage { .. }
            | TurnEvent::Inquiry { .. }
            | TurnEvent::Replied { .. }
            | TurnEvent::News { .. }
            | TurnEvent::InquiryEnded { .. }
            | TurnEvent::Sampled { .. }
            | TurnEvent::Titled { .. }
            | TurnEvent::Aside { .. }
            | TurnEvent::SignIn { .. }
            | TurnEvent::Tools(_)
            | TurnEvent::Saved { .. } => {}
        }
    }

    fn begin(&mut self, round: u32, tools: u32, to: &mut Outbox) {
        if round == self.round {
            return;
        }
        self.round = round;
        if !self.shown.is_empty() {
            // Only a terminal has seen words of a round that was not the last.
            self.answer(if self.mid_line { "\n\n" } else { "\n" }, to);
        }
        self.live = (self.options.stdout_terminal || tools == 0) && !self.options.extract;
        self.held.clear();
        self.shown.clear();
    }

    fn finish(&mut self, effective: Effective, to: &mut Outbox) {
        if self.live || self.options.extract {
            return;
        }
        let held = std::mem::take(&mut self.held);
        match effective {
            Effective::ToolCalls => {
                if self.options.verbose && !held.trim().is_empty() {
                    self.activity(&format!("said: {}", short(&held)), to);
                }
                // Still the answer if the turn ends here.
                self.held = held;
            }
            Effective::Stop | Effective::Length | Effective::ContentFilter | Effective::Error | Effective::Other => {
                self.answer(&held, to);
            }
        }
    }

    fn end(&mut self, status: TurnStatus, text: &str, to: &mut Outbox) {
        self.writing = false;
        if self.options.extract {
            match extract::first_code_block(text) {
                Some(code) if status == TurnStatus::Ok => self.answer(&code, to),
                // It may be piped into a shell: half a script is worse than none.
                Some(_) => self.stderr("The answer is not whole; its code is not printed.", to),
                None if status == TurnStatus::Ok => {
                    self.codeless = true;
                    self.stderr("error: The answer has no code block, so there is nothing to print (-x).", to);
                    self.stderr("The whole answer: millrace history show last", to);
                }
                None => {}
            }
        } else {
            // What was streamed is the beginning of the answer; where it is not, it stands.
            let held = std::mem::take(&mut self.held);
            let whole = if text.is_empty() { held.as_str() } else { text };
            if let Some(rest) = whole.strip_prefix(self.shown.as_str()) {
                let rest = rest.to_owned();
                self.answer(&rest, to);
            }
            if self.mid_line {
                self.answer("\n", to);
            }
        }
        if let Some(fault) = self.fault.take() {
            self.error(&fault, to);
        }
        match status {
            TurnStatus::Ok => {}
            TurnStatus::Cancelled => self.activity("cancelled", to),
            TurnStatus::Limit if !self.failed => self.stderr("error: A limit stopped the turn.", to),
            TurnStatus::Failed if !self.failed => self.stderr("error: The turn failed.", to),
            TurnStatus::Limit | TurnStatus::Failed => {}
        }
    }

    fn call(&mut self, update: &CallUpdate, to: &mut Outbox) {
        match &update.state {
            CallState::Closed { arguments, .. } => {
                self.arguments.insert(update.call.clone(), short(arguments));
            }
            CallState::Running => {
                let with = self.arguments.get(&update.call).map(|a| format!(" {a}")).unwrap_or_default();
                let line = format!("running {}{with}", name(update));
                self.activity(&line, to);
            }
            CallState::Ended(outcome) => {
                self.arguments.remove(&update.call);
                if outcome.kind == OutcomeKind::Denied {
                    self.denial(update, outcome, to);
                } else {
                    let line = ended(update, outcome);
                    self.activity(&line, to);
                }
            }
            CallState::Arguments { .. }
            | CallState::Waiting(_)
            | CallState::Cancelling
            | CallState::Progress { .. } => {}
        }
    }

    /// Shown without `-v` too: a script's owner must learn what to change.
    fn denial(&mut self, update: &CallUpdate, outcome: &ToolOutcome, to: &mut Outbox) {
        let path = name(update);
        // Who denied it words it too, with the rule that would allow it.
        let line = match outcome.content.lines().find(|line| !line.trim().is_empty()) {
            Some(told) if told.contains(&path) => told.to_owned(),
            Some(told) => format!("denied {path}: {told}"),
            None => format!("denied {path}"),
        };
        self.denied.push(path);
        if !self.options.quiet {
            self.stderr(&line, to);
        }
    }

    fn error(&mut self, fault: &Fault, to: &mut Outbox) {
        self.failed = true;
        match fault.message.strip_prefix("error: ") {
            // Problems of the configuration come rendered, with the lines that they are about.
            Some(_) => self.lines(&fault.message, to),
            None => self.stderr(&format!("error: {}", fault.message), to),
        }
        if let Some(hint) = &fault.hint {
            self.stderr(&format!("  {hint}"), to);
        }
    }

    fn answer(&mut self, text: &str, to: &mut Outbox) {
        let Some(last) = text.chars().next_back() else { return };
        if !self.waiting.is_empty()
            && let Some(at) = text.find('\n')
        {
            let (line, rest) = text.split_at(at + 1);
            let waiting = std::mem::take(&mut self.waiting);
            self.answer(line, to);
            self.waiting = waiting;
            self.tell_waiting(to);
            return self.answer(rest, to);
        }
        self.mid_line = last != '\n';
        self.shown.push_str(text);
        if self.options.stdout_terminal {
            self.asking.as_mut().unwrap_or(to).out(sanitize(text).as_str());
        } else {
            to.out(text);
        }
    }

    fn activity(&mut self, line: &str, to: &mut Outbox) {
        if (self.options.stderr_terminal || self.options.verbose) && !self.options.quiet {
            if self.writing && self.mid_line && self.options.stdout_terminal && self.options.stderr_terminal {
                self.waiting.push(line.to_owned());
            } else {
                self.stderr(line, to);
            }
        }
    }

    /// Says what waited for the line's end.
    fn tell_waiting(&mut self, to: &mut Outbox) {
        for line in std::mem::take(&mut self.waiting) {
            self.stderr(&line, to);
        }
    }

    /// Text of our own, as it is laid out.
    fn lines(&mut self, text: &str, to: &mut Outbox) {
        let to = self.asking.as_mut().unwrap_or(to);
        let text = if self.options.stderr_terminal { sanitize(text).into_string() } else { text.to_owned() };
        to.err(format!("{text}\n"));
    }

    /// One line, whatever is in it.
    fn stderr(&mut self, line: &str, to: &mut Outbox) {
        self.tell_waiting(to);
        let to = self.asking.as_mut().unwrap_or(to);
        if self.mid_line && self.options.stdout_terminal && self.options.stderr_terminal {
            // Both are one screen: the line must not hang at the end of the answer so far.
            to.err("\n");
            self.mid_line = false;
        }
        let indent = if line.starts_with("  ") { "  " } else { "" };
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = if self.options.stderr_terminal { sanitize(&line).as_str().to_owned() } else { line };
        to.err(format!("{indent}{line}\n"));
    }
}

fn ended(update: &CallUpdate, outcome: &ToolOutcome) -> String {
    let path = name(update);
    let word = outcome.kind.word().replace('_', " ");
    match outcome.kind {
        OutcomeKind::Done => {
            let cut = if outcome.truncated { ", cut for the model" } else { "" };
            format!("done {path} in {:.1} s, {} bytes{cut}", outcome.ms / 1000.0, outcome.bytes)
        }
        OutcomeKind::Failed
        | OutcomeKind::Denied
        | OutcomeKind::TimedOut
        | OutcomeKind::Cancelled
        | OutcomeKind::Unknown
        | OutcomeKind::Invalid
        | OutcomeKind::Incomplete
        | OutcomeKind::Conflict => format!("{word} {path}: {}", short(&outcome.content)),
    }
}

/// `server/tool`, else the name as the model wrote it.
fn name(update: &CallUpdate) -> String {
    match (&update.tool, &update.wire_name) {
        (Some(tool), _) => tool.path(),
        (None, Some(name)) => name.to_string(),
        (None, None) => "a call without a name".to_owned(),
    }
}

fn short(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((at, _)) = line.char_indices().nth(DETAIL) {
        line.truncate(at);
        line.push('…');
    }
    line
}
