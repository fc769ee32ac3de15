//! Whether a failed request is sent again by itself, and when.

use std::time::Duration;

use crate::chat::{FaultKind, Retry};

use super::Failure;

/// A wait that the endpoint asks for is honoured up to here; a longer one means: not now (openai-python does the same).
const LONGEST_WAIT: Duration = Duration::from_secs(120);
const FIRST: Duration = Duration::from_millis(500);
const CAP: Duration = Duration::from_secs(8);
/// llama.cpp answers 500 to faults of the request too, so that one is not asked as often.
const ATTEMPTS_AT_500: u32 = 3;

/// How long to wait before the next attempt; None: do not send it again.
///
/// `attempt` is the number of the one that failed, from 1; `attempts` is `Limits::attempts`; `random` is in 0..1 and
/// takes up to a quarter off, so that many clients do not come back at once. The caller must besides have shown
/// nothing and dispatched nothing (house rule): this function does not know.
#[must_use]
pub fn retry(failure: &Failure, attempt: u32, attempts: u32, random: f64) -> Option<Duration> {
    if attempt >= attempts || !failure.again && failure.should_retry != Some(true) {
        return None;
    }
    // An empty account stays empty, whatever a gateway says.
    let spent = failure.fault.kind == FaultKind::RateLimit && failure.fault.retry == Retry::AfterChange;
    if spent || failure.should_retry == Some(false) || failure.status == Some(500) && attempt >= ATTEMPTS_AT_500 {
        return None;
    }
    if let Some(wait) = failure.retry_after {
        return (wait <= LONGEST_WAIT).then_some(wait);
    }
    let doubled = FIRST.saturating_mul(1_u32 << attempt.saturating_sub(1).min(16)).min(CAP);
    Some(doubled.mul_f64(1.0 - 0.25 * random.clamp(0.0, 1.0)))
}
