//! The stdio transport: one JSON message a line, over any pair of pipes.
//!
//! The SDK has one too; this one tells the [`Tap`] when a request really left, keeps results undecoded, and counts what
//! is not JSON.
//!
//! # Invariants
//! - Messages leave in the order in which `send` was called, each whole or not at all.
//! - Standard output is read even while nobody asks for messages, up to a small buffer.
//! - A line longer than the limit, or 1,000 lines in a row that are not JSON, end the connection.

use std::io;
use std::time::Duration;

use rmcp::RoleClient;
use rmcp::model::{GetMeta, JsonRpcMessage};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::chat::Direction;

use super::event::LogLevel;
use super::report::Reporter;
use super::tap::{Tap, Waiter, parse};

/// How many lines in a row may be something else than JSON before the server is given up.
const GARBAGE: u32 = 1000;
/// After the connection was closed, how long its output is still read, so that the server can end in peace.
const LINGER: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct StdioTransport {
    incoming: mpsc::Receiver<RxJsonRpcMessage<RoleClient>>,
    outgoing: Option<mpsc::UnboundedSender<Outgoing>>,
    writer: JoinHandle<()>,
    tap: Tap,
}

#[derive(Debug)]
struct Outgoing {
    line: Vec<u8>,
    waiter: Option<Waiter>,
    done: oneshot::Sender<io::Result<()>>,
}

impl StdioTransport {
    /// `line` is the longest line read, in bytes.
    pub(super) fn new<R, W>(output: R, input: W, tap: Tap, reporter: Reporter, line: usize) -> Self
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let (message_tx, incoming) = mpsc::channel(64);
        let (outgoing, outgoing_rx) = mpsc::unbounded_channel();
        tokio::spawn(read(BufReader::with_capacity(64 * 1024, output), message_tx, tap.clone(), reporter, line));
        let writer = tokio::spawn(write(input, outgoing_rx, tap.clone()));
        Self { incoming, outgoing: Some(outgoing), writer, tap }
    }
}

impl Transport<RoleClient> for StdioTransport {
    type Error = io::Error;

    fn send(
        &mut self,
        mut message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        of_its_era(&mut message);
        // Queued here and now, not when the future is polled: that keeps the order of the calls.
        let waiter = self.tap.outgoing(&message);
        let queued = serde_json::to_vec(&message).map_err(io::Error::other).and_then(|mut line| {
            line.push(b'\n');
            let (done, written) = oneshot::channel();
            let sender = self.outgoing.as_ref().ok_or(io::ErrorKind::NotConnected)?;
            sender.send(Outgoing { line, waiter, done }).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(written)
        });
        async move { queued?.await.unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into())) }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        self.incoming.recv().await
    }

    async fn close(&mut self) -> io::Result<()> {
        self.tap.close("the connection was closed");
        self.outgoing = None;
        // What is queued is still written; a server that does not read is not waited for.
        if tokio::time::timeout(Duration::from_millis(200), &mut self.writer).await.is_err() {
            self.writer.abort();
        }
        Ok(())
    }
}

impl Drop for StdioTransport {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

/// What declares capabilities in each request (2026-07-28) knows no announcements of roots; here a server may be greeted
/// in both eras with the same capabilities.
fn of_its_era(message: &mut TxJsonRpcMessage<RoleClient>) {
    let JsonRpcMessage::Request(request) = message else { return };
    let Some(mut capabilities) = request.request.get_meta().client_capabilities() else { return };
    if let Some(roots) = &mut capabilities.roots
        && roots.list_changed.take().is_some()
    {
        request.request.get_meta_mut().set_client_capabilities(capabilities);
    }
}

async fn write<W: AsyncWrite + Unpin>(mut input: W, mut queue: mpsc::UnboundedReceiver<Outgoing>, tap: Tap) {
    while let Some(Outgoing { line, waiter, done }) = queue.recv().await {
        if waiter.as_ref().is_some_and(|waiter| !waiter.leave()) {
            let _ = done.send(Ok(()));
            continue;
        }
        tap.frame(Direction::Out, waiter.as_ref().and_then(Waiter::call), &line);
        let written = match input.write_all(&line).await {
            Ok(()) => input.flush().await,
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => {
                if let Some(waiter) = waiter {
                    waiter.sent();
                }
                let _ = done.send(Ok(()));
            }
            Err(error) => {
                tap.close("it no longer reads what it is told");
                let _ = done.send(Err(error));
                return;
            }
        }
    }
}

async fn read<R: AsyncRead + Unpin>(
    mut output: BufReader<R>,
    messages: mpsc::Sender<RxJsonRpcMessage<RoleClient>>,
    tap: Tap,
    reporter: Reporter,
    limit: usize,
) {
    let mut line = Vec::new();
    let mut garbage = 0;
    let reason = loop {
        line.clear();
        match read_line(&mut output, &mut line, limit).await {
            Ok(Line::Whole) => {}
            Ok(Line::TooLong) => break format!("it wrote a line of more than {limit} bytes"),
            Ok(Line::End) => break "it ended the connection".to_owned(),
            Err(error) => break format!("its output cannot be read: {error}"),
        }
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        tap.frame(Direction::In, None, text);
        let Some(found) = parse(text) else {
            garbage += 1;
            if garbage >= GARBAGE {
                break format!("it wrote {GARBAGE} lines in a row that are not MCP");
            }
            reporter.log(LogLevel::Debug, || {
                format!("not MCP on its standard output: {}", String::from_utf8_lossy(&text[..text.len().min(400)]))
            });
            continue;
        };
        garbage = 0;
        for message in found {
            if let Some(message) = tap.decode(message)
                && messages.send(message).await.is_err()
            {
                // Nobody listens any more. What it still says is let go, so that it does not choke on a full pipe.
                let _ = tokio::time::timeout(LINGER, tokio::io::copy_buf(&mut output, &mut tokio::io::sink())).await;
                return;
            }
        }
    };
    tap.close(&reason);
}

enum Line {
    Whole,
    TooLong,
    End,
}

/// Reads up to a newline into `line`, without it. A last line without its newline counts as whole.
async fn read_line<R: AsyncBufRead + Unpin>(input: &mut R, line: &mut Vec<u8>, limit: usize) -> io::Result<Line> {
    loop {
        let chunk = input.fill_buf().await?;
        if chunk.is_empty() {
            return Ok(if line.is_empty() { Line::End } else { Line::Whole });
        }
        let (part, used, ended) = match chunk.iter().position(|byte| *byte == b'\n') {
            Some(at) => (&chunk[..at], at + 1, true),
            None => (chunk, chunk.len(), false),
        };
        if line.len() + part.len() > limit {
            return Ok(Line::TooLong);
        }
        line.extend_from_slice(part);
        input.consume(used);
        if ended {
            return Ok(Line::Whole);
        }
    }
}
