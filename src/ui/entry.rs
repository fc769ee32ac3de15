//! One entry of the transcript, laid out for a width: lines that can be asked for by number.

use super::figures::{Moment, counted, seconds, size};
use super::ink::{Ink, Row, Tint};
use super::markdown::{Document, Highlighter, wrap_row};
use super::pictures::{Picture, PictureOf};
use super::prose::Prose;
use super::theme::Glyphs;
use crate::app::{
    AnswerEntry, BlockAt, Call, Calls, Entry, EntryBody, FaultChoices, FaultEntry, Keymap, Piece, Siblings,
    SummaryEntry,
};
use crate::chat::{AnswerState, CallId, Cut, FaultKind, Part, Retry};
use crate::text::{cut, sanitize, strip_hidden, visible};

/// What is drawn of glyphs and keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signs<'a> {
    pub glyphs: &'static Glyphs,
    pub keys: &'a Keymap,
}

/// How an entry is to be laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Columns of text.
    pub width: usize,
    /// Below 60 columns: no times, no folded thinking, no gaps around calls.
    pub narrow: bool,
    /// The role line has its time.
    pub times: bool,
    /// Where its message stands among others that answer the same.
    pub siblings: Siblings,
    /// It follows an entry of the same speaker.
    pub continues: bool,
    /// The first of the transcript.
    pub first: bool,
    pub offset_s: i32,
    /// Pixels of a cell, where the terminal draws pictures.
    pub cell: Option<(u16, u16)>,
}

#[derive(Debug)]
pub(super) struct Laid {
    revision: u64,
    shape: Shape,
    parts: Vec<LaidPart>,
    /// The piece of an answer that is being laid out.
    piece: Option<usize>,
    pub height: usize,
    pub bytes: usize,
    /// The frame that last drew it.
    pub seen: u64,
}

#[derive(Debug)]
struct LaidPart {
    /// Blank rows before it.
    gap: usize,
    /// The piece of an answer that it shows.
    piece: Option<usize>,
    body: PartBody,
}

/// What was laid out of the entry as it was before, the first of it last.
#[derive(Debug, Default)]
struct Kept {
    documents: Vec<Document>,
    prose: Vec<Prose>,
}

#[derive(Debug)]
enum PartBody {
    Rows(Vec<Row>),
    /// The role's line, with a time at the right.
    Role {
        name: Row,
        time: String,
    },
    Document(Box<Document>),
    /// Thinking, unfolded.
    Prose(Box<Prose>),
    /// The fold of the thinking.
    Fold(Row),
    Call(CallId),
    Picture(Picture),
    /// A blank row without a gutter: between speakers.
    Apart,
}

impl PartBody {
    fn height(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.len(),
            Self::Document(document) => document.rows().len(),
            Self::Prose(prose) => prose.rows().len(),
            Self::Picture(picture) => picture.rows.into(),
            Self::Role { .. } | Self::Fold(_) | Self::Call(_) | Self::Apart => 1,
        }
    }
}

/// One line as it is to be drawn.
#[derive(Debug)]
pub(super) enum Line<'a> {
    /// Nothing, not even a gutter.
    Apart,
    /// A gutter alone.
    Blank,
    Row(&'a Row),
    Role(&'a Row, &'a str),
    Fold(&'a Row),
    Call(&'a CallId),
    /// A row of a picture.
    Picture(&'a Picture, usize),
}

impl Laid {
    pub(super) fn new(entry: &Entry, calls: &Calls, shape: Shape, signs: Signs<'_>) -> Self {
        let mut laid = Self { revision: 0, shape, parts: Vec::new(), piece: None, height: 0, bytes: 0, seen: 0 };
        laid.lay(entry, calls, signs);
        laid
    }

    /// Lays out again where the entry or its shape changed; what of an answer has not changed is kept.
    pub(super) fn update(&mut self, entry: &Entry, calls: &Calls, shape: Shape, signs: Signs<'_>) {
        if self.shape != shape {
            *self = Self { seen: self.seen, ..Self::new(entry, calls, shape, signs) };
        } else if self.revision != entry.revision {
            self.lay(entry, calls, signs);
        }
    }

    /// Colours some more code, where there is time.
    pub(super) fn colour(&mut self, highlighter: &mut Highlighter) {
        for part in &mut self.parts {
            if let PartBody::Document(document) = &mut part.body {
                document.colour(highlighter);
            }
        }
    }

    fn lay(&mut self, entry: &Entry, calls: &Calls, signs: Signs<'_>) {
        self.revision = entry.revision;
        let mut kept = Kept::default();
        for part in std::mem::take(&mut self.parts).into_iter().rev() {
            match part.body {
                PartBody::Document(document) => kept.documents.push(*document),
                PartBody::Prose(prose) => kept.prose.push(*prose),
                PartBody::Rows(_)
                | PartBody::Role { .. }
                | PartBody::Fold(_)
                | PartBody::Call(_)
                | PartBody::Picture(_)
                | PartBody::Apart => {}
            }
        }
        self.speaker(entry, signs);
        match &entry.body {
            EntryBody::User(parts) => {
                for (n, part) in parts.iter().enumerate() {
                    let rows = user_part(part, self.shape.width);
                    self.push(0, PartBody::Rows(rows));
                    if let (Part::Image { data, .. }, Some(cell)) = (part, self.shape.cell) {
                        let of = PictureOf::Attached { key: entry.key, part: n };
                        self.pictures(Picture::new(of, data, cell, self.shape.width));
                    }
                }
            }
            EntryBody::Answer(answer) => self.answer(answer, calls, &mut kept, signs),
            EntryBody::Fault(fault) => {
                let rows = fault_rows(fault, self.shape.width, signs);
                self.push(0, PartBody::Rows(rows));
            }
            EntryBody::Summary(summary) => {
                let rows = summary_rows(summary, self.shape, signs);
                self.push(0, PartBody::Rows(rows));
            }
            EntryBody::Note(text) => {
                let none = Row::new();
                let rows = wrap_row(&linked(&sanitize(text), Ink::Dim), self.shape.width, &none, &none);
                self.push(0, PartBody::Rows(rows));
            }
        }
        self.height = self.parts.iter().map(|part| part.gap + part.body.height()).sum();
        self.bytes = self.parts.iter().map(|part| part.body.bytes()).sum();
    }

    fn push(&mut self, gap: usize, body: PartBody) {
        self.parts.push(LaidPart { gap, piece: self.piece, body });
    }

    fn pictures(&mut self, pictures: impl IntoIterator<Item = Picture>) {
        for picture in pictures {
            self.push(0, PartBody::Picture(picture));
        }
    }

    /// The gap before the entry, and the line that names its speaker.
    fn speaker(&mut self, entry: &Entry, signs: Signs<'_>) {
        let glyphs = signs.glyphs;
        let shape = self.shape;
        if shape.continues {
            self.push(0, PartBody::Rows(vec![Row::new()]));
            return;
        }
        if !(shape.first && shape.narrow) {
            self.push(0, PartBody::Apart);
        }
        let mut name = match &entry.body {
            EntryBody::User(_) => Row::label("you", Tint::of(Ink::Accent).bold()),
            EntryBody::Answer(answer) => {
                let mut row = Row::new();
                let model = if answer.model.is_empty() { "model" } else { &answer.model };
                row.push(model, Tint::of(Ink::Second).bold());
                row
            }
            EntryBody::Fault(_) | EntryBody::Note(_) | EntryBody::Summary(_) => return,
        };
        let branch = match shape.siblings {
            Siblings::Alone => String::new(),
            Siblings::Among { place, of } => format!("{place} of {of}"),
            Siblings::Hidden(n) => format!("{n} more"),
        };
        if !branch.is_empty() {
            name.push_safe("  ", Tint::of(Ink::Dim));
            name.push(glyphs.branch_open, Ink::Dim);
            name.push(&branch, Ink::Dim);
            name.push(glyphs.branch_close, Ink::Dim);
        }
        let time = if shape.times { Moment::new(entry.at, shape.offset_s).minute() } else { String::new() };
        self.push(0, PartBody::Role { name, time });
    }

    fn answer(&mut self, answer: &AnswerEntry, calls: &Calls, kept: &mut Kept, signs: Signs<'_>) {
        let glyphs = signs.glyphs;
        let width = self.shape.width;
        let mut before: Option<&Piece> = None;
        for (n, piece) in answer.pieces.iter().enumerate() {
            let last = n + 1 == answer.pieces.len();
            self.piece = Some(n);
            let gap = usize::from(match (before, piece) {
                (None, _) | (Some(Piece::Call(_)), Piece::Call(_)) => false,
                (Some(Piece::Thinking { .. }), _) => answer.thinking == Some(true),
                (Some(_), Piece::Call(_)) => !self.shape.narrow,
                (Some(_), _) => true,
            });
            match piece {
                Piece::Thinking { text, ms } => {
                    let coming = answer.streaming && last;
                    self.thinking(text, *ms, answer.thinking.unwrap_or(coming), coming, kept, signs);
                }
                Piece::Text(text) | Piece::Refusal(text) => {
                    let complete = !(answer.streaming && last);
                    let document = match kept.documents.pop() {
                        Some(mut old) if old.continues(text, complete) => {
                            old.update(text, complete, glyphs);
                            old
                        }
                        _ => {
                            let mut new = Document::new(width);
                            new.update(text, complete, glyphs);
                            new
                        }
                    };
                    if matches!(piece, Piece::Refusal(_)) {
                        self.push(gap, PartBody::Rows(vec![Row::label("refused:", Ink::Warn)]));
                        self.push(0, PartBody::Document(Box::new(document)));
                    } else if !document.rows().is_empty() {
                        self.push(gap, PartBody::Document(Box::new(document)));
                    }
                }
                Piece::Call(id) => {
                    self.push(gap, PartBody::Call(id.clone()));
                    if let Some(call) = calls.by_id.get(id).filter(|_| answer.unfolded.contains(id)) {
                        self.push(0, PartBody::Rows(unfolded(call, width, signs)));
                        if let Some(cell) = self.shape.cell {
                            self.pictures(Picture::of_call(call, cell, width));
                        }
                    }
                }
            }
            before = Some(piece);
        }
        self.piece = None;
        if answer.state == AnswerState::Interrupted && !answer.streaming {
            let why = match answer.settled.as_ref().and_then(|settled| settled.cut()) {
                Some(Cut::Length) => "(cut by the length limit)",
                Some(Cut::Filter) => "(cut by the content filter)",
                Some(Cut::Broken) | None => "(stopped here)",
            };
            self.push(0, PartBody::Rows(vec![Row::label(why, Ink::Dim)]));
        }
        if answer.streaming && answer.pieces.is_empty() {
            self.push(0, PartBody::Rows(vec![Row::new()]));
        }
    }

    fn thinking(&mut self, text: &str, ms: Option<u64>, open: bool, coming: bool, kept: &mut Kept, signs: Signs<'_>) {
        let glyphs = signs.glyphs;
        // A small screen shows thinking only when it was asked for, or while there is nothing else.
        if self.shape.narrow && !open {
            return;
        }
        let mut head = Row::new();
        head.push_safe(if open { glyphs.open } else { glyphs.folded }, Tint::of(Ink::Dim));
        let words = match ms {
            Some(ms) => format!(" thought for {}", seconds(ms * 1000)),
            None if coming => " thinking".to_owned(),
            None => " thought".to_owned(),
        };
        head.push(&words, Ink::Dim);
        self.push(0, PartBody::Fold(head));
        if open {
            let tint = Tint { italic: true, ..Tint::of(Ink::Dim) };
            let fresh = || Prose::new(self.shape.width, tint);
            let mut prose = kept.prose.pop().filter(|old| old.continues(text, !coming)).unwrap_or_else(fresh);
            prose.update(text);
            self.push(0, PartBody::Prose(Box::new(prose)));
        }
    }

    /// The line `n`, from 0. None past the end.
    pub(super) fn line(&self, n: usize) -> Option<Line<'_>> {
        let mut at = 0;
        for part in &self.parts {
            if n < at + part.gap {
                return Some(Line::Blank);
            }
            at += part.gap;
            let height = part.body.height();
            if n < at + height {
                return Some(match &part.body {
                    PartBody::Rows(rows) => Line::Row(&rows[n - at]),
                    PartBody::Document(document) => Line::Row(&document.rows()[n - at]),
                    PartBody::Prose(prose) => Line::Row(&prose.rows()[n - at]),
                    PartBody::Role { name, time } => Line::Role(name, time),
                    PartBody::Fold(row) => Line::Fold(row),
                    PartBody::Call(id) => Line::Call(id),
                    PartBody::Picture(picture) => Line::Picture(picture, n - at),
                    PartBody::Apart => Line::Apart,
                });
            }
            at += height;
        }
        None
    }
}

impl Laid {
    /// The block that a line belongs to; None between blocks, and where the entry is one whole.
    pub(super) fn block_at(&self, n: usize) -> Option<BlockAt> {
        let mut at = 0;
        for part in &self.parts {
            at += part.gap;
            let height = part.body.height();
            if n < at {
                return None;
            }
            if n < at + height {
                let piece = part.piece?;
                let start = match &part.body {
                    PartBody::Document(document) => document.block_at(n - at)?,
                    PartBody::Rows(_)
                    | PartBody::Role { .. }
                    | PartBody::Prose(_)
                    | PartBody::Fold(_)
                    | PartBody::Call(_)
                    | PartBody::Picture(_)
                    | PartBody::Apart => 0,
                };
                return Some(BlockAt { piece, start });
            }
            at += height;
        }
        None
    }

    /// The part that a line belongs to, and its row in that: a piece of an answer with all that is shown of it, what
    /// stands before them, what stands behind.
    pub(super) fn place_of(&self, n: usize) -> (usize, usize) {
        let (mut at, mut first) = (0, 0);
        let mut part = 0;
        for (shown, next) in self.parts.iter().zip(self.parts.iter().skip(1).map(Some).chain([None])) {
            let now = match shown.piece {
                Some(piece) => piece + 1,
                None if part == 0 => 0,
                None => usize::MAX,
            };
            if now != part {
                (part, first) = (now, at);
            }
            at += shown.gap + shown.body.height();
            if n < at || next.is_none() {
                break;
            }
        }
        (part, n - first.min(n))
    }

    /// The first line of a block, and how many it has. None where it is not drawn.
    pub(super) fn lines_of(&self, block: BlockAt) -> Option<(usize, usize)> {
        let mut at = 0;
        let mut found: Option<(usize, usize)> = None;
        for part in &self.parts {
            at += part.gap;
            let height = part.body.height();
            if part.piece == Some(block.piece) {
                if let PartBody::Document(document) = &part.body {
                    return document.rows_of(block.start).map(|(first, rows)| (at + first, rows));
                }
                // A call and what is unfolded of it, a fold and its thinking.
                found = Some(found.map_or((at, height), |(first, _)| (first, at + height - first)));
            }
            at += height;
        }
        found
    }
}

impl PartBody {
    fn bytes(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.iter().map(Row::bytes).sum(),
            Self::Document(document) => document.bytes(),
            Self::Prose(prose) => prose.bytes(),
            Self::Role { .. } | Self::Fold(_) | Self::Call(_) | Self::Picture(_) | Self::Apart => 64,
        }
    }
}

/// How many rows of a call's arguments and of its result stand under its row where it is unfolded.
const GIVEN: usize = 6;
const CAME: usize = 12;

/// What a call was given and came to, as much of it as is worth reading in passing.
fn unfolded(call: &Call, width: usize, signs: Signs<'_>) -> Vec<Row> {
    let indent = Row::label("    ", Ink::Text);
    let mut rows = Vec::new();
    let mut lay = |text: &crate::text::SafeText, most: usize, ink: Ink, whole: bool| {
        // Long texts are cut before they are wrapped; an address that was cut leads nowhere.
        let mut row = Row::of_lines(text, ink);
        let half = text.as_str().split_whitespace().next_back().filter(|_| !whole);
        row.link_addresses(half);
        let all = wrap_row(&row, width, &indent, &indent);
        let left = all.len().saturating_sub(most);
        rows.extend(all.into_iter().take(most));
        left
    };
    let head = |text: &str| text[..text.floor_char_boundary(UNFOLDED)].trim_end().to_owned();
    let arguments = lay(&visible(&head(&call.arguments)), GIVEN, Ink::Dim, call.arguments.len() <= UNFOLDED);
    let result = lay(&sanitize(&head(call.result_head())), CAME, Ink::Text, call.result_head().len() <= UNFOLDED);
    let cut = call.arguments.len().max(call.result_head().len()) > UNFOLDED;
    if arguments + result > 0 || cut {
        let mut row = indent.clone();
        row.push(&signs.keys.tell("more of it: {transcript.open} opens the call"), Ink::Dim);
        rows.push(row);
    }
    if call.outcome.is_none() {
        let mut row = indent.clone();
        row.push("no result yet", Ink::Dim);
        rows.push(row);
    }
    rows
}

/// Of arguments and result, what an unfolded call looks at, bytes.
const UNFOLDED: usize = 4 * 1024;

/// About how high an entry is, without laying it out.
pub(super) fn estimate(entry: &Entry, width: usize) -> usize {
    let lines = |text: &str| text.len() / width.max(1) + 1;
    2 + match &entry.body {
        EntryBody::User(parts) => parts
            .iter()
            .map(|part| match part {
                Part::Text { text } => lines(&text[..text.floor_char_boundary(LARGEST_SAID)]),
                Part::File { .. } | Part::Image { .. } => 1,
            })
            .sum(),
        EntryBody::Answer(answer) => answer
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Thinking { .. } | Piece::Call(_) => 1,
                Piece::Text(text) | Piece::Refusal(text) => lines(text) + 1,
            })
            .sum(),
        EntryBody::Fault(_) => 2,
        EntryBody::Note(text) => lines(text),
        EntryBody::Summary(summary) if summary.open => lines(&summary.compaction.text) + 3,
        EntryBody::Summary(_) => 1,
    }
}

/// The row of a summary, and its text where that is shown.
fn summary_rows(entry: &SummaryEntry, shape: Shape, signs: Signs<'_>) -> Vec<Row> {
    let glyphs = signs.glyphs;
    let one = &entry.compaction;
    let messages = counted(one.messages.into(), "message", "messages");
    let does = if entry.open { "hides" } else { "shows" };
    let words = match shape.narrow {
        true => format!("{} summarised, {{transcript.fold}} {does}", one.messages),
        false => format!(
            "{messages} summarised {dot} {{transcript.fold}} {does} the summary {dot} {{transcript.edit}} edits it",
            dot = glyphs.dot
        ),
    };
    let words = signs.keys.tell(&words);
    let mut row = Row::new();
    row.push_safe(&glyphs.rule.repeat(2), Tint::of(Ink::Dim));
    row.push(&format!(" {} ", cut(&words, shape.width.saturating_sub(6))), Ink::Dim);
    row.push_safe(&glyphs.rule.repeat(2), Tint::of(Ink::Dim));
    let mut rows = vec![row];
    if !entry.open {
        return rows;
    }
    let none = Row::new();
    rows.extend(wrap_row(&linked(&sanitize(&one.text), Ink::Text), shape.width, &none, &none));
    let mut by = match (one.edited, one.model.is_empty()) {
        (true, _) => "as you edited it".to_owned(),
        (false, true) => "written by the model".to_owned(),
        (false, false) => format!("written by {}", sanitize(&one.model).one_line().as_str()),
    };
    if one.shortened {
        by.push_str("; it was not given every long text whole");
    }
    let told = format!("({by}. The model is sent this in place of all above.)");
    let mut by = Row::new();
    by.push(&told, Ink::Dim);
    rows.extend(wrap_row(&by, shape.width, &none, &none));
    rows
}

/// How much of a person's own text is laid out, bytes: beyond that it was pasted, not written.
const LARGEST_SAID: usize = 256 * 1024;

/// Text of several lines with its addresses as links.
fn linked(text: &crate::text::SafeText, ink: Ink) -> Row {
    let mut row = Row::of_lines(text, ink);
    row.link_addresses(None);
    row
}

fn user_part(part: &Part, width: usize) -> Vec<Row> {
    let none = Row::new();
    match part {
        Part::Text { text } => {
            let text = text.trim_end();
            let shown = &text[..text.floor_char_boundary(LARGEST_SAID)];
            let mut rows = wrap_row(&linked(&sanitize(shown), Ink::Text), width, &none, &none);
            if shown.len() < text.len() {
                let mut row = Row::new();
                row.push(&format!("[{} more, sent in full]", size((text.len() - shown.len()) as u64)), Ink::Dim);
                rows.extend(wrap_row(&row, width, &none, &none));
            }
            rows
        }
        Part::File { name, text } => {
            let lines = counted(text.lines().count() as u64, "line", "lines");
            let label = format!("[{}: {lines}, {}]", strip_hidden(name).0, size(text.len() as u64));
            let mut row = Row::new();
            row.push(&label, Ink::Dim);
            wrap_row(&row, width, &none, &none)
        }
        Part::Image { name, mime, data } => {
            // Base64 takes four characters for three bytes.
            let label = format!("[image {}: {mime}, {}]", strip_hidden(name).0, size(data.len() as u64 / 4 * 3));
            let mut row = Row::new();
            row.push(&label, Ink::Dim);
            wrap_row(&row, width, &none, &none)
        }
    }
}

fn fault_rows(entry: &FaultEntry, width: usize, signs: Signs<'_>) -> Vec<Row> {
    let glyphs = signs.glyphs;
    let mut row = Row::new();
    row.push_safe(glyphs.failed, Tint::of(Ink::Bad));
    row.push(" ", Ink::Text);
    row.push_lines(&sanitize(&entry.fault.message), Ink::Text.into());
    // Where the choices say what can be done, the hint would say it twice.
    let told = !entry.settled
        && match entry.choices {
            FaultChoices::Key => entry.fault.kind == FaultKind::Auth,
            FaultChoices::Cut => entry.fault.retry != Retry::AfterChange,
            FaultChoices::Compact | FaultChoices::Retry | FaultChoices::None => false,
        };
    if let Some(hint) = entry.fault.hint.as_ref().filter(|_| !told) {
        row.push(" ", Ink::Text);
        row.push_lines(&sanitize(hint), Ink::Dim.into());
    }
    row.link_addresses(None);
    let none = Row::new();
    let indent = Row::label("  ", Ink::Text);
    let mut rows = wrap_row(&row, width, &none, &indent);
    let keys: &[(&'static str, &'static str)] = match entry.choices {
        FaultChoices::Key => {
            &[("{fault.key}", "another key"), ("{fault.endpoint}", "another endpoint"), ("{fault.retry}", "retry")]
        }
        FaultChoices::Cut => &[("{fault.continue}", "continue"), ("{fault.retry}", "ask again (calls are not re-run)")],
        FaultChoices::Compact => {
            &[("{fault.continue}", "compact what is older and ask again"), ("{fault.retry}", "ask again")]
        }
        FaultChoices::Retry => &[("{fault.retry}", "ask again")],
        FaultChoices::None => &[],
    };
    if !entry.settled && !keys.is_empty() {
        let mut line = Row::new();
        for (key, label) in keys {
            let Some(key) = signs.keys.spell(key) else { continue };
            line.push(if line.text().is_empty() { "" } else { "   " }, Ink::Text);
            line.push(&key, Tint::of(Ink::Accent).bold());
            line.push(&format!(" {label}"), Ink::Dim);
        }
        if entry.choices == FaultChoices::Key {
            line.push("   Your message is kept.", Ink::Dim);
        }
        rows.extend(wrap_row(&line, width, &indent, &indent));
    }
    rows
}
