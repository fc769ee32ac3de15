//! Time: monotonic since the process began, and the wall's.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::chat::Stamp;
use crate::engine::port::Clock;

static BEGAN: OnceLock<Instant> = OnceLock::new();

/// The moment from which every stamp counts; the first call sets it, so `main` makes it first thing.
pub fn process_began() -> Instant {
    *BEGAN.get_or_init(Instant::now)
}

#[derive(Clone, Copy, Debug, Default)]
pub struct LiveClock;

impl Clock for LiveClock {
    fn now(&self) -> Stamp {
        let mono_us = u64::try_from(process_began().elapsed().as_micros()).unwrap_or(u64::MAX);
        // A clock before 1970 shows 1970; nothing is measured with it.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Stamp { mono_us, wall_ms: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX) }
    }
}
