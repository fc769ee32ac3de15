//! Tokens, as far as the endpoint told.

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    fn spellings_of_several_endpoints() {
        let openai = json!({"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 1}});
        assert_eq!(Usage::of(&openai), Usage { input: Some(9), output: Some(2), cached: Some(4), reasoning: Some(1) });
        let deepseek = json!({"prompt_tokens": 9.0, "prompt_cache_hit_tokens": 3, "completion_tokens": null});
        assert_eq!(Usage::of(&deepseek), Usage { input: Some(9), cached: Some(3), ..Usage::default() });
        assert_eq!(Usage::of(&json!("none")), Usage::default());
    }
}
