//! Markdown as elements: a closed list of them, with every text escaped.
//!
//! # Invariants
//! - HTML within Markdown is text. Pictures are named, never fetched. A link leads to `http`, `https` or `mailto`, or is
//!   no link and shows where it would have led.
//! - What is opened is closed, however deep it was nested.

use pulldown_cmark::{Alignment, CodeBlockKind, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::code::Colours;
use super::{escape, escape_into};

/// Elements deeper than this are not written, only what is in them.
const DEEPEST: usize = 64;
/// Characters of an address that are shown.
const ADDRESS: usize = 300;

/// Writes an answer.
pub(super) fn write(out: &mut String, markdown: &str, colours: &mut Colours) {
    let mut prose = Prose {
        out,
        colours,
        closing: Vec::new(),
        columns: Vec::new(),
        column: 0,
        in_head: false,
        held: Held::Nothing,
    };
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    for event in Parser::new_ext(markdown, options) {
        prose.event(event);
    }
}

/// Text that is gathered until what holds it ends.
enum Held {
    Nothing,
    Code {
        language: String,
        text: String,
    },
    /// What stands for a picture where it is not shown; how many pictures are nested in it.
    Picture {
        address: String,
        text: String,
        inner: usize,
    },
}

struct Prose<'a> {
    out: &'a mut String,
    colours: &'a mut Colours,
    /// What closes each open element, innermost last; empty for one that was too deep.
    closing: Vec<String>,
    columns: Vec<Alignment>,
    column: usize,
    in_head: bool,
    held: Held,
}

impl Prose<'_> {
    fn event(&mut self, event: Event<'_>) {
        match (&mut self.held, event) {
            (Held::Nothing, event) => self.shown(event),
            (Held::Code { .. }, Event::End(TagEnd::CodeBlock)) => self.end_code(),
            (Held::Code { text, .. }, Event::Text(more)) => text.push_str(&more),
            // Nothing else stands in code.
            (Held::Code { .. }, _) => {}
            (Held::Picture { inner, .. }, Event::Start(Tag::Image { .. })) => *inner += 1,
            (Held::Picture { inner, .. }, Event::End(TagEnd::Image)) if *inner > 0 => *inner -= 1,
            (Held::Picture { .. }, Event::End(TagEnd::Image)) => self.end_picture(),
            (Held::Picture { text, .. }, Event::Text(more) | Event::Code(more)) => text.push_str(&more),
            (Held::Picture { text, .. }, Event::SoftBreak | Event::HardBreak) => text.push(' '),
            // The words count, not how they are set.
            (Held::Picture { .. }, _) => {}
        }
    }

    fn shown(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(end) => self.end(end),
            Event::Text(text) => escape_into(self.out, &text),
            // Of both, only that it was written is told.
            Event::Html(text) | Event::InlineHtml(text) => escape_into(self.out, &text),
            Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.out.push_str("<code>");
                escape_into(self.out, &text);
                self.out.push_str("</code>");
            }
            Event::FootnoteReference(name) => escape_into(self.out, &format!("[{name}]")),
            Event::SoftBreak => self.out.push('\n'),
            Event::HardBreak => self.out.push_str("<br>\n"),
            Event::Rule => self.out.push_str("<hr>\n"),
            Event::TaskListMarker(done) => self.out.push_str(if done { "☑ " } else { "☐ " }),
        }
    }

    fn open(&mut self, element: &str, attributes: &str, closing: &str) {
        if self.closing.len() >= DEEPEST {
            self.closing.push(String::new());
            return;
        }
        self.out.push('<');
        self.out.push_str(element);
        self.out.push_str(attributes);
        self.out.push('>');
        self.closing.push(format!("</{element}>{closing}"));
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph => self.open("p", "", "\n"),
            Tag::Heading { level, .. } => self.open(heading(level), "", "\n"),
            Tag::BlockQuote(_) => self.open("blockquote", "", "\n"),
            Tag::HtmlBlock => self.open("pre", "", "\n"),
            Tag::CodeBlock(kind) => {
                let language = match kind {
                    CodeBlockKind::Fenced(language) => language.into_string(),
                    CodeBlockKind::Indented => String::new(),
                };
                self.held = Held::Code { language, text: String::new() };
            }
            Tag::List(Some(1)) => self.open("ol", "", "\n"),
            Tag::List(Some(from)) => self.open("ol", &format!(" start=\"{from}\""), "\n"),
            Tag::List(None) => self.open("ul", "", "\n"),
            Tag::Item => self.open("li", "", "\n"),
            Tag::Table(columns) => {
                self.columns = columns;
                self.open("table", "", "\n");
            }
            Tag::TableHead => {
                (self.in_head, self.column) = (true, 0);
                self.open("thead", "", "\n");
                self.open("tr", "", "");
            }
            Tag::TableRow => {
                self.column = 0;
                self.open("tr", "", "\n");
            }
            Tag::TableCell => {
                let class = match self.columns.get(self.column) {
                    Some(Alignment::Center) => " class=\"center\"",
                    Some(Alignment::Right) => " class=\"right\"",
                    Some(Alignment::Left | Alignment::None) | None => "",
                };
                self.column += 1;
                self.open(if self.in_head { "th" } else { "td" }, class, "");
            }
            Tag::Emphasis => self.open("em", "", ""),
            Tag::Strong => self.open("strong", "", ""),
            Tag::Strikethrough => self.open("del", "", ""),
            Tag::Link { dest_url, .. } => self.link(&dest_url),
            Tag::Image { dest_url, .. } => {
                self.held = Held::Picture { address: dest_url.into_string(), text: String::new(), inner: 0 };
            }
            Tag::FootnoteDefinition(_)
            | Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::Superscript
            | Tag::Subscript
            | Tag::MetadataBlock(_) => self.open("div", "", "\n"),
        }
    }

    fn end(&mut self, end: TagEnd) {
        if matches!(end, TagEnd::TableHead) {
            self.in_head = false;
            self.close();
        }
        self.close();
    }

    fn close(&mut self) {
        if let Some(closing) = self.closing.pop() {
            self.out.push_str(&closing);
        }
    }

    fn link(&mut self, address: &CowStr<'_>) {
        if may_be_followed(address) {
            let attributes = format!(" href=\"{}\" rel=\"noopener noreferrer nofollow\"", escape(address));
            self.open("a", &attributes, "");
        } else {
            self.open("span", " class=\"about\"", &format!(" ({})", escape(&shortened(address))));
        }
    }

    fn end_code(&mut self) {
        if let Held::Code { language, text } = std::mem::replace(&mut self.held, Held::Nothing) {
            self.colours.block(self.out, &language, &text);
        }
    }

    fn end_picture(&mut self) {
        if let Held::Picture { address, text, .. } = std::mem::replace(&mut self.held, Held::Nothing) {
            self.out.push_str("<span class=\"about\">[image");
            for said in [text, shortened(&address)].iter().filter(|said| !said.trim().is_empty()) {
                self.out.push(' ');
                escape_into(self.out, said);
            }
            self.out.push_str("]</span>");
        }
    }
}

/// Below the page's own two.
fn heading(level: HeadingLevel) -> &'static str {
    match level {
        HeadingLevel::H1 => "h3",
        HeadingLevel::H2 => "h4",
        HeadingLevel::H3 => "h5",
        HeadingLevel::H4 | HeadingLevel::H5 | HeadingLevel::H6 => "h6",
    }
}

/// Browsers take characters out of an address before they look at its scheme: one that holds any is no link.
fn may_be_followed(address: &str) -> bool {
    let begins = |scheme: &str| address.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    ["http://", "https://", "mailto:"].iter().any(|scheme| begins(scheme))
        && !address.chars().any(|c| c.is_control() || c.is_whitespace())
}

fn shortened(address: &str) -> String {
    match address.char_indices().nth(ADDRESS) {
        Some((end, _)) => format!("{}…", &address[..end]),
        None => address.to_owned(),
    }
}
