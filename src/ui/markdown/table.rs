//! Tables: by the width of their content, with wrapped cells where that is too wide, as records where even those would
//! be too narrow to read.

use pulldown_cmark::Alignment;

use crate::ui::ink::{Ink, Row, Tint};
use crate::ui::theme::Glyphs;

use super::inline::wrap_row;

/// Columns between two cells.
const GAP: usize = 2;
/// A cell narrower than this cannot be read: the table becomes records.
const NARROWEST: usize = 12;

#[derive(Debug, Default)]
pub(super) struct Table {
    pub alignments: Vec<Alignment>,
    pub head: Vec<Row>,
    pub body: Vec<Vec<Row>>,
}

impl Table {
    pub(super) fn rows(&self, width: usize, glyphs: &Glyphs) -> Vec<Row> {
        let columns = self.head.len().max(self.body.iter().map(Vec::len).max().unwrap_or(0));
        if columns == 0 {
            return Vec::new();
        }
        let natural: Vec<usize> =
            (0..columns).map(|c| self.cells(c).map(Row::width).max().unwrap_or(0).max(1)).collect();
        match fit(&natural, width.saturating_sub(GAP * (columns - 1))) {
            Some(widths) => self.grid(&widths, glyphs),
            None => self.records(width),
        }
    }

    fn cells(&self, column: usize) -> impl Iterator<Item = &Row> {
        std::iter::once(&self.head).chain(&self.body).filter_map(move |row| row.get(column))
    }

    fn grid(&self, widths: &[usize], glyphs: &Glyphs) -> Vec<Row> {
        let mut out = Vec::new();
        let alignments: Vec<Alignment> = (0..widths.len()).map(|c| self.alignment(c)).collect();
        self.line(&self.head, widths, &alignments, &mut out);
        let mut rule = Row::new();
        for (n, width) in widths.iter().enumerate() {
            rule.push_safe(&" ".repeat(if n == 0 { 0 } else { GAP }), Tint::default());
            rule.push_safe(&glyphs.rule.repeat(*width), Tint::of(Ink::Dim));
        }
        out.push(rule);
        for row in &self.body {
            self.line(row, widths, &alignments, &mut out);
        }
        out
    }

    /// As it was written; a column of figures for which nothing was written stands at the right.
    fn alignment(&self, column: usize) -> Alignment {
        match self.alignments.get(column) {
            Some(given @ (Alignment::Left | Alignment::Center | Alignment::Right)) => *given,
            Some(Alignment::None) | None => {
                let mut cells = self.body.iter().filter_map(|row| row.get(column)).map(|cell| cell.text().trim());
                let figures = !self.body.is_empty() && cells.all(is_figure);
                if figures { Alignment::Right } else { Alignment::None }
            }
        }
    }

    /// One row of the table, as many lines high as its highest cell.
    fn line(&self, cells: &[Row], widths: &[usize], alignments: &[Alignment], out: &mut Vec<Row>) {
        let none = Row::new();
        let wrapped: Vec<Vec<Row>> = widths
            .iter()
            .enumerate()
            .map(|(c, width)| wrap_row(cells.get(c).unwrap_or(&none), *width, &none, &none))
            .collect();
        let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
        for n in 0..height {
            let mut line = Row::new();
            let mut column = 0;
            for (c, width) in widths.iter().enumerate() {
                let cell = wrapped[c].get(n).unwrap_or(&none);
                let spare = width.saturating_sub(cell.width());
                let before = match alignments.get(c) {
                    Some(Alignment::Right) => spare,
                    Some(Alignment::Center) => spare / 2,
                    Some(Alignment::Left | Alignment::None) | None => 0,
                };
                line.pad_to(column + before);
                line.append(cell);
                column += width + GAP;
            }
            out.push(line);
        }
    }

    /// One `name: value` line per cell, a blank line between records.
    fn records(&self, width: usize) -> Vec<Row> {
        let none = Row::new();
        let mut out = Vec::new();
        for (n, cells) in self.body.iter().enumerate() {
            if n > 0 {
                out.push(Row::new());
            }
            for (c, cell) in cells.iter().enumerate() {
                let mut line = self.head.get(c).cloned().unwrap_or_default();
                line.push_safe(": ", Tint::of(Ink::Dim));
                line.append(cell);
                let indent = Row::label("  ", Ink::Text);
                out.extend(wrap_row(&line, width, &none, &indent));
            }
        }
        if self.body.is_empty() {
            for cell in &self.head {
                out.extend(wrap_row(cell, width, &none, &none));
            }
        }
        out
    }
}

/// A number, with a unit of three letters at most: `12`, `-3.5 %`, `1 204 ms`. Nothing counts as one.
fn is_figure(cell: &str) -> bool {
    let number = cell.trim_start_matches(['+', '-', '~', '<', '>', '$', '€']);
    let unit = number.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | ' ' | '_'));
    cell.is_empty()
        || cell == "-"
        || number.starts_with(|c: char| c.is_ascii_digit())
            && unit.chars().count() <= 3
            && unit.chars().all(|c| c.is_alphabetic() || matches!(c, '%' | '°' | '×'))
}

/// Column widths that fit into `room`: their own where all fit, else what is over is taken from the widest. None where
/// a column that needs more would get less than [`NARROWEST`].
fn fit(natural: &[usize], room: usize) -> Option<Vec<usize>> {
    let total: usize = natural.iter().sum();
    if total <= room {
        return Some(natural.to_vec());
    }
    // The cap under which all columns fit: the narrow keep their width, the wide share the rest.
    let mut sorted = natural.to_vec();
    sorted.sort_unstable();
    let mut left = room;
    let mut cap = 0;
    for (n, width) in sorted.iter().enumerate() {
        let share = left / (sorted.len() - n);
        if *width > share {
            cap = share;
            break;
        }
        left -= width;
    }
    (cap >= NARROWEST).then(|| natural.iter().map(|w| (*w).min(cap)).collect())
}
