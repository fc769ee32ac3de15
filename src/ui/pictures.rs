//! Pictures in the transcript, where the terminal draws them: cells that stand for a piece of one each.
//!
//! kitty's placeholders are text: a private letter with two marks, for row and column, in a colour that is the picture's
//! number. So a picture takes part in scrolling, covering and the difference of frames like any letter. What the cells
//! stand for, `tui` tells the terminal.
//!
//! # Invariants
//! - Only what was attached or came as a result is shown, and only PNG of a bounded size: nothing is fetched or decoded.
//! - Without the terminal's word that it draws them (a cell's size), a line in brackets stands for a picture, as always.

use serde_json::Value;

use crate::app::{Call, EntryBody, State};
use crate::chat::{CallId, Media, MediaKind, Part, picture_head};

/// The highest a picture is drawn, and the widest: the marks below name no more columns.
const MOST_ROWS: usize = 20;
const MOST_COLUMNS: usize = MARKS.len();
/// The largest that a terminal is asked to decode: characters of base64, and pixels.
const MOST_DATA: usize = 4 * 1024 * 1024;
const MOST_PIXELS: usize = 16_000_000;

/// Pictures of one result that are drawn.
const MOST_OF_ONE: usize = 4;

const LETTER: char = '\u{10eeee}';
/// The marks that name a row or a column, from 0: the first of the protocol's list.
const MARKS: [char; 48] = [
    '\u{305}', '\u{30d}', '\u{30e}', '\u{310}', '\u{312}', '\u{33d}', '\u{33e}', '\u{33f}', '\u{346}', '\u{34a}',
    '\u{34b}', '\u{34c}', '\u{350}', '\u{351}', '\u{352}', '\u{357}', '\u{35b}', '\u{363}', '\u{364}', '\u{365}',
    '\u{366}', '\u{367}', '\u{368}', '\u{369}', '\u{36a}', '\u{36b}', '\u{36c}', '\u{36d}', '\u{36e}', '\u{36f}',
    '\u{483}', '\u{484}', '\u{485}', '\u{486}', '\u{487}', '\u{592}', '\u{593}', '\u{594}', '\u{595}', '\u{597}',
    '\u{598}', '\u{599}', '\u{59c}', '\u{59d}', '\u{59e}', '\u{59f}', '\u{5a0}', '\u{5a1}',
];

/// A picture that is on the screen, if only in part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Of 24 bits, not 0; the same from frame to frame.
    pub number: u32,
    pub columns: u16,
    pub rows: u16,
    pub of: PictureOf,
}

/// Where its data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PictureOf {
    /// A part of a person's message.
    Attached { key: u64, part: usize },
    /// A block of what a call came to.
    Result { call: CallId, block: usize },
}

impl Picture {
    /// Fitted into `width` columns of cells of so many pixels; None where it is not drawn.
    pub(super) fn new(of: PictureOf, data: &str, cell: (u16, u16), width: usize) -> Option<Self> {
        let base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
        if data.len() > MOST_DATA || !data.bytes().all(base64) {
            return None;
        }
        let (kind, (wide, high)) = picture_head(data)?;
        if kind != "image/png" || wide == 0 || high == 0 || wide.saturating_mul(high) > MOST_PIXELS {
            return None;
        }
        let (columns, rows) = fit((wide, high), cell, width)?;
        Some(Self { number: number(&of), columns, rows, of })
    }

    /// All that a call came to, in order.
    pub(super) fn of_call(call: &Call, cell: (u16, u16), width: usize) -> Vec<Self> {
        let Some(result) = call.outcome.as_ref().and_then(|outcome| outcome.result()) else { return Vec::new() };
        let fitted = images(&result).filter_map(|(block, data)| {
            Self::new(PictureOf::Result { call: call.id.clone(), block }, data, cell, width)
        });
        fitted.take(MOST_OF_ONE).collect()
    }

    /// What stands in one of its cells.
    pub(super) fn cell(&self, column: usize, row: usize) -> String {
        [LETTER].into_iter().chain(MARKS.get(row).copied()).chain(MARKS.get(column).copied()).collect()
    }
}

/// Columns and rows for so many pixels: their own size where that fits, else smaller in the same shape.
fn fit((wide, high): (usize, usize), (across, down): (u16, u16), width: usize) -> Option<(u16, u16)> {
    let (across, down) = (usize::from(across.max(1)), usize::from(down.max(1)));
    let mut columns = wide.div_ceil(across).min(width).min(MOST_COLUMNS);
    let rows_of = |columns: usize| (high * columns * across).div_ceil(wide * down).max(1);
    let mut rows = rows_of(columns);
    if rows > MOST_ROWS {
        rows = MOST_ROWS;
        columns = (wide * rows * down / (high * across)).clamp(1, columns.max(1));
    }
    (columns > 0).then_some((u16::try_from(columns).ok()?, u16::try_from(rows).ok()?))
}

/// The same for the same picture, and hardly ever for two.
fn number(of: &PictureOf) -> u32 {
    let (text, n) = match of {
        // Keys of entries are never used again within a conversation; another one has a range of its own.
        PictureOf::Attached { key, part } => (key.to_string(), part),
        PictureOf::Result { call, block } => (call.as_str().to_owned(), block),
    };
    let hash = text
        .bytes()
        .chain(n.to_le_bytes())
        .fold(0x811c_9dc5_u32, |hash, b| (hash ^ u32::from(b)).wrapping_mul(0x0100_0193));
    ((hash >> 24) ^ (hash & 0x00ff_ffff)).max(1)
}

/// The images of a result: the number of their block, and their data.
fn images(result: &Value) -> impl Iterator<Item = (usize, &str)> {
    let blocks = result.get("content").and_then(Value::as_array).into_iter().flatten().enumerate();
    blocks.filter_map(|(n, block)| {
        let (media, data) = Media::of(block)?;
        (media.kind == MediaKind::Image).then_some((n, data))
    })
}

/// Its data, as base64. None where that is no longer there.
#[must_use]
pub fn picture_data(state: &State, picture: &Picture) -> Option<String> {
    match &picture.of {
        PictureOf::Attached { key, part } => match &state.transcript.entry(*key)?.body {
            EntryBody::User(parts) => match parts.get(*part)? {
                Part::Image { data, .. } => Some(data.clone()),
                Part::Text { .. } | Part::File { .. } => None,
            },
            EntryBody::Answer(_) | EntryBody::Fault(_) | EntryBody::Note(_) | EntryBody::Summary(_) => None,
        },
        PictureOf::Result { call, block } => {
            let result = state.calls.by_id.get(call)?.outcome.as_ref()?.result()?;
            images(&result).find(|(n, _)| n == block).map(|(_, data)| data.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{graphemes, width};

    #[test]
    fn pictures_keep_their_shape_and_stay_small() {
        assert_eq!(fit((100, 100), (10, 20), 80), Some((10, 5)));
        assert_eq!(fit((2_000, 1_000), (10, 20), 80), Some((48, 12)));
        assert_eq!(fit((100, 10_000), (10, 20), 80), Some((1, 20)));
        assert_eq!(fit((10_000, 1), (10, 20), 30), Some((30, 1)));
        assert_eq!(fit((1, 1), (0, 0), 1), Some((1, 1)));
        assert_eq!(fit((9, 9), (10, 20), 0), None);
    }

    #[test]
    fn a_cell_is_one_letter_of_one_column() {
        let picture = Picture { number: 1, columns: 48, rows: 20, of: PictureOf::Attached { key: 1, part: 0 } };
        for column in 0..48 {
            for row in 0..20 {
                let cell = picture.cell(column, row);
                assert_eq!((graphemes(&cell).count(), width(&cell), cell.chars().count()), (1, 1, 3));
            }
        }
    }

    #[test]
    fn only_small_pngs_are_drawn() {
        // The head of a picture of 640 by 480, and of one of 60,000 by 60,000.
        let png = "iVBORw0KGgoAAAANSUhEUgAAAoAAAAHgCAIAAAC6s0uz";
        let bomb = "iVBORw0KGgoAAAANSUhEUgAA6mAAAOpgCAIAAAC6s0uz";
        let drawn = |data: &str| Picture::new(PictureOf::Attached { key: 3, part: 0 }, data, (10, 20), 80);
        assert_eq!(drawn(png).map(|picture| (picture.columns, picture.rows)), Some((48, 18)));
        assert!(drawn(bomb).is_none());
        assert!(drawn("R0lGODlhAQABAIAAAAAAAP").is_none() && drawn("").is_none());
        assert!(drawn(&format!("{png}{}", "A".repeat(MOST_DATA))).is_none());
    }
}
