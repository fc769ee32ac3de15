//! Keys and mouse as the front end knows them, whatever the terminal library calls them.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub code: KeyCode,
    pub mods: Mods,
    /// The terminal says that the key is being held down.
    pub repeat: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyCode {
    Char(char),
    Enter,
    Esc,
    Tab,
    Backspace,
    Delete,
    Insert,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    PageUp,
    PageDown,
    F(u8),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mods {
    pub ctrl: bool,
    pub alt: bool,
    pub shift: bool,
}

impl Key {
    /// A key with its modifiers in the one form that the keymap knows: a letter carries its shift in its case, ctrl
    /// makes it lower case, and the ways in which terminals send ctrl+_ and backspace become one.
    #[must_use]
    pub fn new(code: KeyCode, mods: Mods) -> Self {
        let mut key = Self { code, mods, repeat: false };
        if let KeyCode::Char(c) = code {
            if mods.ctrl {
                key.code = KeyCode::Char(c.to_ascii_lowercase());
                // 0x1f is ctrl+_, ctrl+/ and ctrl+7 alike; 0x08 is ctrl+h and backspace.
                match c {
                    '7' | '/' | '_' | '-' if !mods.alt => {
                        key.code = KeyCode::Char('_');
                        key.mods.shift = false;
                    }
                    'h' if !mods.alt => {
                        key.code = KeyCode::Backspace;
                        key.mods.ctrl = false;
                    }
                    _ => {}
                }
            } else {
                if mods.shift && c.is_ascii_lowercase() {
                    key.code = KeyCode::Char(c.to_ascii_uppercase());
                }
                key.mods.shift = false;
            }
        }
        key
    }

    #[must_use]
    pub fn plain(code: KeyCode) -> Self {
        Self::new(code, Mods::default())
    }

    /// Reads `ctrl+t`, `shift+enter`, `alt+x`, `f2`, `G`, `space`. None where it names no key.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut mods = Mods::default();
        let mut rest = text;
        while let Some((word, tail)) = rest.split_once(['+', '-']).filter(|(_, tail)| !tail.is_empty()) {
            match word.to_ascii_lowercase().as_str() {
                "ctrl" | "control" | "c" => mods.ctrl = true,
                "alt" | "meta" | "a" | "m" => mods.alt = true,
                "shift" | "s" => mods.shift = true,
                _ => return None,
            }
            rest = tail;
        }
        let lower = rest.to_ascii_lowercase();
        let code = match lower.as_str() {
            "enter" | "return" => KeyCode::Enter,
            "esc" | "escape" => KeyCode::Esc,
            "tab" => KeyCode::Tab,
            "backspace" => KeyCode::Backspace,
            "delete" | "del" => KeyCode::Delete,
            "insert" | "ins" => KeyCode::Insert,
            "left" => KeyCode::Left,
            "right" => KeyCode::Right,
            "up" => KeyCode::Up,
            "down" => KeyCode::Down,
            "home" => KeyCode::Home,
            "end" => KeyCode::End,
            "pageup" | "pgup" => KeyCode::PageUp,
            "pagedown" | "pgdown" | "pgdn" => KeyCode::PageDown,
            "space" => KeyCode::Char(' '),
            "plus" => KeyCode::Char('+'),
            "minus" => KeyCode::Char('-'),
            _ => {
                let mut chars = rest.chars();
                match (chars.next(), chars.next()) {
                    (Some(c), None) => KeyCode::Char(c),
                    (Some('f' | 'F'), Some(_)) => KeyCode::F(lower[1..].parse().ok().filter(|n| (1..=24).contains(n))?),
                    _ => return None,
                }
            }
        };
        Some(Self::new(code, mods))
    }

    /// The character that this key types into a text, where it types one.
    #[must_use]
    pub fn typed(self) -> Option<char> {
        match self.code {
            KeyCode::Char(c) if !self.mods.ctrl && !self.mods.alt => Some(c),
            _ => None,
        }
    }

    /// As a footer names it: `^T`, `alt+x`, `pgup`.
    #[must_use]
    pub fn short(self) -> String {
        match self.code {
            KeyCode::Char(c) if self.mods.ctrl && !self.mods.alt => format!("^{}", c.to_ascii_uppercase()),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (on, word) in [(self.mods.ctrl, "ctrl+"), (self.mods.alt, "alt+"), (self.mods.shift, "shift+")] {
            if on {
                f.write_str(word)?;
            }
        }
        let word = match self.code {
            KeyCode::Char(' ') => "space",
            KeyCode::Char(c) => return write!(f, "{c}"),
            KeyCode::F(n) => return write!(f, "f{n}"),
            KeyCode::Enter => "enter",
            KeyCode::Esc => "esc",
            KeyCode::Tab => "tab",
            KeyCode::Backspace => "backspace",
            KeyCode::Delete => "delete",
            KeyCode::Insert => "insert",
            KeyCode::Left => "left",
            KeyCode::Right => "right",
            KeyCode::Up => "up",
            KeyCode::Down => "down",
            KeyCode::Home => "home",
            KeyCode::End => "end",
            KeyCode::PageUp => "pgup",
            KeyCode::PageDown => "pgdn",
        };
        f.write_str(word)
    }
}

/// What the mouse did, at a cell counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mouse {
    pub x: u16,
    pub y: u16,
    pub action: MouseAction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MouseAction {
    Press,
    Drag,
    Release,
    WheelUp,
    WheelDown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_printed() {
        for text in ["ctrl+t", "shift+enter", "alt+enter", "ctrl+_", "alt+_", "f3", "G", "space", "pgdn", "?", "/", "["]
        {
            let key = Key::parse(text).unwrap_or_else(|| panic!("{text} is not read"));
            assert_eq!(key.to_string(), text);
        }
        for bad in ["", "hyper+x", "f99", "word", "ctrl+word"] {
            assert_eq!(Key::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_terminals_send_for_one_key_becomes_one() {
        let ctrl = Mods { ctrl: true, ..Mods::default() };
        let shift = Mods { shift: true, ..Mods::default() };
        assert_eq!(Key::new(KeyCode::Char('7'), ctrl).to_string(), "ctrl+_");
        assert_eq!(Key::new(KeyCode::Char('h'), ctrl).to_string(), "backspace");
        assert_eq!(Key::new(KeyCode::Char('a'), shift).to_string(), "A");
        assert_eq!(Key::new(KeyCode::Char('T'), ctrl).to_string(), "ctrl+t");
    }
}
