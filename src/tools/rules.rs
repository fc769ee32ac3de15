//! What the user's configuration and flags say about tools: policies, globs, trust.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use globset::{GlobBuilder, GlobMatcher};

use crate::chat::{Dispatch, FindTools, Policy, ServerName, ToolRef};

/// Everything that the user ruled, before any server has spoken.
#[derive(Clone, Debug, Default)]
pub struct RegistryRules {
    /// Where neither the server nor the tool has a policy of its own.
    pub default_policy: Policy,
    pub servers: BTreeMap<ServerName, ServerRules>,
    /// `--allow`, for this run.
    pub allow: Vec<RuleGlob>,
    /// `--deny`, for this run, and a trusted project's `deny`.
    pub deny: Vec<RuleGlob>,
    pub after_untrusted: AfterUntrusted,
    /// What the profile offers of all tools; None: everything. A person may switch others on for a conversation.
    pub profile: Option<Arc<[RuleGlob]>>,
    pub find: FindRules,
}

/// When the model is given `find_tools` instead of all definitions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FindRules {
    pub mode: FindTools,
    /// The part of the context that definitions may take, 0 to 1.
    pub share: f64,
    /// Tokens that they may take, whatever the context; goes before the share.
    pub tokens: Option<u64>,
}

/// The context window that is taken for one that nobody has told, tokens.
const COMMON_WINDOW: u64 = 128_000;
/// Fewer tools than these are never searched for: a list that short is read faster.
const FEWEST: usize = 20;

impl Default for FindRules {
    fn default() -> Self {
        Self { mode: FindTools::Auto, share: 0.10, tokens: None }
    }
}

impl FindRules {
    /// Whether this many tools, whose definitions take this many tokens, are to be found instead of listed.
    #[must_use]
    pub fn applies(self, tools: usize, tokens: u64, window: Option<u64>) -> bool {
        let window = window.filter(|window| *window > 0).unwrap_or(COMMON_WINDOW);
        let most = self.tokens.unwrap_or((window as f64 * self.share) as u64);
        match self.mode {
            FindTools::Never => false,
            FindTools::Always => tools > 0,
            FindTools::Auto => tools >= FEWEST && tokens > most,
        }
    }
}

/// What was ruled for one server.
#[derive(Clone, Debug, Default)]
pub struct ServerRules {
    pub policy: Option<Policy>,
    /// Per tool, by name or glob. Of several that match a `deny` wins, then the exact name, then the stricter.
    pub policies: Vec<(ToolGlob, Policy)>,
    /// What the model is offered at all; None: everything.
    pub offered: Option<Vec<ToolGlob>>,
    /// Whether its hints are believed.
    pub trust: bool,
    pub dispatch: Option<Dispatch>,
    /// Per tool; of several that match the exact name wins, then `finish`.
    pub dispatches: Vec<(ToolGlob, Dispatch)>,
    /// The model is not told what it says of its own use.
    pub silent: bool,
}

/// What happens to an allowed call that is not known to be read-only, after another server's untrusted content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AfterUntrusted {
    /// It asks once more; without a person it is denied, unless everything is approved.
    #[default]
    Ask,
    Ignore,
}

/// A rule's text that is no glob.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{glob}` is not a rule: {reason}")]
pub struct RuleError {
    pub glob: String,
    pub reason: String,
}

/// A glob over the tools of one server. `*` stands for any characters, `/` among them.
#[derive(Clone)]
pub struct ToolGlob {
    text: String,
    matcher: GlobMatcher,
}

impl ToolGlob {
    /// # Errors
    /// Where the text is not a glob.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let error = |reason: String| RuleError { glob: text.to_owned(), reason };
        if text.is_empty() {
            return Err(error("it is empty".to_owned()));
        }
        let glob = GlobBuilder::new(text).build().map_err(|e| error(e.kind().to_string()))?;
        Ok(Self { text: text.to_owned(), matcher: glob.compile_matcher() })
    }

    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.text == name || self.matcher.is_match(name)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for ToolGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ToolGlob({:?})", self.text)
    }
}

/// `server/tool`, both parts globs; `*` alone is `*/*`.
#[derive(Clone, Debug)]
pub struct RuleGlob {
    text: String,
    server: ToolGlob,
    tool: ToolGlob,
}

impl RuleGlob {
    /// # Errors
    /// Where a part is not a glob, or the slash is missing: a rule that silently matched nothing would be a trap.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let (server, tool) = match text.split_once('/') {
            Some(parts) => parts,
            None if text == "*" => ("*", "*"),
            None => {
                let reason = "write it as server/tool, for example files/read_* or files/*".to_owned();
                return Err(RuleError { glob: text.to_owned(), reason });
            }
        };
        let whole = |error: RuleError| RuleError { glob: text.to_owned(), reason: error.reason };
        Ok(Self {
            text: text.to_owned(),
            server: ToolGlob::parse(server).map_err(whole)?,
            tool: ToolGlob::parse(tool).map_err(whole)?,
        })
    }

    #[must_use]
    pub fn matches(&self, tool: &ToolRef) -> bool {
        self.server.matches(tool.server.as_str()) && self.tool.matches(&tool.tool)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Which rule a policy comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleSource {
    /// `--deny` or a project's `deny`, with its glob.
    Flag(String),
    /// `[servers.NAME.policies]`, with its glob.
    Tool(String),
    /// `[servers.NAME] policy`.
    Server,
    Default,
}

impl RegistryRules {
    #[must_use]
    pub(super) fn server(&self, server: &ServerName) -> Option<&ServerRules> {
        self.servers.get(server)
    }

    /// The policy for a tool and where it stands. A `deny` of the tool, of the server or of a flag wins over whatever
    /// else is said; the default speaks only where nothing else does.
    #[must_use]
    pub(super) fn policy(&self, tool: &ToolRef) -> (Policy, RuleSource) {
        if let Some(glob) = self.deny.iter().find(|glob| glob.matches(tool)) {
            return (Policy::Deny, RuleSource::Flag(glob.as_str().to_owned()));
        }
        let Some(server) = self.server(&tool.server) else { return (self.default_policy, RuleSource::Default) };
        let rank = |glob: &ToolGlob, policy: Policy| match policy {
            Policy::Deny => 3,
            Policy::Ask | Policy::Allow if glob.as_str() == &*tool.tool => 2,
            Policy::Ask => 1,
            Policy::Allow => 0,
        };
        let of_tool = server
            .policies
            .iter()
            .filter(|(glob, _)| glob.matches(&tool.tool))
            .max_by_key(|(glob, policy)| rank(glob, *policy));
        match (of_tool, server.policy) {
            (Some((glob, Policy::Deny)), _) => (Policy::Deny, RuleSource::Tool(glob.as_str().to_owned())),
            (_, Some(Policy::Deny)) => (Policy::Deny, RuleSource::Server),
            (Some((glob, policy)), _) => (*policy, RuleSource::Tool(glob.as_str().to_owned())),
            (None, Some(policy)) => (policy, RuleSource::Server),
            (None, None) => (self.default_policy, RuleSource::Default),
        }
    }

    /// The `--allow` glob that covers a tool.
    #[must_use]
    pub(super) fn allowed_by_flag(&self, tool: &ToolRef) -> bool {
        self.allow.iter().any(|glob| glob.matches(tool))
    }

    #[must_use]
    pub(super) fn offers(&self, tool: &ToolRef) -> bool {
        match self.server(&tool.server).and_then(|server| server.offered.as_ref()) {
            Some(globs) => globs.iter().any(|glob| glob.matches(&tool.tool)),
            None => true,
        }
    }

    #[must_use]
    pub(super) fn dispatch(&self, tool: &ToolRef) -> Option<Dispatch> {
        let server = self.server(&tool.server)?;
        let of_tool = server
            .dispatches
            .iter()
            .filter(|(glob, _)| glob.matches(&tool.tool))
            .max_by_key(|(glob, dispatch)| (glob.as_str() == &*tool.tool, *dispatch == Dispatch::Finish));
        of_tool.map(|(_, dispatch)| *dispatch).or(server.dispatch)
    }
}
