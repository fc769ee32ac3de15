//! Requests as bodies, and messages in Chat Completions form.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{REASONING_ITEMS, REASONING_MARKER, images, responses};
use crate::chat::{
    Answer, Api, Body, CallId, Lacks, Message, Part, Request, Sampling, ToolCall, ToolChoice, ToolMessage, ToolOutcome,
};

/// What an endpoint wants otherwise, as configured or learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// The endpoint's origin (scheme, host, port). Extra fields go back only to where they came from.
    pub origin: String,
    /// Ask for a usage chunk with `stream_options`.
    pub include_usage: bool,
    /// `max_completion_tokens` instead of `max_tokens` (OpenAI's reasoning models).
    pub max_completion_tokens: bool,
    /// `""` instead of null as the content of a message that only calls (Cloudflare).
    pub content_empty_string: bool,
    pub system_role: SystemRole,
    pub drop_temperature: bool,
    pub drop_reasoning_effort: bool,
    /// `reasoning_effort` is `none` wherever tools are offered (some of OpenAI's models on this wire).
    pub no_effort_with_tools: bool,
    pub drop_strict: bool,
    pub drop_parallel_tool_calls: bool,
    /// Do not ask for encrypted reasoning (Responses).
    pub drop_include: bool,
    pub drop_tool_choice: bool,
    pub drop_response_format: bool,
    /// Call ids of nine letters and digits (Mistral).
    pub nine_char_ids: bool,
    pub reasoning: ReasoningEcho,
    /// A calling message without a signature says so with [`UNSIGNED`] (Gemini).
    pub unsigned_calls: bool,
    /// The model sees images: those of this turn's results follow their round in a user's message.
    pub vision: bool,
}

/// Whether an answer's `reasoning_content` goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReasoningEcho {
    /// Of messages that call, to where it came from (DeepSeek, Kimi, xAI).
    #[default]
    Own,
    /// On every message of the model's, blank where there is none: also of answers that came from elsewhere (DeepSeek's
    /// thinking mode and Kimi refuse a history without).
    Always,
    /// Refused (the first deepseek-reasoner).
    Never,
}

/// What Gemini documents as the signature of a call that another model made.
const UNSIGNED: &str = "skip_thought_signature_validator";

/// Under which role the system prompt goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SystemRole {
    #[default]
    System,
    /// OpenAI's reasoning models.
    Developer,
    /// Before the user's first words: chat templates that know no system prompt.
    User,
}

impl SystemRole {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
        }
    }
}

impl Quirks {
    /// Whether an answer came from this endpoint.
    pub(super) fn is_home(&self, origin: &str) -> bool {
        !self.origin.is_empty() && self.origin == origin
    }
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            origin: String::new(),
            include_usage: true,
            max_completion_tokens: false,
            content_empty_string: false,
            system_role: SystemRole::System,
            drop_temperature: false,
            drop_reasoning_effort: false,
            no_effort_with_tools: false,
            drop_strict: false,
            drop_parallel_tool_calls: false,
            drop_include: false,
            drop_tool_choice: false,
            drop_response_format: false,
            nine_char_ids: false,
            reasoning: ReasoningEcho::Own,
            unsigned_calls: false,
            vision: false,
        }
    }
}

/// What stands in for an outcome that was never recorded: every call must have one on the wire.
pub(super) const NO_OUTCOME: &str = "error: no result was recorded for this call; it may have run";

/// The body of a streamed request. The bytes of `ToolList::json` stand in it unchanged.
#[must_use]
pub fn encode(api: Api, request: &Request, quirks: &Quirks) -> Vec<u8> {
    match api {
        Api::Chat => chat(request, quirks),
        Api::Responses => responses::encode(request, quirks),
    }
}

fn chat(request: &Request, quirks: &Quirks) -> Vec<u8> {
    let mut body = Map::new();
    body.insert("model".into(), request.model.clone().into());
    let mut messages = Vec::with_capacity(request.messages.len() + 1);
    if let Some(system) = request.system.as_ref().filter(|system| !system.is_empty()) {
        messages.push(json!({"role": quirks.system_role.word(), "content": system}));
    }
    let view = View { quirks: Some(quirks), lacks: request.lacks };
    view.messages(&request.messages, &mut messages);
    if quirks.system_role == SystemRole::User {
        join_first(&mut messages);
    }
    body.insert("messages".into(), messages.into());
    body.insert("stream".into(), true.into());
    if quirks.include_usage {
        body.insert("stream_options".into(), json!({"include_usage": true}));
    }
    sampling(&request.sampling, quirks, &mut body);
    if request.tools.is_some() && !quirks.drop_tool_choice {
        let choice = match &request.tool_choice {
            ToolChoice::Auto => None,
            ToolChoice::None => Some("none".into()),
            ToolChoice::Required => Some("required".into()),
            ToolChoice::Named(name) => Some(json!({"type": "function", "function": {"name": name}})),
        };
        body.extend(choice.map(|choice| ("tool_choice".to_owned(), choice)));
    }
    if quirks.no_effort_with_tools && request.tools.is_some() {
        body.insert("reasoning_effort".into(), "none".into());
    }
    own_params(&request.sampling, quirks, &mut body);
    with_tools(body, request.tools.as_ref().map(|tools| tools.json.as_str()))
}

/// The user's own fields, but for those that this endpoint refuses.
pub(super) fn own_params(sampling: &Sampling, quirks: &Quirks, body: &mut Map<String, Value>) {
    let refused = |key: &str| match key {
        "stream_options" => !quirks.include_usage,
        "temperature" => quirks.drop_temperature,
        "reasoning_effort" => quirks.drop_reasoning_effort,
        "parallel_tool_calls" => quirks.drop_parallel_tool_calls,
        "tool_choice" => quirks.drop_tool_choice,
        "response_format" => quirks.drop_response_format,
        "include" => quirks.drop_include,
        _ => false,
    };
    for (key, value) in sampling.params.iter().filter(|(key, _)| !refused(key)) {
        let key = match key.as_str() {
            "max_tokens" if quirks.max_completion_tokens => "max_completion_tokens",
            key => key,
        };
        body.insert(key.to_owned(), value.clone());
    }
    if quirks.drop_strict {
        body.values_mut().for_each(without_strict);
    }
}

/// Takes `strict` out of a format or a list of tools, at the two depths where it may stand.
fn without_strict(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(without_strict),
        Value::Object(map) => {
            map.shift_remove("strict");
            for key in ["function", "json_schema", "format"] {
                if let Some(Value::Object(inner)) = map.get_mut(key) {
                    inner.shift_remove("strict");
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Joins the system prompt, first and under the user's role, with the user's message behind it: templates without a
/// system role want the roles to alternate.
fn join_first(messages: &mut Vec<Value>) {
    let user = |message: &Value| message.get("role").and_then(Value::as_str) == Some("user");
    if messages.len() < 2 || !user(&messages[0]) || !user(&messages[1]) {
        return;
    }
    let system = messages.remove(0)["content"].take();
    let system = system.as_str().unwrap_or_default();
    match messages[0].get_mut("content") {
        Some(Value::String(text)) => text.insert_str(0, &format!("{system}\n\n")),
        Some(Value::Array(parts)) => parts.insert(0, json!({"type": "text", "text": system})),
        _ => {}
    }
}

/// Prints a body, with the tool list spliced in: what was hashed is what is sent. A `tools` of the user's own
/// parameters stands instead.
pub(super) fn with_tools(body: Map<String, Value>, tools: Option<&str>) -> Vec<u8> {
    let own = body.contains_key("tools");
    let mut bytes = Value::Object(body).to_string().into_bytes();
    if let Some(tools) = tools.filter(|_| !own) {
        // The body has at least one field before it.
        bytes.pop();
        bytes.extend_from_slice(b",\"tools\":");
        bytes.extend_from_slice(tools.as_bytes());
        bytes.push(b'}');
    }
    bytes
}

fn sampling(sampling: &Sampling, quirks: &Quirks, body: &mut Map<String, Value>) {
    if let Some(temperature) = sampling.temperature.filter(|_| !quirks.drop_temperature) {
        body.insert("temperature".into(), temperature.into());
    }
    if let Some(tokens) = sampling.max_output_tokens {
        let key = if quirks.max_completion_tokens { "max_completion_tokens" } else { "max_tokens" };
        body.insert(key.into(), tokens.into());
    }
    if let Some(effort) = sampling.reasoning_effort.as_ref().filter(|_| !quirks.drop_reasoning_effort) {
        body.insert("reasoning_effort".into(), effort.clone().into());
    }
    if let Some(schema) = sampling.schema.as_ref().filter(|_| !quirks.drop_response_format) {
        let format = json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}});
        body.insert("response_format".into(), format);
    }
}

/// Messages in Chat Completions form, as a list: `history show --json` and `run --output json`.
#[must_use]
pub fn messages_json(messages: &[Arc<Message>]) -> Value {
    let mut out = Vec::with_capacity(messages.len());
    View { quirks: None, lacks: Lacks::default() }.messages(messages, &mut out);
    out.into()
}

/// What was said, with each answer's outcomes beside it.
pub(super) enum Exchange<'a> {
    User(&'a [Part]),
    Answer { answer: &'a Answer, outcomes: HashMap<&'a CallId, &'a ToolOutcome> },
}

/// Gathers outcomes to their answers; an outcome without an answer before it is left out.
pub(super) fn exchanges(messages: &[Arc<Message>]) -> Vec<Exchange<'_>> {
    let mut out: Vec<Exchange<'_>> = Vec::with_capacity(messages.len());
    for message in messages {
        match &message.body {
            Body::User(parts) => out.push(Exchange::User(parts)),
            Body::Assistant(answer) => out.push(Exchange::Answer { answer, outcomes: HashMap::new() }),
            Body::Tool(ToolMessage { call, outcome }) => {
                if let Some(Exchange::Answer { outcomes, .. }) = out.last_mut() {
                    outcomes.insert(call, outcome);
                }
            }
        }
    }
    out
}

/// For whom messages are written: an endpoint, or a reader.
struct View<'a> {
    quirks: Option<&'a Quirks>,
    lacks: Lacks,
}

impl View<'_> {
    fn messages(&self, messages: &[Arc<Message>], out: &mut Vec<Value>) {
        let exchanges = exchanges(messages);
        // Only this turn's: those of older turns would be sent, and paid for, again and again.
        let turn = exchanges.iter().rposition(|exchange| matches!(exchange, Exchange::User(_))).unwrap_or_default();
        let sees = self.quirks.is_some_and(|quirks| quirks.vision) && !self.lacks.vision;
        for (at, exchange) in exchanges.into_iter().enumerate() {
            match exchange {
                Exchange::User(parts) => out.push(json!({"role": "user", "content": user(parts, self.lacks)})),
                Exchange::Answer { answer, outcomes } => {
                    self.answer(answer, &outcomes, out);
                    if sees && at > turn {
                        out.extend(images::message(answer, &outcomes));
                    }
                }
            }
        }
    }

    /// The answer, then one outcome for each of its calls, in their order. Nothing where it is empty: some endpoints
    /// refuse an empty message.
    fn answer(&self, answer: &Answer, outcomes: &HashMap<&CallId, &ToolOutcome>, out: &mut Vec<Value>) {
        let text = if answer.text.is_empty() { &answer.refusal } else { &answer.text };
        if text.is_empty() && answer.calls.is_empty() {
            return;
        }
        let content = match self.quirks {
            _ if !text.is_empty() => text.clone().into(),
            Some(quirks) if quirks.content_empty_string => "".into(),
            _ => Value::Null,
        };
        let mut message = Map::from_iter([("role".into(), "assistant".into()), ("content".into(), content)]);
        let home = self.quirks.is_some_and(|quirks| quirks.is_home(&answer.origin));
        let ids = ids(&answer.calls, self.quirks.is_some_and(|quirks| quirks.nine_char_ids));
        if !answer.calls.is_empty() {
            let unsigned = self.quirks.is_some_and(|quirks| quirks.unsigned_calls);
            let calls = answer.calls.iter().zip(&ids).enumerate().map(|(place, (call, id))| {
                let mut entry = Map::new();
                if home {
                    entry.extend(call.extra.clone());
                }
                // Only the first of a step bears one.
                if unsigned && place == 0 && !entry.contains_key("extra_content") {
                    entry.insert("extra_content".into(), json!({"google": {"thought_signature": UNSIGNED}}));
                }
                entry.insert("id".into(), id.clone().into());
                entry.insert("type".into(), "function".into());
                entry.insert("function".into(), json!({"name": call.wire_name, "arguments": &*call.arguments}));
                Value::Object(entry)
            });
            message.insert("tool_calls".into(), calls.collect());
        }
        if home && !self.lacks.reasoning {
            for (key, value) in &answer.extra {
                match key.as_str() {
                    // Of the other dialect: a conversation may move between the two.
                    REASONING_ITEMS => {}
                    REASONING_MARKER => {}
                    key => {
                        message.entry(key).or_insert_with(|| value.clone());
                    }
                }
            }
        }
        if let Some(reasoning) = self.reasoning(answer, home) {
            message.insert(REASONING_MARKER.into(), reasoning.into());
        }
        out.push(message.into());
        for (call, id) in answer.calls.iter().zip(ids) {
            let content = outcomes.get(&call.id).map_or(NO_OUTCOME, |outcome| outcome.content.as_str());
            out.push(json!({"role": "tool", "tool_call_id": id, "content": content}));
        }
    }

    /// The answer's `reasoning_content`, where its endpoint wants it back.
    fn reasoning<'b>(&self, answer: &'b Answer, home: bool) -> Option<&'b str> {
        let own = home && !self.lacks.reasoning && answer.extra.contains_key(REASONING_MARKER);
        match self.quirks?.reasoning {
            // Wanted where there were calls, ignored or refused where there were none.
            ReasoningEcho::Own => (own && !answer.calls.is_empty()).then_some(answer.reasoning.as_str()),
            // Not empty: some gateways leave empty fields out.
            ReasoningEcho::Always if own && !answer.reasoning.is_empty() => Some(&answer.reasoning),
            ReasoningEcho::Always => Some(" "),
            ReasoningEcho::Never => None,
        }
    }
}

/// The ids of the conversation: the wire's own wherever that was unused in it. Endpoints that repeat theirs from
/// message to message would otherwise read two calls under one id.
pub(super) fn ids(calls: &[ToolCall], nine_char: bool) -> Vec<String> {
    let id = |call: &ToolCall| match call.id.as_str() {
        own if nine_char && !is_nine(own) => nine(own),
        own => own.to_owned(),
    };
    calls.iter().map(id).collect()
}

fn is_nine(id: &str) -> bool {
    id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Nine characters for an id, the same every time.
fn nine(id: &str) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    Sha256::digest(id).iter().take(9).map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect()
}

/// One text where it can be: servers that know no parts are many.
fn user(parts: &[Part], lacks: Lacks) -> Value {
    let mut text = String::new();
    let mut out = Vec::new();
    for part in parts {
        if let Part::Image { mime, data, .. } = part
            && !lacks.vision
        {
            flush(&mut text, &mut out);
            out.push(json!({"type": "image_url", "image_url": {"url": format!("data:{mime};base64,{data}")}}));
            continue;
        }
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(&shown(part));
    }
    if out.is_empty() {
        return text.into();
    }
    flush(&mut text, &mut out);
    out.into()
}

/// A part as text: files inline under their names, of images the name.
pub(super) fn shown(part: &Part) -> Cow<'_, str> {
    match part {
        Part::Text { text } => text.into(),
        Part::File { name, text } => format!("<file name={name:?}>\n{text}\n</file>").into(),
        Part::Image { name, .. } => format!("[image {name}]").into(),
    }
}

fn flush(text: &mut String, out: &mut Vec<Value>) {
    if !text.is_empty() {
        out.push(json!({"type": "text", "text": std::mem::take(text)}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{MessageId, OutcomeKind, ToolList};

    fn message(body: Body) -> Arc<Message> {
        Arc::new(Message { id: MessageId::new("m"), parent: None, at: 0, body })
    }

    fn call(id: &str, wire_id: Option<&str>, extra: Value) -> ToolCall {
        ToolCall {
            id: CallId::new(id),
            wire_id: wire_id.map(str::to_owned),
            index: 0,
            wire_name: "fs__read".into(),
            tool: None,
            arguments: r#"{"path":"a b"}"#.into(),
            extra: extra.as_object().cloned().unwrap_or_default(),
        }
    }

    fn outcome(id: &str, content: &str) -> Arc<Message> {
        let outcome = Arc::new(ToolOutcome::unsent(OutcomeKind::Done, content));
        message(Body::Tool(ToolMessage { call: CallId::new(id), outcome }))
    }

    fn answer(text: &str, calls: Vec<ToolCall>) -> Answer {
        let extra = json!({"reasoning_content": "", "reasoning_details": [1]});
        Answer {
            text: text.into(),
            reasoning: "because".into(),
            calls,
            origin: "https://a".into(),
            extra: extra.as_object().cloned().unwrap_or_default(),
            ..Answer::default()
        }
    }

    fn request(messages: Vec<Arc<Message>>) -> Request {
        Request {
            model: "m".into(),
            system: Some("Be short.".into()),
            messages,
            tools: None,
            tool_choice: ToolChoice::Auto,
            sampling: Sampling::default(),
            lacks: Lacks::default(),
        }
    }

    fn sent(request: &Request, quirks: &Quirks) -> Value {
        serde_json::from_slice(&encode(Api::Chat, request, quirks)).expect("a body is JSON")
    }

    #[test]
    fn a_conversation_with_calls_keeps_its_order_and_its_fields() {
        let calls = vec![call("1", Some("w1"), json!({"extra_content": {"s": 1}})), call("2", None, json!({}))];
        let messages = vec![
            message(Body::User(vec![Part::text("Look"), Part::File { name: "a.txt".into(), text: "A".into() }])),
            message(Body::Assistant(answer("", calls))),
            outcome("2", "two"),
            outcome("1", "one"),
            message(Body::Assistant(Answer::default())),
        ];
        let quirks = Quirks { origin: "https://a".into(), ..Quirks::default() };
        assert_eq!(
            sent(&request(messages.clone()), &quirks)["messages"],
            json!([
                {"role": "system", "content": "Be short."},
                {"role": "user", "content": "Look\n\n<file name=\"a.txt\">\nA\n</file>"},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"extra_content": {"s": 1}, "id": "1", "type": "function",
                     "function": {"name": "fs__read", "arguments": "{\"path\":\"a b\"}"}},
                    {"id": "2", "type": "function",
                     "function": {"name": "fs__read", "arguments": "{\"path\":\"a b\"}"}},
                ], "reasoning_content": "because", "reasoning_details": [1]},
                {"role": "tool", "tool_call_id": "1", "content": "one"},
                {"role": "tool", "tool_call_id": "2", "content": "two"},
            ])
        );
        // Elsewhere nothing of it is echoed.
        let foreign = sent(&request(messages), &Quirks { origin: "https://b".into(), ..Quirks::default() });
        assert_eq!(foreign["messages"][2].as_object().map(Map::len), Some(3));
        assert_eq!(foreign["messages"][2]["tool_calls"][0].get("extra_content"), None);
    }

    #[test]
    fn reasoning_and_signatures_go_back_as_their_endpoint_wants_them() {
        let signed = json!({"extra_content": {"google": {"thought_signature": "s"}}});
        let home = answer("", vec![call("1", None, signed.clone()), call("2", None, json!({}))]);
        let foreign = Answer { origin: "https://b".into(), ..answer("", vec![call("3", None, signed)]) };
        let words = answer("Done.", vec![]);
        let messages: Vec<Arc<Message>> =
            [home, foreign, words].map(|answer| message(Body::Assistant(answer))).into_iter().collect();
        let answers = |quirks: Quirks| {
            let sent = sent(&request(messages.clone()), &Quirks { origin: "https://a".into(), ..quirks });
            let messages = sent["messages"].as_array().cloned().unwrap_or_default();
            messages.into_iter().filter(|m| m["role"] == "assistant").collect::<Vec<_>>()
        };
        let reasoning = |echo| {
            let answers = answers(Quirks { reasoning: echo, ..Quirks::default() });
            answers.iter().map(|m| m.get("reasoning_content").cloned()).collect::<Vec<_>>()
        };
        assert_eq!(reasoning(ReasoningEcho::Own), [Some(json!("because")), None, None]);
        assert_eq!(
            reasoning(ReasoningEcho::Always),
            [Some(json!("because")), Some(json!(" ")), Some(json!("because"))]
        );
        assert_eq!(reasoning(ReasoningEcho::Never), [None, None, None]);
        let signature = |answers: &[Value], answer: usize, call: usize| {
            answers[answer].pointer(&format!("/tool_calls/{call}/extra_content/google/thought_signature")).cloned()
        };
        let plain = answers(Quirks::default());
        assert_eq!((signature(&plain, 0, 0), signature(&plain, 1, 0)), (Some(json!("s")), None));
        let marked = answers(Quirks { unsigned_calls: true, ..Quirks::default() });
        assert_eq!(
            (signature(&marked, 0, 0), signature(&marked, 0, 1), signature(&marked, 1, 0)),
            (Some(json!("s")), None, Some(json!(UNSIGNED)))
        );
    }

    #[test]
    fn every_call_has_exactly_one_outcome_on_the_wire() {
        let messages =
            vec![outcome("0", "orphan"), message(Body::Assistant(answer("", vec![call("1", None, json!({}))])))];
        let sent = sent(&request(messages), &Quirks::default());
        assert_eq!(sent["messages"][2], json!({"role": "tool", "tool_call_id": "1", "content": NO_OUTCOME}));
        assert_eq!(sent["messages"].as_array().map(Vec::len), Some(3));
    }

    #[test]
    fn ids_that_repeat_or_do_not_fit_are_replaced_on_both_sides() {
        let calls = vec![call("c1", Some("same"), json!({})), call("c2", Some("same"), json!({}))];
        let messages = vec![message(Body::Assistant(answer("", calls))), outcome("c1", "1"), outcome("c2", "2")];
        let ids = |quirks: &Quirks| {
            let sent = sent(&request(messages.clone()), quirks);
            let ids = |pointer: &str| sent.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            let pairs = [
                (ids("/messages/1/tool_calls/0/id"), ids("/messages/2/tool_call_id")),
                (ids("/messages/1/tool_calls/1/id"), ids("/messages/3/tool_call_id")),
            ];
            assert!(pairs.iter().all(|(call, outcome)| call.is_some() && call == outcome), "{pairs:?}");
            pairs.map(|(id, _)| id.unwrap_or_default())
        };
        assert_eq!(ids(&Quirks::default()), ["c1", "c2"]);
        let nine = ids(&Quirks { nine_char_ids: true, ..Quirks::default() });
        assert!(nine.iter().all(|id| is_nine(id)) && nine[0] != nine[1], "{nine:?}");
    }

    #[test]
    fn the_tool_list_is_sent_byte_for_byte() {
        let json = r#"[{"type":"function", "function":{"name":"a","parameters":{"z":1e5}}}]"#;
        let mut request = request(vec![]);
        request.tools = Some(Arc::new(ToolList { json: json.into(), hash: String::new(), count: 1 }));
        request.tool_choice = ToolChoice::Named("a".into());
        let bytes = String::from_utf8(encode(Api::Chat, &request, &Quirks::default())).expect("text");
        assert!(bytes.ends_with(&format!(",\"tools\":{json}}}")), "{bytes}");
        assert!(bytes.contains(r#""tool_choice":{"type":"function","function":{"name":"a"}}"#));
        request.tools = None;
        assert_eq!(sent(&request, &Quirks::default()).get("tool_choice"), None);
    }

    #[test]
    fn sampling_is_sent_only_where_given_and_params_win() {
        let mut request = request(vec![]);
        let plain = json!({"model": "m", "messages": [{"role": "system", "content": "Be short."}], "stream": true,
            "stream_options": {"include_usage": true}});
        assert_eq!(sent(&request, &Quirks::default()), plain);
        request.sampling = Sampling {
            temperature: Some(0.0),
            max_output_tokens: Some(5),
            reasoning_effort: Some("low".into()),
            params: vec![("temperature".into(), json!(1)), ("seed".into(), json!(7))],
            schema: Some(json!({"type": "object"})),
        };
        let quirks = Quirks {
            max_completion_tokens: true,
            include_usage: false,
            system_role: SystemRole::Developer,
            ..Quirks::default()
        };
        assert_eq!(
            sent(&request, &quirks),
            json!({"model": "m", "messages": [{"role": "developer", "content": "Be short."}], "stream": true,
                "temperature": 1, "max_completion_tokens": 5, "reasoning_effort": "low", "seed": 7,
                "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}})
        );
    }

    #[test]
    fn images_are_parts() {
        let image = Part::Image { name: "a.png".into(), mime: "image/png".into(), data: "QUJD".into() };
        assert_eq!(
            user(&[Part::text("See"), image, Part::text("there")], Lacks::default()),
            json!([{"type": "text", "text": "See"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
                {"type": "text", "text": "there"}])
        );
    }

    #[test]
    fn what_a_model_lacks_is_left_out_and_another_provider_gets_no_reasoning() {
        let image = Part::Image { name: "cat.png".into(), mime: "image/png".into(), data: "AAAA".into() };
        let said = vec![
            message(Body::User(vec![Part::text("See"), image])),
            message(Body::Assistant(answer("Yes.", Vec::new()))),
        ];
        let sent = |origin: &str, lacks: Lacks| {
            let quirks = Quirks { origin: origin.into(), ..Quirks::default() };
            String::from_utf8(encode(Api::Chat, &Request { lacks, ..request(said.clone()) }, &quirks)).unwrap()
        };
        let home = sent("https://a", Lacks::default());
        assert!(home.contains("reasoning_details") && home.contains("base64,AAAA"), "{home}");
        let away = sent("https://b", Lacks::default());
        assert!(!away.contains("reasoning_details") && away.contains("Yes."), "{away}");
        let poor = sent("https://a", Lacks { tools: false, vision: true, reasoning: true });
        assert!(
            !poor.contains("reasoning_details") && !poor.contains("AAAA") && poor.contains("[image cat.png]"),
            "{poor}"
        );
    }
}
