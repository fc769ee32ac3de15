//! A sign-in from its beginning to its token, with a person in the middle.
//!
//! # Invariants
//! - Nothing is opened here: the page is offered, and a person opens it.
//! - The answer comes by the browser on this machine or by hand, and is judged the same either way.
//! - A registration is kept as soon as it is made; tokens as soon as they come.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use tokio::sync::mpsc;
use url::Url;

use crate::chat::{KeptIn, Pasted, SignInOffer, SignedIn};
use crate::config::ServerEntry;

use super::access::{Access, blocking, fallback, fetcher, now_s, signed_in_by_person};
use super::address::Reach;
use super::callback::Callback;
use super::challenge::Challenge;
use super::client::{self, Client, Way, secret};
use super::discovery::{Wishes, discover};
use super::error::SignInError;
use super::fetch::Fetcher;
use super::flow::{self, Code, Flow, Plan};
use super::grant::Grant;
use super::keyring::Keyring;
use super::metadata::Issuer;
use super::store::{Kept, Store};
use super::token;

/// The sign-ins of this user: where they are kept.
#[derive(Clone, Debug)]
pub struct SignIns {
    store: Store,
    patience: Duration,
}

/// A sign-in that waits for its answer.
pub struct SignIn {
    offer: Arc<SignInOffer>,
    flow: Flow,
    callback: Callback,
    fetcher: Fetcher,
    grant: Grant,
    store: Store,
    patience: Duration,
}

/// An answer that counts.
#[derive(Debug)]
pub struct Answered(Code);

/// A sign-in that came about.
#[derive(Debug)]
pub struct Redeemed {
    pub signed_in: SignedIn,
    /// What a person should know about it.
    pub remark: Option<String>,
    kept: Kept,
}

impl SignIns {
    /// `folder` is this program's alone. A sign-in waits for its answer no longer than `patience`.
    #[must_use]
    pub fn new(folder: PathBuf, keyring: Keyring, patience: Duration) -> Self {
        Self { store: Store::new(folder, keyring), patience }
    }

    /// What holds for a server. Blocks.
    ///
    /// # Errors
    /// In words for a person, where it is there and cannot be read.
    pub fn state(&self, entry: &ServerEntry) -> Result<Option<SignedIn>, String> {
        self.store.look(&entry.entry_hash)
    }

    pub(crate) fn access(&self, entry: Arc<ServerEntry>) -> Option<Access> {
        Access::of(entry, self.store.clone())
    }

    /// Asks the server and its issuer how, and prepares the page for a person to open.
    ///
    /// # Errors
    /// Where there is no way, or none that is safe.
    pub async fn begin(&self, entry: &ServerEntry) -> Result<SignIn, SignInError> {
        self.begin_after(entry, None).await
    }

    pub(crate) async fn begin_for(&self, entry: &ServerEntry, access: &Access) -> Result<SignIn, SignInError> {
        self.begin_after(entry, access.challenge()).await
    }

    async fn begin_after(&self, entry: &ServerEntry, known: Option<Challenge>) -> Result<SignIn, SignInError> {
        let server = signed_in_by_person(entry)?;
        let fetcher = fetcher(&server).await?;
        let challenge = match known {
            Some(challenge) => challenge,
            None => probe(&fetcher, entry, &server).await?,
        };
        let (store, hash) = (self.store.clone(), entry.entry_hash.clone());
        // What cannot be read is replaced.
        let before = blocking(move || store.load(&hash)).await.ok().flatten().map(|kept| kept.grant);
        let settings = &entry.sign_in;
        let wishes = Wishes {
            issuer: settings.issuer.as_deref(),
            before: before.as_ref().map(|grant| grant.issuer.as_str()),
            assume_pkce: settings.assume_pkce,
        };
        let found = discover(&fetcher, &server, &challenge, wishes).await?;
        check_endpoints(&server, &found.issuer).await?;
        let instead_of = before.as_ref().map(|grant| grant.issuer.clone()).filter(|name| *name != found.issuer.name);
        // Nothing of another issuer is used with this one.
        let before = before.filter(|grant| grant.issuer == found.issuer.name);
        let granted = match (&before, challenge.wants_more()) {
            (Some(grant), true) => grant.scopes.clone(),
            _ => Vec::new(),
        };
        let wants = &challenge.scopes;
        if challenge.wants_more() && !wants.is_empty() && wants.iter().all(|scope| granted.contains(scope)) {
            return Err(SignInError::AlreadyGiven(wants.join(" ")));
        }
        let written = settings.scopes.as_deref();
        let scopes = flow::scopes(written, &challenge.scopes, &found.scopes, &granted, &found.issuer);
        let known_client = before.map(|grant| grant.client);
        let port = settings.port.or_else(|| known_client.as_ref().and_then(|client| client.port));
        let callback = Callback::bind(port, settings.port.is_some()).await.map_err(SignInError::Listen)?;
        let (issuer, redirect) = (&found.issuer, callback.redirect());
        let way = client::way(settings, issuer, known_client, now_s());
        let registers = way == Way::Register;
        let client = match way {
            Way::Configured => client::configured(settings, issuer).await?,
            Way::Document(address) => Some(client::document(address)),
            Way::Known(client) => Some(*client),
            Way::Register => Some(client::register(&fetcher, issuer, &redirect, callback.port(), &scopes).await?),
            Way::Nobody => None,
        };
        let client: Client =
            client.ok_or_else(|| SignInError::NoClient { issuer: issuer.name.clone(), redirect: redirect.clone() })?;
        let plan = Plan { issuer: found.issuer, client, resource: found.resource, scopes, redirect };
        let grant = Grant::of_client(&plan, entry, &server);
        if registers {
            let (store, grant) = (self.store.clone(), grant.clone());
            blocking(move || store.save(&grant)).await.map_err(SignInError::Store)?;
        }
        let mut random = [0; 64];
        getrandom::fill(&mut random).map_err(|error| SignInError::Listen(std::io::Error::other(error.to_string())))?;
        let flow = Flow::new(plan, &random);
        let url = flow.url();
        let plan = &flow.plan;
        let offer = SignInOffer {
            server: entry.name.clone(),
            issuer: plan.issuer.name.clone(),
            host: host(&url),
            scopes: plan.scopes.clone(),
            redirect: plan.redirect.clone(),
            client: plan.client.kind,
            instead_of,
            url: url.into(),
        };
        let (store, patience) = (self.store.clone(), self.patience);
        Ok(SignIn { offer: Arc::new(offer), flow, callback, fetcher, grant, store, patience })
    }

    /// Forgets all that is kept for a server, and tells its issuer where that can be told. What to say about it.
    ///
    /// # Errors
    /// In words for a person, where something may be left.
    pub async fn out(&self, entry: &ServerEntry) -> Result<String, String> {
        let (store, hash) = (self.store.clone(), entry.entry_hash.clone());
        let kept = blocking(move || store.load(&hash)).await.ok().flatten();
        let (store, hash) = (self.store.clone(), entry.entry_hash.clone());
        let was = blocking(move || store.remove(&hash)).await?;
        let Some(Kept { grant, .. }) = kept.filter(|kept| kept.grant.access.is_some()) else {
            return Ok(if was { "what was kept of it is removed" } else { "nobody was signed in" }.to_owned());
        };
        let told = match &grant.revoke {
            Some(endpoint) => revoke(entry, &grant, endpoint).await,
            None => false,
        };
        let issuer = &grant.issuer;
        Ok(match (told, grant.until_s) {
            (true, _) => format!("signed out; {issuer} was told"),
            (false, _) => format!("signed out here; {issuer} was not told, and its token ends by itself"),
        })
    }
}

async fn revoke(entry: &ServerEntry, grant: &Grant, endpoint: &Url) -> bool {
    let work = async {
        let server = signed_in_by_person(entry).ok()?;
        let fetcher = fetcher(&server).await.ok()?;
        let mut client = grant.client.clone();
        if client.secret.is_none() {
            client.secret = secret(&entry.sign_in).await.ok()?;
        }
        // With the refresh token its access tokens end too (RFC 7009 2.1).
        let token = grant.refresh.as_ref().or(grant.access.as_ref())?;
        Some(token::revoke(&fetcher, endpoint, &client, token).await)
    };
    tokio::time::timeout(Duration::from_secs(5), work).await.ok().flatten().unwrap_or(false)
}

impl SignIn {
    /// What a person decides on.
    #[must_use]
    pub fn offer(&self) -> &Arc<SignInOffer> {
        &self.offer
    }

    /// Waits for the answer, by the browser or by hand; `not_it` is told of what was pasted and is none.
    ///
    /// # Errors
    /// The issuer's refusal; nobody in time.
    pub async fn answer(
        &self,
        pasted: &mut mpsc::Receiver<Pasted>,
        mut not_it: impl FnMut(&SignInError),
    ) -> Result<Answered, SignInError> {
        let minutes = self.patience.as_secs().div_ceil(60);
        let waiting = async {
            let mut browser = std::pin::pin!(self.callback.answer(&self.flow));
            let mut open = true;
            loop {
                tokio::select! {
                    code = &mut browser => return code,
                    text = pasted.recv(), if open => match text {
                        None => open = false,
                        Some(Pasted(text)) => match self.flow.receive(&text) {
                            Ok(code) => return Ok(code),
                            Err(error) if error.is_of_the_answer() => not_it(&error),
                            Err(error) => return Err(error),
                        },
                    },
                }
            }
        };
        match tokio::time::timeout(self.patience, waiting).await {
            Ok(code) => code.map(Answered),
            Err(_) => Err(SignInError::TimedOut(minutes)),
        }
    }

    /// Exchanges the answer for tokens and keeps them.
    ///
    /// # Errors
    /// Where the issuer does not give them, or they cannot be used or kept.
    pub async fn redeem(self, answered: Answered) -> Result<Redeemed, SignInError> {
        let Self { flow, fetcher, mut grant, store, .. } = self;
        let tokens = match token::exchange(&fetcher, &flow, &answered.0).await {
            Ok(tokens) => tokens,
            Err(error) => {
                if let SignInError::NotExchanged(oauth) = &error
                    && oauth.is_unknown_client()
                {
                    let entry = grant.entry.clone();
                    blocking(move || store.remove(&entry)).await.map_err(SignInError::Store)?;
                }
                return Err(error);
            }
        };
        grant.take(tokens, &flow.plan.scopes, now_s());
        let (to, keep) = (store, grant.clone());
        let (kept, why) = blocking(move || to.save(&keep)).await.map_err(SignInError::Store)?;
        let signed_in = grant.signed_in(kept, Vec::new()).ok_or(SignInError::UnusableToken("there is none"))?;
        Ok(Redeemed { signed_in, remark: why.as_deref().map(fallback), kept: Kept { grant, kept } })
    }
}

impl Redeemed {
    /// Lets a running server use it.
    pub(crate) fn hand_to(&self, access: &Access) {
        access.set(Some(self.kept.clone()));
    }

    #[must_use]
    pub fn kept_in(&self) -> KeptIn {
        self.kept.kept
    }
}

/// Asks the server something small, to hear how it wants to be asked.
async fn probe(fetcher: &Fetcher, entry: &ServerEntry, server: &Url) -> Result<Challenge, SignInError> {
    let mut headers = HeaderMap::new();
    for (name, value) in entry.address().into_iter().flat_map(|(_, headers)| headers) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value.expose())) {
            headers.insert(name, value);
        }
    }
    headers.insert(http::header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    let ping = json!({"jsonrpc": "2.0", "id": 0, "method": "ping"});
    let answer = fetcher
        .post_json(server, headers, &ping)
        .await
        .map_err(|error| SignInError::Fetch { what: host(server), error })?;
    Ok(match answer.status {
        401 | 403 => answer.challenge.as_deref().map(Challenge::parse).unwrap_or_default(),
        _ => Challenge::default(),
    })
}

/// The issuer's places are judged before a person is asked: what could not be asked later is not offered.
async fn check_endpoints(server: &Url, issuer: &Issuer) -> Result<(), SignInError> {
    let reach = Reach::of(server).await;
    let places = [Some(&issuer.authorize), Some(&issuer.token), issuer.register.as_ref()];
    for place in places.into_iter().flatten() {
        reach.check(place).map_err(|blocked| SignInError::Fetch { what: host(place), error: blocked.into() })?;
    }
    Ok(())
}

fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
