//! The event loop.
//!
//! One biased select: the person's keys first, then signals, answers, timers, and the engine only while the screen is
//! clean, so that what streams gathers in the engine's one slot until the next frame.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::backdrop::Backdrop;
use super::keys::{Answer, Input, Keys};
use super::local::{Local, Place};
use super::notify::Calling;
use super::pace::Pace;
use super::screen::Screen;
use super::signals::{self, Signal, Signals};
use super::terminal::{self, Keyboard, Raw, TuiError};
use super::timers::Timers;
use super::{Replies, Work, notify};
use crate::app::{self, Effect, Event, Reply, Saved, Start, State};
use crate::chat::{ConversationId, Fault, Limits, Stamped};
use crate::config::editor;
use crate::engine::Handle;
use crate::engine::port::Clock;
use crate::ui::Theme;

/// How long the last effects may take when the screen is left.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Events taken at one go before the screen is drawn.
const BURST: usize = 256;
/// How long an answer of the terminal is waited for before it is given away.
const LATE: Duration = Duration::from_millis(100);

pub struct TuiConfig {
    pub state: State,
    pub start: Start,
    pub themes: Box<dyn Themes>,
    /// The working folder: for `@` files, attachments, saved results.
    pub folder: PathBuf,
    /// The configuration file that `/config` opens.
    pub config_file: PathBuf,
    /// It may be written.
    pub writes: bool,
    /// Finished messages go to the terminal's own scrollback.
    pub inline: bool,
    /// The terminal takes links (OSC 8), and may have them.
    pub links: bool,
    /// The terminal draws pictures (kitty's protocol), and is to.
    pub images: bool,
    /// How a person is called who looks elsewhere.
    pub notify: Calling,
    pub limits: Arc<Limits>,
}

/// The themes that can be chosen, and the one that is.
pub trait Themes: Send {
    /// The chosen one; `light`: the terminal's ground, where it has told.
    ///
    /// # Errors
    /// Where it is not there, or says what no theme says.
    fn theme(&self, light: Option<bool>) -> Result<Theme, Fault>;
    /// The chosen one depends on the terminal's ground.
    fn follows(&self) -> bool;
    /// Chooses another, or other glyphs, by their names in the configuration.
    fn choose(&mut self, theme: Option<String>, glyphs: Option<String>);
    /// The names of the person's own.
    fn own(&self) -> Vec<String>;
}

pub struct Services {
    pub engine: Handle,
    /// The engine's own clock: both stamp alike.
    pub clock: Arc<dyn Clock>,
    pub work: Arc<dyn Work>,
}

/// How the screen was left. The engine still runs: shut it down, then say goodbye.
pub struct Exit {
    pub code: u8,
    /// The conversation that was open.
    pub conversation: Option<ConversationId>,
    pub saved: Saved,
    pub engine: Handle,
}

impl Exit {
    /// What to print on the terminal after leaving; None where nothing was said, or nobody is there to read it.
    #[must_use]
    pub fn farewell(&self) -> Option<String> {
        self.conversation.as_ref().filter(|_| self.code != 129)?;
        match &self.saved {
            Saved::At(_) => Some("Saved. Continue with: millrace -c".to_owned()),
            Saved::Not(reason) => Some(format!("Not saved: {}", crate::text::sanitize(reason).as_str())),
            Saved::Nothing | Saved::Off => None,
        }
    }
}

struct Loop {
    state: State,
    screen: Screen,
    services: Services,
    timers: Timers,
    local: Local,
    input: Option<Keys>,
    raw: Option<Raw>,
    inline: bool,
    themes: Box<dyn Themes>,
    backdrop: Backdrop,
    /// Questions to the terminal whose last answer has not come.
    awaited: u32,
    notify: Calling,
    /// Something to draw, and whether now.
    dirty: bool,
    urgent: bool,
    pace: Pace,
    quit: bool,
}

/// Runs the chat screen until it is left. `drawn` is called once its first frame is on the terminal: whatever is slow
/// and can wait begins there.
///
/// # Errors
/// Where there is no terminal, or it fails.
pub async fn run(config: TuiConfig, services: Services, drawn: impl FnOnce()) -> Result<Exit, TuiError> {
    let TuiConfig { state, start, themes, folder, config_file, writes, limits, inline, links, images, notify } = config;
    let (theme, no_theme) = match themes.theme(None) {
        Ok(theme) => (theme, None),
        Err(fault) => (Theme::default(), Some(fault)),
    };
    terminal::hook_panics();
    // Before the terminal is entered: a signal from now on finds somebody who gives it back.
    let mut signals = Signals::listen()?;
    signals::last_resort()?;
    let raw = Raw::enter(start.mouse, inline)?;
    let (sender, mut answers) = mpsc::unbounded_channel();
    let mut it = Loop {
        state,
        screen: Screen::new(theme, inline, links, images)?,
        services,
        timers: Timers::default(),
        local: Local::new(Place { folder, config_file, writes, limits }, Replies(sender)),
        input: None,
        raw: Some(raw),
        inline,
        themes,
        backdrop: Backdrop::default(),
        awaited: 0,
        notify,
        dirty: true,
        urgent: true,
        pace: Pace::default(),
        quit: false,
    };
    it.state.size = it.screen.size();
    it.state.now = it.services.clock.now();
    let effects = app::start(&mut it.state, start);
    it.draw()?;
    // Only now anything that may be slow.
    drawn();
    it.input = Some(Keys::open()?);
    it.carry(effects)?;
    it.question(true, it.themes.follows())?;
    if let Some(fault) = no_theme {
        it.local.reply(Reply::Failed(fault));
    }
    // What panics here is told by the hook; the engine is still to be ended in order.
    let ended = AssertUnwindSafe(it.turn(&mut signals, &mut answers)).catch_unwind().await;
    let ended = ended.unwrap_or(Err(TuiError::Panicked));
    let ended = match ended {
        // A write that failed because nobody is there any more.
        Err(TuiError::Io(_)) if signals::hung_up() => Some(Signal::HangUp),
        ended => ended?,
    };
    let code = match ended {
        Some(Signal::HangUp) => {
            terminal::abandon();
            Signal::HangUp.exit_code()
        }
        Some(signal) => signal.exit_code(),
        None => 0,
    };
    if code != 129 {
        it.hear_out()?;
        it.screen.farewell()?;
    }
    it.raw = None;
    it.input = None;
    // A draft may be on its way to the store.
    it.local.end(LAST_WORDS).await;
    if terminal::panicked() {
        return Err(TuiError::Panicked);
    }
    Ok(Exit {
        code,
        conversation: it.state.transcript.conversation.clone(),
        saved: it.state.status.saved.clone(),
        engine: it.services.engine,
    })
}

impl Loop {
    /// Until the person leaves, or a signal says so.
    async fn turn(
        &mut self,
        signals: &mut Signals,
        answers: &mut mpsc::UnboundedReceiver<Reply>,
    ) -> Result<Option<Signal>, TuiError> {
        let mut engine_open = true;
        let mut panics = terminal::panics().subscribe();
        while !self.quit {
            if terminal::panicked() {
                return Err(TuiError::Panicked);
            }
            let frame_at = self.pace.next();
            if self.urgent {
                self.draw()?;
                continue;
            }
            self.local.settle();
            let timer_at = self.timers.next();
            tokio::select! {
                biased;
                event = next_input(&mut self.input) => match event {
                    Some(Ok(event)) => self.typed(event)?,
                    // The terminal is gone.
                    Some(Err(_)) | None => return Ok(Some(Signal::HangUp)),
                },
                // The loop's next round ends it.
                _ = panics.changed() => {}
                signal = signals.next() => {
                    if signal == Signal::HangUp {
                        terminal::abandon();
                    }
                    self.apply(Event::Terminate)?;
                    return Ok(Some(signal));
                }
                Some(reply) = answers.recv() => self.apply(Event::Reply(reply))?,
                () = sleep_until(timer_at.unwrap_or_else(Instant::now)), if timer_at.is_some() => {
                    for timer in self.timers.due() {
                        self.apply(Event::Timer(timer))?;
                    }
                }
                () = sleep_until(frame_at), if self.dirty => self.draw()?,
                events = self.services.engine.next(), if engine_open && !self.dirty => match events {
                    Some(events) => {
                        for Stamped { at, body } in events {
                            self.apply_at(Stamped { at, body: Event::Engine(body) })?;
                        }
                    }
                    None => engine_open = false,
                },
            }
        }
        Ok(None)
    }

    /// Takes what came from the terminal and all that has come with it: a fast typist's, or a paste without brackets.
    fn typed(&mut self, first: Input) -> Result<(), TuiError> {
        let mut next = Some(first);
        for _ in 0..BURST {
            match next.take() {
                None => break,
                Some(Input::Event(event)) => {
                    let front = matches!(event, Event::FocusGained);
                    self.apply(event)?;
                    self.urgent = true;
                    if front && self.backdrop.stale(std::time::Instant::now()) {
                        self.look_behind()?;
                    }
                }
                Some(Input::Answer(answer)) => self.told(answer)?,
            }
            if self.quit {
                break;
            }
            next = self.input.as_mut().and_then(Keys::ready).and_then(Result::ok);
        }
        Ok(())
    }

    /// The terminal said something of itself.
    fn told(&mut self, answer: Answer) -> Result<(), TuiError> {
        match answer {
            Answer::Keyboard => terminal::tell_keys(Keyboard::Kitty)?,
            Answer::Attributes => {
                self.awaited = self.awaited.saturating_sub(1);
                terminal::tell_keys(Keyboard::Other)?;
            }
            Answer::Ground(light) => {
                self.backdrop.answered(light);
                self.wear();
            }
            Answer::Scheme(_) if !self.themes.follows() => {}
            Answer::Scheme(light) if self.backdrop.turned(light) => self.look_behind()?,
            Answer::Scheme(_) => self.wear(),
        }
        Ok(())
    }

    /// Asks for the terminal's ground, where the theme follows it.
    fn look_behind(&mut self) -> Result<(), TuiError> {
        if self.themes.follows() { self.question(false, true) } else { Ok(()) }
    }

    /// Asks the terminal what it is: what keyboard it knows, what its ground is.
    fn question(&mut self, keyboard: bool, ground: bool) -> Result<(), TuiError> {
        if ground {
            self.backdrop.asked(std::time::Instant::now());
        }
        self.awaited += u32::from(terminal::ask(keyboard, ground)?);
        Ok(())
    }

    /// Hears what the terminal still has to say, before another gets what is typed: a late answer would be typed there.
    /// What was typed meanwhile is handed back.
    fn hear_out(&mut self) -> Result<Vec<Event>, TuiError> {
        let mut typed = Vec::new();
        let until = std::time::Instant::now() + LATE;
        loop {
            match self.input.as_mut().and_then(Keys::ready) {
                Some(Ok(Input::Answer(answer))) => self.told(answer)?,
                Some(Ok(Input::Event(event))) => typed.push(event),
                Some(Err(_)) => break,
                None if self.awaited == 0 || std::time::Instant::now() >= until => break,
                None => std::thread::sleep(LATE / 20),
            }
        }
        // A terminal that says nothing is waited for once, not with each leaving.
        self.awaited = 0;
        Ok(typed)
    }

    /// Draws with the chosen theme from now on; one that cannot be used says why.
    fn wear(&mut self) {
        match self.themes.theme(self.backdrop.light()) {
            Ok(theme) => self.screen.wear(theme),
            Err(fault) => self.local.reply(Reply::Failed(fault)),
        }
        (self.dirty, self.urgent) = (true, true);
    }

    fn apply(&mut self, event: Event) -> Result<(), TuiError> {
        self.apply_at(Stamped { at: self.services.clock.now(), body: event })
    }

    fn apply_at(&mut self, event: Stamped<Event>) -> Result<(), TuiError> {
        self.dirty = true;
        let effects = app::update(&mut self.state, event);
        self.carry(effects)
    }

    fn draw(&mut self) -> Result<(), TuiError> {
        if terminal::panicked() {
            return Err(TuiError::Panicked);
        }
        let (layout, again) = self.screen.draw(&mut self.state)?;
        if let Some(title) = self.screen.new_title(&self.state) {
            notify::title(&title)?;
        }
        self.pace.drawn(Instant::now());
        self.urgent = false;
        self.dirty = again;
        if layout != self.state.layout {
            let before = (self.state.transcript.scroll, self.state.overlays.len());
            let at = self.services.clock.now();
            let effects = app::update(&mut self.state, Stamped { at, body: Event::Layout(layout) });
            self.carry(effects)?;
            // What the layout taught may have to be shown: a reader at the end, a review read to its end.
            let reads = !self.state.overlays.is_empty();
            self.dirty |= reads || before != (self.state.transcript.scroll, self.state.overlays.len());
        }
        Ok(())
    }

    fn carry(&mut self, effects: Vec<Effect>) -> Result<(), TuiError> {
        for effect in effects {
            match effect {
                Effect::Order(order) => self.services.engine.order(order),
                Effect::SetTimer { timer, after_ms } => self.timers.set(timer, after_ms),
                Effect::CancelTimer(timer) => self.timers.cancel(timer),
                Effect::MouseCapture(on) => terminal::mouse(on)?,
                Effect::Redraw => {
                    self.screen.forget()?;
                    (self.dirty, self.urgent) = (true, true);
                }
                Effect::Theme { theme, glyphs } => {
                    self.themes.choose(theme, glyphs);
                    self.wear();
                    self.look_behind()?;
                }
                Effect::Settings { generation } => self.local.settings(generation, self.themes.own()),
                Effect::SetSetting { key, value } => self.local.set_setting(key, value),
                Effect::Quit => self.quit = true,
                Effect::Suspend => self.outside(|_| {
                    let _ = terminal::suspend();
                    Some(Reply::Resumed)
                })?,
                Effect::Editor { what, text, extension } => self.outside(move |_| {
                    let result = editor::edit(&text, extension);
                    Some(Reply::EditorClosed { what, result })
                })?,
                Effect::EditConfig { server } => self.outside(move |it| Some(it.local.edit_config(server.as_ref())))?,
                Effect::Notify(text) => {
                    let (calling, tmux) = (self.notify, self.local.around().tmux());
                    // tmux is asked first: not for the loop.
                    tokio::task::spawn_blocking(move || notify::call(&text, calling, tmux));
                }
                Effect::Copy { what, text } => self.local.copy(what, text),
                Effect::CopyMarked(marked) => {
                    let text = self.screen.marked_text(&self.state, &marked);
                    if text.is_empty() {
                        self.local.reply(Reply::Said("nothing of that can be copied".to_owned()));
                    } else {
                        self.local.copy("the marked text", text);
                    }
                }
                Effect::SaveBytes { uri, mime, bytes } => self.local.save_bytes(uri, mime, bytes),
                Effect::OpenPage { url } => self.local.open_page(url),
                Effect::SaveResult { name, outcome } => self.local.save_result(name, outcome),
                Effect::LookAtFile { call, path, most } => self.local.look_at_file(call, path, most),
                Effect::LookAtPaths { call, paths, roots } => self.local.look_at_paths(call, paths, roots),
                Effect::SaveText { what, name, extension, text } => self.local.save_text(what, name, extension, text),
                Effect::Run { generation, command } => self.local.run(generation, command),
                Effect::StopRun { generation } => self.local.stop_run(generation),
                Effect::PastePicture { generation } => self.local.paste_picture(generation),
                Effect::Files { generation, query } => self.local.files(generation, query),
                Effect::Attach { path } => self.local.attach(path),
                effect @ (Effect::Search { .. }
                | Effect::Preview { .. }
                | Effect::Open { .. }
                | Effect::Walk { .. }
                | Effect::Follow { .. }
                | Effect::Unfollow { .. }
                | Effect::StopElsewhere { .. }
                | Effect::Newest
                | Effect::Prompts { .. }
                | Effect::RememberPrompt { .. }
                | Effect::Rename { .. }
                | Effect::Pin { .. }
                | Effect::Delete { .. }
                | Effect::Restore { .. }
                | Effect::Export { .. }
                | Effect::SaveDraft { .. }
                | Effect::Models { .. }
                | Effect::Known { .. }
                | Effect::ModelFacts { .. }
                | Effect::ChooseModel { .. }
                | Effect::DefaultModel { .. }
                | Effect::Favourite { .. }
                | Effect::Switch { .. }
                | Effect::Usage { .. }
                | Effect::Turn { .. }
                | Effect::EverApproved
                | Effect::ProbeLocal
                | Effect::FindImports
                | Effect::Import { .. }
                | Effect::AddServer { .. }
                | Effect::FindRoot { .. }
                | Effect::Connect(_)) => {
                    let work = &self.services.work;
                    self.local.work(|replies| work.carry(effect, replies));
                }
            }
        }
        Ok(())
    }

    /// Gives the terminal back, does something with it, takes it again.
    fn outside(&mut self, work: impl FnOnce(&Self) -> Option<Reply>) -> Result<(), TuiError> {
        let typed = self.hear_out()?;
        self.input = None;
        self.screen.farewell()?;
        self.raw = None;
        if let Some(reply) = work(self) {
            self.local.reply(reply);
        }
        self.raw = Some(Raw::enter(self.state.status.mouse, self.inline)?);
        self.input = Some(Keys::open()?);
        self.screen.forget()?;
        self.state.size = self.screen.size();
        (self.dirty, self.urgent) = (true, true);
        self.look_behind()?;
        typed.into_iter().try_for_each(|event| self.apply(event))
    }
}

async fn next_input(input: &mut Option<Keys>) -> Option<std::io::Result<Input>> {
    match input {
        Some(keys) => keys.next().await,
        None => std::future::pending().await,
    }
}
