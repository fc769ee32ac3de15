//! `millrace demo`: the built-in model and tools, on the screen or as `run`, without the user's configuration, store or
//! keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::chat::{Fault, FaultKind, NoticeKind, Part, TurnId};
use crate::config::{Config, Consents, Paths, ProjectState, Resolved, SavedKeys};
use crate::demo::{self, Demo, DemoError, DemoOptions, PACE_VARIABLE, PROMPT};
use crate::engine::live::LiveClock;
use crate::engine::port::Clock as _;
use crate::export::Redactor;
use crate::headless;
use crate::store::{OpenMode, Store};

use super::args::SessionArgs;
use super::boot::{self, Boot};
use super::once::{self, Ready};
use super::setup::{self, Setup};
use super::{endpoint, record, run as asked, secrets};

const TURN: TurnId = TurnId(1);

/// A demo that is about to begin: its two ends, and what holds for it.
pub struct Prepared {
    /// Ends with it: keep it as long as the engine.
    pub demo: Demo,
    pub setup: Setup,
    pub resolved: Resolved,
}

impl Prepared {
    /// Starts the demo's model and resolves the options as if there were no configuration at all. Nothing of the
    /// user's is read, and what is kept goes into a folder that ends with the demo.
    ///
    /// # Errors
    /// `Internal` where the demo cannot start; `Usage` and `Config` as for any session.
    pub fn new(args: &SessionArgs) -> Result<Self, Fault> {
        let mut env = setup::environment();
        let options = DemoOptions::of(env.get(PACE_VARIABLE).map(String::as_str));
        if args.keep.cont || args.keep.resume.is_some() {
            return Err(Fault::new(FaultKind::Usage, "The demo keeps nothing, so there is nothing to continue.")
                .hint("`millrace -c` and `millrace -r` continue your own conversations."));
        }
        let demo = Demo::start(options).map_err(fault)?;
        // Neither a key nor a setting of the user's belongs here; variables that `--mcp` files name do.
        env.retain(|name, _| !name.starts_with("OPENAI_") && !name.starts_with("MILLRACE_"));
        let paths = Paths::below(demo.home());
        let setup = plain(env, paths);
        let resolved = resolve(&setup, &demo, args)?;
        Ok(Self { demo, setup, resolved })
    }

    /// The store that goes with the demo.
    ///
    /// # Errors
    /// `Store` where it cannot be made.
    pub fn store(&self) -> Result<Option<Store>, Fault> {
        if !self.resolved.save {
            return Ok(None);
        }
        Store::open(&self.demo.store_file(), OpenMode::Write).map(Some).map_err(|error| error.fault())
    }

    /// The demo's parts as an engine takes them.
    ///
    /// # Errors
    /// As for any session.
    pub async fn boot(&self, headless: bool) -> Result<Boot, Fault> {
        let Self { setup, resolved, .. } = self;
        Ok(Boot {
            http: endpoint::http(resolved),
            endpoint: Some(endpoint::endpoint(setup, resolved).await?),
            limits: Arc::new(resolved.limits.clone()),
            rules: boot::rules(resolved)?,
            servers: resolved.servers.clone(),
            store: self.store()?,
            retention: crate::store::Retention::default(),
            folder: setup.folder.clone(),
            cache: None,
            paths: None,
            sign_ins: None,
            headless,
            // It is a part of the demo, starts in a moment, and nothing is known of it before.
            wait_for_servers: true,
            recorder: None,
            titles: None,
            attended: !headless,
        })
    }

    /// Knows the secrets of servers that were added.
    #[must_use]
    pub fn redactor(&self, boot: &Boot) -> Redactor {
        secrets::of_session(&self.setup, &self.resolved, boot.endpoint.as_ref())
    }

    /// The model of the demo, or the one that was named.
    #[must_use]
    pub fn model(&self) -> String {
        self.resolved.model.clone().unwrap_or_else(|| self.demo.model.to_owned())
    }
}

fn plain(env: BTreeMap<String, String>, paths: Paths) -> Setup {
    Setup {
        env,
        folder: std::env::current_dir().unwrap_or_default(),
        paths,
        config: Config::default(),
        project: ProjectState::None,
        saved: SavedKeys::default(),
        consents: Consents::default(),
        notices: Vec::new(),
    }
}

fn resolve(setup: &Setup, demo: &Demo, args: &SessionArgs) -> Result<Resolved, Fault> {
    let mut args = args.clone();
    args.endpoint.base_url.get_or_insert_with(|| demo.base_url.clone());
    // It is trusted already, and not among the servers that are looked through.
    args.tools.trust.retain(|server| server != demo::SERVER);
    let mut resolved = setup.resolve(&args)?;
    if let Some(other) = resolved.servers.iter().find(|server| server.name.as_str() == demo::SERVER) {
        return Err(Fault::new(FaultKind::Config, format!("a server of --mcp is called {:?}", other.name.as_str()))
            .hint("That is the name of the demo's own server: rename the other one."));
    }
    if !args.tools.no_mcp {
        resolved.servers.splice(0..0, demo.entries.iter().cloned());
    }
    Ok(resolved)
}

fn fault(error: DemoError) -> Fault {
    Fault::new(FaultKind::Internal, format!("{error}."))
}

/// One turn of the demo without a screen, as `run`: with the usual prompt where none is given.
///
/// # Errors
/// `Internal` where there is no runtime.
pub fn headless(args: &SessionArgs) -> Result<u8, Fault> {
    let options = asked::options(args, TURN);
    once::runtime()?.block_on(async {
        match ready(args).await {
            // The demo outlives its turn.
            Ok((_prepared, ready)) => once::one_turn(ready, options).await,
            Err(fault) => {
                let at = LiveClock.now();
                Ok(headless::refuse(&fault, at, options, tokio::io::stdout(), tokio::io::stderr()).await)
            }
        }
    })
}

async fn ready(args: &SessionArgs) -> Result<(Prepared, Ready), Fault> {
    let prepared = Prepared::new(args)?;
    let resolved = &prepared.resolved;
    let (approve, questions) = asked::approve(resolved.approve)?;
    let parts = asked::given(args, &resolved.limits)?.unwrap_or_else(|| vec![Part::text(PROMPT)]);
    let settings = once::settings(args, resolved, prepared.model(), approve, questions.is_none())?;
    let notices = resolved.notices.iter().map(|notice| (NoticeKind::Config, notice.clone())).collect();
    let mut boot = prepared.boot(true).await?;
    let redactor = prepared.redactor(&boot);
    record::begin(args, &mut boot, &settings.model, redactor.clone())?;
    Ok((prepared, Ready { boot, parts, conversation: None, settings, questions, prices: None, notices, redactor }))
}

/// The demo's MCP server, over this process's stdin and stdout, until stdin closes.
///
/// # Errors
/// `Protocol` where the other side does not speak MCP.
pub fn server() -> Result<u8, Fault> {
    let options = DemoOptions::of(std::env::var(PACE_VARIABLE).ok().as_deref());
    once::runtime()?
        .block_on(demo::server::serve_stdio(options))
        .map_err(|error| Fault::new(FaultKind::Protocol, error.to_string()))?;
    Ok(0)
}
