//! A call as its caller holds it: the order, the ticket with its events, and how it ended.

use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::chat::{CallId, ServerName};

/// A tool call to be made.
#[derive(Clone, Debug)]
pub struct CallOrder {
    pub call: CallId,
    pub server: ServerName,
    /// The tool's own name, as its server listed it.
    pub tool: String,
    pub arguments: Map<String, Value>,
}

/// What becomes of a call, in this order: `Sent` at most once, `Progress` any number of times, `Ended` exactly once.
#[derive(Clone, Debug, PartialEq)]
pub enum CallEvent {
    /// The whole request was handed to the server's transport: over stdio it was written to the pipe, over HTTP its
    /// POST has begun.
    Sent,
    /// At most `limits.messages_per_second`; of a burst the last one always comes.
    Progress {
        progress: f64,
        total: Option<f64>,
        message: Option<String>,
    },
    Ended(CallEnd),
}

/// How a call ended. Never an error of the program.
#[derive(Clone, Debug, PartialEq)]
pub enum CallEnd {
    /// The result object as the server wrote it, undecoded; `isError` inside it is the tool's own word.
    Result(Value),
    /// The server (or, with an HTTP status as `code`, the machine before it) answered with an error.
    RpcError { code: i64, message: String },
    /// No answer, and no sign of progress, within the limits. The server was told to stop.
    TimedOut { sent: bool },
    /// Stopped by the caller. `acknowledged`: the server confirmed it, or the request never left; otherwise the server
    /// was told, but the call may still have run.
    Cancelled { acknowledged: bool },
    /// The connection broke. With `sent` the call may have run; it is never sent again.
    ServerGone { sent: bool, message: String },
    /// It did not leave, or was turned away at the door: it did not run.
    NotSent { message: String },
}

/// The caller's end of a call. Dropping it cancels the call, also at its server.
#[derive(Debug)]
pub struct CallTicket {
    events: mpsc::UnboundedReceiver<CallEvent>,
    stop: CancellationToken,
    _guard: DropGuard,
}

impl CallTicket {
    /// A ticket, the sender of its events, and the token that tells that the caller wants it stopped.
    pub(super) fn new() -> (Self, mpsc::UnboundedSender<CallEvent>, CancellationToken) {
        let (tx, events) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        (Self { events, stop: stop.clone(), _guard: stop.clone().drop_guard() }, tx, stop)
    }

    /// The next event; None after `Ended`. Cancel-safe.
    pub async fn next(&mut self) -> Option<CallEvent> {
        self.events.recv().await
    }

    /// Asks for the call to be stopped. The truth about it comes as `Ended`, within two seconds.
    pub fn cancel(&self) {
        self.stop.cancel();
    }

    /// Waits for the end alone.
    pub async fn end(mut self) -> CallEnd {
        while let Some(event) = self.next().await {
            if let CallEvent::Ended(end) = event {
                return end;
            }
        }
        CallEnd::ServerGone { sent: true, message: "the host was shut down".to_owned() }
    }
}
