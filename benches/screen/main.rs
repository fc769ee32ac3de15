//! What the screen costs: frames in this process, and the real program on a pseudo-terminal. Prints; judges nothing.
//!
//! `cargo bench --bench screen -- [frames|large|reading|stream|program]`; without a word, all of them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement that cannot be made should stop")]

mod desk;
mod endpoint;
mod frames;
mod large;
mod program;
mod reading;
mod stream;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let word = arguments.first().map(String::as_str);
    match word {
        Some("tool-server") => return endpoint::tool_server(),
        Some(millrace::mcp::watchdog::SUBCOMMAND) => {
            return millrace::mcp::watchdog::watch(std::io::stdin().lock());
        }
        _ => {}
    }
    if cfg!(debug_assertions) {
        println!("a debug build: these figures say little");
    }
    let wanted = |name: &str| word.is_none_or(|word| word == name);
    if wanted("frames") {
        frames::slow_stream();
        frames::conversation();
    }
    if wanted("large") {
        large::all();
    }
    if wanted("reading") {
        reading::all();
    }
    if wanted("stream") {
        stream::fast();
    }
    if wanted("program") {
        program::all();
    }
}

/// Nanoseconds of processor time that the calling thread has used.
fn thread_cpu() -> u64 {
    schedstat("/proc/thread-self/schedstat")
}

/// The same for every thread of a process that lives now.
fn process_cpu(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks.flatten().map(|task| schedstat(task.path().join("schedstat"))).sum()
}

fn schedstat(path: impl AsRef<std::path::Path>) -> u64 {
    // A thread may end between the listing and this.
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn ms(time: std::time::Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// `(p50, p99, most)` in milliseconds.
fn spread(mut times: Vec<std::time::Duration>) -> (f64, f64, f64) {
    times.sort();
    let at = |share: f64| ms(times[((times.len() - 1) as f64 * share).round() as usize]);
    (at(0.5), at(0.99), at(1.0))
}

/// Megabytes that this process holds.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0 / 1e6
}
