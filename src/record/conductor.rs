//! Keeps a replay in the order of its recording, at the speed that is asked for.
//!
//! Everything that came from outside then comes again in the same order: bytes, results, orders, servers' news. Each
//! waits for its turn; what the engine does not ask for this time is given up after a moment, and said.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

use crate::chat::NoticeKind;
use crate::engine::Orders;

/// How long a thing that is due may keep the others waiting.
pub(super) const STALL: Duration = Duration::from_secs(3);
/// How long nothing happens where everything is over.
const QUIET: Duration = Duration::from_millis(300);
/// Turns of the runtime in which what was handed over reaches the engine.
const HOPS: usize = 16;

/// How fast a recording is played.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Speed {
    #[default]
    Original,
    /// As fast as it goes, in the recorded order.
    Full,
    /// So many times the original.
    Times(f64),
}

impl Speed {
    /// A recorded time as it is waited for.
    pub(super) fn scaled(self, time: Duration) -> Duration {
        match self {
            Self::Original => time,
            Self::Full => Duration::ZERO,
            Self::Times(times) => Duration::try_from_secs_f64(time.as_secs_f64() / times).unwrap_or(time),
        }
    }
}

/// Who brings a thing into the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// By its place among the recorded responses.
    Response(usize),
    /// By its place among the recorded calls.
    Call(usize),
    /// Orders and servers' news.
    Script,
}

/// One thing that came from outside: its place in the recording, and microseconds since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cue {
    pub place: usize,
    pub t_us: u64,
}

/// Everything that comes from outside, by its place: who brings it, and when.
pub(super) type Cues = BTreeMap<usize, (Source, u64)>;

pub(super) struct Conductor {
    speed: Speed,
    state: Mutex<State>,
    changed: Notify,
    orders: OnceLock<Orders>,
    began: OnceLock<Instant>,
}

#[derive(Default)]
struct State {
    pending: Cues,
    /// Whose thing was the last.
    last: Option<Source>,
    position_us: u64,
    given_up: HashSet<Source>,
}

impl Conductor {
    pub(super) fn new(speed: Speed, pending: Cues) -> Arc<Self> {
        Arc::new(Self {
            speed,
            state: Mutex::new(State { pending, ..State::default() }),
            changed: Notify::new(),
            orders: OnceLock::new(),
            began: OnceLock::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clock starts.
    pub(super) fn begin(&self, orders: Orders) {
        let _ = self.orders.set(orders);
        let _ = self.began.set(Instant::now());
    }

    pub(super) fn speed(&self) -> Speed {
        self.speed
    }

    /// Microseconds of the recording that are over.
    pub(super) fn position_us(&self) -> u64 {
        self.state().position_us
    }

    pub(super) fn notice(&self, message: String) {
        if let Some(orders) = self.orders.get() {
            orders.notice(NoticeKind::Replay, message);
        }
    }

    /// Waits until it is this thing's turn.
    pub(super) async fn due(&self, cue: Cue, source: Source) {
        if let Some(at) = self.at(cue.t_us).filter(|at| *at > Instant::now()) {
            sleep_until(at).await;
        }
        loop {
            let changed = self.changed.notified();
            let before = {
                let state = self.state();
                state
                    .pending
                    .first_key_value()
                    .filter(|(place, _)| **place < cue.place)
                    .map(|(at, (who, _))| (*at, *who))
            };
            let Some(before) = before else { break };
            if timeout(STALL, changed).await.is_err() {
                self.give_up(before);
            }
        }
        let other = {
            let mut state = self.state();
            state.position_us = state.position_us.max(cue.t_us);
            state.last.is_some_and(|last| last != source)
        };
        if other {
            self.settle().await;
        }
    }

    /// The thing has been handed over.
    pub(super) fn done(&self, cue: Cue, source: Source) {
        let mut state = self.state();
        state.pending.remove(&cue.place);
        state.last = Some(source);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Nobody wants the rest of it.
    pub(super) fn void(&self, source: Source) {
        self.state().pending.retain(|_, (of, _)| *of != source);
        self.changed.notify_waiters();
    }

    /// What holds everything up still waits at the head of the line.
    fn give_up(&self, (place, source): (usize, Source)) {
        let mut state = self.state();
        if state.pending.first_key_value().is_none_or(|(at, _)| *at != place) {
            return;
        }
        let first = state.given_up.insert(source);
        match source {
            Source::Response(_) | Source::Call(_) => state.pending.retain(|_, (of, _)| *of != source),
            Source::Script => {
                state.pending.remove(&place);
            }
        }
        drop(state);
        if first {
            self.notice(match source {
                Source::Response(at) => {
                    format!("The replay goes other ways: it did not ask for recorded response {} again.", at + 1)
                }
                Source::Call(at) => {
                    format!("The replay goes other ways: it did not make recorded call {} again.", at + 1)
                }
                Source::Script => "The replay goes other ways: an order could not be given again.".to_owned(),
            });
        }
        self.changed.notify_waiters();
    }

    /// What was handed over before has been acted upon.
    pub(super) async fn settle(&self) {
        for _ in 0..HOPS {
            tokio::task::yield_now().await;
        }
        if let Some(orders) = self.orders.get() {
            orders.caught_up().await;
        }
    }

    /// Returns when everything was handed over, and nothing has happened for a moment.
    pub(super) async fn all_over(&self) {
        loop {
            let changed = self.changed.notified();
            let next = self.state().pending.first_key_value().map(|(place, (source, t_us))| (*place, *source, *t_us));
            let Some((place, source, t_us)) = next else {
                match timeout(QUIET, changed).await {
                    Ok(()) => continue,
                    Err(_) => return,
                }
            };
            let late = self.at(t_us).unwrap_or_else(Instant::now) + STALL;
            tokio::select! {
                () = changed => {}
                () = sleep_until(late.max(Instant::now() + STALL)) => self.give_up((place, source)),
            }
        }
    }

    /// When a moment of the recording is.
    fn at(&self, t_us: u64) -> Option<Instant> {
        let after = self.speed.scaled(Duration::from_micros(t_us));
        self.began.get().and_then(|began| began.checked_add(after))
    }
}
