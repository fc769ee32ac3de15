//! The whole of a configuration file, as values.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::chat::{Api, CompactMode, CompactRules, Dispatch, FindTools, Limits, Policy, Prices};

use super::draft::{self, ServerDraft};
use super::node::{self, Node, Raw};
use super::problem::{Findings, Problem, Severity, place};
use super::theme::{BUILT_IN_THEMES, theme_path};
use super::{Auth, KeySource, Keymap, Profile, Role, Secret, limits, role, spec};

/// What `config.toml` says. `Config::default()` is what holds where nothing is written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The file it was read from; None where there is none.
    pub file: Option<PathBuf>,
    pub profile: Option<String>,
    pub model: Option<String>,
    pub temperature: Option<f64>,
    pub system: Option<String>,
    pub role: Option<String>,
    pub dispatch: Option<Dispatch>,
    pub profiles: BTreeMap<String, Profile>,
    /// As written, variables not expanded; `resolve` makes entries of them.
    pub servers: Vec<ServerDraft>,

    pub policy: PolicySettings,
    pub tools: ToolSettings,
    /// `[chat]`
    pub compact: CompactRules,
    /// Whether the model makes titles, and which one where it is not the one that answered.
    pub titles: Option<Option<String>>,
    pub limits: Limits,
    pub ui: UiSettings,
    pub keymap: Keymap,
    /// By name: those of `[roles]`, and those of the files beside it.
    pub roles: BTreeMap<String, Role>,
    /// What is wrong with role files: these roles are set aside.
    pub role_problems: Vec<Problem>,
    pub store: StoreSettings,
    /// Dotted path of every key that is written in the file, to its line.
    pub lines: BTreeMap<String, usize>,
}

/// `[policy]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySettings {
    pub default: Policy,
    /// What happens to an allowed call on another server after untrusted content came in; `Ask` or `Allow`.
    pub after_untrusted: Policy,
    /// Globs `server/tool`. Deny wins.
    pub allow: Vec<String>,
    pub deny: Vec<String>,
}

impl Default for PolicySettings {
    fn default() -> Self {
        Self { default: Policy::Ask, after_untrusted: Policy::Ask, allow: Vec::new(), deny: Vec::new() }
    }
}

/// `[tools]`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToolSettings {
    pub find: FindTools,
    /// Percent of the context that definitions may take.
    pub find_share: f64,
    /// Tokens that they may take, instead.
    pub find_tokens: Option<u64>,
}

impl Default for ToolSettings {
    fn default() -> Self {
        Self { find: FindTools::Auto, find_share: 10.0, find_tokens: None }
    }
}

/// `[ui]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UiSettings {
    /// One that needs no file (`BUILT_IN_THEMES`), or the name of one that does.
    pub theme: String,
    pub glyphs: Glyphs,
    pub links: Links,
    /// Pictures are drawn where the terminal can.
    pub images: bool,
    /// Clocks by tenths of a second.
    pub motion: bool,
    pub notify: Notify,
    /// Notifications quote: titles of conversations, what an endpoint said.
    pub notify_details: bool,
    /// The composer's keys are vi's.
    pub vi: bool,
    pub screen: Screen,
    pub mouse: bool,
    /// Whether the tool panel is open where there is room.
    pub panel: bool,
    /// Whether reasoning is shown unfolded.
    pub reasoning: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Glyphs {
    #[default]
    Auto,
    Unicode,
    Ascii,
}

/// Whether addresses are links of the terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// Where the terminal is not known to stumble over them.
    #[default]
    Auto,
    On,
    Off,
}

/// How a person is called who looks elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notify {
    /// As the terminal is known to show it.
    #[default]
    Auto,
    Osc9,
    Osc777,
    Osc99,
    Bell,
    Off,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Screen {
    #[default]
    Full,
    Inline,
    Plain,
}

impl Default for UiSettings {
    fn default() -> Self {
        Self {
            theme: "auto".into(),
            glyphs: Glyphs::Auto,
            links: Links::Auto,
            images: false,
            motion: true,
            notify: Notify::Auto,
            notify_details: false,
            vi: false,
            screen: Screen::Full,
            mouse: true,
            panel: true,
            reasoning: false,
        }
    }
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// Whether conversations are kept.
    pub save: bool,
    /// Whether tokens go to the system's keyring.
    pub keyring: bool,
    /// For how many days conversations are kept; 0: for ever.
    pub keep_days: u32,
    /// The same for folders, as they were written.
    pub keep_days_in: BTreeMap<String, u32>,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { save: true, keyring: true, keep_days: 0, keep_days_in: BTreeMap::new() }
    }
}

impl StoreSettings {
    fn apply(&mut self, node: &Node, found: &mut Findings<'_>) {
        if let Some(save) = node.bool("save") {
            self.save = save;
        }
        if let Some(keyring) = node.bool("keyring") {
            self.keyring = keyring;
        }
        if let Some(days) = node.int("keep_days") {
            self.keep_days = u32::try_from(days).unwrap_or(0);
        }
        let Some(folders) = node.get("keep_days_in") else { return };
        for (folder, value) in folders.entries() {
            let days =
                folders.int(folder).filter(|days| i64::try_from(*days).is_ok_and(|days| days <= spec::MOST_DAYS));
            match days.and_then(|days| u32::try_from(days).ok()) {
                Some(days) => {
                    self.keep_days_in.insert(folder.clone(), days);
                }
                None => {
                    let message = "the days of a folder in `store.keep_days_in` are no number from 0 to 36500";
                    found.error(&value.span, false, message, "expected a number of days; 0: for ever");
                }
            }
        }
    }
}

/// A file's problems, all of them.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {}: {error}", path.display())]
    Io { path: PathBuf, error: std::io::Error },
    #[error("{}", problems.iter().map(|p| p.render(&|path| path.display().to_string())).collect::<Vec<_>>().join("\n"))]
    Bad { problems: Vec<Problem> },
}

/// Largest configuration file that is read, in bytes.
const FILE_MAX: u64 = 4 * 1024 * 1024;

impl Config {
    /// Reads the file; one that is not there is the default configuration. Warnings come with it.
    pub fn load(path: &Path) -> Result<(Self, Vec<Problem>), ConfigError> {
        match read_text(path) {
            Ok(text) => Self::parse(path, &text),
            // Roles may stand beside a file that is not there.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Self::parse(path, "").map(|(config, warnings)| (Self { file: None, ..config }, warnings))
            }
            Err(error) => Err(ConfigError::Io { path: path.to_path_buf(), error }),
        }
    }

    /// Reads the text of a file that is called `path`. Either the configuration and its warnings, or everything that
    /// is wrong with it.
    pub fn parse(path: &Path, text: &str) -> Result<(Self, Vec<Problem>), ConfigError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut found = Findings::new(path.to_path_buf(), text);
        let tree = Node::toml(&mut found);
        let tree = node::check(tree, spec::CONFIG, "", &mut found);
        let mut config = Self { file: Some(path.to_path_buf()), ..Self::build(&tree, &mut found) };
        written(&tree, "", text, &mut config.lines);
        let mut problems = found.problems;
        problems.sort_by_key(|p| (p.line, p.column));
        if problems.iter().any(|p| p.severity == Severity::Error) {
            return Err(ConfigError::Bad { problems });
        }
        Ok((config, problems))
    }

    fn build(tree: &Node, found: &mut Findings<'_>) -> Self {
        let mut config = Self {
            profile: tree.text("profile"),
            model: tree.text("model"),
            temperature: tree.number("temperature"),
            system: tree.text("system"),
            role: tree.text("role"),
            dispatch: dispatch(tree, "dispatch"),
            roles: role::configured(tree, found),
            ..Self::default()
        };
        for (name, node) in tree.get("profiles").map(Node::entries).unwrap_or_default() {
            config.profiles.insert(name.clone(), profile(name, node, found));
        }
        config.take_role_files(tree, found);
        let source = super::Source::User(found.file.clone());
        for (name, node) in tree.get("servers").map(Node::entries).unwrap_or_default() {
            config.servers.extend(draft::checked(name, node, source.clone(), found));
        }
        if let Some(node) = tree.get("policy") {
            config.policy = PolicySettings {
                default: policy(node, "default").unwrap_or_default(),
                after_untrusted: policy(node, "after_untrusted").unwrap_or_default(),
                allow: rules(node, "allow", found),
                deny: rules(node, "deny", found),
            };
        }
        if let Some(node) = tree.get("tools") {
            let tools = &mut config.tools;
            tools.find = node.text("find").and_then(|word| FindTools::from_word(&word)).unwrap_or(tools.find);
            tools.find_share = node.number("find_share").unwrap_or(tools.find_share);
            tools.find_tokens = node.int("find_tokens").filter(|most| *most > 0);
        }
        if let Some(node) = tree.get("chat") {
            let rules = &mut config.compact;
            rules.mode = node.text("compact").and_then(|word| CompactMode::from_word(&word)).unwrap_or(rules.mode);
            rules.at = node.number("compact_at").unwrap_or(rules.at);
            rules.keep = node.int("compact_keep").and_then(|keep| u32::try_from(keep).ok()).unwrap_or(rules.keep);
            config.titles = (node.text("titles").as_deref() == Some("model")).then(|| node.text("title_model"));
        }
        if let Some(node) = tree.get("limits") {
            limits::apply(&mut config.limits, node, spec::LIMITS);
        }
        if let Some(node) = tree.get("ui") {
            config.ui.apply(node);
        }
        if let Some(node) = tree.get("keys") {
            config.keymap.apply(node, found);
        }
        if let Some(node) = tree.get("store") {
            config.store.apply(node, found);
        }
        names_exist(tree, &config, found);
        config
    }
}

impl Config {
    /// Adds the roles that have files of their own. A text that has no folder has none.
    fn take_role_files(&mut self, tree: &Node, found: &mut Findings<'_>) {
        let folder = found.file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let Some(folder) = folder.map(|folder| folder.join("roles")) else { return };
        let files = role::read_folder(&folder);
        self.role_problems = files.problems;
        for (name, role) in files.roles {
            match tree.get("roles").and_then(|roles| roles.get(&name)) {
                Some(node) => {
                    let message = format!("the role `{name}` is in roles/{name}.md, too");
                    found.warn(&node.key, false, message, "this one holds");
                }
                None => drop(self.roles.insert(name, role)),
            }
        }
    }

    /// What is wrong with a role that was set aside; None: there is none of that name.
    #[must_use]
    pub fn role_set_aside(&self, name: &str) -> Option<&Problem> {
        let of_it =
            |problem: &&Problem| problem.severity == Severity::Error && problem.file.file_stem() == Some(name.as_ref());
        self.role_problems.iter().find(of_it)
    }
}

impl UiSettings {
    /// Takes what a checked `[ui]` names.
    pub(super) fn apply(&mut self, node: &Node) {
        if let Some(theme) = node.text("theme") {
            self.theme = theme;
        }
        self.glyphs = match node.text("glyphs").as_deref() {
            Some("auto") => Glyphs::Auto,
            Some("unicode") => Glyphs::Unicode,
            Some("ascii") => Glyphs::Ascii,
            _ => self.glyphs,
        };
        self.links = match node.text("links").as_deref() {
            Some("auto") => Links::Auto,
            Some("on") => Links::On,
            Some("off") => Links::Off,
            _ => self.links,
        };
        self.notify = match node.text("notify").as_deref() {
            Some("auto") => Notify::Auto,
            Some("osc9") => Notify::Osc9,
            Some("osc777") => Notify::Osc777,
            Some("osc99") => Notify::Osc99,
            Some("bell") => Notify::Bell,
            Some("off") => Notify::Off,
            _ => self.notify,
        };
        self.images = node.text("images").map_or(self.images, |word| word == "on");
        self.screen = match node.text("screen").as_deref() {
            Some("full") => Screen::Full,
            Some("inline") => Screen::Inline,
            Some("plain") => Screen::Plain,
            _ => self.screen,
        };
        let flag = |name: &str, old: bool| node.bool(name).unwrap_or(old);
        self.motion = flag("motion", self.motion);
        self.notify_details = flag("notify_details", self.notify_details);
        self.vi = node.text("editing").map_or(self.vi, |word| word == "vi");
        self.mouse = flag("mouse", self.mouse);
        self.panel = flag("panel", self.panel);
        self.reasoning = flag("reasoning", self.reasoning);
    }
}

/// Reads a file of configuration: a plain file, not absurdly large, UTF-8.
pub(super) fn read_text(path: &Path) -> std::io::Result<String> {
    use std::io::{Error, ErrorKind, Read as _};
    let file = std::fs::File::open(path)?;
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(Error::new(ErrorKind::InvalidData, "the file is larger than 4 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::InvalidData, "the file is not UTF-8"))
}

fn profile(name: &str, node: &Node, found: &mut Findings<'_>) -> Profile {
    let path = |key: &str| format!("profiles.{name}.{key}");
    if let Some(at) = node.get("base_url")
        && let Err(why) = super::Endpoint::parse(at.as_text().unwrap_or(""))
    {
        let secret = why.mentions_secret();
        found.error(
            &at.span,
            secret,
            format!("`{}` {why}", path("base_url")),
            "expected an address as https://host/v1",
        );
    }
    let mut sources =
        ["api_key_env", "api_key_command", "api_key"].into_iter().filter_map(|key| Some((key, node.get(key)?)));
    let first = sources.next();
    if let (Some((one, _)), Some((two, at))) = (first, sources.next()) {
        found.error(&at.key, true, format!("profile `{name}` has both {one} and {two}"), "keep one of them");
    }
    let key = first.and_then(|(key, at)| match key {
        "api_key_env" => at.as_text().map(|name| KeySource::Env(name.to_owned())),
        "api_key_command" => node.texts(key).map(KeySource::Command),
        _ => at.as_text().map(|text| KeySource::Literal(Secret::new(text))),
    });
    match (&key, first) {
        (Some(KeySource::Env(variable)), Some((_, at))) if !variable_name(variable) => {
            let message = format!("`{}` is not the name of a variable", path("api_key_env"));
            found.error(
                &at.span,
                true,
                message,
                "expected a name as OPENAI_API_KEY; the key itself does not belong here",
            );
        }
        (Some(KeySource::Literal(_)), Some((_, at))) => {
            found.warn(
                &at.key,
                true,
                format!("profile `{name}` holds its key in this file"),
                "api_key_env or api_key_command keep it out",
            );
        }
        _ => {}
    }
    headers(node, &format!("profiles.{name}.headers"), found);
    Profile {
        base_url: node.text("base_url"),
        key,
        model: node.text("model"),
        api: node.text("api").map(|word| if word == "responses" { Api::Responses } else { Api::Chat }),
        headers: node.text_map("headers").into_iter().map(|(k, v)| (k, Secret::new(v))).collect(),
        temperature: node.number("temperature"),
        max_output_tokens: node.int("max_output_tokens"),
        reasoning_effort: node.text("reasoning_effort"),
        params: role::params(node),
        system: node.text("system"),
        role: node.text("role"),
        dispatch: dispatch(node, "dispatch"),
        auth: node.text("auth").map(|word| if word == "api-key" { Auth::ApiKey } else { Auth::Bearer }),
        vision: node.bool("vision"),
        context: node.int("context"),
        proxy: node.text("proxy"),
        ca_file: node.text("ca_file").map(PathBuf::from),
        prices: prices(node),
        tools: node.get("tools").map(|_| rules(node, "tools", found)),
        find_tools: node.text("find_tools").and_then(|word| FindTools::from_word(&word)),
    }
}

/// What tokens cost; None where neither side has a price.
fn prices(node: &Node) -> Option<Prices> {
    let (input, output) = (node.number("price_input"), node.number("price_output"));
    (input.is_some() || output.is_some()).then(|| Prices {
        input: input.unwrap_or_default(),
        output: output.unwrap_or_default(),
        cached: node.number("price_cached"),
    })
}

/// Header names and values that HTTP could not carry.
pub(super) fn headers(node: &Node, path: &str, found: &mut Findings<'_>) {
    for (name, at) in node.get("headers").map(Node::entries).unwrap_or_default() {
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            found.error(&at.key, true, format!("`{path}` names no HTTP header here"), "letters, digits and -");
        } else if http::HeaderValue::from_str(at.as_text().unwrap_or("")).is_err() {
            found.error(
                &at.span,
                true,
                format!("`{path}.{name}` cannot be sent"),
                "no line breaks or control characters",
            );
        }
    }
}

/// Whether a text can be the name of an environment variable.
pub(super) fn variable_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

pub(super) fn dispatch(node: &Node, name: &str) -> Option<Dispatch> {
    node.text(name).map(|word| if word == "finish" { Dispatch::Finish } else { Dispatch::Close })
}

pub(super) fn policy(node: &Node, name: &str) -> Option<Policy> {
    node.text(name).map(|word| policy_word(&word))
}

/// A checked word; what is none of the three asks.
pub(super) fn policy_word(word: &str) -> Policy {
    match word {
        "allow" => Policy::Allow,
        "deny" => Policy::Deny,
        _ => Policy::Ask,
    }
}

/// Globs of `server/tool`; bad ones are reported.
pub(super) fn rules(node: &Node, name: &str, found: &mut Findings<'_>) -> Vec<String> {
    let Some(Raw::List(items)) = node.get(name).map(|n| &n.value) else { return Vec::new() };
    for item in items {
        if let Err(why) = super::rule_ok(item.as_text().unwrap_or("")) {
            found.error(
                &item.span,
                false,
                format!("this is not a rule: {why}"),
                "expected server/tool, as \"files/read_*\"",
            );
        }
    }
    node.texts(name).unwrap_or_default()
}

/// Names that point at other tables of the file must be there.
fn names_exist(tree: &Node, config: &Config, found: &mut Findings<'_>) {
    let mut missing = |node: Option<&Node>, what: &str, names: &[&String]| {
        let Some((node, name)) = node.and_then(|n| Some((n, n.as_text()?))) else { return };
        if names.iter().any(|n| *n == name) || (what == "roles" && config.role_set_aside(name).is_some()) {
            return;
        }
        let near = spec::nearest(name, names.iter().map(|n| n.as_str()));
        let label =
            near.map_or_else(|| format!("there is no [{what}.{name}]"), |near| format!("did you mean {near:?}?"));
        found.error(&node.span, false, format!("no [{what}] is called {name:?}"), label);
    };
    let profiles: Vec<_> = config.profiles.keys().collect();
    let roles: Vec<_> = config.roles.keys().collect();
    missing(tree.get("profile"), "profiles", &profiles);
    missing(tree.get("role"), "roles", &roles);
    for (_, profile) in tree.get("profiles").map(Node::entries).unwrap_or_default() {
        missing(profile.get("role"), "roles", &roles);
    }
    if let Some(node) = tree.get("ui").and_then(|ui| ui.get("theme"))
        && let Some(name) = node.as_text()
    {
        let folder = found.file.parent().unwrap_or(Path::new("")).join("themes");
        let is_there = theme_path(&folder, name).is_some_and(|path| path.is_file());
        if !is_there && !BUILT_IN_THEMES.contains(&name) {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
            let label = format!("expected {}, or the name of a file in themes/", BUILT_IN_THEMES.join(", "));
            found.error(&node.span, false, format!("there is no theme {shown:?}"), label);
        }
    }
}

fn written(node: &Node, path: &str, text: &str, lines: &mut BTreeMap<String, usize>) {
    for (name, child) in node.entries() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if matches!(child.value, Raw::Map(_)) {
            written(child, &path, text, lines);
        } else {
            lines.insert(path, place(text, child.key.start).0);
        }
    }
}
