//! What the conversation has used: tokens and cost, round by round, and what fills the context.

use super::effect::Effect;
use super::state::State;
use super::status::Context;
use crate::chat::{
    Aside, AsideKind, Compaction, ContextParts, ConversationId, MessageId, NoticeKind, Prices, RoundUsage, Stamp,
    TurnId, UnixMs, Usage,
};

/// From this share of the window on it is nearly full.
pub const NEARLY_FULL: f64 = 0.9;

#[derive(Clone, Debug, Default)]
pub struct UsageLog {
    /// Rounds of earlier times, from the store.
    stored: Vec<UsageRow>,
    /// Rounds that were watched, each once: some endpoints tell it more than once, growing.
    watched: Vec<(TurnId, UsageRow)>,
    /// Summaries of older messages, each once.
    summaries: Vec<(MessageId, UsageRow)>,
    /// What was asked beside all that, by kind and model.
    asides: Vec<UsageRow>,
    /// The stored rounds were asked for, and of what is older than this.
    asked: Option<(u64, UnixMs)>,
}

/// What tokens went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageOf {
    Round,
    Summary,
    Aside(AsideKind),
}

/// A round's usage as it is listed, or what was asked beside the rounds.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageRow {
    pub of: UsageOf,
    /// Turn and round are 0 where it is none.
    pub turn: u32,
    pub round: u32,
    pub at: UnixMs,
    /// Raw.
    pub model: String,
    pub usage: Usage,
    /// Where there are prices.
    pub cost: Option<f64>,
}

/// A sum over rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    pub usage: Usage,
    /// Of the rounds that have one.
    pub cost: Option<f64>,
    /// Some round has no price: the cost is not the whole.
    pub part: bool,
}

impl UsageLog {
    fn record(&mut self, turn: TurnId, row: UsageRow) {
        let same = |(id, old): &&mut (TurnId, UsageRow)| *id == turn && old.round == row.round;
        match self.watched.iter_mut().find(same) {
            Some((_, old)) => *old = row,
            None => self.watched.push((turn, row)),
        }
    }

    /// Rounds that were kept, before those that were watched.
    pub(super) fn answered(&mut self, generation: u64, rounds: Vec<(RoundUsage, Option<Prices>)>) {
        let Some((_, before)) = self.asked.filter(|(asked, _)| *asked == generation) else { return };
        let row = |(round, prices): (RoundUsage, Option<Prices>)| UsageRow {
            of: UsageOf::Round,
            turn: round.turn,
            round: round.round,
            at: round.at,
            model: round.model,
            usage: round.usage,
            cost: prices.and_then(|prices| prices.cost(round.usage)),
        };
        self.stored = rounds.into_iter().filter(|(round, _)| round.at < before).map(row).collect();
    }

    /// What a summary cost.
    pub(super) fn summarised(&mut self, one: &Compaction, prices: Option<Prices>) {
        if one.usage() == Usage::default() {
            return;
        }
        let usage = one.usage();
        let cost = prices.and_then(|prices| prices.cost(usage));
        let of = UsageOf::Summary;
        let row = UsageRow { of, turn: 0, round: 0, at: one.at, model: one.model.clone(), usage, cost };
        self.summaries.retain(|(upto, _)| *upto != one.upto);
        self.summaries.push((one.upto.clone(), row));
    }

    /// What was asked beside the turns.
    pub(super) fn asked_aside(&mut self, one: &Aside, cost: Option<f64>) {
        let of = UsageOf::Aside(one.kind);
        match self.asides.iter_mut().find(|row| row.of == of && row.model == one.model) {
            Some(row) => {
                row.at = row.at.max(one.at);
                row.usage = row.usage.plus(one.usage);
                row.cost = if row.cost.is_none() { cost } else { row.cost.map(|before| before + cost.unwrap_or(0.0)) };
            }
            None => {
                let (model, usage) = (one.model.clone(), one.usage);
                self.asides.push(UsageRow { of, turn: 0, round: 0, at: one.at, model, usage, cost });
            }
        }
    }

    /// Every round, in order, then what is no round; turns are numbered through.
    #[must_use]
    pub fn rows(&self) -> Vec<UsageRow> {
        let mut rows = self.stored.clone();
        let mut turn = rows.last().map_or(0, |row| row.turn);
        let mut last = None;
        for (id, row) in &self.watched {
            if last != Some(*id) {
                turn += 1;
                last = Some(*id);
            }
            rows.push(UsageRow { turn, ..row.clone() });
        }
        rows.extend(self.beside().cloned());
        rows
    }

    /// All that the conversation has used.
    #[must_use]
    pub fn spent(&self) -> Spent {
        let watched = self.watched.iter().map(|(_, row)| row);
        sum(self.stored.iter().chain(watched).chain(self.beside()))
    }

    fn beside(&self) -> impl Iterator<Item = &UsageRow> {
        self.summaries.iter().map(|(_, row)| row).chain(&self.asides)
    }

    /// What one turn has used.
    #[must_use]
    pub fn spent_in(&self, turn: TurnId) -> Spent {
        sum(self.watched.iter().filter(|(id, _)| *id == turn).map(|(_, row)| row))
    }
}

fn sum<'a>(rows: impl Iterator<Item = &'a UsageRow>) -> Spent {
    rows.fold(Spent::default(), |spent, row| Spent {
        usage: spent.usage.plus(row.usage),
        cost: match (spent.cost, row.cost) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0.0) + b.unwrap_or(0.0)),
        },
        part: spent.part || row.cost.is_none(),
    })
}

impl State {
    /// The share of the window that is full, where both are known.
    #[must_use]
    pub fn context_share(&self) -> Option<f64> {
        let most = self.session.context_window.filter(|most| *most > 0)?;
        Some(self.status.context?.tokens as f64 / most as f64)
    }

    /// Tokens of the context by what they are: shares of what the endpoint counted, by size.
    #[must_use]
    pub fn context_parts(&self) -> Option<ContextParts> {
        let context = self.status.context?;
        // What was answered since is history.
        let sent = context.tokens.saturating_sub(self.status.answered);
        let mut parts = self.status.sent.scaled(sent);
        parts.history += context.tokens - sent;
        Some(parts)
    }

    /// The endpoint has counted a round.
    pub(super) fn counted(&mut self, turn: TurnId, round: u32, usage: Usage, at: Stamp, out: &mut Vec<Effect>) {
        let model = match &self.transcript.turn {
            Some(open) if !open.times.model.is_empty() => open.times.model.clone(),
            Some(_) | None => self.session.settings.model.clone(),
        };
        let cost = self.session.prices.and_then(|prices| prices.cost(usage));
        let of = UsageOf::Round;
        self.usage.record(turn, UsageRow { of, turn: 0, round, at: at.wall_ms, model, usage, cost });
        let Some(input) = usage.input else { return };
        let before = self.context_share();
        self.status.answered = usage.output.unwrap_or(0);
        self.status.context = Some(Context { tokens: input + self.status.answered, estimated: false });
        self.say_short(before, out);
        // Ollama cuts off the beginning without a word.
        let sent = self.status.sent.estimated_tokens();
        if self.session.context_window.is_some_and(|most| sent > most && input <= most) && input * 2 < sent {
            let text = format!(
                "About {sent} tokens were sent and {input} counted: the endpoint seems to have cut off the beginning."
            );
            self.notice(NoticeKind::Info, text, out);
        }
    }

    /// What was asked for a conversation beside its turns; prices are known of the model in use alone.
    pub(super) fn cost_aside(&self, one: &Aside) -> Option<f64> {
        let prices = self.session.prices.filter(|_| one.model == self.session.settings.model);
        prices.and_then(|prices| prices.cost(one.usage))
    }

    pub(super) fn counted_aside(&mut self, conversation: &ConversationId, one: &Aside) {
        let cost = self.cost_aside(one);
        if let Some(usage) = self.usage_of(conversation) {
            usage.asked_aside(one, cost);
        }
    }

    /// Asks for the rounds of a conversation that was opened.
    pub(super) fn ask_usage(&mut self, out: &mut Vec<Effect>) {
        self.usage = UsageLog::default();
        if let Some(conversation) = self.transcript.conversation.clone() {
            let generation = self.session.fresh();
            self.usage.asked = Some((generation, self.now.wall_ms.max(1)));
            out.push(Effect::Usage { generation, conversation });
        }
    }
}
