//! From what was resolved to a running engine: rules, store, servers, model.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;

use crate::chat::{Fault, FaultKind, Limits, NoticeKind, Policy, ServerName, Wiretap};
use crate::config::{Consent, Consents, Edit, Paths, Resolved, ServerEntry, Source, StoreSettings};
use crate::engine::live::{Kept, LiveClock, LiveJournal, LiveModel, LiveServers};
use crate::engine::port::{Clock, Model};
use crate::engine::{Engine, EngineConfig, Handle, Orders, Ports, Titles};
use crate::mcp::{Host, SignIns};
use crate::net::{Endpoint, Http};
use crate::record::{self, Recorder, Scope};
use crate::store::{Retention, Store};
use crate::tools::{AfterUntrusted, FindRules, RegistryRules, RuleError, RuleGlob, ServerRules, ToolGlob};

/// How long a screen is left to itself before what is too old is looked for.
const AFTER_THE_FRAME: Duration = Duration::from_secs(1);

/// What an engine is started with.
pub struct Boot {
    pub http: Http,
    /// None: nobody has chosen one yet; the engine answers every turn with that.
    pub endpoint: Option<Endpoint>,
    pub limits: Arc<Limits>,
    pub rules: RegistryRules,
    pub servers: Vec<ServerEntry>,
    pub store: Option<Store>,
    /// What of it is too old to be kept.
    pub retention: Retention,
    /// The working folder.
    pub folder: PathBuf,
    /// Where listings of servers are kept; None keeps nothing.
    pub cache: Option<PathBuf>,
    /// Where a person's consent to start a server is written.
    pub paths: Option<Paths>,
    /// Where sign-ins to servers are kept; None: nobody signs in.
    pub sign_ins: Option<SignIns>,
    /// One turn for a pipe: the model is read no faster than its answer is taken.
    pub headless: bool,
    /// A turn begins when every server is ready or has failed.
    pub wait_for_servers: bool,
    /// Hears the session where it is recorded.
    pub recorder: Option<Arc<Recorder>>,
    /// Who makes titles for conversations that have none; None: nobody.
    pub titles: Option<Titles>,
    /// A person sits before a screen on which servers can ask them something.
    pub attended: bool,
}

/// A running engine, and what of it others may need.
pub struct Running {
    pub handle: Handle,
    pub store: Option<Store>,
    pub http: Http,
    /// Set once the engine has made them.
    pub servers: Arc<OnceLock<Arc<LiveServers>>>,
    pub recorder: Option<Arc<Recorder>>,
}

impl Boot {
    /// Starts the engine on a thread of its own.
    ///
    /// # Errors
    /// `Internal` where the machine gives no thread.
    pub fn start(self) -> Result<Running, Fault> {
        let (running, _at_once) = self.start_held()?;
        Ok(running)
    }

    /// As [`Boot::start`], but the engine begins (reads root certificates, starts servers) when [`Held`] is dropped:
    /// on a machine of few cores that would hold up the first frame.
    ///
    /// # Errors
    /// As [`Boot::start`].
    pub fn start_held(self) -> Result<(Running, Held), Fault> {
        let starting = self.starting();
        let Self { http, endpoint, limits, rules, servers, store, retention, .. } = self;
        let Self { folder, cache, paths, sign_ins, headless, wait_for_servers, recorder, attended, titles, .. } = self;
        let tap = recorder.clone().map(|recorder| recorder as Arc<dyn Wiretap>);
        let config = EngineConfig {
            limits: Arc::clone(&limits),
            rules,
            folder: folder.display().to_string(),
            starting,
            wait_for_servers,
            paced: headless,
            saving: store.is_some(),
            titles,
            wiretap: tap.clone(),
        };
        let live: Arc<OnceLock<Arc<LiveServers>>> = Arc::default();
        let (made, client, journal) = (Arc::clone(&live), http.clone(), LiveJournal(store.clone()));
        let heard = recorder.clone();
        let (held, begin) = mpsc::channel::<Never>();
        let handle = Engine::spawn(config, move || {
            // Nothing is ever sent: this ends when the other end is dropped.
            let _ = begin.recv();
            let (host, events) = Host::new(client.client()?, Arc::clone(&limits), cache);
            // Kills the servers' groups where this process is killed; without our own name it cannot be started.
            let host = match std::env::current_exe() {
                Ok(program) => host.watched_by(&program),
                Err(_) => host,
            };
            let host = match sign_ins {
                Some(sign_ins) => host.signed_in_by(sign_ins),
                None => host,
            };
            let host = match tap {
                Some(tap) => host.tapped(tap),
                None => host,
            };
            let entries = servers.iter().map(|entry| Arc::clone(&entry.entry_hash)).collect();
            let host = if attended { host.attended() } else { host };
            let given = Mutex::new(paths);
            let keep = Box::new(move |entry: &ServerEntry, what: Kept| {
                let paths = given.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(paths) = &*paths else { return };
                match (what, &entry.source) {
                    (Kept::Consent, source) => {
                        if let (Some(file), Ok(mut consents)) = (source_file(source), Consents::load(paths)) {
                            // Not written, it is asked for again next time: safe.
                            let _ = consents.give(paths, file, &entry.entry_hash);
                        }
                    }
                    // Not written, its hints count for nothing next time: safe.
                    (Kept::Trust(on), Source::User(file)) => {
                        let _ = Edit::open(file).and_then(|mut edit| {
                            edit.set(
                                &format!("servers.{}.trust", entry.name.as_str()),
                                if on { "true" } else { "false" },
                            )?;
                            edit.save()
                        });
                    }
                    // A project and another client's file may not widen anything.
                    (Kept::Trust(_), Source::Project(_) | Source::File(_) | Source::Program) => {}
                }
            });
            let (servers, server_events) = LiveServers::start(host, events, servers, keep);
            let servers = Arc::new(servers);
            let _ = made.set(Arc::clone(&servers));
            let model: Arc<dyn Model> = match endpoint {
                Some(endpoint) => Arc::new(LiveModel::new(client, endpoint, limits)),
                None => Arc::new(NoModel),
            };
            let ports =
                Ports { model, servers, journal: Arc::new(journal), clock: super::provoke::clock(), server_events };
            Ok::<Ports, Fault>(match &heard {
                Some(recorder) => record::overheard(ports, recorder, Scope { entries }),
                None => ports,
            })
        })
        .map_err(|error| Fault::new(FaultKind::Internal, format!("The engine could not be started: {error}.")))?;
        if let Some(recorder) = &recorder {
            recorder.tell(handle.orders.clone());
        }
        // Where nobody is there a conversation may be about to be continued that is not claimed yet.
        if let Some(store) = store.clone().filter(|_| attended && !retention.is_forever()) {
            tokio::spawn(expire(store, retention, AFTER_THE_FRAME, handle.orders.clone()));
        }
        Ok((Running { handle, store, http, servers: live, recorder }, Held(held)))
    }

    /// The servers that start by themselves.
    #[must_use]
    pub fn starting(&self) -> Vec<ServerName> {
        let start = self.servers.iter().filter(|s| s.disabled.is_none() && s.consent == Consent::Given);
        start.map(|s| s.name.clone()).collect()
    }
}

/// Keeps an engine from beginning until it is dropped. Orders given before wait for it.
pub struct Held(#[allow(dead_code, reason = "its end is what tells")] mpsc::Sender<Never>);

enum Never {}

fn source_file(source: &Source) -> Option<&Path> {
    match source {
        Source::User(path) | Source::Project(path) | Source::File(path) => Some(path),
        Source::Program => None,
    }
}

/// What the configuration and the command line rule about tools.
///
/// # Errors
/// `Config` where a rule is no glob.
pub fn rules(resolved: &Resolved) -> Result<RegistryRules, Fault> {
    let bad = |error: RuleError| Fault::new(FaultKind::Config, error.to_string());
    let globs = |list: &[String]| list.iter().map(|g| RuleGlob::parse(g)).collect::<Result<Vec<_>, _>>().map_err(bad);
    let mut rules = RegistryRules {
        default_policy: resolved.policy.default,
        servers: Default::default(),
        allow: globs(&resolved.policy.allow)?,
        deny: globs(&resolved.policy.deny)?,
        after_untrusted: match resolved.policy.after_untrusted {
            Policy::Allow => AfterUntrusted::Ignore,
            Policy::Ask | Policy::Deny => AfterUntrusted::Ask,
        },
        profile: resolved.profile_tools.as_deref().map(globs).transpose()?.map(Into::into),
        find: FindRules {
            mode: resolved.tools.find,
            share: resolved.tools.find_share / 100.0,
            tokens: resolved.tools.find_tokens,
        },
    };
    for entry in &resolved.servers {
        rules.servers.insert(entry.name.clone(), server_rules(entry).map_err(bad)?);
    }
    Ok(rules)
}

/// What one entry rules about its tools.
///
/// # Errors
/// Where a name in it is no glob.
pub fn server_rules(entry: &ServerEntry) -> Result<ServerRules, RuleError> {
    let mut rules = ServerRules {
        policy: entry.policy,
        trust: entry.trust,
        dispatch: entry.dispatch,
        silent: !entry.features.instructions,
        ..ServerRules::default()
    };
    for (glob, policy) in &entry.policies {
        rules.policies.push((ToolGlob::parse(glob)?, *policy));
    }
    for (glob, dispatch) in &entry.dispatches {
        rules.dispatches.push((ToolGlob::parse(glob)?, *dispatch));
    }
    if let Some(allow) = &entry.tools_allow {
        rules.offered = Some(allow.iter().map(|g| ToolGlob::parse(g)).collect::<Result<_, _>>()?);
    }
    Ok(rules)
}

/// The user's store. One that is damaged is set aside and what can be read of it saved: a notice says so.
///
/// # Errors
/// `Store`: why it does not open, and what to do.
pub fn open_store(paths: &Paths, notices: &mut Vec<(NoticeKind, String)>) -> Result<Store, Fault> {
    let (store, salvaged) = Store::open_or_salvage(&paths.store_file()).map_err(|error| error.fault())?;
    notices.extend(salvaged.map(|salvaged| (NoticeKind::Info, salvaged.to_string())));
    Ok(store)
}

/// How long conversations are kept, as the configuration says.
pub fn retention(settings: &StoreSettings, home: Option<&Path>) -> Retention {
    let days = |days: u32| (days > 0).then_some(days);
    let folder = |text: &str| match (text.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest).to_string_lossy().into_owned(),
        (None, Some(home)) if text == "~" => home.to_string_lossy().into_owned(),
        (_, _) => text.to_owned(),
    };
    let folders = settings.keep_days_in.iter().map(|(text, n)| (folder(text), days(*n))).collect();
    Retention { days: days(settings.keep_days), folders }
}

/// Erases what is too old, in the background; says so where it did. What the end of the program cuts short, the next
/// start does.
async fn expire(store: Store, rules: Retention, wait: Duration, orders: Orders) {
    tokio::time::sleep(wait).await;
    match store.expire(&rules, LiveClock.now().wall_ms).await {
        Ok(expired) => {
            if let Some(said) = expired.sentence() {
                orders.notice(NoticeKind::Info, said);
            }
        }
        Err(error) => orders.notice(NoticeKind::Info, format!("What is too old to be kept was not erased: {error}")),
    }
}

/// What answers before an endpoint was chosen.
struct NoModel;

impl Model for NoModel {
    fn respond(
        &self,
        _request: crate::chat::Request,
        _attempt: u32,
    ) -> crate::engine::port::Events<crate::engine::port::ModelEvent> {
        let fault = Fault::new(FaultKind::NoModel, "No model has been chosen yet.")
            .hint("Choose one on the welcome screen, or name one: -m MODEL, --base-url URL.");
        Box::pin(futures_util::stream::iter([crate::engine::port::ModelEvent::Failed { fault, retry_in: None }]))
    }

    fn base_url(&self) -> String {
        String::new()
    }

    fn origin(&self) -> String {
        String::new()
    }

    fn api(&self) -> crate::chat::Api {
        crate::chat::Api::default()
    }
}
