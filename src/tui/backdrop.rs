//! Whether the terminal's ground is dark or light: asked (OSC 11), and its answer found among the keys.
//!
//! The terminal library knows no such answer and would hand it on as typed: alt and `]`, digits, a colour. So while one
//! is awaited, keys that begin like it are held until they are it, or are not.
//!
//! Asked at the start, when the terminal comes to the front (a system that changes by the hour has changed by then) and
//! after a suspension. Mode 2031, in which terminals tell of a change by themselves, is not switched on: the library
//! takes its report for the beginning of something longer, and swallows what is typed after it.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};

/// The longest answer: `]11;rgba:ffff/ffff/ffff/ffff`.
const LONGEST: usize = 32;

/// Coming to the front asks at most this often.
const LEAST: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Backdrop {
    asked: Option<Instant>,
    awaited: bool,
    held: Vec<Event>,
    text: String,
}

/// What became of an event.
#[derive(Debug)]
pub(super) enum Seen {
    /// It may be part of the answer.
    Held,
    /// These are the person's own, in order.
    Typed(Vec<Event>),
    /// The answer.
    Light(bool),
    /// An answer that says nothing.
    Unclear,
}

impl Backdrop {
    /// Whether it is worth asking again only because the terminal came to the front: windows may be flicked through.
    pub(super) fn stale(&self, now: Instant) -> bool {
        self.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= LEAST)
    }

    pub(super) fn ask(&mut self, now: Instant) -> io::Result<()> {
        self.asked = Some(now);
        self.awaited = true;
        let mut out = io::stdout().lock();
        out.write_all(b"\x1b]11;?\x1b\\")?;
        out.flush()
    }

    pub(super) fn take(&mut self, event: Event) -> Seen {
        if !self.awaited {
            return Seen::Typed(vec![event]);
        }
        let key = match &event {
            Event::Key(KeyEvent { code: KeyCode::Char(c), modifiers, .. }) => Some((*c, *modifiers)),
            _ => None,
        };
        let alt = KeyModifiers::ALT;
        match (self.held.is_empty(), key) {
            (true, Some((']', modifiers))) if modifiers == alt => {}
            (true, _) => return Seen::Typed(vec![event]),
            (false, Some(('\\', modifiers))) if modifiers == alt => return self.answered(),
            (false, Some(('g', KeyModifiers::CONTROL))) => return self.answered(),
            (false, Some((c, modifiers))) if modifiers.difference(KeyModifiers::SHIFT).is_empty() => {
                self.text.push(c);
                if self.text.len() > LONGEST || !begins_an_answer(&self.text) {
                    self.text.clear();
                    self.held.push(event);
                    return Seen::Typed(std::mem::take(&mut self.held));
                }
            }
            (false, _) => {
                self.text.clear();
                self.held.push(event);
                return Seen::Typed(std::mem::take(&mut self.held));
            }
        }
        self.held.push(event);
        Seen::Held
    }

    fn answered(&mut self) -> Seen {
        self.awaited = false;
        self.held.clear();
        let text = std::mem::take(&mut self.text);
        light(&text).map_or(Seen::Unclear, Seen::Light)
    }
}

fn begins_an_answer(text: &str) -> bool {
    let head = "11;rgb";
    match text.strip_prefix(head) {
        None => head.starts_with(text),
        Some(rest) => {
            let rest = rest.strip_prefix('a').unwrap_or(rest);
            rest.strip_prefix(':')
                .map_or(rest.is_empty(), |colour| colour.chars().all(|c| c.is_ascii_hexdigit() || c == '/'))
        }
    }
}

/// `11;rgb:ffff/ffff/ffff`: each part of one to four digits. By the weights of Rec. 709.
fn light(text: &str) -> Option<bool> {
    let (_, colour) = text.split_once(':')?;
    let mut parts = colour.split('/').map(|part| {
        let most = 16_u32.checked_pow(u32::try_from(part.len()).ok()?)?.checked_sub(1).filter(|most| *most > 0)?;
        Some(f64::from(u32::from_str_radix(part, 16).ok()?) / f64::from(most))
    });
    let mut next = || parts.next().flatten();
    let (r, g, b) = (next()?, next()?, next()?);
    Some(0.2126 * r + 0.7152 * g + 0.0722 * b > 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(c: char, modifiers: KeyModifiers) -> Event {
        Event::Key(KeyEvent::new(KeyCode::Char(c), modifiers))
    }

    /// As the terminal library hands an answer on.
    fn answer(text: &str, bell: bool) -> Vec<Event> {
        let mut events = vec![key(']', KeyModifiers::ALT)];
        events.extend(text.chars().map(|c| key(c, KeyModifiers::NONE)));
        events.push(if bell { key('g', KeyModifiers::CONTROL) } else { key('\\', KeyModifiers::ALT) });
        events
    }

    fn last(backdrop: &mut Backdrop, events: Vec<Event>) -> (usize, Option<bool>) {
        let (mut typed, mut seen) = (0, None);
        for event in events {
            match backdrop.take(event) {
                Seen::Typed(events) => typed += events.len(),
                Seen::Light(light) => seen = Some(light),
                Seen::Held | Seen::Unclear => {}
            }
        }
        (typed, seen)
    }

    #[test]
    fn an_answer_is_taken_out_of_the_keys() {
        for (text, bell, light) in [
            ("11;rgb:ffff/ffff/ffff", false, true),
            ("11;rgb:0000/2b2b/3636", true, false),
            ("11;rgba:fd/f6/e3/ff", true, true),
            ("11;rgb:0/0/0", false, false),
        ] {
            let mut backdrop = Backdrop { awaited: true, ..Backdrop::default() };
            assert_eq!(last(&mut backdrop, answer(text, bell)), (0, Some(light)), "{text}");
            assert_eq!(last(&mut backdrop, answer(text, bell)).1, None, "none is awaited any more");
        }
    }

    #[test]
    fn coming_to_the_front_asks_once_a_second_at_most() {
        let now = Instant::now();
        let backdrop = Backdrop { asked: Some(now), ..Backdrop::default() };
        assert!(Backdrop::default().stale(now));
        assert!(!backdrop.stale(now) && !backdrop.stale(now + LEAST / 2));
        assert!(backdrop.stale(now + LEAST));
    }

    #[test]
    fn what_a_person_types_is_never_lost() {
        let mut backdrop = Backdrop { awaited: true, ..Backdrop::default() };
        let mut typed = vec![key('a', KeyModifiers::NONE), key(']', KeyModifiers::ALT), key('1', KeyModifiers::NONE)];
        typed.push(key('x', KeyModifiers::NONE));
        typed.push(Event::Paste("y".into()));
        assert_eq!(last(&mut backdrop, typed), (5, None));
        // And the answer still counts behind it.
        assert_eq!(last(&mut backdrop, answer("11;rgb:ff/ff/ff", true)), (0, Some(true)));
    }

    #[test]
    fn nonsense_is_taken_and_says_nothing() {
        let mut backdrop = Backdrop { awaited: true, ..Backdrop::default() };
        assert_eq!(last(&mut backdrop, answer("11;rgb:/", true)), (0, None));
    }
}
