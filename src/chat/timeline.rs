//! When things happened in a turn, and what sending calls at their close has saved.

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

impl TurnTimes {
    /// How much sooner a call was answered than if it had left at the end of its round's stream, with the same
    /// server time and the same decision. None for a call that was not answered by its server.
    #[must_use]
    pub fn sooner(&self, call: &CallTimes) -> Option<u64> {
        let end = self.rounds.iter().find(|r| r.round == call.round)?.ended?;
        let sent = call.sent?;
        call.answered?;
        Some(end.saturating_sub(sent))
    }

    /// How much longer the turn would have taken with every call sent at the end of its round's stream: per round,
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
                    let (Some(sent), Some(answered)) = (call.sent, call.answered) else { continue };
                    real = real.max(answered);
                    late = late.max(answered + end.saturating_sub(sent));
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
}
