//! A panic on demand, so that what follows one can be tried on a real terminal. Only in builds with debug assertions.
//!
//! `MILLRACE_PANIC` names a file. Once it holds the name of a thread (`main`: the screen's; `engine`), that thread panics
//! when it next looks at the clock; with `aside`, a thread that nobody waits for does.

use std::sync::Arc;

use crate::engine::live::LiveClock;
use crate::engine::port::Clock;

/// The clock of a session.
#[cfg(not(debug_assertions))]
pub(super) fn clock() -> Arc<dyn Clock> {
    Arc::new(LiveClock)
}

/// The clock of a session.
#[cfg(debug_assertions)]
pub(super) fn clock() -> Arc<dyn Clock> {
    match std::env::var_os("MILLRACE_PANIC") {
        Some(file) => Arc::new(provoked::Provoked(file.into())),
        None => Arc::new(LiveClock),
    }
}

#[cfg(debug_assertions)]
mod provoked {
    use std::path::PathBuf;

    use super::{Clock, LiveClock};
    use crate::chat::Stamp;

    pub(super) struct Provoked(pub PathBuf);

    impl Clock for Provoked {
        fn now(&self) -> Stamp {
            let asked = std::fs::read_to_string(&self.0).unwrap_or_default();
            let asked = asked.trim();
            let mine = !asked.is_empty() && std::thread::current().name() == Some(asked);
            if (mine || asked == "aside") && std::fs::remove_file(&self.0).is_ok() {
                if mine {
                    panic!("provoked, in the thread {asked}");
                }
                std::thread::spawn(|| panic!("provoked, in a thread that nobody waits for"));
            }
            LiveClock.now()
        }
    }
}
