//! The endpoints of the profiles: what is needed to ask each of them, with the key that belongs to it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::chat::{Api, Dispatch, Prices, Sampling};

use super::resolve::{Flags, Given, Resolved, resolve};
use super::{Auth, Endpoint, KeySource, Secret};

/// One endpoint as a profile, or the command line, names it.
#[derive(Clone, Debug)]
pub struct Provider {
    /// None: no profile names it.
    pub profile: Option<String>,
    pub endpoint: Endpoint,
    pub key: Option<KeySource>,
    /// Why no key is sent to an endpoint that will likely want one.
    pub key_missing: Option<String>,
    pub headers: BTreeMap<String, Secret>,
    pub api: Api,
    pub auth: Auth,
    pub vision: Option<bool>,
    pub proxy: Option<String>,
    pub ca_file: Option<PathBuf>,
    pub prices: Option<Prices>,
    /// The model that the prices are of; None: of all.
    pub priced_model: Option<String>,
    pub model: Option<String>,
    pub system: Option<String>,
    pub sampling: Sampling,
    pub dispatch: Dispatch,
}

impl Provider {
    /// How lists name it: its profile, else its host.
    #[must_use]
    pub fn name(&self) -> &str {
        self.profile.as_deref().unwrap_or(&self.endpoint.host)
    }

    /// What the profile says that a model of it costs.
    #[must_use]
    pub fn prices_of(&self, model: &str) -> Option<Prices> {
        self.prices.filter(|_| self.priced_model.as_deref().is_none_or(|own| own == model))
    }
}

impl Resolved {
    /// The endpoint of this run.
    #[must_use]
    pub fn provider(&self) -> Provider {
        Provider {
            profile: self.profile.clone(),
            endpoint: self.endpoint.clone(),
            key: self.key.clone(),
            key_missing: self.key_missing.clone(),
            headers: self.headers.clone(),
            api: self.api,
            auth: self.auth,
            vision: self.vision,
            proxy: self.proxy.clone(),
            ca_file: self.ca_file.clone(),
            prices: self.prices,
            priced_model: self.priced_model.clone(),
            model: self.model.clone(),
            system: self.system.clone(),
            sampling: self.sampling.clone(),
            dispatch: self.dispatch,
        }
    }
}

/// The endpoint of every profile, by name. Options of the command line hold for each but those that name an endpoint
/// or a model; a profile that cannot be used is left out.
#[must_use]
pub fn providers(given: &Given<'_>) -> Vec<Provider> {
    let each = |name: &String| {
        let flags = Flags {
            profile: Some(name.clone()),
            base_url: None,
            model: None,
            no_mcp: true,
            trust: Vec::new(),
            ..given.flags.clone()
        };
        resolve(&Given { flags: &flags, external: &[], ..*given }).ok().map(|resolved| resolved.provider())
    };
    given.config.profiles.keys().filter_map(each).collect()
}
