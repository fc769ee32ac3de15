//! One block of markdown, parsed and laid out.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::text::sanitize;
use crate::ui::ink::{Ink, Row, Tint};
use crate::ui::theme::Glyphs;

use super::inline::{Inline, wrap_row};
use super::table::Table;

/// How deep containers may indent; deeper ones are drawn at this depth, so that text keeps its room.
const DEEPEST: usize = 8;

/// The rows of one block. `text` is raw; `half` is the word at its end where more of that may come.
pub(super) fn render(text: &str, width: usize, glyphs: &Glyphs, half: Option<&str>) -> Vec<Row> {
    let safe = sanitize(text);
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_MATH;
    let mut writer = Writer {
        width,
        glyphs,
        half,
        rows: Vec::new(),
        within: Vec::new(),
        inline: None,
        gap: false,
        through: 0,
        code: None,
        table: None,
    };
    let written = super::maths::with_dollars(safe.as_str());
    let (text, own) = (super::notes::defined(&written), written.len());
    for (event, range) in Parser::new_ext(&text, options).into_offset_iter() {
        if range.start < own {
            writer.event(event);
        }
    }
    writer.flush();
    writer.rows
}

#[derive(Debug)]
enum Container {
    Quote,
    List {
        next: Option<u64>,
    },
    /// Its sign, drawn once; a loose item has paragraphs of its own.
    Item {
        sign: Row,
        drawn: bool,
        loose: bool,
    },
}

struct Writer<'a> {
    width: usize,
    glyphs: &'a Glyphs,
    half: Option<&'a str>,
    rows: Vec<Row>,
    within: Vec<Container>,
    inline: Option<Inline>,
    /// A blank row is due before the next block.
    gap: bool,
    /// The fewest containers that were open since then: the bars of these go through it.
    through: usize,
    code: Option<(String, String)>,
    table: Option<Table>,
}

impl Writer<'_> {
    fn event(&mut self, event: Event<'_>) {
        if let Some((_, code)) = &mut self.code
            && let Event::Text(text) = &event
        {
            code.push_str(text);
            return;
        }
        match event {
            Event::Start(Tag::Paragraph) => {
                self.flush();
                if let Some(Container::Item { loose, .. }) = self.within.last_mut() {
                    *loose = true;
                }
                self.inline = Some(Inline::default());
            }
            Event::Start(Tag::Heading { level, .. }) => {
                self.flush();
                let mut inline = Inline::heading();
                if level > HeadingLevel::H3 {
                    inline.text("# ", Tint::of(Ink::Dim));
                }
                self.inline = Some(inline);
            }
            Event::End(TagEnd::Paragraph | TagEnd::Heading(_)) => {
                self.flush();
                self.part(true);
            }
            Event::Start(Tag::BlockQuote(_)) => {
                self.flush();
                self.within.push(Container::Quote);
            }
            Event::Start(Tag::List(first)) => {
                self.flush();
                self.within.push(Container::List { next: first });
            }
            Event::Start(Tag::Item) => {
                self.flush();
                let sign = self.sign();
                self.within.push(Container::Item { sign, drawn: false, loose: false });
            }
            Event::Start(Tag::FootnoteDefinition(name)) => {
                self.flush();
                let mut sign = Row::new();
                sign.push(&format!("[{name}] "), Ink::Accent);
                self.within.push(Container::Item { sign, drawn: false, loose: false });
            }
            Event::End(TagEnd::Item) => {
                self.flush();
                // An empty item still shows its sign.
                if let Some(Container::Item { drawn: false, .. }) = self.within.last() {
                    self.emit(vec![Row::new()]);
                }
                if let Some(Container::Item { loose, .. }) = self.within.pop() {
                    self.part(loose);
                }
            }
            Event::End(TagEnd::List(_) | TagEnd::BlockQuote(_) | TagEnd::FootnoteDefinition) => {
                self.flush();
                self.within.pop();
                self.part(!self.tight());
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                self.flush();
                let language = match kind {
                    CodeBlockKind::Fenced(info) => info.split([' ', ',', '{']).next().unwrap_or("").to_owned(),
                    CodeBlockKind::Indented => String::new(),
                };
                self.code = Some((language, String::new()));
            }
            Event::End(TagEnd::CodeBlock) => {
                if let Some((language, code)) = self.code.take() {
                    self.code_block(&language, &code);
                }
            }
            Event::Rule => {
                self.flush();
                let room = self.room();
                let mut row = Row::new();
                row.push_safe(&self.glyphs.rule.repeat(room), Tint::of(Ink::Dim));
                self.emit(vec![row]);
                self.part(true);
            }
            Event::Start(Tag::Table(alignments)) => {
                self.flush();
                self.table = Some(Table { alignments, ..Table::default() });
            }
            Event::Start(Tag::TableRow) => {
                if let Some(table) = &mut self.table {
                    table.body.push(Vec::new());
                }
            }
            Event::Start(Tag::TableCell) => self.inline = Some(Inline::default()),
            Event::End(TagEnd::TableCell) => self.cell(),
            Event::End(TagEnd::Table) => {
                if let Some(table) = self.table.take() {
                    let rows = table.rows(self.room(), self.glyphs);
                    self.emit(rows);
                    self.part(true);
                }
            }
            Event::Start(Tag::HtmlBlock) => {
                self.flush();
                self.inline = Some(Inline::default());
            }
            Event::End(TagEnd::HtmlBlock) => {
                self.flush();
                self.part(true);
            }
            other => {
                self.inline.get_or_insert_with(Inline::default).event(&other);
            }
        }
    }

    /// Ends the text that is being collected: a tight item has no paragraph that would.
    fn flush(&mut self) {
        let Some(inline) = self.inline.take() else { return };
        if inline.is_empty() {
            return;
        }
        let none = Row::new();
        let rows = wrap_row(&inline.into_row(self.half), self.room(), &none, &none);
        self.emit(trim_blank(rows));
    }

    fn cell(&mut self) {
        let row = self.inline.take().unwrap_or_default().into_row(self.half);
        let Some(table) = &mut self.table else { return };
        match table.body.last_mut() {
            Some(cells) => cells.push(row),
            None => table.head.push(row.bold()),
        }
    }

    fn code_block(&mut self, language: &str, code: &str) {
        let indent = Row::label("  ", Ink::Code);
        let room = self.room();
        let mut rows = Vec::new();
        if !language.is_empty() {
            rows.extend(wrap_row(&Row::of(&sanitize(language).one_line(), Ink::Dim), room, &indent, &indent));
        }
        for line in code.trim_end_matches('\n').split('\n') {
            rows.extend(wrap_row(&Row::of(&sanitize(line).one_line(), Ink::Code), room, &indent, &indent));
        }
        self.emit(rows);
        self.part(!self.tight());
    }

    /// What comes next stands apart, or does not.
    fn part(&mut self, apart: bool) {
        self.gap = apart;
        self.through = self.within.len();
    }

    /// Whether what is drawn now stands in a list whose items stand close.
    fn tight(&self) -> bool {
        matches!(self.within.last(), Some(Container::Item { loose: false, .. }))
    }

    fn sign(&mut self) -> Row {
        let bullet = self.glyphs.bullet;
        let mut row = Row::new();
        match self.within.last_mut() {
            Some(Container::List { next: Some(n) }) => {
                row.push(&format!("{n}. "), Ink::Accent);
                *n = n.saturating_add(1);
            }
            Some(Container::List { next: None } | Container::Quote | Container::Item { .. }) | None => {
                row.push_safe(bullet, Tint::of(Ink::Accent));
                row.push_safe(" ", Tint::default());
            }
        }
        row
    }

    /// Columns left for text.
    fn room(&self) -> usize {
        let taken: usize = self
            .within
            .iter()
            .take(DEEPEST)
            .map(|c| match c {
                Container::Quote => 2,
                Container::List { .. } => 0,
                Container::Item { sign, .. } => sign.width(),
            })
            .sum();
        self.width.saturating_sub(taken).max(1)
    }

    /// What stands before a row: quote bars, an item's sign on its first row and blanks under it.
    fn prefix(&mut self, signs: bool, containers: usize) -> Row {
        let mut row = Row::new();
        for container in self.within.iter_mut().take(containers.min(DEEPEST)) {
            match container {
                Container::Quote => {
                    row.push_safe(self.glyphs.quote, Tint::of(Ink::Dim));
                    row.push_safe(" ", Tint::default());
                }
                Container::List { .. } => {}
                Container::Item { sign, drawn, .. } => {
                    if signs && !*drawn {
                        *drawn = true;
                        row.append(sign);
                    } else {
                        row.push_safe(&" ".repeat(sign.width()), Tint::default());
                    }
                }
            }
        }
        row
    }

    fn emit(&mut self, rows: Vec<Row>) {
        if self.gap && !self.rows.is_empty() {
            let through = self.through.min(self.within.len());
            let blank = self.prefix(false, through);
            self.rows.push(if blank.text().trim().is_empty() { Row::new() } else { blank });
        }
        self.gap = false;
        for content in rows {
            let bars = self.within.iter().take(DEEPEST).take_while(|c| matches!(c, Container::Quote)).count();
            let mut row = self.prefix(true, DEEPEST);
            // Signs of items and their depth belong to the text; bars, and what stands before a piece of a line, do not.
            let whole = content.lead() == 0 && content.broken().is_none();
            let lead = if whole { bars * (self.glyphs.quote.len() + 1) } else { row.text().len() + content.lead() };
            row.append(&content);
            row.set_place(lead, content.broken());
            self.rows.push(row);
        }
    }
}

/// Without blank rows at the end: a block of HTML ends with its line's end.
fn trim_blank(mut rows: Vec<Row>) -> Vec<Row> {
    while rows.len() > 1 && rows.last().is_some_and(|row| row.text().is_empty()) {
        rows.pop();
    }
    rows
}
