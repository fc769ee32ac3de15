//! Who signs people in to a server: from its challenge to its issuer.

use serde_json::Value;
use url::Url;

use super::challenge::Challenge;
use super::error::{FetchError, SignInError};
use super::fetch::{Answer, Fetcher};
use super::metadata::{Issuer, Resource, issuer_places, resource_of, resource_places};

/// What is known of the way to a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub issuer: Issuer,
    /// For `resource` in every request (RFC 8707).
    pub resource: String,
    /// What the server says that it has.
    pub scopes: Vec<String>,
}

/// What the person's configuration has to say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wishes<'a> {
    /// The only issuer that is accepted.
    pub issuer: Option<&'a str>,
    /// The issuer of the sign-in before: taken where the server still names it.
    pub before: Option<&'a str>,
    pub assume_pkce: bool,
}

/// Finds a server's issuer.
///
/// # Errors
/// Where it has none, or one that is not accepted.
pub(super) async fn discover(
    fetcher: &Fetcher,
    server: &Url,
    challenge: &Challenge,
    wishes: Wishes<'_>,
) -> Result<Found, SignInError> {
    if let Some(resource) = resource(fetcher, server, challenge).await? {
        let name = chosen(&resource.issuers, wishes)?;
        let asked = Url::parse(name).map_err(|_| SignInError::BadMetadata {
            what: "its description of itself".to_owned(),
            why: format!("{name} is not an address"),
        })?;
        let Some(issuer) = issuer(fetcher, &asked, name, wishes.assume_pkce).await? else {
            let what = format!("the authorization server {name}");
            return Err(SignInError::BadMetadata { what, why: "it publishes no description".to_owned() });
        };
        return Ok(Found { issuer, resource: resource.resource, scopes: resource.scopes });
    }
    // As servers before 2025-06-18 did it: they are their own issuer.
    let mut own = server.clone();
    own.set_path("");
    own.set_query(None);
    own.set_fragment(None);
    let name = own.origin().ascii_serialization();
    chosen(std::slice::from_ref(&name), wishes)?;
    match issuer(fetcher, &own, &name, wishes.assume_pkce).await? {
        Some(issuer) => Ok(Found { issuer, resource: resource_of(server), scopes: Vec::new() }),
        None => Err(SignInError::NoMetadata),
    }
}

fn chosen<'a>(issuers: &'a [String], wishes: Wishes<'_>) -> Result<&'a str, SignInError> {
    let named =
        |wanted: &str| issuers.iter().find(|issuer| issuer.trim_end_matches('/') == wanted.trim_end_matches('/'));
    if let Some(wanted) = wishes.issuer {
        return named(wanted).map(String::as_str).ok_or_else(|| SignInError::UnwantedIssuer {
            wanted: wanted.to_owned(),
            found: issuers.join(", ").chars().take(300).collect(),
        });
    }
    let known = wishes.before.and_then(named);
    known.or_else(|| issuers.first()).map(String::as_str).ok_or(SignInError::NoMetadata)
}

/// The server's description of itself: where its challenge says, else at the usual places.
async fn resource(fetcher: &Fetcher, server: &Url, challenge: &Challenge) -> Result<Option<Resource>, SignInError> {
    if let Some(place) = &challenge.resource_metadata {
        let place = server.join(place).map_err(|_| SignInError::BadMetadata {
            what: "its challenge".to_owned(),
            why: "resource_metadata is not an address".to_owned(),
        })?;
        if let Some(document) = document(fetcher, &place).await? {
            return Resource::read(&document, server).map(Some);
        }
    }
    for place in resource_places(server) {
        if let Some(document) = document(fetcher, &place).await?
            // Any JSON may be there, for any reason.
            && (document.get("resource").is_some() || document.get("authorization_servers").is_some())
        {
            return Resource::read(&document, server).map(Some);
        }
    }
    Ok(None)
}

async fn issuer(fetcher: &Fetcher, asked: &Url, name: &str, assume_pkce: bool) -> Result<Option<Issuer>, SignInError> {
    for place in issuer_places(asked) {
        if let Some(document) = document(fetcher, &place).await?
            && document.get("authorization_endpoint").is_some()
        {
            return Issuer::read(&document, name, assume_pkce).map(Some);
        }
    }
    Ok(None)
}

/// A JSON document; None where there is none.
async fn document(fetcher: &Fetcher, place: &Url) -> Result<Option<Value>, SignInError> {
    let failed = |error| SignInError::Fetch { what: place.host_str().unwrap_or_default().to_owned(), error };
    match fetcher.get(place).await {
        Ok(answer) if answer.is_success() => Ok(serde_json::from_slice(&answer.body).ok()),
        // In trouble it may say nothing where it has something: another place must not be taken for it.
        Ok(Answer { status: status @ (429 | 500..), .. }) => Err(failed(FetchError::Status(status))),
        Ok(_) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_or_wanted_issuer_is_taken_where_the_server_names_it() {
        let issuers = ["https://one.example".to_owned(), "https://two.example/".to_owned()];
        let of = |issuer, before| chosen(&issuers, Wishes { issuer, before, assume_pkce: false });
        assert_eq!(of(None, None).unwrap(), "https://one.example");
        assert_eq!(of(None, Some("https://two.example")).unwrap(), "https://two.example/");
        assert_eq!(of(None, Some("https://three.example")).unwrap(), "https://one.example");
        assert_eq!(of(Some("https://two.example"), None).unwrap(), "https://two.example/");
        assert!(matches!(of(Some("https://three.example"), None), Err(SignInError::UnwantedIssuer { .. })));
    }
}
