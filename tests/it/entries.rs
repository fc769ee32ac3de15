//! What the fuzz targets run, and `fuzzed` with them: bytes in, invariants asserted. Shared by path with `fuzz/`.
//!
//! # Invariants
//! - Deterministic: the same bytes do the same, so that a finding is a test.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken invariant stops the run")]

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use millrace::chat::{
    Answer, Api, ArgumentsPart, Body, CallFragment, CallId, Delta, EventDeltas, Lacks, Limits, Message, MessageId,
    OutcomeKind, Part, Request, Sampling, ServerName, ToolCall, ToolChoice, ToolList, ToolMessage, ToolOutcome, Tree,
    WireError, WireErrorKind,
};
use millrace::export::import::{self, Element, Elements};
use millrace::net::sse::SseReader;
use millrace::tools::{HIGHEST_LEVEL, Listing, Registry, RegistryRules, at_levels, offered};
use millrace::turn::{AssembledCall, Assembler, AssemblerLimits, CallStatus, Declared, Piece, StreamEnd};
use millrace::wire::{Decoder, Quirk, Quirks, Sent, encode, error_reply};
use serde_json::{Map, Value, json};

/// Bytes as decisions; 0 once they are used up.
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, limit: u8) -> u8 {
        self.byte() % limit.max(1)
    }

    fn one_of<T: Clone>(&mut self, of: &[T]) -> T {
        let at = usize::from(self.byte()) % of.len();
        of[at].clone()
    }

    /// Some of the bytes that follow, as text.
    fn text(&mut self) -> String {
        let length = usize::from(self.below(24)).min(self.0.len());
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        String::from_utf8_lossy(text).into_owned()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Small, so that every one of them is met.
fn limits() -> Limits {
    Limits {
        line: 2048,
        event: 4096,
        body: 32 << 10,
        arguments: 1024,
        nesting: 16,
        calls_per_round: 4,
        ..Limits::default()
    }
}

fn declared() -> Declared {
    Declared::new([("read", true), ("re", true), ("ping", false)])
}

/// A response body of either dialect: read whole and in pieces, decoded, assembled.
pub fn stream(data: &[u8]) {
    let mut choices = Choices(data);
    let api = if choices.below(2) == 0 { Api::Chat } else { Api::Responses };
    let kind = choices.one_of(&[None, Some("text/event-stream"), Some("application/json"), Some("text/html")]);
    let sizes: Vec<usize> = (0..4).map(|_| usize::from(choices.byte()) + 1).collect();
    let body = choices.0;
    let limits = limits();
    let mut whole = Vec::new();
    let mut reader = SseReader::new(kind, &limits);
    let ended = reader.push(body, &mut whole).and_then(|()| reader.finish(&mut whole));

    let (mut pieces, mut rest, mut sizes) = (Vec::new(), body, sizes.into_iter().cycle());
    let mut reader = SseReader::new(kind, &limits);
    let mut again = Ok(());
    while again.is_ok() && !rest.is_empty() {
        let (piece, more) = rest.split_at(sizes.next().unwrap_or(1).min(rest.len()));
        rest = more;
        again = reader.push(piece, &mut pieces);
        // Vectors grow by doubling.
        let most = 2 * (limits.line + 2 * limits.event) as usize + 8 * 256;
        assert!(reader.held() <= most, "{} bytes are held", reader.held());
    }
    let again = again.and_then(|()| reader.finish(&mut pieces));
    assert_eq!((&whole, &ended), (&pieces, &again), "the pieces of the body show");

    let mut decoder = Decoder::new(api);
    let events: Vec<EventDeltas> = whole.iter().map(|data| decoder.event(data)).collect();
    let _ = error_reply(500, kind, body);
    assemble(events, if ended.is_ok() { StreamEnd::Eof } else { StreamEnd::Cut }, &limits);
}

/// Arbitrary deltas, among them what no decoder would say.
pub fn deltas(data: &[u8]) {
    let mut choices = Choices(data);
    let mut events = Vec::new();
    let end = match choices.below(3) {
        0 => StreamEnd::Eof,
        1 => StreamEnd::Cut,
        _ => StreamEnd::Error(wire_error(WireErrorKind::Provider)),
    };
    while !choices.is_empty() && events.len() < 512 {
        let count = choices.below(3) + 1;
        let deltas = (0..count).map(|_| delta(&mut choices)).collect();
        events.push(EventDeltas { number: events.len() as u64 + 1, deltas });
    }
    assemble(events, end, &limits());
}

/// A file of conversations of any program: taken apart whole and in pieces, and each of its objects read.
pub fn import(data: &[u8]) {
    let mut choices = Choices(data);
    let most = choices.one_of(&[64 << 10, 64]);
    let sizes: Vec<usize> = (0..4).map(|_| usize::from(choices.byte()) + 1).collect();
    let file = choices.0;
    let mut whole = Vec::new();
    let mut elements = Elements::new(most);
    let ended = elements.push(file, &mut whole).and_then(|()| elements.finish());
    let (mut pieces, mut rest, mut sizes) = (Vec::new(), file, sizes.into_iter().cycle());
    let mut elements = Elements::new(most);
    let mut again = Ok(());
    while again.is_ok() && !rest.is_empty() {
        let (piece, more) = rest.split_at(sizes.next().unwrap_or(1).min(rest.len()));
        rest = more;
        again = elements.push(piece, &mut pieces);
    }
    let again = again.and_then(|()| elements.finish());
    assert_eq!((&whole, &ended), (&pieces, &again), "the pieces of the file show");
    for element in whole {
        let Element::Whole(bytes) = element else { continue };
        assert!(bytes.len() as u64 <= most, "{} bytes are held", bytes.len());
        for imported in import::read(&bytes).into_iter().flatten() {
            if imported.origin.is_some() {
                assert_tree(&imported.tree);
            }
        }
    }
}

/// Of a conversation of another program: what its readers promise the store.
fn assert_tree(tree: &Tree) {
    let mut open: HashMap<&MessageId, Vec<&CallId>> = HashMap::new();
    let mut before: Option<&MessageId> = None;
    let mut calls = HashSet::new();
    for (n, message) in tree.shown.messages.iter().chain(&tree.aside).enumerate() {
        if n < tree.shown.messages.len() {
            assert_eq!(message.parent.as_ref(), before, "what is shown is one path");
            before = Some(&message.id);
        }
        let mut waiting = match &message.parent {
            None => Vec::new(),
            Some(parent) => open.get(parent).cloned().expect("a parent comes first"),
        };
        match &message.body {
            Body::Tool(tool) => {
                let at = waiting.iter().position(|call| **call == tool.call).expect("an outcome belongs to a call");
                waiting.remove(at);
                assert!(!tool.outcome.sent, "nothing of it was sent from here");
            }
            Body::User(_) => assert!(waiting.is_empty(), "each call has an outcome"),
            Body::Assistant(answer) => {
                assert!(waiting.is_empty(), "each call has an outcome");
                for call in &answer.calls {
                    assert!(call.tool.is_none() && calls.insert(&call.id), "{call:?}");
                    let value: Value = serde_json::from_str(&call.arguments).expect("arguments are JSON");
                    assert!(value.is_object());
                    waiting.push(&call.id);
                }
            }
        }
        assert!(open.insert(&message.id, waiting).is_none(), "each id is used once");
    }
}

fn wire_error(kind: WireErrorKind) -> WireError {
    WireError { kind, message: "gone".into(), code: None }
}

fn delta(choices: &mut Choices<'_>) -> Delta {
    match choices.below(16) {
        0 => Delta::Text(choices.text()),
        1 => Delta::Reasoning(choices.text()),
        2 => Delta::Refusal(choices.text()),
        3 => Delta::Usage(json!({"prompt_tokens": choices.byte()})),
        4 => {
            let reason = choices.one_of(&["stop", "tool_calls", "length", "content_filter", "sensitive", ""]);
            let native = choices.one_of(&[None, Some("max_output_tokens"), Some("STOP")]);
            Delta::Finish { reason: reason.into(), native: native.map(Into::into) }
        }
        5 => Delta::Done,
        6 => Delta::Error(wire_error(choices.one_of(&[
            WireErrorKind::Provider,
            WireErrorKind::BadChunk,
            WireErrorKind::Truncated,
        ]))),
        7 => {
            let kind = choices.one_of(&["reasoning.text", "reasoning.encrypted"]);
            let entry = json!({"type": kind, "index": choices.below(2), "text": choices.text()});
            let value = choices.one_of(&[json!([entry]), json!({"a": entry}), entry, Value::Null]);
            Delta::Extra(Map::from_iter([("reasoning_details".to_owned(), value)]))
        }
        _ => Delta::Call(fragment(choices)),
    }
}

fn fragment(choices: &mut Choices<'_>) -> CallFragment {
    const PIECES: [&str; 20] = [
        "",
        "{",
        "}",
        "{}",
        "{\"a\":1}",
        "{\"a\"",
        ":1}",
        "\"",
        "\\",
        "null",
        "\"{}\"",
        "[",
        "]",
        " ",
        "\n",
        "1e5",
        ",",
        "{\"a\":1,\"a\":2}",
        "\\ud800",
        "\"{\\\"a\\\":1}\"",
    ];
    let arguments = match choices.below(6) {
        0 => None,
        1 => Some(ArgumentsPart::Value(choices.one_of(&["{}", "{\"a\":1}", "7", "[{}]", "null", "\"x\""]).to_owned())),
        2 => Some(ArgumentsPart::Text(choices.text())),
        3 => Some(ArgumentsPart::Text("x".repeat(usize::from(choices.byte()) * 8))),
        _ => Some(ArgumentsPart::Text(choices.one_of(&PIECES).to_owned())),
    };
    CallFragment {
        index: choices.one_of(&[None, Some(0), Some(1), Some(7), Some(u64::MAX)]),
        id: choices.one_of(&[None, None, Some("a"), Some("b")]).map(Into::into),
        name: choices
            .one_of(&[None, None, Some("read"), Some("re"), Some("ad"), Some("ping"), Some("x")])
            .map(Into::into),
        arguments,
        extra: Map::new(),
        done: choices.below(8) == 0,
    }
}

/// What the pieces said of one call.
#[derive(Clone, Default)]
struct Said {
    closed: u32,
    dropped: u32,
    conflicts: u32,
}

/// Assembles events and asserts what holds of every response.
fn assemble(events: Vec<EventDeltas>, end: StreamEnd, limits: &Limits) {
    let limits = AssemblerLimits::from(limits);
    let mut assembler = Assembler::new(declared(), limits);
    let (mut text, mut said, mut overflows) = (String::new(), Vec::<Said>::new(), 0);
    let mut hear = |pieces: Vec<Piece>| {
        for piece in pieces {
            match piece {
                Piece::Opened { call } => {
                    assert_eq!(call, said.len(), "calls are opened in their order");
                    said.push(Said::default());
                }
                Piece::Closed { call, text, .. } => {
                    said[call].closed += 1;
                    let value: Value = serde_json::from_str(&text).expect("closed arguments are JSON");
                    assert!(value.is_object(), "{text}");
                    assert_eq!(value.to_string(), &*text, "one serialisation");
                }
                Piece::Invalid { call, .. } | Piece::Incomplete { call } => said[call].dropped += 1,
                Piece::Conflict { call, .. } => said[call].conflicts += 1,
                Piece::TooManyCalls { limit } => {
                    overflows += 1;
                    assert_eq!(limit, limits.calls);
                }
                Piece::Text(piece) => text.push_str(&piece),
                Piece::Named { call }
                | Piece::Arguments { call, .. }
                | Piece::Restarted { call }
                | Piece::Duplicate { call } => {
                    assert!(call < said.len());
                }
                Piece::Reasoning(_)
                | Piece::Refusal(_)
                | Piece::Usage(_)
                | Piece::Finish { .. }
                | Piece::Done
                | Piece::Error(_) => {}
            }
        }
    };
    for event in events {
        hear(assembler.apply(event));
    }
    hear(assembler.end(end));
    assert!(assembler.end(StreamEnd::Eof).is_empty(), "the end comes once");
    assert_eq!(assembler.content(), text);
    assert!(overflows <= 1 && assembler.calls().len() <= limits.calls as usize);
    assert_eq!(said.len(), assembler.calls().len());
    for (said, call) in said.iter().zip(assembler.calls()) {
        assert_eq!(said.closed + said.dropped, 1, "exactly one end: {call:?}");
        assert!(said.conflicts <= said.closed, "only what had closed can be in conflict: {call:?}");
        assert_call(call, said, limits);
    }
    let _ = (assembler.effective(), assembler.effective_word(), assembler.extra());
}

fn assert_call(call: &AssembledCall, said: &Said, limits: AssemblerLimits) {
    let expect = match call.status {
        CallStatus::Open => panic!("open after the end: {call:?}"),
        CallStatus::Closed => (1, 0, 0),
        CallStatus::Conflict => (1, 0, 1),
        CallStatus::Incomplete | CallStatus::Invalid => (0, 1, 0),
    };
    assert_eq!((said.closed, said.dropped, said.conflicts), expect, "{call:?}");
    assert_eq!(call.arguments.is_some(), said.closed == 1, "{call:?}");
    assert!(call.bytes() <= limits.arguments, "{} bytes are kept", call.bytes());
    assert!(call.late.as_ref().is_none_or(|late| late.len() as u64 <= 3 * limits.arguments), "{call:?}");
}

const QUIRKS: [Quirk; 20] = [
    Quirk::NoStreamOptions,
    Quirk::MaxCompletionTokens,
    Quirk::MaxTokens,
    Quirk::NoTemperature,
    Quirk::NoReasoningEffort,
    Quirk::NoEffortWithTools,
    Quirk::NoStrict,
    Quirk::NoParallelToolCalls,
    Quirk::NoToolChoice,
    Quirk::NoResponseFormat,
    Quirk::NoEncryptedReasoning,
    Quirk::EmptyContent,
    Quirk::NullContent,
    Quirk::System,
    Quirk::Developer,
    Quirk::User,
    Quirk::NineCharIds,
    Quirk::ReasoningContent,
    Quirk::NoReasoningContent,
    Quirk::UnsignedCalls,
];

/// Arbitrary schemas and histories, through the registry, the levels, the quirks and both encoders.
pub fn request(data: &[u8]) {
    let mut choices = Choices(data);
    let mut registry = Registry::new(RegistryRules::default(), Arc::new(Limits::default()));
    let count = choices.below(3) + 1;
    let tools: Vec<Value> = (0..count)
        .map(|n| {
            let name = choices.one_of(&["read".to_owned(), "a.b c".to_owned(), "ü".to_owned(), format!("t{n}")]);
            json!({"name": name, "description": choices.text(), "inputSchema": schema(&mut choices, 0)})
        })
        .collect();
    let server = ServerName::new("fuzz");
    registry.apply(Listing {
        server: server.clone(),
        entry: Arc::from("e"),
        tools,
        instructions: None,
        from_cache: false,
    });
    registry.settled(&server);
    let base = registry.snapshot().list();
    let mut list = base.clone();
    if let Some(base) = &base {
        assert_list(base);
        let names = offered(base);
        for level in 0..=HIGHEST_LEVEL {
            let Some(made) = at_levels(base, |_| level) else { continue };
            assert_list(&made);
            assert_eq!(
                names.iter().map(|(name, _)| name).collect::<Vec<_>>(),
                offered(&made).iter().map(|(name, _)| name).collect::<Vec<_>>()
            );
            if choices.below(2) == 0 {
                list = Some(Arc::new(made));
            }
        }
    }
    let mut quirks = Quirks { origin: "o".into(), vision: choices.below(2) == 0, ..Quirks::default() };
    for _ in 0..choices.below(6) {
        choices.one_of(&QUIRKS).apply(&mut quirks);
    }
    let request = Request {
        model: choices.text(),
        lacks: Lacks { tools: false, vision: choices.below(2) == 0, reasoning: choices.below(2) == 0 },
        system: choices.one_of(&[None, Some("s".to_owned()), Some(String::new())]),
        messages: history(&mut choices),
        tools: choices.one_of(&[list.clone(), list, None]),
        tool_choice: choices.one_of(&[
            ToolChoice::Auto,
            ToolChoice::None,
            ToolChoice::Required,
            ToolChoice::Named("x".into()),
        ]),
        sampling: Sampling {
            temperature: choices.one_of(&[None, Some(0.5), Some(f64::NAN)]),
            max_output_tokens: choices.one_of(&[None, Some(u64::MAX)]),
            reasoning_effort: choices.one_of(&[None, Some("low".to_owned())]),
            params: vec![(choices.text(), schema(&mut choices, 3)), ("tools".into(), json!([]))]
                [..usize::from(choices.below(3))]
                .to_vec(),
            schema: choices.one_of(&[None, Some(json!(true))]),
        },
    };
    for api in [Api::Chat, Api::Responses] {
        let body = encode(api, &request, &quirks);
        let value: Value = serde_json::from_slice(&body).expect("a body is JSON");
        assert_eq!(
            value["stream"],
            request.sampling.params.iter().find(|(key, _)| key == "stream").map_or(json!(true), |(_, v)| v.clone())
        );
        if api == Api::Chat && !request.sampling.params.iter().any(|(key, _)| key == "messages") {
            assert_messages(value["messages"].as_array().expect("messages"));
        }
        // What comes back about it, in the bytes' own words.
        let names: Vec<String> =
            request.tools.as_deref().map(offered).unwrap_or_default().into_iter().map(|(n, _)| n).collect();
        let sent = Sent { quirks: &quirks, body: &body, tools: &names };
        let reply = error_reply(400, None, choices.0);
        let _ = (
            reply.quirk(&sent, &|_| false),
            reply.tool(&sent).map(|at| assert!(at < names.len())),
            reply.names_schema(),
        );
    }
}

/// Every element is a function with an object for its parameters.
fn assert_list(list: &ToolList) {
    let elements: Vec<Value> = serde_json::from_str(&list.json).expect("a list of tools is JSON");
    assert_eq!(elements.len(), list.count as usize);
    for element in &elements {
        let parameters = &element["function"]["parameters"];
        assert!(element["function"]["name"].is_string() && parameters["type"] == "object", "{element}");
        assert!(parameters["properties"].is_object(), "{element}");
    }
}

/// Every call has its one tool message behind it, under the same id.
fn assert_messages(messages: &[Value]) {
    let mut open: Vec<&Value> = Vec::new();
    for message in messages {
        match message["role"].as_str().expect("a role") {
            "tool" => {
                assert!(!open.is_empty(), "{message}");
                assert_eq!(open.remove(0), &message["tool_call_id"]);
            }
            _ => {
                assert!(open.is_empty(), "calls without outcomes before {message}");
                open = message["tool_calls"].as_array().into_iter().flatten().map(|call| &call["id"]).collect();
            }
        }
    }
    assert!(open.is_empty());
}

/// A schema, or what somebody took for one.
fn schema(choices: &mut Choices<'_>, depth: u32) -> Value {
    const KEYWORDS: [&str; 26] = [
        "type",
        "properties",
        "items",
        "prefixItems",
        "anyOf",
        "oneOf",
        "allOf",
        "not",
        "$ref",
        "$defs",
        "enum",
        "const",
        "required",
        "additionalProperties",
        "description",
        "format",
        "minimum",
        "pattern",
        "if",
        "then",
        "default",
        "nullable",
        "$schema",
        "definitions",
        "dependentSchemas",
        "x",
    ];
    if depth > 6 {
        return json!({});
    }
    match choices.below(9) {
        0 => choices.one_of(&[
            json!(null),
            json!(true),
            json!(false),
            json!(1e300),
            json!("#/$defs/x"),
            json!("#"),
            json!(""),
        ]),
        1 => choices.text().into(),
        2 => choices.one_of(&[
            json!("object"),
            json!("string"),
            json!("array"),
            json!(["string", "null"]),
            json!("date-time"),
        ]),
        3 => (0..choices.below(4)).map(|_| schema(choices, depth + 1)).collect(),
        _ => {
            let fields = choices.below(5);
            let mut map = Map::new();
            for _ in 0..fields {
                let key = if choices.below(4) == 0 { choices.text() } else { choices.one_of(&KEYWORDS).to_owned() };
                map.insert(key, schema(choices, depth + 1));
            }
            Value::Object(map)
        }
    }
}

fn history(choices: &mut Choices<'_>) -> Vec<Arc<Message>> {
    let mut messages = Vec::new();
    let mut say = |body| messages.push(Arc::new(Message { id: MessageId::new("m"), parent: None, at: 0, body }));
    for _ in 0..choices.below(6) {
        match choices.below(3) {
            0 => {
                let image = Part::Image { name: "i".into(), mime: "image/png".into(), data: "iVBORw0KGgo=".into() };
                let file = Part::File { name: choices.text(), text: choices.text() };
                let all = [Part::text(choices.text()), image, file];
                say(Body::User(all[..usize::from(choices.below(4))].to_vec()));
            }
            1 => {
                let calls: Vec<ToolCall> = (0..choices.below(3))
                    .map(|n| ToolCall {
                        id: CallId::new(format!("{}{n}", choices.text())),
                        wire_id: None,
                        index: u32::from(n),
                        wire_name: choices.text(),
                        tool: None,
                        arguments: choices.one_of(&["{}", "{\"a\":1}"]).into(),
                        extra: Map::from_iter([(choices.text(), schema(choices, 4))]),
                    })
                    .collect();
                let ids: Vec<CallId> = calls.iter().map(|call| call.id.clone()).collect();
                let key =
                    choices.one_of(&["reasoning_content", "reasoning_items", "reasoning_details", "role", "content"]);
                say(Body::Assistant(Answer {
                    text: choices.text(),
                    reasoning: choices.text(),
                    calls,
                    origin: choices.one_of(&["o", "p", ""]).into(),
                    extra: Map::from_iter([(key.to_owned(), schema(choices, 4))]),
                    ..Answer::default()
                }));
                for id in ids {
                    if choices.below(4) > 0 {
                        let full = choices.one_of(&[
                            None,
                            Some(json!({"content": [{"type": "image", "data": "iVBORw0KGgo="}]}).to_string()),
                            Some("{\"content\"".to_owned()),
                        ]);
                        let outcome = ToolOutcome { full, ..ToolOutcome::unsent(OutcomeKind::Done, choices.text()) };
                        say(Body::Tool(ToolMessage { call: id, outcome: Arc::new(outcome) }));
                    }
                }
            }
            _ => {
                let outcome = Arc::new(ToolOutcome::unsent(OutcomeKind::Failed, choices.text()));
                say(Body::Tool(ToolMessage { call: CallId::new("nobody's"), outcome }));
            }
        }
    }
    messages
}
