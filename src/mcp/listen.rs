//! Announcements of changes from servers of 2026-07-28: `subscriptions/listen`, opened again for as long as the
//! connection lives.
//!
//! # Invariants
//! - What may have been announced while nobody listened is taken as announced.
//! - A stream that ends at once is opened again with growing pauses, up to a minute, never in a loop.

use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleClient;
use rmcp::model::{ServerNotification, SubscriptionFilter};
use rmcp::service::{Peer, ServiceError};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::chat::ServerNews;

use super::event::LogLevel;
use super::report::Reporter;

pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A stream that lived so long has earned the first pause again.
pub(super) const STABLE: Duration = Duration::from_secs(60);

/// Rings `tools_changed` for each announcement of tools and tells the others, until the connection ends.
pub(super) async fn listen(
    peer: Peer<RoleClient>,
    filter: SubscriptionFilter,
    tools_changed: Arc<Notify>,
    reporter: Reporter,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        let since = Instant::now();
        match hear(&peer, &filter, &tools_changed, &reporter).await {
            Heard::Enough => {}
            Heard::Refused(why) => {
                reporter.log(LogLevel::Info, || format!("it does not announce changes: {why}"));
                return;
            }
        }
        if peer.is_transport_closed() {
            return;
        }
        if since.elapsed() >= STABLE {
            pause = FIRST_PAUSE;
        }
        tokio::time::sleep(jittered(pause)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        if filter.tools_list_changed == Some(true) {
            tools_changed.notify_one();
        }
        if filter.prompts_list_changed == Some(true) {
            reporter.news(ServerNews::PromptsChanged).await;
        }
        if filter.resources_list_changed == Some(true) {
            reporter.news(ServerNews::ResourcesChanged).await;
        }
    }
}

enum Heard {
    /// The stream ended, or could not be opened this time.
    Enough,
    /// It will not be another time either.
    Refused(String),
}

async fn hear(
    peer: &Peer<RoleClient>,
    filter: &SubscriptionFilter,
    tools_changed: &Notify,
    reporter: &Reporter,
) -> Heard {
    let mut subscription = match peer.listen(filter.clone()).await {
        Ok(subscription) => subscription,
        // It has answered, and will answer so again.
        Err(ServiceError::McpError(error)) => return Heard::Refused(error.message.into_owned()),
        Err(_) => return Heard::Enough,
    };
    let acknowledged = subscription.acknowledged();
    let taken =
        [acknowledged.tools_list_changed, acknowledged.prompts_list_changed, acknowledged.resources_list_changed];
    if filter.tools_list_changed == Some(true) && acknowledged.tools_list_changed != Some(true) {
        reporter.log(LogLevel::Info, || "it did not take the subscription to its tools".to_owned());
    }
    if !taken.contains(&Some(true)) {
        return Heard::Refused("it took no subscription".to_owned());
    }
    while let Ok(Some(notification)) = subscription.next().await {
        match notification {
            ServerNotification::ToolListChangedNotification(_) => tools_changed.notify_one(),
            ServerNotification::PromptListChangedNotification(_) => reporter.news(ServerNews::PromptsChanged).await,
            ServerNotification::ResourceListChangedNotification(_) => reporter.news(ServerNews::ResourcesChanged).await,
            // Nothing else was subscribed to.
            _ => {}
        }
    }
    Heard::Enough
}

/// Between three quarters of a pause and the whole: servers that restart are not met by all their clients at once.
pub(super) fn jittered(pause: Duration) -> Duration {
    let bytes = uuid::Uuid::new_v4().into_bytes();
    pause.mul_f64(0.75 + f64::from(bytes[0]) / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_differ_a_little() {
        for _ in 0..100 {
            let pause = jittered(Duration::from_secs(4));
            assert!((Duration::from_secs(3)..=Duration::from_secs(4)).contains(&pause), "{pause:?}");
        }
    }
}
