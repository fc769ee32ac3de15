//! What is kept for so many days and no longer, by a given clock.

use millrace::store::Retention;

use super::*;

const DAY: i64 = 24 * 60 * 60 * 1000;
/// The time by the clock.
const NOW: i64 = 1_000 * DAY;

/// A store with these: name, folder, days since it changed, pinned.
async fn made(path: &Path, all: &[(&str, &str, i64, bool)]) {
    let store = open(path);
    for (name, _, _, pinned) in all {
        synced(&store, vec![begin(name, 1), user(name, &format!("{name}-u"), None, &format!("word {name}word"))]).await;
        if *pinned {
            store.pin(&[id(name)], true).await.unwrap();
        }
    }
    store.flush().await.unwrap();
    store.close().await.unwrap();
    let db = rusqlite::Connection::open(path).unwrap();
    for (name, folder, days, _) in all {
        let updated = NOW - days * DAY;
        db.execute("UPDATE conversation SET folder = ?2, updated = ?3 WHERE id = ?1", (name, folder, updated)).unwrap();
    }
}

async fn left(store: &Store) -> Vec<String> {
    let page = Page { limit: 10_000, ..Page::default() };
    let mut names: Vec<_> = store.list(page).await.unwrap().into_iter().map(|s| s.id.as_str().to_owned()).collect();
    names.sort();
    names
}

fn days(days: u32) -> Retention {
    Retention { days: Some(days), folders: Vec::new() }
}

#[test]
fn what_is_too_old_goes_and_what_is_pinned_or_open_stays() {
    let (folder, path) = folder();
    let all = [
        ("fresh", "/src", 1, false),
        ("edge", "/src", 90, false),
        ("old", "/src", 91, false),
        ("pinned", "/src", 400, true),
        ("open", "/src", 400, false),
        ("ours", "/src", 400, false),
        ("deleted", "/src", 400, false),
    ];
    block(made(&path, &all));
    let (store, other) = (open(&path), open(&path));
    block(async {
        store.delete(&[id("deleted")]).await.unwrap();
        assert_eq!(other.claim(&id("open")).await.unwrap(), Claim::Ours);
        assert_eq!(store.claim(&id("ours")).await.unwrap(), Claim::Ours);
        // For ever, where nothing is said.
        assert_eq!(store.expire(&Retention::default(), NOW).await.unwrap().sentence(), None);
        assert_eq!(left(&store).await.len(), 6);
        let expired = store.expire(&days(90), NOW).await.unwrap();
        assert_eq!(expired.conversations, 1, "{expired:?}");
        let said = expired.sentence().unwrap();
        assert!(said.contains("keep_days in [store]") && said.contains("1 conversation."), "{said}");
    });
    assert_eq!(block(left(&store)), ["edge", "fresh", "open", "ours", "pinned"]);
    // Deleted, it is kept for the days that were promised; brought back, its age counts from now on.
    block(store.undelete(&[id("deleted")])).unwrap();
    assert_eq!(block(store.expire(&days(90), NOW)).unwrap().conversations, 0);
    assert!(block(left(&store)).contains(&"deleted".to_owned()));
    // Once more there is nothing to do, and nothing to tell.
    assert_eq!(block(store.expire(&days(90), NOW)).unwrap().sentence(), None);
    // A clock that was set back erases nothing.
    assert_eq!(block(store.expire(&days(90), 0)).unwrap().conversations, 0);
    drop((store, other));
    for text in ["oldword"] {
        for entry in std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap).filter(|e| e.path().is_file()) {
            let bytes = std::fs::read(entry.path()).unwrap();
            assert!(!bytes.windows(text.len()).any(|w| w == text.as_bytes()), "{text} in {:?}", entry.path());
        }
    }
}

#[test]
fn folders_have_rules_of_their_own() {
    let (_folder, path) = folder();
    let all = [
        ("a", "/src/secret", 8, false),
        ("b", "/src/secret/deep", 8, false),
        ("c", "/src/web", 8, false),
        ("d", "/src/kept", 4_000, false),
        ("e", "/else", 4_000, false),
    ];
    block(made(&path, &all));
    let store = open(&path);
    let rules =
        Retention { days: Some(365), folders: vec![("/src/secret".into(), Some(7)), ("/src/kept".into(), None)] };
    assert_eq!(block(store.expire(&rules, NOW)).unwrap().conversations, 3);
    assert_eq!(block(left(&store)), ["c", "d"]);
    // A folder's rule alone.
    let rules = Retention { days: None, folders: vec![("/src/web".into(), Some(7))] };
    assert_eq!(block(store.expire(&rules, NOW)).unwrap().conversations, 1);
    assert_eq!(block(left(&store)), ["d"]);
}

#[test]
fn many_go_in_steps_between_which_others_write() {
    let (_folder, path) = folder();
    let names: Vec<String> = (0..450).map(|n| format!("c{n:04}")).collect();
    let mut all: Vec<_> = names.iter().map(|name| (name.as_str(), "/src", 200, false)).collect();
    all.push(("fresh", "/src", 1, false));
    block(made(&path, &all));
    let store = open(&path);
    block(async {
        let rules = days(90);
        let expiry = store.expire(&rules, NOW);
        let writing = async {
            for n in 0..20 {
                let name = format!("new{n:02}");
                synced(&store, vec![begin(&name, NOW), user(&name, &format!("{name}-u"), None, "here")]).await;
            }
        };
        let (expired, ()) = tokio::join!(expiry, writing);
        assert_eq!(expired.unwrap().conversations, 450);
        assert_eq!(store.check().await.unwrap(), None);
    });
    let db = rusqlite::Connection::open(&path).unwrap();
    let kept: i64 = db.query_row("SELECT count(*) FROM conversation WHERE id LIKE 'c%'", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 0);
}

#[test]
fn prompts_and_drafts_of_that_age_go_too() {
    let (_folder, path) = folder();
    let store = open(&path);
    block(async {
        store.add_prompt("an old prompt").await.unwrap();
        store.save_draft(DraftOf::Folder("/src".into()), "an old draft").await.unwrap();
    });
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute("UPDATE prompt SET at = ?1", [NOW - 100 * DAY]).unwrap();
    db.execute("UPDATE draft SET at = ?1", [NOW - 100 * DAY]).unwrap();
    block(async {
        store.add_prompt("a new prompt").await.unwrap();
        let of_a_folder = Retention { days: None, folders: vec![("/src".into(), Some(7))] };
        assert_eq!(store.expire(&of_a_folder, NOW).await.unwrap().texts, 0, "prompts belong to no folder");
        assert_eq!(store.expire(&days(90), NOW).await.unwrap().texts, 2);
        assert_eq!(store.recent_prompts(9).await.unwrap(), ["a new prompt"]);
        assert!(store.drafts().await.unwrap().is_empty());
    });
}

#[test]
fn what_was_written_yesterday_keeps_what_it_was_written_in() {
    let (_folder, path) = folder();
    block(made(&path, &[("fresh", "/src", 1, false), ("drafted", "/src", 200, false), ("stale", "/src", 200, false)]));
    let store = open(&path);
    block(async {
        for name in ["drafted", "stale"] {
            store.save_draft(DraftOf::Conversation(id(name)), "half a thought").await.unwrap();
        }
    });
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute("UPDATE draft SET at = CASE owner WHEN 'c:stale' THEN ?1 ELSE ?2 END", [NOW - 100 * DAY, NOW - DAY])
        .unwrap();
    block(store.expire(&days(90), NOW)).unwrap();
    assert_eq!(block(left(&store)), ["drafted", "fresh"]);
}

#[test]
fn an_age_counts_from_when_it_came_to_stay() {
    let (_folder, path) = folder();
    let fresh = ("fresh", "/src", 1, false);
    block(made(
        &path,
        &[fresh, ("old", "/src", 200, false), ("let go", "/src", 200, true), ("back", "/src", 200, false)],
    ));
    let store = open(&path);
    block(async {
        store.pin(&[id("let go")], false).await.unwrap();
        store.delete(&[id("back")]).await.unwrap();
        store.undelete(&[id("back")]).await.unwrap();
        assert_eq!(store.expire(&days(90), NOW).await.unwrap().conversations, 1);
    });
    assert_eq!(block(left(&store)), ["back", "fresh", "let go"]);
}

#[test]
fn a_clock_that_may_be_wrong_erases_nothing_at_once() {
    let (_folder, path) = folder();
    block(made(&path, &[("a", "/src", 40, false), ("b", "/src", 100, false)]));
    let store = open(&path);
    let ask = |now: i64| block(store.expire(&days(90), now)).unwrap();
    for now in [NOW, NOW + DAY / 2] {
        let expired = ask(now);
        assert_eq!((expired.conversations, expired.put_off), (0, Some(40)), "{now}");
        assert!(expired.sentence().unwrap().contains("If the clock is right"));
    }
    // Set right again, it has never doubted.
    assert_eq!(ask(NOW - 20 * DAY).put_off, None);
    assert_eq!(ask(NOW).put_off, Some(40));
    let expired = ask(NOW + DAY);
    assert_eq!((expired.conversations, expired.put_off), (1, None));
    assert_eq!(block(left(&store)), ["a"]);
}

#[test]
fn what_was_typed_since_stays_though_an_old_conversation_said_the_same() {
    let (_folder, path) = folder();
    block(made(&path, &[("fresh", "/src", 1, false), ("old", "/src", 200, false)]));
    let store = open(&path);
    block(async {
        store.add_prompt("word oldword").await.unwrap();
        assert_eq!(store.expire(&days(90), NOW).await.unwrap().conversations, 1);
        assert_eq!(store.recent_prompts(9).await.unwrap(), ["word oldword"]);
        // A person's own erasing takes it along.
        synced(&store, vec![begin("new", NOW), user("new", "new-u", None, "word oldword")]).await;
        store.erase(&[id("new")]).await.unwrap();
        assert!(store.recent_prompts(9).await.unwrap().is_empty());
    });
}
