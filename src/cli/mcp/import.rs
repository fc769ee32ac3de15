//! `millrace mcp import`: servers of other clients, taken over.
//!
//! # Invariants
//! - What would be written is shown first: where it is from, what it becomes, what is dropped, what needs a person.
//! - Nothing is started, and the other client's file is only read.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::chat::{Fault, FaultKind};
use crate::config::import::{self, Becomes, Client, Note, Places, Plan, Remark, Row};
use crate::config::{Edit, Paths, Variables, refused_variables};
use crate::text::{sanitize, visible};

use super::show::{say, say_json, shown};
use super::{Bench, ask, config_fault, one_of};

/// What `mcp import` was asked to do.
pub(super) struct Wishes {
    pub(super) file: Option<PathBuf>,
    pub(super) from: Option<Client>,
    pub(super) only: Vec<String>,
    pub(super) dry_run: bool,
    pub(super) yes: bool,
    pub(super) pin: bool,
    pub(super) secrets: Option<Secrets>,
}

/// Where secrets go that stand in another client's file as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Secrets {
    /// Variables of the environment stand for them
    Env,
    /// They stay in config.toml as they are
    Keep,
}

impl Bench {
    pub(super) fn import(&self, wishes: &Wishes) -> Result<u8, Fault> {
        let mut plan = self.plan(wishes)?;
        let pinned = wishes.pin.then(|| self.pin(&mut plan));
        let all = plan.rows.iter().filter(|row| row.draft().is_some()).count();
        if self.json && (wishes.dry_run || all == 0) {
            say_json(&self.plan_json(&plan, None));
            return Ok(0);
        }
        if !self.json {
            self.print(&plan, pinned.as_ref());
        }
        if all == 0 {
            say("Nothing new to import.");
            return Ok(0);
        }
        if wishes.dry_run {
            say("Nothing was changed: this was a dry run.");
            return Ok(0);
        }
        self.keep_secrets(&mut plan, wishes)?;
        let file = self.setup.paths.config_file();
        let shown_file = self.setup.paths.show(&file);
        let question = format!("Add {} to {shown_file}? Nothing is started now.", servers(all));
        if !wishes.yes && !ask(&question, "Import them with --yes, look with --dry-run, or use a terminal.")? {
            eprintln!("Nothing was changed.");
            return Ok(0);
        }
        Paths::make(&self.setup.paths.config).map_err(|error| config_fault(&error.to_string()))?;
        let mut edit = Edit::open(&file).map_err(|error| config_fault(&error.to_string()))?;
        for draft in plan.rows.iter().filter_map(Row::draft) {
            edit.put_server(draft);
        }
        edit.save().map_err(|error| config_fault(&error.to_string()))?;
        if self.json {
            say_json(&self.plan_json(&plan, Some(&shown_file)));
        } else {
            say(&format!("Saved {} in {shown_file}. Each asks before its first start.", servers(all)));
            let unset = plan.rows.iter().filter(|row| row.draft().is_some()).flat_map(|row| &row.unset);
            let mut unset: Vec<&str> = unset.map(String::as_str).collect();
            unset.sort_unstable();
            unset.dedup();
            if !unset.is_empty() {
                say(&format!("To be set before millrace starts: {}", unset.join(", ")));
            }
            say("Look at them: millrace mcp list. Try them: millrace mcp test");
        }
        Ok(0)
    }

    fn plan(&self, wishes: &Wishes) -> Result<Plan, Fault> {
        let home = self.setup.paths.home.clone().unwrap_or_default();
        let places = Places::new(&home, &self.setup.folder, &self.setup.env);
        let most = self.limits.import;
        let (found, unreadable) = match &wishes.file {
            None if home.as_os_str().is_empty() => {
                return Err(Fault::new(FaultKind::Config, "this user has no home folder to look in")
                    .hint("Name the file: millrace mcp import FILE"));
            }
            None => import::find(&places, wishes.from, most),
            Some(file) => match import::open(&places, &self.setup.folder.join(file), wishes.from, most) {
                Ok(found) => (found, Vec::new()),
                Err(bad) => {
                    let path = self.setup.paths.show(&bad.path);
                    return Err(Fault::new(FaultKind::Config, format!("{path}: {}", bad.why)));
                }
            },
        };
        let refused = refused_variables(&self.setup.config);
        let variables = Variables {
            env: &self.setup.env,
            refused: &refused,
            folder: &self.setup.folder,
            home: self.setup.paths.home.as_deref(),
        };
        let mut plan = import::plan(found, unreadable, &self.setup.config.servers, &variables);
        if !wishes.only.is_empty() {
            let named =
                |row: &Row, name: &str| row.key == name || row.draft().is_some_and(|draft| draft.name.as_str() == name);
            for name in &wishes.only {
                if !plan.rows.iter().any(|row| named(row, name)) {
                    let names: Vec<&str> = plan.rows.iter().map(|row| row.key.as_str()).collect();
                    return Err(Fault::new(FaultKind::Usage, format!("no server is called {name:?} there"))
                        .hint(format!("There are {}.", names.join(", "))));
                }
            }
            plan.rows.retain(|row| wishes.only.iter().any(|name| named(row, name)));
        }
        Ok(plan)
    }

    /// Writes the versions that are installed here into commands that name none. Returns how many.
    fn pin(&self, plan: &mut Plan) -> usize {
        let Some(home) = &self.setup.paths.home else { return 0 };
        let mut count = 0;
        for row in &mut plan.rows {
            let (Becomes::New(draft), Some(unpinned)) = (&mut row.becomes, &row.unpinned) else { continue };
            if let Some(version) = import::installed(unpinned, home) {
                unpinned.pin(draft, &version);
                row.unpinned = None;
                count += 1;
            }
        }
        count
    }

    /// Secrets that stand in the files as they are get a place, before anything is written.
    fn keep_secrets(&self, plan: &mut Plan, wishes: &Wishes) -> Result<(), Fault> {
        let count: usize = plan.rows.iter().map(|row| row.literals.len()).sum();
        if count == 0 {
            return Ok(());
        }
        let how = match wishes.secrets {
            Some(how) => how,
            None if wishes.yes => Secrets::Env,
            None => {
                let question = format!(
                    "{} in plain in these files. Where to?\n  e  variables of the environment stand for them; you set them\n  k  keep them as they are, in config.toml (readable by you alone)",
                    if count == 1 { "1 secret stands".to_owned() } else { format!("{count} secrets stand") }
                );
                match one_of(
                    &question,
                    &[('e', Secrets::Env), ('k', Secrets::Keep)],
                    "Say it with --secrets, or take all with --yes.",
                )? {
                    Some(how) => how,
                    None => return Err(Fault::new(FaultKind::Cancelled, "nothing was changed")),
                }
            }
        };
        match how {
            Secrets::Env => plan.rows.iter_mut().for_each(Row::secrets_by_variable),
            Secrets::Keep => {}
        }
        Ok(())
    }

    fn print(&self, plan: &Plan, pinned: Option<&usize>) {
        for bad in &plan.unreadable {
            let why = visible(&bad.why);
            eprintln!("{} ({}): {why}; nothing of it is taken", self.setup.paths.show(&bad.path), bad.client.name());
        }
        let mut path = None;
        for row in &plan.rows {
            if path != Some(&row.path) {
                path = Some(&row.path);
                say(&format!("{}  {}", row.client.name(), self.setup.paths.show(&row.path)));
            }
            for line in self.row_lines(row) {
                say(&line);
            }
        }
        if let Some(count) = pinned {
            say(&format!("{count} pinned to the version that is installed here."));
        }
    }

    /// One entry as lines: what it becomes, then what a person should know of it.
    fn row_lines(&self, row: &Row) -> Vec<String> {
        let key = shown(&row.key);
        let draft = match &row.becomes {
            Becomes::New(draft) => draft,
            Becomes::Known(name) => return vec![format!("  {key:<16} is known already, as {}", name.as_str())],
            Becomes::LeftOut(why) => return vec![format!("  {key:<16} left out: {}", shown(why))],
        };
        let name = draft.name.as_str();
        let renamed = if name == row.key { String::new() } else { format!("  (there: {key})") };
        let mut out = vec![format!("  {name:<16} {}{renamed}", shown(&self.expand(draft).line()))];
        for (note, text) in row.notes().iter().filter(|(note, _)| *note != Note::Unpinned) {
            out.push(format!("    {:<9} {}", note.word(), shown(text)));
        }
        if let Some(unpinned) = &row.unpinned {
            let here = self.setup.paths.home.as_ref().and_then(|home| import::installed(unpinned, home));
            let pin = match here {
                Some(version) => format!("; --pin writes {}", unpinned.with(&version)),
                None => format!("; pin it as {}", unpinned.with("VERSION")),
            };
            let (word, runner) = (Note::Unpinned.word(), unpinned.runner);
            out.push(format!("    {word:<9} {runner} fetches the newest {} at each start{pin}", unpinned.package));
        }
        out
    }

    fn plan_json(&self, plan: &Plan, saved: Option<&str>) -> Value {
        let rows = plan.rows.iter().map(|row| {
            let (status, name, reason) = match &row.becomes {
                Becomes::New(draft) => ("new", Some(draft.name.as_str()), None),
                Becomes::Known(name) => ("known", Some(name.as_str()), None),
                Becomes::LeftOut(why) => ("left_out", None, Some(why)),
            };
            let mut dropped = Vec::new();
            let mut needs: Vec<Value> = Vec::new();
            let mut kept = Vec::new();
            for remark in &row.remarks {
                match remark {
                    Remark::Trust(key) => dropped.push(json!({"key": key, "why": "trust"})),
                    Remark::Dropped { key, why } => dropped.push(json!({"key": key, "why": why})),
                    Remark::Narrows(key) => kept.push(key),
                    Remark::Variable { name, why } => needs.push(json!({"variable": name, "why": why})),
                    Remark::Person(what) => needs.push(json!({"what": what})),
                }
            }
            for name in &row.unset {
                if !needs.iter().any(|need| need["variable"] == **name) {
                    needs.push(json!({"variable": name, "why": "it is not set"}));
                }
            }
            json!({
                "client": row.client.word(), "file": row.path, "key": row.key, "status": status, "name": name,
                "line": row.draft().map(|draft| self.expand(draft).line()), "reason": reason,
                "disabled": row.draft().is_some_and(|draft| draft.disabled), "off": row.off,
                "dropped": dropped, "kept": kept, "needs": needs, "open_secret": row.open_secret,
                "secrets": row.literals.iter().map(|literal| literal.name.as_str()).collect::<Vec<_>>(),
                "unpinned": row.unpinned.as_ref().map(|unpinned| unpinned.package.as_str()),
            })
        });
        let bad =
            plan.unreadable.iter().map(|bad| json!({"client": bad.client.word(), "file": bad.path, "why": bad.why}));
        json!({"servers": rows.collect::<Vec<_>>(), "unreadable": bad.collect::<Vec<_>>(), "saved": saved})
    }
}

fn servers(count: usize) -> String {
    if count == 1 { "1 server".to_owned() } else { format!("{count} servers") }
}

/// A client by the word on the command line.
pub(super) fn client(word: &str) -> Result<Client, Fault> {
    let wanted = word.to_ascii_lowercase();
    Client::ALL
        .into_iter()
        .find(|client| client.word() == wanted || client.name().to_ascii_lowercase() == wanted)
        .ok_or_else(|| {
            let words: Vec<_> = Client::ALL.iter().map(|client| client.word()).collect();
            Fault::new(FaultKind::Usage, format!("{} is no client that millrace knows", sanitize(word)))
                .hint(format!("One of: {}.", words.join(", ")))
        })
}
