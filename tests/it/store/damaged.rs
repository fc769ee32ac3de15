//! A damaged file is set aside, and what can be read of it is saved as valid history.

use super::*;

/// So many conversations, each with a call, its outcome and an answer after it.
fn full(path: &Path, conversations: usize) {
    let store = open(path);
    block(async {
        for n in 0..conversations {
            let name = |what: &str| format!("c{n}-{what}");
            let c = format!("c{n}");
            let k = name("k");
            let words = format!("question {n} {}", "with some words ".repeat(20));
            synced(
                &store,
                vec![
                    begin(&c, n as i64),
                    user(&c, &name("u"), None, &words),
                    turn(&c, &name("u")),
                    armed(&name("u"), &name("a")),
                    opened(&name("u"), &k, 0),
                    closed(&name("u"), &k, "{}"),
                    ended(&name("u"), &k, done("a result")),
                    message(
                        &c,
                        &name("a"),
                        Some(&name("u")),
                        2,
                        Body::Assistant(answer("Looking.", AnswerState::Complete, vec![call(&k, 0, "{}")])),
                    ),
                    message(&c, &name("t"), Some(&name("a")), 3, told(&k, done("a result"))),
                    message(
                        &c,
                        &name("b"),
                        Some(&name("t")),
                        4,
                        Body::Assistant(answer(&"So it is. ".repeat(30), AnswerState::Complete, vec![])),
                    ),
                    Change::TurnEnded { turn: MessageId::new(name("u")), status: "ok", fault: None, at_us: 9 },
                ],
            )
            .await;
        }
        store.flush().await.unwrap();
        store.close().await.unwrap();
    });
    // All of it in the one file.
    let db = rusqlite::Connection::open(path).unwrap();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

fn overwrite(path: &Path, at: usize, with: &[u8]) {
    let mut bytes = std::fs::read(path).unwrap();
    let end = (at + with.len()).min(bytes.len());
    bytes[at..end].copy_from_slice(&with[..end - at]);
    std::fs::write(path, bytes).unwrap();
}

/// Every conversation of a store, each checked to be valid history.
fn all_valid(path: &Path) -> Vec<Conversation> {
    let store = open(path);
    block(async {
        assert_eq!(store.check().await.unwrap(), None);
        let mut all = Vec::new();
        for row in store.list(Page { limit: usize::MAX, ..Page::default() }).await.unwrap() {
            let conversation = store.open_conversation(&row.id).await.unwrap();
            assert_valid(&conversation);
            all.push(conversation);
        }
        store.flush().await.unwrap();
        store.close().await.unwrap();
        all
    })
}

/// The pages of one table, from the file's own statistics of itself.
fn pages(path: &Path, table: &str) -> Vec<usize> {
    let db = rusqlite::Connection::open(path).unwrap();
    let root: usize = db
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = ?1", [table], |row| row.get::<_, i64>(0))
        .unwrap()
        .try_into()
        .unwrap();
    // An interior page of a table: right-most pointer at 8, cells of four bytes of page number and a key.
    let bytes = std::fs::read(path).unwrap();
    let page = &bytes[(root - 1) * 4096..root * 4096];
    assert_eq!(page[0], 5, "{table} must be larger than one page");
    let cells = usize::from(u16::from_be_bytes([page[3], page[4]]));
    (0..cells)
        .map(|n| {
            let at = usize::from(u16::from_be_bytes([page[12 + 2 * n], page[13 + 2 * n]]));
            u32::from_be_bytes(page[at..at + 4].try_into().unwrap()) as usize
        })
        .collect()
}

#[test]
fn a_damaged_page_costs_only_what_stood_on_it() {
    let (_folder, path) = folder();
    full(&path, 120);
    let pages = pages(&path, "message");
    let middle = pages[pages.len() / 2];
    overwrite(&path, (middle - 1) * 4096, &[0xA5; 4096]);
    let damaged = std::fs::read(&path).unwrap();

    let salvaged = Store::salvage(&path).unwrap();
    assert!(salvaged.holes);
    assert_eq!(std::fs::read(&salvaged.aside).unwrap(), damaged, "the damaged file keeps its bytes");
    assert_eq!(salvaged.conversations, 120);
    // A page holds about eight of these messages.
    assert!(salvaged.messages > 440, "{salvaged:?}");
    let all = all_valid(&path);
    assert_eq!(all.len(), 120);
    let whole = all.iter().filter(|c| c.messages.len() == 4).count();
    assert!(whole > 110, "{whole} of 120 are whole");
    // The index is made anew.
    let store = open(&path);
    block(store.flush()).unwrap();
    assert!(block(found(&store, "question 3", 10)) > 0);
}

#[test]
fn a_file_without_a_header_is_set_aside_and_begun_anew() {
    let (_folder, path) = folder();
    full(&path, 3);
    overwrite(&path, 0, &[0; 100]);
    let damaged = std::fs::read(&path).unwrap();
    assert!(matches!(Store::open(&path, OpenMode::Write), Err(StoreError::Corrupt { .. })));
    let (store, salvaged) = Store::open_or_salvage(&path).unwrap();
    let salvaged = salvaged.unwrap();
    assert_eq!((salvaged.conversations, salvaged.holes), (0, true));
    assert_eq!(std::fs::read(&salvaged.aside).unwrap(), damaged);
    block(synced(&store, vec![begin("new", 1), user("new", "u", None, "goes on")]));
    drop(store);
    let (_, again) = Store::open_or_salvage(&path).unwrap();
    assert_eq!(again, None, "what is whole is not salvaged");
    assert_eq!(all_valid(&path).len(), 1);
}

#[test]
fn a_store_that_is_open_anywhere_is_not_replaced() {
    let (_folder, path) = folder();
    full(&path, 2);
    let before = std::fs::read(&path).unwrap();
    // Also one that only lists, and has never run a turn.
    let living = open(&path);
    assert_eq!(block(living.count(None)).unwrap(), 2);
    let error = Store::salvage(&path).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert!(beside(&path, "-damaged-").is_empty() && beside(&path, "-salvaging-").is_empty());
    block(living.close()).unwrap();
    assert_eq!(Store::salvage(&path).unwrap().conversations, 2);
}

/// The files beside a store whose names go on so.
fn beside(path: &Path, ending: &str) -> Vec<PathBuf> {
    let begin = format!("{}{ending}", path.file_name().unwrap().to_string_lossy());
    let entries = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|p| p.file_name().unwrap().to_string_lossy().starts_with(&begin)).collect()
}

#[test]
fn starts_at_once_on_a_damaged_file_end_in_one_store() {
    let (_folder, path) = folder();
    full(&path, 20);
    overwrite(&path, 0, &[0; 100]);
    let started: Vec<_> = (0..6)
        .map(|n| {
            let path = path.clone();
            std::thread::spawn(move || {
                let (store, _) = Store::open_or_salvage(&path).unwrap();
                let name = format!("s{n}");
                block(synced(&store, vec![begin(&name, n), user(&name, &format!("{name}-u"), None, "kept")]));
            })
        })
        .collect();
    started.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(beside(&path, "-damaged-").len(), 1, "it is set aside once");
    assert_eq!(all_valid(&path).len(), 6, "what each wrote is there");
}

#[test]
fn a_salvage_that_was_cut_off_is_begun_again_and_leaves_nothing() {
    let (_folder, path) = folder();
    full(&path, 4);
    let cut_off = path.with_file_name("store.db-salvaging-0");
    std::fs::write(&cut_off, "half of a new store").unwrap();
    std::fs::write(path.with_file_name("store.db-salvaging-0-wal"), "its log").unwrap();
    assert_eq!(Store::salvage(&path).unwrap().conversations, 4);
    assert!(beside(&path, "-salvaging-").is_empty());
}

#[test]
fn a_result_that_cannot_be_read_stops_neither_a_start_nor_a_salvage() {
    let (_folder, path) = folder();
    full(&path, 2);
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute("INSERT INTO result (call, full) SELECT no, x'00112233' FROM call", []).unwrap();
    // A turn that a dead process left is recovered by the next start.
    db.execute("UPDATE turn SET status = NULL, ended = NULL", []).unwrap();
    drop(db);
    block(open(&path).close()).unwrap();
    assert_eq!(Store::salvage(&path).unwrap().conversations, 2);
    let store = open(&path);
    assert_eq!(block(store.open_whole(&id("c0"))).unwrap().messages.len(), 4);
    // Who erases is told what is kept on purpose.
    let erased = block(store.erase(&[id("c0")])).unwrap();
    let mut damaged = beside(&path, "-damaged-");
    damaged.retain(|file| !file.to_string_lossy().ends_with("-wal"));
    assert_eq!(erased.damaged, damaged);
    assert!(erased.remarks()[0].contains("-damaged-"), "{:?}", erased.remarks());
}

#[test]
fn the_newest_rows_come_from_the_log() {
    let (_folder, path) = folder();
    full(&path, 2);
    // A process that was killed leaves its log; the file itself is then damaged.
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute("UPDATE conversation SET title = 'from the log' WHERE id = 'c1'", []).unwrap();
    let wal = path.with_file_name("store.db-wal");
    let log = std::fs::read(&wal).unwrap();
    assert!(!log.is_empty());
    let file = std::fs::read(&path).unwrap();
    drop(db);
    std::fs::write(&path, &file).unwrap();
    std::fs::write(&wal, &log).unwrap();
    let salvaged = Store::salvage(&path).unwrap();
    assert_eq!((salvaged.conversations, salvaged.holes), (2, false));
    // Both keep their bytes: nothing is written to what is damaged.
    assert_eq!(std::fs::read(&salvaged.aside).unwrap(), file);
    let mut aside_log = salvaged.aside.into_os_string();
    aside_log.push("-wal");
    assert_eq!(std::fs::read(aside_log).unwrap(), log);
    assert!(all_valid(&path).iter().any(|c| c.summary.title == "from the log"));
}

#[test]
fn run_saves_into_what_is_left_and_says_so_and_doctor_repairs() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("data").join("millrace.db");
    full(&path, 3);
    let millrace = |args: &[&str]| {
        let ran = Command::new(env!("CARGO_BIN_EXE_millrace"))
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("MILLRACE_HOME", home.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (ran.status.code(), text(&ran.stdout), text(&ran.stderr))
    };
    assert!(path.is_file(), "the store stands where the program looks for it");
    overwrite(&path, 0, &[0; 100]);
    // A command that only reads changes nothing, and says what helps.
    let (code, _, err) = millrace(&["history", "list"]);
    assert_eq!(code, Some(7));
    assert!(err.contains("doctor --repair"), "{err}");
    // Nothing listens there: the turn fails, and what was asked is kept all the same.
    let (code, _, err) = millrace(&["run", "-v", "--base-url", "http://127.0.0.1:9/v1", "-m", "m", "kept?"]);
    assert_eq!(code, Some(5), "{err}");
    assert!(err.contains("The store was damaged") && err.contains("millrace.db-damaged-"), "{err}");
    assert!(millrace(&["history", "list"]).1.contains("kept?"));
    overwrite(&path, 0, &[0; 100]);
    let (code, out, err) = millrace(&["doctor", "--repair", "--vacuum", "--json"]);
    let checks: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {code:?} {out} {err}"));
    assert!(checks.to_string().contains("The store was damaged"), "{out}");
    assert_eq!(millrace(&["history", "list", "--json"]), (Some(0), "[]\n".into(), String::new()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_was_overwritten_what_is_saved_is_valid(
        holes in prop::collection::vec((0usize..1000, prop::collection::vec(any::<u8>(), 1..600)), 1..5),
    ) {
        let (_folder, path) = folder();
        full(&path, 12);
        let size = std::fs::metadata(&path).unwrap().len() as usize;
        for (at, with) in &holes {
            overwrite(&path, at * (size - 1) / 1000, with);
        }
        match Store::salvage(&path) {
            Ok(_) => drop(all_valid(&path)),
            Err(error) => prop_assert!(false, "{error}"),
        }
    }
}
