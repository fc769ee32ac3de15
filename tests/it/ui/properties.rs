//! What holds for every frame, whatever was drawn, folded, resized or written before it; each says how much it tried.

use millrace::app::{Event, Key, Marked, MouseAction};
use proptest::prelude::*;

use super::marking::{self, Desk};
use super::*;
use crate::properties::holds;

/// Whatever was drawn before, a frame is what a fresh view draws.
#[test]
fn a_warm_memo_draws_what_a_cold_one_does() {
    let theme = Theme::plain();
    let screens = screens();
    let step = (0..screens.len(), 1u16..140, 1u16..50, 0usize..400);
    let steps = prop::collection::vec(step, 1..8);
    holds("a warm memo draws what a cold one does", 96, "frames", steps, |steps, seen| {
        let mut memo = Memo::new();
        for (which, columns, rows, cut) in steps {
            let mut state = screens[which].clone();
            // The answer at some moment of its coming.
            for entry in &mut state.transcript.entries {
                if let EntryBody::Answer(answer) = &mut entry.body {
                    entry.revision = cut as u64 + 10;
                    for piece in &mut answer.pieces {
                        if let Piece::Text(text) = piece {
                            text.truncate(boundary(text, cut));
                        }
                    }
                }
            }
            let (warm, layout) = buffer(&state, &theme, &mut memo, columns, rows);
            let (cold, fresh) = buffer(&state, &theme, &mut Memo::new(), columns, rows);
            prop_assert_eq!(text(&warm), text(&cold));
            prop_assert_eq!(layout, fresh);
            seen.add(1);
        }
        Ok(())
    });
}

/// The end of the last character that ends at or before `at`.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Hostile words in every place where words of others stand: the buffer holds nothing that acts.
#[test]
fn no_cell_holds_what_a_terminal_would_act_on() {
    let words = "[\u{1b}\u{9b}\u{7}\u{202e}\u{200b}\u{e0041}\\]a-z0-9;\\[\n\r\t]{1,24}";
    holds("no cell holds what a terminal acts on", 16, "cells", words, |hostile, seen| {
        for (_, state) in corpus::screens(&hostile) {
            for (columns, rows) in [(120, 36), (40, 20)] {
                let (drawn, _) = buffer(&state, &Theme::dark(), &mut Memo::new(), columns, rows);
                for cell in &drawn.content {
                    prop_assert!(millrace::text::hidden(cell.symbol()).is_empty(), "{:?}", cell.symbol());
                    prop_assert!(!cell.symbol().contains(['\n', '\t']), "{:?}", cell.symbol());
                }
                seen.add(drawn.content.len());
            }
        }
        Ok(())
    });
}

#[test]
fn whatever_the_width_a_copy_says_what_was_written() {
    let words = prop::collection::vec("[a-z漢é]{1,14}( [a-z字]{1,14}){0,12}", 1..5);
    holds("a copy says what was written", 256, "copies", (words, 12u16..90), |(paragraphs, columns), seen| {
        let source = paragraphs.join("\n\n");
        let mut state = empty();
        entry(&mut state, EntryBody::User(vec![Part::text(source.clone())]));
        entry(&mut state, marking::answer(&source, false));
        let mut desk = Desk::new(state, columns, 30);
        for key in [1, 2] {
            let point = |part, row| TextPoint { key, part, row, column: if row == 0 { 0 } else { usize::MAX } };
            let part = usize::from(key == 2);
            let marked = Marked { from: point(0, 0), until: point(part, usize::MAX - 1), words: false };
            prop_assert_eq!(ui::marked_text(&desk.state, &mut desk.memo, &marked), source.as_str());
            seen.add(1);
        }
        Ok(())
    });
}

#[test]
fn no_drag_panics() {
    let points = prop::collection::vec((0u16..70, 0u16..30), 1..12);
    holds("no drag panics", 48, "moves", (points, 1u16..70, 1u16..30), |(points, columns, rows), seen| {
        let mut desk = marking::desk();
        desk.size = (columns, rows);
        desk.event(Event::Resize(Size { columns, rows }));
        for (n, at) in points.into_iter().enumerate() {
            desk.mouse([MouseAction::Press, MouseAction::Drag, MouseAction::Drag, MouseAction::Release][n % 4], at);
            if let Some(marked) = desk.state.transcript.marked {
                let _ = ui::marked_text(&desk.state, &mut desk.memo, &marked);
            }
            seen.add(1);
        }
        Ok(())
    });
}

/// A conversation with thinking, text and calls in each answer.
fn conversation(answers: usize, words: &str) -> State {
    let mut state = empty();
    for n in 0..answers {
        entry(&mut state, EntryBody::User(vec![Part::text(format!("question {n} {words}"))]));
        let path = format!(r#"{{"path":"src/file{n}.rs"}}"#);
        let id = call(&mut state, &format!("c{n}"), "fs/read_file", &path, CallPhase::Ended(OutcomeKind::Done));
        change(&mut state, &id, |call| {
            let result = format!("{words}\n").repeat(n + 1);
            call.outcome = Some(outcome(OutcomeKind::Done, &result, result.len() as u64, 80.0));
        });
        let pieces = vec![
            Piece::Thinking { text: format!("{words}. ").repeat(n + 2), ms: Some(4_100) },
            Piece::Text(format!("Answer {n}: {words}\n\n- {words}\n- {words}\n")),
            Piece::Call(id),
            Piece::Text(format!("The end of {n}.")),
        ];
        entry(&mut state, EntryBody::Answer(AnswerEntry { model: "m".into(), pieces, ..AnswerEntry::default() }));
    }
    state
}

fn press(desk: &mut Desk, key: &str) {
    desk.event(Event::Key(Key::parse(key).unwrap()));
}

/// Folded and unfolded again, an answer is as it was; and a reader who went up is moved by nothing that comes below.
#[test]
fn folding_comes_back_and_moves_no_reader() {
    let values = (
        1usize..4,
        "[a-z]{1,9}( [a-z漢]{1,9}){0,14}",
        (30u16..110, 8u16..36),
        prop::collection::vec(0usize..7, 1..10),
        (30u16..110, 8u16..36),
    );
    holds("folds come back, readers stay", 48, "steps", values, |(answers, words, size, keys, other), seen| {
        let mut desk = Desk::new(conversation(answers, &words), size.0, size.1);
        press(&mut desk, "tab");
        press(&mut desk, "g");
        let whole = |desk: &Desk| {
            let mut state = desk.state.clone();
            state.focus = Focus::Composer;
            (state.transcript.selected, state.transcript.block) = (None, None);
            frame(&state, size.0, 400)
        };
        for key in keys {
            press(&mut desk, ["j", "k", "}", "{", "]", "[", "space"][key]);
            // Twice enter is nothing: every fold comes back whole, and drawn by the warm memo as by a cold one.
            let before = whole(&desk);
            press(&mut desk, "enter");
            if !desk.state.overlays.is_empty() {
                press(&mut desk, "esc");
                continue;
            }
            let rows = desk.rows();
            let cold = frame(&desk.state, size.0, size.1);
            for (warm, cold) in rows.iter().zip(cold.lines()) {
                // How much is below is estimated by a view that has not laid it out yet.
                prop_assert!(warm == cold || warm.contains("below"), "warm {warm:?}, cold {cold:?}");
            }
            press(&mut desk, "enter");
            prop_assert_eq!(whole(&desk), before, "folded and unfolded");
            seen.add(1);
        }
        let top = |desk: &Desk| match desk.state.transcript.scroll {
            Scroll::Anchored(anchor) => Some(anchor),
            Scroll::Follow | Scroll::Shown(_) => None,
        };
        let Some(anchor) = top(&desk) else { return Ok(()) };
        let rows = desk.rows();
        // More is written below, and the window changes and comes back: the reader's first row stays.
        entry(&mut desk.state, marking::answer(&words.repeat(9), true));
        let after = desk.rows();
        prop_assert_eq!(top(&desk), Some(anchor));
        prop_assert_eq!(&rows[2], &after[2]);
        for (columns, rows) in [other, (other.0, size.1), size] {
            desk.size = (columns, rows);
            desk.event(Event::Resize(Size { columns, rows }));
            seen.add(1);
        }
        prop_assert_eq!(top(&desk).unwrap_or(anchor), anchor, "another width and back");
        Ok(())
    });
}
