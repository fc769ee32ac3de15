//! A command line of the person's own, in their shell.
//!
//! # Invariants
//! - It has the terminal neither for reading nor for writing: its input is empty, its outputs are pipes.
//! - It ends with its group when it is stopped, when a limit acts, and when the program is left.

use std::collections::HashMap;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::sync::oneshot;

use crate::app::Ran;
use crate::chat::{Fault, FaultKind, Limits, duration_text};

/// Runs a command line to its end. It is stopped when `stop` is told, or dropped.
///
/// # Errors
/// Where the shell cannot be started.
pub(super) async fn run(
    command: String,
    folder: std::path::PathBuf,
    limits: Arc<Limits>,
    stop: oneshot::Receiver<()>,
) -> Result<Ran, Fault> {
    let mut group = Group::start(&command, &folder).map_err(|error| {
        Fault::new(FaultKind::Usage, format!("the shell did not start: {error}"))
            .hint("$SHELL names the one that is used; without it, sh.")
    })?;
    let most = usize::try_from(limits.command_output).unwrap_or(usize::MAX);
    let (mut out, mut err) = (group.child.stdout().take(), group.child.stderr().take());
    let mut kept = Kept::new(most);
    let mut ended = None;
    let exited = {
        let reading = async {
            let (mut first, mut second) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
            while out.is_some() || err.is_some() {
                tokio::select! {
                    read = next(&mut out, &mut first) => kept.take(&first[..read]),
                    read = next(&mut err, &mut second) => kept.take(&second[..read]),
                }
            }
        };
        let limit = tokio::time::sleep(limits.command);
        tokio::pin!(reading, limit, stop);
        // It may close its pipes and go on, or end while a child of it holds them.
        let mut closed = false;
        let mut exited: Option<std::io::Result<ExitStatus>> = None;
        while !closed || exited.is_none() {
            tokio::select! {
                biased;
                _ = &mut stop => {
                    ended = Some("stopped".to_owned());
                    break;
                }
                () = &mut limit => {
                    ended = Some(format!("stopped after {} (limit command)", duration_text(limits.command)));
                    break;
                }
                () = &mut reading, if !closed => closed = true,
                status = group.child.wait(), if exited.is_none() => {
                    exited = Some(status);
                    limit.as_mut().reset(tokio::time::Instant::now() + AFTER_EXIT);
                }
            }
        }
        exited
    };
    if exited.is_some() {
        // What is left of its group has had its time: it ended by itself.
        ended = None;
    }
    group.end().await;
    let code = exited.and_then(Result::ok).and_then(|status| status.code());
    Ok(Ran { code, output: kept.text(), ended })
}

/// The commands that run, each stopped by itself.
#[derive(Debug, Default)]
pub(super) struct Running(HashMap<u64, oneshot::Sender<()>>);

impl Running {
    /// One more runs; the receiver is for [`run`].
    pub(super) fn begin(&mut self, generation: u64) -> oneshot::Receiver<()> {
        self.0.retain(|_, stop| !stop.is_closed());
        let (told, stop) = oneshot::channel();
        self.0.insert(generation, told);
        stop
    }

    /// Stops that one. What becomes of it is told by itself.
    pub(super) fn stop(&mut self, generation: u64) {
        drop(self.0.remove(&generation));
    }

    pub(super) fn stop_all(&mut self) {
        self.0.clear();
    }
}

/// The shell and all that it started. Dropped before its end, it is killed whole.
struct Group {
    child: Box<dyn ChildWrapper>,
    /// Who leads it, until it was ended: the number may belong to another one afterwards.
    #[cfg(unix)]
    leader: Option<u32>,
}

impl Group {
    fn start(command: &str, folder: &Path) -> std::io::Result<Self> {
        let mut wrapped = CommandWrap::from({
            let (shell, flag) = shell();
            let mut line = Command::new(shell);
            line.arg(flag).arg(command).current_dir(folder);
            line.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            line
        });
        wrapped.wrap(KillOnDrop);
        #[cfg(unix)]
        wrapped.wrap(process_wrap::tokio::ProcessGroup::leader());
        #[cfg(windows)]
        wrapped.wrap(process_wrap::tokio::JobObject);
        let child = wrapped.spawn()?;
        Ok(Self {
            #[cfg(unix)]
            leader: child.id(),
            child,
        })
    }

    /// Kills what is left of it.
    async fn end(mut self) {
        let _ = self.child.start_kill();
        if tokio::time::timeout(AFTER_EXIT, self.child.wait()).await.is_ok() {
            #[cfg(unix)]
            self.leader.take();
        }
    }
}

/// Elsewhere than on Unix, the job object does this.
#[cfg(unix)]
impl Drop for Group {
    fn drop(&mut self) {
        crate::mcp::signal_group(self.leader, rustix::process::Signal::KILL);
    }
}

/// How long its pipes are read when it has ended, where somebody else holds them.
const AFTER_EXIT: std::time::Duration = std::time::Duration::from_millis(300);

/// Reads a pipe; one that is closed is none any more.
async fn next(pipe: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> usize {
    let Some(open) = pipe else { return std::future::pending().await };
    match open.read(buffer).await {
        Ok(0) | Err(_) => {
            *pipe = None;
            0
        }
        Ok(read) => read,
    }
}

#[cfg(not(windows))]
fn shell() -> (std::ffi::OsString, &'static str) {
    (std::env::var_os("SHELL").filter(|shell| !shell.is_empty()).unwrap_or_else(|| "sh".into()), "-c")
}

#[cfg(windows)]
fn shell() -> (std::ffi::OsString, &'static str) {
    (std::env::var_os("COMSPEC").unwrap_or_else(|| "cmd".into()), "/C")
}

/// The head and the tail of what was written.
struct Kept {
    head: Vec<u8>,
    tail: std::collections::VecDeque<u8>,
    most: usize,
    left_out: u64,
}

impl Kept {
    fn new(most: usize) -> Self {
        Self { head: Vec::new(), tail: std::collections::VecDeque::new(), most, left_out: 0 }
    }

    fn take(&mut self, bytes: &[u8]) {
        let half = self.most / 2;
        let room = half.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..room]);
        self.tail.extend(&bytes[room..]);
        let over = self.tail.len().saturating_sub(self.most - half);
        self.tail.drain(..over);
        self.left_out += over as u64;
    }

    fn text(mut self) -> String {
        let mut all = String::from_utf8_lossy(&self.head).into_owned();
        if self.left_out > 0 {
            all.push_str(&format!("\n[{} bytes left out: limit command_output]\n", self.left_out));
        }
        all.push_str(&String::from_utf8_lossy(self.tail.make_contiguous()));
        all
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn check(command: &str, limits: Limits) -> Ran {
        let (_stay, stop) = oneshot::channel();
        run(command.to_owned(), std::env::temp_dir(), Arc::new(limits), stop)
            .await
            .unwrap_or_else(|fault| panic!("{fault:?}"))
    }

    #[tokio::test]
    async fn both_outputs_and_the_exit_code_are_told() {
        let ran = check("echo out; echo err >&2; exit 3", Limits::default()).await;
        assert_eq!((ran.code, ran.ended.as_deref()), (Some(3), None));
        assert!(ran.output.contains("out\n") && ran.output.contains("err\n"), "{ran:?}");
    }

    #[tokio::test]
    async fn it_has_no_input_and_is_kept_head_and_tail() {
        let limits = Limits { command_output: 100, ..Limits::default() };
        let ran = check("cat; printf head; head -c 100000 /dev/zero | tr '\\0' x; printf tail", limits).await;
        assert!(ran.output.starts_with("head") && ran.output.ends_with("tail"), "{ran:?}");
        assert!(ran.output.contains("[99908 bytes left out: limit command_output]"), "{ran:?}");
    }

    #[tokio::test]
    async fn a_limit_ends_it_with_its_children() {
        let limits = Limits { command: Duration::from_millis(200), ..Limits::default() };
        let began = std::time::Instant::now();
        let ran = check("echo begun; sleep 60 & sleep 60", limits).await;
        assert_eq!(ran.code, None);
        assert!(ran.ended.as_deref().is_some_and(|why| why.contains("limit command")), "{ran:?}");
        assert!(ran.output.contains("begun") && began.elapsed() < Duration::from_secs(20));
    }

    #[tokio::test]
    async fn its_person_stops_it() {
        let (told, stop) = oneshot::channel();
        let running = tokio::spawn(run("sleep 60".into(), std::env::temp_dir(), Arc::default(), stop));
        told.send(()).unwrap();
        assert_eq!(running.await.unwrap().unwrap().ended.as_deref(), Some("stopped"));
    }

    #[tokio::test]
    async fn with_its_outputs_closed_it_is_stopped_all_the_same() {
        const QUIET: &str = "exec >/dev/null 2>&1; sleep 60; :";
        const SOON: Duration = Duration::from_secs(20);
        let limits = Limits { command: Duration::from_millis(200), ..Limits::default() };
        let ran = tokio::time::timeout(SOON, check(QUIET, limits)).await.expect("the limit acts");
        assert!(ran.ended.as_deref().is_some_and(|why| why.contains("limit command")), "{ran:?}");

        let (told, stop) = oneshot::channel();
        let running = tokio::spawn(run(QUIET.into(), std::env::temp_dir(), Arc::default(), stop));
        tokio::time::sleep(Duration::from_millis(300)).await;
        told.send(()).expect("it runs");
        let ran = tokio::time::timeout(SOON, running).await.expect("its person stops it").unwrap().unwrap();
        assert_eq!(ran.ended.as_deref(), Some("stopped"));
    }

    #[tokio::test]
    async fn given_up_it_ends_with_its_group() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("held");
        // The child of the shell holds the pipe: it reads as closed once that child is gone.
        let (_stay, stop) = oneshot::channel();
        let command = "mkfifo held && { sleep 60 >held & } && wait";
        let running = tokio::spawn(run(command.into(), folder.path().into(), Arc::default(), stop));
        while !pipe.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let (opened, held) = oneshot::channel();
        let gone = tokio::task::spawn_blocking(move || {
            let mut file = std::fs::File::open(pipe).unwrap();
            opened.send(()).unwrap();
            std::io::Read::read_to_end(&mut file, &mut Vec::new()).unwrap()
        });
        held.await.unwrap();
        running.abort();
        let gone = tokio::time::timeout(Duration::from_secs(20), gone).await.expect("its child is gone");
        assert_eq!(gone.unwrap(), 0);
    }

    #[tokio::test]
    async fn of_several_each_is_stopped_by_itself() {
        let mut running = Running::default();
        let (mut first, mut second) = (running.begin(1), running.begin(2));
        running.stop(1);
        assert_eq!(first.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert_eq!(second.try_recv(), Err(oneshot::error::TryRecvError::Empty), "it goes on");
        running.stop_all();
        assert_eq!(second.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }

    #[tokio::test]
    async fn what_it_leaves_behind_does_not_hold_the_answer() {
        let began = std::time::Instant::now();
        let ran = check("echo done; sleep 60 &", Limits::default()).await;
        assert_eq!((ran.code, ran.output.as_str()), (Some(0), "done\n"));
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}
