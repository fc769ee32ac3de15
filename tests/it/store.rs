//! The store against files, crashes and other processes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[cfg(unix)]
mod erased;
mod expired;

mod branches;
mod damaged;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use millrace::chat::{
    Answer, AnswerState, Aside, AsideKind, Body, CallId, Change, ClosedBy, Compaction, Conversation, ConversationId,
    Durability, Grant, GrantScope, Message, MessageId, OutcomeKind, Part, Pin, RoundTimes, ToolCall, ToolMessage,
    ToolOutcome, ToolRef, Usage,
};
use millrace::cli::history::{self, Removal};
use millrace::store::{Claim, Cursor, DraftOf, OpenMode, Page, Sort, Store, StoreError};
use proptest::prelude::*;

pub(super) fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data").join("store.db");
    (folder, path)
}

pub(super) fn open(path: &Path) -> Store {
    Store::open(path, OpenMode::Write).unwrap()
}

pub(super) fn id(text: &str) -> ConversationId {
    ConversationId::new(text)
}

pub(super) fn begin(conversation: &str, at: i64) -> Change {
    Change::Conversation {
        id: id(conversation),
        folder: "/src".into(),
        model: "qwen3-32b".into(),
        base_url: "http://localhost:8000/v1".into(),
        system: Some("Be brief.".into()),
        at,
    }
}

pub(super) fn message(conversation: &str, name: &str, parent: Option<&str>, at: i64, body: Body) -> Change {
    let message = Message { id: MessageId::new(name), parent: parent.map(MessageId::new), at, body };
    Change::Message { conversation: id(conversation), message: Arc::new(message) }
}

pub(super) fn user(conversation: &str, name: &str, parent: Option<&str>, text: &str) -> Change {
    message(conversation, name, parent, 1_000, Body::User(vec![Part::text(text)]))
}

pub(super) fn answer(text: &str, state: AnswerState, calls: Vec<ToolCall>) -> Answer {
    Answer {
        text: text.into(),
        calls,
        model: "qwen3-32b".into(),
        origin: "http://localhost:8000".into(),
        state,
        ..Answer::default()
    }
}

pub(super) fn call(name: &str, index: u32, arguments: &str) -> ToolCall {
    ToolCall {
        id: CallId::new(name),
        wire_id: None,
        index,
        wire_name: "fs__read".into(),
        tool: Some(ToolRef::new("fs", "read")),
        arguments: arguments.into(),
        extra: serde_json::Map::new(),
    }
}

pub(super) fn done(content: &str) -> Arc<ToolOutcome> {
    let mut outcome = ToolOutcome::unsent(OutcomeKind::Done, content);
    outcome.sent = true;
    Arc::new(outcome)
}

pub(super) fn told(call: &str, outcome: Arc<ToolOutcome>) -> Body {
    Body::Tool(ToolMessage { call: CallId::new(call), outcome })
}

pub(super) fn turn(conversation: &str, turn: &str) -> Change {
    Change::TurnStarted { conversation: id(conversation), turn: MessageId::new(turn), at: 1_000 }
}

pub(super) fn armed(turn: &str, answer: &str) -> Change {
    Change::RoundArmed {
        turn: MessageId::new(turn),
        round: 1,
        answer: MessageId::new(answer),
        parent: None,
        tools: 0,
        tools_hash: String::new(),
    }
}

pub(super) fn opened(turn: &str, call: &str, index: u32) -> Change {
    Change::CallOpened {
        turn: MessageId::new(turn),
        round: 1,
        call: CallId::new(call),
        index,
        wire_name: "fs__read".into(),
        tool: Some(ToolRef::new("fs", "read")),
        at_us: 10,
    }
}

pub(super) fn closed(turn: &str, call: &str, arguments: &str) -> Change {
    Change::CallClosed {
        turn: MessageId::new(turn),
        call: CallId::new(call),
        arguments: arguments.into(),
        closed_by: ClosedBy::Brace,
        at_us: 20,
    }
}

fn sent(turn: &str, call: &str) -> Change {
    Change::CallSent { turn: MessageId::new(turn), call: CallId::new(call), at_us: 30 }
}

pub(super) fn ended(turn: &str, call: &str, outcome: Arc<ToolOutcome>) -> Change {
    Change::CallEnded { turn: MessageId::new(turn), call: CallId::new(call), outcome, at_us: 40 }
}

pub(super) async fn synced(store: &Store, changes: Vec<Change>) {
    store.apply(changes, Durability::Synced).await.unwrap();
}

/// Every call of every answer is followed by exactly one tool message.
pub(super) fn assert_valid(conversation: &Conversation) {
    let mut waiting: Vec<CallId> = Vec::new();
    for message in &conversation.messages {
        match &message.body {
            Body::Tool(tool) => {
                let at = waiting.iter().position(|c| *c == tool.call).expect("an outcome without its call");
                waiting.remove(at);
            }
            Body::User(_) => assert!(waiting.is_empty(), "calls without outcome"),
            Body::Assistant(answer) => {
                assert!(waiting.is_empty(), "calls without outcome");
                waiting.extend(answer.calls.iter().map(|c| c.id.clone()));
            }
        }
    }
    assert!(waiting.is_empty(), "calls without outcome");
}

/// A search to its end: one that ran out of its time on a busy machine says that there may be more, and is asked again.
pub(super) async fn found(store: &Store, query: &str, limit: usize) -> usize {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let page = store.search(query, limit).await.unwrap();
        if !page.more || page.hits.len() == limit || std::time::Instant::now() > until {
            return page.hits.len();
        }
    }
}

fn bodies(conversation: &Conversation) -> Vec<Body> {
    conversation.messages.iter().map(|m| m.body.clone()).collect()
}

/// A turn that never rests: the log is written into the file all the same, by whoever hears whether that failed.
#[test]
fn the_log_stays_short_though_nothing_rests() {
    let (_folder, path) = folder();
    let store = open(&path);
    let text = "a long line of a long message\n".repeat(20_000);
    block(async {
        let mut most = 0;
        for n in 0..120 {
            let name = format!("u{n}");
            let parent = (n > 0).then(|| format!("u{}", n - 1));
            synced(&store, vec![begin("c1", 1), user("c1", &name, parent.as_deref(), &text)]).await;
            most = most.max(std::fs::metadata(path.with_extension("db-wal")).unwrap().len());
        }
        assert!(most < 24 << 20, "{most} bytes of {}", 120 * text.len());
        assert_eq!(store.check().await.unwrap(), None);
    });
}

#[test]
fn a_turn_reads_back_as_it_was_written() {
    let (_folder, path) = folder();
    let mut outcome = ToolOutcome::clone(&done("head…tail"));
    outcome.full = Some("head and much more and tail".into());
    outcome.truncated = true;
    outcome.structured = Some(serde_json::Value::Null);
    outcome.notes = vec!["cut".into()];
    let outcome = Arc::new(outcome);
    let written = block(async {
        let store = open(&path);
        synced(&store, vec![begin("c1", 500), user("c1", "u1", None, "\n  Read it\nplease"), turn("c1", "u1")]).await;
        synced(&store, vec![armed("u1", "a1")]).await;
        synced(&store, vec![opened("u1", "k1", 0), closed("u1", "k1", r#"{"path":"a.rs"}"#), sent("u1", "k1")]).await;
        synced(&store, vec![ended("u1", "k1", outcome.clone())]).await;
        let first = answer("Looking.", AnswerState::Complete, vec![call("k1", 0, r#"{"path":"a.rs"}"#)]);
        synced(
            &store,
            vec![
                message("c1", "a1", Some("u1"), 1_100, Body::Assistant(first)),
                message("c1", "t1", Some("a1"), 1_200, told("k1", outcome.clone())),
                Change::RoundTimes {
                    turn: MessageId::new("u1"),
                    times: RoundTimes { round: 1, requested: 1, ended: Some(90), ..RoundTimes::default() },
                    usage: Usage { input: Some(10), output: Some(5), ..Usage::default() },
                    finish: Some("tool_calls".into()),
                },
                message("c1", "a2", Some("t1"), 1_300, Body::Assistant(answer("Done.", AnswerState::Complete, vec![]))),
                Change::TurnEnded { turn: MessageId::new("u1"), status: "ok", fault: None, at_us: 100 },
            ],
        )
        .await;
        let opened = store.open_whole(&id("c1")).await.unwrap();
        assert_eq!(store.open_conversation(&id("c1")).await.unwrap().messages.len(), 4);
        opened
    });
    let store = open(&path);
    let again = block(store.open_whole(&id("c1"))).unwrap();
    assert_eq!(again, written);
    assert_valid(&again);
    assert_eq!(again.messages[2].body, told("k1", outcome));
    let row = &again.summary;
    assert_eq!((row.title.as_str(), row.messages, row.calls, row.failed_calls), ("Read it", 3, 1, 0));
    assert_eq!((row.tokens, row.created, row.updated, row.interrupted), (Some(15), 500, 1_300, false));
    block(async {
        let whole = store.whole_result(&id("c1"), &CallId::new("k1")).await.unwrap();
        assert_eq!(whole.as_deref(), Some("head and much more and tail"));
        let times = store.turn(&id("c1"), None).await.unwrap().unwrap();
        assert_eq!((times.number, times.of, times.status.as_deref()), (1, 1, Some("ok")));
        let call = &times.times.calls[0];
        assert_eq!((call.opened, call.closed, call.sent, call.answered), (10, Some(20), Some(30), Some(40)));
        assert_eq!((call.detail.as_str(), call.closed_by), ("a.rs", Some(ClosedBy::Brace)));
        // Held until the end of the stream, 90, its twenty from the close to the answer would have ended at 110.
        assert_eq!(times.times.saved(), 20);
        assert_eq!(store.usage(&id("c1")).await.unwrap().output, Some(5));
        assert_eq!(store.used_call_ids(&id("c1")).await.unwrap(), [CallId::new("k1")]);
        let past = store.past_calls(&id("c1"), &ToolRef::new("fs", "read"), r#"{"path":"a.rs"}"#).await.unwrap();
        assert_eq!(past.iter().map(|p| p.kind).collect::<Vec<_>>(), [OutcomeKind::Done]);
        assert!(store.past_calls(&id("c1"), &ToolRef::new("fs", "read"), "{}").await.unwrap().is_empty());
        assert_eq!(store.check().await.unwrap(), None);
    });
}

#[test]
fn summaries_are_kept_beside_the_messages_changed_and_taken_back() {
    let (_folder, path) = folder();
    let one = |upto: &str, text: &str| {
        let compaction = Compaction {
            upto: MessageId::new(upto),
            messages: 2,
            text: text.into(),
            input: Some(100),
            output: Some(10),
            ..Compaction::default()
        };
        Change::Compacted { conversation: id("c"), compaction: Box::new(compaction) }
    };
    let said = |text: &str| Body::Assistant(answer(text, AnswerState::Complete, vec![]));
    let kept = |store: &Store| {
        let opened = block(store.open_conversation(&id("c"))).unwrap();
        assert_eq!(opened.messages.len(), 4, "the messages stay");
        opened.compactions()
    };
    let store = open(&path);
    block(synced(
        &store,
        vec![
            begin("c", 1),
            user("c", "u1", None, "one"),
            message("c", "a1", Some("u1"), 2, said("first")),
            user("c", "u2", Some("a1"), "two"),
            message("c", "a2", Some("u2"), 3, said("second")),
            one("a1", "in short"),
        ],
    ));
    drop(store);
    let store = open(&path);
    assert_eq!(kept(&store).iter().map(|one| one.text.as_str()).collect::<Vec<_>>(), ["in short"]);
    let upto = || MessageId::new("a1");
    block(synced(
        &store,
        vec![Change::SummaryText { conversation: id("c"), upto: upto(), text: "other words".into() }, one("a2", "all")],
    ));
    let told: Vec<_> = kept(&store).into_iter().map(|one| (one.text, one.edited)).collect();
    assert_eq!(told, [("other words".to_owned(), true), ("all".to_owned(), false)]);
    // One in the place of another: what both cost is kept.
    block(synced(
        &store,
        vec![one("a1", "anew"), Change::Uncompacted { conversation: id("c"), upto: MessageId::new("a2") }],
    ));
    let told: Vec<_> = kept(&store).into_iter().map(|one| (one.text, one.input, one.undone)).collect();
    assert_eq!(told, [("all".to_owned(), Some(100), true), ("anew".to_owned(), Some(200), false)]);
    // They go with an export, and stand for the same messages where those get other ids.
    let exported = millrace::export::json(&block(store.open_whole(&id("c"))).unwrap()).unwrap();
    let copy = block(store.import(millrace::export::parse(&exported).unwrap())).unwrap();
    assert_ne!(copy, id("c"));
    let opened = block(store.open_conversation(&copy)).unwrap();
    let compactions = opened.compactions();
    let (on, count) = Compaction::on(&compactions, &opened.messages).unwrap();
    assert_eq!((on.text.as_str(), count), ("anew", 2));
}

#[test]
fn a_title_that_a_model_made_never_replaces_a_persons_word_and_what_it_took_is_summed_up() {
    let (_folder, path) = folder();
    let store = open(&path);
    let titled = |of: &str, title: &str| Change::Titled { conversation: id(of), title: title.into() };
    let given = |of: &str| block(store.given_title(&id(of))).unwrap();
    let begun = |of: &str| vec![begin(of, 1), user(of, &format!("{of}-u"), None, "the first line")];
    for of in ["a", "b", "c"] {
        block(synced(&store, begun(of)));
    }
    assert_eq!(given("a"), None);
    block(synced(&store, vec![titled("a", "made")]));
    assert_eq!((given("a").as_deref(), block(store.summary(&id("a"))).unwrap().title.as_str()), (Some("made"), "made"));
    block(synced(&store, vec![titled("a", "made again")]));
    assert_eq!(given("a").as_deref(), Some("made"), "once");
    block(store.rename(&id("b"), "mine")).unwrap();
    // An empty one lets the first line speak, by a person's wish.
    block(store.rename(&id("c"), "")).unwrap();
    block(synced(&store, vec![titled("b", "made"), titled("c", "made")]));
    assert_eq!((given("b").as_deref(), given("c").as_deref()), (Some("mine"), Some("")));
    assert_eq!(block(store.summary(&id("c"))).unwrap().title, "the first line");
    let aside = |of: &str, input| {
        let usage = Usage { input: Some(input), ..Usage::default() };
        Change::Aside { conversation: id(of), aside: Aside::new(AsideKind::Title, "small", 7, usage) }
    };
    // One that was erased meanwhile holds up nothing.
    block(synced(&store, vec![aside("a", 10), aside("a", 5), aside("gone", 1), titled("gone", "x")]));
    let kept = block(store.open_conversation(&id("a"))).unwrap().asides();
    assert_eq!(kept.iter().map(|one| (one.times, one.usage.input)).collect::<Vec<_>>(), [(2, Some(15))]);
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, path) = folder();
    let store = open(&path);
    block(synced(&store, vec![begin("c1", 1)]));
    let mode = |p: &Path| p.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&path.with_file_name("store.db-wal")), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
}

#[test]
fn branches_share_their_beginning() {
    block(async {
        let store = Store::temporary().unwrap();
        let say = |text: &str| Body::Assistant(answer(text, AnswerState::Complete, vec![]));
        synced(
            &store,
            vec![
                begin("c1", 1),
                user("c1", "u1", None, "one"),
                message("c1", "a1", Some("u1"), 2, say("first")),
                message("c1", "a1b", Some("u1"), 3, say("second")),
            ],
        )
        .await;
        let texts = |c: &Conversation| c.messages.iter().map(|m| m.plain_text()).collect::<Vec<_>>();
        assert_eq!(texts(&store.open_conversation(&id("c1")).await.unwrap()), ["one", "second"]);
        store.set_head(&id("c1"), &MessageId::new("a1")).await.unwrap();
        assert_eq!(texts(&store.open_conversation(&id("c1")).await.unwrap()), ["one", "first"]);
        let missing = store.set_head(&id("c1"), &MessageId::new("zz")).await;
        assert!(matches!(missing, Err(StoreError::Missing { what: "message", .. })));
        // What stood between was never saved: it is hung on the head.
        synced(&store, vec![user("c1", "u9", Some("lost"), "late")]).await;
        assert_eq!(texts(&store.open_conversation(&id("c1")).await.unwrap()), ["one", "first", "late"]);
    });
}

#[test]
fn a_turn_that_was_left_becomes_valid_and_truthful_history() {
    let (_folder, path) = folder();
    block(async {
        let store = open(&path);
        synced(&store, vec![begin("c1", 1), user("c1", "u1", None, "go"), turn("c1", "u1"), armed("u1", "a1")]).await;
        let partial = answer("half an ans", AnswerState::Partial, vec![]);
        store
            .apply(
                vec![Change::AnswerText { message: MessageId::new("a1"), answer: Box::new(partial) }],
                Durability::Written,
            )
            .await
            .unwrap();
        synced(
            &store,
            vec![
                opened("u1", "answered", 0),
                opened("u1", "sent", 1),
                opened("u1", "closed", 2),
                opened("u1", "opened", 3),
                closed("u1", "answered", "{}"),
                closed("u1", "sent", r#"{"path":"b"}"#),
                closed("u1", "closed", "{}"),
                sent("u1", "answered"),
                sent("u1", "sent"),
                ended("u1", "answered", done("kept")),
            ],
        )
        .await;
        // A living process: nothing is touched from elsewhere.
        let other = open(&path);
        assert!(!other.summary(&id("c1")).await.unwrap().interrupted);
        store.close().await.unwrap();
    });
    let store = open(&path);
    let opened = block(store.open_conversation(&id("c1"))).unwrap();
    assert_valid(&opened);
    assert!(opened.summary.interrupted);
    assert_eq!(opened.summary.failed_calls, 3);
    let Body::Assistant(kept) = &opened.messages[1].body else { panic!("no answer") };
    assert_eq!((kept.text.as_str(), kept.state), ("half an ans", AnswerState::Interrupted));
    assert_eq!(
        kept.calls.iter().map(|c| c.arguments.as_ref()).collect::<Vec<_>>(),
        ["{}", r#"{"path":"b"}"#, "{}", "{}"]
    );
    let outcomes: Vec<_> = opened
        .messages
        .iter()
        .filter_map(|m| match &m.body {
            Body::Tool(t) => {
                Some((t.call.as_str().to_owned(), t.outcome.kind, t.outcome.sent, t.outcome.content.clone()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(outcomes[0], ("answered".into(), OutcomeKind::Done, true, "kept".into()));
    for (at, (name, was_sent, words)) in
        [("sent", true, "was sent"), ("closed", false, "ready to be sent"), ("opened", false, "being written")]
            .into_iter()
            .enumerate()
    {
        let (call, kind, sent, content) = &outcomes[at + 1];
        assert_eq!((call.as_str(), *kind, *sent), (name, OutcomeKind::Unknown, was_sent));
        assert!(content.contains(words), "{content}");
    }
    // Once is enough.
    drop(store);
    let again = block(open(&path).open_conversation(&id("c1"))).unwrap();
    assert_eq!(bodies(&again), bodies(&opened));
}

#[test]
fn calls_without_any_text_get_an_answer_of_their_own() {
    let (_folder, path) = folder();
    block(async {
        let store = open(&path);
        synced(&store, vec![begin("c1", 1), user("c1", "u1", None, "go"), turn("c1", "u1"), armed("u1", "a1")]).await;
        synced(&store, vec![opened("u1", "k1", 0)]).await;
        store.close().await.unwrap();
    });
    let opened = block(open(&path).open_conversation(&id("c1"))).unwrap();
    assert_valid(&opened);
    assert_eq!(opened.messages.len(), 3);
    assert_eq!(opened.messages[1].id, MessageId::new("a1"));
}

#[test]
fn text_waits_behind_all_else_and_is_void_once_the_answer_is_whole() {
    block(async {
        let store = Store::temporary().unwrap();
        synced(&store, vec![begin("c1", 1), user("c1", "u1", None, "go"), turn("c1", "u1"), armed("u1", "a1")]).await;
        let text = |t: &str| {
            let answer = Box::new(answer(t, AnswerState::Partial, vec![]));
            store.apply(vec![Change::AnswerText { message: MessageId::new("a1"), answer }], Durability::Written)
        };
        let (one, two) = (text("a"), text("ab"));
        let whole = Body::Assistant(answer("abc", AnswerState::Complete, vec![]));
        let last = store.apply(vec![message("c1", "a1", Some("u1"), 5, whole)], Durability::Synced);
        let (one, two, last) = tokio::join!(one, two, last);
        assert!(one.is_ok() && two.is_ok() && last.is_ok());
        let opened = store.open_conversation(&id("c1")).await.unwrap();
        assert_eq!(opened.messages[1].plain_text(), "abc");
        assert_eq!(opened.messages.len(), 2);
    });
}

#[test]
fn a_list_is_all_or_nothing() {
    block(async {
        let store = Store::temporary().unwrap();
        let good = store.apply(vec![begin("c1", 1)], Durability::Written);
        let bad = store.apply(vec![begin("c2", 1), turn("nowhere", "t")], Durability::Written);
        let after = store.apply(vec![begin("c3", 1)], Durability::Written);
        let (good, bad, after) = tokio::join!(good, bad, after);
        assert!(good.is_ok() && after.is_ok());
        assert!(matches!(bad, Err(StoreError::Missing { what: "conversation", .. })));
        let mut ids: Vec<_> =
            store.list(Page::default()).await.unwrap().iter().map(|s| s.id.as_str().to_owned()).collect();
        ids.sort();
        assert_eq!(ids, ["c1", "c3"]);
    });
}

#[test]
fn a_conversation_is_written_by_one_process_at_a_time() {
    let (_folder, path) = folder();
    block(async {
        let (one, two) = (open(&path), open(&path));
        synced(&one, vec![begin("c1", 1), user("c1", "u1", None, "go")]).await;
        assert_eq!(one.claim(&id("c1")).await.unwrap(), Claim::Ours);
        assert!(matches!(two.claim(&id("c1")).await.unwrap(), Claim::Held { pid, .. } if pid == std::process::id()));
        assert!(two.open_conversation(&id("c1")).await.unwrap().open_elsewhere);
        assert!(!one.open_conversation(&id("c1")).await.unwrap().open_elsewhere);
        // What is written there without having it is refused, whole; the one that has it goes on.
        let theirs = vec![user("c1", "u2", Some("u1"), "mine now")];
        let refused = two.apply(theirs, Durability::Synced).await;
        assert!(matches!(refused, Err(StoreError::Held { pid }) if pid == std::process::id()), "{refused:?}");
        synced(&one, vec![user("c1", "u2", Some("u1"), "still ours")]).await;
        one.release(&id("c1")).await.unwrap();
        assert_eq!(two.claim(&id("c1")).await.unwrap(), Claim::Ours);
        assert!(matches!(one.claim(&id("c1")).await.unwrap(), Claim::Held { .. }));
        assert!(one.apply(vec![turn("c1", "u2")], Durability::Synced).await.is_err());
        two.release(&id("c1")).await.unwrap();
        assert_eq!(one.claim(&id("c1")).await.unwrap(), Claim::Ours);
    });
}

#[test]
fn two_writers_lose_nothing() {
    let (_folder, path) = folder();
    let write = |name: &'static str, path: PathBuf| {
        std::thread::spawn(move || {
            let store = open(&path);
            block(async {
                for n in 0..40 {
                    let c = format!("{name}{n}");
                    synced(&store, vec![begin(&c, n), user(&c, &format!("u-{c}"), None, "hello")]).await;
                }
            });
        })
    };
    for thread in [write("a", path.clone()), write("b", path.clone())] {
        thread.join().unwrap();
    }
    let store = open(&path);
    assert_eq!(block(store.count(None)).unwrap(), 80);
    assert_eq!(block(store.check()).unwrap(), None);
}

#[test]
fn search_finds_any_script_and_survives_any_query() {
    block(async {
        let store = Store::temporary().unwrap();
        let evil = "\u{1b}[2J\u{202e} \"quoted\" OR NEAR( * 100% under_score";
        synced(
            &store,
            vec![
                begin("c1", 1),
                user("c1", "u1", None, "Why does retry() spin?"),
                message(
                    "c1",
                    "a1",
                    Some("u1"),
                    2,
                    Body::Assistant(answer(
                        "It ignores the DEADLINE. Retry less.",
                        AnswerState::Complete,
                        vec![call("k1", 0, r#"{"path":"src/backoff.rs"}"#)],
                    )),
                ),
                message(
                    "c1",
                    "t1",
                    Some("a1"),
                    3,
                    told("k1", Arc::new(ToolOutcome::unsent(OutcomeKind::Failed, "no such zebra"))),
                ),
                begin("c2", 10),
                user("c2", "u2", None, "先日の翻訳ノート"),
                begin("c3", 20),
                user("c3", "u3", None, evil),
            ],
        )
        .await;
        let found = async |query: &str| {
            let page = store.search(query, 10).await.unwrap();
            assert_eq!(page.total, page.hits.len());
            page.hits.iter().map(|h| h.summary.id.as_str().to_owned()).collect::<Vec<_>>()
        };
        for (query, expect) in [
            ("retry", vec!["c1"]),
            ("retry deadline", vec!["c1"]),
            ("deadline zebra backoff fs/read", vec!["c1"]),
            ("retry absent", vec![]),
            ("翻訳", vec!["c2"]),
            ("訳ノート", vec!["c2"]),
            ("\"\"quoted\"\"", vec!["c3"]),
            ("NEAR(", vec!["c3"]),
            ("100%", vec!["c3"]),
            ("under_s", vec!["c3"]),
            ("underXs", vec![]),
            ("tool:failed", vec!["c1"]),
            ("retry tool:fs/", vec!["c1"]),
            ("tool:web", vec![]),
            ("model:qwen has:calls", vec!["c1"]),
            ("before:1971", vec!["c2", "c1", "c3"]),
            ("after:1971", vec![]),
            ("* OR \"", vec!["c3"]),
            ("\\", vec![]),
            ("'; DROP TABLE message; --", vec![]),
        ] {
            let mut got = found(query).await;
            let mut expect: Vec<_> = expect.into_iter().map(str::to_owned).collect();
            got.sort();
            expect.sort();
            assert_eq!(got, expect, "{query}");
        }
        let page = store.search("retry", 10).await.unwrap();
        let hit = &page.hits[0];
        assert_eq!(hit.matches, 2);
        assert_eq!(hit.message, MessageId::new("a1"));
        assert_eq!(hit.marks.iter().map(|(a, b)| &hit.snippet[*a..*b]).collect::<Vec<_>>(), ["Retry"]);
        store.rename(&id("c2"), "Giraffe").await.unwrap();
        let page = store.search("giraffe", 10).await.unwrap();
        assert_eq!((page.hits[0].snippet.as_str(), page.hits[0].matches), ("Giraffe", 0));
        store.delete(&[id("c1")]).await.unwrap();
        assert!(found("retry").await.is_empty());
        store.undelete(&[id("c1")]).await.unwrap();
        assert_eq!(found("retry").await, ["c1"]);
    });
}

#[test]
fn lists_page_and_names_resolve() {
    block(async {
        let store = Store::temporary().unwrap();
        for (c, at) in [("aa1", 1), ("aa2", 3), ("ab3", 2)] {
            synced(&store, vec![begin(c, at), user(c, &format!("u{c}"), None, &format!("title {c}"))]).await;
        }
        let mut page = Page { limit: 2, sort: Sort::Created, ..Page::default() };
        let first = store.list(page.clone()).await.unwrap();
        page.after = first.last().map(Cursor::behind);
        let rest = store.list(page).await.unwrap();
        let ids: Vec<_> = first.iter().chain(&rest).map(|s| s.id.as_str().to_owned()).collect();
        assert_eq!(ids, ["aa2", "ab3", "aa1"]);
        assert_eq!(store.resolve("ab", None).await.unwrap(), id("ab3"));
        assert_eq!(store.resolve("AA1", None).await.unwrap(), id("aa1"));
        assert_eq!(store.resolve("last", Some("/src")).await.unwrap(), id("ab3"));
        assert!(
            matches!(store.resolve("aa", None).await, Err(StoreError::Ambiguous { candidates, .. }) if candidates.len() == 2)
        );
        for absent in ["zz", "", "a%", "last "] {
            assert!(matches!(store.resolve(absent, None).await, Err(StoreError::NotFound(_))), "{absent}");
        }
        assert!(store.newest(Some("/elsewhere")).await.unwrap().is_none());
        store.pin(&[id("aa1")], true).await.unwrap();
        let pinned = store.list(Page { filter: "is:pinned".into(), ..Page::default() }).await.unwrap();
        assert_eq!(pinned.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["aa1"]);
    });
}

#[test]
fn what_stands_beside_conversations_is_kept() {
    let (_folder, path) = folder();
    let tool = ToolRef::new("fs", "write");
    let grant = |scope| Grant { entry: "e".into(), tool: tool.clone(), sha256: "ab".into(), scope };
    let pin = Pin { entry: "e".into(), tool: tool.clone(), sha256: "ab".into(), definition: "{}".into() };
    block(async {
        let store = open(&path);
        synced(
            &store,
            vec![
                Change::Pin(Pin { sha256: "old".into(), ..pin.clone() }),
                Change::Pin(pin.clone()),
                Change::Grant(grant(GrantScope::Always)),
                Change::Grant(grant(GrantScope::Session(id("c1")))),
                Change::Learnt { base_url: "b".into(), model: "m".into(), key: "k".into(), value: "1".into() },
            ],
        )
        .await;
        store.save_draft(DraftOf::Folder("/src".into()), "half a th").await.unwrap();
        for prompt in ["one", "two", "one", " "] {
            store.add_prompt(prompt).await.unwrap();
        }
        store.flush().await.unwrap();
    });
    block(async {
        let store = open(&path);
        assert_eq!(store.pins().await.unwrap(), [pin]);
        assert_eq!(store.grants().await.unwrap(), [grant(GrantScope::Always)]);
        assert_eq!(store.learnt("b", "m").await.unwrap()[0].value, "1");
        assert_eq!(store.draft(DraftOf::Folder("/src".into())).await.unwrap().as_deref(), Some("half a th"));
        assert_eq!(store.recent_prompts(9).await.unwrap(), ["one", "two"]);
        store.save_draft(DraftOf::Folder("/src".into()), "").await.unwrap();
        assert!(store.drafts().await.unwrap().is_empty());
        synced(&store, vec![Change::Revoke { entry: "e".into(), tool: tool.clone() }]).await;
        assert!(store.grants().await.unwrap().is_empty());
    });
}

#[test]
fn what_was_deleted_long_ago_goes_and_leaves_no_trace() {
    let (_folder, path) = folder();
    block(async {
        let store = open(&path);
        synced(&store, vec![begin("c1", 1)]).await;
        // Longer than SQLite follows a cascade.
        let mut parent: Option<String> = None;
        let mut changes = Vec::new();
        for n in 0..1_500 {
            let name = format!("u{n}");
            changes.push(user("c1", &name, parent.as_deref(), "needle"));
            parent = Some(name);
        }
        synced(&store, changes).await;
        store.delete(&[id("c1")]).await.unwrap();
        store.flush().await.unwrap();
    });
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute("UPDATE conversation SET deleted = 1", []).unwrap();
    drop(db);
    let store = open(&path);
    assert!(matches!(block(store.undelete(&[id("c1")])), Err(StoreError::NotFound(_))));
    assert_eq!(block(store.check()).unwrap(), None);
    let db = rusqlite::Connection::open(&path).unwrap();
    let left: i64 = db.query_row("SELECT count(*) FROM message", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}

#[test]
fn a_file_that_will_not_open_stays_as_it_is() {
    let (_folder, path) = folder();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "this is no database, but it may be all that is left of one\n".repeat(100)).unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = Store::open(&path, OpenMode::Write).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert!(error.to_string().contains("store.db") && error.hint().contains("Nothing was changed"));
    assert_eq!(std::fs::read(&path).unwrap(), before);

    let foreign = path.with_file_name("foreign.db");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    assert!(matches!(Store::open(&foreign, OpenMode::Write), Err(StoreError::Foreign { .. })));

    let newer = path.with_file_name("newer.db");
    drop(open(&newer));
    rusqlite::Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Store::open(&newer, OpenMode::Write), Err(StoreError::Newer { found: 99, .. })));
    // A file stands where a folder should.
    assert!(Store::open(&newer.join("store.db"), OpenMode::Write).is_err());
    assert!(Store::open(&path.with_file_name("absent.db"), OpenMode::Read).is_err());
}

#[test]
fn read_only_reads_and_refuses_to_write() {
    let (_folder, path) = folder();
    block(async {
        let store = open(&path);
        synced(&store, vec![begin("c1", 1), user("c1", "u1", None, "needle here")]).await;
        store.flush().await.unwrap();
    });
    block(async {
        let store = Store::open(&path, OpenMode::Read).unwrap();
        assert_eq!(store.open_conversation(&id("c1")).await.unwrap().messages.len(), 1);
        assert_eq!(store.search("needle", 5).await.unwrap().total, 1);
        let refused = store.apply(vec![begin("c2", 1)], Durability::Synced).await;
        assert!(matches!(refused, Err(StoreError::ReadOnly { .. })), "{refused:?}");
        assert!(matches!(store.claim(&id("c1")).await, Err(StoreError::ReadOnly { .. })));
    });
}

#[test]
fn a_full_disk_is_told_and_nothing_written_before_is_lost() {
    let (_folder, path) = folder();
    let store = open(&path);
    block(async {
        synced(&store, vec![begin("c1", 1), user("c1", "u1", None, "kept")]).await;
        store.limit_size(100).await.unwrap();
        let big = "x".repeat(4 << 20);
        let refused = store.apply(vec![user("c1", "u2", Some("u1"), &big)], Durability::Synced).await;
        assert!(matches!(refused, Err(StoreError::Full { .. })), "{refused:?}");
        assert_eq!(store.open_conversation(&id("c1")).await.unwrap().messages.len(), 1);
        // As soon as there is room it goes on.
        store.limit_size(1 << 20).await.unwrap();
        synced(&store, vec![user("c1", "u2", Some("u1"), &big)]).await;
        assert_eq!(store.open_conversation(&id("c1")).await.unwrap().messages.len(), 2);
    });
}

#[test]
fn what_a_full_disk_refused_of_a_turn_comes_before_what_follows_it() {
    let (_folder, path) = folder();
    let store = open(&path);
    block(async {
        synced(&store, vec![begin("c1", 1)]).await;
        store.limit_size(100).await.unwrap();
        let big = "x".repeat(4 << 20);
        let journal = |changes| store.journal(changes, Durability::Synced);
        let question = vec![user("c1", "u1", None, &big), turn("c1", "u1"), armed("u1", "a1")];
        for refused in [question, vec![opened("u1", "k1", 0), closed("u1", "k1", "{}"), sent("u1", "k1")]] {
            let refused = journal(refused).await;
            assert!(matches!(refused, Err(StoreError::Full { .. })), "{refused:?}");
        }
        // What is no part of a turn goes on as far as it can, and nobody is told that all is written.
        store.rename(&id("c1"), "named").await.unwrap();
        assert!(matches!(store.flush().await, Err(StoreError::Full { .. })));
        // Its conversation is not there: it holds up nothing.
        assert!(matches!(journal(vec![user("gone", "u9", None, "")]).await, Err(StoreError::Full { .. })));
        store.limit_size(1 << 20).await.unwrap();
        journal(vec![ended("u1", "k1", done("result"))]).await.unwrap();
        let whole = answer("all", AnswerState::Complete, vec![call("k1", 0, "{}")]);
        let answered = message("c1", "a1", Some("u1"), 2, Body::Assistant(whole));
        journal(vec![answered, message("c1", "t1", Some("a1"), 3, told("k1", done("result")))]).await.unwrap();
        let kept = store.open_conversation(&id("c1")).await.unwrap();
        assert_valid(&kept);
        assert_eq!(kept.messages.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(), ["u1", "a1", "t1"]);
        assert_eq!(kept.summary.title, "named");
    });
}

#[test]
fn a_date_is_searched_from_there_however_much_is_newer() {
    let day = 86_400_000;
    block(async {
        let store = Store::temporary().unwrap();
        let mut changes = Vec::new();
        for n in 0..2_000_i64 {
            let name = format!("c{n}");
            let body = Body::User(vec![Part::text("needle in 干草")]);
            changes.extend([begin(&name, n * day), message(&name, &format!("u{n}"), None, n * day, body)]);
        }
        synced(&store, changes).await;
        store.flush().await.unwrap();
        // The third day of 1970, wherever this runs: of two thousand days, none but the first ones.
        for query in ["before:1970-01-04", "before:1970-01-04 needle", "before:1970-01-04 干草 needle"] {
            let found = store.search(query, 50).await.unwrap();
            assert!((2..=4).contains(&found.total), "{query}: {}", found.total);
            assert!(found.hits.iter().all(|hit| hit.summary.updated < 4 * day));
        }
    });
}

/// What the killed child runs: it says each number only once the store acknowledged it.
fn write_until_killed(path: &std::path::Path) {
    let store = open(path);
    let name = std::env::var("MILLRACE_TEST_NAME").unwrap();
    block(async {
        synced(&store, vec![begin(&name, 1)]).await;
        let mut parent: Option<String> = None;
        for n in 0..1_000_000 {
            let u = format!("{name}-{n}");
            let (a, t) = (format!("{u}-a"), format!("{u}-t"));
            synced(&store, vec![user(&name, &u, parent.as_deref(), "hello"), turn(&name, &u), armed(&u, &a)]).await;
            println!("\n@{u}");
            synced(&store, vec![opened(&u, &t, 0), closed(&u, &t, "{}")]).await;
            let text = Box::new(answer("so far", AnswerState::Partial, vec![]));
            let changes = vec![Change::AnswerText { message: MessageId::new(&a), answer: text }];
            store.apply(changes, Durability::Written).await.unwrap();
            println!("\n@{a}");
            synced(&store, vec![ended(&u, &t, done("result"))]).await;
            let whole = answer("all", AnswerState::Complete, vec![call(&t, 0, "{}")]);
            synced(
                &store,
                vec![
                    message(&name, &a, Some(&u), 2, Body::Assistant(whole)),
                    message(&name, &t, Some(&a), 3, told(&t, done("result"))),
                    Change::TurnEnded { turn: MessageId::new(&u), status: "ok", fault: None, at_us: 1 },
                ],
            )
            .await;
            println!("\n@{t}");
            parent = Some(t);
        }
    });
}

/// Starts itself again as the child.
#[test]
fn kill_nine_loses_nothing_acknowledged() {
    if let Some(path) = std::env::var_os("MILLRACE_TEST_STORE") {
        return write_until_killed(std::path::Path::new(&path));
    }
    let (_folder, path) = folder();
    for run in 0_u32..20 {
        let name = format!("run{run}");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::kill_nine_loses_nothing_acknowledged", "--nocapture", "--test-threads=1"])
            .env("MILLRACE_TEST_STORE", &path)
            .env("MILLRACE_TEST_NAME", &name)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = Vec::new();
        // A different place each time: after so many answers, and so many microseconds.
        while let Some(Ok(line)) = lines.next() {
            if let Some(id) = line.strip_prefix('@') {
                acknowledged.push(id.to_owned());
                if acknowledged.len() as u32 > run * 3 % 11 {
                    break;
                }
            }
        }
        let until = std::time::Instant::now() + std::time::Duration::from_micros(u64::from(run * 7919 % 9000));
        while std::time::Instant::now() < until {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(lines.map_while(Result::ok).filter_map(|l| l.strip_prefix('@').map(str::to_owned)));
        assert!(!acknowledged.is_empty());
        let store = open(&path);
        block(async {
            assert_eq!(store.check().await.unwrap(), None);
            let opened = store.open_conversation(&id(&name)).await.unwrap();
            assert_valid(&opened);
            for id in &acknowledged {
                assert!(opened.messages.iter().any(|m| m.id.as_str() == id), "{id} was lost in run {run}");
            }
        });
    }
}

#[derive(Clone, Debug)]
enum Step {
    User(String),
    Answer(String, Vec<String>),
    Back(usize),
    Title(String),
    Pin(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        "\\PC{0,20}".prop_map(Step::User),
        ("\\PC{0,20}", prop::collection::vec("[a-z]{0,6}", 0..3)).prop_map(|(t, c)| Step::Answer(t, c)),
        (0_usize..8).prop_map(Step::Back),
        "\\PC{0,8}".prop_map(Step::Title),
        any::<bool>().prop_map(Step::Pin),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_store_opened_again_says_what_was_said(steps in prop::collection::vec(step(), 1..24)) {
        let (_folder, path) = folder();
        // The path that is shown, as plain data.
        let mut shown: Vec<Message> = Vec::new();
        let (mut title, mut pinned, mut count) = (String::new(), false, 0_u32);
        block(async {
            let store = open(&path);
            store.apply(vec![begin("c", 1)], Durability::Written).await.unwrap();
            for (n, step) in steps.into_iter().enumerate() {
                let mut add = Vec::new();
                match step {
                    Step::User(text) => add.push(Body::User(vec![Part::text(text)])),
                    Step::Answer(text, contents) => {
                        let calls: Vec<_> =
                            (0..contents.len()).map(|k| call(&format!("{n}-{k}"), k as u32, "{\"a\":1}")).collect();
                        add.push(Body::Assistant(answer(&text, AnswerState::Complete, calls)));
                        add.extend(contents.iter().enumerate().map(|(k, c)| told(&format!("{n}-{k}"), done(c))));
                    }
                    // Another branch, from a user's message on.
                    Step::Back(to) => {
                        if let Some(at) = shown.iter().take(to + 1).rposition(|m| matches!(m.body, Body::User(_))) {
                            shown.truncate(at + 1);
                            store.set_head(&id("c"), &shown[at].id).await.unwrap();
                        }
                    }
                    Step::Title(text) => {
                        store.rename(&id("c"), &text).await.unwrap();
                        title = text;
                    }
                    Step::Pin(to) => {
                        store.pin(&[id("c")], to).await.unwrap();
                        pinned = to;
                    }
                }
                let mut changes = Vec::new();
                for (k, body) in add.into_iter().enumerate() {
                    count += u32::from(!matches!(body, Body::Tool(_)));
                    let message = Message {
                        id: MessageId::new(format!("m{n}-{k}")),
                        parent: shown.last().map(|m| m.id.clone()),
                        at: n as i64,
                        body,
                    };
                    shown.push(message.clone());
                    changes.push(Change::Message { conversation: id("c"), message: Arc::new(message) });
                }
                store.apply(changes, Durability::Written).await.unwrap();
            }
        });
        let opened = block(open(&path).open_conversation(&id("c"))).unwrap();
        prop_assert_eq!(opened.messages.iter().map(|m| Message::clone(m)).collect::<Vec<_>>(), shown);
        prop_assert_eq!((opened.summary.pinned, opened.summary.messages), (pinned, count));
        if !title.is_empty() {
            prop_assert_eq!(opened.summary.title, title);
        }
    }
}

/// Runs `millrace history` over a store; its exit code, standard output and standard error.
fn history(path: &Path, command: history::Command, json: bool, typed: Option<&str>) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut input = typed.unwrap_or_default().as_bytes();
    let mut terminal = history::Terminal {
        input: &mut input,
        out: &mut out,
        err: &mut err,
        drawn: !json,
        answers: typed.is_some(),
        width: 100,
    };
    let code = block(history::run(&history::Ask { command, json }, path, &mut terminal));
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[test]
fn history_lists_shows_and_deletes() {
    use history::Command::{Delete, List, Rename, Restore, Search, Show};
    let listed = |deleted| List { deleted };
    let (_folder, path) = folder();
    block(async {
        let store = open(&path);
        let asked = answer("Looking.", AnswerState::Complete, vec![call("k1", 0, "{}")]);
        synced(
            &store,
            vec![
                begin("c1", 500),
                user("c1", "u1", None, "hostile \u{1b}[31m title"),
                message("c1", "a1", Some("u1"), 2_000, Body::Assistant(asked)),
                message("c1", "t1", Some("a1"), 3_000, told("k1", done("found it"))),
            ],
        )
        .await;
        store.close().await.unwrap();
    });
    let (code, out, _) = history(&path, listed(false), false, None);
    assert_eq!(code, 0);
    assert!(out.contains("hostile") && !out.contains('\u{1b}'), "{out:?}");
    let (_, out, _) = history(&path, Show { id: "last".into() }, true, None);
    let shown: serde_json::Value = serde_json::from_str(&out).unwrap();
    for key in ["id", "title", "folder", "model", "messages", "calls"] {
        assert!(!shown[key].is_null(), "{key}");
    }
    assert_eq!(shown["messages"][0]["role"], "user");
    assert_eq!((&shown["calls"][0]["state"], &shown["calls"][0]["content"]), (&"done".into(), &"found it".into()));
    let (_, out, err) = history(&path, Search { query: "found".into() }, false, None);
    assert!(out.contains("found it") && err.contains("1 match"), "{out} {err}");
    assert_eq!(history(&path, Rename { id: "c".into(), title: "New".into() }, false, None).1, "Renamed to: New\n");
    assert_eq!(history(&path, Show { id: "zz".into() }, false, None).0, 2);
    let delete = |yes| Delete(Removal { id: "c1".into(), yes, now: false });
    let erase = |yes| Delete(Removal { id: "c1".into(), yes, now: true });
    assert_eq!(history(&path, delete(false), false, None).0, 2);
    assert!(history(&path, delete(false), false, Some("n\n")).2.contains("Nothing was deleted"));
    assert!(history(&path, delete(false), false, Some("y\n")).1.contains("Kept for 30 days"));
    assert_eq!(history(&path, listed(false), true, None).1, "[]\n");
    assert!(history(&path, listed(true), false, None).1.contains("New"));
    // Deleted is not gone; erased is.
    assert_eq!(history(&path, Restore { id: "c".into() }, false, None).1, "Restored: New\n");
    assert_eq!(history(&path, Restore { id: "c".into() }, false, None).0, 2);
    assert_eq!(history(&path, delete(true), false, None).0, 0);
    let (code, _, err) = history(&path, erase(false), false, Some("n\n"));
    assert!(code == 0 && err.contains("Erase \"New\"") && err.contains("for good"), "{err}");
    let (code, out, err) = history(&path, erase(true), true, None);
    let told: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out} {err}"));
    assert_eq!((code, &told["erased"]), (0, &true.into()), "{out}");
    assert_eq!(history(&path, listed(true), true, None).1, "[]\n");
    assert_eq!(history(&path, erase(true), false, None).0, 2);
    // A file of its own: the one above may still be being closed.
    let broken = path.with_file_name("broken.db");
    std::fs::write(&broken, "no store ".repeat(1000)).unwrap();
    let (code, _, err) = history(&broken, listed(false), false, None);
    assert_eq!(code, 7);
    assert!(err.contains("Nothing was changed"), "{err}");
}
