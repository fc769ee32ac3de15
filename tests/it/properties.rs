//! Properties that count: how many values each was tried on, and what it looked at in them, is said at its end.
//!
//! `cargo test properties -- --nocapture` prints them all; `PROPTEST_CASES=10000` before it tries that many of each.
//!
//! *Invariants*: the same for the units beside the code and for the integration tests, which both take this file.

use std::cell::Cell;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// What was looked at so far: splits, frames, rows.
#[derive(Debug, Default)]
pub(crate) struct Seen(Cell<u64>);

impl Seen {
    pub(crate) fn add(&self, count: usize) {
        self.0.set(self.0.get() + count as u64);
    }
}

/// Tries a property on so many values, or on as many as the environment asks for, and says the counts.
#[track_caller]
pub(crate) fn holds<S: Strategy>(
    property: &str,
    cases: u32,
    looked_at: &str,
    values: S,
    test: impl Fn(S::Value, &Seen) -> Result<(), TestCaseError>,
) {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let config = Config::default();
    let cases = if asked { config.cases } else { cases };
    let seen = Seen::default();
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..config });
    if let Err(error) = runner.run(&values, |value| test(value, &seen)) {
        panic!("{property}: {error}");
    }
    let seen = seen.0.get();
    assert!(seen > 0, "{property}: nothing was looked at");
    println!("property: {property}: {cases} cases, {seen} {looked_at}");
}
