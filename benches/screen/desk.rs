//! A screen without a terminal: state, memo and a ratatui terminal that writes into memory, driven as the loop does.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use millrace::app::{self, Effect, Endpoint, Event, Key, Session, Size, State};
use millrace::chat::{ConversationId, Stamp, Stamped, TurnEvent, TurnId, TurnSettings};
use millrace::ui::{self, Memo, Theme};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};

/// Counts what a terminal would be sent.
#[derive(Default)]
struct Counter(Vec<u8>);

static WRITTEN: AtomicUsize = AtomicUsize::new(0);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        WRITTEN.fetch_add(self.0.len(), Ordering::Relaxed);
        self.0.clear();
        Ok(())
    }
}

pub struct Desk {
    pub state: State,
    memo: Memo,
    theme: Theme,
    terminal: Terminal<CrosstermBackend<Counter>>,
    at: Stamp,
    pub effects: Vec<Effect>,
}

impl Desk {
    pub fn new(columns: u16, rows: u16) -> Self {
        let session = Session {
            connection: Some(Endpoint::new("http://localhost:8000/v1".into(), None)),
            settings: TurnSettings { model: "qwen3-32b".into(), ..TurnSettings::default() },
            ..Session::default()
        };
        let options = TerminalOptions { viewport: Viewport::Fixed(Rect::new(0, 0, columns, rows)) };
        let mut desk = Self {
            state: State::new(session),
            memo: Memo::new(),
            theme: Theme::dark(),
            terminal: Terminal::with_options(CrosstermBackend::new(Counter::default()), options).unwrap(),
            at: Stamp { mono_us: 1_000_000, wall_ms: 1_795_356_151_000 },
            effects: Vec::new(),
        };
        desk.event(Event::Resize(Size { columns, rows }));
        desk.draw();
        desk
    }

    /// Bytes written by all frames of this process.
    pub fn bytes(&self) -> usize {
        WRITTEN.load(Ordering::Relaxed)
    }

    pub fn pass(&mut self, time: Duration) {
        self.at.mono_us += u64::try_from(time.as_micros()).unwrap();
    }

    pub fn event(&mut self, event: Event) {
        self.effects = app::update(&mut self.state, Stamped { at: self.at, body: event });
    }

    pub fn engine(&mut self, event: TurnEvent) {
        self.event(Event::Engine(event));
    }

    pub fn draw(&mut self) {
        let (state, theme, memo) = (&self.state, &self.theme, &mut self.memo);
        let mut layout = app::Layout::default();
        self.terminal.draw(|frame| layout = ui::view(state, theme, memo, frame)).unwrap();
        if layout != self.state.layout {
            self.event(Event::Layout(layout));
        }
    }

    /// A key with its frame.
    pub fn key(&mut self, key: &str) -> Duration {
        let began = Instant::now();
        self.event(Event::Key(Key::parse(key).unwrap()));
        self.draw();
        began.elapsed()
    }

    /// Sends a message; the engine begins to answer it.
    pub fn ask(&mut self, text: &str) -> TurnId {
        for c in text.chars() {
            self.key(&c.to_string());
        }
        self.key("enter");
        let turn = self.state.transcript.turn.as_ref().unwrap().id;
        self.engine(TurnEvent::Started {
            turn,
            conversation: ConversationId::new("c1"),
            model: "qwen3-32b".into(),
            base_url: "http://localhost:8000/v1".into(),
            api: "chat",
        });
        self.engine(TurnEvent::Request {
            turn,
            round: 1,
            attempt: 1,
            tools: 2,
            tools_hash: String::new(),
            parts: Default::default(),
            of: None,
        });
        self.draw();
        turn
    }
}

/// Markdown as models write it, in tokens of four bytes or so.
pub fn tokens(count: usize) -> Vec<String> {
    const TEXT: &str = "The loop only leaves on **Ok** or on a non-retryable error, so `retry()` never consults the \
        deadline. Two changes are needed:\n\n1. Bound the loop by attempts and by elapsed time.\n2. Honour \
        Retry-After, clamped to the remaining budget.\n\n```rust\npub async fn retry<F>(mut op: F, cfg: &Retry) -> \
        Result<Reply> {\n    let end = Instant::now() + cfg.budget;\n    for n in 0..cfg.attempts {\n        match \
        op().await {\n            Ok(reply) => return Ok(reply),\n            Err(error) => sleep(n).await,\n        \
        }\n    }\n}\n```\n\n| name | what it does |\n|--|--|\n| attempts | how often |\n| budget | how long |\n\n";
    let chars: Vec<char> = TEXT.chars().collect();
    chars.chunks(4).cycle().take(count).map(String::from_iter).collect()
}
