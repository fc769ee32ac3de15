//! One response: its task, its events, its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::chat::{EventDeltas, Limits};

use super::{Endpoint, Failure, Http, pump};

/// How many events wait for a reader before the network is no longer read.
const WAITING: usize = 256;

/// What a response's task tells. `Ended` or `Failed` is the last, and comes exactly once.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The first byte of the body is there.
    FirstByte {
        at: Instant,
    },
    /// Still no byte after `Limits::first_byte_warning`.
    Slow {
        waited: Duration,
    },
    /// One data event, and when its last byte was read.
    Deltas {
        at: Instant,
        event: EventDeltas,
    },
    /// The body is whole as far as HTTP can tell; whether the answer is, the assembler judges.
    Ended {
        at: Instant,
    },
    Failed(Box<Failure>),
}

/// A running response. Dropping it ends its HTTP stream.
#[derive(Debug)]
pub struct Response {
    events: mpsc::Receiver<Event>,
}

impl Response {
    /// The next event; None after the last. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Takes up to `most` events that are there, waiting for the first; 0 after the last. Cancel-safe.
    pub async fn next_many(&mut self, into: &mut Vec<Event>, most: usize) -> usize {
        self.events.recv_many(into, most).await
    }
}

/// Sends `body` (as `wire::encode` made it for `endpoint.api`) and streams the answer. One task per response, on the
/// current tokio runtime.
#[must_use]
pub fn respond(http: &Http, endpoint: &Endpoint, body: impl Into<Bytes>, limits: Arc<Limits>) -> Response {
    let (out, events) = mpsc::channel(WAITING);
    tokio::spawn(pump::run(http.clone(), endpoint.clone(), body.into(), limits, out));
    Response { events }
}
