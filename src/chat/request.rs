//! What is asked of a model in one round.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Message;

/// One round's request, before any dialect.
#[derive(Clone, Debug)]
pub struct Request {
    pub model: String,
    pub system: Option<String>,
    /// From the first message to the last, outcomes in call order.
    pub messages: Vec<Arc<Message>>,
    /// None: the request carries no tools.
    pub tools: Option<Arc<ToolList>>,
    pub tool_choice: ToolChoice,
    pub sampling: Sampling,
    pub lacks: Lacks,
}

/// What a model is known not to take, so that it is left out of its requests. Not known is not lacking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lacks {
    /// Tools are not offered.
    pub tools: bool,
    /// Images are told of by their names.
    pub vision: bool,
    /// Reasoning is not sent back.
    pub reasoning: bool,
}

/// The tools as they are offered: the same bytes in every round of a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolList {
    /// A JSON array in Chat Completions form (`[{"type":"function","function":{…}}]`), never empty.
    pub json: String,
    /// SHA-256 of `json`, hex (`tools_hash`).
    pub hash: String,
    pub count: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    #[default]
    Auto,
    None,
    Required,
    /// A wire name.
    Named(String),
}

/// Sent only where given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampling {
    pub temperature: Option<f64>,
    pub max_output_tokens: Option<u64>,
    pub reasoning_effort: Option<String>,
    /// `--param KEY=JSON`, in order.
    pub params: Vec<(String, Value)>,
    /// A JSON Schema for the answer (`--schema`).
    pub schema: Option<Value>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    #[default]
    Chat,
    Responses,
}

impl Api {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
        }
    }
}
