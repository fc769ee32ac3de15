//! From what a profile says to an endpoint that can be asked: its key is fetched here.

use std::collections::BTreeMap;

use super::Endpoint;
use crate::chat::{Fault, FaultKind, Retry};
use crate::config::{KeySource, Provider, SavedKeys};

impl Endpoint {
    /// The endpoint of a profile, with its key. An `api_key_command` is run.
    ///
    /// # Errors
    /// `Config` for an address that cannot be used, `Auth` where the key cannot be had.
    pub async fn of(provider: &Provider, env: &BTreeMap<String, String>, saved: &SavedKeys) -> Result<Self, Fault> {
        let mut endpoint = Self::new(&provider.endpoint.base_url, provider.api)?;
        if let Some(source) = &provider.key {
            let key = source.read(env, saved).await.map_err(|error| {
                Fault::new(FaultKind::Auth, format!("There is no key for {}: {error}.", endpoint.host()))
                    .hint("Set it, or name another endpoint with --base-url or -p.")
                    .retry(Retry::AfterChange)
            })?;
            endpoint = endpoint.key(key, source.describe());
            if let KeySource::Command(_) = source {
                endpoint.renew = Some(source.clone());
            }
        }
        endpoint.auth = provider.auth;
        endpoint.vision = provider.vision;
        for (name, value) in &provider.headers {
            endpoint = endpoint.header(name, value.clone())?;
        }
        Ok(endpoint)
    }
}
