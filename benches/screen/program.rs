//! The real program on a pseudo-terminal: its start, its rest, a stream, its size in memory and on disk.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use millrace::chat::{Body, Change, ConversationId, Durability, Message, MessageId, Part};
use millrace::store::{OpenMode, Store};
use portable_pty::{Child, CommandBuilder, MasterPty, NativePtySystem, PtySize, PtySystem};

use crate::desk::tokens;
use crate::{endpoint, ms, process_cpu, spread};

/// The end of a frame: synchronised output is over.
const FRAME_END: &[u8] = b"\x1b[?2026l";

pub fn all() {
    let base_url = endpoint::serve(&tokens(4_000), Some(Duration::from_millis(10)));
    let home = home(&base_url, 20, 10_000);
    let bare = self::home(&base_url, 0, 0);
    for (words, folder) in [("10,000 conversations, 20 servers", &home), ("an empty home", &bare)] {
        let starts: Vec<_> = (0..15).map(|_| start(folder.path())).collect();
        let least = ms(*starts.iter().min().unwrap());
        let (p50, _, most) = spread(starts);
        println!(
            "start to the end of the first frame, {words}: least {least:.1} ms, p50 {p50:.1}, most {most:.1} (to hold: 25)"
        );
    }
    let fresh = Program::open(bare.path());
    fresh.first_frame();
    std::thread::sleep(Duration::from_secs(1));
    println!("memory of a fresh chat: {:.1} MB resident (to hold: 20)", fresh.resident());
    drop(fresh);
    rest(home.path());
    stream(home.path());
    latency();
    let size = std::fs::metadata(env!("CARGO_BIN_EXE_millrace")).unwrap().len();
    println!("this build of the program: {:.1} MB on disk (to hold, stripped: 20)", size as f64 / 1e6);
}

fn home(base_url: &str, servers: usize, conversations: u64) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap().display().to_string();
    let mut config = format!("model = \"bench\"\nprofile = \"bench\"\n[profiles.bench]\nbase_url = \"{base_url}\"\n");
    for n in 0..servers {
        config.push_str(&format!("[servers.bench{n}]\ncommand = \"{program}\"\nargs = [\"tool-server\"]\n"));
    }
    std::fs::create_dir_all(home.path().join("config")).unwrap();
    std::fs::write(home.path().join("config/config.toml"), config).unwrap();
    if conversations > 0 {
        fill(&home.path().join("data/millrace.db"), conversations);
    }
    home
}

fn fill(path: &Path, conversations: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = Store::open(path, OpenMode::Write).unwrap();
    let changes = (0..conversations).flat_map(|n| {
        let id = ConversationId::new(format!("c{n:06}"));
        let message = Message {
            id: MessageId::new(format!("c{n:06}-0")),
            parent: None,
            at: n as i64,
            body: Body::User(vec![Part::text(format!("question {n}"))]),
        };
        [
            Change::Conversation {
                id: id.clone(),
                folder: "/src".into(),
                model: "bench".into(),
                base_url: "http://localhost/v1".into(),
                system: None,
                at: n as i64,
            },
            Change::Message { conversation: id, message: Arc::new(message) },
        ]
    });
    runtime.block_on(store.apply(changes.collect(), Durability::Written)).unwrap();
    runtime.block_on(store.flush()).unwrap();
    runtime.block_on(store.close()).unwrap();
}

struct Program {
    _master: Box<dyn MasterPty + Send>,
    writer: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    began: Instant,
    /// What came, and when the first frame had ended.
    seen: Arc<Mutex<(Vec<u8>, Option<Instant>)>>,
    /// How much had come when.
    arrived: Arc<Mutex<Vec<(usize, Instant)>>>,
}

impl Program {
    fn open(home: &Path) -> Self {
        let size = PtySize { rows: 36, cols: 120, pixel_width: 0, pixel_height: 0 };
        let pty = NativePtySystem::default().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_millrace"));
        command.env_clear();
        for (name, value) in [("PATH", "/usr/bin:/bin"), ("TERM", "xterm-256color"), ("LANG", "C.UTF-8")] {
            command.env(name, value);
        }
        command.env("HOME", home);
        command.env("MILLRACE_HOME", home);
        command.cwd(home);
        let seen: Arc<Mutex<(Vec<u8>, Option<Instant>)>> = Arc::default();
        let arrived: Arc<Mutex<Vec<(usize, Instant)>>> = Arc::default();
        let times = Arc::clone(&arrived);
        let (mut reader, gathered) = (pty.master.try_clone_reader().unwrap(), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                let mut seen = gathered.lock().unwrap();
                seen.0.extend_from_slice(&buffer[..count]);
                times.lock().unwrap().push((seen.0.len(), Instant::now()));
                if seen.1.is_none() && seen.0.windows(FRAME_END.len()).any(|w| w == FRAME_END) {
                    seen.1 = Some(Instant::now());
                }
            }
        });
        let writer = pty.master.take_writer().unwrap();
        let began = Instant::now();
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        Self { _master: pty.master, writer, child, began, seen, arrived }
    }

    /// Waits for it; how long it took.
    fn first_frame(&self) -> Duration {
        loop {
            if let Some(at) = self.seen.lock().unwrap().1 {
                return at - self.began;
            }
            assert!(self.began.elapsed() < Duration::from_secs(30), "no frame came");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    fn written(&self) -> usize {
        self.seen.lock().unwrap().0.len()
    }

    fn resident(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0 / 1e6
    }

    /// How often its threads went to sleep, so woke up, with the name of each.
    fn wakes(&self) -> BTreeMap<String, (String, u64)> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        tasks
            .flatten()
            .map(|task| {
                let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
                let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
                let line = status.lines().find(|line| line.starts_with("voluntary")).unwrap_or_default();
                let count = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
                (task.file_name().to_string_lossy().into_owned(), (name.trim().to_owned(), count))
            })
            .collect()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.writer.write_all(b"\x1b");
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(home: &Path) -> Duration {
    Program::open(home).first_frame()
}

fn rest(home: &Path) {
    let program = Program::open(home);
    program.first_frame();
    // Until every server is connected, its tools have settled and the store has tidied up.
    std::thread::sleep(Duration::from_secs(8));
    let (wakes, bytes, cpu) = (program.wakes(), program.written(), process_cpu(program.pid()));
    std::thread::sleep(Duration::from_secs(10));
    let after = program.wakes();
    let woken: Vec<String> = after
        .iter()
        .map(|(thread, (name, count))| (name, count - wakes.get(thread).map_or(0, |(_, before)| *before)))
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    println!(
        "at rest for 10 s, 20 servers: {} bytes, wake-ups: {}; {:.2} ms of processor time, {:.1} MB resident (to hold: 0)",
        program.written() - bytes,
        if woken.is_empty() { "none".to_owned() } else { woken.join(", ") },
        process_cpu(program.pid()).saturating_sub(cpu) as f64 / 1e6,
        program.resident(),
    );
}

fn stream(home: &Path) {
    let mut program = Program::open(home);
    program.first_frame();
    std::thread::sleep(Duration::from_secs(4));
    program.writer.write_all(b"go on\r").unwrap();
    program.writer.flush().unwrap();
    std::thread::sleep(Duration::from_secs(3));
    let (cpu, bytes) = (process_cpu(program.pid()), program.written());
    let began = Instant::now();
    std::thread::sleep(Duration::from_secs(10));
    let share = (process_cpu(program.pid()) - cpu) as f64 / began.elapsed().as_nanos() as f64;
    println!(
        "the program at some 100 tokens/s for 10 s: {:.1} % of a core (to hold: 3), {} bytes a second",
        share * 100.0,
        (program.written() - bytes) / 10
    );
}

/// From a token on the socket to its last byte for the terminal, 50 tokens a second.
fn latency() {
    let words: Vec<String> = (0..500).map(word).collect();
    let (base_url, sent) = endpoint::serve_told(&words, Some(Duration::from_millis(20)));
    let home = home(&base_url, 0, 0);
    let mut program = Program::open(home.path());
    program.first_frame();
    std::thread::sleep(Duration::from_secs(1));
    program.writer.write_all(b"go on\r").unwrap();
    program.writer.flush().unwrap();
    std::thread::sleep(Duration::from_secs(15));
    let (seen, arrived, sent) = (program.seen.lock().unwrap(), program.arrived.lock().unwrap(), sent.lock().unwrap());
    let mut times = Vec::new();
    for (word, at) in words.iter().zip(sent.iter()) {
        let word = word.trim_end().as_bytes();
        let Some(place) = seen.0.windows(word.len()).position(|window| window == word) else { continue };
        let came = arrived[arrived.partition_point(|(length, _)| *length < place + word.len())].1;
        times.push(came.saturating_duration_since(*at));
    }
    assert!(times.len() > words.len() / 2, "{} of {} were seen whole", times.len(), words.len());
    let (count, (p50, p99, most)) = (times.len(), spread(times));
    println!(
        "a delta to its bytes for the terminal, {count} of 500: p50 {p50:.2} ms (to hold: 10), p99 {p99:.2} ms (to hold: 20), \
         most {most:.2} ms; {:.1} MB resident",
        program.resident(),
    );
}

/// A word that shares hardly a cell with another, since of a row that scrolls only the cells that differ are written.
fn word(number: u64) -> String {
    let mut rest = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24;
    let mut letters: String = (0..7)
        .map(|_| {
            let letter = char::from(b'a' + (rest % 26) as u8);
            rest /= 26;
            letter
        })
        .collect();
    letters.push(' ');
    letters
}
