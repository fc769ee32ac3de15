//! What is wrong with a configuration file, and where, shown as a compiler would.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;

/// One thing that is wrong, or unwise, in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Characters to underline on that line.
    pub width: usize,
    pub message: String,
    /// Beside the underline: what it should be.
    pub label: String,
    pub note: Option<String>,
    /// The line as it may be shown: without the values of secrets.
    pub source: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
}

impl Problem {
    /// As text of several lines, ending in a line break. `show_path` writes the file's name (short, with `~`).
    #[must_use]
    pub fn render(&self, show_path: &dyn Fn(&std::path::Path) -> String) -> String {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let number = self.line.to_string();
        let pad = " ".repeat(number.len());
        let indent = " ".repeat(self.column - 1);
        let mark = "^".repeat(self.width.max(1));
        let mut out = format!("{word}: {}\n", self.message);
        let _ = writeln!(out, "{pad} --> {}:{}:{}", show_path(&self.file), self.line, self.column);
        let _ = writeln!(out, "{pad} |\n{number} | {}", self.source);
        let _ = writeln!(out, "{}", format!("{pad} | {indent}{mark} {}", self.label).trim_end());
        if let Some(note) = &self.note {
            let _ = writeln!(out, "{pad} = {note}");
        }
        out
    }
}

/// A file's text with what was found in it.
pub(super) struct Findings<'a> {
    pub file: PathBuf,
    pub text: &'a str,
    pub problems: Vec<Problem>,
}

impl<'a> Findings<'a> {
    pub fn new(file: PathBuf, text: &'a str) -> Self {
        Self { file, text, problems: Vec::new() }
    }

    pub fn error(&mut self, span: &Range<usize>, secret: bool, message: impl Into<String>, label: impl Into<String>) {
        self.push(Severity::Error, span, secret, message.into(), label.into(), None);
    }

    pub fn warn(&mut self, span: &Range<usize>, secret: bool, message: impl Into<String>, label: impl Into<String>) {
        self.push(Severity::Warning, span, secret, message.into(), label.into(), None);
    }

    pub fn push(
        &mut self,
        severity: Severity,
        span: &Range<usize>,
        secret: bool,
        message: String,
        label: String,
        note: Option<String>,
    ) {
        let (line, column, start) = place(self.text, span.start);
        let raw = self.text[start..].lines().next().unwrap_or("");
        let before = raw.chars().count();
        let width = self.text.get(span.clone()).map_or(1, |s| s.lines().next().unwrap_or("").chars().count());
        let source = shown(self.text, start, raw, secret);
        self.problems.push(Problem {
            severity,
            file: self.file.clone(),
            line,
            column,
            width: width.min(before.saturating_sub(column - 1)).min(60),
            message,
            label,
            note,
            source,
        });
    }
}

/// Line and column (both from 1, characters) of a byte offset, and the offset at which its line starts.
pub(super) fn place(text: &str, offset: usize) -> (usize, usize, usize) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1, start)
}

/// The line as it may be shown. When in doubt, what stands after the `=` is left out.
fn shown(text: &str, start: usize, line: &str, secret: bool) -> String {
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    let table = text[..start].lines().rev().find(|l| l.trim_start().starts_with('[')).unwrap_or("");
    let in_secrets = table.contains(".env") || table.contains("headers");
    if !(secret || in_secrets || looks_secret(&line)) {
        return line;
    }
    match line.split_once('=') {
        Some((key, _)) if !looks_random(key) => format!("{key}= …"),
        Some(_) | None => "…".to_owned(),
    }
}

/// Whether a text speaks of a secret or looks like one itself. Errs on the side of yes.
#[must_use]
pub fn looks_secret(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "api_key",
        "apikey",
        "api-key",
        "token",
        "secret",
        "passw",
        "authorization",
        "bearer",
        "cookie",
        "credential",
        "env",
        "header",
    ];
    let lower = text.to_ascii_lowercase();
    WORDS.iter().any(|word| lower.contains(word)) || looks_random(text)
}

/// Whether a text holds a run that no word looks like: a key, a hash, a token.
#[must_use]
pub fn looks_random(text: &str) -> bool {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')).any(|run| {
        let digits = run.bytes().filter(u8::is_ascii_digit).count();
        let letters = run.bytes().filter(u8::is_ascii_alphabetic).count();
        (run.len() >= 20 && digits >= 3 && letters >= 3)
            || (run.len() > 8 && (run.starts_with("sk-") || run.starts_with("ghp_")))
    })
}
