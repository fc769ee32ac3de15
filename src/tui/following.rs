//! A conversation that another process has, followed for the screen through the store.
//!
//! # Invariants
//! - The store is asked for a number that changes with every commit of others, and for more only when it has changed; nobody
//!   asks while nothing is followed.
//! - It is taken over only where no living process has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Replies;
use super::desk::Desk;
use crate::app::{FollowStep, Reply};
use crate::chat::{Conversation, ConversationId, Fault, TurnId};
use crate::engine::live::{Follower, LiveClock, stop};
use crate::store::{Claim, Store};

/// Between two looks, where no turn runs: right after something came, and when nothing has come for a while.
const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(1);

/// Turns of other processes are told under numbers that the screen never gives.
fn number() -> TurnId {
    static NEXT: AtomicU64 = AtomicU64::new(1 << 62);
    TurnId(NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Desk {
    /// Tells what becomes of a conversation until it is ours, or cannot be read.
    pub(super) async fn follow(self, generation: u64, id: ConversationId, replies: Replies) {
        let tell = |step| replies.send(Reply::Followed { generation, step: Box::new(step) });
        if let Err(fault) = self.followed(&id, &tell).await {
            tell(FollowStep::Failed(fault));
        }
    }

    async fn followed(&self, id: &ConversationId, tell: &impl Fn(FollowStep)) -> Result<(), Fault> {
        let store = self.store()?;
        let (mut seen, mut shown, mut pause) = (None, None, SHORT);
        loop {
            let version = store.data_version().await.map_err(|error| error.fault())?;
            if seen != Some(version) {
                seen = Some(version);
                pause = SHORT;
                match running(store, id).await? {
                    Some(follower) => {
                        self.follow_turn(store, id, follower, tell).await?;
                        (seen, shown) = (None, None);
                    }
                    None => {
                        let summary = Some(store.summary(id).await.map_err(|error| error.fault())?);
                        if shown != summary {
                            shown = summary;
                            tell(FollowStep::Settled(Box::new(self.read(id).await?)));
                        }
                    }
                }
                continue;
            }
            if !store.held_elsewhere(id).await.map_err(|error| error.fault())? {
                // Known as ours before it is, so that it is let go in any case.
                self.hold(id);
                match store.claim(id).await {
                    Ok(Claim::Ours) => {
                        tell(FollowStep::Ours(Box::new(self.read(id).await?)));
                        return Ok(());
                    }
                    Ok(Claim::Held { .. }) => self.let_go(id),
                    Err(error) => {
                        self.let_go(id);
                        return Err(error.fault());
                    }
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONG);
        }
    }

    async fn follow_turn(
        &self,
        store: &Store,
        id: &ConversationId,
        mut follower: Follower,
        tell: &impl Fn(FollowStep),
    ) -> Result<(), Fault> {
        let turn = follower.turn();
        let mut conversation = store.open_conversation(id).await.map_err(|error| error.fault())?;
        before(&mut conversation, follower.id().as_str());
        tell(FollowStep::Began { turn, conversation: Box::new(conversation) });
        while let Some(events) = follower.next().await {
            tell(FollowStep::Events(events.into_iter().map(|event| event.body).collect()));
        }
        Ok(())
    }

    /// Ends the turn that another process runs, where that does nothing else.
    pub(super) async fn stop_elsewhere(&self, id: &ConversationId) -> Result<(), Fault> {
        let watched = self.store()?.watch(id, None).await.map_err(|error| error.fault())?;
        match watched.and_then(|watched| watched.runner) {
            Some(runner) => stop(runner),
            // It has ended meanwhile, which is told anyway.
            None => Ok(()),
        }
    }
}

/// The turn that another process runs now.
async fn running(store: &Store, id: &ConversationId) -> Result<Option<Follower>, Fault> {
    let watched = store.watch(id, None).await.map_err(|error| error.fault())?;
    if watched.is_none_or(|watched| watched.status.is_some() || watched.runner.is_none()) {
        return Ok(None);
    }
    Follower::last(store.clone(), Arc::new(LiveClock), number(), id.clone(), true).await
}

/// Leaves out what a turn has answered so far: it is told.
fn before(conversation: &mut Conversation, turn: &str) {
    let (begin, asked) = (format!("{turn}."), format!("{turn}.0"));
    let answered = |id: &str| id.starts_with(&begin) && id != asked;
    let whole = conversation.messages.iter().position(|message| answered(message.id.as_str()));
    conversation.messages.truncate(whole.unwrap_or(conversation.messages.len()));
}
