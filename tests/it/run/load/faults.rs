//! A disk that fails: each call of the store in turn, once and for ever.

use millrace::chat::Durability;
use millrace::store::StoreError;

use super::power::Unsynced;
use super::shim::{Record, Trace, preload};
use super::*;
use crate::store::{begin, user};

const ERRORS: [(&str, i32); 4] = [("ENOSPC", 28), ("EIO", 5), ("EROFS", 30), ("EACCES", 13)];

/// Runs a turn in which so many calls from one on fail; how many there were.
struct Fault {
    error: i32,
    first: u64,
    count: u64,
}

struct Outcome {
    calls: u64,
    /// It said that it is not being saved.
    unsaved: bool,
    /// All of the turn is there.
    whole: bool,
}

fn turn_with(fault: &Fault) -> Outcome {
    let place = Place::new();
    let script = Script::new(6);
    let provider = Provider::start(script.replies(Duration::ZERO, &Said::default()));
    let counter = place.home.path("count");
    let mut command = place.run(&provider, &script);
    preload(&mut command, &place.home.path("m").join("data"));
    command.env("MILLRACE_SHIM_COUNT", &counter);
    command.env("MILLRACE_SHIM_FAIL", format!("{} {} {}", fault.first, fault.count, fault.error));
    let told = done(command.output().unwrap(), 0);
    assert!(!told.err.contains("panicked"), "{}", told.err);
    let events = Events::read(&told.out);
    assert_eq!(events.status(), "ok", "{}", events.shown());
    let said: String = events.named("text").iter().filter_map(|e| e["text"].as_str()).collect();
    let wanted: String = script.rounds.iter().map(Round::text).collect();
    assert_eq!(said, wanted, "the answer did not come whole");
    // What was said before the first word of not being saved must be there.
    let until = events.0.iter().position(|e| e["event"] == "notice" && e["kind"] == "unsaved");
    let asked = |events: &[Value]| events.iter().filter(|e| e["event"] == "request").count();
    let requests = asked(&events.0[..until.unwrap_or(events.0.len())]);
    let ran = place.ran();
    let store = reopened(&place.store());
    let kept = newest(&store);
    // What failed behind its last event is told where it leaves.
    let unsaved = until.is_some() || told.err.contains("could not be saved");
    // Once is no reason to have less in the end; only a store that did not open at all stays closed.
    let ended = !unsaved || fault.count <= 1;
    let known = Known { script: &script, requests, ended, ran: &ran };
    if let Some(kept) = &kept {
        judge(kept, &known);
    } else {
        assert!(unsaved && requests == 0, "nothing is there, and nothing was said: {}", events.shown());
    }
    let answers = |c: &Conversation| {
        c.messages.iter().filter(|m| matches!(m.body, Body::Assistant(_))).map(|m| m.plain_text()).collect::<String>()
    };
    let calls = std::fs::read(&counter).unwrap();
    Outcome {
        calls: u64::from_ne_bytes(calls.try_into().unwrap()),
        unsaved,
        whole: kept.is_some_and(|c| answers(&c) == wanted),
    }
}

#[test]
fn each_call_of_the_store_that_fails_is_told_and_costs_no_answer() {
    let began = Instant::now();
    for (name, error) in ERRORS {
        // The first call that fails is none: so they are only counted.
        let calls = turn_with(&Fault { error, first: 0, count: 0 }).calls;
        assert!(calls > 50, "{calls}");
        for (word, count) in [("once", 1), ("for ever", u64::MAX)] {
            let runs = scale(2, calls as usize);
            let (told, whole) = (AtomicUsize::new(0), AtomicUsize::new(0));
            shared_out(4, runs, |n| {
                let first = (n * calls as usize / runs) as u64 + 1;
                let fault = Fault { error, first, count };
                let turn = std::panic::catch_unwind(|| turn_with(&fault)).unwrap_or_else(|panic| {
                    println!("{name}, {word}, from call {first} on");
                    std::panic::resume_unwind(panic)
                });
                told.fetch_add(usize::from(turn.unsaved), Ordering::Relaxed);
                whole.fetch_add(usize::from(turn.whole), Ordering::Relaxed);
            });
            println!(
                "a disk that fails with {name}, {word}: {runs} of {calls} calls in turn, {} told as not saved, {} whole \
                 all the same ({:.0?} so far)",
                told.into_inner(),
                whole.into_inner(),
                began.elapsed()
            );
        }
    }
}

/// Messages that the writer below writes.
const MESSAGES: usize = 16;
/// How often it tries each of them.
const TRIES: usize = 100;

/// A process with one store, which tries each message again until it is saved; says each that is.
fn write_on(path: &Path) {
    let mut tries = 0;
    let store = loop {
        match Store::open(path, OpenMode::Write) {
            Ok(store) => break store,
            Err(error) => {
                tries += 1;
                assert!(tries < TRIES, "{error}");
            }
        }
    };
    block(async {
        let mut parent: Option<String> = None;
        for n in 0..MESSAGES {
            let name = format!("u{n}");
            let changes = vec![begin("c1", 1), user("c1", &name, parent.as_deref(), "hello")];
            let mut tries = 0;
            while let Err(error) = store.apply(changes.clone(), Durability::Synced).await {
                assert!(
                    !matches!(error, StoreError::Closed | StoreError::Missing { .. } | StoreError::Row(_)),
                    "{error}"
                );
                tries += 1;
                assert!(tries < TRIES, "{error}");
            }
            println!("\n@{name}");
            parent = Some(name);
        }
        let _ = store.close().await;
    });
}

/// Each of the store's calls fails, or a number of them in a row; then power is lost. Returns how many calls there were.
fn writing_with(fault: &Fault) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let (data, trace, counter) = (folder.path().join("data"), folder.path().join("trace"), folder.path().join("count"));
    let path = data.join("millrace.db");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "run::load::faults::saving_goes_on_as_soon_as_the_disk_does", "--nocapture"])
        .arg("--test-threads=1")
        .env("MILLRACE_TEST_WRITER", &path)
        .env("MILLRACE_SHIM_TRACE", &trace)
        .env("MILLRACE_SHIM_COUNT", &counter)
        .env("MILLRACE_SHIM_FAIL", format!("{} {} {}", fault.first, fault.count, fault.error));
    preload(&mut command, &data);
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let trace = Trace::read(&trace);
    let safe = trace.safe_at();
    let judge = |store: &Store, records: &[Record]| {
        let said = records.iter().filter_map(|r| match r {
            Record::Said(text) => text.trim().strip_prefix('@'),
            _ => None,
        });
        let said: Vec<&str> = said.collect();
        writers::judge(store, "c1", &said);
        said.len()
    };
    assert_eq!(judge(&reopened(&path), &trace.records), MESSAGES);
    let mut dice = Dice::new(fault.first + fault.count);
    for cut in [trace.records.len(), dice.roll(trace.records.len() as u64) as usize] {
        let lost = tempfile::tempdir().unwrap();
        judge(&reopened(&trace.rebuilt(&safe, cut, Unsynced::Lost, lost.path())), &trace.records[..cut]);
    }
    u64::from_ne_bytes(std::fs::read(&counter).unwrap().try_into().unwrap())
}

#[test]
fn saving_goes_on_as_soon_as_the_disk_does() {
    if let Some(path) = std::env::var_os("MILLRACE_TEST_WRITER") {
        return write_on(Path::new(&path));
    }
    let began = Instant::now();
    for (name, error) in ERRORS {
        let calls = writing_with(&Fault { error, first: 0, count: 0 });
        for count in [1, 25] {
            let runs = scale(3, calls as usize);
            shared_out(4, runs, |n| {
                let first = (n * calls as usize / runs) as u64 + 1;
                let fault = Fault { error, first, count };
                if let Err(panic) = std::panic::catch_unwind(|| writing_with(&fault)) {
                    println!("{name}, {count} calls from {first} on");
                    std::panic::resume_unwind(panic);
                }
            });
            println!(
                "a disk that fails with {name} {count} times and then works: {runs} of {calls} calls in turn, each of {MESSAGES} messages saved, and there after lost power ({:.0?} so far)",
                began.elapsed()
            );
        }
    }
}
