//! The model behind an endpoint: requests encoded, responses read, keys renewed, refusals learnt from.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};

use super::lessons::Lessons;
use crate::chat::{Api, Delta, Limits, Request, ToolList, WireErrorKind};
use crate::config::{SavedKeys, Secret};
use crate::engine::port::{Events, Lesson, Model, ModelEvent};
use crate::net::{self, Endpoint, Failure, Http};
use crate::tools;
use crate::turn::Adapted;
use crate::wire::{self, Quirks, Sent};

/// How long the endpoint may take to say whether a model sees images.
const ASKING: Duration = Duration::from_secs(5);

/// One endpoint, and what is known of its models.
pub struct LiveModel(Arc<Parts>);

struct Parts {
    http: Http,
    /// With the key as it was last handed out.
    endpoint: Mutex<Endpoint>,
    api: Api,
    base_url: String,
    origin: String,
    host: String,
    limits: Arc<Limits>,
    lessons: Mutex<Lessons>,
}

impl LiveModel {
    #[must_use]
    pub fn new(http: Http, endpoint: Endpoint, limits: Arc<Limits>) -> Self {
        let fresh =
            Quirks { origin: endpoint.origin(), vision: endpoint.vision.unwrap_or_default(), ..Quirks::default() };
        Self(Arc::new(Parts {
            http,
            api: endpoint.api,
            base_url: endpoint.address(),
            origin: endpoint.origin(),
            host: endpoint.host(),
            lessons: Mutex::new(Lessons::new(fresh, endpoint.vision)),
            endpoint: Mutex::new(endpoint),
            limits,
        }))
    }

    fn read(&self, request: Request, attempt: u32, http: Http) -> Events<ModelEvent> {
        let parts = Arc::clone(&self.0);
        async move {
            let unsure = parts.lessons().vision(&request.model).is_none();
            if unsure && wire::in_results(&request.messages) {
                parts.ask_vision(&request.model).await;
            }
            let reading = parts.send(&http, request, attempt);
            futures_util::stream::unfold(Some(reading), |reading| async move {
                let mut reading = reading?;
                if let Some(failure) = reading.broken.take() {
                    // Nothing that may still come of it counts.
                    return Some((reading.failed(failure).await, None));
                }
                let event = reading.response.next().await?;
                let event = reading.event(event).await;
                Some((event, Some(reading)))
            })
        }
        .flatten_stream()
        .boxed()
    }
}

impl Model for LiveModel {
    fn respond(&self, request: Request, attempt: u32) -> Events<ModelEvent> {
        self.read(request, attempt, self.0.http.clone())
    }

    fn respond_aside(&self, request: Request, attempt: u32) -> Events<ModelEvent> {
        self.read(request, attempt, self.0.http.unheard())
    }

    fn offered(&self, model: &str, tools: Arc<ToolList>) -> Arc<ToolList> {
        self.0.lessons().offered(model, tools)
    }

    fn recall(&self, lessons: &[Lesson]) {
        let mut known = self.0.lessons();
        for lesson in lessons.iter().filter(|lesson| lesson.base_url == self.0.base_url) {
            known.recall(&lesson.model, &lesson.key, &lesson.value);
        }
    }

    fn base_url(&self) -> String {
        self.0.base_url.clone()
    }

    fn origin(&self) -> String {
        self.0.origin.clone()
    }

    fn api(&self) -> Api {
        self.0.api
    }
}

impl Parts {
    fn lessons(&self) -> MutexGuard<'_, Lessons> {
        self.lessons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn endpoint(&self) -> Endpoint {
        self.endpoint.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn send(self: &Arc<Self>, http: &Http, request: Request, attempt: u32) -> Reading {
        let endpoint = self.endpoint();
        let quirks = self.lessons().quirks(&request.model);
        let body = Bytes::from(wire::encode(self.api, &request, &quirks));
        let response = net::respond(http, &endpoint, body.clone(), Arc::clone(&self.limits));
        Reading {
            response,
            attempt,
            parts: Arc::clone(self),
            key: endpoint.key,
            model: request.model,
            tools: request.tools,
            quirks,
            body,
            broken: None,
        }
    }

    /// Images wait to be shown, and nobody has said whether the model sees: the endpoint's list may.
    async fn ask_vision(&self, model: &str) {
        let endpoint = self.endpoint();
        let list = tokio::time::timeout(ASKING, net::models(&self.http, &endpoint)).await;
        let listed = match &list {
            Ok(Ok(list)) => list.iter().find(|listed| listed.id == model),
            Ok(Err(_)) | Err(_) => None,
        };
        let sees = listed.and_then(|listed| listed.vision).unwrap_or_default();
        self.lessons().set_vision(model, sees);
    }
}

struct Reading {
    response: net::Response,
    attempt: u32,
    parts: Arc<Parts>,
    /// What was sent, until its answer begins.
    key: Option<Secret>,
    model: String,
    tools: Option<Arc<ToolList>>,
    quirks: Quirks,
    body: Bytes,
    /// An error stood in the stream.
    broken: Option<Failure>,
}

impl Reading {
    async fn event(&mut self, event: net::Event) -> ModelEvent {
        match event {
            net::Event::FirstByte { at: _ } => {
                self.body = Bytes::new();
                ModelEvent::FirstByte
            }
            net::Event::Slow { waited } => ModelEvent::Slow(waited),
            net::Event::Deltas { at: _, mut event } => {
                let error = event.deltas.iter().find_map(|delta| match delta {
                    Delta::Error(error) if error.kind == WireErrorKind::Provider => Some(error),
                    _ => None,
                });
                if let Some(error) = error {
                    self.broken = Some(Failure::in_stream(&self.parts.endpoint(), error));
                    // The failure ends it, in words that say what it is about.
                    event.deltas.retain(|delta| *delta != Delta::Done);
                }
                ModelEvent::Deltas(event)
            }
            net::Event::Ended { at: _ } => ModelEvent::Ended,
            net::Event::Failed(failure) => self.failed(*failure).await,
        }
    }

    async fn failed(&self, failure: Failure) -> ModelEvent {
        let adapted = match failure.data {
            true => None,
            false => match self.renewed(&failure).await {
                Some(adapted) => Some(adapted),
                None => self.learnt(&failure),
            },
        };
        if let Some(adapted) = adapted {
            return ModelEvent::Adapted(Box::new(adapted));
        }
        let limits = &self.parts.limits;
        let retry_in = net::retry(&failure, self.attempt, limits, random());
        ModelEvent::Failed { fault: failure.with_longest_wait(limits.retry_after).fault, retry_in }
    }

    /// A key that a program hands out may have run out (Entra): it is asked again, and the request goes again where
    /// that gives another key.
    async fn renewed(&self, failure: &Failure) -> Option<Adapted> {
        let source = match failure.status {
            Some(401) => self.parts.endpoint().renew?,
            Some(_) | None => return None,
        };
        let key = source.read(&Default::default(), &SavedKeys::default()).await.ok()?;
        if self.key.as_ref().is_some_and(|old| old.expose() == key.expose()) {
            return None;
        }
        self.parts.endpoint.lock().unwrap_or_else(PoisonError::into_inner).key = Some(key);
        let message = format!("{} took the key no longer; {} gave another.", self.parts.host, source.describe());
        Some(Adapted { fault: failure.fault.clone(), message, learnt: None, tools: None })
    }

    /// Where the endpoint refused one part of the request, the request goes again without it.
    fn learnt(&self, failure: &Failure) -> Option<Adapted> {
        let reply = failure.reply.as_ref()?;
        let offered = self.tools.as_deref().map(tools::offered).unwrap_or_default();
        let names: Vec<String> = offered.into_iter().map(|(name, _)| name).collect();
        let sent = Sent { quirks: &self.quirks, body: &self.body, tools: &names };
        let mut lessons = self.parts.lessons();
        let who = format!("{} at {}", self.model, self.parts.host);
        let quirk = reply.quirk(&sent, &|quirk| lessons.tried(&self.model, quirk));
        // An error about one tool's schema may use the words of any parameter.
        let schema = reply.names_schema() && quirk != Some(wire::Quirk::NoStrict);
        if let Some(place) = reply.tool(&sent).filter(|_| schema || quirk.is_none())
            && let (Some(list), Some(name)) = (&self.tools, names.get(place))
            && let Some((level, hash, tools)) = lessons.raise(&self.model, list, place)
        {
            let message = format!(
                "{who} does not take the schema of {name}; a plainer one is offered from now on (level {level} of {}). \
                 Arguments are still held to the tool's own.",
                tools::HIGHEST_LEVEL
            );
            let learnt = Some((format!("schema {hash}"), level.to_string()));
            return Some(Adapted { fault: failure.fault.clone(), message, learnt, tools: Some(tools) });
        }
        let quirk = quirk?;
        if !lessons.learn(&self.model, quirk) {
            return None;
        }
        let (key, value) = quirk.entry();
        Some(Adapted {
            fault: failure.fault.clone(),
            message: format!("{who} {}.", quirk.told()),
            learnt: Some((key.to_owned(), value.to_owned())),
            tools: None,
        })
    }
}

/// A number from 0 to 1 that differs between processes: retries of many clients must not meet.
fn random() -> f64 {
    let bits = uuid::Uuid::new_v4().as_u128() as u32;
    f64::from(bits) / f64::from(u32::MAX)
}
