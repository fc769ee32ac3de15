//! `millrace`: the chat screen, from the command line to the goodbye.

use std::io::{IsTerminal as _, Read as _};
use std::sync::{Arc, Mutex};

use crate::app::{Endpoint as Shown, Keymap, Session, Start, State};
use crate::chat::{Approve, Conversation, Fault, FaultKind, NoticeKind, TurnSettings};
use crate::config::Resolved;
use crate::engine::live::LiveClock;
use crate::store::Store;
use crate::tui::{self, Desk, LiveConnector, Parts, Services, TuiConfig};
use crate::ui::Theme;

use super::boot::{self, Boot};
use super::session::{ColorWord, SessionArgs};
use super::setup::Setup;
use super::{endpoint, once};

/// A piped standard input longer than this is not taken into the composer, bytes.
const MOST_PIPED: u64 = 4 << 20;

/// Opens the chat screen and gives back the exit code.
///
/// # Errors
/// What keeps it from opening.
pub fn run(args: &SessionArgs) -> Result<u8, Fault> {
    if !std::io::stdout().is_terminal() {
        return Err(Fault::new(FaultKind::Usage, tui::TuiError::NoTerminal.to_string()));
    }
    once::runtime()?.block_on(opened(args))
}

async fn opened(args: &SessionArgs) -> Result<u8, Fault> {
    let setup = Setup::load()?;
    let resolved = setup.resolve(args)?;
    let mut notices: Vec<_> = resolved.notices.iter().map(|text| (NoticeKind::Config, text.clone())).collect();
    let store = if resolved.save { boot::open_store(&setup.paths).map(Some) } else { Ok(None) };
    let wanted = args.keep.cont || args.keep.resume.is_some();
    let (store, no_store) = match store {
        Ok(store) => (store, None),
        Err(fault) if wanted => return Err(fault),
        Err(fault) => {
            let hint = fault.hint.clone().unwrap_or_default();
            notices.push((NoticeKind::Unsaved, format!("This conversation is not saved: {} {hint}", fault.message)));
            (None, Some(fault))
        }
    };
    let conversation = conversation(store.as_ref(), &setup, args).await?;
    let http = endpoint::http(&resolved);
    // Without a key for an endpoint that wants one, a person chooses first.
    let chosen = resolved.key_missing.is_none() || !resolved.headers.is_empty();
    let endpoint = if chosen { Some(endpoint::endpoint(&setup, &resolved).await?) } else { None };
    let last = match (&store, &endpoint) {
        (Some(store), Some(endpoint)) => once::last_model(store, endpoint).await,
        _ => None,
    };
    let approve = resolved.approve.unwrap_or(Approve::Ask);
    let model = resolved.model.clone().or(last).unwrap_or_default();
    let settings = once::settings(args, &resolved, model, approve, false)?;
    let limits = Arc::new(resolved.limits.clone());
    let running = Boot {
        http: http.clone(),
        endpoint: endpoint.clone(),
        limits: Arc::clone(&limits),
        rules: boot::rules(&resolved)?,
        servers: resolved.servers.clone(),
        store: store.clone(),
        folder: setup.folder.clone(),
        cache: Some(setup.paths.cache.join("servers")),
        paths: Some(setup.paths.clone()),
        headless: false,
    }
    .start()?;
    let orders = running.handle.orders.clone();
    for (kind, message) in notices {
        orders.notice(kind, message);
    }
    let connector = LiveConnector::new(Parts {
        http: http.clone(),
        orders: orders.clone(),
        servers: Arc::clone(&running.servers),
        limits: Arc::clone(&limits),
        paths: setup.paths.clone(),
        env: setup.env.clone(),
        folder: setup.folder.clone(),
        api: resolved.api,
        store: store.clone(),
        endpoint: Mutex::new(endpoint.clone()),
        demo: None,
    });
    let desk = Desk::new(
        store.clone().ok_or_else(|| no_store.unwrap_or_else(not_kept)),
        http,
        Arc::new(connector),
        setup.folder.clone(),
        setup.paths.home.clone(),
    );
    let connection = endpoint.as_ref().map(|endpoint| {
        Shown::new(
            endpoint.base_url.as_str().trim_end_matches('/').to_owned(),
            endpoint.key.as_ref().map(|_| endpoint.key_source.clone()),
        )
    });
    let config = TuiConfig {
        state: state(&setup, &resolved, settings, connection),
        start: start(args, &setup, &resolved, store.as_ref(), conversation).await?,
        theme: theme(args, &setup, &resolved),
        folder: setup.folder.clone(),
        config_file: setup.paths.config_file(),
        limits,
    };
    let services = Services { engine: running.handle, clock: Arc::new(LiveClock), work: Arc::new(desk) };
    let left = tui::run(config, services).await;
    orders.shutdown().await;
    if let Some(store) = store {
        let _ = store.close().await;
    }
    let exit = left.map_err(|error| {
        let kind = if error.exit_code() == 2 { FaultKind::Usage } else { FaultKind::Internal };
        Fault::new(kind, error.to_string())
    })?;
    if let Some(farewell) = exit.farewell() {
        println!("{farewell}");
    }
    Ok(exit.code)
}

fn not_kept() -> Fault {
    Fault::new(FaultKind::Store, "Nothing is kept in this session (--no-save).")
}

fn state(setup: &Setup, resolved: &Resolved, settings: TurnSettings, connection: Option<Shown>) -> State {
    let offset = jiff::Zoned::now().offset().seconds();
    let mut state = State::new(Session {
        greeting: connection.as_ref().map(|_| resolved.where_messages_go.clone()),
        connection,
        settings,
        folder: setup.paths.show(&setup.folder),
        config_path: setup.paths.show(&setup.paths.config_file()),
        data_path: setup.paths.show(&setup.paths.data),
        version: env!("CARGO_PKG_VERSION"),
        utc_offset_s: offset,
        ..Session::default()
    });
    state.keymap = Keymap::configured(&resolved.keymap);
    state.panel.hidden = !resolved.ui.panel;
    state
}

async fn start(
    args: &SessionArgs,
    setup: &Setup,
    resolved: &Resolved,
    store: Option<&Store>,
    conversation: Option<Box<Conversation>>,
) -> Result<Start, Fault> {
    let prompt = args.prompt.join(" ");
    let mut history = match store {
        Some(store) => store.recent_prompts(200).await.unwrap_or_default(),
        None => Vec::new(),
    };
    history.reverse();
    let _ = setup;
    Ok(Start {
        prompt: (!prompt.trim().is_empty()).then_some(prompt),
        parts: super::run::attachments(args, &resolved.limits)?,
        piped: piped()?,
        conversation,
        browse: args.keep.resume.as_deref() == Some(""),
        history,
        mouse: resolved.ui.mouse,
    })
}

/// A standard input that is no terminal; keys then come from the controlling terminal.
fn piped() -> Result<Option<String>, Fault> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let bad = |error: std::io::Error| Fault::new(FaultKind::Usage, format!("standard input cannot be read: {error}"));
    stdin.lock().take(MOST_PIPED).read_to_end(&mut bytes).map_err(bad)?;
    Ok((!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned()))
}

async fn conversation(
    store: Option<&Store>,
    setup: &Setup,
    args: &SessionArgs,
) -> Result<Option<Box<Conversation>>, Fault> {
    let Some(store) = store else { return Ok(None) };
    let Some(id) = (match args.keep.resume.as_deref() {
        Some("") => None,
        _ => once::conversation(Some(store), setup, args).await?,
    }) else {
        return Ok(None);
    };
    let claim = store.claim(&id).await;
    let mut conversation = store.open_conversation(&id).await.map_err(|error| error.fault())?;
    conversation.open_elsewhere = matches!(claim, Ok(crate::store::Claim::Held { .. }));
    Ok(Some(Box::new(conversation)))
}

fn theme(args: &SessionArgs, setup: &Setup, resolved: &Resolved) -> Theme {
    let set = |name: &str| setup.env.get(name).is_some_and(|value| !value.is_empty());
    let dumb = setup.env.get("TERM").is_some_and(|term| term == "dumb");
    let colour = match args.output.color {
        Some(ColorWord::Always) => true,
        Some(ColorWord::Never) => false,
        Some(ColorWord::Auto) | None => !set("NO_COLOR") && !dumb,
    };
    let theme = match (colour, resolved.ui.theme.as_str()) {
        (false, _) => Theme::plain(),
        (true, "light") => Theme::light(),
        (true, _) => Theme::dark(),
    };
    let console = setup.env.get("TERM").is_some_and(|term| term == "linux" || term == "dumb");
    match resolved.ui.glyphs {
        crate::config::Glyphs::Ascii => theme.ascii(),
        crate::config::Glyphs::Auto if console => theme.ascii(),
        crate::config::Glyphs::Auto | crate::config::Glyphs::Unicode => theme,
    }
}
