//! A second process that outlives this one by a moment: where millrace is killed without a chance to clean up, it ends
//! the groups of the servers that were running.
//!
//! It is this program's own hidden subcommand. It holds one end of a pipe; the other end closes with millrace, however
//! millrace ends. Over the pipe it is told which groups there are: `+PID` and `-PID`, one a line.
//!
//! # Invariants
//! - It ends nothing while the pipe is open, and only groups that were named and not taken back.
//! - It stands in a group of its own: a ctrl+c of the terminal does not reach it.

use std::collections::BTreeSet;
use std::io::{BufRead, Write};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The name of the hidden subcommand.
pub const SUBCOMMAND: &str = "watchdog";

/// Our end of the pipe.
#[derive(Debug)]
pub(super) struct Watchdog {
    pipe: Mutex<Option<ChildStdin>>,
}

impl Watchdog {
    /// Starts `program watchdog`. None where that is not possible: then a sudden death leaves servers to the end of
    /// their stdin, which most obey.
    pub(super) fn start(program: &Path) -> Option<Self> {
        let mut command = Command::new(program);
        command.arg(SUBCOMMAND).env_clear().stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        match command.spawn() {
            Ok(mut child) => {
                let pipe = child.stdin.take();
                // It ends with the pipe; somebody must take note of it.
                std::thread::spawn(move || child.wait());
                Some(Self { pipe: Mutex::new(pipe) })
            }
            Err(error) => {
                tracing::warn!(%error, "no watchdog over the servers");
                None
            }
        }
    }

    /// From now on this group is ended with us.
    pub(super) fn add(&self, group: u32) {
        self.tell(&format!("+{group}\n"));
    }

    /// This group is gone.
    pub(super) fn remove(&self, group: u32) {
        self.tell(&format!("-{group}\n"));
    }

    fn tell(&self, line: &str) {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        // A dozen bytes: no pipe blocks over that, and none is torn.
        if pipe.as_mut().is_some_and(|pipe| pipe.write_all(line.as_bytes()).is_err()) {
            *pipe = None;
        }
    }
}

/// The other side: reads until the pipe closes, then ends what is left: SIGTERM, and SIGKILL 2 s later.
pub fn watch(told: impl BufRead) {
    let mut groups = BTreeSet::new();
    for line in told.lines().map_while(Result::ok) {
        follow(&mut groups, &line);
    }
    if groups.is_empty() {
        return;
    }
    signal(&groups, false);
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(100));
        groups.retain(|group| lives(*group));
        if groups.is_empty() {
            return;
        }
    }
    signal(&groups, true);
}

fn follow(groups: &mut BTreeSet<u32>, line: &str) {
    if let Some(group) = line.strip_prefix('+').and_then(|text| text.parse().ok()) {
        groups.insert(group);
    } else if let Some(group) = line.strip_prefix('-').and_then(|text| text.parse().ok()) {
        groups.remove(&group);
    }
}

#[cfg(unix)]
fn signal(groups: &BTreeSet<u32>, hard: bool) {
    let signal = if hard { rustix::process::Signal::KILL } else { rustix::process::Signal::TERM };
    for group in groups {
        super::child::signal_group(Some(*group), signal);
    }
}

#[cfg(unix)]
fn lives(group: u32) -> bool {
    let group = i32::try_from(group).ok().and_then(rustix::process::Pid::from_raw);
    group.is_some_and(|group| rustix::process::test_kill_process_group(group).is_ok())
}

/// Elsewhere the job object of each child does this.
#[cfg(not(unix))]
fn signal(_: &BTreeSet<u32>, _: bool) {}

#[cfg(not(unix))]
fn lives(_: u32) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_named_and_not_taken_back_is_watched() {
        let mut groups = BTreeSet::new();
        for line in ["+10", "+20", "nonsense", "-10", "-99", "+", "+x"] {
            follow(&mut groups, line);
        }
        assert_eq!(groups, BTreeSet::from([20]));
    }

    #[test]
    fn with_nothing_to_watch_it_ends_at_once() {
        watch(&b"+7\n-7\n"[..]);
    }
}
