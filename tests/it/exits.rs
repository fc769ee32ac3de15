//! No descendant of a server that stays in its group outlives any way out of the program: five seconds later there is
//! none, children that ignore signals and their children included.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace::chat::{Limits, ServerState};
use millrace::config::{Secret, ServerEntry, Transport};
use millrace::mcp::{Host, HostEvent};
use serde_json::json;

use super::mcp::PRELUDE;
use super::tui::{Terminal, open};

/// What no descendant may live beyond, after the program has ended.
const AFTER: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(30);

/// A server with a child and a grandchild that ignore every polite signal and keep all pipes open, as launchers of
/// launchers do. Every process of it has `mark` among its arguments.
struct Brood {
    folder: tempfile::TempDir,
    mark: String,
}

impl Brood {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mark = format!("brood-{name}-{}", std::process::id());
        let write = |file: &str, text: String| std::fs::write(folder.path().join(file), text).unwrap();
        let stubborn = "trap '' TERM HUP INT\n";
        write("grandchild.sh", format!("{stubborn}while :; do sleep 0.2; done\n"));
        write("child.sh", format!("{stubborn}sh \"$1/grandchild.sh\" \"$1\" \"$2\" &\nwhile :; do sleep 0.2; done\n"));
        let start = "sh \"$1/child.sh\" \"$1\" \"$2\" &\n";
        write("server.sh", format!("{PRELUDE}LOG=/dev/null\n{stubborn}{start}serve\nwhile :; do sleep 0.2; done\n"));
        let brood = Self { folder, mark };
        std::fs::create_dir(brood.home().join("config")).unwrap();
        std::fs::write(brood.home().join("config/config.toml"), brood.config()).unwrap();
        brood
    }

    fn home(&self) -> &Path {
        self.folder.path()
    }

    fn args(&self) -> Vec<String> {
        let folder = self.folder.path().display().to_string();
        vec![format!("{folder}/server.sh"), folder, self.mark.clone()]
    }

    fn config(&self) -> String {
        format!("[store]\nsave = false\n\n[servers.brood]\ncommand = \"sh\"\nargs = {}\n", json!(self.args()))
    }

    /// Those of its processes that live.
    fn members(&self) -> Vec<PathBuf> {
        let all = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        all.filter(|process| {
            let words = std::fs::read(process.join("cmdline")).unwrap_or_default();
            words.split(|byte| *byte == 0).any(|word| word == self.mark.as_bytes())
        })
        .collect()
    }

    fn wait_until_whole(&self) {
        let until = Instant::now() + PATIENCE;
        // A loop's `sleep` has no mark: these are the three shells.
        while self.members().len() < 3 {
            assert!(Instant::now() < until, "only {:?} of {} began", self.members(), self.mark);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    fn assert_gone(&self) {
        let until = Instant::now() + AFTER;
        while !self.members().is_empty() {
            assert!(Instant::now() < until, "{:?} live on five seconds later", self.members());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Brood {
    fn drop(&mut self) {
        // A test that failed leaves nothing behind either.
        for process in self.members() {
            let pid = process.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

/// The chat screen with the server up.
fn screen(brood: &Brood) -> Terminal {
    let home = brood.home().display().to_string();
    let terminal =
        open(&["--base-url", "http://127.0.0.1:9/v1", "-m", "none"], (100, 30), &[("MILLRACE_HOME", home.as_str())]);
    terminal.wait_for("brood");
    brood.wait_until_whole();
    terminal
}

#[test]
fn quitting_the_screen_leaves_nothing() {
    for (name, keys) in [("ctrl-c", "\x03\x03\x03"), ("ctrl-d", "\x04"), ("slash", "/quit\r")] {
        let brood = Brood::new(name);
        let mut terminal = screen(&brood);
        terminal.type_in(keys);
        assert_eq!(terminal.ended().0.exit_code(), 0, "{name}");
        brood.assert_gone();
    }
}

/// An endpoint that takes the request and never says a word; ctrl+c stops the turn, and twice more leaves.
#[test]
fn ctrl_c_ends_it_while_a_turn_hangs() {
    let brood = Brood::new("hangs");
    let home = brood.home().display().to_string();
    let endpoint = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", endpoint.local_addr().unwrap());
    let mut terminal =
        open(&["--base-url", &url, "-m", "none", "hello"], (100, 30), &[("MILLRACE_HOME", home.as_str())]);
    terminal.wait_for("waiting");
    brood.wait_until_whole();
    let _held = endpoint.accept().unwrap();
    let began = Instant::now();
    terminal.type_in("\x03\x03\x03");
    while !terminal.has_ended() {
        assert!(began.elapsed() < PATIENCE, "it hangs:\n{}", terminal.screen());
        std::thread::sleep(Duration::from_millis(10));
    }
    terminal.assert_given_back();
    assert_eq!(terminal.ended().0.exit_code(), 0);
    brood.assert_gone();
}

#[test]
fn signals_to_the_screen_leave_nothing() {
    for (name, signal, code) in [("term", "-TERM", 143), ("hup", "-HUP", 129), ("int", "-INT", 130)] {
        let brood = Brood::new(name);
        let terminal = screen(&brood);
        terminal.signal(signal);
        assert_eq!(terminal.ended().0.exit_code(), code, "{name}");
        brood.assert_gone();
    }
}

#[test]
fn a_closed_window_leaves_nothing() {
    let brood = Brood::new("closed");
    let terminal = screen(&brood);
    let (mut child, _home) = terminal.close();
    child.wait();
    brood.assert_gone();
}

#[test]
fn kill_nine_leaves_nothing() {
    let brood = Brood::new("kill");
    let terminal = screen(&brood);
    terminal.signal("-KILL");
    terminal.ended();
    brood.assert_gone();
}

/// A command without a screen.
fn command(brood: &Brood, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
    command.args(args).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("MILLRACE_HOME", brood.home()).env("HOME", brood.home()).current_dir(brood.home());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn commands_leave_nothing() {
    for args in [&["mcp", "tools"][..], &["mcp", "test"], &["mcp", "call", "brood", "echo"], &["doctor"]] {
        let brood = Brood::new(&args.join("-"));
        command(&brood, args).status().unwrap();
        brood.assert_gone();
    }
    let brood = Brood::new("run");
    let ended = command(&brood, &["run", "--base-url", "http://127.0.0.1:9/v1", "-m", "none", "hello"]).status();
    assert_eq!(ended.unwrap().code(), Some(5));
    brood.assert_gone();
}

#[test]
fn a_run_that_is_ended_by_a_signal_leaves_nothing() {
    for (name, signal) in [("run-term", "-TERM"), ("run-hup", "-HUP"), ("run-kill", "-KILL")] {
        let brood = Brood::new(name);
        // Nobody answers there, and nobody refuses: it waits.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let mut run = command(&brood, &["run", "--base-url", &url, "-m", "none", "hello"]).spawn().unwrap();
        brood.wait_until_whole();
        let pid = run.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        run.wait().unwrap();
        brood.assert_gone();
    }
}

/// The variable that makes a test the process that panics.
const PANICS: &str = "MILLRACE_TEST_PANICS_WITH";

#[test]
fn a_panic_leaves_nothing() {
    if let Ok(folder) = std::env::var(PANICS) {
        return panic_with(Path::new(&folder));
    }
    let brood = Brood::new("panic");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "exits::a_panic_leaves_nothing", "--test-threads=1"])
        .env(PANICS, brood.home())
        .env("MILLRACE_TEST_MARK", &brood.mark)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    brood.wait_until_whole();
    assert!(!child.wait().unwrap().success(), "it was to panic");
    brood.assert_gone();
}

/// Starts the server as the program does, and panics in the midst of it.
fn panic_with(folder: &Path) {
    let mark = std::env::var("MILLRACE_TEST_MARK").unwrap();
    let text = folder.display().to_string();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let limits = Limits::default();
        let (host, mut events) = Host::new(millrace::mcp::client(&limits).unwrap(), Arc::new(limits), None);
        let host = host.watched_by(Path::new(env!("CARGO_BIN_EXE_millrace")));
        let args = vec![format!("{text}/server.sh"), text, mark];
        let transport = Transport::Stdio { command: "sh".into(), args, env: Default::default(), cwd: None };
        host.start(ServerEntry { entry_hash: Arc::from("brood:0"), ..super::mcp::entry(transport) });
        while let Some(event) = events.recv().await {
            if matches!(&event, HostEvent::Status(status) if status.state == ServerState::Ready) {
                // Until its grandchild has begun too.
                tokio::time::sleep(Duration::from_millis(500)).await;
                panic!("as something might");
            }
        }
    });
    let _ = Secret::new("");
}
