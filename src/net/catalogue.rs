//! Lists of models, kept in the cache folder: a picker opens with what was known, and asks behind it.
//!
//! # Invariants
//! - A file that cannot be read, or is of another version, is no list: it is asked for.
//! - No key, and nothing of one, stands in a file or in its name.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::models::{ModelInfo, models};
use super::{Endpoint, Http, native};
use crate::chat::{Fault, FaultKind, Retry, UnixMs, duration_text};
use crate::config::{Paths, write_private};

const VERSION: u32 = 1;
/// Larger files are not read, bytes.
const LARGEST: u64 = 16 << 20;
/// How long one endpoint may take, its own addresses beside the list included.
const LONGEST: Duration = Duration::from_secs(20);

/// What an endpoint offered, and when.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    version: u32,
    pub base_url: String,
    pub at: UnixMs,
    pub took_ms: u64,
    pub models: Vec<ModelInfo>,
}

/// Where lists are kept; without a folder nothing is.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    folder: Option<PathBuf>,
}

impl Catalogue {
    #[must_use]
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder }
    }

    fn file(&self, base_url: &str) -> Option<PathBuf> {
        let hash = Sha256::digest(base_url.trim_end_matches('/'));
        let name = hash.iter().take(12).fold(String::new(), |name, byte| format!("{name}{byte:02x}"));
        Some(self.folder.as_ref()?.join(format!("{name}.json")))
    }

    /// The list that is kept; blocks for the reading of one file.
    #[must_use]
    pub fn kept(&self, base_url: &str) -> Option<Listed> {
        let path = self.file(base_url)?;
        if std::fs::metadata(&path).ok()?.len() > LARGEST {
            return None;
        }
        let listed: Listed = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        (listed.version == VERSION && listed.base_url == base_url.trim_end_matches('/')).then_some(listed)
    }

    /// Asks an endpoint, and keeps what it says. `anew`: also what was asked before of models that have not changed.
    ///
    /// # Errors
    /// As [`models`] fails; `Network` where it took too long.
    pub async fn ask(&self, http: &Http, endpoint: &Endpoint, anew: bool) -> Result<Listed, Fault> {
        let base_url = endpoint.address();
        // Building the client is no time of the endpoint's.
        http.ready().await?;
        let began = Instant::now();
        let asking = async {
            let mut found = models(http, endpoint).await?;
            let took = began.elapsed();
            let kept = if anew { None } else { self.read(&base_url).await };
            let known = kept.map(|listed| listed.models).unwrap_or_default();
            native::fill(http, endpoint, &mut found, &known).await;
            Ok((found, took))
        };
        let (models, took) = tokio::time::timeout(LONGEST, asking).await.map_err(|_| {
            Fault::new(
                FaultKind::Network,
                format!("{} did not list its models within {}.", endpoint.host(), duration_text(LONGEST)),
            )
            .hint("Name a model with -m.")
            .retry(Retry::Later(None))
        })??;
        let listed = Listed {
            version: VERSION,
            base_url,
            at: jiff::Timestamp::now().as_millisecond(),
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            models,
        };
        self.keep(listed.clone()).await;
        Ok(listed)
    }

    async fn read(&self, base_url: &str) -> Option<Listed> {
        let (catalogue, base_url) = (self.clone(), base_url.to_owned());
        tokio::task::spawn_blocking(move || catalogue.kept(&base_url)).await.ok().flatten()
    }

    /// What cannot be kept is asked for again next time.
    async fn keep(&self, listed: Listed) {
        let (Some(folder), Some(path)) = (self.folder.clone(), self.file(&listed.base_url)) else { return };
        let _ = tokio::task::spawn_blocking(move || {
            Paths::make(&folder)?;
            write_private(&path, &serde_json::to_string(&listed)?)
        })
        .await;
    }
}
