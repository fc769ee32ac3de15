//! How the parts of one server's connection tell the host's reader something.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::chat::{LoggingLevel, ServerName, ServerNews, ServerStatus};
use crate::tools::Listing;

use super::event::{HostEvent, LogLevel};
use super::log::{Messages, Speaker};

/// Tells of one server; clones share its allowance of log messages.
#[derive(Clone, Debug)]
pub(super) struct Reporter {
    server: ServerName,
    events: mpsc::Sender<HostEvent>,
    gate: Arc<Mutex<Gate>>,
    messages: Messages,
}

impl Reporter {
    pub(super) fn new(server: ServerName, events: mpsc::Sender<HostEvent>, per_second: u32) -> Self {
        let gate = Arc::new(Mutex::new(Gate::new(per_second)));
        Self { server, events, gate, messages: Messages::new(0) }
    }

    /// Keeps so many bytes of messages.
    pub(super) fn keeping(self, bytes: u64) -> Self {
        Self { messages: Messages::new(usize::try_from(bytes).unwrap_or(usize::MAX)), ..self }
    }

    /// What the server said and what was remarked, as far as it is kept.
    pub(super) fn messages(&self) -> &Messages {
        &self.messages
    }

    pub(super) async fn status(&self, status: ServerStatus) {
        // A reader that has gone away needs no news.
        let _ = self.events.send(HostEvent::Status(status)).await;
    }

    pub(super) async fn listing(&self, listing: Listing) {
        let _ = self.events.send(HostEvent::Listing(listing)).await;
    }

    pub(super) async fn news(&self, news: ServerNews) {
        let _ = self.events.send(HostEvent::News { server: self.server.clone(), news }).await;
    }

    /// A remark of the host, unless there were too many in this second or the reader is far behind; `text` is made only
    /// then. It is kept with the server's own messages.
    pub(super) fn log(&self, level: LogLevel, text: impl FnOnce() -> String) {
        let Some(skipped) = self.pass() else { return };
        if skipped > 0 {
            self.left_out(skipped, false);
        }
        let text = text();
        self.messages.push(level.of_protocol(), Speaker::Millrace, &text);
        self.put(level, text, false);
    }

    fn left_out(&self, skipped: u64, said: bool) {
        let left_out = format!("{skipped} messages were left out ([limits] messages_per_second)");
        self.messages.push(LoggingLevel::Notice, Speaker::Millrace, &left_out);
        self.put(LogLevel::Info, left_out, said);
    }

    /// A message of the server itself, under the same allowance; it is kept too.
    pub(super) fn said(&self, level: LoggingLevel, logger: Option<&str>, text: impl FnOnce() -> String) {
        let Some(skipped) = self.pass() else { return };
        if skipped > 0 {
            self.left_out(skipped, true);
        }
        let text = text();
        self.messages.push(level, Speaker::Server(logger), &text);
        let text = logger.map(|logger| format!("{logger}: {text}")).unwrap_or(text);
        self.put(LogLevel::of(level), text, true);
    }

    /// How many were skipped since the last that passed; None: this one is.
    fn pass(&self) -> Option<u64> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner).pass(Instant::now())
    }

    fn put(&self, level: LogLevel, text: String, said: bool) {
        let _ = self.events.try_send(HostEvent::Log { server: self.server.clone(), level, text, said });
    }
}

/// Lets so many through in any one second.
#[derive(Debug)]
pub(super) struct Gate {
    per_second: u32,
    since: Option<Instant>,
    passed: u32,
    skipped: u64,
}

impl Gate {
    pub(super) fn new(per_second: u32) -> Self {
        Self { per_second: per_second.max(1), since: None, passed: 0, skipped: 0 }
    }

    /// Whether one more may pass now, and then how many were turned away since the last that did.
    pub(super) fn pass(&mut self, now: Instant) -> Option<u64> {
        if self.since.is_none_or(|since| now.duration_since(since) >= Duration::from_secs(1)) {
            self.since = Some(now);
            self.passed = 0;
        }
        if self.passed >= self.per_second {
            self.skipped += 1;
            return None;
        }
        self.passed += 1;
        Some(std::mem::take(&mut self.skipped))
    }

    /// When the next one may pass.
    pub(super) fn opens(&self) -> Option<Instant> {
        self.since.map(|since| since + Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_lets_so_many_through_in_a_second_and_counts_the_rest() {
        let mut gate = Gate::new(2);
        let start = Instant::now();
        assert_eq!(gate.pass(start), Some(0));
        assert_eq!(gate.pass(start), Some(0));
        assert_eq!(gate.pass(start), None);
        assert_eq!(gate.pass(start + Duration::from_millis(999)), None);
        assert_eq!(gate.pass(start + Duration::from_secs(1)), Some(2));
        assert_eq!(gate.pass(start + Duration::from_secs(1)), Some(0));
    }
}
