//! A server that is a child process: how it is started, what it may know, how it is ended.
//!
//! # Invariants
//! - Never a shell: the command is found in PATH and executed with its arguments as they stand.
//! - The child sees PATH, HOME, locale and temporary folder, and what its entry names; nothing else of ours.
//! - It leads its own process group, and no way out of this module leaves a member of that group running.
//! - Its standard error never reaches the terminal.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop};
use tokio::io::AsyncReadExt;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use crate::config::Secret;

use super::Failure;
use super::watchdog::Watchdog;

/// How long a child is given after its stdin was closed, and again after SIGTERM.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// A running child. Dropping it kills its group at once; [`Child::end`] is the polite way.
pub(super) struct Child {
    inner: Box<dyn ChildWrapper>,
    pid: Option<u32>,
    tail: StderrTail,
    drain: JoinHandle<()>,
    watchdog: Option<Arc<Watchdog>>,
    /// Its group was ended and must not be signalled again: the number may belong to another one by now.
    ended: bool,
}

pub(super) struct Pipes {
    pub stdin: ChildStdin,
    pub stdout: ChildStdout,
}

/// Starts `command` with `args`; `keep` is how many bytes of its standard error are kept.
///
/// # Errors
/// Where the command or the folder does not exist, or the system refuses.
pub(super) fn spawn(
    command: &str,
    args: &[String],
    env: &BTreeMap<String, Secret>,
    cwd: Option<&Path>,
    keep: usize,
    watchdog: Option<Arc<Watchdog>>,
) -> Result<(Child, Pipes), Failure> {
    if let Some(folder) = cwd
        && !folder.is_dir()
    {
        return Err(Failure::cannot_start(format!("its folder {} does not exist", folder.display())));
    }
    let inherited = inherited(std::env::vars_os());
    let program = find(command, env, cwd, &inherited)?;
    let mut wrapped = CommandWrap::from({
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .envs(inherited)
            .envs(env.iter().map(|(name, value)| (name, value.expose())))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(folder) = cwd {
            command.current_dir(folder);
        }
        command
    });
    wrapped.wrap(KillOnDrop);
    #[cfg(unix)]
    wrapped.wrap(process_wrap::tokio::ProcessGroup::leader());
    #[cfg(windows)]
    wrapped.wrap(process_wrap::tokio::JobObject);
    let mut inner =
        wrapped.spawn().map_err(|error| Failure::cannot_start(format!("{command} did not start: {error}")))?;
    let pid = inner.id();
    let (stdin, stdout, stderr) = (inner.stdin().take(), inner.stdout().take(), inner.stderr().take());
    let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
        return Err(Failure::cannot_start(format!("{command} started without its pipes")));
    };
    if let (Some(watchdog), Some(pid)) = (&watchdog, pid) {
        watchdog.add(pid);
    }
    let tail = StderrTail::new(keep);
    let drain = tokio::spawn(drain(stderr, tail.clone()));
    Ok((Child { inner, pid, tail, drain, watchdog, ended: false }, Pipes { stdin, stdout }))
}

impl Child {
    pub(super) fn pid(&self) -> Option<u32> {
        self.pid
    }

    pub(super) fn stderr(&self) -> StderrTail {
        self.tail.clone()
    }

    /// Ends it: its stdin was closed by whoever held it; it is given [`GRACE`], then SIGTERM and [`GRACE`] again, then
    /// SIGKILL, each to the whole group. Returns how it exited, where that could be learned.
    pub(super) async fn end(mut self) -> Option<std::process::ExitStatus> {
        let mut status = self.exited(GRACE).await;
        if status.is_none() {
            self.terminate();
            status = self.exited(GRACE).await;
        }
        // Also where the leader went by itself: whatever it left in its group goes now.
        self.kill();
        if status.is_none() {
            status = self.exited(GRACE).await;
        }
        self.ended = status.is_some();
        // The pipe is closed now, unless something left the group and kept it: that is not waited for.
        let _ = tokio::time::timeout(Duration::from_millis(200), &mut self.drain).await;
        status
    }

    /// Waits for the leader, at most `limit`.
    pub(super) async fn exited(&mut self, limit: Duration) -> Option<std::process::ExitStatus> {
        tokio::time::timeout(limit, self.inner.wait()).await.ok()?.ok()
    }

    #[cfg(unix)]
    fn terminate(&self) {
        signal_group(self.pid, rustix::process::Signal::TERM);
    }

    #[cfg(not(unix))]
    fn terminate(&mut self) {}

    #[cfg(unix)]
    fn kill(&self) {
        signal_group(self.pid, rustix::process::Signal::KILL);
    }

    #[cfg(not(unix))]
    fn kill(&mut self) {
        if let Err(error) = self.inner.start_kill() {
            tracing::debug!(%error, "the child could not be killed");
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.ended {
            self.kill();
        }
        if let (Some(watchdog), Some(pid)) = (&self.watchdog, self.pid) {
            watchdog.remove(pid);
        }
        self.drain.abort();
    }
}

/// Signals a whole process group. A group that is gone already is no error.
#[cfg(unix)]
pub(crate) fn signal_group(leader: Option<u32>, signal: rustix::process::Signal) {
    let group = leader.and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
    // Group 1 would be init's: a child is never that, and a signal there would be a disaster in a container.
    if let Some(group) = group.filter(|group| group.as_raw_nonzero().get() > 1)
        && let Err(error) = rustix::process::kill_process_group(group, signal)
    {
        tracing::debug!(%error, "the group is gone");
    }
}

/// What of our environment a server may see.
fn inherited(ours: impl Iterator<Item = (OsString, OsString)>) -> Vec<(OsString, OsString)> {
    const NAMES: &[&str] = &["PATH", "HOME", "LANG", "LANGUAGE", "TMPDIR", "TMP", "TEMP"];
    /// Without these no program starts on Windows.
    const WINDOWS: &[&str] = &[
        "APPDATA",
        "COMSPEC",
        "HOMEDRIVE",
        "HOMEPATH",
        "LOCALAPPDATA",
        "PATHEXT",
        "PROGRAMDATA",
        "PROGRAMFILES",
        "SYSTEMDRIVE",
        "SYSTEMROOT",
        "USERPROFILE",
        "WINDIR",
    ];
    ours.filter(|(name, _)| {
        let Some(name) = name.to_str() else { return false };
        let upper = if cfg!(windows) { name.to_ascii_uppercase() } else { name.to_owned() };
        NAMES.contains(&upper.as_str()) || upper.starts_with("LC_") || (cfg!(windows) && WINDOWS.contains(&&*upper))
    })
    .collect()
}

/// Finds the program as the child would: in the PATH it is given, a relative path below its folder.
fn find(
    command: &str,
    env: &BTreeMap<String, Secret>,
    cwd: Option<&Path>,
    inherited: &[(OsString, OsString)],
) -> Result<PathBuf, Failure> {
    let path: Option<OsString> = env
        .get("PATH")
        .map(|path| OsString::from(path.expose()))
        .or_else(|| inherited.iter().find(|(name, _)| name == OsStr::new("PATH")).map(|(_, path)| path.clone()));
    let here = match cwd {
        Some(folder) => folder.to_owned(),
        None => std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
    };
    which::which_in(command, path, here).map_err(|_| {
        let hint = match command {
            "npx" | "node" | "npm" => Some("Install Node.js, or give the full path in `command`."),
            "uvx" | "uv" => Some("Install uv (https://docs.astral.sh/uv), or give the full path in `command`."),
            "docker" | "podman" => Some("Install and start it, or give the full path in `command`."),
            _ => Some("Install it, or give its full path in `command`."),
        };
        Failure::cannot_start(format!("the command {command} was not found")).hinted(hint)
    })
}

/// The last bytes of a standard error; clones share them.
#[derive(Clone, Debug)]
pub(super) struct StderrTail(Arc<Mutex<Ring>>, usize);

#[derive(Debug, Default)]
struct Ring {
    bytes: VecDeque<u8>,
    /// How many came in all.
    total: u64,
}

impl StderrTail {
    pub(super) fn new(keep: usize) -> Self {
        Self(Arc::default(), keep)
    }

    fn push(&self, bytes: &[u8]) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.total += bytes.len() as u64;
        let ring = &mut ring.bytes;
        let bytes = &bytes[bytes.len().saturating_sub(self.1)..];
        let over = (ring.len() + bytes.len()).saturating_sub(self.1);
        ring.drain(..over);
        ring.extend(bytes);
    }

    /// How many bytes are kept, and how many were let go.
    pub(super) fn counts(&self) -> (u64, u64) {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = ring.bytes.len() as u64;
        (kept, ring.total - kept)
    }

    /// The last `lines` lines that hold anything; raw.
    pub(super) fn last(&self, lines: usize) -> Vec<String> {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = ring.bytes.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let mut found: Vec<String> =
            text.lines().rev().filter(|line| !line.trim().is_empty()).take(lines).map(str::to_owned).collect();
        found.reverse();
        found
    }
}

/// What the processes of a group hold in memory, bytes; None where the system does not tell.
#[cfg(target_os = "linux")]
pub(super) fn memory(leader: u32) -> Option<u64> {
    let mut sum = None;
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let path = process.path();
        // `pid (name) state parent group …`: the name may hold anything, a bracket too.
        let Ok(stat) = std::fs::read_to_string(path.join("stat")) else { continue };
        let group = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(2)?.parse().ok());
        if group != Some(leader) {
            continue;
        }
        let status = std::fs::read_to_string(path.join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes: u64 = line.and_then(|text| text.trim().strip_suffix("kB")?.trim().parse().ok()).unwrap_or(0);
        sum = Some(sum.unwrap_or(0) + kilobytes * 1024);
    }
    sum
}

#[cfg(not(target_os = "linux"))]
pub(super) fn memory(_: u32) -> Option<u64> {
    None
}

async fn drain(mut stderr: ChildStderr, tail: StderrTail) {
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = stderr.read(&mut buffer).await {
        tail.push(&buffer[..n]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_told_little_of_us() {
        let ours = [
            "PATH",
            "HOME",
            "LC_TIME",
            "LANG",
            "TMPDIR",
            "OPENAI_API_KEY",
            "AWS_SECRET",
            "SSH_AUTH_SOCK",
            "LD_PRELOAD",
        ];
        let kept: Vec<_> =
            inherited(ours.iter().map(|name| (name.into(), "x".into()))).into_iter().map(|(name, _)| name).collect();
        assert_eq!(kept, ["PATH", "HOME", "LC_TIME", "LANG", "TMPDIR"]);
    }

    #[test]
    fn the_tail_keeps_the_end() {
        let tail = StderrTail::new(12);
        tail.push(b"a long first line\n");
        tail.push(b"two\n\n");
        tail.push("drei\u{e4}\n".as_bytes());
        assert_eq!(tail.last(9), ["two", "drei\u{e4}"]);
        assert_eq!(tail.last(1), ["drei\u{e4}"]);
        tail.push(&[b'x'; 100]);
        assert_eq!(tail.last(9), ["x".repeat(12)]);
    }

    #[test]
    fn a_missing_command_says_what_to_install() {
        let failure = spawn("uvx-nope", &[], &BTreeMap::new(), None, 64, None).err().unwrap();
        assert_eq!(failure.reason, "the command uvx-nope was not found");
        let none = BTreeMap::from([("PATH".to_owned(), Secret::new("/nonexistent"))]);
        let failure = spawn("npx", &[], &none, None, 64, None).err().unwrap();
        assert_eq!(failure.hint.as_deref(), Some("Install Node.js, or give the full path in `command`."));
    }
}
