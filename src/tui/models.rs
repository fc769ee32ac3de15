//! The models of every endpoint that is configured: asked at the same time, each with its own key and no other's;
//! marked, chosen, written down.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::Replies;
use super::connect::{Held, Parts, profile_name};
use crate::app::{ModelRow, ModelSource, Reach, Reply, Switched};
use crate::chat::{Change, ConversationId, Durability, Fault, FaultKind, Marked, Prices, Retry, RoundUsage, UnixMs};
use crate::config::{KeySource, OPENAI_BASE_URL, Provider, SavedKeys};
use crate::net::{Endpoint, Http, HttpOptions, Listed, ModelInfo};

/// A kept list that is younger than this is believed of a model's window, milliseconds.
const FRESH_MS: i64 = 3_600_000;

/// Servers of models that run where they answer: on this machine they cost nothing.
const OWN_MACHINE: [&str; 5] = ["library", "llamacpp", "organization_owner", "vllm", "sglang"];

/// What is known of models beside their endpoints' lists, by base URL and name.
#[derive(Debug, Default)]
pub struct Marks {
    pub favourites: HashSet<(String, String)>,
    pub used: HashMap<(String, String), UnixMs>,
}

impl Marks {
    /// From all that the store has learnt.
    #[must_use]
    pub fn of(learnt: Vec<(String, String, crate::store::Learnt)>) -> Self {
        let mut marks = Self::default();
        for (base_url, model, learnt) in learnt {
            match learnt.key.as_str() {
                Marked::FAVOURITE if learnt.value == "true" => {
                    marks.favourites.insert((base_url, model));
                }
                Marked::USED => {
                    if let Ok(at) = learnt.value.parse() {
                        marks.used.insert((base_url, model), at);
                    }
                }
                _ => {}
            }
        }
        marks
    }
}

/// An endpoint to be listed.
struct Place {
    name: String,
    base_url: String,
    key: String,
    /// The session's own, with its key as it was handed out.
    held: Option<Endpoint>,
    /// What its profile says.
    provider: Option<Provider>,
}

/// One row of the list, with what the profile and the marks say of it.
fn row(place: &Place, model: &ModelInfo, marks: &Marks) -> ModelRow {
    let mark = (place.base_url.clone(), model.id.clone());
    let said = place.provider.as_ref().and_then(|provider| provider.prices_of(&model.id));
    let own = place.provider.as_ref().filter(|p| p.model.as_deref().is_none_or(|own| own == model.id));
    let here = model.owner.as_deref().is_some_and(|owner| OWN_MACHINE.contains(&owner)) && is_here(&place.base_url);
    ModelRow {
        id: model.id.clone(),
        provider: place.name.clone(),
        context: model.context,
        tools: model.tools,
        vision: own.and_then(|provider| provider.vision).or(model.vision),
        reasoning: model.reasoning,
        prices: said.or(model.prices).or(here.then(Prices::default)),
        favourite: marks.favourites.contains(&mark),
        used: marks.used.get(&mark).copied(),
        base_url: place.base_url.clone(),
        name: model.name.clone(),
        description: model.description.clone(),
        owner: model.owner.clone(),
        size: model.size.clone(),
        created: model.created,
        max_output: model.max_output,
    }
}

fn is_here(base_url: &str) -> bool {
    url::Url::parse(base_url).is_ok_and(|url| crate::net::is_loopback(&url))
}

/// All rows of an endpoint. A model that its profile names is there even where the endpoint lists nothing.
fn rows(place: &Place, listed: Option<&Listed>, marks: &Marks) -> Vec<ModelRow> {
    let models = listed.map(|listed| listed.models.as_slice()).unwrap_or_default();
    let named = place.provider.as_ref().and_then(|provider| provider.model.as_ref());
    let named = named.filter(|named| models.iter().all(|model| model.id != **named));
    let named = named.map(|id| ModelInfo { id: id.clone(), ..ModelInfo::default() });
    named.iter().chain(models).map(|model| row(place, model, marks)).collect()
}

/// The lists as the screen shows them.
fn told(places: &[Place], lists: &[(Option<Listed>, Reach)], marks: &Marks) -> (Vec<ModelSource>, Vec<ModelRow>) {
    let (mut sources, mut all) = (Vec::new(), Vec::new());
    for (place, (listed, reach)) in places.iter().zip(lists) {
        sources.push(ModelSource {
            name: place.name.clone(),
            profile: place.provider.as_ref().and_then(|provider| provider.profile.clone()),
            base_url: place.base_url.clone(),
            key: place.key.clone(),
            current: place.held.is_some(),
            at: listed.as_ref().map(|listed| listed.at),
            reach: reach.clone(),
        });
        all.extend(rows(place, listed.as_ref(), marks));
    }
    (sources, all)
}

/// How the key of a profile is told of.
fn key_note(provider: &Provider) -> String {
    match (&provider.key, &provider.key_missing) {
        (Some(source @ KeySource::Env(_)), _) => format!("key from {}: set", source.describe()),
        (Some(source), _) => format!("key from {}", source.describe()),
        (None, Some(why)) => format!("no key: {why}"),
        (None, None) => "no key".to_owned(),
    }
}

impl Parts {
    /// The session's endpoint first, then every profile's.
    fn places(&self) -> Vec<Place> {
        let held = self.held();
        let same = |provider: &Provider, held: &Held| match &held.profile {
            Some(profile) => provider.profile.as_ref() == Some(profile),
            // Named by address alone: a profile of that address and key is the same place.
            None => {
                let key = held.endpoint.key.as_ref().map(|_| held.endpoint.key_source.as_str());
                provider.endpoint.base_url == held.base_url()
                    && provider.key.as_ref().map(KeySource::describe).as_deref() == key
            }
        };
        let mut places = Vec::new();
        if let Some(held) = &held {
            let own = self.providers.iter().find(|provider| same(provider, held));
            let provider = held.provider.clone().or_else(|| own.cloned());
            let named = held.profile.clone().or_else(|| own.and_then(|own| own.profile.clone()));
            let key = match (&held.endpoint.key, &provider) {
                (Some(_), Some(provider)) if provider.key.is_some() => key_note(provider),
                (Some(_), _) => format!("key from {}", held.endpoint.key_source),
                (None, _) => "no key".to_owned(),
            };
            places.push(Place {
                name: named.unwrap_or_else(|| held.endpoint.host()),
                base_url: held.base_url(),
                key,
                held: Some(held.endpoint.clone()),
                provider,
            });
        }
        for provider in &self.providers {
            if held.as_ref().is_none_or(|held| !same(provider, held)) {
                places.push(Place {
                    name: provider.name().to_owned(),
                    base_url: provider.endpoint.base_url.clone(),
                    key: key_note(provider),
                    held: None,
                    provider: Some(provider.clone()),
                });
            }
        }
        places
    }

    /// The client on the way to a profile's endpoint: its own where it names a proxy or certificates.
    pub(super) fn http_to(&self, provider: Option<&Provider>) -> Http {
        let Some(provider) = provider.filter(|p| p.proxy.is_some() || p.ca_file.is_some()) else {
            return self.http.clone();
        };
        Http::new(HttpOptions {
            proxy: provider.proxy.clone(),
            ca_file: provider.ca_file.clone(),
            ..HttpOptions::new(&self.limits)
        })
    }

    async fn endpoint_of(&self, provider: &Provider) -> Result<Endpoint, Fault> {
        let paths = self.paths.clone();
        let saved = tokio::task::spawn_blocking(move || SavedKeys::load(&paths)).await;
        let saved = saved.ok().and_then(Result::ok).unwrap_or_default();
        Endpoint::of(provider, &self.env, &saved).await
    }

    async fn ask(&self, place: &Place, anew: bool) -> Result<Listed, Fault> {
        let endpoint = match (&place.held, &place.provider) {
            (Some(endpoint), _) => endpoint.clone(),
            (None, Some(provider)) => self.endpoint_of(provider).await?,
            (None, None) => return Err(Fault::new(FaultKind::NoModel, "No endpoint is chosen yet.")),
        };
        let http = match &place.held {
            Some(_) => self.held().map_or_else(|| self.http.clone(), |held| held.http),
            None => self.http_to(place.provider.as_ref()),
        };
        self.catalogue.ask(&http, &endpoint, anew).await
    }

    async fn marks(&self) -> Marks {
        let mut marks = match &self.store {
            Some(store) => Marks::of(store.all_learnt().await.unwrap_or_default()),
            None => Marks::default(),
        };
        for (mark, on) in self.favourites.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter() {
            if *on {
                marks.favourites.insert(mark.clone());
            } else {
                marks.favourites.remove(mark);
            }
        }
        marks
    }

    async fn kept(&self, base_url: &str) -> Option<Listed> {
        let (catalogue, base_url) = (self.catalogue.clone(), base_url.to_owned());
        tokio::task::spawn_blocking(move || catalogue.kept(&base_url)).await.ok().flatten()
    }

    async fn all_kept(&self, places: &[Place]) -> Vec<(Option<Listed>, Reach)> {
        let mut lists = Vec::with_capacity(places.len());
        for place in places {
            lists.push((self.kept(&place.base_url).await, Reach::Asking));
        }
        lists
    }

    /// What is kept of every endpoint's list.
    pub(super) async fn kept_models(&self) -> (Vec<ModelSource>, Vec<ModelRow>) {
        let places = self.places();
        let lists = self.all_kept(&places).await;
        told(&places, &lists, &self.marks().await)
    }

    /// Tells what is kept, then every endpoint's list as it comes.
    pub(super) async fn models(&self, generation: u64, anew: bool, replies: &Replies) {
        let places = self.places();
        let mut lists = self.all_kept(&places).await;
        let tell = |lists: &[(Option<Listed>, Reach)], marks: &Marks| {
            let (sources, rows) = told(&places, lists, marks);
            replies.send(Reply::Models { generation, sources, rows });
        };
        tell(&lists, &self.marks().await);
        let asked = places.iter().enumerate().map(|(n, place)| async move { (n, self.ask(place, anew).await) });
        let mut asked: FuturesUnordered<_> = asked.collect();
        while let Some((n, answer)) = asked.next().await {
            match answer {
                Ok(listed) => {
                    let reach = Reach::Reached { took_ms: listed.took_ms };
                    lists[n] = (Some(listed), reach);
                }
                // What was known of it stays.
                Err(fault) => lists[n].1 = Reach::Failed(fault.message),
            }
            // A mark may have been set meanwhile.
            tell(&lists, &self.marks().await);
        }
    }

    /// What the list of the session's endpoint says of a model.
    pub(super) async fn facts(&self, model: &str, ask: bool) -> Option<ModelRow> {
        let place = self.places().into_iter().find(|place| place.held.is_some())?;
        let kept = self.kept(&place.base_url).await;
        let now = jiff::Timestamp::now().as_millisecond();
        let fresh = kept.as_ref().is_some_and(|listed| now - listed.at < FRESH_MS);
        let asked = if ask && !fresh { self.ask(&place, false).await.ok() } else { None };
        let listed = asked.or(kept)?;
        let found = listed.models.iter().find(|listed| listed.id == model)?;
        Some(row(&place, found, &Marks::default()))
    }

    pub(super) async fn favourite(&self, base_url: String, model: String, on: bool) -> Result<(), Fault> {
        let mark = (base_url.clone(), model.clone());
        self.favourites.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(mark, on);
        self.learn(base_url, model, Marked::FAVOURITE, on.to_string()).await
    }

    pub(super) async fn choose_model(&self, model: String) -> Result<(), Fault> {
        let Some(held) = self.held() else { return Ok(()) };
        self.chose(held.base_url(), &model).await
    }

    async fn chose(&self, base_url: String, model: &str) -> Result<(), Fault> {
        self.learn(base_url, String::new(), Marked::CHOSEN, serde_json::Value::from(model).to_string()).await
    }

    async fn learn(&self, base_url: String, model: String, key: &str, value: String) -> Result<(), Fault> {
        let Some(store) = &self.store else { return Ok(()) };
        let change = Change::Learnt { base_url, model, key: key.to_owned(), value };
        store.apply(vec![change], Durability::Written).await.map_err(|error| error.fault())
    }

    /// Holds turns to another profile's endpoint from now on.
    pub(super) async fn switch(&self, profile: &str, row: ModelRow, then: crate::app::Then) -> Result<Switched, Fault> {
        let provider = self.providers.iter().find(|provider| provider.profile.as_deref() == Some(profile));
        let provider = provider.ok_or_else(|| {
            Fault::new(FaultKind::Config, format!("There is no profile {profile:?} any more."))
                .hint("`millrace config show` tells what is configured.")
        })?;
        let endpoint = self.endpoint_of(provider).await?;
        if let (None, Some(why), false) = (&endpoint.key, &provider.key_missing, endpoint.is_loopback()) {
            return Err(Fault::new(FaultKind::Auth, format!("There is no key for {}: {why}.", endpoint.host()))
                .hint("Set it and start millrace again, or paste one with /key.")
                .retry(Retry::AfterChange));
        }
        let key_from = endpoint.key.as_ref().map(|_| endpoint.key_source.clone());
        let (http, base_url) = (self.http_to(Some(provider)), provider.endpoint.base_url.clone());
        self.hold(Held { endpoint, http, profile: Some(profile.to_owned()), provider: Some(provider.clone()) });
        // It holds all the same where it cannot be written.
        let _ = self.chose(base_url.clone(), &row.id).await;
        Ok(Switched {
            base_url,
            key_from,
            row,
            system: provider.system.clone(),
            sampling: provider.sampling.clone(),
            dispatch: provider.dispatch,
            then,
        })
    }

    /// Writes the model down as the one to begin with; says where.
    pub(super) async fn default_model(
        &self,
        profile: Option<String>,
        base_url: &str,
        model: &str,
    ) -> Result<String, Fault> {
        let Some(file) = self.config_file.clone() else {
            return Ok("nothing is written down in this session".to_owned());
        };
        let usual = self.env.get("OPENAI_BASE_URL").map_or(OPENAI_BASE_URL, String::as_str);
        let (usual, base_url) = (usual.trim_end_matches('/') == base_url, base_url.to_owned());
        let by_env = self.held().is_some_and(|held| {
            held.base_url() == base_url && held.endpoint.key_source == "$OPENAI_API_KEY" && held.profile.is_none()
        });
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let chosen = model.to_owned();
        let host = Endpoint::new(&base_url, self.api).map(|endpoint| endpoint.host()).unwrap_or_default();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.write(move |edit| {
            let name = match profile {
                Some(name) => Some((name, false)),
                None if usual && edit.get("profile").is_none() => None,
                None => Some((profile_name(&host), true)),
            };
            let key = match name {
                None => "model".to_owned(),
                Some((name, new)) => {
                    let table = format!("profiles.{}", quoted(&name));
                    if new {
                        edit.set_text(&format!("{table}.base_url"), &base_url)?;
                        if by_env {
                            edit.set_text(&format!("{table}.api_key_env"), "OPENAI_API_KEY")?;
                        }
                    }
                    edit.set_text("profile", &name)?;
                    format!("{table}.model")
                }
            };
            edit.set_text(&key, &chosen)?;
            let _ = sender.send(key.replace('"', ""));
            Ok(())
        })
        .await?;
        let key = receiver.await.unwrap_or_default();
        Ok(format!("{model} is the model to begin with: {key} in {}", self.paths.show(&file)))
    }

    /// The rounds of a conversation that are kept, with what their tokens cost where that is known.
    pub(super) async fn usage(&self, conversation: &ConversationId) -> Vec<(RoundUsage, Option<Prices>)> {
        let Some(store) = &self.store else { return Vec::new() };
        let rounds = store.round_usage(conversation).await.unwrap_or_default();
        let places = self.places();
        let mut known: BTreeMap<(String, String), Option<Prices>> = BTreeMap::new();
        let mut priced = Vec::with_capacity(rounds.len());
        for round in rounds {
            let key = (round.origin.clone(), round.model.clone());
            let prices = match known.get(&key) {
                Some(prices) => *prices,
                None => {
                    let prices = self.prices(&places, &round.origin, &round.model).await;
                    known.insert(key, prices);
                    prices
                }
            };
            priced.push((round, prices));
        }
        priced
    }

    async fn prices(&self, places: &[Place], origin: &str, model: &str) -> Option<Prices> {
        let same = |place: &&Place| {
            url::Url::parse(&place.base_url).is_ok_and(|url| url.origin().ascii_serialization() == origin)
        };
        for place in places.iter().filter(same) {
            if let Some(prices) = place.provider.as_ref().and_then(|provider| provider.prices_of(model)) {
                return Some(prices);
            }
            let kept = self.kept(&place.base_url).await;
            let listed = kept.as_ref().and_then(|listed| listed.models.iter().find(|listed| listed.id == model));
            if let Some(prices) = listed.and_then(|listed| row(place, listed, &Marks::default()).prices) {
                return Some(prices);
            }
        }
        None
    }
}
