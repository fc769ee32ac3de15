//! `millrace run`: one turn through the engine, for a terminal's scrollback, a pipe or a program.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use futures_util::Stream;
use tokio::io::AsyncWrite;

use crate::chat::{
    Approve, ConversationId, Fault, FaultKind, NoticeKind, Order, Parent, Part, Prices, Stamped, Submit, ToolChoice,
    TurnEvent, TurnId, TurnRole, TurnSettings,
};
use crate::config::{Resolved, Role};
use crate::engine::Handle;
use crate::engine::live::LiveClock;
use crate::engine::port::Clock;
use crate::export::Redactor;
use crate::headless::{self, Options, Priced, PricesFrom, Questions, Source, Stop, stops};
use crate::net::{Catalogue, Endpoint};
use crate::store::Store;

use super::args::RunArgs;
use super::boot::{self, Boot};
use super::session::{Output, SessionArgs};
use super::setup::{self, Setup};
use super::{detached, endpoint, record, run as asked, secrets};

pub(super) const TURN: TurnId = TurnId(1);

/// Where a turn without a screen runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `run`: for a pipe, a script, or the terminal that waits for it.
    Run,
    /// `run --detach`: by itself; what it says is read in the store.
    Detached,
    /// `--plain`: a person is at the terminal and may begin without a prompt.
    Plain,
}

impl Source for Handle {
    async fn next(&mut self) -> Option<Vec<Stamped<TurnEvent>>> {
        Handle::next(self).await
    }

    fn order(&self, order: Order) {
        self.orders.send(order);
    }
}

/// Runs one turn and gives back the exit code. Faults before the turn are written in the form that was asked for.
///
/// # Errors
/// `Internal` where there is no runtime.
pub fn run(args: &RunArgs) -> Result<u8, Fault> {
    let RunArgs { session: args, detach, detached: is_child } = args;
    match (is_child, detach) {
        (true, _) => return detached::child(args),
        (false, true) => return detached::launch(args),
        (false, false) => {}
    }
    let options = asked::options(args, TURN);
    let runtime = runtime()?;
    let code = runtime.block_on(async {
        match prepare(args, Place::Run).await {
            Ok(ready) => one_turn(ready, options).await,
            Err(fault) => {
                let at = LiveClock.now();
                Ok(headless::refuse(&fault, at, options, tokio::io::stdout(), tokio::io::stderr()).await)
            }
        }
    });
    // A pipe that nobody reads must not hold the exit.
    runtime.shutdown_background();
    code
}

/// Runs a command on a runtime of its own. Blocking work that is stuck (a file system, a pipe that nobody reads) does
/// not hold the exit.
///
/// # Errors
/// `Internal` where the machine gives no runtime; whatever the command says.
pub fn on_runtime<T>(command: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    let runtime = runtime()?;
    let done = runtime.block_on(command);
    runtime.shutdown_background();
    done
}

/// The runtime of a command that has no screen.
///
/// # Errors
/// `Internal` where the machine gives none.
pub fn runtime() -> Result<tokio::runtime::Runtime, Fault> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fault::new(FaultKind::Internal, format!("The runtime could not be started: {error}.")))
}

/// All that one turn needs.
pub struct Ready {
    pub boot: Boot,
    pub parts: Vec<Part>,
    pub conversation: Option<ConversationId>,
    pub settings: TurnSettings,
    /// Where `--approve ask` asks.
    pub questions: Option<Questions>,
    pub prices: Option<Priced>,
    /// Said before the turn begins.
    pub notices: Vec<(NoticeKind, String)>,
    /// Knows the secrets that JSON and NDJSON must not hold.
    pub redactor: Redactor,
}

/// # Errors
/// What keeps a turn from beginning.
pub async fn prepare(args: &SessionArgs, place: Place) -> Result<Ready, Fault> {
    let plain = place == Place::Plain;
    let env = setup::environment();
    if !plain {
        super::log::start(&args.log, &env, &setup::paths(&env)?)?;
    }
    let setup = Setup::load()?;
    let resolved = setup.resolve(args)?;
    let (approve, questions) = match plain {
        true => (resolved.approve.unwrap_or(Approve::Ask), None),
        false => asked::approve(resolved.approve)?,
    };
    let parts = match plain {
        true => asked::given(args, &resolved.limits)?.unwrap_or_default(),
        false => asked::message(args, &resolved.limits)?,
    };
    if place == Place::Detached && !resolved.save {
        return Err(Fault::new(FaultKind::Usage, "Nothing is kept ([store] save = false), so --detach cannot work.")
            .hint("What nobody watches is followed where it is saved: millrace config set store.save true"));
    }
    let mut notices: Vec<_> = resolved.notices.iter().map(|n| (NoticeKind::Config, n.clone())).collect();
    let store = match store(&setup, args, &resolved, &mut notices) {
        Ok(store) => store,
        Err(fault) if place == Place::Detached || args.keep.cont || args.keep.resume.is_some() => return Err(fault),
        Err(fault) => {
            let hint = fault.hint.unwrap_or_default();
            notices.push((NoticeKind::Unsaved, format!("This conversation is not saved: {} {hint}", fault.message)));
            None
        }
    };
    if let Some(store) = store.as_ref().filter(|_| !plain) {
        store.runs_one_turn().await.map_err(|error| error.fault())?;
    }
    let conversation = match &store {
        Some(store) => conversation(store, &setup.folder, args).await?,
        None => None,
    };
    if conversation.is_none() && args.keep.resume.as_deref() == Some("") {
        return Err(Fault::new(FaultKind::Usage, "-r without an ID opens the browser, which needs the chat screen.")
            .hint("Name the conversation: -r=ID; `millrace history` lists them."));
    }
    let in_role = in_its_role(store.as_ref(), conversation.as_ref(), &setup, args).await?;
    let args = in_role.as_ref().unwrap_or(args);
    let resolved = if in_role.is_some() { setup.resolve(args)? } else { resolved };
    endpoint::keyed(&setup, &resolved)?;
    let http = endpoint::http(&resolved);
    let endpoint = endpoint::endpoint(&setup, &resolved).await?;
    let last = match &store {
        Some(store) => last_model(store, &endpoint).await,
        None => None,
    };
    let (model, listed) = endpoint::model(&http, &endpoint, resolved.model.as_deref(), last.as_deref()).await?;
    let prices = prices(&setup, args, &resolved, &endpoint, &model, listed).await;
    let settings = settings(args, &resolved, model, approve, !plain && questions.is_none())?;
    let redactor = secrets::of_session(&setup, &resolved, Some(&endpoint));
    let mut boot = Boot {
        http,
        endpoint: Some(endpoint),
        limits: Arc::new(resolved.limits.clone()),
        rules: boot::rules(&resolved)?,
        servers: resolved.servers.clone(),
        store,
        retention: boot::retention(&setup.config.store, setup.paths.home.as_deref()),
        folder: setup.folder.clone(),
        cache: Some(setup.paths.cache.join("servers")),
        paths: Some(setup.paths.clone()),
        sign_ins: Some(setup.sign_ins(&resolved.limits)),
        headless: !plain,
        wait_for_servers: !plain,
        recorder: None,
        // They would hold up the exit.
        titles: None,
        attended: false,
    };
    record::begin(args, &mut boot, &settings.model, redactor.clone())?;
    Ok(Ready { boot, parts, conversation, settings, questions, prices, notices, redactor })
}

fn store(
    setup: &Setup,
    args: &SessionArgs,
    resolved: &Resolved,
    notices: &mut Vec<(NoticeKind, String)>,
) -> Result<Option<Store>, Fault> {
    let store = boot::open_store(&setup.paths, notices).map(Some);
    if resolved.save || args.keep.cont || args.keep.resume.is_some() {
        return store;
    }
    // Not for the conversation, but for what is known of tools: their pins hold in every run.
    Ok(store.unwrap_or_default())
}

/// What tokens of the model cost: by the profile, else by the endpoint's list as it was just asked or last kept.
async fn prices(
    setup: &Setup,
    args: &SessionArgs,
    resolved: &Resolved,
    endpoint: &Endpoint,
    model: &str,
    listed: Option<Prices>,
) -> Option<Priced> {
    if let Some(prices) = resolved.provider().prices_of(model) {
        return Some(Priced { prices, from: PricesFrom::Profile });
    }
    let told = |prices| Priced { prices, from: PricesFrom::Endpoint };
    if listed.is_some() || matches!(args.output.form(), None | Some(Output::Text)) {
        return listed.map(told);
    }
    let catalogue = Catalogue::new(Some(setup.paths.cache.join("models")));
    let base_url = endpoint.base_url.as_str().to_owned();
    let kept = tokio::task::spawn_blocking(move || catalogue.kept(&base_url)).await.ok()??;
    kept.models.iter().find(|listed| listed.id == model)?.prices.map(told)
}

/// The model that was last chosen for this endpoint.
pub async fn last_model(store: &Store, endpoint: &Endpoint) -> Option<String> {
    let learnt = store.learnt(&endpoint.address(), "").await.ok()?;
    let value = learnt.into_iter().find(|l| l.key == "model")?.value;
    serde_json::from_str(&value).ok()
}

/// The conversation that `-c` or `-r` names.
///
/// # Errors
/// `Usage` where there is none, `Store` where it cannot be looked for.
pub async fn conversation(store: &Store, folder: &Path, args: &SessionArgs) -> Result<Option<ConversationId>, Fault> {
    let folder = folder.display().to_string();
    if args.keep.cont {
        let newest = store.newest(Some(&folder)).await.map_err(|error| error.fault())?;
        let none = || {
            Fault::new(FaultKind::Usage, "There is no conversation of this folder to continue.")
                .hint("`millrace history` lists those of all folders; -r=ID continues one.")
        };
        return newest.map(|s| Some(s.id)).ok_or_else(none);
    }
    match args.keep.resume.as_deref() {
        None | Some("") => Ok(None),
        Some(id) => store.resolve(id, None).await.map(Some).map_err(|error| error.fault()),
    }
}

/// What the engine has to know of a role.
#[must_use]
pub fn turn_role(role: &Role) -> TurnRole {
    TurnRole { name: role.name.clone(), tools: role.tools.clone().map(Into::into) }
}

/// The role that a conversation is held in, where the command line says nothing else: its name, put among the options.
async fn in_its_role(
    store: Option<&Store>,
    conversation: Option<&ConversationId>,
    setup: &Setup,
    args: &SessionArgs,
) -> Result<Option<SessionArgs>, Fault> {
    let (Some(store), Some(id)) = (store, conversation) else { return Ok(None) };
    if args.ask.role.is_some() || args.ask.system.is_some() {
        return Ok(None);
    }
    let kept = store.role(id).await.map_err(|error| error.fault())?;
    let kept = kept.filter(|name| setup.config.roles.contains_key(name));
    if let Some(name) = kept {
        let mut args = args.clone();
        args.ask.role = Some(name);
        return Ok(Some(args));
    }
    let system = store.system(id).await.map_err(|error| error.fault())?;
    Ok(system.filter(|system| !system.is_empty()).map(|system| {
        let mut args = args.clone();
        args.ask.system = Some(system);
        args
    }))
}

/// How the turn is to be run, by the command line and the configuration.
///
/// # Errors
/// `Usage` where the schema's file cannot be read.
pub fn settings(
    args: &SessionArgs,
    resolved: &Resolved,
    model: String,
    approve: Approve,
    headless: bool,
) -> Result<TurnSettings, Fault> {
    let mut sampling = resolved.sampling.clone();
    if let Some(path) = &args.ask.schema {
        let bad = |why: String| Fault::new(FaultKind::Usage, format!("--schema {}: {why}.", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        sampling.schema = Some(serde_json::from_str(&text).map_err(|error| bad(format!("it is not JSON: {error}")))?);
    }
    let tool_choice = match args.tools.tool_choice.as_deref() {
        None | Some("auto") => ToolChoice::Auto,
        Some("none") => ToolChoice::None,
        Some("required") => ToolChoice::Required,
        Some(name) => ToolChoice::Named(name.to_owned()),
    };
    Ok(TurnSettings {
        model,
        system: resolved.system.clone(),
        sampling,
        tool_choice,
        approve,
        dispatch: resolved.dispatch,
        max_rounds: Some(resolved.limits.rounds),
        lacks: Default::default(),
        headless,
        no_save: !resolved.save,
        toolset: None,
        context_window: resolved.context,
        compact: resolved.compact,
        role: resolved.role.as_ref().map(turn_role),
    })
}

/// Starts the engine, runs the turn, writes it, ends everything.
///
/// # Errors
/// Where the engine cannot be started.
pub async fn one_turn(ready: Ready, options: Options) -> Result<u8, Fault> {
    carry_out(ready, options, |handle| handle, Carried { stdout: tokio::io::stdout(), stops: stops() }).await
}

/// Where the answer goes, and what ends the turn from outside.
pub struct Carried<O, S> {
    pub stdout: O,
    pub stops: S,
}

/// The same; `heard` may listen to the events on their way.
///
/// # Errors
/// Where the engine cannot be started.
pub async fn carry_out<H: Source>(
    ready: Ready,
    options: Options,
    heard: impl FnOnce(Handle) -> H,
    carried: Carried<impl AsyncWrite + Unpin, impl Stream<Item = Stop>>,
) -> Result<u8, Fault> {
    let Ready { boot, parts, conversation, settings, questions, prices, notices, redactor } = ready;
    let options = Options { prices, ..options };
    let running = boot.start()?;
    let orders = running.handle.orders.clone();
    let submit = Submit { turn: TURN, conversation, parent: Parent::Newest, parts, settings };
    orders.send(Order::Submit(Box::new(submit)));
    for (kind, message) in notices {
        orders.notice(kind, message);
    }
    let (source, err) = (heard(running.handle), tokio::io::stderr());
    let Carried { stdout, stops } = carried;
    let code = headless::run_redacting(source, options, stdout, err, stops, questions, redactor).await;
    orders.shutdown().await;
    record::end(running.recorder);
    super::close(running.store).await;
    Ok(code)
}
