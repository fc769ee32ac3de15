//! Changing `config.toml` without losing what its user wrote there: comments, order, blank lines.

use std::path::Path;

use toml_edit::{DocumentMut, Item, Table, Value, value};

use super::draft::{DraftTransport, ServerDraft};
use super::file::{Config, ConfigError, read_text};
use super::problem::Problem;
use super::project;
use super::saved::write_private;
use crate::chat::Policy;

#[derive(Debug, thiserror::Error)]
pub enum EditError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("{key:?} is not the name of a key")]
    Name { key: String },
    #[error("{key} passes through {part}, which is a value")]
    NotTable { key: String, part: String },
    #[error("this would make the file wrong, so it was not written:\n{}", problems.iter().map(|p| p.render(&|path| path.display().to_string())).collect::<String>())]
    Wrong { problems: Vec<Problem> },
    #[error("cannot write {}: {error}", path.display())]
    Write { path: std::path::PathBuf, error: std::io::Error },
}

/// A configuration file that is being changed.
#[derive(Debug)]
pub struct Edit {
    path: std::path::PathBuf,
    document: DocumentMut,
}

impl Edit {
    /// Opens the file; one that is not there is begun.
    pub fn open(path: &Path) -> Result<Self, EditError> {
        let text = match read_text(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(ConfigError::Io { path: path.to_path_buf(), error }.into()),
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let Ok(document) = text.parse::<DocumentMut>() else {
            // Says where.
            Config::parse(path, text)?;
            return Err(EditError::Name { key: String::new() });
        };
        Ok(Self { path: path.to_path_buf(), document })
    }

    /// What stands at a dotted key, as TOML.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<String> {
        let path = split(key)?;
        let mut item = self.document.as_item();
        for part in &path {
            item = item.get(part.as_str())?;
        }
        // A value's decor is the blank and the comment around it.
        let mut item = item.clone();
        if let Some(value) = item.as_value_mut() {
            value.decor_mut().clear();
        }
        Some(item.to_string().trim().to_owned())
    }

    /// Sets a dotted key to a value written as TOML; a bare word is taken as text.
    pub fn set(&mut self, key: &str, text: &str) -> Result<(), EditError> {
        let new: Value = text.trim().parse().unwrap_or_else(|_| Value::from(text));
        let path = split(key).ok_or_else(|| EditError::Name { key: key.to_owned() })?;
        let Some((last, folders)) = path.split_last() else { return Err(EditError::Name { key: key.to_owned() }) };
        let mut at: &mut dyn toml_edit::TableLike = self.document.as_table_mut();
        for part in folders {
            let item = at.entry(part).or_insert_with(|| {
                let mut table = Table::new();
                table.set_implicit(true);
                Item::Table(table)
            });
            at = item
                .as_table_like_mut()
                .ok_or_else(|| EditError::NotTable { key: key.to_owned(), part: part.clone() })?;
        }
        match at.get_mut(last) {
            Some(old) => {
                let mut new = new;
                if let Some(old) = old.as_value() {
                    *new.decor_mut() = old.decor().clone();
                }
                *old = value(new);
            }
            None => {
                at.insert(last, value(new));
                if folders.is_empty() {
                    self.keep_head(last);
                }
            }
        }
        Ok(())
    }

    /// What the file begins with is about the file: a first key of the root goes below it, not above. The first table
    /// keeps the comment that touches it.
    fn keep_head(&mut self, key: &str) {
        let root = self.document.as_table();
        let first = root.iter().filter(|(name, _)| *name != key).min_by_key(|(_, item)| place(item));
        let tables_only = root.iter().all(|(name, item)| name == key || item.is_table() || item.is_array_of_tables());
        if !tables_only {
            return;
        }
        let (head, rest) = match first.and_then(|(name, item)| Some((name.to_owned(), leading(item)?))) {
            Some((name, prefix)) => {
                let cut = prefix.rfind("\n\n").map_or(0, |at| at + 2);
                let (head, rest) = prefix.split_at(cut);
                let (head, rest) = (head.to_owned(), rest.to_owned());
                if let Some(decor) = self.document.get_mut(&name).and_then(first_decor) {
                    decor.set_prefix(format!("\n{rest}"));
                }
                (head, true)
            }
            None => (self.document.trailing().as_str().unwrap_or_default().to_owned(), false),
        };
        if !rest {
            self.document.set_trailing("");
        }
        if let Some(mut key) = self.document.as_table_mut().key_mut(key) {
            let gap = if head.is_empty() || head.ends_with("\n\n") || !head.contains('#') { "" } else { "\n" };
            key.leaf_decor_mut().set_prefix(format!("{head}{gap}"));
        }
    }

    /// As [`Edit::set`], for a text that must stay one, whatever it looks like.
    pub fn set_text(&mut self, key: &str, text: &str) -> Result<(), EditError> {
        self.set(key, &Value::from(text).to_string())
    }

    /// Takes a key or a table away; whether it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        let Some(path) = split(key) else { return false };
        let Some((last, folders)) = path.split_last() else { return false };
        let mut at: &mut dyn toml_edit::TableLike = self.document.as_table_mut();
        for part in folders {
            let Some(next) = at.get_mut(part).and_then(Item::as_table_like_mut) else { return false };
            at = next;
        }
        at.remove(last).is_some()
    }

    /// Writes `[servers.NAME]`, replacing one of that name.
    pub fn put_server(&mut self, draft: &ServerDraft) {
        let mut table = Table::new();
        let texts = |items: &[String]| value(items.iter().map(|item| written(item)).collect::<toml_edit::Array>());
        let map = |map: &std::collections::BTreeMap<String, String>| {
            value(map.iter().map(|(k, v)| (k.as_str(), written(v))).collect::<toml_edit::InlineTable>())
        };
        match &draft.how {
            DraftTransport::Stdio { command, args, env, cwd } => {
                table.insert("command", value(written(command)));
                if !args.is_empty() {
                    table.insert("args", texts(args));
                }
                if !env.is_empty() {
                    table.insert("env", map(env));
                }
                if let Some(cwd) = cwd {
                    table.insert("cwd", value(written(cwd)));
                }
            }
            DraftTransport::Url { kind, url, headers } => {
                table.insert("url", value(written(url)));
                if *kind != super::UrlKind::Http {
                    table.insert("transport", value(kind.word()));
                }
                if !headers.is_empty() {
                    table.insert("headers", map(headers));
                }
            }
        }
        for (name, on) in [("disabled", draft.disabled), ("ask_first", draft.ask_first), ("trust", draft.trust)] {
            if on {
                table.insert(name, value(true));
            }
        }
        for (name, time) in [("start_timeout", draft.start_timeout), ("call_timeout", draft.call_timeout)] {
            if let Some(time) = time {
                table.insert(name, value(crate::chat::duration_text(time)));
            }
        }
        if let Some(allow) = &draft.tools_allow {
            let list: toml_edit::Array = allow.iter().map(|tool| written(tool)).collect();
            table.insert(
                "tools",
                value(std::iter::once(("allow", Value::from(list))).collect::<toml_edit::InlineTable>()),
            );
        }
        if !draft.policies.is_empty() {
            let policies = draft.policies.iter().map(|(tool, policy)| (tool.as_str(), policy_name(*policy)));
            table.insert("policies", value(policies.collect::<toml_edit::InlineTable>()));
        }
        if let Some(era) = draft.era {
            table.insert("era", value(era.word()));
        }
        if draft.jsonrpc {
            table.insert("compat", value(toml_edit::InlineTable::from_iter([("jsonrpc", true)])));
        }
        let servers = self.document.entry("servers").or_insert_with(|| {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        });
        if let Some(servers) = servers.as_table_like_mut() {
            servers.insert(draft.name.as_str(), Item::Table(table));
        }
    }

    /// Checks the whole file as it would be, and replaces it in one step (0600). Warnings come back.
    pub fn save(self) -> Result<Vec<Problem>, EditError> {
        let text = self.document.to_string();
        let checked = if self.path.file_name().is_some_and(|name| name == project::FILE_NAME) {
            project::parse(&self.path, &text).map(|_| Vec::new())
        } else {
            Config::parse(&self.path, &text).map(|(_, warnings)| warnings)
        };
        let warnings = match checked {
            Ok(warnings) => warnings,
            Err(ConfigError::Bad { problems }) => return Err(EditError::Wrong { problems }),
            Err(error) => return Err(error.into()),
        };
        write_private(&self.path, &text).map_err(|error| EditError::Write { path: self.path.clone(), error })?;
        Ok(warnings)
    }
}

fn policy_name(policy: Policy) -> &'static str {
    match policy {
        Policy::Allow => "allow",
        Policy::Ask => "ask",
        Policy::Deny => "deny",
    }
}

/// A text as TOML, with what nobody would see in an editor written out.
fn written(text: &str) -> Value {
    let unseen = crate::text::hidden(text);
    if unseen.is_empty() {
        return Value::from(text);
    }
    let mut out = String::from("\"");
    for (at, c) in text.char_indices() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if unseen.iter().any(|(hidden, _)| *hidden == at) => out.push_str(&format!("\\U{:08X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out.parse().unwrap_or_else(|_| Value::from(text))
}

/// Where an item stands in the file; one that has no place of its own stands where its first part does.
fn place(item: &Item) -> isize {
    match item {
        Item::Table(table) => table
            .position()
            .filter(|_| !table.is_implicit())
            .or_else(|| table.iter().map(|(_, item)| place(item)).min())
            .unwrap_or(isize::MAX),
        Item::ArrayOfTables(tables) => tables.iter().filter_map(Table::position).min().unwrap_or(isize::MAX),
        Item::None | Item::Value(_) => isize::MAX,
    }
}

/// The decor of the header that an item begins with.
fn first_decor(item: &mut Item) -> Option<&mut toml_edit::Decor> {
    match item {
        Item::Table(table) => {
            if table.is_implicit() {
                return table.iter_mut().map(|(_, item)| item).min_by_key(|item| place(item)).and_then(first_decor);
            }
            Some(table.decor_mut())
        }
        Item::ArrayOfTables(tables) => tables.get_mut(0).map(Table::decor_mut),
        Item::None | Item::Value(_) => None,
    }
}

/// Blank lines and comments above an item's first header.
fn leading(item: &Item) -> Option<String> {
    let decor = first_decor(&mut item.clone())?.clone();
    Some(decor.prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default().to_owned())
}

/// `profiles.openai.model`, `keys."review.once"`.
fn split(key: &str) -> Option<Vec<String>> {
    let keys = toml_edit::Key::parse(key).ok()?;
    Some(keys.iter().map(|key| key.get().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    #[test]
    fn a_project_file_is_checked_as_one() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join(project::FILE_NAME);
        let how = DraftTransport::Stdio { command: "x".into(), args: vec!["a b".into()], env: [].into(), cwd: None };
        let mut edit = Edit::open(&file).unwrap();
        edit.put_server(&ServerDraft::new("files", how.clone(), Source::Program));
        edit.save().unwrap();
        assert_eq!(project::parse(&file, &std::fs::read_to_string(&file).unwrap()).unwrap().servers.len(), 1);
        let mut edit = Edit::open(&file).unwrap();
        edit.set("servers.files.trust", "true").unwrap();
        assert!(matches!(edit.save(), Err(EditError::Wrong { .. })));
    }

    #[test]
    fn a_first_key_of_the_root_goes_below_the_head_comment() {
        let set = |before: &str| {
            let root = tempfile::tempdir().unwrap();
            let file = root.path().join("config.toml");
            std::fs::write(&file, before).unwrap();
            let mut edit = Edit::open(&file).unwrap();
            edit.set("temperature", "1").unwrap();
            edit.save().unwrap();
            std::fs::read_to_string(&file).unwrap()
        };
        let table = "[profiles.a]\nbase_url = \"http://localhost:1/v1\"\n";
        assert_eq!(
            set(&format!("# Mine\n# all of it\n\n# about a\n{table}")),
            format!("# Mine\n# all of it\n\ntemperature = 1\n\n# about a\n{table}")
        );
        assert_eq!(set(&format!("# about a\n{table}")), format!("temperature = 1\n\n# about a\n{table}"));
        assert_eq!(set(table), format!("temperature = 1\n\n{table}"));
        assert_eq!(set("model = \"m\"\n"), "model = \"m\"\ntemperature = 1\n");
        assert_eq!(set(""), "temperature = 1\n");
    }

    #[test]
    fn texts_stay_texts_and_tables_go_whole() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("config.toml");
        let mut edit = Edit::open(&file).unwrap();
        edit.set_text("profiles.a.model", "true").unwrap();
        edit.set_text("profiles.\"b.c\".base_url", "http://localhost:1/v1").unwrap();
        edit.set("profile", "a").unwrap();
        assert!(matches!(edit.set("profile.x", "1"), Err(EditError::NotTable { .. })));
        assert!(matches!(edit.set("", "1"), Err(EditError::Name { .. })));
        edit.save().unwrap();
        let mut edit = Edit::open(&file).unwrap();
        assert_eq!(edit.get("profiles.a.model").as_deref(), Some("\"true\""));
        assert!(edit.remove("profiles.\"b.c\"") && !edit.remove("profiles.z"));
        edit.save().unwrap();
        assert_eq!(Config::load(&file).unwrap().0.profiles.len(), 1);
    }
}
