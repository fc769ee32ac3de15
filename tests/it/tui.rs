//! The real program on a pseudo-terminal: what it draws, and that the terminal is given back on every way out.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod branches;
mod caret;
mod keyboard;
mod panics;

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, NativePtySystem, PtySize, PtySystem};

/// How long anything may take on a busy machine before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the program has switched on and not off again, by the bytes it wrote.
fn modes_left_on(bytes: &[u8]) -> Vec<&'static str> {
    let text = String::from_utf8_lossy(bytes);
    let on = |on: &str, off: &str| match (text.rfind(on), text.rfind(off)) {
        (Some(on), Some(off)) => on > off,
        (Some(_), None) => true,
        (None, _) => false,
    };
    let modes = [
        ("\x1b[?1049h", "\x1b[?1049l"),
        ("\x1b[?2004h", "\x1b[?2004l"),
        ("\x1b[?1004h", "\x1b[?1004l"),
        ("\x1b[?1000h", "\x1b[?1000l"),
        ("\x1b[?1002h", "\x1b[?1002l"),
        ("\x1b[?1006h", "\x1b[?1006l"),
        ("\x1b[?2026h", "\x1b[?2026l"),
        ("\x1b[?2031h", "\x1b[?2031l"),
        ("\x1b[>1u", "\x1b[<1u"),
        ("\x1b[>4;1m", "\x1b[>4m"),
        ("\x1b[?25l", "\x1b[?25h"),
    ];
    modes.into_iter().filter(|(a, b)| on(a, b)).map(|(a, _)| a).collect()
}

/// A program that is killed with its test: one whose assertion fails leaves nothing behind that holds its terminal.
pub(crate) struct Program(pub(crate) Box<dyn Child + Send + Sync>);

impl Program {
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.process_id().unwrap()).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            let _ = std::process::Command::new("kill").args(["-KILL", &self.pid().to_string()]).status();
            let _ = self.0.wait();
        }
    }
}

pub(super) struct Terminal {
    // Ends before its terminal does.
    child: Program,
    master: Box<dyn MasterPty + Send>,
    writer: Box<dyn Write + Send>,
    bytes: Arc<Mutex<Vec<u8>>>,
    begun: Instant,
    /// Up to which byte was read when.
    read: Arc<Mutex<Vec<(f64, usize)>>>,
    /// The reader goes with the next bytes.
    closing: Arc<AtomicBool>,
    reader: JoinHandle<()>,
    size: (u16, u16),
    /// The line discipline before the program began.
    before: String,
    _home: tempfile::TempDir,
}

fn discipline(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios())
}

/// The program in an empty home.
pub(super) fn open(arguments: &[&str], size: (u16, u16), env: &[(&str, &str)]) -> Terminal {
    let mut argv = vec![env!("CARGO_BIN_EXE_millrace")];
    argv.extend(arguments);
    open_argv(&argv, size, env)
}

/// Another build of the program, in an empty home too.
pub(super) fn open_program(argv: &[&str], size: (u16, u16), env: &[(&str, &str)]) -> Terminal {
    open_argv(argv, size, env)
}

fn open_argv(argv: &[&str], size: (u16, u16), env: &[(&str, &str)]) -> Terminal {
    let home = tempfile::tempdir().unwrap();
    let (columns, rows) = size;
    let pty =
        NativePtySystem::default().openpty(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }).unwrap();
    let before = discipline(&*pty.master);
    let mut command = CommandBuilder::new(argv[0]);
    command.args(&argv[1..]);
    command.env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("TERM", "xterm-256color");
    command.env("LANG", "C.UTF-8");
    command.env("HOME", home.path());
    command.env("MILLRACE_HOME", home.path());
    for (name, value) in env {
        command.env(name, value);
    }
    command.cwd(home.path());
    let child = Program(pty.slave.spawn_command(command).unwrap());
    drop(pty.slave);
    let bytes: Arc<Mutex<Vec<u8>>> = Arc::default();
    let (mut reader, gathered) = (pty.master.try_clone_reader().unwrap(), Arc::clone(&bytes));
    let begun = Instant::now();
    let read: Arc<Mutex<Vec<(f64, usize)>>> = Arc::default();
    let times = Arc::clone(&read);
    let closing: Arc<AtomicBool> = Arc::default();
    let goes = Arc::clone(&closing);
    let reading = std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(count @ 1..) = reader.read(&mut buffer) {
            let mut gathered = gathered.lock().unwrap();
            gathered.extend_from_slice(&buffer[..count]);
            times.lock().unwrap().push((begun.elapsed().as_secs_f64(), gathered.len()));
            drop(gathered);
            if goes.load(Ordering::SeqCst) {
                break;
            }
        }
    });
    let writer = pty.master.take_writer().unwrap();
    Terminal {
        master: pty.master,
        writer,
        child,
        bytes,
        begun,
        read,
        closing,
        reader: reading,
        size,
        before,
        _home: home,
    }
}

fn cells(count: u16) -> std::num::NonZeroU16 {
    std::num::NonZeroU16::new(count).unwrap()
}

impl Terminal {
    pub(super) fn type_in(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    fn resize(&mut self, size: (u16, u16)) {
        self.size = size;
        let (cols, rows) = size;
        self.master.resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
    }

    /// Seconds since it began.
    pub(super) fn elapsed(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    /// Waits for its end: what it wrote in the pieces that were read, each with its second, and how it ended.
    pub(super) fn timed(self) -> (Vec<(f64, Vec<u8>)>, ExitStatus) {
        let read = Arc::clone(&self.read);
        let (status, bytes) = self.ended();
        let mut from = 0;
        let read = read.lock().unwrap();
        let pieces = read.iter().map(|(at, until)| (*at, bytes[std::mem::replace(&mut from, *until)..*until].to_vec()));
        (pieces.collect(), status)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }

    pub(super) fn screen(&self) -> String {
        let mut terminal = vt100::Parser::new(cells(self.size.1), cells(self.size.0), 0);
        terminal.process(&self.bytes());
        terminal.screen().contents()
    }

    pub(super) fn wait_for(&self, what: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.screen().contains(what) {
            assert!(Instant::now() < until, "{what:?} never came:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(15));
        }
    }

    pub(super) fn pid(&self) -> i32 {
        self.child.pid()
    }

    /// The line discipline is as it was found (`stty -g` says the same), and every mode is off again.
    #[track_caller]
    pub(super) fn assert_given_back(&self) {
        let until = Instant::now() + PATIENCE;
        while discipline(&*self.master) != self.before || !modes_left_on(&self.bytes()).is_empty() {
            let modes = modes_left_on(&self.bytes());
            assert!(Instant::now() < until, "{modes:?}: {} is not {}", discipline(&*self.master), self.before);
            std::thread::sleep(Duration::from_millis(15));
        }
    }

    pub(super) fn has_ended(&mut self) -> bool {
        self.child.0.try_wait().unwrap().is_some()
    }

    pub(super) fn signal(&self, name: &str) {
        let status = std::process::Command::new("kill").args([name, &self.pid().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Closes the terminal, as a window is closed. The program had something typed before, so that what the library
    /// writes when its end goes (a line end and ctrl+d) ends nothing.
    pub(super) fn close(mut self) -> (Program, tempfile::TempDir) {
        self.closing.store(true, Ordering::SeqCst);
        self.type_in("x");
        let until = Instant::now() + PATIENCE;
        while !self.reader.is_finished() {
            assert!(Instant::now() < until, "a key draws nothing");
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(self.master);
        drop(self.writer);
        (self.child, self._home)
    }

    pub(super) fn ended(mut self) -> (ExitStatus, Vec<u8>) {
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.0.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "it does not end:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(15));
        };
        // What was written last is still on its way through the terminal.
        let mut before = 0;
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(10));
            let now = self.bytes().len();
            if now == before {
                break;
            }
            before = now;
        }
        drop(self.writer);
        drop(self.master);
        let bytes = self.bytes.lock().unwrap().clone();
        (status, bytes)
    }
}

#[test]
fn an_empty_home_opens_on_the_welcome_and_ctrl_c_twice_leaves_it() {
    let mut terminal = open(&[], (80, 24), &[]);
    terminal.wait_for("Choose a model to talk to");
    terminal.type_in("Why?");
    terminal.wait_for("Why?");
    terminal.type_in("\x03\x03\x03");
    let (status, bytes) = terminal.ended();
    assert_eq!(status.exit_code(), 0);
    assert_eq!(modes_left_on(&bytes), Vec::<&str>::new());
}

#[test]
fn signals_give_the_terminal_back() {
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let terminal = open(&[], (80, 24), &[]);
        terminal.wait_for("Choose a model to talk to");
        terminal.signal(signal);
        let (status, bytes) = terminal.ended();
        assert_eq!(status.exit_code(), code, "{signal}");
        assert_eq!(modes_left_on(&bytes), Vec::<&str>::new(), "{signal}");
    }
}

#[test]
fn a_hang_up_ends_it_without_a_word() {
    let terminal = open(&[], (80, 24), &[]);
    terminal.wait_for("Choose a model to talk to");
    terminal.signal("-HUP");
    let (status, _) = terminal.ended();
    assert_eq!(status.exit_code(), 129);
}

/// The processes that this one started.
#[cfg(target_os = "linux")]
fn children(pid: i32) -> Vec<i32> {
    let listed = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let texts = listed.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    texts.flat_map(|text| text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

#[cfg(target_os = "linux")]
fn wait_until_gone(pids: &[i32], what: &str) {
    let until = Instant::now() + PATIENCE;
    // A zombie that nobody here can reap has ended too.
    let lives = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
    };
    while pids.iter().any(lives) {
        assert!(Instant::now() < until, "{what} lives on: {pids:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_closed_terminal_ends_it_and_its_servers() {
    let terminal = open(&["demo", "what is the weather in Lerwick?"], (100, 30), &[]);
    terminal.wait_for("demo 7");
    let servers = children(terminal.pid());
    assert!(!servers.is_empty());
    let (mut child, _home) = terminal.close();
    assert_eq!(child.wait().exit_code(), 129);
    wait_until_gone(&servers, "a server");
}

/// Under `setsid` no hang-up signal comes: the terminal itself tells.
#[cfg(target_os = "linux")]
#[test]
fn a_closed_terminal_that_does_not_control_it_ends_it_too() {
    let terminal = open_argv(&["setsid", "--wait", env!("CARGO_BIN_EXE_millrace")], (80, 24), &[]);
    terminal.wait_for("Choose a model to talk to");
    let program = children(terminal.pid());
    assert_eq!(program.len(), 1);
    let (_child, _home) = terminal.close();
    wait_until_gone(&program, "millrace");
}

#[cfg(target_os = "linux")]
#[test]
fn killed_at_once_it_leaves_no_server_behind() {
    let terminal = open(&["demo"], (100, 30), &[]);
    terminal.wait_for("demo 7");
    let servers = children(terminal.pid());
    assert!(!servers.is_empty());
    terminal.signal("-KILL");
    wait_until_gone(&servers, "a server");
    terminal.ended();
}

#[test]
fn a_closed_layer_says_that_ctrl_c_again_quits() {
    let mut terminal = open(&[], (80, 24), &[]);
    terminal.wait_for("Choose a model to talk to");
    terminal.type_in("\x03");
    terminal.wait_for("^C again quits");
    terminal.type_in("\x03");
    assert_eq!(terminal.ended().0.exit_code(), 0);
}

#[test]
fn inline_prints_what_is_finished_and_gives_the_terminal_back_as_it_was() {
    let mut terminal =
        open(&["demo", "--inline", "what is the weather in Lerwick?"], (100, 40), &[("MILLRACE_DEMO_PACE", "0")]);
    terminal.wait_for("weather in Lerwick");
    let until = Instant::now() + PATIENCE;
    while terminal.screen().contains("esc stop") || !terminal.screen().contains("enter send") {
        assert!(Instant::now() < until, "{}", terminal.screen());
        std::thread::sleep(Duration::from_millis(15));
    }
    assert!(!String::from_utf8_lossy(&terminal.bytes()).contains("\x1b[?1049h"), "the terminal's own screen");
    // What needs the whole screen has the other one meanwhile.
    terminal.type_in("\x10");
    terminal.wait_for("select");
    assert!(String::from_utf8_lossy(&terminal.bytes()).contains("\x1b[?1049h"));
    terminal.type_in("\x1b");
    terminal.wait_for("enter send");
    assert!(terminal.screen().contains("what is the weather in Lerwick?"), "{}", terminal.screen());
    terminal.type_in("\x04");
    let (status, bytes) = terminal.ended();
    assert_eq!(status.exit_code(), 0);
    assert_eq!(modes_left_on(&bytes), Vec::<&str>::new());
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(!text.contains("\x1b[3J") && !text.contains("\x1b[2J\x1b[H"), "the scrollback is not ours");
}

#[test]
fn plain_is_lines_and_letters() {
    let mut terminal = open(&["demo", "--plain"], (100, 60), &[("MILLRACE_DEMO_PACE", "0")]);
    terminal.wait_for("> ");
    terminal.type_in("what is the weather in Lerwick?\n");
    terminal.wait_for("done demo/weather");
    let until = Instant::now() + PATIENCE;
    while terminal.screen().lines().last().is_none_or(|line| line.trim() != ">") {
        assert!(Instant::now() < until, "no prompt again:\n{}", terminal.screen());
        std::thread::sleep(Duration::from_millis(15));
    }
    terminal.type_in("/quit\n");
    let (status, bytes) = terminal.ended();
    assert_eq!(status.exit_code(), 0);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(!text.contains('\x1b'), "no escape sequence at all: {text:?}");
    assert!(text.contains("The demo keeps nothing."));
}

#[test]
fn a_suspended_screen_comes_back() {
    let mut terminal = open(&[], (80, 24), &[]);
    terminal.wait_for("Choose a model to talk to");
    terminal.type_in("a draft");
    terminal.wait_for("a draft");
    let before = terminal.bytes().len();
    // What is typed right behind the key is for the screen, too.
    terminal.type_in("\x1a and more");
    let until = Instant::now() + PATIENCE;
    // A process group without a shell cannot be stopped: it goes on at once, as after `fg`.
    let left_and_back = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.split_once("\x1b[?1049l").is_some_and(|(_, after)| after.contains("\x1b[?1049h"))
    };
    while !left_and_back(&terminal.bytes()[before..]) {
        assert!(Instant::now() < until, "ctrl+z does not leave the screen");
        std::thread::sleep(Duration::from_millis(15));
    }
    terminal.wait_for("a draft and more");
    terminal.type_in("\x03\x03\x03");
    let (status, bytes) = terminal.ended();
    assert_eq!(status.exit_code(), 0);
    assert_eq!(modes_left_on(&bytes), Vec::<&str>::new());
}

/// Under a shell with job control: stopped, the terminal is the shell's; after `fg`, the program's again.
#[test]
fn stopped_by_a_shell_and_taken_up_again() {
    let script = "set -m; \"$0\" --base-url http://127.0.0.1:9/v1 -m none; echo is stopped; read x; fg >/dev/null; \
                  echo is over";
    let mut terminal = open_argv(&["bash", "-c", script, env!("CARGO_BIN_EXE_millrace")], (80, 24), &[]);
    terminal.wait_for("send");
    terminal.type_in("a draft");
    terminal.wait_for("a draft");
    terminal.type_in("\x1a");
    terminal.wait_for("is stopped");
    terminal.assert_given_back();
    terminal.type_in("\n");
    terminal.wait_for("a draft");
    terminal.wait_for("send");
    terminal.type_in("\x03\x03\x03");
    terminal.wait_for("is over");
    terminal.assert_given_back();
    terminal.ended();
}

#[test]
fn out_of_sight_it_calls_and_the_title_says_what_is_wanted() {
    let mut terminal = open(&["demo"], (100, 30), &[("MILLRACE_DEMO_PACE", "0")]);
    terminal.wait_for("demo 7");
    terminal.type_in("\x1b[O");
    terminal.type_in("what is the weather in Lerwick?\r");
    let wire = |terminal: &Terminal| String::from_utf8_lossy(&terminal.bytes()).into_owned();
    let until = Instant::now() + PATIENCE;
    while !(wire(&terminal).contains("\x1b]9;") && wire(&terminal).contains("\x1b]2;? needs you - ")) {
        assert!(Instant::now() < until, "{}", terminal.screen());
        std::thread::sleep(Duration::from_millis(15));
    }
    terminal.signal("-TERM");
    let (_, bytes) = terminal.ended();
    assert!(String::from_utf8_lossy(&bytes).contains("\x1b[23;2t"), "the window has its own name again");
}

/// As the terminal shows it: kitty's own form, and on the console nothing but the bell.
#[test]
fn it_calls_in_the_form_that_the_terminal_shows() {
    for (term, expect) in [("xterm-kitty", "\x1b]99;i=millrace:o=unfocused;millrace: "), ("linux", "\x07")] {
        let mut terminal = open(&["demo"], (100, 30), &[("MILLRACE_DEMO_PACE", "0"), ("TERM", term)]);
        terminal.wait_for("demo 7");
        terminal.type_in("\x1b[Owhat is the weather in Lerwick?\r");
        let wire = |terminal: &Terminal| String::from_utf8_lossy(&terminal.bytes()).into_owned();
        let until = Instant::now() + PATIENCE;
        let asks = |terminal: &Terminal| wire(terminal).contains("needs you - ");
        while !(asks(&terminal) && wire(&terminal).contains(expect)) {
            assert!(Instant::now() < until, "{}", terminal.screen());
            std::thread::sleep(Duration::from_millis(15));
        }
        assert!(!wire(&terminal).contains("\x1b]9;"), "{term}");
        terminal.signal("-TERM");
        terminal.ended();
    }
}

#[test]
fn a_storm_of_sizes_ends_in_a_whole_frame() {
    for inline in [false, true] {
        let mut arguments = vec!["--base-url", "http://127.0.0.1:9/v1", "-m", "none"];
        arguments.extend(inline.then_some("--inline"));
        let mut terminal = open(&arguments, (100, 30), &[]);
        terminal.wait_for("send");
        for n in 0..120_u16 {
            terminal.resize((1 + n * 37 % 200, 1 + n * 11 % 60));
            if n % 7 == 0 {
                terminal.type_in("x");
            }
        }
        terminal.resize((90, 28));
        std::thread::sleep(Duration::from_millis(100));
        let from = terminal.bytes().len();
        terminal.type_in("\x0c");
        let until = Instant::now() + PATIENCE;
        let drawn = |terminal: &Terminal| {
            let mut screen = vt100::Parser::new(cells(28), cells(90), 0);
            screen.process(&terminal.bytes()[from..]);
            screen.screen().contents()
        };
        while !(drawn(&terminal).contains("xxxx") && drawn(&terminal).contains("send")) {
            assert!(Instant::now() < until, "inline {inline}:\n{}", drawn(&terminal));
            std::thread::sleep(Duration::from_millis(15));
        }
        terminal.type_in("\x03\x03\x03");
        let (status, bytes) = terminal.ended();
        assert_eq!(status.exit_code(), 0);
        assert_eq!(modes_left_on(&bytes), Vec::<&str>::new());
    }
}

#[test]
fn the_terminals_ground_is_asked_and_its_answer_is_not_typed() {
    let mut terminal = open(&["--base-url", "http://127.0.0.1:9/v1", "-m", "none"], (80, 24), &[]);
    terminal.wait_for("send");
    let until = Instant::now() + PATIENCE;
    while !String::from_utf8_lossy(&terminal.bytes()).contains("\x1b]11;?") {
        assert!(Instant::now() < until, "it never asks");
        std::thread::sleep(Duration::from_millis(15));
    }
    terminal.type_in("\x1b]11;rgb:fdfd/f6f6/e3e3\x1b\\then words");
    terminal.wait_for("then words");
    assert!(!terminal.screen().contains("rgb"), "{}", terminal.screen());
    // What comes to the front again asks again, and is drawn for the ground that is there then.
    let drawn = |terminal: &Terminal, sgr: &str| String::from_utf8_lossy(&terminal.bytes()).matches(sgr).count();
    const LIGHT: &str = "\x1b[38;5;4;";
    const DARK: &str = "\x1b[38;5;6;";
    assert!(drawn(&terminal, LIGHT) > 0, "the light theme is worn");
    let (asked, dark) = (drawn(&terminal, "\x1b]11;?"), drawn(&terminal, DARK));
    let until = Instant::now() + PATIENCE;
    while drawn(&terminal, "\x1b]11;?") == asked {
        assert!(Instant::now() < until, "it never asks again");
        terminal.type_in("\x1b[O\x1b[I");
        std::thread::sleep(Duration::from_millis(50));
    }
    terminal.type_in("\x1b]11;rgb:0000/2b2b/3636\x07");
    while drawn(&terminal, DARK) == dark {
        assert!(Instant::now() < until, "the theme does not follow");
        std::thread::sleep(Duration::from_millis(15));
    }
    terminal.type_in("\x03\x03\x03");
    assert_eq!(terminal.ended().0.exit_code(), 0);
}

#[test]
fn idle_nothing_is_written() {
    let mut terminal = open(&["--base-url", "http://127.0.0.1:9/v1", "-m", "none"], (80, 24), &[]);
    terminal.wait_for("send");
    std::thread::sleep(Duration::from_millis(700));
    let before = terminal.bytes().len();
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(terminal.bytes().len(), before, "idle, no byte is written");
    terminal.type_in("\x04");
    let (status, bytes) = terminal.ended();
    assert_eq!(status.exit_code(), 0);
    assert_eq!(modes_left_on(&bytes), Vec::<&str>::new());
}

#[test]
fn an_unreachable_endpoint_is_told_and_the_message_kept() {
    let mut terminal = open(&["--base-url", "http://127.0.0.1:9/v1", "-m", "none", "hello there"], (120, 36), &[]);
    terminal.wait_for("hello there");
    terminal.wait_for("saved ");
    terminal.type_in("\x03");
    terminal.wait_for("Stopped");
    terminal.type_in("\x03\x03");
    let (status, bytes) = terminal.ended();
    assert_eq!(status.exit_code(), 0);
    assert_eq!(modes_left_on(&bytes), Vec::<&str>::new());
    assert!(String::from_utf8_lossy(&bytes).contains("millrace -c"), "{}", String::from_utf8_lossy(&bytes));
}

#[test]
fn frames_are_whole_and_synchronised() {
    let mut terminal = open(&["--base-url", "http://127.0.0.1:9/v1", "-m", "none"], (120, 36), &[]);
    terminal.wait_for("send");
    terminal.type_in("some words");
    terminal.wait_for("some words");
    let text = String::from_utf8_lossy(&terminal.bytes()).into_owned();
    assert_eq!(text.matches("\x1b[?2026h").count(), text.matches("\x1b[?2026l").count());
    assert!(!text.contains("\x1b[3J"), "the scrollback is not ours");
    terminal.type_in("\x03\x03\x03");
    assert_eq!(terminal.ended().0.exit_code(), 0);
}

#[test]
fn without_a_terminal_the_other_way_is_named() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_millrace"))
        .env_clear()
        .env("MILLRACE_HOME", tempfile::tempdir().unwrap().path())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("millrace run"));
}
