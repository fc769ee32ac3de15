//! The rows of the part that is looked at, kept while nothing of it changed.

use std::borrow::Cow;
use std::sync::Arc;

use super::found::Found;
use super::text::{Lines, Shape};
use super::tree::{self, TreeRow};
use super::{log, one};
use crate::app::{Call, Detail, DetailPart, Folds, State, TreeSpot};
use crate::chat::{CallId, ToolOutcome};
use crate::ui::figures::{counted, grouped};
use crate::ui::ink::{Ink, Row};
use crate::ui::markdown::wrap_row;
use crate::ui::theme::Glyphs;

/// A text that has lines of JSON between others is spread out up to so many bytes.
const SPREAD: usize = 256 * 1024;

/// What the rows were made of.
#[derive(Debug, PartialEq)]
struct Of {
    call: CallId,
    revision: u64,
    part: DetailPart,
    raw: bool,
    wrap: bool,
    pretty: bool,
    columns: usize,
    folds: Folds,
    /// A log goes on by itself: how much of it there was.
    said: (usize, usize),
}

/// The text itself: the outcome's own where it can be.
#[derive(Debug)]
enum Source {
    Full(Arc<ToolOutcome>),
    Told(Arc<ToolOutcome>),
    Own(String),
}

impl Source {
    fn text(&self) -> &str {
        match self {
            Self::Full(outcome) => outcome.full.as_deref().unwrap_or(&outcome.content),
            Self::Told(outcome) => &outcome.content,
            Self::Own(text) => text,
        }
    }
}

#[derive(Debug)]
enum Body {
    Lines(Lines),
    Tree(Vec<TreeRow>),
    Rows(Vec<Row>),
}

#[derive(Debug)]
pub(in crate::ui) struct DetailRows {
    of: Of,
    source: Source,
    body: Body,
    /// Whether the text is JSON, drawn as a tree or not.
    json: bool,
    /// What stands behind the text.
    notes: Vec<Row>,
    found: Found,
}

impl DetailRows {
    pub(super) fn refresh<'a>(
        kept: &'a mut Option<Self>,
        detail: &Detail,
        call: &Call,
        state: &State,
        glyphs: &'static Glyphs,
        columns: usize,
    ) -> &'a mut Self {
        let server =
            call.tool.as_ref().filter(|_| detail.part == DetailPart::Log).and_then(|t| state.servers.get(&t.server));
        let said = server.map_or((0, 0), |row| (row.status.life.log.lines.len(), row.status.stderr.len()));
        let of = Of {
            call: call.id.clone(),
            revision: call.revision,
            part: detail.part,
            raw: detail.raw,
            wrap: detail.wrap,
            pretty: detail.pretty,
            columns,
            folds: detail.folds.clone(),
            said,
        };
        let same_text = |rows: &Self| {
            let (old, new) = (&rows.of, &of);
            (&old.call, old.revision, old.part) == (&new.call, new.revision, new.part) && old.pretty == new.pretty
        };
        let rows = match kept.take() {
            Some(rows) if rows.of == of => rows,
            // A fold, or another width: the text is there already.
            Some(rows) if same_text(&rows) && rows.of.part != DetailPart::Log => {
                Self::of(of, rows.source, rows.json, call, state, glyphs)
            }
            Some(_) | None => {
                let source = source(detail, call);
                let json = tree::is_tree(source.text());
                Self::of(of, source, json, call, state, glyphs)
            }
        };
        let rows = kept.insert(rows);
        if let Body::Lines(lines) = &mut rows.body
            && !lines.done(rows.source.text())
        {
            lines.go_on(rows.source.text());
        }
        rows
    }

    fn of(of: Of, source: Source, json: bool, call: &Call, state: &State, glyphs: &'static Glyphs) -> Self {
        let text = source.text();
        let shows_tree = json && of.pretty && !of.raw && of.part != DetailPart::Told;
        let body = match of.part {
            DetailPart::Log => Body::Rows(log::rows(call, state, of.columns)),
            DetailPart::Result | DetailPart::Told | DetailPart::Arguments if shows_tree => {
                let layout =
                    tree::Layout { glyphs, columns: of.columns, wrap: of.wrap, folds: &of.folds, keys: &state.keymap };
                Body::Tree(tree::rows(text, &layout))
            }
            DetailPart::Result | DetailPart::Told | DetailPart::Arguments => {
                // Arguments have no controls that a tool would mean: all that cannot be seen is written out.
                let raw = of.raw || of.part == DetailPart::Arguments;
                Body::Lines(Lines::new(text, Shape { columns: of.columns, wrap: of.wrap, raw }))
            }
        };
        let indent = Row::label("   ", Ink::Text);
        let notes = call.outcome.iter().filter(|_| of.part == DetailPart::Result).flat_map(|outcome| &outcome.notes);
        let notes = notes
            .flat_map(|note| {
                let mut row = Row::new();
                row.push(&format!("! {}", one(note)), Ink::Warn);
                wrap_row(&row, of.columns.saturating_sub(1), &indent, &indent)
            })
            .collect();
        Self { of, source, body, json, notes, found: Default::default() }
    }

    /// The rows of a long text are still being counted, or looked through.
    pub(in crate::ui) fn left(&self) -> bool {
        match &self.body {
            Body::Lines(lines) => !lines.done(self.source.text()) || self.found.left(lines),
            Body::Tree(_) | Body::Rows(_) => false,
        }
    }

    pub(super) fn is_tree(&self) -> bool {
        matches!(self.body, Body::Tree(_))
    }

    pub(super) fn has_json(&self) -> bool {
        self.json && !matches!(self.of.part, DetailPart::Log | DetailPart::Told)
    }

    fn of_body(&self) -> usize {
        match &self.body {
            Body::Lines(lines) => lines.rows,
            Body::Tree(rows) => rows.len(),
            Body::Rows(rows) => rows.len(),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.of_body() + self.notes.len()
    }

    pub(super) fn visible(&self, top: usize, page: usize) -> Vec<Row> {
        let mut out: Vec<Row> = match &self.body {
            Body::Lines(lines) => lines.visible(self.source.text(), top, page),
            Body::Tree(rows) => rows.iter().skip(top).take(page).map(|row| row.row.clone()).collect(),
            Body::Rows(rows) => rows.iter().skip(top).take(page).cloned().collect(),
        };
        let skip = top.saturating_sub(self.of_body());
        out.extend(self.notes.iter().skip(skip).take(page.saturating_sub(out.len())).cloned());
        out
    }

    pub(super) fn spots(&self, top: usize, page: usize) -> Vec<TreeSpot> {
        let Body::Tree(rows) = &self.body else { return Vec::new() };
        let spot = |(row, of): (usize, &TreeRow)| TreeSpot { row, node: of.node, kind: of.kind, parent: of.parent };
        rows.iter().enumerate().skip(top).take(page).map(spot).collect()
    }

    /// The rows that hold what is looked for, whatever its case; of a long text as far as they are known by now.
    pub(super) fn found(&mut self, find: Option<&str>) -> &[usize] {
        self.found.look_for(find.unwrap_or_default());
        match &self.body {
            Body::Lines(lines) => self.found.in_lines(lines, self.source.text()),
            Body::Tree(rows) => self.found.in_rows(rows.iter().map(|row| &row.row)),
            Body::Rows(rows) => self.found.in_rows(rows.iter()),
        }
        self.found.rows()
    }

    /// Where not all of it was looked through, so.
    pub(super) fn found_in(&self) -> &'static str {
        match &self.body {
            Body::Tree(_) => " in what is unfolded",
            Body::Lines(lines) if self.found.left(lines) => " so far",
            Body::Lines(_) | Body::Rows(_) => "",
        }
    }

    /// Controls that were taken out of what is known of the text.
    pub(super) fn removed(&self) -> usize {
        match &self.body {
            Body::Lines(lines) => lines.removed,
            Body::Tree(_) | Body::Rows(_) => 0,
        }
    }

    /// How much there is, and what of it is on the screen: lines are lines of the text.
    pub(super) fn measure(&self, top: usize, last: usize, wide: bool, narrow: bool) -> String {
        let text = self.source.text();
        let Body::Lines(lines) = &self.body else { return String::new() };
        let all = lines.lines;
        if all == 0 || lines.rows == 0 {
            return String::new();
        }
        let line = |row: usize| lines.line_of(text, row.min(lines.rows - 1));
        let (from, to) = (line(top), line(last.saturating_sub(1)));
        if wide {
            format!("{}, showing {from}-{to}", counted(all as u64, "line", "lines"))
        } else if narrow {
            format!("{from}-{to}/{all}")
        } else {
            format!("lines {from}-{to} of {}", grouped(all as u64))
        }
    }
}

/// The text of a part.
fn source(detail: &Detail, call: &Call) -> Source {
    match (detail.part, &call.outcome) {
        (DetailPart::Arguments, _) => Source::Own(call.arguments.clone()),
        (DetailPart::Log, _) | (DetailPart::Result | DetailPart::Told, None) => Source::Own(String::new()),
        (DetailPart::Told, Some(outcome)) => Source::Told(Arc::clone(outcome)),
        (DetailPart::Result, Some(outcome)) => match outcome.readable() {
            Cow::Owned(text) => Source::Own(if detail.pretty { spread(&text).unwrap_or(text) } else { text }),
            Cow::Borrowed(text) => match detail.pretty.then(|| spread(text)).flatten() {
                Some(text) => Source::Own(text),
                None => Source::Full(Arc::clone(outcome)),
            },
        },
    }
}

/// A text between whose lines there are some that are JSON: these over several lines.
fn spread(text: &str) -> Option<String> {
    if text.len() > SPREAD || tree::is_tree(text) || !text.lines().any(|line| line.starts_with(['{', '['])) {
        return None;
    }
    let lines = text.split('\n').map(|line| super::spread::pretty(line).map_or(Cow::Borrowed(line), Cow::Owned));
    Some(lines.collect::<Vec<_>>().join("\n"))
}
