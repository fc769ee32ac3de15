//! JSON as a tree of rows. Only what is unfolded is read, and of a large text no more than a frame can take.
//!
//! # Invariants
//! - The text is not parsed into values: a row shows the bytes that stand there, what cannot be seen written out.
//! - What was not read or is not shown is said, with the key that shows it.

use memchr::memchr2;

use crate::app::{Folds, Keymap, TreeKind};
use crate::text::visible;
use crate::ui::figures::{grouped, size};
use crate::ui::ink::{Ink, Row, Tint};
use crate::ui::markdown::wrap_row;
use crate::ui::theme::Glyphs;

/// Parts of a list and of an object that are shown at first.
const ITEMS: usize = 20;
const MEMBERS: usize = 200;
/// Below so many bytes everything is open at first.
const SMALL: usize = 4 * 1024;
/// So many bytes are gone through for one frame; each wish to read on adds as many again, times four.
const BUDGET: usize = 8 * 1024 * 1024;
/// Rows of a tree.
const ROWS: usize = 20_000;
/// Of a string and of what is folded, bytes that are shown of it.
const STRING: usize = 2_000;
const PREVIEW: usize = 120;
/// Deeper it is not indented any further.
const DEEPEST: usize = 24;

#[derive(Debug)]
pub(super) struct TreeRow {
    pub row: Row,
    pub node: usize,
    pub kind: TreeKind,
    /// The row of the node that holds it.
    pub parent: usize,
}

/// What lies at a place of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    /// Its end, and how many parts it has.
    Whole { end: usize, parts: usize },
    /// It is longer than what may be read.
    Long,
    /// No JSON.
    Broken,
}

/// Whether a text is one JSON object or list: small ones are parsed to know it, of large ones both ends are looked at.
pub(super) fn is_tree(text: &str) -> bool {
    let text = text.trim();
    let close = match text.as_bytes().first() {
        Some(b'{') => b'}',
        Some(b'[') => b']',
        _ => return false,
    };
    if text.len() <= 1024 * 1024 {
        return serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    }
    text.as_bytes().last() == Some(&close)
}

pub(super) struct Layout<'a> {
    pub glyphs: &'static Glyphs,
    pub columns: usize,
    pub wrap: bool,
    pub folds: &'a Folds,
    pub keys: &'a Keymap,
}

/// The rows of a text for which [`is_tree`] holds.
pub(super) fn rows(text: &str, layout: &Layout<'_>) -> Vec<TreeRow> {
    let budget = BUDGET.saturating_mul(4_usize.saturating_pow(layout.folds.reach.min(8)));
    let mut walk =
        Walk { text, bytes: text.as_bytes(), layout, left: budget, counts: budget, stopped: false, out: Vec::new() };
    let start = walk.blank(0);
    walk.node(start, 0, None, 0);
    walk.out
}

struct Walk<'a> {
    text: &'a str,
    bytes: &'a [u8],
    layout: &'a Layout<'a>,
    /// Bytes that may still be gone through to show rows, and to count what is not shown.
    left: usize,
    counts: usize,
    stopped: bool,
    out: Vec<TreeRow>,
}

impl Walk<'_> {
    fn blank(&self, mut at: usize) -> usize {
        while self.bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        at
    }

    fn depth_of(&self, at: usize, depth: usize, span: Span) -> bool {
        let by_default = match self.layout.folds.all {
            Some(all) => all,
            None => {
                let small = self.text.len() <= SMALL && depth < 6;
                depth == 0 || small || depth == 1 && matches!(span, Span::Whole { parts, .. } if parts <= 6)
            }
        };
        by_default != self.layout.folds.turned.contains(&at)
    }

    /// A value in its rows. Returns its end; None where nothing can be read behind it.
    fn node(&mut self, at: usize, depth: usize, key: Option<&str>, parent: usize) -> Option<usize> {
        if self.out.len() >= ROWS {
            self.stop(depth, parent, at, Span::Long);
            return None;
        }
        // The whole is counted for itself: where that is too much, its first parts can be read all the same.
        let span = span(self.bytes, at, if depth == 0 { &mut self.counts } else { &mut self.left });
        match self.bytes.get(at) {
            Some(b'{' | b'[') => self.container(at, depth, key, parent, span),
            Some(b'"') => self.string(at, depth, key, parent, span),
            _ => {
                let end = match span {
                    Span::Whole { end, .. } => end,
                    Span::Long | Span::Broken => {
                        self.stop(depth, parent, at, span);
                        return None;
                    }
                };
                let mut row = Row::new();
                row.push_lines(&visible(&self.text[at..end]).one_line(), Tint::of(Ink::Number));
                self.push(depth, key, "  ", row, (at, TreeKind::Leaf, parent));
                Some(end)
            }
        }
    }

    fn string(&mut self, at: usize, depth: usize, key: Option<&str>, parent: usize, span: Span) -> Option<usize> {
        let Span::Whole { end, .. } = span else {
            self.stop(depth, parent, at, span);
            return None;
        };
        let long = end - at > STRING;
        let open = !long || self.layout.folds.turned.contains(&at);
        let glyphs = self.layout.glyphs;
        let mut row = Row::new();
        if open {
            let most = self.text.floor_char_boundary((at + 128 * STRING).min(end));
            let text = crate::app::at_line_ends(&self.text[at..most]);
            row.push_lines(&visible(&text), Tint::of(Ink::Text));
            // One that is not whole leads nowhere.
            if most == end {
                row.link_addresses(None);
            }
            if most < end {
                let way = self.layout.keys.tell("{detail.editor} shows it whole");
                row.push(&format!(" … {} more: {way}", size((end - most) as u64)), Ink::Dim);
            }
        } else {
            let most = self.text.floor_char_boundary(at + PREVIEW);
            row.push_lines(&visible(&self.text[at..most]).one_line(), Tint::of(Ink::Text));
            row.push(&format!("… {} in all", size((end - at) as u64)), Ink::Dim);
        }
        let (sign, kind) = match (long, open) {
            (false, _) => ("  ", TreeKind::Leaf),
            (true, true) => (glyphs.open, TreeKind::Open),
            (true, false) => (glyphs.folded, TreeKind::Folded),
        };
        self.push(depth, key, sign, row, (at, kind, parent));
        Some(end)
    }

    fn container(&mut self, at: usize, depth: usize, key: Option<&str>, parent: usize, span: Span) -> Option<usize> {
        let list = self.bytes[at] == b'[';
        let open = self.depth_of(at, depth, span) && !matches!(span, Span::Whole { parts: 0, .. });
        let mut row = Row::new();
        let count = match span {
            Span::Whole { parts, .. } => grouped(parts as u64),
            Span::Long | Span::Broken => "…".to_owned(),
        };
        row.push(&if list { format!("[{count}]") } else { format!("{{{count}}}") }, Ink::Accent);
        if let (false, Span::Whole { end, .. }) = (open, span)
            && end > at + 2
        {
            let most = self.text.floor_char_boundary((at + PREVIEW).min(end));
            row.push("  ", Ink::Text);
            row.push_lines(&visible(&self.text[at..most]).one_line(), Tint::of(Ink::Dim));
        }
        let glyphs = self.layout.glyphs;
        let (sign, kind) = match (open, span) {
            (_, Span::Whole { parts: 0, .. }) => ("  ", TreeKind::Leaf),
            (true, _) => (glyphs.open, TreeKind::Open),
            (false, _) => (glyphs.folded, TreeKind::Folded),
        };
        let place = self.out.len();
        self.push(depth, key, sign, row, (at, kind, parent));
        if open {
            self.parts(at, depth + 1, place, list, span);
        }
        match span {
            Span::Whole { end, .. } => Some(end),
            Span::Long | Span::Broken => None,
        }
    }

    /// The rows of what a list or an object holds.
    fn parts(&mut self, at: usize, depth: usize, place: usize, list: bool, span: Span) {
        let most = self.layout.folds.shown.get(&at).copied().unwrap_or(if list { ITEMS } else { MEMBERS });
        let mut next = self.blank(at + 1);
        let mut shown = 0;
        while shown < most {
            if shown == 0 && self.bytes.get(next) == Some(if list { &b']' } else { &b'}' }) {
                return;
            }
            if self.left == 0 {
                return self.stop(depth, place, next, Span::Long);
            }
            let (key, value) = if list {
                (Some(shown.to_string()), next)
            } else {
                let quoted = self.bytes.get(next) == Some(&b'"');
                let name = if quoted { self::span(self.bytes, next, &mut self.left) } else { Span::Broken };
                let Span::Whole { end, .. } = name else { return self.stop(depth, place, next, name) };
                let name = self.text[next + 1..end - 1].to_owned();
                let colon = self.blank(end);
                if self.bytes.get(colon) != Some(&b':') {
                    return self.stop(depth, place, next, Span::Broken);
                }
                (Some(name), self.blank(colon + 1))
            };
            let Some(end) = self.node(value, depth, key.as_deref(), place) else { return };
            shown += 1;
            next = self.blank(end);
            match self.bytes.get(next) {
                Some(b',') => next = self.blank(next + 1),
                Some(b']' | b'}') => return,
                _ => return self.stop(depth, place, next, Span::Broken),
            }
        }
        let glyph = self.layout.glyphs.ellipsis;
        let mut row = Row::new();
        let more = match span {
            Span::Whole { parts, .. } => format!("{} more", grouped(parts.saturating_sub(shown) as u64)),
            Span::Long | Span::Broken => format!("{} more to read", size((self.bytes.len() - next) as u64)),
        };
        row.push(&format!("{glyph} {more}"), Ink::Accent);
        self.push(depth, None, "  ", row, (at, TreeKind::More { shown }, place));
    }

    /// From here on nothing was read: it is too much at once, or it is no JSON. Said once.
    fn stop(&mut self, depth: usize, parent: usize, at: usize, span: Span) {
        if std::mem::replace(&mut self.stopped, true) {
            return;
        }
        let glyph = self.layout.glyphs.ellipsis;
        let mut row = Row::new();
        let kind = match span {
            Span::Long => {
                let left = size(self.bytes.len().saturating_sub(at) as u64);
                row.push(&format!("{glyph} {left} not read yet"), Ink::Accent);
                TreeKind::Unread
            }
            Span::Broken | Span::Whole { .. } => {
                let way = self.layout.keys.tell("{detail.pretty} shows the text");
                row.push(&format!("{glyph} not JSON from here on: {way}"), Ink::Warn);
                TreeKind::Leaf
            }
        };
        self.push(depth, None, "  ", row, (at, kind, parent));
    }

    fn push(
        &mut self,
        depth: usize,
        key: Option<&str>,
        sign: &str,
        value: Row,
        (node, kind, parent): (usize, TreeKind, usize),
    ) {
        let mut first = Row::label("   ", Ink::Text);
        let indent = (depth.min(DEEPEST) * 2).min(self.layout.columns / 3);
        first.push(&" ".repeat(indent), Ink::Text);
        first.push(sign, Ink::Accent);
        first.pad_to(3 + indent + 2);
        if let Some(key) = key {
            first.push(visible(key).one_line().as_str(), Ink::Dim);
            first.push("  ", Ink::Text);
        }
        let mut rest = Row::new();
        rest.pad_to((3 + indent + 4).min(self.layout.columns / 2));
        let room = self.layout.columns.saturating_sub(1);
        let rows = match self.layout.wrap && kind != TreeKind::Folded {
            true => wrap_row(&value, room, &if first.width() * 2 > room { cut(&first, room) } else { first }, &rest),
            false => {
                let mut whole = first;
                whole.append(&value);
                vec![whole]
            }
        };
        // A value of several rows is chosen and folded by each of them.
        self.out.extend(rows.into_iter().map(|row| TreeRow { row, node, kind, parent }));
    }
}

/// A key that leaves no room for its value.
fn cut(row: &Row, room: usize) -> Row {
    let text = crate::text::cut(row.text(), room / 2);
    let mut out = Row::new();
    out.push(&text, Ink::Dim);
    out.push(" ", Ink::Text);
    out
}

/// Where the value at `at` ends, and how many parts it has; what is gone through is taken from `budget`.
fn span(bytes: &[u8], at: usize, budget: &mut usize) -> Span {
    match bytes.get(at) {
        Some(b'"') => match string_end(bytes, at, budget) {
            Some(end) => Span::Whole { end, parts: 0 },
            None if *budget == 0 => Span::Long,
            None => Span::Broken,
        },
        Some(b'{' | b'[') => container_end(bytes, at, budget),
        Some(b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
            let rest = bytes[at..].iter().take(4_096);
            let end = rest.take_while(|b| !matches!(b, b',' | b']' | b'}' | b':') && !b.is_ascii_whitespace()).count();
            Span::Whole { end: at + end, parts: 0 }
        }
        Some(_) | None => Span::Broken,
    }
}

/// Behind the closing quote.
fn string_end(bytes: &[u8], at: usize, budget: &mut usize) -> Option<usize> {
    let limit = bytes.len().min(at.saturating_add(1).saturating_add(*budget));
    let mut next = at + 1;
    while let Some(found) = bytes.get(next..limit).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        let found = next + found;
        if bytes[found] == b'"' {
            *budget -= (found - at).min(*budget);
            return Some(found + 1);
        }
        next = found + 2;
    }
    if limit < bytes.len() {
        *budget = 0;
    }
    None
}

fn container_end(bytes: &[u8], at: usize, budget: &mut usize) -> Span {
    let (mut depth, mut parts, mut any) = (0_usize, 0_usize, false);
    let begun = at;
    let mut next = at;
    while let Some(byte) = bytes.get(next) {
        if next - begun > *budget {
            *budget = 0;
            return Span::Long;
        }
        match byte {
            b'"' => {
                any = true;
                let mut rest = *budget - (next - begun);
                match string_end(bytes, next, &mut rest) {
                    Some(end) => next = end - 1,
                    None => {
                        *budget = rest.min(*budget);
                        return if rest == 0 { Span::Long } else { Span::Broken };
                    }
                }
            }
            b'{' | b'[' => {
                any |= depth > 0;
                depth += 1;
            }
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    *budget -= (next - begun).min(*budget);
                    return Span::Whole { end: next + 1, parts: parts + usize::from(any) };
                }
            }
            b',' if depth == 1 => parts += 1,
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => any = true,
        }
        next += 1;
    }
    Span::Broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::theme::Theme;

    fn drawn(text: &str, folds: &Folds) -> Vec<String> {
        let glyphs = Theme::dark().glyphs;
        let keys = Keymap::default();
        let rows = rows(text, &Layout { glyphs, columns: 80, wrap: true, folds, keys: &keys });
        rows.iter().map(|row| row.row.text().trim_end().to_owned()).collect()
    }

    #[test]
    fn a_small_text_is_open_and_each_node_folds() {
        let text = r#"{"a": [1, -2.5e3, true], "b": {}, "c": {"d": "x\ny\u202e"}}"#;
        assert!(is_tree(text));
        let expect = [
            "   ▾ {3}",
            "     ▾ a  [3]",
            "         0  1",
            "         1  -2.5e3",
            "         2  true",
            "       b  {0}",
            "     ▾ c  {1}",
            "         d  \"x\\n",
            "           y\\u202e\"",
        ];
        assert_eq!(drawn(text, &Folds::default()), expect);
        let list = text.find('[').unwrap();
        let folded = drawn(text, &Folds { turned: [list].into(), ..Folds::default() });
        assert_eq!(folded[1], "     ▸ a  [3]  [1, -2.5e3, true]");
        assert_eq!(folded[2], "       b  {0}");
        let all = drawn(text, &Folds { all: Some(false), ..Folds::default() });
        assert_eq!(all, [format!("   ▸ {{3}}  {text}")]);
    }

    #[test]
    fn a_long_list_is_opened_on_demand() {
        let text = format!("[{}]", (0..10_000).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
        let first = drawn(&text, &Folds::default());
        assert_eq!((first[0].as_str(), first.len()), ("   ▾ [10 000]", 22));
        assert_eq!(first[21], "       … 9 980 more");
        let more = drawn(&text, &Folds { shown: [(0, 200)].into(), ..Folds::default() });
        assert_eq!((more.len(), more[201].as_str()), (202, "       … 9 800 more"));
        let whole = drawn(&text, &Folds { shown: [(0, 20_000)].into(), ..Folds::default() });
        assert_eq!(whole.len(), 10_001);
    }

    #[test]
    fn of_a_large_text_no_more_is_read_than_a_frame_can_take() {
        let item = format!("{{\"text\":\"{}\"}}", "x".repeat(1 << 20));
        let text = format!("[{}]", vec![item; 20].join(","));
        let rows = drawn(&text, &Folds::default());
        assert!(rows[0].starts_with("   ▾ […]") && rows.len() < 40, "{rows:#?}");
        assert!(rows.last().unwrap().ends_with("not read yet"), "{rows:#?}");
        let on = drawn(&text, &Folds { reach: 2, ..Folds::default() });
        assert!(on[0].starts_with("   ▾ [20]") && !on.last().unwrap().contains("not read"), "{on:#?}");
    }

    #[test]
    fn what_is_no_json_behind_its_beginning_is_said_and_not_guessed() {
        for broken in ["{\"a\":1 \"b\":2}", "[1,}", "{1:2}", "[\"a", "{\"a\":[1,2", "[,]", "{\"a\" 1}"] {
            let rows = drawn(broken, &Folds { all: Some(true), ..Folds::default() });
            assert!(rows.len() <= 5 && rows.last().unwrap().contains("not JSON"), "{broken}: {rows:?}");
        }
        assert!(!is_tree("{\"a\":1} tail") && !is_tree("text") && !is_tree("[1") && !is_tree("\"x\""));
    }
}
