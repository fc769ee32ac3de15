//! One server entry of another program, read in its dialect and made a draft.
//!
//! # Invariants
//! - Every key is accounted for: taken over, or remarked upon.
//! - What cannot be taken over as it was meant leaves the entry out, with the reason; nothing is guessed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};

use super::variables::{self, Found, Place};
use super::{Dialect, short};
use crate::chat::Policy;
use crate::config::draft::{DraftTransport, ServerDraft, UrlKind};
use crate::config::{Era, Source, units};
use crate::text::hidden;

/// An entry as it was understood. Names in it are raw.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// As its file calls it.
    pub key: String,
    /// Its name is the file's, made fit; or why it is left out.
    pub draft: Result<ServerDraft, String>,
    pub remarks: Vec<Remark>,
}

/// What was not taken over, or needs a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// It let the server act there without asking; that is never taken over.
    Trust(String),
    /// It narrows what the server may do, and is kept.
    Narrows(String),
    /// Not taken over, and what follows from that.
    Dropped { key: String, why: String },
    /// A variable of the environment stands for what the client asked for or read from a file.
    Variable { name: String, why: String },
    /// Only a person can put it right; the server is off until then.
    Person(String),
}

/// Where an entry stands.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub path: &'a Path,
    pub dialect: Dialect,
    pub folder: Option<&'a Path>,
    pub inputs: &'a [Input],
}

/// Something that a client asks its user for before it starts servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Input {
    pub id: String,
    pub description: Option<String>,
    pub default: Option<String>,
}

impl Input {
    /// The `inputs` of a file; what is no such thing is passed over: whoever refers to it is told.
    pub(super) fn list(value: &Value) -> Vec<Self> {
        let text = |item: &Value, key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
        let all = value.as_array().into_iter().flatten();
        all.filter_map(|item| {
            let default = text(item, "default").filter(|default| !default.contains(['}', '$']));
            Some(Self { id: text(item, "id")?, description: text(item, "description"), default })
        })
        .collect()
    }
}

/// A reader of one entry: it notes what it meets.
struct Reader<'a> {
    name: &'a str,
    map: &'a Map<String, Value>,
    around: Around<'a>,
    remarks: Vec<Remark>,
}

/// Makes a draft called `name` of an entry.
pub(super) fn read(name: &str, key: &str, map: &Map<String, Value>, around: Around<'_>) -> Entry {
    let flat = flattened(map);
    let mut reader = Reader { name, map: &flat, around, remarks: Vec::new() };
    let draft = reader.draft(name);
    Entry { key: key.to_owned(), draft, remarks: reader.remarks }
}

/// Entries that nest what others write side by side: `command = {path, args, env}` of old Zed, and the
/// `transport = {type, url}` that some tutorials show.
fn flattened(map: &Map<String, Value>) -> Map<String, Value> {
    let mut flat = map.clone();
    for key in ["command", "transport"] {
        let Some(Value::Object(inner)) = map.get(key) else { continue };
        flat.remove(key);
        for (name, value) in inner {
            let name = if key == "command" && name == "path" { "command" } else { name };
            flat.entry(name).or_insert_with(|| value.clone());
        }
    }
    flat.retain(|_, value| !value.is_null());
    flat
}

impl Reader<'_> {
    fn draft(&mut self, name: &str) -> Result<ServerDraft, String> {
        let how = self.transport()?;
        let mut draft = ServerDraft::new(name, how, Source::File(self.around.path.to_path_buf()));
        draft.disabled = self.flag("disabled")?.unwrap_or(false) || self.flag("enabled")? == Some(false);
        let seconds = |n: f64| Duration::try_from_secs_f64(n).ok().filter(|d| !d.is_zero());
        draft.start_timeout = self
            .number("startup_timeout_sec")
            .or_else(|| Some(self.number("startup_timeout_ms")? / 1000.0))
            .or_else(|| Some(self.number("timeout")? / 1000.0).filter(|_| self.around.dialect == Dialect::OpenCode))
            .and_then(seconds)
            .or_else(|| units::duration(self.map.get("start_timeout")?.as_str()?).ok());
        draft.call_timeout = self
            .number("tool_timeout_sec")
            .or_else(|| Some(self.number("timeout")? / 1000.0).filter(|_| self.around.dialect == Dialect::Gemini))
            .and_then(seconds);
        draft.era = self.map.get("era").and_then(Value::as_str).and_then(Era::of);
        draft.jsonrpc = self.map.get("compat").and_then(|compat| compat.get("jsonrpc")) == Some(&Value::Bool(true));
        self.narrow(&mut draft);
        self.rest();
        if let Some(c) = hidden_in(&draft.how) {
            return Err(format!("its command or address holds {c}, which nobody can have meant"));
        }
        if unseen(&draft.how) {
            let what = "its command holds characters that nobody sees; they are written out where it is shown";
            self.remarks.push(Remark::Person(what.to_owned()));
        }
        Ok(draft)
    }

    fn transport(&mut self) -> Result<DraftTransport, String> {
        let argv = match self.map.get("command") {
            Some(Value::Array(_)) => Some(self.texts("command")?),
            _ => None,
        };
        let command = match &argv {
            Some(argv) => argv.first().cloned(),
            None => self.text("command")?,
        };
        let mut url = None;
        for key in ["url", "serverUrl", "httpUrl"] {
            url = url.or(self.text(key)?);
        }
        match (command.filter(|command| !command.trim().is_empty()), url) {
            (Some(_), Some(_)) => Err("it has both a command and an address".to_owned()),
            (None, None) if self.map.get("source").and_then(Value::as_str) == Some("extension") => {
                Err("an extension of its editor starts it, by a command that is not written here".to_owned())
            }
            (None, None) => Err("it has neither a command nor an address".to_owned()),
            (Some(command), None) => self.stdio(command, argv),
            (None, Some(url)) => self.remote(url),
        }
    }

    fn stdio(&mut self, command: String, argv: Option<Vec<String>>) -> Result<DraftTransport, String> {
        match self.kind()?.as_deref() {
            None | Some("stdio" | "local") => {}
            Some(other) => return Err(format!("it has a command, and the transport {:?}", short(other))),
        }
        let mut args: Vec<String> = argv.map(|argv| argv[1..].to_vec()).unwrap_or_default();
        if self.map.contains_key("args") {
            args.extend(self.texts("args")?);
        }
        let mut env = self.table(&["env", "environment"])?;
        // Codex names variables that are handed through.
        if let Some(names) = self.map.get("env_vars") {
            let name_of = |item: &Value| item.as_str().or_else(|| item.get("name")?.as_str()).map(str::to_owned);
            let list = names.as_array().ok_or("its env_vars are not a list")?;
            for item in list {
                let name = name_of(item).ok_or("its env_vars hold something that is no name")?;
                let value = format!("${{env:{name}}}");
                env.entry(name).or_insert(value);
            }
        }
        Ok(DraftTransport::Stdio { command, args, env, cwd: self.text("cwd")? })
    }

    fn remote(&mut self, url: String) -> Result<DraftTransport, String> {
        let mut headers = self.table(&["headers", "http_headers"])?;
        for (header, variable) in self.table(&["env_http_headers"])? {
            headers.entry(header).or_insert(format!("${{env:{variable}}}"));
        }
        if let Some(variable) = self.text("bearer_token_env_var")? {
            headers.entry("Authorization".to_owned()).or_insert(format!("Bearer ${{env:{variable}}}"));
        }
        if let Some((scheme, _)) = url.split_once(':')
            && !scheme.contains(['$', '{'])
            && !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https")
        {
            return Err(format!("its address begins with {}:, not http: or https:", short(scheme)));
        }
        let gemini_sse = self.around.dialect == Dialect::Gemini && !self.map.contains_key("httpUrl");
        let kind = match self.kind()?.as_deref() {
            Some("sse") => UrlKind::Sse,
            Some("simple-rpc") => UrlKind::SimpleRpc,
            Some("http" | "streamable-http" | "streamable_http" | "streamablehttp" | "remote") => UrlKind::Http,
            Some(other) => return Err(format!("{:?} is not a transport that millrace has", short(other))),
            None if gemini_sse => UrlKind::Sse,
            None => UrlKind::Http,
        };
        Ok(DraftTransport::Url { kind, url, headers })
    }

    fn kind(&mut self) -> Result<Option<String>, String> {
        let word = match self.text("type")? {
            Some(word) => Some(word),
            None => self.text("transport")?,
        };
        Ok(word.map(|word| word.to_ascii_lowercase()))
    }

    fn filled(&mut self, text: &str, key: &str) -> String {
        let inputs = self.around.inputs;
        let default = |id: &str| inputs.iter().find(|input| input.id == id)?.default.clone();
        let place = Place {
            dialect: self.around.dialect,
            folder: self.around.folder,
            server: self.name,
            key,
            default: &default,
        };
        let (text, found) = variables::convert(text, place);
        for one in found {
            let remark = match one {
                Found::Input { id, name } => {
                    let input = inputs.iter().find(|input| input.id == id);
                    let words = input.and_then(|input| input.description.as_deref()).unwrap_or(&id);
                    Remark::Variable { name, why: format!("its client asks for it: {}", short(words)) }
                }
                Found::File { path, name } => {
                    Remark::Variable { name, why: format!("its client reads it from {}", short(&path)) }
                }
                Found::Unknown(inner) => {
                    Remark::Person(format!("`${{{}}}` is not something millrace can fill in", short(&inner)))
                }
            };
            if !self.remarks.contains(&remark) {
                self.remarks.push(remark);
            }
        }
        text
    }

    fn text(&mut self, key: &str) -> Result<Option<String>, String> {
        match self.map.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(self.filled(text, key))),
            Some(_) => Err(format!("its {key} is not a text")),
        }
    }

    fn texts(&mut self, key: &str) -> Result<Vec<String>, String> {
        let wrong = || format!("its {key} {} not a list of texts", if key.ends_with('s') { "are" } else { "is" });
        let Some(Value::Array(list)) = self.map.get(key) else { return Err(wrong()) };
        list.iter().map(|item| scalar(item).map(|text| self.filled(&text, "")).ok_or_else(wrong)).collect()
    }

    fn table(&mut self, keys: &[&str]) -> Result<BTreeMap<String, String>, String> {
        let mut out = BTreeMap::new();
        for key in keys {
            let table = match self.map.get(*key) {
                None => continue,
                Some(Value::Object(table)) => table,
                Some(_) => return Err(format!("its {key} is not a table")),
            };
            for (name, value) in table {
                if value.is_null() {
                    continue;
                }
                let text = scalar(value).ok_or_else(|| format!("its {key}.{} is not a text", short(name)))?;
                if name.is_empty() || name.contains(['=', '\0']) || name.chars().any(char::is_control) {
                    return Err(format!("{:?} in its {key} is no name", short(name)));
                }
                let text = self.filled(&text, name);
                out.insert(name.clone(), text);
            }
        }
        Ok(out)
    }

    fn flag(&self, key: &str) -> Result<Option<bool>, String> {
        match self.map.get(key) {
            None => Ok(None),
            Some(Value::Bool(on)) => Ok(Some(*on)),
            Some(_) => Err(format!("its {key} is neither true nor false")),
        }
    }

    fn number(&self, key: &str) -> Option<f64> {
        self.map.get(key).and_then(Value::as_f64).filter(|n| (0.001..1e9).contains(n))
    }

    /// Lists that narrow what is offered hold here as well.
    fn narrow(&mut self, draft: &mut ServerDraft) {
        let plain = |text: &str| {
            let fine = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
            !text.is_empty() && text.chars().all(fine)
        };
        for (key, deny) in [
            // Copilot's list of what is offered; with others a table of rights.
            ("tools", false),
            ("includeTools", false),
            ("enabled_tools", false),
            ("excludeTools", true),
            ("disabled_tools", true),
        ] {
            let all = |value: &Value| key == "tools" && value.as_array().is_none_or(|list| list.contains(&"*".into()));
            if self.map.get(key).is_some_and(all) {
                continue;
            }
            let Some(value) = self.map.get(key) else { continue };
            let names: Option<Vec<String>> = value.as_array().and_then(|list| {
                list.iter().map(|item| item.as_str().filter(|n| plain(n)).map(str::to_owned)).collect()
            });
            let Some(names) = names else {
                let why = "it is not a list of tool names; every tool is offered, and asks".to_owned();
                self.remarks.push(Remark::Dropped { key: key.to_owned(), why });
                continue;
            };
            if deny {
                draft.policies.extend(names.into_iter().map(|name| (name, Policy::Deny)));
            } else {
                draft.tools_allow = Some(names);
            }
            self.remarks.push(Remark::Narrows(key.to_owned()));
        }
    }

    /// Remarks upon every key that was not read.
    fn rest(&mut self) {
        for (key, value) in self.map {
            let dropped = |why: &str| Remark::Dropped { key: key.clone(), why: why.to_owned() };
            let remark = match key.as_str() {
                "command"
                | "args"
                | "env"
                | "environment"
                | "env_vars"
                | "cwd"
                | "url"
                | "serverUrl"
                | "httpUrl"
                | "headers"
                | "http_headers"
                | "env_http_headers"
                | "bearer_token_env_var"
                | "type"
                | "transport"
                | "disabled"
                | "enabled"
                | "source"
                | "name"
                | "description"
                | "startup_timeout_sec"
                | "startup_timeout_ms"
                | "start_timeout"
                | "era"
                | "compat"
                | "tool_timeout_sec"
                | "includeTools"
                | "excludeTools"
                | "enabled_tools"
                | "disabled_tools"
                | "gallery"
                | "version"
                | "$schema" => continue,
                "timeout" if matches!(self.around.dialect, Dialect::OpenCode | Dialect::Gemini) => continue,
                "trust"
                | "policy"
                | "policies"
                | "alwaysAllow"
                | "autoApprove"
                | "allow"
                | "deny"
                | "allowedTools"
                | "default_tools_approval_mode" => Remark::Trust(key.clone()),
                "tools" if value.is_array() => continue,
                "tools" => Remark::Trust(key.clone()),
                "required" if value.as_bool() == Some(false) => continue,
                "required" => dropped("a server that does not come up never stops a chat"),
                "envFile" => Remark::Person(format!(
                    "its variables stand in {}, which is not read: set them in `env`",
                    short(value.as_str().unwrap_or("a file"))
                )),
                "headersHelper" => {
                    Remark::Person("a program makes its headers, which is not run: set them in `headers`".to_owned())
                }
                "oauth" | "auth" | "scopes" | "oauth_resource" if *value != Value::Bool(false) => {
                    dropped("where it wants a sign-in: millrace mcp login")
                }
                "oauth" | "auth" | "scopes" | "oauth_resource" => continue,
                "sandbox" | "sandboxEnabled" if *value == Value::Bool(false) => continue,
                "sandbox" | "sandboxEnabled" => dropped("here it runs without a sandbox"),
                "dev" => dropped("only of use to who writes the server"),
                "bearer_token" => Remark::Person("its bearer_token is not taken over: set `headers`".to_owned()),
                _ => dropped("not a key that millrace knows"),
            };
            self.remarks.push(remark);
        }
    }
}

/// A character that ends a text at the system, or that no command is written with.
fn hidden_in(how: &DraftTransport) -> Option<String> {
    let bad = |text: &str| text.contains('\0').then(|| "a NUL character".to_owned());
    match how {
        DraftTransport::Stdio { command, args, env, cwd } => {
            std::iter::once(command).chain(args).chain(env.values()).chain(cwd).find_map(|text| bad(text))
        }
        DraftTransport::Url { url, headers, .. } => {
            if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
                return Some("a blank or control character".to_owned());
            }
            headers.values().find_map(|text| bad(text))
        }
    }
}

/// Whether a command or address holds what a person would not see.
fn unseen(how: &DraftTransport) -> bool {
    let unseen = |text: &String| !hidden(text).is_empty();
    match how {
        DraftTransport::Stdio { command, args, env, cwd } => {
            std::iter::once(command).chain(args).chain(env.keys()).chain(cwd).any(unseen)
        }
        DraftTransport::Url { url, headers, .. } => std::iter::once(url).chain(headers.keys()).any(unseen),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
