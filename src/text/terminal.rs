//! The terminal's grammar of control sequences, read in order to drop them whole.
//!
//! Follows the parser of DEC's terminals (ECMA-48, vt100.net/emu/dec_ansi_parser) over characters instead of bytes: a
//! control that came as UTF-8 (U+0080 to U+009F) opens a sequence as its 8-bit form would. In one thing it is stricter
//! than a terminal: the end of a line ends every sequence, so one that was never closed hides its line at most.

/// Where the reader of the grammar stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Ground,
    Escape,
    /// After ESC and an intermediate byte: one final byte follows.
    Intermediate,
    Csi,
    /// The payload of OSC, DCS, APC, PM or SOS. Of these, BEL ends an OSC alone.
    Payload {
        bell_ends: bool,
    },
}

/// What is left of a text without its sequences and controls, and how many were dropped. `\n`, `\t` and `\r` stay.
pub(super) fn drop_sequences(raw: &str) -> (String, usize) {
    let mut out = String::with_capacity(raw.len());
    let mut dropped = 0;
    let mut state = State::Ground;
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\n' {
            state = State::Ground;
            out.push(c);
            continue;
        }
        if let State::Payload { bell_ends } = state {
            match c {
                '\x07' if bell_ends => state = State::Ground,
                '\u{9c}' | '\x18' | '\x1a' => state = State::Ground,
                '\x1b' if chars.peek() == Some(&'\\') => {
                    chars.next();
                    state = State::Ground;
                }
                '\x1b' => {
                    dropped += 1;
                    state = State::Escape;
                }
                _ => {}
            }
            continue;
        }
        if let Some(next) = introducer(c) {
            dropped += 1;
            state = next;
            continue;
        }
        match state {
            State::Ground => match c {
                '\t' | '\r' => out.push(c),
                c if c.is_control() => dropped += 1,
                c => out.push(c),
            },
            // CAN and SUB abort; other controls inside a sequence act at once, which here means nothing.
            _ if c == '\x18' || c == '\x1a' => state = State::Ground,
            _ if c.is_control() => dropped += 1,
            State::Escape => {
                state = match c {
                    '[' => State::Csi,
                    ']' => State::Payload { bell_ends: true },
                    'P' | 'X' | '^' | '_' => State::Payload { bell_ends: false },
                    ' '..='/' => State::Intermediate,
                    '0'..='~' => State::Ground,
                    c => {
                        out.push(c);
                        State::Ground
                    }
                };
            }
            State::Intermediate => match c {
                ' '..='/' => {}
                '0'..='~' => state = State::Ground,
                c => {
                    out.push(c);
                    state = State::Ground;
                }
            },
            State::Csi => match c {
                ' '..='?' => {}
                '@'..='~' => state = State::Ground,
                c => {
                    out.push(c);
                    state = State::Ground;
                }
            },
            State::Payload { .. } => {}
        }
    }
    (out, dropped)
}

/// The state that a character opens wherever it stands outside a payload.
fn introducer(c: char) -> Option<State> {
    Some(match c {
        '\x1b' => State::Escape,
        '\u{9b}' => State::Csi,
        '\u{9d}' => State::Payload { bell_ends: true },
        '\u{90}' | '\u{98}' | '\u{9e}' | '\u{9f}' => State::Payload { bell_ends: false },
        '\u{80}'..='\u{8f}' | '\u{91}'..='\u{97}' | '\u{99}' | '\u{9a}' | '\u{9c}' => State::Ground,
        _ => return None,
    })
}

/// Lays out each line as a terminal would: a carriage return writes over the line from its start, a tab runs to the
/// next multiple of four columns. The text has no other control but `\n`.
pub(super) fn overwrite_and_expand(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (n, line) in text.split('\n').enumerate() {
        if n > 0 {
            out.push('\n');
        }
        let line = line.trim_end_matches('\r');
        let mut written = String::new();
        let mut parts = line.split('\r').map(expand_tabs);
        if let Some(first) = parts.next() {
            written = first;
        }
        for over in parts {
            written = overwrite(&written, over);
        }
        out.push_str(&written);
    }
    out
}

fn overwrite(old: &str, new: String) -> String {
    let columns = super::width(&new);
    let mut seen = 0;
    let mut result = new;
    for cluster in super::graphemes(old) {
        let wide = super::width(cluster);
        if seen >= columns {
            result.push_str(cluster);
        } else if seen + wide > columns {
            // Half of a wide character was written over: the other half is blank.
            result.push(' ');
        }
        seen += wide;
    }
    result
}

fn expand_tabs(text: &str) -> String {
    if !text.contains('\t') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut column = 0;
    for cluster in super::graphemes(text) {
        if cluster == "\t" {
            let blanks = 4 - column % 4;
            out.extend(std::iter::repeat_n(' ', blanks));
            column += blanks;
        } else {
            out.push_str(cluster);
            column += super::width(cluster);
        }
    }
    out
}
