//! `--frames`: every message from and to a server as it passes, with the heads of HTTP around them, on standard error.
//!
//! # Invariants
//! - Messages are shown as they were on the wire, but for known secrets; a terminal gets them sanitised, with what is
//!   invisible written out.
//! - Standard output is not touched.

use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

use crate::chat::{Direction, Heard, HttpHead, ServerName, Wiretap};
use crate::export::{REDACTED, Redactor};
use crate::text::visible;

/// Writes what it hears. It waits for whoever reads standard error: nothing else goes on in this process, and a frame
/// has to stand before what came of it.
pub(super) struct Frames {
    began: Instant,
    redactor: Redactor,
    /// Each line begins with its server's name: there are several.
    named: bool,
    terminal: bool,
}

impl Frames {
    pub(super) fn new(redactor: Redactor, named: bool) -> Self {
        Self { began: Instant::now(), redactor, named, terminal: std::io::stderr().is_terminal() }
    }

    fn lines(&self, server: &ServerName, direction: Direction, text: &str) -> String {
        let text = self.redactor.text(text);
        let text = if self.terminal { visible(&text).into_string() } else { text.into_owned() };
        let arrow = match direction {
            Direction::Out => '→',
            Direction::In => '←',
        };
        let time = format!("{:>8.3}  ", self.began.elapsed().as_secs_f64());
        let name = if self.named { format!("{}  ", server.as_str()) } else { String::new() };
        // A body that is written over several lines stays one thing.
        let indent = " ".repeat(time.len() + name.len() + 2);
        let text = text.lines().collect::<Vec<_>>().join(&format!("\n{indent}"));
        format!("{time}{name}{arrow} {text}\n")
    }

    fn write(&self, text: &str) {
        // Whoever closed it wants no more.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}

impl std::fmt::Debug for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frames").field("named", &self.named).finish_non_exhaustive()
    }
}

impl Wiretap for Frames {
    fn heard(&self, heard: Heard) {
        match heard {
            Heard::Frame { server, direction, bytes, connection: _, call: _ } => {
                self.write(&self.lines(&server, direction, &String::from_utf8_lossy(&bytes)));
            }
            Heard::Http { server, direction, head, connection: _ } => {
                self.write(&self.lines(&server, direction, &line(&head)));
            }
            // Of a model and its turns, of which there are none here.
            Heard::Request { .. }
            | Heard::Head { .. }
            | Heard::Chunk { .. }
            | Heard::ResponseOver { .. }
            | Heard::Order(_)
            | Heard::Turn { .. }
            | Heard::Review { .. } => {}
        }
    }
}

/// A head in one line.
fn line(head: &HttpHead) -> String {
    let headers: Vec<String> =
        head.headers.iter().map(|(name, value)| format!("{name}: {}", value.as_deref().unwrap_or(REDACTED))).collect();
    if headers.is_empty() { head.line.clone() } else { format!("{}   {}", head.line, headers.join(" · ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_one_thing_without_secrets_and_harmless_on_a_terminal() {
        let mut frames = Frames { terminal: false, ..Frames::new(Redactor::new(["hunter2-hunter2"]), true) };
        let server = ServerName::new("s");
        let tail = |frames: &Frames, text: &str| frames.lines(&server, Direction::In, text)[10..].to_owned();
        assert_eq!(tail(&frames, "{\"a\":\n1}"), "s  ← {\"a\":\n               1}\n");
        assert_eq!(tail(&frames, "{\"k\":\"hunter2-hunter2\u{1b}[2J\"}"), "s  ← {\"k\":\"[redacted]\u{1b}[2J\"}\n");
        frames.terminal = true;
        assert_eq!(tail(&frames, "\u{1b}[2J\u{202e}"), "s  ← <ESC>[2J<U+202E>\n");
    }

    #[test]
    fn a_head_is_one_line() {
        let headers = vec![("accept".to_owned(), Some("x".to_owned())), ("authorization".to_owned(), None)];
        let head = HttpHead { line: "POST http://h/".into(), headers };
        assert_eq!(line(&head), "POST http://h/   accept: x · authorization: [redacted]");
        assert_eq!(line(&HttpHead { line: "202 Accepted".into(), headers: Vec::new() }), "202 Accepted");
    }
}
