#[test]
fn gives_up_after_the_attempts() { /* … */ }

#[test]
fn doubles_the_pause() { /* … */ }

#[test]
fn stays_within_its_budget() { /* … */ }
