//! Frames: drawn into a buffer, sent to the terminal in one synchronised write.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ratatui::Terminal;

use super::graphics::Graphics;
use super::inline::Inline;
use super::link::{Drawn, Linking};
use super::terminal;
use crate::app::{Focus, Layout, Marked, Size, State};
use crate::ui::{Memo, Theme};

/// Begins and ends a frame that the terminal shows at once (DEC mode 2026).
const BEGIN: &[u8] = b"\x1b[?2026h";
const END: &[u8] = b"\x1b[?2026l";

/// Gathers a frame's bytes; the terminal gets them whole.
#[derive(Clone, Debug)]
struct Gathered(Arc<Mutex<Vec<u8>>>);

impl Gathered {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Gathered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// The frame is not whole yet.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Pixels of a cell, across and down; a guess in the usual shape where the terminal does not tell.
fn cell() -> (u16, u16) {
    let known = crossterm::terminal::window_size().ok().and_then(|size| {
        let across = size.width.checked_div(size.columns)?;
        let down = size.height.checked_div(size.rows)?;
        (across > 0 && down > 0).then_some((across, down))
    });
    known.unwrap_or((10, 20))
}

pub(super) struct Screen {
    terminal: Terminal<Linking<Gathered>>,
    gathered: Gathered,
    drawn: Drawn,
    /// The terminal takes links.
    links: bool,
    /// The terminal draws pictures.
    graphics: Option<Graphics>,
    theme: Theme,
    memo: Memo,
    /// The window's, as it was written last.
    title: String,
    /// `--inline`; whatever needs the whole screen has the alternate one meanwhile.
    inline: Option<Inline>,
}

impl Screen {
    pub(super) fn new(theme: Theme, inline: bool, links: bool, images: bool) -> io::Result<Self> {
        let gathered = Gathered(Arc::new(Mutex::new(Vec::with_capacity(64 * 1024))));
        let drawn = Drawn::default();
        let terminal = Terminal::new(Linking::new(gathered.clone(), drawn.clone()))?;
        Ok(Self {
            terminal,
            gathered,
            drawn,
            links,
            // The inline screen's rows belong to the terminal once they are printed.
            graphics: (images && !inline).then(Graphics::default),
            theme,
            memo: Memo::new(),
            title: String::new(),
            inline: inline.then(Inline::default),
        })
    }

    /// Draws with another theme from the next frame on.
    pub(super) fn wear(&mut self, theme: Theme) {
        self.theme = theme;
    }

    /// What is marked in the transcript, as it is shown.
    pub(super) fn marked_text(&mut self, state: &State, marked: &Marked) -> String {
        crate::ui::marked_text(state, &mut self.memo, marked)
    }

    pub(super) fn size(&self) -> Size {
        let size = self.terminal.size().unwrap_or_default();
        Size { columns: size.width, rows: size.height }
    }

    /// The window's title, where it is another than the one before.
    pub(super) fn new_title(&mut self, state: &State) -> Option<String> {
        let title = crate::ui::title(state, &self.theme);
        (title != self.title).then(|| self.title.clone_from(&title)).map(|()| title)
    }

    /// Everything is drawn anew with the next frame.
    pub(super) fn forget(&mut self) -> io::Result<()> {
        // Not `Terminal::clear`: it asks the terminal where its cursor is, and waits for the answer among the keys.
        self.terminal = Terminal::new(Linking::new(self.gathered.clone(), self.drawn.clone()))?;
        match &mut self.inline {
            Some(inline) if !terminal::alternate() => inline.forget(),
            Some(_) | None => self.gathered.bytes().extend_from_slice(b"\x1b[0m\x1b[2J"),
        }
        if let Some(graphics) = &mut self.graphics {
            let cleared = graphics.clear();
            self.gathered.bytes().extend_from_slice(cleared.as_bytes());
        }
        self.title.clear();
        Ok(())
    }

    /// Draws one frame. Says what it looks like, and whether another should follow soon.
    pub(super) fn draw(&mut self, state: &mut State) -> io::Result<(Layout, bool)> {
        if self.inline.is_some() {
            let whole = !state.overlays.is_empty() || state.focus == Focus::Panel;
            if whole != terminal::alternate() {
                terminal::switch(whole)?;
                if whole {
                    self.forget()?;
                }
            }
            if !whole {
                return self.draw_inline(state);
            }
        }
        self.gathered.bytes().extend_from_slice(BEGIN);
        self.memo.draw_pictures(self.graphics.as_ref().map(|_| cell()));
        let (theme, memo, links) = (&self.theme, &mut self.memo, self.links.then_some(&self.drawn));
        let mut layout = Layout::default();
        self.terminal.draw(|frame| {
            layout = crate::ui::view(state, theme, memo, frame);
            if let Some(drawn) = links {
                drawn.set(memo.links().clone());
            }
        })?;
        if let Some(graphics) = &mut self.graphics {
            let told = graphics.tell(self.memo.pictures(), state);
            self.gathered.bytes().extend_from_slice(told.as_bytes());
        }
        self.send()?;
        Ok((layout, self.memo.wants_frame()))
    }

    fn draw_inline(&mut self, state: &mut State) -> io::Result<(Layout, bool)> {
        let size = self.size();
        let Some(inline) = &mut self.inline else { return Ok((Layout::default(), false)) };
        if size != state.size {
            state.size = size;
        }
        inline.resized(size.columns);
        let mut frame = String::new();
        let drawn = inline.draw(state, &self.theme, self.links, &mut frame);
        if !frame.is_empty() {
            let mut bytes = self.gathered.bytes();
            bytes.extend_from_slice(BEGIN);
            bytes.extend_from_slice(frame.as_bytes());
            drop(bytes);
            self.send()?;
        }
        Ok(drawn)
    }

    /// Prints what is left of the conversation and takes the live area away: the screen is left.
    pub(super) fn farewell(&mut self) -> io::Result<()> {
        if let Some(graphics) = &mut self.graphics {
            let cleared = graphics.clear();
            io::stdout().lock().write_all(cleared.as_bytes())?;
        }
        if let Some(inline) = &mut self.inline {
            if terminal::alternate() {
                terminal::switch(false)?;
            }
            let mut frame = String::new();
            inline.erase(&mut frame);
            let mut out = io::stdout().lock();
            out.write_all(frame.as_bytes())?;
            out.flush()?;
        }
        Ok(())
    }

    /// Sends the gathered frame to the terminal, whole.
    fn send(&mut self) -> io::Result<()> {
        let mut bytes = self.gathered.bytes();
        bytes.extend_from_slice(END);
        let sent = terminal::frame(&bytes);
        bytes.clear();
        drop(bytes);
        sent
    }
}
