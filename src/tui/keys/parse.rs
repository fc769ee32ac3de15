//! The bytes of a terminal as keys, pastes, the mouse, and answers to what was asked of it.
//!
//! Sources: ECMA-48 5.4 (control sequences), xterm's `ctlseqs` (legacy keys, SGR mouse, modifyOtherKeys), kitty's
//! keyboard protocol (`CSI u`), DEC mode 2031 (colour scheme).
//!
//! # Invariants
//! - Bytes cut anywhere give the same, as long as they come in time; what never ends is held to a named length.
//! - An answer of the terminal is never typed, and what a person types is never taken for one: an answer has the form
//!   of one that is asked for here.
//! - A sequence that means nothing is nothing; what comes after it counts.
//!
//! # Does not
//! Read or wait: [`Parser::waits`] says for how long the rest of something may take.

use std::time::Duration;

use crate::app::{Event, Key, KeyCode, Mods, Mouse, MouseAction};

/// What came from the terminal.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "few are under way at a time")]
pub(in crate::tui) enum Input {
    Event(Event),
    Answer(Answer),
}

/// What the terminal said of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tui) enum Answer {
    /// It knows kitty's keyboard protocol (`CSI ? flags u`).
    Keyboard,
    /// Its attributes (DA1): whatever was asked before them has been answered, or never will be.
    Attributes,
    /// Its ground is light (OSC 11).
    Ground(bool),
    /// Its colour scheme is light now (mode 2031).
    Scheme(bool),
}

/// How long esc alone may be the beginning of something: what a terminal sends at once may come in two packets.
const ESCAPE: Duration = Duration::from_millis(25);
/// The same where more than esc has come.
const SEQUENCE: Duration = Duration::from_millis(250);
/// The longest control sequence, and the longest answer of an OSC.
const LONGEST: usize = 256;
/// The longest text that is pasted at one go; what is behind it is another paste.
const PASTE: usize = 64 * 1024 * 1024;

const PASTE_BEGINS: &[u8] = b"\x1b[200~";
const PASTE_ENDS: &[u8] = b"\x1b[201~";

/// What the bytes at the beginning are.
#[allow(clippy::large_enum_variant, reason = "looked at where it is made")]
enum Step {
    /// So many of them are this, or nothing.
    Taken(usize, Option<Input>),
    /// More must come.
    More,
}

use Step::{More, Taken};

#[derive(Debug, Default)]
pub(in crate::tui) struct Parser {
    bytes: Vec<u8>,
    /// So many of the bytes of a paste have no end in them.
    searched: usize,
}

impl Parser {
    /// Takes bytes, and gives what they complete.
    pub(in crate::tui) fn feed(&mut self, bytes: &[u8], out: &mut Vec<Input>) {
        self.bytes.extend_from_slice(bytes);
        self.take(false, out);
    }

    /// How long the rest of what was begun may take; None where nothing was, or it has all the time: a paste ends.
    pub(in crate::tui) fn waits(&self) -> Option<Duration> {
        match self.bytes.as_slice() {
            [] => None,
            bytes if bytes.starts_with(PASTE_BEGINS) => None,
            [0x1b] => Some(ESCAPE),
            _ => Some(SEQUENCE),
        }
    }

    /// The time is over: what was begun is what it is.
    pub(in crate::tui) fn expire(&mut self, out: &mut Vec<Input>) {
        self.take(true, out);
    }

    fn take(&mut self, ended: bool, out: &mut Vec<Input>) {
        let mut at = 0;
        while at < self.bytes.len() {
            match step(&self.bytes[at..], ended, &mut self.searched) {
                Taken(count, input) => {
                    out.extend(input);
                    self.searched = 0;
                    at += count.max(1);
                }
                More => break,
            }
        }
        self.bytes.drain(..at);
        // A paste of megabytes is no reason to keep them.
        if self.bytes.is_empty() && self.bytes.capacity() > 64 * 1024 {
            self.bytes = Vec::new();
        }
    }
}

fn step(bytes: &[u8], ended: bool, searched: &mut usize) -> Step {
    if bytes[0] != 0x1b {
        return single(bytes, ended, false);
    }
    let Some(second) = bytes.get(1) else {
        return if ended { Taken(1, key(KeyCode::Esc, Mods::default(), false)) } else { More };
    };
    let alone = |c: char| Taken(2, key(KeyCode::Char(c), ALT, false));
    match second {
        b'[' if bytes.len() == 2 => {
            if ended {
                alone('[')
            } else {
                More
            }
        }
        b'[' => control(bytes, ended, searched),
        b'O' => match bytes.get(2) {
            Some(last) => match cursor_key(*last).or_else(|| keypad(*last)) {
                Some(code) => Taken(3, key(code, Mods::default(), false)),
                None => alone('O'),
            },
            None => {
                if ended {
                    alone('O')
                } else {
                    More
                }
            }
        },
        // An answer begins with its number.
        b']' => match bytes.get(2) {
            Some(digit) if digit.is_ascii_digit() => command(bytes, ended),
            Some(_) => alone(']'),
            None => {
                if ended {
                    alone(']')
                } else {
                    More
                }
            }
        },
        // Esc, then another sequence.
        0x1b => Taken(1, key(KeyCode::Esc, Mods::default(), false)),
        _ => match single(&bytes[1..], ended, true) {
            Taken(count, input) => Taken(count + 1, input),
            More => More,
        },
    }
}

const ALT: Mods = Mods { ctrl: false, alt: true, shift: false };

#[allow(clippy::unnecessary_wraps, reason = "as what means nothing")]
fn key(code: KeyCode, mods: Mods, repeat: bool) -> Option<Input> {
    Some(Input::Event(Event::Key(Key { repeat, ..Key::new(code, mods) })))
}

/// One character, or what control makes of one.
fn single(bytes: &[u8], ended: bool, alt: bool) -> Step {
    let mods = Mods { alt, ..Mods::default() };
    let ctrl = Mods { ctrl: true, ..mods };
    let (code, mods) = match bytes[0] {
        b'\r' => (KeyCode::Enter, mods),
        b'\t' => (KeyCode::Tab, mods),
        0x7f => (KeyCode::Backspace, mods),
        0 => (KeyCode::Char(' '), ctrl),
        c @ 0x01..=0x1a => (KeyCode::Char(char::from(c - 1 + b'a')), ctrl),
        // ctrl+4 to ctrl+7, as they are on the keyboards that named them.
        c @ 0x1c..=0x1f => (KeyCode::Char(char::from(c - 0x1c + b'4')), ctrl),
        first => return character(bytes, first, ended, mods),
    };
    Taken(1, key(code, mods, false))
}

fn character(bytes: &[u8], first: u8, ended: bool, mods: Mods) -> Step {
    let length = match first {
        0x20..=0x7e => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Taken(1, None),
    };
    let Some(whole) = bytes.get(..length) else {
        let begun = bytes[1..].iter().all(|byte| (0x80..0xc0).contains(byte));
        return if begun && !ended { More } else { Taken(1, None) };
    };
    match std::str::from_utf8(whole).ok().and_then(|text| text.chars().next()) {
        Some(c) => Taken(length, key(KeyCode::Char(c), mods, false)),
        None => Taken(1, None),
    }
}

/// `ESC [`, parameters, an end.
fn control(bytes: &[u8], ended: bool, searched: &mut usize) -> Step {
    if bytes.starts_with(PASTE_BEGINS) {
        return paste(bytes, searched);
    }
    // The Linux console's first function keys.
    if let [_, _, b'[', rest @ ..] = bytes {
        return match rest.first() {
            Some(last @ b'A'..=b'E') => Taken(4, key(KeyCode::F(last - b'A' + 1), Mods::default(), false)),
            Some(_) => Taken(3, None),
            None if ended => Taken(3, None),
            None => More,
        };
    }
    let Some(end) = bytes.iter().skip(2).position(|byte| !(0x20..=0x3f).contains(byte)).map(|at| at + 2) else {
        return if ended || bytes.len() > LONGEST { Taken(bytes.len(), None) } else { More };
    };
    // Another sequence begins, or a control stands in it: what was begun is nothing.
    if !(0x40..=0x7e).contains(&bytes[end]) {
        return Taken(end, None);
    }
    let last = bytes[end];
    let (private, digits) = match &bytes[2..end] {
        [sign @ (b'?' | b'<' | b'>' | b'='), rest @ ..] => (Some(*sign), rest),
        rest => (None, rest),
    };
    // The three bytes of the oldest form of the mouse, which nobody asked for, are no text.
    if (last, bytes.get(2)) == (b'M', Some(&b'M')) {
        return if bytes.len() < end + 4 && !ended { More } else { Taken((end + 4).min(bytes.len()), None) };
    }
    Taken(end + 1, std::str::from_utf8(digits).ok().and_then(|digits| meant(private, digits, last)))
}

/// A parameter with its subparameters; 0: not given.
fn numbers(parameter: &str) -> [u32; 2] {
    let mut parts = parameter.split(':').map(|part| part.parse().unwrap_or(0));
    // Of a key: itself and what shift makes of it. Of modifiers: them and the kind.
    [parts.next().unwrap_or(0), parts.next().unwrap_or(0)]
}

fn meant(private: Option<u8>, digits: &str, last: u8) -> Option<Input> {
    let mut parameters = digits.split(';').map(numbers);
    let first = parameters.next().unwrap_or_default();
    let second = parameters.next().unwrap_or_default();
    let third = parameters.next().unwrap_or_default();
    match (private, last) {
        (Some(b'?'), b'u') => Some(Input::Answer(Answer::Keyboard)),
        (Some(b'?'), b'c') => Some(Input::Answer(Answer::Attributes)),
        (Some(b'?'), b'n') if first[0] == 997 => match second[0] {
            1 => Some(Input::Answer(Answer::Scheme(false))),
            2 => Some(Input::Answer(Answer::Scheme(true))),
            _ => None,
        },
        (Some(b'<'), b'M' | b'm') => mouse([first[0], second[0], third[0]], last == b'm'),
        (Some(_), _) => None,
        (None, b'I') => Some(Input::Event(Event::FocusGained)),
        (None, b'O') => Some(Input::Event(Event::FocusLost)),
        (None, b'Z') => key(KeyCode::Tab, Mods { shift: true, ..Mods::default() }, false),
        (None, b'u') => pressed(code_point(first[0], first[1])?, second),
        // modifyOtherKeys: 27, modifiers, the key.
        (None, b'~') if first[0] == 27 => pressed(code_point(third[0], 0)?, second),
        (None, b'~') => pressed(numbered_key(first[0])?, second),
        // A report of the cursor's place has the form of a function key's; that key's first number is 1.
        (None, b'R') if first[0] > 1 => None,
        (None, last) => pressed(cursor_key(last)?, second),
    }
}

/// A key with modifiers (their sum and one) and the kind of its event, as xterm and kitty count them.
fn pressed(code: KeyCode, [modifiers, kind]: [u32; 2]) -> Option<Input> {
    let set = modifiers.saturating_sub(1);
    // Of the system's own keys none is meant for a program; a key acts when it goes down.
    if set & (8 | 16) != 0 || kind == 3 {
        return None;
    }
    let mods = Mods { shift: set & 1 != 0, alt: set & (2 | 32) != 0, ctrl: set & 4 != 0 };
    key(code, mods, kind == 2)
}

/// Those of the arrows' form.
fn cursor_key(last: u8) -> Option<KeyCode> {
    Some(match last {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'F' => KeyCode::End,
        b'H' => KeyCode::Home,
        b'P' => KeyCode::F(1),
        b'Q' => KeyCode::F(2),
        b'R' => KeyCode::F(3),
        b'S' => KeyCode::F(4),
        _ => return None,
    })
}

/// Keys of a keypad in its application mode, which a program before may have left on.
fn keypad(last: u8) -> Option<KeyCode> {
    Some(match last {
        b'M' => KeyCode::Enter,
        b'j' => KeyCode::Char('*'),
        b'k' => KeyCode::Char('+'),
        b'l' => KeyCode::Char(','),
        b'm' => KeyCode::Char('-'),
        b'n' => KeyCode::Char('.'),
        b'o' => KeyCode::Char('/'),
        digit @ b'p'..=b'y' => KeyCode::Char(char::from(digit - b'p' + b'0')),
        _ => return None,
    })
}

fn numbered_key(number: u32) -> Option<KeyCode> {
    let f = |first: u32| u8::try_from(number - first).ok().map(|n| KeyCode::F(n + 1));
    match number {
        1 | 7 => Some(KeyCode::Home),
        2 => Some(KeyCode::Insert),
        3 => Some(KeyCode::Delete),
        4 | 8 => Some(KeyCode::End),
        5 => Some(KeyCode::PageUp),
        6 => Some(KeyCode::PageDown),
        11..=15 => f(11),
        17..=21 => f(12),
        23..=26 => f(13),
        28..=29 => f(14),
        31..=34 => f(15),
        _ => None,
    }
}

/// A key by its character, or by the number that kitty gives to those that have none.
fn code_point(number: u32, shifted: u32) -> Option<KeyCode> {
    Some(match number {
        9 => KeyCode::Tab,
        13 | 57414 => KeyCode::Enter,
        27 => KeyCode::Esc,
        8 | 127 => KeyCode::Backspace,
        57376..=57387 => KeyCode::F(u8::try_from(number - 57376).ok()? + 13),
        57399..=57408 => KeyCode::Char(char::from_digit(number - 57399, 10)?),
        57409 => KeyCode::Char('.'),
        57410 => KeyCode::Char('/'),
        57411 => KeyCode::Char('*'),
        57412 => KeyCode::Char('-'),
        57413 => KeyCode::Char('+'),
        57415 => KeyCode::Char('='),
        57416 => KeyCode::Char(','),
        57417 => KeyCode::Left,
        57418 => KeyCode::Right,
        57419 => KeyCode::Up,
        57420 => KeyCode::Down,
        57421 => KeyCode::PageUp,
        57422 => KeyCode::PageDown,
        57423 => KeyCode::Home,
        57424 => KeyCode::End,
        57425 => KeyCode::Insert,
        57426 => KeyCode::Delete,
        // The rest of that range: locks, media, modifiers by themselves.
        57344..=63743 => return None,
        number => {
            let c = char::from_u32(if shifted == 0 { number } else { shifted })?;
            if c.is_control() {
                return None;
            }
            KeyCode::Char(c)
        }
    })
}

/// SGR mouse: buttons and modifiers, column and row from 1.
fn mouse([buttons, x, y]: [u32; 3], released: bool) -> Option<Input> {
    let moves = buttons & 32 != 0;
    let action = match (buttons & !(4 | 8 | 16 | 32), moves) {
        (0, true) => MouseAction::Drag,
        (0, false) if released => MouseAction::Release,
        (0, false) => MouseAction::Press,
        (64, _) => MouseAction::WheelUp,
        (65, _) => MouseAction::WheelDown,
        _ => return None,
    };
    let cell = |at: u32| u16::try_from(at.checked_sub(1)?).ok();
    Some(Input::Event(Event::Mouse(Mouse { x: cell(x)?, y: cell(y)?, action })))
}

/// `ESC ]`, a number, text, an end.
fn command(bytes: &[u8], ended: bool) -> Step {
    let end = bytes.iter().enumerate().skip(2).find_map(|(at, byte)| match byte {
        0x07 => Some((at, 1)),
        0x1b if bytes.get(at + 1) == Some(&b'\\') => Some((at, 2)),
        _ => None,
    });
    match end {
        Some((at, length)) => {
            let text = std::str::from_utf8(&bytes[2..at]).ok();
            let light = text.and_then(|text| text.strip_prefix("11;")).and_then(light);
            Taken(at + length, light.map(|light| Input::Answer(Answer::Ground(light))))
        }
        // No answer: alt and `]`, and what was typed after it.
        None if ended || bytes.len() > LONGEST => Taken(2, key(KeyCode::Char(']'), ALT, false)),
        None => More,
    }
}

/// `rgb:ffff/ffff/ffff`: each part of one to four digits. By the weights of Rec. 709.
fn light(colour: &str) -> Option<bool> {
    let (form, colour) = colour.split_once(':')?;
    if !matches!(form, "rgb" | "rgba") {
        return None;
    }
    let mut parts = colour.split('/').map(|part| {
        let most = 16_u32.checked_pow(u32::try_from(part.len()).ok()?)?.checked_sub(1).filter(|most| *most > 0)?;
        Some(f64::from(u32::from_str_radix(part, 16).ok()?) / f64::from(most))
    });
    let mut next = || parts.next().flatten();
    let (r, g, b) = (next()?, next()?, next()?);
    Some(0.2126 * r + 0.7152 * g + 0.0722 * b > 0.5)
}

/// What stands between the brackets of a paste; `searched` bytes of it have no end in them.
fn paste(bytes: &[u8], searched: &mut usize) -> Step {
    let begin = PASTE_BEGINS.len();
    let from = (*searched).clamp(begin, bytes.len());
    let text = |end: usize| Some(Input::Event(Event::Paste(String::from_utf8_lossy(&bytes[begin..end]).into_owned())));
    match memchr::memmem::find(&bytes[from..], PASTE_ENDS) {
        Some(at) => Taken(from + at + PASTE_ENDS.len(), text(from + at)),
        // The rest comes as keys are typed, and what ends it is nothing.
        None if bytes.len() > PASTE => Taken(bytes.len(), text(bytes.len())),
        None => {
            *searched = bytes.len().saturating_sub(PASTE_ENDS.len());
            More
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<Input> {
        let (mut parser, mut out) = (Parser::default(), Vec::new());
        parser.feed(bytes, &mut out);
        parser.expire(&mut out);
        assert!(parser.bytes.is_empty(), "{:?} is left of {bytes:?}", parser.bytes);
        out
    }

    /// As a person would write them down.
    fn words(inputs: &[Input]) -> String {
        let one = |input: &Input| match input {
            Input::Event(Event::Key(key)) if key.repeat => format!("{key}*"),
            Input::Event(Event::Key(key)) => key.to_string(),
            Input::Event(Event::Paste(text)) => format!("<{text}>"),
            Input::Event(Event::Mouse(mouse)) => format!("{:?}@{},{}", mouse.action, mouse.x, mouse.y),
            Input::Event(Event::FocusGained) => "in".to_owned(),
            Input::Event(Event::FocusLost) => "out".to_owned(),
            other => format!("{other:?}"),
        };
        inputs.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    const CASES: &[(&[u8], &str)] = &[
        (b"aZ \t\r\x7f", "a Z space tab enter backspace"),
        ("é漢😀".as_bytes(), "é 漢 😀"),
        (b"\x01\x03\x08\x0a\x1a\x1f\x00", "ctrl+a ctrl+c backspace ctrl+j ctrl+z ctrl+_ ctrl+space"),
        (b"\x1b", "esc"),
        (b"\x1b\x1b", "esc esc"),
        (b"\x1bx\x1b\r\x1b\x7f\x1bB", "alt+x alt+enter alt+backspace alt+B"),
        (b"\x1b[", "alt+["),
        (b"\x1bO", "alt+O"),
        (b"\x1b]", "alt+]"),
        (b"\x1b]x", "alt+] x"),
        (b"\x1b[A\x1b[B\x1b[C\x1b[D\x1b[H\x1b[F", "up down right left home end"),
        (b"\x1bOA\x1bOP\x1bOM\x1bOq", "up f1 enter 1"),
        (b"\x1b[1;5C\x1b[1;3D\x1b[1;2A\x1b[1;2R", "ctrl+right alt+left shift+up shift+f3"),
        (b"\x1b[3~\x1b[5~\x1b[6;5~\x1b[15~\x1b[24~\x1b[2~", "delete pgup ctrl+pgdn f5 f12 insert"),
        (b"\x1b[[A\x1b[Z", "f1 shift+tab"),
        // kitty
        (b"\x1b[27u\x1b[13;2u\x1b[99;5u\x1b[120;3u\x1b[120;4u", "esc shift+enter ctrl+c alt+x alt+X"),
        (b"\x1b[121;1:2u\x1b[121;1:3u\x1b[57414u\x1b[57400u\x1b[57441u", "y* enter 1"),
        (b"\x1b[97;9u\x1b[97:65;2u\x1b[9;2u\x1b[127;5u", "A shift+tab ctrl+backspace"),
        (b"\x1b[1;1:3A\x1b[1;1:2A", "up*"),
        // xterm, modifyOtherKeys
        (b"\x1b[27;2;13~\x1b[27;5;105~\x1b[27;5;99~", "shift+enter ctrl+i ctrl+c"),
        (b"\x1b[I\x1b[O", "in out"),
        (
            b"\x1b[<0;3;4M\x1b[<32;4;4M\x1b[<0;4;4m\x1b[<64;1;1M\x1b[<65;1;1M\x1b[<2;1;1M\x1b[<35;1;1M",
            "Press@2,3 Drag@3,3 Release@3,3 WheelUp@0,0 WheelDown@0,0",
        ),
        (b"\x1b[M !!x", "x"),
        (b"\x1b[200~a\nb\x1b[Ac\x1b[201~d", "<a\nb\x1b[Ac> d"),
        (b"\x1b[200~\x1b[201~", "<>"),
        (b"\x1b[?1u\x1b[?62;4c", "Answer(Keyboard) Answer(Attributes)"),
        (b"\x1b[?997;1n\x1b[?997;2nx", "Answer(Scheme(false)) Answer(Scheme(true)) x"),
        (b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\a", "Answer(Ground(true)) a"),
        (b"\x1b]11;rgb:0000/2b2b/3636\x07a", "Answer(Ground(false)) a"),
        (b"\x1b]11;rgba:fd/f6/e3/ff\x07", "Answer(Ground(true))"),
        // What nobody asked for is nothing.
        (b"\x1b]11;rgb:/\x07\x1b]4;1;rgb:0/0/0\x07\x1b[?2026;2$y\x1b[3;1R\x1b[8;24;80t\x1b[>0;1cz", "z"),
        (b"\x1b[12\x1b[Ax\xff\xc3y", "up x y"),
    ];

    #[test]
    fn every_form_of_a_key_is_that_key() {
        for (bytes, expect) in CASES {
            assert_eq!(words(&all(bytes)), *expect, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn bytes_cut_anywhere_are_the_same() {
        for (bytes, expect) in CASES {
            for cut in 0..bytes.len() {
                let (mut parser, mut out) = (Parser::default(), Vec::new());
                parser.feed(&bytes[..cut], &mut out);
                parser.feed(&bytes[cut..], &mut out);
                parser.expire(&mut out);
                assert_eq!(words(&out), *expect, "{:?} cut at {cut}", String::from_utf8_lossy(bytes));
            }
        }
    }

    #[test]
    fn esc_waits_shortly_and_a_paste_as_long_as_it_takes() {
        let (mut parser, mut out) = (Parser::default(), Vec::new());
        assert_eq!(parser.waits(), None);
        parser.feed(b"\x1b", &mut out);
        assert_eq!((parser.waits(), out.len()), (Some(ESCAPE), 0));
        parser.feed(b"[", &mut out);
        assert_eq!((parser.waits(), out.len()), (Some(SEQUENCE), 0));
        parser.feed(b"200~text", &mut out);
        assert_eq!((parser.waits(), out.len()), (None, 0));
        parser.feed(b"\x1b[201~", &mut out);
        assert_eq!((parser.waits(), words(&out).as_str()), (None, "<text>"));
    }

    #[test]
    fn a_large_paste_in_small_pieces_is_searched_once() {
        let text = "0123456789abcdef".repeat(64 * 1024);
        let whole = [PASTE_BEGINS, text.as_bytes(), PASTE_ENDS].concat();
        let (mut parser, mut out) = (Parser::default(), Vec::new());
        for piece in whole.chunks(1_000) {
            parser.feed(piece, &mut out);
            assert!(parser.searched + PASTE_ENDS.len() >= parser.bytes.len(), "searched again from the start");
        }
        assert_eq!(words(&out), format!("<{text}>"));
        assert_eq!(parser.bytes.capacity(), 0);
    }

    #[test]
    fn what_never_ends_is_held_to_its_length() {
        for begin in ["\x1b[", "\x1b]11;"] {
            let (mut parser, mut out) = (Parser::default(), Vec::new());
            parser.feed(begin.as_bytes(), &mut out);
            for _ in 0..100 {
                parser.feed(b"0000000000", &mut out);
                assert!(parser.bytes.len() <= LONGEST + 10);
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let (mut parser, mut out) = (Parser::default(), Vec::new());
            parser.feed(&bytes, &mut out);
            parser.expire(&mut out);
            if !parser.bytes.starts_with(PASTE_BEGINS) {
                proptest::prop_assert!(parser.bytes.is_empty());
            }
        }
    }
}
