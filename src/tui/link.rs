//! Links of the terminal (OSC 8): the one place that writes them, and the backend that puts them around cells.
//!
//! # Invariants
//! - Nothing else opens a link. What is written between the signs is a number of our own and an [`Address`], which
//!   holds printable ASCII alone, however hostile what it was made of.
//! - A link is closed where its cells end, and at the end of each row.
//! - Only cells that are written anyway are written as links: a frame that changes nothing writes nothing.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use ratatui::style::Color;

use crate::text::Address;
use crate::ui::Links;

/// Ends a link; harmless where none is open.
const CLOSE: &str = "\x1b]8;;\x1b\\";

/// Begins a link. Cells with the same number and address light up together, though rows lie between them.
fn open(number: u32, to: &Address) -> String {
    format!("\x1b]8;id=m{number:x};{to}\x1b\\")
}

/// Puts a link around what is written of some cells.
pub(super) fn around(number: u32, to: &Address, cells: &str) -> String {
    format!("{}{cells}{CLOSE}", open(number, to))
}

/// The links of the frame that is being drawn: filled by the screen, read by its backend.
#[derive(Clone, Debug, Default)]
pub(super) struct Drawn(Arc<Mutex<Links>>);

impl Drawn {
    pub(super) fn set(&self, links: Links) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = links;
    }
}

/// The terminal as the drawing library sees it, with links around the cells that have one.
#[derive(Debug)]
pub(super) struct Linking<W: Write> {
    inner: CrosstermBackend<W>,
    links: Drawn,
}

impl<W: Write> Linking<W> {
    pub(super) fn new(out: W, links: Drawn) -> Self {
        Self { inner: CrosstermBackend::new(out), links }
    }
}

impl<W: Write> Backend for Linking<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let links = self.links.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cells: Vec<(u16, u16, &Cell)> = content.collect();
        let bare = |cell: &Cell| cell.underline_color == Color::Reset;
        if cells.iter().all(|(_, _, cell)| bare(cell)) {
            return self.inner.draw(cells.into_iter());
        }
        for run in cells.chunk_by(|(_, y, a), (_, below, b)| {
            let row = bare(a) || y == below;
            row && a.underline_color == b.underline_color
        }) {
            let Some((_, _, first)) = run.first() else { continue };
            if bare(first) {
                self.inner.draw(run.iter().copied())?;
                continue;
            }
            // The mark has done its work: no terminal is to see it.
            let mut unmarked: Vec<(u16, u16, Cell)> =
                run.iter().map(|(x, y, cell)| (*x, *y, (*cell).clone())).collect();
            unmarked.iter_mut().for_each(|(.., cell)| cell.underline_color = Color::Reset);
            let link = links.of(first);
            if let Some((number, to)) = link {
                self.inner.write_all(open(number, to).as_bytes())?;
            }
            self.inner.draw(unmarked.iter().map(|(x, y, cell)| (*x, *y, cell)))?;
            if link.is_some() {
                self.inner.write_all(CLOSE.as_bytes())?;
            }
        }
        Ok(())
    }

    fn append_lines(&mut self, n: u16) -> io::Result<()> {
        self.inner.append_lines(n)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.inner.hide_cursor()
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.inner.show_cursor()
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        self.inner.get_cursor_position()
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.inner.set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.inner.clear()
    }

    fn clear_region(&mut self, clear_type: ClearType) -> io::Result<()> {
        self.inner.clear_region(clear_type)
    }

    fn size(&self) -> io::Result<Size> {
        // Asked with every frame: the library opens the terminal anew for it.
        #[cfg(unix)]
        if let Ok(size) = rustix::termios::tcgetwinsize(io::stdout())
            && size.ws_col > 0
            && size.ws_row > 0
        {
            return Ok(Size { width: size.ws_col, height: size.ws_row });
        }
        self.inner.size()
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.inner.window_size()
    }

    fn flush(&mut self) -> io::Result<()> {
        Backend::flush(&mut self.inner)
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;

    use super::*;

    /// What opens a link and what it is opened with, as a terminal reads it, and the text around.
    fn read(bytes: &[u8]) -> (Vec<Vec<Vec<u8>>>, String) {
        #[derive(Default)]
        struct Seen(Vec<Vec<Vec<u8>>>, String, usize);
        impl vte::Perform for Seen {
            fn print(&mut self, c: char) {
                self.1.push(c);
            }
            fn osc_dispatch(&mut self, params: &[&[u8]], _: bool) {
                self.0.push(params.iter().map(|param| param.to_vec()).collect());
            }
            fn execute(&mut self, _: u8) {
                self.2 += 1;
            }
        }
        let mut seen = Seen::default();
        vte::Parser::new().advance(&mut seen, bytes);
        assert_eq!(seen.2, 0, "no control gets out");
        (seen.0, seen.1)
    }

    #[test]
    fn a_link_is_one_sequence_whatever_its_address() {
        for hostile in [
            "https://a.example/\u{7}\u{1b}]52;c;eA==\u{7}",
            "https://a.example/\u{1b}\\\u{1b}[2J",
            "https://a.example/\u{9c}\u{9b}2J",
            "https://a.example/;id=x;https://b.example/;;",
            "https://a.example/ü\u{202e}x",
            "https://a.example/?q=<a b>\"'`",
            &format!("https://a.example/{}", "y".repeat(10_000)),
        ] {
            let Some(address) = Address::of(hostile) else { continue };
            let wire = around(7, &address, "here");
            let (sequences, text) = read(wire.as_bytes());
            assert_eq!((sequences.len(), text.as_str()), (2, "here"), "{wire:?}");
            // The address goes on behind its own semicolons.
            let opened: Vec<&str> = sequences[0].iter().map(|param| std::str::from_utf8(param).unwrap()).collect();
            assert_eq!(opened[..2], ["8", "id=m7"]);
            assert_eq!(opened[2..].join(";"), address.as_str());
            assert_eq!(sequences[1], [b"8".to_vec(), b"".to_vec(), b"".to_vec()]);
            assert!(wire.bytes().all(|b| b == 0x1b || (0x20..=0x7e).contains(&b)), "{wire:?}");
        }
    }

    #[test]
    fn nothing_else_writes_links() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut folders = vec![root.clone()];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                if path.ends_with("tests.rs") {
                    continue;
                }
                let Ok(source) = std::fs::read_to_string(&path) else { continue };
                let source = source.split("#[cfg(test)]").next().unwrap_or_default();
                // Closing one that may be open gives the terminal back.
                if source.replace("]8;;\\x1b", "").contains("]8;") {
                    found.push(path.strip_prefix(&root).unwrap().to_owned());
                }
            }
        }
        assert_eq!(found, [std::path::Path::new("tui/link.rs")]);
    }

    #[derive(Clone, Default)]
    struct Wire(Arc<Mutex<Vec<u8>>>);

    impl Write for Wire {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Frames of the chat with an answer, and the bytes of each.
    fn frames(texts: &[&str], links: bool) -> Vec<String> {
        use crate::app::{Entry, EntryBody, Session, Size as Cells, State};
        let (wire, drawn) = (Wire::default(), Drawn::default());
        let options =
            ratatui::TerminalOptions { viewport: ratatui::Viewport::Fixed(ratatui::layout::Rect::new(0, 0, 60, 20)) };
        let mut terminal = Terminal::with_options(Linking::new(wire.clone(), drawn.clone()), options).unwrap();
        let mut memo = crate::ui::Memo::new();
        let mut state = State::new(Session::default());
        state.size = Cells { columns: 60, rows: 20 };
        let mut out = Vec::new();
        for (revision, text) in (0..).zip(texts) {
            let body = EntryBody::User(vec![crate::chat::Part::text(*text)]);
            state.transcript.entries = vec![Entry { key: 1, revision, at: 0, message: None, body }];
            wire.0.lock().unwrap().clear();
            terminal
                .draw(|frame| {
                    crate::ui::view(&state, &crate::ui::Theme::dark(), &mut memo, frame);
                    if links {
                        drawn.set(memo.links().clone());
                    }
                })
                .unwrap();
            out.push(String::from_utf8(wire.0.lock().unwrap().clone()).unwrap());
        }
        out
    }

    #[test]
    fn links_stand_around_their_cells_and_are_written_once() {
        let long = format!("see https://a.example/{} and on", "x".repeat(80));
        let all = frames(&[&long, &long, "see https://b.example/y too", "see https://b.example/y two"], true);
        let (sequences, _) = read(all[0].as_bytes());
        let opened: Vec<_> = sequences.iter().filter(|params| params[1] != b"").collect();
        assert_eq!(opened.len(), 2, "one a row");
        assert!(opened.iter().all(|params| params == &opened[0]), "wrapped, it is one link");
        assert_eq!(sequences.len(), 4, "each is closed in its row");
        assert!(!all[1].contains("]8;"), "nothing has changed: {:?}", all[1]);
        assert!(all[2].contains("https://b.example/y\x1b\\"));
        assert!(!all[3].contains("]8;"), "the link's cells are the same: {:?}", all[3]);
    }

    #[test]
    fn whatever_a_text_holds_only_links_to_pages_get_out() {
        let page = |params: &[Vec<u8>]| {
            let address = params.get(2).map(|to| String::from_utf8_lossy(to).into_owned()).unwrap_or_default();
            params[0] == b"8" && (address.is_empty() || address.starts_with("http"))
        };
        for hostile in [
            "\u{1b}]8;;javascript:x\u{7}here\u{1b}]8;;\u{7} \u{1b}]8;;file:///etc/passwd\u{1b}\\open",
            "https://a.example/\u{1b}]0;title\u{7}\u{1b}]52;c;eA==\u{7}x",
            "https://a.example/\u{9d}8;;https://b.example\u{9c}x \u{9b}2J",
            "https://a.example;id=x;https://b.example/ \u{202e}https://c.example\u{2069}",
            "https://a.example/\u{7}\u{8}\u{8}\u{7f}b \u{1b}P1$r0m\u{1b}\\ \u{1b}_Ga=T\u{1b}\\",
        ] {
            for cut in (0..hostile.len()).filter(|at| hostile.is_char_boundary(*at)) {
                let wire = frames(&[&hostile[..cut]], true).remove(0);
                let (sequences, _) = read(wire.as_bytes());
                assert!(sequences.iter().all(|params| page(params)), "{cut} of {hostile:?}: {wire:?}");
                assert_eq!(sequences.len() % 2, 0, "each link is closed: {wire:?}");
            }
        }
    }

    #[test]
    fn without_links_no_byte_tells_of_one() {
        let all = frames(&["see https://a.example/x"], false);
        assert!(all[0].contains("https://a.example/x"), "the words stay: {:?}", all[0]);
        assert!(!all[0].contains("]8;") && !all[0].contains("58;2;") && !all[0].contains("58:2"), "{:?}", all[0]);
    }
}
