//! The one HTTP client of the process.
//!
//! Building it reads the platform's root certificates (some 28 ms), so it is built once, on first use or ahead of it
//! on a thread of its own ([`Http::spawn_build`]), and shared with every MCP transport.

use std::fmt;
use std::io::Read as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::redirect::{Attempt, Policy};

use crate::chat::{Fault, FaultKind, Limits, Retry, Wiretap};

use super::played::Player;
use super::proxy::Proxies;
use super::tape::Tape;

/// How many redirects within one origin are followed.
const REDIRECTS: usize = 5;

/// What the client is built from.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Longest time for DNS, TCP and TLS together.
    pub connect: Duration,
    /// A proxy for everything but loopback; None: the environment's, else the system's.
    pub proxy: Option<String>,
    /// PEM certificates that are trusted beside the platform's.
    pub extra_roots: Vec<Vec<u8>>,
    /// A file of such certificates, read when the client is built.
    pub ca_file: Option<PathBuf>,
}

impl HttpOptions {
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self { connect: limits.connect, proxy: None, extra_roots: Vec::new(), ca_file: None }
    }
}

/// The shared client; cloning is cheap.
#[derive(Clone)]
pub struct Http {
    inner: Arc<Inner>,
    tap: Option<Arc<dyn Wiretap>>,
}

struct Inner {
    options: HttpOptions,
    proxies: Proxies,
    client: OnceLock<Result<reqwest::Client, Fault>>,
    /// Answers in place of the network.
    player: Option<Arc<dyn Player>>,
    /// How many responses were asked for.
    responses: AtomicU64,
}

impl Http {
    /// Costs nothing: the client is built on first use.
    #[must_use]
    pub fn new(options: HttpOptions) -> Self {
        let proxies = Proxies::from_environment(options.proxy.as_deref(), |name| std::env::var(name).ok());
        Self::of(options, proxies, None)
    }

    /// One that plays recorded responses. It has no client: whatever asks for one is refused.
    #[must_use]
    pub fn played(limits: &Limits, player: Arc<dyn Player>) -> Self {
        Self::of(HttpOptions::new(limits), Proxies::from_environment(None, |_| None), Some(player))
    }

    fn of(options: HttpOptions, proxies: Proxies, player: Option<Arc<dyn Player>>) -> Self {
        let inner = Inner { options, proxies, client: OnceLock::new(), player, responses: AtomicU64::new(0) };
        Self { inner: Arc::new(inner), tap: None }
    }

    /// The same, with somebody who hears every response.
    #[must_use]
    pub fn tapped(self, tap: Arc<dyn Wiretap>) -> Self {
        Self { tap: Some(tap), ..self }
    }

    /// The same, with nobody who hears.
    #[must_use]
    pub fn unheard(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), tap: None }
    }

    pub(super) fn tape(&self) -> Tape {
        Tape::new(self.tap.clone(), self.inner.responses.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub(super) fn player(&self) -> Option<&Arc<dyn Player>> {
        self.inner.player.as_ref()
    }

    /// Builds the client on a thread of its own, so that the first request does not wait for it.
    pub fn spawn_build(&self) {
        let http = self.clone();
        // Without a thread the first use builds it.
        let _ = std::thread::Builder::new().name("http-build".into()).spawn(move || {
            let _ = http.client();
        });
    }

    /// The client; builds it where that has not happened yet, which blocks for some 28 ms. On a runtime use
    /// [`Http::ready`].
    ///
    /// # Errors
    /// `Config` where a proxy or a certificate of the options cannot be used, `Internal` where TLS cannot start.
    pub fn client(&self) -> Result<reqwest::Client, Fault> {
        if self.inner.player.is_some() {
            return Err(Fault::new(FaultKind::Usage, "This is a replay, which reaches no network."));
        }
        self.inner.client.get_or_init(|| build(&self.inner.options, &self.inner.proxies)).clone()
    }

    /// As [`Http::client`], without blocking the runtime.
    ///
    /// # Errors
    /// As [`Http::client`].
    pub async fn ready(&self) -> Result<reqwest::Client, Fault> {
        if let Some(built) = self.inner.client.get() {
            return built.clone();
        }
        let http = self.clone();
        match tokio::task::spawn_blocking(move || http.client()).await {
            Ok(built) => built,
            Err(_) => Err(Fault::new(FaultKind::Internal, "The HTTP client could not be built.")),
        }
    }

    pub(super) fn connect_limit(&self) -> Duration {
        self.inner.options.connect
    }

    /// The proxy on the way to `url` and where it was set, for messages; holds no credentials.
    pub(super) fn proxy_for(&self, url: &url::Url) -> Option<String> {
        self.inner.proxies.describe(url)
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("built", &self.inner.client.get().is_some()).finish_non_exhaustive()
    }
}

fn build(options: &HttpOptions, proxies: &Proxies) -> Result<reqwest::Client, Fault> {
    // Fails only where another provider was installed before, which then serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Port 0: the port of the URL. Whichever of the two answers is taken, and no resolver is asked, so that
    // `localhost` cannot be anywhere else.
    let localhost = [SocketAddr::from((Ipv6Addr::LOCALHOST, 0)), SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("millrace/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(options.connect)
        .redirect(Policy::custom(within_origin))
        .referer(false)
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(60))
        .resolve_to_addrs("localhost", &localhost);
    builder = proxies.apply(builder)?;
    let file = options.ca_file.as_ref().map(|path| read_bundle(path)).transpose()?;
    for pem in options.extra_roots.iter().chain(&file) {
        let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(|error| {
            Fault::new(FaultKind::Config, format!("The CA file holds no certificate that can be read: {error}."))
                .hint("It must be a PEM file (-----BEGIN CERTIFICATE-----).")
                .retry(Retry::AfterChange)
        })?;
        for certificate in certificates {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(|error| {
        Fault::new(
            FaultKind::Internal,
            format!("The HTTP client could not be built: {}.", super::failure::chain(&error)),
        )
        .hint("Check the platform's root certificates, or name a bundle in $SSL_CERT_FILE.")
    })
}

/// The largest file of certificates.
const LARGEST_BUNDLE: u64 = 16 << 20;

fn read_bundle(path: &Path) -> Result<Vec<u8>, Fault> {
    let read = || {
        let mut pem = Vec::new();
        std::fs::File::open(path)?.take(LARGEST_BUNDLE).read_to_end(&mut pem)?;
        Ok::<_, std::io::Error>(pem)
    };
    read().map_err(|error| {
        Fault::new(FaultKind::Config, format!("The CA file {} cannot be read: {error}.", path.display()))
            .hint("`ca_file` of the profile names it.")
            .retry(Retry::AfterChange)
    })
}

/// Redirects stay at the origin they began at: anything else would carry a prompt, or a key in a custom header, to a
/// place that nobody named. The 3xx itself then becomes the answer.
fn within_origin(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let same = attempt.previous().first().is_some_and(|first| first.origin() == attempt.url().origin());
    if same && attempt.previous().len() <= REDIRECTS { attempt.follow() } else { attempt.stop() }
}
