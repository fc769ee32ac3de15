//! The live [`Connector`]: endpoints tried and held, choices written down, servers of other clients taken over.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::desk::{Connected, Connector};
use super::{Replies, export};
use crate::app::{Connection, ExportForm, LocalKind, ModelRow, ModelSource, Switched};
use crate::chat::{Api, ConversationId, Fault, FaultKind, Limits, Prices, Retry, RoundUsage, ServerName};
use crate::config::import::{self, Places, Plan};
use crate::config::{
    Config, Consent, DraftTransport, Edit, Paths, Provider, SavedKeys, Secret, ServerDraft, Source, UrlKind, Variables,
    refused_variables, secrets_in_the_open, server_name_ok, words,
};
use crate::engine::Orders;
use crate::engine::live::{LiveModel, LiveServers};
use crate::export::{Redactor, Share};
use crate::net::{self, Catalogue, Endpoint, Http};
use crate::store::Store;

type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Starts the built-in model and servers, and gives its endpoint and model.
pub type DemoStart = Arc<dyn Fn() -> Later<Result<(Endpoint, String), Fault>> + Send + Sync>;

/// What the connector is made of.
#[derive(Clone)]
pub struct LiveConnector(Arc<Parts>);

pub struct Parts {
    pub http: Http,
    pub orders: Orders,
    /// Set once the engine has made them.
    pub servers: Arc<OnceLock<Arc<LiveServers>>>,
    pub limits: Arc<Limits>,
    pub paths: Paths,
    /// Where choices are written; None: they hold for this session only.
    pub config_file: Option<PathBuf>,
    pub env: BTreeMap<String, String>,
    pub folder: PathBuf,
    pub api: Api,
    pub store: Option<Store>,
    /// What holds now; None: nothing was chosen.
    pub held: Mutex<Option<Held>>,
    /// The endpoints of the profiles.
    pub providers: Vec<Provider>,
    /// Lists of models, kept.
    pub catalogue: Catalogue,
    /// Marks of this session, by base URL and model: they hold also where nothing can be kept.
    pub favourites: Mutex<BTreeMap<(String, String), bool>>,
    pub demo: Option<DemoStart>,
    /// The secrets that no file may hold, and what a share file does not tell of this computer.
    pub redactor: Redactor,
    pub share: Share,
}

/// Where turns go.
#[derive(Clone)]
pub struct Held {
    pub endpoint: Endpoint,
    pub http: Http,
    /// The profile that names it.
    pub profile: Option<String>,
    /// What that profile says.
    pub provider: Option<Provider>,
}

impl Held {
    pub(super) fn base_url(&self) -> String {
        self.endpoint.address()
    }
}

impl LiveConnector {
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Parts {
    pub(super) fn held(&self) -> Option<Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn connect(&self, connection: Connection) -> Result<Connected, Fault> {
        let (endpoint, name, key) = match connection {
            Connection::Demo => {
                let demo = self.demo.as_ref().ok_or_else(|| {
                    Fault::new(FaultKind::Usage, "The demo runs by itself.").hint("Start it with: millrace demo")
                })?;
                let (endpoint, model) = demo().await?;
                return Ok(self.connected(endpoint, None, Some(model), None, None));
            }
            Connection::Local(server) => {
                let name = match server.kind {
                    LocalKind::Ollama => "ollama",
                    LocalKind::LmStudio => "lmstudio",
                    LocalKind::LlamaCpp => "llamacpp",
                    LocalKind::Vllm => "vllm",
                };
                (Endpoint::new(&server.base_url, self.api)?, name.to_owned(), None)
            }
            Connection::Key { base_url, key } => {
                let endpoint = Endpoint::new(&base_url, self.api)?.key(Secret::new(key.as_str()), "secrets.toml");
                if let Some(why) = endpoint.withheld() {
                    return Err(Fault::new(FaultKind::Auth, why).retry(Retry::AfterChange));
                }
                let name = profile_name(&endpoint.host());
                (endpoint, name, Some(Secret::new(key)))
            }
            Connection::Address { base_url } => {
                let endpoint = self.find(&base_url).await?;
                let name = profile_name(&endpoint.host());
                (endpoint, name, None)
            }
        };
        let models = net::models(&self.http, &endpoint).await.map_err(|fault| match fault.kind {
            FaultKind::Auth if key.is_none() => fault.hint("It wants a key: choose it, then /key pastes one."),
            _ => fault,
        })?;
        let only = match models.as_slice() {
            [only] => Some(only),
            _ => None,
        };
        let (model, window) = (only.map(|model| model.id.clone()), only.and_then(|model| model.context));
        let warning = self
            .keep(&endpoint, &name, key)
            .await
            .err()
            .map(|fault| format!("The choice holds for this session, but was not written down: {}", fault.message));
        Ok(self.connected(endpoint, Some(name), model, window, warning))
    }

    /// An address as people give it may lack its scheme or its `/v1`.
    async fn find(&self, text: &str) -> Result<Endpoint, Fault> {
        let text = text.trim().trim_end_matches('/');
        let text = match text.contains("://") {
            true => text.to_owned(),
            false if text.starts_with("localhost") || text.starts_with("127.") => format!("http://{text}"),
            false => format!("https://{text}"),
        };
        let endpoint = Endpoint::new(&text, self.api)?;
        if endpoint.base_url.path().trim_matches('/').is_empty() {
            let below = Endpoint::new(&format!("{text}/v1"), self.api)?;
            match net::models(&self.http, &below).await {
                Ok(_) => return Ok(below),
                // It is there, and wants a key.
                Err(fault) if fault.kind == FaultKind::Auth => return Ok(below),
                Err(_) => {}
            }
        }
        Ok(endpoint)
    }

    /// Turns go there from now on.
    pub(super) fn hold(&self, held: Held) {
        let live = LiveModel::new(held.http.clone(), held.endpoint.clone(), Arc::clone(&self.limits));
        self.orders.connect(Arc::new(live));
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
    }

    fn connected(
        &self,
        endpoint: Endpoint,
        profile: Option<String>,
        model: Option<String>,
        window: Option<u64>,
        warning: Option<String>,
    ) -> Connected {
        let connected = Connected {
            base_url: endpoint.address(),
            key_from: endpoint.key.as_ref().map(|_| endpoint.key_source.clone()),
            model,
            context_window: window,
            warning,
        };
        self.hold(Held { endpoint, http: self.http.clone(), profile, provider: None });
        connected
    }

    /// Writes the choice down: the key under its origin, the address as a profile.
    async fn keep(&self, endpoint: &Endpoint, name: &str, key: Option<Secret>) -> Result<(), Fault> {
        if let Some(key) = key {
            let (paths, origin) = (self.paths.clone(), endpoint.origin());
            blocking(move || {
                Paths::make(&paths.config).map_err(|error| written(&error))?;
                let mut saved = SavedKeys::load(&paths).map_err(|error| written(&error))?;
                saved.put(&paths, &origin, Some(key)).map_err(|error| written(&error))
            })
            .await?;
        }
        let url = serde_json::Value::from(endpoint.address()).to_string();
        let name = name.to_owned();
        self.write(move |edit| {
            edit.set(&format!("profiles.{name}.base_url"), &url)?;
            edit.set("profile", &format!("\"{name}\""))
        })
        .await
    }

    pub(super) async fn write(
        &self,
        change: impl FnOnce(&mut Edit) -> Result<(), crate::config::EditError> + Send + 'static,
    ) -> Result<(), Fault> {
        let (paths, Some(file)) = (self.paths.clone(), self.config_file.clone()) else { return Ok(()) };
        blocking(move || {
            Paths::make(&paths.config).map_err(|error| written(&error))?;
            let mut edit = Edit::open(&file).map_err(|error| written(&error))?;
            change(&mut edit).map_err(|error| written(&error))?;
            edit.save().map(|_warnings| ()).map_err(|error| written(&error))
        })
        .await
    }

    /// What other clients have, and what it would become here.
    async fn imports(&self) -> Result<Plan, Fault> {
        let Some(home) = self.paths.home.clone() else { return Ok(Plan::default()) };
        let (env, folder, most) = (self.env.clone(), self.folder.clone(), self.limits.import);
        let file = self.paths.config_file();
        blocking(move || {
            let (found, unreadable) = import::find(&Places::new(&home, &folder, &env), None, most);
            let config = Config::load(&file).map_err(|error| written(&error))?.0;
            let refused = refused_variables(&config);
            let variables = Variables { env: &env, refused: &refused, folder: &folder, home: Some(&home) };
            Ok(import::plan(found, unreadable, &config.servers, &variables))
        })
        .await
    }

    /// Takes servers over: written down with a question before their first start, and known at once. Their secrets stay
    /// where they are; variables of the environment stand for them.
    async fn import(&self, picks: Vec<(String, String)>) -> Result<(), Fault> {
        let rows = self.imports().await?.rows.into_iter();
        let drafts: Vec<ServerDraft> = rows
            .filter(|row| picks.iter().any(|(path, key)| row.path.display().to_string() == *path && row.key == *key))
            .filter_map(|mut row| {
                row.secrets_by_variable();
                row.draft().cloned()
            })
            .collect();
        self.adopt(drafts).await
    }

    /// Writes a server down, as a person typed it.
    async fn add_server(&self, text: String) -> Result<ServerName, Fault> {
        let usage = |why: String| Fault::new(FaultKind::Usage, why);
        let words = words(&text).map_err(|why| usage(why.to_owned()))?;
        let Some((name, rest)) = words.split_first() else { return Err(usage("a name comes first".to_owned())) };
        if !server_name_ok(name) {
            return Err(usage(format!("{name:?} cannot be a server's name"))
                .hint("Up to 32 of a-z, 0-9, - and _, without __, beginning with a letter or digit."));
        }
        let how = match rest {
            [] => return Err(usage("its command or address is missing".to_owned())),
            [url] if url.starts_with("http://") || url.starts_with("https://") => {
                DraftTransport::Url { kind: UrlKind::Http, url: url.clone(), headers: BTreeMap::new() }
            }
            [command, args @ ..] => {
                DraftTransport::Stdio { command: command.clone(), args: args.to_vec(), env: BTreeMap::new(), cwd: None }
            }
        };
        if let Some(secret) = secrets_in_the_open(&how) {
            return Err(usage(secret).hint("Give it by env or headers: millrace mcp add."));
        }
        let file = self.config_file.clone().unwrap_or_else(|| self.paths.config_file());
        let known = Config::load(&self.paths.config_file()).map_err(|error| written(&error))?.0;
        if known.servers.iter().any(|server| server.name.as_str() == name) {
            return Err(usage(format!("there is a server {name} already")));
        }
        let draft = ServerDraft { ask_first: true, ..ServerDraft::new(name, how, Source::User(file)) };
        let server = draft.name.clone();
        self.adopt(vec![draft]).await?;
        Ok(server)
    }

    /// Writes servers down, each with a question before its first start, and makes them known at once.
    async fn adopt(&self, drafts: Vec<ServerDraft>) -> Result<(), Fault> {
        let writing = drafts.clone();
        self.write(move |edit| {
            for draft in &writing {
                edit.put_server(draft);
            }
            Ok(())
        })
        .await?;
        let config = Config::load(&self.paths.config_file()).map(|(config, _)| config).unwrap_or_default();
        let refused = refused_variables(&config);
        let home = self.paths.home.as_deref();
        let variables = Variables { env: &self.env, refused: &refused, folder: &self.folder, home };
        if let Some(servers) = self.servers.get() {
            for draft in &drafts {
                let mut entry = draft.expand(&variables);
                entry.consent = Consent::NeedsPerson;
                entry.trust = false;
                servers.add(entry);
            }
        }
        Ok(())
    }

    async fn export(&self, id: ConversationId, form: ExportForm) -> Result<String, Fault> {
        let store =
            self.store.as_ref().ok_or_else(|| Fault::new(FaultKind::Store, "There is no store in this session."))?;
        let conversation = store.open_whole(&id).await.map_err(|error| error.fault())?;
        // A key that was typed in this session is known to nobody else.
        let key =
            self.held.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|h| h.endpoint.key.clone());
        let held = Redactor::new(key.iter().map(Secret::expose));
        let (folder, redactor, share) = (self.folder.clone(), self.redactor.clone(), self.share.clone());
        blocking(move || export::write(&folder, form, conversation, &[&redactor, &held], &share)).await
    }
}

impl Connector for LiveConnector {
    fn kept_models(&self) -> Later<(Vec<ModelSource>, Vec<ModelRow>)> {
        let parts = Arc::clone(&self.0);
        Box::pin(async move { parts.kept_models().await })
    }

    fn models(&self, generation: u64, anew: bool, replies: Replies) -> Later<()> {
        let parts = Arc::clone(&self.0);
        Box::pin(async move { parts.models(generation, anew, &replies).await })
    }

    fn facts(&self, model: String, ask: bool) -> Later<Option<ModelRow>> {
        let parts = Arc::clone(&self.0);
        Box::pin(async move { parts.facts(&model, ask).await })
    }

    fn choose_model(&self, model: String) -> Later<Result<(), Fault>> {
        let parts = Arc::clone(&self.0);
        Box::pin(async move { parts.choose_model(model).await })
    }

    fn default_model(&self, profile: Option<String>, base_url: String, model: String) -> Later<Result<String, Fault>> {
        let parts = Arc::clone(&self.0);
        Box::pin(async move { parts.default_model(profile, &base_url, &model).await })
    }

    fn favourite(&self, base_url: String, model: String, on: bool) -> Later<Result<(), Fault>> {
        let parts = Arc::clone(&self.0);
        Box::pin(async move { parts.favourite(base_url, model, on).await })
    }

    fn switch(&self, profile: String, row: ModelRow, then: crate::app::Then) -> Later<Result<Switched, Fault>> {
        let parts = Arc::clone(&self.0);
        Box::pin(async move { parts.switch(&profile, row, then).await })
    }

    fn usage(&self, conversation: ConversationId) -> Later<Vec<(RoundUsage, Option<Prices>)>> {
        let parts = Arc::clone(&self.0);
        Box::pin(async move { parts.usage(&conversation).await })
    }

    fn connect(&self, connection: Connection) -> Later<Result<Connected, Fault>> {
        let parts = Arc::clone(&self.0);
        Box::pin(async move { parts.connect(connection).await })
    }

    fn imports(&self) -> Later<Result<Plan, Fault>> {
        let parts = Arc::clone(&self.0);
        Box::pin(async move { parts.imports().await })
    }

    fn import(&self, picks: Vec<(String, String)>) -> Later<Result<(), Fault>> {
        let parts = Arc::clone(&self.0);
        Box::pin(async move { parts.import(picks).await })
    }

    fn add_server(&self, text: String) -> Later<Result<ServerName, Fault>> {
        let parts = Arc::clone(&self.0);
        Box::pin(async move { parts.add_server(text).await })
    }

    fn export(&self, conversation: ConversationId, form: ExportForm) -> Later<Result<String, Fault>> {
        let parts = Arc::clone(&self.0);
        Box::pin(async move { parts.export(conversation, form).await })
    }
}

/// `api.openai.com` is `openai`; `gpu-box:8000` is `gpu-box-8000`.
pub(super) fn profile_name(host: &str) -> String {
    match host {
        "api.openai.com" => "openai".to_owned(),
        other => other.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect(),
    }
}

fn written(error: &dyn std::fmt::Display) -> Fault {
    Fault::new(FaultKind::Config, error.to_string())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Fault> + Send + 'static) -> Result<T, Fault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Fault::new(FaultKind::Internal, error.to_string())),
    }
}
