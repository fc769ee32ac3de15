//! What local servers tell of their models beside OpenAI's list: Ollama's `/api/show`, LM Studio's `/api/v0/models`,
//! llama.cpp's `/props`.
//!
//! # Invariants
//! - Only an endpoint that is shaped like one of them is asked, at its own origin and with its own key.
//! - Each question has its own time and size, and some are asked at once; what is not answered stays unknown.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use http::header::ACCEPT;
use serde_json::{Value, json};
use url::Url;

use super::models::{ModelInfo, NAME, first, read_body};
use super::{Endpoint, Http};

const LONGEST: Duration = Duration::from_secs(5);
/// A model's page holds its licence and template.
const LARGEST: usize = 4 << 20;
/// How many models are asked about, and how many of them at once.
const MOST: usize = 64;
const AT_ONCE: usize = 8;

/// Fills in what the list did not tell. What `known` holds of a model that has not changed since is not asked again.
pub(super) async fn fill(http: &Http, endpoint: &Endpoint, models: &mut [ModelInfo], known: &[ModelInfo]) {
    let owner = models.first().and_then(|model| model.owner.as_deref());
    let ollama =
        models.iter().any(|model| model.owner.as_deref() == Some("library")) || endpoint.base_url.port() == Some(11434);
    match owner {
        Some("llamacpp") => llama(http, endpoint, models).await,
        Some("organization_owner") => studio(http, endpoint, models).await,
        _ if ollama => self::ollama(http, endpoint, models, known).await,
        Some(_) | None => {}
    }
}

/// An address beside the `/v1` of the endpoint.
fn beside(endpoint: &Endpoint, path: &str) -> Url {
    let mut url = endpoint.base_url.clone();
    let base = url.path().trim_end_matches('/').trim_end_matches("/v1").to_owned();
    url.set_path(&format!("{base}/{path}"));
    url
}

async fn asked(http: &Http, endpoint: &Endpoint, path: &str, body: Option<Value>) -> Option<Value> {
    let ask = async {
        let client = http.ready().await.ok()?;
        let url = beside(endpoint, path);
        let request = match body {
            Some(body) => client.post(url).json(&body),
            None => client.get(url),
        };
        let headers = endpoint.request_headers().ok()?;
        let response = request.headers(headers).header(ACCEPT, "application/json").send().await.ok()?;
        if !response.status().is_success() {
            return None;
        }
        let (body, whole) = read_body(response, LARGEST).await;
        whole.ok()?;
        serde_json::from_slice(&body).ok()
    };
    tokio::time::timeout(LONGEST, ask).await.ok().flatten()
}

async fn ollama(http: &Http, endpoint: &Endpoint, models: &mut [ModelInfo], known: &[ModelInfo]) {
    let version = asked(http, endpoint, "api/version", None).await;
    if !version.is_some_and(|version| version.get("version").is_some_and(Value::is_string)) {
        return;
    }
    let known: HashMap<&str, &ModelInfo> =
        known.iter().filter(|model| model.detailed).map(|model| (model.id.as_str(), model)).collect();
    let (mut new, mut at) = (Vec::new(), Vec::new());
    for (n, model) in models.iter_mut().enumerate() {
        match known.get(model.id.as_str()).filter(|old| old.created.is_some() && old.created == model.created) {
            Some(old) => *model = (*old).clone(),
            None => {
                new.push(model.id.clone());
                at.push(n);
            }
        }
    }
    let questions = new.into_iter().zip(at).take(MOST).map(|(id, n)| async move {
        let shown = asked(http, endpoint, "api/show", Some(json!({"model": id}))).await;
        (n, shown)
    });
    let mut answers = futures_util::stream::iter(questions).buffer_unordered(AT_ONCE);
    while let Some((n, shown)) = answers.next().await {
        if let Some(shown) = shown {
            read_show(&shown, &mut models[n]);
        }
    }
    // Models that are loaded have the window that they were loaded with, which may be less than they could have.
    let loaded = asked(http, endpoint, "api/ps", None).await;
    let loaded = loaded.as_ref().and_then(|ps| ps.get("models")?.as_array());
    for running in loaded.into_iter().flatten() {
        let name = running.get("model").or_else(|| running.get("name")).and_then(Value::as_str);
        let window = running.get("context_length").and_then(Value::as_u64).filter(|n| *n > 0);
        if let (Some(name), Some(window)) = (name, window)
            && let Some(model) = models.iter_mut().find(|model| model.id == name)
        {
            model.context = Some(window);
            // To be asked again: it is loaded otherwise another time.
            model.detailed = false;
        }
    }
}

/// Takes over what Ollama shows of a model.
fn read_show(shown: &Value, model: &mut ModelInfo) {
    model.detailed = true;
    // `num_ctx` of the model file is what a request gets; else what the weights can.
    let set = shown.get("parameters").and_then(Value::as_str).and_then(|text| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix("num_ctx"))?;
        line.trim().parse::<u64>().ok()
    });
    let info = shown.get("model_info").and_then(Value::as_object);
    let trained = info.and_then(|info| {
        info.iter().find(|(key, _)| key.ends_with(".context_length")).and_then(|(_, length)| length.as_u64())
    });
    model.context = set.or(trained).filter(|n| *n > 0).or(model.context);
    if let Some(list) = shown.get("capabilities").and_then(Value::as_array) {
        let can = |word: &str| Some(list.iter().any(|known| known.as_str() == Some(word)));
        model.tools = can("tools");
        model.vision = can("vision");
        model.reasoning = can("thinking");
    }
    let detail = |key: &str| shown.pointer(&format!("/details/{key}")).and_then(Value::as_str).unwrap_or_default();
    let size = format!("{} {}", detail("parameter_size"), detail("quantization_level"));
    model.size = Some(first(size.trim(), NAME)).filter(|size| !size.is_empty());
}

async fn studio(http: &Http, endpoint: &Endpoint, models: &mut [ModelInfo]) {
    let Some(list) = asked(http, endpoint, "api/v0/models", None).await else { return };
    for entry in list.get("data").and_then(Value::as_array).into_iter().flatten() {
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        let Some(model) = models.iter_mut().find(|model| Some(model.id.as_str()) == text("id")) else { continue };
        let number = |key: &str| entry.get(key).and_then(Value::as_u64).filter(|n| *n > 0);
        model.detailed = true;
        model.context = number("loaded_context_length").or_else(|| number("max_context_length")).or(model.context);
        model.vision = text("type").map(|kind| kind == "vlm").or(model.vision);
        if let Some(list) = entry.get("capabilities").and_then(Value::as_array) {
            model.tools = Some(list.iter().any(|known| known.as_str() == Some("tool_use")));
        }
        model.size = text("quantization").map(|size| first(size, NAME));
        model.owner = text("publisher").map(|owner| first(owner, NAME)).or_else(|| model.owner.take());
    }
}

async fn llama(http: &Http, endpoint: &Endpoint, models: &mut [ModelInfo]) {
    let Some(props) = asked(http, endpoint, "props", None).await else { return };
    let [model] = models else { return };
    model.detailed = true;
    let window = props.pointer("/default_generation_settings/n_ctx").or_else(|| props.get("n_ctx"));
    model.context = window.and_then(Value::as_u64).filter(|n| *n > 0).or(model.context);
    model.vision = props.pointer("/modalities/vision").and_then(Value::as_bool).or(model.vision);
    let tools = props.pointer("/chat_template_caps/supports_tools").and_then(Value::as_bool);
    model.tools = tools.or(model.tools);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ollama_shows_is_read() {
        let shown = json!({
            "capabilities": ["completion", "tools", "thinking"],
            "details": {"parameter_size": "8.2B", "quantization_level": "Q4_K_M"},
            "model_info": {"general.architecture": "qwen3", "qwen3.context_length": 40960},
            "parameters": "stop \"<|im_start|>\"\ntop_k 20",
        });
        let mut model = ModelInfo { id: "qwen3:8b".into(), ..ModelInfo::default() };
        read_show(&shown, &mut model);
        assert_eq!((model.context, model.size.as_deref()), (Some(40_960), Some("8.2B Q4_K_M")));
        assert_eq!((model.tools, model.vision, model.reasoning), (Some(true), Some(false), Some(true)));
        let mut small = shown;
        small["parameters"] = "num_ctx                        8192".into();
        read_show(&small, &mut model);
        assert_eq!(model.context, Some(8_192), "what a request gets");
        read_show(&json!({}), &mut model);
        assert_eq!((model.context, model.tools), (Some(8_192), Some(true)), "what is not told stays");
    }
}
