//! Effects that need the store, the network or the configuration.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::AbortHandle;

use super::{Replies, Work};
use crate::app::{
    Connection, Effect, ExportForm, HistoryFilter, HistoryPage, HistoryRow, ImportRow, ImportSource, LocalKind,
    LocalServer, ModelRow, ModelSource, Reply, Sort, Switched, Then, TitleRow,
};
use crate::chat::{
    Conversation, ConversationId, Fault, FaultKind, Hit, MessageId, Prices, Root, RoundUsage, ServerName, Summary,
};
use crate::config::import::Plan;
use crate::net;
use crate::store::{self, Claim, DraftOf, Page, Store, StoreError};

/// Conversations that the palette knows by title; older ones are found in the browser.
const MOST_TITLES: usize = 20_000;

type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A connection that now holds.
#[derive(Clone, Debug)]
pub struct Connected {
    pub base_url: String,
    /// `$OPENAI_API_KEY`, `secrets.toml`; None: no key.
    pub key_from: Option<String>,
    /// None: it is to be chosen.
    pub model: Option<String>,
    pub context_window: Option<u64>,
    /// The choice could not be written down.
    pub warning: Option<String>,
}

/// What connects the engine to models and servers: built where both are known.
pub trait Connector: Send + Sync {
    /// Replies with what every endpoint offers: what is kept at once, then as each answers.
    fn models(&self, generation: u64, anew: bool, replies: Replies) -> Later<()>;
    /// What every endpoint offers, as far as it is kept: nobody is asked.
    fn kept_models(&self) -> Later<(Vec<ModelSource>, Vec<ModelRow>)>;
    /// What the list of this endpoint says of a model; `ask`: also where no list is kept.
    fn facts(&self, model: String, ask: bool) -> Later<Option<ModelRow>>;
    /// Remembers the model for this endpoint.
    fn choose_model(&self, model: String) -> Later<Result<(), Fault>>;
    /// Writes a model down as the one to begin with; says where.
    fn default_model(&self, profile: Option<String>, base_url: String, model: String) -> Later<Result<String, Fault>>;
    fn favourite(&self, base_url: String, model: String, on: bool) -> Later<Result<(), Fault>>;
    /// Holds turns to another profile's endpoint from now on.
    fn switch(&self, profile: String, row: ModelRow, then: Then) -> Later<Result<Switched, Fault>>;
    /// The rounds that are kept of a conversation, with their prices where those are known.
    fn usage(&self, conversation: ConversationId) -> Later<Vec<(RoundUsage, Option<Prices>)>>;
    /// Tries a connection, holds turns to it from now on, and writes the choice down.
    fn connect(&self, connection: Connection) -> Later<Result<Connected, Fault>>;
    /// What other clients have, and what it would become here.
    fn imports(&self) -> Later<Result<Plan, Fault>>;
    /// Takes servers of other clients (file, and name in it) into the configuration; none starts unasked.
    fn import(&self, picks: Vec<(String, String)>) -> Later<Result<(), Fault>>;
    /// Writes a server into the configuration: a name, then a command or an address. It starts once it was seen.
    fn add_server(&self, text: String) -> Later<Result<ServerName, Fault>>;
    /// Writes a conversation to a new file: where.
    fn export(&self, conversation: ConversationId, form: ExportForm) -> Later<Result<String, Fault>>;
}

/// The whole desk.
#[derive(Clone)]
pub struct Desk {
    /// None where there is no store: history is empty, and says why.
    pub store: Option<Store>,
    /// Why there is none.
    pub no_store: Option<Fault>,
    pub http: net::Http,
    pub connector: Arc<dyn Connector>,
    pub folder: PathBuf,
    pub home: Option<PathBuf>,
    /// Those whose right to be written this window asked for.
    held: Arc<Mutex<HashSet<ConversationId>>>,
    /// What follows the conversation of another process.
    following: Arc<Mutex<Option<(u64, AbortHandle)>>>,
}

impl Desk {
    #[must_use]
    pub fn new(
        store: Result<Store, Fault>,
        http: net::Http,
        connector: Arc<dyn Connector>,
        folder: PathBuf,
        home: Option<PathBuf>,
    ) -> Self {
        let (store, no_store) = match store {
            Ok(store) => (Some(store), None),
            Err(fault) => (None, Some(fault)),
        };
        Self { store, no_store, http, connector, folder, home, held: Arc::default(), following: Arc::default() }
    }

    /// Follows this from now on, and nothing else; None: what has this number no more.
    fn follows(&self, generation: u64, task: Option<AbortHandle>) {
        let mut following = self.following.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, before)) = following.take_if(|(before, _)| task.is_some() || *before == generation) {
            before.abort();
        }
        if let Some(task) = task {
            *following = Some((generation, task));
        }
    }

    pub(super) fn hold(&self, id: &ConversationId) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
    }

    pub(super) fn let_go(&self, id: &ConversationId) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    fn folder_text(&self) -> String {
        self.folder.to_string_lossy().into_owned()
    }

    pub(super) fn store(&self) -> Result<&Store, Fault> {
        self.store.as_ref().ok_or_else(|| {
            self.no_store.clone().unwrap_or_else(|| Fault::new(FaultKind::Store, "There is no store in this session."))
        })
    }

    /// A folder as a person wrote it, from here or from home; it has to be there.
    async fn root(&self, text: String) -> Result<Root, Fault> {
        let rest = text.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with(['/', '\\']));
        let path = match (rest, &self.home) {
            (Some(rest), Some(home)) => home.join(rest.trim_start_matches(['/', '\\'])),
            (_, _) => self.folder.join(&text),
        };
        let usage = |why: &str| Fault::new(FaultKind::Usage, format!("{}: {why}", path.display()));
        match tokio::fs::metadata(&path).await {
            Ok(found) if found.is_dir() => {
                crate::config::root(&path).ok_or_else(|| usage("it has no address of its own"))
            }
            Ok(_) => Err(usage("this is no folder")),
            Err(error) => Err(usage(&error.to_string())),
        }
    }

    async fn carried(self, effect: Effect, replies: Replies) {
        match effect {
            Effect::Search { generation, query, filter, offset, limit } => {
                let page = self.page(generation, query, filter, offset, limit).await;
                replies.send(Reply::Page(page));
            }
            Effect::Preview { generation, conversation, message: _ } => {
                let result = self.read(&conversation).await.map(Arc::new);
                replies.send(Reply::Preview { generation, result });
            }
            Effect::Open { generation, conversation, at, running } => {
                let mut result = self.open(&conversation, &running).await;
                if let (Some(at), Ok(opened)) = (at, &mut result) {
                    self.turn_to(opened, &at).await;
                }
                let draft = match (&result, &self.store) {
                    (Ok(_), Some(store)) => {
                        store.draft(DraftOf::Conversation(conversation.clone())).await.ok().flatten()
                    }
                    (_, _) => None,
                };
                replies.send(Reply::Opened { generation, result: result.map(Box::new) });
                if let Some(text) = draft {
                    replies.send(Reply::Draft { conversation: Some(conversation), text });
                }
            }
            Effect::Follow { generation, conversation } => {
                let task = tokio::spawn(self.clone().follow(generation, conversation, replies));
                self.follows(generation, Some(task.abort_handle()));
            }
            Effect::Unfollow { generation } => self.follows(generation, None),
            Effect::StopElsewhere { conversation } => {
                if let Err(fault) = self.stop_elsewhere(&conversation).await {
                    replies.send(Reply::Failed(fault));
                }
            }
            Effect::Walk { generation, conversation, message } => {
                let id = conversation.clone();
                let shown = self.change(|store| async move {
                    store.show_branch(&id, &message).await?;
                    Ok((store.open_conversation(&id).await?, message))
                });
                match shown.await {
                    Ok((conversation, message)) => {
                        replies.send(Reply::Walked { generation, message, conversation: Box::new(conversation) });
                    }
                    Err(fault) => replies.send(Reply::Failed(fault)),
                }
            }
            Effect::Newest => self.newest(&replies).await,
            Effect::Prompts { generation, query } => {
                let prompts = match &self.store {
                    Some(store) => store.recent_prompts(500).await.unwrap_or_default(),
                    None => Vec::new(),
                };
                let wanted = query.to_lowercase();
                let prompts = prompts.into_iter().filter(|prompt| prompt.to_lowercase().contains(&wanted)).collect();
                replies.send(Reply::Prompts { generation, prompts });
            }
            Effect::RememberPrompt { text } => {
                if let Some(store) = &self.store {
                    // What recall offers next time; the message itself is kept by the engine.
                    let _ = store.add_prompt(&text).await;
                }
            }
            Effect::Rename { conversation, title } => {
                let result = self.change(|store| async move {
                    store.rename(&conversation, &title).await.map(|()| (conversation, title))
                });
                match result.await {
                    Ok((conversation, title)) => replies.send(Reply::Renamed { conversation, title, result: Ok(()) }),
                    Err(fault) => replies.send(Reply::Failed(fault)),
                }
            }
            Effect::Pin { conversations, pinned } => {
                let ids = conversations.clone();
                let result = self.change(|store| async move { store.pin(&ids, pinned).await }).await;
                replies.send(Reply::Pinned { conversations, pinned, result });
            }
            Effect::Delete { conversations, for_good } => {
                let ids = conversations.clone();
                let result = self
                    .change(|store| async move {
                        match for_good {
                            true => store.erase(&ids).await.map(|erased| erased.remarks()),
                            false => store.delete(&ids).await.map(|()| Vec::new()),
                        }
                    })
                    .await;
                replies.send(Reply::Deleted { conversations, for_good, result });
            }
            Effect::Restore { conversations } => {
                let ids = conversations.clone();
                let result = self.change(|store| async move { store.undelete(&ids).await }).await;
                replies.send(Reply::Restored { conversations, result });
            }
            Effect::SaveDraft { conversation, text } => {
                if let Some(store) = &self.store {
                    let owner = match conversation {
                        Some(id) => DraftOf::Conversation(id),
                        None => DraftOf::Folder(self.folder_text()),
                    };
                    // The store's own trouble is told by the engine, which writes all the time.
                    let _ = store.save_draft(owner, &text).await;
                }
            }
            Effect::Export { conversations, form } => replies.send(self.exported(conversations, form).await),
            Effect::Models { generation, anew } => self.connector.models(generation, anew, replies).await,
            Effect::Known { generation } => {
                let (titles, (sources, models)) = tokio::join!(self.titles(), self.connector.kept_models());
                replies.send(Reply::Known { generation, titles, sources, models });
            }
            Effect::ModelFacts { model, ask } => {
                if let Some(row) = self.connector.facts(model, ask).await {
                    replies.send(Reply::ModelFacts(Box::new(row)));
                }
            }
            Effect::ChooseModel { model } => {
                if let Err(fault) = self.connector.choose_model(model).await {
                    replies.send(Reply::Failed(fault));
                }
            }
            Effect::DefaultModel { profile, base_url, model } => {
                let result = self.connector.default_model(profile, base_url, model).await;
                replies.send(result.map_or_else(Reply::Failed, Reply::Said));
            }
            Effect::Favourite { base_url, model, on } => {
                if let Err(fault) = self.connector.favourite(base_url, model, on).await {
                    replies.send(Reply::Failed(fault));
                }
            }
            Effect::Switch { profile, row, then } => {
                let result = self.connector.switch(profile, *row, then).await;
                replies.send(result.map_or_else(Reply::Failed, |to| Reply::Switched(Box::new(to))));
            }
            Effect::Turn { generation, conversation, turn } => {
                let turn = match &self.store {
                    Some(store) => store.turn(&conversation, turn).await.ok().flatten(),
                    None => None,
                };
                replies.send(Reply::Turn { generation, turn: turn.map(Box::new) });
            }
            Effect::EverApproved => {
                // Where nothing can be read, nothing is explained that may be known.
                let ever = match &self.store {
                    Some(store) => store.ever_approved().await.unwrap_or(true),
                    None => false,
                };
                replies.send(Reply::EverApproved(ever));
            }
            Effect::Usage { generation, conversation } => {
                let rounds = self.connector.usage(conversation).await;
                replies.send(Reply::Usage { generation, rounds });
            }
            Effect::ProbeLocal => self.probe(&replies).await,
            Effect::FindImports => self.imports(&replies).await,
            Effect::Import { picks } => {
                if let Err(fault) = self.connector.import(picks).await {
                    replies.send(Reply::Failed(fault));
                }
            }
            Effect::AddServer { text } => {
                let result = self.connector.add_server(text).await;
                replies.send(Reply::ServerAdded(result));
            }
            Effect::FindRoot { server, text } => {
                let result = self.root(text).await;
                replies.send(Reply::RootFound { server, result });
            }
            Effect::Connect(connection) => match self.connector.connect(connection).await {
                Ok(Connected { base_url, key_from, model, context_window, warning }) => {
                    replies.send(Reply::Connected { base_url, key_from, model, context_window, warning });
                }
                Err(fault) => replies.send(Reply::ConnectFailed(fault)),
            },
            // The terminal's own, which the loop carries out.
            Effect::Order(_)
            | Effect::Copy { .. }
            | Effect::OpenPage { .. }
            | Effect::SaveBytes { .. }
            | Effect::SaveResult { .. }
            | Effect::SaveText { .. }
            | Effect::LookAtFile { .. }
            | Effect::LookAtPaths { .. }
            | Effect::Editor { .. }
            | Effect::EditConfig { .. }
            | Effect::Run { .. }
            | Effect::StopRun { .. }
            | Effect::PastePicture { .. }
            | Effect::Settings { .. }
            | Effect::SetSetting { .. }
            | Effect::Theme { .. }
            | Effect::Files { .. }
            | Effect::Attach { .. }
            | Effect::SetTimer { .. }
            | Effect::CancelTimer(_)
            | Effect::MouseCapture(_)
            | Effect::Redraw
            | Effect::Suspend
            | Effect::Notify(_)
            | Effect::CopyMarked(_)
            | Effect::Quit => {}
        }
    }

    async fn change<T, F>(&self, change: impl FnOnce(Store) -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let store = self.store()?.clone();
        change(store).await.map_err(|error| error.fault())
    }

    pub(super) async fn read(&self, conversation: &ConversationId) -> Result<Conversation, Fault> {
        self.store()?.open_conversation(conversation).await.map_err(|error| error.fault())
    }

    /// Opens for writing: those before are let go where nothing of them runs, and another process's is shown only.
    async fn open(&self, id: &ConversationId, running: &[ConversationId]) -> Result<Conversation, Fault> {
        let store = self.store()?;
        let idle: Vec<ConversationId> = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            held.extract_if(|before| before != id && !running.contains(before)).collect()
        };
        for before in idle {
            let _ = store.release(&before).await;
        }
        let claim = store.claim(id).await;
        let mut conversation = store.open_conversation(id).await.map_err(|error| error.fault())?;
        // A store that cannot be written cannot be claimed either: reading goes on.
        conversation.open_elsewhere = matches!(claim, Ok(Claim::Held { .. }));
        if !conversation.open_elsewhere {
            self.hold(id);
        }
        Ok(conversation)
    }

    /// Shows the branch of a message, where another one is shown; as it was where that cannot be.
    async fn turn_to(&self, opened: &mut Conversation, message: &MessageId) {
        if opened.open_elsewhere || opened.messages.iter().any(|one| one.id == *message) {
            return;
        }
        let id = opened.summary.id.clone();
        let shown = self.change(|store| async move {
            store.show_branch(&id, message).await?;
            store.open_conversation(&id).await
        });
        if let Ok(shown) = shown.await {
            *opened = shown;
        }
    }

    /// Each in a file of its own; the first that fails says so, with what was written before.
    async fn exported(&self, conversations: Vec<ConversationId>, form: ExportForm) -> Reply {
        let (several, mut written) = (conversations.len() > 1, 0);
        for conversation in conversations {
            match self.connector.export(conversation, form).await {
                Ok(path) if !several => return Reply::Saved { what: form.what(), result: Ok(path) },
                Ok(_) => written += 1,
                Err(fault) if written == 0 => return Reply::Failed(fault),
                Err(fault) => {
                    let message = format!("{} ({written} others were written)", fault.message);
                    return Reply::Failed(Fault { message, ..fault });
                }
            }
        }
        Reply::Said(format!("{written} conversations are in {}", self.folder_text()))
    }

    async fn newest(&self, replies: &Replies) {
        let Some(store) = &self.store else { return };
        let folder = self.folder_text();
        replies.send(Reply::Newest(store.newest(Some(&folder)).await.ok().flatten()));
        if let Ok(Some(text)) = store.draft(DraftOf::Folder(folder)).await {
            replies.send(Reply::Draft { conversation: None, text });
        }
    }

    /// The titles of what is saved, newest first.
    async fn titles(&self) -> Vec<TitleRow> {
        let Some(store) = &self.store else { return Vec::new() };
        let (filter, sort) = (String::new(), store::Sort::Updated);
        let page = Page { filter, folder: None, deleted: false, sort, limit: MOST_TITLES, after: None };
        let listed = store.list(page).await.unwrap_or_default();
        let row = |one: Summary| TitleRow { conversation: one.id, title: one.title, updated: one.updated };
        listed.into_iter().map(row).collect()
    }

    async fn page(
        &self,
        generation: u64,
        query: String,
        filter: HistoryFilter,
        offset: usize,
        limit: usize,
    ) -> HistoryPage {
        let empty =
            |fault| HistoryPage { generation, offset, rows: Vec::new(), total: 0, took_us: 0, fault: Some(fault) };
        let store = match self.store() {
            Ok(store) => store,
            Err(fault) => return empty(fault),
        };
        let folder = filter.here.then(|| self.folder_text());
        let began = std::time::Instant::now();
        let mut words = query;
        if let Some(model) = &filter.model {
            words = format!("{words} model:{model}").trim().to_owned();
        }
        let took_us = |began: std::time::Instant| u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let most = offset.saturating_add(limit);
        let drafts: HashMap<ConversationId, usize> = store
            .drafts()
            .await
            .unwrap_or_default()
            .into_iter()
            .filter_map(|draft| match draft.owner {
                DraftOf::Conversation(id) => Some((id, draft.text.chars().count())),
                DraftOf::Folder(_) => None,
            })
            .collect();
        let row = |summary: Summary, hit: Option<Hit>| {
            let draft = drafts.get(&summary.id).copied().unwrap_or(0);
            HistoryRow { summary, hit, draft }
        };
        if words.is_empty() || filter.model.is_some() && words.starts_with("model:") {
            let sort = match filter.sort {
                Sort::Updated => store::Sort::Updated,
                Sort::Created => store::Sort::Created,
                Sort::Title => store::Sort::Title,
            };
            let page = Page { filter: words, folder: folder.clone(), deleted: false, sort, limit: most, after: None };
            let listed = match store.list(page).await {
                Ok(listed) => listed,
                Err(error) => return empty(error.fault()),
            };
            let total = match filter.model {
                None => store.count(folder).await.unwrap_or(listed.len()),
                Some(_) => listed.len(),
            };
            let rows = listed.into_iter().skip(offset).map(|summary| row(summary, None)).collect();
            return HistoryPage { generation, offset, rows, total, took_us: took_us(began), fault: None };
        }
        match store.search_in(&words, folder, most).await {
            Ok(found) => {
                let total = found.total;
                let rows = found.hits.into_iter().skip(offset);
                let rows = rows.map(|hit| row(hit.summary.clone(), Some(hit))).collect();
                HistoryPage { generation, offset, rows, total, took_us: took_us(began), fault: None }
            }
            Err(error) => empty(error.fault()),
        }
    }

    async fn probe(&self, replies: &Replies) {
        let found = net::probe_local(&self.http).await;
        for kind in LocalKind::ALL {
            let port = kind.port();
            let here = found.iter().find(|server| server.base_url.contains(&format!(":{port}/")));
            let found = here.map(|server| LocalServer {
                kind,
                base_url: server.base_url.clone(),
                models: server.models.iter().map(|model| model.id.clone()).collect(),
            });
            replies.send(Reply::Local { port, found });
        }
    }

    async fn imports(&self, replies: &Replies) {
        let sources = match self.connector.imports().await {
            Ok(plan) => sources(plan),
            Err(fault) => {
                replies.send(Reply::Failed(fault));
                Vec::new()
            }
        };
        replies.send(Reply::Imports(sources));
    }
}

/// The plan by file, as the screen shows it.
fn sources(plan: Plan) -> Vec<ImportSource> {
    let mut sources: Vec<ImportSource> = Vec::new();
    for row in plan.rows {
        let (path, client) = (row.path.display().to_string(), row.client.name().to_owned());
        let shown = ImportRow {
            client: client.clone(),
            path: path.clone(),
            key: row.key.clone(),
            name: row.draft().map(|draft| draft.name.as_str().to_owned()),
            line: row.line(),
            notes: row.notes().into_iter().map(|(note, text)| format!("{}: {text}", note.word())).collect(),
            chosen: row.draft().is_some(),
        };
        let at = sources.iter().position(|source| source.path == path).unwrap_or_else(|| {
            sources.push(ImportSource { client, path, servers: Vec::new(), rows: Vec::new() });
            sources.len() - 1
        });
        sources[at].servers.extend(shown.name.clone());
        sources[at].rows.push(shown);
    }
    sources
}

impl Work for Desk {
    fn carry(&self, effect: Effect, replies: Replies) -> Later<()> {
        Box::pin(self.clone().carried(effect, replies))
    }
}
