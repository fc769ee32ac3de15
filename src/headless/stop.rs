//! What ends a turn from outside: signals, and a standard output that nobody reads any more.

use futures_util::Stream;
use tokio::sync::mpsc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// With the exit code that belongs to it.
    Signal(u8),
    OutputClosed,
}

/// SIGINT, SIGTERM and SIGHUP (ctrl-c elsewhere), and the closing of standard output's other end. Must be called on
/// a tokio runtime; from then on these signals no longer end the process.
pub fn stops() -> impl Stream<Item = Stop> {
    let (send, receive) = mpsc::unbounded_channel();
    listen(&send);
    futures_util::stream::unfold(receive, |mut receive| async move { Some((receive.recv().await?, receive)) })
}

#[cfg(unix)]
fn listen(send: &mpsc::UnboundedSender<Stop>) {
    use tokio::io::Interest;
    use tokio::signal::unix::{SignalKind, signal};

    for (kind, code) in [(SignalKind::interrupt(), 130), (SignalKind::terminate(), 143), (SignalKind::hangup(), 129)] {
        let send = send.clone();
        // Where a signal cannot be listened to it keeps its default: it ends the process.
        let Ok(mut signals) = signal(kind) else { continue };
        tokio::spawn(async move { while signals.recv().await.is_some() && send.send(Stop::Signal(code)).is_ok() {} });
    }
    let send = send.clone();
    tokio::spawn(async move {
        // Only pipes and sockets can be watched; with a file or a terminal there is nothing to wait for.
        let Ok(watched) = watch_stdout() else { return };
        if watched.ready(Interest::ERROR).await.is_ok_and(|ready| ready.is_error() || ready.is_write_closed()) {
            let _ = send.send(Stop::OutputClosed);
        }
    });
}

/// A second handle of standard output, for its readiness alone: never read, never written, its mode left as it is
/// (it is shared with whoever started us).
#[cfg(unix)]
fn watch_stdout() -> std::io::Result<tokio::net::unix::pipe::Sender> {
    use std::os::fd::AsFd;
    let stdout = std::io::stdout().as_fd().try_clone_to_owned()?;
    tokio::net::unix::pipe::Sender::from_file_unchecked(std::fs::File::from(stdout))
}

#[cfg(not(unix))]
fn listen(send: &mpsc::UnboundedSender<Stop>) {
    let send = send.clone();
    tokio::spawn(async move { while tokio::signal::ctrl_c().await.is_ok() && send.send(Stop::Signal(130)).is_ok() {} });
}
