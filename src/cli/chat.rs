//! `millrace`: the chat screen.

use std::io::{IsTerminal as _, Read as _};
use std::sync::{Arc, Mutex};

use crate::app::{Endpoint as Shown, Session, Start, State};
use crate::chat::{Approve, ConversationId, Fault, FaultKind, TurnSettings};
use crate::config::{Glyphs, Origin, Resolved, UiSettings};
use crate::engine::live::LiveClock;
use crate::net::{Endpoint, Http};
use crate::store::Store;
use crate::tui::{self, Desk, Services, TuiConfig};
use crate::ui::Theme;

use super::boot::{self, Boot};
use super::connect::Connections;
use super::demo::Prepared;
use super::session::{ColorWord, SessionArgs};
use super::setup::Setup;
use super::{endpoint, once, run as asked};

/// Opens the chat screen and stays until it is left.
///
/// # Errors
/// `Usage` where there is no terminal; faults of the configuration; of the store where `-c` or `-r` need it.
pub fn run(args: &SessionArgs) -> Result<u8, Fault> {
    if !std::io::stdout().is_terminal() {
        return Err(Fault::new(FaultKind::Usage, "The chat screen needs a terminal.")
            .hint("For pipes and scripts: millrace run \"…\""));
    }
    let setup = Setup::load()?;
    let resolved = setup.resolve(args)?;
    let runtime = once::runtime()?;
    runtime.block_on(opened(args, setup, resolved))
}

async fn opened(args: &SessionArgs, setup: Setup, resolved: Resolved) -> Result<u8, Fault> {
    let wants_store = resolved.save || args.keep.cont || args.keep.resume.is_some();
    let store = match wants_store {
        true => boot::open_store(&setup.paths),
        false => Err(Fault::new(FaultKind::Store, "This session is not saved (--no-save).")),
    };
    if let (Err(fault), true) = (&store, args.keep.cont || args.keep.resume.is_some()) {
        return Err(fault.clone());
    }
    let http = endpoint::http(&resolved);
    let unchosen = resolved.key.is_none() && origin(&resolved, "base_url") == Some(&Origin::Default);
    let endpoint = match unchosen {
        true => None,
        false => Some(endpoint::endpoint(&setup, &resolved).await?),
    };
    let conversation = match store.as_ref() {
        Ok(store) => once::conversation(store, &setup.folder, args).await?,
        Err(_) => None,
    };
    let model = match (&resolved.model, &endpoint, &store) {
        (Some(model), _, _) => model.clone(),
        (None, Some(endpoint), Ok(store)) => once::last_model(store, endpoint).await.unwrap_or_default(),
        (None, _, _) => String::new(),
    };
    let mut notices: Vec<String> = resolved.notices.clone();
    if let (Err(fault), true) = (&store, resolved.save) {
        notices.push(format!("not saved: {}", fault.message));
    }
    let approve = resolved.approve.unwrap_or(Approve::Ask);
    let settings = once::settings(args, &resolved, model, approve, false)?;
    let boot = Boot {
        http: http.clone(),
        endpoint: endpoint.clone(),
        limits: Arc::new(resolved.limits.clone()),
        rules: boot::rules(&resolved)?,
        servers: resolved.servers.clone(),
        store: store.as_ref().ok().cloned(),
        folder: setup.folder.clone(),
        cache: Some(setup.paths.cache.join("servers")),
        paths: Some(setup.paths.clone()),
        headless: false,
    };
    let session = session(&setup, &resolved, endpoint.as_ref(), settings);
    let start = start(args, &resolved, store.as_ref().ok(), conversation).await?;
    let screen = Screen { session, start, theme: theme(args, &resolved.ui, &setup), notices, keep_config: true };
    show(screen, boot, store, endpoint, &setup).await
}

/// Opens the chat screen on the demo: its own model, server and store, nothing of the user's.
///
/// # Errors
/// `Usage` where there is no terminal, `Internal` where the demo cannot start.
pub fn demo(args: &SessionArgs) -> Result<u8, Fault> {
    if !std::io::stdout().is_terminal() {
        return Err(Fault::new(FaultKind::Usage, "The demo's screen needs a terminal.")
            .hint("For pipes and scripts: millrace demo --output text"));
    }
    let prepared = Prepared::new(args)?;
    let runtime = once::runtime()?;
    runtime.block_on(async {
        let boot = prepared.boot(false).await?;
        let Prepared { demo: _serving, setup, resolved } = &prepared;
        let endpoint = boot.endpoint.clone();
        let no_store = Fault::new(FaultKind::Store, "This session is not saved (--no-save).");
        let store = boot.store.clone().ok_or(no_store);
        let approve = resolved.approve.unwrap_or(Approve::Ask);
        let settings = once::settings(args, resolved, prepared.model(), approve, false)?;
        let mut session = session(setup, resolved, endpoint.as_ref(), settings);
        session.greeting = Some("The demo: a built-in model and tools. Nothing leaves this computer.".into());
        let mut start = start(args, resolved, None, None).await?;
        if start.prompt.is_none() {
            // The first question is offered, and sent by the person.
            start.draft = Some(crate::demo::PROMPT.to_owned());
        }
        let theme = theme(args, &resolved.ui, setup);
        let screen = Screen { session, start, theme, notices: resolved.notices.clone(), keep_config: false };
        show(screen, boot, store, endpoint, setup).await
    })
}

fn session(setup: &Setup, resolved: &Resolved, endpoint: Option<&Endpoint>, settings: TurnSettings) -> Session {
    let mut session = Session::default();
    session.connection = endpoint.map(shown);
    session.settings = settings;
    session.folder = setup.folder.display().to_string();
    session.config_path = setup.paths.show(&setup.paths.config_file());
    session.data_path = setup.paths.show(&setup.paths.data);
    session.version = env!("CARGO_PKG_VERSION");
    session.utc_offset_s = utc_offset();
    session.greeting = Some(resolved.where_messages_go.clone());
    session
}

/// What the screen begins with.
pub struct Screen {
    pub session: Session,
    pub start: Start,
    pub theme: Theme,
    pub notices: Vec<String>,
    /// Choices are written to the user's configuration.
    pub keep_config: bool,
}

/// Runs the screen over a booted engine, and ends everything behind it.
///
/// # Errors
/// Where the engine or the terminal fails.
pub async fn show(
    screen: Screen,
    boot: Boot,
    store: Result<Store, Fault>,
    endpoint: Option<Endpoint>,
    setup: &Setup,
) -> Result<u8, Fault> {
    let http: Http = boot.http.clone();
    let limits = Arc::clone(&boot.limits);
    let running = boot.start()?;
    let orders = running.handle.orders.clone();
    for notice in screen.notices {
        orders.notice(crate::chat::NoticeKind::Config, notice);
    }
    let connections = Connections {
        http: http.clone(),
        limits: Arc::clone(&limits),
        orders: orders.clone(),
        servers: Arc::clone(&running.servers),
        store: store.as_ref().ok().cloned(),
        paths: setup.paths.clone(),
        config_file: screen.keep_config.then(|| setup.paths.config_file()),
        folder: setup.folder.clone(),
        endpoint: Arc::new(Mutex::new(endpoint)),
        demo: Arc::default(),
    };
    let desk = Desk::new(store.clone(), http, Arc::new(connections), setup.folder.clone(), setup.paths.home.clone());
    let state = State::new(screen.session);
    let config = TuiConfig {
        state,
        start: screen.start,
        theme: screen.theme,
        folder: setup.folder.clone(),
        config_file: setup.paths.config_file(),
        limits,
    };
    let services = Services { engine: running.handle, clock: Arc::new(LiveClock), work: Arc::new(desk) };
    let left = tui::run(config, services).await;
    orders.shutdown().await;
    if let Ok(store) = store {
        let _ = store.close().await;
    }
    let left = left.map_err(|error| Fault::new(FaultKind::Internal, error.to_string()))?;
    if let Some(words) = left.farewell() {
        println!("{words}");
    }
    Ok(left.code)
}

async fn start(
    args: &SessionArgs,
    resolved: &Resolved,
    store: Option<&Store>,
    conversation: Option<ConversationId>,
) -> Result<Start, Fault> {
    let piped = match std::io::stdin().is_terminal() {
        true => None,
        false => {
            let mut text = String::new();
            let most = 64 << 20;
            std::io::stdin()
                .lock()
                .take(most)
                .read_to_string(&mut text)
                .map_err(|error| Fault::new(FaultKind::Usage, format!("standard input cannot be read: {error}")))?;
            Some(text).filter(|t| !t.trim().is_empty())
        }
    };
    let parts =
        args.ask.files.iter().map(|path| asked::attached(path, &resolved.limits)).collect::<Result<Vec<_>, _>>()?;
    let (mut opened, mut history) = (None, Vec::new());
    if let Some(store) = store {
        if let Some(id) = conversation {
            // Its right is claimed by the engine with the first message.
            opened = Some(Box::new(store.open_conversation(&id).await.map_err(|error| error.fault())?));
        }
        history = store.recent_prompts(200).await.unwrap_or_default();
        history.reverse();
    }
    Ok(Start {
        prompt: Some(args.prompt.join(" ")).filter(|p| !p.trim().is_empty()),
        draft: None,
        parts,
        piped,
        conversation: opened,
        browse: args.keep.resume.as_deref() == Some(""),
        history,
        mouse: resolved.ui.mouse,
    })
}

fn origin<'a>(resolved: &'a Resolved, key: &str) -> Option<&'a Origin> {
    resolved.settings.iter().find(|s| s.key == key).map(|s| &s.origin)
}

/// An endpoint as the screen names it.
#[must_use]
pub fn shown(endpoint: &Endpoint) -> Shown {
    Shown {
        base_url: endpoint.base_url.as_str().trim_end_matches('/').to_owned(),
        host: endpoint.host(),
        key_from: endpoint.key.is_some().then(|| endpoint.key_source.clone()),
    }
}

/// Seconds east of UTC now, for times of day.
#[must_use]
pub fn utc_offset() -> i32 {
    jiff::Zoned::now().offset().seconds()
}

/// Colours and glyphs, by the options, the configuration and what the terminal says of itself.
#[must_use]
pub fn theme(args: &SessionArgs, ui: &UiSettings, setup: &Setup) -> Theme {
    let env = |name: &str| setup.env.get(name).map(String::as_str).filter(|v| !v.is_empty());
    let colour = match args.output.color {
        Some(ColorWord::Always) => true,
        Some(ColorWord::Never) => false,
        Some(ColorWord::Auto) | None => env("NO_COLOR").is_none() && env("TERM") != Some("dumb"),
    };
    let theme = match (colour && !args.output.plain, ui.theme.as_str()) {
        (false, _) => Theme::plain(),
        (true, "light") => Theme::light(),
        (true, _) => match env("COLORFGBG").and_then(|v| v.rsplit(';').next()) {
            Some("7" | "15") if ui.theme == "auto" => Theme::light(),
            Some(_) | None => Theme::dark(),
        },
    };
    let utf8 = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(env)
        .is_none_or(|v| v.to_ascii_lowercase().replace('-', "").contains("utf8"));
    match ui.glyphs {
        Glyphs::Ascii => theme.ascii(),
        Glyphs::Auto if !utf8 || env("TERM") == Some("linux") => theme.ascii(),
        Glyphs::Auto | Glyphs::Unicode => theme,
    }
}
