mod gauge;
mod retry;

use std::time::Duration;

fn main() {
    let policy = retry::Policy { attempts: 5, first_pause: Duration::from_millis(200), budget: Duration::from_secs(8) };
    match retry::retry(&policy, gauge::read) {
        Ok(level) => println!("{:.2} m, {}", level.metres, if level.rising { "rising" } else { "falling" }),
        Err(error) => eprintln!("the gauge did not answer: {error}"),
    }
}
