//! Messages and outcomes as rows: the JSON of their columns, both ways.
//!
//! Mirrors of the domain's types stand here so that a change of those cannot silently change what is on disk.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::StoreError;
use crate::chat::{Answer, AnswerState, Body, CallId, OutcomeKind, Part, ToolCall, ToolOutcome, ToolRef};

#[derive(Serialize, Deserialize)]
struct AnswerRow {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    reasoning: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    refusal: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    calls: Vec<CallRow>,
    model: String,
    origin: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    extra: Map<String, Value>,
    finish: Option<String>,
    state: AnswerState,
}

#[derive(Serialize, Deserialize)]
struct CallRow {
    id: CallId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wire_id: Option<String>,
    index: u32,
    wire_name: String,
    tool: Option<ToolRef>,
    arguments: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    extra: Map<String, Value>,
}

/// What an outcome has beside its word, its content and its whole text.
#[derive(Serialize, Deserialize)]
struct OutcomeRow {
    /// Doubly optional, so that a structured `null` stays what it is.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some")]
    structured: Option<Value>,
    bytes: u64,
    truncated: bool,
    sent: bool,
    ms: f64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    full_is_result: bool,
}

fn some<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

/// The columns of a message.
pub(super) struct Columns {
    pub(super) role: &'static str,
    pub(super) text: String,
    pub(super) body: String,
}

pub(super) fn columns(body: &Body) -> Result<Columns, StoreError> {
    Ok(match body {
        Body::User(parts) => Columns { role: "user", text: plain(parts), body: serde_json::to_string(parts)? },
        Body::Assistant(answer) => Columns { role: "assistant", text: answer.text.clone(), body: answer_body(answer)? },
        Body::Tool(_) => Columns { role: "tool", text: String::new(), body: "null".into() },
    })
}

fn plain(parts: &[Part]) -> String {
    let mut out = String::new();
    for part in parts {
        let (Part::Text { text } | Part::File { text, .. }) = part else { continue };
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(text);
    }
    out
}

pub(super) fn answer_body(answer: &Answer) -> Result<String, StoreError> {
    let calls = answer.calls.iter().map(|call| CallRow {
        id: call.id.clone(),
        wire_id: call.wire_id.clone(),
        index: call.index,
        wire_name: call.wire_name.clone(),
        tool: call.tool.clone(),
        arguments: call.arguments.to_string(),
        extra: call.extra.clone(),
    });
    Ok(serde_json::to_string(&AnswerRow {
        reasoning: answer.reasoning.clone(),
        refusal: answer.refusal.clone(),
        calls: calls.collect(),
        model: answer.model.clone(),
        origin: answer.origin.clone(),
        extra: answer.extra.clone(),
        finish: answer.finish.clone(),
        state: answer.state,
    })?)
}

pub(super) fn parts(body: &str) -> Result<Vec<Part>, StoreError> {
    Ok(serde_json::from_str(body)?)
}

pub(super) fn answer(text: String, body: &str) -> Result<Answer, StoreError> {
    let row: AnswerRow = serde_json::from_str(body)?;
    let calls = row.calls.into_iter().map(|call| ToolCall {
        id: call.id,
        wire_id: call.wire_id,
        index: call.index,
        wire_name: call.wire_name,
        tool: call.tool,
        arguments: Arc::from(call.arguments),
        extra: call.extra,
    });
    Ok(Answer {
        text,
        reasoning: row.reasoning,
        refusal: row.refusal,
        calls: calls.collect(),
        model: row.model,
        origin: row.origin,
        extra: row.extra,
        finish: row.finish,
        state: row.state,
    })
}

pub(super) fn outcome_rest(outcome: &ToolOutcome) -> Result<String, StoreError> {
    Ok(serde_json::to_string(&OutcomeRow {
        structured: outcome.structured.clone(),
        bytes: outcome.bytes,
        truncated: outcome.truncated,
        sent: outcome.sent,
        ms: outcome.ms,
        notes: outcome.notes.clone(),
        full_is_result: outcome.full_is_result,
    })?)
}

pub(super) fn outcome(
    kind: &str,
    content: String,
    rest: &str,
    full: Option<String>,
) -> Result<ToolOutcome, StoreError> {
    let kind = OutcomeKind::from_word(kind).ok_or_else(|| StoreError::Row(format!("outcome {kind:?}")))?;
    let row: OutcomeRow = serde_json::from_str(rest)?;
    Ok(ToolOutcome {
        kind,
        content,
        structured: row.structured,
        full,
        full_is_result: row.full_is_result,
        bytes: row.bytes,
        truncated: row.truncated,
        sent: row.sent,
        ms: row.ms,
        notes: row.notes,
    })
}

/// Whether a person would say that the call failed.
pub(super) fn is_failure(kind: OutcomeKind) -> bool {
    match kind {
        OutcomeKind::Failed
        | OutcomeKind::TimedOut
        | OutcomeKind::Unknown
        | OutcomeKind::Invalid
        | OutcomeKind::Incomplete
        | OutcomeKind::Conflict => true,
        OutcomeKind::Done | OutcomeKind::Denied | OutcomeKind::Cancelled => false,
    }
}
