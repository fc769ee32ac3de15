//! How this program is known to an issuer: by a client of the configuration, by its metadata document, by registering
//! itself; in this order (MCP specification, authorization, 2.4).

use http::HeaderMap;
use serde_json::{Value, json};

use crate::chat::ClientKind;
use crate::config::{Secret, SignInSettings};

use super::error::{OAuthError, SignInError};
use super::fetch::Fetcher;
use super::metadata::Issuer;

/// A client as its issuer knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Client {
    pub id: String,
    pub secret: Option<Secret>,
    pub proof: Proof,
    pub kind: ClientKind,
    /// The port that it was registered with; None: any.
    pub port: Option<u16>,
    /// Unix seconds at which its secret ends; None: never.
    pub ends_s: Option<i64>,
}

/// How a client shows at the token endpoint who it is (RFC 6749 2.3, RFC 7591 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    None,
    Basic,
    Post,
}

impl Proof {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
        }
    }

    pub(super) fn of_word(word: &str) -> Option<Self> {
        [Self::None, Self::Basic, Self::Post].into_iter().find(|proof| proof.word() == word)
    }

    /// For a client with a secret. What an issuer does not say is Basic (RFC 8414 2).
    pub(super) fn with_secret(issuer: &Issuer) -> Self {
        match &issuer.methods {
            Some(methods) if !methods.iter().any(|m| m == Self::Basic.word()) => {
                if methods.iter().any(|m| m == Self::Post.word()) { Self::Post } else { Self::Basic }
            }
            _ => Self::Basic,
        }
    }

    /// What to ask for at registration: no secret, where the issuer can do without.
    fn to_register(issuer: &Issuer) -> Self {
        match &issuer.methods {
            None => Self::None,
            Some(methods) if methods.iter().any(|m| m == Self::None.word()) => Self::None,
            Some(_) => Self::with_secret(issuer),
        }
    }
}

/// Which way there is, before anything is asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way {
    Configured,
    Document(String),
    /// It registered itself with this issuer before.
    Known(Box<Client>),
    Register,
    /// Only a person can go on.
    Nobody,
}

/// Chooses. `known` must be of this very issuer.
pub(super) fn way(settings: &SignInSettings, issuer: &Issuer, known: Option<Client>, now_s: i64) -> Way {
    if settings.client_id.is_some() {
        return Way::Configured;
    }
    if let Some(address) = &settings.client_metadata_url
        && issuer.documents
    {
        return Way::Document(address.clone());
    }
    let alive =
        |client: &Client| client.kind == ClientKind::Registered && client.ends_s.is_none_or(|ends| ends > now_s);
    match known.filter(alive) {
        Some(client) => Way::Known(Box::new(client)),
        None if issuer.register.is_some() => Way::Register,
        None => Way::Nobody,
    }
}

/// The secret of the configuration's client, fetched.
///
/// # Errors
/// Where it cannot be had.
pub(super) async fn secret(settings: &SignInSettings) -> Result<Option<Secret>, SignInError> {
    match &settings.client_secret {
        // A variable that was set is in the settings as its value.
        Some(source) => Ok(Some(source.read(&Default::default(), &Default::default()).await?)),
        None => Ok(None),
    }
}

/// The client of the configuration, with its secret.
///
/// # Errors
/// Where the secret cannot be had.
pub(super) async fn configured(settings: &SignInSettings, issuer: &Issuer) -> Result<Option<Client>, SignInError> {
    let Some(id) = settings.client_id.clone() else { return Ok(None) };
    let secret = secret(settings).await?;
    let proof = if secret.is_some() { Proof::with_secret(issuer) } else { Proof::None };
    Ok(Some(Client { id, secret, proof, kind: ClientKind::Configured, port: None, ends_s: None }))
}

pub(super) fn document(address: String) -> Client {
    Client { id: address, secret: None, proof: Proof::None, kind: ClientKind::Document, port: None, ends_s: None }
}

/// Registers (RFC 7591), as a native program (OpenID Connect Dynamic Client Registration 2).
///
/// # Errors
/// Where the issuer refuses, or answers something else.
pub(super) async fn register(
    fetcher: &Fetcher,
    issuer: &Issuer,
    redirect: &str,
    port: u16,
    scopes: &[String],
) -> Result<Client, SignInError> {
    let refused = |answer: String| SignInError::NotRegistered { issuer: issuer.name.clone(), answer };
    let Some(place) = &issuer.register else { return Err(refused("it registers nobody".to_owned())) };
    let mut body = json!({
        "client_name": "millrace",
        "application_type": "native",
        "redirect_uris": [redirect],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": Proof::to_register(issuer).word(),
    });
    if !scopes.is_empty() {
        body["scope"] = json!(scopes.join(" "));
    }
    let what = || place.host_str().unwrap_or_default().to_owned();
    let answer = fetcher
        .post_json(place, HeaderMap::new(), &body)
        .await
        .map_err(|error| SignInError::Fetch { what: what(), error })?;
    let document: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    if !answer.is_success() {
        let said = document.get("error").and_then(Value::as_str);
        let description = document.get("error_description").and_then(Value::as_str);
        return Err(refused(match said {
            Some(code) => OAuthError::new(code, description).to_string(),
            None => format!("HTTP {}", answer.status),
        }));
    }
    read(&document, issuer, port).ok_or_else(|| refused("its answer names no client".to_owned()))
}

fn read(document: &Value, issuer: &Issuer, port: u16) -> Option<Client> {
    let text = |key: &str| document.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let id = text("client_id").filter(|id| id.len() <= 2048 && !id.chars().any(char::is_control))?;
    let secret = text("client_secret").filter(|secret| secret.len() <= 4096);
    let proof = match (secret, text("token_endpoint_auth_method").and_then(Proof::of_word)) {
        (None, _) => Proof::None,
        (Some(_), Some(proof)) => proof,
        (Some(_), None) => Proof::with_secret(issuer),
    };
    let ends = document.get("client_secret_expires_at").and_then(Value::as_i64).filter(|ends| *ends > 0);
    Some(Client {
        id: id.to_owned(),
        secret: secret.filter(|_| proof != Proof::None).map(Secret::new),
        proof,
        kind: ClientKind::Registered,
        port: Some(port),
        ends_s: ends.filter(|_| proof != Proof::None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use url::Url;

    fn issuer(methods: Option<&[&str]>, register: bool, documents: bool) -> Issuer {
        let url = |path: &str| Url::parse(&format!("https://as.example/{path}")).unwrap();
        Issuer {
            name: "https://as.example".into(),
            authorize: url("authorize"),
            token: url("token"),
            register: register.then(|| url("register")),
            revoke: None,
            scopes: Vec::new(),
            methods: methods.map(|m| m.iter().map(|m| (*m).to_owned()).collect()),
            documents,
            names_itself: false,
        }
    }

    #[test]
    fn the_ways_are_tried_in_the_order_of_the_specification() {
        let known = |ends_s| {
            let (id, kind) = ("c1".to_owned(), ClientKind::Registered);
            Some(Client { id, secret: None, proof: Proof::None, kind, port: Some(7), ends_s })
        };
        let configured = SignInSettings { client_id: Some("x".into()), ..Default::default() };
        let document =
            SignInSettings { client_metadata_url: Some("https://me.example/c.json".into()), ..Default::default() };
        let none = SignInSettings::default();
        let can_all = issuer(None, true, true);
        assert_eq!(way(&configured, &can_all, known(None), 0), Way::Configured);
        assert_eq!(way(&document, &can_all, known(None), 0), Way::Document("https://me.example/c.json".into()));
        assert_eq!(way(&document, &issuer(None, true, false), None, 0), Way::Register);
        assert!(matches!(way(&none, &can_all, known(None), 0), Way::Known(_)));
        assert_eq!(way(&none, &can_all, known(Some(5)), 9), Way::Register);
        assert_eq!(way(&none, &issuer(None, false, true), None, 0), Way::Nobody);
    }

    #[test]
    fn a_registration_is_read_with_what_it_can_do() {
        let of = |methods, answer| read(&answer, &issuer(methods, true, false), 4).unwrap();
        assert_eq!(of(None, json!({"client_id": "a", "client_secret": ""})).proof, Proof::None);
        assert_eq!(of(None, json!({"client_id": "a", "client_secret": "s"})).proof, Proof::Basic);
        let post = Some(&["client_secret_post"][..]);
        assert_eq!(of(post, json!({"client_id": "a", "client_secret": "s"})).proof, Proof::Post);
        let none = of(post, json!({"client_id": "a", "client_secret": "s", "token_endpoint_auth_method": "none"}));
        assert_eq!((none.proof, none.secret), (Proof::None, None));
        assert_eq!(
            of(None, json!({"client_id": "a", "client_secret": "s", "client_secret_expires_at": 9})).ends_s,
            Some(9)
        );
        assert_eq!(
            of(None, json!({"client_id": "a", "client_secret": "s", "client_secret_expires_at": 0})).ends_s,
            None
        );
        assert!(read(&json!({"client_id": "a\u{1b}"}), &issuer(None, true, false), 4).is_none());
        assert!(read(&json!({}), &issuer(None, true, false), 4).is_none());
    }

    #[test]
    fn a_secret_is_asked_for_only_where_the_issuer_wants_one() {
        let of = |methods| Proof::to_register(&issuer(methods, true, false));
        assert_eq!(of(None), Proof::None);
        assert_eq!(of(Some(&["client_secret_basic", "none"])), Proof::None);
        assert_eq!(of(Some(&["client_secret_post", "private_key_jwt"])), Proof::Post);
        assert_eq!(of(Some(&["client_secret_basic", "client_secret_post"])), Proof::Basic);
    }
}
