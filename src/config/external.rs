//! Server lists of other programs (`--mcp FILE`, imports): JSON with comments, or TOML, in a dozen dialects, made into
//! drafts. What millrace does not take over is told, never silently dropped.

mod document;
mod entry;
mod variables;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use serde_json::value::RawValue;

use super::draft::{self, ServerDraft};
use super::file::ConfigError;
use super::node::Node;
use super::problem::{Findings, place};
use crate::text::visible;
use document::Pairs;
use entry::{Around, Input};

pub use entry::{Entry, Remark};
pub(super) use variables::{variable_for, variable_of};

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
    let root = plain(path, text)?;
    external(path, &root).map_err(|why| {
        let mut found = Findings::new(path.to_path_buf(), text);
        found.error(&(0..0), false, why, "expected {\"mcpServers\": {\"NAME\": {\"command\": …}}} or [servers.NAME]");
        ConfigError::Bad { problems: found.problems }
    })
}

/// The document as JSON without comments, in its own order, keys that stand twice included.
///
/// # Errors
/// Where it is neither JSON nor, by its name, TOML; with the place.
pub fn plain(path: &Path, text: &str) -> Result<String, ConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if path.extension().is_some_and(|e| e == "toml") {
        let mut found = Findings::new(path.to_path_buf(), text);
        let node = Node::toml(&mut found);
        if !found.problems.is_empty() {
            return Err(ConfigError::Bad { problems: found.problems });
        }
        return Ok(node.to_json().to_string());
    }
    let plain = without_comments(text);
    // Only looked at: how deep it goes is a matter of each entry.
    if let Err(error) = serde_json::from_str::<&RawValue>(&plain) {
        let mut found = Findings::new(path.to_path_buf(), text);
        let start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let at = start + error.column().saturating_sub(1);
        let full = error.to_string();
        let what = full.split(" at line ").next().unwrap_or("bad syntax").to_owned();
        // The line may hold anything, so it is not shown.
        found.error(&(at..at + 1), true, format!("this is not JSON: {what}"), "here");
        debug_assert!(place(text, at).0 >= 1);
        return Err(ConfigError::Bad { problems: found.problems });
    }
    Ok(plain)
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

/// A whole document with its table of servers found.
struct Table<'a> {
    entries: Vec<(String, &'a RawValue)>,
    dialect: Dialect,
    inputs: Vec<Input>,
    /// Keys beside the table that mean nothing here.
    others: Vec<String>,
}

/// Finds the table of servers of a document; `below` are the keys that lead to the object that holds it.
fn table<'a>(root: &'a str, below: &[&str], dialect: Option<Dialect>) -> Result<Option<Table<'a>>, String> {
    let Some(mut at) = Pairs::of(root) else { return Err("it is not an object".to_owned()) };
    for key in below {
        let Some(next) = at.object(key) else { return Ok(None) };
        at = next;
    }
    // VS Code's settings.json nests them once more.
    if let Some(inner) = at.object("mcp")
        && inner.get("servers").is_some()
    {
        at = inner;
    }
    let Some((key, value)) = ROOTS.iter().find_map(|key| Some((*key, at.get(key)?))) else { return Ok(None) };
    let Some(Pairs(entries)) = Pairs::of(value.get()) else {
        return Err(format!("`{key}` is not a table of servers"));
    };
    let named = |name: &str| {
        entries.iter().any(|(_, entry)| Pairs::of(entry.get()).is_some_and(|pairs| pairs.get(name).is_some()))
    };
    let dialect = dialect.unwrap_or_else(|| match key {
        "mcp" => Dialect::OpenCode,
        _ if named("httpUrl") => Dialect::Gemini,
        _ => Dialect::Common,
    });
    let inputs = at.get("inputs").and_then(|inputs| serde_json::from_str::<Value>(inputs.get()).ok());
    let others = at.0.iter().map(|(key, _)| key.clone()).filter(|other| other != key && key_matters(key, other));
    Ok(Some(Table {
        others: others.collect(),
        entries,
        dialect,
        inputs: inputs.as_ref().map(Input::list).unwrap_or_default(),
    }))
}

/// Whether a key beside the table is worth a word: the file of a list alone should hold nothing else.
fn key_matters(table: &str, other: &str) -> bool {
    table == "mcpServers" && !matches!(other, "$schema" | "inputs")
}

/// Reads every entry of a table; names are made fit, and kept apart by a number where two fall together.
fn read_table(path: &Path, table: &Table<'_>, folder: Option<&Path>) -> Vec<Entry> {
    let mut names: BTreeSet<String> =
        table.entries.iter().map(|(name, _)| name).filter(|name| draft::server_name_ok(name)).cloned().collect();
    let mut met: BTreeSet<&str> = BTreeSet::new();
    let around = Around { path, dialect: table.dialect, folder, inputs: &table.inputs };
    let mut out = Vec::new();
    for (key, raw) in &table.entries {
        let first = met.insert(key);
        let mut name = normal_name(key);
        if (name != *key || !first) && names.contains(&name) {
            name = free_name(&name, |name| names.contains(name));
        }
        names.insert(name.clone());
        let entry = match Pairs::of(raw.get()) {
            None => Err("its entry is not a table".to_owned()),
            Some(pairs) => match pairs.twice() {
                Some(twice) => Err(format!("`{}` stands in it twice", short(twice))),
                None => serde_json::from_str::<serde_json::Map<String, Value>>(raw.get())
                    .map_err(|_| "it is nested deeper than 128 levels".to_owned()),
            },
        };
        out.push(match entry {
            Ok(map) => entry::read(&name, key, &map, around),
            Err(why) => Entry { key: key.clone(), draft: Err(why), remarks: Vec::new() },
        });
    }
    out
}

/// `base` with a number behind it, so that it is not `taken`.
#[must_use]
pub fn free_name(base: &str, taken: impl Fn(&str) -> bool) -> String {
    let short: String = base.chars().take(27).collect();
    let short = short.trim_end_matches(['_', '-']);
    (2..100_000).map(|n| format!("{short}-{n}")).find(|name| !taken(name)).unwrap_or_else(|| base.to_owned())
}

/// Finds the entries of a JSON document that another client wrote, at `below`. None where it lists no servers.
///
/// # Errors
/// Where the document, or its list, is something else.
pub(super) fn entries(
    path: &Path,
    plain: &str,
    below: &[&str],
    dialect: Option<Dialect>,
    folder: Option<&Path>,
) -> Result<Option<Vec<Entry>>, String> {
    Ok(table(plain, below, dialect)?.map(|table| read_table(path, &table, folder)))
}

/// Entries of a bare map: names to servers, with nothing around.
pub(super) fn bare(path: &Path, plain: &str, dialect: Dialect, folder: Option<&Path>) -> Option<Vec<Entry>> {
    let Pairs(entries) = Pairs::of(plain)?;
    let is_server = |raw: &RawValue| {
        Pairs::of(raw.get()).is_some_and(|pairs| ["command", "url", "type"].iter().any(|key| pairs.get(key).is_some()))
    };
    if entries.is_empty() || !entries.iter().any(|(_, raw)| is_server(raw)) {
        return None;
    }
    Some(read_table(path, &Table { entries, dialect, inputs: Vec::new(), others: Vec::new() }, folder))
}

/// Finds the table of servers in a whole document, for `--mcp FILE`.
fn external(path: &Path, root: &str) -> Result<External, String> {
    let Some(table) = table(root, &[], None)? else {
        return Err("there are no MCP servers in this file".to_owned());
    };
    let mut out = External { path: path.to_path_buf(), ..External::default() };
    for other in &table.others {
        out.notices.push(format!("`{}` is not a key that millrace knows there", short(other)));
    }
    for entry in read_table(path, &table, None) {
        out.take(entry);
    }
    Ok(out)
}

impl External {
    /// Naming a file is consent to start what it lists; what it says about rights is not followed.
    fn take(&mut self, entry: Entry) {
        let Entry { key, draft, remarks } = entry;
        let mut draft = match draft {
            Ok(draft) => draft,
            Err(why) => return self.notices.push(format!("{}: {why}; left out", short(&key))),
        };
        let name = draft.name.as_str().to_owned();
        if name != key {
            self.notices.push(format!("server {:?} is called {name:?} here", short(&key)));
        }
        draft.tools_allow = None;
        draft.policies.clear();
        if let Some(warning) = draft::secrets_in_the_open(&draft.how) {
            self.notices.push(format!("{name} {warning}"));
        }
        self.notices.extend(remarks.into_iter().map(|remark| match remark {
            Remark::Trust(key) | Remark::Narrows(key) => {
                format!("{name}: `{}` of another file is not followed; set it in [servers.{name}]", short(&key))
            }
            Remark::Dropped { key, why } if why.starts_with("not a key") => {
                format!("{name}: `{}` is {why}", short(&key))
            }
            Remark::Dropped { key, why } => format!("{name}: `{}` is not followed: {why}", short(&key)),
            Remark::Variable { name: variable, why } => format!("{name}: set ${variable}; {why}"),
            Remark::Person(what) => format!("{name}: {what}"),
        }));
        self.servers.push(draft);
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

/// A name out of a foreign file, fit for a notice: what nobody sees is written out.
fn short(text: &str) -> String {
    let head: String = text.chars().take(60).collect();
    visible(&head).one_line().into_string()
}
