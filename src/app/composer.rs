//! The composer: the text being written, its paste chips, attachments, recall.

use std::collections::HashSet;
use std::fmt::Write as _;

use tui_textarea::{CursorMove, TextArea};

use super::command::Edit;
use super::completion::Completion;
use super::effect::Effect;
use super::running::Run;
use super::vi::Vi;
use crate::chat::{MessageId, Part, PromptText};

/// # Invariants
/// - A paste never submits and never makes a slash command.
/// - A chip is sent in full, expanded in one pass.
#[derive(Clone, Debug, Default)]
pub struct Composer {
    pub area: TextArea<'static>,
    pub chips: Vec<Chip>,
    pub attachments: Vec<Attachment>,
    pub completion: Option<Completion>,
    /// Earlier prompts of this session and folder, newest last.
    pub history: Vec<String>,
    /// Which of them is shown, and the draft that it replaced.
    pub recall: Option<(usize, String)>,
    /// The command of the person's own that runs, for this message.
    pub run: Option<Run>,
    /// The prompt of a server that is fetched for this message.
    pub(super) fetching: Option<u64>,
    /// Pictures of the clipboard that are read for this message.
    pub(super) pictures: Vec<u64>,
    /// What the draft answers instead of the newest message.
    pub branch: Option<Branch>,
    /// Where the keys are vi's: what they do now.
    pub vi: Option<Vi>,
    /// Those of the history that were run, not sent.
    ran: HashSet<String>,
    pub(super) chip_number: u32,
    pub(super) draft_generation: u64,
    /// What is kept of the draft is behind it.
    pub(super) unsaved_draft: bool,
    pub(super) files_generation: u64,
    /// The first character is a `/` or a `!` that was typed, not pasted.
    pub(super) sign_typed: bool,
}

/// Files of a draft that are read again when it comes back.
const NAMED_AGAIN: usize = 32;

/// A long paste, shown as one line and sent in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chip {
    /// As it stands in the text: `[Pasted text 1: 214 lines, 9.8 KB]`.
    pub label: String,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Attachment {
    /// As it stands in the text: `@src/retry.rs`.
    pub label: String,
    pub path: String,
    /// None while it is read.
    pub part: Option<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The message that the new one answers; None: the conversation's beginning.
    pub parent: Option<MessageId>,
    /// The entry at which it branches, and whether that entry itself stays.
    pub key: u64,
    pub keep: bool,
}

impl Composer {
    /// Pastes longer than this become a chip.
    const CHIP_CHARS: usize = 1_000;
    const CHIP_LINES: usize = 10;

    #[must_use]
    pub fn text(&self) -> String {
        self.area.lines().join("\n")
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.area.is_empty()
    }

    /// Nothing that would be sent.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.area.lines().iter().all(|line| line.trim().is_empty())
    }

    #[must_use]
    pub fn at_end(&self) -> bool {
        let cursor = self.area.cursor();
        let last = self.area.lines().len() - 1;
        cursor.0 == last && cursor.1 == self.area.lines()[last].chars().count()
    }

    pub fn type_char(&mut self, c: char) {
        if matches!(c, '/' | '!') && self.area.is_empty() {
            self.sign_typed = true;
        }
        self.recall = None;
        self.area.insert_char(c);
    }

    pub fn new_line(&mut self) {
        self.recall = None;
        self.area.insert_newline();
    }

    /// Takes pasted text: line ends become `\n`, controls go, and what is long becomes a chip.
    pub fn paste(&mut self, raw: &str) {
        self.take_in(raw, false);
    }

    /// A piped standard input: a chip however short it is, so that it is seen to be one thing.
    pub fn piped(&mut self, raw: &str) {
        self.take_in(raw, true);
    }

    fn take_in(&mut self, raw: &str, chip: bool) {
        let text = if is_clean(raw) {
            raw.to_owned()
        } else {
            let lines = raw.replace("\r\n", "\n").replace('\r', "\n");
            lines.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect()
        };
        if text.is_empty() {
            return;
        }
        self.recall = None;
        if self.area.is_empty() {
            self.sign_typed = false;
        }
        let lines = text.lines().count();
        if chip || lines > Self::CHIP_LINES || text.chars().nth(Self::CHIP_CHARS).is_some() {
            self.chip_number += 1;
            let mut label = format!("[Pasted text {}: {lines} ", self.chip_number);
            label.push_str(if lines == 1 { "line, " } else { "lines, " });
            let _ = write!(label, "{}]", size(text.len()));
            self.area.insert_str(&label);
            self.chips.push(Chip { label, text });
        } else {
            self.area.insert_str(&text);
        }
    }

    /// The chip under the caret is put in as text; false where there is none.
    pub fn expand_chip(&mut self) -> bool {
        let cursor = self.area.cursor();
        let line = &self.area.lines()[cursor.0];
        let caret = line.char_indices().nth(cursor.1).map_or(line.len(), |(at, _)| at);
        let found = self.chips.iter().find_map(|chip| {
            let at = line
                .match_indices(&chip.label)
                .map(|(at, _)| at)
                .find(|at| *at <= caret && caret < at + chip.label.len())?;
            Some((line[..at].chars().count(), chip.label.chars().count(), chip.text.clone()))
        });
        let Some((column, length, text)) = found else { return false };
        self.jump(cursor.0, column);
        self.area.delete_str(length);
        self.area.insert_str(&text);
        true
    }

    /// The text with its chips in full. Each place is expanded once, so a paste that holds a chip's label is sent as
    /// it is.
    #[must_use]
    pub fn expanded(&self) -> String {
        let text = self.text();
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        loop {
            let next = self
                .chips
                .iter()
                .filter_map(|chip| rest.find(&chip.label).map(|at| (at, chip)))
                .min_by_key(|(at, chip)| (*at, std::cmp::Reverse(chip.label.len())));
            let Some((at, chip)) = next else { break };
            out.push_str(&rest[..at]);
            out.push_str(&chip.text);
            rest = &rest[at + chip.label.len()..];
        }
        out.push_str(rest);
        out
    }

    /// Takes back what an editor made of the text in full: a chip that came back as it was is a chip again.
    pub(super) fn edited(&mut self, text: &str) {
        let before = self.text();
        let mut text = text.trim_end_matches('\n').to_owned();
        for chip in self.chips.iter().filter(|chip| before.contains(&chip.label)) {
            if let Some(at) = text.find(&chip.text) {
                text.replace_range(at..at + chip.text.len(), &chip.label);
            }
        }
        self.set(&text);
    }

    /// What is to be sent: the text in full, then what it attaches.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        let text = self.text();
        let mut parts = vec![Part::text(self.expanded())];
        let attached = self.attachments.iter().filter(|attachment| text.contains(&attachment.label));
        parts.extend(attached.filter_map(|attachment| attachment.part.clone()));
        parts
    }

    /// The chips and attachments that the text names.
    pub(super) fn named(&self) -> (Vec<Chip>, Vec<Attachment>) {
        let text = self.text();
        let chips = self.chips.iter().filter(|chip| text.contains(&chip.label)).cloned().collect();
        (chips, self.attachments.iter().filter(|one| text.contains(&one.label)).cloned().collect())
    }

    /// Takes up what a message said and attached, as it was sent.
    pub(super) fn take_up(&mut self, parts: &[Part]) {
        let said = parts.iter().find_map(|part| match part {
            Part::Text { text } => Some(text.as_str()),
            Part::File { .. } | Part::Image { .. } => None,
        });
        self.reset();
        self.set(said.unwrap_or_default());
        for part in parts {
            let (Part::File { name, .. } | Part::Image { name, .. }) = part else { continue };
            let label = format!("@{name}");
            // What another name stood for in the text.
            if !self.text().contains(&label) {
                self.area.insert_str(if self.is_empty() { label.clone() } else { format!(" {label}") });
            }
            self.attachments.push(Attachment { label, path: name.clone(), part: Some(part.clone()) });
        }
    }

    /// An attachment that the text names is still being read.
    #[must_use]
    pub fn reading(&self) -> bool {
        let text = self.text();
        self.attachments.iter().any(|a| a.part.is_none() && text.contains(&a.label))
    }

    /// Something comes into the text without being typed: what a command prints, a prompt, a picture.
    #[must_use]
    pub(super) fn awaits(&self) -> bool {
        self.run.is_some() || self.fetching.is_some() || !self.pictures.is_empty()
    }

    /// The word of a typed slash command and what follows it.
    #[must_use]
    pub fn slash(&self) -> Option<(String, String)> {
        if !self.sign_typed || self.area.lines().len() != 1 {
            return None;
        }
        let line = self.area.lines().first()?.strip_prefix('/')?;
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let own = word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        // A server's prompt may have any name.
        let prompt = word.split_once(':').is_some_and(|(server, _)| !server.is_empty() && !server.contains('/'));
        (own || prompt).then(|| (word.to_owned(), rest.trim().to_owned()))
    }

    /// Puts a prompt in, to be looked over: one message of words as text, several as one chip; what is no text is
    /// attached under its name.
    pub(super) fn take_prompt(&mut self, server: &str, prompt: &PromptText) {
        let mut attached = Vec::new();
        let mut texts: Vec<(bool, String)> = Vec::new();
        for message in &prompt.messages {
            let mut words = String::new();
            for part in &message.parts {
                match part {
                    Part::Text { text } => {
                        if !words.is_empty() {
                            words.push('\n');
                        }
                        words.push_str(text);
                    }
                    Part::File { .. } | Part::Image { .. } => {
                        self.chip_number += 1;
                        attached.push((format!("@{server}:part-{}", self.chip_number), part.clone()));
                    }
                }
            }
            if !words.is_empty() {
                texts.push((message.by_assistant, words));
            }
        }
        match texts.as_slice() {
            [] => {}
            [(false, words)] => self.take_in(words, false),
            several => {
                let mut whole = String::new();
                for (by_assistant, words) in several {
                    whole.push_str(if *by_assistant { "Assistant:\n" } else { "User:\n" });
                    whole.push_str(words);
                    whole.push_str("\n\n");
                }
                self.take_in(whole.trim_end(), true);
            }
        }
        for (label, part) in attached {
            self.area.insert_str(format!(" {label} "));
            self.attachments.push(Attachment { path: label.clone(), label, part: Some(part) });
        }
    }

    /// A picture of the clipboard stands in the text under a name of its own.
    pub(super) fn attach_picture(&mut self, part: Part) {
        let Part::Image { mime, data, .. } = part else { return };
        self.chip_number += 1;
        let ending = mime.strip_prefix("image/").unwrap_or("png");
        let path = format!("clipboard-{}.{ending}", self.chip_number);
        let label = format!("@{path}");
        if self.text().chars().next_back().is_some_and(|c| !c.is_whitespace()) {
            self.area.insert_char(' ');
        }
        self.area.insert_str(format!("{label} "));
        let part = Some(Part::Image { name: path.clone(), mime, data });
        self.attachments.push(Attachment { label, path, part });
    }

    /// Puts a word at the text's end.
    pub(super) fn append_word(&mut self, word: &str) {
        self.area.move_cursor(CursorMove::Bottom);
        self.area.move_cursor(CursorMove::End);
        if self.text().chars().next_back().is_some_and(|c| !c.is_whitespace()) {
            self.area.insert_char(' ');
        }
        self.area.insert_str(format!("{word} "));
    }

    /// A draft comes back as text: the files that it names are read again. What is no file stays a word.
    pub(super) fn attach_again(&mut self, out: &mut Vec<Effect>) {
        let text = self.text();
        let named = text.split_whitespace().filter_map(|word| word.strip_prefix('@')).filter(|path| !path.is_empty());
        for path in named.take(NAMED_AGAIN) {
            let label = format!("@{path}");
            if self.attachments.iter().all(|attachment| attachment.label != label) {
                self.attachments.push(Attachment { label, path: path.to_owned(), part: None });
                out.push(Effect::Attach { path: path.to_owned() });
            }
        }
    }

    /// Empties it for good: sent, or another conversation's.
    pub fn reset(&mut self) {
        let area = TextArea::default();
        let yank = self.area.yank_text();
        self.area = area;
        self.area.set_yank_text(yank);
        self.chips.clear();
        self.attachments.clear();
        self.completion = None;
        self.recall = None;
        self.branch = None;
        self.sign_typed = false;
        self.vi = self.vi.map(|_| Vi::Insert);
    }

    /// Exchanges what is being written; what is remembered for recall and yank stays.
    pub(super) fn exchange_drafts(&mut self, other: &mut Self) {
        std::mem::swap(self, other);
        std::mem::swap(&mut self.history, &mut other.history);
        std::mem::swap(&mut self.ran, &mut other.ran);
        self.vi = other.vi.map(|_| Vi::Insert);
        self.area.set_yank_text(other.area.yank_text());
        self.completion = None;
        // Labels are told apart by their number, and generations never come twice.
        self.chip_number = self.chip_number.max(other.chip_number);
        self.files_generation = self.files_generation.max(other.files_generation);
    }

    /// Empties it so that undo brings it back.
    pub fn clear(&mut self) -> bool {
        self.completion = None;
        self.recall = None;
        self.area.clear()
    }

    /// Replaces the text so that undo brings the old one back.
    pub fn set(&mut self, text: &str) {
        self.area.clear();
        self.area.insert_str(text);
        self.sign_typed = false;
    }

    pub fn edit(&mut self, edit: Edit) {
        let area = &mut self.area;
        match edit {
            Edit::Left => area.move_cursor(CursorMove::Back),
            Edit::Right => area.move_cursor(CursorMove::Forward),
            Edit::WordLeft => area.move_cursor(CursorMove::WordBack),
            Edit::WordRight => self.word_right(),
            Edit::LineStart => area.move_cursor(CursorMove::Head),
            Edit::LineEnd => area.move_cursor(CursorMove::End),
            Edit::DeleteLeft => {
                self.delete_left();
            }
            Edit::DeleteRight => {
                area.delete_next_char();
            }
            Edit::DeleteWordLeft => {
                area.delete_word();
            }
            Edit::DeleteWordRight => {
                area.delete_next_word();
            }
            Edit::KillToStart => {
                area.delete_line_by_head();
            }
            Edit::KillToEnd => {
                area.delete_line_by_end();
            }
            Edit::Yank => {
                area.paste();
            }
            Edit::Undo => {
                area.undo();
            }
            Edit::Redo => {
                area.redo();
            }
        }
    }

    /// To the end of this word or the next, as readline goes; over a line's end to the next line.
    fn word_right(&mut self) {
        let cursor = self.area.cursor();
        let rest: Vec<char> = self.area.lines()[cursor.0].chars().skip(cursor.1).collect();
        if rest.is_empty() {
            return self.area.move_cursor(CursorMove::Forward);
        }
        let blank = rest.iter().take_while(|c| !c.is_alphanumeric()).count();
        let word = rest[blank..].iter().take_while(|c| c.is_alphanumeric()).count();
        self.jump(cursor.0, cursor.1 + blank + word);
    }

    /// A chip goes whole: half a label would no longer stand for its text.
    fn delete_left(&mut self) {
        let cursor = self.area.cursor();
        let line = &self.area.lines()[cursor.0];
        let head: String = line.chars().take(cursor.1).collect();
        match self.chips.iter().find(|chip| head.ends_with(&chip.label)) {
            Some(chip) => {
                let length = chip.label.chars().count();
                self.jump(cursor.0, cursor.1 - length);
                self.area.delete_str(length);
            }
            None => {
                self.area.delete_char();
            }
        }
    }

    /// Moves up a line, or to the earlier prompt from the first line. False where there is none.
    pub fn up(&mut self) -> bool {
        if self.area.cursor().0 > 0 && self.recall.is_none() {
            self.area.move_cursor(CursorMove::Up);
            return true;
        }
        let (at, draft) = match self.recall.take() {
            Some((0, draft)) => {
                self.recall = Some((0, draft));
                return false;
            }
            Some((at, draft)) => (at - 1, draft),
            None if self.history.is_empty() => return false,
            None => (self.history.len() - 1, self.text()),
        };
        let text = self.history[at].clone();
        self.set(&text);
        self.sign_typed = self.ran.contains(&text);
        self.recall = Some((at, draft));
        true
    }

    pub fn down(&mut self) {
        match self.recall.take() {
            None => self.area.move_cursor(CursorMove::Down),
            Some((at, draft)) if at + 1 < self.history.len() => {
                let text = self.history[at + 1].clone();
                self.set(&text);
                self.sign_typed = self.ran.contains(&text);
                self.recall = Some((at + 1, draft));
            }
            Some((_, draft)) => self.set(&draft),
        }
    }

    pub fn remember(&mut self, text: &str) {
        let text = text.trim_end();
        if text.is_empty() {
            return;
        }
        self.history.retain(|old| old != text);
        self.history.push(text.to_owned());
        if self.history.len() > 500 {
            self.history.remove(0);
        }
    }

    /// For recall in this session: recalled, it is a command again.
    pub(super) fn remember_command(&mut self, text: &str) {
        self.remember(text);
        self.ran.insert(text.trim_end().to_owned());
    }

    pub(super) fn jump(&mut self, row: usize, column: usize) {
        let cell = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        self.area.move_cursor(CursorMove::Jump(cell(row), cell(column)));
    }
}

/// Bytes as people read them: `9.8 KB`.
#[must_use]
pub fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} KB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// Whether a text surely holds no control but line ends and tabs; a look at bytes, since a paste may have millions.
fn is_clean(text: &str) -> bool {
    // 0xc2 leads the controls beyond ASCII, and some letters too.
    text.bytes().all(|b| matches!(b, b' '..=b'~' | b'\n' | b'\t' | 0x80..=0xc1 | 0xc3..=0xff))
}
