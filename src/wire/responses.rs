//! The Responses API: typed events into deltas, and requests as `input` items.
//!
//! Its events say themselves when a call is complete, so its calls close without a finish.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::encode::{Exchange, NO_OUTCOME, Quirks, exchanges, ids, own_params, shown};
use super::{REASONING_ITEMS, error, images};
use crate::chat::{ArgumentsPart, CallFragment, Delta, Lacks, Part, Request, ToolChoice};

/// One event's deltas. Events that say nothing new are left out.
pub(super) fn event(value: &Value) -> Vec<Delta> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let said = |delta: fn(String) -> Delta| Some(text("delta")).filter(|t| !t.is_empty()).map(delta);
    let index = value.get("output_index").and_then(Value::as_u64);
    let arguments = |key: &str, done: bool| {
        let arguments = Some(ArgumentsPart::Text(text(key)));
        Some(Delta::Call(CallFragment { index, arguments, done, ..CallFragment::default() }))
    };
    let one = match value.get("type").and_then(Value::as_str).unwrap_or_default() {
        "response.output_text.delta" => said(Delta::Text),
        "response.refusal.delta" => said(Delta::Refusal),
        "response.reasoning_text.delta" | "response.reasoning_summary_text.delta" => said(Delta::Reasoning),
        "response.reasoning_summary_part.added" => {
            let later = value.get("summary_index").and_then(Value::as_u64).is_some_and(|index| index > 0);
            later.then(|| Delta::Reasoning("\n\n".into()))
        }
        "response.output_item.added" => value.get("item").and_then(|item| call(item, index, false)),
        "response.function_call_arguments.delta" => arguments("delta", false),
        "response.function_call_arguments.done" => arguments("arguments", true),
        "response.output_item.done" => {
            value.get("item").and_then(|item| call(item, index, true).or_else(|| kept(item)))
        }
        "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
            return value.get("response").map(ended).unwrap_or_default();
        }
        "error" => {
            let told = value.get("error").filter(|error| error.is_object()).unwrap_or(value);
            error::described(told, None).map(Delta::Error)
        }
        _ if value.get("object").and_then(Value::as_str) == Some("response") => return whole(value),
        _ => error::find(value).map(Delta::Error),
    };
    one.into_iter().collect()
}

/// The fragment that an item of the output is, where it is a call. Its arguments count once it is done.
fn call(item: &Value, index: Option<u64>, done: bool) -> Option<Delta> {
    if item.get("type").and_then(Value::as_str) != Some("function_call") {
        return None;
    }
    let word = |key: &str| item.get(key).and_then(Value::as_str).filter(|word| !word.is_empty()).map(str::to_owned);
    let arguments = done.then(|| ArgumentsPart::Text(word("arguments").unwrap_or_default()));
    let id = word("call_id").or_else(|| word("id"));
    Some(Delta::Call(CallFragment { index, id, name: word("name"), arguments, extra: Map::new(), done }))
}

/// An item that its provider wants back.
fn kept(item: &Value) -> Option<Delta> {
    let reasoning = item.get("type").and_then(Value::as_str) == Some("reasoning");
    reasoning.then(|| Delta::Extra(Map::from_iter([(REASONING_ITEMS.to_owned(), json!([item]))])))
}

/// How the response ended, as the last event tells it.
fn ended(response: &Value) -> Vec<Delta> {
    let mut out: Vec<Delta> =
        response.get("usage").filter(|usage| usage.is_object()).cloned().map(Delta::Usage).into_iter().collect();
    let finish = |reason: &str| Delta::Finish { reason: reason.to_owned(), native: None };
    let failed = response.get("error").and_then(|error| error::described(error, None));
    out.push(match (response.get("status").and_then(Value::as_str), failed) {
        (_, Some(error)) => Delta::Error(error),
        (Some("incomplete"), None) => {
            let why = response.pointer("/incomplete_details/reason").and_then(Value::as_str);
            finish(why.unwrap_or("length"))
        }
        (Some(status @ ("failed" | "cancelled")), None) => {
            Delta::Error(error::provider(format!("the response was {status}"), None))
        }
        (Some(_) | None, None) => finish("stop"),
    });
    out.push(Delta::Done);
    out
}

/// A response that was not streamed.
fn whole(response: &Value) -> Vec<Delta> {
    let mut out = Vec::new();
    for (index, item) in (0..).zip(response.get("output").and_then(Value::as_array).into_iter().flatten()) {
        for part in item.get("content").and_then(Value::as_array).into_iter().flatten() {
            let text =
                |key: &str| part.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
            match part.get("type").and_then(Value::as_str) {
                Some("output_text") => out.extend(text("text").map(Delta::Text)),
                Some("refusal") => out.extend(text("refusal").map(Delta::Refusal)),
                Some("reasoning_text") => out.extend(text("text").map(Delta::Reasoning)),
                Some(_) | None => {}
            }
        }
        out.extend(call(item, Some(index), true).or_else(|| kept(item)));
    }
    out.extend(ended(response).into_iter().filter(|delta| *delta != Delta::Done));
    out
}

/// The body of a streamed request. Nothing is stored at the provider.
pub(super) fn encode(request: &Request, quirks: &Quirks) -> Vec<u8> {
    let mut body = Map::new();
    body.insert("model".into(), request.model.clone().into());
    if let Some(system) = request.system.as_ref().filter(|system| !system.is_empty()) {
        body.insert("instructions".into(), system.clone().into());
    }
    let mut input = Vec::new();
    let exchanges = exchanges(&request.messages);
    let turn = exchanges.iter().rposition(|exchange| matches!(exchange, Exchange::User(_))).unwrap_or_default();
    for (at, exchange) in exchanges.iter().enumerate() {
        items(exchange, quirks, request.lacks, &mut input);
        if let Exchange::Answer { answer, outcomes } = exchange
            && quirks.vision
            && !request.lacks.vision
            && at > turn
        {
            input.extend(images::item(answer, outcomes));
        }
    }
    body.insert("input".into(), input.into());
    body.insert("stream".into(), true.into());
    body.insert("store".into(), false.into());
    let sampling = &request.sampling;
    if let Some(temperature) = sampling.temperature.filter(|_| !quirks.drop_temperature) {
        body.insert("temperature".into(), temperature.into());
    }
    if let Some(tokens) = sampling.max_output_tokens {
        body.insert("max_output_tokens".into(), tokens.into());
    }
    if let Some(effort) = sampling.reasoning_effort.as_ref().filter(|_| !quirks.drop_reasoning_effort) {
        body.insert("reasoning".into(), json!({"effort": effort}));
    }
    if !quirks.drop_include {
        // Nothing is stored at the provider, so its reasoning must come along to be sent back.
        body.insert("include".into(), json!(["reasoning.encrypted_content"]));
    }
    if let Some(schema) = sampling.schema.as_ref().filter(|_| !quirks.drop_response_format) {
        let format = json!({"type": "json_schema", "name": "answer", "schema": schema});
        body.insert("text".into(), json!({"format": format}));
    }
    let tools = request.tools.as_ref().and_then(|tools| flat(&tools.json));
    if tools.is_some() && !quirks.drop_tool_choice {
        let choice = match &request.tool_choice {
            ToolChoice::Auto => None,
            ToolChoice::None => Some("none".into()),
            ToolChoice::Required => Some("required".into()),
            ToolChoice::Named(name) => Some(json!({"type": "function", "name": name})),
        };
        body.extend(choice.map(|choice| ("tool_choice".to_owned(), choice)));
    }
    own_params(sampling, quirks, &mut body);
    super::encode::with_tools(body, tools.as_deref())
}

/// The tool list in this dialect's form: the function's fields beside `type`, their bytes unchanged.
fn flat(chat: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Tool<'a> {
        #[serde(borrow)]
        function: &'a RawValue,
    }
    let tools: Vec<Tool<'_>> = serde_json::from_str(chat).ok()?;
    let tools = tools.iter().filter_map(|tool| tool.function.get().strip_prefix('{'));
    Some(format!("[{}]", tools.map(|rest| format!("{{\"type\":\"function\",{rest}")).collect::<Vec<_>>().join(",")))
}

fn items(exchange: &Exchange<'_>, quirks: &Quirks, lacks: Lacks, out: &mut Vec<Value>) {
    match exchange {
        Exchange::User(parts) => {
            let parts = parts.iter().map(|part| match part {
                Part::Image { mime, data, .. } if !lacks.vision => {
                    json!({"type": "input_image", "image_url": format!("data:{mime};base64,{data}")})
                }
                Part::Text { .. } | Part::File { .. } | Part::Image { .. } => {
                    json!({"type": "input_text", "text": shown(part)})
                }
            });
            out.push(json!({"role": "user", "content": parts.collect::<Vec<_>>()}));
        }
        Exchange::Answer { answer, outcomes } => {
            if quirks.is_home(&answer.origin)
                && !lacks.reasoning
                && let Some(Value::Array(reasoning)) = answer.extra.get(REASONING_ITEMS)
            {
                out.extend(reasoning.iter().cloned());
            }
            let text = if answer.text.is_empty() { &answer.refusal } else { &answer.text };
            if !text.is_empty() {
                out.push(json!({"role": "assistant", "content": [{"type": "output_text", "text": text}]}));
            }
            let ids = ids(&answer.calls, quirks.nine_char_ids);
            for (call, id) in answer.calls.iter().zip(&ids) {
                out.push(json!({"type": "function_call", "call_id": id, "name": call.wire_name, "arguments": &*call.arguments}));
            }
            for (call, id) in answer.calls.iter().zip(&ids) {
                let output = outcomes.get(&call.id).map_or(NO_OUTCOME, |outcome| outcome.content.as_str());
                out.push(json!({"type": "function_call_output", "call_id": id, "output": output}));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::chat::{Answer, Api, Body, CallId, Message, MessageId, Sampling, ToolCall, ToolList};
    use crate::wire::Decoder;

    fn deltas(events: &[Value]) -> Vec<Delta> {
        let mut decoder = Decoder::new(Api::Responses);
        events.iter().flat_map(|event| decoder.event(&event.to_string()).deltas).collect()
    }

    #[test]
    fn a_streamed_call_and_its_end() {
        let item = json!({"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "read", "arguments": ""});
        let done = json!({"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "read", "arguments": "{}"});
        let fragment = |arguments: &str, done| CallFragment {
            index: Some(1),
            arguments: Some(ArgumentsPart::Text(arguments.into())),
            done,
            ..CallFragment::default()
        };
        let named = CallFragment {
            index: Some(1),
            id: Some("c1".into()),
            name: Some("read".into()),
            ..CallFragment::default()
        };
        let whole = CallFragment { arguments: Some(ArgumentsPart::Text("{}".into())), done: true, ..named.clone() };
        assert_eq!(
            deltas(&[
                json!({"type": "response.created", "response": {}}),
                json!({"type": "response.output_text.delta", "output_index": 0, "delta": "Hi"}),
                json!({"type": "response.output_item.added", "output_index": 1, "item": item}),
                json!({"type": "response.function_call_arguments.delta", "output_index": 1, "delta": "{}"}),
                json!({"type": "response.function_call_arguments.done", "output_index": 1, "arguments": "{}"}),
                json!({"type": "response.output_item.done", "output_index": 1, "item": done}),
                json!({"type": "response.completed", "response": {"status": "completed", "usage": {"input_tokens": 1}}}),
            ]),
            [
                Delta::Text("Hi".into()),
                Delta::Call(named),
                Delta::Call(fragment("{}", false)),
                Delta::Call(fragment("{}", true)),
                Delta::Call(whole),
                Delta::Usage(json!({"input_tokens": 1})),
                Delta::Finish { reason: "stop".into(), native: None },
                Delta::Done,
            ]
        );
    }

    #[test]
    fn errors_and_cuts() {
        let failed = json!({"type": "response.failed", "response": {"status": "failed", "error": {"code": "server_error", "message": "m"}}});
        let error = || Delta::Error(error::provider("m", Some(&json!("server_error"))));
        assert_eq!(deltas(&[failed]), [error(), Delta::Done]);
        assert_eq!(deltas(&[json!({"type": "error", "code": "server_error", "message": "m"})]), [error()]);
        assert_eq!(deltas(&[json!({"error": {"code": "server_error", "message": "m"}})]), [error()]);
        let cut = json!({"type": "response.incomplete",
            "response": {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}});
        assert_eq!(deltas(&[cut])[0], Delta::Finish { reason: "max_output_tokens".into(), native: None });
    }

    #[test]
    fn the_body_of_a_request() {
        let call = ToolCall {
            id: CallId::new("c1"),
            wire_id: None,
            index: 0,
            wire_name: "read".into(),
            tool: None,
            arguments: "{\"a\":1}".into(),
            extra: Map::new(),
        };
        let extra = Map::from_iter([(REASONING_ITEMS.to_owned(), json!([{"type": "reasoning", "id": "r"}]))]);
        let answer = Answer { calls: vec![call], origin: "o".into(), extra, ..Answer::default() };
        let bodies = [Body::User(vec![Part::text("Hi")]), Body::Assistant(answer)];
        let message = |body| Arc::new(Message { id: MessageId::new("m"), parent: None, at: 0, body });
        let json = r#"[{"type":"function","function":{"name":"read", "parameters":{}}}]"#;
        let request = Request {
            model: "m".into(),
            system: Some("s".into()),
            messages: bodies.into_iter().map(message).collect(),
            tools: Some(Arc::new(ToolList { json: json.into(), hash: String::new(), count: 1 })),
            tool_choice: ToolChoice::Required,
            sampling: Sampling { max_output_tokens: Some(9), ..Sampling::default() },
            lacks: Lacks::default(),
        };
        let quirks = Quirks { origin: "o".into(), ..Quirks::default() };
        let body: Value = serde_json::from_slice(&encode(&request, &quirks)).expect("JSON");
        assert_eq!(
            body,
            json!({"model": "m", "instructions": "s", "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
                {"type": "reasoning", "id": "r"},
                {"type": "function_call", "call_id": "c1", "name": "read", "arguments": "{\"a\":1}"},
                {"type": "function_call_output", "call_id": "c1", "output": NO_OUTCOME},
            ], "stream": true, "store": false,
            "include": ["reasoning.encrypted_content"], "max_output_tokens": 9, "tool_choice": "required",
            "tools": [{"type": "function", "name": "read", "parameters": {}}]})
        );
    }
}
