//! What the servers that were found would become: names kept apart from those that are there, what is known already,
//! what needs a person.

use std::path::PathBuf;

use super::literal::{Literal, literals, replace};
use super::unpinned::{Unpinned, unpinned};
use super::{Client, Found, Remark, Unreadable, alike};
use crate::chat::ServerName;
use crate::config::external::free_name;
use crate::config::{DraftTransport, ServerDraft, Variables, secrets_in_the_open};

/// Every entry that was found, and every file that could not be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub rows: Vec<Row>,
    pub unreadable: Vec<Unreadable>,
}

/// One entry. Texts of its file in it are raw.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub client: Client,
    pub path: PathBuf,
    /// As its file calls it.
    pub key: String,
    pub becomes: Becomes,
    pub remarks: Vec<Remark>,
    pub literals: Vec<Literal>,
    pub unpinned: Option<Unpinned>,
    /// Variables that it needs and that are not set now: it is off until they are.
    pub unset: Vec<String>,
    /// A secret in its arguments or address, where others see it.
    pub open_secret: Option<String>,
    /// Why it would be off all the same.
    pub off: Option<String>,
}

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    Off,
    NeedsYou,
    Dropped,
    Kept,
    Secret,
    Unpinned,
}

impl Note {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::NeedsYou => "needs you",
            Self::Dropped => "dropped",
            Self::Kept => "kept",
            Self::Secret => "secret",
            Self::Unpinned => "unpinned",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Becomes {
    New(Box<ServerDraft>),
    /// It is there already, under this name.
    Known(ServerName),
    LeftOut(String),
}

impl Row {
    #[must_use]
    pub fn draft(&self) -> Option<&ServerDraft> {
        match &self.becomes {
            Becomes::New(draft) => Some(draft),
            Becomes::Known(_) | Becomes::LeftOut(_) => None,
        }
    }

    /// Its command or address as it is written, or why it is not taken; raw.
    #[must_use]
    pub fn line(&self) -> String {
        match &self.becomes {
            Becomes::New(draft) => draft.line(),
            Becomes::Known(name) => format!("known already, as {}", name.as_str()),
            Becomes::LeftOut(why) => format!("left out: {why}"),
        }
    }

    /// What a person should know of it; raw.
    #[must_use]
    pub fn notes(&self) -> Vec<(Note, String)> {
        let Becomes::New(draft) = &self.becomes else { return Vec::new() };
        let mut notes = Vec::new();
        let mut add = |what, text: String| notes.push((what, text));
        if draft.disabled {
            add(Note::Off, "it is switched off there".to_owned());
        }
        if let Some(off) = &self.off {
            add(Note::Off, off.clone());
        }
        for remark in &self.remarks {
            match remark {
                Remark::Person(what) => add(Note::NeedsYou, what.clone()),
                Remark::Variable { name, why } => add(Note::NeedsYou, format!("set {name}: {why}")),
                Remark::Trust(key) => add(Note::Dropped, format!("{key}: it let tools run there unasked")),
                Remark::Dropped { key, why } => add(Note::Dropped, format!("{key}: {why}")),
                Remark::Narrows(key) => add(Note::Kept, format!("{key}: fewer tools are offered")),
            }
        }
        for variable in &self.unset {
            let told = |remark: &Remark| matches!(remark, Remark::Variable { name, .. } if name == variable);
            if !self.remarks.iter().any(told) {
                add(Note::NeedsYou, format!("{variable} is not set; it is off until it is"));
            }
        }
        for literal in &self.literals {
            add(Note::Secret, format!("{} stands there in plain", literal.name));
        }
        if let Some(open) = &self.open_secret {
            add(Note::NeedsYou, format!("it {open}"));
        }
        if let Some(unpinned) = &self.unpinned {
            let (runner, package, pin) = (unpinned.runner, &unpinned.package, unpinned.with("VERSION"));
            add(Note::Unpinned, format!("{runner} fetches the newest {package} at each start; pin it as {pin}"));
        }
        notes
    }

    /// Variables of the environment stand for its secrets from now on; they are then to be set.
    pub fn secrets_by_variable(&mut self) {
        let Becomes::New(draft) = &mut self.becomes else { return };
        for literal in std::mem::take(&mut self.literals) {
            let variable = literal.variable(draft.name.as_str());
            replace(draft, &literal, &format!("${{env:{variable}}}"));
            if !self.unset.contains(&variable) {
                self.unset.push(variable);
            }
        }
    }
}

/// Makes the plan. `configured` are the servers that are there; `variables` tell what is set now.
#[must_use]
pub fn plan(
    found: Vec<Found>,
    unreadable: Vec<Unreadable>,
    configured: &[ServerDraft],
    variables: &Variables<'_>,
) -> Plan {
    let mut rows: Vec<Row> = Vec::new();
    for Found { client, path, entry } in found {
        let becomes = match entry.draft {
            Err(why) => Becomes::LeftOut(why),
            Ok(draft) => becomes(draft, configured, &rows),
        };
        let mut row = Row {
            client,
            path,
            key: entry.key,
            becomes,
            remarks: entry.remarks,
            literals: Vec::new(),
            unpinned: None,
            unset: Vec::new(),
            open_secret: None,
            off: None,
        };
        if let Becomes::New(draft) = &row.becomes {
            row.literals = literals(draft);
            row.unpinned = unpinned(draft);
            row.unset = unset(draft, variables);
            row.open_secret = secrets_in_the_open(&draft.how);
            row.off = draft.expand(variables).disabled.filter(|_| row.unset.is_empty() && !draft.disabled);
        }
        rows.push(row);
    }
    Plan { rows, unreadable }
}

fn becomes(mut draft: ServerDraft, configured: &[ServerDraft], rows: &[Row]) -> Becomes {
    let planned = || rows.iter().filter_map(Row::draft);
    if let Some(known) = configured.iter().chain(planned()).find(|known| alike(known, &draft)) {
        return Becomes::Known(known.name.clone());
    }
    let taken = |name: &str| configured.iter().chain(planned()).any(|known| known.name.as_str() == name);
    if taken(draft.name.as_str()) {
        draft.name = free_name(draft.name.as_str(), taken).as_str().into();
    }
    draft.ask_first = true;
    draft.trust = false;
    Becomes::New(Box::new(draft))
}

fn unset(draft: &ServerDraft, variables: &Variables<'_>) -> Vec<String> {
    let texts: Vec<&String> = match &draft.how {
        DraftTransport::Stdio { command, args, env, cwd } => {
            std::iter::once(command).chain(args).chain(env.values()).chain(cwd).collect()
        }
        DraftTransport::Url { url, headers, .. } => std::iter::once(url).chain(headers.values()).collect(),
    };
    let mut names: Vec<String> = Vec::new();
    for inner in texts.iter().flat_map(|text| text.split("${env:").skip(1)) {
        let Some((name, _)) = inner.split_once('}') else { continue };
        if !name.contains(":-") && !variables.env.contains_key(name) && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}
