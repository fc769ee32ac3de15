//! What an endpoint refuses of a request, told by the words of its error, and what to do without.
//!
//! # Invariants
//! - A refusal is known by its shape and its words, never by the provider's name.
//! - Only what stands in the request that was sent can be its fault.

use serde_json::Value;

use super::encode::{Quirks, ReasoningEcho, SystemRole};
use super::error::{ErrorClass, ErrorReply};

/// One thing that an endpoint and model want otherwise than most; learnt from its errors, kept under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quirk {
    /// Without `stream_options` (older Azure versions, Mistral on Foundry, GLM).
    NoStreamOptions,
    /// `max_completion_tokens` for `max_tokens` (OpenAI's reasoning models).
    MaxCompletionTokens,
    /// `max_tokens` for `max_completion_tokens`.
    MaxTokens,
    NoTemperature,
    NoReasoningEffort,
    /// Tools, or an effort, but not both: `reasoning_effort` is `none` wherever tools are offered.
    NoEffortWithTools,
    NoStrict,
    NoParallelToolCalls,
    NoToolChoice,
    NoResponseFormat,
    /// Without `include: ["reasoning.encrypted_content"]` (Responses; models that do not reason).
    NoEncryptedReasoning,
    /// `""` as the content of a message that only calls (Cloudflare).
    EmptyContent,
    /// null as the content of a message that only calls.
    NullContent,
    /// The system prompt under this role.
    System,
    Developer,
    /// The system prompt before the first words of the user (chat templates without a system role).
    User,
    /// Call ids of nine letters and digits (Mistral, code 3280).
    NineCharIds,
    /// `reasoning_content` on every message of the model's (DeepSeek's thinking mode, Kimi).
    ReasoningContent,
    /// Without `reasoning_content` (the first deepseek-reasoner).
    NoReasoningContent,
    /// Calls of other models are marked as unsigned (Gemini).
    UnsignedCalls,
}

impl Quirk {
    const ALL: [Self; 20] = [
        Self::NoStreamOptions,
        Self::MaxCompletionTokens,
        Self::MaxTokens,
        Self::NoTemperature,
        Self::NoReasoningEffort,
        Self::NoEffortWithTools,
        Self::NoStrict,
        Self::NoParallelToolCalls,
        Self::NoToolChoice,
        Self::NoResponseFormat,
        Self::NoEncryptedReasoning,
        Self::EmptyContent,
        Self::NullContent,
        Self::System,
        Self::Developer,
        Self::User,
        Self::NineCharIds,
        Self::ReasoningContent,
        Self::NoReasoningContent,
        Self::UnsignedCalls,
    ];

    /// The key and the JSON value under which it is remembered. What excludes one another shares a key.
    #[must_use]
    pub fn entry(self) -> (&'static str, &'static str) {
        match self {
            Self::NoStreamOptions => ("stream_options", "false"),
            Self::MaxCompletionTokens => ("max_tokens", "\"max_completion_tokens\""),
            Self::MaxTokens => ("max_tokens", "\"max_tokens\""),
            Self::NoTemperature => ("temperature", "false"),
            Self::NoReasoningEffort => ("reasoning_effort", "false"),
            Self::NoEffortWithTools => ("reasoning_effort", "\"none with tools\""),
            Self::NoStrict => ("strict", "false"),
            Self::NoParallelToolCalls => ("parallel_tool_calls", "false"),
            Self::NoToolChoice => ("tool_choice", "false"),
            Self::NoResponseFormat => ("response_format", "false"),
            Self::NoEncryptedReasoning => ("include", "false"),
            Self::EmptyContent => ("content", "\"\""),
            Self::NullContent => ("content", "null"),
            Self::System => ("system_role", "\"system\""),
            Self::Developer => ("system_role", "\"developer\""),
            Self::User => ("system_role", "\"user\""),
            Self::NineCharIds => ("call_ids", "9"),
            Self::ReasoningContent => ("reasoning_content", "true"),
            Self::NoReasoningContent => ("reasoning_content", "false"),
            Self::UnsignedCalls => ("thought_signature", "\"skip\""),
        }
    }

    /// The quirk that was remembered; None for what is no quirk, or of another version's making.
    #[must_use]
    pub fn remembered(key: &str, value: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quirk| quirk.entry() == (key, value))
    }

    /// Does it from now on; false where that changes nothing.
    pub fn apply(self, quirks: &mut Quirks) -> bool {
        let before = quirks.clone();
        match self {
            Self::NoStreamOptions => quirks.include_usage = false,
            Self::MaxCompletionTokens => quirks.max_completion_tokens = true,
            Self::MaxTokens => quirks.max_completion_tokens = false,
            Self::NoTemperature => quirks.drop_temperature = true,
            Self::NoReasoningEffort => quirks.drop_reasoning_effort = true,
            Self::NoEffortWithTools => quirks.no_effort_with_tools = true,
            Self::NoStrict => quirks.drop_strict = true,
            Self::NoParallelToolCalls => quirks.drop_parallel_tool_calls = true,
            Self::NoToolChoice => quirks.drop_tool_choice = true,
            Self::NoResponseFormat => quirks.drop_response_format = true,
            Self::NoEncryptedReasoning => quirks.drop_include = true,
            Self::EmptyContent => quirks.content_empty_string = true,
            Self::NullContent => quirks.content_empty_string = false,
            Self::System => quirks.system_role = SystemRole::System,
            Self::Developer => quirks.system_role = SystemRole::Developer,
            Self::User => quirks.system_role = SystemRole::User,
            Self::NineCharIds => quirks.nine_char_ids = true,
            Self::ReasoningContent => quirks.reasoning = ReasoningEcho::Always,
            Self::NoReasoningContent => quirks.reasoning = ReasoningEcho::Never,
            Self::UnsignedCalls => quirks.unsigned_calls = true,
        }
        *quirks != before
    }

    /// What is known to be refused where this was learnt: it is not gone back to.
    #[must_use]
    pub fn instead_of(self) -> &'static [Self] {
        match self {
            Self::MaxCompletionTokens => &[Self::MaxTokens],
            Self::MaxTokens => &[Self::MaxCompletionTokens],
            Self::EmptyContent => &[Self::NullContent],
            Self::NullContent => &[Self::EmptyContent],
            Self::System => &[Self::Developer],
            Self::Developer => &[Self::System],
            Self::User => &[Self::System, Self::Developer],
            Self::ReasoningContent => &[Self::NoReasoningContent],
            Self::NoReasoningContent => &[Self::ReasoningContent],
            Self::NoStreamOptions
            | Self::NoTemperature
            | Self::NoReasoningEffort
            | Self::NoEffortWithTools
            | Self::NoStrict
            | Self::NoParallelToolCalls
            | Self::NoToolChoice
            | Self::NoResponseFormat
            | Self::NoEncryptedReasoning
            | Self::NineCharIds
            | Self::UnsignedCalls => &[],
        }
    }

    /// What a person is told, behind the endpoint's and model's names.
    #[must_use]
    pub fn told(self) -> &'static str {
        match self {
            Self::NoStreamOptions => "does not take stream_options; left out from now on, so usage may be missing",
            Self::MaxCompletionTokens => "wants max_completion_tokens instead of max_tokens; sent so from now on",
            Self::MaxTokens => "wants max_tokens instead of max_completion_tokens; sent so from now on",
            Self::NoTemperature => "does not take temperature; left out from now on",
            Self::NoReasoningEffort => "does not take reasoning_effort; left out from now on",
            Self::NoEffortWithTools => {
                "does not reason where tools are offered on this wire; reasoning_effort is none there from now on \
                 (--api responses has both)"
            }
            Self::NoStrict => "does not take strict; left out from now on",
            Self::NoParallelToolCalls => "does not take parallel_tool_calls; left out from now on",
            Self::NoToolChoice => "does not take this tool_choice; left out from now on",
            Self::NoResponseFormat => {
                "does not take response_format; left out from now on, so the answer may not follow the schema"
            }
            Self::NoEncryptedReasoning => "gives no encrypted reasoning; not asked for from now on",
            Self::EmptyContent => "does not take null as content; empty text is sent from now on",
            Self::NullContent => "does not take empty text as content; null is sent from now on",
            Self::System => "does not take the role developer; the system prompt has the role system from now on",
            Self::Developer => "does not take the role system; the system prompt has the role developer from now on",
            Self::User => "takes no system prompt; it stands before the user's first words from now on",
            Self::NineCharIds => "wants call ids of nine letters and digits; sent so from now on",
            Self::ReasoningContent => "wants reasoning_content on every answer of the history; sent so from now on",
            Self::NoReasoningContent => "does not take its reasoning back; left out from now on",
            Self::UnsignedCalls => {
                "wants signed calls; calls that other models made are marked as unsigned from now on"
            }
        }
    }
}

/// The request that was refused, as far as a refusal can be about it.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    pub quirks: &'a Quirks,
    /// The body.
    pub body: &'a [u8],
    /// The wire names of the offered tools, in their order.
    pub tools: &'a [String],
}

impl Sent<'_> {
    fn has(&self, key: &str) -> bool {
        let key = format!("\"{key}\":");
        self.body.windows(key.len()).any(|window| window == key.as_bytes())
    }

    fn holds(&self, text: &str) -> bool {
        self.body.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

impl ErrorReply {
    /// What the endpoint wants otherwise; `tried` was tried already and cannot be it.
    #[must_use]
    pub fn quirk(&self, sent: &Sent<'_>, tried: &dyn Fn(Quirk) -> bool) -> Option<Quirk> {
        if !self.of_the_request() {
            return None;
        }
        let message = self.error.message.to_ascii_lowercase();
        let at = self.at.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
        let refused = matches!(self.class, ErrorClass::Unsupported(_))
            || says(&[
                "unsupported",
                "unknown name",
                "unknown parameter",
                "unexpected",
                "extra inputs",
                "extra_forbidden",
                "unavailable",
                "not available",
                "not allowed",
                "unrecognized",
                "only supports",
                "only the default",
                "does not support",
                "not supported",
                "not permitted",
                "cannot be set",
                "must be null",
            ]);
        let open = |quirk: Quirk| (!tried(quirk)).then_some(quirk);
        if self.code() == "3280" || says(&["tool call id", "tool_call_id"]) && says(&["length of 9"]) {
            return open(Quirk::NineCharIds);
        }
        if says(&["reasoning_content"]) {
            // Its words are also those for an empty `content`, which it is not about.
            let banned = says(&["not be ", "not allowed", "not permitted", "not supported", "extra inputs", "unknown"]);
            let wanted = !banned && says(&["missing", "passed back", "required", "must be", "must have"]);
            let sent = sent.has("reasoning_content");
            let quirk = if wanted { Quirk::ReasoningContent } else { Quirk::NoReasoningContent };
            return (wanted || sent).then_some(quirk).and_then(open);
        }
        if says(&["thought_signature", "thought signature"]) && says(&["missing", "required"]) {
            return open(Quirk::UnsignedCalls);
        }
        if says(&["reasoning_effort to 'none'", "reasoning_effort to \"none\"", "reasoning_effort to `none`"]) {
            return open(Quirk::NoEffortWithTools);
        }
        if sent.has("include") && (says(&["encrypted content", "encrypted_content"]) || at.starts_with("include")) {
            return open(Quirk::NoEncryptedReasoning);
        }
        self.role(sent, &message, &at).into_iter().find(|quirk| !tried(*quirk)).or_else(|| {
            let quirk = content(sent, &message, &at).or_else(|| {
                let word = refused.then(|| parameter(&at).or_else(|| parameter(&message))).flatten()?;
                sent.has(word.0).then_some(word.1)
            })?;
            open(quirk)
        })
    }

    /// Which of the offered tools the error names: by its place in the list, or by its name.
    #[must_use]
    pub fn tool(&self, sent: &Sent<'_>) -> Option<usize> {
        if !self.of_the_request() || sent.tools.is_empty() {
            return None;
        }
        let message = &self.error.message;
        let place = place(&self.at).or_else(|| place(message)).filter(|place| *place < sent.tools.len());
        let lower = message.to_ascii_lowercase();
        let about = ["schema", "function", "parameters", "tool"].iter().any(|word| lower.contains(word));
        let named = || {
            let mut found: Vec<usize> = (0..sent.tools.len()).filter(|at| names(message, &sent.tools[*at])).collect();
            found.sort_by_key(|at| std::cmp::Reverse(sent.tools[*at].len()));
            found.first().copied().filter(|_| about)
        };
        // The one that there is, where the error speaks of schemas and names none (llama.cpp).
        let only = || (sent.tools.len() == 1 && lower.contains("schema")).then_some(0);
        named().or(place).or_else(only)
    }

    /// Whether it speaks of a tool's schema rather than of a parameter.
    #[must_use]
    pub fn names_schema(&self) -> bool {
        let message = self.error.message.to_ascii_lowercase();
        let about =
            ["schema", "function_declarations", "function.parameters"].iter().any(|word| message.contains(word));
        about && !message.contains("json_schema") || place(&self.at).is_some() || place(&message).is_some()
    }

    /// Faults of the request; llama.cpp and some gateways tell them as 5xx.
    fn of_the_request(&self) -> bool {
        let class = matches!(self.class, ErrorClass::Unsupported(_) | ErrorClass::Refused | ErrorClass::Server);
        class && matches!(self.status, 400 | 422 | 500 | 502)
    }

    fn code(&self) -> String {
        match &self.error.code {
            Some(Value::String(code)) => code.clone(),
            Some(code) => code.to_string(),
            None => String::new(),
        }
    }

    /// Other roles for the system prompt, the likelier first; empty where the error is about something else.
    fn role(&self, sent: &Sent<'_>, message: &str, at: &str) -> Vec<Quirk> {
        let role = sent.quirks.system_role;
        if role == SystemRole::User || !sent.holds(&format!("\"role\":\"{}\"", role.word())) {
            return Vec::new();
        }
        let none =
            ["system role not supported", "system role is not", "developer instruction is not", "system message"];
        if none.iter().any(|words| message.contains(words)) && !message.contains("beginning") {
            return vec![Quirk::User];
        }
        // Several roles may be listed behind it: the first one is the one that is refused.
        const ROLES: [&str; 6] = ["system", "developer", "assistant", "function", "tool", "user"];
        let first = ROLES.iter().filter_map(|role| Some((word_at(message, role)?, *role))).min();
        let about = at.contains("role") || message.contains("role");
        match (role, first) {
            (SystemRole::System, Some((_, "system"))) if about => vec![Quirk::Developer, Quirk::User],
            (SystemRole::Developer, Some((_, "developer"))) if about => vec![Quirk::System, Quirk::User],
            _ => Vec::new(),
        }
    }
}

/// null or `""` where a message only calls; each is refused somewhere.
fn content(sent: &Sent<'_>, message: &str, at: &str) -> Option<Quirk> {
    if !at.contains("content") && !message.contains("content") {
        return None;
    }
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if sent.holds("\"content\":null") {
        let words =
            ["null", "none", "must be a string", "valid string", "not in 'string'", "missing", "required", "empty"];
        return says(&words).then_some(Quirk::EmptyContent);
    }
    let empty = sent.quirks.content_empty_string && sent.holds("\"content\":\"\"");
    (empty && says(&["empty", "blank", "null", "at least 1"])).then_some(Quirk::NullContent)
}

/// The parameter that a text speaks of first: its key in the body, and what to do without it.
fn parameter(text: &str) -> Option<(&'static str, Quirk)> {
    const KNOWN: [(&str, &str, Quirk); 12] = [
        ("stream_options", "stream_options", Quirk::NoStreamOptions),
        ("include_usage", "stream_options", Quirk::NoStreamOptions),
        ("max_tokens", "max_tokens", Quirk::MaxCompletionTokens),
        ("max_completion_tokens", "max_completion_tokens", Quirk::MaxTokens),
        ("temperature", "temperature", Quirk::NoTemperature),
        ("reasoning_effort", "reasoning_effort", Quirk::NoReasoningEffort),
        ("reasoning.effort", "reasoning", Quirk::NoReasoningEffort),
        ("strict", "strict", Quirk::NoStrict),
        ("parallel_tool_calls", "parallel_tool_calls", Quirk::NoParallelToolCalls),
        ("tool_choice", "tool_choice", Quirk::NoToolChoice),
        ("response_format", "response_format", Quirk::NoResponseFormat),
        ("text.format", "text", Quirk::NoResponseFormat),
    ];
    let found = KNOWN.iter().filter_map(|(word, key, quirk)| Some((word_at(text, word)?, (*key, *quirk))));
    found.min_by_key(|(at, _)| *at).map(|(_, found)| found)
}

/// Where a word stands by itself.
fn word_at(text: &str, word: &str) -> Option<usize> {
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word).map(|(at, _)| at).find(|at| {
        let (before, after) = (text[..*at].chars().next_back(), text[at + word.len()..].chars().next());
        !joins(before) && !joins(after)
    })
}

/// Whether a text names a tool: by itself, not as a part of another name.
fn names(text: &str, tool: &str) -> bool {
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    text.match_indices(tool).any(|(at, _)| {
        let (before, after) = (text[..at].chars().next_back(), text[at + tool.len()..].chars().next());
        // A name that is a word of the language counts only where it is marked as a name.
        let marked = before.is_some_and(|c| matches!(c, '\'' | '"' | '`')) || tool.contains(['_', '-']);
        marked && !joins(before) && !joins(after)
    })
}

/// `tools[3]`, `tools.3`, `tools/3`; Gemini's `function_declarations[3]`, which stands inside its one `tools[0]`.
fn place(text: &str) -> Option<usize> {
    ["function_declarations", "tools"].iter().find_map(|word| {
        text.match_indices(word).find_map(|(at, _)| {
            let rest = text[at + word.len()..].trim_start_matches(['[', '.', '/', '\'', '"', ',', ' ']);
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            rest[..digits].parse().ok()
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::error_reply;

    fn tools() -> Vec<String> {
        ["fs__list", "fs__read", "search"].map(str::to_owned).to_vec()
    }

    /// All that can be refused, in one body.
    fn everything(quirks: &Quirks) -> Vec<u8> {
        let content = if quirks.content_empty_string { json!("") } else { json!(null) };
        json!({"messages": [{"role": quirks.system_role.word(), "content": "s"}, {"role": "assistant", "content": content}],
            "stream_options": {}, "max_tokens": 1, "max_completion_tokens": 1, "temperature": 1, "reasoning_effort": "low",
            "reasoning": {}, "strict": true, "parallel_tool_calls": true, "tool_choice": "auto", "response_format": {},
            "text": {}, "include": []})
        .to_string()
        .into_bytes()
    }

    fn quirk_of(status: u16, body: &str, quirks: &Quirks) -> Option<Quirk> {
        let (tools, sent) = (tools(), everything(quirks));
        let sent = Sent { quirks, body: &sent, tools: &tools };
        error_reply(status, Some("application/json"), body.as_bytes()).quirk(&sent, &|_| false)
    }

    #[track_caller]
    fn check(status: u16, body: &str, expect: Quirk) {
        assert_eq!(quirk_of(status, body, &Quirks::default()), Some(expect), "{body}");
    }

    #[test]
    fn what_endpoints_say_is_understood() {
        check(
            400,
            r#"{"error":{"code":null,"message":"Unrecognized request argument supplied: stream_options","param":null,"type":"invalid_request_error"}}"#,
            Quirk::NoStreamOptions,
        );
        check(
            422,
            r#"{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted","input":{"include_usage":true}}]}"#,
            Quirk::NoStreamOptions,
        );
        check(
            400,
            r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#,
            Quirk::MaxCompletionTokens,
        );
        check(
            422,
            r#"{"detail":[{"type":"extra_forbidden","loc":["body","max_completion_tokens"],"msg":"Extra inputs are not permitted"}]}"#,
            Quirk::MaxTokens,
        );
        check(
            400,
            r#"{"error":{"message":"Unsupported value: 'temperature' does not support 0.16 with this model. Only the default (1) value is supported.","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}}"#,
            Quirk::NoTemperature,
        );
        check(
            400,
            r#"{"error":{"message":"Function tools with reasoning_effort are not supported for gpt-5.6-luna in /v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort to 'none'.","type":"invalid_request_error","param":"reasoning_effort"}}"#,
            Quirk::NoEffortWithTools,
        );
        check(
            400,
            r#"{"error":{"message":"Unsupported parameter: 'reasoning.effort' is not supported with this model.","param":"reasoning.effort","code":"unsupported_parameter"}}"#,
            Quirk::NoReasoningEffort,
        );
        check(
            400,
            r#"{"error":{"message":"tools[1].function.strict: Extra inputs are not permitted","param":"tools.1.function.strict"}}"#,
            Quirk::NoStrict,
        );
        check(
            400,
            r#"{"error":{"message":"parallel_tool_calls is not supported by this model"}}"#,
            Quirk::NoParallelToolCalls,
        );
        check(
            400,
            r#"{"error":{"message":"Thinking mode does not support this tool_choice","type":"invalid_request_error"}}"#,
            Quirk::NoToolChoice,
        );
        check(
            400,
            r#"{"error":{"message":"This response_format type is unavailable now","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#,
            Quirk::NoResponseFormat,
        );
        check(
            400,
            r#"{"error":{"message":"Encrypted content is not supported with this model.","type":"invalid_request_error","param":"include","code":null}}"#,
            Quirk::NoEncryptedReasoning,
        );
        check(
            400,
            r#"{"errors":[{"message":"AiError: Bad input: Error: Type mismatch of '/messages/1/content', 'null' not in 'string'","code":5006}],"success":false}"#,
            Quirk::EmptyContent,
        );
        check(
            400,
            r#"{"object":"error","message":"Tool call id was call_abc123 but must be a-z, A-Z, 0-9, with a length of 9.","type":"invalid_request_error","code":"3280","raw_status_code":400}"#,
            Quirk::NineCharIds,
        );
        check(
            400,
            r#"{"error":{"message":"Unsupported value: 'messages[0].role' does not support 'system' with this model.","param":"messages[0].role","code":"unsupported_value"}}"#,
            Quirk::Developer,
        );
        check(
            500,
            r#"{"error":{"code":500,"message":"System role not supported at row 1","type":"server_error"}}"#,
            Quirk::User,
        );
        check(
            400,
            r#"[{"error":{"code":400,"message":"Developer instruction is not enabled for models/gemma-3-27b-it","status":"INVALID_ARGUMENT"}}]"#,
            Quirk::User,
        );
    }

    #[test]
    fn the_other_way_round() {
        let developer = Quirks { system_role: SystemRole::Developer, content_empty_string: true, ..Quirks::default() };
        for (body, expect) in [
            (
                r#"{"error":{"message":"Failed to deserialize the JSON body into the target type: messages[0].role: unknown variant `developer`, expected one of `system`, `user`, `assistant`, `tool` at line 1 column 59","type":"invalid_request_error"}}"#,
                Quirk::System,
            ),
            (
                r#"{"error":{"message":"'developer' is not one of ['system', 'assistant', 'user', 'tool', 'function'] - 'messages.0.role'","type":"invalid_request_error"}}"#,
                Quirk::System,
            ),
            (r#"{"error":{"message":"messages[1].content must not be empty"}}"#, Quirk::NullContent),
        ] {
            assert_eq!(quirk_of(400, body, &developer), Some(expect), "{body}");
        }
    }

    #[test]
    fn what_is_no_refusal_of_a_parameter_is_left_alone() {
        for (status, body) in [
            (401, r#"{"error":{"message":"temperature is not supported","code":"invalid_api_key"}}"#),
            (429, r#"{"error":{"message":"stream_options not supported"}}"#),
            (400, r#"{"error":{"message":"Number of request tokens exceeds the maximum context length"}}"#),
            (
                400,
                r#"{"error":{"message":"messages with role 'tool' must follow a message with tool_calls","param":"messages.[3].role"}}"#,
            ),
            (400, r#"{"error":{"message":"the restrictions on this account are strictly enforced"}}"#),
            (503, r#"{"error":{"message":"temperature is not supported"}}"#),
        ] {
            assert_eq!(quirk_of(status, body, &Quirks::default()), None, "{body}");
        }
        // It was not sent, so leaving it out changes nothing.
        let (quirks, tools) = (Quirks::default(), tools());
        let reply = error_reply(400, None, br#"{"error":{"message":"temperature is not supported"}}"#);
        assert_eq!(reply.quirk(&Sent { quirks: &quirks, body: b"{}", tools: &tools }, &|_| false), None);
    }

    #[test]
    fn a_tool_is_named_by_its_place_or_its_name() {
        let (quirks, tools) = (Quirks::default(), tools());
        let sent = Sent { quirks: &quirks, body: b"{}", tools: &tools };
        for (body, expect) in [
            (
                r#"{"error":{"message":"Invalid schema for function 'fs__read': In context=(), object schema missing properties.","type":"invalid_request_error","param":"tools[1].function.parameters","code":"invalid_function_parameters"}}"#,
                Some(1),
            ),
            (
                r#"{"error":{"type":"invalid_request_error","message":"tools.2.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level"}}"#,
                Some(2),
            ),
            (
                r#"[{"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \"const\" at 'tools[0].function_declarations[1].parameters.properties[0].value': Cannot find field.","status":"INVALID_ARGUMENT"}}]"#,
                Some(1),
            ),
            (
                r#"{"detail":[{"type":"dict_type","loc":["body","tools",0,"function","parameters"],"msg":"Input should be a valid dictionary"}]}"#,
                Some(0),
            ),
            (r#"{"error":{"message":"Invalid 'tools[9].function.name'","param":"tools[9].function.name"}}"#, None),
            (r#"{"error":{"message":"please search the documentation for function calling"}}"#, None),
        ] {
            assert_eq!(error_reply(400, None, body.as_bytes()).tool(&sent), expect, "{body}");
        }
        let one = [tools[0].clone()];
        let only = error_reply(
            500,
            None,
            br#"{"error":{"code":500,"message":"JSON schema conversion failed: Unrecognized schema: true"}}"#,
        );
        assert_eq!(only.tool(&Sent { tools: &one, ..sent }), Some(0));
    }

    #[test]
    fn reasoning_that_is_wanted_back_or_not_and_unsigned_calls() {
        let body = r#"{"messages":[{"role":"assistant","content":null,"reasoning_content":"x","tool_calls":[]}]}"#;
        let quirks = Quirks::default();
        let sent = Sent { quirks: &quirks, body: body.as_bytes(), tools: &[] };
        for (told, expect) in [
            ("Missing `reasoning_content` field in the assistant message at message index 4.", Quirk::ReasoningContent),
            ("The `reasoning_content` in the thinking mode must be passed back to the API.", Quirk::ReasoningContent),
            (
                "thinking is enabled but reasoning_content is missing in assistant tool call message at index 2",
                Quirk::ReasoningContent,
            ),
            ("reasoning_content must not be sent in messages", Quirk::NoReasoningContent),
            ("messages.1.assistant.reasoning_content: Extra inputs are not permitted", Quirk::NoReasoningContent),
            ("Invalid field reasoning_content", Quirk::NoReasoningContent),
            ("Function call is missing a thought_signature in functionCall parts.", Quirk::UnsignedCalls),
        ] {
            let body = json!({"error": {"message": told, "type": "invalid_request_error"}}).to_string();
            let reply = error_reply(400, None, body.as_bytes());
            assert_eq!(reply.quirk(&sent, &|_| false), Some(expect), "{told}");
            assert_eq!(reply.quirk(&sent, &|quirk| quirk == expect), None, "{told}");
        }
    }

    #[test]
    fn what_is_remembered_is_read_back() {
        for quirk in Quirk::ALL {
            let (key, value) = quirk.entry();
            assert_eq!(Quirk::remembered(key, value), Some(quirk));
            assert!(serde_json::from_str::<Value>(value).is_ok());
        }
        assert_eq!(Quirk::remembered("late_data", "true"), None);
    }
}
