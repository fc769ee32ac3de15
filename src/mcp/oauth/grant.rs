//! What a sign-in leaves behind: the client, the tokens, and for whom they are.
//!
//! # Invariants
//! - It belongs to one issuer and one server entry, and its token goes to the origin of that entry alone.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::chat::{ClientKind, KeptIn, SignedIn};
use crate::config::{Secret, ServerEntry};

use super::client::{Client, Proof};
use super::flow::Plan;
use super::token::Tokens;

/// Seconds before its end at which a token is renewed.
const EARLY_S: i64 = 30;
const FORMAT: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    /// `ServerEntry::entry_hash`.
    pub entry: String,
    /// Of the server.
    pub origin: String,
    pub issuer: String,
    pub token: Url,
    pub revoke: Option<Url>,
    pub resource: String,
    /// What was granted.
    pub scopes: Vec<String>,
    /// Without its secret where that is in the configuration.
    pub client: Client,
    /// None: only the registration is known.
    pub access: Option<Secret>,
    pub refresh: Option<Secret>,
    /// Unix seconds; None: it was not told.
    pub until_s: Option<i64>,
}

impl Grant {
    /// A registration without a token.
    pub(super) fn of_client(plan: &Plan, entry: &ServerEntry, server: &Url) -> Self {
        Self {
            entry: entry.entry_hash.to_string(),
            origin: server.origin().ascii_serialization(),
            issuer: plan.issuer.name.clone(),
            token: plan.issuer.token.clone(),
            revoke: plan.issuer.revoke.clone(),
            resource: plan.resource.clone(),
            scopes: Vec::new(),
            client: plan.client.clone(),
            access: None,
            refresh: None,
            until_s: None,
        }
    }

    /// Takes over new tokens; `asked` are the scopes where the answer does not name them.
    pub(super) fn take(&mut self, tokens: Tokens, asked: &[String], now_s: i64) {
        self.scopes = tokens.scopes.unwrap_or_else(|| asked.to_vec());
        self.access = Some(tokens.access);
        // The old one stays where no new one came (RFC 6749 6).
        self.refresh = tokens.refresh.or_else(|| self.refresh.take());
        self.until_s = tokens.lasts_s.map(|seconds| now_s.saturating_add(seconds));
    }

    /// Forgets the tokens, not the client.
    pub(super) fn clear(&mut self) {
        (self.access, self.refresh, self.until_s) = (None, None, None);
    }

    pub(super) fn ends_soon(&self, now_s: i64) -> bool {
        self.until_s.is_some_and(|until| until - EARLY_S <= now_s)
    }

    pub(super) fn signed_in(&self, kept: KeptIn, wants: Vec<String>) -> Option<SignedIn> {
        self.access.as_ref()?;
        Some(SignedIn {
            issuer: self.issuer.clone(),
            scopes: self.scopes.clone(),
            until_ms: self.until_s.map(|until| until.saturating_mul(1000)),
            renews: self.refresh.is_some(),
            kept,
            wants,
        })
    }
}

/// A grant on disk. Its secrets are in it, or in the keyring.
#[derive(Serialize, Deserialize)]
pub(super) struct Record {
    format: u32,
    pub entry: String,
    origin: String,
    issuer: String,
    token_endpoint: String,
    revocation_endpoint: Option<String>,
    resource: String,
    scopes: Vec<String>,
    client_id: String,
    client_proof: String,
    client_kind: String,
    client_port: Option<u16>,
    client_ends_s: Option<i64>,
    until_s: Option<i64>,
    /// Whether there is a token, and one to renew it with: known without asking the keyring.
    signed_in: bool,
    renews: bool,
    pub secrets: Option<Secrets>,
}

/// No Debug: these are the tokens.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Secrets {
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
}

impl Secrets {
    pub(super) fn of(grant: &Grant) -> Self {
        let text = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
        // A secret of the configuration stays there.
        let client = match grant.client.kind {
            ClientKind::Configured | ClientKind::Document => None,
            ClientKind::Registered => text(&grant.client.secret),
        };
        Self { access: text(&grant.access), refresh: text(&grant.refresh), client }
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Record {
    pub(super) fn of(grant: &Grant, secrets: Option<Secrets>) -> Self {
        let kind = match grant.client.kind {
            ClientKind::Configured => "configured",
            ClientKind::Document => "document",
            ClientKind::Registered => "registered",
        };
        Self {
            format: FORMAT,
            entry: grant.entry.clone(),
            origin: grant.origin.clone(),
            issuer: grant.issuer.clone(),
            token_endpoint: grant.token.to_string(),
            revocation_endpoint: grant.revoke.as_ref().map(Url::to_string),
            resource: grant.resource.clone(),
            scopes: grant.scopes.clone(),
            client_id: grant.client.id.clone(),
            client_proof: grant.client.proof.word().to_owned(),
            client_kind: kind.to_owned(),
            client_port: grant.client.port,
            client_ends_s: grant.client.ends_s,
            until_s: grant.until_s,
            signed_in: grant.access.is_some(),
            renews: grant.refresh.is_some(),
            secrets,
        }
    }

    /// As lists show it, without its secrets.
    pub(super) fn signed_in(&self) -> Option<SignedIn> {
        (self.format == FORMAT && self.signed_in).then(|| SignedIn {
            issuer: self.issuer.clone(),
            scopes: self.scopes.clone(),
            until_ms: self.until_s.map(|until| until.saturating_mul(1000)),
            renews: self.renews,
            kept: if self.secrets.is_some() { KeptIn::File } else { KeptIn::Keyring },
            wants: Vec::new(),
        })
    }

    /// None where it was written by something that does not know itself.
    pub(super) fn grant(self, secrets: Secrets) -> Option<Grant> {
        let kind = match self.client_kind.as_str() {
            "configured" => ClientKind::Configured,
            "document" => ClientKind::Document,
            "registered" => ClientKind::Registered,
            _ => return None,
        };
        if self.format != FORMAT {
            return None;
        }
        let client = Client {
            id: self.client_id,
            secret: secrets.client.map(Secret::new),
            proof: Proof::of_word(&self.client_proof)?,
            kind,
            port: self.client_port,
            ends_s: self.client_ends_s,
        };
        Some(Grant {
            entry: self.entry,
            origin: self.origin,
            issuer: self.issuer,
            token: Url::parse(&self.token_endpoint).ok()?,
            revoke: self.revocation_endpoint.and_then(|url| Url::parse(&url).ok()),
            resource: self.resource,
            scopes: self.scopes,
            client,
            access: secrets.access.map(Secret::new),
            refresh: secrets.refresh.map(Secret::new),
            until_s: self.until_s,
        })
    }

    /// # Errors
    /// Where it is not one.
    pub(super) fn read(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    pub(super) fn text(&self) -> String {
        // Plain data of texts and numbers: this cannot fail.
        serde_json::to_value(self).unwrap_or(Value::Null).to_string()
    }
}
