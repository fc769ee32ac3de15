//! Links of a frame: which cells lead where, without a byte of it in the cells.
//!
//! A cell that leads somewhere carries a mark in the colour of its underline, which no theme uses: so a change of the
//! link alone is a change of the cell, and a frame's difference holds exactly the cells to be written again. `tui` takes
//! the mark out and writes the link.
//!
//! # Invariants
//! - Equal addresses have equal marks from frame to frame; two addresses of one frame never share one.

use std::collections::HashMap;

use ratatui::buffer::Cell;
use ratatui::style::Color;

use crate::text::Address;

#[derive(Clone, Debug, Default)]
pub struct Links {
    by_mark: HashMap<u32, Address>,
}

impl Links {
    /// The mark of cells that lead there.
    pub(super) fn mark(&mut self, to: &Address) -> Color {
        let mut mark = fingerprint(to.as_str());
        while self.by_mark.get(&mark).is_some_and(|known| known != to) {
            mark = (mark + 1) & MOST;
        }
        self.by_mark.entry(mark).or_insert_with(|| to.clone());
        let [_, r, g, b] = mark.to_be_bytes();
        Color::Rgb(r, g, b)
    }

    /// Where a cell of the frame leads, and a number that all cells have that lead there.
    #[must_use]
    pub fn of(&self, cell: &Cell) -> Option<(u32, &Address)> {
        let Color::Rgb(r, g, b) = cell.underline_color else { return None };
        let mark = u32::from_be_bytes([0, r, g, b]);
        self.by_mark.get(&mark).map(|to| (mark, to))
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_mark.is_empty()
    }
}

/// Marks are colours: 24 bits.
const MOST: u32 = 0x00ff_ffff;

/// FNV-1a, folded.
fn fingerprint(text: &str) -> u32 {
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, b| (hash ^ u32::from(b)).wrapping_mul(0x0100_0193));
    (hash >> 24) ^ (hash & MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_leads_back_to_its_address_and_to_no_other() {
        let mut links = Links::default();
        let to = |n: u32| Address::of(&format!("https://a.example/{n}")).unwrap();
        let marks: Vec<Color> = (0..20_000).map(|n| links.mark(&to(n))).collect();
        for (n, mark) in (0..).zip(&marks) {
            let mut cell = Cell::default();
            assert!(links.of(&cell).is_none());
            cell.underline_color = *mark;
            assert_eq!(links.of(&cell).map(|(_, to)| to.clone()), Some(to(n)));
            assert_eq!(links.mark(&to(n)), *mark);
        }
    }
}
