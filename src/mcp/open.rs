//! How a connection is opened: in which way a server is greeted, and what is tried next where that fails.
//!
//! Over stdio: `server/discover`, then `initialize`, on the same process or, where it died of the first, on a new one.
//! Over HTTP: `server/discover`, then `initialize`, then the old HTTP+SSE (2026-07-28, basic/versioning and
//! basic/transports), and for an address that a person wrote, last of all, one `list_tools` of the bare dialect.
//!
//! # Invariants
//! - What a server was once found to speak is tried first; the rest only where that fails softly.
//! - A server that asks who is there (401, 403), is in trouble (429, 5xx) or out of reach is asked nothing more.
//! - A server that understood `initialize` is never sent `list_tools`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rmcp::RoleClient;
use rmcp::model::ProtocolVersion;
use rmcp::service::{ClientInitializeError, ClientLifecycleMode, ClientServiceExt, RunningService};
use rmcp::transport::Transport;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::chat::{Limits, Wiretap};
use crate::config::{self, Era, Secret, ServerEntry, Source};

use super::bare::Bare;
use super::child::{self, Child};
use super::connection::{Connection, Info, Link};
use super::event::LogLevel;
use super::failure::{Failure, FailureKind};
use super::handler::Handler;
use super::http::{self, Authorise, Params, SseTransport};
use super::inquiry::{Asker, Inquiries, Roots};
use super::report::Reporter;
use super::stdio::StdioTransport;
use super::tap::{Ear, Tap};
use super::watchdog::Watchdog;
use super::watches::Watches;

/// How long a server over HTTP may think about `server/discover`. The SDK gives one over stdio as long.
const PROBE: Duration = Duration::from_secs(10);
/// How many lines of its standard error a failed server's status shows.
pub(super) const STDERR_LINES: usize = 12;

/// What a server speaks. Remembered per entry: finding out can cost an old server ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Way {
    /// `server/discover`, from 2026-07-28.
    Modern,
    /// `initialize`, up to 2025-11-25.
    Legacy,
    /// The same over HTTP+SSE.
    Sse,
    /// `list_tools` and `call_tool`, no MCP at all.
    SimpleRpc,
}

/// A connection with what must be ended at its end.
pub(super) struct Opened {
    pub connection: Arc<Connection>,
    /// None: the dialect needs no attendance.
    pub service: Option<RunningService<RoleClient, Handler>>,
    pub child: Option<Child>,
    pub info: Arc<Info>,
    pub tools_changed: Arc<Notify>,
}

/// What is needed to open connections to one server.
pub(super) struct Opener<'a> {
    pub entry: &'a ServerEntry,
    pub http: &'a reqwest::Client,
    /// Where somebody signs in to the server.
    pub authorise: Option<&'a Arc<dyn Authorise>>,
    pub limits: &'a Limits,
    pub reporter: &'a Reporter,
    pub generation: u64,
    pub watchdog: Option<&'a Arc<Watchdog>>,
    pub inquiries: &'a Inquiries,
    pub roots: &'a Roots,
    pub wiretap: Option<&'a Arc<dyn Wiretap>>,
    pub watches: &'a Watches,
}

/// A failed attempt, with what the server last said.
pub(super) struct OpenError {
    pub failure: Failure,
    pub stderr: Vec<String>,
    /// Another way of greeting it may work.
    onward: bool,
}

impl From<Failure> for OpenError {
    fn from(failure: Failure) -> Self {
        Self { failure, stderr: Vec::new(), onward: false }
    }
}

impl Opener<'_> {
    /// Opens a connection. Bounded by the caller; dropping the future ends the child.
    pub(super) async fn open(&self, known: Option<Way>) -> Result<Opened, OpenError> {
        match &self.entry.transport {
            config::Transport::Stdio { command, args, env, cwd } => {
                for mode in modes(self.entry.era, known) {
                    let last = mode.1;
                    match self.stdio(command, args, env, cwd.as_deref(), mode.0).await {
                        Err(error) if error.onward && !last => {}
                        settled => return settled,
                    }
                }
                Err(Failure::new(FailureKind::Protocol, "it was greeted in no way").into())
            }
            config::Transport::Http { url, headers } => self.over_http(url, headers, known).await,
            config::Transport::Sse { url, headers } => self.attempt(Way::Sse, url, headers).await,
            config::Transport::SimpleRpc { url, headers } => self.attempt(Way::SimpleRpc, url, headers).await,
        }
    }

    async fn stdio(
        &self,
        command: &str,
        args: &[String],
        env: &BTreeMap<String, Secret>,
        cwd: Option<&std::path::Path>,
        mode: ClientLifecycleMode,
    ) -> Result<Opened, OpenError> {
        let tap = self.tap();
        let keep = usize::try_from(self.limits.stderr).unwrap_or(usize::MAX);
        let (child, pipes) = child::spawn(command, args, env, cwd, keep, self.watchdog.cloned())?;
        let transport = StdioTransport::new(pipes.stdout, pipes.stdin, tap.clone(), self.reporter.clone(), self.line());
        self.greet(transport, mode, tap, None, Some(child)).await
    }

    /// Tries one way after the other. Where all fail, what `initialize` met says most.
    async fn over_http(
        &self,
        url: &str,
        headers: &BTreeMap<String, Secret>,
        known: Option<Way>,
    ) -> Result<Opened, OpenError> {
        let mut ways: Vec<Way> = match self.entry.era {
            Some(Era::Modern) => vec![Way::Modern],
            Some(Era::Legacy) => vec![Way::Legacy, Way::Sse],
            None if matches!(self.entry.source, Source::Project(_)) => vec![Way::Modern, Way::Legacy, Way::Sse],
            None => vec![Way::Modern, Way::Legacy, Way::Sse, Way::SimpleRpc],
        };
        if let Some(at) = known.and_then(|known| ways.iter().position(|way| *way == known)) {
            ways[..=at].rotate_right(1);
        }
        let mut told: Option<OpenError> = None;
        for way in ways {
            // HTTP+SSE is looked for only where a POST has no place (404, 405) or no meaning (400).
            if way == Way::Sse
                && let Some(FailureKind::Status(status)) = told.as_ref().map(|error| error.failure.kind)
                && !matches!(status, 400 | 404 | 405)
            {
                continue;
            }
            match self.attempt(way, url, headers).await {
                Ok(opened) => {
                    self.remark(way);
                    return Ok(opened);
                }
                Err(error) => {
                    let onward = error.onward;
                    if told.is_none() || way == Way::Legacy || !onward {
                        told = Some(error);
                    }
                    if !onward {
                        break;
                    }
                }
            }
        }
        Err(told.unwrap_or_else(|| Failure::new(FailureKind::Protocol, "it was greeted in no way").into()))
    }

    fn remark(&self, way: Way) {
        match way {
            Way::Modern | Way::Legacy => {}
            Way::Sse => self.reporter.log(LogLevel::Info, || {
                "it speaks HTTP+SSE, which the protocol deprecates: ask its makers for Streamable HTTP".to_owned()
            }),
            Way::SimpleRpc => self.reporter.log(LogLevel::Info, || {
                "it speaks no MCP, but list_tools and call_tool: say so with transport = \"simple-rpc\"".to_owned()
            }),
        }
    }

    async fn attempt(&self, way: Way, url: &str, headers: &BTreeMap<String, Secret>) -> Result<Opened, OpenError> {
        let authorise = self.authorise.filter(|_| way != Way::SimpleRpc).cloned();
        let (tap, params) = (self.tap(), Params::default());
        let door = http::door(self.http, url, headers, authorise, tap.clone(), self.event())?;
        match way {
            Way::Modern => {
                let mode = ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
                let transport = http::streamable(door, url, tap.clone(), params.clone());
                let greeted = self.greet(transport, mode, tap, Some(params), None);
                tokio::time::timeout(PROBE, greeted).await.unwrap_or_else(|_| {
                    let failure = Failure::new(FailureKind::TimedOut, "it does not answer server/discover");
                    Err(OpenError { onward: true, ..failure.into() })
                })
            }
            Way::Legacy => {
                let transport = http::streamable(door, url, tap.clone(), params.clone());
                self.greet(transport, ClientLifecycleMode::Initialize, tap, Some(params), None).await
            }
            Way::Sse => {
                let transport = SseTransport::open(door, url, tap.clone()).await.map_err(|error| {
                    let failure = Failure::of_transport(&error);
                    OpenError { onward: is_soft(failure.kind), ..failure.into() }
                })?;
                let opened = self.greet(transport, ClientLifecycleMode::Initialize, tap, None, None).await;
                // Whoever names an address to post to is a server of that kind, and no other.
                opened.map_err(|error| OpenError { onward: false, ..error })
            }
            Way::SimpleRpc => {
                let bare = Bare::new(door, url, self.entry.jsonrpc, tap);
                bare.list_tools().await?;
                let link = Link::Bare(bare);
                let (asker, generation) = (self.asker(), self.generation);
                let connection = Connection {
                    link,
                    way,
                    late_replies: false,
                    asker,
                    log_level: Mutex::default(),
                    generation,
                    as_tasks: Mutex::default(),
                };
                Ok(Opened {
                    connection: Arc::new(connection),
                    service: None,
                    child: None,
                    info: Arc::new(Info::bare()),
                    tools_changed: Arc::default(),
                })
            }
        }
    }

    fn tap(&self) -> Tap {
        let ear = self.wiretap.map(|tap| Ear {
            server: self.entry.name.clone(),
            connection: self.generation,
            tap: Arc::clone(tap),
        });
        Tap::new(ear, self.watches.clone())
    }

    fn asker(&self) -> Asker {
        Asker::new(self.inquiries.clone(), self.entry.name.clone(), self.reporter.clone())
            .offering(self.roots, &self.entry.features)
    }

    fn line(&self) -> usize {
        usize::try_from(self.limits.line).unwrap_or(usize::MAX)
    }

    fn event(&self) -> usize {
        usize::try_from(self.limits.event).unwrap_or(usize::MAX)
    }

    async fn greet<T>(
        &self,
        transport: T,
        mode: ClientLifecycleMode,
        tap: Tap,
        params: Option<Params>,
        child: Option<Child>,
    ) -> Result<Opened, OpenError>
    where
        T: Transport<RoleClient> + 'static,
    {
        let tools_changed = Arc::new(Notify::new());
        let asker = self.asker();
        let handler = Handler::new(self.reporter.clone(), tools_changed.clone(), asker.clone(), tap.clone())
            .announcing_roots(!matches!(mode, ClientLifecycleMode::Discover { .. }));
        let streamable = params.is_some();
        let greeting = Greeting::of(&mode, child.is_some());
        let service = match handler.serve_with_lifecycle(transport, mode).await {
            Ok(service) => service,
            Err(error) => return Err(failed(&error, greeting, child).await),
        };
        let Some(info) = service.peer().peer_info() else {
            let failure = Failure::new(FailureKind::Protocol, "it did not introduce itself");
            return Err(refused(service, child, failure).await);
        };
        if !ProtocolVersion::KNOWN_VERSIONS.contains(&info.protocol_version) {
            let failure = Failure::version(info.protocol_version.as_str());
            return Err(refused(service, child, failure).await);
        }
        let way = match (info.protocol_version.has_initialize(), streamable || child.is_some()) {
            (false, _) => Way::Modern,
            (true, true) => Way::Legacy,
            (true, false) => Way::Sse,
        };
        let link = Link::Mcp { peer: service.peer().clone(), tap, params };
        // Over Streamable HTTP the stream of a cancelled request is gone, and its answer with it.
        let (late_replies, generation) = (!streamable, self.generation);
        let (log_level, as_tasks) = (Mutex::default(), Mutex::default());
        let connection = Connection { link, way, late_replies, asker, log_level, generation, as_tasks };
        let (connection, info) = (Arc::new(connection), Arc::new(Info::of(&info)));
        Ok(Opened { connection, service: Some(service), child, info, tools_changed })
    }
}

/// The ways to greet a server over stdio, and of each whether it is the last.
fn modes(era: Option<Era>, known: Option<Way>) -> Vec<(ClientLifecycleMode, bool)> {
    let versions = vec![ProtocolVersion::V_2026_07_28];
    let legacy = ClientLifecycleMode::Initialize;
    let auto = ClientLifecycleMode::Auto {
        preferred_versions: versions.clone(),
        legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
    };
    match (era, known) {
        (Some(Era::Legacy), _) => vec![(legacy, true)],
        (Some(Era::Modern), _) => vec![(ClientLifecycleMode::Discover { preferred_versions: versions }, true)],
        (None, Some(Way::Legacy)) => vec![(legacy, false), (auto, true)],
        (None, Some(Way::Modern | Way::Sse | Way::SimpleRpc) | None) => vec![(auto, false), (legacy, true)],
    }
}

/// What a server was greeted with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Greeting {
    /// Over stdio, in either era: what it refuses, it may take from a new process.
    Stdio,
    Discover,
    Initialize,
}

impl Greeting {
    fn of(mode: &ClientLifecycleMode, child: bool) -> Self {
        match mode {
            _ if child => Self::Stdio,
            ClientLifecycleMode::Initialize => Self::Initialize,
            _ => Self::Discover,
        }
    }
}

async fn failed(error: &ClientInitializeError, greeting: Greeting, child: Option<Child>) -> OpenError {
    let mut failure = Failure::of_handshake(error);
    let mut stderr = Vec::new();
    if let Some(mut child) = child {
        let status = child.exited(Duration::from_millis(300)).await;
        if let (FailureKind::Gone, Some(status)) = (failure.kind, status) {
            failure.reason = format!("it ended before it was ready ({status})");
            failure.exit = Some(status);
        }
        let tail = child.stderr();
        drop(child);
        stderr = tail.last(STDERR_LINES);
        if failure.kind == FailureKind::Gone && failure.hint.is_none() && !stderr.is_empty() {
            failure.hint = Some("Its last words are in its log.".to_owned());
        }
    }
    let broke = failure.kind == FailureKind::Gone && greeting == Greeting::Initialize;
    let onward = is_soft(failure.kind) && !broke && !understood(error, greeting);
    OpenError { failure, stderr, onward }
}

/// Whether a failure of this kind may be one of being spoken to in the wrong way.
fn is_soft(kind: FailureKind) -> bool {
    match kind {
        FailureKind::CannotStart | FailureKind::Unreachable | FailureKind::TimedOut => false,
        FailureKind::NeedsLogin | FailureKind::NeedsMore => false,
        FailureKind::Status(429 | 500..) | FailureKind::SessionEnded => false,
        FailureKind::Protocol | FailureKind::Gone | FailureKind::Status(_) => true,
    }
}

/// Whether a server that refused understood what it refused: then it speaks MCP, but not with us. The errors of
/// 2026-07-28 (-32022 to -32020) say so; of `initialize` over HTTP any that finds fault with more than the method or the
/// message.
fn understood(error: &ClientInitializeError, greeting: Greeting) -> bool {
    /// Cannot be parsed, is not a request, names no method; and no code at all.
    const NOT_UNDERSTOOD: &[i32] = &[-32700, -32600, -32601, 0];
    const MODERN: std::ops::RangeInclusive<i32> = -32022..=-32020;
    match error {
        ClientInitializeError::NoCompatibleProtocolVersion { .. } => true,
        ClientInitializeError::JsonRpcError(error) => {
            let code = error.code.0;
            MODERN.contains(&code) || (greeting == Greeting::Initialize && !NOT_UNDERSTOOD.contains(&code))
        }
        _ => false,
    }
}

async fn refused(
    mut service: RunningService<RoleClient, Handler>,
    child: Option<Child>,
    failure: Failure,
) -> OpenError {
    let _ = service.close_with_timeout(Duration::from_secs(3)).await;
    if let Some(child) = child {
        child.end().await;
    }
    failure.into()
}
