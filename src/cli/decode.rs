//! `millrace decode`: a recorded response body, assembled by the decoder and assembler of a live turn (contract 4).

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::chat::{Api, Fault, FaultKind, Limits, WireError, WireErrorKind};
use crate::net::sse::{SseError, SseReader};
use crate::turn::{AssembledCall, Assembler, AssemblerLimits, Declared, StreamEnd};
use crate::wire::{self, Decoder};

use super::args::DecodeArgs;

/// How a body is read.
#[derive(Clone, Debug)]
pub struct DecodeOptions {
    /// Tool name to the names of its parameters. None: every tool counts as having parameters.
    pub tools: Option<HashMap<String, Vec<String>>>,
    pub status: u16,
    pub content_type: Option<String>,
    /// Bytes to feed at a time; None: all at once.
    pub chunk: Option<usize>,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { tools: None, status: 200, content_type: None, chunk: None }
    }
}

/// Runs `millrace decode`: prints one JSON object. Exit 0 whenever the body could be read.
///
/// # Errors
/// `Usage` where a file cannot be read.
pub fn run(args: &DecodeArgs) -> Result<u8, Fault> {
    let bad = |path: &Path, why: String| Fault::new(FaultKind::Usage, format!("{}: {why}", path.display()));
    let tools = match &args.tools {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| bad(path, error.to_string()))?;
            Some(parse_tools(&text).map_err(|why| bad(path, why))?)
        }
        None => None,
    };
    let mut body = Vec::new();
    // What is behind the limit is not read by a live turn either; one byte more shows that it is there.
    let most = Limits::default().body.saturating_add(1);
    let read = if args.file.as_os_str() == "-" {
        std::io::stdin().lock().take(most).read_to_end(&mut body)
    } else {
        File::open(&args.file).and_then(|file| file.take(most).read_to_end(&mut body))
    };
    read.map_err(|error| bad(&args.file, error.to_string()))?;
    let options = DecodeOptions {
        tools,
        status: args.status.unwrap_or(200),
        content_type: args.content_type.clone(),
        chunk: args.chunk.and_then(|n| usize::try_from(n).ok()),
    };
    super::written(writeln!(std::io::stdout(), "{:#}", decode(&body, &options)))
}

/// Reads the text of a `--tools` file: an object of tool names to lists of parameter names, or a Chat Completions
/// `tools` array.
///
/// # Errors
/// One sentence on what is wrong with it.
pub fn parse_tools(text: &str) -> Result<HashMap<String, Vec<String>>, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("the tools are not JSON: {error}"))?;
    match value {
        Value::Object(map) => {
            map.into_iter().map(|(name, parameters)| Ok((name.clone(), names(&name, &parameters)?))).collect()
        }
        Value::Array(tools) => tools
            .iter()
            .enumerate()
            .map(|(place, tool)| {
                let function = tool.get("function").unwrap_or(tool);
                let name = function.get("name").and_then(Value::as_str);
                let name = name.ok_or_else(|| format!("tool {place} of the list has no name"))?;
                let properties = function.pointer("/parameters/properties").and_then(Value::as_object);
                let parameters = properties.map(|map| map.keys().cloned().collect()).unwrap_or_default();
                Ok((name.to_owned(), parameters))
            })
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err("the tools are neither an object of names nor a list of tools".into())
        }
    }
}

fn names(tool: &str, parameters: &Value) -> Result<Vec<String>, String> {
    let list = parameters.as_array().ok_or_else(|| format!("the parameters of {tool:?} are not a list"))?;
    list.iter()
        .map(|name| name.as_str().map(str::to_owned).ok_or_else(|| format!("a parameter of {tool:?} is not a name")))
        .collect()
}

/// Assembles `body` and says what it amounts to, with the keys of the golden transcripts.
#[must_use]
pub fn decode(body: &[u8], options: &DecodeOptions) -> Value {
    let limits = Limits::default();
    let declared = match &options.tools {
        Some(tools) => Declared::new(tools.iter().map(|(name, names)| (name.as_str(), !names.is_empty()))),
        None => Declared::unknown(),
    };
    let mut decoder = Decoder::new(Api::Chat);
    let mut assembler = Assembler::new(declared, AssemblerLimits::from(&limits));
    let mut reader = SseReader::new(options.content_type.as_deref(), &limits);
    let mut data = Vec::new();
    let mut ended = Ok(());
    for chunk in body.chunks(options.chunk.unwrap_or(body.len()).max(1)) {
        ended = reader.push(chunk, &mut data);
        for data in data.drain(..) {
            let _ = assembler.apply(decoder.event(&data));
        }
        if ended.is_err() {
            break;
        }
    }
    let ended = ended.and_then(|()| reader.finish(&mut data));
    for data in data {
        let _ = assembler.apply(decoder.event(&data));
    }
    let _ = assembler.end(match ended {
        _ if options.status >= 400 => {
            StreamEnd::Error(wire::error_reply(options.status, options.content_type.as_deref(), body).error)
        }
        Ok(()) => StreamEnd::Eof,
        Err(error) => StreamEnd::Error(unreadable(&error)),
    });
    report(&assembler)
}

fn unreadable(error: &SseError) -> WireError {
    let kind = match error {
        SseError::Html { .. } => WireErrorKind::Provider,
        SseError::Line { .. } | SseError::Event { .. } | SseError::Body { .. } | SseError::Parser(_) => {
            WireErrorKind::BadChunk
        }
    };
    WireError { kind, message: error.to_string(), code: None }
}

fn report(assembler: &Assembler) -> Value {
    let text = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
    json!({
        "content": text(assembler.content()),
        "reasoning": text(assembler.reasoning()),
        "refusal": text(assembler.refusal()),
        "tool_calls": assembler.calls().iter().map(call).collect::<Vec<_>>(),
        "finish": assembler.finish_reason(),
        "effective_finish": assembler.effective_word(),
        "usage": assembler.usage(),
        "error": assembler.error().map(error),
        "done": assembler.is_done(),
        "events": assembler.events(),
    })
}

/// `code` stands only where the endpoint gave one, as in the golden transcripts.
fn error(error: &WireError) -> Value {
    let mut out = json!({"kind": error.kind.word(), "message": error.message});
    if let Some(code) = &error.code {
        out["code"] = code.clone();
    }
    out
}

fn call(call: &AssembledCall) -> Value {
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
    put("id", call.wire_id.clone().into());
    put("name", call.name.clone().into());
    put("arguments", call.wire_text().into());
    put("status", call.status.word().into());
    put("closed_at", call.closed_at.into());
    put("close", call.close.map(|by| by.word()).into());
    if let Some(at) = call.conflict_at {
        put("conflict_at", at.into());
    }
    if let Some(late) = &call.late {
        put("late", late.trim_end().into());
    }
    if call.duplicate {
        put("duplicate", true.into());
    }
    if let Some(extra) = call.extra.get("extra_content") {
        put("extra_content", extra.clone());
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_read_in_both_forms() {
        let expect = HashMap::from([("a".to_owned(), vec!["x".to_owned()]), ("b".to_owned(), vec![])]);
        assert_eq!(parse_tools(r#"{"a":["x"],"b":[]}"#), Ok(expect.clone()));
        let list = r#"[{"type":"function","function":{"name":"a","parameters":{"properties":{"x":{}}}}},{"name":"b"}]"#;
        assert_eq!(parse_tools(list), Ok(expect));
        for bad in ["7", "{", r#"{"a":{}}"#, r#"{"a":[1]}"#, "[{}]"] {
            assert!(parse_tools(bad).is_err(), "{bad}");
        }
    }
}
