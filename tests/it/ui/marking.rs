//! Text marked with the mouse: what is marked, that it stays on its text, and what a copy of it says.

use millrace::app::{Event, Key, Mouse, MouseAction, update};
use millrace::chat::Stamped;

use super::*;

/// A chat that is drawn after every event, as the loop does.
pub(super) struct Desk {
    pub(super) state: State,
    pub(super) memo: Memo,
    now: u64,
    pub(super) size: (u16, u16),
    effects: Vec<Effect>,
}

impl Desk {
    pub(super) fn new(state: State, columns: u16, rows: u16) -> Self {
        let mut desk = Self { state, memo: Memo::new(), now: 90_000_000, size: (columns, rows), effects: Vec::new() };
        desk.state.size = Size { columns, rows };
        desk.draw();
        desk
    }

    pub(super) fn event(&mut self, body: Event) {
        self.effects.extend(update(&mut self.state, Stamped { at: stamp(self.now), body }));
        self.draw();
    }

    fn draw(&mut self) -> Buffer {
        let (columns, rows) = self.size;
        let (buffer, layout) = buffer(&self.state, &Theme::dark(), &mut self.memo, columns, rows);
        update(&mut self.state, Stamped { at: stamp(self.now), body: Event::Layout(layout) });
        buffer
    }

    pub(super) fn mouse(&mut self, action: MouseAction, (x, y): (u16, u16)) {
        self.now += 1_000;
        self.event(Event::Mouse(Mouse { x, y, action }));
    }

    pub(super) fn rows(&mut self) -> Vec<String> {
        text(&self.draw()).lines().map(str::to_owned).collect()
    }

    /// Where a word stands on the screen: its first cell, or its last.
    fn at(&mut self, word: &str, last: bool) -> (u16, u16) {
        let rows = self.rows();
        let y = rows.iter().position(|row| row.contains(word)).unwrap_or_else(|| panic!("{word} in {rows:#?}"));
        let start = rows[y].find(word).unwrap() + if last { word.len() } else { 0 };
        let x = millrace::text::width(&rows[y][..start]) - usize::from(last);
        (x as u16, y as u16)
    }

    /// Drags from the first cell of a word to the last cell of another, and lets go.
    fn drag(&mut self, from: &str, to: &str) {
        let (from, to) = (self.at(from, false), self.at(to, true));
        self.mouse(MouseAction::Press, from);
        self.mouse(MouseAction::Drag, to);
        self.mouse(MouseAction::Release, to);
    }

    fn click(&mut self, at: (u16, u16)) {
        self.mouse(MouseAction::Press, at);
        self.mouse(MouseAction::Release, at);
    }

    /// What the last copy says.
    fn copied(&mut self) -> String {
        match self.effects.pop() {
            Some(Effect::CopyMarked(marked)) => ui::marked_text(&self.state, &mut self.memo, &marked),
            Some(Effect::Copy { text, .. }) => text,
            other => panic!("{other:?}"),
        }
    }

    /// The cells that are drawn as marked, as text.
    fn shown(&mut self) -> String {
        let buffer = self.draw();
        let marked = buffer.content.iter().filter(|cell| cell.bg == ratatui::style::Color::Indexed(24));
        marked.map(ratatui::buffer::Cell::symbol).collect()
    }
}

pub(super) fn answer(text: &str, streaming: bool) -> EntryBody {
    let mut answer = AnswerEntry::default();
    answer.model = "qwen3-32b".into();
    answer.pieces = vec![Piece::Text(text.into())];
    answer.streaming = streaming;
    EntryBody::Answer(answer)
}

const ANSWER: &str = "One paragraph that is longer than the screen is wide, with the end of it.\n\n```rust\nfn main() {\n    call();\n}\n```\n\n> quoted words that also go on for more than a row of it\n\n- item one\n- item two goes on and on until it breaks somewhere";

pub(super) fn desk() -> Desk {
    let mut state = empty();
    entry(&mut state, EntryBody::User(vec![Part::text("the question that I ask")]));
    entry(&mut state, answer(ANSWER, false));
    Desk::new(state, 50, 40)
}

#[test]
fn a_drag_copies_what_is_shown_without_gutters_and_breaks() {
    let mut desk = desk();
    desk.drag("paragraph", "end of it.");
    assert_eq!(desk.copied(), "paragraph that is longer than the screen is wide, with the end of it.");
    desk.drag("fn main", "}");
    assert_eq!(desk.copied(), "fn main() {\n    call();\n}", "code without its indentation on the screen");
    desk.drag("quoted", "row of it");
    assert_eq!(desk.copied(), "quoted words that also go on for more than a row of it");
    desk.drag("item one", "somewhere");
    assert_eq!(desk.copied(), "item one\n• item two goes on and on until it breaks somewhere");
    desk.drag("I ask", "paragraph");
    assert_eq!(desk.copied(), "I ask\n\nOne paragraph", "the name of who speaks is no text");
    // Upwards it is the same.
    let (from, to) = (desk.at("paragraph", true), desk.at("One", false));
    desk.mouse(MouseAction::Press, from);
    desk.mouse(MouseAction::Drag, to);
    desk.mouse(MouseAction::Release, to);
    assert_eq!(desk.copied(), "One paragraph");
    assert_eq!(desk.shown(), "One paragraph");
    desk.event(Event::Key(Key::parse("y").unwrap()));
    assert_eq!(desk.copied(), "One paragraph", "y copies it again");
    desk.event(Event::Key(Key::parse("esc").unwrap()));
    assert_eq!((desk.shown().as_str(), desk.state.focus), ("", Focus::Transcript), "esc takes the mark away alone");
}

#[test]
fn two_clicks_copy_a_word_and_three_the_source_of_the_block() {
    let mut desk = desk();
    let at = desk.at("longer", false);
    desk.click((at.0 + 2, at.1));
    assert!(desk.effects.is_empty(), "a click copies nothing");
    desk.click((at.0 + 2, at.1));
    assert_eq!(desk.copied(), "longer");
    assert_eq!(desk.shown(), "longer");
    desk.click((at.0 + 2, at.1));
    assert_eq!(desk.copied(), ANSWER.lines().next().unwrap());
    desk.now += 1_000_000;
    desk.click(at);
    assert!(desk.effects.is_empty(), "late, it is a first click again");
    // Held at the second click, it grows by words.
    let (from, to) = (desk.at("quoted", false), desk.at("words", false));
    desk.now += 1_000_000;
    desk.click(from);
    desk.mouse(MouseAction::Press, from);
    desk.mouse(MouseAction::Drag, (to.0 + 2, to.1));
    desk.mouse(MouseAction::Release, (to.0 + 2, to.1));
    assert_eq!(desk.copied(), "quoted words");
}

#[test]
fn the_mark_stays_on_its_text_while_more_is_written() {
    let mut state = empty();
    entry(&mut state, EntryBody::User(vec![Part::text("ask")]));
    let lines = |count: usize| (0..count).map(|n| format!("line {n} of many\n\n")).collect::<String>();
    entry(&mut state, answer(&lines(20), true));
    let mut desk = Desk::new(state, 50, 20);
    let grow = |desk: &mut Desk, count: usize| {
        let entry = desk.state.transcript.entries.last_mut().unwrap();
        let EntryBody::Answer(answer) = &mut entry.body else { panic!() };
        answer.pieces = vec![Piece::Text(lines(count))];
        entry.revision += 1;
        desk.draw();
    };
    let (from, to) = (desk.at("line 17", false), desk.at("line 18", true));
    desk.mouse(MouseAction::Press, from);
    desk.mouse(MouseAction::Drag, (from.0 + 3, from.1));
    grow(&mut desk, 40);
    assert_eq!(desk.at("line 17", false), from, "held, the text stands still");
    desk.mouse(MouseAction::Drag, to);
    grow(&mut desk, 45);
    assert_eq!(desk.shown(), "line 17 of manyline 18");
    desk.mouse(MouseAction::Release, to);
    assert_eq!(desk.copied(), "line 17 of many\n\nline 18");
    assert_eq!(desk.state.transcript.scroll, Scroll::Follow, "let go of, it follows again");
    // Far above the screen by now, it is still what y copies.
    grow(&mut desk, 400);
    assert!(desk.shown().is_empty());
    desk.event(Event::Key(Key::parse("y").unwrap()));
    assert_eq!(desk.copied(), "line 17 of many\n\nline 18");
    // Another width breaks other lines.
    desk.size = (70, 20);
    desk.event(Event::Resize(Size { columns: 70, rows: 20 }));
    assert!(desk.state.transcript.marked.is_none());
}

#[test]
fn calls_are_marked_whole_and_a_layer_hears_no_drag() {
    let mut state = empty();
    let id = call(&mut state, "c", "files/read_file", r#"{"path":"src/main.rs"}"#, CallPhase::Running);
    let mut body = AnswerEntry::default();
    body.pieces = vec![Piece::Text("before it".into()), Piece::Call(id), Piece::Text("behind it".into())];
    entry(&mut state, EntryBody::Answer(body));
    let mut desk = Desk::new(state, 90, 30);
    desk.drag("before it", "behind");
    assert_eq!(desk.copied(), "before it\n\nfiles/read_file  src/main.rs\n\nbehind");
    let at = desk.at("before it", false);
    desk.event(Event::Key(Key::parse("f1").unwrap()));
    desk.mouse(MouseAction::Press, at);
    desk.mouse(MouseAction::Drag, (at.0 + 5, at.1));
    desk.mouse(MouseAction::Release, (at.0 + 5, at.1));
    assert!(desk.state.transcript.marked.is_none() && desk.effects.is_empty());
}

#[test]
fn a_link_is_one_word() {
    let mut state = empty();
    entry(&mut state, answer("see https://a.example/b_c?d=e now", false));
    let mut desk = Desk::new(state, 60, 20);
    let at = desk.at("example", false);
    desk.click(at);
    desk.click(at);
    assert_eq!(desk.copied(), "https://a.example/b_c?d=e");
}
