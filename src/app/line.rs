//! A one-line text field: filters, names, keys that are masked.

use super::key::{Key, KeyCode};

/// The caret counts bytes and always stands on a character.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineEdit {
    pub text: String,
    pub caret: usize,
    /// Drawn as dots; never logged, copied or kept.
    pub masked: bool,
}

impl LineEdit {
    #[must_use]
    pub fn with(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { caret: text.len(), text, masked: false }
    }

    #[must_use]
    pub fn masked() -> Self {
        Self { masked: true, ..Self::default() }
    }

    /// Takes a key of a text field; false where it is none.
    pub fn key(&mut self, key: Key) -> bool {
        if let Some(c) = key.typed() {
            self.insert(c.encode_utf8(&mut [0; 4]));
            return true;
        }
        let word = key.mods.ctrl || key.mods.alt;
        match key.code {
            KeyCode::Left if word => self.caret = self.word_left(),
            KeyCode::Right if word => self.caret = self.word_right(),
            KeyCode::Left => self.caret = self.left(),
            KeyCode::Right => self.caret = self.right(),
            KeyCode::Home => self.caret = 0,
            KeyCode::End => self.caret = self.text.len(),
            KeyCode::Backspace if word => self.cut(self.word_left(), self.caret),
            KeyCode::Backspace => self.cut(self.left(), self.caret),
            KeyCode::Delete => self.cut(self.caret, self.right()),
            KeyCode::Char(c) if key.mods.ctrl && !key.mods.alt => match c {
                'a' => self.caret = 0,
                'e' => self.caret = self.text.len(),
                'b' => self.caret = self.left(),
                'f' => self.caret = self.right(),
                'u' => self.cut(0, self.caret),
                'k' => self.cut(self.caret, self.text.len()),
                'w' => self.cut(self.word_left(), self.caret),
                _ => return false,
            },
            KeyCode::Char(c) if key.mods.alt && !key.mods.ctrl => match c {
                'b' => self.caret = self.word_left(),
                'f' => self.caret = self.word_right(),
                'd' => self.cut(self.caret, self.word_right()),
                _ => return false,
            },
            _ => return false,
        }
        true
    }

    /// Inserts text at the caret: controls are dropped, line ends become spaces.
    pub fn insert(&mut self, text: &str) {
        let clean: String = text
            .chars()
            .map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c })
            .filter(|c| !c.is_control())
            .collect();
        self.text.insert_str(self.caret, &clean);
        self.caret += clean.len();
    }

    /// Empties it; false where it was empty.
    pub fn clear(&mut self) -> bool {
        self.caret = 0;
        !std::mem::take(&mut self.text).is_empty()
    }

    fn cut(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        self.caret = from;
    }

    fn left(&self) -> usize {
        self.text[..self.caret].char_indices().next_back().map_or(0, |(at, _)| at)
    }

    fn right(&self) -> usize {
        self.text[self.caret..].chars().next().map_or(self.caret, |c| self.caret + c.len_utf8())
    }

    fn word_left(&self) -> usize {
        let head = self.text[..self.caret].trim_end();
        head.char_indices().rev().find(|(_, c)| c.is_whitespace()).map_or(0, |(at, c)| at + c.len_utf8())
    }

    fn word_right(&self) -> usize {
        let tail = &self.text[self.caret..];
        let start = tail.len() - tail.trim_start().len();
        tail[start..].find(char::is_whitespace).map_or(self.text.len(), |at| self.caret + start + at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keys: &str, expect: &str) {
        let mut line = LineEdit::default();
        for word in keys.split(' ') {
            match Key::parse(word) {
                Some(key) => assert!(line.key(key), "{word}"),
                None => line.insert(word),
            }
        }
        let mut shown = line.text.clone();
        shown.insert(line.caret, '|');
        assert_eq!(shown, expect);
    }

    #[test]
    fn a_line_is_edited_with_the_usual_keys() {
        check("one space two ctrl+w", "one |");
        check("one space two ctrl+a ctrl+k", "|");
        check("héé left backspace", "h|é");
        check("one space two alt+b alt+d", "one |");
        check("ab home x end y", "xaby|");
    }

    #[test]
    fn a_paste_stays_on_one_line() {
        let mut line = LineEdit::default();
        line.insert("sk-1\n2\u{1b}[31m");
        assert_eq!(line.text, "sk-1 2[31m");
    }
}
