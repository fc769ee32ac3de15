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
    /// Reads a usage object as endpoints spell it: Chat Completions, the Responses API, DeepSeek's cache counts.
    #[must_use]
    pub fn of(wire: &Value) -> Usage {
        let at = |paths: &[&str]| paths.iter().find_map(|path| wire.pointer(path).and_then(Value::as_u64));
        Usage {
            input: at(&["/prompt_tokens", "/input_tokens"]),
            output: at(&["/completion_tokens", "/output_tokens"]),
            cached: at(&[
                "/prompt_tokens_details/cached_tokens",
                "/input_tokens_details/cached_tokens",
                "/prompt_cache_hit_tokens",
            ]),
            reasoning: at(&["/completion_tokens_details/reasoning_tokens", "/output_tokens_details/reasoning_tokens"]),
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
