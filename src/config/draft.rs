//! A server as it is written: variables not expanded yet. Expansion makes a [`ServerEntry`] of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::chat::{Dispatch, LoggingLevel, Policy, Root, ServerName};

use super::file::{Config, dispatch, headers, policy, policy_word};
use super::node::Node;
use super::problem::Findings;
use super::server::{
    Consent, Era, ServerEntry, ServerFeatures, SignInSettings, Source, Transport, known_token, secret_name,
};
use super::{KeySource, Secret, units};

/// Whether `name` may be a server's name: `[a-z0-9][a-z0-9_-]{0,31}`, without `__`, not ending in `_`.
#[must_use]
pub fn server_name_ok(name: &str) -> bool {
    let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=32).contains(&name.len())
        && fine(name.as_bytes()[0])
        && name.bytes().all(|b| fine(b) || b == b'_' || b == b'-')
        && !name.contains("__")
        && !name.ends_with('_')
}

/// What a configuration file, a project, another client or a command line says about one server.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerDraft {
    pub name: ServerName,
    pub how: DraftTransport,
    pub trust: bool,
    pub policy: Option<Policy>,
    pub policies: BTreeMap<String, Policy>,
    pub tools_allow: Option<Vec<String>>,
    pub dispatch: Option<Dispatch>,
    pub dispatches: BTreeMap<String, Dispatch>,
    pub era: Option<Era>,
    pub jsonrpc: bool,
    pub start_timeout: Option<Duration>,
    pub call_timeout: Option<Duration>,
    pub disabled: bool,
    pub ask_first: bool,
    pub source: Source,
    pub sign_in: SignInSettings,
    pub features: ServerFeatures,
    /// As written: paths, from the working folder.
    pub roots: Vec<String>,
}

/// How it is reached, as written. Values may hold secrets, so Debug leaves them out.
#[derive(Clone, PartialEq, Eq)]
pub enum DraftTransport {
    Stdio { command: String, args: Vec<String>, env: BTreeMap<String, String>, cwd: Option<String> },
    Url { kind: UrlKind, url: String, headers: BTreeMap<String, String> },
}

impl std::fmt::Debug for DraftTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stdio { command, args, env, .. } => {
                write!(f, "Stdio({command:?} {args:?} env {:?})", env.keys().collect::<Vec<_>>())
            }
            Self::Url { kind, url, headers } => {
                write!(f, "{kind:?}({url:?} headers {:?})", headers.keys().collect::<Vec<_>>())
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlKind {
    Http,
    Sse,
    SimpleRpc,
}

impl UrlKind {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Sse => "sse",
            Self::SimpleRpc => "simple-rpc",
        }
    }
}

impl ServerDraft {
    #[must_use]
    pub fn new(name: &str, how: DraftTransport, source: Source) -> Self {
        Self {
            name: ServerName::new(name),
            how,
            trust: false,
            policy: None,
            policies: BTreeMap::new(),
            tools_allow: None,
            dispatch: None,
            dispatches: BTreeMap::new(),
            era: None,
            jsonrpc: false,
            start_timeout: None,
            call_timeout: None,
            disabled: false,
            ask_first: false,
            source,
            sign_in: SignInSettings::default(),
            features: ServerFeatures::default(),
            roots: Vec::new(),
        }
    }

    /// The command or address as it is written, as [`ServerEntry::line`] shows it; raw.
    #[must_use]
    pub fn line(&self) -> String {
        let empty = BTreeMap::new();
        let nothing = BTreeSet::new();
        let variables = Variables { env: &empty, refused: &nothing, folder: Path::new(""), home: None };
        let mut entry = self.expand(&variables);
        // What cannot be filled in stays as it is written: here that is all.
        if let (
            DraftTransport::Stdio { command, args, cwd, .. },
            Transport::Stdio { command: c, args: a, cwd: f, .. },
        ) = (&self.how, &mut entry.transport)
        {
            (*c, *a, *f) = (command.clone(), args.clone(), cwd.as_ref().map(PathBuf::from));
        }
        if let (
            DraftTransport::Url { url, .. },
            Transport::Http { url: shown, .. }
            | Transport::Sse { url: shown, .. }
            | Transport::SimpleRpc { url: shown, .. },
        ) = (&self.how, &mut entry.transport)
        {
            shown.clone_from(url);
        }
        entry.line()
    }

    /// `NAME:SHA256` over how it is reached, as written.
    #[must_use]
    pub fn hash(&self) -> Arc<str> {
        let canonical = match &self.how {
            DraftTransport::Stdio { command, args, env, cwd } => {
                serde_json::json!(["stdio", command, args, env, cwd])
            }
            DraftTransport::Url { kind, url, headers } => serde_json::json!([kind.word(), url, headers]),
        };
        let name = self.name.as_str();
        let digest = Sha256::digest(format!("{name}\0{canonical}").as_bytes());
        Arc::from(format!("{name}:{}", super::hex(&digest)))
    }

    /// The settings with a secret that stands in the environment fetched now, since nobody reads that later.
    fn sign_in_with(&self, variables: &Variables<'_>) -> SignInSettings {
        let mut settings = self.sign_in.clone();
        if let Some(KeySource::Env(name)) = &settings.client_secret
            && let Some(value) = variables.env.get(name).filter(|value| !value.trim().is_empty())
            && !variables.refused.contains(name)
        {
            settings.client_secret = Some(KeySource::Literal(Secret::new(value.trim())));
        }
        settings
    }

    /// Fills in variables. What cannot be filled in disables the server, with the reason.
    #[must_use]
    pub fn expand(&self, variables: &Variables<'_>) -> ServerEntry {
        let mut reason = None;
        let mut fill = |text: &str| match variables.fill(text) {
            Ok(text) => text,
            Err(why) => {
                reason.get_or_insert(why);
                text.to_owned()
            }
        };
        let transport = match &self.how {
            DraftTransport::Stdio { command, args, env, cwd } => Transport::Stdio {
                command: fill(command),
                args: args.iter().map(|a| fill(a)).collect(),
                env: env.iter().map(|(k, v)| (k.clone(), Secret::new(fill(v)))).collect(),
                cwd: cwd.as_deref().map(|dir| variables.folder.join(fill(dir))),
            },
            DraftTransport::Url { kind, url, headers } => {
                let url = fill(url);
                let headers = headers.iter().map(|(k, v)| (k.clone(), Secret::new(fill(v)))).collect();
                match kind {
                    UrlKind::Http => Transport::Http { url, headers },
                    UrlKind::Sse => Transport::Sse { url, headers },
                    UrlKind::SimpleRpc => Transport::SimpleRpc { url, headers },
                }
            }
        };
        let roots: Vec<String> = self.roots.iter().map(|path| fill(path)).collect();
        let roots = roots.iter().filter_map(|path| root(&variables.folder.join(path))).collect();
        if reason.is_none()
            && let Transport::Http { url, headers }
            | Transport::Sse { url, headers }
            | Transport::SimpleRpc { url, headers } = &transport
        {
            reason = address_fault(url).or_else(|| header_fault(headers));
        }
        if self.disabled {
            reason = Some(super::server::SWITCHED_OFF.to_owned());
        }
        ServerEntry {
            name: self.name.clone(),
            transport,
            trust: self.trust,
            policy: self.policy,
            policies: self.policies.clone(),
            tools_allow: self.tools_allow.clone(),
            dispatch: self.dispatch,
            dispatches: self.dispatches.clone(),
            era: self.era,
            jsonrpc: self.jsonrpc,
            start_timeout: self.start_timeout,
            call_timeout: self.call_timeout,
            consent: Consent::Given,
            source: self.source.clone(),
            entry_hash: self.hash(),
            disabled: reason,
            sign_in: self.sign_in_with(variables),
            features: ServerFeatures { roots, ..self.features.clone() },
        }
    }
}

/// A folder as a server is told of it: absolute, without steps back. None: it is not absolute.
#[must_use]
pub fn root(path: &std::path::Path) -> Option<Root> {
    let mut whole = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => drop(whole.pop()),
            std::path::Component::CurDir => {}
            part => whole.push(part),
        }
    }
    let name = whole.file_name().map(|name| name.to_string_lossy().into_owned());
    Some(Root { uri: url::Url::from_file_path(&whole).ok()?.into(), name })
}

/// Checks a `[servers.NAME.sign_in]`.
fn sign_in(node: &Node, path: &str, found: &mut Findings<'_>) -> SignInSettings {
    let Some(table) = node.get("sign_in") else { return SignInSettings::default() };
    if node.get("url").is_none() {
        found.error(&table.key, true, format!("`{path}.sign_in` means nothing here"), "it goes with url");
    }
    let secret = match (table.text("client_secret_env"), table.texts("client_secret_command")) {
        (Some(_), Some(_)) => {
            let what = format!("[{path}.sign_in] names two places for its secret");
            found.error(&table.key, false, what, "keep client_secret_env or client_secret_command");
            None
        }
        (Some(name), None) => Some(KeySource::Env(name)),
        (None, argv) => argv.map(KeySource::Command),
    };
    if secret.is_some() && table.get("client_id").is_none() {
        let what = format!("[{path}.sign_in] has a secret without its client_id");
        found.error(&table.key, false, what, "a secret belongs to a client_id");
    }
    for key in ["client_metadata_url", "issuer"] {
        if let (Some(text), Some(at)) = (table.text(key), table.get(key))
            && let Some(why) = issuer_fault(&text)
        {
            found.error(&at.span, false, format!("`{path}.sign_in.{key}` {why}"), "expected https://host/…");
        }
    }
    SignInSettings {
        client_id: table.text("client_id"),
        client_secret: secret,
        client_metadata_url: table.text("client_metadata_url"),
        issuer: table.text("issuer"),
        scopes: table.texts("scopes"),
        port: table.int("port").and_then(|port| u16::try_from(port).ok()),
        assume_pkce: table.bool("assume_pkce").unwrap_or(false),
    }
}

/// Addresses of a sign-in are https; http only on this machine.
fn issuer_fault(text: &str) -> Option<&'static str> {
    let Ok(address) = url::Url::parse(text) else { return Some("is not an address") };
    let here = match address.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    let fine = address.scheme() == "https" || (address.scheme() == "http" && here);
    (!fine).then_some("is not an https address")
}

/// Why an address cannot be used, if so.
fn address_fault(text: &str) -> Option<String> {
    let Ok(address) = url::Url::parse(text) else { return Some("its url is not an address".to_owned()) };
    if !matches!(address.scheme(), "http" | "https") {
        return Some(format!("its url begins with {}:, not http or https", address.scheme()));
    }
    if !address.username().is_empty() || address.password().is_some() {
        return Some("its url holds a user name or password; put them in headers".to_owned());
    }
    None
}

fn header_fault(headers: &BTreeMap<String, Secret>) -> Option<String> {
    headers.iter().find_map(|(name, value)| {
        let bad = http::HeaderName::from_bytes(name.as_bytes()).is_err()
            || http::HeaderValue::from_str(value.expose()).is_err();
        bad.then(|| "one of its headers cannot be sent".to_owned())
    })
}

/// Variables of the environment that hold keys of endpoints: they are never given to servers.
#[must_use]
pub fn refused_variables(config: &Config) -> BTreeSet<String> {
    let mut refused = BTreeSet::from(["OPENAI_API_KEY".to_owned()]);
    refused.extend(config.profiles.values().filter_map(|profile| match &profile.key {
        Some(KeySource::Env(name)) => Some(name.clone()),
        Some(KeySource::Command(_) | KeySource::Literal(_) | KeySource::Saved(_)) | None => None,
    }));
    refused
}

/// What texts of server entries may be filled in with.
#[derive(Debug)]
pub struct Variables<'a> {
    pub env: &'a BTreeMap<String, String>,
    /// Variables that hold keys of profiles, and are never given to servers.
    pub refused: &'a BTreeSet<String>,
    /// The working folder: for relative `cwd` and `${workspaceFolder}`.
    pub folder: &'a Path,
    pub home: Option<&'a Path>,
}

impl Variables<'_> {
    /// Replaces `${env:NAME}`, `${NAME}` and both with `:-default`, once: what is filled in is not looked at again.
    /// A `$` that begins none of them stays. A default is used where the variable is unset or empty.
    pub fn fill(&self, text: &str) -> Result<String, String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            out.push_str(&rest[..at]);
            let inner = &rest[at + 2..];
            let Some(end) = inner.find('}') else {
                return Err("a `${` in its configuration has no `}`".to_owned());
            };
            out.push_str(&self.value(&inner[..end])?);
            rest = &inner[end + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }

    fn value(&self, inner: &str) -> Result<String, String> {
        match inner {
            "workspaceFolder" => return Ok(self.folder.display().to_string()),
            "userHome" => {
                return self.home.map(|h| h.display().to_string()).ok_or_else(|| "there is no home folder".to_owned());
            }
            _ => {}
        }
        let inner = inner.strip_prefix("env:").unwrap_or(inner);
        let (name, default) = inner.split_once(":-").map_or((inner, None), |(name, default)| (name, Some(default)));
        if !super::file::variable_name(name) {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
            return Err(format!("`${{{shown}}}` in its configuration is not something millrace can fill in"));
        }
        if default.is_some_and(|default| default.contains("${")) {
            return Err(format!("the default of ${name} holds another variable, which is not filled in"));
        }
        if self.refused.contains(name) {
            return Err(format!("${name} holds the key of an endpoint and is not given to servers"));
        }
        match (self.env.get(name), default) {
            (Some(value), None) => Ok(value.clone()),
            (Some(value), Some(_)) if !value.is_empty() => Ok(value.clone()),
            (_, Some(default)) => Ok(default.to_owned()),
            (None, None) => Err(format!("${name} is not set")),
        }
    }
}

/// Builds a draft from a checked `[servers.NAME]`; what does not fit together is reported.
pub(super) fn checked(name: &str, node: &Node, source: Source, found: &mut Findings<'_>) -> Option<ServerDraft> {
    let path = format!("servers.{name}");
    let transport = node.text("transport");
    let how = match (node.text("command"), node.text("url")) {
        (Some(_), Some(_)) => {
            let at = node.get("url").map_or(0..0, |n| n.key.clone());
            found.error(&at, false, format!("[{path}] has both command and url"), "keep one of them");
            return None;
        }
        (None, None) => {
            let what = "needs a command or a url";
            found.error(&node.key, false, format!("[{path}] {what}"), "expected command = \"…\" or url = \"…\"");
            return None;
        }
        (Some(command), None) => {
            misplaced(node, &path, &["headers"], "url", found);
            if let (Some(word), Some(at)) = (&transport, node.get("transport"))
                && word != "stdio"
            {
                found.error(
                    &at.span,
                    false,
                    format!("[{path}] has a command, and transport {word:?}"),
                    "a command speaks \"stdio\"",
                );
            }
            if command.trim().is_empty() {
                let at = node.get("command").map_or(0..0, |n| n.span.clone());
                found.error(&at, false, format!("`{path}.command` is empty"), "expected a program");
            }
            DraftTransport::Stdio {
                command,
                args: node.texts("args").unwrap_or_default(),
                env: node.text_map("env"),
                cwd: node.text("cwd"),
            }
        }
        (None, Some(url)) => {
            misplaced(node, &path, &["args", "env", "cwd"], "command", found);
            let kind = match transport.as_deref() {
                Some("sse") => UrlKind::Sse,
                Some("simple-rpc") => UrlKind::SimpleRpc,
                Some("stdio") => {
                    let at = node.get("transport").map_or(0..0, |n| n.span.clone());
                    found.error(
                        &at,
                        false,
                        format!("[{path}] has a url, and transport \"stdio\""),
                        "expected \"http\", \"sse\" or \"simple-rpc\"",
                    );
                    UrlKind::Http
                }
                _ => UrlKind::Http,
            };
            if !url.contains("${")
                && let (Some(why), Some(at)) = (address_fault(&url), node.get("url"))
            {
                found.error(
                    &at.span,
                    why.contains("password"),
                    format!("[{path}]: {why}"),
                    "expected an address as https://host/mcp",
                );
            }
            headers(node, &format!("{path}.headers"), found);
            DraftTransport::Url { kind, url, headers: node.text_map("headers") }
        }
    };
    for (name, at) in node.get("env").map(Node::entries).unwrap_or_default() {
        if name.is_empty() || name.contains(['=', '\0']) {
            found.error(&at.key, true, format!("`{path}.env` names no variable here"), "a name without =");
        }
    }
    let mut draft = ServerDraft::new(name, how, source);
    if let Some(secret) = secrets_in_the_open(&draft.how) {
        let at = node.get("args").or_else(|| node.get("url")).map_or(0..0, |n| n.key.clone());
        found.warn(&at, true, format!("[{path}] {secret}"), "put it in env or headers");
    }
    draft.sign_in = sign_in(node, &path, found);
    draft.features.log_level = node.text("log_level").and_then(|word| LoggingLevel::of(&word));
    let tokens = node.int("sampling_tokens").and_then(|n| u32::try_from(n).ok());
    draft.features.sampling = node.bool("sampling").unwrap_or(false).then_some(super::server::SamplingOffer { tokens });
    if draft.features.sampling.is_none()
        && let Some(at) = node.get("sampling_tokens")
    {
        found.warn(&at.key, false, format!("[{path}]: sampling_tokens does nothing by itself"), "add sampling = true");
    }
    draft.roots = node.texts("roots").unwrap_or_default();
    draft.features.roots_ask = node.bool("roots_ask").unwrap_or(true);
    if draft.roots.is_empty()
        && let Some(at) = node.get("roots_ask")
    {
        found.warn(&at.key, false, format!("[{path}]: roots_ask does nothing by itself"), "name the folders: roots");
    }
    draft.features.instructions = node.bool("instructions").unwrap_or(true);
    draft.features.watch = node.bool("watch").unwrap_or(true);
    draft.trust = node.bool("trust").unwrap_or(false);
    draft.policy = policy(node, "policy");
    draft.policies = node.text_map("policies").into_iter().map(|(k, v)| (k, policy_word(&v))).collect();
    draft.tools_allow = node.get("tools").and_then(|tools| tools.texts("allow"));
    draft.dispatch = dispatch(node, "dispatch");
    draft.dispatches = node
        .text_map("dispatches")
        .into_iter()
        .map(|(k, v)| (k, if v == "finish" { Dispatch::Finish } else { Dispatch::Close }))
        .collect();
    draft.era = node.text("era").and_then(|word| Era::of(&word));
    draft.jsonrpc = node.get("compat").and_then(|compat| compat.bool("jsonrpc")).unwrap_or(false);
    draft.start_timeout = node.text("start_timeout").and_then(|t| units::duration(&t).ok());
    draft.call_timeout = node.text("call_timeout").and_then(|t| units::duration(&t).ok());
    draft.disabled = node.bool("disabled").unwrap_or(false);
    draft.ask_first = node.bool("ask_first").unwrap_or(false);
    for glob in draft.policies.keys().chain(draft.dispatches.keys()).chain(draft.tools_allow.iter().flatten()) {
        if globset::Glob::new(glob).is_err() {
            let shown: String = glob.chars().take(40).collect();
            found.error(
                &node.key,
                false,
                format!("[{path}]: {shown:?} is not a pattern of tool names"),
                "as \"read_*\"",
            );
        }
    }
    Some(draft)
}

fn misplaced(node: &Node, path: &str, keys: &[&str], needs: &str, found: &mut Findings<'_>) {
    for key in keys {
        if let Some(at) = node.get(key) {
            found.error(&at.key, true, format!("`{path}.{key}` means nothing here"), format!("it goes with {needs}"));
        }
    }
}

/// What would show a secret to others: in arguments every user of the machine can read, in addresses every log.
#[must_use]
pub fn secrets_in_the_open(how: &DraftTransport) -> Option<String> {
    let named = secret_name;
    let secret_variable = |text: &str| {
        text.split("${").skip(1).any(|inner| {
            let name = inner.split(['}', ':']).find(|part| *part != "env").unwrap_or("");
            named(name) || name.to_ascii_uppercase().ends_with("_KEY")
        })
    };
    match how {
        DraftTransport::Stdio { args, .. } => {
            let mut before = "";
            for arg in args {
                let literal = arg.split_once('=').is_some_and(|(name, value)| named(name) && !value.is_empty())
                    || (before.starts_with('-') && !before.contains('=') && named(before))
                    || known_token(arg);
                if literal || secret_variable(arg) {
                    return Some("seems to hold a secret in args, which every user of this machine can see".to_owned());
                }
                before = arg;
            }
            None
        }
        DraftTransport::Url { url, .. } => {
            let query = url.split_once('?').is_some_and(|(_, query)| {
                query.split('&').any(|pair| {
                    pair.split_once('=')
                        .is_some_and(|(name, value)| !value.is_empty() && (named(name) || name == "key"))
                })
            });
            (query || secret_variable(url))
                .then(|| "seems to hold a secret in its url, which ends up in logs".to_owned())
        }
    }
}

/// Where an entry's file is, for people and for consents.
#[must_use]
pub fn source_path(source: &Source) -> PathBuf {
    match source {
        Source::User(path) | Source::Project(path) | Source::File(path) => path.clone(),
        Source::Program => PathBuf::new(),
    }
}
