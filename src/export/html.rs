//! The form to share: one self-contained page, without scripts and without anything that is fetched.

use std::fmt::Write as _;

use super::{outcomes, title, tool_name};
use crate::chat::{Body, Conversation, Part};

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n\
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
<meta name=\"referrer\" content=\"no-referrer\">\n";

const STYLE: &str = "<style>
:root{color-scheme:light dark}
body{max-width:48rem;margin:2rem auto;padding:0 1rem;font:16px/1.5 system-ui,sans-serif}
h2{font-size:1rem;margin:2rem 0 .5rem;opacity:.7}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.5rem 0;font:inherit;unicode-bidi:isolate}
pre.code{font:.85rem/1.4 ui-monospace,monospace;padding:.75rem;border:1px solid #8884;border-radius:.4rem}
details{margin:.5rem 0}
img{max-width:100%}
</style>
";

/// A conversation as a page.
#[must_use]
pub fn html(conversation: &Conversation) -> String {
    let outcomes = outcomes(conversation);
    let title = escape(title(conversation));
    let mut out = format!("{HEAD}<title>{title}</title>\n{STYLE}</head>\n<body>\n<h1>{title}</h1>\n");
    if let Some(system) = conversation.system.as_ref().filter(|system| !system.is_empty()) {
        folded(&mut out, "System prompt", system, false);
    }
    for message in &conversation.messages {
        match &message.body {
            Body::User(parts) => {
                heading(&mut out, "You");
                parts.iter().for_each(|part| user(&mut out, part));
            }
            Body::Assistant(answer) => {
                heading(&mut out, if answer.model.is_empty() { "Assistant" } else { &answer.model });
                if !answer.reasoning.is_empty() {
                    folded(&mut out, "Reasoning", &answer.reasoning, false);
                }
                text(&mut out, &answer.text);
                text(&mut out, &answer.refusal);
                if let Some(cut) = answer.cut() {
                    text(&mut out, &format!("({})", cut.words()));
                }
                for call in &answer.calls {
                    let name = tool_name(call);
                    let Some(outcome) = outcomes.get(&call.id) else {
                        folded(&mut out, &name, &call.arguments, true);
                        continue;
                    };
                    let result = outcome.readable();
                    let told = format!("{}\n\n{result}", call.arguments);
                    folded(&mut out, &format!("{name} · {}", outcome.kind.word()), &told, true);
                }
            }
            // Told with its call.
            Body::Tool(_) => {}
        }
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn heading(out: &mut String, who: &str) {
    let _ = writeln!(out, "<h2>{}</h2>", escape(who));
}

fn text(out: &mut String, text: &str) {
    if !text.is_empty() {
        let _ = writeln!(out, "<pre>{}</pre>", escape(text));
    }
}

fn folded(out: &mut String, summary: &str, text: &str, code: bool) {
    let class = if code { " class=\"code\"" } else { "" };
    let (summary, text) = (escape(summary), escape(text));
    let _ = writeln!(out, "<details><summary>{summary}</summary><pre{class}>{text}</pre></details>");
}

fn user(out: &mut String, part: &Part) {
    match part {
        Part::Text { text: said } => text(out, said),
        Part::File { name, text } => folded(out, name, text, true),
        Part::Image { name, mime, data } if is_picture(mime, data) => {
            let _ = writeln!(out, "<img alt=\"{}\" src=\"data:{mime};base64,{data}\">", escape(name));
        }
        Part::Image { name, .. } => text(out, &format!("[image {name}]")),
    }
}

/// A picture that browsers only draw: no SVG, nothing that could end the attribute.
fn is_picture(mime: &str, data: &str) -> bool {
    matches!(mime, "image/png" | "image/jpeg" | "image/gif" | "image/webp")
        && data.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
}

/// Text that is only text in HTML, in an element or a quoted attribute.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
