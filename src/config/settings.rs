//! The keys that a person may change from a list: single values, each with its words and its default.

use super::spec::{self, Key, Kind};

/// One key of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingInfo {
    /// `ui.theme`
    pub key: String,
    pub kind: SettingKind,
    /// As TOML; empty: there is none.
    pub default: &'static str,
    pub doc: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingKind {
    /// True or false.
    Switch,
    /// One of these.
    Choice(Vec<String>),
    /// Text as it is.
    Text,
    /// A number, a size or a duration: as TOML, or as a bare word.
    Value,
}

/// All of them, in the order of the documented example: the screen's first, since those are looked for.
#[must_use]
pub fn settings() -> Vec<SettingInfo> {
    let mut all = Vec::new();
    let table = |name: &str| {
        spec::CONFIG.iter().find(|key| key.name == name).and_then(|key| match &key.kind {
            Kind::Table(keys) => Some(*keys),
            _ => None,
        })
    };
    for name in ["ui", "chat", "policy", "tools", "store"] {
        all.extend(table(name).into_iter().flatten().filter_map(|key| info(name, key)));
    }
    all.extend(spec::CONFIG.iter().filter_map(|key| info("", key)));
    all.extend(table("limits").into_iter().flatten().filter_map(|key| info("limits", key)));
    all
}

/// The text that a value written as TOML stands for; None where it is no text.
#[must_use]
pub fn text_of(toml: &str) -> Option<String> {
    toml.trim().parse::<toml_edit::Value>().ok()?.as_str().map(str::to_owned)
}

fn info(table: &str, key: &'static Key) -> Option<SettingInfo> {
    let kind = match &key.kind {
        Kind::Bool => SettingKind::Switch,
        Kind::Words(words) => SettingKind::Choice(words.iter().map(|word| (*word).to_owned()).collect()),
        Kind::Text => SettingKind::Text,
        Kind::Int { .. } | Kind::Number { .. } | Kind::Duration | Kind::Size => SettingKind::Value,
        // Lists, tables and secrets are edited where they stand.
        Kind::Secret
        | Kind::Texts
        | Kind::Argv
        | Kind::TextMap { .. }
        | Kind::WordMap(_)
        | Kind::TextsOrTables(_)
        | Kind::Any
        | Kind::Bindings
        | Kind::Table(_)
        | Kind::Tables { .. } => return None,
    };
    let name = if table.is_empty() { key.name.to_owned() } else { format!("{table}.{}", key.name) };
    Some(SettingInfo { key: name, kind, default: key.default, doc: key.doc })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_can_be_written_as_its_default_and_changes_nothing() {
        for setting in settings().into_iter().filter(|setting| !setting.default.is_empty()) {
            let text = match setting.key.split_once('.') {
                Some((table, name)) => format!("[{table}]\n{name} = {}\n", setting.default),
                None => format!("{} = {}\n", setting.key, setting.default),
            };
            let (read, _) = super::super::Config::parse("c.toml".as_ref(), &text).unwrap();
            // Where the dispatch is not named, another place may name it.
            let plain = super::super::Config { file: None, lines: Default::default(), dispatch: None, ..read };
            assert_eq!(plain, super::super::Config::default(), "{}", setting.key);
        }
    }
}
