//! Many processes that write one store at once.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Store, reopened, scale};
use crate::store::*;
use millrace::chat::{AnswerState, Body, Change, Durability, MessageId};

/// A process that writes so many turns of one conversation and says each number once the store acknowledged it: this
/// test again.
pub(super) fn child(store: &Path, name: &str, turns: usize, tidies: bool) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "run::load::writers::many_writers_lose_nothing", "--nocapture", "--test-threads=1"])
        .env("MILLRACE_TEST_WRITER", store)
        .env("MILLRACE_TEST_NAME", name)
        .env("MILLRACE_TEST_TURNS", turns.to_string())
        .env("MILLRACE_TEST_TIDIES", if tidies { "1" } else { "" })
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

/// Everything that was acknowledged is there.
pub(super) fn judge(store: &Store, name: &str, acknowledged: &[&str]) {
    if acknowledged.is_empty() {
        return;
    }
    let kept = block(store.open_conversation(&id(name))).unwrap();
    assert_valid(&kept);
    let there: std::collections::HashSet<&str> = kept.messages.iter().map(|m| m.id.as_str()).collect();
    for id in acknowledged {
        assert!(there.contains(id), "{id} was lost; {} are there", there.len());
    }
}

/// How long commits took.
#[derive(Default)]
struct Waits(Vec<Duration>);

impl Waits {
    async fn commit(&mut self, store: &Store, changes: Vec<Change>) {
        let began = Instant::now();
        synced(store, changes).await;
        self.0.push(began.elapsed());
    }
}

fn write(path: &Path, name: &str, turns: usize, tidies: bool) {
    let store = open(path);
    block(async {
        let mut waits = Waits::default();
        waits.commit(&store, vec![begin(name, 1)]).await;
        let mut parent: Option<String> = None;
        for n in 0..turns {
            let u = format!("{name}-{n}");
            let (a, t) = (format!("{u}-a"), format!("{u}-t"));
            let question = user(name, &u, parent.as_deref(), "hello");
            waits.commit(&store, vec![question, turn(name, &u), armed(&u, &a)]).await;
            println!("\n@{u}");
            waits.commit(&store, vec![opened(&u, &t, 0), closed(&u, &t, "{}")]).await;
            let text = Box::new(answer("so far", AnswerState::Partial, vec![]));
            let changes = vec![Change::AnswerText { message: MessageId::new(&a), answer: text }];
            store.apply(changes, Durability::Written).await.unwrap();
            println!("\n@{a}");
            let result = done(&"a result of some length ".repeat(if tidies { 400 } else { 4 }));
            waits.commit(&store, vec![ended(&u, &t, result.clone())]).await;
            let whole = answer("all", AnswerState::Complete, vec![call(&t, 0, "{}")]);
            let changes = vec![
                message(name, &a, Some(&u), 2, Body::Assistant(whole)),
                message(name, &t, Some(&a), 3, told(&t, result)),
                Change::TurnEnded { turn: MessageId::new(&u), status: "ok", fault: None, at_us: 1 },
            ];
            waits.commit(&store, changes).await;
            println!("\n@{t}");
            parent = Some(t);
            if tidies && n % 4 == 3 {
                // Long enough for the index and a checkpoint; then something is erased.
                std::thread::sleep(Duration::from_millis(500));
                let other = format!("{name}-other-{n}");
                waits.commit(&store, vec![begin(&other, 1), user(&other, &format!("{other}-u"), None, "to go")]).await;
                store.erase(&[id(&other)]).await.unwrap();
            }
        }
        waits.0.sort();
        let at = |share: f64| waits.0[((waits.0.len() - 1) as f64 * share) as usize].as_micros();
        println!("\n={} {} {} {}", waits.0.len(), at(0.5), at(0.99), at(1.0));
        store.close().await.unwrap();
    });
}

#[test]
fn many_writers_lose_nothing() {
    if let Some(path) = std::env::var_os("MILLRACE_TEST_WRITER") {
        let text = |name: &str| std::env::var(name).unwrap();
        let tidies = !text("MILLRACE_TEST_TIDIES").is_empty();
        return write(
            Path::new(&path),
            &text("MILLRACE_TEST_NAME"),
            text("MILLRACE_TEST_TURNS").parse().unwrap(),
            tidies,
        );
    }
    let writers = scale(3, 8);
    let lasts = Duration::from_secs(scale(0, 60) as u64);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data").join("millrace.db");
    let began = Instant::now();
    let mut told: Vec<Vec<String>> = Vec::new();
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..writers)
            .map(|n| {
                let path = &path;
                scope.spawn(move || {
                    let mut lines = Vec::new();
                    let mut again = 0;
                    // One process after the other, so that starting and leaving are among it.
                    while again == 0 || began.elapsed() < lasts {
                        let name = format!("w{n}-{again}");
                        let output = child(path, &name, scale(12, 100), false).output().unwrap();
                        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                        let text = String::from_utf8(output.stdout).unwrap();
                        lines.extend(text.lines().filter(|l| l.starts_with(['@', '='])).map(str::to_owned));
                        again += 1;
                    }
                    lines
                })
            })
            .collect();
        told = running.into_iter().map(|r| r.join().unwrap()).collect();
    });
    let took = began.elapsed();
    let store = reopened(&path);
    let mut waits: Vec<Vec<u128>> = Vec::new();
    let mut messages = 0;
    for lines in &told {
        let mut by_name: HashMap<&str, Vec<&str>> = HashMap::new();
        for line in lines {
            if let Some(id) = line.strip_prefix('@') {
                let name = id.match_indices('-').nth(1).map_or(id, |(at, _)| &id[..at]);
                by_name.entry(name).or_default().push(id);
            } else if let Some(figures) = line.strip_prefix('=') {
                waits.push(figures.split(' ').map(|n| n.parse().unwrap()).collect());
            }
        }
        for (name, acknowledged) in by_name {
            judge(&store, name, &acknowledged);
            messages += acknowledged.len();
        }
    }
    let commits: u128 = waits.iter().map(|w| w[0]).sum();
    let most = |at: usize| waits.iter().map(|w| w[at]).max().unwrap() as f64 / 1e3;
    println!(
        "{writers} writers at once for {took:.0?} ({} processes): {commits} synced commits, {:.0} a second, {messages} \
         messages acknowledged, 0 lost; a commit of the slowest process: p50 {:.1} ms, p99 {:.0} ms, most {:.0} ms",
        waits.len(),
        commits as f64 / took.as_secs_f64(),
        most(1),
        most(2),
        most(3),
    );
}
