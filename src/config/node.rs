//! A configuration file as a tree of values with their places, checked against the table of keys.

use std::ops::Range;

use serde_json::Value;
use toml_edit::{Document, Item, TableLike};

use super::problem::{Findings, Severity};
use super::spec::{self, Key, Kind, NameRule};
use super::{external, units};

/// One value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub span: Range<usize>,
    /// Of its key.
    pub key: Range<usize>,
    pub value: Raw,
}

#[derive(Clone, Debug)]
pub(super) enum Raw {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    /// Reads TOML. A file that is none gives one finding and an empty tree.
    pub fn toml(found: &mut Findings<'_>) -> Node {
        match Document::parse(found.text) {
            Ok(document) => table(document.as_table(), 0..0, 0..0),
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                let message = format!("this is not TOML: {}", quiet(error.message()));
                found.error(&span, false, message, "here");
                Node { span: 0..0, key: 0..0, value: Raw::Map(Vec::new()) }
            }
        }
    }

    pub fn to_json(&self) -> Value {
        match &self.value {
            Raw::Text(s) => s.clone().into(),
            Raw::Int(n) => (*n).into(),
            Raw::Float(n) => (*n).into(),
            Raw::Bool(b) => (*b).into(),
            Raw::List(items) => items.iter().map(Node::to_json).collect(),
            Raw::Map(map) => {
                map.iter().map(|(k, v)| (k.clone(), v.to_json())).collect::<serde_json::Map<_, _>>().into()
            }
        }
    }

    pub fn entries(&self) -> &[(String, Node)] {
        match &self.value {
            Raw::Map(map) => map,
            Raw::Text(_) | Raw::Int(_) | Raw::Float(_) | Raw::Bool(_) | Raw::List(_) => &[],
        }
    }

    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entries().iter().find(|(key, _)| key == name).map(|(_, node)| node)
    }

    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Raw::Text(text) => Some(text),
            Raw::Int(_) | Raw::Float(_) | Raw::Bool(_) | Raw::List(_) | Raw::Map(_) => None,
        }
    }

    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name)?.as_text().map(str::to_owned)
    }

    pub fn bool(&self, name: &str) -> Option<bool> {
        match self.get(name)?.value {
            Raw::Bool(b) => Some(b),
            Raw::Text(_) | Raw::Int(_) | Raw::Float(_) | Raw::List(_) | Raw::Map(_) => None,
        }
    }

    pub fn number(&self, name: &str) -> Option<f64> {
        match self.get(name)?.value {
            Raw::Float(n) => Some(n),
            Raw::Int(n) => Some(n as f64),
            Raw::Text(_) | Raw::Bool(_) | Raw::List(_) | Raw::Map(_) => None,
        }
    }

    pub fn int(&self, name: &str) -> Option<u64> {
        match self.get(name)?.value {
            Raw::Int(n) => u64::try_from(n).ok(),
            Raw::Text(_) | Raw::Float(_) | Raw::Bool(_) | Raw::List(_) | Raw::Map(_) => None,
        }
    }

    pub fn texts(&self, name: &str) -> Option<Vec<String>> {
        match &self.get(name)?.value {
            Raw::List(items) => Some(items.iter().filter_map(|n| n.as_text().map(str::to_owned)).collect()),
            Raw::Text(_) | Raw::Int(_) | Raw::Float(_) | Raw::Bool(_) | Raw::Map(_) => None,
        }
    }

    pub fn text_map(&self, name: &str) -> std::collections::BTreeMap<String, String> {
        let entries = self.get(name).map(Node::entries).unwrap_or_default();
        entries.iter().filter_map(|(k, v)| Some((k.clone(), v.as_text()?.to_owned()))).collect()
    }

    fn found(&self) -> String {
        match &self.value {
            Raw::Text(text) if super::problem::looks_random(text) => "a text".to_owned(),
            Raw::Text(text) => format!("{:?}", text.chars().take(40).collect::<String>()),
            Raw::Int(n) => n.to_string(),
            Raw::Float(n) => n.to_string(),
            Raw::Bool(b) => b.to_string(),
            Raw::List(_) => "a list".to_owned(),
            Raw::Map(_) => "a table".to_owned(),
        }
    }

    fn found_kind(&self) -> &'static str {
        match &self.value {
            Raw::Text(_) => "a text",
            Raw::Int(_) | Raw::Float(_) => "a number",
            Raw::Bool(_) => "true or false",
            Raw::List(_) => "a list",
            Raw::Map(_) => "a table",
        }
    }
}

/// Messages of the parser may quote what stands in the file.
fn quiet(message: &str) -> String {
    if super::problem::looks_random(message) { "bad syntax".to_owned() } else { message.to_owned() }
}

fn table(table: &dyn TableLike, span: Range<usize>, key: Range<usize>) -> Node {
    let mut map = Vec::new();
    for (name, item) in table.iter() {
        let key = table.key(name).and_then(toml_edit::Key::span).unwrap_or(0..0);
        if let Some(node) = item_node(item, key) {
            map.push((name.to_owned(), node));
        }
    }
    Node { span, key, value: Raw::Map(map) }
}

fn item_node(item: &Item, key: Range<usize>) -> Option<Node> {
    let span = item.span().unwrap_or_else(|| key.clone());
    Some(match item {
        Item::None => return None,
        Item::Value(value) => value_node(value, key),
        Item::Table(t) => table(t, span, key),
        Item::ArrayOfTables(tables) => {
            let list = tables.iter().map(|t| table(t, t.span().unwrap_or(0..0), key.clone())).collect();
            Node { span, key: key.clone(), value: Raw::List(list) }
        }
    })
}

fn value_node(value: &toml_edit::Value, key: Range<usize>) -> Node {
    use toml_edit::Value as V;
    let span = value.span().unwrap_or_else(|| key.clone());
    let raw = match value {
        V::String(s) => Raw::Text(s.value().clone()),
        V::Integer(n) => Raw::Int(*n.value()),
        V::Float(n) => Raw::Float(*n.value()),
        V::Boolean(b) => Raw::Bool(*b.value()),
        V::Datetime(d) => Raw::Text(d.value().to_string()),
        V::Array(items) => Raw::List(items.iter().map(|v| value_node(v, key.clone())).collect()),
        V::InlineTable(t) => return table(t, span, key),
    };
    Node { span, key, value: raw }
}

/// Checks `node` against `keys`; what is wrong is reported and taken out, what remains can be built from.
pub(super) fn check(node: Node, keys: &[Key], title: &str, found: &mut Findings<'_>) -> Node {
    let Raw::Map(map) = node.value else {
        expected(found, &node, false, title, "a table");
        return Node { value: Raw::Map(Vec::new()), ..node };
    };
    let mut kept = Vec::new();
    for (name, child) in map {
        let Some(key) = keys.iter().find(|key| key.name == name) else {
            unknown(found, &child, &name, title, keys);
            continue;
        };
        let path = if title.is_empty() { name.clone() } else { format!("{title}.{name}") };
        if let Some(child) = check_value(child, &key.kind, &path, found) {
            kept.push((name, child));
        }
    }
    Node { value: Raw::Map(kept), ..node }
}

fn unknown(found: &mut Findings<'_>, node: &Node, name: &str, title: &str, keys: &[Key]) {
    let names = || keys.iter().map(|key| key.name);
    let near = spec::nearest(name, names()).or_else(|| spec::other_name(name).filter(|n| names().any(|k| k == *n)));
    let place = if title.is_empty() { "at the top of the file".to_owned() } else { format!("in [{title}]") };
    // A key that resembles nothing may be one that holds a secret.
    let secret = near.is_none_or(|near| {
        let kind = keys.iter().find(|key| key.name == near).map(|key| &key.kind);
        matches!(kind, Some(Kind::Secret | Kind::TextMap { secret: true }))
    });
    let name: String = if super::problem::looks_random(name) { "…".into() } else { name.chars().take(60).collect() };
    let label = near.map_or_else(|| "not a key here".to_owned(), |near| format!("did you mean `{near}`?"));
    let note = match near {
        Some(_) => "run `millrace config check` after editing; schema: `millrace config schema`".to_owned(),
        None => format!("allowed here: {}", names().collect::<Vec<_>>().join(", ")),
    };
    found.push(Severity::Error, &node.key, secret, format!("unknown key `{name}` {place}"), label, Some(note));
}

fn expected(found: &mut Findings<'_>, node: &Node, secret: bool, path: &str, what: &str) {
    let got = if secret { node.found_kind().to_owned() } else { node.found() };
    found.error(&node.span, secret, format!("`{path}` is {got}"), format!("expected {what}"));
}

fn check_value(node: Node, kind: &Kind, path: &str, found: &mut Findings<'_>) -> Option<Node> {
    let ok = match kind {
        Kind::Text => matches!(node.value, Raw::Text(_)).then_some(()).ok_or("a text in quotes".to_owned()),
        Kind::Secret => {
            if matches!(node.value, Raw::Text(_)) {
                return Some(node);
            }
            expected(found, &node, true, path, "a text in quotes");
            return None;
        }
        Kind::Bool => matches!(node.value, Raw::Bool(_)).then_some(()).ok_or("true or false".to_owned()),
        Kind::Int { min, max } => match node.value {
            Raw::Int(n) if (*min..=*max).contains(&n) => Ok(()),
            _ => Err(format!("a whole number from {min} to {max}")),
        },
        Kind::Number { min, max } => {
            let n = match node.value {
                Raw::Int(n) => n as f64,
                Raw::Float(n) => n,
                Raw::Text(_) | Raw::Bool(_) | Raw::List(_) | Raw::Map(_) => f64::NAN,
            };
            (*min..=*max).contains(&n).then_some(()).ok_or(format!("a number from {min} to {max}"))
        }
        Kind::Duration => match node.as_text().map(units::duration) {
            Some(Ok(_)) => Ok(()),
            Some(Err(what)) => Err(what.to_owned()),
            None => Err("a duration with its unit, as \"10 s\", \"500 ms\", \"5 min\" or \"1 h\"".to_owned()),
        },
        Kind::Size => match node.as_text().map(units::size) {
            Some(Ok(_)) => Ok(()),
            Some(Err(what)) => Err(what.to_owned()),
            None => Err("a size with its unit, as \"512 B\", \"32 KiB\" or \"16 MiB\"".to_owned()),
        },
        Kind::Words(words) => word(&node, words),
        Kind::Texts => texts(&node).then_some(()).ok_or("a list of texts".to_owned()),
        Kind::Argv => (texts(&node) && node.to_json().as_array().is_some_and(|a| !a.is_empty()))
            .then_some(())
            .ok_or("a list: a program and its arguments".to_owned()),
        Kind::Any => matches!(node.value, Raw::Map(_)).then_some(()).ok_or("a table".to_owned()),
        Kind::TextMap { secret } => {
            return map_of(
                node,
                path,
                found,
                |child| child.as_text().map(|_| ()).ok_or("a text in quotes".to_owned()),
                *secret,
            );
        }
        Kind::TextsOrTables(of) => return Some(texts_or_tables(node, of, path, found)),
        Kind::WordMap(words) => return map_of(node, path, found, |child| word(child, words), false),
        // The keymap checks its own entries: it knows the commands.
        Kind::Bindings => matches!(node.value, Raw::Map(_)).then_some(()).ok_or("a table".to_owned()),
        Kind::Table(keys) => return Some(check(node, keys, path, found)),
        Kind::Tables { of, rule } => return Some(tables(node, of, *rule, path, found)),
    };
    match ok {
        Ok(()) => Some(node),
        Err(what) => {
            expected(found, &node, false, path, &what);
            None
        }
    }
}

fn texts(node: &Node) -> bool {
    matches!(&node.value, Raw::List(items) if items.iter().all(|item| item.as_text().is_some()))
}

fn word(node: &Node, words: &[&str]) -> Result<(), String> {
    let text = node.as_text().unwrap_or("");
    if words.contains(&text) {
        return Ok(());
    }
    let all = words.iter().map(|w| format!("{w:?}")).collect::<Vec<_>>().join(", ");
    Err(match spec::nearest(text, words.iter().copied()) {
        Some(near) => format!("one of {all}; did you mean {near:?}?"),
        None => format!("one of {all}"),
    })
}

fn map_of(
    node: Node,
    path: &str,
    found: &mut Findings<'_>,
    fine: impl Fn(&Node) -> Result<(), String>,
    secret: bool,
) -> Option<Node> {
    let Raw::Map(map) = node.value else {
        expected(found, &node, secret, path, "a table");
        return None;
    };
    let mut kept = Vec::new();
    for (name, child) in map {
        match fine(&child) {
            Ok(()) => kept.push((name, child)),
            Err(what) => expected(found, &child, secret, &format!("{path}.{name}"), &what),
        }
    }
    Some(Node { value: Raw::Map(kept), ..node })
}

fn texts_or_tables(node: Node, of: &[Key], path: &str, found: &mut Findings<'_>) -> Node {
    let Raw::Map(map) = node.value else {
        expected(found, &node, false, path, &format!("a table, as [{path}], or tables, as [{path}.NAME]"));
        return Node { value: Raw::Map(Vec::new()), ..node };
    };
    let mut kept = Vec::new();
    for (name, child) in map {
        let path = format!("{path}.{name}");
        match &child.value {
            Raw::Text(_) => kept.push((name, child)),
            Raw::Map(_) => kept.push((name, check(child, of, &path, found))),
            Raw::Int(_) | Raw::Float(_) | Raw::Bool(_) | Raw::List(_) => {
                expected(found, &child, false, &path, "a text in quotes, or a table");
            }
        }
    }
    Node { value: Raw::Map(kept), ..node }
}

fn tables(node: Node, of: &[Key], rule: NameRule, path: &str, found: &mut Findings<'_>) -> Node {
    let Raw::Map(map) = node.value else {
        expected(found, &node, false, path, &format!("tables, as [{path}.NAME]"));
        return Node { value: Raw::Map(Vec::new()), ..node };
    };
    let mut kept = Vec::new();
    for (name, child) in map {
        if rule == NameRule::Server && !super::server_name_ok(&name) {
            let label = format!("did you mean `{}`?", external::normal_name(&name));
            let note =
                "a server's name: a-z, 0-9, _ and -, at most 32, first a letter or digit, without __, not ending in _";
            let message = format!("`{}` is not a server's name", name.chars().take(60).collect::<String>());
            found.push(Severity::Error, &child.key, false, message, label, Some(note.to_owned()));
            continue;
        }
        let child = check(child, of, &format!("{path}.{name}"), found);
        kept.push((name, child));
    }
    Node { value: Raw::Map(kept), ..node }
}
