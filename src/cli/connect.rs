//! What the chat screen asks of the world beyond its engine: models, connections, other clients' servers, exports.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::app::{Connection, ModelRow};
use crate::chat::{CallId, Change, ConversationId, Durability, Fault, FaultKind, Limits, Retry};
use crate::config::{self, Config, Edit, KeySource, Paths, SavedKeys, Secret, Variables};
use crate::demo::{Demo, DemoOptions};
use crate::engine::Orders;
use crate::engine::live::{LiveModel, LiveServers};
use crate::net::{self, Endpoint, Http, ModelInfo};
use crate::store::Store;
use crate::tui::{Connected, Connector};

use super::setup;

type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Shared by everything that the screen asks for.
#[derive(Clone)]
pub struct Connections {
    pub http: Http,
    pub limits: Arc<Limits>,
    pub orders: Orders,
    pub servers: Arc<OnceLock<Arc<LiveServers>>>,
    pub store: Option<Store>,
    pub paths: Paths,
    /// None: nothing is written down (the demo).
    pub config_file: Option<PathBuf>,
    pub folder: PathBuf,
    pub endpoint: Arc<Mutex<Option<Endpoint>>>,
    /// The demo's own model, once it was chosen; ends with the screen.
    pub demo: Arc<Mutex<Option<Demo>>>,
}

impl Connections {
    fn endpoint(&self) -> Option<Endpoint> {
        self.endpoint.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Turns ask this endpoint from now on.
    fn hold(&self, endpoint: Endpoint) {
        let model = LiveModel::new(self.http.clone(), endpoint.clone(), Arc::clone(&self.limits));
        self.orders.connect(Arc::new(model));
        *self.endpoint.lock().unwrap_or_else(PoisonError::into_inner) = Some(endpoint);
    }

    async fn try_endpoint(&self, endpoint: &Endpoint) -> Result<Vec<ModelInfo>, Fault> {
        net::models(&self.http, endpoint).await
    }

    async fn connected(self, connection: Connection) -> Result<Connected, Fault> {
        match connection {
            Connection::Local(server) => {
                let endpoint = Endpoint::new(&server.base_url, Default::default())?;
                let models = self.try_endpoint(&endpoint).await?;
                Ok(self.settle(endpoint, &models, None, &profile_name(server.kind.name())))
            }
            Connection::Key { base_url, key } => {
                let key = Secret::new(key.trim());
                let endpoint = Endpoint::new(&base_url, Default::default())?.key(key.clone(), "the pasted key");
                if let Some(why) = endpoint.withheld() {
                    return Err(Fault::new(FaultKind::Config, why).hint("Use an https address."));
                }
                let models = self.try_endpoint(&endpoint).await?;
                let kept = SavedKeys::load(&self.paths)
                    .and_then(|mut keys| keys.put(&self.paths, &endpoint.origin(), Some(key)));
                let warning = kept.err().map(|error| format!("The key could not be kept: {error}."));
                let name = profile_name(&endpoint.host());
                Ok(self.settle(endpoint, &models, warning, &name))
            }
            Connection::Address { base_url } => {
                let endpoint = self.find_address(&base_url).await?;
                let models = self.try_endpoint(&endpoint).await?;
                let name = profile_name(&endpoint.host());
                Ok(self.settle(endpoint, &models, None, &name))
            }
            Connection::Demo => self.start_demo().await,
        }
    }

    /// An address as people give it may lack its scheme or `/v1`.
    async fn find_address(&self, text: &str) -> Result<Endpoint, Fault> {
        let text = text.trim();
        let text = match text.contains("://") {
            true => text.to_owned(),
            false if text.starts_with("localhost") || text.starts_with("127.") => format!("http://{text}"),
            false => format!("https://{text}"),
        };
        let endpoint = Endpoint::new(&text, Default::default())?;
        if endpoint.base_url.path().trim_matches('/').is_empty() {
            let below = Endpoint::new(&format!("{}/v1", text.trim_end_matches('/')), Default::default())?;
            match self.try_endpoint(&below).await {
                Ok(_) => return Ok(below),
                Err(fault) if matches!(fault.kind, FaultKind::Auth) => return Ok(below),
                Err(_) => {}
            }
        }
        Ok(endpoint)
    }

    /// Holds to an endpoint that answered, and writes the choice down.
    fn settle(&self, endpoint: Endpoint, models: &[ModelInfo], warning: Option<String>, name: &str) -> Connected {
        let base_url = endpoint.base_url.as_str().trim_end_matches('/').to_owned();
        let only = match models {
            [only] => Some(only),
            _ => None,
        };
        let written = self.write_profile(name, &base_url, only.map(|m| m.id.as_str()));
        let warning = warning.or_else(|| written.err().map(|why| format!("The choice could not be written: {why}")));
        let key_from = endpoint.key.is_some().then(|| endpoint.key_source.clone());
        self.hold(endpoint);
        Connected {
            base_url,
            key_from,
            model: only.map(|m| m.id.clone()),
            context_window: only.and_then(|m| m.context),
            warning,
        }
    }

    fn write_profile(&self, name: &str, base_url: &str, model: Option<&str>) -> Result<(), String> {
        let Some(file) = &self.config_file else { return Ok(()) };
        let text = |error: config::EditError| error.to_string();
        let mut edit = Edit::open(file).map_err(text)?;
        edit.set_text("profile", name).map_err(text)?;
        edit.set_text(&format!("profiles.{name}.base_url"), base_url).map_err(text)?;
        if let Some(model) = model {
            edit.set_text(&format!("profiles.{name}.model"), model).map_err(text)?;
        }
        edit.save().map(drop).map_err(text)
    }

    async fn start_demo(&self) -> Result<Connected, Fault> {
        let demo =
            Demo::start(DemoOptions::default()).map_err(|error| Fault::new(FaultKind::Internal, error.to_string()))?;
        let endpoint = Endpoint::new(&demo.base_url, Default::default())?;
        if let Some(servers) = self.servers.get() {
            for entry in &demo.entries {
                servers.add(entry.clone());
            }
        }
        let base_url = demo.base_url.clone();
        let model = demo.model.to_owned();
        *self.demo.lock().unwrap_or_else(PoisonError::into_inner) = Some(demo);
        self.hold(endpoint);
        Ok(Connected { base_url, key_from: None, model: Some(model), context_window: None, warning: None })
    }

    fn import_all(&self, source: &str) -> Result<(), Fault> {
        let bad = |why: String| Fault::new(FaultKind::Config, why).retry(Retry::AfterChange);
        let Some(file) = &self.config_file else { return Err(bad("Nothing is written down in this session.".into())) };
        let Some(home) = self.paths.home.clone() else { return Err(bad("There is no home folder to look in.".into())) };
        let (found, _) = config::import::find(&home, &self.folder);
        let mut edit = Edit::open(file).map_err(|error| bad(error.to_string()))?;
        let drafts: Vec<_> =
            found.into_iter().filter(|f| f.path.as_path() == Path::new(source)).map(|f| f.draft).collect();
        for draft in &drafts {
            edit.put_server(draft);
        }
        edit.save().map_err(|error| bad(error.to_string()))?;
        let env = setup::environment();
        // No key of a profile goes to a server.
        let refused = self.key_variables();
        let variables = Variables { env: &env, folder: &self.folder, home: Some(&home), refused: &refused };
        if let Some(servers) = self.servers.get() {
            for draft in drafts {
                servers.add(draft.expand(&variables));
            }
        }
        Ok(())
    }

    fn key_variables(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::from(["OPENAI_API_KEY".to_owned()]);
        if let Some((config, _)) = self.config_file.as_deref().and_then(|file| Config::load(file).ok()) {
            names.extend(config.profiles.values().filter_map(|profile| match &profile.key {
                Some(KeySource::Env(name)) => Some(name.clone()),
                Some(KeySource::Command(_) | KeySource::Literal(_) | KeySource::Saved(_)) | None => None,
            }));
        }
        names
    }

    async fn write_export(&self, conversation: &ConversationId) -> Result<String, Fault> {
        let Some(store) = &self.store else {
            return Err(Fault::new(FaultKind::Store, "There is no store in this session."));
        };
        let whole = store.open_whole(conversation).await.map_err(|error| error.fault())?;
        let text = crate::export::markdown(&whole);
        let stem: String = whole
            .summary
            .title
            .chars()
            .map(|c| if c.is_alphanumeric() { c } else { '-' })
            .take(48)
            .collect::<String>()
            .trim_matches('-')
            .to_lowercase();
        let stem = if stem.is_empty() { "conversation".to_owned() } else { stem };
        for number in 1..1000 {
            let name = if number == 1 { format!("{stem}.md") } else { format!("{stem}-{number}.md") };
            let path = self.folder.join(name);
            // Never over a file that is there.
            match std::fs::OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(mut file) => {
                    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(|error| unwritten(&path, &error))?;
                    return Ok(path.display().to_string());
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(unwritten(&path, &error)),
            }
        }
        Err(Fault::new(FaultKind::Internal, "There are too many exports of that name here."))
    }
}

fn unwritten(path: &Path, error: &std::io::Error) -> Fault {
    Fault::new(FaultKind::Internal, format!("{} could not be written: {error}.", path.display()))
        .hint("Choose another folder, or make room.")
}

/// A profile's name after its host: letters, digits and dashes.
fn profile_name(host: &str) -> String {
    let name: String = host
        .trim_start_matches("api.")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect();
    let name = name.strip_suffix("-com").unwrap_or(&name).trim_matches('-').to_owned();
    if name.is_empty() { "endpoint".into() } else { name }
}

/// A model as the picker lists it.
fn row(model: ModelInfo, provider: &str) -> ModelRow {
    ModelRow {
        id: model.id,
        provider: provider.to_owned(),
        context: model.context,
        tools: None,
        vision: None,
        reasoning: None,
    }
}

impl Connector for Connections {
    fn models(&self) -> Later<Result<Vec<ModelRow>, Fault>> {
        let this = self.clone();
        Box::pin(async move {
            let Some(endpoint) = this.endpoint() else {
                return Err(Fault::new(FaultKind::NoModel, "No endpoint has been chosen yet."));
            };
            let provider = endpoint.host();
            let models = this.try_endpoint(&endpoint).await?;
            Ok(models.into_iter().map(|model| row(model, &provider)).collect())
        })
    }

    fn choose_model(&self, model: String, as_default: bool) -> Later<Result<(), Fault>> {
        let this = self.clone();
        Box::pin(async move {
            let Some(endpoint) = this.endpoint() else { return Ok(()) };
            let base_url = endpoint.base_url.as_str().trim_end_matches('/').to_owned();
            if as_default {
                let name = profile_name(&endpoint.host());
                this.write_profile(&name, &base_url, Some(&model))
                    .map_err(|why| Fault::new(FaultKind::Config, format!("The choice could not be written: {why}")))?;
            }
            if let Some(store) = &this.store {
                let value = serde_json::Value::from(model).to_string();
                let learnt = Change::Learnt { base_url, model: String::new(), key: "model".into(), value };
                store.apply(vec![learnt], Durability::Written).await.map_err(|error| error.fault())?;
            }
            Ok(())
        })
    }

    fn connect(&self, connection: Connection) -> Later<Result<Connected, Fault>> {
        Box::pin(self.clone().connected(connection))
    }

    fn import(&self, source: String) -> Later<Result<(), Fault>> {
        let this = self.clone();
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || this.import_all(&source)).await;
            done.unwrap_or_else(|_| Err(Fault::new(FaultKind::Internal, "The import was broken off.")))
        })
    }

    fn export(&self, conversation: ConversationId) -> Later<Result<String, Fault>> {
        let this = self.clone();
        Box::pin(async move { this.write_export(&conversation).await })
    }

    fn run_again(&self, _conversation: ConversationId, _call: CallId) -> Later<Result<(), Fault>> {
        Box::pin(async { Ok(()) })
    }
}
