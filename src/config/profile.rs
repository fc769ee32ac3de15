//! A `[profiles.NAME]`: an endpoint, its key, and what is asked of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::chat::{Api, Dispatch, FindTools, Prices};

use super::Secret;

/// Every field is None where the file does not name it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    pub base_url: Option<String>,
    pub key: Option<KeySource>,
    pub model: Option<String>,
    pub api: Option<Api>,
    /// Sent with every request to `base_url`, and to nothing else.
    pub headers: BTreeMap<String, Secret>,
    pub temperature: Option<f64>,
    pub max_output_tokens: Option<u64>,
    pub reasoning_effort: Option<String>,
    pub params: Vec<(String, Value)>,
    pub system: Option<String>,
    pub role: Option<String>,
    pub dispatch: Option<Dispatch>,
    pub auth: Option<Auth>,
    /// The model sees images; None: as `/models` says.
    pub vision: Option<bool>,
    /// Tokens that fit the model's context.
    pub context: Option<u64>,
    /// For everything but loopback, before the environment's.
    pub proxy: Option<String>,
    /// PEM certificates that are trusted beside the platform's.
    pub ca_file: Option<PathBuf>,
    pub prices: Option<Prices>,
    /// Globs `server/tool` of what is offered; None: everything.
    pub tools: Option<Vec<String>>,
    pub find_tools: Option<FindTools>,
}

/// How a key is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer KEY`
    #[default]
    Bearer,
    /// `api-key: KEY` (Azure).
    ApiKey,
}

/// Where a key comes from. Asking for it may fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The value of an environment variable.
    Env(String),
    /// The first line that a program prints; no shell, 10 s, its output never shown.
    Command(Vec<String>),
    /// Written in the configuration file; accepted with a warning.
    Literal(Secret),
    /// Pasted earlier and kept in `secrets.toml` under this origin.
    Saved(String),
}
