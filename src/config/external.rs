//! Server lists of other programs (`--mcp FILE`, imports): JSON with comments, or TOML, in a dozen dialects, made into
//! drafts. What millrace does not take over is told, never silently dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::draft::{self, DraftTransport, ServerDraft, UrlKind};
use super::file::ConfigError;
use super::node::Node;
use super::problem::{Findings, place};
use super::{Source, units};

/// What a file lists.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct External {
    pub path: PathBuf,
    pub servers: Vec<ServerDraft>,
    pub notices: Vec<String>,
}

/// Whose way of writing it is, where that changes the meaning of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Common,
    /// `url` means SSE, `httpUrl` Streamable HTTP, and `$NAME` is a variable.
    Gemini,
    /// `{env:NAME}` is a variable.
    OpenCode,
}

/// Reads a file of server entries.
pub fn load(path: &Path) -> Result<External, ConfigError> {
    let io = |error| ConfigError::Io { path: path.to_path_buf(), error };
    let text = super::file::read_text(path).map_err(io)?;
    parse(path, &text)
}

/// Reads the text of a file that is called `path`: TOML where it is named so, else JSON.
pub fn parse(path: &Path, text: &str) -> Result<External, ConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let root = if path.extension().is_some_and(|e| e == "toml") {
        let mut found = Findings::new(path.to_path_buf(), text);
        let node = Node::toml(&mut found);
        if !found.problems.is_empty() {
            return Err(ConfigError::Bad { problems: found.problems });
        }
        node.to_json()
    } else {
        json(path, text)?
    };
    from_value(path, &root).map_err(|why| {
        let mut found = Findings::new(path.to_path_buf(), text);
        found.error(&(0..0), false, why, "expected {\"mcpServers\": {\"NAME\": {\"command\": …}}} or [servers.NAME]");
        ConfigError::Bad { problems: found.problems }
    })
}

/// Reads JSON that may hold comments and trailing commas.
pub fn json(path: &Path, text: &str) -> Result<Value, ConfigError> {
    let plain = without_comments(text);
    serde_json::from_str(&plain).map_err(|error| {
        let mut found = Findings::new(path.to_path_buf(), text);
        let start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let at = start + error.column().saturating_sub(1);
        let full = error.to_string();
        let what = full.split(" at line ").next().unwrap_or("bad syntax").to_owned();
        // The line may hold anything, so it is not shown.
        found.error(&(at..at + 1), true, format!("this is not JSON: {what}"), "here");
        debug_assert!(place(text, at).0 >= 1);
        ConfigError::Bad { problems: found.problems }
    })
}

/// Blanks comments and trailing commas outside strings; every other byte keeps its place, so lines and columns stay.
#[must_use]
pub fn without_comments(text: &str) -> String {
    let mut out: Vec<u8> = text.as_bytes().to_vec();
    let mut at = 0;
    let mut comma = None;
    while at < out.len() {
        match out[at] {
            b'"' => {
                comma = None;
                at += 1;
                while at < out.len() && out[at] != b'"' {
                    at += if out[at] == b'\\' { 2 } else { 1 };
                }
            }
            b'/' if out.get(at + 1) == Some(&b'/') => {
                while at < out.len() && out[at] != b'\n' {
                    out[at] = b' ';
                    at += 1;
                }
                continue;
            }
            b'/' if out.get(at + 1) == Some(&b'*') => {
                let end = out[at + 2..].windows(2).position(|w| w == b"*/").map_or(out.len(), |n| at + 2 + n + 2);
                for byte in &mut out[at..end] {
                    if *byte != b'\n' {
                        *byte = b' ';
                    }
                }
                at = end;
                continue;
            }
            b',' => comma = Some(at),
            b'}' | b']' => {
                if let Some(comma) = comma.take() {
                    out[comma] = b' ';
                }
            }
            byte if byte.is_ascii_whitespace() => {}
            _ => comma = None,
        }
        at += 1;
    }
    // Whole comments were blanked, so what is left is still UTF-8.
    String::from_utf8(out).unwrap_or_default()
}

const ROOTS: &[&str] = &["mcpServers", "servers", "context_servers", "mcp_servers", "mcp"];

/// Finds the table of servers in a whole document.
pub fn from_value(path: &Path, root: &Value) -> Result<External, String> {
    let mut out = External { path: path.to_path_buf(), ..External::default() };
    let found = ROOTS.iter().find_map(|key| Some((*key, root.get(*key)?.as_object()?)));
    let Some((key, mut table)) = found else {
        return Err("there are no MCP servers in this file".to_owned());
    };
    let mut dialect = if key == "mcp" { Dialect::OpenCode } else { Dialect::Common };
    // VS Code's settings.json nests them once more.
    if key == "mcp"
        && let Some(inner) = table.get("servers").and_then(Value::as_object)
    {
        table = inner;
        dialect = Dialect::Common;
    }
    if table.values().any(|entry| entry.get("httpUrl").is_some()) {
        dialect = Dialect::Gemini;
    }
    for other in root.as_object().into_iter().flat_map(|map| map.keys()) {
        if other != key && !matches!(other.as_str(), "$schema" | "inputs") && key == "mcpServers" {
            out.notices.push(format!("`{}` is not a key that millrace knows there", short(other)));
        }
    }
    entries(&mut out, table, dialect);
    Ok(out)
}

/// Makes drafts of a table of servers.
pub fn entries(out: &mut External, table: &serde_json::Map<String, Value>, dialect: Dialect) {
    let mut names: BTreeSet<String> = table.keys().filter(|name| draft::server_name_ok(name)).cloned().collect();
    for (name, entry) in table {
        let taken = |n: &str, names: &BTreeSet<String>| n != name && names.contains(n);
        let mut clean = normal_name(name);
        if taken(&clean, &names) {
            let base: String = clean.chars().take(28).collect();
            clean = (2..1000)
                .map(|n| format!("{}-{n}", base.trim_end_matches('_')))
                .find(|n| !taken(n, &names))
                .unwrap_or(clean);
        }
        if clean != *name {
            out.notices.push(format!("server {:?} is called {clean:?} here", short(name)));
        }
        names.insert(clean.clone());
        let Some(entry) = entry.as_object() else {
            out.notices.push(format!("{clean}: its entry is not a table; left out"));
            continue;
        };
        match server(&clean, entry, dialect, &out.path, &mut out.notices) {
            Ok(draft) => out.servers.push(draft),
            Err(why) => out.notices.push(format!("{clean}: {why}; left out")),
        }
    }
}

/// The nearest name that may be a server's.
#[must_use]
pub fn normal_name(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        let c = if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' { c } else { '-' };
        if (out.is_empty() && !c.is_ascii_alphanumeric()) || (matches!(c, '_' | '-') && out.ends_with(c)) {
            continue;
        }
        out.push(c);
    }
    out.truncate(32);
    let out = out.trim_end_matches(['_', '-']).to_owned();
    if out.is_empty() { "server".to_owned() } else { out }
}

fn server(
    name: &str,
    entry: &serde_json::Map<String, Value>,
    dialect: Dialect,
    path: &Path,
    notices: &mut Vec<String>,
) -> Result<ServerDraft, String> {
    let fill = |text: &str| variables(text, dialect);
    let text = |keys: &[&str]| keys.iter().find_map(|key| entry.get(*key)?.as_str().map(&fill));
    let texts = |key: &str| -> Option<Vec<String>> {
        entry.get(key)?.as_array()?.iter().map(|v| scalar(v).map(|s| fill(&s))).collect()
    };
    let map = |keys: &[&str]| -> BTreeMap<String, String> {
        let found = keys.iter().find_map(|key| entry.get(*key)?.as_object());
        found.into_iter().flatten().filter_map(|(k, v)| Some((k.clone(), fill(&scalar(v)?)))).collect()
    };
    // Old Zed: {"command": {"path": …, "args": …, "env": …}}
    if let Some(inner) = entry.get("command").and_then(Value::as_object) {
        let mut flat = entry.clone();
        flat.remove("command");
        for (key, value) in inner {
            flat.insert(if key == "path" { "command".to_owned() } else { key.clone() }, value.clone());
        }
        return server(name, &flat, dialect, path, notices);
    }
    let kind = text(&["type", "transport"]).map(|word| word.to_ascii_lowercase());
    let url = text(&["url", "serverUrl", "httpUrl"]);
    let argv = texts("command");
    let how = match (text(&["command"]).or_else(|| argv.as_ref()?.first().cloned()), url) {
        (Some(_), Some(_)) => return Err("it has both a command and an address".to_owned()),
        (None, None) => return Err("it has neither a command nor an address".to_owned()),
        (Some(command), None) => {
            let mut args = argv.map(|a| a[1..].to_vec()).unwrap_or_default();
            match entry.get("args") {
                None | Some(Value::Null) => {}
                Some(_) => args.extend(texts("args").ok_or("its args are not a list of texts")?),
            }
            let mut env = map(&["env", "environment"]);
            // Codex names variables that are handed through.
            for variable in texts("env_vars").unwrap_or_default() {
                env.entry(variable.clone()).or_insert(format!("${{env:{variable}}}"));
            }
            DraftTransport::Stdio { command, args, env, cwd: text(&["cwd"]) }
        }
        (None, Some(url)) => {
            let mut headers = map(&["headers", "http_headers"]);
            for (header, variable) in map(&["env_http_headers"]) {
                headers.entry(header).or_insert(format!("${{env:{variable}}}"));
            }
            if let Some(variable) = text(&["bearer_token_env_var"]) {
                headers.entry("Authorization".to_owned()).or_insert(format!("Bearer ${{env:{variable}}}"));
            }
            let sse = dialect == Dialect::Gemini && entry.get("httpUrl").is_none();
            let kind = match kind.as_deref() {
                Some("sse") => UrlKind::Sse,
                Some("simple-rpc") => UrlKind::SimpleRpc,
                Some("http" | "streamable-http" | "streamable_http" | "streamablehttp" | "remote") => UrlKind::Http,
                Some(other) => return Err(format!("{:?} is not a transport that millrace has", short(other))),
                None if sse => UrlKind::Sse,
                None => UrlKind::Http,
            };
            DraftTransport::Url { kind, url, headers }
        }
    };
    if let Some(warning) = draft::secrets_in_the_open(&how) {
        notices.push(format!("{name} {warning}"));
    }
    let mut draft = ServerDraft::new(name, how, Source::File(path.to_path_buf()));
    let flag = |key: &str| entry.get(key).and_then(Value::as_bool);
    draft.disabled = flag("disabled").unwrap_or(false) || flag("enabled") == Some(false);
    draft.start_timeout = start_timeout(entry);
    for key in entry.keys() {
        match key.as_str() {
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
            | "start_timeout" => {}
            "trust" | "policy" | "policies" | "tools" | "alwaysAllow" | "autoApprove" | "includeTools"
            | "excludeTools" | "enabled_tools" | "disabled_tools" | "allow" | "deny" | "allowedTools" => {
                notices.push(format!(
                    "{name}: `{}` of another file is not followed; set it in [servers.{name}]",
                    short(key)
                ));
            }
            other => notices.push(format!("{name}: `{}` is not a key that millrace knows", short(other))),
        }
    }
    Ok(draft)
}

fn start_timeout(entry: &serde_json::Map<String, Value>) -> Option<std::time::Duration> {
    let number = |key: &str| entry.get(key).and_then(Value::as_f64).filter(|n| (0.001..1e6).contains(n));
    let seconds = number("startup_timeout_sec").or_else(|| Some(number("startup_timeout_ms")? / 1000.0));
    let own = || units::duration(entry.get("start_timeout")?.as_str()?).ok();
    seconds.and_then(|s| std::time::Duration::try_from_secs_f64(s).ok()).or_else(own)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Another client's way of naming a variable, in ours.
fn variables(text: &str, dialect: Dialect) -> String {
    match dialect {
        Dialect::Common => text.to_owned(),
        Dialect::OpenCode => {
            let mut out = String::new();
            let mut rest = text;
            while let Some(at) = rest.find("{env:") {
                out.push_str(&rest[..at]);
                if !out.ends_with('$') {
                    out.push('$');
                }
                out.push_str("{env:");
                rest = &rest[at + 5..];
            }
            out + rest
        }
        Dialect::Gemini => {
            let mut out = String::new();
            let mut rest = text;
            while let Some(at) = rest.find('$') {
                out.push_str(&rest[..at]);
                let after = &rest[at + 1..];
                let length = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
                if length > 0 && !after.starts_with(|c: char| c.is_ascii_digit()) {
                    out.push_str(&format!("${{env:{}}}", &after[..length]));
                    rest = &after[length..];
                } else {
                    out.push('$');
                    rest = after;
                }
            }
            out + rest
        }
    }
}

/// A name out of a foreign file, fit for a notice.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}
