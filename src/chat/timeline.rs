//! When things happened in a turn, and what sending calls at their close has saved.

use serde_json::{Value, json};

use super::{CallId, ClosedBy, OutcomeKind, ToolRef};

/// The times of one turn. All in microseconds since the turn began.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TurnTimes {
    pub model: String,
    pub base_url: String,
    pub started_wall_ms: i64,
    pub ended: Option<u64>,
    pub rounds: Vec<RoundTimes>,
    pub calls: Vec<CallTimes>,
}

#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RoundTimes {
    pub round: u32,
    pub requested: u64,
    pub first_byte: Option<u64>,
    pub first_text: Option<u64>,
    /// The end of its stream.
    pub ended: Option<u64>,
    /// `(from, to)` while reasoning, text or arguments came: what the model was doing when.
    pub spans: Vec<(SpanKind, u64, u64)>,
}

/// One stretch of what a turn's length is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Leg<'a> {
    pub kind: LegKind<'a>,
    pub us: u64,
    /// How much of it was a person's decision.
    pub yours: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LegKind<'a> {
    FirstByte,
    Thinking,
    /// Up to the close of the call that the round waited for.
    Writing,
    /// Up to the end of the answer.
    Answer,
    /// From its close to its answer.
    Call(&'a CallTimes),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    Reasoning,
    Text,
    Arguments,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CallTimes {
    pub call: CallId,
    pub round: u32,
    pub index: u32,
    pub wire_name: String,
    pub tool: Option<ToolRef>,
    pub arguments_bytes: u64,
    pub closed_by: Option<ClosedBy>,
    pub outcome: Option<OutcomeKind>,
    /// The one line that tells most of its arguments or result; raw.
    pub detail: String,
    pub opened: u64,
    pub closed: Option<u64>,
    /// When a review opened, and when a person or a rule approved.
    pub asked: Option<u64>,
    pub approved: Option<u64>,
    pub sent: Option<u64>,
    pub answered: Option<u64>,
    pub result_bytes: u64,
    pub told_bytes: u64,
}

/// A turn as it was measured, with its place in its conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTurn {
    /// From 1.
    pub number: u32,
    pub of: u32,
    /// `ok`, `failed`, `cancelled`, `limit`, `interrupted`; None while it runs.
    pub status: Option<String>,
    pub times: TurnTimes,
}

impl StoredTurn {
    /// The turn as JSON, all times in milliseconds since it began.
    #[must_use]
    pub fn json(&self) -> Value {
        let times = &self.times;
        let rounds = times.rounds.iter().map(|r| {
            let spans = r.spans.iter().map(|(kind, from, to)| json!({"kind": kind, "from": ms(*from), "to": ms(*to)}));
            json!({
                "round": r.round,
                "requested": ms(r.requested),
                "first_byte": r.first_byte.map(ms),
                "first_text": r.first_text.map(ms),
                "ended": r.ended.map(ms),
                "spans": spans.collect::<Vec<_>>(),
            })
        });
        let calls = times.calls.iter().map(|c| {
            json!({
                "call": c.call.as_str(),
                "round": c.round,
                "index": c.index,
                "wire_name": c.wire_name,
                "server": c.tool.as_ref().map(|t| t.server.as_str()),
                "tool": c.tool.as_ref().map(|t| t.tool.as_ref()),
                "arguments_bytes": c.arguments_bytes,
                "closed_by": c.closed_by,
                "outcome": c.outcome,
                "detail": c.detail,
                "opened": ms(c.opened),
                "closed": c.closed.map(ms),
                "asked": c.asked.map(ms),
                "approved": c.approved.map(ms),
                "sent": c.sent.map(ms),
                "answered": c.answered.map(ms),
                "result_bytes": c.result_bytes,
                "told_bytes": c.told_bytes,
                "sooner": times.sooner(c).map(ms),
            })
        });
        json!({
            "turn": self.number,
            "of": self.of,
            "status": self.status,
            "model": times.model,
            "base_url": times.base_url,
            "started": times.started_wall_ms,
            "ended": times.ended.map(ms),
            "saved": ms(times.saved()),
            "rounds": rounds.collect::<Vec<_>>(),
            "calls": calls.collect::<Vec<_>>(),
        })
    }
}

fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

impl TurnTimes {
    /// The numbers of its rounds, in order; a round of which only calls were kept is among them.
    #[must_use]
    pub fn round_numbers(&self) -> Vec<u32> {
        let numbers = self.rounds.iter().map(|r| r.round).chain(self.calls.iter().map(|c| c.round));
        numbers.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }

    /// Its calls, round by round, each round's as they opened.
    #[must_use]
    pub fn calls_by_round(&self) -> Vec<&CallTimes> {
        let mut calls: Vec<&CallTimes> = self.calls.iter().collect();
        calls.sort_by_key(|call| call.round);
        calls
    }

    /// What the end of each round waited for, one after the other.
    #[must_use]
    pub fn longest_path(&self) -> Vec<Leg<'_>> {
        let mut path = Vec::new();
        for round in &self.rounds {
            let Some(first) = round.first_byte else { continue };
            let stream_end = round.ended.unwrap_or(first);
            path.push(Leg { kind: LegKind::FirstByte, us: first.saturating_sub(round.requested), yours: 0 });
            let last = self
                .calls
                .iter()
                .filter(|call| call.round == round.round && call.sent.is_some())
                .filter(|call| call.answered.is_some_and(|answered| answered > stream_end))
                .max_by_key(|call| call.answered);
            let until = last.and_then(|call| call.closed).unwrap_or(stream_end).max(first);
            let spans = round.spans.iter().filter(|(kind, _, _)| *kind == SpanKind::Reasoning);
            let thinking: u64 = spans.map(|(_, from, to)| (*to).min(until).saturating_sub(*from)).sum();
            if thinking > 0 {
                path.push(Leg { kind: LegKind::Thinking, us: thinking, yours: 0 });
            }
            let writing = (until - first).saturating_sub(thinking);
            let kind = if last.is_some() { LegKind::Writing } else { LegKind::Answer };
            path.push(Leg { kind, us: writing, yours: 0 });
            if let Some((call, answered)) = last.and_then(|call| Some((call, call.answered?))) {
                let decided = call.asked.zip(call.approved);
                let yours = decided.map_or(0, |(asked, approved)| approved.saturating_sub(asked));
                path.push(Leg { kind: LegKind::Call(call), us: answered.saturating_sub(until), yours });
            }
        }
        path
    }

    /// Why nothing was saved, in one line; None where something was.
    #[must_use]
    pub fn why_nothing_saved(&self) -> Option<String> {
        /// Less than this is the granularity of the stream, not a gain; microseconds.
        const NOTHING: u64 = 10_000;
        if self.saved() >= NOTHING {
            return None;
        }
        let end = |call: &CallTimes| self.rounds.iter().find(|r| r.round == call.round).and_then(|r| r.ended);
        let late = |call: &&CallTimes| call.approved.zip(end(call)).is_some_and(|(approved, end)| approved >= end);
        let calls = self.calls.iter().filter(|call| call.sent.is_some()).count();
        Some(match (self.calls.len(), calls) {
            (0, _) => "No time saved: no calls".to_owned(),
            (_, 0) => "No time saved: no call left".to_owned(),
            (_, n) if self.calls.iter().filter(late).count() == n => {
                "No time saved: allowed after the answer had ended".to_owned()
            }
            (_, 1) => "No time saved: one call, at the very end".to_owned(),
            (_, n) => format!("No time saved: {n} calls, at the very end"),
        })
    }

    /// How much sooner a call was answered than if all of it had begun at the end of its round's stream: its review, its
    /// place at the server, its sending, each as long as it took. None for a call that was not answered by its server.
    #[must_use]
    pub fn sooner(&self, call: &CallTimes) -> Option<u64> {
        let end = self.rounds.iter().find(|r| r.round == call.round)?.ended?;
        let sent = call.sent?;
        call.answered?;
        // What was held until the end by nobody's decision was not dispatched at its close.
        let decided_late = call.approved.is_some_and(|approved| approved >= end);
        let from = if sent < end || decided_late { call.closed.unwrap_or(sent).min(sent) } else { sent };
        Some(end.saturating_sub(from))
    }

    /// How much longer the turn would have taken with every call begun at the end of its round's stream: per round,
    /// the latest answer then, less the latest answer (or the end of the stream) as it was. Calls that never left or
    /// were not answered do not count. Zero where nothing was saved.
    #[must_use]
    pub fn saved(&self) -> u64 {
        self.rounds
            .iter()
            .filter_map(|round| {
                let end = round.ended?;
                let (mut real, mut late) = (end, end);
                for call in self.calls.iter().filter(|c| c.round == round.round) {
                    let (Some(sooner), Some(answered)) = (self.sooner(call), call.answered) else { continue };
                    real = real.max(answered);
                    late = late.max(answered + sooner);
                }
                Some(late - real)
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(round: u32, sent: u64, answered: u64) -> CallTimes {
        CallTimes {
            call: CallId::new("c"),
            round,
            index: 0,
            wire_name: String::new(),
            tool: None,
            arguments_bytes: 0,
            closed_by: None,
            outcome: None,
            detail: String::new(),
            opened: 0,
            closed: Some(sent),
            asked: None,
            approved: None,
            sent: Some(sent),
            answered: Some(answered),
            result_bytes: 0,
            told_bytes: 0,
        }
    }

    #[test]
    fn the_saving_of_a_round_is_what_the_latest_answer_would_have_slipped() {
        let round = |ended| RoundTimes { round: 1, ended: Some(ended), ..RoundTimes::default() };
        let turn = TurnTimes {
            rounds: vec![round(4_000)],
            calls: vec![call(1, 500, 1_500), call(1, 2_000, 3_000)],
            ..TurnTimes::default()
        };
        assert_eq!(turn.sooner(&turn.calls[0]), Some(3_500));
        // At the finish both would have been answered at 5 000; as it was the stream itself ended last, at 4 000.
        assert_eq!(turn.saved(), 1_000);
        let none = TurnTimes { rounds: vec![round(100)], calls: vec![call(1, 100, 900)], ..TurnTimes::default() };
        assert_eq!(none.saved(), 0);
    }

    /// Closed at 1 s of a stream that ended at 5 s; what it waited for would have come behind the end.
    #[test]
    fn a_decision_and_a_place_take_as_long_at_the_end() {
        let sooner = |approved: Option<u64>, sent: u64| {
            let rounds = vec![RoundTimes { round: 1, ended: Some(5_000), ..RoundTimes::default() }];
            let asked = approved.map(|_| 1_000);
            let call = CallTimes { closed: Some(1_000), asked, approved, ..call(1, sent, sent + 100) };
            let turn = TurnTimes { rounds, calls: vec![call], ..TurnTimes::default() };
            (turn.sooner(&turn.calls[0]), turn.saved())
        };
        assert_eq!(sooner(None, 1_000), (Some(4_000), 100));
        assert_eq!(sooner(None, 3_000).0, Some(4_000), "it waited for a place");
        assert_eq!(sooner(Some(3_000), 3_000).0, Some(4_000), "a person took two seconds");
        assert_eq!(sooner(Some(6_000), 6_000), (Some(4_000), 4_000), "and five, behind the end");
        assert_eq!(sooner(None, 5_000), (Some(0), 0), "held until the end");
        assert_eq!(sooner(Some(2_000), 5_000), (Some(0), 0), "decided, and held until the end");
    }

    #[test]
    fn where_nothing_was_saved_it_is_said_why() {
        let check = |calls: Vec<CallTimes>, expect: Option<&str>| {
            let rounds = vec![RoundTimes { round: 1, ended: Some(50_000), ..RoundTimes::default() }];
            let turn = TurnTimes { rounds, calls, ..TurnTimes::default() };
            assert_eq!(turn.why_nothing_saved().as_deref(), expect);
        };
        let decided = |approved| CallTimes { asked: Some(10), approved: Some(approved), ..call(1, approved, 90_000) };
        check(vec![call(1, 1_000, 90_000)], None);
        check(vec![call(1, 49_000, 90_000)], Some("No time saved: one call, at the very end"));
        check(vec![call(1, 50_000, 60_000), call(1, 50_100, 61_000)], Some("No time saved: 2 calls, at the very end"));
        check(vec![decided(55_000)], Some("No time saved: allowed after the answer had ended"));
        check(vec![CallTimes { sent: None, answered: None, ..call(1, 0, 0) }], Some("No time saved: no call left"));
        check(vec![], Some("No time saved: no calls"));
    }
}
