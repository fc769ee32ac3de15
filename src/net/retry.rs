//! Whether a failed request is sent again by itself, and when.

use std::time::Duration;

use crate::chat::{FaultKind, Limits, Retry};

use super::Failure;

const FIRST: Duration = Duration::from_millis(500);
const CAP: Duration = Duration::from_secs(8);
/// llama.cpp answers 500 to faults of the request too, so that one is not asked as often.
const ATTEMPTS_AT_500: u32 = 3;

/// How long to wait before the next attempt; None: do not send it again.
///
/// `attempt` is the number of the one that failed, from 1; `random` is in 0..1 and takes up to a quarter off, so that many
/// clients do not come back at once. The caller must besides have shown nothing and dispatched nothing: this function
/// does not know.
#[must_use]
pub fn retry(failure: &Failure, attempt: u32, limits: &Limits, random: f64) -> Option<Duration> {
    if attempt >= limits.attempts || !failure.again && failure.should_retry != Some(true) {
        return None;
    }
    // An empty account stays empty, whatever a gateway says.
    let spent = failure.fault.kind == FaultKind::RateLimit && failure.fault.retry == Retry::AfterChange;
    if spent || failure.should_retry == Some(false) || failure.status == Some(500) && attempt >= ATTEMPTS_AT_500 {
        return None;
    }
    if let Some(wait) = failure.retry_after {
        // A longer one means: not now (openai-python does the same).
        return (wait <= limits.retry_after).then_some(wait);
    }
    let doubled = FIRST.saturating_mul(1_u32 << attempt.saturating_sub(1).min(16)).min(CAP);
    Some(doubled.mul_f64(1.0 - 0.25 * random.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Fault;

    fn failure(status: Option<u16>, again: bool) -> Failure {
        let fault = Fault::new(FaultKind::Provider, "x").retry(Retry::Later(None));
        Failure { status, ..Failure::new(fault, again) }
    }

    fn waits(failure: &Failure) -> Vec<u128> {
        (1..)
            .map_while(|attempt| retry(failure, attempt, &Limits::default(), 0.0))
            .map(|wait| wait.as_millis())
            .collect()
    }

    #[test]
    fn waits_double_up_to_a_cap_and_attempts_are_counted() {
        assert_eq!(waits(&failure(Some(503), true)), [500, 1000, 2000, 4000]);
        assert_eq!(waits(&failure(None, true)).len(), 4);
        assert_eq!(waits(&failure(Some(500), true)), [500, 1000]);
        assert_eq!(retry(&failure(None, true), 30, &Limits { attempts: 99, ..Limits::default() }, 0.0), Some(CAP));
        assert_eq!(retry(&failure(None, true), 1, &Limits::default(), 1.0), Some(Duration::from_millis(375)));
    }

    #[test]
    fn what_cannot_help_is_not_tried() {
        assert_eq!(waits(&failure(Some(400), false)), [0_u128; 0]);
        let mut spent = failure(Some(429), true);
        spent.fault = Fault::new(FaultKind::RateLimit, "spent").retry(Retry::AfterChange);
        spent.should_retry = Some(true);
        assert_eq!(waits(&spent), [0_u128; 0]);
    }

    #[test]
    fn the_endpoint_has_the_first_word() {
        let told = |again, word| waits(&Failure { should_retry: Some(word), ..failure(Some(400), again) }).len();
        assert_eq!(told(false, true), 4);
        assert_eq!(told(true, false), 0);
        let wait = |seconds| Failure { retry_after: Some(Duration::from_secs(seconds)), ..failure(Some(429), true) };
        assert_eq!(retry(&wait(20), 1, &Limits::default(), 0.7), Some(Duration::from_secs(20)));
        assert_eq!(retry(&wait(120), 1, &Limits::default(), 0.7), Some(Duration::from_secs(120)));
        assert_eq!(retry(&wait(121), 1, &Limits::default(), 0.7), None);
    }
}
