//! From what is to be said to the chunks of a Chat Completions stream, each with its moment.

use std::time::Duration;

use serde_json::{Value, json};

use super::fill::Said;

/// Between two tokens: of text (about 75 a second), of reasoning, of arguments.
const TEXT: Duration = Duration::from_millis(13);
const THOUGHT: Duration = Duration::from_millis(11);
const ARGUMENTS: Duration = Duration::from_millis(12);
/// Before the first token, and before each call.
const FIRST: Duration = Duration::from_millis(380);
const CALL: Duration = Duration::from_millis(160);
/// A token is about this many characters.
const TOKEN: usize = 4;

/// One data event, `after` the one before it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chunk {
    pub(super) after: Duration,
    pub(super) data: String,
}

/// What every chunk of one response carries.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) model: String,
    /// Seconds since 1970.
    pub(super) created: u64,
    /// The last chunk before `[DONE]` tells the usage.
    pub(super) usage: bool,
    /// Bytes of the request, to estimate its tokens by.
    pub(super) request_bytes: usize,
}

/// The whole response. Ids of calls are made by `id`.
pub(super) fn chunks(said: &[Said], head: &Head, mut id: impl FnMut() -> String) -> Vec<Chunk> {
    let mut out = Writer { head, chunks: Vec::new(), tokens: 0, thought: 0 };
    out.put(FIRST, json!({"role": "assistant", "content": "", "refusal": null}), None);
    let mut calls = 0;
    for piece in said {
        match piece {
            Said::Think(text) => {
                for token in tokens(text) {
                    out.thought += 1;
                    out.put(THOUGHT, json!({"reasoning_content": token}), None);
                }
            }
            Said::Text(text) => {
                for token in tokens(text) {
                    out.put(TEXT, json!({"content": token}), None);
                }
            }
            Said::Call { wire_name, arguments } => {
                let function = json!({"name": wire_name, "arguments": ""});
                let opening = json!({"index": calls, "id": id(), "type": "function", "function": function});
                out.put(CALL, json!({"tool_calls": [opening]}), None);
                for token in tokens(arguments) {
                    let fragment = json!({"index": calls, "function": {"arguments": token}});
                    out.put(ARGUMENTS, json!({"tool_calls": [fragment]}), None);
                }
                calls += 1;
            }
        }
    }
    out.put(TEXT, json!({}), Some(if calls > 0 { "tool_calls" } else { "stop" }));
    out.end();
    out.chunks
}

struct Writer<'a> {
    head: &'a Head,
    chunks: Vec<Chunk>,
    tokens: usize,
    thought: usize,
}

impl Writer<'_> {
    fn chunk(&self, choices: &Value, usage: Value) -> String {
        let Head { id, model, created, .. } = self.head;
        let mut chunk = json!({
            "id": id, "object": "chat.completion.chunk", "created": created, "model": model,
            "system_fingerprint": "millrace", "choices": choices,
        });
        if self.head.usage {
            chunk["usage"] = usage;
        }
        chunk.to_string()
    }

    fn put(&mut self, after: Duration, delta: Value, finish: Option<&str>) {
        let choices = json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
        let data = self.chunk(&choices, Value::Null);
        // No model is a metronome; the same stream still takes the same time.
        let sway = [7, 10, 8, 14, 9, 12][self.tokens % 6];
        self.tokens += 1;
        self.chunks.push(Chunk { after: after * sway / 10, data });
    }

    fn end(&mut self) {
        if self.head.usage {
            let (prompt, output) = (self.head.request_bytes.div_ceil(TOKEN), self.tokens);
            let usage = json!({
                "prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output,
                "prompt_tokens_details": {"cached_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": self.thought},
            });
            let data = self.chunk(&json!([]), usage);
            self.chunks.push(Chunk { after: Duration::ZERO, data });
        }
        self.chunks.push(Chunk { after: Duration::ZERO, data: "[DONE]".to_owned() });
    }
}

/// A text in pieces as a tokeniser would give them: a word with its blank before it, long ones in several.
fn tokens(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let (mut start, mut length) = (0, 0);
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let word_begins = c.is_whitespace() && !before.is_whitespace();
        if length > 0 && (word_begins || length >= TOKEN + 2) {
            out.push(&text[start..at]);
            (start, length) = (at, 0);
        }
        length += 1;
        before = c;
    }
    if start < text.len() {
        out.push(&text[start..]);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(usage: bool) -> Head {
        Head { id: "chatcmpl-1".into(), model: "m".into(), created: 7, usage, request_bytes: 401 }
    }

    fn values(chunks: &[Chunk]) -> Vec<Value> {
        let (last, chunks) = chunks.split_last().unwrap();
        assert_eq!(last.data, "[DONE]");
        chunks.iter().map(|chunk| serde_json::from_str(&chunk.data).unwrap()).collect()
    }

    #[test]
    fn chunks_have_the_shape_that_openai_gives_them() {
        let said = [
            Said::Think("so".into()),
            Said::Text("Hi.".into()),
            Said::Call { wire_name: "a__b".into(), arguments: r#"{"x":1}"#.into() },
            Said::Call { wire_name: "c".into(), arguments: "{}".into() },
        ];
        let mut ids = 0;
        let all = chunks(&said, &head(true), || {
            ids += 1;
            format!("call_{ids}")
        });
        let deltas: Vec<String> = values(&all)
            .iter()
            .map(|chunk| match chunk["choices"].get(0) {
                Some(choice) => format!("{} {}", choice["delta"], choice["finish_reason"]),
                None => format!("usage {}", chunk["usage"]),
            })
            .collect();
        insta::assert_snapshot!(deltas.join("\n"), @r#"
        {"role":"assistant","content":"","refusal":null} null
        {"reasoning_content":"so"} null
        {"content":"Hi."} null
        {"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"a__b","arguments":""}}]} null
        {"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":1"}}]} null
        {"tool_calls":[{"index":0,"function":{"arguments":"}"}}]} null
        {"tool_calls":[{"index":1,"id":"call_2","type":"function","function":{"name":"c","arguments":""}}]} null
        {"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]} null
        {} "tool_calls"
        usage {"prompt_tokens":101,"completion_tokens":9,"total_tokens":110,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":1}}
        "#);
        let plain = chunks(&said[1..2], &head(false), String::new);
        let plain = values(&plain);
        assert_eq!(plain.last().unwrap()["choices"][0]["finish_reason"], "stop");
        assert!(plain.iter().all(|chunk| chunk.get("usage").is_none()));
    }

    proptest! {
        #[test]
        fn tokens_are_the_text_and_none_is_empty(text in "\\PC{0,40}( \\PC{0,9}|\n| ){0,9}") {
            let tokens = tokens(&text);
            prop_assert_eq!(tokens.concat(), text.as_str());
            prop_assert!(tokens.iter().all(|token| !token.is_empty() && token.chars().count() <= TOKEN + 2));
        }
    }
}
