//! The drawing as text, cell for cell.

use super::*;
use crate::chat::{RoundTimes, SpanKind};

fn call(round: u32, index: u32, name: &str, times: [Option<u64>; 5], answered: Option<u64>) -> CallTimes {
    let ms = |t: Option<u64>| t.map(|t| t * 1000);
    let [opened, closed, asked, approved, sent] = times.map(ms);
    let (server, tool) = name.split_once('/').unwrap();
    CallTimes {
        call: CallId::new(format!("{round}-{index}")),
        round,
        index,
        wire_name: name.into(),
        tool: Some(ToolRef::new(server, tool)),
        arguments_bytes: 118,
        closed_by: None,
        outcome: Some(match (name, sent) {
            ("shell/test", _) => OutcomeKind::Failed,
            ("web/fetch", Some(7_400_000)) => OutcomeKind::Cancelled,
            _ => OutcomeKind::Done,
        }),
        detail: String::new(),
        opened: opened.unwrap_or(0),
        closed,
        asked,
        approved,
        sent,
        answered: ms(answered),
        result_bytes: 0,
        told_bytes: 0,
    }
}

fn sample() -> TurnTimes {
    let at = |ms: u64| ms * 1_000;
    TurnTimes {
        model: "qwen3-32b".into(),
        base_url: "http://localhost:8000/v1".into(),
        started_wall_ms: 0,
        ended: Some(at(28_900)),
        rounds: vec![
            RoundTimes {
                round: 1,
                requested: 0,
                first_byte: Some(at(500)),
                first_text: Some(at(4_600)),
                ended: Some(at(17_800)),
                spans: vec![
                    (SpanKind::Reasoning, at(500), at(4_600)),
                    (SpanKind::Arguments, at(4_600), at(6_000)),
                    (SpanKind::Text, at(6_000), at(15_000)),
                    (SpanKind::Arguments, at(15_000), at(17_800)),
                ],
            },
            RoundTimes {
                round: 2,
                requested: at(21_700),
                first_byte: Some(at(22_300)),
                first_text: Some(at(22_300)),
                ended: Some(at(28_900)),
                spans: vec![(SpanKind::Text, at(22_300), at(28_900))],
            },
        ],
        calls: vec![
            call(1, 0, "fs/read_file", [Some(4_400), Some(5_000), None, None, Some(5_000)], Some(5_080)),
            call(1, 1, "shell/test", [Some(5_400), Some(6_000), Some(6_200), Some(9_300), Some(9_300)], Some(21_700)),
            call(1, 2, "web/fetch", [Some(7_000), Some(7_400), None, None, Some(7_400)], Some(12_400)),
        ],
    }
}

fn stored(times: TurnTimes) -> StoredTurn {
    StoredTurn { number: 3, of: 3, status: Some("ok".into()), times }
}

const TITLE: &str = "retry-loop\u{1b}[31m refactor";

fn drawn(times: TurnTimes, columns: usize) -> Vec<String> {
    timeline(&stored(times), TITLE, &Theme::dark(), columns)
}

#[test]
fn drawn_wide() {
    let lines = drawn(sample(), 120);
    assert!(lines.iter().all(|l| width(l) <= 120));
    insta::assert_snapshot!(lines.join("\n"), @r"
 TIMELINE   retry-loop refactor, turn 3 of 3                               qwen3-32b @ localhost:8000   ✓ done   28.9 s
────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

 11.8 s sooner   Calls left as their arguments closed. Sent at the end of the answer, this turn would take 40.7 s.
 longest path    first byte 0.5   thinking 4.1   writing 1.4   shell/test 15.7 (you 3.1)   first byte 0.6   answer 6.6

                         0 s       4         8         12        16        20        24        28          RAN    SOONER
 ROUND 1   model         .::::::::::~~~~======================~~~~~~~                                    17.8 s
   fs/read_file                     ~✓                               ┊                                   0.08 s   12.8 s
   shell/test                         ~~????????▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓✗                         12.4 s   11.8 s
   web/fetch                              ~▓▓▓▓▓▓▓▓▓▓▓▓▓⊘            ┊                                    5.0 s        -

 ROUND 2   model                                                               .=================         7.2 s

 . waiting   : thinking   = text   ~ arguments   ? waiting for you   ▓ running   ┊ end of the answer

 Sooner assumes the same server times and the same decisions. Approvals opened while the answer was still coming.
");
}

#[test]
fn drawn_narrow() {
    let lines = drawn(sample(), 80);
    assert!(lines.iter().all(|l| width(l) <= 80));
    insta::assert_snapshot!(lines.join("\n"), @r"
 TIMELINE   retry-loop refactor, turn 3                         ✓ done   28.9 s
────────────────────────────────────────────────────────────────────────────────
 11.8 s sooner   Sent at the end of the answer: 40.7 s.  2 rounds  3 calls

                   0 s       8         16        24                RAN    SOONER
 ROUND 1   model   :::::~~===========~~~~                        17.8 s
   fs/read_file         ~✓               ┊                       0.08 s   12.8 s
   shell/test            ~????▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓✗                  12.4 s   11.8 s
   web/fetch               ~▓▓▓▓▓▓⊘      ┊                        5.0 s        -
 ROUND 2   model                              =========           7.2 s

 . waiting  : thinking  = text  ~ arguments  ? you  ▓ running  ┊ answer ends
");
}

#[test]
fn any_times_can_be_drawn() {
    let mut odd = sample();
    odd.ended = None;
    odd.calls[0].closed = None;
    odd.calls[1].answered = Some(1);
    odd.rounds[1].ended = None;
    for (times, columns) in [(odd, 61), (TurnTimes::default(), 0), (TurnTimes::default(), 500)] {
        let lines = drawn(times, columns);
        assert!(lines.iter().all(|l| width(l) <= columns.clamp(60, 240)), "{lines:#?}");
    }
}
#[test]
fn a_denied_call_has_the_sign_that_it_has_on_the_screen() {
    let mut turn = sample();
    turn.calls[1].outcome = Some(OutcomeKind::Denied);
    let lines = drawn(turn, 120);
    let glyph = crate::ui::call::sign(crate::app::CallPhase::Ended(OutcomeKind::Denied), Theme::dark().glyphs).0;
    let row = lines.iter().find(|line| line.starts_with("   shell/test ")).unwrap();
    assert!(glyph == "✗" && row.contains('✗') && !row.contains('⊘'), "{row}");
}

#[test]
fn where_nothing_was_saved_its_reason_stands_in_the_first_line() {
    let mut turn = sample();
    turn.calls = vec![call(1, 0, "fs/read_file", [Some(17_000), Some(17_800), None, None, Some(17_800)], Some(17_900))];
    for columns in [80, 120] {
        let lines = drawn(turn.clone(), columns).join("\n");
        assert!(lines.contains(" No time saved: one call, at the very end\n"), "{lines}");
    }
}
