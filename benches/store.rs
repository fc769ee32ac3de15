//! The store's figures: opening, listing and searching at size. Prints; asserts nothing about time.
//!
//! `cargo bench --bench store -- [CONVERSATIONS]`

use std::sync::Arc;
use std::time::Instant;

use millrace::chat::{Answer, AnswerState, Body, Change, ConversationId, Durability, Message, MessageId, Part};
use millrace::store::{OpenMode, Page, Store};

const WORDS: [&str; 16] = [
    "retry",
    "deadline",
    "the",
    "server",
    "stream",
    "token",
    "parser",
    "翻訳",
    "index",
    "lifetimes",
    "error",
    "tokio",
    "select",
    "review",
    "prompt",
    "backoff",
];

fn text(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut out = String::new();
    for _ in 0..40 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.push_str(WORDS[(state % 16) as usize]);
        out.push(' ');
    }
    out
}

fn conversation(name: &str, messages: u64, seed: u64) -> Vec<Change> {
    let id = ConversationId::new(name);
    let at = i64::try_from(seed).unwrap_or(0) * 1000;
    let mut changes = vec![Change::Conversation {
        id: id.clone(),
        folder: format!("/src/{}", seed % 20),
        model: "qwen3-32b".into(),
        base_url: "http://localhost:8000/v1".into(),
        system: None,
        at,
    }];
    let mut parent = None;
    for n in 0..messages {
        let said = if n == 0 && seed % 5_000 == 7 { format!("xylophone {}", text(seed)) } else { text(seed + n) };
        let body = if n % 2 == 0 {
            Body::User(vec![Part::text(said)])
        } else {
            Body::Assistant(Answer { text: said, state: AnswerState::Complete, ..Answer::default() })
        };
        let message = Message { id: MessageId::new(format!("{name}-{n}")), parent, at, body };
        parent = Some(message.id.clone());
        changes.push(Change::Message { conversation: id.clone(), message: Arc::new(message) });
    }
    changes
}

async fn measure(count: u64) -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store.db");
    let store = Store::open(&path, OpenMode::Write)?;
    let began = Instant::now();
    for from in (0..count).step_by(500) {
        let changes = (from..(from + 500).min(count)).flat_map(|n| conversation(&format!("c{n:08}"), 2, n)).collect();
        store.apply(changes, Durability::Written).await?;
    }
    store.apply(conversation("big", 10_000, count), Durability::Synced).await?;
    println!("{count} conversations written in {:?}", began.elapsed());
    let began = Instant::now();
    store.flush().await?;
    println!("indexed in {:?}; file {} MB", began.elapsed(), path.metadata()?.len() >> 20);
    store.close().await?;

    let began = Instant::now();
    let store = Store::open(&path, OpenMode::Write)?;
    println!("start: {:?}", began.elapsed());
    for _ in 0..2 {
        let began = Instant::now();
        let page = store.list(Page::default()).await?;
        println!("list, first page of {}: {:?}", page.len(), began.elapsed());
    }
    for _ in 0..2 {
        let began = Instant::now();
        let opened = store.open_conversation(&ConversationId::new("big")).await?;
        println!("open {} messages: {:?}", opened.messages.len(), began.elapsed());
    }
    for query in [
        "retry",
        "the",
        "xylophone",
        "xylophone retry",
        "retry deadline server",
        "nowhere",
        "翻訳",
        "zq",
        "the tool:none",
        "tool:none",
        "model:qwen",
        "before:1970-01-02 retry",
    ] {
        let began = Instant::now();
        let page = store.search(query, 50).await?;
        let more = if page.more { "+" } else { "" };
        println!("search {query:?}: {:?}, {}{more} found", began.elapsed(), page.total);
    }
    let mut synced: Vec<_> = Vec::new();
    for n in 0..50 {
        let began = Instant::now();
        store.apply(conversation(&format!("s{n}"), 1, n), Durability::Synced).await?;
        synced.push(began.elapsed());
    }
    synced.sort();
    println!("synced commit: p50 {:?}, p98 {:?}", synced[25], synced[48]);
    let mut written: Vec<_> = Vec::new();
    for n in 0..200 {
        let waits = store.apply(conversation(&format!("w{n}"), 1, n), Durability::Synced);
        let began = Instant::now();
        store.apply(conversation(&format!("x{n}"), 1, n), Durability::Written).await?;
        written.push(began.elapsed());
        waits.await?;
    }
    written.sort();
    println!("written commit beside a synced one: p50 {:?}, p98 {:?}", written[100], written[196]);
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count = std::env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(100_000);
    tokio::runtime::Builder::new_current_thread().build()?.block_on(measure(count))
}
