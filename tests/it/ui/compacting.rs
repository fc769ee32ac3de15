//! A summary's row in the transcript, closed and open, and what a request leaves out.

use millrace::app::SummaryEntry;
use millrace::chat::{Aside, AsideKind, Compaction, ConversationId, LeftOut, MessageId, TurnEvent, Usage};

use super::*;

fn summarised(columns: u16, open: bool) -> State {
    let mut state = chat(columns);
    let compaction = Compaction {
        upto: MessageId::new("m"),
        messages: 42,
        text: "The user wants retries with a budget.\n- src/retry.rs was read; the budget is per call\n- open: a test \
               for the last attempt"
            .into(),
        model: "qwen3-32b".into(),
        shortened: true,
        ..Compaction::default()
    };
    entry(&mut state, EntryBody::Summary(SummaryEntry { compaction, open }));
    entry(&mut state, EntryBody::User(vec![Part::text("Now write the test.")]));
    state
}

#[test]
fn a_summary_stands_where_it_ends_at_the_three_sizes() {
    for (columns, rows) in [(120, 36), (80, 24), (40, 20)] {
        assert_snapshot!(format!("summary-{columns}x{rows}"), frame(&summarised(columns, false), columns, rows));
    }
    assert_snapshot!("summary-open-80x24", frame(&summarised(80, true), 80, 24));
}

#[test]
fn the_usage_screen_says_what_is_left_out() {
    let mut state = models::used();
    state.status.left_out = LeftOut { summarised: 42, referred: 1 };
    state.transcript.conversation = Some(ConversationId::new("c"));
    for kind in [AsideKind::Title, AsideKind::Sample] {
        let aside = Aside::new(kind, "small", 7, Usage { input: Some(60), output: Some(4), ..Usage::default() });
        let event = TurnEvent::Aside { conversation: ConversationId::new("c"), aside };
        let at = state.now;
        update(&mut state, Stamped { at, body: Event::Engine(event) });
    }
    state.overlays.push(Overlay::Usage(UsageView::default()));
    assert_snapshot!("left-out-80x24", frame(&state, 80, 24));
    assert_snapshot!("left-out-40x20", frame(&state, 40, 20));
}
