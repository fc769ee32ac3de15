//! Blocks of the transcript: chosen by key and by mouse, copied as they were written.

use super::*;

const ANSWER: &str =
    "Two things.\n\n```rust\nfn main() {}\n```\n\n| a | b |\n|---|---|\n| 1, x | 2 |\n\n- one\n- two\n";

/// A question, an answer of several blocks, and a call behind it.
fn answered() -> Desk {
    let mut desk = desk();
    let turn = desk.ask("hi");
    desk.engine(TurnEvent::Text { turn, round: 1, text: ANSWER.into() });
    let mut done = ToolOutcome::unsent(OutcomeKind::Done, "it is written");
    done.sent = true;
    desk.call("a", CallState::Ended(Arc::new(done)));
    desk.ended(TurnStatus::Ok);
    desk.keys("<tab>");
    desk
}

fn copied(desk: &Desk) -> (&str, &str) {
    let copied = desk.effects.iter().find_map(|effect| match effect {
        Effect::Copy { what, text } => Some((*what, text.as_str())),
        _ => None,
    });
    copied.unwrap_or_else(|| panic!("{:?}", desk.effects))
}

#[test]
fn a_block_is_chosen_by_key_and_copied_in_either_form() {
    let mut desk = answered();
    desk.keys("{y");
    assert_eq!(copied(&desk), ("the result", "it is written"));
    desk.keys("Y");
    let (what, json) = copied(&desk);
    assert_eq!(what, "the result as JSON");
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(json["content"][0]["text"], "it is written");
    desk.keys("{y");
    assert_eq!(copied(&desk).1, "- one\n- two");
    desk.keys("{y");
    assert_eq!(copied(&desk), ("the table", "| a | b |\n|---|---|\n| 1, x | 2 |"));
    desk.keys("Y");
    assert_eq!(copied(&desk), ("the table as CSV", "a,b\n\"1, x\",2\n"));
    desk.keys("{y");
    assert_eq!(copied(&desk), ("the code block", "fn main() {}\n"));
    desk.keys("Y");
    assert_eq!(copied(&desk).1, "```rust\nfn main() {}\n```");
    desk.keys("{{y");
    assert_eq!(copied(&desk), ("the message", "hi"), "what a person wrote is one block");
    desk.keys("}}y");
    assert_eq!(copied(&desk), ("the code block", "fn main() {}\n"));
    // At either end nothing happens.
    desk.keys("}}}}}}y");
    assert_eq!(copied(&desk).1, "it is written");
}

#[test]
fn the_chosen_call_opens_in_place_and_whole() {
    let mut desk = answered();
    let unfolded = |desk: &Desk| match &desk.state.transcript.entries.last().unwrap().body {
        EntryBody::Answer(answer) => answer.unfolded.len(),
        _ => panic!("no answer"),
    };
    let revision = |desk: &Desk| desk.state.transcript.entries.last().unwrap().revision;
    let before = revision(&desk);
    desk.keys("{<enter>");
    assert_eq!(unfolded(&desk), 1);
    assert!(revision(&desk) > before);
    desk.keys("<enter>");
    assert_eq!(unfolded(&desk), 0);
    desk.keys("o");
    assert!(matches!(desk.state.overlays.last(), Some(Overlay::Detail(open)) if open.call.as_str() == "a"));
}

#[test]
fn a_drag_chooses_blocks_and_copies_them_when_it_ends() {
    let mut desk = answered();
    let entry = desk.state.transcript.entries.last().unwrap();
    let blocks: Vec<BlockAt> = entry.blocks().into_iter().map(|(at, _)| at).collect();
    let key = entry.key;
    let row = |y| Area { x: 0, y, width: 80, height: 1 };
    let spot = |n: usize| Spot { key, block: Some(blocks[n]) };
    let targets = (0..blocks.len()).map(|n| (row(2 + n as u16), Target::Block(spot(n)))).collect();
    let area = Area { x: 0, y: 0, width: 80, height: 20 };
    let transcript = TranscriptLayout { area, at_end: true, ..TranscriptLayout::default() };
    desk.event(Event::Layout(Layout { targets, transcript, ..Layout::default() }));
    let mut mouse = |action, y| {
        desk.effects.clear();
        desk.event(Event::Mouse(Mouse { action, x: 4, y }));
    };
    mouse(MouseAction::Press, 3);
    mouse(MouseAction::Release, 3);
    assert!(desk.effects.is_empty(), "a click copies nothing");
    assert_eq!(desk.state.transcript.chosen(), Some((spot(1), spot(1))));
    let mut mouse = |action, y| {
        desk.effects.clear();
        desk.event(Event::Mouse(Mouse { action, x: 4, y }));
    };
    mouse(MouseAction::Press, 4);
    mouse(MouseAction::Drag, 3);
    mouse(MouseAction::Release, 3);
    let text = copied(&desk).1;
    assert_eq!(text, "```rust\nfn main() {}\n```\n\n| a | b |\n|---|---|\n| 1, x | 2 |");
    // A drag approves nothing, and over a layer it chooses nothing.
    desk.keys("<f1>");
    desk.event(Event::Mouse(Mouse { action: MouseAction::Drag, x: 4, y: 2 }));
    assert_eq!(desk.state.transcript.chosen(), Some((spot(1), spot(2))));
}

#[test]
fn a_found_word_leads_to_its_block() {
    let mut desk = answered();
    desk.keys("/x<enter>");
    let entry = desk.state.transcript.entries.last().unwrap();
    let table = entry.blocks()[2].0;
    let spot = Spot { key: entry.key, block: Some(table) };
    assert_eq!(desk.state.transcript.find.as_ref().unwrap().matches, [spot]);
    assert_eq!(desk.state.transcript.scroll, Scroll::Shown(spot));
    // The frame tells where that is; from there on the reader is anchored.
    let top = Anchor { key: entry.key, line: 7 };
    let transcript = TranscriptLayout { top: Some(top), ..TranscriptLayout::default() };
    desk.event(Event::Layout(Layout { transcript, ..Layout::default() }));
    assert_eq!(desk.state.transcript.scroll, Scroll::Anchored(top));
}
