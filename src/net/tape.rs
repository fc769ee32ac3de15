//! What is told of one response to whoever listens ([`Wiretap`]).

use std::sync::Arc;

use http::HeaderMap;
use http::header::{CONTENT_TYPE, LOCATION};

use crate::chat::{Heard, ResponseOver, Wiretap};

use super::Endpoint;
use super::failure::{Failure, header, retry_after};

/// One response's place in what is heard. Without a listener it costs nothing.
#[derive(Debug)]
pub(super) struct Tape {
    tap: Option<Arc<dyn Wiretap>>,
    response: u64,
    over: bool,
}

impl Tape {
    pub(super) fn new(tap: Option<Arc<dyn Wiretap>>, response: u64) -> Self {
        Self { tap, response, over: false }
    }

    fn tell(&self, heard: impl FnOnce(u64) -> Heard) {
        if let Some(tap) = &self.tap {
            tap.heard(heard(self.response));
        }
    }

    pub(super) fn request(&self, endpoint: &Endpoint, body: &[u8]) {
        self.tell(|response| Heard::Request {
            response,
            base_url: endpoint.address(),
            api: endpoint.api,
            body: body.to_vec(),
        });
    }

    pub(super) fn head(&self, status: u16, headers: &HeaderMap) {
        self.tell(|response| Heard::Head { response, status, headers: kept(headers) });
    }

    pub(super) fn chunk(&self, bytes: &[u8]) {
        self.tell(|response| Heard::Chunk { response, bytes: bytes.to_vec() });
    }

    /// The first word on the end counts.
    pub(super) fn over(&mut self, how: impl FnOnce() -> ResponseOver) {
        if !std::mem::replace(&mut self.over, true) {
            self.tell(|response| Heard::ResponseOver { response, how: how() });
        }
    }

    pub(super) fn failed(&mut self, failure: &Failure) {
        self.over(|| ResponseOver::Failed { fault: failure.fault.clone(), again: failure.again });
    }
}

/// The headers that decide what is made of a response; a date is told as the time from now, an address without its
/// query.
fn kept(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut kept = Vec::new();
    for name in [CONTENT_TYPE.as_str(), "x-should-retry"] {
        kept.extend(header(headers, name).map(|value| (name.to_owned(), value.to_owned())));
    }
    if let Some(location) = header(headers, LOCATION.as_str()) {
        let path = location.split(['?', '#']).next().unwrap_or_default();
        kept.push((LOCATION.as_str().to_owned(), path.to_owned()));
    }
    kept.extend(retry_after(headers).map(|wait| ("retry-after-ms".to_owned(), wait.as_millis().to_string())));
    kept
}
