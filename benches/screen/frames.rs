//! Frames of an ordinary day: a stream at reading speed, and a very long conversation.

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace::app::{Event, Reply};
use millrace::chat::{
    Answer, AnswerState, Body, Change, Conversation, ConversationId, Durability, Message, MessageId, Part, TurnEvent,
};
use millrace::store::{OpenMode, Store};

use crate::desk::{Desk, tokens};
use crate::{ms, resident, spread, thread_cpu};

const FRAME: Duration = Duration::from_micros(16_667);

/// 100 tokens a second for a minute, by the clock of the stamps: what share of a core updating and drawing takes.
pub fn slow_stream() {
    let mut desk = Desk::new(120, 36);
    let turn = desk.ask("why does it retry forever?");
    let (cpu, bytes) = (thread_cpu(), desk.bytes());
    let mut times = Vec::new();
    let (mut clock, mut frame_at) = (Duration::ZERO, Duration::ZERO);
    for text in tokens(6_000) {
        clock += Duration::from_millis(10);
        desk.pass(Duration::from_millis(10));
        desk.engine(TurnEvent::Text { turn, round: 1, text });
        if clock >= frame_at {
            let began = Instant::now();
            desk.draw();
            times.push(began.elapsed());
            frame_at = clock + FRAME;
        }
    }
    let spent = Duration::from_nanos(thread_cpu() - cpu);
    let (frames, (p50, p99, most)) = (times.len(), spread(times));
    println!(
        "100 tokens/s at 120x36, a minute: {:.2} % of a core (to hold, with engine and terminal: 3)\n  {frames} frames, \
         p50 {p50:.3} ms, p99 {p99:.3} ms, most {most:.2} ms, {} bytes each",
        spent.as_secs_f64() / clock.as_secs_f64() * 100.0,
        (desk.bytes() - bytes) / frames,
    );
}

/// Opening 10,000 messages, and every way to move in them.
pub fn conversation() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store.db"), OpenMode::Write).unwrap();
    let id = ConversationId::new("big");
    runtime.block_on(store.apply(messages(&id, 10_000), Durability::Written)).unwrap();
    runtime.block_on(store.flush()).unwrap();
    let mut desk = Desk::new(120, 36);
    for _ in 0..2 {
        desk = Desk::new(120, 36);
        let began = Instant::now();
        let conversation: Conversation = runtime.block_on(store.open_conversation(&id)).unwrap();
        let read = began.elapsed();
        desk.event(Event::Reply(Reply::Opened { generation: 0, result: Ok(Box::new(conversation)) }));
        let loaded = began.elapsed();
        desk.draw();
        println!(
            "10,000 messages: opened and drawn in {:.1} ms (to hold: 150): store {:.1}, state {:.1}, first frame {:.1}",
            ms(began.elapsed()),
            ms(read),
            ms(loaded - read),
            ms(began.elapsed() - loaded),
        );
    }
    assert_eq!(desk.state.transcript.entries.len(), 10_000);
    let mut all = Vec::new();
    desk.key("tab");
    for key in ["pageup", "pagedown", "home", "pagedown", "pageup", "end", "k", "j", "up", "down"] {
        let times: Vec<_> = (0..100).map(|_| desk.key(key)).collect();
        all.extend(times.iter().copied());
        let (p50, p99, most) = spread(times);
        if p99 > 4.0 {
            println!("  {key}: p50 {p50:.2} ms, p99 {p99:.2} ms, most {most:.2} ms");
        }
    }
    desk.key("tab");
    desk.key("tab");
    all.extend(
        "a question that is typed"
            .chars()
            .map(|c| desk.key(if c == ' ' { "space".into() } else { c.to_string() }.as_str())),
    );
    let mut resized = Vec::new();
    for (columns, rows) in [(80, 24), (120, 36), (40, 20), (200, 50), (120, 36)] {
        let began = Instant::now();
        desk.event(Event::Resize(millrace::app::Size { columns, rows }));
        desk.draw();
        resized.push(began.elapsed());
    }
    let (p50, _, most) = spread(resized);
    println!(
        "  another size, to its frame: p50 {p50:.2} ms, most {most:.2} ms; {:.1} MB resident, the store with it",
        resident()
    );
    let (p50, p99, most) = spread(all);
    println!("  key to frame: p50 {p50:.2} ms, p99 {p99:.2} ms (to hold: 16), most {most:.2} ms");
}

fn messages(id: &ConversationId, count: usize) -> Vec<Change> {
    let words = tokens(120).concat();
    let mut changes = vec![Change::Conversation {
        id: id.clone(),
        folder: "/src".into(),
        model: "qwen3-32b".into(),
        base_url: "http://localhost:8000/v1".into(),
        system: None,
        at: 1,
    }];
    let mut parent = None;
    for n in 0..count {
        let body = if n % 2 == 0 {
            Body::User(vec![Part::text(format!("Question {n}: why does it retry forever?"))])
        } else {
            Body::Assistant(Answer { text: words.clone(), state: AnswerState::Complete, ..Answer::default() })
        };
        let message = Message { id: MessageId::new(format!("m{n}")), parent, at: 1, body };
        parent = Some(message.id.clone());
        changes.push(Change::Message { conversation: id.clone(), message: Arc::new(message) });
    }
    changes
}
