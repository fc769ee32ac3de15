//! The form to look at in a browser: one self-contained page, without scripts and without anything that is fetched.
//!
//! # Invariants
//! - Elements and attributes are written by this module alone: whatever came from outside is text, escaped, and the one
//!   kind of address that stands in an attribute is `http`, `https` or `mailto`.
//! - The policy in the head allows this page's own style sheet by its hash, and pictures that stand in the page; nothing
//!   else.

mod code;
mod prose;
mod style;

use std::fmt::Write as _;

use super::{outcomes, title, tool_name};
use crate::chat::{Body, Conversation, Part, ToolCall, ToolOutcome, UnixMs};
use code::Colours;

/// A conversation as a page.
#[must_use]
pub fn html(conversation: &Conversation) -> String {
    noted_html(conversation, "")
}

/// The same with a sentence at its end.
#[must_use]
pub fn noted_html(conversation: &Conversation, note: &str) -> String {
    Page { out: style::head(&escape(title(conversation))), colours: Colours::default() }.whole(conversation, note)
}

/// A page while it is written.
struct Page {
    out: String,
    colours: Colours,
}

impl Page {
    fn whole(mut self, conversation: &Conversation, note: &str) -> String {
        let outcomes = outcomes(conversation);
        let summary = &conversation.summary;
        let _ = writeln!(self.out, "<h1>{}</h1>", escape(title(conversation)));
        let about: Vec<String> = [summary.model.clone(), moment(summary.created)]
            .into_iter()
            .filter(|said| !said.is_empty())
            .map(|said| escape(&said))
            .collect();
        let _ = writeln!(self.out, "<p class=\"about\">{}</p>", about.join(" · "));
        if let Some(system) = conversation.system.as_ref().filter(|system| !system.is_empty()) {
            self.folded("System prompt", |page| page.text(system));
        }
        for message in &conversation.messages {
            match &message.body {
                Body::User(parts) => {
                    self.section("user", "You", message.at);
                    parts.iter().for_each(|part| self.part(part));
                    self.out.push_str("</section>\n");
                }
                Body::Assistant(answer) => {
                    let who = if answer.model.is_empty() { "Assistant" } else { &answer.model };
                    self.section("answer", who, message.at);
                    if !answer.reasoning.is_empty() {
                        self.folded("Reasoning", |page| page.text(&answer.reasoning));
                    }
                    prose::write(&mut self.out, &answer.text, &mut self.colours);
                    self.text(&answer.refusal);
                    if let Some(cut) = answer.cut() {
                        self.text(&format!("({})", cut.words()));
                    }
                    for call in &answer.calls {
                        self.call(call, outcomes.get(&call.id).copied());
                    }
                    self.out.push_str("</section>\n");
                }
                // Told with its call.
                Body::Tool(_) => {}
            }
        }
        if !note.is_empty() {
            let _ = writeln!(self.out, "<hr>\n<p class=\"about\">{}</p>", escape(note));
        }
        self.out.push_str("</body>\n</html>\n");
        self.out
    }

    fn section(&mut self, class: &str, who: &str, at: UnixMs) {
        let (who, at) = (escape(who), moment(at));
        let _ = writeln!(self.out, "<section class=\"{class}\">\n<h2>{who} <small>{at}</small></h2>");
    }

    fn text(&mut self, text: &str) {
        if !text.is_empty() {
            let _ = writeln!(self.out, "<pre>{}</pre>", escape(text));
        }
    }

    fn folded(&mut self, summary: &str, inside: impl FnOnce(&mut Self)) {
        let _ = writeln!(self.out, "<details><summary>{}</summary>", escape(summary));
        inside(self);
        self.out.push_str("</details>\n");
    }

    fn call(&mut self, call: &ToolCall, outcome: Option<&ToolOutcome>) {
        let state = outcome.map(|outcome| format!(" · {}", outcome.kind.word())).unwrap_or_default();
        self.folded(&format!("{}{state}", tool_name(call)), |page| {
            page.colours.block(&mut page.out, "json", &call.arguments);
            if let Some(outcome) = outcome {
                page.colours.block(&mut page.out, "", &outcome.readable());
            }
        });
    }

    fn part(&mut self, part: &Part) {
        match part {
            Part::Text { text } => self.text(text),
            Part::File { name, text } => {
                let language = name.rsplit_once('.').map_or("", |(_, ending)| ending);
                self.folded(name, |page| page.colours.block(&mut page.out, language, text));
            }
            Part::Image { name, mime, data } if is_picture(mime, data) => {
                let _ = writeln!(self.out, "<img alt=\"{}\" src=\"data:{mime};base64,{data}\">", escape(name));
            }
            Part::Image { name, .. } => self.text(&format!("[image {name}]")),
        }
    }
}

/// Minutes are enough; the same on every machine.
fn moment(at: UnixMs) -> String {
    // What has no time has 0.
    let at = (at > 0).then(|| jiff::Timestamp::from_millisecond(at).ok()).flatten();
    at.map(|at| at.strftime("%Y-%m-%d %H:%M UTC").to_string()).unwrap_or_default()
}

/// A picture that browsers only draw: no SVG, nothing that could end the attribute.
fn is_picture(mime: &str, data: &str) -> bool {
    matches!(mime, "image/png" | "image/jpeg" | "image/gif" | "image/webp")
        && data.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
}

/// Text that is only text in HTML, in an element or a quoted attribute. What is not seen, and what would turn the order
/// of what is, is made visible.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape_into(&mut out, text);
    out
}

fn escape_into(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests;
