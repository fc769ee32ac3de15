//! Which value wins, and which key goes where. A function of what it is given.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::chat::{
    Api, Approve, CompactRules, Dispatch, Fault, FaultKind, FindTools, Limits, Policy, Prices, Sampling,
};

use super::address::{choose_endpoint, choose_headers, choose_key, choose_profile, where_messages_go};
use super::draft::{ServerDraft, Variables, source_path};
use super::external::External;
use super::project::Project;
use super::saved::Consents;
use super::{
    Auth, Config, Consent, Endpoint, KeySource, Keymap, PolicySettings, Profile, Role, Secret, ServerEntry, Source,
    ToolSettings, UiSettings, spec,
};

/// What was said on the command line.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    pub profile: Option<String>,
    pub base_url: Option<String>,
    pub model: Option<String>,
    pub api: Option<Api>,
    pub system: Option<String>,
    pub role: Option<String>,
    pub temperature: Option<f64>,
    pub max_output_tokens: Option<u64>,
    pub reasoning_effort: Option<String>,
    pub params: Vec<(String, Value)>,
    pub no_mcp: bool,
    pub trust: Vec<String>,
    pub approve: Option<Approve>,
    pub allow: Vec<String>,
    pub deny: Vec<String>,
    pub dispatch: Option<Dispatch>,
    pub max_rounds: Option<u32>,
    pub no_save: bool,
}

/// Everything that has a say.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    pub flags: &'a Flags,
    pub env: &'a BTreeMap<String, String>,
    pub config: &'a Config,
    pub project: Option<&'a Project>,
    /// The files named with `--mcp`.
    pub external: &'a [External],
    /// Origins for which a key is kept.
    pub saved: &'a BTreeSet<String>,
    /// As if nobody had named a role.
    pub without_role: bool,
    pub consents: &'a Consents,
    /// The working folder.
    pub folder: &'a Path,
    pub home: Option<&'a Path>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Flag(&'static str),
    Profile(String),
    Env(&'static str),
    Project,
    User,
    Default,
}

/// One value as `config show` prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub key: String,
    /// Secrets are masked.
    pub value: String,
    pub origin: Origin,
}

/// What holds for this run.
#[derive(Clone, Debug)]
pub struct Resolved {
    pub profile: Option<String>,
    pub endpoint: Endpoint,
    /// The key of this endpoint and of no other; None: none is sent.
    pub key: Option<KeySource>,
    /// Why no key is sent to an endpoint that will likely want one.
    pub key_missing: Option<String>,
    /// That key is one that was named and is not there, or the endpoint is the default one, which wants one.
    pub key_needed: bool,
    /// Sent to this endpoint and to no other.
    pub headers: BTreeMap<String, Secret>,
    /// None: to be asked from the endpoint.
    pub model: Option<String>,
    pub api: Api,
    pub auth: Auth,
    pub vision: Option<bool>,
    /// Tokens that fit the model's context, as the profile says.
    pub context: Option<u64>,
    /// When the context counts as short, and what is done about it.
    pub compact: CompactRules,
    /// Whether the model makes titles, and which one where it is not the one that answered.
    pub titles: Option<Option<String>>,
    pub proxy: Option<String>,
    pub ca_file: Option<PathBuf>,
    pub prices: Option<Prices>,
    /// The model that the prices are of: the profile's own, whatever is asked this time. None: of all.
    pub priced_model: Option<String>,
    pub system: Option<String>,
    /// The role that holds; its values are among the others already, but for its tools.
    pub role: Option<Role>,
    /// All that can be chosen.
    pub roles: Vec<Role>,
    pub sampling: Sampling,
    pub dispatch: Dispatch,
    pub approve: Option<Approve>,
    /// With the rules of the command line and of the project.
    pub policy: PolicySettings,
    /// With what the profile says of `find_tools`.
    pub tools: ToolSettings,
    /// Globs `server/tool` that the profile offers; None: everything.
    pub profile_tools: Option<Vec<String>>,
    pub limits: Limits,
    pub ui: UiSettings,
    pub keymap: Keymap,
    pub save: bool,
    pub servers: Vec<ServerEntry>,
    /// For a person: what was not done as written, and why.
    pub notices: Vec<String>,
    /// One sentence: which host is told what is typed, and with which key.
    pub where_messages_go: String,
    pub settings: Vec<Setting>,
}

/// Applies the rules of contract section 1.
///
/// # Errors
/// A [`Fault`] of kind `Usage` where a flag names what is not there, of kind `Config` where files or variables do.
pub fn resolve(given: &Given<'_>) -> Result<Resolved, Fault> {
    let mut out = Notes::default();
    let (name, profile) = choose_profile(given, &mut out)?;
    let empty = Profile::default();
    let chosen = profile.unwrap_or(&empty);
    let (endpoint, from) = choose_endpoint(given, name.as_deref(), profile, &mut out)?;
    let (key, key_missing) = choose_key(given, name.as_deref(), profile, &endpoint, &from, &mut out);
    let named = matches!(&chosen.key, Some(KeySource::Env(_)));
    let headers = choose_headers(chosen, &endpoint, &mut out);
    let away = endpoint.private && !endpoint.loopback;
    let key_needed = key.is_none() && away && headers.is_empty() && (named || from == Origin::Default);
    let by_profile = || Origin::Profile(name.clone().unwrap_or_default());
    let env = |name: &str| given.env.get(name).filter(|v| !v.trim().is_empty()).cloned();
    let project = given.project;

    let role = choose_role(given, name.as_deref(), chosen, &mut out)?;
    let role = Ranked { role, profile: by_profile() };
    let model = out.pick(
        "model",
        [
            (given.flags.model.clone(), Origin::Flag("--model")),
            role.at(Rank::Flag, |role| role.model.clone()),
            (chosen.model.clone(), by_profile()),
            role.at(Rank::Profile, |role| role.model.clone()),
            (env("MILLRACE_MODEL"), Origin::Env("MILLRACE_MODEL")),
            (project.and_then(|p| p.model.clone()), Origin::Project),
            role.at(Rank::Project, |role| role.model.clone()),
            (given.config.model.clone(), Origin::User),
            role.at(Rank::User, |role| role.model.clone()),
        ],
    );
    let api = out.pick("api", [(given.flags.api, Origin::Flag("--api")), (chosen.api, by_profile())]);
    let system = out.pick(
        "system",
        [
            (given.flags.system.clone(), Origin::Flag("--system")),
            role.at(Rank::Flag, |role| role.system.clone()),
            (chosen.system.clone(), by_profile()),
            role.at(Rank::Profile, |role| role.system.clone()),
            role.at(Rank::Project, |role| role.system.clone()),
            (given.config.system.clone(), Origin::User),
            role.at(Rank::User, |role| role.system.clone()),
        ],
    );
    let system = system.filter(|text| !text.is_empty());
    let temperature = out.pick(
        "temperature",
        [
            (given.flags.temperature, Origin::Flag("--temperature")),
            role.at(Rank::Flag, |role| role.temperature),
            (chosen.temperature, by_profile()),
            role.at(Rank::Profile, |role| role.temperature),
            (project.and_then(|p| p.temperature), Origin::Project),
            role.at(Rank::Project, |role| role.temperature),
            (given.config.temperature, Origin::User),
            role.at(Rank::User, |role| role.temperature),
        ],
    );
    let max_output_tokens = out.pick(
        "max_output_tokens",
        [
            (given.flags.max_output_tokens, Origin::Flag("--max-output-tokens")),
            role.at(Rank::Flag, |role| role.max_output_tokens),
            (chosen.max_output_tokens, by_profile()),
            role.below_flags(|role| role.max_output_tokens),
        ],
    );
    let reasoning_effort = out.pick(
        "reasoning_effort",
        [
            (given.flags.reasoning_effort.clone(), Origin::Flag("--reasoning-effort")),
            role.at(Rank::Flag, |role| role.reasoning_effort.clone()),
            (chosen.reasoning_effort.clone(), by_profile()),
            role.below_flags(|role| role.reasoning_effort.clone()),
        ],
    );
    let dispatch = out.pick(
        "dispatch",
        [
            (given.flags.dispatch, Origin::Flag("--dispatch")),
            (chosen.dispatch, by_profile()),
            (given.config.dispatch, Origin::User),
        ],
    );
    let written = given.config.lines.contains_key("tools.find").then_some(given.config.tools.find);
    let find = out.pick("tools.find", [(chosen.find_tools, by_profile()), (written, Origin::User)]);
    // From the one that says least to the one that says most.
    let (by_flag, _) = role.at(Rank::Flag, |role| Some(role.params.as_slice()));
    let (below, _) = role.below_flags(|role| Some(role.params.as_slice()));
    let mut params: Vec<(String, Value)> = Vec::new();
    for (name, value) in
        [below, Some(&chosen.params), by_flag, Some(&given.flags.params)].into_iter().flatten().flatten()
    {
        params.retain(|(old, _)| old != name);
        params.push((name.clone(), value.clone()));
    }

    let mut policy = given.config.policy.clone();
    for (rules, flag) in [(&given.flags.allow, "--allow"), (&given.flags.deny, "--deny")] {
        for rule in rules {
            super::rule_ok(rule).map_err(|why| {
                Fault::new(FaultKind::Usage, format!("{flag} {rule}: {why}"))
                    .hint(format!("write it as server/tool: {flag} 'files/read_*'"))
            })?;
        }
    }
    policy.allow.extend(given.flags.allow.iter().cloned());
    policy.deny.extend(given.flags.deny.iter().cloned());
    policy.deny.extend(project.into_iter().flat_map(|p| p.deny.iter().cloned()));

    let mut limits = given.config.limits.clone();
    if let Some(rounds) = given.flags.max_rounds {
        limits.rounds = rounds;
    }
    let mut ui = given.config.ui.clone();
    if let Some(project) = project {
        project.draw_over(&mut ui);
    }
    let servers = choose_servers(given, &mut out)?;
    let where_messages_go = where_messages_go(&endpoint, key.as_ref(), key_missing.as_deref());
    Ok(Resolved {
        profile: name,
        endpoint,
        key,
        key_missing,
        key_needed,
        headers,
        model,
        api: api.unwrap_or_default(),
        auth: chosen.auth.unwrap_or_default(),
        vision: chosen.vision,
        context: chosen.context,
        compact: given.config.compact,
        titles: given.config.titles.clone(),
        proxy: chosen.proxy.clone(),
        ca_file: chosen.ca_file.clone(),
        prices: chosen.prices,
        priced_model: chosen.model.clone(),
        system,
        role: role.role.map(|(role, _)| role.clone()),
        roles: given.config.roles.values().cloned().collect(),
        sampling: Sampling { temperature, max_output_tokens, reasoning_effort, params, schema: None },
        dispatch: dispatch.unwrap_or_default(),
        approve: given.flags.approve,
        policy,
        tools: ToolSettings { find: find.unwrap_or_default(), ..given.config.tools },
        profile_tools: chosen.tools.clone(),
        limits,
        ui,
        keymap: given.config.keymap.clone(),
        save: given.config.store.save && !given.flags.no_save,
        servers,
        notices: out.notices,
        where_messages_go,
        settings: out.settings,
    })
}

#[derive(Default)]
pub(super) struct Notes {
    pub notices: Vec<String>,
    pub settings: Vec<Setting>,
}

impl Notes {
    /// The first that is there, remembered with its origin.
    pub fn pick<T: Shown, const N: usize>(&mut self, key: &str, sources: [(Option<T>, Origin); N]) -> Option<T> {
        let (value, origin) = sources.into_iter().find_map(|(value, origin)| Some((value?, origin)))?;
        self.set(key, value.shown(), origin);
        Some(value)
    }

    pub fn set(&mut self, key: &str, value: String, origin: Origin) {
        self.settings.push(Setting { key: key.to_owned(), value, origin });
    }
}

/// How `config show` writes a value.
pub(super) trait Shown {
    fn shown(&self) -> String;
}

impl Shown for String {
    fn shown(&self) -> String {
        format!("{self:?}")
    }
}

impl Shown for f64 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for u64 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for Api {
    fn shown(&self) -> String {
        format!("{:?}", self.word())
    }
}

impl Shown for Dispatch {
    fn shown(&self) -> String {
        match self {
            Self::Close => "\"close\"".to_owned(),
            Self::Finish => "\"finish\"".to_owned(),
        }
    }
}

impl Shown for FindTools {
    fn shown(&self) -> String {
        format!("{:?}", self.word())
    }
}

/// Who named the role: it speaks right behind the values that stand at the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rank {
    Flag,
    Profile,
    Project,
    User,
}

/// The role that holds, if any, and who named it.
struct Ranked<'a> {
    role: Option<(&'a Role, Rank)>,
    profile: Origin,
}

impl<'a> Ranked<'a> {
    /// What the role says, where it was named at this rank.
    fn at<T>(&self, rank: Rank, value: impl FnOnce(&'a Role) -> Option<T>) -> (Option<T>, Origin) {
        let origin = match rank {
            Rank::Flag => Origin::Flag("--role"),
            Rank::Profile => self.profile.clone(),
            Rank::Project => Origin::Project,
            Rank::User => Origin::User,
        };
        (self.role.filter(|(_, named)| *named == rank).and_then(|(role, _)| value(role)), origin)
    }

    /// What the role says, where anything but the command line named it.
    fn below_flags<T>(&self, value: impl FnOnce(&'a Role) -> Option<T>) -> (Option<T>, Origin) {
        match self.role {
            Some((_, rank @ (Rank::Profile | Rank::Project | Rank::User))) => self.at(rank, value),
            Some((_, Rank::Flag)) | None => (None, Origin::Default),
        }
    }
}

/// The first that names a role that is there. One on the command line must be; a project may name only the user's own.
fn choose_role<'a>(
    given: &Given<'a>,
    profile: Option<&str>,
    chosen: &Profile,
    out: &mut Notes,
) -> Result<Option<(&'a Role, Rank)>, Fault> {
    let roles = &given.config.roles;
    if given.without_role {
        return Ok(None);
    }
    if let Some(name) = given.flags.role.as_ref().filter(|name| !roles.contains_key(*name)) {
        return Err(no_role(given.config, name));
    }
    let named = [
        (given.flags.role.as_ref(), Rank::Flag, Origin::Flag("--role")),
        (chosen.role.as_ref(), Rank::Profile, Origin::Profile(profile.unwrap_or_default().to_owned())),
        (given.project.and_then(|project| project.role.as_ref()), Rank::Project, Origin::Project),
        (given.config.role.as_ref(), Rank::User, Origin::User),
    ];
    for (name, rank, origin) in named {
        let Some(name) = name else { continue };
        if let Some(role) = roles.get(name) {
            out.set("role", name.shown(), origin);
            return Ok(Some((role, rank)));
        }
        let notice = match (given.config.role_set_aside(name), rank) {
            (Some(problem), _) => format!(
                "The role {name:?} is left out: {}:{}: {}.",
                problem.file.display(),
                problem.line,
                problem.message
            ),
            (None, Rank::Project) => {
                format!("The project asks for the role {name:?}, which is not one of yours; it is left out.")
            }
            // Checked when the file was read.
            (None, Rank::Flag | Rank::Profile | Rank::User) => continue,
        };
        out.notices.push(notice);
    }
    Ok(None)
}

fn no_role(config: &Config, name: &str) -> Fault {
    if let Some(problem) = config.role_set_aside(name) {
        return Fault::new(FaultKind::Config, problem.render(&|path| path.display().to_string()).trim_end().to_owned());
    }
    let names: Vec<_> = config.roles.keys().map(String::as_str).collect();
    let hint = match spec::nearest(name, names.iter().copied()) {
        Some(near) => format!("Did you mean {near}?"),
        None if names.is_empty() => {
            "There are none yet: [roles] in config.toml, or roles/NAME.md beside it.".to_owned()
        }
        None => format!("There are: {}.", names.join(", ")),
    };
    Fault::new(FaultKind::Config, format!("no role is called {name:?}")).hint(hint)
}

fn choose_servers(given: &Given<'_>, out: &mut Notes) -> Result<Vec<ServerEntry>, Fault> {
    if given.flags.no_mcp {
        return Ok(Vec::new());
    }
    let refused = super::refused_variables(given.config);
    let variables = Variables { env: given.env, refused: &refused, folder: given.folder, home: given.home };
    let mut drafts: Vec<(ServerDraft, bool)> = Vec::new();
    for draft in &given.config.servers {
        let seen = given.consents.has(&source_path(&draft.source), &draft.hash());
        drafts.push((draft.clone(), !draft.ask_first || seen));
    }
    for draft in given.project.into_iter().flat_map(|p| &p.servers) {
        let name = draft.name.as_str();
        if drafts.iter().any(|(known, _)| known.name == draft.name) {
            out.notices.push(format!("The project's server {name:?} is left out: you have one of that name."));
            continue;
        }
        let seen = given.consents.has(&source_path(&draft.source), &draft.hash());
        drafts.push((draft.clone(), seen));
    }
    for file in given.external {
        out.notices.extend(file.notices.iter().map(|notice| format!("{}: {notice}", file.path.display())));
        for draft in &file.servers {
            let Some((known, consent)) = drafts.iter_mut().find(|(known, _)| known.name == draft.name) else {
                drafts.push((draft.clone(), true));
                continue;
            };
            if known.how != draft.how {
                let name = draft.name.as_str();
                let message =
                    format!("{}: server {name:?} is configured already, with another entry", file.path.display());
                return Err(Fault::new(FaultKind::Config, message)
                    .hint("Rename one of them, or use --no-mcp to leave all servers out."));
            }
            // Naming the file is consent to start what it lists.
            *consent = true;
        }
    }
    let mut servers = Vec::new();
    for (draft, consent) in drafts {
        let mut entry = draft.expand(&variables);
        entry.consent = if consent { Consent::Given } else { Consent::NeedsPerson };
        if let (Some(why), false) = (&entry.disabled, draft.disabled) {
            out.notices.push(format!("Server {:?} is off: {why}.", entry.name.as_str()));
        }
        // A project may only narrow what the user's own default says.
        if matches!(entry.source, Source::Project(_)) && given.config.policy.default == Policy::Deny {
            entry.policy = Some(Policy::Deny);
            entry.policies.clear();
        }
        servers.push(entry);
    }
    for name in &given.flags.trust {
        match servers.iter_mut().find(|s| s.name.as_str() == name) {
            Some(entry) => entry.trust = true,
            None => {
                let near = spec::nearest(name, servers.iter().map(|s| s.name.as_str()));
                let hint = near.map_or_else(
                    || "`millrace mcp list` shows the servers.".to_owned(),
                    |near| format!("Did you mean {near}?"),
                );
                return Err(Fault::new(FaultKind::Usage, format!("--trust {name}: no server is called so")).hint(hint));
            }
        }
    }
    Ok(servers)
}
