//! A server's request for an answer of the model, read.
//!
//! Source: MCP 2025-11-25 and 2026-07-28, client/sampling. `tools` and `context` are not declared.
//!
//! # Invariants
//! - What cannot be passed on as it came is refused as a whole: a model is never asked something else than was meant.
//! - A limit that acts says its name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::read::Refused;
use crate::chat::{Limits, Sample, SampleBudget, SampleMessage, SamplePart};

/// What endpoints take for pictures.
const IMAGES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];
/// Stop sequences of one request.
const STOPS: usize = 16;
/// Models that a server may wish for.
const HINTS: usize = 8;

/// `tokens`: what this server may use in all.
pub(super) fn read(params: &Value, tokens: u32, limits: &Limits) -> Result<Sample, Refused> {
    let size = params.to_string().len();
    if u64::try_from(size).unwrap_or(u64::MAX) > limits.sampling_size {
        return refuse(format!("the request has {size} bytes: more than [limits] sampling_size allows"));
    }
    for member in ["tools", "toolChoice"] {
        if params.get(member).is_some_and(|value| !value.is_null()) {
            return refuse(format!("{member} is not supported: sampling.tools was not declared"));
        }
    }
    let wanted_tokens = max_tokens(params)?;
    let Some(written) = params.get("messages").and_then(Value::as_array).filter(|list| !list.is_empty()) else {
        return refuse("there are no messages");
    };
    if u32::try_from(written.len()).unwrap_or(u32::MAX) > limits.sampling_messages {
        return refuse(format!("{} messages are more than [limits] sampling_messages allows", written.len()));
    }
    let messages = written.iter().map(message).collect::<Result<Vec<_>, _>>()?;
    let temperature = params.get("temperature").and_then(Value::as_f64);
    if temperature.is_some_and(|degree| !(0.0..=2.0).contains(&degree)) {
        return refuse("the temperature is not between 0 and 2");
    }
    let budget = SampleBudget { server: tokens.into(), turn: limits.sampling_turn_tokens.into() };
    Ok(Sample {
        system: params.get("systemPrompt").and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned),
        messages,
        wanted_tokens,
        max_tokens: wanted_tokens,
        budget,
        temperature,
        stop: stops(params)?,
        hints: hints(params),
        wants_context: !matches!(params.get("includeContext"), None | Some(Value::Null))
            && params.get("includeContext").and_then(Value::as_str) != Some("none"),
        model: None,
        base_url: String::new(),
    })
}

fn refuse<T>(message: impl Into<String>) -> Result<T, Refused> {
    Err(Refused::params(message))
}

/// Required by the protocol; some servers write it as a number with a fraction of nothing.
fn max_tokens(params: &Value) -> Result<u32, Refused> {
    let value = params.get("maxTokens").unwrap_or(&Value::Null);
    let whole = value.as_u64().or_else(|| {
        let number = value.as_f64().filter(|n| n.fract() == 0.0 && *n >= 1.0)?;
        format!("{number}").parse().ok()
    });
    match whole {
        Some(0) | None => refuse("maxTokens is not a number of at least 1"),
        Some(tokens) => Ok(u32::try_from(tokens).unwrap_or(u32::MAX)),
    }
}

fn stops(params: &Value) -> Result<Vec<String>, Refused> {
    let Some(list) = params.get("stopSequences").filter(|value| !value.is_null()) else { return Ok(Vec::new()) };
    let texts: Option<Vec<String>> =
        list.as_array().and_then(|list| list.iter().map(|text| text.as_str().map(str::to_owned)).collect());
    match texts {
        Some(texts) if texts.len() <= STOPS => Ok(texts.into_iter().filter(|text| !text.is_empty()).collect()),
        Some(texts) => refuse(format!("{} stop sequences are more than {STOPS}", texts.len())),
        None => refuse("stopSequences is not a list of texts"),
    }
}

fn hints(params: &Value) -> Vec<String> {
    let list = params.pointer("/modelPreferences/hints").and_then(Value::as_array);
    let names = list.into_iter().flatten().filter_map(|hint| hint.get("name").and_then(Value::as_str));
    names.filter(|name| !name.is_empty()).take(HINTS).map(str::to_owned).collect()
}

fn message(value: &Value) -> Result<SampleMessage, Refused> {
    let by_assistant = match value.get("role").and_then(Value::as_str) {
        Some("user") => false,
        Some("assistant") => true,
        Some(other) => return refuse(format!("the role {other:?} is not known")),
        None => return refuse("a message has no role"),
    };
    let parts = match value.get("content") {
        Some(Value::Array(blocks)) => blocks.iter().map(|block| part(block, by_assistant)).collect::<Result<_, _>>()?,
        Some(block) => vec![part(block, by_assistant)?],
        None => return refuse("a message has no content"),
    };
    if parts.is_empty() {
        return refuse("a message has no content");
    }
    Ok(SampleMessage { by_assistant, parts })
}

fn part(block: &Value, by_assistant: bool) -> Result<SamplePart, Refused> {
    let text = |key: &str| block.get(key).and_then(Value::as_str).unwrap_or_default();
    match text("type") {
        "text" => match block.get("text").and_then(Value::as_str) {
            Some(text) => Ok(SamplePart::Text(text.to_owned())),
            None => refuse("a text has no text"),
        },
        "image" if by_assistant => refuse("an image in a message of the assistant cannot be passed on"),
        "image" if !IMAGES.contains(&text("mimeType")) => {
            refuse(format!("images of the type {:?} cannot be passed on", text("mimeType")))
        }
        "image" if text("data").is_empty() || STANDARD.decode(text("data")).is_err() => {
            refuse("an image is not base64")
        }
        "image" => Ok(SamplePart::Image { mime: text("mimeType").to_owned(), data: text("data").to_owned() }),
        "audio" => refuse("audio cannot be passed on to the model"),
        kind @ ("tool_use" | "tool_result") => {
            refuse(format!("{kind} is not supported: sampling.tools was not declared"))
        }
        other => refuse(format!("content of the type {other:?} cannot be passed on")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(content: &Value) -> Value {
        json!({"maxTokens": 10, "messages": [{"role": "user", "content": content}]})
    }

    fn refused(params: &Value) -> String {
        read(params, 1_000, &Limits::default()).unwrap_err().to_string()
    }

    #[test]
    fn a_request_is_read_whole() {
        let params = json!({"maxTokens": 50.0, "systemPrompt": "Be brief.", "temperature": 0.5,
            "stopSequences": ["END", ""], "includeContext": "thisServer",
            "modelPreferences": {"hints": [{"name": "claude"}, {"name": ""}, {}], "costPriority": 1},
            "messages": [{"role": "user", "content": {"type": "text", "text": "a"}},
                {"role": "assistant", "content": [{"type": "text", "text": "b"}]},
                {"role": "user", "content": {"type": "image", "mimeType": "image/png", "data": "AAAA"}}]});
        let sample = read(&params, 1_000, &Limits::default()).unwrap();
        assert_eq!((sample.wanted_tokens, sample.max_tokens), (50, 50));
        assert_eq!((sample.system.as_deref(), sample.temperature), (Some("Be brief."), Some(0.5)));
        assert_eq!((&sample.stop[..], &sample.hints[..]), (&["END".to_owned()][..], &["claude".to_owned()][..]));
        assert!(sample.wants_context);
        assert_eq!(sample.budget, SampleBudget { server: 1_000, turn: 20_000 });
        let text = |text: &str| SamplePart::Text(text.to_owned());
        let image = SamplePart::Image { mime: "image/png".into(), data: "AAAA".into() };
        let want = [(false, text("a")), (true, text("b")), (false, image)];
        let want = want.map(|(by_assistant, part)| SampleMessage { by_assistant, parts: vec![part] });
        assert_eq!(sample.messages, want);
        assert!(!read(&said(&json!({"type": "text", "text": ""})), 1, &Limits::default()).unwrap().wants_context);
    }

    #[test]
    fn what_cannot_be_passed_on_is_refused_with_its_name() {
        let text = json!({"type": "text", "text": "x"});
        for (member, value) in [("tools", json!([])), ("toolChoice", json!({"mode": "auto"}))] {
            let mut params = said(&text);
            params[member] = value;
            let why = read(&params, 1_000, &Limits::default()).unwrap_err();
            assert_eq!(why.code, -32602);
            assert!(why.message.contains(member) && why.message.contains("not declared"), "{why}");
        }
        for (content, words) in [
            (json!({"type": "audio", "mimeType": "audio/wav", "data": "AA=="}), "audio"),
            (json!({"type": "tool_use", "id": "1", "name": "x", "input": {}}), "tool_use"),
            (json!([{"type": "tool_result", "toolUseId": "1", "content": []}]), "tool_result"),
            (json!({"type": "image", "mimeType": "image/svg+xml", "data": "AAAA"}), "svg"),
            (json!({"type": "image", "mimeType": "image/png", "data": "\u{1b}[2J"}), "base64"),
            (json!([]), "no content"),
        ] {
            let why = refused(&said(&content));
            assert!(why.contains(words), "{why}");
        }
        for tokens in [json!(null), json!(0), json!(-4), json!(1.5), json!("10")] {
            let mut params = said(&text);
            params["maxTokens"] = tokens;
            assert!(refused(&params).contains("maxTokens"));
        }
        assert_eq!(refused(&json!({"maxTokens": 1, "messages": []})), "there are no messages");
    }

    #[test]
    fn the_limits_say_their_names() {
        let params = json!({"maxTokens": 1, "messages": vec![json!({"role": "user", "content": {"type": "text",
            "text": "x"}}); 3]});
        let few = Limits { sampling_messages: 2, ..Limits::default() };
        assert!(read(&params, 1, &few).unwrap_err().message.contains("[limits] sampling_messages"));
        let small = Limits { sampling_size: 20, ..Limits::default() };
        assert!(read(&params, 1, &small).unwrap_err().message.contains("[limits] sampling_size"));
    }
}
