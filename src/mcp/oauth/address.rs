//! Which addresses a sign-in may reach. A server names its issuer, and the issuer its endpoints: without this, a server
//! out there could make this program ask machines that only this network can see.
//!
//! # Invariants
//! - https, or http to this very machine where the server is on it.
//! - Names are judged by the addresses that they resolve to, at the moment of connecting: the connection goes to a judged
//!   address, so a name cannot change its mind in between.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// What kind of network an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Public,
    Loopback,
    LinkLocal,
    /// Including carrier-grade NAT and unique local IPv6.
    Private,
    /// Nothing that could be talked to: unspecified, multicast, reserved.
    Never,
}

impl Class {
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => Self::of_v6(v6),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let [a, b, c, _] = address.octets();
        if address.is_loopback() {
            Self::Loopback
        } else if address.is_link_local() {
            Self::LinkLocal
        } else if address.is_private() || (a == 100 && (64..=127).contains(&b)) {
            Self::Private
        } else if a == 0 || a >= 224 || (a == 198 && matches!(b, 18 | 19)) || (a == 192 && b == 0 && c == 0) {
            Self::Never
        } else {
            Self::Public
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let [a, b, c, d, e, f, g, h] = address.segments();
        let low = || {
            let ([w, x], [y, z]) = (g.to_be_bytes(), h.to_be_bytes());
            Ipv4Addr::new(w, x, y, z)
        };
        match [a, b, c, d, e, f] {
            _ if address.is_loopback() => Self::Loopback,
            _ if address.is_unspecified() || address.is_multicast() => Self::Never,
            // IPv4 in other clothes: mapped, compatible, NAT64, 6to4.
            [0, 0, 0, 0, 0, 0xffff | 0] | [0x64, 0xff9b, 0, 0, 0, 0] => Self::of_v4(low()),
            [0x2002, ..] => {
                let ([w, x], [y, z]) = (b.to_be_bytes(), c.to_be_bytes());
                Self::of_v4(Ipv4Addr::new(w, x, y, z))
            }
            // Teredo, and NAT64 of a local kind: what they lead to cannot be told.
            [0x2001, 0, ..] | [0x64, 0xff9b, 1, ..] => Self::Never,
            _ if a & 0xffc0 == 0xfe80 => Self::LinkLocal,
            _ if a & 0xfe00 == 0xfc00 => Self::Private,
            _ => Self::Public,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Public => "a public address",
            Self::Loopback => "an address of this machine",
            Self::LinkLocal => "a link-local address",
            Self::Private => "an address of a private network",
            Self::Never => "a reserved address",
        }
    }
}

/// What one server's sign-in may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    /// The server's own host, in lower case: it is talked to anyway.
    host: String,
    /// The server's own class: its issuer may be of the same.
    class: Class,
}

/// Why an address may not be reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Blocked(String);

impl Reach {
    /// From the server's own address. A name counts as of a private network where all its addresses are.
    pub(super) async fn of(server: &Url) -> Self {
        let host = server.host_str().unwrap_or_default().to_ascii_lowercase();
        let class = match server.host() {
            Some(Host::Ipv4(v4)) => Class::of(v4.into()),
            Some(Host::Ipv6(v6)) => Class::of(v6.into()),
            Some(Host::Domain(name)) if is_localhost(name) => Class::Loopback,
            Some(Host::Domain(name)) => match tokio::net::lookup_host((name, 443)).await {
                Ok(found) => {
                    let classes: Vec<Class> = found.map(|address| Class::of(address.ip())).collect();
                    let private = !classes.is_empty() && classes.iter().all(|class| *class == Class::Private);
                    if private { Class::Private } else { Class::Public }
                }
                Err(_) => Class::Public,
            },
            None => Class::Public,
        };
        Self { host, class }
    }

    fn allows(&self, class: Class) -> bool {
        class == Class::Public || (class == self.class && class != Class::Never)
    }

    /// Judges what can be judged without asking for a name's addresses.
    pub(super) fn check(&self, url: &Url) -> Result<(), Blocked> {
        let blocked = |why: String| Err(Blocked(why));
        if !url.username().is_empty() || url.password().is_some() {
            return blocked("the address holds a password".to_owned());
        }
        let class = match url.host() {
            Some(Host::Ipv4(v4)) => Some(Class::of(v4.into())),
            Some(Host::Ipv6(v6)) => Some(Class::of(v6.into())),
            Some(Host::Domain(name)) if is_localhost(name) => Some(Class::Loopback),
            Some(Host::Domain(_)) => None,
            None => return blocked("the address has no host".to_owned()),
        };
        let shown = url.host_str().unwrap_or_default();
        if let Some(class) = class
            && !self.allows(class)
        {
            return blocked(format!("{shown} is {}, which this server may not lead to", class.words()));
        }
        match url.scheme() {
            "https" => Ok(()),
            "http" if class == Some(Class::Loopback) => Ok(()),
            "http" => blocked(format!("{shown} is to be asked over plain http")),
            other => blocked(format!("an address that begins with {other}: is not one of a sign-in")),
        }
    }

    /// Of a name's addresses those that may be reached.
    fn judge(&self, name: &str, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Blocked> {
        // The server itself is talked to anyway, wherever it is.
        let own = name.trim_end_matches('.').eq_ignore_ascii_case(&self.host);
        let mut bad = None;
        let mut fine = Vec::new();
        for address in found {
            let class = Class::of(address.ip());
            if self.allows(class) || (own && class != Class::Never) {
                fine.push(address);
            } else {
                bad = Some((address.ip(), class));
            }
        }
        match (fine.is_empty(), bad) {
            (true, Some((ip, class))) => {
                Err(Blocked(format!("{name} is {ip}, {}, which this server may not lead to", class.words())))
            }
            _ => Ok(fine),
        }
    }
}

impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.clone();
        Box::pin(async move {
            let name = name.as_str();
            let found = tokio::net::lookup_host((name, 0)).await?;
            let fine: Addrs = Box::new(reach.judge(name, found)?.into_iter());
            Ok(fine)
        })
    }
}

pub(super) fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(class: Class) -> Reach {
        Reach { host: "mcp.example".into(), class }
    }

    #[test]
    fn addresses_have_a_class_in_any_clothes() {
        for (text, expect) in [
            ("93.184.216.34", Class::Public),
            ("2606:2800:220:1:248:1893:25c8:1946", Class::Public),
            ("127.0.0.1", Class::Loopback),
            ("127.8.9.1", Class::Loopback),
            ("::1", Class::Loopback),
            ("::ffff:127.0.0.1", Class::Loopback),
            ("169.254.169.254", Class::LinkLocal),
            ("::ffff:169.254.169.254", Class::LinkLocal),
            ("fe80::1", Class::LinkLocal),
            ("10.1.2.3", Class::Private),
            ("172.31.0.1", Class::Private),
            ("192.168.0.1", Class::Private),
            ("100.100.0.1", Class::Private),
            ("fd00::1", Class::Private),
            ("64:ff9b::a00:1", Class::Private),
            ("2002:a00:1::", Class::Private),
            ("0.0.0.0", Class::Never),
            ("::", Class::Never),
            ("224.0.0.1", Class::Never),
            ("255.255.255.255", Class::Never),
            ("2001:0:1::1", Class::Never),
            ("ff02::1", Class::Never),
        ] {
            assert_eq!(Class::of(text.parse().unwrap()), expect, "{text}");
        }
    }

    #[test]
    fn a_public_server_leads_to_public_addresses_over_https_alone() {
        let of = |text: &str| reach(Class::Public).check(&Url::parse(text).unwrap());
        for url in ["https://login.example/x", "https://8.8.8.8/", "https://[2606:2800:220:1::1]/"] {
            assert_eq!(of(url), Ok(()), "{url}");
        }
        for url in [
            "http://login.example/",
            "https://127.0.0.1/",
            "http://localhost:3/",
            "https://a.localhost/",
            "https://10.0.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://[::ffff:10.0.0.1]/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://user@login.example/",
            "file:///etc/passwd",
            "data:text/plain,x",
        ] {
            assert!(of(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_server_of_this_machine_leads_to_this_machine_and_outwards() {
        let of = |text: &str| reach(Class::Loopback).check(&Url::parse(text).unwrap());
        assert!(of("http://127.0.0.1:9/x").is_ok() && of("http://localhost:9/").is_ok() && of("https://a.b/").is_ok());
        assert!(of("http://10.0.0.1/").is_err() && of("https://169.254.169.254/").is_err());
        let private = reach(Class::Private);
        assert!(private.check(&Url::parse("https://10.9.9.9/").unwrap()).is_ok());
        assert!(private.check(&Url::parse("http://10.9.9.9/").unwrap()).is_err());
        assert!(private.check(&Url::parse("https://127.0.0.1/").unwrap()).is_err());
    }

    #[test]
    fn a_name_is_judged_by_what_it_resolves_to() {
        let at = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 0);
        let public = reach(Class::Public);
        assert_eq!(public.judge("a.b", [at("10.0.0.1"), at("8.8.8.8")].into_iter()), Ok(vec![at("8.8.8.8")]));
        let bad = public.judge("login.evil", [at("169.254.169.254")].into_iter()).unwrap_err();
        assert_eq!(
            bad.to_string(),
            "login.evil is 169.254.169.254, a link-local address, which this server may not lead to"
        );
        assert_eq!(public.judge("MCP.example", [at("10.0.0.1")].into_iter()), Ok(vec![at("10.0.0.1")]));
    }
}
