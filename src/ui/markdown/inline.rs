//! The inside of a paragraph: one text with its inks, ready to be wrapped.

use pulldown_cmark::{Event, Tag, TagEnd};

use crate::text::{Address, sanitize, wrap_hanging};
use crate::ui::ink::{Ink, Row, Tint};

/// Collects inline events into one row of text, which may hold `\n` for hard breaks.
#[derive(Debug, Default)]
pub(super) struct Inline {
    row: Row,
    bold: u32,
    italic: u32,
    strike: u32,
    heading: bool,
    links: Vec<Link>,
    image: u32,
}

#[derive(Debug)]
struct Link {
    url: String,
    /// Where its label starts.
    start: usize,
}

impl Inline {
    pub(super) fn heading() -> Self {
        Self { heading: true, ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.row.text().is_empty()
    }

    fn tint(&self) -> Tint {
        let ink = if !self.links.is_empty() {
            Ink::Link
        } else if self.heading {
            Ink::Accent
        } else {
            Ink::Text
        };
        Tint {
            ink,
            bold: self.bold > 0 || self.heading,
            italic: self.italic > 0,
            underline: false,
            strike: self.strike > 0,
        }
    }

    pub(super) fn text(&mut self, text: &str, tint: Tint) {
        // An entity such as `&#27;` becomes a character here, so this text is not safe even where its source was.
        self.row.push_safe(sanitize(text).as_str(), tint);
    }

    /// Takes an event of the inside of a paragraph; false where it is none.
    pub(super) fn event(&mut self, event: &Event<'_>) -> bool {
        match event {
            Event::Text(text) => self.text(text, self.tint()),
            Event::Code(text) => {
                let tint = Tint { ink: if self.links.is_empty() { Ink::Code } else { Ink::Link }, ..self.tint() };
                self.text(text, tint);
            }
            Event::InlineMath(text) => self.text(&format!("${text}$"), Tint::of(Ink::Code)),
            Event::DisplayMath(text) => self.text(&format!("$${}$$", text.trim_matches('\n')), Tint::of(Ink::Code)),
            Event::InlineHtml(text) if is_break(text) => self.row.push_safe("\n", Tint::default()),
            Event::InlineHtml(text) | Event::Html(text) => self.text(text, Tint::of(Ink::Dim)),
            Event::FootnoteReference(name) => self.text(&format!("[{name}]"), Tint::of(Ink::Accent)),
            Event::SoftBreak => self.row.push_safe(" ", self.tint()),
            Event::HardBreak => self.row.push_safe("\n", Tint::default()),
            Event::TaskListMarker(done) => self.text(if *done { "[x] " } else { "[ ] " }, Tint::of(Ink::Accent)),
            Event::Start(Tag::Emphasis) => self.italic += 1,
            Event::End(TagEnd::Emphasis) => self.italic = self.italic.saturating_sub(1),
            Event::Start(Tag::Strong) => self.bold += 1,
            Event::End(TagEnd::Strong) => self.bold = self.bold.saturating_sub(1),
            Event::Start(Tag::Strikethrough) => self.strike += 1,
            Event::End(TagEnd::Strikethrough) => self.strike = self.strike.saturating_sub(1),
            Event::Start(Tag::Link { dest_url, .. }) => {
                self.links.push(Link { url: dest_url.to_string(), start: self.row.text().len() });
            }
            Event::End(TagEnd::Link) => {
                let Some(link) = self.links.pop() else { return true };
                let note = host_note(&link.url, &self.row.text()[link.start..]);
                if let Some(to) = Address::of(&link.url) {
                    self.row.link_from(link.start, to);
                }
                if let Some(note) = note {
                    self.text(&note, Tint::of(Ink::Dim));
                }
            }
            Event::Start(Tag::Image { .. }) => {
                self.image += 1;
                self.text("[image: ", Tint::of(Ink::Dim));
            }
            Event::End(TagEnd::Image) => {
                self.image = self.image.saturating_sub(1);
                self.text("]", Tint::of(Ink::Dim));
            }
            Event::Start(_) | Event::End(_) | Event::Rule => return false,
        }
        true
    }

    /// The row, its bare addresses made links; `half` is the end of what is still being written.
    pub(super) fn into_row(mut self, half: Option<&str>) -> Row {
        self.row.link_addresses(half);
        self.row
    }
}

/// Breaks one long row into rows that fit, each behind its prefix.
pub(in crate::ui) fn wrap_row(row: &Row, width: usize, first: &Row, rest: &Row) -> Vec<Row> {
    let fit = |prefix: &Row| width.saturating_sub(prefix.width());
    let mut before = None;
    wrap_hanging(row.text(), fit(first), fit(rest))
        .into_iter()
        .map(|range| {
            let mut out = if before.is_none() { first.clone() } else { rest.clone() };
            let lead = out.text().len();
            let gap = before.map_or("\n", |end| &row.text()[end..range.start]);
            let broken = if gap.contains('\n') { None } else { Some(if gap.is_empty() { "" } else { " " }) };
            before = Some(range.end);
            out.append(&row.slice(range));
            out.set_place(lead, broken);
            out
        })
        .collect()
}

/// The words of a text without the marks of markdown, on one line.
pub(in crate::ui) fn plain(text: &str) -> String {
    use pulldown_cmark::{Event, Parser};
    let mut out = String::new();
    for event in Parser::new(text) {
        match event {
            Event::Text(text) | Event::Code(text) | Event::InlineHtml(text) | Event::Html(text) => out.push_str(&text),
            Event::SoftBreak | Event::HardBreak | Event::End(_) if !out.ends_with(' ') => out.push(' '),
            _ => {}
        }
    }
    // What was cut off before its closing mark.
    out.replace("**", "").replace('`', "").trim().to_owned()
}

fn is_break(html: &str) -> bool {
    let tag = html.trim_matches(['<', '>', '/', ' ']);
    tag.eq_ignore_ascii_case("br")
}

/// Where a link leads, where its label does not say so: the host of an http address, the whole of any other.
fn host_note(url: &str, label: &str) -> Option<String> {
    let url = url.strip_prefix("mailto:").unwrap_or(url);
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let Some(rest) = rest else {
        return (!url.is_empty() && url != label && !url.starts_with('#')).then(|| format!(" ({url})"));
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    // What stands before an `@` is a name that looks like a host.
    let host = authority.rsplit('@').next().unwrap_or("");
    let shown = label.strip_prefix("https://").or_else(|| label.strip_prefix("http://")).unwrap_or(label);
    let told = shown == host || shown.strip_prefix(host).is_some_and(|after| after.starts_with(['/', '?', '#']));
    (!told).then(|| format!(" ({host})"))
}
