//! Keeps one connection subscribed to the resources that are watched: by `resources/subscribe` up to 2025-11-25, by a
//! stream of `subscriptions/listen` in 2026-07-28 (server/resources, basic/utilities/subscriptions).
//!
//! # Invariants
//! - A server that does not say that it can is not asked.
//! - What it did not acknowledge is told as refused, never as kept.
//! - The stream for other resources is open before the old one is let go, so no change falls in between.
//! - Whatever a server does, it is asked again with growing pauses, up to a minute, and never in a loop.
//!
//! # Does not
//! Hear the changes: the tap does, before the SDK. That ends a stream on which a change of a sub-resource comes, and one
//! whose reader is slower than its server.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use rmcp::RoleClient;
use rmcp::model::SubscriptionFilter;
use rmcp::service::{Peer, ServiceError, Subscription};
use tokio::time::{Instant, timeout};

use crate::chat::WatchStanding;

use super::connection::{Connection, Link};
use super::failure::FailureKind;
use super::listen::{FIRST_PAUSE, LONGEST_PAUSE, STABLE, jittered};
use super::open::Way;
use super::server::until_or_never;
use super::watches::Watches;

/// The longest that a server may take to subscribe.
const ANSWER: Duration = Duration::from_secs(10);
/// So many times in a row without an answer are a refusal.
const ATTEMPTS: u32 = 3;
/// Subscriptions that are asked for at a time.
const AT_A_TIME: usize = 8;
/// Resources that are attached at once are one stream.
const TOGETHER: Duration = Duration::from_millis(50);

/// Until the connection ends. `offered`: the server says that it can, and is to.
pub(super) async fn keep(connection: Arc<Connection>, offered: bool, watches: Watches) {
    match (&connection.link, connection.way) {
        (Link::Mcp { peer, .. }, Way::Modern) if offered => Stream::new(peer.clone(), watches).keep().await,
        (Link::Mcp { .. }, Way::Legacy | Way::Sse) if offered => one_by_one(&connection, &watches).await,
        (Link::Mcp { .. } | Link::Bare(_), _) => loop {
            for uri in watches.asked() {
                watches.stands(&uri, WatchStanding::NotOffered);
            }
            watches.changed().await;
        },
    }
}

/// A request for each (up to 2025-11-25).
async fn one_by_one(connection: &Connection, watches: &Watches) {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut failed: HashMap<String, (u32, Instant)> = HashMap::new();
    loop {
        let wanted = watches.wanted();
        for uri in taken.extract_if(.., |uri| !wanted.contains(uri)) {
            // What it says to that changes nothing: what is not wanted is not heard.
            let _ = connection.subscribe(&uri, false, ANSWER).await;
        }
        failed.retain(|uri, _| wanted.contains(uri));
        let now = Instant::now();
        let mut ask = Vec::new();
        for uri in watches.asked() {
            if taken.contains(&uri) {
                watches.stands(&uri, WatchStanding::Kept);
            } else if failed.get(&uri).is_none_or(|(_, next)| *next <= now) {
                ask.push(uri);
            }
        }
        let mut answers = stream::iter(ask)
            .map(|uri| async move {
                let answer = connection.subscribe(&uri, true, ANSWER).await;
                (uri, answer)
            })
            .buffer_unordered(AT_A_TIME);
        while let Some((uri, answer)) = answers.next().await {
            match answer {
                Ok(()) => {
                    failed.remove(&uri);
                    watches.stands(&uri, WatchStanding::Kept);
                    taken.insert(uri);
                }
                Err(failure) => {
                    let times = failed.get(&uri).map_or(0, |(times, _)| *times) + 1;
                    if failure.kind == FailureKind::Protocol || times >= ATTEMPTS {
                        failed.remove(&uri);
                        watches.stands(&uri, WatchStanding::Refused(failure.reason));
                    } else {
                        let pause = jittered((FIRST_PAUSE * 2_u32.pow(times)).min(LONGEST_PAUSE));
                        failed.insert(uri, (times, Instant::now() + pause));
                    }
                }
            }
        }
        drop(answers);
        let next = failed.values().map(|(_, next)| *next).min();
        tokio::select! {
            () = watches.changed() => {}
            () = until_or_never(next) => {}
        }
    }
}

/// One stream for all (2026-07-28). Not that of the lists: where it is refused, they are announced all the same.
struct Stream {
    peer: Peer<RoleClient>,
    watches: Watches,
    open: Option<Subscription>,
    /// What the last stream was asked for; None: the next look opens one.
    asked: Option<BTreeSet<String>>,
    /// What of it the server acknowledged, and what it said of the rest.
    taken: BTreeSet<String>,
    why_not: String,
    failures: u32,
    pause: Duration,
    since: Instant,
}

impl Stream {
    fn new(peer: Peer<RoleClient>, watches: Watches) -> Self {
        Self {
            peer,
            watches,
            open: None,
            asked: Some(BTreeSet::new()),
            taken: BTreeSet::new(),
            why_not: String::new(),
            failures: 0,
            pause: FIRST_PAUSE,
            since: Instant::now(),
        }
    }

    async fn keep(mut self) {
        while !self.peer.is_transport_closed() {
            let (wanted, open) = (self.watches.wanted(), self.watches.asked());
            // Wished for again, one that was refused is asked for again: that is for the server to say.
            let refused =
                |uri: &String| !self.taken.contains(uri) && self.asked.iter().any(|asked| asked.contains(uri));
            if open.iter().any(refused) {
                self.asked = None;
            }
            if self.asked.as_ref() != Some(&wanted) && !self.reopen(wanted).await {
                self.rest().await;
                continue;
            }
            // What is asked for and was not taken is another wish of this moment, which has rung.
            for uri in self.watches.asked().iter().filter(|uri| self.taken.contains(*uri)) {
                self.watches.stands(uri, WatchStanding::Kept);
            }
            let watches = self.watches.clone();
            let ended = match &mut self.open {
                None => {
                    watches.changed().await;
                    false
                }
                Some(open) => tokio::select! {
                    () = watches.changed() => false,
                    () = end_of(open) => true,
                },
            };
            if ended {
                self.open = None;
                self.asked = None;
                self.watches.lost();
                if self.since.elapsed() >= STABLE {
                    self.pause = FIRST_PAUSE;
                }
                self.rest().await;
            } else {
                tokio::time::sleep(TOGETHER).await;
            }
        }
    }

    /// Opens a stream for these, then lets the old one go. False: there was no answer this time.
    async fn reopen(&mut self, wanted: BTreeSet<String>) -> bool {
        if wanted.is_empty() {
            self.close().await;
            (self.asked, self.taken) = (Some(wanted), BTreeSet::new());
            return true;
        }
        let filter = SubscriptionFilter::builder().resource_subscriptions(wanted.iter().cloned()).build();
        match timeout(ANSWER, self.peer.listen(filter)).await {
            Ok(Ok(stream)) => {
                self.close().await;
                self.taken = stream.acknowledged().resource_subscriptions.iter().flatten().cloned().collect();
                "it did not take the subscription".clone_into(&mut self.why_not);
                self.open = Some(stream);
                if self.taken.is_empty() {
                    self.close().await;
                }
                self.since = Instant::now();
            }
            // It has answered, and will answer so again.
            Ok(Err(ServiceError::McpError(error))) => {
                self.close().await;
                self.taken = BTreeSet::new();
                self.why_not = error.message.into_owned();
            }
            Ok(Err(_)) | Err(_) => {
                self.failures += 1;
                if self.failures >= ATTEMPTS {
                    for uri in self.watches.asked() {
                        let why = format!("it did not acknowledge the subscription, {} times", self.failures);
                        self.watches.stands(&uri, WatchStanding::Refused(why));
                    }
                }
                return false;
            }
        }
        self.failures = 0;
        // What the new stream does not carry is told so, whatever the old one did.
        for uri in wanted.difference(&self.taken) {
            self.watches.stands(uri, WatchStanding::Refused(self.why_not.clone()));
        }
        for uri in &self.taken {
            self.watches.stands(uri, WatchStanding::Kept);
        }
        self.asked = Some(wanted);
        true
    }

    /// Waits before the next attempt.
    async fn rest(&mut self) {
        tokio::time::sleep(jittered(self.pause)).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    async fn close(&mut self) {
        if let Some(mut open) = self.open.take() {
            let _ = timeout(Duration::from_secs(1), open.cancel()).await;
        }
    }
}

/// Waits until a stream ends. What comes on it beside changes of resources was not asked for.
async fn end_of(stream: &mut Subscription) {
    while let Ok(Some(_)) = stream.next().await {}
}
