//! `SafeText` and the ways to make one.

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write as _;

use super::hidden::{Judge, Verdict, strip_hidden};
use super::terminal::overwrite_and_expand;

/// Text that holds no control, escape or hidden character but `\n`: safe for any terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SafeText(String);

impl SafeText {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// On one line: line ends become blanks.
    #[must_use]
    pub fn one_line(&self) -> SafeText {
        SafeText(self.0.replace('\n', " "))
    }

    /// Cut to a width in columns, with `…` where something is missing.
    #[must_use]
    pub fn cut(&self, width: usize) -> SafeText {
        SafeText(super::cut(&self.0, width))
    }
}

impl fmt::Display for SafeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for SafeText {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<SafeText> for String {
    fn from(text: SafeText) -> String {
        text.0
    }
}

/// Makes any text safe to draw: escape sequences go with their payload, controls and hidden characters go, tabs become
/// blanks, a carriage return writes over its line.
#[must_use]
pub fn sanitize(raw: &str) -> SafeText {
    sanitize_counted(raw).0
}

/// As [`sanitize`], with how many sequences, controls and hidden characters were removed.
#[must_use]
pub fn sanitize_counted(raw: &str) -> (SafeText, usize) {
    if raw.bytes().all(|b| matches!(b, b' '..=b'~' | b'\n')) || raw.chars().all(is_plain) {
        return (SafeText(raw.to_owned()), 0);
    }
    let (text, removed) = strip_hidden(raw);
    let text = if text.contains(['\r', '\t']) { overwrite_and_expand(&text) } else { text };
    (SafeText(give_bases(text)), removed)
}

/// Characters that need no second look, wherever they stand: those of ASCII that are drawn, Latin letters, dashes and
/// quotes, and the lines and blocks that frames are made of.
fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~' | '\n' | '\u{c0}'..='\u{24f}' | '\u{2013}'..='\u{2026}' | '\u{2500}'..='\u{259f}' | '\u{b7}')
}

/// A mark at the start of a line would sit on whatever is drawn to the left of it: it gets a base of its own.
fn give_bases(text: String) -> String {
    let orphan = |line: &str| line.chars().next().is_some_and(|c| super::width::char_width(c) == 0);
    if !text.split('\n').any(orphan) {
        return text;
    }
    let lines =
        text.split('\n').map(|line| if orphan(line) { Cow::from(format!("\u{25cc}{line}")) } else { line.into() });
    lines.collect::<Vec<_>>().join("\n")
}

/// For reviews: nothing is removed; what a person would not see is written as `<U+202E>` or `<ESC>`. Tabs become blanks.
#[must_use]
pub fn visible(raw: &str) -> SafeText {
    let mut judge = Judge::default();
    let mut out = String::with_capacity(raw.len());
    for (at, c) in raw.char_indices() {
        let drawn = (c == '\n' || c == '\t' || !c.is_control()) && judge.judge(c, &raw[at..]) == Verdict::Seen;
        if drawn {
            out.push(c);
        } else {
            name(&mut out, c);
            // What comes next stands behind the name, not behind what the name stands for.
            judge.judge('>', ">");
        }
    }
    SafeText(give_bases(overwrite_and_expand(&out)))
}

fn name(out: &mut String, c: char) {
    const C0: [&str; 32] = [
        "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "TAB", "LF", "VT", "FF", "CR", "SO", "SI", "DLE",
        "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS", "US",
    ];
    let written = match C0.get(c as usize) {
        Some(word) => write!(out, "<{word}>"),
        None if c == '\x7f' => write!(out, "<DEL>"),
        None => write!(out, "<U+{:04X}>", u32::from(c)),
    };
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}
