//! The rules of a session in its recording: with others, a replay would ask where the session did not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::chat::{Dispatch, FindTools, Policy, ServerName};
use crate::tools::{AfterUntrusted, FindRules, RegistryRules, RuleError, RuleGlob, ServerRules, ToolGlob};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RulesLine {
    default: Policy,
    /// `ask`, or nothing is asked.
    after_untrusted: Policy,
    allow: Vec<String>,
    deny: Vec<String>,
    servers: BTreeMap<ServerName, ServerLine>,
    /// What the profile offers; nothing: everything.
    profile: Option<Vec<String>>,
    find: Option<FindLine>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct FindLine {
    mode: FindTools,
    share: f64,
    tokens: Option<u64>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct ServerLine {
    policy: Option<Policy>,
    policies: Vec<(String, Policy)>,
    offered: Option<Vec<String>>,
    trust: bool,
    dispatch: Option<Dispatch>,
    dispatches: Vec<(String, Dispatch)>,
    /// What it says of its own use is told the model; not so in recordings that do not say.
    instructions: bool,
}

impl From<&RegistryRules> for RulesLine {
    fn from(rules: &RegistryRules) -> Self {
        let texts = |globs: &[RuleGlob]| globs.iter().map(|glob| glob.as_str().to_owned()).collect();
        Self {
            default: rules.default_policy,
            after_untrusted: match rules.after_untrusted {
                AfterUntrusted::Ask => Policy::Ask,
                AfterUntrusted::Ignore => Policy::Allow,
            },
            allow: texts(&rules.allow),
            deny: texts(&rules.deny),
            servers: rules.servers.iter().map(|(name, rules)| (name.clone(), rules.into())).collect(),
            profile: rules.profile.as_deref().map(texts),
            find: Some(FindLine { mode: rules.find.mode, share: rules.find.share, tokens: rules.find.tokens }),
        }
    }
}

impl From<&ServerRules> for ServerLine {
    fn from(rules: &ServerRules) -> Self {
        let text = |glob: &ToolGlob| glob.as_str().to_owned();
        Self {
            policy: rules.policy,
            policies: rules.policies.iter().map(|(glob, policy)| (text(glob), *policy)).collect(),
            offered: rules.offered.as_ref().map(|globs| globs.iter().map(text).collect()),
            trust: rules.trust,
            dispatch: rules.dispatch,
            dispatches: rules.dispatches.iter().map(|(glob, dispatch)| (text(glob), *dispatch)).collect(),
            instructions: !rules.silent,
        }
    }
}

impl RulesLine {
    /// # Errors
    /// A rule is no glob.
    pub(super) fn rules(&self) -> Result<RegistryRules, RuleError> {
        let globs = |texts: &[String]| texts.iter().map(|text| RuleGlob::parse(text)).collect::<Result<Vec<_>, _>>();
        let servers = self.servers.iter().map(|(name, line)| Ok((name.clone(), line.rules()?)));
        Ok(RegistryRules {
            default_policy: self.default,
            after_untrusted: match self.after_untrusted {
                Policy::Allow => AfterUntrusted::Ignore,
                Policy::Ask | Policy::Deny => AfterUntrusted::Ask,
            },
            allow: globs(&self.allow)?,
            deny: globs(&self.deny)?,
            servers: servers.collect::<Result<_, RuleError>>()?,
            profile: self.profile.as_deref().map(globs).transpose()?.map(Into::into),
            find: self.find.map_or_else(FindRules::default, |find| FindRules {
                mode: find.mode,
                share: find.share,
                tokens: find.tokens,
            }),
        })
    }
}

impl ServerLine {
    fn rules(&self) -> Result<ServerRules, RuleError> {
        Ok(ServerRules {
            policy: self.policy,
            policies: globs(&self.policies)?,
            offered: match &self.offered {
                Some(texts) => Some(texts.iter().map(|text| ToolGlob::parse(text)).collect::<Result<_, _>>()?),
                None => None,
            },
            trust: self.trust,
            dispatch: self.dispatch,
            dispatches: globs(&self.dispatches)?,
            silent: !self.instructions,
        })
    }
}

fn globs<T: Copy>(pairs: &[(String, T)]) -> Result<Vec<(ToolGlob, T)>, RuleError> {
    pairs.iter().map(|(text, what)| Ok((ToolGlob::parse(text)?, *what))).collect()
}
