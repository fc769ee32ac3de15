//! Columns: measured by grapheme cluster, as ratatui's buffer measures them.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The grapheme clusters of a text.
pub fn graphemes(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.graphemes(true)
}

/// Columns that a text of one line takes.
#[must_use]
pub fn width(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut columns, mut from) = (0, 0);
    while let Some(strange) = bytes[from..].iter().position(|byte| !byte.is_ascii()) {
        // A cluster never spans two neighbours of ASCII (but CR and LF, which no line holds), so only what stands
        // between such is cut into clusters.
        let start = (from + strange).saturating_sub(1).max(from);
        let ends = |pair: &[u8]| pair[0].is_ascii() && pair[1].is_ascii();
        let end = bytes[from + strange..].windows(2).position(ends).map_or(bytes.len(), |at| from + strange + at + 1);
        columns += start - from + text[start..end].graphemes(true).map(UnicodeWidthStr::width).sum::<usize>();
        from = end;
    }
    columns + bytes.len() - from
}

pub(super) fn char_width(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// The longest start of `text` that fits, in bytes, and its columns.
fn fitting(text: &str, width: usize) -> (usize, usize) {
    let (mut bytes, mut columns) = (0, 0);
    for cluster in text.graphemes(true) {
        let wide = self::width(cluster);
        if columns + wide > width {
            break;
        }
        bytes += cluster.len();
        columns += wide;
    }
    (bytes, columns)
}

/// Whether all of `text` fits, without measuring more of it than needed.
fn fits(text: &str, width: usize) -> bool {
    fitting(text, width).0 == text.len()
}

/// Cut at the end to a width, with `…` where something is missing. Never wider than `width`.
#[must_use]
pub fn cut(text: &str, width: usize) -> String {
    if fits(text, width) {
        return text.to_owned();
    }
    if width == 0 {
        return String::new();
    }
    let (bytes, _) = fitting(text, width - 1);
    format!("{}…", &text[..bytes])
}

/// Cut at the start: the end of `text` is kept after `…`.
#[must_use]
pub fn cut_start(text: &str, width: usize) -> String {
    if fits(text, width) {
        return text.to_owned();
    }
    if width == 0 {
        return String::new();
    }
    format!("…{}", tail(text, width - 1))
}

/// Cut in the middle: both ends are kept.
#[must_use]
pub fn cut_middle(text: &str, width: usize) -> String {
    if fits(text, width) {
        return text.to_owned();
    }
    if width == 0 {
        return String::new();
    }
    let (bytes, columns) = fitting(text, (width - 1) / 2);
    format!("{}…{}", &text[..bytes], tail(&text[bytes..], width - 1 - columns))
}

fn tail(text: &str, width: usize) -> &str {
    let (mut start, mut columns) = (text.len(), 0);
    for cluster in text.graphemes(true).rev() {
        let wide = self::width(cluster);
        if columns + wide > width {
            break;
        }
        start -= cluster.len();
        columns += wide;
    }
    &text[start..]
}
