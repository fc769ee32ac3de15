//! What is typed, read on a thread of its own.
//!
//! The terminal library reads on the thread of whoever asks it, and does not return from a terminal that is gone: it
//! asks again for ever. So nobody asks it but this thread; the loop takes from a channel, and can end whatever becomes
//! of the terminal.

use std::io;
use std::sync::mpsc as threads;
use std::time::{Duration, Instant};

use crossterm::event::{Event, EventStream};
use futures_util::StreamExt as _;
use tokio::sync::{mpsc, oneshot};

use super::signals::hung_up;

/// How long the thread may take to let go of the terminal: until it has, a key would go to it and be lost. One whose
/// terminal is gone never does, and is not waited for.
const LETS_GO: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(50);

/// The keys of the terminal, until it is dropped; then somebody else may read them.
#[derive(Debug)]
pub(super) struct Keys {
    events: mpsc::UnboundedReceiver<io::Result<Event>>,
    stop: Option<oneshot::Sender<()>>,
    ended: threads::Receiver<()>,
}

impl Keys {
    /// # Errors
    /// Where the machine gives no thread.
    pub(super) fn open() -> io::Result<Self> {
        let (sender, events) = mpsc::unbounded_channel();
        let (stop, mut stopped) = oneshot::channel::<()>();
        let (end, ended) = threads::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        std::thread::Builder::new().name("keys".into()).spawn(move || {
            runtime.block_on(async move {
                let mut stream = EventStream::new();
                loop {
                    tokio::select! {
                        biased;
                        _ = &mut stopped => break,
                        event = stream.next() => {
                            let Some(event) = event else { break };
                            let failed = event.is_err();
                            if sender.send(event).is_err() || failed {
                                break;
                            }
                        }
                    }
                }
            });
            drop(end);
        })?;
        Ok(Self { events, stop: Some(stop), ended })
    }

    /// The next event; None where the terminal can be read no more.
    pub(super) async fn next(&mut self) -> Option<io::Result<Event>> {
        self.events.recv().await
    }

    /// One that has come already.
    pub(super) fn ready(&mut self) -> Option<io::Result<Event>> {
        self.events.try_recv().ok()
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let until = Instant::now() + LETS_GO;
        while let Err(threads::RecvTimeoutError::Timeout) = self.ended.recv_timeout(LOOK) {
            if Instant::now() >= until || hung_up() {
                break;
            }
        }
    }
}
