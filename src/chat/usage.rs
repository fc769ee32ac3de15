//! Tokens, as far as the endpoint told.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Body, Message, Part, UnixMs};

/// Token counts of a round, or their sum. None where the endpoint did not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub input: Option<u64>,
    pub output: Option<u64>,
    pub cached: Option<u64>,
    pub reasoning: Option<u64>,
}

impl Usage {
    /// Reads a usage object: Chat Completions, Responses, and the spellings of DeepSeek and Anthropic for cached input.
    /// What is missing or no number stays None.
    #[must_use]
    pub fn of(wire: &Value) -> Usage {
        Usage {
            input: first(wire, &["/prompt_tokens", "/input_tokens"]),
            output: first(wire, &["/completion_tokens", "/output_tokens"]),
            cached: first(
                wire,
                &[
                    "/prompt_tokens_details/cached_tokens",
                    "/input_tokens_details/cached_tokens",
                    "/prompt_cache_hit_tokens",
                    "/cache_read_input_tokens",
                ],
            ),
            reasoning: first(
                wire,
                &[
                    "/completion_tokens_details/reasoning_tokens",
                    "/output_tokens_details/reasoning_tokens",
                    "/reasoning_tokens",
                ],
            ),
        }
    }

    /// The sum, field by field; a field is None only where neither side told.
    #[must_use]
    pub fn plus(self, other: Usage) -> Usage {
        fn add(a: Option<u64>, b: Option<u64>) -> Option<u64> {
            match (a, b) {
                (None, None) => None,
                (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
            }
        }
        Usage {
            input: add(self.input, other.input),
            output: add(self.output, other.output),
            cached: add(self.cached, other.cached),
            reasoning: add(self.reasoning, other.reasoning),
        }
    }
}

/// What tokens cost, per million, in the currency that the user thinks in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Prices {
    pub input: f64,
    /// Reasoning is output.
    pub output: f64,
    /// Cached input; None: as other input.
    pub cached: Option<f64>,
}

impl Prices {
    /// What a usage costs; None where nothing was told of it.
    #[must_use]
    pub fn cost(&self, usage: Usage) -> Option<f64> {
        if usage.input.is_none() && usage.output.is_none() {
            return None;
        }
        let input = usage.input.unwrap_or_default();
        let cached = usage.cached.unwrap_or_default().min(input);
        let million = |tokens: u64, price: f64| tokens as f64 * price / 1e6;
        Some(
            million(input - cached, self.input)
                + million(cached, self.cached.unwrap_or(self.input))
                + million(usage.output.unwrap_or_default(), self.output),
        )
    }
}

/// What one round of a conversation has used.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundUsage {
    /// The turn's number in its conversation, from 1.
    pub turn: u32,
    pub round: u32,
    /// When the round's answer stood, or its turn began.
    pub at: UnixMs,
    pub model: String,
    /// Scheme, host and port of the endpoint; empty where it is not known.
    pub origin: String,
    pub usage: Usage,
}

/// What a request is made of: bytes as they are sent, or tokens once they were [scaled](ContextParts::scaled).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContextParts {
    pub system: u64,
    /// The definitions of the tools.
    pub tools: u64,
    /// What the person and the model wrote, the arguments of calls among it.
    pub history: u64,
    /// What the model was told of its calls.
    pub results: u64,
}

impl ContextParts {
    /// What an image counts for: providers take some 750 to 1,500 tokens, whatever its bytes.
    const IMAGE: u64 = 4_000;

    /// The sizes of a request, in bytes of its texts.
    pub fn of<'a>(system: Option<&str>, tools: u64, messages: impl IntoIterator<Item = &'a Message>) -> Self {
        let mut parts = Self { system: system.map_or(0, str::len) as u64, tools, ..Self::default() };
        for message in messages {
            match &message.body {
                Body::User(said) => {
                    for part in said {
                        parts.history += match part {
                            Part::Text { text } => text.len() as u64,
                            Part::File { name, text } => (name.len() + text.len()) as u64,
                            Part::Image { .. } => Self::IMAGE,
                        };
                    }
                }
                Body::Assistant(answer) => {
                    let called = answer.calls.iter().map(|call| call.wire_name.len() + call.arguments.len());
                    parts.history += (answer.text.len() + answer.refusal.len() + called.sum::<usize>()) as u64;
                }
                Body::Tool(tool) => parts.results += tool.outcome.content.len() as u64,
            }
        }
        parts
    }

    #[must_use]
    pub fn total(self) -> u64 {
        self.system + self.tools + self.history + self.results
    }

    /// Four bytes to a token: what is known before the endpoint has counted.
    #[must_use]
    pub fn estimated_tokens(self) -> u64 {
        self.total().div_ceil(4)
    }

    /// The same shares of another whole. They sum up to it; what rounding leaves goes to the history.
    #[must_use]
    pub fn scaled(self, total: u64) -> Self {
        let whole = self.total();
        if whole == 0 {
            return Self { history: total, ..Self::default() };
        }
        let share = |part: u64| {
            let share = u128::from(part) * u128::from(total) / u128::from(whole);
            u64::try_from(share).unwrap_or(u64::MAX)
        };
        let (system, tools, results) = (share(self.system), share(self.tools), share(self.results));
        Self { system, tools, results, history: total.saturating_sub(system + tools + results) }
    }
}

fn first(value: &Value, pointers: &[&str]) -> Option<u64> {
    pointers.iter().find_map(|pointer| {
        let number = value.pointer(pointer)?;
        number.as_u64().or_else(|| number.as_f64().filter(|n| *n >= 0.0).map(|n| n as u64))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn costs_follow_prices() {
        let usage = Usage { input: Some(3_000_000), output: Some(500_000), cached: Some(1_000_000), reasoning: None };
        let prices = Prices { input: 2.0, output: 10.0, cached: Some(0.5) };
        assert_eq!(prices.cost(usage), Some(9.5));
        assert_eq!(Prices { cached: None, ..prices }.cost(usage), Some(11.0));
        assert_eq!(prices.cost(Usage::default()), None);
    }

    #[test]
    fn shares_keep_their_sum() {
        let parts = ContextParts { system: 100, tools: 1_000, history: 333, results: 567 };
        assert_eq!((parts.total(), parts.estimated_tokens()), (2_000, 500));
        let tokens = parts.scaled(777);
        assert_eq!(tokens.total(), 777);
        assert_eq!((tokens.system, tokens.tools, tokens.results), (38, 388, 220));
        assert_eq!(ContextParts::default().scaled(9), ContextParts { history: 9, ..ContextParts::default() });
        assert_eq!(ContextParts { results: u64::MAX / 2, ..parts }.scaled(u64::MAX / 4).total(), u64::MAX / 4);
    }

    #[test]
    fn spellings_of_several_endpoints() {
        let openai = json!({"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 1}});
        assert_eq!(Usage::of(&openai), Usage { input: Some(9), output: Some(2), cached: Some(4), reasoning: Some(1) });
        let deepseek = json!({"prompt_tokens": 9.0, "prompt_cache_hit_tokens": 3, "completion_tokens": null});
        assert_eq!(Usage::of(&deepseek), Usage { input: Some(9), cached: Some(3), ..Usage::default() });
        assert_eq!(Usage::of(&json!("none")), Usage::default());
    }
}
