//! What a server said by `notifications/message` and what was remarked about it: the last of it, over all its
//! connections.
//!
//! # Invariants
//! - At most `limits.log` bytes are kept, the oldest go first; one message keeps at most [`LONGEST`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::chat::{LogLine, LogSpeaker, LoggingLevel};

/// The most of one message, bytes.
const LONGEST: usize = 4 * 1024;
/// What a line costs beside its texts, bytes.
const LINE: usize = 64;

/// Whose words they are; a server's with the name of its logger.
#[derive(Clone, Copy, Debug)]
pub(super) enum Speaker<'a> {
    Server(Option<&'a str>),
    Millrace,
}

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

    pub(super) fn push(&self, level: LoggingLevel, by: Speaker<'_>, text: &str) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let at = i64::try_from(at).unwrap_or(i64::MAX);
        let text = match text.len() > LONGEST {
            true => format!("{}… ({} bytes in all)", &text[..text.floor_char_boundary(LONGEST)], text.len()),
            false => text.to_owned(),
        };
        let by = match by {
            Speaker::Server(logger) => {
                LogSpeaker::Server(logger.map(|logger| Arc::from(&logger[..logger.floor_char_boundary(128)])))
            }
            Speaker::Millrace => LogSpeaker::Millrace,
        };
        let mut ring = self.ring();
        let line = LogLine { at, level, by, text: text.into() };
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
    let logger = match &line.by {
        LogSpeaker::Server(logger) => logger.as_ref().map_or(0, |logger| logger.len()),
        LogSpeaker::Millrace => 0,
    };
    LINE + line.text.len() + logger
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_stay_and_what_went_is_counted() {
        let messages = Messages::new(3 * (LINE + 8));
        for n in 0..10 {
            messages.push(LoggingLevel::Info, Speaker::Server(Some("db")), &format!("line {n}"));
        }
        let (lines, dropped) = messages.kept();
        let texts: Vec<&str> = lines.iter().map(|line| &*line.text).collect();
        assert_eq!((texts, dropped), (vec!["line 7", "line 8", "line 9"], 7));
        assert_eq!(lines[0].by, LogSpeaker::Server(Some("db".into())));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let messages = Messages::new(1 << 20);
        messages.push(LoggingLevel::Debug, Speaker::Server(None), &"\u{e4}".repeat(LONGEST));
        let (lines, _) = messages.kept();
        assert!(lines[0].text.ends_with("\u{e4}… (8192 bytes in all)"), "{}", lines[0].text);
    }
}
