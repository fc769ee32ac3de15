//! The token of one server while it is used: fetched, renewed before its end and once after a refusal, and never sent
//! anywhere else.
//!
//! # Invariants
//! - A refresh token is spent by one process at a time, and by one task of it.
//! - After a definite refusal the tokens are forgotten, the registration is kept; after `invalid_client` both go.
//! - Nobody is asked anything here: without a token requests go without one, and the server's refusal says the rest.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use url::Url;

use crate::chat::{ClientKind, KeptIn, SignedIn};
use crate::config::{Secret, ServerEntry};
use crate::mcp::http::{Authorise, Refusal};

use super::address::Reach;
use super::challenge::Challenge;
use super::client::secret;
use super::error::{FetchError, SignInError};
use super::fetch::Fetcher;
use super::grant::Grant;
use super::store::{Kept, Store};
use super::token;

/// The access to one server entry. Shared by all of its connections.
pub(crate) struct Access {
    entry: Arc<ServerEntry>,
    server: Url,
    store: Store,
    state: Mutex<State>,
    /// Held by who loads or renews.
    busy: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    loaded: bool,
    kept: Option<Kept>,
    /// How often the token was handed out since it was renewed.
    used: Option<u32>,
    challenge: Option<Challenge>,
    /// What the server wanted beyond what was granted.
    wants: Vec<String>,
    /// What a person should know, once.
    remark: Option<String>,
}

impl Access {
    /// None where there is nothing to sign in to: another transport, or a token of the configuration.
    pub(super) fn of(entry: Arc<ServerEntry>, store: Store) -> Option<Self> {
        let server = signed_in_by_person(&entry).ok()?;
        Some(Self { entry, server, store, state: Mutex::default(), busy: tokio::sync::Mutex::default() })
    }

    /// The token for a request to the server, renewed where it is about to end. None: go without.
    async fn usable(&self) -> Option<Secret> {
        self.load().await;
        let (token, soon) = {
            let state = self.held();
            let grant = &state.kept.as_ref()?.grant;
            (grant.access.clone()?, grant.ends_soon(now_s()) && grant.refresh.is_some())
        };
        if let Some(used) = &mut self.held().used {
            *used = used.saturating_add(1);
        }
        if soon {
            // Where that fails, the old one is tried: clocks differ.
            self.renew(&token).await;
            return self.current();
        }
        Some(token)
    }

    /// The server refused `sent`. Renews it, unless that was just done; whether there is another token now.
    async fn refused(&self, sent: Option<&Secret>) -> bool {
        let Some(sent) = sent else { return false };
        if self.current().is_some_and(|now| now == *sent) {
            // One that is refused at its first use is not renewed again: the server wants something else.
            if self.held().used.is_some_and(|used| used <= 1) {
                return false;
            }
            self.renew(sent).await;
        }
        self.current().is_some_and(|now| now != *sent)
    }

    pub(crate) fn signed_in(&self) -> Option<SignedIn> {
        let state = self.held();
        let kept = state.kept.as_ref()?;
        kept.grant.signed_in(kept.kept, state.wants.clone())
    }

    /// What a person should know and was not told yet: raw.
    pub(crate) fn remark(&self) -> Option<String> {
        self.held().remark.take()
    }

    /// The last challenge, for a sign-in to begin with.
    pub(super) fn challenge(&self) -> Option<Challenge> {
        self.held().challenge.clone()
    }

    /// What a person has just signed in to, or out of.
    pub(super) fn set(&self, kept: Option<Kept>) {
        let mut state = self.held();
        state.loaded = true;
        state.kept = kept;
        state.wants.clear();
        state.challenge = None;
        state.used = None;
    }

    async fn load(&self) {
        if self.held().loaded {
            return;
        }
        let _busy = self.busy.lock().await;
        if self.held().loaded {
            return;
        }
        let loaded = self.read().await;
        let mut state = self.held();
        state.loaded = true;
        match loaded {
            Ok(kept) => state.kept = kept,
            Err(why) => state.remark = Some(format!("its sign-in cannot be used: {why}")),
        }
    }

    async fn read(&self) -> Result<Option<Kept>, String> {
        let (store, entry) = (self.store.clone(), self.entry.entry_hash.clone());
        let origin = self.server.origin().ascii_serialization();
        let kept = blocking(move || store.load(&entry)).await?;
        // A token is for the origin that it was given for.
        Ok(kept.filter(|kept| kept.grant.origin == origin))
    }

    /// Exchanges the refresh token, unless somebody else did meanwhile.
    async fn renew(&self, stale: &Secret) {
        let _busy = self.busy.lock().await;
        if self.current().as_ref() != Some(stale) {
            return;
        }
        if let Err(why) = self.renew_locked(stale).await {
            self.held().remark = Some(why);
        }
    }

    async fn renew_locked(&self, stale: &Secret) -> Result<(), String> {
        let (store, entry) = (self.store.clone(), self.entry.entry_hash.clone());
        let _lock = blocking(move || store.lock(&entry)).await?;
        // Another process may have renewed it, or signed out.
        let Some(kept) = self.read().await? else {
            self.held().kept = None;
            return Ok(());
        };
        let mut grant = kept.grant.clone();
        if grant.access.as_ref() != Some(stale) {
            self.took(kept);
            return Ok(());
        }
        let Some(refresh) = grant.refresh.clone() else { return Ok(()) };
        let granted = grant.scopes.clone();
        match self.exchange(&grant, &refresh).await {
            Ok(tokens) => grant.take(tokens, &granted, now_s()),
            Err(SignInError::NotExchanged(error)) if error.code == "invalid_grant" || error.is_unknown_client() => {
                grant.clear();
                if error.is_unknown_client() && grant.client.kind == ClientKind::Registered {
                    let (store, entry) = (self.store.clone(), grant.entry.clone());
                    blocking(move || store.remove(&entry)).await?;
                    self.held().kept = None;
                    return Err(format!("{} no longer knows millrace", grant.issuer));
                }
                let kept = self.keep(grant).await?;
                self.held().kept = Some(kept);
                return Err(format!("its sign-in has ended: {error}"));
            }
            Err(error) => return Err(format!("its token could not be renewed: {error}")),
        }
        let kept = self.keep(grant).await?;
        self.took(kept);
        Ok(())
    }

    fn took(&self, kept: Kept) {
        let mut state = self.held();
        state.kept = Some(kept);
        state.used = Some(0);
    }

    async fn exchange(&self, grant: &Grant, refresh: &Secret) -> Result<token::Tokens, SignInError> {
        let mut client = grant.client.clone();
        if client.kind == ClientKind::Configured {
            client.secret = secret(&self.entry.sign_in).await?;
        }
        let fetcher = fetcher(&self.server).await?;
        token::refresh(&fetcher, &grant.token, &client, refresh, &grant.resource).await
    }

    /// A refreshed token is worth nothing if it is lost: it is used even where it cannot be kept.
    async fn keep(&self, grant: Grant) -> Result<Kept, String> {
        let (store, kept) = (self.store.clone(), grant.clone());
        match blocking(move || store.save(&kept)).await {
            Ok((kept, why)) => {
                if let Some(why) = why {
                    self.held().remark = Some(fallback(&why));
                }
                Ok(Kept { grant, kept })
            }
            Err(why) => {
                self.held().remark = Some(format!("its new token could not be kept: {why}"));
                Ok(Kept { grant, kept: KeptIn::File })
            }
        }
    }

    fn current(&self) -> Option<Secret> {
        self.held().kept.as_ref()?.grant.access.clone()
    }

    fn held(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Authorise for Access {
    fn token(&self) -> BoxFuture<'_, Option<Secret>> {
        Box::pin(self.usable())
    }

    fn turned_away<'a>(&'a self, refusal: &'a Refusal) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let challenge = Challenge::parse(refusal.challenge.as_deref().unwrap_or_default());
            let more = challenge.wants_more();
            {
                let mut state = self.held();
                state.wants = if more { challenge.scopes.clone() } else { Vec::new() };
                state.challenge = Some(challenge);
            }
            // More is a person's decision, and a 403 without a reason is not about the token's age.
            refusal.status == 401 && !more && self.refused(refusal.token.as_ref()).await
        })
    }
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Access({})", self.entry.name.as_str())
    }
}

/// The address that a person can sign in to.
pub(super) fn signed_in_by_person(entry: &ServerEntry) -> Result<Url, SignInError> {
    let (url, headers) = match &entry.transport {
        crate::config::Transport::Http { url, headers } | crate::config::Transport::Sse { url, headers } => {
            (url, headers)
        }
        // The bare dialect knows no sign-in, and a program gets its secrets from its environment.
        crate::config::Transport::SimpleRpc { .. } | crate::config::Transport::Stdio { .. } => {
            return Err(SignInError::NotHttp);
        }
    };
    if headers.keys().any(|name| name.eq_ignore_ascii_case("authorization")) {
        return Err(SignInError::OwnHeader);
    }
    Url::parse(url).map_err(|_| SignInError::NotHttp)
}

pub(super) async fn fetcher(server: &Url) -> Result<Fetcher, SignInError> {
    let reach = Reach::of(server).await;
    // Reading root certificates takes some 30 ms.
    let made = tokio::task::spawn_blocking(move || Fetcher::new(reach)).await;
    made.unwrap_or_else(|error| Err(FetchError::Unreachable(error.to_string())))
        .map_err(|error| SignInError::Fetch { what: "its host".to_owned(), error })
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(error.to_string()))
}

pub(super) fn fallback(why: &str) -> String {
    format!("the system's keyring cannot be used ({why}): its token is in a file that only you can read")
}

pub(super) fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
