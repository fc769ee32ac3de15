//! What can be asked of a server beside calls: prompts, resources, completions.
//!
//! # Invariants
//! - Nothing is asked that the server did not say it has: then the answer is empty, and nothing leaves.
//! - Answers are read leniently, one broken entry costs one entry; lists, texts and bytes are bounded by the limits.
//! - What requires input goes through the person, at most [`ROUNDS`] times.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use rmcp::model::{
    ArgumentInfo, ClientRequest, CompleteRequest, CompleteRequestParams, CompletionContext, GetPromptRequest,
    GetPromptRequestParams, ListPromptsRequest, ListResourceTemplatesRequest, ListResourcesRequest,
    PaginatedRequestParams, ReadResourceRequest, ReadResourceRequestParams, Reference, ServerCapabilities,
};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::chat::{
    Catalog, Completes, Completions, Limits, Part, PromptArgument, PromptInfo, PromptMessage, PromptText, ResourceBody,
    ResourceInfo, ServerQuery, ServerReply, TemplateInfo, image_kind,
};

use super::connection::{Connection, Link, ask};
use super::failure::{Failure, FailureKind};
use super::inquiry::Unfulfilled;
use super::rounds::{Kind, ROUNDS};

/// A completion that takes longer is of no use.
const COMPLETION: Duration = Duration::from_secs(5);
/// The protocol's own ceiling on completions.
const COMPLETIONS: usize = 100;

impl Connection {
    /// Asks one thing. `server` names what is read.
    ///
    /// # Errors
    /// Where the server fails, refuses, does not answer within `limits.call_idle`, or answers something else.
    pub(super) async fn query(
        &self,
        server: &str,
        query: ServerQuery,
        limits: &Limits,
    ) -> Result<ServerReply, Failure> {
        let has = match &self.link {
            Link::Mcp { peer, .. } => peer.peer_info().map(|info| info.capabilities.clone()).unwrap_or_default(),
            Link::Bare(_) => ServerCapabilities::default(),
        };
        let deadline = Instant::now() + limits.call_idle;
        match query {
            ServerQuery::Prompts if has.prompts.is_none() => Ok(ServerReply::Prompts(Vec::new())),
            ServerQuery::Prompts => {
                let request = |page| ClientRequest::ListPromptsRequest(ListPromptsRequest::with_param(page));
                let list = self.list("prompts", request, deadline, limits).await?;
                Ok(ServerReply::Prompts(list.iter().filter_map(prompt_info).collect()))
            }
            ServerQuery::Prompt { name, arguments } => {
                let result = self.prompt(name, arguments, limits).await?;
                Ok(ServerReply::Prompt(prompt_text(server, &result, limits)))
            }
            ServerQuery::Catalog if has.resources.is_none() => Ok(ServerReply::Catalog(Catalog::default())),
            ServerQuery::Catalog => {
                let request = |page| ClientRequest::ListResourcesRequest(ListResourcesRequest::with_param(page));
                let resources = self.list("resources", request, deadline, limits).await?;
                // Servers without templates often do not know the method.
                let request =
                    |page| ClientRequest::ListResourceTemplatesRequest(ListResourceTemplatesRequest::with_param(page));
                let templates = match self.list("resourceTemplates", request, deadline, limits).await {
                    Ok(templates) => templates,
                    Err(failure) if failure.kind == FailureKind::Protocol => Vec::new(),
                    Err(failure) => return Err(failure),
                };
                Ok(ServerReply::Catalog(Catalog {
                    resources: resources.iter().filter_map(resource_info).collect(),
                    templates: templates.iter().filter_map(template_info).collect(),
                }))
            }
            ServerQuery::Read { uri } => {
                let result = self.read(&uri, limits).await?;
                Ok(ServerReply::Read(bodies(server, &uri, &result, limits)?))
            }
            // The host has noted them; the server is asked as long as it is there.
            ServerQuery::Watch { .. } | ServerQuery::Unwatch { .. } => Ok(ServerReply::Unwatched),
            ServerQuery::Complete { .. } if has.completions.is_none() => {
                Ok(ServerReply::Completions(Completions::default()))
            }
            ServerQuery::Complete { of, argument, value, context } => {
                let of = match of {
                    Completes::Prompt(name) => Reference::for_prompt(name),
                    Completes::Template(template) => Reference::for_resource(template),
                };
                let mut params = CompleteRequestParams::new(of, ArgumentInfo::new(argument, value));
                if !context.is_empty() {
                    let arguments = context.into_iter().collect();
                    params = params.with_context(CompletionContext::with_arguments(arguments));
                }
                let request = ClientRequest::CompleteRequest(CompleteRequest::new(params));
                let result = self.asked(request, "complete an argument", Instant::now() + COMPLETION).await?;
                Ok(ServerReply::Completions(completions(&result)))
            }
        }
    }

    /// One request, its answer as the server wrote it. The bare dialect knows none of these.
    async fn asked(&self, mut request: ClientRequest, what: &str, deadline: Instant) -> Result<Value, Failure> {
        match &self.link {
            Link::Mcp { peer, tap, .. } => {
                self.ask_for_log(&mut request);
                ask(peer, tap, request, what, deadline).await
            }
            Link::Bare(_) => Err(Failure::new(FailureKind::Protocol, format!("it cannot {what}: it is no MCP server"))),
        }
    }

    /// All pages of a list, as far as the limits go.
    async fn list(
        &self,
        key: &str,
        request: impl Fn(PaginatedRequestParams) -> ClientRequest,
        deadline: Instant,
        limits: &Limits,
    ) -> Result<Vec<Value>, Failure> {
        let most = usize::try_from(limits.tools).unwrap_or(usize::MAX);
        let mut found = Vec::new();
        let mut cursor: Option<String> = None;
        let mut seen = std::collections::HashSet::new();
        for page in 1.. {
            let params = PaginatedRequestParams::default().with_cursor(cursor.take());
            let mut answer = self.asked(request(params), &format!("list its {key}"), deadline).await?;
            let Some(list) = answer.get_mut(key).and_then(Value::as_array_mut) else {
                return Err(Failure::new(FailureKind::Protocol, format!("its list of {key} is not a list")));
            };
            found.append(list);
            let next = answer.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
            // An empty string is a cursor like any other; only its absence is the end.
            match next.filter(|next| seen.insert(next.clone()) && found.len() < most && page < limits.tool_pages) {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        found.truncate(most);
        Ok(found)
    }

    async fn prompt(
        &self,
        name: String,
        arguments: BTreeMap<String, String>,
        limits: &Limits,
    ) -> Result<Value, Failure> {
        let arguments: Map<String, Value> = arguments.into_iter().map(|(k, v)| (k, Value::String(v))).collect();
        self.rounds("give a prompt", limits, |input| {
            let mut params = GetPromptRequestParams::new(name.clone());
            params.arguments = (!arguments.is_empty()).then(|| arguments.clone());
            (params.input_responses, params.request_state) = input;
            ClientRequest::GetPromptRequest(GetPromptRequest::new(params))
        })
        .await
    }

    async fn read(&self, uri: &str, limits: &Limits) -> Result<Value, Failure> {
        self.rounds("read a resource", limits, |input| {
            let mut params = ReadResourceRequestParams::new(uri);
            (params.input_responses, params.request_state) = input;
            ClientRequest::ReadResourceRequest(ReadResourceRequest::new(params))
        })
        .await
    }

    /// Asks until the result is complete; what it requires meanwhile is asked of the person.
    async fn rounds(
        &self,
        what: &str,
        limits: &Limits,
        request: impl Fn((Option<BTreeMap<String, Value>>, Option<String>)) -> ClientRequest,
    ) -> Result<Value, Failure> {
        let strange = |reason: String| Failure::new(FailureKind::Protocol, reason);
        let mut input = (None, None);
        for round in 1..=ROUNDS {
            let deadline = Instant::now() + limits.call_idle;
            let result = self.asked(request(std::mem::take(&mut input)), what, deadline).await?;
            let required = match Kind::of(&result) {
                Kind::Complete => return Ok(result),
                Kind::Strange(why) => return Err(strange(why)),
                Kind::Task(_) => {
                    return Err(strange("it answered with a task, which only a call can become".to_owned()));
                }
                Kind::Input(required) => required,
            };
            if let Some(pause) = required.pause(round) {
                tokio::time::sleep(pause).await;
            }
            let mut responses = Map::new();
            match self.asker.fulfil(None, &required.requests, &mut responses).await {
                Ok(()) => {}
                Err(Unfulfilled::Refused(refused)) => return Err(strange(refused.to_string())),
                Err(Unfulfilled::Over(_)) => {
                    return Err(Failure::new(FailureKind::Gone, "its connection ended while it asked you"));
                }
            }
            let responses: BTreeMap<String, Value> = responses.into_iter().collect();
            input = ((!responses.is_empty()).then_some(responses), required.state);
        }
        Err(strange(format!("it asked for input more than {ROUNDS} times")))
    }
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn prompt_info(value: &Value) -> Option<PromptInfo> {
    let arguments = value.get("arguments").and_then(Value::as_array).into_iter().flatten().filter_map(|argument| {
        Some(PromptArgument {
            name: text(argument, "name")?,
            title: text(argument, "title"),
            description: text(argument, "description"),
            required: argument.get("required").and_then(Value::as_bool).unwrap_or(false),
        })
    });
    Some(PromptInfo {
        name: text(value, "name")?,
        title: text(value, "title"),
        description: text(value, "description"),
        arguments: arguments.collect(),
    })
}

fn resource_info(value: &Value) -> Option<ResourceInfo> {
    let uri = text(value, "uri")?;
    Some(ResourceInfo {
        name: text(value, "name").unwrap_or_else(|| uri.clone()),
        uri,
        title: text(value, "title"),
        description: text(value, "description"),
        mime: text(value, "mimeType"),
        size: value.get("size").and_then(Value::as_u64),
    })
}

fn template_info(value: &Value) -> Option<TemplateInfo> {
    let template = text(value, "uriTemplate")?;
    Some(TemplateInfo {
        name: text(value, "name").unwrap_or_else(|| template.clone()),
        template,
        title: text(value, "title"),
        description: text(value, "description"),
        mime: text(value, "mimeType"),
    })
}

fn completions(result: &Value) -> Completions {
    let completion = result.get("completion").unwrap_or(&Value::Null);
    let values = completion.get("values").and_then(Value::as_array).into_iter().flatten();
    let values: Vec<String> = values.filter_map(Value::as_str).take(COMPLETIONS).map(str::to_owned).collect();
    let total = completion.get("total").and_then(Value::as_u64).unwrap_or(0);
    let more = completion.get("hasMore").and_then(Value::as_bool).unwrap_or(total > values.len() as u64);
    Completions { values, more }
}

fn prompt_text(server: &str, result: &Value, limits: &Limits) -> PromptText {
    let mut out = PromptText { description: text(result, "description"), ..PromptText::default() };
    for message in result.get("messages").and_then(Value::as_array).into_iter().flatten() {
        let by_assistant = message.get("role").and_then(Value::as_str) == Some("assistant");
        let content = message.get("content").unwrap_or(&Value::Null);
        // Some servers write a list of blocks where one is due.
        let blocks = content.as_array().map_or(std::slice::from_ref(content), Vec::as_slice);
        let mut parts = Vec::new();
        for block in blocks {
            match block_part(server, block, limits) {
                Ok(part) => parts.push(part),
                Err(note) => out.notes.push(note),
            }
        }
        if !parts.is_empty() {
            out.messages.push(PromptMessage { by_assistant, parts });
        }
    }
    out
}

/// A content block as a part of a message.
///
/// # Errors
/// What is left out, and why, in a few words.
fn block_part(server: &str, block: &Value, limits: &Limits) -> Result<Part, String> {
    match block.get("type").and_then(Value::as_str) {
        Some("text") => {
            let text = text(block, "text").unwrap_or_default();
            fits(text.len() as u64, limits)?;
            Ok(Part::text(text))
        }
        Some("image") => {
            let name = format!("{server}: an image");
            match decoded(block, "data", limits)? {
                bytes if image_kind(&bytes).is_some() => Ok(image(name, &bytes)),
                _ => Err("an image of an unknown kind is left out".to_owned()),
            }
        }
        Some("resource") => {
            let resource = block.get("resource").unwrap_or(&Value::Null);
            let uri = text(resource, "uri").unwrap_or_default();
            match body(server, &uri, resource, limits)? {
                ResourceBody::Part(part) => Ok(part),
                ResourceBody::Bytes { uri, .. } => Err(format!("{uri} is neither text nor an image; it is left out")),
            }
        }
        Some("resource_link") => {
            let uri = text(block, "uri").unwrap_or_default();
            Ok(Part::text(format!("@{server}:{uri}")))
        }
        Some("audio") => Err("a sound is left out".to_owned()),
        Some(other) => Err(format!("a block of the type {other:?} is left out")),
        None => match block.as_str() {
            Some(text) => Ok(Part::text(text)),
            None => Err("a block without a type is left out".to_owned()),
        },
    }
}

fn bodies(server: &str, uri: &str, result: &Value, limits: &Limits) -> Result<Vec<ResourceBody>, Failure> {
    let contents = result.get("contents").and_then(Value::as_array);
    let Some(contents) = contents.filter(|contents| !contents.is_empty()) else {
        return Err(Failure::new(FailureKind::Protocol, "its answer holds no contents"));
    };
    let read = contents.iter().map(|content| {
        let own = text(content, "uri").unwrap_or_else(|| uri.to_owned());
        body(server, &own, content, limits)
    });
    read.collect::<Result<_, _>>().map_err(|why| Failure::new(FailureKind::Protocol, why))
}

/// The contents of one resource.
fn body(server: &str, uri: &str, content: &Value, limits: &Limits) -> Result<ResourceBody, String> {
    let name = format!("{server}:{uri}");
    if let Some(text) = text(content, "text") {
        fits(text.len() as u64, limits)?;
        return Ok(ResourceBody::Part(Part::File { name, text }));
    }
    let bytes = decoded(content, "blob", limits)?;
    if image_kind(&bytes).is_some() {
        return Ok(ResourceBody::Part(image(name, &bytes)));
    }
    Ok(match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => ResourceBody::Part(Part::File { name, text }),
        Ok(text) => bytes_of(uri, content, text.into_bytes()),
        Err(error) => bytes_of(uri, content, error.into_bytes()),
    })
}

fn bytes_of(uri: &str, content: &Value, bytes: Vec<u8>) -> ResourceBody {
    ResourceBody::Bytes { uri: uri.to_owned(), mime: text(content, "mimeType"), bytes: bytes.into() }
}

fn image(name: String, bytes: &[u8]) -> Part {
    let mime = image_kind(bytes).unwrap_or("image/png").to_owned();
    Part::Image { name, mime, data: base64::engine::general_purpose::STANDARD.encode(bytes) }
}

fn decoded(content: &Value, key: &str, limits: &Limits) -> Result<Vec<u8>, String> {
    let data = content.get(key).and_then(Value::as_str).ok_or("a block without contents is left out")?;
    let bytes = data.len() as u64 / 4 * 3;
    if bytes > limits.image {
        return Err(format!("it has {bytes} bytes, more than {} ([limits] image)", limits.image));
    }
    base64::engine::general_purpose::STANDARD.decode(data).map_err(|_| "its base64 cannot be read".to_owned())
}

/// Whether a text is not too large for a message.
fn fits(bytes: u64, limits: &Limits) -> Result<(), String> {
    if bytes > limits.resource {
        return Err(format!("it has {bytes} bytes, more than {} ([limits] resource)", limits.resource));
    }
    Ok(())
}
