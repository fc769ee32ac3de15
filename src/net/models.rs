//! What an endpoint offers: `GET {base}/models`, in every shape that is served under that name.

use std::time::Duration;

use http::StatusCode;
use http::header::ACCEPT;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::chat::{Fault, FaultKind, Prices, Retry};

use super::failure::{Failure, quote, root};
use super::{Endpoint, Http};

/// OpenRouter's list is 1.5 MB.
const LARGEST: usize = 16 << 20;
const LONGEST: Duration = Duration::from_secs(30);
/// More models of one endpoint are not looked at.
const MOST: usize = 5_000;

/// A model as its endpoint lists it. All texts are raw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelInfo {
    /// What `-m` takes.
    pub id: String,
    /// How people call it.
    pub name: Option<String>,
    pub description: Option<String>,
    /// When it was made or, on Ollama, pulled: seconds since 1970.
    pub created: Option<i64>,
    /// Parameters and quantisation: `8.0B Q4_K_M`.
    pub size: Option<String>,
    /// Tokens of one answer.
    pub max_output: Option<u64>,
    /// The endpoint's own address for such things has been asked too.
    pub detailed: bool,
    /// Tokens that fit, where the endpoint tells.
    pub context: Option<u64>,
    /// Who made or serves it, where the endpoint tells.
    pub owner: Option<String>,
    /// Whether it takes tools, sees images, reasons; None where the endpoint does not tell.
    pub tools: Option<bool>,
    pub vision: Option<bool>,
    pub reasoning: Option<bool>,
    /// Where the endpoint tells, in its own currency (dollars on OpenRouter and Together).
    pub prices: Option<Prices>,
}

/// The models of an endpoint, in its order, each once.
///
/// # Errors
/// As a request for an answer fails; `Protocol` where the reply is no list of models.
pub async fn models(http: &Http, endpoint: &Endpoint) -> Result<Vec<ModelInfo>, Fault> {
    let body = tokio::time::timeout(LONGEST, get(http, endpoint)).await.map_err(|_| {
        Fault::new(FaultKind::Network, format!("{} did not list its models within 30 s.", endpoint.host()))
            .hint("Name a model with -m.")
            .retry(Retry::Later(None))
    })??;
    read_list(&body).ok_or_else(|| {
        let said = quote(&String::from_utf8_lossy(body.get(..400).unwrap_or(&body)));
        Fault::new(FaultKind::Protocol, format!("{} answered with no list of models: {said}", endpoint.url("models")))
            .hint("Check that the base URL goes up to and with /v1, or name a model with -m.")
            .retry(Retry::AfterChange)
    })
}

async fn get(http: &Http, endpoint: &Endpoint) -> Result<Vec<u8>, Fault> {
    let client = http.ready().await?;
    let request =
        client.get(endpoint.url("models")).headers(endpoint.request_headers()?).header(ACCEPT, "application/json");
    let response = request.send().await.map_err(|error| Failure::unsent(http, endpoint, &error).fault)?;
    let (status, headers) = (response.status(), response.headers().clone());
    let (body, whole) = read_body(response, if status.is_success() { LARGEST } else { 64 << 10 }).await;
    if status.is_success() {
        return match whole {
            Ok(()) => Ok(body),
            Err(why) => Err(Fault::new(
                FaultKind::Network,
                format!("The list of models of {} broke off: {why}.", endpoint.host()),
            )
            .hint("Try again, or name a model with -m.")
            .retry(Retry::Later(None))),
        };
    }
    let mut fault = Failure::refused(endpoint, status, &headers, &body).fault;
    if status == StatusCode::NOT_FOUND {
        fault = Fault::new(FaultKind::Provider, format!("{} offers no list of models (404).", endpoint.url("models")))
            .hint("Check that the base URL goes up to and with /v1, or name a model with -m.")
            .retry(Retry::AfterChange);
    }
    Err(fault)
}

/// Reads a body up to a size; more is left unread.
///
/// # Errors
/// With what came so far, why it is not whole.
pub(super) async fn read_body(mut response: reqwest::Response, most: usize) -> (Vec<u8>, Result<(), String>) {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return (body, Ok(())),
            Ok(Some(chunk)) => {
                let room = most.saturating_sub(body.len());
                body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
                if chunk.len() > room {
                    return (body, Err(format!("it is larger than {most} bytes")));
                }
            }
            Err(error) => return (body, Err(root(&error))),
        }
    }
}

/// Whether a body is a page for people.
pub(super) fn is_page(content_type: &str, body: &[u8]) -> bool {
    let first = body.iter().find(|b| !b.is_ascii_whitespace());
    content_type.to_ascii_lowercase().contains("text/html") && first != Some(&b'{') || first == Some(&b'<')
}

/// A list of models in any of its shapes: `{data:[…]}`, `{models:[…]}`, a bare array; of objects or of names. None
/// where it is none of these.
fn read_list(body: &[u8]) -> Option<Vec<ModelInfo>> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let list = match &value {
        Value::Array(list) => list,
        Value::Object(object) => match object.get("data").or_else(|| object.get("models")) {
            Some(Value::Array(list)) => list,
            // Ollama without models.
            Some(Value::Null) if object.get("object").and_then(Value::as_str) == Some("list") => {
                return Some(Vec::new());
            }
            _ => return None,
        },
        _ => return None,
    };
    let mut models: Vec<ModelInfo> = Vec::with_capacity(list.len());
    let mut seen = std::collections::HashSet::new();
    for model in list.iter().filter_map(read_model).take(MOST) {
        if seen.insert(model.id.clone()) {
            models.push(model);
        }
    }
    // A list of other things is not a list of models.
    (!models.is_empty() || list.is_empty()).then_some(models)
}

fn read_model(value: &Value) -> Option<ModelInfo> {
    let text = |keys: &[&str]| keys.iter().find_map(|key| value.get(key)?.as_str()).filter(|t| !t.is_empty());
    if let Value::String(id) = value {
        return (!id.is_empty()).then(|| ModelInfo { id: id.clone(), ..ModelInfo::default() });
    }
    let id = text(&["id", "model", "name"])?;
    // Together and OpenRouter, vLLM, LM Studio, Groq, Gemini, Mistral, llama.cpp.
    let places = [
        "/context_length",
        "/max_model_len",
        "/max_context_length",
        "/context_window",
        "/inputTokenLimit",
        "/input_token_limit",
        "/top_provider/context_length",
        "/meta/n_ctx",
        "/meta/n_ctx_train",
        "/model_spec/availableContextTokens",
        "/limits/max_input_tokens",
        "/capabilities/limits/max_context_window_tokens",
    ];
    let context = places.iter().find_map(|place| value.pointer(place)?.as_u64().filter(|n| *n > 0));
    Some(ModelInfo {
        id: id.to_owned(),
        context,
        name: text(&["display_name", "displayName", "name"]).filter(|name| *name != id).map(|name| first(name, NAME)),
        description: text(&["description"]).map(|text| first(text, DESCRIPTION)),
        created: value.get("created").and_then(Value::as_i64).filter(|at| *at > 0),
        size: text(&["quantization"]).map(|size| first(size, NAME)),
        max_output: OUTPUTS.iter().find_map(|place| value.pointer(place)?.as_u64().filter(|n| *n > 0)),
        detailed: false,
        owner: text(&["owned_by", "publisher"]).map(str::to_owned),
        tools: ability(value, &TOOLS),
        vision: ability(value, &VISION),
        reasoning: ability(value, &REASONING),
        prices: prices(value),
    })
}

/// The most of a name, and of a description, that is kept; characters.
pub(super) const NAME: usize = 100;
const DESCRIPTION: usize = 600;

pub(super) fn first(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// OpenRouter, Groq, Gemini, Copilot: the longest answer.
const OUTPUTS: [&str; 5] = [
    "/top_provider/max_completion_tokens",
    "/max_completion_tokens",
    "/outputTokenLimit",
    "/max_output_tokens",
    "/capabilities/limits/max_output_tokens",
];

/// Where endpoints say what a model can.
struct Ability {
    /// Members that are true or false.
    flags: &'static [&'static str],
    /// Lists of words, and the words in them that mean yes. A list without one of them means no.
    lists: &'static [(&'static str, &'static [&'static str])],
}

/// OpenRouter's `supported_parameters`; LM Studio's and Ollama's lists; Mistral's, Copilot's and Venice's flags.
const TOOLS: Ability = Ability {
    flags: &[
        "/capabilities/function_calling",
        "/capabilities/tools",
        "/capabilities/supports/tool_calls",
        "/model_spec/capabilities/supportsFunctionCalling",
        "/supports_tools",
        "/supports_tool_calls",
    ],
    lists: &[
        ("/supported_parameters", &["tools"]),
        ("/capabilities", &["tools", "tool_use", "tool-use", "function_calling", "function-calling"]),
        ("/supported_features", &["tools", "function_calling"]),
    ],
};

/// OpenRouter's architecture; the same places else; llama.cpp's `multimodal`.
const VISION: Ability = Ability {
    flags: &[
        "/capabilities/vision",
        "/capabilities/supports/vision",
        "/model_spec/capabilities/supportsVision",
        "/supports_vision",
        "/supports_image_in",
        "/supports_images",
    ],
    lists: &[
        ("/architecture/input_modalities", &["image"]),
        ("/input_modalities", &["image"]),
        ("/modalities/input", &["image"]),
        ("/capabilities", &["vision", "multimodal", "image"]),
        ("/supported_features", &["vision", "image"]),
    ],
};

const REASONING: Ability = Ability {
    flags: &[
        "/capabilities/reasoning",
        "/capabilities/thinking",
        "/model_spec/capabilities/supportsReasoning",
        "/supports_reasoning",
    ],
    lists: &[
        ("/supported_parameters", &["reasoning", "include_reasoning", "reasoning_effort"]),
        ("/capabilities", &["thinking", "reasoning"]),
        ("/supported_features", &["reasoning", "thinking"]),
    ],
};

fn ability(model: &Value, ability: &Ability) -> Option<bool> {
    let flag = ability.flags.iter().find_map(|place| model.pointer(place)?.as_bool());
    flag.or_else(|| {
        ability.lists.iter().find_map(|(place, words)| {
            let list = model.pointer(place)?.as_array()?;
            Some(list.iter().filter_map(Value::as_str).any(|word| words.contains(&word)))
        })
    })
}

/// Per token and as text on OpenRouter, per million and as numbers on Together.
fn prices(model: &Value) -> Option<Prices> {
    let pricing = model.get("pricing")?;
    let price = |names: &[&str]| {
        names.iter().find_map(|name| match pricing.get(*name)? {
            Value::String(text) => text.parse::<f64>().ok().map(|price| price * 1e6),
            Value::Number(number) => number.as_f64(),
            _ => None,
        })
    };
    // Negative: it depends (OpenRouter's router models).
    let known = |price: &f64| price.is_finite() && *price >= 0.0;
    Some(Prices {
        input: price(&["prompt", "input"]).filter(known)?,
        output: price(&["completion", "output"]).filter(known)?,
        cached: price(&["input_cache_read", "cached_input"]).filter(known),
    })
}

/// The models behind an address on this machine, or None where something else, or nothing, answers there.
pub(super) async fn ask(client: &reqwest::Client, base: &Url) -> Option<Vec<ModelInfo>> {
    let url = format!("{}/models", base.as_str().trim_end_matches('/'));
    let response = client.get(url).header(ACCEPT, "application/json").send().await.ok()?;
    if !response.status().is_success() {
        return None;
    }
    let (body, whole) = read_body(response, LARGEST).await;
    whole.ok()?;
    // Stricter than `models`: what listens on a common port may be anything.
    let value: Value = serde_json::from_slice(&body).ok()?;
    let named = |list: &Vec<Value>| list.iter().all(|m| m.get("id").is_some_and(Value::is_string));
    let listed = value.get("object").and_then(Value::as_str) == Some("list");
    match value.get("data") {
        Some(Value::Array(list)) if named(list) && (listed || !list.is_empty()) => read_list(&body),
        Some(Value::Null) if listed => Some(Vec::new()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_shape_of_a_list_is_read() {
        let ids = |body: &str| {
            read_list(body.as_bytes()).map(|list| list.into_iter().map(|m| m.id).collect::<Vec<_>>().join(" "))
        };
        for (body, expect) in [
            (r#"{"object":"list","data":[{"id":"a","object":"model"},{"id":"b"},{"id":"a"}]}"#, Some("a b")),
            (r#"{"models":[{"name":"models/gemini"},{"model":"x","name":"y"}]}"#, Some("models/gemini x")),
            (r#"[{"id":"a"},{"nothing":1},{"id":""}]"#, Some("a")),
            (r#"["a","b",""]"#, Some("a b")),
            (r#"{"object":"list","data":null}"#, Some("")),
            (r#"{"data":[]}"#, Some("")),
            (r#"{"data":null}"#, None),
            (r#"[1,2]"#, None),
            (r#"{"ok":true}"#, None),
            ("<html>", None),
        ] {
            assert_eq!(ids(body).as_deref(), expect, "{body}");
        }
    }

    #[test]
    fn abilities_and_prices_are_found_where_providers_put_them() {
        let read = |model: Value| {
            let model = read_model(&model).unwrap();
            (model.tools, model.vision, model.reasoning, model.prices)
        };
        let (yes, no) = (Some(true), Some(false));
        let openrouter = json!({"id": "a", "architecture": {"input_modalities": ["text", "image"]},
            "supported_parameters": ["tools", "temperature"], "pricing": {"prompt": "0.000002", "completion": "0.00001"}});
        let prices = Prices { input: 2.0, output: 10.0, cached: None };
        assert_eq!(read(openrouter), (yes, yes, no, Some(prices)));
        let mistral = json!({"id": "a", "capabilities": {"function_calling": true, "vision": false}});
        assert_eq!(read(mistral), (yes, no, None, None));
        let studio = json!({"id": "a", "capabilities": ["tool_use"]});
        assert_eq!(read(studio), (yes, no, no, None));
        let together = json!({"id": "a", "pricing": {"input": 0.2, "output": 0.6, "hourly": 0}});
        assert_eq!(read(together).3, Some(Prices { input: 0.2, output: 0.6, cached: None }));
        let router = json!({"id": "a", "pricing": {"prompt": "-1", "completion": "-1"}});
        assert_eq!(read(router), (None, None, None, None));
        assert_eq!(read(json!({"id": "a", "object": "model"})), (None, None, None, None));
    }

    #[test]
    fn context_lengths_are_found_where_providers_put_them() {
        let context = |model: &str| read_model(&serde_json::from_str(model).unwrap()).unwrap().context;
        assert_eq!(context(r#"{"id":"a","context_length":8192}"#), Some(8192));
        assert_eq!(context(r#"{"id":"a","max_model_len":4096}"#), Some(4096));
        assert_eq!(context(r#"{"id":"a","meta":{"n_ctx_train":8192}}"#), Some(8192));
        assert_eq!(context(r#"{"id":"a","context_length":0,"top_provider":{"context_length":1}}"#), Some(1));
        assert_eq!(context(r#"{"id":"a"}"#), None);
    }
}
