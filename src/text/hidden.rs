//! Characters that a person cannot see, and the few places where they belong.
//!
//! Formats, fillers, joiners, tags and selectors are hidden wherever they stand, but for: the joiner and the variation
//! selectors of an emoji, and the tags of the three registered flags (England, Scotland, Wales). Marks that pile up
//! without end on one letter are hidden from the ninth on.

/// Marks without width that may follow one base; the longest orthographies need five.
const MARKS: usize = 8;
/// Joiners in one emoji; the longest registered has three.
const JOINERS: usize = 6;
/// The tag letters of the flags that are registered for interchange (UTS 51, RGI), without their black flag.
const FLAGS: [&str; 3] = ["gbeng", "gbsct", "gbwls"];

/// What becomes of one character.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Seen,
    /// Hidden: nothing stands for it.
    Gone,
    /// Hidden, but a terminal leaves room for it: this stands for it.
    Instead(char),
}

/// Judges characters in order; each judgement looks at what was kept before and at what comes next.
#[derive(Default)]
pub(super) struct Judge {
    /// The last two characters kept.
    last: Option<char>,
    before: Option<char>,
    marks: usize,
    joiners: usize,
    /// Characters of a registered flag that are still to pass.
    flag: usize,
}

impl Judge {
    /// `rest` is the text from `c` on, `c` included.
    pub(super) fn judge(&mut self, c: char, rest: &str) -> Verdict {
        if c.is_ascii() {
            self.kept(c, false);
            return Verdict::Seen;
        }
        if self.flag > 0 {
            self.flag -= 1;
            self.last = Some(c);
            return Verdict::Seen;
        }
        match c {
            '\u{1f3f4}' => {
                self.flag = registered_flag(&rest[c.len_utf8()..]);
                self.kept(c, false);
                Verdict::Seen
            }
            '\u{200d}' => {
                let joins = self.joiners < JOINERS
                    && self.emoji_before()
                    && rest[c.len_utf8()..].chars().next().is_some_and(pictographic);
                if !joins {
                    return Verdict::Gone;
                }
                self.joiners += 1;
                self.last = Some(c);
                Verdict::Seen
            }
            '\u{fe0e}' | '\u{fe0f}' => {
                let keycap = self.last.is_some_and(|l| l.is_ascii_digit() || matches!(l, '#' | '*'));
                if !(keycap || self.last.is_some_and(pictographic)) {
                    return Verdict::Gone;
                }
                self.before = self.last;
                self.last = Some(c);
                Verdict::Seen
            }
            '\u{2028}' | '\u{2029}' => {
                self.kept('\n', false);
                Verdict::Instead('\n')
            }
            '\u{2800}' | '\u{3164}' | '\u{ffa0}' | '\u{115f}' | '\u{1160}' => {
                self.kept(' ', false);
                Verdict::Instead(' ')
            }
            c if is_hidden(c) => Verdict::Gone,
            c if super::width::char_width(c) == 0 => {
                if self.marks >= MARKS {
                    return Verdict::Gone;
                }
                self.kept(c, true);
                Verdict::Seen
            }
            c => {
                self.kept(c, false);
                Verdict::Seen
            }
        }
    }

    fn kept(&mut self, c: char, mark: bool) {
        if mark {
            self.marks += 1;
        } else {
            self.marks = 0;
            if self.last != Some('\u{200d}') {
                self.joiners = 0;
            }
        }
        self.before = self.last;
        self.last = Some(c);
    }

    fn emoji_before(&self) -> bool {
        match self.last {
            Some('\u{fe0f}') => self.before.is_some_and(pictographic),
            Some(c) => pictographic(c),
            None => false,
        }
    }
}

/// How many tag characters after a black flag make a registered flag of it; 0 for none.
fn registered_flag(after: &str) -> usize {
    FLAGS
        .iter()
        .find(|flag| {
            let tags = flag.chars().filter_map(|c| char::from_u32(0xE0000 + u32::from(c)));
            let mut chars = after.chars();
            tags.chain(['\u{e007f}']).all(|tag| chars.next() == Some(tag))
        })
        .map_or(0, |flag| flag.len() + 1)
}

/// Format characters, fillers and everything that Unicode lets a font leave out (Default_Ignorable_Code_Point).
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a character can be part of an emoji: a little wider than Extended_Pictographic, never narrower.
fn pictographic(c: char) -> bool {
    matches!(c,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2190}'..='\u{21ff}'
        | '\u{2300}'..='\u{23ff}' | '\u{24c2}' | '\u{25a0}'..='\u{27bf}' | '\u{2900}'..='\u{297f}'
        | '\u{2b00}'..='\u{2bff}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}'
        | '\u{1f000}'..='\u{1faff}')
}

/// The characters of `text` that a person would not see, with their byte positions: controls but `\n` and `\t`, and
/// hidden characters.
#[must_use]
pub fn hidden(text: &str) -> Vec<(usize, char)> {
    let mut judge = Judge::default();
    text.char_indices()
        .filter(|&(at, c)| match c {
            '\n' | '\t' => {
                judge.judge(c, &text[at..]);
                false
            }
            c if c.is_control() => true,
            c => judge.judge(c, &text[at..]) != Verdict::Seen,
        })
        .collect()
}

/// For text that a model is told: without escape sequences, controls (but `\n`, `\r`, `\t`) and hidden characters.
/// Returns also how many were removed.
#[must_use]
pub fn strip_hidden(text: &str) -> (String, usize) {
    let plain = text.bytes().all(|b| matches!(b, b' '..=b'~' | b'\n' | b'\r' | b'\t'));
    if plain {
        return (text.to_owned(), 0);
    }
    let (text, mut removed) = super::terminal::drop_sequences(text);
    let mut judge = Judge::default();
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        match judge.judge(c, &text[at..]) {
            Verdict::Seen => out.push(c),
            Verdict::Gone => removed += 1,
            Verdict::Instead(other) => {
                removed += 1;
                out.push(other);
            }
        }
    }
    (out, removed)
}
