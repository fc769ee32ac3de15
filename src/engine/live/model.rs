//! The model behind an endpoint: requests encoded, responses read, what the endpoint refuses left out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;

use crate::chat::{Limits, Request};
use crate::engine::port::{Events, Model, ModelEvent};
use crate::net::{self, Endpoint, Failure, Http};
use crate::wire::{self, ErrorClass, Quirks};

/// One endpoint. What it refuses is learnt per model, for as long as the process lives.
pub struct LiveModel {
    http: Http,
    endpoint: Endpoint,
    limits: Arc<Limits>,
    quirks: Arc<Mutex<HashMap<String, Quirks>>>,
}

impl LiveModel {
    #[must_use]
    pub fn new(http: Http, endpoint: Endpoint, limits: Arc<Limits>) -> Self {
        Self { http, endpoint, limits, quirks: Arc::default() }
    }
}

impl Model for LiveModel {
    fn respond(&self, request: Request, attempt: u32) -> Events<ModelEvent> {
        let fresh = || Quirks { origin: self.endpoint.origin(), ..Quirks::default() };
        let quirks = {
            let mut known = self.quirks.lock().unwrap_or_else(PoisonError::into_inner);
            known.entry(request.model.clone()).or_insert_with(fresh).clone()
        };
        let body = wire::encode(self.endpoint.api, &request, &quirks);
        let response = net::respond(&self.http, &self.endpoint, body, Arc::clone(&self.limits));
        let reading = Reading {
            response,
            attempt,
            attempts: self.limits.attempts,
            model: request.model,
            sent: quirks,
            learnt: Arc::clone(&self.quirks),
        };
        futures_util::stream::unfold(reading, |mut reading| async move {
            let event = reading.response.next().await?;
            let event = reading.event(event);
            Some((event, reading))
        })
        .boxed()
    }

    fn base_url(&self) -> String {
        self.endpoint.base_url.as_str().trim_end_matches('/').to_owned()
    }

    fn origin(&self) -> String {
        self.endpoint.origin()
    }
}

struct Reading {
    response: net::Response,
    attempt: u32,
    attempts: u32,
    model: String,
    sent: Quirks,
    learnt: Arc<Mutex<HashMap<String, Quirks>>>,
}

impl Reading {
    fn event(&self, event: net::Event) -> ModelEvent {
        match event {
            net::Event::FirstByte { at: _ } => ModelEvent::FirstByte,
            net::Event::Slow { waited } => ModelEvent::Slow(waited),
            net::Event::Deltas { at: _, event } => ModelEvent::Deltas(event),
            net::Event::Ended { at: _ } => ModelEvent::Ended,
            net::Event::Failed(failure) => {
                let retry_in =
                    self.without(&failure).or_else(|| net::retry(&failure, self.attempt, self.attempts, random()));
                ModelEvent::Failed { fault: failure.fault, retry_in }
            }
        }
    }

    /// Where the endpoint refused one parameter by name, the request goes again at once without it.
    fn without(&self, failure: &Failure) -> Option<Duration> {
        let ErrorClass::Unsupported(parameter) = &failure.reply.as_ref()?.class else { return None };
        let mut quirks = self.sent.clone();
        match parameter.as_str() {
            "stream_options" | "stream_options.include_usage" => quirks.include_usage = false,
            "max_tokens" => quirks.max_completion_tokens = true,
            "max_completion_tokens" => quirks.max_completion_tokens = false,
            "temperature" => quirks.drop_temperature = true,
            "reasoning_effort" => quirks.drop_reasoning_effort = true,
            "tool_choice" => quirks.drop_tool_choice = true,
            "response_format" => quirks.drop_response_format = true,
            _ => return None,
        }
        // Each is tried once: what was left out already cannot be the reason.
        if quirks == self.sent || self.attempt >= self.attempts {
            return None;
        }
        let mut learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        learnt.insert(self.model.clone(), quirks);
        Some(Duration::ZERO)
    }
}

/// A number from 0 to 1 that differs between processes: retries of many clients must not meet.
fn random() -> f64 {
    let bits = uuid::Uuid::new_v4().as_u128() as u32;
    f64::from(bits) / f64::from(u32::MAX)
}
