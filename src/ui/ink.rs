//! Ink: what a piece of text means, and rows of inked text. The theme turns ink into terminal styles when it is drawn,
//! so that laid-out rows serve every theme.

use crate::text::{SafeText, width};

/// What a piece of text is, in colours. Every state that colour tells is told by a glyph and a word too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ink {
    #[default]
    Text,
    /// Metadata, rules, hints.
    Dim,
    /// The person, headings, keys: what the eye should find.
    Accent,
    /// The model.
    Second,
    Good,
    Bad,
    Warn,
    /// Inline code and plain code blocks.
    Code,
    Link,
    Keyword,
    Literal,
    Number,
    Comment,
    Function,
    Type,
    /// A found word.
    Match,
}

/// Ink with its modifiers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Tint {
    pub ink: Ink,
    pub bold: bool,
    pub italic: bool,
    pub underline: bool,
    pub strike: bool,
}

impl Tint {
    pub(super) const fn of(ink: Ink) -> Self {
        Self { ink, bold: false, italic: false, underline: false, strike: false }
    }

    pub(super) const fn bold(mut self) -> Self {
        self.bold = true;
        self
    }
}

impl From<Ink> for Tint {
    fn from(ink: Ink) -> Self {
        Self::of(ink)
    }
}

/// One line of safe text with its inks, as wide as it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    text: String,
    /// Where each run ends, in bytes; the runs cover the text.
    runs: Vec<(usize, Tint)>,
}

impl Row {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn of(text: &SafeText, tint: impl Into<Tint>) -> Self {
        let mut row = Self::new();
        row.push_safe(text.as_str(), tint.into());
        row
    }

    /// Text of several lines, still to be wrapped.
    pub(super) fn of_lines(text: &SafeText, tint: impl Into<Tint>) -> Self {
        Self::of(text, tint)
    }

    pub(super) fn push_lines(&mut self, text: &SafeText, tint: Tint) {
        self.push_safe(text.as_str(), tint);
    }

    /// Words and glyphs of the program's own.
    pub(super) fn label(text: &'static str, tint: impl Into<Tint>) -> Self {
        let mut row = Self::new();
        row.push_safe(text, tint.into());
        row
    }

    /// Any text; made safe here where it is not.
    pub(super) fn push(&mut self, text: &str, tint: impl Into<Tint>) {
        let tint = tint.into();
        if text.bytes().all(|b| matches!(b, b' '..=b'~')) {
            self.push_safe(text, tint);
        } else {
            self.push_safe(crate::text::sanitize(text).one_line().as_str(), tint);
        }
    }

    /// Text that is known to be safe and of one line: a piece of a `SafeText`.
    pub(super) fn push_safe(&mut self, text: &str, tint: Tint) {
        if text.is_empty() {
            return;
        }
        self.text.push_str(text);
        let end = self.text.len();
        match self.runs.last_mut() {
            Some(last) if last.1 == tint => last.0 = end,
            _ => self.runs.push((end, tint)),
        }
    }

    pub(super) fn append(&mut self, other: &Row) {
        for (text, tint) in other.runs() {
            self.push_safe(text, tint);
        }
    }

    /// Blanks up to a column; nothing where the row is wider already.
    pub(super) fn pad_to(&mut self, column: usize) {
        let blanks = column.saturating_sub(self.width());
        self.push_safe(&" ".repeat(blanks), Tint::default());
    }

    pub(super) fn runs(&self) -> impl Iterator<Item = (&str, Tint)> {
        let mut start = 0;
        self.runs.iter().map(move |&(end, tint)| {
            let text = &self.text[start..end];
            start = end;
            (text, tint)
        })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn width(&self) -> usize {
        width(&self.text)
    }

    /// The piece of the row between two byte positions.
    pub(super) fn slice(&self, range: std::ops::Range<usize>) -> Row {
        let mut out = Row::new();
        let mut start = 0;
        for &(end, tint) in &self.runs {
            let (from, to) = (start.max(range.start), end.min(range.end));
            if from < to {
                out.push_safe(&self.text[from..to], tint);
            }
            start = end;
            if start >= range.end {
                break;
            }
        }
        out
    }

    /// Inks over a byte range again, keeping the modifiers that were there.
    pub(super) fn mark(&mut self, range: std::ops::Range<usize>, ink: Ink) {
        let mut out = self.slice(0..range.start);
        for (text, tint) in self.slice(range.clone()).runs() {
            out.push_safe(text, Tint { ink, bold: true, ..tint });
        }
        out.append(&self.slice(range.end..self.text.len()));
        *self = out;
    }

    /// Bytes held, for the memo's budget.
    pub(super) fn bytes(&self) -> usize {
        self.text.capacity() + self.runs.capacity() * size_of::<(usize, Tint)>() + size_of::<Self>()
    }
}
