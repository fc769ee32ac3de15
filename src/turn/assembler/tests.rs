//! The machine itself, piece by piece; whole responses are judged in `tests/it/wire.rs`.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::chat::ArgumentsPart;

fn named(index: u64, name: &str, arguments: &str) -> CallFragment {
    CallFragment { name: Some(name.into()), ..more(index, arguments) }
}

fn more(index: u64, arguments: &str) -> CallFragment {
    CallFragment {
        index: Some(index),
        arguments: Some(ArgumentsPart::Text(arguments.into())),
        ..CallFragment::default()
    }
}

fn assembler(limits: AssemblerLimits) -> Assembler {
    Assembler::new(Declared::new([("read", true), ("ping", false)]), limits)
}

const LIMITS: AssemblerLimits = AssemblerLimits { arguments: 1000, nesting: 16, calls: 4 };

/// Applies one event for each fragment, then the end of the body; all pieces.
fn run(assembler: &mut Assembler, fragments: impl IntoIterator<Item = CallFragment>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (number, fragment) in (1..).zip(fragments) {
        pieces.extend(assembler.apply(EventDeltas { number, deltas: vec![Delta::Call(fragment)] }));
    }
    pieces
}

#[test]
fn the_pieces_of_a_call() {
    let mut it = assembler(LIMITS);
    let pieces =
        run(&mut it, [named(0, "re", ""), named(0, "read", ""), more(0, "{}"), more(0, "{\"p\": 1"), more(0, "} ")]);
    let delta = |delta: &str| Piece::Arguments { call: 0, delta: delta.into() };
    assert_eq!(
        pieces,
        [
            Piece::Opened { call: 0 },
            Piece::Named { call: 0 },
            delta("{}"),
            Piece::Restarted { call: 0 },
            delta("{\"p\": 1"),
            delta("}"),
            Piece::Closed { call: 0, by: ClosedBy::Brace, at: 5, text: "{\"p\":1}".into() },
        ]
    );
    assert_eq!(it.calls()[0].wire_text(), "{\"p\": 1}");
}

#[test]
fn arguments_over_the_limit_are_invalid_at_once() {
    let mut it = assembler(AssemblerLimits { arguments: 8, ..LIMITS });
    let pieces = run(&mut it, [named(0, "read", "{\"a\":"), more(0, "12345"), more(0, "}")]);
    let reason = "the arguments are longer than 8 bytes (limit arguments)".to_owned();
    assert_eq!(pieces.last(), Some(&Piece::Invalid { call: 0, reason }));
    assert_eq!(it.calls()[0].status, CallStatus::Invalid);
}

#[test]
fn calls_over_the_limit_are_dropped_with_all_their_fragments() {
    let mut it = assembler(AssemblerLimits { calls: 1, ..LIMITS });
    let fragments =
        [named(0, "read", "{\"a\":"), named(1, "read", ""), more(1, "{}"), named(2, "read", "{"), more(0, "1}")];
    let pieces = run(&mut it, fragments);
    assert_eq!(pieces.iter().filter(|piece| **piece == Piece::TooManyCalls { limit: 1 }).count(), 1);
    assert_eq!((it.calls().len(), it.calls()[0].wire_text()), (1, "{\"a\":1}"));
}

#[test]
fn an_error_keeps_what_had_closed_and_closes_nothing() {
    let mut it = assembler(LIMITS);
    run(&mut it, [named(0, "read", "{\"a\":1}"), named(1, "read", "{}"), named(2, "read", "{")]);
    let error = WireError { kind: WireErrorKind::Provider, message: "gone".into(), code: None };
    let pieces = it.end(StreamEnd::Error(error.clone()));
    assert_eq!(pieces, [Piece::Error(error), Piece::Incomplete { call: 1 }, Piece::Incomplete { call: 2 }]);
    assert_eq!(it.calls()[0].status, CallStatus::Closed);
    assert_eq!((it.effective(), it.cut()), (Effective::Error, true));
    assert_eq!(it.end(StreamEnd::Eof), [], "the end comes once");
}

#[test]
fn a_stop_by_us_is_no_error() {
    let mut it = assembler(LIMITS);
    run(&mut it, [named(0, "read", "{")]);
    assert_eq!(it.end(StreamEnd::Cut), [Piece::Incomplete { call: 0 }]);
    assert_eq!((it.error(), it.effective()), (None, Effective::Length));
}

#[test]
fn a_call_that_the_wire_declares_whole_is_closed_by_that() {
    let mut it = assembler(LIMITS);
    let done = |text: &str| CallFragment { done: true, ..more(0, text) };
    let pieces = run(&mut it, [named(0, "read", "{\"a\":"), more(0, "1}"), done("{\"a\":1}")]);
    assert!(matches!(pieces.last(), Some(Piece::Closed { by: ClosedBy::Brace, .. })), "{pieces:?}");
    let mut it = assembler(LIMITS);
    let pieces = run(&mut it, [named(0, "read", ""), done("{}")]);
    assert!(matches!(pieces.last(), Some(Piece::Closed { by: ClosedBy::Done, .. })), "{pieces:?}");
}

#[test]
fn labels_may_drift_repeat_or_be_missing() {
    let with_id = |id: &str, fragment: CallFragment| CallFragment { id: Some(id.into()), ..fragment };
    let check = |fragments: Vec<CallFragment>, expect: &[&str]| {
        let mut it = assembler(LIMITS);
        run(&mut it, fragments);
        assert_eq!(it.calls().iter().map(AssembledCall::wire_text).collect::<Vec<_>>(), expect);
    };
    let unlabelled = |fragment: CallFragment| CallFragment { index: None, ..fragment };
    // One id for all calls, told apart by the index.
    check(
        vec![with_id("x", named(0, "read", "{\"a\":1}")), with_id("x", named(1, "read", "{\"a\":2}"))],
        &["{\"a\":1}", "{\"a\":2}"],
    );
    // A new id for each fragment, the name repeated.
    check(vec![with_id("x", named(0, "read", "{\"a\":")), with_id("y", named(0, "read", "1}"))], &["{\"a\":1}"]);
    // No labels at all, the name repeated.
    check(vec![unlabelled(named(0, "read", "{\"a\":")), unlabelled(named(0, "read", "1}"))], &["{\"a\":1}"]);
    check(vec![unlabelled(named(0, "read", "{}")), unlabelled(named(0, "ping", "{}"))], &["{}", "{}"]);
    // All with index 0, the id continues the older one.
    check(
        vec![
            with_id("x", named(0, "read", "{\"a\":")),
            with_id("y", named(0, "read", "{\"b\":")),
            with_id("x", more(0, "1}")),
            with_id("y", more(0, "2}")),
        ],
        &["{\"a\":1}", "{\"b\":2}"],
    );
    // Nobody's.
    check(vec![more(0, "{\"a\":1}")], &[]);
}

proptest! {
    #[test]
    fn any_splitting_of_the_arguments_closes_the_same_call(
        value in "\\PC{0,12}", number in any::<i32>(), cuts in prop::collection::vec(0_usize..64, 0..8), tail in "[ \n]{0,3}",
    ) {
        let text = json!({"k": value, "n": [number, {"}": "{"}]}).to_string();
        let whole = format!("{text}{tail}");
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| whole.is_char_boundary(*cut)).collect();
        cuts.extend([0, whole.len()]);
        cuts.sort_unstable();
        let parts = cuts.windows(2).map(|cut| &whole[cut[0]..cut[1]]);
        let fragments = std::iter::once(named(0, "read", "")).chain(parts.map(|part| more(0, part)));
        let mut it = assembler(LIMITS);
        let pieces = run(&mut it, fragments);
        let said: String = pieces.iter().filter_map(|piece| match piece {
            Piece::Arguments { delta, .. } => Some(delta.as_str()),
            _ => None,
        }).collect();
        prop_assert_eq!(said, text.as_str());
        let call = &it.calls()[0];
        prop_assert_eq!((call.status, call.close), (CallStatus::Closed, Some(ClosedBy::Brace)));
        prop_assert_eq!(call.arguments.as_ref().map(|arguments| &*arguments.text), Some(text.as_str()));
    }
}
