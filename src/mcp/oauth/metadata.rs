//! What a server and its issuer publish of themselves, and what of it is accepted (RFC 9728, RFC 8414, OpenID Connect
//! Discovery 1.0).
//!
//! # Invariants
//! - A description counts for the server that was asked, an issuer's for that issuer, letter by letter (but for one slash
//!   after a bare host).
//! - Without PKCE there is no sign-in.

use serde_json::Value;
use url::Url;

use super::challenge::collect;
use super::error::SignInError;

/// A server's description of itself (RFC 9728).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Resource {
    /// As it was written: it goes into requests so (RFC 8707).
    pub resource: String,
    pub issuers: Vec<String>,
    pub scopes: Vec<String>,
}

/// An authorisation server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Issuer {
    /// As it names itself.
    pub name: String,
    pub authorize: Url,
    pub token: Url,
    pub register: Option<Url>,
    pub revoke: Option<Url>,
    pub scopes: Vec<String>,
    /// How clients prove who they are at the token endpoint; None: it does not say.
    pub methods: Option<Vec<String>>,
    /// A client may be known by the address of its metadata document.
    pub documents: bool,
    /// Its answers always say from whom they come (RFC 9207).
    pub names_itself: bool,
}

/// Where a server may describe itself, best first.
pub(super) fn resource_places(server: &Url) -> Vec<Url> {
    well_known(server, "oauth-protected-resource")
}

/// Where an issuer may describe itself, best first (the order of the MCP specification, authorization, 2.3).
pub(super) fn issuer_places(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_matches('/').to_owned();
    if path.is_empty() {
        return ["oauth-authorization-server", "openid-configuration"]
            .iter()
            .map(|document| at(issuer, &format!("/.well-known/{document}")))
            .collect();
    }
    vec![
        at(issuer, &format!("/.well-known/oauth-authorization-server/{path}")),
        at(issuer, &format!("/.well-known/openid-configuration/{path}")),
        at(issuer, &format!("/{path}/.well-known/openid-configuration")),
    ]
}

fn well_known(base: &Url, document: &str) -> Vec<Url> {
    let path = base.path().trim_matches('/');
    let mut places = Vec::new();
    if !path.is_empty() {
        places.push(at(base, &format!("/.well-known/{document}/{path}")));
    }
    places.push(at(base, &format!("/.well-known/{document}")));
    places
}

fn at(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.set_path(path);
    url
}

/// The server's own name as a resource, where it does not describe itself (RFC 8707 2).
pub(super) fn resource_of(server: &Url) -> String {
    let mut url = server.clone();
    url.set_fragment(None);
    let text = url.to_string();
    match (url.path(), url.query()) {
        ("/", None) => text.trim_end_matches('/').to_owned(),
        _ => text,
    }
}

impl Resource {
    /// # Errors
    /// Where it describes another server.
    pub(super) fn read(document: &Value, server: &Url) -> Result<Self, SignInError> {
        let what = || "its description of itself".to_owned();
        let Some(resource) = document.get("resource").and_then(Value::as_str) else {
            return Err(SignInError::BadMetadata { what: what(), why: "it names no resource".to_owned() });
        };
        let fits = Url::parse(resource).is_ok_and(|theirs| covers(&theirs, server));
        if !fits {
            return Err(SignInError::OtherResource { theirs: resource.chars().take(200).collect() });
        }
        let issuers: Vec<String> = strings(document, "authorization_servers").take(10).map(str::to_owned).collect();
        if issuers.is_empty() {
            return Err(SignInError::BadMetadata { what: what(), why: "it names no authorization server".to_owned() });
        }
        let scopes = collect(strings(document, "scopes_supported"));
        Ok(Self { resource: resource.to_owned(), issuers, scopes })
    }
}

/// Whether a resource is the server, or a part of its host that holds the server.
fn covers(resource: &Url, server: &Url) -> bool {
    if resource.fragment().is_some() || resource.origin() != server.origin() {
        return false;
    }
    let (outer, inner) = (resource.path().trim_end_matches('/'), server.path());
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Issuer {
    /// `asked` is the issuer whose description was asked for.
    ///
    /// # Errors
    /// Where it is another's, lacks what is needed, or does not protect the sign-in.
    pub(super) fn read(document: &Value, asked: &str, assume_pkce: bool) -> Result<Self, SignInError> {
        let bad = |why: &str| SignInError::BadMetadata { what: format!("the description of {asked}"), why: why.into() };
        let text = |key: &str| document.get(key).and_then(Value::as_str);
        let name = text("issuer").ok_or_else(|| bad("it does not say whose it is"))?;
        if !same_issuer(name, asked) {
            let said = name.chars().take(200).collect();
            return Err(SignInError::OtherIssuer { asked: asked.to_owned(), said });
        }
        let url = |key: &str| -> Result<Option<Url>, SignInError> {
            text(key).map(|text| Url::parse(text).map_err(|_| bad(&format!("{key} is not an address")))).transpose()
        };
        let authorize = url("authorization_endpoint")?.ok_or_else(|| bad("it has no authorization_endpoint"))?;
        let token = url("token_endpoint")?.ok_or_else(|| bad("it has no token_endpoint"))?;
        if document.get("response_types_supported").is_some()
            && !strings(document, "response_types_supported").any(|kind| kind == "code")
        {
            return Err(bad("it does not give codes (response type \"code\")"));
        }
        if !assume_pkce && !strings(document, "code_challenge_methods_supported").any(|method| method == "S256") {
            return Err(SignInError::NoPkce { issuer: name.to_owned() });
        }
        let flag = |key: &str| document.get(key).and_then(Value::as_bool).unwrap_or(false);
        let methods = document
            .get("token_endpoint_auth_methods_supported")
            .map(|_| strings(document, "token_endpoint_auth_methods_supported").map(str::to_owned).collect());
        Ok(Self {
            name: name.to_owned(),
            authorize,
            token,
            register: url("registration_endpoint")?,
            revoke: url("revocation_endpoint")?,
            scopes: collect(strings(document, "scopes_supported")),
            methods,
            documents: flag("client_id_metadata_document_supported"),
            names_itself: flag("authorization_response_iss_parameter_supported"),
        })
    }
}

/// Letter by letter, but that a bare host may have its slash or not: documents differ from issuers in that all over.
fn same_issuer(one: &str, other: &str) -> bool {
    let bare = |text: &str| match text.strip_suffix('/') {
        Some(cut) if cut.matches('/').count() == 2 => cut.to_owned(),
        _ => text.to_owned(),
    };
    bare(one) == bare(other)
}

fn strings<'a>(document: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    document.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn texts(urls: &[Url]) -> Vec<&str> {
        urls.iter().map(Url::as_str).collect()
    }

    #[test]
    fn documents_are_looked_for_in_the_order_of_the_specification() {
        assert_eq!(
            texts(&resource_places(&url("https://a.b/public/mcp?x=1"))),
            [
                "https://a.b/.well-known/oauth-protected-resource/public/mcp",
                "https://a.b/.well-known/oauth-protected-resource"
            ]
        );
        assert_eq!(
            texts(&issuer_places(&url("https://a.b/tenant1"))),
            [
                "https://a.b/.well-known/oauth-authorization-server/tenant1",
                "https://a.b/.well-known/openid-configuration/tenant1",
                "https://a.b/tenant1/.well-known/openid-configuration"
            ]
        );
        assert_eq!(
            texts(&issuer_places(&url("https://a.b/"))),
            ["https://a.b/.well-known/oauth-authorization-server", "https://a.b/.well-known/openid-configuration"]
        );
    }

    #[test]
    fn a_description_counts_for_its_own_server() {
        let server = url("https://mcp.example/v1/mcp");
        let of = |resource: &str| {
            Resource::read(&json!({"resource": resource, "authorization_servers": ["https://as"]}), &server)
        };
        for fine in
            ["https://mcp.example/v1/mcp", "https://mcp.example/v1", "https://mcp.example", "https://mcp.example/"]
        {
            assert_eq!(of(fine).unwrap().resource, fine);
        }
        for bad in [
            "https://mcp.example/v1/mc",
            "https://mcp.example/v2",
            "https://evil.example/v1/mcp",
            "http://mcp.example/v1/mcp",
            "https://mcp.example:8443/v1/mcp",
            "https://mcp.example/v1/mcp#x",
            "mcp.example",
        ] {
            assert!(matches!(of(bad), Err(SignInError::OtherResource { .. })), "{bad}");
        }
        assert!(Resource::read(&json!({"resource": "https://mcp.example"}), &server).is_err());
        assert!(Resource::read(&json!([]), &server).is_err());
    }

    fn document() -> Value {
        json!({
            "issuer": "https://as.example",
            "authorization_endpoint": "https://as.example/authorize",
            "token_endpoint": "https://as.example/token",
            "code_challenge_methods_supported": ["plain", "S256"],
        })
    }

    #[test]
    fn an_issuer_is_who_it_was_asked_as_and_protects_the_sign_in() {
        let read = |document: &Value| Issuer::read(document, "https://as.example", false);
        let issuer = read(&document()).unwrap();
        assert_eq!((issuer.methods, issuer.documents, issuer.names_itself), (None, false, false));
        let with = |key: &str, value: Value| {
            let mut document = document();
            document[key] = value;
            read(&document)
        };
        assert_eq!(with("issuer", json!("https://as.example/")).unwrap().name, "https://as.example/");
        for other in
            ["https://AS.example", "https://as.example/tenant", "https://as.example.evil", "https://as.example//"]
        {
            assert!(matches!(with("issuer", json!(other)), Err(SignInError::OtherIssuer { .. })), "{other}");
        }
        for weak in [json!(null), json!(["plain"]), json!("S256"), json!([])] {
            let got = with("code_challenge_methods_supported", weak);
            assert!(matches!(got, Err(SignInError::NoPkce { .. })), "{got:?}");
        }
        let mut silent = document();
        silent.as_object_mut().unwrap().remove("code_challenge_methods_supported");
        assert!(Issuer::read(&silent, "https://as.example", true).is_ok());
        assert!(with("response_types_supported", json!(["token"])).is_err());
        assert!(with("token_endpoint", json!("no address")).is_err());
        assert!(with("authorization_endpoint", json!(7)).is_err());
    }

    #[test]
    fn a_server_is_named_without_needless_ends() {
        assert_eq!(resource_of(&url("HTTPS://MCP.example/")), "https://mcp.example");
        assert_eq!(resource_of(&url("https://mcp.example/mcp?tenant=1#x")), "https://mcp.example/mcp?tenant=1");
    }
}
