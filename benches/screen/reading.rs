//! What a reader waits for where there is much to read: a fast stream behind a very long conversation, an answer without
//! end, a result of 60 MB. Each with what the process holds in memory after it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace::app::{Event, Reply};
use millrace::chat::{
    Answer, AnswerState, Body, CallId, CallState, CallUpdate, ClosedBy, Conversation, ConversationId, Message,
    MessageId, OutcomeKind, Part, Summary, ToolOutcome, ToolRef, TurnEvent,
};

use crate::desk::{Desk, tokens};
use crate::{ms, resident, spread};

const FRAME: Duration = Duration::from_micros(16_667);

pub fn all() {
    busy();
    endless();
    large_result();
}

/// 200 tokens a second behind 10,000 messages, by the clock of the stamps, for half a minute.
fn busy() {
    let before = resident();
    let words = tokens(120).concat();
    let mut parent = None;
    let messages = (0..10_000).map(|n| {
        let body = if n % 2 == 0 {
            Body::User(vec![Part::text(format!("Question {n}: why does it retry forever?"))])
        } else {
            Body::Assistant(Answer { text: words.clone(), state: AnswerState::Complete, ..Answer::default() })
        };
        let message = Message { id: MessageId::new(format!("m{n}")), parent: parent.take(), at: 1, body };
        parent = Some(message.id.clone());
        Arc::new(message)
    });
    let messages: Vec<Arc<Message>> = messages.collect();
    let summary = Summary {
        id: ConversationId::new("c1"),
        title: "long".into(),
        folder: "/src".into(),
        model: "qwen3-32b".into(),
        created: 1,
        updated: 1,
        messages: 10_000,
        calls: 0,
        failed_calls: 0,
        tokens: None,
        pinned: false,
        interrupted: false,
    };
    let conversation = Conversation {
        summary,
        base_url: "http://localhost:8000/v1".into(),
        system: None,
        messages,
        forks: Vec::new(),
        open_elsewhere: false,
        extra: serde_json::Value::Null,
    };
    let mut desk = Desk::new(120, 36);
    desk.event(Event::Reply(Reply::Opened { generation: 0, result: Ok(Box::new(conversation)) }));
    desk.draw();
    let turn = desk.ask("go on");
    let (mut frames, mut keys) = (Vec::new(), Vec::new());
    let (mut clock, mut frame_at) = (Duration::ZERO, Duration::ZERO);
    for (n, text) in tokens(6_000).into_iter().enumerate() {
        clock += Duration::from_millis(5);
        desk.pass(Duration::from_millis(5));
        desk.engine(TurnEvent::Text { turn, round: 1, text });
        if clock >= frame_at {
            let began = Instant::now();
            desk.draw();
            frames.push(began.elapsed());
            frame_at = clock + FRAME;
        }
        if n % 100 == 0 {
            keys.push(desk.key("x"));
        }
    }
    let (p50, p99, most) = spread(frames);
    println!("200 tokens/s behind 10,000 messages: frame p50 {p50:.3} ms, p99 {p99:.3} ms, most {most:.2} ms");
    let (p50, p99, most) = spread(keys);
    println!(
        "  key to frame meanwhile p50 {p50:.3} ms, p99 {p99:.3} ms (to hold: 16), most {most:.2} ms; {:.1} MB more \
         resident (to hold: 80)",
        resident() - before
    );
}

/// An answer of a million tokens: the time of a frame must not grow with it.
fn endless() {
    const TOKENS: usize = 1_000_000;
    const PER_FRAME: usize = 100;
    let before = resident();
    let mut desk = Desk::new(120, 36);
    let turn = desk.ask("go on");
    let all = tokens(TOKENS);
    let bytes: usize = all.iter().map(String::len).sum();
    let (began, mut frames) = (Instant::now(), Vec::with_capacity(TOKENS / PER_FRAME));
    for chunk in all.chunks(PER_FRAME) {
        let frame = Instant::now();
        for text in chunk {
            desk.engine(TurnEvent::Text { turn, round: 1, text: text.clone() });
        }
        desk.pass(FRAME);
        desk.draw();
        frames.push(frame.elapsed());
    }
    let took = began.elapsed();
    let tenth = frames.len() / 10;
    let (first, last) = (spread(frames[..tenth].to_vec()), spread(frames[frames.len() - tenth..].to_vec()));
    println!(
        "1,000,000 tokens ({:.1} MB), 100 to a frame: {:.1} s\n  a frame with its tokens, first tenth p50 {:.3} ms, p99 \
         {:.3} ms; last tenth p50 {:.3} ms, p99 {:.3} ms, so {:.2} times; {:.1} MB more resident",
        bytes as f64 / 1e6,
        took.as_secs_f64(),
        first.0,
        first.1,
        last.0,
        last.1,
        last.0 / first.0,
        resident() - before,
    );
}

/// A result of 60 MB in the detail of its call: opened, paged through, searched.
fn large_result() {
    let before = resident();
    let mut desk = Desk::new(120, 36);
    let turn = desk.ask("read it");
    let update = |state| CallUpdate {
        call: CallId::new("call_1"),
        round: 1,
        index: 0,
        wire_name: Some(Arc::from("fs__read_file")),
        tool: Some(ToolRef::new("fs", "read_file")),
        state,
    };
    let arguments: Arc<str> = Arc::from("{\"path\":\"a.log\"}");
    let closed = CallState::Closed { arguments, closed_by: ClosedBy::Brace, closed_at: 1 };
    desk.engine(TurnEvent::Call { turn, update: update(closed) });
    let whole: String = (0..).map(|n| format!("{n:08} a line of a log file that is long\n")).take(1_300_000).collect();
    let size = whole.len();
    let told = whole[..32 << 10].to_owned();
    let outcome = ToolOutcome {
        bytes: size as u64,
        truncated: true,
        full: Some(whole),
        ..ToolOutcome::unsent(OutcomeKind::Done, told)
    };
    let began = Instant::now();
    desk.engine(TurnEvent::Call { turn, update: update(CallState::Ended(Arc::new(outcome))) });
    desk.draw();
    let ended = began.elapsed();
    desk.key("ctrl+t");
    let opened = desk.key("enter");
    let pages = spread((0..200).map(|_| desk.key("pagedown")).collect());
    let end = desk.key("G");
    for c in ["/", "9", "9"] {
        desk.key(c);
    }
    let found = desk.key("9");
    println!(
        "a result of {:.0} MB: ended and drawn in {:.1} ms, its detail open in {:.1} ms (to hold: 100), a page p50 {:.2} ms, \
         p99 {:.2} ms (to hold: 33), its end {:.1} ms, a letter of a search {:.1} ms; {:.1} MB more resident",
        size as f64 / 1e6,
        ms(ended),
        ms(opened),
        pages.0,
        pages.1,
        ms(end),
        ms(found),
        resident() - before,
    );
}
