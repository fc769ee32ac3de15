//! The token endpoint: codes and refresh tokens in, tokens out (RFC 6749 4.1.3, 5, 6; RFC 8707 2.2), and the end of
//! them (RFC 7009).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use serde_json::Value;
use url::{Url, form_urlencoded};

use crate::config::Secret;

use super::challenge;
use super::client::{Client, Proof};
use super::error::{OAuthError, SignInError};
use super::fetch::{Answer, Fetcher};
use super::flow::{Code, Flow};

/// What the token endpoint gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tokens {
    pub access: Secret,
    pub refresh: Option<Secret>,
    /// Seconds from now; None: it was not told.
    pub lasts_s: Option<i64>,
    /// None: exactly what was asked for.
    pub scopes: Option<Vec<String>>,
}

/// Largest token that is taken, in bytes: it goes into a header.
const TOKEN_MAX: usize = 16 * 1024;

pub(super) async fn exchange(fetcher: &Fetcher, flow: &Flow, code: &Code) -> Result<Tokens, SignInError> {
    let plan = &flow.plan;
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.0.expose()),
        ("redirect_uri", &plan.redirect),
        ("code_verifier", flow.verifier.expose()),
        ("resource", &plan.resource),
    ];
    ask(fetcher, &plan.issuer.token, &plan.client, &fields).await
}

/// A new access token for a refresh token; with it often comes a new refresh token, and the old one is void.
pub(super) async fn refresh(
    fetcher: &Fetcher,
    endpoint: &Url,
    client: &Client,
    token: &Secret,
    resource: &str,
) -> Result<Tokens, SignInError> {
    // Without `scope`: what was granted is granted again (RFC 6749 6).
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token.expose()), ("resource", resource)];
    ask(fetcher, endpoint, client, &fields).await
}

/// Tells the issuer that a token is no longer wanted. That it was not told is no failure of the person's.
pub(super) async fn revoke(fetcher: &Fetcher, endpoint: &Url, client: &Client, token: &Secret) -> bool {
    let fields = [("token", token.expose())];
    post(fetcher, endpoint, client, &fields).await.is_ok_and(|answer| answer.is_success())
}

async fn ask(
    fetcher: &Fetcher,
    endpoint: &Url,
    client: &Client,
    fields: &[(&str, &str)],
) -> Result<Tokens, SignInError> {
    let answer = post(fetcher, endpoint, client, fields).await?;
    let document: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    if let Some(code) = document.get("error").and_then(Value::as_str) {
        let description = document.get("error_description").and_then(Value::as_str);
        return Err(SignInError::NotExchanged(OAuthError::new(code, description)));
    }
    if !answer.is_success() {
        // A 401 there speaks of the client (RFC 6749 5.2), and its body is not read.
        let code = if answer.status == 401 { "invalid_client".to_owned() } else { format!("HTTP {}", answer.status) };
        return Err(SignInError::NotExchanged(OAuthError::new(&code, None)));
    }
    read(&document)
}

async fn post(
    fetcher: &Fetcher,
    endpoint: &Url,
    client: &Client,
    fields: &[(&str, &str)],
) -> Result<Answer, SignInError> {
    let mut fields = fields.to_vec();
    let mut authorization = None;
    match (client.proof, &client.secret) {
        (Proof::Basic, Some(secret)) => authorization = basic(&client.id, secret),
        (Proof::Post, Some(secret)) => {
            fields.extend([("client_id", client.id.as_str()), ("client_secret", secret.expose())])
        }
        (Proof::None | Proof::Basic | Proof::Post, _) => fields.push(("client_id", &client.id)),
    }
    let what = || endpoint.host_str().unwrap_or_default().to_owned();
    fetcher
        .post_form(endpoint, &fields, authorization)
        .await
        .map_err(|error| SignInError::Fetch { what: what(), error })
}

/// Both parts are form-encoded before they are joined (RFC 6749 2.3.1).
fn basic(id: &str, secret: &Secret) -> Option<HeaderValue> {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(id), encode(secret.expose()));
    HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).ok()
}

fn read(document: &Value) -> Result<Tokens, SignInError> {
    let token = |key: &str| {
        let text = document.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())?;
        Some((text.len() <= TOKEN_MAX && text.bytes().all(|b| b.is_ascii_graphic())).then(|| Secret::new(text)))
    };
    let access = match token("access_token") {
        None => return Err(SignInError::UnusableToken("there is none in the answer")),
        Some(None) => return Err(SignInError::UnusableToken("it does not fit into a header")),
        Some(Some(access)) => access,
    };
    match document.get("token_type").and_then(Value::as_str) {
        Some(kind) if !kind.eq_ignore_ascii_case("bearer") => {
            return Err(SignInError::UnusableToken("it is not a bearer token"));
        }
        Some(_) | None => {}
    }
    // Some write it as a text.
    let lasts = document.get("expires_in").and_then(|value| {
        value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok())).filter(|seconds| *seconds >= 0)
    });
    let scopes = document.get("scope").and_then(Value::as_str).map(challenge::scopes);
    Ok(Tokens {
        access,
        refresh: token("refresh_token").flatten(),
        lasts_s: lasts.map(|seconds| seconds.min(10 * 366 * 86_400)),
        scopes: scopes.filter(|scopes| !scopes.is_empty()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_is_read_liberally_and_a_token_strictly() {
        let tokens = read(&json!({
            "access_token": "a.b-c", "token_type": "bearer", "expires_in": "3600", "refresh_token": "r", "scope": "x y x"
        }));
        let expect = Tokens {
            access: Secret::new("a.b-c"),
            refresh: Some(Secret::new("r")),
            lasts_s: Some(3600),
            scopes: Some(vec!["x".into(), "y".into()]),
        };
        assert_eq!(tokens.unwrap(), expect);
        for bad in [
            json!({}),
            json!({"access_token": ""}),
            json!({"access_token": "a b"}),
            json!({"access_token": "a\r\nX-Evil: 1"}),
            json!({"access_token": "a".repeat(TOKEN_MAX + 1)}),
            json!({"access_token": "a", "token_type": "mac"}),
            json!("a"),
        ] {
            assert!(matches!(read(&bad), Err(SignInError::UnusableToken(_))), "{bad}");
        }
    }

    #[test]
    fn a_client_proves_itself_with_encoded_parts() {
        let value = basic("a:b", &Secret::new("ö/+")).unwrap();
        let text = STANDARD.decode(value.to_str().unwrap().strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(text, b"a%3Ab:%C3%B6%2F%2B");
    }
}
