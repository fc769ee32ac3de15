//! Keys as plain data: chords, sequences of chords, and which command each means where.

use std::collections::BTreeMap;

/// One key with its modifiers. No terminal library's type: `tui` turns its events into these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyChord {
    pub code: KeyCode,
    pub ctrl: bool,
    pub alt: bool,
    pub shift: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyCode {
    /// As typed: an upper-case letter carries no `shift`.
    Char(char),
    Enter,
    Tab,
    Backspace,
    Delete,
    Insert,
    Esc,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    F(u8),
}

/// One or two chords, pressed one after the other (`ctrl+x ctrl+e`).
pub type KeySequence = Vec<KeyChord>;

/// Command name (`review.once`) to the sequences that mean it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keymap {
    pub bindings: BTreeMap<String, Vec<KeySequence>>,
}

impl Default for Keymap {
    fn default() -> Self {
        Self { bindings: BTreeMap::new() }
    }
}
