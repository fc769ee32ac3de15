//! Frames: drawn into a buffer, sent to the terminal in one synchronised write.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use crate::app::{Layout, Size, State};
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

pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Gathered>>,
    gathered: Gathered,
    theme: Theme,
    memo: Memo,
    /// The window's, as it was written last.
    title: String,
}

impl Screen {
    pub(super) fn new(theme: Theme) -> io::Result<Self> {
        let gathered = Gathered(Arc::new(Mutex::new(Vec::with_capacity(64 * 1024))));
        let terminal = Terminal::new(CrosstermBackend::new(gathered.clone()))?;
        Ok(Self { terminal, gathered, theme, memo: Memo::new(), title: String::new() })
    }

    /// Draws with another theme from the next frame on.
    pub(super) fn wear(&mut self, theme: Theme) {
        self.theme = theme;
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
        self.terminal = Terminal::new(CrosstermBackend::new(self.gathered.clone()))?;
        self.gathered.bytes().extend_from_slice(b"\x1b[0m\x1b[2J");
        self.title.clear();
        Ok(())
    }

    /// Draws one frame. Says what it looks like, and whether another should follow soon.
    pub(super) fn draw(&mut self, state: &State) -> io::Result<(Layout, bool)> {
        self.gathered.bytes().extend_from_slice(BEGIN);
        let (theme, memo) = (&self.theme, &mut self.memo);
        let mut layout = Layout::default();
        self.terminal.draw(|frame| layout = crate::ui::view(state, theme, memo, frame))?;
        let mut bytes = self.gathered.bytes();
        bytes.extend_from_slice(END);
        let mut out = io::stdout().lock();
        let sent = out.write_all(&bytes).and_then(|()| out.flush());
        bytes.clear();
        drop(bytes);
        sent?;
        Ok((layout, self.memo.wants_frame()))
    }
}
