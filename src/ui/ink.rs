//! Ink: what a piece of text means, and rows of inked text. The theme turns ink into terminal styles when it is drawn,
//! so that laid-out rows serve every theme.

use crate::text::{Address, SafeText, addresses, width};

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
    /// The pieces that lead to a page, in order.
    links: Vec<(std::ops::Range<usize>, Address)>,
    /// Bytes at its beginning that stand for the layout alone: a copy leaves them out.
    lead: usize,
    /// It goes on where the row before was broken; what stood at the break.
    broken: Option<&'static str>,
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
        let at = self.text.len();
        for (text, tint) in other.runs() {
            self.push_safe(text, tint);
        }
        self.links.extend(other.links.iter().map(|(range, to)| (at + range.start..at + range.end, to.clone())));
    }

    /// The same in bold.
    pub(super) fn bold(mut self) -> Row {
        self.runs.iter_mut().for_each(|(_, tint)| *tint = tint.bold());
        self
    }

    /// Makes what stands from a byte on a link.
    pub(super) fn link_from(&mut self, start: usize, to: Address) {
        self.links.retain(|(range, _)| range.end <= start);
        if start < self.text.len() {
            self.links.push((start..self.text.len(), to));
        }
    }

    /// Makes links of the addresses in it. One that ends in `half` is still being written.
    pub(super) fn link_addresses(&mut self, half: Option<&str>) {
        if !self.text.contains("://") {
            return;
        }
        let mut found = Vec::new();
        let mut known = self.links.iter().map(|(range, _)| range.clone()).peekable();
        for range in addresses(&self.text) {
            while known.next_if(|known| known.end <= range.start).is_some() {}
            let taken = known.peek().is_some_and(|known| known.start < range.end);
            let written = &self.text[range.clone()];
            let Some(to) = Address::of(written).filter(|_| !taken) else { continue };
            if half.is_none_or(|half| !half.contains(written)) {
                found.push((range, to));
            }
        }
        let ranges: Vec<_> = found.iter().map(|(range, _)| range.clone()).collect();
        self.ink(&ranges, |tint| if tint.ink == Ink::Code { tint } else { Tint { ink: Ink::Link, ..tint } });
        self.links.extend(found);
        self.links.sort_by_key(|(range, _)| range.start);
    }

    /// Inks over these pieces again, which stand in order. In one pass: a text of nothing but links is long.
    fn ink(&mut self, pieces: &[std::ops::Range<usize>], with: impl Fn(Tint) -> Tint) {
        let mut out = Row::new();
        let (mut at, mut pieces) = (0, pieces.iter().peekable());
        for &(end, tint) in &self.runs {
            while at < end {
                while pieces.next_if(|piece| piece.end <= at).is_some() {}
                let (until, tint) = match pieces.peek() {
                    Some(piece) if piece.start <= at => (piece.end.min(end), with(tint)),
                    Some(piece) => (piece.start.min(end), tint),
                    None => (end, tint),
                };
                out.push_safe(&self.text[at..until], tint);
                at = until;
            }
        }
        self.runs = out.runs;
    }

    /// What it is of a text that was broken into rows: `lead` bytes of it are the layout's, and where it goes on,
    /// `broken` stood at the break.
    pub(super) fn set_place(&mut self, lead: usize, broken: Option<&'static str>) {
        (self.lead, self.broken) = (lead.min(self.text.len()), broken);
    }

    pub(super) fn lead(&self) -> usize {
        self.lead
    }

    pub(super) fn broken(&self) -> Option<&'static str> {
        self.broken
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

    /// As [`Row::runs`], cut where links begin and end, with where each piece leads.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (&str, Tint, Option<&Address>)> {
        let mut at = 0;
        let (mut runs, mut links) = (self.runs.iter().peekable(), self.links.iter().peekable());
        std::iter::from_fn(move || {
            let &&(end, tint) = runs.peek()?;
            while links.next_if(|(range, _)| range.end <= at).is_some() {}
            let (until, to) = match links.peek() {
                Some((range, to)) if range.start <= at => (range.end.min(end), Some(to)),
                Some((range, _)) => (range.start.min(end), None),
                None => (end, None),
            };
            let piece = &self.text[at..until];
            at = until;
            if at == end {
                runs.next();
            }
            Some((piece, tint, to))
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
        for (link, to) in &self.links {
            let (from, until) = (link.start.max(range.start), link.end.min(range.end));
            if from < until {
                out.links.push((from - range.start..until - range.start, to.clone()));
            }
        }
        out
    }

    /// Inks over a byte range again, keeping the modifiers that were there.
    pub(super) fn mark(&mut self, range: std::ops::Range<usize>, ink: Ink) {
        self.ink(&[range], |tint| Tint { ink, bold: true, ..tint });
    }

    /// Bytes held, for the memo's budget.
    pub(super) fn bytes(&self) -> usize {
        let links: usize = self.links.iter().map(|(_, to)| to.as_str().len() + 2 * size_of::<usize>()).sum();
        self.text.capacity() + self.runs.capacity() * size_of::<(usize, Tint)>() + links + size_of::<Self>()
    }
}
