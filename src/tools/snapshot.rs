//! The tools as they stand at one moment.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;

use crate::chat::{Claims, Dispatch, Grant, Policy, ServerName, Standing, ToolLine, ToolList, ToolRef};
use crate::text;

use super::briefing::Told;
use super::problem::Problem;
use super::rules::{AfterUntrusted, RuleGlob, RuleSource};
use super::schema::Schema;

/// One tool that is offered to the model. Texts are raw: sanitise before drawing.
#[derive(Clone, Debug)]
pub struct Tool {
    pub wire_name: Arc<str>,
    pub reference: ToolRef,
    /// Name and hash of the server's configuration.
    pub entry: Arc<str>,
    /// SHA-256 of the definition, hex: what pins and grants name.
    pub sha256: Arc<str>,
    pub title: Option<String>,
    pub description: String,
    pub claims: Claims,
    /// Whether the user believes this server's claims.
    pub trusted: bool,
    pub policy: Policy,
    pub policy_source: RuleSource,
    /// `--allow` names it.
    pub flag_allows: bool,
    /// Where the configuration says when its calls leave.
    pub dispatch: Option<Dispatch>,
    /// It declares parameters: `{}` may be a placeholder for arguments still to come.
    pub has_parameters: bool,
    /// What its definition takes of the context, estimated.
    pub tokens: u64,
    /// It is millrace's own, and asks nobody.
    pub builtin: bool,
    pub(super) input: Arc<Schema>,
    pub(super) output: Option<Arc<Schema>>,
}

impl Tool {
    /// Checks arguments against the tool's own schema, unchanged as the server gave it. May take long on hostile
    /// input: unless [`Tool::validates_quickly`], run it off the engine's task, with the limit for validation as its
    /// time-out.
    ///
    /// # Errors
    /// The first few problems, as sentences.
    pub fn validate(&self, arguments: &Value) -> Result<(), Vec<Problem>> {
        self.input.check(arguments)
    }

    /// Whether [`Tool::validate`] is short for these arguments (a few milliseconds at worst, typically microseconds),
    /// whatever the server and the model had in mind.
    #[must_use]
    pub fn validates_quickly(&self, arguments: &Value) -> bool {
        self.input.is_quick(arguments)
    }

    /// Checks structured content; fine where the tool has no output schema.
    ///
    /// # Errors
    /// The first few problems, as sentences.
    pub fn validate_output(&self, structured: &Value) -> Result<(), Vec<Problem>> {
        self.output.as_ref().map_or(Ok(()), |schema| schema.check(structured))
    }

    #[must_use]
    pub fn has_output_schema(&self) -> bool {
        self.output.is_some()
    }

    /// The input schema as the server gave it.
    #[must_use]
    pub fn schema(&self) -> &Value {
        self.input.value()
    }

    /// A trusted server claims that it only reads, and nothing from outside its own world; or it is millrace's own.
    #[must_use]
    pub fn known_read_only(&self) -> bool {
        self.builtin || self.trusted && self.claims.harmless()
    }

    /// `server/tool`, safe to draw, on one line.
    #[must_use]
    pub fn path(&self) -> String {
        drawn_path(&self.reference)
    }

    /// The rule that names exactly this tool, as a shell takes it (`--allow RULE`).
    #[must_use]
    pub fn rule(&self) -> String {
        drawn_rule(&self.reference)
    }
}

/// Why a tool that a server lists is not offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absence {
    /// A rule denies it.
    Denied(RuleSource),
    /// The server's `tools.allow` leaves it out.
    NotOffered,
    /// It is switched off in this conversation, or the profile leaves it out.
    Off,
    /// Its definition is new or has changed since the entry's were pinned; a person has to see the difference.
    Withheld,
    /// Its definition cannot be used; the reason, as a sentence.
    Quarantined(String),
}

/// A tool that a server lists and the model is not offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    pub reference: ToolRef,
    pub why: Absence,
}

impl Absent {
    /// What the model is told when it calls it all the same, and the user is shown.
    #[must_use]
    pub fn message(&self) -> String {
        let path = drawn_path(&self.reference);
        let server = self.reference.server.as_str();
        match &self.why {
            Absence::Denied(RuleSource::Flag(glob)) => {
                format!("denied {path}: the rule `{}` forbids it", one_line(glob))
            }
            Absence::Denied(RuleSource::Tool(glob)) => {
                format!("denied {path}: `{}` is set to deny for {server}", one_line(glob))
            }
            Absence::Denied(RuleSource::Server) => format!("denied {path}: the policy of {server} is deny"),
            Absence::Denied(RuleSource::Default) => format!("denied {path}: the default policy is deny"),
            Absence::NotOffered => format!("denied {path}: it is not among the tools that {server} may offer"),
            Absence::Off => format!("denied {path}: the user has switched it off for this conversation"),
            Absence::Withheld => {
                format!(
                    "denied {path}: its definition is new or has changed, and nobody has accepted that yet. The user can \
                     see and accept it on the chat screen: ctrl+o"
                )
            }
            Absence::Quarantined(reason) => format!("denied {path}: it was set aside, because {}", one_line(reason)),
        }
    }
}

/// The tools at one moment. Cheap to share, never changes.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub(super) tools: BTreeMap<Arc<str>, Arc<Tool>>,
    pub(super) by_ref: HashMap<ToolRef, Arc<Tool>>,
    pub(super) absent: HashMap<ToolRef, Absent>,
    pub(super) absent_names: HashMap<Arc<str>, ToolRef>,
    pub(super) grants: Arc<Vec<Grant>>,
    pub(super) list: Option<Arc<ToolList>>,
    /// What servers say of their use, where it was pinned or accepted.
    pub(super) instructions: Vec<Told>,
    pub(super) after_untrusted: AfterUntrusted,
    /// Each tool's element of the list, by wire name.
    pub(super) functions: HashMap<Arc<str>, Arc<str>>,
    /// What the profile offers; None: everything.
    pub(super) profile: Option<Arc<[RuleGlob]>>,
}

impl Snapshot {
    #[must_use]
    pub fn get(&self, wire_name: &str) -> Option<&Arc<Tool>> {
        self.tools.get(wire_name)
    }

    #[must_use]
    pub fn by_ref(&self, tool: &ToolRef) -> Option<&Arc<Tool>> {
        self.by_ref.get(tool)
    }

    /// Why a name that a server lists is not offered: a call to it is denied, not unknown.
    #[must_use]
    pub fn absent(&self, wire_name: &str) -> Option<&Absent> {
        self.absent.get(self.absent_names.get(wire_name)?)
    }

    #[must_use]
    pub(super) fn absent_ref(&self, tool: &ToolRef) -> Option<&Absent> {
        self.absent.get(tool)
    }

    /// The tools that are not offered, in no particular order.
    pub fn absences(&self) -> impl Iterator<Item = &Absent> {
        self.absent.values()
    }

    /// Offered tools, sorted by wire name.
    pub fn tools(&self) -> impl Iterator<Item = &Arc<Tool>> {
        self.tools.values()
    }

    /// Up to three offered names like this one, the nearest first. None is like one much longer than a name can be:
    /// comparing takes the product of the lengths.
    #[must_use]
    pub fn near(&self, wire_name: &str) -> Vec<String> {
        const LONGEST: usize = 128;
        if wire_name.len() > LONGEST {
            return Vec::new();
        }
        let mut scored: Vec<(f64, &str)> = self
            .tools
            .values()
            .map(|tool| {
                let whole = strsim::jaro_winkler(wire_name, &tool.wire_name);
                // A model often leaves the server's name out.
                let bare = &*tool.reference.tool;
                let bare = if bare.len() > LONGEST { 0.0 } else { strsim::jaro_winkler(wire_name, bare) };
                (whole.max(bare), &*tool.wire_name)
            })
            .filter(|(score, _)| *score >= 0.75)
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        scored.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
    }

    /// The tools as they are offered; None where there are none.
    #[must_use]
    pub fn list(&self) -> Option<Arc<ToolList>> {
        self.list.clone()
    }

    /// Offered wire names with whether they take parameters, for the assembler.
    pub fn declared(&self) -> impl Iterator<Item = (&str, bool)> {
        self.tools.values().map(|tool| (&*tool.wire_name, tool.has_parameters))
    }

    /// What servers say about how to use them, where it was pinned or accepted. Untrusted text.
    pub fn instructions(&self) -> impl Iterator<Item = (&ServerName, &str)> {
        self.instructions.iter().map(|told| (&told.server, &*told.text))
    }

    /// How many tools of a server are offered, and how many are set aside or withheld.
    #[must_use]
    pub fn counts(&self, server: &ServerName) -> (u32, u32) {
        let offered = self.tools.values().filter(|tool| tool.reference.server == *server).count();
        let aside = self
            .absent
            .values()
            .filter(|absent| absent.reference.server == *server)
            .filter(|absent| matches!(absent.why, Absence::Withheld | Absence::Quarantined(_)))
            .count();
        (u32::try_from(offered).unwrap_or(u32::MAX), u32::try_from(aside).unwrap_or(u32::MAX))
    }

    /// The tools of a server as its list shows them, by name.
    #[must_use]
    pub fn lines(&self, server: &ServerName) -> Vec<ToolLine> {
        let offered = self.tools.values().filter(|tool| tool.reference.server == *server).map(|tool| ToolLine {
            name: Arc::from(&*tool.reference.tool),
            description: tool.description.chars().take(600).collect(),
            claims: tool.claims,
            standing: Standing::Offered(tool.policy),
        });
        let aside = self.absent.values().filter(|absent| absent.reference.server == *server).map(|absent| ToolLine {
            name: Arc::from(&*absent.reference.tool),
            description: String::new(),
            claims: Claims::default(),
            standing: Standing::Aside(absent.message()),
        });
        let mut lines: Vec<ToolLine> = offered.chain(aside).collect();
        lines.sort_by(|a, b| a.name.cmp(&b.name));
        lines
    }

    pub(super) fn set_aside(&mut self, wire_name: &Arc<str>, reference: &ToolRef, why: Absence) {
        self.absent_names.insert(Arc::clone(wire_name), reference.clone());
        self.absent.insert(reference.clone(), Absent { reference: reference.clone(), why });
    }

    #[must_use]
    pub(super) fn grants(&self) -> &[Grant] {
        &self.grants
    }

    #[must_use]
    pub(super) fn after_untrusted(&self) -> AfterUntrusted {
        self.after_untrusted
    }
}

fn one_line(raw: &str) -> String {
    text::sanitize(raw).as_str().replace('\n', " ")
}

fn drawn_path(tool: &ToolRef) -> String {
    one_line(&tool.path())
}

/// A tool's name may hold glob and shell characters; pasted as advice it must match this tool alone.
fn drawn_rule(tool: &ToolRef) -> String {
    let rule = format!("{}/{}", globset::escape(tool.server.as_str()), globset::escape(&tool.tool));
    let clean = rule.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.' | ':' | '@'));
    if clean { rule } else { format!("'{}'", one_line(&rule).replace('\'', "'\\''")) }
}
