//! Input of a size that nobody foresaw, each at one size and at twice that: work that grows with the square shows as a
//! ratio near four.

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace::app::Event;
use millrace::chat::{CallId, CallState, CallUpdate, ClosedBy, OutcomeKind, ToolOutcome, ToolRef, TurnEvent, TurnId};

use crate::desk::{Desk, tokens};
use crate::ms;

pub fn all() {
    twice("an answer of 4 MB in lines, 1 KB a delta, 16 KB a frame", answer, 2 << 20);
    twice("one line of 1 MB, 1 KB a delta, 4 KB a frame", one_line, 1 << 19);
    twice("one line of code of 1 MB", one_line_of_code, 1 << 19);
    twice("thinking of 1 MB, unfolded", thinking, 1 << 19);
    twice("5,000 fragments of one call, 20 bytes each, a frame for each", fragments, 2_500);
    twice("a result of 1 MB, its detail scrolled by 50 keys", result, 1 << 19);
    twice("a paste of 50 MB, and 20 keys behind it", paste, 25 << 20);
}

/// What takes longest of a run: the slowest event or frame.
struct Slowest(Duration);

impl Slowest {
    fn of<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let value = work();
        self.0 = self.0.max(began.elapsed());
        value
    }
}

fn twice(what: &str, run: impl Fn(usize, &mut Slowest), half: usize) {
    let [first, second] = [half, half * 2].map(|size| {
        let (mut slowest, began) = (Slowest(Duration::ZERO), Instant::now());
        run(size, &mut slowest);
        (began.elapsed(), slowest.0)
    });
    println!(
        "{what}:\n  {:.0} ms, {:.1} times the half; slowest step {:.1} ms, {:.1} times",
        ms(second.0),
        second.0.as_secs_f64() / first.0.as_secs_f64(),
        ms(second.1),
        second.1.as_secs_f64() / first.1.as_secs_f64(),
    );
}

fn feed(
    source: &str,
    piece: usize,
    per_frame: usize,
    slowest: &mut Slowest,
    say: impl Fn(TurnId, String) -> TurnEvent,
) {
    let mut desk = Desk::new(120, 36);
    let turn = desk.ask("go on");
    for (n, chunk) in source.as_bytes().chunks(piece).enumerate() {
        let event = say(turn, String::from_utf8(chunk.to_vec()).unwrap());
        slowest.of(|| desk.engine(event));
        if n % per_frame == 0 {
            slowest.of(|| desk.draw());
        }
    }
    slowest.of(|| desk.draw());
}

fn text(turn: TurnId, text: String) -> TurnEvent {
    TurnEvent::Text { turn, round: 1, text }
}

fn answer(size: usize, slowest: &mut Slowest) {
    let words = tokens(size / 4).concat();
    feed(&words, 1024, 16, slowest, text);
}

fn one_line(size: usize, slowest: &mut Slowest) {
    feed(&"word and word ".repeat(size / 14), 1024, 4, slowest, text);
}

fn one_line_of_code(size: usize, slowest: &mut Slowest) {
    let source = format!("```json\n{}", "{\"a\":[1,2,3]},".repeat(size / 14));
    feed(&source, 1024, 4, slowest, text);
}

fn thinking(size: usize, slowest: &mut Slowest) {
    let words = "Let me see what this could mean. ".repeat(size / 33);
    feed(&words, 1024, 4, slowest, |turn, text| TurnEvent::Reasoning { turn, round: 1, text });
}

fn call(turn: TurnId, state: CallState) -> TurnEvent {
    let update = CallUpdate {
        call: CallId::new("call_1"),
        round: 1,
        index: 0,
        wire_name: Some(Arc::from("fs__write_file")),
        tool: Some(ToolRef::new("fs", "write_file")),
        state,
    };
    TurnEvent::Call { turn, update }
}

fn fragments(count: usize, slowest: &mut Slowest) {
    let mut desk = Desk::new(120, 36);
    let turn = desk.ask("write it");
    for n in 0..count {
        let delta = if n == 0 { "{\"path\":\"src/a.rs\",\"content\":\"" } else { "fn some_more_text() " };
        let state = CallState::Arguments { bytes: n as u64 * 20, delta: delta.to_owned() };
        slowest.of(|| desk.engine(call(turn, state)));
        slowest.of(|| desk.draw());
    }
}

fn result(size: usize, slowest: &mut Slowest) {
    let mut desk = Desk::new(120, 36);
    let turn = desk.ask("read it");
    let arguments: Arc<str> = Arc::from("{\"path\":\"a\"}");
    desk.engine(call(turn, CallState::Arguments { bytes: 12, delta: arguments.to_string() }));
    desk.engine(call(turn, CallState::Closed { arguments, closed_by: ClosedBy::Brace, closed_at: 1 }));
    let content = "{\"key\": \"some value of a line\"}\n".repeat(size / 32);
    let outcome = ToolOutcome { bytes: size as u64, ..ToolOutcome::unsent(OutcomeKind::Done, content) };
    slowest.of(|| desk.engine(call(turn, CallState::Ended(Arc::new(outcome)))));
    slowest.of(|| desk.draw());
    for key in ["ctrl+t", "enter"] {
        slowest.of(|| desk.key(key));
    }
    for _ in 0..50 {
        slowest.of(|| desk.key("pagedown"));
    }
}

fn paste(size: usize, slowest: &mut Slowest) {
    let mut desk = Desk::new(120, 36);
    slowest.of(|| desk.event(Event::Paste("a line of a log file that is long\n".repeat(size / 34))));
    slowest.of(|| desk.draw());
    for _ in 0..20 {
        slowest.of(|| desk.key("x"));
    }
}
