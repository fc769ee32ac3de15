//! What a server lists, read leniently: each tool for itself, so that a bad one costs only itself.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::chat::{Claims, Limits, ServerName};

use super::offer;
use super::schema::{self, Schema};

/// One complete answer of a server to the question which tools it has.
#[derive(Clone, Debug)]
pub struct Listing {
    pub server: ServerName,
    /// Name and hash of the server's configuration: pins and grants belong to it.
    pub entry: Arc<str>,
    /// The tools as they came, each any JSON at all.
    pub tools: Vec<Value>,
    pub instructions: Option<String>,
    /// From the cache on disk: nothing is pinned by it, and only what matches its pin is offered.
    pub from_cache: bool,
}

/// Longest name in characters (2025-11-25, server/tools). What it is made of is not judged: the wire name is.
const LONGEST_NAME: usize = 128;

/// The members of a tool that make up its definition. MCP knows no `id`; the bare dialect calls a tool by it.
const PINNED: [&str; 7] = ["name", "id", "title", "description", "inputSchema", "outputSchema", "annotations"];

/// A tool before its schemas were looked at: enough to tell whether it is known already.
#[derive(Debug)]
pub(super) struct RawTool<'a> {
    pub name: &'a str,
    members: &'a Map<String, Value>,
    /// Canonical JSON of the definition, and its SHA-256 in hex.
    pub canonical: Arc<str>,
    pub sha256: Arc<str>,
}

/// A tool's definition, ready to be offered and to judge arguments.
#[derive(Debug)]
pub(super) struct Definition {
    pub title: Option<String>,
    pub description: String,
    pub claims: Claims,
    pub has_parameters: bool,
    pub input: Arc<Schema>,
    pub output: Option<Arc<Schema>>,
    /// The adapted input schema as JSON text.
    pub parameters: String,
    pub canonical: Arc<str>,
    pub sha256: Arc<str>,
    /// What was mended or ignored, as sentences.
    pub notes: Vec<String>,
}

/// Compiled definitions by their SHA-256, so that a listing repeated costs next to nothing.
#[derive(Debug, Default)]
pub(super) struct Definitions(HashMap<Arc<str>, Arc<Definition>>);

impl Definitions {
    /// The definition, compiled now where it is not known; `note` hears what was mended in it, once.
    ///
    /// # Errors
    /// Why the tool cannot be used, as the end of a sentence.
    pub(super) fn define(
        &mut self,
        raw: &RawTool<'_>,
        limits: &Limits,
        note: impl FnMut(&str),
    ) -> Result<Arc<Definition>, String> {
        if let Some(known) = self.0.get(&raw.sha256) {
            return Ok(Arc::clone(known));
        }
        let definition = Arc::new(raw.define(limits)?);
        definition.notes.iter().map(String::as_str).for_each(note);
        self.0.insert(Arc::clone(&raw.sha256), Arc::clone(&definition));
        Ok(definition)
    }

    /// Lets go of what no listing holds any more.
    pub(super) fn prune(&mut self) {
        self.0.retain(|_, definition| Arc::strong_count(definition) > 1);
    }
}

/// Reads the outside of a tool.
///
/// # Errors
/// The name, where it has one, and why it cannot be used, as the end of a sentence.
pub(super) fn read<'a>(tool: &'a Value, limits: &Limits) -> Result<RawTool<'a>, (Option<&'a str>, String)> {
    let Value::Object(members) = tool else { return Err((None, "it is not an object".to_owned())) };
    let name = match members.get("name") {
        Some(Value::String(name)) if !name.is_empty() => name.as_str(),
        Some(Value::String(_)) => return Err((None, "its name is empty".to_owned())),
        Some(_) => return Err((None, "its name is not a text".to_owned())),
        None => return Err((None, "it has no name".to_owned())),
    };
    let failed = |reason: String| (Some(name), reason);
    let length = name.chars().count();
    if length > LONGEST_NAME {
        return Err(failed(format!("its name has {length} characters, and the limit is {LONGEST_NAME}")));
    }
    schema::measure(tool).map_err(failed)?;
    let mut pinned = Map::new();
    for member in PINNED {
        if let Some(value) = members.get(member) {
            pinned.insert(member.to_owned(), value.clone());
        }
    }
    let canonical = canonical(&Value::Object(pinned));
    // Two schemas and as much again for the words around them.
    let most = limits.schema.saturating_mul(3);
    if canonical.len() as u64 > most {
        return Err(failed(format!("its definition has {} bytes, and the limit is {most}", canonical.len())));
    }
    let sha256 = Arc::from(sha256(&canonical));
    Ok(RawTool { name, members, canonical: Arc::from(canonical), sha256 })
}

impl Definition {
    /// What compiling it costs, in bytes of plain schema: a pattern is as dear as two kilobytes of it.
    pub(super) fn cost(&self) -> usize {
        let patterns = self.input.patterns() + self.output.as_ref().map_or(0, |schema| schema.patterns());
        self.canonical.len() + 2048 * patterns
    }
}

impl RawTool<'_> {
    /// Compiles the schemas and makes what the model is offered.
    ///
    /// # Errors
    /// Why the tool cannot be used, as the end of a sentence.
    pub(super) fn define(&self, limits: &Limits) -> Result<Definition, String> {
        let mut notes = Vec::new();
        let input = match self.members.get("inputSchema") {
            Some(schema @ Value::Object(_)) => schema,
            Some(Value::Null) => return Err("its inputSchema is null".to_owned()),
            Some(Value::Bool(value)) => return Err(format!("its inputSchema is {value}, not an object")),
            Some(_) => return Err("its inputSchema is not an object".to_owned()),
            None => return Err("it has no inputSchema".to_owned()),
        };
        takes_objects(input)?;
        let schema = Schema::compile(input, limits, &mut notes)?;
        let output = match self.members.get("outputSchema") {
            None | Some(Value::Null) => None,
            Some(schema @ Value::Object(_)) => match Schema::compile(schema, limits, &mut notes) {
                Ok(schema) => Some(Arc::new(schema)),
                Err(reason) => {
                    notes.push(format!("Its outputSchema is ignored: {reason}."));
                    None
                }
            },
            Some(_) => {
                notes.push("Its outputSchema is ignored: it is not an object.".to_owned());
                None
            }
        };
        let annotations = self.members.get("annotations").and_then(Value::as_object);
        let hint = |name: &str| annotations.and_then(|hints| hints.get(name)).and_then(Value::as_bool);
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        if self.members.get("description").is_some_and(|value| !value.is_string() && !value.is_null()) {
            notes.push("Its description is ignored: it is not a text.".to_owned());
        }
        Ok(Definition {
            title: text(self.members.get("title")).or_else(|| text(annotations.and_then(|hints| hints.get("title")))),
            description: text(self.members.get("description")).unwrap_or_default(),
            claims: Claims {
                read_only: hint("readOnlyHint"),
                destructive: hint("destructiveHint"),
                idempotent: hint("idempotentHint"),
                open_world: hint("openWorldHint"),
            },
            has_parameters: has_parameters(input),
            parameters: offer::parameters(input),
            input: Arc::new(schema),
            output,
            canonical: Arc::clone(&self.canonical),
            sha256: Arc::clone(&self.sha256),
            notes,
        })
    }
}

fn takes_objects(schema: &Value) -> Result<(), String> {
    let object = |value: &Value| value.as_str() == Some("object");
    match schema.get("type") {
        None => Ok(()),
        Some(one) if object(one) => Ok(()),
        Some(Value::Array(several)) if several.iter().any(object) => Ok(()),
        Some(_) => Err("its inputSchema is not one of objects, and arguments always are".to_owned()),
    }
}

/// Whether anything but `{}` could be meant.
fn has_parameters(schema: &Value) -> bool {
    let filled = |key: &str| match schema.get(key) {
        Some(Value::Object(map)) => !map.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(_)) => true,
        Some(Value::Null | Value::Bool(_)) | None => false,
    };
    ["properties", "required", "patternProperties", "allOf", "anyOf", "oneOf", "if", "dependentSchemas", "$ref"]
        .into_iter()
        .chain(["$dynamicRef", "$recursiveRef", "minProperties", "additionalProperties"])
        .any(filled)
}

/// JSON with sorted keys and no blanks: the same text for the same definition, whatever order it came in.
pub(super) fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write_canonical(value, &mut out);
    out
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_by(|a, b| a.0.cmp(b.0));
            out.push('{');
            for (at, (name, value)) in members.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write_canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (at, value) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_canonical(value, out);
            }
            out.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => out.push_str(&value.to_string()),
    }
}

pub(super) fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
