//! The inline screen's bytes: finished rows printed once, the live area below them drawn over itself.
//!
//! # Invariants
//! - No scroll region, no absolute position, nothing above the live area is touched: what works in every terminal and
//!   multiplexer. The scrollback is never erased.
//! - A frame that shows nothing new writes nothing.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use super::link;
use crate::app::{Entry, EntryBody, Layout, Piece, State};
use crate::ui::{Links, Memo, Theme, inline};

/// Messages of a conversation that is opened that are printed; earlier ones are in the history.
const MOST_OPENED: usize = 40;

#[derive(Debug, Default)]
pub(super) struct Inline {
    live: Memo,
    done: Memo,
    /// The key of the last entry that was printed.
    printed: u64,
    /// The row of the live area in which the caret was left; None: nothing is drawn.
    caret_row: Option<u16>,
    last: Option<(Buffer, Option<(u16, u16)>)>,
}

impl Inline {
    /// Draws into `out`. Says what it looks like, and whether another frame should follow soon.
    pub(super) fn draw(&mut self, state: &mut State, theme: &Theme, links: bool, out: &mut String) -> (Layout, bool) {
        let mut news = String::new();
        // Keys of a conversation lie in a range of their own: another range is another conversation.
        let entries = &state.transcript.entries;
        let another = entries.first().is_some_and(|first| first.key >> 32 != self.printed >> 32);
        let from = if another { 0 } else { entries.partition_point(|entry| entry.key <= self.printed) };
        let until = from + entries[from..].iter().take_while(|entry| finished(entry, state)).count();
        if until > from {
            let skipped = if another { (until - from).saturating_sub(MOST_OPENED) } else { 0 };
            if another && self.printed != 0 || skipped > 0 {
                let title = crate::text::sanitize(&state.transcript.title).one_line();
                let _ = write!(news, "\x1b[0m\x1b[K\x1b[2m-- {}", crate::text::cut(title.as_str(), 60));
                if skipped > 0 {
                    let _ = write!(news, ", without its first {skipped} messages");
                }
                news.push_str(" --\x1b[0m\r\n");
            }
            let last = state.transcript.entries[until - 1].key;
            let columns = state.size.columns;
            let buffer = with_entries(state, from + skipped, until, |state| {
                inline::printed(state, theme, &mut self.done, columns)
            });
            rows(&buffer, links.then(|| self.done.links()), &mut news, None);
            self.printed = last;
        }
        let (size, from) = (state.size, until);
        let end = state.transcript.entries.len();
        let memo = &mut self.live;
        let (buffer, layout, caret) = with_entries(state, from, end, |state| inline::live(state, theme, memo, size));
        let again = self.live.wants_frame();
        if news.is_empty() && self.last.as_ref().is_some_and(|(old, at)| *old == buffer && *at == caret) {
            return (layout, again);
        }
        // Not erased as a whole first: from the screen's first cell on, tmux takes that for a page that is to be kept and
        // puts a copy of it into the scrollback.
        self.go_up(out);
        out.push_str(&news);
        let height = buffer.area.height;
        let (x, y) = caret.unwrap_or((0, height.saturating_sub(1)));
        rows(&buffer, links.then(|| self.live.links()), out, Some(y));
        out.push('\r');
        let up = height.saturating_sub(1).saturating_sub(y);
        if up > 0 {
            let _ = write!(out, "\x1b[{up}A");
        }
        if x > 0 {
            let _ = write!(out, "\x1b[{x}C");
        }
        out.push_str(if caret.is_some() { "\x1b[?25h" } else { "\x1b[?25l" });
        self.caret_row = Some(y);
        self.last = Some((buffer, caret));
        (layout, again)
    }

    /// Takes the live area away: the cursor stands where it began.
    pub(super) fn erase(&mut self, out: &mut String) {
        let high = self.last.as_ref().is_none_or(|(buffer, _)| buffer.area.height > 1);
        if self.caret_row.is_some() {
            self.go_up(out);
            // See `draw`: its first row by itself, what is below it as a whole.
            out.push_str(if high { "\x1b[K\x1b[B\x1b[J\x1b[A" } else { "\x1b[K" });
        }
        self.caret_row = None;
        self.last = None;
    }

    /// To the first cell of the live area.
    fn go_up(&self, out: &mut String) {
        if let Some(row) = self.caret_row {
            out.push('\r');
            if row > 0 {
                let _ = write!(out, "\x1b[{row}A");
            }
        }
    }

    /// The terminal is another width: rows of the old live area may have been wrapped into more.
    pub(super) fn resized(&mut self, columns: u16) {
        if let (Some((old, caret)), Some(row)) = (&self.last, &mut self.caret_row)
            && columns > 0
        {
            if columns == old.area.width {
                return;
            }
            *row = wrapped(old, *row, caret.map_or(0, |(x, _)| x), columns);
        }
        self.last = None;
    }

    /// Something else has written to the terminal: the live area is begun anew.
    pub(super) fn forget(&mut self) {
        self.caret_row = None;
        self.last = None;
    }
}

/// Nothing more will change in it.
fn finished(entry: &Entry, state: &State) -> bool {
    let Some(turn) = &state.transcript.turn else { return true };
    match &entry.body {
        EntryBody::User(_) | EntryBody::Fault(_) | EntryBody::Note(_) | EntryBody::Summary(_) => true,
        EntryBody::Answer(answer) => {
            let calls = answer.pieces.iter().filter_map(|piece| match piece {
                Piece::Call(id) => state.calls.by_id.get(id),
                Piece::Text(_) | Piece::Refusal(_) | Piece::Thinking { .. } => None,
            });
            let mut open = calls.filter(|call| !matches!(call.phase, crate::app::CallPhase::Ended(_)));
            answer.turn != Some(turn.id) || (!answer.streaming && answer.settled.is_some() && open.next().is_none())
        }
    }
}

/// Lets a view see these entries alone. They are moved, never copied.
fn with_entries<T>(state: &mut State, from: usize, until: usize, view: impl FnOnce(&State) -> T) -> T {
    let mut all = std::mem::take(&mut state.transcript.entries);
    let rest = all.split_off(until);
    state.transcript.entries = all.split_off(from);
    let result = view(state);
    all.append(&mut state.transcript.entries);
    all.extend(rest);
    state.transcript.entries = all;
    result
}

/// The rows of a buffer as bytes. Of a live area (`caret`: the row where the caret is to stand) lines are only between
/// them and nothing stays below; else each ends its line.
fn rows(buffer: &Buffer, links: Option<&Links>, out: &mut String, caret: Option<u16>) {
    let width = usize::from(buffer.area.width).max(1);
    let count = buffer.content.len() / width;
    let below = caret.map_or(count, |y| usize::from(y) + 1);
    for (n, row) in buffer.content.chunks(width).enumerate() {
        if n == below {
            // A terminal may be narrower by now than it has told. What is written above the caret wraps as it would have
            // been wrapped; what is below must not, or the way up to the caret would be longer.
            out.push_str("\x1b[?7l");
        }
        // Emptied before it is written: behind a full row the cursor stands on its last character.
        let last = caret.is_some() && n > 0 && n + 1 == count;
        out.push_str(if last { "\x1b[0m\x1b[J" } else { "\x1b[0m\x1b[K" });
        line(row, links, out);
        if caret.is_none() || n + 1 < count {
            out.push_str("\r\n");
        }
    }
    if below < count {
        out.push_str("\x1b[?7h");
    }
}

/// The row in which a caret stands once each row was wrapped by itself, by what was written of it.
fn wrapped(buffer: &Buffer, row: u16, x: u16, columns: u16) -> u16 {
    let columns = usize::from(columns).max(1);
    let width = usize::from(buffer.area.width).max(1);
    let row = usize::from(row);
    let rows = buffer.content.chunks(width).take(row + 1).enumerate().map(|(n, cells)| {
        let rows = used(cells).div_ceil(columns).max(1);
        if n < row { rows } else { (usize::from(x) / columns).min(rows - 1) }
    });
    u16::try_from(rows.sum::<usize>()).unwrap_or(u16::MAX)
}

/// The columns of a row that are written: blanks at its end are not.
fn used(row: &[Cell]) -> usize {
    let blank =
        |cell: &Cell| cell.symbol() == " " && cell.bg == Color::Reset && !cell.modifier.contains(Modifier::REVERSED);
    row.iter().rposition(|cell| !blank(cell)).map_or(0, |at| at + 1)
}

fn line(row: &[Cell], links: Option<&Links>, out: &mut String) {
    let mut now = (Color::Reset, Color::Reset, Modifier::empty());
    for run in row[..used(row)].chunk_by(|a, b| a.underline_color == b.underline_color) {
        let mut text = String::new();
        let mut skip = 0;
        for cell in run {
            // The second column of a wide character is the character's own.
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let wanted = (cell.fg, cell.bg, cell.modifier);
            if wanted != now {
                now = wanted;
                sgr(cell, &mut text);
            }
            text.push_str(cell.symbol());
            skip = crate::text::width(cell.symbol()).saturating_sub(1);
        }
        match run.first().zip(links).and_then(|(cell, links)| links.of(cell)) {
            Some((number, to)) => out.push_str(&link::around(number, to, &text)),
            None => out.push_str(&text),
        }
    }
    out.push_str("\x1b[0m");
}

fn sgr(cell: &Cell, out: &mut String) {
    out.push_str("\x1b[0");
    for (modifier, code) in [
        (Modifier::BOLD, 1),
        (Modifier::DIM, 2),
        (Modifier::ITALIC, 3),
        (Modifier::UNDERLINED, 4),
        (Modifier::REVERSED, 7),
        (Modifier::CROSSED_OUT, 9),
    ] {
        if cell.modifier.contains(modifier) {
            let _ = write!(out, ";{code}");
        }
    }
    colour(cell.fg, 30, out);
    colour(cell.bg, 40, out);
    out.push('m');
}

/// `base`: 30 for the text, 40 for its ground.
fn colour(colour: Color, base: u8, out: &mut String) {
    let sixteen = |n: u8| if n < 8 { base + n } else { base + 52 + n };
    let n = match colour {
        Color::Reset => return,
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 8,
        Color::LightRed => 9,
        Color::LightGreen => 10,
        Color::LightYellow => 11,
        Color::LightBlue => 12,
        Color::LightMagenta => 13,
        Color::LightCyan => 14,
        Color::White => 15,
        Color::Indexed(n) => {
            let _ = write!(out, ";{};5;{n}", base + 8);
            return;
        }
        Color::Rgb(r, g, b) => {
            let _ = write!(out, ";{};2;{r};{g};{b}", base + 8);
            return;
        }
    };
    let _ = write!(out, ";{}", sixteen(n));
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn a_row_is_its_text_in_its_colours_and_no_longer_than_it_is() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 10, 1));
        buffer.set_string(0, 0, "日a", Style::new().fg(Color::LightCyan).bg(Color::Indexed(237)));
        let mut out = String::new();
        rows(&buffer, None, &mut out, None);
        assert_eq!(out, "\x1b[0m\x1b[K\x1b[0;96;48;5;237m日a\x1b[0m\r\n");
    }

    #[test]
    fn nothing_is_erased_from_the_screens_first_cell_on() {
        let mut state = State::new(crate::app::Session::default());
        state.size = crate::app::Size { columns: 60, rows: 20 };
        let (mut inline, mut out) = (Inline::default(), String::new());
        for text in ["a", "b", "c"] {
            state.composer.set(text);
            inline.draw(&mut state, &Theme::dark(), true, &mut out);
        }
        inline.erase(&mut out);
        // By an emulator that knows where the cursor stands.
        let cells = |n| std::num::NonZeroU16::new(n).unwrap();
        let mut terminal = vt100::Parser::new(cells(20), cells(60), 0);
        for (at, piece) in out.split_inclusive("\x1b[J").enumerate() {
            let before = piece.strip_suffix("\x1b[J");
            terminal.process(before.unwrap_or(piece).as_bytes());
            if before.is_some() {
                assert_ne!(terminal.screen().cursor_position(), (0, 0), "the {at}th");
                terminal.process(b"\x1b[J");
            }
        }
        assert_eq!(terminal.screen().contents().trim(), "");
        assert_eq!(terminal.screen().cursor_position(), (0, 0));
    }

    #[test]
    fn drawn_into_a_terminal_that_has_not_told_how_narrow_it_is_it_finds_its_first_row_again() {
        let mut state = State::new(crate::app::Session::default());
        state.size = crate::app::Size { columns: 80, rows: 20 };
        state.composer.set("words");
        let (mut inline, mut out) = (Inline::default(), String::new());
        inline.draw(&mut state, &Theme::dark(), true, &mut out);
        // It tells, and the frame is drawn anew.
        inline.resized(50);
        state.size.columns = 50;
        inline.draw(&mut state, &Theme::dark(), true, &mut out);
        let cells = |n| std::num::NonZeroU16::new(n).unwrap();
        let mut narrow = vt100::Parser::new(cells(20), cells(50), 0);
        narrow.process(b"before\r\n");
        narrow.process(out.as_bytes());
        let shown = narrow.screen().contents();
        let mut fresh = vt100::Parser::new(cells(20), cells(50), 0);
        let mut whole = String::from("before\r\n");
        Inline::default().draw(&mut state, &Theme::dark(), true, &mut whole);
        fresh.process(whole.as_bytes());
        assert_eq!(shown, fresh.screen().contents());
    }

    #[test]
    fn narrowed_it_goes_up_over_its_own_rows_alone() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 60, 4));
        buffer.set_string(0, 0, "short", Style::new());
        buffer.set_string(0, 1, "x".repeat(41), Style::new());
        buffer.set_string(0, 3, "y".repeat(45), Style::new());
        let row = |caret: Option<(u16, u16)>, columns: u16| {
            let caret_row = Some(caret.map_or(3, |(_, y)| y));
            let mut inline = Inline { caret_row, last: Some((buffer.clone(), caret)), ..Inline::default() };
            inline.resized(columns);
            inline.caret_row
        };
        // One row wraps at 40, none at 50; blanks wrap nowhere.
        assert_eq!(row(Some((0, 2)), 40), Some(3));
        assert_eq!(row(Some((0, 2)), 50), Some(2));
        // In a row that wraps, it stands where its column went.
        assert_eq!(row(Some((19, 3)), 20), Some(5));
        assert_eq!(row(Some((45, 3)), 20), Some(7));
        assert_eq!(row(None, 20), Some(5));
        assert_eq!(row(Some((0, 3)), 90), Some(3));
    }

    #[test]
    fn entries_are_put_back_in_their_order() {
        let mut state = State::new(crate::app::Session::default());
        let entry = |key| Entry { key, revision: 0, at: 0, message: None, body: EntryBody::Note(String::new()) };
        state.transcript.entries = (1..6).map(entry).collect();
        let seen =
            with_entries(&mut state, 1, 3, |state| state.transcript.entries.iter().map(|e| e.key).collect::<Vec<_>>());
        assert_eq!(seen, [2, 3]);
        assert_eq!(state.transcript.entries.iter().map(|e| e.key).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_was_printed_is_not_printed_again_and_an_equal_frame_is_no_bytes() {
        let mut state = State::new(crate::app::Session::default());
        state.size = crate::app::Size { columns: 60, rows: 20 };
        let entry = |key: u64, text: &str| {
            let body = EntryBody::Note(text.to_owned());
            Entry { key, revision: 0, at: 0, message: None, body }
        };
        state.transcript.entries.push(entry(1, "the first"));
        let (mut inline, theme) = (Inline::default(), Theme::dark());
        let mut draw = |state: &mut State| {
            let mut out = String::new();
            inline.draw(state, &theme, true, &mut out);
            out
        };
        assert!(draw(&mut state).contains("the first"));
        assert_eq!(draw(&mut state), "");
        state.transcript.entries.push(entry(2, "the second"));
        let out = draw(&mut state);
        assert!(out.contains("the second") && !out.contains("the first"), "{out:?}");
        assert!(!out.contains("\x1b[2J") && !out.contains("\x1b[3J") && !out.contains("\x1b[H"));
    }
}
