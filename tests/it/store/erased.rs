//! What was erased is gone: from the file, the index, the log and the copies.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// Stands in every text of the erased conversation, and nowhere else.
const CANARY: &str = "zqxjkvcanary";

/// A folder with nothing but the store.
fn kept() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    (folder, path)
}

/// Where the canary still stands, of all files of a folder.
fn traces(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|e| e.path().is_file()) {
        let bytes = std::fs::read(entry.path()).unwrap();
        let times = bytes.windows(CANARY.len()).filter(|w| *w == CANARY.as_bytes()).count();
        if times > 0 {
            found.push(format!("{} ({times})", entry.file_name().to_string_lossy()));
        }
    }
    found
}

/// How many rows of the index have a cut of the canary.
fn indexed(path: &Path) -> i64 {
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute_batch("CREATE VIRTUAL TABLE temp.terms USING fts5vocab (main, message_search, row);").unwrap();
    db.execute_batch("CREATE VIRTUAL TABLE temp.titles USING fts5vocab (main, title_search, row);").unwrap();
    db.query_row(
        "SELECT (SELECT count(*) FROM terms WHERE term IN ('zqx', 'qxj'))
              + (SELECT count(*) FROM titles WHERE term IN ('zqx', 'qxj'))",
        [],
        |row| row.get(0),
    )
    .unwrap()
}

/// A conversation that says the canary everywhere, written as a streamed turn is.
async fn telling(store: &Store, name: &str) {
    let (asked, answered, turn_id) = (format!("{name}-u"), format!("{name}-a"), format!("{name}-u"));
    synced(store, vec![begin(name, 1), user(name, &asked, None, &format!("please {CANARY} and nothing else"))]).await;
    synced(store, vec![turn(name, &turn_id), armed(&turn_id, &answered)]).await;
    let mut text = String::new();
    for n in 0..60 {
        text.push_str(&format!("{n} {CANARY} {}\n", "and so it goes on ".repeat(n % 7)));
        let change = Change::AnswerText {
            message: MessageId::new(&answered),
            answer: Box::new(answer(&text, AnswerState::Partial, vec![])),
        };
        store.apply(vec![change], Durability::Written).await.unwrap();
    }
    let arguments = format!(r#"{{"path":"{CANARY}"}}"#);
    let asked_for = call(&format!("{name}-k"), 0, &arguments);
    let outcome = Arc::new(ToolOutcome {
        full: Some(format!("{CANARY} {}", "of a long result ".repeat(4000))),
        ..ToolOutcome::clone(&done(CANARY))
    });
    let k = format!("{name}-k");
    synced(
        store,
        vec![
            opened(&turn_id, &k, 0),
            closed(&turn_id, &k, &arguments),
            sent(&turn_id, &k),
            ended(&turn_id, &k, outcome.clone()),
            message(
                name,
                &answered,
                Some(&asked),
                3,
                Body::Assistant(answer(&text, AnswerState::Complete, vec![asked_for])),
            ),
            message(name, &format!("{name}-t"), Some(&answered), 4, told(&k, outcome)),
            Change::Title { conversation: id(name), title: format!("about {CANARY}") },
            Change::Compacted {
                conversation: id(name),
                compaction: Box::new(Compaction {
                    upto: MessageId::new(&answered),
                    text: format!("in short: {CANARY}"),
                    ..Compaction::default()
                }),
            },
        ],
    )
    .await;
    store.save_draft(DraftOf::Conversation(id(name)), &format!("more {CANARY}")).await.unwrap();
    store.add_prompt(&format!("please {CANARY} and nothing else")).await.unwrap();
}

#[test]
fn an_erased_conversation_leaves_no_trace_in_any_file() {
    let (folder, path) = kept();
    let store = open(&path);
    block(async {
        for n in 0..40 {
            let name = format!("other{n}");
            synced(&store, vec![begin(&name, n), user(&name, &format!("{name}-u"), None, &"stays ".repeat(300))]).await;
            if n == 20 {
                telling(&store, "gone").await;
            }
        }
        store.flush().await.unwrap();
        assert_eq!(found(&store, CANARY, 10).await, 1);
        assert!(!traces(folder.path()).is_empty(), "the canary must be seen before it is gone");
        assert!(indexed(&path) > 0);
        // As a start with a newer schema would have left it.
        std::fs::copy(&path, folder.path().join("store.db-schema-1")).unwrap();

        let erased = store.erase(&[id("gone")]).await.unwrap();
        assert_eq!((erased.copies, erased.log_is_read, erased.damaged.len()), (1, false, 0));
        assert_eq!(erased.remarks().len(), 1);
        assert_eq!(traces(folder.path()), Vec::<String>::new());
        assert_eq!(indexed(&path), 0);
        assert_eq!(found(&store, CANARY, 10).await, 0);
        assert!(store.recent_prompts(10).await.unwrap().is_empty());
        assert!(store.drafts().await.unwrap().is_empty());
        assert!(matches!(store.erase(&[id("gone")]).await, Err(StoreError::NotFound(_))));
        // The others are as they were, and found.
        assert_eq!(store.count(None).await.unwrap(), 40);
        assert_eq!(found(&store, "stays", 100).await, 40);
        assert_eq!(store.check().await.unwrap(), None);
    });
}

#[test]
fn what_was_deleted_long_ago_is_scrubbed_by_the_next_start() {
    let (folder, path) = kept();
    block(async {
        let store = open(&path);
        telling(&store, "gone").await;
        synced(&store, vec![begin("stays", 1), user("stays", "u", None, "here")]).await;
        store.delete(&[id("gone")]).await.unwrap();
        store.flush().await.unwrap();
        store.close().await.unwrap();
    });
    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "secure_delete", true).unwrap();
    db.execute("UPDATE conversation SET deleted = 1 WHERE id = 'gone'", []).unwrap();
    drop(db);
    let store = open(&path);
    // Scrubbed while nothing else is to do; its note goes last.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !traces(folder.path()).is_empty() || indexed(&path) > 0 {
        assert!(std::time::Instant::now() < deadline, "still there: {:?}", traces(folder.path()));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(block(store.count(None)).unwrap(), 1);
}

#[test]
fn a_conversation_that_lives_elsewhere_is_not_erased() {
    let (_folder, path) = kept();
    block(async {
        let (one, two) = (open(&path), open(&path));
        synced(&one, vec![begin("c1", 1), user("c1", "u1", None, "go")]).await;
        assert_eq!(one.claim(&id("c1")).await.unwrap(), Claim::Ours);
        assert!(matches!(two.erase(&[id("c1")]).await, Err(StoreError::Held { pid }) if pid == std::process::id()));
        one.release(&id("c1")).await.unwrap();
        two.erase(&[id("c1")]).await.unwrap();
        assert_eq!(one.count(None).await.unwrap(), 0);
    });
}

/// A store as the first version wrote it.
fn first_version(path: &Path) {
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute_batch(include_str!("../../../assets/migrations/0001_init.sql")).unwrap();
    db.pragma_update(None, "application_id", 0x4D4C_5243).unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    let long = "a line of a long result\n".repeat(3000);
    db.execute_batch(
        "INSERT INTO conversation (no, id, folder, model, base_url, created, updated, touched, head, messages, calls)
         VALUES (1, 'old', '/w', 'm', 'http://127.0.0.1/v1', 1, 4, 1, NULL, 2, 1);
         INSERT INTO turn (no, id, conversation, process, started, ended, status) VALUES (1, 'u', 1, 'p', 1, 9, 'ok');
         INSERT INTO message (no, id, conversation, parent, at, role, text, body)
         VALUES (1, 'u', 1, NULL, 1, 'user', 'ask', '[{\"type\":\"text\",\"text\":\"ask\"}]');
         INSERT INTO message (no, id, conversation, parent, at, role, text, body) VALUES (2, 'a', 1, 1, 2, 'assistant', 'looking',
          '{\"calls\":[{\"id\":\"k\",\"index\":0,\"wire_name\":\"fs__read\",\"tool\":null,\"arguments\":\"{}\"}],\"model\":\"m\",
            \"origin\":\"http://127.0.0.1\",\"finish\":\"tool_calls\",\"state\":\"complete\"}');
         INSERT INTO call (no, conversation, id, turn, round, idx, wire_name, arguments, kind, content, outcome)
         VALUES (1, 1, 'k', 1, 1, 0, 'fs__read', '{}', 'done', 'a line',
          '{\"bytes\":72000,\"truncated\":true,\"sent\":true,\"ms\":1.0}');
         INSERT INTO message (no, id, conversation, parent, at, role, text, body, call)
         VALUES (3, 't', 1, 2, 3, 'tool', '', 'null', 1);
         UPDATE conversation SET head = 3;",
    )
    .unwrap();
    db.execute("INSERT INTO result (call, full) VALUES (1, ?1)", [&long]).unwrap();
}

#[test]
fn a_store_of_the_first_version_is_copied_then_brought_up_to_date() {
    let (folder, path) = kept();
    first_version(&path);
    let size = std::fs::metadata(&path).unwrap().len();
    let copy = folder.path().join("store.db-schema-1");
    block(async {
        let store = open(&path);
        let conversation = store.open_whole(&id("old")).await.unwrap();
        assert_eq!(conversation.messages.len(), 3);
        let whole = store.whole_result(&id("old"), &CallId::new("k")).await.unwrap().unwrap();
        assert_eq!(whole, "a line of a long result\n".repeat(3000));
        assert_eq!(found(&store, "looking", 5).await, 1);
        assert_eq!(found(&store, "long result", 5).await, 1);
        assert_eq!(store.check().await.unwrap(), None);
        store.close().await.unwrap();
    });
    let db = rusqlite::Connection::open(&path).unwrap();
    let stored: i64 = db.query_row("SELECT length(full) FROM result", [], |row| row.get(0)).unwrap();
    assert!(stored < 4000, "{stored} bytes of 72,000");
    // The copy is whole, of the former version, and nobody else's to read.
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    let former = rusqlite::Connection::open(&copy).unwrap();
    assert_eq!(former.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).unwrap(), 1);
    let full: i64 = former.query_row("SELECT length(full) FROM result", [], |row| row.get(0)).unwrap();
    assert_eq!(full, 72_000);
    assert!(size > 72_000);
    // What is erased later goes from the copy, too.
    drop(former);
    let erased = block(open(&path).erase(&[id("old")])).unwrap();
    assert_eq!(erased.copies, 1);
    assert!(!copy.exists());
}

#[test]
fn a_store_of_the_second_version_can_be_followed_once_it_is_brought_up_to_date() {
    let (_folder, path) = kept();
    drop(open(&path));
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch(
        "ALTER TABLE turn DROP COLUMN fault; ALTER TABLE round DROP COLUMN tools; ALTER TABLE round DROP COLUMN tools_hash;
         ALTER TABLE process RENAME TO old;
         CREATE TABLE process (token TEXT PRIMARY KEY, pid INTEGER NOT NULL, started INTEGER NOT NULL) STRICT, WITHOUT ROWID;
         DROP TABLE old; DROP TABLE put_off; ALTER TABLE conversation DROP COLUMN arrived;
         INSERT INTO conversation (no, id, folder, model, base_url, created, updated, touched)
         VALUES (1, 'old', '/w', 'm', 'http://127.0.0.1/v1', 1, 4, 1);
         INSERT INTO turn (no, id, conversation, process, started, ended, status) VALUES (1, 't', 1, 'p', 1, 9, 'failed');
         INSERT INTO round (turn, round, answer) VALUES (1, 1, 'a');",
    )
    .unwrap();
    db.pragma_update(None, "user_version", 2).unwrap();
    drop(db);
    block(async {
        let store = open(&path);
        let watched = store.watch(&id("old"), None).await.unwrap().unwrap();
        assert_eq!((watched.status.as_deref(), watched.fault, watched.runner), (Some("failed"), None, None));
        assert_eq!((watched.rounds[0].tools, watched.rounds[0].tools_hash.as_str()), (0, ""));
        assert_eq!(store.role(&id("old")).await.unwrap(), None);
    });
}

#[test]
fn a_store_that_cannot_be_copied_is_not_changed() {
    let (_folder, path) = kept();
    first_version(&path);
    // The copy is made, and cannot take its name.
    let blocked = path.with_file_name("store.db-schema-1");
    std::fs::create_dir(&blocked).unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = Store::open(&path, OpenMode::Write).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    let db = rusqlite::Connection::open(&path).unwrap();
    assert_eq!(db.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).unwrap(), 1);
    drop(db);
    assert_eq!(std::fs::read(&path).unwrap().len(), before.len());
    let beside = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name());
    assert!(beside.into_iter().all(|name| !name.to_string_lossy().contains("copying")), "nothing half made is left");
    std::fs::remove_dir(&blocked).unwrap();
    assert_eq!(block(open(&path).count(None)).unwrap(), 1);
}
