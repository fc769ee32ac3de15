//! Token counts out of the usage objects of many endpoints.

use serde_json::Value;

use crate::chat::Usage;

/// Reads a usage object: Chat Completions, Responses, and the spellings of DeepSeek and Anthropic for cached input.
/// What is missing or no number stays None.
#[must_use]
pub fn usage(value: &Value) -> Usage {
    Usage {
        input: first(value, &["/prompt_tokens", "/input_tokens"]),
        output: first(value, &["/completion_tokens", "/output_tokens"]),
        cached: first(
            value,
            &[
                "/prompt_tokens_details/cached_tokens",
                "/input_tokens_details/cached_tokens",
                "/prompt_cache_hit_tokens",
                "/cache_read_input_tokens",
            ],
        ),
        reasoning: first(
            value,
            &[
                "/completion_tokens_details/reasoning_tokens",
                "/output_tokens_details/reasoning_tokens",
                "/reasoning_tokens",
            ],
        ),
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
        assert_eq!(usage(&openai), Usage { input: Some(9), output: Some(2), cached: Some(4), reasoning: Some(1) });
        let deepseek = json!({"prompt_tokens": 9.0, "prompt_cache_hit_tokens": 3, "completion_tokens": null});
        assert_eq!(usage(&deepseek), Usage { input: Some(9), cached: Some(3), ..Usage::default() });
        assert_eq!(usage(&json!("none")), Usage::default());
    }
}
