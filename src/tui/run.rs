//! The event loop.
//!
//! One biased select: the person's keys first, then signals, answers, timers, and the engine only while the screen is
//! clean, so that what streams gathers in the engine's one slot until the next frame.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::backdrop::Backdrop;
use super::clipboard::{self, Surroundings};
use super::keys::{Answer, Input, Keys};
use super::notify::Calling;
use super::pace::Pace;
use super::screen::Screen;
use super::signals::{self, Signal, Signals};
use super::terminal::{self, Keyboard, Raw, TuiError};
use super::timers::Timers;
use super::{Replies, Work, files, notify, page, picture, settings, shell};
use crate::app::{self, EditorUse, Effect, Event, PathMark, Reply, Saved, Start, State};
use crate::chat::{ConversationId, Fault, Limits, Stamped};
use crate::config::editor;
use crate::engine::port::Clock;
use crate::engine::{Handle, disk};
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
    replies: Replies,
    input: Option<Keys>,
    raw: Option<Raw>,
    folder: PathBuf,
    config_file: PathBuf,
    writes: bool,
    inline: bool,
    themes: Box<dyn Themes>,
    backdrop: Backdrop,
    /// Questions to the terminal whose last answer has not come.
    awaited: u32,
    limits: Arc<Limits>,
    around: Surroundings,
    notify: Calling,
    working: JoinSet<()>,
    /// The commands of the person's own that run, one to a conversation.
    commands: shell::Running,
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
        replies: Replies(sender),
        input: None,
        raw: Some(raw),
        folder,
        config_file,
        writes,
        inline,
        themes,
        backdrop: Backdrop::default(),
        awaited: 0,
        limits,
        around: Surroundings::look(),
        notify,
        working: JoinSet::new(),
        commands: shell::Running::default(),
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
        it.replies.send(Reply::Failed(fault));
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
    it.commands.stop_all();
    // A draft on its way to the store.
    let _ = timeout(LAST_WORDS, async { while it.working.join_next().await.is_some() {} }).await;
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
            while self.working.try_join_next().is_some() {}
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
            Err(fault) => self.replies.send(Reply::Failed(fault)),
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
                Effect::Settings { generation } => {
                    let (path, themes) = (self.config_file.clone(), self.themes.own());
                    self.aside(move || match settings::read(&path) {
                        Ok(written) => Reply::Settings { generation, written, themes },
                        Err(fault) => Reply::Failed(fault),
                    });
                }
                Effect::SetSetting { key, value } => {
                    let path = self.writes.then(|| self.config_file.clone());
                    self.aside(move || {
                        let result = settings::write(path.as_deref(), &key, value.as_deref());
                        Reply::Set { key, value, result }
                    });
                }
                Effect::Quit => self.quit = true,
                Effect::Suspend => self.outside(|_| {
                    let _ = terminal::suspend();
                    Some(Reply::Resumed)
                })?,
                Effect::Editor { what, text, extension } => self.outside(move |_| {
                    let result = editor::edit(&text, extension);
                    Some(Reply::EditorClosed { what, result })
                })?,
                Effect::EditConfig { server } => self.outside(move |it| {
                    let line = server.and_then(|server| line_of(&it.config_file, server.as_str()));
                    match editor::open(&it.config_file, line) {
                        Ok(()) => Some(Reply::EditorClosed { what: EditorUse::View, result: Ok(String::new()) }),
                        Err(fault) => Some(Reply::Failed(fault)),
                    }
                })?,
                Effect::Notify(text) => {
                    let (calling, tmux) = (self.notify, self.around.tmux());
                    // tmux is asked first: not for the loop.
                    tokio::task::spawn_blocking(move || notify::call(&text, calling, tmux));
                }
                Effect::Copy { what, text } => {
                    let (around, folder) = (self.around, self.folder.clone());
                    self.aside(move || Reply::Copied(clipboard::copy(what, &text, around, &folder)));
                }
                Effect::CopyMarked(marked) => {
                    let text = self.screen.marked_text(&self.state, &marked);
                    if text.is_empty() {
                        self.replies.send(Reply::Said("nothing of that can be copied".to_owned()));
                    } else {
                        let (around, folder) = (self.around, self.folder.clone());
                        self.aside(move || Reply::Copied(clipboard::copy("the marked text", &text, around, &folder)));
                    }
                }
                Effect::SaveBytes { uri, mime, bytes } => {
                    let folder = self.folder.clone();
                    self.aside(move || {
                        let result = files::save_resource(&folder, &uri, mime.as_deref(), &bytes);
                        Reply::Saved { what: "the resource", result }
                    });
                }
                Effect::OpenPage { url } => {
                    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
                    let here = page::can_open(set);
                    self.aside(move || {
                        let no_screen = || Err("there is no screen here".to_owned());
                        Reply::PageOpened(if here { page::open(&url) } else { no_screen() })
                    });
                }
                Effect::SaveResult { name, outcome } => {
                    let folder = self.folder.clone();
                    self.aside(move || {
                        let result = files::save_result(&folder, &name, &outcome);
                        Reply::Saved { what: "the result", result }
                    });
                }
                Effect::LookAtFile { call, path, most } => {
                    self.aside(move || {
                        let standing = disk::standing(Path::new(&path), most);
                        Reply::FileStands { call, path, standing }
                    });
                }
                Effect::LookAtPaths { call, paths, roots } => {
                    let folder = self.folder.clone();
                    self.aside(move || {
                        let mark = |(field, path): (String, String)| {
                            let place = disk::place(Path::new(&path), &roots, &folder);
                            PathMark { field, path, place }
                        };
                        Reply::PathsLead { call, marks: paths.into_iter().map(mark).collect() }
                    });
                }
                Effect::SaveText { what, name, extension, text } => {
                    let folder = self.folder.clone();
                    self.aside(move || {
                        let result = files::save(&folder, &name, extension, text.as_bytes());
                        Reply::Saved { what, result: result.map(|path| path.display().to_string()) }
                    });
                }
                Effect::Run { generation, command } => {
                    let stop = self.commands.begin(generation);
                    let (folder, limits) = (self.folder.clone(), Arc::clone(&self.limits));
                    let replies = self.replies.clone();
                    self.working.spawn(async move {
                        let result = shell::run(command, folder, limits, stop).await;
                        replies.send(Reply::Ran { generation, result });
                    });
                }
                Effect::StopRun { generation } => self.commands.stop(generation),
                Effect::PastePicture { generation } => {
                    let (around, limits) = (self.around, Arc::clone(&self.limits));
                    self.aside(move || {
                        let result = picture::picture(around, &limits);
                        Reply::Picture { generation, result }
                    });
                }
                Effect::Files { generation, query } => {
                    let folder = self.folder.clone();
                    self.aside(move || Reply::Files { generation, paths: files::find(&folder, &query) });
                }
                Effect::Attach { path } => {
                    let (folder, limits) = (self.folder.clone(), Arc::clone(&self.limits));
                    self.aside(move || {
                        let result = files::attach(&folder, &path, &limits);
                        Reply::Attached { path, result }
                    });
                }
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
                    self.working.spawn(self.services.work.carry(effect, self.replies.clone()));
                }
            }
        }
        Ok(())
    }

    /// Does something slow on a thread of its own.
    fn aside(&self, work: impl FnOnce() -> Reply + Send + 'static) {
        let replies = self.replies.clone();
        tokio::task::spawn_blocking(move || replies.send(work()));
    }

    /// Gives the terminal back, does something with it, takes it again.
    fn outside(&mut self, work: impl FnOnce(&Self) -> Option<Reply>) -> Result<(), TuiError> {
        let typed = self.hear_out()?;
        self.input = None;
        self.screen.farewell()?;
        self.raw = None;
        if let Some(reply) = work(self) {
            self.replies.send(reply);
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

/// The line of a server's entry in the configuration, from 1.
fn line_of(path: &std::path::Path, server: &str) -> Option<usize> {
    let text = std::fs::read_to_string(path).ok()?;
    let head = format!("[servers.{server}]");
    text.lines().position(|line| line.trim() == head).map(|at| at + 1)
}
