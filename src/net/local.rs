//! Model servers on this machine, at their usual ports.

use std::time::Duration;

use futures_util::future::join_all;
use url::Url;

use super::Http;
use super::models::{ModelInfo, ask};

const LONGEST: Duration = Duration::from_millis(400);
const USUAL: [(u16, &str); 4] = [(11434, "Ollama"), (1234, "LM Studio"), (8080, "llama.cpp"), (8000, "vLLM")];

/// A server that answered as a model server does.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// What it is, by its own words where they are known, else by its port.
    pub name: String,
    /// `http://127.0.0.1:11434/v1`
    pub base_url: String,
    pub models: Vec<ModelInfo>,
}

/// Asks the usual ports of 127.0.0.1 at the same time, each for 400 ms at most; in the order of Ollama, LM Studio,
/// llama.cpp, vLLM. Only a server that lists models in OpenAI's form counts: a web page on port 8080 is not found.
pub async fn probe_local(http: &Http) -> Vec<Found> {
    let places =
        USUAL.iter().filter_map(|(port, name)| Some((Url::parse(&format!("http://127.0.0.1:{port}/v1")).ok()?, *name)));
    probe(http, places.collect()).await
}

async fn probe(http: &Http, places: Vec<(Url, &str)>) -> Vec<Found> {
    let Ok(client) = http.ready().await else { return Vec::new() };
    let asked = places.into_iter().map(|(base, name)| {
        let client = client.clone();
        async move {
            let models = tokio::time::timeout(LONGEST, ask(&client, &base)).await.ok()??;
            let name = named_by(&models).unwrap_or(name).to_owned();
            Some(Found { name, base_url: base.as_str().to_owned(), models })
        }
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// `owned_by` as these servers fill it in.
fn named_by(models: &[ModelInfo]) -> Option<&'static str> {
    match models.first()?.owner.as_deref()? {
        "library" => Some("Ollama"),
        "organization_owner" => Some("LM Studio"),
        "llamacpp" => Some("llama.cpp"),
        "vllm" => Some("vLLM"),
        "sglang" => Some("SGLang"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Limits;
    use crate::net::HttpOptions;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn server(status: &str, body: &'static str) -> Url {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 2048]).await;
                let _ = stream.write_all(head.as_bytes()).await;
            }
        });
        Url::parse(&url).unwrap()
    }

    #[tokio::test]
    async fn only_what_lists_models_is_found() {
        let http = Http::new(HttpOptions::new(&Limits::default()));
        let places = vec![
            (server("200 OK", r#"{"object":"list","data":[{"id":"q","owned_by":"vllm"}]}"#).await, "Ollama"),
            (server("200 OK", "<!doctype html><title>hello</title>").await, "page"),
            (server("200 OK", r#"{"data":[]}"#).await, "some other service"),
            (server("200 OK", r#"{"object":"list","data":null}"#).await, "Ollama"),
            (server("404 Not Found", r#"{"data":[{"id":"a"}]}"#).await, "none"),
            (Url::parse("http://127.0.0.1:1/v1").unwrap(), "nothing"),
        ];
        let found = probe(&http, places).await;
        let names: Vec<_> = found.iter().map(|f| (f.name.as_str(), f.models.len())).collect();
        assert_eq!(names, [("vLLM", 1), ("Ollama", 0)]);
    }
}
