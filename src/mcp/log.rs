//! What a server said by `notifications/message`: the last of it, over all its connections.
//!
//! # Invariants
//! - At most `limits.log` bytes are kept, the oldest go first; one message keeps at most [`LONGEST`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::chat::{LogLine, LoggingLevel};

/// The most of one message, bytes.
const LONGEST: usize = 4 * 1024;
/// What a line costs beside its texts, bytes.
const LINE: usize = 64;

/// Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Messages(Arc<Mutex<Ring>>);

#[derive(Debug)]
struct Ring {
    lines: VecDeque<LogLine>,
    bytes: usize,
    keep: usize,
    dropped: u64,
}

impl Messages {
    pub(super) fn new(keep: usize) -> Self {
        Self(Arc::new(Mutex::new(Ring { lines: VecDeque::new(), bytes: 0, keep, dropped: 0 })))
    }

    pub(super) fn push(&self, level: LoggingLevel, logger: Option<&str>, text: &str) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let at = i64::try_from(at).unwrap_or(i64::MAX);
        let text = match text.len() > LONGEST {
            true => format!("{}… ({} bytes in all)", &text[..text.floor_char_boundary(LONGEST)], text.len()),
            false => text.to_owned(),
        };
        let logger = logger.map(|logger| Arc::from(&logger[..logger.floor_char_boundary(128)]));
        let mut ring = self.ring();
        let line = LogLine { at, level, logger, text: text.into() };
        ring.bytes += cost(&line);
        ring.lines.push_back(line);
        while ring.bytes > ring.keep
            && let Some(gone) = ring.lines.pop_front()
        {
            ring.bytes -= cost(&gone);
            ring.dropped += 1;
        }
    }

    /// What is kept, oldest first, and how many were let go.
    pub(super) fn kept(&self) -> (Arc<[LogLine]>, u64) {
        let ring = self.ring();
        (ring.lines.iter().cloned().collect(), ring.dropped)
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cost(line: &LogLine) -> usize {
    LINE + line.text.len() + line.logger.as_ref().map_or(0, |logger| logger.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_stay_and_what_went_is_counted() {
        let messages = Messages::new(3 * (LINE + 8));
        for n in 0..10 {
            messages.push(LoggingLevel::Info, Some("db"), &format!("line {n}"));
        }
        let (lines, dropped) = messages.kept();
        let texts: Vec<&str> = lines.iter().map(|line| &*line.text).collect();
        assert_eq!((texts, dropped), (vec!["line 7", "line 8", "line 9"], 7));
        assert_eq!(lines[0].logger.as_deref(), Some("db"));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let messages = Messages::new(1 << 20);
        messages.push(LoggingLevel::Debug, None, &"\u{e4}".repeat(LONGEST));
        let (lines, _) = messages.kept();
        assert!(lines[0].text.ends_with("\u{e4}… (8192 bytes in all)"), "{}", lines[0].text);
    }
}
