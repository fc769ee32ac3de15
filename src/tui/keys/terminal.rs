//! Bytes of a terminal, as systems of the Unix kind have it.
//!
//! # Invariants
//! - A byte is read only by a thread that will understand it: the reader waits for bytes or for its end, and never reads
//!   where there may be none. So what is typed while nobody reads waits in the terminal.
//! - A terminal that is gone ends it.

use std::fs::File;
use std::io::{self, IsTerminal, PipeReader, PipeWriter};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::parse::{Input, Parser};
use crate::app::{Event, Size};

/// Bytes taken at one go.
const BUFFER: usize = 16 * 1024;

/// The keys of the terminal, until it is dropped; then somebody else may read them.
#[derive(Debug)]
pub(in crate::tui) struct Keys {
    inputs: mpsc::UnboundedReceiver<io::Result<Input>>,
    resized: Signal,
    /// Its end is the reader's.
    stop: Option<PipeWriter>,
    reader: Option<JoinHandle<()>>,
}

impl Keys {
    /// # Errors
    /// Where there is no terminal to read, or the machine gives no thread.
    pub(in crate::tui) fn open() -> io::Result<Self> {
        let terminal: OwnedFd = if io::stdin().is_terminal() {
            io::stdin().as_fd().try_clone_to_owned()?
        } else {
            File::open("/dev/tty")?.into()
        };
        let (stopped, stop) = io::pipe()?;
        let (sender, inputs) = mpsc::unbounded_channel();
        let resized = signal(SignalKind::window_change())?;
        let reader =
            std::thread::Builder::new().name("keys".into()).spawn(move || read(&terminal, &stopped, &sender))?;
        Ok(Self { inputs, resized, stop: Some(stop), reader: Some(reader) })
    }

    /// The next input; None where the terminal can be read no more.
    pub(in crate::tui) async fn next(&mut self) -> Option<io::Result<Input>> {
        tokio::select! {
            biased;
            input = self.inputs.recv() => input,
            Some(()) = self.resized.recv() => Some(crossterm::terminal::size().map(|(columns, rows)| {
                Input::Event(Event::Resize(Size { columns, rows }))
            })),
        }
    }

    /// One that has come already.
    pub(in crate::tui) fn ready(&mut self) -> Option<io::Result<Input>> {
        self.inputs.try_recv().ok()
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // It ends at once: it waits for this, and for nothing else for long.
        drop(self.stop.take());
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

fn read(terminal: &OwnedFd, stopped: &PipeReader, sender: &mpsc::UnboundedSender<io::Result<Input>>) {
    let mut parser = Parser::default();
    let mut buffer = vec![0; BUFFER];
    let mut inputs = Vec::new();
    loop {
        let waits = parser.waits().map(timespec);
        let mut watched = [PollFd::new(terminal, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
        match poll(&mut watched, waits.as_ref()) {
            Ok(0) => parser.expire(&mut inputs),
            Ok(_) if !watched[1].revents().is_empty() => return,
            Ok(_) => match rustix::io::read(terminal, &mut buffer) {
                // It is gone: the channel's end says so.
                Ok(0) => return,
                Ok(count) => parser.feed(&buffer[..count], &mut inputs),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => {
                    let _ = sender.send(Err(error.into()));
                    return;
                }
            },
            Err(Errno::INTR) => {}
            Err(error) => {
                let _ = sender.send(Err(error.into()));
                return;
            }
        }
        for input in inputs.drain(..) {
            if sender.send(Ok(input)).is_err() {
                return;
            }
        }
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: 0, tv_nsec: i64::from(time.subsec_nanos()) }
}
