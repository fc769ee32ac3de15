//! What is offered while a slash command or a file's name is typed.

use super::command::Command;
use super::composer::{Attachment, Composer};
use super::effect::Effect;

#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    pub kind: CompletionKind,
    /// What is being completed, without its sign.
    pub word: String,
    pub rows: Vec<CompletionRow>,
    pub selected: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompletionKind {
    Command,
    File,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletionRow {
    /// What is inserted.
    pub text: String,
    pub note: String,
}

impl Composer {
    /// Looks at the word before the caret and opens, refines or closes the completion.
    pub(super) fn complete(&mut self, generation: u64, out: &mut Vec<Effect>) {
        if let Some((word, rest)) = self.slash()
            && rest.is_empty()
            && self.at_end()
            && !self.area.lines()[0].ends_with(' ')
        {
            let rows: Vec<CompletionRow> = ranked(&word, Command::listed(), |info| info.slash)
                .into_iter()
                .map(|info| CompletionRow { text: info.slash.into(), note: info.label.into() })
                .collect();
            let exact = rows.len() == 1 && rows[0].text == word;
            self.completion = (!rows.is_empty() && !exact).then_some(Completion {
                kind: CompletionKind::Command,
                word,
                rows,
                selected: 0,
            });
            return;
        }
        match self.file_word() {
            Some(word) => {
                let open = self.completion.take().filter(|open| open.kind == CompletionKind::File);
                let rows = open.map(|open| open.rows).unwrap_or_default();
                self.files_generation = generation;
                out.push(Effect::Files { generation, query: word.clone() });
                self.completion = Some(Completion { kind: CompletionKind::File, word, rows, selected: 0 });
            }
            None => self.completion = None,
        }
    }

    /// The text between an `@` at a word's start and the caret.
    fn file_word(&self) -> Option<String> {
        let cursor = self.area.cursor();
        let head: String = self.area.lines()[cursor.0].chars().take(cursor.1).collect();
        let at = head.rfind('@')?;
        let before = head[..at].chars().next_back();
        let word = &head[at + 1..];
        let fits = before.is_none_or(char::is_whitespace) && !word.contains(char::is_whitespace);
        fits.then(|| word.to_owned())
    }

    pub(super) fn files(&mut self, generation: u64, paths: Vec<String>) {
        if generation != self.files_generation {
            return;
        }
        if let Some(open) = self.completion.as_mut().filter(|open| open.kind == CompletionKind::File) {
            open.rows = paths.into_iter().map(|text| CompletionRow { text, note: String::new() }).collect();
            open.selected = 0;
        }
    }

    /// Takes the chosen row in place of the word. True where that makes a whole slash command.
    pub(super) fn accept(&mut self, out: &mut Vec<Effect>) -> bool {
        let Some(open) = self.completion.take() else { return false };
        let Some(row) = open.rows.get(open.selected) else { return false };
        for _ in 0..open.word.chars().count() {
            self.area.delete_char();
        }
        match open.kind {
            CompletionKind::Command => {
                self.area.insert_str(&row.text);
                true
            }
            CompletionKind::File => {
                self.area.insert_str(&row.text);
                self.area.insert_char(' ');
                let label = format!("@{}", row.text);
                if self.attachments.iter().all(|attachment| attachment.label != label) {
                    self.attachments.push(Attachment { label, path: row.text.clone(), part: None });
                    out.push(Effect::Attach { path: row.text.clone() });
                }
                false
            }
        }
    }

    pub(super) fn choose(&mut self, down: bool) {
        if let Some(open) = &mut self.completion {
            let last = open.rows.len().saturating_sub(1);
            open.selected = if down { (open.selected + 1).min(last) } else { open.selected.saturating_sub(1) };
        }
    }
}

/// The items that match a fuzzy query, best first; all, in their order, where it is empty.
pub(super) fn ranked<T>(query: &str, items: impl Iterator<Item = T>, name: impl Fn(&T) -> &str) -> Vec<T> {
    use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
    use nucleo_matcher::{Config, Matcher, Utf32Str};
    if query.trim().is_empty() {
        return items.collect();
    }
    let mut matcher = Matcher::new(Config::DEFAULT);
    let pattern = Pattern::parse(query, CaseMatching::Ignore, Normalization::Smart);
    let mut buffer = Vec::new();
    let mut found: Vec<(u32, T)> = items
        .filter_map(|item| Some((pattern.score(Utf32Str::new(name(&item), &mut buffer), &mut matcher)?, item)))
        .collect();
    found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    found.into_iter().map(|(_, item)| item).collect()
}
