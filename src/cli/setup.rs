//! What every command begins with: the environment, the folders, the configuration and what holds of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::chat::{Fault, FaultKind, Limits};
use crate::config::{
    Config, ConfigError, Consents, External, Flags, Given, Paths, ProjectState, Provider, Resolved, SavedKeys,
    Severity, Trusted, external, project, providers, resolve,
};

use crate::mcp::{Keyring, SignIns};

use super::args::{EndpointArgs, SessionArgs};

/// The world outside, read once.
#[derive(Debug)]
pub struct Setup {
    pub env: BTreeMap<String, String>,
    /// The working folder.
    pub folder: PathBuf,
    pub paths: Paths,
    pub config: Config,
    pub project: ProjectState,
    pub saved: SavedKeys,
    pub consents: Consents,
    /// For a person.
    pub notices: Vec<String>,
}

impl Setup {
    /// Reads environment and files.
    ///
    /// # Errors
    /// `Config` with every problem of the file, rendered; hint included.
    pub fn load() -> Result<Self, Fault> {
        let env = environment();
        let paths = paths(&env)?;
        let folder = std::env::current_dir().unwrap_or_default();
        let (config, warnings) = Config::load(&paths.config_file()).map_err(|error| config_fault(&error, &paths))?;
        let mut notices: Vec<_> = warnings
            .iter()
            .filter(|problem| problem.severity == Severity::Warning)
            .map(|p| format!("{}:{}: {}; {}", paths.show(&p.file), p.line, p.message, p.label))
            .collect();
        notices.extend(config.role_problems.iter().map(|p| {
            let what = if p.severity == Severity::Error { "; this role is left out" } else { "" };
            format!("{}:{}: {}{what}", paths.show(&p.file), p.line, p.message)
        }));
        let state_fault = |error: std::io::Error| Fault::new(FaultKind::Config, error.to_string());
        let trusted = Trusted::load(&paths).map_err(state_fault)?;
        let consents = Consents::load(&paths).map_err(state_fault)?;
        let saved = SavedKeys::load(&paths).map_err(state_fault)?;
        let project =
            project::find(&folder, paths.home.as_deref(), &trusted).map_err(|error| config_fault(&error, &paths))?;
        if let ProjectState::Untrusted { path, changed, .. } = &project {
            let why = if *changed { "has changed since you trusted it" } else { "is not trusted" };
            let path = paths.show(path);
            notices.push(format!("{path} {why} and is not read. Look at it, then: millrace config trust"));
        }
        Ok(Self { env, folder, paths, config, project, saved, consents, notices })
    }

    /// What holds with these options. Reads the files of `--mcp`.
    pub fn resolve(&self, args: &SessionArgs) -> Result<Resolved, Fault> {
        let mut files = Vec::new();
        for path in &args.tools.mcp {
            files.push(external::load(path).map_err(|error| config_fault(&error, &self.paths))?);
        }
        let (flags, origins) = (args.flags(), self.saved.origins());
        let mut resolved = resolve(&self.given(&flags, &origins, &files))?;
        resolved.notices.splice(0..0, self.notices.iter().cloned());
        Ok(resolved)
    }

    /// The same as if no role had been named: what a conversation without one begins with.
    pub fn resolve_without_role(&self, args: &SessionArgs) -> Result<Resolved, Fault> {
        let (flags, origins) = (args.flags(), self.saved.origins());
        resolve(&Given { without_role: true, ..self.given(&flags, &origins, &[]) })
    }

    fn given<'a>(&'a self, flags: &'a Flags, saved: &'a BTreeSet<String>, external: &'a [External]) -> Given<'a> {
        let project = match &self.project {
            ProjectState::Trusted(project) => Some(&**project),
            ProjectState::None | ProjectState::Untrusted { .. } => None,
        };
        Given {
            flags,
            env: &self.env,
            config: &self.config,
            project,
            external,
            saved,
            without_role: false,
            consents: &self.consents,
            folder: &self.folder,
            home: self.paths.home.as_deref(),
        }
    }

    /// The endpoints of all profiles.
    #[must_use]
    pub fn providers(&self, args: &SessionArgs) -> Vec<Provider> {
        providers(&self.given(&args.flags(), &self.saved.origins(), &[]))
    }

    /// As [`Setup::resolve`], for commands that only name an endpoint.
    pub fn resolve_endpoint(&self, endpoint: &EndpointArgs) -> Result<Resolved, Fault> {
        self.resolve(&SessionArgs { endpoint: endpoint.clone(), ..SessionArgs::default() })
    }
}

impl Setup {
    /// Where sign-ins to servers are kept. With `MILLRACE_HOME` all is below that folder, so nothing is in a keyring.
    #[must_use]
    pub fn sign_ins(&self, limits: &Limits) -> SignIns {
        let everything_here = self.env.contains_key("MILLRACE_HOME") || !self.config.store.keyring;
        let keyring = if everything_here { Keyring::None } else { Keyring::find() };
        SignIns::new(self.paths.sign_ins(), keyring, limits.sign_in)
    }
}

/// The environment, as far as it is text.
#[must_use]
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect()
}

/// The folders, as the environment says.
pub fn paths(env: &BTreeMap<String, String>) -> Result<Paths, Fault> {
    Paths::new(env.get("MILLRACE_HOME").map(String::as_str))
        .map_err(|error| Fault::new(FaultKind::Config, error.to_string()))
}

/// A configuration error with its problems rendered, names of files short.
#[must_use]
pub fn config_fault(error: &ConfigError, paths: &Paths) -> Fault {
    match error {
        ConfigError::Io { path, error } => {
            Fault::new(FaultKind::Config, format!("cannot read {}: {error}", paths.show(path)))
        }
        ConfigError::Bad { problems } => {
            let text: Vec<_> = problems.iter().map(|p| p.render(&|path| paths.show(path))).collect();
            Fault::new(FaultKind::Config, text.join("\n").trim_end().to_owned())
        }
    }
}
