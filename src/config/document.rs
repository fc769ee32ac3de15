//! The documented example and the JSON Schema, made from the table of keys.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::keymap::{self, Keymap};
use super::spec::{self, Key, Kind, NameRule};

/// `config.example.toml`: every key with its default or a sample, commented out.
#[must_use]
pub fn example() -> String {
    let mut out = String::from(
        "# The configuration of millrace: every key, with its default where it has one.\n\
         # Copy what you need to the file that `millrace config path` names, without the leading #.\n\
         # Durations: \"50 ms\", \"10 s\", \"5 min\", \"1 h\". Sizes: \"512 B\", \"32 KiB\", \"16 MiB\".\n",
    );
    for key in spec::CONFIG.iter().filter(|key| !is_table(&key.kind)) {
        line(&mut out, key);
    }
    for key in spec::CONFIG.iter().filter(|key| is_table(&key.kind)) {
        out.push('\n');
        words(&mut out, key.doc);
        match &key.kind {
            Kind::Table(keys) => table(&mut out, key.name, keys),
            Kind::Tables { of, .. } => tables(&mut out, key.name, of),
            Kind::TextsOrTables(of) => {
                let _ = writeln!(out, "#[{0}]\n#brief = \"Answer in one sentence.\"\n\n#[{0}.reviewer]", key.name);
                of.iter().for_each(|key| line(&mut out, key));
            }
            Kind::Bindings => {
                let _ = writeln!(out, "#[{}]", key.name);
                for (command, keys) in &Keymap::default().bindings {
                    let keys: Vec<_> = keys.iter().map(|keys| keymap::show(keys)).collect();
                    let _ = writeln!(out, "#{command:?} = {keys:?}");
                }
            }
            _ => {}
        }
    }
    out
}

fn is_table(kind: &Kind) -> bool {
    matches!(kind, Kind::Table(_) | Kind::Tables { .. } | Kind::Bindings | Kind::TextsOrTables(_))
}

fn table(out: &mut String, name: &str, keys: &[Key]) {
    let _ = writeln!(out, "#[{name}]");
    for key in keys {
        line(out, key);
    }
}

/// One sample table of each kind that excludes another; the second has only what the first cannot have.
fn tables(out: &mut String, name: &str, of: &'static [Key]) {
    let (first, other) = if name == "servers" { ("files", Some("weather")) } else { ("openai", None) };
    let second = |key: &&Key| matches!(key.name, "url" | "headers" | "transport" | "sign_in" | "compat");
    let _ = writeln!(out, "#[{name}.{first}]");
    for key in of.iter().filter(|key| other.is_none() || !second(key)) {
        match &key.kind {
            Kind::Table(inner) => subtable(out, key, inner),
            // A profile has one source of its key.
            _ if matches!(key.name, "api_key_command" | "api_key") => {
                words(out, key.doc);
                let _ = writeln!(out, "# or: {} = {}", key.name, key.sample);
            }
            _ => line(out, key),
        }
    }
    if let Some(other) = other {
        let _ = writeln!(out, "\n#[{name}.{other}]");
        for key in of.iter().filter(second) {
            match &key.kind {
                Kind::Table(inner) => subtable(out, key, inner),
                _ => line(out, key),
            }
        }
    }
}

/// A table within an entry, key by key with its dotted name.
fn subtable(out: &mut String, key: &Key, inner: &[Key]) {
    words(out, key.doc);
    for inner in inner {
        if inner.doc != key.doc {
            words(out, inner.doc);
        }
        let value = if inner.default.is_empty() { inner.sample } else { inner.default };
        // As with a profile's key: one place for the secret.
        let or = if inner.name == "client_secret_command" { " or: " } else { "" };
        let _ = writeln!(out, "#{or}{}.{} = {value}", key.name, inner.name);
    }
}

fn line(out: &mut String, key: &Key) {
    words(out, key.doc);
    let value = if key.default.is_empty() { key.sample } else { key.default };
    let _ = writeln!(out, "#{} = {value}", key.name);
}

fn words(out: &mut String, doc: &str) {
    let mut width = 0;
    for word in doc.split(' ') {
        if width == 0 || width + word.len() > 100 {
            out.push_str(if width == 0 { "# " } else { "\n# " });
            width = 0;
        } else {
            out.push(' ');
        }
        out.push_str(word);
        width += word.len() + 1;
    }
    out.push('\n');
}

/// A JSON Schema (2020-12) of `config.toml`, for editors.
#[must_use]
pub fn schema() -> Value {
    let mut root = object(spec::CONFIG);
    root.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    root.insert("title".to_owned(), "millrace config.toml".into());
    Value::Object(root)
}

fn object(keys: &[Key]) -> Map<String, Value> {
    let mut properties = Map::new();
    for key in keys {
        let mut schema = kind(&key.kind);
        if let Some(map) = schema.as_object_mut() {
            map.insert("description".to_owned(), key.doc.into());
            let default = key.default.parse::<toml_edit::Value>().ok();
            if let Some(default) = default.and_then(|v| serde_json::from_str(v.to_string().trim()).ok()) {
                map.insert("default".to_owned(), default);
            }
        }
        properties.insert(key.name.to_owned(), schema);
    }
    let mut out = Map::new();
    out.insert("type".to_owned(), "object".into());
    out.insert("properties".to_owned(), Value::Object(properties));
    out.insert("additionalProperties".to_owned(), false.into());
    out
}

fn kind(kind: &Kind) -> Value {
    match kind {
        Kind::Text | Kind::Secret => json!({"type": "string"}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Int { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        Kind::Number { min, max } => json!({"type": "number", "minimum": min, "maximum": max}),
        Kind::Duration => json!({"type": "string", "pattern": "^\\s*[0-9._]+\\s*(ms|s|sec|min|m|h|d|day|days)\\s*$"}),
        Kind::Size => json!({"type": "string", "pattern": "^\\s*[0-9._]+\\s*(B|[KMG]iB|[kKMG]B)\\s*$"}),
        Kind::Words(words) => json!({"enum": words}),
        Kind::Texts => json!({"type": "array", "items": {"type": "string"}}),
        Kind::Argv => json!({"type": "array", "items": {"type": "string"}, "minItems": 1}),
        Kind::TextMap { .. } => json!({"type": "object", "additionalProperties": {"type": "string"}}),
        Kind::TextsOrTables(of) => {
            json!({"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, object(of)]}})
        }
        Kind::WordMap(words) => json!({"type": "object", "additionalProperties": {"enum": words}}),
        Kind::Any => json!({"type": "object"}),
        Kind::Bindings => {
            let keys = json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]});
            // Also as nested tables: review.once = "y".
            json!({"type": "object", "additionalProperties": {"anyOf": [keys, {"type": "object", "additionalProperties": keys}]}})
        }
        Kind::Table(keys) => Value::Object(object(keys)),
        Kind::Tables { of, rule } => {
            let names = match rule {
                NameRule::Any => json!({}),
                NameRule::Server => json!({"pattern": "^[a-z0-9]([a-z0-9-]|_(?=[a-z0-9-])){0,31}$"}),
            };
            json!({"type": "object", "propertyNames": names, "additionalProperties": object(of)})
        }
    }
}
