//! What ends the program from outside: signals, and the end of the terminal.
//!
//! A terminal that is closed sends a hang-up to whoever it controls. A program that it does not control (under
//! `setsid`, `nohup`, some multiplexers) gets none, so the terminal itself is watched too: a wait without a wake-up.

use std::io;
use std::sync::OnceLock;

use tokio::sync::watch;

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

/// True once the terminal is gone.
fn gone() -> &'static watch::Sender<bool> {
    static GONE: OnceLock<watch::Sender<bool>> = OnceLock::new();
    GONE.get_or_init(|| watch::Sender::new(false))
}

/// The terminal is gone, now.
#[cfg(unix)]
pub(super) fn hung_up() -> bool {
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    wait_for_hang_up(Some(&now)) || *gone().borrow()
}

#[cfg(not(unix))]
pub(super) fn hung_up() -> bool {
    *gone().borrow()
}

/// Asks for nothing, so that only the end of the terminal is told. True where it came; false where the time is over or
/// the terminal cannot be watched.
#[cfg(unix)]
fn wait_for_hang_up(timeout: Option<&rustix::event::Timespec>) -> bool {
    use rustix::event::{PollFd, PollFlags, poll};
    let out = rustix::stdio::stdout();
    loop {
        let mut watched = [PollFd::new(&out, PollFlags::empty())];
        match poll(&mut watched, timeout) {
            Ok(_) => return watched[0].revents().intersects(PollFlags::HUP | PollFlags::ERR),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

#[cfg(unix)]
fn watch_terminal() -> io::Result<()> {
    std::thread::Builder::new().name("hang-up".into()).spawn(|| {
        if wait_for_hang_up(None) {
            gone().send_replace(true);
        }
    })?;
    Ok(())
}

#[cfg(not(unix))]
fn watch_terminal() -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
#[derive(Debug)]
pub(super) struct Signals {
    gone: watch::Receiver<bool>,
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
            gone: gone().subscribe(),
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    pub(super) async fn next(&mut self) -> Signal {
        let gone = &mut self.gone;
        let gone = async {
            // The sender lives as long as the process.
            if gone.wait_for(|gone| *gone).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = gone => Signal::HangUp,
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

/// Ends the process where the loop does not get there in time. After a signal it has this long; a second one ends it at
/// once.
const GRACE: std::time::Duration = std::time::Duration::from_secs(8);
/// As long after the terminal is gone: nobody sees what is waited for.
const GRACE_GONE: std::time::Duration = std::time::Duration::from_millis(2_500);

/// Begins to watch on a thread of its own; once per process.
///
/// # Errors
/// Where the machine gives no thread or runtime.
pub(super) fn last_resort() -> io::Result<()> {
    static BEGUN: std::sync::OnceLock<()> = std::sync::OnceLock::new();
    if BEGUN.set(()).is_err() {
        return Ok(());
    }
    watch_terminal()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            let Ok(mut signals) = Signals::listen() else { return };
            let first = signals.next().await;
            if first == Signal::HangUp {
                // Gone is gone: what comes after it says the same again.
                tokio::time::sleep(GRACE_GONE).await;
            } else {
                let _ = tokio::time::timeout(GRACE, signals.next()).await;
            }
            if first == Signal::HangUp {
                super::terminal::abandon();
            }
            super::restore();
            std::process::exit(i32::from(first.exit_code()));
        });
    })?;
    Ok(())
}
