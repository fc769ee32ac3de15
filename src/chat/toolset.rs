//! What of the tools a conversation is offered: what a person switched on or off, and how each tool stands.

use std::collections::BTreeMap;
use std::sync::Arc;

use globset::{Glob, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

use super::{Claims, Policy, ServerName, ToolRef};

/// A person's choices for one conversation, over what the profile offers. Kept with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Toolset {
    /// Whole servers, on or off.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    servers: BTreeMap<ServerName, bool>,
    /// Single tools, by `server/tool`: they go before their server.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tools: BTreeMap<String, bool>,
    /// None: as the configuration says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub find: Option<FindTools>,
    /// What the conversation's role offers, in place of the profile's; None: as the profile says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<ToolGlobs>,
}

/// Globs `server/tool`, of which one must fit.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct ToolGlobs {
    globs: Vec<String>,
    set: Arc<GlobSet>,
}

impl ToolGlobs {
    #[must_use]
    pub fn matches(&self, tool: &ToolRef) -> bool {
        self.set.is_match(tool.path())
    }
}

impl From<Vec<String>> for ToolGlobs {
    /// What is no glob fits nothing: where it was written it was checked.
    fn from(globs: Vec<String>) -> Self {
        let set = globs.iter().filter_map(|glob| Glob::new(glob).ok()).fold(GlobSetBuilder::new(), |mut set, glob| {
            set.add(glob);
            set
        });
        Self { set: Arc::new(set.build().unwrap_or_default()), globs }
    }
}

impl From<ToolGlobs> for Vec<String> {
    fn from(globs: ToolGlobs) -> Self {
        globs.globs
    }
}

impl PartialEq for ToolGlobs {
    fn eq(&self, other: &Self) -> bool {
        self.globs == other.globs
    }
}

impl Eq for ToolGlobs {}

/// When the model is given `find_tools` instead of all definitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FindTools {
    /// Where the definitions would take more of the context than is allowed for them.
    #[default]
    Auto,
    Always,
    Never,
}

impl FindTools {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }
    }

    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Auto, Self::Always, Self::Never].into_iter().find(|mode| mode.word() == word)
    }

    /// The next in the circle that a key goes through.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Auto => Self::Always,
            Self::Always => Self::Never,
            Self::Never => Self::Auto,
        }
    }
}

impl Toolset {
    /// What was chosen for a tool, else what the role says of it; None: nothing.
    #[must_use]
    pub fn chosen(&self, tool: &ToolRef) -> Option<bool> {
        let switched = self.tools.get(&tool.path()).or_else(|| self.servers.get(&tool.server)).copied();
        switched.or_else(|| self.role.as_ref().map(|globs| globs.matches(tool)))
    }

    /// The same choices under another role.
    #[must_use]
    pub fn in_role(self, role: Option<ToolGlobs>) -> Self {
        Self { role, ..self }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub fn set_tool(&mut self, tool: &ToolRef, on: bool) {
        self.tools.insert(tool.path(), on);
    }

    /// A whole server; what was chosen for single tools of it is forgotten.
    pub fn set_server(&mut self, server: &ServerName, on: bool) {
        let of_it = format!("{}/", server.as_str());
        self.tools.retain(|path, _| !path.starts_with(&of_it));
        self.servers.insert(server.clone(), on);
    }
}

/// One tool as lists show it. Raw: sanitise before drawing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolRow {
    pub tool: ToolRef,
    pub title: Option<String>,
    /// Its beginning.
    pub description: String,
    pub claims: Claims,
    /// Whether its server's claims are believed.
    pub trusted: bool,
    pub policy: Policy,
    /// What its definition takes of the context, estimated.
    pub tokens: u64,
    pub standing: ToolStanding,
}

/// Whether a tool that a server lists can be offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolStanding {
    Usable,
    /// The configuration leaves it out: the server's `tools.allow`, or the profile's `tools`. A profile's can be
    /// switched on for a conversation.
    LeftOut {
        by_profile: bool,
    },
    Denied,
    /// New, or not as it was pinned: a person has to see how.
    Withheld {
        new: bool,
    },
    /// Set aside; why, as the end of a sentence.
    Aside(Arc<str>),
}

impl ToolRow {
    /// Whether it is offered in a conversation with these choices.
    #[must_use]
    pub fn is_on(&self, toolset: &Toolset) -> bool {
        match self.standing {
            ToolStanding::Usable => toolset.chosen(&self.tool).unwrap_or(true),
            ToolStanding::LeftOut { by_profile: true } => toolset.chosen(&self.tool).unwrap_or(false),
            ToolStanding::LeftOut { by_profile: false }
            | ToolStanding::Denied
            | ToolStanding::Withheld { .. }
            | ToolStanding::Aside(_) => false,
        }
    }
}

impl Claims {
    /// What the server says, in words: `read-only, closed world`. Empty where it says nothing.
    #[must_use]
    pub fn words(self) -> String {
        let said = [
            (self.read_only, "read-only", "writes"),
            (self.destructive.filter(|_| self.read_only != Some(true)), "destructive", "not destructive"),
            (self.idempotent, "idempotent", ""),
            (self.open_world, "open world", "closed world"),
        ];
        let words = said.into_iter().filter_map(|(claim, yes, no)| Some(if claim? { yes } else { no }));
        words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tools_own_switch_goes_before_its_servers() {
        let (read, write) = (ToolRef::new("fs", "read"), ToolRef::new("fs", "write"));
        let mut set = Toolset::default();
        assert_eq!(set.chosen(&read), None);
        set.set_server(&read.server, false);
        set.set_tool(&read, true);
        assert_eq!((set.chosen(&read), set.chosen(&write)), (Some(true), Some(false)));
        let kept = serde_json::to_string(&set).unwrap();
        assert_eq!(kept, r#"{"servers":{"fs":false},"tools":{"fs/read":true}}"#);
        assert_eq!(serde_json::from_str::<Toolset>(&kept).unwrap(), set);
        set.set_server(&read.server, true);
        assert_eq!(set.chosen(&write), Some(true));
        assert_eq!(serde_json::from_str::<Toolset>(r#"{"new":1}"#).unwrap(), Toolset::default(), "of a later version");
    }

    #[test]
    fn a_roles_globs_hold_where_nothing_was_switched() {
        let (read, write) = (ToolRef::new("fs", "read_file"), ToolRef::new("fs", "write_file"));
        let mut set = Toolset { role: Some(vec!["fs/read_*".to_owned(), "[".to_owned()].into()), ..Toolset::default() };
        assert_eq!((set.chosen(&read), set.chosen(&write)), (Some(true), Some(false)));
        let kept = serde_json::to_string(&set).unwrap();
        assert_eq!(kept, r#"{"role":["fs/read_*","["]}"#);
        assert_eq!(serde_json::from_str::<Toolset>(&kept).unwrap(), set);
        set.set_tool(&write, true);
        assert_eq!(set.chosen(&write), Some(true));
        assert_eq!(Toolset { role: Some(Vec::new().into()), ..Toolset::default() }.chosen(&read), Some(false));
    }

    #[test]
    fn claims_are_told_as_they_were_made() {
        let claims =
            Claims { read_only: Some(true), destructive: Some(false), idempotent: None, open_world: Some(false) };
        assert_eq!(claims.words(), "read-only, closed world");
        let claims = Claims { read_only: Some(false), destructive: Some(true), ..Claims::default() };
        assert_eq!(claims.words(), "writes, destructive");
        assert_eq!(Claims::default().words(), "");
    }
}
