//! `--frames`: every message from and to a server as it passes, with the heads of HTTP around them, on standard error.
//!
//! # Invariants
//! - Messages are shown as they were on the wire, but for known secrets; a terminal gets them sanitised, with what is
//!   invisible written out.
//! - What is no message (a proxy's page, an error in plain words) is an object with its status and its text; a terminal
//!   gets the text as it reads.
//! - Standard output is not touched.

use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

use serde_json::json;

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

    /// What came in place of a message.
    fn body(&self, server: &ServerName, status: u16, bytes: &[u8], cut: bool) -> String {
        let text = String::from_utf8_lossy(bytes);
        if self.terminal {
            let more = if cut { "\n… there was more" } else { "" };
            return self.lines(server, Direction::In, &format!("no message, but\n{}{more}", text.trim_end()));
        }
        // Without its secrets first: what is escaped is another text.
        let mut body = json!({"status": status, "text": self.redactor.text(&text)});
        if cut {
            body["cut"] = true.into();
        }
        self.lines(server, Direction::In, &body.to_string())
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
            Heard::Body { server, status, bytes, cut, connection: _ } => {
                self.write(&self.body(&server, status, &bytes, cut));
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
    fn what_is_no_message_is_an_object_in_a_pipe_and_harmless_text_on_a_terminal() {
        let mut frames = Frames { terminal: false, ..Frames::new(Redactor::new(["hunter2-hunter2"]), false) };
        let server = ServerName::new("s");
        let tail = |frames: &Frames, cut| {
            frames.body(&server, 502, b"<h1>\x1b[2J\xe2\x80\xaehunter2-hunter2</h1>\n<p>\xff</p>\n", cut)[10..]
                .to_owned()
        };
        let object = tail(&frames, true);
        let object: serde_json::Value = serde_json::from_str(object.trim_start_matches("\u{2190} ")).unwrap();
        let text = "<h1>\u{1b}[2J\u{202e}[redacted]</h1>\n<p>\u{fffd}</p>\n";
        assert_eq!(object, json!({"status": 502, "text": text, "cut": true}));
        frames.terminal = true;
        let indent = " ".repeat(12);
        let shown =
            format!("← no message, but\n{indent}<h1><ESC>[2J<U+202E>[redacted]</h1>\n{indent}<p>\u{fffd}</p>\n");
        assert_eq!(tail(&frames, false), shown);
        assert!(tail(&frames, true).ends_with("\n            … there was more\n"));
    }

    #[test]
    fn a_head_is_one_line() {
        let headers = vec![("accept".to_owned(), Some("x".to_owned())), ("authorization".to_owned(), None)];
        let head = HttpHead { line: "POST http://h/".into(), headers };
        assert_eq!(line(&head), "POST http://h/   accept: x · authorization: [redacted]");
        assert_eq!(line(&HttpHead { line: "202 Accepted".into(), headers: Vec::new() }), "202 Accepted");
    }
}
