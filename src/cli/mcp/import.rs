//! `millrace mcp import`: servers of other clients, taken over.

use crate::chat::{Fault, FaultKind};
use crate::config::{Edit, Paths, import};
use crate::text::sanitize;

use super::show::say;
use super::{Bench, ask, config_fault};

impl Bench {
    pub(super) fn import(&self, yes: bool) -> Result<u8, Fault> {
        let Paths { home: Some(home), .. } = &self.setup.paths else {
            return Err(Fault::new(FaultKind::Config, "this user has no home folder to look in"));
        };
        let (found, unreadable) = import::find(home, &self.setup.folder);
        for bad in &unreadable {
            eprintln!("{}: {}", self.setup.paths.show(&bad.path), sanitize(&bad.why));
        }
        let (known, new): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|found| self.entries.iter().any(|entry| entry.name == found.draft.name));
        for found in &known {
            eprintln!("{}: a server of this name is configured already", found.draft.name.as_str());
        }
        if new.is_empty() {
            say("No new servers of other clients were found.");
            return Ok(0);
        }
        for found in &new {
            let line = self.expand(&found.draft).line();
            say(&format!("{}  from {}\n  {line}", found.draft.name.as_str(), found.client.name()));
            for note in &found.notes {
                say(&format!("  note: {note}"));
            }
        }
        let file = self.setup.paths.config_file();
        let shown = self.setup.paths.show(&file);
        let question = format!("Add these {} to {shown}? Nothing is started now.", new.len());
        if !yes && !ask(&question, "Import them with --yes, or from a terminal.")? {
            eprintln!("Nothing was changed.");
            return Ok(0);
        }
        let mut edit = Edit::open(&file).map_err(|error| config_fault(&error.to_string()))?;
        for found in &new {
            let mut draft = found.draft.clone();
            draft.trust = false;
            draft.ask_first = true;
            edit.put_server(&draft);
        }
        edit.save().map_err(|error| config_fault(&error.to_string()))?;
        say(&format!("Saved {} servers in {shown}. Each asks before its first start.", new.len()));
        Ok(0)
    }
}
