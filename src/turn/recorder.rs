//! When things happened in a round, kept as the timeline needs it. Microseconds since the turn began.

use crate::chat::{RoundTimes, SpanKind, Stamp};

/// Gaps up to this long do not end a span: models write in bursts.
const SAME_SPAN_US: u64 = 400_000;

#[derive(Debug)]
pub struct Recorder {
    began: Stamp,
    round: RoundTimes,
}

impl Recorder {
    pub fn new(began: Stamp) -> Self {
        Self { began, round: RoundTimes::default() }
    }

    pub fn at(&self, now: Stamp) -> u64 {
        now.since_us(self.began)
    }

    pub fn requested(&mut self, round: u32, now: Stamp) {
        self.round = RoundTimes { round, requested: self.at(now), ..RoundTimes::default() };
    }

    pub fn first_byte(&mut self, now: Stamp) {
        let at = self.at(now);
        self.round.first_byte.get_or_insert(at);
    }

    pub fn came(&mut self, kind: SpanKind, now: Stamp) {
        let at = self.at(now);
        self.round.first_byte.get_or_insert(at);
        if kind == SpanKind::Text {
            self.round.first_text.get_or_insert(at);
        }
        match self.round.spans.last_mut() {
            Some((last, _, to)) if *last == kind && at.saturating_sub(*to) <= SAME_SPAN_US => *to = at,
            Some(_) | None => self.round.spans.push((kind, at, at)),
        }
    }

    pub fn ended(&mut self, now: Stamp) -> RoundTimes {
        let at = self.at(now);
        self.round.ended = Some(at);
        self.round.clone()
    }
}
