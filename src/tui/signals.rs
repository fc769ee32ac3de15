//! The signals that end the program.

use std::io;

/// Why the program is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Interrupt,
    Terminate,
    /// The terminal is gone: nothing may be written to it.
    HangUp,
    Quit,
}

impl Signal {
    /// 128 and the signal's number.
    pub(super) fn exit_code(self) -> u8 {
        match self {
            Self::HangUp => 129,
            Self::Interrupt => 130,
            Self::Quit => 131,
            Self::Terminate => 143,
        }
    }
}

#[cfg(unix)]
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
    quit: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.hang_up.recv() => Signal::HangUp,
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.quit.recv() => Signal::Quit,
        }
    }
}

#[cfg(not(unix))]
#[derive(Debug)]
pub(super) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    pub(super) async fn next(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::Interrupt,
            Err(_) => std::future::pending().await,
        }
    }
}

/// Ends the process where the loop cannot: the terminal library's reader never returns from a terminal that is gone.
/// After a signal the loop has this long; a second signal ends it at once.
const GRACE: std::time::Duration = std::time::Duration::from_secs(3);

/// Begins to watch on a thread of its own; once per process.
///
/// # Errors
/// Where the machine gives no thread or runtime.
pub(super) fn last_resort() -> io::Result<()> {
    static BEGUN: std::sync::OnceLock<()> = std::sync::OnceLock::new();
    if BEGUN.set(()).is_err() {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            let Ok(mut signals) = Signals::listen() else { return };
            let first = signals.next().await;
            let _ = tokio::time::timeout(GRACE, signals.next()).await;
            if first == Signal::HangUp {
                super::terminal::abandon();
            }
            super::restore();
            std::process::exit(i32::from(first.exit_code()));
        });
    })?;
    Ok(())
}
