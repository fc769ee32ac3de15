//! The store's figures at size: writing, opening, listing, searching. Prints; judges nothing.
//!
//! `cargo bench --profile perf --bench store -- [CONVERSATIONS] [MESSAGES] [--in FOLDER]`: 100,000 of ten messages where
//! nothing is said, which takes some minutes and about 2 GB. With a folder they are kept there and taken from there.

mod made;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use millrace::chat::{Change, ConversationId, Durability};
use millrace::store::{OpenMode, Page, Store};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// What a person would look for: common and rare, short, in other scripts, in phrases, by operators, and what is nowhere.
const QUERIES: [&str; 34] = [
    "retry",
    "the",
    "xylophone",
    "xylophone retry",
    "retry deadline server",
    "\"retry server\"",
    "\"the server\"",
    "nowhereatall",
    "翻訳",
    "错",
    "サーバー",
    "größe",
    "сервер",
    "std::fmt",
    "z",
    "e",
    "zq",
    "th",
    "ka",
    "kal",
    "tool:read_file",
    "tool:failed",
    "tool:denied",
    "tool:none",
    "server:postgres",
    "server:postgres retry",
    "in:project7",
    "in:project7 the",
    "before:2026-01",
    "before:2026-01 retry",
    "after:2026-10-20 the",
    "has:error",
    "has:error deadline",
    "model:qwen tool:failed in:project1 xylophone",
];

/// Typed letter by letter.
const TYPED: [&str; 5] = [
    "retry deadline",
    "tool:read_file the",
    "server:postgres has:error",
    "翻訳サーバー",
    "\"the server\" before:2026-06",
];

/// Results of one page.
const PAGE: usize = 50;

async fn make(path: &Path, count: u64, messages: usize) -> Outcome<()> {
    let store = Store::open(path, OpenMode::Write)?;
    let began = Instant::now();
    for from in (0..count).step_by(500) {
        let to = (from + 500).min(count);
        let changes = (from..to).flat_map(|n| made::conversation(n, count, messages)).collect();
        store.apply(changes, Durability::Written).await?;
    }
    println!("{count} conversations of {messages} messages written in {:.1?}", began.elapsed());
    let began = Instant::now();
    store.flush().await?;
    println!("indexed in {:.1?}; {} MB", began.elapsed(), path.metadata()?.len() >> 20);
    store.close().await?;
    Ok(())
}

async fn look(path: &Path) -> Outcome<()> {
    let store = Store::open(path, OpenMode::Write)?;
    store.flush().await?;
    store.close().await?;
    let began = Instant::now();
    let store = Store::open(path, OpenMode::Write)?;
    println!("open: {:.1?}", began.elapsed());
    for _ in 0..2 {
        let began = Instant::now();
        let page = store.list(Page::default()).await?;
        println!("list, first page of {}: {:.1?}", page.len(), began.elapsed());
    }
    for filter in ["in:project7", "has:error", "tool:failed", "server:postgres", "tool:none"] {
        let began = Instant::now();
        let page = store.list(Page { filter: filter.into(), ..Page::default() }).await?;
        println!("list {filter}, first page of {}: {:.1?}", page.len(), began.elapsed());
    }
    let mut most = Duration::ZERO;
    for query in QUERIES {
        let mut times = Vec::new();
        let mut said = String::new();
        for _ in 0..3 {
            let began = Instant::now();
            let page = store.search(query, PAGE).await?;
            times.push(began.elapsed());
            said = format!("{}{} found", page.total, if page.more { "+" } else { "" });
        }
        most = most.max(times[0]);
        println!("search {query}: first {:.1?}, again {:.1?}; {said}", times[0], times[1].min(times[2]));
    }
    println!("first pages: the slowest {most:.1?} (to hold: 50 ms)");
    for query in TYPED {
        let (mut slowest, mut at) = (Duration::ZERO, "");
        for (end, letter) in query.char_indices() {
            let typed = &query[..end + letter.len_utf8()];
            let began = Instant::now();
            store.search(typed, PAGE).await?;
            if began.elapsed() > slowest {
                (slowest, at) = (began.elapsed(), typed);
            }
        }
        println!("typed {query}: the slowest letter {slowest:.1?}, behind {at:?} (to hold: 50 ms)");
    }
    Ok(())
}

/// What writing costs beside it all, and a long conversation.
async fn write(path: &Path) -> Outcome<()> {
    let store = Store::open(path, OpenMode::Write)?;
    let long = 1_u64 << 40;
    store.apply(made::conversation(long, long, 10_000), Durability::Written).await?;
    store.flush().await?;
    for _ in 0..2 {
        let began = Instant::now();
        let opened = store.open_conversation(&ConversationId::new(format!("c{long:08}"))).await?;
        println!("open a conversation of {} messages: {:.1?}", opened.messages.len(), began.elapsed());
    }
    let other = |n: u64| -> Vec<Change> { made::conversation(long + 1 + n, long, 1) };
    let mut synced: Vec<_> = Vec::new();
    for n in 0..50 {
        let began = Instant::now();
        store.apply(other(n), Durability::Synced).await?;
        synced.push(began.elapsed());
    }
    synced.sort();
    println!("synced commit: p50 {:.2?}, p98 {:.2?}", synced[25], synced[48]);
    let mut written: Vec<_> = Vec::new();
    for n in 0..200 {
        let waits = store.apply(other(100 + 2 * n), Durability::Synced);
        let began = Instant::now();
        store.apply(other(101 + 2 * n), Durability::Written).await?;
        written.push(began.elapsed());
        waits.await?;
    }
    written.sort();
    println!("written commit beside a synced one: p50 {:.2?}, p98 {:.2?}", written[100], written[196]);
    Ok(())
}

async fn measure(count: u64, messages: usize, kept: Option<PathBuf>) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let path = kept.as_deref().unwrap_or(folder.path()).join(format!("{count}-{messages}.db"));
    if path.is_file() {
        println!("{} is there already", path.display());
    } else {
        // Under another name until it is whole.
        let growing = path.with_extension("growing");
        make(&growing, count, messages).await?;
        // Its last thread empties SQLite's log into the file, and takes it away.
        let mut log = growing.clone().into_os_string();
        log.push("-wal");
        while Path::new(&log).exists() {
            std::thread::sleep(Duration::from_millis(20));
        }
        std::fs::rename(&growing, &path)?;
    }
    look(&path).await?;
    // Not into what is kept.
    write(&folder.path().join("other.db")).await
}

fn main() -> Outcome<()> {
    if cfg!(debug_assertions) {
        println!("a debug build: these figures say little");
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let kept = arguments.iter().position(|a| a == "--in").and_then(|at| arguments.get(at + 1)).map(PathBuf::from);
    let mut numbers = arguments.iter().filter_map(|a| a.parse::<u64>().ok());
    let count = numbers.next().unwrap_or(100_000);
    let messages = usize::try_from(numbers.next().unwrap_or(10))?;
    tokio::runtime::Builder::new_current_thread().build()?.block_on(measure(count, messages, kept))
}
