//! A conversation at a glance: its words beside the list, the found ones marked.

use crate::app::{Browser, State};
use crate::chat::{Body, Conversation, Message, OutcomeKind, Part};
use crate::text::{cut, sanitize, width};
use crate::ui::figures::{Moment, seconds};
use crate::ui::ink::{Ink, Row, Tint};
use crate::ui::markdown::{Document, plain, wrap_row};
use crate::ui::theme::Glyphs;
use crate::ui::transcript::found_at;

/// Messages laid out around the found one; a preview is not for reading all.
const AROUND: usize = 40;
/// Bytes of one message that are laid out.
const LONGEST: usize = 6_000;

/// The rows of a preview, kept while its conversation, words and width stand.
#[derive(Debug)]
pub(in crate::ui) struct PreviewRows {
    of: (String, String, usize, bool),
    /// Who speaks stands in the line of the words: there is little room.
    inline: Option<Row>,
    pub rows: Vec<Row>,
    /// Rows on which a found word stands.
    pub marks: Vec<usize>,
}

impl PreviewRows {
    pub(super) fn refresh<'a>(
        kept: &'a mut Option<Self>,
        browser: &Browser,
        conversation: &Conversation,
        columns: usize,
        state: &State,
        glyphs: &Glyphs,
        tall: bool,
    ) -> &'a Self {
        let of = (conversation.summary.id.as_str().to_owned(), browser.search.text.clone(), columns, tall);
        let stale = kept.as_ref().is_none_or(|rows| rows.of != of);
        if stale {
            *kept = None;
        }
        kept.get_or_insert_with(|| Self::new(of, browser, conversation, columns, state, glyphs))
    }

    fn new(
        of: (String, String, usize, bool),
        browser: &Browser,
        conversation: &Conversation,
        columns: usize,
        state: &State,
        glyphs: &Glyphs,
    ) -> Self {
        // Words with a colon filter; only the others are looked for in the text.
        let words: Vec<String> = browser
            .search
            .text
            .split_whitespace()
            .filter(|word| !word.contains(':') && word.len() > 1)
            .map(str::to_lowercase)
            .collect();
        let at = browser
            .preview
            .as_ref()
            .and_then(|preview| preview.message.as_ref())
            .and_then(|id| conversation.messages.iter().position(|m| m.id == *id))
            .unwrap_or(conversation.messages.len().saturating_sub(1));
        let from = at.saturating_sub(AROUND);
        let tall = of.3;
        let mut out = Self { of, inline: None, rows: Vec::new(), marks: Vec::new() };
        let mut speaker = "";
        for message in conversation.messages.iter().skip(from).take(2 * AROUND) {
            let name = match &message.body {
                Body::User(_) => "you",
                Body::Assistant(_) | Body::Tool(_) => "model",
            };
            if name != speaker {
                if !speaker.is_empty() && tall {
                    out.rows.push(Row::new());
                }
                speaker = name;
                out.role(message, conversation, columns, state, glyphs);
            }
            out.message(message, conversation, columns, &words, glyphs);
        }
        out
    }

    fn role(&mut self, message: &Message, conversation: &Conversation, columns: usize, state: &State, glyphs: &Glyphs) {
        let tall = self.of.3;
        let mut row = Row::new();
        let (name, ink) = match &message.body {
            Body::User(_) => ("you".to_owned(), Ink::Accent),
            Body::Assistant(answer) if !answer.model.is_empty() => (answer.model.clone(), Ink::Second),
            Body::Assistant(_) | Body::Tool(_) => (conversation.summary.model.clone(), Ink::Second),
        };
        if !tall {
            row.push(&cut(sanitize(&name).one_line().as_str(), 20), Tint::of(ink).bold());
            row.push("  ", Ink::Text);
            self.inline = Some(row);
            return;
        }
        row.push(glyphs.gutter, ink);
        row.push(" ", Ink::Text);
        row.push(&cut(sanitize(&name).one_line().as_str(), columns.saturating_sub(10)), Tint::of(ink).bold());
        row.pad_to(columns.saturating_sub(5));
        row.push(&Moment::new(message.at, crate::ui::offset(state)).minute(), Ink::Dim);
        self.rows.push(row);
    }

    fn message(
        &mut self,
        message: &Message,
        conversation: &Conversation,
        columns: usize,
        words: &[String],
        glyphs: &Glyphs,
    ) {
        match &message.body {
            Body::User(parts) => {
                for part in parts {
                    match part {
                        Part::Text { text } => self.text(text, columns, words, Ink::Accent, glyphs),
                        Part::File { name, .. } | Part::Image { name, .. } => {
                            self.text(&format!("[{name}]"), columns, &[], Ink::Accent, glyphs);
                        }
                    }
                }
            }
            Body::Assistant(answer) => {
                let text = if answer.text.is_empty() { &answer.refusal } else { &answer.text };
                if !text.is_empty() {
                    self.markdown(text, columns, words, glyphs);
                }
                for call in &answer.calls {
                    let outcome = conversation.messages.iter().find_map(|m| match &m.body {
                        Body::Tool(tool) if tool.call == call.id => Some(&tool.outcome),
                        Body::Tool(_) | Body::User(_) | Body::Assistant(_) => None,
                    });
                    let (sign, ink) = match outcome.map(|o| o.kind) {
                        Some(OutcomeKind::Done) => (glyphs.done, Ink::Good),
                        Some(OutcomeKind::Cancelled | OutcomeKind::Unknown) | None => (glyphs.cancelled, Ink::Dim),
                        Some(_) => (glyphs.failed, Ink::Bad),
                    };
                    let name = call.tool.as_ref().map_or_else(|| call.wire_name.clone(), crate::chat::ToolRef::path);
                    let mut row = Row::new();
                    row.push(glyphs.gutter, Ink::Second);
                    row.push(" ", Ink::Text);
                    row.push(sign, ink);
                    row.push(&format!(" {}", cut(sanitize(&name).one_line().as_str(), 24)), Ink::Text);
                    row.pad_to(19.max(row.width() + 2));
                    let time = outcome.filter(|o| o.sent).map(|o| seconds((o.ms * 1000.0) as u64)).unwrap_or_default();
                    let detail = match outcome {
                        Some(o) if o.kind != OutcomeKind::Done => o.content.lines().next().unwrap_or("").to_owned(),
                        Some(_) | None => crate::ui::call::argument(&call.arguments).1,
                    };
                    let room = columns.saturating_sub(row.width() + time.len() + 6);
                    row.push(&cut(sanitize(&detail).one_line().as_str(), room), Ink::Dim);
                    let mut row = marked(&row, words, glyphs);
                    row.pad_to(columns.saturating_sub(time.len()));
                    row.push(&time, Ink::Dim);
                    self.note(&row);
                    self.rows.push(row);
                }
            }
            Body::Tool(_) => {}
        }
    }

    fn text(&mut self, text: &str, columns: usize, words: &[String], ink: Ink, glyphs: &Glyphs) {
        let head: String = text.chars().take(LONGEST).collect();
        let mut prefix = Row::new();
        prefix.push(glyphs.gutter, ink);
        prefix.push(" ", Ink::Text);
        let row = marked(&Row::of_lines(&sanitize(head.trim()), Ink::Text), words, glyphs);
        let mut first = prefix.clone();
        if let Some(name) = self.inline.take() {
            first.append(&name);
        }
        for row in wrap_row(&row, columns, &first, &prefix) {
            self.note(&row);
            self.rows.push(row);
        }
    }

    /// What a model wrote, as the transcript lays it out, but for the colours of code.
    fn markdown(&mut self, text: &str, columns: usize, words: &[String], glyphs: &Glyphs) {
        let head = text[..text.floor_char_boundary(LONGEST)].trim();
        if !head.contains('\n') {
            return self.text(&plain(head), columns, words, Ink::Second, glyphs);
        }
        let mut prefix = Row::new();
        prefix.push(glyphs.gutter, Ink::Second);
        prefix.push(" ", Ink::Text);
        if let Some(name) = self.inline.take() {
            let mut row = prefix.clone();
            row.append(&name);
            self.rows.push(row);
        }
        // A found word is put between marks, which take two columns.
        let marks = if words.is_empty() { 0 } else { 2 };
        let mut document = Document::new(columns.saturating_sub(2 + marks));
        document.update(head, true, glyphs);
        for laid in document.rows() {
            let row = marked(laid, words, glyphs);
            if row.width() + 2 > columns {
                // Several found words in one row.
                for row in wrap_row(&row, columns, &prefix, &prefix) {
                    self.note(&row);
                    self.rows.push(row);
                }
                continue;
            }
            let mut whole = prefix.clone();
            whole.append(&row);
            self.note(&whole);
            self.rows.push(whole);
        }
    }

    fn note(&mut self, row: &Row) {
        if row.runs().any(|(_, tint)| tint.ink == Ink::Match) {
            self.marks.push(self.rows.len());
        }
    }
}

/// The row with every found word between marks, in the ink of a match.
fn marked(row: &Row, words: &[String], glyphs: &Glyphs) -> Row {
    if words.is_empty() {
        return row.clone();
    }
    let text = row.text();
    let mut out = Row::new();
    let mut from = 0;
    let mut at = 0;
    while at < text.len() {
        let found = words.iter().find_map(|word| found_at(&text[at..], word));
        match found {
            Some(length) if length > 0 => {
                out.append(&row.slice(from..at));
                let tint = Tint::of(Ink::Match).bold();
                out.push_safe(glyphs.mark_open, tint);
                out.push_safe(&text[at..at + length], tint);
                out.push_safe(glyphs.mark_close, tint);
                at += length;
                from = at;
            }
            Some(_) | None => at += text[at..].chars().next().map_or(1, char::len_utf8),
        }
    }
    out.append(&row.slice(from..text.len()));
    out
}

/// One line around a found place, as the store cut it, with its marks.
pub(super) fn snippet(text: &str, marks: &[(usize, usize)], columns: usize, glyphs: &Glyphs) -> Row {
    let mut row = Row::new();
    let mut at = 0;
    for (from, to) in marks {
        let (Some(before), Some(word)) = (text.get(at..*from), text.get(*from..*to)) else { continue };
        row.push(before, Ink::Dim);
        row.push_safe(glyphs.mark_open, Tint::of(Ink::Match));
        row.push(word, Tint::of(Ink::Match).bold());
        row.push_safe(glyphs.mark_close, Tint::of(Ink::Match));
        at = *to;
    }
    row.push(text.get(at..).unwrap_or(""), Ink::Dim);
    if row.width() > columns {
        let end = crate::text::cut(row.text(), columns).len().saturating_sub('…'.len_utf8());
        let mut short = row.slice(0..end.min(row.text().len()));
        short.push_safe("…", Tint::of(Ink::Dim));
        debug_assert!(width(short.text()) <= columns.max(1));
        return short;
    }
    row
}
