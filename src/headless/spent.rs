//! What a turn has used, for programs: tokens, their cost and whose prices those are, and what fills the context.

use serde_json::{Map, Value, json};

use crate::chat::{ContextParts, Prices, Usage};

/// What tokens cost, and who says so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Priced {
    pub prices: Prices,
    pub from: PricesFrom,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PricesFrom {
    Profile,
    /// Its list of models.
    Endpoint,
}

impl PricesFrom {
    fn word(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Endpoint => "endpoint",
        }
    }
}

/// The counts, and the fields `cost` and `prices_from` where there are prices and something to price.
pub(super) fn spent(priced: Option<Priced>, usage: Usage) -> Map<String, Value> {
    let Usage { input, output, cached, reasoning } = usage;
    let mut fields = Map::new();
    for (name, count) in [("input", input), ("output", output), ("cached", cached), ("reasoning", reasoning)] {
        fields.insert(name.to_owned(), count.into());
    }
    if let Some(Priced { prices, from }) = priced
        && let Some(cost) = prices.cost(usage)
    {
        fields.insert("cost".to_owned(), cost.into());
        fields.insert("prices_from".to_owned(), from.word().into());
    }
    fields
}

/// What fills the context behind a round, in tokens: shares of what the endpoint counted, by size; the answer is
/// history. Where it counted nothing, four bytes make a token. None where nothing was sent.
pub(super) fn context(sent: ContextParts, usage: Usage) -> Option<Value> {
    if sent.total() == 0 {
        return None;
    }
    let counted = usage.input;
    let mut parts = sent.scaled(counted.unwrap_or_else(|| sent.estimated_tokens()));
    parts.history = parts.history.saturating_add(usage.output.unwrap_or_default());
    let ContextParts { system, tools, history, results } = parts;
    Some(json!({"tokens": parts.total(), "estimated": counted.is_none(), "system": system, "tools": tools,
        "history": history, "results": results}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_is_told_by_part_also_where_nothing_was_counted() {
        let sent = ContextParts { system: 100, tools: 300, history: 400, results: 200 };
        let counted = Usage { input: Some(500), output: Some(7), ..Usage::default() };
        assert_eq!(
            context(sent, counted).unwrap().to_string(),
            r#"{"tokens":507,"estimated":false,"system":50,"tools":150,"history":207,"results":100}"#
        );
        let told = context(sent, Usage::default()).unwrap();
        assert_eq!((&told["tokens"], &told["estimated"]), (&250.into(), &true.into()));
        assert_eq!(context(ContextParts::default(), counted), None);
    }

    #[test]
    fn a_cost_names_whose_prices_made_it() {
        let prices = Prices { input: 2.0, output: 10.0, cached: None };
        let usage = Usage { input: Some(1_000_000), output: Some(0), ..Usage::default() };
        for (from, word) in [(PricesFrom::Profile, "profile"), (PricesFrom::Endpoint, "endpoint")] {
            let told = spent(Some(Priced { prices, from }), usage);
            assert_eq!((&told["cost"], &told["prices_from"]), (&2.0.into(), &word.into()));
        }
        assert!(!spent(None, usage).contains_key("cost"));
    }
}
