//! `millrace`: the chat screen, from the command line to the goodbye.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::app::{Casting, Endpoint as Shown, Keymap, Session, Start, State, Vi};
use crate::chat::{Api, Approve, Conversation, Fault, FaultKind, NoticeKind, TurnSettings};
use crate::config::{Provider, Resolved, Role};
use crate::demo::{Demo, DemoOptions};
use crate::engine::live::LiveServers;
use crate::engine::{Orders, TitleModel, Titles};
use crate::net::{Catalogue, Endpoint, Http, HttpOptions};
use crate::store::Store;
use crate::tui::{self, DemoStart, Desk, Held, LiveConnector, Parts, Services, TuiConfig};

use super::boot::{self, Boot};
use super::demo::Prepared;
use super::session::SessionArgs;
use super::setup::Setup;
use super::theme::Looks;
use super::{endpoint, once, plain, record, secrets};

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
    match form(args)? {
        Form::Plain => plain::run(args),
        Form::Screen => once::on_runtime(opened(args)),
    }
}

/// How the chat is drawn.
enum Form {
    Screen,
    Plain,
}

fn form(args: &SessionArgs) -> Result<Form, Fault> {
    let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    Ok(if args.output.plain || dumb { Form::Plain } else { Form::Screen })
}

async fn opened(args: &SessionArgs) -> Result<u8, Fault> {
    let setup = Setup::load()?;
    let resolved = setup.resolve(args)?;
    match resolved.ui.screen {
        crate::config::Screen::Full | crate::config::Screen::Inline => {}
        crate::config::Screen::Plain if args.output.inline => {}
        crate::config::Screen::Plain => return plain::chat(args).await,
    }
    let mut notices: Vec<_> = resolved.notices.iter().map(|text| (NoticeKind::Config, text.clone())).collect();
    // Pins and grants are kept also where the conversation is not.
    let store = match boot::open_store(&setup.paths, &mut notices) {
        Err(_) if !resolved.save => Ok(None),
        opened => opened.map(Some),
    };
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
    // The engine builds it, behind the first frame.
    let http = Http::new(HttpOptions {
        proxy: resolved.proxy.clone(),
        ca_file: resolved.ca_file.clone(),
        ..HttpOptions::new(&resolved.limits)
    });
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
    let base_url = endpoint.as_ref().map(|endpoint| endpoint.address()).unwrap_or_default();
    let titles = resolved.titles.clone();
    let titles = titles.map(|name| Titles { model: name.map(|name| TitleModel { name, base_url }) });
    let mut boot = Boot {
        http,
        endpoint,
        limits: Arc::new(resolved.limits.clone()),
        rules: boot::rules(&resolved)?,
        servers: resolved.servers.clone(),
        store: store.clone(),
        retention: boot::retention(&setup.config.store, setup.paths.home.as_deref()),
        folder: setup.folder.clone(),
        cache: Some(setup.paths.cache.join("servers")),
        paths: Some(setup.paths.clone()),
        sign_ins: Some(setup.sign_ins(&resolved.limits)),
        headless: false,
        wait_for_servers: false,
        recorder: None,
        titles,
        attended: true,
    };
    let redactor = secrets::of_session(&setup, &resolved, boot.endpoint.as_ref());
    record::begin(args, &mut boot, &settings.model, redactor)?;
    let inline = args.output.inline || resolved.ui.screen == crate::config::Screen::Inline;
    let start = start(args, &resolved, store.as_ref(), conversation, inline).await?;
    let connection = boot.endpoint.as_ref().map(shown);
    let mut state = state(&setup, &resolved, settings, connection, resolved.where_messages_go.clone());
    cast(&mut state, args, &setup, &resolved)?;
    let screen = Screen {
        state,
        start,
        looks: Looks::new(args, &setup, &resolved),
        inline,
        notices,
        no_store,
        config_file: Some(setup.paths.config_file()),
        providers: setup.providers(args),
    };
    show(screen, boot, &setup, &resolved).await
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
    if matches!(form(args)?, Form::Plain) {
        return plain::demo(args);
    }
    let prepared = Prepared::new(args)?;
    once::on_runtime(async {
        let mut boot = prepared.boot(false).await?;
        let Prepared { demo: _serving, setup, resolved } = &prepared;
        let approve = resolved.approve.unwrap_or(Approve::Ask);
        let settings = once::settings(args, resolved, prepared.model(), approve, false)?;
        let redactor = prepared.redactor(&boot);
        record::begin(args, &mut boot, &settings.model, redactor)?;
        let mut start = start(args, resolved, None, None, args.output.inline).await?;
        if start.prompt.is_none() {
            // The first question is offered, and sent by the person.
            start.draft = Some(crate::demo::PROMPT.to_owned());
        }
        let greeting = "The demo: a built-in model and tools. Nothing leaves this computer.".to_owned();
        let connection = boot.endpoint.as_ref().map(shown);
        let screen = Screen {
            state: state(setup, resolved, settings, connection, greeting),
            start,
            looks: Looks::new(args, setup, resolved),
            inline: args.output.inline,
            notices: resolved.notices.iter().map(|text| (NoticeKind::Config, text.clone())).collect(),
            no_store: None,
            config_file: None,
            providers: Vec::new(),
        };
        show(screen, boot, setup, resolved).await
    })
}

/// What the screen begins with.
struct Screen {
    state: State,
    start: Start,
    looks: Looks,
    inline: bool,
    notices: Vec<(NoticeKind, String)>,
    /// Why there is no store.
    no_store: Option<Fault>,
    /// Where choices are written; None: nowhere.
    config_file: Option<PathBuf>,
    /// The endpoints of the profiles.
    providers: Vec<Provider>,
}

/// Runs the screen over a booted engine, and ends everything behind it.
async fn show(screen: Screen, boot: Boot, setup: &Setup, resolved: &Resolved) -> Result<u8, Fault> {
    let (links, images, notify) = (screen.looks.links(), screen.looks.images(), screen.looks.notify());
    let Screen { state, start, looks, inline, notices, no_store, config_file, providers } = screen;
    let (http, limits, endpoint) = (boot.http.clone(), Arc::clone(&boot.limits), boot.endpoint.clone());
    let asked = endpoint.clone();
    let (running, held) = boot.start_held()?;
    let (orders, store) = (running.handle.orders.clone(), running.store.clone());
    for (kind, message) in notices {
        orders.notice(kind, message);
    }
    let demo: Arc<Mutex<Option<Demo>>> = Arc::default();
    let connector = LiveConnector::new(Parts {
        http: http.clone(),
        orders: orders.clone(),
        servers: Arc::clone(&running.servers),
        limits: Arc::clone(&limits),
        paths: setup.paths.clone(),
        config_file: config_file.clone(),
        env: setup.env.clone(),
        folder: setup.folder.clone(),
        api: resolved.api,
        store: store.clone(),
        held: Mutex::new(endpoint.map(|endpoint| Held {
            endpoint,
            http: http.clone(),
            profile: resolved.profile.clone(),
            provider: Some(resolved.provider()),
        })),
        providers,
        catalogue: Catalogue::new(config_file.as_ref().map(|_| setup.paths.cache.join("models"))),
        favourites: Mutex::default(),
        redactor: secrets::of_session(setup, resolved, asked.as_ref()),
        share: secrets::places(),
        demo: Some(demo_start(&demo, &running.servers, &orders, resolved.api)),
    });
    let desk = Desk::new(
        store.clone().ok_or_else(|| no_store.unwrap_or_else(not_kept)),
        http,
        Arc::new(connector),
        setup.folder.clone(),
        setup.paths.home.clone(),
    );
    let config = TuiConfig {
        state,
        start,
        themes: Box::new(looks),
        folder: setup.folder.clone(),
        config_file: setup.paths.config_file(),
        writes: config_file.is_some(),
        inline,
        links,
        images,
        notify,
        limits,
    };
    let services = Services { engine: running.handle, clock: super::provoke::clock(), work: Arc::new(desk) };
    let left = tui::run(config, services, || drop(held)).await;
    orders.shutdown().await;
    record::end(running.recorder);
    super::close(store).await;
    let exit = left.map_err(|error| {
        let kind = if error.exit_code() == 2 { FaultKind::Usage } else { FaultKind::Internal };
        Fault::new(kind, error.to_string())
    })?;
    if let Some(farewell) = exit.farewell().filter(|_| config_file.is_some()) {
        println!("{farewell}");
    }
    Ok(exit.code)
}

/// Starts the built-in model and server in the midst of a session; they end with it.
fn demo_start(
    kept: &Arc<Mutex<Option<Demo>>>,
    servers: &Arc<OnceLock<Arc<LiveServers>>>,
    orders: &Orders,
    api: Api,
) -> DemoStart {
    let (kept, servers, orders) = (Arc::clone(kept), Arc::clone(servers), orders.clone());
    Arc::new(move || {
        let (kept, servers, orders) = (Arc::clone(&kept), Arc::clone(&servers), orders.clone());
        Box::pin(async move {
            let demo = Demo::start(DemoOptions::default())
                .map_err(|error| Fault::new(FaultKind::Internal, error.to_string()))?;
            let endpoint = Endpoint::new(&demo.base_url, api)?;
            if let Some(servers) = servers.get() {
                for entry in &demo.entries {
                    // The same rules as in `millrace demo`: what only reads runs, what writes asks.
                    let rules = boot::server_rules(entry)
                        .map_err(|error| Fault::new(FaultKind::Internal, error.to_string()))?;
                    orders.expect(entry.name.clone(), rules);
                    servers.add(entry.clone());
                }
            }
            let model = demo.model.to_owned();
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(demo);
            Ok((endpoint, model))
        })
    })
}

fn shown(endpoint: &Endpoint) -> Shown {
    let base_url = endpoint.address();
    Shown::new(base_url, endpoint.key.as_ref().map(|_| endpoint.key_source.clone()))
}

fn not_kept() -> Fault {
    Fault::new(FaultKind::Store, "Nothing is kept in this session (--no-save).")
}

pub(super) fn state(
    setup: &Setup,
    resolved: &Resolved,
    settings: TurnSettings,
    connection: Option<Shown>,
    greeting: String,
) -> State {
    let offset = utc_offset(&setup.env).unwrap_or_else(|| jiff::Zoned::now().offset().seconds());
    let prices = resolved.provider().prices_of(&settings.model);
    let mut state = State::new(Session {
        greeting: connection.as_ref().map(|_| greeting),
        connection,
        context_window: settings.context_window,
        settings,
        folder: setup.paths.show(&setup.folder),
        home: setup.paths.home.as_ref().map(|home| home.to_string_lossy().into_owned()).unwrap_or_default(),
        config_path: setup.paths.show(&setup.paths.config_file()),
        data_path: setup.paths.show(&setup.paths.data),
        version: env!("CARGO_PKG_VERSION"),
        terminal: terminal(&setup.env),
        utc_offset_s: offset,
        prices,
        attempts: resolved.limits.attempts,
        server_places: server_places(setup, resolved),
        ..Session::default()
    });
    state.keymap = Keymap::configured(&resolved.keymap);
    state.panel.hidden = !resolved.ui.panel;
    state.session.notify_details = resolved.ui.notify_details;
    state.session.still = !resolved.ui.motion;
    state.transcript.unfolded = resolved.ui.reasoning;
    state.composer.vi = resolved.ui.vi.then(Vi::default);
    state
}

/// What help says of the terminal: as `doctor` finds it, but that there is one, and how large.
fn terminal(env: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let checks = crate::doctor::terminal(&crate::doctor::TerminalFacts {
        stdin_terminal: true,
        stdout_terminal: false,
        size: None,
        variable: &|name| env.get(name).cloned(),
        program: &|name| which::which(name).is_ok(),
    });
    let told = checks.into_iter().filter_map(|check| {
        let name = check.name.strip_prefix("terminal.").unwrap_or(&check.name).to_owned();
        let what = check.fix.map_or_else(|| check.what.clone(), |fix| format!("{}. {fix}", check.what));
        (name != "terminal").then_some((name, what))
    });
    told.collect()
}

/// The roles of the screen, as they hold under this command line.
fn cast(state: &mut State, args: &SessionArgs, setup: &Setup, resolved: &Resolved) -> Result<(), Fault> {
    let flags = args.flags();
    let roles = resolved.roles.iter().cloned().map(|role| match &resolved.role {
        // The first one holds as it was weighed against everything else.
        Some(first) if first.name == role.name => Role {
            system: resolved.system.clone(),
            model: role.model.filter(|model| resolved.model.as_ref() == Some(model)),
            temperature: resolved.sampling.temperature,
            max_output_tokens: resolved.sampling.max_output_tokens,
            reasoning_effort: resolved.sampling.reasoning_effort.clone(),
            params: resolved.sampling.params.clone(),
            ..role
        },
        Some(_) | None => Role {
            system: role.system.filter(|_| flags.system.is_none()),
            model: role.model.filter(|_| flags.model.is_none()),
            temperature: role.temperature.filter(|_| flags.temperature.is_none()),
            max_output_tokens: role.max_output_tokens.filter(|_| flags.max_output_tokens.is_none()),
            reasoning_effort: role.reasoning_effort.filter(|_| flags.reasoning_effort.is_none()),
            params: role.params.into_iter().filter(|(name, _)| flags.params.iter().all(|(f, _)| f != name)).collect(),
            ..role
        },
    });
    let without = setup.resolve_without_role(args)?;
    let first = resolved.role.as_ref().map(|role| role.name.clone());
    let took = first
        .as_ref()
        .is_some_and(|_| resolved.role.as_ref().is_some_and(|r| r.model.is_some() && r.model == resolved.model));
    state.transcript.role.clone_from(&first);
    state.session.casting = Casting {
        roles: roles.collect(),
        first,
        system: without.system,
        sampling: without.sampling,
        model: took.then(|| without.model.unwrap_or_default()),
    };
    state.toolbox.toolset.role = resolved.role.as_ref().and_then(|role| role.tools.clone()).map(Into::into);
    Ok(())
}

/// Where each server is written: `config.toml line 38`.
fn server_places(setup: &Setup, resolved: &Resolved) -> BTreeMap<crate::chat::ServerName, String> {
    let own = resolved.servers.iter().filter(|entry| matches!(entry.source, crate::config::Source::User(_)));
    own.filter_map(|entry| {
        let key = format!("servers.{}.", entry.name.as_str());
        // The table's own line stands above the first of its keys.
        let line = setup.config.lines.iter().filter(|(path, _)| path.starts_with(&key)).map(|(_, line)| *line).min()?;
        Some((entry.name.clone(), format!("config.toml line {}", line.saturating_sub(1).max(1))))
    })
    .collect()
}

/// Seconds east of UTC, by the file of the local time zone alone: to learn the zone's name as well, the library walks
/// through the folders of all of them, which takes longer than the first frame. None where it has to.
fn utc_offset(env: &BTreeMap<String, String>) -> Option<i32> {
    if !cfg!(unix) || env.get("TZ").is_some_and(|zone| !zone.is_empty()) {
        return None;
    }
    let rules = std::fs::read("/etc/localtime").ok()?;
    let zone = jiff::tz::TimeZone::tzif("", &rules).ok()?;
    Some(zone.to_offset(jiff::Timestamp::now()).seconds())
}

async fn start(
    args: &SessionArgs,
    resolved: &Resolved,
    store: Option<&Store>,
    conversation: Option<Box<Conversation>>,
    inline: bool,
) -> Result<Start, Fault> {
    let prompt = args.prompt.join(" ");
    let mut history = match store {
        Some(store) => store.recent_prompts(200).await.unwrap_or_default(),
        None => Vec::new(),
    };
    history.reverse();
    let kept = match (store, &conversation) {
        (Some(store), Some(open)) => {
            let owner = crate::store::DraftOf::Conversation(open.summary.id.clone());
            store.draft(owner).await.ok().flatten()
        }
        (_, _) => None,
    };
    Ok(Start {
        prompt: (!prompt.trim().is_empty()).then_some(prompt),
        draft: None,
        kept,
        parts: super::run::attachments(args, &resolved.limits)?,
        piped: piped()?,
        conversation,
        browse: args.keep.resume.as_deref() == Some(""),
        history,
        // The wheel is the scrollback's.
        mouse: resolved.ui.mouse && !inline,
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
    let Some(id) = once::conversation(store, &setup.folder, args).await? else { return Ok(None) };
    let claim = store.claim(&id).await;
    let mut conversation = store.open_conversation(&id).await.map_err(|error| error.fault())?;
    conversation.open_elsewhere = matches!(claim, Ok(crate::store::Claim::Held { .. }));
    // Named now, it is the one from now on.
    if let (Some(role), Some(extra)) = (&args.ask.role, conversation.extra.as_object_mut()) {
        extra.insert("role".to_owned(), role.as_str().into());
    }
    if args.ask.role.is_some() || args.ask.system.is_some() {
        conversation.system = None;
    }
    Ok(Some(Box::new(conversation)))
}
