//! Where a model is asked, and what may be sent there.

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use url::{Host, Url};

use crate::chat::{Api, Fault, FaultKind, Retry};
use crate::config::{Auth, KeySource, Secret};

/// Azure's header for keys.
const API_KEY: HeaderName = HeaderName::from_static("api-key");

/// One endpoint, with the key that belongs to it and to no other.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Up to and with `/v1`; http or https, without user, password, or fragment. A query (`api-version=`) is kept.
    pub base_url: Url,
    pub key: Option<Secret>,
    /// Where the key came from, as messages name it: `$OPENAI_API_KEY`, `profile "work"`.
    pub key_source: String,
    /// Sent with every request, beside the key.
    pub headers: Vec<(HeaderName, Secret)>,
    pub api: Api,
    /// How the key is sent.
    pub auth: Auth,
    /// Asked for another key where one is refused with 401: a program that hands out tokens of short life.
    pub renew: Option<KeySource>,
    /// The profile's word on whether the model sees images; None: ask `/models`.
    pub vision: Option<bool>,
}

impl Endpoint {
    /// Takes an address as a person writes it: blanks around it, a trailing slash and the path of the API itself are
    /// forgiven.
    ///
    /// # Errors
    /// `Config` where it is not an http(s) address, or holds a user or password.
    pub fn new(base_url: &str, api: Api) -> Result<Self, Fault> {
        let text = base_url.trim();
        let bad = |why: &str| {
            Fault::new(FaultKind::Config, format!("The address {} {why}.", quoted(text)))
                .hint("Write it up to and with /v1, for example https://api.openai.com/v1.")
                .retry(Retry::AfterChange)
        };
        let mut url = Url::parse(text).map_err(|error| bad(&format!("cannot be used: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("is neither http nor https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Fault::new(FaultKind::Config, "The address of the endpoint holds a user or password.")
                .hint("Put the key into api_key_env or api_key_command, not into the address.")
                .retry(Retry::AfterChange));
        }
        url.set_fragment(None);
        let path = url.path().trim_end_matches('/');
        let path = ["/chat/completions", "/responses", "/models"]
            .iter()
            .find_map(|tail| path.strip_suffix(tail))
            .unwrap_or(path)
            .to_owned();
        url.set_path(&path);
        Ok(Self {
            base_url: url,
            key: None,
            key_source: String::new(),
            headers: Vec::new(),
            api,
            auth: Auth::default(),
            renew: None,
            vision: None,
        })
    }

    /// With a key and the words for where it came from.
    #[must_use]
    pub fn key(mut self, key: Secret, source: impl Into<String>) -> Self {
        self.key = Some(key);
        self.key_source = source.into();
        self
    }

    /// With one more header.
    ///
    /// # Errors
    /// `Config` where the name or the value cannot be a header's; the value is not told.
    pub fn header(mut self, name: &str, value: Secret) -> Result<Self, Fault> {
        let fault = |what: String| Fault::new(FaultKind::Config, what).retry(Retry::AfterChange);
        let parsed = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| fault(format!("{name:?} cannot be the name of an HTTP header.")))?;
        if HeaderValue::from_str(value.expose()).is_err() {
            return Err(fault(format!("The value of the header {name} holds characters that HTTP does not allow.")));
        }
        self.headers.push((parsed, value));
        Ok(self)
    }

    /// Its address as a person writes it: without a slash at the end.
    #[must_use]
    pub fn address(&self) -> String {
        self.base_url.as_str().trim_end_matches('/').to_owned()
    }

    /// Scheme, host and port: what a key and provider-specific fields are bound to.
    #[must_use]
    pub fn origin(&self) -> String {
        self.base_url.origin().ascii_serialization()
    }

    /// The host, with the port where it is not the scheme's own: how messages name the endpoint.
    #[must_use]
    pub fn host(&self) -> String {
        host_of(&self.base_url)
    }

    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.base_url)
    }

    /// Why a key that is there is not sent; None where it is sent or there is none.
    #[must_use]
    pub fn withheld(&self) -> Option<String> {
        (self.key.is_some() && !self.may_carry_secrets()).then(|| {
            format!(
                "The key from {} is not sent to {}: plain HTTP would show it to everyone on the way.",
                self.key_source,
                self.host()
            )
        })
    }

    /// The address of a path below the base (`models`), with the base's query.
    #[must_use]
    pub fn url(&self, path: &str) -> Url {
        let mut url = self.base_url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/{path}"));
        url
    }

    /// Where responses are asked for.
    #[must_use]
    pub fn response_url(&self) -> Url {
        self.url(match self.api {
            Api::Chat => "chat/completions",
            Api::Responses => "responses",
        })
    }

    /// The headers of a request, key included, marked sensitive so that no trace prints them. Over plain HTTP to
    /// another machine neither the key nor configured headers are sent, since those may hold secrets too.
    ///
    /// # Errors
    /// `Auth` where the key holds characters that cannot be sent.
    pub(super) fn request_headers(&self) -> Result<HeaderMap, Fault> {
        let mut headers = HeaderMap::new();
        if !self.may_carry_secrets() {
            return Ok(headers);
        }
        let sensitive = |text: &str| {
            let mut value = HeaderValue::from_str(text)?;
            value.set_sensitive(true);
            Ok::<_, http::header::InvalidHeaderValue>(value)
        };
        if let Some(key) = self.key.as_ref().filter(|key| !key.is_empty()) {
            let (name, text) = match self.auth {
                Auth::Bearer => (AUTHORIZATION, format!("Bearer {}", key.expose().trim())),
                Auth::ApiKey => (API_KEY, key.expose().trim().to_owned()),
            };
            let value = sensitive(&text).map_err(|_| {
                Fault::new(
                    FaultKind::Auth,
                    format!("The key from {} holds characters that cannot be sent (a line break?).", self.key_source),
                )
                .hint("Set it again, as one line.")
                .retry(Retry::AfterChange)
            })?;
            headers.insert(name, value);
        }
        for (name, secret) in &self.headers {
            if let Ok(value) = sensitive(secret.expose()) {
                headers.insert(name.clone(), value);
            }
        }
        Ok(headers)
    }

    fn may_carry_secrets(&self) -> bool {
        self.base_url.scheme() == "https" || self.is_loopback()
    }
}

/// Whether an address stays on this machine: `localhost`, 127.0.0.0/8, ::1.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        // The client never asks a resolver for this name.
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => {
            address.is_loopback() || address.to_ipv4_mapped().is_some_and(|mapped| mapped.is_loopback())
        }
        None => false,
    }
}

pub(super) fn host_of(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => url.as_str().to_owned(),
    }
}

/// An address in a message, without what may be a secret in it.
fn quoted(text: &str) -> String {
    if text.contains('@') { "of the endpoint".to_owned() } else { format!("{text:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(base: &str) -> Endpoint {
        Endpoint::new(base, Api::Chat).unwrap()
    }

    #[test]
    fn addresses_are_taken_as_people_write_them() {
        for (given, expect) in [
            ("https://api.openai.com/v1", "https://api.openai.com/v1/chat/completions"),
            (" https://api.openai.com/v1/ ", "https://api.openai.com/v1/chat/completions"),
            ("https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
            ("http://localhost:11434", "http://localhost:11434/chat/completions"),
            (
                "https://x.azure.com/openai/deployments/d?api-version=2024-10-21",
                "https://x.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
            ),
        ] {
            assert_eq!(endpoint(given).response_url().as_str(), expect);
        }
        let mut responses = endpoint("https://api.openai.com/v1");
        responses.api = Api::Responses;
        assert_eq!(responses.response_url().as_str(), "https://api.openai.com/v1/responses");
    }

    #[test]
    fn addresses_that_cannot_be_used_say_why_and_tell_no_password() {
        for bad in ["", "api.openai.com/v1", "ftp://x/v1", "https://ada:sesame@host/v1", "http://ada:sesame@[bad/v1"] {
            let fault = Endpoint::new(bad, Api::Chat).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Config);
            assert!(!fault.message.contains("sesame"), "{fault}");
            assert!(fault.hint.is_some());
        }
    }

    #[test]
    fn a_key_goes_over_tls_or_to_loopback_only() {
        let sent = |base: &str| {
            let endpoint = endpoint(base).key(Secret::new("sk-1"), "$K").header("x-team", Secret::new("a")).unwrap();
            let headers = endpoint.request_headers().unwrap();
            assert_eq!(headers.contains_key(AUTHORIZATION), headers.contains_key("x-team"));
            assert_eq!(headers.contains_key(AUTHORIZATION), endpoint.withheld().is_none());
            assert!(!format!("{headers:?}{endpoint:?}").contains("sk-1"));
            headers.contains_key(AUTHORIZATION)
        };
        assert!(sent("https://api.openai.com/v1"));
        assert!(sent("http://localhost:1234/v1"));
        assert!(sent("http://127.0.0.9:1234/v1"));
        assert!(sent("http://[::1]:1234/v1"));
        assert!(!sent("http://192.168.1.5:11434/v1"));
        assert!(!sent("http://localhost.evil.example/v1"));
    }

    #[test]
    fn a_key_with_a_line_break_is_a_fault_that_names_its_source() {
        let endpoint = endpoint("https://h/v1").key(Secret::new("sk\n1"), "$K");
        let fault = endpoint.request_headers().unwrap_err();
        assert_eq!(fault.kind, FaultKind::Auth);
        assert!(fault.message.contains("$K") && !fault.message.contains("sk"), "{fault}");
    }
}
