//! A conversation that does not fit: every wording that is known, and how many tokens it is about.
//!
//! # Invariants
//! - A wording is known by its words, never by the provider's name.
//! - A number is told only where the words beside it say what it counts.

use serde_json::Value;

use crate::chat::WireError;

/// What an endpoint told of a conversation that is too long; None where it did not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overflow {
    /// Tokens that were sent, with those that were asked for where the endpoint adds them.
    pub used: Option<u64>,
    /// Tokens that fit.
    pub window: Option<u64>,
    /// How many are too many, where the endpoint tells the difference alone.
    over: Option<u64>,
}

impl Overflow {
    /// How many tokens are too many.
    #[must_use]
    pub fn excess(&self) -> Option<u64> {
        self.over.or_else(|| self.used?.checked_sub(self.window?).filter(|over| *over > 0))
    }
}

/// Words in an error's code or type.
const CODES: [&str; 6] = [
    "context_length",
    "exceed_context_size",
    "context_window",
    "contextwindow",
    "max_prompt_tokens_exceeded",
    "string_above_max_length",
];

/// Words of messages, in lower case, by who writes so (among others).
const SAYINGS: [&str; 26] = [
    // OpenAI, Azure, vLLM, DeepSeek, OpenRouter, Mistral.
    "maximum context length",
    "context length",
    // llama.cpp.
    "context size",
    // OpenAI's Responses, MiniMax.
    "context window",
    "maximum context",
    // Anthropic, Fireworks.
    "prompt is too long",
    "prompt too long",
    "context limit",
    // Gemini.
    "input token count",
    // Cohere.
    "too many tokens",
    // Bedrock.
    "input is too long",
    // Groq, Cerebras.
    "reduce the length of the messages",
    // xAI.
    "maximum prompt length",
    // Together, TGI.
    "`inputs` tokens + `max_new_tokens` must be",
    "`inputs` must have less than",
    // Moonshot.
    "exceeded model token limit",
    // Z.ai.
    "exceeds max length",
    "prompt 超长",
    // Copilot.
    "prompt token count of",
    // vLLM, of the engine.
    "maximum model length",
    // LM Studio.
    "tokens to keep from the initial prompt",
    "cannot truncate prompt",
    // Groq and OpenAI, where one request is more than a minute allows: asked again, it is refused again.
    "request too large for",
    // Mistral.
    "too large for model",
    // SGLang.
    "is longer than the model's",
    // LiteLLM, of any of them.
    "contextwindowexceeded",
];

/// What stands directly before the number of tokens that fit.
const WINDOWS: [&str; 25] = [
    "maximum context length is ",
    "maximum context length of ",
    "maximum context length: ",
    "model's context length (",
    "context length of only ",
    "context length of ",
    "context size (",
    "context size of ",
    "context window of ",
    "maximum number of tokens allowed (",
    "maximum number of tokens allowed ",
    "maximum prompt length is ",
    "maximum model length of ",
    "must be <= ",
    "must have less than ",
    "token limit: ",
    "cannot exceed ",
    "exceeds the limit of ",
    "while limit is ",
    "(tpm): limit ",
    "n_ctx (",
    "n_ctx: ",
    "with ",
    "> ",
    ">= ",
];

/// What stands directly before the number of tokens that were sent.
const USED: [&str; 22] = [
    "resulted in ",
    "requested a total of ",
    "requested about ",
    "requested: ",
    "you requested ",
    "requested ",
    "prompt is too long: ",
    "input token count (",
    "prompt token count of ",
    "prompt contains ",
    "request contains ",
    "request has ",
    "current length is ",
    "request (",
    "the input (",
    "prompt (length ",
    "received ",
    "given: ",
    "keep the first ",
    "n_keep (",
    "prompt has ",
    "input is ",
];

/// What an error says of a conversation that is too long; None where it is about something else. `words` are its code
/// and its type.
pub(super) fn overflow(words: [&str; 2], error: &WireError, body: Option<&Value>) -> Option<Overflow> {
    let message = error.message.to_ascii_lowercase();
    let coded = words.iter().any(|word| CODES.iter().any(|code| word.contains(code)));
    if !coded && !SAYINGS.iter().any(|saying| message.contains(saying)) {
        return None;
    }
    // llama.cpp tells both as numbers.
    let number = |key: &str| body?.pointer(&format!("/error/{key}")).or_else(|| body?.get(key))?.as_u64();
    let (sum, limit) = summed(&message).unzip();
    Some(Overflow {
        used: number("n_prompt_tokens").or(sum).or_else(|| USED.iter().find_map(|before| after(&message, before))),
        window: number("n_ctx").or(limit).or_else(|| WINDOWS.iter().find_map(|before| after(&message, before))),
        over: after(&message, "context length by ").or_else(|| after(&message, "exceeded by ")),
    })
}

/// Anthropic's sum of what is sent and what is asked for: `188240 + 21333 > 200000`.
fn summed(message: &str) -> Option<(u64, u64)> {
    let sum = message.split("context limit: ").nth(1)?;
    let (sent, rest) = sum.split_once(" + ")?;
    let (asked, limit) = rest.split_once(" > ")?;
    Some((leading(sent)?.checked_add(leading(asked)?)?, leading(limit)?))
}

/// The number that stands directly behind these words, at any of their places.
fn after(message: &str, words: &str) -> Option<u64> {
    message.match_indices(words).find_map(|(at, _)| leading(message.get(at + words.len()..)?))
}

/// The number at the beginning, with or without commas between its digits.
fn leading(text: &str) -> Option<u64> {
    let text = text.trim_start_matches(['`', '"', '(', ' ']);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != ',').unwrap_or(text.len());
    let digits: String = text[..end].chars().filter(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|n| *n > 0)
}

#[cfg(test)]
mod tests {
    use crate::wire::{ErrorClass, error_reply};

    /// Each wording as its endpoint sends it: status, body, tokens sent, tokens that fit, tokens too many.
    #[test]
    fn every_wording_is_known_and_its_numbers_are_read() {
        let openai = r#"{"error":{"message":"This model's maximum context length is 128000 tokens. However, your messages resulted in 130210 tokens (129000 in the messages, 1210 in the functions). Please reduce the length of the messages or functions.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;
        let responses = r#"{"error":{"message":"Your input exceeds the context window of this model. Please adjust your input and try again.","type":"invalid_request_error","param":"input","code":"context_length_exceeded"}}"#;
        let llama = r#"{"error":{"code":400,"message":"the request exceeds the available context size. try increasing the context size or enable context shift","type":"exceed_context_size_error","n_prompt_tokens":9000,"n_ctx":4096}}"#;
        let llama_newer = r#"{"error":{"code":400,"message":"request (9000 tokens) exceeds the available context size (4096 tokens), try increasing it","type":"exceed_context_size_error"}}"#;
        let anthropic = r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 208310 tokens > 200000 maximum"}}"#;
        let anthropic_sum = r#"{"error":{"type":"invalid_request_error","message":"input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length or `max_tokens` and try again"}}"#;
        let gemini = r#"[{"error":{"code":400,"message":"The input token count (1200001) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}]"#;
        let gemini_older = r#"[{"error":{"code":400,"message":"The input token count exceeds the maximum number of tokens allowed 1048576.","status":"INVALID_ARGUMENT"}}]"#;
        let vllm = r#"{"object":"error","message":"This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the messages, 1000 in the completion). Please reduce the length of the messages or completion.","type":"BadRequestError","param":null,"code":400}"#;
        let vllm_newer = r#"{"error":{"message":"'max_tokens' or 'max_completion_tokens' is too large: 2000. This model's maximum context length is 4096 tokens and your request has 3000 input tokens (2000 > 4096 - 3000).","type":"BadRequestError","code":400}}"#;
        let vllm_engine = r#"{"error":{"message":"The decoder prompt (length 9000) is longer than the maximum model length of 4096. Make sure that `max_model_len` is no smaller than the number of text tokens.","type":"BadRequestError","code":400}}"#;
        let sglang = r#"{"object":"error","message":"The input (9000 tokens) is longer than the model's context length (4096 tokens).","type":"BadRequestError","code":400}"#;
        let mistral = r#"{"object":"error","message":"Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length","type":"invalid_request_prompt","param":null,"code":"3051"}"#;
        let groq = r#"{"error":{"message":"Please reduce the length of the messages or completion.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;
        let groq_minute = r#"{"error":{"message":"Request too large for model `llama-3.3-70b-versatile` in organization `org_1` service tier `on_demand` on tokens per minute (TPM): Limit 12000, Requested 20534, please reduce your message size and try again.","type":"tokens","code":"rate_limit_exceeded"}}"#;
        let openai_minute = r#"{"error":{"message":"Request too large for gpt-4o in organization org-1 on tokens per min (TPM): Limit 30000, Requested 45000. The input or output tokens must be reduced in order to run successfully.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#;
        let deepseek = r#"{"error":{"message":"This model's maximum context length is 65536 tokens. However, you requested 70000 tokens (69000 in the messages, 1000 in the completion). Please reduce the length of the messages or completion.","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#;
        let ollama = r#"{"error":{"message":"prompt too long; exceeded max context length by 1234 tokens","type":"api_error","param":null,"code":null}}"#;
        let ollama_runner = r#"{"error":{"message":"the input length exceeds the context length","type":"api_error"}}"#;
        let studio = r#"{"error":"Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough. Try to load the model with a larger context length, or provide a shorter input"}"#;
        let studio_keep = r#"{"error":{"message":"Cannot truncate prompt with n_keep (5000) >= n_ctx (4096)"}}"#;
        let xai = r#"{"code":"Client specified an invalid argument","error":"This model's maximum prompt length is 131072 but the request contains 200000 tokens."}"#;
        let together = r#"{"error":{"message":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. Given: 5000 `inputs` tokens and 512 `max_new_tokens`","type":"invalid_request_error"}}"#;
        let fireworks = r#"{"error":{"object":"error","type":"invalid_request_error","message":"The prompt is too long: 140000, model maximum context length: 131071"}}"#;
        let moonshot = r#"{"error":{"message":"Invalid request: Your request exceeded model token limit: 8192 (requested: 9000)","type":"invalid_request_error"}}"#;
        let cohere = r#"{"message":"too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000. Try using a shorter prompt.","code":"invalid"}"#;
        let zai = r#"{"error":{"code":"1261","message":"Prompt exceeds max length"}}"#;
        let minimax = r#"{"type":"error","error":{"type":"bad_request_error","message":"invalid params, context window exceeds limit (2013)"}}"#;
        let openrouter = r#"{"error":{"message":"This endpoint's maximum context length is 131072 tokens. However, you requested about 200000 tokens (199000 of text input, 1000 in the output). Please reduce the length of either one, or use the \"middle-out\" transform.","code":400},"user_id":"u"}"#;
        let copilot = r#"{"error":{"message":"prompt token count of 132,000 exceeds the limit of 128,000","code":"model_max_prompt_tokens_exceeded"}}"#;
        let cerebras = r#"{"message":"Please reduce the length of the messages or completion. Current length is 9000 while limit is 8192","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}"#;
        let litellm = r#"{"error":{"message":"litellm.ContextWindowExceededError: litellm.BadRequestError: OpenAIException - too long","type":null,"code":"400"}}"#;
        for (status, body, told) in [
            (400, openai, (Some(130_210), Some(128_000), Some(2_210))),
            (400, responses, (None, None, None)),
            (400, llama, (Some(9_000), Some(4_096), Some(4_904))),
            (400, llama_newer, (Some(9_000), Some(4_096), Some(4_904))),
            (400, anthropic, (Some(208_310), Some(200_000), Some(8_310))),
            (400, anthropic_sum, (Some(209_573), Some(200_000), Some(9_573))),
            (400, gemini, (Some(1_200_001), Some(1_048_576), Some(151_425))),
            (400, gemini_older, (None, Some(1_048_576), None)),
            (400, vllm, (Some(5_000), Some(4_096), Some(904))),
            (400, vllm_newer, (Some(3_000), Some(4_096), None)),
            (400, vllm_engine, (Some(9_000), Some(4_096), Some(4_904))),
            (400, sglang, (Some(9_000), Some(4_096), Some(4_904))),
            (400, mistral, (Some(40_000), Some(32_768), Some(7_232))),
            (400, groq, (None, None, None)),
            (413, groq_minute, (Some(20_534), Some(12_000), Some(8_534))),
            (429, openai_minute, (Some(45_000), Some(30_000), Some(15_000))),
            (400, deepseek, (Some(70_000), Some(65_536), Some(4_464))),
            (400, ollama, (None, None, Some(1_234))),
            (400, ollama_runner, (None, None, None)),
            (400, studio, (Some(5_000), Some(4_096), Some(904))),
            (400, studio_keep, (Some(5_000), Some(4_096), Some(904))),
            (400, xai, (Some(200_000), Some(131_072), Some(68_928))),
            (422, together, (Some(5_000), Some(4_097), Some(903))),
            (400, fireworks, (Some(140_000), Some(131_071), Some(8_929))),
            (400, moonshot, (Some(9_000), Some(8_192), Some(808))),
            (400, cohere, (Some(5_000), Some(4_081), Some(919))),
            (400, zai, (None, None, None)),
            (400, minimax, (None, None, None)),
            (400, openrouter, (Some(200_000), Some(131_072), Some(68_928))),
            (400, copilot, (Some(132_000), Some(128_000), Some(4_000))),
            (400, cerebras, (Some(9_000), Some(8_192), Some(808))),
            (400, litellm, (None, None, None)),
        ] {
            let reply = error_reply(status, Some("application/json"), body.as_bytes());
            let ErrorClass::Context(over) = reply.class else { panic!("{:?}: {body}", reply.class) };
            assert_eq!((over.used, over.window, over.excess()), told, "{body}");
        }
    }

    #[test]
    fn what_only_sounds_like_it_is_something_else() {
        for (status, body) in [
            (
                429,
                r#"{"error":{"message":"Rate limit reached for gpt-4o: Limit 30000, Used 29000, Requested 2000.","code":"rate_limit_exceeded"}}"#,
            ),
            (
                400,
                r#"{"error":{"message":"max_tokens is too large: 9000. This model supports at most 4096 completion tokens.","code":"invalid_value"}}"#,
            ),
            (401, r#"{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}"#),
            (
                400,
                r#"{"error":{"message":"Invalid 'tools[0].function.name': string too long","code":"invalid_value"}}"#,
            ),
        ] {
            let reply = error_reply(status, Some("application/json"), body.as_bytes());
            assert!(!matches!(reply.class, ErrorClass::Context(_)), "{:?}: {body}", reply.class);
        }
    }
}
