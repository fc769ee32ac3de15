//! Where cells are written: the one place through which text reaches ratatui's buffer.
//!
//! # Invariants
//! - What is written was sanitised: rows are made of safe text, and [`Canvas::put`] sanitises again what is not plain.
//! - Nothing is written outside the area, at any size; what does not fit ends with the sign of what was cut.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};

use super::ink::{Ink, Row, Tint};
use super::links::Links;
use super::pictures::Picture;
use super::theme::Theme;
use crate::app::{Area, Keymap};

pub(super) struct Canvas<'a> {
    pub buffer: &'a mut Buffer,
    pub theme: &'a Theme,
    /// Where the terminal's caret is to stand.
    pub caret: Option<(u16, u16)>,
    /// Where the cells lead that were drawn as links.
    pub links: Links,
    /// Pictures of which cells were drawn.
    pub pictures: Vec<Picture>,
    /// What is bound now: no key is drawn but as this names it.
    pub keys: &'a Keymap,
}

impl<'a> Canvas<'a> {
    pub(super) fn new(buffer: &'a mut Buffer, theme: &'a Theme, keys: &'a Keymap) -> Self {
        Self { buffer, theme, caret: None, links: Links::default(), pictures: Vec::new(), keys }
    }

    /// A hint's key, as it is bound now and in the theme's glyphs; None where it has none. Arrows stand for themselves;
    /// `{list.arrows}` are those that move in a list, or what a person bound in their place.
    pub(super) fn key(&self, spec: &str) -> Option<String> {
        let glyphs = self.theme.glyphs;
        let spec = match spec {
            "{list.arrows}" => {
                let still = |name: &str, arrow: &str| self.keys.keys_of(name).iter().any(|key| key == arrow);
                if still("list.up", "up") && still("list.down", "down") { "↑↓" } else { "{list.up}/{list.down}" }
            }
            "{list.arrow_down}" => {
                if self.keys.keys_of("list.down").iter().any(|key| key == "down") {
                    "↓"
                } else {
                    "{list.down}"
                }
            }
            spec => spec,
        };
        match spec {
            "↑↓" => Some(glyphs.up_down.to_owned()),
            "↑" => Some(glyphs.up.to_owned()),
            "↓" => Some(glyphs.down.to_owned()),
            "←→" => Some(glyphs.left_right.to_owned()),
            spec => self.keys.spell(spec).map(Cow::into_owned),
        }
    }

    /// Writes a line at `x` (columns from the left of `area`) and `y` (rows from its top). Returns the column after it.
    pub(super) fn put(&mut self, area: Rect, x: usize, y: usize, text: &str, tint: impl Into<Tint>) -> usize {
        let mut row = Row::new();
        row.push(text, tint);
        self.row(area, x, y, &row)
    }

    /// Writes a line so that it ends before column `right`.
    pub(super) fn put_right(&mut self, area: Rect, right: usize, y: usize, text: &str, tint: impl Into<Tint>) -> usize {
        let mut row = Row::new();
        row.push(text, tint);
        self.row_right(area, right, y, &row)
    }

    /// As [`Canvas::put_right`], for a row. Returns the column where it begins.
    pub(super) fn row_right(&mut self, area: Rect, right: usize, y: usize, row: &Row) -> usize {
        let x = right.saturating_sub(row.width());
        self.row(area, x, y, row);
        x
    }

    pub(super) fn row(&mut self, area: Rect, x: usize, y: usize, row: &Row) -> usize {
        let area = area.intersection(self.buffer.area);
        if y >= usize::from(area.height) || x >= usize::from(area.width) {
            return x + row.width();
        }
        let top = area.y + y as u16;
        let mut at = area.x + x as u16;
        let seen = x + row.width();
        let too_wide = seen > usize::from(area.width) && !row.text().ends_with(' ');
        let right = area.right().saturating_sub(u16::from(too_wide));
        let mut last = Tint::default();
        for (text, tint, to) in row.pieces() {
            let room = right.saturating_sub(at);
            if room == 0 {
                break;
            }
            last = tint;
            let mark = to.map_or(Color::Reset, |to| self.links.mark(to));
            let style = self.theme.style(tint).underline_color(mark);
            // The sign of what was cut is the program's own: it follows the theme's glyphs.
            let ellipsis = self.theme.glyphs.ellipsis;
            let plain;
            let text = if ellipsis != "…" && text.contains('…') {
                plain = text.replace('…', ellipsis);
                plain.as_str()
            } else {
                text
            };
            at = self.write(at, top, text, usize::from(room), style);
        }
        if too_wide {
            // Nothing is cut off silently, whoever laid it out.
            let style = self.theme.style(last);
            self.buffer.set_stringn(at, top, self.theme.glyphs.ellipsis, usize::from(area.right() - at), style);
        }
        seen
    }

    /// Writes as much of a text as has room, from a cell of the buffer on. Returns the column behind it.
    fn write(&mut self, x: u16, y: u16, text: &str, room: usize, style: Style) -> u16 {
        // Most texts are cells of one byte: no need to look for the bounds of clusters.
        if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return self.buffer.set_stringn(x, y, text, room, style).0;
        }
        let mut at = x;
        for letter in text.chars().take(room) {
            let Some(cell) = self.buffer.cell_mut((at, y)) else { break };
            cell.set_char(letter).set_style(style);
            at += 1;
        }
        at
    }

    /// One row of a picture, for the terminal to draw.
    pub(super) fn picture(&mut self, area: Rect, x: usize, y: usize, picture: &Picture, row: usize) {
        let [_, r, g, b] = picture.number.to_be_bytes();
        let style = Style::new().fg(Color::Rgb(r, g, b)).underline_color(Color::Reset);
        for column in 0..usize::from(picture.columns) {
            let cell = rows_of(columns_of(area, x + column, 1), y, 1).intersection(self.buffer.area);
            if cell.area() > 0 {
                self.buffer.set_stringn(cell.x, cell.y, picture.cell(column, row), 1, style);
            }
        }
        if !self.pictures.contains(picture) {
            self.pictures.push(picture.clone());
        }
    }

    /// Lays a style over cells that are there already.
    pub(super) fn over(&mut self, area: Rect, y: usize, style: Style) {
        if y < usize::from(area.height) {
            let row = Rect { y: area.y + y as u16, height: 1, ..area };
            self.buffer.set_style(row.intersection(self.buffer.area), style);
        }
    }

    /// A rule from edge to edge.
    pub(super) fn rule(&mut self, area: Rect, y: usize) {
        let glyph = self.theme.glyphs.rule.repeat(usize::from(area.width));
        self.put(area, 0, y, &glyph, Ink::Dim);
    }

    /// Blank cells: what lies below is gone.
    pub(super) fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                self.buffer[(x, y)].reset();
            }
        }
    }

    /// A bar of `cells`, filled to `part` (0 to 1).
    pub(super) fn bar(&self, cells: usize, part: f64) -> String {
        let full = (part.clamp(0.0, 1.0) * cells as f64).round() as usize;
        let full = full.min(cells);
        self.theme.glyphs.full.repeat(full) + &self.theme.glyphs.empty.repeat(cells - full)
    }
}

/// Rows of an area from `top`, `height` of them or as many as there are.
pub(super) fn rows_of(area: Rect, top: usize, height: usize) -> Rect {
    let top = top.min(usize::from(area.height));
    let height = height.min(usize::from(area.height) - top);
    Rect { y: area.y + top as u16, height: height as u16, ..area }
}

/// Columns of an area from `left`.
pub(super) fn columns_of(area: Rect, left: usize, width: usize) -> Rect {
    let left = left.min(usize::from(area.width));
    let width = width.min(usize::from(area.width) - left);
    Rect { x: area.x + left as u16, width: width as u16, ..area }
}

pub(super) fn hit(area: Rect) -> Area {
    Area { x: area.x, y: area.y, width: area.width, height: area.height }
}
