//! Which proxy stands on the way, so that a failure can name it. Loopback is always reached directly: a key may go
//! there without TLS, so it must not pass through anyone.

use reqwest::{ClientBuilder, NoProxy, Proxy};
use url::{Host, Url};

use crate::chat::{Fault, FaultKind, Retry};

const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// The proxies of the configuration or, without one, of the environment. Lower case wins, as curl has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Proxies {
    http: Option<Entry>,
    https: Option<Entry>,
    except: String,
}

#[derive(Clone, PartialEq, Eq)]
struct Entry {
    address: String,
    /// Where it was set: `$HTTPS_PROXY` or `the configuration`.
    source: String,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", without_credentials(&self.address), self.source)
    }
}

impl Proxies {
    pub(super) fn from_environment(configured: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let first = |names: &[&str]| {
            names.iter().find_map(|name| set(name).map(|address| Entry { address, source: format!("${name}") }))
        };
        let except = set("no_proxy").or_else(|| set("NO_PROXY")).unwrap_or_default();
        if let Some(address) = configured {
            let entry = Entry { address: address.to_owned(), source: "the configuration".into() };
            return Self { http: Some(entry.clone()), https: Some(entry), except };
        }
        let all = first(&["all_proxy", "ALL_PROXY"]);
        // Under CGI a request header `Proxy:` arrives as HTTP_PROXY.
        let plain = if set("REQUEST_METHOD").is_some() { &["http_proxy"][..] } else { &["http_proxy", "HTTP_PROXY"] };
        Self {
            http: first(plain).or_else(|| all.clone()),
            https: first(&["https_proxy", "HTTPS_PROXY"]).or(all),
            except,
        }
    }

    /// Gives the client these proxies. Where there are none the system's settings (macOS, Windows) hold.
    pub(super) fn apply(&self, mut builder: ClientBuilder) -> Result<ClientBuilder, Fault> {
        let except = NoProxy::from_string(&format!("{LOOPBACK},{}", self.except));
        for (entry, make) in
            [(&self.http, Proxy::http as fn(String) -> _), (&self.https, Proxy::https as fn(String) -> _)]
        {
            let Some(entry) = entry else { continue };
            let proxy: Result<Proxy, reqwest::Error> = make(entry.address.clone());
            let proxy = proxy.map_err(|_| {
                Fault::new(
                    FaultKind::Config,
                    format!("The proxy {} from {} cannot be used.", without_credentials(&entry.address), entry.source),
                )
                .hint("Write it as http://HOST:PORT.")
                .retry(Retry::AfterChange)
            })?;
            builder = builder.proxy(proxy.no_proxy(except.clone()));
        }
        Ok(builder)
    }

    /// The proxy that a request to `url` goes through, as far as the environment tells.
    pub(super) fn describe(&self, url: &Url) -> Option<String> {
        let entry = if url.scheme() == "https" { self.https.as_ref()? } else { self.http.as_ref()? };
        if super::is_loopback(url) || self.spared(url) {
            return None;
        }
        Some(format!("{} from {}", without_credentials(&entry.address), entry.source))
    }

    fn spared(&self, url: &Url) -> bool {
        let Some(host) = url.host() else { return false };
        let name = match host {
            Host::Domain(name) => name.to_ascii_lowercase(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        self.except.split([',', ' ']).map(str::trim).filter(|rule| !rule.is_empty()).any(|rule| {
            let rule = rule.trim_start_matches('.').to_ascii_lowercase();
            rule == "*" || name == rule || name.ends_with(&format!(".{rule}"))
        })
    }
}

/// A proxy's address without user and password.
fn without_credentials(address: &str) -> String {
    match address.rsplit_once('@') {
        None => address.to_owned(),
        Some((before, host)) => match before.split_once("://") {
            Some((scheme, _)) => format!("{scheme}://{host}"),
            None => host.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], configured: Option<&str>, url: &str, expect: Option<&str>) {
        let proxies = Proxies::from_environment(configured, |name| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
        });
        assert_eq!(proxies.describe(&Url::parse(url).unwrap()).as_deref(), expect, "{variables:?} {url}");
    }

    #[test]
    fn the_proxy_on_the_way_is_named_without_its_password() {
        let with = [("HTTPS_PROXY", "http://ada:pw@proxy.lan:3128"), ("NO_PROXY", "corp.example, .lan")];
        check(&with, None, "https://api.openai.com/v1", Some("http://proxy.lan:3128 from $HTTPS_PROXY"));
        check(&with, None, "https://llm.corp.example/v1", None);
        check(&with, None, "https://llm.lan/v1", None);
        check(&with, None, "http://api.openai.com/v1", None);
        check(&with, None, "https://localhost:8443/v1", None);
        check(&with, None, "https://[::1]:8443/v1", None);
        check(&[("all_proxy", "p:1")], None, "http://example.org", Some("p:1 from $all_proxy"));
        check(&[("no_proxy", "*"), ("ALL_PROXY", "p:1")], None, "http://example.org", None);
        check(&[("HTTP_PROXY", "p:1"), ("REQUEST_METHOD", "GET")], None, "http://example.org", None);
        check(&[], Some("http://c:1"), "https://example.org", Some("http://c:1 from the configuration"));
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_a_fault_of_the_configuration() {
        let proxies = Proxies::from_environment(Some("ht tp://x"), |_| None);
        let fault = proxies.apply(reqwest::Client::builder()).map(|_| ()).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Config);
        assert!(fault.message.contains("the configuration"), "{fault}");
    }
}
