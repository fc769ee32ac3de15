//! The timers that `app` asked for.

use std::time::Duration;

use tokio::time::Instant;

use crate::app::Timer;

/// A handful at most, so a list.
#[derive(Debug, Default)]
pub(super) struct Timers(Vec<(Instant, Timer)>);

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, after_ms: u64) {
        self.cancel(timer);
        self.0.push((Instant::now() + Duration::from_millis(after_ms), timer));
    }

    pub(super) fn cancel(&mut self, timer: Timer) {
        self.0.retain(|(_, set)| *set != timer);
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.0.iter().map(|(at, _)| *at).min()
    }

    /// Those that are due, the earliest first.
    pub(super) fn due(&mut self) -> Vec<Timer> {
        let now = Instant::now();
        let mut due: Vec<_> = self.0.iter().filter(|(at, _)| *at <= now).copied().collect();
        self.0.retain(|(at, _)| *at > now);
        due.sort_by_key(|(at, _)| *at);
        due.into_iter().map(|(_, timer)| timer).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn timers_fire_once_in_order_and_can_be_cancelled() {
        let mut timers = Timers::default();
        timers.set(Timer::Search(1), 80);
        timers.set(Timer::Tick, 20);
        timers.set(Timer::Notice(1), 40);
        timers.cancel(Timer::Notice(1));
        assert_eq!(timers.due(), []);
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(timers.due(), [Timer::Tick, Timer::Search(1)]);
        assert_eq!(timers.next(), None);
    }
}
