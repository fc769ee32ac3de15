//! A task whose connection ended, taken up over the next one: only its server knows what became of the call.
//!
//! # Invariants
//! - The call is never made again; only its task is asked about, by its id.
//! - The other end is the same entry, speaks the same era, and its tools were listed: that is when calls go through.
//! - A server that began anew may count its tasks anew: nothing is believed of one that was not made at the same moment
//!   (`createdAt`), and nothing is asked of it that could touch another call's.
//! - It takes no longer than the call may take.

use std::sync::Arc;

use rmcp::model::{NumberOrString, ProgressToken};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::task::{Followed, Task};
use super::{Call, is_session_lost};
use crate::mcp::connection::Connection;
use crate::mcp::failure::{Failure, FailureKind};
use crate::mcp::server::Phase;
use crate::mcp::tap::Reply;
use crate::mcp::ticket::CallEnd;

/// How often one task may outlive its connection.
const AGAIN: u32 = 3;

impl Call<'_> {
    /// What a reply says over a connection that lives. Where it does not, and the task is `known` from others by when it
    /// was made, a new one is asked for.
    ///
    /// # Errors
    /// Why the connection is of no use any more.
    pub(super) async fn unbroken(&self, known: bool, reply: Reply) -> Result<Reply, String> {
        match reply {
            Reply::Gone(why) if self.connection.reason().is_some() => Err(why),
            // One exchange broke, and no more than that.
            Reply::Gone(why) => Ok(Reply::Failed(Failure::new(FailureKind::Gone, why))),
            Reply::Failed(failure)
                if known && matches!(failure.kind, FailureKind::SessionEnded | FailureKind::Unreachable) =>
            {
                self.reconnect(&failure.reason).await;
                Err(failure.reason)
            }
            Reply::Error { message, .. } if known && !self.connection.late_replies && is_session_lost(&message) => {
                self.reconnect(&message).await;
                Err(message)
            }
            Reply::Result(_) | Reply::Error { .. } | Reply::Failed(_) => Ok(reply),
        }
    }

    /// Waits for the next connection, and asks about the task there.
    ///
    /// # Errors
    /// How the call ends where that cannot be: then it may have run.
    pub(super) async fn take_up(
        &mut self,
        task: &mut Task,
        why: String,
        stop: &CancellationToken,
        hard: Instant,
    ) -> Result<Followed, CallEnd> {
        let gone = |message: String| CallEnd::ServerGone { sent: true, message };
        if !task.known() || task.taken_up >= AGAIN {
            self.tell_pending();
            return Err(gone(why));
        }
        task.anew();
        self.tell_words("its connection ended; its task is asked about over the next one".to_owned());
        let (mut phase, old) = (self.line.phase.clone(), self.connection.generation);
        let next = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(CallEnd::Cancelled { acknowledged: false }),
            next = another(&mut phase, old) => next,
            () = sleep_until(hard) => return Err(CallEnd::TimedOut { sent: true }),
        };
        let next = next.map_err(|later| gone(format!("{why}; {later}")))?;
        if next.way != self.connection.way {
            return Err(gone(format!("{why}; it now speaks another version, which knows no task of that one")));
        }
        self.under_way = next.asker.call(self.order.call.clone());
        self.connection = next;
        // The token of its request counts nothing here, and may be another's.
        let token = ProgressToken(NumberOrString::String(Arc::from(uuid::Uuid::new_v4().to_string())));
        self.follow(&task.told.id, token).ok_or_else(|| gone(why))
    }
}

/// The next connection that calls may go over.
async fn another(phase: &mut watch::Receiver<Phase>, old: u64) -> Result<Arc<Connection>, String> {
    loop {
        match &*phase.borrow_and_update() {
            Phase::Ready(connection) if connection.generation != old => return Ok(connection.clone()),
            Phase::Off(why) | Phase::Failed { why, again: false } => return Err(why.clone()),
            Phase::Ready(_) | Phase::Starting | Phase::Failed { again: true, .. } => {}
        }
        if phase.changed().await.is_err() {
            return Err("the server was removed".to_owned());
        }
    }
}
