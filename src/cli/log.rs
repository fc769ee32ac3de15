//! The log file: asked for with `--log`, `--log-level` or `MILLRACE_LOG`, never on the screen.
//!
//! # Invariants
//! - Only this program's own records are kept: libraries may log what they send, and with it secrets and arguments.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

use super::args::LogArgs;
use crate::chat::{Fault, FaultKind};
use crate::config::{Paths, nearest};

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Starts the log where one was asked for: to `--log FILE`, else to `millrace.log` in the state folder.
///
/// # Errors
/// `Usage` for a level that is none, `Config` where the file cannot be opened.
pub fn start(args: &LogArgs, env: &BTreeMap<String, String>, paths: &Paths) -> Result<(), Fault> {
    let level = args.log_level.clone().or_else(|| env.get("MILLRACE_LOG").filter(|v| !v.trim().is_empty()).cloned());
    if args.log.is_none() && level.is_none() {
        return Ok(());
    }
    let level = level.unwrap_or_else(|| "info".to_owned()).to_ascii_lowercase();
    if !LEVELS.contains(&level.as_str()) {
        let near = nearest(&level, LEVELS).map_or_else(|| LEVELS.join(", "), |near| format!("Did you mean {near}?"));
        return Err(Fault::new(FaultKind::Usage, format!("{level:?} is not a level of the log")).hint(near));
    }
    let path = args.log.clone().unwrap_or_else(|| paths.state.join("millrace.log"));
    let open = || {
        if args.log.is_none() {
            Paths::make(&paths.state)?;
        }
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        options.open(&path)
    };
    let cannot = |error: &dyn std::fmt::Display| {
        Fault::new(FaultKind::Config, format!("cannot write the log {}: {error}", path.display()))
    };
    let file = open().map_err(|error| cannot(&error))?;
    let filter = EnvFilter::try_new(format!("off,millrace={level}")).map_err(|error| cannot(&error))?;
    // A second start in one process keeps the first log.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(Mutex::new(file)).try_init();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_is_logged() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let env = BTreeMap::new();
        start(&LogArgs::default(), &env, &paths).unwrap();
        assert!(!paths.state.exists());
        let wrong = LogArgs { log_level: Some("inof".into()), ..LogArgs::default() };
        let fault = start(&wrong, &env, &paths).unwrap_err();
        assert_eq!((fault.kind, fault.hint.as_deref()), (FaultKind::Usage, Some("Did you mean info?")));
        start(&LogArgs { log_level: Some("debug".into()), ..LogArgs::default() }, &env, &paths).unwrap();
        tracing::warn!(target: "rmcp::service", "hunter2");
        tracing::debug!(target: "millrace::config", "kept");
        let text = std::fs::read_to_string(paths.state.join("millrace.log")).unwrap();
        assert!(text.contains("kept") && !text.contains("hunter2"), "{text}");
    }
}
