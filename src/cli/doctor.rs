//! `millrace doctor`: gathers the facts, has them judged, prints the report.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::chat::{Fault, FaultKind, Limits, ServerName, ServerState, ServerStatus};
use crate::config::{Config, ConfigError, Resolved, ServerEntry, Severity};
use crate::doctor::{self, Check, ConfigFacts, Finding, Report, Status, StoreFacts, TerminalFacts};
use crate::mcp::{Host, HostEvent};
use crate::net::Http;
use crate::store::{OpenMode, Store, StoreError};

use super::args::DoctorArgs;
use super::endpoint::{endpoint, http, keyed, unchosen};
use super::setup::{Setup, environment, paths};
use super::window;

/// Beyond a server's own limit for its start: it tells of its failure itself.
const SPARE: Duration = Duration::from_secs(2);

/// Looks at everything and prints what was found; 1 where something is broken.
///
/// # Errors
/// Where there is no home folder, or no runtime.
pub fn run(args: &DoctorArgs) -> Result<u8, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fault::new(FaultKind::Internal, format!("the runtime cannot start: {error}")))?;
    let report = runtime.block_on(look(args))?;
    let text = if args.json { format!("{}\n", report.to_json()) } else { report.to_text() };
    let mut out = io::stdout().lock();
    // A reader that has seen enough is no error.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    Ok(report.exit_code())
}

async fn look(args: &DoctorArgs) -> Result<Report, Fault> {
    let env = environment();
    let paths = paths(&env)?;
    let mut report = Report::default();
    report.add(doctor::terminal(&TerminalFacts {
        stdin_terminal: io::stdin().is_terminal(),
        stdout_terminal: io::stdout().is_terminal(),
        size: window::size(),
        variable: &|name| env.get(name).cloned(),
        program: &|name| which::which(name).is_ok(),
    }));
    let file = paths.config_file();
    let mut facts = ConfigFacts { path: paths.show(&file), exists: file.exists(), findings: Vec::new() };
    let problems = match Config::load(&file) {
        Ok((_, problems)) | Err(ConfigError::Bad { problems }) => problems,
        // `Setup::load` below says why it cannot be read.
        Err(ConfigError::Io { .. }) => Vec::new(),
    };
    facts.findings.extend(problems.iter().map(|problem| Finding {
        error: problem.severity == Severity::Error,
        place: format!("{}:{}:{}", paths.show(&problem.file), problem.line, problem.column),
        message: format!("{}; {}", problem.message, problem.label),
    }));
    let resolved = Setup::load().and_then(|setup| Ok((setup.resolve_endpoint(&args.endpoint)?, setup)));
    match &resolved {
        Ok(_) => report.add(doctor::configuration(&facts)),
        Err(_) if facts.findings.iter().any(|finding| finding.error) => report.add(doctor::configuration(&facts)),
        Err(fault) => {
            let fix = fault.hint.clone().unwrap_or_else(|| "`millrace config edit` opens it.".into());
            report.add([Check::not_ok("configuration", Status::Broken, fault.message.clone(), fix)]);
        }
    }
    report.add(store(&paths.store_file(), &paths.show(&paths.store_file()), args).await);
    let Ok((resolved, setup)) = resolved else { return Ok(report) };
    let http = http(&resolved);
    report.add(ask_endpoint(&setup, &resolved, &http).await);
    for status in servers(&http, &setup, &resolved).await? {
        report.add([doctor::server(&status)]);
    }
    Ok(report)
}

async fn ask_endpoint(setup: &Setup, resolved: &Resolved, http: &Http) -> Vec<Check> {
    if let Err(fault) = keyed(setup, resolved) {
        // Nobody chose the one that stands in for none: whether it can be reached says nothing.
        return match (&resolved.profile, unchosen(setup, resolved)) {
            (None, Some(fix)) => vec![Check::not_ok("endpoint", Status::Warn, "none of the profiles is chosen", fix)],
            (None, None) => doctor::endpoint(http, None, None).await,
            (Some(_), _) => {
                let fix = fault.hint.unwrap_or_default();
                vec![Check::not_ok("endpoint.key", Status::Broken, fault.message, fix)]
            }
        };
    }
    match endpoint(setup, resolved).await {
        Ok(endpoint) => doctor::endpoint(http, Some(&endpoint), resolved.model.as_deref()).await,
        Err(fault) => {
            let fix = fault.hint.unwrap_or_else(|| "Check the address and where its key comes from.".into());
            vec![Check::not_ok("endpoint", Status::Broken, fault.message, fix)]
        }
    }
}

/// A store that is there is opened as any other command opens it; one that is not is not made. A damaged one is
/// replaced only where that was asked for.
async fn store(path: &Path, shown: &str, args: &DoctorArgs) -> Vec<Check> {
    if !path.exists() {
        return vec![Check::ok("store", format!("none yet; it will be {shown}"))];
    }
    let mut found = facts(path, shown, args.vacuum).await;
    let damaged = matches!(&found, Err(StoreError::Corrupt { .. }) | Ok(StoreFacts { damage: Some(_), .. }));
    let mut checks = Vec::new();
    if args.repair && damaged {
        match Store::salvage(path) {
            Ok(salvaged) => checks.push(Check::ok("store", salvaged.to_string())),
            Err(error) => return vec![doctor::store(Err(&error.fault()))],
        }
        found = facts(path, shown, args.vacuum).await;
    }
    checks.push(doctor::store(found.as_ref().map_err(|error| error.fault()).as_ref().copied()));
    checks
}

async fn facts(path: &Path, shown: &str, vacuum: bool) -> Result<StoreFacts, StoreError> {
    let store = Store::open(path, OpenMode::Write)?;
    if vacuum {
        store.vacuum().await?;
    }
    let conversations = store.count(None).await? as u64;
    let damage = match store.check().await {
        // A page that the check itself could not read.
        Err(StoreError::Corrupt { detail, .. }) => Some(detail),
        checked => checked?,
    };
    let space = store.space().await?;
    store.close().await?;
    Ok(StoreFacts {
        path: shown.to_owned(),
        conversations,
        writable: true,
        damage,
        bytes: space.bytes,
        free: space.free,
    })
}

/// Starts every server that may start and waits until each has come to a state that lasts.
async fn servers(http: &Http, setup: &Setup, resolved: &Resolved) -> Result<Vec<ServerStatus>, Fault> {
    let entries: &[ServerEntry] = &resolved.servers;
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let limits: Arc<Limits> = Arc::new(resolved.limits.clone());
    let (host, mut events) = Host::new(http.ready().await?, Arc::clone(&limits), None);
    let host = host.signed_in_by(setup.sign_ins(&limits)).once();
    let host = match std::env::current_exe() {
        Ok(program) => host.watched_by(&program),
        Err(_) => host,
    };
    for entry in entries {
        host.start(entry.clone());
    }
    let mut last: BTreeMap<ServerName, ServerStatus> = BTreeMap::new();
    let until = Instant::now() + limits.server_start + SPARE;
    let lasting = |status: &ServerStatus| status.state != ServerState::Starting;
    while last.len() < entries.len() || !last.values().all(lasting) {
        match timeout_at(until, events.recv()).await {
            Ok(Some(HostEvent::Status(status))) => {
                last.insert(status.server.clone(), status);
            }
            Ok(Some(
                HostEvent::Listing(_)
                | HostEvent::Log { .. }
                | HostEvent::Inquiry(_)
                | HostEvent::InquiryEnded { .. }
                | HostEvent::News { .. }
                | HostEvent::SignIn { .. },
            )) => {}
            Ok(None) | Err(_) => break,
        }
    }
    host.shutdown().await;
    Ok(last.into_values().collect())
}
