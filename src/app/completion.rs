//! What is offered while a slash command or a file's name is typed.

use nucleo_matcher::pattern::{AtomKind, CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::command::Command;
use super::composer::{Attachment, Composer};
use super::effect::Effect;
use crate::chat::{ServerName, TemplateInfo};

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
    /// What stands behind `/role`.
    Role,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletionRow {
    /// What is inserted.
    pub text: String,
    pub note: String,
    pub of: RowOf,
}

/// What a row stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowOf {
    /// A command of the program, or a server's prompt.
    Command,
    Role,
    File,
    Resource {
        server: ServerName,
        uri: String,
    },
    /// Taken, its variables are asked for.
    Template {
        server: ServerName,
        template: TemplateInfo,
    },
}

/// What servers add to the program's own: rows in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Offers {
    pub prompts: Vec<CompletionRow>,
    pub resources: Vec<CompletionRow>,
    pub roles: Vec<CompletionRow>,
}

/// Resources above the files.
const RESOURCES: usize = 30;

impl Composer {
    /// Looks at the word before the caret and opens, refines or closes the completion.
    pub(super) fn complete(&mut self, offers: &Offers, generation: u64, out: &mut Vec<Effect>) {
        if let Some(word) = self.command_word() {
            let rows = command_rows(&word, offers);
            let exact = rows.len() == 1 && rows[0].text == word;
            self.completion = (!rows.is_empty() && !exact).then_some(Completion {
                kind: CompletionKind::Command,
                word,
                rows,
                selected: 0,
            });
            return;
        }
        if let Some(word) = self.role_word() {
            let rows = ranked(&word, offers.roles.iter().cloned(), |row| &row.text);
            let exact = rows.iter().any(|row| row.text == word);
            let kind = CompletionKind::Role;
            self.completion = (!rows.is_empty() && !exact).then_some(Completion { kind, word, rows, selected: 0 });
            return;
        }
        match self.mention() {
            Some(word) => {
                let open = self.completion.take().filter(|open| open.kind == CompletionKind::File);
                let files = open.map(|open| open.rows).unwrap_or_default();
                let mut rows = resource_rows(&word, offers);
                rows.extend(files.into_iter().filter(|row| row.of == RowOf::File));
                self.files_generation = generation;
                out.push(Effect::Files { generation, query: word.clone() });
                self.completion = Some(Completion { kind: CompletionKind::File, word, rows, selected: 0 });
            }
            None => self.completion = None,
        }
    }

    /// Servers have more to offer for the word that is being completed.
    pub(super) fn offer(&mut self, offers: &Offers) {
        if let Some(word) = self.command_word() {
            let rows = command_rows(&word, offers);
            if !rows.is_empty() {
                let selected = self.completion.as_ref().map_or(0, |open| open.selected.min(rows.len() - 1));
                self.completion = Some(Completion { kind: CompletionKind::Command, word, rows, selected });
            }
            return;
        }
        if let Some(open) = self.completion.as_mut().filter(|open| open.kind == CompletionKind::File) {
            let mut rows = resource_rows(&open.word, offers);
            rows.extend(std::mem::take(&mut open.rows).into_iter().filter(|row| row.of == RowOf::File));
            (open.rows, open.selected) = (rows, 0);
        }
    }

    /// The slash word that is being written.
    fn command_word(&self) -> Option<String> {
        let (word, rest) = self.slash()?;
        let writing = rest.is_empty() && self.at_end() && !self.area.lines()[0].ends_with(' ');
        writing.then_some(word)
    }

    /// The name that is being written behind `/role `.
    fn role_word(&self) -> Option<String> {
        let (word, rest) = self.slash()?;
        let written = self.area.lines().first()?.strip_prefix("/role ")?;
        (Command::slash(&word) == Some(Command::Role) && self.at_end() && written == rest).then_some(rest)
    }

    /// The text between an `@` at a word's start and the caret.
    pub(super) fn mention(&self) -> Option<String> {
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
            open.rows.retain(|row| row.of != RowOf::File);
            let files = paths.into_iter();
            open.rows.extend(files.map(|text| CompletionRow { text, note: String::new(), of: RowOf::File }));
            open.selected = 0;
        }
    }

    /// Takes the chosen row in place of the word: what it stood for.
    pub(super) fn accept(&mut self, out: &mut Vec<Effect>) -> Option<RowOf> {
        let open = self.completion.take()?;
        let row = open.rows.get(open.selected)?;
        for _ in 0..open.word.chars().count() {
            self.area.delete_char();
        }
        match &row.of {
            RowOf::Command | RowOf::Role => {
                self.area.insert_str(&row.text);
            }
            RowOf::Resource { .. } => {
                self.area.insert_str(format!("{} ", row.text));
            }
            // Its address comes when its form was filled in, with its own sign.
            RowOf::Template { .. } => {
                self.area.delete_char();
            }
            RowOf::File => {
                self.area.insert_str(&row.text);
                self.area.insert_char(' ');
                let label = format!("@{}", row.text);
                if self.attachments.iter().all(|attachment| attachment.label != label) {
                    self.attachments.push(Attachment { label, path: row.text.clone(), part: None });
                    out.push(Effect::Attach { path: row.text.clone() });
                }
            }
        }
        Some(row.of.clone())
    }

    pub(super) fn choose(&mut self, down: bool) {
        if let Some(open) = &mut self.completion {
            let last = open.rows.len().saturating_sub(1);
            open.selected = if down { (open.selected + 1).min(last) } else { open.selected.saturating_sub(1) };
        }
    }
}

fn command_rows(word: &str, offers: &Offers) -> Vec<CompletionRow> {
    let own = Command::listed().map(|info| CompletionRow {
        text: info.slash.into(),
        note: info.label.into(),
        of: RowOf::Command,
    });
    ranked(word, own.chain(offers.prompts.iter().cloned()), |row| &row.text)
}

fn resource_rows(word: &str, offers: &Offers) -> Vec<CompletionRow> {
    let mut rows = ranked(word, offers.resources.iter().cloned(), |row| &row.text);
    rows.truncate(RESOURCES);
    rows
}

/// The items that match a fuzzy query, best first; all, in their order, where it is empty.
pub(super) fn ranked<T>(query: &str, items: impl Iterator<Item = T>, name: impl Fn(&T) -> &str) -> Vec<T> {
    scored(query, items, name).into_iter().map(|(_, item)| item).collect()
}

/// The same, each with how well it matches; scores of one query can be compared.
pub(super) fn scored<T>(query: &str, items: impl Iterator<Item = T>, name: impl Fn(&T) -> &str) -> Vec<(u32, T)> {
    found(query, AtomKind::Fuzzy, items, name)
}

/// The same for sentences, in which letters that stand anywhere are found too easily: each word as it stands.
pub(super) fn scored_words<T>(query: &str, items: impl Iterator<Item = T>, name: impl Fn(&T) -> &str) -> Vec<(u32, T)> {
    found(query, AtomKind::Substring, items, name)
}

fn found<T>(query: &str, kind: AtomKind, items: impl Iterator<Item = T>, name: impl Fn(&T) -> &str) -> Vec<(u32, T)> {
    if query.trim().is_empty() {
        return items.map(|item| (0, item)).collect();
    }
    let mut matcher = Matcher::new(Config::DEFAULT);
    let pattern = match kind {
        // With its signs: `!not`, `^begins`, `ends$`.
        AtomKind::Fuzzy => Pattern::parse(query, CaseMatching::Ignore, Normalization::Smart),
        kind => Pattern::new(query, CaseMatching::Ignore, Normalization::Smart, kind),
    };
    let mut buffer = Vec::new();
    let mut found: Vec<(u32, T)> = items
        .filter_map(|item| Some((pattern.score(Utf32Str::new(name(&item), &mut buffer), &mut matcher)?, item)))
        .collect();
    found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    found
}
