//! Addresses of endpoints: what may be one, its origin, and whether it is on this computer.

use std::fmt;

/// A base URL, up to and with `/v1`, without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub base_url: String,
    /// Scheme, host and port: what a key is bound to.
    pub origin: String,
    /// Host and port as people read them.
    pub host: String,
    pub loopback: bool,
    /// https, or on this computer.
    pub private: bool,
}

/// Why a text cannot be a base URL. Does not quote it: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    #[error("is not an address")]
    NoAddress,
    #[error("begins with neither http:// nor https://")]
    Scheme,
    #[error("holds a user name or a password")]
    UserInfo,
    #[error("has a part after #")]
    Fragment,
}

impl EndpointError {
    #[must_use]
    pub fn mentions_secret(self) -> bool {
        matches!(self, Self::UserInfo)
    }
}

impl Endpoint {
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let url = url::Url::parse(text.trim())
            .map_err(|_| if text.contains("://") { EndpointError::NoAddress } else { EndpointError::Scheme })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EndpointError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(EndpointError::Fragment);
        }
        let host = url.host().ok_or(EndpointError::NoAddress)?;
        let loopback = match &host {
            url::Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
            url::Host::Ipv4(ip) => ip.is_loopback(),
            url::Host::Ipv6(ip) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback()),
        };
        let shown = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_string(),
        };
        Ok(Self {
            base_url: url.as_str().trim_end_matches('/').to_owned(),
            origin: url.origin().ascii_serialization(),
            host: shown,
            loopback,
            private: loopback || url.scheme() == "https",
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base_url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart() {
        let check = |text: &str, base: &str, origin: &str, loopback: bool, private: bool| {
            let e = Endpoint::parse(text).unwrap();
            assert_eq!(
                (e.base_url.as_str(), e.origin.as_str(), e.loopback, e.private),
                (base, origin, loopback, private)
            );
        };
        check("https://api.openai.com/v1/", "https://api.openai.com/v1", "https://api.openai.com", false, true);
        check("http://localhost:11434/v1", "http://localhost:11434/v1", "http://localhost:11434", true, true);
        check("HTTP://LOCALHOST:80/v1", "http://localhost/v1", "http://localhost", true, true);
        check("http://127.9.9.9/v1", "http://127.9.9.9/v1", "http://127.9.9.9", true, true);
        check("http://[::1]:8080", "http://[::1]:8080", "http://[::1]:8080", true, true);
        check("http://192.168.1.2:8000/v1", "http://192.168.1.2:8000/v1", "http://192.168.1.2:8000", false, false);
        check(
            "http://localhost.evil.com/v1",
            "http://localhost.evil.com/v1",
            "http://localhost.evil.com",
            false,
            false,
        );
        check("http://127.0.0.1.nip.io/", "http://127.0.0.1.nip.io", "http://127.0.0.1.nip.io", false, false);
        for (bad, why) in [
            ("", EndpointError::Scheme),
            ("api.openai.com/v1", EndpointError::Scheme),
            ("ftp://x/v1", EndpointError::Scheme),
            ("localhost:11434/v1", EndpointError::Scheme),
            ("https://u:p@host/v1", EndpointError::UserInfo),
            ("https://host/v1#x", EndpointError::Fragment),
            ("https://", EndpointError::NoAddress),
        ] {
            assert_eq!(Endpoint::parse(bad).unwrap_err(), why, "{bad}");
        }
    }
}
