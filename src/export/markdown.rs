//! The readable form: headings for who spoke, calls and results in fences.

use std::fmt::Write as _;

use super::{outcomes, title, tool_name};
use crate::chat::{Body, Conversation, Part};

/// A conversation as Markdown. What was said stands as it was written; arguments and results cannot leave their
/// fences.
#[must_use]
pub fn markdown(conversation: &Conversation) -> String {
    noted_markdown(conversation, "")
}

/// The same with a sentence at its end.
#[must_use]
pub fn noted_markdown(conversation: &Conversation, note: &str) -> String {
    let outcomes = outcomes(conversation);
    let mut out = format!("# {}\n", one_line(title(conversation)));
    if let Some(system) = conversation.system.as_ref().filter(|system| !system.is_empty()) {
        section(&mut out, "System");
        quote(&mut out, system);
    }
    for message in &conversation.messages {
        match &message.body {
            Body::User(parts) => {
                section(&mut out, "You");
                for part in parts {
                    match part {
                        Part::Text { text } => paragraph(&mut out, text),
                        Part::File { name, text } => {
                            paragraph(&mut out, &format!("File {}:", code(name)));
                            fence(&mut out, "", text);
                        }
                        Part::Image { name, mime, .. } => {
                            paragraph(&mut out, &format!("Image {} ({})", code(name), one_line(mime)));
                        }
                    }
                }
            }
            Body::Assistant(answer) => {
                section(&mut out, if answer.model.is_empty() { "Assistant" } else { &answer.model });
                if !answer.reasoning.is_empty() {
                    quote(&mut out, &answer.reasoning);
                }
                paragraph(&mut out, &answer.text);
                paragraph(&mut out, &answer.refusal);
                if let Some(cut) = answer.cut() {
                    paragraph(&mut out, &format!("*({})*", cut.words()));
                }
                for call in &answer.calls {
                    paragraph(&mut out, &format!("Call of {}:", code(&tool_name(call))));
                    fence(&mut out, "json", &call.arguments);
                    if let Some(outcome) = outcomes.get(&call.id) {
                        paragraph(&mut out, &format!("Outcome: {}", outcome.kind.word()));
                        fence(&mut out, "", &outcome.readable());
                    }
                }
            }
            // Told with its call.
            Body::Tool(_) => {}
        }
    }
    if !note.is_empty() {
        let _ = write!(out, "\n---\n\n*{}*\n", one_line(note));
    }
    out
}

fn section(out: &mut String, who: &str) {
    let _ = write!(out, "\n## {}\n", one_line(who));
}

fn paragraph(out: &mut String, text: &str) {
    if !text.is_empty() {
        let _ = write!(out, "\n{}\n", text.trim_end());
    }
}

fn quote(out: &mut String, text: &str) {
    out.push('\n');
    for line in text.lines() {
        let _ = writeln!(out, "> {line}");
    }
}

/// A fence that is longer than any run of backticks in its text.
fn fence(out: &mut String, language: &str, text: &str) {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    let _ = write!(out, "\n{fence}{language}\n{}\n{fence}\n", text.trim_end_matches('\n'));
}

fn code(text: &str) -> String {
    let ticks = "`".repeat(longest_run(text) + 1);
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{ticks}{space}{}{space}{ticks}", one_line(text))
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
